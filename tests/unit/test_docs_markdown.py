"""Pages are sound Markdown whatever the metadata holds, and the same bytes wherever and whenever they are made."""

from __future__ import annotations

import locale
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sample_project import UPDATE, read_target, write

from pyrunbook.catalog import Runbook, StepNotes, Text, Trouble
from pyrunbook.catalog.contacts import Contact
from pyrunbook.catalog.runbook import Step, read_runbook
from pyrunbook.docs.collection import collect
from pyrunbook.docs.markdown_text import cell, code, fence, link, plain_text
from pyrunbook.docs.page import RunbookPage
from pyrunbook.docs.target import Target

MARKDOWN = MarkdownIt("commonmark").enable("table")
NASTY = [
    "a | b", "`", "``` sh", "```\nrm -rf /\n```", "~~~", "# heading", "- item", "1. one", "> quote", "<!-- comment",
    "<script>x", "<div>", "</details>", "{{ secret", "{{ 1/0 }}", "{% raw", "a\nb", "a\n\n# b", "a\r\n| b |\r\n|---|",
    "[x]: http://e", "[x](y", "***", "---", "=====", "\\", "a\\", "`` ` ``", "`a", "|", "| a | b |", "\t code",
    "    code", "a  \nb", "&lt;", "![x](y)", "\u2028# x", "\x0b- x", "\x85# x", "\u00e9\u00a0: x",
    "{{ drain_timeout }}", "*a", "_a_", "<https://example.com>", "<?php", "<![CDATA[", "\\`", "\\\\`x`", "a `b|c` d",
    "-", "+", "1)", "#", "``",
]  # fmt: skip
PIECES = [*"|`<>#*_-+~\\[](){}!&\n\r\t =1.a", "```", "{{ a }}", "<!--", "-->"]
nasty = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.lists(st.sampled_from(PIECES), min_size=1).map("".join),
).filter(str.strip)


def blocks(markdown: str) -> list[str]:
    """The structure: each block that begins or ends, and the head of each code block."""
    return [
        token.type + (f" {token.info}" if token.type == "fence" else "")
        for token in MARKDOWN.parse(markdown)
        if token.type != "inline"
    ]


def inlines(markdown: str) -> list[str]:
    """The text of each paragraph, heading and cell."""
    return [token.content for token in MARKDOWN.parse(markdown) if token.type == "inline"]


@given(nasty)
@example("--")
@example("```")
@example("\\`x` y`")
def test_a_plain_text_is_one_paragraph_wherever_it_stands(text: str) -> None:
    shown = plain_text(text)
    paragraph = ["paragraph_open", "paragraph_close"]
    assert "\n" not in shown
    assert blocks(f"{shown}\n\n# next")[:2] == paragraph
    assert blocks(f"- {shown}\n") == ["bullet_list_open", "list_item_open", *paragraph, "list_item_close",
                                      "bullet_list_close"]  # fmt: skip
    (tokens,) = [token for token in MARKDOWN.parse(f"{shown} `mine`") if token.type == "inline"]
    inline = tokens.children or []
    assert inline[-1].type == "code_inline" and inline[-1].content == "mine", "its code reaches beyond it"
    assert not [token for token in inline if token.type in ("html_inline", "softbreak", "hardbreak")]
    assert (len(shown) - len(shown.rstrip("\\"))) % 2 == 0, "what follows would be escaped"


@pytest.mark.parametrize("text", ["`kubectl get <name>`", "**now**", "[a](b)", "l'état\u00a0: « x »", "a < b", "5 * 3"])
def test_markdown_within_a_line_stays(text: str) -> None:
    assert plain_text(text) == text


@given(nasty, nasty)
@example("a | b", "c | d")
def test_cells_keep_a_row_together(first: str, second: str) -> None:
    table = f"| a | b |\n|---|---|\n| {cell(plain_text(first))} | {cell(code(second) + ' end')} |\n"
    kinds = blocks(table)
    assert (kinds.count("td_open"), kinds.count("tr_open"), kinds[-1]) == (2, 2, "table_close")
    assert table.strip().endswith(" end |") and inlines(table)[-1].endswith(" end"), "the row has more cells"


@given(nasty)
def test_a_fence_holds_its_text(text: str) -> None:
    shown = fence(text) + "\n\n# next"
    assert blocks(shown) == ["fence bash", "heading_open", "heading_close"]


@given(nasty, st.text())
@example("[x](y) ]", "a b)<c>")
def test_a_link_is_one(text: str, target: str) -> None:
    (tokens,) = [token for token in MARKDOWN.parse(f"x {link('[1] a', f'#{target}')} y") if token.type == "inline"]
    assert [token.type for token in tokens.children or []] == ["text", "link_open", "text", "link_close", "text"]
    assert blocks(link(plain_text(text), "#a")) == ["paragraph_open", "paragraph_close"]


# --- any text in the metadata ---------------------------------------------------------------------------------------


class Anything(RunbookPage):
    """A page of which every text of the metadata and of the notes is one and the same."""

    def __init__(self, runbook: Runbook, target: Target, text: str) -> None:
        self._text = text
        metadata = _with(runbook.metadata, text)
        inputs = {name: msgspec.structs.replace(item, description=text, default=text, choices=[text, "x"])
                  for name, item in runbook.spec.options.items()}  # fmt: skip
        spec = msgspec.structs.replace(runbook.spec, runbook=metadata, options=inputs)
        contacts = {
            key: _with(contact, text) if isinstance(contact, Contact) else msgspec.structs.replace(contact, reach=text)
            for key, contact in target.contacts.items()
        }
        super().__init__(replace(runbook, spec=spec), replace(target, contacts=contacts), "en", languages=("en", "fr"))

    @cached_property
    def _catalog_steps(self) -> list[Step]:
        steps = self.runbook.steps(self.target.strategy)
        return [
            replace(step, title=self._text, conditions=(self._text,), notes=_with(step.notes, self._text))
            for step in steps
        ]


