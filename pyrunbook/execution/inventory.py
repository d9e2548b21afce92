"""The services of an inventory, as ansible-inventory gives them, for what has to be known before a play."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.errors import BadInput
from pyrunbook.execution import password_prompts
from pyrunbook.execution.ansible_environment import ansible_environment
from pyrunbook.redaction import redact_text

YAML = (".yml", ".yaml", ".json")
ENV_TIMEOUT = "PYRUNBOOK_INVENTORY_TIMEOUT"
"""Seconds that an inventory (a script, a plugin) may take."""
TIMEOUT = 600
"""The default: large inventories take minutes, but one that never answers has to be reported."""


SERVICES = "services"
"""The group whose hosts are the services."""


def services(sources: tuple[str, ...], limit: str = "") -> dict[str, dict[str, Any]]:
    """The variables of the hosts in group `services`; see `hosts`."""
    return hosts(sources, SERVICES, limit)


def no_host(sources: tuple[str, ...], where: str, which: str) -> BadInput:
    """That no host of an inventory is one to run on."""
    return BadInput(
        f"No host matched: inventory {', '.join(sources)}{where} has none {which}.",
        next_step="correct --limit, or put the service's host into group services"
        if SERVICES in which
        else "correct --limit, or name another inventory: -i INVENTORY",
    )


def hosts(sources: tuple[str, ...], pattern: str, limit: str = "") -> dict[str, dict[str, Any]]:
    """The variables of the hosts that a pattern names; templates stay as they are written.

    Raises:
        BadInput: the inventory cannot be read, or has no host that matches.
    """
    wanted = f"{limit}{',' if ',' in limit else ':'}&{pattern}" if limit else pattern
    argv = [str(Path(sys.executable).parent / "ansible-inventory"), "--list", "--limit", wanted]
    for source in sources:
        argv += ["-i", source]
    timeout = _timeout()
    environment = {
        **os.environ,
        **ansible_environment(),
        # What this prints is all variables, and Ansible's log would have them, too.
        "ANSIBLE_LOG_PATH": os.devnull,
    }
    try:
        with password_prompts.for_a_command() as (answers, pipes):
            done = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                env=environment | answers,
                pass_fds=pipes,
                timeout=timeout,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise BadInput(
            f"inventory {', '.join(sources)} did not answer within {timeout:g} s",
            next_step=f"see what it waits for: {shlex.join(argv)}; or give it more seconds in {ENV_TIMEOUT}",
        ) from error
    if done.returncode:
        why = redact_text(_broken(sources) or _said(done.stderr))  # a file that cannot be read is quoted
        raise BadInput(f"inventory {', '.join(sources)} cannot be read: {why}", next_step=_remedy(why, sources))
    data = json.loads(done.stdout)
    variables = data.get("_meta", {}).get("hostvars", {})
    names = _members(data, pattern if pattern == SERVICES else "all")
    if not names:
        where = f" and --limit {limit}" if limit else ""
        raise no_host(sources, where, "in group services" if pattern == SERVICES else f"that {pattern} names")
    return {name: _plain(variables.get(name, {})) for name in names}


def _timeout() -> float:
    text = os.environ.get(ENV_TIMEOUT, "")
    try:
        seconds = float(text or TIMEOUT)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise BadInput(f"{ENV_TIMEOUT} is {text!r}", next_step=f"set it to a number of seconds, or unset {ENV_TIMEOUT}")
    return seconds


def _remedy(why: str, sources: tuple[str, ...]) -> str:
    """What to type: what the reason itself says, or else to correct the file."""
    if "start it with: " in why:
        return why.rpartition("start it with: ")[2]
    return "correct it, then: " + shlex.join(
        ["pyrunbook", "doctor", *(word for one in sources for word in ("-i", one))]
    )


def _said(stderr: str) -> str:
    """Why the first plugin that recognized the source could not read it; the others only say that it is not theirs."""
    if told := re.search(r"^\[WARNING\]: Failed to parse inventory with '\w+' plugin: (.+)$", stderr, re.MULTILINE):
        return told[1]
    lines = stderr.strip().splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("[ERROR]: ")), 0)
    return "\n".join(lines[first:]).removeprefix("[ERROR]: ")


def _broken(sources: tuple[str, ...]) -> str:
    """The first file of the sources that is no YAML, with line and reason; ansible-inventory may name neither."""
    for source in map(Path, sources):
        directory = source if source.is_dir() else source.parent
        variables = [path for name in ("group_vars", "host_vars") for path in sorted((directory / name).rglob("*"))]
        for path in [*(sorted(source.glob("*")) if source.is_dir() else [source]), *variables]:
            # Below group_vars and host_vars a file needs no extension to be YAML.
            if path.is_file() and (path.suffix in YAML or (path in variables and not path.suffix)):
                try:
                    list(yaml.compose_all(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader))
                except yaml.MarkedYAMLError as error:
                    mark = error.problem_mark or error.context_mark
                    return f"{path}{f':{mark.line + 1}:{mark.column + 1}' if mark else ''}: {error.problem}"
                except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
                    return f"{path}: {str(error).splitlines()[0]}"
    return ""


def _plain(value: Any) -> Any:
    """The value without the marks that ansible-inventory puts on values of plugins."""
    if isinstance(value, dict):
        if set(value) == {"__ansible_unsafe"}:
            return value["__ansible_unsafe"]
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _members(data: dict[str, Any], group: str) -> list[str]:
    entry = data.get(group, {})
    hosts = list(entry.get("hosts", []))
    for child in entry.get("children", []):
        hosts += _members(data, child)
    return list(dict.fromkeys(hosts))
