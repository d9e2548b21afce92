"""A link that leads nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyrunbook.lint.anchors import anchors_of_file
from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.subject import Subject

_PAGES = ("", ".md", ".markdown", "/index.md", "/_index.md", "/README.md")
"""What sites write behind the link to a page."""


def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Files and headings that are not there; pages of the web only where they are to be asked."""
    for link in subject.links:
        parts = urlsplit(link.target)
        if parts.scheme in ("http", "https"):
            said = context.answers(link.target) if context.answers else None
            if said:
                yield Finding(link.at, f"{link.target} {said}")
        elif not parts.scheme and not parts.netloc and link.target and not _templated(link.target):
            message = _local(subject, context, unquote(parts.path), unquote(parts.fragment))
            if message:
                yield Finding(link.at, message)


def _local(subject: Subject, context: Context, path: str, fragment: str) -> str:
    if not path:
        known = subject.anchors if subject.kind == "page" else frozenset((fragment,))
        return f"there is no heading #{fragment} on this page" if fragment and fragment.lower() not in known else ""
    target = _found(subject, context, path)
    if target is None:
        return f"{path} is not there"
    if fragment and target.suffix in (".md", ".markdown") and fragment.lower() not in anchors_of_file(target):
        return f"{path} has no heading #{fragment}"
    return ""


def _found(subject: Subject, context: Context, path: str) -> Path | None:
    here = subject.file.parent
    if path.startswith("/"):  # of the site, and where that begins nobody says
        bases = [context.project.root, *here.parents, here]
    elif subject.kind == "page":  # a page of a site that is served as a directory (`name/`) writes one level more
        bases = [here, here / subject.file.stem]
    else:
        bases = [context.project.root]
    for start in bases:
        wanted = start / path.strip("/")
        for ending in _PAGES:
            candidate = Path(f"{wanted}{ending}")
            if candidate.is_file() or (not ending and candidate.is_dir()):
                return candidate
        if wanted.suffix == ".html" and wanted.with_suffix(".md").is_file():
            return wanted.with_suffix(".md")
    return None


def _templated(target: str) -> bool:
    return any(mark in target for mark in ("{{", "{%", "${", "<"))


RULE = Rule("dead-link", "error", "A link leads to nothing.", check)
