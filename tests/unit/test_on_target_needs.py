"""What an update needs of a machine: each thing that may be missing is told with its name and what mends it."""

from __future__ import annotations

import grp
import http.server
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyrunbook.on_target import needs, permissions
from pyrunbook.on_target.permissions import Obstacle
from pyrunbook.on_target.slots import Slots
from pyrunbook.on_target.units import Systemd

SUDO = """#!/bin/sh
[ "$1 $2" = "-n -l" ] || { echo "sudo: it was to be asked only" >&2; exit 9; }
shift 2
[ "$1" != -n ] || shift
if grep -qxF "$*" "$(dirname "$0")/allowed"; then echo "$*"; exit 0; fi
[ -s "$(dirname "$0")/allowed" ] || echo "sudo: a password is required" >&2
exit 1
"""


class Manager(Systemd):
    """Units of which those in `runs` run."""

    def __init__(self, command: list[str], runs: set[str]) -> None:
        super().__init__(command)
        self.runs = runs

    def running(self, unit: str) -> bool:
        return unit in self.runs


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    """A service whose blue runs, with a sudo that allows everything."""
    root, programs = tmp_path / "srv", tmp_path / "bin"
    for name in ("state/backups", "proxy", "slots/blue", "slots/green", "config", "data/deep"):
        (root / name).mkdir(parents=True)
    (root / "data/deep/db").write_bytes(b"x" * 5000)
    (root / "config/key").symlink_to("/nowhere")
    programs.mkdir()
    (programs / "sudo").write_text(SUDO)
    (programs / "sudo").chmod(0o755)
    manager = Manager([str(programs / "sudo"), "-n", "systemctl"], {"web@blue"})
    commands = manager.commands("web@blue", "web@green")
    (programs / "allowed").write_text("".join(" ".join(argv[2:]) + "\n" for argv in commands))
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    colors = {
        color: {"address": f"127.0.0.1:{port}", "unit": f"web@{color}"}
        for color, port in zip(("blue", "green"), ports, strict=True)
    }
    service = {"root": str(root), "colors": colors, "upstream_file": str(root / "proxy/upstream")}
    return Slots(service, manager=manager)


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not root, whoever runs the tests: access as the file's mode says of others, and no group but one of its own."""
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(os, "getegid", lambda: 54321)
    monkeypatch.setattr(os, "getgroups", lambda: [54321])

    def access(path: str, mode: int, *, follow_symlinks: bool = True) -> bool:
        found = Path(path).stat(follow_symlinks=follow_symlinks)
        return bool(found.st_mode & mode == mode)

    monkeypatch.setattr(os, "access", access)


def seen(found: list[Obstacle]) -> str:
    assert all(each.next_step for each in found)
    return "\n".join(each.seen for each in found)


def test_nothing_stands_against_a_run_where_all_is_there(slots: Slots) -> None:
    assert needs.rights(slots) == []
    assert needs.directories(slots) == []
    assert needs.backup(slots.root, ["config", "data", "releases/none"]) == []
    assert needs.strangers(slots) == []


def test_each_command_that_sudo_does_not_allow_is_named(slots: Slots, tmp_path: Path) -> None:
    allowed = tmp_path / "bin/allowed"
    lines = allowed.read_text().splitlines()
    assert len(lines) == 16
    for missing in lines:
        allowed.write_text("".join(f"{line}\n" for line in lines if line != missing))
        (obstacle,) = needs.rights(slots)
        assert obstacle.seen.endswith(f"call {tmp_path}/bin/sudo -n {missing}")
        assert permissions.account() in obstacle.seen
        assert "docs/host/sudoers" in obstacle.next_step
    allowed.write_text("")
    (obstacle,) = needs.rights(slots)
    assert obstacle.seen.count("systemctl") == 16
    assert obstacle.seen.endswith("(sudo: a password is required)")
    (tmp_path / "bin/sudo").unlink()
    assert "No such file" in seen(needs.rights(slots))


def test_without_sudo_nobody_asks_it(slots: Slots) -> None:
    slots.manager = Manager(["systemctl"], set())
    assert needs.rights(slots) == []
    slots.manager = SimpleNamespace()
    assert needs.rights(slots) == []


@pytest.mark.usefixtures("somebody")
def test_a_directory_that_cannot_be_written_is_named_with_its_mode_and_who_we_are(slots: Slots) -> None:
    root = Path(slots.root)
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            path.chmod(0o777)
    assert needs.directories(slots) == []
    for name in ("proxy", "slots/green", "state/backups", "state"):
        (root / name).chmod(0o755)
        (obstacle,) = needs.directories(slots)
        assert f"54321 may not write to {root / name} (drwxr-xr-x " in obstacle.seen
        assert obstacle.next_step == f"chown 54321 {root / name}"
        (root / name).chmod(0o777)
    shutil.rmtree(root / "slots/green")
    (root / "slots").chmod(0o755)
    assert f"write to {root}/slots (" in seen(needs.directories(slots)), "where it would be made"


