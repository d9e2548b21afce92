"""The catalog on content of its own: what it derives, and how it complains."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrunbook import catalog, places
from pyrunbook.catalog import Catalog, InvalidFile, Phase, Problem, Text
from pyrunbook.catalog.playbook import read_playbook
from pyrunbook.errors import BadInput, ExitCode
from pyrunbook.project import document

OURS = "- name: Sample\n  hosts: all\n  vars: {runbook_id: maintenance/sample}\n"
PLAYBOOK = """\
---
- name: Sample
  hosts: services
  serial: "{{ update_serial | default(1) }}"
  pre_tasks:
    - name: Check
      ansible.builtin.import_role: {name: preflight}
      tags: [always]
  tasks:
    - name: Update, or put back
      block:
        - name: Say hello
          ansible.builtin.debug: {msg: hello}
        - name: Drain {{ service_active_color }} first
          ansible.builtin.import_role: {name: drain}
          tags: [drain_first]
          when: update_strategy | default('zero_downtime') == 'controlled_stop'
        - name: Deploy {{ service_release }} to {{ service_preview_color }}
          ansible.builtin.import_role: {name: deploy_green}
          tags: [deploy_green]
        - name: Drain
          ansible.builtin.include_role:
            name: drain
          tags: [drain]
          when:
            - update_strategy | default('zero_downtime') != 'controlled_stop'
            - service_platform == 'host'
      rescue:
        - name: Put back
          ansible.builtin.import_role: {name: rollback}
          tags: [always]
      always:
        - name: Conclude
          ansible.builtin.import_role: {name: conclude}
          tags: [always]
  post_tasks:
    - name: Tell
      import_role: name=notify
"""

METADATA = """\
---
argument_specs:
  Sample:
    short_description: A sample
    options:
      release:
        description: C(what) to deploy
        type: str
        required: true
    runbook:
      schema: 1
      title: {en: Sample, fr: Exemple}
      owner: "@team"
      updated: 2026-11-21
      estimate: 30m
      reserve: 10m
      window:
        spec: Sun 02:00-04:00 UTC
        cutoff: 15m
        exclusions: [2026-12-24, 2026-12-31..2027-01-02]
      prerequisites:
        - {id: staging, text: Staging is fine, check: attested}
      troubleshooting:
        - {error: Boom, cause: Too much, solution: Less, commands: [uptime]}
"""

NOTES = """\
---
schema: 1
purpose: {en: Stop, fr: Arrêter}
expected: Nothing is left.
estimate: 2m
undo_text: Start it again.
by_hand:
  host:
    - {text: Stop it, commands: systemctl stop x}
troubleshooting:
  - {error: in flight, match: 'in.?flight', cause: Slow clients, solution: Wait}
check_mode: partial
check_mode_why: It cannot know.
"""


class Content:
    """A content directory that a test can fill."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "playbooks" / "maintenance").mkdir(parents=True)
        (root / "roles").mkdir()

    def write(self, name: str, playbook: str = PLAYBOOK, metadata: str | None = METADATA) -> None:
        path = self.root / "playbooks" / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(playbook)
        if metadata is not None:
            path.with_suffix(".meta.yml").write_text(metadata)

    def notes(self, role: str, text: str = NOTES) -> None:
        path = self.root / "roles" / role / "meta" / "step.yml"
        path.parent.mkdir(parents=True)
        path.write_text(text)

    def load(self) -> Catalog:
        return catalog.load(self.root)

    def complaints(self, name: str = "maintenance/sample") -> list[str]:
        """`line:column: where: message` of every problem."""
        with pytest.raises(InvalidFile) as caught:
            self.load().get(name)
        assert caught.value.exit_code == ExitCode.BAD_INPUT
        return [str(problem).removeprefix(f"{problem.file}:") for problem in caught.value.problems]


@pytest.fixture
def content(tmp_path: Path) -> Content:
    return Content(tmp_path)


# --- what is derived ------------------------------------------------------------------------------------------------


