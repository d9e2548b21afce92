"""A window in which the runbook can never run."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.errors import BadInput
from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.windows.decision import require_fit


@rule("error", "A runbook can never run in its window.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """The runbook's own window and those of the inventory's services, with exclusions, cutoff, estimate and reserve."""
    for window in subject.windows:
        try:
            require_fit(window.schedule(), context.now)
        except BadInput as error:
            service = f"for {window.service}: " if window.service else ""
            yield Finding(window.at, f"{service}{error.seen.replace(': closed: ', ': ')} ({subject.name})")
