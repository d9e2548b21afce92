"""The journal on SQLite and on PostgreSQL: the same tests, the same behaviour."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from pyrunbook.errors import BadInput, ExitCode
from pyrunbook.journal import (
    BadJournalUrl,
    Journal,
    JournalError,
    Outcome,
    RunStart,
    StepOutcome,
    migrate,
    new_run_id,
    schema,
)

NOW = datetime(2026, 11, 22, 2, 5, tzinfo=UTC)
START = RunStart(
    id="7f3a0000",
    runbook="maintenance/production_update",
    operator="ada",
    machine="ops1",
    pid=4711,
    process_started=1795313100.25,
    inventory="inventories/sandbox",
    inputs={"release": "1.1.0"},
    strategy="zero_downtime",
)


class Clock:
    """Moves one second each time it is asked."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def _postgresql_programs() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """URL of an empty PostgreSQL server: the one named in the environment, or one of our own."""
    given = os.environ.get("PYRUNBOOK_TEST_POSTGRESQL")
    if given:
        yield given
        return
    programs = _postgresql_programs()
    if programs is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed (Debian package postgresql), and CI must not skip it")
        pytest.skip("PostgreSQL is not installed (Debian package postgresql); or set PYRUNBOOK_TEST_POSTGRESQL")
    directory = Path(tempfile.mkdtemp(prefix="pyrunbook-pg-", dir="/tmp"))
    # The server refuses to run as root.
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(directory, "nobody", "nogroup")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (directory / "password").write_text("hunter2hunter2")
    (directory / "password").chmod(0o644)
    data = directory / "data"

    def call(program: str, *arguments: str) -> None:
        log = directory / "log"
        with log.open("a") as output:
            done = subprocess.run(
                [str(programs / program), "-D", str(data), *arguments],
                stdout=output, stderr=output, cwd=directory, timeout=120, **as_user,
            )  # fmt: skip
        if done.returncode:
            pytest.fail(f"{program} failed: {log.read_text()[-2000:]}")

    call(
        "initdb", "-U", "tester", "-A", "scram-sha-256", f"--pwfile={directory / 'password'}", "--no-sync", "-E", "UTF8"
    )
    options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={directory} -c fsync=off"
    call("pg_ctl", "-w", "-l", str(directory / "data" / "server.log"), "-o", options, "start")
    try:
        yield f"postgresql://tester:hunter2hunter2@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(directory)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a journal that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/journal.db"
    server = make_url(request.getfixturevalue("postgresql")).set(drivername="postgresql+psycopg")
    name = f"journal_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name, drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    with Journal.open(url, clock=Clock()) as journal:
        yield journal


def _execute(url: str, *statements: str) -> list[Any]:
    """What other programs could do to the database."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed)
    result: list[Any] = []
    with engine.begin() as connection:
        for statement in statements:
            done = connection.execute(text(statement))
            result = list(done) if done.returns_rows else []
    engine.dispose()
    return result


# --- what is written can be read --------------------------------------------------------------------------------


