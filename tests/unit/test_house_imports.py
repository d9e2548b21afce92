"""Who may know whom: the contracts in pyproject.toml hold, and an import against any of them is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
HOUSE = "The house: nobody imports from above"
CIRCLES = "No circles"
AGAINST = [
    ("errors.py", "from pyrunbook import places", HOUSE),
    ("redaction.py", "from pyrunbook import places", HOUSE),
    ("windows/grammar.py", "from pyrunbook import journal", HOUSE),
    ("windows/grammar.py", "from pyrunbook import catalog", HOUSE),
    ("windows/grammar.py", "import yaml", "Windows know time"),
    ("windows/window.py", "from pyrunbook.windows import exclusions", CIRCLES),
    ("lint/context.py", "from pyrunbook.lint import rule", CIRCLES),
    ("catalog/catalog.py", "from pyrunbook import execution", HOUSE),
    ("project/document.py", "from pyrunbook import catalog", HOUSE),
    ("catalog/catalog.py", "import click", "Only the CLI imports click"),
    ("journal/store.py", "from pyrunbook import catalog", HOUSE),
    ("journal/store.py", "from pyrunbook.cli import options", HOUSE),
    ("platforms/host.py", "from ansible.errors import AnsibleError", "Only plugins import Ansible"),
    ("platforms/host.py", "from pyrunbook.plugins import step_action", HOUSE),
    ("kubernetes/switch.py", "from ansible.errors import AnsibleError", "Only plugins import Ansible"),
    ("rollout/plan.py", "from pyrunbook import journal", HOUSE),
    ("rollout/checks.py", "import lightkube", "Only kubernetes imports lightkube"),
    ("sandbox/load.py", "from pyrunbook import execution", HOUSE),
    ("on_target/slots.py", "from pyrunbook import errors", HOUSE),
    ("on_target/slots.py", "import psutil", "needs the standard library alone"),
    ("execution/run.py", "from pyrunbook import plugins", HOUSE),
    ("execution/run.py", "from pyrunbook.cli import options", HOUSE),
    ("execution/run.py", "from pyrunbook import sandbox", "Only the CLI and the plugins know the sandbox"),
    ("execution/run.py", "import sqlalchemy", "Only the journal imports a database"),
    ("plugins/action/checks.py", "from pyrunbook import execution", HOUSE),
    ("plugins/callback/pyrunbook_journal.py", "import ansible_runner", "Only execution imports ansible_runner"),
    ("cli/run.py", "import ansible_runner", "Only execution imports ansible_runner"),
    ("pki/due.py", "from pyrunbook import journal", HOUSE),
    ("rollout/checks.py", "import cryptography", "Only pki imports cryptography"),
    ("plugins/action/checks.py", "import hvac", "Only pki imports cryptography"),
    ("cli/run.py", "import pyrage", "Only pki imports cryptography"),
    ("stray.py", "", HOUSE),
]


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", "pyproject.toml"],
        cwd=directory, env={"PYTHONPATH": str(directory), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package and the contracts, to be broken."""
    directory = tmp_path_factory.mktemp("copy")
    shutil.copytree(CHECKOUT / "pyrunbook", directory / "pyrunbook", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", directory)
    return directory


def test_the_contracts_are_kept(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("module", "line", "contract"), AGAINST)
def test_an_import_against_a_contract_is_found(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / "pyrunbook" / module
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n\ndef _late() -> None:\n    {line or 'pass'}\n", encoding="utf-8")
    try:
        done = lint(copy)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
    assert done.returncode == 1, done.stdout
    broken = [each for each in done.stdout.splitlines() if each.endswith("BROKEN")]
    assert any(contract in each for each in broken), done.stdout
