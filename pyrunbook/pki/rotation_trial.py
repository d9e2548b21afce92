"""A whole rotation on trial, in a scratch directory: issued, checked, deployed, served, revoked.

Nothing that serves is touched, and the key of the trial is gone with its directory.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import check, revocation, served
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.issuers import CertificateRequest, Issuer
from pyrunbook.pki.pair import Pair

SECONDS = 10.0
"""For the handshake with ourselves, which takes some milliseconds."""


def perform(issuer: Issuer, request: CertificateRequest, private: Path) -> dict[str, Any]:
    """Rotate once on trial.

    Args:
        issuer: of the trial; with a Vault, of a role that is there for this.
        request: names and lifetime; keep it short: not every issuer publishes a revocation at once.
        private: an empty directory for its owner only, which the caller removes.

    Returns:
        what was seen, for the journal.

    Raises:
        NotIssued: it was not issued, was not served as a client accepts it, or could not be revoked.
        Doubtful: what was issued is not what was asked for.
    """
    issued = issuer.issue(request)
    findings = check.check(
        issued.certificate, issued.chain, issued.key,
        trust=issued.trust, dns_names=request.dns_names, ip_names=request.ip_names,
    )  # fmt: skip
    try:
        checked = check.require(findings)
        pair = Pair(private / "tls")
        pair.stage("trial", issued)
        pair.activate("trial")
        name = request.dns_names[0] if request.dns_names else request.ip_names[0]
        seen = _served(pair, name, issued.serial, certificates.pem(*issued.trust))
    finally:  # also where it was refused: it must not stay valid
        issuer.revoke(issued.serial)
    answers = revocation.check_crl(issuer, issued.certificate), revocation.check_ocsp(issuer, issued.certificate)
    return {
        "issuer": issuer.name,
        "serial": issued.serial,
        "checked": checked,
        "served": [each.as_json() for each in seen],
        "revoked": {"crl": answers[0].detail, "ocsp": answers[1].detail},
    }


def _served(pair: Pair, name: str, serial: str, roots: bytes) -> list[served.Seen]:
    """Serve the pair on a free port of this machine, and look at it as a client does."""
    with _serving(pair) as port:
        address = served.Address("127.0.0.1", port, name)
        good, seen = served.prove([address], serial=serial, roots=roots, seconds=SECONDS)
    if not good:
        raise NotIssued(
            f"the certificate on trial is not served as a client accepts it: {served.describe(seen)}",
            means="a rotation would stop there, and put back what was there",
        )
    return seen


@contextmanager
def _serving(pair: Pair) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate_file, pair.key_file)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()
        thread = threading.Thread(target=_answer, args=(server, context, over), daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            over.set()
            thread.join(SECONDS)


def _answer(server: socket.socket, context: ssl.SSLContext, over: threading.Event) -> None:
    while not over.is_set():
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        with connection:
            connection.settimeout(SECONDS)
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                continue
