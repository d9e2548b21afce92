"""Revokes a certificate after the overlap, never before, and checks CRL and OCSP where the issuer has them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from pyrunbook.errors import Refused
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.issuers import Issuer


class RevocationStatus(Enum):
    """The status that an issuer publishes for a certificate."""

    REVOKED = "revoked"
    GOOD = "good"
    UNKNOWN = "unknown"
    """The answer proves nothing: it is too old, signed by another key, or about another certificate."""
    NOT_OFFERED = "not offered"
    """The issuer has no such service."""


@dataclass(frozen=True)
class RevocationAnswer:
    """An answer about a certificate.

    Attributes:
        status: see `RevocationStatus`.
        detail: one line: what was seen.
    """

    status: RevocationStatus
    detail: str


@dataclass(frozen=True)
class Revoked:
    """A certificate that was revoked, and whether the issuer publishes it.

    Attributes:
        serial: hex.
        crl: what the issuer's list says.
        ocsp: what its OCSP says.
    """

    serial: str
    at: datetime
    crl: RevocationAnswer
    ocsp: RevocationAnswer

    @property
    def told(self) -> bool:
        """Whether at least one of the two says revoked, and none says good."""
        said = (self.crl.status, self.ocsp.status)
        return RevocationStatus.REVOKED in said and self.ocsp.status is not RevocationStatus.GOOD

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return {
            "serial": self.serial,
            "at": certificates.stamp(self.at),
            "crl": {"status": self.crl.status.value, "detail": self.crl.detail},
            "ocsp": {"status": self.ocsp.status.value, "detail": self.ocsp.detail},
        }


def revoke(
    issuer: Issuer,
    leaf: x509.Certificate,
    *,
    replaced: datetime,
    overlap: timedelta,
    served: Collection[str],
    now: datetime | None = None,
) -> Revoked:
    """Revoke a certificate that was replaced.

    Args:
        replaced: when its successor was seen served.
        overlap: how long it stays good after that, for what still uses it.
        served: serials that are served now (hex), from a fresh look at every address.
        now: aware; the system's time by default.

    Raises:
        Refused: the overlap is not over, it is still served, or it is not known what is served.
        NotIssued: the issuer did not revoke it.
    """
    now = now or datetime.now(UTC)
    serial = certificates.serial_text(leaf.serial_number)
    over = replaced + overlap
    if now < over:
        raise Refused(
            f"{serial} was replaced {certificates.stamp(replaced)} and stays good until {certificates.stamp(over)}",
            next_step=f"revoke it after {certificates.stamp(over)}",
        )
    if not served:
        raise Refused(
            f"{serial} is not revoked: it is not known which certificates are served now",
            next_step="pyrunbook certs status",
        )
    if serial in {certificates.serial_text(certificates.serial_number(each)) for each in served}:
        raise Refused(
            f"{serial} is still served",
            means="clients that check would refuse the service at once",
            next_step="pyrunbook certs status, and reload what still serves it",
        )
    at = issuer.revoke(serial)
    return Revoked(serial, at, check_crl(issuer, leaf, now), check_ocsp(issuer, leaf, now))


def check_crl(issuer: Issuer, leaf: x509.Certificate, now: datetime | None = None) -> RevocationAnswer:
    """What the issuer's lists say about a certificate. A list counts when its authority signed it and it is current.

    Raises:
        NotIssued: the issuer gave no answer.
    """
    now = now or datetime.now(UTC)
    lists = [each for each in issuer.crls() if each.issuer == leaf.issuer]
    if not lists:
        return RevocationAnswer(RevocationStatus.NOT_OFFERED, "the issuer has no list of revoked certificates")
    signers = [each for each in issuer.authorities() if each.subject == leaf.issuer]
    doubts, current = [], []
    for each in lists:
        next_update = each.next_update_utc
        if not any(_signed(each, signer) for signer in signers):
            doubts.append("a list that its authority has not signed")
        elif next_update is not None and next_update < now:
            doubts.append(f"a list that ended {certificates.stamp(next_update)}")
        else:
            current.append(each)
            entry = each.get_revoked_certificate_by_serial_number(leaf.serial_number)
            if entry is not None:
                when = certificates.stamp(entry.revocation_date_utc)
                return RevocationAnswer(
                    RevocationStatus.REVOKED,
                    f"the list of {certificates.stamp(each.last_update_utc)} says since {when}",
                )
    if not current:
        return RevocationAnswer(RevocationStatus.UNKNOWN, f"no list that counts: {', '.join(doubts)}")
    newest = max(current, key=lambda each: each.last_update_utc)
    until = f", the next is due {certificates.stamp(newest.next_update_utc)}" if newest.next_update_utc else ""
    return RevocationAnswer(
        RevocationStatus.GOOD, f"the list of {certificates.stamp(newest.last_update_utc)} does not name it{until}"
    )


def check_ocsp(issuer: Issuer, leaf: x509.Certificate, now: datetime | None = None) -> RevocationAnswer:
    """What the issuer's OCSP says about a certificate. An answer counts when it is signed, current and about it.

    Raises:
        NotIssued: the issuer gave no answer.
    """
    now = now or datetime.now(UTC)
    signer = next((each for each in issuer.authorities() if _issued(leaf, each)), None)
    if signer is None:
        return RevocationAnswer(RevocationStatus.UNKNOWN, "the authority that issued it is not among the issuer's")
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, signer, hashes.SHA1())  # noqa: S303  # what RFC 5019 asks for
    body = issuer.ocsp(builder.build().public_bytes(serialization.Encoding.DER))
    if body is None:
        return RevocationAnswer(RevocationStatus.NOT_OFFERED, "the issuer has no OCSP")
    try:
        answer = ocsp.load_der_ocsp_response(body)
    except ValueError:
        return RevocationAnswer(RevocationStatus.UNKNOWN, "what it answered is not OCSP")
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return RevocationAnswer(
            RevocationStatus.UNKNOWN, f"it answered {answer.response_status.name.replace('_', ' ').lower()}"
        )
    if answer.serial_number != leaf.serial_number:
        return RevocationAnswer(RevocationStatus.UNKNOWN, "it answered about another certificate")
    if not _answer_signed(answer, signer):
        return RevocationAnswer(
            RevocationStatus.UNKNOWN, "the answer is not signed by the authority, nor by one that it named for OCSP"
        )
    if answer.next_update_utc is not None and answer.next_update_utc < now:
        return RevocationAnswer(
            RevocationStatus.UNKNOWN, f"the answer ended {certificates.stamp(answer.next_update_utc)}"
        )
    if answer.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        since = certificates.stamp(answer.revocation_time_utc) if answer.revocation_time_utc else "an unknown time"
        return RevocationAnswer(RevocationStatus.REVOKED, f"OCSP says revoked since {since}")
    if answer.certificate_status is ocsp.OCSPCertStatus.GOOD:
        return RevocationAnswer(RevocationStatus.GOOD, "OCSP says good")
    return RevocationAnswer(RevocationStatus.UNKNOWN, "OCSP does not know it")


def _issued(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        return False
    try:
        return crl.is_signature_valid(key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _answer_signed(answer: ocsp.OCSPResponse, authority: x509.Certificate) -> bool:
    """Signed by the authority itself, or by a certificate that it issued for signing OCSP."""
    if _made_by(answer, authority):
        return True
    for each in answer.certificates:
        allowed = ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string in certificates.facts(each).extended_key_usage
        if allowed and _issued(each, authority) and _made_by(answer, each):
            return True
    return False


def _made_by(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, digest = signer.public_key(), answer.signature_hash_algorithm
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), digest)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
