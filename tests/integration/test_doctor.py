"""`pyrunbook doctor` on a real service: what is good, and each thing that may be wrong, with its remedy."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sandbox_under_test import Sandbox

from pyrunbook.journal import Journal, Outcome, RunStart
from pyrunbook.plugins.inventory.pyrunbook_sandbox import host_variables
from pyrunbook.sandbox import state

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
CANARY = "cAnArY-3b77"
EACH = """
import contextlib, io, json, sys, traceback
from pyrunbook.cli.main import main
ends = {}
for command in sys.argv[1:]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(command.split())
        except SystemExit as end:
            code = end.code
        except BaseException:
            code, _ = None, traceback.print_exc()
    ends[command] = (code, said.getvalue())
print(json.dumps(ends))
"""
"""A program: `pyrunbook` with each of its arguments, and as what each of them ended, as JSON."""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One running sandbox for all: a doctor changes nothing."""
    directory = tmp_path_factory.mktemp("doctor")
    made = Sandbox(directory / "home", directory / "sandbox")
    made.start()
    yield made
    made.destroy()


def doctor(sandbox: Sandbox, *args: str, code: int = 3, **environment: str) -> str:
    with mock.patch.dict(sandbox.env, environment):
        done = sandbox.run("doctor", *args)
    assert done.returncode == code, (args, done.stdout, done.stderr)
    assert done.stderr == ""
    assert CANARY not in done.stdout
    return done.stdout


def findings(sandbox: Sandbox, *args: str, code: int = 3, **environment: str) -> dict[str, dict[str, Any]]:
    lines = doctor(sandbox, *args, "--json", code=code, **environment).splitlines()
    found = {entry["name"]: entry for entry in map(json.loads, lines)}
    for entry in found.values():
        assert entry["good"] or entry["next_step"], entry
    return found


def wrong(found: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, entry in found.items() if not entry["good"]]


def services(tmp_path: Path, **variables: Any) -> str:
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"services": {"hosts": {"web": variables}}}))
    return str(path)


def test_a_good_machine_with_a_good_service(sandbox: Sandbox) -> None:
    lines = doctor(sandbox, code=0).splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["✓", "ansible"], ["✓", "project"], ["✓", "configuration"], ["✓", "state"],
        ["✓", "journal"], ["✓", "inventory"],
        *[["✓", "agent-factory:"]] * 6,
    ]  # fmt: skip
    assert "1 service: agent-factory" in lines[5]
    assert "complete and well-formed" in lines[6]
    assert "reachable, its state can be read" in lines[7]
    assert "has what an update needs: rights, space, ports" in lines[8]
    blue = sandbox.settings.addresses["blue"]
    assert lines[9].split() == f"✓ agent-factory: blue on its machine {blue}: accepts connections".split()
    assert f"http://{blue}: 1 of 1 good answers" in lines[10]
    assert f"{sandbox.url}: 1 of 1 good answers" in lines[11]
    found = findings(sandbox, code=0)
    assert not wrong(found)
    assert found["project"]["seen"] == f"{ROOT}, found by pyproject.toml; 0 runbooks of its own"
    assert set(found["journal"]) == {"name", "good", "seen", "next_step"}
    assert not sandbox.ask("history", "--json").strip()


