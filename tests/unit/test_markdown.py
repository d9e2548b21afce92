"""Reading Markdown pages: what is found, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrunbook.markdown.page import CodeBlock, Html, Label, ListItem, Page, Paragraph, Table, flattened
from pyrunbook.markdown.page_reader import read_page
from pyrunbook.markdown.words import plain_title

FILE = Path("page.md")


def page(text: str) -> Page:
    return read_page(text, FILE)


def items(text: str) -> list[object]:
    return list(flattened(page(text).root.items))


def test_sections_are_a_tree_with_lines() -> None:
    found = page("intro\n\n# **One** 🚨\n\n### Deep\ntext\n\n## Two ⚙️\n\nTitle\n=====\nend\n")
    assert [(s.level, s.title, s.line, s.end) for s in found.walk()] == [
        (0, "", 1, 13),
        (1, "One", 3, 9),
        (3, "Deep", 5, 7),
        (2, "Two", 8, 9),
        (1, "Title", 10, 13),
    ]
    one = found.root.sections[0]
    assert [child.title for child in one.sections] == ["Deep", "Two"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("📖 RUNBOOK - AGENT", "RUNBOOK - AGENT"),
        ("⚙️ Procédures  Maintenance", "Procédures Maintenance"),
        ("1️⃣ First", "1 First"),
        ("👩🏽‍🚒 Crew", "Crew"),
        ("Below 4 °C © → №", "Below 4 °C © → №"),
    ],
)
def test_titles_lose_their_emoji_and_nothing_else(written: str, said: str) -> None:
    assert plain_title(written) == said


def test_front_matter_is_skipped_and_lines_stay() -> None:
    found = page("---\ntitle: x\n# no heading\n---\n# Heading\n")
    assert [(s.title, s.line) for s in found.walk()] == [("", 1), ("Heading", 5)]
    assert found.root.items == ()
    assert page("---\ntext without an end\n").root.items, "a rule, not front matter"


def test_labels_in_both_ways_of_writing() -> None:
    text = "before\n**Symptoms :** slow\n**Impact**: `a` [b](http://c)\nand more\n**Cause :**\n"
    before, symptoms, impact, cause = items(text)
    assert isinstance(before, Paragraph)
    assert before.text == "before"
    assert isinstance(symptoms, Label)
    assert (symptoms.name, symptoms.text, symptoms.line) == ("Symptoms", "slow", 2)
    assert isinstance(impact, Label)
    assert (impact.name, impact.text, impact.source) == ("Impact", "a b\nand more", "`a` [b](http://c)\nand more")
    assert (impact.line, impact.end, [link.target for link in impact.links]) == (3, 4, ["http://c"])
    assert isinstance(cause, Label)
    assert (cause.name, cause.text) == ("Cause", "")


def test_bold_words_without_a_colon_are_no_label() -> None:
    (question,) = items("**Q: What now?**\n")
    assert isinstance(question, Paragraph)
    assert question.bold
    (text,) = items("**Never** do that: it hurts\n")
    assert isinstance(text, Paragraph)
    assert not text.bold


def test_list_items() -> None:
    found = items("3. **Stop** it\n4. **Note**: wait\n   - [x] done\n   - [ ] not done\n     twice\n")
    stop, note, done, undone = (item for item in found if isinstance(item, ListItem))
    assert (stop.number, stop.text, stop.label, stop.bold, stop.checked) == (3, "Stop it", None, False, None)
    assert note.label is not None
    assert (note.number, note.label.name, note.label.text, note.end) == (4, "Note", "wait", 5)
    assert (done.checked, done.text, done.line, done.column) == (True, "done", 3, 4)
    assert (undone.checked, undone.text, undone.source) == (False, "not done\ntwice", "not done\ntwice")


def test_code_blocks_know_where_they_stand() -> None:
    text = "1. **Do**\n   ```Bash title=x\n     a\n\n   b\n   ```\n\n> ~~~\n> c\n\ntext\n\n    d\n    e\n\n```\nf"
    do, quoted, indented, unclosed = (item for item in items(text) if isinstance(item, CodeBlock))
    assert (do.language, do.text, do.fence_line, do.line, do.column, do.end) == ("bash", "  a\n\nb\n", 2, 3, 4, 6)
    assert list(do.commands()) == [(3, "  a"), (5, "b")]
    assert (quoted.text, quoted.line, quoted.column) == ("c\n", 9, 3)
    assert (indented.text, indented.line, indented.column, indented.end) == ("d\ne\n", 13, 5, 14)
    assert not indented.fenced
    assert (unclosed.text, unclosed.line) == ("f", 17)


def test_an_empty_block_has_no_text() -> None:
    (empty,) = items("```\n```\n")
    assert isinstance(empty, CodeBlock)
    assert empty.text == ""


def test_tables_and_links() -> None:
    table, text = items(
        "| a | b |\n|---|---|\n| c `d` | [e](x.md) |\n\nsee ![plan](p.png)\nand [the page][1]\n\n[1]: http://host/\n"
    )
    assert isinstance(table, Table)
    assert (table.head, table.rows, table.row_lines) == (("a", "b"), (("c d", "e"),), (3,))
    assert [(link.target, link.line, link.column) for link in table.links] == [("x.md", 3, 15)]
    assert isinstance(text, Paragraph)
    assert [(link.text, link.target, link.line) for link in text.links] == [
        ("plan", "p.png", 5),
        ("the page", "http://host/", 6),
    ]


def test_comments_are_found_in_and_between_paragraphs() -> None:
    found = [item for item in items("text <!-- one -->\nmore\n\n<!-- two\nlines -->\n") if isinstance(item, Html)]
    assert [(item.text, item.line, item.column) for item in found] == [
        ("<!-- one -->", 1, 6),
        ("<!-- two\nlines -->", 4, 1),
    ]


NESTED = """\
# Guide

