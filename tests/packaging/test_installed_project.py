"""A project of one's own, started by an installed pyrunbook, finds what the package holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from installation import CHECKOUT, Installed

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


def test_a_project_is_practised_with_and_one_of_the_version_before_goes_on(
    installed_with_sandbox: Installed, tmp_path: Path
) -> None:
    """From `pyrunbook init` to an update; then what it did is taken back in an older project, which copied runbooks."""
    state = {"PYRUNBOOK_HOME": str(tmp_path / "state")}

    def typed(here: Path, *words: str) -> str:
        return installed_with_sandbox.ok("pyrunbook", *words, cwd=here, **state)

    def serves(here: Path) -> str:
        told = json.loads(typed(here, "sandbox", "status", "--json"))
        return str(told["versions"][told["active"]])

    new, old = tmp_path / "x", tmp_path / "old"
    typed(tmp_path, "init", "x")
    try:
        typed(new, "sandbox", "up")
        before = serves(new)
        assert "Succeeded in" in typed(new, "maintenance", "--window", "--yes")
        assert serves(new) != before
        (new / "below").mkdir()
        assert f"{new}, found by .pyrunbook.yml" in typed(new / "below", "doctor")

        shutil.copytree(CHECKOUT / "tests/project_of_before", old)
        told = typed(old, "doctor")
        for leftover in ("names $PYRUNBOOK_PACKAGE", ".envrc is not", "deployment/rollback ", "maintenance/unlock "):
            assert leftover in told
        assert f"Next: after that: rm {old}/.envrc\n" in told
        listed = typed(old, "list")
        assert listed.count("this project, in place of the shipped one") == 2
        assert "maintenance/production_update" in listed and "maintenance/check_service" in listed
        assert "Succeeded in" in typed(old, "--project", ".", "rollback", "latest", "--yes")
        assert serves(old) == before
        direct = 'cd "$0" && . ./.envrc && exec ansible-playbook playbooks/maintenance/check_service.yml'
        assert "failed=0" in installed_with_sandbox.ok("/bin/sh", "-c", direct, str(old), **state)
        last = json.loads(typed(old, "history", "--json").splitlines()[0])
        assert (last["runbook"], last["outcome"], last["project"]) == (
            "maintenance/check_service", "succeeded", str(old),
        )  # fmt: skip
    finally:
        typed(new, "sandbox", "down")
