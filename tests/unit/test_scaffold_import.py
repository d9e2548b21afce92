"""Markdown runbooks that become runbooks: what goes where, and that nothing is dropped silently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_project import SLOW, UPDATE, read_target, write

from pyrunbook.catalog import Catalog, Phase
from pyrunbook.catalog.templates import Values
from pyrunbook.docs.page import RunbookPage
from pyrunbook.docs.target import Target
from pyrunbook.errors import BadInput
from pyrunbook.markdown.page_reader import read_page
from pyrunbook.scaffold.files import blanks
from pyrunbook.scaffold.importing.phrases import (
    bare_title,
    category_in,
    language_of,
    length_in,
    severity_in,
    verbatim,
    window_in,
)
from pyrunbook.scaffold.importing.runbook_reader import ImportedPage
from pyrunbook.scaffold.importing.writing import import_page

SOURCE = Path(__file__).parents[1] / "source"
DOCUMENTS = ("operations-runbook.md", "runbook-authoring.md")


class Imported:
    """A page and what it became, in a project of its own."""

    def __init__(self, project: Path, file: Path, **options: Any) -> None:
        for name in ("playbooks", "roles"):
            (project / name).mkdir(parents=True)
        given = {"category": None, "name": None, "dry_run": False} | options
        self.found: ImportedPage
        self.found, self.files = import_page(file, project, given["category"], given["name"], dry_run=given["dry_run"])
        self.project = project
        self.catalog = Catalog(project)

    def texts(self) -> str:
        """All texts of the metadata and of the steps' notes, as a page shows them."""
        fill = Values().fill
        data = [
            yaml.safe_load(text) for name, text in self.files.items() if re.search(r"(\.meta|/step)(\.fr)?\.yml$", name)
        ]
        return "\n".join(fill(text) for each in data for text in _texts(each))

    def leftovers(self) -> str:
        return "\n".join(text for name, text in self.files.items() if name.endswith(".leftover.md"))

    def notes(self, role: str, name: str = "step.yml") -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.files[f"roles/{role}/meta/{name}"])
        return found


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield str(key)
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)
    elif isinstance(data, date):
        yield data.isoformat()


def imported(directory: Path, text: str, name: str = "page.md", **options: Any) -> Imported:
    file = directory / name
    file.write_text(text, encoding="utf-8")
    return Imported(directory / "project", file, **options)


# --- the two source documents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_the_source_documents_is_kept(tmp_path: Path, document: str) -> None:
    """Each line behind ```bash stands in a step's notes or the metadata; if not, in the listed leftovers."""
    done = Imported(tmp_path, SOURCE / document)
    kept, left = done.texts(), done.leftovers()
    inside, missing, placed, all_ = False, [], 0, 0
    for number, line in enumerate((SOURCE / document).read_text(encoding="utf-8").split("\n"), 1):
        if line.strip() in ("```bash", "```"):
            inside = line.strip() == "```bash"
        elif inside and line.strip():
            all_ += 1
            command = line.strip().removeprefix("# ")
            listed = any(each.first <= number <= each.last for each in done.found.leftovers)
            placed += command in kept and not listed
            if not (command in kept or (listed and command in left)):
                missing.append((number, line))
    assert missing == []
    assert all_ == {"operations-runbook.md": 75, "runbook-authoring.md": 36}[document]
    assert placed == {"operations-runbook.md": 63, "runbook-authoring.md": 36}[document], "the FAQ is left over"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_line_of_the_source_documents_has_its_place_or_is_left_over(tmp_path: Path, document: str) -> None:
    """Word by word; of what was placed only the names of labels and headings, and numbers before titles, are gone."""
    done = Imported(tmp_path, SOURCE / document)
    words = set(re.findall(r"[^\W_]+", done.texts()))
    left = {number for each in done.found.leftovers for number in range(each.first, each.last + 1)}
    for number, line in enumerate(done.found.page.lines, 1):
        if number in left or line.lstrip().startswith(("#", "```", "---")):
            continue
        value = re.sub(r"^\s*(?:[-\d.]+\s+)?\*\*[^*]+?\s*(?::\s*\*\*|\*\*\s*:)", "", line)
        missing = [word for word in re.findall(r"[^\W_]{2,}", value) if word not in words]
        assert missing == [] or done.found.page.lines[number - 1].startswith(("**Fenêtre", "**Durée")), (number, line)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_products_of_the_source_documents_can_be_read(tmp_path: Path, document: str) -> None:
    done = Imported(tmp_path, SOURCE / document)
    assert done.catalog.broken == {}
    for draft in done.found.drafts:
        runbook = done.catalog.get(draft.id)
        own = {step.role: step for step in runbook.steps() if step.role == step.folder}
        assert set(own) == {step.role for step in (*draft.steps, *draft.way_back)}
        for step in own.values():
            assert step.notes is not None
            assert step.notes.by_hand.of("host") == step.notes.by_hand.of("kubernetes") != ()
    for name, text in done.files.items():
        assert (done.project / name).read_text(encoding="utf-8") == text


