"""What the benchmark of pages makes of what it measured; nothing is timed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import pages
from benchmarks.command_line import Start
from benchmarks.figures import Figure, Verdict
from pyrunbook.catalog import Catalog


def builds(seconds: list[float], peaks: list[float]) -> dict[int, list[pages.Build]]:
    """Two builds of each size; the second is disturbed by what else the machine does."""
    return {
        size: [pages.Build(Start(second, second), peak), pages.Build(Start(second * 3, second * 1.5), peak + 5)]
        for size, second, peak in zip(pages.SIZES, seconds, peaks, strict=True)
    }


def judged(seconds: list[float], peaks: list[float], theirs: dict[str, list[float]]) -> list[Figure]:
    return pages.judge(builds(seconds, peaks), theirs)


def test_what_is_linear_and_ten_times_as_fast_is_met() -> None:
    speed, time, memory, compared = judged([0.5, 5.4, 10.4], [40, 89, 139], {"docsible": [0.2, 0.3]})
    assert (speed.verdict, round(speed.value or 0, 1)) == (Verdict.NO_BOUND, 96.2)
    assert (time.verdict, memory.verdict) == (Verdict.MET, Verdict.MET)
    assert (time.value, memory.value) == (pytest.approx(9.9 / 4.9), pytest.approx(99 / 49))
    assert (compared.name, compared.verdict) == ("a page: pyrunbook docs build / docsible", Verdict.MET)
    assert compared.value == pytest.approx(0.013 / 0.25)


def test_growth_with_the_square_is_missed() -> None:
    _, time, memory, *_ = judged([0.5, 3.0, 10.5], [40, 65, 140], {})
    assert (time.verdict, memory.verdict) == (Verdict.MISSED, Verdict.MISSED)


def test_nine_times_as_fast_is_missed() -> None:
    *_, compared = judged([0.5, 5.4, 10.0], [40, 89, 139], {"aar-doc": [0.09, 0.1125]})
    assert compared.verdict is Verdict.MISSED


def test_what_is_generated_is_a_project_of_that_many_runbooks(tmp_path: Path) -> None:
    project = pages.generate(tmp_path / "project", 3)
    catalog = Catalog(project)
    assert catalog.own == [f"maintenance/update_{number:04}" for number in range(3)]
    assert all(len(catalog.get(name).steps()) > 5 for name in catalog.own)
    assert not list(project.glob("roles/*/molecule"))
