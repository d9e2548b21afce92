"""Prepares a page for a CommonMark parser, line for line, so that all line numbers stay as they are.

Two habits of runbooks are no CommonMark: YAML front matter, and blocks of Markdown that hold fenced blocks of their own
behind fences of the same length. There the first inner fence that closes would end the outer block, and from then on
each fence of the page would be taken for its opposite.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_FENCE = re.compile(r"(?P<before>[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)(?P<marks>`{3,}|~{3,})(?P<info>.*)")
_MARKDOWN = ("markdown", "md")


def prepared(lines: list[str]) -> list[str]:
    """The lines with front matter blanked and the fences around nested ones made longer."""
    front = front_matter_length(lines)
    return _with_longer_fences([""] * front + lines[front:])


def front_matter_length(lines: Sequence[str]) -> int:
    """How many lines the front matter has, with those that open and close it; 0 where there is none."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    return next((number for number, line in enumerate(lines[1:], 2) if line.rstrip() in ("---", "...")), 0)


def _with_longer_fences(lines: list[str]) -> list[str]:
    result = list(lines)
    number = 0
    while number < len(lines):
        opening = _opening(lines[number])
        if opening is None:
            number += 1
            continue
        if opening["info"].strip().lower() in _MARKDOWN:
            end, nested = _end_of_nested(lines, number, opening["marks"])
            if nested and end is not None:
                for at in (number, end):
                    marks = re.sub(r"[`~]{3,}", lambda found: found[0] + found[0][0] * 3, result[at], count=1)
                    result[at] = marks
        else:
            end = _end(lines, number, opening["marks"])
        number = len(lines) if end is None else end + 1
    return result


def _opening(line: str) -> re.Match[str] | None:
    found = _FENCE.fullmatch(line)
    if found is None or (found["marks"][0] == "`" and "`" in found["info"]):
        return None
    return found


def _closes(line: str, marks: str) -> bool:
    """Whether a line is a closing fence for an opening one."""
    bare = line.strip()
    return len(bare) >= len(marks) and set(bare) == {marks[0]}


def _end(lines: list[str], start: int, marks: str) -> int | None:
    return next((number for number in range(start + 1, len(lines)) if _closes(lines[number], marks)), None)


def _end_of_nested(lines: list[str], start: int, marks: str) -> tuple[int | None, bool]:
    """The line that closes a block of Markdown, and whether there are fenced blocks in it.

    Inside, a fence with a language opens a block, and one without closes the block that was opened last.
    """
    inner = ""
    nested = False
    for number in range(start + 1, len(lines)):
        opening = _opening(lines[number])
        if inner:
            if _closes(lines[number], inner):
                inner = ""
        elif _closes(lines[number], marks):
            return number, nested
        elif opening is not None:
            inner, nested = opening["marks"], True
    return None, nested
