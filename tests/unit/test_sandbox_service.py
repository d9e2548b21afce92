"""The sandbox's service as a client meets it on the wire; in this process, on a free port."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from pyrunbook.pki.signing_keys import SigningKeyFiles, version_of
from pyrunbook.sandbox import agent_factory, content
from pyrunbook.sandbox.layout import Layout
from pyrunbook.sandbox.load import Load
from pyrunbook.sandbox.state import SandboxSettings

Send = Callable[..., bytes]


@contextmanager
def in_thread(make: Callable[[], asyncio.Protocol]) -> Iterator[int]:
    """Serve a protocol on a free port from a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(loop.create_server(make, sock=listener))
        loop.run_forever()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listener.close()
        loop.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    content.create(Layout(tmp_path), SandboxSettings("m", 1, 2, 3, 4, "s"))
    return tmp_path


def client(port: int) -> Send:
    def send(*parts: bytes, pause: float = 0.05, wait: float = 5) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
            answer = b""
            for part in parts[:-1]:
                connection.sendall(part)
                connection.settimeout(pause)
                with suppress(TimeoutError):
                    answer += connection.recv(65536)
                connection.settimeout(wait)
            connection.sendall(parts[-1])
            while data := connection.recv(65536):
                answer += data
            return answer

    return send


@pytest.fixture
def send(root: Path) -> Iterator[Send]:
    service = agent_factory.AgentFactory(root / "releases" / "1.1.0", root, "green")
    with in_thread(lambda: agent_factory.Connection(service)) as port:
        yield client(port)


def get(target: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]).encode()


def body(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_pages(send: Send) -> None:
    assert body(send(get("/version"))) == {"version": "1.1.0", "color": "green"}
    assert body(send(get("/health"))) == {"status": "ok"}
    assert body(send(get("/ready"))) == {"ready": True}
    assert [agent["template"] for agent in body(send(get("/agents")))] == [
        "billing-assistant",
        "release-notes-writer",
        "triage",
    ]
    assert status(send(get("/nothing"))) == 404
    assert status(send(get("/echo"))) == 405
    assert status(send(get("/version", method="DELETE"))) == 405
    head = send(get("/version", method="HEAD"))
    assert status(head) == 200
    assert head.endswith(b"\r\n\r\n")


def test_metrics(send: Send) -> None:
    send(get("/version"))
    send(get("/nothing"))
    lines = send(get("/metrics")).decode().splitlines()
    assert 'agent_factory_build_info{color="green",version="1.1.0"} 1' in lines
    assert 'agent_factory_requests_total{method="GET",path="/version",status="200"} 1' in lines
    assert 'agent_factory_requests_total{method="GET",path="other",status="404"} 1' in lines
    assert "agent_factory_requests_in_flight 0" in lines  # the scrape itself does not count
    assert 'agent_factory_response_seconds_bucket{le="+Inf"} 2' in lines
    assert "agent_factory_response_seconds_count 2" in lines


@pytest.mark.parametrize("ms", ["-1", "x", "60001", "9" * 30, "1.5"])
def test_work_refuses_nonsense(send: Send, ms: str) -> None:
    assert status(send(get(f"/work?ms={ms}"))) == 400


@pytest.fixture
def keys(root: Path) -> SigningKeyFiles:
    made = SigningKeyFiles(Layout(root).signing_keys, "rsa-2048")
    made.rotate()
    return made


def sign(data: bytes) -> bytes:
    return get("/sign", f"Content-Length: {len(data)}", method="POST") + data


def secure_mode(root: Path, text: str) -> None:
    (root / "security").mkdir(exist_ok=True)
    (root / "security" / "secure-mode.json").write_text(text)


def test_the_newest_version_of_the_key_signs(send: Send, keys: SigningKeyFiles) -> None:
    before = body(send(sign(b"template")))
    assert before["version"] == 1
    assert keys.verify(b"template", before["signature"])
    assert not keys.verify(b"another", before["signature"])
    keys.rotate()
    assert body(send(get("/security")))["signing_key"] == 2
    after = body(send(sign(b"template")))
    assert after["version"] == version_of(after["signature"]) == 2
    assert keys.verify(b"template", after["signature"])
    assert status(send(get("/sign"))) == 405


def test_secure_mode_signs_nothing_and_says_why(send: Send, root: Path, keys: SigningKeyFiles) -> None:
    off = {"secure_mode": False, "reason": "", "by": "", "since": "", "signing_key": 1}
    assert body(send(get("/security"))) == off
    secure_mode(root, '{"on": true, "reason": "key leaked", "by": "ada", "since": "2026-11-22T01:00:00Z"}')
    on = {"secure_mode": True, "reason": "key leaked", "by": "ada", "since": "2026-11-22T01:00:00Z", "signing_key": 1}
    assert body(send(get("/security"))) == on
    answer = send(sign(b"template"))
    assert status(answer) == 503
    assert body(answer)["reason"] == "key leaked"
    assert b"signature" not in answer
    assert status(send(get("/health"))) == status(send(get("/ready"))) == 200
    secure_mode(root, '{"on": false, "reason": "all is well"}')
    assert body(send(get("/security"))) == off
    assert status(send(sign(b"template"))) == 200


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"on": "false"}', '{"on": 0}', '{"on": null}'])
def test_secure_mode_that_cannot_be_read_is_on(send: Send, root: Path, keys: SigningKeyFiles, text: str) -> None:
    secure_mode(root, text)
    found = body(send(get("/security")))
    assert (found["secure_mode"], "cannot be read" in found["reason"]) == (True, True)
    assert status(send(sign(b"template"))) == 503


