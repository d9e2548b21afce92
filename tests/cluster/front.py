"""What stands before a cluster for clients: answers as the release that the live selector and pods say.

Nothing listens at the addresses of fake pods, so the URL of the service, and of each color, is this server's:
`/service/…`, `/blue/…`, `/green/…`. A release whose version contains `bad` answers POST and /health with 500.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cluster_api import Api

from pyrunbook.kubernetes.errors import ClusterError
from pyrunbook.kubernetes.state import read


class Front:
    """Serves on loopback while it is entered. `down` counts the answers 503 at the service's URL."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.down = 0
        self.answered = 0
        self._state: tuple[float, dict[str, Any]] = (0.0, {})
        self._lock = threading.Lock()

    def __enter__(self) -> Front:
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                code, body = front.answer(self.path)
                content = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        _, place, rest = path.split("/", 2)
        found = self._read()
        color = found.get("active") if place == "service" else place
        state = found.get("colors", {}).get(color) or {}
        if place == "service":
            self.answered += 1
        if not state.get("ready"):
            self.down += place == "service"
            return 503, {"error": "no ready pod"}
        if rest == "health" and "bad" in str(state["release"]):
            return 500, {"error": "a bad release"}
        return 200, {"color": color, "version": state["release"]}

    def _read(self) -> dict[str, Any]:
        with self._lock:
            since, found = self._state
            if time.monotonic() - since > 0.05:
                try:
                    found = read(self.api.cluster(), self.api.target)
                except ClusterError:
                    found = {}
                self._state = (time.monotonic(), found)
            return found
