"""Which way a dead run is taken, who may take it, and how that ends; the play is a stand-in that writes the journal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from played import (
    FAILED,
    KILLED,
    Scene,
    Theatre,
    good,
    kept,
    left,
    not_put_back,
    past_verification,
    put_back,
    run_in_journal,
)

from pyrunbook import catalog
from pyrunbook.cli import rollback
from pyrunbook.errors import BadInput, ExitCode, Refused
from pyrunbook.execution import recovery
from pyrunbook.execution import run as execution
from pyrunbook.execution.play import Ended, Request
from pyrunbook.journal import Journal, Outcome, Run, RunStart, ServiceRun, StepOutcome, StepRun

NOW = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
UPDATE = Path("/content/playbooks/maintenance/production_update.yml")


@pytest.fixture
def theatre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theatre]:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path))
    monkeypatch.setenv("PYRUNBOOK_JOURNAL", f"sqlite:///{tmp_path}/journal.db")
    made = Theatre()
    monkeypatch.setattr(execution, "perform", made)
    monkeypatch.setattr(
        recovery, "services", lambda _, limit: {name: {"service_platform": "host"} for name in limit.split(",")}
    )
    yield made
    assert not made.scenes, "a play that was expected did not happen"


def step(name: str, outcome: str | None = "ok") -> StepRun:
    return StepRun(
        step=name,
        title=name,
        attempt=1,
        position=1,
        started=NOW,
        ended=NOW if outcome else None,
        outcome=StepOutcome(outcome) if outcome else None,
        detail="",
        error=None,
    )


def service(*steps: StepRun, outcome: Outcome | None = None, changed: bool = True, name: str = "web") -> ServiceRun:
    return ServiceRun(
        service=name,
        platform="host",
        window=None,
        override_reason=None,
        plan_id=None,
        plan_checksum=None,
        changed=changed,
        outcome=outcome,
        cause=None,
        ended=None,
        steps=list(steps),
    )


def run(*services: ServiceRun, runbook: str = "maintenance/production_update", **facts: Any) -> Run:
    return Run(
        **{
            "id": "00c0ffee", "runbook": runbook, "operator": "bob", "machine": socket.gethostname(), "pid": 1,
            "process_started": 0.0, "inventory": "/inventory", "inputs": {}, "strategy": None, "check_mode": False,
            "mode": "run", "rollback_of": None, "attempt": 1, "started": NOW, "ended": None, "outcome": None,
            "cause": None, "services": list(services), **facts,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("dead", "way"),
    [
        (run(service(step("preflight"), step("backup", None))), "rollback"),
        (run(service(step("switch_service"), step("verify", None))), "rollback"),
        (run(service(step("verify", "failed"))), "rollback"),
        (run(service(step("verify", "skipped"))), "rollback"),
        (run(service(step("verify"))), "resume"),
        (run(service(step("verify"), step("drain", None))), "resume"),
        (run(service(step("verify", "changed"), step("cleanup", "failed"))), "resume"),
        # A rollback that was begun goes on, whatever had been verified before it.
        (run(service(step("verify"), step("cleanup", "failed"), step("rollback", None))), "rollback"),
        # One of two services is only half done.
        (run(service(step("verify")), service(step("verify", None), name="b")), "rollback"),
        # The first one is at its end: only the other one counts.
        (run(service(step("backup"), outcome=Outcome.SUCCEEDED), service(step("verify"), name="b")), "resume"),
        (run(service(step("backup"), changed=False), service(step("verify"), name="b")), "resume"),
        (run(service(step("preflight"), changed=False)), "rollback"),
        (run(), "rollback"),
        # Given up before its rollback could begin: the machine was away.
        (run(service(step("verify")), outcome=Outcome.ROLLBACK_FAILED), "resume"),
        (run(service(step("verify"), step("rollback", "failed")), outcome=Outcome.ROLLBACK_FAILED), "rollback"),
        # Of several verifications the last one that ended counts.
        (run(service(step("verify"), step("verify", "failed"))), "rollback"),
        (run(service(step("verify"), step("verify", None))), "resume"),
        (run(service(step("rollback", None)), runbook="deployment/rollback"), "resume"),
        (run(service(step("rollback", "failed")), runbook="deployment/rollback"), "resume"),
    ],
)  # fmt: skip
def test_way_for(dead: Run, way: str) -> None:
    assert recovery.way_for(dead) == way


def test_a_runbook_with_an_undo_of_its_own_leaves_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = catalog.load()
    update = real.get("maintenance/production_update")
    named = msgspec.structs.replace(update.metadata, undone_by="maintenance/unlock")
    spec = msgspec.structs.replace(update.spec, runbook=named)
    monkeypatch.setitem(real._read, update.id, replace(update, spec=spec))
    monkeypatch.setattr(catalog, "load", lambda: real)
    assert recovery.way_for(run(service(step("verify")))) == "rollback"
    assert recovery.way_for(run(service(step("verify", None)), runbook="maintenance/unlock")) == "resume"


# --- may it be touched -----------------------------------------------------------------------------------------------


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


def test_a_run_whose_process_lives_is_not_touched(sleeper: psutil.Process) -> None:
    alive = run(pid=sleeper.pid, process_started=sleeper.create_time())
    for force in (False, True):  # --force is about other machines
        with pytest.raises(Refused) as error:
            recovery.refuse_alive(alive, force=force)
        assert error.value.exit_code is ExitCode.REFUSED
        assert f"process {sleeper.pid} of bob" in error.value.seen
        assert error.value.next_step.endswith(f"kill -INT {sleeper.pid}")


def test_a_process_id_that_another_process_has_by_now_does_not_count(sleeper: psutil.Process) -> None:
    recovery.refuse_alive(run(pid=sleeper.pid, process_started=sleeper.create_time() - 5), force=False)


def test_a_dead_process_does_not_count(sleeper: psutil.Process) -> None:
    dead = run(pid=sleeper.pid, process_started=sleeper.create_time())
    os.kill(sleeper.pid, signal.SIGKILL)
    psutil.wait_procs([sleeper], timeout=5)  # a zombie until its parent has asked for it
    recovery.refuse_alive(dead, force=False)


def test_a_run_of_another_machine_is_touched_only_by_force() -> None:
    away = run(machine="elsewhere", pid=os.getpid(), process_started=psutil.Process().create_time())
    with pytest.raises(Refused, match=r"bob on elsewhere.*may still be running") as error:
        recovery.refuse_alive(away, force=False)
    assert error.value.next_step.endswith("pyrunbook recover 00c0ffee --force")
    recovery.refuse_alive(away, force=True)


def test_latest_is_of_the_project_in_use(theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both projects have a playbook of the same id, with a way back."""
    for number, name in enumerate(("mine", "theirs"), 1):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".pyrunbook.yml").write_text("{}\n")
        for file in ("site.yml", "undo.yml"):
            (tmp_path / name / file).write_text("- hosts: all\n  tasks:\n    - command: uptime\n")
        meta = "argument_specs:\n  all:\n    runbook: {owner: us, updated: 2026-11-28, undone_by: undo.yml}\n"
        (tmp_path / name / "site.meta.yml").write_text(meta)
        started = RunStart(
            id=f"0000000{number}", runbook="site", operator="bob", machine="here", pid=1, process_started=0.0,
            inventory="/hosts", project=str(tmp_path / name),
        )  # fmt: skip
        with Journal.open() as journal:
            journal.start_run(started)
            journal.add_service(started.id, "w1", "")
            journal.record_changed(started.id, "w1", True)
            journal.conclude(started.id, "w1", Outcome.SUCCEEDED)
            journal.end_run(started.id, Outcome.SUCCEEDED)
    monkeypatch.setenv("PYRUNBOOK_CONTENT", "")
    monkeypatch.chdir(tmp_path / "mine")
    found = rollback._other_undo("latest", ())
    assert found is not None
    assert (found.id, found.runbook) == ("00000001", str(tmp_path / "mine/undo.yml"))


