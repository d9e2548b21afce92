"""What the journal holds, as plain data. All instants are aware and in UTC."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from pyrunbook.journal.outcome import Outcome, StepOutcome
from pyrunbook.redaction import MASK
from pyrunbook.run_contract import CHANGED, MAYBE_CHANGED, STEP_PLAN

Mode = Literal["run", "resume", "recover", "rollback"]


def new_run_id() -> str:
    """A fresh id: 8 hex digits."""
    return secrets.token_hex(4)


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """What is known when a run begins.

    Attributes:
        id: 8 hex digits, see `new_run_id`.
        runbook: `<category>/<name>`.
        operator: login name of the person.
        machine: host name of the controller.
        pid: process that drives the play.
        process_started: when that process began, seconds since the epoch; a later one may have the same pid.
        inventory: as the operator named it.
        project: directory of the project; empty where the shipped runbooks alone were there, `None` where nobody knows.
        inputs: extra variables, redacted.
        strategy: `update_strategy` of the run; `None` where it differs by service or does not apply.
        only_steps: ids of the steps that were asked for; `None` where all were.
        check_mode: whether nothing is changed.
        mode: why the play was started.
        rollback_of: run that is undone, where `mode` is `rollback`.
    """

    id: str
    runbook: str
    operator: str
    machine: str
    pid: int
    process_started: float
    inventory: str
    inputs: dict[str, Any] = field(default_factory=dict)
    strategy: str | None = None
    only_steps: list[str] | None = None
    check_mode: bool = False
    mode: Mode = "run"
    rollback_of: str | None = None
    project: str | None = None


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """A step of a service. `ended` and `outcome` are `None` while it runs, and for ever when its process died."""

    step: str
    title: str
    attempt: int
    position: int
    started: datetime
    ended: datetime | None
    outcome: StepOutcome | None
    detail: str
    error: str | None

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return (self.ended - self.started).total_seconds() if self.ended else None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a step measured."""

    step: str
    name: str
    value: Any
    attempt: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Attestation:
    """The operator's recorded "yes, that is so"."""

    name: str
    by: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ServiceRun:
    """What happened to one service in a run.

    Attributes:
        window: the decision of the window, as `pyrunbook.windows` gave it.
        override_reason: why the run was allowed outside its window.
        plan_id: rollback plan; `None` until one is recorded.
        plan_checksum: SHA-256 of the plan, hex.
        changed: whether the plan is recorded and changes may have happened since.
    """

    service: str
    platform: str
    window: dict[str, Any] | None
    override_reason: str | None
    plan_id: str | None
    plan_checksum: str | None
    changed: bool
    outcome: Outcome | None
    cause: str | None
    ended: datetime | None
    steps: list[StepRun] = field(default_factory=list)
    attestations: list[Attestation] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def what_changed(self) -> list[str]:
        """The titles of the steps of a plain playbook that have changed something, or failed or died and may have."""
        told = {
            step.title if step.outcome == "changed" else f"{step.title} (perhaps)": None
            for step in self.steps
            if step.outcome in (None, "changed") or {CHANGED, MAYBE_CHANGED} & {*step.detail.split(" · ")}
        }
        return list(told)

    @property
    def left_nothing(self) -> bool:
        """Whether its steps say that they have left nothing that can be undone."""
        told = [
            each.value["undoable"]
            for each in self.evidence
            if isinstance(each.value, dict) and "undoable" in each.value
        ]
        return bool(told) and not any(told)


@dataclass(frozen=True, kw_only=True)
class Run(RunStart):
    """One run. `attempt` counts from 1; it grows by one each time an unfinished run is resumed.

    `pid`, `process_started`, `machine`, `operator` and `mode` are those of the last attempt.
    """

    attempt: int
    started: datetime
    ended: datetime | None
    outcome: Outcome | None
    cause: str | None
    services: list[ServiceRun] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether the run is finished. One that could not be put back is not."""
        return self.ended is not None and self.outcome is not Outcome.ROLLBACK_FAILED

    @property
    def changed(self) -> bool:
        """Whether anything may have been changed on any service."""
        return any(service.changed for service in self.services)

    @property
    def known_inputs(self) -> dict[str, Any]:
        """Its inputs without those that were secret, which are not recorded."""
        return {name: value for name, value in self.inputs.items() if MASK not in str(value)}

    @property
    def plain(self) -> bool:
        """Whether it is a run of a plain playbook, on hosts of its own: those have no platform."""
        return bool(self.services) and all(not service.platform for service in self.services)

    @property
    def undoable(self) -> bool:
        """Whether a rollback finds something to put back: not where only steps before the plan were asked for.

        A step that left nothing says so in its evidence. The run must have been read whole.
        """
        if all(service.left_nothing for service in self.services if service.changed):
            return False
        if not self.only_steps:
            return True
        orders = [[step.step for step in service.steps] for service in self.services]
        return not all(
            STEP_PLAN in order and not {*order[order.index(STEP_PLAN) :]} & {*self.only_steps} for order in orders
        )

    @property
    def stays_on(self) -> list[str]:
        """The services that were not put back. The run must have been read whole."""
        done = (Outcome.SUCCEEDED, Outcome.NOT_CLEANED_UP)
        return [
            each.service for each in self.services if each.changed and each.outcome in done and not each.left_nothing
        ]

    @property
    def seconds(self) -> float | None:
        """From the first start to the end."""
        return (self.ended - self.started).total_seconds() if self.ended else None

    def service(self, name: str) -> ServiceRun | None:
        """The part of one service; `None` when the run did not reach it."""
        return next((service for service in self.services if service.service == name), None)

    def summary(self) -> dict[str, Any]:
        """What `history` shows of the run, as JSON-like data."""
        left_out = ("services", "inputs", "pid", "process_started")
        result: dict[str, Any] = {key: value for key, value in self.as_dict().items() if key not in left_out}
        result["seconds"] = self.seconds
        result["services"] = [
            {
                "service": part.service,
                "platform": part.platform,
                "changed": part.changed,
                "outcome": _plain(part.outcome),
            }
            for part in self.services
        ]
        return result

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON-like data; instants as ISO 8601 in UTC, ending in `Z`."""
        result: dict[str, Any] = _plain(asdict(self))
        return result


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, (Outcome, StepOutcome)) else value
