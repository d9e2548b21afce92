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

import os

from ansible.module_utils import durable
from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}, "content": {"type": "str"}},
        supports_check_mode=True,
    )
    path, content = module.params["path"], module.params["content"]
    try:
        there = os.path.exists(path)
        if content is None:
            kept = ""
            if there:
                with open(path, encoding="utf-8") as stream:
                    kept = stream.read()
            module.exit_json(changed=False, content=kept)
        if not there and not module.check_mode:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            durable.write(path, content.encode())
    except OSError as error:
        module.fail_json(msg=f"The rollback plan {path} cannot be used: {error}")
    module.exit_json(changed=not there)


if __name__ == "__main__":
    main()
