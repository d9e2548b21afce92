"""Which lines of a page have found their place; the others are left over, so that nothing is dropped silently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pyrunbook.markdown.page import Page

_RULE = re.compile(r"\s*([-*_])(\s*\1){2,}\s*")
"""A line across the page, which says nothing."""


@dataclass(frozen=True)
class Leftover:
    """Lines of the page that found no place; `first` and `last` count from 1."""

    first: int
    last: int
    heading: str
    text: str


class Placed:
    """Keeps book of the lines."""

    def __init__(self) -> None:
        self._lines: set[int] = set()

    def take(self, first: int, last: int | None = None) -> None:
        """A line has found its place, or all from the first to the last one."""
        self._lines.update(range(first, (last or first) + 1))

    def __contains__(self, line: int) -> bool:
        return line in self._lines

    def leftovers(self, page: Page) -> Iterator[Leftover]:
        """What is left of a page, each piece as long as nothing that was placed stands between."""
        first = last = 0
        for number, text in enumerate(page.lines, 1):
            if number in self._lines:
                if first:
                    yield _leftover(page, first, last)
                first = 0
            elif text.strip() and not _RULE.fullmatch(text):
                first, last = first or number, number
        if first:
            yield _leftover(page, first, last)


def _leftover(page: Page, first: int, last: int) -> Leftover:
    heading = ""
    for each in (page, *page.embedded()):
        for section in each.walk():
            if section.line <= first <= section.end and section.title:
                heading = section.title
    return Leftover(first, last, heading, "\n".join(page.lines[first - 1 : last]))
