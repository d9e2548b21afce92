"""Reads a page as runbooks that are to be written: each procedure a draft, the rest left over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pyrunbook.errors import BadInput
from pyrunbook.markdown.page import ListItem, Page, Paragraph
from pyrunbook.markdown.page_reader import read_page
from pyrunbook.markdown.section_names import SectionName, plain
from pyrunbook.redaction import redact_text
from pyrunbook.scaffold.draft import BLANK, RunbookDraft, free, identifier
from pyrunbook.scaffold.importing.facts import Facts
from pyrunbook.scaffold.importing.phrases import (
    PageWording,
    bare_title,
    category_in,
    first_sentence,
    language_of,
    verbatim,
)
from pyrunbook.scaffold.importing.placed import Leftover, Placed
from pyrunbook.scaffold.importing.procedures import Part, Procedure, is_fact, parts, procedures
from pyrunbook.scaffold.importing.steps import StepReader


@dataclass(frozen=True)
class Remark:
    """Something that the author should know about a line of the page; the file's as a whole where it is 0."""

    line: int
    text: str


@dataclass(frozen=True)
class ImportedPage:
    """What a page becomes.

    Attributes:
        leftovers: what found no place, in the order of the page.
        remarks: guesses, steps that are done only at times, and commands that seem to hold a secret.
    """

    page: Page
    drafts: tuple[RunbookDraft, ...]
    leftovers: tuple[Leftover, ...]
    remarks: tuple[Remark, ...]


