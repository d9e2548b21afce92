"""Waivers: a finding that is right and stays, with the reason beside it.

    kubectl delete pods --all   # pyrunbook: allow destructive-command because the namespace is the drill's own
    <!-- pyrunbook: allow code-without-language because this is a picture -->

A waiver behind something holds for its line. One that stands alone holds for what follows: in YAML the next entry with
all that is below it, in Markdown the next block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyrunbook.lint.masks import without_code
from pyrunbook.lint.subject import Block
from pyrunbook.markdown.code import SHELLS
from pyrunbook.project.problem import Spot

_FORM = r"pyrunbook:\s*allow\s+(?P<rule>[\w-]+)(?:\s+because\s+(?P<reason>\S.*?))?\s*"
_HASH = re.compile(rf"(?:^|(?<=\s))#\s*{_FORM}$")
_HTML = re.compile(rf"<!--\s*{_FORM}-->")


@dataclass
class Waiver:
    """A waiver; `lines` are those that it holds for, `used` says whether it waived anything."""

    rule: str
    reason: str
    at: Spot
    lines: range
    used: bool = field(default=False, compare=False)


def in_yaml(file: Path, lines: Sequence[str]) -> Iterator[Waiver]:
    """The waivers of a YAML file, those in shell comments of its commands too."""
    for index, line in enumerate(lines):
        found = _HASH.search(line)
        if found:
            alone = not line[: found.start()].strip()
            covered = _entry_below(lines, index) if alone else range(index + 1, index + 2)
            yield _waiver(found, Spot(file, index + 1, found.start() + 1), covered)


def in_page(file: Path, lines: Sequence[str], blocks: Sequence[Block]) -> Iterator[Waiver]:
    """The waivers of a Markdown page: HTML comments in its text, shell comments in its commands."""
    inside: dict[int, Block] = {}
    for block in blocks:
        for number in range(block.at.line, block.at.line + block.text.count("\n") + 2):
            inside[number] = block
    for index, line in enumerate(lines):
        around = inside.get(index + 1)
        found = (
            _HTML.search(without_code(line))
            if around is None
            else _HASH.search(line)
            if around.language in SHELLS
            else None
        )
        if found is None:
            continue
        rest = line[: found.start()] + line[found.end() :]
        alone = not rest.strip(" \t>-*")
        if not alone:
            covered = range(index + 1, index + 2)
        elif around is None:
            covered = _block_below(lines, index, inside)
        else:
            covered = range(index + 1, index + 3)
        yield _waiver(found, Spot(file, index + 1, found.start() + 1), covered)


def _waiver(found: re.Match[str], at: Spot, lines: range) -> Waiver:
    return Waiver(found["rule"], found["reason"] or "", at, lines)


def _entry_below(lines: Sequence[str], index: int) -> range:
    """The next line that is no comment, and those below it that are indented further."""
    first = index + 1
    while first < len(lines) and (not lines[first].strip() or lines[first].lstrip().startswith("#")):
        first += 1
    if first >= len(lines):
        return range(index + 1, index + 2)
    depth = _depth(lines[first])
    last = first
    while last + 1 < len(lines) and (not lines[last + 1].strip() or _depth(lines[last + 1]) > depth):
        last += 1
    return range(index + 1, last + 2)


def _block_below(lines: Sequence[str], index: int, inside: dict[int, Block]) -> range:
    first = index + 1
    while first < len(lines) and (not lines[first].strip() or _HTML.fullmatch(lines[first].strip())):
        first += 1
    last = first
    if first + 1 in inside:
        while last + 1 < len(lines) and inside.get(last + 2) is inside[first + 1]:
            last += 1
    else:
        while last + 1 < len(lines) and lines[last + 1].strip():
            last += 1
    return range(index + 1, last + 2)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
