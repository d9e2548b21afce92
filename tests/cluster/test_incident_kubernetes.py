"""The security incident of a service on Kubernetes: a ConfigMap that its pods mount, a Secret, logs and events."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_api import Api
from front import Front
from secrets_under_test import authority, content, issue, pair_in, rotate
from test_runbook import Operator
from tls_front import TlsFront, wanted

from pyrunbook.pki import backup
from pyrunbook.pki.age_lock import Passphrase
from pyrunbook.pki.secret import Secret

AGREED = ("-e", '{"preflight_attested": ["security_team_agrees"]}')
CONFIG_MAP, KEY = "agent-factory-secure-mode", "secure-mode.json"
ROLES = Path(__file__).parents[2] / "docs/kubernetes"


class Signing(Front):
    """Answers /security as pods do that mount the ConfigMap; `deaf` ones have not read it again."""

    deaf = False

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if not path.endswith("/security"):
            return super().answer(path)
        text = ((self.api.cluster().get("ConfigMap", CONFIG_MAP) or {}).get("data") or {}).get(KEY, '{"on": false}')
        return 200, {"secure_mode": json.loads(text)["on"] and not self.deaf}


@pytest.fixture
def front(api: Api) -> Iterator[Signing]:
    api.two_colors(replicas=1)
    api.cluster().create({"kind": "ConfigMap", "metadata": {"name": CONFIG_MAP}, "data": {"other": "stays"}})
    with Signing(api) as running:
        yield running


@pytest.fixture
def operator(api: Api, front: Signing, tmp_path: Path) -> Iterator[Operator]:
    """With what the shipped Roles grant, where the API is the stand-in."""
    kubeconfig = api.kubeconfig
    if api.standin is not None:
        names = ("role.yaml", "role-certificates.yaml")
        documents = [d for name in names for d in yaml.safe_load_all((ROLES / name).read_text())]
        kubeconfig = api.user([rule for d in documents if d["kind"] == "Role" for rule in d["rules"]])
    passphrase = tmp_path / "passphrase"
    passphrase.touch(0o600)
    passphrase.write_text("seven quiet horses")
    with TlsFront(api) as tls:
        somebody = Operator(api, front, tmp_path / "operator")
        somebody.settings(
            service_kubeconfig=str(kubeconfig),
            service_certificates=[wanted(tls)],
            certificate_issuers={"local": {"kind": "local_ca", "directory": str(api.directory / "ca")}},
            service_rotation_test={"certificates": [{"issuer": "local", "dns_names": ["trial.example.com"]}]},
            service_secure_mode={"config_map": CONFIG_MAP, "file": KEY},
            secure_mode_timeout=1,
            backup_security_passphrase_file=str(passphrase),
            runbook_contacts=[{"level": "security", "name": "The security team", "reach": "pager"}],
            preflight_attested=[],
        )
        yield somebody


def told(api: Api) -> dict[str, Any]:
    data = (api.cluster().get("ConfigMap", CONFIG_MAP) or {})["data"]
    assert data["other"] == "stays"
    found: dict[str, Any] = json.loads(data[KEY])
    return found


def incident(operator: Operator, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return operator.play(f"incidents/{name}", *arguments)


def test_contained_with_backup_and_evidence_and_left_again(api: Api, operator: Operator, tmp_path: Path) -> None:
    rotate(pair_in(api.cluster()), "00000001", issue(authority(api.directory / "ca")))
    done = incident(operator, "security_failure", "-e", "security_reason=drill")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (told(api)["on"], told(api)["reason"]) == (True, "drill")
    assert "call The security team (pager) now" in done.stdout
    (archive,) = operator.home.rglob("*.age")
    lock = Passphrase(Secret("seven quiet horses", "the test"))
    backup.restore(archive, lock, tmp_path / "restored")
    key = content(api)["tls.key"]
    assert (tmp_path / "restored/certificate-public/key.pem").read_bytes() == key
    (evidence,) = operator.home.rglob("*.tar.gz")
    with tarfile.open(evidence) as kept:
        names = kept.getnames()
        texts = b"".join(file.read() for member in kept if (file := kept.extractfile(member)))
    assert any(name.endswith("cluster/pods.json") for name in names), names
    assert any("cluster/agent-factory-blue" in name and name.endswith(".log") for name in names), names
    assert key.splitlines()[1] not in texts + (done.stdout + done.stderr).encode()

    refused = incident(operator, "secure_mode_off", *AGREED)
    assert refused.returncode == 2
    assert told(api)["on"] is True
    done = incident(operator, "secure_mode_off", *AGREED, "-e", "secure_mode_reason=INC-123")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (told(api)["on"], told(api)["reason"]) == (False, "INC-123")


def test_pods_that_do_not_see_it_are_not_contained(api: Api, operator: Operator, front: Signing) -> None:
    front.deaf = True
    done = incident(operator, "security_failure")
    assert done.returncode == 2
    assert told(api)["on"] is True, "it stays switched"
    assert "not_contained" in done.stdout
    assert "there is no pair in Secret agent-factory-tls" in done.stdout, "the rest was done all the same"


def test_without_its_config_map_it_says_what_to_make(api: Api, operator: Operator) -> None:
    api.cluster().delete("ConfigMap", CONFIG_MAP)
    done = incident(operator, "security_failure")
    assert done.returncode == 2
    assert f"create configmap {CONFIG_MAP}, and mount it" in done.stdout.replace("\\'", "'")
