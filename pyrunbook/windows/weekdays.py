"""Days of the week."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar

ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}

_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Days of the week, every week or once a month. It has what a `Recurrence` has, too.

    Attributes:
        days: weekdays, Monday is 0.
        nth: 1 to 4 for the first to fourth such weekday of a month, -1 for the last; `None` for every week.
    """

    days: frozenset[int]
    nth: int | None = None
    ends: ClassVar = False
    interval: ClassVar = 1

    def dates(self, first: date) -> Iterator[date]:
        """All dates from `first` on, in order, without end; by the local calendar, never in UTC."""
        day = first
        while True:
            if day.weekday() in self.days and self._is_nth(day):
                yield day
            day += _ONE_DAY

    def ended(self, wall: datetime, utc: datetime) -> bool:  # noqa: ARG002 - as of `Recurrence`
        """Never."""
        return False

    def describe(self) -> str:
        """In words: `every Sunday`, `the first Sunday of each month`."""
        names = [_NAMES[day] for day in sorted(self.days)]
        if self.nth is not None:
            nth = next(word for word, number in ORDINALS.items() if number == self.nth)
            return f"{_listed([f'the {nth} {name}' for name in names])} of each month"
        return "every day" if len(names) == 7 else f"every {_listed(names)}"

    def _is_nth(self, day: date) -> bool:
        if self.nth is None:
            return True
        if self.nth == -1:
            return (day + 7 * _ONE_DAY).month != day.month
        return (day.day - 1) // 7 + 1 == self.nth


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
