"""The same runbook on a machine that is reached over SSH: a real sshd, host keys checked, nothing local assumed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from certificates_under_test import at_rest, deployed
from operation import DIRECT, ROOT, gone, maintain, report, runs, serves, started, until_step
from sandbox_under_test import Sandbox
from ssh_under_test import Operator, SshMachine, namespaces, remote_service, running, write_inventory

from pyrunbook.pki import backup
from pyrunbook.pki.age_lock import Passphrase
from pyrunbook.pki.secret import Secret
from pyrunbook.sandbox.load import Load

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # several whole updates in one test


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[SshMachine]:
    with running(tmp_path / "sshd") as started_machine:
        yield started_machine


@pytest.fixture
def operator(sandbox: Sandbox, machine: SshMachine, tmp_path: Path) -> Operator:
    inventory = write_inventory(
        tmp_path / "inventory" / "hosts.yml", {"agent-factory": remote_service(sandbox, machine)}
    )
    return Operator(sandbox, tmp_path / "operator", inventory)


def test_an_update_a_failing_one_and_a_rollback_over_ssh(sandbox: Sandbox, machine: SshMachine, tmp_path: Path) -> None:
    """Where the kernel allows it, the service's directory exists over there only: nothing is read or written here."""
    service = remote_service(sandbox, machine)
    if namespaces():
        there = tmp_path / "there"
        there.mkdir()
        machine.stop()
        machine.start(only_there=(sandbox.directory, there))
        service |= {"service_root": str(there), "service_supervisor_config": str(there / "supervisord.conf")}
    inventory = write_inventory(tmp_path / "inventory" / "hosts.yml", {"agent-factory": service})
    operator = Operator(sandbox, tmp_path / "operator", inventory)
    with Load(sandbox.url, 50) as load:
        maintain(operator)
        assert serves(sandbox) == ("green", "1.1.0")
        undone = operator.run("rollback", "latest", "--yes")
        assert undone.returncode == 0, undone.stdout + undone.stderr
        assert serves(sandbox) == ("blue", "1.0.4")
    assert load.report.failed == 0, load.report
    assert list(sandbox.directory.glob("state/backups/*.tar.gz"))
    sandbox.release("1.2.0", "errors-behind-proxy")
    failing = maintain(operator, code=4)
    assert "blue serves 1.0.4" in failing.stdout
    assert serves(sandbox) == ("blue", "1.0.4")
    if namespaces():
        assert not list(there.iterdir())
    titles = [words[0] for process in psutil.process_iter(["cmdline"]) if (words := process.info["cmdline"])]
    for entry in runs(operator):
        assert not [title for title in titles if f"pyrunbook-{entry['id']}-" in title], "its connections are closed"
    assert not list((operator.home.parent / "tmp").iterdir()), "nothing is left of the connections"


def test_keys_go_to_the_machine_and_into_the_backup_and_nowhere_else(
    sandbox: Sandbox, machine: SshMachine, operator: Operator
) -> None:
    """Also where everything is asked to be shown."""
    first = deployed(sandbox)
    told = [operator.run("certs", "rotate", "--force", "-vvv")]
    second = at_rest(sandbox)
    assert second != first, told[0].stdout[-2000:]
    told += [operator.run("run", "incidents/security_failure", "--step", "backup_security", "--yes", "-vvv")]
    assert told[1].returncode == 0, told[1].stdout[-2000:]
    (archive,) = operator.home.glob("backups/security/*.age")
    passphrase = Passphrase(Secret.from_file(sandbox.layout.backup_passphrase))
    restored = backup.restore(archive, passphrase, operator.home / "restored")
    kept = operator.home / "restored/certificate-public/key.pem"
    assert kept.read_bytes() == (sandbox.layout.certificate / "current/key.pem").read_bytes(), restored
    body = kept.read_text().splitlines()[1]
    kept.unlink()
    written = [operator.home, machine.directory, Path(operator.env["HOME"]) / "tmp", Path.home() / ".ansible"]
    found = []
    for file in (each for place in written for each in place.rglob("*")):
        with contextlib.suppress(OSError):  # of others, who work beside us and remove what is theirs
            if file.is_file() and body in file.read_text("latin-1"):
                found.append(file)
    assert found == []
    assert [done for done in told if body in done.stdout + done.stderr] == []


def untouched(sandbox: Sandbox, operator: Operator) -> bool:
    """Whether blue serves, green is empty, and no lock, plan or backup was made anywhere."""
    made = [*operator.home.glob("plans/*/*"), *sandbox.directory.glob("state/*")]
    return serves(sandbox) == ("blue", "1.0.4") and not sandbox.layout.slot("green").is_symlink() and not made


