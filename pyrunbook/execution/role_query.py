"""Has a role read something from services, outside of any run: no journal entry, no lock, nothing changed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyrunbook.execution import leftover_processes, password_prompts
from pyrunbook.execution.ansible_environment import ansible_environment
from pyrunbook.redaction import redact_text

TIMEOUT = 120
"""Seconds that the services may take to answer."""
_RESULT = re.compile(r"^(\S+) \| (SUCCESS|CHANGED|FAILED!|UNREACHABLE!) => (?={)", re.MULTILINE)
_CONNECTING = re.compile(r"^(?:Task failed: )?(?:Failed to connect to the host via ssh: )?(?:ssh: )?")
"""What Ansible and ssh say before the reason."""


@dataclass(frozen=True)
class Answer:
    """What was read of one service.

    Attributes:
        service: its name in the inventory.
        result: the results of its tasks and the facts that they set, merged; the last one wins. Empty after a problem.
        problem: why it could not be read; empty where it could.
        next_step: what to type then.
    """

    service: str
    result: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    next_step: str = ""


def read(
    sources: tuple[str, ...],
    services: Sequence[str],
    role: str,
    wanted: str,
    variables: Mapping[str, Any] | None = None,
    tasks: str = "main.yml",
) -> list[Answer]:
    """Apply a role that only reads to all services at once, with the `ansible` command.

    Args:
        sources: inventory sources.
        services: names in the inventory.
        role: its full name.
        wanted: a key that only the result of the wanted task has, or the name of a fact that it sets.
        variables: inputs of the role, templates too; no secrets, because they become arguments of a process.
        tasks: the file of the role's tasks; they only read.

    Returns:
        an entry for each of `services`, in their order.
    """
    argv = [str(Path(sys.executable).parent / "ansible"), ",".join(services)]
    argv += ["-m", "ansible.builtin.include_role", "-a", f"name={role} tasks_from={tasks}"]
    if variables:
        argv += ["-e", json.dumps(dict(variables))]
    for source in sources:
        argv += ["-i", source]
    try:
        # As in a run: ssh's sockets have short names, and no other run uses these connections.
        with (
            password_prompts.for_a_command() as (answers, pipes),
            tempfile.TemporaryDirectory(prefix="pyrunbook-", dir=leftover_processes.sockets()) as sockets,
        ):
            done = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
                env=_environment(sockets) | answers,
                pass_fds=pipes,
                stdin=subprocess.DEVNULL,
            )
    except subprocess.TimeoutExpired:
        return [Answer(name, problem=f"no answer within {TIMEOUT} s", next_step=shlex.join(argv)) for name in services]
    results: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, word, result in _results(done.stdout):
        results.setdefault(name, []).append((word, result))
    errors = [line for line in (done.stdout + done.stderr).splitlines() if "[ERROR]" in line]
    otherwise = errors[0].strip() if errors else f"exit code {done.returncode}, and no result has {wanted}"
    again = shlex.join(argv)
    ping = shlex.join([argv[0], *(word for each in sources for word in ("-i", each)), "-m", "ping"])
    return [_answer(name, results.get(name, []), wanted, otherwise, again, f"{ping} {name}") for name in services]


def _environment(sockets: str) -> dict[str, str]:
    return {
        "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
        **os.environ,
        **ansible_environment(),
        # The output is read by a program, and no configured callback takes this for a run.
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "false",
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_LOG_PATH": os.devnull,  # no callback masks what is printed here
        # Modules keep their arguments out of the syslog of the service's machine.
        "ANSIBLE_NO_TARGET_SYSLOG": "true",
    }


def _results(printed: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Host, word and result of each task, as the `ansible` command prints them."""
    decoder = json.JSONDecoder()
    for match in _RESULT.finditer(printed):
        yield match[1], match[2], decoder.raw_decode(printed, match.end())[0]


def _answer(
    service: str, results: list[tuple[str, dict[str, Any]]], wanted: str, otherwise: str, again: str, ping: str
) -> Answer:
    for word, result in reversed(results):
        if word == "UNREACHABLE!":
            why = _CONNECTING.sub("", str(result.get("msg") or otherwise)).strip()
            return Answer(service, problem=redact_text(f"its machine cannot be reached: {why}"), next_step=ping)
        if word == "FAILED!":
            said = str(result.get("msg") or otherwise)
            seen, _, step = said.partition("\nNext: ")
            seen, step = str(result.get("seen") or seen).strip(), str(result.get("next_step") or step or again)
            return Answer(service, problem=redact_text(seen), next_step=redact_text(step))
        if wanted in result or wanted in result.get("ansible_facts", {}):
            whole: dict[str, Any] = {}
            for _, each in results:
                whole |= {**each, **each.get("ansible_facts", {})}
            return Answer(service, whole)
    return Answer(service, problem=redact_text(otherwise), next_step=redact_text(again))
