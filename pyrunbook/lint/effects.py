"""What a command does to the world, as far as its name and arguments tell. What is not known here counts as reading."""

from __future__ import annotations

import re
from collections.abc import Callable

from pyrunbook.lint.script import Invocation


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KUBECTL = (
    "annotate apply autoscale cordon create delete drain edit expose label patch replace rollout run scale set "
    "taint uncordon"
)
_CHANGES = {
    "kubectl": _KUBECTL,
    "oc": f"{_KUBECTL} adm new-app new-project process rsh start-build",
    "helm": "install upgrade rollback uninstall delete",
    "systemctl": "start stop restart reload enable disable mask unmask kill isolate set-property daemon-reload",
    "supervisorctl": "start stop restart reload update add remove reread",
    "terraform": "apply destroy import taint",
    "tofu": "apply destroy import taint",
    "docker": "run start stop restart rm rmi kill update push",
    "podman": "run start stop restart rm rmi kill update push",
    "crictl": "rm rmi rmp stop stopp",
    "git": "push tag reset clean commit merge rebase revert",
    "vault": "write delete",
    "bao": "write delete",
    "pyrunbook": "run maintenance rollback recover",
    "restic": "backup forget prune restore",
    "etcdctl": "put del move-leader defrag",
    "redis-cli": "set del flushall flushdb",
    "npm": "install publish",
    "apt-get": "install remove upgrade purge dist-upgrade",
    "apt": "install remove upgrade purge",
    "yum": "install remove update",
    "dnf": "install remove update",
    "pip": "install uninstall",
}
"""Programs with those of their sub-commands that change something."""
_SECOND = {
    "kubectl rollout": "restart undo pause resume",
    "oc rollout": "restart undo pause resume latest cancel",
    "oc adm": "drain cordon uncordon taint upgrade policy prune",
    "docker compose": "up down restart stop start rm kill pull",
    "vault kv": "put delete patch destroy",
    "vault operator": "unseal seal init rekey step-down",
    "bao kv": "put delete patch destroy",
    "bao operator": "unseal seal init rekey step-down",
    "ceph osd": "set unset out in down rm purge destroy reweight crush pool",
    "ceph config": "set rm",
    "ceph mgr": "fail module",
}
"""Sub-commands of which only some uses change something, with the words behind them."""
_ALWAYS = _words(
    "rm mv ln dd mkfs truncate kill pkill killall tee rsync unlink reboot shutdown poweroff chmod chown umount "
    "pg_restore crontab sysctl nft"
)
_CANNOT_FAIL = _words("echo printf true : sleep date clear set export unset history wait")
_SQL = _words("psql mysql mariadb sqlite3 sqlcmd clickhouse-client cockroach")
_SQL_CHANGES = re.compile(
    r"\b(insert\s+into|update\s+\S+\s+set|delete\s+from|drop|truncate|alter|create|grant|revoke)\b", re.IGNORECASE
)
_VALUED = _words("-n --namespace --context --kubeconfig -c --cluster -f --host -H -h -p -C -u --as")
_ONLY_LOOKS = _words("--check --syntax-check --list-tasks --list-hosts --list-tags")
_SCRATCH = ("/tmp/", "/var/tmp/", "$TMPDIR", "${TMPDIR")  # noqa: S108 - looked for, not written to
"""What is deleted there was made for the moment."""
_CALLING_A_PROGRAM = _words("rm mv chmod chown sed truncate shred unlink")


def changes(command: Invocation) -> bool:
    """Whether it changes something."""
    texts = command.texts
    if any(word.startswith("--dry-run") and word != "--dry-run=none" for word in texts):
        return False
    name, verb = command.program, verb_of(command)
    if name in _SPECIAL:
        return _SPECIAL[name](command)
    if name in _SQL:
        return _SQL_CHANGES.search(" ".join((*texts, command.given))) is not None
    if f"{name} {verb}" in _SECOND:
        return after(command, verb) in _SECOND[f"{name} {verb}"].split()
    return name in _ALWAYS or verb in _CHANGES.get(name, "").split()


def needs_a_way_back(command: Invocation) -> bool:
    """Whether it leaves a state that was not there, so that a reader must know how to go back.

    A restart, or a pod that is deleted and made again, is over when it is done; a release or a scale stays.
    """
    if not changes(command):
        return False
    name, verb = command.program, verb_of(command)
    if name in ("kubectl", "oc"):
        if verb == "rollout":
            return after(command, verb) in ("pause", "latest")
        if verb == "delete":
            return re.match(r"(pods?|po|jobs?|events?|csr)\b", after(command, verb)) is None
        return verb not in ("create", "expose", "run", "rsh", "process", "start-build")
    if name == "systemctl":
        return verb in ("stop", "disable", "mask")
    if name == "supervisorctl":
        return verb in ("stop", "remove")
    if name == "helm":
        return verb != "rollback"
    if name == "rm":  # a file or two may be the step's own; a tree is not
        return takes_a_tree(command) and not all(word.startswith(_SCRATCH) for word in command.operands)
    return name in ("terraform", "tofu", "mv", "sed", "sysctl", "iptables", "nft") or name in _SQL


def takes_a_tree(command: Invocation) -> bool:
    """Whether it goes down into directories."""
    return command.has(r"-\w*[rR]|--recursive")


def can_fail(command: Invocation) -> bool:
    """Whether it matters that it failed: an `echo` does not."""
    return command.program not in _CANNOT_FAIL


def verb_of(command: Invocation) -> str:
    """The sub-command: the first word that is neither an option nor the value of one."""
    words = command.texts
    position = 0
    while position < len(words):
        if not words[position].startswith("-"):
            return words[position].lower()
        position += 2 if words[position] in _VALUED else 1
    return ""


def after(command: Invocation, word: str) -> str:
    """The word behind a sub-command, options left out."""
    words = command.operands
    return words[words.index(word) + 1] if word in words[:-1] else ""


def _find(command: Invocation) -> bool:
    words = command.texts
    started = {words[at + 1].rpartition("/")[2] for at, w in enumerate(words[:-1]) if w in ("-exec", "-execdir")}
    return "-delete" in words or bool(started & _CALLING_A_PROGRAM)


def _git(command: Invocation) -> bool:
    listing = verb_of(command) == "tag" and (command.texts == ("tag",) or {"-l", "--list"} & set(command.texts))
    return not listing and verb_of(command) in _CHANGES["git"].split()


def _sends(command: Invocation) -> bool:
    words = (*command.texts, "")
    for at, word in enumerate(words):
        method = word[2:] if re.match(r"-X.", word) else words[at + 1] if word in ("-X", "--request") else ""
        if method:
            return method.strip("=").upper() not in ("GET", "HEAD", "OPTIONS")
    return False


_AWS = re.compile(r"(delete|create|put|update|modify|terminate|reboot|stop|start|rm|mv|sync|cp)\b")
_SPECIAL: dict[str, Callable[[Invocation], bool]] = {
    "tee": lambda command: any(not word.startswith(("-", "/dev/")) for word in command.texts),
    "find": _find,
    "sed": lambda command: command.has(r"-[a-zA-Z]*i|--in-place"),
    "iptables": lambda command: not command.has(r"-\w*[LS]|--list"),
    "mount": lambda command: bool(command.texts),
    "git": _git,
    "curl": _sends,
    "wget": _sends,
    "service": lambda command: any(word in ("start", "stop", "restart", "reload") for word in command.texts[1:2]),
    "aws": lambda command: any(map(_AWS.match, command.texts[1:2])),
    "ansible-playbook": lambda command: not _ONLY_LOOKS & set(command.texts),
}