def test_steps_of_a_strategy(content: Content) -> None:
    content.write("maintenance/sample")
    content.notes("drain")
    runbook = content.load().get("maintenance/sample")
    assert [(s.id, s.role, str(s.phase), s.conditions) for s in runbook.steps()] == [
        ("preflight", "preflight", "prerequisite", ()),
        ("deploy_green", "deploy_green", "procedure", ()),
        ("drain", "drain", "procedure", ("service_platform == 'host'",)),
        ("rollback", "rollback", "rollback", ()),
        ("conclude", "conclude", "conclude", ()),
        ("notify", "notify", "conclude", ()),
    ]
    assert [s.id for s in runbook.steps("controlled_stop")] == [
        "preflight", "drain_first", "deploy_green", "rollback", "conclude", "notify",
    ]  # fmt: skip
    assert runbook.strategies == ("zero_downtime", "controlled_stop")
    with pytest.raises(BadInput, match="no strategy 'fast'"):
        runbook.steps("fast")


def test_a_step_knows_its_role_and_its_place(content: Content) -> None:
    content.write("maintenance/sample")
    content.notes("drain")
    deploy, drain = content.load().get("maintenance/sample").steps()[1:3]
    assert deploy.title == "Deploy {{ service_release }} to {{ service_preview_color }}"
    assert deploy.spoken_title() == "Deploy the release to the preview color"
    title = "Put {{ x | default('the thing') }} to {{ plan | default(own) }} of {{service_active_color | upper}}"
    assert replace(deploy, title=title).spoken_title() == "Put the thing to PLAN of the active color"
    assert deploy.notes is not None, "the project has no role of this name, so the shipped one is meant"
    bare = replace(deploy, notes=None)
    assert (bare.estimate, bare.troubles("x")) == (timedelta(), [])
    assert drain.line == PLAYBOOK.splitlines().index("        - name: Drain") + 1
    assert drain.phase is Phase.PROCEDURE
    assert drain.notes is not None
    assert drain.notes.purpose.in_language("fr") == "Arrêter"
    assert drain.estimate == timedelta(minutes=2)
    assert drain.notes.by_hand.of("host")[0].commands == "systemctl stop x"
    assert drain.notes.by_hand.of("kubernetes") == ()
    assert [trouble.cause for trouble in drain.troubles("3 requests IN-FLIGHT")] == ["Slow clients"]
    assert drain.troubles("all is well") == []


def test_metadata(content: Content) -> None:
    content.write("maintenance/sample")
    runbook = content.load().get("maintenance/sample")
    metadata = runbook.metadata
    assert (runbook.category, runbook.name) == ("maintenance", "sample")
    assert (str(metadata.title), metadata.title.in_language("fr"), metadata.title.in_language("de")) == (
        "Sample", "Exemple", "Sample",
    )  # fmt: skip
    assert (metadata.estimate, metadata.reserve, metadata.timeout) == (
        timedelta(minutes=30),
        timedelta(minutes=10),
        None,
    )
    assert metadata.updated == date(2026, 11, 21)
    assert metadata.window.spec == "Sun 02:00-04:00 UTC"
    assert metadata.window.cutoff == timedelta(minutes=15)
    assert metadata.window.exclusions == ("2026-12-24", "2026-12-31..2027-01-02")
    assert metadata.prerequisites[0].check == "attested"
    assert [(play.name, play.hosts, play.serial) for play in runbook.plays] == [
        ("Sample", "services", "{{ update_serial | default(1) }}")
    ]
    assert (runbook.inputs["release"].kind, runbook.inputs["release"].text) == ("str", "what to deploy")
    as_dict = json.loads(json.dumps(runbook.as_dict()))
    assert as_dict["title"] == {"en": "Sample", "fr": "Exemple"}
    assert as_dict["estimate"] == 1800
    assert as_dict["inputs"]["release"]["required"] is True


