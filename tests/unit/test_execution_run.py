"""How an operation ends, whatever its play does; the play is a stand-in that writes the journal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from played import (
    CANCELED,
    DONE,
    FAILED,
    KILLED,
    TIMED_OUT,
    Scene,
    Theatre,
    good,
    kept,
    left,
    not_put_back,
    past_verification,
    put_back,
    refused,
    rolled_back,
    run_in_journal,
)  # fmt: skip

from pyrunbook.errors import BadInput, ExitCode
from pyrunbook.execution import inventory
from pyrunbook.execution import run as execution
from pyrunbook.execution.play import Ended, Request
from pyrunbook.execution.run import Result, operate
from pyrunbook.execution.signals import Signals
from pyrunbook.journal import JournalError, Outcome

ROOT = Path(__file__).resolve().parents[2]
UPDATE = Path("/content/playbooks/maintenance/production_update.yml")


@pytest.fixture
def theatre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theatre]:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path))
    monkeypatch.setenv("PYRUNBOOK_JOURNAL", f"sqlite:///{tmp_path}/journal.db")
    made = Theatre()
    monkeypatch.setattr(execution, "perform", made)
    monkeypatch.setattr(inventory, "services", lambda sources, limit="": {"web": {}})
    yield made
    assert not made.scenes, "a play that was expected did not happen"


class Operation:
    """One call of `operate`, with the events that it told."""

    def __init__(self, theatre: Theatre, *scenes: Scene, **changes: Any) -> None:
        self.theatre, self.events = theatre, []  # type: ignore[var-annotated]
        self.request = Request(playbook=UPDATE, inventory=("/inventory",), run_id="00c0ffee", **changes)
        theatre.scenes += scenes

    def __call__(self) -> Result:
        result = operate(self.request, self.events.append)
        self.check_contract()
        assert self.events[-1]["exit_code"] == result.exit_code
        assert self.events[-1]["outcome"] == (str(result.outcome) if result.outcome else None)
        return result

    def check_contract(self) -> None:
        kinds = [event["event"] for event in self.events]
        assert (kinds[0], kinds.count("run_started")) == ("run_started", 1), kinds
        assert (kinds[-1], kinds.count("run_ended")) == ("run_ended", 1), kinds
        assert {event.get("run", "00c0ffee") for event in self.events} == {"00c0ffee"}

    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events]


@pytest.mark.parametrize(
    ("scenes", "outcome", "code", "cause"),
    [
        ([good()], "succeeded", 0, ""),
        ([refused()], "refused", 3, "The window is closed."),
        ([rolled_back()], "rolled_back", 4, "500 in 3 of 20"),
        ([left(KILLED), put_back()], "rolled_back", 4, "ansible-playbook was killed"),
        ([left(FAILED), put_back()], "rolled_back", 4, "fatal: it failed"),
        ([left(TIMED_OUT), put_back("timed_out")], "timed_out", 4, "the run took longer than its timeout"),
        ([left(DONE), put_back()], "rolled_back", 4, "ansible-playbook ended by itself"),
        ([left(), Scene(KILLED), Scene(KILLED).start(), put_back()], "rolled_back", 4, "ansible-playbook was killed"),
        ([left(), not_put_back(), put_back()], "rolled_back", 4, "ansible-playbook was killed"),
        ([left(), not_put_back(), not_put_back(), not_put_back()], "rollback_failed", 5, "blue does not start"),
        ([left(), *[Scene(KILLED)] * 3], "rollback_failed", 5, "the rollback did not come to its end"),
        # Nothing had been changed: there is nothing to put back, only a lock to be freed, and that is tried once.
        ([Scene(KILLED).start().step("preflight"), Scene(KILLED)], "rolled_back", 4, "ansible-playbook was killed"),
    ],
)  # fmt: skip
def test_operate(theatre: Theatre, scenes: list[Scene], outcome: str, code: int, cause: str) -> None:
    operation = Operation(theatre, *scenes, tags="deploy_green", timeout=300.0, extra_vars={"release": "2"})
    result = operation()
    assert (result.outcome, result.exit_code, result.cause) == (outcome, code, cause)
    if outcome == "succeeded":
        assert result.next_step == "pyrunbook rollback 00c0ffee"
    if outcome == "rollback_failed":
        assert result.next_step == "pyrunbook recover 00c0ffee --rollback"
    if len(scenes) > 1:
        assert operation.events[-1]["cause"] == cause
        assert "putting_back" in operation.kinds()
        recovery = theatre.requests[-1]
        assert recovery.playbook == ROOT / "playbooks/deployment/rollback.yml"
        assert (recovery.mode, recovery.limit, recovery.timeout, recovery.tags) == ("recover", "web", None, "")
        assert recovery.inventory == ("/inventory",)
        assert set(recovery.extra_vars) == {"put_back_as", "rollback_reason"}
    else:
        assert "putting_back" not in operation.kinds()


@pytest.mark.parametrize(
    ("scene", "cause"),
    [
        (past_verification(KILLED), "ansible-playbook was killed"),
        (past_verification(TIMED_OUT), "the run took longer than its timeout"),
        (past_verification().then(lambda *_: os.kill(os.getpid(), signal.SIGINT)), "ended by SIGINT"),
        (past_verification(FAILED).step("cleanup", "unreachable", "no route"), "no route"),
    ],
)
def test_what_was_verified_stays_however_the_play_ended(theatre: Theatre, scene: Scene, cause: str) -> None:
    operation = Operation(theatre, scene, kept())
    result = operation()
    assert (result.outcome, result.exit_code, result.cause) == (Outcome.NOT_CLEANED_UP, ExitCode.FINDINGS, cause)
    assert result.next_step == "pyrunbook recover 00c0ffee"
    assert "keeping" in operation.kinds() and "putting_back" not in operation.kinds()
    recovery = theatre.requests[-1]
    assert (recovery.playbook.name, recovery.mode) == ("rollback.yml", "recover")
    assert recovery.extra_vars["put_back_keeps"] == {"web": "not_cleaned_up"}
    assert run_in_journal("00c0ffee").finished, "the next run may begin"


def test_a_run_that_dies_while_it_concludes_has_nothing_left_to_clean_up(theatre: Theatre) -> None:
    operation = Operation(theatre, past_verification().step("cleanup").step("conclude"), kept("succeeded"))
    assert operation().exit_code is ExitCode.SUCCEEDED
    assert theatre.requests[-1].extra_vars["put_back_keeps"] == {"web": "succeeded"}


@pytest.mark.parametrize(
    "scene",
    [
        Scene(KILLED).start().plan().step("verify", "failed", "500"),
        Scene(KILLED).start().plan().step("verify", "skipped"),
        past_verification().step("rollback"),
        past_verification().step("verify", "failed", "500"),
    ],
)
def test_what_is_not_verified_or_is_being_put_back_does_not_stay(theatre: Theatre, scene: Scene) -> None:
    assert Operation(theatre, scene, put_back())().exit_code is ExitCode.PUT_BACK
    assert "put_back_keeps" not in theatre.requests[-1].extra_vars


def test_of_two_services_the_verified_one_stays_and_the_other_is_put_back(theatre: Theatre) -> None:
    scene = (
        Scene(KILLED).start("a", "b").plan("a").plan("b").step("verify", service="a").step("deploy_green", service="b")
    )
    ends = Scene().start("a", "b").conclude("not_cleaned_up", service="a").conclude("rolled_back", service="b")
    result = Operation(theatre, scene, ends)()
    assert (result.outcome, result.exit_code) == (Outcome.ROLLED_BACK, ExitCode.PUT_BACK)
    assert (theatre.requests[-1].limit, theatre.requests[-1].extra_vars["put_back_keeps"]) == (
        "a,b", {"a": "not_cleaned_up"},
    )  # fmt: skip


def test_what_cannot_be_looked_at_is_taken_up_again_forward(theatre: Theatre) -> None:
    result = Operation(theatre, past_verification(), *[Scene(KILLED).start()] * 3)()
    assert (result.outcome, result.exit_code) == (Outcome.ROLLBACK_FAILED, ExitCode.NOT_PUT_BACK)
    assert result.next_step == "pyrunbook recover 00c0ffee"


def test_what_a_run_left_is_put_back_by_the_runbook_that_its_own_one_names(theatre: Theatre) -> None:
    operation = Operation(theatre, left(KILLED), put_back(), undone_by="maintenance/certificate_rollback")
    operation()
    assert theatre.requests[-1].playbook == ROOT / "playbooks/maintenance/certificate_rollback.yml"


def test_an_unreachable_machine_is_bad_input_before_a_change_and_a_failure_after_it(theatre: Theatre) -> None:
    gone = Scene(FAILED).start().step("preflight", "unreachable", "ssh: no route").conclude("unreachable", "ssh")
    result = Operation(theatre, gone.end("unreachable", "ssh"))()
    assert (result.outcome, result.exit_code) == (Outcome.UNREACHABLE, ExitCode.BAD_INPUT)
    later = Scene(FAILED).start().plan().step("drain", "unreachable", "ssh: no route")
    operation = Operation(theatre, later, put_back("unreachable"))
    operation.request = Request(playbook=UPDATE, inventory=("/inventory",), run_id="0000beef")
    result = operate(operation.request, operation.events.append)
    assert (result.outcome, result.exit_code) == (Outcome.UNREACHABLE, ExitCode.PUT_BACK)
    assert theatre.requests[-1].extra_vars == {"put_back_as": "unreachable", "rollback_reason": "ssh: no route"}


def test_a_refusal_for_a_wrong_input_is_bad_input(theatre: Theatre) -> None:
    def wrong(journal: Any, request: Request, on_event: Any) -> None:
        on_event({"event": "step_ended", "step": "preflight", "outcome": "failed", "bad_input": True})

    scene = Scene(FAILED).start().then(wrong).conclude("refused", "no release 9").end("refused", "no release 9")
    assert Operation(theatre, scene)().exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Ended("failed", 1, ("ERROR! the playbook: /x could not be found",), False), "could not be found"),
        (Ended("successful", 0, (), no_hosts=True), "No host matched: inventory /inventory has none in group services"),
        (
            Ended(
                "failed",
                1,
                ("[ERROR]: Specified inventory, host pattern and/or --limit leaves us with no hosts to target.",),
                False,
            ),
            "No host",
        ),
        (Ended("failed", 4, (), False), "exit code 4"),
    ],
)
def test_a_play_that_did_not_begin_is_bad_input(theatre: Theatre, ended: Ended, words: str) -> None:
    operation = Operation(theatre, Scene(ended))
    with pytest.raises(BadInput, match=words):
        operate(operation.request, operation.events.append)
    operation.check_contract()
    assert (operation.events[-1]["outcome"], operation.events[-1]["exit_code"]) == (None, 2)


def test_services_at_a_time_that_are_no_number_are_bad_input(theatre: Theatre) -> None:
    """Ansible reads `serial` before a callback can, and takes it for a bug of its own."""
    told = "[ERROR]: Unexpected Exception, this is probably a bug: invalid literal for int() with base 10: 'many'"
    scene = Scene(Ended("failed", 250, (told,), False))
    with pytest.raises(BadInput, match="update_serial is 'many', which is no number"):
        Operation(theatre, scene, extra_vars={"update_serial": "many"})()


def test_a_play_that_the_journal_does_not_know_is_unknown_and_never_nothing_changed(theatre: Theatre) -> None:
    """It was recorded elsewhere, or not at all: what it did cannot be told from here."""
    for ended in (Ended("successful", 0, (), False, began=True), Ended("failed", 2, ("fatal: x",), False, began=True)):
        result = Operation(theatre, Scene(ended))()
        assert (result.outcome, result.exit_code) == (Outcome.ROLLBACK_FAILED, ExitCode.NOT_PUT_BACK)
        assert "does not know it" in result.cause
        assert result.next_step == "see what serves: pyrunbook doctor -i /inventory"


def test_a_run_without_hosts_is_brought_to_an_end(theatre: Theatre) -> None:
    def no_host(journal: Any, request: Request, on_event: Any) -> None:
        Scene().start()._acts[0](journal, request, on_event)
        with journal._writing() as connection:
            connection.exec_driver_sql("DELETE FROM services")

    operation = Operation(theatre, Scene(Ended("successful", 0, (), no_hosts=True)).then(no_host))
    with pytest.raises(BadInput, match="No host matched"):
        operate(operation.request, operation.events.append)
    assert run_in_journal("00c0ffee").finished


def test_what_ansible_runner_itself_does_wrong_is_put_back(theatre: Theatre) -> None:
    scene = Scene().start().plan().raises(OSError(28, "No space left on device"))
    result = Operation(theatre, scene, put_back())()
    assert result.exit_code is ExitCode.PUT_BACK
    assert "No space left on device" in result.cause


def test_a_play_that_cannot_be_recorded_is_refused(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends by itself before its first task; see `test_callback.py`."""
    monkeypatch.setenv("PYRUNBOOK_JOURNAL", "sqlite:////proc/no/such/journal.db")
    operation = Operation(theatre)
    monkeypatch.setattr(theatre, "scenes", [lambda *_: FAILED])
    with pytest.raises(JournalError) as error:
        operate(operation.request, operation.events.append)
    assert error.value.exit_code is ExitCode.REFUSED
    assert operation.events[-1]["exit_code"] == ExitCode.REFUSED
    assert len(theatre.requests) == 1