# --- the recovery ----------------------------------------------------------------------------------------------------


def died(theatre: Theatre, scene: Scene, **inputs: Any) -> Run:
    """A run that the journal has and whose process is gone."""
    request = Request(playbook=UPDATE, inventory=("/one", "/two"), run_id="00c0ffee", extra_vars=inputs)
    scene(request, lambda event: None, lambda: False)
    found: Run = run_in_journal("00c0ffee")
    return replace(found, pid=1, process_started=0.0)


def recovered(dead: Run, **options: Any) -> tuple[Any, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    result = recovery.recover(dead, events.append, **options)
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds.count("run_started")) == ("run_started", 1), kinds
    assert (kinds[-1], kinds.count("run_ended")) == ("run_ended", 1), kinds
    assert events[0]["runbook"] == dead.runbook
    assert events[-1]["exit_code"] == result.exit_code
    return result, events


def test_a_run_that_died_in_the_middle_is_put_back_and_that_is_a_success(theatre: Theatre) -> None:
    dead = died(theatre, left())
    theatre.scenes.append(put_back())
    result, events = recovered(dead)
    assert (result.outcome, result.exit_code) == (Outcome.ROLLED_BACK, ExitCode.SUCCEEDED)
    assert events[0]["mode"] == "recover"
    request = theatre.requests[-1]
    assert (request.mode, request.limit, request.inventory) == ("recover", "web", ("/one", "/two"))
    assert not recovery.unfinished()


