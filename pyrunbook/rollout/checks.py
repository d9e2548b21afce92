"""HTTP checks of a color or of the service: four outcomes, never two.

Every request goes over a new connection, because a switch does not move open connections.
"""

from __future__ import annotations

import http.client
import json
import math
import re
import ssl
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from pyrunbook.errors import BadInput
from pyrunbook.on_target.asking import reason
from pyrunbook.redaction import redact, redact_text, secret_values
from pyrunbook.verdict import Verdict

KEYS = {
    "name", "path", "method", "body", "headers", "requests", "status", "contains", "json", "latency", "timeout",
    "allowed_failures", "ca_file",
}  # fmt: skip
_BETWEEN_TRIES = 0.1
"""Seconds."""
BODY_LIMIT = 1 << 20
"""Bytes of an answer that are read; the rest is ignored."""


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        detail: one line for the operator: what was seen.
        evidence: JSON-able figures for the journal; times in milliseconds.
    """

    name: str
    verdict: Verdict
    detail: str
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the run may go on."""
        return self.verdict is Verdict.PASS


@dataclass(frozen=True)
class HttpCheck:
    """One check, as an inventory or a role gives it.

    Attributes:
        name: what it is called on the page and in the journal.
        path: path (and query) below the URL that is checked.
        body: request body; data that is not a string is sent as JSON.
        requests: how many requests, each over a new connection.
        status: statuses that count as an answer.
        contains: text that the body must contain.
        json: keys and values that the body, a JSON object, must have. A missing key is no data.
        latency: per percentile the most milliseconds allowed: `{"p95": 500}`.
        timeout: seconds for one request.
        allowed_failures: how many of the requests may fail.
        ca_file: certificate authorities for https; the system's when missing.
    """

    name: str
    path: str = "/"
    method: str = "GET"
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    requests: int = 1
    status: tuple[int, ...] = (200,)
    contains: str = ""
    json: dict[str, Any] = field(default_factory=dict)
    latency: dict[str, float] = field(default_factory=dict)
    timeout: float = 5.0
    allowed_failures: int = 0
    ca_file: str | None = None

    @property
    def asked(self) -> str:
        """For messages: method and path, without the query, which may hold a secret."""
        return f"{self.method} {self.path.partition('?')[0]}"

    @classmethod
    def parse(cls, data: dict[str, Any]) -> HttpCheck:
        """A check from its data in an inventory or a role.

        Raises:
            BadInput: an unknown key, or a value that makes the check one that cannot fail.
        """
        name = str(data.get("name") or data.get("path") or "?")
        unknown = sorted(set(data) - KEYS)
        if unknown:
            raise BadInput(f"check {name!r}: unknown key {', '.join(unknown)} (known: {', '.join(sorted(KEYS))})")
        try:
            status = data.get("status", [200])
            check = cls(
                name=name,
                path=str(data.get("path", "/")),
                method=str(data.get("method", "GET")).upper(),
                body=data.get("body"),
                headers={str(key): str(value) for key, value in (data.get("headers") or {}).items()},
                requests=int(data.get("requests", 1)),
                status=tuple(int(code) for code in (status if isinstance(status, list) else [status])),
                contains=str(data.get("contains", "")),
                json=dict(data.get("json") or {}),
                latency={str(key): float(value) for key, value in (data.get("latency") or {}).items()},
                timeout=float(data.get("timeout", 5)),
                allowed_failures=int(data.get("allowed_failures", 0)),
                ca_file=data.get("ca_file"),
            )
        except (TypeError, ValueError, AttributeError) as error:
            problem = re.sub(
                r"^(?:invalid literal for int|could not convert string).*?: (.*)", r"\1 is not a number", str(error)
            )
            raise BadInput(f"check {name!r}: {problem}") from error
        if check.requests < 1 or check.allowed_failures >= check.requests or check.timeout <= 0 or not check.status:
            raise BadInput(
                f"check {name!r} cannot fail: requests {check.requests}, allowed_failures {check.allowed_failures}, "
                f"timeout {check.timeout:g}, status {list(check.status)}"
            )
        for percentile in check.latency:
            if not (percentile.startswith("p") and percentile[1:].isdigit() and 0 < int(percentile[1:]) <= 100):
                raise BadInput(f"check {name!r}: {percentile!r} is not a percentile (p50, p95, p99 …)")
        return check


@dataclass
class _Answer:
    """One request: `status` 0 and `error` when there was no answer."""

    status: int = 0
    body: bytes = b""
    milliseconds: float = 0.0
    error: str = ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer, judged by its status; it is not followed to somewhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _opener(ca_file: str | None, secure: bool) -> urllib.request.OpenerDirector:
    # Checks go to the service itself: a proxy from the environment would be measured instead.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirect()]
    if secure or ca_file:  # reading the system's authorities takes 10 to 40 ms
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)))
    return urllib.request.build_opener(*handlers)


def _ask(opener: urllib.request.OpenerDirector, url: str, check: HttpCheck) -> _Answer:
    headers = {"User-Agent": "pyrunbook", "Connection": "close", **check.headers}
    body = None
    if check.body is not None:
        text = check.body if isinstance(check.body, str) else json.dumps(check.body)
        body = text.encode()
        headers.setdefault("Content-Type", "text/plain" if isinstance(check.body, str) else "application/json")
    request = urllib.request.Request(url, data=body, headers=headers, method=check.method)  # noqa: S310
    began = time.perf_counter()
    answer = _Answer()
    try:
        try:
            response = opener.open(request, timeout=check.timeout)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            answer.body = response.read(BODY_LIMIT)
            if response.length and len(answer.body) < BODY_LIMIT:
                raise http.client.IncompleteRead(answer.body, response.length)
            answer.status = response.status
    except (OSError, ValueError) as error:  # no connection, TLS, timeout, no HTTP
        answer.error = reason(error, check.timeout)
    except Exception as error:  # http.client: an answer that is not HTTP
        answer.error = f"{type(error).__name__}: {error}"
    answer.milliseconds = (time.perf_counter() - began) * 1000
    return answer


