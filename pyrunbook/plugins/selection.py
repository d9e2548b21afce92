"""Which steps of a play its tags select, and what nobody may leave out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import context
from ansible.constants import _ACTION_META as META
from ansible.playbook.block import Block
from ansible.playbook.handler import Handler
from ansible.playbook.role_include import IncludeRole
from ansible.playbook.task_include import TaskInclude

from pyrunbook.catalog.playbook import GUARD, GUARDS, slug
from pyrunbook.project.role_places import folder_of

VALIDATION = ("ansible.builtin.validate_argument_spec", "validate_argument_spec")
"""What Ansible puts before a role with argument specs; it is always selected, and no step by itself."""
PAUSE = ("pause", "ansible.builtin.pause", "ansible.legacy.pause")


def _ancestors(task: Any) -> Iterator[Any]:
    parent = getattr(task, "_parent", None)
    while parent is not None:
        yield parent
        parent = getattr(parent, "_parent", None)


def outermost_include(task: Any) -> Any:
    """The playbook's own import of a role that a task belongs to; `None` for a task of the playbook itself."""
    found = task if isinstance(task, IncludeRole) else None
    for ancestor in _ancestors(task):
        if isinstance(ancestor, IncludeRole):
            found = ancestor
    return found


def guarded(play: Any) -> str:
    """The runbook that a plain playbook names to the role `preflight` in its `roles`; empty where it does not."""
    for role in play.roles:
        if str(role.get_name()).rpartition(".")[2] == GUARD and (named := (role.vars or {}).get("runbook_id")):
            return str(named)
    return ""


@dataclass(frozen=True)
class Entered:
    """The step that a task belongs to.

    Attributes:
        key: the same for all tasks of the step.
        title: as written: a template where it is one.
        role: the name of the role that it applies, and its directory; empty where it is a block or a task.
    """

    key: str
    id: str
    title: str
    role: str = ""
    path: Path = Path()


def step_of(task: Any, *, plain: bool) -> Entered | None:
    """The step that a task belongs to.

    A runbook's steps are the roles that it applies. Those of a plain playbook are what stands in it: a role, a file of
    tasks that has a name, a block that has a name and neither `rescue` nor `always`, else the task itself.
    """
    if not plain:
        include = outermost_include(task)
        return None if include is None else _of_role(include)
    for part in (*reversed(list(_ancestors(task))), task):
        if isinstance(part, Handler):
            break
        if getattr(part, "_role", None) is not None:  # of the play's `roles`
            role = (part.get_dep_chain() or [part._role])[0]
            name = folder_of(str(role.get_name()))
            return Entered(role._uuid, _own_tag(role, name), name, name, Path(str(role._role_path)))
        if isinstance(part, IncludeRole):
            return _of_role(part)
        grouping = isinstance(part, TaskInclude) or (isinstance(part, Block) and not (part.rescue or part.always))
        if grouping and (name := _name(part)):
            return Entered(part._uuid, _own_tag(part, slug(name)), name)
    if isinstance(task, TaskInclude):
        return None  # the tasks in it are the steps
    name = _name(task) or str(task.action)
    return Entered(task._uuid, _own_tag(task, slug(name)), name)


def _of_role(include: Any) -> Entered:
    role = folder_of(str(include._role_name))
    return Entered(include._uuid, step_id(include), _name(include) or role, role, Path(str(include._role_path)))


def _name(part: Any) -> str:
    # As written. A static import is named when the playbook is read, before variables are known; and the text keeps
    # its own type, by which Ansible knows that it is the playbook's and may be templated.
    written = part._ds.get("name") if isinstance(part._ds, dict) else None
    return written or part.name or ""


def _own_tag(part: Any, otherwise: str) -> str:
    # Not the inherited ones: those are of several.
    source = getattr(part, "_ds", None)
    written = source.get("tags") if isinstance(source, dict) else None
    given = written.split(",") if isinstance(written, str) else written or []
    return next((str(tag).strip() for tag in given if tag not in ("always", "never")), otherwise)


def step_id(include: Any) -> str:
    """The tag of the import is the step's id; the role's name where it has none of its own."""
    tags = [str(tag) for tag in include.tags if tag not in ("always", "never")]
    return tags[0] if tags else folder_of(str(include._role_name))


MOLECULE = frozenset({"molecule-notest", "notest"})
"""What molecule skips in every play; harmless where no step has such a tag."""


