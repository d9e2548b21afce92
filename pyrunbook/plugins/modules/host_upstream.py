#!/usr/bin/python
"""Ansible module: switch the traffic of a service. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_upstream
short_description: Atomically rename the file that the proxy's upstream reads
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

from ansible.module_utils import upstream
from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "address": {"type": "str", "required": True},
            "expected": {"type": "list", "elements": "str", "default": []},
            "keep": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    asked = module.params
    try:
        before = upstream.read(asked["path"])
        changed = upstream.switch(asked["path"], asked["address"], asked["expected"], module.check_mode, asked["keep"])
    except upstream.UpstreamConflict as error:
        module.fail_json(msg=f"The traffic was not switched: {error}. Somebody else switches it too.")
    except OSError as error:
        module.fail_json(msg=f"The traffic was not switched: {error}")
    after = asked["address"] if changed else before
    module.exit_json(
        changed=changed,
        detail=f"{'then ' if module.check_mode and changed else ''}traffic goes to {after}",
        evidence={"before": before, "after": after},
        diff={
            "before": f"{before}\n",
            "after": "{}\n".format(asked["address"]),
            "before_header": asked["path"],
        },
    )


if __name__ == "__main__":
    main()
