"""Words of another language: they stand beside the English ones, with the same keys, and nothing there is ignored."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from pyrunbook import catalog
from pyrunbook.catalog import InvalidFile
from pyrunbook.catalog.metadata import read_metadata
from pyrunbook.catalog.step_notes import read_step_notes

ROOT = Path(__file__).parents[2]
METADATA = """
    argument_specs:
      Sample:
        short_description: A sample
        options: {release: {type: str, description: What to deploy}}
        runbook:
          schema: 1
          title: Sample
          owner: "@team"
          updated: 2026-11-21
          symptoms: [It is slow, It is down]
          prerequisites:
            - {id: staging, text: Staging is fine, check: attested}
            - {id: lock, text: The lock is free, check: automatic, how: A task looks}
          escalation: [{to: L2, when: It fails}]
"""
FRENCH = """
    title: Exemple
    symptoms: [C'est lent, C'est arrêté]
    prerequisites:
      - {id: lock, text: Le verrou est libre, how: Une tâche regarde}
    escalation: [{when: Échec}]
    titles: {drain: Vidanger}
    inputs: {release: La version}
"""
NOTES = """
    schema: 1
    purpose: Stop
    expected: Nothing is left.
    undo_text: Start it.
    by_hand:
      host:
        - {text: Look, commands: uptime}
        - {text: Stop it, commands: systemctl stop x, expected: nothing}
    troubleshooting:
      - {error: in flight, cause: Slow clients, solution: Wait}
      - {error: pods left, cause: A finalizer, solution: Look}
"""


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    return put(tmp_path / "x.meta.yml", METADATA)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return put(tmp_path / "step.yml", NOTES)


def put(file: Path, text: str) -> Path:
    file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return file


def french(file: Path, text: str) -> Path:
    return put(file.with_suffix(".fr.yml"), text)


def test_texts_get_their_words_by_key_by_id_and_by_position(metadata: Path) -> None:
    french(metadata, FRENCH)
    runbook = read_metadata(metadata)[1].runbook
    assert (runbook.title, runbook.title.in_language("fr")) == ("Sample", "Exemple")
    assert [text.in_language("fr") for text in runbook.symptoms] == ["C'est lent", "C'est arrêté"]
    staging, lock = runbook.prerequisites
    assert lock.text.in_language("fr") == "Le verrou est libre" and lock.how is not None
    assert lock.how.languages == {"en": "A task looks", "fr": "Une tâche regarde"}
    assert staging.text.languages == {"en": "Staging is fine"}, "left out, and English where it is asked for"
    assert runbook.escalation[0].when.in_language("fr") == "Échec"
    assert runbook.titles == {"fr": {"drain": "Vidanger"}} and runbook.inputs == {"fr": {"release": "La version"}}


def test_a_role_is_translated_entry_by_entry(notes: Path) -> None:
    french(notes, """
        by_hand: {host: [{}, {text: L'arrêter, expected: rien}]}
        troubleshooting: [{error: pods left, cause: Un finalizer}]
        inputs: {drain_color: La couleur}
    """)  # fmt: skip
    read = read_step_notes(notes)
    assert [item.text.in_language("fr") for item in read.by_hand.host] == ["Look", "L'arrêter"]
    assert [trouble.cause.in_language("fr") for trouble in read.troubleshooting] == ["Slow clients", "Un finalizer"]
    assert read.inputs == {"fr": {"drain_color": "La couleur"}}


def test_without_a_translation_everything_is_english(metadata: Path) -> None:
    runbook = read_metadata(metadata)[1].runbook
    assert runbook.title.in_language("fr") == "Sample" and runbook.titles == {}


def test_a_translation_that_changes_is_read_again(notes: Path) -> None:
    assert read_step_notes(notes).purpose.languages == {"en": "Stop"}
    french(notes, "purpose: Arrêter\n")
    assert read_step_notes(notes).purpose.in_language("fr") == "Arrêter"
    french(notes, "purpose: Arrêter tout\n")
    assert read_step_notes(notes).purpose.in_language("fr") == "Arrêter tout"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("title:", "titel:"), "1:1: titel: x.meta.yml has no such key"),
        (("title: Exemple", "title: {fr: Exemple}"), "1:8: title: expected words"),
        (("title: Exemple", "title: ''"), "1:8: title: expected words"),
        (("title: Exemple", "owner: L'équipe"), "1:8: owner: x.meta.yml has nothing to translate here"),
        (("title: Exemple", "rollback: Plus"), "1:11: rollback: x.meta.yml has nothing to translate here"),
        (("title: Exemple", "alerts: [Alerte]"), "1:9: alerts: x.meta.yml has nothing to translate here"),
        (("[C'est lent, C'est arrêté]", "[C'est lent]"), "2:11: symptoms: x.meta.yml has 2 entries here, not 1"),
        (("[C'est lent, C'est arrêté]", "C'est lent"), "2:11: symptoms: expected a list"),
        (("id: lock", "id: clock"), "4:5: prerequisites[0]: has the id 'clock'; it has to be one of x.meta.yml"),
        (("id: lock, ", ""), "4:5: prerequisites[0]: has no id; it has to be one of x.meta.yml"),
        (("text: Le verrou est libre", "check: attested"), "4:23: prerequisites[0].check: x.meta.yml has nothing"),
        (("{when: Échec}", "Échec"), "5:14: escalation[0]: expected a mapping"),
        (("{drain: Vidanger}", "Vidanger"), "6:9: titles: expected a mapping of name to words"),
        (("Vidanger", "[Vidanger]"), "6:17: titles.drain: expected words"),
        (("title: Exemple", "title: Exemple\ntitle: Autre"), "2:1: the key title is here twice, first in line 1"),
        (("title: Exemple", "title: [Exemple"), "not YAML"),
    ],
)
def test_what_matches_nothing_is_refused_at_its_place(metadata: Path, change: tuple[str, str], said: str) -> None:
    text = textwrap.dedent(FRENCH).lstrip("\n")
    assert change[0] in text
    file = french(metadata, text.replace(*change, 1))
    with pytest.raises(InvalidFile) as caught:
        read_metadata(metadata)
    assert f"{file}:" in str(caught.value) and said in str(caught.value)


def test_mistakes_of_both_files_are_told_together(notes: Path) -> None:
    french(notes, "purposes: Arrêter\nby_hand: {host: [{}]}\n")
    with pytest.raises(InvalidFile) as caught:
        read_step_notes(notes)
    assert [problem.where for problem in caught.value.problems] == ["purposes", "by_hand.host"]


def test_a_translation_is_no_runbook(tmp_path: Path) -> None:
    folder = tmp_path / "playbooks" / "maintenance"
    folder.mkdir(parents=True)
    put(folder / "x.yml", "- {name: Sample, hosts: services, tasks: []}\n")
    french(put(folder / "x.meta.yml", METADATA), "title: Exemple\n")
    assert catalog.load(tmp_path).own == ["maintenance/x"]


@pytest.mark.parametrize("file", [*ROOT.glob("playbooks/*/*.meta.yml"), *ROOT.glob("roles/*/meta/step.yml")], ids=str)
def test_what_is_shipped_has_its_french_words_beside(file: Path) -> None:
    assert file.with_suffix(".fr.yml").is_file()
    assert not re.search(r"^\s*(- )?(en|fr):|\{(en|fr):", file.read_text(encoding="utf-8"), re.MULTILINE)
