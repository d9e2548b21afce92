"""What `<name>.meta.yml` says about a runbook.

The file has ansible-core's form for the inputs of a playbook (`argument_specs`, a spec named like its play), so that
Ansible reads the same file. Ours is the `runbook` block inside the spec.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import yaml

from pyrunbook.catalog.strict import read_struct
from pyrunbook.catalog.translation import add_translations
from pyrunbook.catalog.values import LANGUAGES, Condition, Duration, Exclusion, Text, WindowSpec
from pyrunbook.project.document import Document, read
from pyrunbook.project.problem import InvalidFile, Problem

SCHEMA = 1
"""Version of the `runbook` block."""
ROLLBACK = "deployment/rollback"
"""The runbook that puts back what a rollback plan recorded."""


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all blocks have in common: immutable, and a field that is not known is a mistake."""


class Variables(Protocol):
    """Anything that knows the inventory's variables by name: a mapping, or a page's values."""

    def get(self, name: str, /) -> Any:
        """The value; `None` where there is none."""


class DeclaredWindow(Struct, frozen=True, kw_only=True):
    """When the runbook may run, unless the inventory says otherwise.

    Attributes:
        spec: the window; `None` where only the inventory can say, and it is closed until that does.
        cutoff: nothing starts later than this before the window's end.
        exclusions: what closes it besides.
        required: whether there must be a window. Where not, and none is given, the runbook may always run.
        variable: the inventory's variable that goes before `spec`; `<variable>_exclusions` and `<variable>_cutoff` go
            with it. `update_window` where a window is required. `Runbook.schedule` reads them.
    """

    spec: WindowSpec | None = None
    cutoff: Duration = msgspec.field(default_factory=Duration)
    exclusions: tuple[Exclusion, ...] = ()
    required: bool = True
    variable: str = ""

    def __post_init__(self) -> None:
        """Open where a window is not required."""
        if self.spec is None and not self.required:
            msgspec.structs.force_setattr(self, "spec", WindowSpec("always"))
        if not self.variable and self.required:
            msgspec.structs.force_setattr(self, "variable", "update_window")

    @property
    def variables(self) -> tuple[str, ...]:
        """The inventory's variables for window, exclusions and cutoff; empty where it has no say."""
        return tuple(self.variable + suffix for suffix in ("", "_exclusions", "_cutoff")) if self.variable else ()

    def for_service(self, service: Variables) -> tuple[str | None, list[str], str | None]:
        """What holds with the variables of a service, as written: its own go before ours, exclusions add up.

        Returns:
            the window, `None` where nobody names one; the exclusions; the cutoff, `None` for our own.
        """
        spec, more, cutoff = (service.get(name) for name in self.variables or ("",) * 3)
        exclusions = [*self.exclusions, *([more] if isinstance(more, str) else map(str, more or ()))]
        return str(spec or self.spec or "") or None, exclusions, str(cutoff) if cutoff else None


class Prerequisite(Struct, frozen=True, kw_only=True):
    """What must hold before the first change.

    Attributes:
        id: short name; what `--attest` takes.
        text: what must hold.
        check: `automatic`: a task checks it; `attested`: the operator says so, and it is recorded.
        how: how it is checked, or how the operator can find out.
    """

    id: str
    text: Text
    check: Literal["automatic", "attested"]
    how: Text | None = None

    def __post_init__(self) -> None:
        """Ids are typed on the command line and kept in the journal."""
        if not self.id.isidentifier() or self.id != self.id.lower():
            raise ValueError(f"the id {self.id!r} is not lower-case letters, digits and underscores")


class Escalation(Struct, frozen=True, kw_only=True):
    """Whom to call and when. Who that is, is the organisation's to say: `runbook_contacts` of the inventory.

    Attributes:
        to: a level of `runbook_contacts` (`L2`), or a channel of `runbook_channels` (`slack`).
        when: what has happened then.
        after: how long after the beginning of the trouble; at once when zero.
    """

    to: str
    when: Text
    after: Duration = msgspec.field(default_factory=Duration)


