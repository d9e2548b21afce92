"""The actions of an update's steps, without a play and without a service: what they check, record and put back."""

from __future__ import annotations

import json
import socket
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from pyrunbook.plugins import target_program
from pyrunbook.plugins.action import collect_evidence, deploy_green, drain, rollback, rollback_plan, validate
from pyrunbook.plugins.step_action import FailedOnTarget, StepAction
from pyrunbook.rollout import plan
from pyrunbook.run_contract import ENV_JOURNAL_BROKEN, ENV_RUN_ID

ROLES = Path(__file__).parents[2] / "roles"
RUN = "7f3a0001"
STATE = {
    "active": "blue",
    "colors": {
        "blue": {"release": "1.0.4", "running": True},
        "green": {"release": None, "running": False},
    },
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private state directory, a known operator, a run."""
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYRUNBOOK_OPERATOR", "ada")
    monkeypatch.setenv(ENV_RUN_ID, RUN)
    monkeypatch.delenv(ENV_JOURNAL_BROKEN, raising=False)
    return tmp_path / "home"


@pytest.fixture
def nobody() -> str:
    """A URL where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


class Machine:
    """The service's machine: answers each program with what a test gives it, and remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def run(self, name: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((name, arguments))
        result = self.answers.get(name, {"changed": True})
        if result.get("failed"):
            raise FailedOnTarget(result)
        return dict(result)


def step(plugin: type[StepAction], machine: Machine, nobody: str, check_mode: bool = False, **given: Any) -> Any:
    """What the one task of a role gets; variables are values, not templates."""
    role = plugin.__module__.rpartition(".")[2]
    colors = {
        color: {"url": nobody, "address": f"127.0.0.1:{port}", "unit": color}
        for color, port in (("blue", 8101), ("green", 8102))
    }
    colors["green"]["url"] = nobody.replace("http", "HTTP")
    variables = {
        "inventory_hostname": "agent-factory", "runbook_id": "maintenance/production_update",
        "service_platform": "host", "service_url": nobody, "service_root": "/srv/agent-factory",
        "service_manager": "systemd", "service_maintenance_address": "127.0.0.1:8099", "service_colors": colors,
        "service_state": STATE, "service_active_color": "blue", "service_preview_color": "green",
        "service_checks": [{"name": "health"}], **given,
    }  # fmt: skip
    task: Any = SimpleNamespace(
        args={}, check_mode=check_mode, async_val=0, action=role, environment=None,
        _role=SimpleNamespace(_role_path=str(ROLES / role)),
    )  # fmt: skip
    templar = SimpleNamespace(template=lambda value: value)
    templar.copy_with_new_env = lambda **_: templar
    action = plugin(task, MagicMock(), MagicMock(), MagicMock(), templar, MagicMock())
    action.on_target = machine.run  # type: ignore[method-assign]
    return action.run(task_vars=variables)


# --- evidence ----------------------------------------------------------------------------------------------------


def test_a_part_of_the_evidence_that_crashes_does_not_lose_the_others(
    nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash() -> None:
        raise KeyError("s3cret-word")

    def call(*_: Any) -> dict[str, Any]:
        return {"files": {"/var/log/it.log": {"end": "it broke", "size": 8}}, "missed": []}  # without `changed`

    monkeypatch.setattr(collect_evidence, "_machine", crash)
    monkeypatch.setattr(target_program, "call", call)
    given = {f"collect_evidence_{name}": value for name, value in (("directory", str(tmp_path)), ("paths", ["/"]))}
    result = step(
        collect_evidence.ActionModule, Machine(), nobody, **given, collect_evidence_files=["/var/log/it.log"],
        db_password="s3cret-word",
    )  # fmt: skip
    assert result["failed"]
    assert [each.partition(":")[0] for each in result["evidence"]["missed"]] == ["machine.json", "platform"]
    assert "s3cret-word" not in json.dumps(result)
    with tarfile.open(result["evidence"]["archive"]) as kept:
        names = {Path(name).name for name in kept.getnames()}
        assert names >= {"run.md", "history.json", "findings.json", "answers.json", "MISSED.txt"}
        missed = kept.extractfile(next(name for name in kept.getnames() if name.endswith("MISSED.txt")))
        assert missed and b"machine.json: KeyError" in missed.read()


# --- validate ----------------------------------------------------------------------------------------------------


def validated(nobody: str, checks: list[Any], hooks: list[Any] | None = None, check_mode: bool = False) -> Any:
    inputs = {"validate_url": nobody, "validate_checks": checks, "validate_hooks": hooks or []}
    return step(validate.ActionModule, Machine(), nobody, check_mode, validate_release="1.1.0", **inputs)


def test_a_failed_check_ends_the_step_with_evidence(nobody: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    result = validated(nobody, [{"name": "health"}], [{"argv": ["touch", str(made)]}])
    assert result["failed"] is True
    assert result["msg"].startswith("health (error): GET /: ")
    assert result["evidence"]["health"]["verdict"] == "error"
    assert not made.exists(), "what comes after the first failure is not performed"
    json.dumps(result["evidence"])


def test_all_are_read_before_any_is_performed(nobody: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    hooks = [{"argv": ["touch", str(made)]}, {"argv": ["/nonexistent/check"]}]
    assert "/nonexistent/check is not an executable file" in validated(nobody, [], hooks)["msg"]
    assert not made.exists()
    assert "unknown key pth" in validated(nobody, [{"pth": "/"}], hooks[:1])["msg"]
    assert not made.exists()


def test_nothing_to_check_is_no_pass(nobody: str) -> None:
    assert "nothing to check" in validated(nobody, [])["msg"].lower()


def test_check_mode_reads_checks_and_performs_none(nobody: str) -> None:
    result = validated(nobody, [{"name": "health"}], check_mode=True)
    assert not result.get("failed")
    assert result["detail"] == "1 checks and 0 hooks, not performed"
    assert "url" not in result, "nothing was verified"
    assert validated(nobody, [{"pth": "/"}], check_mode=True)["failed"] is True


def test_hooks_know_the_run(nobody: str) -> None:
    hook = {"name": "own", "argv": ["sh", "-c", "echo $PYRUNBOOK_URL $PYRUNBOOK_RUN_ID $PYRUNBOOK_RELEASE"]}
    result = validated(nobody, [], [hook])
    assert result["evidence"]["own"]["output"] == [f"{nobody} {RUN} 1.1.0"]
    assert (result["changed"], result["url"]) == (False, nobody)


# --- deploy_green ------------------------------------------------------------------------------------------------


def deployed(nobody: str, check_mode: bool = False) -> Any:
    inputs = {"deploy_green_color": "green", "deploy_green_release": "1.1.0", "deploy_green_timeout": 0.2}
    machine = Machine(host_slot={"changed": True, "detail": "green runs 1.1.0"})
    return step(deploy_green.ActionModule, machine, nobody, check_mode, **inputs)


def test_a_color_that_is_not_ready_says_what_was_waited_for_and_seen_last(nobody: str) -> None:
    result = deployed(nobody)
    assert (result["failed"], result["changed"], result["detail"]) == (True, True, "green runs 1.1.0")
    assert " is not ready after 0.2 s and " in result["msg"]
    assert "refused" in result["msg"].lower()
    waited = deployed(nobody, check_mode=True)
    assert waited["detail"] == "green runs 1.1.0 · would wait until GET /ready succeeds"
    assert waited["deployed"] == {}


# --- drain -------------------------------------------------------------------------------------------------------


def test_a_color_that_answers_no_more_has_nothing_in_flight(nobody: str) -> None:
    machine = Machine(host_slot={"changed": False, "detail": "blue is stopped"})
    result = step(drain.ActionModule, machine, nobody, drain_color="blue", drain_stops_traffic=False, drain_delay=0)
    assert result["detail"] == "no answer, nothing in flight · blue is stopped"
    assert result["changed"] is False
    assert [name for name, _ in machine.asked] == ["host_slot"], "the traffic stays where it is"


def test_a_failure_on_the_machine_keeps_what_was_done_before_it(nobody: str) -> None:
    machine = Machine(
        host_upstream={"changed": True, "detail": "traffic goes to 127.0.0.1:8099", "evidence": {"after": "m"}},
        host_slot={"failed": True, "msg": "blue does not stop", "evidence": {"unit": "blue"}},
    )
    result = step(drain.ActionModule, machine, nobody, drain_color="blue", drain_stops_traffic=True, drain_delay=0)
    assert (result["failed"], result["msg"], result["changed"]) == (True, "blue does not stop", True)
    assert result["evidence"].keys() == {"after", "in_flight", "waited_s", "unit"}
    assert machine.asked[0][1]["keep"] == ["127.0.0.1:8102"], "a resumed run may have switched already"


# --- plans -------------------------------------------------------------------------------------------------------


def recorded(nobody: str, machine: Machine, **given: Any) -> Any:
    return step(rollback_plan.ActionModule, machine, nobody, **given)


def path() -> Path:
    return plan.path_of(RUN, "agent-factory")


def test_a_plan_is_recorded_once_and_kept_at_the_service(nobody: str) -> None:
    machine = Machine()
    first = recorded(nobody, machine)
    assert first["changed"] is True
    assert first["plan"]["id"] == RUN
    assert machine.asked[-1] == (
        "host_plan",
        {"path": f"/srv/agent-factory/state/plans/{RUN}.json", "content": path().read_text()},
    )
    kept = plan.read(path())
    assert (kept.active, kept.release, kept.operator) == ("blue", "1.0.4", "ada")
    again = recorded(nobody, Machine(host_plan={"changed": False}), service_active_color="green")
    assert again["changed"] is False
    assert again["plan"] == first["plan"]
    assert plan.read(path()).active == "blue"


def test_check_mode_records_no_plan(nobody: str, home: Path) -> None:
    assert recorded(nobody, Machine(), check_mode=True)["changed"] is True
    assert not home.exists()


# --- rollback ----------------------------------------------------------------------------------------------------


def rolled_back(nobody: str, machine: Machine, **given: Any) -> Any:
    inputs = {"rollback_plan_id": RUN, "rollback_keeps": False, "ansible_failed_result": {"msg": "it broke"}}
    return step(rollback.ActionModule, machine, nobody, **{**inputs, **given})


def test_what_a_plan_recorded_is_put_back_before_it_is_verified(nobody: str) -> None:
    recorded(nobody, Machine())
    machine = Machine()
    result = rolled_back(nobody, machine)
    assert [name for name, _ in machine.asked] == ["host_put_back"], "not verified, so the other color stays"
    assert result["failed"] is True
    assert (result["outcome"], result["cause"]) == ("rollback_failed", "it broke")
    assert result["now"] == "what was there before is not in place"


def test_a_verified_rollback_ends_as_asked_for(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(nobody, Machine())
    monkeypatch.setattr("pyrunbook.rollout.verification.verify", lambda *_: {"detail": "good", "evidence": {}})
    machine = Machine()
    result = rolled_back(nobody, machine)
    assert [arguments.get("preview", False) for _, arguments in machine.asked] == [False, True]
    assert (result["outcome"], result["now"]) == ("rolled_back", "blue serves 1.0.4")
    half = rolled_back(nobody, Machine(host_put_back={"changed": True}), rollback_outcome="canceled")
    assert half["outcome"] == "canceled"


def test_a_plan_kept_at_the_service_is_read_where_this_machine_has_none(nobody: str) -> None:
    recorded(nobody, Machine())
    sealed = path().read_text()
    path().unlink()
    machine = Machine(host_plan={"changed": False, "content": sealed})
    rolled_back(nobody, machine)
    assert [name for name, _ in machine.asked] == ["host_plan", "host_put_back"]
    damaged = Machine(host_plan={"changed": False, "content": sealed.replace("1.0.4", "1.0.5")})
    result = rolled_back(nobody, damaged)
    assert "the checksum does not match" in result["msg"]
    assert [name for name, _ in damaged.asked] == ["host_plan"], "nothing was changed"


def test_without_a_plan_nothing_was_changed(nobody: str) -> None:
    result = rolled_back(nobody, Machine(host_plan={"changed": False, "content": ""}))
    assert not result.get("failed")
    assert (result["outcome"], result["now"]) == ("failed", "nothing was changed")


def test_a_damaged_plan_here_is_not_replaced_by_one_from_elsewhere(nobody: str) -> None:
    recorded(nobody, Machine())
    sealed = path().read_text()
    path().write_text("damaged")
    machine = Machine(host_plan={"changed": False, "content": sealed})
    result = rolled_back(nobody, machine)
    assert "is not a rollback plan" in result["msg"]
    assert result["outcome"] == "rollback_failed"
    assert machine.asked == []


def test_a_release_that_was_verified_stays_while_it_serves(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrunbook.rollout.verification.verify", lambda *_: {"detail": "good", "evidence": {}})
    machine = Machine(host_slot={"changed": False})
    result = rolled_back(nobody, machine, rollback_keeps=True, service_release="1.1.0")
    assert machine.asked[0][1]["state"] == "serving"
    assert (result["outcome"], result["cause"]) == ("not_cleaned_up", "it broke")
    assert result["now"] == "green serves 1.1.0, blue is not cleaned up"


def test_a_release_that_serves_no_longer_is_put_back(nobody: str) -> None:
    recorded(nobody, Machine())
    machine = Machine(host_slot={"failed": True, "msg": "green does not run"})
    result = rolled_back(nobody, machine, rollback_keeps=True, service_release="1.1.0")
    assert [name for name, _ in machine.asked] == ["host_slot", "host_put_back"]
    assert result["cause"] == "green does not run", "why it did not stay, not why it was looked at"


@pytest.mark.parametrize("plugin", [rollback.ActionModule, rollback_plan.ActionModule, validate.ActionModule])
def test_what_restores_does_not_need_the_journal(plugin: type[StepAction]) -> None:
    assert plugin.CHANGES is False
