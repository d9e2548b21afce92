"""A blank that somebody meant to fill in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import shorten

from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.project.problem import Spot

_MARK = re.compile(
    r"(?<![\w/.#-])(TODO|FIXME|TBD)(?![\w/-])(?!\s+(?i:check-?lists?|lists?|items?|apps?|boards?|comments?|entr(y|ies))\b)"
)
"""A TODO list is a thing, and nothing to be done here."""


@rule("warning", "Something is still to be filled in.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """In a runbook's files also in comments; on a page only in its words."""
    if subject.kind == "page":
        for text in subject.texts:
            for at, words in text.lines:
                yield from _found(at, words)
        return
    for file in subject.files:
        for number, line in enumerate(context.project.lines(file), 1):
            yield from _found(Spot(file, number, 1), line)


def _found(at: Spot, words: str) -> Iterator[Finding]:
    for found in _MARK.finditer(words):
        rest = " ".join(words[found.end() :].strip(" :\"'}").split())
        what = f": {shorten(rest, 80, placeholder=' …')}" if rest else ""
        yield Finding(at._replace(column=at.column + found.start()), f"{found[0]} is still to be done{what}")
