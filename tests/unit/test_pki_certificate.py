"""Certificates as facts, keys that do not show themselves, files that others may not read."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa
from hypothesis import given
from hypothesis import strategies as st
from pki_pairs import authority, hand_made, issue

from pyrunbook.errors import BadInput
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import keys
from pyrunbook.pki.keys import PrivateKey
from pyrunbook.pki.secret import Secret


def test_the_facts_of_a_certificate(tmp_path: Path) -> None:
    issued = issue(authority(tmp_path / "ca"), "a.example", "*.b.example", days=30, ip_names=("10.0.0.1", "::1"))
    found = certificates.facts(issued.certificate)
    assert (found.subject, found.common_name) == ("CN=a.example", "a.example")
    assert (found.dns_names, found.ip_names) == (("a.example", "*.b.example"), ("10.0.0.1", "::1"))
    assert (found.key, found.key_usage) == ("ec-p256", ("digital_signature",))
    assert (found.extended_key_usage, found.is_authority) == (("server_auth",), False)
    assert found.issuer.startswith("CN=pyrunbook intermediate ")
    assert int(found.serial, 16) == issued.certificate.serial_number
    assert len(found.fingerprint) == 64
    assert found.not_after - datetime.now(UTC) == pytest.approx(timedelta(days=30), abs=timedelta(minutes=1))
    assert found.not_before.utcoffset() == timedelta(0)
    assert found.used(found.not_before) == 0
    assert found.used(found.not_after) == 1
    assert found.days_left(found.not_after - timedelta(hours=12)) == 0.5
    shown = found.as_json(found.not_after)
    assert shown["not_after"].endswith("Z")
    assert shown["used"] == 1


@given(st.integers(1, 2**159))
def test_a_serial_is_the_same_however_it_is_written(number: int) -> None:
    text = certificates.serial_text(number)
    assert len(text) % 2 == 0
    assert certificates.serial_number(text) == number
    colons = ":".join(text[i : i + 2] for i in range(0, len(text), 2)).upper()
    assert certificates.serial_number(colons) == number


@pytest.mark.parametrize("text", ["", "xyz", "0x12", "-1"])
def test_what_is_no_serial(text: str) -> None:
    with pytest.raises(BadInput, match="not a serial"):
        certificates.serial_number(text)


def test_certificates_are_read_in_their_order_and_come_out_as_they_went_in(tmp_path: Path) -> None:
    issued = issue(authority(tmp_path / "ca"))
    (tmp_path / "pair.pem").write_bytes(issued.key.pem() + issued.certificate_pem)
    assert certificates.read(tmp_path / "pair.pem") == [issued.certificate, *issued.chain]
    assert certificates.pem(*certificates.read(tmp_path / "pair.pem")) == issued.certificate_pem


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", "no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "a broken certificate"),
    ],
)
def test_a_file_without_a_certificate_is_named(tmp_path: Path, content: bytes, seen: str) -> None:
    (tmp_path / "x.pem").write_bytes(content)
    with pytest.raises(BadInput, match=seen):
        certificates.read(tmp_path / "x.pem")
    with pytest.raises(BadInput, match=r"missing\.pem: No such file"):
        certificates.read(tmp_path / "missing.pem")


def test_a_root_is_one_by_its_signature_not_by_its_name() -> None:
    root, _ = hand_made(ca=True)
    assert certificates.self_signed(root)
    other, other_key = hand_made(ca=True)
    claims, _ = hand_made(issuer=root, signer=other_key)  # the same name as issuer and subject
    assert claims.issuer == claims.subject
    assert not certificates.self_signed(claims)
    assert certificates.self_signed(other)


# --- keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "rsa-2048"])
def test_a_new_key_signs_and_comes_back_from_its_file(tmp_path: Path, kind: str) -> None:
    key = PrivateKey.new(kind)
    assert key.kind == kind
    path = tmp_path / "key.pem"
    path.touch(0o600)
    path.write_bytes(key.pem())
    again = PrivateKey.from_file(path)
    assert keys.round_trip(again, key.public_key)
    assert not keys.round_trip(PrivateKey.new(kind), key.public_key)
    assert PrivateKey.from_pem(certificates.pem(hand_made()[0]) + key.pem(), "x").kind == kind


def test_two_keys_are_never_the_same() -> None:
    assert PrivateKey.new().pem() != PrivateKey.new().pem()


def test_a_certificate_belongs_to_its_key_alone() -> None:
    certificate, key = hand_made()
    assert certificates.belongs(certificate, key)
    assert not certificates.belongs(certificate, PrivateKey.new())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o700])
def test_a_key_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(PrivateKey.new().pem())
    path.chmod(mode)
    with pytest.raises(BadInput, match="0600 is the most allowed") as caught:
        PrivateKey.from_file(path)
    assert "chmod 0600" in caught.value.next_step
    if mode == 0o640:
        PrivateKey.from_file(path, allowed=0o640)


def test_a_key_is_a_file_and_not_too_large(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    writer = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    with pytest.raises(BadInput, match="is not a file"):
        PrivateKey.from_file(tmp_path / "pipe")
    os.close(writer)
    (tmp_path / "large").touch(0o600)
    (tmp_path / "large").write_bytes(b"x" * (1 << 20) + b"y")
    with pytest.raises(BadInput, match="larger than"):
        PrivateKey.from_file(tmp_path / "large")


def test_an_encrypted_key_takes_its_passphrase() -> None:
    raw = PrivateKey.new().unwrap()
    locked = raw.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"right"),
    )
    assert PrivateKey.from_pem(locked, "x", Secret("right")).kind == "ec-p256"
    with pytest.raises(BadInput, match="encrypted, and no passphrase"):
        PrivateKey.from_pem(locked, "x")
    with pytest.raises(BadInput, match="with that passphrase"):
        PrivateKey.from_pem(locked, "x", Secret("wrong"))


def test_a_key_that_no_server_uses_is_refused() -> None:
    raw = dsa.generate_private_key(1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(BadInput, match="EC, RSA and Ed25519"):
        PrivateKey.from_pem(raw, "x")
    with pytest.raises(BadInput, match="unknown kind"):
        PrivateKey.new("rsa-1024")


def test_a_signing_request_is_for_the_names_and_the_key() -> None:
    key = PrivateKey.new()
    request = keys.signing_request(key, "a.example", ("a.example",), ("::1",))
    assert request.is_signature_valid
    assert request.public_key() == key.public_key
    with pytest.raises(BadInput, match="DNS name or an IP address"):
        keys.signing_request(key, "a", (), ())
    with pytest.raises(BadInput, match="not a DNS name or IP"):
        keys.signing_request(key, "a", (), ("a.example",))
