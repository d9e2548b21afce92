"""The whole runbook on Kubernetes, by a plain ansible-playbook: both strategies, failures, two at once, rollback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_api import Api, accompaniment, deployment
from front import Front
from test_access import rules

from pyrunbook.kubernetes import lease, plan, state
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.kubernetes.switch import wait_for_endpoints
from pyrunbook.plugins.known_errors import known_errors

ROOT = Path(__file__).parents[2]


class Operator:
    """Somebody who runs playbooks against the namespace, from a machine of their own."""

    def __init__(self, api: Api, front: Front, directory: Path) -> None:
        self.api, self.front, self.directory = api, front, directory
        self.home = directory / "home"
        self.inventory = directory / "inventory"
        (self.inventory / "group_vars").mkdir(parents=True)
        (self.inventory / "services.yml").write_text(yaml.safe_dump({"services": {"hosts": {"agent-factory": None}}}))

    def settings(self, **changes: Any) -> None:
        values = {
            "service_platform": "kubernetes",
            "service_kubeconfig": str(self.api.kubeconfig),
            "service_namespace": self.api.namespace,
            "service_kubernetes_name": "agent-factory",
            "service_preview_name": "agent-factory-preview",
            "service_url": f"{self.front.url}/service",
            "service_colors": {
                color: {"url": f"{self.front.url}/{color}", "deployment": f"agent-factory-{color}"}
                for color in ("blue", "green")
            },
            "service_checks": [
                {"name": "health", "path": "/health", "requests": 5},
                {"name": "version", "path": "/version", "json": {"version": "{{ validate_release }}"}},
            ],
            "update_window": "always",
            "deploy_green_stable_seconds": 0,
            "deploy_green_timeout": 60,
            "drain_delay": 0,
            "preflight_attested": ["oncall_available", "staging_validated"],
            **changes,
        }
        (self.inventory / "group_vars" / "services.yml").write_text(yaml.safe_dump(values))

    def environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "PYRUNBOOK_"))}
        return {**kept, "PYRUNBOOK_HOME": str(self.home), "ANSIBLE_NOCOLOR": "1", **more}

    def argv(self, playbook: str, *arguments: str) -> list[str]:
        program = Path(sys.executable).parent / "ansible-playbook"
        return [str(program), f"playbooks/{playbook}.yml", "-i", str(self.inventory), *arguments]

    def play(self, playbook: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(playbook, *arguments),
            cwd=ROOT,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=200,
            stdin=subprocess.DEVNULL,
        )

    def update(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.play("maintenance/production_update", *arguments, **environment)


@pytest.fixture
def operator(api: Api, tmp_path: Path) -> Iterator[Operator]:
    with Front(api) as front:
        somebody = Operator(api, front, tmp_path / "operator")
        somebody.settings()
        yield somebody


def manifests(api: Api, version: str, color: str = "green", **container: Any) -> str:
    objects = [*accompaniment(color), deployment(color, version, replicas=1, **container)]
    return str(api.write(*objects))


def shipped(color: str) -> Path:
    """The directory of the example's manifests, 1.0.4 for blue and 1.1.0 for green."""
    return ROOT / "docs/kubernetes/deployment/blue-green" / color


def install_what_is_shipped(api: Api) -> None:
    """As docs/kubernetes/README.md says: the two Services and the first color, as they are."""
    for path in (ROOT / "docs/kubernetes/services.yaml", *sorted(shipped("blue").glob("*.yaml"))):
        api.create(*yaml.safe_load_all(path.read_text()))
    wait_for_rollout(api.cluster(), "agent-factory-blue", timeout=120)
    wait_for_endpoints(
        api.cluster(), "agent-factory", {"app": "agent-factory", "version": "blue"}, what="the fixture", timeout=60
    )


def serving(api: Api) -> tuple[str, str, int]:
    """Color, release and ready pods."""
    found = state.read(api.cluster(), api.target)
    active = found["colors"][found["active"]]
    return found["active"], active["release"], active["ready"]


