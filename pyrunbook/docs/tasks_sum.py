"""The sum of what a role does: pages note it beside the commands by hand that were compared with it."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from pyrunbook import places


def tasks_sum(tasks: Path, platforms: Collection[str], others: Collection[str]) -> str:
    """Of a role's tasks, of our actions that they call, and of what those do on a platform; without comments.

    Args:
        platforms: those that the page shows.
        others: those that it does not; what is for them does not count.

    Returns:
        12 hexadecimal digits.
    """
    found = hashlib.sha256()
    for file in sorted(file for file in tasks.rglob("*.y*ml") if not file.stem.startswith(tuple(others))):
        text = file.read_text(encoding="utf-8", errors="replace").replace(f"{places.COLLECTION}.", "")
        for part in (text, *_code(text, tuple(platforms))):
            for line in part.splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    found.update(f"{line.rstrip()}\n".encode())
    return found.hexdigest()[:12]


def _code(tasks: str, platforms: Collection[str]) -> Iterator[str]:
    package = places.package()
    for action in re.findall(r"^ +(\w+):", tasks, re.MULTILINE):
        file = places.collection() / "plugins/action" / f"{action}.py"
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            yield text
            called = set(re.findall(r"\bplatform\.(\w+)\(", text))
            for platform in platforms:
                methods = _methods(package / "platforms" / f"{platform}.py")
                yield from (methods[name] for name in sorted(called & methods.keys()))


@cache
def _methods(file: Path) -> dict[str, str]:
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    defined = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_source_segment(text, node) or "" for node in defined}
