#!/usr/bin/python
"""Ansible module: switch the traffic of a service. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_upstream
short_description: Atomically rename the file that the proxy's upstream reads
description:
  - The traffic goes to O(address) from then on, without a request that fails. A conflict changes nothing.
options:
  path: {description: The file., type: path, required: true}
  address: {description: C(host:port) that the proxy dials from now on., type: str, required: true}
  expected:
    description: Addresses that may stand there now; anything else is a conflict. Empty accepts any.
    type: list
    elements: str
    default: []
  keep: {description: Addresses that are left alone when they stand there., type: list, elements: str, default: []}
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.upstream import upstream

SPEC = {
    "path": {"type": "path", "required": True},
    "address": {"type": "str", "required": True},
    "expected": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "list", "elements": "str", "default": []},
}

if __name__ == "__main__":
    run(AnsibleModule, upstream, SPEC)