def read_runbooks(file: Path, category: str | None, name: str | None, taken_roles: set[str]) -> ImportedPage:
    """Read a page.

    Args:
        category: of the runbooks; guessed from their titles when `None`.
        name: of the runbook, where the page holds only one; from its title when `None`.
        taken_roles: names that no new role may have.

    Raises:
        BadInput: the file cannot be read, holds no procedure, or several while a name is given.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"not a text in UTF-8: {error.reason}"
        raise BadInput(f"{file}: {why}") from error
    page = read_page(text, Path(file.name))
    found = procedures(page)
    if not found:
        raise BadInput(
            f"{file} holds no procedure",
            means="No section of it is called Procedure, Steps, Diagnosis or the like, and there is no block of code.",
            next_step="pyrunbook new CATEGORY NAME starts one from nothing",
        )
    if name is not None and len(found) > 1:
        titles = ", ".join(bare_title(each.section.title) for each in found)
        raise BadInput(
            f"{file} holds {len(found)} procedures ({titles}), so --name fits none", next_step="leave it out"
        )
    placed = Placed()
    remarks: list[Remark] = []
    names: set[str] = set()
    drafts = []
    front = list(page.front_matter()) if len(found) == 1 else []
    titled = next((each for each in front if each.name.lower() == "title"), None)
    for procedure in found:
        title = bare_title(procedure.section.title)
        if not title and titled is not None:
            title = bare_title(titled.text)
            placed.take(titled.line)
        title = title or bare_title(file.stem.replace("-", " ").replace("_", " "))
        runbook = free(name or identifier(title) or "imported", names)
        kind = category or _category(procedure, title, remarks)
        reader = _Reader(page, procedure, kind, runbook, title, placed, taken_roles)
        for label in front:
            if is_fact(label.name):
                reader.facts.fact(label)
        drafts.append(reader.draft())
    remarks += _conditions(drafts)
    _place_around(page, found, placed)
    remarks += _secrets(page)
    return ImportedPage(page, tuple(drafts), tuple(placed.leftovers(page)), tuple(remarks))


def _category(procedure: Procedure, title: str, remarks: list[Remark]) -> str:
    names = {name for part in parts(procedure.section) for name in part.names}
    if names & {SectionName.SYMPTOMS, SectionName.MEANING}:
        return "incidents"
    guessed = category_in([title, *reversed(procedure.groups)])
    if guessed is None:
        remarks.append(
            Remark(procedure.section.line, f"{title}: nothing says which category; taken for maintenance (--category)")
        )
    return guessed or "maintenance"


class _Reader:
    """Reads one procedure."""

    def __init__(
        self, page: Page, procedure: Procedure, category: str, name: str, title: str, placed: Placed, roles: set[str]
    ) -> None:
        self._section = procedure.section
        self._language = language_of("\n".join(page.lines))
        self._placed = placed
        self._draft = RunbookDraft(
            category=category,
            name=name,
            title=title,
            short_description=title,
            deploys=False,
            backs_up=False,
            automated=False,
            origin=f"{_one_line(page.file.name)}:{procedure.section.line}",
        )
        wording = PageWording(
            self._language, [each for inside in (page, *page.embedded()) for each in inside.definitions]
        )
        self.facts = Facts(self._draft, wording, placed)
        self._steps = StepReader(name, _one_line(page.file.name), wording, placed, roles)

    def draft(self) -> RunbookDraft:
        """Read it."""
        draft, data = self._draft, self._draft.metadata
        if self._section.title:
            self._placed.take(self._section.line)
        data["title"] = (
            draft.title if self._language == "en" else {"en": f"{BLANK} (English): {draft.title}", "fr": draft.title}
        )
        for part in parts(self._section):
            self._take(part)
        data.setdefault("window", {"required": draft.category == "maintenance"})
        if draft.way_back and "rollback" not in data:
            data["rollback"] = {
                "en": "The run puts back what its plan recorded. Then come the commands, by hand.",
                "fr": "L'exécution rétablit ce que son plan a enregistré. Viennent ensuite les commandes, à la main.",
            }
        summary = data.get("summary")
        if summary and self._language == "en":
            draft.short_description = verbatim(first_sentence(re.sub(r"\{%.*?%\}", "", str(summary))))
        if data.get("alerts") is None and re.fullmatch(r"(?:[A-Z][a-z0-9]*[A-Z]|[a-z]+[A-Z])\w+", self._section.title):
            data["alerts"] = [self._section.title]
        if self._language == "fr" and self._steps.titles:
            data["titles"] = {"fr": self._steps.titles}
        return draft

    def _take(self, part: Part) -> None:
        """Put one part where it belongs; what belongs nowhere stays left over."""
        names = part.names
        has_steps = part.has_code() or bool(part.sections)
        if part.value is not None and not names and is_fact(part.value.name):
            self.facts.fact(part.value)
            if part.items:
                self._take(Part((), "", part.items[0].line, None, part.items))
            return
        if part.title == "":
            part = self._without_lead(part)
        if SectionName.INFORMATION in names and not has_steps:
            self.facts.information(part)
        elif SectionName.PREREQUISITES in names:
            self.facts.prerequisites(part)
        elif SectionName.SYMPTOMS in names and not part.has_code():
            self.facts.symptoms(part)
        elif SectionName.IMPACT in names and not part.has_code():
            self.facts.prose(part, "impact")
        elif SectionName.WHEN_TO_IGNORE in names and not part.has_code():
            self.facts.prose(part, "when_to_ignore")
        elif SectionName.VERIFICATION in names and part.value is None and re.match("how to|comment", plain(part.title)):
            self.facts.prose(part, "verification")
        elif (SectionName.MEANING in names or part.title == "") and not part.has_code():
            self.facts.prose(part, "summary")
        elif names[:1] == (SectionName.ESCALATION,) and not part.has_code():
            self.facts.escalation(part)
        elif SectionName.TROUBLESHOOTING in names and self.facts.troubles(part):
            self._take_steps(Part(names, part.title, part.line, part.value, part.items))
        elif SectionName.CONTACTS in names and not part.has_code():
            self._placed.take(part.line)  # people and channels belong into the inventory
        elif self.facts.links(part):
            return
        elif names and part.value is not None and part.value.text and not part.items:
            if SectionName.ROLLBACK in names:
                self.facts.prose(part, "rollback")
            elif names[0] in (SectionName.PROCEDURE, SectionName.DIAGNOSIS, SectionName.MITIGATION):
                self._take_steps(part)
        elif SectionName.ROLLBACK in names and not part.has_code():
            self.facts.prose(part, "rollback")
        elif names or part.has_code():
            self._take_steps(part)

    def _without_lead(self, part: Part) -> Part:
        """The part without the words in front of its numbered steps, which are what the runbook is for."""
        listed = (at for at, item in enumerate(part.items) if isinstance(item, ListItem) and item.number is not None)
        first = next(listed, 0)
        lead = part.items[:first]
        if not lead or not part.has_code() or not all(isinstance(item, Paragraph) for item in lead):
            return part
        self.facts.prose(replace(part, items=lead, sections=()), "summary")
        return replace(part, items=part.items[first:])

    def _take_steps(self, part: Part) -> None:
        for step, back in self._steps.of(part):
            (self._draft.way_back if back else self._draft.steps).append(step)


def _one_line(name: str) -> str:
    """The name of a file for a comment of another one; a file may be named anything."""
    return "".join(character if character.isprintable() else "?" for character in name)


def _place_around(page: Page, found: list[Procedure], placed: Placed) -> None:
    """The headings and fences around what was read, and the targets of its links, are no text of their own."""
    lines = {procedure.section.line for procedure in found}
    used: set[str] = set()
    for each in (page, *page.embedded()):
        for section in each.walk():
            if section.title and any(section.line < line <= section.end for line in lines):
                placed.take(section.line)
            for link in section.links():
                if link.line in placed:
                    used.add(link.target)
            for code in section.codes():
                if code.page is not None and any(code.line <= line <= code.end for line in lines):
                    placed.take(code.fence_line)
                    placed.take(code.end)
        for definition in each.definitions:
            if definition.target in used:
                placed.take(definition.line, definition.end)


def _conditions(drafts: list[RunbookDraft]) -> Iterator[Remark]:
    for draft in drafts:
        for step in (*draft.steps, *draft.way_back):
            if step.condition:
                line = int(step.origin.rpartition(":")[2])
                yield Remark(line, f'{step.title}: done only "{step.condition}"; left out until the playbook says when')


def _secrets(page: Page) -> Iterator[Remark]:
    for code in page.codes():
        for number, line in code.commands():
            if redact_text(line) != line:
                yield Remark(number, "a secret may stand here; put it into a vault, and a variable in its place")
