"""Certificates from the PKI engine of a Vault or OpenBao. The key is made here and stays here: a request is signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pyrunbook.errors import BadInput
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.issuers import CertificateRequest, Issued
from pyrunbook.pki.keys import PrivateKey, signing_request
from pyrunbook.pki.vault import Vault


class VaultPki:
    """A role of a PKI engine.

    Args:
        role: which names, lifetimes and keys it signs is the role's to say.
        mount: where the engine is mounted.
        trust_file: PEM of the roots that clients trust; by default the root that the engine gives with its chain.
    """

    def __init__(self, vault: Vault, role: str, *, mount: str = "pki", trust_file: Path | None = None) -> None:
        self.vault = vault
        self.role = role
        self.mount = mount.strip("/")
        self._trust_file = trust_file

    @property
    def name(self) -> str:
        """`https://… pki/sign/agent-factory`."""
        return f"{self.vault.place.address} {self.mount}/sign/{self.role}"

    def issue(self, request: CertificateRequest) -> Issued:
        """A new key made here, and a certificate for it signed there.

        Raises:
            NotIssued: see `Vault.call`; or the answer is not a certificate for our key.
        """
        key = PrivateKey.new(request.key)
        wanted = signing_request(key, request.subject, request.dns_names, request.ip_names)
        answer = self.vault.write(
            f"{self.mount}/sign/{self.role}",
            {
                "csr": wanted.public_bytes(serialization.Encoding.PEM).decode(),
                "common_name": request.subject,
                "alt_names": ",".join(request.dns_names),
                "ip_sans": ",".join(request.ip_names),
                "ttl": f"{int(request.lifetime.total_seconds())}s",
                "exclude_cn_from_sans": True,
                "format": "pem",
            },
        )
        above = answer.get("ca_chain") or [answer.get("issuing_ca") or ""]
        try:
            leaf = certificates.parse(str(answer.get("certificate", "")).encode(), self.name)[0]
            chain = certificates.parse("\n".join(str(each) for each in above).encode(), f"the chain of {self.name}")
        except BadInput as error:
            raise NotIssued(error.seen, means="the issuer's answer is not a certificate") from None
        if not certificates.belongs(leaf, key):
            raise NotIssued(
                f"{self.name} answered with a certificate for another key",
                means="something between here and there mixes answers up",
                next_step="tell the security team, and do not deploy it",
            )
        between = tuple(each for each in chain if not certificates.self_signed(each))
        return Issued(leaf, between, key, certificates.facts(leaf).serial, tuple(self._roots(chain)))

    def revoke(self, serial: str) -> datetime:
        plain = certificates.serial_text(certificates.serial_number(serial))
        colons = ":".join(plain[i : i + 2] for i in range(0, len(plain), 2))
        answer = self.vault.write(f"{self.mount}/revoke", {"serial_number": colons})
        return datetime.fromtimestamp(int(answer["revocation_time"]), UTC)

    def crls(self) -> list[x509.CertificateRevocationList]:
        """The engine's current list, and the changes since where it makes those (a delta)."""
        found = []
        for path in (f"{self.mount}/crl", f"{self.mount}/crl/delta"):
            status, body = self.vault.public(path)
            if status == 200 and body:
                try:
                    found.append(x509.load_der_x509_crl(body))
                except ValueError:
                    raise NotIssued(f"{self.vault.place.address} {path} is not a CRL") from None
        return found

    def ocsp(self, request: bytes) -> bytes | None:
        """The engine's answer to an OCSP request (DER); None where it is switched off."""
        status, body = self.vault.public(f"{self.mount}/ocsp", request, "application/ocsp-request")
        return body if status == 200 and body else None

    def trust(self) -> list[x509.Certificate]:
        """The roots that clients should trust: of `trust_file`, or the root in the engine's chain."""
        return self._roots([] if self._trust_file else self.authorities())

    def authorities(self) -> list[x509.Certificate]:
        """The engine's default authority and those above it, as anybody may read them.

        Raises:
            NotIssued: there is none.
        """
        status, body = self.vault.public(f"{self.mount}/ca_chain")
        if status != 200 or b"BEGIN CERTIFICATE" not in body:
            status, body = self.vault.public(f"{self.mount}/ca/pem")
        if status != 200 or b"BEGIN CERTIFICATE" not in body:
            raise NotIssued(
                f"{self.vault.place.address} has no authority at {self.mount}/ (status {status})",
                next_step=f"{self.vault.place.environment()} bao list {self.mount}/issuers",
            )
        return certificates.parse(body, f"{self.mount}/ca_chain")

    def _roots(self, chain: Sequence[x509.Certificate]) -> list[x509.Certificate]:
        if self._trust_file is not None:
            return certificates.read(self._trust_file)
        return [each for each in chain if certificates.self_signed(each)]
