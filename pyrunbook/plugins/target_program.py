"""Calls a function of `pyrunbook.on_target.calls` on the machine of a service.

A call is one command: a Python that gets `on_target/program.py`, the sources and the arguments on standard input. It
costs a tenth of a module, whose payload is built, sent, unpacked and imported anew for each task.
"""

from __future__ import annotations

import json
import re
import shlex
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from pyrunbook import on_target, places
from pyrunbook.on_target.program import MARK

BEGINNING = (
    "import sys;del sys.path[0];v=sys.version_info;v<(3,8)and sys.exit('python %d.%d'%v[:2]);"
    "i=sys.stdin.buffer;exec(i.read(int(i.readline())));main(i)"
)
"""The only code that stands in the command. An older Python understands it too, and says its version.

Whatever lies in the directory where the command starts is not imported."""
DISCOVERED = ("", "auto", "auto_silent", "auto_legacy", "auto_legacy_silent")
"""Values of `ansible_python_interpreter` that name no program."""
SAID = 300
"""Characters that are quoted of what is no result."""


def call(action: ActionBase, function: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
    """Call a function on the machine of the task's host, in the task's check mode, as the task's user.

    Where the connection cannot give a command its standard input (`become_method: su`, a sudo that wants a terminal,
    `ANSIBLE_KEEP_REMOTE_FILES`), the module `host_<function>` does the same.

    Returns:
        the result, as a module gives it: `failed` and `msg` where the function did not succeed, was killed, or found no
        Python that can run it.

    Raises:
        AnsibleConnectionFailure: the machine is not reached.
    """
    if not action._connection.is_pipelining_enabled():
        found = action._execute_module(f"{places.COLLECTION}.host_{function}", arguments, task_vars=task_vars)
        return {key: value for key, value in found.items() if key != "invocation" and not key.startswith("_")}
    request = {"function": function, "arguments": {**arguments, "check_mode": bool(action._task.check_mode)}}
    interpreter = _interpreter(action, task_vars)
    command = f"{_named(interpreter, task_vars)} -E -s -S -c {shlex.quote(BEGINNING)}"
    environment = action._compute_environment_string()
    done = action._low_level_execute_command(
        f"{environment} {command}".strip(), in_data=program() + zlib.compress(json.dumps(request).encode())
    )
    _, mark, printed = done["stdout"].rpartition(MARK)
    if mark:
        result: dict[str, Any] = json.JSONDecoder().raw_decode(printed)[0]
        return result
    machine = task_vars.get("ansible_host") or task_vars["inventory_hostname"]
    return {"failed": True, "msg": _why_no_result(function, interpreter, done, str(machine))}


@cache
def program() -> bytes:
    """What is the same in all calls: the program, and the sources from which it imports."""
    root = Path(on_target.__file__).parent
    texts = {}
    for path in root.rglob("*.py"):
        names = ("on_target", *path.relative_to(root).with_suffix("").parts)
        # Only annotations need it, which nothing evaluates there; to import it would take a sixth of a call.
        text = path.read_text(encoding="utf-8").replace("\nfrom typing import Any\n", "\n\n")
        texts[".".join(names).removesuffix(".__init__")] = text
    program = texts.pop("on_target.program").encode()
    sources = zlib.compress(json.dumps(texts).encode())
    return b"%d\n%b%d\n%b" % (len(program), program, len(sources), sources)


def _interpreter(action: ActionBase, task_vars: dict[str, Any]) -> str:
    """The Python that the inventory or the configuration names; empty where it is to be discovered."""
    configured = constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)
    name = str(action._templar.template(configured)).strip()
    return "" if name in DISCOVERED else name


def _named(interpreter: str, task_vars: dict[str, Any]) -> str:
    """How a shell calls it; one that is to be discovered is looked for as Ansible does, in the same command."""
    if interpreter:
        return interpreter  # not quoted, as Ansible does it: it may have arguments
    names = constants.config.get_config_value("INTERPRETER_PYTHON_FALLBACK", variables=task_vars)
    listed = " ".join(shlex.quote(name) for name in names)
    return f"for p in {listed}; do p=$(command -v $p) && break; done; ${{p:-python3}}"


def _why_no_result(function: str, interpreter: str, done: Mapping[str, Any], machine: str) -> str:
    """What to tell the operator of a command that gave no result."""
    code = done["rc"]
    if code < 0 or code > 128:
        return f"{function} was killed on {machine} (exit code {code}), so what it has done is not known"
    # Where ssh has made a terminal, it has the last word.
    said = re.sub(r"Shared connection to \S+ closed\.", "", f"{done['stdout']} {done['stderr']}").strip()
    if version := re.search(r"python (\d+\.\d+)", said):
        what = f"is version {version[1]}"
    else:
        what = f"said: {said[:SAID]}" if said else f"said nothing (exit code {code})"
    name = f"{interpreter} (ansible_python_interpreter)" if interpreter else "python3 (found by its name)"
    return (
        f"{name} is no Python 3.8 or later on {machine}: it {what}\n"
        "Next: install Python there, or name where it is: ansible_python_interpreter: /usr/bin/python3"
    )
