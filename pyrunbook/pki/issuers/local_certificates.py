"""The certificates and lists that the local authority signs, as RFC 5280 has them; no files, no state."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pyrunbook.pki.certificate import serial_number
from pyrunbook.pki.issuers import CertificateRequest
from pyrunbook.pki.issuers.local_store import IssuedLeaf
from pyrunbook.pki.keys import PrivateKey, digest_for, names_extension


def name_of(title: str, kind: str, now: datetime) -> x509.Name:
    """A new authority's name; the day and a number tell generations apart in what a browser or openssl shows."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, title[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{title[:24]} {kind} {now:%Y-%m-%d} {secrets.token_hex(4)}"),
        ]
    )


def authority(
    name: x509.Name,
    key: PrivateKey,
    signer: PrivateKey,
    parent: x509.Certificate | None,
    not_before: datetime,
    not_after: datetime,
) -> x509.Certificate:
    """A root (`parent` None, `signer` its own key), or an intermediate, which may sign leaves only."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(parent.subject if parent else name)
        .public_key(key.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(not_before, parent.not_valid_before_utc) if parent else not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0 if parent else 1), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key), critical=False)
    )
    return builder.sign(signer.unwrap(), digest_for(signer))


def leaf(
    request: CertificateRequest,
    key: PrivateKey,
    issuer: x509.Certificate,
    signer: PrivateKey,
    not_before: datetime,
    not_after: datetime,
) -> x509.Certificate:
    """A server's certificate."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, request.subject)] if request.subject else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(issuer.subject)
        .public_key(key.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(not_before, issuer.not_valid_before_utc))
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(encipher=key.kind.startswith("rsa")), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names_extension(request.dns_names, request.ip_names), critical=not attributes)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key), critical=False)
    )
    return builder.sign(signer.unwrap(), digest_for(signer))


def crl(
    issuer: x509.Certificate,
    key: PrivateKey,
    number: int,
    revoked: Iterable[IssuedLeaf],
    now: datetime,
    next_update: datetime,
) -> x509.CertificateRevocationList:
    """A list of revoked leaves; those that have expired are left out."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now)
        .next_update(min(next_update, issuer.not_valid_after_utc))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key), critical=False)
    )
    for each in revoked:
        if datetime.fromisoformat(each.not_after) > now:
            entry = x509.RevokedCertificateBuilder(serial_number(each.serial), datetime.fromisoformat(each.revoked))
            builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key.unwrap(), digest_for(key))


def _usage(*, sign_certificates: bool = False, encipher: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_encipherment=encipher,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
