"""How runs, services and steps end."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pyrunbook.errors import ExitCode


class Outcome(StrEnum):
    """How a run, or one service of it, ended."""

    SUCCEEDED = "succeeded"
    NOT_CLEANED_UP = "not_cleaned_up"
    """What the run was for is done, verified and serves; what was to be taken away afterwards is still there."""
    REFUSED = "refused"
    FAILED = "failed"
    """A step failed before anything was changed; there was nothing to put back."""
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    LEFT_CHANGED = "left_changed"
    """A plain playbook failed or died after a change, and has no way back: what it changed is still there."""
    CANCELED = "canceled"
    """Ended by the operator or the system; what was there before is in place."""
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    CONTAINED = "contained"
    """An incident: the service was seen in secure mode, and something else was found bad."""
    NOT_CONTAINED = "not_contained"
    """An incident: the service was not seen in secure mode; an operator must act."""

    @property
    def exit_code(self) -> ExitCode:
        """What `pyrunbook` exits with after such an outcome.

        `unreachable` and `timed_out` say why the run ended, once what was there before is in place. A run that could
        not be put back is `rollback_failed`, whatever the reason.
        """
        return _EXIT_CODES[self]


_EXIT_CODES = {  # the mildest outcome first
    Outcome.SUCCEEDED: ExitCode.SUCCEEDED,
    Outcome.REFUSED: ExitCode.REFUSED,
    Outcome.FAILED: ExitCode.PUT_BACK,
    Outcome.CANCELED: ExitCode.INTERRUPTED,
    Outcome.NOT_CLEANED_UP: ExitCode.FINDINGS,
    Outcome.CONTAINED: ExitCode.FINDINGS,
    Outcome.UNREACHABLE: ExitCode.PUT_BACK,
    Outcome.TIMED_OUT: ExitCode.PUT_BACK,
    Outcome.ROLLED_BACK: ExitCode.PUT_BACK,
    Outcome.NOT_CONTAINED: ExitCode.NOT_PUT_BACK,
    Outcome.LEFT_CHANGED: ExitCode.NOT_PUT_BACK,
    Outcome.ROLLBACK_FAILED: ExitCode.NOT_PUT_BACK,
}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of a run from those of its services, of which there is at least one."""
    return max(outcomes, key=list(_EXIT_CODES).index)


def next_step(outcome: Outcome, run_id: str) -> str:
    """What to type after a run that needs an operator; empty where it needs none."""
    if outcome is Outcome.ROLLBACK_FAILED:
        return f"pyrunbook recover {run_id} --rollback"
    return f"pyrunbook recover {run_id}" if outcome is Outcome.NOT_CLEANED_UP else ""


class StepOutcome(StrEnum):
    """How a step ended. A step without an outcome was begun and never ended: its process died."""

    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
