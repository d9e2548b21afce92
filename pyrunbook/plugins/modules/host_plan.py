#!/usr/bin/python
"""Ansible module: keep a rollback plan at the service, or read it. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_plan
short_description: Keep a rollback plan on the machine of the service, or read it
options:
  path: {description: The plan's file., type: path, required: true}
  content:
    description: The sealed plan. It is written once; a plan that is there stays. Without it the plan is read.
    type: str
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.calls import CallFailed
from ansible.module_utils.calls.plan import plan

SPEC = {"path": {"type": "path", "required": True}, "content": {"type": "str"}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        module.exit_json(**plan(**module.params, check_mode=module.check_mode))
    except CallFailed as error:
        module.fail_json(**error.result)


if __name__ == "__main__":
    main()
