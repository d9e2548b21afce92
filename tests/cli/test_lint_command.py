"""`pyrunbook lint`: what it is asked, how it answers, how it exits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from sample_project import edit, write

from pyrunbook.cli.main import main
from pyrunbook.journal import Journal, Outcome, RunStart, new_run_id
from pyrunbook.lint.rules import rules

Run = Callable[..., tuple[int, str, str]]
CHECKOUT = Path(__file__).parents[2]
BAD = "# X\n\n```bash\nrm -rf logs\n```\n\n```\nls\n```\n"
RELATIVE = "rm -r of logs is relative: it deletes wherever the reader stands; name an absolute directory"
META = """argument_specs:
  Restart:
    short_description: Restart the service
    runbook:
      schema: 1
      title: Restart
      owner: "@sre"
      updated: 2026-11-01
      contacts: [L1]
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `pyrunbook lint …` in an empty directory; returns the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["lint", *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "playbooks" / "maintenance"
    folder.mkdir(parents=True)
    (tmp_path / "roles").mkdir()
    (folder / "restart.yml").write_text("- name: Restart\n  hosts: services\n  tasks: []\n")
    (folder / "restart.meta.yml").write_text(META)
    return tmp_path


def test_a_finding_has_its_place_level_and_rule(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(BAD)
    code, out, err = run("page.md")
    assert code == 8
    assert out.splitlines() == [
        f"page.md:4:1: error destructive-command: {RELATIVE}",
        "page.md:7:1: warning code-without-language: the block of code does not say its language; it is bash",
        "1 error, 1 warning in 1 runbook or page.",
    ]
    assert err == ""


def test_the_shipped_runbooks_have_no_findings(run: Run) -> None:
    code, out, _ = run("--project", str(CHECKOUT))
    assert (code, out.splitlines()[-1].split(" in ")[0]) == (0, "No findings"), out


@pytest.mark.parametrize("where", [(), ("--project", "."), (".",)])
def test_to_look_at_nothing_is_no_success(run: Run, where: tuple[str, ...]) -> None:
    """The shipped runbooks are not what somebody means who stands in an empty directory."""
    code, out, err = run(*where)
    assert (code, out) == (2, ""), out
    assert "like an Ansible project" in err or "no playbook" in err
    assert "Next: " in err


@pytest.mark.parametrize("place", ["plays/web.yml", "web.yml", "shop/deploy/web.yml"])
def test_playbooks_are_found_wherever_they_stand(run: Run, tmp_path: Path, place: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("- name: Web\n  hosts: web\n  tasks: []\n")
    code, out, _ = run("--project", ".")
    assert code == 8 and f"{place}:1:1: warning without-metadata" in out, out


@pytest.mark.parametrize(
    ("before", "after", "rule", "at"),
    [
        ("update.yml", "tags: [deploy]|tags: [roll_out]", "missing-translation", "runbook:"),
        ("update.meta.yml", "|rollback: {en: A failed run puts back what was there.", "missing-section", "runbook:"),
        ("update.meta.yml", ", fr: Mettre une version en service.|", "missing-translation", "summary:"),
    ],
)
def test_what_makes_a_page_wrong_is_found_at_its_line(
    run: Run, tmp_path: Path, before: str, after: str, rule: str, at: str
) -> None:
    """A step that was renamed, a section that was removed, a translation that is missing."""
    shop = write(tmp_path / "shop")
    lint = ("--project", "shop", "shop/playbooks/maintenance/update.yml", "--format", "json", "--today", "2026-11-21")
    known = set(run(*lint)[1].splitlines())
    file = shop / "playbooks/maintenance" / before
    gone, _, there = after.partition("|")
    if gone:
        edit(file, gone, there)
    else:
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if there not in line))
    code, out, _ = run(*lint)
    assert code == 8
    (found,) = (json.loads(line) for line in out.splitlines() if line not in known and f'"{rule}"' in line)
    meta = shop / "playbooks/maintenance/update.meta.yml"
    line = next(n for n, text in enumerate(meta.read_text().splitlines(), 1) if text.strip().startswith(at))
    assert (found["file"], found["line"]) == ("shop/playbooks/maintenance/update.meta.yml", line)


def test_an_inventory_is_named_as_for_docs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = write(tmp_path / "shop")
    broken = shop / "inventories/metal/services.yml"
    edit(broken, "service_root: /srv/shop", "update_window: Sun 02:00-02:05 UTC")
    monkeypatch.chdir(shop)
    said = {given: run("--select", "impossible-window", *given)[1] for given in ((), ("-i", "metal"), ("-i", "none"))}
    assert "inventories/metal/services.yml" in said["-i", "metal"]
    assert "No findings" in said[()] and "No findings" in said["-i", "none"]
    assert run("-i", "inventories/metal", "--select", "impossible-window")[1] == said["-i", "metal"]
    code, out, err = run("-i", "production2")
    assert (code, out) == (2, "") and "Next: name one of the project's inventories, a path, or none" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 8),
        (("--select", "missing-newline"), 0),
        (("--select", "missing-newline", "--strict"), 8),
        (("--ignore", "destructive-command,code-without-language"), 0),
        (("--ignore", "destructive-command", "--ignore", "code-without-language"), 0),
        (("--select", "destructive-command, missing-newline"), 8),
        (("--select", "destructive"), 2),
        (("--ignore", "nothing"), 2),
        (("--explain", "nothing"), 2),
        (("--format", "xml"), 2),
        (("--project", "gone"), 2),
        (("--today", "yesterday"), 2),
        (("--inventory", "gone"), 2),
    ],
)
def test_exit_codes(run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    (tmp_path / "page.md").write_text(BAD.rstrip("\n"))
    assert run("page.md", *arguments)[0] == code


def test_a_rule_that_does_not_exist_is_refused_with_one_that_is_close(run: Run, tmp_path: Path) -> None:
    code, out, err = run("--select", "destructive_comand")
    assert (code, out) == (2, "")
    assert err == (
        "Error: --select: there is no rule 'destructive_comand'; did you mean destructive-command?\n"
        "Next: pyrunbook lint --rules\n"
    )
    (tmp_path / ".pyrunbook.yml").write_text("lint: {levels: {dead-lnk: note}}\n")
    (tmp_path / "page.md").write_text("x\n")
    code, _, err = run("page.md")
    assert code == 2
    assert "lint.levels: there is no rule 'dead-lnk'; did you mean dead-link?" in err


@pytest.mark.parametrize("file", [".pyrunbook.yml", "pyproject.toml"])
def test_settings_of_the_project_hold(run: Run, tmp_path: Path, file: str) -> None:
    settings = {
        ".pyrunbook.yml": "lint:\n  ignore: [code-without-language]\n  levels: {destructive-command: note}\n",
        "pyproject.toml": '[tool.pyrunbook.lint]\nignore = ["code-without-language"]\n'
        'levels = {destructive-command = "note"}\n',
    }
    (tmp_path / file).write_text(settings[file])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text(BAD)
    code, out, _ = run("docs")
    assert (code, out.splitlines()[-1]) == (0, "1 note in 1 runbook or page.")
    assert run("docs", "--strict")[0] == 8


def test_a_mistake_in_the_settings_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".pyrunbook.yml").write_text("lint: {selekt: []}\n")
    (tmp_path / "page.md").write_text("x\n")
    code, _, err = run("page.md")
    assert code == 2
    assert ".pyrunbook.yml:1:8: lint.selekt: unknown field; did you mean select?" in err


