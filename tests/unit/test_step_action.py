"""The base of the action plugins, and the plugins that need no cluster, without a play around them."""

from __future__ import annotations

import http.server
import json
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleError

from pyrunbook.errors import BadInput, FailedAndPutBack, Refused
from pyrunbook.journal import Journal, RunStart
from pyrunbook.on_target import lock_file
from pyrunbook.plugins.action import (
    checks,
    choose_release,
    conclude,
    preflight,
    rollback_plan,
    service_answers,
    wait_ready,
)
from pyrunbook.plugins.step_action import ENV_JOURNAL_BROKEN, ENV_RUN_ID, StepAction
from pyrunbook.rollout import plan

Run = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private state directory, a known operator, no run."""
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYRUNBOOK_OPERATOR", "ada")
    for name in (ENV_RUN_ID, ENV_JOURNAL_BROKEN):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def run(plugin: type[StepAction], check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
    """What the task of a play would get."""
    task: Any = SimpleNamespace(args=arguments, check_mode=check_mode, async_val=0, action="it", environment=None)
    action = plugin(task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), MagicMock())
    return action.run(task_vars={})


class Probe(StepAction):
    """A plugin that does what its argument says."""

    ARGUMENTS: ClassVar = {
        "color": {"type": "str", "required": True, "choices": ["blue", "green"]},
        "count": {"type": "int", "default": 3},
    }
    acted = 0

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        Probe.acted += 1
        if arguments["color"] == "green":
            error = Refused("green is taken", means="Nothing was changed.", next_step="use blue")
            error.evidence = {"seen": 1}  # type: ignore[attr-defined]
            raise error
        if arguments["count"] < 0:
            raise BadInput("count is below 0")
        return {"changed": not self.check_mode, "run": self.run_id, **arguments}


class Restorer(Probe):
    CHANGES = False


@pytest.fixture(autouse=True)
def nothing_acted() -> None:
    Probe.acted = 0


def test_arguments_are_typed_and_defaulted() -> None:
    assert run(Probe, color="blue", count="5")["count"] == 5
    assert run(Probe, color="blue")["count"] == 3


@pytest.mark.parametrize(
    "arguments", [{}, {"color": "red"}, {"color": "blue", "count": "x"}, {"color": "blue", "colour": 1}]
)
def test_wrong_arguments_fail_before_anything_is_done(arguments: dict[str, Any]) -> None:
    with pytest.raises(AnsibleError):
        run(Probe, **arguments)
    assert Probe.acted == 0


def test_an_error_of_ours_is_a_failed_task_with_the_same_words() -> None:
    result = run(Probe, color="green")
    assert result["failed"] is True
    assert result["msg"] == "green is taken\nNothing was changed.\nNext: use blue"
    assert (result["seen"], result["next_step"], result["evidence"]) == ("green is taken", "use blue", {"seen": 1})
    assert result["bad_input"] is False
    assert run(Probe, color="blue", count=-1)["bad_input"] is True


def test_check_mode_reaches_the_plugin() -> None:
    assert run(Probe, color="blue")["changed"] is True
    assert run(Probe, check_mode=True, color="blue")["changed"] is False


def test_the_run_id(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(Probe, color="blue")["run"] == "manual"
    monkeypatch.setenv(ENV_RUN_ID, "7f3a0001")
    assert run(Probe, color="blue")["run"] == "7f3a0001"


def test_nothing_is_changed_that_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the journal cannot be written, only what restores goes on."""
    monkeypatch.setenv(ENV_JOURNAL_BROKEN, "disk full")
    result = run(Probe, color="blue")
    assert result["failed"] is True
    assert "disk full" in result["msg"]
    assert Probe.acted == 0
    assert not run(Probe, check_mode=True, color="blue").get("failed")
    assert not run(Restorer, color="blue").get("failed")


# --- the inputs of a role ---------------------------------------------------------------------------------------


