#!/usr/bin/python
"""Ansible module: read what a service on platform host is doing. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_state
short_description: Read the active color, both slots and the releases of a service
description:
  - Returns the C(service_state) of CONTRIBUTING.md as C(state), and where the slots are as C(slots). Changes nothing.
options:
  service:
    description: Where the slots are.
    type: dict
    required: true
    suboptions:
      root: {description: The service's root directory., type: path, required: true}
      colors: {description: Per color C(address) and C(unit)., type: dict, required: true}
      upstream_file: {description: The file that the proxy's upstream reads., type: path, required: true}
      manager: {description: The process manager., type: str, required: true, choices: [systemd, supervisor]}
      supervisor_config: {description: Path of supervisord.conf., type: str, default: ""}
      supervisor_command:
        description: >-
          Argv prefix that runs supervisorctl. When empty, the socket that supervisord.conf names is asked.
        type: list
        elements: str
        default: []
      systemctl_command:
        description: Argv prefix that runs systemctl, with C(sudo) or C(--user) where wanted; C(systemctl) when empty.
        type: list
        elements: str
        default: []
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.state import state
from ansible_collections.pyrunbook.core.plugins.module_utils.slots import SERVICE

SPEC = {"service": SERVICE}

if __name__ == "__main__":
    run(AnsibleModule, state, SPEC)
