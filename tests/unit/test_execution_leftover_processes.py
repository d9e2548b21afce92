"""Processes and directories that a run left behind: found by its id, ended for good, and nobody else's."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pyrunbook import places, run_contract, running
from pyrunbook.execution import leftover_processes

RUN = secrets.token_hex(4)
"""One of this process: tests that run beside these must not be taken for leftovers of theirs."""
SAY = "print('ready', flush=True)"


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(leftover_processes, "GRACE", 0.5)


class Children:
    """Real processes that carry a run's id; whatever is left of them goes at the end."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, code: str, run: str = RUN, **options: bool) -> psutil.Process:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, run_contract.ENV_RUN_ID: run},
            stdout=subprocess.PIPE,
            start_new_session=options.get("session", False),
        )
        self.started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return psutil.Process(process.pid)


@pytest.fixture
def children() -> Iterator[Children]:
    made = Children()
    yield made
    for process in made.started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_only_the_processes_of_the_run_are_found_and_ended(children: Children) -> None:
    ours = children.start(f"{SAY}; import time; time.sleep(60)")
    others = children.start(f"{SAY}; import time; time.sleep(60)", run="00000bad")
    assert [process.pid for process in leftover_processes.find(RUN)] == [ours.pid]
    assert leftover_processes.end(RUN) == 1
    assert gone(ours)
    assert not gone(others)
    assert leftover_processes.end(RUN) == 0


def test_a_process_that_ignores_sigterm_in_a_session_of_its_own_is_killed(children: Children) -> None:
    deaf = f"import signal, time; signal.signal(15, signal.SIG_IGN); {SAY}; time.sleep(60)"
    process = children.start(deaf, session=True)
    began = time.monotonic()
    assert leftover_processes.end(RUN) == 1
    assert gone(process)
    assert time.monotonic() - began >= 0.5


def test_a_process_may_clean_up_on_sigterm(children: Children, tmp_path: Path) -> None:
    mark = tmp_path / "cleaned"
    clean = (
        f"import signal, sys, time; signal.signal(15, lambda *_: (open({str(mark)!r}, 'w'), sys.exit()));"
        f"{SAY}; time.sleep(60)"
    )
    children.start(clean)
    leftover_processes.end(RUN)
    assert mark.exists()


def test_what_a_process_starts_while_it_is_ended_is_ended_as_well(children: Children, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    phoenix = (
        "import os, signal, subprocess, sys, time\n"
        "def again(*_):\n"
        "    child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        f"    open({str(mark)!r}, 'w').write(str(child.pid))\n"
        "    os._exit(0)\n"
        f"signal.signal(15, again)\n{SAY}\ntime.sleep(60)"
    )
    children.start(phoenix)
    assert leftover_processes.end(RUN) == 2
    child = int(mark.read_text())
    assert not psutil.pid_exists(child) or gone(psutil.Process(child))


def test_we_and_what_we_descend_from_are_spared(children: Children) -> None:
    asked = "from pyrunbook.execution import leftover_processes; import os; print('ready', flush=True);"
    # The shell, too, carries the id: a hook, or an operator who has exported it.
    script = (
        f"{asked} print([p.pid for p in leftover_processes.find('{RUN}')], leftover_processes.end('{RUN}'), flush=True)"
    )
    process = subprocess.run(
        ["sh", "-c", f'{sys.executable} -c "{script}"; true'],
        env={**os.environ, run_contract.ENV_RUN_ID: RUN},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert process.stdout == "ready\n[] 0\n"


def test_directories_of_dead_plays_are_removed_and_those_of_the_living_are_not(children: Children) -> None:
    """At once, however young they are; while a process of the run is left, the directory stays, without inputs."""
    old = {name: places.running() / f"{name}-x" for name in (RUN, "00000bad")}
    for directory in old.values():
        (directory / "env").mkdir(parents=True)
        (directory / "env/extravars").write_text("secret")
    children.start(f"{SAY}; import time; time.sleep(60)")
    with running.directory("0000f4e5") as held:
        (held / "extravars").write_text("secret")
        leftover_processes.clear_directories()
        assert sorted(path.name for path in places.running().iterdir()) == sorted([f"{RUN}-x", held.name])
        assert not list(old[RUN].iterdir())
        assert (held / "extravars").exists()
        leftover_processes.end(RUN)
        assert [path.name for path in places.running().iterdir()] == [held.name]
    assert not list(places.running().iterdir())


def test_the_next_command_of_any_kind_removes_what_a_killed_run_left() -> None:
    """As soon as its process is gone, without waiting and without knowing the run."""
    holding = "import time; from pyrunbook import running\nwith running.directory('0000aced') as d:\n (d / 'x').touch()"
    waits = f"{holding}\n print(d, flush=True)\n time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    directory = Path(process.stdout.readline().strip())
    any_command = [sys.executable, "-m", "pyrunbook", "list"]
    subprocess.run(any_command, stdout=subprocess.DEVNULL, timeout=60, check=True)
    assert list(directory.iterdir()), "it is alive"
    process.kill()
    process.wait()
    subprocess.run(any_command, stdout=subprocess.DEVNULL, timeout=60, check=True)
    assert not list(directory.iterdir())
