"""Requests in flight: read from a gauge, waited for, never taken for 0 when it is not known."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrunbook.errors import BadInput
from pyrunbook.rollout.in_flight import gauge, wait

METRIC = "http_requests_in_flight"


class Metrics(ThreadingHTTPServer):
    """A metrics page; each answer takes the next of `pages`, the last one repeats."""

    pages: list[bytes | int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/metrics"


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = self.server.pages  # type: ignore[attr-defined]
            page = pages.pop(0) if len(pages) > 1 else pages[0]
            if isinstance(page, int):
                self.send_error(page)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            pass

    server = Metrics(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def page(value: float | str) -> bytes:
    return f"# TYPE {METRIC} gauge\n{METRIC} {value}\n".encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"{METRIC} 3\n", 3),
        (f"# HELP {METRIC} 9\n{METRIC} 0\n", 0),
        (f'{METRIC}{{method="GET"}} 2\n{METRIC}{{method="POST",path="/a"}} 3.0 1712345678901\n', 5),
        (f'{METRIC}{{path="/{{id}}"}} 4\n', 4),
        (f'{METRIC}{{path="quoted \\" and }} brace"}} 4\n', 4),
        (f"{METRIC} 1e2\n", 100),
        (f"{METRIC}_total 7\nmy_{METRIC} 8\n", None),
        (f"#{METRIC} 7\n", None),
        ("", None),
    ],
)
def test_gauge(text: str, value: float | None) -> None:
    assert gauge(text, METRIC) == value


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(blacklist_characters="\n\r", blacklist_categories=["Cs"]), max_size=8),
        st.integers(0, 10**6),
        max_size=8,
    )
)
def test_no_sample_is_overlooked_whatever_its_labels_hold(samples: dict[str, int]) -> None:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    text = "other 5\n" + "".join(f'{METRIC}{{path="{escaped(label)}"}} {value}\n' for label, value in samples.items())
    assert gauge(text, METRIC) == (sum(samples.values()) if samples else None)


def test_a_sample_that_is_no_number_is_an_error() -> None:
    with pytest.raises(BadInput, match=METRIC):
        gauge(f"{METRIC} lots\n", METRIC)


def test_it_waits_until_zero(metrics: Metrics) -> None:
    metrics.pages = [page(3), page(1), page(0)]
    seen = wait(metrics.url, METRIC, 10, interval=0.05)
    assert (seen.last, seen.gone) == (0, False)
    assert seen.seconds >= 0.1


def test_it_gives_up_with_what_it_saw_last(metrics: Metrics) -> None:
    metrics.pages = [page(3), page(2)]
    seen = wait(metrics.url, METRIC, 0.2, interval=0.05)
    assert (seen.last, seen.gone) == (2, False)
    assert 0.2 <= seen.seconds < 3


def test_a_color_that_is_gone_has_nothing_in_flight() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    seen = wait(f"http://127.0.0.1:{port}/metrics", METRIC, 10)
    assert (seen.last, seen.gone) == (0, True)


@pytest.mark.parametrize("answer", [b"other_metric 0\n", b"", 404, 500])
def test_a_page_without_the_gauge_is_not_zero_and_not_waited_for(metrics: Metrics, answer: bytes | int) -> None:
    metrics.pages = [answer]
    began = time.monotonic()
    seen = wait(metrics.url, METRIC, 30)
    assert (seen.last, seen.gone) == (None, False)
    assert time.monotonic() - began < 5


def test_a_color_that_drops_the_connection_is_not_known() -> None:
    """Somebody listens there: it is neither gone nor idle."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        seen = wait(f"http://127.0.0.1:{listener.getsockname()[1]}/metrics", METRIC, 0.0)
    assert (seen.last, seen.gone) == (None, False)
