"""The private directories of what runs: locked while it runs, emptied once it is gone.

They hold inputs and keys on trial. Whoever makes one has it locked; the kernel takes the lock away with the process,
however that ends, so that the next command of any kind knows what was left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pyrunbook import places


@contextlib.contextmanager
def directory(name: str) -> Iterator[Path]:
    """A directory `<name>-<random>` below `places.running()`, 0700; removed when this ends.

    Args:
        name: begins with the id of the run, by which its processes are found.
    """
    parent = places.private_directory(places.running())
    with _locked(parent, fcntl.LOCK_SH):
        made = Path(tempfile.mkdtemp(dir=parent, prefix=f"{name}-"))
        held = os.open(made, os.O_RDONLY)
        with contextlib.suppress(OSError):  # some network file systems do not lock a directory; `clear` cannot either
            fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


def clear() -> list[Path]:
    """Empty the directories of processes that are gone.

    Returns:
        those directories, empty; the caller that knows that no process of their run is left removes them.
    """
    left = []
    with contextlib.suppress(OSError), _locked(places.running(), fcntl.LOCK_EX):
        for found in places.running().iterdir():
            with contextlib.suppress(OSError), _locked(found, fcntl.LOCK_EX | fcntl.LOCK_NB):
                for each in found.iterdir():
                    shutil.rmtree(each, ignore_errors=True) if each.is_dir() else each.unlink()
                left.append(found)
    return left


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, how)
        yield
    finally:
        os.close(held)
