"""The hooks that are offered to other repositories: which files they hand over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

HOOKS = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("site.yml", True),
        ("deploy-playbook.yaml", True),
        ("playbooks/x.yml", True),
        ("playbooks/maintenance/x.yml", True),
        ("playbooks/maintenance/x.meta.yml", True),
        ("playbooks/a/b/x.yaml", True),
        ("playbooks/maintenance/x.meta.fr.yml", True),
        ("roles/r/meta/step.yml", True),
        ("roles/r/meta/step.fr.yml", True),
        ("docs/page.md", True),
        ("playbooks/group_vars/all.yml", False),
        ("playbooks/a/tasks/x.yml", False),
        ("mkdocs.yml", False),
        ("roles/r/tasks/main.yml", False),
    ],
)
def test_lint_gets_what_it_reads_and_nothing_that_it_refuses(name: str, taken: bool) -> None:
    (hook,) = (hook for hook in HOOKS if hook["id"] == "pyrunbook-lint")
    assert (bool(re.search(hook["files"], name)) and not re.search(hook["exclude"], name)) is taken
