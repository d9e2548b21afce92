"""What a page says of itself in its front matter: a title, and facts such as its owner and its last review."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyrunbook.markdown import Label, Page
from pyrunbook.scaffold.importing.placed import Placed
from pyrunbook.scaffold.importing.procedures import is_fact

_ENTRY = re.compile(r"([A-Za-z][\w -]*?)\s*:\s*(\S.*?)\s*")


@dataclass(frozen=True)
class FrontMatter:
    """The entries that are understood; all others stay left over.

    Attributes:
        facts: as if they stood on the page as labels.
    """

    titled: Label | None = None
    facts: tuple[Label, ...] = ()

    def title(self, placed: Placed) -> str:
        """The page's title, whose line has found its place with that; empty where there is none."""
        if self.titled is None:
            return ""
        placed.line(self.titled.line)
        return self.titled.text


def read_front_matter(page: Page) -> FrontMatter:
    """The front matter of a page: only `key: value` on a line of its own."""
    lines = page.lines
    if not lines or lines[0].rstrip() != "---":
        return FrontMatter()
    titled: Label | None = None
    facts: list[Label] = []
    for number, line in enumerate(lines[1:], 2):
        if line.rstrip() in ("---", "..."):
            return FrontMatter(titled, tuple(facts))
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            continue
        name, value = entry[1].replace("_", " "), entry[2].strip("'\"")
        label = Label(name, value, value, number, 1, number)
        if name.lower() == "title":
            titled = label
        elif is_fact(name):
            facts.append(label)
    return FrontMatter()
