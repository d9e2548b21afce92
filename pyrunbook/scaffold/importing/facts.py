"""What a procedure says beside its steps: facts, prerequisites, symptoms, escalation, known errors, links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pyrunbook.markdown.page import CodeBlock, Html, Item, Label, ListItem, Paragraph, Section, Table, flattened
from pyrunbook.markdown.section_names import plain
from pyrunbook.scaffold.draft import BLANK, RunbookDraft, Words, blank, free, identifier
from pyrunbook.scaffold.importing.phrases import (
    PageWording,
    bare_title,
    date_in,
    length_in,
    severity_in,
    verbatim,
    window_in,
)
from pyrunbook.scaffold.importing.placed import Placed
from pyrunbook.scaffold.importing.procedures import Part, is_fact
from pyrunbook.scaffold.importing.steps import CONTINUED, commands_of

_LINKS = (
    r"(additional |further )?(references?|resources?|links?|reading)|dashboards?|see also|related( \w+)?"
    r"|liens|voir aussi|tableaux de bord"
)


class Facts:
    """Puts what it understands into a draft, and tells which lines that were."""

    def __init__(self, draft: RunbookDraft, wording: PageWording, placed: Placed) -> None:
        self._draft = draft
        self._words = wording.words
        self._language = wording.language
        self._placed = placed
        self._data = draft.metadata

    def fact(self, label: Label) -> None:
        """A label such as `**Durée estimée :** 30 minutes`; what cannot be read is left over."""
        kind, text = is_fact(label.name), label.text
        understood = True
        if kind == "updated" and date_in(text):
            self._draft.updated = date_in(text)
        elif kind == "owner" and text:
            self._draft.owner = verbatim(text)
        elif kind == "estimate" and (length := length_in(text)):
            self._data["estimate"], understood = length
        elif kind == "frequency" and text:
            self._data["frequency"] = self._words(label.source)
        elif kind == "window" and (spec := window_in(text)):
            self._data["window"] = {"spec": spec, "required": True}
        elif kind in ("severity", "risk") and (level := severity_in(text)):
            self._data[kind] = level if kind == "severity" or level != "critical" else "high"
        else:
            understood = False
        if understood:
            self._placed.take(label.line, label.end)

    def information(self, part: Part) -> None:
        """A list of facts."""
        self._placed.take(part.line)
        for item in part.items:
            if isinstance(item, Label):
                self.fact(item)
            elif isinstance(item, ListItem) and item.label is not None and not item.items:
                self.fact(item.label)

    def prerequisites(self, part: Part) -> None:
        """Each item becomes one that the operator attests."""
        taken = {item["id"] for item in self._data.get("prerequisites", [])}
        for text, details in self._points(part):
            entry: dict[str, Any] = {
                "id": free(identifier(text, 40) or "prerequisite", taken),
                "text": self._words(text),
                "check": "attested",
            }
            if details:
                entry["how"] = self._words(details)
            self._data.setdefault("prerequisites", []).append(entry)

    def symptoms(self, part: Part) -> None:
        """Each item is one."""
        for text, details in self._points(part):
            self._data.setdefault("symptoms", []).append(self._words(f"{text}\n{details}".strip()))

    def escalation(self, part: Part) -> None:
        """Each item says when; whom to call is the organisation's."""
        for text, details in self._points(part):
            when = f"{text}\n{details}".strip()
            entry: dict[str, Any] = {"to": BLANK, "when": self._words(when)}
            if length := length_in(when):
                entry["after"] = length[0]
            self._data.setdefault("escalation", []).append(entry)

    def prose(self, part: Part, name: str) -> None:
        """Running text of a field: `summary`, `impact`, `rollback`."""
        for item in flattened(part.items):
            label = item if isinstance(item, Label) else item.label if isinstance(item, ListItem) else None
            if label is not None and is_fact(label.name) == "severity" and (level := severity_in(label.text)):
                self._data.setdefault("severity", level)
        text = "\n".join(f"{point}\n{details}".strip() for point, details in self._points(part))
        if text:
            before = self._data.get(name)
            earlier = before if isinstance(before, str) else before[self._language] if before else ""
            # What is there has been made verbatim already.
            said = self._words(text)
            self._data[name] = _joined(earlier, said, self._language) if earlier else said

    def links(self, part: Part) -> bool:
        """A list of links; whether the part is one."""
        if not re.fullmatch(_LINKS, plain(part.title)) or part.sections or part.has_code():
            return False
        self._placed.take(part.line)
        for item in part.items:
            if isinstance(item, (ListItem, Paragraph)) and len(item.links) == 1 and not getattr(item, "items", ()):
                link = item.links[0]
                title = item.text if item.text.strip() else link.target
                self._data.setdefault("links", []).append({"title": self._words(title), "url": verbatim(link.target)})
                self._placed.take(item.line, item.line + item.source.count("\n"))
        return True

    def troubles(self, part: Part) -> bool:
        """Sections of known errors; whether the part has the form of such."""
        if not part.sections:
            return False
        for section in part.sections:
            self._placed.take(section.line)
            self._data.setdefault("troubleshooting", []).append(self._trouble(section))
        return True

    def _trouble(self, section: Section) -> dict[str, Any]:
        said: dict[str, list[str]] = {"cause": [], "solution": []}
        commands: list[str] = []
        current = "solution"
        for item in _all_items(section, self._placed):
            if isinstance(item, CodeBlock):
                commands += _separate(commands_of(item))
                self._placed.take(item.fence_line, item.end)
                continue
            if isinstance(item, Html):
                continue
            label = item if isinstance(item, Label) else None
            if label is not None:
                bare = plain(label.name)
                known = re.fullmatch(r"(probable |possible )?causes?", bare) or re.match(
                    r"solution|fix|resolution|correctif", bare
                )
                current = "cause" if known and "cause" in bare else "solution"
                text = label.source if known else f"{label.name}: {label.source}"
            else:
                text = _text_of(item)
            if text:
                said[current].append(text)
            self._placed.take(
                item.line, item.line + max(text.count("\n"), 0) if isinstance(item, ListItem) else item.end
            )
        error = re.sub(r"(?i)^(erreur|error|problem|problème|issue)\s*:?\s+", "", bare_title(section.title))
        entry: dict[str, Any] = {
            "error": verbatim(bare_title(error) or BLANK),
            "cause": self._words("\n".join(said["cause"]))
            if said["cause"]
            else blank("why it happens", "pourquoi cela arrive"),
            "solution": self._words("\n".join(said["solution"]))
            if said["solution"]
            else {"en": "Do what the commands say.", "fr": "Faire ce que disent les commandes."}
            if commands
            else blank("what to do", "que faire"),
        }
        return entry | ({"commands": [verbatim(command) for command in commands]} if commands else {})

    # --- texts ---------------------------------------------------------------------------------------------------

    def _points(self, part: Part) -> Iterator[tuple[str, str]]:
        """What a part says, point by point, each with its details; all of it is placed."""
        if part.value is not None:
            self._placed.take(part.value.line, part.value.end)
            if part.value.source:
                yield part.value.source, ""
        self._placed.take(part.line)
        yield from self._points_of(part.items)
        for section in part.sections:
            self._placed.take(section.line)
            details = [f"{point}\n{more}".strip() for point, more in self._points_of(_all_items(section, self._placed))]
            yield bare_title(section.title), "\n".join(details)

    def _points_of(self, items: Sequence[Item]) -> Iterator[tuple[str, str]]:
        point, details = "", list[str]()
        for item in items:
            if isinstance(item, Html) and item.text.startswith("<!--"):
                continue
            first = item.fence_line if isinstance(item, CodeBlock) else item.line
            self._placed.take(first, item.end)
            text = _text_of(item)
            if isinstance(item, CodeBlock) and point:
                details.append(text)
                continue
            if point:
                yield point, "\n".join(details)
            point, details = text, []
            if isinstance(item, ListItem):
                details = [_text_of(inside) for inside in flattened(item.items)]
        if point:
            yield point, "\n".join(details)


def _text_of(item: Item) -> str:
    if isinstance(item, CodeBlock):
        return item.text.strip("\n")
    if isinstance(item, Table):
        return "\n".join(" | ".join(row) for row in (item.head, *item.rows))
    if isinstance(item, Html):
        return item.text
    if isinstance(item, Label):
        return f"{item.name}: {item.source}"
    return item.source


def _all_items(section: Section, placed: Placed) -> list[Item]:
    """The items of a section and of all below it, those of lists too; the headings below it become text."""
    found = list(flattened(section.items))
    for below in section.sections:
        placed.take(below.line)
        found.append(Paragraph(bare_title(below.title), bare_title(below.title), below.line, below.column, below.line))
        found += _all_items(below, placed)
    return found


def _separate(commands: str) -> list[str]:
    """Commands of which each stands on one line, one by one; others together."""
    if CONTINUED.search(commands):
        return [commands.strip("\n")]
    return [line for line in commands.splitlines() if line.strip()]


def _joined(earlier: str, said: Words, language: str) -> Words:
    if isinstance(said, str):
        return f"{earlier}\n{said}"
    text = f"{earlier}\n{said[language]}"
    return {"en": f"{BLANK} (English): {text}", language: text}
