"""The record of all runs: an embedded SQLite file, or PostgreSQL where a team shares it.

Importing this package costs nothing; the database library is loaded when `Journal` is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.journal.errors import BadJournalUrl, JournalError
from pyrunbook.journal.outcome import Outcome, StepOutcome, next_step, worst
from pyrunbook.journal.records import Attestation, Evidence, Run, RunStart, ServiceRun, StepRun, new_run_id

if TYPE_CHECKING:
    from pyrunbook.journal.store import Journal

__all__ = [
    "Attestation",
    "BadJournalUrl",
    "Evidence",
    "Journal",
    "JournalError",
    "Outcome",
    "Run",
    "RunStart",
    "ServiceRun",
    "StepOutcome",
    "StepRun",
    "new_run_id",
    "next_step",
    "worst",
]


def __getattr__(name: str) -> Any:
    """Load `Journal` on first use."""
    if name == "Journal":
        from pyrunbook.journal.store import Journal

        return Journal
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
