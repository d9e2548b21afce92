"""Any playbook under `pyrunbook run`: nothing of it is ours, its hosts and groups are its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from operation import gone, kill_ansible, report, runs, started, until_step
from sandbox_under_test import Sandbox

pytestmark = pytest.mark.integration

HOSTS = f"[web]\nw1\nw2\n[all:vars]\nansible_connection=local\nansible_python_interpreter={sys.executable}\n"
OLD = """
- name: Restart the web servers
  hosts: web
  gather_facts: false
  vars_prompt:
    - {name: version, prompt: Which version, private: false}
  tasks:
    - name: Say what is coming
      debug: msg="version {{ version }} for {{ inventory_hostname }}, password {{ db_password }}"

    - name: Write the version
      copy: {dest: "{{ directory }}/{{ inventory_hostname }}", content: "{{ version }}", mode: "0600"}
      notify: Restart it

    - name: Wait for the others
      block:
        - wait_for: {timeout: "{{ seconds | default(0) | int }}"}
        - name: Look whether it is good
          command: test {{ inventory_hostname }} != {{ broken | default('none') }}
          changed_when: false

    - name: Clean up {{ inventory_hostname }}
      block:
        - name: Try to clean up
          fail: {msg: there is nothing to clean up}
      rescue:
        - name: Leave it
          debug: {msg: left}

    - fail: {msg: nobody listens}
      ignore_errors: true
  handlers:
    - name: Restart it
      copy: {dest: "{{ directory }}/{{ inventory_hostname }}.restarted", content: "", mode: "0600"}
"""
SECRET = "hunter2-and-more"


class Team(Sandbox):
    """A directory with a playbook and an inventory of somebody who has never heard of pyrunbook."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "home", directory / "srv")
        self.directory.mkdir()
        self.playbook, self.inventory = directory / "site.yml", directory / "hosts.ini"
        self.playbook.write_text(OLD)
        self.inventory.write_text(HOSTS)
        self.args = ("run", str(self.playbook), "-i", str(self.inventory), "-e", f"db_password={SECRET}")
        self.args += ("-e", f"directory={self.directory}")

    def play(self, *more: str, code: int = 0, version: str = "1") -> str:
        done = self.run(*self.args, "-e", f"version={version}", *more)
        assert done.returncode == code, f"exit {done.returncode}, wanted {code}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @property
    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.directory.iterdir()}

    def steps(self, host: str = "w1") -> list[tuple[str, str]]:
        (part,) = (part for part in report(self)["services"] if part["service"] == host)
        return [(step["title"], step["outcome"]) for step in part["steps"]]


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path)


def test_its_tasks_are_shown_and_recorded_and_its_secrets_are_not(team: Team, tmp_path: Path) -> None:
    told = team.play()
    assert team.files == {"w1": "1", "w2": "1", "w1.restarted": "", "w2.restarted": ""}
    assert team.steps() == [
        ("Say what is coming", "ok"), ("Write the version", "changed"), ("Wait for the others", "ok"),
        ("Try to clean up", "failed"), ("Leave it", "ok"), ("fail", "ok"), ("Restart it", "changed"),
    ]  # fmt: skip
    assert "Site · w1, w2 on hosts.ini · run " in told
    assert "✓ w1: Write the version" in told
    assert "failed, and ignored: nobody listens" in told
    assert "w1: what failed was rescued" in told
    assert told.rstrip().splitlines()[-1].startswith("Succeeded in ")
    run = report(team)
    assert (run["outcome"], run["runbook"]) == ("succeeded", str(team.playbook))
    assert run["next_step"] is None, "there is no way back to offer"
    kept = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert "version 1 for w1, password [redacted]" in told
    assert SECRET not in told
    assert SECRET.encode() not in kept
    page = team.ask("report")
    assert "## w1\n" in page
    assert "no way back" in page
    # Once more: nothing is changed, and a failure then leaves nothing.
    told = team.play("-e", "broken=w2", code=4)
    assert "Failed (exit 4) before anything was changed." in told
    assert "Cause: exit code 1" in told
    assert [(part["changed"], part["outcome"]) for part in report(team)["services"]] == [
        (False, "succeeded"),
        (False, "failed"),
    ]


