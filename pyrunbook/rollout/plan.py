"""Rollback plans: what was there before the first change, in one file that a rollback can be executed from alone.

A plan's file is `<plans>/<plan id>/<service>.json`, 0600 below a 0700 directory, written once and durably:
`{"sha256": <sum of the canonical JSON of "plan">, "plan": {…}}`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pyrunbook import places
from pyrunbook.errors import BadInput
from pyrunbook.on_target import durable

PLAIN, REFERRING = 1, 2
"""Versions of the plan's form; a plan of another version is refused, not guessed at. The second one has checks that
refer to the inventory (see `pyrunbook.rollout.kept_checks`), which an older pyrunbook cannot follow."""


@dataclass(frozen=True)
class Plan:
    """What was there before a run changed anything.

    Attributes:
        service: inventory name of the service.
        platform: `host` or `kubernetes`.
        runbook: id of the runbook that the run executed.
        created: ISO 8601, UTC.
        active: the color that served.
        release: what the active color served, as far as the platform knows.
        backup: `{"path", "sha256", …}` of the run's backup, `None` when there is none.
        verify: the checks (see `pyrunbook.rollout.checks`) that the service passed before, and must pass again; what
            may be secret in them is referred to (see `pyrunbook.rollout.kept_checks`).
        host: what platform `host` needs, see `pyrunbook.on_target.slots.Slots.put_back`.
        kubernetes: what platform `kubernetes` needs, see `pyrunbook.kubernetes.plan`.
    """

    id: str
    service: str
    platform: str
    runbook: str
    operator: str
    created: str
    active: str
    preview: str
    release: str | None
    backup: dict[str, Any] | None = None
    verify: list[dict[str, Any]] | None = None
    host: dict[str, Any] | None = None
    kubernetes: dict[str, Any] | None = None
    schema: int = PLAIN

    def checksum(self) -> str:
        """SHA-256 of the plan's canonical JSON, in hex."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def sealed(self) -> str:
        """The file's text: the plan with its checksum."""
        return json.dumps({"sha256": self.checksum(), "plan": asdict(self)}, indent=1, sort_keys=True)


def path_of(plan_id: str, service: str, directory: Path | None = None) -> Path:
    """Where the plan of a run and a service is kept on this machine."""
    return (directory or places.plans()) / plan_id / f"{service}.json"


def record(plan: Plan, directory: Path | None = None) -> tuple[Plan, bool]:
    """Keep a plan on this machine; the first one recorded for a run and a service stays.

    Args:
        directory: of all plans; the default one in the state directory.

    Returns:
        The plan that is on disk now, and whether it was written by this call. A resumed run finds the plan of its first
        attempt: what is there by then is no longer what was there before the first change.

    Raises:
        BadInput: the plan on disk is damaged.
    """
    path = path_of(plan.id, plan.service, directory)
    if path.exists():
        return read(path), False
    places.private_directory(path.parent)
    durable.write(str(path), plan.sealed().encode())
    return plan, True


def unseal(text: str, origin: str) -> Plan:
    """A plan from the text that `Plan.sealed` gave.

    Args:
        origin: where it comes from, for the error.

    Raises:
        BadInput: it is not a plan, not of this version, or its checksum does not match.
    """
    remedy = "pyrunbook rollback plans lists the sound ones"
    try:
        sealed = json.loads(text)
        body = sealed["plan"]
        if body.get("schema") not in (PLAIN, REFERRING):
            raise BadInput(
                f"{origin}: a rollback plan of schema {body.get('schema')}; "
                f"this pyrunbook reads schema {PLAIN} and {REFERRING}",
                next_step="use the version of pyrunbook that wrote it",
            )
        known = {field.name for field in fields(Plan)}
        plan = Plan(**{key: value for key, value in body.items() if key in known})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{origin} is not a rollback plan: {error}", next_step=remedy) from error
    if plan.checksum() != sealed.get("sha256"):
        raise BadInput(
            f"{origin}: the checksum does not match",
            means="The plan was changed or damaged after it was recorded, so it is not executed.",
            next_step=remedy,
        )
    return plan


def read(path: Path) -> Plan:
    """Read a plan and check its sum.

    Raises:
        BadInput: there is none, or it is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"no rollback plan at {path}: {error.strerror}", next_step="pyrunbook rollback plans lists those there are"
        ) from error
    return unseal(text, str(path))


def local(directory: Path | None = None) -> list[Plan]:
    """The sound plans kept on this machine, newest first. Damaged ones are left out; `read` says why."""
    found = []
    for path in (directory or places.plans()).glob("*/*.json"):
        try:
            found.append(read(path))
        except BadInput:
            continue
    return sorted(found, key=lambda plan: plan.created, reverse=True)


def find(selector: str, directory: Path | None = None) -> list[Plan]:
    """The plans of one run: one for each service that it changed.

    Args:
        selector: `latest`, a run's id, or an unambiguous beginning of one.
        directory: of all plans.

    Raises:
        BadInput: none or several runs match.
    """
    plans = local(directory)
    ids = list(dict.fromkeys(plan.id for plan in plans))
    matching = ids[:1] if selector == "latest" else [plan_id for plan_id in ids if plan_id.startswith(selector)]
    if len(matching) != 1:
        seen = f"{len(matching)} rollback plans match {selector!r}" if matching else f"no rollback plan {selector!r}"
        raise BadInput(
            f"{seen} on this machine (there is: {', '.join(ids[:10]) or 'none'})",
            next_step="pyrunbook rollback plans",
        )
    return [plan for plan in plans if plan.id == matching[0]]
