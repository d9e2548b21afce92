"""A command whose failure nobody sees, because the next one runs all the same or its exit status is lost."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.effects import can_fail, changes
from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.lint.script import Chain, Pipeline
from pyrunbook.lint.shell import parse

_IGNORING = ("true", ":")
_KEEPS = ("gzip", "bzip2", "xz", "zstd", "gpg", "openssl", "tee", "tar", "cpio", "pv", "base64", "dd", "split")
_RUNS = ("bash", "sh", "psql", "mysql", "mariadb", "tar", "cpio", "pg_restore", "ssh", "gunzip")
_SOURCES = ("cat", "echo", "printf", "yes", "seq", "ls", "grep", "awk", "sed", "jq", "sort", "head", "tail", "true")
"""Programs whose failure in front of a pipe shows by what comes out of it."""


@rule("warning", "A command fails and nobody sees it.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """`;` before or behind a change, `|| true`, and pipes whose first program may fail unseen."""
    for command in subject.commands:
        script = parse(command.text)
        stops = "e" in script.options
        for chain in script.alternatives:
            ignoring = chain.after and chain.after[0].program in _IGNORING
            if ignoring and any(changes(each) for each in chain.before) and not _looks_after(chain):
                message = f"|| {chain.after[0].program} hides that {chain.before[0].program} failed"
                yield Finding(command.spot(chain.row, chain.column), message)
        for chain in script.chains:
            if not stops and _hides(chain):
                first, second = chain.before[-1].program, chain.after[0].program
                message = f"{second} runs after ; even when {first} failed; write && or a line each"
                yield Finding(command.spot(chain.row, chain.column), message)
        for pipe in script.pipelines:
            lost = "" if "o pipefail" in script.options else _lost(pipe)
            if lost:
                message = f"the pipe succeeds even when {lost} fails; set -o pipefail first"
                yield Finding(command.spot(pipe.row, pipe.column), message)


def _looks_after(chain: Chain) -> bool:
    """Deleting what may not be there is no failure when it is not."""
    return any("--ignore-not-found" in each.texts for each in chain.before)


def _hides(chain: Chain) -> bool:
    if not chain.before or not chain.after or not all(can_fail(each) for each in (chain.before[-1], chain.after[0])):
        return False
    return any(changes(each) for each in (*chain.before, *chain.after))


def _lost(pipe: Pipeline) -> str:
    """The program whose failure is lost, where it matters: something is kept or done from what it said."""
    first, last = pipe.members[0], pipe.members[-1]
    if last is not None and last.program in ("kubectl", "oc") and "-" in last.texts:
        return ""  # kubectl apply -f - fails by itself when nothing comes
    if first is None or last is None or "xargs" in last.through or first.program in _SOURCES or not can_fail(first):
        return ""
    if last.program == "jq" and not pipe.writes:
        return ""  # the reader sees that nothing came
    kept = bool([name for name in pipe.writes if not name.startswith("/dev/")]) and last.program in _KEEPS
    if kept or last.program in _RUNS or changes(last) or changes(first):
        return first.program
    return ""
