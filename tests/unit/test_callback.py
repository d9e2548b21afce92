"""The journal callback in real plays of small roles: steps, services, outcomes, and what breaks."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pyrunbook import run_contract
from pyrunbook.journal import Journal, Run
from pyrunbook.plugins import step_progress
from pyrunbook.plugins.callback import pyrunbook_journal as callback
from pyrunbook.redaction import MASK
from pyrunbook.rollout.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = str(Path(sys.executable).parent / "ansible-playbook")
INVENTORY = {
    "services": {
        "hosts": {"web": None, "shop": None},
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "service_platform": "host",
        },
    }
}


@dataclass
class Played:
    """What a play left: its exit code and output, its events, and its run in the journal."""

    code: int
    out: str
    events: list[dict[str, Any]]
    runs: list[Run]
    names: list[str] = field(default_factory=list)

    @property
    def run(self) -> Run:
        (run,) = self.runs
        return run

    def steps(self, service: str = "web") -> list[tuple[str, str, str | None]]:
        found = self.run.service(service)
        assert found is not None
        return [(step.step, step.title, str(step.outcome) if step.outcome else None) for step in found.steps]


Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Play a playbook with roles of one task file each."""
    roles = {
        "talk": """
            - name: Say it
              ansible.builtin.debug: {msg: "{{ words | default('hello') }}"}
        """,
        "record": """
            - name: Record a plan
              rollback_plan_stand_in: {}
        """,
        "break": """
            - name: Say it first
              ansible.builtin.debug: {msg: before}
            - name: Break
              ansible.builtin.fail: {msg: "{{ inventory_hostname }} is broken\\nNext: mend it"}
              when: inventory_hostname in (broken | default(['web', 'shop']))
        """,
        "preflight": """
            - name: Refuse
              ansible.builtin.fail: {msg: the window is closed}
              when: refuse | default(false)
        """,
        "outer": """
            - name: Use another role
              ansible.builtin.include_role: {name: talk}
        """,
    }
    for name, tasks in roles.items():
        (tmp_path / "roles" / name / "tasks").mkdir(parents=True)
        (tmp_path / "roles" / name / "tasks" / "main.yml").write_text(textwrap.dedent(tasks))
    # What `record` does, without a service: the result is all that the callback looks at.
    actions = tmp_path / "actions"
    actions.mkdir()
    (actions / "rollback_plan_stand_in.py").write_text(
        "from ansible.plugins.action import ActionBase\n"
        "class ActionModule(ActionBase):\n"
        "    def run(self, tmp=None, task_vars=None):\n"
        "        return {'changed': True, 'detail': 'plan recorded', 'plan': {'id': 'p', 'checksum': 'c'},\n"
        "                'evidence': {'db_password': 'hunter2!', 'files': 3}}\n"
    )
    (actions / "change_it.py").write_text(
        "from pyrunbook.plugins.step_action import StepAction\n"
        "class ActionModule(StepAction):\n"
        "    def act(self, arguments, task_vars):\n"
        "        return {'changed': True}\n"
    )
    (tmp_path / "hosts.json").write_text(json.dumps(INVENTORY))

    def play(text: str, *options: str, code: int | None = 0, **environment: str) -> Played:
        (tmp_path / "book.yml").write_text(textwrap.dedent(text))
        events = tmp_path / "events"
        events.write_text("")
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYRUNBOOK_", "ANSIBLE_"))},
            "PYRUNBOOK_HOME": str(tmp_path / "home"),
            "PYRUNBOOK_EVENTS": str(events),
            "PYRUNBOOK_OPERATOR": "ada",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_ROLES_PATH": str(tmp_path / "roles"),
            "ANSIBLE_ACTION_PLUGINS": str(actions),
            **environment,
        }
        argv = [ANSIBLE, str(tmp_path / "book.yml"), "-i", str(tmp_path / "hosts.json"), *options]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
        out = done.stdout + done.stderr
        assert code is None or done.returncode == code, out
        runs = []
        if (tmp_path / "home/journal.db").exists():
            with Journal.open(f"sqlite:///{tmp_path}/home/journal.db") as journal:
                runs = [journal.get(run.id) for run in journal.history(None)]
        told = [json.loads(line) for line in events.read_text().splitlines()]
        assert all(event.items() <= run_contract.checked(event).items() for event in told)
        return Played(done.returncode, out, told, runs)

    return play


HEAD = """
    - name: Update
      hosts: services
      gather_facts: false
      serial: {serial}
      vars: {{runbook_id: maintenance/production_update, color: green}}
      tasks:
"""


