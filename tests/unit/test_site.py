"""The HTML site: it builds strictly in both languages, every link leads somewhere, nothing comes from elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

CHECKOUT = Path(__file__).parents[2]


def build(project: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a copy; the real Mermaid is not needed to look at links."""
    stub = project / "mermaid-stub.js"
    stub.write_text("/* the diagrams */")
    environment = {**os.environ, "MERMAID_JS": str(stub)}
    command = [sys.executable, "-m", "properdocs", "build", "--config-file", ".config/properdocs.yml"]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=120)


def copied(to: Path) -> Path:
    for part in (".config", "docs"):
        shutil.copytree(CHECKOUT / part, to / part)
    if not (to / "docs/runbooks").is_dir():
        command = [sys.executable, "-m", "pyrunbook", "docs", "build", "--output", str(to / "docs/runbooks")]
        subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    return to


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = {""}
        self.language = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.language = given.get("lang", "") if tag == "html" else self.language
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and "href" in given:
            self.loads.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = copied(tmp_path_factory.mktemp("site"))
    done = build(project)
    assert done.returncode == 0, done.stdout + done.stderr
    return project / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file) for file in sorted(site.rglob("*.html"))}


def places(file: Path, links: list[str]) -> Iterator[tuple[str, Path, str]]:
    """Each link that stays in the site: as written, the file, the anchor."""
    for link in links:
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            yield link, (file.parent / unquote(parts.path)).resolve() if parts.path else file, unquote(parts.fragment)


def test_there_is_a_page_for_each_document_in_both_languages(site: Path, pages: dict[Path, Page]) -> None:
    docs = site.parent / "docs"
    for source in docs.rglob("*.md"):
        name = source.relative_to(docs).as_posix().removesuffix(".md").removesuffix(".fr")
        name = name.removesuffix("README") + "index" if name.endswith("README") else name
        for language, folder in (("en", site), ("fr", site / "fr")):
            file = folder / f"{name}.html"
            assert file.is_file(), source
            assert pages[file].language == language


def test_every_link_leads_to_a_page_and_an_anchor_that_are_there(pages: dict[Path, Page]) -> None:
    seen = 0
    for file, page in pages.items():
        if file.name == "404.html":  # its links are those of a server's root
            continue
        for link, target, anchor in places(file, page.links):
            assert target.is_file(), f"{file}: {link}"
            if target in pages and anchor:
                assert anchor in pages[target].anchors, f"{file}: {link}"
            seen += 1
    assert seen > 100


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    for file, page in pages.items():
        if file.name == "404.html":
            continue
        for load in page.loads:
            assert not urlsplit(load).netloc, f"{file}: {load}"
        for load, target, _ in places(file, page.loads):
            assert target.is_file() or load.startswith("data:"), f"{file}: {load}"
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert "@import" not in text, style
        assert "url(http" not in text.replace('"', "").replace("'", ""), style
        assert "url(//" not in text, style


def test_the_menu_and_the_page_lead_to_the_other_language(site: Path, pages: dict[Path, Page]) -> None:
    english = site / "runbooks/maintenance/production_update.html"
    french = site / "fr/runbooks/maintenance/production_update.html"
    for one, other in ((english, french), (french, english)):
        targets = [target for _, target, _ in places(one, pages[one].links)]
        assert targets.count(other.resolve()) >= 2, "one link of the menu, one of the page itself"
    assert (site / "fr/index.html").resolve() in [target for _, target, _ in places(french, pages[french].links)]
    assert "Rechercher" in french.read_text(encoding="utf-8")


def test_what_is_in_no_site_is_text(site: Path) -> None:
    html = (site / "kubernetes/index.html").read_text(encoding="utf-8")
    assert 'title="inventories/production (repository)"' in html
    assert "../inventories" not in html


