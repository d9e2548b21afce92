"""The pair of a service on platform kubernetes: what knows certificates and what knows the cluster, put together."""

from __future__ import annotations

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes.pair_secrets import Look
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.keys import PrivateKey


def read(certificate: bytes, key: bytes) -> Look:
    """Look into a certificate with its chain, and a key, both PEM."""
    try:
        leaf = certificates.parse(certificate, "tls.crt")[0]
    except BadInput as error:
        return Look("", None, error.seen)
    serial = certificates.serial_text(leaf.serial_number)
    try:
        return Look(serial, certificates.belongs(leaf, PrivateKey.from_pem(key, "tls.key")))
    except BadInput as error:
        return Look(serial, None, error.seen)
