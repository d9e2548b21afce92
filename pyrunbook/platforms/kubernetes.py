"""Platform `kubernetes`: Deployments behind a Service. Everything is done from here, through the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from pyrunbook import places
from pyrunbook.errors import BadInput, PyrunbookError
from pyrunbook.kubernetes import (
    access,
    apply,
    drain,
    export,
    lease,
    plan,
    put_back,
    remove,
    serving,
    state,
    switch,
)  # fmt: skip
from pyrunbook.kubernetes.client import PATIENCE, PATIENCE_TO_PUT_BACK, Cluster, connect
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.kubernetes.target import ServiceNames, other
from pyrunbook.platforms import Deployment, Platform, Release, Result
from pyrunbook.rollout import plan as plans
from pyrunbook.rollout.checks import HttpCheck
from pyrunbook.service import KubernetesService

PATIENCE_OF_A_GUARD = 10.0
"""Seconds that an API may be silent before a run begins: nothing is lost by refusing it."""
_PUT_BACK_SECONDS = 300.0
_PLANS_KEPT = 10
"""How many plans of a service stay in the cluster."""


def _lines(selector: Mapping[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in sorted(selector.items()))


class KubernetesPlatform(Platform[KubernetesService]):
    """A service of two colors; its Service's selector chooses one of them."""

    @cached_property
    def target(self) -> ServiceNames:
        """The names of its objects."""
        service = self.service
        deployments = {"blue": str(service.colors.blue.deployment), "green": str(service.colors.green.deployment)}
        preview = str(service.preview_name) if service.preview_name else None
        return ServiceNames(str(service.kubernetes_name), str(service.color_label), deployments, preview)

    @cached_property
    def cluster(self) -> Cluster:
        """The connection to its namespace; the client was built before the fork (`kubernetes.client.prepare`)."""
        return self._cluster(PATIENCE)

    def _cluster(self, patience: float) -> Cluster:
        service = self.service
        return connect(service.kubeconfig, service.context, str(service.namespace), patience=patience)

    @cached_property
    def keeping(self) -> Cluster:
        """The same connection, for operations that wait: the lock that this run holds is renewed meanwhile."""
        if self.run.check_mode:
            return self.cluster
        return self.cluster.keeping(lease.keeper(self.cluster, self.target.service, self.run.id))

    def state(self, *, for_rollback: bool = False) -> Result:
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
        cluster = self.cluster.at_least(PATIENCE_TO_PUT_BACK)
        before = lease.show(cluster, self.target.service)
        if before.holder != self.run.id:
            return {"changed": False, "detail": f"lock not ours: {before}"}
        changed = self.run.check_mode or lease.release(cluster, self.target.service, self.run.id)
        return {"changed": changed, "detail": "lock freed"}

    def show_lock(self) -> Result:
        lock = lease.show(self.cluster, self.target.service)
        return {"changed": False, "lock": lock.as_dict(), "detail": f"lock: {lock}"}

    def break_lock(self, holder: str) -> Result:
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
        judged = self._apply(
            self.preview, deployment.manifests, deployment.release, deployment.force_conflicts, replicas=1, check=True
        )
        release = judged["evidence"]["release"]
        serves = release == state["colors"].get(self.active, {}).get("release")
        again = f" · {release} serves already and is deployed once more" if serves else ""
        detail = judged["detail"] + again
        yield {"changed": False, "release": release, "detail": detail, "evidence": judged["evidence"]}

    def check_reached(self, ready: HttpCheck) -> Iterator[Result]:
        """See `Platform.check_reached`: the API has told whether pods are ready; the checks come from outside."""
        del ready
        yield from ()

    def back_up(self, parts: Sequence[str], backup_id: str) -> Result:  # noqa: ARG002 - all manifests are archived
        """See `Platform.back_up`; the archive is on the machine that runs pyrunbook."""
        directory = places.home() / "backups" / self.target.service
        destination = directory / f"{backup_id}.tar.gz"
        if self.run.check_mode:
            count = sum(map(len, export.export(self.cluster, self.target).values()))
            return {"changed": not destination.exists(), "detail": f"would back up {count} manifests to {destination}"}
        places.private_directory(directory)
        backup = export.backup(self.cluster, self.target, destination)
        detail = f"{backup['files']} manifests, restored and compared"
        return {"changed": backup["created"], "backup": backup, "evidence": backup, "detail": detail}

    def capture(self, ready: HttpCheck, *, seconds: float, backup: Mapping[str, Any] | None) -> Result:  # noqa: ARG002
        """See `Platform.capture` and `pyrunbook.kubernetes.plan`; when a pod is ready, its Deployment says."""
        section = plan.capture(self.cluster, self.target)
        counts = {color: len(objects) for color, objects in section["objects"].items()}
        return {
            "section": section,
            "detail": f"{counts['blue']} objects of blue, {counts['green']} of green",
            "evidence": {"objects": counts, "replicas": section["replicas"], "active": section["active"]},
        }

    def keep_plan(self, plan_id: str, text: str) -> Result:
        """See `Platform.keep_plan`; the newest plans of the service stay, older ones are deleted."""
        name = plan.config_map_name(self.target.service, plan_id)
        if self.run.check_mode:
            changed = self.cluster.get("ConfigMap", name) is None
            return {"changed": changed, "detail": f"would keep the plan in {name}"}
        written = plan.store(self.cluster, self.target.service, plan_id, text)
        pruned = plan.prune(self.cluster, self.target.service, _PLANS_KEPT) if written else []
        evidence = {"config_map": name, "bytes": len(text), "pruned": pruned}
        return {"changed": written, "detail": f"kept in ConfigMap {name}", "evidence": evidence}

    def deploy(self, color: str, wanted: Release) -> Iterator[Result]:
        # A run that is resumed after its switch goes on from what it has deployed itself.
        switched = self.known["active"] == color
        names = [self.target.deployments[color]]
        if not switched:
            replicas = max(self._recorded_replicas(), int(self.known["colors"][other(color)]["replicas"]))
            applied = self._apply(
                color, wanted.manifests, wanted.name, wanted.force_conflicts,
                replicas=replicas, check=self.run.check_mode,
            )  # fmt: skip
            names = applied["deployments"] or names
            yield applied
        yield self._rolled_out(names, wanted, self.run.deployed if switched else {})

    def _apply(
        self, color: str, files: Sequence[str], name: str, force_conflicts: bool, *, replicas: int, check: bool
    ) -> Result:
        """Read the manifests of a release, check them, have the API check them; then apply them, unless `check`.

        Args:
            color: to which they are applied.
            files: and directories with the manifests.
            name: of the release; empty where the manifests say it.
            force_conflicts: see `Release`.
            replicas: the least that the color gets.
            check: whether the API is only asked whether it would take them.
        """
        manifests = apply.read_manifests([path for path in files if path])
        prepared = apply.prepare(
            self.cluster, self.target, color, manifests, minimum_replicas=replicas, release=name or None
        )
        release, replicas = apply.release_and_replicas(prepared, self.target, color)
        cluster = self.cluster if check else self.keeping
        done = apply.apply(cluster, prepared, force_conflicts=force_conflicts, check=check)
        if not check:
            done["changed"] |= switch.point_preview(self.cluster, self.target, color)
        said = "the API would take" if check else "applied"
        return {
            **done,
            "detail": f"{said} {len(prepared)} manifests of {release}, {replicas} replicas",
            "evidence": {"release": release, "replicas": replicas, "applied": done["applied"]},
        }

    def _recorded_replicas(self) -> int:
        """How many replicas of the active color the run's plan has; 0 where the run has none."""
        path = plans.path_of(self.run.id, self.run.service)
        section = plans.read(path).kubernetes if path.exists() else None
        return int(section["replicas"][section["active"]]) if section else 0

    def _rolled_out(self, names: list[str], wanted: Release, deployed: Mapping[str, Any]) -> Result:
        """Wait for Deployments; the timeout is that of all together."""
        if self.run.check_mode:
            return {"changed": False, "detail": f"would wait for {', '.join(names)}", "deployed": {}}
        end = time.monotonic() + wanted.timeout
        seen = {
            name: wait_for_rollout(
                self.keeping,
                name,
                timeout=max(end - time.monotonic(), 1.0),
                stable_seconds=wanted.stable_seconds,
            )
            for name in names
        }
        ready, looks = (sum(entry[key] for entry in seen.values()) for key in ("ready", "looks"))
        done: Result = {"changed": False, "detail": f"{ready} pods ready after {looks} checks"}
        if deployed:  # by an earlier attempt, whose evidence stands
            return {**done, "deployed": deployed}
        return {**done, "deployed": seen, "evidence": {"deployed": seen}}

    def switch(self, color: str, ready: HttpCheck, *, timeout: float) -> Iterator[Result]:
        done = switch.switch(self.keeping, self.target, color, timeout=timeout, check=self.run.check_mode)
        diff = {
            "before": _lines(done["previous_selector"]),
            "after": _lines(done["selector"]),
            "before_header": f"selector of Service {self.target.service}",
        }
        yield {
            "changed": done["changed"],
            "detail": f"{done['endpoints']} endpoints, all of {color}",
            "evidence": done,
            "diff": diff if done["changed"] else {},
        }
        yield self.wait_reached(ready, seconds=timeout)

    def require_serving(self, color: str, release: str) -> Result:  # noqa: ARG002 - images are compared
        serving.require_serving(self.keeping, self.target, color, self.run.deployed or None)
        return {"changed": False}

    def diverted(self) -> str:
        now = self.state()["state"]
        if now["active"] == self.preview:
            return ""
        writer = now["kubernetes"]["written_by"] or " by something else"
        return (
            f"The traffic goes to {now['active']} again, not to {self.preview}: Service {self.target.service} was "
            f"written{writer} after this run had switched it.\n"
            "Next: find out what writes it (GitOps, an operator, a colleague), and pause it for the time of the run"
        )

    def kept_plan(self, plan_id: str) -> str:
        """See `Platform.kept_plan`; a damaged one is no plan's text."""
        return plan.kept(self.cluster.at_least(PATIENCE_TO_PUT_BACK), self.target.service, plan_id)

    def put_back(self, section: dict[str, Any]) -> Iterator[Result]:
        yield self._restored(put_back.restore, section, section["active"])

    def put_back_preview(self, section: dict[str, Any]) -> Result:
        return self._restored(put_back.restore_preview, section, other(section["active"]))

    def _restored(self, restore: Callable[..., dict[str, Any]], section: dict[str, Any], color: str) -> Result:
        cluster = self.keeping.at_least(PATIENCE_TO_PUT_BACK)
        done = restore(cluster, section, timeout=_PUT_BACK_SECONDS, check=self.run.check_mode)
        detail = "; ".join(done["done"]) or f"{color} is as it was"
        return {"changed": done["changed"], "detail": detail, "evidence": done}

    def remove(self, color: str, *, timeout: float) -> Result:
        done = remove.remove(
            self.keeping,
            self.target,
            color,
            timeout=timeout,
            deployed=self.run.deployed or None,
            check=self.run.check_mode,
        )
        word = "would be removed" if self.run.check_mode else "removed"
        detail = f"{len(done['removed'])} objects {word}" if done["changed"] else "nothing was left"
        return {"changed": done["changed"], "detail": detail, "evidence": done}

    def drain(
        self, color: str, *, delay: float, timeout: float, stops_traffic: bool, gauge: tuple[str, str]
    ) -> Iterator[Result]:
        del gauge  # the pods finish their requests; that none is left is what counts
        done = drain.drain(
            self.keeping,
            self.target,
            color,
            timeout=timeout,
            delay=0 if stops_traffic else delay,
            stops_traffic=stops_traffic,
            deployed=self.run.deployed or None,
            check=self.run.check_mode,
        )
        word = "would end" if self.run.check_mode else "ended"
        detail = f"{done['pods_before']} pods {word}" if done["changed"] else "no pod was left"
        yield {"changed": done["changed"], "detail": detail, "evidence": done}
