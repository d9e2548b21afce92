"""Turns YAML nodes into msgspec structs and names every mistake on the way, each at its line and column.

msgspec decides whether a value fits its type; it stops at the first mistake, and knows no lines. So structs, lists and
mappings are walked here, and msgspec is asked for one value at a time.
"""

from __future__ import annotations

import types
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec
import yaml

from pyrunbook.catalog.values import read_value
from pyrunbook.project.document import Document
from pyrunbook.project.problem import Problem

T = TypeVar("T", bound=msgspec.Struct)


class _Bad:
    """Stands for a value that was wrong; the mistake is in the list of problems."""


_BAD = _Bad()


def read_struct(document: Document, node: yaml.Node, kind: type[T], where: str, problems: list[Problem]) -> T | None:
    """Read a mapping as a struct, and add every mistake to `problems`; `where` is the mapping's path in the document.

    Returns:
        `None` when anything in it was wrong.
    """
    result = _Reader(document, problems).struct(node, kind, where)
    return None if isinstance(result, _Bad) else result


class _Reader:
    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self._document = document
        self._problems = problems

    def _complain(self, node: yaml.Node, where: str, message: str) -> _Bad:
        self._problems.append(self._document.problem(node, where, message))
        return _BAD

    def struct(self, node: yaml.Node, kind: type[T], where: str) -> T | _Bad:
        if not isinstance(node, yaml.MappingNode):
            return self._complain(node, where, f"expected a mapping, got {_named(node)}")
        fields = fields_of(kind)
        values: dict[str, Any] = {}
        for name, key, value in self._document.items(node):
            path = f"{where}.{name}".lstrip(".")
            if name not in fields:
                from difflib import get_close_matches

                close = get_close_matches(name, fields, 1)
                hint = f"did you mean {close[0]}?" if close else f"the fields here are {', '.join(fields)}"
                message = f"unknown field; {hint}"
                values[f"?{name}"] = self._complain(key, path, message)
                continue
            values[fields[name].name] = self.value(value, fields[name].type, path)
        for name, field in fields.items():
            if field.required and field.name not in values:
                values[field.name] = self._complain(node, where, f"the field {name} is missing")
        if any(isinstance(value, _Bad) for value in values.values()):
            return _BAD
        try:
            return kind(**values)
        except ValueError as error:
            return self._complain(node, where, str(error))

    def value(self, node: yaml.Node, kind: Any, where: str) -> Any:
        kind, optional, origin, arguments = taken_apart(kind)
        if optional and node.tag == "tag:yaml.org,2002:null":
            return None
        if is_struct(kind):
            return self.struct(node, kind, where)
        if origin in (list, tuple):
            return self._sequence(node, origin, arguments[0], where)
        if origin is dict:
            return self._mapping(node, arguments[1], where)
        try:
            raw = self._document.value(node)
            directory = self._document.file.parent
            return msgspec.convert(raw, kind, dec_hook=lambda wanted, given: read_value(wanted, given, directory))
        except (msgspec.ValidationError, ValueError) as error:
            return self._complain(node, where, _explained(str(error), kind))

    def _sequence(self, node: yaml.Node, origin: Any, kind: Any, where: str) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self._complain(node, where, f"expected a list, got {_named(node)}")
        values = [self.value(item, kind, f"{where}[{index}]") for index, item in enumerate(node.value)]
        return _BAD if any(isinstance(value, _Bad) for value in values) else origin(values)

    def _mapping(self, node: yaml.Node, kind: Any, where: str) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._complain(node, where, f"expected a mapping, got {_named(node)}")
        values = {name: self.value(item, kind, f"{where}.{name}") for name, _, item in self._document.items(node)}
        return _BAD if any(isinstance(value, _Bad) for value in values.values()) else values


def is_struct(kind: Any) -> bool:
    """Whether a type is a struct."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@cache
def fields_of(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a struct, by the names that a file has for them."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


@cache
def taken_apart(kind: Any) -> tuple[Any, bool, Any, tuple[Any, ...]]:
    """A type without its `| None`, whether it had one, its origin (`list`, `tuple`, `dict`) and its members' types."""
    optional = False
    if get_origin(kind) in (Union, types.UnionType):
        left = [part for part in get_args(kind) if part is not type(None)]
        optional = len(left) < len(get_args(kind))
        kind = left[0] if len(left) == 1 else Union[tuple(left)]  # noqa: UP007 - built from a list
    return kind, optional, get_origin(kind), get_args(kind)


def _named(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return f"the value {str(node.value)[:60]!r}" if node.value else "nothing"


def _explained(message: str, kind: Any) -> str:
    allowed = [repr(value) for value in get_args(kind) if isinstance(value, (str, int))]
    return f"{message}; allowed: {', '.join(allowed)}" if allowed else message
