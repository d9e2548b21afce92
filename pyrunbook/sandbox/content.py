"""The files of the sandbox: releases, config, data; each written whole, by rename."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from pathlib import Path

from pyrunbook.errors import BadInput, Refused
from pyrunbook.on_target import durable
from pyrunbook.sandbox import state
from pyrunbook.sandbox.layout import COLORS, Layout
from pyrunbook.sandbox.state import SandboxSettings

FAULTS: dict[str, str] = {
    "never-ready": "/ready answers 503 for ever",
    "unhealthy": "/health answers 500",
    "slow": "every request takes a second longer",
    "crash": "the process exits with 1 about a second after its start",
    "wrong-version": "/version names another version",
    "echo-errors": "3 of every 20 POST requests are answered with 500",
    "errors-behind-proxy": "500 to what comes through the proxy, fine when asked directly: fails only after the switch",
}
FIRST_VERSION = "1.0.4"
FIRST_CANDIDATE = "1.1.0"
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,63}")

_CONFIG = """\
# The Agent Factory service reads this when a color starts.

[http]
# An idle kept-alive connection is closed after this many seconds; longer than the proxy keeps one (1 s).
keepalive_seconds = 75
# After SIGTERM an idle connection stays open this long, so that the proxy is always the one to close it.
linger_seconds = 2.0
max_body_bytes = 1048576
max_work_ms = 60000
"""
_AGENTS = {
    "billing-assistant": ("support", "Answer questions about invoices.", ["ledger.read", "ticket.write"]),
    "release-notes-writer": ("writing", "Summarise merged changes for customers.", ["repository.read"]),
    "triage": ("support", "Sort incoming tickets by urgency.", ["ticket.read", "ticket.write"]),
}


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by a file with `text`: readers see the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(str(path), text.encode())


def create(layout: Layout, settings: SandboxSettings) -> None:
    """Write the first content: 1.0.4 serving in blue, 1.1.0 as candidate, green empty.

    Does nothing when it has been written whole before; continues where an interrupted attempt stopped.
    """
    if layout.complete.exists():
        return
    slots = [f"slots/{color}" for color in COLORS]
    for path in ("config", "data/templates", "logs", "proxy", "releases", "security", "state", *slots):
        (layout.root / path).mkdir(parents=True, exist_ok=True)
    write_atomically(layout.root / "config" / "agent-factory.toml", _CONFIG)
    for name, (category, task, tools) in _AGENTS.items():
        text = f'name = "{name}"\ncategory = "{category}"\ntask = "{task}"\ntools = {tools!r}\n'
        write_atomically(layout.root / "data" / "templates" / f"{name}.toml", text)
    _write_database(layout.root / "data" / "agents.db")
    for version in (FIRST_VERSION, FIRST_CANDIDATE):
        make_release(layout, version)
    slot = layout.slot("blue")
    if not slot.is_symlink():
        slot.symlink_to(Path("..", "..", "releases", FIRST_VERSION))
    write_atomically(layout.upstream, settings.addresses["blue"] + "\n")
    write_atomically(layout.complete, "")


def _write_database(path: Path) -> None:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE agents (name TEXT PRIMARY KEY, template TEXT NOT NULL)")
        connection.executemany("INSERT INTO agents VALUES (?, ?)", [(f"{name}-1", name) for name in _AGENTS])
    connection.close()


def make_release(layout: Layout, version: str, fault: str = "", *, replace: bool = False) -> bool:
    """Create `releases/<version>/` and make it the candidate.

    Args:
        layout: a sandbox that exists.
        version: letters, digits and `._+-`, at most 64.
        fault: one of `FAULTS`, or empty.
        replace: build an existing release anew.

    Returns:
        Whether a release was built; False when one just like it was there.

    Raises:
        BadInput: the version or the fault is malformed, or the release exists and differs.
        Refused: a release that a slot uses would be replaced.
    """
    if not _VERSION.fullmatch(version) or version == layout.candidate.name:
        raise BadInput(
            f"{version!r} cannot be the version of a release",
            means="A version has letters, digits, and . _ + - after the first character.",
            next_step="pyrunbook sandbox release 1.2.0",
        )
    if fault and fault not in FAULTS:
        raise BadInput(f"there is no fault {fault!r}", next_step=f"choose one of: {', '.join(FAULTS)}")
    existing = {release.version: release.fault for release in state.releases(layout)}
    build = version not in existing or replace
    if version in existing and not replace and existing[version] != fault:
        has = f"with the fault {existing[version]}" if existing[version] else "without a fault"
        raise BadInput(
            f"release {version} exists already, {has}",
            means="A release does not change once it is made.",
            next_step="use another version, or add --replace",
        )
    if build:
        users = [c for c in COLORS if layout.slot(c).resolve() == (layout.releases / version).resolve()]
        if version in existing and users:
            raise Refused(
                f"release {version} is in use by {' and '.join(users)}",
                means="Replacing it would change what serves without a deployment.",
                next_step="use another version",
            )
        _build(layout, version, fault)
    write_atomically(layout.candidate, version + "\n")
    return build


def _build(layout: Layout, version: str, fault: str) -> None:
    """Build beside, then rename into place: a release directory is never half there."""
    building = Path(tempfile.mkdtemp(dir=layout.releases, prefix=f".{version}."))
    try:
        program = building / "bin" / "agent-factory"
        program.parent.mkdir()
        shutil.copyfile(Path(__file__).with_name("agent_factory.py"), program)
        program.chmod(0o755)
        (building / "VERSION").write_text(version + "\n", encoding="utf-8")
        if fault:
            (building / "FAULT").write_text(fault + "\n", encoding="utf-8")
        building.chmod(0o755)
        target = layout.releases / version
        if target.exists():
            target.rename(building.with_name(building.name + ".old"))
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
        shutil.rmtree(building.with_name(building.name + ".old"), ignore_errors=True)