def test_what_failed_after_a_change_is_told_with_what_it_left(team: Team) -> None:
    told = team.play("-e", "broken=w2", code=5)
    assert "FAILED AND LEFT AS IT IS (exit 5)" in told
    assert "Changed: w1: Write the version, Restart it" in told, "the others go on"
    assert "Changed: w2: Write the version\n" in told
    run = report(team)
    assert run["outcome"] == "left_changed"
    assert {part["service"]: part["outcome"] for part in run["services"]} == dict.fromkeys(("w1", "w2"), "left_changed")
    assert "nothing puts back" in team.ask("report")
    assert team.ask("recover").startswith("No run is unfinished")
    # Its next run is no other's business.
    team.play()


def test_what_cannot_be_recorded_is_not_begun(team: Team, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home/journal.db").write_text("no database")
    assert "is damaged" in team.play(code=3)
    assert team.files == {}


def test_check_limit_and_tags_are_ansibles(team: Team) -> None:
    told = team.play("--check", "--limit", "w2")
    assert "nothing is changed" in told
    assert team.files == {}
    assert [(part["service"], part["changed"]) for part in report(team)["services"]] == [("w2", False)]
    told = team.play("--tags", "nosuch", code=2)  # no task has a tag
    assert "No task of this playbook has the tag 'nosuch'" in told
    assert report(team)["outcome"] == "refused"
    team.playbook.write_text(OLD.replace("      notify: Restart it\n", "      tags: [write]\n"))
    team.play("--tags", "write", version="2")
    assert [title for title, _ in team.steps()] == ["Write the version"]
    assert "there is: write" in team.play("--step", "wriet", code=2)
    assert "No host matched" in team.play("--limit", "w3", code=2)


def test_a_question_is_asked_before_anything_begins(team: Team) -> None:
    done = team.run(*team.args)
    assert done.returncode == 2
    assert "asks for version" in done.stderr
    assert runs(team) == []


def test_a_host_that_was_never_reached_was_not_changed(team: Team) -> None:
    """And the others go on."""
    away = "w2 ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1 ansible_ssh_retries=0"
    team.inventory.write_text(HOSTS.replace("w2", away))
    team.playbook.write_text(OLD.replace("gather_facts: false", "gather_facts: false\n  ignore_unreachable: false"))
    assert "Changed: w1: Write the version" in team.play(code=5)
    assert "w2" in team.play("--limit", "w2", code=2, version="3")
    assert team.files["w1"] == "1"


PLAYS = """
- hosts: db
  gather_facts: false
  tasks:
    - name: Change the schema
      copy: {dest: "{{ directory }}/{{ inventory_hostname }}", content: new, mode: "0600"}
- import_playbook: second.yml
"""
SECOND = """
- hosts: web
  gather_facts: false
  roles: [old]
  tasks:
    - include_tasks: more.yml
"""


def test_plays_roles_and_includes(team: Team) -> None:
    """A play that fails after another one has changed something: that is told, and it is known of which host."""
    here = team.playbook.parent
    team.playbook.write_text(PLAYS)
    (here / "second.yml").write_text(SECOND)
    (here / "more.yml").write_text("- name: Fail if asked\n  fail: {msg: asked}\n  when: broken is defined\n")
    (here / "roles/old/tasks").mkdir(parents=True)
    (here / "roles/old/tasks/main.yml").write_text("- ping:\n- name: inner\n  debug: {msg: done}\n")
    team.inventory.write_text(HOSTS + "[db]\nd1\n")
    team.play()
    assert team.steps("d1") == [("Change the schema", "changed")]
    assert team.steps() == [("old", "ok"), ("Fail if asked", "skipped")]
    (team.directory / "d1").unlink()
    told = team.play("-e", "broken=yes", code=5)
    assert "Changed: d1: Change the schema" in told
    assert "Changed: w1" not in told


def ended_in_the_middle(team: Team, process: str, *more: str) -> tuple[str, int]:
    """End a run while it waits, by one of its processes: its id and the exit code of the command."""
    with started(team, *team.args, "-e", "version=1", "-e", "seconds=60", *more) as cli:
        run = str(until_step(cli, "wait_for_the_others")["run"])
        time.sleep(0.2)
        if process == "ansible":
            kill_ansible(run)
        else:
            cli.send_signal(signal.SIGKILL if process == "cli" else signal.SIGINT)
        cli.communicate()
    return run, cli.returncode


@pytest.mark.parametrize("process", ["cli", "ansible", "interrupt"])
def test_what_was_ended_in_the_middle_is_bad_after_a_change(team: Team, process: str) -> None:
    run, code = ended_in_the_middle(team, process)
    assert gone(run)
    if process == "cli":
        done = team.run("recover")
        assert done.returncode == 5, done.stdout + done.stderr
        assert "Changed: w1: Write the version" in done.stdout
    else:
        assert code == 5
    told = report(team, run)
    assert told["outcome"] == "left_changed"
    assert team.ask("recover").startswith("No run is unfinished")


def test_what_was_ended_before_a_change_left_nothing(team: Team) -> None:
    begin = "- name: Wait\n      wait_for: {timeout: 60}\n\n    - name: Write the version"
    team.playbook.write_text(OLD.replace("- name: Write the version", begin))
    with started(team, *team.args, "-e", "version=1") as cli:
        run = until_step(cli, "wait")["run"]
        time.sleep(0.2)
        kill_ansible(run)
        cli.communicate()
    assert gone(run)
    assert (cli.returncode, report(team, run)["outcome"]) == (4, "failed")
    assert team.files == {}


def test_a_direct_ansible_playbook_is_left_alone(team: Team) -> None:
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), str(team.playbook), "-i", str(team.inventory)]
    extra = json.dumps({"version": "1", "directory": str(team.directory), "db_password": SECRET})
    environment = team.env | {"ANSIBLE_CONFIG": str(Path(__file__).resolve().parents[2] / "ansible.cfg")}
    done = subprocess.run([*argv, "-e", extra], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert runs(team) == []


META = """
argument_specs:
  Restart the web servers:
    runbook:
      owner: web team
      updated: 2026-11-28
      estimate: 5m
      window: {spec: "WINDOW"}
      prerequisites:
        - {id: told, text: The users have been told, check: attested}
"""


def closed() -> str:
    """A window of one day, that is not today, tomorrow or yesterday."""
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a")
    return f"{day} 02:00-04:00 UTC"


def test_a_few_lines_of_metadata_guard_it(team: Team) -> None:
    meta = team.playbook.with_suffix(".meta.yml")
    meta.write_text(META.replace("WINDOW", closed()))
    assert len(META.strip().splitlines()) <= 15
    told = team.play("--attest", "told", code=3)
    assert "The window" in told
    assert (team.files, team.steps()) == ({}, [])
    assert report(team)["outcome"] == "refused"
    meta.write_text(META.replace("WINDOW", "daily 00:00-24:00 UTC"))
    assert "Nobody has attested told" in team.play(code=3)
    assert "--attest told" in team.play(code=3)
    assert team.files == {}
    told = team.play("--attest", "told")
    assert "Window daily 00:00-24:00 UTC: open" in told
    (web, _) = report(team)["services"]
    assert web["window"]["open"]
    assert [item["name"] for item in web["attestations"]] == ["told"]
    meta.write_text(META.replace("WINDOW", closed()))
    team.play("--attest", "told", "--no-window", "--reason", "it burns", version="3")
    assert report(team)["services"][0]["override_reason"] == "it burns"
    assert "anything else" not in team.play("--attest", "nothing", code=2)


OTHER = """
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "pyrunbook_journal"
"""


@pytest.mark.parametrize("collections", ["none", "another"])
def test_its_guards_hold_whatever_collections_ansible_finds(team: Team, collections: str) -> None:
    """Ansible only warns of a callback that it does not find, and takes the first collection of a name."""
    team.playbook.with_suffix(".meta.yml").write_text(META.replace("WINDOW", closed()))
    if collections == "none":
        team.env["ANSIBLE_COLLECTIONS_SCAN_SYS_PATH"] = "false"
    else:
        (team.playbook.parent / "collections/ansible_collections/pyrunbook/core/plugins").mkdir(parents=True)
    assert "The window" in team.play("--attest", "told", code=3)
    assert (team.files, report(team)["outcome"]) == ({}, "refused")


def test_a_play_that_nothing_records_is_ended(team: Team) -> None:
    """As where the playbook has a callback of the same name beside it."""
    (team.playbook.parent / "callback_plugins").mkdir()
    (team.playbook.parent / "callback_plugins/pyrunbook_journal.py").write_text(OTHER)
    wait = "- name: Wait\n      wait_for: {timeout: 20}\n\n    - name: Write the version"
    team.playbook.write_text(OLD.replace("- name: Write the version", wait))
    told = team.play(code=5)
    assert "Ansible has not loaded the callback pyrunbook_journal, so the play is ended" in told
    assert "what was changed is not known" in told
    assert team.files == {}


def test_one_run_at_a_time_and_a_dead_one_is_told(team: Team) -> None:
    team.playbook.with_suffix(".meta.yml").write_text(META.replace("WINDOW", "always"))
    args = (*team.args, "-e", "version=1", "--attest", "told")
    with started(team, *args, "-e", "seconds=60") as cli:
        run = until_step(cli, "wait_for_the_others")["run"]
        told = team.play("--attest", "told", "--limit", "w2", version="2", code=3)
        assert f"Run {run} (" in told
        assert "has not been brought to an end" in told
        cli.send_signal(signal.SIGKILL)
        cli.communicate()
    assert f"pyrunbook recover {run}" in team.play("--attest", "told", version="2", code=3)
    assert team.files["w2"] == "1"
    assert team.run("recover").returncode == 5
    assert gone(run)
    team.play("--attest", "told", version="2")
    assert team.files["w2"] == "2"


UNDO = """
- hosts: web
  gather_facts: false
  tasks:
    - name: Put the old version back
      copy: {dest: "{{ directory }}/{{ inventory_hostname }}", content: "{{ old | default('0') }}", mode: "0600"}
    - name: Fail if asked
      fail: {msg: it does not go back}
      when: stuck is defined
"""


@pytest.fixture
def undoable(team: Team) -> Team:
    meta = META.replace("WINDOW", "always").replace("owner:", "undone_by: undo.yml\n      owner:")
    assert len(meta.strip().splitlines()) <= 15
    team.playbook.with_suffix(".meta.yml").write_text(meta)
    team.playbook.with_name("undo.yml").write_text(UNDO)
    for name in ("w1", "w2"):
        (team.directory / name).write_text("0")
    return team


def put_back(team: Team, run: str = "latest") -> None:
    assert (team.files["w1"], team.files["w2"]) == ("0", "0")
    told = report(team, run)
    assert {part["outcome"] for part in told["services"]} == {told["outcome"]}
    assert team.ask("recover").startswith("No run is unfinished")


def test_what_failed_is_put_back_by_its_rollback_playbook(undoable: Team) -> None:
    told = undoable.play("--attest", "told", "-e", "broken=w2", code=4)
    assert "Failed and put back (exit 4)" in told
    assert "w1: Put the old version back" in told
    assert "Cause: exit code 1" in told
    put_back(undoable)
    assert report(undoable)["outcome"] == "rolled_back"
    told = undoable.play("--attest", "told", version="2")
    run = report(undoable)["id"]
    assert f"To undo: pyrunbook rollback {run}" in told
    done = undoable.run("rollback", "--yes")  # with the inputs of that run
    assert done.returncode == 0, done.stdout + done.stderr
    put_back(undoable)


def test_what_cannot_be_put_back_is_bad_until_it_can(undoable: Team) -> None:
    wrong = ("--attest", "told", "-e", "version=1", "-e", "broken=w2", "-e", "stuck=1")
    done = undoable.process(*undoable.args, *wrong)  # whose process has ended then
    assert done.returncode == 5
    assert "FAILED AND NOT PUT BACK" in done.stdout
    run = report(undoable)["id"]
    assert f"pyrunbook recover {run}" in undoable.play("--attest", "told", code=3)
    assert undoable.run("unlock", "--break", run).returncode == 3
    undoable.playbook.with_name("undo.yml").write_text(UNDO.replace("stuck is defined", "false"))
    assert undoable.run("recover").returncode == 0
    put_back(undoable, run)


@pytest.mark.parametrize("process", ["cli", "ansible", "interrupt"])
def test_what_was_ended_in_the_middle_is_put_back(undoable: Team, process: str) -> None:
    run, code = ended_in_the_middle(undoable, process, "--attest", "told")
    if process == "cli":
        assert undoable.files["w1"] == "1"
        assert undoable.run("recover").returncode == 0
    else:
        assert code == (4 if process == "ansible" else 130)
    assert gone(run)
    put_back(undoable, run)


def test_a_mistake_in_the_metadata_does_not_lose_the_way_back(undoable: Team) -> None:
    run = ended_in_the_middle(undoable, "cli", "--yes")[0]
    meta = undoable.playbook.with_suffix(".meta.yml")
    right = meta.read_text()
    undo = undoable.playbook.with_name("undo.yml")
    for mistake in ("ownr:", "undo.yml"):
        if mistake == "ownr:":
            meta.write_text(right.replace("owner:", mistake))
        else:
            undo.rename(undo.with_suffix(".away"))
        done = undoable.run("recover")
        assert done.returncode == 2, done.stdout + done.stderr
        assert "site.meta.yml:" in done.stderr
        assert f"mend it, then: pyrunbook recover {run}" in done.stderr
        assert undoable.files["w1"] == "1"
    meta.write_text(right)
    undo.with_suffix(".away").rename(undo)
    assert undoable.run("recover").returncode == 0
    put_back(undoable, run)


def test_what_the_way_back_asks_is_answered_before_anything_begins(undoable: Team) -> None:
    asks = "  gather_facts: false\n  vars_prompt:\n    - {name: old_password, prompt: The old password}\n"
    undoable.playbook.with_name("undo.yml").write_text(UNDO.replace("  gather_facts: false\n", asks))
    told = undoable.play("--attest", "told", code=2)
    assert "undo.yml asks for old_password" in told
    assert runs(undoable) == []
    undoable.play("--attest", "told", "--check")
    run = ended_in_the_middle(undoable, "cli", "--yes", "-e", f"old_password={SECRET}")[0]
    done = undoable.run("recover")  # the journal does not keep it
    assert done.returncode == 2, done.stdout + done.stderr
    assert "asks for old_password" in done.stderr
    assert undoable.run("recover", "-e", f"old_password={SECRET}").returncode == 0
    put_back(undoable, run)
    undoable.play("--attest", "told", "-e", f"old_password={SECRET}")
    done = undoable.run("rollback", "--yes")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "asks for old_password" in done.stderr
    assert undoable.run("rollback", "--yes", "-e", f"old_password={SECRET}").returncode == 0
    put_back(undoable)


def test_one_run_at_a_time_whatever_the_playbook_is_called_and_what_puts_it_back_too(undoable: Team) -> None:
    undoable.play("--attest", "told")
    before = report(undoable)["id"]
    run = ended_in_the_middle(undoable, "cli", "--yes")[0]
    project = undoable.playbook.parent
    (project / ".pyrunbook.yml").write_text("{}\n")
    args = ("--project", str(project), "run", "site", *undoable.args[2:], "-e", "version=2", "--attest", "told")
    for done in (undoable.run(*args), undoable.run("rollback", before, "--yes")):
        assert done.returncode == 3, done.stdout + done.stderr
        assert f"Run {run} (" in done.stdout + done.stderr
    assert undoable.files["w2"] == "1"


def test_a_lock_of_a_service_is_broken_while_a_plain_run_is_unfinished(team: Team, sandbox: Sandbox) -> None:
    ended_in_the_middle(team, "cli", "--yes")  # both have the same journal
    lock = sandbox.directory / "state/lock.json"
    lock.parent.mkdir(exist_ok=True)
    holder = {"holder": "deadbeef", "operator": "bob", "machine": "elsewhere", "since": "2026-11-01T00:00:00Z"}
    lock.write_text(json.dumps(holder))
    assert "unfinished" in team.ask("unlock")
    assert lock.exists()
    done = sandbox.run("unlock", "--break", "deadbeef", "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not lock.exists()


def test_a_dead_run_can_be_given_up(team: Team) -> None:
    with started(team, *team.args, "-e", "version=1", "-e", "seconds=60") as cli:
        run = until_step(cli, "wait_for_the_others")["run"]
        assert team.run("unlock", "--break", run, "--force").returncode == 3, "it lives"
        cli.send_signal(signal.SIGKILL)
        cli.communicate()
    assert f"run {run} of" in team.ask("unlock")
    assert team.run("unlock", "--break", run).returncode == 3
    team.ask("unlock", "--break", run, "--force")
    assert report(team, run)["outcome"] == "left_changed"


def test_one_line_guards_a_direct_ansible_playbook(team: Team) -> None:
    meta = team.playbook.with_suffix(".meta.yml")
    meta.write_text(META.replace("WINDOW", closed()))
    line = f"  roles:\n    - {{role: pyrunbook.core.preflight, vars: {{runbook_id: {team.playbook}}}}}\n"
    team.playbook.write_text(OLD.replace("  tasks:\n", f"{line}  tasks:\n", 1))
    root = Path(__file__).resolve().parents[2]
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), str(team.playbook), "-i", str(team.inventory)]

    def direct(config: Path = root / "ansible.cfg", **more: Any) -> subprocess.CompletedProcess[str]:
        extra = json.dumps({"version": "1", "directory": str(team.directory), "db_password": SECRET, **more})
        environment = team.env | {"ANSIBLE_CONFIG": str(config)}
        return subprocess.run([*argv, "-e", extra], env=environment, capture_output=True, text=True, check=False)

    done = direct(preflight_attested=["told"])
    assert done.returncode == 3, done.stdout + done.stderr
    assert "The window" in done.stderr
    assert (team.files, report(team)["outcome"]) == ({}, "refused")
    meta.write_text(META.replace("WINDOW", "always"))
    assert "Nobody has attested told" in direct().stderr
    assert team.files == {}
    done = direct(preflight_attested=["told"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert team.files["w1"] == "1"
    assert report(team)["outcome"] == "succeeded"
    assert team.steps()[0] == ("preflight", "ok")
    # Under pyrunbook the line changes nothing.
    team.play("--attest", "told", version="2")
    assert team.files["w1"] == "2"
    # It fails closed where the journal's callback is not enabled.
    bare = team.directory / "ansible.cfg"
    plugins = root / "pyrunbook/plugins"
    bare.write_text(f"[defaults]\nroles_path = {root}/roles\naction_plugins = {plugins}/action\n")
    done = direct(bare, version="3", preflight_attested=["told"])
    assert done.returncode != 0
    assert team.files["w1"] == "2"


def test_the_guide_of_the_rungs_typed(tmp_path: Path) -> None:
    """Each file and each command of docs/guides/adopting.md, as it stands there."""
    guide = (Path(__file__).resolve().parents[2] / "docs/guides/adopting.md").read_text()
    assert len(guide.splitlines()) <= 3 * 50
    here = tmp_path / "here"
    here.mkdir()
    sandbox = Sandbox(tmp_path / "home", tmp_path / "srv")
    typed = 0
    for kind, text in re.findall(r"^```(yaml|ini|bash)\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE):
        if kind != "bash":
            name, _, body = text.removeprefix("# ").partition("\n")
            body = body.replace("Sun 02:00-04:00 UTC", closed()).replace("=/tmp", f"={here}")
            (here / name).write_text(body.replace("=local", f"=local ansible_python_interpreter={sys.executable}"))
            continue
        for line in text.splitlines():
            command, _, code = line.partition("  # exits ")
            done = subprocess.run(
                command, shell=True, cwd=here, env=sandbox.env, capture_output=True, text=True, check=False
            )
            assert done.returncode == int(code or 0), f"{command}\n{done.stdout}{done.stderr}"
            typed += 1
    assert typed == 11
    assert (here / "web1.motd").read_text() == "welcome"
    assert len((here / "motd.meta.yml").read_text().splitlines()) <= 15


ONE = """
- hosts: web
  gather_facts: false
  tasks:
    - name: Append
      shell: "echo x >> {{ directory }}/{{ inventory_hostname }}; exit {{ append_exit | default(0) }}"
      ignore_errors: true
EXTRA
    - name: Fail if asked
      fail: {msg: asked}
      when: broken is defined
"""


def test_what_an_ignored_failure_changed_is_told(team: Team) -> None:
    team.playbook.write_text(ONE.replace("EXTRA", ""))
    told = team.play("--limit", "w1", "-e", "append_exit=1", "-e", "broken=1", code=5)
    assert "failed, and ignored: " in told
    assert "Changed: w1: Append (perhaps)" in told
    assert team.files == {"w1": "x\n"}


LOSE = """
from pathlib import Path
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        if self._task.args["first"]:
            Path(self._task.args["file"]).write_text("x")
        raise AnsibleConnectionFailure(self._task.args["said"])
"""


@pytest.mark.parametrize(
    ("first", "said", "code"),
    [
        (True, "Failed to connect to the host via ssh: Shared connection to w1 closed.", 5),
        (False, "Failed to connect to the host via ssh: ssh: connect to host w1 port 22: Connection refused", 2),
    ],
)
def test_a_connection_lost_in_the_first_task_is_no_host_that_was_never_reached(
    team: Team, first: bool, said: str, code: int
) -> None:
    plugins = team.playbook.parent / "action_plugins"
    plugins.mkdir()
    (plugins / "lose.py").write_text(LOSE)
    arguments = json.dumps({"first": first, "said": said, "file": "{{ directory }}/w1"})
    team.playbook.write_text(
        f"- hosts: w1\n  gather_facts: false\n  tasks:\n    - name: Lose it\n      lose: {arguments}\n"
    )
    told = team.play(code=code)
    assert team.files == ({"w1": "x"} if first else {})
    assert ("Changed: w1: Lose it (perhaps)" in told) == first


def test_the_check_mode_of_a_task_is_what_its_template_says(team: Team) -> None:
    team.playbook.write_text(ONE.replace("EXTRA", '      check_mode: "{{ dry }}"'))
    assert "Changed: w1: Append" in team.play("--limit", "w1", "-e", "dry=false", "-e", "broken=1", code=5)
    assert team.files == {"w1": "x\n"}
    told = team.play("--limit", "w1", "-e", "dry=true", "-e", "broken=1", code=4)
    assert "before anything was changed" in told
    assert team.files == {"w1": "x\n"}


def test_what_a_dry_run_changed_all_the_same_is_told(team: Team) -> None:
    team.playbook.write_text(ONE.replace("EXTRA", "      check_mode: false"))
    assert "w1: changed in a dry run" in team.play("--check", "--limit", "w1")
    assert team.files == {"w1": "x\n"}
    assert [part["changed"] for part in report(team)["services"]] == [True]
    assert "dry run, with tasks that change something" in team.ask("report")
    assert "Changed: w1: Append" in team.play("--check", "--limit", "w1", "-e", "broken=1", code=5)


PAUSE = "    - name: Ask\n      pause: {prompt: really}\n"


def test_a_way_back_that_waits_for_a_key_is_refused_before_the_run(undoable: Team) -> None:
    undoable.playbook.with_name("undo.yml").write_text(UNDO + PAUSE)
    told = undoable.play("--attest", "told", "-e", "broken=w2", code=2)
    assert "waits for a key (pause)" in told
    assert (undoable.files["w1"], undoable.files["w2"]) == ("0", "0")


def test_a_way_back_that_is_refused_leaves_the_run_as_it_was(undoable: Team) -> None:
    """A pause that got into it while the run was going on."""
    undo = undoable.playbook.with_name("undo.yml")
    with started(undoable, *undoable.args, "-e", "version=1", "-e", "seconds=60", "--attest", "told") as cli:
        run = until_step(cli, "wait_for_the_others")["run"]
        time.sleep(0.2)
        undo.write_text(UNDO + PAUSE)
        kill_ansible(run)
        cli.communicate()
    assert (cli.returncode, report(undoable, run)["outcome"]) == (5, "rollback_failed")
    assert undoable.files["w1"] == "1"
    undo.write_text(UNDO)
    assert undoable.run("recover").returncode == 0
    put_back(undoable, run)
