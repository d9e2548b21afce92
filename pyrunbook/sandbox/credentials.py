"""What the sandbox begins with: a certificate that its proxy serves and a key that its service signs with.

Both are made once. Afterwards they are rotated as on any other service: `pyrunbook certs rotate`.
"""

from __future__ import annotations

import os
import secrets
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pyrunbook.errors import BadInput
from pyrunbook.on_target import durable, rotation_state
from pyrunbook.on_target.certificate_pair import PairInDirectory
from pyrunbook.sandbox.layout import CERTIFICATE_NAMES, Layout

RUN = "sandbox-up"
"""Stands in `rotation.json` in place of a run's id until the first pair has been seen served."""


@dataclass(frozen=True)
class SandboxPair:
    """A new certificate with its key.

    Attributes:
        serial: hex; the name of its version.
        certificate: PEM, the leaf and its chain.
    """

    serial: str
    certificate: bytes
    key: bytes = field(repr=False)


class Issuing(Protocol):
    """Makes certificates and keys. Whoever calls `up` hands it in: the sandbox does not know cryptography."""

    def certificate(self, where: Layout) -> SandboxPair:
        """A pair for `CERTIFICATE_NAMES` and 127.0.0.1 from the authority in `where.authority`."""

    def signing_key(self, where: Layout) -> None:
        """The first version of the key in `where.signing_keys`."""


def create(layout: Layout, issuing: Issuing) -> None:
    """Deploy the first pair and make the first signing key; does nothing where they are.

    Raises:
        BadInput: there is no pair, and what is there does not let one be deployed.
    """
    if not layout.backup_passphrase.exists():
        durable.write(str(layout.backup_passphrase), secrets.token_urlsafe(32).encode() + b"\n")
    if not (layout.signing_keys / "versions.json").exists():
        issuing.signing_key(layout)
    directory = str(layout.certificate)
    deployed = PairInDirectory(directory)
    try:
        interrupted = first_is_unproven(layout)  # an `up` was killed, or what it started did not serve
        if rotation_state.linked(directory):
            if interrupted:
                deployed.activate(RUN)
            return
        if interrupted:  # what it staged may be half there
            deployed.put_back(RUN)
            deployed.conclude(RUN)
        pair = issuing.certificate(layout)
        deployed.stage(RUN, pair.serial, pair.certificate, pair.key)
        deployed.activate(RUN)
    except rotation_state.PairError as error:
        raise BadInput(
            f"no certificate is deployed in {directory}, and none can be: {error}",
            next_step="start over: pyrunbook sandbox down --purge && pyrunbook sandbox up",
        ) from error


def first_is_unproven(layout: Layout) -> bool:
    """Whether the first pair has been deployed and has not been seen served yet."""
    begun = rotation_state.rotation(str(layout.certificate))
    return begun is not None and begun["run"] == RUN


def look(layout: Layout, address: str) -> str:
    """Look at what is served as a client does; end the deployment of the first pair when it is what is served.

    Args:
        address: host:port of the TLS listener.

    Returns:
        Why a client would not accept what is served; empty when all is well.
    """
    try:
        seen = _served(address, layout.trust_file)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError as error:
        return error.strerror or str(error)
    if not first_is_unproven(layout):
        return ""
    deployed = PairInDirectory(str(layout.certificate))
    begun = rotation_state.rotation(deployed.directory)
    assert begun is not None  # noqa: S101  # it is unproven
    if seen != int(begun["new"], 16):
        return f"it serves serial {seen:x}, not {begun['new']}"
    for step in (rotation_state.RELOADED, rotation_state.PROVEN):
        if rotation_state.FORWARD.index(begun["step"]) < rotation_state.FORWARD.index(step):
            deployed.mark(RUN, step)
    deployed.conclude(RUN)
    return ""


def _served(address: str, trust_file: Path) -> int:
    """The serial that a client sees on a new connection, which it accepts by `trust_file`."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=os.fspath(trust_file))
    with (
        socket.create_connection((host, int(port)), timeout=2.0) as plain,
        context.wrap_socket(plain, server_hostname=CERTIFICATE_NAMES[0]) as secure,
    ):
        served = secure.getpeercert() or {}
        return int(str(served["serialNumber"]), 16)
