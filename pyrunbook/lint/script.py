"""What a shell text consists of. Rows and columns count from 0, in characters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TEMPLATE = "\ue000"
"""Stands, as often as it is long, in place of a template `{{ … }}`: what is known before the shell reads it."""
BLANK = "\ue001"
"""Stands in place of `<id>` and the like, which would be redirections to the shell."""


@dataclass(frozen=True)
class Variable:
    """A variable that is read. `operator` is what follows its name in braces: `:-`, `:?`, …; empty for none."""

    name: str
    operator: str
    row: int
    column: int


@dataclass(frozen=True)
class Word:
    """A word of a command: quotes taken away, variables as `$NAME`.

    Attributes:
        variables: that it is made of.
        bare: what of it stands outside of quotes, with no sign escaped: what the shell itself reads.
        cut: whether it ends at an `&` with more behind that looks like a part of it: `?a=1&b=2`.
        literal: whether the shell takes it as it is: no variable, no substitution, no pattern.
    """

    text: str
    row: int
    column: int
    variables: tuple[Variable, ...] = ()
    literal: bool = True
    bare: str = ""
    cut: bool = False


@dataclass(frozen=True)
class Invocation:
    """A simple command.

    Attributes:
        program: its name without a directory; what `sudo`, `env` and the like start, not they themselves.
        arguments: what follows.
        through: the programs that start it: `sudo`, `xargs`.
        given: the text that a here-document or here-string feeds to it.
        writes: the files that its output goes to.
    """

    program: str
    arguments: tuple[Word, ...]
    row: int
    column: int
    given: str = ""
    writes: tuple[str, ...] = ()
    through: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The arguments as texts."""
        return tuple(word.text for word in self.arguments)

    @property
    def operands(self) -> list[str]:
        """The arguments that are no options."""
        return [text for text in self.texts if not text.startswith("-")]

    def has(self, pattern: str) -> bool:
        """Whether an argument begins with what a regular expression describes."""
        return any(re.match(pattern, text) for text in self.texts)


@dataclass(frozen=True)
class Pipeline:
    """`a | b | c`: its members, `None` for one that is no simple command, and where its output goes."""

    members: tuple[Invocation | None, ...]
    writes: tuple[str, ...]
    row: int
    column: int


@dataclass(frozen=True)
class Chain:
    """Commands that a mark joins; `row` and `column` are the mark's."""

    before: tuple[Invocation, ...]
    after: tuple[Invocation, ...]
    row: int
    column: int


@dataclass(frozen=True)
class Statement:
    """What is typed and started as one: a command, a pipeline, a loop.

    Attributes:
        invocations: those in it, a loop's and a pipeline's members too.
        background: whether `&` lets the shell go on at once.
        endless: whether it is a loop `while true` that nothing in it leaves.
    """

    invocations: tuple[Invocation, ...]
    row: int
    column: int
    background: bool = False
    endless: bool = False


@dataclass
class Script:
    """What a shell text consists of.

    Attributes:
        statements: in their order; not those within a loop or a function.
        chains: joined by `;` in one line.
        alternatives: joined by `||`.
        reads: variables.
        sets: names of variables with the row in which each gets a value.
        options: what `set` switches on: `e`, `u`, `o pipefail`.
        fault: row and column of the first place that the grammar does not understand.
    """

    statements: list[Statement] = field(default_factory=list)
    invocations: list[Invocation] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    alternatives: list[Chain] = field(default_factory=list)
    reads: list[Variable] = field(default_factory=list)
    sets: list[tuple[str, int]] = field(default_factory=list)
    options: set[str] = field(default_factory=set)
    fault: tuple[int, int] | None = None
