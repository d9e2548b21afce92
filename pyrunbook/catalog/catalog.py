"""The catalog: the runbooks of a project over the shipped ones."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

from pyrunbook import places
from pyrunbook.catalog.metadata import ROLLBACK, read_metadata
from pyrunbook.catalog.runbook import Runbook, read_runbook
from pyrunbook.errors import BadInput
from pyrunbook.project.document import read
from pyrunbook.project.playbooks import find_playbooks, is_metadata, page_id
from pyrunbook.project.problem import InvalidFile

CATEGORIES = ("deployment", "incidents", "maintenance")
_YAML = (".yml", ".yaml")
_FEW = 12
"""So many ids are listed to whoever names one that is not there."""


def one_of(wanted: str, ids: Collection[str], kind: str = "runbook", next_step: str = "pyrunbook list") -> str:
    """The id that an operator means.

    Args:
        wanted: an id; hyphens stand for underscores, and what stands before its name may be left out where no other
            has the name.
        ids: those there are.
        kind: what they are ids of, for the error.
        next_step: of the error, where there is none of that id.

    Raises:
        BadInput: there is none, or several; names those that are close, or all where they are few.
    """
    if wanted in ids:
        return wanted
    name = _underscored(wanted.strip().removesuffix(".yml"))
    matches = [i for i in ids if _underscored(i) == name] or [i for i in ids if _underscored(_last(i)) == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise BadInput(
            f"several {kind}s are named {wanted!r}: {', '.join(sorted(matches))}", next_step="name one of these"
        )
    from difflib import get_close_matches

    names = {_last(i): i for i in ids}
    close = get_close_matches(name, ids, 3, cutoff=0.85) or [
        names[match] for match in get_close_matches(_last(name), names, 3)
    ]
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    if not close and 0 < len(ids) <= _FEW:
        hint = f" (there is: {', '.join(sorted(ids))})"
    raise BadInput(f"there is no {kind} {wanted!r}{hint}", next_step=next_step)


def _underscored(name: str) -> str:
    return name.replace("-", "_")


def _last(name: str) -> str:
    return name.rpartition("/")[2]


class Catalog:
    """The runbooks, each read when it is first asked for. A broken one does not hide the others.

    Those of the project go before the shipped ones of the same id, and so do its roles.
    """

    def __init__(self, project: Path) -> None:
        shipped = places.shipped()
        self._project = project
        self._shipped = _by_id(shipped)
        own = {} if project == shipped else _by_id(project)
        # A playbook `maintenance/x.yml` at the top of a project has the id of a shipped one, too.
        free = {name for name in self._shipped if not any((project / f"{name}{end}").is_file() for end in _YAML)}
        self._in_categories = {name: self._shipped[name] for name in free} | own
        self._roles = tuple(dict.fromkeys((project / "roles", shipped / "roles")))
        self._read: dict[str, Runbook | InvalidFile] = {}

    @cached_property
    def _own(self) -> dict[str, Path]:
        # Of a project any playbook counts, wherever it stands; what is shipped stands in the folders of the categories.
        return {} if self._project == places.shipped() else _any_of(self._project)

    @cached_property
    def _paths(self) -> dict[str, Path]:
        return self._shipped | self._own

    def _path(self, runbook_id: str) -> Path | None:
        """The playbook of a whole id. One of a category is known without a look through the whole project."""
        return self._in_categories.get(runbook_id) or self._paths.get(runbook_id)

    def __iter__(self) -> Iterator[Runbook]:
        """The runbooks that can be read, ordered by their id."""
        for runbook_id in sorted(self._paths):
            runbook = self._look(runbook_id)
            if isinstance(runbook, Runbook):
                yield runbook

    @property
    def ids(self) -> list[str]:
        """The ids of all runbooks, also of broken ones; reads no file."""
        return sorted(self._paths)

    @property
    def own(self) -> list[str]:
        """The ids of the project's own runbooks, also of broken ones; the others are shipped ones."""
        return sorted(self._own)

    @property
    def replacing(self) -> list[str]:
        """The ids of those of the project's own that stand in the place of shipped ones."""
        return sorted(self._own.keys() & self._shipped.keys())

    def playbook(self, runbook_id: str) -> Path:
        """The playbook of a runbook, by its whole id; it is not read.

        Raises:
            BadInput: there is none of that id.
        """
        return self._path(runbook_id) or (
            Path(runbook_id) if runbook_id.startswith("/") else self._paths[one_of(runbook_id, self._paths)]
        )

    @property
    def broken(self) -> dict[str, InvalidFile]:
        """What is wrong with the runbooks that cannot be read, by their id."""
        found = ((runbook_id, self._look(runbook_id)) for runbook_id in sorted(self._paths))
        return {runbook_id: error for runbook_id, error in found if isinstance(error, InvalidFile)}

    def get(self, wanted: str) -> Runbook:
        """A runbook by its id, see `one_of`.

        Raises:
            InvalidFile: it cannot be read.
            BadInput: there is none of that id; names those that are close.
        """
        if wanted.endswith(_YAML) and (path := Path(wanted).expanduser()).is_file():
            return self._at(path.resolve())
        found = self._look(wanted if wanted in self._in_categories else one_of(wanted, self._paths))
        if isinstance(found, InvalidFile):
            raise found
        return found

    def way_back(self, runbook_id: str) -> str:
        """The id of the runbook that undoes a run of this one; empty where none does, or nobody knows it any more."""
        with contextlib.suppress(BadInput, OSError):
            return self.get(runbook_id).undone_by
        return ""

    def _at(self, path: Path) -> Runbook:
        """The runbook of a playbook's file, wherever that is. What is not in the catalog has its path for an id."""
        own = next((name for name, known in self._paths.items() if known.resolve() == path), "")
        if own:
            return self.get(own)
        found = read_runbook(str(path), path, (path.parent / "roles", *self._roles))
        self._require_named(found)
        return found

    def _look(self, runbook_id: str) -> Runbook | InvalidFile:
        if runbook_id not in self._read:
            try:
                found = read_runbook(runbook_id, self.playbook(runbook_id), self._roles)
                self._require_named(found)
                self._read[runbook_id] = found
            except InvalidFile as error:
                self._read[runbook_id] = error
        return self._read[runbook_id]

    def _require_named(self, runbook: Runbook) -> None:
        """Refuse metadata that name a runbook which is not there; the default of `undone_by` is asked for by a run.

        Raises:
            InvalidFile: with its line.
        """
        for key, meaning in (
            ("undone_by", "nothing would put back what a run has changed"),
            ("ended_by", "nothing would end what a run leaves on purpose"),
        ):
            named = getattr(runbook.metadata, key)
            if named in (None, "", ROLLBACK) or self._path(named):
                continue
            if named == runbook.metadata.undone_by and runbook.undo_file:
                continue
            document = read(runbook.path.with_suffix(".meta.yml"))
            path = ("argument_specs", read_metadata(document.file)[0], "runbook", key)
            node = document.get(document.root, *path) or document.root
            raise InvalidFile(
                [document.problem(node, ".".join(path), f"there is no runbook {named}; {meaning}")],
                next_step="name the id of one that pyrunbook list shows",
            )


def playbooks_of(content: Path) -> Iterator[Path]:
    """The playbooks in the folders of the categories."""
    for category in CATEGORIES:
        for path in (content / "playbooks" / category).glob("*.yml"):
            if not is_metadata(path.name) and not path.name.startswith("."):
                yield path


def _any_of(project: Path) -> dict[str, Path]:
    return {page_id(path, project): path for path in find_playbooks(project)} | _by_id(project)


def _by_id(directory: Path) -> dict[str, Path]:
    return {f"{path.parent.name}/{path.stem}": path for path in playbooks_of(directory)}


def load(project: Path | None = None) -> Catalog:
    """The catalog of a project, of the one in use when `None`.

    Raises:
        BadInput: see `places.project`.
    """
    return Catalog(project or places.content())
