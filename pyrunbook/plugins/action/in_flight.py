"""Action plugin: wait until a color has no request in flight."""

from __future__ import annotations

import time
from typing import Any

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout import in_flight


class ActionModule(StepAction):
    """Reads a gauge of the color's metrics until it is 0.

    A color whose gauge cannot be read is given the delay and no more; its own graceful stop must do the rest.
    """

    ARGUMENTS = {
        "url": {"type": "str", "required": True},
        "metric": {"type": "str", "required": True},
        "seconds": {"type": "float", "required": True},
        "delay": {"type": "float", "default": 0},
    }
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Give the proxies `delay` seconds to have stopped sending, then poll the gauge."""
        if self.check_mode:
            return {"changed": False, "detail": f"would wait {arguments['delay']:g} s and for 0 requests in flight"}
        time.sleep(arguments["delay"])
        seen = in_flight.wait(arguments["url"], arguments["metric"], arguments["seconds"])
        if seen.last:
            raise FailedAndPutBack(
                f"{seen.last:g} requests are still in flight after {arguments['seconds']:g} s "
                f"({arguments['metric']} at {arguments['url']})",
                next_step="raise drain_timeout when requests may take that long, and run again",
            )
        known = "no answer, nothing in flight" if seen.gone else "0 requests in flight"
        detail = "requests in flight: not known" if seen.last is None else known
        return {"changed": False, "detail": detail, "evidence": {"in_flight": seen.last, "waited_s": seen.seconds}}
