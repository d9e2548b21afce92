"""The answers that were agreed on: tests/unit/windows.yml."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from windows_asked import decide

from pyrunbook.errors import BadInput
from pyrunbook.windows import Schedule, parse, parse_instant

VECTORS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("windows.yml").read_text())


def cases(kind: str) -> list[tuple[str, str]]:
    return [(entry["window"], at) for entry in VECTORS["windows"] for at in entry.get(kind, [])]


@pytest.mark.parametrize(("spec", "at"), cases("open"))
def test_open(spec: str, at: str) -> None:
    assert decide(spec, parse_instant(at)).open


@pytest.mark.parametrize(("spec", "at"), cases("closed"))
def test_closed(spec: str, at: str) -> None:
    decision = decide(spec, parse_instant(at))
    assert (decision.open, decision.code) == (False, "outside")


@pytest.mark.parametrize("entry", [entry for entry in VECTORS["windows"] if "next" in entry])
def test_next(entry: dict[str, Any]) -> None:
    expected = entry["next"]
    found = next(Schedule.read(entry["window"]).upcoming(parse_instant(expected["at"])))
    assert (found.start, found.end) == (
        datetime.fromisoformat(expected["start"]),
        datetime.fromisoformat(expected["end"]),
    )


@pytest.mark.parametrize(
    ("spec", "part"),
    list(zip(
        VECTORS["invalid"],
        ["04:00-04:00", "25:00", "Sunn", "zone is missing", "Europe/Pariss", "sixth", "SECONDLY", '"02:00" have no end',
         "empty", "rm"],
        strict=True,
    )),
)  # fmt: skip
def test_the_message_names_the_part_that_is_wrong(spec: str, part: str) -> None:
    with pytest.raises(BadInput, match=part) as error:
        parse(spec)
    assert part in error.value.seen
    assert error.value.next_step
