"""`pyrunbook schema`, the schemas that are committed, and that they refuse what the reader refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from pyrunbook.catalog import InvalidFile, schema
from pyrunbook.catalog.metadata import read_metadata
from pyrunbook.catalog.settings import read_settings
from pyrunbook.catalog.step_notes import read_step_notes
from pyrunbook.cli.main import main
from pyrunbook.cli.schema import KINDS

CHECKOUT = Path(__file__).parents[2]
COMMITTED = CHECKOUT / "docs" / "schema"
METADATA = sorted((CHECKOUT / "playbooks").glob("*/*.meta.yml"))
NOTES = sorted((CHECKOUT / "roles").glob("*/meta/step.yml"))
SHIPPED = [
    *[("runbook", path) for path in METADATA],
    *[("step", path) for path in NOTES],
    *[("runbook-translation", path.with_suffix(".fr.yml")) for path in METADATA],
    *[("step-translation", path.with_suffix(".fr.yml")) for path in NOTES],
]

RUNBOOK = """\
argument_specs:
  Sample:
    short_description: A sample
    options:
      release: {type: str, description: What to deploy, required: true}
    runbook:
      schema: 1
      title: {en: Sample, fr: Exemple}
      owner: "@team"
      updated: 2026-11-21
      estimate: 30m
      timeout: 1h
      severity: high
      risk: low
      window: {spec: first Sun 02:00-04:00 Europe/Paris, cutoff: 15m, exclusions: [2026-12-24, 2026-12-31..2027-01-02]}
      prerequisites: [{id: staging, text: Staging is fine, check: attested}]
      escalation: [{to: L2, when: It fails, after: 10m}]
      troubleshooting: [{error: Boom, cause: Too much, solution: Less, commands: [uptime], platform: host}]
      links: [{title: Dashboard, url: "https://example.com"}]
      alerts: [Down]
      titles: {fr: {drain: Vidanger}}
