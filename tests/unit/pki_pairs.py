"""Certificates for tests: made by the local authority, or broken on purpose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pyrunbook.pki.issuers import CertificateRequest, Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.keys import PrivateKey

DAY = timedelta(days=1)
NAME = "a.example"


class Clock(datetime):
    """A clock that a test sets: `Clock.at = …`."""

    at = datetime.now(UTC)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.at.astimezone(tz)


def issue(authority: LocalAuthority, *names: str, days: float = 30, **options: Any) -> Issued:
    return authority.issue(CertificateRequest(names or (NAME,), DAY * days, **options))


def authority(directory: Path, **options: Any) -> LocalAuthority:
    made = LocalAuthority(directory, **options)
    made.create()
    return made


def hand_made(
    issuer: x509.Certificate | None = None,
    signer: PrivateKey | None = None,
    key: PrivateKey | None = None,
    *,
    days: tuple[float, float] = (-1, 30),
    names: tuple[str, ...] = (NAME,),
    server: bool = True,
    usage: bool = True,
    ca: bool = False,
) -> tuple[x509.Certificate, PrivateKey]:
    """A certificate with any fault that is wanted; self-signed unless an issuer is given."""
    key = key or PrivateKey.new()
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    use = [ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject if issuer else name)
        .public_key(key.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + DAY * days[0])
        .not_valid_after(now + DAY * days[1])
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(use), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(usage, False, not usage, False, False, ca, ca, False, False),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key), critical=False)
    )
    signing = signer or key
    if issuer is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key)
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(signing.unwrap(), hashes.SHA256()), key
