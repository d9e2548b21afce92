"""A sandbox for tests: private directory, journal and ports."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest

from pyrunbook.cli.main import main
from pyrunbook.errors import ExitCode
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

    def process(self, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`pyrunbook ARGS…` in a process of its own, output captured."""
        argv = [sys.executable, "-m", "pyrunbook", *args]
        return subprocess.run(argv, env=self.env, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """The same in this process, which has imported all of it already; a play that it starts is a real one."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.env, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                main(args)
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
        code = int(end.value.code or 0)
        if code == ExitCode.INTERRUPTED:  # no test interrupts this process: somebody wants the tests to end
            raise KeyboardInterrupt
        return subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue())

    def up(self, *args: str) -> subprocess.CompletedProcess[str]:
        """`pyrunbook sandbox up`, which must succeed."""
        result = self.process("sandbox", "up", *args)
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    def ask(self, *args: str, codes: tuple[int, ...] = (0,)) -> str:
        """What `pyrunbook ARGS…` prints; it must exit with one of `codes`."""
        done = self.run(*args)
        assert done.returncode in codes, done.stdout + done.stderr
        return done.stdout

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
