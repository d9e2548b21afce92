"""What ansible-playbook is started with, how it is ended, and what is left of it: nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyrunbook import places
from pyrunbook.errors import BadInput
from pyrunbook.execution import leftover_processes, play
from pyrunbook.execution.play import Request, environment, perform

# Of this process alone: what a run leaves behind is found, and ended, by its id.
RUN_ID = f"{os.getpid():08x}"

ROOT = Path(__file__).resolve().parents[2]
CANARY = "cAnArY-91c2"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "ansible"))
    for name in list(os.environ):
        if name.startswith("ANSIBLE_") and name != "ANSIBLE_HOME":
            monkeypatch.delenv(name)
    return tmp_path / "home"


def request(playbook: Path = ROOT / "playbooks/maintenance/unlock.yml", **changes: Any) -> Request:
    return Request(**{"playbook": playbook, "inventory": ("localhost,",), "run_id": RUN_ID, **changes})


# --- the environment -------------------------------------------------------------------------------------------------


def test_a_long_name_of_the_temporary_directory_leaves_room_for_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp/" + 71 * "x")
    assert environment(request(), tmp_path / "events", tmp_path / "sockets")["TMPDIR"] == str(tmp_path / "sockets")
    monkeypatch.setattr("tempfile.tempdir", "/tmp/" + 70 * "x")
    assert "TMPDIR" not in environment(request(), tmp_path / "events", tmp_path / "sockets")


def test_the_whole_environment(tmp_path: Path) -> None:
    assert environment(request(mode="resume"), tmp_path / "events", tmp_path / "sockets") == {
        "ANSIBLE_AGNOSTIC_BECOME_PROMPT": "true",
        "ANSIBLE_CALLBACKS_ENABLED": "pyrunbook_journal",
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "ansible_collections/pyrunbook/core/plugins/callback"),
        "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "true",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_FORKS": "100",
        "ANSIBLE_HOST_KEY_CHECKING": "true",
        "ANSIBLE_INVENTORY_ENABLED": "pyrunbook.core.pyrunbook_sandbox, host_list, script, auto, yaml, ini, toml",
        "ANSIBLE_NOCOWS": "1",
        "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(tmp_path / "sockets"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYRUNBOOK_CLI_PID": str(os.getpid()),
        "PYRUNBOOK_CONTENT": str(ROOT),
        "PYRUNBOOK_HOME": str(places.home()),
        "PYRUNBOOK_JOURNAL": places.journal_url(),
        "PYRUNBOOK_PLACES": json.dumps(places.in_use()),
        "PYRUNBOOK_EVENTS": str(tmp_path / "events"),
        "PYRUNBOOK_MODE": "resume",
        "PYRUNBOOK_RUN_ID": RUN_ID,
    }


def test_a_project_has_its_own_roles_before_the_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ansible.cfg names none of ours, nor need it: what an older one names of ours is not there any more."""
    for name in ("roles", "more/roles", "galaxy"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ansible.cfg").write_text(
        "[defaults]\nroles_path = more/roles:$PYRUNBOOK_PACKAGE/../roles\n"
        "[inventory]\nenable_plugins = pyrunbook_sandbox, yaml\n"
    )
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(tmp_path))
    given = environment(request(), tmp_path, tmp_path)
    assert given["ANSIBLE_CONFIG"] == str(tmp_path / "ansible.cfg")
    assert given["ANSIBLE_ROLES_PATH"] == f"{tmp_path}/roles:{tmp_path}/more/roles:{ROOT}/roles"
    assert given["ANSIBLE_INVENTORY_ENABLED"] == "pyrunbook.core.pyrunbook_sandbox, yaml"
    monkeypatch.setenv("ANSIBLE_ROLES_PATH", str(tmp_path / "galaxy"))
    given = environment(request(), tmp_path, tmp_path)
    assert given["ANSIBLE_ROLES_PATH"] == f"{tmp_path}/roles:{tmp_path}/galaxy:{ROOT}/roles"
    (tmp_path / "ansible.cfg").unlink()
    assert environment(request(), tmp_path, tmp_path)["ANSIBLE_CONFIG"] == str(ROOT / "ansible.cfg")