@pytest.mark.parametrize(
    ("window", "spec", "required"),
    [
        ("{required: false}", "always", False),
        ("{spec: daily 01:00-02:00 UTC, required: false}", "daily 01:00-02:00 UTC", False),
        ("{required: true}", None, True),
        ("{}", None, True),
    ],
)
def test_a_window_that_is_not_named_is_closed_unless_none_is_required(
    content: Content, window: str, spec: str | None, required: bool
) -> None:
    text = METADATA[: METADATA.index("      window:")] + f"      window: {window}\n"
    content.write("maintenance/sample", metadata=text)
    declared = content.load().get("maintenance/sample").metadata.window
    assert (declared.spec, declared.required) == (spec, required)


def test_a_calendar_stands_beside_the_metadata(content: Content) -> None:
    text = METADATA.replace("[2026-12-24, 2026-12-31..2027-01-02]", "[freeze.ics]")
    content.write("maintenance/sample", metadata=text)
    assert any("freeze.ics" in line for line in content.complaints())
    calendar = content.root / "playbooks" / "maintenance" / "freeze.ics"
    calendar.write_text(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n"
        "DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227\r\nSUMMARY:Freeze\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    assert content.load().get("maintenance/sample").metadata.window.exclusions == (str(calendar),)


def test_order_and_names(content: Content) -> None:
    for name in ("maintenance/zeta", "incidents/high_cpu", "deployment/alpha", "maintenance/alpha"):
        content.write(name)
    found = content.load()
    assert list(found.ids) == sorted({*found.own, *catalog.load(places.shipped()).ids})
    assert [runbook.id for runbook in found if runbook.id in found.own] == [
        "deployment/alpha", "incidents/high_cpu", "maintenance/alpha", "maintenance/zeta",
    ]  # fmt: skip
    for wanted in ("incidents/high_cpu", "incidents/high-cpu", "high-cpu", "high_cpu.yml", " incidents/high_cpu "):
        assert found.get(wanted).id == "incidents/high_cpu"
    with pytest.raises(BadInput, match="several runbooks are named 'alpha': deployment/alpha, maintenance/alpha"):
        found.get("alpha")
    with pytest.raises(BadInput, match=r"no runbook 'incidents/high_cup'; did you mean incidents/high_cpu\?"):
        found.get("incidents/high_cup")
    with pytest.raises(BadInput, match=r"no runbook 'maintenance/high_cpi'; did you mean incidents/high_cpu\?"):
        found.get("maintenance/high_cpi")
    for wanted in ("nothing", "", "../../etc/passwd"):
        with pytest.raises(BadInput, match="there is no runbook"):
            found.get(wanted)


# --- Ansible's YAML -----------------------------------------------------------------------------------------------


def test_unknown_tags_and_templates_are_read_and_not_run(content: Content) -> None:
    extra = """\
  vars:
    secret: !vault |
      $ANSIBLE_VAULT;1.1;AES256
      6162
    raw: !unsafe "{{ 1/0 }}"
    odd: !whatever [1, {a: b}]
    python: !!python/object/apply:os.system ["touch /tmp/pyrunbook-was-here"]
"""
    content.write("maintenance/sample", playbook=PLAYBOOK.replace("  pre_tasks:", f"{extra}  pre_tasks:", 1))
    complaints = content.complaints()
    assert len(complaints) == 1
    assert "python/object" in complaints[0]
    harmless = extra[: extra.index("    python:")]
    content.write("maintenance/sample", playbook=PLAYBOOK.replace("  pre_tasks:", f"{harmless}  pre_tasks:", 1))
    assert len(content.load().get("maintenance/sample").steps()) == 6


def test_roles_section_blocks_in_blocks_and_inherited_tags(content: Content) -> None:
    playbook = """\
- name: Sample
  hosts: all
  vars: {runbook_id: maintenance/sample}
  roles:
    - plain
    - {role: tagged, tags: named}
  tasks:
    - name: Outer
      tags: [outer]
      when: update_strategy == 'zero_downtime'
      block:
        - name: Inner
          block:
            - name: Do it
              include_role: {name: worker}
          rescue:
            - name: Undo it
              include_role: {name: undo}
              tags: [undo_it, outer_too]
"""
    content.write("maintenance/sample", playbook=playbook)
    runbook = content.load().get("maintenance/sample")
    assert [(s.id, s.title, s.role, str(s.phase)) for s in runbook.steps()] == [
        ("plain", "plain", "plain", "procedure"),
        ("named", "tagged", "tagged", "procedure"),
        ("outer", "Do it", "worker", "procedure"),
        ("undo_it", "Undo it", "undo", "rollback"),
    ]
    assert [s.id for s in runbook.steps("controlled_stop")] == ["plain", "named"]


# --- complaints: all of them, each at its place -------------------------------------------------------------------


def test_every_mistake_is_named_at_its_line(content: Content) -> None:
    text = """\
---
argument_specs:
  Sample:
    short_description: A sample
    shortdescription: twice
    options:
      release: {type: text}
    runbook:
      schema: 2
      title: {fr: Exemple}
      updated: 2026-13-45
      estimate: 30
      reserve: ten minutes
      windw: x
      window:
        spec: Sun 02:00-04:00
        cutoff: 1x
        exclusions: [2026-12-24, never]
      prerequisites:
        - {id: Not An Id, text: x, check: attested}
        - {id: a, text: "", check: manual}
        - just text
      troubleshooting: {error: x}
      severity: severe
      alerts: [1, ok]
"""
    content.write("maintenance/sample", metadata=text)
    lines = content.complaints()
    at = {line.split(": ")[0]: line for line in lines}
    spec = "argument_specs.Sample"
    expected = {
        "5:5": (f"{spec}.shortdescription", "unknown field; did you mean short_description?"),
        "7:23": (f"{spec}.options.release.type", "'text'"),
        "9:15": (f"{spec}.runbook.schema", "allowed: 1"),
        "10:14": (f"{spec}.runbook.title", "English words (en) are missing"),
        "11:16": (f"{spec}.runbook.updated", "month must be in 1..12"),
        "12:17": (f"{spec}.runbook.estimate", "such as 90s, 30m or 1h30m, got 30"),
        "13:16": (f"{spec}.runbook.reserve", "ten minutes"),
        "14:7": (f"{spec}.runbook.windw", "did you mean window?"),
        "16:15": (f"{spec}.runbook.window.spec", "Sun 02:00-04:00"),
        "17:17": (f"{spec}.runbook.window.cutoff", "1x"),
        "18:34": (f"{spec}.runbook.window.exclusions[1]", "never"),
        "20:11": (f"{spec}.runbook.prerequisites[0]", "'Not An Id' is not lower-case"),
        "21:25": (f"{spec}.runbook.prerequisites[1].text", "expected a text"),
        "21:36": (f"{spec}.runbook.prerequisites[1].check", "allowed: 'automatic', 'attested'"),
        "22:11": (f"{spec}.runbook.prerequisites[2]", "expected a mapping, got the value 'just text'"),
        "23:24": (f"{spec}.runbook.troubleshooting", "expected a list, got a mapping"),
        "24:17": (f"{spec}.runbook.severity", "allowed: 'critical', 'high', 'medium', 'low'"),
        "25:16": (f"{spec}.runbook.alerts[0]", "Expected `str`, got `int`"),
    }
    for place, (where, message) in expected.items():
        assert where in at[place], lines
        assert message in at[place], lines
    missing = [line for line in lines if ": the field" in line]
    assert [line.partition("runbook: ")[2] for line in missing] == ["the field owner is missing"]
    assert len(lines) == len(expected) + 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("timeout: 5m\n      estimate", "estimate"), "the timeout is shorter than the estimate"),
        (("x: 1\n      estimate", "estimate"), "runbook.x: unknown field"),
        (("schema: 1\n      schema", "schema"), "the key schema is here twice, first in line 11"),
    ],
)
def test_mistakes_between_fields(content: Content, change: tuple[str, str], said: str) -> None:
    content.write("maintenance/sample", metadata=METADATA.replace(change[1], change[0], 1))
    assert any(said in line for line in content.complaints())


