"""What is wrong with the issuers of an inventory: each Vault from the outside in, each local authority by its dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pyrunbook.errors import PyrunbookError
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import vault_health
from pyrunbook.pki.authority_dates import judge
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.issuers import Issuer
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.vault_probe import Diagnosis, VaultFault, probe

REPLACE = 'docs/pki/README.md, "Replace an authority"'


def examine(
    issuers: Issuers,
    name: str,
    *,
    lifetime: timedelta | None = None,
    transit: Iterable[tuple[str, str]] = (),
    now: datetime | None = None,
) -> list[Diagnosis]:
    """Look at one issuer; nothing is issued.

    Args:
        lifetime: the longest that is asked of it: its authority must last longer.
        transit: mount and name of the signing keys that are in the same Vault.
        now: aware; the system's time by default.

    Returns:
        what was found, the healthy things too; at least one.
    """
    now = now or datetime.now(UTC)
    try:
        issuer = issuers.issuer(name)
        from pyrunbook.pki.issuers.vault_pki import VaultPki

        if not isinstance(issuer, VaultPki):
            return [authority(issuer, lifetime, now)]
        if issuers.logs_in_once(name):
            found = probe(issuer.vault.place, now.timestamp)
            kept = "its wrapped secret id opens one login, which is kept for a rotation: nothing was asked with it"
            return [found, Diagnosis(VaultFault.HEALTHY, kept)] if found.ok else [found]
        paths = vault_health.needed(issuer.mount, issuer.role)
        for mount, key in transit:
            paths |= vault_health.needed(issuer.mount, issuer.role, transit=mount, key=key)
        return vault_health.examine(issuer, lifetime=lifetime, paths=paths)
    except NotIssued as error:
        kind = next((each for each in VaultFault if each.value == error.kind), VaultFault.REJECTED)
        return [Diagnosis(kind, error.seen, error.means, error.next_step)]
    except PyrunbookError as error:  # a file of the inventory is missing, or open to others
        return [Diagnosis(VaultFault.REJECTED, error.seen, error.means, error.next_step)]


def authority(issuer: Issuer, lifetime: timedelta | None, now: datetime) -> Diagnosis:
    """Whether the authorities of an issuer that is on this machine are valid, and last long enough.

    Raises:
        NotIssued, BadInput: they cannot be read.
    """
    facts = [certificates.facts(each) for each in (*issuer.authorities(), *issuer.trust())]
    return judge(facts, of=issuer.name, lifetime=lifetime, now=now, replace=REPLACE)


def as_json(found: Mapping[str, Iterable[Diagnosis]]) -> dict[str, list[dict[str, Any]]]:
    """The diagnoses by issuer, for the journal."""
    return {name: [{**vars(each), "kind": each.kind.value} for each in several] for name, several in found.items()}
