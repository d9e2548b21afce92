"""What the user that we are on a machine may do there: call commands, write to files, give them to others.

Nothing is done for a try: the system is asked.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import subprocess

TIMEOUT = 10.0
"""Seconds that sudo may take for one answer."""


class Obstacle(NamedTuple):
    """An obstacle to a run: one line that says what was seen, and one that says how to remove it."""

    seen: str
    next_step: str


def account() -> str:
    """The user that modules run as on this machine."""
    return _name(os.geteuid(), True)


def _name(number: int, user: bool) -> str:
    try:
        return pwd.getpwuid(number).pw_name if user else grp.getgrgid(number).gr_name
    except KeyError:  # no entry
        return str(number)


def forbidden(commands: list[list[str]], next_step: str) -> list[Obstacle]:
    """Commands through sudo that it would not run for us without a password, in one obstacle."""
    import subprocess

    asked = [argv for argv in commands if os.path.basename(argv[0]) == "sudo"]
    # All at once: one after the other they would take half a second.
    try:
        looks = [(argv, _look([argv[0], "-n", "-l", *argv[1:]])) for argv in asked]
    except OSError as error:
        return [Obstacle(f"{asked[0][0]}: {error.strerror}", "install sudo, or correct service_systemctl_command")]
    refused, words = [], ""
    for argv, look in looks:
        try:
            said = look.communicate(timeout=TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            look.kill()
            said = f"no answer within {TIMEOUT:g} s"
        if look.returncode != 0:
            refused.append(" ".join(argv))
            words = said.strip().splitlines()[-1] if said.strip() else words
    if not refused:
        return []
    why = f" ({words})" if words else ""
    return [Obstacle("sudo does not let {} call {}{}".format(account(), ", ".join(refused), why), next_step)]


def _look(argv: list[str]) -> subprocess.Popen[str]:
    import subprocess

    quiet = subprocess.DEVNULL
    return subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=subprocess.PIPE, text=True)


def not_writable(*paths: str) -> list[Obstacle]:
    """Those of the paths where nothing can be written; of one that is missing, where it would be made."""
    found: dict[str, Obstacle] = {}
    for path in paths:
        while not os.path.lexists(path) and path != "/":
            path = os.path.dirname(path)
        if any(path.startswith(above + "/") for above in found):
            continue
        wanted = os.W_OK | os.X_OK if os.path.isdir(path) else os.W_OK
        if os.access(path, wanted):
            continue
        status = os.stat(path)
        owner = f"{stat.filemode(status.st_mode)} {_name(status.st_uid, True)}:{_name(status.st_gid, False)}"
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            found[path] = Obstacle(
                f"{path} is on a file system that is mounted read-only", f"mount it writable: findmnt -T {path}"
            )
        elif os.geteuid() == 0 or (os.geteuid() == status.st_uid and status.st_mode & wanted << 6 == wanted << 6):
            found[path] = Obstacle(
                f"{account()} may not write to {path}, although its owner and mode allow it ({owner})",
                f"look for the attribute i (immutable): lsattr -d {path}; take it away: chattr -i {path}",
            )
        else:
            found[path] = Obstacle(f"{account()} may not write to {path} ({owner})", f"chown {account()} {path}")
    return list(found.values())


class Unknown(Exception):
    """There is no user or group of a name."""


def identities(owner: str, group: str) -> tuple[int, int]:
    """The ids of a user and a group given by name or id; -1 where none is given.

    Raises:
        Unknown: there is none of that name.
    """
    try:
        user = -1 if not owner else int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise Unknown(f"there is no user {owner!r} on this machine") from None
    try:
        return user, -1 if not group else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise Unknown(f"there is no group {group!r} on this machine") from None


def certificate(directory: str, owner: str, group: str, reload: list[str]) -> list[Obstacle]:
    """The obstacles to a new pair in a directory, its key for the server's user, and a reload of the server.

    Args:
        owner: name or id of the user that the key is given to; empty: ours.
        group: of the group; empty: ours.
        reload: the command that has the server read the pair again; may be empty.
    """
    import shutil

    us, root = account(), os.geteuid() == 0
    try:
        user, members = identities(owner, group)
    except Unknown as error:
        return [Obstacle(str(error), "add it, or correct owner and group in service_certificates")]
    found = not_writable(directory, *(os.path.join(directory, name) for name in ("versions", "staging")))
    if user not in (-1, os.geteuid()) and not root:
        seen = f"{us} may not give the key in {directory} to the user {_name(user, True)}: only root may"
        found.append(Obstacle(seen, "leave owner away, and let the server read the key by a group"))
    if members not in (-1, os.getegid(), *os.getgroups()) and not root:
        name = _name(members, False)
        seen = f"{us} may not give the key in {directory} to the group {name}, being no member of it"
        found.append(Obstacle(seen, f"usermod -aG {name} {us}"))
    if reload and not shutil.which(reload[0]):
        seen = f"{us} finds no program {reload[0]}, by which the server is reloaded"
        found.append(Obstacle(seen, "name it with its path in reload (service_certificates)"))
    elif reload:
        found += forbidden([reload], "allow it in /etc/sudoers.d; then: visudo -c")
    return found