def test_of_what_owner_and_mode_allow_the_attributes_are_named(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: "/slots/blue" not in path)
    (obstacle,) = needs.directories(slots)
    assert "although its owner and mode allow it (drwx" in obstacle.seen
    assert obstacle.next_step.endswith(f"take it away: chattr -i {slots.root}/slots/blue")


def test_a_file_system_that_is_read_only_is_told_as_such(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: "/state" not in path)
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert seen(needs.directories(slots)) == f"{slots.root}/state is on a file system that is mounted read-only"


@pytest.mark.usefixtures("somebody")
def test_what_cannot_be_read_for_the_backup_is_named(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Path(slots.root, "data/deep/db")
    database.chmod(0o600)
    assert seen(needs.backup(slots.root, ["config", "data"])) == f"54321 may not read {database} for the backup"

    def walk(_top: str, onerror: object) -> Iterator[object]:
        assert callable(onerror)
        onerror(PermissionError(13, "Permission denied", "/closed"))
        yield from ()

    monkeypatch.setattr(os, "walk", walk)
    assert "may not read /closed for the backup" in seen(needs.backup(slots.root, ["data"]))


def test_space_is_asked_for_twice_what_is_backed_up(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 2 * (5000 + len("/nowhere")) + needs.RESERVE
    free = [needed]
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free[0], f_bfree=free[0], f_frsize=1))
    assert needs.backup(slots.root, ["config", "data"]) == []
    free[0] -= 1
    (obstacle,) = needs.backup(slots.root, ["config", "data"])
    assert obstacle.seen == (
        f"{slots.root}/state/backups has {needed - 1} bytes free for {permissions.account()}; up to {needed} "
        "are needed for the backup of config, data and the copy that proves it"
    )
    assert "backup_parts" in obstacle.next_step
    assert needs.backup(slots.root, []) == [], "a run that makes none needs none"


def test_somebody_else_on_the_port_of_a_color_is_seen(slots: Slots) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", int(slots.colors["green"]["address"].partition(":")[2])))
        stranger.listen()
        assert seen(needs.strangers(slots)).startswith(
            slots.colors["green"]["address"] + " (service_colors.green.address)"
        )
        slots.manager.runs.add("web@green")
        assert needs.strangers(slots) == []


class Answer(http.server.BaseHTTPRequestHandler):
    """503 for the names in `names`, an empty 200 for any other, as a site of Caddy's does."""

    names: tuple[str, ...] = ()

    def do_GET(self) -> None:
        known = self.headers["Host"] in self.names
        self.send_response(503 if known else 200)
        self.end_headers()
        self.wfile.write(b"Under maintenance" if known else b"")

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


def test_the_maintenance_address_must_answer_503_to_the_name_that_clients_ask_for() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        Answer.names = ("shop.example.com",)
        assert needs.maintenance(address, "shop.example.com") == []
        Answer.names = (address,)
        (obstacle,) = needs.maintenance(address, "shop.example.com")
        server.shutdown()
    assert (
        f"{address} (service_maintenance_address), asked for shop.example.com, answers 200 with an empty"
        in obstacle.seen
    )
    assert "docs/host/Caddyfile" in obstacle.next_step
    assert "gives no answer (Connection refused)" in seen(needs.maintenance(address, "shop.example.com"))
    assert "nothing (service_maintenance_address)" in seen(needs.maintenance("", "shop.example.com"))


@pytest.mark.usefixtures("somebody")
def test_a_certificate_is_given_only_to_who_we_may_give_it(tmp_path: Path) -> None:
    place = tmp_path / "public"
    place.mkdir()
    place.chmod(0o777)
    assert permissions.certificate(str(place), "", "", []) == []
    assert permissions.certificate(str(place), "54321", "54321", ["sh", "-c", "true"]) == []
    root = grp.getgrgid(0).gr_name
    (obstacle,) = permissions.certificate(str(place), "", root, [])
    assert obstacle == (
        f"54321 may not give the key in {place} to the group {root}, being no member of it", f"usermod -aG {root} 54321"
    )  # fmt: skip
    assert "to the user root: only root may" in seen(permissions.certificate(str(place), "root", "", []))
    assert "no user 'nobody-here'" in seen(permissions.certificate(str(place), "nobody-here", "", []))
    assert "finds no program no-such-program" in seen(permissions.certificate(str(place), "", "", ["no-such-program"]))
    place.chmod(0o755)
    assert f"may not write to {place}" in seen(permissions.certificate(str(place), "", "", []))
