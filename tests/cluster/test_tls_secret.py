"""The pair in a Secret: replaced in one write, put back, and explained whenever something else wrote or a run died."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_api import Api
from secrets_under_test import (
    LEDGER,
    SECRET,
    content,
    issue,
    live,
    pair_in,
    retired,
    rotate,
    secret,
    serves,
    staged,
    standing,
)

from pyrunbook.errors import PyrunbookError
from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import Rejected, Unreachable
from pyrunbook.kubernetes.tls_secret import VERSION_ANNOTATION, SecretPair
from pyrunbook.on_target.rotation_state import PairError
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority

ROOT = Path(__file__).parents[2]


def test_two_rotations_keep_the_previous_pair(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    first, second, third = (issue(issuer) for _ in range(3))
    assert standing(pair)["can"] == ["start"]
    assert rotate(pair, "run1", first) == []
    assert serves(api, first) and live(api)["type"] == "kubernetes.io/tls"
    rotate(pair, "run2", second)
    assert serves(api, second)
    assert live(api)["metadata"]["annotations"][VERSION_ANNOTATION] == second.serial
    assert [(e["version"], e["run"], e["replaced_by"]) for e in pair.look()["retired"]] == [
        (first.serial, "run2", second.serial)
    ]
    assert pair.settle(first.serial)
    assert not pair.settle(first.serial)
    assert rotate(pair, "run3", third) == [first.serial]
    assert set(content(api, LEDGER)) == {
        *(f"{each.serial}.{part}" for each in (second, third) for part in ("crt", "key")),
        "retired.json",
    }
    found = pair.look()["pairs"][second.serial]
    assert found == {"certificate": second.certificate_pem.decode(), "matches": True, "problem": ""}


def test_what_somebody_else_has_written_is_kept_and_comes_back(
    api: Api, pair: SecretPair, issuer: LocalAuthority
) -> None:
    theirs, new = issue(issuer), issue(issuer)
    made = secret(theirs)
    made["data"]["ca.crt"] = made["data"]["tls.crt"]
    made["metadata"]["labels"] = {"team": "a"}
    made["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": made["data"]["tls.key"],
        "note": "kept",
    }
    api.create(made)
    assert standing(pair)["current"] == theirs.serial
    staged(pair, "run1", new)
    assert serves(api, theirs)
    pair.activate("run1")
    assert serves(api, new)
    metadata = live(api)["metadata"]
    assert metadata["labels"]["team"] == "a" and metadata["annotations"]["note"] == "kept"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in metadata["annotations"], "it holds the old key"
    assert content(api)["ca.crt"] == theirs.certificate_pem
    assert pair.put_back("run1") and serves(api, theirs)
    assert not pair.put_back("run1")
    assert pair.conclude("run1") == [new.serial]
    assert pair.conclude("run1") == [] and retired(pair) == []
    assert standing(pair)["current"] == theirs.serial


def test_put_back_where_there_was_nothing(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    staged(pair, "run1", issue(issuer))
    pair.activate("run1")
    assert pair.put_back("run1")
    pair.conclude("run1")
    assert content(api) == {"tls.crt": b"", "tls.key": b""}
    assert standing(pair)["current"] == "" and pair.look()["pairs"] == {}
    new = issue(issuer)
    rotate(pair, "run2", new)
    assert serves(api, new) and retired(pair) == []


def test_steps_come_in_their_order(pair: SecretPair, issuer: LocalAuthority) -> None:
    with pytest.raises(PairError, match=r"has begun no rotation in Secret .*/agent-factory-tls"):
        pair.activate("run1")
    staged(pair, "run1", issue(issuer))
    for move in (
        lambda: pair.mark("run1", "reloaded"),
        lambda: pair.mark("run1", "proven"),
        lambda: pair.conclude("run1"),
    ):
        with pytest.raises(PairError, match="nothing is still deployed"):
            move()
    pair.activate("run1")
    with pytest.raises(PairError, match="was not reloaded"):
        pair.mark("run1", "proven")
    with pytest.raises(PairError):
        pair.mark("run1", "sold")
    pair.put_back("run1")
    with pytest.raises(PairError, match="is put back"):
        pair.activate("run1")
    with pytest.raises(PairError, match="not a name"):
        pair.stage("run1", "../x", b"", b"")


def test_moves_again_change_nothing(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    issued = issue(issuer)
    assert staged(pair, "run1", issued)
    assert not staged(pair, "run1", issued)
    assert pair.activate("run1")
    assert not pair.activate("run1")
    assert not staged(pair, "run1", issued)
    assert pair.mark("run1", "reloaded")
    before = live(api), live(api, LEDGER)
    assert not pair.mark("run1", "reloaded")
    assert not pair.activate("run1")
    assert (live(api), live(api, LEDGER)) == before
    assert standing(pair)["rotation"]["step"] == "reloaded"


def test_one_rotation_at_a_time(pair: SecretPair, issuer: LocalAuthority) -> None:
    staged(pair, "run1", issue(issuer))
    with pytest.raises(PairError, match="run run1 began to deploy"):
        staged(pair, "run2", issue(issuer))
    for move in (pair.activate, pair.put_back, pair.conclude):
        with pytest.raises(PairError, match="not the rotation of run run2"):
            move("run2")


def test_what_one_run_has_staged_another_deploys(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    new = issue(issuer)
    staged(pair, "run1", new)
    assert pair.take_over("run1", "run2")
    assert not pair.take_over("run1", "run2")
    with pytest.raises(PairError, match="not the rotation of run run1"):
        pair.activate("run1")
    pair.activate("run2")
    with pytest.raises(PairError, match="was not reloaded"):
        pair.take_over("run2", "run3")
    assert serves(api, new) and standing(pair)["rotation"]["run"] == "run2"


def test_a_pair_that_does_not_match_is_never_deployed(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    pair.stage("run2", new.serial, new.certificate_pem, old.key.pem())
    with pytest.raises(PairError, match="does not belong to the certificate"):
        pair.activate("run2")
    assert serves(api, old)


def test_going_back_to_a_pair_that_is_kept(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    rotate(pair, "run2", new)
    assert pair.reinstate("run3", old.serial, undoes="run2")
    assert not pair.reinstate("run3", old.serial)
    pair.activate("run3")
    pair.put_back("run3")
    pair.conclude("run3")
    assert serves(api, new) and retired(pair) == [old.serial], "still kept"
    pair.reinstate("run4", old.serial, undoes="run2")
    pair.activate("run4")
    pair.mark("run4", "reloaded")
    pair.mark("run4", "proven")
    pair.conclude("run4")
    assert serves(api, old) and retired(pair) == [new.serial]
    pair.settle(new.serial)
    with pytest.raises(PairError, match="was revoked or is not kept"):
        pair.reinstate("run5", new.serial)


# --- something else writes, too ---------------------------------------------------------------------------------


def test_what_something_else_has_changed_is_left_alone(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    old, new, theirs = (issue(issuer) for _ in range(3))
    rotate(pair, "run1", old)
    staged(pair, "run2", new)
    api.cluster().replace({**live(api), "data": secret(theirs)["data"]})
    assert standing(pair)["can"] == [] and "something else has changed it" in standing(pair)["seen"]
    for move in (pair.activate, pair.put_back):
        with pytest.raises(PairError, match="something else has changed it"):
            move("run2")
    assert serves(api, theirs)


def test_a_chain_that_was_exchanged_is_not_taken_for_the_kept_version(
    api: Api, pair: SecretPair, issuer: LocalAuthority
) -> None:
    old = issue(issuer)
    rotate(pair, "run1", old)
    data = secret(old)["data"]
    data["tls.crt"] = data["tls.crt"][: len(data["tls.crt"]) // 8 * 4]
    api.cluster().replace({**live(api), "data": data})
    assert re.fullmatch(rf"{old.serial}-[0-9a-f]{{12}}|unreadable-[0-9a-f]{{12}}", standing(pair)["current"])
    new = issue(issuer)
    rotate(pair, "run2", new)
    assert serves(api, new) and len(retired(pair)) == 1


def before_replacing(monkeypatch: pytest.MonkeyPatch, name: str, do: Callable[[], object]) -> None:
    """Have something else happen once, after we have looked at a Secret (any, without a name) and before we write."""
    replace = Cluster.replace

    def late(cluster: Cluster, obj: dict[str, Any]) -> dict[str, Any]:
        if obj["metadata"]["name"] == name or not name:
            monkeypatch.setattr(Cluster, "replace", replace)
            do()
        return replace(cluster, obj)

    monkeypatch.setattr(Cluster, "replace", late)


@pytest.mark.parametrize("move", ["activate", "put_back"])
def test_a_write_in_between_is_neither_overwritten_nor_taken_for_ours(
    api: Api, pair: SecretPair, issuer: LocalAuthority, monkeypatch: pytest.MonkeyPatch, move: str
) -> None:
    """Somebody else's pair arrives after we have looked and before we write: the resourceVersion tells."""
    old, new, theirs = (issue(issuer) for _ in range(3))
    rotate(pair, "run1", old)
    staged(pair, "run2", new)
    if move == "put_back":
        pair.activate("run2")
    before_replacing(monkeypatch, SECRET, lambda: api.cluster().replace({**live(api), "data": secret(theirs)["data"]}))
    with pytest.raises(PairError, match="was changed by something else at the same time"):
        getattr(pair, move)("run2")
    assert serves(api, theirs) and standing(pair)["can"] == []


