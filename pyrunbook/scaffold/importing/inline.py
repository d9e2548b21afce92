"""Commands among words: `Stop it with `systemctl stop worker`` has one, `Wait for `queue_depth`` has none."""

from __future__ import annotations

import re
from typing import NamedTuple

from pyrunbook.markdown.code import looks_like_shell
from pyrunbook.markdown.page import CodeBlock, Item, ListItem

_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_BEFORE = re.compile(
    r"(?i)(^|:|\b(?:run|with|using|via|type|execute|enter|by|use|do|lancer|lancez|avec|exécute[rz]|taper|tapez|par))\s*$"
)
"""What stands in front of a command, rather than of the name of a thing."""
_COMMAND = re.compile(r"(?:sudo )?[a-z][\w.-]*(?: +(?:[\w./@:=<>{}$\"'|&*,+~%?#-]|\[[^]]*\])+)+;?")


class Inline(NamedTuple):
    """A sentence with commands.

    Attributes:
        words: without a command at its end; all of it where the sentence goes on behind the command.
        title: what stands before the first command.
        commands: a line each.
    """

    words: str
    title: str
    commands: str


def inline_commands(source: str) -> Inline | None:
    """The commands of a text in Markdown; `None` where it has none."""
    found = [span for span in _CODE.finditer(source) if _is_command(source[: span.start()], span[1])]
    if not found:
        return None
    before = source[: found[0].start()].strip()
    title = re.sub(r"(?i)\s*(:|\b(with|using|via|by|avec|par)|\b(and )?(run|use|type|execute)|,)$", "", before).strip()
    behind = source[found[-1].end() :].strip(" .;")
    whole = behind or len(found) > 1
    words = " ".join(source.split()) if whole else title
    return Inline(words, title, "\n".join(span[1].strip() for span in found))


def _is_command(before: str, code: str) -> bool:
    if _BEFORE.search(before.rstrip()) is None:
        return False
    return looks_like_shell(code) or _COMMAND.fullmatch(code.strip()) is not None


def has_commands(item: Item) -> bool:
    """Whether an item of a list has commands: in a block of code, or among its words."""
    if isinstance(item, CodeBlock):
        return True
    if not isinstance(item, ListItem):
        return False
    return inline_commands(item.source) is not None or any(has_commands(inside) for inside in item.items)
