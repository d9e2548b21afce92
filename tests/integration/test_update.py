"""The guarded update on real processes: it completes, or what was there serves again."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from operation import (
    DIRECT,
    MAINTENANCE,
    ROOT,
    gone,
    kill_ansible,
    maintain,
    playing,
    report,
    run_until_step,
    runs,
    serves,
    started,
    until_step,
)
from sandbox_under_test import Sandbox
from service_variables import HOST

from pyrunbook.plugins.inventory.pyrunbook_sandbox import host_variables
from pyrunbook.sandbox import state
from pyrunbook.sandbox.load import Load

pytestmark = pytest.mark.integration

STEPS = (
    "preflight", "backup", "rollback_plan", "deploy_green", "validate", "switch_service", "verify", "drain", "cleanup",
    "conclude",
)  # fmt: skip
REFUSED_AFTER = ("rollback_plan", "verify")
"""After a death in these steps the next update is tried before the recovery; what refuses it is the same after all."""
KEPT = {"cli": ("backup",), "ansible": ("deploy_green",)}
"""Where an update is killed in CI: before its plan, and after it. A test below kills its way back. test_engine.py kills
a synthetic runbook in each step and each process, and `make test LONG=1` does so here.
"""
KILLS = {
    process: [pytest.param(step, marks=[] if step in kept else [pytest.mark.long]) for step in STEPS]
    for process, kept in KEPT.items()
}
FAULTS = (
    *("never-ready", "slow", "crash", "echo-errors", "errors-behind-proxy"),
    pytest.param("unhealthy", marks=pytest.mark.long),  # test_a_controlled_stop_that_fails… has it in CI
    pytest.param("wrong-version", marks=pytest.mark.long),  # and test_a_service_whose_machine_…
)


def lock(sandbox: Sandbox) -> Path:
    return sandbox.directory / "state" / "lock.json"


def test_an_update_swaps_the_colors_and_loses_no_request_and_can_be_undone(sandbox: Sandbox) -> None:
    with Load(sandbox.url, 100) as load:
        refused = maintain(sandbox, "-e", "service_url=http://127.0.0.1:1", code=3)
        assert not list((sandbox.directory / "state/plans").glob("*"))
        assert not lock(sandbox).exists(), "given back"
        first = maintain(sandbox)
        assert serves(sandbox) == ("green", "1.1.0")
        told = report(sandbox)
        undone = sandbox.run("rollback", "latest", "--yes")
        assert undone.returncode == 0, undone.stdout + undone.stderr
        assert serves(sandbox) == ("blue", "1.0.4")
        maintain(sandbox)
    assert serves(sandbox) == ("green", "1.1.0")
    assert load.report.failed == 0, load.report
    assert load.report.succeeded > 500
    assert "http://127.0.0.1:1 (service_url) does not answer as the service does" in refused.stdout
    assert "green serves 1.1.0, blue is gone" in first.stdout
    assert sandbox.status()["colors"]["blue"]["running"] is False
    assert not lock(sandbox).exists()
    # What the journal tells of the first one.
    service = told["services"][0]
    assert told["outcome"] == service["outcome"] == "succeeded"
    assert [step["step"] for step in service["steps"] if step["outcome"] != "skipped"] == list(STEPS)
    assert service["window"]["open"] is True
    assert {entry["name"] for entry in service["attestations"]} == {"oncall_available", "staging_validated"}
    measured = {entry["step"]: entry["value"] for entry in service["evidence"]}
    assert measured["verify"]["health"]["passed"] == 20
    assert measured["backup"]["files"] > 3


def test_a_controlled_stop_drains_first_and_then_deploys(sandbox: Sandbox) -> None:
    maintain(sandbox, "-e", "update_strategy=controlled_stop")
    assert serves(sandbox) == ("green", "1.1.0")
    steps = [step["step"] for step in report(sandbox)["services"][0]["steps"] if step["outcome"] != "skipped"]
    assert steps.index("drain_first") < steps.index("deploy_green")
    assert "drain" not in steps


def test_a_controlled_stop_that_fails_brings_back_what_it_stopped(sandbox: Sandbox) -> None:
    sandbox.release("1.2.0", "unhealthy")
    maintain(sandbox, "-e", "update_strategy=controlled_stop", code=4)
    assert serves(sandbox) == ("blue", "1.0.4")


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_ends_in_exit_4_with_the_old_version_serving(sandbox: Sandbox, fault: str) -> None:
    sandbox.release("1.2.0", fault)
    with Load(sandbox.url, 50) as load:
        done = maintain(sandbox, "-e", "deploy_green_timeout=4", code=4)
        assert serves(sandbox) == ("blue", "1.0.4")
    if fault != "errors-behind-proxy":  # which is made to be seen by clients for a moment
        assert load.report.failed == 0, load.report
    assert "blue serves 1.0.4" in done.stdout
    assert not lock(sandbox).exists()
    assert sandbox.status()["colors"]["green"]["running"] is False
    told = report(sandbox)
    assert told["outcome"] == "rolled_back"
    assert told["cause"]


NAMES = """
import socket
_known = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: _known(
    "127.0.0.1" if str(host).endswith(".operators.test") else host, *rest, **more
)
"""
"""A sitecustomize.py: names that only the operator's side resolves."""


