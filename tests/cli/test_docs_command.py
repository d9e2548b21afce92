"""`pyrunbook docs build`, `check` and `show`, as programs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sample_project import SLOW, UPDATE, edit, write

from pyrunbook.cli.main import main
from pyrunbook.errors import ExitCode
from pyrunbook.journal import Journal, Outcome, RunStart

Run = Callable[..., tuple[int, str, str]]
CHECKOUT = Path(__file__).parents[2]
PAGES = [f"{name}{suffix}.md" for name in (SLOW, UPDATE, "README") for suffix in ("", ".fr")]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `pyrunbook docs …` on a state directory of its own; returns the exit code, what it printed, and stderr."""
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "state"))
    for name in ("PYRUNBOOK_JOURNAL", "PYRUNBOOK_CONTENT", "PYRUNBOOK_INVENTORY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["docs", *map(str, arguments)])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample project, and where one stands."""
    monkeypatch.chdir(write(tmp_path / "shop"))
    return tmp_path / "shop"


@pytest.fixture
def built(project: Path, run: Run) -> Path:
    """The directory of its pages."""
    assert run("build")[0] == 0
    return project / "docs/runbooks"


def tree(directory: Path) -> dict[str, tuple[bytes, int]]:
    """All files below a directory with their content and their time."""
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


def copy_of_ours(directory: Path) -> Path:
    """The shipped project with its pages, to be changed."""
    for name in ("playbooks", "roles", "inventories", "docs"):
        shutil.copytree(CHECKOUT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CHECKOUT / "ansible_collections", directory / "ansible_collections", symlinks=True)
    for name in ("pyproject.toml", "ansible.cfg"):
        shutil.copy(CHECKOUT / name, directory / name)
    return directory


# --- build ----------------------------------------------------------------------------------------------------------


def test_build_writes_all_pages_and_then_nothing(project: Path, run: Run) -> None:
    code, output, errors = run("build")
    assert (code, errors) == (0, "")
    assert sorted(output.splitlines()) == sorted(
        [*(f"wrote docs/runbooks/{page}" for page in PAGES), "6 pages: 6 written, 0 unchanged."]
    )
    before = tree(project)
    assert run("build") == (0, "6 pages: 0 written, 6 unchanged.\n", "")
    assert tree(project) == before


def test_the_readme_of_a_role_is_built_and_drifts_with_its_inputs(project: Path, run: Run) -> None:
    readme, specs = project / "roles/drain/README.md", project / "roles/drain/meta/argument_specs.yml"
    readme.unlink()
    assert "wrote roles/drain/README.md" in run("build")[1].splitlines()
    assert run("check")[0] == 0
    edit(specs, "type: float", "type: int")
    code, output, _ = run("check")
    assert code == ExitCode.DRIFT and "roles/drain/README.md:" in output
    run("build", "update")
    assert "| float |" in readme.read_text(), "a build of one runbook makes its pages only"
    run("build", "--output", project / "elsewhere")
    assert "| float |" in readme.read_text(), "nor does one that writes elsewhere"
    run("build")
    assert "| int |" in readme.read_text() and "authors" in (project / "roles/deploy/README.md").read_text()


def test_build_of_one_runbook_in_one_language(project: Path, run: Run) -> None:
    code, output, _ = run("build", "update", "--lang", "fr")
    assert (code, output.splitlines()[0]) == (0, f"wrote docs/runbooks/{UPDATE}.fr.md")
    assert sorted(tree(project / "docs")) == [f"runbooks/{UPDATE}.fr.md"]
    text = (project / f"docs/runbooks/{UPDATE}.fr.md").read_text(encoding="utf-8")
    assert "# Mise à jour" in text and "[In English](update.md)" in text


def test_a_page_whose_playbook_is_gone_is_removed_with_the_next_build(built: Path, project: Path, run: Run) -> None:
    (built / "mine.md").write_text("# By hand\n")
    for suffix in (".yml", ".meta.yml"):
        (project / f"playbooks/{SLOW}{suffix}").unlink()
    assert run("build", "update")[1].endswith("2 pages: 0 written, 2 unchanged.\n")
    assert (built / f"{SLOW}.md").exists(), "a build of one runbook removes nothing"
    assert run("build", "--lang", "en")[1].endswith("2 pages: 1 written, 1 unchanged.\n")
    assert (built / f"{SLOW}.fr.md").exists(), "a build of one language removes nothing"
    code, output, _ = run("build")
    assert code == 0
    assert {line for line in output.splitlines() if "removed" in line} == {
        f"removed docs/runbooks/{SLOW}.md", f"removed docs/runbooks/{SLOW}.fr.md",
    }  # fmt: skip
    assert (built / "mine.md").exists() and not (built / f"{SLOW}.md").exists()


def test_output_elsewhere_leaves_the_project_alone(project: Path, tmp_path: Path, run: Run) -> None:
    before = tree(project)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/old.md").write_text("<!-- Made by `pyrunbook docs build` from `x`. -->\n")
    assert run("build", "--output", tmp_path / "pages")[0] == 0
    assert tree(project) == before
    assert sorted(tree(tmp_path / "pages")) == sorted([*PAGES, "old.md"])


def test_inventory_service_and_none(project: Path, tmp_path: Path, run: Run) -> None:
    for given, seen in (
        (("-i", "metal"), "/srv/shop/active"),
        (("-i", "inventories/metal"), "/srv/shop/active"),
        (("-i", project / "inventories/metal", "--service", "shop-b"), "/srv/b/active"),
        (("-i", "none"), "kubectl -n SERVICE_NAMESPACE"),
        ((), "kubectl --context prod-eu -n shop"),
    ):
        assert run("build", "update", *given, "--output", tmp_path / "pages")[0] == 0
        assert seen in (tmp_path / f"pages/{UPDATE}.md").read_text(encoding="utf-8"), given


def test_json(project: Path, run: Run) -> None:
    (project / "broken.yml").write_text("- hosts: all\n  tasks: [\n")
    code, output, errors = run("build", "--json")
    (line,) = output.splitlines()
    facts = json.loads(line)
    assert code == ExitCode.BAD_INPUT
    assert facts["pages"] == len(facts["written"]) == 8 and facts["removed"] == facts["kept"] == []
    assert any(str(path).endswith(f"{UPDATE}.md") for path in facts["written"])
    (problem,) = facts["problems"]
    assert problem.startswith("broken.yml:") and problem in errors


def test_what_is_kept_elsewhere_is_said_and_breaks_nothing(project: Path, run: Run) -> None:
    """A role of a collection, a file that another tool brings: the page says so, and the project is not wrong."""
    text = "- hosts: all\n  roles: [their.things.app]\n  tasks:\n    - import_tasks: made.yml\n"
    (project / "site.yml").write_text(text)
    for command in (("build",), ("check",)):
        code, _, errors = run(*command)
        assert code == 0, command
        assert "site.yml:2:11: the role their.things.app is not in this project" in errors
        assert "there is no made.yml in this project" in errors


def test_a_page_whose_metadata_is_broken_stays_as_it_is(built: Path, project: Path, run: Run) -> None:
    good = tree(built)
    meta = project / f"playbooks/{SLOW}.meta.yml"
    edit(meta, "owner:", "ownr:")
    edit(project / f"playbooks/{UPDATE}.meta.yml", "estimate: 30m", "estimate: 31m")
    line = line_of(meta, "ownr:")
    code, output, errors = run("check")
    assert code == ExitCode.BAD_INPUT, "what a page should be nobody can say; another one has drifted"
    assert f"{UPDATE}.md:" in output and f"{SLOW}.md" not in output
    assert "Next: correct what cannot be read, then: pyrunbook docs build" in errors
    code, output, errors = run("build")
    assert code == ExitCode.BAD_INPUT
    assert f"playbooks/{SLOW}.meta.yml:{line}:" in errors and "unknown field; did you mean owner?" in errors
    kept = [f"{SLOW}.md", f"{SLOW}.fr.md", "README.md", "README.fr.md"]
    now = tree(built)
    assert {name for name in good if now[name] == good[name]} == set(kept)
    assert "31 min" in now[f"{UPDATE}.md"][0].decode()
    assert {f"left as it was docs/runbooks/{name}" for name in kept} <= set(output.splitlines())
    assert output.endswith("6 pages: 2 written, 0 unchanged, 4 left as they were.\n")
    assert run("check")[0] == ExitCode.BAD_INPUT
    edit(meta, "ownr:", "owner:")
    assert run("build")[0] == 0 and run("check")[0] == 0


def test_the_notes_of_a_step_that_are_broken_leave_its_pages(built: Path, project: Path, run: Run) -> None:
    good = tree(built)
    notes = project / "roles/deploy/meta/step.yml"
    edit(notes, "purpose:", "purpos:")
    code, _, errors = run("build")
    assert code == ExitCode.BAD_INPUT and f"roles/deploy/meta/step.yml:{line_of(notes, 'purpos:')}:" in errors
    assert tree(built) == good


def test_a_first_build_says_of_broken_metadata_what_is_known(project: Path, run: Run) -> None:
    edit(project / f"playbooks/{SLOW}.meta.yml", "owner:", "ownr:")
    code, output, _ = run("build")
    assert code == ExitCode.BAD_INPUT and output.endswith("6 pages: 6 written, 0 unchanged.\n")
    assert "cannot be used" in (project / f"docs/runbooks/{SLOW}.md").read_text(encoding="utf-8")
    code, output, errors = run("show", "slow-answers")
    assert code == ExitCode.BAD_INPUT and "cannot be used" in output and "did you mean owner?" in errors


def test_shipped_roles_are_not_missing_beside_broken_metadata(project: Path, run: Run) -> None:
    """A project of ours has them without naming them; the one mistake brings no other with it."""
    edit(project / f"playbooks/{SLOW}.yml", "{name: probe}", "{name: drain}")
    edit(project / f"playbooks/{SLOW}.meta.yml", "schema: 1", "schema: one")
    code, _, errors = run("build", SLOW)
    assert code == ExitCode.BAD_INPUT
    assert len(errors.splitlines()) == 1 and "schema" in errors


def test_build_works_from_anywhere(project: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("build")
    before = tree(project)
    monkeypatch.chdir("/")
    code, output, _ = run("build", "--project", project)
    assert (code, output) == (0, "6 pages: 0 written, 6 unchanged.\n")
    assert tree(project) == before
    moved = tmp_path / "another" / "place"
    shutil.copytree(project, moved)
    assert run("check", "--project", moved)[0] == 0


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ("build", "maintenance/updaet"),
            "there is no playbook 'maintenance/updaet'; did you mean maintenance/update?",
        ),
        (
            ("show", "nothing_like_it"),
            "there is no playbook 'nothing_like_it' (there is: deployment/rollback, ",
        ),
        (("show", "slow-answer"), "there is no playbook 'slow-answer'; did you mean incidents/slow_answers?"),
        (("build", "-i", "nowhere"), "inventory nowhere: no such file or directory"),
        (("check", "-i", "nowhere"), "Next: name one of the project's inventories, a path, or none"),
        (("build", "-i", "metal", "--service", "shop-c"), "there is no service 'shop-c' (there is: shop-a, shop-b)"),
        (("build", "--project", "gone"), "gone"),
        (("build", "--lang", "de"), "de"),
        (("build", "--journal"), "nothing has been recorded"),
    ],
)
def test_bad_input_exits_2_and_changes_nothing(project: Path, run: Run, given: tuple[str, ...], said: str) -> None:
    before = tree(project)
    code, output, errors = run(*given)
    assert (code, output) == (ExitCode.BAD_INPUT, "")
    assert said in errors and "Traceback" not in errors
    assert tree(project) == before


