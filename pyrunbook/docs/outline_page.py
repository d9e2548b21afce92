"""The page of a playbook that has no metadata, or none that can be read: what is known, and what is missing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pyrunbook.catalog import Problem
from pyrunbook.catalog.outline import Outline, OutlinePlay, PlaybookImport, read_outline
from pyrunbook.catalog.outline_tasks import Item, Kind
from pyrunbook.catalog.roles import Role, read_role
from pyrunbook.docs.index_entry import IndexEntry, file_name
from pyrunbook.docs.labels import label
from pyrunbook.docs.markdown_text import code, fence, link, plain_text
from pyrunbook.docs.target import Target
from pyrunbook.redaction import redact_text

_MOST_ITEMS = 300
"""Items of a play that are listed; the rest is counted."""


class OutlinePage:
    """A page.

    Args:
        name: of the page: its path below the output directory, without extension.
        path: of the playbook.
        target: the project, and whose inventory its commands name.
        language: `en` or `fr`.
        languages: all in which pages are written; the first has no suffix.
        broken: why the metadata, or the notes of a step, cannot be used.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        target: Target,
        language: str,
        *,
        languages: tuple[str, ...],
        broken: tuple[Problem, ...] = (),
    ) -> None:
        self.name = name
        self.language = language
        self.languages = languages
        self._path = path
        self._target = target
        self._t = partial(label, language=language)
        self._broken = broken
        self._outline: Outline = read_outline(path, target.project)
        self._roles: dict[str, Role] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong in the playbook and in what it includes, in its metadata and in the notes of its steps."""
        return tuple(dict.fromkeys((*self._broken, *self._outline.problems)))

    @property
    def lacks_metadata(self) -> bool:
        """Whether there is metadata, or a step's notes, that cannot be used."""
        return bool(self._broken)

    @property
    def title(self) -> str:
        """The file's name in words."""
        words = re.sub(r"[_\W]+", " ", self.name.rpartition("/")[2]).strip()
        return words[:1].upper() + words[1:] or self.name

    def entry(self) -> IndexEntry:
        """The page in the index."""
        category = self.name.rpartition("/")[0]
        return IndexEntry(self.name, category, self.title, file_name(self.name, self.language, self.languages))

    def as_markdown(self) -> str:
        """The page."""
        t, source = self._t, self._target.shown(self._path)
        lines = [f"<!-- {t('made', code(source))} -->", "", f"# {plain_text(self.title)}", ""]
        others = [language for language in self.languages if language != self.language]
        if others:
            lines += [
                link(t("other_language"), file_name(self.name.rpartition("/")[2], others[0], self.languages)),
                "",
            ]
        lines += [f"## {t('missing')}", "", *(f"- {item}" for item in self._missing()), ""]
        lines += [
            f"## {t('procedure')}",
            "",
            fence(f"ansible-playbook {shlex.quote(source)} -i {shlex.quote(self._target.inventory_path)}"),
            "",
        ]
        for entry in self._outline.entries:
            lines += self._entry(entry)
        roles = [
            role for role in self._roles.values() if role.path and (role.description or role.summary or role.inputs)
        ]
        if roles:
            lines += [f"## {t('roles')}", ""]
        for role in roles:
            lines += self._role(role)
        if self.problems:
            lines += [f"## {t('broken')}", ""]
            lines += [f"- {code(self._place(problem))}: {plain_text(problem.message)}" for problem in self.problems]
        return "\n".join(lines).rstrip("\n") + "\n"

    def _missing(self) -> Iterator[str]:
        meta = self._path.with_suffix(".meta.yml")
        if not meta.is_file():
            yield self._t("no_metadata", code(self._target.shown(meta)))
        for file in dict.fromkeys(problem.file for problem in self._broken):
            yield self._t("metadata_broken", code(self._target.shown(file)))
        for key in (
            "owner",
            "estimate",
            "prerequisites",
            "expected",
            "verification",
            "rollback",
            "troubleshooting",
            "contacts",
        ):
            yield self._t(key)
        prompts = [name for play in self._outline.plays for name in play.prompts]
        if prompts:
            yield self._t("prompts", ", ".join(code(name) for name in prompts))

    def _entry(self, entry: OutlinePlay | PlaybookImport) -> Iterator[str]:
        t = self._t
        if isinstance(entry, PlaybookImport):
            yield f"{t('imports', code(entry.target))}{self._conditions(entry.tags, entry.when)}"
            yield ""
            for inner in entry.entries:
                yield from self._entry(inner)
            return
        yield from (f"### {plain_text(redact_text(entry.name))}", "")
        facts = [f"{t('hosts')}{t('colon')}{code(entry.hosts or '?')}"]
        if entry.serial:
            facts.append(f"serial: {code(entry.serial)}")
        if entry.become:
            facts.append(f"become: {code(entry.become)}")
        if entry.tags:
            facts.append(f"{t('tags')}{t('colon')}{', '.join(map(code, entry.tags))}")
        yield from (t("separator").join(facts), "")
        for section, items in entry.sections.items():
            yield from (f"**{code(section)}**", "")
            yield from self._items(items)
            yield ""

    def _items(self, items: tuple[Item, ...]) -> Iterator[str]:
        listed = list(self._flat(items, 0, ""))
        yield from listed[:_MOST_ITEMS]
        if len(listed) > _MOST_ITEMS:
            yield f"- {self._t('more', len(listed) - _MOST_ITEMS)}"

    def _flat(self, items: tuple[Item, ...], depth: int, label: str) -> Iterator[str]:
        indent = "    " * depth
        for number, item in enumerate(items, 1):
            what = f" ({code(item.module)})" if item.kind is Kind.TASK and item.module else ""
            if item.kind is Kind.ROLE and item.role:
                what = f" ({self._t('role', code(item.role))})"
                self._remember(item)
            mark = f"*{label}* " if label and number == 1 else ""
            title = plain_text(redact_text(item.title))
            yield f"{indent}{number}. {mark}{title}{what}{self._conditions(item.tags, item.when)}"
            if item.kind is Kind.ROLE:
                continue  # its tasks are told under its own heading, once
            yield from self._flat(item.children, depth + 1, "")
            yield from self._flat(item.rescue, depth + 1, "rescue")
            yield from self._flat(item.always, depth + 1, "always")

    def _conditions(self, tags: tuple[str, ...], when: tuple[str, ...]) -> str:
        parts = [f"{self._t('tags').lower()} {', '.join(map(code, tags))}"] if tags else []
        parts += [self._t("only_when_all", " and ".join(map(code, map(redact_text, when))))] if when else []
        return f"; {'; '.join(parts)}" if parts else ""

    def _remember(self, item: Item) -> None:
        if item.role and item.role not in self._roles and item.role_path is not None:
            self._roles[item.role] = read_role(item.role_path.parent, item.role_path.name, self._target.project)

    def _role(self, role: Role) -> Iterator[str]:
        yield from (f"### {role.name}", "")
        for text in dict.fromkeys((role.description, role.summary)):
            if text:
                yield from (plain_text(text), "")
        if role.inputs:
            for name, item in role.inputs.items():
                yield f"- {code(name)} ({item.kind}): {plain_text(item.text)}"
            yield ""

    def _place(self, problem: Problem) -> str:
        return f"{self._target.shown(problem.file)}:{problem.line}:{problem.column}"
