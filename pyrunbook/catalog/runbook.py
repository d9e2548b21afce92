"""A runbook: a playbook, its metadata, and the notes of its steps."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pyrunbook import places
from pyrunbook.catalog.metadata import ROLLBACK, ArgumentSpec, Input, Metadata, Trouble, Variables, read_metadata
from pyrunbook.catalog.playbook import GUARD, STRATEGIES, AppliedRole, Phase, Play, Playbook, read_playbook
from pyrunbook.catalog.roles import inputs_of_role
from pyrunbook.catalog.step_notes import NOTES, StepNotes, read_step_notes
from pyrunbook.catalog.values import NO_TIME, Duration, Text
from pyrunbook.errors import BadInput
from pyrunbook.project.problem import InvalidFile, Problem
from pyrunbook.project.role_places import collection_of, folder_of

if TYPE_CHECKING:
    from pyrunbook.windows.schedule import Schedule

# What the variables of titles are called where they have no value: on a page, in a plan.
_SPOKEN = {
    "service_active_color": "the active color",
    "service_preview_color": "the preview color",
    "service_release": "the release",
}
_TEMPLATE = re.compile(r"""{{\s*(?P<name>\w+)(?:\s*\|\s*default\(['"](?P<default>[^'"]*)['"]\))?[^}]*}}""")


@dataclass(frozen=True)
class Step(AppliedRole):
    """One step of a runbook, without the conditions that the strategy decides.

    Attributes:
        notes: of its role; `None` where it has none.
    """

    notes: StepNotes | None = None

    @property
    def always(self) -> bool:
        """Whether it is done also by a run of another step alone."""
        return "always" in self.tags

    @property
    def estimate(self) -> Duration:
        """How long it takes; zero where nobody has said."""
        return self.notes.estimate if self.notes else NO_TIME

    def spoken_title(self) -> str:
        """The title with words in place of templates: `Drain the active color`."""

        def words(found: re.Match[str]) -> str:
            return _SPOKEN.get(found["name"]) or found["default"] or found["name"].upper()

        return _TEMPLATE.sub(words, self.title)

    def troubles(self, message: str) -> list[Trouble]:
        """The known errors that a message is about."""
        return [trouble for trouble in (self.notes.troubleshooting if self.notes else ()) if trouble.found_in(message)]


def ways_back(steps: Iterable[Step]) -> list[Step]:
    """The steps in the order in which what they did is undone: the last first, but for what `undo_before` asks for."""
    found: list[Step] = []
    for step in reversed(list(steps)):
        before = step.notes.undo_before if step.notes else ()
        places = [place for place, later in enumerate(found) if later.folder in before]
        found.insert(min(places, default=len(found)), step)
    return found


def after_switch(steps: Iterable[Step]) -> list[Step]:
    """The steps of the procedure behind the switch, which a run of their own would do to the other color."""
    procedure = [step for step in steps if step.phase is Phase.PROCEDURE]
    switched = [place for place, step in enumerate(procedure) if step.notes and step.notes.switches]
    return procedure[switched[0] + 1 :] if switched else []


@dataclass(frozen=True)
class Runbook:
    """A runbook of the catalog.

    Attributes:
        id: `<category>/<name>`.
        path: of the playbook.
        roles: the directories in which its roles are looked for, in this order.
        spec: its metadata with ansible-core's part.
        playbook: its plays, and the roles that they apply.
    """

    id: str
    path: Path
    roles: tuple[Path, ...]
    spec: ArgumentSpec
    playbook: Playbook

    @property
    def category(self) -> str:
        """`deployment`, `incidents` or `maintenance`."""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """The name without its category."""
        return self.id.partition("/")[2]

    @property
    def plain(self) -> bool:
        """Whether its playbook is any playbook, with hosts of its own; see `Playbook.plain`."""
        return self.playbook.plain

    @property
    def guards_itself(self) -> bool:
        """Whether a play of a plain playbook has the line that brings its guards to a direct ansible-playbook."""
        return self.plain and any(item.folder == GUARD for item in self.playbook.imports)

    @property
    def described(self) -> bool:
        """Whether it has metadata of its own."""
        return self.path.with_suffix(".meta.yml").is_file()

    @property
    def lacks(self) -> list[str]:
        """What a plain playbook does not have; a runbook of ours has all of it."""
        said = self.metadata
        has = {
            "window": said.window.spec != "always",
            "prerequisites": said.prerequisites,
            "owner": said.owner,
            "lock": self.described,
            "way back": self.undone_by,
        }
        return [word for word, there in has.items() if self.plain and not there]

    @property
    def hosts(self) -> str:
        """The host pattern of all its plays; all hosts where only a run can say which."""
        named = ",".join(dict.fromkeys(play.hosts for play in self.plays))
        return "all" if "{{" in named else named

    @property
    def undo_file(self) -> Path | None:
        """The rollback playbook beside a plain one, where `undone_by` names a file; `None` where there is none."""
        named = self.metadata.undone_by
        file = (self.path.parent / named).resolve()
        return file if self.plain and named.endswith((".yml", ".yaml")) and file.is_file() else None

    @property
    def undone_by(self) -> str:
        """The id of the runbook that puts back what a run of this one has changed; empty where none does."""
        return str(self.undo_file or self.metadata.undone_by)

    @property
    def metadata(self) -> Metadata:
        """What the `runbook` block says."""
        return self.spec.runbook

    @cached_property
    def _step_inputs(self) -> dict[str, tuple[str, Input]]:
        """The inputs of its steps that an operator gives to a run, each with the role that declares it."""
        asked, found = self.metadata.step_inputs, {}
        for role in {item.role: None for item in self.playbook.imports} if asked else ():
            declared = inputs_of_role(self.role_path(role))
            found.update({name: (role, declared[name]) for name in asked if name in declared and name not in found})
        return {name: found[name] for name in asked if name in found}

    @property
    def inputs(self) -> dict[str, Input]:
        """What can be given with `-e`."""
        return self.spec.options | {name: item for name, (_, item) in self._step_inputs.items()}

    def meanings(self, language: str) -> dict[str, str]:
        """What its inputs mean in another language than English, where somebody has said so."""
        found: dict[str, str] = {}
        for name, (role, _) in self._step_inputs.items():
            notes = self.notes_of(role)
            words = notes.inputs.get(language, {}) if notes else {}
            found |= {name: words[name]} if name in words else {}
        return found | self.metadata.inputs.get(language, {})

    @property
    def needed(self) -> list[str]:
        """The inputs without which a run is refused."""
        return [name for name, item in self.inputs.items() if item.required and item.default is None]

    def schedule(
        self,
        service: Variables,
        *,
        spec: str | None = None,
        exclude: Sequence[str] = (),
        cutoff: timedelta | None = None,
        needs: timedelta | None = None,
        reserve: timedelta | None = None,
    ) -> Schedule:
        """When the runbook may run on a service: the one answer for runs, plans, pages and lint.

        The inventory's window and cutoff go before the runbook's own; exclusions add up.

        Args:
            service: its variables; none for what the runbook itself declares.
            spec: a window that goes before both.
            exclude: what closes it besides.
            cutoff: in place of the declared one; so the next two.
            needs: how long the run takes.
            reserve: how long its rollback takes.

        Raises:
            BadInput: the inventory gives the window as a template, or it is malformed.
        """
        from pyrunbook.windows.duration import parse_duration
        from pyrunbook.windows.schedule import Schedule

        declared = self.metadata.window
        given, exclusions, latest = declared.for_service(service)
        if "{{" in str([given, exclusions, latest]):
            raise BadInput(f"the inventory gives the window as a template ({given}), which only a play can resolve")
        if cutoff is None:
            cutoff = parse_duration(latest) if latest else declared.cutoff
        return Schedule.read(
            spec or given,
            exclusions=[*exclusions, *exclude],
            cutoff=cutoff,
            needs=self.metadata.estimate if needs is None else needs,
            reserve=self.metadata.reserve if reserve is None else reserve,
        )

    @property
    def plays(self) -> tuple[Play, ...]:
        """The plays of the playbook."""
        return self.playbook.plays

    @property
    def command(self) -> str:
        """What runs it; what only the operator knows stands there in capitals."""
        return f"pyrunbook run {self.id}" + "".join(f" -e {name}={name.upper()}" for name in self.needed)

    @property
    def needs_colors(self) -> bool:
        """Whether `preflight` reads the service's colors, so that the inventory has to describe them."""
        guarded = any(item.folder == "preflight" for item in self.playbook.imports)
        return guarded and not self.plain and bool(self.variables.get("preflight_colors", True))

    @property
    def replaces_certificates(self) -> bool:
        """Whether `preflight` looks which certificates are due: what would expire does not wait for the window."""
        return bool(self.variables.get("preflight_certificates"))

    @property
    def keeps_verified(self) -> bool:
        """Whether it can be told which services were verified and stay as they are (see `run_contract.PutBack`)."""
        return "put_back_keeps" in self.inputs

    @property
    def variables(self) -> dict[str, Any]:
        """What the plays set, templates as written."""
        return {name: value for play in self.plays for name, value in play.variables.items()}

    @property
    def automated(self) -> bool:
        """Whether a run can do anything; what was imported from a page refuses until its steps are written."""
        return not any(play.refuses for play in self.plays)

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """The strategies between which the steps differ; only the default where they do not."""
        variants = {tuple(item.line for item in self.playbook.chosen(strategy)) for strategy in STRATEGIES}
        return STRATEGIES if len(variants) > 1 else STRATEGIES[:1]

    def steps(self, strategy: str = STRATEGIES[0]) -> list[Step]:
        """The steps of a strategy (`update_strategy` of the service) in the order of the playbook.

        Raises:
            BadInput: there is no such strategy, or the notes of a role are malformed.
        """
        if strategy not in STRATEGIES:
            raise BadInput(f"there is no strategy {strategy!r}", next_step=f"choose {' or '.join(STRATEGIES)}")
        notes: dict[str, StepNotes | None] = {}
        problems: list[Problem] = []
        for role in {item.role for item in self.playbook.imports}:
            try:
                notes[role] = self.notes_of(role)
            except InvalidFile as error:
                problems += error.problems
        if problems:
            raise InvalidFile(problems)
        return [Step(**vars(applied), notes=notes[applied.role]) for applied in self.playbook.chosen(strategy)]

    def notes_of(self, role: str) -> StepNotes | None:
        """What a role says of itself as a step; `None` where it says nothing.

        Raises:
            InvalidFile: with every mistake in it.
        """
        if not role:
            return None
        file = self.role_path(role) / NOTES
        return read_step_notes(file) if file.is_file() else None

    def refuse_selection(self, chosen: Iterable[str]) -> None:
        """Refuse to run only these steps, with the guards, where that would leave a service in the middle.

        Each step of a selection means the same by itself. So what moves the traffic, and what comes after it, is done
        by a whole run only: it is verified there, and what it left is found.

        Raises:
            BadInput: there is no such step, or it cannot be run by itself.
        """
        if self.plain:
            tags = {tag for step in self.steps() for tag in step.tags}
            for name in chosen:
                if tags and name not in (*tags, "always", "never"):
                    raise BadInput(
                        f"no task of {self.id} has the tag {name!r} (there is: {', '.join(sorted(tags))})",
                        next_step=f"pyrunbook show {self.id}",
                    )
            return
        whole = [(step, steps) for strategy in self.strategies if (steps := self.steps(strategy)) for step in steps]
        known = {step.id for step, _ in whole}
        for name in chosen:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                raise BadInput(
                    f"{self.id} has no step {name!r} (it has: {', '.join(sorted(known))})",
                    next_step=f"--step {near[0]}" if near else f"pyrunbook show {self.id}",
                )
        for step, steps in whole:
            why = str(step.notes.not_alone) if step.notes and step.notes.not_alone else ""
            if any(step is late for late in after_switch(steps)):
                why = "It works on what the switch of its own run has left."
            if step.id in chosen and why:
                raise BadInput(
                    f"step {step.id} of {self.id} cannot be run by itself. {why}",
                    means="Nothing was changed.",
                    next_step=f"run all steps: pyrunbook run {self.id}",
                )

    def role_path(self, role: str) -> Path:
        """The directory of a role: one of ours by its full name; else of the first directory that has it, or would."""
        folder, homes = folder_of(role), self.roles
        if folder != role and collection_of(self.roles[0].parent) != places.COLLECTION:
            homes = (places.shipped() / "roles",)
        return next((home / folder for home in homes if (home / folder).is_dir()), homes[0] / folder)

    def title_of(self, step: Step, language: str) -> str:
        """A step's title in a language, in words; the playbook's own where nobody has translated it."""
        return self.translated_title(step, language) or step.spoken_title()

    def translated_title(self, step: Step, language: str) -> str:
        """A step's title in another language than English; empty where nobody has translated it."""
        given = self.metadata.titles.get(language, {})
        own = step.notes.title if step.notes and step.notes.title == step.title else None
        return (
            given.get(f"{step.phase}.{step.id}")
            or given.get(step.id)
            or (own.languages.get(language, "") if own else "")
        )

    def as_dict(self) -> dict[str, Any]:
        """The metadata and the inputs as JSON-like data (see `plain`), without the steps."""
        return {
            "id": self.id,
            "category": self.category,
            "path": str(self.path),
            "short_description": self.spec.short_description,
            "description": plain(self.spec.description),
            **plain(self.metadata),
            "inputs": {name: plain(item) for name, item in self.inputs.items()},
            "strategies": list(self.strategies),
        }


def plain(value: Any) -> Any:
    """Metadata as JSON-like data: texts as a mapping of language to words, durations as whole seconds."""
    # msgspec would write a subclass of str or timedelta as what it derives from.
    if isinstance(value, Text):
        return value.languages
    if isinstance(value, Duration):
        return int(value.total_seconds())
    if isinstance(value, msgspec.Struct):
        return {field.encode_name: plain(getattr(value, field.name)) for field in msgspec.structs.fields(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _undescribed(playbook: Path) -> ArgumentSpec:
    """The metadata of a playbook that has none: its title, made of the file's name."""
    words = re.sub(r"[_\W]+", " ", playbook.stem).strip()
    title = Text(words[:1].upper() + words[1:])
    return ArgumentSpec(short_description="", runbook=Metadata(title=title, owner="", updated=None))


def read_runbook(runbook_id: str, playbook: Path, roles: tuple[Path, ...]) -> Runbook:
    """Read a runbook; its id is `<category>/<name>`, and its roles are looked for in these directories.

    Raises:
        InvalidFile: with every mistake in the playbook and in the metadata.
    """
    file = playbook.with_suffix(".meta.yml")
    problems: list[Problem] = []
    derived = spec = None
    spec_name = ""
    try:
        derived = read_playbook(playbook)
    except InvalidFile as error:
        problems += error.problems
    if file.is_file():
        try:
            spec_name, spec = read_metadata(file)
        except InvalidFile as error:
            problems += error.problems
    elif derived and derived.plain:
        spec = _undescribed(playbook)
    elif derived:
        problems.append(Problem(playbook, 1, 1, "", f"the runbook has no metadata; {file.name} must stand beside it"))
    if derived and derived.plain and spec and spec.runbook.undone_by == ROLLBACK:
        msgspec.structs.force_setattr(spec.runbook, "undone_by", "")  # it restores services, from their plans
    if derived and spec and spec_name and spec_name not in [play.name for play in derived.plays]:
        names = ", ".join(play.name for play in derived.plays)
        message = f"the spec must be named like its play; the playbook has: {names}"
        problems.append(Problem(file, 1, 1, f"argument_specs.{spec_name}", message))
    runbook = Runbook(runbook_id, playbook, roles, spec, derived) if spec and derived else None
    for name in set(runbook.metadata.step_inputs) - set(runbook.inputs) if runbook else ():
        problems.append(Problem(file, 1, 1, "runbook.step_inputs", f"no step of the runbook has the input {name}"))
    if problems or runbook is None:
        raise InvalidFile(problems, next_step=f"correct it, then: pyrunbook show {runbook_id}")
    return runbook
