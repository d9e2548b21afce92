"""Rollback plans: sealed, written once, found again, never executed when damaged."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrunbook.errors import BadInput
from pyrunbook.on_target import durable
from pyrunbook.rollout import plan
from pyrunbook.rollout.plan import Plan

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), json_values, max_size=4)


def made(**changes: Any) -> Plan:
    first = Plan(
        id="7f3a0001",
        service="agent-factory",
        platform="host",
        runbook="maintenance/production_update",
        operator="ada",
        created="2026-11-21T10:00:00.000+00:00",
        active="blue",
        preview="green",
        release="1.0.4",
        host={"active": "blue"},
    )
    return replace(first, **changes)


@settings(deadline=None)
@given(host=st.none() | objects, backup=st.none() | objects, verify=st.none() | st.lists(objects, max_size=3))
def test_what_is_sealed_comes_out_the_same(host: Any, backup: Any, verify: Any) -> None:
    sealed = made(host=host, backup=backup, verify=verify).sealed()
    assert plan.unseal(sealed, "here") == made(host=host, backup=backup, verify=verify)


@settings(deadline=None)
@given(st.data())
def test_a_changed_character_is_found(data: st.DataObject) -> None:
    """Wherever a character is replaced: the plan is refused, or nothing of it has changed."""
    sealed = made(release="é 1.0.4").sealed()
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(blacklist_categories=["Cs"]).filter(lambda c: c != sealed[place]))
    try:
        found = plan.unseal(sealed[:place] + other + sealed[place + 1 :], "here")
    except BadInput:
        return
    assert found == made(release="é 1.0.4")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "3",
        '"plan"',
        "{}",
        '{"plan": []}',
        '{"plan": {"schema": 1}}',
        '{"plan": {"schema": 1, "id": 2}}',
    ],
)
def test_what_is_not_a_plan_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="the ConfigMap is not a rollback plan"):
        plan.unseal(text, "the ConfigMap")


def test_a_plan_of_another_version_is_not_guessed_at() -> None:
    sealed = json.loads(made().sealed())
    sealed["plan"]["schema"] = 3
    with pytest.raises(BadInput, match="schema 3; this pyrunbook reads schema 1 and 2"):
        plan.unseal(json.dumps(sealed), "here")


def test_a_plan_is_recorded_once(tmp_path: Path) -> None:
    kept, written = plan.record(made(), tmp_path / "plans")
    assert written
    again, written_again = plan.record(made(active="green", created="2027-01-01T00:00:00+00:00"), tmp_path / "plans")
    assert not written_again
    assert again == kept == made()


def test_a_plan_is_private(tmp_path: Path) -> None:
    plan.record(made(), tmp_path / "plans")
    path = plan.path_of("7f3a0001", "agent-factory", tmp_path / "plans")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_crash_while_it_is_written_leaves_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable.os, "replace", crash)
    with pytest.raises(OSError, match="No space"):
        plan.record(made(), tmp_path)
    monkeypatch.undo()
    assert plan.local(tmp_path) == []
    assert plan.record(made(), tmp_path) == (made(), True)


def test_a_damaged_plan_is_an_error_not_a_reason_to_write_a_new_one(tmp_path: Path) -> None:
    plan.record(made(), tmp_path)
    path = plan.path_of("7f3a0001", "agent-factory", tmp_path)
    path.write_text(path.read_text().replace("blue", "green"))
    with pytest.raises(BadInput, match="checksum does not match"):
        plan.record(made(), tmp_path)
    with pytest.raises(BadInput, match="checksum does not match"):
        plan.read(path)
    assert plan.local(tmp_path) == []


def test_reading_a_plan_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no rollback plan at"):
        plan.read(tmp_path / "x" / "y.json")


def test_find(tmp_path: Path) -> None:
    for number, plan_id in enumerate(("7f3a0001", "7f3b0002", "90000003")):
        plan.record(made(id=plan_id, created=f"2026-11-2{number}T10:00:00.000+00:00"), tmp_path)
    plan.record(made(id="90000003", service="second", created="2026-11-22T10:00:01.000+00:00"), tmp_path)
    assert [p.service for p in plan.find("latest", tmp_path)] == ["second", "agent-factory"]
    assert [p.id for p in plan.find("7f3a", tmp_path)] == ["7f3a0001"]
    assert [p.id for p in plan.find("90000003", tmp_path)] == ["90000003", "90000003"]
    with pytest.raises(BadInput, match=r"2 rollback plans match '7f3'.*90000003, 7f3b0002, 7f3a0001"):
        plan.find("7f3", tmp_path)
    with pytest.raises(BadInput, match="no rollback plan 'ffff'"):
        plan.find("ffff", tmp_path)


def test_find_where_there_is_none(tmp_path: Path) -> None:
    for selector in ("latest", "7f3a", ""):
        with pytest.raises(BadInput, match="there is: none"):
            plan.find(selector, tmp_path / "gone")
