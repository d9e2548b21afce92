"""Action plugin: check a color or the service; passes only when every check and every hook passed."""

from __future__ import annotations

from typing import Any

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout import verification


class ActionModule(StepAction):
    """The step `validate`. The result has `url` when the checks were performed: `rollback` asks what was verified."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Perform them over new connections."""
        work = verification.read(inputs["validate_checks"], inputs["validate_hooks"])
        if self.check_mode:
            count = len(inputs["validate_checks"])
            return {"changed": False, "detail": f"{count} checks and {len(work) - count} hooks, not performed"}
        return verified(self, inputs["validate_url"], work, inputs["validate_release"])


def verified(action: StepAction, url: str, work: verification.Work, release: str) -> dict[str, Any]:
    """Perform checks for a step.

    Args:
        url: base URL of what is checked.
        work: the checks and hooks.
        release: the release that should answer.

    Raises:
        FailedAndPutBack: what did not pass; or, where the traffic of the service has been sent elsewhere, that.
    """
    platform = action.platform
    environment = {
        "PYRUNBOOK_URL": url,
        "PYRUNBOOK_RUN_ID": action.run_id,
        "PYRUNBOOK_SERVICE": platform.run.service,
        "PYRUNBOOK_RELEASE": release,
    }
    try:
        done = verification.verify(work, url, environment, action.secrets)
    except FailedAndPutBack as failure:
        if url == str(platform.service.url) and (elsewhere := platform.diverted()):
            raise FailedAndPutBack(elsewhere, evidence=failure.evidence) from failure
        raise
    return {"changed": False, "url": url, **done}
