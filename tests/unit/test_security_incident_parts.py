"""The parts of a security incident: rotation on trial, signing keys that are due, issuers, evidence, the switch."""

from __future__ import annotations

import json
import tarfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes.document import document
from pyrunbook.kubernetes.errors import ClusterError, Conflict
from pyrunbook.pki import backup, issuer_health, rotation_trial, served, service_signature, signing_rotation
from pyrunbook.pki.age_lock import Passphrase
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.issuers import CertificateRequest, Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.revocation import RevocationStatus, check_crl
from pyrunbook.pki.secret import Secret
from pyrunbook.pki.signing_keys import SigningKeyFiles
from pyrunbook.pki.sources import Issuers, WantedSigningKey
from pyrunbook.rollout import evidence

DAY = timedelta(days=1)


# --- rotation on trial ----------------------------------------------------------------------------------------------


def test_a_trial_is_served_and_revoked(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "ca", "test")
    found = rotation_trial.perform(
        authority, CertificateRequest(("trial.example.com",), timedelta(minutes=10)), tmp_path
    )
    assert found["served"][0]["outcome"] == "pass"
    assert "says since" in found["revoked"]["crl"]


def test_a_trial_that_is_not_served_is_revoked_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = LocalAuthority(tmp_path / "ca", "test")
    issued = []
    real = authority.issue

    def issue(request: CertificateRequest) -> Issued:
        issued.append(real(request))
        return issued[-1]

    monkeypatch.setattr(authority, "issue", issue)
    monkeypatch.setattr(served, "prove", lambda *_, **__: (False, []))
    with pytest.raises(NotIssued, match="not served as a client accepts it"):
        rotation_trial.perform(authority, CertificateRequest(("trial.example.com",), timedelta(minutes=10)), tmp_path)
    assert check_crl(authority, issued[0].certificate).status is RevocationStatus.REVOKED


# --- signing keys ---------------------------------------------------------------------------------------------------


@pytest.fixture
def wanted(tmp_path: Path) -> WantedSigningKey:
    keys = SigningKeyFiles(tmp_path / "signing", "rsa-2048")
    return WantedSigningKey("templates", keys, every=30 * DAY, keep=5 * DAY)


def test_a_signing_key_is_rotated_when_it_is_due_and_not_before(wanted: WantedSigningKey) -> None:
    said = signing_rotation.turn(wanted, only_say=True)
    assert (said.made, wanted.keys.versions()) == (True, []), "a dry run makes none"
    assert signing_rotation.turn(wanted).version == 1
    now = datetime.now(UTC)
    assert not signing_rotation.turn(wanted, now=now + 29 * DAY).changed
    due = signing_rotation.turn(wanted, now=now + 31 * DAY)
    assert (due.version, due.made) == (2, True)
    assert "one from before is still good" in due.detail


def test_what_was_replaced_long_enough_ago_is_forgotten_also_when_none_is_due(wanted: WantedSigningKey) -> None:
    signing_rotation.turn(wanted)
    signing_rotation.turn(wanted, force=True)
    later = datetime.now(UTC) + 6 * DAY
    assert signing_rotation.turn(wanted, only_say=True, now=later).forgotten == ()
    assert [each.number for each in wanted.keys.versions()] == [1, 2]
    assert signing_rotation.turn(wanted, now=later).forgotten == (1,)


def test_nothing_is_forgotten_when_a_signature_from_before_is_refused(
    wanted: WantedSigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing_rotation.turn(wanted)
    monkeypatch.setattr(SigningKeyFiles, "verify", lambda self, data, signature: signature.startswith("file:v2"))
    with pytest.raises(NotIssued, match="a signature from before the rotation is refused"):
        signing_rotation.turn(wanted, now=datetime.now(UTC) + 100 * DAY)
    assert [each.number for each in wanted.keys.versions()] == [1, 2]


# --- what the service signs -----------------------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[tuple[str, dict[str, Any]]]:
    """A service whose answer to a text is what the test says: a function of the text, or status and object."""
    say: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = say["answer"](text)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", say
    server.shutdown()
    server.server_close()


def test_the_service_has_to_sign_with_the_newest_version(
    service: tuple[str, dict[str, Any]], wanted: WantedSigningKey
) -> None:
    url, say = service
    wanted.keys.rotate()
    say["answer"] = lambda text: (200, {"signature": wanted.keys.sign(text)})
    assert "version 1 of templates" in service_signature.prove(url, "/sign", [wanted])
    kept: dict[bytes, str] = {}
    say["answer"] = lambda text: (
        200,
        {"signature": kept.setdefault(text, wanted.keys.sign(text)), "x": wanted.keys.rotate()},
    )
    with pytest.raises(NotIssued, match="signs with version 1 of templates, the newest is 2"):
        service_signature.prove(url, "/sign", [wanted])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}), "answered 200: no signature"),
        ((500, {"error": "no key"}), "answered 500: no key"),
        ((503, {"error": "maintenance"}), "answered 503: maintenance"),
        ((200, {"signature": "nonsense"}), "that is no signature"),
        ((200, {"signature": "file:v1:AAAA"}), "that no key of the service accepts"),
    ],
)
def test_what_is_no_good_signature_is_told(
    service: tuple[str, dict[str, Any]], wanted: WantedSigningKey, answer: tuple[int, Any], said: str
) -> None:
    wanted.keys.rotate()
    url, say = service
    say["answer"] = lambda _: answer
    with pytest.raises(NotIssued, match=said):
        service_signature.prove(url, "/sign", [wanted])


