"""A command that destroys more than it says when something about it is not as expected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pyrunbook.lint.effects import after, takes_a_tree, verb_of
from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.script import BLANK, TEMPLATE, Invocation, Pipeline, Word
from pyrunbook.lint.shell import parse

_DELETING = re.compile(
    r"\b(?:(drop)\s+(?:table|database|schema|index|view|user|role)|(truncate)(?:\s+table)?\s+\w)", re.I
)
_WHOLE_TABLE = re.compile(
    r"\b(delete\s+from\s+[\w.\"`]+|update\s+[\w.\"`]+\s+set\b(?:(?!\bwhere\b)[^;])*?)\s*(?:;|$)", re.I
)
_SQL = ("psql", "mysql", "mariadb", "sqlite3", "clickhouse-client", "cockroach")
_EMPTYING = ("flushall", "flushdb")
_REMOVING = frozenset(("rm", "rmi", "delete", "remove", "destroy", "terminate", "unlink"))
"""Programs and sub-commands that take away what they are given."""


@rule("error", "A command can destroy far more than it is meant to.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Recursive deletion without a sure root, deletion of everything, and the like."""
    before: list[str] = []
    for command in subject.commands:
        script = parse(command.text)
        for each in script.invocations:
            above = "\n".join((*before, *command.text.split("\n")[: each.row]))
            known = _Known("u" in script.options, _given(command.text, each.row), above)
            message = _verdict(each, known)
            if message:
                yield Finding(command.spot(each.row, each.column), message)
        for pipe in script.pipelines:
            message = _piped(pipe)
            if message:
                yield Finding(command.spot(pipe.row, pipe.column), message)
        before.append(command.text)


@dataclass(frozen=True)
class _Known:
    """What is known where a command stands.

    Attributes:
        strict: whether `set -u` refuses a variable without a value.
        given: variables that the same block has given a value that is not empty.
        above: the commands in front of it.
    """

    strict: bool
    given: frozenset[str]
    above: str

    def made_here(self, path: str) -> bool:
        """Whether commands above have used a relative path, or have gone to a directory: then the reader is there."""
        first = path.removeprefix("./").split("/")[0]
        named = re.search(rf"(?<![\w.-]){re.escape(first)}(?![\w-])", self.above) is not None
        return named or re.search(r"(?m)^\s*(?:\$ )?(?:cd|pushd)\s+\S|\bgit clone\b", self.above) is not None


def _given(text: str, row: int) -> frozenset[str]:
    above = "\n".join(text.split("\n")[:row])
    set_before = re.compile(
        r"(?m)(?:^|[;&]\s*)\s*(?:export |local |readonly )?(\w+)=(?=[\"']?(?:[\w/.~-]|\$\(mktemp\b))"
    )
    return frozenset(set_before.findall(above))


def _piped(pipe: Pipeline) -> str:
    """A list that is deleted as it comes, without a choice, or from where the reader stands."""
    first, last = pipe.members[0], pipe.members[-1]
    if first is None or last is None or "xargs" not in last.through:
        return ""
    if not _REMOVING.intersection((last.program, *last.operands[:2])):
        return ""
    listed = first.operands
    if first.program == "ls":
        bare = bool(listed) and "-d" not in first.texts and not any(re.search(r"[*?\[]", word) for word in listed)
        if last.program == "rm" and bare:
            return f"ls prints names without {listed[0]}, so rm deletes what is called so where the reader stands"
    if len(pipe.members) == 2 and _lists_all(first):
        return f"deletes all that {first.program} lists, whatever that is; choose, and show it first"
    return ""


def _lists_all(command: Invocation) -> bool:
    """Whether it lists without a choice."""
    if command.has(r"(-l|--selector|--filter|-f|--field-selector)(=|$)"):
        return False
    if command.program in ("docker", "podman"):
        return command.has(r"-\w*q")
    return command.program == "ls" and not command.has(r".*[*?\[]")