def _with(value, text):  # type: ignore[no-untyped-def]
    """A copy in which each `Text` is the text, and each command and name of an error, too."""
    if isinstance(value, Text):
        return Text(text, fr=text)
    if isinstance(value, msgspec.Struct):
        changes = {field.name: _with(getattr(value, field.name), text) for field in msgspec.structs.fields(value)}
        if isinstance(value, Trouble):
            changes |= {"error": text, "commands": (text,)}
        for name in ("owner", "commands", "reach", "name", "url"):
            if isinstance(changes.get(name), str) and changes[name]:
                changes[name] = Text(text, fr=text) if name == "name" else text
        return msgspec.structs.replace(value, **changes)
    if isinstance(value, tuple):
        return tuple(_with(item, text) for item in value)
    return value


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runbook, Target]:
    project = write(tmp_path_factory.mktemp("sample"))
    path = project / "playbooks" / f"{UPDATE}.yml"
    return read_runbook(UPDATE, path, (project / "roles",)), read_target(project, project / "inventories/production")


def _outline(page: str) -> tuple[list[str], int, int]:
    """The blocks of a page; in how many places of its text and of its code `END` is seen; how much of it is HTML.

    Without its last section: what is missing depends on the blanks of a text.
    """
    shown = page.partition("\n## What is missing on this page\n")[0]
    tokens = MARKDOWN.parse(shown)
    html = sum(child.type == "html_inline" for token in tokens for child in token.children or ())
    return blocks(shown), sum(token.content.count("END") for token in tokens), html


@pytest.fixture(scope="module")
def ordinary(sample: tuple[Runbook, Target]) -> tuple[list[str], int, int]:
    """What a page looks like whose texts are harmless."""
    return _outline(Anything(*sample, "word END").as_markdown())


@settings(max_examples=40, deadline=None)
@given(text=nasty)
@example("```\n")
@example("<!--")
@example("<b> |")
@example("| a |\n|---|")
def test_no_text_of_the_metadata_breaks_the_page(
    sample: tuple[Runbook, Target], ordinary: tuple[list[str], int, int], text: str
) -> None:
    """A page has the same blocks whatever its texts say: no table, cell, list, heading or code is opened or lost."""
    assert _outline(Anything(*sample, f"{text} END").as_markdown()) == ordinary
    assert _outline(Anything(*sample, f"END {text}").as_markdown()) == ordinary


def test_the_structs_above_are_those_of_a_page(sample: tuple[Runbook, Target]) -> None:
    """The property means something only while the text reaches all places."""
    page = Anything(*sample, "SEVENTEEN").as_markdown()
    assert page.count("SEVENTEEN") > 60
    for heading in ("Prerequisites", "Procedure", "Verification", "Rollback", "Troubleshooting", "Inputs"):
        assert "SEVENTEEN" in page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0], heading
    assert isinstance(sample[0].steps()[0].notes, StepNotes)


# --- the same bytes -------------------------------------------------------------------------------------------------


def _pages(project: Path) -> dict[str, str]:
    return collect(read_target(project, project / "inventories/production"), ("en", "fr")).files


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Another directory, another time zone, and as far as the machine has them another locale."""
    before = locale.setlocale(locale.LC_ALL)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    for name in ("fr_FR.UTF-8", "C.UTF-8"):
        try:
            locale.setlocale(locale.LC_ALL, name)
            break
        except locale.Error:
            continue
    yield
    locale.setlocale(locale.LC_ALL, before)


def test_the_same_input_gives_the_same_pages(tmp_path: Path) -> None:
    project = write(tmp_path / "a")
    assert _pages(project) == _pages(project)


@pytest.mark.usefixtures("elsewhere")
def test_where_the_checkout_stands_does_not_show(tmp_path: Path) -> None:
    pages = _pages(write(tmp_path / "a"))
    assert pages == _pages(write(tmp_path / "deep" / "er" / "b c"))
    assert not [name for name, text in pages.items() if str(tmp_path) in text]


def test_neither_hash_seed_nor_locale_nor_zone_nor_directory_show(tmp_path: Path) -> None:
    """In processes of their own, because a process keeps its hash seed."""
    project = write(tmp_path / "shop")
    program = textwrap.dedent("""
        import json, pathlib, sys
        from pyrunbook.docs.collection import collect
        from pyrunbook.docs.target import choose
        from pyrunbook.project.inventory import read_services
        project = pathlib.Path(sys.argv[1])
        source = project / "inventories/production"
        made = collect(choose(project, source, read_services(source)), ("en", "fr"))
        print(json.dumps(made.files))
    """)
    seen = set()
    for seed, zone, language, directory in (
        ("1", "UTC", "C", tmp_path),
        ("2", "America/St_Johns", "fr_FR.UTF-8", Path("/")),
        (str(random.randint(3, 4_000_000_000)), "Asia/Kathmandu", "C.UTF-8", project),
    ):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language, "LANG": language}
        seen.add(subprocess.check_output([sys.executable, "-c", program, project], env=environment, cwd=directory))
    assert len(seen) == 1


def test_files_are_the_same_whatever_the_order_of_the_directory(tmp_path: Path) -> None:
    project, backwards = tmp_path / "a", tmp_path / "b"
    write(project)
    for file in sorted(project.rglob("*"), reverse=True):
        if file.is_file():
            copy = backwards / file.relative_to(project)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    assert _pages(project) == _pages(backwards)
