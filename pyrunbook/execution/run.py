"""One operation from its start to a known end: run the playbook, and put back what it left in the middle."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pyrunbook import places
from pyrunbook.errors import BadInput, ExitCode
from pyrunbook.execution.play import Ended, Request, perform
from pyrunbook.journal import Journal, JournalError, Outcome, Run

Listener = Callable[[dict[str, Any]], None]
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
ROLLBACK_ATTEMPTS = 3
"""How often a rollback is tried when the service cannot be reached."""


@dataclass(frozen=True)
class Result:
    """How it ended.

    Attributes:
        outcome: of the run; `None` when there was nothing to run on.
        exit_code: of the command line.
        cause: what failed first, empty on success.
        run: the run in the journal; `None` when the play did not get so far.
        next_step: what to type next, empty when nothing needs to be done.
    """

    outcome: Outcome | None
    exit_code: ExitCode
    cause: str = ""
    run: Run | None = None
    next_step: str = ""


class Signals:
    """SIGINT, SIGTERM and SIGHUP while an operation runs; a context manager for the main thread.

    The first one asks for a gentle end. Once the rollback has begun they change nothing: it is the shortest way to
    a known state.
    """

    def __init__(self, on_event: Listener) -> None:
        self._on_event = on_event
        self.received: str | None = None
        self.rolling_back = False

    def asked_to_end(self) -> bool:
        """Whether the play is to be ended."""
        return self.received is not None and not self.rolling_back

    def _receive(self, number: int, _frame: Any) -> None:
        name = signal.Signals(number).name
        if self.received is None and not self.rolling_back:
            self._on_event({"event": "interrupted", "signal": name})
        elif self.rolling_back:
            self._on_event({"event": "note", "text": f"{name}: what was there is being put back; this is not stopped"})
        self.received = self.received or name

    @contextlib.contextmanager
    def handled(self) -> Iterator[Signals]:
        """Take the signals, and give the handlers back afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._receive) for number in wanted}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def operate(request: Request, on_event: Listener) -> Result:
    """Run a playbook; when it ends in anything but a conclusion, see to it that the rollback has happened.

    Args:
        request: what to run.
        on_event: gets the events of the play, of a rollback outside it, and at last one `run_ended`.

    Returns:
        How it ended. The journal says the same.

    Raises:
        BadInput: the play could not begin: no host matched, or the inventory or a file is wrong.
    """
    signals = Signals(on_event)
    seen = {"bad_input": False}

    def listener(event: dict[str, Any]) -> None:
        seen["bad_input"] |= bool(event.get("bad_input"))
        _but_the_end(on_event)(event)

    with signals.handled():
        ended = perform(request, listener, signals.asked_to_end)
        try:
            result = _judge(request, ended, signals, on_event)
        except JournalError as error:
            result = _unknown(request, ended, error)
    if _nothing_to_put_back(result, bad_input=seen["bad_input"]):
        result = replace(result, exit_code=ExitCode.BAD_INPUT)
    on_event(
        {
            "event": "run_ended",
            "run": request.run_id,
            "outcome": str(result.outcome) if result.outcome else None,
            "cause": result.cause or None,
            "exit_code": int(result.exit_code),
            "next_step": result.next_step or None,
        }
    )
    return result


def _unknown(request: Request, ended: Ended, error: JournalError) -> Result:
    """What cannot be read in the journal is treated as bad, whatever the play itself says."""
    said = "ansible-playbook ended well, but" if ended.code == 0 else "ansible-playbook failed, and"
    return Result(
        Outcome.ROLLBACK_FAILED,
        ExitCode.NOT_PUT_BACK,
        f"{said} its record cannot be read: {error.seen}",
        next_step=f"mend the journal, then: pyrunbook recover {request.run_id}",
    )


def _nothing_to_put_back(result: Result, *, bad_input: bool) -> bool:
    """Whether the run ended on an input that is wrong, or on a machine that was never reached."""
    changed = result.run is not None and result.run.changed
    wrong = bad_input and result.outcome is Outcome.REFUSED
    return not changed and (wrong or result.outcome is Outcome.UNREACHABLE)


def _but_the_end(on_event: Listener) -> Listener:
    def listener(event: dict[str, Any]) -> None:
        if event["event"] not in ("run_ended", "run_left"):
            on_event(event)

    return listener