def test_the_operations_runbook(tmp_path: Path) -> None:
    done = Imported(tmp_path, SOURCE / "operations-runbook.md")
    assert done.catalog.own == [
        "incidents/echec_securite_critique",
        "incidents/incident_performance_critique",
        "incidents/panne_control_data_plane",
        "maintenance/mise_a_jour_production",
        "maintenance/nettoyage_mensuel",
        "maintenance/rotation_certificats",
    ]
    update = done.catalog.get("maintenance/mise_a_jour_production")
    metadata = update.metadata
    assert metadata.title.in_language("fr") == "Mise à Jour Production"
    assert metadata.title == "TODO (English): Mise à Jour Production"
    assert (metadata.window.spec, metadata.window.required) == ("Sun 02:00-04:00 UTC", True)
    assert metadata.estimate == timedelta(minutes=30)
    assert [(p.id, p.check, p.text.in_language("fr")) for p in metadata.prerequisites] == [
        ("backup_complet_valide", "attested", "Backup complet validé"),
        ("plan_rollback_prepare", "attested", "Plan rollback préparé"),
        ("equipe_on_call_disponible", "attested", "Équipe on-call disponible"),
        ("tests_staging_valides", "attested", "Tests staging validés"),
    ]
    titles = [step.title for step in update.steps() if step.phase is Phase.PROCEDURE]
    assert titles == [
        "Record the rollback plan", "Préparation", "Arrêt contrôlé", "Déploiement", "Validation", "Cleanup",
        "Verify the service",
    ]  # fmt: skip
    assert [step.title for step in update.steps() if step.phase is Phase.ROLLBACK] == [
        "Put back what was there",
        "Rollback si échec",
    ]
    performance = done.catalog.get("incidents/incident_performance_critique").metadata
    assert [text.in_language("fr") for text in performance.symptoms] == ["Response time > 500ms, SLA violations"]
    assert performance.impact and performance.impact.in_language("fr") == "Service dégradé utilisateurs"
    (escalation,) = performance.escalation
    assert (escalation.to, escalation.after) == ("TODO", timedelta(minutes=10))
    assert performance.titles["fr"]["diagnostic_rapide"] == "Diagnostic rapide"