def test_one_spec_is_the_runbooks_and_is_named_like_its_play(content: Content) -> None:
    content.write("maintenance/sample", metadata=METADATA.replace("  Sample:", "  Simple:"))
    assert content.complaints() == [
        "1:1: argument_specs.Simple: the spec must be named like its play; the playbook has: Sample"
    ]
    two = METADATA + METADATA.partition("argument_specs:\n")[2].replace("  Sample:", "  Second:")
    content.write("maintenance/sample", metadata=two)
    assert content.complaints() == [
        "3:3: argument_specs: the specs Sample, Second have a runbook block; exactly one must have it"
    ]
    content.write("maintenance/sample", metadata="argument_specs:\n  Sample: {options: {}}\nmore: 1\n")
    assert content.complaints() == [
        "3:1: more: unknown field; the only one here is argument_specs",
        "2:3: argument_specs: no spec has a runbook block; exactly one must have it",
    ]


@pytest.mark.parametrize(
    ("playbook", "said"),
    [
        ("a: [b\n", "2:1: not YAML: "),
        ("", "1:1: the file is empty"),
        ("a: b\n", "1:1: a playbook is a list of plays"),
        ("- name: Sample\n  tasks: []\n", "1:3: [0]: a play needs hosts"),
        (f"{OURS}- import_playbook: other.yml\n", "4:3: [1]: a runbook is one playbook"),
        (f"{OURS}  tasks: no list\n", "4:10: [0].tasks: expected a list of tasks"),
        (f"{OURS}  tasks:\n    - word\n", "5:7: [0].tasks[0]: expected a task"),
        (
            f"{OURS}  tasks: [{{name: A, role: r}},\n    {{name: B, role: r}}]\n",
            "5:1: B: the step r is here twice, first in line 4; give each a tag of its own",
        ),
    ],
)
def test_broken_playbooks(content: Content, playbook: str, said: str) -> None:
    content.write("maintenance/sample", playbook=playbook)
    assert any(line.startswith(said) for line in content.complaints()), content.complaints()


