"""A YAML file as nodes that know where they stand. Executes nothing, resolves no templates.

There are two ways to open one. `read` is for what pyrunbook acts on: the first thing that is wrong refuses the file.
`read_leniently` is for what is only shown or checked: what is wrong is listed, and the rest is read. Its texts stay as
they are written: `010` is not 8, and a `!vault` is `(vaulted)`.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.project.problem import InvalidFile, Problem, Spot
from pyrunbook.redaction import is_secret_name

VAULTED = "(vaulted)"
"""Stands in place of a `!vault` value."""
HIDDEN = "[secret]"
MAX_BYTES = 5 * 2**20
"""A larger file is not read."""
NULL = "tag:yaml.org,2002:null"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Entries = dict[str, tuple[yaml.Node, yaml.Node]]
"""Of a mapping: key as text, to the key's node and the value's."""
_MERGE = "tag:yaml.org,2002:merge"
_MAX_PIECES = 500
_MAX_DEPTH = 100
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PIECE = re.compile(r"^- ", re.MULTILINE)
_FAR_RIGHT = re.compile(rf"^[-?: ]{{{_MAX_DEPTH // 2}}}", re.MULTILINE)
_PAIR = re.compile(r"""[\[{][^\[\]{}"'#\n]*[\]}]""")


class Document:
    """A YAML file.

    Attributes:
        lines: of its text; none where it could not be read.
        roots: the top node of each document in it; of each entry of the top list where only some of it is YAML.
        documents: how many documents the file has.
        problems: what is wrong with it, in the order in which it was noticed.
    """

    def __init__(self, file: Path, text: str = "") -> None:
        self.file = file
        self.lines = text.splitlines()
        self.roots: list[yaml.Node] = []
        self.documents = 1
        self.problems: list[Problem] = []
        self._said: set[tuple[int, int, str]] = set()
        self._entries: dict[int, tuple[yaml.Node, Entries]] = {}  # with the node, so that its id stays its own

    @property
    def root(self) -> yaml.Node:
        """The top node of a file that `read` accepted."""
        return self.roots[0]

    # --- places and complaints -----------------------------------------------------------------------------------

    def spot(self, node: yaml.Node) -> Spot:
        """Where a node begins."""
        return Spot(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def key_spot(self, node: yaml.Node | None, key: str) -> Spot | None:
        """Where a key of a mapping stands."""
        found = self.entries(node).get(key)
        return self.spot(found[0]) if found else None

    def problem(self, node: yaml.Node, where: str, message: str, *, elsewhere: bool = False) -> Problem:
        """A problem at a node's place."""
        return Problem(*self.spot(node), where, message, elsewhere)

    def complain(self, node: yaml.Node, where: str, message: str, *, elsewhere: bool = False) -> None:
        """List a problem at a node's place."""
        self._list(self.problem(node, where, message, elsewhere=elsewhere))

    def complain_at(self, line: int, column: int, message: str) -> None:
        """List a problem at a place."""
        self._list(Problem(self.file, line, column, "", message))

    def _list(self, problem: Problem) -> None:
        key = (problem.line, problem.column, problem.message)
        if key not in self._said:
            self._said.add(key)
            self.problems.append(problem)

    # --- mappings ------------------------------------------------------------------------------------------------

    def entries(self, node: yaml.Node | None, where: str = "") -> Entries:
        """The entries of a mapping: key as text, to the key's node and the value's. Empty for anything else.

        Merge keys are resolved. Of a key that is there twice the last one counts, as for Ansible, and it is listed.
        """
        if not isinstance(node, yaml.MappingNode):
            return {}
        if id(node) not in self._entries:
            self._entries[id(node)] = (node, {})  # what a mapping gets that is merged into itself
            self._entries[id(node)] = (node, self._entries_of(node, where))
        return self._entries[id(node)][1]

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

    def items(self, node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """The entries of a mapping one by one: key as text, its node, and the value's node."""
        for name, (key, value) in self.entries(node).items():
            yield name, key, value

    def get(self, node: yaml.Node | None, *keys: str) -> yaml.Node | None:
        """The value below these keys, each in the mapping that the one before leads to; `None` where there is none."""
        for key in keys:
            node = self.entries(node).get(key, (None, None))[1]
        return node

    # --- values --------------------------------------------------------------------------------------------------

    def value(self, node: yaml.Node) -> Any:
        """The plain data of a node; tags that YAML does not know are ignored.

        Raises:
            ValueError: it looks like a date or a number and is none, or contains itself.
        """
        if node.tag == "tag:yaml.org,2002:str" and isinstance(node, yaml.ScalarNode):
            return node.value  # most values are texts, and this is what the constructor makes of them
        try:
            return _Loader("").construct_document(node)
        except yaml.YAMLError as error:
            raise ValueError(getattr(error, "problem", None) or str(error)) from None
        except RecursionError:
            raise ValueError("contains itself") from None

    def written(self, node: yaml.Node) -> str:
        """A node as text: a scalar's value, anything else as it stands in the file, on one line."""
        if node.tag == "!vault":
            return VAULTED
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        start, end = node.start_mark, node.end_mark
        lines = self.lines[start.line : end.line + 1]
        if len(lines) == end.line - start.line + 1:
            lines[-1] = lines[-1][: end.column]
        lines[0:1] = [line[start.column :] for line in lines[0:1]]
        return " ".join(" ".join(lines).split())

    def text(self, node: yaml.Node | None) -> str | None:
        """A scalar or a template as one line of text; `None` where there is nothing."""
        return None if node is None or node.tag == NULL else " ".join(self.written(node).split())

    def texts(self, node: yaml.Node | None) -> tuple[str, ...]:
        """A list of texts, or one text, as a tuple."""
        if node is None or node.tag == NULL:
            return ()
        members = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return tuple(" ".join(self.written(member).split()) for member in members)

    def names(self, node: yaml.Node | None) -> tuple[str, ...]:
        """Like `texts`, for what Ansible lets one write with commas: tags, hosts."""
        if isinstance(node, yaml.ScalarNode) and "{{" not in node.value:
            return tuple(name.strip() for name in self.written(node).split(",") if name.strip()) if node.value else ()
        return self.texts(node)

    def brief(self, node: yaml.Node, depth: int = 3) -> str:
        """A value on one line for readers: the members of a list with commas, `key: value` of a mapping.

        What stands under a secret name is hidden; whoever shows it redacts the rest.
        """
        if isinstance(node, yaml.SequenceNode) and depth:
            return ", ".join(self._member(member, depth - 1) for member in node.value)
        if isinstance(node, yaml.MappingNode) and depth and not self.written(node).startswith("{{"):
            return ", ".join(
                f"{key}: {HIDDEN if is_secret_name(key) else self._member(value, depth - 1)}"
                for key, (_, value) in self.entries(node).items()
            )
        return " ".join(self.written(node).split())

    def _member(self, node: yaml.Node, depth: int) -> str:
        text = self.brief(node, depth)
        if not depth or text.startswith("{{"):
            return text
        return f"{{{text}}}" if isinstance(node, yaml.MappingNode) else text


class _Loader(LOADER):  # type: ignore[misc]
    """Safe, and indifferent to Ansible's tags."""

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> Any:
        """The data of a mapping; merge keys are resolved in a copy, so that the node stays as it is in the file."""
        if isinstance(node, yaml.MappingNode) and any(key.tag == _MERGE for key, _ in node.value):
            node = yaml.MappingNode(node.tag, list(node.value), node.start_mark, node.end_mark)
        return super().construct_mapping(node, deep)


def _construct_unknown(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if suffix == "vault":
        return VAULTED
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _construct_unknown)


# --- reading -----------------------------------------------------------------------------------------------------


def read(file: Path) -> Document:
    """Read a YAML file of one document.

    Raises:
        InvalidFile: it cannot be read, is not YAML, is empty, or has a key twice.
    """
    document = _opened(file, lenient=False)
    if not document.problems and not document.roots:
        document.complain_at(1, 1, "the file is empty")
    elif len(document.roots) > 1:
        document.complain(document.roots[1], "", "not YAML: but found another document")
    elif not document.problems:
        _complain_of_duplicate_keys(document)
    if document.problems:
        raise InvalidFile(document.problems)
    return document


def read_leniently(file: Path) -> Document:
    """Read as much of a file as can be read; what is wrong is listed in its `problems`. Raises nothing."""
    return _opened(file, lenient=True)


def _opened(file: Path, *, lenient: bool) -> Document:
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            return _unread(file, "is no regular file")
        if found.st_size > MAX_BYTES:
            return _unread(file, f"has {found.st_size >> 20} MiB; more than {MAX_BYTES >> 20} MiB are not read")
        raw = file.read_bytes()
    except OSError as error:
        return _unread(file, f"cannot be read: {error.strerror}")
    if raw.startswith(b"$ANSIBLE_VAULT"):
        return _unread(file, "the file is vaulted as a whole, so nothing of it is known")
    text, complaints = _decoded(raw)
    document = Document(file, text)
    for position, message in complaints:
        before = text[:position]
        place = before.count("\n") + 1, position - before.rfind("\n")
        document.complain_at(*place, message if lenient else f"cannot be read: {message}")
    if too_deep(text):
        document.complain_at(1, 1, "is nested too deeply")
        return document
    try:
        document.roots = [*_composed(text)]
        document.documents = max(1, len(document.roots))
    except yaml.YAMLError as error:
        _complain_of(document, error, text)
        if lenient:
            _read_pieces(document, text)
    return document


def _unread(file: Path, why: str) -> Document:
    document = Document(file)
    document.complain_at(1, 1, why)
    return document


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


@lru_cache(maxsize=64)
def _composed(text: str) -> tuple[yaml.Node, ...]:
    """The nodes of a text; nobody changes them. A few texts are kept: strict and lenient readers share them."""
    return tuple(root for root in yaml.compose_all(text, Loader=LOADER) if root is not None and root.tag != NULL)


def _complain_of(document: Document, error: yaml.YAMLError, text: str) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = why(error, text) if isinstance(error, yaml.MarkedYAMLError) else str(error)
    if not any(mark and problem.line == mark.line + 1 for problem in document.problems):
        document.complain_at(mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, f"not YAML: {reason}")


def _read_pieces(document: Document, text: str) -> None:
    """Save the plays or tasks that are whole: a broken file is a list all the same, one entry at each `- `."""
    starts = [found.start() for found in _PIECE.finditer(text)]
    if len(starts) > _MAX_PIECES:
        return
    for start, end in pairwise([*starts, len(text)]):
        try:
            # Empty lines before it keep the line numbers right.
            document.roots += _composed("\n" * text.count("\n", 0, start) + text[start:end])
        except yaml.YAMLError as error:
            _complain_of(document, error, text)


def why(error: yaml.MarkedYAMLError, text: str) -> str:
    """What the parser says; of a tab, which looks like the blanks that YAML wants, that it is one."""
    mark = error.problem_mark or error.context_mark
    rows = text.splitlines()
    row = rows[mark.line] if mark and mark.line < len(rows) else ""
    if mark and re.match(r"[ \t]*\t", row) and not row[: mark.column].strip():
        return "a tab stands here, and YAML is indented with blanks"
    return str(error.problem or error.context)


def too_deep(text: str) -> bool:
    """Whether YAML is nested so deeply that reading it would end the process: libyaml's composer recurses in C.

    A quick look at the text nearly always suffices; where it does not, the events are counted, which needs no stack.
    """
    # A level of block style moves a line's first word to the right, or is a list that stands below its key.
    if not _FAR_RIGHT.search(text) and not _many_brackets(text):
        return False
    depth = 0
    try:
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > _MAX_DEPTH:
                return True
    except yaml.YAMLError as error:  # whoever reads it says what else is wrong
        return "maximum nesting depth" in str(error)  # of newer versions of libyaml
    return False


def _many_brackets(text: str) -> bool:
    if text.count("[") + text.count("{") < _MAX_DEPTH // 2:
        return False
    # A closing bracket may stand in a comment or in quotes; only pairs that are surely pairs are taken out: {{ x }}.
    left = _PAIR.sub("", _PAIR.sub("", text))
    return left.count("[") + left.count("{") >= _MAX_DEPTH // 2


def _complain_of_duplicate_keys(document: Document) -> None:
    """Ask for the entries of every mapping, which lists what is there twice; aliases are followed once."""
    seen: set[int] = set()
    left: list[tuple[yaml.Node, str]] = [(document.root, "")]
    while left:
        node, where = left.pop()
        if isinstance(node, yaml.ScalarNode) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            entries = document.entries(node, where).items()
            left += [(value, f"{where}.{name}".lstrip(".")) for name, (_, value) in entries]
        else:
            left += [(item, f"{where}[{index}]") for index, item in enumerate(node.value)]
    document.problems.sort(key=lambda problem: (problem.line, problem.column))
