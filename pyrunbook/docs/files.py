"""Pages as files: each is written at once, and only when it has changed; and the check that none is out of date."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyrunbook import places
from pyrunbook.errors import BadInput
from pyrunbook.on_target import durable

MARK = "`pyrunbook docs build`"
"""Stands in the first line of every page that we wrote; no other file is ever removed."""


_COMPARED = re.compile(
    r"^<!-- [^`>]* `(?P<tasks>roles/\S+/tasks)` (?P<sum>[0-9a-f]{12})\. -->\n(?P<rest>.*?)(?=^<a id=|^## |\Z)",
    re.MULTILINE | re.DOTALL,
)
"""What a page says to do by hand instead of a role's tasks, and the checksum of those tasks."""


@dataclass(frozen=True)
class Drift:
    """A page that is out of date.

    Attributes:
        file: of the page.
        line: the first line that differs, counting from 1.
        kind: `changed`, `missing`, or `stale`: its runbook is gone.
        review: roles whose tasks have changed while the page's commands by hand have not.
        diff: unified, with a newline at the end; empty where the page or its runbook is gone.
    """

    file: Path
    line: int
    kind: str
    diff: str
    review: tuple[str, ...] = ()


def write(
    output: Path, pages: Mapping[str, str], *, whole: bool, partial: Collection[str] = ()
) -> tuple[list[Path], list[Path]]:
    """Write the pages that have changed.

    Args:
        pages: path below it to text.
        whole: whether these are all pages of the project; then pages whose runbook is gone are removed.
        partial: pages that lack much because a file could not be read; an older page is kept instead of them.

    Returns:
        the files that were written, and those that were removed.

    Raises:
        BadInput: a file cannot be written, or would be outside the directory.
    """
    written, removed = [], []
    try:
        for name, text in pages.items():
            file = output / name
            if not file.parent.resolve().is_relative_to(output.resolve()):
                raise BadInput(f"{file.parent} leads out of {output}", next_step="choose another --output")
            there = _read(file)
            if there != text and (there is None or name not in partial):
                _replace(file, text)
                written.append(file)
        for file in _stale(output, pages) if whole else []:
            file.unlink()
            removed.append(file)
    except OSError as error:
        raise BadInput(f"{error.filename or output}: {error.strerror}", next_step="choose another --output") from error
    return written, removed


def drift(output: Path, pages: Mapping[str, str], *, whole: bool, partial: Collection[str] = ()) -> list[Drift]:
    """Compare the pages with the files, without writing; arguments as of `write`."""
    found = []
    for name, text in pages.items():
        file = output / name
        there = _read(file)
        if there != text and (there is None or name not in partial):
            found.append(_compare(file, there, text))
    if whole:
        found += [_compare(file, _read(file), None) for file in _stale(output, pages)]
    return found


def _compare(file: Path, there: str | None, made: str | None) -> Drift:
    before = there.splitlines(keepends=True) if there is not None else []
    after = made.splitlines(keepends=True) if made is not None else []
    shown = places.from_here(file)
    both = there is not None and made is not None
    lines = list(difflib.unified_diff(before, after, shown, f"{shown} (made now)", n=2)) if both else []
    first = next((i for i, (a, b) in enumerate(zip(before, after, strict=False), 1) if a != b), None)
    kind = "missing" if there is None else "stale" if made is None else "changed"
    line = first or (min(len(before), len(after)) + 1 if kind == "changed" else 1)
    diff = "".join(text if text.endswith("\n") else f"{text}\n\\ No newline at end of file\n" for text in lines)
    return Drift(file, line, kind, diff, _to_review(there, made) if there is not None and made is not None else ())


def _to_review(there: str, made: str) -> tuple[str, ...]:
    before = {found["tasks"]: found for found in _COMPARED.finditer(there)}
    now = {found["tasks"]: found for found in _COMPARED.finditer(made)}
    both = ((tasks, before[tasks], now[tasks]) for tasks in now if tasks in before)
    return tuple(tasks for tasks, old, new in both if old["sum"] != new["sum"] and old["rest"] == new["rest"])


def _stale(output: Path, pages: Mapping[str, str]) -> list[Path]:
    made = {(output / name).resolve() for name in pages}
    found = []
    for file in sorted(output.rglob("*.md")) if output.is_dir() else []:
        if file.resolve() not in made and MARK in (_read(file) or "").partition("\n")[0]:
            found.append(file)
    return found


def _read(file: Path) -> str | None:
    try:
        return file.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from error


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o666 & ~_umask()
    durable.write(str(file), text.encode("utf-8"), mode)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
