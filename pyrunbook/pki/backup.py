"""Keys and certificates in one encrypted file, which counts as a backup once it has been opened and compared.

Inside is a tar archive whose first member, `manifest.json`, names every file with its SHA-256. All of it is put
together in memory: nothing is ever on the disk unencrypted.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.on_target import durable
from pyrunbook.pki.age_lock import Lock, Opener, Passphrase
from pyrunbook.pki.certificate import stamp
from pyrunbook.pki.errors import NotVerified
from pyrunbook.places import private_directory

FORMAT = 1
LARGEST = 64 << 20
"""Bytes in one backup: keys and certificates are small, and this is held in memory."""
MANIFEST = "manifest.json"
Files = Mapping[str, tuple[int, bytes]]
"""Files that are not on this machine's disk: permission bits and content, by path."""


@dataclass(frozen=True)
class Entry:
    """A file in a backup.

    Attributes:
        path: below the backup's root; begins with the name of its source.
        mode: permission bits.
        size: bytes.
        sha256: of the content; empty for a link.
        link: where a symbolic link points; empty for a file.
    """

    path: str
    mode: int
    size: int
    sha256: str
    link: str = ""


@dataclass(frozen=True)
class Backup:
    """A backup that was made or looked into.

    Attributes:
        sha256: of the encrypted file.
        made: when its content was read, aware.
        files: what is in it.
        verified: whether it was opened and compared.
        detail: one line for the operator.
    """

    archive: Path
    sha256: str
    made: datetime
    files: tuple[Entry, ...]
    verified: bool
    detail: str

    def as_json(self) -> dict[str, Any]:
        """For the journal; names and sums, no content."""
        return {
            "archive": str(self.archive),
            "sha256": self.sha256,
            "made": stamp(self.made),
            "verified": self.verified,
            "files": [asdict(each) for each in self.files],
        }


def create(sources: Mapping[str, Path | Files], archive: Path, lock: Lock, opener: Opener | None = None) -> Backup:
    """Write a backup and verify it.

    Args:
        sources: files and directories, or what was read elsewhere, by the name that they get in the backup.
        archive: the file to write, 0600; replaced in one move.
        lock: recipients or a passphrase.
        opener: what opens it again; a passphrase does by itself. Without one it is written and not verified.

    Raises:
        BadInput: a source is missing, or holds something that is neither file, directory nor link.
        NotVerified: what comes out again is not what went in, or not what is on the disk any more.
    """
    made = datetime.now(UTC)
    content = dict(_collect(sources))
    entries = tuple(entry for entry, _ in content.values())
    manifest = {"format": FORMAT, "made": stamp(made), "files": [asdict(each) for each in entries]}
    locked = lock.lock(_tar(json.dumps(manifest, indent=1).encode(), content))
    private_directory(archive.parent)
    durable.write(str(archive), locked, 0o600)
    opener = opener or (lock if isinstance(lock, Passphrase) else None)
    if opener is None:
        digest = hashlib.sha256(locked).hexdigest()
        detail = f"{len(entries)} files written for {lock}; not verified: that takes one of their identities"
        return Backup(archive, digest, made, entries, verified=False, detail=detail)
    return verify(archive, opener, sources)


def verify(archive: Path, opener: Opener, sources: Mapping[str, Path | Files] | None = None) -> Backup:
    """Open a backup, compare every file with the manifest and, where given, with what is on the disk now.

    Args:
        opener: an identity or the passphrase.
        sources: as for `create`.

    Raises:
        BadInput: it cannot be read or opened.
        NotVerified: it does not hold what it should.
    """
    made, files, digest = _open(archive, opener)
    if sources is not None:
        now = {path: entry for path, (entry, _) in _collect(sources)}
        then = {path: entry for path, (entry, _) in files.items()}
        different = sorted(path for path in now.keys() | then.keys() if now.get(path) != then.get(path))
        if different:
            raise NotVerified(
                f"{archive} differs from the disk in {', '.join(different[:5])}" + (" …" if different[5:] else ""),
                means="something changed while the backup was made, or since",
                next_step="make it again",
            )
    entries = tuple(entry for entry, _ in files.values())
    compared = "opened, and compared with the disk" if sources is not None else "opened, and all sums are right"
    return Backup(archive, digest, made, entries, verified=True, detail=f"{len(entries)} files, {compared}")


def restore(archive: Path, opener: Opener, directory: Path) -> list[Path]:
    """Put the files of a backup into an empty directory, for their owner only.

    Modes are as they were, less what others could do; where a service has to read a key, that is for a deployment
    to say.

    Args:
        opener: an identity or the passphrase.
        directory: missing or empty.

    Returns:
        the files.

    Raises:
        BadInput: it cannot be read or opened, or the directory holds something.
        NotVerified: it does not hold what it should; nothing was written.
    """
    if directory.exists() and any(directory.iterdir()):
        raise BadInput(f"{directory} is not empty: a restore does not mix with what is there")
    _, files, _ = _open(archive, opener)
    private_directory(directory)
    directory.chmod(0o700)
    written = []
    for path, (entry, content) in files.items():
        target = directory / path
        private_directory(target.parent)
        if entry.link:
            target.symlink_to(entry.link)
        else:
            durable.write(str(target), content, entry.mode & 0o700)
        written.append(target)
    return written