def free(api: Api) -> bool:
    return not lease.show(api.cluster(), "agent-factory").holder


@pytest.mark.parametrize("strategy", ["zero_downtime", "controlled_stop"])
def test_an_update_and_the_next_one_back(api: Api, operator: Operator, strategy: str) -> None:
    """One of them with the example that is shipped, as it is."""
    example = strategy == "controlled_stop"
    install_what_is_shipped(api) if example else api.two_colors(replicas=3)
    for color, version, old in (("green", "1.1.0", "blue"), ("blue", "1.0.4" if example else "1.2.0", "green")):
        files = str(shipped(color)) if example else manifests(api, version, color)
        operator.settings(update_strategy=strategy, deploy_green_manifests=files)
        done = operator.update()
        assert done.returncode == 0, done.stdout + done.stderr
        assert serving(api) == (color, version, 3), "with as many replicas as before"
        assert api.cluster().get("Deployment", f"agent-factory-{old}") is None
        assert free(api)
        preview = api.cluster().get("Service", "agent-factory-preview")
        assert preview and preview["spec"]["selector"]["version"] == old
        # As if the API had been away when the lock was to be freed: a run that has ended holds none.
        lease.acquire(api.cluster(), "agent-factory", plan.stored(api.cluster(), "agent-factory")[0]["id"])
    assert len(plan.stored(api.cluster(), "agent-factory")) == 2
    assert len(list((operator.home / "backups" / "agent-factory").glob("*.tar.gz"))) == 2


CRASHES = ("1.1.0", {"command": ["/does-not-exist"]}, "CrashLoopBackOff")


@pytest.mark.parametrize(
    ("strategy", "version", "container", "words"),
    [
        ("zero_downtime", "1.1.0-bad", {}, "health"),
        ("controlled_stop", "1.1.0-bad", {}, "health"),
        ("zero_downtime", *CRASHES),
        pytest.param("controlled_stop", *CRASHES, marks=pytest.mark.long),  # both halves are above
    ],
)
def test_a_release_that_is_no_good_is_put_back(
    kubelet_api: Api, operator: Operator, strategy: str, version: str, container: dict[str, Any], words: str
) -> None:
    api = kubelet_api
    api.two_colors(replicas=2, autoscaler=True)
    before = api.cluster().get("HorizontalPodAutoscaler", "agent-factory-blue")
    operator.settings(update_strategy=strategy, deploy_green_manifests=manifests(api, version, **container))
    done = operator.update()
    assert done.returncode == 2 and words in done.stdout, done.stdout + done.stderr
    assert serving(api) == ("blue", "1.0.4", 2)
    assert api.cluster().get("Deployment", "agent-factory-green") is None
    after = api.cluster().get("HorizontalPodAutoscaler", "agent-factory-blue")
    assert before and after and before["spec"] == after["spec"]
    assert free(api)


def test_a_selector_that_was_set_back_is_no_cache(api: Api, operator: Operator) -> None:
    """As GitOps does it between the switch and the verification: what the run verifies is not what serves."""
    api.two_colors(replicas=1)
    service = api.cluster().get("Service", "agent-factory")
    assert service
    blue = {"kind": "Service", "metadata": {"name": "agent-factory"}, "spec": {"selector": service["spec"]["selector"]}}
    api.as_manager("argocd-controller").apply(blue, force=True)
    path = operator.directory / "verify.yml"
    task = {"name": "Verify", "import_role": {"name": "pyrunbook.core.validate"}, "vars": {"validate_release": "1.1.0"}}
    known = {"service_active_color": "blue", "service_preview_color": "green"}
    play = {"name": "It", "hosts": "services", "gather_facts": False, "vars": known, "tasks": [task]}
    path.write_text(yaml.safe_dump([play]))
    done = operator.play(os.path.relpath(path.with_suffix(""), ROOT / "playbooks"))
    assert done.returncode == 2
    words = " ".join(done.stdout.replace("\\n", " ").split())
    assert (
        "The traffic goes to blue again, not to green: Service agent-factory was written by argocd-controller" in words
    )
    end = "for the time of the run"  # behind the message stands the evidence, which is not what an entry is about
    last = words[words.index("The traffic goes to") : words.index(end) + len(end)]
    told = known_errors(
        ROOT / "roles/validate/meta/step.yml", last, "agent-factory", {"service_platform": "kubernetes"}
    )
    assert [entry["error"] for entry in told] == ["The traffic goes to another color again"]


