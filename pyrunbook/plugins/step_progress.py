"""A step while it is done: what its tasks have found, in the words of the journal."""

from __future__ import annotations

import time
from typing import Any

from pyrunbook.errors import without_errno


class StepProgress:
    """The step that a service is in, and what its tasks have found so far."""

    def __init__(self, step_id: str, title: str, include: Any) -> None:
        self.id = step_id
        self.title = title
        self.include = include
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


def message(data: dict[str, Any]) -> str:
    """What failed, in the words of the task."""
    if data.get("_ansible_no_log"):
        return "failed; the output is hidden (no_log)"
    failed = [message(item) for item in data.get("results") or [] if isinstance(item, dict) and item.get("failed")]
    text = str(data.get("msg") or data.get("stderr") or data.get("stdout") or "failed without a message")
    if failed:  # of a loop, Ansible itself only says that one of its items failed
        text = "\n".join(dict.fromkeys(failed))
    return without_errno(text).strip().replace("Validation of arguments failed:\n", "Validation of arguments failed: ")
