"""What a role's `meta/step.yml` says about the step that the role is."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from pyrunbook.catalog.metadata import Struct, Trouble
from pyrunbook.catalog.strict import read_struct
from pyrunbook.catalog.translation import add_translations, translations_of
from pyrunbook.catalog.values import Condition, Duration, Text
from pyrunbook.project.document import Document, read
from pyrunbook.project.problem import InvalidFile, Problem

NOTES = Path("meta") / "step.yml"
"""Where a role says what it does as a step."""


class ByHand(Struct, frozen=True, kw_only=True):
    """One thing to do by hand.

    Attributes:
        text: what it is for.
        commands: for bash, pasted as one; templates are filled with `page_values`.
        expected: what they should show.
        when: what must hold for it to be done, as Ansible writes conditions: of the inventory's variables, the role's
            inputs as the playbook sets them, and `page_values`; always when `None`.
    """

    text: Text
    commands: str = ""
    expected: Text | None = None
    when: Condition | None = None


class Platforms(Struct, frozen=True, kw_only=True):
    """By-hand instructions for each platform.

    Attributes:
        host: where the service is processes on a machine.
        kubernetes: where it is pods of a cluster.
    """

    host: tuple[ByHand, ...] = ()
    kubernetes: tuple[ByHand, ...] = ()

    def of(self, platform: str) -> tuple[ByHand, ...]:
        """Those of one platform."""
        return self.host if platform == "host" else self.kubernetes


class StepNotes(Struct, frozen=True, kw_only=True):
    """The file.

    Attributes:
        schema: version of the file: 1.
        title: what the role calls itself as a step; its translations are those of a step that a playbook calls so.
        purpose: what the step does and why.
        expected: what is so when it has succeeded.
        estimate: how long it takes.
        by_hand: how to do it when the automation is down.
        undo_text: what undoing it means, or that there is nothing to undo.
        undo: how to undo it by hand.
        troubleshooting: its known errors.
        check_mode: `full`: a dry run reports all that would change; `partial`: it cannot.
        check_mode_why: why it cannot.
        verifies: whether the step only checks and changes nothing, so that there is nothing to undo.
        inputs: language to input of the role to what it means; the English words are in `meta/argument_specs.yml`.
        point_of_no_return: whether going back needs the rollback plan from here on, not only the color that still runs.
        undo_before: roles whose undo needs this one's: it comes first, whatever the order of the steps was.
        not_alone: why the step cannot be run by itself; it can where nobody says so.
        switches: whether another color serves afterwards. A run begins by reading which one does, so what is done after
            the switch cannot be done by a run of its own.
    """

    schema: Literal[1] = 1
    title: Text | None = None
    purpose: Text
    expected: Text
    estimate: Duration = msgspec.field(default_factory=Duration)
    by_hand: Platforms = msgspec.field(default_factory=Platforms)
    undo_text: Text
    undo: Platforms = msgspec.field(default_factory=Platforms)
    troubleshooting: tuple[Trouble, ...] = ()
    check_mode: Literal["full", "partial"] = "full"
    check_mode_why: Text | None = None
    verifies: bool = False
    inputs: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    point_of_no_return: bool = False
    undo_before: tuple[str, ...] = ()
    not_alone: Text | None = None
    switches: bool = False

    def __post_init__(self) -> None:
        """Partial honesty needs its reason."""
        if (self.check_mode == "partial") != (self.check_mode_why is not None):
            raise ValueError("check_mode_why belongs to check_mode partial, and has to be there then")


def read_step_notes(file: Path) -> StepNotes:
    """Read a role's notes. Many runbooks apply the same roles, so a file that has not changed is read once.

    Raises:
        InvalidFile: with every mistake in the file.
    """
    try:
        found = [each.stat() for each in (file, *translations_of(file).values())]
    except OSError:
        found = []  # reading it says what is wrong
    return _read(file, tuple((each.st_mtime_ns, each.st_size) for each in found))


@lru_cache(maxsize=256)
def _read(file: Path, _versions: tuple[tuple[int, int], ...]) -> StepNotes:
    problems: list[Problem] = []
    notes = notes_of(read(file), problems)
    if notes is None or problems:
        raise InvalidFile(problems)
    return notes


def notes_of(document: Document, problems: list[Problem]) -> StepNotes | None:
    """The notes of a file that has been read, with their translations; `None` when anything in it was wrong."""
    notes = read_struct(document, document.root, StepNotes, "", problems)
    if notes is not None:
        add_translations(document.file, notes, problems)
    return notes
