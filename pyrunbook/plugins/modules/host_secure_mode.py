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

import json
import os
import time
from typing import Any

from ansible.module_utils import durable
from ansible.module_utils.basic import AnsibleModule


def read(path: str) -> dict[str, Any]:
    """What the file says; `on` is always there, and true where the file says nothing that can be understood."""
    try:
        with open(path, "rb") as stream:
            found = json.loads(stream.read())
    except FileNotFoundError:
        return {"on": False}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("on"), bool):
        return {"on": True, "broken": True}
    return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "enabled": {"type": "bool", "required": True},
            "reason": {"type": "str", "required": True},
            "by": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    asked = module.params
    path = asked["path"]
    try:
        before = read(path)
        changed = before["on"] is not asked["enabled"] or before.get("broken", False)
        wanted = {
            "on": asked["enabled"],
            "reason": asked["reason"],
            "by": asked["by"],
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        if changed and not module.check_mode:
            if not os.path.isdir(os.path.dirname(path)):
                os.makedirs(os.path.dirname(path))
                os.chmod(os.path.dirname(path), 0o755)  # noqa: S103  # the service reads it as another user
            durable.write(path, json.dumps(wanted, sort_keys=True).encode() + b"\n", 0o644)
    except OSError as error:
        place = error.filename or os.path.dirname(path)
        module.fail_json(msg=f"Secure mode cannot be switched: {place}: {error.strerror}")
    module.exit_json(changed=changed, before=before, now=wanted if changed else before)


if __name__ == "__main__":
    main()