def test_the_example_of_the_authoring_guide(tmp_path: Path) -> None:
    done = Imported(tmp_path, SOURCE / "runbook-authoring.md")
    runbook = done.catalog.get("deployment/deploiement_en_production")
    metadata = runbook.metadata
    assert (metadata.owner, metadata.updated) == ("@devops-team", date(2024, 1, 15))
    assert metadata.estimate == timedelta(minutes=30), "the longer one; the line is left over as well"
    assert any("15-30 minutes" in each.text for each in done.found.leftovers)
    assert [trouble.error for trouble in metadata.troubleshooting] == ["ImagePullBackOff", "CrashLoopBackOff"]
    pull = metadata.troubleshooting[0]
    assert pull.cause.in_language("fr") == "Image Docker non trouvée"
    assert "docker pull myapp:v1.2.3" in pull.commands
    checks = done.notes("deploiement_en_production_verifications_pre_deploiement")
    french = done.notes("deploiement_en_production_verifications_pre_deploiement", "step.fr.yml")
    assert french["expected"] == "Tous les workflows sont ✅"
    both = zip(french["by_hand"]["host"], checks["by_hand"]["host"], strict=True)
    assert [(said["text"], deed["commands"]) for said, deed in both] == [
        ("Vérifier que main est stable", "gh run list --branch main --limit 5\n"),
        ("Vérifier les PRs mergées depuis le dernier deploy", "gh pr list --state merged --base main --limit 10\n"),
    ]
    template = done.catalog.get("titre_de_la_procedure").metadata
    assert template.updated == date(1970, 1, 1), "nobody knows: too old for whoever asks"


# --- other pages -------------------------------------------------------------------------------------------------

ALERT = """\
---
title: Disk Filling
---

# NodeDiskFilling

## Meaning

The disk of a node fills up, see [the graph][g].
It is full in 4 hours.

## Impact

**Severity:** Warning

Writes fail.

## Diagnosis

Look at the node:

```console
$ kubectl get --raw /metrics \\
    | grep disk
disk_used 97
```

Query: 

```promql
rate(disk{node="{{ $labels.node }}"}[5m]) > 0
```

## Mitigation

1. Remove old images. This is safe at any time, and is done without asking anybody at all.

   ```bash
   crictl rmi --prune
   ```

2. Or grow the disk.

## Notes

Nobody knows more.

[g]: https://grafana.example.org/d/1
"""  # noqa: W291


def test_an_alert_in_the_form_of_the_large_collections(tmp_path: Path) -> None:
    done = imported(tmp_path, ALERT)
    runbook = done.catalog.get("incidents/node_disk_filling")
    metadata = runbook.metadata
    assert metadata.alerts == ("NodeDiskFilling",)
    assert metadata.severity == "medium"
    assert metadata.summary == (
        "The disk of a node fills up, see [the graph](https://grafana.example.org/d/1).\nIt is full in 4 hours."
    )
    assert metadata.impact is not None
    assert "Writes fail." in metadata.impact
    titles = [step.title for step in runbook.steps() if step.role == step.folder]
    assert titles == ["Diagnosis", "Remove old images", "Or grow the disk"]
    diagnosis = done.notes("node_disk_filling_diagnosis")
    assert diagnosis["purpose"] == "Look at the node:"
    look, query = diagnosis["by_hand"]["host"]
    assert look["commands"] == "kubectl get --raw /metrics \\\n    | grep disk\n# disk_used 97\n"
    assert query["text"] == "Query:"
    assert Values().fill(query["commands"]) == '# rate(disk{node="{{ $labels.node }}"}[5m]) > 0\n'
    assert diagnosis["verifies"] is True
    removal = done.notes("node_disk_filling_remove_old_images")
    assert removal["purpose"].endswith("without asking anybody at all.")
    assert [(each.first, each.heading, each.text.split("\n")[0]) for each in done.found.leftovers] == [
        (2, "", "title: Disk Filling"),
        (44, "Notes", "## Notes"),
    ]


def test_what_has_no_place_is_kept_in_a_file_beside_the_runbook(tmp_path: Path) -> None:
    done = imported(tmp_path, ALERT)
    name = "playbooks/incidents/node_disk_filling.leftover.md"
    text = (done.project / name).read_text()
    assert "Nobody knows more." in text
    assert "title: Disk Filling" in text
    lines = [number for each in done.found.leftovers for number in (each.first, each.last)]
    assert f"{lines[-2]}-{lines[-1]}, Notes" in text
    fences = [line for line in text.splitlines() if line.startswith("```")]
    assert len(fences) == 2 * len(done.found.leftovers)