def test_a_broken_runbook_does_not_hide_the_others(content: Content) -> None:
    content.write("maintenance/good")
    content.write("maintenance/broken", playbook="a: [b\n")
    content.write("maintenance/bare", metadata=None)
    found = content.load()
    assert [runbook.id for runbook in found if runbook.id in found.own] == ["maintenance/good"]
    assert found.own == ["maintenance/bare", "maintenance/broken", "maintenance/good"]
    assert list(found.broken) == ["maintenance/bare", "maintenance/broken"]
    assert "bare.meta.yml must stand beside it" in str(found.broken["maintenance/bare"])


def test_a_runbook_whose_way_back_is_not_there_is_refused_at_the_line_that_names_it(content: Content) -> None:
    lines = METADATA.splitlines()
    row = next(row for row, line in enumerate(lines) if line.strip().startswith("owner:"))
    content.write(
        "maintenance/sample", metadata="\n".join([*lines[:row], "      undone_by: maintenance/gone", *lines[row:]])
    )
    (said,) = content.complaints()
    assert said.startswith(
        f"{row + 1}:18: argument_specs.Sample.runbook.undone_by: there is no runbook maintenance/gone"
    )
    content.write("maintenance/gone")
    assert not content.load().broken


def test_mistakes_of_playbook_and_metadata_come_together(content: Content) -> None:
    content.write("maintenance/sample", playbook="a: b\n", metadata=METADATA.replace("schema: 1", "schema: 9"))
    assert [line.split(": ")[0] for line in content.complaints()] == ["1:1", "11:15"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("check_mode_why: It cannot know.\n", ""), "check_mode_why belongs to check_mode partial"),
        (("check_mode: partial\n", ""), "check_mode_why belongs to check_mode partial"),
        (("schema: 1", "schema: 1\npurposes: x"), "purposes: unknown field; did you mean purpose?"),
        (("match: 'in.?flight'", "match: '('"), "match is not a regular expression"),
        (("host:", "windows:"), "the fields here are host, kubernetes"),
    ],
)
def test_broken_notes_of_a_step(content: Content, change: tuple[str, str], said: str) -> None:
    content.write("maintenance/sample")
    content.notes("drain", NOTES.replace(*change))
    runbook = content.load().get("maintenance/sample")
    with pytest.raises(InvalidFile) as caught:
        runbook.steps()
    assert said in str(caught.value)
    assert "roles/drain/meta/step.yml:" in str(caught.value)


