#!/usr/bin/python
"""Ansible module: read files that hold keys. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_private_files
short_description: Read files that hold keys, for an encrypted backup
description:
  - For the action of the role C(backup_security) alone, which takes the result in memory and hands it on encrypted.
    Never a task of a playbook, whose result would be shown and kept.
options:
  paths: {description: The files; absolute., type: list, elements: path, required: true}
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.private_files import private_files

SPEC = {"paths": {"type": "list", "elements": "path", "required": True}}

if __name__ == "__main__":
    run(AnsibleModule, private_files, SPEC)
