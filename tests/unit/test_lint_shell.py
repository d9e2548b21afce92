"""Shell text as lint reads it: commands, pipes, chains, variables with their places; and Bash's word on the syntax."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pyrunbook.lint import shell_syntax
from pyrunbook.lint.masks import masked
from pyrunbook.lint.script import BLANK, TEMPLATE
from pyrunbook.lint.shell import parse
from pyrunbook.lint.shell_syntax import faults
from pyrunbook.lint.subject import Command
from pyrunbook.markdown.code import typed_in
from pyrunbook.project.problem import Spot


def programs(text: str) -> list[str]:
    return [" ".join((each.program, *each.texts)) for each in parse(text).invocations]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("kubectl get pods", ["kubectl get pods"]),
        ("sudo -n -u root /usr/bin/rm -rf /srv/x", ["rm -rf /srv/x"]),
        ("A=1 B=2 timeout -k 5 10s env C=3 make test", ["make test"]),
        ("find . -print0 | xargs -0 -n 1 rm", ["find . -print0", "rm"]),
        ("echo $(cat x)", ["echo $(cat x)", "cat x"]),
        ("for c in a b; do drain $c; done", ["drain $c"]),
        ("if test -f x; then rm x; fi", ["test -f x", "rm x"]),
        ("oc exec pod -- sh -c 'rm -r *'", ["oc exec pod -- sh -c rm -r *", "sh -c rm -r *", "rm -r *"]),
        ("""psql -c "DROP TABLE x" """, ["psql -c DROP TABLE x"]),
        (r"ls a\ b", ["ls a b"]),
        ("# rm -rf /", []),
        ("echo 'rm -rf /'", ["echo rm -rf /"]),
        ("sudo", ["sudo"]),
    ],
)  # fmt: skip
def test_commands(text: str, wanted: list[str]) -> None:
    assert programs(text) == wanted


def test_places_count_characters_not_bytes() -> None:
    found = parse("echo 'é' && rm -r données/$X").invocations[1]
    assert (found.row, found.column) == (0, 12)
    assert (found.arguments[1].text, found.arguments[1].column) == ("données/$X", 18)
    assert [(v.name, v.column) for v in found.arguments[1].variables] == [("X", 26)]


def test_what_a_nested_shell_runs_stands_where_it_is_written() -> None:
    inner = parse("kubectl exec p -- sh -c 'cd /x && rm -r y'").invocations[-1]
    assert (inner.program, inner.column) == ("rm", 34)


def test_a_here_document_is_given_to_its_command() -> None:
    script = parse("psql <<'SQL'\nDROP TABLE x;\nSQL\ncat <<EOF | kubectl apply -f -\na: $B\nEOF\n")
    assert script.invocations[0].given == "DROP TABLE x;\n"
    assert [v.name for v in script.reads] == ["B"], "a quoted here-document has no variables"
    assert [member.program if member else None for member in script.pipelines[0].members] == [None, "kubectl"]


def test_variables_that_are_set() -> None:
    script = parse("A=1\nexport B=2 C\nread -r D\nfor e in 1; do :; done\nF=1 cmd\nprintf -v G x\nH[0]=1")
    assert sorted(name for name, _ in script.sets) == ["A", "B", "C", "D", "G", "H", "e"]


def test_operators_of_variables() -> None:
    script = parse('rm "${A:?}" "${B:-x}" "$C" "${D}" "${E%/*}"')
    assert [(v.name, v.operator) for v in script.reads] == [("A", ":?"), ("B", ":-"), ("C", ""), ("D", ""), ("E", "%")]


def test_pipes_and_where_they_write() -> None:
    pipe = parse("mysqldump x | gzip > /b.gz 2>/dev/null").pipelines[0]
    assert [member.program for member in pipe.members if member] == ["mysqldump", "gzip"]
    assert pipe.writes == ("/b.gz",)


def test_chains_are_within_a_line() -> None:
    script = parse("a; b\nc\nd || true\n( e; f )\nif x; then y; fi")
    assert [(c.before[0].program, c.after[0].program) for c in script.chains] == [("a", "b"), ("e", "f")]
    assert [(c.before[0].program, c.after[0].program) for c in script.alternatives] == [("d", "true")]


@pytest.mark.parametrize("text", ["set -euo pipefail", "set -e -u -o pipefail", "set -eu\nset -o pipefail"])
def test_options_of_the_shell(text: str) -> None:
    assert parse(text).options >= {"e", "u", "o pipefail"}


def test_text_that_never_ends_in_brackets_is_survived() -> None:
    assert parse("$(" * 5000).invocations == []
    assert parse("$(a " * 5000 + ")" * 5000).fault is not None


def test_masks_keep_every_place() -> None:
    source = 'x {{ a }}/y\nz --id=<the id> --all "{% if b %}c{% endif %}"'
    text = masked(source, templates=True)
    assert [len(line) for line in text.split("\n")] == [len(line) for line in source.split("\n")]
    assert TEMPLATE in text
    assert text.count(BLANK) == len("<the id>")
    assert masked("docker ps --format '{{ .ID }}'", templates=False) == "docker ps --format '{{ .ID }}'"


@pytest.mark.parametrize(
    "text", ["cat <file >out", "a <<EOF\nEOF", "diff <(a) <(b)", "grep x < in > out", "if (( a<b )); then :; fi"]
)
def test_redirections_are_no_blanks(text: str) -> None:
    assert BLANK not in masked(text, templates=False)


def test_a_template_that_begins_a_command_says_what_it_is() -> None:
    text = masked("{{ kubectl }} delete pods --all", templates=True)
    assert parse(text).invocations[0].program == "kubectl"
    assert len(text) == len("{{ kubectl }} delete pods --all")


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("a\nb\n", "bash", ["a", "b"]),
        ("$ a\nout\n$ b \\\n  -c\nout\n", "console", ["a", "b \\", "  -c"]),
        ("$ cat <<EOF\nx\nEOF\nout\n", "bash", ["cat <<EOF", "x", "EOF"]),
        ("NAME   READY\na      1/1\n", "console", []),
        ("user@host:~$ ls\n", "", ["ls"]),
        ("[root@host ~]$ ls\n", "", ["ls"]),
    ],
)
def test_only_what_is_typed_is_read(text: str, language: str, wanted: list[str]) -> None:
    assert [line for _, _, line in typed_in(text, language)] == wanted


# --- syntax ------------------------------------------------------------------------------------------------------


def command(text: str) -> Command:
    return Command(masked(text, templates=True), text, tuple(Spot(Path("x"), n, 1) for n in range(1, 9)))


@pytest.mark.parametrize(
    "text",
    ["echo 'x", "a |", "a &&", "for x in 1; do echo", "done", "a ;; b", "echo (a)", "if x; b; fi", "x=$(a", "a; do b"],
)
def test_what_bash_refuses_is_a_fault(text: str) -> None:
    assert faults([command("true"), command(text), command("ls")]).keys() == {command(text)}


@pytest.mark.parametrize(
    "text",
    [
        "a \\", "kubectl get pods -o jsonpath='{.items}'", "x <id>", "{{ kubectl }} get {{ what }}",
        "find . -name *.log", "curl http://p/x?match[]={a=~\"b.*\"}", "[[ $a =~ ^b ]] && c", "cat <<EOF\nx\nEOF",
        "echo é $'a\\n'", "! a", "a & b", "for i in{% for x in y %} \"{{ x }}\"{% endfor %}; do a; done",
    ],
)  # fmt: skip
def test_what_bash_accepts_is_none(text: str) -> None:
    assert faults([command(text)]) == {}


def test_each_fault_has_its_row() -> None:
    found = faults([command("a\nb\necho )"), command("ok"), command("c\ndone")])
    assert [(fault.row, fault.message) for fault in found.values()] == [
        (2, 'near unexpected token ")"'),
        (1, 'near unexpected token "done"'),
    ]


def test_few_processes_read_many_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    ask = shell_syntax._ask
    monkeypatch.setattr(shell_syntax, "_ask", lambda text: asked.append(text) or ask(text))
    many = [command(f"echo {number}") for number in range(500)]
    more = [command(f"ls {number}") for number in range(500)]
    assert set(faults([*many, command("done"), *more, command("echo 'x")])) == {command("done"), command("echo 'x")}
    assert len(asked) == 4, "one for what is open, one for all others, one for where that stopped, one for the rest"


def test_bash_executes_nothing_and_reads_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    rc = tmp_path / "rc"
    rc.write_text(f"touch {trap}\n")
    for name in ("BASH_ENV", "ENV"):
        monkeypatch.setenv(name, str(rc))
    monkeypatch.setenv("BASH_FUNC_echo%%", f"() {{ touch {trap}; }}")
    faults([command(f"touch {trap}"), command(f"echo $(touch {trap}); done"), command(f"`touch {trap}`")])
    assert not trap.exists()


def test_bash_is_given_nothing_of_the_readers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its language would change the words that are read, and its functions what is known."""
    asked = {}
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda argv, **given: asked.update(given) or run(argv, **given))
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    assert next(iter(faults([command("done")]).values())).message == 'near unexpected token "done"'
    assert asked["env"] == {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def test_without_bash_the_grammar_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell_syntax, "_ask", lambda _: None)
    found = faults([command("echo 'x"), command("ls")])
    assert list(found) == [command("echo 'x")]
