"""Certificates as facts: who, for what names, by whom, how long, and whether a key belongs to one."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from pyrunbook.errors import BadInput
from pyrunbook.pki.keys import PrivateKey, kind_of, public_bytes

_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign",
)  # fmt: skip
_LARGEST = 1 << 20


@dataclass(frozen=True)
class CertificateFacts:
    """What a certificate says.

    Attributes:
        subject: its subject (RFC 4514), empty where only the names say who it is.
        common_name: the subject's common name, or empty.
        serial: serial number in hex, lower case, two digits a byte.
        issuer: the issuer's name (RFC 4514).
        dns_names: DNS names that it is for, as written.
        ip_names: IP addresses that it is for.
        key_usage: words of RFC 5280 with underscores (`digital_signature`); empty where nothing is said.
        extended_key_usage: `server_auth`, `client_auth`, or the dotted number of another use.
        is_authority: whether it may sign certificates.
        key: kind of its public key: `ec-p256`, `rsa-2048` …
        not_before: first moment of its lifetime, aware, UTC.
        not_after: last moment of its lifetime, aware, UTC.
        fingerprint: SHA-256 of the certificate, hex, lower case.
        public_key: SHA-256 of the public key (SubjectPublicKeyInfo), hex.
        ocsp: URLs where the issuer says whether it is revoked.
        crl: URLs of the issuer's list of revoked certificates.
    """

    subject: str
    common_name: str
    serial: str
    issuer: str
    dns_names: tuple[str, ...]
    ip_names: tuple[str, ...]
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    is_authority: bool
    key: str
    not_before: datetime
    not_after: datetime
    fingerprint: str
    public_key: str
    ocsp: tuple[str, ...]
    crl: tuple[str, ...]

    @property
    def lifetime(self) -> timedelta:
        """From `not_before` to `not_after`."""
        return self.not_after - self.not_before

    def used(self, now: datetime) -> float:
        """Share of the lifetime that is over: below 0 before it begins, above 1 after it has ended."""
        return (now - self.not_before) / self.lifetime if self.lifetime else float(now >= self.not_after)

    def days_left(self, now: datetime) -> float:
        """Days until `not_after`; below 0 afterwards."""
        return (self.not_after - now) / timedelta(days=1)

    def as_json(self, now: datetime) -> dict[str, Any]:
        """All of it, with the share used and the days left at `now`, for the journal and `--json`."""
        return asdict(self) | {
            "not_before": stamp(self.not_before),
            "not_after": stamp(self.not_after),
            "used": round(self.used(now), 4),
            "days_left": round(self.days_left(now), 3),
        }


def stamp(moment: datetime) -> str:
    """`2026-11-21T22:45:00Z`: how moments are written everywhere here."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def serial_text(number: int) -> str:
    """A serial number in hex, lower case, two digits a byte."""
    text = f"{number:x}"
    return text.zfill(len(text) + len(text) % 2)


def serial_number(text: str) -> int:
    """The number of a serial in hex, also as other programs write it (`3A:0F:…`).

    Raises:
        BadInput: it is not hex.
    """
    bare = text.replace(":", "").strip()
    if not re.fullmatch(r"[0-9A-Fa-f]+", bare):
        raise BadInput(f"{text!r} is not a serial number in hex")
    return int(bare, 16)


def facts(certificate: x509.Certificate) -> CertificateFacts:
    """What `certificate` says.

    Raises:
        BadInput: its extensions cannot be read.
    """
    try:
        extensions = certificate.extensions
    except (ValueError, x509.DuplicateExtension) as error:
        raise BadInput(f"the certificate's extensions cannot be read: {error}") from None

    def extension(kind: type[x509.ExtensionType]) -> Any:
        try:
            return extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    names = extension(x509.SubjectAlternativeName)
    usage = extension(x509.KeyUsage)
    extended = extension(x509.ExtendedKeyUsage)
    basic = extension(x509.BasicConstraints)
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    words = {ExtendedKeyUsageOID.SERVER_AUTH: "server_auth", ExtendedKeyUsageOID.CLIENT_AUTH: "client_auth"}
    access = extension(x509.AuthorityInformationAccess) or ()
    points = extension(x509.CRLDistributionPoints) or ()
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public_bytes(certificate))
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        common_name=str(common[0].value) if common else "",
        serial=serial_text(certificate.serial_number),
        issuer=certificate.issuer.rfc4514_string(),
        dns_names=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        ip_names=tuple(str(ip) for ip in names.get_values_for_type(x509.IPAddress)) if names else (),
        key_usage=tuple(word for word in _USAGES if getattr(usage, word)) if usage else (),
        extended_key_usage=tuple(words.get(oid, oid.dotted_string) for oid in extended) if extended else (),
        is_authority=bool(basic and basic.ca),
        key=kind_of(certificate.public_key()),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        public_key=digest.finalize().hex(),
        ocsp=tuple(
            each.access_location.value for each in access if each.access_method == AuthorityInformationAccessOID.OCSP
        ),
        crl=tuple(name.value for point in points for name in point.full_name or ()),
    )


def parse(pem: bytes, origin: str) -> list[x509.Certificate]:
    """All certificates of a PEM text, in its order: the leaf first, as a server sends them.

    Args:
        pem: the text; what is not a certificate in it is passed over.
        origin: where it came from, for messages.

    Raises:
        BadInput: no certificate in it, or one that is broken.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        kind = "no certificate in PEM" if b"BEGIN CERTIFICATE" not in pem else f"a broken certificate ({error})"
    raise BadInput(f"{origin} holds {kind}")


def read(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, in its order.

    Raises:
        BadInput: the file cannot be read or holds none; see `parse`.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise BadInput(f"{path} is larger than {_LARGEST} bytes")
    return parse(content, str(path))


def pem(*certificates: x509.Certificate) -> bytes:
    """Certificates as one PEM text, in the order given."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def belongs(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Whether the public key in the certificate is the public half of `key`."""
    return public_bytes(certificate) == public_bytes(key.public_key)


def self_signed(certificate: x509.Certificate) -> bool:
    """Whether it is a root: issued by itself, with its own key."""
    if certificate.issuer != certificate.subject:
        return False
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