def test_diagrams_checkboxes_and_commands_are_made_for_the_screen(site: Path) -> None:
    html = (site / "runbooks/maintenance/production_update.html").read_text(encoding="utf-8")
    assert '<div class="mermaid">flowchart TD' in html
    assert 'class="task-list-item"' in html
    assert '<div class="highlight"><pre>' in html
    assert (site / "js/mermaid.js").read_text() == "/* the diagrams */"
    assert ".highlight .k " in (site / "css/pygments.css").read_text()


def test_what_is_folded_is_made_of_markdown_and_opens_for_print(site: Path) -> None:
    """A browser with scripts opens it before it prints, any other by the style for paper."""
    html = (site / "runbooks/maintenance/production_update.html").read_text(encoding="utf-8")
    folded = re.findall(r"<details>\n<summary>By hand</summary>\n(.*?)</details>", html, re.DOTALL)
    assert len(folded) > 5 and all('<div class="highlight"><pre>' in part for part in folded)
    assert "```" not in html and "markdown=" not in html
    screen = html[html.index("<h1") : html.index('id="information"')]
    assert "<details>" not in screen and screen.count('<div class="highlight">') == 2
    paper = (site / "css/site.css").read_text().partition("@media print {")[2]
    assert "details::details-content { content-visibility: visible; block-size: auto; }" in paper
    assert '"beforeprint"' in (site / "js/site.js").read_text()


def test_no_anchor_begins_with_a_digit(pages: dict[Path, Page]) -> None:
    """The theme looks for anchors as CSS selectors; one that is none ends its script, and with it menu and search."""
    for file, page in pages.items():
        if file.name == "404.html":  # the theme's own
            continue
        assert [anchor for anchor in page.anchors if anchor[:1].isdigit()] == [], file


def test_words_of_both_languages_are_found(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    assert index["config"]["lang"] == ["en", "fr"]
    texts = {entry["location"]: entry["text"] for entry in index["docs"]}
    assert any(location.startswith("fr/runbooks/") and "sauvegarde" in text for location, text in texts.items())
    assert any(location.startswith("runbooks/") and "backup" in text for location, text in texts.items())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x](gone.md)", "gone.md"),
        ("[x](operating.md#gone)", "#gone"),
        ("[x](/absolute.md)", "/absolute.md"),
        ("[x](operating.fr.md)", "operating.fr.md, which does not exist"),
    ],
)
def test_a_dead_link_fails_the_build(tmp_path: Path, text: str, said: str) -> None:
    project = copied(tmp_path)
    for folder in ("runbooks", "lint"):  # not to build more than is needed
        shutil.rmtree(project / "docs" / folder, ignore_errors=True)
    for home in (project / "docs").glob("README*.md"):
        home.write_text("# Home\n")
    (project / "docs/guides/new.md").write_text(f"# New\n\n{text}\n")
    done = build(project)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_mermaid_is_not_taken_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of the same name and version with other bytes is refused: nobody looks at what a browser runs."""
    import importlib.util
    import io
    import tarfile

    spec = importlib.util.spec_from_file_location("site_hook", CHECKOUT / ".config/site/hook.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)

    def packs(command: list[str], **_: object) -> None:
        with tarfile.open(Path(command[-1]) / "x.tgz", "w:gz") as tar:
            member = tarfile.TarInfo(hook.MEMBER)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"evil"))

    monkeypatch.delenv("MERMAID_JS", raising=False)
    monkeypatch.setattr(hook, "CACHE", tmp_path)
    monkeypatch.setattr(hook.subprocess, "run", packs)
    with pytest.raises(SystemExit, match="is not what it was"):
        hook.mermaid()
    assert [path for path in tmp_path.iterdir() if path.suffix == ".js"] == []

    def has_no_npm(*_: object, **__: object) -> None:
        raise FileNotFoundError("npm")

    monkeypatch.setattr(hook.subprocess, "run", has_no_npm)
    with pytest.raises(SystemExit, match="Next: install npm"):
        hook.mermaid()