class Trouble(Struct, frozen=True, kw_only=True):
    """A known error.

    Attributes:
        error: what is said or seen.
        cause: why.
        solution: what to do.
        commands: that help; templates are filled with `page_values`.
        match: a regular expression that finds it in a message; the error's own words by default.
        platform: where it can occur; on each when `None`.
        when: what must hold for it to occur, as the `when` of what is done by hand.
    """

    error: str
    cause: Text
    solution: Text
    commands: tuple[str, ...] = ()
    match: str | None = None
    platform: Literal["host", "kubernetes"] | None = None
    when: Condition | None = None

    def __post_init__(self) -> None:
        """An expression that cannot be compiled would never find anything."""
        try:
            re.compile(self.match or "")
        except re.error as error:
            raise ValueError(f"match is not a regular expression: {error}") from None

    def found_in(self, message: str) -> bool:
        """Whether a message is about this error."""
        return re.search(self.match or re.escape(self.error), message, re.IGNORECASE) is not None


class Link(Struct, frozen=True, kw_only=True):
    """A page to look at: a dashboard, a document.

    Attributes:
        title: what is there.
        url: where.
    """

    title: Text
    url: str


class Metadata(Struct, frozen=True, kw_only=True):
    """The `runbook` block.

    Attributes:
        schema: version of this block: 1.
        title: of the page and of the run; the name of the play when missing.
        owner: the team or person who answers for it.
        summary: what it does, and what one has afterwards, in a sentence or two; `short_description` when missing.
        frequency: how often it is run, for readers.
        window: when it may run.
        symptoms: what one sees when there is this incident.
        impact: what the incident, or the run, means for the users of the service.
        when_to_ignore: when nothing has to be done about it now.
        verification: how one sees that it worked.
        prerequisites: what must hold before the first change.
        escalation: whom to call and when.
        rollback: what going back means here, before the rollback's own steps.
        troubleshooting: errors that are not those of one step; a step's own are in its `meta/step.yml`.
        links: pages to look at: dashboards, documents.
        estimate: how long a run takes.
        reserve: how long its rollback takes; a run starts only when both fit into what is left of the window.
        timeout: after this the run is ended and put back.
        updated: when somebody last reviewed the runbook.
        severity: of an incident.
        risk: what a run can do to the service while all goes as expected.
        contacts: levels of `runbook_contacts` and channels of `runbook_channels` of the inventory; those of the
            escalation need no mention.
        alerts: names of the alerts that lead here.
        undone_by: id of the runbook that puts back what a run of this one has changed: after a run that died or was
            ended (`pyrunbook recover`), and after one that succeeded (`pyrunbook rollback RUN`, which gives the run's
            id to the input that this runbook requires).
        ended_by: id of the runbook that ends what a run of this one leaves on purpose, such as an incident's secure
            mode.
        step_inputs: inputs of its steps that an operator gives to a run (`-e`); the roles say what they are.
        titles: language to step to the step's title. A step is its id, or `<phase>.<id>` where two phases have the
            same. English titles are the names of the playbook's tasks. A step that is called as its role calls itself
            (`title` of its `meta/step.yml`) needs none.
        inputs: language to input to what it means; the English words are its description.
    """

    schema: Literal[1] = 1
    title: Text = msgspec.field(default_factory=lambda: Text(""))
    owner: str
    updated: date | None
    summary: Text = msgspec.field(default_factory=lambda: Text(""))
    estimate: Duration = msgspec.field(default_factory=Duration)
    reserve: Duration = msgspec.field(default_factory=Duration)
    timeout: Duration | None = None
    frequency: Text | None = None
    window: DeclaredWindow = msgspec.field(default_factory=lambda: DeclaredWindow(required=False))
    severity: Literal["critical", "high", "medium", "low"] | None = None
    risk: Literal["high", "medium", "low"] | None = None
    symptoms: tuple[Text, ...] = ()
    impact: Text | None = None
    when_to_ignore: Text | None = None
    verification: Text | None = None
    prerequisites: tuple[Prerequisite, ...] = ()
    escalation: tuple[Escalation, ...] = ()
    rollback: Text | None = None
    troubleshooting: tuple[Trouble, ...] = ()
    contacts: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    alerts: tuple[str, ...] = ()
    undone_by: str = ROLLBACK
    ended_by: str | None = None
    step_inputs: tuple[str, ...] = ()
    titles: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    inputs: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """What no single field can say."""
        ids = [prerequisite.id for prerequisite in self.prerequisites]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"the prerequisite {twice[0]} is there twice")
        if self.timeout is not None and self.timeout < self.estimate:
            raise ValueError("the timeout is shorter than the estimate, so every run would be ended")
        unknown = [
            language for language in (*self.titles, *self.inputs) if language == "en" or language not in LANGUAGES
        ]
        if unknown:
            others = ", ".join(language for language in LANGUAGES if language != "en")
            raise ValueError(
                f"{unknown[0]} is none of {others}; titles and inputs are in English where they are declared"
            )


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"kind": "type"}):
    """An input of the playbook, as ansible-core's argument specs have it.

    Attributes:
        kind: of its value.
        description: what it means; Ansible's markup, such as `C(value)`, is taken off where it is shown.
        required: whether a run needs it.
        default: what it is where it is not given; for readers, Ansible sets nothing from here.
        choices: the only values.
        elements: type of a list's members.
        options: of a mapping.
        no_log: whether its value is a secret.
    """

    kind: Literal["str", "bool", "int", "float", "path", "list", "dict", "raw", "jsonarg", "json", "bytes", "bits"] = (
        "str"
    )
    description: str | list[str] = ""
    required: bool = False
    default: Any = None
    choices: list[Any] | None = None
    elements: str | None = None
    options: dict[str, Any] | None = None
    aliases: list[str] = []
    no_log: bool = False
    version_added: str | None = None
    apply_defaults: bool = False
    mutually_exclusive: list[Any] | None = None
    required_together: list[Any] | None = None
    required_one_of: list[Any] | None = None
    required_if: list[Any] | None = None
    required_by: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """The description as one text, without Ansible's markup."""
        text = self.description if isinstance(self.description, str) else " ".join(self.description)
        return re.sub(r"\b[BCEIMOPRV]\(([^)]*)\)", r"\1", " ".join(text.split()))


class ArgumentSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One spec of the file: ansible-core's fields, and ours in `runbook`.

    Attributes:
        runbook: ours.
        short_description: one line.
        description: more.
        options: the inputs, by name: what can be given with `-e`.
    """

    runbook: Metadata
    short_description: str = ""
    description: str | list[str] = ""
    options: dict[str, Input] = {}
    author: str | list[str] = ""
    version_added: str | None = None
    seealso: list[Any] = []


def read_metadata(file: Path) -> tuple[str, ArgumentSpec]:
    """Read a runbook's metadata.

    Returns:
        the name of the spec, which is the name of its play, and the spec.

    Raises:
        InvalidFile: with every mistake in the file.
    """
    document = read(file)
    problems: list[Problem] = []
    found = _find_spec(document, problems)
    spec = None
    if found is not None:
        name, node = found
        spec = read_struct(document, node, ArgumentSpec, f"argument_specs.{name}", problems)
        if spec is not None:
            msgspec.structs.force_setattr(spec.runbook, "title", spec.runbook.title or Text(name))
            msgspec.structs.force_setattr(spec.runbook, "summary", spec.runbook.summary or Text(spec.short_description))
            add_translations(file, spec.runbook, problems)
    if problems or spec is None:
        raise InvalidFile(problems)
    return found[0] if found else "", spec


def _find_spec(document: Document, problems: list[Problem]) -> tuple[str, yaml.Node] | None:
    root = document.root
    for name, key, _ in document.items(root):
        if name != "argument_specs":
            problems.append(document.problem(key, name, "unknown field; the only one here is argument_specs"))
    specs = document.get(root, "argument_specs")
    if specs is None:
        problems.append(document.problem(root, "", "there is no argument_specs"))
        return None
    ours = [(name, node) for name, _, node in document.items(specs) if document.get(node, "runbook") is not None]
    if len(ours) != 1:
        seen = "no spec has" if not ours else f"the specs {', '.join(name for name, _ in ours)} have"
        problems.append(document.problem(specs, "argument_specs", f"{seen} a runbook block; exactly one must have it"))
        return None
    return ours[0]
