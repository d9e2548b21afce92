"""Distributions and installations under test."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Distributions:
    """What `python -m build` makes: the sdist, and the wheel built from that sdist."""

    sdist: Path
    wheel: Path


@dataclass(frozen=True)
class Size:
    """Bytes below a directory, links not followed: in the files, and in the blocks that they take on this disk."""

    content: int
    on_disk: int

    @classmethod
    def of(cls, directory: Path) -> Size:
        found = [path.lstat() for path in directory.rglob("*")]
        return cls(sum(status.st_size for status in found), sum(status.st_blocks * 512 for status in found))

    def __sub__(self, other: Size) -> Size:
        return Size(self.content - other.content, self.on_disk - other.on_disk)


@dataclass(frozen=True)
class Installed:
    """An environment with pyrunbook in it.

    `grown` is how much larger it is than an environment with pip alone.
    """

    bin: Path
    home: Path
    grown: Size

    def call(
        self, program: str, *arguments: str, timeout: float = 120, cwd: Path = Path("/"), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, from `/` unless another directory is named.

        It knows nothing of the checkout.
        """
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYRUNBOOK_", "ANSIBLE_", "PYTHON", "VIRTUAL"))
        }
        kept |= {
            "HOME": str(self.home),
            "PYRUNBOOK_HOME": str(self.home / "state"),
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            "COLUMNS": "200",
            **environment,
        }
        return subprocess.run(
            [str(self.bin / program), *arguments],
            env=kept, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def ok(self, program: str, *arguments: str, cwd: Path = Path("/"), **environment: str) -> str:
        """Run a program that must succeed, and return what it printed."""
        done = self.call(program, *arguments, cwd=cwd, **environment)
        assert done.returncode == 0, f"{program} {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout
