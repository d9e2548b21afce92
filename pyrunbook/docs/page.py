"""One page: a runbook, with the values of one service, in one language. The same input gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pyrunbook.catalog import Phase, Problem, Runbook, Step, Trouble
from pyrunbook.catalog.page_values import page_values
from pyrunbook.catalog.roles import Role, differ
from pyrunbook.catalog.templates import SECRET, Values, names_in
from pyrunbook.docs.contact_tables import contact_rows, escalation_rows
from pyrunbook.docs.flow import flowchart
from pyrunbook.docs.index import IndexEntry, file_name
from pyrunbook.docs.information import information
from pyrunbook.docs.input_tables import input_tables, is_hidden
from pyrunbook.docs.labels import label
from pyrunbook.docs.markdown_text import cell, code, fence, link, plain_text
from pyrunbook.docs.past_runs import PastRuns
from pyrunbook.docs.run_commands import RunCommands
from pyrunbook.docs.service_checks import checks_by_hand, performs_checks
from pyrunbook.docs.steps import PageStep, Steps
from pyrunbook.docs.target import PLATFORMS, Target
from pyrunbook.docs.wording import Wording
from pyrunbook.project.role_places import folder_of
from pyrunbook.redaction import redact_text

_COLOR = re.compile(r"\$\{?(?:ACTIVE|PREVIEW)\b")
"""A live color in a command, see `page_values`: then the reader has to know what it is."""


@dataclass(eq=False)
class RunbookPage:
    """A page.

    Attributes:
        runbook: of the catalog.
        target: whose values it shows.
        language: `en` or `fr`.
        languages: all in which pages are written; the first has no suffix.
        past_runs: what a journal says; `None` for pages that are committed.
        all_inputs: whether those inputs of the steps are there too that have defaults which nobody changes.
        brief: whether it is without the diagram and without what is done by hand, or otherwise than by a whole run.
    """

    runbook: Runbook
    target: Target
    language: str
    languages: tuple[str, ...] = ()
    past_runs: PastRuns | None = None
    all_inputs: bool = False
    brief: bool = False

    def __post_init__(self) -> None:
        """Without other languages there is only its own."""
        self.languages = self.languages or (self.language,)
        self._t = partial(label, language=self.language)

    @cached_property
    def roles(self) -> dict[str, Role]:
        """The roles that the steps apply, in their order; also of those steps that this service leaves out."""
        names = dict.fromkeys(step.role for step in self._every_step if step.role)
        paths = {name: self.runbook.role_path(name) for name in names}
        return {name: self.target.role(path.parent, path.name) for name, path in paths.items()}

    @property
    def problems(self) -> list[Problem]:
        """What is wrong in the roles, and what the metadata says otherwise than they do."""
        found = [problem for role in self.roles.values() for problem in role.problems]
        file = self.runbook.path.with_suffix(".meta.yml")
        for name, item in self.runbook.inputs.items():
            for role in self.roles.values():
                if name in role.defaults and differ(item.default, role.defaults[name]):
                    means = f"its default is {item.default!r} here, and {role.defaults[name]!r} in the role {role.name}"
                    found.append(Problem(file, 1, 1, f"options.{name}", means))
        return found

    @cached_property
    def values(self) -> Values:
        """What templates are filled with."""
        return self._values_of({})

    def _values_of(self, step_variables: Mapping[str, Any]) -> Values:
        defaults = {name: value for role in self.roles.values() for name, value in (role.defaults or {}).items()}
        service = self.target.service
        shown = replace(service, variables=self._public(service.variables)) if service else None
        given = {
            **self._of_plays,
            **step_variables,
            "runbook_id": self.runbook.id,
            "runbook_undone_by": self.runbook.metadata.undone_by,
            "runbook_keeps_window": self.runbook.metadata.window.required,
        }
        return page_values(
            shown, self._public(defaults), self.target.project, self.target.inventory, self._public(given)
        )

    @cached_property
    def _of_plays(self) -> dict[str, Any]:
        return {name: value for play in self.runbook.plays for name, value in play.variables.items()}

    def _public(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        return {name: SECRET if name in self._hidden else value for name, value in variables.items()}

    @cached_property
    def _hidden(self) -> set[str]:
        """Inputs that Ansible itself would not show."""
        declared = [self.runbook.inputs, *(role.inputs for role in self.roles.values())]
        return {name for inputs in declared for name, item in inputs.items() if is_hidden(item)}

    @cached_property
    def _every_step(self) -> list[Step]:
        return self.runbook.steps(self.target.strategy)

    @cached_property
    def _catalog_steps(self) -> list[Step]:
        return [step for step in self._every_step if not self._hindering(step)]

    def _hindering(self, step: Step) -> list[str]:
        """The conditions because of which a run leaves the step out, whatever happens in it.

        These are false with what the inventory and the playbook set. One that asks for an input of the runbook, or for
        what is known only in the run, is not among them.
        """
        if self.target.service is None:
            return []
        layers = [*(role.defaults for role in self.roles.values()), self.target.service.variables, step.variables]
        found = []
        for condition in step.conditions:
            known = Values(*map(self._public, layers), {"recovers": False})
            if not names_in(condition) & set(self.runbook.inputs) and not known.holds(condition) and not known.unknown:
                found.append(condition)
        return found

    @cached_property
    def wording(self) -> Wording:
        """How the page speaks."""
        return Wording(self.values, self.language)

    def _wording_of(self, step: Step) -> Wording:
        """The same for what a step says, which may name what the playbook sets for it."""
        if step.variables.items() <= self._of_plays.items():
            return self.wording
        values = self._values_of(step.variables)
        values.unknown = self.values.unknown  # its blanks are the page's
        return Wording(values, self.language)

    def as_markdown(self) -> str:
        """The page."""
        metadata = self.runbook.metadata
        run = RunCommands(self.runbook, self.target)
        made = Steps(self.runbook, self.target, self._platforms, run, self._wording_of, self.past_runs)
        steps, back = made.made(self._catalog_steps)
        first = next((step for step in steps if step.phase == Phase.PROCEDURE), None)
        people = (metadata, self.target.contacts, self.wording)
        said = self.runbook.meanings(self.language)
        blanks = {name: plain_text(said.get(name) or self.runbook.inputs[name].text) for name in self.runbook.needed}
        contacts, checks = list(contact_rows(*people)), self._checks(steps)
        troubles = [*(self._not_given(name, run, why) for name, why in blanks.items()), *self._troubles(steps)]
        done = [step for step in steps if step.phase == Phase.PROCEDURE and step.notes]
        # Where no step only verifies, what each one results in is what there is to see.
        proofs = [step for step in done if step.notes and step.notes.verifies] or done
        no_incident = self.runbook.category != "incidents"
        right_page = list(self._right_page())
        there = {
            "symptoms": metadata.symptoms or no_incident,
            **dict(right_page),
            "worked": metadata.verification,
            "undo": metadata.rollback
            or self.runbook.plain
            or any(step.phase == Phase.ROLLBACK or step.undoable for step in steps),
            "call": contacts,
            "estimate": metadata.estimate,
            "prerequisites": metadata.prerequisites,
            "verification": checks or proofs,
            "troubleshooting": troubles,
        }
        empty = [section for section, written in there.items() if not written]
        roles = {step.role: self.roles[step.role] for step in self._catalog_steps if step.role}
        given = {role: self._given(role) for role in roles}
        inputs, more = input_tables(self.wording, self.runbook, roles, given, self.target, self.all_inputs)
        # A plain playbook's `rescue` need not be a way back.
        drawn = [s for s in self._catalog_steps if not (self.runbook.plain and s.phase is Phase.ROLLBACK)]
        text = _environment().get_template("page.md.j2").render(
            t=self._t,
            id=self.runbook.id,
            brief=self.brief,
            words=self.wording.words,
            fill=self.values.fill,
            meta=metadata,
            source=self.target.shown(self.runbook.path),
            incident=not no_incident,
            right_page=right_page,
            blanks=[(name.upper(), meaning) for name, meaning in blanks.items()],
            attested=[f"**{self.wording.words(p.text)}**" for p in metadata.prerequisites if p.check == "attested"],
            first_action=first,
            other_page=self._other_page(),
            information=list(information(self.runbook, self.target, self.wording, self.past_runs)),
            run=run,
            automated=self.runbook.automated,
            flow=flowchart(((s, self.runbook.title_of(s, self.language)) for s in drawn), self.language),
            way_back=self._way_back(),
            directly=self._directly(),
            steps=steps,
            back=back,
            stepwise=any(step.undo for step in back),
            colors=any(_COLOR.search(text) for step in steps for _, text in step.by_hand),
            left_out=list(self._left_out()),
            several=len(self._platforms) > 1,
            proofs=proofs,
            checks=checks,
            changes=any(step.undoable for step in steps if step.phase == Phase.PROCEDURE),
            puts_back=bool(self.runbook.undone_by)
            if self.runbook.plain
            else any(step.phase == Phase.ROLLBACK for step in steps),
            troubles=troubles,
            empty=empty,
            escalation=list(escalation_rows(*people)),
            contacts=contacts,
            inputs=inputs,
            inputs_more=more,
            missing=partial(self._missing, empty),  # called at the end: which values are missing is known then
        )  # fmt: skip
        return text.rstrip("\n") + "\n"

    def entry(self) -> IndexEntry:
        """The page in the index."""
        metadata = self.runbook.metadata
        return IndexEntry(
            name=self.runbook.id,
            category=self.runbook.category,
            title=self.wording.words(metadata.title),
            path=file_name(self.runbook.id, self.language, self.languages),
            summary=self.wording.words(metadata.summary),
            services=self.target.services,
            severity=metadata.severity or "",
            owner=metadata.owner,
            alerts=metadata.alerts,
        )

    # --- the head ------------------------------------------------------------------------------------------------

    def _other_page(self) -> str:
        others = [language for language in self.languages if language != self.language]
        return file_name(self.runbook.name, others[0], self.languages) if others else ""

    def _way_back(self) -> str:
        """What puts back a run of a plain playbook; that of ours stands in its steps."""
        if not self.runbook.plain:
            return ""
        undo = self.runbook.undo_file
        named = self.target.shown(undo) if undo else self.runbook.undone_by
        return self._t("plain_undone_by", code(named)) if named else self._t("plain_no_way_back")

    def _directly(self) -> str:
        """What a direct ansible-playbook leaves out."""
        if not self.runbook.plain:
            return self._t("directly")
        if self.runbook.guards_itself:
            return self._t("plain_directly_guarded")
        return self._t(
            "plain_directly", code(f"- {{role: pyrunbook.core.preflight, vars: {{runbook_id: {self.runbook.id}}}}}")
        )

    def _right_page(self) -> Iterator[tuple[str, str]]:
        """What tells whether this is the page that is needed: a label, and Markdown; empty where nobody has said."""
        metadata, incident = self.runbook.metadata, self.runbook.category == "incidents"
        if metadata.alerts:
            yield "alerts", ", ".join(code(alert) for alert in metadata.alerts)
        if metadata.severity or incident:
            yield "severity", self._t(metadata.severity) if metadata.severity else ""
        if metadata.impact or incident:
            yield "impact", self.wording.words(metadata.impact) if metadata.impact else ""
        yield "when_to_ignore", self.wording.words(metadata.when_to_ignore) if metadata.when_to_ignore else ""

    def _left_out(self) -> Iterator[str]:
        service = self.target.service.name if self.target.service else ""
        for step in self._every_step:
            if why := self._hindering(step):
                title = plain_text(self.runbook.title_of(step, self.language))
                yield self._t("left_out", title, service, ", ".join(code(redact_text(condition)) for condition in why))

    # --- the steps -----------------------------------------------------------------------------------------------

    @property
    def _platforms(self) -> tuple[str, ...]:
        return (self.target.platform,) if self.target.platform in PLATFORMS else PLATFORMS

    def _given(self, role: str) -> dict[str, Any]:
        """What the playbook sets for a role each time that it applies it, templates as written."""
        applied = [step.variables for step in self._catalog_steps if step.role == role]
        return {name: value for name, value in applied[0].items() if all(name in other for other in applied)}

    def _checks(self, steps: list[PageStep]) -> list[tuple[str, str, str]]:
        """The inventory's checks, where the runbook performs them, or has another color serve."""
        roles = (self.roles[step.role] for step in self._catalog_steps if step.notes and step.notes.verifies)
        if not any(map(performs_checks, roles)) and not any(step.notes and step.notes.switches for step in steps):
            return []
        # What deploys nothing goes back, to the release that served.
        back = {} if "validate_release" in self.values else {"validate_release": "$ACTIVE_RELEASE"}
        values = self._values_of(back)
        values.unknown = self.values.unknown  # its blanks are the page's
        return checks_by_hand(values, self.language)

    def _troubles(self, steps: list[PageStep]) -> list[dict[str, Any]]:
        """The runbook's known errors, then those of its steps, each once."""
        found: dict[tuple[str, str], tuple[Trouble, list[str]]] = {}
        platforms = (None, *self._platforms)
        for trouble in self.runbook.metadata.troubleshooting:
            if trouble.platform in platforms and self.values.holds(trouble.when):
                found[trouble.error, str(trouble.cause)] = (trouble, [])
        for step in steps:
            for trouble in step.notes.troubleshooting if step.notes else ():
                if trouble.platform in platforms and step.holds(trouble.when):
                    where = found.setdefault((trouble.error, str(trouble.cause)), (trouble, []))[1]
                    where.append(step.place)
        return [
            {
                "error": self.wording.words(trouble.error),
                "cause": trouble.cause,
                "solution": trouble.solution,
                "commands": "\n".join(self.values.fill(command).rstrip("\n") for command in trouble.commands),
                "steps": ", ".join(where),
            }
            for trouble, where in found.values()
        ]

    def _not_given(self, name: str, commands: RunCommands, meaning: str) -> dict[str, Any]:
        """The error of a run that lacks an input."""
        cause, solution = self._t("not_given"), self._t("give_it", name.upper(), meaning)
        error = f"{name} is missing"
        return {"error": error, "cause": cause, "solution": solution, "commands": commands.all, "steps": ""}

    def _missing(self, empty: list[str]) -> list[str]:
        """What the page should have and has not: filled in by its author, found by lint."""
        found = [code(name) for name in sorted(self.values.unknown)]
        found += [self._t(section).rstrip("?\u00a0 ") for section in empty]
        noted = {step.role for step in self._every_step if step.notes}
        return [*found, *(code(f"roles/{folder_of(role)}/meta/step.yml") for role in self.roles if role not in noted)]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pyrunbook.docs"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, written to files; the values come from the project itself
    )
    environment.filters |= {"fence": fence, "cell": cell, "link": link, "code": code}
    return environment