def test_a_rollback_of_a_finished_update_from_another_machine(api: Api, operator: Operator, tmp_path: Path) -> None:
    """The plan that the cluster keeps has no secret of a check; the colleague's inventory has."""
    api.two_colors(replicas=2)
    check = {"name": "orders", "path": "/health?of=canary-1", "headers": {"X-Shop": "canary-2"}}
    operator.settings(deploy_green_manifests=manifests(api, "1.1.0"), service_checks=[check])
    done = operator.update()
    assert done.returncode == 0, done.stdout + done.stderr
    plan_id = plan.stored(api.cluster(), "agent-factory")[0]["id"]
    kept = plan.fetch(api.cluster(), "agent-factory", plan_id)
    assert "canary" not in kept and "headers.X-Shop" in kept
    colleague = Operator(api, operator.front, tmp_path / "colleague")
    colleague.settings(service_checks=[check])
    done = colleague.play("deployment/rollback", "-e", f"plan={plan_id}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert serving(api) == ("blue", "1.0.4", 2)
    assert api.cluster().get("Deployment", "agent-factory-green") is None and free(api)


def test_a_check_run_changes_nothing(api: Api, operator: Operator) -> None:
    api.two_colors(replicas=1)
    operator.settings(deploy_green_manifests=manifests(api, "1.1.0"))
    version = api.cluster().get("Service", "agent-factory")
    done = operator.update("--check", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert serving(api) == ("blue", "1.0.4", 1)
    assert api.cluster().get("Deployment", "agent-factory-green") is None
    assert api.cluster().get("Service", "agent-factory") == version
    assert api.cluster().get("Lease", "pyrunbook-agent-factory") is None
    assert plan.stored(api.cluster(), "agent-factory") == []


def test_a_second_operator_is_refused_with_who_holds_the_lock(api: Api, operator: Operator) -> None:
    api.two_colors(replicas=1)
    lease.acquire(api.cluster(), "agent-factory", "7f3a0001", operator="anna")
    operator.settings(deploy_green_manifests=manifests(api, "1.1.0"))
    done = operator.update()
    assert done.returncode == 2 and "run 7f3a0001 of anna" in done.stdout, done.stdout + done.stderr
    assert lease.show(api.cluster(), "agent-factory").holder == "7f3a0001"
    assert api.cluster().get("Deployment", "agent-factory-green") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"service_kubeconfig": "/nowhere/config"}, "kubeconfig /nowhere/config does not exist"),
        ({"service_context": "elsewhere"}, "no context 'elsewhere'"),
        ({"service_kubernetes_name": "another"}, "there is no Service another"),
        ({"deploy_green_manifests": "/nowhere"}, "manifest /nowhere does not exist"),
        ({"deploy_green_manifests": ""}, "there is no manifest to apply"),
    ],
)
def test_bad_input_is_refused_before_anything_changes(
    api: Api, operator: Operator, changes: dict[str, Any], words: str
) -> None:
    api.two_colors(replicas=1, wait=False)
    operator.settings(**{"deploy_green_manifests": manifests(api, "1.1.0"), **changes})
    done = operator.update()
    assert done.returncode == 2 and words in done.stdout.replace("\\'", "'"), done.stdout + done.stderr
    assert api.cluster().get("Deployment", "agent-factory-green") is None
    assert free(api) and plan.stored(api.cluster(), "agent-factory") == []