def test_rules_are_listed_with_the_levels_of_the_project(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".pyrunbook.yml").write_text("lint: {levels: {dead-link: note}, ignore: [obsolete]}\n")
    code, out, _ = run("--project", ".", "--rules")
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert code == 0
    assert names == [name for name in rules() if name != "obsolete"]
    assert re.search(r"^dead-link +note +A link leads to nothing\.$", out, re.M)


@pytest.mark.parametrize("name", list(rules()))
def test_every_rule_is_explained(run: Run, name: str) -> None:
    code, out, _ = run("--explain", name)
    assert code == 0
    assert out == (CHECKOUT / "docs" / "lint" / f"{name}.md").read_text()


# --- formats -----------------------------------------------------------------------------------------------------


def test_json_is_an_object_a_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(BAD)
    code, out, _ = run("page.md", "--format", "json")
    first, second = [json.loads(line) for line in out.splitlines()]
    assert code == 8
    assert first.pop("message").startswith("rm -r of logs is relative")
    assert first == {
        "file": "page.md", "line": 4, "column": 1, "level": "error", "rule": "destructive-command", "fixable": False
    }  # fmt: skip
    assert second["fixable"] is True


def test_github_gets_workflow_commands(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a,b:c%.md").write_text("# X\n\n[a](100%25.md)\n\n```bash\nrm -rf logs\n```")
    _, out, _ = run("a,b:c%.md", "--format", "github")
    assert out.splitlines() == [
        "::error file=a%2Cb%3Ac%25.md,line=3,col=5,title=dead-link::100%25.md is not there",
        f"::error file=a%2Cb%3Ac%25.md,line=6,col=1,title=destructive-command::{RELATIVE}",
        "::notice file=a%2Cb%3Ac%25.md,line=7,col=4,title=missing-newline::the last line does not end",
    ]


def test_sarif_has_what_code_scanning_needs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a page.md").write_text(BAD)
    code, out, _ = run("a page.md", "--format", "sarif")
    log = json.loads(out)
    assert code == 8
    assert (log["version"], urlsplit(log["$schema"]).scheme) == ("2.1.0", "https")
    (scan,) = log["runs"]
    described = scan["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in described] == list(rules())
    for rule in described:
        assert urlsplit(rule["helpUri"]).scheme
        assert rule["shortDescription"]["text"].endswith(".")
        assert rule["help"]["markdown"].startswith(f"# {rule['id']}\n")
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
    first = scan["results"][0]
    assert described[first["ruleIndex"]]["id"] == first["ruleId"] == "destructive-command"
    assert first["level"] == "error"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20page.md"
    assert place["region"] == {"startLine": 4, "startColumn": 1}


def test_sarif_without_findings_is_a_log_all_the_same(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("x\n")
    code, out, _ = run("page.md", "--format", "sarif")
    assert (code, json.loads(out)["runs"][0]["results"]) == (0, [])


# --- corrections -------------------------------------------------------------------------------------------------


def test_what_is_corrected_is_said_and_linted_again(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# X\n\n```\nls\n```\n\n```bash\nrm -rf logs\n```")
    code, out, err = run("page.md", "--fix")
    assert code == 8
    assert err.splitlines() == [
        "page.md:3: fixed code-without-language: said that the block is bash",
        "page.md:9: fixed missing-newline: ended the last line",
    ]
    assert out.splitlines()[-1] == "1 error in 1 runbook or page."
    assert page.read_text() == "# X\n\n```bash\nls\n```\n\n```bash\nrm -rf logs\n```\n"
    assert run("page.md", "--fix") == (8, out, "")


def test_what_a_correction_brings_to_light_is_reported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# X\n\n```\n$ rm -rf logs\ngone\n```\n")
    code, out, _ = run("page.md", "--fix")
    assert code == 8
    assert "page.md:4:3: error destructive-command" in out


def test_what_is_not_asked_for_is_not_corrected(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("```\nls\n```")
    assert run("page.md", "--fix", "--select", "missing-newline")[0] == 0
    assert (tmp_path / "page.md").read_text() == "```\nls\n```\n"


# --- projects ----------------------------------------------------------------------------------------------------


def test_a_project_is_linted_where_it_stands(run: Run, project: Path) -> None:
    code, out, _ = run("--project", ".", "--select", "missing-section")
    assert code == 8
    assert out.splitlines()[0] == (
        "playbooks/maintenance/restart.meta.yml:4:5: warning missing-section: maintenance/restart says nothing under "
        "escalation: who is called when it does not help"
    )
    inside = run("playbooks/maintenance/restart.meta.yml", "--select", "missing-section")
    assert inside == (code, out, "")
    assert run("playbooks", "--select", "missing-section") == (code, out, "")


def test_contacts_are_those_of_the_inventory_that_is_given(run: Run, project: Path) -> None:
    hosts = (
        "services:\n  hosts: {web: }\n  vars:\n    runbook_contacts:\n      - {level: L9, name: x, reach: +1-XXX-XXX}\n"
    )
    (project / "hosts.yml").write_text(hosts)
    assert run("--project", ".", "--select", "dead-contact")[0] == 0
    code, out, _ = run("--project", ".", "--select", "dead-contact", "--inventory", "hosts.yml")
    assert code == 8
    assert 'hosts.yml:5:37: error dead-contact: "+1-XXX-XXX" (L9) is no telephone number' in out
    assert "restart.meta.yml:9:18: error dead-contact: the inventory of web knows no L1; it has L9" in out


def test_a_broken_inventory_is_a_finding(run: Run, project: Path) -> None:
    (project / "hosts.yml").write_text("services: [\n")
    code, out, _ = run("--project", ".", "--inventory", "hosts.yml", "--select", "invalid-file")
    assert code == 8
    assert re.search(r"^hosts\.yml:2:1: error invalid-file: not YAML", out, re.M)


def test_an_inventory_that_would_have_to_be_run_is_refused(run: Run, project: Path) -> None:
    (project / "hosts.ini").write_text("[services]\nweb\n")
    code, _, err = run("--project", ".", "--inventory", "hosts.ini")
    assert code == 2
    assert "would have to be run" in err


def test_alert_rules_among_the_paths_are_read(run: Run, project: Path) -> None:
    (project / "rules.yml").write_text("groups:\n  - rules:\n      - alert: Down\n        expr: up == 0\n")
    code, out, _ = run("rules.yml", "--select", "alert-without-runbook")
    assert code == 8
    assert out.startswith("rules.yml:3:9: warning alert-without-runbook: the alert Down leads to no runbook")
    text = META.replace("contacts: [L1]", "alerts: [Down]")
    (project / "playbooks/maintenance/restart.meta.yml").write_text(text)
    assert run("rules.yml", "--select", "alert-without-runbook")[0] == 0


def test_the_journal_says_what_was_tested(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{project / 'journal.db'}"
    monkeypatch.setenv("PYRUNBOOK_JOURNAL", url)
    asked = ("--project", ".", "--select", "obsolete", "--journal", "--today", "2026-11-21")
    code, _, err = run(*asked)
    assert (code, "there is no journal yet" in err) == (2, True)
    when = datetime(2026, 11, 1, tzinfo=UTC)
    with Journal.open(url, clock=lambda: when) as journal:
        for check_mode, outcome in ((True, Outcome.SUCCEEDED), (False, Outcome.FAILED)):
            _record(journal, check_mode, outcome)
    assert "the journal has no run of maintenance/restart that succeeded" in run(*asked)[1]
    with Journal.open(url, clock=lambda: when) as journal:
        _record(journal, False, Outcome.SUCCEEDED)
    assert run(*asked)[0] == 0
    late = run(*asked[:-1], "2027-10-01")
    assert "maintenance/restart ran 334 days ago; 180 d are allowed (tested_within)" in late[1]


def _record(journal: Journal, check_mode: bool, outcome: Outcome) -> None:
    start = RunStart(
        id=new_run_id(), runbook="maintenance/restart", operator="x", machine="y", pid=1, process_started=0.0,
        inventory="z", check_mode=check_mode,
    )  # fmt: skip
    journal.start_run(start)
    journal.end_run(start.id, outcome)


def test_nothing_of_a_project_is_executed(run: Run, project: Path) -> None:
    trap = project / "trap"
    (project / "ansible.cfg").write_text("[defaults]\ninventory = ./run\n")
    for name in ("run", "filter_plugins/x.py", "library/y.py", "callback_plugins/z.py"):
        path = project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {trap}\n")
        path.chmod(0o755)
    (project / "page.md").write_text(f"# X\n\n```bash\ntouch {trap}\necho $(touch {trap}) `touch {trap}`\n```\n")
    (project / "playbooks/x.yml").write_text(f"- hosts: \"{{{{ lookup('pipe', 'touch {trap}') }}}}\"\n  tasks: []\n")
    run(".")
    run("--project", ".")
    assert not trap.exists()


def test_hooks_are_offered_for_other_repositories() -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())}
    assert set(hooks) == {"pyrunbook-lint", "pyrunbook-docs-check"}
    files = re.compile(hooks["pyrunbook-lint"]["files"])
    linted = ["docs/x.md", "playbooks/maintenance/x.yml", "playbooks/maintenance/x.meta.yml", "roles/x/meta/step.yml"]
    assert all(files.search(path) for path in linted)
    assert not any(files.search(path) for path in ("roles/x/tasks/main.yml", "inventories/x.yml", "a.py"))
    for hook in hooks.values():
        assert hook["entry"].startswith("pyrunbook ")
