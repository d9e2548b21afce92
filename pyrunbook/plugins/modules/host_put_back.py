#!/usr/bin/python
"""Ansible module: the part of a rollback that happens on the machine. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_put_back
short_description: Have the traffic served as a rollback plan says
description:
  - Restores the release from the backup when its directory is gone, starts the color that served, sends the
    traffic back to it. With O(preview) it brings the other color back to what it was instead.
options:
  plan: {description: The C(host) section of a rollback plan., type: dict, required: true}
  preview: {description: Bring the other color back to what it was instead., type: bool, default: false}
  service: {description: Where the slots are; see M(pyrunbook.core.host_state)., type: dict, required: true}
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.put_back import put_back
from ansible_collections.pyrunbook.core.plugins.module_utils.slots import SERVICE

SPEC = {"service": SERVICE, "plan": {"type": "dict", "required": True}, "preview": {"type": "bool", "default": False}}

if __name__ == "__main__":
    run(AnsibleModule, put_back, SPEC)
