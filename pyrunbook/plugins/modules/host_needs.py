#!/usr/bin/python
"""Ansible module: see whether a service's machine has what an update needs. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_needs
short_description: See whether a service's machine has what an update needs, before anything is changed
description:
  - Rights on commands and directories, space for the backup, ports, the maintenance answer. Changes nothing.
  - Returns C(obstacles), a list of C(seen) and C(next_step); empty where all is there.
options:
  parts: {description: What is backed up; paths below the root., type: list, elements: str, default: []}
  stops:
    description: Whether no color serves for a while, so that C(maintenance) has to answer.
    type: bool
    required: true
  maintenance: {description: host:port that the proxy dials while no color serves., type: str, default: ""}
  host: {description: The name that clients ask for., type: str, required: true}
  certificates:
    description: Those of C(service_certificates) whose rotation is looked at, too.
    type: list
    elements: dict
    default: []
  service: {description: Where the slots are; see M(pyrunbook.core.host_state)., type: dict, required: true}
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.needs import needs
from ansible_collections.pyrunbook.core.plugins.module_utils.slots import SERVICE

SPEC = {
    "service": SERVICE,
    "parts": {"type": "list", "elements": "str", "default": []},
    "stops": {"type": "bool", "required": True},
    "maintenance": {"type": "str", "default": ""},
    "host": {"type": "str", "required": True},
    "certificates": {"type": "list", "elements": "dict", "default": []},
}

if __name__ == "__main__":
    run(AnsibleModule, needs, SPEC)
