"""The page of a playbook that has no metadata, or none that can be read: what is known, and what is missing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pyrunbook.catalog import Problem
from pyrunbook.catalog.outline import OutlinePlay, OutlineRole, PlaybookImport, read_outline
from pyrunbook.catalog.outline_tasks import Item, Kind
from pyrunbook.catalog.roles import read_role
from pyrunbook.catalog.templates import SECRET
from pyrunbook.docs.index import IndexEntry, file_name
from pyrunbook.docs.labels import label
from pyrunbook.docs.markdown_text import anchor, code, fence, link, plain_text
from pyrunbook.docs.target import Target
from pyrunbook.redaction import MASK, is_secret_name, redact_text

_MOST_ITEMS = 300
"""Items of a play's section, or of a role, that are listed; the rest is counted."""
_UNTOLD = ("owner", "estimate", "prerequisites", "expected", "verification", "rollback", "troubleshooting", "contacts")
"""What no playbook says by itself."""
_LONGEST = 100
"""Characters of a setting that are shown."""


@dataclass(eq=False)
class OutlinePage:
    """A page; `broken` says why the metadata, or the notes of a step, cannot be used."""

    name: str
    path: Path
    target: Target
    language: str
    languages: tuple[str, ...]
    broken: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        """Read the playbook."""
        self._t = partial(label, language=self.language)
        self._outline = read_outline(self.path, self.target.project)
        self._anchors = {
            (role.path, role.tasks_from): anchor(f"role-{role.name}-{role.tasks_from}") for role in self._outline.roles
        }

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong in the playbook and in what it includes, in its metadata and in the notes of its steps."""
        return tuple(dict.fromkeys((*self.broken, *self._outline.problems)))

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
        t, source = self._t, self.target.shown(self.path)
        lines = [f"<!-- {t('made', code(source))} -->", "", f"# {plain_text(self.title)}", ""]
        others = [language for language in self.languages if language != self.language]
        if others:
            other = file_name(self.name.rpartition("/")[2], others[0], self.languages)
            lines += [link(t("other_language"), other), ""]
        lines += [f"## {t('missing')}", "", *(f"- {item}" for item in self._missing()), ""]
        command = f"ansible-playbook {shlex.quote(source)} -i {shlex.quote(self.target.inventory_path)}"
        lines += [f"## {t('procedure')}", "", fence(command), ""]
        for entry in self._outline.entries:
            lines += self._entry(entry)
        if self._outline.roles:
            lines += [f"## {t('roles')}", ""]
        for role in self._outline.roles:
            lines += self._role(role)
        if self.problems:
            lines += [f"## {t('broken')}", ""]
            lines += [f"- {code(self._place(problem))}: {plain_text(problem.message)}" for problem in self.problems]
        return "\n".join(lines).rstrip("\n") + "\n"

    def _missing(self) -> Iterator[str]:
        meta = self.path.with_suffix(".meta.yml")
        if not meta.is_file():
            yield self._t("no_metadata", code(self.target.shown(meta)))
        for file in dict.fromkeys(problem.file for problem in self.broken):
            yield self._t("metadata_broken", code(self.target.shown(file)))
        yield from map(self._t, _UNTOLD)
        prompts = [name for play in self._outline.plays for name in play.prompts]
        if prompts:
            yield self._t("prompts", ", ".join(code(name) for name in prompts))
        told = [item for play in self._outline.plays for item in play.walk()]
        told += [inner for role in self._outline.roles for item in role.tasks for inner in item.walk()]
        if asking := dict.fromkeys(plain_text(redact_text(item.title)) for item in told if item.asks):
            yield self._t("pauses", self._t("separator").join(asking))

    def _entry(self, entry: OutlinePlay | PlaybookImport) -> Iterator[str]:
        t = self._t
        if isinstance(entry, PlaybookImport):
            said = [*self._conditions(entry.tags, entry.when), *self._settings((), entry.variables)]
            yield "; ".join([f"**{t('imports', code(entry.target))}**", *said])
            yield ""
            for inner in entry.entries:
                yield from self._entry(inner)
            yield from (f"*{t('import_ends' if entry.entries else 'import_unread', code(entry.target))}*", "")
            return
        yield from (f"### {plain_text(redact_text(entry.name))}", "")
        facts = [f"{t('hosts')}{t('colon')}{code(entry.hosts or '?')}"]
        if entry.serial:
            facts.append(f"serial: {code(entry.serial)}")
        if entry.become:
            facts.append(f"become: {code(entry.become)}")
        if entry.tags:
            facts.append(f"{t('tags')}{t('colon')}{', '.join(map(code, entry.tags))}")
        if entry.vars_files:
            facts.append(f"vars_files: {', '.join(map(code, entry.vars_files))}")
        facts += self._settings(entry.settings, ())
        yield from (t("separator").join(facts), "")
        for section, items in entry.sections.items():
            yield from (f"**{code(section)}**", "")
            yield from self._items(items)
            yield ""

    def _items(self, items: tuple[Item, ...]) -> Iterator[str]:
        listed = list(self._flat(items, 0))
        yield from listed[:_MOST_ITEMS]
        if len(listed) > _MOST_ITEMS:
            yield f"- {self._t('more', len(listed) - _MOST_ITEMS)}"

    def _flat(self, items: tuple[Item, ...], depth: int) -> Iterator[str]:
        indent = "    " * depth
        for number, item in enumerate(items, 1):
            what = f" ({code(item.module)})" if item.kind is Kind.TASK and item.module else ""
            if item.kind is Kind.ROLE and item.role:
                what = f" ({self._applied(item)})"
            said = [*self._conditions(item.tags, item.when), *self._settings(item.settings, item.variables)]
            yield "; ".join([f"{indent}{number}. {plain_text(redact_text(item.title))}{what}", *said])
            if item.kind is Kind.ROLE:
                continue  # its tasks are told under its own heading, once
            yield from self._flat(item.children, depth + 1)
            # Items of their own, with their tasks one level below: what counts on from the block's reads as its end.
            for word, part in (("if_failed", item.rescue), ("at_the_end", item.always)):
                if part:
                    yield f"{indent}    - **{self._t(word)}**"
                    yield from self._flat(part, depth + 2)

    def _applied(self, item: Item) -> str:
        """The role that an item applies, linked to where its tasks are told."""
        said = self._t("role", code(item.role))
        target = self._anchors.get((item.role_path, item.tasks_from)) if item.role_path else None
        return link(said, f"#{target}") if target else said

    def _conditions(self, tags: tuple[str, ...], when: tuple[str, ...]) -> Iterator[str]:
        if tags:
            yield f"{self._t('tags').lower()} {', '.join(map(code, tags))}"
        if when:
            yield self._t("only_when_all", " and ".join(map(code, map(redact_text, when))))

    def _settings(self, settings: tuple[tuple[str, str], ...], variables: tuple[tuple[str, str], ...]) -> Iterator[str]:
        for key, value in settings:
            yield f"{key}{self._t('colon')}{code(_public(key, value))}"
        if variables:
            yield self._t("with", ", ".join(code(f"{key}: {_public(key, value)}") for key, value in variables))

    def _role(self, applied: OutlineRole) -> Iterator[str]:
        role = read_role(applied.path.parent, applied.path.name, self.target.project)
        file = f", {code(applied.tasks_from)}" if applied.tasks_from else ""
        yield from (f'<a id="{self._anchors[applied.path, applied.tasks_from]}"></a>', "")
        yield from (f"### {plain_text(applied.name)}{file}", "")
        for text in dict.fromkeys((role.description, role.summary)):
            if text:
                yield from (plain_text(text), "")
        if role.inputs:
            for name, item in role.inputs.items():
                yield f"- {code(name)} ({item.kind}): {plain_text(item.text)}"
            yield ""
        if applied.dependencies:
            yield from (self._t("first_roles"), "")
            yield from (*self._items(applied.dependencies), "")
        for section, items in (("tasks", applied.tasks), ("handlers", applied.handlers)):
            if items:
                yield from (f"**{code(section)}**", "", *self._items(items), "")

    def _place(self, problem: Problem) -> str:
        return f"{self.target.shown(problem.file)}:{problem.line}:{problem.column}"


def _public(key: str, value: str) -> str:
    """What is written under a keyword or a variable, without its secrets, and not too long for a line."""
    if is_secret_name(key):
        return str(SECRET)
    said = redact_text(f"{key}: {value}").removeprefix(f"{key}: ").replace(MASK, str(SECRET))
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
