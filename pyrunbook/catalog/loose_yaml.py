"""Reads the YAML of anybody's project. Nothing in a file raises: what is wrong is listed, the rest is read.

Values stay as they are written, because what a foreign file says is shown, not used: `010` is not 8, a template is not
resolved, a `!vault` is `(vaulted)`. Strict reading of our own files is `yaml_file`'s.
"""

from __future__ import annotations

import re
import stat
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.catalog.yaml_file import VAULTED, Problem, construct, too_deep, why
from pyrunbook.redaction import is_secret_name

HIDDEN = "[secret]"
MAX_BYTES = 5 * 2**20
"""A larger file is no playbook."""
_MAX_PIECES = 500
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Entries = dict[str, tuple[yaml.Node, yaml.Node]]
"""Of a mapping: key as text, to the key's node and the value's."""
_PIECE = re.compile(r"^- ", re.MULTILINE)


class LooseFile:
    """A YAML file, as far as it can be read.

    Attributes:
        file: its path.
        roots: the top node of each document; of each entry of the top list where only some of the file is YAML.
        documents: how many the file has.
        problems: what is wrong with it, in the order in which it was noticed.
    """

    def __init__(self, file: Path, text: str = "") -> None:
        self.file = file
        self.roots: list[yaml.Node] = []
        self.documents = 1
        self.problems: list[Problem] = []
        self._lines = text.splitlines()
        self._said: set[tuple[int, int, str]] = set()
        self._entries: dict[int, Entries] = {}

    def complain(self, node: yaml.Node, where: str, message: str, *, elsewhere: bool = False) -> None:
        """List a problem at a node's place."""
        self.complain_at(node.start_mark.line + 1, node.start_mark.column + 1, where, message, elsewhere=elsewhere)

    def complain_at(self, line: int, column: int, where: str, message: str, *, elsewhere: bool = False) -> None:
        """List a problem once; line and column count from 1."""
        if (line, column, message) not in self._said:
            self._said.add((line, column, message))
            self.problems.append(Problem(self.file, line, column, where, message, elsewhere))

    def entries(self, node: yaml.Node | None, where: str = "") -> Entries:
        """The entries of a mapping: key as text, to the key's node and the value's. Empty for anything else.

        Merge keys are resolved; of a key that is there twice the last one counts, as for Ansible, and it is listed.
        """
        if not isinstance(node, yaml.MappingNode):
            return {}
        if id(node) not in self._entries:
            self._entries[id(node)] = {}  # what a mapping gets that is merged into itself
            self._entries[id(node)] = self._entries_of(node, where)
        return self._entries[id(node)]

    def _entries_of(self, node: yaml.MappingNode, where: str) -> Entries:
        own: Entries = {}
        merged: Entries = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = self.entries(source, where) | merged
                continue
            name = self.written(key)
            if name in own:
                line = own[name][0].start_mark.line + 1
                self.complain(key, where, f"the key {name[:60]} is here twice, first in line {line}")
            own[name] = (key, value)
        return merged | own

    def written(self, node: yaml.Node) -> str:
        """A node as text: a scalar's value, anything else as it stands in the file, on one line."""
        if node.tag == "!vault":
            return VAULTED
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        start, end = node.start_mark, node.end_mark
        lines = self._lines[start.line : end.line + 1]
        if len(lines) == end.line - start.line + 1:
            lines[-1] = lines[-1][: end.column]
        lines[0:1] = [line[start.column :] for line in lines[0:1]]
        return " ".join(" ".join(lines).split())

    def value(self, node: yaml.Node) -> Any:
        """The plain data of a node, tags that YAML does not know ignored.

        Raises:
            ValueError: it looks like a date or a number and is none, or contains itself.
        """
        try:
            return construct(node)
        except RecursionError:
            raise ValueError("contains itself") from None

    def text(self, node: yaml.Node | None) -> str | None:
        """A scalar or a template as one line of text; `None` where there is nothing."""
        return None if node is None or node.tag == _NULL else " ".join(self.written(node).split())

    def texts(self, node: yaml.Node | None) -> tuple[str, ...]:
        """A list of texts, or one text, as a tuple."""
        if node is None or node.tag == _NULL:
            return ()
        members = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return tuple(" ".join(self.written(member).split()) for member in members)

    def told(self, node: yaml.Node, depth: int = 3) -> str:
        """A value on one line for readers: the members of a list with commas, `key: value` of a mapping.

        What stands under a secret name is hidden; whoever shows it redacts the rest.
        """
        if isinstance(node, yaml.SequenceNode) and depth:
            return ", ".join(self._member(member, depth - 1) for member in node.value)
        if isinstance(node, yaml.MappingNode) and depth and not self.written(node).startswith("{{"):
            members = self.entries(node).items()
            return ", ".join(
                f"{key}: {HIDDEN if is_secret_name(key) else self._member(value, depth - 1)}"
                for key, (_, value) in members
            )
        return " ".join(self.written(node).split())

    def _member(self, node: yaml.Node, depth: int) -> str:
        told = self.told(node, depth)
        if not depth or told.startswith("{{"):
            return told
        return f"{{{told}}}" if isinstance(node, yaml.MappingNode) else told

    def names(self, node: yaml.Node | None) -> tuple[str, ...]:
        """Like `texts`, for what Ansible lets one write with commas: tags, hosts."""
        if isinstance(node, yaml.ScalarNode) and "{{" not in node.value:
            return tuple(name.strip() for name in self.written(node).split(",") if name.strip()) if node.value else ()
        return self.texts(node)