"""
STEP = """\
schema: 1
purpose: {en: Stop, fr: Arrêter}
expected: Nothing is left.
estimate: 2m
by_hand: {host: [{text: Stop it, commands: systemctl stop x, expected: nothing}]}
undo_text: Start it again.
troubleshooting: [{error: in flight, match: 'in.?flight', cause: Slow clients, solution: Wait}]
check_mode: partial
check_mode_why: It cannot know.
"""
RUNBOOK_IN_FRENCH = """\
title: Exemple
prerequisites: [{id: staging, text: La préproduction va bien}]
escalation: [{when: Échec}]
troubleshooting: [{error: Boom, cause: Trop, solution: Moins}]
links: [{title: Tableau de bord}]
titles: {drain: Vidanger}
inputs: {release: La version}
"""
STEP_IN_FRENCH = """\
purpose: Arrêter
expected: Il ne reste rien.
by_hand: {host: [{text: L'arrêter, expected: rien}]}
undo_text: Le redémarrer.
troubleshooting: [{error: in flight, cause: Clients lents}]
check_mode_why: Impossible à savoir.
inputs: {drain_color: La couleur}
"""
SETTINGS = """\
docs: {inventory: inventories/production, languages: [en, fr], output: docs}
lint: {select: [], ignore: [obsolete], levels: {obsolete: note}, reviewed_within: 365d, alert_rules: [rules.yml]}
"""

MISTAKES = {
    "runbook": [
        ("short_description: A sample", "shortdescription: A sample"),
        ("short_description: A sample\n", "short_description: A sample\n    more: 1\n"),
        ("type: str", "type: text"),
        ("required: true", "required: perhaps"),
        ("schema: 1", "schema: 2"),
        ("{en: Sample, fr: Exemple}", "{fr: Exemple}"),
        ("{en: Sample, fr: Exemple}", "{en: Sample, de: Beispiel}"),
        ("{en: Sample, fr: Exemple}", '" "'),
        ('owner: "@team"', "owner: 5"),
        ('      owner: "@team"\n', ""),
        ("2026-11-21", "yesterday"),
        ("estimate: 30m", "estimate: 30"),
        ("estimate: 30m", "estimate: ten minutes"),
        ("estimate: 30m", "estimate: ''"),
        ("estimate: 30m", "estimate: 1x"),
        ("estimate: 30m", "estimates: 30m"),
        ("severity: high", "severity: severe"),
        ("risk: low", "risk: none"),
        ("first Sun 02:00-04:00 Europe/Paris", "Sun 02:00-04:00"),
        ("first Sun 02:00-04:00 Europe/Paris", "sometimes"),
        ("[2026-12-24,", "[never,"),
        ("id: staging", "id: Not An Id"),
        ("check: attested", "check: manual"),
        ("text: Staging is fine, ", ""),
        ("[{id: staging, text: Staging is fine, check: attested}]", "[just text]"),
        ("to: L2", "to: [L2]"),
        ("commands: [uptime]", "commands: uptime"),
        ("platform: host", "platform: windows"),
        ("alerts: [Down]", "alerts: [1]"),
        ("alerts: [Down]", "alerts: Down"),
        ("titles: {fr: {drain: Vidanger}}", "titles: {en: {drain: Drain}}"),
        ("titles: {fr: {drain: Vidanger}}", "titles: {fr: {drain: [x]}}"),
        ("argument_specs:", "more: 1\nargument_specs:"),
        ("argument_specs:", "argument_spec:"),
    ],
    "step": [
        ("schema: 1", "schema: 2"),
        ("purpose:", "purposes:"),
        ("host:", "windows:"),
        ("text: Stop it, ", ""),
        ("commands: systemctl stop x", "commands: [systemctl stop x]"),
        ("check_mode_why: It cannot know.\n", ""),
        ("check_mode: partial\n", ""),
        ("check_mode: partial", "check_mode: none"),
        ("cause: Slow clients, ", ""),
        ("undo_text: Start it again.\n", ""),
        ("estimate: 2m", "estimate: 2"),
    ],
    "settings": [
        ("languages: [en, fr]", "languages: [en, de]"),
        ("docs:", "doc:"),
        ("output: docs", "outputs: docs"),
        ("obsolete: note", "obsolete: hint"),
        ("365d", "365"),
        ("alert_rules: [rules.yml]", "alert_rules: rules.yml"),
    ],
}
MISTAKES |= {
    "runbook-translation": [
        ("title: Exemple", "titel: Exemple"),
        ("title: Exemple", "title: {fr: Exemple}"),
        ("title: Exemple", "title: ' '"),
        ("title: Exemple", "owner: L'équipe"),
        ("id: staging, ", ""),
        ("[{when: Échec}]", "{when: Échec}"),
        ("{drain: Vidanger}", "[Vidanger]"),
        ("Vidanger", "[Vidanger]"),
    ],
    "step-translation": [
        ("purpose: Arrêter", "purpose: 1"),
        ("purpose: Arrêter", "estimate: 2m"),
        ("text: L'arrêter", "commands: systemctl stop x"),
        ("host:", "windows:"),
        ("error: in flight, ", ""),
    ],
}
WHOLE = {
    "runbook": RUNBOOK,
    "step": STEP,
    "settings": SETTINGS,
    "runbook-translation": RUNBOOK_IN_FRENCH,
    "step-translation": STEP_IN_FRENCH,
}


class _Yaml12(yaml.SafeLoader):
    """As an editor reads it: a date is a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def refused(kind: str, text: str) -> list[str]:
    data = yaml.load(text, Loader=_Yaml12)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    validator = jsonschema.Draft202012Validator(schema.SCHEMAS[kind](), format_checker=checker)
    return [error.message for error in validator.iter_errors(data)]


def read(kind: str, text: str, directory: Path) -> None:
    file = directory / {"runbook": "x.meta.yml", "step": "step.yml"}.get(kind.split("-")[0], ".pyrunbook.yml")
    if kind.endswith("-translation"):
        file.with_suffix(".fr.yml").write_text(text)
        kind = kind.removesuffix("-translation")
        text = WHOLE[kind]
    file.write_text(text)
    if kind == "runbook":
        read_metadata(file)
    elif kind == "step":
        read_step_notes(file)
    else:
        read_settings(directory)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["schema", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


# --- the command -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_printed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(kind) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(schema.SCHEMAS[kind]()))


def test_the_runbooks_is_the_default_and_other_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Metadata of a runbook"
    assert run("playbook") == 2
    assert "'runbook', 'runbook-translation', 'step'" in capsys.readouterr().err


def test_a_schema_is_written_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new" / "step.schema.json"
    assert run("step", "--output", str(file)) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(file.read_text())["$ref"] == "#/$defs/StepNotes"
    assert run("step", "--output", str(tmp_path / "new" / "step.schema.json" / "below")) == 2
    errors = capsys.readouterr().err
    assert "step.schema.json: File exists" in errors and "Next: name another file with -o" in errors


# --- what is committed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_committed_schemas_are_what_the_code_says(kind: str, tmp_path: Path) -> None:
    assert run(kind, "--output", str(tmp_path / "now")) == 0
    committed = (COMMITTED / f"{kind}.schema.json").read_text(encoding="utf-8")
    assert committed == (tmp_path / "now").read_text(encoding="utf-8"), (
        f"run: pyrunbook schema {kind} --output docs/schema/{kind}.schema.json"
    )


def test_nothing_else_is_committed_as_a_schema() -> None:
    assert {path.name for path in COMMITTED.iterdir()} == {f"{kind}.schema.json" for kind in KINDS}
    assert tuple(schema.SCHEMAS) == KINDS


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=lambda value: getattr(value, "name", value))
def test_what_is_shipped_names_its_schema_and_fits_it(kind: str, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", text.splitlines()[0])
    assert found, f"{path}: the first line names no schema"
    assert (path.parent / found[1]).resolve() == COMMITTED / f"{kind}.schema.json"
    assert refused(kind, text) == []


# --- what they say -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right_is_right_for_both(kind: str, tmp_path: Path) -> None:
    assert refused(kind, WHOLE[kind]) == []
    read(kind, WHOLE[kind], tmp_path)


@pytest.mark.parametrize(("kind", "change"), [(kind, change) for kind in KINDS for change in MISTAKES[kind]], ids=str)
def test_a_mistake_is_refused_by_both(kind: str, change: tuple[str, str], tmp_path: Path) -> None:
    assert change[0] in WHOLE[kind]
    text = WHOLE[kind].replace(*change, 1)
    with pytest.raises(InvalidFile):
        read(kind, text, tmp_path)
    assert refused(kind, text)


@pytest.mark.parametrize(
    "spec", ["always", "daily 00:00-24:00 UTC", "last Mon-Fri,Sun 22:00-02:00 Etc/GMT+1", " Sun 02:00-04:00 UTC ",
             "RRULE:FREQ=MONTHLY;BYDAY=1SU 02:00 2h UTC", "ALWAYS"],
)  # fmt: skip
def test_every_form_of_a_window_is_right_for_both(spec: str, tmp_path: Path) -> None:
    text = RUNBOOK.replace("first Sun 02:00-04:00 Europe/Paris", json.dumps(spec))
    assert refused("runbook", text) == []
    read("runbook", text, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_editor_can_say_what_every_field_means(kind: str) -> None:
    for name, definition in schema.SCHEMAS[kind]().get("$defs", {}).items():
        assert definition["description"], name
        if name in ("Input", "ArgumentSpec"):  # ansible-core's, described there
            continue
        properties: dict[str, Any] = definition.get("properties", {})
        assert [field for field, rules in properties.items() if not rules.get("description")] == [], name


def test_a_docstring_describes_only_fields_that_are_there() -> None:
    class Odd(msgspec.Struct):
        """Odd.

        Attributes:
            gone: is no field.
        """

    with pytest.raises(KeyError):
        schema._describe({"properties": {}}, Odd)