def test_labels_that_are_set_in_between_are_kept(
    api: Api, pair: SecretPair, issuer: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    staged(pair, "run2", new)
    before_replacing(
        monkeypatch,
        SECRET,
        lambda: api.cluster().merge_patch("Secret", SECRET, {"metadata": {"labels": {"audit": "yes"}}}),
    )
    assert pair.activate("run2")
    assert serves(api, new) and live(api)["metadata"]["labels"]["audit"] == "yes"


def test_two_that_stage_at_once_do_not_both_begin(
    api: Api, pair: SecretPair, issuer: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate(pair, "run1", issue(issuer))
    theirs, ours = issue(issuer), issue(issuer)
    before_replacing(monkeypatch, "", lambda: staged(pair_in(api.cluster()), "run2", theirs))
    with pytest.raises(PairError, match="was changed by something else"):
        staged(pair, "run3", ours)
    assert standing(pair)["rotation"]["run"] == "run2" and ours.serial not in standing(pair)["versions"]


@pytest.mark.parametrize("name", [SECRET, LEDGER])
def test_a_secret_that_is_deleted_while_it_is_replaced(
    api: Api, pair: SecretPair, issuer: LocalAuthority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    staged(pair, "run2", new)
    before_replacing(monkeypatch, name, lambda: api.cluster().delete("Secret", name))
    with pytest.raises(PairError, match="was deleted by something else at the same time"):
        pair.activate("run2")
    assert api.cluster().get("Secret", name) is None
    assert name == SECRET or serves(api, old)


def test_a_secret_that_was_deleted_in_the_middle_is_put_back(
    api: Api, pair: SecretPair, issuer: LocalAuthority
) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    staged(pair, "run2", new)
    pair.activate("run2")
    api.cluster().delete("Secret", SECRET)
    assert standing(pair)["can"] == ["go_back"] and "nothing is deployed any more" in standing(pair)["seen"]
    with pytest.raises(PairError):
        pair.activate("run2")
    assert pair.put_back("run2")
    pair.conclude("run2")
    assert serves(api, old)


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        (secret(type="Opaque"), "is of type Opaque, not kubernetes.io/tls"),
        (secret(immutable=True), "is immutable"),
        (
            secret(metadata={"name": SECRET, "annotations": {"cert-manager.io/certificate-name": "x"}}),
            "is cert-manager's",
        ),
        (secret(name=LEDGER, type="Opaque"), "is not pyrunbook's"),
    ],
)
def test_a_secret_that_cannot_be_replaced_is_refused_before_anything_is_written(
    api: Api, pair: SecretPair, issuer: LocalAuthority, obstacle: dict[str, Any], words: str
) -> None:
    api.create(obstacle)
    with pytest.raises(PairError, match=re.escape(words)):
        staged(pair, "run1", issue(issuer))
    assert {s["metadata"]["name"] for s in api.cluster().list_all("Secret")} == {obstacle["metadata"]["name"]}


def test_the_api_knows_what_a_tls_secret_is(api: Api, issuer: LocalAuthority) -> None:
    """What the rest relies on, on whatever API the tests run on."""
    with pytest.raises(Rejected, match=r"tls\.key"):
        api.create(secret(data={"tls.crt": ""}))
    api.create(secret())
    with pytest.raises(Rejected, match="immutable"):
        api.cluster().replace({**live(api), "type": "Opaque"})
    with pytest.raises(Rejected):
        api.cluster().replace({**live(api), "data": {"tls.crt": "no base64!", "tls.key": ""}})
    api.cluster().replace({**live(api), "immutable": True})
    with pytest.raises(Rejected, match="immutable"):
        api.cluster().replace({**live(api), "data": secret(issue(issuer))["data"]})


def test_records_that_cannot_be_read_stop_everything(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    rotate(pair, "run1", issue(issuer))
    for record in ("rotation.json", "retired.json"):
        for value in ("ew==", "InRleHQi", ""):  # {, "text", nothing
            ledger = live(api, LEDGER)
            api.cluster().replace({**ledger, "data": {**ledger["data"], record: value}})
            with pytest.raises(PairError, match=rf"{LEDGER}: {record} cannot be read"):
                pair.look()
            with pytest.raises(PairError, match="cannot be read"):
                staged(pair, "run2", issue(issuer))
            api.cluster().replace({**live(api, LEDGER), "data": ledger["data"]})


# --- the API fails ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost", "reset", 409, 500])
def test_a_rotation_survives_faults_at_every_write(standin_api: Api, issuer: LocalAuthority, fault: int | str) -> None:
    pair = pair_in(standin_api.cluster())
    old, new = issue(issuer), issue(issuer)
    moves: list[Callable[[], object]] = [
        lambda: staged(pair, "run1", old),
        lambda: pair.activate("run1"),
        lambda: pair.mark("run1", "reloaded"),
        lambda: pair.mark("run1", "proven"),
        lambda: pair.conclude("run1"),
        lambda: staged(pair, "run2", new),
        lambda: pair.activate("run2"),
        lambda: pair.put_back("run2"),
        lambda: pair.conclude("run2"),
    ]
    for move in moves:
        for verb in ("create", "update", "get"):
            standin_api.faults.fail(fault, verb=verb, resource="secrets")
        move()
    assert serves(standin_api, old) and standing(pair)["rotation"] is None and retired(pair) == []


def test_an_api_that_is_away_leaves_what_serves(standin_api: Api, issuer: LocalAuthority) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair_in(standin_api.cluster()), "run1", old)
    pair = pair_in(standin_api.cluster(patience=0.3))
    staged(pair, "run2", new)
    standin_api.faults.fail("reset", resource="secrets", verb="update", times=1000)
    with pytest.raises(Unreachable):
        pair.activate("run2")
    standin_api.faults.faults.clear()
    assert serves(standin_api, old) and standing(pair)["can"] == ["go_on", "go_back"]


# --- killed between any two writes --------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone: nothing after it runs, not even what handles errors."""


def whole(pair: SecretPair, new: Issued) -> None:
    rotate(pair, "run2", new)


def there_and_back(pair: SecretPair, new: Issued) -> None:
    staged(pair, "run2", new)
    pair.activate("run2")
    pair.put_back("run2")
    pair.conclude("run2")


def go_on(pair: SecretPair) -> None:
    pair.activate("run2")
    if standing(pair)["rotation"]["step"] in ("activated", "reloaded"):
        pair.mark("run2", "reloaded")
    pair.mark("run2", "proven")
    pair.conclude("run2")


@pytest.mark.parametrize("before", ["a pair", "nothing"])
@pytest.mark.parametrize(("story", "writes"), [(whole, 7), (there_and_back, 8)])
@pytest.mark.parametrize("then", ["go_on", "go_back"])
def test_killed_before_any_write(
    api: Api, issuer: LocalAuthority, story: Callable[[SecretPair, Issued], None], writes: int, then: str, before: str
) -> None:
    old, new, third = (issue(issuer) for _ in range(3))
    number, finished, standings = 0, False, set()
    while not finished:
        number += 1
        cluster = api.cluster()
        for name in (SECRET, LEDGER):
            cluster.delete("Secret", name)
        pair = pair_in(cluster)
        if before == "a pair":
            rotate(pair, "run1", old)
        count = 0
        with pytest.MonkeyPatch.context() as patch:
            for verb in ("create", "replace"):
                original = getattr(Cluster, verb)

                def deadly(*arguments: Any, original: Callable[..., Any] = original, number: int = number) -> Any:
                    nonlocal count
                    count += 1
                    if count >= number:
                        raise Killed
                    return original(*arguments)

                patch.setattr(Cluster, verb, deadly)
            with contextlib.suppress(Killed):
                story(pair, new)
            finished = count < number
        assert standing(pair)["current"] in (old.serial if before == "a pair" else "", new.serial), "never half a pair"
        found = standing(pair)
        standings.add((found["rotation"] or {}).get("step"))
        if found["rotation"]:
            assert found["can"] and "run run2 began" in found["seen"]
            if then in found["can"] and then == "go_on":
                go_on(pair)
                assert serves(api, new)
            else:
                pair.put_back("run2")
                pair.conclude("run2")
                assert serves(api, old) if before == "a pair" else standing(pair)["current"] == ""
        rotate(pair, "run3", third)
        assert serves(api, third)
        assert set(standing(pair)["versions"]) <= {old.serial, new.serial, third.serial}
    assert number == writes + 1, "every write was a place to die"
    assert len(standings) >= 5


# --- secrets stay where they are --------------------------------------------------------------------------------


def test_no_key_is_said_or_shown(standin_api: Api, issuer: LocalAuthority) -> None:
    """Neither by what describes a pair, nor by any refusal, nor in what the API notes about fields."""
    pair = pair_in(standin_api.cluster())
    issued = [issue(issuer) for _ in range(3)]
    rotate(pair, "run1", issued[0])
    said = [repr(pair), repr(pair.records()), repr(pair.look())]
    staged(pair, "run2", issued[1])
    refusals: list[Callable[[], object]] = [
        lambda: staged(pair, "run3", issued[2]),
        lambda: pair.mark("run2", "proven"),
        lambda: pair.conclude("run2"),
        lambda: pair.reinstate("run3", issued[0].serial),
        lambda: pair.activate("run9"),
    ]
    for refusal in refusals:
        with pytest.raises((PairError, PyrunbookError)) as raised:
            refusal()
        said.append(str(raised.value))
    for name in (SECRET, LEDGER):
        metadata = live(standin_api, name)["metadata"]
        assert {e["manager"] for e in metadata["managedFields"]} == {"pyrunbook"}
        said.append(str(metadata))
    body = [line for each in issued for line in each.key.pem().decode().splitlines()[1:-1]]
    assert not [line for line in body if line in "\n".join(said)]
