#!/usr/bin/python
"""Ansible module: a small JSON document in a file that the service reads. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_document
short_description: Keep a small JSON document in a file that the service reads
description:
  - The file is replaced in one move, unless it says what is wanted already.
  - A file that holds no JSON object says nothing, so it is replaced.
options:
  path: {description: The file., type: path, required: true}
  content: {description: The new document., type: dict, required: true}
  unless: {description: Keys and values; a document that has them stays as it is., type: dict, required: true}
  missing: {description: What a file that is not there counts as., type: dict, required: true}
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyrunbook.core.plugins.module_utils.calls import run
from ansible_collections.pyrunbook.core.plugins.module_utils.calls.document import document

SPEC = {
    "path": {"type": "path", "required": True},
    "content": {"type": "dict", "required": True},
    "unless": {"type": "dict", "required": True},
    "missing": {"type": "dict", "required": True},
}

if __name__ == "__main__":
    run(AnsibleModule, document, SPEC)
