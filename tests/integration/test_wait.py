"""Waiting for a window, on a real service; and what an operator on a terminal sees."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from operation import report, runs
from sandbox_under_test import Sandbox

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One running sandbox for all: nothing here changes it, but one run that is interrupted."""
    directory = tmp_path_factory.mktemp("wait")
    made = Sandbox(directory / "home", directory / "sandbox")
    made.start()
    yield made
    made.destroy()


def closed_for(seconds: float, directory: Path) -> tuple[str, ...]:
    """Options that close the window of the sandbox until some seconds from now."""
    stamp = "%Y%m%dT%H%M%SZ"
    begin, end = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(seconds=seconds)
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", "UID:freeze@example.com",
        f"DTSTAMP:{begin:{stamp}}", f"DTSTART:{begin:{stamp}}", f"DTEND:{end:{stamp}}", "SUMMARY:Freeze",
        "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip
    path = directory / "freeze.ics"
    path.write_text("\r\n".join(lines))
    return ("-e", json.dumps({"update_window_exclusions": [str(path)]}))


class Terminal:
    """`pyrunbook ARGS` on a pseudo-terminal of its own, which is also its controlling terminal."""

    def __init__(self, sandbox: Sandbox, *args: str) -> None:
        self.text = ""
        argv = [sys.executable, "-m", "pyrunbook", *args]
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, {**sandbox.env, "TERM": "xterm", "COLUMNS": "200"})

    def until(self, pattern: str, seconds: float = 90) -> str:
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < deadline, self.text
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.master, 4096).decode(errors="replace")
                except OSError:
                    assert re.search(pattern, self.text), self.text
        return found[0]

    def hang_up(self) -> None:
        os.close(self.master)

    def end(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def test_a_run_waits_until_its_window_opens_and_then_starts(sandbox: Sandbox, tmp_path: Path) -> None:
    refused = sandbox.run("maintenance", "--yes", "--window", *closed_for(60, tmp_path))
    assert refused.returncode == 3
    assert "freeze.ics" in refused.stdout
    assert "--wait" in refused.stdout
    began = datetime.now(UTC)
    done = sandbox.run("maintenance", "--yes", "--wait", "--check", *closed_for(8, tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"Waiting for the window: opens \w{3} [-0-9]+ [0-9:]+ UTC, in \d+ s\n", done.stderr)
    started = datetime.fromisoformat(report(sandbox)["started"])
    assert started - began >= timedelta(seconds=6)


def test_a_terminal_counts_down_and_ctrl_c_ends_the_wait(sandbox: Sandbox, tmp_path: Path) -> None:
    before = runs(sandbox)
    terminal = Terminal(sandbox, "maintenance", "--yes", "--wait", *closed_for(3600, tmp_path))
    first = terminal.until(r"\rWaiting for the window: opens [^,]*, in 59 min( \d+ s)?")
    terminal.until(r"(\rWaiting.*){3}")
    assert "\n" not in terminal.text
    assert first
    os.write(terminal.master, b"\x03")
    terminal.until("Aborted; nothing was changed.")
    assert terminal.end() == 130
    terminal.hang_up()
    assert runs(sandbox) == before


def test_a_signal_ends_the_wait(sandbox: Sandbox, tmp_path: Path) -> None:
    before = runs(sandbox)
    argv = [sys.executable, "-m", "pyrunbook", "maintenance", "--yes", "--wait", *closed_for(3600, tmp_path)]
    process = subprocess.Popen(argv, env=sandbox.env, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Waiting for the window")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "\nAborted; nothing was changed.\n")
    assert runs(sandbox) == before


@pytest.mark.long
def test_a_terminal_that_is_hung_up_in_the_middle_gets_its_run_put_back(sandbox: Sandbox) -> None:
    """An ssh session that breaks: nobody reads any more, and the first signal is SIGHUP."""
    terminal = Terminal(sandbox, "maintenance", "--yes")
    terminal.until(r"✓\S* Deploy 1.1.0 to green")
    terminal.hang_up()
    assert terminal.end() == 130
    told = report(sandbox)
    assert (told["outcome"], told["cause"]) == ("canceled", "ended by SIGHUP")
    assert sandbox.status()["active"] == "blue"
    assert sandbox.status()["colors"]["green"]["running"] is False
    assert not (sandbox.directory / "state" / "lock.json").exists()