def test_what_the_operator_configures_stays_and_the_journal_is_enabled_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "own.cfg"
    config.write_text("[defaults]\nforks = 3\nhost_key_checking = false\ncallbacks_enabled = profile_tasks , timer\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(config))
    given = environment(request(), tmp_path, tmp_path)
    assert given["ANSIBLE_CONFIG"] == str(config)
    assert (given["ANSIBLE_HOST_KEY_CHECKING"], given["ANSIBLE_FORKS"]) == ("false", "3")
    assert given["ANSIBLE_CALLBACKS_ENABLED"] == "profile_tasks,timer,pyrunbook_journal"
    assert given["ANSIBLE_CALLBACK_PLUGINS"].endswith("/pyrunbook/core/plugins/callback")
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", "/their/callbacks")
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "pyrunbook_journal,timer")
    assert environment(request(), tmp_path, tmp_path)["ANSIBLE_CALLBACKS_ENABLED"] == "timer,pyrunbook_journal"
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "pyrunbook.core.pyrunbook_journal,timer")
    monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", "True")
    given = environment(request(), tmp_path, tmp_path)
    assert given["ANSIBLE_CALLBACKS_ENABLED"] == "timer,pyrunbook_journal", "each plugin once"
    assert given["ANSIBLE_CALLBACK_PLUGINS"].endswith("/pyrunbook/core/plugins/callback:/their/callbacks")
    assert given["ANSIBLE_HOST_KEY_CHECKING"] == "True"


def test_the_play_works_where_the_operator_does_so_that_a_relative_path_is_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vault's password, a key, a trust store: whatever Ansible takes from the environment."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "password").write_text("p")
    monkeypatch.chdir(here)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "password")
    ended, _ = Play(tmp_path, command("")).perform()
    assert (ended.code, ended.began) == (0, True), ended.output


def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "own.cfg"
    config.write_text("host_key_checking = false\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(config))
    with pytest.raises(BadInput, match=r"own.cfg cannot be read.*no section headers"):
        environment(request(), tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"check": True}, "--check"),
        ({"diff": True}, "--diff"),
        ({"check": True, "diff": True}, "--check --diff"),
    ],
)
def test_command_line(changes: dict[str, Any], words: str) -> None:
    assert play.command_line(request(**changes)) == words


# --- the end ---------------------------------------------------------------------------------------------------------


def test_ansible_playbook_is_ended_gently_and_then_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    now, sent = [1000.0], []  # type: ignore[var-annotated]
    monkeypatch.setattr(play.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(play.os, "kill", lambda pid, number: sent.append((now[0] - 1000, pid, number.name)))
    gently = play._Gently()
    for now[0] in (1000.0, 1000.1, 1001.9, 1002.0, 1002.1, 1004.9, 1005.0, 1009.9, 1010.0, 1020.0, 1021.0):
        gently(4711)
    assert sent == [
        (0.0, 4711, "SIGINT"),
        (2.0, 4711, "SIGINT"),
        (5.0, 4711, "SIGTERM"),
        (10.0, 4711, "SIGKILL"),
    ]


def test_a_process_that_ended_meanwhile_is_no_error() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    play._Gently()(process.pid)


def test_a_process_that_ignores_signals_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "GRACE", (("SIGINT", 0.0), ("SIGTERM", 0.2), ("SIGKILL", 0.4)))
    deaf = (
        "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; print(1, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", f"{deaf}; time.sleep(60)"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    gently = play._Gently()
    began = time.monotonic()
    while process.poll() is None:
        gently(process.pid)
        time.sleep(0.05)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - began >= 0.4


# --- real plays ------------------------------------------------------------------------------------------------------


class Play:
    """A playbook of its own on this machine, and what was seen of it while it went on."""

    def __init__(self, directory: Path, *tasks: dict[str, Any]) -> None:
        self.directory = directory
        self.book = directory / "book.yml"
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        self.book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "vars": here, "tasks": tasks}]))
        self.seen: list[psutil.Process] = []
        self.argv: dict[int, list[str]] = {}
        self.environments: list[dict[str, str]] = []

    def look(self) -> bool:
        """Note the processes of the run; never asks for the end."""
        for process in leftover_processes.find(RUN_ID):
            try:
                self.argv[process.pid] = process.cmdline()
                if "ansible-playbook" in " ".join(self.argv[process.pid]):
                    self.environments.append(process.environ())
            except psutil.Error:
                continue
            if process not in self.seen:
                self.seen.append(process)
        return False

    def perform(self, canceled: Callable[[], bool] | None = None, **changes: Any) -> tuple[play.Ended, list[Any]]:
        events: list[dict[str, Any]] = []
        ended = perform(request(self.book, **changes), events.append, canceled or self.look)
        assert not leftover_processes.find(RUN_ID), "something of the play was left behind"
        assert not list(places.running().iterdir()), "its directory was left behind"
        return ended, events


