"""The runbooks that are shipped: complete, in two languages, and true to the playbooks and the source runbook."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyrunbook import catalog
from pyrunbook.catalog import Phase, Runbook, StepNotes, Text
from pyrunbook.catalog.page_values import page_values, read_role_defaults
from pyrunbook.catalog.templates import Values
from pyrunbook.project.inventory import Service, read_services

ROOT = Path(__file__).parents[2]
RUNBOOKS = {runbook.id: runbook for runbook in catalog.load()}
STEPS = {
    step.folder: step.notes
    for runbook in RUNBOOKS.values()
    for strategy in runbook.strategies
    for step in runbook.steps(strategy)
}
NOTES: dict[str, StepNotes] = {role: notes for role, notes in STEPS.items() if notes is not None}
DEFAULTS = read_role_defaults(ROOT / "roles")
INVENTORIES = {"kubernetes": ROOT / "inventories/production", "host": ROOT / "docs/host/inventory.yml"}
PLATFORMS = tuple(INVENTORIES)
STANDS_ALONE = ("rollback", "unlock")
"""Done when all else has failed, perhaps in a shell of their own."""


def _texts(value: Any, where: str) -> Iterator[tuple[str, Text]]:
    if isinstance(value, Text):
        yield where, value
    elif isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield from _texts(getattr(value, field.name), f"{where}.{field.name}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _texts(item, f"{where}[{index}]")


def _values(platform: str, **changes: Any) -> Values:
    source = INVENTORIES[platform]
    service = read_services(source)[0]
    return page_values(Service(service.name, service.variables | changes, service.origins), DEFAULTS, ROOT, source)


def _by_hand(role: str, platform: str, **changes: Any) -> list[tuple[str, str]]:
    """What is typed on a platform, templates filled; with where it stands."""
    notes, values = NOTES[role], _values(platform, **changes)
    found = [
        (f"{role}: {platform}: {item.text}", values.fill(item.commands))
        for item in (*notes.by_hand.of(platform), *notes.undo.of(platform))
    ]
    assert not values.unknown, role
    return found


def test_all_are_sound() -> None:
    assert catalog.load().broken == {}
    assert {"maintenance/production_update", "deployment/rollback"} <= RUNBOOKS.keys()


@pytest.mark.parametrize("runbook", RUNBOOKS.values(), ids=RUNBOOKS)
def test_metadata_is_whole_and_in_two_languages(runbook: Runbook) -> None:
    metadata = runbook.metadata
    assert metadata.owner.startswith("@")
    assert metadata.estimate
    assert metadata.summary and metadata.rollback and metadata.frequency and metadata.impact
    assert metadata.prerequisites and metadata.escalation and metadata.contacts
    assert metadata.troubleshooting or runbook.needed, "an input that is not given is an error that a page knows"
    for where, text in _texts(metadata, runbook.id):
        assert set(text.languages) == {"en", "fr"}, where


@pytest.mark.parametrize("role", sorted(STEPS))
def test_every_step_is_described_in_two_languages_and_by_hand_on_both_platforms(role: str) -> None:
    assert role in NOTES, f"roles/{role}/meta/step.yml is missing"
    notes = NOTES[role]
    for where, text in _texts(notes, role):
        assert set(text.languages) == {"en", "fr"}, where
    assert notes.estimate
    for platform in PLATFORMS:
        assert notes.by_hand.of(platform), f"nothing to do by hand on {platform}"


@pytest.mark.parametrize("strategy", catalog.STRATEGIES)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("role", sorted(NOTES))
def test_every_text_and_command_is_filled_from_the_inventory(role: str, platform: str, strategy: str) -> None:
    values = _values(platform, update_strategy=strategy)
    notes = NOTES[role]
    troubles = [t for t in notes.troubleshooting if t.platform in (None, platform)]
    mine = (*notes.by_hand.of(platform), *notes.undo.of(platform), *troubles, notes.purpose, notes.expected)
    for where, text in _texts(mine, role):
        for words in text.languages.values():
            assert "{{" not in values.fill(words), where
    for command in [command for trouble in troubles for command in trouble.commands]:
        filled = values.fill(command)
        assert filled.strip()
        assert "{{" not in filled
        assert ("kubectl" in filled) <= (platform == "kubernetes"), filled
        assert (str(values.get("service_root", "/nowhere")) in filled) <= (platform == "host"), filled
    assert not values.unknown


@pytest.mark.parametrize("runbook", RUNBOOKS.values(), ids=RUNBOOKS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_text_of_a_runbook_is_filled_from_the_inventory(runbook: Runbook, platform: str) -> None:
    contacts = _values("kubernetes")
    values = _values(platform, runbook_channels=contacts.get("runbook_channels"))
    for _, text in _texts(runbook.metadata, runbook.id):
        for words in text.languages.values():
            values.fill(words)
    for trouble in runbook.metadata.troubleshooting:
        for command in trouble.commands:
            values.fill(command)
    assert not values.unknown


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("role", sorted(NOTES))
def test_commands_are_valid_shell(role: str, platform: str) -> None:
    values = _values(platform)
    commands = _by_hand(role, platform) + _by_hand(role, platform, rollback_outcome="succeeded")
    commands += [
        (f"{role}: {trouble.error}", values.fill(command))
        for trouble in NOTES[role].troubleshooting
        if trouble.platform in (None, platform)
        for command in trouble.commands
    ]
    for where, text in commands:
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, f"{where}: {done.stderr}\n{text}"
        assert text == text.lstrip() and "\n\n" not in text, f"{where}: a template leaves an empty line\n{text}"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("role", sorted(NOTES))
def test_commands_use_no_variable_that_nobody_sets(role: str, platform: str) -> None:
    """Those of all steps are set by the first steps, the others by the step itself; a rollback needs no other step."""
    before = [] if role in STANDS_ALONE else ["preflight", "backup", "rollback_plan"]
    given = [text for other in (*before, role) for _, text in _by_hand(other, platform)]
    known = {name for text in given for name in re.findall(r"\b([A-Z_]+)=", text)}
    for where, text in _by_hand(role, platform):
        used = set(re.findall(r"\$\{?([A-Z_]+)(?!:-|[A-Z_])", text))  # one with a default may be unset
        assert used <= known, f"{where}: {used - known}"
        if role in STANDS_ALONE:
            assert "serving" not in text, where


def test_a_step_is_done_by_hand_with_what_the_playbook_sets_for_it() -> None:
    """The same role checks the preview at its own address, and afterwards the service at the clients'."""
    asked = {}
    for step in RUNBOOKS["maintenance/production_update"].steps():
        values = _values("kubernetes", **step.variables)
        if step.folder == "validate":
            asked[step.id] = values.fill(NOTES["validate"].by_hand.kubernetes[0].commands)
    assert '"$PREVIEW_URL/health"' in asked["validate"]
    assert '"https://agent-factory.example.com/health"' in asked["verify"]
    undone = {step.id: step for step in RUNBOOKS["deployment/rollback"].steps() if step.phase is Phase.PROCEDURE}
    read = _values("host", **undone["rollback"].variables).fill(NOTES["rollback"].by_hand.host[0].commands)
    assert 'grep -vxF "${RECORDED:-none}"' in read, (
        "a rollback that was asked for leaves out what was recorded for itself"
    )