def test_a_service_whose_machine_does_not_know_the_names_is_put_back_without_being_touched(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A failed deployment, by colors' URLs that the operator's side alone resolves."""
    (tmp_path / "sitecustomize.py").write_text(NAMES)
    over_there = tmp_path / "python"  # the modules' interpreter, which does not know them
    over_there.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec {sys.executable} "$@"\n')
    over_there.chmod(0o755)
    decided = yaml.safe_load((ROOT / "inventories/sandbox/group_vars/services.yml").read_text())
    service = {**decided, **host_variables(state.read(sandbox.directory, probe=False))}
    for color, slot in service["service_colors"].items():
        slot["url"] = slot["url"].replace("127.0.0.1", f"{color}.operators.test")
    service["ansible_python_interpreter"] = str(over_there)
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"services": {"hosts": {"agent-factory": service}}}))
    sandbox.env["PYTHONPATH"] = str(tmp_path)
    ask = [over_there, "-c", "import socket; socket.getaddrinfo('blue.operators.test', 80)"]
    there = subprocess.run(ask, env=sandbox.env, capture_output=True, check=False)
    assert b"gaierror" in there.stderr, "the name is known where it must not be, so nothing is tested"
    blue = sandbox.status()["colors"]["blue"]["pid"]
    sandbox.release("1.2.0", "wrong-version")
    with Load(sandbox.url, 50) as load:
        done = maintain(sandbox, "-i", str(inventory), code=4)
        assert serves(sandbox) == ("blue", "1.0.4")
    assert load.report.failed == 0, load.report
    assert sandbox.status()["colors"]["blue"]["pid"] == blue, "the color that served was restarted"
    assert "blue serves 1.0.4" in done.stdout


def _verified(sandbox: Sandbox, run: str) -> bool:
    """Whether the run got past its verification, which takes 0.1 s: then it is finished, not put back."""
    told = report(sandbox, run)
    steps = [step for service in told["services"] for step in service["steps"] if step["step"] == "verify"]
    return any(step["outcome"] is not None for step in steps if step["attempt"] == 1)


@pytest.mark.parametrize("step", KILLS["ansible"])
def test_after_a_kill_of_ansible_at_any_step_recover_brings_it_to_an_end(sandbox: Sandbox, step: str) -> None:
    with started(sandbox, "maintenance", "--window", "--yes") as process:
        run = until_step(process, step)["run"]
        time.sleep(0.15)
        kill_ansible(run)
        process.communicate()
    assert gone(run)
    # The CLI lives, so it brings things to an end by itself: what was verified stays.
    finished = step in ("drain", "cleanup", "conclude") or _verified(sandbox, run)
    assert process.returncode in ((8, 0) if finished else (4,)), step
    wanted = {8: ("not_cleaned_up",), 0: ("succeeded",), 4: ("rolled_back", "failed")}
    assert report(sandbox, run)["outcome"] in wanted[process.returncode]
    assert serves(sandbox) == (("green", "1.1.0") if finished else ("blue", "1.0.4"))
    assert not lock(sandbox).exists()


def test_a_cleanup_that_fails_keeps_the_verified_release_until_somebody_finishes_it(sandbox: Sandbox) -> None:
    link = sandbox.directory / "slots" / "blue" / "release"
    with started(sandbox, "maintenance", "--window", "--yes") as process:
        run = until_step(process, "drain")["run"]
        link.unlink()
        link.mkdir()  # which is nothing to unlink
        out, err = process.communicate(timeout=120)
    last = json.loads(out.splitlines()[-1])
    assert (process.returncode, last["outcome"]) == (8, "not_cleaned_up"), err
    assert str(link) in last["cause"]
    assert last["next_step"] == f"pyrunbook recover {run}"
    assert serves(sandbox) == ("green", "1.1.0")
    assert not lock(sandbox).exists()
    assert f"pyrunbook recover {run}" in sandbox.ask("report", run)
    link.rmdir()
    finished = sandbox.run("recover", run)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert report(sandbox, run)["outcome"] == "succeeded"
    assert serves(sandbox) == ("green", "1.1.0")


def test_a_release_that_dies_after_its_verification_is_put_back(sandbox: Sandbox) -> None:
    config = sandbox.directory / "supervisord.conf"
    stop = [str(Path(sys.executable).parent / "supervisorctl"), "-c", str(config), "stop", "agent-factory-green"]
    hooks = json.dumps({"validate_service_hooks": [{"name": "sabotage", "argv": stop}]})
    done = maintain(sandbox, "-e", hooks, code=4)
    assert "What was verified does not serve any more: the process of green" in done.stdout
    assert serves(sandbox) == ("blue", "1.0.4")
    assert report(sandbox)["outcome"] == "rolled_back"


@pytest.mark.parametrize("step", KILLS["cli"])
def test_after_a_kill_of_the_cli_at_any_step_recover_brings_it_to_an_end(sandbox: Sandbox, step: str) -> None:
    with started(sandbox, "maintenance", "--window", "--yes") as process:
        run = until_step(process, step)["run"]
        time.sleep(0.15)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert gone(run), playing(run)
    if step in REFUSED_AFTER:
        assert run in maintain(sandbox, code=3).stdout
    recovered = sandbox.run("recover")
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert gone(run)
    color, version = serves(sandbox)
    finished = step in ("drain", "cleanup", "conclude") or _verified(sandbox, run)
    assert (color, version) == (("green", "1.1.0") if finished else ("blue", "1.0.4"))
    status = sandbox.status()
    other = "blue" if color == "green" else "green"
    assert status["active"] == color
    assert status["colors"][other]["running"] is False
    assert not lock(sandbox).exists()
    assert report(sandbox, run)["outcome"] in (("succeeded",) if finished else ("rolled_back", "failed"))
    assert sandbox.run("recover").stdout.startswith("No run is unfinished")


def test_a_recovery_that_is_killed_can_be_recovered(sandbox: Sandbox) -> None:
    with started(sandbox, "maintenance", "--window", "--yes") as process:
        run = until_step(process, "verify")["run"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with started(sandbox, "recover") as process:
        until_step(process, "rollback")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert gone(run)
    assert sandbox.run("recover").returncode == 0
    assert serves(sandbox) == ("blue", "1.0.4")
    assert [entry["id"] for entry in runs(sandbox)] == [run]


def test_what_was_killed_before_the_switch_can_be_resumed(sandbox: Sandbox) -> None:
    with started(sandbox, "maintenance", "--window", "--yes") as process:
        run = until_step(process, "switch_service")["run"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    backup = sandbox.directory / "state" / "backups" / f"{run}.tar.gz"
    before = backup.stat().st_mtime_ns
    done = sandbox.run("recover", run, "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert serves(sandbox) == ("green", "1.1.0")
    assert backup.stat().st_mtime_ns == before
    assert report(sandbox, run)["outcome"] == "succeeded"


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_an_interrupted_run_is_put_back(sandbox: Sandbox, number: signal.Signals) -> None:
    with started(sandbox, "maintenance", "--window", "--yes") as process:
        run = until_step(process, "verify")["run"]
        process.send_signal(number)
        out, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["outcome"], last["exit_code"]) == ("run_ended", "canceled", 130)
    assert serves(sandbox) == ("blue", "1.0.4")
    assert gone(run)
    assert report(sandbox, run)["outcome"] == "canceled"


def test_a_run_that_takes_too_long_is_put_back(sandbox: Sandbox) -> None:
    sandbox.release("1.3.0", "never-ready")
    done = maintain(sandbox, "--timeout", "8s", "-e", "deploy_green_timeout=100", code=4)
    assert "Timed out and put back" in done.stdout
    assert serves(sandbox) == ("blue", "1.0.4")
    assert report(sandbox)["outcome"] == "timed_out"


def test_of_two_operators_who_start_at_once_one_runs_and_the_other_is_told_who(sandbox: Sandbox) -> None:
    with started(sandbox, *MAINTENANCE) as one, started(sandbox, *MAINTENANCE) as other:
        told = {process.pid: run_until_step(process, "deploy_green") for process in (one, other)}
        (process,) = (each for each in (one, other) if told[each.pid][0])
        (late,) = (each for each in (one, other) if each is not process)
        run = told[process.pid][0]
        assert late.wait(timeout=30) == 3
        assert run in told[late.pid][1]
        # Another machine has another journal; there it is the lock that says so.
        elsewhere = {**sandbox.env, "PYRUNBOOK_HOME": str(sandbox.home) + "-elsewhere", "PYRUNBOOK_OPERATOR": "eve"}
        told = subprocess.run(DIRECT, env=elsewhere, capture_output=True, text=True, check=False)
        assert told.returncode == 2
        assert f"held by run {run}" in told.stdout
        assert "since" in told.stdout
        process.communicate()
    assert process.returncode == 0
    assert serves(sandbox) == ("green", "1.1.0")


def test_a_direct_ansible_playbook_has_the_same_guards(sandbox: Sandbox) -> None:
    done = subprocess.run(DIRECT, env=sandbox.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert serves(sandbox) == ("green", "1.1.0")
    assert report(sandbox)["outcome"] == "succeeded"

    sandbox.release("1.2.0", "errors-behind-proxy")
    done = subprocess.run(DIRECT, env=sandbox.env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert serves(sandbox) == ("green", "1.1.0")
    assert report(sandbox)["outcome"] == "rolled_back"

    unattested = subprocess.run(DIRECT[:-2], env=sandbox.env, capture_output=True, text=True, check=False)
    assert unattested.returncode == 2
    assert "--attest" not in unattested.stdout, "which ansible-playbook does not have"
    assert "preflight_attested" in unattested.stdout and "oncall_available" in unattested.stdout
    assert report(sandbox)["outcome"] == "refused"


def test_a_direct_run_that_was_killed_is_recovered(sandbox: Sandbox) -> None:
    process = subprocess.Popen(DIRECT, env=sandbox.env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "switch_service" in line:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    assert serves(sandbox)
    maintain(sandbox, code=3)
    assert sandbox.run("recover").returncode == 0
    assert serves(sandbox) == ("blue", "1.0.4")


def test_check_mode_changes_nothing_and_says_what_would_change(sandbox: Sandbox) -> None:
    def slots() -> list[tuple[str, str, str]]:
        return [(c, slot["version"], slot["pid"]) for c, slot in sandbox.status()["colors"].items()]

    before = slots()
    files = sorted(str(path) for path in sandbox.directory.rglob("*") if "ansible" not in str(path))
    done = maintain(sandbox, "--check")
    assert slots() == before
    assert files == sorted(str(path) for path in sandbox.directory.rglob("*") if "ansible" not in str(path))
    assert "Deploy 1.1.0 to green" in done.stdout
    assert sandbox.run("rollback", "plans").stdout.startswith("No rollback plan")


def test_a_closed_window_refuses_unless_a_reason_is_given(sandbox: Sandbox) -> None:
    closed = "RRULE:FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=1 00:00 1h UTC"
    if time.gmtime().tm_yday < 3:
        closed = closed.replace("BYMONTH=1;", "BYMONTH=7;")
    done = maintain(sandbox, "--window", closed, code=3)
    assert "opens" in done.stdout
    assert serves(sandbox) == ("blue", "1.0.4")
    # As if the machine had gone away before that run could free its lock: a run that has ended holds none.
    left = {"holder": report(sandbox)["id"], "operator": "ada", "machine": "here", "since": "2026-11-01T00:00:00Z"}
    lock(sandbox).parent.mkdir(exist_ok=True)
    lock(sandbox).write_text(json.dumps(left))
    reason = "the certificate expires today"
    env_window = ("-e", json.dumps({"update_window": closed}))
    maintain_without = sandbox.run("maintenance", "--yes", *env_window, "--no-window", "--reason", reason)
    assert maintain_without.returncode == 0, maintain_without.stdout
    assert report(sandbox)["services"][0]["override_reason"] == reason


def test_a_journal_that_breaks_in_the_middle_sends_the_run_into_its_rollback(sandbox: Sandbox) -> None:
    with started(sandbox, "maintenance", "--window", "--yes") as process:
        until_step(process, "validate")
        blocker = sqlite3.connect(sandbox.home / "journal.db", isolation_level=None)
        blocker.execute("ALTER TABLE steps RENAME TO steps_away")
        time.sleep(6)
        blocker.execute("ALTER TABLE steps_away RENAME TO steps")
        blocker.close()
        process.communicate(timeout=120)
    assert process.returncode in (4, 5)
    if process.returncode == 5:
        assert sandbox.run("recover").returncode == 0
    assert serves(sandbox) == ("blue", "1.0.4")


def test_bad_input_changes_nothing_and_says_what_is_wrong(sandbox: Sandbox) -> None:
    for args, words in (
        (("--window", "Sunn 02:00-04:00 UTC"), "Sunn"),
        (("--attest", "nonsense"), "oncall_available"),
        (("-i", "/nowhere"), "/nowhere"),
        (("--limit", "nobody"), "o host"),
        (("-e", "nonsense"), "key=value"),
        (("--no-window",), "--reason"),
        (("--step", "nonsense"), "deploy_green"),
        (("--timeout", "soon"), "soon"),
    ):
        done = sandbox.run("maintenance", "--yes", *args)
        assert done.returncode == 2, (args, done.stdout, done.stderr)
        assert words in done.stderr, (args, done.stderr)
    for args, words in (
        (("-e", "release=9.9.9"), "There is no release 9.9.9"),
        (("-e", "update_strategy=chaos"), "zero_downtime, controlled_stop"),
        (("-e", "update_window='Sunn 02:00-04:00 UTC'"), "Sunn"),
        (("-e", "deploy_green_timeout=soon"), "deploy_green_timeout"),
    ):
        refused = maintain(sandbox, *args, code=2)
        assert words in refused.stdout, (args, refused.stdout)
    assert serves(sandbox) == ("blue", "1.0.4")
    assert not lock(sandbox).exists()


def test_a_lock_is_shown_and_broken_only_on_request(sandbox: Sandbox) -> None:
    lock(sandbox).parent.mkdir(exist_ok=True)
    holder = {"holder": "deadbeef", "operator": "bob", "machine": "elsewhere", "since": "2026-11-01T00:00:00Z"}
    lock(sandbox).write_text(json.dumps(holder))
    refused = maintain(sandbox, code=3)
    assert "held by run deadbeef of bob on elsewhere since 2026-11-01" in refused.stdout
    assert "deadbeef" in sandbox.run("unlock").stdout
    assert lock(sandbox).exists()
    assert sandbox.run("unlock", "--break", "aaaaaaaa").returncode != 0
    assert lock(sandbox).exists()
    broken = sandbox.run("unlock", "--break", "deadbeef")
    assert broken.returncode == 0, broken.stdout + broken.stderr
    assert not lock(sandbox).exists()


def test_a_rollback_without_a_plan_is_refused(sandbox: Sandbox) -> None:
    """It would put back what is there, and call that a success."""
    maintain(sandbox)
    refused = sandbox.run("run", "deployment/rollback")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "plan is missing (-e plan=" in refused.stdout + refused.stderr
    assert serves(sandbox)[0] == "green"
    assert not lock(sandbox).exists()


def test_secrets_reach_neither_journal_nor_output_nor_temporary_files(sandbox: Sandbox, tmp_path: Path) -> None:
    canary = "cAnArY-7d1f0a"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {**sandbox.env, "TMPDIR": str(temporary), "API_TOKEN": canary}
    argv = [
        DIRECT[0].replace("ansible-playbook", "pyrunbook"),
        "maintenance",
        "--yes",
        "-e",
        f"db_password={canary}",
        "-v",
    ]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert canary not in done.stdout + done.stderr
    for path in [*sandbox.home.rglob("*"), *sandbox.directory.rglob("*"), *temporary.rglob("*")]:
        if path.is_file() and not path.is_symlink():
            assert canary.encode() not in path.read_bytes(), path
    assert not list((sandbox.home / "running").iterdir())


def test_a_killed_run_leaves_no_inputs_behind_once_it_is_recovered(sandbox: Sandbox) -> None:
    canary = "cAnArY-55aa10"
    with started(sandbox, "maintenance", "--window", "--yes", "-e", f"db_password={canary}") as process:
        until_step(process, "backup")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert sandbox.run("recover").returncode == 0
    for path in sandbox.home.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path


def test_a_rollback_that_fails_says_so_keeps_the_lock_and_can_be_finished_later(sandbox: Sandbox) -> None:
    sandbox.release("1.2.0", "errors-behind-proxy")
    old, away = sandbox.directory / "releases" / "1.0.4", sandbox.directory / "away"
    with started(sandbox, "maintenance", "--window", "--yes") as process:
        run = until_step(process, "validate")["run"]
        old.rename(away)
        (sandbox.directory / "state" / "backups" / f"{run}.tar.gz").unlink()
        out, err = process.communicate(timeout=200)
    assert process.returncode == 5, err
    last = json.loads(out.splitlines()[-1])
    assert last["outcome"] == "rollback_failed"
    assert last["next_step"].startswith(f"pyrunbook recover {run}")
    assert lock(sandbox).exists()
    maintain(sandbox, code=3)

    away.rename(old)
    assert sandbox.run("recover", run, "--rollback").returncode == 0
    assert serves(sandbox) == ("blue", "1.0.4")
    assert not lock(sandbox).exists()
    assert report(sandbox, run)["outcome"] == "rolled_back"


def test_another_machine_can_execute_a_plan(sandbox: Sandbox) -> None:
    maintain(sandbox)
    run = report(sandbox)["id"]
    elsewhere = {**sandbox.env, "PYRUNBOOK_HOME": str(sandbox.home) + "-elsewhere"}
    argv = [str(Path(DIRECT[0]).parent / "pyrunbook"), "rollback", run, "--yes"]
    unknown = subprocess.run(argv, env=elsewhere, capture_output=True, text=True, check=False)
    assert unknown.returncode == 2
    done = subprocess.run([*argv, "-i", "sandbox"], env=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert serves(sandbox) == ("blue", "1.0.4")


def test_a_release_that_was_deleted_comes_back_from_the_backup(sandbox: Sandbox) -> None:
    maintain(sandbox)
    shutil.rmtree(sandbox.directory / "releases" / "1.0.4")
    assert sandbox.run("rollback", "--yes").returncode == 0
    assert serves(sandbox) == ("blue", "1.0.4")


def test_no_host_matched_is_bad_input(sandbox: Sandbox, tmp_path: Path) -> None:
    empty = tmp_path / "hosts.yml"
    empty.write_text("services:\n  hosts: {}\n")
    done = sandbox.run("maintenance", "--yes", "-i", str(empty))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "No host matched" in done.stderr


def test_an_inventory_that_lacks_what_a_run_needs_says_all_of_it_before_anything_is_done(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Under ansible-playbook too: in the words of an operator, in place of Ansible's own about undefined variables."""
    service = host_variables(state.read(sandbox.directory, probe=False))
    service["service_colors"]["green"]["address"] = "127.0.0.1"
    del service["service_root"]
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(yaml.safe_dump({"services": {"hosts": {"web": {**service, "update_window": "{{ opens }}"}}}}))
    done = maintain(sandbox, "-i", str(hosts), code=2)
    direct = subprocess.run(
        [*DIRECT[:3], str(hosts), *DIRECT[4:]], env=sandbox.env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    for said in (done.stdout, direct.stdout):
        line = hosts.read_text().splitlines().index("          address: 127.0.0.1") + 1
        assert f"{hosts}:{line}:11: service_colors.green.address: expected host:port" in said
        assert "service_root is missing" in said
        assert "update_window: cannot be resolved: 'opens' is undefined" in said
    assert "exit 2" in done.stdout
    assert direct.returncode != 0
    assert not (sandbox.directory / "state/plans").exists() or not list((sandbox.directory / "state/plans").iterdir())
    assert not lock(sandbox).exists()


def test_an_unreachable_machine_ends_the_run_without_a_change(sandbox: Sandbox, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    nowhere = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts.write_text(json.dumps({"services": {"hosts": {"away": {**HOST, "update_window": "always", **nowhere}}}}))
    done = sandbox.run("maintenance", "--yes", "-i", str(hosts))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nreachable" in done.stdout
    assert not list((sandbox.home / "plans").glob("*/*"))
