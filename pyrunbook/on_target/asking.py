"""Ask a color on the service's machine whether it is ready, and say in words why it is thought not to be."""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Any

SECONDS = 2.0
"""How long a color may take to answer when only its state is read."""


def reason(error: BaseException, seconds: float | None = None) -> str:
    """Why there was no answer, as an operator says it.

    Args:
        seconds: how long was waited, where that is known.
    """
    within = getattr(error, "reason", None)
    if isinstance(within, BaseException):  # urllib wraps it
        error = within
    if isinstance(error, ConnectionError) and error.strerror:
        return error.strerror
    if isinstance(error, socket.gaierror):
        return f"the name is not known here ({error.strerror})"
    import http.client
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is not trusted here ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return "TLS: {}".format((error.reason or str(error)).replace("_", " ").lower())
    if isinstance(error, (socket.timeout, TimeoutError)):
        return f"no answer within {seconds:g} s" if seconds else "no answer in time"
    if isinstance(error, http.client.HTTPException):
        return f"no HTTP answer ({type(error).__name__})"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def why_not_ready(address: str, url: str, status: Collection[int] = (200,), seconds: float = SECONDS) -> str:
    """Why a color is not ready; empty when it is.

    Its address is asked first, because that is what the proxy dials: the URL may be one that only the operator's
    machine can resolve, reach or trust. The URL is asked where nothing answers at the address.

    Args:
        address: `host:port` of the color, as in the upstream file.
        url: what is asked for; its host is the `Host` of the request at the address too.
        status: that count as ready.
        seconds: for one answer.
    """
    import http.client
    from urllib.parse import urlsplit

    asked = urlsplit(url)
    ways = [("http", address), (asked.scheme, asked.netloc)]
    if asked.scheme == "https":  # the color itself may speak TLS; whether its certificate is trusted is not asked here
        ways.insert(1, ("https", address))
    seen: list[str] = []
    answered = ""
    for scheme, place in ways:
        if answered and place != address:
            break
        try:
            code = _status(scheme, place, asked, seconds, trusting=place == address)
        except (OSError, http.client.HTTPException, ValueError) as error:
            seen.append(f"{place}: {reason(error, seconds)}")
            continue
        if code in status:
            return ""
        answered = f"{place} answered {code}"
    return answered or "; ".join(dict.fromkeys(seen))


def _status(scheme: str, place: str, asked: Any, seconds: float, trusting: bool) -> int:
    """The status that a GET is answered with; a redirect is an answer.

    Raises:
        OSError, http.client.HTTPException: there is none.
        ValueError: no port in `place`.
    """
    import http.client
    import ssl
    from urllib.parse import urlsplit

    split = urlsplit("//" + place)
    host, port = split.hostname or "", split.port
    connection: http.client.HTTPConnection
    if scheme == "https":
        context = ssl.create_default_context()
        if trusting:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
    path = (asked.path or "/") + ("?" + asked.query if asked.query else "")
    try:
        # Userinfo of a URL is no part of Host.
        named = asked.netloc.rpartition("@")[2]
        connection.request("GET", path, headers={"Host": named, "User-Agent": "pyrunbook", "Connection": "close"})
        return connection.getresponse().status
    finally:
        connection.close()
