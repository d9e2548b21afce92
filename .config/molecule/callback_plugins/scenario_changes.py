"""Makes each play of a scenario what a process of its own would be, and remembers which of its tasks report a change.

One process plays the whole scenario, because its start costs more than most roles. So a play begins here without the
facts and registered results of the play before it, and its `ansible_check_mode` is its own.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

CHANGED = "SCENARIO_CHANGED"
"""JSON: titles of the tasks of this play that have reported a change. The workers inherit it."""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible carries no types
    """See the module."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "scenario_changes"

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Forget what the play before it has left."""
        os.environ[CHANGED] = "[]"
        variables = play.get_variable_manager()
        variables._vars_cache.clear()
        variables._nonpersistent_fact_cache.clear()
        variables._options_vars["ansible_check_mode"] = bool(play.check_mode)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Remember the title of a task that reports a change."""
        if result._result.get("changed"):
            os.environ[CHANGED] = json.dumps([*json.loads(os.environ[CHANGED]), result._task.get_name()])
