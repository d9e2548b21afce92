"""What `run` and `maintenance` ask and wait for before a play begins."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from service_variables import HOST

from pyrunbook import catalog
from pyrunbook.cli import run as command
from pyrunbook.errors import BadInput
from pyrunbook.execution import inventory
from pyrunbook.journal import JournalError

UPDATE = "maintenance/production_update"
SUNDAY = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PYRUNBOOK_JOURNAL", raising=False)


# --- when the windows of all services are open -----------------------------------------------------------------------


def opening(*windows: str, at: datetime = SUNDAY - timedelta(hours=1), spec: str | None = None) -> datetime:
    runbook = catalog.load().get(UPDATE)
    schedules = [runbook.schedule({"update_window": window}, spec=spec) for window in windows]
    return command._opening(UPDATE, schedules, at)


def test_an_open_window_is_not_waited_for() -> None:
    assert opening("always") == SUNDAY - timedelta(hours=1)
    assert opening("Sun 02:00-04:00 UTC", at=SUNDAY + timedelta(minutes=5)) == SUNDAY + timedelta(minutes=5)


def test_the_window_of_one_service() -> None:
    assert opening("Sun 02:00-04:00 UTC") == SUNDAY
    # 30 minutes and 10 in reserve no longer fit: a week later.
    assert opening("Sun 02:00-04:00 UTC", at=SUNDAY + timedelta(minutes=90)) == SUNDAY + timedelta(days=7)


def test_the_first_instant_that_all_windows_share() -> None:
    assert opening("daily 01:00-03:00 UTC", "Sun 02:00-04:00 UTC", "always") == SUNDAY
    monday = SUNDAY + timedelta(days=1)
    assert opening("daily 02:00-04:00 UTC", "Mon 01:00-05:00 UTC", at=SUNDAY) == monday


def test_a_window_of_the_command_line_goes_before_the_inventorys() -> None:
    assert opening("Mon 02:00-04:00 UTC", spec="Sun 02:00-04:00 UTC") == SUNDAY


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        (("daily 01:00-02:00 UTC", "daily 03:00-04:00 UTC"), "never open at the same time"),
        (("always", "RRULE:FREQ=DAILY;UNTIL=20201231 02:00 2h UTC"), "The window never opens: .*does not open again"),
        (("daily 02:00-02:10 UTC",), "The window never opens: .*30 min"),
        (("{{ window }}",), "as a template"),
    ],
)
def test_what_never_opens_is_not_waited_for(windows: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        opening(*windows)


class Clock:
    """A clock that `sleep` turns, in place of the two that the command uses."""

    def __init__(self, now: datetime) -> None:
        self.moment = now
        self.slept: list[float] = []

    def now(self, zone: Any) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)


def wait(monkeypatch: pytest.MonkeyPatch, clock: Clock, **extra: Any) -> None:
    monkeypatch.setattr(command, "datetime", clock)
    monkeypatch.setattr(command.time, "sleep", clock.sleep)
    web = {**HOST, "update_window": "Sun 02:00-04:00 UTC"}
    monkeypatch.setattr(inventory, "services", lambda sources, limit="": {"web": web})
    command._wait(catalog.load().get(UPDATE), ("/inventory",), {"limit": "", "window": ""}, extra)


def test_waiting_ends_when_the_window_opens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(SUNDAY - timedelta(minutes=2, seconds=10.5))
    wait(monkeypatch, clock)
    assert clock.moment == SUNDAY
    assert clock.slept == [30.0] * 4 + [10.5]
    assert capsys.readouterr().err == "Waiting for the window: opens Sun 2026-11-22 02:00 UTC, in 2 min 10 s\n"


def test_inputs_of_the_command_line_go_before_the_inventorys(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(SUNDAY)
    wait(monkeypatch, clock, update_window="Sun 02:10-04:00 UTC")
    assert clock.moment == SUNDAY + timedelta(minutes=10)


def test_what_the_inventory_lacks_is_known_before_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(SUNDAY - timedelta(hours=6))
    with pytest.raises(BadInput, match="service_manager is missing"):
        wait(monkeypatch, clock, service_manager="")
    assert not clock.slept


def test_a_journal_that_cannot_be_used_is_known_before_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRUNBOOK_JOURNAL", "sqlite:////proc/no/such/journal.db")
    clock = Clock(SUNDAY - timedelta(hours=6))
    with pytest.raises(JournalError):
        wait(monkeypatch, clock)
    assert not clock.slept


# --- what is asked on a terminal -------------------------------------------------------------------------------------


class Terminal:
    """`pyrunbook ARGS` on a pseudo-terminal, with a play that only prints what was attested."""

    STAND_IN = (
        "import sys, pyrunbook.execution.run as r\n"
        "def operate(request, shown):\n"
        "    print('ATTESTED', request.extra_vars['preflight_attested'], flush=True)\n"
        "    return r.Result(None, 0)\n"
        "r.operate = operate\n"
        "from pyrunbook.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )

    def __init__(self, tmp_path: Path, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        env = {**os.environ, "PYRUNBOOK_HOME": str(tmp_path / "home"), "TERM": "dumb"}
        argv = [sys.executable, "-c", self.STAND_IN, *arguments]
        self.process = subprocess.Popen(argv, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.text = ""

    def until(self, words: str) -> None:
        deadline = time.monotonic() + 30
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.master, 4096).decode()
                except OSError:  # the other end is closed: all has been read
                    assert words in self.text, self.text
        self.text = self.text.partition(words)[2]

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self) -> int:
        code = self.process.wait(30)
        os.close(self.master)
        return code


def test_prerequisites_are_asked_for_on_a_terminal(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "maintenance")
    terminal.until("The on-call team is available: is that so? [y/N]: ")
    terminal.type("y\n")
    terminal.until("The tests in staging have passed for this very release: is that so? [y/N]: ")
    terminal.type("n\n")
    terminal.until("ATTESTED ['oncall_available']")
    assert terminal.end() == 0


def test_what_was_attested_is_not_asked(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "maintenance", "--attest", "oncall_available")
    terminal.until("staging have passed")
    terminal.type("yes\n")
    terminal.until("ATTESTED ['oncall_available', 'staging_validated']")
    assert terminal.end() == 0


@pytest.mark.parametrize("options", [("--yes",), ("--check",), ("--json",)])
def test_nothing_is_asked_where_nobody_should_have_to_answer(tmp_path: Path, options: tuple[str, ...]) -> None:
    terminal = Terminal(tmp_path, "maintenance", *options)
    terminal.until("ATTESTED " + ("['oncall_available', 'staging_validated']" if "--yes" in options else "[]"))
    assert terminal.end() == 0


@pytest.mark.parametrize("keys", ["\x04", "\x03"])
def test_the_end_of_the_input_or_ctrl_c_ends_the_command(tmp_path: Path, keys: str) -> None:
    terminal = Terminal(tmp_path, "maintenance")
    terminal.until("is that so? [y/N]: ")
    if keys == "\x03":
        time.sleep(0.5)  # until the prompt reads: what comes just before that, Python only notes
        terminal.process.send_signal(signal.SIGINT)
    else:
        terminal.type(keys)
    terminal.until("Aborted; nothing was changed.")
    assert terminal.end() == 130


def test_without_a_terminal_nothing_is_asked(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", Terminal.STAND_IN, "maintenance"]
    env = {**os.environ, "PYRUNBOOK_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "ATTESTED []\n"


# --- before a rollback -----------------------------------------------------------------------------------------------


def test_where_nobody_can_answer_a_rollback_asks_for_yes(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("web\n")
    argv = [sys.executable, "-m", "pyrunbook", "rollback", "abcd1234", "-i", str(tmp_path / "hosts")]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "nobody is there to say whether to put it back" in done.stderr
    assert "pyrunbook rollback abcd1234 --yes" in done.stderr