@dataclass
class Part:
    """A step of the play: the directory of its role, whether it stands in `rescue`, whether a task is selected."""

    id: str
    title: str
    role: str
    path: Path
    rescues: bool
    selected: bool = False
    skipped: bool = False

    @property
    def guard(self) -> bool:
        """Whether every run must include it."""
        return self.rescues or self.role in GUARDS


def tasks_of(blocks: Any, *, rescues: bool = False) -> Iterator[tuple[Any, bool]]:
    """The tasks of a play that has been compiled, and whether each stands in a `rescue` of the playbook itself."""
    for task in blocks:
        if isinstance(task, Block):
            of_playbook = outermost_include(task) is None
            yield from tasks_of(task.block, rescues=rescues)
            yield from tasks_of(task.rescue, rescues=rescues or of_playbook)
            yield from tasks_of(task.always, rescues=rescues)
        else:
            yield task, rescues


def parts(play: Any) -> list[Part]:
    """The steps that the playbook imports; steps that it includes are not known before they are reached."""
    found: dict[str, Part] = {}
    for task, rescues in tasks_of(play.compile()):
        include = outermost_include(task)
        if include is None or task.action in (*META, *VALIDATION):
            continue
        role = folder_of(str(include._role_name))
        title = str((include._ds or {}).get("name") or role)
        made = Part(step_id(include), title, role, Path(str(include._role_path)), rescues)
        part = found.setdefault(include._uuid, made)
        part.skipped |= not task.evaluate_tags(["all"], play.skip_tags, {})
        part.selected |= task.evaluate_tags(play.only_tags, play.skip_tags, {})
    return list(found.values())


def question(play: Any) -> str:
    """Which task waits for a key that nobody can press, in words: Ansible would go on without one. Empty: none."""
    for task, _ in tasks_of(play.compile()):
        if task.action in PAUSE and not {"seconds", "minutes"} & set(task.args):
            return (
                f"The task {str(task.get_name())!r} waits for a key (pause), and nobody is there to press it.\n"
                "Next: make it a prerequisite that is attested, or give it seconds"
            )
    return ""


def first_question(plays: Iterable[Any]) -> str:
    """The first `question` of several plays; empty: none."""
    return next(filter(None, map(question, plays)), "")


def no_such_tag(plays: list[Any]) -> str:
    """Which tag that was asked for no task of a plain playbook has, in words: nothing would be done. Empty: none.

    What a task includes while the playbook runs is reached by the tag of that task only.
    """
    known = {str(tag) for play in plays for task, _ in tasks_of(play.compile()) for tag in task.tags}
    if any("{{" in tag for tag in known):
        return ""
    for tag in sorted({str(tag) for play in plays for tag in play.only_tags} - {"all", "tagged", "untagged"}):
        if tag not in {*known, "always", "never"}:
            there = ", ".join(sorted(known - {"always", "never"})) or "none"
            return f"No task of this playbook has the tag {tag!r} (there is: {there}).\nNext: run it without --tags"
    return ""


def partial(play: Any) -> bool:
    """Whether only some steps were asked for."""
    return "all" not in play.only_tags


def left_out(play: Any, steps: list[Part]) -> str:
    """Why the tags of this command leave out a step that must not be left out; empty where they do not.

    Single steps are asked for by their ids and keep all guards around them. A step left out in any other way would be
    reported as done.
    """
    if set(play.skip_tags) - MOLECULE or any(part.skipped for part in steps):
        return (
            f"Steps would be left out (skip tags: {', '.join(sorted(play.skip_tags))}); a run does all its steps.\n"
            "Next: run it without --skip-tags, ANSIBLE_SKIP_TAGS and [tags] skip in ansible.cfg"
        )
    for option, way in (("start_at_task", "--start-at-task"), ("step", "--step")):
        if context.CLIARGS.get(option):
            return f"Steps would be left out ({way}); a run does all its steps.\nNext: run it without {way}"
    if not partial(play):
        return ""
    known = sorted({part.id for part in steps})
    for tag in sorted(play.only_tags):
        if tag not in known:
            near = difflib.get_close_matches(tag, known, 1)
            return (
                f"This runbook has no step {tag} (it has: {', '.join(known)}), so the tag selects no whole step.\n"
                f"Next: {f'--tags {near[0]}' if near else 'run it without --tags, ANSIBLE_RUN_TAGS, [tags] run'}"
            )
    for part in steps:
        if part.guard and not part.selected:
            return (
                f"The guard {part.id} would be left out: it lacks the tag always, so --tags does not select it.\n"
                f"Next: write tags: [{part.id}, always] at its task in the playbook, or run all steps"
            )
    return ""
