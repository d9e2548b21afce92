"""Lengths of time as operators write and read them: `1h30m` in, `1 h 30 min` out."""

from __future__ import annotations

import re
from datetime import timedelta

from pyrunbook.errors import BadInput

LONGEST = timedelta(days=366)

_WRITTEN = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `90s`, `30m`, `2h`, `1h30m` or `1d`.

    Args:
        text: whole numbers with the units `d`, `h`, `m` and `s`, largest first, each at most once, no spaces.

    Returns:
        The duration; zero (`0m`) is allowed.

    Raises:
        BadInput: the text is not a duration, or is longer than 366 days.
    """
    found = _WRITTEN.fullmatch(text) if isinstance(text, str) and text else None
    if found is None:
        raise BadInput(
            f'the duration "{shortened(text)}" is not understood',
            next_step="write it like 90s, 30m, 2h or 1h30m (units d, h, m, s; largest first)",
        )
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = seconds + 60 * minutes + 3600 * hours + 86400 * days
    if total > LONGEST.total_seconds():
        raise BadInput(f'the duration "{shortened(text)}" is longer than {LONGEST.days} days')
    return timedelta(seconds=total)


def format_duration(length: timedelta) -> str:
    """Write a duration for a reader: `1 h 43 min`, `14 h`, `2 d 3 h`, `45 s`.

    The two largest units are shown and the rest is cut off, never rounded up: what is left of a window must not
    look longer than it is. A negative duration is shown as `0 s`.
    """
    left = max(0, int(length.total_seconds()))
    for position, (size, unit) in enumerate(_UNITS):
        if left >= size:
            text = f"{left // size} {unit}"
            if position + 1 < len(_UNITS):
                smaller, smaller_unit = _UNITS[position + 1]
                if rest := left % size // smaller:
                    text += f" {rest} {smaller_unit}"
            return text
    return "0 s"


def shortened(text: object, most: int = 80) -> str:
    """A piece of input fit to be shown inside a message: one line, printable, at most `most` characters."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in str(text))
    return shown if len(shown) <= most else shown[: most - 1] + "…"
