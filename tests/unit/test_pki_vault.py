"""What is wrong with a Vault, as far as it shows without a real one; and the shipped policy beside the code."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pki_pairs import authority, issue
from tls_under_test import TlsServer

from pyrunbook.errors import BadInput
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.issuers import CertificateRequest
from pyrunbook.pki.issuers.vault_pki import VaultPki
from pyrunbook.pki.secret import Secret
from pyrunbook.pki.vault import Vault
from pyrunbook.pki.vault_auth import Token
from pyrunbook.pki.vault_health import needed
from pyrunbook.pki.vault_probe import VaultAddress, VaultFault, probe

POLICY = Path(__file__).parents[2] / "docs" / "pki" / "openbao-policy.hcl"
ACTIVE = {"initialized": True, "sealed": False, "standby": False, "version": "0"}


class FakeVault:
    """Answers `sys/health` as told, and other paths with what a test wants."""

    def __init__(self) -> None:
        self.health: Any = ACTIVE
        self.status = 200
        self.date = formatdate(usegmt=True)
        self.answers: dict[str, tuple[int, Any]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.removeprefix("/v1/").partition("?")[0]
                status, data = outer.answers.get(path, (403, {"errors": ["permission denied"]}))
                if path == "sys/health":
                    status, data = outer.status, outer.health
                body = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response_only(status)
                if outer.date:
                    self.send_header("Date", outer.date)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        self.place = VaultAddress(f"http://127.0.0.1:{self.server.server_port}", timeout=5)

    def session(self) -> Vault:
        self.answers["auth/token/renew-self"] = (400, {"errors": ["lease is not renewable"]})
        self.answers["auth/token/lookup-self"] = (200, {"data": {}})
        return Vault(self.place, Token(Secret("t")))


@pytest.fixture
def fake() -> Iterator[FakeVault]:
    made = FakeVault()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize(
    ("status", "health", "kind"),
    [
        (200, ACTIVE, VaultFault.HEALTHY),
        (429, ACTIVE | {"standby": True}, VaultFault.STANDBY),
        (503, ACTIVE | {"sealed": True, "standby": True}, VaultFault.SEALED),
        (501, {"initialized": False, "sealed": True, "standby": True}, VaultFault.UNINITIALIZED),
        (200, b"<html>Welcome</html>", VaultFault.NOT_A_VAULT),
        (404, {"message": "no such route"}, VaultFault.NOT_A_VAULT),
        (200, [1], VaultFault.NOT_A_VAULT),
    ],
)
def test_the_states_of_a_server_are_told_apart(fake: FakeVault, status: int, health: Any, kind: VaultFault) -> None:
    fake.status, fake.health = status, health
    found = probe(fake.place)
    assert found.kind is kind
    assert found.ok == (kind is VaultFault.HEALTHY)
    assert found.ok or found.next_step


def test_a_clock_that_is_off(fake: FakeVault) -> None:
    fake.date = formatdate(1_000_000, usegmt=True)
    assert probe(fake.place, lambda: 1_000_000 + 29.0).ok
    assert "45 s behind" in probe(fake.place, lambda: 1_000_000 + 45.5).seen
    assert "45 s ahead of" in probe(fake.place, lambda: 1_000_000 - 44.5).seen
    for date in ("", "yesterday"):
        fake.date = date
        assert probe(fake.place).ok, "a server that tells no time is not blamed for it"


def test_what_cannot_be_reached_says_why(tmp_path: Path) -> None:
    ca = authority(tmp_path / "ca")
    with TlsServer(None) as silent:
        place = VaultAddress(f"https://127.0.0.1:{silent.port}", ca_file=ca.trust_file, timeout=0.3)
        assert (probe(place).kind, "no answer within 0.3 s" in probe(place).seen) == (VaultFault.UNREACHABLE, True)
    assert "connection refused" in probe(place).seen
    assert "cannot be resolved" in probe(VaultAddress("https://name.invalid:8200")).seen


def test_tls_that_is_not_trusted_says_why(tmp_path: Path) -> None:
    ca, other = authority(tmp_path / "ca"), authority(tmp_path / "other")
    with TlsServer(issue(ca, "localhost")) as server:
        by_name = f"https://localhost:{server.port}"
        found = probe(VaultAddress(by_name, ca_file=other.trust_file))
        assert found.kind is VaultFault.NOT_TRUSTED
        assert "unable to get local issuer" in found.seen
        assert f"-CAfile {other.trust_file}" in found.next_step
        found = probe(VaultAddress(f"https://127.0.0.1:{server.port}", ca_file=ca.trust_file))
        assert found.kind is VaultFault.NOT_TRUSTED
        assert "IP address mismatch" in found.seen


def test_plain_http_where_tls_is_expected(fake: FakeVault) -> None:
    found = probe(VaultAddress(fake.place.address.replace("http:", "https:"), timeout=2))
    assert found.kind is VaultFault.UNREACHABLE
    assert "does not speak TLS" in found.seen


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("vault.example.com:8200", "is not the address"),
        ("ftp://vault.example.com", "is not the address"),
        ("http://vault.example.com:8200", "not sent over plain http"),
        ("http://127.0.0.1.example.com", "not sent over plain http"),
        ("https://me:secret@vault.example.com", "must not hold"),
    ],
)
def test_an_address_over_which_no_token_travels(address: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        VaultAddress(address)
    assert "secret" not in str(caught.value)


def test_the_next_step_asks_the_same_server(tmp_path: Path) -> None:
    place = VaultAddress("https://vault.example.com:8200", "team/a", tmp_path / "ca.pem")
    assert place.environment() == (
        f"BAO_ADDR=https://vault.example.com:8200 BAO_CACERT={tmp_path}/ca.pem BAO_NAMESPACE=team/a"
    )
    assert (place.host, place.port, VaultAddress("https://v").port) == ("vault.example.com", 8200, 443)
    with pytest.raises(BadInput, match=r"ca\.pem"):
        probe(place)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (403, "permission denied", VaultFault.PERMISSION_DENIED),
        (404, 'no handler for route "pki/sign/x". route entry not found.', VaultFault.WRONG_MOUNT),
        (400, "unknown role: x", VaultFault.WRONG_ROLE),
        (400, "notAfter that is beyond the expiration of the CA certificate at", VaultFault.AUTHORITY_ENDS),
        (400, "csr is malformed", VaultFault.REJECTED),
        (500, "internal error", VaultFault.REJECTED),
    ],
)
def test_a_refusal_is_explained(fake: FakeVault, status: int, said: str, kind: VaultFault) -> None:
    fake.answers["pki/sign/x"] = (status, {"errors": [said]})
    with fake.session() as session, pytest.raises(NotIssued) as caught:
        session.write("pki/sign/x", {})
    assert caught.value.kind == kind.value
    assert caught.value.next_step


def test_a_refusal_of_a_server_that_is_going_down_is_blamed_on_that(fake: FakeVault) -> None:
    fake.answers["pki/sign/x"] = (503, {"errors": ["Vault is sealed"]})
    with fake.session() as session:
        session.token()
        fake.status, fake.health = 503, ACTIVE | {"sealed": True}
        with pytest.raises(NotIssued) as caught:
            session.write("pki/sign/x", {})
    assert caught.value.kind == VaultFault.SEALED.value


def test_an_answer_for_another_key_or_without_a_certificate_is_not_taken(fake: FakeVault, tmp_path: Path) -> None:
    other = issue(authority(tmp_path / "ca"))
    answer = {"certificate": other.certificate_pem.decode(), "ca_chain": [other.certificate_pem.decode()]}
    request = CertificateRequest(
        ("a.example",), other.certificate.not_valid_after_utc - other.certificate.not_valid_before_utc
    )
    with fake.session() as session:
        fake.answers["pki/sign/x"] = (200, {"data": answer})
        with pytest.raises(NotIssued, match="for another key"):
            VaultPki(session, "x").issue(request)
        fake.answers["pki/sign/x"] = (200, {"data": {"certificate": "none"}})
        with pytest.raises(NotIssued, match="no certificate in PEM"):
            VaultPki(session, "x").issue(request)
        with pytest.raises(NotIssued, match="has no authority"):
            VaultPki(session, "x").authorities()


def test_the_shipped_policy_is_what_the_code_needs() -> None:
    text = re.sub(r"(?m)#.*$", "", POLICY.read_text(encoding="utf-8"))
    found = dict(re.findall(r'path "([^"]+)" \{\s*capabilities = \["(\w+)"\]\s*\}', text))
    assert found == needed("pki", "agent-factory", transit="transit", key="agent-factory-templates")
    assert text.count("path") == len(found)
