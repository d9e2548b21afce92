"""The steps of a runbook as its page shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyrunbook.catalog import Phase, Runbook, Step, StepNotes, Text, after_switch, ways_back
from pyrunbook.catalog.step_notes import ByHand
from pyrunbook.docs.markdown_text import anchor, code, fence, link, plain_text
from pyrunbook.docs.past_runs import PastRuns
from pyrunbook.docs.run_commands import RunCommands
from pyrunbook.docs.target import Target
from pyrunbook.docs.wording import Wording
from pyrunbook.redaction import redact_text
from pyrunbook.windows import format_duration


@dataclass(frozen=True)
class PageStep:
    """A step.

    Attributes:
        number: counted from 1 where its heading has one; empty for those of the rollback.
        title: Markdown, like `facts`, `by_hand` and `undo`.
        anchor: where links to it lead.
        phase: as of the catalog.
        facts: one line: its id and role, how long it takes, when it happens.
        commands: that run only it; empty where it cannot be run by itself.
        not_alone: why it cannot.
        notes: of its role; `None` where it has none.
        words: says the texts of its notes.
        holds: whether a condition of its notes does, with the values that the playbook sets for it.
        by_hand: platform to what is done there.
        undo: the same for its way back; without the platforms where there is nothing to type.
        tasks: the role's tasks and their sum, to which what is done by hand was compared; empty where
            nothing is typed.
    """

    number: str
    title: str
    anchor: str
    phase: str
    facts: str
    commands: str
    not_alone: str
    notes: StepNotes | None
    words: Callable[[Text], str]
    holds: Callable[[str | None], bool]
    by_hand: list[tuple[str, str]]
    undo: list[tuple[str, str]]
    tasks: str = ""

    @property
    def place(self) -> str:
        """A link to it, as a sentence names it: by its number, or by its title."""
        return link(self.number or self.title, f"#{self.anchor}")

    @property
    def undoable(self) -> bool:
        """Whether its way back is worth a heading: checks change nothing, and the rollback is the way back itself."""
        return self.notes is not None and self.phase != Phase.ROLLBACK and not self.notes.verifies


_NOT_RECOVERING = "not recovers"
"""How the shipped playbooks say that a step is of no use to `pyrunbook recover`; readers know no such variable."""


@dataclass(frozen=True)
class Steps:
    """Makes the steps of a page."""

    runbook: Runbook
    target: Target
    platforms: tuple[str, ...]
    commands: RunCommands
    wording_of: Callable[[Step], Wording]
    past_runs: PastRuns | None

    def made(self, steps: Iterable[Step]) -> tuple[list[PageStep], list[PageStep]]:
        """The steps in their order, numbered; and those that can be undone, in the order of the ways back."""
        listed = list(steps)
        late = {id(step) for step in after_switch(listed)}
        made: dict[int, PageStep] = {}
        for step in listed:
            number = 1 + sum(bool(other.number) for other in made.values())
            shown = "" if step.phase is Phase.ROLLBACK else str(number)
            made[id(step)] = self._step(shown, step, late=id(step) in late)
        back = [made[id(step)] for step in ways_back(listed)]
        return list(made.values()), [step for step in back if step.undoable]

    def _step(self, number: str, step: Step, *, late: bool) -> PageStep:
        notes, wording = step.notes, self.wording_of(step)
        why = wording.t("after_switch") if late else wording.words(notes.not_alone) if notes and notes.not_alone else ""
        return PageStep(
            number=number,
            title=plain_text(self.runbook.title_of(step, wording.language)),
            anchor=f"{step.phase}-{anchor(step.id)}",
            phase=str(step.phase),
            facts=self._facts(step, wording),
            commands="" if why or (self.runbook.plain and step.id not in step.tags) else self.commands.only(step.id),
            not_alone=why,
            notes=notes,
            words=wording.words,
            holds=wording.values.holds,
            by_hand=[(name, self._by_hand(notes.by_hand.of(name), wording)) for name in self.platforms if notes],
            undo=[
                (name, self._by_hand(notes.undo.of(name), wording))
                for name in self.platforms
                if notes and any(wording.values.holds(item.when) for item in notes.undo.of(name))
            ],
            tasks=self._tasks(step) if notes and any(notes.by_hand.of(name) for name in self.platforms) else "",
        )

    def _tasks(self, step: Step) -> str:
        folder = self.runbook.role_path(step.role) / "tasks"
        return f"`roles/{step.folder}/tasks` {self.target.tasks_sum(folder, self.platforms)}" if folder.is_dir() else ""

    def _facts(self, step: Step, wording: Wording) -> str:
        t = wording.t
        facts = [t("step_facts", step.id, step.folder)] if step.role else [f"`{step.id}`"]
        if step.estimate:
            facts.append(t("about", format_duration(step.estimate)))
        if self.past_runs and (found := self.past_runs.of_step(self.runbook.id, step.id)):
            facts.append(f"{t('measured').lower()} {t('measured_runs', *found)}")
        if step.phase is Phase.ROLLBACK:
            facts.append(t("rescue"))
        if step.phase is Phase.CONCLUDE:
            facts.append(t("conclude"))
        if step.phase is not Phase.PROCEDURE and not step.always:
            facts.append(t("not_of_single"))
        facts += [
            t("not_recovering") if condition == _NOT_RECOVERING else t("only_when_all", code(redact_text(condition)))
            for condition in step.conditions
        ]
        if step.notes and step.notes.point_of_no_return:
            facts.append(t("no_return"))
        return t("separator").join(facts) + "."

    def _by_hand(self, items: tuple[ByHand, ...], wording: Wording) -> str:
        """Texts and commands in turn, or nothing; the commands at the margin, to be copied from any reader."""
        parts = []
        here = [item for item in items if wording.values.holds(item.when)]
        for number, item in enumerate(here, 1):
            said = wording.words(item.text)
            parts.append(f"({number}) {said}" if len(here) > 1 else said)
            if item.commands:
                parts.append(fence(wording.values.fill(item.commands)))
            if item.expected:
                parts.append(f"*{wording.t('expected')}*{wording.t('colon')}{wording.words(item.expected)}")
        return "\n\n".join(parts)
