"""JSON schemas of the files that the catalog reads, for editors and for `pyrunbook schema`.

msgspec makes them of the types; what a type says about its fields in its docstring becomes what an editor shows. A
schema refuses all that it can express; the reader has the last word, for what it cannot: that a window is met at some
time, that a key is there once, that a regular expression is one of Python's, that two fields agree in their numbers.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from pyrunbook.catalog.metadata import ArgumentSpec, Metadata, Prerequisite
from pyrunbook.catalog.settings import Settings
from pyrunbook.catalog.step_notes import StepNotes
from pyrunbook.catalog.strict import fields_of, is_struct, taken_apart
from pyrunbook.catalog.translation import KEYS, NAMED
from pyrunbook.catalog.values import LANGUAGES, Text

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
# A field and its words in a docstring, cleaned: those lines that follow and stand further right belong to it.
_FIELD = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)

_WORDS = {"type": "string", "pattern": r"\S"}
_OTHER_LANGUAGES = {"enum": [language for language in LANGUAGES if language != "en"]}
# What `__post_init__` of a type asks for, as far as a schema can say it.
_BETWEEN_FIELDS: dict[type[msgspec.Struct], dict[str, Any]] = {
    Metadata: {"properties": {name: {"propertyNames": _OTHER_LANGUAGES} for name in ("titles", "inputs")}},
    Prerequisite: {"properties": {"id": {"type": "string", "pattern": "^[a-z_][a-z0-9_]*$"}}},
    StepNotes: {
        "if": {"properties": {"check_mode": {"const": "partial"}}, "required": ["check_mode"]},
        "then": {"required": ["check_mode_why"]},
        "else": {"not": {"required": ["check_mode_why"]}},
    },
}


def metadata_schema() -> dict[str, Any]:
    """Of `<name>.meta.yml`: one spec with a `runbook` block, and perhaps others of plays that have none."""
    spec, definitions = _of(ArgumentSpec)
    return {
        "$schema": _DRAFT,
        "title": "Metadata of a runbook",
        "description": "Beside a playbook: `<name>.meta.yml`. ansible-core reads the inputs, pyrunbook also `runbook`.",
        "type": "object",
        "properties": {
            "argument_specs": {
                "description": "One spec, named like its play.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"if": {"required": ["runbook"]}, "then": spec, "else": {"type": "object"}},
            }
        },
        "required": ["argument_specs"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def file_schema(kind: type[msgspec.Struct], title: str) -> dict[str, Any]:
    """Of a file that is one struct: a role's `meta/step.yml`, a project's `.pyrunbook.yml`."""
    reference, definitions = _of(kind)
    return {"$schema": _DRAFT, "title": title, **reference, "$defs": definitions}


def translation_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Of the words of another language beside a runbook's metadata or a role's notes."""
    beside = "`<name>.meta.yml`, below `runbook`" if kind is Metadata else "`meta/step.yml`"
    return {"$schema": _DRAFT, "title": f"Words of another language, with the keys of {beside}", **_words_of(kind)}


def _words_of(kind: Any) -> dict[str, Any]:
    """What a translation may hold of a type; nothing where there is nothing to translate."""
    kind, _, origin, arguments = taken_apart(kind)
    if kind is Text:
        return _WORDS
    if origin is tuple:
        items = _words_of(arguments[0])
        return {"type": "array", "items": items} if items else {}
    if not is_struct(kind):
        return {}
    fields = fields_of(kind)
    named = {"type": "object", "additionalProperties": _WORDS}
    found = {name: named if name in NAMED else _words_of(field.type) for name, field in fields.items()}
    found = {name: words for name, words in found.items() if words}
    if not found:
        return {}
    known_by = [name for name in KEYS if name in fields]
    found |= {name: {"type": "string"} for name in known_by}
    also = {"required": known_by} if known_by else {}
    return {"type": "object", "properties": found, **also, "additionalProperties": False}


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "runbook": metadata_schema,
    "runbook-translation": partial(translation_schema, Metadata),
    "step": partial(file_schema, StepNotes, "Notes of a step: `meta/step.yml` of its role"),
    "step-translation": partial(translation_schema, StepNotes),
    "settings": partial(file_schema, Settings, "Settings of a project: .pyrunbook.yml"),
}
"""The schemas by the name that `pyrunbook schema` takes."""


def _of(kind: type[msgspec.Struct]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A reference to the type's definition, and all definitions that it needs, described."""
    values: set[type[Any]] = set()

    def hook(value: type[Any]) -> dict[str, Any]:
        values.add(value)
        return {"$ref": f"#/$defs/{value.__name__}"}

    (reference,), definitions = msgspec.json.schema_components([kind], schema_hook=hook, ref_template="#/$defs/{name}")
    for struct in _structs(msgspec.Struct):
        if struct.__name__ in definitions:
            _describe(definitions[struct.__name__], struct)
    for value in values:
        definitions[value.__name__] = {"description": _summary(value), **value.SCHEMA}
    return reference, dict(sorted(definitions.items()))


def _structs(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for below in kind.__subclasses__():
        if below.__module__.startswith("pyrunbook.catalog."):
            yield below
        yield from _structs(below)


def _describe(definition: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    definition["description"] = _summary(kind)
    _, _, attributes = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    encoded = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    for name, words in _FIELD.findall(attributes):
        definition["properties"][encoded[name]]["description"] = " ".join(words.split())
    also = _BETWEEN_FIELDS.get(kind, {})
    for name, rules in also.get("properties", {}).items():
        definition["properties"][name] |= rules
    definition |= {key: value for key, value in also.items() if key != "properties"}


def _summary(kind: type[Any]) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[0].split())
