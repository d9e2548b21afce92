#!/usr/bin/python
"""Ansible module: back up a service on platform host. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_backup
short_description: Archive a release, the configuration and the data of a service, and prove the archive by a restore
options:
  root: {description: The service's root directory., type: path, required: true}
  parts: {description: Files and directories below it., type: list, elements: str, required: true}
  destination: {description: The archive; a sound one that is there is kept., type: path, required: true}
author: [pyrunbook]
"""

import os

from ansible.module_utils import archive
from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "parts": {"type": "list", "elements": "str", "required": True},
            "destination": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    asked = module.params
    if module.check_mode:
        there = os.path.exists(asked["destination"])
        module.exit_json(changed=not there, detail="would back up {}".format(", ".join(asked["parts"])))
    try:
        summary = archive.create(asked["root"], asked["parts"], asked["destination"])
    except (archive.ArchiveError, OSError) as error:
        module.fail_json(msg=f"The backup is not sound: {error}")
    module.exit_json(
        changed=summary["created"],
        backup=summary,
        evidence=summary,
        detail=f"{summary['files']} files, restored and compared",
    )


if __name__ == "__main__":
    main()
