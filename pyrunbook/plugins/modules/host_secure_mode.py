#!/usr/bin/python
"""Ansible module: the file that tells a service to sign nothing. See DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_secure_mode
short_description: Switch the secure mode of a service on or off, by its file
description:
  - The file is a JSON object with C(on), C(reason), C(by) and C(since), replaced in one move. The first reason stays.
  - A file that cannot be understood counts as on, as it does for the service.
options:
  path: {description: The file., type: path, required: true}
  enabled: {description: Whether nothing is to be signed., type: bool, required: true}
  reason: {description: Why., type: str, required: true}
  by: {description: Who says so., type: str, required: true}
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.calls import run
from ansible.module_utils.calls.secure_mode import secure_mode

SPEC = {
    "path": {"type": "path", "required": True},
    "enabled": {"type": "bool", "required": True},
    "reason": {"type": "str", "required": True},
    "by": {"type": "str", "required": True},
}


def main() -> None:
    """Run the module."""
    run(AnsibleModule, secure_mode, SPEC)


if __name__ == "__main__":
    main()
