"""Script hooks: the exit code is the outcome, and nothing that was started stays."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyrunbook.errors import BadInput
from pyrunbook.rollout.hooks import Hook, check_startable, perform
from pyrunbook.verdict import Verdict


def shell(script: str, **data: Any) -> Hook:
    return Hook.parse({"name": "own check", "argv": ["sh", "-c", script], **data})


def is_gone(pid: int) -> bool:
    """Whether the process has ended, within three seconds; one that nobody has reaped yet counts as ended."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("script", "verdict", "detail"),
    [
        ("exit 0", Verdict.PASS, "sh passed"),
        ("echo two orders are missing; exit 1", Verdict.FAIL, "sh exited 1: two orders are missing"),
        ("echo the counter is empty >&2; exit 75", Verdict.NO_DATA, "sh had nothing to judge by: the counter is empty"),
        ("exit 127", Verdict.FAIL, "sh exited 127"),
        ("kill -SEGV $$", Verdict.ERROR, f"sh was ended by signal {int(signal.SIGSEGV)}"),
        ("kill -KILL $$", Verdict.ERROR, "sh was ended by signal 9"),
    ],
)
def test_the_exit_code_is_the_outcome(script: str, verdict: Verdict, detail: str) -> None:
    result = perform(shell(script))
    assert (result.verdict, result.detail) == (verdict, detail)
    assert result.passed == (verdict is Verdict.PASS)
    assert result.evidence["argv"] == ["sh", "-c", script]


def test_a_timeout_is_an_error_and_ends_grandchildren(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hook = shell(f"echo begun; sleep 60 & echo $! > {pids}; echo $$ >> {pids}; sleep 60", timeout=0.5)
    began = time.monotonic()
    result = perform(hook)
    assert time.monotonic() - began < 5
    assert (result.verdict, result.detail) == (Verdict.ERROR, "sh was ended after 0.5 s: begun")
    for pid in map(int, pids.read_text().split()):
        assert is_gone(pid)


def test_what_runs_on_in_the_background_holds_nobody_up(tmp_path: Path) -> None:
    """Not even when it has left the session and keeps the output open."""
    pid = tmp_path / "pid"
    background = f"import os, time; os.setsid(); open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(30)"
    began = time.monotonic()
    result = perform(
        shell(f'python3 -c "{background}" & while [ ! -s {pid} ]; do sleep 0.05; done; exit 0', timeout=20)
    )
    took = time.monotonic() - began
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert took < 15
    assert result.verdict is Verdict.PASS


def test_a_program_that_is_not_there_or_not_executable_is_an_error(tmp_path: Path) -> None:
    script = tmp_path / "check.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    for argv in (["/nonexistent/check"], [str(script)], [str(tmp_path)]):
        hook = Hook.parse({"argv": argv})
        result = perform(hook)
        assert result.verdict is Verdict.ERROR
        assert "did not start" in result.detail
        with pytest.raises(BadInput, match="is not an executable file"):
            check_startable(hook)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    check_startable(Hook.parse({"argv": [str(script)]}))
    check_startable(Hook.parse({"argv": ["./check.sh"], "directory": str(tmp_path)}))
    assert perform(Hook.parse({"argv": ["./check.sh"], "directory": str(tmp_path)})).passed


def test_startable_on_path_and_in_a_directory(tmp_path: Path) -> None:
    check_startable(shell("exit 0"))
    with pytest.raises(BadInput, match="no-such-program-here is not an executable"):
        check_startable(Hook.parse({"argv": ["no-such-program-here"]}))
    with pytest.raises(BadInput, match="is not a directory"):
        check_startable(shell("exit 0", directory=str(tmp_path / "gone")))


def test_environment_and_directory(tmp_path: Path) -> None:
    hook = shell("echo $PYRUNBOOK_URL $OWN $(pwd)", environment={"OWN": 7}, directory=str(tmp_path))
    result = perform(hook, {"PYRUNBOOK_URL": "http://u", "OWN": "overridden by the hook's own"})
    assert result.evidence["output"] == [f"http://u 7 {tmp_path}"]


def test_it_has_no_terminal_to_ask_on() -> None:
    assert perform(shell("read line && exit 0; exit 3")).detail == "sh exited 3"


def test_only_the_end_of_a_long_output_is_kept() -> None:
    result = perform(shell("seq 1 200000; printf '\\377 not utf-8'; exit 1"))
    assert result.evidence["output"][-2] == "200000"
    assert len(result.evidence["output"]) == 20
    assert "not utf-8" in result.detail


def test_words_are_not_given_to_a_shell(tmp_path: Path) -> None:
    perform(Hook.parse({"argv": ["echo", f"; touch {tmp_path}/made", f"$(touch {tmp_path}/made)"]}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "argv must be a list"),
        ({"argv": "rm -rf /"}, "argv must be a list"),
        ({"argv": []}, "argv must be a list"),
        ({"argv": ["x"], "timeout": 0}, "more than 0"),
        ({"argv": ["x"], "timeout": "long"}, "timeout"),
        ({"argv": ["x"], "shell": True}, "unknown key shell"),
    ],
)
def test_what_cannot_be_a_hook_is_refused(data: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Hook.parse(data)


def test_numbers_become_words() -> None:
    assert Hook.parse({"argv": ["sleep", 5]}).argv == ("sleep", "5")
