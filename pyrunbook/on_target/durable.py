"""Write a file so that a crash leaves the old content or the new, never a part of either."""

from __future__ import annotations

import os


def sync_directory(path: str) -> None:
    """Make the entries of a directory durable (POSIX: a rename is durable once its directory is synced)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: str, content: bytes, mode: int = 0o600) -> None:
    """Replace the content of `path` atomically and durably.

    Args:
        path: the file; its directory must exist.
        mode: permission bits of the new file.

    Raises:
        OSError: nothing was replaced.
    """
    directory = os.path.dirname(os.path.abspath(path))
    temporary = os.path.join(directory, f".{os.path.basename(path)}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(directory)


def link(path: str, target: str) -> None:
    """Make `path` a symbolic link to `target`, replacing what was there atomically."""
    directory = os.path.dirname(os.path.abspath(path))
    temporary = os.path.join(directory, f".{os.path.basename(path)}.{os.getpid()}")
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, path)
    sync_directory(directory)
