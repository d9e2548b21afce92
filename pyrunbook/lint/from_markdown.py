"""Fills a subject from a Markdown page: a procedure, an alert's page, or any other page with commands and links."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from textwrap import shorten
from typing import Literal

from pyrunbook.catalog.values import LANGUAGES
from pyrunbook.lint import page_steps
from pyrunbook.lint.anchors import anchors_of
from pyrunbook.lint.masks import masked, without_code
from pyrunbook.lint.subject import Block, Command, Line, Link, Passage, Purpose, Reach, Subject
from pyrunbook.markdown.code import SHELLS, looks_like_shell, typed_in
from pyrunbook.markdown.page import CodeBlock, Html, Item, Label, ListItem, Page, Paragraph, Section, Table, flattened
from pyrunbook.markdown.page_reader import read_page
from pyrunbook.markdown.section_names import SectionName, plain, recognised
from pyrunbook.project.problem import Problem, Spot

_PROCEDURE = {
    SectionName.PREREQUISITES, SectionName.PROCEDURE, SectionName.VERIFICATION, SectionName.ROLLBACK,
    SectionName.TROUBLESHOOTING, SectionName.CONTACTS, SectionName.ESCALATION, SectionName.SYMPTOMS, SectionName.IMPACT,
}  # fmt: skip
_WHOLE = {
    SectionName.PREREQUISITES, SectionName.VERIFICATION, SectionName.ROLLBACK, SectionName.TROUBLESHOOTING,
}  # fmt: skip
_ALERT = {SectionName.MEANING, SectionName.IMPACT, SectionName.DIAGNOSIS, SectionName.MITIGATION}
_ACTING = {
    SectionName.PROCEDURE, SectionName.ROLLBACK, SectionName.TROUBLESHOOTING, SectionName.MITIGATION,
    SectionName.PREREQUISITES, SectionName.VERIFICATION, SectionName.DIAGNOSIS,
}  # fmt: skip
_LOOKING = {
    SectionName.DIAGNOSIS,
    SectionName.VERIFICATION,
    SectionName.SYMPTOMS,
    SectionName.MEANING,
    SectionName.IMPACT,
}
_CALLING = {SectionName.CONTACTS, SectionName.ESCALATION}
_UPDATED = re.compile(
    r"(derniere (mise a jour|relecture|revision)|mise a jour|mis a jour( le)?"
    r"|last[ _-]?(updated|reviewed|modified)|updated|reviewed|review date|date de revue)$"
)
_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_RUNBOOK_TITLE = re.compile(
    r"^(?!task\b).*\b(run-?book|procedure|mode operatoire)\b"
    r"(?!.*\b(templates?|instructions|authoring|index|spec|design|standard)\b)"
)
_REPORT = re.compile(r"\bpost-?mortem\b|\bincident (on|report|review|du)\b|\b20\d\d-\d\d-\d\d\b")
"""The title of what tells an incident that is over."""


def from_page(file: Path) -> Subject:
    """A Markdown page."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8: {error.reason}"
        broken = Subject("page", file, file.stem, Spot(file, 1, 1))
        broken.problems.append(Problem(file, 1, 1, "", f"cannot be read: {reason}"))
        return broken
    page = read_page(text, file)
    titled = next((section for section in page.walk() if section.level), None)
    name = titled.title if titled else file.stem
    subject = Subject("page", file, name, Spot(file, titled.line, titled.column) if titled else Spot(file, 1, 1))
    subject.files[file] = None
    subject.anchors = anchors_of(page)
    reader = _Reader(subject, page)
    reader.read()
    subject.titled = _RUNBOOK_TITLE.search(plain(name)) is not None
    subject.form = _form(subject)
    subject.incident = _begins_with_symptoms(subject)
    if subject.form == "procedure":
        subject.steps = list(page_steps.steps_of(page, subject.commands))
    language = next((name for name in LANGUAGES if file.name.endswith(f".{name}.md")), "")
    if language:
        subject.texts = [replace(item, language=language) for item in subject.texts]
    return subject


def _form(subject: Subject) -> Literal["procedure", "alert", ""]:
    """A page is taken for a runbook only where it clearly wants to be one: a README has prerequisites, too."""
    names = set(subject.sections)
    if _REPORT.search(plain(subject.name)):
        return ""
    alert = SectionName.MEANING in names or (
        SectionName.DIAGNOSIS in names and SectionName.PROCEDURE not in names and not subject.titled
    )
    if alert and len(names & _ALERT) >= 2:
        return "alert"
    whole = SectionName.PROCEDURE in names and len(names & _WHOLE) >= 2
    if (subject.titled and names & _PROCEDURE) or whole:
        return "procedure"
    return ""


def _begins_with_symptoms(subject: Subject) -> bool:
    """Whether a page is about an incident, rather than naming the symptoms of a known error further down."""
    places = subject.sections
    others = [places[name].line for name in (SectionName.PREREQUISITES, SectionName.PROCEDURE) if name in places]
    return SectionName.SYMPTOMS in places and places[SectionName.SYMPTOMS].line <= min(others, default=sys.maxsize)


