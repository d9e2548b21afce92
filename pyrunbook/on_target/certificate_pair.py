"""A certificate and its key on disk: staged beside, deployed in one move, kept, put back.

    current -> versions/<version>         what the server reads: current/certificate.pem and current/key.pem
    versions/<version>/certificate.pem    the leaf, then its chain
    versions/<version>/key.pem            0600, or what the service needs
    staging/<version>/                    0700: a pair that is being written
    rotation.json                         how far a rotation has come; absent between two rotations
    retired.json                          versions that are no longer deployed and have yet to be revoked
    lock                                  held while any of it changes

A version is complete and on the disk before `current` names it, and never changes afterwards; `current` changes by one
rename. So there is no moment, also after a crash, at which a new certificate is beside an old key. A server that
opens both files while the link moves could still read one of each: servers read them when they reload,
and that happens after the move; one that reads them at another moment sees that they do not match and keeps what it
has (Caddy, nginx and HAProxy do).

The moves are those of `rotation_moves`.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import stat
from collections.abc import Iterator
from typing import Any

from . import certificate_look, durable
from . import rotation_state as state
from .rotation_moves import Records, RotatingPair
from .rotation_state import CERTIFICATE, KEY, STAGED, STAGING, PairError


class _Files(Records):
    """The records in a directory; the list of retired versions is read when it is asked for."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.current = state.linked(directory)
        self.versions = state.versions(directory)
        self.rotation = state.rotation(directory)

    @functools.cached_property
    def retired(self) -> list[dict[str, str]]:  # type: ignore[override]
        return state.retired(self._directory)


class PairInDirectory(RotatingPair[Records]):
    """A pair in a directory of this machine. Its moves also raise `OSError` when a file cannot be read or written.

    Args:
        directory: of the pair; made when the first one is staged.
        owner: user id that the server reads as; -1: the caller.
        group: group id; -1: the caller's.
        key_mode: permission bits of the key, 0600 or 0640 (for a group).
    """

    def __init__(self, directory: str, owner: int = -1, group: int = -1, key_mode: int = 0o600) -> None:
        self.directory = directory
        self._owners = (owner, group)
        self._key_mode = key_mode

    @property
    def place(self) -> str:
        """The directory."""
        return self.directory

    def prepare(self) -> None:
        if self._key_mode not in (0o600, 0o400, 0o640, 0o440):
            raise PairError(f"mode {self._key_mode:04o} opens the key to more than its owner and a group")
        for path in (self.directory.rstrip("/"), self._path("versions"), self._path("staging")):
            _own_directory(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        descriptor = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def records(self) -> Records:
        return _Files(self.directory)

    def add(self, found: Records, rotation: dict[str, Any], certificate: bytes, key: bytes) -> None:
        shutil.rmtree(self._path("versions", rotation["new"]), ignore_errors=True)
        _clear(self._path("staging"))
        self.record(found, dict(rotation, step=STAGING))
        place = self._path("staging", rotation["new"])
        os.mkdir(place, 0o700)
        self._create(os.path.join(place, CERTIFICATE), certificate, 0o644)
        self._create(os.path.join(place, KEY), key, self._key_mode)
        if self._owners != (-1, -1):
            os.chown(place, *self._owners)
        os.chmod(place, 0o750 if self._key_mode & 0o040 else 0o700)
        durable.sync_directory(place)
        os.rename(place, self._path("versions", rotation["new"]))
        durable.sync_directory(self._path("versions"))
        durable.sync_directory(self._path("staging"))
        self.record(found, dict(rotation, step=STAGED))

    def record(self, found: Records, rotation: dict[str, Any]) -> Records:
        state.write(self.directory, rotation)
        return found

    def record_retired(self, found: Records, retired: list[dict[str, str]]) -> None:  # noqa: ARG002  # as in the cluster
        state.write_retired(self.directory, retired)

    def mismatch(self, found: Records, version: str) -> str:  # noqa: ARG002
        return certificate_look.mismatch(self._path("versions", version))

    def deploy(self, found: Records, version: str) -> None:  # noqa: ARG002
        if version:
            durable.link(self._path("current"), os.path.join("versions", version))
        else:
            os.unlink(self._path("current"))
            durable.sync_directory(self.directory)

    def end(self, found: Records, retired: list[dict[str, str]], removed: list[str]) -> None:
        self.record_retired(found, retired)
        for name in removed:
            shutil.rmtree(self._path("versions", name))
        _clear(self._path("staging"))
        durable.sync_directory(self._path("versions"))
        os.unlink(self._path("rotation.json"))
        durable.sync_directory(self.directory)

    def _path(self, *parts: str) -> str:
        return os.path.join(self.directory, *parts)

    def _create(self, path: str, content: bytes, mode: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            if self._owners != (-1, -1):
                os.fchown(stream.fileno(), *self._owners)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())


def _own_directory(path: str) -> None:
    """Make a directory in which only the caller can move things; one that others may write to is refused."""
    if not os.path.isdir(path):
        os.makedirs(path, 0o755)
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode) or status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
        raise PairError(f"{path} is a link, or others may write to it: keys are not put there")


def _clear(directory: str) -> None:
    for name in os.listdir(directory):
        shutil.rmtree(os.path.join(directory, name))