def test_a_whole_run(journal: Journal) -> None:
    run, service = START.id, "agent-factory"
    assert journal.start_run(START) == 1
    journal.add_service(run, service, "host")
    journal.record_window(run, service, {"open": True, "closes": "2026-11-22T04:00:00Z"}, None)
    journal.add_attestation(run, service, "oncall_available", "ada", NOW)
    journal.start_step(run, service, "backup", "Back up the service")
    begun = journal.get(run)
    assert (begun.finished, begun.outcome, begun.changed) == (False, None, False)
    assert begun.services[0].steps[0].ended is None
    assert begun.services[0].steps[0].outcome is None
    journal.end_step(run, service, "backup", "ok", "12 files, restored and compared")
    journal.add_evidence(run, service, "backup", "files", {"count": 12, "seconds": 0.5})
    journal.record_plan(run, service, run, "a" * 64)
    journal.start_step(run, service, "switch_service", "Switch traffic to green")
    journal.end_step(run, service, "switch_service", "failed", error="409 in 3 attempts")
    journal.conclude(run, service, "rolled_back", "the switch failed")
    journal.end_run(run, Outcome.ROLLED_BACK, "the switch failed")

    read = journal.get("latest")
    assert (read.id, read.outcome, read.cause, read.attempt) == (run, Outcome.ROLLED_BACK, "the switch failed", 1)
    assert (read.operator, read.machine, read.pid, read.process_started) == ("ada", "ops1", 4711, 1795313100.25)
    assert (read.inputs, read.strategy, read.mode) == ({"release": "1.1.0"}, "zero_downtime", "run")
    assert read.started.tzinfo is not None
    assert read.started.utcoffset() == timedelta(0)
    assert NOW < read.started < NOW + timedelta(minutes=1)
    assert read.seconds is not None and read.seconds > 0
    (part,) = read.services
    assert (part.service, part.platform, part.changed, part.plan_id) == (service, "host", True, run)
    assert part.plan_checksum == "a" * 64
    assert part.window == {"open": True, "closes": "2026-11-22T04:00:00Z"}
    assert [(item.name, item.by, item.at) for item in part.attestations] == [("oncall_available", "ada", NOW)]
    assert [(item.step, item.name, item.value) for item in part.evidence] == [
        ("backup", "files", {"count": 12, "seconds": 0.5})
    ]
    assert [(step.step, step.position, step.outcome, step.seconds) for step in part.steps] == [
        ("backup", 1, StepOutcome.OK, 1.0),
        ("switch_service", 2, StepOutcome.FAILED, 1.0),
    ]
    assert part.steps[1].error == "409 in 3 attempts"
    as_dict = json.loads(json.dumps(read.as_dict()))
    assert as_dict["outcome"] == "rolled_back"
    assert as_dict["services"][0]["steps"][0]["started"].startswith("2026-11-22T02:05:")
    assert as_dict["services"][0]["steps"][0]["started"].endswith("Z")


def test_what_is_written_together_is_there_whole_or_not_at_all(journal: Journal, url: str) -> None:
    journal.start_run(START)
    with pytest.raises(JournalError, match="has no service"), journal.together():
        journal.add_service(START.id, "web", "host")
        journal.conclude(START.id, "shop", "succeeded")
    assert not journal.get(START.id).services
    with journal.together():
        journal.add_service(START.id, "web", "host")
        journal.start_step(START.id, "web", "backup", "Back up")
        with Journal.open(url) as other:
            assert not other.get(START.id).services
    assert [step.step for step in journal.get(START.id).services[0].steps] == ["backup"]
    journal.end_step(START.id, "web", "backup", "ok")
    assert journal.get(START.id).services[0].steps[0].outcome == "ok"


def test_an_unannounced_end_of_a_step_is_kept(journal: Journal) -> None:
    journal.start_run(START)
    journal.add_service(START.id, "s", "host")
    journal.end_step(START.id, "s", "backup", "unreachable", error="no route")
    (step,) = journal.get(START.id).services[0].steps
    assert (step.step, step.outcome, step.error, step.seconds) == ("backup", "unreachable", "no route", 0.0)


def test_a_step_that_runs_twice_in_a_run_is_two_rows(journal: Journal) -> None:
    journal.start_run(START)
    journal.add_service(START.id, "s", "host")
    for outcome in ("failed", "ok"):
        journal.start_step(START.id, "s", "verify", "Verify")
        journal.end_step(START.id, "s", "verify", outcome)
    assert [step.outcome for step in journal.get(START.id).services[0].steps] == ["failed", "ok"]


def test_services_of_a_run_keep_their_order_and_their_own_steps(journal: Journal) -> None:
    journal.start_run(START)
    for service in ("zeta", "alpha"):
        journal.add_service(START.id, service, "host")
        journal.start_step(START.id, service, f"of_{service}", "x")
    read = journal.get(START.id)
    assert [part.service for part in read.services] == ["zeta", "alpha"]
    assert [part.steps[0].step for part in read.services] == ["of_zeta", "of_alpha"]
    alpha = read.service("alpha")
    assert alpha is not None and alpha.steps[0].position == 1
    assert read.service("beta") is None