SPEC = """
argument_specs:
  main:
    options:
      paint_color: {type: str, required: true, choices: [blue, green]}
      paint_layers: {type: int, default: 2}
      paint_tools: {type: list, elements: str, default: []}
"""


class Paint(StepAction):
    """An action of two parts; the second one fails for green."""

    ROLE_INPUTS = True

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"changed": True, "detail": "cleaned", "evidence": {"spots": 1}, "diff": {"before": "", "after": "1"}}
        if inputs["paint_color"] == "green":
            raise FailedAndPutBack("there is no green paint", evidence={"paint": 0})
        yield {"changed": False, "detail": "painted", "evidence": {"inputs": inputs}}


def paint(role: Path, **variables: Any) -> dict[str, Any]:
    """What the role's task gets; a template is a text that names a variable."""
    (role / "meta").mkdir(exist_ok=True)
    (role / "meta/argument_specs.yml").write_text(SPEC)
    task: Any = SimpleNamespace(
        args={}, check_mode=False, async_val=0, action="paint", environment=None,
        _role=SimpleNamespace(_role_path=str(role)),
    )  # fmt: skip
    templar = SimpleNamespace(template=lambda value: variables.get(value, value) if isinstance(value, str) else value)
    action = Paint(task, MagicMock(), MagicMock(), MagicMock(), templar, MagicMock())
    return action.run(task_vars=variables)


def test_inputs_are_the_variables_of_the_role_typed_and_defaulted(tmp_path: Path) -> None:
    result = paint(tmp_path, paint_color="the_color", the_color="blue", paint_layers="3", paint_thinner="none")
    assert result["evidence"]["inputs"] == {"paint_color": "blue", "paint_layers": 3, "paint_tools": []}
    assert paint(tmp_path, paint_color="blue")["evidence"]["inputs"]["paint_layers"] == 2


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "missing required arguments: paint_color"),
        ({"paint_color": "red"}, "value of paint_color must be one of: blue, green, got: red"),
        ({"paint_color": "blue", "paint_layers": "many"}, "argument 'paint_layers' is of type"),
    ],
)
def test_wrong_inputs_are_refused_as_ansible_refuses_them(tmp_path: Path, variables: Any, told: str) -> None:
    result = paint(tmp_path, **variables)
    assert (result["failed"], result["bad_input"]) == (True, True)
    assert result["msg"].startswith("Validation of arguments failed:\n")
    assert told in result["msg"]
    assert "detail" not in result, "nothing was done"


def test_the_parts_of_an_operation_are_one_result(tmp_path: Path) -> None:
    result = paint(tmp_path, paint_color="blue")
    assert (result["changed"], result["detail"]) == (True, "cleaned · painted")
    assert set(result["evidence"]) == {"spots", "inputs"}
    assert result["diff"] == [{"before": "", "after": "1"}]


def test_a_failure_keeps_what_was_done_before_it(tmp_path: Path) -> None:
    result = paint(tmp_path, paint_color="green")
    assert (result["failed"], result["msg"]) == (True, "there is no green paint")
    assert (result["changed"], result["detail"]) == (True, "cleaned")
    assert result["evidence"] == {"spots": 1, "paint": 0}


# --- checks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def nobody() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_a_failed_check_ends_the_step_with_evidence(nobody: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    result = run(checks.ActionModule, url=nobody, checks=[{"name": "health"}], hooks=[{"argv": ["touch", str(made)]}])
    assert result["failed"] is True
    assert result["msg"].startswith("health (error): GET /: ")
    assert result["evidence"]["health"]["verdict"] == "error"
    assert not made.exists(), "what comes after the first failure is not performed"
    json.dumps(result["evidence"])


