"""The update under systemd, on a machine set up as docs/host says: on a stand-in, or on the real one (see `REAL`)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from host_under_test import DOCS, REAL, FakeSystemd, HostMachine, running
from operation import maintain, report, serves

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # several whole updates in one test


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[HostMachine]:
    with running(tmp_path) as found:
        yield found


def test_an_update_under_systemd_is_what_a_reboot_brings_back(machine: HostMachine) -> None:
    with machine.load() as load:
        done = maintain(machine)
        assert serves(machine) == ("green", "1.1.0")
    assert load.report.failed == 0, load.report
    assert "not known" not in done.stdout, "the gauge of requests in flight is read through the proxy"
    assert machine.state("green") == ("active", "enabled")
    assert machine.state("blue") == ("inactive", "disabled")
    if not machine.systemd.real:
        machine.systemd.reboot()
        machine.wait()
        assert serves(machine) == ("green", "1.1.0")
        assert machine.state("blue") == ("inactive", "disabled")

    with machine.load() as load:
        undone = machine.run("rollback", "latest", "--yes")
        assert undone.returncode == 0, undone.stdout + undone.stderr
    assert load.report.failed == 0, load.report
    assert serves(machine) == ("blue", "1.0.4")
    assert machine.state("blue") == ("active", "enabled")
    assert machine.state("green") == ("inactive", "disabled")


def test_clients_are_told_of_the_maintenance_whatever_name_they_ask_for(machine: HostMachine) -> None:
    """The proxy is the one that is shipped: by a foreign name, over TLS, for each method, on each path."""
    upstream = machine.directory / "proxy/upstream"
    serving = upstream.read_text()
    upstream.write_text(machine.ports.maintenance_address + "\n")
    for method, path in (("GET", "/"), ("GET", "/version"), ("POST", "/echo"), ("DELETE", "/ready")):
        status, headers, body = machine.ask(path, method)
        assert (status, headers["Retry-After"]) == (503, "5"), (method, path)
        assert body == "Under maintenance: no color serves.\n", (method, path)
    upstream.write_text(serving)
    assert machine.ask("/echo", "POST")[0] == 200
    assert serves(machine) == ("blue", "1.0.4")


def test_what_is_missing_on_the_machine_is_refused_before_anything_is_changed(machine: HostMachine) -> None:
    """All at once, and the doctor sees the same; each single thing is in test_on_target_needs.py."""
    if isinstance(machine.systemd, FakeSystemd):
        text = (DOCS / "sudoers").read_text()
        machine.systemd.allow(text.replace("/usr/bin/systemctl disable --now agent-factory@blue, ", ""))
    inventory = yaml.safe_load(machine.inventory.read_text())
    service = inventory["services"]["hosts"]["agent-factory"]
    service |= {"update_strategy": "controlled_stop", "service_maintenance_address": machine.ports.addresses["blue"]}
    machine.inventory.write_text(yaml.safe_dump(inventory))
    looked, refused = machine.run("doctor"), maintain(machine, code=3)
    assert looked.returncode == 3
    for said in (looked.stdout, refused.stdout):
        assert machine.systemd.real or "call sudo -n systemctl disable --now agent-factory@blue\n" in said
        assert f"{machine.ports.addresses['blue']} (service_maintenance_address), asked for localhost:" in said
        assert "answers 404" in said
    assert "Nothing was changed." in refused.stdout
    assert serves(machine) == ("blue", "1.0.4")
    assert not list(machine.directory.glob("state/*/*"))
    assert not (machine.directory / "state/lock.json").exists()

    service["ansible_python_interpreter"] = "/bin/true"
    machine.inventory.write_text(yaml.safe_dump(inventory))
    looked, refused = machine.run("doctor"), maintain(machine, code=3)
    for said in (looked.stdout, refused.stdout):
        assert (
            "/bin/true (ansible_python_interpreter) is no Python 3.8 or later on agent-factory: it said nothing" in said
        )


@pytest.mark.long
def test_a_release_that_crashes_or_is_unhealthy_leaves_the_old_color_as_it_was(machine: HostMachine) -> None:
    machine.release("1.2.0", "crash")
    crashed = maintain(machine, code=4)
    assert "did not stay up" in crashed.stdout
    assert serves(machine) == ("blue", "1.0.4")
    assert machine.state("blue") == ("active", "enabled")
    assert machine.state("green") == ("inactive", "disabled")

    machine.release("1.2.1", "unhealthy")
    stopped = maintain(machine, "-e", "update_strategy=controlled_stop", code=4)
    assert "blue serves 1.0.4" in stopped.stdout
    assert serves(machine) == ("blue", "1.0.4")
    assert machine.state("blue") == ("active", "enabled"), "it had been stopped and disabled"
    assert machine.state("green") == ("inactive", "disabled")
    assert report(machine)["outcome"] == "rolled_back"


def test_a_program_that_cannot_be_executed_is_diagnosed_by_what_systemd_says(machine: HostMachine) -> None:
    machine.release("1.2.2")
    (machine.directory / "releases/1.2.2/bin/agent-factory").chmod(0o644)
    failed = maintain(machine, code=4)
    assert "1.2.2 does not run in green" in failed.stdout
    assert "Permission denied" in failed.stdout
    assert machine.state("green")[1] == "disabled"
    assert serves(machine) == ("blue", "1.0.4")


def test_the_stand_in_answers_as_systemctl_does(tmp_path: Path) -> None:
    """The same assertions hold on a real systemd."""
    machine = HostMachine(tmp_path)
    try:
        ctl, green = machine.systemd.ctl, machine.units["green"]
        ctl("daemon-reload")
        unknown = ctl("show", "--property=LoadState,ActiveState,MainPID", "pyrunbook-none")
        assert (unknown.returncode, sorted(unknown.stdout.split())) == (
            0,
            ["ActiveState=inactive", "LoadState=not-found", "MainPID=0"],
        )
        for verb, code in (("start", 5), ("stop", 5), ("enable", 1), ("disable", 1), ("reset-failed", 1)):
            assert ctl(verb, "pyrunbook-none").returncode == code, verb
        assert ctl("is-active", green).returncode == 3
        assert ctl("status", green).returncode == 3
        assert ctl("is-enabled", green).stdout == "disabled\n"
        assert ctl("enable", "--now", green).returncode == 0, "an empty slot is skipped, which is no failure"
        assert machine.state("green") == ("inactive", "enabled")
        assert ctl("disable", "--now", green).returncode == 0
        assert machine.state("green") == ("inactive", "disabled")
        assert ctl("no-such-verb", green).returncode == 1
    finally:
        machine.stop()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here")
def test_the_units_that_are_shipped_are_sound(tmp_path: Path) -> None:
    program = tmp_path / "slots/blue/release/bin/agent-factory"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    units = list(DOCS.glob("*.service"))
    assert units
    for path in units:
        unit = tmp_path / path.name.replace("@.", "@blue.")
        unit.write_text(path.read_text().replace("/srv/agent-factory", str(tmp_path)))
        done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_real_systemd_is_used_where_it_is_wanted() -> None:
    if os.environ.get(REAL) != "1":
        pytest.skip(f"{REAL}=1 runs the tests of this file on this machine's own systemd")
    assert Path("/run/systemd/system").is_dir(), f"{REAL} is set, and systemd does not run here"
