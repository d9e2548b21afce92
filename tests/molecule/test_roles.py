"""Every role's molecule scenario: check mode, converge, idempotence and side effects on a sandbox of its own.

molecule runs in the worker's own process, and finds the sandbox there already: both save CI seconds of each scenario,
and `molecule test` in the directory of a role does the same with processes of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

from pyrunbook.cli.main import root

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(ROOT.glob("roles/*/molecule/*/molecule.yml"))

pytestmark = [pytest.mark.molecule, pytest.mark.timeout(600)]


@pytest.fixture
def ephemeral(tmp_path: Path) -> Iterator[Path]:
    """molecule's directory, with an environment that has nothing of the caller's that would reach into a scenario."""
    directory = tmp_path / "molecule"
    directory.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYRUNBOOK_", "ANSIBLE_", "MOLECULE_", "PYTEST_"))
    }
    own = {
        # molecule starts ansible-config and ansible-playbook by name
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]]),
        "HOME": str(tmp_path),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(directory),
        "NO_COLOR": "1",
    }
    with mock.patch.dict(os.environ, {**kept, **own}, clear=True):
        yield directory


@pytest.fixture
def created(ephemeral: Path) -> Iterator[Path]:
    """The same directory as create.yml leaves it: a sandbox, its inventory, and molecule's note that it is there."""
    sandbox = ["--directory", str(ephemeral / "sandbox")]
    up = CliRunner().invoke(root, ["sandbox", "up", *sandbox])
    assert up.exit_code == 0, up.output
    (ephemeral / "services").symlink_to(ROOT / "inventories" / "sandbox")
    (ephemeral / "state.yml").write_text("created: true\ndriver: default\n")
    yield ephemeral
    down = CliRunner().invoke(root, ["sandbox", "down", "--purge", *sandbox])
    assert down.exit_code == 0, down.output


def molecule(role: Path, scenario: str, *options: str) -> int:
    """`molecule test` in the directory of a role; the output is pytest's to capture."""
    # Half a second of imports, for those workers alone that come here.
    from ansible_compat import runtime
    from ansible_compat.config import AnsibleConfig
    from molecule.app import get_app
    from molecule.provisioner.ansible_playbook import AnsiblePlaybook
    from molecule.shell import main

    config = ROOT / ".config" / "molecule" / "config.yml"
    get_app.cache_clear()  # it remembers the environment
    with (
        contextlib.chdir(role),
        # molecule asks `ansible-playbook --version` before each playbook, and does nothing with the answer: 0.5 s each.
        mock.patch.object(AnsiblePlaybook, "_validate_backend"),
        # It has `ansible-config dump` say where collections are, which no scenario has; Ansible's defaults do: 0.6 s.
        mock.patch.object(runtime, "AnsibleConfig", lambda **_: AnsibleConfig(config_dump="none")),
        pytest.raises(SystemExit) as end,
    ):
        main(["--base-config", str(config), "test", "--scenario-name", scenario, *options])
    return int(end.value.code or 0)


def name(path: Path) -> str:
    return f"{path.parents[2].name}-{path.parent.name}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name)
def test_scenario(scenario: Path, created: Path) -> None:
    assert molecule(scenario.parents[2], scenario.parent.name, "--destroy", "never") == 0


@pytest.mark.long
def test_a_scenario_by_itself_creates_its_sandbox_and_leaves_nothing(ephemeral: Path) -> None:
    assert molecule(ROOT / "roles" / "unlock", "default") == 0
    assert not (ephemeral / "sandbox").exists()
    assert not (ephemeral / "services").is_symlink()


def test_every_role_has_a_scenario() -> None:
    roles = {path.parent.name for path in ROOT.glob("roles/*/tasks")}
    assert {path.parents[2].name for path in SCENARIOS} == roles


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("{name: Lie, ansible.builtin.command: 'true', changed_when: true}", "roles/wrong : Lie"),
        ("{ansible.builtin.shell: date +%N > $PYRUNBOOK_SANDBOX/data/now, changed_when: false}", "sandbox/data/now"),
        ("{ansible.builtin.shell: date > $PYRUNBOOK_SANDBOX/data/now, check_mode: false}", "sandbox/data/now"),
    ],
    ids=["always", "silently", "in check mode"],
)
def test_a_role_that_changes_what_it_must_not_is_caught(
    task: str,
    said: str,
    created: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / ".config").symlink_to(ROOT / ".config")
    role = tmp_path / "roles" / "wrong"
    scenario = role / "molecule" / "default"
    scenario.mkdir(parents=True)
    own = f"{{ANSIBLE_CONFIG: {ROOT}/ansible.cfg, ANSIBLE_ROLES_PATH: {tmp_path}/roles}}"
    (scenario / "molecule.yml").write_text(f"ansible: {{env: {own}}}\n")
    shutil.copy(ROOT / ".config" / "molecule" / "no_preparation.yml", scenario / "verify.yml")
    (role / "tasks").mkdir()
    (role / "tasks" / "main.yml").write_text(f"---\n- {task}\n")
    assert molecule(role, "default", "--destroy", "never") != 0
    assert said in capfd.readouterr().out + caplog.text