def test_a_configuration_in_a_directory_that_others_may_write_to(sandbox: Sandbox, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shutil.copy(ROOT / "ansible.cfg", shared)
    shared.chmod(0o777)
    found = findings(sandbox, ANSIBLE_CONFIG=str(shared / "ansible.cfg"))["configuration"]
    assert "world-writable: a direct ansible-playbook would ignore ansible.cfg" in found["seen"]
    assert found["next_step"] == f"chmod o-w {shared}"


def test_a_configuration_that_is_missing(sandbox: Sandbox, tmp_path: Path) -> None:
    found = findings(sandbox, ANSIBLE_CONFIG=str(tmp_path / "nowhere.cfg"))["configuration"]
    assert (found["good"], found["next_step"]) == (False, "unset ANSIBLE_CONFIG")


def test_a_run_that_is_unfinished(sandbox: Sandbox) -> None:
    with Journal.open(f"sqlite:///{sandbox.home}/journal.db") as journal:
        facts = {"operator": "bob", "machine": socket.gethostname(), "inventory": "sandbox"}
        start = RunStart(id="00c0ffee", runbook="maintenance/production_update", pid=1, process_started=0, **facts)
        journal.start_run(start)
        try:
            found = findings(sandbox)
        finally:
            journal.end_run("00c0ffee", Outcome.CANCELED)
    assert wrong(found) == ["journal"]
    assert found["journal"]["seen"] == "unfinished runs: 00c0ffee"
    assert found["journal"]["next_step"] == "pyrunbook recover 00c0ffee"


def test_a_state_directory_that_is_open_to_others(sandbox: Sandbox) -> None:
    sandbox.home.mkdir(exist_ok=True)  # where this is the first one to look
    sandbox.home.chmod(0o755)
    try:
        found = findings(sandbox)
    finally:
        sandbox.home.chmod(0o700)
    assert found["state directory"]["next_step"] == f"chmod 700 {sandbox.home}"


@pytest.mark.parametrize("home", ["/proc/no/such", "/dev/null"])
def test_a_state_directory_that_cannot_be(sandbox: Sandbox, home: str) -> None:
    found = findings(sandbox, "--limit", "nobody", PYRUNBOOK_HOME=home)
    assert "journal" in wrong(found)
    assert home in found["journal"]["seen"]
    if home == "/dev/null":  # that /proc takes no directory is seen only by trying
        assert found["state directory"]["next_step"] == "set PYRUNBOOK_HOME"


def test_a_journal_that_cannot_be_reached_shows_no_password(sandbox: Sandbox) -> None:
    url = f"postgresql://bob:{CANARY}@127.0.0.1:1/journal"
    found = findings(sandbox, "--limit", "nobody", PYRUNBOOK_JOURNAL=url)
    assert "127.0.0.1:1/journal" in found["journal"]["seen"]
    assert "PYRUNBOOK_JOURNAL" in found["journal"]["next_step"]
    assert "No host matched" in found["inventory"]["seen"]


def test_a_service_whose_url_does_not_answer_shows_no_password(sandbox: Sandbox, tmp_path: Path) -> None:
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    url = f"http://bob:{CANARY}@127.0.0.1:1"
    hosts = services(tmp_path, service_platform="host", service_root=str(tmp_path), service_url=url, **here)
    found = findings(sandbox, "-i", hosts)
    assert wrong(found)[-1] == "web: url"
    assert "127.0.0.1:1" in found["web: url"]["seen"]
    assert "/ready does not answer from this machine" in found["web: url"]["next_step"]
    assert found["web: state"]["seen"]


def test_a_color_is_looked_at_from_both_sides(sandbox: Sandbox, tmp_path: Path) -> None:
    """Where the proxy dials it, and where it is checked from here: one of them alone is not enough for a run."""
    service = host_variables(state.read(sandbox.directory, probe=False))
    service["service_colors"]["blue"]["url"] = "http://blue.invalid:8101"
    found = findings(sandbox, "-i", services(tmp_path, **service))
    assert wrong(found) == ["web: blue from here"]
    assert "the name is not known here" in found["web: blue from here"]["seen"]
    (sandbox.directory / "proxy/upstream").write_text("127.0.0.1:1\n")
    service["service_colors"]["blue"]["address"] = "127.0.0.1:1"
    try:
        found = findings(sandbox, "-i", services(tmp_path, **service))["web: blue on its machine"]
    finally:
        (sandbox.directory / "proxy/upstream").write_text(sandbox.settings.addresses["blue"] + "\n")
    assert (found["good"], found["seen"]) == (False, "127.0.0.1:1: Connection refused")


def test_a_kubeconfig_that_is_broken(sandbox: Sandbox, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(f"users:\n- name: bob\n  user: {{token: {CANARY}\n")
    hosts = services(
        tmp_path, service_platform="kubernetes", service_kubeconfig=str(config), service_url="", service_namespace="x"
    )
    found = findings(sandbox, "-i", hosts)
    assert str(config) in found["web: permissions"]["seen"]


def test_an_inventory_that_is_no_yaml(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(f"services:\n  password: {CANARY}\n  hosts: [\n")
    found = findings(sandbox, "-i", str(tmp_path / "hosts.yml"))
    assert f"{tmp_path}/hosts.yml:4:1: " in found["inventory"]["seen"]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="gives a file to another user")
@pytest.mark.parametrize("owned", ["journal.db", "."])
def test_a_journal_of_another_user(sandbox: Sandbox, tmp_path: Path, owned: str) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    Journal.open(f"sqlite:///{home / 'journal.db'}").close()
    (home / owned).chmod(0o700 if owned == "." else 0o600)
    os.chown(home / owned, 65534, 65534)
    # Without these capabilities root may open no more than what it owns.
    bare = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable, "-c", EACH]
    env = {**sandbox.env, "PYRUNBOOK_HOME": str(home)}
    commands = ("doctor", "maintenance --yes", "history", "recover", "rollback --yes", "unlock")
    done = subprocess.run([*bare, *commands], env=env, capture_output=True, text=True, timeout=120, check=False)
    ends = json.loads(done.stdout)
    assert list(ends) == list(commands)
    for command, (code, said) in ends.items():
        assert code in (2, 3), (command, said)
        assert "Traceback" not in said, (command, said)
        assert str(home) in said or "no rollback plan" in said, (command, said)
    assert sandbox.status()["active"] == "blue"


def test_a_sandbox_that_is_down(sandbox: Sandbox) -> None:
    """The last one: it stops the sandbox."""
    sandbox.ask("sandbox", "down")
    found = findings(sandbox)
    assert wrong(found) == ["inventory"]
    assert "the sandbox is not running" in found["inventory"]["seen"]
    assert found["inventory"]["next_step"] == "pyrunbook sandbox up"
    for words in (["plan"], ["maintenance", "--yes"]):
        done = sandbox.run(*words)
        assert done.returncode == 2
        assert "the sandbox is not running" in done.stderr
        assert done.stderr.endswith("Next: pyrunbook sandbox up\n")
