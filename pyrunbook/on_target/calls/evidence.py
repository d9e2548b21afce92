"""Read the ends of a service's logs and its small state files."""

from __future__ import annotations

import glob
import os
import stat
import time
from typing import Any

MOST = 50
"""Files; a pattern that finds more is too wide, and what it misses is said."""


def evidence(patterns: list[str], bytes: int = 65536, check_mode: bool = False) -> dict[str, Any]:  # noqa: A002, ARG001
    """See the module `host_evidence`."""
    files: dict[str, Any] = {}
    missed: list[str] = []
    for pattern in patterns:
        found = sorted(glob.glob(pattern))
        missed += [f"{pattern}: finds nothing"] if not found else []
        for path in found:
            if len(files) == MOST:
                missed.append(f"{path}: more than {MOST} files")
                break
            try:
                files[path] = _end_of(path, bytes)
            except OSError as error:
                missed.append(f"{path}: {error.strerror}")
    return {"changed": False, "files": files, "missed": missed}


def _end_of(path: str, size: int) -> dict[str, Any]:
    """The last `size` bytes of a file, from the beginning of a line on, with its age and length."""
    # Not blocking: a pipe would wait for a writer. Not through a link: it may lead out of the service's directory.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no file", path)
        stream.seek(max(0, status.st_size - size))
        content = stream.read(size)
    if status.st_size > size:
        content = content.partition(b"\n")[2]
    changed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(status.st_mtime))
    return {"size": status.st_size, "changed": changed, "end": content.decode("utf-8", "replace")}
