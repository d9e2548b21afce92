"""The kinds of values that metadata is made of, beyond those of YAML.

Each reads itself (`parse`, which raises `ValueError` or `BadInput` and says how to write it), and has its `SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pyrunbook.errors import BadInput

LANGUAGES = ("en", "fr")
"""Languages that a text may be in; English is required, because it is what is shown where another is missing."""


_WORDS: dict[str, Any] = {"type": "string", "pattern": r"\S"}
# What a schema can say of `pyrunbook.windows.grammar`; in the dialect that JavaScript and Python share.
_WINDOW = (
    r"^\s*([Aa][Ll][Ww][Aa][Yy][Ss]"
    r"|[Rr][Rr][Uu][Ll][Ee]:\S+\s+\d{2}:\d{2}\s+\S+\s+[A-Za-z0-9][A-Za-z0-9_+/-]*"
    r"|(\S+\s+){1,2}\d{2}:\d{2}-\d{2}:\d{2}\s+[A-Za-z0-9][A-Za-z0-9_+/-]*)\s*$"
)


class Text(str):
    """A text for readers. It is its English words; `in_language` gives the others."""

    __slots__ = ("_languages",)
    _languages: dict[str, str]
    SCHEMA: ClassVar[dict[str, Any]] = {
        "anyOf": [
            _WORDS,
            {
                "type": "object",
                "properties": dict.fromkeys(LANGUAGES, _WORDS),
                "required": ["en"],
                "additionalProperties": False,
            },
        ]
    }

    def __new__(cls, english: str, **others: str) -> Text:
        """Make a text from its words in each language."""
        text = super().__new__(cls, english)
        text._languages = {"en": english, **others}
        return text

    @classmethod
    def parse(cls, raw: Any) -> Text:
        """Read words, or a mapping of language to words."""
        if isinstance(raw, str) and raw.strip():
            return cls(raw.strip())
        if not isinstance(raw, Mapping) or not raw:
            raise ValueError("expected a text, or a mapping of language (en, fr) to text")
        if unknown := [str(key) for key in raw if key not in LANGUAGES]:
            raise ValueError(f"unknown language {', '.join(unknown)}; the languages are {', '.join(LANGUAGES)}")
        if not all(isinstance(words, str) and words.strip() for words in raw.values()):
            raise ValueError("each language needs words")
        if "en" not in raw:
            raise ValueError("the English words (en) are missing")
        return cls(raw["en"].strip(), **{key: words.strip() for key, words in raw.items() if key != "en"})

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

    SCHEMA: ClassVar = {"type": "string", "pattern": r"^(?=.)(\d{1,9}d)?(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?$"}

    @classmethod
    def parse(cls, raw: Any) -> Duration:
        """Read a duration."""
        from pyrunbook.windows.duration import parse_duration

        if not isinstance(raw, str):
            raise ValueError(f"expected a duration such as 90s, 30m or 1h30m, got {raw!r}")
        return cls(seconds=parse_duration(raw).total_seconds())


class WindowSpec(str):
    """A window as `pyrunbook.windows.parse` reads it; checked, and kept as it is written."""

    __slots__ = ()
    SCHEMA: ClassVar = {"type": "string", "pattern": _WINDOW}

    @classmethod
    def parse(cls, raw: Any) -> WindowSpec:
        """Check a window."""
        from pyrunbook.windows.grammar import parse

        if not isinstance(raw, str):
            raise ValueError(f"expected a window such as Sun 02:00-04:00 UTC, got {raw!r}")
        parse(raw)
        return cls(raw)


class Condition(str):
    """What must hold, as Ansible writes it after `when`; checked, and kept as it is written."""

    __slots__ = ()
    SCHEMA: ClassVar = {"type": ["string", "boolean"], "pattern": r"\S"}

    @classmethod
    def parse(cls, raw: Any) -> Condition:
        """Check a condition."""
        from pyrunbook.catalog.templates import check_condition

        if isinstance(raw, bool):
            raw = str(raw).lower()
        if not isinstance(raw, str):
            raise ValueError(f"expected a condition such as update_strategy == 'controlled_stop', got {raw!r}")
        check_condition(raw)
        return cls(raw)


class Exclusion(str):
    """What closes a window: a date, a range `a..b`, or the absolute path of an iCalendar file."""

    __slots__ = ()
    SCHEMA: ClassVar = {
        "type": "string",
        "pattern": r"^(\d{4}-\d{2}-\d{2}(\.\.\d{4}-\d{2}-\d{2})?|.*\.[Ii][Cc][Ss])$",
    }

    @classmethod
    def parse(cls, raw: Any, directory: Path) -> Exclusion:
        """Check an exclusion; a relative path of a calendar starts at `directory`."""
        from datetime import date

        from pyrunbook.windows.exclusions import read_exclusion
        from pyrunbook.windows.grammar import UTC_ZONE

        text = raw.isoformat() if type(raw) is date else raw
        if not isinstance(text, str):
            raise ValueError(f"expected a date, a range of dates or the path of a calendar, got {raw!r}")
        if text.endswith(".ics"):
            text = str(directory / Path(text).expanduser())
        read_exclusion(text, UTC_ZONE)
        return cls(text)


NO_TIME = Duration()


def read_value(kind: type[Any], raw: Any, directory: Path) -> Any:
    """Make one of the values above, or another that has `parse`, from plain YAML data; msgspec's `dec_hook`.

    Raises:
        ValueError: it is malformed; says how to write it.
    """
    try:
        return kind.parse(raw, directory) if kind is Exclusion else kind.parse(raw)
    except BadInput as error:
        raise ValueError("; ".join(part for part in (error.seen, error.means, error.next_step) if part)) from None