def test_a_page_without_usual_sections_is_one_runbook(tmp_path: Path) -> None:
    done = imported(tmp_path, "# Restart the queue\n\nDo this:\n\n```sh\nsystemctl restart queue\n```\n", "x.md")
    (draft,) = done.found.drafts
    assert draft.title == "Restart the queue"
    assert "systemctl restart queue" in done.texts()
    assert done.found.leftovers == ()
    (remark,) = done.found.remarks
    assert "nothing says which category" in remark.text


def test_a_comment_stays_where_words_before_it_say_what_the_commands_are_for(tmp_path: Path) -> None:
    done = imported(tmp_path, "# X\n\nBecause.\n\nLook:\n\n```sh\n# slow\nls\n\n# fast\npwd\n```\n")
    notes = done.notes("x_x")
    assert notes["purpose"] == "Because."
    assert [(deed["text"], deed["commands"]) for deed in notes["by_hand"]["host"]] == [
        ("Look:", "# slow\nls\n"),
        ("fast", "pwd\n"),
    ]


def test_a_section_of_a_runbook_is_no_runbook_of_its_own(tmp_path: Path) -> None:
    done = imported(tmp_path, "# X\n## Meaning\nm\n## Diagnosis\n### Network\n**Symptoms:** slow\n```sh\nping\n```\n")
    (draft,) = done.found.drafts
    assert (draft.title, [step.title for step in draft.steps]) == ("X", ["Network"])


def test_the_fences_around_an_embedded_runbook_are_not_left_over(tmp_path: Path) -> None:
    done = Imported(tmp_path, SOURCE / "runbook-authoring.md")
    lines = done.found.page.lines
    around = [number for number in (29, 76, 80, 202) if lines[number - 1].startswith("```")]
    assert around == [29, 76, 80, 202]
    assert not any(each.first <= number <= each.last for each in done.found.leftovers for number in around)


def test_a_page_without_a_title_is_named_as_its_file(tmp_path: Path) -> None:
    done = imported(tmp_path, "```sh\nls\n```\n", "look-around.md", category="deployment")
    assert done.catalog.own == ["deployment/look_around"]


def test_what_holds_no_procedure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no procedure"):
        imported(tmp_path, "# Notes\n\nOnly words.\n")
    with pytest.raises(BadInput, match=r"nowhere\.md"):
        Imported(tmp_path / "other", tmp_path / "nowhere.md")
    (tmp_path / "latin.md").write_bytes(b"# \xe9\n")
    with pytest.raises(BadInput, match="UTF-8"):
        Imported(tmp_path / "third", tmp_path / "latin.md")


