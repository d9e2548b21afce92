"""A certificate and its key on disk: staged beside, deployed in one move, kept, put back.

    current -> versions/<version>         what the server reads: current/certificate.pem and current/key.pem
    versions/<version>/certificate.pem    the leaf, then its chain
    versions/<version>/key.pem            0600, or what the service needs
    staging/<version>/                    0700: a pair that is being written
    rotation.json                         how far a rotation has come; absent between two rotations
    retired.json                          versions that are no longer deployed and have yet to be revoked
    lock                                  held while any of it changes

A version is complete and on the disk before `current` names it, and never changes afterwards; `current` changes by one
rename. So there is no moment, also after a crash, at which a new certificate is beside an old key. A server that
opens both files while the link moves could still read one of each: servers read them when they reload,
and that happens after the move; one that reads them at another moment sees that they do not match and keeps what it
has (Caddy, nginx and HAProxy do).

What was being done is written to `rotation.json` before it is done, so that whoever comes after a killed process knows
which way it was going (`standing`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from typing import Any

from . import durable
from . import rotation_state as state
from .certificate_look import mismatch
from .rotation_state import (
    ACTIVATED,
    ACTIVATING,
    CERTIFICATE,
    FORWARD,
    KEY,
    PROVEN,
    PUT_BACK,
    PUTTING_BACK,
    RELOADED,
    STAGED,
    STAGING,
    PairError,
    standing,
)

MARKS = {RELOADED: ACTIVATED, PROVEN: RELOADED}
"""Steps that happen elsewhere and are only marked here, each with the one that must come before."""
VERSION = re.compile(r"[0-9a-z][0-9a-z._-]{0,79}")


def stage(
    directory: str,
    run: str,
    version: str,
    certificate: bytes,
    key: bytes,
    owner: int = -1,
    group: int = -1,
    key_mode: int = 0o600,
    about: dict[str, Any] | None = None,
) -> bool:
    """Write a new pair beside the deployed one; nothing that serves changes.

    Args:
        directory: of the pair; created when it is missing.
        run: id of the run that rotates.
        version: name of the new version: the serial of its certificate.
        certificate: PEM, the leaf and its chain.
        key: PEM.
        owner: user id that the server reads as; -1: the caller.
        group: group id; -1: the caller's.
        key_mode: permission bits of the key, 0600 or 0640 (for a group).
        about: JSON-able facts to keep in `rotation.json`; no secrets.

    Returns:
        whether anything changed: False when this run has staged or deployed this version already.

    Raises:
        PairError: another rotation is under way, the version exists, or the arguments make no sense.
        OSError: it could not be written; nothing that serves has changed.
    """
    if not VERSION.fullmatch(version):
        raise PairError(f"{version!r} is not a name for a version")
    if key_mode not in (0o600, 0o400, 0o640, 0o440):
        raise PairError(f"mode {key_mode:04o} opens the key to more than its owner and a group")
    for path in (directory.rstrip("/"), os.path.join(directory, "versions"), os.path.join(directory, "staging")):
        _own_directory(path)
    with _locked(directory):
        rotation = state.rotation(directory)
        if rotation is not None and (rotation["run"], rotation["new"]) == (run, version):
            if rotation["step"] != STAGING:
                return False
            shutil.rmtree(os.path.join(directory, "versions", version), ignore_errors=True)
        elif rotation is not None:
            raise PairError(standing(directory)["seen"])
        elif version in state.versions(directory):
            raise PairError(f"version {version} exists already in {directory}")
        _clear(os.path.join(directory, "staging"))
        begun = {
            "run": run,
            "new": version,
            "previous": state.linked(directory),
            "since": state.now(),
            "about": about or {},
        }
        state.write(directory, dict(begun, step=STAGING))
        place = os.path.join(directory, "staging", version)
        os.mkdir(place, 0o700)
        _create(os.path.join(place, CERTIFICATE), certificate, 0o644, owner, group)
        _create(os.path.join(place, KEY), key, key_mode, owner, group)
        if (owner, group) != (-1, -1):
            os.chown(place, owner, group)
        os.chmod(place, 0o750 if key_mode & 0o040 else 0o700)
        durable.sync_directory(place)
        os.rename(place, os.path.join(directory, "versions", version))
        durable.sync_directory(os.path.join(directory, "versions"))
        durable.sync_directory(os.path.join(directory, "staging"))
        state.write(directory, dict(begun, step=STAGED))
    return True


def reinstate(directory: str, run: str, version: str, undoes: str = "", about: dict[str, Any] | None = None) -> bool:
    """Begin a rotation to a version that was deployed before and is still kept, as if it had been staged.

    Args:
        directory: of the pair.
        run: id of the run that goes back.
        version: to deploy again.
        undoes: the run that this rotation undoes.
        about: as of `stage`.

    Returns:
        whether anything changed.

    Raises:
        PairError: another rotation is under way, or the version is not one that was replaced and has yet to be
            revoked: a revoked certificate would be refused by clients.
    """
    with _locked(directory):
        rotation = state.rotation(directory)
        if rotation is not None:
            if (rotation["run"], rotation["new"]) == (run, version):
                return False
            raise PairError(standing(directory)["seen"])
        kept = [each["version"] for each in state.retired(directory) if each["version"] in state.versions(directory)]
        if version not in kept:
            raise PairError(
                "version {} was revoked or is not kept; there are: {}".format(version, ", ".join(kept) or "none")
            )
        begun = {
            "run": run,
            "new": version,
            "previous": state.linked(directory),
            "since": state.now(),
            "about": about or {},
            "kept": True,
            "undoes": undoes,
        }
        state.write(directory, dict(begun, step=STAGED))
    return True


def take_over(directory: str, run: str, by: str) -> bool:
    """Make what `run` has staged the rotation of another run, which deploys it and is the one to put it back.

    Returns:
        whether anything changed.

    Raises:
        PairError: nothing is staged by `run`, or it has gone further already.
    """
    with _locked(directory):
        rotation = state.rotation(directory)
        if rotation is not None and rotation["run"] == by:
            return False
        rotation = _of_run(directory, run)
        if rotation["step"] != STAGED:
            raise PairError(standing(directory)["seen"])
        state.write(directory, dict(rotation, run=by))
    return True


def activate(directory: str, run: str) -> bool:
    """Deploy what `run` has staged: one rename of `current`. The server does not know yet.

    Returns:
        whether anything changed.

    Raises:
        PairError: nothing is staged by this run, it goes back already, or something else changed `current`.
    """
    with _locked(directory):
        rotation = _of_run(directory, run)
        if rotation["step"] not in FORWARD[1:]:
            raise PairError(standing(directory)["seen"])
        problem = mismatch(os.path.join(directory, "versions", rotation["new"]))
        if problem:
            raise PairError("version {}: {}".format(rotation["new"], problem))
        current = state.linked(directory)
        if current == rotation["new"]:
            if rotation["step"] in (STAGED, ACTIVATING):
                state.write(directory, dict(rotation, step=ACTIVATED))
            return False
        _expect(directory, current, rotation["previous"])
        state.write(directory, dict(rotation, step=ACTIVATING))
        durable.link(os.path.join(directory, "current"), os.path.join("versions", rotation["new"]))
        state.write(directory, dict(rotation, step=ACTIVATED))
    return True


def mark(directory: str, run: str, step: str) -> bool:
    """Note that the server was reloaded (`reloaded`), or that the new certificate was seen served (`proven`).

    Returns:
        whether anything changed.

    Raises:
        PairError: the steps before it have not happened.
    """
    with _locked(directory):
        rotation = _of_run(directory, run)
        if rotation["step"] == step:
            return False
        if rotation["step"] != MARKS.get(step) or state.linked(directory) != rotation["new"]:
            raise PairError(standing(directory)["seen"])
        state.write(directory, dict(rotation, step=step))
    return True


def put_back(directory: str, run: str) -> bool:
    """Deploy again what was deployed before `run`; where there was nothing, take `current` away.

    Reload the server and check what it serves; then `conclude`.

    Returns:
        whether `current` changed.

    Raises:
        PairError: there is no rotation of this run, or something else changed `current`.
    """
    with _locked(directory):
        rotation = _of_run(directory, run)
        current = state.linked(directory)
        if current and current != rotation["previous"]:
            _expect(directory, current, rotation["new"])
        state.write(directory, dict(rotation, step=PUTTING_BACK))
        link = os.path.join(directory, "current")
        if current != rotation["previous"] and rotation["previous"]:
            durable.link(link, os.path.join("versions", rotation["previous"]))
        elif current != rotation["previous"]:
            os.unlink(link)
            durable.sync_directory(directory)
        state.write(directory, dict(rotation, step=PUT_BACK))
    return bool(current != rotation["previous"])


def conclude(directory: str, run: str) -> list[str]:
    """End the rotation: after `proven` the previous pair is kept, after `put_back` the new one is removed.

    Returns:
        the versions that were removed. One that has yet to be revoked stays (`rotation_state.retired`): it can still
        be reinstated, and its certificate is needed to ask whether it is revoked.

    Raises:
        PairError: the rotation has come to neither end.
    """
    with _locked(directory):
        rotation = state.rotation(directory)
        if rotation is None:
            return []
        rotation = _of_run(directory, run)
        if rotation["step"] not in (PROVEN, PUT_BACK):
            raise PairError(standing(directory)["seen"])
        current = state.linked(directory)
        _expect(directory, current, rotation["previous"] if rotation["step"] == PUT_BACK else rotation["new"])
        waiting, removed = state.ended(rotation, current, state.versions(directory), state.retired(directory))
        state.write_retired(directory, waiting)
        for name in removed:
            shutil.rmtree(os.path.join(directory, "versions", name))
        _clear(os.path.join(directory, "staging"))
        durable.sync_directory(os.path.join(directory, "versions"))
        os.unlink(os.path.join(directory, "rotation.json"))
        durable.sync_directory(directory)
    return removed


def settle(directory: str, version: str) -> bool:
    """Note that a retired version has been revoked, or has expired. The next rotation may remove its files.

    Returns:
        whether anything changed.
    """
    with _locked(directory):
        waiting = state.retired(directory)
        left = [each for each in waiting if each["version"] != version]
        if left != waiting:
            state.write_retired(directory, left)
    return left != waiting


# --- parts ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _own_directory(path: str) -> None:
    """Make a directory in which only the caller can move things; one that others may write to is refused."""
    if not os.path.isdir(path):
        os.makedirs(path, 0o755)
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode) or status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
        raise PairError(f"{path} is a link, or others may write to it: keys are not put there")


def _create(path: str, content: bytes, mode: int, owner: int, group: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        if (owner, group) != (-1, -1):
            os.fchown(stream.fileno(), owner, group)
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())


def _clear(directory: str) -> None:
    for name in os.listdir(directory):
        shutil.rmtree(os.path.join(directory, name))


def _of_run(directory: str, run: str) -> dict[str, Any]:
    rotation = state.rotation(directory)
    if rotation is None:
        raise PairError(f"run {run} has begun no rotation in {directory}")
    if rotation["run"] != run:
        raise PairError("run {} is no part of this: {}".format(run, standing(directory)["seen"]))
    return rotation


def _expect(directory: str, current: str, wanted: str) -> None:
    if current != wanted:
        raise PairError(
            "{}: {} is deployed where {} was expected; something else has changed it".format(
                directory, current or "nothing", wanted or "nothing"
            )
        )
