"""The shell command that sends the traffic back: only to the release that the plan names, whole, or not at all."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from pyrunbook.platforms.host import ALREADY_THERE, SEND_BACK, SENT

UNSURE = 3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Blue holds 1.0.4; the traffic goes to green."""
    root = tmp_path / "agent's factory"
    (root / "releases/1.0.4").mkdir(parents=True)
    (root / "releases/1.1.0").mkdir()
    (root / "slots/blue").mkdir(parents=True)
    (root / "slots/blue/release").symlink_to("../../releases/1.0.4")
    (root / "proxy").mkdir()
    (root / "proxy/upstream").write_text("127.0.0.1:8102\n")
    return root


def send(root: Path, release: str = "1.0.4", address: str = "127.0.0.1:8101") -> int:
    words = {
        "root": root,
        "release": release,
        "color": "blue",
        "upstream": root / "proxy/upstream",
        "address": address,
    }
    script = SEND_BACK.format(**{key: shlex.quote(str(value)) for key, value in words.items()})
    # As `_low_level_execute_command` sends it.
    return subprocess.run(["sh", "-c", f"{script} && sleep 0"], check=False).returncode


def upstream(root: Path) -> str:
    assert [entry.name for entry in (root / "proxy").iterdir()] == ["upstream"], "nothing is left beside it"
    return (root / "proxy/upstream").read_text()


def test_the_traffic_goes_to_the_color_that_holds_the_release(root: Path) -> None:
    before = (root / "proxy/upstream").stat().st_ino
    assert send(root) == SENT
    assert upstream(root) == "127.0.0.1:8101\n"
    after = (root / "proxy/upstream").stat()
    assert after.st_ino != before, "replaced by a rename, never written in place"
    assert after.st_mode & 0o777 == 0o644, "the proxy may run as another user"


def test_a_second_time_changes_nothing(root: Path) -> None:
    send(root)
    before = (root / "proxy/upstream").stat().st_ino
    assert send(root) == ALREADY_THERE
    assert (root / "proxy/upstream").stat().st_ino == before


def test_a_slot_with_another_release_gets_no_traffic(root: Path) -> None:
    assert send(root, release="1.1.0") == UNSURE
    assert upstream(root) == "127.0.0.1:8102\n"


def test_a_slot_in_which_a_start_was_cut_short_gets_no_traffic(root: Path) -> None:
    (root / "slots/blue/starting").touch()
    assert send(root) == UNSURE
    assert upstream(root) == "127.0.0.1:8102\n"


def test_a_slot_whose_release_is_gone_gets_no_traffic(root: Path) -> None:
    (root / "releases/1.0.4").rmdir()
    assert send(root) == UNSURE
    assert upstream(root) == "127.0.0.1:8102\n"


def test_a_directory_that_is_not_there_is_an_error(root: Path) -> None:
    assert send(root / "elsewhere") == 1
