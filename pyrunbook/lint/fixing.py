"""Corrects what is certain: each edit stays within a line and keeps the meaning of the text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pyrunbook.errors import BadInput
from pyrunbook.lint.linting import Reported
from pyrunbook.on_target import durable


def fix(findings: Iterable[Reported]) -> list[Reported]:
    """Write the corrections, each file atomically; returns the findings that are corrected.

    Raises:
        BadInput: a file cannot be written.
    """
    by_file: defaultdict[Path, list[Reported]] = defaultdict(list)
    for each in findings:
        if each.edit is not None:
            by_file[each.at.file].append(each)
    done: list[Reported] = []
    for file, wanted in by_file.items():
        try:
            done += _fix_file(file.resolve(), wanted)
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{file} cannot be corrected: {error}") from None
    return done


def _fix_file(file: Path, wanted: list[Reported]) -> list[Reported]:
    text = file.read_bytes().decode("utf-8")
    lines = text.split("\n")
    ending = "\r\n" if lines[0].endswith("\r") else "\n"
    done = []
    for each in sorted(wanted, key=lambda found: found.at, reverse=True):  # from behind: earlier columns stay right
        edit = each.edit
        if edit is None or edit.at.line > len(lines):
            continue
        line, begin = lines[edit.at.line - 1], edit.at.column - 1
        if line[begin : begin + len(edit.removed)] != edit.removed:
            continue  # the file has changed since it was read: leave it alone
        inserted = edit.inserted.replace("\n", ending)
        lines[edit.at.line - 1] = line[:begin] + inserted + line[begin + len(edit.removed) :]
        done.append(each)
    corrected = "\n".join(lines)
    if corrected != text:
        durable.write(str(file), corrected.encode("utf-8"), file.stat().st_mode & 0o7777)
    return sorted(done)
