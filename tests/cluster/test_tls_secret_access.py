"""What a rotation may do in the namespace: what the shipped Role grants, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cluster_api import Api
from secrets_under_test import (
    LEDGER,
    SECRET,
    issue,
    pair_in,
    rotate,
    secret,
    serves,
    staged,
)

from pyrunbook.execution import diagnosis
from pyrunbook.kubernetes import access
from pyrunbook.kubernetes.client import connect
from pyrunbook.kubernetes.errors import Forbidden
from pyrunbook.pki.issuers.local_ca import LocalAuthority

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("name", "verb"), [(SECRET, "get"), (SECRET, "update"), (LEDGER, "update"), ("", "create")])
def test_a_missing_verb_is_named_and_the_pair_untouched(
    standin_api: Api, issuer: LocalAuthority, name: str, verb: str
) -> None:
    old = issue(issuer)
    if verb != "create":
        rotate(pair_in(standin_api.cluster()), "run1", old)
    allowed = access.NEEDED | access.of_certificates([SECRET])
    kept = [
        {"apiGroups": [p.group], "resources": [p.resource], "verbs": [p.verb]}
        | ({"resourceNames": [p.name]} if p.name else {})
        for p in allowed
        if (p.resource, p.verb, p.name) != ("secrets", verb, name)
    ]
    cluster = connect(str(standin_api.user(kept)), None, standin_api.namespace, patience=0.5)
    with pytest.raises(Forbidden) as raised:
        access.require(cluster, [SECRET])
    assert f"{verb} secrets{f' {name}' if name else ''}\n" in str(raised.value)
    assert "apply -f docs/kubernetes/role-certificates.yaml, and" in raised.value.next_step
    access.require(cluster)  # an update of the service does not need it
    pair = pair_in(cluster)
    with pytest.raises(Forbidden, match=rf"lacks verb '{verb}' on secrets") as raised:
        staged(pair, "run2", issue(issuer))
        pair.activate("run2")
    assert "role-certificates.yaml" in raised.value.next_step
    assert verb == "create" or serves(standin_api, old)


def test_the_role_grants_what_a_rotation_needs_and_no_more(standin_api: Api, issuer: LocalAuthority) -> None:
    documents = [
        document
        for file in ("role.yaml", "role-certificates.yaml")
        for document in yaml.safe_load_all((ROOT / "docs/kubernetes" / file).read_text())
        if document["kind"] == "Role"
    ]
    granted = {
        access.Permission(group, resource, verb, name)
        for rule in documents[1]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }
    assert granted == access.of_certificates([SECRET])
    standin_api.two_colors(replicas=1)
    standin_api.create(secret(name="somebody-elses"))
    rules = [rule for document in documents for rule in document["rules"]]
    cluster = connect(str(standin_api.user(rules)), None, standin_api.namespace)
    assert access.require(cluster, [SECRET]) == len(access.NEEDED) + 5
    pair = pair_in(cluster)
    rotate(pair, "run1", issue(issuer))
    staged(pair, "run2", issue(issuer))
    pair.activate("run2")
    pair.reload(["agent-factory-blue"], timeout=30)
    pair.put_back("run2")
    pair.reload(["agent-factory-blue"], timeout=30)
    pair.conclude("run2")
    with pytest.raises(Forbidden):
        cluster.within(0.2).get("Secret", "somebody-elses")
    with pytest.raises(Forbidden):
        cluster.within(0.2).list_all("Secret")


def test_the_doctor_names_a_verb_that_a_rotation_lacks(standin_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig = standin_api.user(
        [{"apiGroups": [p.group], "resources": [p.resource], "verbs": [p.verb]} for p in access.NEEDED]
    )
    variables = {"service_kubeconfig": str(kubeconfig), "service_namespace": standin_api.namespace}
    (seen,) = diagnosis._permissions("web", variables)
    assert seen.good
    templated = {"name": "other", "secret": "{{ somewhere }}"}
    certificates = {"service_certificates": [{"name": "public", "secret": SECRET}, templated]}
    monkeypatch.setattr(access, "_DOUBT", 0.2)
    (seen,) = diagnosis._permissions("web", variables | certificates)
    assert not seen.good and f"update secrets {LEDGER}" in seen.seen and "{{" not in seen.seen
    assert "apply -f docs/kubernetes/role-certificates.yaml, and" in seen.next_step