def test_a_name_is_for_one_procedure(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text(ALERT)
    done = Imported(tmp_path / "one", file, name="disk-full", category="maintenance")
    assert done.catalog.own == ["maintenance/disk_full"]
    with pytest.raises(BadInput, match="6 procedures"):
        Imported(tmp_path / "six", SOURCE / "operations-runbook.md", name="disk-full")


def test_the_name_of_a_page_cannot_end_the_comment_that_it_stands_in(tmp_path: Path) -> None:
    done = imported(tmp_path, ALERT, "a\n- hosts: all\n#.md")
    assert "# Imported from a?- hosts: all?#.md:5." in done.files["playbooks/incidents/node_disk_filling.yml"]
    assert done.catalog.broken == {}


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = imported(tmp_path, ALERT, dry_run=True)
    assert done.files
    assert [path for path in done.project.rglob("*") if path.is_file()] == []


def test_a_second_import_writes_over_nothing(tmp_path: Path) -> None:
    done = imported(tmp_path, ALERT)
    before = {path: path.read_bytes() for path in done.project.rglob("*") if path.is_file()}
    with pytest.raises(BadInput, match=r"node_disk_filling\.yml"):
        import_page(tmp_path / "page.md", done.project, None, None, dry_run=False)
    assert {path: path.read_bytes() for path in done.project.rglob("*") if path.is_file()} == before


def test_a_command_with_a_secret_is_told_of(tmp_path: Path) -> None:
    done = imported(tmp_path, "# Log in\n\n```sh\nls\ncurl -H 'Authorization: Bearer abcdef0123456789' http://x\n```\n")
    assert [remark.line for remark in done.found.remarks if "secret" in remark.text] == [5]


def test_nothing_imported_pretends_to_work(tmp_path: Path) -> None:
    """The playbook refuses before its first step, each role refuses by itself, and half a rollback is none."""
    done = Imported(tmp_path, SOURCE / "operations-runbook.md")
    (play,) = yaml.safe_load(done.files["playbooks/maintenance/mise_a_jour_production.yml"])
    first = play["pre_tasks"][0]
    assert "is not automated yet" in first["ansible.builtin.fail"]["msg"]
    assert first["tags"] == ["always"]
    (block,) = play["tasks"]
    rescue = [next(iter(task.values())) for task in block["rescue"]]
    assert rescue == ["Put back what was there", "Rollback si échec", "Note that all of it is put back"]
    assert "rollback_failed" in block["always"][0]["vars"]["conclude_outcome"]
    for role in (step.role for draft in done.found.drafts for step in (*draft.steps, *draft.way_back)):
        (task,) = yaml.safe_load(done.files[f"roles/{role}/tasks/main.yml"])
        assert "not automated yet" in task["ansible.builtin.fail"]["msg"]


CONDITIONS = """\
# Restart

## Procedure

### Step 1: Flush the cache if needed

```bash
redis-cli flushdb
```

### Step 2: Check if the pod runs

```bash
kubectl get pods
```

### Step 3: Procédure manuelle si échec

```bash
systemctl restart shop
```

### Step 4: Restart

```bash
systemctl start shop
```

## Rollback

### If it fails

```bash
systemctl stop shop
```

### Drop the cache (optional)

```bash
redis-cli flushall
```
"""


def test_a_step_that_is_done_only_at_times_is_not_done_always(tmp_path: Path) -> None:
    done = imported(tmp_path, CONDITIONS)
    (name,) = (draft.id for draft in done.found.drafts)
    steps = {step.title: step for step in done.catalog.get(name).steps()}
    only = {title for title, step in steps.items() if "false" in map(str.lower, step.conditions)}
    assert only == {"Flush the cache if needed", "Procédure manuelle si échec", "Drop the cache (optional)"}
    assert {"Check if the pod runs", "Restart", "If it fails"} <= set(steps)
    said = {remark.line: remark.text for remark in done.found.remarks}
    for title, condition in (
        ("Flush the cache if needed", "if needed"),
        ("Procédure manuelle si échec", "si échec"),
        ("Drop the cache (optional)", "optional"),
    ):
        line = next(number for number, text in enumerate(CONDITIONS.splitlines(), 1) if title in text)
        assert said[line] == f'{title}: done only "{condition}"; left out until the playbook says when'
        playbook = done.files[f"playbooks/{name}.yml"]
        assert (
            f'# TODO: done only "{condition}": say when; until then the step is left out.\n          when: false'
            in playbook
        )
    assert any("done only" in blank.text for blank in blanks(done.files))


@pytest.mark.parametrize(
    "title", ["Rollback si problème détecté", "Rollback if an issue is detected", "Rollback en cas d'anomalie"]
)
def test_what_puts_back_is_not_left_out_when_something_went_wrong(tmp_path: Path, title: str) -> None:
    """The condition under which a rescue is run is that very one."""
    done = imported(tmp_path, CONDITIONS.replace("### Drop the cache (optional)", f"### {title}"))
    (name,) = (draft.id for draft in done.found.drafts)
    step = next(step for step in done.catalog.get(name).steps() if step.title.startswith("Rollback"))
    assert step.phase == "rollback"
    assert step.conditions == ()


def test_a_command_in_an_item_of_a_list_is_a_command(tmp_path: Path) -> None:
    done = imported(
        tmp_path,
        CONDITIONS.replace("## Rollback", "### Step 5: Look\n\n- Check pods: `kubectl get pods`\n\n## Rollback"),
    )
    notes = next(text for name, text in done.files.items() if name.endswith("look/meta/step.yml"))
    assert "commands: kubectl get pods" in notes


def test_conditions_of_the_operations_runbook_are_kept(tmp_path: Path) -> None:
    done = Imported(tmp_path, SOURCE / "operations-runbook.md")
    only = {draft.id: [s.title for s in (*draft.steps, *draft.way_back) if s.condition] for draft in done.found.drafts}
    assert {name: titles for name, titles in only.items() if titles} == {
        "incidents/incident_performance_critique": ["Cache flush si nécessaire"],
        "maintenance/rotation_certificats": ["Procédure manuelle si échec"],
    }


def test_two_steps_of_one_title_are_two_roles(tmp_path: Path) -> None:
    done = imported(
        tmp_path,
        "# X\n## Procedure\n### 1. Stop\n```sh\na\n```\n### 2. Stop\n```sh\nb\n```\n### Backup\n```sh\nc\n```\n",
    )
    (draft,) = done.found.drafts
    assert [(step.role, step.tag) for step in draft.steps] == [
        ("x_stop", "stop"),
        ("x_stop_2", "stop_2"),
        ("x_backup", "backup_2"),
    ]
    done.catalog.get("x").steps()


# --- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("### 1. **Préparation**", "### 1. Préparation"),
        ("1. Préparation", "Préparation"),
        ("Étape 2: [Titre]", "Titre"),
        ("Step 3 - stop `app`", "Stop app"),
        ("Runbook: Déploiement en Production 🚀", "Déploiement en Production"),
        ("2.1 Check {{ x }}", "Check x"),
        ("5xx answers", "5xx answers"),
        ("use snake_case here", "Use snake_case here"),
        ("**Résultat :**", "Résultat"),
    ],
)
def test_titles(written: str, title: str) -> None:
    assert " ".join(bare_title(written).split()) == title


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30 minutes", ("30m", True)),
        ("1 heure", ("1h", True)),
        ("90s", ("90s", True)),
        ("15-30 minutes", ("30m", False)),
        ("about 2 hours", ("2h", False)),
        ("X minutes", None),
        ("soon", None),
    ],
)
def test_lengths(text: str, length: tuple[str, bool] | None) -> None:
    assert length_in(text) == length


