"""Does the service itself sign, and is its signature one of the current key? Asked over a new connection."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

from pyrunbook.errors import BadInput
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.signing_keys import version_of
from pyrunbook.pki.sources import WantedSigningKey

LARGEST = 1 << 16
"""Bytes of an answer that are read: a signature is smaller."""


def prove(url: str, path: str, wanted: Sequence[WantedSigningKey], *, ca_file: str = "", timeout: float = 10.0) -> str:
    """Have the service sign a scratch text, and verify it with the newest version of one of its keys.

    A service in secure mode (503, and a `reason`) signs nothing on purpose: this is reported, and is no fault.

    Args:
        url: of the service.
        path: to which a text is posted; the answer is `{"signature": "<where>:v<version>:<base64>", …}`.
        wanted: the keys; one of them must verify.
        ca_file: authorities for https; the system's by default.
        timeout: seconds.

    Returns:
        one line for the operator.

    Raises:
        NotIssued: it gave no signature, or one that is not accepted, or one of an old version.
    """
    text = b"pyrunbook signature test " + os.urandom(16).hex().encode()
    status, answer = _post(url, path, text, ca_file, timeout)
    if status == 503 and "reason" in answer:
        since = f" since {answer['since']}" if answer.get("since") else ""
        return f"the service signs nothing: secure mode is on{since} ({answer['reason'] or 'no reason given'})"
    signature = answer.get("signature")
    if status != 200 or not isinstance(signature, str):
        raise _fault(f"POST {path} answered {status}: {answer.get('error') or 'no signature'}")
    try:
        version = version_of(signature)
    except BadInput as error:
        raise _fault(f"POST {path}: {error.seen}") from None
    by = next((each for each in wanted if each.keys.verify(text, signature)), None)
    if by is None:
        raise _fault(f"POST {path} gave a signature of version {version} that no key of the service accepts")
    newest = max(each.number for each in by.keys.versions())
    if version != newest:
        raise _fault(f"POST {path} signs with version {version} of {by.name}, the newest is {newest}")
    return f"the service signs with version {version} of {by.name}"


def _fault(seen: str) -> NotIssued:
    return NotIssued(
        f"the service does not sign as it should: {seen}",
        means="templates go out unsigned, or with a signature that is not trusted",
        next_step="pyrunbook run incidents/security_failure",
    )


def _post(url: str, path: str, text: bytes, ca_file: str, timeout: float) -> tuple[int, dict[str, object]]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadInput(f"{url!r} is not an http or https URL")
    try:
        context = ssl.create_default_context(cafile=ca_file or None) if url.startswith("https:") else None
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"{ca_file}: {error.strerror or 'no certificates in it'}") from None
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    handlers += [urllib.request.HTTPSHandler(context=context)] if context else []
    target = urljoin(url if url.endswith("/") else url + "/", path.lstrip("/"))
    asked = urllib.request.Request(target, data=text, method="POST", headers={"Content-Type": "text/plain"})  # noqa: S310
    try:
        with urllib.request.build_opener(*handlers).open(asked, timeout=timeout) as response:
            status, body = int(response.status), response.read(LARGEST)
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read(LARGEST)
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise _fault(f"POST {target} got no answer: {getattr(reason, 'strerror', None) or reason}") from None
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    return status, answer if isinstance(answer, dict) else {}
