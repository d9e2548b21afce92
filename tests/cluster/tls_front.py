"""What stands before a cluster for TLS clients: a real server on loopback that serves what pods would have read.

Pods of the stand-in run nothing, so the certificate of the Secret is served here: read again whenever the Secret
changes, as a workload does that watches its files, or only when the pods of a Deployment were replaced, as one does
that reads them when it starts. A client that connects meets what stands then: a ready pod has read its certificate.
What cannot be read is not taken over. `deaf` keeps what was read first; `mute` answers no handshake.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Any

from cluster_api import Api
from secrets_under_test import NAME, SECRET

from pyrunbook.errors import PyrunbookError


def wanted(tls: TlsFront, **changes: Any) -> dict[str, Any]:
    """What the inventory says of the certificate that is served there."""
    return {
        "name": "public",
        "issuer": "local",
        "dns_names": [NAME],
        "lifetime": "90d",
        "addresses": [tls.address],
        "server_name": NAME,
        "secret": SECRET,
        **changes,
    }


class TlsFront:
    """Serves on loopback while it is entered.

    Args:
        api: the namespace.
        deployment: whose pods read the Secret when they start; empty: they watch it.
    """

    def __init__(self, api: Api, deployment: str = "") -> None:
        self.api, self._deployment = api, deployment
        self.deaf = self.mute = False
        self._context: ssl.SSLContext | None = None
        self._known: Any = None
        self._cluster = api.cluster(patience=1)
        self._looking = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> TlsFront:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        for work in (self._accept, self._follow):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            self._look()
            context = self._context
            with contextlib.suppress(OSError), plain:
                plain.settimeout(5)
                if context is not None and not self.mute:
                    with context.wrap_socket(plain, server_side=True) as secure:
                        secure.recv(1)

    def _follow(self) -> None:
        while not self._ended.wait(0.05):
            self._look()

    def _look(self) -> None:
        with self._looking, contextlib.suppress(PyrunbookError, ssl.SSLError):
            # The pods first: what one of them has read was there before it was ready.
            started = self._ready(self._cluster.list_all("Pod")) if self._deployment else set()
            data = (self._cluster.get("Secret", SECRET) or {}).get("data") or {}
            seen = (self._known or set()) | started if self._deployment else data
            news, self._known = seen != self._known, seen
            if news and not (self.deaf and self._context):
                self._serve(data)

    def _ready(self, pods: list[dict[str, Any]]) -> set[str]:
        return {
            pod["metadata"]["uid"]
            for pod in pods
            if pod["metadata"]["name"].startswith(f"{self._deployment}-")
            and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])
        }

    def _serve(self, data: dict[str, str]) -> None:
        certificate, key = (base64.b64decode(data.get(name, "")) for name in ("tls.crt", "tls.key"))
        if not certificate:
            self._context = None
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as private:
            pair = Path(private) / "pair.pem"
            pair.write_bytes(key + certificate)
            context.load_cert_chain(pair)
        self._context = context
