"""One operation from its start to a known end: run the playbook, and put back what it left in the middle."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pyrunbook import catalog, places
from pyrunbook.errors import BadInput, ExitCode, PyrunbookError
from pyrunbook.execution import inventory, password_prompts
from pyrunbook.execution.play import Ended, Request, perform
from pyrunbook.execution.signals import Listener, Signals
from pyrunbook.journal import JournalError, Outcome, Run, ServiceRun, next_step, worst
from pyrunbook.run_contract import STEP_CONCLUDE, STEP_ROLLBACK, STEP_VERIFY, PutBack

ROLLBACK_PAUSES = (0.0, 3.0, 10.0)
"""Seconds before each attempt of a rollback; only a machine that cannot be reached is given the time to come back."""
UNREACHABLE = 4
"""ansible-playbook's exit code when a host could not be reached."""


@dataclass(frozen=True)
class Result:
    """How it ended.

    Attributes:
        outcome: of the run; `None` when there was nothing to run on.
        exit_code: of the command line.
        cause: what failed first, empty on success.
        run: the run in the journal; `None` when the play did not get so far.
        next_step: what to type next, empty when nothing needs to be done.
        not_begun: services of later batches, which were not touched.
        left: what was changed and is not put back, a text for each host.
    """

    outcome: Outcome | None
    exit_code: ExitCode
    cause: str = ""
    run: Run | None = None
    next_step: str = ""
    not_begun: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class Telling:
    """Passes events on, so that every operation has one `run_started` first and one `run_ended` last.

    A listener that fails is ignored: a closed terminal is no reason to leave a service in the middle.
    """

    def __init__(self, request: Request, on_event: Listener) -> None:
        self._request = request
        self._on_event = on_event

    def __call__(self, event: dict[str, Any]) -> None:
        """Pass on an event of a play, but not its beginning and end: they are not those of the operation."""
        if event["event"] not in ("run_started", "run_ended", "run_left"):
            self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):
            self._on_event(event)

    def started(self, runbook: str = "") -> None:
        """The operation begins; the runbook is the playbook's own unless it is named."""
        playbook = self._request.playbook
        self._tell(
            {
                "event": "run_started",
                "run": self._request.run_id,
                "runbook": runbook or self._request.plain or f"{playbook.parent.name}/{playbook.stem}",
                "mode": self._request.mode,
                "check": self._request.check,
            }
        )

    def ended(self, result: Result) -> Result:
        """The operation has ended."""
        self._tell(
            {
                "event": "run_ended",
                "run": self._request.run_id,
                "outcome": str(result.outcome) if result.outcome else None,
                "cause": result.cause or None,
                "exit_code": int(result.exit_code),
                "next_step": result.next_step or None,
                "not_begun": list(result.not_begun),
                "left": list(result.left),
            }
        )
        return result


def operate(request: Request, on_event: Listener) -> Result:
    """Run a playbook; when it ends in anything but a conclusion, see to it that the rollback has happened.

    `on_event` gets the events of the play, of a rollback outside it, and at last one `run_ended`.

    Raises:
        BadInput: the play could not begin: no host matched, or the inventory or a file is wrong.
        JournalError: the journal cannot be used, so the play ended before its first task.
    """
    password_prompts.answers()
    tell = Telling(request, on_event)
    signals = Signals(tell)
    tell.started()
    try:
        with signals.handled():
            result = bring_to_an_end(request, signals, tell)
    except (BadInput, JournalError) as error:
        tell.ended(Result(None, error.exit_code, error.seen, next_step=error.next_step))
        raise
    return tell.ended(result)


def bring_to_an_end(request: Request, signals: Signals, tell: Listener) -> Result:
    """Play it, and put back what it left in the middle; `operate` without its first and its last event.

    Raises:
        BadInput: the play could not begin.
        JournalError: it could not be recorded, so it has not begun.
    """
    seen = {"begun": False, "bad_input": False}

    def listener(event: dict[str, Any]) -> None:
        seen["bad_input"] |= bool(event.get("bad_input"))
        tell(event)
        if not seen["begun"]:
            seen["begun"] = True
            from pyrunbook.journal import store  # noqa: F401 - takes 0.15 s, in which the play goes on

    ended = _performed(request, listener, signals.asked_to_end)
    try:
        result = _judge(request, ended, signals, tell)
    except JournalError as error:
        if not (ended.began or seen["begun"]):  # the play ends before its first task where it cannot be recorded
            raise
        said = "ansible-playbook ended well, but" if ended.code == 0 else "ansible-playbook failed, and"
        result = unknown(request.run_id, said, error)
    if signals.received and result.outcome is Outcome.SUCCEEDED:
        tell({"event": "note", "text": f"{signals.received} came too late: the run had already come to its end"})
    if result.run is not None and result.run.changed and result.outcome is not Outcome.SUCCEEDED and not request.plain:
        result = replace(result, not_begun=tuple(_missed(request, result.run)))
    if _nothing_to_put_back(result, bad_input=seen["bad_input"]):
        result = replace(result, exit_code=ExitCode.BAD_INPUT)
    return result


