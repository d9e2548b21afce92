"""Where things stand."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pyrunbook import places
from pyrunbook.errors import BadInput


def test_a_private_directory_has_no_parent_that_is_open_to_others(tmp_path: Path) -> None:
    made = places.private_directory(tmp_path / "state" / "pyrunbook" / "sandbox")
    for directory in (made, made.parent, made.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    tmp_path.chmod(0o755)
    places.private_directory(made)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755, "what was there stays as it was"


def test_paths_from_outside_are_made_absolute_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process of a run means the same place, whatever directory it works in."""
    given = {
        "PYRUNBOOK_HOME": "state",
        "PYRUNBOOK_CONTENT": "",
        "PYRUNBOOK_SANDBOX": "box",
        "PYRUNBOOK_JOURNAL": "sqlite:///state/journal.db?mode=rw",
        "PYRUNBOOK_INVENTORY": "hosts.yml",
        "XDG_STATE_HOME": "xdg",
        "HOME": "me",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "hosts.yml").touch()
    monkeypatch.chdir(tmp_path)
    places.make_absolute()
    monkeypatch.chdir("/")
    assert places.home() == tmp_path / "state"
    assert places.journal_url() == f"sqlite:///{tmp_path}/state/journal.db?mode=rw"
    assert places.default_inventory() == tmp_path / "hosts.yml"
    assert places.in_use()["journal"] == f"sqlite:///{tmp_path}/state/journal.db"
    monkeypatch.delenv("PYRUNBOOK_HOME")
    assert places.home() == tmp_path / "xdg" / "pyrunbook"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert places.home() == tmp_path / "me" / ".local/state/pyrunbook"


@pytest.mark.parametrize("given", ["postgresql://ada:s3cret@db/journal?sslmode=require", "sqlite:////a/b.db", "web,"])
def test_what_is_no_relative_path_stays_as_it_is(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "PYRUNBOOK_INVENTORY" if given.endswith(",") else "PYRUNBOOK_JOURNAL"
    monkeypatch.setenv(name, given)
    places.make_absolute()
    assert os.environ[name] == given
    assert "s3cret" not in str(places.in_use())


def test_a_user_without_a_home_is_told_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYRUNBOOK_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(BadInput, match="no home directory") as error:
        places.home()
    assert "PYRUNBOOK_HOME=" in error.value.next_step


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"LC_ALL": "C"}, "C.UTF-8"),
        ({"LC_ALL": "POSIX", "LANG": "C.UTF-8"}, "C.UTF-8"),
        ({"LANG": "xx_XX.UTF-8"}, "C.UTF-8"),  # a locale that the machine does not have
        ({"LANG": "C.UTF-8"}, None),
        ({"LC_ALL": "C.utf8"}, "C.utf8"),
    ],
)
def test_ansible_gets_a_locale_that_it_takes(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    places.suit_ansible()
    assert os.environ.get("LC_ALL") == expected


def test_ansible_gets_a_directory_where_there_is_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYRUNBOOK_HOME", str(tmp_path / "state"))
    for home, expected in ((str(tmp_path), None), ("/dev/null/nobody", str(tmp_path / "state/ansible"))):
        monkeypatch.setenv("HOME", home)
        monkeypatch.delenv("ANSIBLE_HOME", raising=False)
        places.suit_ansible()
        assert os.environ.get("ANSIBLE_HOME") == expected
    monkeypatch.setenv("ANSIBLE_HOME", "/chosen")
    places.suit_ansible()
    assert os.environ["ANSIBLE_HOME"] == "/chosen"