def test_steps_begin_and_end_where_the_playbook_imports_a_role(play: Play) -> None:
    played = play(
        HEAD.format(serial=2)
        + """
        - name: A task of the playbook itself
          ansible.builtin.debug: {msg: no step}
        - name: Deploy to {{ color }}
          ansible.builtin.import_role: {name: record}
          tags: [deploy_green]
        - name: Say {{ no_such_variable }}
          ansible.builtin.include_role: {name: outer}
          tags: [always, say]
        - ansible.builtin.import_role: {name: talk}
        - name: Drain it
          ansible.builtin.import_role: {name: talk}
          tags: [drain_first]
          when: false
        - name: Try, and mend
          block:
            - name: Break it
              ansible.builtin.import_role: {name: break}
              tags: [break_it]
              vars: {broken: [web]}
          rescue:
            - name: Put back what was there
              ansible.builtin.import_role: {name: talk}
              tags: [rollback]
    """,
        "-e",
        '{"api_token": "hunter2!"}',
    )
    assert played.steps() == [
        ("deploy_green", "Deploy to green", "changed"),
        ("say", "Say {{ no_such_variable }}", "ok"),
        ("talk", "talk", "ok"),
        ("drain_first", "Drain it", "skipped"),
        ("break_it", "Break it", "failed"),
        ("rollback", "Put back what was there", "ok"),
    ]
    assert played.steps("shop")[-1] == ("break_it", "Break it", "ok")
    run = played.run
    assert (run.operator, run.mode, run.attempt, run.runbook) == ("ada", "run", 1, "maintenance/production_update")
    assert run.inputs == {"api_token": "[redacted]"}
    web = run.service("web")
    assert web is not None
    assert (web.plan_id, web.plan_checksum, web.changed) == ("p", "c", True)
    assert web.steps[0].detail == "plan recorded"
    assert web.steps[4].error == "web is broken\nNext: mend it"
    assert [(entry.step, entry.value) for entry in web.evidence] == [
        ("deploy_green", {"db_password": "[redacted]", "files": 3})
    ]
    # Changed and not concluded: what is to happen is decided outside the play.
    assert (run.ended, run.outcome, web.outcome) == (None, None, None)

    kinds = [event["event"] for event in played.events]
    assert (kinds[0], kinds.count("run_started"), kinds[-1]) == ("run_started", 1, "run_left")
    assert kinds.count("service_started") == 2
    assert {event["run"] for event in played.events} == {run.id}
    of_web = [event for event in played.events if event.get("service") == "web" and event["event"].startswith("step")]
    assert [event["event"] for event in of_web] == ["step_started", "step_ended"] * 6
    failed = next(event for event in of_web if event.get("outcome") == "failed")
    assert failed["error"] == "web is broken\nNext: mend it"
    assert "hunter2!" not in json.dumps(played.events)


KNOWN = """
    schema: 1
    purpose: x
    expected: x
    undo_text: x
    troubleshooting:
      - error: is broken
        cause: It was used.
        solution: Mend it.
        commands:
          - 'ls "{{ service_root }}/{{ inventory_hostname }}" {{ break_depth }}'
          - 'ask {{ service_colors[service_active_color].address }} as {{ sealed }}, {{ db_password }}, {{ asked }}'
          - '{{ service_start_command }} {{ no_such_filter | no_such_filter }}'
      - error: broken
        platform: kubernetes
        cause: Elsewhere.
        solution: x
"""


@pytest.fixture
def known(tmp_path: Path, play: Play) -> list[str]:  # which has made the role
    """Notes for the role that fails; options of a play with variables, one of them vaulted."""
    (tmp_path / "password").write_text("p")
    argv = [
        ANSIBLE.replace("-playbook", "-vault"),
        "encrypt_string",
        "--vault-password-file",
        str(tmp_path / "password"),
    ]
    sealed = subprocess.run(
        [*argv, "hunter2!", "--name", "sealed"],
        capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "ANSIBLE_HOME": str(tmp_path / "ansible")},
    ).stdout  # fmt: skip
    (tmp_path / "vars.yml").write_text(
        "service_root: '{{ base }}/shop'\nbase: /srv\ndb_password: hunter3!\nasked: 'as=hunter3!'\n"
        "service_active_color: blue\n"
        "service_colors: {blue: {address: '127.0.0.1:1'}, green: {address: '127.0.0.1:2'}}\n" + sealed
    )
    role = tmp_path / "roles" / "break"
    for name, text in {"meta/step.yml": KNOWN, "defaults/main.yml": "break_depth: 3\n"}.items():
        (role / name).parent.mkdir(parents=True)
        (role / name).write_text(textwrap.dedent(text))
    return ["-e", f"@{tmp_path}/vars.yml", "--vault-password-file", str(tmp_path / "password")]


