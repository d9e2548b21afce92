"""Action plugin: run a release in the color that does not serve, and wait until it is ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyrunbook.platforms import Release
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The step `deploy_green`; its result's `deployed` says what runs now."""

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Deploy it."""
        manifests = inputs["deploy_green_manifests"]
        release = Release(
            name=inputs["deploy_green_release"],
            manifests=manifests if isinstance(manifests, list) else [manifests],
            force_conflicts=inputs["deploy_green_force_conflicts"],
            ready=self.ready_check,
            timeout=inputs["deploy_green_timeout"],
            stable_seconds=inputs["deploy_green_stable_seconds"],
            consecutive=inputs["deploy_green_consecutive"],
        )
        return self.platform.deploy(inputs["deploy_green_color"], release)
