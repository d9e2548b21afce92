"""Writes YAML as the house has it: lists indented, long texts folded, commands as blocks."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import yaml

WIDTH = 110
LONGEST = 160
"""Columns of a line that `.config/yamllint.yml` allows."""


class Shared(list[Any]):
    """A list that is written once; where it stands again there is an alias."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's interface
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        return not isinstance(data, Shared)

    def generate_anchor(self, node: yaml.Node) -> str:
        return str(super().generate_anchor(node)).replace("id00", "both")


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style: str | None
    if "\n" in text:
        style = "|"
    elif len(text) > 80 and re.fullmatch(r"\S+(?: \S+)*", text):
        style = ">"
    else:
        style = '"' if scalar(text).startswith("'") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Shared, lambda dumper, data: dumper.represent_list(data))


def dumped(data: Any, indent: int = 0) -> str:
    """Data as YAML, with a newline at the end."""
    text = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=WIDTH - indent
    )
    return textwrap.indent(text, " " * indent)


def scalar(text: str) -> str:
    """A text as a value on one line: plain where that reads the same, in quotes otherwise."""
    text = " ".join(text.split())
    written = yaml.dump(text, Dumper=yaml.SafeDumper, allow_unicode=True, width=10**6, default_flow_style=True)
    return written.removesuffix("\n").removesuffix("\n...")


def with_long_lines_allowed(text: str) -> str:
    """The file, with yamllint told so where a line has to be longer than it allows: a command stays one line."""
    if all(len(line) <= LONGEST for line in text.split("\n")):
        return text
    return text.replace("---\n", "---\n# yamllint disable rule:line-length\n", 1)
