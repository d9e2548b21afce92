"""Units of supervisor and systemd, against stand-ins for their commands that keep a state and can misbehave."""

from __future__ import annotations

import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import pytest

from pyrunbook.on_target import supervisor_socket, units
from pyrunbook.on_target.slots import manager_for
from pyrunbook.on_target.units import Supervisor, SupervisorSocket, Systemd, UnitError, watch

SUPERVISORCTL = """#!/bin/sh
echo "supervisorctl $*" >> "$FAKE/asked"
command=$3; unit=$4
[ -e "$FAKE/$unit" ] || { echo "$unit: ERROR (no such process)"; exit 4; }
to() { if [ -e "$FAKE/$unit.$command.to" ]; then cat "$FAKE/$unit.$command.to"; else echo "$1"; fi > "$FAKE/$unit"; }
state=$(cat "$FAKE/$unit")
case "$command" in
  start) case "$state" in RUNNING|BACKOFF|STOPPING) echo "$unit: ERROR (already started)"; exit 7;; esac
    to RUNNING; echo $(( $(cat "$FAKE/$unit.pid" 2>/dev/null || echo 100) + 1 )) > "$FAKE/$unit.pid"
    [ "$(cat "$FAKE/$unit")" = RUNNING ] || { echo "$unit: ERROR (spawn error)"; exit 7; }
    echo "$unit: started";;
  stop) case "$state" in RUNNING|STARTING|BACKOFF) to STOPPED;; *) echo "$unit: ERROR (not running)"; exit 7;; esac
    [ "$(cat "$FAKE/$unit")" != STOPPED ] || echo "$unit: stopped";;
  status) shift 3; for unit; do state=$(cat "$FAKE/$unit") || continue
    if [ -e "$FAKE/$unit.flaps" ]; then
      echo $(( $(cat "$FAKE/$unit.pid") + 1 )) > "$FAKE/$unit.pid"; fi
    if [ "$state" = RUNNING ]; then echo "$unit    RUNNING   pid $(cat "$FAKE/$unit.pid"), uptime 0:00:07"
    else echo "$unit    $state   Not started"; fi; done;;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >> "$FAKE/asked"
for unit; do :; done
[ "$1" != --no-ask-password ] || shift
say() { if [ -e "$FAKE/$unit.$1.to" ]; then cat "$FAKE/$unit.$1.to"; else echo "$2"; fi > "$FAKE/$unit"; }
case "$1" in
  show) if [ -e "$FAKE/$unit" ]; then load=loaded; else load=not-found; fi
    echo "LoadState=$load"; echo "ActiveState=$(cat "$FAKE/$unit" 2>/dev/null || echo inactive)"; echo "MainPID=4711"
    if [ -e "$FAKE/$unit.static" ]; then echo UnitFileState=static
    elif [ -e "$FAKE/$unit.enabled" ]; then echo UnitFileState=enabled; else echo UnitFileState=disabled; fi;;
  status) echo "* $unit"; echo "Main process exited, code=exited, status=1/FAILURE"; exit 3;;
  enable|disable) if [ "$2" != --now ]; then
      [ ! -e "$FAKE/$unit.refuses" ] || { echo "Access denied" >&2; exit 1; }
      rm -f "$FAKE/$unit.enabled"; [ "$1" = disable ] || touch "$FAKE/$unit.enabled"; exit 0; fi;;
esac
case "$1" in
  enable) say enable active; touch "$FAKE/$unit.enabled"
    [ "$(cat "$FAKE/$unit")" = active ] || { echo "Job for $unit failed." >&2; exit 1; };;
  disable) say disable inactive; rm -f "$FAKE/$unit.enabled";;
esac
"""


