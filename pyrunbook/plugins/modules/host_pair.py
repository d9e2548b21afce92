#!/usr/bin/python
"""Ansible module: the moves of a certificate and its key on the machine that serves them. See DOCUMENTATION."""

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

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.pair import pair

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

if __name__ == "__main__":
    run(AnsibleModule, pair, SPEC)