def _verdict(command: Invocation, known: _Known) -> str:
    words, name = command.texts, command.program
    if name == "rm" and takes_a_tree(command):
        targets = [word for word in command.arguments if not word.text.startswith("-")]
        return next((f"rm -r {why}" for word in targets if (why := _unsure(word, known, glob=True))), "")
    if name == "find" and ("-delete" in words or ("-exec" in words and "rm" in words)):
        roots = []
        for word in command.arguments:
            if word.text.startswith(("-", "(", "!")):
                break
            roots.append(word)
        chosen = command.has(r"-(i?name|i?path|i?regex|mtime|mmin|ctime|atime|newer|user|size)")
        sure = ("/tmp", "/tmp/", "/var/tmp") if chosen else ()  # noqa: S108 - looked for, not written to
        why = next((why for word in roots if word.text not in sure and (why := _unsure(word, known, glob=False))), "")
        if not roots:
            return "find -delete begins where the reader stands; name an absolute directory"
        return f"find -delete {why}" if why else ""
    if "delete_series" in " ".join(words):
        ranged = command.has(r"(?s)(.*[?&])?(start|end)=")
        return "" if ranged else "delete_series without start or end deletes all history of the series; give end"
    if name in ("kubectl", "oc") and verb_of(command) == "delete" and "--all" in words:
        kind = after(command, "delete") or "object"
        if kind in ("pod", "pods", "po") and {"-n", "--namespace"} & set(words):
            return ""  # a restart of all that runs there, and said where
        return f"delete --all takes every {kind} of the namespace; name them, or select by label"
    if name in _SQL:
        saved = re.search(r"\b(pg_dump|pg_basebackup|mysqldump|mariadb-dump|wal-g|barman|backup)\b", known.above)
        return "" if saved else _sql(" ".join((*words, command.given)))
    if name == "redis-cli" and any(word.lower() in _EMPTYING for word in words):
        return "this empties the whole database; delete by key, or take a backup first"
    if name in ("terraform", "tofu") and verb_of(command) in ("destroy", "apply") and "-auto-approve" in words:
        if re.search(rf"\b{name}\b.*\bplan\b", known.above):
            return ""
        return f"{verb_of(command)} -auto-approve does it without showing what; look at the plan first"
    if name in ("docker", "podman") and "prune" in words and command.has(r"-\w*f|--force"):
        return "prune -f removes what it finds without asking; name what is to go"
    if name == "aws" and words[:2] == ("s3", "rm") and "--recursive" in words and "--dryrun" not in words:
        return "s3 rm --recursive without --dryrun first; show what goes before it goes"
    seen = re.search(r"\b(lsblk|blkid|fdisk -l|parted)\b", known.above) is not None
    if seen and (name.startswith("mkfs") or name == "dd"):
        return ""
    if name.startswith("mkfs") or (name == "dd" and command.has(r"of=/dev/(?!null)")):
        return "this overwrites a device; a step before it has to show that it is the right one"
    return ""


def _sql(text: str) -> str:
    if re.search(r"\b(begin|start transaction)\b", text, re.I):
        return ""
    found = _DELETING.search(text)
    scratch = re.search(r"(?i)\b(drop|truncate)\b.*\b\w*(bench|test|tmp|temp|scratch|shadow)", text) is not None
    if found and not scratch:
        verb = (found[1] or found[2]).upper()
        return f"{verb} cannot be undone; take a backup in a step before, or work in a transaction"
    whole = _WHOLE_TABLE.search(text)
    return f"{whole[1].split()[0].upper()} without WHERE changes the whole table" if whole else ""


def _unsure(word: Word, known: _Known, *, glob: bool) -> str:
    """Why a directory may not be the one that is meant; empty where it is sure."""
    text = word.text
    unguarded = [v for v in word.variables if v.operator not in (":?", "?", ":-") and v.name not in known.given]
    if text.startswith("$") and unguarded and not known.strict:
        name = unguarded[0].name
        rest = re.sub(rf"^\$\{{?{name}\}}?", "", text)
        if not rest.strip("/*"):
            return f"deletes what ${name} names, and / or nothing when it is empty; write ${{{name}:?}}"
        return f"begins at {rest} when ${name} is empty; write ${{{name}:?}}"
    if text.startswith((TEMPLATE, BLANK, "$", "`")):
        return ""
    if text in ("/", "/*", "~", "~/", "~/*") or re.fullmatch(r"/[\w.-]*/?\*?", text):
        return f"of {text} takes far more than a service's files"
    if not text.startswith(("/", "~/")) and (glob or text):
        if not re.match(r"\.{0,2}/?\*|\.{1,2}(/|$)", text) and known.made_here(text):
            return ""
        return f"of {text} is relative: it deletes wherever the reader stands; name an absolute directory"
    return ""
