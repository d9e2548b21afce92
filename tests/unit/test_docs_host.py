"""What is shipped for a machine, and the guides: rights that are exactly what is asked for, what exists."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from sample_project import read_target

from pyrunbook.cli.main import root
from pyrunbook.docs.collection import collect
from pyrunbook.on_target import units
from pyrunbook.on_target.units import Systemd, UnitError

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_sudoers_allows_what_the_code_asks_of_systemctl_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()

    def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
        asked.add(shlex.join(argv[2:]))
        enabled = "enabled" if answer == "active" else "disabled"
        said = f"LoadState=loaded\nActiveState={answer}\nMainPID=1\nUnitFileState={enabled}\n"
        return subprocess.CompletedProcess(argv, 0, said, "")

    monkeypatch.setattr(units, "_run", run)
    answer = "active"
    for color in ("blue", "green"):
        unit, systemd = f"agent-factory@{color}", Systemd(["sudo", "-n", "/usr/bin/systemctl"])
        for answer in ("active", "inactive"):  # noqa: B007  # read by run()
            for act in (systemd.start, systemd.stop, systemd.running, systemd.words):
                try:
                    act(unit)
                except UnitError:
                    continue
            for runs in (True, False):
                systemd.keep_over_reboot(unit, runs)

    text = (ROOT / "docs/host/sudoers").read_text().replace("\\\n", "")
    (listed,) = re.findall(r"^Cmnd_Alias \w+ = (.*)$", text, re.MULTILINE)
    allowed = {command.strip().replace("\\,", ",") for command in re.split(r"(?<!\\),", listed)}
    assert allowed == asked
    listed_by_us = Systemd(["/usr/bin/systemctl"]).commands("agent-factory@blue", "agent-factory@green")
    assert allowed == {shlex.join(command) for command in listed_by_us}, "what preflight asks sudo about"
    assert "NOPASSWD: AGENT_FACTORY" in text
    assert not re.search(r"[*?\[!]", listed), "a wildcard of sudo matches more than it looks like"


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def _commands() -> list[tuple[str, str]]:
    """Page and text of each pyrunbook command in a code block or between backticks."""
    found = []
    for page in PAGES:
        lines = [line.lstrip("$ ") for block in _blocks(page) for line in block.splitlines()]
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        lines += [re.sub(r"\s+", " ", text) for text in re.findall(r"`([^`]+)`", prose)]
        found += [(page.name, line) for line in lines if line.startswith("pyrunbook ")]
    return found


def _wrong(text: str) -> str:
    """What does not exist in a command; empty when all does."""
    words = shlex.split(text, comments=True)[1:]
    command: Any = root
    context = click.Context(root)
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        command = command.get_command(context, words[0])
        if command is None:
            return f"no command {words[0]!r}"
        del words[0]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", "-h", "--version"}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return ", ".join(sorted(given - known))


def test_commands_of_the_pages_exist() -> None:
    commands = _commands()
    assert len(commands) > 40
    wrong = [f"{page}: {text}: {what}" for page, text in commands if (what := _wrong(text))]
    assert not wrong
    assert _wrong("pyrunbook explode") == "no command 'explode'"
    assert _wrong("pyrunbook recover RUN --nonsense") == "--nonsense"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_the_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(<?([^)>]+)>?\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            slugs |= set(re.findall(r'<a id="([^"]+)">', other.read_text()))
            assert anchor in slugs, f"{page.name}: {target}"


@pytest.mark.parametrize("inventory", ["inventories/production", "inventories/staging", "docs/host/inventory.yml"])
def test_an_inventory_that_ships_leaves_no_blank_on_a_page(inventory: str) -> None:
    """Nobody who copies it has to find out at night that no one is named to be called."""
    made = collect(read_target(ROOT, ROOT / inventory), ("en",))
    assert not made.problems
    pages = {name: text for name, text in made.files.items() if "/" in name}
    assert len(pages) > 2
    for name, text in pages.items():
        assert "not in the inventory" not in text, name
        assert "What is missing on this page" not in text, name


@pytest.mark.parametrize("guide", ["guides/host.md", "kubernetes/README.md"])
def test_a_guide_leaves_what_is_typed_to_the_pages(guide: str) -> None:
    """Commands in two places differ one day; a guide says what each step does, and where its commands are."""
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    table = text.partition("## What each step does")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| \w+ \| ", table, re.MULTILINE)) > 8
    assert "pyrunbook docs show maintenance/production_update -i" in table
    assert not re.search(r"kubectl|systemctl|curl|ln -s", "".join(re.findall(r"^\|.*$", table, re.MULTILINE)))
