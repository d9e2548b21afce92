"""Calls on a service's machine: one command, nothing but a result comes back, and nothing stays there."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible.template import Templar

from pyrunbook.on_target.program import MARK
from pyrunbook.plugins import target_program
from pyrunbook.plugins.step_action import StepAction

CALLS = sorted(path.stem for path in (Path(target_program.on_target.__file__).parent / "calls").glob("[!_]*.py"))


class Step(StepAction):
    """A step; only what it is a base for is used here."""

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError


class Machine:
    """This machine behind Ansible's local connection.

    Attributes:
        commands: that were executed on it.
        around: what a login shell prints before and after.
        answer: what a command ends with, in place of being executed.
        variables: of the host.
        check_mode: of the task.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[str] = []
        self.around = (b"", b"")
        self.answer: tuple[int, bytes, bytes] | None = None
        self.variables = {"inventory_hostname": "shop", "ansible_python_interpreter": sys.executable}
        self.check_mode = False
        play = PlayContext()
        self.connection = connection_loader.get("local", play)
        self.connection.set_options(var_options={"ansible_pipelining": True})
        execute = self.connection.exec_command

        def exec_command(command: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
            self.commands.append(command)
            code, out, err = self.answer or execute(command, in_data=in_data, sudoable=sudoable)
            return code, self.around[0] + out + self.around[1], err

        monkeypatch.setattr(self.connection, "exec_command", exec_command)

    def action(self) -> Step:
        task: Any = SimpleNamespace(
            args={}, check_mode=self.check_mode, async_val=0, action="it", environment=None, no_log=False
        )
        loader = DataLoader()
        return Step(task, self.connection, PlayContext(), loader, Templar(loader), MagicMock())

    def call(self, function: str, **arguments: Any) -> dict[str, Any]:
        return target_program.call(self.action(), function, arguments, self.variables)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture
def held(tmp_path: Path) -> dict[str, Any]:
    return {"path": str(tmp_path / "state/lock.json"), "state": "held", "holder": "1", "operator": "a", "machine": "m"}


def test_a_call_is_one_command_and_does_what_it_says(machine: Machine, held: dict[str, Any]) -> None:
    assert machine.call("lock", **held) == {"changed": True, "detail": "lock held"}
    assert json.loads(Path(held["path"]).read_text())["holder"] == "1"
    assert len(machine.commands) == 1


def test_check_mode_goes_along(machine: Machine, held: dict[str, Any], tmp_path: Path) -> None:
    machine.check_mode = True
    assert machine.call("lock", **held)["changed"]
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_of_the_machine_is_a_failed_result(machine: Machine, held: dict[str, Any]) -> None:
    machine.call("lock", **held)
    result = machine.call("lock", **{**held, "holder": "2"})
    assert (result["failed"], result["refused"], result["lock_holder"]["holder"]) == (True, True, "1")
    assert "held by run 1 of a on m since" in result["msg"]


def test_arguments_are_in_no_command_and_in_no_file(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be keys. A home and a temporary directory that cannot be written do not matter either."""
    for name in ("HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    plan = tmp_path / "plan.json"
    machine.call("plan", path=str(plan), content="hunter2")
    assert plan.read_text() == "hunter2"
    assert [path.name for path in tmp_path.rglob("*")] == ["plan.json"]
    assert not [command for command in machine.commands if "hunter2" in command or "plan" in command]


def test_what_a_login_shell_prints_is_no_result(machine: Machine, held: dict[str, Any]) -> None:
    machine.around = (b"Welcome to shop! {}\n", b"\nBye.\n")
    assert machine.call("lock", **held)["detail"] == "lock held"


def test_names_that_are_no_text_come_back(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "résumé.log").write_text("vu")
    os.close(os.open(bytes(tmp_path) + b"/\xff.log", os.O_CREAT))
    files = machine.call("evidence", patterns=[f"{tmp_path}/*.log"])["files"]
    assert {Path(path).name for path in files} == {"résumé.log", "?.log"}


def test_an_unforeseen_error_tells_its_place_and_none_of_the_arguments(machine: Machine) -> None:
    result = machine.call("pair", directory="/nowhere", move="hunter2", key="hunter2")
    assert result["failed"]
    assert result["msg"].startswith("pair failed on the service's machine: KeyError (on_target.calls.pair, line ")
    assert "hunter2" not in str(result)


def test_what_lies_where_the_command_starts_is_not_imported(
    machine: Machine, held: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('taken over')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(DataLoader, "get_basedir", lambda _: str(tmp_path))
    assert machine.call("lock", **held)["changed"]


def test_half_of_a_call_does_nothing(held: dict[str, Any], tmp_path: Path) -> None:
    """A connection may end while it is sent."""
    request = zlib.compress(json.dumps({"function": "lock", "arguments": held}).encode())
    for sent in (request[:-1], b""):
        whole = target_program.program() + sent
        argv = [sys.executable, "-E", "-s", "-S", "-c", target_program.BEGINNING]
        done = subprocess.run(argv, input=whole, capture_output=True, check=False)
        assert done.returncode == 1
        assert MARK.encode() not in done.stdout
        assert list(tmp_path.iterdir()) == []


def test_a_call_that_was_killed_is_not_known_to_have_done_anything(machine: Machine, held: dict[str, Any]) -> None:
    machine.answer = (137, b"", b"Killed")
    result = machine.call("lock", **held)
    assert result["failed"]
    assert result["msg"] == "lock was killed on shop (exit code 137), so what it has done is not known"


def test_a_machine_that_is_not_reached_is_unreachable(
    machine: Machine, held: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise AnsibleConnectionFailure("no route to host")

    monkeypatch.setattr(machine.connection, "exec_command", away)
    with pytest.raises(AnsibleConnectionFailure):
        machine.call("lock", **held)


def test_without_standard_input_the_module_does_it(
    machine: Machine, held: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.connection.set_options(var_options={"ansible_pipelining": False})
    asked: list[Any] = []

    def execute(_: Any, *given: Any, **more: Any) -> dict[str, Any]:
        asked.append((given, more))
        return {"changed": True}

    monkeypatch.setattr(Step, "_execute_module", execute)
    assert machine.call("lock", **held) == {"changed": True}
    assert asked == [(("pyrunbook.core.host_lock", held), {"task_vars": machine.variables})]
    assert machine.commands == []


# --- Python ------------------------------------------------------------------------------------------------------


def pythons(*minors: str) -> list[str]:
    """Those of the versions that are found on this machine."""
    found = [shutil.which(f"python{minor}") for minor in minors]
    versions = Path("~/.pyenv/versions").expanduser()
    found += [str(path) for minor in minors for path in versions.glob(f"{minor}.*/bin/python")]
    return [path for path in found if path and not subprocess.run([path, "-c", ""], capture_output=True).returncode]


@pytest.mark.parametrize("python", [sys.executable, *pythons("3.8", "3.9", "3.13")])
def test_each_function_is_found_by_each_python(machine: Machine, python: str) -> None:
    machine.variables["ansible_python_interpreter"] = python
    for function in CALLS:
        result = machine.call(function, nonsense=1)
        assert "TypeError" in result["msg"], result


@pytest.mark.parametrize("python", [*pythons("2.7", "3.6", "3.7")] or [None], ids=str)
def test_a_python_that_is_too_old_is_refused_with_its_version(
    machine: Machine, held: dict[str, Any], python: str | None
) -> None:
    if python is None:
        pytest.skip("no old Python on this machine")
    machine.variables["ansible_python_interpreter"] = python
    result = machine.call("lock", **held)
    assert result["failed"]
    assert result["msg"].startswith(f"{python} (ansible_python_interpreter) is no Python 3.8 or later on shop: it is")
    assert result["msg"].split("\n")[0].endswith(("version 2.7", "version 3.6", "version 3.7"))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("/bin/true", "it said nothing (exit code 0)"),
        ("/bin/echo", "it said: -s -S -c import sys;"),
        ("/nowhere/python", "it said: /bin/sh: 1: /nowhere/python: not found"),
    ],
)
def test_what_is_no_python_is_refused(machine: Machine, held: dict[str, Any], program: str, words: str) -> None:
    machine.variables["ansible_python_interpreter"] = program
    result = machine.call("lock", **held)
    assert result["failed"]
    assert words in result["msg"]
    assert result["msg"].endswith("ansible_python_interpreter: /usr/bin/python3")
    assert not Path(held["path"]).parent.exists()


@pytest.mark.parametrize("named", ["auto", "auto_silent", "", "/usr/bin/env python3", "{{ here }}"])
def test_a_python_is_found_as_ansible_finds_it(
    monkeypatch: pytest.MonkeyPatch, held: dict[str, Any], named: str
) -> None:
    from ansible.template import trust_as_template

    machine = Machine(monkeypatch)
    machine.variables |= {"ansible_python_interpreter": trust_as_template(named), "here": sys.executable}
    machine.variables["ansible_interpreter_python_fallback"] = ["python3.999", sys.executable]
    action = machine.action()
    action._templar.available_variables = machine.variables
    assert target_program.call(action, "lock", held, machine.variables)["changed"]
    assert len(machine.commands) == 1


def test_a_machine_without_any_python_is_told(machine: Machine, held: dict[str, Any]) -> None:
    machine.variables |= {"ansible_python_interpreter": "auto", "ansible_interpreter_python_fallback": ["/nowhere/p"]}
    machine.answer = (127, b"", b"/bin/sh: 1: python3: not found\n")
    told = "python3 (found by its name) is no Python 3.8 or later on shop: it said: "
    assert machine.call("lock", **held)["msg"].startswith(told)
    assert shlex.split(machine.commands[0])[2].startswith("for p in /nowhere/p; do")
