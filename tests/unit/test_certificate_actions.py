"""The tasks of a rotation on platform host, with the module in this process and a server that a client connects to."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible import constants
from ansible.errors import AnsibleError
from pki_pairs import hand_made
from test_host_pair import in_process
from tls_under_test import TlsServer

from pyrunbook import places
from pyrunbook.journal import Journal, RunStart
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.pair import Pair
from pyrunbook.plugins import selection, target_program
from pyrunbook.plugins.action import (
    certificate_conclude,
    certificate_deploy,
    certificate_put_back,
    certificate_record,
    certificate_rotations,
    certificate_stage,
    certificate_state,
    validate_certs,
)
from pyrunbook.run_contract import ENV_JOURNAL_BROKEN, ENV_RUN_ID

NAME = "a.example"
ROLES = places.content() / "roles"
ROLE = {
    certificate_state: "certificate_state",
    validate_certs: "validate_certs",
    certificate_rotations: "rollback_certs",
    certificate_put_back: "rollback_certs",
}
"""The role of an action; the others are of rotate_certs."""
CLOSED = f"{datetime.now(UTC) + timedelta(days=3):%a} 02:00-04:00 UTC"
Task = Callable[..., dict[str, Any]]


class Rereading(TlsServer):
    """Serves what stands in a directory at each handshake, and a certificate of nobody where there is none."""

    directory: Path | None = None
    _last: ssl.SSLContext | None

    @property
    def _context(self) -> ssl.SSLContext | None:
        if self.directory is None or not (self.directory / "current").exists():
            return self._last
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with contextlib.suppress(ssl.SSLError):  # a pair that does not match: it goes on with what it had
            context.load_cert_chain(self.directory / "current/certificate.pem", self.directory / "current/key.pem")
            self._last = context
        return self._last

    @_context.setter
    def _context(self, context: ssl.SSLContext | None) -> None:
        self._last = context


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Rereading]:
    certificate, key = hand_made()
    with Rereading(Issued(certificate, (), key, "0a", ())) as running:
        running.directory = tmp_path / "tls"
        yield running


@pytest.fixture
def inventory(tmp_path: Path, server: Rereading) -> dict[str, Any]:
    """What the inventory says of the service."""
    entry = {
        "name": "public",
        "issuer": "local",
        "dns_names": [NAME],
        "lifetime": "30d",
        "overlap": "0s",
        "addresses": [f"127.0.0.1:{server.port}"],
        "server_name": NAME,
        "prove_within": "1s",
        "directory": str(tmp_path / "tls"),
    }
    return {
        "service_certificates": [entry],
        "certificate_issuers": {"local": {"kind": "local_ca", "directory": str(tmp_path / "ca")}},
        "service_platform": "host",
    }


@pytest.fixture
def task(
    tmp_path: Path,
    inventory: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Task:
    """Run a task as a play would; its result must be JSON and hold no key."""
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(ENV_RUN_ID, "run1")
    monkeypatch.delenv(ENV_JOURNAL_BROKEN, raising=False)
    module = in_process(monkeypatch, capsys)

    def call(action: Any, function: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> Any:
        assert function == "pair"
        return module(action.check_mode, **arguments)

    monkeypatch.setattr(target_program, "call", call)

    templar = SimpleNamespace(template=lambda value: value)

    def run(
        plugin: Any, check_mode: bool = False, task_vars: dict[str, Any] | None = None, **arguments: Any
    ) -> dict[str, Any]:
        role = ROLE.get(plugin, "rotate_certs")
        own = {name: arguments.pop(name) for name in list(arguments) if name in plugin.ActionModule.ARGUMENTS}
        inputs = {name if name.startswith("__") else f"{role}_{name}": value for name, value in arguments.items()}
        inputs.setdefault("__rotate_certs", {"due": ["public"], "waiting": [], "certificates": ["public"]})
        given: Any = SimpleNamespace(
            args=own, check_mode=check_mode, async_val=0, action="it", environment=None, get_name=lambda: "it : Do it",
            _role=SimpleNamespace(_role_path=str(ROLES / role)),
        )  # fmt: skip
        action = plugin.ActionModule(given, MagicMock(), MagicMock(), MagicMock(), templar, MagicMock())
        result: dict[str, Any] = action.run(task_vars={**inventory, **inputs, **(task_vars or {})})
        assert "PRIVATE" not in json.dumps(result)
        return result

    return run


def rotate(task: Task) -> str:
    for plugin in (certificate_stage, certificate_deploy, certificate_conclude):
        done = move(task, plugin)
        assert done["changed"], done
    return str(done["serial"])


def move(task: Task, plugin: Any, **options: Any) -> dict[str, Any]:
    """One move of a rotation of the certificate; its end is of all that the run is about."""
    return task(plugin, **options, **({} if plugin is certificate_conclude else {"name": "public"}))


def put_back(
    task: Task, check_mode: bool = False, rotation: str = "", undo: bool = False, **found: Any
) -> dict[str, Any]:
    """Both tasks of the role rollback_certs, with other rotations `found` than the first one finds.

    What that one refuses is not done.
    """
    found = {**task(certificate_rotations, check_mode, rotation=rotation, undo=undo), **found}
    if found.get("failed"):
        return found
    return task(certificate_put_back, check_mode, __rollback_certs=found, rotation=rotation)


def test_a_step_that_is_killed_between_two_certificates_leaves_the_evidence_of_the_first(
    task: Task, inventory: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("second", "third"):
        entry = {**inventory["service_certificates"][0], "name": name, "directory": str(tmp_path / name)}
        inventory["service_certificates"].append(entry)
    found = {"outcome": "rollback_failed", "cause": "", "stays": [], "due": [], "refused": False}
    found["rotations"] = {name: {"run": "run0", "undo": True, "new": "0b"} for name in ("public", "second", "third")}

    def settle(_action: Any, _service: Any, wanted: Any, _rotation: Any) -> dict[str, Any]:
        if wanted.name == "third":
            raise SystemExit("killed")
        return {"changed": True, "detail": "served again", "serial": "0a", "evidence": {"serial": "0a"}, "kept": True}

    monkeypatch.setattr(certificate_put_back.ActionModule, "_put_back", settle)
    monkeypatch.setattr(selection, "outermost_include", lambda _: SimpleNamespace(tags=["always", "rollback"]))
    with Journal.open() as journal:
        journal.start_run(RunStart(
            id="run1", runbook="maintenance/certificate_rollback", operator="ada", machine="ops1", pid=1,
            process_started=1.0, inventory="i", inputs={}, strategy=None, only_steps=None, check_mode=False,
            mode="rollback", rollback_of="run0",
        ))  # fmt: skip
        journal.add_service("run1", "web", "host")
        with pytest.raises(SystemExit):
            task(certificate_put_back, task_vars={"inventory_hostname": "web"}, __rollback_certs=found, rotation="run0")
        kept = [(each.step, each.name, each.value) for each in journal.get("run1").services[0].evidence]
    proof = {"serial": "0a"}
    assert kept == [
        ("rollback", "Do it", {"public": proof, "undoable": True}),
        ("rollback", "Do it", {"second": proof, "undoable": True}),
    ]


# --- the decision ----------------------------------------------------------------------------------------------------


def test_what_cannot_be_served_waits_for_no_window_and_that_is_told(task: Task) -> None:
    seen = task(certificate_state, window=CLOSED)
    assert (seen["due"], seen["waiting"], seen["window"]) == (["public"], [], "always")
    assert seen["window_override"] == "public: what is deployed cannot be served (missing)"
    assert "due now: no certificate is deployed" in seen["detail"]
    assert seen["changed"] is False
    assert seen["evidence"]["due"] == ["public"]


@pytest.mark.parametrize(
    ("arguments", "due", "waiting", "window"),
    [
        ({}, [], [], "always"),
        ({"window": CLOSED}, [], [], "always"),
        ({"force": True, "window": CLOSED}, [], ["public"], CLOSED),
        ({"force": True, "window": "always"}, ["public"], [], "always"),
        ({"force": True}, ["public"], [], "always"),
        ({"force": True, "window": CLOSED, "window_override": "it leaked"}, ["public"], [], CLOSED),
        ({"force": True, "window": CLOSED, "phase": "generate"}, ["public"], [], "always"),
    ],
)
def test_the_window_that_preflight_has_to_check(
    task: Task, arguments: dict[str, Any], due: list[str], waiting: list[str], window: str
) -> None:
    rotate(task)
    seen = task(certificate_state, **arguments)
    assert (seen["due"], seen["waiting"], seen["window"]) == (due, waiting, window)
    assert seen["window_override"] == ""


def test_the_window_of_the_runbook_holds_where_none_is_given(task: Task) -> None:
    rotate(task)
    runbook = "maintenance/certificate_rotation"
    seen = task(certificate_state, force=True, runbook=runbook, window=CLOSED)
    assert (seen["waiting"], seen["needs_window"]) == (["public"], True)
    declared = task(certificate_state, force=True, runbook=runbook)
    assert declared["window"] == "Sun 02:00-04:00 UTC"
    assert declared["due"] + declared["waiting"] == ["public"]
    excluded = f"{datetime.now(UTC):%Y-%m-%d}..{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    inventory = {"certificate_window": "daily 00:00-24:00 UTC", "certificate_window_exclusions": [excluded]}
    assert task(certificate_state, force=True, runbook=runbook, task_vars=inventory)["waiting"] == ["public"]
    inventory["certificate_window_exclusions"] = []
    assert task(certificate_state, force=True, runbook=runbook, task_vars=inventory)["due"] == ["public"]


def test_one_that_is_broken_goes_first_and_the_others_wait(
    task: Task, inventory: dict[str, Any], tmp_path: Path
) -> None:
    rotate(task)
    inventory["service_certificates"].append(
        inventory["service_certificates"][0] | {"name": "second", "directory": str(tmp_path / "second")}
    )
    seen = task(certificate_state, force=True, window=CLOSED)
    assert (seen["due"], seen["waiting"], seen["window"]) == (["second"], ["public"], "always")
    assert task(certificate_state, only=["public"])["due"] == []
    assert (
        "no certificate 'third' (service_certificates: public, second)"
        in task(certificate_state, only=["third"])["msg"]
    )


def test_no_certificate_at_all_is_a_mistake(task: Task) -> None:
    for plugin in (certificate_state, validate_certs):
        failed = task(plugin, task_vars={"service_certificates": []})
        assert (failed["bad_input"], "service_certificates is empty" in failed["msg"]) == (True, True)


def test_there_has_to_be_something_to_deploy(task: Task) -> None:
    rotate(task)
    assert "nothing is staged for public" in task(certificate_state, phase="deploy")["msg"]
    task(certificate_stage, name="public")
    assert task(certificate_state, phase="deploy")["due"] == ["public"]


def test_a_mistake_in_the_inventory_stops_every_task(task: Task, inventory: dict[str, Any]) -> None:
    inventory["service_certificates"][0]["lifetime"] = "soon"
    moves = [move(task, plugin) for plugin in (certificate_stage, certificate_deploy, certificate_conclude)]
    for failed in (task(certificate_record), *moves, put_back(task)):
        assert failed["bad_input"]
        assert failed["msg"].startswith("service_certificates[0].lifetime: ")
    with pytest.raises(AnsibleError):
        task(certificate_stage)


# --- the moves -------------------------------------------------------------------------------------------------------


def test_a_rotation_by_tasks_is_served_and_the_old_one_revoked(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = task(certificate_record)
    assert recorded["plan"]["id"] == "run1"
    assert recorded["detail"] == "public: nothing is deployed"
    first = rotate(task)
    assert "plan" not in task(certificate_record), "nothing is due, so nothing will change"
    again = task(certificate_record, task_vars={"certificate_state_force": True})
    assert again["plan"]["checksum"] != recorded["plan"]["checksum"]
    monkeypatch.setenv(ENV_RUN_ID, "run2")
    second = rotate(task)
    assert second != first
    state = task(certificate_state)["certificates"]["public"]
    assert (state["serial"], state["served"][0]["outcome"]) == (second, "pass")
    # With no overlap it was revoked by the conclusion: there is nothing left to do.
    assert state["retired"] == []
    assert not move(task, certificate_conclude)["changed"]
    assert task(validate_certs, warn_days=3)["detail"].startswith("7 looks passed; public: 30.0 days left")


def test_what_another_run_has_rotated_since_it_was_decided_is_not_rotated_again(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that begin in the same second both see it as due; the lock lets one of them go first."""
    decided = {"service_certificate_state": task(certificate_state, begin=True)}
    assert "plan" in task(certificate_record, task_vars=decided)
    monkeypatch.setenv(ENV_RUN_ID, "run2")
    for plugin in (certificate_stage, certificate_deploy, certificate_conclude):
        assert not move(task, plugin).get("failed")
    monkeypatch.setenv(ENV_RUN_ID, "run1")
    refused = task(certificate_record, task_vars=decided)
    assert refused["failed"]
    assert "when this run began it was nothing" in refused["msg"]
    assert "plan" not in refused, "nothing counts as changed"
    decided["service_certificate_state"]["due"] = []
    assert not task(certificate_record, task_vars=decided).get("failed"), "what is not rotated may be anything"


