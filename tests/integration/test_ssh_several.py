"""Several services on one machine that is reached over SSH: one after the other, and by two operators at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from operation import maintain, report, serves, started, until_step
from sandbox_under_test import Sandbox
from ssh_under_test import Operator, SshMachine, remote_service, running, write_inventory

from pyrunbook.sandbox.load import Load

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # several whole updates in one test


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[SshMachine]:
    with running(tmp_path / "sshd") as started_machine:
        yield started_machine


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Sandbox, Sandbox]]:
    """Two services; blue serves 1.0.4 in both."""
    made = [Sandbox(tmp_path / f"home-{n}", tmp_path / f"sandbox-{n}") for n in (1, 2)]
    try:
        for sandbox in made:
            sandbox.start()
        yield made[0], made[1]
    finally:
        for sandbox in made:
            sandbox.destroy()


@pytest.fixture
def inventory(pair: tuple[Sandbox, Sandbox], machine: SshMachine, tmp_path: Path) -> Path:
    first, second = (remote_service(sandbox, machine) for sandbox in pair)
    return write_inventory(tmp_path / "inventory/hosts.yml", {"first": first, "second": second})


def test_services_are_updated_one_after_the_other_and_the_first_failure_ends_it(
    pair: tuple[Sandbox, Sandbox], inventory: Path, tmp_path: Path
) -> None:
    first, second = pair
    operator = Operator(first, tmp_path / "operator", inventory)
    with Load(first.url, 40) as on_first, Load(second.url, 40) as on_second:
        maintain(operator)
        assert serves(first) == serves(second) == ("green", "1.1.0")
    assert (on_first.report.failed, on_second.report.failed) == (0, 0)
    told = {service["service"]: service for service in report(operator)["services"]}
    assert {service["outcome"] for service in told.values()} == {"succeeded"}
    assert max(step["ended"] for step in told["first"]["steps"]) <= min(
        step["started"] for step in told["second"]["steps"]
    )

    first.release("1.2.0", "errors-behind-proxy")
    second.release("1.2.0")

    def files() -> list[tuple[str, int]]:
        return sorted((str(path), path.lstat().st_mtime_ns) for path in second.directory.glob("s*/**/*"))

    before, processes = files(), [process.pid for process in second.processes()]
    failed = maintain(operator, code=4)
    assert "green serves 1.1.0" in failed.stdout
    assert serves(first) == serves(second) == ("green", "1.1.0")
    assert files() == before, "no lock, no plan, no backup, no slot"
    assert [process.pid for process in second.processes()] == processes
    assert "second" not in {service["service"] for service in report(operator)["services"] if service["steps"]}


@pytest.mark.long
def test_two_operators_at_once_on_one_machine_do_not_end_each_others_connections(
    pair: tuple[Sandbox, Sandbox], inventory: Path, tmp_path: Path
) -> None:
    """A run ends the ssh connections that it has opened; another one must not have been travelling on them."""
    ann, bob = (
        Operator(sandbox, tmp_path / name, inventory) for sandbox, name in zip(pair, ("ann", "bob"), strict=True)
    )
    bob.env["HOME"] = ann.env["HOME"]  # one account: what ssh keeps in it would be shared
    # Ann's run opens a connection first; while it ends, a module of Bob's is going on for longer.
    long = ("-e", "deploy_green_stable_seconds=8")
    with started(ann, "maintenance", "--yes", "--limit", "first") as one:
        until_step(one, "backup")
        with started(bob, "maintenance", "--yes", "--limit", "second", *long) as other:
            until_step(other, "deploy_green")
            out, err = one.communicate(timeout=120)
            assert one.returncode == 0, err
            ended, err = other.communicate(timeout=120)
            assert other.returncode == 0, ended + err
    assert json.loads(out.splitlines()[-1])["outcome"] == "succeeded"
    assert serves(pair[0]) == serves(pair[1]) == ("green", "1.1.0")