def test_a_file_that_cannot_be_read(content: Content) -> None:
    content.write("maintenance/sample")
    (content.root / "playbooks" / "maintenance" / "sample.yml").write_bytes(b"\xff\xfe\x00")
    assert any("cannot be read: not UTF-8" in line for line in content.complaints())


def test_no_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(tmp_path))
    with pytest.raises(BadInput, match="is no project"):
        catalog.load()
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "roles").mkdir()
    assert catalog.load().own == [] and catalog.load().ids == catalog.load(places.shipped()).ids


@given(st.text(max_size=300))
def test_any_text_as_metadata_is_read_or_refused(text: str) -> None:
    """Nothing but `InvalidFile` comes out, whatever the file holds."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        for data in (text, f"argument_specs: {{A: {{runbook: {text}}}}}"):
            path = Path(directory) / "x.meta.yml"
            path.write_bytes(data.encode("utf-8", "surrogatepass"))
            from pyrunbook.catalog.metadata import read_metadata

            for read in (read_metadata, read_playbook):
                try:
                    read(path)
                except InvalidFile as error:
                    assert all(problem.line >= 1 and problem.column >= 1 for problem in error.problems)


@given(st.sampled_from(METADATA.splitlines()), st.text(" ab:-{}[]#&*!|>'\"%@`,?0\n", max_size=8), st.integers(0, 60))
def test_metadata_with_one_spot_damaged_is_read_or_refused(line: str, noise: str, column: int) -> None:
    import tempfile

    from pyrunbook.catalog.metadata import read_metadata

    damaged = METADATA.replace(line, line[:column] + noise + line[column:], 1)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "x.meta.yml"
        path.write_text(damaged)
        try:
            _, spec = read_metadata(path)
        except InvalidFile as error:
            assert error.problems
        else:
            assert spec.runbook.schema == 1
            assert isinstance(spec.runbook.title, Text)


def test_schemas_agree_with_the_reader() -> None:
    import jsonschema

    from pyrunbook.catalog.schema import SCHEMAS

    sample = {
        "argument_specs": {
            "Sample": {
                "short_description": "x",
                "runbook": {
                    "schema": 1, "title": {"en": "S", "fr": "E"}, "owner": "@x", "updated": "2026-11-21",
                    "estimate": "30m", "window": {"spec": "always"},
                },
            }
        }
    }  # fmt: skip
    jsonschema.validate(sample, SCHEMAS["runbook"]())
    for wrong in ({"title": {"fr": "E"}}, {"estimate": 30}, {"estimate": ""}, {"extra": 1}, {"schema": 2}):
        broken = json.loads(json.dumps(sample))
        broken["argument_specs"]["Sample"]["runbook"] |= wrong
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMAS["runbook"]())
    jsonschema.validate({"schema": 1, "purpose": "x", "expected": "x", "undo_text": "x"}, SCHEMAS["step"]())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema": 1, "purpose": "x"}, SCHEMAS["step"]())


def test_the_catalog_is_cheap() -> None:
    """No database, no Ansible, no terminal library: `list` has 0.3 s for everything."""
    code = """
import sys
from pyrunbook import catalog
found = catalog.load()
assert list(found)
bad = {"sqlalchemy", "alembic", "ansible", "rich", "icalendar", "lightkube"} & set(sys.modules)
print(sorted(bad))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stdout + done.stderr


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a:\n  \t- b\n", "a:\n  b: 1\n\tc: 2\n"])
def test_a_tab_is_called_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yml").write_text(text)
    for problems in (document.read_leniently(tmp_path / "x.yml").problems, _problems_of(tmp_path / "x.yml")):
        assert problems[0].message.endswith("a tab stands here, and YAML is indented with blanks")


