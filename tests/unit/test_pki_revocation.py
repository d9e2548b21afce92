"""Revoked after the overlap and never while served; an answer about it counts only when it is proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from pki_pairs import DAY, Clock, authority, hand_made, issue

from pyrunbook.errors import Refused
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.keys import PrivateKey
from pyrunbook.pki.revocation import RevocationStatus, check_crl, check_ocsp, revoke

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def made(tmp_path: Path) -> LocalAuthority:
    Clock.at = NOW
    return authority(tmp_path / "ca", clock=Clock)


def test_after_the_overlap_it_is_revoked_and_on_the_list(made: LocalAuthority) -> None:
    issued = issue(made)
    told = revoke(made, issued.certificate, replaced=NOW - HOUR, overlap=HOUR, served=["0a"], now=NOW)
    assert told.told
    assert (told.crl.status, told.ocsp.status) == (RevocationStatus.REVOKED, RevocationStatus.NOT_OFFERED)
    assert told.as_json()["crl"]["status"] == "revoked"


@pytest.mark.parametrize(
    ("replaced", "served", "seen"),
    [
        (NOW - HOUR + timedelta(seconds=1), ["0a"], "stays good until"),
        (NOW - 2 * HOUR, [], "it is not known which certificates are served"),
        (NOW - 2 * HOUR, ["0a", "OWN"], "is still served"),
    ],
)
def test_it_is_not_revoked_too_early(made: LocalAuthority, replaced: datetime, served: list[str], seen: str) -> None:
    issued = issue(made)
    own = ":".join(issued.serial[i : i + 2] for i in range(0, len(issued.serial), 2)).upper()
    served = [own if each == "OWN" else each for each in served]
    with pytest.raises(Refused, match=seen):
        revoke(made, issued.certificate, replaced=replaced, overlap=HOUR, served=served, now=NOW)
    assert check_crl(made, issued.certificate, NOW).status is RevocationStatus.GOOD


class Lists:
    """An issuer that tells whatever a test wants."""

    def __init__(self, made: LocalAuthority, crls: list[x509.CertificateRevocationList], answer: bytes | None = None):
        self._made, self._crls, self._answer = made, crls, answer
        self.name = "stand-in"

    def crls(self) -> list[x509.CertificateRevocationList]:
        return self._crls

    def ocsp(self, request: bytes) -> bytes | None:
        self.request = request
        return self._answer

    def __getattr__(self, name: str) -> object:
        return getattr(self._made, name)


def test_a_list_counts_when_it_is_signed_and_current(made: LocalAuthority, tmp_path: Path) -> None:
    issued = issue(made)
    made.revoke(issued.serial)
    (good,) = made.crls()
    old = made.crls()
    assert check_crl(Lists(made, old), issued.certificate, NOW + 8 * DAY).status is RevocationStatus.UNKNOWN  # type: ignore[arg-type]
    assert check_crl(Lists(made, []), issued.certificate, NOW).status is RevocationStatus.NOT_OFFERED  # type: ignore[arg-type]
    forger = PrivateKey.new()
    forged = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(good.issuer)
        .last_update(NOW)
        .next_update(NOW + DAY)
        .sign(forger.unwrap(), hashes.SHA256())
    )
    told = check_crl(Lists(made, [forged]), issued.certificate, NOW)  # type: ignore[arg-type]
    assert told.status is RevocationStatus.UNKNOWN
    assert "has not signed" in told.detail


def respond(
    made: LocalAuthority,
    leaf: x509.Certificate,
    status: ocsp.OCSPCertStatus,
    *,
    about: x509.Certificate | None = None,
    signer: tuple[x509.Certificate, PrivateKey] | None = None,
    until: datetime = NOW + DAY,
) -> Lists:
    issuer = made.authorities()[0]
    responder, key = signer or (issuer, made._store.key(made._store.load().authorities[made._store.load().issuing]))
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            about or leaf, issuer, hashes.SHA1(), status, NOW - HOUR, until,
            NOW - HOUR if revoked else None, None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder)
    )  # fmt: skip
    if signer:
        builder = builder.certificates([responder])
    answer = builder.sign(key.unwrap(), hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    return Lists(made, [], answer)


def test_an_ocsp_answer_counts_when_it_is_signed_current_and_about_it(made: LocalAuthority) -> None:
    leaf, other = issue(made).certificate, issue(made).certificate

    def told(lists: Lists) -> RevocationStatus:
        return check_ocsp(lists, leaf, NOW).status  # type: ignore[arg-type]

    revoked, good = ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.GOOD
    assert told(respond(made, leaf, revoked)) is RevocationStatus.REVOKED
    assert told(respond(made, leaf, good)) is RevocationStatus.GOOD
    assert told(respond(made, leaf, ocsp.OCSPCertStatus.UNKNOWN)) is RevocationStatus.UNKNOWN
    assert told(respond(made, leaf, revoked, about=other)) is RevocationStatus.UNKNOWN
    assert told(respond(made, leaf, revoked, until=NOW - timedelta(minutes=1))) is RevocationStatus.UNKNOWN
    assert told(respond(made, leaf, good, signer=hand_made())) is RevocationStatus.UNKNOWN
    assert told(Lists(made, [], b"nonsense")) is RevocationStatus.UNKNOWN
    assert told(Lists(made, [], None)) is RevocationStatus.NOT_OFFERED
    tried = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    assert told(Lists(made, [], tried.public_bytes(serialization.Encoding.DER))) is RevocationStatus.UNKNOWN


def test_a_responder_that_the_authority_named_counts(made: LocalAuthority) -> None:
    leaf, key = issue(made).certificate, PrivateKey.new()
    issuer = made.authorities()[0]
    record = made._store.load()
    signer = made._store.key(record.authorities[record.issuing])

    def responder(use: x509.ObjectIdentifier) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - HOUR)
            .not_valid_after(NOW + DAY)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .sign(signer.unwrap(), hashes.SHA256())
        )

    for use, status in (
        (ExtendedKeyUsageOID.OCSP_SIGNING, RevocationStatus.REVOKED),
        (ExtendedKeyUsageOID.SERVER_AUTH, RevocationStatus.UNKNOWN),
    ):
        lists = respond(made, leaf, ocsp.OCSPCertStatus.REVOKED, signer=(responder(use), key))
        assert check_ocsp(lists, leaf, NOW).status is status  # type: ignore[arg-type]


def test_an_answer_that_says_good_is_not_told(made: LocalAuthority) -> None:
    issued = issue(made)
    lists = respond(made, issued.certificate, ocsp.OCSPCertStatus.GOOD)
    told = revoke(lists, issued.certificate, replaced=NOW - HOUR, overlap=HOUR, served=["0a"], now=NOW)  # type: ignore[arg-type]
    assert not told.told
