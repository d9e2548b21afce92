"""A measured figure, its bound, and how figures are shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a figure says about its bound. Only figures that are `MET` or carry no bound let a run pass."""

    MET = "met"
    MISSED = "MISSED"
    NOT_MEASURED = "NOT MEASURED"
    NO_BOUND = ""


class NotMeasured(Exception):
    """A measurement could not be made; the text says why and what to do."""


@dataclass(frozen=True)
class Figure:
    """One line of the result.

    Attributes:
        part: number of the promise that it belongs to.
        name: what was measured.
        value: the figure; `None` when it could not be measured.
        unit: of `value`, `bound` and `samples`.
        how: how `value` came from `samples`: `sum`, `median`, `maximum`, `ratio of medians` …
        bound: the most that `value` may be; `None` for a figure that only informs.
        samples: what each repetition gave.
        note: what one has to know to read the figure.
    """

    part: int
    name: str
    value: float | None
    unit: str
    how: str
    bound: float | None = None
    samples: tuple[float, ...] = ()
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """How the figure stands to its bound."""
        if self.value is None:
            return Verdict.NOT_MEASURED
        if self.bound is None:
            return Verdict.NO_BOUND
        return Verdict.MET if self.value <= self.bound else Verdict.MISSED

    def to_dict(self) -> dict[str, Any]:
        """As `--json` writes it."""
        return {**asdict(self), "samples": list(self.samples), "verdict": self.verdict.value or "no bound"}


def missing(part: int, name: str, bound: float | None, unit: str, why: str) -> Figure:
    """The line of a figure that could not be measured."""
    return Figure(part, name, None, unit, "not measured", bound, note=why)


def median(
    part: int, name: str, samples: Sequence[float], unit: str, bound: float | None = None, note: str = ""
) -> Figure:
    """The figure that is the median of its repetitions."""
    return Figure(part, name, statistics.median(samples), unit, "median", bound, tuple(samples), note)


def ratio(
    part: int, name: str, ours: Sequence[float], theirs: Sequence[float], bound: float | None, note: str = ""
) -> Figure:
    """Median of ours by the median of theirs; the samples are the ratios of the pairs, in the order measured.

    Raises:
        NotMeasured: there is nothing to divide by.
    """
    if not ours or not theirs or min(theirs) <= 0:
        raise NotMeasured(f"{name}: nothing to compare with ({len(ours)} and {len(theirs)} measurements)")
    value = statistics.median(ours) / statistics.median(theirs)
    pairs = tuple(one / other for one, other in zip(ours, theirs, strict=True))
    return Figure(part, name, value, "x", "ratio of medians", bound, pairs, note)


def passes(figures: Sequence[Figure]) -> bool:
    """Whether there are figures, and all their bounds are met."""
    return bool(figures) and all(figure.verdict in (Verdict.MET, Verdict.NO_BOUND) for figure in figures)


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "-"
    digits = 0 if value == int(value) and abs(value) < 1e6 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}{f' {unit}' if unit else ''}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as text: one line each, with their notes below."""
    head = ("", "what", "figure", "bound", "", "how", "n", "min", "median", "max")
    rows = [head]
    for figure in figures:
        samples = figure.samples
        spread = (
            (_number(min(samples)), _number(statistics.median(samples)), _number(max(samples)))
            if samples
            else ("", "", "")
        )
        rows.append(
            (
                str(figure.part),
                figure.name,
                _number(figure.value, figure.unit),
                "" if figure.bound is None else f"<= {_number(figure.bound)}",
                figure.verdict.value,
                figure.how,
                str(len(samples) or ""),
                *spread,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row, note in zip(rows, ["", *(figure.note for figure in figures)], strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        lines += [" " * (widths[0] + 4) + line for line in note.splitlines()]
    return "\n".join(lines)
