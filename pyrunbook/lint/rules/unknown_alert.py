"""An alert that a runbook is for and that no rule raises."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from pyrunbook.lint.rule import Context, Finding, Subject, rule


@rule("error", "A runbook names an alert that no rule raises.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Asked only where alert rules are known."""
    if context.alerts is None:
        return
    for mention in subject.mentions:
        if mention.kind == "alert" and mention.name not in context.alerts:
            close = get_close_matches(mention.name, context.alerts, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield Finding(mention.at, f"no rule raises the alert {mention.name}{hint}")
