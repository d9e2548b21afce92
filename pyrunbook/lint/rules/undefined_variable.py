"""A variable that no command before has given a value."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.shell import parse

_OF_THE_SHELL = frozenset([
    "BASH", "BASH_SOURCE", "BASH_VERSION", "CDPATH", "COLUMNS", "DISPLAY", "EDITOR", "EUID", "FUNCNAME",
    "HISTFILE", "HOME", "HOSTNAME", "HOSTTYPE", "IFS", "KUBECONFIG", "KUBE_EDITOR", "LANG", "LC_ALL", "LINENO",
    "LINES", "LOGNAME", "MACHTYPE", "MAIL", "OLDPWD", "OPTARG", "OPTIND", "OSTYPE", "PAGER", "PATH", "PIPESTATUS",
    "PPID", "PS1", "PS2", "PWD", "RANDOM", "REPLY", "SECONDS", "SHELL", "SHLVL", "SSH_AUTH_SOCK", "TERM",
    "TMPDIR", "TZ", "UID", "USER", "VIRTUAL_ENV", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
])  # fmt: skip
_OF_TOOLS = re.compile(r"(AWS|AZURE|ARM|GOOGLE|CLOUDSDK|VAULT|DOCKER|PG|MYSQL|SSH|GIT|GITHUB|CI)_\w+|PG[A-Z]+")
"""What an operator's environment holds for a program, as its manual says."""
_GUARDS = (":-", ":=", "-", "=", ":?", "?", ":+", "+")
"""Operators that say what happens when there is no value."""


@rule("warning", "A command uses a variable that nothing before sets.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Each variable once, where it is read first."""
    if subject.kind not in ("runbook", "page"):
        return  # a role's commands are typed in between those of others: the runbook knows which
    known: defaultdict[str, set[str]] = defaultdict(set)
    codes = (*(command.source for command in subject.commands), *(block.text for block in subject.blocks))
    comments = (comment for code in codes for comment in re.findall(r"(?m)(?:^|\s)#(.*)", code))
    prose = " ".join((*subject.raw, *comments))
    said: set[tuple[str, str]] = set()
    for command in (*subject.before, *subject.commands):
        script = parse(command.text)
        if any(each.program in ("source", ".", "eval", "direnv") for each in script.invocations):
            return  # what a file sets that is not here, nobody can say
        mine = known[command.flow]
        everywhere = mine if command.flow else set().union(*known.values())
        own = {name for name, _ in script.sets}
        for read in script.reads:
            if (
                read.name.isdigit()
                or read.name in _OF_THE_SHELL
                or _OF_TOOLS.fullmatch(read.name)
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
    """Whether the page itself says what the reader is to set: `NAME=…`, or the name among words."""
    word = name if re.fullmatch(r"[A-Z]+_[A-Z_]+", name) else rf"\${name}"
    return re.search(rf"`\$?\{{?{name}\}}?`|\b{name}=|\$\{{?{name}\b|(?<![\w-]){word}(?![\w-])", prose) is not None
