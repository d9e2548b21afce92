#!/usr/bin/python
"""Ansible module: bring one slot of a service into a state. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_slot
short_description: Start a release in a slot, stop the slot, empty it, or see that it serves
description:
  - With C(started) it returns once the process has stayed up for O(stable_seconds).
options:
  color: {description: The slot., type: str, required: true, choices: [blue, green]}
  state:
    description: >-
      C(started) runs O(release); C(stopped) ends the process; C(removed) ends it and empties the slot; C(serving) looks
      whether the traffic goes to O(color) and its process runs O(release), and changes nothing.
    type: str
    required: true
    choices: [started, stopped, removed, serving]
  serves:
    description: The release that the other color must serve before this one is stopped or removed.
    type: str
  release: {description: The release that runs., type: str}
  stable_seconds: {description: Seconds that a started process must stay up., type: float, default: 0}
  service: {description: Where the slots are; see M(pyrunbook.core.host_state)., type: dict, required: true}
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.slot import slot
from ansible_collections.pyrunbook.core.plugins.module_utils.slots import SERVICE

SPEC = {
    "service": SERVICE,
    "color": {"type": "str", "required": True, "choices": ["blue", "green"]},
    "state": {"type": "str", "required": True, "choices": ["started", "stopped", "removed", "serving"]},
    "release": {"type": "str"},
    "serves": {"type": "str"},
    "stable_seconds": {"type": "float", "default": 0.0},
}

if __name__ == "__main__":
    run(AnsibleModule, slot, SPEC, required_if=[("state", "started", ["release"]), ("state", "serving", ["release"])])
