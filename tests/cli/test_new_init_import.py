"""`pyrunbook new`, `init` and `import`, as programs; what they write passes the linters and ansible-playbook."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunbook import places
from pyrunbook.cli.main import main

Run = Callable[..., tuple[int, str, str]]
CHECKOUT = Path(__file__).parents[2]
SOURCE = CHECKOUT / "tests" / "source"
BIN = Path(sys.executable).parent


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `pyrunbook …`; returns the exit code, what it printed, and what it said on stderr."""
    monkeypatch.delenv("PYRUNBOOK_CONTENT", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with all that the three commands write."""
    project = tmp_path_factory.mktemp("filled") / "project"
    for arguments in (
        ["init", project],
        ["new", "incidents", "high-load", "--role", "shed_load", "--project", project],
        ["new", "deployment", "canary", "--project", project],
        ["new", "maintenance", "tidy", "--project", project],
        *(
            ["import", SOURCE / name, "--project", project]
            for name in ("operations-runbook.md", "runbook-authoring.md")
        ),
    ):
        done = subprocess.run([BIN / "pyrunbook", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return project


def call(project: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a project, with nothing set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYRUNBOOK_", "ANSIBLE_"))}
    kept["PATH"] = f"{BIN}{os.pathsep}{kept['PATH']}"
    return subprocess.run(
        [*map(str, argv)], cwd=project, env=kept, capture_output=True, text=True, timeout=300, check=False
    )


# --- what is written ---------------------------------------------------------------------------------------------


def test_yamllint_finds_nothing(filled: Path) -> None:
    ours = CHECKOUT / ".config" / "yamllint.yml"
    for options in ([], ["--config-file", ours]):
        done = call(filled, "yamllint", "--strict", *options, ".")
        assert (done.returncode, done.stdout) == (0, "")


def test_ansible_lint_finds_nothing_in_its_production_profile(filled: Path) -> None:
    done = call(
        filled,
        "ansible-lint",
        "--config-file",
        CHECKOUT / ".config/ansible-lint.yml",
        "playbooks",
        "roles",
        "inventories",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Profile 'production' was required, and it passed" in done.stderr + done.stdout


def test_every_playbook_passes_the_syntax_check(filled: Path) -> None:
    playbooks = [path for path in sorted(filled.glob("playbooks/*/*.yml")) if ".meta." not in path.name]
    assert len(playbooks) == 12
    done = call(filled, "ansible-playbook", "--syntax-check", "-i", "inventories/production", *playbooks)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("playbook: ") == len(playbooks)


def test_the_project_is_listed_and_its_pages_are_made(filled: Path) -> None:
    done = call(filled, "pyrunbook", "list")
    assert done.returncode == 0, done.stderr
    for runbook in ("maintenance/check_service", "incidents/high_load", "maintenance/mise_a_jour_production"):
        assert runbook in done.stdout
    shown = call(filled, "pyrunbook", "docs", "show", "mise_a_jour_production", "--lang", "fr")
    assert shown.returncode == 0, shown.stderr
    assert "kubectl apply -f deployment/blue-green/green/" in shown.stdout
    assert "plan de retour arrière" in shown.stdout, "the texts of the shipped roles are found"


def test_lint_finds_the_blanks_that_new_lists(tmp_path: Path, run: Run) -> None:
    project = tmp_path / "project"
    assert run("init", str(project))[0] == 0
    code, output, _ = run("new", "incidents", "high-load", "--role", "shed_load", "--project", str(project))
    assert code == 0
    listed = {(m[1], int(m[2])) for m in re.finditer(r"^  .*project/(\S+?):(\d+): ", output, re.MULTILINE)}
    assert len(listed) > 30
    done = call(project, "pyrunbook", "lint", "--select", "unfilled-blank", "--format", "text")
    found = {(m[1], int(m[2])) for m in re.finditer(r"^(\S+?):(\d+):\d+: ", done.stdout, re.MULTILINE)}
    of_the_runbook = {place for place in listed if not re.search(r"README|molecule", place[0])}
    assert of_the_runbook - found == set()
    for name, line in listed:
        assert "TODO" in (project / name).read_text().splitlines()[line - 1]


def test_a_skeleton_refuses_before_it_touches_anything(filled: Path, tmp_path: Path) -> None:
    """A real run by a direct ansible-playbook: the first task ends it; no lock, no plan, no change."""
    inventory = tmp_path / "inventory.yml"
    inventory.write_text("services: {hosts: {here: {ansible_connection: local, service_platform: host}}}\n")
    playbook = filled / "playbooks/maintenance/mise_a_jour_production.yml"
    done = call(filled, "env", f"PYRUNBOOK_HOME={tmp_path}/home", "ansible-playbook", "-i", inventory, playbook)
    assert done.returncode == 2
    assert "is not automated yet. Nothing was changed." in done.stdout
    assert "ok=0" in done.stdout
    assert not (tmp_path / "home" / "plans").exists()


def test_a_project_survives_that_its_environment_is_moved(filled: Path, tmp_path: Path) -> None:
    """Nothing in it names where pyrunbook is installed."""
    package = str(places.package().parent)
    holding = [
        path for path in filled.rglob("*")
        if path.is_file() and ".git" not in path.parts and package in path.read_text(encoding="utf-8")
    ]  # fmt: skip
    assert holding == []


# --- what the commands say ---------------------------------------------------------------------------------------


def test_new_lists_files_and_blanks(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "playbooks").mkdir()
    monkeypatch.chdir(tmp_path)
    code, output, errors = run("new", "incidents", "database-down")
    assert (code, errors) == (0, "")
    assert "  playbooks/incidents/database_down.yml\n" in output
    assert "  playbooks/incidents/database_down.meta.yml:5: short_description: " in output
    assert output.endswith("Next: fill in the blanks, then: pyrunbook lint playbooks/incidents/database_down.yml\n")
    code, output, errors = run("new", "incidents", "database-down")
    assert (code, output) == (2, "")
    assert "database_down.meta.yml" in errors
    assert "Nothing was written." in errors


def test_new_and_import_write_into_no_directory_that_is_no_project(run: Run, tmp_path: Path) -> None:
    for arguments in (("new", "incidents", "x"), ("import", str(SOURCE / "operations-runbook.md"))):
        code, output, errors = run(*arguments, "--project", str(tmp_path))
        assert (code, output) == (2, "")
        assert "pyrunbook init DIR" in errors
    assert list(tmp_path.iterdir()) == []


def test_new_takes_the_categories_and_no_other(run: Run) -> None:
    code, _, errors = run("new", "somewhere", "x")
    assert code == 2
    assert "'deployment', 'incidents', 'maintenance'" in errors


def test_init(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, output, errors = run("init", "mine")
    assert (code, errors) == (0, "")
    assert "Next: cd mine && pyrunbook sandbox up && pyrunbook maintenance --window; README.md" in output
    code, output, errors = run("init", "mine")
    assert (code, output) == (2, "")
    assert "Nothing was written." in errors
    assert run("init", "--print-package") == (0, f"{places.collection()}/before\n", "")


def test_import_says_what_it_made_and_what_is_left(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "playbooks").mkdir()
    shutil.copy(SOURCE / "operations-runbook.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    code, dry, errors = run("import", "operations-runbook.md", "--dry-run")
    assert (code, errors) == (0, "")
    assert "maintenance/mise_a_jour_production: Mise à Jour Production, 6 steps to automate" in dry
    assert "  operations-runbook.md:162: **Validation :** Hebdomadaire\n" in dry
    assert re.search(r"A dry run: \d+ files would be written", dry)
    assert list((tmp_path / "playbooks").iterdir()) == []
    code, output, errors = run("import", "operations-runbook.md")
    assert (code, errors) == (0, "")
    assert output.startswith(dry.partition("A dry run")[0])
    assert "  playbooks/operations-runbook.leftover.md\n" in output
    assert (tmp_path / "playbooks" / "operations-runbook.leftover.md").is_file()
    lines = re.search(
        r"^  playbooks/maintenance/mise_a_jour_production.meta.yml: lines ([\d, ]+)$", output, re.MULTILINE
    )
    assert lines is not None
    text = (tmp_path / "playbooks/maintenance/mise_a_jour_production.meta.yml").read_text().splitlines()
    assert all("TODO" in text[int(number) - 1] for number in lines[1].split(", "))


def test_a_second_import_is_refused_briefly(run: Run, tmp_path: Path) -> None:
    project = tmp_path / "project"
    assert run("init", str(project))[0] == 0
    argv = ("import", str(SOURCE / "operations-runbook.md"), "--project", str(project))
    assert run(*argv)[0] == 0
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    code, output, errors = run(*argv)
    assert (code, output) == (2, "")
    lines = errors.splitlines()
    assert lines[0] == "Error: there already:" and len(lines) == 9, errors
    assert re.fullmatch(r"  and \d+ more", lines[6]) and lines[7] == "Nothing was written."
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_init_names_what_to_type_next(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Next: cd 'our runbooks' && pyrunbook sandbox up" in run("init", "our runbooks")[1]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    output = run("init", ".")[1]
    assert "files here.\nNext: pyrunbook sandbox up" in output


def test_a_directory_that_cannot_be_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, errors = run("init", str(tmp_path / "file" / "x"))
    assert code == 2 and "Nothing was written." in errors
    assert "--project" not in errors and "Next: name another directory" in errors


def test_every_command_is_about_the_project_around(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from a directory further down, and with nothing read into the shell."""
    project = tmp_path / "project"
    assert run("init", str(project))[0] == 0
    monkeypatch.chdir(project / "playbooks" / "maintenance")
    assert run("show", "check_service")[0] == 0
    assert "check_service" in run("list")[1]
    built = run("docs", "build")[1]
    assert "check_service" in built and "production_update" not in built
    assert run("lint")[1].endswith(f"These are of {project}: 5 errors in 1 runbook or page.\n"), "its example values"
    assert run("new", "incidents", "slow")[0] == 0 and (project / "playbooks/incidents/slow.yml").is_file()


def test_a_project_has_the_pages_of_shipped_runbooks_when_it_asks_for_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    assert run("init", str(project))[0] == 0
    monkeypatch.chdir(project)
    page = run("docs", "show", "production-update")[1]
    assert "# Production update\n" in page and "kubectl" in page and "example" in page
    code, output, errors = run("docs", "build", "production-update")
    assert (code, output) == (2, "") and "makes no pages of shipped runbooks" in errors
    settings = project / ".pyrunbook.yml"
    settings.write_text(settings.read_text().replace("shipped: false", "shipped: true"))
    assert "docs/runbooks/maintenance/production_update.md" in run("docs", "build")[1]
    assert "production_update.md" in (project / "docs/runbooks/README.md").read_text()
    assert run("docs", "check")[0] == 0


def test_import_of_what_is_no_runbook(run: Run, tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    page = tmp_path / "notes.md"
    page.write_text("# Notes\n\nNothing to do.\n")
    for file, words in ((page, "holds no procedure"), (tmp_path / "missing.md", "No such file")):
        code, output, errors = run("import", str(file), "--project", str(tmp_path))
        assert (code, output) == (2, "")
        assert words in errors
