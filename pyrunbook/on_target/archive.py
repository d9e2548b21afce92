"""The backup of a service on platform `host`: one archive with a manifest of SHA-256 sums, proven by restoring it.

The archive holds `MANIFEST.json` and, below `tree/`, what was backed up with its paths relative to the service's root.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from typing import Any

from . import durable

MANIFEST = "MANIFEST.json"
ATTEMPTS = 3
"""How often the archive is begun anew when a file changes while it is read."""


class ArchiveError(Exception):
    """The backup could not be made, or what comes out of it is not what went in."""


def sha256_of(path: str) -> str:
    """The SHA-256 sum of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _entries(root: str, parts: list[str]) -> Iterator[tuple[str, str]]:
    """Relative and absolute path of everything below `root/<part>`; links are entries of their own, never followed."""
    for part in parts:
        top = os.path.join(root, part)
        if not os.path.lexists(top):
            continue
        if os.path.islink(top) or not os.path.isdir(top):
            yield part, top
            continue
        for directory, names, files in os.walk(top):
            names.sort()
            yield os.path.relpath(directory, root), directory
            links = [name for name in names if os.path.islink(os.path.join(directory, name))]
            for name in sorted(files + links):
                path = os.path.join(directory, name)
                yield os.path.relpath(path, root), path


class _Changed(Exception):
    """A file changed while it was read."""


