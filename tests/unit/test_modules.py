"""The modules: their options, their results, check mode; and that they run on an old Python."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pkgutil
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from test_on_target_units import SUPERVISORCTL

import pyrunbook.on_target
from pyrunbook.on_target import archive

ROOT = Path(__file__).resolve().parents[2]
ON_TARGET = Path(pyrunbook.on_target.__file__).parent
MODULES = sorted((ROOT / "pyrunbook/plugins/modules").glob("host_*.py"))
NAMES = [path.stem for path in MODULES]
MODULE_UTILS = "ansible_collections.pyrunbook.core.plugins.module_utils"
Run = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible ships on_target as module_utils; here it stands there already."""
    for module in pkgutil.walk_packages([str(ON_TARGET)], "pyrunbook.on_target."):
        shipped_as = module.name.replace("pyrunbook.on_target", MODULE_UTILS)
        monkeypatch.setitem(sys.modules, shipped_as, importlib.import_module(module.name))


def start(name: str) -> None:
    """Run the file of a module as Ansible does."""
    runpy.run_path(str(ROOT / f"pyrunbook/plugins/modules/{name}.py"), run_name="__main__")


def documentation(name: str) -> dict[str, Any]:
    path = ROOT / f"pyrunbook/plugins/modules/{name}.py"
    said: dict[str, Any] = yaml.safe_load(runpy.run_path(str(path))["DOCUMENTATION"])
    return said


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a module as Ansible would: its result, and whether it failed."""

    def call(name: str, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        with patch_module_args({**options, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit) as ended:
            start(name)
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert bool(ended.value.code) == bool(result.get("failed"))
        return result

    return call


# --- the interface -----------------------------------------------------------------------------------------------


def spec_of(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], bool]:
    """The argument spec that a module gives to Ansible, and whether it supports check mode."""
    seen: dict[str, Any] = {}

    class Seen(Exception):
        pass

    def stop(self: Any, argument_spec: Any, supports_check_mode: bool = False, **_: Any) -> None:
        seen.update(spec=argument_spec, check=supports_check_mode)
        raise Seen

    with monkeypatch.context() as patched:
        patched.setattr(basic.AnsibleModule, "__init__", stop)
        with pytest.raises(Seen):
            start(name)
    return seen["spec"], seen["check"]


def comparable(options: dict[str, Any], nested: str) -> dict[str, Any]:
    """Options as data: what the documentation and the argument spec must agree on."""
    return {
        name: {
            "type": option.get("type", "str"),
            "required": bool(option.get("required")),
            "default": option.get("default"),
            "choices": option.get("choices"),
            "elements": option.get("elements"),
            "options": comparable(option.get(nested) or {}, nested),
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_says_what_the_module_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, supports_check_mode = spec_of(name, monkeypatch)
    documented = documentation(name)
    assert documented["module"] == name
    if "host_state" in documented["options"].get("service", {}).get("description", ""):
        documented["options"]["service"] = documentation("host_state")["options"]["service"]
    assert comparable(documented["options"], "suboptions") == comparable(spec, "options")
    assert supports_check_mode


# --- results -----------------------------------------------------------------------------------------------------


def test_lock(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "state/lock.json"
    held = {"path": str(path), "state": "held", "operator": "ada", "machine": "control"}
    assert run("host_lock", check_mode=True, **held, holder="one")["changed"]
    assert list(tmp_path.iterdir()) == []
    assert run("host_lock", **held, holder="one")["changed"]
    assert not run("host_lock", **held, holder="one")["changed"]
    refused = run("host_lock", **held, holder="two", predecessors=["three"])
    assert "held by run one of ada on control since 20" in refused["msg"]
    assert refused["lock_holder"]["holder"] == "one"
    assert "one of ada" in run("host_lock", path=str(path), state="shown")["detail"]
    assert run("host_lock", path=str(path), state="free", holder="two")["failed"]
    assert run("host_lock", check_mode=True, path=str(path), state="free", holder="one")["changed"]
    assert path.exists()
    assert run("host_lock", path=str(path), state="free", holder="one")["changed"]
    assert not run("host_lock", path=str(path), state="free", holder="one")["changed"]
    assert run("host_lock", path=str(path), state="shown")["detail"] == "the lock is free"
    assert run("host_lock", check_mode=True, **held, holder="two")["detail"] == "the lock would be taken"
    assert run("host_lock", **held, holder="two")["changed"]
    assert run("host_lock", path=str(path), state="broken", holder="one")["failed"]
    taken_over = run("host_lock", **held, holder="three", predecessors=["one", "two"])
    assert (taken_over["changed"], taken_over["detail"]) == (
        True, "lock held, left behind by run two, which has ended"
    )  # fmt: skip
    assert json.loads(path.read_text())["holder"] == "three"
    assert run("host_lock", path=str(path), state="broken", holder="three")["changed"]
    assert "missing" in run("host_lock", path=str(path), state="held")["msg"]


def test_upstream(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "upstream"
    path.write_text("127.0.0.1:1\n")
    switch = {"path": str(path), "address": "127.0.0.1:2", "expected": ["127.0.0.1:1"]}
    would = run("host_upstream", check_mode=True, **switch)
    assert (would["changed"], path.read_text()) == (True, "127.0.0.1:1\n")
    done = run("host_upstream", **switch)
    assert done["changed"]
    assert done["evidence"] == {"before": "127.0.0.1:1", "after": "127.0.0.1:2"}
    assert not run("host_upstream", **switch)["changed"]
    path.write_text("127.0.0.1:9\n")
    assert "traffic to 127.0.0.1:9; expected 127.0.0.1:1" in run("host_upstream", **switch)["msg"]
    assert path.read_text() == "127.0.0.1:9\n"
    assert not run("host_upstream", **{**switch, "keep": ["127.0.0.1:9"]})["changed"]


def test_plan(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "state/plans/7f3a.json"
    assert run("host_plan", path=str(path))["content"] == ""
    assert run("host_plan", check_mode=True, path=str(path), content="first")["changed"]
    assert not path.exists()
    assert run("host_plan", path=str(path), content="first")["changed"]
    assert not run("host_plan", path=str(path), content="second")["changed"]
    assert run("host_plan", path=str(path))["content"] == "first"
    assert path.stat().st_mode & 0o777 == 0o600


def test_backup(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/a").write_text("a")
    destination = tmp_path / "state/backups/run.tar.gz"
    asked = {"root": str(tmp_path), "parts": ["config"], "destination": str(destination)}
    assert run("host_backup", check_mode=True, **asked)["changed"]
    assert not destination.exists()
    done = run("host_backup", **asked)
    assert done["changed"]
    assert done["backup"]["sha256"] == archive.sha256_of(str(destination))
    assert done["detail"] == "1 files, restored and compared"
    again = run("host_backup", **asked)
    assert not again["changed"]
    assert again["backup"]["sha256"] == done["backup"]["sha256"]
    destination.write_bytes(b"damaged")
    assert "The backup is not sound" in run("host_backup", **asked)["msg"]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A service whose units are the stand-in's: blue runs 1.0.4, green is empty; nothing listens anywhere."""
    root = tmp_path / "service"
    for path in ("releases/1.0.4", "releases/1.1.0", "slots/blue", "slots/green", "proxy"):
        (root / path).mkdir(parents=True)
    (root / "slots/blue/release").symlink_to("../../releases/1.0.4")
    (root / "proxy/upstream").write_text("127.0.0.1:1\n")
    state = tmp_path / "units"
    state.mkdir()
    (state / "af-blue").write_text("RUNNING")
    (state / "af-blue.pid").write_text("100")
    (state / "af-green").write_text("STOPPED")
    program = tmp_path / "supervisorctl"
    program.write_text(SUPERVISORCTL)
    program.chmod(0o755)
    monkeypatch.setenv("FAKE", str(state))
    yield {
        "root": str(root),
        "colors": {
            "blue": {"address": "127.0.0.1:1", "unit": "af-blue"},
            "green": {"address": "127.0.0.1:2", "unit": "af-green"},
        },
        "upstream_file": str(root / "proxy/upstream"),
        "manager": "supervisor",
        "supervisor_config": "c.conf",
        "supervisor_command": [str(program)],
    }


