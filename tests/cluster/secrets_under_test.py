"""Certificates in Secrets for tests: issued by a local authority, written and read as anybody would."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

from cluster_api import Api

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.tls_secret import SecretPair
from pyrunbook.pki.issuers import CertificateRequest, Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.plugins.secret_store import read

SECRET, LEDGER = "agent-factory-tls", "agent-factory-tls-rotation"
NAME = "agent-factory.example.com"


def authority(directory: Path) -> LocalAuthority:
    made = LocalAuthority(directory)
    made.create()
    return made


def issue(issuer: LocalAuthority, *names: str) -> Issued:
    return issuer.issue(CertificateRequest(names or (NAME,), timedelta(days=30)))


def pair_in(cluster: Cluster) -> SecretPair:
    return SecretPair(cluster, SECRET, read)


def staged(pair: SecretPair, run: str, issued: Issued) -> bool:
    return pair.stage(run, issued.serial, issued.certificate_pem, issued.key.pem())


def rotate(pair: SecretPair, run: str, issued: Issued) -> list[str]:
    staged(pair, run, issued)
    pair.activate(run)
    pair.mark(run, "reloaded")
    pair.mark(run, "proven")
    return pair.conclude(run)


def standing(pair: SecretPair) -> dict[str, Any]:
    found: dict[str, Any] = pair.look()["standing"]
    return found


def retired(pair: SecretPair) -> list[str]:
    return [each["version"] for each in pair.look()["retired"]]


def secret(issued: Issued | None = None, *, name: str = SECRET, **changes: Any) -> dict[str, Any]:
    """A Secret as somebody else would write it; empty without a pair."""
    values = (issued.certificate_pem, issued.key.pem()) if issued else (b"", b"")
    data = {key: base64.b64encode(value).decode() for key, value in zip(("tls.crt", "tls.key"), values, strict=True)}
    return {"kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/tls", "data": data, **changes}


def live(api: Api, name: str = SECRET) -> dict[str, Any]:
    found = api.cluster().get("Secret", name)
    assert found is not None
    return found


def content(api: Api, name: str = SECRET) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (live(api, name).get("data") or {}).items()}


def serves(api: Api, issued: Issued) -> bool:
    """Whether the Secret holds this pair, certificate and key."""
    found = content(api)
    return (found["tls.crt"], found["tls.key"]) == (issued.certificate_pem, issued.key.pem())
