"""Inputs that nothing reads: a misspelt name would be accepted silently, and the default would hold."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pyrunbook.service import VARIABLES

NEAR = 0.8
"""How alike (difflib's ratio) a name must be to be taken for a misspelt one."""
_TEMPLATE = re.compile(r"{{(.*?)}}|{%(.*?)%}", re.DOTALL)
_CONDITION = re.compile(r"^\s*(?:when|that|until|failed_when|changed_when|loop):(.*)$|^\s*-\s+([^:\n]+)$", re.MULTILINE)
_DEFAULT = re.compile(r"^(\w+):", re.MULTILINE)
_OPTIONS = re.compile(r"^    options:\n((?:      .*\n|\n)*)", re.MULTILINE)
_OPTION = re.compile(r"^      (\w+):", re.MULTILINE)
_TEXT = re.compile(r"'[^']*'|\"[^\"]*\"")
_NAME = re.compile(r"(?<![.\w])[A-Za-z_]\w*")


def unread(
    given: Mapping[str, Any], variables: Mapping[str, Any], playbooks: Iterable[Path], roles: Iterable[Path]
) -> dict[str, str]:
    """The inputs that nothing reads.

    Args:
        given: extra variables.
        variables: what a service has without them: of its inventory and its play, templates as written.
        playbooks: files.
        roles: directories with roles.

    Returns:
        name of the input to the one that is probably meant; empty where none is near. A file of variables that several
        runbooks share holds inputs that this one does not know.
    """
    asked = [name for name in given if name not in variables and not name.startswith("ansible_")]
    if not asked:
        return {}
    playbooks, roles = list(playbooks), list(roles)
    inputs = {*VARIABLES, *variables, *_names(map(_read, playbooks))}
    # Actions read the inventory's contract and what the specs of their roles declare; the runbook's window is read by
    # the name in its metadata.
    specs = [playbook.with_suffix(".meta.yml") for playbook in playbooks]
    for root in roles:
        inputs.update(*(_DEFAULT.findall(_read(file)) for file in root.glob("*/defaults/*.yml")))
        specs += root.glob("*/meta/argument_specs.yml")
    inputs.update(
        name for spec in specs for options in _OPTIONS.findall(_read(spec)) for name in _OPTION.findall(options)
    )
    read = _names(_read(file) for root in roles for file in root.glob("*/*/*.yml"))
    read |= {*inputs, *_names(_texts(variables.values())), *_names(_texts(given.values()))}
    near = {name: difflib.get_close_matches(name, sorted(inputs), 1, NEAR) for name in asked if name not in read}
    return {name: found[0] if found else "" for name, found in near.items()}


def _names(texts: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for text in texts:
        for pattern in (_TEMPLATE, _CONDITION):
            for parts in pattern.findall(text):
                found.update(name for part in parts for name in _NAME.findall(_TEXT.sub("", part)))
    return found


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, (list, tuple)):
            yield from _texts(value)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
