"""The inputs of a runbook and of its roles: type, choices, default, the inventory's own value, meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyrunbook.catalog import Runbook, StepNotes
from pyrunbook.catalog.metadata import Input
from pyrunbook.catalog.roles import Role
from pyrunbook.catalog.templates import SECRET
from pyrunbook.docs.markdown_text import code, plain_text
from pyrunbook.docs.wording import Wording, shown
from pyrunbook.redaction import is_secret_name

InputRow = tuple[str, str, str, str]
"""Name, type, default and meaning of an input, in Markdown."""


class InputTables:
    """The tables.

    Args:
        wording: of the page.
        declared: the variables that the inventory itself sets.
        given: of each role, what the playbook sets for it, which goes before the inventory.
        everything: whether those inputs of the roles are there too that nobody has to set, and nobody does.
    """

    def __init__(
        self,
        wording: Wording,
        declared: Mapping[str, Any],
        given: Mapping[str, Mapping[str, Any]],
        everything: bool,
    ) -> None:
        self._wording = wording
        self._declared = declared
        self._given = given
        self._everything = everything
        self.left_out = 0
        """How many inputs were left out."""

    def of(
        self, runbook: Runbook, roles: Mapping[str, Role], notes: Mapping[str, StepNotes | None]
    ) -> Iterator[tuple[str, list[InputRow]]]:
        """Heading and rows: those of the runbook without a heading, then those of each role that has any."""
        language = self._wording.language
        # The page's information says these in words already.
        window = runbook.metadata.window.variables
        declared = {name: value for name, value in self._declared.items() if name not in window}
        if runbook.inputs:
            words = runbook.metadata.inputs.get(language, {})
            yield "", [self._row(name, item, item.default, words, declared) for name, item in runbook.inputs.items()]
        for name, role in roles.items():
            noted, given = notes.get(name), self._given.get(name, {})
            words = noted.inputs.get(language, {}) if noted else {}
            defaults = {key: role.defaults.get(key, item.default) for key, item in role.inputs.items()}
            to_set = {key for key, item in role.inputs.items() if item.required and defaults[key] is None}
            to_set = (to_set | set(declared)) - set(given) - set(runbook.inputs)
            listed = {key: item for key, item in role.inputs.items() if self._everything or key in to_set}
            self.left_out += len(role.inputs) - len(listed)
            if listed:
                here = declared | {key: value for key, value in given.items() if "{{" not in str(value)}
                rows = [self._row(key, item, defaults[key], words, here) for key, item in listed.items()]
                yield self._wording.t("inputs_of", name), rows

    def _row(
        self, name: str, item: Input, default: Any, words: Mapping[str, str], declared: Mapping[str, Any]
    ) -> InputRow:
        t = self._wording.t
        kind = t("list_of", item.elements) if item.kind == "list" and item.elements else item.kind
        if item.choices:
            kind += t("colon") + t("choices", ", ".join(code(choice) for choice in item.choices))
        secret = is_hidden(item) or is_secret_name(name)
        told = code(SECRET) if secret and default not in (None, "") else shown(default)
        if item.required and default is None:
            told = t("required")
        if name in declared:
            of_step = name not in self._declared
            here = code(SECRET) if secret else shown(declared[name] if of_step else self._wording.values.get(name))
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
