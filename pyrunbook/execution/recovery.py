"""Bring a run that died to an end: finish it when it was past its verification, put it back otherwise."""

from __future__ import annotations

import json
import socket
from typing import Literal

from pyrunbook import catalog
from pyrunbook.errors import ExitCode, Refused
from pyrunbook.execution import leftovers
from pyrunbook.execution.play import Request
from pyrunbook.execution.run import Listener, Result, Signals, operate, put_back
from pyrunbook.journal import Journal, Outcome, Run
from pyrunbook.journal.redaction import MASK

Way = Literal["resume", "rollback"]


def unfinished(service: str | None = None) -> list[Run]:
    """The runs that need an end, newest first."""
    if not Journal.exists():
        return []
    with Journal.open() as journal:
        return [run for run in journal.unfinished(service) if not run.check_mode]


def refuse_alive(run: Run, *, force: bool) -> None:
    """Refuse to touch a run that may still be going on.

    Raises:
        Refused: its process exists, or is on another machine and nobody has said that it is dead.
    """
    if run.machine == socket.gethostname():
        if leftovers.alive(run):
            raise Refused(
                f"Run {run.id} is still running: process {run.pid} of {run.operator}.",
                means="Nothing was changed.",
                next_step=f"wait for it, or interrupt it: kill -INT {run.pid}",
            )
        return
    if not force:
        raise Refused(
            f"Run {run.id} was started by {run.operator} on {run.machine}: from here nobody can tell whether it lives.",
            means="Nothing was changed.",
            next_step=f"make sure that it is dead, then: pyrunbook recover {run.id} --force",
        )


def way_for(run: Run) -> Way:
    """Forward when every open service had passed its verification (what is left only cleans up), back otherwise.

    A rollback is taken up again: putting back is what it is for.
    """
    if run.runbook == "deployment/rollback":
        return "resume"
    if run.outcome is Outcome.ROLLBACK_FAILED:
        return "rollback"
    open_services = [service for service in run.services if service.outcome is None and service.changed]
    rolling_back = any(s.step == "rollback" for service in open_services for s in service.steps)
    verified = open_services and all(
        any(step.step == "verify" and step.outcome in ("ok", "changed") for step in service.steps)
        for service in open_services
    )
    return "resume" if verified and not rolling_back else "rollback"


def abandon(run: Run) -> None:
    """Close a run that died before it reached any service, so before it could change anything."""
    with Journal.open() as journal:
        journal.end_run(run.id, Outcome.CANCELED, "the run died before it reached a service")


def recover(
    run: Run, on_event: Listener, *, way: Way | None = None, verbosity: int = 0, inventory: tuple[str, ...] = ()
) -> Result:
    """Bring one run to an end.

    Args:
        run: an unfinished run whose process is dead (see `refuse_alive`).
        on_event: gets the events.
        way: forward or back; `way_for` decides when `None`.
        verbosity: number of `-v`.
        inventory: sources in place of those that the run recorded.

    Raises:
        Refused: it cannot be resumed, because inputs of it were secret and are not recorded.
    """
    leftovers.end(run.id)
    if not run.services:
        abandon(run)
        return Result(Outcome.CANCELED, ExitCode.SUCCEEDED, "the run died before it reached a service", run)
    chosen = way or way_for(run)
    request = Request(
        playbook=catalog.load().get(run.runbook).path,
        inventory=inventory or tuple(run.inventory.split(", ")),
        run_id=run.id,
        mode="resume",
        limit=",".join(service.service for service in run.services if service.outcome is None),
        extra_vars=run.inputs,
        verbosity=verbosity,
    )
    if chosen == "resume":
        if MASK in json.dumps(run.inputs):
            raise Refused(
                f"Run {run.id} had secret inputs, which the journal does not keep, so it cannot be resumed.",
                next_step=f"pyrunbook recover {run.id} --rollback",
            )
        return operate(request, on_event)
    signals = Signals(on_event)
    with signals.handled():
        result = put_back(
            request, run, Outcome.ROLLED_BACK, run.cause or "the run died before its end", signals, on_event
        )
    on_event(
        {
            "event": "run_ended",
            "run": run.id,
            "outcome": str(result.outcome),
            "cause": result.cause or None,
            "exit_code": int(result.exit_code),
            "next_step": result.next_step or None,
        }
    )
    return result
