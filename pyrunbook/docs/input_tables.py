"""The inputs of a runbook and of its roles: type, choices, default, the inventory's own value, meaning."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pyrunbook.catalog import Runbook
from pyrunbook.catalog.metadata import Input
from pyrunbook.catalog.roles import Role
from pyrunbook.catalog.templates import SECRET
from pyrunbook.docs.markdown_text import code, plain_text
from pyrunbook.docs.target import Target
from pyrunbook.docs.wording import Wording, shown
from pyrunbook.redaction import is_secret_name

InputRow = tuple[str, str, str, str]
"""Name, type, default and meaning of an input, in Markdown."""


def input_tables(
    wording: Wording,
    runbook: Runbook,
    roles: Mapping[str, Role],
    given: Mapping[str, Mapping[str, Any]],
    target: Target,
    everything: bool,
) -> tuple[list[tuple[str, list[InputRow]]], int]:
    """The tables.

    Args:
        wording: of the page.
        runbook: whose inputs they are.
        roles: that it applies, by name.
        given: name of a role to what the playbook sets for it, which goes before the inventory.
        target: whose values the page shows.
        everything: whether those inputs of the roles are there too that nobody has to set, and nobody does.

    Returns:
        heading and rows of each table, the runbook's own without a heading; how many inputs were left out.
    """
    language, inventory = wording.language, target.service.variables if target.service else {}
    # The page's information says these in words already.
    window = runbook.metadata.window.variables
    declared = {name: value for name, value in inventory.items() if name not in window}
    row = partial(input_row, wording, inventory)
    tables, left_out = [], 0
    if runbook.inputs:
        words = runbook.meanings(language)
        tables.append(("", [row(k, item, item.default, words, declared) for k, item in runbook.inputs.items()]))
    notes = {step.role: step.notes for step in runbook.steps(target.strategy)}
    for name, role in roles.items():
        noted = notes.get(name)
        words = noted.inputs.get(language, {}) if noted else {}
        defaults = {key: role.defaults.get(key, item.default) for key, item in role.inputs.items()}
        to_set = {key for key, item in role.inputs.items() if item.required and defaults[key] is None}
        to_set = (to_set | set(declared)) - set(given[name]) - set(runbook.inputs)
        listed = {key: item for key, item in role.inputs.items() if everything or key in to_set}
        left_out += len(role.inputs) - len(listed)
        if listed:
            here = declared | {key: value for key, value in given[name].items() if "{{" not in str(value)}
            rows = [row(key, item, defaults[key], words, here) for key, item in listed.items()]
            tables.append((wording.t("inputs_of", role.name), rows))
    return tables, left_out


def input_row(
    wording: Wording,
    inventory: Mapping[str, Any],
    name: str,
    item: Input,
    default: Any,
    words: Mapping[str, str],
    declared: Mapping[str, Any],
) -> InputRow:
    """The row of an input, in the wording of its page."""
    t = wording.t
    kind = t("list_of", item.elements) if item.kind == "list" and item.elements else item.kind
    if item.choices:
        kind += t("colon") + t("choices", ", ".join(code(choice) for choice in item.choices))
    secret = is_hidden(item) or is_secret_name(name)
    told = code(SECRET) if secret and default not in (None, "") else shown(default)
    if item.required and default is None:
        told = t("required")
    if name in declared:
        here = code(SECRET) if secret else shown(wording.values.get(name) if name in inventory else declared[name])
        if here != told:
            told = t("separator").join(part for part in (told, t("here", here)) if part)
    return code(name), plain_text(kind), told, plain_text(words.get(name) or item.text)


def is_hidden(item: Input | Mapping[str, Any]) -> bool:
    """Whether an input, or an option of it, is `no_log`: then Ansible itself would not show its value."""
    if isinstance(item, Input):
        return item.no_log or _any_hidden(item.options)
    return bool(item.get("no_log")) or _any_hidden(item.get("options"))


def _any_hidden(options: Any) -> bool:
    return isinstance(options, Mapping) and any(
        isinstance(option, Mapping) and is_hidden(option) for option in options.values()
    )