BROKEN = HEAD.format(serial=2) + "        - ansible.builtin.import_role: {name: break}\n"


def test_a_direct_play_names_the_services_of_later_batches(play: Play) -> None:
    played = play(BROKEN.replace("serial: 2", "serial: 1"), code=2, PYRUNBOOK_EVENTS="")
    assert "Not begun: shop. Once the cause is gone: the same command with --limit shop" in played.out


def test_a_known_error_comes_with_commands_for_this_service_and_without_secrets(play: Play, known: list[str]) -> None:
    played = play(BROKEN, *known, code=2)
    (told,) = next(event for event in played.events if event.get("step") == "break" and "known" in event)["known"]
    assert (told["cause"], told["solution"]) == ("It was used.", "Mend it.")
    look, ask, unfilled = told["commands"]
    assert look == 'ls "/srv/shop/web" 3'
    assert ask.startswith("ask 127.0.0.1:1 as [")
    assert "hunter" not in played.out + json.dumps(played.events)
    assert unfilled == "{{ service_start_command }} {{ no_such_filter | no_such_filter }}"
    assert "JOURNAL" not in played.out


def test_without_a_cli_a_known_error_is_printed(play: Play, known: list[str]) -> None:
    played = play(BROKEN, *known, "--limit", "shop", code=2, PYRUNBOOK_EVENTS="")
    assert 'Known: It was used. Mend it.\n  ls "/srv/shop/shop" 3\n' in played.out
    assert "hunter" not in played.out
    assert "Elsewhere" not in played.out


def test_notes_that_cannot_be_read_are_no_second_failure(play: Play, known: list[str], tmp_path: Path) -> None:
    (tmp_path / "roles/break/meta/step.yml").write_text("schema: 7\n")
    played = play(BROKEN, *known, code=2)
    assert "journal cannot be written" not in played.out
    assert [event["known"] for event in played.events if event.get("step") == "break" and "known" in event] == [[], []]


def test_a_batch_that_fails_keeps_the_later_ones_from_being_touched(play: Play) -> None:
    book = (
        HEAD.format(serial=1)
        + """
        - name: Check it
          ansible.builtin.import_role: {name: preflight}
        - name: Break it
          ansible.builtin.import_role: {name: break}
    """
    )
    played = play(book, code=2)
    assert [service.service for service in played.run.services] == ["web"]
    assert (played.run.outcome, played.run.cause) == ("failed", "web is broken\nNext: mend it")
    assert played.events[-1]["event"] == "run_ended"


def test_the_worst_outcome_of_all_services_is_the_runs(play: Play) -> None:
    book = (
        HEAD.format(serial=2)
        + """
        - name: Break it
          ansible.builtin.import_role: {name: break}
          vars: {broken: [shop]}
    """
    )
    played = play(book, code=2)
    assert [(s.service, s.outcome) for s in played.run.services] == [("web", "succeeded"), ("shop", "failed")]
    assert played.run.outcome == "failed"


@pytest.mark.parametrize(("options", "outcome"), [(("-e", "refuse=true"), "refused"), ((), "succeeded")])
def test_what_preflight_fails_is_a_refusal(play: Play, options: tuple[str, ...], outcome: str) -> None:
    book = (
        HEAD.format(serial=2)
        + """
        - name: Check it
          ansible.builtin.import_role: {name: preflight}
    """
    )
    played = play(book, *options, code=None)
    assert (played.code == 0) is (outcome == "succeeded")
    assert played.run.outcome == outcome
    assert played.events[-1]["outcome"] == outcome


GUARDED = (
    HEAD.format(serial=2)
    + """
        - name: Update, or put back what was there
          block:
            - name: Check that it may start
              ansible.builtin.import_role: {name: preflight}
              tags: [preflight, always]
            - name: Record a plan
              ansible.builtin.import_role: {name: record}
              tags: [deploy_green]
            - name: Verify it
              ansible.builtin.import_role: {name: talk}
              tags: [verify]
          rescue:
            - name: Put back what was there
              ansible.builtin.import_role: {name: talk}
              tags: [rollback, always]
"""
)


