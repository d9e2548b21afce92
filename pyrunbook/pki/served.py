"""What is served, seen by a client: a new TLS connection to every address, its serial and a chain that is accepted."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from pyrunbook.errors import BadInput
from pyrunbook.pki import certificate as certificates
from pyrunbook.verdict import Verdict

INTERVAL = 0.1
"""Seconds between two looks at all addresses."""


@dataclass(frozen=True)
class Address:
    """Where a certificate is served.

    Attributes:
        host: name or IP address to connect to.
        port: TCP port.
        server_name: the name to ask for (SNI) and to find in the certificate; `host` by default.
    """

    host: str
    port: int
    server_name: str = ""

    @classmethod
    def parse(cls, text: str, server_name: str = "") -> Address:
        """`host:port`, or `[IPv6]:port`.

        Raises:
            BadInput: it is neither.
        """
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise BadInput(f"{text!r} is not an address to connect to: host:port, or [IPv6]:port")
        return cls(host, int(port), server_name)

    @property
    def asked(self) -> str:
        """The name that is asked for."""
        return self.server_name or self.host

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" + (f" ({self.server_name})" if self.server_name else "")

    def each(self) -> list[Address]:
        """One address for each machine behind the name: every one of them may serve something else.

        Raises:
            OSError: the name cannot be resolved.
        """
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        hosts = dict.fromkeys(str(entry[4][0]) for entry in found)
        return [Address(host, self.port, self.asked) for host in hosts] if list(hosts) != [self.host] else [self]


@dataclass(frozen=True)
class Seen:
    """What one address served.

    Attributes:
        address: as connected to.
        outcome: `FAIL` where something else is served, or a client would refuse it.
        detail: one line: what was seen.
        facts: of the certificate that was served; None where none was seen.
        milliseconds: until the handshake was done.
        protocol: `TLSv1.3` and the like; empty where there was no handshake.
    """

    address: str
    outcome: Verdict
    detail: str
    facts: certificates.CertificateFacts | None = None
    milliseconds: float = 0.0
    protocol: str = ""

    @property
    def good(self) -> bool:
        """Whether it is proof."""
        return self.outcome is Verdict.PASS

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return {
            "address": self.address,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "certificate": self.facts.as_json(datetime.now(UTC)) if self.facts else None,
            "milliseconds": round(self.milliseconds, 1),
            "protocol": self.protocol,
        }


def look(
    address: Address,
    *,
    roots: bytes = b"",
    serial: str = "",
    timeout: float = 5.0,
) -> list[Seen]:
    """Make a new TLS connection to every machine behind an address, as a client would.

    Args:
        roots: that clients trust, PEM; empty: the system's.
        serial: hex of the certificate that should be served; empty: any that a client accepts.
        timeout: seconds for each connection.

    Returns:
        one result for each machine; one in error where the name cannot be resolved.

    Raises:
        BadInput: `roots` holds no certificate, or `serial` is not hex.
    """
    wanted = certificates.serial_text(certificates.serial_number(serial)) if serial else ""
    context = _client(roots)
    try:
        machines = address.each()
    except OSError as error:
        return [Seen(str(address), Verdict.ERROR, f"{address.host} cannot be resolved: {error.strerror}")]
    return [_look(each, context, wanted, timeout) for each in machines]


def prove(
    addresses: Sequence[Address],
    *,
    serial: str,
    roots: bytes = b"",
    seconds: float = 10.0,
    heartbeat: Callable[[], None] = lambda: None,
) -> tuple[bool, list[Seen]]:
    """Look until every address serves the certificate `serial` with a chain that is accepted, or the time is over.

    A server takes a moment to reload; nothing but having seen the serial everywhere is success. Where clients refuse
    the wanted certificate itself, twice, waiting would only have them refused for longer.

    Args:
        addresses: where it is served; none at all is no proof.
        serial: hex.
        roots: see `look`.
        seconds: how long to look again.
        heartbeat: called before every look; what it raises ends the proof.

    Returns:
        whether it is proven, and the last look at each machine.

    Raises:
        BadInput: there is no serial to look for, or see `look`.
    """
    if not serial:
        raise BadInput("nothing says which certificate should be served")
    wanted = certificates.serial_text(certificates.serial_number(serial))
    deadline = time.monotonic() + seconds
    refused = False
    while True:
        heartbeat()
        seen = [each for address in addresses for each in look(address, roots=roots, serial=serial)]
        good = bool(seen) and all(each.good for each in seen)
        before, refused = refused, any(each.facts and each.facts.serial == wanted and not each.good for each in seen)
        if good or (refused and before) or time.monotonic() >= deadline:
            return good, seen
        time.sleep(INTERVAL)


def describe(seen: Sequence[Seen]) -> str:
    """One line for the operator: what all addresses served, the bad ones first."""
    if not seen:
        return "no address to look at"
    bad = [each for each in seen if not each.good]
    if not bad:
        return f"{len(seen)} of {len(seen)} addresses: {seen[0].detail}"
    return "; ".join(f"{each.address}: {each.detail}" for each in bad)


def _client(roots: bytes) -> ssl.SSLContext:
    """As strict as the strictest client: RFC 5280 to the letter, and a chain that ends in a trusted root."""
    try:
        context = ssl.create_default_context(cadata=roots.decode() or None)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no certificates in it"
        raise BadInput(f"the roots that clients trust: {reason}") from None
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context


def _look(address: Address, context: ssl.SSLContext, wanted: str, timeout: float) -> Seen:
    began = time.perf_counter()
    refused = ""
    try:
        der, protocol = _handshake(address, context, timeout)
    except ssl.SSLCertVerificationError as error:
        refused = error.verify_message or str(error)
    except (OSError, ValueError) as error:
        return Seen(str(address), Verdict.ERROR, f"no TLS connection: {_reason(error)}")
    if refused:
        # A client refuses it. What is it, then? Looking is safe: nothing is sent over this second connection.
        try:
            der, protocol = _handshake(address, _anything(), timeout)
        except (OSError, ValueError):
            return Seen(str(address), Verdict.FAIL, f"a client refuses what is served: {refused}")
    milliseconds = (time.perf_counter() - began) * 1000
    try:
        facts = certificates.facts(x509.load_der_x509_certificate(der))
    except (ValueError, BadInput) as error:
        return Seen(str(address), Verdict.FAIL, f"what is served cannot be read: {error}", None, milliseconds, protocol)
    what = f"{facts.subject or 'no subject'}, serial {facts.serial}, until {certificates.stamp(facts.not_after)}"
    if refused:
        outcome, detail = Verdict.FAIL, f"a client refuses what is served ({what}): {refused}"
    elif wanted and facts.serial != wanted:
        outcome, detail = Verdict.FAIL, f"serves serial {facts.serial}, wanted {wanted}"
    else:
        outcome, detail = Verdict.PASS, f"serves {what}"
    return Seen(str(address), outcome, detail, facts, milliseconds, protocol)


def _handshake(address: Address, context: ssl.SSLContext, timeout: float) -> tuple[bytes, str]:
    """The leaf that is served (DER), and the protocol."""
    with (
        socket.create_connection((address.host, address.port), timeout=timeout) as plain,
        context.wrap_socket(plain, server_hostname=address.asked) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b"", secure.version() or ""


def _anything() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
