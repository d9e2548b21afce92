"""What the command line and the play that it starts say to each other: environment variables, inputs and events.

A play of a direct ansible-playbook has no command line: there `RUN_ID` and `JOURNAL_BROKEN` alone are set, by the
journal's callback, which every process of the play inherits.
"""

from __future__ import annotations

import functools
import operator
import re
from typing import Any

import msgspec

ENV_RUN_ID = "PYRUNBOOK_RUN_ID"
"""Id of the run; set by the command line or by the journal's callback. Every process of the run has it."""
ENV_RUNBOOK = "PYRUNBOOK_RUNBOOK"
"""Id of the runbook that the command line runs: that of a plain playbook, which does not name itself (`runbook_id`)."""
ENV_MODE = "PYRUNBOOK_MODE"
"""`run`, `resume`, `recover` or `rollback`; see `pyrunbook.journal.RunStart`."""
ENV_EVENTS = "PYRUNBOOK_EVENTS"
"""A file to which the callback appends its events, one JSON object a line; set where a command line reads it."""
ENV_CLI_PID = "PYRUNBOOK_CLI_PID"
"""The process whose death ends the play at once."""
ENV_PLACES = "PYRUNBOOK_PLACES"
"""The places that the command line uses (`places.in_use`), as JSON; the play compares them with its own."""
ENV_JOURNAL_BROKEN = "PYRUNBOOK_JOURNAL_BROKEN"
"""Why the journal cannot be written; set by the callback. Steps refuse to change anything then."""

INPUT_WINDOW = "preflight_window"
"""Input: the window in place of the declared one."""
INPUT_WINDOW_OVERRIDE = "preflight_window_override"
"""Input: why the run may start outside its window."""
INPUT_ATTESTED = "preflight_attested"
"""Input: ids of the prerequisites that the operator attests."""

CHANGED, MAYBE_CHANGED = "changed", "perhaps changed"
"""What the journal says was seen of a step of a plain playbook."""

STEP_PLAN, STEP_VERIFY, STEP_ROLLBACK, STEP_CONCLUDE = "rollback_plan", "verify", "rollback", "conclude"
"""Ids of the steps by which an unfinished run is judged: changes begin after the first, and it goes forward once the
second has passed. A playbook gives these tags to the steps that record the plan, verify, put back and conclude."""


class PutBack(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The inputs of a play that puts back what another one left in the middle.

    Attributes:
        put_back_as: outcome of the run once everything is in place.
        rollback_reason: why it is put back.
        put_back_keeps: verified services, which stay while they serve, with their outcome.
    """

    put_back_as: str
    rollback_reason: str
    put_back_keeps: dict[str, str] = {}


class Event(
    msgspec.Struct,
    kw_only=True,
    tag_field="event",
    tag=lambda name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(),
):
    """What the callback tells the command line. In JSON, `event` is the name of the class: `run_started`.

    Attributes:
        run: id of the run.
        time: when, in UTC with milliseconds.
    """

    run: str
    time: str


class RunStarted(Event):
    """The first play of a run begins; the command line has said so itself."""

    runbook: str
    mode: str
    check: bool


class ServiceStarted(Event):
    """The batch that is about to begin has this service."""

    service: str
    platform: str


class HostsStarted(Event):
    """A play of a plain playbook is about to begin on these hosts, which no play of this run had before."""

    hosts: list[str]


class StepStarted(Event):
    """A service enters a step."""

    service: str
    step: str
    title: str


class StepEnded(Event):
    """A service leaves a step.

    Attributes:
        detail: what was seen, one line.
        bad_input: whether it failed on an input that is wrong.
        known: what the step's troubleshooting says of this error.
        seconds: how long it took.
    """

    service: str
    step: str
    title: str
    outcome: str
    detail: str
    error: str | None
    bad_input: bool
    known: list[dict[str, Any]]
    seconds: float


class Window(Event):
    """Whether the run may start now, and why the operator starts it anyway."""

    service: str
    decision: dict[str, Any]
    override: str | None


class Note(Event):
    """A line for the operator."""

    text: str


class PlayRefused(Event):
    """The play ends before its first task."""

    bad_input: bool
    error: str


class ServiceEnded(Event):
    """A service has come to its conclusion."""

    service: str
    outcome: str
    cause: str | None = None
    detail: str | None = None


class RunLeft(Event):
    """The play ends with a service in the middle; the command line puts it back."""


class RunEnded(Event):
    """The play ends, and every service has an outcome."""

    outcome: str
    cause: str | None


PlayEvent = functools.reduce(operator.or_, Event.__subclasses__())
"""Any event of a play."""


def name_of(kind: type[Event]) -> str:
    """The value of `event` in JSON."""
    return str(kind.__struct_config__.tag)


def checked(event: object) -> dict[str, Any]:
    """An event as it was read, whole and of the right types.

    Raises:
        msgspec.ValidationError: it is not one of `PlayEvent`.
    """
    whole: dict[str, Any] = msgspec.to_builtins(msgspec.convert(event, PlayEvent))
    return whole
