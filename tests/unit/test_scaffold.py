"""New runbooks, roles and projects: what is written, and that the rest of the house can read it."""

from __future__ import annotations

import configparser
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyrunbook import places
from pyrunbook.catalog import CATEGORIES, Catalog, Phase
from pyrunbook.catalog.settings import read_settings
from pyrunbook.errors import BadInput
from pyrunbook.kubernetes import errors
from pyrunbook.scaffold.draft import free, identifier
from pyrunbook.scaffold.files import blanks, write_new
from pyrunbook.scaffold.new import new_runbook
from pyrunbook.scaffold.project import FIRST, new_project
from pyrunbook.scaffold.yaml_writing import LONGEST, Shared, dumped, scalar, with_long_lines_allowed

CHECKOUT = Path(__file__).parents[2]
TODAY = date(2026, 11, 21)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    new_project(tmp_path / "project", TODAY)
    return tmp_path / "project"


# --- files -------------------------------------------------------------------------------------------------------


def test_nothing_is_written_when_anything_is_there(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two").write_text("mine")
    (tmp_path / "three").symlink_to("nowhere")
    with pytest.raises(BadInput) as caught:
        write_new(tmp_path, {"a/one": "1", "b/two": "2", "three": "3"}, elsewhere="elsewhere")
    assert str(tmp_path / "b" / "two") in str(caught.value)
    assert str(tmp_path / "three") in str(caught.value)
    assert "a/one" not in str(caught.value)
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b" / "two").read_text() == "mine"


def test_what_cannot_be_written_whole_is_not_written_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="Nothing was written"):
        write_new(tmp_path, {"a/one": "1", "file/below": "2"}, elsewhere="elsewhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_blanks_have_their_lines() -> None:
    text = "one: 1\n# TODO: estimate: 30m\nwords: 'TODO: why'\nTODOS: none\nmytodo: TODO_LIST\n"
    found = list(blanks({"x.yml": text}, Path("p")))
    assert [(blank.file, blank.line, blank.text) for blank in found] == [
        (Path("p/x.yml"), 2, "TODO: estimate: 30m"),
        (Path("p/x.yml"), 3, "words: 'TODO: why'"),
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mise à jour", "mise_a_jour"),
        ("KubeAPIDown", "kube_api_down"),
        ("NodeRAIDDegraded", "node_raid_degraded"),
        ("2. Œuvre d'art!", "oeuvre_d_art"),
        ("42", ""),
        ("a" * 70, "a" * 50),
        ("one two " * 20, "one_two_one_two_one_two_one_two_one_two_one_two"),
        ("日本", ""),
    ],
)
def test_identifiers(text: str, name: str) -> None:
    assert identifier(text) == name


def test_a_name_that_is_taken_gets_a_number() -> None:
    taken = {"a"}
    assert [free(name, taken) for name in ("a", "a", "b")] == ["a_2", "a_3", "b"]


@pytest.mark.parametrize(
    "text",
    ["plain", "a: b", "yes", "it's", "# no comment", "{{ x }}", "", "- dash", "tab\there", "ends:", "é 🚀 ⚠️", "1.10"],
)
def test_scalars_and_dumps_read_back(text: str) -> None:
    assert yaml.safe_load(f"key: {scalar(text)}") == {"key": " ".join(text.split())}
    for data in ([text], {"key": text}, {"key": f"{text}\n  {text}\n"}, {"key": f"{text} word" * 40}):
        assert yaml.safe_load(dumped(data, indent=4)) == data


def test_a_shared_list_is_written_once() -> None:
    listed = Shared([{"text": "once"}])
    text = dumped({"host": listed, "kubernetes": listed})
    assert text.count("once") == 1
    assert yaml.safe_load(text) == {"host": [{"text": "once"}], "kubernetes": [{"text": "once"}]}


def test_a_long_command_stays_one_line_and_yamllint_is_told() -> None:
    command = "kubectl" + " --flag value" * 20
    text = with_long_lines_allowed(f"---\n{dumped({'commands': command + chr(10) + 'ls' + chr(10)})}")
    assert "# yamllint disable rule:line-length" in text
    assert max(map(len, text.splitlines())) > LONGEST
    assert with_long_lines_allowed("---\na: b\n") == "---\na: b\n"


