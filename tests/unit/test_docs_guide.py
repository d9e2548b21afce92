"""The guide of pages: its examples are valid, and it names every field that there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from pyrunbook.catalog import page_values
from pyrunbook.catalog.contacts import CHANNELS, CONTACTS, contacts_of
from pyrunbook.catalog.metadata import (
    DeclaredWindow,
    Escalation,
    Link,
    Metadata,
    Prerequisite,
    Trouble,
    read_metadata,
)
from pyrunbook.catalog.settings import DocsSettings, read_settings
from pyrunbook.catalog.step_notes import ByHand, Platforms, StepNotes, read_step_notes
from pyrunbook.project.inventory import Origin, Service

GUIDE = (Path(__file__).parents[2] / "docs/guides/pages.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def example(start: str, directory: Path, name: str) -> Path:
    (text,) = [block for block in BLOCKS if start in block]
    (directory / name).write_text(text, encoding="utf-8")
    return directory / name


def names(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def keys(value: object) -> set[str]:
    """All keys of a document."""
    if isinstance(value, dict):
        return {str(key) for key in value} | {key for item in value.values() for key in keys(item)}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


def test_the_metadata_is_valid_and_has_every_field(tmp_path: Path) -> None:
    file = example("$schema=runbook.schema", tmp_path, "update.meta.yml")
    example("$schema=runbook-translation", tmp_path, "update.meta.fr.yml")
    spec, read = read_metadata(file)
    assert read.runbook.links[0].title.in_language("fr") == "Tableau de bord" and set(read.runbook.titles) == set(
        read.runbook.inputs
    ) == {"fr"}
    assert spec == "Update the shop" and read.runbook.window.required
    there = keys(yaml.safe_load(file.read_text()))
    for kind in (Metadata, DeclaredWindow, Prerequisite, Escalation, Trouble, Link):
        assert names(kind) - there <= {"severity", "symptoms", "titles", "inputs"}, kind
    assert "`severity`" in GUIDE and "`symptoms`" in GUIDE


def test_the_notes_are_valid_and_have_every_field(tmp_path: Path) -> None:
    file = example("$schema=step.schema", tmp_path, "step.yml")
    example("$schema=step-translation", tmp_path, "step.fr.yml")
    notes = read_step_notes(file)
    assert notes.check_mode == "partial" and notes.by_hand.host[0].text.in_language("fr") == "Démarrer l'unité."
    there = keys(yaml.safe_load(file.read_text()))
    for kind in (StepNotes, Platforms, ByHand):
        assert names(kind) - there <= {"inputs"}, kind


def test_the_settings_are_valid_and_have_every_field(tmp_path: Path) -> None:
    file = example("docs:\n", tmp_path, ".pyrunbook.yml")
    assert read_settings(tmp_path).docs == DocsSettings(inventory="inventories/production", languages=("en", "fr"))
    assert names(DocsSettings) == set(yaml.safe_load(file.read_text())["docs"])


def test_the_contacts_are_valid(tmp_path: Path) -> None:
    variables = yaml.safe_load(example("runbook_contacts:", tmp_path, "x.yml").read_text())
    origins = dict.fromkeys((CONTACTS, CHANNELS), Origin(tmp_path, 1, 1))
    assert set(contacts_of(Service("shop", variables, origins))) == {"L1", "slack", "pagerduty"}


def test_the_words_for_templates_are_those_that_there_are() -> None:
    table = re.compile(r"^\| (`.+`) \| (.+) \|$", re.MULTILINE)
    said = {word for row, _ in table.findall(page_values.__doc__ or "") for word in re.findall(r"`([^`]+)`", row)}
    assert len(said) > 10
    for word in said:
        assert f"`{word}`" in GUIDE, word


@pytest.mark.parametrize("command", sorted(set(re.findall(r"docs (\w+)", GUIDE)) & {"build", "check", "show"}))
def test_the_commands_are_there(command: str) -> None:
    from pyrunbook.cli.docs import docs

    assert command in docs.commands
    given = {option for parameter in docs.commands[command].params for option in parameter.opts}
    lines = re.findall(rf"pyrunbook docs {command}(.*)$", GUIDE, re.MULTILINE)
    for option in {option for line in lines for option in re.findall(r"--[\w-]+|(?<= )-i\b", line)}:
        assert option in given, option