def test_secure_mode_is_no_fault_of_the_signature(
    service: tuple[str, dict[str, Any]], wanted: WantedSigningKey
) -> None:
    url, say = service
    say["answer"] = lambda _: (503, {"error": "secure mode", "reason": "a drill", "since": "now"})
    assert "secure mode is on since now (a drill)" in service_signature.prove(url, "/sign", [wanted])
    with pytest.raises(NotIssued, match="got no answer"):
        service_signature.prove("http://127.0.0.1:9", "/sign", [wanted])


# --- issuers --------------------------------------------------------------------------------------------------------


def test_a_local_authority_is_judged_by_its_dates(tmp_path: Path) -> None:
    LocalAuthority(tmp_path / "ca", "test").issue(CertificateRequest(("a.example.com",), DAY))
    issuers = Issuers({"local": {"kind": "local_ca", "directory": str(tmp_path / "ca")}})
    now = datetime.now(UTC)

    def kind(**given: Any) -> str:
        (found,) = issuer_health.examine(issuers, "local", **given)
        return found.kind.value

    assert kind(now=now) == "healthy"
    assert kind(now=now + 10000 * DAY) == "authority expired"
    assert kind(now=now, lifetime=10000 * DAY) == "authority expires first"


def test_a_secret_that_is_missing_is_told_as_a_diagnosis(tmp_path: Path) -> None:
    auth = {"method": "token", "token_file": str(tmp_path / "none")}
    entry = {"kind": "vault_pki", "address": "http://127.0.0.1:9", "role": "r", "auth": auth}
    (found,) = issuer_health.examine(Issuers({"vault": entry}), "vault")
    assert (found.ok, "none: No such file" in found.seen) == (False, True)


# --- evidence and backup --------------------------------------------------------------------------------------------


def test_evidence_that_was_changed_is_told(tmp_path: Path) -> None:
    archive = tmp_path / "kept" / "shop-1.tar.gz"
    digest = evidence.write(archive, {"run.md": "a run", "host/log": "a line\n"})
    assert evidence.check(archive) == digest
    assert archive.stat().st_mode & 0o777 == 0o600
    assert archive.with_name("shop-1.tar.gz.sha256").read_text() == f"{digest}  shop-1.tar.gz\n"
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    (tmp_path / "out/shop-1/run.md").write_text("another run")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "out/shop-1", "shop-1")
    with pytest.raises(BadInput, match=r"changed since it was written: run\.md"):
        evidence.check(archive)
    archive.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="is no archive of evidence"):
        evidence.check(archive)


def test_a_backup_takes_what_is_not_on_this_disk(tmp_path: Path) -> None:
    passphrase = Passphrase(Secret("correct horse", "the test"))
    sources: dict[str, Path | backup.Files] = {"pair": {"key.pem": (0o600, b"KEY")}}
    made = backup.create(sources, tmp_path / "keys.age", passphrase)
    assert made.verified
    assert b"KEY" not in (tmp_path / "keys.age").read_bytes()
    backup.restore(tmp_path / "keys.age", passphrase, tmp_path / "out")
    assert (tmp_path / "out/pair/key.pem").read_bytes() == b"KEY"
    for bad in ("../key.pem", "/key.pem"):
        with pytest.raises(BadInput, match="is no path for a part of a backup"):
            backup.create({"pair": {bad: (0o600, b"KEY")}}, tmp_path / "no.age", passphrase)


# --- the switch on Kubernetes ---------------------------------------------------------------------------------------


class Cluster:
    """What `document` needs of a cluster; `conflicts` writes are refused first."""

    namespace = "shop"

    def __init__(self, data: dict[str, str] | None, conflicts: int = 0) -> None:
        self.data, self.conflicts, self.written = data, conflicts, 0

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        assert (kind, name) == ("ConfigMap", "mode")
        return None if self.data is None else {"metadata": {"name": name, "resourceVersion": "1"}, "data": self.data}

    def replace(self, obj: dict[str, Any]) -> None:
        assert obj["metadata"]["resourceVersion"] == "1"
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("changed", causes=[])
        self.data, self.written = obj["data"], self.written + 1


def switch(cluster: Cluster, on: bool, **given: Any) -> dict[str, Any]:
    content = {"on": on, "by": "ada"}
    return document(cluster, "mode", "mode.json", content, unless={"on": on}, missing={"on": False}, **given)  # type: ignore[arg-type]


def test_the_key_is_written_beside_the_others_and_once() -> None:
    cluster = Cluster({"other": "kept"}, conflicts=2)
    assert switch(cluster, True, check_mode=True)["changed"]
    assert cluster.written == 0
    assert switch(cluster, True)["changed"]
    assert cluster.data is not None
    assert cluster.data["other"] == "kept"
    assert json.loads(cluster.data["mode.json"])["by"] == "ada"
    assert not switch(cluster, True)["changed"]
    assert switch(cluster, False)["changed"]
    assert json.loads(cluster.data["mode.json"])["on"] is False


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("text", ["yes", "[]", '{"on": 1}', '{"on": 0}', "{}"])
def test_a_key_that_nobody_understands_is_replaced(text: str, on: bool) -> None:
    cluster = Cluster({"mode.json": text})
    assert switch(cluster, on)["changed"]
    assert json.loads((cluster.data or {})["mode.json"])["on"] is on


def test_a_key_that_is_not_there_is_off() -> None:
    assert not switch(Cluster({}), False)["changed"]


def test_a_config_map_that_is_not_there_or_always_changes_is_an_error() -> None:
    with pytest.raises(ClusterError, match="there is no ConfigMap mode"):
        switch(Cluster(None), True)
    with pytest.raises(ClusterError, match="changed at every attempt"):
        switch(Cluster({}, conflicts=99), True)