# --- parts ------------------------------------------------------------------------------------------------------


def _collect(sources: Mapping[str, Path | Files]) -> Iterator[tuple[str, tuple[Entry, bytes]]]:
    """Every file below the sources, with its content."""
    if not sources:
        raise BadInput("nothing to back up was named")
    total = count = 0
    for name, source in sorted(sources.items()):
        if not name or "/" in name or name in (".", "..", MANIFEST):
            raise BadInput(f"{name!r} is no name for a part of a backup")
        for entry, content in _from_disk(name, source) if isinstance(source, Path) else _from_memory(name, source):
            total, count = total + len(content), count + 1
            if total > LARGEST:
                raise BadInput(f"{name} and the others hold more than {LARGEST >> 20} MiB: these are not just keys")
            yield entry.path, (entry, content)
    if not count:
        raise BadInput(f"nothing to back up in {', '.join(sources)}")


def _from_disk(name: str, source: Path) -> Iterator[tuple[Entry, bytes]]:
    for path, relative in _walk(source):
        yield _read(path, str(PurePosixPath(name, *relative)))


def _from_memory(name: str, files: Files) -> Iterator[tuple[Entry, bytes]]:
    for path, (mode, content) in sorted(files.items()):
        whole = PurePosixPath(name, path)
        if ".." in whole.parts or path.startswith("/"):
            raise BadInput(f"{path!r} is no path for a part of a backup")
        yield Entry(str(whole), mode, len(content), hashlib.sha256(content).hexdigest()), content


def _walk(source: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Files and links below `source` (which may be one itself, or a link to one), in a fixed order."""
    if not source.exists():
        raise BadInput(f"{source} does not exist, so it cannot be backed up")
    if not source.is_dir():
        yield source.resolve(), ()
        return

    def fail(error: OSError) -> None:
        raise BadInput(f"{error.filename}: {error.strerror}")

    for top, folders, names in os.walk(source, onerror=fail):
        folders.sort()
        links = [each for each in folders if (Path(top) / each).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(top) / name
            yield path, path.relative_to(source).parts


def _read(path: Path, name: str) -> tuple[Entry, bytes]:
    try:
        if path.is_symlink():
            link = str(path.readlink())
            if not _inside(name, link):
                raise BadInput(f"{path} is a link to {link}, outside of what is backed up")
            return Entry(name, 0o777, 0, "", link), b""
        # Not blocking: a pipe would wait for a writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadInput(f"{path} is neither a file nor a directory nor a link")
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    mode = stat.S_IMODE(status.st_mode)
    return Entry(name, mode, len(content), hashlib.sha256(content).hexdigest()), content


def _inside(name: str, link: str) -> bool:
    """Whether a link in the backup stays below the part of the backup that it is in."""
    depth = len(PurePosixPath(name).parts) - 2  # below the part's own name
    for part in PurePosixPath(link).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return not link.startswith("/")


def _tar(manifest: bytes, files: Mapping[str, tuple[Entry, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(_member(MANIFEST, 0o600, len(manifest)), io.BytesIO(manifest))
        for path, (entry, content) in files.items():
            member = _member(path, entry.mode, entry.size)
            if entry.link:
                member.type, member.linkname = tarfile.SYMTYPE, entry.link
            archive.addfile(member, None if entry.link else io.BytesIO(content))
    return buffer.getvalue()


def _member(name: str, mode: int, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode, member.size = mode, size
    return member


def _open(archive: Path, opener: Opener) -> tuple[datetime, dict[str, tuple[Entry, bytes]], str]:
    """The backup's content, once every file is what the manifest says."""
    try:
        locked = archive.read_bytes()
    except OSError as error:
        raise BadInput(f"{archive}: {error.strerror}") from None
    plain = opener.open(locked, str(archive))
    members: dict[str, bytes | str] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isreg() else None
                members[member.name] = stream.read() if stream else member.linkname
        data = json.loads(members.pop(MANIFEST))
        made, listed = datetime.fromisoformat(data["made"]), [Entry(**each) for each in data["files"]]
    except (tarfile.TarError, ValueError, KeyError, TypeError):
        listed = None
    if listed is None or data.get("format") != FORMAT:
        raise NotVerified(f"{archive} was opened, and is not a backup of pyrunbook in format {FORMAT}")
    wrong = sorted({each.path for each in listed} ^ set(members))
    files: dict[str, tuple[Entry, bytes]] = {}
    for entry in listed:
        content = members.get(entry.path)
        if not _matches(entry, content):
            wrong.append(entry.path)
        files[entry.path] = (entry, content if isinstance(content, bytes) else b"")
    if wrong:
        raise NotVerified(
            f"{archive} does not hold what its manifest says: {', '.join(wrong[:5])}",
            means="it was damaged or changed; nothing was taken from it",
        )
    return made, files, hashlib.sha256(locked).hexdigest()


def _matches(entry: Entry, content: bytes | str | None) -> bool:
    """Whether a member is what the manifest says, at a place where a restore may put it."""
    parts = PurePosixPath(entry.path).parts
    if not parts or entry.path.startswith("/") or ".." in parts:
        return False
    if entry.link:
        return content == entry.link and _inside(entry.path, entry.link)
    return isinstance(content, bytes) and hashlib.sha256(content).hexdigest() == entry.sha256
