"""What is served, seen over new connections to real servers: good, old, untrusted, broken, silent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pki_pairs import authority, hand_made, issue
from tls_under_test import TlsServer

from pyrunbook.errors import BadInput
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.served import Address, describe, look, prove
from pyrunbook.verdict import Verdict


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    return authority(tmp_path_factory.mktemp("state") / "ca")


@pytest.fixture
def old(issuer: LocalAuthority) -> Issued:
    return issue(issuer)


@pytest.fixture
def server(old: Issued) -> Iterator[TlsServer]:
    with TlsServer(old) as running:
        yield running


def at(server: TlsServer, name: str = "a.example") -> Address:
    return Address("127.0.0.1", server.port, name)


def test_a_certificate_that_is_served_and_accepted(server: TlsServer, old: Issued, issuer: LocalAuthority) -> None:
    (seen,) = look(at(server), roots=issuer.trust_file.read_bytes(), serial=old.serial.upper())
    assert (seen.outcome, seen.protocol) == (Verdict.PASS, "TLSv1.3")
    assert seen.facts is not None
    assert seen.facts.serial == old.serial
    assert seen.as_json()["certificate"]["dns_names"] == ("a.example",)
    assert seen.address == f"127.0.0.1:{server.port} (a.example)"


def test_an_old_certificate_is_no_proof(server: TlsServer, old: Issued, issuer: LocalAuthority) -> None:
    new = issue(issuer)
    proven, seen = prove([at(server)], serial=new.serial, roots=issuer.trust_file.read_bytes(), seconds=0.3)
    assert not proven
    assert (seen[0].outcome, seen[0].detail) == (Verdict.FAIL, f"serves serial {old.serial}, wanted {new.serial}")
    assert server.handshakes >= 2, "each look is a new connection"


def test_it_waits_for_a_server_that_is_reloading(server: TlsServer, issuer: LocalAuthority) -> None:
    new = issue(issuer)
    threading.Timer(0.3, server.serve, [new]).start()
    began = time.monotonic()
    proven, seen = prove([at(server)], serial=new.serial, roots=issuer.trust_file.read_bytes(), seconds=10)
    assert proven
    assert 0.2 < time.monotonic() - began < 5
    assert describe(seen).startswith("1 of 1 addresses: serves CN=a.example, serial ")


def test_every_address_has_to_serve_it(server: TlsServer, old: Issued, issuer: LocalAuthority) -> None:
    with TlsServer(issue(issuer)) as other:
        proven, seen = prove(
            [at(server), at(other)], serial=old.serial, roots=issuer.trust_file.read_bytes(), seconds=0
        )
    assert not proven
    assert [each.outcome for each in seen] == [Verdict.PASS, Verdict.FAIL]
    assert describe(seen).startswith(f"127.0.0.1:{other.port} (a.example): serves serial")


def test_no_address_is_no_proof(old: Issued) -> None:
    assert prove([], serial=old.serial, seconds=0) == (False, [])
    with pytest.raises(BadInput, match="which certificate"):
        prove([Address("127.0.0.1", 1)], serial="")


@pytest.mark.parametrize(
    ("name", "seconds_in_serial", "said"),
    [("b.example", 0, "Hostname mismatch"), ("a.example", 1, "unable to get local issuer certificate")],
)
def test_what_a_client_refuses_is_shown_all_the_same(
    server: TlsServer, old: Issued, issuer: LocalAuthority, tmp_path: Path, name: str, seconds_in_serial: int, said: str
) -> None:
    roots = authority(tmp_path / "other").trust_file if seconds_in_serial else issuer.trust_file
    (seen,) = look(at(server, name), roots=roots.read_bytes(), serial=old.serial)
    assert seen.outcome is Verdict.FAIL, "the right serial alone is not enough"
    assert "a client refuses" in seen.detail
    assert said in seen.detail
    assert seen.facts is not None
    assert seen.facts.serial == old.serial


def test_what_clients_refuse_is_not_waited_for(server: TlsServer, old: Issued, tmp_path: Path) -> None:
    roots = authority(tmp_path / "other").trust_file
    looks: list[str] = []
    proven, seen = prove(
        [at(server)], serial=old.serial, roots=roots.read_bytes(), seconds=600, heartbeat=lambda: looks.append("look")
    )
    assert not proven
    assert "a client refuses" in seen[0].detail
    assert len(looks) == 2


def test_a_server_without_its_chain_is_refused(old: Issued, issuer: LocalAuthority) -> None:
    with TlsServer(Issued(old.certificate, (), old.key, old.serial, old.trust)) as server:
        (seen,) = look(at(server), roots=issuer.trust_file.read_bytes())
    assert seen.outcome is Verdict.FAIL
    assert "unable to get local issuer certificate" in seen.detail


def test_an_intermediate_alone_is_no_root(old: Issued, server: TlsServer, tmp_path: Path) -> None:
    (tmp_path / "between.pem").write_bytes(certificates.pem(*old.chain))
    (seen,) = look(at(server), roots=(tmp_path / "between.pem").read_bytes())
    assert seen.outcome is Verdict.FAIL


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    root, root_key = hand_made(ca=True, names=("root.example",), days=(-40, 40))
    leaf, key = hand_made(root, root_key, days=(-20, -1))
    (tmp_path / "root.pem").write_bytes(certificates.pem(root))
    with TlsServer(Issued(leaf, (), key, "0a", (root,))) as server:
        (seen,) = look(at(server), roots=(tmp_path / "root.pem").read_bytes())
    assert seen.outcome is Verdict.FAIL
    assert "certificate has expired" in seen.detail


def test_what_cannot_be_seen_is_an_error_not_a_failure(issuer: LocalAuthority) -> None:
    with TlsServer(None) as silent:
        began = time.monotonic()
        (seen,) = look(at(silent), roots=issuer.trust_file.read_bytes(), timeout=0.3)
        assert time.monotonic() - began < 3
    assert (seen.outcome, seen.detail) == (Verdict.ERROR, "no TLS connection: no answer in time")
    (seen,) = look(Address("127.0.0.1", silent.port), roots=issuer.trust_file.read_bytes())
    assert (seen.outcome, seen.detail) == (Verdict.ERROR, "no TLS connection: Connection refused")
    (seen,) = look(Address("name.invalid", 443), roots=issuer.trust_file.read_bytes())
    assert seen.outcome is Verdict.ERROR
    assert "cannot be resolved" in seen.detail


def test_a_server_that_speaks_no_tls(issuer: LocalAuthority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            connection, _ = plain.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        (seen,) = look(Address("127.0.0.1", plain.getsockname()[1]), roots=issuer.trust_file.read_bytes())
    assert seen.outcome is Verdict.ERROR
    assert "wrong version number" in seen.detail


def test_every_machine_behind_a_name_is_looked_at(
    server: TlsServer, old: Issued, issuer: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with two addresses, of which the second serves another certificate."""
    with TlsServer(issue(issuer), "127.0.0.2", server.port):
        entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        found = [(*entry, (host, server.port)) for host in ("127.0.0.1", "127.0.0.2")]
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *a, **k: found if host == "a.example" else real(host, *a, **k)
        )
        seen = look(Address("a.example", server.port), roots=issuer.trust_file.read_bytes(), serial=old.serial)
    assert [each.outcome for each in seen] == [Verdict.PASS, Verdict.FAIL]
    assert seen[1].address == f"127.0.0.2:{server.port} (a.example)"


@pytest.mark.parametrize(("text", "host", "port"), [("a.example:443", "a.example", 443), ("[::1]:8443", "::1", 8443)])
def test_addresses(text: str, host: str, port: int) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, str(address), address.asked) == (host, port, text, host)


@pytest.mark.parametrize("text", ["a.example", "a.example:", ":443", "a:0", "a:65536", "a:x"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadInput, match="host:port"):
        Address.parse(text)


def test_roots_that_cannot_be_read_are_bad_input() -> None:
    for roots in (b"no certificate", b"\xff"):
        with pytest.raises(BadInput, match="the roots that clients trust: "):
            look(Address("127.0.0.1", 1), roots=roots)
