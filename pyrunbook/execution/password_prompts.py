"""The passwords that Ansible is configured to ask for: asked once, before it runs without a terminal.

The answers stay in the memory of this process. A play gets them at its own prompts, through a pseudo-terminal; short
commands read them from a pipe. None is in an argument, an environment variable or a file.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pyrunbook import places
from pyrunbook.errors import BadInput
from pyrunbook.project.ansible_cfg import configured

YES = ("y", "yes", "on", "1", "true", "t")


@dataclass(frozen=True)
class Question:
    """A password that Ansible is configured to ask for.

    Attributes:
        section: of ansible.cfg.
        key: in that section.
        variable: the environment variable for the same setting.
        prompt: what the operator reads.
        asked: Ansible's own prompt, as a regular expression.
        file: the environment variable that names a file with the password.
    """

    section: str
    key: str
    variable: str
    prompt: str
    asked: str
    file: str


QUESTIONS = (
    Question(
        "defaults", "ask_pass", "ANSIBLE_ASK_PASS", "SSH password: ", r"SSH password:\s*$",
        "ANSIBLE_CONNECTION_PASSWORD_FILE",
    ),
    Question(
        "privilege_escalation", "become_ask_pass", "ANSIBLE_BECOME_ASK_PASS", "BECOME password: ",
        r"BECOME password(?:\[defaults to SSH password\])?:\s*$", "ANSIBLE_BECOME_PASSWORD_FILE",
    ),
    Question(
        "defaults", "ask_vault_pass", "ANSIBLE_ASK_VAULT_PASS", "Vault password: ", r"Vault password:\s*$",
        "ANSIBLE_VAULT_PASSWORD_FILE",
    ),
)  # fmt: skip


def asked_for() -> list[Question]:
    """The passwords that Ansible asks for with the configuration in force.

    Raises:
        BadInput: it asks for a vault's password in a way that cannot be answered from here.
    """
    config = places.ansible_config()
    vaults = os.environ.get("ANSIBLE_VAULT_IDENTITY_LIST") or configured(config, "defaults", "vault_identity_list", "")
    if any(one.strip().endswith("@prompt") for one in vaults.split(",")):
        raise BadInput(
            f"vault_identity_list ({vaults}) has Ansible ask for a password in each of its commands",
            next_step="name a file or a program in place of prompt: NAME@FILE",
        )
    return [
        one
        for one in QUESTIONS
        if (os.environ.get(one.variable) or configured(config, one.section, one.key, "no")).lower() in YES
    ]


@cache
def answers() -> dict[Question, str]:
    """The passwords, from the operator; asked at the first call.

    Raises:
        BadInput: nobody is there to answer.
    """
    wanted = asked_for()
    if wanted and not sys.stdin.isatty():
        one = wanted[0]
        raise BadInput(
            f"Ansible is configured to ask for the {one.prompt.removesuffix(': ')} ({one.key} in "
            f"{places.ansible_config()}, or {one.variable}), and nobody is there to answer.",
            means="Nothing was changed.",
            next_step=f"run it on a terminal, or: export {one.variable}=false {one.file}=FILE (chmod 600)",
        )
    return {one: getpass.getpass(one.prompt) for one in wanted}


def for_a_play() -> dict[str, str]:
    """The prompts of a play, as regular expressions, to the passwords."""
    return {one.asked: answer for one, answer in answers().items()}


@contextlib.contextmanager
def for_a_command() -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """For one of Ansible's short commands: its environment, and the pipes from which it reads the passwords."""
    environment: dict[str, str] = {}
    pipes: list[int] = []
    try:
        for one, answer in answers().items():
            reading, writing = os.pipe()
            pipes.append(reading)
            with os.fdopen(writing, "w", encoding="utf-8") as stream:
                stream.write(answer + "\n")
            environment |= {one.variable: "false", one.file: f"/dev/fd/{reading}"}
        yield environment, tuple(pipes)
    finally:
        for pipe in pipes:
            os.close(pipe)
