"""A sandbox for tests: private directory, journal and ports."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest

from pyrunbook.cli.main import main
from pyrunbook.sandbox import content, processes, state
from pyrunbook.sandbox.layout import Layout
from pyrunbook.sandbox.supervision import Supervisor


class Sandbox:
    """A sandbox of its own: private directory, journal and ports."""

    def __init__(self, home: Path, directory: Path) -> None:
        self.home = home
        self.directory = directory
        self.layout = Layout(directory)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYRUNBOOK_", "ANSIBLE_"))},
            "PYRUNBOOK_HOME": str(home),
            "PYRUNBOOK_SANDBOX": str(directory),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "ANSIBLE_HOME": str(directory.parent / "ansible"),  # in the state directory it would be open to others
        }

    def run(self, *args: str, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
        """`pyrunbook ARGS…`, output captured."""
        return subprocess.run(
            [sys.executable, "-m", "pyrunbook", *args],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            **{"check": False, **options},
        )

    def up(self, *args: str) -> subprocess.CompletedProcess[str]:
        """`pyrunbook sandbox up`, which must succeed."""
        result = self.run("sandbox", "up", *args)
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    def ask(self, *args: str, codes: tuple[int, ...] = (0,)) -> str:
        """What `pyrunbook ARGS…` prints, without a process of its own: for what is not itself under test."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.env, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            main(args)
        assert end.value.code in codes, out.getvalue() + err.getvalue()
        return out.getvalue()

    def start(self) -> None:
        """Have blue serve 1.0.4."""
        self.ask("sandbox", "up")

    def status(self) -> dict[str, Any]:
        """What `pyrunbook sandbox status --json` prints."""
        found: dict[str, Any] = json.loads(self.ask("sandbox", "status", "--json", codes=(0, 3)))
        return found

    def release(self, version: str, fault: str = "") -> None:
        """Make a release and choose it as the next one."""
        content.make_release(self.layout, version, fault)

    @property
    def settings(self) -> state.SandboxSettings:
        """Ports and mark."""
        known = state.settings(self.layout)
        assert known is not None
        return known

    @property
    def url(self) -> str:
        """Where clients reach the service."""
        return self.settings.url

    @property
    def supervisor(self) -> Supervisor:
        """Its supervisor, by XML-RPC."""
        return Supervisor(Path(self.settings.socket))

    def processes(self) -> list[psutil.Process]:
        """All its live processes."""
        known = state.settings(self.layout)
        return processes.ours(self.layout, known) if known else []

    def destroy(self) -> None:
        """End whatever of it is left, by process id."""
        while left := self.processes():  # again, should supervisor have started something in between
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            processes.wait_gone(left, 5)