def test_commands_hold_no_placeholder() -> None:
    placeholder = re.compile(r"under supervisor|(?<![$\"\w{])(PLAN|RUN|INVENTORY|RELEASE|COLOR)(?![\w=])")
    for role, notes in NOTES.items():
        everything = [text for platform in PLATFORMS for _, text in _by_hand(role, platform)]
        everything += [command for trouble in notes.troubleshooting for command in trouble.commands]
        assert not placeholder.search("\n".join(everything)), role
    for runbook in RUNBOOKS.values():
        for trouble in runbook.metadata.troubleshooting:
            assert not placeholder.search("\n".join(trouble.commands)), runbook.id


def test_no_change_by_hand_goes_on_after_a_failure() -> None:
    """A block that is pasted into a shell without `set -e` must stop itself: what follows would act on wrong ground."""
    changing = re.compile(r"^\s*(mv|rm|ln|cp|tar|systemctl (en|dis)able|kubectl.* (delete|patch|apply)) ")
    for role in NOTES:
        for platform in PLATFORMS:
            for where, text in _by_hand(role, platform):
                lines = [line for line in text.splitlines() if not line.startswith("kubectl")]
                if sum(bool(changing.match(line)) for line in lines) > 1:
                    assert "( set -eu" in text, f"{where}\n{text}"


def test_the_traps_of_the_source_runbook_are_not_in_the_commands() -> None:
    everything = "\n".join(text for role in NOTES for platform in PLATFORMS for _, text in _by_hand(role, platform))
    assert "available=false" not in everything, "a Deployment with 0 replicas stays Available"
    assert "delete_series" not in everything
    assert not re.search(r"^\s*find .*-delete", everything, re.MULTILINE)
    assert not re.search(r"delete -f .*/(blue|green)/", everything), "which color is old is read, not assumed"
    assert "--type=merge" not in "".join(line for line in everything.splitlines() if "patch service" in line)
    assert not re.search(r"selector.*green", everything), "which color is new is read, not assumed"


