"""docs/guides/first_service.md, typed: a service under systemd, over SSH, by a user who is not root's equal there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from by_hand import STOPPING, Shell
from first_service_guide import GUIDE, blocks, section, typed, write_variables
from host_under_test import HostMachine, running
from operation import ROOT, serves
from ssh_under_test import SshMachine

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
SCREEN = 50
"""Lines."""


@pytest.fixture
def ssh(tmp_path: Path) -> SshMachine:
    return SshMachine(tmp_path / "sshd")


def test_it_takes_three_screens_each() -> None:
    common = GUIDE.partition("\n## On a host")[0] + GUIDE.partition("\n## Look, then update")[2]
    for title in ("On a host", "On Kubernetes"):
        assert len((common + section(title)).splitlines()) <= 3 * SCREEN, title


def test_what_root_types_is_what_the_long_guide_explains() -> None:
    """Commands in two places differ one day."""
    host = (ROOT / "docs/guides/host.md").read_text(encoding="utf-8")
    machine, release, start = blocks("On a host", "bash")
    for line in (machine + release + start).splitlines():
        if not re.match(r"install -m 0644 (agent-factory@\.service|Caddyfile) |systemctl reload caddy", line):
            assert line in host, line
    for name in re.findall(r"^install -m \d+ (\S+) ", machine, re.MULTILINE):
        assert (ROOT / "docs/host" / name).is_file()


def test_a_service_on_a_host_is_updated_and_put_back(tmp_path: Path, ssh: SshMachine) -> None:
    """What root does on the machine is done by `HostMachine`, from the same files."""
    with running(tmp_path / "machine") as machine:
        # A session over SSH finds the stand-ins for systemctl, and for the sudo that the shipped sudoers limits.
        config = ssh.directory / "sshd_config"
        config.write_text(config.read_text() + f"SetEnv PATH={machine.systemd.programs}:/usr/bin:/bin\n")
        ssh.start()
        try:
            _walk(tmp_path, machine, ssh)
        finally:
            ssh.stop()


def _walk(tmp_path: Path, machine: HostMachine, ssh: SshMachine) -> None:
    env = {name: value for name, value in machine.env.items() if name != "PYRUNBOOK_INVENTORY"}
    with Shell(STOPPING, env, tmp_path) as shell:
        _, start = blocks("Install it, and start a project", "bash")
        assert "maintenance/production_update" in typed(shell, start)
        hosts, variables = blocks("On a host", "yaml")
        project = tmp_path / "runbooks"
        (project / "inventories/production/services.yml").write_text(_on_this_machine(hosts, ssh))
        ours = machine._ours(variables).replace("Sun 02:00-04:00 UTC", "always")
        write_variables(project, f"{ours}drain_delay: 1\ndeploy_green_stable_seconds: 2\n")
        update, back = blocks("Look, then update", "bash")
        said = typed(shell, update)
        assert "✗" not in said and "Succeeded in" in said, said
        assert serves(machine) == ("green", "1.1.0")
        assert "Succeeded in" in typed(shell, back)
        assert serves(machine) == ("blue", "1.0.4")


def _on_this_machine(text: str, ssh: SshMachine) -> str:
    """The inventory of the guide, with the address, the port and the key of this machine's sshd."""
    data: dict[str, Any] = yaml.safe_load(text)
    host = data["services"]["hosts"]["agent-factory"]
    assert set(host) == {"ansible_host", "ansible_user"}
    host.update(ssh.connection())
    return yaml.safe_dump(data)