def test_state(run: Run, service: dict[str, Any]) -> None:
    result = run("host_state", service=service)
    assert not result["changed"]
    assert result["detail"] == "blue serves 1.0.4"
    assert result["state"]["colors"]["blue"]["running"]
    assert result["slots"]["root"] == service["root"]
    Path(service["upstream_file"]).unlink()
    assert "The state of the service is not known" in run("host_state", service=service)["msg"]
    assert "missing required arguments" in run("host_state", service={"colors": {}})["msg"]


def test_a_manager_that_does_not_answer_is_no_stopped_service(run: Run, service: dict[str, Any]) -> None:
    result = run("host_state", service={**service, "supervisor_command": ["false"]})
    assert "The state of the service is not known" in result["msg"]


def test_slot(run: Run, service: dict[str, Any]) -> None:
    root = Path(service["root"])
    start = {"service": service, "color": "green", "state": "started", "release": "1.1.0"}
    assert run("host_slot", check_mode=True, **start)["changed"]
    assert not (root / "slots/green/release").is_symlink()
    assert run("host_slot", **start)["changed"]
    assert run("host_slot", **start)["changed"] is False
    assert (root / "slots/green/release").resolve().name == "1.1.0"
    assert run("host_slot", service=service, color="green", state="stopped")["changed"]
    assert run("host_slot", check_mode=True, service=service, color="green", state="removed")["changed"]
    assert (root / "slots/green/release").is_symlink()
    assert run("host_slot", service=service, color="green", state="removed")["changed"]
    assert not run("host_slot", service=service, color="green", state="removed")["changed"]
    assert "release" in run("host_slot", service=service, color="green", state="started")["msg"]