def test_a_failed_reload_is_put_back_by_its_task(
    task: Task, inventory: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = rotate(task)
    monkeypatch.setenv(ENV_RUN_ID, "run2")
    inventory["service_certificates"][0]["reload"] = ["sh", "-c", "echo no socket >&2; exit 1"]
    task(certificate_stage, name="public")
    failed = task(certificate_deploy, name="public")
    assert "the server was not reloaded: sh -c echo no socket >&2; exit 1 ended with 1: no socket" in failed["msg"]
    back = put_back(task)
    assert (back["changed"], back["serial"]) == (True, first)
    assert (back["outcome"], back["ended"]) == ("rolled_back", f"public: {back['detail']}")
    again = put_back(task)
    assert (again["changed"], again["outcome"]) == (False, "failed"), "nothing was left to put back"


def test_a_rotation_of_another_run_is_undone_by_its_id(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rotate(task)
    monkeypatch.setenv(ENV_RUN_ID, "run2")
    for plugin in (certificate_stage, certificate_deploy):
        task(plugin, name="public")
    monkeypatch.setenv(ENV_RUN_ID, "run3")
    found = {"public": {"run": "run2", "undo": True, "new": ""}}
    back = put_back(task, rotations=found)
    assert (back["serial"], back["evidence"]["undoable"]) == (first, False), "nothing is kept of what is discarded"
    refused = put_back(task, rotation="run9", undo=True)
    assert "Run run9 has replaced no certificate" in refused["msg"]
    assert refused["refused"]
    assert "plan" not in refused


def test_check_mode_tells_and_changes_nothing(task: Task, tmp_path: Path) -> None:
    told = task(certificate_stage, check_mode=True, name="public")
    assert told["detail"] == f"would ask local authority in {tmp_path / 'ca'} for a certificate for {NAME}"
    for plugin in (certificate_deploy, certificate_conclude):
        assert not move(task, plugin, check_mode=True).get("failed")
    assert not put_back(task, check_mode=True).get("failed")
    assert not (tmp_path / "tls").exists()
    assert not (tmp_path / "ca").exists()


def test_while_the_journal_is_broken_only_the_way_back_is_open(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rotate(task)
    monkeypatch.setenv(ENV_RUN_ID, "run2")
    task(certificate_stage, name="public")
    monkeypatch.setenv(ENV_JOURNAL_BROKEN, "disk full")
    for plugin in (certificate_stage, certificate_deploy, certificate_conclude):
        assert "disk full" in move(task, plugin)["msg"]
    assert put_back(task)["serial"] == first


def test_a_key_is_not_sent_where_it_would_stay(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DEFAULT_KEEP_REMOTE_FILES", True)
    assert "unset ANSIBLE_KEEP_REMOTE_FILES" in task(certificate_stage, name="public")["msg"]
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"failed": True, "msg": "sudo: a password is required"}, "sudo: a password is required"),
        ({"unreachable": True, "msg": "no route to host"}, "no route to host"),
        (
            {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "python3: not found\n"},
            "MODULE FAILURE (python3: not found)",
        ),
    ],
)
def test_a_module_that_did_not_run_fails_the_task_with_its_words(
    task: Task, monkeypatch: pytest.MonkeyPatch, result: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(target_program, "call", lambda *_: result)
    assert said in task(certificate_state)["msg"]


def test_a_login_that_is_good_for_once_is_used_once(
    task: Task, inventory: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was replaced is revoked while the next one is staged, not by a second login."""
    first = rotate(task)
    monkeypatch.setenv(ENV_RUN_ID, "run2")
    monkeypatch.setattr("pyrunbook.pki.sources.Issuers.logs_in_once", lambda *_: True)
    second = rotate(task)
    assert [each["version"] for each in task(certificate_state)["certificates"]["public"]["retired"]] == [first]
    monkeypatch.setenv(ENV_RUN_ID, "run3")
    assert f"revoked {first}" in task(certificate_stage, name="public")["detail"]
    assert [each["version"] for each in task(certificate_state)["certificates"]["public"]["retired"]] == []
    assert second


def test_more_certificates_than_logins_are_refused_before_the_first(
    task: Task, inventory: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory["service_certificates"].append(
        inventory["service_certificates"][0] | {"name": "second", "directory": str(tmp_path / "second")}
    )
    assert not task(certificate_state, begin=True).get("failed")
    monkeypatch.setattr("pyrunbook.pki.sources.Issuers.logs_in_once", lambda *_: True)
    assert not task(certificate_state).get("failed"), "looking needs no login"
    assert not task(certificate_state, begin=True, only=["public"]).get("failed")
    failed = task(certificate_state, begin=True)
    assert "public, second are due, and the wrapped secret id of local opens one login" in failed["msg"]
    assert "-e certificate_names=public" in failed["msg"]


# --- validation ------------------------------------------------------------------------------------------------------


def test_validation_fails_on_what_is_served(task: Task, server: Rereading) -> None:
    rotate(task)
    server.directory = None
    certificate, key = hand_made()
    server.serve(Issued(certificate, (), key, "0a", ()))
    failed = task(validate_certs)
    assert "public: served at 127.0.0.1:" in failed["msg"]
    assert "(fail): a client refuses what is served" in failed["msg"]
    verdicts = {look["what"].split()[0]: look["verdict"] for look in failed["evidence"]["certificates"]["public"]}
    assert verdicts == {
        "rotation": "pass",
        "pair": "pass",
        "names": "pass",
        "dates": "pass",
        "issuer": "pass",
        "revocation": "pass",
        "served": "fail",
    }


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("nothing", "pair (no data): no certificate is deployed"),
        ("revoked", "revocation (fail): revoked: "),
        ("names", "names (fail): is for a.example, wanted a.example, b.example"),
        ("issuer", "issuer (fail): issued by CN=pyrunbook intermediate"),
        ("late", "dates (fail): 30.0 days left"),
        ("key", "pair (fail): the private key does not belong"),
        ("unseen", "(error): no TLS connection: Connection refused"),
        ("died", "rotation (fail): run run1 began to deploy"),
        ("no authority", "issuer (error): issued by CN=pyrunbook intermediate"),
        ("old one", "(fail): serves serial "),
    ],
)
def test_each_fault_that_validation_is_for(
    task: Task,
    inventory: dict[str, Any],
    server: Rereading,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    said: str,
) -> None:
    if fault != "nothing":
        serial = rotate(task)
    entry = inventory["service_certificates"][0]
    match fault:
        case "revoked":
            LocalAuthority(tmp_path / "ca").revoke(serial)
        case "names":
            entry["dns_names"] = [NAME, "b.example"]
        case "issuer":
            entry["issuer"] = "other"
            inventory["certificate_issuers"]["other"] = {"kind": "local_ca", "directory": str(tmp_path / "other")}
        case "late":
            entry["lifetime"] = "90d"
            monkeypatch.setattr("pyrunbook.pki.certificate.CertificateFacts.lifetime", timedelta(days=360))
        case "key":
            (tmp_path / "tls/current/key.pem").write_bytes(hand_made()[1].pem())
        case "unseen":
            entry["addresses"] = ["127.0.0.1:1"]
        case "died":
            task(certificate_stage, name="public")
            task(certificate_deploy, name="public")
        case "old one":
            server.directory = None  # it goes on with what it has read
            monkeypatch.setenv(ENV_RUN_ID, "run2")
            pair = Pair(tmp_path / "tls")
            task(certificate_stage, name="public")
            pair.activate("run2")
            pair.mark("run2", "reloaded")
            pair.mark("run2", "proven")
            pair.conclude("run2")
        case "no authority":
            (tmp_path / "ca/authority.json").write_text("{")
    failed = task(validate_certs, warn_days=40)
    assert failed["failed"]
    assert said in failed["msg"]
