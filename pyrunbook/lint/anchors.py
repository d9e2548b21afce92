"""What a link can point to within a page: headings as GitHub and Python-Markdown name them, and HTML anchors."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from pathlib import Path

from pyrunbook.markdown.page import Html, Page
from pyrunbook.markdown.page_reader import read_page

_HTML = re.compile(r"""\b(?:id|name)\s*=\s*["']?([^"'\s>]+)""")
_ATTRIBUTE = re.compile(r"\{[^}]*#([\w:.-]+)[^}]*\}\s*$")


def anchors_of(page: Page) -> frozenset[str]:
    """All anchors of a page; each heading by the names that different tools give it."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for section in page.walk():
        if section.level:
            raw = page.lines[section.line - 1].strip().strip("#").strip()
            attribute = _ATTRIBUTE.search(raw)
            if attribute:
                found.add(attribute[1])
            for title in {section.title, re.sub(r"[*_`]", "", raw)}:
                for slug in {
                    _github(title),
                    _python_markdown(title),
                    _github(_ascii(title)),
                    _redcarpet(title),
                    _redcarpet(title).strip("-"),
                }:
                    found.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
                    found.add(f"{slug}_{seen[slug]}" if seen[slug] else slug)
            for slug in {_github(section.title), _python_markdown(section.title)}:
                seen[slug] += 1
        for item in section.every_item():
            if isinstance(item, Html):
                found.update(_HTML.findall(item.text))
    for line in page.lines:
        glued = re.match(r"#{1,6}(?=[^\s#])(.+)", line)  # a heading to some tools, though not to CommonMark
        if glued:
            found.update((_github(glued[1]), _python_markdown(glued[1])))
        if "<a " in line or "id=" in line:
            found.update(_HTML.findall(line))
    return frozenset(found)


def _github(title: str) -> str:
    kept = "".join(c for c in title.strip().lower() if c.isalnum() or c in " -_" or unicodedata.category(c) == "Mn")
    return kept.replace(" ", "-")


def _python_markdown(title: str) -> str:
    bare = re.sub(r"[^\w\s-]", "", _ascii(title)).strip().lower()
    return re.sub(r"[-\s]+", "-", bare)


def _redcarpet(title: str) -> str:
    """As Redcarpet has it, which many sites of Middleman and Jekyll use: it escapes the title for HTML first."""
    escaped = title.replace("&", "&amp;").replace("'", "&#39;").replace('"', "&quot;").lower()
    return re.sub(r"[^\w]+", "-", re.sub(r"[*_`]", "", escaped))


def _ascii(title: str) -> str:
    return unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()


@lru_cache(maxsize=1024)
def anchors_of_file(file: Path) -> frozenset[str]:
    """The anchors of another page; none where it cannot be read."""
    try:
        return anchors_of(read_page(file.read_text(encoding="utf-8", errors="replace"), file))
    except OSError:
        return frozenset()
