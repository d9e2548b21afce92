"""The kinds of values that metadata is made of, beyond those of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyrunbook.errors import BadInput

LANGUAGES = ("en", "fr")
"""Languages that a text may be in; English is required, because it is what is shown where another is missing."""


class Text(str):
    """A text for readers. It is its English words; `in_language` gives the others."""

    __slots__ = ("_languages",)
    _languages: dict[str, str]

    def __new__(cls, english: str, **others: str) -> Text:
        """Make a text from its words in each language."""
        text = super().__new__(cls, english)
        text._languages = {"en": english, **others}
        return text

    def in_language(self, language: str) -> str:
        """The words in a language; in English where they are missing."""
        return self._languages.get(language, str(self))

    def say_in(self, language: str, words: str) -> None:
        """Give the text its words in another language; for its reader only."""
        self._languages[language] = words

    @property
    def languages(self) -> dict[str, str]:
        """Language to words."""
        return dict(self._languages)


class Duration(timedelta):
    """A length of time, written as in `pyrunbook.windows.duration`: `90s`, `30m`, `1h30m`."""


class WindowSpec(str):
    """A window as `pyrunbook.windows.parse` reads it; checked, and kept as it is written."""

    __slots__ = ()


class Condition(str):
    """What must hold, as Ansible writes it after `when`; checked, and kept as it is written."""

    __slots__ = ()


class Exclusion(str):
    """What closes a window: a date, a range `a..b`, or the absolute path of an iCalendar file."""

    __slots__ = ()


NO_TIME = Duration()


def read_value(kind: type[Any], raw: Any, directory: Path) -> Any:
    """Make one of the values above from plain YAML data; msgspec's `dec_hook`.

    Args:
        kind: which.
        raw: what the file says.
        directory: of the file; a relative path of a calendar starts there.

    Raises:
        ValueError: it is malformed; says how to write it.
    """
    try:
        if kind is Text:
            return _text(raw)
        if kind is Duration:
            return _duration(raw)
        if kind is WindowSpec:
            return _window(raw)
        if kind is Exclusion:
            return _exclusion(raw, directory)
        if kind is Condition:
            return _condition(raw)
        if hasattr(kind, "parse"):
            return kind.parse(raw)
    except BadInput as error:
        raise ValueError("; ".join(part for part in (error.seen, error.means, error.next_step) if part)) from None
    raise NotImplementedError(kind)


def _text(raw: Any) -> Text:
    if isinstance(raw, str) and raw.strip():
        return Text(raw.strip())
    if isinstance(raw, Mapping) and raw:
        unknown = [str(key) for key in raw if key not in LANGUAGES]
        if unknown:
            raise ValueError(f"unknown language {', '.join(unknown)}; the languages are {', '.join(LANGUAGES)}")
        if not all(isinstance(words, str) and words.strip() for words in raw.values()):
            raise ValueError("each language needs words")
        if "en" not in raw:
            raise ValueError("the English words (en) are missing")
        return Text(raw["en"].strip(), **{key: words.strip() for key, words in raw.items() if key != "en"})
    raise ValueError("expected a text, or a mapping of language (en, fr) to text")


def _duration(raw: Any) -> Duration:
    from pyrunbook.windows.duration import parse_duration

    if not isinstance(raw, str):
        raise ValueError(f"expected a duration such as 90s, 30m or 1h30m, got {raw!r}")
    return Duration(seconds=parse_duration(raw).total_seconds())


def _window(raw: Any) -> WindowSpec:
    from pyrunbook.windows.grammar import parse

    if not isinstance(raw, str):
        raise ValueError(f"expected a window such as Sun 02:00-04:00 UTC, got {raw!r}")
    parse(raw)
    return WindowSpec(raw)


def _condition(raw: Any) -> Condition:
    from pyrunbook.catalog.templates import check_condition

    if isinstance(raw, bool):
        raw = str(raw).lower()
    if not isinstance(raw, str):
        raise ValueError(f"expected a condition such as update_strategy == 'controlled_stop', got {raw!r}")
    check_condition(raw)
    return Condition(raw)


def _exclusion(raw: Any, directory: Path) -> Exclusion:
    from datetime import date

    from pyrunbook.windows.exclusions import read_exclusion
    from pyrunbook.windows.grammar import UTC_ZONE

    text = raw.isoformat() if type(raw) is date else raw
    if not isinstance(text, str):
        raise ValueError(f"expected a date, a range of dates or the path of a calendar, got {raw!r}")
    if text.endswith(".ics"):
        text = str(directory / Path(text).expanduser())
    read_exclusion(text, UTC_ZONE)
    return Exclusion(text)


# What a schema can say of `pyrunbook.windows.grammar`; in the dialect that JavaScript and Python share.
_WINDOW = (
    r"^\s*([Aa][Ll][Ww][Aa][Yy][Ss]"
    r"|[Rr][Rr][Uu][Ll][Ee]:\S+\s+\d{2}:\d{2}\s+\S+\s+[A-Za-z0-9][A-Za-z0-9_+/-]*"
    r"|(\S+\s+){1,2}\d{2}:\d{2}-\d{2}:\d{2}\s+[A-Za-z0-9][A-Za-z0-9_+/-]*)\s*$"
)


def schema_of(kind: type[Any]) -> dict[str, Any]:
    """The JSON schema of one of the values above; msgspec's `schema_hook`."""
    if kind is Text:
        words = {"type": "string", "pattern": r"\S"}
        languages = {"type": "object", "properties": dict.fromkeys(LANGUAGES, words), "required": ["en"]}
        return {"anyOf": [words, languages | {"additionalProperties": False}]}
    if kind is Duration:
        return {"type": "string", "pattern": r"^(?=.)(\d{1,9}d)?(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?$"}
    if kind is WindowSpec:
        return {"type": "string", "pattern": _WINDOW}
    if kind is Exclusion:
        return {"type": "string", "pattern": r"^(\d{4}-\d{2}-\d{2}(\.\.\d{4}-\d{2}-\d{2})?|.*\.[Ii][Cc][Ss])$"}
    if kind is Condition:
        return {"type": ["string", "boolean"], "pattern": r"\S"}
    raise NotImplementedError(kind)
