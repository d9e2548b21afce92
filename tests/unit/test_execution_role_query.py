"""What a role reads of services outside of a run: each service's own answer, and why there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyrunbook.execution import role_query

ROLE = """\
- name: Note what was asked
  ansible.builtin.set_fact:
    seen: {host: "{{ inventory_hostname }}", wanted: "{{ wanted | default('nothing') }}", lines: "a\\nb | FAILED! => {"}
- name: Look at something
  ansible.builtin.assert: {that: true, success_msg: it is fine}
  when: inventory_hostname == 'one'
- name: Ask its machine
  ansible.builtin.ping:
  when: inventory_hostname == 'away'
- name: Fail with a remedy
  ansible.builtin.fail: {msg: "https://bob:hunter2@db is full\\nNext: df -h"}
  when: inventory_hostname == 'full'
- name: Fail without one
  ansible.builtin.fail: {msg: "it broke"}
  when: inventory_hostname == 'broken'
"""
CALLBACK = """\
from ansible.plugins.callback import CallbackBase
class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "tattle"
    def v2_playbook_on_start(self, playbook):
        open(%r, "w").close()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A configuration with a role of the test's own and an enabled callback; returns the inventory."""
    tasks = tmp_path / "roles" / "looked_at" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text(ROLE)
    (tmp_path / "callbacks").mkdir()
    (tmp_path / "callbacks" / "tattle.py").write_text(CALLBACK % str(tmp_path / "told"))
    (tmp_path / "ansible.cfg").write_text(
        f"[defaults]\nroles_path = {tmp_path / 'roles'}\ncallback_plugins = {tmp_path / 'callbacks'}\n"
        "bin_ansible_callbacks = true\nstdout_callback = oneline\ncallback_result_format = yaml\n"
    )
    hosts = "".join(f"    {name}: {{ansible_connection: local}}\n" for name in ("one", "two", "full", "broken"))
    inventory = tmp_path / "hosts.yml"
    hosts += "    away: {ansible_host: 127.0.0.1, ansible_port: 1}\n"
    inventory.write_text(f"services:\n  hosts:\n{hosts}")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "ansible.cfg"))
    monkeypatch.setenv("ANSIBLE_FORCE_COLOR", "1")
    monkeypatch.setenv("ANSIBLE_VERBOSITY", "3")
    return (str(inventory),)


def read(project: tuple[str, ...], *services: str, telling: str = "seen", **variables: Any) -> list[role_query.Answer]:
    return role_query.read(project, services, "looked_at", telling, variables)


def test_each_service_tells_its_own(project: tuple[str, ...], tmp_path: Path) -> None:
    told = read(project, "two", "one", wanted=["it", 3])
    assert [one.service for one in told] == ["two", "one"]
    assert [one.problem for one in told] == ["", ""]
    assert told[0].result["seen"] == {"host": "two", "wanted": ["it", 3], "lines": "a\nb | FAILED! => {"}
    assert told[1].result["seen"]["host"] == "one"
    assert not (tmp_path / "told").exists(), "a callback took it for a run"


def test_one_that_fails_keeps_no_other_from_telling(project: tuple[str, ...]) -> None:
    one, full, broken = read(project, "one", "full", "broken")
    assert one.result["seen"]["host"] == "one"
    assert full.result == {}
    assert (full.problem.splitlines(), full.next_step) == (["https://[redacted]@db is full"], "df -h")
    assert broken.problem == "it broke"
    assert broken.next_step.split()[:4] == [
        str(Path(sys.executable).parent / "ansible"), "one,full,broken", "-m", "ansible.builtin.include_role",
    ]  # fmt: skip


def test_a_machine_that_is_away_is_named_with_the_reason_and_a_short_command(project: tuple[str, ...]) -> None:
    one, away = read(project, "one", "away")
    assert one.result["seen"]["host"] == "one"
    assert away.problem.startswith(
        "its machine cannot be reached: connect to host 127.0.0.1 port 1: Connection refused"
    )
    ansible = str(Path(sys.executable).parent / "ansible")
    assert away.next_step == f"{ansible} -i {project[0]} -m ping away"


def test_the_result_of_a_task_that_sets_no_fact(project: tuple[str, ...]) -> None:
    (one,) = read(project, "one", telling="msg")
    assert one.result["msg"] == "it is fine"


def test_a_fact_that_is_not_set(project: tuple[str, ...]) -> None:
    (one,) = read(project, "one", telling="other")
    assert (one.result, one.problem) == ({}, "exit code 0, and no result has other")


def test_an_inventory_that_cannot_be_read(project: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("services: {hosts: {one:")
    (one,) = read(project, "one")
    assert one.result == {}
    assert one.problem
    assert one.next_step


def test_services_that_do_not_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(argv: list[str], **options: Any) -> None:
        assert options["timeout"] == role_query.TIMEOUT
        raise subprocess.TimeoutExpired(argv, options["timeout"])

    monkeypatch.setattr(subprocess, "run", never)
    told = role_query.read((os.devnull,), ["one", "two"], "looked_at", "seen")
    assert [one.problem for one in told] == ["no answer within 120 s"] * 2
