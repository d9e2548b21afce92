"""Does this Vault or OpenBao answer at all? Asked without a token; each fault is distinguished.

The standard library alone: the answer has to be there also where the client library is not installed.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyrunbook.errors import BadInput

LARGEST_SKEW = 30.0
"""Seconds by which the server's clock may differ from ours: tokens and certificates live by both."""


class VaultFault(Enum):
    """What can be wrong with a Vault or OpenBao, and what each is called in the journal."""

    UNREACHABLE = "unreachable"
    NOT_TRUSTED = "TLS not trusted"
    NOT_A_VAULT = "not a Vault"
    UNINITIALIZED = "not initialized"
    SEALED = "sealed"
    STANDBY = "standby"
    CLOCK_SKEW = "clock skew"
    LOGIN_REFUSED = "login refused"
    WRAPPING_USED = "wrapping token used"
    TOKEN_INVALID = "token invalid"  # noqa: S105
    TOKEN_ENDS = "token ends"  # noqa: S105
    PERMISSION_DENIED = "permission denied"
    WRONG_MOUNT = "wrong mount"
    WRONG_ROLE = "wrong role"
    AUTHORITY_EXPIRED = "authority expired"
    AUTHORITY_ENDS = "authority expires first"
    REJECTED = "request rejected"
    HEALTHY = "healthy"


@dataclass(frozen=True)
class Diagnosis:
    """The result of one check, or the first fault.

    Attributes:
        kind: what is wrong; `HEALTHY` for what is as it should be.
        seen: what was observed, one sentence.
        means: what it means for the operator; may be empty.
        next_step: the next command to type; may be empty.
    """

    kind: VaultFault
    seen: str
    means: str = ""
    next_step: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is as it should be."""
        return self.kind is VaultFault.HEALTHY


@dataclass(frozen=True)
class VaultAddress:
    """Where a Vault or OpenBao answers.

    Attributes:
        address: `https://host:port`; plain http only on this machine's loopback.
        namespace: of Vault Enterprise or OpenBao; empty for the root one.
        ca_file: PEM of the authorities that signed the server's certificate; the system's by default.
        timeout: seconds for one request.

    Raises:
        BadInput: the address is none, or tokens would travel over it in plain text.
    """

    address: str
    namespace: str = ""
    ca_file: Path | None = None
    timeout: float = 10.0

    def __post_init__(self) -> None:
        """Refuse an address over which a token must not travel."""
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{self.address!r} is not the address of a Vault: https://host:port")
        if parts.username or parts.password:
            raise BadInput("the address of a Vault must not hold a name or password")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise BadInput(f"{self.address}: a token is not sent over plain http", next_step="use https")

    @property
    def host(self) -> str:
        """Name or IP address."""
        return urlsplit(self.address).hostname or ""

    @property
    def port(self) -> int:
        """TCP port."""
        parts = urlsplit(self.address)
        return parts.port or (443 if parts.scheme == "https" else 80)

    def environment(self) -> str:
        """What to type so that `bao` asks the same server; for next steps."""
        words = [f"BAO_ADDR={self.address}"]
        words += [f"BAO_CACERT={self.ca_file}"] if self.ca_file else []
        words += [f"BAO_NAMESPACE={self.namespace}"] if self.namespace else []
        return " ".join(words)


def probe(place: VaultAddress, now: Callable[[], float] = time.time) -> Diagnosis:
    """Ask the server how it is, without a token.

    Args:
        now: our clock, in seconds since 1970; for tests.

    Returns:
        `HEALTHY`, or the first thing that is wrong.

    Raises:
        BadInput: `ca_file` cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=str(place.ca_file) if place.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"{place.ca_file}: {error.strerror or 'no certificates in it'}") from None
    secure = place.address.startswith("https:")
    connection = (
        http.client.HTTPSConnection(place.host, place.port, timeout=place.timeout, context=context)
        if secure
        else http.client.HTTPConnection(place.host, place.port, timeout=place.timeout)
    )
    base = urlsplit(place.address).path.rstrip("/")
    try:
        before = now()
        # A cluster's other nodes answer for it: the body says that this one is on standby.
        connection.request("GET", f"{base}/v1/sys/health", headers={"Accept": "application/json"})
        response = connection.getresponse()
        ours = (before + now()) / 2
        body, date = response.read(1 << 16), response.getheader("Date", "")
    except ssl.SSLCertVerificationError as error:
        return _not_trusted(place, error.verify_message)
    except (OSError, http.client.HTTPException) as error:
        return _unreachable(place, error)
    finally:
        connection.close()
    try:
        health = json.loads(body)
    except ValueError:
        health = None
    if not isinstance(health, dict) or "sealed" not in health:
        return Diagnosis(
            VaultFault.NOT_A_VAULT,
            f"{place.address} answered {response.status}, and not as a Vault or OpenBao does",
            next_step=f"curl -i {place.address}/v1/sys/health",
        )
    return _health(place, health, _skew(date, ours))


