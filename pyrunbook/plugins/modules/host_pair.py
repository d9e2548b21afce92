#!/usr/bin/python
"""Ansible module: the moves of a certificate and its key on the machine that serves them. See DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_pair
short_description: Look at a certificate and its key, or make one move of their rotation
description:
  - The private key comes in O(key) and goes nowhere but into its file. Nothing of it is in a result.
options:
  directory: {description: Where the pair stands., type: path, required: true}
  move:
    description: What to do. C(read) changes nothing, C(reload) runs O(argv), the rest is described in the
      package's C(certificate_pair).
    type: str
    required: true
    choices: [read, stage, take_over, activate, reload, mark, put_back, conclude, reinstate, settle]
  run: {description: Id of the run whose rotation it is., type: str, default: ""}
  by: {description: The run that takes a rotation over., type: str, default: ""}
  version: {description: The version to stage to reinstate or to settle., type: str, default: ""}
  step: {description: The step to mark., type: str, default: ""}
  undoes: {description: The run that is undone by reinstating., type: str, default: ""}
  certificate: {description: PEM of the certificate and its chain., type: str, default: ""}
  key: {description: PEM of the private key., type: str, default: ""}
  owner: {description: User that the server reads as; name or id., type: str, default: ""}
  group: {description: Group that the server reads as; name or id., type: str, default: ""}
  key_mode: {description: Permission bits of the key., type: int, default: 384}
  about: {description: What to note with the rotation., type: dict, default: {}}
  argv: {description: The command that has the server read the pair again., type: list, elements: str, default: []}
  seconds: {description: How long that command may take., type: int, default: 60}
author: [pyrunbook]
"""

import os
import subprocess
import tempfile
from typing import Any

from ansible.module_utils import certificate_look, certificate_pair, permissions
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rotation_state import PairError

SPEC = {
    "directory": {"type": "path", "required": True},
    "move": {
        "type": "str",
        "required": True,
        "choices": [
            "read",
            "stage",
            "take_over",
            "activate",
            "reload",
            "mark",
            "put_back",
            "conclude",
            "reinstate",
            "settle",
        ],
    },
    "run": {"type": "str", "default": ""},
    "by": {"type": "str", "default": ""},
    "version": {"type": "str", "default": ""},
    "step": {"type": "str", "default": ""},
    "undoes": {"type": "str", "default": ""},
    "certificate": {"type": "str", "default": ""},
    "key": {"type": "str", "default": "", "no_log": True},
    "owner": {"type": "str", "default": ""},
    "group": {"type": "str", "default": ""},
    "key_mode": {"type": "int", "default": 0o600},
    "about": {"type": "dict", "default": {}},
    "argv": {"type": "list", "elements": "str", "default": []},
    "seconds": {"type": "int", "default": 60},
}
SMALL = ("PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""What a reload command gets of the environment: enough to find its program and its user's service manager."""


class ReloadFailed(Exception):
    """The reload command did not succeed."""


def obstacle(directory: str, owner: str, group: str, argv: list[str]) -> str:
    """Why no pair could be written for them here, or the server not be told of it; empty where nothing is known."""
    try:
        permissions.identities(owner, group)
    except permissions.Unknown as error:
        return str(error)
    found = permissions.certificate(directory, owner, group, argv)
    return "; ".join(f"{each.seen} ({each.next_step})" for each in found)


def reload(argv: list[str], seconds: int) -> str:
    """Run the reload command, without a shell and without our environment.

    Raises:
        ReloadFailed: it cannot be run, did not end in time, or ended with another code than 0.
    """
    shown = " ".join(argv)
    environment = dict({name: os.environ[name] for name in SMALL if name in os.environ}, LC_ALL="C")
    environment.setdefault("PATH", os.defpath)
    if not argv:
        raise ReloadFailed("there is no command to reload with")
    with tempfile.TemporaryFile() as output:  # no pipe: a program that it starts and leaves running would hold it
        try:
            code = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise ReloadFailed(f"{shown} did not end within {seconds} s") from None
        except OSError as error:
            raise ReloadFailed(f"{shown} cannot be run: {error.strerror}") from None
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").strip().splitlines()
    if code != 0:
        said = ": " + lines[-1][-300:] if lines else ""
        raise ReloadFailed(f"{shown} ended with {code}{said}")
    return f"{shown} ended with 0"


def make(asked: dict[str, Any]) -> dict[str, Any]:
    """Make the move.

    Returns:
        the module's result.
    """
    directory, move, run = asked["directory"].rstrip("/"), asked["move"], asked["run"]
    if move == "read":
        held = certificate_look.look(directory, asked["key_mode"])
        against = obstacle(directory, asked["owner"], asked["group"], asked["argv"])
        return {"changed": False, "held": held, "obstacle": against}
    if move == "reload":
        return {"changed": True, "detail": reload(asked["argv"], asked["seconds"])}
    if move == "conclude":
        removed = certificate_pair.conclude(directory, run)
        return {"changed": True, "removed": removed}
    if move == "stage":
        owner, group = permissions.identities(asked["owner"], asked["group"])
        return {
            "changed": certificate_pair.stage(
                directory,
                run,
                asked["version"],
                asked["certificate"].encode(),
                asked["key"].encode(),
                owner,
                group,
                asked["key_mode"],
                asked["about"],
            )
        }
    if move == "take_over":
        return {"changed": certificate_pair.take_over(directory, run, asked["by"])}
    if move == "mark":
        return {"changed": certificate_pair.mark(directory, run, asked["step"])}
    if move == "reinstate":
        version, undoes, about = asked["version"], asked["undoes"], asked["about"]
        return {"changed": certificate_pair.reinstate(directory, run, version, undoes, about)}
    if move == "settle":
        return {"changed": certificate_pair.settle(directory, asked["version"])}
    return {"changed": getattr(certificate_pair, move)(directory, run)}  # activate, put_back


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    asked = module.params
    if module.check_mode and asked["move"] != "read":
        module.exit_json(changed=True)
    try:
        module.exit_json(**make(asked))
    except ReloadFailed as error:
        module.fail_json(msg=str(error), kind="reload")
    except (PairError, permissions.Unknown) as error:
        module.fail_json(msg=str(error), kind="pair")
    except OSError as error:
        module.fail_json(msg=f"{error.filename or asked['directory']}: {error.strerror}", kind="system")


if __name__ == "__main__":
    main()
