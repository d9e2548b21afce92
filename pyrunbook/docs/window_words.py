"""A window in the words of a language: `Sunday, 02:00 to 04:00, UTC`; what has no such words stays as it is written."""

from __future__ import annotations

import re

_FORM = re.compile(r"(?:(?P<nth>\w+) )?(?P<days>[A-Za-z,-]+) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d) (?P<zone>\S+)")
_SHORT = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
}
_NTH = {
    "en": ("first", "second", "third", "fourth", "last"),
    "fr": ("premier", "deuxième", "troisième", "quatrième", "dernier"),
}
_WORDS = {
    "en": {"always": "open at all times", "daily": "every day", "range": "{} to {}", "month": "{} {} of the month",
           "hours": "{}, {} to {} ({})"},
    "fr": {"always": "ouverte en permanence", "daily": "tous les jours", "range": "du {} au {}",
           "month": "{} {} du mois", "hours": "{}, de {} à {} ({})"},
}  # fmt: skip


def window_in_words(spec: str, language: str) -> str:
    """A window, as `pyrunbook.windows.parse` reads it, in words."""
    words = _WORDS[language]
    if spec.strip().lower() == "always":
        return words["always"]
    found = _FORM.fullmatch(spec.strip())
    if found is None:
        return spec
    days = _days(found["days"], language)
    if found["nth"]:
        nth = dict(zip(_NTH["en"], _NTH[language], strict=True)).get(found["nth"].lower())
        days = words["month"].format(nth, days) if nth else f"{found['nth']} {days}"
    return words["hours"].format(days, found["start"], found["end"], found["zone"])


def _days(text: str, language: str) -> str:
    if text.lower() == "daily":
        return _WORDS[language]["daily"]
    names = dict(zip(_SHORT, _DAYS[language], strict=True))
    parts = []
    for part in text.split(","):
        first, dash, last = (names.get(day.capitalize(), day) for day in part.partition("-"))
        parts.append(_WORDS[language]["range"].format(first, last) if dash else first)
    return ", ".join(parts)