def test_all_are_read_before_any_is_performed(nobody: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    hooks = [{"argv": ["touch", str(made)]}, {"argv": ["/nonexistent/check"]}]
    result = run(checks.ActionModule, url=nobody, checks=[], hooks=hooks)
    assert "/nonexistent/check is not an executable file" in result["msg"]
    assert not made.exists()
    result = run(checks.ActionModule, url=nobody, checks=[{"pth": "/"}], hooks=hooks[:1])
    assert "unknown key pth" in result["msg"]
    assert not made.exists()


def test_nothing_to_check_is_no_pass(nobody: str) -> None:
    assert "nothing to check" in run(checks.ActionModule, url=nobody, checks=[])["msg"].lower()


def test_check_mode_reads_checks_and_performs_none(nobody: str) -> None:
    result = run(checks.ActionModule, check_mode=True, url=nobody, checks=[{"name": "health"}])
    assert not result.get("failed")
    assert "not performed" in result["detail"]
    assert run(checks.ActionModule, check_mode=True, url=nobody, checks=[{"pth": "/"}])["failed"] is True


def test_hooks_know_the_run(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV_RUN_ID, "7f3a0001")
    hook = {"name": "own", "argv": ["sh", "-c", "echo $PYRUNBOOK_URL $PYRUNBOOK_RUN_ID $PYRUNBOOK_RELEASE"]}
    result = run(checks.ActionModule, url=nobody, checks=[], hooks=[hook], environment={"release": "1.1.0"})
    assert result["evidence"]["own"]["output"] == [f"{nobody} 7f3a0001 1.1.0"]
    assert result["changed"] is False


# --- waiting -----------------------------------------------------------------------------------------------------


def test_wait_ready_names_what_it_waited_for_and_saw_last(nobody: str) -> None:
    result = run(wait_ready.ActionModule, url=nobody, check={"name": "ready", "path": "/ready"}, seconds=0.2)
    assert result["failed"] is True
    assert f"{nobody} is not ready after 0.2 s and " in result["msg"]
    assert "refused" in result["msg"].lower()
    waited = run(wait_ready.ActionModule, check_mode=True, url=nobody, check={"name": "ready"}, seconds=60)
    assert not waited.get("failed")


@pytest.mark.parametrize(("serving", "told"), [("1.1.0", "1.1.0 serves already and is deployed once more"), ("1", "")])
def test_deploying_the_release_that_serves_already_says_so(serving: str, told: str) -> None:
    there = {"candidate": "1.1.0", "available": ["1.1.0"], "directory": "/srv/releases"}
    chosen = run(choose_release.ActionModule, serving=serving, **there)
    assert (chosen["release"], chosen["detail"]) == ("1.1.0", told)


# --- where the service's address leads ---------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[str]:
    """Answers 1.0.4 on /version, and 200 on /ready; anything else is 404."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in ("/version", "/ready") else 404)
            self.end_headers()
            self.wfile.write(b'{"version": "1.0.4"}')

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


VERSION = {"name": "version", "path": "/version", "json": {"version": "1.0.4"}}
READY = {"name": "ready", "path": "/ready"}


def answers(
    url: str, release: str = "1.0.4", checks: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    ready = more.pop("ready_check", READY)
    given = {"url": url, "color": "blue", "release": release, "checks": checks or [VERSION], "ready_check": ready}
    return run(service_answers.ActionModule, **given, **more)


@pytest.mark.parametrize("check_mode", [False, True])
def test_the_address_of_the_service_leads_to_the_release_that_serves(service: str, check_mode: bool) -> None:
    sick = {"name": "health", "path": "/health", "requests": 20}  # a service that is sick may be updated
    result = answers(service, checks=[sick, VERSION], check_mode=check_mode)
    assert result["detail"] == f"{service} answers 1.0.4"
    assert result["evidence"]["compared"] == "version"


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("another service", "version (fail): answered version 1.0.4, wanted 0.9.9"),
        ("a wrong port", "version (error): Connection refused"),
        ("a wrong scheme", "version (error): TLS: wrong version number"),
        ("a wrong name", "version (error): the name is not known here"),
        ("a wrong path", "version (fail): answered 404"),
    ],
)
def test_an_address_that_leads_elsewhere_is_refused(
    service: str, nobody: str, case: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_answers, "PATIENCE", 0)
    url = {
        "a wrong port": nobody,
        "a wrong scheme": service.replace("http:", "https:"),
        "a wrong name": "http://shop.invalid",
        "a wrong path": service + "/shop",
    }.get(case, service)
    release = "0.9.9" if case == "another service" else "1.0.4"
    result = answers(url, release, [{**VERSION, "json": {"version": release}}])
    assert result["failed"] is True
    assert f"{url} (service_url) does not answer as the service does while blue serves {release}" in result["msg"]
    assert why in result["msg"]
    assert "Nothing was changed." in result["msg"]
    assert result["bad_input"] is False


def test_a_service_that_tells_no_release_must_be_ready_at_its_address(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_answers, "PATIENCE", 0)
    told = answers(service, checks=[{"name": "home", "path": "/"}])
    assert told["detail"] == f"{service} is ready; no check names its release"
    assert told["evidence"]["compared"] == "ready check"
    refused = answers(service, release="", checks=[VERSION], ready_check={"name": "ready", "path": "/nowhere"})
    assert "ready (fail): answered 404" in refused["msg"]


# --- plans -------------------------------------------------------------------------------------------------------

PLAN = {
    "state": "recorded",
    "id": "7f3a0001",
    "service": "agent-factory",
    "runbook": "maintenance/production_update",
    "platform": "host",
    "active": "blue",
    "preview": "green",
    "release": "1.0.4",
    "host": {"active": "blue"},
}


def test_a_plan_is_recorded_once_and_read(state: Path) -> None:
    first = run(rollback_plan.ActionModule, **PLAN)
    assert first["changed"] is True
    assert first["plan"]["id"] == "7f3a0001"
    again = run(rollback_plan.ActionModule, **{**PLAN, "active": "green", "preview": "blue"})
    assert again["changed"] is False
    assert again["sealed"] == first["sealed"]
    read = run(rollback_plan.ActionModule, state="read", id="7f3a0001", service="agent-factory")
    assert read["content"]["active"] == "blue"
    assert read["content"]["operator"] == "ada"


def test_check_mode_records_no_plan(state: Path) -> None:
    assert run(rollback_plan.ActionModule, check_mode=True, **PLAN)["changed"] is True
    assert not state.exists()


def test_a_plan_kept_elsewhere_is_read_from_its_text_and_checked(state: Path) -> None:
    sealed = run(rollback_plan.ActionModule, check_mode=True, **PLAN)["sealed"]
    asked = {"state": "read", "id": "7f3a0001", "service": "agent-factory"}
    assert run(rollback_plan.ActionModule, **asked, text=sealed)["content"]["release"] == "1.0.4"
    damaged = run(rollback_plan.ActionModule, **asked, text=sealed.replace("1.0.4", "1.0.5"))
    assert "the checksum does not match" in damaged["msg"]
    assert run(rollback_plan.ActionModule, **asked, text="")["content"] is None


def test_a_damaged_plan_here_is_not_replaced_by_one_from_elsewhere(state: Path) -> None:
    sealed = run(rollback_plan.ActionModule, **PLAN)["sealed"]
    path = plan.path_of("7f3a0001", "agent-factory")
    path.write_text("damaged")
    result = run(rollback_plan.ActionModule, state="read", id="7f3a0001", service="agent-factory", text=sealed)
    assert "is not a rollback plan" in result["msg"]


# --- starting ----------------------------------------------------------------------------------------------------

STARTING: dict[str, Any] = {
    "runbook": "maintenance/production_update",
    "service": "agent-factory",
    "window": "always",
    "attested": ["oncall_available", "staging_validated"],
}


def _begin(run_id: str, service: str = "agent-factory") -> None:
    """As the callback does it before the first task."""
    with Journal.open() as journal:
        journal.start_run(
            RunStart(
                id=run_id, runbook=STARTING["runbook"], operator="ada", machine=socket.gethostname(), pid=os.getpid(),
                process_started=0.0, inventory="here", inputs={}, check_mode=False, mode="run",
            )
        )  # fmt: skip
        journal.add_service(run_id, service, "host")


def test_of_runs_that_start_in_the_same_moment_exactly_one_gets_the_lock(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are in the journal before any of them looks there for others."""
    with Journal.open():
        pass
    forks = multiprocessing.get_context("fork")
    barrier, told = forks.Barrier(4), forks.SimpleQueue()

    def start(run_id: str) -> None:
        monkeypatch.setenv(ENV_RUN_ID, run_id)
        _begin(run_id)
        barrier.wait(30)
        result = run(preflight.ActionModule, **STARTING)
        if result.get("failed"):
            return told.put((run_id, result["msg"]))
        try:
            lock_file.acquire(str(tmp_path / "lock.json"), {"holder": run_id}, predecessors=result["ended"])
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


def test_a_run_that_began_later_but_has_changed_something_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock may have been broken."""
    _begin("7f3a0001")
    _begin("7f3a0002")
    monkeypatch.setenv(ENV_RUN_ID, "7f3a0001")
    assert not run(preflight.ActionModule, **STARTING).get("failed")
    with Journal.open() as journal:
        journal.record_plan("7f3a0002", "agent-factory", "7f3a0002", "0")
    refused = run(preflight.ActionModule, **STARTING)
    assert "Run 7f3a0002 of agent-factory" in refused["msg"] and not refused["bad_input"]


def test_only_a_run_that_has_come_to_its_end_leaves_a_lock_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback that failed is no end: what it left in the middle is still locked."""
    for run_id, outcome in (("7f3a0001", "refused"), ("7f3a0002", "succeeded"), ("7f3a0003", "rollback_failed")):
        _begin(run_id, "agent-factory" if outcome != "rollback_failed" else "another")
        with Journal.open() as journal:
            journal.end_run(run_id, outcome)
    _begin("7f3a0004")
    monkeypatch.setenv(ENV_RUN_ID, "7f3a0004")
    assert run(preflight.ActionModule, **STARTING)["ended"] == ["7f3a0002", "7f3a0001"]
    assert "Run 7f3a0003 of another" in run(preflight.ActionModule, **{**STARTING, "service": "another"})["msg"]


# --- concluding --------------------------------------------------------------------------------------------------


def test_conclude_hands_the_outcome_to_the_journal() -> None:
    result = run(conclude.ActionModule, outcome="rolled_back", cause="POST answered 500", detail="blue serves 1.0.4")
    assert result["conclusion"] == {"outcome": "rolled_back", "cause": "POST answered 500"}
    assert result["detail"] == "blue serves 1.0.4"
    with pytest.raises(AnsibleError):
        run(conclude.ActionModule, outcome="fine")


def test_a_hint_names_what_the_caller_has(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrunbook.plugins.action import preflight

    monkeypatch.setenv(preflight.ENV_EVENTS, "/somewhere")
    assert preflight._attesting(["told"], ["asked"]) == "--attest asked"
    monkeypatch.delenv(preflight.ENV_EVENTS)
    assert preflight._attesting(["told"], ["asked"]) == """-e '{"preflight_attested": ["told", "asked"]}'"""


@pytest.mark.parametrize("unknown", [KeyError("uid not found"), OSError("no username set")])
def test_a_user_whom_the_machine_does_not_know_is_named_by_number(
    monkeypatch: pytest.MonkeyPatch, unknown: Exception
) -> None:
    def fails() -> str:
        raise unknown

    for name in ("PYRUNBOOK_OPERATOR", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("getpass.getuser", fails)
    assert preflight.operator() == f"uid {os.getuid()}"
