"""Reads a pair on disk and how far its rotation has come, as plain data. Private keys stay on the machine."""

from __future__ import annotations

import os
import ssl
import stat
from typing import Any

from . import rotation_state as state
from .rotation_state import CERTIFICATE, KEY

_LARGEST = 1 << 20


def look(directory: str, key_mode: int = 0o600) -> dict[str, Any]:
    """Everything that decides what may be done next.

    Args:
        directory: of the pair, see `certificate_pair`; one that is missing holds nothing.
        key_mode: permission bits that a key may have.

    Returns:
        `standing` and `retired`: see `rotation_state`. `pairs`: by version, of each that is complete: `certificate`
        (PEM, the leaf and its chain; empty where it cannot be read), `matches` (whether the key belongs to it; None
        where that could not be seen), `problem` (why a part cannot be read, or is open to others; empty: nothing is).

    Raises:
        PairError: the state of the rotation cannot be read.
        OSError: the directory cannot be read.
    """
    standing = state.standing(directory)
    pairs = {name: _pair(os.path.join(directory, "versions", name), key_mode) for name in standing["versions"]}
    current = standing["current"]
    if current and current not in pairs:
        pairs[current] = _pair(os.path.join(directory, "versions", current), key_mode)
    return {"standing": standing, "retired": state.retired(directory), "pairs": pairs}


def mismatch(place: str) -> str:
    """Why certificate and key in a directory cannot serve together; empty when they can. Needs no other library."""
    matches, problem = _match(place)
    return "the private key does not belong to the certificate" if matches is False else problem


def _pair(place: str, key_mode: int) -> dict[str, Any]:
    matches, problem = _match(place)
    certificate = ""
    try:
        with open(os.path.join(place, CERTIFICATE), encoding="ascii", errors="replace") as stream:
            certificate = stream.read(_LARGEST)
        mode = stat.S_IMODE(os.stat(os.path.join(place, KEY)).st_mode)
        if mode & ~key_mode & 0o777:
            problem = f"{os.path.join(place, KEY)} has mode {mode:04o}, {key_mode:04o} is the most allowed"
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    return {"certificate": certificate, "matches": matches, "problem": problem}


def _match(place: str) -> tuple[bool | None, str]:
    """Whether key and certificate belong together; None, and why, where one of them cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A password is given so that an encrypted key is an error, and not a question on the terminal.
        context.load_cert_chain(os.path.join(place, CERTIFICATE), os.path.join(place, KEY), password="-")  # noqa: S106
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return False, ""
        return None, "certificate or key cannot be read as PEM ({})".format(error.reason or "no reason given")
    except OSError as error:
        return None, f"certificate or key cannot be read: {error.strerror}"
    return True, ""
