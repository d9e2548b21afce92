"""What a role reads of services, outside of any run: no journal entry, no lock, nothing changed."""

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

from pyrunbook import places
from pyrunbook.execution import leftovers, questions
from pyrunbook.redaction import redact_text

TIMEOUT = 120
"""Seconds that the services may take to tell their state."""
_RESULT = re.compile(r"^(\S+) \| (SUCCESS|CHANGED|FAILED!|UNREACHABLE!) => (?={)", re.MULTILINE)


@dataclass(frozen=True)
class Reading:
    """What one service told.

    Attributes:
        service: its name in the inventory.
        result: of its tasks, with the facts that they set, a later one's before an earlier one's; empty where it could
            not be read.
        problem: why not, empty where it could.
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
    telling: str,
    variables: Mapping[str, Any] | None = None,
    tasks: str = "main.yml",
) -> list[Reading]:
    """Apply a role that only reads to all services at once, by the `ansible` command, and take what a task tells.

    Args:
        sources: inventory sources.
        services: names in the inventory.
        role: one of ours.
        telling: the key by which the result of the task is known, or the name of the fact that it sets.
        variables: inputs of the role, templates too; no secrets, for they are given as arguments.
        tasks: those of the role's files of tasks that only read.

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
        # As in a run: ssh's sockets have short names, and the connection is nobody else's.
        with (
            questions.for_a_command() as (answers, pipes),
            tempfile.TemporaryDirectory(prefix="pyrunbook-", dir=leftovers.sockets()) as sockets,
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
        return [Reading(name, problem=f"no answer within {TIMEOUT} s", next_step=shlex.join(argv)) for name in services]
    told: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, word, result in _results(done.stdout):
        told.setdefault(name, []).append((word, result))
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "[ERROR]" in line]
    otherwise = lines[0].strip() if lines else f"exit code {done.returncode}, and nobody told {telling}"
    return [_reading(name, told.get(name, []), telling, otherwise, shlex.join(argv)) for name in services]


def _environment(sockets: str) -> dict[str, str]:
    return {
        "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
        **os.environ,
        "ANSIBLE_CONFIG": str(places.ansible_config()),
        # The answers are read by a program; and no callback of the configuration takes this for a run.
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


def _reading(service: str, told: list[tuple[str, dict[str, Any]]], telling: str, otherwise: str, again: str) -> Reading:
    for word, result in reversed(told):
        if word.endswith("!"):
            said = str(result.get("msg") or otherwise)
            seen, _, step = said.partition("\nNext: ")
            seen, step = str(result.get("seen") or seen).strip(), str(result.get("next_step") or step or again)
            return Reading(service, problem=redact_text(seen), next_step=redact_text(step))
        if telling in result or telling in result.get("ansible_facts", {}):
            whole: dict[str, Any] = {}
            for _, each in told:
                whole |= {**each, **each.get("ansible_facts", {})}
            return Reading(service, whole)
    return Reading(service, problem=redact_text(otherwise), next_step=redact_text(again))