@pytest.mark.parametrize("command", ["build", "check"])
def test_output_that_cannot_be_written(project: Path, run: Run, command: str) -> None:
    (project / "docs").write_text("a file, no directory")
    before = tree(project)
    code, _, errors = run(command)
    assert code == ExitCode.BAD_INPUT
    assert "docs" in errors and "Traceback" not in errors
    assert tree(project) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_output_that_may_only_be_read(project: Path, run: Run) -> None:
    (project / "docs").mkdir(mode=0o555)
    code, _, errors = run("build")
    assert code == ExitCode.BAD_INPUT and "Permission denied" in errors and "--output" in errors


def test_settings_that_lead_out_of_the_project_are_refused(project: Path, tmp_path: Path, run: Run) -> None:
    edit(project / ".pyrunbook.yml", "{inventory", "{output: ../../pages, inventory")
    code, _, errors = run("build")
    assert code == ExitCode.BAD_INPUT and "leads out of the project" in errors
    assert not (tmp_path.parent / "pages").exists()


def test_a_mistake_in_the_settings_or_the_inventory_is_named_with_its_line(project: Path, run: Run) -> None:
    edit(project / ".pyrunbook.yml", "languages", "langauges")
    code, _, errors = run("build")
    assert code == ExitCode.BAD_INPUT
    assert re.search(r"\.pyrunbook\.yml:1:\d+: docs\.langauges: .*did you mean languages", errors)
    write(project)
    edit(project / "inventories/production/group_vars/services.yml", "service_context: prod-eu", "service_context: [")
    code, _, errors = run("build")
    assert code == ExitCode.BAD_INPUT
    assert re.search(r"group_vars/services\.yml:\d+:\d+: not YAML", errors)
    assert not (project / "docs").exists()


