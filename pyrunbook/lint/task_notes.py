"""What is noted of a task, whether a playbook or a role has it."""

from __future__ import annotations

from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Mention, Subject
from pyrunbook.project.problem import Spot
from pyrunbook.project.role_places import folder_of
from pyrunbook.project.tasks import Task

_NO = ("false", "no", "off")


def note_task(subject: Subject, task: Task, project: Project) -> str:
    """Note whether a task asks a question, or ignores a failure without a comment, and which role it applies.

    Returns:
        the role's name; empty where it applies none, one of another collection, or one that only a run can tell.
    """
    pause = task.module("pause")
    if pause is not None:
        arguments = task.document.entries(pause[1])
        timed = arguments.keys() & {"seconds", "minutes"} or "seconds=" in task.document.written(pause[1])
        if "prompt" in arguments or not timed:
            note_prompt(subject, task.spot(pause[0]), "pause")
    ignored = task.entries.get("ignore_errors")
    if ignored is not None and task.document.written(ignored[1]).lower() not in _NO and not _explained(task, project):
        message = "ignore_errors without a comment that says why a failure is right here"
        subject.note("ignored-error", task.spot(ignored[0]), message)
    named = task.role()
    if named is None or "{{" in named[0] or folder_of(named[0]).count(".") >= 2:
        return ""
    subject.mentions.append(Mention("role", *named))
    return named[0]


def note_prompt(subject: Subject, at: Spot, asking: str) -> None:
    """Note a question: `vars_prompt`, or a `pause` that waits for a key."""
    instead = "take it as an input, or as an attested prerequisite"
    subject.note("prompt-in-play", at, f"{asking} asks in the middle of a play, where nobody may be; {instead}")


def _explained(task: Task, project: Project) -> bool:
    """Whether a comment stands on the line of `ignore_errors`, above it, or above its task."""
    lines = project.lines(task.document.file)
    at = task.entries["ignore_errors"][0].start_mark.line
    above = [number - 1 for number in (at, task.node.start_mark.line) if number > 0]
    return "#" in lines[at] or any(lines[number].lstrip().startswith("#") for number in above)
