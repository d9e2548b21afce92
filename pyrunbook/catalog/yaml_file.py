"""Reads YAML so that every complaint can name file, line and column. Executes nothing, resolves no templates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.errors import BadInput

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

VAULTED = "(vaulted)"
"""What stands in place of a `!vault` value."""


@dataclass(frozen=True)
class Problem:
    """Something wrong in a file; `line` and `column` count from 1, `where` is the dotted path inside the file.

    Where `elsewhere`, the file itself may be right: it names a role or a file that is kept outside of the project.
    """

    file: Path
    line: int
    column: int
    where: str
    message: str
    elsewhere: bool = False

    def __str__(self) -> str:
        """`file:line:column: where: message`, as editors and CI read it."""
        where = f"{self.where}: " if self.where else ""
        return f"{_shown(self.file)}:{self.line}:{self.column}: {where}{self.message}"


class InvalidFile(BadInput):
    """Files of the catalog are wrong. Carries all problems, not only the first."""

    def __init__(self, problems: list[Problem], *, next_step: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems), next_step=next_step)


class Document:
    """A YAML file as nodes that know where they stand.

    Attributes:
        file: its path.
        root: the top node.
    """

    def __init__(self, file: Path, root: yaml.Node, loader: Any) -> None:
        self.file = file
        self.root = root
        self._loader = loader

    def value(self, node: yaml.Node) -> Any:
        """The plain data of a node; tags that YAML does not know are ignored.

        Raises:
            ValueError: it looks like a date or a number and is none.
        """
        return construct(node, self._loader)

    def items(self, node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """The entries of a mapping, merge keys resolved: key as text, its node, and the value's node."""
        if isinstance(node, yaml.MappingNode):
            self._loader.flatten_mapping(node)
            for key, value in node.value:
                yield str(key.value), key, value

    def get(self, node: yaml.Node | None, key: str) -> yaml.Node | None:
        """The value of a key of a mapping; `None` where there is none."""
        if node is None:
            return None
        return next((value for name, _, value in self.items(node) if name == key), None)

    def problem(self, node: yaml.Node, where: str, message: str) -> Problem:
        """A complaint about a node."""
        return Problem(self.file, node.start_mark.line + 1, node.start_mark.column + 1, where, message)


_MAX_DEPTH = 100
_FAR_RIGHT = re.compile(rf"^[-?: ]{{{_MAX_DEPTH // 2}}}", re.MULTILINE)
_PAIR = re.compile(r"""[\[{][^\[\]{}"'#\n]*[\]}]""")


def too_deep(text: str) -> bool:
    """Whether YAML is nested so deeply that reading it would end the process: libyaml's composer recurses in C.

    A quick look at the text nearly always suffices; where it does not, the events are counted, which needs no stack.
    """
    # A level of block style moves a line's first word to the right, or is a list that stands below its key.
    if not _FAR_RIGHT.search(text) and not _many_brackets(text):
        return False
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Base):
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


class _Loader(_Base):  # type: ignore[misc]
    """Safe, and indifferent to Ansible's tags."""


def _construct_unknown(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if suffix == "vault":
        return VAULTED
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _construct_unknown)


def construct(node: yaml.Node, loader: Any = None) -> Any:
    """The plain data of a node; tags that YAML does not know are ignored.

    Raises:
        ValueError: it looks like a date or a number and is none.
    """
    if node.tag == "tag:yaml.org,2002:str" and isinstance(node, yaml.ScalarNode):
        return node.value  # most values are texts, and this is what the constructor makes of them
    try:
        return (loader or _Loader("")).construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(getattr(error, "problem", None) or str(error)) from None


def why(error: yaml.MarkedYAMLError, text: str) -> str:
    """What the parser says; of a tab, which looks like the blanks that YAML wants, that it is one."""
    mark = error.problem_mark or error.context_mark
    rows = text.splitlines()
    row = rows[mark.line] if mark and mark.line < len(rows) else ""
    if mark and re.match(r"[ \t]*\t", row) and not row[: mark.column].strip():
        return "a tab stands here, and YAML is indented with blanks"
    return str(error.problem or error.context)


def read(file: Path) -> Document:
    """Read a YAML file of one document.

    Raises:
        InvalidFile: it cannot be read, is not YAML, is empty, or has a key twice.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8: {error.reason}"
        raise InvalidFile([Problem(file, 1, 1, "", f"cannot be read: {reason}")]) from None
    if too_deep(text):
        raise InvalidFile([Problem(file, 1, 1, "", "is nested too deeply")])
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise InvalidFile([Problem(file, line, column, "", f"not YAML: {why(error, text)}")]) from None
    except yaml.YAMLError as error:
        raise InvalidFile([Problem(file, 1, 1, "", f"not YAML: {error}")]) from None
    if root is None:
        raise InvalidFile([Problem(file, 1, 1, "", "the file is empty")])
    document = Document(file, root, loader)
    if _has_duplicate_keys(root):
        raise InvalidFile(list(_duplicate_keys(document, root, "", set())))
    return document


def _has_duplicate_keys(root: yaml.Node) -> bool:
    """The quick look; a node that aliases name often is looked at once."""
    seen: set[int] = set()
    left = [root]
    while left:
        node = left.pop()
        if isinstance(node, yaml.ScalarNode) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            names = [str(key.value) for key, _ in node.value if key.value != "<<"]
            if len(set(names)) < len(names):
                return True
            left += [value for _, value in node.value]
        else:
            left += node.value
    return False


def _duplicate_keys(document: Document, node: yaml.Node, where: str, seen: set[int]) -> Iterator[Problem]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicate_keys(document, item, f"{where}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            path = f"{where}.{name}".lstrip(".")
            if name in first and name != "<<":
                line = first[name].start_mark.line + 1
                yield document.problem(key, path, f"the key is here twice, first in line {line}")
            first.setdefault(name, key)
            yield from _duplicate_keys(document, value, path, seen)


def _shown(file: Path) -> str:
    try:
        return str(file.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(file)
