"""The catalog: all runbooks of a content directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyrunbook import places
from pyrunbook.catalog.runbook import Runbook, read_runbook
from pyrunbook.catalog.yaml_file import InvalidFile
from pyrunbook.errors import BadInput

CATEGORIES = ("deployment", "incidents", "maintenance")


class Catalog:
    """The runbooks, each read when it is first asked for. A broken one does not hide the others."""

    def __init__(self, content: Path) -> None:
        self._content = content
        self._paths = {f"{path.parent.name}/{path.stem}": path for path in _playbooks(content)}
        self._read: dict[str, Runbook | InvalidFile] = {}

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
    def broken(self) -> dict[str, InvalidFile]:
        """What is wrong with the runbooks that cannot be read, by their id."""
        found = ((runbook_id, self._look(runbook_id)) for runbook_id in sorted(self._paths))
        return {runbook_id: error for runbook_id, error in found if isinstance(error, InvalidFile)}

    def get(self, wanted: str) -> Runbook:
        """A runbook.

        Args:
            wanted: its id; hyphens stand for underscores, and the category may be left out where no other has the name.

        Raises:
            InvalidFile: it cannot be read.
            BadInput: there is none of that id; names those that are close.
        """
        name = wanted.strip().removesuffix(".yml").replace("-", "_")
        matches = [name] if name in self._paths else [i for i in self._paths if i.partition("/")[2] == name]
        if len(matches) == 1:
            found = self._look(matches[0])
            if isinstance(found, InvalidFile):
                raise found
            return found
        if matches:
            raise BadInput(f"several runbooks are named {wanted!r}: {', '.join(sorted(matches))}")
        from difflib import get_close_matches

        names = {runbook_id.partition("/")[2]: runbook_id for runbook_id in self._paths}
        close = get_close_matches(name, self._paths, 3, cutoff=0.85) or [
            names[match] for match in get_close_matches(name.rpartition("/")[2], names, 3)
        ]
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise BadInput(f"there is no runbook {wanted!r}{hint}", next_step="pyrunbook list")

    def _look(self, runbook_id: str) -> Runbook | InvalidFile:
        if runbook_id not in self._read:
            try:
                self._read[runbook_id] = read_runbook(runbook_id, self._paths[runbook_id], self._content / "roles")
            except InvalidFile as error:
                self._read[runbook_id] = error
        return self._read[runbook_id]


def _playbooks(content: Path) -> Iterator[Path]:
    for category in CATEGORIES:
        for path in (content / "playbooks" / category).glob("*.yml"):
            if not path.name.endswith(".meta.yml") and not path.name.startswith("."):
                yield path


def load(content: Path | None = None) -> Catalog:
    """The catalog.

    Args:
        content: directory with `playbooks/` and `roles/`; `places.content()` when `None`.

    Raises:
        BadInput: there is no content.
    """
    return Catalog(content or places.content())
