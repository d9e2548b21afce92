"""What an update needs of the machine of a service, checked before anything is changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from .permissions import Obstacle, account, certificate, forbidden, not_writable
from .slots import COLORS, Slots
from .units import Systemd

TIMEOUT = 10.0
"""Seconds that the maintenance address may take to answer."""
RESERVE = 1 << 20
"""Bytes that the rest of a run writes at most: lock, plan, links."""


def rights(slots: Slots) -> list[Obstacle]:
    """The commands of the service manager that a run may need, and may not call.

    supervisorctl has one right, the use of its socket, by which the state was read.
    """
    if not isinstance(slots.manager, Systemd):
        return []
    commands = slots.manager.commands(*(slots.colors[color]["unit"] for color in COLORS))
    return forbidden(commands, "allow them, as docs/host/sudoers does; then: visudo -c")


def directories(slots: Slots) -> list[Obstacle]:
    """Directories and files of pyrunbook's own below the service's root that cannot be written."""
    names = ["state", "state/plans", "state/backups", "state/slots.guard", "proxy"]
    names += [f"slots/{color}" for color in COLORS]
    return not_writable(*(os.path.join(slots.root, name) for name in names))


def backup(root: str, parts: Sequence[str]) -> list[Obstacle]:
    """What of a backup cannot be read, and too little space for it, its trial restore and a restore of a rollback.

    Args:
        root: the service's root directory.
        parts: files and directories below it; none when the run makes no backup.
    """
    if not parts:
        return []
    size, unreadable = 0, []
    for path, error in _below(root, parts):
        if error or not os.access(path, os.R_OK, follow_symlinks=False):
            unreadable.append(path)
            continue
        try:
            size += os.lstat(path).st_size
        except FileNotFoundError:  # the service's own, gone meanwhile
            continue
    found = []
    if unreadable:
        more = f" and {len(unreadable) - 3} more" if len(unreadable) > 3 else ""
        seen = "{} may not read {}{} for the backup".format(account(), ", ".join(unreadable[:3]), more)
        found.append(Obstacle(seen, f"give {account()} the group that may read it, or leave it out (backup_parts)"))
    state = os.path.join(root, "state", "backups")
    while not os.path.isdir(state):
        state = os.path.dirname(state)
    found += _space(state, 2 * size, "the backup of {} and the copy that proves it".format(", ".join(parts)))
    if os.stat(state).st_dev != os.stat(root).st_dev:
        found += _space(root, size, "what a rollback would restore from the backup")
    return found


def _below(root: str, parts: Sequence[str]) -> Iterator[tuple[str, OSError | None]]:
    """Each file of the parts; and each directory that cannot be listed, with the error."""
    for part in parts:
        top = os.path.join(root, part)
        errors: list[OSError] = []
        if os.path.islink(top) or os.path.isfile(top):
            yield top, None
            continue
        for directory, _, names in os.walk(top, onerror=errors.append):
            for name in names:
                yield os.path.join(directory, name), None
        for error in errors:
            if not isinstance(error, FileNotFoundError):  # a part that does not exist is left out of the backup
                yield str(error.filename), error


def _space(path: str, needed: int, what: str) -> list[Obstacle]:
    of = os.statvfs(path)
    free = (of.f_bavail if os.geteuid() else of.f_bfree) * of.f_frsize
    if free >= needed + RESERVE:
        return []
    seen = f"{path} has {free} bytes free for {account()}; up to {needed + RESERVE} are needed for {what}"
    return [Obstacle(seen, f"free some: df -h {path}; or leave out what is backed up elsewhere (backup_parts)")]


def strangers(slots: Slots) -> list[Obstacle]:
    """Addresses of a color that another program listens on: it would get the color's traffic."""
    return [
        Obstacle(
            "{} (service_colors.{}.address): something accepts connections, and it is not {}, whose unit {} does not "
            "run".format(slots.colors[color]["address"], color, color, slots.colors[color]["unit"]),
            "see what it is: ss -ltnp; end it, or correct the address",
        )
        for color in COLORS
        if not slots.silence(color) and not slots.manager.running(slots.colors[color]["unit"])
    ]


def maintenance(address: str, host: str) -> list[Obstacle]:
    """Whether clients will get 503 while no color serves.

    Args:
        address: host:port of `service_maintenance_address`.
        host: the name that clients ask for, as in their Host header.
    """
    import http.client

    name, _, port = address.rpartition(":")
    try:
        connection = http.client.HTTPConnection(name.strip("[]"), int(port), timeout=TIMEOUT)
        try:
            connection.request("GET", "/", headers={"Host": host, "Connection": "close"})
            answer = connection.getresponse()
            empty = "" if answer.read(1) else " with an empty body"
            seen = "" if answer.status == 503 else f"answers {answer.status}{empty}"
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        seen = f"gives no answer ({getattr(error, 'strerror', None) or error})"
    if not seen:
        return []
    return [
        Obstacle(
            f"{address or 'nothing'} (service_maintenance_address), asked for {host}, {seen}; while no color serves, "
            "clients have to be told 503",
            "have the proxy answer 503 there to every name, as docs/host/Caddyfile does",
        )
    ]


def of_update(
    slots: Slots,
    parts: Sequence[str],
    maintenance_address: str | None,
    host: str,
    certificates: Sequence[dict[str, Any]],
) -> list[Obstacle]:
    """All obstacles to an update.

    Args:
        parts: what is backed up, see `backup`.
        maintenance_address: what has to answer while no color serves; `None` where a color always does.
        certificates: those of `service_certificates` whose rotation is checked too.

    Raises:
        SlotError, UnitError: the slots cannot be read.
    """
    found = [*rights(slots), *directories(slots), *backup(slots.root, parts), *strangers(slots)]
    if maintenance_address is not None:
        found += maintenance(maintenance_address, host)
    for each in certificates:
        owner, group = str(each.get("owner") or ""), str(each.get("group") or "")
        found += certificate(each["directory"], owner, group, each.get("reload") or [])
    return found
