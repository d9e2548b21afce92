"""The certificates of a service, from its inventory: validated before anything is changed.

The variable is `service_certificates`; docs/guides/certificates.md has its fields.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import msgspec

from pyrunbook.errors import BadInput
from pyrunbook.pki import due
from pyrunbook.pki.entries import Duration, at, named, read
from pyrunbook.pki.issuers import CertificateRequest
from pyrunbook.pki.keys import KINDS
from pyrunbook.pki.served import Address

KEY_MODES = {"0600": 0o600, "0640": 0o640}
PROVE_WITHIN = {"host": timedelta(seconds=30), "kubernetes": timedelta(minutes=3)}
"""How long a new certificate may take to be seen everywhere; a kubelet brings a changed Secret within two minutes."""


class _Certificate(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    issuer: str
    lifetime: Duration
    addresses: list[str]
    dns_names: list[str] = []
    ip_names: list[str] = []
    renew_before: Duration | None = None
    key: str = KINDS[0]
    overlap: Duration = Duration(hours=24)
    server_name: str = ""
    prove_within: Duration | None = None
    directory: str = ""
    owner: str | int = ""
    group: str | int = ""
    key_mode: str = "0600"
    reload: list[str] = []
    secret: str = ""
    restart: str | list[str] = []


@dataclass(frozen=True)
class WantedCertificate:
    """A certificate that a service should have, and how it gets there.

    Attributes:
        name: its id among the service's.
        issuer: name of its issuer in the inventory.
        request: what is asked of the issuer.
        renew_before: renewed this long before its end; None: after two thirds of the lifetime.
        overlap: how long a replaced one stays good after its successor was proven.
        addresses: where it is served; each is checked.
        prove_within: how long a new one may take to be seen at all of them.
        directory: platform host: of the pair on the service's machine.
        owner: user that the server reads as, name or id; empty: whoever deploys.
        group: likewise.
        key_mode: permission bits of the key.
        reload: what to run on the machine so that the server reads the pair again; empty: it does by itself.
        secret: platform kubernetes: name of the Secret.
        restart: the Deployments to restart; empty: the workload reads the Secret by itself.
    """

    name: str
    issuer: str
    request: CertificateRequest
    renew_before: timedelta | None
    overlap: timedelta
    addresses: tuple[Address, ...]
    prove_within: timedelta
    directory: str = ""
    owner: str = ""
    group: str = ""
    key_mode: int = 0o600
    reload: tuple[str, ...] = ()
    secret: str = ""
    restart: tuple[str, ...] = ()

    def judged_by(self, issuers: Collection[str]) -> due.Wanted:
        """What `due.decide` compares with; `issuers` are the names that may have signed it, empty: any."""
        request = self.request
        return due.Wanted(request.dns_names, request.ip_names, tuple(issuers), self.renew_before, request.lifetime)


def read_certificates(given: Sequence[Any], issuers: Collection[str], platform: str) -> list[WantedCertificate]:
    """Read `service_certificates`.

    Args:
        issuers: names of the issuers that there are.
        platform: `host` or `kubernetes`: which fields say where the pair is kept.

    Raises:
        BadInput: a mistake, with its field.
    """
    found: list[WantedCertificate] = []
    for index, entry in enumerate(given):
        where = f"service_certificates[{index}]"
        made = _certificate(read(entry, _Certificate, where), where, issuers, platform)
        for other in found:
            for word in ("name", "directory", "secret"):
                if getattr(made, word) and getattr(made, word) == getattr(other, word):
                    raise BadInput(f"{where}.{word}: {getattr(made, word)!r} is that of another certificate too")
        found.append(made)
    return found


def _certificate(one: _Certificate, where: str, issuers: Collection[str], platform: str) -> WantedCertificate:
    named(one.name, where)
    if one.issuer not in issuers:
        raise BadInput(
            f"{where}.issuer: {one.issuer!r} is not in certificate_issuers ({', '.join(issuers) or 'empty'})"
        )
    if one.renew_before is not None and not timedelta(0) < one.renew_before < one.lifetime:
        raise BadInput(f"{where}.renew_before: it has to be above zero and shorter than the lifetime")
    if not one.addresses:
        raise BadInput(f"{where}.addresses: nothing would prove that the certificate is served")
    if one.key_mode not in KEY_MODES:
        raise BadInput(f"{where}.key_mode: {one.key_mode!r} is none of {', '.join(KEY_MODES)}, in quotes")
    for name in one.ip_names:
        at(f"{where}.ip_names", _address, name)
    host, theirs = bool(one.directory), bool(one.secret)
    if platform == "host" and (not host or theirs or one.restart or not one.directory.startswith("/")):
        raise BadInput(f"{where}: platform host takes `directory`, absolute, and neither `secret` nor `restart`")
    if platform == "kubernetes" and (not theirs or host or one.reload or one.owner or one.group):
        raise BadInput(f"{where}: platform kubernetes takes `secret`, and none of directory, owner, group, reload")
    dns_names, ip_names = tuple(one.dns_names), tuple(one.ip_names)
    request = at(where, CertificateRequest, dns_names, one.lifetime, ip_names, "", one.key)
    addresses = tuple(at(f"{where}.addresses", Address.parse, text, one.server_name) for text in one.addresses)
    for address in addresses:
        if not _covers(address.asked, dns_names, ip_names):
            raise BadInput(
                f"{where}.addresses: clients of {address} ask for {address.asked}, which is none of the certificate's "
                f"names ({', '.join([*dns_names, *ip_names]) or 'none'})",
                next_step="add it to dns_names or ip_names, or name in server_name what they ask for",
            )
    return WantedCertificate(
        name=one.name,
        issuer=one.issuer,
        request=request,
        renew_before=one.renew_before,
        overlap=one.overlap,
        addresses=addresses,
        prove_within=one.prove_within or PROVE_WITHIN[platform],
        directory=one.directory.rstrip("/"),
        owner=str(one.owner),
        group=str(one.group),
        key_mode=KEY_MODES[one.key_mode],
        reload=tuple(one.reload),
        secret=one.secret,
        restart=(one.restart,) if isinstance(one.restart, str) else tuple(one.restart),
    )


def _covers(asked: str, dns_names: Sequence[str], ip_names: Sequence[str]) -> bool:
    """Whether a certificate for these names is one for what a client asks for (RFC 9525, 6.3 and 6.4)."""
    with suppress(ValueError):
        return ip_address(asked) in {ip_address(each) for each in ip_names}
    name = asked.lower()
    names = {each.lower() for each in dns_names}
    return name in names or ("." in name and "*." + name.partition(".")[2] in names)


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise BadInput(f"{text!r} is not an IP address") from None
