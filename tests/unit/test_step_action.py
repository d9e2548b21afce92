"""The base of the action plugins, and the plugins that need no cluster, without a play around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleError

from pyrunbook import places
from pyrunbook.errors import BadInput, FailedAndPutBack, Refused
from pyrunbook.plugins.action import conclude
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.run_contract import ENV_JOURNAL_BROKEN, ENV_RUN_ID

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
    """An action of two parts; the second one fails for green, and breaks with ten layers."""

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"changed": True, "detail": "cleaned", "evidence": {"spots": 1}, "diff": {"before": "", "after": "1"}}
        if inputs["paint_color"] == "green":
            raise FailedAndPutBack("there is no green paint", evidence={"paint": 0})
        if inputs["paint_layers"] == 10:
            raise AttributeError("'str' object has no attribute 'get'")
        yield {"changed": False, "detail": "painted", "evidence": {"inputs": inputs}}


def paint(role: Path, **variables: Any) -> dict[str, Any]:
    """What the role's task gets; a template is a text that names a variable."""
    (role / "meta").mkdir(exist_ok=True)
    (role / "meta/argument_specs.yml").write_text(SPEC)
    task: Any = SimpleNamespace(
        args={}, check_mode=False, async_val=0, action="paint", environment=None,
        _role=SimpleNamespace(_role_path=str(role), get_name=lambda include_role_fqcn: "paint"),
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


def test_in_an_incident_a_failure_is_a_finding_also_one_of_our_own_code(tmp_path: Path) -> None:
    for wrong, said in (({"paint_color": "green"}, "no green paint"), ({"paint_layers": 10}, "AttributeError: 'str'")):
        result = paint(tmp_path, **{"paint_color": "blue", **wrong}, failures_are_findings=True)
        assert not result.get("failed")
        assert result["finding"]["step"] == "paint"
        assert said in result["finding"]["said"]
    with pytest.raises(AttributeError):
        paint(tmp_path, paint_color="blue", paint_layers=10)


# --- concluding --------------------------------------------------------------------------------------------------


def concluded(outcome: str, **more: Any) -> dict[str, Any]:
    """What the task of the role conclude gets, in a run that holds no lock."""
    task: Any = SimpleNamespace(
        args={}, check_mode=False, async_val=0, action="conclude", environment=None,
        _role=SimpleNamespace(_role_path=str(places.content() / "roles/conclude")),
    )  # fmt: skip
    templar = SimpleNamespace(template=lambda value: value)
    action = conclude.ActionModule(task, MagicMock(), MagicMock(), MagicMock(), templar, MagicMock())
    return action.run(task_vars={"conclude_outcome": outcome, "conclude_locked": False, **more})


def test_conclude_hands_the_outcome_to_the_journal_and_fails_the_play(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV_RUN_ID, "7f3a0001")
    cause = "POST answered 500\nNext: see why"
    result = concluded("rollback_failed", conclude_cause=cause, conclude_detail="blue serves 1.0.4")
    detail = "blue serves 1.0.4"
    assert result["conclusion"] == {"outcome": "rollback_failed", "cause": cause, "detail": detail}
    assert result["detail"] == detail
    assert result["failed"]
    assert result["msg"].startswith("rollback_failed: POST answered 500\nNext: pyrunbook recover 7f3a0001")
    assert "failed" not in concluded("succeeded")
    assert "failed" not in concluded("contained", conclude_good=["contained"])
    assert "value of conclude_outcome must be one of" in concluded("fine")["msg"]


@pytest.mark.parametrize(
    ("contained", "found", "tags", "outcome", "cause"),
    [
        (True, "", ["all"], "succeeded", ""),
        (True, "vault: sealed\nNext: unseal", ["all"], "contained", "diagnose_vault: vault: sealed"),
        (False, "", ["all"], "not_contained", ""),
        (False, "vault: sealed", ["all"], "not_contained", "diagnose_vault: vault: sealed"),
        (False, "", ["diagnose_vault"], "succeeded", ""),
        (False, "vault: sealed", ["diagnose_vault"], "failed", "vault: sealed"),
    ],
)
def test_an_incident_ends_as_what_its_steps_have_found(
    contained: bool, found: str, tags: list[str], outcome: str, cause: str
) -> None:
    result = concluded(
        "rolled_back",
        conclude_incident="contain",
        ansible_run_tags=tags,
        __secure_mode={"contained": contained},
        __diagnose_vault={"finding": {"step": "diagnose_vault", "said": found}} if found else {},
    )
    assert (result["conclusion"]["outcome"], result["conclusion"]["cause"]) == (outcome, cause)
