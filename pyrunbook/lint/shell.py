"""Reads shell text as what it is: commands, pipelines, chains, variables, each with its row and column.

The grammar is tree-sitter's for Bash (`tree-sitter-bash`): it gives quotes, here-documents and nesting where they are,
and goes on behind a mistake. Nothing is executed. Rows and columns count from 0, in characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from pyrunbook.lint.script import Chain, Invocation, Pipeline, Script, Statement, Variable, Word

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_WRAPPERS: dict[str, tuple[str, ...]] = {
    "sudo": ("-u", "-g", "-C", "-h", "-p", "-D", "-T"), "doas": ("-u", "-C"), "env": ("-u", "-C", "-S"), "time": (),
    "nohup": (), "nice": ("-n",), "ionice": ("-c", "-n"), "timeout": ("-k", "-s"), "command": (), "exec": ("-a",),
    "xargs": ("-I", "-n", "-P", "-L", "-d", "-a", "-E", "-s"), "watch": ("-n",), "setsid": (),
    "stdbuf": ("-o", "-e", "-i"),
}  # fmt: skip
"""Programs that start another one, with those of their options that take a value."""
_SHELLS = ("bash", "sh", "zsh", "dash", "ksh", "ash")


@cache
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


@lru_cache(maxsize=8192)
def parse(text: str) -> Script:
    """Read a shell text; what it does not understand is left out, see `Script.fault`. Do not change what it returns."""
    source = text if text.endswith("\n") else text + "\n"
    try:
        return _Reader(source).script()
    except RecursionError:  # a thousand brackets within each other: nobody types that in
        return Script(fault=(0, 0))


class _Reader:
    def __init__(self, text: str) -> None:
        self._bytes = text.encode()
        self._lines = self._bytes.split(b"\n")
        self._script = Script()

    def script(self) -> Script:
        root = _parser().parse(self._bytes).root_node
        self._visit(root)
        self._script.statements += self._statements(root)
        if root.has_error:
            wrong = next(_wrong(root), root)
            self._script.fault = self._at(wrong)
        return self._script

    def _at(self, node: Node) -> tuple[int, int]:
        row, column = node.start_point
        line = self._lines[row] if row < len(self._lines) else b""
        return row, len(line[:column].decode(errors="replace"))

    def _text(self, node: Node) -> str:
        return self._bytes[node.start_byte : node.end_byte].decode(errors="replace")

    # --- the tree ------------------------------------------------------------------------------------------------

    def _visit(self, node: Node) -> None:
        script = self._script
        match node.type:
            case "command":
                found = self._invocation(node)
                if found is not None:
                    script.invocations.append(found)
                    self._builtin(found)
                    script.invocations += self._inner(found)
            case "pipeline":
                script.pipelines.append(self._pipeline(node))
            case "list":
                self._list(node)
            case "simple_expansion" | "expansion":
                script.reads += self._variable(node)
            case "variable_assignment":
                if node.parent is None or node.parent.type != "command":
                    name = node.child_by_field_name("name")
                    script.sets.append((self._text(name).partition("[")[0] if name else "", node.start_point[0]))
            case "declaration_command" | "for_statement" | "select_statement":
                for child in node.children:
                    if child.type == "variable_name":
                        script.sets.append((self._text(child), node.start_point[0]))
            case "program" | "subshell" | "compound_statement" | "do_group":
                self._chains(node)
        for child in node.children:
            self._visit(child)

    def _list(self, node: Node) -> None:
        parts = node.children
        for index, mark in enumerate(parts):
            if mark.type == "||" and 0 < index < len(parts) - 1:
                before, after = self._below(parts[index - 1]), self._below(parts[index + 1])
                self._script.alternatives.append(Chain(before, after, *self._at(mark)))

    def _statements(self, root: Node) -> Iterator[Statement]:
        parts = root.children
        for index, node in enumerate(parts):
            if node.is_named and node.type != "comment":
                background = index + 1 < len(parts) and parts[index + 1].type == "&"
                yield Statement(self._below(node), *self._at(node), background, self._is_endless(node))

    def _is_endless(self, node: Node) -> bool:
        condition = node.child_by_field_name("condition") if node.type == "while_statement" else None
        if condition is None or self._text(condition).strip(" ;") not in ("true", ":", "[ 1 ]", "((1))", "[[ 1 ]]"):
            return False
        return re.search(r"\b(break|exit|return)\b", self._text(node)) is None

    def _chains(self, node: Node) -> None:
        parts = [child for child in node.children if child.type != "comment"]
        for index, mark in enumerate(parts[1:-1], 1):
            before, after = parts[index - 1], parts[index + 1]
            same_row = before.end_point[0] == mark.start_point[0] == after.start_point[0]
            if mark.type == ";" and before.is_named and after.is_named and same_row:
                self._script.chains.append(Chain(self._below(before), self._below(after), *self._at(mark)))

    def _below(self, node: Node) -> tuple[Invocation, ...]:
        found = [self._invocation(node)] if node.type == "command" else []
        inside = [each for child in node.children for each in self._below(child)]
        return (*(each for each in found if each is not None), *inside)

    def _pipeline(self, node: Node) -> Pipeline:
        members: list[Invocation | None] = []
        writes: tuple[str, ...] = ()
        if node.children and node.children[0].type in ("|", "|&"):  # `cat <<EOF | kubectl apply -f -`
            members.append(None)
        for child in node.named_children:
            if child.type == "comment":
                continue
            body = child.child_by_field_name("body") if child.type == "redirected_statement" else child
            members.append(self._invocation(body) if body is not None and body.type == "command" else None)
            writes = self._writes(child) if child.type == "redirected_statement" else ()
        if node.parent is not None and node.parent.type == "redirected_statement":
            writes += self._writes(node.parent)
        return Pipeline(tuple(members), writes, *self._at(node))

    # --- one command ---------------------------------------------------------------------------------------------

    def _invocation(self, node: Node) -> Invocation | None:
        nodes = [child for child in node.named_children if child.type not in _BESIDE]
        written = [self._word(child) for child in nodes]
        words = _unwrapped(written)
        if not words:
            return None
        through = tuple(word.text for word in written[: len(written) - len(words)] if word.text in _WRAPPERS)
        around = node.parent if node.parent is not None and node.parent.type == "redirected_statement" else None
        given = "".join(self._text(part) for part in _of_types(around or node, ("heredoc_body", "herestring_redirect")))
        program = words[0].text.rpartition("/")[2]
        writes = self._writes(around) if around is not None else ()
        return Invocation(program, tuple(words[1:]), words[0].row, words[0].column, given, writes, through)

    def _writes(self, node: Node) -> tuple[str, ...]:
        found = []
        for child in node.named_children:
            if child.type == "file_redirect" and any(mark.type in (">", ">>", ">|", "&>") for mark in child.children):
                descriptor = child.child_by_field_name("descriptor")
                target = child.child_by_field_name("destination")
                if target is not None and (descriptor is None or self._text(descriptor) == "1"):
                    found.append(self._word(target).text)
        return tuple(found)

    def _word(self, node: Node) -> Word:
        text = _unquoted(self._text(node), node.type)
        variables = tuple(v for part in _of_types(node, _EXPANSIONS) for v in self._variable(part))
        pattern = node.type in ("word", "concatenation") and re.search(r"[*?\[]", text) is not None
        dynamic = next(_of_types(node, (*_EXPANSIONS, "command_substitution")), None) is not None
        return Word(
            text,
            *self._at(node),
            variables,
            literal=not pattern and not dynamic,
            bare=self._bare(node),
            cut=re.match(rb"&\w", self._bytes[node.end_byte : node.end_byte + 2]) is not None,
        )

    def _bare(self, node: Node) -> str:
        if node.type in (*_QUOTED, *_EXPANSIONS, "command_substitution"):
            return ""
        if node.type == "concatenation":
            return "".join(self._bare(child) for child in node.children)
        return re.sub(r"\\.", "", self._text(node))

    def _variable(self, node: Node) -> list[Variable]:
        name = next((child for child in node.children if child.type == "variable_name"), None)
        if name is None:
            return []
        after = node.children[node.children.index(name) + 1 :]
        operator = after[0].type if node.type == "expansion" and after and after[0].type != "}" else ""
        return [Variable(self._text(name), operator, *self._at(node))]

    def _builtin(self, found: Invocation) -> None:
        words = found.texts
        if found.program in ("read", "mapfile", "readarray", "getopts"):
            names = [word for word in words if re.fullmatch(r"[A-Za-z_]\w*", word)]
            self._script.sets.extend((name, found.row) for name in names)
        elif found.program == "printf" and words[:1] == ("-v",) and len(words) > 1:
            self._script.sets.append((words[1], found.row))
        elif found.program == "set":
            for index, word in enumerate(words):
                if re.fullmatch(r"-[A-Za-z]+", word):
                    self._script.options.update(word[1:])
                    if word.endswith("o") and index + 1 < len(words):
                        self._script.options.add(f"o {words[index + 1]}")

    def _inner(self, found: Invocation) -> Iterator[Invocation]:
        """What a command starts by itself: `kubectl exec … -- rm …`, `bash -c '…'`, `ssh host '…'`."""
        words = found.arguments
        behind = next((index for index, word in enumerate(words) if word.text == "--"), None)
        if found.program in ("kubectl", "oc", "docker", "podman", "crictl") and "exec" in found.texts:
            started = list(words[behind + 1 :]) if behind is not None else []
            started = _unwrapped(started)
            if started:
                program, first = started[0].text.rpartition("/")[2], started[0]
                nested = Invocation(program, tuple(started[1:]), first.row, first.column)
                yield nested
                yield from self._inner(nested)
        elif found.program in _SHELLS and "-c" in found.texts[:-1]:
            word = words[found.texts.index("-c") + 1]
            # Only where nothing is substituted before that shell reads it, and only in one line, has it these columns.
            if "\n" not in word.text and not word.variables:
                for each in parse(word.text).invocations:
                    yield Invocation(each.program, each.arguments, word.row, word.column + 1 + each.column, each.given)


_BESIDE = ("variable_assignment", "file_redirect", "heredoc_redirect", "herestring_redirect", "comment")
_QUOTED = ("string", "raw_string", "ansi_c_string", "translated_string")
_EXPANSIONS = ("simple_expansion", "expansion")


def _of_types(node: Node, types: tuple[str, ...]) -> Iterator[Node]:
    if node.type in types:
        yield node
    for child in node.children:
        yield from _of_types(child, types)


def _wrong(node: Node) -> Iterator[Node]:
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _wrong(child)


def _unquoted(text: str, kind: str) -> str:
    if kind in ("raw_string", "string") and len(text) >= 2:
        return text[1:-1]
    if kind == "ansi_c_string":
        return text[2:-1]
    if kind in ("concatenation", "command_name"):
        return re.sub(r"""(["'])((?:(?!\1).)*)\1""", r"\2", text)
    return re.sub(r"\\(.)", r"\1", text)


def _unwrapped(words: list[Word]) -> list[Word]:
    """The words without the programs in front that only start the next one."""
    while words:
        name = words[0].text.rpartition("/")[2]
        if name not in _WRAPPERS:
            return words
        valued = _WRAPPERS[name]
        position = 1
        while position < len(words):
            text = words[position].text
            if text.startswith("-") and len(text) > 1:
                position += 2 if text in valued else 1
            elif (name == "env" and "=" in text) or (name == "timeout" and re.fullmatch(r"[\d.]+[smhd]?", text)):
                position += 1
            else:
                break
        if position >= len(words):
            return words
        words = words[position:]
    return words