class _Reader:
    def __init__(self, subject: Subject, page: Page) -> None:
        self._subject = subject
        self._page = page
        self._file = page.file

    def read(self) -> None:
        """Go through the page in its order."""
        for entry in self._page.front_matter():
            self._reviewed(entry.name, entry.text, entry.line)
        self._section(self._page.root, frozenset())

    def _reviewed(self, name: str, value: str, line: int) -> None:
        """Note the day of the last review, where the name says that the value is one."""
        found = _DATE.search(value) if _UPDATED.fullmatch(plain(name)) else None
        if found and self._subject.updated is None:
            try:
                day = date(int(found[1]), int(found[2]), int(found[3]))
            except ValueError:
                return
            column = self._page.lines[line - 1].find(found[0]) + 1
            self._subject.updated = (day, Spot(self._file, line, max(column, 1)))

    def _section(self, section: Section, around: frozenset[SectionName]) -> None:
        names = recognised(section.title) if section.level else ()
        for name in names:
            self._subject.sections.setdefault(name, Spot(self._file, section.line, section.column))
        if section.level:
            self._subject.raw.append(section.title)
        within = frozenset(names) or around
        for link in section.links():
            self._subject.links.append(Link(link.target, Spot(self._file, link.line, link.column)))
        self._items(section.items, within)
        for below in section.sections:
            self._section(below, within)

    def _items(self, items: Sequence[Item], within: frozenset[SectionName]) -> None:
        for item in flattened(tuple(items)):
            label = item if isinstance(item, Label) else item.label if isinstance(item, ListItem) else None
            if label is not None:
                within = self._label(label, within)
            if isinstance(item, CodeBlock):
                self._code(item, within)
            elif not isinstance(item, Html):
                self._words(item, within)

    def _label(self, label: Label, within: frozenset[SectionName]) -> frozenset[SectionName]:
        """`**Rollback si échec :**` begins a section as well as a heading does, up to the next one."""
        names = recognised(label.name)
        for name in names:
            self._subject.sections.setdefault(name, Spot(self._file, label.line, label.column))
        self._reviewed(label.name, label.text, label.line)
        return frozenset(names) or within

    def _words(self, item: Item, within: frozenset[SectionName]) -> None:
        if isinstance(item, Table):
            lines = [*item.row_lines]
            for number, row in zip(item.row_lines, item.rows, strict=True):
                if len(row) > 1:
                    self._reviewed(row[0], row[1], number)
        elif isinstance(item, ListItem):
            lines = list(range(item.line, item.line + max(item.source.count("\n"), 0) + 1))
        else:
            lines = list(range(item.line, item.end + 1))
        self._subject.raw += [self._page.lines[number - 1] for number in lines if number <= len(self._page.lines)]
        found = tuple(self._line(number) for number in lines if number <= len(self._page.lines))
        if not found:
            return
        instructs = within & _ACTING and isinstance(item, (ListItem, Paragraph, Label))
        self._subject.texts.append(Passage(found, Purpose.INSTRUCTION if instructs else Purpose.STATEMENT))
        self._open_code(lines)
        if within & _CALLING:
            for line in found:
                self._subject.contacts.append(Reach("", line.words, line.at))

    def _open_code(self, lines: Sequence[int]) -> None:
        """A mark of code that nothing closes within its paragraph, in front of what looks like a command."""
        text = without_code("\n".join(self._page.lines[number - 1] for number in lines))
        for found in re.finditer(r"(?<![\\`])`(?=([^\s`][^`\n]*))", text):
            row = text.count("\n", 0, found.start())
            column = found.start() - (text.rfind("\n", 0, found.start()) + 1)
            if looks_like_shell(found[1]):
                place = Spot(self._file, lines[0] + row, column + 1)
                self._subject.open_code.append(Line(place, shorten(found[1], 60, placeholder=" …")))

    def _line(self, number: int) -> Line:
        raw = self._page.lines[number - 1]
        column = len(raw) - len(raw.lstrip())
        words = without_code(raw[column:])
        return Line(Spot(self._file, number, column + 1), words.rstrip())

    # --- code ----------------------------------------------------------------------------------------------------

    def _code(self, code: CodeBlock, within: frozenset[SectionName]) -> None:
        if code.fenced:
            fence = self._page.lines[code.fence_line - 1]
            at = Spot(self._file, code.fence_line, fence.find(fence.lstrip(" \t>-*+0123456789.)")) + 1)
            self._subject.blocks.append(Block(code.language, code.text, at, fence))
        if not (code.language in SHELLS or (not code.language and looks_like_shell(code.text))):
            return
        rows = list(self._typed(code))
        if rows:
            source = "\n".join(text for _, text in rows)
            starts = tuple(at for at, _ in rows)
            looking = bool(within & _LOOKING) and not within & {SectionName.MITIGATION, SectionName.PROCEDURE}
            self._subject.commands.append(
                Command(
                    masked(source, templates=False),
                    source,
                    starts,
                    "page",
                    diagnostic=looking,
                    sure=code.language != "",
                )
            )

    def _typed(self, code: CodeBlock) -> Iterator[tuple[Spot, str]]:
        for row, column, text in typed_in(code.text, code.language):
            number = code.line + row
            written = self._page.lines[number - 1] if number <= len(self._page.lines) else ""
            whole = code.text.split("\n")[row]
            begin = len(written) - len(whole) if written.endswith(whole) else 0
            yield Spot(self._file, number, begin + column + 1), text
