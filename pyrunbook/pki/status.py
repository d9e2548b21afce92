"""The status of a certificate: what is deployed, what each address serves, when it is due. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography import x509

from pyrunbook.errors import PyrunbookError
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import due, served
from pyrunbook.pki.pair_state import PairState
from pyrunbook.pki.rotation import PairStore, never_served, staged
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.trust import issuer_of, seen_by_clients
from pyrunbook.pki.wanted import WantedCertificate

Phase = Literal["rotate", "generate", "deploy"]
"""What a run is to do: all of a rotation; only up to what is staged; only what follows from there."""


@dataclass(frozen=True)
class CertificateStatus:
    """What was seen of a certificate, and what follows.

    Attributes:
        place: where its pair is kept.
        held: the state of that place.
        seen: what each address serves.
        decision: what is to be done.
        at: when it was read.
    """

    wanted: WantedCertificate
    place: str
    held: PairState
    seen: Sequence[served.Seen]
    decision: due.Due
    at: datetime

    def as_json(self) -> dict[str, Any]:
        """For the journal, `--json` and the roles."""
        found, standing, decision = self.held.found(), self.held.standing, self.decision
        facts = found.certificate.as_json(self.at) if found.certificate else {}
        shown = ("subject", "serial", "issuer", "dns_names", "ip_names", "not_before", "not_after", "days_left", "used")
        return {
            "place": self.place,
            **{name: facts.get(name) for name in shown},
            "key_matches": found.key_matches,
            "problem": found.unreadable,
            "standing": {name: value for name, value in vars(standing).items() if name not in ("about", "can")}
            | {"can": list(standing.can)},
            "staged": waits(self.held),
            "staged_problem": _staged_problem(self.wanted, self.held),
            "obstacle": self.held.obstacle,
            "retired": [
                {
                    "version": each.version,
                    "since": certificates.stamp(each.since),
                    "revoked_after": certificates.stamp(each.since + self.wanted.overlap),
                    "run": each.run,
                    "replaced_by": each.replaced_by,
                }
                for each in self.held.retired
            ],
            "served": [each.as_json() for each in self.seen],
            "due": {
                "then": decision.then.value,
                "reasons": [{"reason": reason.value, "seen": said} for reason, said in decision.reasons],
                "due_at": certificates.stamp(decision.due_at) if decision.due_at else None,
                "override": decision.override,
                "waits_until": certificates.stamp(decision.waits_until) if decision.waits_until else None,
                "notes": list(decision.notes),
                "describe": decision.describe(),
            },
        }


def examine(
    wanted: WantedCertificate,
    store: PairStore,
    issuers: Issuers,
    *,
    phase: Phase = "rotate",
    force: bool = False,
    window: due.Window | None = None,
) -> CertificateStatus:
    """Look at a certificate and decide.

    Args:
        issuers: who may have signed it, and what its clients trust. Where they cannot be asked, nothing is compared
            with them, and the decision's notes say so.
        phase: `deploy`: due is what has been staged; `generate`: changes nothing that serves, and needs no window.
        force: rotate although nothing asks for it.
        window: when a rotation may begin; None: at any time.

    Raises:
        NotDeployed: the place cannot be read.
    """
    held, now = store.read(), datetime.now(UTC)
    leaf = held.deployed.leaf if held.deployed else None
    issued_by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    try:
        if leaf is not None:
            authorities = issuers.issuer(wanted.issuer).authorities()
            issued_by = tuple(each.subject.rfc4514_string() for each in authorities)
    except PyrunbookError as error:
        notes = (f"the issuer {wanted.issuer} cannot be asked: {error.seen}",)
        if leaf is not None and _is_anothers(wanted, issuers, leaf):
            issued_by = (wanted.issuer,)
    if phase == "deploy":
        decision = _of_staged(held, wanted, now, window)
    else:
        opens = None if phase == "generate" else window
        decision = due.decide(now, held.found(), wanted.judged_by(issued_by), forced=force, window=opens)
    seen = seen_by_clients(wanted, issuers, leaf)
    if notes:
        decision = replace(decision, notes=decision.notes + notes)
    return CertificateStatus(wanted, store.place, held, seen, decision, now)


def _is_anothers(wanted: WantedCertificate, issuers: Issuers, leaf: x509.Certificate) -> bool:
    """Whether an issuer that is not the wanted one, and that answers, has made it: that of before a change."""
    try:
        return issuer_of(wanted, issuers, leaf) not in (None, issuers.issuer(wanted.issuer))
    except PyrunbookError:
        return False


def waits(held: PairState) -> bool:
    """Whether a new pair is staged, and waits to be deployed."""
    return bool(held.standing.run) and never_served(held) and "go_on" in held.standing.can


def _staged_problem(wanted: WantedCertificate, held: PairState) -> str:
    """Why what is staged would not be deployed; empty where nothing is staged, or it is good."""
    if not waits(held):
        return ""
    try:
        staged(wanted, held)
    except PyrunbookError as error:
        return error.seen
    return ""


def _of_staged(held: PairState, wanted: WantedCertificate, now: datetime, window: due.Window | None) -> due.Due:
    standing = held.standing
    if not waits(held):
        return due.Due(due.Then.NOTHING)
    judged = due.Wanted(renew_before=wanted.renew_before, lifetime=wanted.request.lifetime)
    decision = due.decide(now, held.found(), judged, forced=True, window=window)
    said = (due.Reason.STAGED, f"{standing.new} was staged by run {standing.run}")
    others = tuple(each for each in decision.reasons if each[0] is not due.Reason.FORCED)
    return replace(decision, reasons=(said, *others))
