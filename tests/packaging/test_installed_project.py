"""A project of one's own, started by an installed pyrunbook, finds what the package holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from installation import Installed

pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("packaging"), pytest.mark.timeout(600)]


def test_a_project_uses_the_roles_of_the_wheel(installed: Installed, tmp_path: Path) -> None:
    project = tmp_path / "project"
    installed.ok("pyrunbook", "init", str(project))
    installed.ok("pyrunbook", "new", "incidents", "slow", "--role", "speed_up", "--project", str(project))
    assert (project / ".config/molecule/action_plugins/sandbox_difference.py").is_file()
    listed = installed.ok("pyrunbook", "--project", str(project), "list")
    assert "incidents/slow" in listed and "maintenance/production_update" in listed
    page = installed.ok("pyrunbook", "docs", "show", "maintenance/check_service", "--project", str(project))
    assert "kubectl" in page, "the notes of the shipped roles are found"
    checked = installed.ok(
        "ansible-playbook", "--syntax-check", "-i", str(project / "inventories/production"),
        *(str(project / f"playbooks/{name}.yml") for name in ("incidents/slow", "maintenance/check_service")),
        ANSIBLE_CONFIG=str(project / "ansible.cfg"),
    )  # fmt: skip
    assert checked.count("playbook: ") == 2
