"""Action plugin: go on only while the journal is written."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The first task on platform `host` of a step that changes something by modules, which run far from the journal.

    `StepAction` itself fails it when the callback could not write: what is not on record does not happen. Platform
    `kubernetes` needs no such task, because each of its actions is a `StepAction`.
    """

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Nothing more to do."""
        return {"changed": False}