def test_the_pages_of_an_installation_go_elsewhere(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a wheel carries stands beside the package, which is no place to write to."""
    import pyrunbook.places

    package = tmp_path / "site-packages/pyrunbook"
    content = package.parent / "ansible_collections/pyrunbook/core"
    write(content)
    monkeypatch.setattr(pyrunbook.places, "__file__", str(package / "places.py"))
    before = tree(package.parent)
    code, _, errors = run("build", "--project", content)
    assert code == ExitCode.BAD_INPUT and "--output DIRECTORY" in errors
    assert run("build", "--project", content, "--output", tmp_path / "pages")[0] == 0
    assert tree(package.parent) == before


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_of_pages_that_are_as_they_should_be(built: Path, project: Path, run: Run) -> None:
    before = tree(project)
    assert run("check") == (0, "6 pages, each as the runbooks say.\n", "")
    assert run("check", "update", "--lang", "fr")[0] == 0
    assert tree(project) == before


def drifted(run: Run, *given: object) -> tuple[list[tuple[str, int, str]], str]:
    """Run the check, which must find drift: file, line and meaning of each page, and all that was printed."""
    code, output, errors = run("check", *given)
    assert code == ExitCode.DRIFT == 7
    build = shlex.join(["pyrunbook", "docs", "build", *map(str, given)])
    assert "Drifted: " in errors and f"\nNext: {build}\n" in errors
    found = re.findall(r"^(\S+\.md):(\d+): (.+)$", output, re.MULTILINE)
    changed = [meaning for _, _, meaning in found if meaning == "is not what the runbook says now"]
    assert len(changed) == output.count("\n--- ") == output.count("\n+++ "), "what is missing has no differences"
    return [(file, int(line), meaning) for file, line, meaning in found], output


def line_of(file: Path, text: str) -> int:
    return next(n for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if text in line)


def test_a_step_that_was_renamed(built: Path, project: Path, run: Run) -> None:
    edit(project / f"playbooks/{UPDATE}.yml", "Verify the service", "Ask the service")
    before = tree(project)
    line = line_of(built / f"{UPDATE}.md", "Verify the service")  # in the diagram
    found, output = drifted(run)
    assert found == [(f"docs/runbooks/{UPDATE}.md", line, "is not what the runbook says now")]
    assert '-  s4["Verify the service"]\n+  s4["Ask the service"]\n' in output
    assert "-### 4. Verify the service\n+### 4. Ask the service\n" in output
    assert tree(project) == before, "a check writes nothing"
    assert run("build")[0] == 0 and run("check")[0] == 0


def test_a_default_of_a_role_that_was_changed(built: Path, project: Path, run: Run) -> None:
    edit(project / "roles/drain/defaults/main.yml", "120", "90")
    edit(project / "roles/drain/meta/argument_specs.yml", "120", "90")
    found, output = drifted(run)
    expected = [(name, line_of(built / name, "| `120`; ")) for name in (f"{UPDATE}.md",)]
    assert [(file, line) for file, line, _ in found] == [
        (f"docs/runbooks/{UPDATE}.md", expected[0][1]),
        (f"docs/runbooks/{UPDATE}.fr.md", line_of(built / f"{UPDATE}.fr.md", "| `120` ; ")),
    ]
    assert "-| `drain_timeout` | float | `120`; here: `300`" in output
    assert "+| `drain_timeout` | float | `90`; here: `300`" in output


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("hosts: services", "hosts: all", "+| **Hosts** | `all` |"),
        (
            "tags: [free]",
            "tags: [free, always]",
            "-Step `free`, role `guard`; about 10 s; in any case; not by a run of ",
        ),
        ("rescue:", "always:", "+When a step fails, the run itself puts nothing back: its playbook has no `rescue`."),
    ],
)
def test_what_a_run_does_otherwise_drifts(
    built: Path, project: Path, run: Run, before: str, after: str, said: str
) -> None:
    if after == "always:":  # a block has it once
        edit(project / f"playbooks/{UPDATE}.yml", "      always:\n", "")
    edit(project / f"playbooks/{UPDATE}.yml", before, after)
    found, output = drifted(run)
    assert f"docs/runbooks/{UPDATE}.md" in [file for file, _, _ in found]
    assert said in output
    assert built.is_dir()


@pytest.mark.parametrize("where", ["role", "runbook"])
def test_a_default_that_two_files_tell_differently(project: Path, run: Run, where: str) -> None:
    if where == "role":
        spec = project / "roles/drain/meta/argument_specs.yml"
        edit(spec, "type: float, default: 120", "type: float, default: 60")
        place = f"roles/drain/meta/argument_specs.yml:{line_of(spec, 'default: 60')}:"
    else:
        meta = project / f"playbooks/{UPDATE}.meta.yml"
        given = "drain_timeout: {description: How long., type: float, default: 60}"
        edit(meta, "      pace:\n", f"      {given}\n      pace:\n")
        place = f"playbooks/{UPDATE}.meta.yml:1:1: options.drain_timeout"
    for command in ("build", "check"):
        code, _, errors = run(command)
        assert code == 2, errors
        assert place in errors and "60" in errors and "120" in errors, errors


def test_tasks_that_have_changed_ask_for_a_look_at_what_is_done_by_hand(built: Path, project: Path, run: Run) -> None:
    tasks = project / "roles/drain/tasks/main.yml"
    tasks.parent.mkdir()
    tasks.write_text("- name: Drain\n  command: /bin/drain\n")
    assert run("build")[0] == 0 and run("check")[0] == 0
    tasks.write_text("# Gently.\n- name: Drain\n  command: /bin/drain\n")
    assert run("check")[0] == 0, "a comment changes nothing"
    tasks.write_text("- name: Drain\n  command: /bin/drain --now\n")
    ask = "roles/drain/tasks has changed, and its commands by hand have not"
    code, _, errors = run("check")
    assert code == ExitCode.DRIFT and ask in errors and "roles/drain/meta/step.yml" in errors
    edit(project / "roles/drain/meta/step.yml", "{{ drain_timeout }} s at most", "{{ drain_timeout }} s")
    code, _, errors = run("check", "--lang", "en")
    assert code == ExitCode.DRIFT and ask not in errors, "both have changed"
    edit(project / "roles/drain/meta/step.yml", "{{ drain_timeout }} s.", "{{ drain_timeout }} s at most.")
    code, _, errors = run("build")
    assert code == 0 and ask in errors
    assert run("check")[0] == 0 and "drain/tasks" not in run("build")[2]
    assert built.is_dir()


def test_a_section_that_was_removed_by_hand(built: Path, run: Run) -> None:
    page = built / f"{UPDATE}.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition("## Rollback\n")
    line = before.count("\n") + 1
    page.write_text(before + "## Troubleshooting\n" + rest.partition("## Troubleshooting\n")[2], encoding="utf-8")
    found, output = drifted(run)
    assert found == [(f"docs/runbooks/{UPDATE}.md", line, "is not what the runbook says now")]
    assert "\n+## Rollback\n" in output


def test_a_translation_that_is_missing(built: Path, project: Path, run: Run) -> None:
    edit(project / f"playbooks/{UPDATE}.meta.yml", ", fr: Mettre une version en service.", "")
    found, output = drifted(run)
    assert [file for file, _, _ in found] == [f"docs/runbooks/{UPDATE}.fr.md", "docs/runbooks/README.fr.md"]
    assert found[0][1] == line_of(built / f"{UPDATE}.fr.md", "Mettre une version en service.")
    assert "-Mettre une version en service.\n+Bring a release into service.\n" in output


def test_the_shipped_pages_drift_with_the_shipped_runbooks(tmp_path: Path, run: Run) -> None:
    """The same four on what is committed: the check of CI would have seen each."""
    ours = copy_of_ours(tmp_path / "ours")
    update, page = (
        ours / "playbooks/maintenance/production_update.meta.yml",
        "docs/runbooks/maintenance/production_update",
    )
    run("build", "--project", ours)  # what is being worked on may be ahead of its pages
    assert run("check", "--project", ours)[0] == 0
    for file, before, after, drifting in (
        (update.with_name("production_update.yml"), "Back up the service", "Save the service", [f"{page}.md"]),
        (ours / "roles/switch_service/meta/step.yml", "estimate: 1m", "estimate: 2m", [f"{page}.md", f"{page}.fr.md"]),
        (update.with_suffix(".fr.yml"), "Mise à jour de la production", "Production update", [f"{page}.fr.md"]),
        (ours / f"{page}.md", "## Verification", "", [f"{page}.md"]),
    ):
        text = file.read_text(encoding="utf-8")
        edit(file, before, after)
        found, _ = drifted(run, "--project", ours)
        names = [str(Path(name).relative_to(ours)) for name, _, _ in found]
        assert set(drifting) <= set(names), file
        assert f"{page}.md" in drifting or f"{page}.md" not in names
        file.write_text(text, encoding="utf-8")
    assert run("check", "--project", ours)[0] == 0


def test_pages_that_are_missing_or_left_over(built: Path, run: Run) -> None:
    (built / f"{SLOW}.md").rename(built / "left_over.md")
    found, output = drifted(run)
    assert found == [
        (f"docs/runbooks/{SLOW}.md", 1, "is missing"),
        ("docs/runbooks/left_over.md", 1, "is the page of a runbook that no longer exists"),
    ]
    assert len(output.splitlines()) == 2


def test_the_next_step_has_the_options_that_were_given(built: Path, project: Path, tmp_path: Path, run: Run) -> None:
    pages = tmp_path / "pages"
    given = ("update", "--lang", "fr", "--output", pages, "--project", project, "--inventory", "metal")
    drifted(run, *given, "--service", "shop-b")
    assert run("build", *given, "--service", "shop-b")[0] == 0
    assert run("check", *given, "--service", "shop-b")[0] == 0
    assert built.is_dir()


def test_an_inventory_that_says_something_else_drifts(built: Path, project: Path, run: Run) -> None:
    edit(project / "inventories/production/group_vars/services.yml", "https://shop.example", "https://store.example")
    _, output = drifted(run)
    assert '+curl -fsS "https://store.example.com/health"' in output
    assert built.is_dir()


def test_check_of_what_was_never_built(project: Path, run: Run) -> None:
    found, _ = drifted(run)
    assert len(found) == 6 and {meaning for _, _, meaning in found} == {"is missing"}
    assert not (project / "docs").exists()


# --- show and the journal -------------------------------------------------------------------------------------------


def test_show_is_markdown_where_there_is_no_terminal(built: Path, run: Run) -> None:
    code, output, errors = run("show", "update")
    assert (code, errors) == (0, "")
    assert output == (built / f"{UPDATE}.md").read_text(encoding="utf-8")
    assert run("show", UPDATE, "--lang", "fr")[1] == (built / f"{UPDATE}.fr.md").read_text(encoding="utf-8")
    assert run("show", "maintenance/update.yml", "--raw")[1] == output


def _record(journal: Journal, clock: list[datetime], number: int, seconds: float, **more: bool | Outcome) -> None:
    run_id, outcome = f"aaaa{number:04x}", more.get("outcome", Outcome.SUCCEEDED)
    journal.start_run(
        RunStart(id=run_id, runbook=UPDATE, operator="ada", machine="m", pid=1, process_started=1.0,
                 check_mode=bool(more.get("check")), inventory="i", inputs={})
    )  # fmt: skip
    journal.add_service(run_id, "shop", "kubernetes")
    journal.start_step(run_id, "shop", "deploy", "Deploy")
    clock[0] += timedelta(seconds=seconds)
    journal.end_step(run_id, "shop", "deploy", "ok")
    assert isinstance(outcome, Outcome)
    journal.conclude(run_id, "shop", outcome)
    journal.end_run(run_id, outcome)
    clock[0] += timedelta(days=1)


def test_the_journal_says_when_it_was_last_tested_and_how_long_it_took(built: Path, project: Path, run: Run) -> None:
    clock = [datetime(2026, 3, 1, 23, 30, tzinfo=UTC)]
    with Journal.open(clock=lambda: clock[0]) as journal:
        for number, seconds in enumerate((10, 30, 90)):
            _record(journal, clock, number, seconds)
        _record(journal, clock, 7, 1000, check=True)
        _record(journal, clock, 8, 2000, outcome=Outcome.FAILED)
    code, output, _ = run("show", "update", "--journal")
    assert code == 0
    assert "| **Last tested** | 2026-03-03 |" in output
    assert "| **Measured** | median 30.0 s, longest 1 min 30 s, of 3 runs |" in output
    assert "Step `deploy`, role `deploy`; about 5 min; measured median 30.0 s, longest 1 min 30 s, of 3 runs;" in output
    assert "**Last tested** | never, as far as this journal knows" in run("show", SLOW, "--journal")[1]
    assert "médiane 30.0 s" in run("show", "update", "--journal", "--lang", "fr")[1]
    # Without being asked, no page says so: neither what is committed nor what is checked.
    assert run("check")[0] == 0 and run("build")[1] == "6 pages: 0 written, 6 unchanged.\n"
    assert "Last tested" not in run("show", "update")[1]
    assert run("build", "update", "--journal", "--output", project / "printed")[0] == 0
    assert "2026-03-03" in (project / f"printed/{UPDATE}.md").read_text(encoding="utf-8")


# --- inventories of our own that have to be run ---------------------------------------------------------------------


def test_staging_has_its_own_strategy_and_values(run: Run, tmp_path: Path) -> None:
    titles = {}
    for inventory in ("production", "staging"):
        code, output, errors = run("show", "production_update", "--project", CHECKOUT, "-i", inventory)
        assert (code, errors) == (0, "")
        titles[inventory] = re.findall(r"^### \d+\. (\w+)", output, re.MULTILINE)
        assert f"--context {inventory} " in output
    assert titles["production"].index("Drain") < titles["production"].index("Deploy")
    assert titles["staging"].index("Drain") > titles["staging"].index("Deploy")
    assert list(tmp_path.iterdir()) == []


def test_the_sandbox_that_is_down_says_how_to_start_it(run: Run) -> None:
    code, output, errors = run("show", "production_update", "--project", CHECKOUT, "-i", "sandbox")
    assert (code, output) == (ExitCode.BAD_INPUT, "")
    assert "the sandbox is not running" in errors
    assert errors.endswith("Next: pyrunbook sandbox up\n")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that is ours: the content that pyrunbook works with, which may be run."""
    root = write(tmp_path / "own")
    (root / "ansible.cfg").write_text("[defaults]\n")
    (root / "inventories/made").mkdir()
    script = root / "inventories/made/hosts.sh"
    script.write_text(
        "#!/bin/sh\n"
        'echo \'{"services": {"hosts": ["shop"]}, "_meta": {"hostvars": {"shop": {'
        '"service_platform": "kubernetes", "service_namespace": "made-by-a-script", "api_token": "c4n4ry"}}}}\'\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(root))
    monkeypatch.chdir(root)
    return root


def test_an_inventory_of_our_own_may_be_run(run: Run, own: Path) -> None:
    edit(own / "roles/deploy/meta/step.yml", "apply -f", "apply --token {{ api_token }} -f")
    code, output, errors = run("show", "update", "-i", "made")
    assert (code, errors) == (0, "")
    assert "kubectl -n made-by-a-script apply --token [secret]" in output
    assert "c4n4ry" not in output


def test_what_ansible_would_decrypt_is_not_asked_for(run: Run, own: Path) -> None:
    (own / "inventories/made/group_vars").mkdir()
    (own / "inventories/made/group_vars/services").write_text("$ANSIBLE_VAULT;1.1;AES256\n6334\n")
    code, output, errors = run("show", "update", "-i", "made")
    assert (code, output) == (ExitCode.BAD_INPUT, "")
    assert "group_vars/services" in errors and "vault" in errors


def test_malformed_contacts_of_such_an_inventory_are_named(run: Run, own: Path) -> None:
    script = own / "inventories/made/hosts.sh"
    script.write_text(script.read_text().replace('"api_token"', '"runbook_contacts": [{"level": 1}], "api_token"'))
    code, _, errors = run("show", "update", "-i", "made")
    assert code == ExitCode.BAD_INPUT
    assert "runbook_contacts[0]" in errors and "Traceback" not in errors


# --- as a process ---------------------------------------------------------------------------------------------------


def test_a_reader_that_leaves_early_is_no_failure(project: Path) -> None:
    command = f"{sys.executable} -m pyrunbook docs show update | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=project, capture_output=True, text=True, timeout=60, check=True)
    first, code = done.stdout.splitlines()
    assert first.startswith("<!-- Made by")
    assert (code, done.stderr) == ("0", "")


def test_pages_get_the_mode_that_files_have_here(project: Path) -> None:
    subprocess.run(["bash", "-c", f"umask 022; {sys.executable} -m pyrunbook docs build"], cwd=project, check=True)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (project / "docs").rglob("*.md")} == {0o644}
