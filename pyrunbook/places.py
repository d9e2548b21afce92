"""Where things are: the project, what is shipped, the state directory, and the environment variables that move them."""

from __future__ import annotations

import contextlib
import locale
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from pyrunbook import project_file
from pyrunbook.errors import BadInput

COLLECTION = "pyrunbook.core"
"""The collection in which Ansible finds our roles, playbooks and plugins: beside the package, which is on its path."""
ENV_CONTENT = "PYRUNBOOK_CONTENT"
"""The directory of the project, in place of the one that is found from the working directory upwards."""
ENV_HOME = "PYRUNBOOK_HOME"
"""Directory of the journal, the rollback plans, the backups and the sandbox."""
ENV_JOURNAL = "PYRUNBOOK_JOURNAL"
"""SQLAlchemy URL of the journal; SQLite in the state directory by default."""
ENV_INVENTORY = "PYRUNBOOK_INVENTORY"
"""Inventory used when none is given on the command line."""
ENV_SANDBOX = "PYRUNBOOK_SANDBOX"
"""Directory of the sandbox, for whoever wants several."""
_FILE_URL = re.compile(r"(sqlite(?:\+\w+)?:///)([^/?][^?]*)(.*)", re.DOTALL)
"""The URL of a SQLite file with a relative path: three slashes and no fourth."""


def make_absolute() -> None:
    """Make the paths in our own environment absolute, once, before anything uses one.

    The command and its play then mean the same place, whatever directory a later process works in. The command line
    calls it, and the journal's callback for a direct ansible-playbook.

    Raises:
        BadInput: a path is relative, and the working directory is gone.
    """
    for name in (ENV_CONTENT, ENV_HOME, ENV_SANDBOX, "XDG_STATE_HOME", "HOME"):
        if given := os.environ.get(name):
            os.environ[name] = _absolute(given)
    if found := _FILE_URL.fullmatch(os.environ.get(ENV_JOURNAL, "")):
        os.environ[ENV_JOURNAL] = found[1] + _absolute(found[2]) + found[3]
    given = os.environ.get(ENV_INVENTORY, "")
    # A list of hosts ends with a comma, and one of the shipped inventories is named where there is no such path.
    if given and not given.endswith(",") and (given.startswith("~") or Path(given).exists()):
        os.environ[ENV_INVENTORY] = _absolute(given)


def suit_ansible() -> None:
    """Name a locale and a directory that Ansible can work with, where the environment has none.

    Ansible ends at once in a locale that is not UTF-8 or that the machine does not have, and where it cannot make
    `~/.ansible`: in a container, whose user often has no home directory, or `/`.
    """
    ours = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "")
        good = (locale.getlocale()[1] or "").upper().replace("-", "") == "UTF8"
    except (locale.Error, ValueError):
        good = False
    finally:
        locale.setlocale(locale.LC_ALL, ours)
    if not good:
        os.environ["LC_ALL"] = "C.UTF-8"
    if "ANSIBLE_HOME" not in os.environ and not _can_be_made(os.path.expanduser("~/.ansible")):  # noqa: PTH111
        with contextlib.suppress(BadInput):  # whoever needs the state directory says that nothing names it
            os.environ["ANSIBLE_HOME"] = str(home() / "ansible")


