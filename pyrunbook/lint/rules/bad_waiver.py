"""A waiver without a reason, of a rule that does not exist, or of nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.subject import Subject


def check(_subject: Subject, context: Context) -> Iterator[Finding]:
    """What the linter noticed while it applied the waivers; asked after all other rules."""
    for place in context.bad_waivers:
        yield Finding(place.at, place.word)


RULE = Rule("bad-waiver", "warning", "A waiver has no reason, or waives nothing.", check)