def _problems_of(file: Path) -> list[Problem]:
    with pytest.raises(InvalidFile) as raised:
        document.read(file)
    return list(raised.value.problems)


@pytest.mark.parametrize(
    ("guard", "line"),
    [
        ("import_role: {name: preflight}\n      tags: [always]", 6),
        ("import_role: {name: rollback}\n          tags: [always]", 29),
        ("import_role: {name: conclude}\n          tags: [always]", 33),
    ],
)
def test_a_guard_that_lost_always_is_a_mistake_of_the_playbook(tmp_path: Path, guard: str, line: int) -> None:
    """Pages, lint and runs all read it: a run of one step would go without its guard."""
    assert guard in PLAYBOOK
    (tmp_path / "book.yml").write_text(PLAYBOOK.replace(guard, guard.replace("always", "sometimes")))
    with pytest.raises(InvalidFile, match=f":{line}:1: .* needs the tag always"):
        read_playbook(tmp_path / "book.yml")


PLAIN = """\
- hosts: web
  gather_facts: false
  roles:
    - {role: common, tags: [base]}
  tasks:
    - name: Write {{ what }}
      copy: {dest: /x, content: ""}
    - command: "true"
      tags: [always, now]
    - meta: flush_handlers
    - name: Several things
      block:
        - {name: One, ping: }
    - name: Try it
      block:
        - {name: Try, ping: }
      rescue:
        - {name: Mend, ping: }
- import_playbook: other.yml
"""


def test_a_plain_playbook_needs_nothing_of_ours(content: Content) -> None:
    """Its steps are its named blocks and tasks, and the roles that it applies, by the rule of the callback."""
    content.write("maintenance/sample")
    file = content.root / "playbooks/maintenance/restart_web.yml"
    file.write_text(PLAIN)
    file.with_name("other.yml").write_text("- hosts: db\n  tasks:\n    - {name: After, ping: }\n")
    runbook = content.load().get("maintenance/restart_web")
    assert runbook.plain
    assert not runbook.described
    assert (str(runbook.metadata.title), runbook.metadata.owner, runbook.metadata.undone_by) == ("Restart web", "", "")
    assert (runbook.hosts, runbook.metadata.window.spec) == ("web,db", "always")
    assert [(step.id, step.title, step.role, str(step.phase)) for step in runbook.steps()] == [
        ("base", "common", "common", "procedure"),
        ("write", "Write {{ what }}", "", "procedure"),
        ("now", "command", "", "procedure"),
        ("several_things", "Several things", "", "procedure"),
        ("try", "Try", "", "procedure"),
        ("mend", "Mend", "", "rollback"),
        ("after", "After", "", "procedure"),
    ]
    assert content.load().get(str(file)).id == "maintenance/restart_web", "by its path, too"
    assert not content.load().get("maintenance/sample").plain


def test_a_playbook_outside_of_the_catalog_has_its_path_for_an_id(
    content: Content, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("elsewhere") / "site.yaml"
    file.write_text(PLAIN)
    assert content.load().get(str(file)).id == str(file)
    own = content.root / "site.yml"
    own.write_text(PLAIN)
    assert content.load().get(str(own)).id == content.load().get("site").id == "site", "anywhere in the project"
    file.write_text("what: ever\n")
    with pytest.raises(InvalidFile, match="a playbook is a list of plays"):
        content.load().get(str(file))


def test_a_runbook_of_a_category_is_found_without_a_look_through_the_whole_project(
    content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyrunbook.catalog.catalog.find_playbooks", lambda project: pytest.fail("it was searched"))
    assert content.load().get("maintenance/production_update").path.is_relative_to(places.shipped())


def test_a_playbook_at_the_top_of_a_project_may_have_the_id_of_a_shipped_one(content: Content) -> None:
    own = content.root / "maintenance" / "production_update.yml"
    own.parent.mkdir()
    own.write_text(PLAIN)
    assert content.load().get("maintenance/production_update").path == own
    assert content.load().replacing == ["maintenance/production_update"]
