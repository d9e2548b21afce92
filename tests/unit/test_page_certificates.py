"""What pages know of certificates: enough to rotate one by hand, and nothing secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyrunbook.catalog.page_certificates import page_certificates
from pyrunbook.catalog.page_values import page_values
from pyrunbook.project.inventory import Service

PUBLIC: dict[str, Any] = {
    "name": "public",
    "issuer": "local",
    "dns_names": ["shop.example.com", "www.example.com"],
    "ip_names": ["192.0.2.7"],
    "lifetime": "36h",
    "addresses": ["shop.example.com:443", "[2001:db8::1]:8443"],
    "directory": "{{ service_root }}/tls",
    "owner": "root",
    "group": "www-data",
    "key_mode": "0640",
    "reload": ["systemctl", "reload", "it's"],
    "secret": "shop-tls",
    "restart": "shop-blue",
    "key": "rsa-3072",
}
ISSUERS = {
    "local": {"kind": "local_ca", "directory": "~/pki"},
    "home": {"kind": "local_ca"},
    "vault": {
        "kind": "vault_pki",
        "address": "https://vault.example.com:8200",
        "mount": "pki-shop",
        "role": "shop",
        "auth": {"method": "token", "token_file": "/run/canary"},
    },
}


def one(**changed: Any) -> dict[str, Any]:
    (found,) = page_certificates({"service_certificates": [{**PUBLIC, **changed}], "certificate_issuers": ISSUERS})
    return found


def test_a_certificate_is_ready_for_openssl() -> None:
    found = one()
    assert found["names"] == "DNS:shop.example.com,DNS:www.example.com,IP:192.0.2.7"
    assert (found["subject"], found["algorithm"], found["days"], found["seconds"]) == (
        "/CN=shop.example.com", "rsa:3072", 2, 129600,
    )  # fmt: skip
    assert (found["owner"], found["mode"]) == ("root:www-data", "0640")
    assert found["reload"] == "systemctl reload 'it'\"'\"'s'"
    assert (found["stored"], found["restart"]) == ("shop-tls", ["shop-blue"])
    named, bare = found["addresses"]
    assert named["options"] == '-servername "shop.example.com" -verify_hostname "shop.example.com"'
    assert bare == {"connect": "[2001:db8::1]:8443", "options": '-noservername -verify_ip "2001:db8::1"'}
    assert one(key="ec-p384")["algorithm"] == "ec -pkeyopt ec_paramgen_curve:P-384"


def test_of_an_issuer_only_what_is_public_is_known() -> None:
    assert one()["issuer"] == {"kind": "local_ca", "directory": "$HOME/pki"}
    assert one()["roots"] == "$HOME/pki/trust.pem"
    assert one(issuer="home")["roots"].endswith("/.local/state/pyrunbook}/pki/home/trust.pem")
    vault = one(issuer="vault")
    assert vault["issuer"]["path"] == "pki-shop/sign/shop"
    assert "canary" not in str(vault)
    assert one(issuer="nobody")["issuer"]["kind"] == ""


def test_a_page_can_name_the_secret_of_a_certificate_and_fills_its_templates() -> None:
    service = Service("shop", {"service_root": "/srv/shop", "service_certificates": [PUBLIC]}, {})
    values = page_values(service, {}, Path("/project"), None)
    text = "{% for c in certificates %}{{ c.name }} {{ c.stored }} {{ c.directory }} {{ c.algorithm }}{% endfor %}"
    assert values.fill(text) == "public shop-tls /srv/shop/tls rsa:3072"
    assert values.fill("{{ (service_certificates | first).secret }}") == "[secret]"


@pytest.mark.parametrize("given", [None, "{{ elsewhere }}", [], ["public"]])
def test_an_inventory_without_certificates_has_none(given: Any) -> None:
    assert page_certificates({"service_certificates": given}) == []


def test_what_cannot_be_read_leaves_blanks_and_no_error() -> None:
    (found,) = page_certificates({"service_certificates": [{"name": "public", "lifetime": "a while"}]})
    assert (found["name"], found["seconds"], found["addresses"], found["names"]) == ("public", 0, [], "")