def _performed(request: Request, on_event: Listener, canceled: Callable[[], bool]) -> Ended:
    """`perform`; where ansible-runner itself fails, the play has ended, too, and the journal knows what it had done."""
    try:
        return perform(request, on_event, canceled)
    except Exception as error:
        told = str(error) if isinstance(error, PyrunbookError) else f"Error of ansible-runner: {error!r}"
        return Ended("failed", 1, tuple(told.splitlines()), no_hosts=False)


def unknown(run_id: str, said: str, error: JournalError) -> Result:
    """The result when the journal cannot be read: bad, whatever the play itself says."""
    return Result(
        Outcome.ROLLBACK_FAILED,
        ExitCode.NOT_PUT_BACK,
        f"{said} its record cannot be read: {error.seen}",
        next_step=f"mend the journal, then: pyrunbook recover {run_id}",
    )


def _unrecorded(request: Request, ended: Ended) -> Result:
    """The result when a play ran and the journal does not know the run: what it changed is unknown, so it is bad."""
    said = _said(ended)
    where = " ".join(f"-i {shlex.quote(source)}" for source in request.inventory)
    return Result(
        Outcome.ROLLBACK_FAILED,
        ExitCode.NOT_PUT_BACK,
        f"The play of run {request.run_id} began, and the journal {places.in_use()['journal']} does not know it, "
        f"so what was changed is not known.{chr(10) + said if said else ''}",
        next_step="look at the hosts" if request.plain else f"see what serves: pyrunbook doctor {where}",
    )


def _nothing_to_put_back(result: Result, *, bad_input: bool) -> bool:
    """Whether the run ended on an input that is wrong, or on a machine that was never reached."""
    changed = result.run is not None and result.run.changed
    wrong = bad_input and result.outcome is Outcome.REFUSED
    return not changed and (wrong or result.outcome is Outcome.UNREACHABLE)


def _recorded(run_id: str) -> Run | None:
    from pyrunbook.journal import Journal

    with Journal.open() as journal:
        try:
            return journal.get(run_id)
        except BadInput:
            return None


def _judge(request: Request, ended: Ended, signals: Signals, on_event: Listener) -> Result:
    run = _recorded(request.run_id)
    if run is None or not run.services:
        if run is not None and not run.finished:
            _end(run.id, Outcome.CANCELED if signals.received else Outcome.FAILED, "no host matched")
        if run is None and ended.began:
            return _unrecorded(request, ended)
        if signals.received:
            return Result(Outcome.CANCELED, ExitCode.INTERRUPTED, f"ended by {signals.received}", run)
        raise _nothing_ran(request, ended)
    if run.finished:
        return _of(run)
    reason, why = _reason(ended, signals, run)
    if request.plain:
        return end_plain(request, run, reason, why, signals, on_event)
    if not open_services(run):
        missed = _missed(request, run)
        return settle(run, [reason] if missed else [], f"{why}; not begun: {', '.join(missed)}" if missed else "")
    return put_back(request, run, reason, why, signals, on_event)


def end_plain(request: Request, run: Run, reason: Outcome, why: str, signals: Signals, on_event: Listener) -> Result:
    """Bring the run of a plain playbook to an end that its play has not come to; arguments as of `put_back`."""
    from pyrunbook.journal import Journal

    with Journal.open() as journal:
        for part in run.services:
            if part.changed and not part.outcome and not part.what_changed:
                journal.record_changed(run.id, part.service, changed=False)
        run = journal.get(run.id)
        for part in run.services if run.changed else ():
            if part.outcome is None and not part.changed:
                journal.conclude(run.id, part.service, Outcome.FAILED, why)
        run = journal.get(run.id)
    if not run.changed:
        reason = Outcome.FAILED if reason is Outcome.ROLLED_BACK else reason
        _end(run.id, reason, why)
        return _of(_recorded(run.id) or run)
    if request.undone_by and not run.check_mode:  # whose inputs may have been meant for a dry run only
        return put_back(request, run, reason, why, signals, on_event)
    _end(run.id, Outcome.LEFT_CHANGED, why)
    return _of(_recorded(run.id) or run)


