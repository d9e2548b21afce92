"""The steps of a procedure on a Markdown page: headings in it, items of its ordered lists, or its blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyrunbook.lint.subject import Command, ManualAction, WrittenStep
from pyrunbook.markdown.page import CodeBlock, Item, Label, ListItem, Page, Paragraph, Section, Table, flattened
from pyrunbook.markdown.section_names import SectionName, plain, recognised
from pyrunbook.project.problem import Spot

_RESULT = re.compile(
    r"resultats? attendu|attendu|expect|should\b|(you|it) (will|must|can) (now )?(see|show|print|return)|must (be|show)"
    r"|\b(doit|doivent|devrait|devraient)\b|until\b|jusqu'a|confirm that|\boutput\b|\bsortie\b|\breturns?\b|answers?\b"
    r"|\bprints?\b|\bshows?\b|repond\b|affiche\b",
)
_UNDO = re.compile(
    r"\bundo|\brevert|roll(ed|s|ing)?[ -]?back|retour arriere|\bannul|\bretabli|\brestore[rd]?\b|put back"
)


class _Part(NamedTuple):
    """What is to be a step."""

    title: str
    at: Spot
    items: Sequence[Item]


def steps_of(page: Page, commands: Sequence[Command]) -> Iterator[WrittenStep]:
    """The steps in the order of the page; `commands` are those of the page."""
    by_fence = {command.at.line: command for command in commands}
    undone = _says(_UNDO, [item for section in page.walk() for item in section.every_item()]) or any(
        _UNDO.search(plain(section.title)) for section in page.walk()
    )
    for part in _parts(page):
        items = list(flattened(tuple(part.items)))
        codes = [item for item in items if isinstance(item, CodeBlock)]
        found = [by_fence[line] for code in codes for line in range(code.line, code.end + 1) if line in by_fence]
        expected = _describes_result(items, shown={command.at.line for command in found})
        yield WrittenStep(
            part.title, part.at, expected, tuple(ManualAction(c.at, (c,), expected) for c in found), undo=undone
        )


def _parts(page: Page) -> Iterator[_Part]:
    taken: set[int] = set()
    for section in page.walk():
        if section.line in taken and section.level:
            continue
        if section.level and SectionName.PROCEDURE in recognised(section.title):
            taken.update(below.line for below in section.walk())
            yield from _of_section(page, section)
        else:
            yield from _of_labels(page, section)


def _of_section(page: Page, section: Section) -> Iterator[_Part]:
    if not section.sections:
        yield from _of_items(page, section.items, section.title)
    for below in section.sections:
        if not recognised(below.title):  # a rollback that stands within the procedure is no step of it
            items = [item for part in below.walk() for item in part.items]
            yield _Part(below.title, Spot(page.file, below.line, below.column), items)


def _of_labels(page: Page, section: Section) -> Iterator[_Part]:
    """What follows a label such as `**Procédure :**`, up to the next label of a section."""
    items: list[Item] = []
    title = ""
    for item in section.items:
        names = recognised(item.name) if isinstance(item, Label) else ()
        if isinstance(item, Label) and names:
            yield from _of_items(page, items, title)
            items, title = [], item.name if SectionName.PROCEDURE in names else ""
        elif title:
            items.append(item)
    yield from _of_items(page, items, title)


def _of_items(page: Page, items: Sequence[Item], title: str) -> Iterator[_Part]:
    numbered = [item for item in items if isinstance(item, ListItem) and item.number is not None]
    for item in numbered:
        yield _Part(item.text.split("\n")[0], Spot(page.file, item.line, item.column), [item])
    if numbered:
        return
    codes = [index for index, item in enumerate(items) if isinstance(item, CodeBlock)]
    for index, behind in zip(codes, [*codes[1:], len(items)], strict=False):
        code = items[index]
        yield _Part(title, Spot(page.file, code.line, code.column), items[index:behind])


def _describes_result(items: Sequence[Item], shown: set[int]) -> bool:
    """Whether there are words about the result, a checklist, or a block that shows it."""
    for item in items:
        if isinstance(item, ListItem) and item.checked is not None:
            return True
        if isinstance(item, Table):
            return True
        if isinstance(item, CodeBlock) and shown and not any(item.line <= line <= item.end for line in shown):
            return True
    return _says(_RESULT, items)


def _says(pattern: re.Pattern[str], items: Sequence[Item]) -> bool:
    for item in items:
        if isinstance(item, Label) and pattern.search(plain(item.name)):
            return True
        if isinstance(item, (Paragraph, Label, ListItem)) and pattern.search(plain(item.text)):
            return True
        if isinstance(item, ListItem) and item.label is not None and pattern.search(plain(item.label.name)):
            return True
    return False
