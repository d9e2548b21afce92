"""run, maintenance, rollback, recover, unlock: exit codes, events and words; their plays are stand-ins."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from played import (
    CANCELED,
    FAILED,
    KILLED,
    Scene,
    Theatre,
    good,
    left,
    not_put_back,
    past_verification,
    put_back,
    refused,
    rolled_back,
)  # fmt: skip

from pyrunbook import catalog
from pyrunbook.cli.main import main
from pyrunbook.execution import run as execution
from pyrunbook.execution.play import Ended, Request
from pyrunbook.journal import Journal
from pyrunbook.rollout.plan import Plan, record

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str, str]]
MAINTENANCE = ("maintenance", "--yes")


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yml"
    path.write_text("services:\n  hosts:\n    web: {service_platform: host, update_window: always}\n")
    return path


@pytest.fixture
def theatre(tmp_path: Path, inventory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theatre]:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYRUNBOOK_JOURNAL", f"sqlite:///{tmp_path}/home/journal.db")
    monkeypatch.setenv("PYRUNBOOK_INVENTORY", str(inventory))
    made = Theatre()
    monkeypatch.setattr(execution, "perform", made)
    yield made
    assert not made.scenes, "a play that was expected did not happen"


@pytest.fixture
def run(theatre: Theatre, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `pyrunbook …`: exit code, output, errors."""

    def run(*arguments: str, scenes: tuple[Scene, ...] = ()) -> tuple[int, str, str]:
        theatre.scenes += scenes
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        out, err = capsys.readouterr()
        assert "Traceback" not in err or ended.value.code == 1
        return ended.value.code, out, err

    return run


def interrupted() -> Scene:
    return left(CANCELED).then(lambda journal, request, on_event: os.kill(os.getpid(), signal.SIGINT))


ENDS = {
    0: ((good(),), "Succeeded in"),
    2: ((Scene(Ended("failed", 1, ("ERROR! it is no playbook",), False)),), "it is no playbook"),
    3: ((refused("closed"),), "Refused (exit 3); nothing was changed."),
    4: ((rolled_back(),), "Failed and put back (exit 4)"),
    5: ((left(), not_put_back(), not_put_back(), not_put_back()), "FAILED AND NOT PUT BACK (exit 5)"),
    130: ((interrupted(), put_back("canceled")), "Interrupted and put back (exit 130)"),
}


@pytest.mark.parametrize("code", ENDS)
def test_every_exit_code_with_its_last_words(run: Run, code: int) -> None:
    got, out, err = run(*MAINTENANCE, scenes=ENDS[code][0])
    assert got == code
    assert ENDS[code][1] in out + err
    if code == 5:
        assert "Next: pyrunbook recover " in out
        assert out.rstrip().endswith("--rollback")


@pytest.mark.parametrize("code", ENDS)
def test_json_has_one_beginning_and_one_end(run: Run, code: int) -> None:
    got, out, _ = run(*MAINTENANCE, "--json", scenes=ENDS[code][0])
    assert got == code
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds.count("run_started")) == ("run_started", 1)
    assert (kinds[-1], kinds.count("run_ended")) == ("run_ended", 1)
    assert set(kinds) <= {"run_started", "step_started", "step_ended", "run_ended"}
    assert len({event["run"] for event in events}) == 1
    assert events[-1]["exit_code"] == code
    for event in events:
        assert {"event", "run", "step", "outcome", "time"} <= set(event)
        assert datetime.fromisoformat(event["time"]).tzinfo is UTC
        assert (event["step"] is None) is event["event"].startswith("run_")


def test_a_bug_of_ours_is_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "operate", lambda *_: 1 / 0)
    code, _, err = run(*MAINTENANCE)
    assert code == 1
    assert "ZeroDivisionError" in err
    assert "This is a bug in pyrunbook" in err


def test_what_is_asked_for_reaches_the_play(run: Run, theatre: Theatre, inventory: Path) -> None:
    run(
        "run", "maintenance/production_update", "-i", str(inventory), "--limit", "web", "-e", "release=2", "--check",
        "--diff", "--window", "daily 00:00-24:00 UTC", "--attest", "oncall_available", "--step", "backup", "--step",
        "validate", "--timeout", "5m", "-vv", scenes=(good(),),
    )  # fmt: skip
    (request,) = theatre.requests
    assert request.playbook == ROOT / "playbooks/maintenance/production_update.yml"
    assert request.inventory == (str(inventory),)
    assert request.extra_vars == {
        "release": "2",
        "preflight_window": "daily 00:00-24:00 UTC",
        "preflight_attested": ["oncall_available"],
    }
    assert (request.limit, request.tags, request.check, request.diff) == ("web", "backup,validate", True, True)
    assert (request.verbosity, request.timeout, request.mode) == (2, 300.0, "run")


