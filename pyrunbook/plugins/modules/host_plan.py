#!/usr/bin/python
"""Ansible module: keep a rollback plan at the service, or read it. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_plan
short_description: Keep a rollback plan on the machine of the service, or read it
description:
  - Whoever undoes the run from another machine finds the plan there.
options:
  path: {description: The plan's file., type: path, required: true}
  content:
    description: The sealed plan. It is written once; a plan that is there stays. Without it the plan is read.
    type: str
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.plan import plan

SPEC = {"path": {"type": "path", "required": True}, "content": {"type": "str"}}

if __name__ == "__main__":
    run(AnsibleModule, plan, SPEC)