# --- new ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_new_runbook_can_be_read_and_names_its_blanks(project: Path, category: str) -> None:
    files = new_runbook(project, category, "high-load", "shed_load", TODAY)
    runbook = Catalog(project).get(f"{category}/high-load")
    steps = runbook.steps()
    assert [step.id for step in steps if step.phase is Phase.PROCEDURE][-2:] == ["shed_load", "verify"]
    assert all(step.notes for step in steps), "the shipped roles are found, too"
    assert runbook.metadata.updated == TODAY
    assert set(runbook.metadata.titles["fr"]) == {"shed_load"}
    assert all(runbook.translated_title(step, "fr") for step in steps), "the shipped roles name themselves"
    for name, text in files.items():
        assert (project / name).read_text(encoding="utf-8") == text
    listed = {(blank.file.as_posix(), blank.line) for blank in blanks(files)}
    assert (f"playbooks/{category}/high_load.meta.yml", 5) in listed
    assert ("roles/shed_load/tasks/main.yml", 2) in listed
    assert len(listed) > 25


def test_an_incident_has_what_an_incident_needs(project: Path) -> None:
    new_runbook(project, "incidents", "down", None, TODAY)
    metadata = Catalog(project).get("incidents/down").metadata
    assert metadata.symptoms and metadata.impact and metadata.severity and metadata.alerts
    assert not metadata.window.required, "an incident waits for no window"


def test_maintenance_is_closed_until_somebody_names_a_window(project: Path) -> None:
    new_runbook(project, "maintenance", "tidy", None, TODAY)
    window = Catalog(project).get("maintenance/tidy").metadata.window
    assert (window.required, window.spec) == (True, None)


def test_without_a_role_the_place_of_the_steps_is_a_blank(project: Path) -> None:
    files = new_runbook(project, "deployment", "canary", None, TODAY)
    assert any("the steps go here" in blank.text for blank in blanks(files))
    assert "preflight_deploys" not in files["playbooks/deployment/canary.yml"]


@pytest.mark.parametrize(
    ("category", "name", "role", "words"),
    [
        ("maintenance", "Bad Name", None, "is no name of a runbook"),
        ("maintenance", "../x", None, "is no name of a runbook"),
        ("maintenance", "good", "9lives", "is no name of a role"),
        ("maintenance", "good", "drain", "pyrunbook ships a role drain"),
        ("elsewhere", "good", None, "there is no category"),
    ],
)
def test_names_that_are_refused(project: Path, category: str, name: str, role: str | None, words: str) -> None:
    before = sorted(project.rglob("*"))
    with pytest.raises(BadInput, match=words):
        new_runbook(project, category, name, role, TODAY)
    assert sorted(project.rglob("*")) == before


def test_new_writes_over_nothing(project: Path) -> None:
    new_runbook(project, "incidents", "down", "restart", TODAY)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    for role in (None, "other"):
        with pytest.raises(BadInput, match=r"down\.meta\.yml"):
            new_runbook(project, "incidents", "down", role, TODAY)
    with pytest.raises(BadInput, match="the role restart is there already"):
        new_runbook(project, "incidents", "up", "restart", TODAY)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_a_new_role_fails_until_it_is_written(project: Path) -> None:
    new_runbook(project, "incidents", "down", "restart", TODAY)
    (task,) = yaml.safe_load((project / "roles/restart/tasks/main.yml").read_text())
    assert "not automated yet" in task["ansible.builtin.fail"]["msg"]


def test_a_new_runbook_says_each_language_in_its_own_file(project: Path) -> None:
    files = new_runbook(project, "incidents", "down", "restart", TODAY)
    english, french = files["playbooks/incidents/down.meta.yml"], files["playbooks/incidents/down.meta.fr.yml"]
    assert "what users notice" in english and "ce que les utilisateurs remarquent" in french
    assert "ce que" not in english + files["roles/restart/meta/step.yml"]
    (notes,) = (step.notes for step in Catalog(project).get("incidents/down").steps() if step.role == "restart")
    assert notes is not None and notes.by_hand.host[0].text.in_language("fr").endswith("à quoi servent les commandes")
    assert sum(name.startswith("roles/") for name in files) <= 7, "four files, and three of its proof"


