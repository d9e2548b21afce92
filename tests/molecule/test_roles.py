"""Every role's molecule scenario: check mode, converge, idempotence and side effects on a sandbox of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(ROOT.glob("roles/*/molecule/*/molecule.yml"))

pytestmark = [pytest.mark.molecule, pytest.mark.timeout(600)]


def environment(ephemeral: Path) -> dict[str, str]:
    """The caller's environment without what would reach into the scenario."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYRUNBOOK_", "ANSIBLE_", "MOLECULE_", "PYTEST_"))
    }
    return {
        **kept,
        # molecule starts ansible-config and ansible-playbook by name
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]]),
        "HOME": str(ephemeral.parent),
        "ANSIBLE_HOME": str(ephemeral.parent / "ansible"),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(ephemeral),
        "NO_COLOR": "1",
    }


@pytest.fixture
def ephemeral(tmp_path: Path) -> Iterator[Path]:
    """A directory for the scenario; whatever of its sandbox molecule left is ended."""
    directory = tmp_path / "molecule"
    directory.mkdir()
    yield directory
    sandbox = directory / "sandbox"
    if sandbox.exists():
        down = [sys.executable, "-m", "pyrunbook", "sandbox", "down", "--directory", str(sandbox)]
        subprocess.run(down, check=True, capture_output=True, timeout=60)


# molecule asks `ansible-playbook --version` before each of its playbooks, and does nothing with the answer: 0.5 s each.
MOLECULE = """
import sys
from molecule.provisioner.ansible_playbook import AnsiblePlaybook
from molecule.shell import main
AnsiblePlaybook._validate_backend = lambda self, backend: None
sys.argv[0] = "molecule"
main()
"""


def molecule(role: Path, scenario: str, ephemeral: Path, *command: str) -> subprocess.CompletedProcess[str]:
    config = ROOT / ".config" / "molecule" / "config.yml"
    return subprocess.run(
        [sys.executable, "-c", MOLECULE, "--base-config", str(config), *command, "--scenario-name", scenario],
        cwd=role,
        env=environment(ephemeral),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )


LONG = {
    *("certificate_state", "collect_evidence", "diagnose_vault", "escalate"),
    *("rotate_signing_keys", "secure_mode", "test_rotation"),
    *("backup", "cleanup", "conclude", "drain", "rollback_plan", "service_state", "switch_service"),
}
"""Roles whose effects tests/integration sees in whole runs in CI: test_security_incident.py, test_certificates.py and
test_update.py."""


def case(path: Path) -> ParameterSet:
    role = path.parents[2].name
    return pytest.param(path, id=f"{role}-{path.parent.name}", marks=[pytest.mark.long] if role in LONG else [])


@pytest.mark.parametrize("scenario", [case(path) for path in SCENARIOS])
def test_scenario(scenario: Path, ephemeral: Path) -> None:
    done = molecule(scenario.parents[2], scenario.parent.name, ephemeral, "test")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert not (ephemeral / "sandbox").exists(), "the sandbox was not destroyed"


def test_every_role_has_a_scenario() -> None:
    roles = {path.parent.name for path in ROOT.glob("roles/*/tasks")}
    assert {path.parents[2].name for path in SCENARIOS} == roles


def test_a_role_that_always_changes_something_is_caught(tmp_path: Path) -> None:
    """molecule's idempotence check reads the output of the play: see that ours is one that it can read."""
    role = tmp_path / "always"
    default = role / "molecule" / "default"
    default.mkdir(parents=True)
    ephemeral = tmp_path / "molecule"
    ephemeral.mkdir()
    (default / "molecule.yml").write_text(
        "---\n"
        "provisioner: {inventory: {links: {group_vars: group_vars}}}\n"
        f"ansible: {{env: {{ANSIBLE_CONFIG: {ROOT}/ansible.cfg}}}}\n"
        "scenario: {test_sequence: [converge, idempotence]}\n"
    )
    (default / "group_vars").mkdir()
    (default / "converge.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.command: 'true'\n      changed_when: true\n"
    )
    done = molecule(role, "default", ephemeral, "test")
    assert done.returncode != 0
    assert "Idempotence test failed" in done.stdout + done.stderr, done.stdout + done.stderr
