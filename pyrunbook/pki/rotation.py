"""The rotation of one pair: issued, staged, deployed, proven, concluded; or the previous pair is put back.

    stage      issue, check, write beside the deployed pair: nothing that serves changes
    deploy     activate, reload, see the new serial on a new connection to every address
    conclude   keep the previous pair

The way back is in `going_back`; `overlap` revokes what was replaced.

The id of a rotation is that of the run that began it; a later run that deploys what was staged takes it over
(`PairStore.take_over`), so that the run that deployed is the one to go back and to be undone.
What clients have to trust is noted when the pair is staged, so that nothing after that needs the issuer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pyrunbook.errors import Refused
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import check, served
from pyrunbook.pki.errors import NotServed
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.pair_state import PairState
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.trust import trusted
from pyrunbook.pki.wanted import WantedCertificate

UNTOUCHED = "what is deployed was not touched"


class PairStore(Protocol):
    """The place of one pair. Each move returns whether it changed anything, and may be repeated.

    All raise `NotDeployed`, or `Refused` before anything was changed.
    """

    @property
    def place(self) -> str:
        """For messages and the journal: where it is."""

    def read(self) -> PairState:
        """What is deployed, what is kept, and how far a rotation has come."""

    def stage(self, run: str, issued: Issued, about: dict[str, Any] | None = None) -> bool:
        """Write a new pair beside the deployed one. Its version is its serial."""

    def take_over(self, run: str, by: str) -> bool:
        """Make what `run` has staged the rotation of the run `by`."""

    def activate(self, run: str) -> bool:
        """Deploy what was staged, in one move."""

    def reload(self) -> str:
        """Have the server read the pair again; one line: what was done.

        Raises:
            NotServed: it failed.
        """

    def heartbeat(self) -> Callable[[], None]:
        """What to call while a proof is waited for, so that the lock of the run is kept; raises when it is lost."""

    def mark(self, run: str, step: str) -> bool:
        """Note that the server was `reloaded`, or the new certificate `proven`."""

    def put_back(self, run: str) -> bool:
        """Deploy again what was deployed before."""

    def conclude(self, run: str) -> list[str]:
        """End the rotation; gives the versions that were removed."""

    def reinstate(self, run: str, version: str, undoes: str = "", about: dict[str, Any] | None = None) -> bool:
        """Begin a rotation back to a version that is still kept."""

    def settle(self, version: str) -> bool:
        """Note that a retired version has been revoked, or has expired."""


@dataclass(frozen=True)
class Done:
    """What a part of a rotation did.

    Attributes:
        detail: one line for the operator.
        serial: what is deployed or staged now; empty where there is nothing.
        evidence: for the journal; no secrets.
    """

    changed: bool
    detail: str
    serial: str
    evidence: dict[str, Any]

    def as_result(self) -> dict[str, Any]:
        """As the result of a task."""
        return vars(self).copy()


def stage(wanted: WantedCertificate, store: PairStore, issuers: Issuers, run: str) -> Done:
    """Issue a new pair, look at it in every way, and write it beside the deployed one.

    What an earlier run has staged and never deployed is discarded, once there is a new pair that is good.

    Raises:
        NotIssued: the issuer did not do it.
        Doubtful: the new pair is not what was asked for.
        Refused: another rotation has been begun and not ended, or no new pair could be written there.
        NotDeployed: it could not be written.
    """
    held = store.read()
    standing = held.standing
    if standing.run == run and "go_on" in standing.can:
        return Done(False, f"{standing.new} was staged before", standing.new, {"serial": standing.new})
    old = standing.run if never_served(held) else ""
    if standing.run and not old:
        raise unfinished(wanted, held)
    require_writable(wanted, held)
    issuer = issuers.issuer(wanted.issuer)
    issued = issuer.issue(wanted.request)
    request = wanted.request
    findings = check.check(
        issued.certificate,
        issued.chain,
        issued.key,
        trust=issued.trust,
        dns_names=request.dns_names,
        ip_names=request.ip_names,
    )
    check.require(findings)
    trust = certificates.pem(*issued.trust).decode()
    about = {"name": wanted.name, "issuer": issuer.name, "trust": trust, "trust_previous": trust}
    if held.deployed is not None and held.deployed.leaf is not None:
        about["trust_previous"] = trusted(wanted, issuers, held.deployed.leaf).decode()
    if old:
        store.put_back(old)
        store.conclude(old)
    store.stage(run, issued, about)
    facts = certificates.facts(issued.certificate)
    said = (
        f"{issued.serial} by {issuer.name}, until {certificates.stamp(facts.not_after)}; {len(findings)} checks passed"
    )
    evidence = {"serial": issued.serial, "place": store.place, "issuer": issuer.name, "checks": check.as_json(findings)}
    if old:
        said += f"; discarded {standing.new}, staged by run {old}"
        evidence["discarded"] = standing.new
    return Done(True, said, issued.serial, evidence)


def staged(wanted: WantedCertificate, held: PairState, *, again: bool = False) -> list[check.PairCheck]:
    """Look again at what is staged, which may have waited for days.

    Args:
        again: whether it is a version that was deployed before, when other names may have been wanted.

    Raises:
        Refused: nothing is staged.
        Doubtful: it would not be accepted, or is not what is wanted any more.
    """
    standing = held.standing
    kept = held.kept.get(standing.new) if "go_on" in standing.can else None
    if kept is None:
        raise Refused(
            f"nothing is staged for certificate {wanted.name}: {standing.seen}",
            means=UNTOUCHED,
            next_step="generate it first: pyrunbook certs generate --force",
        )
    broken, trust = kept.broken(datetime.now(UTC)), str(standing.about.get("trust", ""))
    if (
        broken or kept.leaf is None or not trust
    ):  # without a recorded root, the clients' own roots decide when it is served
        findings = [check.PairCheck("pair", ok=not broken, detail=f"{standing.new}: {broken or 'valid'}")]
    else:
        facts = certificates.facts(kept.leaf)
        findings = check.check(
            kept.leaf,
            kept.chain[1:],
            None,
            trust=certificates.parse(trust.encode(), "what clients trust, as noted,"),
            dns_names=facts.dns_names if again else wanted.request.dns_names,
            ip_names=facts.ip_names if again else wanted.request.ip_names,
        )
    check.require(findings)
    return findings


def deploy(wanted: WantedCertificate, store: PairStore, run: str, *, again: bool = False) -> Done:
    """Deploy what was staged, by this run or an earlier one, and see it served everywhere.

    Args:
        again: see `staged`.

    Raises:
        Refused: nothing is staged, or another run has begun to deploy.
        Doubtful: what is staged is no longer good.
        NotDeployed: it could not be deployed.
        NotServed: the reload failed, or an address does not serve it. It has to be put back then.
    """
    held = store.read()
    standing = held.standing
    if standing.run not in ("", run) and not never_served(held):
        raise unfinished(wanted, held)
    if standing.step == "proven":
        return Done(False, f"{standing.new} was seen served before", standing.new, {"serial": standing.new})
    findings = staged(wanted, held, again=again)
    if standing.run != run:
        store.take_over(standing.run, run)
    store.activate(run)
    reloaded = store.reload()
    store.mark(run, "reloaded")
    seen = prove(wanted, store, standing.new, str(standing.about.get("trust", "")))
    store.mark(run, "proven")
    evidence = {
        "serial": standing.new,
        "replaces": standing.previous,
        "place": store.place,
        "checks": check.as_json(findings),
        "reload": reloaded,
        "served": [each.as_json() for each in seen],
    }
    return Done(True, served.describe(seen), standing.new, evidence)


def conclude(store: PairStore) -> Done:
    """End a rotation that was proven; where none is under way, or one is only staged, nothing happens.

    Raises:
        NotDeployed: the rotation has come to neither end.
    """
    held = store.read()
    standing = held.standing
    if not standing.run or never_served(held):
        return Done(False, "", standing.current, {})
    removed = store.conclude(standing.run)
    detail = f"{standing.new} replaces {standing.previous or 'nothing'}"
    return Done(True, detail, standing.new, {"serial": standing.new, "replaces": standing.previous, "removed": removed})


def never_served(held: PairState) -> bool:
    """Whether a rotation is under way of which no server can have read anything yet."""
    return held.standing.deployed == "previous" and held.standing.step in ("staging", "staged", "activating")


def require_writable(wanted: WantedCertificate, held: PairState) -> None:
    """Refuse to ask for a certificate that could not be written.

    Raises:
        Refused: the obstacle is named.
    """
    if held.obstacle:
        raise Refused(
            f"certificate {wanted.name} cannot be written to its place: {held.obstacle}",
            means=UNTOUCHED,
            next_step=f"correct it on the machine, or correct service_certificates for {wanted.name}",
        )


def unfinished(wanted: WantedCertificate, held: PairState) -> Refused:
    """The refusal to begin while another rotation is unfinished."""
    run = held.standing.run
    return Refused(
        f"a rotation of certificate {wanted.name} has not been brought to an end: {held.standing.seen}",
        means=UNTOUCHED,
        next_step=f"pyrunbook recover {run}, or: pyrunbook run maintenance/certificate_rollback -e rotation={run}",
    )


def prove(wanted: WantedCertificate, store: PairStore, serial: str, trust: str) -> list[served.Seen]:
    """See a certificate served at every address.

    Args:
        wanted: says where, and how long that may take.
        store: keeps the lock of the run meanwhile.
        serial: hex.
        trust: PEM of the roots that clients trust; empty: the system's.

    Raises:
        NotServed: an address does not serve it, or a client would refuse it there.
    """
    proven, seen = served.prove(
        wanted.addresses,
        serial=serial,
        roots=trust.encode(),
        seconds=wanted.prove_within.total_seconds(),
        heartbeat=store.heartbeat(),
    )
    if not proven:
        raise NotServed(
            f"{serial} is not served: {served.describe(seen)}",
            means="a server that was not reloaded, or could not reload, keeps its previous certificate",
            next_step="pyrunbook certs status",
            evidence={"serial": serial, "served": [each.as_json() for each in seen]},
        )
    return seen
