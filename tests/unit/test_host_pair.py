"""The module that makes the moves of a pair on its machine: its results, refusals and reload, and what it hides."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pkgutil
import runpy
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from pki_pairs import authority, issue

import pyrunbook.on_target
from pyrunbook import places
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority

MODULE_UTILS = "ansible_collections.pyrunbook.core.plugins.module_utils"
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    return authority(tmp_path_factory.mktemp("state") / "ca")


def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Something that runs the module as Ansible would, with its options; what it prints must hold no key."""
    for found in pkgutil.walk_packages(pyrunbook.on_target.__path__, "pyrunbook.on_target."):
        shipped_as = found.name.replace("pyrunbook.on_target", MODULE_UTILS)
        monkeypatch.setitem(sys.modules, shipped_as, importlib.import_module(found.name))
    path = str(places.package() / "plugins/modules/host_pair.py")

    def call(check_mode: bool = False, **options: Any) -> dict[str, Any]:
        with patch_module_args({"_ansible_check_mode": check_mode, **options}), pytest.raises(SystemExit) as ended:
            runpy.run_path(path, run_name="__main__")
        text = capsys.readouterr().out
        assert "PRIVATE KEY" not in text
        result: dict[str, Any] = json.loads(text)
        assert bool(ended.value.code) == bool(result.get("failed"))
        return result

    return call


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Make a move of a pair below the test's directory."""
    call = in_process(monkeypatch, capsys)
    return lambda move, **options: call(**{"directory": str(tmp_path / "tls"), "move": move, **options})


def pair_of(issued: Issued) -> dict[str, str]:
    return {
        "version": issued.serial,
        "certificate": issued.certificate_pem.decode(),
        "key": issued.key.pem().decode(),
    }


def rotate(run: Run, name: str, issued: Issued) -> None:
    for move, options in (
        ("stage", pair_of(issued)),
        ("activate", {}),
        ("mark", {"step": "reloaded"}),
        ("mark", {"step": "proven"}),
        ("conclude", {}),
    ):
        assert run(move, run=name, **options)["changed"], move


def test_a_whole_rotation_and_back(run: Run, issuer: LocalAuthority, tmp_path: Path) -> None:
    first, second, third = (issue(issuer) for _ in range(3))
    assert run("read")["held"]["standing"]["can"] == ["start"]
    rotate(run, "run1", first)
    rotate(run, "run2", second)
    held = run("read")["held"]
    assert held["standing"]["current"] == second.serial
    assert held["retired"][0] | {"since": ""} == {
        "version": first.serial,
        "since": "",
        "run": "run2",
        "replaced_by": second.serial,
        "undoes": "",
    }
    assert held["pairs"][first.serial] == {
        "certificate": first.certificate_pem.decode(),
        "matches": True,
        "problem": "",
    }
    run("stage", run="run3", **pair_of(third), about={"trust": "x"})
    assert run("take_over", run="run3", by="run4")["changed"]
    assert run("activate", run="run4")["changed"]
    assert run("put_back", run="run4")["changed"]
    assert run("conclude", run="run4")["removed"] == [third.serial]
    assert run("reinstate", run="run5", version=first.serial, undoes="run2")["changed"]
    run("put_back", run="run5")
    run("conclude", run="run5")
    assert run("settle", version=first.serial)["changed"]
    assert run("read")["held"]["retired"] == []
    key = tmp_path / "tls/current/key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes() == second.key.pem()


def test_check_mode_looks_and_changes_nothing(run: Run, issuer: LocalAuthority, tmp_path: Path) -> None:
    assert run("stage", check_mode=True, run="run1", **pair_of(issue(issuer)))["changed"]
    assert run("reload", check_mode=True, argv=["touch", str(tmp_path / "made")])["changed"]
    assert list(tmp_path.iterdir()) == []
    assert "held" in run("read", check_mode=True)


def test_a_refusal_is_a_failure_with_its_words(run: Run, issuer: LocalAuthority, tmp_path: Path) -> None:
    run("stage", run="run1", **pair_of(issue(issuer)))
    refused = run("stage", run="run2", **pair_of(issue(issuer)))
    assert (refused["kind"], "run run1 began to deploy" in refused["msg"]) == ("pair", True)
    assert run("take_over", run="run9", by="run2")["kind"] == "pair"
    nobody = run("stage", run="run1", **pair_of(issue(issuer)), owner="nobody-of-that-name")
    assert nobody["msg"] == "there is no user 'nobody-of-that-name' on this machine"
    assert run("stage", run="run1", **pair_of(issue(issuer)), group="no-such-group")["kind"] == "pair"
    seen = run("read", owner="nobody-of-that-name")
    assert seen["obstacle"] == nobody["msg"]
    assert seen["held"]["standing"]["rotation"]["run"] == "run1", "it is read all the same"
    assert run("read")["obstacle"] == ""
    system = run("activate", run="run1", directory=str(tmp_path / "elsewhere"))
    assert (system["kind"], "No such file" in system["msg"]) == ("system", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_and_group_by_name_or_id(run: Run, issuer: LocalAuthority, tmp_path: Path) -> None:
    issued = issue(issuer)
    run("stage", run="run1", **pair_of(issued), owner="daemon", group="23456", key_mode=0o640)
    status = (tmp_path / "tls/versions" / issued.serial / "key.pem").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1, 23456, 0o640)
    assert run("read", key_mode=0o640)["held"]["pairs"][issued.serial]["problem"] == ""
    assert "0600 is the most allowed" in run("read", key_mode=0o600)["held"]["pairs"][issued.serial]["problem"]


# --- reload -----------------------------------------------------------------------------------------------------------


def test_a_reload_runs_without_a_shell_and_with_a_small_environment(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "s.canary")
    made = tmp_path / "environment"
    script = 'env > "$1"; test -t 0 && exit 1; exit 0'
    done = run("reload", argv=["sh", "-c", script, "sh", f"{made}"])
    assert done["changed"]
    assert "ended with 0" in done["detail"]
    assert "s.canary" not in made.read_text()
    assert "LC_ALL=C" in made.read_text()
    assert run("reload", argv=["test", "$HOME; true", "=", "$HOME; true"])["changed"], "no shell reads it"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["sh", "-c", "echo one; echo two >&2; exit 3"], "ended with 3: two"),
        (["false"], "false ended with 1"),
        (["/nonexistent/caddy", "reload"], "/nonexistent/caddy reload cannot be run: No such file or directory"),
    ],
)
def test_a_reload_that_fails_says_how(run: Run, argv: list[str], said: str) -> None:
    failed = run("reload", argv=argv)
    assert (failed["kind"], said in failed["msg"]) == ("reload", True), failed["msg"]


def test_a_reload_that_does_not_end_is_ended(run: Run) -> None:
    began = time.monotonic()
    failed = run("reload", argv=["sleep", "30"], seconds=1)
    assert failed["msg"] == "sleep 30 did not end within 1 s"
    assert time.monotonic() - began < 10


def test_what_a_reload_leaves_running_is_not_waited_for(run: Run) -> None:
    began = time.monotonic()
    assert run("reload", argv=["sh", "-c", "sleep 5 &"])["changed"]
    assert time.monotonic() - began < 4


def test_an_empty_command_is_a_failure_not_a_crash(run: Run) -> None:
    assert run("reload", argv=[])["kind"] == "reload"
