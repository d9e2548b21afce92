"""The service's URL leads to the release that serves, or the run is refused."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pyrunbook.errors import Refused
from pyrunbook.rollout import service_address
from pyrunbook.rollout.checks import HttpCheck


@pytest.fixture
def nobody() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def service() -> Iterator[str]:
    """Answers 1.0.4 on /version, and 200 on /ready; anything else is 404."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in ("/version", "/ready") else 404)
            self.end_headers()
            self.wfile.write(b'{"version": "1.0.4"}')

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


VERSION = {"name": "version", "path": "/version", "json": {"version": "1.0.4"}}
READY = {"name": "ready", "path": "/ready"}


def answers(
    url: str, release: str = "1.0.4", checks: list[dict[str, Any]] | None = None, ready: dict[str, Any] = READY
) -> dict[str, Any]:
    parsed = [HttpCheck.parse(check) for check in checks or [VERSION]]
    return service_address.require_answer(url, "blue", release, parsed, HttpCheck.parse(ready))


def test_the_address_of_the_service_leads_to_the_release_that_serves(service: str) -> None:
    sick = {"name": "health", "path": "/health", "requests": 20}  # a service that is sick may be updated
    result = answers(service, checks=[sick, VERSION])
    assert result["detail"] == f"{service} answers 1.0.4"
    assert result["evidence"]["compared"] == "version"


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("another service", "version (fail): answered version 1.0.4, wanted 0.9.9"),
        ("a wrong port", "version (error): Connection refused"),
        ("a wrong scheme", "version (error): TLS: wrong version number"),
        ("a wrong name", "version (error): the name is not known here"),
        ("a wrong path", "version (fail): answered 404"),
    ],
)
def test_an_address_that_leads_elsewhere_is_refused(
    service: str, nobody: str, case: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_address, "PATIENCE", 0)
    url = {
        "a wrong port": nobody,
        "a wrong scheme": service.replace("http:", "https:"),
        "a wrong name": "http://shop.invalid",
        "a wrong path": service + "/shop",
    }.get(case, service)
    release = "0.9.9" if case == "another service" else "1.0.4"
    with pytest.raises(Refused) as refused:
        answers(url, release, [{**VERSION, "json": {"version": release}}])
    told = str(refused.value)
    assert f"{url} (service_url) does not answer as the service does while blue serves {release}" in told
    assert why in told
    assert "Nothing was changed." in told


def test_a_service_that_tells_no_release_must_be_ready_at_its_address(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_address, "PATIENCE", 0)
    told = answers(service, checks=[{"name": "home", "path": "/"}])
    assert told["detail"] == f"{service} is ready; no check names its release"
    assert told["evidence"]["compared"] == "ready check"
    with pytest.raises(Refused, match=r"ready \(fail\): answered 404"):
        answers(service, release="", checks=[VERSION], ready={"name": "ready", "path": "/nowhere"})