def test_a_run_that_died_after_its_verification_is_finished_also_outside_its_window(theatre: Theatre) -> None:
    dead = died(theatre, left().step("verify"), update_strategy="zero_downtime")
    theatre.scenes.append(Scene().start().conclude("succeeded").end("succeeded"))
    result, _ = recovered(dead)
    assert (result.outcome, result.exit_code) == (Outcome.SUCCEEDED, ExitCode.SUCCEEDED)
    request = theatre.requests[-1]
    assert (request.mode, request.limit) == ("resume", "web")
    assert request.playbook.name == "production_update.yml"
    assert request.extra_vars["update_strategy"] == "zero_downtime"
    assert "verification" in request.extra_vars["preflight_window_override"]


def test_a_resume_that_was_asked_for_keeps_to_the_window(theatre: Theatre) -> None:
    dead = died(theatre, left())
    theatre.scenes.append(Scene().start().conclude("succeeded").end("succeeded"))
    recovered(dead, way="resume")
    assert "preflight_window_override" not in theatre.requests[-1].extra_vars


def test_a_resumed_run_that_fails_is_put_back(theatre: Theatre) -> None:
    dead = died(theatre, left().step("verify"))
    theatre.scenes += [Scene(FAILED).start().step("verify", "failed", "500 in 3 of 20"), put_back()]
    result, events = recovered(dead)
    assert (result.outcome, result.exit_code) == (Outcome.ROLLED_BACK, ExitCode.SUCCEEDED)
    assert [request.mode for request in theatre.requests] == ["resume", "recover"]
    assert events[-1]["cause"] == "500 in 3 of 20"


def test_a_resumed_run_that_cannot_clean_up_keeps_what_was_verified(theatre: Theatre) -> None:
    dead = died(theatre, left().step("verify"))
    theatre.scenes += [Scene(FAILED).start().step("cleanup", "failed", "still in use"), kept()]
    result, events = recovered(dead)
    assert (result.outcome, result.exit_code) == (Outcome.NOT_CLEANED_UP, ExitCode.FINDINGS)
    assert (events[-1]["cause"], events[-1]["next_step"]) == ("still in use", "pyrunbook recover 00c0ffee")