def test_windows_severities_categories_and_languages() -> None:
    assert window_in("Dimanche 02:00-04:00 UTC") == "Sun 02:00-04:00 UTC"
    assert window_in("premier dimanche 02:00\u201304:00 Europe/Paris") == "first Sun 02:00-04:00 Europe/Paris"
    assert window_in("some night") is None
    assert [severity_in(text) for text in ("Critique", "P2", "warning", "Faible", "unclear")] == [
        "critical", "high", "medium", "low", None,
    ]  # fmt: skip
    assert category_in(["Rotation", "Procédures d'Urgence"]) == "maintenance"
    assert category_in(["Panne", "x"]) == "incidents"
    assert category_in(["Rollback of a release"]) == "deployment"
    assert category_in(["x"]) is None
    assert language_of("Le service ne répond pas") == "fr"
    assert language_of("The service does not answer") == "en"


@given(
    st.text(alphabet="{}%# ae'\"\n", max_size=40)
    | st.sampled_from(["{% raw %}{% endraw %}", "a {{ b }} {#", "${#x[@]}"])
)
@settings(max_examples=300, deadline=None)
def test_braces_stay_braces(text: str) -> None:
    values = Values()
    assert values.fill(verbatim(text)) == text
    assert values.unknown == set()


PIECES = (
    "# T", "## Procedure", "## Rollback", "### 1. A", "## Notes", "## Troubleshooting", "### Error: x", "## Impact",
    "**Cause**: c", "**Expected result**: e", "**Duration:** 5 min", "- [ ] check", "1. one", "2. two", "   ```sh",
    "   ls", "   ```", "```", "```yaml", "a: {{ b }}", "> quoted", "| a | b |", "|---|---|", "    code", "<!-- c -->",
    "text", "", "", "- item",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), min_size=3, max_size=30))
