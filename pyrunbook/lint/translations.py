"""Words in other languages: those that a translation has, and those that are missing in a language of the project."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pyrunbook.catalog import Text
from pyrunbook.catalog.metadata import Metadata
from pyrunbook.catalog.roles import SPECS
from pyrunbook.catalog.runbook import Runbook, Step
from pyrunbook.catalog.step_notes import StepNotes
from pyrunbook.catalog.translation import translations_of
from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Purpose, Subject
from pyrunbook.lint.yaml_passages import add_text, leaves
from pyrunbook.project.document import Document, read
from pyrunbook.project.problem import InvalidFile, Problem, Spot

_INSTRUCTIONS = ("how", "solution", "rollback", "text", "undo_text")
_NAMES = {"en": "English", "fr": "French"}


def purpose_of(block: type[msgspec.Struct], field: str | int) -> Purpose:
    """What a text is for, by the field of the metadata or of the notes that it stands in."""
    prerequisite = block is Metadata and field == "text"
    return Purpose.INSTRUCTION if field in _INSTRUCTIONS and not prerequisite else Purpose.STATEMENT


def add_translations(
    subject: Subject, document: Document, node: yaml.Node, known: Metadata | StepNotes, project: Project
) -> None:
    """Note the texts of the translations beside a file, and those that are missing there."""
    for path in translations_of(document.file).values():
        subject.files[path] = None
    for leaf in leaves(document, node, type(known)):
        if leaf.kind is Text:
            given = _at(known, leaf.path).languages
            for wanted in project.settings.docs.languages:
                if wanted not in given:
                    _note(subject, document.spot(leaf.node), wanted, "the text")
    for language, beside in _read(document.file).items():
        for leaf in leaves(beside, beside.root, type(known)):
            if leaf.kind is Text:
                purpose = purpose_of(type(known), leaf.path[-1])
                add_text(subject, beside, leaf.node, purpose, project.lines(beside.file), language)


def add_titles_and_inputs(subject: Subject, runbook: Runbook, document: Document, project: Project) -> None:
    """Note the steps without a title, and the inputs without a meaning, in a language of the project."""
    beside = _read(document.file)
    steps = {(item.id, str(item.phase)): None for item in runbook.playbook.imports}
    named: list[Step] = []
    with suppress(InvalidFile):  # whoever reads the roles says what is wrong
        named = [step for strategy in runbook.strategies for step in runbook.steps(strategy)]
    spec = spec_of(document)
    derived = {"title": subject.at, "summary": document.key_spot(spec, "short_description") or subject.at}
    derived = {name: at for name, at in derived.items() if document.get(spec, "runbook", name) is None}
    for language in _others(project):
        translation = beside.get(language)
        for name, at in derived.items() if translation else ():
            if language not in getattr(runbook.metadata, name).languages:
                _note(subject, at, language, f"the {name}")
        at = (translation.key_spot(translation.root, "titles") if translation else None) or subject.at
        for step in {step.id: None for step in named if not runbook.translated_title(step, language)}:
            _note(subject, at, language, f"the title of the step {step}")
    names = [name for step, phase in steps for name in (step, f"{phase}.{step}")]
    subject.problems += _unknown(beside, "titles", names, "the playbook has no such step")
    _note_inputs(subject, document, document.get(spec_of(document), "options"), runbook.metadata.inputs, project)
    subject.problems += _unknown(beside, "inputs", list(runbook.inputs), "there is no such input")


def add_role_inputs(subject: Subject, role: Path, notes: Path, known: StepNotes, project: Project) -> None:
    """Note the inputs of a role without a meaning in a language of the project."""
    file = role / SPECS
    if not file.is_file():
        return
    try:
        document = read(file)
    except InvalidFile as error:
        subject.problems += error.problems
        return
    subject.files[file] = None
    options = document.get(document.root, "argument_specs", "main", "options")
    _note_inputs(subject, document, options, known.inputs, project)
    names = list(document.entries(options))
    subject.problems += _unknown(_read(notes), "inputs", names, "the role has no such input")


def _note(subject: Subject, at: Spot, language: str, what: str) -> None:
    message = f"{what} is missing in {_NAMES.get(language, language)} ({language})"
    subject.note("missing-translation", at, message)


def _note_inputs(
    subject: Subject, document: Document, options: yaml.Node | None, known: dict[str, dict[str, str]], project: Project
) -> None:
    for name, key, _ in document.items(options):
        for language in _others(project):
            if name not in known.get(language, {}):
                _note(subject, document.spot(key), language, f"the meaning of the input {name}")


def _unknown(beside: dict[str, Document], block: str, names: Collection[str], why: str) -> Iterator[Problem]:
    for document in beside.values():
        for name, key, _ in document.items(document.get(document.root, block)):
            if name not in names:
                yield document.problem(key, f"{block}.{name}", why)


def spec_of(document: Document) -> yaml.Node | None:
    """The spec of a runbook's metadata that has the `runbook` block."""
    specs = document.items(document.get(document.root, "argument_specs") or document.root)
    return next((node for _, _, node in specs if document.get(node, "runbook") is not None), None)


def _read(file: Path) -> dict[str, Document]:
    found = {}
    for language, path in translations_of(file).items():
        try:
            found[language] = read(path)
        except InvalidFile:  # whoever reads the English file too has said what is wrong
            continue
    return found


def _at(known: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        known = known[part] if isinstance(part, int) or isinstance(known, dict) else getattr(known, part)
    return known


def _others(project: Project) -> list[str]:
    return [language for language in project.settings.docs.languages if language != "en"]
