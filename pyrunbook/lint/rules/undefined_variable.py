"""A variable that no command before has given a value."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.shell import parse
from pyrunbook.lint.subject import Subject

_OF_THE_SHELL = frozenset(
    [
        "BASH",
        "BASH_SOURCE",
        "BASH_VERSION",
        "CDPATH",
        "COLUMNS",
        "DISPLAY",
        "EDITOR",
        "EUID",
        "FUNCNAME",
        "HISTFILE",
        "HOME",
        "HOSTNAME",
        "HOSTTYPE",
        "IFS",
        "KUBECONFIG",
        "KUBE_EDITOR",
        "LANG",
        "LC_ALL",
        "LINENO",
        "LINES",
        "LOGNAME",
        "MACHTYPE",
        "MAIL",
        "OLDPWD",
        "OPTARG",
        "OPTIND",
        "OSTYPE",
        "PAGER",
        "PATH",
        "PIPESTATUS",
        "PPID",
        "PS1",
        "PS2",
        "PWD",
        "RANDOM",
        "REPLY",
        "SECONDS",
        "SHELL",
        "SHLVL",
        "SSH_AUTH_SOCK",
        "TERM",
        "TMPDIR",
        "TZ",
        "UID",
        "USER",
        "VIRTUAL_ENV",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    ]
)
_GUARDS = (":-", ":=", "-", "=", ":?", "?", ":+", "+")
"""Operators that say what happens when there is no value."""


def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Each variable once, where it is read first."""
    if subject.kind not in ("runbook", "page"):
        return  # a role's commands are typed in between those of others: the runbook knows which
    known: defaultdict[str, set[str]] = defaultdict(set)
    prose = " ".join(subject.raw)
    said: set[tuple[str, str]] = set()
    for command in (*subject.before, *subject.commands):
        script = parse(command.text)
        mine = known[command.flow]
        everywhere = mine if command.flow else set().union(*known.values())
        own = {name for name, _ in script.sets}
        for read in script.reads:
            if (
                read.name.isdigit()
                or read.name in _OF_THE_SHELL
                or read.operator in _GUARDS
                or read.name in everywhere | own
            ):
                continue
            if (command.flow, read.name) in said or _told(read.name, prose):
                continue
            said.add((command.flow, read.name))
            on = f" of {subject.name}" if subject.kind == "runbook" else ""
            message = f"${read.name} has no value: no command before{on} sets it"
            yield Finding(command.spot(read.row, read.column), message)
        mine |= own


def _told(name: str, prose: str) -> bool:
    """Whether the page itself says what the reader is to set: `NAME=…`, or the name in code among words."""
    return re.search(rf"`\$?\{{?{name}\}}?`|\b{name}=", prose) is not None


RULE = Rule("undefined-variable", "warning", "A command uses a variable that nothing before sets.", check)
