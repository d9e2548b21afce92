"""A command that destroys more than it says when something about it is not as expected."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.effects import after, verb_of
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.script import BLANK, TEMPLATE, Invocation, Word
from pyrunbook.lint.shell import parse
from pyrunbook.lint.subject import Subject

_DELETING = re.compile(
    r"\b(?:(drop)\s+(?:table|database|schema|index|view|user|role)|(truncate)(?:\s+table)?\s+\w)", re.I
)
_WHOLE_TABLE = re.compile(
    r"\b(delete\s+from\s+[\w.\"`]+|update\s+[\w.\"`]+\s+set\b(?:(?!\bwhere\b)[^;])*?)\s*(?:;|$)", re.I
)
_SQL = ("psql", "mysql", "mariadb", "sqlite3", "clickhouse-client", "cockroach")
_EMPTYING = ("flushall", "flushdb")


def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Recursive deletion without a sure root, deletion of everything, and the like."""
    for command in subject.commands:
        script = parse(command.text)
        strict = "u" in script.options
        for each in script.invocations:
            message = _verdict(each, strict)
            if message:
                yield Finding(command.spot(each.row, each.column), message)


def _verdict(command: Invocation, strict: bool) -> str:
    words, name = command.texts, command.program
    if name == "rm" and any(re.match(r"-\w*[rR]|--recursive", word) for word in words):
        targets = [word for word in command.arguments if not word.text.startswith("-")]
        return next((f"rm -r {why}" for word in targets if (why := _unsure(word, strict, glob=True))), "")
    if name == "find" and ("-delete" in words or ("-exec" in words and "rm" in words)):
        roots = []
        for word in command.arguments:
            if word.text.startswith(("-", "(", "!")):
                break
            roots.append(word)
        why = next((why for word in roots if (why := _unsure(word, strict, glob=False))), "")
        return (
            f"find -delete {why}"
            if why
            else ""
            if roots
            else "find -delete begins where the reader stands; name an absolute directory"
        )
    if "delete_series" in " ".join(words):
        ranged = re.search(r"[?&](start|end)=", " ".join(words)) or any(
            re.match(r"(start|end)=", word) for word in words
        )
        return "" if ranged else "delete_series without start or end deletes all history of the series; give end"
    if name in ("kubectl", "oc") and verb_of(command) == "delete" and "--all" in words:
        kind = after(command, "delete") or "object"
        return f"delete --all takes every {kind} of the namespace; name them, or select by label"
    if name in _SQL:
        return _sql(" ".join((*words, command.given)))
    if name == "redis-cli" and any(word.lower() in _EMPTYING for word in words):
        return "this empties the whole database; delete by key, or take a backup first"
    if name in ("terraform", "tofu") and verb_of(command) in ("destroy", "apply") and "-auto-approve" in words:
        return f"{verb_of(command)} -auto-approve does it without showing what; look at the plan first"
    if name in ("docker", "podman") and "prune" in words and any(re.match(r"-\w*f|--force", word) for word in words):
        return "prune -f removes what it finds without asking; name what is to go"
    if name == "aws" and words[:2] == ("s3", "rm") and "--recursive" in words and "--dryrun" not in words:
        return "s3 rm --recursive without --dryrun first; show what goes before it goes"
    if name.startswith("mkfs") or (name == "dd" and any(re.match(r"of=/dev/(?!null)", word) for word in words)):
        return "this overwrites a device; a step before it has to show that it is the right one"
    return ""


def _sql(text: str) -> str:
    if re.search(r"\b(begin|start transaction)\b", text, re.I):
        return ""
    found = _DELETING.search(text)
    if found:
        verb = (found[1] or found[2]).upper()
        return f"{verb} cannot be undone; take a backup in a step before, or work in a transaction"
    whole = _WHOLE_TABLE.search(text)
    return f"{whole[1].split()[0].upper()} without WHERE changes the whole table" if whole else ""


def _unsure(word: Word, strict: bool, *, glob: bool) -> str:
    """Why a directory may not be the one that is meant; empty where it is sure."""
    text = word.text
    unguarded = [v for v in word.variables if v.operator not in (":?", "?")]
    if text.startswith("$") and unguarded and not strict:
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
        return f"of {text} is relative: it deletes wherever the reader stands; name an absolute directory"
    return ""


RULE = Rule("destructive-command", "error", "A command can destroy far more than it is meant to.", check)
