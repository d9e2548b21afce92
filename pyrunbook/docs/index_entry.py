"""What the index says of a page, and what the file of a page is called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexEntry:
    """A page in the index.

    Attributes:
        name: id of the runbook.
        category: its folder; empty at the top.
        title: in the language of the index.
        path: of the file below the output directory.
    """

    name: str
    category: str
    title: str
    path: str
    summary: str = ""
    services: tuple[str, ...] = ()
    severity: str = ""
    owner: str = ""
    alerts: tuple[str, ...] = ()


def file_name(name: str, language: str, languages: tuple[str, ...]) -> str:
    """`name.md` in the first language, `name.fr.md` in another."""
    return f"{name}.md" if language == languages[0] else f"{name}.{language}.md"
