"""What the site needs beyond its configuration: Mermaid from npm, colors of code, links that leave docs/, languages."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import subprocess
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from pygments.formatters import HtmlFormatter
from pymdownx.slugs import slugify

CHECKOUT = Path(__file__).parents[2]
# The small build that Mermaid's makers offer for web pages, without the rare kinds of diagrams. A new version: change
# both lines; the digest is what `make site` then says it saw.
MERMAID = "@mermaid-js/tiny@12.0.0"
MERMAID_SHA256 = "9f2807e402479d2864bfd9a95052076fc69d0ff45a0b25148b84b70fc33425b9"
MEMBER = "package/dist/mermaid.tiny.js"
CACHE = CHECKOUT / ".cache" / "site"

FIRST = ("runbooks", "guides", "lint", "kubernetes")
"""Order of the sections in the menu; the rest follows by name."""
ABBREVIATIONS = {"Pki": "PKI"}
"""Directories whose names are no words."""
LANGUAGES = {"en": "English", "fr": "Français"}
SETTLED = "settled:"
_SUFFIX = re.compile(r"\.(fr)(?=\.md$)")


def on_config(config: Any) -> Any:
    """Fail before the build when Mermaid cannot be had; treat links before the theme's own checks do."""
    mermaid()
    config.markdown_extensions.append(_Links())
    config.mdx_configs["toc"]["slugify"] = _anchor
    return config


def _anchor(heading: str, separator: str) -> str:
    """The anchor that GitHub makes of a heading; "1. Check" gets a letter first, for the theme's scripts."""
    slug = str(slugify(case="lower")(heading, separator))
    return f"s{slug}" if slug[:1].isdigit() else slug


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001 - the hook's interface
    """Remember which page is made, which an extension of Markdown is not told; have what is folded read as Markdown."""
    _LinkTree.page, _LinkTree.docs = page.file, Path(config.docs_dir)
    return re.sub(r"^<details>$", '<details markdown="1">', markdown, flags=re.MULTILINE)


def on_page_context(context: dict[str, Any], page: Any, config: Any, nav: Any) -> dict[str, Any]:  # noqa: ARG001
    """Name home and the page in the other languages, for the menu; home is where the site's name leads."""
    mine = context.get("i18n_page_locale", "en")
    where = page.file.dest_uri.removeprefix(f"{mine}/")
    context["home"] = _in_language("index.html", mine)
    context["languages"] = [
        {"locale": locale, "name": name, "url": _in_language(where, locale)}
        for locale, name in LANGUAGES.items()
        if locale != mine
    ]
    context["nav"] = copy(nav)
    context["nav"].items = [item for item in nav.items if not (item.is_page and item.is_index)]
    return context


def _in_language(address: str, locale: str) -> str:
    return address if locale == "en" else f"{locale}/{address}"


def on_nav(nav: Any, config: Any, files: Any) -> Any:  # noqa: ARG001
    """Put what is needed at night first; write abbreviations as such."""

    def rank(item: Any) -> tuple[int, str]:
        name = str(item.title or "").lower()
        return (FIRST.index(name) if name in FIRST else len(FIRST), name)

    nav.items.sort(key=rank)
    for item in nav.items:
        item.title = ABBREVIATIONS.get(item.title, item.title)
    return nav


def on_post_build(config: Any) -> None:
    """Write what is made rather than copied."""
    site = Path(config.site_dir)
    (site / "js" / "mermaid.js").write_bytes(mermaid().read_bytes())
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs("[data-bs-theme=dark] .highlight")
    # Paper is light. The background is the theme's, so that all blocks have the same.
    text = f"{light}\n@media screen {{\n{dark}\n}}\n"
    text = re.sub(r"^(?:\[data-bs-theme=dark\] )?\.highlight \{[^}]*\}", "", text, flags=re.MULTILINE)
    (site / "css" / "pygments.css").write_text(text, encoding="utf-8")


