"""The backup of a service on platform `host`: one archive with a manifest of SHA-256 sums, proven by restoring it.

The archive holds `MANIFEST.json` and, below `tree/`, what was backed up with its paths relative to the service's root.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from typing import Any, Dict, Iterator, List, Tuple

from . import durable

MANIFEST = "MANIFEST.json"
ATTEMPTS = 3
"""How often a file that changes while it is read is read again."""


class ArchiveError(Exception):
    """The backup could not be made, or what comes out of it is not what went in."""


def sha256_of(path: str) -> str:
    """The SHA-256 sum of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _entries(root: str, parts: List[str]) -> Iterator[Tuple[str, str]]:
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


def _read_steady(path: str) -> Tuple[bytes, os.stat_result]:
    """A file's content, read while nobody changed it."""
    for _ in range(ATTEMPTS):
        before = os.stat(path)
        with open(path, "rb") as stream:
            content = stream.read()
        after = os.stat(path)
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
            return content, after
    raise ArchiveError("%s changes while it is read; quiesce the service or leave the file out of the backup" % path)


def create(root: str, parts: List[str], destination: str) -> Dict[str, Any]:
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
    manifest: Dict[str, Any] = {"root": root, "entries": {}}
    temporary = destination + ".part"
    try:
        with open(temporary, "wb") as raw:
            os.fchmod(raw.fileno(), 0o600)
            with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as tar:
                for name, path in _entries(root, parts):
                    _add(tar, name, path, manifest["entries"])
                body = json.dumps(manifest, sort_keys=True, indent=1).encode()
                info = tarfile.TarInfo(MANIFEST)
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))
            raw.flush()
            os.fsync(raw.fileno())
        verify(temporary)
        os.replace(temporary, destination)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    durable.sync_directory(os.path.dirname(destination))
    return _summary(destination, manifest, created=True)


def _add(tar: tarfile.TarFile, name: str, path: str, entries: Dict[str, Any]) -> None:
    info = tar.gettarinfo(path, arcname="tree/" + name)
    if info is None:  # a socket: nothing that a restore could bring back
        return
    if info.isreg():
        content, stat = _read_steady(path)
        # A second hard link would be stored as a reference; every file stands on its own here.
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", len(content)
        tar.addfile(info, io.BytesIO(content))
        entries[name] = {"sha256": hashlib.sha256(content).hexdigest(), "mode": stat.st_mode & 0o7777}
    elif info.issym():
        tar.addfile(info)
        entries[name] = {"link": info.linkname}
    elif info.isdir():
        tar.addfile(info)
        entries[name] = {"directory": True}


def _summary(path: str, manifest: Dict[str, Any], created: bool) -> Dict[str, Any]:
    files = sum("sha256" in entry for entry in manifest["entries"].values())
    return {"path": path, "sha256": sha256_of(path), "files": files, "bytes": os.path.getsize(path), "created": created}


def _extract(archive: str, directory: str) -> Dict[str, Any]:
    """Extract the whole archive and return its manifest."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar.getmembers():
                outside = os.path.isabs(member.name) or ".." in member.name.split("/")
                if outside or not (member.isreg() or member.issym() or member.isdir()):
                    raise ArchiveError("%s holds %s, which is no part of a backup of ours" % (archive, member.name))
            # What a backup of ours holds was checked above; the data filter would refuse links of the service's own.
            tar.extractall(directory, **({"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}))  # noqa: S202
        with open(os.path.join(directory, MANIFEST), encoding="utf-8") as stream:
            manifest: Dict[str, Any] = json.load(stream)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise ArchiveError("%s cannot be restored: %s" % (archive, error)) from error
    return manifest


def _compare(tree: str, entries: Dict[str, Any], archive: str) -> None:
    for name, entry in entries.items():
        path = os.path.join(tree, name)
        if "sha256" in entry:
            sound = os.path.isfile(path) and sha256_of(path) == entry["sha256"]
        elif "link" in entry:
            sound = os.path.islink(path) and os.readlink(path) == entry["link"]
        else:
            sound = os.path.isdir(path)
        if not sound:
            raise ArchiveError("%s: %s comes out different from what went in" % (archive, name))


def verify(archive: str) -> Dict[str, Any]:
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
        raise ArchiveError("%s is there; nothing was restored over it" % destination)
    scratch = tempfile.mkdtemp(prefix=".restore-", dir=root)
    try:
        manifest = _extract(archive, scratch)
        tree = os.path.join(scratch, "tree")
        _compare(tree, manifest["entries"], archive)
        if not os.path.lexists(os.path.join(tree, part)):
            raise ArchiveError("%s does not hold %s" % (archive, part))
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        os.rename(os.path.join(tree, part), destination)
        durable.sync_directory(os.path.dirname(destination))
    finally:
        shutil.rmtree(scratch)
