#!/usr/bin/python
"""Ansible module: read what a service on platform host is doing. See DOCUMENTATION."""

DOCUMENTATION = r"""
module: host_state
short_description: Read the active color, both slots and the releases of a service
description:
  - Returns the C(service_state) of CONTRIBUTING.md as C(state), and where the slots are as C(slots). Changes nothing.
options:
  service:
    description: Where the slots are; the fact C(service_slots) of the role service_state.
    type: dict
    required: true
    suboptions:
      root: {description: The service's root directory., type: path, required: true}
      colors: {description: Per color C(address) and C(unit)., type: dict, required: true}
      upstream_file: {description: The file that the proxy's upstream reads., type: path, required: true}
      manager: {description: The process manager., type: str, required: true, choices: [systemd, supervisor]}
      supervisor_config: {description: Path of supervisord.conf., type: str, default: ""}
      supervisor_command:
        description: Argv prefix that runs supervisorctl; found beside Python or on PATH when empty.
        type: list
        elements: str
        default: []
      systemctl_command:
        description: Argv prefix that runs systemctl, with C(sudo) or C(--user) where wanted; C(systemctl) when empty.
        type: list
        elements: str
        default: []
author: [pyrunbook]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.slots import SERVICE, SlotError, Slots
from ansible.module_utils.units import UnitError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"service": SERVICE}, supports_check_mode=True)
    try:
        state = Slots.from_arguments(module.params["service"]).state()
    except (SlotError, UnitError, OSError) as error:
        module.fail_json(msg=f"The state of the service is not known: {error}")
    active = state["active"]
    release = state["colors"].get(active, {}).get("release")
    detail = f"{active} serves {release}" if release else "no color serves"
    module.exit_json(
        changed=False,
        detail=detail,
        evidence=state,
        state=state,
        slots=module.params["service"],
    )


if __name__ == "__main__":
    main()
