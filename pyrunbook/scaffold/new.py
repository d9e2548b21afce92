"""A new runbook: the source guide's template as metadata, a playbook around the shipped roles, and a step role."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

from pyrunbook import places
from pyrunbook.catalog import CATEGORIES
from pyrunbook.errors import BadInput
from pyrunbook.scaffold.draft import BLANK, EXPECTED, PURPOSE, UNDO, Deed, RunbookDraft, StepDraft, blank
from pyrunbook.scaffold.files import write_new
from pyrunbook.scaffold.rendering import runbook_files

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def new_runbook(project: Path, category: str, name: str, role: str | None, today: date) -> dict[str, str]:
    """Write a runbook with blanks.

    Args:
        project: the directory of `playbooks/` and `roles/`.
        category: one of `CATEGORIES`.
        name: of the runbook; hyphens become underscores.
        role: of a step role to write with it.
        today: the day that the new runbook bears as its review.

    Returns:
        what was written: name relative to the project to text.

    Raises:
        BadInput: the name is none, or something is there already; then nothing was written.
    """
    if category not in CATEGORIES:
        raise BadInput(f"there is no category {category!r}", next_step=f"choose {', '.join(CATEGORIES)}")
    name = valid_name(name, "runbook")
    draft = blank_runbook(category, name, today)
    if role is not None:
        draft.steps = [blank_step(free_role(project, role))]
        draft.whole = True
    own = {step.tag: f"{BLANK} : {step.title}" for step in draft.steps}
    draft.metadata["titles"] = {"fr": own} if own else {}
    files = runbook_files(draft)
    write_new(project, files, elsewhere="choose another directory with --project")
    return files


def valid_name(given: str, of_what: str) -> str:
    """A name with underscores for hyphens.

    Raises:
        BadInput: Ansible would not take it.
    """
    name = given.strip().removesuffix(".yml").replace("-", "_")
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{given!r} is no name of a {of_what}: lower-case letters, digits and underscores, beginning with a letter",
            means="Nothing was written.",
        )
    return name


def free_role(project: Path, given: str) -> str:
    """A name for a new role.

    Raises:
        BadInput: the project has one of that name, or pyrunbook ships one.
    """
    role = valid_name(given, "role")
    if (project / "roles" / role).exists():
        raise BadInput(
            f"the role {role} is there already: {project / 'roles' / role}",
            means="Nothing was written.",
            next_step="choose another name; or leave --role out, and import that role in the playbook yourself",
        )
    if (places.shipped() / "roles" / role).exists():
        raise BadInput(
            f"pyrunbook ships a role {role}, and two of one name are soon taken for each other",
            means="Nothing was written.",
            next_step="choose another name",
        )
    return role


def blank_runbook(category: str, name: str, today: date) -> RunbookDraft:
    """A draft whose every text is a blank that says what belongs there."""
    title = name.replace("_", " ").capitalize()
    metadata: dict[str, Any] = {
        "title": {"en": title, "fr": f"{BLANK} : {title}"},
        "summary": blank("what it is for, in a sentence", "à quoi il sert, en une phrase"),
        "frequency": blank("how often it is run: daily, weekly, on demand", "quotidien, hebdo, à la demande"),
        "window": {"required": category == "maintenance"},
        "impact": blank("what users notice", "ce que les utilisateurs remarquent"),
        "when_to_ignore": blank("when nothing has to be done now", "quand il n'y a rien à faire pour l'instant"),
        "verification": blank("how one sees that it worked", "à quoi l'on voit que c'est réussi"),
        "prerequisites": [
            {
                "id": "access",
                "text": blank("what must hold before the first change", "ce qui doit être vrai avant de commencer"),
                "check": "attested",
                "how": blank("how the operator finds out", "comment l'opérateur le vérifie"),
            }
        ],
        "rollback": blank(
            "how what was there is put back, by the run itself and by hand",
            "comment l'existant est rétabli, par l'exécution elle-même et à la main",
        ),
        "escalation": [{"to": "L2", "when": blank("what has happened then", "ce qui s'est passé alors")}],
        "troubleshooting": [
            {
                "error": f"{BLANK}: the words of the message",
                "cause": blank("why it happens", "pourquoi cela arrive"),
                "solution": blank("what to do", "que faire"),
            }
        ],
        "contacts": ["L1", "slack"],
    }
    if category == "incidents":
        metadata["frequency"] = {"en": "On alert", "fr": "Sur alerte"}
        metadata["severity"] = "high"
        metadata["symptoms"] = [blank("what one sees", "ce que l'on constate")]
        metadata["alerts"] = [BLANK]
    return RunbookDraft(
        category=category,
        name=name,
        title=title,
        short_description=f"{BLANK}: what it does, in a few words",
        updated=today,
        metadata=metadata,
        deploys=category == "deployment",
        backs_up=category != "incidents",
        whole=False,
    )


def blank_step(role: str) -> StepDraft:
    """A step whose texts are blanks."""
    return StepDraft(
        role=role,
        tag=role,
        title=role.replace("_", " ").capitalize(),
        purpose=PURPOSE,
        expected=EXPECTED,
        by_hand=(
            Deed(
                blank("what the commands are for", "à quoi servent les commandes"),
                f"false  # {BLANK}: the commands that do it by hand\n",
                blank("what they show", "ce qu'elles affichent"),
            ),
        ),
        undo_text=UNDO,
    )
