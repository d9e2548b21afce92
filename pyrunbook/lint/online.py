"""Looks up on the web whether the targets of links exist. Only with `--online`."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from pyrunbook import __version__

SECONDS = 10
_AT_ONCE = 8
_GONE = (404, 410)
_NO_HEAD = (403, 405, 501)


def ask(urls: Iterable[str]) -> Callable[[str], str | None]:
    """Look up each page once; returns what is wrong with a URL, `None` where nothing is or where it cannot be told.

    A page that wants a login, or whose server is overloaded, exists.
    """
    pages = sorted({_page(url) for url in urls if urlsplit(url).scheme in ("http", "https")})
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = dict(zip(pages, pool.map(_answer, pages), strict=True))
    return lambda url: answers.get(_page(url))


def _page(url: str) -> str:
    return url.partition("#")[0]


def _answer(url: str) -> str | None:
    said = _try(url, "HEAD")
    if said in (*_NO_HEAD, *_GONE):  # not every server answers a HEAD as it answers a GET
        said = _try(url, "GET")
    return said if isinstance(said, str) else None


def _try(url: str, method: str) -> str | int | None:
    request = urllib.request.Request(url, method=method, headers={"User-Agent": f"pyrunbook/{__version__}"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310 - http and https alone are asked
            return None
    except urllib.error.HTTPError as error:
        if error.code in _GONE and method == "GET":
            return f"answers {error.code}"
        return error.code if method == "HEAD" else None
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, socket.gaierror):
            return "names a host that does not exist"
        return f"does not answer: {getattr(reason, 'strerror', None) or reason}"
    except (OSError, ValueError) as error:
        return f"does not answer: {error}"
