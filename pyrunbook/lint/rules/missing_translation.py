"""A text that is missing in a language in which the pages are written."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.subject import Subject

_NAMES = {"en": "English", "fr": "French"}


def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Each text, title and input that lacks one of the languages of the settings (`docs.languages`)."""
    for place in subject.untranslated:
        language, _, what = place.word.partition(" ")
        said = f"{what} is" if what else "the text is"
        yield Finding(place.at, f"{said} missing in {_NAMES.get(language, language)} ({language})")


RULE = Rule("missing-translation", "warning", "A text is missing in a language of the pages.", check)
