"""The checks of a rollback plan: no secret in them, and whole again with the inventory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyrunbook.redaction import MASK
from pyrunbook.rollout.checks import HttpCheck
from pyrunbook.rollout.kept_checks import REFERENCES, Unresolved, referring, resolved

CANARY = "Kanarie7x9Qz"
ORDERS: dict[str, Any] = {
    "name": "orders",
    "path": f"/orders?of={CANARY}&n=1",
    "method": "POST",
    "body": {"login": CANARY},
    "headers": {"X-Shop": CANARY, "Accept": "application/json"},
    "contains": f"for {CANARY}",
    "json": {"version": "1.0.4"},
    "latency": {"p95": 500},
}


def test_what_may_be_secret_is_left_out_and_found_again() -> None:
    kept = referring(ORDERS, [CANARY])
    assert CANARY not in json.dumps(kept)
    assert kept == {
        "name": "orders", "path": "/orders", "method": "POST", "headers": {"Accept": "application/json"},
        "json": {"version": "1.0.4"}, "latency": {"p95": 500},
        REFERENCES: ["query", "body", "contains", "headers.X-Shop"],
    }  # fmt: skip
    assert resolved(kept, [{"name": "another"}, ORDERS]) == ORDERS
    HttpCheck.parse(resolved(kept, [ORDERS]))


@pytest.mark.parametrize("part", ["path", "body", "contains", "headers"])
def test_nothing_is_made_up_for_a_part_that_is_gone(part: str) -> None:
    now = {key: value for key, value in ORDERS.items() if key != part}
    with pytest.raises(Unresolved, match=f"no {'query' if part == 'path' else part}"):
        resolved(referring(ORDERS, [CANARY]), [now])


def test_a_check_that_is_gone_or_an_input_that_nobody_keeps() -> None:
    with pytest.raises(Unresolved, match="no check of this name"):
        resolved(referring(ORDERS), [{"name": "another"}])
    with pytest.raises(Unresolved, match="no body"):
        resolved(referring(ORDERS, [CANARY]), [{**ORDERS, "body": {"login": MASK}}])


def test_a_path_that_is_secret() -> None:
    check = {"name": "web hook", "path": f"/hooks/{CANARY}?n=1"}
    kept = referring(check, [CANARY])
    assert CANARY not in json.dumps(kept)
    assert resolved(kept, [check]) == {**check, "headers": {}}


def test_checks_without_secrets_and_those_of_older_plans_stay_as_they_are() -> None:
    for check in ({"name": "health", "path": "/health", "requests": 20}, {**ORDERS, "path": "/x", "body": None}):
        assert resolved(check, []) == check
    plain = {"name": "version", "json": {"version": "1.0.4"}, "headers": {"Accept": "text/plain"}}
    assert referring(plain) == plain
