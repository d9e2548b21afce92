"""A play that only writes the journal, in place of ansible-playbook."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil

from pyrunbook.execution.play import Ended, Request
from pyrunbook.journal import Journal, JournalError, Outcome, RunStart

Listener = Callable[[dict[str, Any]], None]
DONE = Ended("successful", 0, (), no_hosts=False)
FAILED = Ended("failed", 2, ("PLAY [it]", "fatal: it failed"), no_hosts=False)
KILLED = Ended("failed", None, (), no_hosts=False)
CANCELED = Ended("canceled", 254, (), no_hosts=False)
TIMED_OUT = Ended("timeout", 254, (), no_hosts=False)


class Scene:
    """What one call of `perform` does, in a journal of its own; see the methods, which are called in order."""

    def __init__(self, ended: Ended = DONE) -> None:
        self.ended = ended
        self._begins = False
        self._acts: list[Callable[[Journal, Request, Listener], None]] = []

    def __call__(self, request: Request, on_event: Listener, canceled: Callable[[], bool]) -> Ended:
        with Journal.open() as journal:
            for act in self._acts:
                act(journal, request, on_event)
        canceled()
        return replace(self.ended, began=self.ended.began or self._begins)

    def then(self, act: Callable[[Journal, Request, Listener], None]) -> Scene:
        self._acts.append(act)
        return self

    def start(self, *services: str) -> Scene:
        self._begins = True

        def act(journal: Journal, request: Request, on_event: Listener) -> None:
            runbook = f"{request.playbook.parent.name}/{request.playbook.stem}"
            if request.mode in ("resume", "recover"):
                runbook = journal.get(request.run_id).runbook
            journal.start_run(
                RunStart(
                    id=request.run_id,
                    runbook=runbook,
                    operator="ada",
                    machine=os.uname().nodename,
                    pid=os.getpid(),
                    process_started=psutil.Process().create_time(),
                    inventory=", ".join(request.inventory),
                    inputs=request.extra_vars,
                    check_mode=request.check,
                    mode=request.mode,  # type: ignore[arg-type]
                )
            )
            on_event({"event": "run_started", "run": request.run_id})
            for service in services or ("web",):
                journal.add_service(request.run_id, service, "host")
                on_event({"event": "service_started", "run": request.run_id, "service": service, "platform": "host"})

        return self.then(act)

    def step(self, step: str, outcome: str | None = "ok", error: str | None = None, service: str = "web") -> Scene:
        def act(journal: Journal, request: Request, on_event: Listener) -> None:
            same = {"run": request.run_id, "service": service, "step": step, "title": f"Do {step}"}
            journal.start_step(request.run_id, service, step, f"Do {step}")
            on_event({"event": "step_started", **same})
            if outcome is None:  # it dies in it
                return
            journal.end_step(request.run_id, service, step, outcome, "", error)
            ended = {"detail": "", "bad_input": False, "known": [], "seconds": 0.1}
            on_event({"event": "step_ended", **same, "outcome": outcome, "error": error, **ended})

        return self.then(act)

    def plan(self, service: str = "web") -> Scene:
        return self.then(lambda journal, request, _: journal.record_plan(request.run_id, service, request.run_id, "0"))

    def conclude(self, outcome: str, cause: str = "", service: str = "web") -> Scene:
        def act(journal: Journal, request: Request, on_event: Listener) -> None:
            journal.conclude(request.run_id, service, outcome, cause)
            said = {"service": service, "outcome": outcome, "cause": cause, "detail": "blue serves 1.0"}
            on_event({"event": "service_ended", "run": request.run_id, **said})

        return self.then(act)

    def concluded(self, outcome: str) -> Scene:
        """As `conclude`, by the step that does it."""

        def evidence(journal: Journal, request: Request, on_event: Listener) -> None:
            journal.add_evidence(request.run_id, "web", "conclude", "Record the outcome", {"outcome": outcome})

        return self.step("conclude").then(evidence).conclude(outcome)

    def end(self, outcome: str, cause: str = "") -> Scene:
        def act(journal: Journal, request: Request, on_event: Listener) -> None:
            journal.end_run(request.run_id, outcome, cause)
            on_event({"event": "run_ended", "run": request.run_id, "outcome": outcome, "cause": cause})

        return self.then(act)

    def breaks_the_journal(self) -> Scene:
        def act(journal: Journal, request: Request, on_event: Listener) -> None:
            os.environ["PYRUNBOOK_JOURNAL"] = "sqlite:////proc/no/such/journal.db"

        return self.then(act)

    def raises(self, error: Exception) -> Scene:
        def act(journal: Journal, request: Request, on_event: Listener) -> None:
            raise error

        return self.then(act)


class Theatre:
    """Stands in for `perform`: plays its scenes one after another, and remembers what was asked for."""

    def __init__(self) -> None:
        self.scenes: list[Scene] = []
        self.requests: list[Request] = []

    def __call__(self, request: Request, on_event: Listener, canceled: Callable[[], bool]) -> Ended:
        self.requests.append(request)
        return self.scenes.pop(0)(request, on_event, canceled)


def good() -> Scene:
    """An update that succeeds."""
    return Scene().start().step("preflight").plan().step("verify").conclude("succeeded").end("succeeded")


def refused(words: str = "The window is closed.") -> Scene:
    """A run that preflight refuses."""
    return Scene(FAILED).start().step("preflight", "failed", words).conclude("refused", words).end("refused", words)


def rolled_back(words: str = "500 in 3 of 20") -> Scene:
    """An update that fails and is put back inside the play."""
    return (
        Scene(FAILED).start().plan().step("verify", "failed", words).step("rollback")
        .conclude("rolled_back", words).end("rolled_back", words)
    )  # fmt: skip


def left(ended: Ended = KILLED) -> Scene:
    """An update whose play dies after the first change."""
    return Scene(ended).start().step("preflight").plan().step("deploy_green")


def put_back(outcome: str = "rolled_back") -> Scene:
    """A rollback of its own that works."""
    return Scene(FAILED).start().step("rollback").conclude(outcome).end(outcome)


def not_put_back() -> Scene:
    """A rollback of its own that fails."""
    said = "blue does not start"
    return (
        Scene(FAILED).start().step("rollback", "failed", said).conclude("rollback_failed", said)
        .end("rollback_failed", said)
    )  # fmt: skip


def past_verification(ended: Ended = KILLED) -> Scene:
    """An update whose play dies when the new release is verified and what served before is being taken away."""
    return Scene(ended).start().plan().step("deploy_green").step("verify").step("drain")


def kept(outcome: str = "not_cleaned_up") -> Scene:
    """A play of its own that finds that what was verified still serves."""
    return Scene().start().step("rollback").concluded(outcome).end(outcome)


def run_in_journal(run_id: str) -> Any:
    """The run as the journal has it now."""
    with Journal.open() as journal:
        return journal.get(run_id)


__all__ = ["JournalError", "Outcome"]
