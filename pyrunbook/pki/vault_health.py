"""What is wrong with a Vault or OpenBao, from the outside in: reachable, trusted, unsealed, let in, allowed, able.

Each fault has its own `VaultFault`, with what it means and what to type next. The first thing that
keeps everything after it from being asked ends the examination.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from pyrunbook.errors import BadInput
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.authority_dates import judge
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.issuers.vault_pki import VaultPki
from pyrunbook.pki.vault import Vault
from pyrunbook.pki.vault_probe import Diagnosis, VaultFault, probe

SOON = 300.0
"""Seconds: a token that cannot be renewed and ends sooner may not last for a rotation."""
GOES_ON = {VaultFault.HEALTHY, VaultFault.STANDBY, VaultFault.CLOCK_SKEW}
"""With these a server still answers: there is more to find out."""


def needed(mount: str, role: str, *, transit: str = "", key: str = "") -> dict[str, str]:
    """Which capability on which path a rotation needs: what the shipped policy grants, no more and no less.

    Args:
        mount: of the PKI engine.
        role: of the PKI engine.
        transit: mount of the transit engine, where template signing keys are rotated.
        key: name of the signing key.
    """
    paths = {f"{mount}/sign/{role}": "update", f"{mount}/roles/{role}": "read", f"{mount}/revoke": "update"}
    if transit and key:
        paths |= {
            f"{transit}/keys/{key}": "read",
            f"{transit}/keys/{key}/rotate": "update",
            f"{transit}/keys/{key}/config": "update",
            f"{transit}/sign/{key}": "update",
            f"{transit}/verify/{key}": "update",
        }
    return paths


def examine(
    issuer: VaultPki,
    *,
    lifetime: timedelta | None = None,
    paths: Mapping[str, str] | None = None,
    now: Callable[[], float] = time.time,
) -> list[Diagnosis]:
    """Look at everything that a rotation needs of the server.

    Args:
        lifetime: of the certificates that are asked for: the authority must last longer.
        paths: capability by path; what `needed` says by default.
        now: our clock, in seconds since 1970; for tests.

    Returns:
        the results in the order of the checks, the good ones too. Healthy as a whole: all of them are `ok`.
    """
    vault = issuer.vault
    found = [probe(vault.place, now)]
    if found[0].kind not in GOES_ON:
        return found
    try:
        found.append(_token(vault))
        found += _capabilities(vault, paths or needed(issuer.mount, issuer.role))
        found.append(_role(issuer))
        found.append(_authority(issuer, lifetime, datetime.fromtimestamp(now(), UTC)))
    except NotIssued as error:
        kind = next((each for each in VaultFault if each.value == error.kind), VaultFault.REJECTED)
        found.append(Diagnosis(kind, error.seen, error.means, error.next_step))
    return found


def _token(vault: Vault) -> Diagnosis:
    """Log in, or look at the token that was given."""
    vault.token()
    data = vault.read("auth/token/lookup-self")
    left, renewable = int(data.get("ttl") or 0), bool(data.get("renewable"))
    policies = ", ".join(sorted(str(each) for each in data.get("policies") or []))
    if "root" in (data.get("policies") or []):
        return Diagnosis(
            VaultFault.PERMISSION_DENIED,
            "the token is a root token: it may do everything",
            "whoever gets hold of it owns the server; a rotation needs three paths",
            f"{vault.place.environment()} bao token create -policy=pyrunbook -period=24h",
        )
    if left and not renewable and left < SOON:
        return Diagnosis(
            VaultFault.TOKEN_ENDS,
            f"the token ends in {left} s and cannot be renewed",
            "it may end in the middle of a rotation",
            f"{vault.place.environment()} bao token create -policy=pyrunbook -period=24h",
        )
    ends = f"lives for {left} s" + (", renewable" if renewable else "") if left else "does not end"
    return Diagnosis(VaultFault.HEALTHY, f"the token is accepted and {ends}; policies: {policies}")


def _capabilities(vault: Vault, paths: Mapping[str, str]) -> list[Diagnosis]:
    answer = vault.write("sys/capabilities-self", {"paths": list(paths)})
    lacking = []
    for path, capability in paths.items():
        has = set(answer.get(path) or [])
        if "deny" in has or not has & {capability, "root"}:
            lacking.append((path, capability))
    if not lacking:
        return [Diagnosis(VaultFault.HEALTHY, f"our policies allow all {len(paths)} paths that a rotation needs")]
    return [
        Diagnosis(
            VaultFault.PERMISSION_DENIED,
            f"our policies do not allow {capability!r} on {path}",
            "a rotation would stop there",
            f"{vault.place.environment()} bao policy write pyrunbook docs/pki/openbao-policy.hcl",
        )
        for path, capability in lacking
    ]


def _role(issuer: VaultPki) -> Diagnosis:
    vault, path = issuer.vault, f"{issuer.mount}/roles/{issuer.role}"
    bao = vault.place.environment()
    try:
        role = vault.read(path)
    except NotIssued as error:
        if error.kind == VaultFault.REJECTED.value:
            return Diagnosis(
                VaultFault.WRONG_ROLE,
                f"there is no role {issuer.role!r} at {issuer.mount}/ of {vault.place.address}",
                "the inventory names another role than the server has",
                f"{bao} bao list {issuer.mount}/roles",
            )
        raise
    if role.get("allow_any_name"):
        return Diagnosis(
            VaultFault.REJECTED,
            f"role {path} signs any name",
            "whoever holds the token can be anybody to our clients",
            f"{bao} bao patch {path} allow_any_name=false allowed_domains=… allow_bare_domains=true",
        )
    return Diagnosis(
        VaultFault.HEALTHY, f"role {path} is there, for {', '.join(role.get('allowed_domains') or ['no domain'])}"
    )


def _authority(issuer: VaultPki, lifetime: timedelta | None, now: datetime) -> Diagnosis:
    bao, of = issuer.vault.place.environment(), f"{issuer.mount}/"
    replace = f"{bao} bao read {of}cert/ca, then make a new issuer and set it as the default one"
    try:
        facts = [certificates.facts(each) for each in issuer.authorities()]
    except BadInput as error:
        return Diagnosis(VaultFault.REJECTED, f"an authority of {of}: {error.seen}")
    return judge(facts, of=of, lifetime=lifetime, now=now, replace=replace)
