"""A page on a terminal."""

from __future__ import annotations

import io
import re
import shutil

from rich.console import Console
from rich.markdown import Markdown

_DIAGRAM = re.compile(r"^#+ [^\n]*\n\n(`{3,})mermaid\n.*?^\1\n\n?", re.DOTALL | re.MULTILINE)
_HTML = re.compile(r"^<!--.*?-->\n|^<a id=[^\n]*\n", re.MULTILINE)
MOST_COLUMNS = 110


def rendered(page: str) -> str:
    """A Markdown page with the terminal's own means: no diagram, no anchors, lines that are not too long to read."""
    text = _HTML.sub("", _DIAGRAM.sub("", page))
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=width).print(Markdown(text))
    return out.getvalue()
