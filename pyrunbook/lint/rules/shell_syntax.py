"""A command that Bash does not understand."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.shell import parse
from pyrunbook.lint.shell_syntax import goes_on
from pyrunbook.lint.subject import Command
from pyrunbook.markdown.code import looks_like_shell
from pyrunbook.markdown.output import looks_like_output


@rule("error", "A command is not shell: Bash would refuse it.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """The first mistake of each command."""
    for command in subject.commands:
        printed = _first_output(command) if command.sure else None
        fault = context.syntax.get(command)
        if printed is not None and (fault is None or printed <= fault.row):
            where = "output belongs in a block of its own, text, or in one of the kind console"
            yield Finding(command.spot(printed, 0), f"this is what a program prints, and no command; {where}")
        elif fault is not None and not goes_on(command, fault):
            # In a block that does not say that it is shell, the line may be anything.
            if not command.sure and not looks_like_shell(command.source.split("\n")[fault.row]):
                continue
            hint = "; where it is output or a query, the fence should say so" if subject.kind == "page" else ""
            yield Finding(
                command.spot(fault.row, fault.column), f"Bash does not understand this: {fault.message}{hint}"
            )


def _first_output(command: Command) -> int | None:
    """The row of the first line that Bash would run though a program has printed it."""
    rows = command.source.split("\n")
    begun = {each.row for each in parse(command.text).invocations}
    return next((row for row, line in enumerate(rows) if row in begun and looks_like_output(line)), None)