@pytest.mark.parametrize(("ended", "words"), [(DONE, "ended well, but"), (FAILED, "failed, and")])
def test_a_journal_that_cannot_be_read_afterwards_is_never_a_success(
    theatre: Theatre, ended: Ended, words: str
) -> None:
    scene = good().breaks_the_journal()
    scene.ended = ended
    result = Operation(theatre, scene)()
    assert (result.outcome, result.exit_code) == (Outcome.ROLLBACK_FAILED, ExitCode.NOT_PUT_BACK)
    assert words in result.cause
    assert result.next_step == "mend the journal, then: pyrunbook recover 00c0ffee"


def test_a_listener_that_fails_stops_nothing(theatre: Theatre) -> None:
    def broken(event: dict[str, Any]) -> None:
        raise OSError(5, "Input/output error")  # the terminal is gone

    theatre.scenes += [left(), put_back()]
    assert operate(Operation(theatre).request, broken).exit_code is ExitCode.PUT_BACK
    assert run_in_journal("00c0ffee").outcome is Outcome.ROLLED_BACK


def test_services_that_were_concluded_are_left_alone_when_the_play_dies_before_it_says_so(theatre: Theatre) -> None:
    scene = Scene(KILLED).start().plan().conclude("succeeded")
    result = Operation(theatre, scene)()
    assert (result.outcome, result.exit_code) == (Outcome.SUCCEEDED, ExitCode.SUCCEEDED)
    assert len(theatre.requests) == 1
    assert run_in_journal("00c0ffee").finished


