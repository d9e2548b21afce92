#!/usr/bin/python
"""Ansible module: the lock of a service on platform host. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_lock
short_description: Take, free, show or break the lock file of a service
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

import os

from ansible.module_utils import lock_file, permissions
from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "required": True, "choices": ["held", "free", "shown", "broken"]},
            "holder": {"type": "str"},
            "operator": {"type": "str"},
            "machine": {"type": "str"},
            "runbook": {"type": "str"},
            "predecessors": {"type": "list", "elements": "str", "default": []},
        },
        required_if=[
            ("state", "held", ["holder", "operator", "machine"]),
            ("state", "free", ["holder"]),
            ("state", "broken", ["holder"]),
        ],
        supports_check_mode=True,
    )
    asked = module.params
    path = asked["path"]
    try:
        if asked["state"] == "shown":
            holder = lock_file.read(path)
            module.exit_json(
                changed=False,
                holder=holder,
                detail=lock_file.describe(holder) if holder else "the lock is free",
            )
        if asked["state"] == "held":
            if not module.check_mode:
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            if module.check_mode and not os.path.isdir(os.path.dirname(path)):
                module.exit_json(changed=True, detail="the lock would be taken")
            holder = {key: asked[key] for key in ("holder", "operator", "machine", "runbook")}
            left = (lock_file.read(path) or {}).get("holder")
            changed = lock_file.acquire(path, holder, module.check_mode, asked["predecessors"])
            after = f", left behind by run {left}, which has ended" if left and left != asked["holder"] else ""
            detail = "the lock would be taken" if module.check_mode else f"lock held{after}"
            module.exit_json(changed=changed, detail=detail)
        changed = lock_file.release(path, asked["holder"], module.check_mode)
        word = "broken" if asked["state"] == "broken" else "freed"
        module.exit_json(changed=changed, detail=f"lock {word}" if changed else "the lock is free")
    except lock_file.LockHeld as error:
        module.fail_json(msg=f"The lock of this service is {error} ({path}).", lock_holder=error.holder, refused=True)
    except OSError as error:
        found = permissions.not_writable(os.path.dirname(path), path + ".guard")
        msg = f"The lock {path} cannot be used: {found[0].seen if found else error}"
        if found:
            msg += f"\nNothing was changed.\nNext: {found[0].next_step}"
        module.fail_json(msg=msg, refused=True)


if __name__ == "__main__":
    main()
