"""The base of our action plugins: typed arguments in, an operator's words out."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase

from pyrunbook.errors import BadInput, PyrunbookError

ENV_RUN_ID = "PYRUNBOOK_RUN_ID"
"""Id of the run that the play belongs to; set by the CLI or by the journal callback."""
ENV_JOURNAL_BROKEN = "PYRUNBOOK_JOURNAL_BROKEN"
"""Why the journal cannot be written; set by the journal callback. Steps refuse to change anything then."""


class StepAction(ActionBase):
    """An operation of the domain as a task.

    Subclasses declare `ARGUMENTS` and implement `act`. What `act` returns is the task's result; `detail` in it is
    shown to the operator and `evidence` goes to the journal.
    """

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {}
    """Ansible argument spec of the task."""
    CHANGES: ClassVar[bool] = True
    """Whether the action can change the service. Such an action fails while the journal cannot be written,
    so that nothing happens that is not recorded; those that restore set this to `False`."""
    TRANSFERS_FILES = False

    @abstractmethod
    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do it.

        Args:
            arguments: the task's arguments, typed and defaulted by `ARGUMENTS`.
            task_vars: the variables of the host.

        Raises:
            PyrunbookError: becomes the failure of the task.
        """

    @property
    def check_mode(self) -> bool:
        """Whether to report only what would change."""
        return bool(self._task.check_mode)

    @property
    def run_id(self) -> str:
        """The id of the run, `manual` when the play has none (a role under molecule)."""
        return os.environ.get(ENV_RUN_ID) or "manual"

    def inventory_checks(self, value: Any) -> tuple[list[dict[str, Any]], str]:
        """Checks of the inventory, for those of a rollback plan that refer to them; and why some cannot be read.

        A vault whose password is missing must not end a rollback, so these are no arguments of the task.
        """
        found, why = [], ""
        for each in value if isinstance(value, list) else [value]:
            try:
                told = self._templar.template(each)
            except Exception as error:
                why = str(error).splitlines()[0]
                continue
            found += told if isinstance(told, list) else [told] if told else []
        return found, why

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible, in a forked worker."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        broken = os.environ.get(ENV_JOURNAL_BROKEN)
        if broken and self.CHANGES and not self.check_mode:
            result.update(failed=True, msg=f"The journal cannot be written ({broken}), so nothing more is changed.")
            return result
        _, arguments = self.validate_argument_spec(argument_spec=self.ARGUMENTS)
        try:
            result.update(self.act(arguments, task_vars or {}))
        except PyrunbookError as error:
            bad_input = isinstance(error, BadInput)
            result.update(failed=True, msg=str(error), seen=error.seen, next_step=error.next_step, bad_input=bad_input)
            if error.evidence:
                result["evidence"] = error.evidence
        return result
