"""Bring a run that died to an end: finish it when it was past its verification, put it back otherwise."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pyrunbook import catalog, places
from pyrunbook.errors import BadInput, ExitCode, Refused
from pyrunbook.execution import leftover_processes, password_prompts
from pyrunbook.execution.inventory import services
from pyrunbook.execution.play import Request
from pyrunbook.execution.run import (
    Result,
    Telling,
    bring_to_an_end,
    end_plain,
    open_services,
    put_back,
    settle,
    unknown,
    verified,
)
from pyrunbook.execution.signals import Listener, Signals
from pyrunbook.journal import Journal, JournalError, Outcome, Run
from pyrunbook.project.problem import InvalidFile
from pyrunbook.redaction import MASK
from pyrunbook.run_contract import INPUT_WINDOW_OVERRIDE

Way = Literal["resume", "rollback"]


def unfinished(service: str | None = None) -> list[Run]:
    """The runs that were not brought to an end, newest first."""
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
        if leftover_processes.alive(run):
            raise Refused(
                f"Run {run.id} is still running: process {run.pid} of {run.operator}.",
                means="Nothing was changed.",
                next_step=f"wait for it, or interrupt it: kill -INT {run.pid}",
            )
        return
    if not force:
        raise Refused(
            f"Run {run.id} was started by {run.operator} on {run.machine}: it may still be running there.",
            means="Nothing was changed.",
            next_step=f"make sure that it is dead, then: pyrunbook recover {run.id} --force",
        )


def way_for(run: Run) -> Way:
    """Forward when every open service has passed its verification, because only cleaning up is left; back otherwise.

    A run of a runbook that undoes others goes forward in any case: its work is to put back. Where a runbook has an undo
    of its own, the way is back, and that undo decides what stays.
    """
    if run.plain:
        return "rollback"
    known = catalog.load()
    if run.runbook in {runbook.metadata.undone_by for runbook in known}:
        return "resume"
    if not known.get(known.get(run.runbook).metadata.undone_by).keeps_verified:
        return "rollback"
    if run.only_steps:  # finishing would do more than was asked for
        return "rollback"
    begun = [s for s in run.services if s.service in open_services(run) and s.changed]
    return "resume" if begun and all(verified(service) for service in begun) else "rollback"


def runbook_of(run: Run) -> catalog.Runbook | None:
    """The runbook of a run; `None` where a plain playbook is gone: what is gone puts nothing back, and has an end.

    Raises:
        InvalidFile: it cannot be read; mended, it may say what puts the run back.
        BadInput: there is none any more, of a run that is not a plain playbook's.
    """
    try:
        return catalog.load().get(run.runbook)
    except InvalidFile as error:
        raise InvalidFile(list(error.problems), next_step=f"mend it, then: pyrunbook recover {run.id}") from error
    except BadInput:
        if not run.plain:
            raise
        return None


def to_clean_up(wanted: str = "") -> Run | None:
    """The run whose id begins so, if it ended `not_cleaned_up`; without `wanted` the newest that can still clean up.

    Raises:
        Refused: a later run has changed one of its services, so what is left may belong to that one.
    """
    with Journal.open() as journal:
        if not wanted:
            left = journal.history(limit=None, outcome=Outcome.NOT_CLEANED_UP)
            return next((run for run in left if not run.check_mode and not _changed_since(run, journal)), None)
        try:
            run = journal.get(wanted)
        except BadInput:
            return None
        if run.outcome is not Outcome.NOT_CLEANED_UP:
            return None
        for name, later in _changed_since(run, journal):
            raise Refused(
                f"Run {later.id} has changed {name} after run {run.id}, so nothing that run {run.id} left is removed.",
                means="Nothing was changed.",
                next_step=f"pyrunbook report {later.id}, and look at what is there",
            )
    return run


def _changed_since(run: Run, journal: Journal) -> list[tuple[str, Run]]:
    """The services of a run that later runs have changed, each with that run."""
    return [
        (name, later)
        for name in open_services(run)
        for later in journal.history(limit=None, service=name)
        if later.started > run.started and (part := later.service(name)) and part.changed
    ]


def recover(
    run: Run,
    on_event: Listener,
    *,
    way: Way | None = None,
    verbosity: int = 0,
    inventory: tuple[str, ...] = (),
    inputs: Mapping[str, Any] | None = None,
    told: Mapping[str, str] | None = None,
) -> Result:
    """Bring one run to an end.

    Args:
        run: an unfinished run whose process is dead (see `refuse_alive`).
        on_event: gets the events; `run_started` first and `run_ended` last.
        way: forward or back; `way_for` decides when `None`.
        verbosity: number of `-v`.
        inventory: sources in place of those that the run recorded.
        inputs: in place of those that it recorded.
        told: as of `Request`.

    Returns:
        How it ended. A run that was put back is what was asked for, so its exit code is that of a success. One that
        still could not be cleaned up keeps its own.

    Raises:
        Refused: another recovery is going on here; or the run cannot be resumed, because inputs of it were secret and
            are not recorded.
        BadInput: the run's inventory cannot be read any more.
    """
    password_prompts.answers()
    with _alone():
        request = Request(
            playbook=Path(run.runbook),
            inventory=inventory or tuple(run.inventory.split(", ")),
            run_id=run.id,
            limit=",".join(open_services(run)),
            extra_vars=dict(recorded_inputs(run) if inputs is None else inputs),
            verbosity=verbosity,
            undone_by="",
            plain=run.runbook if run.plain else "",
            told=dict(told or {}),
        )
        return _recover(run, request, on_event, way or way_for(run), forward=way is None)


def _recover(run: Run, request: Request, on_event: Listener, way: Way, *, forward: bool) -> Result:
    resumes = way == "resume" and bool(open_services(run))
    if resumes and MASK in json.dumps(run.inputs):
        raise Refused(
            f"Run {run.id} had secret inputs, which the journal does not keep, so it cannot be resumed.",
            next_step=f"pyrunbook recover {run.id} --rollback",
        )
    if resumes and run.only_steps:
        raise Refused(
            f"Run {run.id} was asked for {', '.join(run.only_steps)} only; finishing it would do more.",
            next_step=f"pyrunbook recover {run.id} --rollback",
        )
    leftover_processes.end(run.id)
    request = replace(request, mode="resume" if resumes else "recover")
    if runbook := runbook_of(run):
        request = replace(request, playbook=runbook.path, undone_by=runbook.undone_by)
    if run.plain:
        places.use_config_for(request.playbook)
    if open_services(run) and not run.plain:
        _check_inventory(run, request)
    tell = Telling(request, on_event)
    signals = Signals(tell)
    tell.started(run.runbook)
    try:
        with signals.handled():
            if not run.services:
                result = _abandon(run)
            elif not open_services(run):
                result = settle(run)
            elif run.plain:
                result = end_plain(request, run, Outcome.ROLLED_BACK, _cause(run), signals, tell)
            elif resumes:
                result = bring_to_an_end(request, signals, tell)
            else:
                result = put_back(request, run, Outcome.ROLLED_BACK, _cause(run), signals, tell, forward=forward)
    except BadInput as error:
        tell.ended(Result(None, error.exit_code, error.seen, next_step=error.next_step))
        raise
    except JournalError as error:
        result = unknown(run.id, "the recovery was begun, but", error)
    if result.exit_code is ExitCode.PUT_BACK:
        result = replace(result, exit_code=ExitCode.SUCCEEDED)
    return tell.ended(result)


def _check_inventory(run: Run, request: Request) -> None:
    """Refuse an inventory in which the services are no longer what they were: a play would fail in the middle.

    Raises:
        BadInput: it cannot be read, or names another platform or none (as after group_vars was emptied).
    """
    known = services(request.inventory, request.limit)
    for part in (part for part in run.services if part.service in open_services(run)):
        platform = str(known.get(part.service, {}).get("service_platform", "nothing"))
        if platform != part.platform and "{{" not in platform:
            raise BadInput(
                f"service_platform of {part.service} is {part.platform} in the record of run {run.id}; "
                f"the inventory {', '.join(request.inventory)} says {platform}",
                means="The inventory was edited after the run began. Nothing was changed.",
                next_step=f"restore it (group_vars, host_vars), then: pyrunbook recover {run.id}",
            )


def _cause(run: Run) -> str:
    """Why the run has to be put back: its recorded cause, or else the first error; without either it died."""
    failed = [step.error for part in run.services for step in part.steps if step.error]
    return run.cause or next(iter(failed), "the run died before its end")


def recorded_inputs(run: Run) -> dict[str, Any]:
    """The inputs to recover a run with; one that only has to clean up does not wait for its window."""
    if run.plain:
        return run.known_inputs
    if way_for(run) != "resume" or INPUT_WINDOW_OVERRIDE in run.inputs:
        return run.inputs
    return {**run.inputs, INPUT_WINDOW_OVERRIDE: "only cleaning up is left after its verification"}


def give_up(run: Run) -> None:
    """End the run of a plain playbook as it was left, whatever there is to put back."""
    with Journal.open() as journal:
        for part in run.services:
            if part.outcome is None:
                outcome = Outcome.LEFT_CHANGED if part.changed else Outcome.CANCELED
                journal.conclude(run.id, part.service, outcome, "its lock was broken")
        journal.end_run(run.id, Outcome.LEFT_CHANGED if run.changed else Outcome.CANCELED, "its lock was broken")


def _abandon(run: Run) -> Result:
    """Close a run that died before it reached any service, so before it could change anything."""
    cause = "the run died before it reached a service"
    with Journal.open() as journal:
        journal.end_run(run.id, Outcome.CANCELED, cause)
    return Result(Outcome.CANCELED, ExitCode.SUCCEEDED, cause, run)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Lock the state directory: two recoveries at once would end each other's plays."""
    directory = os.open(places.private_directory(places.home()), os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Refused(
            f"Another pyrunbook recover is going on ({places.home()} is locked).",
            means="Nothing was changed.",
            next_step="wait for it, then: pyrunbook recover --list",
        ) from error
    finally:
        os.close(directory)
