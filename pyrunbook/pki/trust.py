"""Which of the issuers has made a certificate, and what its clients trust."""

from __future__ import annotations

from cryptography import x509

from pyrunbook.errors import PyrunbookError
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.issuers import Issuer
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.wanted import WantedCertificate


def issuer_of(wanted: WantedCertificate, issuers: Issuers, leaf: x509.Certificate) -> Issuer | None:
    """The issuer among whose authorities is the one that signed `leaf`, the wanted one asked first.

    Returns:
        None where it is none of theirs.

    Raises:
        NotIssued: none of those that answered has, and one did not answer.
        BadInput: likewise; what that one needs is missing here.
    """
    unasked: PyrunbookError | None = None
    for name in (wanted.issuer, *(each for each in issuers.names if each != wanted.issuer)):
        try:
            issuer = issuers.issuer(name)
            if any(authority.subject == leaf.issuer for authority in issuer.authorities()):
                return issuer
        except PyrunbookError as error:
            unasked = unasked or error
    if unasked is not None:
        raise unasked
    return None


def trusted(wanted: WantedCertificate, issuers: Issuers, leaf: x509.Certificate) -> bytes:
    """The roots by which clients accept `leaf`, as PEM; empty for the system's, where it is no issuer's of ours."""
    try:
        issuer = issuer_of(wanted, issuers, leaf)
    except PyrunbookError:
        issuer = None  # what it trusts cannot be asked either
    return certificates.pem(*issuer.trust()) if issuer else b""
