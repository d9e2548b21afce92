"""The objects of the stand-in: resource versions, generations, field ownership, deletion."""

from __future__ import annotations

import base64
import copy
import json
import random
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import fields

Obj = dict[str, Any]
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
Owner = tuple[str, str]
"""Field manager and operation (`Apply` or `Update`)."""


@dataclass(frozen=True)
class Resource:
    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


RESOURCES = [
    Resource("", "v1", "Namespace", "namespaces", namespaced=False),
    Resource("", "v1", "ConfigMap", "configmaps"),
    Resource("", "v1", "Secret", "secrets"),
    Resource("", "v1", "Service", "services"),
    Resource("", "v1", "Pod", "pods"),
    Resource("", "v1", "Event", "events"),
    Resource("", "v1", "ResourceQuota", "resourcequotas"),
    Resource("apps", "v1", "Deployment", "deployments"),
    Resource("apps", "v1", "ReplicaSet", "replicasets"),
    Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Resource("networking.k8s.io", "v1", "Ingress", "ingresses"),
    Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    Resource("coordination.k8s.io", "v1", "Lease", "leases"),
    Resource("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False),
]
BY_PATH = {(r.group, r.version, r.plural): r for r in RESOURCES}
BY_KIND = {r.kind: r for r in RESOURCES}


class Refusal(Exception):
    """An answer that is an error; becomes a Kubernetes Status."""

    def __init__(self, code: int, reason: str, message: str, causes: list[Obj] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.causes = code, reason, message, causes or []


@dataclass
class Record:
    obj: Obj
    owners: dict[Owner, set[fields.Path]] = field(default_factory=dict)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Key = tuple[str, str, str]
"""Plural, namespace (empty for cluster-wide), name."""


class Store:
    """All objects, under one lock. `changed` is notified at every write."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.records: dict[Key, Record] = {}
        self.version = 1000
        self.history: list[tuple[int, str, Resource, Obj]] = []
        self._addresses = iter(f"10.96.{a}.{b}" for a in range(256) for b in range(1, 255))
        with self.lock:
            self.create(BY_KIND["Namespace"], _namespace("default"), "system")

    def get(self, resource: Resource, namespace: str, name: str) -> Record:
        record = self.records.get((resource.plural, namespace, name))
        if record is None:
            what = f'{resource.plural}{"." + resource.group if resource.group else ""} "{name}" not found'
            raise Refusal(404, "NotFound", what)
        return record

    def find(self, plural: str, namespace: str | None = None) -> Iterator[Obj]:
        for (kind, place, _), record in list(self.records.items()):
            if kind == plural and namespace in (None, place):
                yield record.obj

    def create(self, resource: Resource, obj: Obj, manager: str, operation: str = "Update") -> Obj:
        metadata = obj.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + suffix()
        name = metadata.get("name")
        if not name:
            raise Refusal(422, "Invalid", f"{resource.kind} is invalid: metadata.name: Required value")
        namespace = metadata.get("namespace", "") if resource.namespaced else ""
        if resource.namespaced and ("namespaces", "", namespace) not in self.records:
            raise Refusal(404, "NotFound", f'namespaces "{namespace}" not found')
        place = self.records.get(("namespaces", "", namespace))
        if place and place.obj["status"].get("phase") == "Terminating":
            said = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {"reason": "NamespaceTerminating", "message": said, "field": "metadata.namespace"}
            raise Refusal(403, "Forbidden", f'{resource.plural} "{name}" is forbidden: {said}', [cause])
        key = (resource.plural, namespace, name)
        if key in self.records:
            raise Refusal(409, "AlreadyExists", f'{resource.plural} "{name}" already exists')
        owned = fields.leaves(obj)
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=now())
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        if resource.kind in ("Deployment", "ReplicaSet"):
            metadata["generation"] = 1
        self._default(resource, obj)
        validate(resource, None, obj)
        record = Record(obj, {(manager, operation): set(owned)})
        self.records[key] = record
        self._stamp("ADDED", resource, record)
        return obj

    def update(self, resource: Resource, namespace: str, name: str, new: Obj, manager: str) -> Obj:
        """Replace an object; `metadata.resourceVersion` in it, if any, must be the live one."""
        record = self.get(resource, namespace, name)
        live = record.obj
        given = new.get("metadata", {}).get("resourceVersion")
        if given and given != live["metadata"]["resourceVersion"]:
            raise modified(resource, name)
        if not given and resource.kind == "Lease":
            raise Refusal(422, "Invalid", "metadata.resourceVersion: must be specified for an update")
        uid = new.get("metadata", {}).get("uid")
        if uid and uid != live["metadata"]["uid"]:
            raise Refusal(409, "Conflict", f"Precondition failed: UID in precondition: {uid}")
        before, after = fields.leaves(live), fields.leaves(new)
        touched = {p for p, v in after.items() if p not in before or before[p] != v}
        gone = set(before) - set(after)
        entries = new.get("metadata", {}).get("managedFields")
        if entries and entries != live["metadata"]["managedFields"]:  # who writes them says who owns what
            record.owners = {(e["manager"], e["operation"]): fields.decode(e["fieldsV1"]) for e in entries}
            self._stamp("MODIFIED", resource, record)
            self._refresh_managers(record)
        changed = self._write(resource, record, new)
        if changed:
            for paths in record.owners.values():
                paths -= touched | gone
            if touched:
                record.owners.setdefault((manager, "Update"), set()).update(touched)
            self._refresh_managers(record)
        return record.obj

    def apply(self, resource: Resource, namespace: str, applied: Obj, manager: str, force: bool) -> Obj:
        """Server-side apply."""
        name = applied["metadata"]["name"]
        me = (manager, "Apply")
        wrong = fields.unfit(applied)
        if wrong:
            what = f"{namespace}/{name}; {resource.api_version}, Kind={resource.kind}"
            said = wrong[0] if len(wrong) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in wrong)
            raise Refusal(500, "", f"failed to create typed patch object ({what}): {said}")
        wanted = fields.leaves(applied)
        record = self.records.get((resource.plural, namespace, name))
        if record is None:
            return self.create(resource, copy.deepcopy(applied), manager, "Apply")
        live = fields.leaves(record.obj)
        causes, lost = [], set()
        for path, value in wanted.items():
            for owner, paths in record.owners.items():
                if owner != me and path in paths and live.get(path) != value:
                    lost.add((owner, path))
                    causes.append(
                        {
                            "reason": "FieldManagerConflict",
                            "message": f'conflict with "{owner[0]}" using {resource.api_version}',
                            "field": fields.shown(path),
                        }
                    )
        if causes and not force:
            message = f"Apply failed with {len(causes)} conflicts: {causes[0]['message']}: {causes[0]['field']}"
            raise Refusal(409, "Conflict", message, causes)
        elsewhere = set().union(*(paths for owner, paths in record.owners.items() if owner != me), set())
        dropped = record.owners.get(me, set()) - set(wanted) - elsewhere
        merged = fields.merge(record.obj, fields.without_identity(applied))
        for path in dropped:
            fields.remove(merged, path)
        self._write(resource, record, merged)
        for owner, path in lost:
            record.owners[owner].discard(path)
        record.owners[me] = set(wanted)
        self._refresh_managers(record)
        return record.obj

    def delete(self, resource: Resource, namespace: str, name: str, propagation: str) -> Obj:
        record = self.get(resource, namespace, name)
        metadata = record.obj["metadata"]
        if resource.kind == "Namespace":
            for key in [k for k in self.records if k[1] == name]:
                self._drop(key)
        graceful = resource.kind == "Pod"
        if propagation == "Foreground" and resource.kind in ("Deployment", "ReplicaSet"):
            metadata.setdefault("finalizers", [])
            if "foregroundDeletion" not in metadata["finalizers"]:
                metadata["finalizers"].append("foregroundDeletion")
        if graceful or metadata.get("finalizers"):
            if "deletionTimestamp" not in metadata:
                metadata["deletionTimestamp"] = now()
                if "generation" in metadata:
                    metadata["generation"] += 1
                self._stamp("MODIFIED", resource, record)
            return record.obj
        self._drop((resource.plural, namespace, name))
        return record.obj

    def finalize(self, plural: str, namespace: str, name: str) -> None:
        """Remove an object whose deletion was waiting."""
        self._drop((plural, namespace, name))

    def mutate(self, obj: Obj, change: Callable[[Obj], None]) -> None:
        """A controller's write: status or metadata, without a change of generation or ownership."""
        resource = BY_KIND[obj["kind"]]
        key = (resource.plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        record = self.records.get(key)
        if record is None:
            return
        before = json.dumps(record.obj)  # controllers write all the time; this is ten times as fast as a copy
        change(record.obj)
        if json.dumps(record.obj) != before:
            self._stamp("MODIFIED", resource, record)

    def _write(self, resource: Resource, record: Record, new: Obj) -> bool:
        """Take the new content over; metadata and status that the server owns stay. Whether anything changed."""
        old = record.obj
        new = copy.deepcopy(new)
        metadata = new.setdefault("metadata", {})
        kept = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "managedFields", "resourceVersion")
        for key in kept:
            metadata.pop(key, None)
            if key in old["metadata"]:
                metadata[key] = old["metadata"][key]
        metadata["name"] = old["metadata"]["name"]
        if resource.namespaced:
            metadata["namespace"] = old["metadata"]["namespace"]
        new["apiVersion"], new["kind"] = resource.api_version, resource.kind
        if "status" in old and resource.kind != "SelfSubjectAccessReview":
            new["status"] = old["status"]
        else:
            new.pop("status", None)
        if resource.kind == "Service":
            for key in ("clusterIP", "clusterIPs"):
                if key in old["spec"]:
                    new["spec"].setdefault(key, old["spec"][key])
        self._default(resource, new)
        validate(resource, old, new)
        if new == old:
            return False
        if new.get("spec") != old.get("spec") and "generation" in metadata:
            metadata["generation"] += 1
        record.obj = new
        self._stamp("MODIFIED", resource, record)
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and resource.kind != "Pod":
            self._drop((resource.plural, metadata.get("namespace", ""), metadata["name"]))
        return True

    def _default(self, resource: Resource, obj: Obj) -> None:
        spec = obj.get("spec")
        if resource.kind == "Deployment" and isinstance(spec, dict):
            spec.setdefault("replicas", 1)
            spec.setdefault("progressDeadlineSeconds", 600)
            spec.setdefault("revisionHistoryLimit", 10)
            spec.setdefault(
                "strategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
            )
            pod = spec.get("template", {}).get("spec", {})
            pod.setdefault("restartPolicy", "Always")
            pod.setdefault("terminationGracePeriodSeconds", 30)
            for container in pod.get("containers", []):
                container.setdefault("imagePullPolicy", "IfNotPresent")
                for port in container.get("ports") or []:
                    port.setdefault("protocol", "TCP")
        if resource.kind == "Secret":
            obj.setdefault("type", "Opaque")
            given = {k: base64.b64encode(v.encode()).decode() for k, v in (obj.pop("stringData", None) or {}).items()}
            if given:
                obj["data"] = {**(obj.get("data") or {}), **given}
        if resource.kind == "Service":
            obj.setdefault("spec", {})
            obj["spec"].setdefault("type", "ClusterIP")
            obj["spec"].setdefault("sessionAffinity", "None")
            if "clusterIP" not in obj["spec"]:
                obj["spec"]["clusterIP"] = next(self._addresses)
                obj["spec"]["clusterIPs"] = [obj["spec"]["clusterIP"]]
            for port in obj["spec"].get("ports", []):
                port.setdefault("protocol", "TCP")
                port.setdefault("targetPort", port["port"])
        if resource.kind == "Namespace":
            obj.setdefault("status", {"phase": "Active"})
        if resource.kind == "HorizontalPodAutoscaler" and isinstance(spec, dict):
            spec.setdefault("minReplicas", 1)

    def _stamp(self, event: str, resource: Resource, record: Record) -> None:
        self.version += 1
        record.obj["metadata"]["resourceVersion"] = str(self.version)
        if event == "ADDED":
            self._refresh_managers(record)
        self.history.append((self.version, event, resource, json.loads(json.dumps(record.obj))))
        del self.history[:-5000]
        self.changed.notify_all()

    def _drop(self, key: Key) -> None:
        record = self.records.pop(key, None)
        if record is not None:
            resource = BY_KIND[record.obj["kind"]]
            self._stamp("DELETED", resource, record)

    @staticmethod
    def _refresh_managers(record: Record) -> None:
        record.obj["metadata"]["managedFields"] = [
            {
                "manager": manager,
                "operation": operation,
                "apiVersion": record.obj["apiVersion"],
                "fieldsType": "FieldsV1",
                "fieldsV1": fields.encode(paths),
            }
            for (manager, operation), paths in record.owners.items()
            if paths
        ]


def validate(resource: Resource, old: Obj | None, new: Obj) -> None:
    """The rules of the API that the steps run into."""

    def invalid(message: str) -> Refusal:
        return Refusal(422, "Invalid", f'{resource.kind} "{new["metadata"]["name"]}" is invalid: {message}')

    spec = new.get("spec") or {}
    if resource.kind == "Deployment":
        selector = (spec.get("selector") or {}).get("matchLabels") or {}
        labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
        if not selector or not selector.items() <= labels.items():
            raise invalid("spec.template.metadata.labels: `selector` does not match template `labels`")
        if old and old["spec"]["selector"] != spec["selector"]:
            raise invalid("spec.selector: field is immutable")
        if not isinstance(spec["replicas"], int) or spec["replicas"] < 0:
            raise invalid("spec.replicas: must be greater than or equal to 0")
        if not (spec["template"].get("spec") or {}).get("containers"):
            raise invalid("spec.template.spec.containers: Required value")
    if resource.kind == "Lease":
        for key in ("acquireTime", "renewTime"):
            if key in spec and not _MICRO_TIME.fullmatch(spec[key]):
                raise Refusal(400, "BadRequest", f'cannot parse "{spec[key]}" as "2006-01-02T15:04:05.000000Z07:00"')
        if spec.get("leaseDurationSeconds", 1) <= 0:
            raise invalid("spec.leaseDurationSeconds: must be greater than 0")
        if spec.get("holderIdentity") == "":
            raise invalid("spec.holderIdentity: must not be empty")
    fixed = resource.kind in ("ConfigMap", "Secret") and old and old.get("immutable")
    if fixed and any((old or {}).get(k) != new.get(k) for k in ("data", "binaryData", "immutable")):
        raise invalid("data: Forbidden: field is immutable when `immutable` is set")
    if resource.kind == "Secret":
        _validate_secret(old, new, invalid)
    if resource.kind == "Service" and old and old["spec"].get("clusterIP") != spec.get("clusterIP"):
        raise invalid("spec.clusterIP: field is immutable")


def _validate_secret(old: Obj | None, new: Obj, invalid: Callable[[str], Refusal]) -> None:
    data = new.get("data") or {}
    try:
        size = sum(len(base64.b64decode(value, validate=True)) for value in data.values())
    except (ValueError, TypeError):
        message = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
        raise Refusal(400, "BadRequest", message) from None
    if size > 1024 * 1024:
        raise invalid("data: Too long: may not be more than 1048576 bytes")
    if any(not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) for key in data):
        raise invalid(
            "data: Invalid value: a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        )
    if old and old["type"] != new["type"]:
        raise invalid(f'type: Invalid value: "{new["type"]}": field is immutable')
    if new["type"] == "kubernetes.io/tls":
        for key in ("tls.crt", "tls.key"):
            if key not in data:
                raise invalid(f"data[{key}]: Required value")


def modified(resource: Resource, name: str) -> Refusal:
    what = f'Operation cannot be fulfilled on {resource.plural} "{name}"'
    return Refusal(
        409, "Conflict", f"{what}: the object has been modified; please apply your changes to the latest version"
    )


def suffix() -> str:
    return "".join(random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))


def _namespace(name: str) -> Obj:
    return {"metadata": {"name": name}, "status": {"phase": "Active"}}
