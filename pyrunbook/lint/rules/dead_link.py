"""A link that leads nowhere."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyrunbook.lint.anchors import anchors_of_file
from pyrunbook.lint.rule import Context, Finding, Subject, rule

_KINDS = (".md", ".markdown", ".mdx", ".rst", ".adoc", ".html", ".erb", ".md.erb", ".html.erb")
_NAMES = ("", ".html", "/index", "/index.html", "/_index", "/README")
_PAGES = ("", *(f"{name}{kind}" for name in _NAMES for kind in _KINDS))
"""What stands in a site's source behind the link to a page."""


@rule("error", "A link leads to nothing.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Files and headings that are not there; pages of the web only where they are to be asked."""
    for link in subject.links:
        parts = urlsplit(link.target)
        if parts.scheme in ("http", "https"):
            said = context.answers(link.target) if context.answers else None
            if said:
                yield Finding(link.at, f"{link.target} {said}")
        elif not parts.scheme and not parts.netloc and link.target and not _templated(unquote(link.target)):
            message = _local(subject, context, unquote(parts.path), unquote(parts.fragment))
            if message:
                yield Finding(link.at, message)


def _local(subject: Subject, context: Context, path: str, fragment: str) -> str:
    if not path:
        known = subject.anchors if subject.kind == "page" else frozenset((fragment,))
        return f"there is no heading #{fragment} on this page" if fragment and fragment.lower() not in known else ""
    bases = _bases(subject, context, path)
    target = _found(bases, path)
    if target is None:
        return f"{path} is not there" if _in_source(bases, path) else ""
    if fragment and target.suffix in (".md", ".markdown") and fragment.lower() not in anchors_of_file(target):
        return f"{path} has no heading #{fragment}"
    return ""


def _bases(subject: Subject, context: Context, path: str) -> list[Path]:
    """The directories from which a path may be meant."""
    here = subject.file.parent
    if path.startswith("/"):  # of the site, and where that begins nobody says
        return [context.project.root, *here.parents, here]
    if subject.kind == "page" and path.startswith("images/"):  # which some sites keep for all their pages
        return [here, *here.parents]
    if subject.kind == "page":  # a page of a site that is served as a directory (`name/`) writes one level more
        return [here, here / subject.file.stem]
    return [context.project.root]


def _in_source(bases: list[Path], path: str) -> bool:
    """Whether what is meant has to be among the files here.

    A site also makes pages (from an API, from another repository), and forwards old addresses: what a link from the
    site's root leads to is known only where it names a file of the source; a page, only where its directory is there.
    """
    if re.search(r"\.(md|markdown|mdx|rst|adoc)$", path):
        return True
    if path.startswith("/"):
        return False
    page = re.search(r"(\.html?|/[^./]+/?)$", path) is not None
    return not page or any(Path(os.path.normpath(base / path)).parent.is_dir() for base in bases)


def _found(bases: list[Path], path: str) -> Path | None:
    for start in bases:
        wanted = Path(os.path.normpath(start / path.strip("/")))  # `gone/../here` is here, as in a browser
        for ending in _PAGES:
            candidate = Path(f"{wanted}{ending}")
            if candidate.is_file() or (not ending and candidate.is_dir()):
                return candidate
        if wanted.suffix == ".html" and wanted.with_suffix(".md").is_file():
            return wanted.with_suffix(".md")
    return None


def _templated(target: str) -> bool:
    return any(mark in target for mark in ("{{", "{%", "${", "<", "%="))
