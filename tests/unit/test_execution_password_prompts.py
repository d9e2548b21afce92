"""What Ansible is configured to ask for: asked before anything begins, handed on where nobody else can read it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from pyrunbook import places
from pyrunbook.cli import run as command
from pyrunbook.errors import BadInput
from pyrunbook.execution import inventory, leftover_processes, password_prompts
from pyrunbook.execution.play import Request, perform

PASSWORD = "cAnArY-vault-7"
ANSWERS = {"Vault password: ": PASSWORD, "BECOME password: ": "cAnArY-become-8", "SSH password: ": "cAnArY-ssh-9"}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith(("ANSIBLE_", "PYRUNBOOK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "ansible"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    password_prompts.answers.cache_clear()
    yield
    password_prompts.answers.cache_clear()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Somebody who answers; the questions that were put."""
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return ANSWERS[prompt]

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(password_prompts.getpass, "getpass", answer)
    return asked


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, ...]:
    """An inventory whose variables are one vaulted file."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.json").write_text(json.dumps({"services": {"hosts": {"web": None}, "vars": here}}))
    (tmp_path / "group_vars").mkdir()
    sealed = VaultLib([("default", VaultSecret(PASSWORD.encode()))]).encrypt(b"sealed: opened\n")
    (tmp_path / "group_vars" / "services.yml").write_bytes(sealed)
    return (str(tmp_path / "hosts.json"),)


@pytest.mark.parametrize(
    ("said", "variable"),
    [
        ("[privilege_escalation]\nbecome_ask_pass = True", "ANSIBLE_BECOME_ASK_PASS"),
        ("[defaults]\nask_vault_pass = yes", "ANSIBLE_ASK_VAULT_PASS"),
        ("[defaults]\nask_pass = 1", "ANSIBLE_ASK_PASS"),
    ],
)
def test_without_a_terminal_a_question_is_refused_at_once(
    said: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.cfg").write_text(said + "\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "own.cfg"))
    for ask in (password_prompts.answers, lambda: inventory.services(("web,",))):
        with pytest.raises(BadInput, match="nobody is there to answer") as refused:
            ask()
        assert f"{variable}=false" in refused.value.next_step
        assert "own.cfg" in refused.value.seen
    monkeypatch.setenv(variable, "false")
    assert password_prompts.answers() == {}


def test_a_vault_that_asks_by_its_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", "dev@file, prod@prompt")
    with pytest.raises(BadInput, match="vault_identity_list"):
        password_prompts.answers()


def test_the_answers_reach_the_inventory_and_the_play_and_nobody_else(
    tmp_path: Path, terminal: list[str], sources: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("ANSIBLE_ASK_VAULT_PASS", "ANSIBLE_BECOME_ASK_PASS", "ANSIBLE_ASK_PASS"):
        monkeypatch.setenv(variable, "true")
    assert inventory.services(sources)["web"]["sealed"] == "opened"

    told = tmp_path / "told"
    tell = f"import time; open({str(told)!r}, 'w').write('{{{{ sealed }}}} {{{{ pin }}}}'); time.sleep(1)"
    play = {
        "hosts": "services", "gather_facts": False,
        "vars_prompt": [{"name": "pin", "prompt": "The PIN", "private": True}],
        "tasks": [{"ansible.builtin.command": {"argv": [sys.executable, "-c", tell]}}],
    }  # fmt: skip
    (tmp_path / "book.yml").write_text(json.dumps([play]))
    seen: list[str] = []

    def look() -> bool:
        for process in leftover_processes.find("0000abcd"):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                if "ansible-playbook" in " ".join(process.cmdline()):
                    seen.append(json.dumps([process.cmdline(), process.environ()]))
        seen.extend(file.read_text(errors="replace") for file in places.home().rglob("*") if file.is_file())
        return False

    request = Request(
        playbook=tmp_path / "book.yml", inventory=sources, run_id="0000abcd", told={r"The PIN:\s*$": "cAnArY-pin-1"}
    )
    ended = perform(request, lambda event: None, look)
    assert ended.code == 0, ended.output
    assert told.read_text() == "opened cAnArY-pin-1"
    assert terminal == ["SSH password: ", "BECOME password: ", "Vault password: "], "each is asked once"
    assert seen
    found = [text[max(0, at - 80) : at + 40] for text in [*seen, *ended.output] if (at := text.find("cAnArY")) >= 0]
    assert found == []


def prompting(tmp_path: Path) -> Any:
    from pyrunbook.catalog.playbook import read_playbook

    text = (
        "- hosts: services\n  vars_prompt: [{name: ticket, prompt: Ticket, private: false}, {name: pin}]\n  tasks: []\n"
    )
    (tmp_path / "asks.yml").write_text(text)
    return read_playbook(tmp_path / "asks.yml")


def test_what_a_play_would_ask_is_asked_before_and_a_secret_is_no_input(
    tmp_path: Path, terminal: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runbook: Any = type("Runbook", (), {"id": "maintenance/asks", "plays": prompting(tmp_path).plays})

    def answered(text: str, *, hide_input: bool, **_: Any) -> str:
        return f"{text} {hide_input}"

    monkeypatch.setattr(command.click, "prompt", answered)
    extra: dict[str, Any] = {}
    assert command.asked(runbook, extra) == {r"pin(?: \[.*\])?:\s*$": "pin True"}
    assert extra == {"ticket": "Ticket False"}
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    assert command.asked(runbook, {"ticket": 1, "pin": 2}) == {}
    with pytest.raises(BadInput, match="asks for pin") as refused:
        command.asked(runbook, {"ticket": 1})
    assert refused.value.next_step.startswith("-e pin=")
