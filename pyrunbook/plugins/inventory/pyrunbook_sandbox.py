"""The inventory of the sandbox: one host, with the addresses that the running sandbox has."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

from pyrunbook.errors import PyrunbookError
from pyrunbook.sandbox import configuration, layout, state

DOCUMENTATION = """
name: pyrunbook_sandbox
short_description: The service that C(pyrunbook sandbox up) runs on this machine
description:
  - Yields the host C(agent-factory) in the group C(services), on a local connection, with the variables of a service
    on platform C(host) as the sandbox has them now.
  - Fails when the sandbox does not run; an inventory without hosts would let a play succeed that did nothing.
options:
  plugin:
    description: The name of this plugin.
    required: true
    choices: [pyrunbook.core.pyrunbook_sandbox, pyrunbook_sandbox]
  directory:
    description: The sandbox's directory; C(sandbox) in pyrunbook's state directory by default.
    type: str
    env:
      - name: PYRUNBOOK_SANDBOX
"""

HOST = "agent-factory"
GROUP = "services"


def host_variables(sandbox: state.SandboxState) -> dict[str, Any]:
    """The variables of the sandbox's host, literal values only."""
    # A module works below the home directory otherwise, which a container's user may not have.
    work = {"ansible_remote_tmp": str(Path(home, "tmp"))} if (home := os.environ.get("ANSIBLE_HOME")) else {}
    return {
        **work,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "service_platform": "host",
        "service_root": str(sandbox.directory),
        "service_url": sandbox.url,
        "service_manager": "supervisor",
        "service_supervisor_config": str(sandbox.supervisor_config),
        "service_maintenance_address": sandbox.maintenance_address,
        "service_colors": {
            color: {"url": slot.url, "address": slot.address, "unit": slot.unit, "log": str(slot.log)}
            for color, slot in sandbox.colors.items()
        },
        **_certificates(layout.Layout(sandbox.directory), sandbox),
    }


def _certificates(where: layout.Layout, sandbox: state.SandboxState) -> dict[str, Any]:
    """What the sandbox's proxy serves over TLS, and what its service signs with."""
    settings = state.settings(where)
    if settings is None or sandbox.tls_address is None:
        return {}
    certificate = {
        "name": layout.CERTIFICATE,
        "issuer": "local",
        "dns_names": list(layout.CERTIFICATE_NAMES),
        "ip_names": [layout.HOST],
        "lifetime": f"{layout.CERTIFICATE_DAYS}d",
        "overlap": "24h",
        "addresses": [sandbox.tls_address],
        "server_name": layout.CERTIFICATE_NAMES[0],
        "directory": str(where.certificate),
        "reload": configuration.reload_command(where, settings),
    }
    return {
        "backup_security_passphrase_file": str(where.backup_passphrase),
        "service_tls_url": sandbox.tls_url,
        "service_certificates": [certificate],
        "certificate_issuers": {
            "local": {"kind": "local_ca", "directory": str(where.authority), "title": layout.AUTHORITY_TITLE}
        },
        "service_signing_keys": [
            {
                "name": "templates",
                "kind": "files",
                "directory": str(where.signing_keys),
                "every": f"{layout.CERTIFICATE_DAYS}d",
                "keep": "365d",
            }
        ],
    }


class InventoryModule(BaseInventoryPlugin):
    """Reads the sandbox's state; changes nothing."""

    NAME = "pyrunbook.core.pyrunbook_sandbox"

    def verify_file(self, path: str) -> bool:
        """Whether `path` may be a configuration of this plugin: a file named `…sandbox.yml`."""
        return bool(super().verify_file(path)) and path.endswith(("sandbox.yml", "sandbox.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the host and its variables.

        Raises:
            AnsibleParserError: the sandbox does not run, or its state cannot be read.
        """
        super().parse(inventory, loader, path, cache)
        # The file of an older project has the short name.
        self._redirected_names = [self.NAME, "pyrunbook_sandbox"]
        self._read_config_data(path)
        try:
            sandbox = state.read(layout.directory(self.get_option("directory")), probe=False)
        except PyrunbookError as error:
            raise AnsibleParserError(str(error)) from error
        if not sandbox.running:
            raise AnsibleParserError(
                f"the sandbox is not running ({sandbox.why_not}); start it with: pyrunbook sandbox up"
            )
        self.inventory.add_group(GROUP)
        self.inventory.add_host(HOST, group=GROUP)
        for name, value in host_variables(sandbox).items():
            self.inventory.set_variable(HOST, name, value)