def test_taking_up_an_unfinished_run_again(journal: Journal) -> None:
    journal.start_run(START)
    journal.add_service(START.id, "s", "host")
    journal.record_plan(START.id, "s", START.id, "b" * 64)
    journal.start_step(START.id, "s", "switch_service", "Switch")
    again = replace(START, pid=4712, process_started=5.5, machine="ops2", operator="bob", mode="recover")
    assert journal.start_run(again) == 2
    journal.add_service(START.id, "s", "host")
    journal.start_step(START.id, "s", "switch_service", "Switch")
    journal.end_step(START.id, "s", "switch_service", "ok")
    read = journal.get(START.id)
    assert (read.attempt, read.pid, read.process_started, read.machine) == (2, 4712, 5.5, "ops2")
    assert (read.mode, read.operator) == ("recover", "bob")
    (part,) = read.services
    assert part.changed, "the plan of the first attempt must not be forgotten"
    assert part.plan_checksum == "b" * 64
    assert [(step.attempt, step.position, step.outcome) for step in part.steps] == [(1, 1, None), (2, 2, "ok")]


def test_a_step_of_an_earlier_attempt_stays_as_it_was(journal: Journal) -> None:
    """The process died in it; the end that a later attempt reports is not its end."""
    journal.start_run(START)
    journal.add_service(START.id, "s", "host")
    journal.start_step(START.id, "s", "switch_service", "Switch")
    journal.start_run(START)
    journal.end_step(START.id, "s", "switch_service", "skipped")
    steps = journal.get(START.id).services[0].steps
    assert [(step.attempt, step.outcome) for step in steps] == [(1, None), (2, "skipped")]


def test_a_rollback_that_succeeds_late_replaces_one_that_failed(journal: Journal) -> None:
    journal.start_run(START)
    journal.end_run(START.id, "rollback_failed", "disk full")
    journal.end_run(START.id, "rolled_back", "disk full")
    assert journal.get(START.id).outcome == "rolled_back"
    with pytest.raises(JournalError, match="has already ended"):
        journal.end_run(START.id, "succeeded")


def test_a_run_that_has_ended_stays_ended(journal: Journal) -> None:
    journal.start_run(START)
    journal.end_run(START.id, "succeeded", None)
    with pytest.raises(JournalError, match="has already ended"):
        journal.start_run(START)
    with pytest.raises(JournalError, match="has already ended"):
        journal.end_run(START.id, "failed", "late")
    assert journal.get(START.id).outcome == Outcome.SUCCEEDED


def test_a_run_that_could_not_be_put_back_has_not_ended(journal: Journal) -> None:
    journal.start_run(START)
    journal.add_service(START.id, "s", "host")
    journal.record_plan(START.id, "s", START.id, "d" * 64)
    journal.conclude(START.id, "s", "rollback_failed", "disk full")
    journal.end_run(START.id, "rollback_failed", "disk full")
    (open_run,) = journal.unfinished("s")
    assert (open_run.finished, open_run.outcome, open_run.cause) == (False, "rollback_failed", "disk full")
    assert journal.start_run(replace(START, mode="recover")) == 2
    assert (journal.get(START.id).outcome, journal.get(START.id).ended) == (None, None)
    journal.add_service(START.id, "s", "host")
    journal.conclude(START.id, "s", "rolled_back", "disk full")
    journal.end_run(START.id, "rolled_back", "disk full")
    assert journal.unfinished("s") == journal.unfinished() == []
    assert journal.get(START.id).finished


def test_an_id_belongs_to_one_runbook(journal: Journal) -> None:
    journal.start_run(START)
    with pytest.raises(JournalError, match="not of maintenance/other"):
        journal.start_run(replace(START, runbook="maintenance/other"))


