"""Finding and ending the sandbox's processes, and keeping two commands from working at once."""

from __future__ import annotations

import fcntl
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

from pyrunbook import places
from pyrunbook.errors import BadInput, Refused
from pyrunbook.sandbox.configuration import ENV_MARK
from pyrunbook.sandbox.content import write_atomically
from pyrunbook.sandbox.layout import HOST, Layout
from pyrunbook.sandbox.state import SandboxSettings

T = TypeVar("T")

_PORTS = range(20000, 32000)
"""Below what systems hand out to outgoing connections, so that none of those ever sits on a stopped slot's port."""
_SAME_START = 2.0
"""Seconds by which two readings of a process's start may differ (the clock may have been set in between)."""


@contextmanager
def locked(layout: Layout, wait: float = 90.0) -> Iterator[None]:
    """Hold the sandbox's lock.

    Args:
        layout: the sandbox; its `run/` must exist.
        wait: seconds to wait for another command.

    Raises:
        Refused: another command still holds it.
    """
    deadline = time.monotonic() + wait
    while True:
        descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            if time.monotonic() > deadline:
                raise Refused(
                    f"another command has been changing this sandbox for {wait:.0f} s (process {holder or 'unknown'})",
                    next_step="wait until it is done, or end it, and try again",
                ) from None
            time.sleep(0.05)
            continue
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), layout.lock.stat()):
                break
        os.close(descriptor)  # `down --purge` removed the file while we waited
        places.private_directory(layout.run)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def alive(process: psutil.Process) -> bool:
    """Whether it still runs (a zombie does not)."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ours(layout: Layout, settings: SandboxSettings) -> list[psutil.Process]:
    """All live processes of this sandbox, whoever their parent is now.

    A process is ours when its environment carries the sandbox's mark, or, where environments cannot be read, when
    `run/pids.json` has its id with the same start time.
    """
    recorded = recorded_pids(layout)
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            if process.environ().get(ENV_MARK) == settings.mark and alive(process):
                found.append(process)
        except psutil.AccessDenied:
            started = recorded.get(process.pid)
            with suppress(psutil.Error):
                if started is not None and abs(process.create_time() - started) < _SAME_START and alive(process):
                    found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def recorded_pids(layout: Layout) -> dict[int, float]:
    """Process id to start time (seconds since the epoch), as `record_pids` left them."""
    try:
        entries = json.loads(layout.pids.read_text(encoding="utf-8"))
        return {int(entry["pid"]): float(entry["started"]) for entry in entries}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def record_pids(layout: Layout, processes: list[psutil.Process]) -> None:
    """Write `run/pids.json`: a list of `{"pid", "started", "name"}`."""
    entries = []
    for process in processes:
        with suppress(psutil.Error):
            entries.append({"pid": process.pid, "started": process.create_time(), "name": process.name()})
    write_atomically(layout.pids, json.dumps(entries, indent=2) + "\n")


def color_of(process: psutil.Process) -> str | None:
    """Which slot's service it is, by its arguments; `None` for the others."""
    with suppress(psutil.Error):
        arguments = process.cmdline()
        if "--color" in arguments[:-1] and any(Path(word).name == "agent-factory" for word in arguments[:3]):
            return arguments[arguments.index("--color") + 1]
    return None


def end(processes: list[psutil.Process], grace: float) -> list[psutil.Process]:
    """Ask them to stop, wait, and kill what is left.

    Args:
        processes: those to end; psutil checks the start time of each before it signals.
        grace: seconds between asking and killing.

    Returns:
        Those that had to be killed.
    """
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    if wait_gone(processes, grace):
        return []
    killed = [process for process in processes if alive(process)]
    for process in killed:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_gone(killed, 5.0)
    return killed


def wait_for(look: Callable[[], T], seconds: float) -> T:
    """Call `look` until it gives something true; what it gave last after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def wait_gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Wait until none of them lives; False when some still do after `seconds`."""
    return wait_for(lambda: not any(map(alive, processes)), seconds)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on it now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(taken: set[int]) -> int:
    """A port on which no program listens and that is not in `taken`; it is added to `taken`.

    Raises:
        BadInput: a thousand random tries found none.
    """
    for port in random.sample(_PORTS, 1000):
        if port not in taken and port_is_free(port):
            taken.add(port)
            return port
    raise BadInput(f"no free port between {_PORTS.start} and {_PORTS.stop} on {HOST}")
