"""Which of the issuers has made a certificate, what its clients trust, and so what they make of what is served."""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509

from pyrunbook.errors import PyrunbookError
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import served
from pyrunbook.pki.issuers import Issuer
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.wanted import WantedCertificate
from pyrunbook.verdict import Verdict


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


def roots_of(wanted: WantedCertificate, issuers: Issuers, leaf: x509.Certificate) -> bytes:
    """The roots by which clients accept `leaf`, as PEM; empty for the system's, where no configured issuer made it.

    Raises:
        NotIssued: they cannot be asked for, and no file says them (`trust_file`).
        BadInput: likewise; what is needed to ask is missing here.
    """
    issuer: Issuer | None
    try:
        issuer = issuer_of(wanted, issuers, leaf)
    except PyrunbookError:
        issuer = issuers.issuer(wanted.issuer)  # of which a file may tell what the issuer cannot
    return certificates.pem(*issuer.trust()) if issuer else b""


def trusted(wanted: WantedCertificate, issuers: Issuers, leaf: x509.Certificate) -> bytes:
    """As `roots_of`; empty also where they cannot be asked for."""
    try:
        return roots_of(wanted, issuers, leaf)
    except PyrunbookError:
        return b""


def seen_by_clients(wanted: WantedCertificate, issuers: Issuers, leaf: x509.Certificate | None) -> list[served.Seen]:
    """What each address serves, judged as clients of the deployed certificate judge it.

    Where it is not known what clients trust, the result is an error, and what is served is shown.
    """
    unknown, roots = "", b""
    try:
        roots = roots_of(wanted, issuers, leaf) if leaf else b""
    except PyrunbookError as error:
        unknown = error.seen
    seen = [each for address in wanted.addresses for each in served.look(address, roots=roots)]
    if not unknown:
        return seen
    return [
        replace(
            each,
            outcome=Verdict.ERROR,
            detail=f"serves serial {each.facts.serial}; whom clients trust is not known: {unknown}",
        )
        if each.facts
        else each
        for each in seen
    ]
