"""What may refuse a run before its service is touched."""

from __future__ import annotations

import multiprocessing
import os
import socket
from pathlib import Path

import pytest

from pyrunbook import run_contract
from pyrunbook.errors import Refused
from pyrunbook.journal import Journal, RunStart
from pyrunbook.on_target import lock_file
from pyrunbook.plugins import guards


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private state directory."""
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))


def _begin(run_id: str, service: str = "agent-factory") -> None:
    """As the callback does it before the first task."""
    with Journal.open() as journal:
        journal.start_run(
            RunStart(
                id=run_id, runbook="maintenance/production_update", operator="ada", machine=socket.gethostname(),
                pid=os.getpid(), process_started=0.0, inventory="here", inputs={}, check_mode=False, mode="run",
            )
        )  # fmt: skip
        journal.add_service(run_id, service, "host")


def test_of_runs_that_start_in_the_same_moment_exactly_one_gets_the_lock(tmp_path: Path) -> None:
    """All are in the journal before any of them looks there for others."""
    with Journal.open():
        pass
    forks = multiprocessing.get_context("fork")
    barrier, told = forks.Barrier(4), forks.SimpleQueue()

    def start(run_id: str) -> None:
        _begin(run_id)
        barrier.wait(30)
        try:
            ended = guards.ended_runs(run_id, "agent-factory")
        except Refused as refused:
            return told.put((run_id, str(refused)))
        try:
            lock_file.acquire(str(tmp_path / "lock.json"), {"holder": run_id}, predecessors=ended)
        except lock_file.LockHeld as held:
            return told.put((run_id, str(held)))
        return told.put((run_id, "runs"))

    started = [forks.Process(target=start, args=(f"7f3a000{number}",)) for number in range(4)]
    for process in started:
        process.start()
    answers = dict(told.get() for _ in started)
    for process in started:
        process.join()
    (winner,) = [run_id for run_id, words in answers.items() if words == "runs"]
    refusals = [words for run_id, words in answers.items() if run_id != winner]
    assert all("has not been brought to an end" in words or f"held by run {winner}" in words for words in refusals)


def test_a_run_that_began_later_but_has_changed_something_is_not_passed_over() -> None:
    """Its lock may have been broken."""
    _begin("7f3a0001")
    _begin("7f3a0002")
    assert guards.ended_runs("7f3a0001", "agent-factory") == []
    with Journal.open() as journal:
        journal.record_plan("7f3a0002", "agent-factory", "7f3a0002", "0")
    with pytest.raises(Refused, match="Run 7f3a0002 of agent-factory"):
        guards.ended_runs("7f3a0001", "agent-factory")


def test_only_a_run_that_has_come_to_its_end_leaves_a_lock_that_is_none() -> None:
    """A rollback that failed is no end: what it left in the middle is still locked."""
    for run_id, outcome in (("7f3a0001", "refused"), ("7f3a0002", "succeeded"), ("7f3a0003", "rollback_failed")):
        _begin(run_id, "agent-factory" if outcome != "rollback_failed" else "another")
        with Journal.open() as journal:
            journal.end_run(run_id, outcome)
    _begin("7f3a0004")
    assert guards.ended_runs("7f3a0004", "agent-factory") == ["7f3a0002", "7f3a0001"]
    with pytest.raises(Refused, match="Run 7f3a0003 of another"):
        guards.ended_runs("7f3a0004", "another")


def test_a_hint_names_what_the_caller_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(run_contract.ENV_EVENTS, "/somewhere")
    assert guards._attesting(["told"], ["asked"]) == "--attest asked"
    monkeypatch.delenv(run_contract.ENV_EVENTS)
    assert guards._attesting(["told"], ["asked"]) == """-e '{"preflight_attested": ["told", "asked"]}'"""


@pytest.mark.parametrize("unknown", [KeyError("uid not found"), OSError("no username set")])
def test_a_user_whom_the_machine_does_not_know_is_named_by_number(
    monkeypatch: pytest.MonkeyPatch, unknown: Exception
) -> None:
    def fails() -> str:
        raise unknown

    for name in ("PYRUNBOOK_OPERATOR", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("getpass.getuser", fails)
    assert guards.operator() == f"uid {os.getuid()}"


def test_a_play_that_nobody_records_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The callback gives the play its run's id; under the CLI there is one, even where no callback is enabled."""
    monkeypatch.delenv(guards.ENV_RUN_ID, raising=False)
    with pytest.raises(Refused, match="pyrunbook_journal is not enabled"):
        guards.require_journal("manual", of_runbook=True)
    monkeypatch.setenv(guards.ENV_RUN_ID, "0000beef")
    with pytest.raises(Refused, match="This play does not write the journal"):
        guards.require_journal("0000beef", of_runbook=True)
    _begin("0000beef")
    guards.require_journal("0000beef", of_runbook=True)
