"""Whether the authorities that an issuer signs with are valid, and last as long as what they are asked to sign."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.certificate import CertificateFacts
from pyrunbook.pki.vault_probe import Diagnosis, VaultFault


def judge(
    authorities: Sequence[CertificateFacts], *, of: str, lifetime: timedelta | None, now: datetime, replace: str
) -> Diagnosis:
    """The first of them to end decides.

    Args:
        authorities: the issuing one, those above it, and the roots.
        of: the name of their owner, for messages.
        lifetime: the longest that is asked of them; None: not known.
        now: aware.
        replace: the next step where one has to be replaced.
    """
    if not authorities:
        return Diagnosis(VaultFault.REJECTED, f"{of} has no authority", next_step=replace)
    first = min(authorities, key=lambda facts: facts.not_after)
    stamp = certificates.stamp(first.not_after)
    if first.not_after <= now:
        return Diagnosis(
            VaultFault.AUTHORITY_EXPIRED,
            f"the authority {first.subject} expired {stamp}",
            "no client accepts what is issued below it, nor what was",
            replace,
        )
    ends = f"the authority {first.subject} ends {stamp}"
    if lifetime is not None and first.not_after < now + lifetime:
        return Diagnosis(
            VaultFault.AUTHORITY_ENDS,
            f"{ends}, and a certificate is to live for {lifetime}",
            "a certificate that outlives its issuer would be refused before its own end",
            replace,
        )
    return Diagnosis(VaultFault.HEALTHY, f"{of}: {ends}")
