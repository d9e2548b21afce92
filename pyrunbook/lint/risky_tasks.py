"""Tasks that ask a question, and tasks that ignore a failure without a comment."""

from __future__ import annotations

from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Place, Subject
from pyrunbook.project.tasks import Task

_NO = ("false", "no", "off")


def note_risks(subject: Subject, task: Task, project: Project) -> None:
    """Note whether a task asks a question, and whether it ignores a failure without a comment."""
    pause = task.module("pause")
    if pause is not None:
        arguments = task.document.entries(pause[1])
        timed = arguments.keys() & {"seconds", "minutes"} or "seconds=" in task.document.written(pause[1])
        if "prompt" in arguments or not timed:
            subject.prompts.append(Place(task.spot(pause[0]), "pause"))
    ignored = task.entries.get("ignore_errors")
    if ignored is not None and task.document.written(ignored[1]).lower() not in _NO and not _explained(task, project):
        subject.ignored_errors.append(Place(task.spot(ignored[0])))


def _explained(task: Task, project: Project) -> bool:
    """Whether a comment stands on the line of `ignore_errors`, above it, or above its task."""
    lines = project.lines(task.document.file)
    at = task.entries["ignore_errors"][0].start_mark.line
    above = [number - 1 for number in (at, task.node.start_mark.line) if number > 0]
    return "#" in lines[at] or any(lines[number].lstrip().startswith("#") for number in above)