def test_what_was_not_cleaned_up_is_taken_up_again_by_its_name_only(theatre: Theatre) -> None:
    first = past_verification(FAILED).step("cleanup", "failed", "still in use").step("rollback")
    died(theatre, first.concluded("not_cleaned_up").end("not_cleaned_up", "still in use"))
    assert recovery.unfinished() == [], "it keeps nobody from the next run"
    left_over = recovery.to_clean_up("00c0")
    assert left_over and recovery.way_for(left_over) == "resume"
    theatre.scenes += [Scene(KILLED).start(), kept()]  # that, too, may be killed
    assert recovered(left_over)[0].outcome is Outcome.NOT_CLEANED_UP
    again = recovery.to_clean_up("00c0ffee")
    assert again
    theatre.scenes.append(Scene().start().step("verify").step("cleanup").concluded("succeeded").end("succeeded"))
    assert recovered(again)[0].exit_code is ExitCode.SUCCEEDED
    assert (theatre.requests[-1].mode, theatre.requests[-1].limit) == ("resume", "web")
    assert recovery.to_clean_up("00c0ffee") is None and recovery.to_clean_up("nobody") is None


def test_what_a_later_run_has_changed_is_not_taken_away(theatre: Theatre) -> None:
    died(theatre, past_verification(FAILED).concluded("not_cleaned_up").end("not_cleaned_up"))
    request = Request(playbook=UPDATE, inventory=("/one",), run_id="00000002")
    good()(request, lambda event: None, lambda: False)
    with pytest.raises(Refused, match="Run 00000002 has changed web after run 00c0ffee"):
        recovery.to_clean_up("00c0ffee")


@pytest.mark.parametrize(
    ("failing", "why"),
    [
        (
            Scene(FAILED).start().plan().step("verify", "failed", "500 in 3 of 20"),
            "500 in 3 of 20",
        ),
        (left(), "the run died before its end"),
    ],
)
def test_only_a_run_of_which_nothing_failed_is_said_to_have_died(theatre: Theatre, failing: Scene, why: str) -> None:
    dead = died(theatre, failing)
    theatre.scenes.append(put_back())
    _, events = recovered(dead)
    (told,) = [event for event in events if event["event"] == "putting_back"]
    assert told["cause"] == why


def test_a_run_that_was_given_up_says_why_when_it_is_recovered(theatre: Theatre) -> None:
    """Its play could not record anything any more: then what gives it up does."""
    dead = died(theatre, left())
    cannot = Ended("failed", 4, ("ERROR! 'service_root' is undefined",), no_hosts=False)
    theatre.scenes += [Scene(cannot), Scene(cannot), Scene(cannot)]
    result, _ = recovered(dead)
    assert result.exit_code is ExitCode.NOT_PUT_BACK
    (again,) = recovery.unfinished()
    assert again.outcome is Outcome.ROLLBACK_FAILED and "'service_root' is undefined" in str(again.cause)
    theatre.scenes.append(put_back())
    _, events = recovered(again)
    (told,) = [event for event in events if event["event"] == "putting_back"]
    assert "died" not in told["cause"] and "'service_root' is undefined" in told["cause"]


@pytest.mark.parametrize("platform", ["kubernetes", None])
def test_an_inventory_that_has_lost_what_it_said_of_the_service_is_refused_before_any_play(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, platform: str | None
) -> None:
    """As an emptied group_vars file does."""
    dead = died(theatre, left())
    said = {"service_platform": platform} if platform else {}
    monkeypatch.setattr(recovery, "services", lambda *_: {"web": said})
    with pytest.raises(BadInput, match=f"the inventory /one, /two says {platform or 'nothing'}") as raised:
        recovery.recover(dead, lambda event: None)
    assert "then: pyrunbook recover 00c0ffee" in raised.value.next_step
    (still,) = recovery.unfinished()
    assert still.outcome is None and still.attempt == 1


def test_what_cannot_be_put_back_stays_unfinished(theatre: Theatre) -> None:
    dead = died(theatre, left())
    theatre.scenes += [not_put_back(), not_put_back(), not_put_back()]
    result, _ = recovered(dead)
    assert (result.outcome, result.exit_code) == (Outcome.ROLLBACK_FAILED, ExitCode.NOT_PUT_BACK)
    assert result.next_step == "pyrunbook recover 00c0ffee --rollback"
    (again,) = recovery.unfinished()
    assert again.id == "00c0ffee"
    theatre.scenes.append(put_back())
    assert recovered(again)[0].exit_code is ExitCode.SUCCEEDED
    assert theatre.requests[-1].limit == "web"


