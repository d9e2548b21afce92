"""What runs beside the API: the Deployment controller, a fake kubelet, endpoints, autoscaler and garbage collector."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass
from typing import Any

from .store import BY_KIND, Obj, Store, now, suffix

_IMAGE = re.compile(r"^[a-z0-9]([a-z0-9._/:-]*[a-z0-9])?(@sha256:[0-9a-f]+)?$")


@dataclass
class Pace:
    """How long things take, in seconds."""

    controller: float = 0.02
    """From a change of a Deployment until its controller has seen it."""
    ready: float = 0.08
    """From the creation of a pod until it is ready."""
    termination: float = 0.05
    """From the deletion of a pod until it is gone."""
    endpoints: float = 0.03
    """From a change of pods or selectors until the EndpointSlices follow."""


class Controllers:
    """One thread that looks at everything every few milliseconds."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pace = Pace()
        self._born: dict[str, float] = {}
        self._dying: dict[str, float] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        self._wanted: dict[str, tuple[str, float]] = {}
        self._moved: dict[str, tuple[Any, float]] = {}
        self._next_address = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="standin-controllers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def evict(self, namespace: str, name: str) -> None:
        """As a kubelet short of memory does it: the pod ends for good, and stays in the list."""
        with self.store.lock:
            pod = self.store.records[("pods", namespace, name)].obj
            ended = {"phase": "Failed", "reason": "Evicted", "conditions": _conditions(False)}
            self.store.mutate(pod, lambda o: o["status"].update(ended))

    def _run(self) -> None:
        while not self._ended.wait(0.01):
            with self.store.lock:
                for deployment in list(self.store.find("deployments")):
                    self._deployment(deployment)
                for pod in list(self.store.find("pods")):
                    self._pod(pod)
                for service in list(self.store.find("services")):
                    self._endpoints(service)
                for scaler in list(self.store.find("horizontalpodautoscalers")):
                    self._autoscale(scaler)
                self._collect()

    def _deployment(self, deployment: Obj) -> None:
        metadata, spec = deployment["metadata"], deployment["spec"]
        if metadata.get("deletionTimestamp"):
            return
        seen, since = self._seen.get(metadata["uid"], (0, 0.0))
        if seen != metadata["generation"]:
            self._seen[metadata["uid"]] = (metadata["generation"], time.monotonic())
            since = time.monotonic()
        if time.monotonic() - since < self.pace.controller:
            return
        namespace = metadata["namespace"]
        digest = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
        owned = [r for r in self.store.find("replicasets", namespace) if _owner(r) == metadata["uid"]]
        newest = next((r for r in owned if r["metadata"]["labels"]["pod-template-hash"] == digest), None)
        revision = max((int(r["metadata"]["annotations"][_REVISION]) for r in owned), default=0)
        if newest is None:
            revision += 1
            newest = self._replica_set(deployment, digest, revision)
            owned.append(newest)
        elif int(newest["metadata"]["annotations"][_REVISION]) < revision:
            revision += 1
            self.store.mutate(newest, lambda o: o["metadata"]["annotations"].update({_REVISION: str(revision)}))
        else:
            revision = int(newest["metadata"]["annotations"][_REVISION])
        self.store.mutate(
            deployment, lambda o: o["metadata"].setdefault("annotations", {}).update({_REVISION: str(revision)})
        )
        uids = {r["metadata"]["uid"]: r for r in owned}
        pods = [p for p in self.store.find("pods", namespace) if _owner(p) in uids]
        # As a ReplicaSet does, it neither counts nor deletes a pod that has ended (evicted, say).
        staying = [p for p in pods if not p["metadata"].get("deletionTimestamp") and not _ended(p)]
        current = [p for p in staying if _owner(p) == newest["metadata"]["uid"]]
        older = [p for p in staying if _owner(p) != newest["metadata"]["uid"]]
        wanted = spec["replicas"]
        refused = ""
        for _ in range(wanted - len(current)):
            refused = refused or self._quota(namespace)
            if refused:
                break
            current.append(self._new_pod(deployment, newest, digest))
        for pod in current[wanted:]:
            self.store.delete(BY_KIND["Pod"], namespace, pod["metadata"]["name"], "Background")
        current = current[:wanted]
        if sum(map(_is_ready, current)) >= wanted:
            for pod in older:
                self.store.delete(BY_KIND["Pod"], namespace, pod["metadata"]["name"], "Background")
            older = []
        self._deployment_status(deployment, current, older, refused)

    def _deployment_status(self, deployment: Obj, current: list[Obj], older: list[Obj], refused: str) -> None:
        spec, uid = deployment["spec"], deployment["metadata"]["uid"]
        wanted, alive = spec["replicas"], [*current, *older]
        ready = sum(map(_is_ready, alive))
        progress = (len(current), ready, deployment["metadata"]["generation"])
        before, since = self._moved.get(uid, (None, 0.0))
        if before != progress:
            since = time.monotonic()
            self._moved[uid] = (progress, since)
        complete = len(current) == wanted and not older and sum(map(_is_ready, current)) == wanted
        late = not complete and time.monotonic() - since > spec["progressDeadlineSeconds"]
        reason = "NewReplicaSetAvailable" if complete else "ProgressDeadlineExceeded" if late else "ReplicaSetUpdated"
        name = deployment["metadata"]["name"]
        conditions = [
            {
                "type": "Available",
                "status": "True" if ready >= max(0, wanted - max(1, wanted // 4)) or wanted == 0 else "False",
                "reason": "MinimumReplicasAvailable",
            },
            {
                "type": "Progressing",
                "status": "False" if late else "True",
                "reason": reason,
                "message": f'ReplicaSet of "{name}" has timed out progressing.' if late else "",
            },
        ]
        if refused:
            conditions.append(
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused}
            )
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(alive),
            "updatedReplicas": len(current),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
            "conditions": conditions,
        }
        status = {k: v for k, v in status.items() if v != 0}
        self.store.mutate(deployment, lambda o: o.update(status=status))

    def _replica_set(self, deployment: Obj, digest: str, revision: int) -> Obj:
        metadata = deployment["metadata"]
        labels = {**deployment["spec"]["template"]["metadata"]["labels"], "pod-template-hash": digest}
        return self.store.create(
            BY_KIND["ReplicaSet"],
            {
                "metadata": {
                    "name": f"{metadata['name']}-{digest}",
                    "namespace": metadata["namespace"],
                    "labels": labels,
                    "annotations": {_REVISION: str(revision)},
                    "ownerReferences": [_reference(deployment)],
                },
                "spec": {"replicas": deployment["spec"]["replicas"], "selector": {"matchLabels": labels}},
            },
            "kube-controller-manager",
        )

    def _new_pod(self, deployment: Obj, replica_set: Obj, digest: str) -> Obj:
        template = json.loads(json.dumps(deployment["spec"]["template"]))
        self._next_address += 1
        high, low = divmod(self._next_address, 250)
        pod = self.store.create(
            BY_KIND["Pod"],
            {
                "metadata": {
                    "name": f"{replica_set['metadata']['name']}-{suffix()}",
                    "namespace": deployment["metadata"]["namespace"],
                    "labels": {**template["metadata"]["labels"], "pod-template-hash": digest},
                    "annotations": template["metadata"].get("annotations") or {},
                    "ownerReferences": [_reference(replica_set)],
                },
                "spec": template["spec"],
                "status": {"phase": "Pending", "podIP": f"10.244.{high}.{low + 1}", "conditions": []},
            },
            "kube-controller-manager",
        )
        self._born[pod["metadata"]["uid"]] = time.monotonic()
        return pod

    def _quota(self, namespace: str) -> str:
        for quota in self.store.find("resourcequotas", namespace):
            hard = (quota["spec"].get("hard") or {}).get("pods")
            used = sum(1 for _ in self.store.find("pods", namespace))
            if hard is not None and used >= int(hard):
                name = quota["metadata"]["name"]
                return f"pods is forbidden: exceeded quota: {name}, used: pods={used}, limited: pods={hard}"
        return ""

    def _pod(self, pod: Obj) -> None:
        metadata = pod["metadata"]
        uid = metadata["uid"]
        if metadata.get("deletionTimestamp"):
            since = self._dying.setdefault(uid, time.monotonic())
            if _is_ready(pod):
                self.store.mutate(pod, lambda o: o["status"].update(conditions=_conditions(False)))
            if time.monotonic() - since >= self.pace.termination:
                self.store.finalize("pods", metadata["namespace"], metadata["name"])
            return
        if _ended(pod):
            return
        age = time.monotonic() - self._born.setdefault(uid, time.monotonic())
        waiting = self._cannot_start(pod, age)
        container = pod["spec"]["containers"][0]
        if waiting:
            reason, message, restarts = waiting
            changed = (pod["status"].get("containerStatuses") or [{}])[0].get("state", {}).get("waiting", {})
            if changed.get("reason") != reason:
                self._event(pod, reason, message)
            status = {
                "name": container["name"],
                "ready": False,
                "restartCount": restarts,
                "state": {"waiting": {"reason": reason, "message": message}},
                **self._last_state(container, reason),
            }
            self.store.mutate(
                pod,
                lambda o: o["status"].update(
                    phase="Pending", conditions=_conditions(False), containerStatuses=[status]
                ),
            )
        elif age >= self.pace.ready:
            probe = container.get("readinessProbe") or {}
            ready = (probe.get("tcpSocket") or {}).get("port") != 1
            status = {"name": container["name"], "ready": ready, "restartCount": 0, "state": {"running": {}}}
            self.store.mutate(
                pod,
                lambda o: o["status"].update(
                    phase="Running", conditions=_conditions(ready), containerStatuses=[status]
                ),
            )

    def _cannot_start(self, pod: Obj, age: float) -> tuple[str, str, int] | None:
        """Why the first container does not start: reason, message, restarts; told from its spec as a kubelet would."""
        container = pod["spec"]["containers"][0]
        image = container.get("image", "")
        if not _IMAGE.match(image):
            return "InvalidImageName", f'couldn\'t parse image name "{image}"', 0
        if image.split("/")[0].endswith(".invalid"):
            reason = "ErrImagePull" if age < 0.3 else "ImagePullBackOff"
            return reason, f'failed to pull image "{image}": no such host', 0
        for source in container.get("envFrom") or []:
            reference = source.get("configMapRef") or {}
            name = reference.get("name")
            there = ("configmaps", pod["metadata"]["namespace"], name) in self.store.records
            if name and not there and not reference.get("optional"):
                return "CreateContainerConfigError", f'configmap "{name}" not found', 0
        command = container.get("command") or []
        if command and command[0] in ("/does-not-exist", _HUNGRY):
            return "CrashLoopBackOff", "back-off 10s restarting failed container", 1 + int(age)
        return None

    @staticmethod
    def _last_state(container: Obj, reason: str) -> Obj:
        """How the container ended before it waits to be started again: that tells a crash from a lack of memory.

        A kubelet says of both that it waits in CrashLoopBackOff; the reason of the end stands in lastState alone.
        """
        if reason != "CrashLoopBackOff":
            return {}
        hungry = (container.get("command") or [""])[0] == _HUNGRY
        ended = {"reason": "OOMKilled", "exitCode": 137} if hungry else {"reason": "Error", "exitCode": 127}
        return {"lastState": {"terminated": ended}}

    def _event(self, pod: Obj, reason: str, message: str) -> None:
        metadata = pod["metadata"]
        self.store.create(
            BY_KIND["Event"],
            {
                "metadata": {"name": f"{metadata['name']}.{suffix()}{suffix()}", "namespace": metadata["namespace"]},
                "involvedObject": {"kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
                "type": "Warning",
                "reason": "Failed" if "BackOff" not in reason else "BackOff",
                "message": message,
                "lastTimestamp": now(),
                "count": 1,
            },
            "kubelet",
        )

    def _endpoints(self, service: Obj) -> None:
        metadata, spec = service["metadata"], service["spec"]
        selector = spec.get("selector") or {}
        namespace = metadata["namespace"]
        endpoints = [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {
                    "ready": _is_ready(pod) and not pod["metadata"].get("deletionTimestamp"),
                    "serving": _is_ready(pod),
                    "terminating": bool(pod["metadata"].get("deletionTimestamp")),
                },
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace},
            }
            for pod in self.store.find("pods", namespace)
            if selector and selector.items() <= (pod["metadata"].get("labels") or {}).items() and not _ended(pod)
        ]
        ports = [
            {"name": p.get("name", ""), "port": p["targetPort"], "protocol": p["protocol"]}
            for p in spec.get("ports") or []
        ]
        wanted = json.dumps([endpoints, ports], sort_keys=True)
        before, since = self._wanted.get(metadata["uid"], ("", 0.0))
        if before != wanted:
            since = time.monotonic()
            self._wanted[metadata["uid"]] = (wanted, since)
        if time.monotonic() - since < self.pace.endpoints:
            return
        name = f"{metadata['name']}-{metadata['uid'][:5]}"
        record = self.store.records.get(("endpointslices", namespace, name))
        if record is None:
            self.store.create(
                BY_KIND["EndpointSlice"],
                {
                    "metadata": {
                        "name": name,
                        "namespace": namespace,
                        "labels": {"kubernetes.io/service-name": metadata["name"]},
                        "ownerReferences": [_reference(service)],
                    },
                    "addressType": "IPv4",
                    "endpoints": endpoints,
                    "ports": ports,
                },
                "endpointslice-controller",
            )
        else:
            self.store.mutate(record.obj, lambda o: o.update(endpoints=endpoints, ports=ports))

    def _autoscale(self, scaler: Obj) -> None:
        """Keep the minimum. A target at zero is left alone unless zero is the minimum, as the real one does."""
        spec = scaler["spec"]
        namespace = scaler["metadata"]["namespace"]
        record = self.store.records.get(("deployments", namespace, spec["scaleTargetRef"]["name"]))
        if record is None:
            return
        replicas, minimum = record.obj["spec"]["replicas"], spec["minReplicas"]
        wanted = max(replicas, minimum) if replicas else (0 if minimum else 1)
        if wanted != replicas:
            new = json.loads(json.dumps(record.obj))
            new["spec"]["replicas"] = min(wanted, spec["maxReplicas"])
            self.store.update(
                BY_KIND["Deployment"], namespace, record.obj["metadata"]["name"], new, "kube-controller-manager"
            )

    def _collect(self) -> None:
        """Delete what has lost its owner; end the deletions that wait for what they own."""
        uids = {r.obj["metadata"]["uid"]: r.obj for r in self.store.records.values()}
        for record in list(self.store.records.values()):
            obj = record.obj
            owner = _owner(obj)
            resource, namespace = BY_KIND[obj["kind"]], obj["metadata"].get("namespace", "")
            if not owner:
                continue
            going = owner in uids and "foregroundDeletion" in (uids[owner]["metadata"].get("finalizers") or [])
            if owner not in uids or going:
                propagation = "Foreground" if going and resource.kind == "ReplicaSet" else "Background"
                if not obj["metadata"].get("deletionTimestamp"):
                    self.store.delete(resource, namespace, obj["metadata"]["name"], propagation)
        owners = {_owner(r.obj) for r in self.store.records.values()}
        for record in list(self.store.records.values()):
            metadata = record.obj["metadata"]
            if "foregroundDeletion" in (metadata.get("finalizers") or []) and metadata["uid"] not in owners:
                plural = BY_KIND[record.obj["kind"]].plural
                self.store.finalize(plural, metadata.get("namespace", ""), metadata["name"])


_HUNGRY = "/takes-more-memory-than-it-may"
_REVISION = "deployment.kubernetes.io/revision"


def _owner(obj: Obj) -> str:
    references = obj["metadata"].get("ownerReferences") or []
    return references[0]["uid"] if references else ""


def _reference(owner: Obj) -> Obj:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _conditions(ready: bool) -> list[Obj]:
    return [{"type": "Ready", "status": "True" if ready else "False"}]


def _ended(pod: Obj) -> bool:
    return pod["status"].get("phase") in ("Failed", "Succeeded")


def _is_ready(pod: Obj) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])