@pytest.mark.parametrize(
    ("lost", "options", "environment", "said"),
    [
        ("", (), {"ANSIBLE_SKIP_TAGS": "verify"}, "Steps would be left out (skip tags: verify)"),
        ("", ("--skip-tags", "verify"), {"ANSIBLE_CONFIG": "cfg"}, "Steps would be left out (skip tags: verify)"),
        ("", ("--skip-tags", "notest,verify"), {}, "Steps would be left out (skip tags: notest, verify)"),
        ("notest", ("--skip-tags", "notest"), {}, "Steps would be left out (skip tags: notest)"),
        ("", ("--start-at-task", "Verify it"), {}, "Steps would be left out (--start-at-task)"),
        ("", (), {"ANSIBLE_RUN_TAGS": "verifi"}, "This runbook has no step verifi"),
        ("preflight", ("--tags", "verify"), {}, "The guard preflight would be left out"),
        ("rollback", ("--tags", "verify"), {}, "The guard rollback would be left out"),
    ],
)
def test_a_run_that_would_leave_out_a_step_is_refused_before_its_first_task(
    play: Play, tmp_path: Path, lost: str, options: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    if environment.get("ANSIBLE_CONFIG"):
        config = (ROOT / "ansible.cfg").read_text().replace(" pyrunbook/", f" {ROOT}/pyrunbook/")
        (tmp_path / "ansible.cfg").write_text(config + "\n[tags]\nskip = verify\n")
        environment, options = {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}, ()
    book = GUARDED.replace(f"[{lost}, always]", f"[{lost}]") if lost else GUARDED
    book = book.replace("tags: [verify]", "tags: [verify, notest]") if lost == "notest" else book
    played = play(book, *options, code=2, **environment)
    assert said in played.out
    assert "Nothing was changed." in played.out
    run = played.run
    assert (run.outcome, run.finished, run.changed) == ("refused", True, False)
    assert said in (run.cause or "")
    assert [(part.outcome, part.steps) for part in run.services] == [("refused", [])] * 2
    assert "TASK" not in played.out


@pytest.mark.parametrize(("given", "near"), [("colour", "color"), ("service_platfrom", "service_platform")])
def test_an_input_that_nothing_reads_is_refused_with_the_nearest_name(play: Play, given: str, near: str) -> None:
    played = play(GUARDED, "-e", f"{given}=hi", code=2)
    assert f"uses the input {given}; did you mean {near}?\nNext: -e {near}=" in played.out
    assert (played.run.outcome, played.run.changed) == ("refused", False)
    assert "TASK" not in played.out


def test_a_question_that_nobody_can_answer_is_refused_before_the_first_task(play: Play) -> None:
    """Ansible would skip it, and go on as if somebody had said yes."""
    book = GUARDED + "        - name: Is it so?\n          ansible.builtin.pause: {prompt: really}\n"
    played = play(book, code=2)
    assert "The task 'Is it so?' waits for a key (pause)" in played.out
    assert played.run.outcome == "refused"
    assert "TASK" not in played.out


def test_some_steps_that_are_named_are_done_with_the_guards_and_told_as_a_part(play: Play, tmp_path: Path) -> None:
    # What Ansible puts before a role with argument specs is always selected, and makes no step of it.
    (tmp_path / "roles/record/meta").mkdir()
    (tmp_path / "roles/record/meta/argument_specs.yml").write_text("argument_specs: {main: {options: {}}}\n")
    played = play(GUARDED, "--tags", "verify", "-e", "words=hi", "-e", "broken=[] ansible_user=x shared_by_all=1")
    assert "uses the input shared_by_all\n" in played.out
    assert played.out.count("uses the input") == 1
    assert [step for step, _, _ in played.steps()] == ["preflight", "verify"]
    assert (played.run.outcome, played.run.only_steps, played.run.project) == ("succeeded", ["verify"], "")
    (tmp_path / ".pyrunbook.yml").touch()  # a direct play is one of the project that its playbook stands in
    # What molecule leaves out in every play is none of its steps.
    whole = play(GUARDED.replace("name: record", "name: talk"), "--skip-tags", "molecule-notest,notest").runs[0]
    assert (whole.outcome, whole.only_steps, whole.project) == ("succeeded", None, str(tmp_path))


def test_a_run_that_ends_before_its_steps_is_no_success(play: Play, tmp_path: Path) -> None:
    (tmp_path / "roles/talk/tasks/main.yml").write_text("- ansible.builtin.meta: end_play\n- ansible.builtin.debug:\n")
    early = GUARDED.replace("name: record", "name: talk", 1)
    played = play(early, code=2)
    assert played.run.outcome == "failed"
    assert "not done, and nothing says why: Record a plan, Verify it" in (played.run.cause or "")


def test_a_play_that_would_be_recorded_elsewhere_than_its_command_looks_does_not_begin(
    play: Play, tmp_path: Path
) -> None:
    used = {"content": str(ROOT), "state": str(tmp_path / "home"), "journal": f"sqlite:///{tmp_path}/home/journal.db"}
    assert play(GUARDED, "--tags", "verify", PYRUNBOOK_PLACES=json.dumps(used)).run.outcome == "succeeded"
    used["journal"] = "sqlite:////elsewhere/journal.db"
    played = play(GUARDED, code=2, PYRUNBOOK_PLACES=json.dumps(used))
    assert "sqlite:////elsewhere/journal.db, and here sqlite:///" in played.out
    assert "TASK" not in played.out
    assert len(played.runs) == 1


def test_a_play_without_a_runbook_is_left_alone(play: Play) -> None:
    played = play("- hosts: services\n  gather_facts: false\n  roles: [talk]\n")
    assert not played.runs
    assert not played.events


@pytest.mark.parametrize("hosts", ["services", "localhost"])
def test_a_later_play_without_a_runbook_does_not_end_the_run_of_services(play: Play, hosts: str) -> None:
    later = f"""
    - hosts: {hosts}
      gather_facts: false
      tasks:
        - name: A task of another play
          ansible.builtin.debug: {{msg: no step}}
        - ansible.builtin.import_role: {{name: talk}}
"""
    played = play(HEAD.format(serial=2) + "        - ansible.builtin.import_role: {name: record}\n" + later)
    assert "JOURNAL" not in played.out
    assert "journal cannot be written" not in played.out
    assert played.run.service("localhost") is None
    assert [title for _, title, _ in played.steps()] == ["record", "talk"][: 1 + (hosts == "services")]
    # Changed, and no step of it has concluded.
    assert (played.run.ended, played.run.outcome) == (None, None)
    assert [(part.changed, part.outcome) for part in played.run.services] == [(True, None)] * 2


def test_a_play_whose_group_is_empty_leaves_no_open_run(play: Play) -> None:
    book = HEAD.format(serial=1).replace("hosts: services", "hosts: services:!services") + "        - debug:\n"
    played = play(book, code=None)
    assert (played.run.outcome, played.run.cause) == ("failed", "no host matched")


def test_a_run_that_cannot_be_recorded_changes_nothing(play: Play, tmp_path: Path) -> None:
    book = (
        HEAD.format(serial=1)
        + """
        - name: Change it
          change_it: {}
    """
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "home/journal.db").write_text("no database")
    env = {"PYRUNBOOK_HOME": str(tmp_path / "elsewhere"), "PYRUNBOOK_JOURNAL": f"sqlite:///{tmp_path}/home/journal.db"}
    (tmp_path / "home/journal.db").rename(tmp_path / "home/broken.db")
    env["PYRUNBOOK_JOURNAL"] = f"sqlite:///{tmp_path}/home/broken.db"
    played = play(book, code=2, **env)
    assert "What cannot be recorded is not begun" in played.out
    assert "TASK" not in played.out
    assert not played.runs


def test_a_run_that_has_ended_is_not_taken_up_by_its_id(play: Play) -> None:
    book = (
        HEAD.format(serial=2)
        + """
        - name: Change it
          change_it: {}
    """
    )
    first = play(book, PYRUNBOOK_RUN_ID="0000beef")
    assert first.run.id == "0000beef"
    second = play(book, code=2, PYRUNBOOK_RUN_ID="0000beef")
    assert "has already ended" in second.out
    assert second.run.attempt == 1


def test_preflight_refuses_a_play_that_does_not_write_the_journal(play: Play, tmp_path: Path) -> None:
    (tmp_path / "roles/guard/tasks").mkdir(parents=True)
    (tmp_path / "roles/guard/tasks/main.yml").write_text("- pyrunbook.core.preflight:\n")
    (tmp_path / "roles/guard/meta").symlink_to(ROOT / "roles/preflight/meta")
    book = (
        HEAD.format(serial=2)
        + """
        - name: Check it
          ansible.builtin.import_role: {name: guard}
          vars:
            preflight_runbook: "{{ runbook_id }}"
            preflight_window: always
            preflight_attested: [oncall_available, staging_validated]
            preflight_exclusive: false
            preflight_colors: false
            preflight_deploys: false
            preflight_recovery: false
    """
    )
    assert play(book).run.outcome == "succeeded"
    # As under the CLI: the run has an id. But somebody's environment enables other callbacks only.
    silent = play(book, code=2, PYRUNBOOK_RUN_ID="0000beef", ANSIBLE_CALLBACKS_ENABLED="ansible.builtin.timer")
    assert "This play does not write the journal" in silent.out
    assert len(silent.runs) == 1
    unset = play(book, code=2, ANSIBLE_CALLBACKS_ENABLED="ansible.builtin.timer")
    assert "pyrunbook_journal is not enabled" in unset.out


def test_a_play_ends_when_its_cli_is_gone(play: Play) -> None:
    book = HEAD.format(serial=1) + "        - debug:\n"
    played = play(book, code=1, PYRUNBOOK_CLI_PID="1")
    assert not played.runs


# --- without a play --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (RuntimeError("first\nsecond"), "first"),
        (AssertionError(), "AssertionError"),
        (RuntimeError("\n"), "RuntimeError"),
    ],
)
def test_a_callback_that_fails_stops_every_change(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRUNBOOK_JOURNAL_BROKEN", "")

    class Probe(callback.CallbackModule):
        @callback.recording
        def v2_runner_on_ok(self, result: Any) -> None:
            raise error

    Probe().v2_runner_on_ok(None)
    assert os.environ["PYRUNBOOK_JOURNAL_BROKEN"] == said


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"msg": " it failed \n"}, "it failed"),
        ({"stderr": "no such file"}, "no such file"),
        ({"stdout": "out"}, "out"),
        ({}, "failed without a message"),
        ({"msg": "hunter2", "_ansible_no_log": True}, "failed; the output is hidden (no_log)"),
        (
            {"msg": "One or more…", "results": [{"failed": True, "msg": "a"}, {"msg": "fine"}, {"failed": 1}]},
            "a\nfailed without a message",
        ),
        ({"msg": "Validation of arguments failed:\nx is missing"}, "Validation of arguments failed: x is missing"),
    ],
)  # fmt: skip
def test_the_words_of_a_failure(result: dict[str, Any], said: str) -> None:
    assert step_progress.message(result) == said


