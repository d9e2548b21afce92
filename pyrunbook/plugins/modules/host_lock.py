#!/usr/bin/python
"""Ansible module: the lock of a service on platform host. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_lock
short_description: Take, free, show or break the lock file of a service
description:
  - The file says who holds the lock and since when. A lock that somebody else holds fails, and names the holder.
options:
  path: {description: The lock file., type: path, required: true}
  state:
    description: C(held) takes it, C(free) frees it when O(holder) has it, C(shown) only reads it, C(broken)
      frees it too, and is fine with a lock that is free.
    type: str
    required: true
    choices: [held, free, shown, broken]
  holder: {description: Id of the run., type: str}
  operator: {description: Who runs it., type: str}
  machine: {description: Where it runs., type: str}
  runbook: {description: What it runs., type: str}
  predecessors:
    description: Runs that have ended; C(held) takes over a lock that one of them left behind.
    type: list
    elements: str
    default: []
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.lock import lock

SPEC = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "required": True, "choices": ["held", "free", "shown", "broken"]},
    "holder": {"type": "str"},
    "operator": {"type": "str"},
    "machine": {"type": "str"},
    "runbook": {"type": "str"},
    "predecessors": {"type": "list", "elements": "str", "default": []},
}

if __name__ == "__main__":
    run(
        AnsibleModule,
        lock,
        SPEC,
        required_if=[
            ("state", "held", ["holder", "operator", "machine"]),
            ("state", "free", ["holder"]),
            ("state", "broken", ["holder"]),
        ],
    )