@pytest.mark.parametrize(
    "asked",
    [{"state": "stopped"}, {"state": "removed"}, {"state": "started", "release": "1.1.0"}],
)
def test_the_color_that_serves_is_left_alone(run: Run, service: dict[str, Any], asked: dict[str, Any]) -> None:
    result = run("host_slot", service=service, color="blue", **asked)
    assert "the traffic goes to blue" in result["msg"]
    state = run("host_state", service=service)["state"]["colors"]["blue"]
    assert (state["running"], state["release"]) == (True, "1.0.4")


@pytest.mark.parametrize("state", ["stopped", "removed"])
@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        ("died", "the process of green (af-green) does not run"),
        ("another release", "green holds 1.0.4; verified was 1.1.0"),
        ("sent elsewhere", "the traffic goes to none, not to green"),
        ("deaf", "nothing accepts connections on"),
    ],
)
def test_what_served_is_left_where_the_other_color_is_not_what_was_verified(
    run: Run, service: dict[str, Any], state: str, meanwhile: str, words: str
) -> None:
    root = Path(service["root"])
    green = socket.create_server(("127.0.0.1", 0))
    service["colors"]["green"]["address"] = f"127.0.0.1:{green.getsockname()[1]}"
    asked = {"service": service, "color": "blue", "state": state, "serves": "1.1.0"}
    run("host_slot", service=service, color="green", state="started", release="1.1.0")
    Path(service["upstream_file"]).write_text(service["colors"]["green"]["address"])
    if meanwhile == "died":
        (Path(os.environ["FAKE"]) / "af-green").write_text("EXITED")
    elif meanwhile == "another release":
        (root / "slots/green/release").unlink()
        (root / "slots/green/release").symlink_to("../../releases/1.0.4")
    elif meanwhile == "sent elsewhere":
        Path(service["upstream_file"]).write_text("127.0.0.1:2")
    else:
        green.close()
    result = run("host_slot", **asked)
    assert words in result["msg"] and words in result["evidence"]["no_longer_serves"]
    blue = run("host_state", service=service)["state"]["colors"]["blue"]
    assert (blue["running"], blue["release"]) == (True, "1.0.4")
    green.close()


