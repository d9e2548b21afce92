"""One page: a runbook, with the values of one service, in one language. The same input gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pyrunbook.catalog import Phase, Runbook, Step, StepNotes, Text, Trouble
from pyrunbook.catalog.contacts import Channel, Contact
from pyrunbook.catalog.metadata import Input
from pyrunbook.catalog.page_values import page_values
from pyrunbook.catalog.roles import Role, read_role
from pyrunbook.catalog.step_notes import ByHand
from pyrunbook.catalog.templates import SECRET, Values
from pyrunbook.docs.flow import flowchart
from pyrunbook.docs.index_entry import IndexEntry, file_name
from pyrunbook.docs.labels import label
from pyrunbook.docs.markdown_text import anchor, cell, code, fence, plain_text
from pyrunbook.docs.measured import Measured
from pyrunbook.docs.service_checks import checks_by_hand
from pyrunbook.docs.target import Target
from pyrunbook.docs.when import window_in_words
from pyrunbook.journal.redaction import is_secret_name
from pyrunbook.windows import format_duration, parse_duration

PLATFORMS = ("host", "kubernetes")


@dataclass(frozen=True)
class PageStep:
    """A step as a page shows it; `undoable` says whether its way back is worth a heading."""

    number: int
    title: str
    anchor: str
    phase: str
    facts: str
    commands: str
    notes: StepNotes | None
    by_hand: list[tuple[str, str]]
    undo: list[tuple[str, str]]

    @property
    def undoable(self) -> bool:
        """Checks change nothing, and the rollback is the way back itself."""
        return self.notes is not None and self.phase != Phase.ROLLBACK and not self.notes.verifies


class Page:
    """A page.

    Args:
        runbook: of the catalog.
        target: whose values it shows.
        language: `en` or `fr`.
        languages: all in which pages are written; the first has no suffix.
        measured: what a journal says; `None` for pages that are committed.
    """

    def __init__(
        self,
        runbook: Runbook,
        target: Target,
        language: str,
        *,
        languages: tuple[str, ...] = (),
        measured: Measured | None = None,
    ) -> None:
        self.runbook = runbook
        self.target = target
        self.language = language
        self.languages = languages or (language,)
        self.measured = measured
        self._t = partial(label, language=language)

    @cached_property
    def roles(self) -> dict[str, Role]:
        """The roles that the steps apply, in their order."""
        names = dict.fromkeys(step.role for step in self._catalog_steps)
        return {name: _role(str(self.runbook.roles), name) for name in names}

    @cached_property
    def values(self) -> Values:
        """What templates are filled with."""
        defaults = {name: value for role in self.roles.values() for name, value in (role.defaults or {}).items()}
        return page_values(self.target.service, defaults, self.target.project, self.target.inventory)

    @cached_property
    def _catalog_steps(self) -> list[Step]:
        return self.runbook.steps(self.target.strategy)

    def words(self, text: Text | str) -> str:
        """A text in the page's language, templates filled."""
        said = text.in_language(self.language) if isinstance(text, Text) else text
        return self.values.fill(said).strip()

    def as_markdown(self) -> str:
        """The page."""
        metadata = self.runbook.metadata
        steps = [self._step(number, step) for number, step in enumerate(self._catalog_steps, 1)]
        first = next((step for step in steps if step.phase == Phase.PROCEDURE), None)
        said = _environment().get_template("page.md.j2").render(
            t=self._t,
            words=self.words,
            fill=self.values.fill,
            meta=metadata,
            source=self.target.shown(self.runbook.path),
            incident=self.runbook.category == "incidents",
            first_action=first,
            other_page=self._other_page(),
            information=list(self._information()),
            run=self._run_commands(),
            flow=flowchart(((s, p.title) for s, p in zip(self._catalog_steps, steps, strict=True)), self.language),
            steps=steps,
            by_hand=str,
            several=len(self._platforms) > 1,
            checks=self._checks(steps),
            troubles=self._troubles(steps),
            escalation=list(self._escalation()),
            contacts=list(self._contacts()),
            inputs=list(self._inputs()),
            missing=self._missing(),
        )  # fmt: skip
        return said.rstrip("\n") + "\n"

    def entry(self) -> IndexEntry:
        """The page in the index."""
        metadata = self.runbook.metadata
        return IndexEntry(
            name=self.runbook.id,
            category=self.runbook.category,
            title=self.words(metadata.title),
            path=file_name(self.runbook.id, self.language, self.languages),
            summary=self.words(metadata.summary) if metadata.summary else "",
            services=self.target.services,
            severity=metadata.severity or "",
            owner=metadata.owner,
            alerts=metadata.alerts,
        )

    # --- the head ------------------------------------------------------------------------------------------------

    def _other_page(self) -> str:
        others = [language for language in self.languages if language != self.language]
        return file_name(self.runbook.name, others[0], self.languages) if others else ""

    def _information(self) -> Iterator[tuple[str, str]]:
        metadata, t = self.runbook.metadata, self._t
        yield t("runbook"), code(self.runbook.id)
        yield t("updated"), metadata.updated.isoformat()
        yield t("owner"), metadata.owner
        if metadata.severity:
            yield t("severity"), t(metadata.severity)
        if metadata.estimate:
            takes = [format_duration(metadata.estimate)]
            takes += [t("reserve", format_duration(metadata.reserve))] if metadata.reserve else []
            takes += [t("timeout", format_duration(metadata.timeout))] if metadata.timeout else []
            yield t("estimate"), "; ".join(takes)
        if metadata.frequency:
            yield t("frequency"), self.words(metadata.frequency)
        yield t("window"), self._window()
        if metadata.risk:
            yield t("risk"), t(metadata.risk)
        if metadata.impact and self.runbook.category != "incidents":
            yield t("impact"), self.words(metadata.impact)
        if self.target.service:
            others = self.target.services
            name = self.target.service.name
            yield t("service"), t("services", ", ".join(others), name) if len(others) > 1 else name
            yield t("platform"), self.target.platform
        if len(self.runbook.strategies) > 1:
            yield t("strategy"), code(self.target.strategy)
        if metadata.alerts:
            yield t("alerts"), ", ".join(code(alert) for alert in metadata.alerts)
        if self.measured:
            yield t("last_tested"), self.measured.last_tested(self.runbook.id) or t("never_tested")
            if found := self.measured.of_runs(self.runbook.id):
                yield t("measured"), t("measured_runs", *found)

    def _window(self) -> str:
        declared = self.runbook.metadata.window
        spec = str(self.values.get("update_window") or declared.spec or "") if declared.required else declared.spec
        if not spec:
            return self._t("window_closed")
        parts = [window_in_words(spec, self.language)]
        inventory = declared.required and self.target.service is not None
        cutoff = self.values.get("update_window_cutoff") if inventory else None
        if cutoff or declared.cutoff:
            parts.append(self._t("cutoff", format_duration(parse_duration(cutoff) if cutoff else declared.cutoff)))
        excluded = [*declared.exclusions, *((self.values.get("update_window_exclusions") or []) if inventory else [])]
        if excluded:
            parts.append(self._t("excluded", ", ".join(str(item) for item in excluded)))
        return "; ".join(parts)

    def _run_commands(self) -> dict[str, str]:
        inventory, attest = self.target.inventory_name, ""
        attested = [item.id for item in self.runbook.metadata.prerequisites if item.check == "attested"]
        attest = "".join(f" --attest {name}" for name in attested)
        window = " --window" if self.runbook.metadata.window.required else ""
        run = f"pyrunbook run {self.runbook.id}"
        playbook = self.target.shown(self.runbook.path)
        extra = f" -e '{json.dumps({'preflight_attested': attested})}'" if attested else ""
        return {
            "check": f"{run} -i {inventory} --check",
            "all": f"{run}{window} -i {inventory}{attest}",
            "ansible": f"ansible-playbook {playbook} -i {self.target.inventory_path}{extra}",
        }

    # --- the steps -----------------------------------------------------------------------------------------------

    @property
    def _platforms(self) -> tuple[str, ...]:
        return (self.target.platform,) if self.target.platform in PLATFORMS else PLATFORMS

    def _step(self, number: int, step: Step) -> PageStep:
        notes = step.notes
        inventory = self.target.inventory_name
        playbook = self.target.shown(self.runbook.path)
        commands = (
            f"pyrunbook run {self.runbook.id} -i {inventory} --step {step.id}\n"
            f"ansible-playbook {playbook} -i {self.target.inventory_path} --tags {step.id}"
        )
        return PageStep(
            number=number,
            title=self.runbook.title_of(step, self.language),
            anchor=f"{step.phase}-{anchor(step.id)}",
            phase=str(step.phase),
            facts=self._facts(step),
            commands=commands,
            notes=notes,
            by_hand=[(platform, self._by_hand(notes.by_hand.of(platform))) for platform in self._platforms if notes],
            undo=[
                (platform, self._by_hand(notes.undo.of(platform)))
                for platform in self._platforms
                if notes and notes.undo.of(platform)
            ],
        )  # fmt: skip

    def _checks(self, steps: list[PageStep]) -> list[tuple[str, str, str]]:
        """The inventory's checks, where the runbook verifies at all."""
        verifies = any(step.notes and step.notes.verifies for step in steps)
        return checks_by_hand(self.values, self.language) if verifies else []

    def _facts(self, step: Step) -> str:
        t = self._t
        facts = [t("step_facts", step.id, step.role)]
        if step.estimate:
            facts.append(t("about", format_duration(step.estimate)))
        if self.measured and (found := self.measured.of_step(self.runbook.id, step.id)):
            facts.append(f"{t('measured').lower()} {t('measured_runs', *found)}")
        if step.phase is Phase.ROLLBACK:
            facts.append(t("rescue"))
        if step.phase is Phase.CONCLUDE:
            facts.append(t("conclude"))
        facts += [t("only_when", condition) for condition in step.conditions]
        if step.notes and step.notes.point_of_no_return:
            facts.append(t("no_return"))
        return "; ".join(facts) + "."

    def _by_hand(self, items: tuple[ByHand, ...]) -> str:
        """Texts and commands one after the other; the commands at the margin, to be copied from any reader."""
        parts = []
        here = [item for item in items if item.strategy in (None, self.target.strategy)]
        for number, item in enumerate(here, 1):
            said = self.words(item.text)
            parts.append(f"({number}) {said}" if len(here) > 1 else said)
            if item.commands:
                parts.append(fence(self.values.fill(item.commands)))
            if item.expected:
                parts.append(f"*{self._t('expected')}*: {self.words(item.expected)}")
        return "\n" + ("\n\n".join(parts) if parts else self._t("nothing_by_hand"))

    def _troubles(self, steps: list[PageStep]) -> list[dict[str, Any]]:
        """The runbook's known errors, then those of its steps, each once."""
        found: dict[tuple[str, str], tuple[Trouble, list[str]]] = {}
        platforms = (None, *self._platforms)
        for trouble in self.runbook.metadata.troubleshooting:
            found[trouble.error, str(trouble.cause)] = (trouble, [])
        for step in steps:
            for trouble in step.notes.troubleshooting if step.notes else ():
                link = f"[{step.number}](#{step.anchor})"
                found.setdefault((trouble.error, str(trouble.cause)), (trouble, []))[1].append(link)
        return [
            {
                "error": trouble.error,
                "cause": trouble.cause,
                "solution": trouble.solution,
                "commands": "\n".join(self.values.fill(command).rstrip("\n") for command in trouble.commands),
                "steps": ", ".join(where),
            }
            for trouble, where in found.values()
            if trouble.platform in platforms
        ]

    # --- people and inputs ---------------------------------------------------------------------------------------

    def _escalation(self) -> Iterator[tuple[str, str, str]]:
        for item in self.runbook.metadata.escalation:
            after = self._t("after_time", format_duration(item.after)) if item.after else self._t("at_once")
            contact = self.target.contacts.get(item.to)
            reach = contact.reach if contact else self._t("unknown_contact")
            yield f"{self.words(item.when)} ({after})", self._who(item.to, contact), reach

    def _who(self, key: str, contact: Contact | Channel | None) -> str:
        if isinstance(contact, Contact):
            role = self.words(contact.role) if contact.role else ""
            return ", ".join(part for part in (key, role, self.words(contact.name)) if part)
        return key

    def _contacts(self) -> Iterator[tuple[str, str, str, str]]:
        metadata = self.runbook.metadata
        for key in dict.fromkeys((*metadata.contacts, *(item.to for item in metadata.escalation))):
            contact = self.target.contacts.get(key)
            if isinstance(contact, Contact):
                role = self.words(contact.role) if contact.role else ""
                handles = self.words(contact.handles) if contact.handles else ""
                yield f"{key} {role}".strip(), self.words(contact.name), handles, contact.reach
            else:
                yield key, "", "", contact.reach if contact else self._t("unknown_contact")

    def _inputs(self) -> Iterator[tuple[str, list[dict[str, str]]]]:
        if self.runbook.inputs:
            words = self.runbook.metadata.inputs.get(self.language, {})
            yield (
                "",
                [self._input(name, item, item.default, words.get(name)) for name, item in self.runbook.inputs.items()],
            )
        for name, role in self.roles.items():
            if role.inputs:
                notes = next((step.notes for step in self._catalog_steps if step.role == name), None)
                words = notes.inputs.get(self.language, {}) if notes else {}
                defaults = role.defaults or {}
                yield (
                    self._t("inputs_of", name),
                    [
                        self._input(key, item, defaults.get(key, item.default), words.get(key))
                        for key, item in role.inputs.items()
                    ],
                )

    def _input(self, name: str, item: Input, default: Any, meaning: str | None) -> dict[str, str]:
        t = self._t
        kind = t("list_of", item.elements) if item.kind == "list" and item.elements else item.kind
        if item.choices:
            kind += ": " + t("choices", ", ".join(code(choice) for choice in item.choices))
        secret = item.no_log or is_secret_name(name)
        shown = code(SECRET) if secret and default not in (None, "") else _shown(default)
        if item.required and default is None:
            shown = t("required")
        declared = self.target.service.variables if self.target.service else {}
        if name in declared and name not in ("update_window", "update_window_exclusions", "update_window_cutoff"):
            here = code(SECRET) if secret else _shown(self.values.get(name))
            if here != shown:
                shown = f"{shown}; {t('here', here)}" if shown else t("here", here)
        return {"name": name, "type": kind, "default": shown, "meaning": plain_text(meaning or item.text)}

    def _missing(self) -> list[str]:
        """What the page should have and has not: filled in by its author, found by lint."""
        found = [code(f"{name}") for name in sorted(self.values.unknown)] if self.target.service else []
        found += [f"{code(f'roles/{role}/meta/step.yml')}" for role in self.roles if not _has_notes(self, role)]
        return found


def _has_notes(page: Page, role: str) -> bool:
    return any(step.notes for step in page._catalog_steps if step.role == role)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return ""
    return code(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


@cache
def _role(roles: str, name: str) -> Role:
    from pathlib import Path

    return read_role(Path(roles), name)


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
    environment.filters |= {"fence": fence, "cell": cell}
    return environment
