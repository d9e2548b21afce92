"""Where the rotation of a certificate stands, from the disk as it is: `rotation.json`, `retired.json`, the link.

What was being done is written before it is done, so that whoever comes after a killed process knows which way it was
going. See `certificate_pair` for the directory and the moves.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from . import durable

CERTIFICATE, KEY = "certificate.pem", "key.pem"
STAGING, STAGED, ACTIVATING, ACTIVATED = "staging", "staged", "activating", "activated"
RELOADED, PROVEN, PUTTING_BACK, PUT_BACK = "reloaded", "proven", "putting_back", "put_back"
FORWARD = (STAGING, STAGED, ACTIVATING, ACTIVATED, RELOADED, PROVEN)
"""The steps of a rotation, in order. `putting_back` and `put_back` are the way back from any of them."""


class PairError(Exception):
    """The pair cannot be brought into the state asked for; the text is for the operator."""


def standing(directory: str) -> dict[str, Any]:
    """Where the pair and its rotation stand.

    Returns:
        `current`: the deployed version, empty where there is none; `versions`: all that are complete; `rotation`: None,
        or `{run, new, previous, step, since, about}`; `deployed`: of the rotation, `new`, `previous` or `other`;
        `can`: what the next command may do: `start`, `go_on`, `go_back`; `seen`: what happened, for the operator.

    Raises:
        PairError: `rotation.json` cannot be read.
        OSError: the directory cannot be read.
    """
    under_way, current = rotation(directory), linked(directory)
    found: dict[str, Any] = {"current": current, "versions": versions(directory), "rotation": under_way}
    if under_way is None:
        seen = "no rotation is under way; deployed: {}".format(current or "nothing")
        return dict(found, deployed="", can=["start"], seen=seen)
    old, new, step = under_way["previous"] or "nothing", under_way["new"], under_way["step"]
    began = "run {run} began to deploy {new} at {since}: ".format(**under_way)
    if current == new:
        where = "new"
    elif current == under_way["previous"]:
        where = "previous"
    else:
        seen = "{} is deployed, which it does not know; something else has changed it".format(current or "nothing")
        return dict(found, deployed="other", can=[], seen=began + seen)
    can = ["go_on", "go_back"]
    if step in (PUTTING_BACK, PUT_BACK):
        can = ["go_back"]
        if where == "new":
            seen = f"it is going back, and {new} is still deployed"
        else:
            seen = f"{old} is put back; the server may not have been reloaded since"
    elif where == "previous":
        seen = f"{old} is still deployed, nothing that serves has changed"
        if step == STAGING or new not in found["versions"]:
            can = ["go_back"]
    elif step == PROVEN:
        seen = "it is deployed and was seen served, only the end is missing"
    elif step == RELOADED:
        seen = "it is deployed and the server was reloaded, but nobody has seen it served"
    else:
        seen = f"it is deployed; the server was not reloaded and may still serve {old}"
    return dict(found, deployed=where, can=can, seen=began + seen)


def rotation(directory: str) -> dict[str, Any] | None:
    """The rotation that is under way; None between two."""
    data = _read(directory, "rotation.json")
    if data is None:
        return None
    if not isinstance(data, dict) or not {"run", "new", "previous", "step", "since"} <= set(data):
        raise PairError("{} cannot be read as the state of a rotation".format(os.path.join(directory, "rotation.json")))
    return data


def write(directory: str, data: dict[str, Any]) -> None:
    """Replace `rotation.json`, durably."""
    _write(directory, "rotation.json", data)


def retired(directory: str) -> list[dict[str, str]]:
    """Versions that were replaced and have yet to be revoked: `{version, since}`, the oldest first."""
    data = _read(directory, "retired.json")
    if data is None:
        return []
    if not isinstance(data, list):
        raise PairError("{} cannot be read as a list of versions".format(os.path.join(directory, "retired.json")))
    return data


def write_retired(directory: str, data: list[dict[str, str]]) -> None:
    """Replace `retired.json`, durably."""
    _write(directory, "retired.json", data)


def linked(directory: str) -> str:
    """The version that `current` names; empty where there is no link."""
    path = os.path.join(directory, "current")
    try:
        return os.path.basename(os.readlink(path))
    except FileNotFoundError:
        return ""
    except OSError:
        raise PairError(f"{path} is not a link; it must be one to a version") from None


def versions(directory: str) -> list[str]:
    """The versions that are complete."""
    try:
        return sorted(os.listdir(os.path.join(directory, "versions")))
    except FileNotFoundError:
        return []


def now() -> str:
    """`2026-11-21T22:45:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _read(directory: str, name: str) -> Any:
    """The data of a file; None where there is none, and text that is not JSON as itself."""
    try:
        with open(os.path.join(directory, name), encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _write(directory: str, name: str, data: Any) -> None:
    content = json.dumps(data, sort_keys=True, indent=1).encode()
    durable.write(os.path.join(directory, name), content, 0o644)