def test_a_host_key_that_is_unknown_or_another_one_refuses_the_run(
    sandbox: Sandbox, machine: SshMachine, operator: Operator
) -> None:
    known = machine.known_hosts.read_text()
    machine.known_hosts.write_text("")
    unknown = maintain(operator, code=2)
    assert "Host key verification failed" in unknown.stdout
    assert machine.known_hosts.read_text() == "", "nobody has compared it, so nothing is written down"

    machine.known_hosts.write_text(known)
    machine.stop()
    machine.new_host_key()
    machine.start()
    other = maintain(operator, code=2)
    assert "Host key verification failed" in other.stdout
    assert "IDENTIFICATION HAS CHANGED" in other.stdout
    direct = [DIRECT[0], DIRECT[1], "-i", operator.env["PYRUNBOOK_INVENTORY"], *DIRECT[-2:]]
    # A long TMPDIR ends ansible-core 2.20 and later by itself, where no CLI gives it a shorter one.
    env = {name: value for name, value in operator.env.items() if name != "TMPDIR"}
    played = subprocess.run(direct, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert played.returncode == 4, played.stdout
    assert "Host key verification failed" in played.stdout
    assert untouched(sandbox, operator)
    assert "Accepted publickey" not in machine.log()


def test_a_color_that_only_its_own_machine_reaches_is_refused(
    sandbox: Sandbox, machine: SshMachine, operator: Operator, tmp_path: Path
) -> None:
    """Its address says 127.0.0.1 over there, and so does its url: from here that is another machine."""
    service = remote_service(sandbox, machine)
    service["service_colors"]["blue"]["url"] = "http://127.0.0.1:1"
    inventory = write_inventory(tmp_path / "wrong" / "hosts.yml", {"agent-factory": service})
    refused = maintain(operator, "-i", str(inventory), code=3)
    assert "http://127.0.0.1:1 (service_colors.blue.url) is not reached" in refused.stdout
    assert "give each color a url that this machine reaches" in refused.stdout
    (sandbox.directory / "state" / "lock.json.guard").unlink(missing_ok=True)
    assert untouched(sandbox, operator)


def test_a_machine_that_goes_away_for_good_is_recovered_when_it_is_back(
    sandbox: Sandbox, machine: SshMachine, operator: Operator
) -> None:
    with started(operator, "maintenance", "--yes") as process:
        run = until_step(process, "verify")["run"]
        machine.stop()
        out, err = process.communicate(timeout=120)
    last = json.loads(out.splitlines()[-1])
    assert process.returncode == 5, err
    # It went away after the verification: what was verified stays, and the old color is still to be taken away.
    assert (last["outcome"], last["next_step"]) == ("rollback_failed", f"pyrunbook recover {run}")
    assert serves(sandbox) == ("green", "1.1.0")
    assert gone(run)
    refused = maintain(operator, code=3)
    assert f"pyrunbook recover {run}" in refused.stdout

    machine.start()
    back = operator.run(*last["next_step"].split()[1:])
    assert back.returncode == 0, back.stdout + back.stderr
    assert serves(sandbox) == ("green", "1.1.0")
    blue = sandbox.status()["colors"]["blue"]
    assert (blue["running"], blue["version"]) == (False, None)
    assert not (sandbox.directory / "state" / "lock.json").exists()
    assert report(operator, run)["outcome"] == "succeeded"


@pytest.mark.long
def test_a_machine_that_is_back_at_once_is_put_back_by_the_same_run(
    sandbox: Sandbox, machine: SshMachine, operator: Operator
) -> None:
    """What was going on there when the connection broke runs on meanwhile; it must not get into the rollback."""
    with started(operator, "maintenance", "--yes") as process:
        run = until_step(process, "deploy_green")["run"]
        deadline = time.monotonic() + 20
        while not (sandbox.layout.root / "slots/green/starting").exists():  # in the middle of the module
            assert time.monotonic() < deadline
            time.sleep(0.01)
        machine.stop()
        machine.start()
        out, err = process.communicate(timeout=120)
    last = json.loads(out.splitlines()[-1])
    assert (process.returncode, last["outcome"]) == (4, "unreachable"), err
    time.sleep(3)  # more than the broken module needs
    assert serves(sandbox) == ("blue", "1.0.4")
    green = sandbox.status()["colors"]["green"]
    assert (green["running"], green["version"]) == (False, None)
    assert not (sandbox.layout.root / "slots/green/starting").exists()
    assert not (sandbox.directory / "state" / "lock.json").exists()
    assert report(operator, run)["outcome"] == "unreachable"
