"""What was found in an incident, in one archive: who opens it later can see that nothing was changed since.

`SHA256SUMS` in it has the sum of every other file, as `sha256sum -c` reads it; the sum of the archive itself is
in `<archive>.sha256`, and in the journal.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pyrunbook.errors import BadInput
from pyrunbook.on_target import durable
from pyrunbook.places import private_directory

SUMS = "SHA256SUMS"
_UNREADABLE = (OSError, EOFError, tarfile.TarError, ValueError)


def write(archive: Path, files: Mapping[str, str]) -> str:
    """Write an archive, 0600 in a directory for its owner only.

    Args:
        archive: `….tar.gz`; replaced in one move.
        files: texts by their path in it; secrets have been taken out.

    Returns:
        SHA-256 of the archive, hex.

    Raises:
        BadInput: it cannot be written, or what is read back is not what was written.
    """
    contents = {path: text.encode() for path, text in sorted(files.items())}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in contents.items())
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in {**contents, SUMS: sums.encode()}.items():
            member = tarfile.TarInfo(str(PurePosixPath(archive.name.removesuffix(".tar.gz"), path)))
            member.mode, member.size = 0o600, len(content)
            tar.addfile(member, io.BytesIO(content))
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    try:
        private_directory(archive.parent)
        durable.write(str(archive), buffer.getvalue(), 0o600)
        durable.write(f"{archive}.sha256", f"{digest}  {archive.name}\n".encode(), 0o600)
    except OSError as error:
        raise BadInput(f"{error.filename or archive}: {error.strerror}", means="the evidence was not kept") from None
    if check(archive) != digest:
        raise BadInput(f"{archive} does not hold what was written", means="the disk or its file system is failing")
    return digest


def check(archive: Path) -> str:
    """See that every file in an archive has the sum that the archive names.

    Returns:
        SHA-256 of the archive, hex.

    Raises:
        BadInput: it cannot be read, or was changed.
    """
    try:
        packed = archive.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
            members = {member.name.partition("/")[2]: tar.extractfile(member) for member in tar}
            contents = {path: stream.read() for path, stream in members.items() if stream is not None}
        lines = contents.pop(SUMS).decode().splitlines()
        sums = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    except (*_UNREADABLE, KeyError) as error:
        raise BadInput(f"{archive} is no archive of evidence: {type(error).__name__}") from None
    wrong = sorted(
        path
        for path in sums.keys() | contents.keys()
        if path not in contents or hashlib.sha256(contents[path]).hexdigest() != sums.get(path)
    )
    if wrong:
        raise BadInput(f"{archive} was changed since it was written: {', '.join(wrong)}")
    return hashlib.sha256(packed).hexdigest()
