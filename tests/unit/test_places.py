"""Where things stand."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pyrunbook import places, project_file
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
    assert os.environ["PYRUNBOOK_INVENTORY"] == str(tmp_path / "hosts.yml")
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


# --- the project ----------------------------------------------------------------------------------------------------


@pytest.fixture
def outer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which another one stands, `inner`; one stands in the latter's `deep/below`."""
    monkeypatch.setenv("PYRUNBOOK_CONTENT", "")
    outer = tmp_path.resolve() / "outer"
    (outer / "inner" / "deep" / "below").mkdir(parents=True)
    (outer / ".pyrunbook.yml").touch()
    (outer / "inner" / "pyproject.toml").write_text("[tool.pyrunbook.docs]\nlanguages = ['en']\n")
    monkeypatch.chdir(outer / "inner" / "deep" / "below")
    return outer


def test_the_nearest_project_around_is_found(outer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.project() == places.content() == outer / "inner"
    (outer / "inner" / "pyproject.toml").write_text("[project]\ndependencies = ['pyrunbook']\n[tool.ruff]\n")
    assert places.project() == outer, "a program that uses pyrunbook is no project"
    monkeypatch.chdir(outer.parent)
    assert places.project() is None and places.content() == places.shipped()


def test_a_project_that_is_named_goes_before_the_one_around(outer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = outer.parent / "named"
    named.mkdir()
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(named))
    with pytest.raises(BadInput, match="is no project"):
        places.content()
    (named / "site.yml").write_text("- hosts: all\n")
    assert places.content() == named


def test_a_pyproject_that_cannot_be_read_hides_no_project(outer: Path) -> None:
    broken = outer / "inner" / "pyproject.toml"
    broken.write_text("[tool.pyrunbook\n")
    with pytest.raises(BadInput, match=f"{broken} is no TOML"):
        places.project()
    broken.write_text("[tool\n")  # somebody else's
    assert places.project() == outer


def test_a_working_directory_that_is_gone_has_no_project(outer: Path) -> None:
    (outer / "inner/deep/below").rmdir()
    assert places.project() is None


def test_a_project_file_that_somebody_may_have_put_in_the_way_is_refused(
    outer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `/tmp/.pyrunbook.yml` of another user would be found by everybody who works below /tmp."""
    file = outer / "inner" / "pyproject.toml"
    file.parent.chmod(0o1777)
    assert places.project() == file.parent, "it is this user's own"
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    if file.stat().st_uid == 0:  # root's own are anybody's to trust
        os.chown(file, 12345, -1)
    with pytest.raises(BadInput) as error:
        places.project()
    assert str(file) in error.value.seen and f"everybody may write to {file.parent}" in error.value.seen
    assert "--project DIRECTORY" in error.value.next_step
    with pytest.raises(BadInput):
        places.settle(file.parent / "playbook.yml")
    file.parent.chmod(0o755)
    assert places.project() == file.parent, "nobody but its owner can have put it there"
    file.parent.chmod(0o1777)
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(file.parent))
    assert places.project() == file.parent, "whoever names it trusts it"


def test_a_link_is_as_trusted_as_whoever_made_it(outer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = outer / "inner" / ".pyrunbook.yml"
    link.symlink_to(outer / ".pyrunbook.yml")
    link.parent.chmod(0o1777)
    project_file.refuse_untrusted(link)
    if os.geteuid() == 0:
        os.chown(link, 12345, -1, follow_symlinks=False)
        with pytest.raises(BadInput):
            places.project()


def test_a_direct_play_is_of_the_project_of_its_playbook(outer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for playbook, project in (
        (outer / "playbooks/maintenance/x.yml", outer),
        (places.shipped() / "playbooks/maintenance/unlock.yml", outer / "inner"),
        (Path("pyrunbook.core.unlock"), outer / "inner"),
    ):
        monkeypatch.setenv("PYRUNBOOK_CONTENT", "")
        places.settle(playbook)
        assert os.environ["PYRUNBOOK_CONTENT"] == str(project)
    monkeypatch.setenv("PYRUNBOOK_CONTENT", "/named")
    places.settle(outer / "x.yml")
    assert os.environ["PYRUNBOOK_CONTENT"] == "/named"