def open_services(run: Run) -> list[str]:
    """The services of a run that have not been brought to an end, or not to a good one.

    `not_cleaned_up` counts too while the whole run has that outcome: then it was resumed to clean up.
    """
    still = [None, Outcome.ROLLBACK_FAILED, *([run.outcome] if run.outcome is Outcome.NOT_CLEANED_UP else [])]
    return [service.service for service in run.services if service.outcome in still]


def _missed(request: Request, run: Run) -> list[str]:
    """The services of later batches, which a play that died between two batches has not begun."""
    try:
        wanted = inventory.services(request.inventory, request.limit)
    except BadInput:  # it was readable when the run began; the services that it reached are at their end
        return []
    return [name for name in wanted if run.service(name) is None]


def settle(run: Run, others: Sequence[Outcome] = (), why: str = "") -> Result:
    """End a run whose services have all been concluded: its play died before it could say so.

    Args:
        others: outcomes that count besides those of its services.
        why: the cause to record; that of the services when empty.
    """
    outcomes = [service.outcome for service in run.services if service.outcome is not None]
    cause = why or next((service.cause for service in run.services if service.cause), None) or ""
    _end(run.id, worst([*outcomes, *others]), cause)
    return _of(_recorded(run.id) or run)


def _reason(ended: Ended, signals: Signals, run: Run) -> tuple[Outcome, str]:
    """Why the play did not come to its own end."""
    if signals.received:
        return Outcome.CANCELED, f"ended by {signals.received}"
    if ended.status == "timeout":
        return Outcome.TIMED_OUT, "the run took longer than its timeout"
    steps = [step for service in run.services for step in service.steps if step.error]
    why = steps[-1].error if steps else None
    if any(step.outcome == "unreachable" for step in steps):
        return Outcome.UNREACHABLE, why or "the machine of the service cannot be reached"
    if ended.code is None or ended.code < 0:
        return Outcome.ROLLED_BACK, "ansible-playbook was killed"
    return Outcome.ROLLED_BACK, why or (ended.output[-1] if ended.output else "ansible-playbook ended by itself")


def verified(service: ServiceRun) -> bool:
    """Whether the last verification of a service passed, and nothing of what it verified was put back since.

    From there on the run goes forward: what is left only cleans up.
    """
    said = [
        step.outcome for step in service.steps if step.step == STEP_VERIFY and step.outcome not in (None, "skipped")
    ]
    # The step that puts back looks first whether it has to: it may have kept the release.
    ends = {e.attempt: e.value["outcome"] for e in service.evidence if e.step == STEP_CONCLUDE and "outcome" in e.value}
    begun = {step.attempt for step in service.steps if step.step == STEP_ROLLBACK}
    put_back = {attempt for attempt in begun if ends.get(attempt) not in (Outcome.SUCCEEDED, Outcome.NOT_CLEANED_UP)}
    return service.changed and bool(said) and said[-1] in ("ok", "changed") and not put_back


def _cleaned_up(service: ServiceRun) -> bool:
    """Whether a service that was verified had come to its conclusion, without a step that failed."""
    steps = [step for step in service.steps if step.attempt == service.steps[-1].attempt]
    return steps[-1].step == STEP_CONCLUDE and all(step.outcome != "failed" for step in steps)


def put_back(
    request: Request,
    run: Run,
    reason: Outcome,
    why: str,
    signals: Signals,
    on_event: Listener,
    *,
    forward: bool = True,
) -> Result:
    """Have the unfinished services of a run put back, by a play of their own; what was verified stays while it serves.

    Args:
        request: how the run was started; its inventory and verbosity serve here too.
        run: the run; at least one of its services is open.
        reason: the outcome once everything is in place.
        why: the cause to record.
        signals: noted during the rollback, not obeyed.
        on_event: gets the events of that play.
        forward: whether verified services stay as they are.
    """
    if run.check_mode:  # it could not change anything, and took no lock
        _end(run.id, reason, why)
        return Result(reason, reason.exit_code, why, run)
    signals.rolling_back = True
    services = open_services(run)
    stays: dict[str, str] = {}
    told_what_stays = _keeps_verified(request)
    if forward and told_what_stays:
        stays = {s.service: "succeeded" if _cleaned_up(s) else "not_cleaned_up" for s in run.services if verified(s)}
    for event, names in (
        ("keeping", [n for n in services if n in stays]),
        ("putting_back", [n for n in services if n not in stays]),
    ):
        if names:
            on_event({"event": event, "run": run.id, "cause": why, "services": names, "decides": not told_what_stays})
    told = msgspec.to_builtins(PutBack(put_back_as=str(reason), rollback_reason=why, put_back_keeps=stays))
    rollback = replace(
        request,
        playbook=request.undo,
        mode="recover",
        tags="",
        timeout=None,
        check=False,
        plain=request.undone_by,
        extra_vars=(request.extra_vars if request.plain else {}) | told,
    )
    ended: list[Ended] = []
    for pause in ROLLBACK_PAUSES:
        if pause and any(one.code == UNREACHABLE for one in ended):
            on_event({"event": "note", "text": f"the machine cannot be reached; next attempt in {pause:g} s"})
            time.sleep(pause)
        # All at once first, because clients of all of them wait; then one by one, so that a service that cannot be put
        # back does not keep the others from it.
        together = [services] if not ended else [[name] for name in services]
        ended = [
            _performed(replace(rollback, limit=",".join(names)), on_event, signals.asked_to_end) for names in together
        ]
        after = _recorded(run.id)
        if after is None:
            continue
        if after.finished:
            return replace(_of(after), cause=why)
        if not after.changed:
            _end(run.id, reason, why)
            return Result(reason, reason.exit_code, why, after)
        services = open_services(after)
        if not services:
            return replace(settle(after), cause=why)
    result = _not_put_back(_recorded(run.id) or run, _said(ended[0]))
    return replace(result, next_step=f"pyrunbook recover {run.id}") if set(services) <= set(stays) else result


