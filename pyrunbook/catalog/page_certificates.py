"""What pages say of a service's certificates and signing keys: the inventory's words, ready for the commands by hand.

The inventory calls the Secret of a certificate `secret` and the kind of its key `key`. Both are names and no secrets,
but whatever stands under such a word is hidden on a page, so here they have other words. Of an issuer nothing but what
is public is taken over.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.windows import parse_duration

_NEW_KEY = {"ec-p256": "ec -pkeyopt ec_paramgen_curve:P-256", "ec-p384": "ec -pkeyopt ec_paramgen_curve:P-384"}
_SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"


def page_certificates(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The certificates of a service, as templates of pages ask for them; its variables may be templates themselves.

    Returns:
        for each: `name`, `subject`, `names` (for subjectAltName), `dns_names`, `algorithm` (for `openssl req -newkey`),
        `days`, `seconds`, `addresses` (`connect` and the `options` of s_client), `directory`, `owner`, `mode`,
        `reload`, `stored` (name of its Secret), `restart`, `roots` and `issuer`: `kind`, and its `directory`, or
        `address`, `ca_file`, `namespace` and `path`. Empty where the inventory has none that could be read.
    """
    given, issuers = variables.get("service_certificates"), variables.get("certificate_issuers")
    if not isinstance(given, list):
        return []
    known = issuers if isinstance(issuers, Mapping) else {}
    return [_certificate(each, known.get(each.get("issuer"))) for each in given if isinstance(each, Mapping)]


def page_signers(variables: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is public of a service's `service_signing_keys`; its variables may be templates themselves.

    Returns:
        for each: `name`, `kind`, and its `directory`, or `address`, `ca_file`, `mount` and `transit`, its name there.
    """
    given, issuers = variables.get("service_signing_keys"), variables.get("certificate_issuers")
    known = issuers if isinstance(issuers, Mapping) else {}
    found = []
    for each in given if isinstance(given, list) else []:
        if isinstance(each, Mapping):
            issuer = known.get(each.get("issuer"))
            told = issuer if isinstance(issuer, Mapping) else {}
            found.append({
                "name": str(each.get("name", "")), "kind": str(each.get("kind", "")),
                "directory": str(each.get("directory", "")), "address": str(told.get("address", "")),
                "ca_file": str(told.get("ca_file", "")), "mount": str(each.get("mount", "transit")),
                "transit": str(each.get("key", "")),
            })  # fmt: skip
    return found


def _certificate(given: Mapping[str, Any], issuer: Any) -> dict[str, Any]:
    dns_names, ip_names = _texts(given.get("dns_names")), _texts(given.get("ip_names"))
    seconds = _seconds(str(given.get("lifetime", "")))
    public, roots = _issuer(str(given.get("issuer", "")), issuer if isinstance(issuer, Mapping) else {})
    kind = str(given.get("key", "ec-p256"))
    owner, group = given.get("owner"), given.get("group")
    return {
        "name": str(given.get("name", "")),
        "subject": f"/CN={(dns_names or ip_names or [''])[0]}",
        "names": ",".join([*(f"DNS:{name}" for name in dns_names), *(f"IP:{name}" for name in ip_names)]),
        "dns_names": dns_names,
        "algorithm": _NEW_KEY.get(kind, kind.replace("-", ":", 1)),
        "days": math.ceil(seconds / 86400),
        "seconds": seconds,
        "addresses": [_address(each, str(given.get("server_name", ""))) for each in _texts(given.get("addresses"))],
        "directory": str(given.get("directory", "")),
        "owner": f"{'' if owner is None else owner}{'' if group is None else f':{group}'}",
        "mode": str(given.get("key_mode", "0600")),
        "reload": " ".join(_word(word) for word in _texts(given.get("reload"))),
        "stored": str(given.get("secret", "")),
        "restart": _texts(given.get("restart")),
        "issuer": public,
        "roots": roots,
    }


def _issuer(name: str, given: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """What is public about an issuer, and the file with the roots that clients trust."""
    if given.get("kind") == "vault_pki":
        public = {word: str(given.get(word, "")) for word in ("kind", "address", "ca_file", "namespace")}
        public["path"] = f"{given.get('mount', 'pki')}/sign/{given.get('role', '')}"
        return public, _home(str(given.get("trust_file") or _SYSTEM_ROOTS))
    home = "${PYRUNBOOK_HOME:-$HOME/.local/state/pyrunbook}"
    directory = _home(str(given.get("directory") or f"{home}/pki/{name}"))
    return {"kind": str(given.get("kind", "")), "directory": directory}, f"{directory}/trust.pem"


def _address(text: str, server_name: str) -> dict[str, str]:
    host = text.rpartition(":")[0].removeprefix("[").removesuffix("]")
    asked = server_name or host
    try:
        ip_address(asked)
    except ValueError:
        return {"connect": text, "options": f'-servername "{asked}" -verify_hostname "{asked}"'}
    return {"connect": text, "options": f'-noservername -verify_ip "{asked}"'}


def _seconds(text: str) -> int:
    try:
        return int(parse_duration(text).total_seconds())
    except BadInput:  # the run says so; a page has no lifetime then
        return 0


def _texts(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _home(path: str) -> str:
    """A path within double quotes, where the shell leaves a `~` alone."""
    return f"$HOME/{path[2:]}" if path.startswith("~/") else path


def _word(word: str) -> str:
    """One word for the shell; one with a template is quoted for what it may be filled with."""
    return f'"{word}"' if "{{" in word else shlex.quote(word)