def test_no_signature_leaves_after_secure_mode_was_turned_on(
    root: Path, keys: SigningKeyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turned on while openssl works: the signature that it makes is not handed out."""
    real = subprocess.run

    def slow(*args: Any, **options: Any) -> Any:
        done = real(*args, **options)
        secure_mode(root, '{"on": true}')
        return done

    monkeypatch.setattr(agent_factory.subprocess, "run", slow)
    assert agent_factory.Signing(root).sign(b"template")[0] == 503
    monkeypatch.delattr(agent_factory.subprocess, "run")  # and from then on the key is not even read
    assert agent_factory.Signing(root).sign(b"template")[0] == 503


def test_what_keeps_it_from_signing_is_said(send: Send, root: Path) -> None:
    def error() -> str:
        answer = send(sign(b"template"))
        assert status(answer) == 500
        return str(body(answer)["error"])

    assert "no signing key" in error()
    assert body(send(get("/security")))["signing_key"] is None
    keys = SigningKeyFiles(Layout(root).signing_keys, "rsa-2048")
    keys.rotate()
    key = Layout(root).signing_keys / "1.key.pem"
    key.chmod(0o640)
    assert "open to others" in error()
    key.chmod(0o600)
    pem = key.read_text()
    key.write_text(pem[: len(pem) // 2])
    assert "openssl cannot sign" in error()
    log = (root / "logs" / "green.log").read_text()
    assert "ERROR not signed: openssl" in log
    assert "POST /sign 500" in log
    secret = "".join(pem.splitlines()[1:-1])
    assert not any(secret[at : at + 20] in log for at in range(0, len(secret) - 20, 20))
    (Layout(root).signing_keys / "versions.json").write_text("{}")
    assert "versions.json cannot be read" in error()


def test_others_are_answered_while_one_is_signed(
    send: Send, keys: SigningKeyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others do not wait; what comes on the same connection is answered afterwards."""
    real, go_on = subprocess.run, Event()

    def waiting(*args: Any, **options: Any) -> Any:
        assert go_on.wait(10)
        return real(*args, **options)

    monkeypatch.setattr(agent_factory.subprocess, "run", waiting)
    both = sign(b"template").replace(b"Connection: close", b"Connection: keep-alive") + get("/version")
    with ThreadPoolExecutor() as pool:
        signed = pool.submit(send, both)
        while b"agent_factory_requests_in_flight 1" not in send(get("/metrics")):
            assert not signed.done()
        go_on.set()
        answers = signed.result()
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.index(b'"signature"') < answers.index(b'"color"')
    assert b"agent_factory_requests_in_flight 0" in send(get("/metrics"))


def test_a_client_that_goes_away_gets_no_signature(
    send: Send, root: Path, keys: SigningKeyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, go_on, signed = subprocess.run, Event(), Event()

    def waiting(*args: Any, **options: Any) -> Any:
        assert go_on.wait(10)
        try:
            return real(*args, **options)
        finally:
            signed.set()

    monkeypatch.setattr(agent_factory.subprocess, "run", waiting)
    with pytest.raises(TimeoutError):
        send(sign(b"template"), wait=0.2)
    log = root / "logs" / "green.log"
    while "client went away" not in log.read_text():
        assert status(send(get("/health"))) == 200
    go_on.set()
    assert signed.wait(10)
    time.sleep(0.2)  # for the event loop to hear of it
    assert b"agent_factory_requests_in_flight 0" in send(get("/metrics"))
    assert "/sign 200" not in log.read_text()


def test_a_request_in_pieces_and_two_at_once(send: Send) -> None:
    whole = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    assert send(whole[:30], whole[30:-2], whole[-2:] + get("/version")).count(b"HTTP/1.1 200 OK") == 2


def test_chunked_body(send: Send) -> None:
    chunks = get("/echo", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
    assert send(chunks).endswith(b"\r\n\r\nhello world")


def test_expect_continue(send: Send) -> None:
    head = get("/echo", "Content-Length: 2", "Expect: 100-continue", method="POST")
    answer = send(head, b"hi")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert answer.endswith(b"hi")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (get("/version", "no colon"), 400),
        (get("/version", "Name : value"), 400),
        (get("/echo", "Content-Length: -1", method="POST"), 400),
        (get("/echo", "Content-Length: 1048577", method="POST"), 413),
        (get("/echo", f"Content-Length: {'9' * 40}", method="POST"), 413),
        (get("/echo", "Content-Length: 1", "Transfer-Encoding: chunked", method="POST"), 400),
        (get("/echo", "Transfer-Encoding: gzip", method="POST"), 501),
        (get("/echo", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n", 400),
        (get("/echo", "Transfer-Encoding: chunked", method="POST") + b"fffffff\r\n", 413),
        (get("/version", "X: " + "x" * 20000), 431),
        (b"x" * 20000, 431),
    ],
)
def test_what_is_malformed_is_refused_and_closed(send: Send, request_: bytes, expected: int) -> None:
    answer = send(request_)
    assert status(answer) == expected
    assert b"Connection: close" in answer


def test_a_release_without_its_data_still_serves(root: Path) -> None:
    (root / "data" / "agents.db").unlink()
    service = agent_factory.AgentFactory(root / "releases" / "1.1.0", root, "blue")
    assert service.agents == []
    assert "agents.db" in (root / "logs" / "blue.log").read_text()


class Answers(asyncio.Protocol):
    """Answers every connection with the same bytes, or closes it."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.answer)
        if not self.answer:
            self.transport.close()


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", {"wrong echo": 10}),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", {"answer 502": 20}),
        (b"HTTP/1.1 200 OK\r\n\r\n", {"answer 200 without a length": 20}),
        (b"", {"closed before the answer": 20}),
    ],
)
def test_the_load_counts_what_a_client_would_notice(answer: bytes, failures: dict[str, int]) -> None:
    with in_thread(lambda: Answers(answer)) as port:
        report = Load(f"http://127.0.0.1:{port}", rate=100).run(0.2)
    assert report.failures == failures
    assert (report.sent, report.failed) == (20, sum(failures.values()))
    assert (report.longest_gap_ms >= 200) == (report.succeeded == 0)
    assert str(report.failed) in str(report)


def test_the_load_counts_refused_connections_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr("pyrunbook.sandbox.load._TIMEOUT", 0.3)
        assert Load(f"http://127.0.0.1:{port}", rate=50).run(0.2).failures == {"no answer in time": 10}
    assert Load(f"http://127.0.0.1:{port}", rate=50).run(0.2).failures == {"connection refused": 10}
