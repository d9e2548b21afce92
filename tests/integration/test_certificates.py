"""Rotations of a real certificate of a real server: proven, or what was there is served again."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from by_hand import ROOT, STOPPING, Block, Operator, Shell
from certificates_under_test import FORCED, ROTATION, at_rest, deployed, given, reload_command, rotate, served, step
from operation import DIRECT, gone, kill_ansible, playing, report, started, until_step
from sandbox_under_test import Sandbox

from pyrunbook.execution.inventory import services
from pyrunbook.pki.issuers import CertificateRequest
from pyrunbook.pki.issuers.local_ca import LocalAuthority

pytestmark = pytest.mark.integration
PHASE = "rotate_certs_phase={}".format


def closed() -> tuple[str, ...]:
    """Options with which the window is closed, and opens the day after tomorrow."""
    now = datetime.now(UTC)
    around = f"{now - timedelta(days=1):%Y-%m-%d}..{now + timedelta(days=1):%Y-%m-%d}"
    window = {"certificate_window": "daily 00:00-24:00 UTC", "certificate_window_exclusions": [around]}
    return ("-e", json.dumps(window))


def test_a_rotation_is_proven_a_second_one_changes_nothing_and_each_can_be_undone(sandbox: Sandbox) -> None:
    first = at_rest(sandbox)
    done = rotate(sandbox, *FORCED)
    second = at_rest(sandbox)
    assert second != first
    assert f"public serves {second}" in done.stdout
    told = report(sandbox)
    run = told["id"]
    assert f"pyrunbook rollback {run}" in done.stdout
    (service,) = told["services"]
    assert told["outcome"] == service["outcome"] == "succeeded"
    deploys = [entry["value"] for entry in service["evidence"] if "replaces" in entry["value"]]
    assert deploys[0]["serial"] == second
    assert deploys[0]["served"][0]["outcome"] == "pass"
    assert "PRIVATE KEY" not in json.dumps(told)

    again = rotate(sandbox)
    assert "nothing is due" in again.stdout
    assert at_rest(sandbox) == second
    assert "pyrunbook rollback" not in again.stdout

    undone = sandbox.run("rollback", run, "--yes")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert at_rest(sandbox) == first
    assert sandbox.run("rollback", report(sandbox)["id"], "--yes").returncode == 0
    assert at_rest(sandbox) == second

    last = report(sandbox)["id"]
    rotate(sandbox, *FORCED)
    third, newest = at_rest(sandbox), report(sandbox)["id"]
    past = sandbox.run("rollback", last, "--yes")
    assert past.returncode == 3, past.stdout + past.stderr
    assert f"undo that one first: pyrunbook rollback {newest}" in past.stdout
    assert at_rest(sandbox) == third


def test_what_is_generated_serves_nobody_until_it_is_deployed_and_deploying_needs_no_issuer(sandbox: Sandbox) -> None:
    """Nothing staged; a key that was exchanged while it waited; an issuer that is down between issue and deployment."""
    first = at_rest(sandbox)
    versions = sandbox.layout.certificate / "versions"
    refused = rotate(sandbox, "-e", PHASE("deploy"), code=3)
    assert "nothing is staged" in refused.stdout

    rotate(sandbox, *FORCED, "-e", PHASE("generate"))
    assert (deployed(sandbox), served(sandbox), step(sandbox)) == (first, first, "staged")
    (staged,) = (each for each in versions.iterdir() if each.name != first)
    shutil.copy(versions / first / "key.pem", staged / "key.pem")
    done = rotate(sandbox, "-e", PHASE("deploy"), code=4)
    assert "does not belong to" in done.stdout
    assert served(sandbox) == deployed(sandbox) == first

    rotate(sandbox, *FORCED, "-e", PHASE("generate"))
    assert len(list(versions.iterdir())) == 2, "what was staged before is discarded"
    away = sandbox.layout.authority.rename(sandbox.directory / "away")
    failed = rotate(sandbox, "-e", PHASE("deploy"), code=4)
    assert "(error)" in failed.stdout
    assert "stays, it was proven" in failed.stdout
    assert "which issuer that is cannot be determined" in failed.stdout
    away.rename(sandbox.layout.authority)
    second = at_rest(sandbox)
    assert second not in (first, staged.name)
    rotate(sandbox)
    assert at_rest(sandbox) == second


@pytest.mark.parametrize("reload", [["false"], ["true"]], ids=["fails", "does-nothing"])
def test_a_reload_that_does_not_reach_the_server_ends_with_what_was_there(sandbox: Sandbox, reload: list[str]) -> None:
    first = at_rest(sandbox)
    done = rotate(sandbox, *FORCED, *given(sandbox, reload=reload, prove_within="1s"), code=4)
    assert at_rest(sandbox) == first
    assert ("exit" in done.stdout and "1" in done.stdout) if reload == ["false"] else "is not served" in done.stdout
    told = report(sandbox)
    assert told["outcome"] == "rolled_back"
    assert told["cause"]


def test_a_chain_that_no_client_accepts_is_not_deployed(sandbox: Sandbox, tmp_path: Path) -> None:
    first = at_rest(sandbox)
    other = LocalAuthority(tmp_path / "other")
    other.issue(CertificateRequest(("localhost",), timedelta(days=1)))
    ours, theirs = (
        directory / "authorities" / json.loads((directory / "authority.json").read_text())["issuing"]
        for directory in (sandbox.layout.authority, tmp_path / "other")
    )
    for name in ("certificate.pem", "key.pem"):
        shutil.copy(theirs / name, ours / name)
    done = rotate(sandbox, *FORCED, code=4)
    assert "the new certificate is not deployed" in done.stdout
    assert at_rest(sandbox) == first
    assert len(list((sandbox.layout.certificate / "versions").iterdir())) == 1


def test_a_closed_window_refuses_unless_the_certificate_would_expire_before_it_opens(sandbox: Sandbox) -> None:
    first = at_rest(sandbox)
    refused = rotate(sandbox, *FORCED, *closed(), code=3)
    assert "window" in refused.stdout
    assert at_rest(sandbox) == first
    rotate(sandbox, *closed())  # nothing is due, so nothing waits
    rotate(sandbox, *FORCED, *given(sandbox, lifetime="30m"))
    second = at_rest(sandbox)
    rotate(sandbox, *FORCED, *closed())
    assert at_rest(sandbox) != second
    reason = report(sandbox)["services"][0]["override_reason"]
    assert reason.startswith("public: expires ")


def test_a_direct_ansible_playbook_does_the_same(sandbox: Sandbox) -> None:
    first = at_rest(sandbox)
    playbook = str(ROOT / "playbooks/maintenance/certificate_rotation.yml")
    argv = [DIRECT[0], playbook, *DIRECT[2:4], *FORCED]
    done = subprocess.run(argv, env=sandbox.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert at_rest(sandbox) != first


def test_check_mode_changes_nothing(sandbox: Sandbox) -> None:
    first = at_rest(sandbox)
    before = sorted(sandbox.layout.certificate.rglob("*"))
    done = rotate(sandbox, *FORCED, "--check")
    assert "would deploy" in done.stdout
    assert at_rest(sandbox) == first
    assert sorted(sandbox.layout.certificate.rglob("*")) == before


def slowly(sandbox: Sandbox) -> tuple[str, ...]:
    """Options with which each move takes long enough to be seen: the reload begins late, and goes on by itself."""
    reload = f"sleep 0.7; (sleep 0.7; {shlex.join(reload_command(sandbox))}) > /dev/null 2>&1 &"
    return given(sandbox, reload=["sh", "-c", reload.replace("sleep 0.7; (", "sleep 0.7 && (", 1)])


def until(sandbox: Sandbox, wanted: str) -> None:
    """Wait until the rotation has come so far."""
    deadline = time.monotonic() + 60
    while step(sandbox) != wanted:
        assert time.monotonic() < deadline, f"the rotation never was {wanted}"
        time.sleep(0.01)


# What a death leaves depends on the move, not on who died: test_pki_rotation dies in each one, test_engine.py in each
# process. In CI a rotation dies here once, and its way back once.
@pytest.mark.parametrize(
    ("move", "killed"),
    [
        pytest.param("staged", "ansible", marks=pytest.mark.long),
        ("activated", "cli"),
        pytest.param("reloaded", "ansible", marks=pytest.mark.long),
        pytest.param("proven", "cli", marks=pytest.mark.long),
    ],
)
def test_after_a_kill_between_two_moves_a_good_certificate_is_served(sandbox: Sandbox, move: str, killed: str) -> None:
    first = at_rest(sandbox)
    with started(sandbox, "run", ROTATION, "-i", "sandbox", "--yes", *FORCED, *slowly(sandbox)) as process:
        run = until_step(process, "rotate_certs")["run"]
        until(sandbox, move)
        if killed == "cli":
            process.send_signal(signal.SIGKILL)
        else:
            kill_ansible(run)  # the CLI lives, so it brings it to its end by itself
        process.communicate(timeout=120)
    assert gone(run), playing(run)
    assert served(sandbox)
    if killed == "cli":
        if move == "activated":
            assert run in rotate(sandbox, code=3).stdout
        recovered = sandbox.run("recover")
        assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    else:
        assert process.returncode in ((0, 4) if move in ("reloaded", "proven") else (4,))
    now = at_rest(sandbox)
    if move in ("staged", "activated"):
        assert now == first
    assert report(sandbox, run)["outcome"] == ("rolled_back" if now == first else "succeeded")
    assert sandbox.run("recover").stdout.startswith("No run is unfinished")
    if move == "activated":
        rotate(sandbox, *FORCED)
        assert at_rest(sandbox) != now


def test_an_undo_that_is_killed_is_finished(sandbox: Sandbox) -> None:
    first = at_rest(sandbox)
    rotate(sandbox, *FORCED, *slowly(sandbox))
    rotated = report(sandbox)["id"]
    undo = ("run", "maintenance/certificate_rollback", "-i", "sandbox", "--yes", "-e", f"rotation={rotated}")
    with started(sandbox, *undo, *slowly(sandbox)) as process:
        until_step(process, "rollback")
        until(sandbox, "activated")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert sandbox.run("recover").returncode == 0
    assert at_rest(sandbox) == first


def test_a_rotation_by_hand_and_back_is_what_the_page_says(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.env.items():
        monkeypatch.setenv(name, value)
    inventory = ROOT / "inventories" / "sandbox"
    ((name, variables),) = services((str(inventory),)).items()
    operator = Operator(name, variables, "zero_downtime", inventory)
    first = at_rest(sandbox)
    wanted = operator.step("rotate_certs", ROTATION)
    with Shell(STOPPING, sandbox.env, ROOT) as typed:
        for block in operator.blocks(wanted):
            typed.do(block)
        second = at_rest(sandbox)
        assert second != first
        for block in operator.blocks(operator.step("verify", ROTATION)):
            said = typed.do(block)
            assert "BAD" not in said
        for block in operator.blocks(wanted, undo=True):
            typed.do(block)
    assert at_rest(sandbox) == first
    rotate(sandbox, *FORCED)
    third = at_rest(sandbox)
    with Shell(STOPPING, {**sandbox.env, "BACK": first}, ROOT) as typed:
        rollback = next(s for s in operator.steps("maintenance/certificate_rollback") if s.id == "rollback")
        for block in operator.blocks(rollback):
            kept = block.commands.replace("unset DIRECTORY BACK", "unset DIRECTORY")  # as typed after it: BACK=…
            typed.do(Block(block.step, block.text, kept))
    assert at_rest(sandbox) == first != third