def read_loosely(file: Path) -> LooseFile:
    """Read a file; what cannot be read is listed in its `problems`."""
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            return _nothing(file, "is no regular file")
        if found.st_size > MAX_BYTES:
            return _nothing(file, f"has {found.st_size >> 20} MiB; more than {MAX_BYTES >> 20} MiB are not read")
        raw = file.read_bytes()
    except OSError as error:
        return _nothing(file, f"cannot be read: {error.strerror}")
    if raw.startswith(b"$ANSIBLE_VAULT"):
        return _nothing(file, "the file is vaulted as a whole, so nothing of it is known")
    text, complaints = _decoded(raw)
    loose = LooseFile(file, text)
    for position, message in complaints:
        loose.complain_at(*_place(text, position), "", message)
    if too_deep(text):
        loose.complain_at(1, 1, "", "is nested too deeply to be a playbook")
        return loose
    try:
        loose.roots = _composed(text)
        loose.documents = max(1, len(loose.roots))
    except yaml.YAMLError as error:
        _complain_of(loose, error, text)
        _compose_pieces(loose, text)
    return loose


def _nothing(file: Path, message: str) -> LooseFile:
    loose = LooseFile(file)
    loose.complain_at(1, 1, "", message)
    return loose


def _decoded(raw: bytes) -> tuple[str, list[tuple[int, str]]]:
    """The text without a byte order mark, what cannot be read replaced; and complaints with the character's index."""
    complaints = []
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8-sig", errors="replace")
        complaints.append((len(raw[: error.start].decode("utf-8-sig", errors="replace")), f"not UTF-8: {error.reason}"))
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        complaints.append((unprintable.start(), f"the character {unprintable[0]!r} may not stand in YAML"))
        text = _UNPRINTABLE.sub("\ufffd", text)
    return text, complaints


def _place(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


def _composed(text: str) -> list[yaml.Node]:
    return [root for root in yaml.compose_all(text, Loader=_LOADER) if root is not None and root.tag != _NULL]


def _complain_of(loose: LooseFile, error: yaml.YAMLError, text: str) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = why(error, text) if isinstance(error, yaml.MarkedYAMLError) else str(error)
    if not any(mark and problem.line == mark.line + 1 for problem in loose.problems):
        loose.complain_at(mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, "", f"not YAML: {reason}")


def _compose_pieces(loose: LooseFile, text: str) -> None:
    """Save the plays or tasks that are whole: a broken file is a list all the same, one entry at each `- `."""
    starts = [found.start() for found in _PIECE.finditer(text)]
    if len(starts) > _MAX_PIECES:
        return
    for start, end in pairwise([*starts, len(text)]):
        try:
            # Empty lines before it keep the line numbers right.
            loose.roots += _composed("\n" * text.count("\n", 0, start) + text[start:end])
        except yaml.YAMLError as error:
            _complain_of(loose, error, text)