def _recorded(run_id: str) -> Run | None:
    with Journal.open() as journal:
        try:
            return journal.get(run_id)
        except BadInput:
            return None


def _judge(request: Request, ended: Ended, signals: Signals, on_event: Listener) -> Result:
    run = _recorded(request.run_id)
    if run is None:
        if signals.received:
            return Result(Outcome.CANCELED, ExitCode.INTERRUPTED, f"ended by {signals.received}")
        raise BadInput(*_why_nothing_ran(request, ended))
    if run.finished and run.outcome is not Outcome.ROLLBACK_FAILED:
        return _of(run)
    if run.finished:
        return _not_put_back(run)
    if not run.services:
        _end(run.id, Outcome.CANCELED if signals.received else Outcome.FAILED, "no host matched")
        if signals.received:
            return Result(Outcome.CANCELED, ExitCode.INTERRUPTED, f"ended by {signals.received}", run)
        raise BadInput(*_why_nothing_ran(request, ended))
    reason, why = _reason(ended, signals, run)
    return put_back(request, run, reason, why, signals, on_event)


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


def put_back(request: Request, run: Run, reason: Outcome, why: str, signals: Signals, on_event: Listener) -> Result:
    """Have the unfinished services of a run put back, by a play of their own.

    Args:
        request: how the run was started; its inventory and verbosity serve here too.
        run: the run.
        reason: the outcome once everything is in place.
        why: the cause to record.
        signals: taken during the rollback, not obeyed.
        on_event: gets the events of that play.
    """
    signals.rolling_back = True
    services = [service.service for service in run.services if service.outcome in (None, Outcome.ROLLBACK_FAILED)]
    on_event({"event": "putting_back", "run": run.id, "cause": why, "services": services})
    rollback = replace(
        request,
        playbook=places.content() / "playbooks" / "deployment" / "rollback.yml",
        mode="recover",
        limit=",".join(services),
        tags="",
        timeout=None,
        check=False,
        extra_vars={"put_back_as": str(reason), "rollback_reason": why},
    )
    for _ in range(ROLLBACK_ATTEMPTS):
        ended = perform(rollback, _but_the_end(on_event), lambda: False)
        after = _recorded(run.id)
        if after is not None and after.finished and after.outcome is not Outcome.ROLLBACK_FAILED:
            return replace(_of(after), cause=why)
        if after is not None and not any(service.changed for service in after.services):
            _end(run.id, reason, why)
            return Result(reason, reason.exit_code, why, after)
    return _not_put_back(_recorded(run.id) or run, _said(ended))


def _end(run_id: str, outcome: Outcome, cause: str) -> None:
    with Journal.open() as journal:
        run = journal.get(run_id)
        for service in run.services:
            if service.outcome is None:
                journal.conclude(run_id, service.service, outcome, cause)
        journal.end_run(run_id, outcome, cause)


def _of(run: Run) -> Result:
    outcome = run.outcome or Outcome.FAILED
    cause = run.cause or next((service.cause for service in run.services if service.cause), None) or ""
    undo = ""
    if outcome is Outcome.SUCCEEDED and run.changed:
        undo = f"pyrunbook rollback {run.id}"
    return Result(outcome, outcome.exit_code, cause, run, undo)


def _not_put_back(run: Run, said: str = "") -> Result:
    steps = [step for service in run.services for step in service.steps if step.error and step.attempt == run.attempt]
    told = steps[-1].error if steps else None
    cause = told or said or run.cause or "the rollback did not come to its end"
    return Result(Outcome.ROLLBACK_FAILED, ExitCode.NOT_PUT_BACK, cause, run, f"pyrunbook recover {run.id} --rollback")


def _said(ended: Ended) -> str:
    """What ansible-playbook printed about an error; its last lines when it names none."""
    lines = [_ANSI.sub("", line) for line in ended.output if line.strip()]
    return "\n".join(line for line in lines if "rror" in line.lower()) or "\n".join(lines[-8:])


def _why_nothing_ran(request: Request, ended: Ended) -> tuple[str]:
    told = _said(ended)
    if ended.no_hosts or "no hosts matched" in told.lower() or "no hosts to target" in told.lower():
        where = f" and --limit {request.limit}" if request.limit else ""
        return (f"No host matched: inventory {', '.join(request.inventory)}{where} has none in group services.",)
    return (told or f"ansible-playbook did not begin (exit code {ended.code})",)
