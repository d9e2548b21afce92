"""Start a program, and say what it took: on the clock, in processor time, and until something was first seen."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT
from benchmarks.figures import NotMeasured

INTERVAL = 0.005
"""Seconds between two looks at what is watched for."""


@dataclass(frozen=True)
class Start:
    """One start of a program, in seconds.

    Attributes:
        wall: on the clock.
        processor: user and system time, that of its children included.
        first: until what was watched for was seen; `None` when it never was, or nothing was watched for.
    """

    wall: float
    processor: float
    first: float | None = None


def compiled_once(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which Python keeps what it compiles, as it does for users: or each start compiles all anew."""
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


def start(
    argv: Sequence[str], environment: Mapping[str, str], *, cwd: Path = ROOT, seen: Callable[[], bool] | None = None
) -> Start:
    """Run a program to its end; it must succeed.

    Args:
        argv: the program and its arguments.
        environment: of the program.
        cwd: where it works.
        seen: asked every `INTERVAL` seconds until it says `True`.

    Raises:
        NotMeasured: the program failed.
    """
    moments: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while seen is not None and not ended.wait(INTERVAL):
            if seen():
                moments.append(time.perf_counter())
                return

    watching = threading.Thread(target=watch, name="watch", daemon=True)
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            argv, env=compiled_once(environment), cwd=cwd, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        watching.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        ended.set()
        watching.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()[-15:]
            raise NotMeasured("\n".join([f"{' '.join(argv[:8])} ended with {process.returncode}", *lines]))
    return Start(wall, usage.ru_utime + usage.ru_stime, moments[0] - began if moments else None)
