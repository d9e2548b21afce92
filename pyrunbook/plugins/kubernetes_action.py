"""The base of the action plugins for platform kubernetes: which service, and the connection to its namespace."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from pyrunbook.plugins.step_action import StepAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target
    from pyrunbook.kubernetes.waiting import Heartbeat

SERVICE: dict[str, Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "kubeconfig": {"type": "str", "default": ""},
        "context": {"type": "str", "default": ""},
        "namespace": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "preview_name": {"type": "str", "default": ""},
        "color_label": {"type": "str", "default": "version"},
        "colors": {"type": "dict", "required": True},
        "patience": {"type": "float", "default": 20.0},
    },
}
"""The argument `service` of every such plugin; the roles pass `service_cluster`."""


class KubernetesAction(StepAction):
    """An operation on a service in a cluster. Subclasses implement `operate` and add to `ARGUMENTS`.

    What an operation needs is imported when it acts; the client library has been imported, and its client built,
    before the fork (`pyrunbook.kubernetes.client.prepare`).
    """

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.ARGUMENTS = {"service": SERVICE, **cls.ARGUMENTS}

    @abstractmethod
    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do it; see `StepAction.act`."""

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Connect and operate."""
        from pyrunbook.kubernetes.client import connect
        from pyrunbook.kubernetes.target import Target

        # Ansible's values carry tags, which JSON encoders of other libraries do not know.
        arguments = json.loads(json.dumps(arguments))
        service = arguments["service"]
        target = Target.of(service["name"], service["color_label"], service["colors"], service["preview_name"])
        cluster = connect(
            service["kubeconfig"] or None,
            service["context"] or None,
            service["namespace"],
            patience=service["patience"],
        )
        return self.operate(cluster, target, arguments)

    def heartbeat(self, cluster: Cluster, target: Target) -> Heartbeat:
        """What a wait calls: it renews the lock that this run holds."""
        from pyrunbook.kubernetes import lease
        from pyrunbook.kubernetes.waiting import no_heartbeat

        return no_heartbeat if self.check_mode else lease.keeper(cluster, target.service, self.run_id)