```markdown
# Inside

```bash
first
```
**Expected**: fine

~~~
second
~~~
```

## After

```sh
third
```
"""


def test_a_block_of_markdown_may_hold_blocks_behind_equal_fences() -> None:
    found = page(NESTED)
    assert [section.title for section in found.walk()] == ["", "Guide", "After"]
    (inside,) = found.embedded()
    assert [(section.title, section.line) for section in inside.walk()] == [("", 4), ("Inside", 4)]
    assert [(code.language, list(code.commands())) for code in found.codes()] == [
        ("bash", [(7, "first")]),
        ("", [(12, "second")]),
        ("sh", [(19, "third")]),
    ]


def test_a_block_of_markdown_without_inner_blocks_ends_where_commonmark_says() -> None:
    found = page("```md\n# Inside\n```\n# After\n")
    assert [section.title for section in found.walk()] == ["", "After"]
    assert [section.title for inside in found.embedded() for section in inside.walk()] == ["", "Inside"]


SOURCE = Path(__file__).parents[1] / "source"


@pytest.mark.parametrize("name", ["operations-runbook.md", "runbook-authoring.md"])
def test_every_command_of_the_source_documents_is_found_at_its_line(name: str) -> None:
    """Against a reader that knows these two documents alone: what stands behind ```bash, up to the next ```."""
    text = (SOURCE / name).read_text(encoding="utf-8")
    wanted: list[tuple[int, str]] = []
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() in ("```bash", "```"):
            inside = line.strip() == "```bash"
        elif inside and line.strip():
            wanted.append((number, line.strip()))
    assert len(wanted) == {"operations-runbook.md": 75, "runbook-authoring.md": 36}[name]
    found = [(number, line.strip()) for code in page(text).codes() if code.language for number, line in code.commands()]
    assert found == wanted


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["# T", "## U", "```", "```bash", "```markdown", "~~~", "- a", "1. b", "   c", "    d", "> q", "> ```", "",
             "**L**: v", "**L :** v", "| a |", "|---|", "- [ ] x", "---", "<!-- c", "-->", "\tt", "[l](u)", "   ```"]
        ),
        max_size=25,
    )
)  # fmt: skip
def test_anything_can_be_read_and_lines_are_lines_of_the_file(lines: list[str]) -> None:
    found = page("\n".join(lines))

    def look(seen: Page) -> None:
        last = 0
        for section in seen.walk():
            assert section.line >= last
            last = section.line
            for item in section.every_item():
                assert 1 <= item.line <= item.end + 1 <= len(lines) + 2
                assert item.column >= 1
            for code in section.codes():
                for number, line in code.commands():
                    assert lines[number - 1].expandtabs(4).strip("> ") in (line.expandtabs(4).strip("> "), line.strip())

    look(found)
    for inside in found.embedded():
        look(inside)