def percentile(values: list[float], percent: int) -> float:
    """The nearest-rank percentile of `values`, which must not be empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _judge(answer: _Answer, check: HttpCheck) -> tuple[Verdict, str]:
    if answer.error:
        return Verdict.ERROR, answer.error
    if answer.status not in check.status:
        return Verdict.FAIL, f"answered {answer.status}"
    if check.contains and check.contains not in answer.body.decode("utf-8", "replace"):
        return Verdict.FAIL, f"answered without {check.contains!r}"
    if check.json:
        try:
            body = json.loads(answer.body)
        except ValueError:
            return Verdict.NO_DATA, "answered something that is not JSON"
        for key, wanted in check.json.items():
            if not isinstance(body, dict) or key not in body:
                return Verdict.NO_DATA, f"answered without {key!r}"
            if str(body[key]) != str(wanted):
                return Verdict.FAIL, f"answered {key} {body[key]!s:.80}, wanted {wanted}"
    return Verdict.PASS, ""


def perform(check: HttpCheck, url: str) -> CheckResult:
    """Send the check's requests, one after the other, and judge them.

    It ends early when more requests than `allowed_failures` had no answer at all.

    Args:
        url: base URL of the color or of the service.

    Returns:
        `PASS` when all but `allowed_failures` were good and the percentiles hold; `ERROR` when no request was answered;
        `NO_DATA` when what was answered says nothing; `FAIL` otherwise.

    The detail has neither the query, nor a user in the URL, nor another secret of the check in it.

    Raises:
        BadInput: the URL is not http or https, or `ca_file` cannot be read.
    """
    result = _perform(check, url)
    secrets = frozenset(secret_values({"headers": check.headers, "body": check.body, "path": check.path, "url": url}))
    detail, evidence = redact_text(result.detail, secrets), redact(result.evidence, secrets)
    return CheckResult(result.name, result.verdict, detail, evidence)


def _perform(check: HttpCheck, url: str) -> CheckResult:
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https"):
        raise BadInput(f"check {check.name!r}: {url!r} is not an http or https URL")
    try:
        opener = _opener(check.ca_file, secure=scheme == "https")
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"check {check.name!r}: ca_file {check.ca_file}: {error}") from error
    target = urljoin(url if url.endswith("/") else url + "/", check.path.lstrip("/"))
    answers: list[_Answer] = []
    for _ in range(check.requests):
        answers.append(_ask(opener, target, check))
        # Enough went without an answer: asking on would only wait for more timeouts, while clients wait too.
        if sum(bool(answer.error) for answer in answers) > check.allowed_failures:
            break
    judged = [_judge(answer, check) for answer in answers]
    verdicts = Counter(verdict for verdict, _ in judged)
    times = [answer.milliseconds for answer in answers if not answer.error]
    evidence: dict[str, Any] = {
        "url": target.partition("?")[0],
        "method": check.method,
        "requests": len(answers),
        "passed": verdicts[Verdict.PASS],
        "statuses": {str(code): n for code, n in Counter(a.status for a in answers if not a.error).items()},
    }
    if times:
        evidence |= {f"p{p}_ms": round(percentile(times, p), 1) for p in (50, 95, 100)}
    asked = check.asked
    bad = len(answers) - verdicts[Verdict.PASS]
    if bad > check.allowed_failures:
        why = Counter(reason for _, reason in judged if reason).most_common(1)[0][0]
        evidence["seen"] = why
        verdict = next(v for v in (Verdict.FAIL, Verdict.NO_DATA, Verdict.ERROR) if verdicts[v])
        if verdict is not Verdict.FAIL and verdicts[Verdict.PASS]:
            verdict = Verdict.FAIL  # some were good: the service answers, only not always
        joint = " " if why.startswith("answered") else ": "
        return CheckResult(
            check.name,
            verdict,
            f"{asked}{joint}{why} in {bad} of {len(answers)} requests, {check.allowed_failures} allowed",
            evidence,
        )
    for name, most in check.latency.items():
        if not times:
            return CheckResult(check.name, Verdict.NO_DATA, f"{asked}: no answer to time", evidence)
        seen = percentile(times, int(name[1:]))
        if seen > most:
            detail = f"{asked}: {name} {seen:.0f} ms, {most:g} ms allowed"
            return CheckResult(check.name, Verdict.FAIL, detail, evidence | {"seen": detail})
    p95 = f", p95 {percentile(times, 95):.0f} ms" if times else ""
    good = f"{verdicts[Verdict.PASS]} of {check.requests} good answers{p95}"
    return CheckResult(check.name, Verdict.PASS, good, evidence)


def until(
    check: HttpCheck,
    url: str,
    *,
    seconds: float,
    consecutive: int = 1,
) -> tuple[CheckResult, int]:
    """Repeat a check until it passed `consecutive` times in a row, or the time is over.

    Args:
        consecutive: how many passes in a row count.

    Returns:
        The last result, and how many tries there were. It passes only when the passes were enough.
    """
    deadline = time.monotonic() + seconds
    passes = tries = 0
    while True:
        result = perform(check, url)
        tries += 1
        passes = passes + 1 if result.passed else 0
        if passes >= consecutive:
            return result, tries
        if time.monotonic() >= deadline:
            if result.passed:
                seen = f"{check.asked} passed {passes} times in a row, {consecutive} wanted"
                result = CheckResult(check.name, Verdict.FAIL, seen, result.evidence)
            return result, tries
        time.sleep(_BETWEEN_TRIES)
