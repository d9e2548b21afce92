"""Blocks of code: whether they are shell, and which of their lines are typed, where output is mixed in."""

from __future__ import annotations

import re
from collections.abc import Iterator

SHELLS = ("bash", "sh", "shell", "zsh", "console", "shell-session", "shellsession", "terminal", "shellscript")
SESSIONS = ("console", "shell-session", "shellsession", "terminal")
"""Languages of blocks that show prompts and output."""
PROMPT = re.compile(r"[ \t]*(?:\[[\w.@~: -]+\]|[\w.-]+@[\w.-]+[:\w/~.-]*)?\$[ \t]+(?=\S)")
_PROGRAMS = frozenset({
    "ansible", "ansible-playbook", "apt", "apt-get", "aws", "az", "bash", "brew", "cat", "cd", "chmod", "chown",
    "cp", "curl", "date", "df", "dig", "dnf", "docker", "docker-compose", "du", "echo", "etcdctl", "export", "find",
    "for", "gcloud", "git", "grep", "gunzip", "gzip", "helm", "head", "hostname", "if", "ip", "jq", "journalctl",
    "kill", "kubeadm", "kubectl", "kustomize", "less", "ln", "ls", "lsof", "make", "mkdir", "mongosh", "mount",
    "mv", "mysql", "mysqldump", "nc", "netstat", "nslookup", "npm", "oc", "openssl", "pg_dump", "ping", "pip",
    "podman", "promtool", "ps", "psql", "pyrunbook", "python", "python3", "redis-cli", "restic", "rm", "rsync",
    "scp", "sed", "service", "set", "sh", "skopeo", "source", "ss", "ssh", "stat", "sudo", "supervisorctl",
    "systemctl", "tail", "tar", "tee", "telnet", "terraform", "top", "touch", "traceroute", "umount", "uptime",
    "vault", "vi", "vim", "wc", "wget", "while", "yum", "zgrep",
})  # fmt: skip


def looks_like_shell(text: str) -> bool:
    """Whether a block that does not say what it is begins with a prompt or a program that everybody knows."""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if PROMPT.match(line):
            return True
        words = line.split()
        # "make sure that …" and "find the pod" are sentences: a command has a word that no sentence has, or one only.
        shaped = len(words) == 1 or any(re.search(r"^-|[/=.$|_'\"<{]|^\d+$", word) for word in words[1:])
        return words[0].lower() == words[0] and words[0] in _PROGRAMS and (shaped or words[0] in _TWO_WORDS)
    return False


_TWO_WORDS = ("kubectl", "oc", "git", "docker", "helm", "systemctl", "vault", "pyrunbook", "sudo", "npm", "terraform")


def typed_in(text: str, language: str) -> Iterator[tuple[int, int, str]]:
    """The lines that are typed in: row and column in the block, counting from 0, and the line without its prompt.

    Where a line has a prompt, only such lines, and those that they are continued in, are typed; the rest is output.
    """
    lines = text.rstrip("\n").split("\n")
    prompted = any(PROMPT.match(line) for line in lines)
    if not prompted:
        if language not in SESSIONS:
            yield from ((row, 0, line) for row, line in enumerate(lines))
        return
    goes_on = False
    until = ""
    for row, line in enumerate(lines):
        prompt = PROMPT.match(line)
        if prompt and not until:
            typed, column = line[prompt.end() :], prompt.end()
        elif goes_on or until:
            typed, column = line, 0
        else:
            continue
        if until and line.strip() == until:
            until = ""
        heredoc = re.search(r"<<-?\s*['\"]?(\w+)['\"]?", typed) if not until else None
        until = heredoc[1] if heredoc else until
        goes_on = typed.endswith("\\")
        yield row, column, typed
