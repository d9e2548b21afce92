#!/usr/bin/python
"""Ansible module: the ends of a service's logs and its small state files. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_evidence
short_description: Read the end of each file that a pattern finds
description:
  - From the beginning of a line on. Links are not followed, and what a pattern misses is said. Changes nothing.
options:
  patterns: {description: Files or patterns with C(*); absolute., type: list, elements: str, required: true}
  bytes: {description: How much of the end of each., type: int, default: 65536}
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.evidence import evidence

SPEC = {
    "patterns": {"type": "list", "elements": "str", "required": True},
    "bytes": {"type": "int", "default": 65536},
}

if __name__ == "__main__":
    run(AnsibleModule, evidence, SPEC)