def _keeps_verified(request: Request) -> bool:
    """Whether the runbook that puts back can be told what stays; any other decides that by itself."""
    with contextlib.suppress(PyrunbookError, OSError):  # the rollback is not to depend on it
        return catalog.load().get(request.undone_by).keeps_verified
    return False


def _end(run_id: str, outcome: Outcome, cause: str) -> None:
    from pyrunbook.journal import Journal

    with Journal.open() as journal:
        run = journal.get(run_id)
        for service in run.services:
            if service.outcome is None:
                journal.conclude(run_id, service.service, outcome, cause)
        journal.end_run(run_id, outcome, cause)


def _of(run: Run) -> Result:
    outcome = run.outcome or Outcome.FAILED
    left: tuple[str, ...] = ()
    if outcome is Outcome.LEFT_CHANGED:
        left = tuple(f"{part.service}: {', '.join(part.what_changed)}" for part in run.services if part.changed)
    cause = run.cause or next((service.cause for service in run.services if service.cause), None) or ""
    undo = next_step(outcome, run.id)
    if outcome is Outcome.SUCCEEDED and run.undoable and (not run.plain or catalog.load().way_back(run.runbook)):
        undo = f"pyrunbook rollback {run.id}"
    if outcome is Outcome.NOT_CONTAINED:
        undo = f"pyrunbook run {run.runbook}"
    return Result(outcome, outcome.exit_code, cause, run, undo, left=left)


def _not_put_back(run: Run, said: str = "") -> Result:
    """Record that the run could not be put back, where no play has done so: otherwise it would look like a dead run."""
    steps = [step for service in run.services for step in service.steps if step.error and step.attempt == run.attempt]
    told = steps[-1].error if steps else None
    cause = told or said or run.cause or "the rollback did not come to its end"
    if run.outcome is None:
        _end(run.id, Outcome.ROLLBACK_FAILED, cause)
    return Result(Outcome.ROLLBACK_FAILED, ExitCode.NOT_PUT_BACK, cause, run, f"pyrunbook recover {run.id} --rollback")


def _said(ended: Ended) -> str:
    """What ansible-playbook printed about an error; its last lines when it names none."""
    lines = [line for line in ended.output if line.strip()]
    return "\n".join(line for line in lines if "rror" in line.lower()) or "\n".join(lines[-8:])


def _nothing_ran(request: Request, ended: Ended) -> BadInput:
    """Why a play did not reach any service."""
    try:
        if request.plain:
            inventory.hosts(request.inventory, "all", request.limit)
        else:
            inventory.services(request.inventory, request.limit)
    except BadInput as error:  # it names file, line and remedy, which ansible-playbook may not
        return error
    told = _said(ended)
    if ended.no_hosts or "no hosts matched" in told.lower() or "no hosts to target" in told.lower():
        where = f" and --limit {request.limit}" if request.limit else ""
        return inventory.no_host(request.inventory, where, "of its plays" if request.plain else "in group services")
    if "invalid literal for int()" in told and "update_serial" in request.extra_vars:
        return BadInput(
            f"update_serial is {request.extra_vars['update_serial']!r}, which is no number of services",
            next_step="-e update_serial=1, or a percentage: -e update_serial=30%",
        )
    return BadInput(told or f"ansible-playbook did not begin (exit code {ended.code})")
