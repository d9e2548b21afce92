"""The engine on a synthetic runbook (engine/), killed in each step, in each of its processes: it comes to an end.

What the engine owes every runbook is proven here: its files are all old or all new, the lock is free, the journal says
which, nothing runs any more, and nothing is left to recover. Real runbooks prove their effects with kills of their own.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest
from operation import ROOT, gone, kill_ansible, report, runs, started, until_step
from sandbox_under_test import Sandbox

pytestmark = pytest.mark.integration

ENGINE = Path(__file__).with_name("engine")
RUN = ("run", "maintenance/files", "--yes")
STEPS = ("preflight", "rollback_plan", "first", "second", "verify", "tidy", "conclude")
OLD = {"first": "old", "old": "old"}
NEW = {"first": "new", "second": "new"}


class Engine(Sandbox):
    """A project that has the synthetic runbook and the shipped guards, and a service that is a directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "home", directory / "srv")
        for name in ("data", "state"):
            (self.directory / name).mkdir(parents=True)
        for name, text in OLD.items():
            (self.directory / "data" / name).write_text(text)
        inventory = directory / "hosts.json"
        inventory.write_text(json.dumps({"services": {"hosts": {"files": self._service()}}}))
        self.env |= {
            "PYRUNBOOK_CONTENT": str(ENGINE),
            "PYRUNBOOK_INVENTORY": str(inventory),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": f"{ENGINE}/roles",
            "ANSIBLE_ACTION_PLUGINS": f"{ENGINE}/action",
        }

    def _service(self) -> dict[str, object]:
        addresses = {"blue": "127.0.0.1:1", "green": "127.0.0.1:2"}  # which nobody dials: the steps only write files
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "service_platform": "host",
            "service_root": str(self.directory),
            "service_url": "http://127.0.0.1:9",
            "service_manager": "systemd",
            "service_maintenance_address": "127.0.0.1:9",
            "service_colors": {
                name: {"url": f"http://{address}", "address": address, "unit": name}
                for name, address in addresses.items()
            },
        }

    @property
    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in (self.directory / "data").iterdir()}

    def ended(self, run: str) -> None:
        """See that a run has come to an end, and as what the journal says."""
        assert gone(run)
        told = report(self, run)
        steps = [step for service in told["services"] for step in service["steps"] if step["step"] == "verify"]
        verified = any(step["outcome"] in ("ok", "changed") for step in steps)
        assert self.files == (NEW if verified else OLD)
        assert told["outcome"] in (("succeeded",) if verified else ("rolled_back", "failed"))
        assert not (self.directory / "state" / "lock.json").exists()
        assert self.ask("recover").startswith("No run is unfinished")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def test_an_undisturbed_run_writes_the_files(engine: Engine) -> None:
    done = engine.run(*RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert engine.files == NEW
    assert [step["step"] for step in report(engine)["services"][0]["steps"]] == list(STEPS)


def test_what_fails_its_verification_is_put_back(engine: Engine) -> None:
    (engine.directory / "data" / "bad").write_text("old")
    done = engine.run(*RUN)
    assert done.returncode == 4, done.stdout + done.stderr
    assert engine.files == {**OLD, "bad": "old"}
    assert report(engine)["outcome"] == "rolled_back"


@pytest.mark.parametrize("process", ["cli", "ansible"])
@pytest.mark.parametrize("step", STEPS)
def test_after_a_kill_in_any_step_all_files_are_old_or_all_are_new(engine: Engine, step: str, process: str) -> None:
    with started(engine, *RUN) as cli:
        run = until_step(cli, step)["run"]
        time.sleep(0.1)
        if process == "ansible":
            kill_ansible(run)
        else:
            cli.send_signal(signal.SIGKILL)
        cli.communicate()
    assert gone(run)
    if process == "cli":
        recovered = engine.run("recover")
        assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    elif cli.returncode == 8:  # verified, so it stays; recover removes what is left
        assert engine.run("recover", run).returncode == 0
    engine.ended(run)


@pytest.mark.parametrize("step", ["rollback", "conclude"])
def test_a_recovery_that_is_killed_can_be_recovered(engine: Engine, step: str) -> None:
    with started(engine, *RUN) as cli:
        run = until_step(cli, "second")["run"]
        cli.send_signal(signal.SIGKILL)
        cli.wait()
    assert gone(run)
    with started(engine, "recover") as cli:
        until_step(cli, step)
        cli.send_signal(signal.SIGKILL)
        cli.wait()
    assert gone(run)
    assert engine.run("recover").returncode == 0
    engine.ended(run)
    assert [entry["id"] for entry in runs(engine)] == [run]
