"""docs/guides/first_service.md: its blocks, and how they are typed."""

from __future__ import annotations

import re
from pathlib import Path

from by_hand import ROOT, Shell

GUIDE = (ROOT / "docs/guides/first_service.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands below a heading of the second level."""
    return GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str, language: str) -> list[str]:
    """The blocks of a section, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)


def typed(shell: Shell, commands: str) -> str:
    """Type a block, which must succeed; what it said."""
    pasted = shell.paste(commands)
    assert pasted.code == 0, f"exit {pasted.code}: {pasted.said}\n{commands}"
    return pasted.said


def write_variables(project: Path, text: str) -> None:
    """Put the variables of the guide in place of the example's; who is called stays."""
    file = project / "inventories/production/group_vars/services.yml"
    kept = file.read_text(encoding="utf-8").partition("# Who is called")[2]
    file.write_text(f"{text}# Who is called{kept}", encoding="utf-8")
