#!/usr/bin/python
"""Ansible module: back up a service on platform host. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_backup
short_description: Archive a release, the configuration and the data of a service, and prove the archive by a restore
description:
  - Returns how many files the archive has, once they were restored beside it and compared. An archive that is not
    sound fails.
options:
  root: {description: The service's root directory., type: path, required: true}
  parts: {description: Files and directories below it., type: list, elements: str, required: true}
  destination: {description: The archive; a sound one that is there is kept., type: path, required: true}
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.backup import backup

SPEC = {
    "root": {"type": "path", "required": True},
    "parts": {"type": "list", "elements": "str", "required": True},
    "destination": {"type": "path", "required": True},
}

if __name__ == "__main__":
    run(AnsibleModule, backup, SPEC)