def test_the_update_is_the_one_of_the_source_runbook() -> None:
    """Sunday 02:00-04:00 UTC, 30 minutes, four prerequisites, two of which only a person can attest."""
    runbook = RUNBOOKS["maintenance/production_update"]
    metadata = runbook.metadata
    assert metadata.window.spec == "Sun 02:00-04:00 UTC"
    assert metadata.window.required
    assert metadata.estimate == timedelta(minutes=30)
    assert metadata.reserve == timedelta(minutes=10)
    assert metadata.title.in_language("fr") == "Mise à jour de la production"
    checks = {prerequisite.id: prerequisite.check for prerequisite in metadata.prerequisites}
    assert checks == {
        "backup_validated": "automatic",
        "rollback_plan_prepared": "automatic",
        "oncall_available": "attested",
        "staging_validated": "attested",
    }


def test_both_orders_of_the_update() -> None:
    runbook = RUNBOOKS["maintenance/production_update"]

    def procedure(strategy: str) -> list[str]:
        return [step.id for step in runbook.steps(strategy) if step.phase is Phase.PROCEDURE]

    assert procedure("zero_downtime") == [
        "backup", "rollback_plan", "deploy_green", "validate", "switch_service", "verify", "drain", "cleanup",
    ]  # fmt: skip
    assert procedure("controlled_stop") == [
        "backup", "rollback_plan", "drain_first", "deploy_green", "validate", "switch_service", "verify", "cleanup",
    ]  # fmt: skip
    for strategy in runbook.strategies:
        phases = [step.phase for step in runbook.steps(strategy)]
        assert phases[0] is Phase.PREREQUISITE
        assert phases[-2:] == [Phase.ROLLBACK, Phase.CONCLUDE]


@pytest.mark.parametrize("strategy", catalog.STRATEGIES)
def test_the_steps_fit_into_the_estimate(strategy: str) -> None:
    runbook = RUNBOOKS["maintenance/production_update"]
    steps = runbook.steps(strategy)
    forward = sum((step.estimate for step in steps if step.phase is not Phase.ROLLBACK), timedelta())
    back = sum((step.estimate for step in steps if step.phase is Phase.ROLLBACK), timedelta())
    assert forward <= runbook.metadata.estimate + timedelta(minutes=1)
    assert back <= runbook.metadata.reserve


@pytest.mark.parametrize(
    ("role", "message", "error"),
    [
        ("deploy_green", "pod web-1 waits: CrashLoopBackOff", "CrashLoopBackOff"),
        ("deploy_green", "pod web-1 waits: ErrImagePull", "ImagePullBackOff"),
        ("deploy_green", "0/3 nodes are available: Insufficient cpu", "Unschedulable"),
        ("validate", "POST /echo answered 500 in 3 of 20 requests, 0 allowed", "answered 5xx"),
        ("validate", "GET /version answered version 1.0, wanted 1.1 in 1 of 1 requests", "answered version"),
        ("validate", "GET /health: p95 900 ms, 500 ms allowed", "ms allowed"),
        ("switch_service", "The traffic was not switched: it goes to 127.0.0.1:1", "The traffic was not switched"),
        ("cleanup", "Service x chooses green, so green is not removed", "is not removed"),
        ("preflight", "The lock of this service is held by run 7f3a", "The lock of this service is held"),
        ("drain", "3 requests are still in flight after 120 s", "requests are still in flight"),
        ("drain", "Deployment x was scaled up again 5 times while it was drained", "was scaled up again"),
        ("rollback", "release 1.0 is gone, and so is its backup x", "is gone, and so is its backup"),
    ],
)
def test_messages_find_their_entry(role: str, message: str, error: str) -> None:
    assert error in [trouble.error for trouble in NOTES[role].troubleshooting if trouble.found_in(message)]


def test_a_line_of_the_log_behind_a_message_finds_no_entry() -> None:
    message = "What was verified does not serve any more.\nThe last lines of green.log:\nstopping: 0 requests in flight"
    assert not [trouble.error for trouble in NOTES["drain"].troubleshooting if trouble.found_in(message)]


@pytest.mark.parametrize("runbook", RUNBOOKS.values(), ids=RUNBOOKS)
def test_what_the_playbook_takes_is_documented(runbook: Runbook) -> None:
    """Each variable with a default in the playbook is an input of it, unless a role or the play itself sets it."""
    text = runbook.path.read_text()
    taken = {name for name in re.findall(r"\b([a-z]\w+) \| default\(", text) if not name.startswith("service_")}
    own = set(re.findall(r"^    (\w+):", text, re.MULTILINE))
    assert taken - own <= runbook.inputs.keys()
    roles = {step.folder for strategy in runbook.strategies for step in runbook.steps(strategy)}
    for name in runbook.inputs.keys() - taken - set(runbook.metadata.window.variables):
        assert any(name.startswith(f"{role}_") for role in roles), f"nothing takes the input {name}"
