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
    "en": {"first": "first {} of the month", "second": "second {} of the month", "third": "third {} of the month",
               "fourth": "fourth {} of the month", "last": "last {} of the month"},
    "fr": {"first": "premier {} du mois", "second": "deuxième {} du mois", "third": "troisième {} du mois",
               "fourth": "quatrième {} du mois", "last": "dernier {} du mois"},
}  # fmt: skip
_WORDS = {
    "en": {"always": "open at all times", "daily": "every day", "range": "{} to {}", "hours": "{}, {} to {} ({})"},
    "fr": {"always": "ouverte en permanence", "daily": "tous les jours", "range": "du {} au {}",
           "hours": "{}, de {} à {} ({})"},
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
        days = _NTH[language].get(found["nth"].lower(), found["nth"] + " {}").format(days)
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
