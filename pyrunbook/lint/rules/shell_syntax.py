"""A command that Bash does not understand."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.shell_syntax import goes_on
from pyrunbook.lint.subject import Subject


def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """The first mistake of each command."""
    for command in subject.commands:
        fault = context.syntax.get(command)
        if fault is not None and not goes_on(command, fault):
            hint = "; where it is output or a query, the fence should say so" if subject.kind == "page" else ""
            yield Finding(
                command.spot(fault.row, fault.column), f"Bash does not understand this: {fault.message}{hint}"
            )


RULE = Rule("shell-syntax", "error", "A command is not shell: Bash would refuse it.", check)
