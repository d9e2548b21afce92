"""One error tree. Each class carries its exit code; each error says what was seen and the next step.

The exit codes of the command line are decided here and nowhere else (see `ExitCode`).
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Exit codes of `pyrunbook`; part of its interface."""

    SUCCEEDED = 0
    BUG = 1
    BAD_INPUT = 2
    REFUSED = 3
    PUT_BACK = 4
    NOT_PUT_BACK = 5
    DRIFT = 7
    FINDINGS = 8
    INTERRUPTED = 130


def without_errno(text: str) -> str:
    """Python's `[Errno 13] Permission denied: '/srv/x'` as the operator reads it: `/srv/x: Permission denied`."""
    text = re.sub(r"\[Errno -?\d+\] ([^:'\n]+): '([^'\n]+)'(?: -> '[^'\n]+')?", r"\2: \1", text)
    return re.sub(r"\[Errno -?\d+\] ", "", text)


class PyrunbookError(Exception):
    """An error that is shown to the operator without a traceback.

    Args:
        seen: what was observed, as one sentence; names file, line or object where there is one.
        means: what it means for the operator; may be empty where `seen` says it all.
        next_step: the next command to type or the thing to change; may be empty.
        evidence: what was measured, a JSON object for the journal; no secrets.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(
        self, seen: str, *, means: str = "", next_step: str = "", evidence: dict[str, Any] | None = None
    ) -> None:
        seen = without_errno(seen)
        super().__init__(seen)
        self.seen = seen
        self.means = means
        self.next_step = next_step
        self.evidence = evidence or {}

    def __str__(self) -> str:
        """The whole message: what was seen, what it means and what to do, a line each."""
        lines = [self.seen, self.means, f"Next: {self.next_step}" if self.next_step else ""]
        return "\n".join(line for line in lines if line)


class BadInput(PyrunbookError):
    """The command line, a file, the inventory or an input is wrong; nothing was changed."""

    exit_code = ExitCode.BAD_INPUT


class Refused(PyrunbookError):
    """A guard said no (window closed, lock held, prerequisite missing); nothing was changed."""

    exit_code = ExitCode.REFUSED


class FailedAndPutBack(PyrunbookError):
    """The run failed; what was there before is in place again."""

    exit_code = ExitCode.PUT_BACK


class FailedAndNotPutBack(PyrunbookError):
    """The run failed and what was there before is not in place; an operator must act."""

    exit_code = ExitCode.NOT_PUT_BACK