def command(text: str) -> dict[str, Any]:
    return {"name": "Run it", "ansible.builtin.command": {"argv": [sys.executable, "-c", text]}}


def test_a_real_play_shows_no_secret_and_keeps_what_the_configuration_says(tmp_path: Path) -> None:
    played = Play(tmp_path, command("import time; time.sleep(1)"))
    ended, events = played.perform(extra_vars={"db_password": CANARY, "plan": "deadbeef"}, verbosity=1)
    assert (ended.status, ended.code, ended.no_hosts) == ("successful", 0, False), ended.output
    whole = "\n".join(" ".join(argv) for argv in played.argv.values())
    assert "ansible-playbook" in whole
    assert CANARY not in whole
    assert CANARY not in json.dumps(events) + "\n".join(ended.output)
    given = played.environments[-1]
    assert CANARY not in "\n".join(given.values())
    assert given["ANSIBLE_HOST_KEY_CHECKING"] == "true"
    assert "ANSIBLE_CACHE_PLUGIN" not in given
    assert given["PYRUNBOOK_RUN_ID"] == RUN_ID
    directory = Path(given["PYRUNBOOK_EVENTS"]).parent
    assert directory.parent == places.home() / "running"
    assert any(event["event"] == "output" for event in events)


def test_the_directory_of_a_play_holds_no_environment_and_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what stays when everything is killed: the inputs are needed, the rest is not."""
    monkeypatch.setenv("DEPLOY_TOKEN", CANARY)
    held: dict[str, str] = {}

    def look() -> bool:
        for path in places.running().rglob("*"):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                if path.is_file():
                    held[path.name] = held.get(path.name, "") + path.read_text()
        return False

    show = "import os; print(os.environ['DEPLOY_TOKEN']); import time; time.sleep(1)"
    Play(tmp_path, command(show)).perform(look, extra_vars={"plan": "deadbeef"})
    assert "deadbeef" in held["extravars"]
    assert [name for name, text in held.items() if CANARY in text] == []


def test_the_directory_of_a_play_is_private(tmp_path: Path) -> None:
    modes = []

    def look() -> bool:
        modes.extend(path.stat().st_mode & 0o777 for path in places.running().iterdir())
        return False

    Play(tmp_path, command("pass")).perform(look)
    assert set(modes) == {0o700}


def test_a_play_that_is_canceled_ends_with_all_its_processes(tmp_path: Path) -> None:
    mark = tmp_path / "began"
    played = Play(tmp_path, command(f"import time; open({str(mark)!r}, 'w').close(); time.sleep(60)"))
    began = time.monotonic()
    ended, _ = played.perform(lambda: bool(played.look() or mark.exists()))
    assert ended.status == "canceled"
    assert time.monotonic() - began < 40
    assert len(played.seen) >= 2


def test_a_task_that_ignores_every_signal_and_has_a_session_of_its_own_is_ended(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    deaf = (
        "import os, signal, time; os.setsid() if os.getpid() != os.getsid(0) else None;"
        "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)];"
        f"open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    )
    played = Play(tmp_path, command(deaf))
    ended, _ = played.perform(lambda: bool(mark.exists() and mark.read_text()))
    assert ended.status == "canceled"
    assert not psutil.pid_exists(int(mark.read_text()))


def test_a_play_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    ended, _ = Play(tmp_path, command("import time; time.sleep(60)")).perform(timeout=3.0)
    assert ended.status == "timeout"


def test_a_play_that_was_killed_has_no_exit_code(tmp_path: Path) -> None:
    mark = tmp_path / "began"
    played = Play(tmp_path, command(f"import time; open({str(mark)!r}, 'w').close(); time.sleep(60)"))

    def kill() -> bool:
        if mark.exists():
            oldest = min(leftover_processes.find(RUN_ID), key=psutil.Process.create_time, default=None)
            if oldest is not None:
                oldest.kill()
        return False

    ended, _ = played.perform(kill)
    assert (ended.status, ended.code) == ("failed", None)


def test_no_host_and_no_playbook_are_told_apart(tmp_path: Path) -> None:
    played = Play(tmp_path)
    assert played.perform(limit="nobody")[0].code != 0
    played.book.write_text("- hosts: [")
    ended, _ = played.perform()
    assert ended.code not in (0, None)
    assert any("book.yml" in line for line in ended.output)


def test_handlers_of_ansible_runner_are_given_back(tmp_path: Path) -> None:
    before = play.Runner.__dict__["handle_termination"]
    Play(tmp_path).perform()
    assert play.Runner.__dict__["handle_termination"] is before
    assert "events" not in [thread.name for thread in threading.enumerate()]
