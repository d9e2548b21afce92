"""The lock of a service."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from cluster_api import Api

from pyrunbook.errors import BadInput, PyrunbookError, Refused
from pyrunbook.kubernetes import lease
from pyrunbook.platforms import Run, kubernetes, platform_of
from pyrunbook.service import of_step

NAME = "agent-factory"


def test_taken_kept_renewed_and_freed(api: Api) -> None:
    cluster = api.cluster()
    lock, taken = lease.acquire(cluster, NAME, "7f3a0001", operator="anna")
    assert taken and (lock.holder, lock.operator, lock.stale) == ("7f3a0001", "anna", False)
    again, taken = lease.acquire(cluster, NAME, "7f3a0001")
    assert not taken and again.since == lock.since
    assert lease.renew(cluster, NAME, "7f3a0001").renewed > lock.renewed
    assert lease.release(cluster, NAME, "7f3a0001") and not lease.release(cluster, NAME, "7f3a0001")
    assert not lease.show(cluster, NAME).holder
    assert lease.acquire(cluster, NAME, "7f3a0002")[1]


def test_a_foreign_lock_is_refused_with_who_and_since_when(api: Api) -> None:
    cluster = api.cluster()
    held, _ = lease.acquire(cluster, NAME, "7f3a0001", operator="anna")
    with pytest.raises(Refused) as raised:
        lease.acquire(cluster, NAME, "7f3a0002", operator="bert")
    words = str(raised.value)
    assert "run 7f3a0001 of anna" in words and held.since in words and "alive" in words
    assert not lease.release(cluster, NAME, "7f3a0002")
    assert lease.show(cluster, NAME).holder == "7f3a0001"


def test_a_stale_lock_is_shown_as_such_and_not_taken(api: Api) -> None:
    cluster = api.cluster()
    lease.acquire(cluster, NAME, "7f3a0001")
    live = cluster.get("Lease", lease.lease_name(NAME))
    assert live is not None
    old = (datetime.now(UTC) - timedelta(seconds=lease.DURATION + 5)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    cluster.replace({**live, "kind": "Lease", "spec": {**live["spec"], "renewTime": old}})
    with pytest.raises(Refused, match=r"stale") as raised:
        lease.acquire(cluster, NAME, "7f3a0002")
    assert "pyrunbook unlock" in raised.value.next_step
    assert lease.acquire(cluster, NAME, "7f3a0002", predecessors=["7f3a0001"])[1]


def test_breaking_frees_only_the_lock_that_was_shown(api: Api) -> None:
    cluster = api.cluster()
    lease.acquire(cluster, NAME, "7f3a0001")
    with pytest.raises(Refused):
        lease.break_lock(cluster, NAME, "7f3a0009")
    assert lease.break_lock(cluster, NAME, "7f3a0001")
    with pytest.raises(Refused, match="has lost the lock"):
        lease.renew(cluster, NAME, "7f3a0001")


def test_one_of_many_gets_it(api: Api) -> None:
    winners: list[str] = []
    losers: list[str] = []

    def take(run: str) -> None:
        try:
            lease.acquire(api.cluster(), NAME, run)
            winners.append(run)
        except PyrunbookError:
            losers.append(run)

    threads = [threading.Thread(target=take, args=(f"run{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1 and len(losers) == 5
    assert lease.show(api.cluster(), NAME).holder == winners[0]


@pytest.mark.parametrize("fault", ["lost", "reset", 409, 500])
def test_taking_it_survives_faults(standin_api: Api, fault: int | str) -> None:
    standin_api.faults.fail(fault, verb="create", resource="leases")
    lease.acquire(standin_api.cluster(), NAME, "7f3a0001")
    standin_api.faults.fail(fault, verb="update", resource="leases", times=2)
    lease.renew(standin_api.cluster(), NAME, "7f3a0001")
    assert lease.show(standin_api.cluster(), NAME).holder == "7f3a0001"


def test_the_keeper_renews_once_in_a_third_and_ends_a_wait_whose_lock_is_gone(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = api.cluster()
    lease.keeper(cluster, NAME, "7f3a0001")()  # no lock at all: nothing to keep
    first, _ = lease.acquire(cluster, NAME, "7f3a0001")
    beat = lease.keeper(cluster, NAME, "7f3a0001")
    beat()
    second = lease.show(cluster, NAME)
    assert second.renewed > first.renewed
    beat()
    assert lease.show(cluster, NAME).renewed == second.renewed
    with pytest.raises(Refused):
        lease.keeper(cluster, NAME, "7f3a0002")
    monkeypatch.setattr(lease, "DURATION", 0)
    lease.break_lock(cluster, NAME, "7f3a0001")
    with pytest.raises(Refused, match="has lost the lock"):
        beat()


def test_a_lock_whose_taking_or_freeing_was_not_answered_counts_as_taken_or_freed(standin_api: Api) -> None:
    """Who is told that nothing was taken does not give it back when the run is refused afterwards."""
    cluster = standin_api.cluster()
    standin_api.faults.fail("lost", verb="create", resource="leases")
    assert lease.acquire(cluster, NAME, "7f3a0001")[1]
    standin_api.faults.fail("lost", verb="update", resource="leases")
    assert lease.release(cluster, NAME, "7f3a0001")
    standin_api.faults.fail("lost", verb="update", resource="leases")
    assert lease.acquire(cluster, NAME, "7f3a0002")[1]


def test_a_lease_that_is_deleted_while_it_is_taken_is_created(api: Api) -> None:
    cluster = api.cluster()
    lease.acquire(cluster, NAME, "7f3a0001")
    lease.release(cluster, NAME, "7f3a0001")
    original, calls = cluster.replace, []

    def replace(obj: dict[str, object]) -> dict[str, object]:
        if not calls:
            api.cluster().delete("Lease", lease.lease_name(NAME))
        calls.append(obj)
        return original(obj)

    cluster.replace = replace  # type: ignore[method-assign]
    assert lease.acquire(cluster, NAME, "7f3a0002")[1]
    assert lease.show(cluster, NAME).holder == "7f3a0002"


def test_what_was_taken_while_the_api_went_away_is_given_back(
    standin_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its journal knows the run as refused, but a colleague's journal does not know it at all."""
    monkeypatch.setattr(kubernetes, "PATIENCE", 0.5)
    colors = {
        color: {"deployment": name, "url": f"http://{color}.invalid"}
        for color, name in standin_api.target.deployments.items()
    }
    contract = of_step(
        "shop",
        {
            "service_platform": "kubernetes",
            "service_url": "http://shop.invalid",
            "service_kubeconfig": str(standin_api.kubeconfig),
            "service_namespace": standin_api.namespace,
            "service_kubernetes_name": NAME,
            "service_colors": colors,
        },
    )
    run = Run(id="7f3a0001", service="shop", check_mode=False, on_target=lambda *_: {}, shell=lambda _: (1, ""))
    standin_api.faults.fail("lost", verb="create", resource="leases", seconds=1.0)
    with pytest.raises(BadInput, match=r"did not do it within 0.5 s"):
        list(platform_of(contract, run).lock("ada", "maintenance/production_update", [], []))
    assert not lease.show(standin_api.cluster(), NAME).holder
