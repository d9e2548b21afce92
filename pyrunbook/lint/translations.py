"""Words in other languages: those that a translation has, and those that are missing in a language of the project."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pyrunbook.catalog import Text
from pyrunbook.catalog.metadata import Metadata
from pyrunbook.catalog.roles import SPECS
from pyrunbook.catalog.runbook import Runbook
from pyrunbook.catalog.step_notes import StepNotes
from pyrunbook.catalog.translation import translations_of
from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Place, Role, Subject
from pyrunbook.lint.yaml_passages import add_text, leaves
from pyrunbook.project.document import Document, read
from pyrunbook.project.problem import InvalidFile, Problem

_INSTRUCTIONS = ("how", "solution", "rollback", "text", "undo_text")


def role_of(block: type[msgspec.Struct], field: str | int) -> Role:
    """What a text is for, by the field of the metadata or of the notes that it stands in."""
    prerequisite = block is Metadata and field == "text"
    return Role.INSTRUCTION if field in _INSTRUCTIONS and not prerequisite else Role.STATEMENT


def add_translations(
    subject: Subject, document: Document, node: yaml.Node, known: Metadata | StepNotes, project: Project
) -> None:
    """Note the texts of the translations beside a file, and those that are missing there."""
    for path in translations_of(document.file).values():
        subject.files[path] = None
    for leaf in leaves(document, node, type(known)):
        if leaf.kind is Text:
            given = _at(known, leaf.path).languages
            missing = [language for language in project.settings.docs.languages if language not in given]
            subject.untranslated += [Place(document.spot(leaf.node), language) for language in missing]
    for language, beside in _read(document.file).items():
        for leaf in leaves(beside, beside.root, type(known)):
            if leaf.kind is Text:
                role = role_of(type(known), leaf.path[-1])
                add_text(subject, beside, leaf.node, role, project.lines(beside.file), language)


def add_titles_and_inputs(subject: Subject, runbook: Runbook, document: Document, project: Project) -> None:
    """Note the steps without a title, and the inputs without a meaning, in a language of the project."""
    beside = _read(document.file)
    steps = {(item.id, str(item.phase)): None for item in runbook.playbook.imports}
    for language in _others(project):
        translation = beside.get(language)
        titles = runbook.metadata.titles.get(language, {})
        at = (translation.key_spot(translation.root, "titles") if translation else None) or subject.at
        for step, phase in steps:
            if step not in titles and f"{phase}.{step}" not in titles:
                subject.untranslated.append(Place(at, f"{language} the title of the step {step}"))
    names = [name for step, phase in steps for name in (step, f"{phase}.{step}")]
    subject.problems += _unknown(beside, "titles", names, "the playbook has no such step")
    options = document.get(spec_of(document), "options")
    subject.untranslated += _missing(document, options, runbook.metadata.inputs, project)
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
    options = document.get(document.get(document.get(document.root, "argument_specs"), "main"), "options")
    subject.untranslated += _missing(document, options, known.inputs, project)
    names = [name for name, _, _ in document.items(options)] if options is not None else []
    subject.problems += _unknown(_read(notes), "inputs", names, "the role has no such input")


def _missing(
    document: Document, options: yaml.Node | None, known: dict[str, dict[str, str]], project: Project
) -> Iterator[Place]:
    for name, key, _ in document.items(options) if options is not None else ():
        for language in _others(project):
            if name not in known.get(language, {}):
                at = document.spot(key)
                yield Place(at, f"{language} the meaning of the input {name}")


def _unknown(beside: dict[str, Document], block: str, names: Collection[str], why: str) -> Iterator[Problem]:
    for document in beside.values():
        said = document.get(document.root, block)
        for name, key, _ in document.items(said) if said is not None else ():
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
