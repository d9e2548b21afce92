"""Apply a release's manifests to the preview color, and to nothing else.

Everything is checked before the first write: the files, what they are about, and, by a dry run on the server, whether
the API takes every one of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes.client import Cluster, tries
from pyrunbook.kubernetes.errors import Conflict
from pyrunbook.kubernetes.export import plain
from pyrunbook.kubernetes.kinds import MANAGED, Manifest, api_version
from pyrunbook.kubernetes.ownership import ADOPTED, adopt
from pyrunbook.kubernetes.remove import wait_until_gone
from pyrunbook.kubernetes.state import read_service, release_of, selector_of
from pyrunbook.kubernetes.target import ServiceNames, other

_TRIES = 5
_NOT_OURS = (
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
)
"""What `kubectl get -o yaml` leaves in a manifest. An apply with an old `resourceVersion` is a conflict for ever, one
with `managedFields` is refused."""


class Source(NamedTuple):
    """A manifest and where it was read, `file:line`."""

    obj: Manifest
    at: str


def read_manifests(paths: Iterable[str | Path]) -> list[Source]:
    """Read manifest files and directories (their `.yaml`, `.yml` and `.json` files, not deeper).

    Raises:
        BadInput: a path is missing or empty, or a file is not YAML; names file and line.
    """
    found: list[Source] = []
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml", ".json"))
            if not files:
                raise BadInput(f"{path} holds no manifest (*.yaml, *.yml, *.json)")
        elif path.is_file():
            files = [path]
        else:
            raise BadInput(
                f"manifest {path} does not exist", next_step="correct deploy_green_manifests, or write the manifest"
            )
        for file in files:
            found += _documents(file)
    if not found:
        raise BadInput("there is no manifest to apply", next_step="set deploy_green_manifests")
    return found


def _documents(file: Path) -> list[Source]:
    found: list[Source] = []
    try:
        loader = yaml.SafeLoader(file.read_text())
        while loader.check_node():
            node = loader.get_node()
            document = loader.construct_document(node) if node else None
            if node is None or document is None:
                continue
            at = f"{file}:{node.start_mark.line + 1}"
            if not isinstance(document, dict):
                raise BadInput(f"{at}: a manifest must be a mapping, this is {type(document).__name__}")
            items = document.get("items") if document.get("kind") == "List" else [document]
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise BadInput(f"{at}: the items of a List must be manifests")
            found += [Source(item, at) for item in items]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"manifest {file} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise BadInput(f"{file}{line} is not YAML: {getattr(error, 'problem', error)}") from error
    return found


def prepare(
    cluster: Cluster,
    target: ServiceNames,
    color: str,
    sources: list[Source],
    *,
    minimum_replicas: int,
    release: str | None = None,
) -> list[Source]:
    """Check that manifests are about this color alone, and complete them.

    Every object gets the labels by which the color's objects are found again, and the Deployment at least
    `minimum_replicas`.

    Args:
        minimum_replicas: what the active color had when the run began.
        release: the release that the manifests must be of, where that is known.

    Returns:
        what to apply, in order.

    Raises:
        BadInput: names the file and line of the manifest that may not be applied, and why.
    """
    live_selector = selector_of(read_service(cluster, target.service))
    if live_selector.get(target.color_label) == color:
        raise BadInput(f"{color} serves; manifests are only applied to the color that does not")
    scope = target.scope(live_selector, color)
    prepared: list[Source] = []
    seen: dict[tuple[str, str], str] = {}
    for source in sources:
        obj = copy.deepcopy(source.obj)
        _check_identity(obj, source.at, cluster.namespace)
        key = (obj["kind"], obj["metadata"]["name"])
        if key in seen:
            raise BadInput(f"{source.at}: {key[0]} {key[1]} is in {seen[key]} already")
        seen[key] = source.at
        if obj["kind"] == "Service" and key[1] in (target.service, target.preview_service):
            obj = _shared_service(cluster, obj, source.at)
        else:
            _check_color(target, color, scope, obj, source.at)
            obj["metadata"]["labels"] = {**scope, **_mapping(obj["metadata"], "labels", source.at)}
        prepared.append(Source(obj, source.at))
    main = [
        s for s in prepared if (s.obj["kind"], s.obj["metadata"]["name"]) == ("Deployment", target.deployments[color])
    ]
    if not main:
        raise BadInput(
            f"the manifests hold no Deployment {target.deployments[color]}, which is {color} of {target.service}",
            next_step="add it, or correct service_colors in the inventory",
        )
    spec = main[0].obj["spec"]
    if not isinstance(spec.get("replicas", 1), int):
        raise BadInput(f"{main[0].at}: spec.replicas must be a number")
    spec["replicas"] = max(spec.get("replicas", 1), minimum_replicas, 1)
    offered = release_of(main[0].obj)
    if release and offered != release:
        raise BadInput(
            f"{main[0].at}: Deployment {target.deployments[color]} is release {offered}, expected {release}",
            means="the manifests are not those of the release to deploy",
        )
    order = list(MANAGED)
    return sorted(prepared, key=lambda s: order.index(s.obj["kind"]))


def release_and_replicas(prepared: list[Source], target: ServiceNames, color: str) -> tuple[str, int]:
    """The release of the color's Deployment in what `prepare` returned, and how many replicas it gets.

    Raises:
        BadInput: the Deployment does not name its release, so what serves could not be verified.
    """
    for source in prepared:
        if (source.obj["kind"], source.obj["metadata"]["name"]) == ("Deployment", target.deployments[color]):
            release = release_of(source.obj)
            if release:
                return release, int(source.obj["spec"]["replicas"])
            raise BadInput(
                f"{source.at}: Deployment {target.deployments[color]} does not say its release",
                next_step="add the label app.kubernetes.io/version to its pods, or a tag to its image",
            )
    raise BadInput(f"the manifests hold no Deployment {target.deployments[color]}")


def apply(
    cluster: Cluster,
    prepared: list[Source],
    *,
    force_conflicts: bool = False,
    check: bool = False,
    timeout: float = 120.0,
) -> dict[str, Any]:
    """Apply what `prepare` returned, after a dry run of all of it.

    Args:
        force_conflicts: take fields over from other managers.
        check: only the dry run.
        timeout: seconds for the end of a deletion that is under way of an object that shall be there.

    Returns:
        `changed`, `applied` (`Kind/name` to `created`, `configured` or `unchanged`), `deployments` (names).

    Raises:
        BadInput: the API refuses one of them; nothing was applied.
        Conflict: another manager owns fields that the manifests set; nothing was applied.
    """
    before = [cluster.get(s.obj["kind"], s.obj["metadata"]["name"]) for s in prepared]
    after = [_apply_one(cluster, s, force_conflicts, dry_run=True) for s in prepared]
    if not check:
        for source, live in zip(prepared, before, strict=True):
            _make_way(cluster, source.obj, live, timeout)
        after = [_apply_one(cluster, s, force_conflicts, dry_run=False) for s in prepared]
    applied = {}
    for source, old, new in zip(prepared, before, after, strict=True):
        kind, name = source.obj["kind"], source.obj["metadata"]["name"]
        same = old is not None and plain(old) == plain(new)
        applied[f"{kind}/{name}"] = "created" if old is None else "unchanged" if same else "configured"
    return {
        "changed": any(word != "unchanged" for word in applied.values()),
        "applied": applied,
        "deployments": [s.obj["metadata"]["name"] for s in prepared if s.obj["kind"] == "Deployment"],
    }


def _make_way(cluster: Cluster, wanted: Manifest, live: Manifest | None, timeout: float) -> None:
    """See that the live object becomes the manifest: that it is not on its way out, and that no old field stays."""
    kind, name = wanted["kind"], wanted["metadata"]["name"]
    if live is not None and live["metadata"].get("deletionTimestamp"):
        wait_until_gone(cluster, kind, name, timeout=timeout)
    elif live is not None and kind != "Service":
        adopt(cluster, kind, name, live)


def _apply_one(cluster: Cluster, source: Source, force: bool, *, dry_run: bool) -> Manifest:
    for _ in tries(_TRIES):
        try:
            return cluster.apply(source.obj, force=force, dry_run=dry_run)
        except Conflict as conflict:
            if not conflict.causes:  # another client wrote at the same moment
                continue
            if all(_is_ours(cause) for cause in conflict.causes):
                force = True
                continue
            fields = "; ".join(f"{c['field']}: {c['message']}" for c in conflict.causes)
            conflict.seen = f"{source.at}: other managers own fields of this manifest: {fields}"
            conflict.next_step = "leave the fields to them, or set deploy_green_force_conflicts: true to take them over"
            raise
        except BadInput as error:
            error.seen = f"{source.at}: {error.seen}"
            raise
    raise Conflict(f"{source.at}: the object changed {_TRIES} times while it was applied")


def _is_ours(cause: Mapping[str, str]) -> bool:
    """Whether we may take the field: `adopt` would make it ours, or it is the replica count, which we compute."""
    return any(f'"{m}"' in cause["message"] for m in ADOPTED) or cause["field"] == ".spec.replicas"


def _check_identity(obj: Manifest, at: str, namespace: str) -> None:
    for key in ("apiVersion", "kind"):
        if not isinstance(obj.get(key), str):
            raise BadInput(f"{at}: {key} is missing")
    metadata = _mapping(obj, "metadata", at)
    if not isinstance(metadata.get("name"), str):
        raise BadInput(f"{at}: metadata.name is missing (generateName is not supported)")
    kind = obj["kind"]
    if kind not in MANAGED:
        raise BadInput(
            f"{at}: kind {kind} is not applied by pyrunbook (only {', '.join(MANAGED)})",
            means="the rollback plan could not restore it, or must not hold it",
            next_step="apply it by its own means, and take it out of deploy_green_manifests",
        )
    if obj["apiVersion"] != api_version(kind):
        raise BadInput(f"{at}: {kind} must be of {api_version(kind)}, this is {obj['apiVersion']}")
    if metadata.get("namespace", namespace) != namespace:
        raise BadInput(
            f"{at}: {kind} {metadata['name']} is for namespace {metadata['namespace']}, the service is in {namespace}",
            next_step="remove metadata.namespace from the manifest, or correct service_namespace",
        )
    for key in _NOT_OURS:
        metadata.pop(key, None)
    obj.pop("status", None)
    if kind not in ("ConfigMap",) and not isinstance(obj.get("spec"), dict):
        raise BadInput(f"{at}: {kind} {metadata['name']} has no spec")


def _check_color(target: ServiceNames, color: str, scope: Mapping[str, str], obj: Manifest, at: str) -> None:
    """Refuse what is about the other color or would not be found again."""
    kind, name = obj["kind"], obj["metadata"]["name"]
    opposite = other(color)
    if kind == "Deployment" and name == target.deployments[opposite]:
        raise BadInput(f"{at}: Deployment {name} is {opposite}, but this deploys {color}")
    labels = _mapping(obj["metadata"], "labels", at)
    for key, value in scope.items():
        if labels.get(key, value) != value:
            raise BadInput(
                f"{at}: {kind} {name} is labelled {key}={labels[key]}, an object of {color} needs {key}={value}"
            )
    if kind == "Deployment":
        template = _mapping(_mapping(obj["spec"], "template", at), "metadata", at)
        pod_labels = _mapping(template, "labels", at)
        if pod_labels.get(target.color_label) == opposite:
            raise BadInput(f"{at}: the pods of Deployment {name} are labelled {target.color_label}={opposite}")
        missing = [f"{k}={v}" for k, v in scope.items() if pod_labels.get(k) != v]
        if name == target.deployments[color] and missing:
            raise BadInput(
                f"{at}: the pods of Deployment {name} lack the labels {', '.join(missing)}",
                means=f"Service {target.service} would not find them",
            )
    if kind == "HorizontalPodAutoscaler":
        reference = _mapping(obj["spec"], "scaleTargetRef", at)
        if reference.get("name") == target.deployments[opposite]:
            raise BadInput(f"{at}: HorizontalPodAutoscaler {name} scales {reference['name']}, which is {opposite}")


def _shared_service(cluster: Cluster, obj: Manifest, at: str) -> Manifest:
    """A Service of both colors with its live selector, if the manifest does not say another one.

    Not without one: a field that an earlier apply by pyrunbook set, and this one leaves out, is removed.
    """
    name = obj["metadata"]["name"]
    selector = obj["spec"].get("selector")
    live = read_service(cluster, name)
    if selector_of(live):
        obj["spec"]["selector"] = selector_of(live)
    if selector is not None and selector != selector_of(live):
        raise BadInput(
            f"{at}: Service {name} gets selector {selector}, the live one is {selector_of(live)}",
            means="applying it would move the traffic before the new color has been validated",
            next_step="take the Service out of deploy_green_manifests; the switch_service step moves the traffic",
        )
    return obj


def _mapping(parent: Mapping[str, Any], key: str, at: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{at}: {key} must be a mapping")
    return value
