#!/usr/bin/python
"""Ansible module: the ends of a service's logs and its small state files. See DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_evidence
short_description: Read the end of each file that a pattern finds
options:
  patterns: {description: Files or patterns with C(*); absolute., type: list, elements: str, required: true}
  bytes: {description: How much of the end of each., type: int, default: 65536}
author: [pyrunbook]
"""

import glob
import os
import stat
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

MOST = 50
"""Files; a pattern that finds more is too wide, and what it misses is said."""


def end_of(path: str, size: int) -> dict[str, Any]:
    """The last `size` bytes of a file, from the beginning of a line on, with its age and length."""
    # Not blocking: a pipe would wait for a writer. Not through a link: it may lead out of the service's directory.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no file", path)
        stream.seek(max(0, status.st_size - size))
        content = stream.read(size)
    if status.st_size > size:
        content = content.partition(b"\n")[2]
    changed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(status.st_mtime))
    return {"size": status.st_size, "changed": changed, "end": content.decode("utf-8", "replace")}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "patterns": {"type": "list", "elements": "str", "required": True},
            "bytes": {"type": "int", "default": 65536},
        },
        supports_check_mode=True,
    )
    files: dict[str, Any] = {}
    missed: list[str] = []
    for pattern in module.params["patterns"]:
        found = sorted(glob.glob(pattern))
        missed += [f"{pattern}: finds nothing"] if not found else []
        for path in found:
            if len(files) == MOST:
                missed.append(f"{path}: more than {MOST} files")
                break
            try:
                files[path] = end_of(path, module.params["bytes"])
            except OSError as error:
                missed.append(f"{path}: {error.strerror}")
    module.exit_json(changed=False, files=files, missed=missed)


if __name__ == "__main__":
    main()
