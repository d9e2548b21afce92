"""Action plugin: take, free or show the lock of a service on Kubernetes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pyrunbook.errors import BadInput, PyrunbookError
from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """The states of the lock that a task can ask for.

    `held` takes it, also from a run of `predecessors`, which have ended, or fails with who holds it since when; `free`
    frees it if this run has it; `broken` frees it if `holder` has it; `shown` reads it.
    """

    ARGUMENTS = {
        "state": {"type": "str", "required": True, "choices": ["held", "free", "shown", "broken"]},
        "holder": {"type": "str", "default": ""},
        "operator": {"type": "str", "default": ""},
        "predecessors": {"type": "list", "elements": "str", "default": []},
        "duration": {"type": "int", "default": 60},
    }
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Act on the Lease."""
        from pyrunbook.kubernetes import lease
        from pyrunbook.kubernetes.client import PATIENCE_TO_PUT_BACK

        if arguments["state"] == "free":
            cluster = cluster.at_least(PATIENCE_TO_PUT_BACK)
        before = lease.show(cluster, target.service)
        mine = before.holder == self.run_id
        if arguments["state"] == "shown":
            return {"changed": False, "lock": before.as_dict(), "detail": f"lock: {before}"}
        if arguments["state"] == "broken":
            if self.check_mode:
                return {"changed": bool(before.holder), "lock": before.as_dict(), "detail": f"lock: {before}"}
            changed = lease.break_lock(cluster, target.service, arguments["holder"])
            detail = f"the lock was broken: {before}" if changed else "the lock was free"
            return {"changed": changed, "detail": detail, "evidence": {"lock": before.as_dict()}}
        if arguments["state"] == "free":
            if not mine:
                return {"changed": False, "lock": before.as_dict(), "detail": f"lock not ours: {before}"}
            changed = self.check_mode or lease.release(cluster, target.service, self.run_id)
            return {"changed": changed, "detail": "lock freed"}
        try:
            lock, changed = lease.acquire(
                cluster,
                target.service,
                self.run_id,
                operator=arguments["operator"],
                predecessors=arguments["predecessors"],
                duration=arguments["duration"],
                check=self.check_mode,
            )
        except BadInput:
            # The API went away, and with it the answer whether the lock was taken.
            if not mine and not self.check_mode:
                with contextlib.suppress(PyrunbookError):
                    lease.release(cluster.at_least(PATIENCE_TO_PUT_BACK), target.service, self.run_id)
            raise
        left = before.holder if changed else ""
        detail = f"lock held, left behind by run {left}, which has ended" if left else "lock held"
        detail = "the lock would be taken" if self.check_mode else detail
        return {"changed": changed, "lock": lock.as_dict(), "detail": detail, "evidence": {"lock": lock.as_dict()}}
