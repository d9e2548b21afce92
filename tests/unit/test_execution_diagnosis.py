"""What `pyrunbook doctor` says of the project around, before it looks at any service."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from pyrunbook import places
from pyrunbook.execution.diagnosis import Diagnosis, examine
from pyrunbook.scaffold.project import new_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYRUNBOOK_CONTENT", "")
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    project = tmp_path.resolve() / "outer" / "project"
    new_project(project, date(2026, 11, 28))
    (project.parent / ".pyrunbook.yml").touch()
    monkeypatch.chdir(project / "roles")
    return project


def said() -> list[Diagnosis]:
    found = [each for each in examine(("/no/such/inventory",)) if each.name == "project"]
    assert all(each.good for each in found)
    return found


def test_the_project_and_what_it_goes_before_are_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = said()
    assert found.seen == (f"{project}, found by .pyrunbook.yml; goes before {project.parent}; 1 runbook of its own")
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(project.parent / "project"))
    assert "named by --project or PYRUNBOOK_CONTENT; goes before" in said()[0].seen
    monkeypatch.setenv("PYRUNBOOK_CONTENT", "")
    monkeypatch.chdir(project.parents[1])
    assert said()[0].seen == "none around this directory: the shipped runbooks"


def test_a_runbook_in_the_place_of_a_shipped_one_is_named(project: Path) -> None:
    for file in (places.shipped() / "playbooks/maintenance").glob("certificate_rotation*"):
        shutil.copy(file, project / "playbooks/maintenance")
    (found,) = said()
    assert found.seen.endswith("2 runbooks of its own, in place of shipped ones: maintenance/certificate_rotation")


def test_what_an_earlier_version_left_may_go(project: Path) -> None:
    (project / ".envrc").write_text('export PYRUNBOOK_CONTENT="$PWD"\n')
    for name in ("deployment/rollback", "maintenance/unlock"):
        for suffix in (".yml", ".meta.yml", ".meta.fr.yml"):
            shutil.copy(places.shipped() / f"playbooks/{name}{suffix}", project / f"playbooks/{name}{suffix}")
    own = project / "playbooks/maintenance/unlock.yml"
    own.write_text(own.read_text() + "# ours\n")
    _, envrc, copy, changed = said()
    assert ".envrc is not needed" in envrc.seen and envrc.next_step == f"rm {project}/.envrc"
    assert copy.seen == "deployment/rollback is a copy of the shipped one"
    rollback = f"{project}/playbooks/deployment/rollback"
    assert copy.next_step == f"rm {rollback}.yml {rollback}.meta.yml {rollback}.meta.fr.yml"
    assert changed.seen.startswith("maintenance/unlock goes before the shipped one")
    assert changed.next_step.endswith("; unless you have changed it on purpose")
    (project / "ansible.cfg").write_text("[defaults]\nlibrary = $PYRUNBOOK_PACKAGE/plugins/modules\n")
    _, config, envrc, *_ = said()
    assert "names $PYRUNBOOK_PACKAGE" in config.seen and "pyrunbook.core.<role>" in config.next_step
    assert envrc.next_step == f"after that: rm {project}/.envrc"
    (project / ".envrc").write_text("layout python\n")
    assert ".envrc" not in str(said()), "somebody else's stays"
