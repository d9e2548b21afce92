"""A TLS server on loopback for tests, whose certificate can be exchanged while it runs."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import Self

from pyrunbook.pki.issuers import Issued


class TlsServer:
    """Answers handshakes with one pair; `serve` exchanges it for new connections.

    Args:
        issued: the pair; None: accepts connections and never answers.
        host: loopback address.
        port: 0: any free one.
    """

    def __init__(self, issued: Issued | None, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family)
        self.port: int = self._listening.getsockname()[1]
        self.handshakes = 0
        self._context: ssl.SSLContext | None = None
        if issued is not None:
            self.serve(issued)
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def serve(self, issued: Issued) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as private:
            pair = Path(private) / "pair.pem"
            pair.write_bytes(issued.key.pem() + issued.certificate_pem)
            context.load_cert_chain(pair)
        self._context = context

    def read(self, certificate: Path, key: Path) -> None:
        """Serve what two files hold from now on, as a server does that is told to reload."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._context = context

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            if self._context is None:
                self._open.append(plain)  # never answered
                continue
            with contextlib.suppress(OSError):
                plain.settimeout(5)
                with self._context.wrap_socket(plain, server_side=True) as secure:
                    self.handshakes += 1
                    secure.recv(1)
            plain.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            each.close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
