"""One rule, one page: lint says of its bad example what the page says, and of the good one nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lint_project import TODAY, write_project

from pyrunbook.cli.main import main
from pyrunbook.lint.rule import Rule, page_of
from pyrunbook.lint.rules import rules
from pyrunbook.markdown.page import CodeBlock, Page, Section
from pyrunbook.markdown.page_reader import read_page

PAGES = Path(__file__).parents[2] / "docs" / "lint"
TITLE = re.compile(r'title="([^"]+)"')


def page(rule: Rule) -> Page:
    path = PAGES / f"{rule.id}.md"
    return read_page(path.read_text(encoding="utf-8"), path)


def section(of: Page, title: str) -> Section:
    return next(each for each in of.walk() if each.title == title)


def examples(of: Page, title: str) -> dict[str, str]:
    """The files of a section: the path behind the fence, and the content."""
    return {
        name[1]: block.text
        for block in section(of, title).codes()
        if (name := TITLE.search(of.lines[block.fence_line - 1]))
    }


def lint(project: Path, files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    for path, text in files.items():
        file = project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        # A fenced block ends its last line, so the page cannot show a file that does not.
        file.write_text(text.removesuffix("\n") if "no newline behind" in text else text, encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["lint", "--project", ".", "--today", TODAY, "."])
    return capsys.readouterr().out.splitlines()


def test_the_project_of_the_examples_is_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(write_project(tmp_path))
    assert lint(tmp_path, {}, capsys) == ["No findings in 4 runbooks and pages."]


@pytest.mark.parametrize("rule", rules().values(), ids=list(rules()))
def test_a_page_shows_what_its_rule_finds(
    rule: Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = page(rule)
    said = next(block for block in section(told, "Bad").codes() if block.language == "text")
    expected = said.text.splitlines()
    assert expected
    for name, wanted in (("Bad", expected), ("Good", [])):
        shown = examples(told, name)
        assert shown, f"{name} has no example"
        project = tmp_path / name
        project.mkdir()
        monkeypatch.chdir(write_project(project))
        assert [line for line in lint(project, shown, capsys) if f" {rule.id}: " in line] == wanted


@pytest.mark.parametrize("rule", rules().values(), ids=list(rules()))
def test_a_page_says_what_its_rule_says(rule: Rule) -> None:
    told = page(rule)
    assert told.lines[0] == f"# {rule.id}"
    assert told.lines[2] == f"{rule.summary} Level: {rule.level}."
    assert page_of(rule.id) == PAGES / f"{rule.id}.md"


def test_there_is_no_page_without_a_rule() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {*rules(), "README"}


def test_the_index_names_every_rule() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    rows = [line for line in index.splitlines() if line.startswith("| [")]
    assert rows == [f"| [{r.id}]({r.id}.md) | {r.level} | {r.summary} |" for r in rules().values()]


def test_a_module_that_is_no_rule_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrunbook.lint import rules as package

    (tmp_path / "misnamed.py").write_text("from pyrunbook.lint.rules.obsolete import check\n")
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    rules.cache_clear()
    try:
        with pytest.raises(TypeError, match=r"misnamed\.py: check has to be a Rule with the id of its module"):
            rules()
    finally:
        rules.cache_clear()


def test_examples_are_not_linted_where_they_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PAGES.parents[1])
    with pytest.raises(SystemExit) as ended:
        main(["lint", "docs/lint"])
    assert ended.value.code == 0, capsys.readouterr().out


def test_a_code_block_of_a_page_knows_its_fence() -> None:
    """What `examples` relies on: the fence, and the content without the fences around nested ones."""
    blocks = list(section(page(rules()["bad-waiver"]), "Bad").codes())
    assert isinstance(blocks[0], CodeBlock)
    assert "```bash" in blocks[0].text