def test_a_play_that_dies_between_two_batches_is_no_success(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "services", lambda sources, limit="": {"web": {}, "shop": {}})
    result = Operation(theatre, Scene(KILLED).start().plan().conclude("succeeded"))()
    assert (result.outcome, result.exit_code) == (Outcome.ROLLED_BACK, ExitCode.PUT_BACK)
    assert "not begun: shop" in result.cause
    assert len(theatre.requests) == 1


def test_services_of_later_batches_are_named(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """A play that fails in one batch ends well-behaved; the next ones are not begun."""
    monkeypatch.setattr(inventory, "services", lambda sources, limit="": {"web": {}, "shop": {}, "search": {}})
    operation = Operation(theatre, rolled_back())
    assert operation().not_begun == ("shop", "search")
    assert operation.events[-1]["not_begun"] == ["shop", "search"]


def test_only_the_services_in_the_middle_are_put_back(theatre: Theatre) -> None:
    scene = Scene(KILLED).start("a", "b").plan("a").plan("b").conclude("succeeded", service="a")
    mended = Scene(FAILED).start("b").conclude("rolled_back", service="b").end("rolled_back")
    assert Operation(theatre, scene, mended)().exit_code is ExitCode.PUT_BACK
    assert theatre.requests[-1].limit == "b"
    assert [part.outcome for part in run_in_journal("00c0ffee").services] == ["succeeded", "rolled_back"]


def test_a_service_that_cannot_be_put_back_does_not_keep_the_others_from_it(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(execution.time, "sleep", slept.append)
    unreachable = Ended("failed", 4, (), no_hosts=False)

    def stuck() -> Scene:
        return Scene(unreachable).start("a").step("preflight", "unreachable", "no route", service="a")

    scene = Scene(KILLED).start("a", "b").plan("a").plan("b")
    together = Scene(unreachable).start("a", "b").step("preflight", "unreachable", "no route", service="a")
    together.conclude("rolled_back", service="b")
    result = Operation(theatre, scene, together, stuck(), stuck())()
    assert (result.outcome, result.exit_code) == (Outcome.ROLLBACK_FAILED, ExitCode.NOT_PUT_BACK)
    assert result.cause == "no route"
    assert [request.limit for request in theatre.requests] == ["", "a,b", "a", "a"]
    run = run_in_journal("00c0ffee")
    assert [part.outcome for part in run.services] == ["rollback_failed", "rolled_back"]
    assert (run.outcome, run.cause, run.finished) == ("rollback_failed", "no route", False)
    assert slept == [pause for pause in execution.ROLLBACK_PAUSES if pause]


def test_services_that_a_common_play_leaves_open_get_a_play_each(theatre: Theatre) -> None:
    scene = Scene(KILLED).start("a", "b").plan("a").plan("b")
    each = [Scene(FAILED).start(name).conclude("rolled_back", service=name) for name in ("a", "b")]
    assert Operation(theatre, scene, Scene(KILLED).start("a", "b"), *each)().exit_code is ExitCode.PUT_BACK
    assert [request.limit for request in theatre.requests] == ["", "a,b", "a", "b"]


def test_a_rollback_that_dies_right_after_it_is_concluded_counts(theatre: Theatre) -> None:
    result = Operation(theatre, left(), Scene(KILLED).start().conclude("rolled_back"))()
    assert (result.outcome, result.exit_code) == (Outcome.ROLLED_BACK, ExitCode.PUT_BACK)
    assert run_in_journal("00c0ffee").finished


def test_a_dry_run_that_was_killed_needs_no_rollback(theatre: Theatre) -> None:
    result = Operation(theatre, Scene(KILLED).start().step("preflight"), check=True)()
    assert result.exit_code is ExitCode.PUT_BACK
    assert len(theatre.requests) == 1
    assert run_in_journal("00c0ffee").finished


# --- signals ---------------------------------------------------------------------------------------------------------


def receive(number: int) -> Any:
    return lambda journal, request, on_event: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_is_put_back_and_says_so(theatre: Theatre, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    operation = Operation(theatre, left(CANCELED).then(receive(number)), put_back("canceled"))
    result = operation()
    assert (result.outcome, result.exit_code) == (Outcome.CANCELED, ExitCode.INTERRUPTED)
    assert result.cause == f"ended by {number.name}"
    assert {"event": "interrupted", "signal": number.name} in operation.events
    assert signal.getsignal(number) is before


def test_a_second_signal_does_not_stop_the_rollback(theatre: Theatre) -> None:
    rollback = put_back("canceled").then(receive(signal.SIGINT)).then(receive(signal.SIGTERM))
    operation = Operation(theatre, left(CANCELED).then(receive(signal.SIGINT)), rollback)
    assert operation().exit_code is ExitCode.INTERRUPTED
    notes = [event["text"] for event in operation.events if event["event"] == "note"]
    assert notes == [f"SIG{name}: what was there is being put back; this is not stopped" for name in ("INT", "TERM")]
    assert operation.kinds().count("interrupted") == 1


def test_a_signal_before_the_first_host_ends_as_interrupted(theatre: Theatre) -> None:
    result = Operation(theatre, Scene(CANCELED).then(receive(signal.SIGINT)))()
    assert (result.outcome, result.exit_code) == (Outcome.CANCELED, ExitCode.INTERRUPTED)


def test_a_signal_that_comes_too_late_changes_nothing(theatre: Theatre) -> None:
    operation = Operation(theatre, good().then(receive(signal.SIGTERM)))
    assert operation().exit_code is ExitCode.SUCCEEDED
    assert "SIGTERM came too late" in operation.events[-2]["text"]


def test_a_run_under_nohup_outlives_its_terminal(theatre: Theatre) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert Operation(theatre, good().then(receive(signal.SIGHUP)))().exit_code is ExitCode.SUCCEEDED
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_writes_nothing_by_itself() -> None:
    told: list[dict[str, Any]] = []
    signals = Signals(told.append)
    with signals.handled():
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == "SIGINT"
        assert not told
        assert signals.asked_to_end()
        assert told == [{"event": "interrupted", "signal": "SIGINT"}]
        assert signals.asked_to_end()
        assert len(told) == 1
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.asked_to_end()
        assert told[-1] == {"event": "note", "text": "SIGTERM: the run is already being ended"}
        signals.rolling_back = True
        assert not signals.asked_to_end()