def test_no_command_of_any_page_is_lost(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    file = tmp_path_factory.mktemp("any") / "page.md"
    file.write_text("\n".join(pieces))
    try:
        done = Imported(file.parent / "project", file)
    except BadInput:
        return
    assert done.catalog.broken == {}
    for draft in done.found.drafts:
        done.catalog.get(draft.id).steps()
    texts = done.texts()
    for code in read_page("\n".join(pieces), file).codes():
        for number, line in code.commands():
            listed = any(each.first <= number <= each.last for each in done.found.leftovers)
            assert listed or " ".join(line.split()).lstrip("# ") in " ".join(texts.split()), (number, line)


@settings(max_examples=100, deadline=None)
@given(
    words=st.text(min_size=1, max_size=60)
    | st.sampled_from(["a: b # c", "- x", "{{ y }}", "'", "long " * 50, "*a", "!t"])
)
def test_whatever_a_page_says_can_be_read_back(tmp_path_factory: pytest.TempPathFactory, words: str) -> None:
    file = tmp_path_factory.mktemp("any") / "page.md"
    step = "   ```sh\n   {}\n   ```\n"
    said = f"# {words}\n## Meaning\n{words}\n## Steps\n1. {words}\n{step.format(words)}2. b\n{step.format('ls')}"
    file.write_text(said, encoding="utf-8", errors="replace")
    done = Imported(file.parent / "project", file)
    assert done.catalog.broken == {}
    for draft in done.found.drafts:
        done.catalog.get(draft.id).steps()


def test_blanks_of_an_import_are_in_its_files(tmp_path: Path) -> None:
    done = imported(tmp_path, ALERT)
    found = {(blank.file.name, blank.text) for blank in blanks(done.files)}
    assert ("node_disk_filling.meta.yml", 'owner: "@TODO"') in found
    assert ("step.yml", "TODO: estimate: 1m, how long it takes") in found


# --- a page of numbered sentences ---------------------------------------------------------------------------------

WORKERS = """\
---
title: Restart the queue workers
owner: Team Queue
last_reviewed: 2026-03-01
weight: 20
---

Workers hang when the broker was away.

1. Look at the queue: `workerctl queue --stats`
2. Stop the workers with `systemctl stop worker`
3. Clear the lock: `rm /srv/worker/lock`. It must be gone.
4. Tell the channel.

To undo: `workerctl restore --last`

## Check

The queue goes down: `workerctl queue --stats`

## Undo

1. Stop the workers: `systemctl stop worker`
2. Put the lock back: `workerctl lock`
"""


def test_numbered_sentences_with_commands_are_steps(tmp_path: Path) -> None:
    (draft,) = imported(tmp_path, WORKERS).found.drafts
    assert [(step.title, [deed.commands for deed in step.by_hand]) for step in draft.steps] == [
        ("Look at the queue", ["workerctl queue --stats"]),
        ("Stop the workers", ["systemctl stop worker"]),
        ("Clear the lock", ["rm /srv/worker/lock"]),
        ("Tell the channel", [""]),
        ("Check", ["workerctl queue --stats"]),
    ]
    assert draft.steps[2].by_hand[0].text == "Clear the lock: `rm /srv/worker/lock`. It must be gone."
    assert [step.verifies for step in draft.steps] == [False, False, False, False, True]
    assert draft.metadata["summary"] == "Workers hang when the broker was away."


def test_an_undo_is_no_step_of_the_procedure(tmp_path: Path) -> None:
    (draft,) = imported(tmp_path, WORKERS).found.drafts
    assert [(step.title, step.by_hand[0].commands) for step in draft.way_back] == [
        ("To undo", "workerctl restore --last"),
        ("Stop the workers", "systemctl stop worker"),
        ("Put the lock back", "workerctl lock"),
    ]


@pytest.mark.parametrize(
    "undo",
    [
        "To undo: `shopctl thaw`", "**Undo:** `shopctl thaw`", "**Rollback**\n\n```sh\nshopctl thaw\n```",
        "To roll back:\n\n```sh\nshopctl thaw\n```", "If it fails, revert: `shopctl thaw`",
        "- Pour annuler : `shopctl thaw`", "**Retour arrière :**\n\n```sh\nshopctl thaw\n```",
    ],
)  # fmt: skip
def test_what_undoes_a_step_stays_with_it(tmp_path: Path, undo: str) -> None:
    page = f"# X\n\n## Procedure\n\n### Freeze\n\n```sh\nshopctl freeze\n```\n\n{undo}\n\n### Look\n\n```sh\nls\n```\n"
    (draft,) = imported(tmp_path, page).found.drafts
    freeze, look = draft.steps
    assert [deed.commands.strip() for deed in freeze.by_hand] == ["shopctl freeze"]
    assert [deed.commands.strip() for deed in freeze.undo] == ["shopctl thaw"]
    assert [deed.commands.strip() for deed in look.by_hand] == ["ls"]


def test_front_matter_names_the_page_and_its_owner(tmp_path: Path) -> None:
    done = imported(tmp_path, WORKERS)
    (draft,) = done.found.drafts
    assert (draft.title, draft.name) == ("Restart the queue workers", "restart_the_queue_workers")
    assert (draft.owner, draft.updated) == ("Team Queue", date(2026, 3, 1))
    assert [each.text for each in done.found.leftovers] == ["weight: 20"]


def test_code_among_words_that_names_a_thing_is_no_command(tmp_path: Path) -> None:
    page = "# X\n\n## Steps\n\n1. Wait for `queue_depth` to be `0`.\n2. See `worker.log`.\n\n```sh\nls\n```\n"
    (draft,) = imported(tmp_path, page).found.drafts
    assert [deed.commands.strip() for step in draft.steps for deed in step.by_hand if deed.commands] == ["ls"]


def test_an_import_is_not_ten_times_its_page(tmp_path: Path) -> None:
    files = imported(tmp_path, WORKERS).files
    assert {name.rsplit("/", 1)[1] for name in files if name.startswith("roles/")} == {
        "main.yml", "step.yml", "step.fr.yml",
    }  # fmt: skip
    steps = sum(name.endswith("step.yml") for name in files)
    written = sum(len(text.splitlines()) for text in files.values())
    assert written <= 130 + 24 * steps


def test_the_page_of_an_import_says_that_nothing_is_automated(tmp_path: Path) -> None:
    done = imported(tmp_path, WORKERS)
    runbook = done.catalog.get("restart_the_queue_workers")
    assert not runbook.automated
    page = RunbookPage(runbook, Target(done.project), "en").as_markdown()
    assert "**Nothing of this is automated yet.** A run refuses" in page
    assert "pyrunbook run" not in page and "ansible-playbook playbooks" not in page
    file = done.project / "playbooks/maintenance/restart_the_queue_workers.yml"
    file.write_text(re.sub(r"(?s)    # Imported from.*?tags: \[always\]\n", "", file.read_text(), count=1))
    automated = Catalog(done.project).get("restart_the_queue_workers")
    assert automated.automated
    assert "pyrunbook run" in RunbookPage(automated, Target(done.project), "en").as_markdown()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_page_that_was_made_can_be_imported(tmp_path: Path, language: str) -> None:
    """What its first screen says has its place, and so has every command that stands folded."""
    shop = write(tmp_path / "shop")
    target = read_target(shop, shop / "inventories/production")
    for name, fields in (
        (UPDATE, ("verification", "rollback", "prerequisites")),
        (SLOW, ("impact", "symptoms", "severity")),
    ):
        text = RunbookPage(Catalog(shop).get(name), target, language).as_markdown()
        folder = tmp_path / name.replace("/", "_")
        folder.mkdir()
        done = imported(folder, text)
        (draft,) = done.found.drafts
        for field in (*fields, "when_to_ignore"):
            assert draft.metadata.get(field), field
        kept = done.texts()
        blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        assert len(blocks) >= 3
        for line in "".join(blocks).splitlines():
            assert line.strip() in kept or line.strip() in done.leftovers(), line
