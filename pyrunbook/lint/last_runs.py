"""When each runbook was run last, as the journal knows it."""

from __future__ import annotations

from datetime import date

from pyrunbook.errors import BadInput
from pyrunbook.journal import Journal, Outcome


def last_tested() -> dict[str, date]:
    """Runbook to the day (UTC) of its last run that was no dry run and succeeded.

    Raises:
        BadInput: there is no journal: then nobody knows, and "never" would be a guess.
    """
    if not Journal.exists():
        raise BadInput("there is no journal yet, so nobody knows what was tested", next_step="leave --journal out")
    found: dict[str, date] = {}
    with Journal.open() as journal:
        for run in journal.history(limit=None, outcome=Outcome.SUCCEEDED):  # the newest first
            if not run.check_mode and run.ended is not None:
                found.setdefault(run.runbook, run.ended.date())
    return found
