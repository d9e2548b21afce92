"""Where things stand."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pyrunbook import places, project_file
from pyrunbook.cli.project import use_project_of
from pyrunbook.errors import BadInput

if TYPE_CHECKING:
    from pyrunbook.journal import Run


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


def test_a_working_directory_that_is_gone_has_no_project(outer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (outer / "inner/deep/below").rmdir()
    assert places.project() is None
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    monkeypatch.setenv("HOME", "/nowhere")
    places.use_config_for(outer / "site.yml")
    assert Path(os.environ.pop("ANSIBLE_CONFIG")).is_absolute()


LOOK = """
import os
from pathlib import Path
from pyrunbook import places, project_file
above = Path(os.environ["ABOVE"])
assert project_file.project_file(above / "closed") is None
assert not places._looks_like_a_project(above / "closed")
os.environ["HOME"] = str(above / "closed")
places.use_config_for(above / "site.yml")
print(places.project())
"""


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may look anywhere; needs setpriv")
def test_what_may_not_be_looked_into_has_no_project(outer: Path) -> None:
    """A directory above which this user may not search, as another's home is."""
    closed = outer / "closed"
    (closed / "below").mkdir(parents=True)
    (closed / ".pyrunbook.yml").touch()
    here = os.open(closed / "below", os.O_RDONLY)
    closed.chmod(0o000)
    bare = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYRUNBOOK_", "ANSIBLE_"))}
    done = subprocess.run(
        [*bare, sys.executable, "-c", LOOK],
        env=env | {"ABOVE": str(outer)}, preexec_fn=lambda: os.fchdir(here), capture_output=True, text=True,
    )  # fmt: skip
    os.close(here)
    closed.chmod(0o700)
    assert (done.returncode, done.stdout) == (0, f"{outer}\n"), done.stderr


STRANGER = 12345


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[Path, int]:
    """Who owns what, for `lstat`: all else belongs to whoever owns it."""
    theirs: dict[Path, int] = {}
    lstat = Path.lstat

    def told(path: Path) -> os.stat_result:
        found = lstat(path)
        return os.stat_result([*found[:4], theirs.get(path, found.st_uid), *found[5:]])

    monkeypatch.setattr(Path, "lstat", told)
    return theirs


@pytest.mark.parametrize("what", ["pyproject.toml", "."])
def test_somebody_elses_project_is_refused(
    outer: Path, owners: dict[Path, int], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """As `/tmp/.pyrunbook.yml` of another user would be found by everybody who works below /tmp."""
    inner = outer / "inner"
    inner.chmod(0o755)
    owners[inner / what] = 0
    assert places.project() == inner, "root's are anybody's to trust"
    owners[inner / what] = STRANGER
    for find in (places.project, lambda: places.settle(inner / "playbook.yml")):
        with pytest.raises(BadInput) as error:
            find()
        assert error.value.seen == f"{inner / what} belongs to uid {STRANGER}"
        assert f"pyrunbook --project {inner}" in error.value.next_step
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert places.project() == inner, "who works by sudo is the same person"
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER + 1)
    with pytest.raises(BadInput):  # anybody can set a variable
        places.project()
    monkeypatch.setenv("PYRUNBOOK_CONTENT", str(inner))
    assert places.project() == inner, "whoever names it trusts it"


def test_a_link_is_as_trusted_as_whoever_made_it(outer: Path, owners: dict[Path, int]) -> None:
    link = outer / "inner" / ".pyrunbook.yml"
    link.symlink_to(outer / ".pyrunbook.yml")
    project_file.refuse_untrusted(link.parent)
    owners[link] = STRANGER
    with pytest.raises(BadInput):
        places.project()


def test_a_run_is_not_brought_to_an_end_by_a_project_that_has_become_somebody_elses(
    outer: Path, owners: dict[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = cast("Run", SimpleNamespace(id="0000beef", project=str(outer)))
    monkeypatch.setenv("PYRUNBOOK_CONTENT", "")
    use_project_of(run, "recover")
    assert os.environ["PYRUNBOOK_CONTENT"] == str(outer)
    monkeypatch.setenv("PYRUNBOOK_CONTENT", "")
    owners[outer] = STRANGER
    with pytest.raises(BadInput, match=f"belongs to uid {STRANGER}"):
        use_project_of(run, "recover")
    assert not os.environ["PYRUNBOOK_CONTENT"]
    (outer / ".pyrunbook.yml").unlink()  # one that was named when the run began need not have that file
    with pytest.raises(BadInput, match=f"belongs to uid {STRANGER}"):
        use_project_of(run, "recover")


def test_no_configuration_is_taken_from_where_everybody_may_write(outer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(outer.parent))
    inner = outer / "inner"
    own = inner / "ansible.cfg"
    own.touch()

    def used() -> Path:
        os.environ.pop("ANSIBLE_CONFIG", None)
        places.use_config_for(inner / "site.yml")
        return Path(os.environ.pop("ANSIBLE_CONFIG"))

    assert used() == places.ansible_config() == own
    inner.chmod(0o1777)
    assert own not in (used(), places.ansible_config())
    monkeypatch.chdir(inner)
    assert used() != own


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
