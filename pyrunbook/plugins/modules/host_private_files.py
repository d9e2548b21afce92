#!/usr/bin/python
"""Ansible module: read files that hold keys. See DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_private_files
short_description: Read files that hold keys, for an encrypted backup
description:
  - For the action plugin M(backup_security) alone, which takes the result in memory and hands it on encrypted. Never
    a task of a playbook, whose result would be shown and kept.
options:
  paths: {description: The files; absolute., type: list, elements: path, required: true}
author: [pyrunbook]
"""

import base64
import os
import stat

from ansible.module_utils.basic import AnsibleModule

LARGEST = 1 << 20


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "path", "required": True}}, supports_check_mode=True
    )
    files = {}
    try:
        for path in module.params["paths"]:
            with open(path, "rb") as stream:
                status = os.fstat(stream.fileno())
                content = stream.read(LARGEST + 1)
            if not stat.S_ISREG(status.st_mode) or len(content) > LARGEST:
                module.fail_json(msg=f"{path} is no file of a key or a certificate")
            files[path] = [stat.S_IMODE(status.st_mode), base64.b64encode(content).decode()]
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    module.exit_json(changed=False, files=files)


if __name__ == "__main__":
    main()
