"""The checks and hooks of a service, performed for a step."""

from __future__ import annotations

from typing import Any

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout import verification


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
