"""HTTP checks against a real server: what passes, fails, cannot be measured, or says nothing."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrunbook.errors import BadInput
from pyrunbook.rollout.checks import HttpCheck, percentile, perform, until
from pyrunbook.verdict import Verdict

Answer = tuple[int, bytes] | Callable[[BaseHTTPRequestHandler], None]


class Server:
    """A server whose next answers are listed; the last one repeats. Keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [(200, b"{}")]
        self.asked: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.connections: set[tuple[str, int]] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append((self.command, self.path, body, dict(self.headers)))
                outer.connections.add(self.client_address)
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if callable(answer):
                    answer(self)
                    return
                status, content = answer
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", f"{outer.url}/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = handle_any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def nobody() -> str:
    """A URL where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def check(**data: Any) -> HttpCheck:
    return HttpCheck.parse({"name": "it", **data})


# --- the four outcomes -------------------------------------------------------------------------------------------


def test_pass_with_figures(server: Server) -> None:
    result = perform(check(path="/health", requests=5), server.url)
    assert result.verdict is Verdict.PASS
    assert result.passed
    assert "5 of 5 good answers" in result.detail
    assert result.evidence["requests"] == result.evidence["passed"] == 5
    assert result.evidence["statuses"] == {"200": 5}
    assert result.evidence["url"] == f"{server.url}/health"
    assert result.evidence["p95_ms"] > 0
    json.dumps(result.evidence)


def test_fail_says_how_many(server: Server) -> None:
    server.answers = [(200, b""), (500, b""), (200, b""), (500, b""), (200, b"")]
    result = perform(check(method="post", path="/echo", requests=5), server.url)
    assert result.verdict is Verdict.FAIL
    assert result.detail == "POST /echo answered 500 in 2 of 5 requests, 0 allowed"
    assert result.evidence["statuses"] == {"200": 3, "500": 2}


def test_refused_connection_is_an_error(nobody: str) -> None:
    result = perform(check(requests=2), nobody)
    assert result.verdict is Verdict.ERROR
    assert not result.passed
    assert "refused" in result.detail.lower()
    assert result.evidence["statuses"] == {}
    assert "p95_ms" not in result.evidence


def test_no_answer_in_time_is_an_error(server: Server) -> None:
    server.answers = [lambda handler: time.sleep(1)]
    began = time.monotonic()
    result = perform(check(timeout=0.1), server.url)
    assert time.monotonic() - began < 0.9
    assert result.verdict is Verdict.ERROR
    assert result.detail == "GET /: no answer within 0.1 s in 1 of 1 requests, 0 allowed"


def test_something_that_is_not_http_is_an_error(server: Server) -> None:
    server.answers = [lambda handler: handler.wfile.write(b"\x00\x01\x02\r\n\r\n") or None]
    result = perform(check(), server.url)
    assert result.verdict is Verdict.ERROR


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_cut_short_is_an_error(server: Server, status: int) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    server.answers = [cut]
    result = perform(check(status=[200, 500]), server.url)
    assert result.verdict is Verdict.ERROR
    assert "IncompleteRead" in result.detail


def test_a_missing_key_and_no_json_are_no_data(server: Server) -> None:
    server.answers = [(200, b'{"color": "blue"}')]
    missing = perform(check(json={"version": "1"}), server.url)
    assert (missing.verdict, missing.detail.split(" in ")[0]) == (Verdict.NO_DATA, "GET / answered without 'version'")
    server.answers = [(200, b"<html>")]
    assert perform(check(json={"version": "1"}), server.url).verdict is Verdict.NO_DATA
    server.answers = [(200, b'["version"]')]
    assert perform(check(json={"version": "1"}), server.url).verdict is Verdict.NO_DATA


def test_some_good_and_some_without_data_is_a_failure(server: Server) -> None:
    """The service answers, only not always: that is no lack of data."""
    server.answers = [(200, b'{"version": "1"}'), (200, b"{}")]
    assert perform(check(json={"version": "1"}, requests=4), server.url).verdict is Verdict.FAIL


def test_another_value_fails_and_names_both(server: Server) -> None:
    server.answers = [(200, b'{"version": "1.0.4"}')]
    result = perform(check(path="/version", json={"version": "1.1.0"}), server.url)
    assert result.verdict is Verdict.FAIL
    assert "answered version 1.0.4, wanted 1.1.0" in result.detail


def test_numbers_are_compared_as_text(server: Server) -> None:
    """YAML makes a number of 1.1, a service may say "1.1"."""
    server.answers = [(200, b'{"version": "1.1", "replicas": 3, "ready": true}')]
    assert perform(check(json={"version": 1.1, "replicas": "3", "ready": True}), server.url).passed


def test_contains(server: Server) -> None:
    server.answers = [(200, b"all is well")]
    assert perform(check(contains="is well"), server.url).passed
    result = perform(check(contains="is not"), server.url)
    assert (result.verdict, "without 'is not'" in result.detail) == (Verdict.FAIL, True)


# --- how it asks -------------------------------------------------------------------------------------------------


def test_every_request_has_a_connection_of_its_own(server: Server) -> None:
    perform(check(requests=6), server.url)
    assert len(server.connections) == 6
    assert {headers["Connection"] for *_, headers in server.asked} == {"close"}


def test_a_redirect_is_an_answer_and_not_followed(server: Server) -> None:
    server.answers = [(302, b"")]
    result = perform(check(), server.url)
    assert result.verdict is Verdict.FAIL
    assert "answered 302" in result.detail
    assert [path for _, path, *_ in server.asked] == ["/"]
    assert perform(check(status=302), server.url).passed


def test_body_headers_and_path_below_the_url(server: Server) -> None:
    perform(check(method="PUT", path="/a?b=c", body={"x": 1}, headers={"X-Token": "t"}), server.url + "/base")
    method, path, body, headers = server.asked[0]
    assert (method, path, json.loads(body)) == ("PUT", "/base/a?b=c", {"x": 1})
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Token"] == "t"


def test_a_proxy_of_the_environment_is_not_measured(
    server: Server, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, nobody)
    assert perform(check(), server.url).passed


def test_allowed_failures(server: Server) -> None:
    server.answers = [(500, b""), (200, b"")]
    assert perform(check(requests=4, allowed_failures=1), server.url).passed
    server.answers = [(500, b""), (500, b""), (200, b"")]
    assert perform(check(requests=4, allowed_failures=1), server.url).verdict is Verdict.FAIL


def test_latency_percentile(server: Server) -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.25)
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers = [slow, (200, b"")]
    result = perform(check(requests=4, latency={"p50": 200, "p100": 240}), server.url)
    assert result.verdict is Verdict.FAIL
    assert "p100" in result.detail
    assert "240 ms allowed" in result.detail
    server.answers = [slow, (200, b"")]
    assert perform(check(requests=4, latency={"p50": 200}), server.url).passed


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.integers(1, 100))
def test_percentile_is_the_smallest_value_that_covers_the_share(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    share = len(values) * percent / 100
    assert found in values
    assert sum(value <= found for value in values) >= share
    assert sum(value < found for value in values) < share or found == min(values)


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"requests": 0},
        {"requests": -3},
        {"allowed_failures": 1},
        {"requests": 5, "allowed_failures": 5},
        {"timeout": 0},
        {"timeout": "soon"},
        {"requests": "many"},
        {"status": []},
        {"status": "ok"},
        {"latency": {"95": 10}},
        {"latency": {"p0": 10}},
        {"latency": {"p101": 10}},
        {"latency": {"p95": "fast"}},
        {"headers": ["X"]},
        {"pth": "/health"},
    ],
)
def test_a_check_that_cannot_fail_or_cannot_be_read_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="'it'"):
        check(**data)


def test_an_unknown_key_names_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"unknown key pth \(known: .*path"):
        check(pth="/")


@pytest.mark.parametrize(("key", "value"), [("requests", "many"), ("timeout", "soon"), ("status", ["ok"])])
def test_a_value_that_is_no_number_is_quoted_in_plain_words(key: str, value: Any) -> None:
    with pytest.raises(BadInput, match=r"^check 'it': '(many|soon|ok)' is not a number$"):
        check(**{key: value})


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "127.0.0.1:80", ""])
def test_only_http_urls(url: str) -> None:
    with pytest.raises(BadInput, match="not an http or https URL"):
        perform(check(), url)


def test_a_ca_file_that_is_not_there_is_bad_input(server: Server) -> None:
    with pytest.raises(BadInput, match="ca_file /nonexistent"):
        perform(check(ca_file="/nonexistent"), server.url)


# --- waiting -----------------------------------------------------------------------------------------------------


def test_until_counts_passes_in_a_row(server: Server) -> None:
    server.answers = [(503, b""), (200, b""), (503, b""), (200, b""), (200, b"")]
    result, tries = until(check(), server.url, seconds=10, consecutive=2)
    assert result.passed
    assert tries == 5


def test_until_gives_up_with_what_it_saw_last(server: Server) -> None:
    server.answers = [(503, b"")]
    began = time.monotonic()
    result, tries = until(check(), server.url, seconds=0.3)
    assert 0.3 <= time.monotonic() - began < 2
    assert result.verdict is Verdict.FAIL
    assert "answered 503" in result.detail
    assert tries > 1


def test_until_does_not_take_a_last_pass_for_enough(server: Server) -> None:
    """Out of time with too few passes: that is not ready."""
    server.answers = [(503, b""), (503, b""), (200, b"")]
    result, tries = until(check(), server.url, seconds=0.5, consecutive=1000)
    assert tries < 1000
    assert not result.passed


def test_a_service_that_does_not_answer_is_not_asked_again_and_again(server: Server) -> None:
    server.answers = [lambda handler: time.sleep(1)]
    result = perform(check(requests=20, timeout=0.1, allowed_failures=1), server.url)
    assert result.verdict is Verdict.ERROR
    assert len(server.asked) == 2
    assert "in 2 of 2 requests, 1 allowed" in result.detail
