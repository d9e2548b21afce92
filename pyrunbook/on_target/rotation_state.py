"""How far the rotation of a certificate has come, from the files on disk: `rotation.json`, `retired.json`, the link.

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
    """How far a rotation has come; see `judge`.

    Raises:
        PairError: `rotation.json` cannot be read.
        OSError: the directory cannot be read.
    """
    return judge(linked(directory), versions(directory), rotation(directory))


def judge(current: str, present: list[str], under_way: dict[str, Any] | None) -> dict[str, Any]:
    """What the records of a pair say, wherever they are kept.

    Args:
        current: the deployed version, empty where there is none.
        present: the versions that are complete.
        under_way: the rotation, None between two.

    Returns:
        `current`: the deployed version, empty where there is none; `versions`: all that are complete; `rotation`: None,
        or `{run, new, previous, step, since, about}`; `deployed`: of the rotation, `new`, `previous`, `nothing` or
        `other`; `can`: what the next command may do: `start`, `go_on`, `go_back`; `seen`: what happened, for people.
    """
    found: dict[str, Any] = {"current": current, "versions": present, "rotation": under_way}
    if under_way is None:
        seen = "no rotation is under way; deployed: {}".format(current or "nothing")
        return dict(found, deployed="", can=["start"], seen=seen)
    old, new, step = under_way["previous"] or "nothing", under_way["new"], under_way["step"]
    began = "run {run} began to deploy {new} at {since}: ".format(**under_way)
    if current == new:
        where = "new"
    elif current == under_way["previous"]:
        where = "previous"
    elif not current:
        seen = "nothing is deployed any more, something else has taken it away"
        return dict(found, deployed="nothing", can=["go_back"], seen=began + seen)
    else:
        seen = f"{current} is deployed, which it does not know; something else has changed it"
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
        seen = "it is deployed and the server was reloaded, but it was not seen served yet"
    else:
        seen = f"it is deployed; the server was not reloaded and may still serve {old}"
    return dict(found, deployed=where, can=can, seen=began + seen)


def ended(
    under_way: dict[str, Any], current: str, present: list[str], waiting: list[dict[str, str]]
) -> tuple[list[dict[str, str]], list[str]]:
    """What is left when a rotation that was `proven` or `put_back` ends.

    Args:
        present: the versions that are complete.
        waiting: those that were retired before (`retired`).

    Returns:
        the retired versions, now with the one that this rotation has replaced, and the versions that go: what was never
        proven. Of what was, the previous one and those that have yet to be revoked stay.
    """
    back = under_way["step"] == PUT_BACK
    left = [each for each in waiting if each["version"] != current]
    if under_way["previous"] and not back and under_way["previous"] not in [each["version"] for each in left]:
        left.append(
            {
                "version": under_way["previous"],
                "since": now(),
                "run": under_way["run"],
                "replaced_by": under_way["new"],
                "undoes": under_way.get("undoes", ""),
            }
        )
    spared = {current, under_way["previous"], *(each["version"] for each in left)}
    spared |= {under_way["new"]} if under_way.get("kept") else set()
    return left, [name for name in present if name not in spared]


def rotation(directory: str) -> dict[str, Any] | None:
    """The rotation that is under way; None between two."""
    return as_rotation(_read(directory, "rotation.json"), os.path.join(directory, "rotation.json"))


def as_rotation(data: Any, place: str) -> dict[str, Any] | None:
    """What was read as the state of a rotation; None where there was nothing.

    Raises:
        PairError: it is not one; names the place.
    """
    if data is None:
        return None
    if not isinstance(data, dict) or not {"run", "new", "previous", "step", "since"} <= set(data):
        raise PairError(f"{place} cannot be read as the state of a rotation")
    return data


def write(directory: str, data: dict[str, Any]) -> None:
    """Replace `rotation.json`, durably."""
    _write(directory, "rotation.json", data)


def retired(directory: str) -> list[dict[str, str]]:
    """Versions that were replaced and have yet to be revoked, the oldest first.

    Each: `version`; `since`; `run`, the rotation that replaced it; `replaced_by`, its successor; `undoes`, where that
    rotation went back, the run that it has undone (older files lack these three).
    """
    return as_retired(_read(directory, "retired.json"), os.path.join(directory, "retired.json"))


def as_retired(data: Any, place: str) -> list[dict[str, str]]:
    """What was read as the list of retired versions; empty where there was nothing.

    Raises:
        PairError: it is not one; names the place.
    """
    if data is None:
        return []
    if not isinstance(data, list):
        raise PairError(f"{place} cannot be read as a list of versions")
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