class Machine:
    """The state that the stand-ins keep: a file a unit."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def set(self, unit: str, state: str, pid: int = 100) -> None:
        (self.directory / unit).write_text(state)
        (self.directory / f"{unit}.pid").write_text(str(pid))

    def misbehave(self, unit: str, what: str, state: str = "") -> None:
        (self.directory / f"{unit}.{what}").write_text(state)

    def asked(self) -> list[str]:
        """What was asked since the last look, without looking at states."""
        path = self.directory / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def acts(self) -> list[str]:
        return [line for line in self.asked() if " status " not in line and " show " not in line]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("supervisorctl", SUPERVISORCTL), ("systemctl", SYSTEMCTL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setenv("FAKE", str(state))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return Machine(state)


class _Handler(SimpleXMLRPCRequestHandler):
    disable_nagle_algorithm = False  # a unix socket has none


class _Server(socketserver.UnixStreamServer, SimpleXMLRPCDispatcher):
    """A supervisord whose programs are those of the stand-in for supervisorctl; it refuses as supervisor does."""

    logRequests = False  # noqa: N815

    def __init__(self, path: Path) -> None:
        SimpleXMLRPCDispatcher.__init__(self, allow_none=True, encoding="utf-8")
        socketserver.UnixStreamServer.__init__(self, str(path), _Handler)
        for method in (self.getProcessInfo, self.startProcess, self.stopProcess):
            self.register_function(method, f"supervisor.{method.__name__}")

    @staticmethod
    def _ask(command: str, unit: str) -> str:
        asked = ["supervisorctl", "-c", "/srv/supervisord.conf", command, unit]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        code, word = next((known for told, known in FAULTS.items() if told in said), (0, ""))
        if code:
            raise Fault(code, f"{word}: {unit}")
        return said

    def getProcessInfo(self, unit: str) -> dict[str, Any]:  # noqa: N802
        words = self._ask("status", unit).split()
        pid = int(words[3].rstrip(",")) if words[2] == "pid" else 0
        return {"name": unit, "statename": words[1], "pid": pid, "description": "", "spawnerr": ""}

    def startProcess(self, unit: str, wait: bool = True) -> bool:  # noqa: N802
        assert wait
        return bool(self._ask("start", unit))

    def stopProcess(self, unit: str, wait: bool = True) -> bool:  # noqa: N802
        assert wait
        return bool(self._ask("stop", unit))


FAULTS = {
    "no such process": (10, "BAD_NAME"),
    "already started": (60, "ALREADY_STARTED"),
    "not running": (70, "NOT_RUNNING"),
    "spawn error": (50, "SPAWN_ERROR"),
}


@pytest.fixture(params=["supervisorctl", "socket"])
def supervisor(request: pytest.FixtureRequest, machine: Machine, tmp_path: Path) -> Iterator[Supervisor]:
    """Both ways to talk to supervisor."""
    if request.param == "supervisorctl":
        yield Supervisor("/srv/supervisord.conf", ["supervisorctl"])
        return
    with _Server(tmp_path / "supervisor.sock") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield SupervisorSocket(str(tmp_path / "supervisor.sock"))
        finally:
            server.shutdown()
            thread.join()


# --- supervisor --------------------------------------------------------------------------------------------------


def test_supervisor_exact_words(machine: Machine, supervisor: Supervisor) -> None:
    machine.set("af-blue", "STOPPED")
    assert supervisor.status("af-blue") == ("STOPPED", 0)
    assert machine.asked() == ["supervisorctl -c /srv/supervisord.conf status af-blue"]
    supervisor.start("af-blue")
    assert machine.acts() == ["supervisorctl -c /srv/supervisord.conf start af-blue"]
    assert machine.asked() == [], "started: nothing more is asked"
    assert supervisor.status("af-blue") == ("RUNNING", 101)
    supervisor.start("af-blue")
    assert supervisor.status("af-blue") == ("RUNNING", 101), "it ran already"
    machine.asked()
    supervisor.stop("af-blue")
    assert machine.acts() == ["supervisorctl -c /srv/supervisord.conf stop af-blue"]
    supervisor.stop("af-blue")
    assert supervisor.status("af-blue") == ("STOPPED", 0)


def test_supervisor_takes_a_command_prefix(machine: Machine) -> None:
    machine.set("af-blue", "STOPPED")
    Supervisor("c.conf", ["env", "FAKE_USER=x", "supervisorctl"]).status("af-blue")
    assert machine.asked() == ["supervisorctl -c c.conf status af-blue"]


@pytest.mark.parametrize(
    ("state", "running"),
    [("RUNNING", True), ("STARTING", True), ("STOPPING", True), ("STOPPED", False), ("EXITED", False),
     ("FATAL", False), ("BACKOFF", False)],
)  # fmt: skip
def test_supervisor_states(machine: Machine, supervisor: Supervisor, state: str, running: bool) -> None:
    machine.set("af-blue", state)
    machine.set("af-green", "RUNNING")
    assert supervisor.running("af-blue") is running
    machine.asked()
    assert supervisor.which_run("af-blue", "af-green") == ({"af-blue"} if running else set()) | {"af-green"}
    assert isinstance(supervisor, SupervisorSocket) or len(machine.asked()) == 1


def test_supervisor_starts_one_that_it_keeps_trying(machine: Machine, supervisor: Supervisor) -> None:
    machine.set("af-blue", "BACKOFF")
    supervisor.start("af-blue")
    assert [line.split()[3] for line in machine.acts()] == ["start", "stop", "start"]
    assert supervisor.status("af-blue")[0] == "RUNNING"


@pytest.mark.parametrize("state", ["FATAL", "EXITED", "BACKOFF"])
def test_supervisor_start_that_fails(machine: Machine, supervisor: Supervisor, state: str) -> None:
    machine.set("af-blue", "STOPPED")
    machine.misbehave("af-blue", "start.to", state)
    with pytest.raises(UnitError, match=rf"af-blue is {state}: af-blue: ERROR \((spawn error|SPAWN_ERROR: af-blue)\)"):
        supervisor.start("af-blue")


@pytest.mark.parametrize("state", ["RUNNING", "STOPPING"])
def test_supervisor_stop_that_fails(machine: Machine, supervisor: Supervisor, state: str) -> None:
    machine.set("af-blue", "RUNNING")
    machine.misbehave("af-blue", "stop.to", state)
    with pytest.raises(UnitError, match=f"af-blue is still {state} after it was stopped"):
        supervisor.stop("af-blue")


def test_supervisor_that_is_not_there_is_no_stopped_unit(machine: Machine, tmp_path: Path) -> None:
    """No answer must never read as "does not run"."""
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho 'unix:///run/x.sock no such file'; exit 4\n")
    silent.chmod(0o755)
    for prefix, says in (
        (["/nonexistent/ctl"], "not installed"),
        ([str(silent)], "no such file"),
        (["true"], "said nothing"),
    ):
        with pytest.raises(UnitError, match=says):
            Supervisor("c", prefix).running("af-blue")
    with pytest.raises(UnitError, match="no such process"):
        Supervisor("c", ["supervisorctl"]).running("af-other")


def test_a_supervisor_without_a_socket_is_no_stopped_unit(tmp_path: Path, supervisor: Supervisor) -> None:
    with pytest.raises(UnitError, match=r"no such process|BAD_NAME: a<b"):
        supervisor.running("a<b")
    gone = SupervisorSocket(str(tmp_path / "gone.sock"))
    with pytest.raises(UnitError, match=r"gone\.sock: No such file or directory"):
        gone.running("af-blue")
    with pytest.raises(UnitError, match=r"gone\.sock: No such file or directory"):
        gone.stop("af-blue")


OK = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.0 401 Unauthorized\r\n\r\n",
        OK + b"<html><br>",
        OK + b"<methodResponse/>",
        OK + b"<methodResponse><fault><value>no</value></fault></methodResponse>",
        OK + b"<methodResponse><fault><value><struct/></value></fault></methodResponse>",
    ],
)
def test_an_answer_that_is_none_of_supervisor(tmp_path: Path, answer: bytes) -> None:
    path = str(tmp_path / "other.sock")

    class Other(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.wfile.write(answer)

    with socketserver.UnixStreamServer(path, Other) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(UnitError, match="401 Unauthorized" if b"401" in answer else "none of supervisor"):
            SupervisorSocket(path).running("af-blue")
        thread.join()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[supervisorctl]\nserverurl=unix:///run/s.sock ; the socket\n", "/run/s.sock"),
        ("[supervisorctl]\nserverurl = unix://%(here)s/s.sock\n[include]\nfiles = c/*.conf\n", "HERE/s.sock"),
        ("[supervisorctl]\nserverurl=unix:///run/s.sock\nusername=me\npassword=%(ENV_P)s\n", ""),
        ("[supervisorctl]\nserverurl=unix://%(ENV_RUN)s/s.sock\n", ""),
        ("[supervisorctl]\nserverurl=unix://~/s.sock\n", "HOME/s.sock"),
        ("[supervisorctl]\nserverurl=http://localhost:9001\n", ""),
        ("[supervisord]\n", ""),
        ("nonsense", ""),
    ],
)
def test_the_socket_that_supervisorctl_would_use(tmp_path: Path, text: str, path: str) -> None:
    config = tmp_path / "supervisord.conf"
    config.write_text(text)
    path = path.replace("HERE", str(tmp_path)).replace("HOME", str(Path.home()))
    assert supervisor_socket.path_of(str(config)) == path
    service = {"manager": "supervisor", "supervisor_config": str(config), "supervisor_command": []}
    assert isinstance(manager_for(service), SupervisorSocket) is bool(path)
    by_command = manager_for({**service, "supervisor_command": ["sudo", "supervisorctl"]})
    assert not isinstance(by_command, SupervisorSocket)
    assert supervisor_socket.path_of(str(tmp_path / "missing.conf")) == ""


def test_a_command_that_does_not_return(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hangs = tmp_path / "hangs"
    hangs.write_text("#!/bin/sh\nexec sleep 30\n")
    hangs.chmod(0o755)
    monkeypatch.setattr(units, "COMMAND_TIMEOUT", 0.2)
    with pytest.raises(UnitError, match=r"hangs -c c status af-blue did not return within 0\.2 s"):
        Supervisor("c", [str(hangs)]).status("af-blue")


# --- systemd -----------------------------------------------------------------------------------------------------


def test_systemd_exact_words(machine: Machine) -> None:
    machine.set("af-blue", "inactive")
    systemd = Systemd()
    assert systemd.status("af-blue") == ("inactive", 4711)
    assert machine.asked() == ["systemctl show --property=LoadState,ActiveState,MainPID af-blue"]
    systemd.start("af-blue")
    assert machine.acts() == ["systemctl reset-failed af-blue", "systemctl enable --now af-blue"]
    assert systemd.running("af-blue")
    assert (machine.directory / "af-blue.enabled").exists()
    systemd.stop("af-blue")
    assert machine.acts() == ["systemctl disable --now af-blue"]
    assert not systemd.running("af-blue")


@pytest.mark.parametrize(
    ("state", "running"),
    [("active", True), ("activating", True), ("deactivating", True), ("reloading", True), ("inactive", False),
     ("failed", False)],
)  # fmt: skip
def test_systemd_states(machine: Machine, state: str, running: bool) -> None:
    machine.set("af-blue", state)
    assert Systemd().running("af-blue") is running


def test_systemd_failures(machine: Machine) -> None:
    machine.set("af-blue", "inactive")
    machine.misbehave("af-blue", "enable.to", "failed")
    with pytest.raises(UnitError, match="af-blue is failed: Job for af-blue failed"):
        Systemd().start("af-blue")
    machine.set("af-blue", "active")
    machine.misbehave("af-blue", "disable.to", "deactivating")
    with pytest.raises(UnitError, match="af-blue is still running"):
        Systemd().stop("af-blue")


def test_systemd_unknown_unit_and_no_systemd(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UnitError, match=r"systemd knows no unit af-other \(not-found\)"):
        Systemd().running("af-other")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnitError, match="systemctl is not installed"):
        Systemd().running("af-blue")


def test_systemd_keeps_over_a_reboot_what_runs_and_what_does_not(machine: Machine) -> None:
    machine.set("af-blue", "active")
    systemd = Systemd()
    assert systemd.keep_over_reboot("af-blue", True, check_mode=True)
    assert machine.acts() == []
    assert systemd.keep_over_reboot("af-blue", True)
    assert machine.acts() == ["systemctl enable af-blue"], "it is not started or stopped by that"
    assert not systemd.keep_over_reboot("af-blue", True)
    machine.set("af-blue", "failed")
    assert systemd.keep_over_reboot("af-blue", False)
    assert machine.acts() == ["systemctl disable af-blue"]
    assert not systemd.keep_over_reboot("af-blue", False)
    machine.misbehave("af-blue", "refuses")
    with pytest.raises(UnitError, match="af-blue stays disabled: Access denied"):
        systemd.keep_over_reboot("af-blue", True)
    machine.misbehave("af-blue", "static")
    assert not systemd.keep_over_reboot("af-blue", True), "there is no way to enable it"


def test_systemd_takes_a_command_prefix_and_has_words(machine: Machine) -> None:
    machine.set("af-blue", "inactive")
    systemd = Systemd(["env", "A=b", "systemctl", "--no-ask-password"])
    assert "status=1/FAILURE" in systemd.words("af-blue")
    assert machine.asked() == ["systemctl --no-ask-password status --no-pager --full --lines=20 af-blue"]


# --- watching ----------------------------------------------------------------------------------------------------


def test_watch(machine: Machine, supervisor: Supervisor) -> None:
    machine.set("af-blue", "RUNNING")
    watch(supervisor, "af-blue", 0.3)
    machine.misbehave("af-blue", "flaps")
    with pytest.raises(UnitError, match=r"af-blue did not stay up: RUNNING \(process \d+, then \d+\)"):
        watch(supervisor, "af-blue", 5)


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_watch_sees_one_that_has_ended(machine: Machine, supervisor: Supervisor, seconds: float) -> None:
    machine.set("af-blue", "EXITED")
    with pytest.raises(UnitError, match=r"did not stay up: EXITED \(process none, then none\)"):
        watch(supervisor, "af-blue", seconds)


def test_watch_looks_again_at_the_end() -> None:
    """A process that ends a moment before the time is over is seen."""

    class Manager:
        calls = 0

        def status(self, unit: str) -> tuple[str, int]:
            self.calls += 1
            return ("RUNNING", 7) if self.calls < 4 else ("EXITED", 0)

    manager: Any = Manager()
    with pytest.raises(UnitError, match="EXITED"):
        watch(manager, "af-blue", 0.5)