def test_a_user_without_a_verb_is_told_which(standin_api: Api, operator: Operator) -> None:
    from pyrunbook.kubernetes.access import NEEDED

    rules = [
        {"apiGroups": [p.group], "resources": [p.resource], "verbs": [p.verb]}
        for p in NEEDED
        if str(p) != "delete deployments.apps"
    ]
    standin_api.two_colors(replicas=1, wait=False)
    operator.settings(
        service_kubeconfig=str(standin_api.user(rules)), deploy_green_manifests=manifests(standin_api, "1.1.0")
    )
    done = operator.update()
    assert done.returncode == 2 and "delete deployments.apps" in done.stdout
    assert "docs/kubernetes/role.yaml" in done.stdout
    assert standin_api.cluster().get("Lease", "pyrunbook-agent-factory") is None


def test_an_update_survives_an_api_that_fails_now_and_then_and_writes_no_token_down(
    standin_api: Api, operator: Operator
) -> None:
    """Also one that is restarted in the middle, and then denies for a while what the Role allows."""
    standin_api.two_colors(replicas=2)
    kubeconfig = standin_api.user(rules())
    token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    operator.settings(service_kubeconfig=str(kubeconfig), deploy_green_manifests=manifests(standin_api, "1.1.0"))
    standin_api.faults.fail("restart", verb="delete", seconds=1.0)
    for fault in (500, "reset", "lost", 503):
        for verb in ("get", "list", "patch", "update", "create", "delete"):
            standin_api.faults.fail(fault, verb=verb)
    standin_api.faults.fail(409, verb="update", times=2)
    done = operator.update("-vvv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert serving(standin_api) == ("green", "1.1.0", 2)
    assert token not in done.stdout + done.stderr, "not even where requests are told about"
    for path in operator.home.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path


def test_a_cleanup_that_fails_keeps_the_verified_release_until_somebody_finishes_it(
    standin_api: Api, operator: Operator
) -> None:
    api = standin_api
    api.two_colors(replicas=2)
    operator.settings(deploy_green_manifests=manifests(api, "1.1.0"))
    api.faults.fail(422, verb="delete", times=1000, message="denied by policy keep-everything")
    done = operator.update()
    assert done.returncode == 2 and "not_cleaned_up: " in done.stdout, done.stdout + done.stderr
    assert serving(api) == ("green", "1.1.0", 2)
    blue = api.cluster().get("Deployment", "agent-factory-blue")
    assert blue and blue["spec"]["replicas"] == 0, "it was drained, and stays"
    assert free(api)
    found = re.search(r"pyrunbook recover ([0-9a-f]{8})", done.stdout)
    assert found, done.stdout
    api.faults.faults.clear()
    finished = subprocess.run(
        [sys.executable, "-m", "pyrunbook", "recover", found[1]],
        cwd=ROOT, env=operator.environment(), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert serving(api) == ("green", "1.1.0", 2)
    assert api.cluster().get("Deployment", "agent-factory-blue") is None and free(api)


SABOTAGE = """
import sys
from pyrunbook.kubernetes.client import connect
cluster = connect(sys.argv[1], None, sys.argv[2])
live = cluster.get("Deployment", "agent-factory-green")
live["spec"]["replicas"] = 1
cluster.replace(live)
"""


def test_a_release_that_is_scaled_down_after_its_verification_is_put_back(api: Api, operator: Operator) -> None:
    api.two_colors(replicas=3)
    argv = [sys.executable, "-c", SABOTAGE, str(api.kubeconfig), api.namespace]
    hooks = [{"name": "sabotage", "argv": argv}]
    operator.settings(deploy_green_manifests=manifests(api, "1.1.0"), validate_service_hooks=hooks)
    done = operator.update()
    assert done.returncode == 2 and "of 3 pods of Deployment agent-factory-green" in done.stdout, done.stdout
    assert serving(api) == ("blue", "1.0.4", 3)
    assert api.cluster().get("Deployment", "agent-factory-green") is None and free(api)
