"""Writes new files, all of them or none, and never over anything that is there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyrunbook.errors import BadInput
from pyrunbook.scaffold.draft import BLANK

_FEW = 5
"""So many files are named that are there already."""


@dataclass(frozen=True)
class OpenBlank:
    """Something that an author has to fill in; `line` counts from 1."""

    file: Path
    line: int
    text: str


def write_new(root: Path, files: Mapping[str, str], *, elsewhere: str) -> list[Path]:
    """Write files that are not there yet.

    Args:
        root: the directory that the names start at.
        files: name to text.
        elsewhere: what to type to write them into another directory.

    Returns:
        what was written, in order.

    Raises:
        BadInput: some of them are there already, or one cannot be written; then none is left behind.
    """
    refuse_existing(root, files)
    written: list[Path] = []
    made: list[Path] = []
    try:
        for name, text in files.items():
            path = root / name
            for directory in reversed([parent for parent in path.parents if not parent.exists()]):
                directory.mkdir()
                made.append(directory)
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                written.append(path)
                stream.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        for directory in reversed(made):
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise BadInput(
            f"{error.filename or root}: {error.strerror}",
            means="Nothing was written.",
            next_step=elsewhere,
        ) from error
    return written


def refuse_existing(root: Path, names: Iterable[str]) -> None:
    """Refuse to write what is there already; `root` and `names` as of `write_new`.

    Raises:
        BadInput: some of it is; names the first few.
    """
    there = [name for name in names if (root / name).exists() or (root / name).is_symlink()]
    if there:
        listed = "\n".join(f"  {root / name}" for name in there[:_FEW])
        more = f"\n  and {len(there) - _FEW} more" if len(there) > _FEW else ""
        raise BadInput(
            f"there already:\n{listed}{more}",
            means="Nothing was written.",
            next_step="choose another name, or move them away",
        )


def blanks(files: Mapping[str, str], root: Path = Path()) -> Iterator[OpenBlank]:
    """The blanks in files, in their order."""
    for name, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(rf"\b{BLANK}\b", line):
                yield OpenBlank(root / name, number, line.strip().lstrip("#- ").strip())
