"""What ships is French on French pages: titles, meanings of inputs, every text. Names of programs stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sample_project import read_target

from pyrunbook import catalog
from pyrunbook.catalog import STRATEGIES, Runbook, Text
from pyrunbook.catalog.roles import read_role
from pyrunbook.catalog.runbook import Step
from pyrunbook.docs.collection import collect
from pyrunbook.docs.labels import _LABELS

ROOT = Path(__file__).parents[2]
RUNBOOKS = {runbook.id: runbook for runbook in catalog.load()}
INVENTORIES = {"production": ROOT / "inventories/production", "staging": ROOT / "inventories/staging",
               "host": ROOT / "docs/host/inventory.yml"}  # fmt: skip


def steps(runbook: Runbook) -> Iterator[Step]:
    """Those of all strategies."""
    for strategy in runbook.strategies:
        yield from runbook.steps(strategy)


ROLES = {step.folder: step.notes for runbook in RUNBOOKS.values() for step in steps(runbook)}


@cache
def french_page(name: str, inventory: str) -> str:
    (text,) = collect(
        read_target(ROOT, INVENTORIES[inventory]), ("fr",), only=[name], all_languages=("en", "fr")
    ).files.values()
    return " ".join(text.replace("\\", "").split())


def texts(value: Any) -> Iterator[Text]:
    if isinstance(value, Text):
        yield value
    elif isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)


@pytest.mark.parametrize("runbook", RUNBOOKS.values(), ids=RUNBOOKS)
def test_every_input_of_a_runbook_has_a_french_meaning(runbook: Runbook) -> None:
    assert sorted(runbook.meanings("fr")) == sorted(runbook.inputs)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_input_of_a_role_has_a_french_meaning(role: str) -> None:
    notes = ROLES[role]
    assert notes is not None
    assert sorted(notes.inputs.get("fr", {})) == sorted(read_role(ROOT / "roles", role).inputs)


def test_meanings_are_french_and_not_the_english_ones() -> None:
    said = {name: words for notes in ROLES.values() if notes for name, words in notes.inputs.get("fr", {}).items()}
    english = {name: item.text for role in ROLES for name, item in read_role(ROOT / "roles", role).inputs.items()}
    for runbook in RUNBOOKS.values():
        said |= runbook.meanings("fr")
        english |= {name: item.text for name, item in runbook.inputs.items()}
    for name, words in said.items():
        assert words != english[name], name
        assert not re.search(r"\b(the|of the|when|which|with|and|is|are)\b", re.sub(r"`[^`]*`", "", words)), words
        assert words.strip().endswith("."), words


@pytest.mark.parametrize("runbook", RUNBOOKS.values(), ids=RUNBOOKS)
def test_every_step_has_a_french_title(runbook: Runbook) -> None:
    for step in steps(runbook):
        assert runbook.translated_title(step, "fr"), step.title
    titles = runbook.metadata.titles.get("fr", {})
    known = {key for step in steps(runbook) for key in (step.id, f"{step.phase}.{step.id}")}
    assert set(titles) <= known, "a title of no step"


@pytest.mark.parametrize("inventory", sorted(INVENTORIES))
@pytest.mark.parametrize("runbook", RUNBOOKS.values(), ids=RUNBOOKS)
def test_no_english_sentence_is_on_a_french_page(runbook: Runbook, inventory: str) -> None:
    page = french_page(runbook.id, inventory)
    english = {step.spoken_title() for step in steps(runbook)}
    english |= {str(text) for step in steps(runbook) for text in texts(step.notes)}
    english |= {str(text) for text in texts(runbook.metadata)}
    english |= {item.text for item in runbook.inputs.values()}
    for role in {step.folder for step in steps(runbook)}:
        english |= {item.text for item in read_role(ROOT / "roles", role).inputs.values()}
    english |= {words for words, french in _LABELS.values() if words != french and "{" not in words}
    sentences = {" ".join(text.split()) for text in english if len(text.split()) > 2 and "{{" not in text}
    assert len(sentences) > 20
    said_in_french = {" ".join(text.in_language("fr").split()) for text in texts(runbook.metadata)}
    assert not [sentence for sentence in sentences - said_in_french if sentence in page]


def test_that_test_finds_english() -> None:
    """On the English page each of these sentences is found; otherwise the test above would look for nothing."""
    name = "maintenance/production_update"
    made = collect(read_target(ROOT, INVENTORIES["production"]), ("en",), only=[name])
    (text,) = made.files.values()
    page = " ".join(text.replace("\\", "").split())
    runbook = RUNBOOKS[name]
    for step in runbook.steps(STRATEGIES[1]):
        assert step.notes
        assert " ".join(str(step.notes.expected).split()) in page or "{{" in step.notes.expected
    for item in runbook.inputs.values():
        assert item.text in page


def test_the_words_of_pages_are_in_both_languages() -> None:
    for key, words in _LABELS.items():
        assert len(words) == 2 and all(words), key
        english, french = (sorted(re.findall(r"{\d}", text)) for text in words)
        assert english == french, key
        same = words[0] == words[1]
        assert not same or len(words[0].split()) == 1, f"{key} is not translated"
