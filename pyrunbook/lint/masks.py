"""Takes out of commands what the shell never sees: templates that are filled before, blanks that the reader fills."""

from __future__ import annotations

import re

from pyrunbook.lint.script import BLANK, TEMPLATE

_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_SPOKEN = {
    "kubectl": "kubectl",
    "service_manager_command": "systemctl",
    "service_start_command": "systemctl start",
    "service_stop_command": "systemctl stop",
}
"""Words of `pyrunbook.catalog.page_values` that begin a command: what they stand for decides what it does."""
BLANKS = re.compile(r"(?<![<\d$&])<(?P<name>/?[A-Za-z](?:[\w .:/|'(),`-]*[\w.)`])?)>(?![>&(])")
"""`<id>`, `<name of the pod>`: what the shell would take for redirections."""


_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)


def without_code(line: str) -> str:
    """Markdown with its code spans blanked; each line stays as long as it is."""
    return _CODE_SPAN.sub(lambda span: re.sub(r"[^\n]", "\N{NO-BREAK SPACE}", span[0]), line)


def masked(source: str, *, templates: bool) -> str:
    """A command with its blanks masked, and its templates where it has any; each line stays as long as it is."""
    if templates:
        source = _TEMPLATE.sub(lambda found: _spoken(found[0]) or _cover(found[0], TEMPLATE), source)
    return BLANKS.sub(lambda found: _cover(found[0], BLANK), source)


def _cover(text: str, mark: str) -> str:
    return "".join(character if character == "\n" else mark for character in text)


def _spoken(template: str) -> str:
    if not template.startswith("{{"):  # a statement leaves nothing behind
        return _cover(template, " ")
    spoken = _SPOKEN.get(template.strip("{} "), "")
    return spoken.ljust(len(template)) if spoken else ""
