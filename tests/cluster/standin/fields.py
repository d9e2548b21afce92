"""Fields of objects: their leaves, merging, and the patches that Kubernetes knows.

Lists whose items all have a `name` are merged by it (containers, env, volumes, named ports); every other list, and a
selector, is one value. Real schemas say more; for what the steps apply it is the same.
"""

from __future__ import annotations

import copy
import json
from typing import Any

Path = tuple[str, ...]
_ATOMIC = {("spec", "selector")}
_CONTAINER = {
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "ports",
    "env",
    "envFrom",
    "resources",
    "volumeMounts",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "imagePullPolicy",
    "securityContext",
    "terminationMessagePath",
    "terminationMessagePolicy",
}
_IDENTITY = {("apiVersion",), ("kind",)}
_SERVER = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "deletionTimestamp",
)


def keyed(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in value)
    )


def leaves(obj: dict[str, Any]) -> dict[Path, Any]:
    """Every field that a manager can own, by its path."""
    found: dict[Path, Any] = {}

    def walk(value: Any, path: Path) -> None:
        if path in _IDENTITY or path == ("status",):
            return
        if len(path) == 2 and path[0] == "metadata" and path[1] in _SERVER:
            return
        if isinstance(value, dict) and value and path not in _ATOMIC:
            for key, item in value.items():
                walk(item, (*path, str(key)))
        elif keyed(value):
            for item in value:
                walk(item, (*path, f"[name={item['name']}]"))
        else:
            found[path] = copy.deepcopy(value)

    walk(obj, ())
    found.pop((), None)
    return found


def encode(paths: set[Path]) -> dict[str, Any]:
    """`FieldsV1` of `metadata.managedFields`: `{"f:spec": {"f:replicas": {}}}`; list items are `k:{"name":"x"}`."""
    found: dict[str, Any] = {}
    for path in sorted(paths):
        place = found
        for part in path:
            key = f'k:{{"name":{json.dumps(part[6:-1])}}}' if part.startswith("[name=") else f"f:{part}"
            place = place.setdefault(key, {})
    return found


def decode(encoded: dict[str, Any], path: Path = ()) -> set[Path]:
    """The paths that `encode` wrote."""
    found: set[Path] = set()
    for key, inner in encoded.items():
        if key == ".":
            continue
        part = f"[name={json.loads(key[2:])['name']}]" if key.startswith("k:") else key[2:]
        found |= decode(inner, (*path, part)) if inner else {(*path, part)}
    return found


def unfit(obj: dict[str, Any]) -> list[str]:
    """Where an object does not fit its schema, in the words of a server-side apply; a few common mistakes only."""
    found: list[str] = []
    known = {"apiVersion", "kind", "metadata", "spec", "status", "data", "binaryData", "immutable"}
    found += [f".{key}: field not declared in schema" for key in obj if key not in known]

    def strings(values: Any, at: str) -> None:
        for key, value in (values or {}).items():
            if value is not None and not isinstance(value, str):
                found.append(f"{at}.{key}: expected string, got &value.valueUnstructured{{Value:{value}}}")

    template = (obj.get("spec") or {}).get("template") or {}
    for metadata, at in ((obj.get("metadata"), ".metadata"), (template.get("metadata"), ".spec.template.metadata")):
        strings((metadata or {}).get("labels"), f"{at}.labels")
        strings((metadata or {}).get("annotations"), f"{at}.annotations")
    strings(obj.get("data"), ".data")
    for container in (template.get("spec") or {}).get("containers") or []:
        at = f'.spec.template.spec.containers[name="{container.get("name")}"]'
        found += [f"{at}.{key}: field not declared in schema" for key in container if key not in _CONTAINER]
        names = [entry.get("name") for entry in container.get("env") or []]
        found += [f'{at}.env: duplicate entries for key [name="{n}"]' for n in names if names.count(n) > 1][:1]
        for entry in container.get("env") or []:
            strings({"value": entry.get("value")}, f'{at}.env[name="{entry.get("name")}"]')
    return found


def shown(path: Path) -> str:
    """`.spec.template.spec.containers[name=app].image`."""
    return "".join(part if part.startswith("[") else f".{part}" for part in path)


def without_identity(obj: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(obj)
    for key in _SERVER[2:]:
        result.get("metadata", {}).pop(key, None)
    result.pop("status", None)
    return result


def merge(live: Any, applied: Any, path: Path = ()) -> Any:
    """What an apply makes of the live value."""
    if isinstance(live, dict) and isinstance(applied, dict) and path not in _ATOMIC:
        result = dict(copy.deepcopy(live))
        for key, value in applied.items():
            result[key] = merge(live.get(key), value, (*path, str(key)))
        return result
    if keyed(live) and keyed(applied):
        given = {item["name"]: item for item in applied}
        result_list = [
            merge(i, given.pop(i["name"]), (*path, "[]")) if i["name"] in given else copy.deepcopy(i) for i in live
        ]
        return result_list + [copy.deepcopy(item) for item in given.values()]
    return copy.deepcopy(applied)


def remove(obj: Any, path: Path) -> None:
    """Take the field out, and the list item or mapping that it leaves empty."""
    head, rest = path[0], path[1:]
    if head.startswith("[name="):
        name = head[6:-1]
        index = next((i for i, item in enumerate(obj) if item.get("name") == name), None) if keyed(obj) else None
        if index is None:
            return
        if rest and rest != ("name",):
            remove(obj[index], rest)
        elif rest == ("name",):
            del obj[index]
        return
    if not isinstance(obj, dict) or head not in obj:
        return
    if rest:
        remove(obj[head], rest)
        if obj[head] in ({}, []):
            del obj[head]
    else:
        del obj[head]


def merge_patch(live: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(copy.deepcopy(live)) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_patch(live: Any, patch: Any) -> Any:
    """Strategic merge patch without directives: as a merge patch, but named list items are merged by name."""
    if keyed(live) and keyed(patch):
        given = {item["name"]: item for item in patch}
        result = [strategic_patch(i, given.pop(i["name"])) if i["name"] in given else copy.deepcopy(i) for i in live]
        return result + [copy.deepcopy(item) for item in given.values()]
    if not isinstance(patch, dict) or not isinstance(live, dict):
        return merge_patch(live, patch)
    merged = dict(copy.deepcopy(live))
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = strategic_patch(merged.get(key), value)
    return merged


def json_patch(live: Any, operations: list[dict[str, Any]]) -> Any:
    """JSON patch (RFC 6902): add, remove, replace, test.

    Raises:
        ValueError: an operation cannot be done, or a test does not hold.
    """
    result = copy.deepcopy(live)
    for operation in operations:
        parts = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        parent = result
        try:
            for part in parts[:-1]:
                parent = parent[int(part)] if isinstance(parent, list) else parent[part]
            last: Any = parts[-1]
            word = operation["op"]
            if isinstance(parent, list):
                last = len(parent) if last == "-" else int(last)
            if word == "test":
                if parent[last] != operation.get("value"):
                    raise ValueError(f"testing path {operation['path']} value failed")
            elif word == "remove":
                del parent[last]
            elif word == "add" and isinstance(parent, list):
                parent.insert(last, copy.deepcopy(operation["value"]))
            elif word in ("add", "replace"):
                if word == "replace":
                    parent[last]
                parent[last] = copy.deepcopy(operation["value"])
            else:
                raise ValueError(f"operation {word} is not supported")
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"{operation['op']} of {operation['path']} does not apply") from error
    return result