class _Summed(io.RawIOBase):
    """A file read through a running SHA-256 sum, so that large files are neither held in memory nor read twice."""

    def __init__(self, path: str) -> None:
        self._stream = open(path, "rb")  # noqa: SIM115 - closed by close()
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self.digest.update(block)
        return block

    def stat(self) -> os.stat_result:
        return os.fstat(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()
        super().close()


def create(root: str, parts: list[str], destination: str) -> dict[str, Any]:
    """Write the archive and prove it.

    Args:
        root: the service's root directory.
        parts: files and directories relative to it; those that do not exist are left out.
        destination: path of the archive; an archive that is there and sound is kept.

    Returns:
        `{"path", "sha256", "files", "bytes", "created"}`; `created` is `False` for a kept one.

    Raises:
        ArchiveError: what was read cannot be restored equal.
        OSError: a file cannot be read or the archive not be written.
    """
    if os.path.exists(destination):
        manifest = verify(destination)
        return _summary(destination, manifest, created=False)
    os.makedirs(os.path.dirname(destination), mode=0o700, exist_ok=True)
    temporary = destination + ".part"
    try:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                manifest = _write(root, parts, temporary)
                break
            except _Changed as changed:
                if attempt == ATTEMPTS:
                    raise ArchiveError(
                        f"{changed} changes while it is read; quiesce the service or leave the file out"
                    ) from changed
        verify(temporary)
        os.replace(temporary, destination)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    durable.sync_directory(os.path.dirname(destination))
    return _summary(destination, manifest, created=True)


def _write(root: str, parts: list[str], path: str) -> dict[str, Any]:
    manifest: dict[str, Any] = {"root": root, "entries": {}}
    with open(path, "wb") as raw:
        os.fchmod(raw.fileno(), 0o600)
        with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as tar:
            for name, source in _entries(root, parts):
                _add(tar, name, source, manifest["entries"])
            body = json.dumps(manifest, sort_keys=True, indent=1).encode()
            info = tarfile.TarInfo(MANIFEST)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
        raw.flush()
        os.fsync(raw.fileno())
    return manifest


def _add(tar: tarfile.TarFile, name: str, path: str, entries: dict[str, Any]) -> None:
    info = tar.gettarinfo(path, arcname="tree/" + name)
    if info is None:  # a socket: nothing that a restore could bring back
        return
    if info.isreg() or info.islnk():
        with _Summed(path) as source:
            before = source.stat()
            # A second hard link would be stored as a reference; every file is stored whole here.
            info.type, info.linkname, info.size = tarfile.REGTYPE, "", before.st_size
            try:
                tar.addfile(info, source)
            except OSError as error:  # it became shorter
                raise _Changed(path) from error
            after = source.stat()
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise _Changed(path)
        entries[name] = {"sha256": source.digest.hexdigest(), "mode": before.st_mode & 0o7777}
    elif info.issym():
        tar.addfile(info)
        entries[name] = {"link": info.linkname}
    elif info.isdir():
        tar.addfile(info)
        entries[name] = {"directory": True}


def _summary(path: str, manifest: dict[str, Any], created: bool) -> dict[str, Any]:
    files = sum("sha256" in entry for entry in manifest["entries"].values())
    return {
        "path": path,
        "sha256": sha256_of(path),
        "files": files,
        "bytes": os.path.getsize(path),
        "created": created,
    }


def _extract(archive: str, directory: str) -> dict[str, Any]:
    """Extract the whole archive and return its manifest."""
    try:
        with gzip.open(archive) as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
            members = tar.getmembers()
            links = {member.name for member in members if member.issym()}
            for member in members:
                parts = member.name.split("/")
                through = any("/".join(parts[:end]) in links for end in range(1, len(parts)))
                outside = through or os.path.isabs(member.name) or ".." in parts
                if outside or not (member.isreg() or member.issym() or member.isdir()):
                    raise ArchiveError(f"{archive} holds {member.name}, which no backup of pyrunbook contains")
            # The members were checked above. The data filter, where there is one, would refuse
            # absolute links that the service itself has.
            if hasattr(tarfile, "data_filter"):
                tar.extractall(directory, filter="fully_trusted")  # noqa: S202
            else:
                tar.extractall(directory)  # noqa: S202
            while raw.read(1 << 20):  # to its very end, where gzip's own sum is compared
                pass
        with open(os.path.join(directory, MANIFEST), encoding="utf-8") as stream:
            manifest: dict[str, Any] = json.load(stream)
    except (tarfile.TarError, zlib.error, EOFError, OSError, OverflowError, ValueError) as error:
        raise ArchiveError(f"{archive} cannot be restored: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("entries"), dict):
        raise ArchiveError(f"{archive} holds a {MANIFEST} that is not ours")
    return manifest


def _compare(tree: str, entries: dict[str, Any], archive: str) -> None:
    for name, entry in entries.items():
        path = os.path.join(tree, name)
        if "sha256" in entry:
            sound = os.path.isfile(path) and sha256_of(path) == entry["sha256"]
            sound = sound and os.stat(path).st_mode & 0o777 == entry["mode"] & 0o777
        elif "link" in entry:
            sound = os.path.islink(path) and os.readlink(path) == entry["link"]
        else:
            sound = os.path.isdir(path)
        if not sound:
            raise ArchiveError(f"{archive}: {name} comes out different from what went in")


def verify(archive: str) -> dict[str, Any]:
    """Restore the archive into a scratch directory and compare every file with the manifest.

    Returns:
        The manifest.

    Raises:
        ArchiveError: something is missing or different.
    """
    scratch = tempfile.mkdtemp(prefix=".restore-", dir=os.path.dirname(archive))
    try:
        manifest = _extract(archive, scratch)
        _compare(os.path.join(scratch, "tree"), manifest["entries"], archive)
    finally:
        shutil.rmtree(scratch)
    return manifest


def restore(archive: str, part: str, root: str) -> None:
    """Put one part (a path relative to the service's root) back where it stood; it must not be there now.

    Raises:
        ArchiveError: the archive is damaged or does not hold the part.
    """
    destination = os.path.join(root, part)
    if os.path.lexists(destination):
        raise ArchiveError(f"{destination} is there; nothing was restored over it")
    scratch = tempfile.mkdtemp(prefix=".restore-", dir=root)
    try:
        manifest = _extract(archive, scratch)
        tree = os.path.join(scratch, "tree")
        _compare(tree, manifest["entries"], archive)
        if not os.path.lexists(os.path.join(tree, part)):
            raise ArchiveError(f"{archive} does not hold {part}")
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        os.rename(os.path.join(tree, part), destination)
        durable.sync_directory(os.path.dirname(destination))
    finally:
        shutil.rmtree(scratch)