def test_what_a_hook_starts_does_not_die_with_the_play(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(callback, "die_with", ended.append)
    monkeypatch.setenv(run_contract.ENV_CLI_PID, str(os.getppid()))
    callback.CallbackModule()
    assert ended == [os.getppid()]
    assert run_contract.ENV_CLI_PID not in os.environ


# --- secrets ---------------------------------------------------------------------------------------------------------

SYSLOG = """
import os, syslog
def told(*words):
    with open(os.environ["SYSLOG_TOLD"], "a") as stream:
        stream.write(f"{words}\\n")
syslog.syslog = told
"""


@pytest.mark.parametrize("configured", [True, False], ids=["shipped configuration", "another configuration"])
def test_modules_write_no_arguments_to_the_syslog_of_their_machine(
    play: Play, tmp_path: Path, configured: bool
) -> None:
    """Neither where the shipped ansible.cfg is read, also without the callback, nor with another one under it."""
    (tmp_path / "sitecustomize.py").write_text(SYSLOG)
    told = tmp_path / "syslog"
    told.touch()
    environment = {"PYTHONPATH": str(tmp_path), "SYSLOG_TOLD": str(told)}
    module = """
        - hosts: web
          gather_facts: false
          VARS
          tasks:
            - ansible.builtin.command: {argv: [echo, canary]}
    """
    if configured:
        play(module.replace("VARS", ""), "-v", ANSIBLE_LOAD_CALLBACK_PLUGINS="false", **environment)
    else:
        (tmp_path / "ansible.cfg").write_text("[defaults]\n")
        play(
            module.replace("VARS", "vars: {runbook_id: maintenance/production_update}"),
            ANSIBLE_CONFIG=str(tmp_path / "ansible.cfg"),
            ANSIBLE_CALLBACKS_ENABLED="pyrunbook.core.pyrunbook_journal",
            **environment,
        )
    assert "canary" not in told.read_text()


# What `validate` does, without a service.
PERFORM = """
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout import verification
class ActionModule(StepAction):
    ARGUMENTS = {"url": {"type": "str"}, "checks": {"type": "list"}, "hooks": {"type": "list", "default": []}}
    CHANGES = False
    def act(self, arguments, task_vars):
        work = verification.read(arguments["checks"], arguments["hooks"])
        return {"changed": False, **verification.verify(work, arguments["url"], {}, self.secrets)}
"""
HOOK = """
import base64, os, sys
from urllib.parse import quote
print(os.environ["SIGNING_KEY"])
for value in (os.environ["DEPLOY_TOKEN"], *sys.argv[2:]):
    print("plain", value, "coded", base64.b64encode(f"user:{value}".encode()).decode(), quote(value, safe=""))
print("y" * 190 + os.environ["DEPLOY_TOKEN"])
sys.exit(1)
"""
KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *[secrets.token_hex(31)] * 30, "-----END PRIVATE KEY-----"])


