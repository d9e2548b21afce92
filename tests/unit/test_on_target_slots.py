"""Slots: started, stopped, removed and put back, with real listeners and a process manager that is told how to fail."""

from __future__ import annotations

import http.server
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyrunbook.on_target import archive, durable, slots
from pyrunbook.on_target.archive import ArchiveError
from pyrunbook.on_target.slots import SlotError, Slots
from pyrunbook.on_target.units import Supervisor, Systemd, UnitError


class Killed(BaseException):
    """The run dies here, as by SIGKILL: nothing catches it."""


class Process:
    """One process of a color: answers GET with the release that it was started from."""

    def __init__(self, port: int, release: str) -> None:
        self.release = release
        self.ready = True
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if outer.ready else 503)
                self.end_headers()
                self.wfile.write(outer.release.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Manager:
    """A process manager: starts what the slot's link names, and notes what it was asked to do."""

    def __init__(self, root: Path, ports: dict[str, int]) -> None:
        self.root, self.ports = root, ports
        self.processes: dict[str, Process] = {}
        self.acts: list[str] = []
        self.fails: dict[str, str] = {}
        self.boots: dict[str, bool] = {}
        self.unhealthy: set[str] = set()
        self.number = 0

    def running(self, unit: str) -> bool:
        return unit in self.processes

    def which_run(self, *units: str) -> set[str]:
        return {unit for unit in units if unit in self.processes}

    def status(self, unit: str) -> tuple[str, int]:
        return ("RUNNING", id(self.processes[unit])) if unit in self.processes else ("EXITED", 0)

    def start(self, unit: str) -> None:
        self.acts.append(f"start {unit}")
        if unit in self.processes:
            return
        color = unit.removeprefix("af-")
        release = (self.root / "slots" / color / "release").resolve()
        if release.name in self.fails:
            raise UnitError(f"{unit} is FATAL: {self.fails[release.name]}")
        assert release.is_dir(), "a process cannot start from a release that is not there"
        self.processes[unit] = Process(self.ports[color], release.name)
        self.processes[unit].ready = release.name not in self.unhealthy

    def stop(self, unit: str) -> None:
        self.acts.append(f"stop {unit}")
        if unit in self.processes:
            self.processes.pop(unit).end()

    def keep_over_reboot(self, unit: str, runs: bool, check_mode: bool = False) -> bool:
        if self.boots.get(unit, runs) is runs:
            return False
        if not check_mode:
            self.acts.append(f"{'enable' if runs else 'disable'} {unit}")
            self.boots[unit] = runs
        return True

    def words(self, unit: str) -> str:
        return f"{unit}: says its manager"


class Machine:
    """A service: blue serves 1.0.4, green is empty, 1.1.0 is there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ports = {}
        for color in slots.COLORS:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.ports[color] = probe.getsockname()[1]
        for path in ("releases/1.0.4/bin", "releases/1.1.0/bin", "slots/blue", "slots/green", "proxy", "logs", "state"):
            (root / path).mkdir(parents=True)
        (root / "releases/1.0.4/bin/agent-factory").write_text("program")
        (root / "releases/candidate").write_text("1.1.0\n")
        self.upstream = root / "proxy/upstream"
        self.upstream.write_text(self.address("blue") + "\n")
        self.link("blue").symlink_to("../../releases/1.0.4")
        self.colors = {color: self.address(color) for color in slots.COLORS}
        self.manager = Manager(root, self.ports)
        self.manager.start("af-blue")
        self.manager.acts.clear()

    def address(self, color: str) -> str:
        return f"127.0.0.1:{self.ports[color]}"

    def link(self, color: str) -> Path:
        return self.root / "slots" / color / "release"

    def slots(self, check_mode: bool = False) -> Slots:
        colors = {color: {"address": self.colors[color], "unit": f"af-{color}"} for color in slots.COLORS}
        service = {"root": str(self.root), "colors": colors, "upstream_file": str(self.upstream)}
        return Slots(service, check_mode, self.manager)

    def serves(self, color: str) -> str | None:
        """The release that the process of a color was started from."""
        process = self.manager.processes.get(f"af-{color}")
        return process.release if process else None

    def plan(self, **changes: Any) -> dict[str, Any]:
        """The plan of a run that began when blue served 1.0.4."""
        return {
            "active": "blue",
            "release": "1.0.4",
            "upstream": self.address("blue"),
            "ready": {"url": f"http://{self.address('blue')}/ready", "seconds": 5},
            "preview": {"color": "green", "release": None, "running": False},
            "backup": None,
            **changes,
        }

    def backup(self) -> dict[str, Any]:
        return archive.create(str(self.root), ["releases/1.0.4"], str(self.root / "state/backups/run.tar.gz"))

    def snapshot(self) -> tuple[Any, ...]:
        """All that an operation could change."""
        tree = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))
        links = [str(self.link(color).readlink()) for color in slots.COLORS if self.link(color).is_symlink()]
        running = {unit: id(process) for unit, process in self.manager.processes.items()}
        return tree, links, running, self.upstream.read_text()

    def close(self) -> None:
        for process in self.manager.processes.values():
            process.end()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "service")
    yield made
    made.close()


# --- looking -----------------------------------------------------------------------------------------------------


def test_state(machine: Machine) -> None:
    empty = {"exists": False, "running": False, "replicas": 0, "ready": 0, "release": None, "endpoints": []}
    empty["silence"] = "it does not run"
    blue = machine.address("blue")
    state = machine.slots().state()
    assert state == {
        "active": "blue",
        "upstream": blue,
        "colors": {
            "blue": {
                "exists": True,
                "running": True,
                "replicas": 1,
                "ready": 1,
                "silence": "",
                "release": "1.0.4",
                "endpoints": [blue],
            },
            "green": empty,
        },
        "candidate": "1.1.0",
        "releases": ["1.0.4", "1.1.0"],
    }


def test_no_color_serves_and_no_file_are_two_things(machine: Machine) -> None:
    machine.upstream.write_text("127.0.0.1:1\n")
    assert machine.slots().active() == "none"
    machine.upstream.unlink()
    with pytest.raises(SlotError, match=r"proxy/upstream .* does not exist"):
        machine.slots().active()


def test_a_process_that_does_not_listen_is_not_ready(machine: Machine) -> None:
    machine.manager.processes["af-blue"].end()
    colors = machine.slots().state()["colors"]
    assert (colors["blue"]["running"], colors["blue"]["ready"]) == (True, 0)
    assert colors["blue"]["silence"] == "Connection refused"
    machine.manager.processes.clear()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", ".hidden"])
def test_a_name_that_leaves_the_releases_is_refused(machine: Machine, name: str) -> None:
    with pytest.raises(SlotError, match="is not the name of a release"):
        machine.slots().start("green", name)


def test_where_the_slots_are_must_be_said(machine: Machine, tmp_path: Path) -> None:
    arguments = {
        "root": str(machine.root),
        "upstream_file": str(machine.upstream),
        "manager": "systemd",
        "colors": {"blue": {"address": "a:1", "unit": "u"}, "green": {"unit": "u"}},
    }
    with pytest.raises(SlotError, match=r"service_colors\.green lacks address"):
        Slots(arguments)
    arguments["colors"] = {color: {"address": "a:1", "unit": "u"} for color in slots.COLORS}
    assert isinstance(Slots(arguments).manager, Systemd)
    with pytest.raises(SlotError, match=r"gone \(service_root\) is not a directory"):
        Slots({**arguments, "root": str(tmp_path / "gone")})
    assert isinstance(slots.manager_for({"manager": "supervisor", "supervisor_config": "c.conf"}), Supervisor)
    with pytest.raises(SlotError, match="unknown service_manager 'runit'"):
        slots.manager_for({"manager": "runit"})


# --- starting ----------------------------------------------------------------------------------------------------


def test_start(machine: Machine) -> None:
    assert machine.slots().start("green", "1.1.0")
    assert machine.serves("green") == "1.1.0"
    assert str(machine.link("green").readlink()) == "../../releases/1.1.0"
    assert not (machine.root / "slots/green/starting").exists()
    assert machine.slots().active() == "blue", "the traffic is not touched"
    machine.manager.acts.clear()
    assert not machine.slots().start("green", "1.1.0"), "it runs already"
    assert machine.manager.acts == []


def test_what_runs_is_started_by_a_reboot_and_what_does_not_run_is_not(machine: Machine) -> None:
    boots, acts = machine.manager.boots, machine.manager.acts
    boots["af-blue"], boots["af-green"] = False, True  # started by hand; crashed
    assert machine.slots(check_mode=True).start("blue", "1.0.4")
    assert machine.slots(check_mode=True).stop("green")
    assert acts == []
    assert machine.slots().start("blue", "1.0.4"), "it runs, and would be gone after a reboot"
    assert machine.slots().stop("green"), "it does not run, and would be back after a reboot"
    assert acts == ["enable af-blue", "disable af-green"]
    assert not machine.slots().start("blue", "1.0.4")
    assert not machine.slots().stop("green")


def test_another_release_is_a_new_process(machine: Machine) -> None:
    machine.slots().start("green", "1.0.4")
    machine.slots().start("green", "1.1.0")
    assert machine.serves("green") == "1.1.0"


def test_a_release_that_is_not_there_touches_nothing(machine: Machine) -> None:
    before = machine.snapshot()
    with pytest.raises(SlotError, match=r"there is no release 9\.9\.9 in .*releases \(there is: 1\.0\.4, 1\.1\.0\)"):
        machine.slots().start("green", "9.9.9")
    assert machine.snapshot() == before


def test_a_release_that_does_not_start_says_what_its_log_says(machine: Machine) -> None:
    machine.manager.fails["1.1.0"] = "exited too quickly"
    (machine.root / "logs/green.log").write_text(
        "".join(f"line {n}\n" for n in range(100)) + "cannot open the database\n"
    )
    with pytest.raises(SlotError) as failed:
        machine.slots().start("green", "1.1.0")
    text = str(failed.value)
    assert text.startswith("1.1.0 does not run in green: af-green is FATAL: exited too quickly\nThe last lines of ")
    (machine.root / "logs/green.log").rename(machine.root / "away")
    assert machine.slots().diagnosis("green") == "\naf-green: says its manager"
    (machine.root / "away").rename(machine.root / "logs/green.log")
    assert text.endswith("line 99\ncannot open the database")
    assert "line 81" in text
    assert "line 80" not in text
    del machine.manager.fails["1.1.0"]
    assert machine.slots().start("green", "1.1.0"), "once it can, it is started anew"
    assert machine.serves("green") == "1.1.0"


def test_a_process_that_ends_soon_is_seen(machine: Machine) -> None:
    timer = threading.Timer(0.3, lambda: machine.manager.stop("af-green"))
    timer.start()
    with pytest.raises(SlotError, match="af-green did not stay up: EXITED"):
        machine.slots().start("green", "1.1.0", stable_seconds=5)
    timer.join()


STEPS = ["write", "stop", "link", "start", "unlink"]


@pytest.mark.parametrize("dies_at", STEPS)
@pytest.mark.parametrize("before", [True, False])
def test_a_run_that_dies_in_between_is_finished_by_the_next(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, dies_at: str, before: bool
) -> None:
    """Wherever it dies, the next start ends with a process of the release asked for, not with the one before."""
    machine.slots().start("green", "1.0.4")

    def deadly(real: Any) -> Any:
        def call(*args: Any) -> Any:
            if not before:
                real(*args)
            raise Killed

        return call

    owner: Any = {"write": durable, "link": durable, "unlink": slots.os}.get(dies_at, machine.manager)
    with monkeypatch.context() as patched:
        patched.setattr(owner, dies_at, deadly(getattr(owner, dies_at)))
        with pytest.raises(Killed):
            machine.slots().start("green", "1.1.0")
    machine.slots().start("green", "1.1.0")
    assert machine.serves("green") == "1.1.0"
    assert machine.slots().linked("green") == "1.1.0"
    assert not (machine.root / "slots/green/starting").exists()


def test_check_mode_starts_nothing(machine: Machine) -> None:
    before = machine.snapshot()
    assert machine.slots(check_mode=True).start("green", "1.1.0")
    assert not machine.slots(check_mode=True).start("blue", "1.0.4")
    with pytest.raises(SlotError, match="there is no release"):
        machine.slots(check_mode=True).start("green", "9.9.9")
    assert machine.snapshot() == before


# --- stopping and removing ---------------------------------------------------------------------------------------


def test_stop(machine: Machine) -> None:
    machine.slots().start("green", "1.1.0")
    assert machine.slots().stop("green")
    assert machine.serves("green") is None
    assert machine.slots().linked("green") == "1.1.0"
    assert not machine.slots().stop("green")


def test_a_process_outside_its_unit_is_found(machine: Machine) -> None:
    """The unit is stopped, and yet something answers: that color is not drained."""
    machine.slots().start("green", "1.1.0")
    process = machine.manager.processes["af-green"]
    machine.manager.stop = lambda unit: machine.manager.processes.pop(unit)  # type: ignore[assignment]
    with pytest.raises(SlotError, match=rf"yet something answers on {machine.address('green')}"):
        machine.slots().stop("green")
    process.end()


def test_a_stop_that_fails(machine: Machine) -> None:
    def refuse(unit: str) -> None:
        raise UnitError(f"{unit} is still RUNNING after it was stopped")

    machine.manager.stop = refuse  # type: ignore[method-assign]
    with pytest.raises(SlotError, match="still RUNNING"):
        machine.slots().stop("blue")


def test_remove(machine: Machine) -> None:
    machine.slots().start("green", "1.1.0")
    assert machine.slots().remove("green")
    assert machine.serves("green") is None
    assert machine.slots().linked("green") is None
    assert (machine.root / "releases/1.1.0").is_dir(), "the release stays"
    assert not machine.slots().remove("green")


def test_the_color_that_serves_is_not_removed(machine: Machine) -> None:
    before = machine.snapshot()
    with pytest.raises(SlotError, match="the traffic goes to blue, so it is not removed"):
        machine.slots().remove("blue")
    assert machine.snapshot() == before
    assert machine.manager.acts == []


def test_check_mode_stops_and_removes_nothing(machine: Machine) -> None:
    machine.slots().start("green", "1.1.0")
    before = machine.snapshot()
    assert machine.slots(check_mode=True).stop("green")
    assert machine.slots(check_mode=True).remove("green")
    assert machine.slots(check_mode=True).remove("blue"), "in a dry run the switch before it has not happened"
    assert machine.snapshot() == before


# --- one change at a time ----------------------------------------------------------------------------------------


def test_a_change_waits_for_the_one_before_it(machine: Machine) -> None:
    """Also for one of another process, as a module is that a killed run has left behind."""
    context = multiprocessing.get_context("fork")
    begun, end = context.Event(), context.Event()

    def hold() -> None:
        with machine.slots().exclusively():
            begun.set()
            end.wait(20)

    other = context.Process(target=hold)
    other.start()
    assert begun.wait(20)
    with machine.slots(check_mode=True).exclusively():
        pass  # a dry run changes nothing, so it need not wait
    timer = threading.Timer(0.4, end.set)
    timer.start()
    began = time.monotonic()
    with machine.slots().exclusively():
        waited = time.monotonic() - began
    other.join()
    assert waited >= 0.3


def test_a_change_that_died_holds_nobody_up(machine: Machine) -> None:
    context = multiprocessing.get_context("fork")
    begun = context.Event()

    def hold() -> None:
        with machine.slots().exclusively():
            begun.set()
            time.sleep(60)

    other = context.Process(target=hold)
    other.start()
    assert begun.wait(20)
    other.kill()
    with machine.slots().exclusively():
        pass
    other.join()


# --- putting back ------------------------------------------------------------------------------------------------


def switched(machine: Machine) -> None:
    """As after the switch of an update: green serves 1.1.0, blue still runs."""
    machine.slots().start("green", "1.1.0")
    machine.upstream.write_text(machine.address("green") + "\n")
    machine.manager.acts.clear()


def test_a_color_that_answers_gets_the_traffic_before_anything_else(machine: Machine) -> None:
    """Also when its release has gone and cannot be restored: what answers serves."""
    switched(machine)
    for child in (machine.root / "releases/1.0.4/bin/agent-factory", machine.root / "releases/1.0.4/bin"):
        child.unlink() if child.is_file() else child.rmdir()
    (machine.root / "releases/1.0.4").rmdir()
    with pytest.raises(SlotError, match=r"release 1\.0\.4 is gone, and so is its backup"):
        machine.slots().put_back(machine.plan())
    assert machine.slots().active() == "blue"


def test_put_back_after_a_switch(machine: Machine) -> None:
    switched(machine)
    assert machine.slots().put_back(machine.plan()) == ["traffic sent to blue"]
    assert machine.slots().active() == "blue"
    assert machine.manager.acts == [], "no process was touched"
    assert machine.slots().put_back(machine.plan()) == [], "a second time there is nothing to do"


def test_put_back_when_nothing_happened(machine: Machine) -> None:
    before = machine.snapshot()
    assert machine.slots().put_back(machine.plan()) == []
    assert machine.slots().put_back_preview(machine.plan()) == []
    assert machine.snapshot() == before


def test_put_back_after_all_was_removed(machine: Machine) -> None:
    backup = machine.backup()
    switched(machine)
    machine.slots().remove("blue")
    (machine.root / "releases/1.0.4/bin/agent-factory").unlink()
    (machine.root / "releases/1.0.4/bin").rmdir()
    (machine.root / "releases/1.0.4").rmdir()
    plan = machine.plan(backup=backup)
    assert machine.slots().put_back(plan) == [
        "release 1.0.4 restored from the backup",
        "blue started with 1.0.4",
        "traffic sent to blue",
    ]
    assert machine.serves("blue") == "1.0.4"
    assert (machine.root / "releases/1.0.4/bin/agent-factory").read_text() == "program"
    assert machine.slots().put_back_preview(plan) == ["green removed"]
    assert machine.serves("green") is None
    assert machine.slots().put_back(plan) == machine.slots().put_back_preview(plan) == []


def test_a_color_that_does_not_answer_is_restarted(machine: Machine) -> None:
    switched(machine)
    machine.manager.processes["af-blue"].ready = False
    assert machine.slots().put_back(machine.plan()) == [
        f"blue stopped, because it was not ready ({machine.address('blue')} answered 503)",
        "blue started with 1.0.4",
        "traffic sent to blue",
    ]


ELSEWHERE = {
    "a name that only the operator's machine knows": ("http://blue.invalid/ready", "the name is not known here"),
    "a port that a firewall closes": ("http://127.0.0.1:1/ready", "127.0.0.1:1: Connection refused"),
    "no HTTPS here": ("https://127.0.0.1:1/ready", "127.0.0.1:1: Connection refused"),
}


@pytest.mark.parametrize("case", ELSEWHERE)
@pytest.mark.parametrize("after_switch", [False, True])
def test_a_color_is_asked_where_the_proxy_dials_it(machine: Machine, case: str, after_switch: bool) -> None:
    """Its URL may be one that only the operator's machine reaches: the color is as good as ever, and is not touched."""
    if after_switch:
        switched(machine)
    blue = machine.manager.processes["af-blue"]
    plan = machine.plan(ready={"url": ELSEWHERE[case][0], "seconds": 5})
    assert machine.slots().put_back(plan) == (["traffic sent to blue"] if after_switch else [])
    assert machine.slots().active() == "blue"
    assert machine.manager.acts == []
    assert machine.manager.processes["af-blue"] is blue


@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_running_color_that_has_the_traffic_is_not_stopped_because_it_is_not_seen(
    machine: Machine, case: str
) -> None:
    """This machine may see nothing of it, and clients may be served: the verification from outside has the word."""
    url, why = ELSEWHERE[case]
    blue = machine.manager.processes["af-blue"]
    machine.colors["blue"] = "blue.invalid:8101"  # a proxy in a container dials what this machine does not reach
    machine.upstream.write_text("blue.invalid:8101\n")
    before = machine.snapshot()
    slots = machine.slots()
    assert slots.put_back(machine.plan(upstream="blue.invalid:8101", ready={"url": url, "seconds": 0.2})) == []
    assert machine.snapshot() == before
    assert (machine.manager.acts, machine.manager.processes["af-blue"]) == ([], blue)
    assert "blue has the traffic and was left running" in slots.remark
    assert why in slots.remark
    assert "blue.invalid:8101: the name is not known here" in slots.remark


def test_a_color_that_has_the_traffic_and_says_that_it_is_not_ready_is_not_stopped(machine: Machine) -> None:
    machine.manager.processes["af-blue"].ready = False
    plan = machine.plan()
    plan["ready"]["seconds"] = 0.2
    slots = machine.slots()
    assert slots.put_back(plan) == []
    assert machine.manager.acts == []
    assert f"{machine.address('blue')} answered 503" in slots.remark


def test_which_status_is_ready_is_the_inventorys_to_say(machine: Machine) -> None:
    switched(machine)
    machine.manager.processes["af-blue"].ready = False
    plan = machine.plan()
    plan["ready"]["status"] = [200, 503]
    assert machine.slots().put_back(plan) == ["traffic sent to blue"]
    assert machine.manager.acts == []


def test_a_slot_that_holds_another_release_by_now(machine: Machine) -> None:
    """An older plan is put back: blue answers, but with a release that is not the plan's."""
    machine.slots().start("green", "1.1.0")
    machine.upstream.write_text(machine.address("green") + "\n")
    machine.slots().start("blue", "1.1.0")
    done = machine.slots().put_back(machine.plan())
    assert done == ["blue started with 1.0.4", "traffic sent to blue"]
    assert machine.serves("blue") == "1.0.4"


def test_the_traffic_does_not_go_to_a_color_that_never_answers(machine: Machine) -> None:
    switched(machine)
    machine.slots().remove("blue")
    machine.manager.unhealthy.add("1.0.4")
    (machine.root / "logs/blue.log").write_text("waiting for the database\n")
    plan = machine.plan()
    plan["ready"]["seconds"] = 0.3
    with pytest.raises(
        SlotError, match=r"blue is not ready after 0\.3 s \(.* answered 503\)\n.*\nwaiting for the data"
    ):
        machine.slots().put_back(plan)
    assert machine.slots().active() == "green"


def test_a_backup_that_is_not_the_plans_is_not_restored(machine: Machine) -> None:
    backup = machine.backup()
    switched(machine)
    machine.slots().remove("blue")
    (machine.root / "releases/1.0.4").rename(machine.root / "lost")
    with pytest.raises(SlotError, match="is not the one that was made for this plan"):
        machine.slots().put_back(machine.plan(backup={**backup, "sha256": "0" * 64}))
    Path(backup["path"]).write_bytes(b"nothing")
    with pytest.raises((SlotError, ArchiveError)):
        machine.slots().put_back(machine.plan(backup=backup))
    assert not (machine.root / "releases/1.0.4").exists()
    assert machine.slots().active() == "green", "the traffic stays where something answers"


def test_check_mode_puts_nothing_back(machine: Machine) -> None:
    backup = machine.backup()
    switched(machine)
    machine.slots().remove("blue")
    (machine.root / "releases/1.0.4").rename(machine.root / "lost")
    before = machine.snapshot()
    assert machine.slots(check_mode=True).put_back(machine.plan(backup=backup)) == [
        "release 1.0.4 restored from the backup",
        "blue started with 1.0.4",
        "traffic sent to blue",
    ]
    assert machine.slots(check_mode=True).put_back_preview(machine.plan()) == ["green removed"]
    assert machine.snapshot() == before


# --- the other color ---------------------------------------------------------------------------------------------


def test_the_preview_is_emptied(machine: Machine) -> None:
    machine.slots().start("green", "1.1.0")
    assert machine.slots().put_back_preview(machine.plan()) == ["green removed"]
    assert machine.slots().linked("green") is None


def test_the_preview_is_not_emptied_while_it_serves(machine: Machine) -> None:
    switched(machine)
    with pytest.raises(SlotError, match="the traffic goes to green"):
        machine.slots().put_back_preview(machine.plan())
    assert machine.serves("green") == "1.1.0"


def test_the_preview_runs_its_former_release_again(machine: Machine) -> None:
    machine.slots().start("green", "1.1.0")
    plan = machine.plan(preview={"color": "green", "release": "1.0.4", "running": True})
    assert machine.slots().put_back_preview(plan) == ["green started with 1.0.4"]
    assert machine.serves("green") == "1.0.4"
    assert machine.slots().put_back_preview(plan) == []


@pytest.mark.parametrize("now", ["running another", "stopped with another", "empty", "running it"])
def test_the_preview_is_stopped_with_its_former_release_in_it(machine: Machine, now: str) -> None:
    if now != "empty":
        machine.slots().start("green", "1.0.4" if now == "running it" else "1.1.0")
    if now.startswith("stopped"):
        machine.slots().stop("green")
    plan = machine.plan(preview={"color": "green", "release": "1.0.4", "running": False})
    before = machine.snapshot()
    says = ["green stopped, with 1.0.4 in it as before"]
    assert machine.slots(check_mode=True).put_back_preview(plan) == says
    assert machine.snapshot() == before
    assert machine.slots().put_back_preview(plan) == says
    assert machine.serves("green") is None
    assert machine.slots().linked("green") == "1.0.4"
    assert machine.slots().put_back_preview(plan) == []


def test_a_preview_whose_release_has_gone_is_emptied(machine: Machine) -> None:
    """It did not serve; its release is not part of the backup."""
    machine.slots().start("green", "1.1.0")
    plan = machine.plan(preview={"color": "green", "release": "0.9.0", "running": True})
    assert machine.slots().put_back_preview(plan) == ["green removed"]
