"""Finds the procedures of a page: a page may be one runbook, hold several, or show one in a block of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pyrunbook.markdown.page import CodeBlock, Item, Label, ListItem, Page, Paragraph, Section, flattened
from pyrunbook.markdown.section_names import SectionName, plain, recognised
from pyrunbook.scaffold.importing.inline import has_commands

_OF_A_RUNBOOK = {
    SectionName.PREREQUISITES, SectionName.PROCEDURE, SectionName.ROLLBACK, SectionName.SYMPTOMS, SectionName.MEANING,
    SectionName.DIAGNOSIS, SectionName.MITIGATION,
}  # fmt: skip
"""Sections that only a runbook has; a page of contacts has others, too."""
_WHOLE = {SectionName.PREREQUISITES, SectionName.PROCEDURE, SectionName.ROLLBACK}
"""What has all of these as its own sections is one runbook, whatever else stands below it."""


@dataclass(frozen=True)
class Procedure:
    """A section that is one runbook; `groups` are the titles of the sections around it, outermost first."""

    section: Section
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A piece of a procedure under a name: a section, or what follows a label in bold type.

    Attributes:
        names: what the title stands for; empty where it is no usual one.
        value: behind a label's colon.
        items: in order, without the label.
    """

    names: tuple[SectionName, ...]
    title: str
    line: int
    value: Label | None = None
    items: tuple[Item, ...] = ()
    sections: tuple[Section, ...] = ()

    def has_code(self) -> bool:
        """Whether there are commands to type in it: in blocks of code, or among the words of a numbered list."""
        below = (item for section in self.sections for s in section.walk() for item in s.every_item())
        return any(map(_to_type, (*flattened(self.items), *below)))


def procedures(page: Page) -> list[Procedure]:
    """The runbooks of a page, in their order.

    Where no section has the form of one, a page that has code is one as a whole.
    """
    found = list(_below(page.root, ()))
    embedded = [procedure for inside in page.embedded() for procedure in _below(inside.root, ())]
    if found or embedded:
        return sorted(found + embedded, key=lambda procedure: procedure.section.line)
    listed = (item for section in page.walk() for item in section.every_item())
    if not any(True for _ in page.codes()) and not any(map(_to_type, listed)):
        return []
    only = page.root.sections[0] if len(page.root.sections) == 1 and not page.root.items else page.root
    return [Procedure(only)]


def _to_type(item: Item) -> bool:
    return isinstance(item, CodeBlock) or (
        isinstance(item, ListItem) and item.number is not None and has_commands(item)
    )


def _below(section: Section, groups: tuple[str, ...]) -> Iterator[Procedure]:
    if recognised(section.title):
        return
    if {name for child in section.sections for name in recognised(child.title)} >= _WHOLE:
        yield Procedure(section, groups)
        return
    around = (*groups, section.title) if section.title else groups
    nested = [procedure for child in section.sections for procedure in _below(child, around)]
    if nested:
        yield from nested
    elif _OF_A_RUNBOOK.intersection(name for part in parts(section) for name in part.names):
        yield Procedure(section, groups)


def parts(section: Section) -> list[Part]:
    """A procedure's section taken apart: by its labels, then by the sections below it."""
    found: list[Part] = []
    title, line, value = "", section.line, None
    names: tuple[SectionName, ...] = ()
    items: list[Item] = []

    def close() -> None:
        if title or items:
            found.append(Part(names, title, line, value, tuple(items)))

    for item in section.items:
        heading = _heading(item)
        if heading is None:
            items.append(item)
            continue
        close()
        title, names = heading
        line, value, items = item.line, item if isinstance(item, Label) else None, []
    close()
    for child in section.sections:
        labels = {name for item in child.items if isinstance(item, Label) for name in recognised(item.name)}
        if not recognised(child.title) and SectionName.WHEN_TO_IGNORE in labels:
            found += parts(child)  # the first section of a page that `docs build` has made
        else:
            found.append(_part(child))
    return found


def _heading(item: Item) -> tuple[str, tuple[SectionName, ...]] | None:
    """The name under which an item puts what follows it; `None` for an item that begins nothing."""
    if isinstance(item, Label):
        names = recognised(item.name)
        return (item.name, names) if names or is_fact(item.name) else None
    if isinstance(item, Paragraph) and item.bold:
        names = recognised(item.text)
        return (item.text, names) if names else None
    return None


def _part(section: Section) -> Part:
    return Part(recognised(section.title), section.title, section.line, None, section.items, section.sections)


FACTS = {
    "updated": r"(date de )?derniere (mise a jour|revision|relecture)|mis a jour le"
    r"|last (updated?|reviewed|modified)|updated",
    "owner": r"responsables?|proprietaire|owners?|equipe( responsable)?|(owning )?team|maintainers?",
    "estimate": r"(temps|duree)( estimee?)?|(estimated )?(time|duration)( estimate)?|estimate",
    "frequency": r"frequences?|frequency|schedule",
    "window": r"fenetre( de maintenance)?|(maintenance )?window",
    "severity": r"severites?|severity|gravite|priorite|priority",
    "risk": r"risques?|risks?( level)?|niveau de risque",
}
"""Facts of a runbook by their labels: without accents, in lower case."""


def is_fact(name: str) -> str | None:
    """Which fact a label is about."""
    bare = plain(name)
    return next((fact for fact, pattern in FACTS.items() if re.fullmatch(pattern, bare)), None)