class Echo(BaseHTTPRequestHandler):
    """Says in its answer what it was asked."""

    def do_GET(self) -> None:
        answer = json.dumps({"asked": f"{self.path} {self.headers['X-Api-Key']}"}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


def test_secrets_of_an_inventory_are_written_and_shown_nowhere(play: Play, tmp_path: Path) -> None:
    """Vaulted, under a secret name, of an option, a URL, a role; encoded, cut, echoed, in a program's output."""
    names = ("vaulted", "named", "templated", "option", "url", "query", "header", "token", "role")
    planted = {name: f"{name[:3]}+/{secrets.token_urlsafe(15)}" for name in names}
    (tmp_path / "password").write_text("of the vault")
    vault = str(Path(ANSIBLE).with_name("ansible-vault"))
    with_password = ["--vault-password-file", str(tmp_path / "password")]
    coded = subprocess.run(
        [vault, "encrypt_string", *with_password, planted["vaulted"]], capture_output=True, text=True, check=True
    )
    (tmp_path / "hook.py").write_text(HOOK)
    (tmp_path / "actions/perform.py").write_text(PERFORM)
    for role, task in {
        "look": {"ignore_errors": True, "perform": {"url": "{{ echo }}", "checks": ["{{ look }}"]}},
        "hook": {"perform": {"url": "{{ echo }}", "checks": [], "hooks": ["{{ hook }}"]}},
    }.items():
        (tmp_path / "roles" / role / "tasks").mkdir(parents=True)
        (tmp_path / "roles" / role / "tasks/main.yml").write_text(json.dumps([{"name": "Check", **task}]))
    (tmp_path / "roles/talk/vars").mkdir()
    (tmp_path / "roles/talk/vars/main.yml").write_text(f"talk_password: {planted['role']}\n")
    (tmp_path / "group_vars").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    values = {
        "db_password": planted["named"],
        "words": "{{ from_vault }} {{ db_password }} {{ api_token }} {{ talk_password }} kept in {{ password_file }}",
        "half": planted["templated"][:12],
        "api_token": "{{ half }}" + planted["templated"][12:],
        "address": f"https://me:{planted['url']}@127.0.0.1:1/x",
        "password_file": "/etc/pyrunbook/password",
        "echo": f"http://127.0.0.1:{server.server_port}",
        "look": {
            "path": f"/x?key={planted['query']}",
            "headers": {"X-Api-Key": planted["header"]},
            "json": {"asked": "no"},
        },
        "hook": {
            "name": "own check",
            "argv": [sys.executable, str(tmp_path / "hook.py"), "--token", planted["option"], "{{ from_vault }}"],
            "environment": {"DEPLOY_TOKEN": planted["token"], "SIGNING_KEY": KEY},
        },
    }
    text = "\n".join(f"{name}: {json.dumps(value)}" for name, value in values.items())
    (tmp_path / "group_vars/services.yml").write_text(f"from_vault: {coded.stdout}\n{text}\n")
    roles = [{"ansible.builtin.import_role": {"name": name}} for name in ("talk", "look", "hook")]
    book = {"hosts": "web", "gather_facts": False, "vars": {"runbook_id": "a/b"}, "tasks": roles}
    log = tmp_path / "log"
    played = play(json.dumps([book]), "-vvv", *with_password, code=2, ANSIBLE_LOG_PATH=str(log))
    server.shutdown()
    found = played.run.service("web")
    assert found is not None and "own check (fail): " in str(found.cause) and "yyy" in str(found.cause), (
        "the hook was run to its end"
    )
    assert f"answered asked /x?key={MASK}" in played.out, "and so was the check"
    assert "/etc/pyrunbook/password" in played.out, "where a secret is may be told"
    written = [played.out, log.read_text(), json.dumps(played.events), (tmp_path / "home/journal.db").read_bytes()]
    everything = b"\n".join(each if isinstance(each, bytes) else each.encode() for each in written)
    for name, secret in [*planted.items(), ("a line of the key", KEY.splitlines()[1])]:
        for form in (secret, quote(secret, safe=""), base64.b64encode(f"user:{secret}".encode()).decode()[8:-4]):
            assert form.encode() not in everything, name


def test_a_plan_refers_to_the_secrets_of_checks_and_a_rollback_takes_them_from_the_inventory(
    play: Play, tmp_path: Path
) -> None:
    """Whether or not they can be had: a check that cannot be completed is told, and no other is left out."""
    canary = f"can+/{secrets.token_urlsafe(15)}"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    for role in ("rollback_plan", "rollback"):
        shutil.copytree(ROOT / "roles" / role, tmp_path / "roles" / role)
        tasks = tmp_path / "roles" / role / "tasks/main.yml"
        tasks.write_text(tasks.read_text().replace(f"pyrunbook.core.{role}:", f"{role}:"))
        # The machine of the service: it answers that all was done, and shows what it was given.
        (tmp_path / "actions" / f"{role}.py").write_text(
            f"from pyrunbook.plugins.action import {role}\n"
            f"class ActionModule({role}.ActionModule):\n"
            "    def on_target(self, name, arguments, task_vars):\n"
            "        return {'changed': True, 'detail': str(arguments), 'evidence': {name: arguments}}\n"
        )
    (tmp_path / "group_vars").mkdir()
    checks = [
        {
            "name": "asked",
            "path": f"/x?of={canary}",
            "headers": {"X-Api-Key": "{{ api_key }}"},
            "contains": f"{canary} {canary}",
        },
        {"name": "plain", "path": "/y"},
    ]

    color = {"url": url, "address": "127.0.0.1:1", "unit": "web"}
    service = {
        "service_url": url, "service_root": str(tmp_path / "web"), "service_manager": "systemd",
        "service_maintenance_address": "127.0.0.1:2", "service_active_color": "blue", "service_preview_color": "green",
        "service_colors": {"blue": color, "green": {"url": url, "address": "127.0.0.1:3", "unit": "web-green"}},
        "service_state": {
            "active": "blue",
            "colors": {"blue": {"release": "1", "running": True}, "green": {"release": None, "running": False}},
        },
        "rollback_plan_id": "7f3a0001", "rollback_keeps": False,
    }  # fmt: skip

    def book(role: str) -> str:
        task = {"ansible.builtin.import_role": {"name": role}}
        return json.dumps([{"hosts": "web", "gather_facts": False, "vars": {"runbook_id": "a/b"}, "tasks": [task]}])

    inventory = tmp_path / "group_vars/services.yml"
    values = {
        **service,
        "api_key": canary,
        "service_ready_check": {"path": f"/r?of={canary}"},
        "service_checks": checks,
    }
    inventory.write_text(json.dumps(values))
    noted = play(book("rollback_plan"), "-v")
    first = tmp_path / f"home/plans/{noted.run.id}/web.json"
    assert canary not in first.read_text() + noted.out
    assert json.loads(first.read_text())["plan"]["host"]["ready"]["url"] == f"{url}/r"
    plan = tmp_path / "home/plans/7f3a0001/web.json"
    plan.parent.mkdir()
    plan.write_text(Plan(**json.loads(first.read_text())["plan"] | {"id": "7f3a0001"}).sealed())
    back = play(book("rollback"), "-v")
    details = [step.detail for run in back.runs for service in run.services for step in service.steps]
    assert any("2 checks passed" in detail for detail in details), details
    assert canary not in back.out + json.dumps(back.events)
    assert f"/r?of={MASK}" in back.out, "the machine was given the query of the inventory"

    inventory.write_text(json.dumps({**values, "api_key": "{{ nobody_knows }}", "service_ready_check": {"path": "/r"}}))
    back = play(book("rollback"))
    details = [step.detail for run in back.runs for service in run.services for step in service.steps]
    assert any("1 of 1 good answers" in one and "; not performed: asked (" in one for one in details), details
    assert any("the ready check is made without its query" in one for one in details), details

    only = json.loads(plan.read_text())["plan"] | {"verify": json.loads(plan.read_text())["plan"]["verify"][:1]}
    plan.write_text(Plan(**only).sealed())
    back = play(book("rollback"), code=2)
    assert "No check can be performed, so nothing can be said to be good; not performed: asked (" in back.out
    server.shutdown()