def test_yes_attests_everything_and_the_runbook_has_a_timeout(run: Run, theatre: Theatre) -> None:
    run(*MAINTENANCE, scenes=(good(),))
    (request,) = theatre.requests
    assert request.extra_vars["preflight_attested"] == ["oncall_available", "staging_validated"]
    assert request.timeout == 45 * 60


def test_a_reason_overrides_the_window(run: Run, theatre: Theatre) -> None:
    run(*MAINTENANCE, "--no-window", "--reason", " the certificate expires ", scenes=(good(),))
    assert theatre.requests[0].extra_vars["preflight_window_override"] == "the certificate expires"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run",), "Missing argument"),
        (("run", "maintenance/nonsense"), "maintenance/nonsense"),
        ((*MAINTENANCE, "--nonsense"), "No such option"),
        ((*MAINTENANCE, "--no-window"), "--no-window needs a reason"),
        ((*MAINTENANCE, "--no-window", "--reason", "  "), "--no-window needs a reason"),
        ((*MAINTENANCE, "--no-window", "--reason", "x", "--window"), "exclude each other"),
        ((*MAINTENANCE, "--no-window", "--reason", "x", "--wait"), "exclude each other"),
        ((*MAINTENANCE, "--reason", "x"), "--reason goes with --no-window"),
        ((*MAINTENANCE, "--window", "Sunn 02:00-04:00 UTC"), "Sunn"),
        ((*MAINTENANCE, "--timeout", "soon"), "soon"),
        ((*MAINTENANCE, "--step", "nonsense"), "it has: backup"),
        ((*MAINTENANCE, "--step", "backupp"), "Next: --step backup"),
        ((*MAINTENANCE, "--step", "switch_service"), "What gets the traffic is verified by the same run"),
        ((*MAINTENANCE, "--step", "backup", "--step", "cleanup"), "cleanup of maintenance/production_update cannot be"),
        ((*MAINTENANCE, "--step", "drain"), "cannot be run by itself"),
        ((*MAINTENANCE, "--attest", "nonsense"), "oncall_available, staging_validated"),
        ((*MAINTENANCE, "-e", "nonsense"), "is not key=value"),
        ((*MAINTENANCE, "-i", "nonsense"), "production, sandbox, staging"),
        (("rollback", "--yes"), "no rollback plan"),
        (("rollback", "deadbeef", "--yes"), "deadbeef"),
        (("recover", "deadbeef"), "no unfinished run matches 'deadbeef' (unfinished: none)"),
        (("unlock", "-i", "nonsense"), "production, sandbox, staging"),
        (("nonsense",), "No such command"),
    ],
)
def test_a_wrong_command_line_is_bad_input(run: Run, theatre: Theatre, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2, (out, err)
    assert said.lower() in err.lower()
    assert not theatre.requests


# --- rollback --------------------------------------------------------------------------------------------------------


def planned(run_id: str = "00c0ffee") -> None:
    record(
        Plan(
            id=run_id,
            service="web",
            platform="host",
            runbook="maintenance/production_update",
            operator="ada",
            created="2026-11-22T02:00:00+00:00",
            active="blue",
            preview="green",
            release="1",
        )
    )


def recorded(theatre: Theatre, scene: Scene, run_id: str = "00c0ffee", **changes: Any) -> None:
    """A run in the journal, as dead as its process: the shell that has just ended."""
    update = ROOT / "playbooks/maintenance/production_update.yml"
    request = Request(playbook=update, inventory=(os.environ["PYRUNBOOK_INVENTORY"],), run_id=run_id, **changes)
    scene(request, lambda event: None, lambda: False)
    with Journal.open() as journal, journal._writing() as connection:
        connection.exec_driver_sql("UPDATE runs SET pid = 1, process_started = 0")


def test_rollback_goes_where_the_run_went(run: Run, theatre: Theatre, inventory: Path) -> None:
    recorded(theatre, good())
    planned()
    code, out, _ = run("rollback", "00c0", "--yes", scenes=(good(),))
    assert code == 0, out
    (request,) = theatre.requests
    assert (request.mode, request.limit, request.inventory) == ("rollback", "web", (str(inventory),))
    assert request.extra_vars == {"plan": "00c0ffee"}
    assert request.run_id != "00c0ffee"
    assert request.playbook == ROOT / "playbooks/deployment/rollback.yml"


def test_rollback_of_a_run_whose_runbook_names_its_own_undo(
    run: Run, theatre: Theatre, inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(theatre, good())
    real = catalog.load()
    update = real.get("maintenance/production_update")
    named = msgspec.structs.replace(update.metadata, undone_by="maintenance/certificate_rollback")
    spec = msgspec.structs.replace(update.spec, runbook=named)
    monkeypatch.setitem(real._read, update.id, dataclasses.replace(update, spec=spec))
    monkeypatch.setattr(catalog, "load", lambda: real)
    code, out, _ = run("rollback", "00c0", "--yes", scenes=(good(),))
    assert code == 0, out
    (request,) = theatre.requests
    assert request.playbook == ROOT / "playbooks/maintenance/certificate_rollback.yml"
    assert (request.extra_vars, request.limit, request.inventory) == (
        {"rotation": "00c0ffee"},
        "web",
        (str(inventory),),
    )


@pytest.mark.parametrize("command", ["recover", "rollback"])
def test_what_brings_a_run_to_an_end_has_the_runbooks_of_its_project_wherever_it_is_typed(
    run: Run, theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    for project in (own, other):
        shutil.copytree(ROOT / "playbooks/deployment", project / "playbooks/deployment")
        (project / ".pyrunbook.yml").touch()
    monkeypatch.chdir(other)
    died = command == "recover"
    for number, (project_of_run, named, expected) in enumerate([
        (str(own), "", own), ("", "", ROOT), (None, "", other), (str(other), str(own), own), ("/gone", "", None),
    ]):  # fmt: skip
        run_id = f"00c0ffe{number}"
        recorded(theatre, left(KILLED) if died else good(), run_id)
        planned(run_id)
        with Journal.open() as journal, journal._writing() as connection:
            connection.exec_driver_sql("UPDATE runs SET project = ? WHERE id = ?", (project_of_run, run_id))
        monkeypatch.setenv("PYRUNBOOK_CONTENT", named)
        ends = (put_back() if died else good(),) if expected else ()
        code, out, err = run(command, run_id, *([] if died else ["--yes"]), scenes=ends)
        if expected:
            assert code == 0, out + err
            assert theatre.requests[-1].playbook.is_relative_to(expected / "playbooks"), project_of_run
        else:
            assert code == 2 and "of the project /gone, which is not here" in err
            assert f"pyrunbook --project DIRECTORY {command} {run_id}" in err


@pytest.mark.parametrize("selector", [(), ("latest",)])
def test_the_latest_run_may_be_a_rotation_of_certificates(
    run: Run, theatre: Theatre, inventory: Path, selector: tuple[str, ...]
) -> None:
    """It has no plan; the plan of an update before it is not what the operator means."""
    recorded(theatre, good(), "0badcafe")
    planned("0badcafe")
    rotation = ROOT / "playbooks/maintenance/certificate_rotation.yml"
    request = Request(playbook=rotation, inventory=(str(inventory),), run_id="00c0ffee")
    good()(request, lambda event: None, lambda: False)
    recorded(theatre, refused(), "00000bad")
    code, out, _ = run("rollback", *selector, "--yes", scenes=(good(),))
    assert code == 0, out
    assert theatre.requests[-1].playbook == ROOT / "playbooks/maintenance/certificate_rollback.yml"
    assert theatre.requests[-1].extra_vars == {"rotation": "00c0ffee"}
    # And after a later update it is that one again.
    recorded(theatre, good(), "11111111")
    assert run("rollback", *selector, "--yes", scenes=(good(),))[0] == 0
    assert theatre.requests[-1].playbook == ROOT / "playbooks/deployment/rollback.yml"


def test_rollback_of_a_plan_that_only_the_service_knows(run: Run, theatre: Theatre, inventory: Path) -> None:
    assert run("rollback", "deadbeef", "--yes", "-i", str(inventory), scenes=(good(),))[0] == 0
    assert (theatre.requests[0].extra_vars, theatre.requests[0].limit) == ({"plan": "deadbeef"}, "")


def test_rollback_of_a_run_that_the_journal_does_not_know(run: Run, theatre: Theatre) -> None:
    recorded(theatre, good())
    planned("0badcafe")
    code, _, err = run("rollback", "0badcafe", "--yes")
    assert code == 2
    assert "pyrunbook rollback 0badcafe -i INVENTORY" in err


def test_the_plans_are_listed(run: Run, theatre: Theatre) -> None:
    assert run("rollback", "plans")[1] == "No rollback plan is kept on this machine.\n"
    assert run("rollback", "plans", "--json")[1] == ""
    planned()
    assert "00c0ffee  2026-11-22 02:00:00 UTC  web (host): blue served 1" in run("rollback", "plans")[1]
    assert json.loads(run("rollback", "plans", "--json")[1])["service"] == "web"


# --- recover ---------------------------------------------------------------------------------------------------------


def test_recover_says_when_there_is_nothing_to_do(run: Run) -> None:
    assert run("recover") == (0, "No run is unfinished.\n", "")
    code, out, err = run("recover", "--json")
    assert (code, out, err) == (0, "", "No run is unfinished.\n")
    assert run("recover", "--list")[:2] == (0, "")


def test_recover_names_what_is_to_be_cleaned_up_until_a_later_run_has_changed_it(run: Run, theatre: Theatre) -> None:
    recorded(theatre, past_verification(FAILED).concluded("not_cleaned_up").end("not_cleaned_up"))
    code, out, err = run("recover")
    said = "Run 00c0ffee is not cleaned up. To clean up: pyrunbook recover 00c0ffee\n"
    assert (code, out, err) == (0, f"No run is unfinished.\n{said}", "")
    assert run("recover", "--json")[1:] == ("", f"No run is unfinished.\n{said}")
    request = Request(
        playbook=ROOT / "playbooks/maintenance/production_update.yml", inventory=("/one",), run_id="00000002"
    )
    good()(request, lambda event: None, lambda: False)
    assert run("recover")[1] == "No run is unfinished.\n"


def test_a_recovery_that_put_things_back_is_a_success_and_says_so(run: Run, theatre: Theatre) -> None:
    recorded(theatre, left())
    assert "00c0ffee" in run("recover", "--list")[1]
    assert json.loads(run("recover", "--list", "--json")[1])["id"] == "00c0ffee"
    code, out, _ = run("recover", scenes=(put_back(),))
    assert code == 0
    assert "Recovered in" in out
    assert "The run counts as rolled_back." in out
    assert "exit 4" not in out
    assert run("recover")[1] == "No run is unfinished.\n"


@pytest.mark.parametrize(
    ("scenes", "options", "code"),
    [
        ((put_back,), (), 0),
        ((not_put_back, not_put_back, not_put_back), (), 5),
        ((lambda: Scene().start().conclude("succeeded").end("succeeded"),), ("--resume",), 0),
        ((lambda: Scene(FAILED).start().step("drain", "failed", "stuck"), put_back), ("--resume",), 0),
        ((interrupted, lambda: put_back("canceled")), ("--resume",), 130),
    ],
)
def test_json_of_a_recovery(run: Run, theatre: Theatre, scenes: Any, options: tuple[str, ...], code: int) -> None:
    recorded(theatre, left())
    got, out, _ = run("recover", "--json", *options, scenes=tuple(made() for made in scenes))
    assert got == code
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds.count("run_started")) == ("run_started", 1)
    assert (kinds[-1], kinds.count("run_ended")) == ("run_ended", 1)
    assert {event["run"] for event in events} == {"00c0ffee"}
    assert events[-1]["exit_code"] == code


def test_a_run_that_lives_is_not_recovered(run: Run, theatre: Theatre) -> None:
    recorded(theatre, left())
    with Journal.open() as journal, journal._writing() as connection:
        import psutil

        me = psutil.Process()
        connection.exec_driver_sql(f"UPDATE runs SET pid = {me.pid}, process_started = {me.create_time()!r}")
    code, _, err = run("recover")
    assert code == 3
    assert f"process {os.getpid()} of ada" in err
    assert not theatre.requests


def test_the_beginning_of_an_id_must_be_one_runs(run: Run, theatre: Theatre) -> None:
    recorded(theatre, left(), "00000001")
    recorded(theatre, left(), "00000002")
    code, _, err = run("recover", "0000")
    assert code == 2
    assert "2 unfinished runs match '0000'" in err


# --- unlock ----------------------------------------------------------------------------------------------------------


def test_unlock_breaks_no_lock_of_a_run_that_is_to_be_recovered(run: Run, theatre: Theatre) -> None:
    recorded(theatre, left())
    code, _, err = run("unlock", "--break", "00c0ffee")
    assert code == 3
    assert "Next: pyrunbook recover 00c0ffee" in err
    assert run("unlock", "--break", "00c0ffee", "--force", scenes=(good(),))[0] == 0
    assert theatre.requests[-1].extra_vars == {"unlock_holder": "00c0ffee"}
    assert run("unlock", scenes=(good(),))[0] == 0
    assert theatre.requests[-1].extra_vars == {"unlock_holder": ""}


# --- the output ------------------------------------------------------------------------------------------------------


def test_a_reader_that_is_gone_changes_no_exit_code(tmp_path: Path, inventory: Path) -> None:
    env = {**os.environ, "PYRUNBOOK_HOME": str(tmp_path / "home"), "PYRUNBOOK_INVENTORY": str(inventory)}
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import played, pyrunbook.execution.run as r;"
        "t = played.Theatre(); t.scenes += [played.rolled_back()]; r.perform = t;"
        "from pyrunbook.cli.main import main; main(['maintenance', '--yes', '--json'])"
    )
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, "-c", code, str(Path(__file__).parent)]
    done = subprocess.run(argv, env=env, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (4, "")
