"""A rotation with a real OpenBao as its issuer: proven without it, revoked by it, and one login where one is all."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from by_hand import ROOT, STOPPING, Operator, Shell
from openbao_under_test import OpenBao, program, serving

from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import going_back, overlap, rotation, status, validation
from pyrunbook.pki.due import Then
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.pair import Pair
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.vault_probe import VaultFault
from pyrunbook.pki.wanted import WantedCertificate, read_certificates
from pyrunbook.verdict import Verdict

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("openbao")]
NAME = "agent-factory.example.com"


class Server(Pair):
    """The pair of a server on loopback that reads it when it is told to."""

    listening: socket.socket
    context: ssl.SSLContext | None

    @classmethod
    @contextlib.contextmanager
    def beside(cls, directory: Path) -> Iterator[Server]:
        made = cls(directory)
        object.__setattr__(made, "listening", socket.create_server(("127.0.0.1", 0)))
        object.__setattr__(made, "context", None)
        thread = threading.Thread(target=made.run, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.listening.shutdown(socket.SHUT_RDWR)
            made.listening.close()
            thread.join(5)

    def run(self) -> None:
        while True:
            try:
                plain, _ = self.listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), plain:
                plain.settimeout(5)
                if self.context is not None:
                    self.context.wrap_socket(plain, server_side=True).close()

    def reload(self) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_file, self.key_file)
        object.__setattr__(self, "context", context)
        return "read"

    def heartbeat(self) -> Callable[[], None]:
        return lambda: None


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with serving(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Server]:
    with Server.beside(tmp_path / "tls") as made:
        yield made


@pytest.fixture
def wanted(store: Server) -> WantedCertificate:
    entry = {
        "name": "public",
        "issuer": "vault",
        "dns_names": [NAME],
        "lifetime": "10d",
        "overlap": "0s",
        "addresses": [f"127.0.0.1:{store.listening.getsockname()[1]}"],
        "server_name": NAME,
        "prove_within": "2s",
        "directory": str(store.directory),
    }
    return read_certificates([entry], ["vault"], "host")[0]


def secret_id(bao: OpenBao, file: Path, wrapped: bool = False) -> dict[str, Any]:
    """`auth` of an issuer, with a new secret id, or its wrapping token, in a file."""
    base = f"auth/{bao.approle}/role/pyrunbook"
    with bao.session(bao.root) as session:
        session._client.token = bao.root
        options = {"wrap_ttl": "60s"} if wrapped else {}
        answer = session._client.adapter.post(f"/v1/{base}/secret-id", json={}, **options).json()
    file.touch(0o600)
    file.write_text(answer["wrap_info"]["token"] if wrapped else answer["data"]["secret_id"])
    role_id = bao.ask("GET", f"{base}/role-id")["data"]["role_id"]
    return {
        "method": "approle",
        "role_id": role_id,
        "secret_id_file": str(file),
        "wrapped": wrapped,
        "mount": bao.approle,
    }


def issuers(bao: OpenBao, auth: dict[str, Any], **more: str) -> Issuers:
    entry = {
        "kind": "vault_pki",
        "address": bao.place.address,
        "ca_file": str(bao.place.ca_file or ""),
        "mount": bao.pki,
        "role": "agent-factory",
        "auth": auth,
        **more,
    }
    return Issuers({"vault": entry})


def rotate(wanted: WantedCertificate, store: Server, source: Issuers, run: str) -> str:
    rotation.stage(wanted, store, source, run)
    rotation.deploy(wanted, store, run)
    return rotation.conclude(store).serial


def test_rotated_proven_and_the_replaced_one_revoked(
    bao: OpenBao, wanted: WantedCertificate, store: Server, tmp_path: Path
) -> None:
    with issuers(bao, secret_id(bao, tmp_path / "id")) as source:
        old = rotate(wanted, store, source, "run1")
        new = rotate(wanted, store, source, "run2")
        ended = overlap.revoke_retired(wanted, store, source)
        assert [each["serial"] for each in ended.revoked] == [old]
        assert ended.revoked[0]["ocsp"]["status"] == "revoked"
        seen = status.examine(wanted, store, source)
        assert (seen.decision.then, [each.outcome.value for each in seen.seen]) == (Then.NOTHING, ["pass"])
        assert seen.as_json()["serial"] == new
        looks = validation.validate(wanted, store, source, least=wanted.overlap)
        assert [look for look in looks if not look.good] == []
        assert {look.what: look.detail for look in looks}["revocation"].startswith("good: ")
        source.issuer("vault").revoke(new)
        looks = validation.validate(wanted, store, source, least=wanted.overlap)
        assert [look.what for look in looks if look.verdict is Verdict.FAIL] == ["revocation"]


def test_a_wrapped_secret_id_is_enough_for_a_rotation_and_what_is_to_be_revoked(
    bao: OpenBao, wanted: WantedCertificate, store: Server, tmp_path: Path
) -> None:
    with issuers(bao, secret_id(bao, tmp_path / "first", wrapped=True)) as source:
        assert source.logs_in_once("vault")
        old = rotate(wanted, store, source, "run1")
    with issuers(bao, secret_id(bao, tmp_path / "second", wrapped=True)) as source:
        rotate(wanted, store, source, "run2")
        assert [each["serial"] for each in overlap.revoke_retired(wanted, store, source).revoked] == [old]
    # Looking needs no login at all.
    with issuers(bao, secret_id(bao, tmp_path / "third", wrapped=True)) as source:
        status.examine(wanted, store, source)
        validation.validate(wanted, store, source, least=wanted.overlap)
        source.vault("vault").token()


def test_sealed_between_issue_and_deploy_and_while_something_has_yet_to_be_revoked(
    bao: OpenBao, wanted: WantedCertificate, store: Server, tmp_path: Path
) -> None:
    if not bao.own:
        pytest.skip("seals the server: only done to one of our own")
    auth, roots = secret_id(bao, tmp_path / "id"), tmp_path / "roots.pem"
    roots.write_text(bao.ask("GET", f"{bao.pki}/cert/ca")["data"]["certificate"])
    with issuers(bao, auth) as source:
        old = rotate(wanted, store, source, "run1")
        new = rotation.stage(wanted, store, source, "run2").serial
    bao.seal()
    try:
        with issuers(bao, auth) as source:
            assert rotation.deploy(wanted, store, "run2").serial == new
            rotation.conclude(store)
            left = overlap.revoke_retired(wanted, store, source).left
            assert list(left) == [old]
            assert "sealed" in left[old]
            with pytest.raises(NotIssued) as caught:
                rotation.stage(wanted, store, source, "run3")
            assert caught.value.kind == VaultFault.SEALED.value
            assert going_back.settle(wanted, store, "run3").changed is False
            (seen,) = status.examine(wanted, store, source).seen
            assert (seen.outcome.value, "is sealed" in seen.detail) == ("error", True)
            assert seen.facts is not None
            assert seen.facts.serial == new
        with issuers(bao, auth, trust_file=str(roots)) as source:
            assert status.examine(wanted, store, source).seen[0].outcome.value == "pass", "a file says whom to trust"
    finally:
        bao.unseal()
    deadline = time.monotonic() + 20
    with issuers(bao, auth) as source:
        ended = overlap.revoke_retired(wanted, store, source)
        while not ended.revoked and time.monotonic() < deadline:
            time.sleep(0.2)
            ended = overlap.revoke_retired(wanted, store, source)
        assert [each["serial"] for each in ended.revoked] == [old]


def test_what_the_page_says_to_type_has_it_signed(
    bao: OpenBao, wanted: WantedCertificate, store: Server, tmp_path: Path
) -> None:
    """Up to where it is checked; from there on it is typed as with any other issuer (test_certificates.py)."""
    with issuers(bao, secret_id(bao, tmp_path / "id")) as source:
        old = rotate(wanted, store, source, "run1")
        roots = tmp_path / "roots.pem"
        roots.write_bytes(certificates.pem(*source.issuer("vault").trust()))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bao").symlink_to(program())
    entry = {"kind": "vault_pki", "address": bao.place.address, "ca_file": str(bao.place.ca_file or ""),
             "mount": bao.pki, "role": "agent-factory", "trust_file": str(roots)}  # fmt: skip
    one = {"name": "public", "issuer": "vault", "dns_names": [NAME], "lifetime": "10d", "server_name": NAME,
           "addresses": [str(wanted.addresses[0]).partition(" ")[0]], "directory": str(store.directory)}  # fmt: skip
    service = {"service_platform": "host", "service_certificates": [one], "certificate_issuers": {"vault": entry}}
    operator = Operator("agent-factory", service, "zero_downtime", ROOT / "inventories/sandbox")
    env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path), "BAO_TOKEN": bao.token()}
    choose, make, sign, check, *_ = operator.blocks(operator.step("rotate_certs", "maintenance/certificate_rotation"))
    with Shell(STOPPING, env, ROOT) as typed:
        assert f"serial={old.upper()}" in typed.do(choose)
        typed.do(make)
        typed.do(sign)
        new = typed.do(check).splitlines()[-1]
    (signed, *_) = certificates.parse((store.directory / "by-hand/certificate.pem").read_bytes(), "by hand")
    facts = certificates.facts(signed)
    assert (facts.serial, facts.dns_names, new != old) == (new, (NAME,), True)
    assert timedelta(days=9) < facts.not_after - datetime.now(UTC) <= timedelta(days=10)
    assert store.read().standing.current == old, "nothing is deployed yet"
