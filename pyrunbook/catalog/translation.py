"""Words in other languages. They stand beside the English ones: `x.meta.fr.yml` beside `x.meta.yml`, with its keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pyrunbook.catalog.values import LANGUAGES, Text
from pyrunbook.project.document import Document, read
from pyrunbook.project.problem import InvalidFile, Problem

NAMED = ("titles", "inputs")
"""What a translation holds by name: the English titles are the playbook's, the English meanings are the inputs' own."""
KEYS = ("id", "error")
"""What an entry of a list is known by, where it has one of these; by its position where not."""


def translations_of(file: Path) -> dict[str, Path]:
    """The translations that stand beside a file, by their language."""
    beside = {language: file.with_suffix(f".{language}{file.suffix}") for language in LANGUAGES if language != "en"}
    return {language: path for language, path in beside.items() if path.is_file()}


def add_translations(file: Path, base: msgspec.Struct, problems: list[Problem]) -> None:
    """Give the texts of a struct the words of the translations beside its file; their mistakes go to `problems`."""
    for language, path in translations_of(file).items():
        try:
            document = read(path)
        except InvalidFile as error:
            problems += error.problems
        else:
            problems += _Translation(document, file.name, language).add(base, document.root, "")


class _Translation:
    def __init__(self, document: Document, base: str, language: str) -> None:
        self._document = document
        self._base = base
        self._language = language

    def add(self, base: Any, node: yaml.Node, where: str) -> Iterator[Problem]:
        """Add the words of a node to what it translates."""
        if isinstance(base, Text):
            if not _is_words(node):
                yield self._document.problem(node, where, "expected words")
            else:
                base.say_in(self._language, str(node.value).strip())
        elif isinstance(base, msgspec.Struct):
            yield from self._struct(base, node, where)
        elif isinstance(base, tuple) and base:
            yield from self._list(base, node, where)
        else:
            yield self._document.problem(node, where, f"{self._base} has nothing to translate here")

    def _struct(self, base: msgspec.Struct, node: yaml.Node, where: str, known_by: str = "") -> Iterator[Problem]:
        if not isinstance(node, yaml.MappingNode):
            yield self._document.problem(node, where, "expected a mapping")
        for name, key, value in self._document.items(node):
            path = f"{where}.{name}".lstrip(".")
            if name == known_by:
                continue
            if name in NAMED and hasattr(base, name):
                yield from self._named(getattr(base, name), value, path)
            elif name in base.__struct_fields__:
                yield from self.add(getattr(base, name), value, path)
            else:
                yield self._document.problem(key, path, f"{self._base} has no such key")

    def _named(self, words: dict[str, dict[str, str]], node: yaml.Node, where: str) -> Iterator[Problem]:
        if not isinstance(node, yaml.MappingNode):
            yield self._document.problem(node, where, "expected a mapping of name to words")
        for name, _, value in self._document.items(node):
            if _is_words(value):
                words.setdefault(self._language, {})[name] = str(value.value).strip()
            else:
                yield self._document.problem(value, f"{where}.{name}", "expected words")

    def _list(self, base: tuple[Any, ...], node: yaml.Node, where: str) -> Iterator[Problem]:
        if not isinstance(node, yaml.SequenceNode):
            yield self._document.problem(node, where, "expected a list")
            return
        by = next((key for key in KEYS if hasattr(base[0], key)), None)
        if by is None and len(node.value) != len(base):
            message = f"{self._base} has {len(base)} entries here, not {len(node.value)}"
            yield self._document.problem(node, where, message)
            return
        known = {getattr(entry, by): entry for entry in base} if by else {}
        for index, item in enumerate(node.value):
            path, key = f"{where}[{index}]", self._document.get(item, by) if by else None
            if by is None:
                yield from self.add(base[index], item, path)
            elif key is None or key.value not in known:
                named = f"no {by}" if key is None else f"the {by} {str(key.value)[:60]!r}"
                yield self._document.problem(item, path, f"has {named}; it has to be one of {self._base}")
            else:
                yield from self._struct(known[key.value], item, path, known_by=by)


def _is_words(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" and bool(node.value.strip())