def test_what_served_goes_where_the_other_color_serves_what_was_verified(run: Run, service: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as green:
        service["colors"]["green"]["address"] = f"127.0.0.1:{green.getsockname()[1]}"
        run("host_slot", service=service, color="green", state="started", release="1.1.0")
        Path(service["upstream_file"]).write_text(service["colors"]["green"]["address"])
        assert run("host_slot", service=service, color="green", state="serving", release="1.1.0")["changed"] is False
        assert run("host_slot", service=service, color="blue", state="removed", serves="1.1.0")["changed"]


def test_the_color_that_serves_may_be_started_again(run: Run, service: dict[str, Any]) -> None:
    """A run that is resumed after the switch finds its release in the color that serves, running or not."""
    start = {"service": service, "color": "blue", "state": "started", "release": "1.0.4"}
    assert not run("host_slot", **start)["changed"]
    (Path(os.environ["FAKE"]) / "af-blue").write_text("EXITED")
    assert run("host_slot", **start)["changed"]


def test_put_back_fails_in_words(run: Run, service: dict[str, Any]) -> None:
    plan = {
        "active": "blue",
        "release": "0.9.0",
        "upstream": "127.0.0.1:1",
        "ready": {"url": "http://127.0.0.1:1/ready", "seconds": 0.1},
        "preview": {"color": "green", "release": None, "running": False},
        "backup": None,
    }
    result = run("host_put_back", service=service, plan=plan)
    assert "release 0.9.0 is gone, and so is its backup" in result["msg"]
    assert not run("host_put_back", service=service, plan=plan, preview=True)["changed"]


# --- the Python of the service's machine -------------------------------------------------------------------------


def old_pythons() -> list[str]:
    """Interpreters of the oldest Pythons that modules must run on, wherever they are found."""
    found = [shutil.which(f"python3.{minor}") for minor in (8, 9)]
    versions = Path("~/.pyenv/versions").expanduser()
    found += [str(path) for pattern in ("3.8.*", "3.9.*") for path in versions.glob(f"{pattern}/bin/python")]
    return [path for path in found if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0]


EXERCISE = """
import os, sys, tempfile
from pyrunbook.on_target import archive, durable, lock_file, slots, units, upstream
root = tempfile.mkdtemp(); os.makedirs(root + "/config"); os.symlink("a", root + "/config/b")
durable.write(root + "/config/a", b"x")
backup = archive.create(root, ["config"], root + "/state/run.tar.gz")
os.rename(root + "/config", root + "/was")
archive.restore(backup["path"], "config", root)
assert lock_file.acquire(root + "/lock", {"holder": "1"}) and lock_file.release(root + "/lock", "1")
durable.write(root + "/upstream", b"a:1\\n")
assert upstream.switch(root + "/upstream", "b:2", ["a:1"])
colors = {color: {"address": "127.0.0.1:1", "unit": color} for color in slots.COLORS}
try:
    service = {"root": root, "colors": colors, "upstream_file": root + "/upstream", "manager": "supervisor"}
    slots.Slots({**service, "supervisor_config": "c", "supervisor_command": ["false"]}).state()
except units.UnitError:
    print("fine on", sys.version.split()[0])
"""


@pytest.mark.parametrize("python", old_pythons() or [None], ids=str)
def test_it_runs_on_an_old_python(python: str | None) -> None:
    if python is None:
        pytest.skip("no Python 3.8 or 3.9 on this machine; test_house.py reads the syntax all the same")
    done = subprocess.run(
        [python, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{EXERCISE}"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert "fine on 3." in done.stdout, done.stderr