def _can_be_made(directory: str) -> bool:
    """Whether a directory is there and can be written, or can be made; not where its path is relative."""
    path = Path(directory)
    if not path.is_absolute():
        return False
    there = next(each for each in (path, *path.parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _absolute(path: str) -> str:
    given = os.path.expanduser(path)  # noqa: PTH111  # Path.expanduser() fails where no home is known
    if os.path.isabs(given):  # noqa: PTH117
        return given
    try:
        return os.path.join(os.getcwd(), given)  # noqa: PTH109, PTH118
    except FileNotFoundError:
        raise BadInput(
            f"{path} is relative, and the working directory is gone", next_step="cd to a directory that exists"
        ) from None


def in_use() -> dict[str, str]:
    """What is used here: `content`, `state` and `journal`, the last without user, password and options of its URL."""
    scheme, _, rest = journal_url().partition("://")
    journal = f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
    return {"content": str(content()), "state": str(home()), "journal": journal}


def ansible_config() -> Path:
    """The ansible.cfg in force: `ANSIBLE_CONFIG` (a file or its directory), or the project's, or the shipped one."""
    chosen = os.environ.get("ANSIBLE_CONFIG")
    if not chosen:
        return next(_configuration(content()), shipped() / "ansible.cfg")
    path = Path(_absolute(chosen))
    return path / "ansible.cfg" if path.is_dir() else path


def use_config_for(playbook: Path) -> None:
    """Have the ansible.cfg of a plain playbook in force from now on, in our own environment.

    In a project that is the project's. Elsewhere it is the one that Ansible itself would find; where there is none,
    nothing of pyrunbook's own stands in for it.
    """
    if os.environ.get("ANSIBLE_CONFIG"):
        return
    found: list[Path] = []
    with contextlib.suppress(FileNotFoundError):  # the working directory is gone
        found += _configuration(Path.cwd())
    if playbook.is_relative_to(content()):
        found = [*_configuration(content()), *found]
    home = Path(os.path.expanduser("~/.ansible.cfg"))  # noqa: PTH111
    found += [file for file in (home, Path("/etc/ansible/ansible.cfg")) if project_file.is_file(file)]
    os.environ["ANSIBLE_CONFIG"] = str(next(iter(found), package() / "plain.cfg"))


def _configuration(directory: Path) -> Iterator[Path]:
    """The ansible.cfg of a directory; as for Ansible there is none where everybody may write."""
    file = directory / "ansible.cfg"
    if project_file.is_file(file) and not directory.stat().st_mode & stat.S_IWOTH:
        yield file


def content() -> Path:
    """The project in use; what is shipped where there is none.

    Raises:
        BadInput: see `project`.
    """
    return project() or shipped()


def project() -> Path | None:
    """The project in use: the one that is named, or else the one around the working directory.

    Raises:
        BadInput: `PYRUNBOOK_CONTENT` names no project, or the file that makes one is not to be trusted.
    """
    if named := os.environ.get(ENV_CONTENT):
        directory = Path(_absolute(named)).resolve()
        if _looks_like_a_project(directory):
            return directory
        raise BadInput(
            f"{directory} is no project: in it is no {project_file.SETTINGS}, playbook, roles/ or ansible.cfg",
            next_step=f"name another directory with --project, or unset {ENV_CONTENT}",
        )
    file = next(project_files(), None)
    if file is None:
        return None
    project_file.refuse_untrusted(file.parent)
    return file.parent


def project_in_use() -> str:
    """The directory of the project in use, as the journal has it; empty where the shipped runbooks alone are there."""
    here = content()
    return "" if here == shipped() else str(here)


def settle(playbook: Path) -> None:
    """Have every process of a direct ansible-playbook use the project of its playbook, whatever directory it works in.

    A shipped playbook is of the project around the working directory.

    Raises:
        BadInput: see `project`.
    """
    if os.environ.get(ENV_CONTENT):
        return
    file = next(project_file.around(playbook.resolve().parent), None)
    if file is not None and file.parent != shipped():
        project_file.refuse_untrusted(file.parent)
        os.environ[ENV_CONTENT] = str(file.parent)
    else:
        os.environ[ENV_CONTENT] = str(content())


def project_files() -> Iterator[Path]:
    """The files that make the working directory, and those above it, projects; the nearest first."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the directory is gone
        return iter(())
    return project_file.around(here)


def _looks_like_a_project(directory: Path) -> bool:
    marks = (project_file.SETTINGS, "playbooks", "plays", "roles", "inventories", "ansible.cfg", "galaxy.yml")
    try:
        marked = any((directory / mark).exists() for mark in marks) or any(directory.glob("*.y*ml"))
    except OSError:  # this user may not search it
        return False
    return marked or project_file.project_file(directory) is not None


def package() -> Path:
    """The directory of the package."""
    return Path(__file__).resolve().parent


def collection() -> Path:
    """The directory of the collection, beside the package. What a checkout has in it are links."""
    return package().parent.joinpath("ansible_collections", *COLLECTION.split("."))


def shipped() -> Path:
    """The directory with the `playbooks/`, `roles/`, `inventories/` and `ansible.cfg` that come with pyrunbook.

    A checkout (also an editable install) has them at its top; a wheel carries them inside the package.

    Raises:
        BadInput: the installation is incomplete.
    """
    candidates = [package().parent, collection()]
    for candidate in candidates:
        if _is_content(candidate):
            return candidate
    raise BadInput(
        f"no playbooks/ and roles/ under {' or '.join(str(c) for c in candidates)}", next_step="reinstall pyrunbook"
    )


def _is_content(directory: Path) -> bool:
    return (directory / "playbooks").is_dir() and (directory / "roles").is_dir()


def home() -> Path:
    """The state directory (XDG Base Directory: `$XDG_STATE_HOME/pyrunbook`), not created here.

    Raises:
        BadInput: nothing names it, and this user has no home directory.
    """
    chosen = os.environ.get(ENV_HOME)
    if chosen:
        return Path(_absolute(chosen)).resolve()
    base = os.environ.get("XDG_STATE_HOME")
    if not base:
        base = "~/.local/state"
        if os.path.expanduser(base) == base:  # noqa: PTH111
            raise BadInput(
                f"this user (uid {os.getuid()}) has no home directory, so nothing says where the journal is",
                next_step=f"export {ENV_HOME}=/a/directory/that/stays",
            )
    return Path(_absolute(base)) / "pyrunbook"


def running() -> Path:
    """Where what a run needs only while it runs is: `<run id>-<random>`, removed when nothing of that run is left."""
    return home() / "running"


def private_directory(path: Path) -> Path:
    """Create `path` and those of its parents that are missing, for their owner only (0700), and return it."""
    for directory in (*reversed(path.parents), path):  # `mkdir(parents=True)` would leave the parents open to others
        if not directory.is_dir():
            directory.mkdir(mode=0o700, exist_ok=True)
    return path


def from_here(file: Path) -> str:
    """A path as it is called from the working directory; as it is given where it is elsewhere."""
    try:
        return str(file.resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError):
        return str(file)


def journal_url() -> str:
    """SQLAlchemy URL of the journal: `PYRUNBOOK_JOURNAL`, or SQLite in the state directory."""
    return os.environ.get(ENV_JOURNAL) or f"sqlite:///{home() / 'journal.db'}"


def plans() -> Path:
    """Where rollback plans are kept on this machine: `<plan id>/<service>.json` below it."""
    return home() / "plans"
