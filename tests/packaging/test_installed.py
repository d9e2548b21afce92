"""An installed pyrunbook works from any directory, without the checkout, with ansible-core alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from installation import CHECKOUT, Distributions, Installed, Size

pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("packaging"), pytest.mark.timeout(600)]

PLAYBOOKS = sorted(
    path.relative_to(CHECKOUT / "playbooks").with_suffix("").as_posix()
    for path in (CHECKOUT / "playbooks").glob("*/*.yml")
    if ".meta." not in path.name
)
UPDATE = "maintenance/production_update"
CORE = "ansible_collections/pyrunbook/core"
SHOW_ALL = """
import sys
from pyrunbook.cli.main import root
for name in sys.argv[1:]:
    root(["show", name], standalone_mode=False)
"""
LIMIT = 120_000_000
"""Bytes of content that the runtime dependencies may have, pyrunbook itself and compiled files included."""


def _content(installed: Installed) -> Path:
    return Path(installed.ok("python", "-c", "from pyrunbook import places; print(places.content())").strip())


def _syntax_check(content: Path, directory: Path) -> list[str]:
    """The command that checks all playbooks of `content`."""
    inventory = directory / "services.yml"
    inventory.write_text("services: {hosts: {agent-factory: {}}}\n")
    playbooks = [str(content / "playbooks" / f"{name}.yml") for name in PLAYBOOKS]
    return ["ansible-playbook", "--syntax-check", "-i", str(inventory), *playbooks]


def _tracked(*paths: str) -> set[str]:
    done = subprocess.run(["git", "ls-files", "-z", *paths], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: there is no list of what belongs in a distribution")
    return {name for name in done.stdout.split("\0") if name and (CHECKOUT / name).exists()}


# --- what is in the distributions --------------------------------------------------------------------------------


def test_the_sdist_is_complete(distributions: Distributions) -> None:
    with tarfile.open(distributions.sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    links = {name for name in _tracked("ansible_collections") if (CHECKOUT / name).is_symlink()}
    assert _tracked() - links - there == set()
    assert {name for name in there if name.startswith(tuple(f"{link}/" for link in links))} == set(), (
        "it is there twice"
    )


def _is_scenario(name: str) -> bool:
    """Whether a file proves a role: a project gets what scenarios share, the scenarios themselves stay here."""
    return re.search(r"(^|/)roles/[^/]+/molecule/", name) is not None


def test_the_wheel_has_all_content_and_nothing_else(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        there = set(archive.namelist())
    wanted = {
        f"{CORE}/{name}"
        for name in _tracked("playbooks", "roles", "inventories", ".config/molecule")
        if not _is_scenario(name)
    }
    assert wanted - there == set()
    assert f"{CORE}/ansible.cfg" in there
    for package, loaded in (
        ("plugins/action", "action"),
        ("plugins/modules", "modules"),
        ("on_target", "module_utils"),
    ):
        names = {path.name for path in (CHECKOUT / "pyrunbook" / package).glob("*.py")}
        assert {f"{CORE}/plugins/{loaded}/{name}" for name in names} - there == set()
    strays = [
        name
        for name in there
        if _is_scenario(name) or name.endswith(".pyc") or not name.startswith(("pyrunbook/", "pyrunbook-", f"{CORE}/"))
    ]
    assert strays == []


# --- what is installed -------------------------------------------------------------------------------------------


def test_runtime_dependencies_stay_small(installed: Installed) -> None:
    grown = installed.grown
    print(f"\nruntime dependencies: {grown.content / 1e6:.0f} MB, {grown.on_disk / 2**20:.0f} MiB on this disk")
    assert list(installed.bin.parent.glob("lib/*/site-packages/ansible/**/*.pyc")), "compiled files have to count"
    assert grown.content < LIMIT


def test_ansible_core_alone_is_enough(installed: Installed) -> None:
    listed = json.loads(installed.ok("python", "-m", "pip", "list", "--format", "json"))
    names = {package["name"].lower() for package in listed}
    assert "ansible-core" in names
    assert names.isdisjoint({"ansible", "kubernetes", "openshift", "ansible-lint", "molecule"})
    there = [path.name for path in installed.bin.parent.glob("lib/*/site-packages/ansible_collections/*/*")]
    assert there == ["core"], "no collection but our own"


def test_the_wheel_is_not_the_checkout(installed: Installed) -> None:
    assert _content(installed).is_relative_to(installed.bin.parent)


# --- what it does, from / ----------------------------------------------------------------------------------------


def test_the_commands_work(installed: Installed) -> None:
    assert "maintenance" in installed.ok("pyrunbook", "--help")
    listed = installed.ok("pyrunbook", "list")
    assert [name for name in PLAYBOOKS if name not in listed] == []
    assert installed.ok("python", "-c", SHOW_ALL, *PLAYBOOKS).count("\n## What to type\n") == len(PLAYBOOKS)
    assert "--window" in installed.ok("pyrunbook", "run", "--help")
    assert installed.ok("pyrunbook", "window", "explain", UPDATE)


def test_every_playbook_passes_the_syntax_check(installed: Installed, tmp_path: Path) -> None:
    content = _content(installed)
    done = installed.call(*_syntax_check(content, tmp_path), ANSIBLE_CONFIG=str(content / "ansible.cfg"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("playbook: ") == len(PLAYBOOKS)
    assert "WARN" not in done.stderr
    assert "DEPRECAT" not in done.stderr


def test_a_direct_play_finds_plugins_and_writes_the_journal(installed: Installed, tmp_path: Path) -> None:
    """The playbook by its name, from `/`: the guard refuses, the callback that was enabled records."""
    inventory = tmp_path / "services.yml"
    service = {
        "ansible_connection": "local", "service_platform": "host", "service_root": str(tmp_path),
        "service_url": "http://127.0.0.1:1", "service_manager": "systemd", "service_maintenance_address": "127.0.0.1:2",
        "service_colors": {
            color: {"url": f"http://127.0.0.1:{port}", "address": f"127.0.0.1:{port}", "unit": color}
            for color, port in (("blue", 3), ("green", 4))
        },
    }  # fmt: skip
    inventory.write_text(
        json.dumps({"services": {"hosts": {"agent-factory": service}, "vars": {"update_window": "always"}}})
    )
    done = installed.call(
        "ansible-playbook", "-i", str(inventory), "pyrunbook.core.production_update",
        ANSIBLE_CALLBACKS_ENABLED="pyrunbook.core.pyrunbook_journal", ANSIBLE_HOME=str(tmp_path / "ansible"),
        PYRUNBOOK_HOME=str(tmp_path / "state"),
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "attested" in done.stdout
    (run,) = [
        json.loads(line)
        for line in installed.ok("pyrunbook", "history", "--json", PYRUNBOOK_HOME=str(tmp_path / "state")).splitlines()
    ]
    assert run["outcome"] == "refused"


def test_modules_are_found_and_carry_what_they_import(installed: Installed, tmp_path: Path) -> None:
    """A module called with nothing must answer about its arguments: it was found, packed and started."""
    modules = sorted(path.stem for path in (CHECKOUT / "pyrunbook/plugins/modules").glob("[!_]*.py"))
    tasks = [{"name": module, f"pyrunbook.core.{module}": {}, "ignore_errors": True} for module in modules]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = installed.call(
        "ansible-playbook", "-i", "localhost,", str(tmp_path / "play.yml"),
        ANSIBLE_HOME=str(tmp_path),
        PYRUNBOOK_HOME=str(tmp_path / "state"),
    )  # fmt: skip
    answers = done.stdout.split("TASK [")[1:]
    assert [answer.partition("]")[0] for answer in answers] == modules, done.stdout + done.stderr
    assert [answer for answer in answers if "missing required arguments" not in answer] == []


def test_a_play_without_the_journal_is_told_how_to_have_it(installed: Installed, tmp_path: Path) -> None:
    inventory = tmp_path / "services.yml"
    inventory.write_text("services: {hosts: {agent-factory: {ansible_connection: local}}}\n")
    play = ["ansible-playbook", "-i", str(inventory), "pyrunbook.core.production_update"]
    state = {"PYRUNBOOK_HOME": str(tmp_path / "state"), "ANSIBLE_HOME": str(tmp_path / "ansible")}
    done = installed.call(*play, **state)
    assert done.returncode == 2, done.stdout + done.stderr
    (name, value) = re.findall(r"Next: export (\w+)=([\w.]+)", done.stdout)[0]
    assert "writes no journal" not in installed.call(*play, **state, **{name: value}).stdout


def test_ansible_doc_lists_our_roles(installed: Installed, tmp_path: Path) -> None:
    listed = installed.ok("ansible-doc", "-t", "role", "-l", "--json", ANSIBLE_HOME=str(tmp_path))
    roles = {f"pyrunbook.core.{path.parent.name}" for path in (CHECKOUT / "roles").glob("*/tasks")}
    assert set(json.loads(listed)) == roles
    assert "drain_timeout" in installed.ok(
        "ansible-doc", "-t", "role", "pyrunbook.core.drain", ANSIBLE_HOME=str(tmp_path)
    )


def test_a_direct_play_updates_the_sandbox_from_another_directory(
    installed_with_sandbox: Installed, tmp_path: Path
) -> None:
    """As the issue has it: the wheel, an inventory, and nothing else."""
    here = {
        "PYRUNBOOK_HOME": str(tmp_path / "state"), "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "ANSIBLE_CALLBACKS_ENABLED": "pyrunbook.core.pyrunbook_journal",
    }  # fmt: skip
    attested = json.dumps({"preflight_attested": ["oncall_available", "staging_validated"]})
    try:
        installed_with_sandbox.ok("pyrunbook", "sandbox", "up", **here)
        said = installed_with_sandbox.ok(
            "ansible-playbook", "pyrunbook.core.production_update",
            "-i", str(_content(installed_with_sandbox) / "inventories/sandbox"), "-e", attested, **here,
        )  # fmt: skip
        assert "unreachable=0    failed=0" in said
        shown = installed_with_sandbox.ok("pyrunbook", "sandbox", "status", **here)
        assert re.search(r"^green +1\.1\.0 +ready +\S+ +<- serves", shown, re.MULTILINE), shown
        (run,) = installed_with_sandbox.ok("pyrunbook", "history", "--json", **here).splitlines()
        assert json.loads(run)["outcome"] == "succeeded"
    finally:
        installed_with_sandbox.ok("pyrunbook", "sandbox", "down", **here)


def test_the_demo_runs_from_the_wheel(installed_with_sandbox: Installed, tmp_path: Path) -> None:
    """The whole update under traffic, from `/`: no request fails, and green serves."""
    state = {"PYRUNBOOK_HOME": str(tmp_path / "state"), "ANSIBLE_HOME": str(tmp_path / "ansible")}
    try:
        done = installed_with_sandbox.call("python", "-m", "pyrunbook.sandbox.demo", **state)
        assert done.returncode == 0, done.stdout + done.stderr
        assert " 0 failed" in done.stdout
        assert "green serves 1.1.0 at http" in done.stdout
    finally:
        installed_with_sandbox.ok("pyrunbook", "sandbox", "down", **state)


# --- an editable install -----------------------------------------------------------------------------------------


def test_an_editable_install_finds_the_checkout_from_any_directory(tmp_path: Path) -> None:
    origin = json.loads(distribution("pyrunbook").read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        pytest.skip("pyrunbook is not installed editable here")
    editable = Installed(Path(sys.executable).parent, tmp_path, Size(0, 0))
    assert _content(editable) == CHECKOUT
    assert UPDATE in editable.ok("pyrunbook", "list")
    said = editable.ok(*_syntax_check(CHECKOUT, tmp_path), ANSIBLE_CONFIG=str(CHECKOUT / "ansible.cfg"))
    assert said.count("playbook: ") == len(PLAYBOOKS)