def test_what_does_not_exist_cannot_be_written_to(journal: Journal) -> None:
    journal.start_run(START)
    with pytest.raises(JournalError, match="run ffffffff is not in the journal"):
        journal.start_step("ffffffff", "s", "backup", "x")
    with pytest.raises(JournalError, match="has no service s"):
        journal.record_plan(START.id, "s", "p", "c")
    with pytest.raises(JournalError):
        journal.start_step(START.id, "never_added", "backup", "x")
    with pytest.raises(ValueError, match="no time zone"):
        journal.add_service(START.id, "s", "host")
        journal.add_attestation(START.id, "s", "n", "ada", NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="perfect"):
        journal.end_run(START.id, "perfect")


# --- finding runs ------------------------------------------------------------------------------------------------


def test_prefix_lookup(journal: Journal) -> None:
    for run in ("7f3a0000", "7f3b0000", "abcd0000", "abcd00001"):
        journal.start_run(replace(START, id=run))
    assert journal.get("7f3a").id == "7f3a0000"
    assert journal.get("abcd0000").id == "abcd0000", "an exact id wins over a longer one"
    assert journal.get("latest").id == "abcd00001"
    with pytest.raises(BadInput, match=r"several runs begin with '7f3': 7f3b0000 .*7f3a0000"):
        journal.get("7f3")
    for wrong in ("nope", "", "%", "_f3a0000", "7f3a00000"):
        with pytest.raises(BadInput, match=r"no run .*abcd0000"):
            journal.get(wrong)


def test_nothing_recorded_yet(journal: Journal) -> None:
    assert journal.history() == []
    assert journal.unfinished() == []
    for wanted in ("latest", "7f3a"):
        with pytest.raises(BadInput, match="nothing has been recorded"):
            journal.get(wanted)


def test_history_filters_and_order(journal: Journal) -> None:
    for number, (runbook, service, outcome) in enumerate(
        [("a/one", "x", "succeeded"), ("a/two", "x", "rolled_back"), ("a/one", "y", None), ("a/one", "x", "refused")]
    ):
        run = f"{number:08x}"
        journal.start_run(replace(START, id=run, runbook=runbook))
        journal.add_service(run, service, "host")
        journal.start_step(run, service, "s", "S")
        if outcome:
            journal.conclude(run, service, outcome, None)
            journal.end_run(run, outcome)

    def ids(**filters: Any) -> list[int]:
        return [int(run.id, 16) for run in journal.history(**filters)]

    assert ids() == [3, 2, 1, 0]
    assert ids(limit=2) == [3, 2]
    assert ids(limit=None) == [3, 2, 1, 0]
    assert ids(runbook="a/one") == [3, 2, 0]
    assert ids(service="x") == [3, 1, 0]
    assert ids(outcome="rolled_back") == [1]
    assert ids(service="x", runbook="a/one", limit=1) == [3]
    assert journal.history()[0].services[0].service == "x"
    assert [int(run.id, 16) for run in journal.unfinished()] == [2]
    assert journal.unfinished()[0].services[0].steps[0].step == "s"
    assert journal.unfinished("x") == []
    assert len(journal.unfinished("y")) == 1


def test_a_service_that_was_concluded_is_not_unfinished(journal: Journal) -> None:
    journal.start_run(START)
    for service in ("x", "y"):
        journal.add_service(START.id, service, "host")
    journal.conclude(START.id, "x", "succeeded")
    assert journal.unfinished("x") == []
    assert [run.id for run in journal.unfinished("y")] == [START.id]
    journal.add_service(START.id, "x", "host")
    assert [run.id for run in journal.unfinished("x")] == [START.id], "worked on again, it is open again"


# --- no secret is written ----------------------------------------------------------------------------------------


