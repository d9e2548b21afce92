"""Several services in one run, and single steps of one: what is not asked for is not touched."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from operation import maintain, report, serves
from sandbox_under_test import Sandbox

from pyrunbook.plugins.inventory.pyrunbook_sandbox import host_variables
from pyrunbook.sandbox import state

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Sandbox, Sandbox]]:
    """Two running sandboxes with one journal; the inventory is `hosts.json` beside them."""
    made = tuple(Sandbox(tmp_path / "home", tmp_path / name) for name in ("web", "shop"))
    hosts = {}
    try:
        for sandbox in made:
            sandbox.start()
            hosts[sandbox.directory.name] = host_variables(state.read(sandbox.directory, probe=False))
        decided = ROOT / "inventories/sandbox/group_vars/services.yml"
        (tmp_path / "group_vars").mkdir()
        (tmp_path / "group_vars" / "services.yml").write_text(decided.read_text())
        (tmp_path / "hosts.json").write_text(json.dumps({"services": {"hosts": hosts}}))
        assert all(found["ansible_python_interpreter"] == sys.executable for found in hosts.values())
        yield made[0], made[1]
    finally:
        for sandbox in made:
            sandbox.destroy()


@pytest.mark.long
def test_services_are_updated_one_after_another_until_one_fails(two: tuple[Sandbox, Sandbox], tmp_path: Path) -> None:
    web, shop = two
    hosts = ("-i", str(tmp_path / "hosts.json"))
    web.release("1.2.0", "unhealthy")
    failed = maintain(web, *hosts, code=4)
    assert serves(web) == ("blue", "1.0.4")
    assert serves(shop) == ("blue", "1.0.4")
    told = report(web)
    assert told["outcome"] == "rolled_back"
    assert [part["service"] for part in told["services"]] == ["web"]
    assert "Not begun: shop. Once the cause is gone: the same command with --limit shop" in failed.stdout

    # The other way round: the first one is updated and stays so; the run is as bad as its worst service.
    (tmp_path / "reversed.json").write_text(json.dumps({"services": {"hosts": dict(reversed(
        json.loads((tmp_path / "hosts.json").read_text())["services"]["hosts"].items()))}}))  # fmt: skip
    mixed = maintain(web, "-i", str(tmp_path / "reversed.json"), code=4)
    assert serves(shop) == ("green", "1.1.0")
    assert serves(web) == ("blue", "1.0.4")
    told = report(web)
    outcomes = [(part["service"], part["outcome"]) for part in told["services"]]
    assert outcomes == [("shop", "succeeded"), ("web", "rolled_back")]
    assert told["outcome"] == "rolled_back"
    assert "shop: green serves 1.1.0, blue is gone; web: blue serves 1.0.4" in mixed.stdout.splitlines()[-3]
    # The report says how to undo what stays, and that is so.
    undo = f"pyrunbook rollback {told['id']} --limit shop"
    assert f"stays on shop. To put back what was there before it:\n\n```bash\n{undo}\n" in web.ask("report", "latest")
    undone = web.run(*undo.split()[1:], "--yes")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert serves(shop) == serves(web) == ("blue", "1.0.4")


def test_a_single_step_is_guarded_and_recorded_and_claims_no_more_than_it_did(sandbox: Sandbox) -> None:
    refused = sandbox.run("maintenance", "--step", "backup", "--attest", "oncall_available")
    assert refused.returncode == 3
    assert "staging_validated" in refused.stdout
    done = maintain(sandbox, "--step", "backup")
    assert serves(sandbox) == ("blue", "1.0.4")
    told = report(sandbox)
    steps = [step["step"] for step in told["services"][0]["steps"]]
    assert steps == ["preflight", "backup", "rollback_plan", "conclude"]
    assert told["outcome"] == "succeeded"
    assert "Succeeded in" in done.stdout
    assert "s: only backup was done." in done.stdout
    assert "is gone" not in done.stdout
    assert "To undo" not in done.stdout
    assert "there is nothing to undo" in sandbox.ask("report", told["id"])
    assert not (sandbox.directory / "state" / "lock.json").exists()