def mermaid() -> Path:
    """The file of Mermaid: that of MERMAID_JS where it is set, the cache's, or npm's; the same bytes for everybody."""
    if os.environ.get("MERMAID_JS"):
        return Path(os.environ["MERMAID_JS"])
    file = CACHE / f"{MERMAID.replace('/', '-').lstrip('@')}.js"
    if not file.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as directory:
            command = ["npm", "pack", MERMAID, "--silent", "--pack-destination", directory]
            try:
                subprocess.run(command, check=True, cwd=directory, stdout=subprocess.DEVNULL)
            except (OSError, subprocess.CalledProcessError) as error:
                raise SystemExit(
                    f"Error: the diagrams need {MERMAID}: {error}\n"
                    "Next: install npm, or name a file that you have: MERMAID_JS=mermaid.js make site"
                ) from None
            (archive,) = Path(directory).glob("*.tgz")
            with tarfile.open(archive) as tar:
                member = tar.extractfile(MEMBER)
                content = member.read() if member else b""
            digest = hashlib.sha256(content).hexdigest()
            if digest != MERMAID_SHA256:
                raise SystemExit(f"Error: {MERMAID} is not what it was: sha256 {digest}, expected {MERMAID_SHA256}")
            (Path(directory) / "whole").write_bytes(content)
            (Path(directory) / "whole").rename(file)
    return file


class _Links(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Python-Markdown's name
        # After links have been found (20), around the builder's own look at them (0).
        md.treeprocessors.register(_LinkTree(md), "pyrunbook-links", 1)
        md.treeprocessors.register(_Settled(md), "pyrunbook-settled", -1)


class _Settled(Treeprocessor):
    """Takes the mark off the addresses that the builder was not to look at."""

    def run(self, root: ET.Element) -> None:
        for anchor in root.iter("a"):
            if "href" in anchor.attrib:
                anchor.set("href", anchor.attrib["href"].removeprefix(SETTLED))


class _LinkTree(Treeprocessor):
    """Links as they work on GitHub, made to work in the site.

    To another language: as an address, because the site of one language does not know the files of another. To a
    directory: to its README. Out of docs/: as text, because the site does not have it.
    """

    page: Any
    docs: Path

    def run(self, root: ET.Element) -> None:
        for anchor in root.iter("a"):
            parts = urlsplit(anchor.get("href", ""))
            if parts.scheme or parts.netloc or not parts.path or parts.path.startswith("/"):
                continue
            here = posixpath.dirname(self.page.src_uri)
            target = posixpath.normpath(posixpath.join(here, unquote(parts.path)))
            fragment = f"#{parts.fragment}" if parts.fragment else ""
            if target.startswith("..") or (self.docs / target).is_dir():
                readme = posixpath.join(target, "README.md")
                if not target.startswith("..") and (self.docs / readme).is_file():
                    anchor.set("href", quote(posixpath.relpath(readme, here)) + fragment)
                else:
                    self._as_text(anchor, target)
            elif (locale := self._other_language(target)) is not None:
                anchor.set("href", SETTLED + self._address(target, locale) + fragment)
                anchor.set("hreflang", locale)
                anchor.set("class", "other-language")

    def _as_text(self, anchor: ET.Element, target: str) -> None:
        inside = posixpath.relpath(posixpath.join("docs", target))
        anchor.tag = "span"
        del anchor.attrib["href"]
        anchor.set("class", "not-here")
        anchor.set("title", f"{inside} (repository)")

    def _other_language(self, target: str) -> str | None:
        """The language of a target where it is the same page in another language, or is in another one by its name."""
        found = _SUFFIX.search(target)
        locale = found[1] if found else "en"
        mine = _SUFFIX.search(self.page.src_uri)
        my_locale = mine[1] if mine else "en"
        same_page = _SUFFIX.sub("", target) == _SUFFIX.sub("", self.page.src_uri)
        return locale if locale != my_locale and (found or same_page) else None

    def _address(self, target: str, locale: str) -> str:
        if not (self.docs / target).is_file():
            raise SystemExit(f"Error: {self.page.src_uri} links to {target}, which does not exist")
        name = re.sub(r"(?:README|index)$", "index", _SUFFIX.sub("", target).removesuffix(".md"))
        return quote(posixpath.relpath(_in_language(f"{name}.html", locale), posixpath.dirname(self.page.dest_uri)))
