"""Look at a certificate and its key, or make one move of their rotation."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any

from .. import certificate_look, certificate_pair, permissions
from ..rotation_state import PairError
from . import CallFailed

SMALL = ("PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""What a reload command gets of the environment: enough to find its program and its user's service manager."""


class _ReloadFailed(Exception):
    """The reload command did not succeed."""


MOVES = {
    "stage": ("run", "version", "certificate", "key", "about"),
    "take_over": ("run", "by"),
    "activate": ("run",),
    "mark": ("run", "step"),
    "put_back": ("run",),
    "conclude": ("run",),
    "reinstate": ("run", "version", "undoes", "about"),
    "settle": ("version",),
}
"""The moves of `rotation_moves.RotatingPair`, with the options that are their arguments."""


def pair(
    directory: str,
    move: str,
    owner: str = "",
    group: str = "",
    key_mode: int = 0o600,
    argv: Sequence[str] = (),
    seconds: int = 60,
    check_mode: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """See the module `host_pair`."""
    if check_mode and move != "read":
        return {"changed": True}
    directory = directory.rstrip("/")
    try:
        if move == "read":
            held = certificate_look.look(directory, key_mode)
            return {"changed": False, "held": held, "obstacle": _obstacle(directory, owner, group, list(argv))}
        if move == "reload":
            return {"changed": True, "detail": _reload(list(argv), seconds)}
        user, owners = permissions.identities(owner, group)
        rotating = certificate_pair.PairInDirectory(directory, user, owners, key_mode)
        given = {name: options[name] for name in MOVES[move] if name in options}
        if move == "stage":
            given.update(certificate=options["certificate"].encode(), key=options["key"].encode())
        done = getattr(rotating, move)(**given)
        return {"changed": True, "removed": done} if move == "conclude" else {"changed": done}
    except _ReloadFailed as error:
        raise CallFailed(str(error), kind="reload") from error
    except (PairError, permissions.Unknown) as error:
        raise CallFailed(str(error), kind="pair") from error
    except OSError as error:
        raise CallFailed(f"{error.filename or directory}: {error.strerror}", kind="system") from error


def _obstacle(directory: str, owner: str, group: str, argv: list[str]) -> str:
    """Why no pair could be written for them here, or the server not be told of it; empty where nothing is known."""
    try:
        permissions.identities(owner, group)
    except permissions.Unknown as error:
        return str(error)
    found = permissions.certificate(directory, owner, group, argv)
    return "; ".join(f"{each.seen} ({each.next_step})" for each in found)


def _reload(argv: list[str], seconds: int) -> str:
    """Run the reload command, without a shell and without our environment.

    Raises:
        _ReloadFailed: it cannot be run, did not end in time, or ended with another code than 0.
    """
    shown = " ".join(argv)
    environment = dict({name: os.environ[name] for name in SMALL if name in os.environ}, LC_ALL="C")
    environment.setdefault("PATH", os.defpath)
    if not argv:
        raise _ReloadFailed("there is no command to reload with")
    with tempfile.TemporaryFile() as output:  # no pipe: a program that it starts and leaves running would hold it
        try:
            code = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise _ReloadFailed(f"{shown} did not end within {seconds} s") from None
        except OSError as error:
            raise _ReloadFailed(f"{shown} cannot be run: {error.strerror}") from None
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").strip().splitlines()
    if code != 0:
        said = ": " + lines[-1][-300:] if lines else ""
        raise _ReloadFailed(f"{shown} ended with {code}{said}")
    return f"{shown} ended with 0"
