"""What else has words in each language: titles of steps, meanings of inputs. The English ones stand elsewhere."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path

import yaml

from pyrunbook.catalog.runbook import Runbook
from pyrunbook.catalog.yaml_file import Document, InvalidFile, read
from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Place, Spot, Subject
from pyrunbook.lint.yaml_text import key_spot

SPECS = Path("meta") / "argument_specs.yml"


def add_titles_and_inputs(subject: Subject, runbook: Runbook, document: Document, project: Project) -> None:
    """Note the steps without a title, and the inputs without a meaning, in a language of the project.

    Args:
        subject: that gets them.
        runbook: which.
        document: its metadata.
        project: that it is of.
    """
    spec = next(
        (node for _, _, node in document.items(document.get(document.root, "argument_specs") or document.root)
         if document.get(node, "runbook") is not None),
        None,
    )  # fmt: skip
    block = document.get(spec, "runbook")
    for language in _others(project):
        titles = runbook.metadata.titles.get(language, {})
        at = key_spot(document, document.get(block, "titles"), language) or subject.at
        for step, phase in _steps(runbook):
            if step not in titles and f"{phase}.{step}" not in titles:
                subject.untranslated.append(Place(at, f"{language} the title of the step {step}"))
        known = runbook.metadata.inputs.get(language, {})
        subject.untranslated += _inputs(document, document.get(spec, "options"), known, language)


def add_role_inputs(subject: Subject, role: Path, notes: Document, project: Project) -> None:
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
    main = document.get(document.get(document.root, "argument_specs"), "main")
    for language in _others(project):
        said = notes.get(notes.get(notes.root, "inputs"), language)
        known = {name for name, _, _ in notes.items(said)} if said is not None else set()
        subject.untranslated += _inputs(document, document.get(main, "options"), known, language)


def _inputs(document: Document, options: yaml.Node | None, known: Container[str], language: str) -> Iterator[Place]:
    if isinstance(options, yaml.MappingNode):
        for name, key, _ in document.items(options):
            if name not in known:
                at = Spot(document.file, key.start_mark.line + 1, key.start_mark.column + 1)
                yield Place(at, f"{language} the meaning of the input {name}")


def _steps(runbook: Runbook) -> dict[tuple[str, str], None]:
    return {(item.id, str(item.phase)): None for item in runbook.playbook.imports}


def _others(project: Project) -> list[str]:
    return [language for language in project.settings.docs.languages if language != "en"]
