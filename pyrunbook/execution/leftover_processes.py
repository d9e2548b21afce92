"""Processes that a run left behind on this machine: found by the run's id in their environment, ended by pid."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil

from pyrunbook import places, running
from pyrunbook.journal import Run
from pyrunbook.run_contract import ENV_RUN_ID

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""
ROUNDS = 5
"""How often to search again for processes that the ended ones had started meanwhile."""
SOCKETS_LIMIT = 104 - 56
"""Longest name, in bytes, of the directory for ssh's sockets."""


def find(run_id: str) -> list[psutil.Process]:
    """The processes of this user that belong to a run, except this process and its ancestors."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid not in own and (process.environ().get(ENV_RUN_ID) == run_id or _connects(process, run_id)):
                found.append(process)
    return found


def _connects(process: psutil.Process, run_id: str) -> bool:
    """Whether it is an ssh that keeps a connection of a run open; its environment cannot be read any more."""
    if process.name() != "ssh":
        return False
    return any(word.startswith(f"ssh: {sockets()}/pyrunbook-{run_id}-") for word in process.cmdline()[:1])


def end(run_id: str) -> int:
    """End the processes of a run, also those started meanwhile: SIGTERM, then SIGKILL.

    Returns:
        How many there were.
    """
    ended: set[psutil.Process] = set()
    for _ in range(ROUNDS):
        processes = find(run_id)
        if not processes:
            break
        ended.update(processes)
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, alive = psutil.wait_procs(processes, timeout=GRACE)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=GRACE)
    for directory in (*places.running().glob(f"{run_id}-*"), *sockets().glob(f"pyrunbook-{run_id}-*")):
        shutil.rmtree(directory, ignore_errors=True)
    return len(ended)


def sockets() -> Path:
    """Where the directories of ssh's sockets are, one a play: `pyrunbook-<run id>-<random>`.

    It is the directory for temporary files, unless its name is long: some kernels take 104 bytes for the whole
    name of a socket, and 56 of them are for our directory and for what ssh and Ansible append.
    """
    temporary = tempfile.gettempdir()
    return Path(temporary if len(os.fsencode(temporary)) < SOCKETS_LIMIT else "/tmp")  # noqa: S108  # private inside


def clear_directories() -> None:
    """Remove the directories of plays that were killed, and what their ssh left."""
    for directory in running.clear():
        run_id = directory.name.partition("-")[0]
        if not find(run_id):
            for left in (directory, *sockets().glob(f"pyrunbook-{run_id}-*")):
                shutil.rmtree(left, ignore_errors=True)


def alive(run: Run) -> bool:
    """Whether the process that drives a run still exists on this machine. Its pid may have been reused."""
    try:
        process = psutil.Process(run.pid)
        return abs(process.create_time() - run.process_started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
