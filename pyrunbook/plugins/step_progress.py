"""A step while it is done: what its tasks have found, in the words of the journal."""

from __future__ import annotations

import time
from typing import Any

from pyrunbook.errors import without_errno
from pyrunbook.plugins.selection import Entered

_LAST = 10
"""Lines of what a failed command printed."""


class StepProgress:
    """The step that a service is in, and what its tasks have found so far."""

    def __init__(self, entered: Entered, title: str) -> None:
        self.entered = entered
        self.id = entered.id
        self.title = title
        self.details: list[str] = []
        self.error: str | None = None
        self.bad_input = False
        self.outcome = "skipped"
        self.began = time.monotonic()

    @property
    def detail(self) -> str:
        """What the tasks saw, as one line."""
        return " · ".join(self.details)

    def note(self, outcome: str, detail: str = "", error: str | None = None) -> None:
        """Add a task's result: the worst outcome stays, the details add up."""
        order = ("skipped", "ok", "changed", "failed", "unreachable")
        self.outcome = max(self.outcome, outcome, key=order.index)
        if detail and detail not in self.details:
            self.details.append(detail)
        self.error = error or self.error


def first_line(text: object) -> str:
    """The first line of a text; empty of what is none."""
    return next(iter(text.strip().splitlines()), "") if isinstance(text, str) else ""


def message(data: dict[str, Any]) -> str:
    """What failed, in the words of the task."""
    if data.get("_ansible_no_log"):
        return "failed; the output is hidden (no_log)"
    failed = [message(item) for item in data.get("results") or [] if isinstance(item, dict) and item.get("failed")]
    text = str(data.get("msg") or data.get("stderr") or data.get("stdout") or "failed without a message")
    if text == "non-zero return code":  # of a command: what it printed says more
        printed = str(data.get("stderr") or data.get("stdout") or "").strip().splitlines()[-_LAST:]
        text = "\n".join([f"exit code {data.get('rc')}{f': {printed[-1]}' if printed else ''}", *printed[:-1]])
    if failed:  # of a loop, Ansible itself only says that one of its items failed
        text = "\n".join(dict.fromkeys(failed))
    return without_errno(text).strip().replace("Validation of arguments failed:\n", "Validation of arguments failed: ")
