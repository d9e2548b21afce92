"""Runbooks as lint reads them: each finding at its line, the same thing once, broken files beside whole ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from lint_project import FILES, write_project

from pyrunbook.catalog.settings import read_settings
from pyrunbook.errors import BadInput
from pyrunbook.lint.collecting import alert_subjects, collect, named_alerts
from pyrunbook.lint.context import Context, Project
from pyrunbook.lint.linting import chosen_rules, lint
from pyrunbook.project.inventory import read_services

TODAY = date(2026, 11, 21)
META = "playbooks/maintenance/restart.meta.yml"
PLAY = "playbooks/maintenance/restart.yml"
NOTES = "roles/restart/meta/step.yml"
PREREQUISITES = """\
      prerequisites:
        - id: oncall
          text: {en: Somebody is on call, fr: Quelqu'un est d'astreinte}
          check: attested
"""
Look = Callable[..., list[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return write_project(tmp_path / "project")


@pytest.fixture
def look(project: Path) -> Look:
    """What lint finds, as `file:line:column rule`."""

    def look(*paths: str, rule: str = "", tested: dict[str, date] | None = None) -> list[str]:
        settings = read_settings(project)
        known = Project(project, settings, read_services(project / "inventories/production.yml"))
        collection = collect([project / path for path in paths], known)
        collection.subjects += alert_subjects(known)
        alerts = {alert.name: alert for subject in collection.subjects for alert in subject.alerts}
        context = Context(known, TODAY, collection.subjects, alerts, named_alerts(known), tested)
        found = lint(collection, context, chosen_rules(settings.lint, [rule] if rule else []))
        return [f"{f.at.file.relative_to(project)}:{f.at.line}:{f.at.column} {f.rule}" for f in found]

    return look


def change(project: Path, path: str, old: str, new: str) -> None:
    file = project / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_whole_project_has_no_findings(look: Look) -> None:
    assert look() == []
    assert look(".") == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('ls "$ROOT/logs"\n', "rm -r logs\n", 10),
        ('ls "$ROOT/logs"\n', "echo é; echo é\n\n        rm -r logs\n", 12),
        ("commands: |\n", "commands: |-\n", 0),
    ],
)
def test_a_command_in_a_block_is_found_in_its_line(project: Path, look: Look, old: str, new: str, line: int) -> None:
    change(project, NOTES, old, new)
    wanted = [f"{NOTES}:{line}:9 destructive-command"] if line else []
    assert look(rule="destructive-command") == wanted


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("commands: rm -r logs", "7:17"),
        ('commands: "rm -r logs"', "7:18"),
        ("commands: 'echo a && rm -r logs'", "7:28"),
        ("commands: >-\n        rm\n        -r logs", "8:9"),
        ("commands: |2\n          rm -r logs", "8:11"),
        ("{commands: rm -r logs}", ""),
    ],
)
def test_a_command_in_any_style_of_yaml_has_its_place(project: Path, look: Look, written: str, place: str) -> None:
    text = FILES[NOTES]
    begin, end = text.index("commands: |"), text.index("      expected: {en: A new log.")
    if not place:
        written = "commands: {a: rm -r logs}"
    (project / NOTES).write_text(text[:begin] + written + "\n" + text[end:])
    assert look(rule="destructive-command") == ([f"{NOTES}:{place} destructive-command"] if place else [])


def test_a_vague_word_is_found_in_the_line_of_a_folded_text(project: Path, look: Look) -> None:
    change(
        project, META, "rollback: {en: Start the release before., fr: Démarrer la version précédente.}",
        "rollback:\n        en: >-\n          Start the release before,\n          if needed.\n"
        "        fr: |\n          Démarrer\n          au besoin la précédente.",
    )  # fmt: skip
    assert look(rule="vague-instruction") == [f"{META}:19:11 vague-instruction", f"{META}:22:11 vague-instruction"]


def test_a_language_of_a_text_is_asked_only_for_its_own_words(project: Path, look: Look) -> None:
    change(project, META, "fr: Démarrer la version précédente.", "fr: Dire if needed en anglais.")
    assert look(rule="vague-instruction") == []


@pytest.mark.parametrize(
    ("path", "old", "new", "wanted"),
    [
        (META, ", fr: Redémarrage}", "}", f"{META}:6:14 missing-translation"),
        (META, ", check: Contrôler le service}", "}", f"{META}:4:5 missing-translation"),
        (NOTES, ", fr: Un nouveau journal.}", "}", f"{NOTES}:11:17 missing-translation"),
        (META, "    short_description", "    options:\n      plan: {description: Id.}\n    short_description",
         f"{META}:4:7 missing-translation"),
        (META, "      contacts: [L1]\n", "", f"{META}:4:5 missing-section"),
        (META, PREREQUISITES, "", f"{META}:4:5 missing-section"),
        (META, "      when_to_ignore: {en: While it answers., fr: Tant qu'il répond.}\n", "",
         f"{META}:4:5 missing-section"),
        (META, "      verification: {en: It answers again., fr: Il répond à nouveau.}\n", "",
         f"{META}:4:5 missing-section"),
        (META, "to: L2", "to: L9", f"{META}:23:15 dead-contact"),
        (META, "contacts: [L1]", "contacts: [L1, phone]", f"{META}:25:22 dead-contact"),
        (META, "alerts: [AgentFactoryDown]", "alerts: [Down]", f"{META}:26:16 unknown-alert"),
        (META, "updated: 2026-11-01", "updated: 2025-11-01", f"{META}:8:16 obsolete"),
        (META, "updated: 2026-11-01", "updated: 2026-12-01", f"{META}:8:16 obsolete"),
        (META, "estimate: 10m", "estimate: 3h", f"{META}:11:7 impossible-window"),
        (META, "systemctl stop agent-factory", "systemctl stop <unit>", f"{META}:21:38 incomplete-command"),
        (META, "systemctl stop agent-factory", "ls $NOWHERE", f"{META}:21:26 undefined-variable"),
        (META, "systemctl stop agent-factory", "ls $ROOT", ""),
        (PLAY, "name: restart\n", "name: restrat\n", f"{PLAY}:7:15 unknown-role"),
        (PLAY, "  gather_facts: false\n", "  gather_facts: false\n  vars_prompt:\n    - name: x\n",
         f"{PLAY}:5:7 prompt-in-play"),
        (NOTES, "expected: {en: It answers., fr: Il répond.}\n", "", f"{NOTES}:1:1 invalid-file"),
        (NOTES, "estimate", "estimate", ""),
        ("inventories/production.yml", "+33 1 70 18 99 00", "+33-XXX", "inventories/production.yml:8:16 dead-contact"),
        ("alerts.yml", "/maintenance/restart", "/maintenance/gone", "alerts.yml:7:24 alert-without-runbook"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_at_its_line(
    project: Path, look: Look, path: str, old: str, new: str, wanted: str
) -> None:
    if old != new:
        change(project, path, old, new)
    found = look()
    assert (wanted in found) if wanted else found == [], found


def test_a_variable_is_known_from_the_step_before(project: Path, look: Look) -> None:
    by_hand = "by_hand:\n  host:\n    - text: {en: Look., fr: Regarder.}\n      commands: ls $ROOT\n"
    by_hand += "      expected: {en: Files., fr: Des fichiers.}\n"
    change(project, "roles/check/meta/step.yml", "undo_text", by_hand + "undo_text")
    assert look(rule="undefined-variable") == []
    change(project, PLAY, "        name: restart\n", "        name: other\n")
    change(project, PLAY, "        name: check\n", "        name: restart\n")
    change(project, PLAY, "        name: other\n", "        name: check\n")
    assert look(rule="undefined-variable") == ["roles/check/meta/step.yml:7:20 undefined-variable"]


def test_a_variable_of_one_platform_is_none_of_the_other(project: Path, look: Look) -> None:
    by_hand = "  kubernetes:\n    - text: {en: Look., fr: Regarder.}\n      commands: ls $ROOT\n"
    by_hand += "      expected: {en: Files., fr: Des fichiers.}\n"
    change(project, NOTES, "undo_text", by_hand + "undo_text")
    assert look(rule="undefined-variable") == [f"{NOTES}:14:20 undefined-variable"]


def test_a_change_on_a_platform_needs_its_undo(project: Path, look: Look) -> None:
    change(project, NOTES, "systemctl restart", "systemctl stop")
    assert look(rule="change-without-undo") == [], "undo_text says how"
    undo = "undo:\n  kubernetes:\n    - {text: {en: Undo., fr: Annuler.}, commands: kubectl rollout undo deploy/x}\n"
    (project / NOTES).write_text((project / NOTES).read_text() + undo)
    assert look(rule="change-without-undo") == [f"{NOTES}:9:9 change-without-undo"]
    change(project, PLAY, "      tags: [restart]", "      tags: [restart]\n      when: true")
    text = (project / PLAY).read_text()
    head, task = text.split("  tasks:\n")
    task = "".join(f"    {line}\n" for line in task.splitlines())
    (project / PLAY).write_text(f"{head}  tasks:\n    - name: Try\n      block: []\n      rescue:\n{task}")
    assert look(rule="change-without-undo") == [], "the way back needs no way back"


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("rm -r /srv/agent-factory/data/cache", True),
        ("rm -rf -- /srv/agent-factory/data/cache", True),
        ("sudo rm --recursive /srv/agent-factory/data", True),
        ("rm -rf /tmp/scratch", False),
        ("rm -rf /tmp/scratch /srv/agent-factory/data", True),
        ("rm /srv/agent-factory/proxy/upstream.new", False),
    ],
)
def test_a_tree_that_is_deleted_needs_a_way_back(project: Path, look: Look, command: str, found: bool) -> None:
    change(project, NOTES, "systemctl restart agent-factory", command)
    undo = "undo:\n  kubernetes:\n    - {text: {en: Undo., fr: Annuler.}, commands: kubectl rollout undo deploy/x}\n"
    (project / NOTES).write_text((project / NOTES).read_text() + undo)
    assert look(rule="destructive-command") == [], "the directory is a sure one"
    place = f"{NOTES}:9:14" if command.startswith("sudo") else f"{NOTES}:9:9"
    assert look(rule="change-without-undo") == ([f"{place} change-without-undo"] if found else [])


def test_roles_shared_by_runbooks_are_reported_once(project: Path, look: Look) -> None:
    for suffix in (".yml", ".meta.yml"):
        text = (project / PLAY).with_suffix(suffix).read_text()
        (project / f"playbooks/maintenance/again{suffix}").write_text(text)
    change(project, NOTES, 'ls "$ROOT/logs"', "rm -r logs")
    assert look() == [f"{NOTES}:10:9 destructive-command"]


def test_a_contact_of_the_inventory_is_reported_once(project: Path, look: Look) -> None:
    for suffix in (".yml", ".meta.yml"):
        text = (project / PLAY).with_suffix(suffix).read_text()
        (project / f"playbooks/maintenance/again{suffix}").write_text(text)
    change(project, "inventories/production.yml", "+33 1 70 18 99 00", "+33-XXX")
    assert look() == ["inventories/production.yml:8:16 dead-contact"]


def test_only_the_step_that_is_named_is_reported(project: Path, look: Look) -> None:
    change(project, META, "to: L2", "to: L9")
    change(project, NOTES, 'ls "$ROOT/logs"', 'rm -r logs; ls "$NOBODY"')
    found = look(NOTES)
    assert found == [
        f"{NOTES}:10:9 destructive-command", f"{NOTES}:10:19 hidden-failure", f"{NOTES}:10:25 undefined-variable"
    ], "the variable is known to be missing from the runbook that uses the role"  # fmt: skip
    assert f"{META}:23:15 dead-contact" in look(NOTES, META)


def test_a_role_that_no_playbook_applies_is_linted_by_itself(project: Path, look: Look) -> None:
    for file in (project / "playbooks/maintenance").iterdir():
        file.unlink()
    change(project, NOTES, 'ls "$ROOT/logs"', "rm -r logs")
    assert look(NOTES) == [f"{NOTES}:10:9 destructive-command"]


@pytest.mark.parametrize(
    ("path", "text", "wanted"),
    [
        (META, "argument_specs: [", f"{META}:2:1 invalid-file"),
        (NOTES, "schema: 1\nschema: 1\n", f"{NOTES}:2:1 invalid-file"),
        (PLAY, "- hosts: all\n  tasks: {\n", ""),
        (PLAY, "", ""),
        ("docs/restart.md", b"\xff\xfe", "docs/restart.md:1:1 invalid-file"),
        ("alerts.yml", "groups: [{rules: [{alert: A}", "alerts.yml:2:1 invalid-file"),
    ],
)
def test_a_broken_file_is_a_finding_and_the_rest_goes_on(
    project: Path, look: Look, path: str, text: str | bytes, wanted: str
) -> None:
    (project / "playbooks/maintenance/other.yml").write_text("- hosts: all\n  tasks: []\n")
    raw = text.encode() if isinstance(text, str) else text
    (project / path).write_bytes(raw)
    found = look(".")
    assert "playbooks/maintenance/other.yml:1:1 without-metadata" in found
    assert any("invalid-file" in each for each in found) or path == PLAY, found
    if wanted:
        assert wanted in found


def test_playbooks_of_anybody_are_survived(project: Path, look: Look) -> None:
    (project / "site.yml").write_text(
        "- import_playbook: gone.yml\n- import_playbook: '{{ x }}.yml'\n- import_playbook: a.b.c\n"
        "- hosts: '{{ h }}'\n  roles:\n    - role: gone\n    - geerlingguy.docker\n    - a.b.c\n    - {name: restart}\n"
        "    - required\n    - '{{ r }}'\n"
        "  tasks:\n    - pause: {seconds: 5}\n    - pause:\n    - pause: prompt='Go on?'\n"
        "    - include_role: name=gone2\n"
        "    - {block: [{ignore_errors: true, debug: }], rescue: [{debug: , ignore_errors: no}]}\n"
        "    - !vault |\n        x\n    - 5\n    -\n  handlers: x\n- 7\n"
    )
    (project / "requirements.yml").write_text("roles:\n  - name: required\n")
    assert look("site.yml") == [
        "site.yml:1:1 without-metadata",
        "site.yml:1:3 unknown-runbook",
        "site.yml:6:13 unknown-role",
        "site.yml:14:7 prompt-in-play",
        "site.yml:15:7 prompt-in-play",
        "site.yml:16:21 unknown-role",
        "site.yml:17:17 ignored-error",
    ]


@pytest.mark.parametrize(
    "comment",
    ["      ignore_errors: true  # gone already\n", "      # gone already\n      ignore_errors: true\n"],
)
def test_a_reason_makes_an_ignored_error_right(project: Path, look: Look, comment: str) -> None:
    tasks = project / "roles/restart/tasks/main.yml"
    tasks.parent.mkdir()
    tasks.write_text(f"---\n- name: x\n  block:\n    - ansible.builtin.debug:\n{comment}")
    assert look() == []
    tasks.write_text("---\n- name: x\n  ansible.builtin.debug:\n  ignore_errors: true\n")
    assert look() == ["roles/restart/tasks/main.yml:4:3 ignored-error"]


def test_the_window_of_the_inventory_goes_before_the_own_one(project: Path, look: Look) -> None:
    change(project, "inventories/production.yml", "  vars:\n", "  vars:\n    update_window: Sun 02:00-02:10 UTC\n")
    assert look() == ["inventories/production.yml:5:5 impossible-window"]
    change(project, "inventories/production.yml", "Sun 02:00-02:10 UTC", '"{{ somewhere }}"')
    assert look() == []


def test_the_inventorys_window_is_the_one_that_the_runbook_names(project: Path, look: Look) -> None:
    change(
        project,
        META,
        'window: {spec: "Sun 02:00-04:00 UTC"',
        'window: {variable: certificate_window, spec: "Sun 02:00-04:00 UTC"',
    )
    change(project, "inventories/production.yml", "  vars:\n", "  vars:\n    update_window: Sun 02:00-02:10 UTC\n")
    assert look() == []
    change(project, "inventories/production.yml", "update_window: Sun", "certificate_window: Sun")
    assert look() == ["inventories/production.yml:5:5 impossible-window"]
    change(
        project,
        "inventories/production.yml",
        "certificate_window: Sun 02:00-02:10 UTC",
        "certificate_window_cutoff: 2x",
    )
    assert look() == ["inventories/production.yml:5:5 impossible-window"]


def test_a_runbook_that_needs_no_window_is_not_held_to_the_inventorys(project: Path, look: Look) -> None:
    change(project, "inventories/production.yml", "  vars:\n", "  vars:\n    update_window: Sun 02:00-02:10 UTC\n")
    change(project, META, 'window: {spec: "Sun 02:00-04:00 UTC"}', "window: {required: false}")
    assert look() == []


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("pyrunbook run restrat", ["6:15 unknown-runbook"]),
        ("pyrunbook run old/site.yml", []),
        ("pyrunbook run RUNBOOK", []),
        ("pyrunbook run $RUNBOOK", []),
        ("pyrunbook run <runbook>", []),
        ("pyrunbook run restart --step restart --step check", []),
        ("pyrunbook run restart --step=restrat", ["6:30 unknown-tag"]),
        ("pyrunbook -v show maintenance/restart", []),
        ("pyrunbook rollback latest", []),
        ("pyrunbook history --runbook restrat", []),
        ("ansible-playbook playbooks/maintenance/restart.yml -t restart,always --skip-tags never", []),
        ("ansible-playbook -i hosts playbooks/maintenance/restart.yml --tags=restart,gone", ["6:68 unknown-tag"]),
        ("ansible-playbook /elsewhere/site.yml --tags gone", []),
    ],
)
def test_what_commands_name_has_to_exist(project: Path, look: Look, command: str, wanted: list[str]) -> None:
    (project / "docs/page.md").write_text(f"# X\n\nWords.\n\n```bash\n{command}\n```\n")
    found = [each for each in look("docs/page.md") if "unknown" in each]
    assert found == [f"docs/page.md:{each}" for each in wanted]


@pytest.mark.parametrize(
    ("named", "wanted"),
    [
        ("maintenance/restart", []),
        ("maintenance/restrat", [f"{META}:10:18 unknown-runbook"]),
        ("restart", [f"{META}:10:18 unknown-runbook"]),  # a run looks for the id as it stands
    ],
)
def test_what_undoes_a_runbook_has_to_exist(project: Path, look: Look, named: str, wanted: list[str]) -> None:
    change(project, META, "      estimate: 10m\n", f"      estimate: 10m\n      undone_by: {named}\n")
    assert look() == wanted


def test_a_run_that_is_too_long_ago_makes_a_runbook_obsolete(look: Look) -> None:
    assert look(tested={"maintenance/restart": date(2026, 10, 1)}) == []
    assert look(tested={"maintenance/restart": date(2026, 1, 1)}) == [f"{META}:4:5 obsolete"]
    assert look(tested={}) == [f"{META}:4:5 obsolete"]


def test_what_is_nothing_to_lint_is_refused(project: Path, look: Look) -> None:
    with pytest.raises(BadInput, match="is neither a playbook"):
        look("inventories/production.yml")
    with pytest.raises(BadInput, match="no such file"):
        look("gone.md")
    (project / "playbooks/lost.meta.yml").write_text("")
    with pytest.raises(BadInput, match=r"lost\.yml is not there"):
        look("playbooks/lost.meta.yml")


def test_alert_rules_that_are_not_there_are_refused(project: Path, look: Look) -> None:
    change(project, ".pyrunbook.yml", "alerts.yml", "monitoring/*.yml")
    with pytest.raises(BadInput, match=r"monitoring/\*\.yml is not there"):
        look()


def test_roles_of_elsewhere_are_not_this_projects_to_correct(project: Path, look: Look) -> None:
    outside = project.parent / "roles" / "elsewhere"
    (outside / "meta").mkdir(parents=True)
    (outside / "meta/step.yml").write_text(FILES[NOTES].replace('ls "$ROOT/logs"', "rm -r logs"))
    change(project, PLAY, "name: check\n", "name: elsewhere\n")
    assert look() == []


def test_shipped_roles_are_known_where_the_project_uses_them(project: Path, look: Look) -> None:
    """It does where it is a project of ours; in any other of Ansible a role of that name is somebody else's."""
    change(project, PLAY, "name: check\n", "name: unlock\n")
    assert not any("unknown-role" in each or "unlock" in each for each in look())
    (project / ".pyrunbook.yml").unlink()
    assert f"{PLAY}:11:15 unknown-role" in look()