def test_nothing_secret_is_written(journal: Journal, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "Kanarie7x9Qz"
    journal.hide(canary)
    service = "s"
    journal.start_run(replace(START, inputs={"db_password": "Other-Secret", "note": f"it is {canary}"}))
    journal.add_service(START.id, service, "host")
    journal.record_window(START.id, service, {"why": canary}, f"because {canary}")
    journal.start_step(START.id, service, "a", f"Do {canary}")
    journal.end_step(START.id, service, "a", "failed", f"saw {canary}", f"token=Other-Secret {canary}")
    journal.add_evidence(
        START.id, service, "a", "answer", {"headers": {"Authorization": "Other-Secret"}, "x": [canary]}
    )
    journal.add_evidence(START.id, service, "a", "api_token", "Other-Secret")
    journal.conclude(START.id, service, "failed", canary)
    journal.end_run(START.id, "failed", f"password: Other-Secret {canary}")
    read = json.dumps(journal.get(START.id).as_dict())
    assert canary not in read
    assert "Other-Secret" not in read
    assert "it is [redacted]" in read
    if url.startswith("sqlite"):
        assert canary.encode() not in Path(make_url(url).database or "").read_bytes()


def test_secrets_of_the_environment_are_known(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "Kanarie7x9Qz")
    monkeypatch.setenv("API_KEY", "/Kanarie7x9Qz+/x")
    monkeypatch.setenv("PWD", "/usr/share")
    with Journal.open(url) as journal:
        note = "uses Kanarie7x9Qz and /Kanarie7x9Qz+/x in /usr/share"
        journal.start_run(replace(START, inputs={"note": note}))
        assert journal.get(START.id).inputs == {"note": "uses [redacted] and [redacted] in /usr/share"}


# --- several processes, and processes that die ---------------------------------------------------------------------


def _python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


WRITER = """
import sys
from pyrunbook.journal import Journal, RunStart
url, run, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Journal.open(url) as journal:
    journal.start_run(RunStart(id=run, runbook="a/b", operator="o", machine="m", pid=1, process_started=1.0,
                                inventory="i"))
    journal.add_service(run, "s", "host")
    for number in range(count):
        journal.start_step(run, "s", f"step{number}", "x")
        journal.end_step(run, "s", f"step{number}", "ok")
        journal.get("latest")
"""


def test_several_processes_write_at_once_also_the_first_time(url: str) -> None:
    """All of them find no schema, one of them creates it, nobody fails and nothing is lost."""
    writers = [_python(WRITER, url, f"{number:08x}", "15") for number in range(4)]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    with Journal.open(url) as journal:
        assert len(journal.history()) == 4
        for number in range(4):
            steps = journal.get(f"{number:08x}").services[0].steps
            assert [step.position for step in steps] == list(range(1, 16))
            assert all(step.outcome == "ok" for step in steps)


def test_two_writers_in_one_process(journal: Journal) -> None:
    journal.start_run(START)
    errors: list[BaseException] = []

    def write(service: str) -> None:
        try:
            journal.add_service(START.id, service, "host")
            for _ in range(20):
                journal.start_step(START.id, service, "s", "S")
                journal.end_step(START.id, service, "s", "ok")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(f"s{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [len(part.steps) for part in journal.get(START.id).services] == [20, 20, 20]


def test_a_step_is_recorded_before_it_begins(url: str) -> None:
    """SIGKILL right after `start_step` has returned: the row is there."""
    killed = _python(
        """
import os, signal, sys
from pyrunbook.journal import Journal, RunStart
journal = Journal.open(sys.argv[1])
journal.start_run(RunStart(id="deadbeef", runbook="a/b", operator="o", machine="m", pid=os.getpid(),
                           process_started=1.0,
                           inventory="i"))
journal.add_service("deadbeef", "s", "host")
journal.record_plan("deadbeef", "s", "deadbeef", "c" * 64)
journal.start_step("deadbeef", "s", "switch_service", "Switch traffic")
os.kill(os.getpid(), signal.SIGKILL)
""",
        url,
    )
    _, errors = killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL, errors
    with Journal.open(url) as journal:
        (run,) = journal.unfinished("s")
        assert run.changed
        assert [(step.step, step.outcome) for step in run.services[0].steps] == [("switch_service", None)]


def test_a_process_that_dies_inside_a_transaction_leaves_nothing_and_blocks_nobody(url: str) -> None:
    with Journal.open(url) as journal:
        journal.start_run(START)
    killed = _python(
        """
import os, signal, sys
from sqlalchemy import update
from pyrunbook.journal import Journal, schema
journal = Journal.open(sys.argv[1])
with journal._writing() as connection:
    connection.execute(update(schema.runs).values(operator="half written"))
    print("inside", flush=True)
    signal.pause()
""",
        url,
    )
    assert killed.stdout is not None and killed.stdout.readline() == "inside\n"
    killed.kill()
    killed.communicate(timeout=30)
    with Journal.open(url) as journal:
        journal.add_service(START.id, "s", "host")
        assert journal.get(START.id).operator == "ada"


def test_sqlite_commits_are_on_the_disk(tmp_path: Path) -> None:
    """EXTRA with a rollback journal, FULL at least with a write-ahead log: a power cut loses no commit."""
    with Journal.open(f"sqlite:///{tmp_path}/j.db") as journal, journal._writing() as connection:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar()
        assert (mode, connection.execute(text("PRAGMA synchronous")).scalar()) == ("delete", 3)
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_forked_child_can_neither_disturb_nor_inherit(journal: Journal) -> None:
    """Ansible forks its workers after the callback has opened the journal."""
    journal.start_run(START)
    journal.add_service(START.id, "s", "host")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    journal.start_step(START.id, "s", "a", "A")
    assert journal.get(START.id).services[0].steps[0].step == "a"


# --- schema --------------------------------------------------------------------------------------------------------


def test_tables_and_migrations_agree(journal: Journal) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with journal._reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    assert ScriptDirectory(str(migrate.MIGRATIONS)).get_heads() == [schema.HEAD]


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Turns this code into a later version of itself, with one more migration; the result turns it back."""
    later = tmp_path / "later"
    shutil.copytree(migrate.MIGRATIONS, later, ignore=shutil.ignore_patterns("__pycache__"))
    (later / "versions" / "r9999_note.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = '9999'\ndown_revision = '{schema.HEAD}'\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('runs') as runs:\n"
        "        runs.add_column(sa.Column('note', sa.Text, nullable=False, server_default='none'))\n"
    )

    def turn() -> Any:
        monkeypatch.setattr(schema, "HEAD", "9999")
        monkeypatch.setattr(migrate, "MIGRATIONS", later)
        return monkeypatch.undo

    return turn


def test_an_old_schema_is_migrated_with_its_data(url: str, next_version: Callable[[], Any]) -> None:
    with Journal.open(url, clock=Clock()) as journal:
        journal.start_run(START)
        journal.add_service(START.id, "s", "host")
        journal.start_step(START.id, "s", "backup", "Back up")
        before = journal.get(START.id)
    next_version()
    with Journal.open(url) as journal:
        assert journal.unfinished()[0].services[0].steps[0].step == "backup"
    assert _execute(url, "SELECT note FROM runs") == [("none",)]
    assert _execute(url, "SELECT version_num FROM alembic_version") == [("9999",)]
    assert before.id == START.id


def test_a_newer_schema_is_refused_and_left_alone(url: str, next_version: Callable[[], Any]) -> None:
    turn_back = next_version()
    Journal.open(url).close()
    turn_back()
    with pytest.raises(
        BadJournalUrl, match=f"has schema 9999; this pyrunbook knows schemas up to {schema.HEAD}"
    ) as caught:
        Journal.open(url)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert "hunter2hunter2" not in str(caught.value)
    assert _execute(url, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_migration_that_fails_changes_nothing(url: str, tmp_path: Path, next_version: Callable[[], Any]) -> None:
    with Journal.open(url) as journal:
        journal.start_run(START)
    turn_back = next_version()
    broken = tmp_path / "later" / "versions" / "r9999_note.py"
    broken.write_text(broken.read_text() + "    raise RuntimeError('half way')\n")
    with pytest.raises(RuntimeError, match="half way"):
        Journal.open(url)
    turn_back()
    with Journal.open(url) as journal:
        assert journal.get(START.id).id == START.id
    with pytest.raises(Exception, match="note"):
        _execute(url, "SELECT note FROM runs")


def test_the_database_of_another_program_is_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(exist_ok=True)
    _execute(url, "CREATE TABLE runs (id INTEGER)")
    with pytest.raises(BadJournalUrl, match="has a table `runs`, but it is not a journal"):
        Journal.open(url)
    _execute(url, "CREATE TABLE alembic_version (version_num VARCHAR(32))")
    _execute(url, "INSERT INTO alembic_version VALUES ('1a2b3c4d5e6f')")
    with pytest.raises(BadJournalUrl, match="belongs to another program"):
        Journal.open(url)


def test_alembic_is_imported_only_to_migrate(tmp_path: Path) -> None:
    code = """
import sys
from pyrunbook.journal import Outcome, new_run_id
assert "sqlalchemy" not in sys.modules, "importing the package must cost nothing"
from pyrunbook.journal import Journal
Journal.open(sys.argv[1]).close()
print("alembic" in sys.modules)
"""
    for expected in ("True\n", "False\n"):
        process = _python(code, f"sqlite:///{tmp_path}/j.db")
        output, errors = process.communicate(timeout=60)
        assert output == expected, errors


# --- errors speak ------------------------------------------------------------------------------------------------


def test_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "state" / "journal.db"
    old = os.umask(0)
    try:
        with Journal.open(f"sqlite:///{path}") as journal:
            journal.start_run(START)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_default_place_is_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PYRUNBOOK_JOURNAL", raising=False)
    assert not Journal.exists()
    Journal.open().close()
    assert Journal.exists()
    assert (tmp_path / "home" / "journal.db").exists()


def test_a_place_where_no_journal_can_be_is_refused_and_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRUNBOOK_HOME", __file__)
    monkeypatch.delenv("PYRUNBOOK_JOURNAL", raising=False)
    assert Journal.exists()
    with pytest.raises(JournalError, match="cannot be used"):
        Journal.open()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("journal.db", "is not a database URL"),
        ("mysql://me:hunter2hunter2@db/x", "cannot be kept in mysql"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://me:hunter2hunter2@db:port/x", "is not a database URL"),
    ],
)
def test_wrong_urls(wrong: str, says: str) -> None:
    with pytest.raises(BadJournalUrl, match=says) as caught:
        Journal.open(wrong)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert caught.value.next_step
    assert "hunter2" not in str(caught.value)


def test_a_server_that_does_not_answer() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(JournalError, match="does not answer") as caught:
            Journal.open(f"postgresql://me:hunter2hunter2@127.0.0.1:{port}/x?password=hunter2hunter2")
    assert f"postgresql+psycopg://me:***@127.0.0.1:{port}/x" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.REFUSED


def test_wrong_credentials(postgresql: str) -> None:
    wrong = make_url(postgresql).set(password="wrongwrong").render_as_string(hide_password=False)
    with pytest.raises(JournalError, match="does not accept these credentials") as caught:
        Journal.open(wrong)
    assert "wrongwrong" not in str(caught.value)


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database, it is a text file that is long enough" * 100)
    with pytest.raises(JournalError, match="is damaged") as caught:
        Journal.open(f"sqlite:///{path}")
    assert str(path) in str(caught.value)
    assert "move the file away" in str(caught.value)


def test_a_full_disk(tmp_path: Path) -> None:
    with Journal.open(f"sqlite:///{tmp_path}/j.db") as journal:
        journal.start_run(START)
        from sqlalchemy import event

        @event.listens_for(journal._engine, "connect")
        def _limit(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA max_page_count = 1")

        with pytest.raises(JournalError, match="disk of the journal is full"):
            for number in range(2000):
                journal.start_run(replace(START, id=f"{number:08x}", inventory="x" * 2000))


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root writes anywhere; needs setpriv")
def test_a_journal_that_may_not_be_written(tmp_path: Path) -> None:
    shared = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        shared.chmod(0o755)
        path = shared / "journal.db"
        Journal.open(f"sqlite:///{path}").close()
        shared.chmod(0o555)
        path.chmod(0o444)
        code = f"""
import sys
from pyrunbook.journal import Journal, JournalError, RunStart
journal = Journal.open("sqlite:///{path}")
assert journal.history() == [], "reading works"
try:
    journal.start_run(RunStart(id="a", runbook="a/b", operator="o", machine="m", pid=1, process_started=1.0,
                                inventory="i"))
except JournalError as error:
    print(error)
"""
        command = [sys.executable, "-c", code]
        if os.geteuid() == 0:
            unprivileged = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
            starts = [*unprivileged, sys.executable, "-c", "import pyrunbook.journal"]
            if subprocess.run(starts, capture_output=True, timeout=60, cwd="/").returncode:
                pytest.skip("an unprivileged user cannot start this Python")
            command = [*unprivileged, *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
        assert "cannot be written by this user" in done.stdout, done.stderr
    finally:
        shared.chmod(0o755)
        shutil.rmtree(shared)


def test_another_writer_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrunbook.journal import database

    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.2)
    url = f"sqlite:///{tmp_path}/j.db"
    with Journal.open(url) as one, Journal.open(url) as two:
        one.start_run(START)
        with one._writing() as connection:
            connection.execute(text("UPDATE runs SET operator = 'x'"))
            assert two.get(START.id).operator == "ada", "a reader does not wait for a writer"
            began = time.monotonic()
            with pytest.raises(JournalError, match="busy for too long"):
                two.end_run(START.id, "failed")
            assert 0.1 < time.monotonic() - began < 5


def test_ids() -> None:
    ids = {new_run_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(run) == 8 and int(run, 16) >= 0 for run in ids)


def test_exit_codes_of_outcomes() -> None:
    assert {outcome.value: int(outcome.exit_code) for outcome in Outcome} == {
        "succeeded": 0, "refused": 3, "failed": 4, "rolled_back": 4, "rollback_failed": 5, "canceled": 130,
        "unreachable": 4, "timed_out": 4, "not_cleaned_up": 8, "contained": 8, "not_contained": 5,
        "left_changed": 5,
    }  # fmt: skip


def test_hosts_are_claimed_by_one_run_of_a_runbook(journal: Journal, url: str) -> None:
    """Eight runs begin at once on the same hosts: one gets them all, the others learn which."""
    runs = [replace(START, id=f"{number:08x}", runbook="/srv/site.yml") for number in range(8)]
    for start in runs:
        journal.start_run(start)
    journal.start_run(replace(START, id="0ther000"))
    assert journal.claim("0ther000", ["w1"], lambda runbook, _: runbook == START.runbook) is None, (
        "a run of another runbook"
    )
    found: dict[str, str | None] = {}

    def same(runbook: str, project: str | None) -> bool:
        return (runbook, project) == ("/srv/site.yml", START.project)

    def claim(run_id: str) -> None:
        with Journal.open(url) as own:
            other = own.claim(run_id, ["w2", "w1"], same)
            found[run_id] = other.id if other else None

    threads = [threading.Thread(target=claim, args=(start.id,)) for start in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (run for run, other in found.items() if other is None)
    assert {other for other in found.values() if other} == {winner}
    assert [part.service for part in journal.get(winner).services] == ["w2", "w1"]
    assert journal.get(next(run for run in found if run != winner)).services == []
    late = replace(START, id="1a7e0000", runbook="/srv/site.yml")
    journal.start_run(late)
    assert journal.claim(late.id, ["w3"], same) is None, "another host"
    for service in ("w1", "w2"):
        journal.conclude(winner, service, Outcome.LEFT_CHANGED)
    journal.end_run(winner, Outcome.LEFT_CHANGED)
    assert journal.claim(next(run for run in found if run != winner), ["w1"], same) is None