# --- init --------------------------------------------------------------------------------------------------------


def test_a_project_has_runbooks_that_can_be_read(project: Path) -> None:
    catalog = Catalog(project)
    assert catalog.broken == {}
    assert (catalog.own, catalog.replacing) == ([FIRST], []), "what is shipped is not copied"
    first = catalog.get(FIRST)
    assert all(step.notes for step in first.steps())
    assert first.metadata.updated == TODAY
    assert set(first.metadata.titles["fr"]) == {step.id for step in first.steps()}
    assert "TODO" not in first.path.with_suffix(".meta.yml").read_text()
    settings = read_settings(project)
    assert settings.docs.languages == ("en", "fr")
    assert (project / settings.docs.inventory).is_dir()
    for category in CATEGORIES:
        assert (project / "playbooks" / category).is_dir()


def test_the_files_that_pages_and_errors_name_are_there(project: Path) -> None:
    """A Role to apply is a file of the project; what is pyrunbook's documentation is called so."""
    texts = [errors.ROLE_FILE, errors.CERTIFICATES_ROLE_FILE]
    texts += [file.read_text(encoding="utf-8") for file in CHECKOUT.glob("roles/*/meta/step*.yml")]
    named = {name for text in texts for name in re.findall(r"docs/kubernetes/[\w-]+\.yaml", text)}
    assert {errors.ROLE_FILE, "docs/kubernetes/role-by-hand.yaml"} <= named
    for name in named:
        assert (project / name).read_bytes() == (CHECKOUT / name).read_bytes()


def test_a_project_may_begin_in_a_fresh_git_repository_and_in_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a" / ".git").mkdir(parents=True)
    new_project(tmp_path / "a", TODAY)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("")
    with pytest.raises(BadInput, match=r"holds notes\.txt"):
        new_project(tmp_path / "b", TODAY)
    with pytest.raises(BadInput, match="is a file"):
        new_project(tmp_path / "b" / "notes.txt", TODAY)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["notes.txt"]


def _settings(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path, encoding="utf-8")
    return {section: dict(parser[section]) for section in parser.sections()}


def test_the_settings_of_a_project_are_those_of_the_package(project: Path) -> None:
    wanted = _settings(CHECKOUT / "ansible.cfg")
    wanted["defaults"]["roles_path"] = "roles"
    assert _settings(project / "ansible.cfg") == wanted
    assert str(CHECKOUT) not in (project / "ansible.cfg").read_text()


def test_a_project_has_our_molecule_configuration(project: Path) -> None:
    def files(top: Path) -> dict[str, bytes]:
        found = {path.relative_to(top): path for path in top.rglob("*") if path.suffix in (".yml", ".py")}
        return {str(name): path.read_bytes() for name, path in found.items()}

    assert files(project / ".config/molecule") == files(CHECKOUT / ".config/molecule")


def test_a_project_is_linted_as_we_are(project: Path) -> None:
    def rules(path: Path) -> Any:
        return yaml.safe_load(path.read_text())

    assert rules(project / ".yamllint")["rules"] == rules(CHECKOUT / ".config/yamllint.yml")["rules"]
    theirs, ours = rules(project / ".ansible-lint"), rules(CHECKOUT / ".config/ansible-lint.yml")
    for key in ("profile", "offline", "kinds", "skip_list"):
        assert theirs[key] == ours[key], key


def test_the_roles_of_a_project_go_before_the_shipped_ones_but_for_those_that_are_named_as_ours(project: Path) -> None:
    for runbook in (FIRST, "maintenance/production_update"):
        for role in ("validate", "pyrunbook.core.validate"):
            assert Catalog(project).get(runbook).role_path(role) == places.shipped() / "roles/validate"
    (project / "roles" / "validate").mkdir()
    for runbook in (FIRST, "maintenance/production_update"):
        assert Catalog(project).get(runbook).role_path("validate") == project / "roles/validate"
        assert Catalog(project).get(runbook).role_path("pyrunbook.core.validate") == places.shipped() / "roles/validate"
