"""Platform `kubernetes`: Deployments behind a Service. Everything is done from here, through the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

from pyrunbook.errors import BadInput, PyrunbookError
from pyrunbook.kubernetes import access, apply, drain, lease, state
from pyrunbook.kubernetes.client import PATIENCE, PATIENCE_TO_PUT_BACK, Cluster, connect
from pyrunbook.kubernetes.target import Target
from pyrunbook.kubernetes.waiting import Heartbeat, no_heartbeat
from pyrunbook.platforms import Deployment, Platform, Result
from pyrunbook.rollout.checks import HttpCheck
from pyrunbook.service import KubernetesService

PATIENCE_OF_A_GUARD = 10.0
"""Seconds that an API may be silent before a run begins: nothing is lost by refusing it."""


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
        return self._cluster(PATIENCE)

    def _cluster(self, patience: float) -> Cluster:
        service = self.service
        return connect(service.kubeconfig, service.context, str(service.namespace), patience=patience)

    @cached_property
    def heartbeat(self) -> Heartbeat:
        """What a wait calls: it renews the lock that this run holds."""
        return no_heartbeat if self.run.check_mode else lease.keeper(self.cluster, self.target.service, self.run.id)

    @property
    def passed_on(self) -> dict[str, Any]:
        """See `Platform.passed_on`."""
        service = self.service
        where = {
            "kubeconfig": service.kubeconfig or "",
            "context": service.context or "",
            "namespace": str(service.namespace),
            "name": self.target.service,
            "preview_name": self.target.preview_service or "",
            "color_label": self.target.color_label,
            "colors": {color: {"deployment": name} for color, name in self.target.deployments.items()},
        }
        return {"service_cluster": where}

    def state(self, *, for_rollback: bool = False) -> Result:
        """See `Platform.state`."""
        found = state.read(self.cluster, self.target, for_rollback=for_rollback)
        active = found["colors"].get(found["active"])
        said = f"{found['active']} serves {active['release']} with {active['ready']} ready pods" if active else ""
        return {"changed": False, "detail": said or "no color serves", "evidence": found, "state": found}

    def lock(self, operator: str, runbook: str, predecessors: list[str], secrets: list[str]) -> Iterator[Result]:
        """See `Platform.lock`; the permissions that the run needs are checked first."""
        del runbook  # the journal knows
        count = access.require(self._cluster(PATIENCE_OF_A_GUARD), secrets)
        detail = f"{count} permissions in namespace {self.cluster.namespace}"
        evidence = {"permissions": count, "namespace": self.cluster.namespace}
        yield {"changed": False, "detail": detail, "evidence": evidence}
        before = lease.show(self.cluster, self.target.service)
        try:
            lock, changed = lease.acquire(
                self.cluster,
                self.target.service,
                self.run.id,
                operator=operator,
                predecessors=predecessors,
                check=self.run.check_mode,
            )
        except BadInput:
            # The API went away, and with it the answer whether the lock was taken.
            if before.holder != self.run.id and not self.run.check_mode:
                with suppress(PyrunbookError):
                    self.unlock()
            raise
        left = before.holder if changed else ""
        detail = f"lock held, left behind by run {left}, which has ended" if left else "lock held"
        detail = "the lock would be taken" if self.run.check_mode else detail
        yield {"changed": changed, "detail": detail, "evidence": {"lock": lock.as_dict()}}

    def unlock(self) -> Result:
        """See `Platform.unlock`."""
        cluster = self.cluster.at_least(PATIENCE_TO_PUT_BACK)
        before = lease.show(cluster, self.target.service)
        if before.holder != self.run.id:
            return {"changed": False, "detail": f"lock not ours: {before}"}
        changed = self.run.check_mode or lease.release(cluster, self.target.service, self.run.id)
        return {"changed": changed, "detail": "lock freed"}

    def show_lock(self) -> Result:
        """See `Platform.show_lock`."""
        lock = lease.show(self.cluster, self.target.service)
        return {"changed": False, "lock": lock.as_dict(), "detail": f"lock: {lock}"}

    def break_lock(self, holder: str) -> Result:
        """See `Platform.break_lock`."""
        before = lease.show(self.cluster, self.target.service)
        if self.run.check_mode:
            return {"changed": bool(before.holder), "lock": before.as_dict(), "detail": f"lock: {before}"}
        changed = lease.break_lock(self.cluster, self.target.service, holder)
        detail = f"the lock was broken: {before}" if changed else "the lock was free"
        return {"changed": changed, "detail": detail, "evidence": {"lock": before.as_dict()}}

    def check_deployment(self, deployment: Deployment) -> Iterator[Result]:
        """See `Platform.check_deployment`: the API judges the manifests without applying them."""
        state = self.known
        if state["active"] != self.active:
            yield {"changed": False, "release": state["colors"][self.preview]["release"]}
            return
        manifests = apply.read_manifests([path for path in deployment.manifests if path])
        prepared = apply.prepare(
            self.cluster, self.target, self.preview, manifests,
            minimum_replicas=1, release=deployment.release or None,
        )  # fmt: skip
        release, replicas = apply.release_and_replicas(prepared, self.target, self.preview)
        done = apply.apply(
            self.cluster, prepared,
            force_conflicts=deployment.force_conflicts, check=True, heartbeat=no_heartbeat,
        )  # fmt: skip
        serves = release == state["colors"].get(self.active, {}).get("release")
        again = f" · {release} serves already and is deployed once more" if serves else ""
        yield {
            "changed": False,
            "release": release,
            "detail": f"the API would take {len(prepared)} manifests of {release}, {replicas} replicas{again}",
            "evidence": {"release": release, "replicas": replicas, "applied": done["applied"]},
        }

    def check_reached(self, ready: HttpCheck) -> Iterator[Result]:
        """See `Platform.check_reached`: the API has told whether pods are ready; the checks come from outside."""
        del ready
        yield from ()

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
