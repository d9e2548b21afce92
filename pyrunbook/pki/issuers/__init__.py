"""Who issues certificates: the protocol that all issuers keep, a request and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509

from pyrunbook.errors import BadInput
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.keys import KINDS, PrivateKey


@dataclass(frozen=True)
class CertificateRequest:
    """What certificate is wanted.

    Attributes:
        common_name: the subject's common name; the first DNS name by default where this is empty.
        dns_names: DNS names that it is for.
        ip_names: IP addresses that it is for.
        lifetime: how long it is to be valid.
        key: the kind of the new key, one of `keys.KINDS`.
    """

    dns_names: tuple[str, ...]
    lifetime: timedelta
    ip_names: tuple[str, ...] = ()
    common_name: str = ""
    key: str = KINDS[0]

    def __post_init__(self) -> None:
        """Refuse what no issuer could do.

        Raises:
            BadInput: no name, no lifetime, or an unknown kind of key.
        """
        if not self.dns_names and not self.ip_names:
            raise BadInput("a certificate needs a DNS name or an IP address at least")
        if self.lifetime < timedelta(minutes=1):
            raise BadInput(f"a lifetime of {self.lifetime} is too short to deploy a certificate in")
        if self.key not in KINDS:
            raise BadInput(f"unknown kind of key {self.key!r}: one of {', '.join(KINDS)}")

    @property
    def subject(self) -> str:
        """The common name: the one given, or the first DNS name; empty where that is longer than X.509 allows."""
        name = self.common_name or (self.dns_names[0] if self.dns_names else "")
        return name if len(name) <= 64 else ""


@dataclass(frozen=True)
class Issued:
    """A new pair, as the issuer gave it; not yet checked.

    Attributes:
        certificate: the leaf.
        chain: what a server sends after the leaf: the intermediates, in order, without the root.
        key: the private key, made here.
        serial: the leaf's serial in hex.
        trust: the roots by which a client should accept it.
    """

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey
    serial: str
    trust: tuple[x509.Certificate, ...]

    @property
    def certificate_pem(self) -> bytes:
        """The file that a server wants: the leaf, then the chain."""
        return certificates.pem(self.certificate, *self.chain)


class Issuer(Protocol):
    """What issues, revokes, and says what is revoked. All calls raise `NotIssued` when the issuer did not do it."""

    @property
    def name(self) -> str:
        """For messages and the journal: what it is and where."""

    def issue(self, request: CertificateRequest) -> Issued:
        """A new key, and a certificate for it."""

    def revoke(self, serial: str) -> datetime:
        """Revoke a certificate that this issuer made; again is no error.

        Args:
            serial: hex.

        Returns:
            when it was revoked, the first time.
        """

    def crls(self) -> list[x509.CertificateRevocationList]:
        """The current lists of revoked certificates; empty where the issuer has none."""

    def ocsp(self, request: bytes) -> bytes | None:
        """Answer an OCSP request (DER both ways); None where the issuer has no OCSP."""

    def trust(self) -> list[x509.Certificate]:
        """The roots that clients should trust now."""

    def authorities(self) -> list[x509.Certificate]:
        """The certificates that sign leaves, the current one first: who may have signed a CRL or an OCSP answer."""
