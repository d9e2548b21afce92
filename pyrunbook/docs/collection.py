"""All pages of a project: those of its runbooks, those of its other playbooks, and the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyrunbook.catalog import InvalidFile, Problem, Runbook
from pyrunbook.catalog.catalog import one_of, playbooks_of
from pyrunbook.catalog.runbook import read_runbook
from pyrunbook.docs.index import INDEX, file_name, index
from pyrunbook.docs.outline_page import OutlinePage
from pyrunbook.docs.page import RunbookPage
from pyrunbook.docs.past_runs import PastRuns
from pyrunbook.docs.role_readme import readmes
from pyrunbook.docs.target import Target
from pyrunbook.errors import BadInput
from pyrunbook.project.playbooks import find_playbooks, need_playbooks, no_playbooks, page_id
from pyrunbook.project.role_places import role_directories, shipped_roles


@dataclass
class Pages:
    """What was made.

    Attributes:
        files: path below the output directory to text.
        partial: the files of runbooks whose metadata cannot be read, and then the index. They must not replace an
            older page, which says more.
        readmes: of the project's roles, by their path below the project; none where only some pages are made.
        whole: whether these are all pages of the project.
        problems: what is wrong in the project's files; the pages were made from the rest.
    """

    files: dict[str, str] = field(default_factory=dict)
    readmes: dict[str, str] = field(default_factory=dict)
    partial: set[str] = field(default_factory=set)
    whole: bool = True
    problems: list[Problem] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        """Whether a file of the project is wrong. A reference to something outside the project is only reported."""
        return any(not problem.elsewhere for problem in self.problems)


def collect(
    target: Target,
    languages: tuple[str, ...],
    *,
    only: Sequence[str] = (),
    all_languages: tuple[str, ...] = (),
    past_runs: PastRuns | None = None,
    all_inputs: bool = False,
    shipped: bool = False,
) -> Pages:
    """Make the pages of a project.

    Args:
        target: the project, and whose values its pages show.
        languages: in which to make them.
        only: ids of the runbooks; all when empty, and then with the index.
        all_languages: those that pages link to, `languages` when empty; the first has no suffix.
        past_runs: what a journal says.
        all_inputs: whether pages have those inputs of their steps too that have defaults which nobody changes.
        shipped: whether the runbooks that come with pyrunbook have pages too, where the project has those runbooks.

    Raises:
        BadInput: there is no such runbook, or no playbook at all; or it is a shipped one that is to have no page.
    """
    known = all_languages or languages
    made = Pages(whole=not only and set(languages) == set(known))
    theirs = _shipped(target.project)
    own = find_playbooks(target.project) if theirs and (only or shipped) else need_playbooks(target.project)
    sources = {page_id(path, target.project): path for path in own}
    if shipped:
        sources = theirs | sources
    others = {page_id(problem.file, target.project): problem for problem in no_playbooks(target.project)}
    for name in only:
        if name in others and name not in sources:
            raise InvalidFile([others[name]], next_step="name one of these, or none for all pages")
    if not only:
        made.problems += others.values()
        made.readmes = readmes(target.project)
    known_ids = theirs | sources
    wanted = [one_of(name, known_ids, "playbook", "name one of these, or none for all pages") for name in only]
    for name in wanted:
        if name not in sources:
            raise BadInput(
                f"{name} comes with pyrunbook, and this project makes no pages of shipped runbooks",
                next_step=f"pyrunbook docs show {name}; or say docs: {{shipped: true}} in .pyrunbook.yml",
            )
    wanted = wanted or sorted(sources)
    readers = {name: _read(name, sources[name], target) for name in wanted}
    for language in languages:
        pages: list[RunbookPage | OutlinePage] = []
        for name, runbook in readers.items():
            file = file_name(name, language, known)
            try:
                if not isinstance(runbook, Runbook):
                    raise InvalidFile(list(runbook))
                page: RunbookPage | OutlinePage = RunbookPage(runbook, target, language, known, past_runs, all_inputs)
                text = page.as_markdown()
            except InvalidFile as error:  # also of the notes of a step: the rest of the project has its pages
                page = OutlinePage(name, sources[name], target, language, known, broken=error.problems)
                text = page.as_markdown()
                made.partial |= {file} if page.broken else set()
            made.problems += [problem for problem in page.problems if problem not in made.problems]
            pages.append(page)
            made.files[file] = text
        if not only:
            inventory = target.inventory_path if target.inventory else ""
            file = file_name(INDEX, language, known)
            if made.partial:
                made.partial.add(file)
            made.files[file] = index((p.entry() for p in pages), language, known, inventory)
    return made


def _shipped(project: Path) -> dict[str, Path]:
    """The shipped runbooks that a project has besides its own; the same for the checkout that they come from."""
    roles = shipped_roles(project)
    return {f"{path.parent.name}/{path.stem}": path for path in playbooks_of(roles.parent)} if roles else {}


def _read(name: str, path: Path, target: Target) -> Runbook | tuple[Problem, ...]:
    """The runbook; without metadata, or when something of it is wrong, what is wrong."""
    if not path.with_suffix(".meta.yml").is_file():
        return ()
    try:
        return read_runbook(name, path, role_directories(target.project))
    except InvalidFile as error:
        return error.problems
