"""Asking a color: at the address that the proxy dials first, and why there is no good answer in words."""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrunbook.on_target.asking import why_not_ready


class _Color(http.server.BaseHTTPRequestHandler):
    """Answers 200 to who names it `blue.example.com`, else 421; a redirect below /moved."""

    def do_GET(self) -> None:
        named = self.headers["Host"] == "blue.example.com"
        self.send_response(302 if self.path == "/moved" else 200 if named else 421)
        self.send_header("Location", "/ready")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _serve(context: ssl.SSLContext | None = None) -> tuple[http.server.HTTPServer, str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Color)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server, f"127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def color() -> Iterator[str]:
    server, address = _serve()
    yield address
    server.shutdown()
    server.server_close()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[str]:
    """A color that speaks TLS, with a certificate that nobody trusts."""
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    argv += ["-subj", "/CN=blue.example.com", "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    server, address = _serve(context)
    yield address
    server.shutdown()
    server.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_the_address_is_asked_with_the_name_of_the_url(color: str) -> None:
    assert why_not_ready(color, "http://blue.example.com/ready") == ""
    assert why_not_ready(color, "https://blue.example.com/ready") == "", "a proxy speaks TLS in front of it"
    assert why_not_ready(color, "http://green.example.com/ready") == f"{color} answered 421"
    assert why_not_ready(color, "http://blue.example.com/moved") == f"{color} answered 302"
    assert why_not_ready(color, "http://blue.example.com/moved", status=[302]) == ""


def test_a_color_that_speaks_tls_need_not_be_trusted_where_it_runs(secure: str) -> None:
    assert why_not_ready(secure, "https://blue.example.com/ready") == ""
    assert why_not_ready(secure, "https://green.example.com/ready") == f"{secure} answered 421"


def test_the_url_is_asked_where_nothing_answers_at_the_address(color: str) -> None:
    assert why_not_ready("127.0.0.1:1", f"http://{color}/ready", status=[421]) == ""


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://blue.invalid:80/ready", "blue.invalid:80: the name is not known here ("),
        ("http://127.0.0.1:1/ready", "127.0.0.1:1: Connection refused"),
        ("http://{silent}/ready", "{silent}: no answer within 0.2 s"),
        ("https://{secure}/ready", "{secure}: TLS: the certificate is not trusted here ("),
        ("https://{color}/ready", "{color}: TLS: wrong version number"),
        ("http://{color}/ready", "{color} answered 421"),
    ],
)
def test_why_it_is_not_ready(url: str, why: str, color: str, secure: str, silent: str) -> None:
    known = {"color": color, "secure": secure, "silent": silent}
    told = why_not_ready("127.0.0.1:1", url.format(**known), seconds=0.2)
    assert why.format(**known) in told
    assert told.startswith(("127.0.0.1:1: Connection refused", color))
