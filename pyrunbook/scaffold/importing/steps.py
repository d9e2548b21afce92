"""Steps of a procedure: its sections, the numbered items of its list, or the whole of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from pyrunbook.markdown.code import SHELLS, looks_like_shell, typed_in
from pyrunbook.markdown.page import CodeBlock, Html, Item, Label, ListItem, Paragraph, Section, Table
from pyrunbook.markdown.section_names import SectionName, plain
from pyrunbook.scaffold.draft import EXPECTED, PURPOSE, UNDO, Deed, StepDraft, Words, free, identifier
from pyrunbook.scaffold.importing.inline import has_commands, inline_commands
from pyrunbook.scaffold.importing.phrases import (
    PageWording,
    bare_title,
    condition_in,
    first_sentence,
    is_failure,
    is_undo,
    verbatim,
)
from pyrunbook.scaffold.importing.placed import Placed
from pyrunbook.scaffold.importing.procedures import Part

_EXPECTED = r"(resultats? attendus?|expected( (result|output|outcome)s?)?|attendu)"
_RESERVED = {
    "all",
    "always",
    "backup",
    "conclude",
    "never",
    "preflight",
    "rollback",
    "rollback_plan",
    "tagged",
    "untagged",
    "verify",
}
"""Ids that steps of the playbook around the imported ones have, and words that Ansible keeps for tags."""


CONTINUED = re.compile(r"(\\|\||&&|<<-?\s*\S+|\b(do|then|else))\s*$|^\s*(for|while|until|if|case)\b|[({]\s*$", re.M)
"""Found in commands of which some go on over several lines."""


@dataclass
class _Said:
    """What is said so far of a step."""

    title: str
    pending: list[str] = field(default_factory=list)
    purpose: str = ""
    expected: list[str] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    undo: list[Deed] = field(default_factory=list)
    back: bool = False
    undoing: bool = False
    """Whether what comes next tells how to undo the step."""

    def add(self, deed: Deed) -> None:
        """Something to do, or to undo."""
        (self.undo if self.undoing else self.deeds).append(deed)


class StepReader:
    """Makes steps of parts; no two have the same role or tag. `taken`, the roles that there are, gets the new ones."""

    def __init__(self, runbook: str, file: str, wording: PageWording, placed: Placed, taken: set[str]) -> None:
        self._runbook = runbook
        self._file = file
        self._wording = wording
        self._placed = placed
        self._roles = taken
        self._tags = set(_RESERVED)
        self.titles: dict[str, str] = {}

    def of(self, part: Part) -> Iterator[tuple[StepDraft, bool]]:
        """The steps of a part, and of each whether it is one of the way back."""
        back = SectionName.ROLLBACK in part.names
        verifies = bool({SectionName.VERIFICATION, SectionName.DIAGNOSIS} & set(part.names))
        for title, line, items in self._split(part):
            turned = back or is_undo(title)
            step = self._step(title, line, items, verifies=verifies and not turned, back=turned)
            if step is not None:
                condition = condition_in(title)
                # What puts back is done on a failure anyway.
                yield replace(step, condition="" if turned and is_failure(condition) else condition), turned

    # --- what is one step ----------------------------------------------------------------------------------------

    def _split(self, part: Part) -> Iterator[tuple[str, int, list[Item]]]:
        title = bare_title(part.title) or bare_title(self._runbook.replace("_", " "))
        own: list[Item] = list(part.items)
        if part.value is not None:
            self._placed.take(part.value.line, part.value.end)
            if part.value.text:
                value = part.value
                own.insert(0, Paragraph(value.text, value.source, value.line, value.column, value.end))
        else:
            self._placed.take(part.line)
        numbered = [item for item in own if isinstance(item, ListItem) and item.number is not None]
        if len(numbered) > 1 and (sum(map(has_commands, numbered)) > 1 or has_commands(numbered[0])):
            yield from self._by_number(title, part.line, own)
        elif own:
            yield title, part.line, own
        for section in part.sections:
            self._placed.take(section.line)
            yield bare_title(section.title) or title, section.line, list(_with_headings(section, self._placed))

    def _by_number(self, title: str, line: int, items: list[Item]) -> Iterator[tuple[str, int, list[Item]]]:
        current: tuple[str, int, list[Item]] = (title, line, [])
        for item in items:
            if isinstance(item, ListItem) and item.number is not None:
                if current[2]:
                    yield current
                self._placed.take(item.line, item.line)
                inline = inline_commands(item.source) if item.label is None else None
                named = item.label.name if item.label else inline.title if inline and inline.title else item.text
                title_of_it = first_sentence(named, 70)
                whole = item.label is None and item.items and (item.bold or title_of_it == named.rstrip(".:; "))
                rest: list[Item] = list(item.items)
                if item.label and item.label.source:
                    rest.insert(
                        0, Paragraph(item.label.text, item.label.source, item.line, item.column, item.label.end)
                    )
                elif not whole:
                    rest.insert(0, Paragraph(item.text, item.source, item.line, item.column, item.line))
                self._placed.take(item.line, item.line + item.source.count("\n"))
                current = (bare_title(title_of_it) or title, item.line, rest)
            elif isinstance(item, (Paragraph, Label)) and is_undo(item.name if isinstance(item, Label) else item.text):
                if current[2]:
                    yield current
                named = item.name if isinstance(item, Label) else item.text.partition(":")[0]
                current = (bare_title(first_sentence(named, 70)), item.line, [item])
            else:
                current[2].append(item)
        if current[2] or current[1] != line:
            yield current

    # --- what a step says ----------------------------------------------------------------------------------------

    def _step(self, title: str, line: int, items: list[Item], *, verifies: bool, back: bool) -> StepDraft | None:
        said = _Said(title, back=back)
        for item in items:
            self._read(item, said)
        self._put_off(said)
        if not (said.deeds or said.purpose or said.expected or said.undo):
            return None
        if said.purpose and not said.deeds:  # the only words of a step say what to do
            said.deeds, said.purpose = [Deed(self._words(said.purpose))], ""
        tag = free(identifier(title, 40) or "step", self._tags)
        role = free(identifier(f"{self._runbook}_{identifier(title, 30) or 'step'}", 80), self._roles)
        self.titles[tag] = title
        expected = "; ".join(said.expected)
        return StepDraft(
            role=role,
            tag=tag,
            title=title,
            purpose=self._words(said.purpose) if said.purpose else self._blank(PURPOSE),
            expected=self._words(expected) if expected else self._blank(EXPECTED),
            by_hand=tuple(said.deeds),
            undo=tuple(deed for deed in said.undo if deed.commands),
            undo_text=said.undo[0].text
            if said.undo
            else {
                "en": "Nothing is changed, so nothing has to be undone.",
                "fr": "Rien n'est modifié, donc rien n'est à annuler.",
            }
            if verifies
            else self._blank(UNDO),
            verifies=verifies,
            origin=f"{self._file}:{line}",
        )

    def _read(self, item: Item, said: _Said) -> None:
        if isinstance(item, Html) and item.text.startswith("<!--"):
            return  # a comment is for the authors of the page; it is left over
        if not isinstance(item, ListItem):
            self._placed.take(item.line if not isinstance(item, CodeBlock) else item.fence_line, item.end)
        if isinstance(item, CodeBlock):
            self._code(item, said)
            return
        self._turn(item, said)
        if isinstance(item, Label):
            if re.fullmatch(_EXPECTED, plain(item.name)):
                said.expected += [item.source] if item.source else []
            else:
                self._sentence(f"**{item.name}**: {item.source}".strip(), said)
        elif isinstance(item, Paragraph):
            self._sentence(item.source, said)
        elif isinstance(item, Table):
            said.pending += [" | ".join(row) for row in (item.head, *item.rows)]
        elif isinstance(item, Html):
            said.pending.append(item.text)
        else:
            self._list_item(item, said)

    def _list_item(self, item: ListItem, said: _Said) -> None:
        self._placed.take(item.line, item.line + item.source.count("\n"))
        if item.checked is not None and said.deeds and not item.items:
            said.expected.append(item.source)
        elif item.source:
            self._sentence(item.source, said, f"{item.number}. " if item.number is not None else "")
        for inside in item.items:
            self._read(inside, said)

    def _sentence(self, source: str, said: _Said, number: str = "") -> None:
        """Words, with the commands that stand among them."""
        inline = inline_commands(source)
        if inline is None:
            said.pending.append(f"{number}{source}")
            return
        self._put_off(said)
        words = source if said.undoing else inline.words or said.title
        said.add(Deed(self._words(words), verbatim(inline.commands)))

    def _turn(self, item: Item, said: _Said) -> None:
        """Where words begin to tell how to undo the step, and where they tell of the step again."""
        words = item.name if isinstance(item, Label) else item.text if isinstance(item, (Paragraph, ListItem)) else ""
        begins = isinstance(item, Label) or (isinstance(item, Paragraph) and item.bold)
        undoing = is_undo(words) and not said.back
        if undoing != said.undoing and (undoing or begins or isinstance(item, ListItem)):
            self._put_off(said)
            said.undoing = undoing

    def _code(self, code: CodeBlock, said: _Said) -> None:
        commands = commands_of(code)
        *before, text = said.pending or [""]
        said.pending = before
        if not said.purpose and not said.deeds and text and not before and not said.undoing:
            said.purpose, text = text, ""
        self._put_off(said)
        for comment, group in _by_comment(commands):
            if text and comment:
                comment, group = "", f"# {comment}\n{group}"
            said.add(Deed(self._words(text or comment or said.title), verbatim(group)))
            text = ""

    def _put_off(self, said: _Said) -> None:
        """What was said without commands: the first of it is what the step is for, the rest is to be done, too."""
        for text in said.pending:
            if not said.purpose and not said.deeds and not said.undoing:
                said.purpose = text
            else:
                said.add(Deed(self._words(text)))
        said.pending = []

    def _blank(self, both: dict[str, str]) -> Words:
        """A blank in the languages of the page: a page in English needs no French one."""
        return both["en"] if self._wording.language == "en" else both

    def _words(self, text: str) -> Words:
        return self._wording.words(" ".join(text.split("\n")))


def commands_of(code: CodeBlock) -> str:
    """A block of code as commands for bash: what is not typed in, as output or YAML, becomes comments."""
    rows = [row.rstrip() for row in code.text.rstrip("\n").split("\n")]
    shell = code.language in SHELLS or (not code.language and looks_like_shell(code.text))
    typed = {row: line.rstrip() for row, _, line in typed_in(code.text, code.language)} if shell else {}
    if shell and not typed:
        typed = dict(enumerate(rows))
    written = [typed[at] if at in typed else f"# {row}".rstrip() for at, row in enumerate(rows)]
    return "\n".join(written).strip("\n") + "\n" if any(rows) else ""


def _by_comment(commands: str) -> Iterator[tuple[str, str]]:
    """Commands in groups that begin with a comment, each with its comment, which stands in the group no more.

    Only what is plainly a list of commands is taken apart.
    """
    groups = commands.strip("\n").split("\n\n")
    heads = [re.match(r"#+ *(?=[^\W_])([^\n]*)\n(?!#)", group) for group in groups]
    if not all(heads) or CONTINUED.search(commands):
        yield "", commands
        return
    for head, group in zip(heads, groups, strict=True):
        if head is not None:
            yield head[1].strip(), group[head.end() :] + "\n"


def _with_headings(section: Section, placed: Placed) -> Iterable[Item]:
    """The items of a section and of those below it, whose headings become text."""
    yield from section.items
    for below in section.sections:
        placed.take(below.line)
        title = bare_title(below.title)
        yield Paragraph(title, f"**{title}**", below.line, below.column, below.line)
        yield from _with_headings(below, placed)
