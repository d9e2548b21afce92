"""A page on a terminal: lines that fit, commands that can be copied, nothing that only a browser can show."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from click import unstyle
from sample_project import UPDATE, read_target, write

from pyrunbook.cli.page_view import MOST_COLUMNS, rendered
from pyrunbook.docs.collection import collect

ROOT = Path(__file__).parents[2]


@cache
def page(language: str = "en") -> str:
    """One that ships: long commands, wide tables, a diagram."""
    target = read_target(ROOT, ROOT / "inventories/production")
    made = collect(target, (language,), only=["production_update"], all_languages=("en", "fr"))
    (text,) = made.files.values()
    return text


def commands(text: str) -> list[str]:
    return [line for block in re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
            for line in block.splitlines()]  # fmt: skip


@pytest.mark.parametrize("columns", [40, 80, 160, 500])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_prose_and_tables_fit_and_commands_are_whole(language: str, columns: int) -> None:
    text = page(language)
    lines = unstyle(rendered(text, columns)).splitlines()
    typed = commands(text)
    assert len(typed) > 100
    assert not [line for line in typed if line.rstrip() not in lines], "a command is broken or indented"
    assert max(len(line) for line in lines if line not in typed) <= min(columns, MOST_COLUMNS)
    assert not [line for line in lines if line != line.rstrip()]


def test_nothing_is_cut_off() -> None:
    """At 80 columns a default in a table is longer than its cell."""
    assert "…" not in unstyle(rendered(page(), 80))


def test_what_only_a_browser_shows_is_left_out() -> None:
    shown = unstyle(rendered(page(), 80))
    for left_out in (
        "mermaid",
        "flowchart",
        "<a id",
        "<!--",
        "production_update.fr.md",
        "<details",
        "<summary",
        "```",
        "(#",
        "[ ]",
    ):
        assert left_out not in shown, left_out
    for kept in (
        "Production update",
        "By hand",
        "Just this step, with its guards",
        "☐ A complete backup has been validated",
        "http://grafana:3000",
        "Error: OOMKilled",
    ):
        assert kept in shown
    assert "Flow" not in shown.splitlines()


def test_it_is_styled_and_the_same_each_time() -> None:
    first = rendered(page(), 80)
    assert "\x1b[" in first and first == rendered(page(), 80)
    assert "\x1b]8" not in first, "a link with an id that differs each time"


def test_a_code_block_within_a_longer_fence() -> None:
    text = "# A\n\n````bash\ncat <<'END'\n```\nEND\n````\n\nAfter.\n"
    lines = unstyle(rendered(text, 80)).splitlines()
    assert [line for line in lines if line] == [lines[0], "cat <<'END'", "```", "END", "After."]


def on_a_terminal(project: Path, *arguments: str, **environment: str) -> str:
    """What `pyrunbook docs show` writes to a terminal of 80 columns."""
    leader, follower = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("PAGER", "LESS", "NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [sys.executable, "-m", "pyrunbook", "docs", "show", *arguments], cwd=project, stdin=follower, stdout=follower,
        stderr=subprocess.PIPE, env={**kept, "TERM": "xterm", "COLUMNS": "80", **environment},
    )  # fmt: skip
    os.close(follower)
    seen = b""
    with contextlib.suppress(OSError):  # how Linux says that nobody has the terminal open any more
        while chunk := os.read(leader, 65536):
            seen += chunk
    os.close(leader)
    assert process.stderr is not None
    assert (process.wait(timeout=60), process.stderr.read()) == (0, b"")
    process.stderr.close()
    return seen.decode().replace("\r\n", "\n")


def test_the_operators_pager_is_used(tmp_path: Path) -> None:
    project = write(tmp_path / "shop")
    seen = on_a_terminal(project, UPDATE, PAGER="sed s/^/through-the-pager:/")
    lines = seen.splitlines()
    assert len(lines) > 100 and all(line.startswith("through-the-pager:") for line in lines)
    assert "\x1b[" not in seen, "a pager that is not known to take styles gets none"


def test_raw_is_markdown_on_a_terminal_too(tmp_path: Path) -> None:
    project = write(tmp_path / "shop")
    seen = on_a_terminal(project, UPDATE, "--raw", PAGER="false")
    assert "\n```bash\n" in seen and "\x1b[" not in seen
