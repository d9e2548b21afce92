"""A runbook before it is written: what is known of it, with blanks where nothing is."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Words = str | dict[str, str]
"""A text: English, or a mapping of language to words."""

BLANK = "TODO"
"""The word that marks what an author has to fill in."""


def blank(english: str, french: str) -> dict[str, str]:
    """A blank in both languages that says what belongs there."""
    return {"en": f"{BLANK}: {english}", "fr": f"{BLANK} : {french}"}


PURPOSE = blank("what the step does and why", "ce que fait l'étape, et pourquoi")
EXPECTED = blank("what is so when it has succeeded", "ce qui est vrai quand elle a réussi")
UNDO = blank("how to undo it, or that nothing has to be", "comment l'annuler, ou que ce n'est pas à faire")
"""The blanks of a step."""


@dataclass(frozen=True)
class Deed:
    """Something to do by hand: what for, the commands, what they should show."""

    text: Words
    commands: str = ""
    expected: Words | None = None


@dataclass(frozen=True)
class StepDraft:
    """A step role before it is written.

    Attributes:
        role: its name; also the name of its folder.
        tag: the step's id in its playbook.
        by_hand: for both platforms.
        verifies: whether it only looks.
        condition: the words by which the page says when it is done: `si nécessaire`; empty for a step that always is.
        origin: `file:line` of the page that it was read from; empty for a new one.
    """

    role: str
    tag: str
    title: str
    purpose: Words
    expected: Words
    by_hand: tuple[Deed, ...] = ()
    undo_text: Words = ""
    undo: tuple[Deed, ...] = ()
    verifies: bool = False
    condition: str = ""
    origin: str = ""


@dataclass
class RunbookDraft:
    """A runbook before it is written. What is `None` or empty is a blank, or is left out where it may be missing.

    Attributes:
        title: in the language of its author; also the name of the play.
        updated: `None` where nobody knows.
        metadata: further fields of the `runbook` block as plain data, in the form of the file.
        way_back: roles of the rollback besides the shipped one.
        deploys: whether a release has to be there before it starts.
        backs_up: whether it begins with a backup.
        automated: whether its roles do what they say, rather than fail until somebody writes them.
        whole: whether these are all steps, rather than a frame for them.
        origin: `file:line` of the page that it was read from; empty for a new one.
    """

    category: str
    name: str
    title: str
    short_description: str
    owner: str = ""
    updated: date | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    steps: list[StepDraft] = field(default_factory=list)
    way_back: list[StepDraft] = field(default_factory=list)
    deploys: bool = False
    backs_up: bool = True
    automated: bool = True
    whole: bool = True
    origin: str = ""

    @property
    def id(self) -> str:
        """`<category>/<name>`."""
        return f"{self.category}/{self.name}"


def identifier(text: str, longest: int = 50) -> str:
    """A name for files, roles and tags: `Mise à jour` → `mise_a_jour`; empty where no letter is left."""
    text = text.replace("\u0153", "oe").replace("\u0152", "Oe")
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    plain = unicodedata.normalize("NFKD", split).encode("ascii", "ignore").decode().lower()
    words = [word for word in re.split(r"[^a-z0-9]+", plain) if word]
    while words and words[0].isdigit():
        words.pop(0)
    name = ""
    for word in words:
        if name and len(name) + 1 + len(word) > longest:
            break
        name = f"{name}_{word}" if name else word[:longest]
    return f"n{name}" if name[:1].isdigit() else name


def free(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken; takes it."""
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    taken.add(chosen)
    return chosen
