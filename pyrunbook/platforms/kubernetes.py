"""Platform `kubernetes`: Deployments behind a Service. Everything is done from here, through the API."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from pyrunbook.kubernetes import drain, lease, state
from pyrunbook.kubernetes.client import Cluster, connect
from pyrunbook.kubernetes.target import Target
from pyrunbook.kubernetes.waiting import Heartbeat, no_heartbeat
from pyrunbook.platforms import Platform, Result
from pyrunbook.service import KubernetesService


class KubernetesPlatform(Platform[KubernetesService]):
    """A service of two colors; its Service's selector chooses one of them."""

    @cached_property
    def target(self) -> Target:
        """The names of its objects."""
        service = self.service
        deployments = {"blue": str(service.colors.blue.deployment), "green": str(service.colors.green.deployment)}
        preview = str(service.preview_name) if service.preview_name else None
        return Target(str(service.kubernetes_name), str(service.color_label), deployments, preview)

    @cached_property
    def cluster(self) -> Cluster:
        """The connection to its namespace; the client was built before the fork (`kubernetes.client.prepare`)."""
        return connect(self.service.kubeconfig, self.service.context, str(self.service.namespace))

    @cached_property
    def heartbeat(self) -> Heartbeat:
        """What a wait calls: it renews the lock that this run holds."""
        return no_heartbeat if self.run.check_mode else lease.keeper(self.cluster, self.target.service, self.run.id)

    def state(self, *, for_rollback: bool = False) -> Result:
        """See `Platform.state`."""
        found = state.read(self.cluster, self.target, for_rollback=for_rollback)
        active = found["colors"].get(found["active"])
        said = f"{found['active']} serves {active['release']} with {active['ready']} ready pods" if active else ""
        return {"changed": False, "detail": said or "no color serves", "evidence": found, "state": found}

    def drain(
        self, color: str, *, delay: float, timeout: float, stops_traffic: bool, gauge: tuple[str, str]
    ) -> Iterator[Result]:
        """See `Platform.drain`."""
        del gauge  # the pods finish their requests; that none is left is what counts
        done = drain.drain(
            self.cluster,
            self.target,
            color,
            timeout=timeout,
            delay=0 if stops_traffic else delay,
            stops_traffic=stops_traffic,
            deployed=self.run.deployed or None,
            check=self.run.check_mode,
            heartbeat=self.heartbeat,
        )
        word = "would end" if self.run.check_mode else "ended"
        detail = f"{done['pods_before']} pods {word}" if done["changed"] else "no pod was left"
        yield {"changed": done["changed"], "detail": detail, "evidence": done}