def test_a_run_that_died_before_its_first_service_is_closed(theatre: Theatre) -> None:
    died(theatre, Scene(KILLED).start())
    with Journal.open() as journal, journal._writing() as connection:
        connection.exec_driver_sql("DELETE FROM services")
    result, _ = recovered(run_in_journal("00c0ffee"))
    assert (result.outcome, result.exit_code) == (Outcome.CANCELED, ExitCode.SUCCEEDED)
    assert not theatre.requests
    assert run_in_journal("00c0ffee").outcome is Outcome.CANCELED


@pytest.mark.parametrize("way", [None, "resume", "rollback"])
def test_a_run_whose_services_were_all_concluded_is_closed_as_what_they_are(theatre: Theatre, way: Any) -> None:
    dead = died(theatre, left().conclude("succeeded"))
    result, _ = recovered(dead, way=way)
    assert (result.outcome, result.exit_code) == (Outcome.SUCCEEDED, ExitCode.SUCCEEDED)
    assert not theatre.requests  # a rollback without a limit would have gone to every service of the inventory
    assert run_in_journal("00c0ffee").finished


def test_a_rollback_that_failed_is_taken_up_for_its_own_services_only(theatre: Theatre) -> None:
    request = Request(playbook=UPDATE.parents[1] / "deployment/rollback.yml", inventory=("/one",), run_id="00c0ffee")
    Scene(FAILED).start("a", "b").plan("a").plan("b").conclude("succeeded", service="a").conclude(
        "rollback_failed", service="b"
    ).end("rollback_failed")(request, lambda event: None, lambda: False)
    theatre.scenes.append(Scene().start("b").conclude("succeeded", service="b").end("succeeded"))
    result, _ = recovered(run_in_journal("00c0ffee"))
    assert result.exit_code is ExitCode.SUCCEEDED
    assert (theatre.requests[-1].mode, theatre.requests[-1].limit) == ("resume", "b")


def test_a_run_with_secret_inputs_is_not_resumed(theatre: Theatre) -> None:
    dead = died(theatre, left().step("verify"), db_password="[redacted]")
    with pytest.raises(Refused, match="secret inputs") as error:
        recovery.recover(dead, lambda event: None)
    assert error.value.next_step == "pyrunbook recover 00c0ffee --rollback"
    theatre.scenes.append(put_back())
    assert recovered(dead, way="rollback")[0].exit_code is ExitCode.SUCCEEDED
    assert "db_password" not in theatre.requests[-1].extra_vars


def test_a_journal_that_breaks_during_a_recovery_is_not_a_refusal(theatre: Theatre) -> None:
    dead = died(theatre, left())
    theatre.scenes.append(put_back().breaks_the_journal())
    result, _ = recovered(dead)
    assert result.exit_code is ExitCode.NOT_PUT_BACK
    assert result.next_step.startswith("mend the journal")


def test_there_is_one_recovery_at_a_time(theatre: Theatre) -> None:
    dead = died(theatre, left())

    def meanwhile(journal: Any, request: Request, on_event: Any) -> None:
        with pytest.raises(Refused, match="Another pyrunbook recover is going on"):
            recovery.recover(dead, lambda event: None)

    theatre.scenes.append(put_back().then(meanwhile))
    assert recovered(dead)[0].exit_code is ExitCode.SUCCEEDED


def test_dry_runs_and_finished_runs_need_no_recovery(theatre: Theatre) -> None:
    assert recovery.unfinished() == []
    for run_id, check in (("00000001", True), ("00000002", False)):
        request = Request(playbook=UPDATE, inventory=("/one",), run_id=run_id, check=check)
        (left() if check else good())(request, lambda event: None, lambda: False)
    assert recovery.unfinished() == []