def _skew(date: str, ours: float) -> float:
    """Seconds by which the server's clock is ahead of ours, by its Date header (whole seconds)."""
    try:
        return parsedate_to_datetime(date).timestamp() + 0.5 - ours
    except (TypeError, ValueError):
        return 0.0


def _health(place: VaultAddress, health: dict[str, Any], skew: float) -> Diagnosis:
    bao = place.environment()
    if not health.get("initialized", True):
        return Diagnosis(
            VaultFault.UNINITIALIZED,
            f"{place.address} was never initialized",
            "it is empty: a new server, or one that lost its storage",
            f"if it should hold something, look at its storage first; a new one: {bao} bao operator init",
        )
    if health["sealed"]:
        return Diagnosis(
            VaultFault.SEALED,
            f"{place.address} is sealed",
            "it was restarted, or sealed on purpose; it can read nothing until its key shares are given",
            f"{bao} bao operator unseal (each holder of a key share)",
        )
    # A performance standby answers reads; a plain one forwards everything, and both say standby.
    if health.get("standby"):
        return Diagnosis(
            VaultFault.STANDBY,
            f"{place.address} is on standby: another node is the active one, or none is",
            "it forwards what it is asked while there is an active node",
            f"{bao} bao operator raft list-peers; ask the cluster's own address, not a node's",
        )
    if abs(skew) > LARGEST_SKEW:
        side = "ahead of" if skew > 0 else "behind"
        return Diagnosis(
            VaultFault.CLOCK_SKEW,
            f"the clock of {place.address} is {abs(skew):.0f} s {side} ours ({datetime.now(UTC):%H:%M:%S} UTC)",
            "tokens end early or late, and new certificates may not be valid yet",
            "timedatectl status, on both machines",
        )
    return Diagnosis(
        VaultFault.HEALTHY, f"{place.address} is initialized, unsealed and active ({health.get('version', '?')})"
    )


def _not_trusted(place: VaultAddress, reason: str) -> Diagnosis:
    given = place.ca_file or "the system's authorities"
    return Diagnosis(
        VaultFault.NOT_TRUSTED,
        f"the certificate of {place.address} is not accepted by {given}: {reason}",
        "it has expired, is for another name, or is from an authority that is not in that file; no token was sent",
        f"openssl s_client -connect {place.host}:{place.port} -servername {place.host}"
        + (f" -CAfile {place.ca_file}" if place.ca_file else ""),
    )


def _unreachable(place: VaultAddress, error: Exception) -> Diagnosis:
    if isinstance(error, TimeoutError):
        reason = f"no answer within {place.timeout:g} s"
    elif isinstance(error, socket.gaierror):
        reason = f"{place.host} cannot be resolved"
    elif isinstance(error, ssl.SSLError):
        reason = f"it does not speak TLS as we do ({(error.reason or str(error)).replace('_', ' ').lower()})"
    else:
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
    return Diagnosis(
        VaultFault.UNREACHABLE,
        f"{place.address} cannot be reached: {reason}",
        "it is down, or something between here and there does not let us through",
        f"curl -v {place.address}/v1/sys/health; on its machine: systemctl status openbao",
    )
