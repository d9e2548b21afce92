"""The index of the pages: by category, service, severity, owner and alert."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from pyrunbook.catalog import CATEGORIES
from pyrunbook.docs.labels import label
from pyrunbook.docs.markdown_text import cell, code, link, plain_text

INDEX = "README"


@dataclass(frozen=True)
class IndexEntry:
    """A page in the index."""

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


def index(entries: Iterable[IndexEntry], language: str, languages: tuple[str, ...], inventory: str = "") -> str:
    """The index page of one language."""
    listed = sorted(entries, key=lambda entry: entry.name)
    t = partial(label, language=language)
    lines = [f"<!-- {t('made', code('playbooks/'))} -->", "", f"# {t('index')}", ""]
    others = [other for other in languages if other != language]
    if others:
        lines += [f"[{t('other_language')}]({file_name(INDEX, others[0], languages)})", ""]
    lines += [t("about_index_with", code(inventory)) if inventory else t("about_index"), ""]
    links = {entry.name: link(entry.title, entry.path) for entry in listed}
    lines += [f"## {t('by_category')}", ""]
    for category in sorted({entry.category for entry in listed}, key=_order):
        lines += [f"### {t(category) if category in CATEGORIES else category or t('other')}", ""]
        for entry in listed:
            if entry.category == category:
                lines.append(f"- {links[entry.name]}{t('colon') + entry.summary if entry.summary else ''}")
        lines.append("")
    groups = (
        ("service", [(name, entry) for entry in listed for name in entry.services]),
        ("severity", [(t(entry.severity), entry) for entry in listed if entry.severity]),
        ("owner", [(entry.owner, entry) for entry in listed if entry.owner]),
        ("alert", [(alert, entry) for entry in listed for alert in entry.alerts]),
    )
    for column, rows in groups:
        if not rows:
            continue
        lines += [f"## {t(f'by_{column}')}", "", f"| {t(column)} | {t('runbook')} |", "|---|---|"]
        for key in sorted({key for key, _ in rows}):
            there = ", ".join(links[entry.name] for name, entry in rows if name == key)
            lines.append(f"| {cell(plain_text(key))} | {cell(there)} |")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _order(category: str) -> tuple[int, str]:
    return (CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES), category)
