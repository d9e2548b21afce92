"""The way back of a rotation: the previous certificate is served again and seen, or the error says what is served.

put_back   the previous pair again, reloaded and seen; taken away where there was none
settle     after a death: a rotation that was proven is concluded, any other is put back
undo       a rotation that succeeded: the version that it replaced is deployed and proven again
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyrunbook.errors import PyrunbookError, Refused
from pyrunbook.pki import revocation, served
from pyrunbook.pki.errors import NotDeployed, NotServed
from pyrunbook.pki.pair_state import PairState, Retired, StoredPair
from pyrunbook.pki.rotation import Done, PairStore, conclude, deploy, never_served, prove, unfinished
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.trust import issuer_of, roots_of
from pyrunbook.pki.wanted import WantedCertificate


def put_back(wanted: WantedCertificate, store: PairStore, run: str) -> Done:
    """Have served again what was served before the rotation of `run`, and see it.

    A previous pair that no client would accept is not put back where the new one is seen served: that one stays.

    Raises:
        Refused: the rotation that is under way is another run's.
        NotDeployed: what was there before is not served again, with what is; an operator must look.
    """
    held = store.read()
    standing = held.standing
    if not standing.run:
        return Done(False, f"no rotation of {wanted.name} is under way", standing.current, {})
    if standing.run != run:
        raise Refused(f"run {run} has nothing to put back: {standing.seen}", next_step="pyrunbook certs status")
    if never_served(held):
        store.put_back(run)
        store.conclude(run)
        return Done(True, f"{standing.previous or 'nothing'} is deployed as before", standing.previous, {})
    previous = held.kept.get(standing.previous)
    broken = previous.broken(datetime.now(UTC)) if previous else "it is not kept"
    if standing.previous and broken and standing.deployed == "new":
        return _kept_new(wanted, store, held, broken)
    store.put_back(run)
    reload_failed = _reload(store)
    if not standing.previous:
        store.conclude(run)
        detail = "nothing was deployed before, and nothing is now"
        return Done(True, detail + (f"; {reload_failed}" if reload_failed else ""), "", {"reload": reload_failed})
    try:
        seen = prove(wanted, store, standing.previous, str(standing.about.get("trust_previous", "")))
    except NotServed as error:
        raise _not_back(
            wanted, standing.run, f"{standing.previous} is put back and not seen served", error, reload_failed
        ) from None
    store.conclude(run)
    detail = served.describe(seen) + (f" ({reload_failed})" if reload_failed else "")
    evidence = {
        "serial": standing.previous,
        "took_away": standing.new,
        "reload": reload_failed,
        "served": [each.as_json() for each in seen],
    }
    return Done(True, detail, standing.previous, evidence)


def settle(wanted: WantedCertificate, store: PairStore, run: str) -> Done:
    """Bring the rotation of a run that died to an end: forward where it was proven, back otherwise. See `put_back`."""
    standing = store.read().standing
    if standing.run == run and standing.step == "proven" and standing.deployed == "new":
        return conclude(store)
    return put_back(wanted, store, run)


def undo(wanted: WantedCertificate, store: PairStore, issuers: Issuers, undone: str, run: str) -> Done:
    """Deploy again, and prove, the version that the rotation of run `undone` has replaced.

    Args:
        issuers: to ask whether the version was revoked.
        undone: id of the run to undo.

    Raises:
        Refused: it has replaced nothing that is still kept, or that would be accepted.
        NotDeployed: it did not succeed, and neither did the way back.
        NotServed: it did not succeed; what was deployed is served again.
    """
    held = store.read()
    standing = held.standing
    if standing.run == undone:
        return put_back(wanted, store, undone)
    if standing.run and standing.run != run:
        raise unfinished(wanted, held)
    if any(each.undoes == undone and each.replaced_by == standing.current for each in held.retired):
        return Done(False, f"{standing.current} was put back before", standing.current, {})
    entry = next((each for each in held.retired if each.run == undone and each.undoes != undone), None)
    if entry is None and not standing.run:
        raise Refused(
            f"run {undone} has replaced no certificate {wanted.name} that is still kept",
            means="it rotated nothing here, or what it replaced has been revoked since. Nothing was changed.",
            next_step="for a new certificate: pyrunbook certs rotate --force",
        )
    if entry is not None:
        _require_newest(held, entry)
        about = _good(wanted, issuers, held.kept.get(entry.version), entry)
        store.reinstate(run, entry.version, undone, about)
    try:
        done = deploy(wanted, store, run, again=True)
    except PyrunbookError as error:
        back = put_back(wanted, store, run)
        raise NotServed(
            f"{error.seen}; put back: {back.detail}", means=error.means, next_step=error.next_step
        ) from None
    conclude(store)
    return done


# --- parts -------------------------------------------------------------------------------------------------------


def _reload(store: PairStore) -> str:
    """Have the server read the pair again; what went wrong, empty where nothing did: what is served decides."""
    try:
        store.reload()
    except NotServed as error:
        return error.seen
    return ""


def _kept_new(wanted: WantedCertificate, store: PairStore, held: PairState, broken: str) -> Done:
    """Where there is no way back, as the previous pair is of no use: forward, if the new one is served after all."""
    standing = held.standing
    reload_failed = _reload(store)
    try:
        seen = prove(wanted, store, standing.new, str(standing.about.get("trust", "")))
    except NotServed as error:
        what = f"{standing.new} stays deployed and is not seen served; {standing.previous} is no way back, as {broken}"
        raise _not_back(wanted, standing.run, what, error, reload_failed) from None
    if standing.step in ("activating", "activated"):
        store.activate(standing.run)
        store.mark(standing.run, "reloaded")
    store.mark(standing.run, "proven")
    store.conclude(standing.run)
    detail = f"{standing.previous} is no way back, as {broken}; {served.describe(seen)}"
    return Done(True, detail, standing.new, {"serial": standing.new, "served": [each.as_json() for each in seen]})


def _not_back(wanted: WantedCertificate, run: str, what: str, error: NotServed, reload_failed: str) -> NotDeployed:
    return NotDeployed(
        f"certificate {wanted.name}: {what}: {error.seen}" + (f"; {reload_failed}" if reload_failed else ""),
        means="clients may be refused until its server reads it",
        next_step=f"reload the server by hand, then: pyrunbook run maintenance/certificate_rollback -e rotation={run}",
        evidence=error.evidence,
    )


def _require_newest(held: PairState, entry: Retired) -> None:
    """Refuse to go back past what another run has deployed since: it may have had a reason to.

    Raises:
        Refused: names that run.
    """
    standing = held.standing
    if standing.run or entry.replaced_by == standing.current:
        return
    newest = next((each.run for each in held.retired if each.replaced_by == standing.current), "")
    raise Refused(
        f"run {entry.run} deployed {entry.replaced_by}, and {standing.current} is deployed since",
        means="Nothing was changed: to go back would undo that as well.",
        next_step=f"undo that one first: pyrunbook rollback {newest}" if newest else "pyrunbook certs status",
    )


def _good(wanted: WantedCertificate, issuers: Issuers, kept: StoredPair | None, entry: Retired) -> dict[str, Any]:
    """What is noted about a version that is to be deployed again, after a look that clients would accept it."""
    now = datetime.now(UTC)
    problem = kept.broken(now) if kept else "it is not kept"
    if not problem and kept is not None and kept.leaf is not None:
        problem = _revoked(issuers, wanted, kept)
    if problem or kept is None or kept.leaf is None:
        raise Refused(
            f"{entry.version}, which run {entry.run} replaced, is not put back: {problem}",
            means="clients would refuse it. Nothing was changed.",
            next_step="for a new certificate: pyrunbook certs rotate --force",
        )
    try:
        trust = roots_of(wanted, issuers, kept.leaf).decode()
    except PyrunbookError as error:
        raise Refused(
            f"{entry.version} is not put back: whom its clients trust is not known: {error.seen}",
            means="it could not be proven to be served. Nothing was changed.",
            next_step=error.next_step or "pyrunbook certs status",
        ) from None
    return {"name": wanted.name, "issuer": kept.leaf.issuer.rfc4514_string(), "trust": trust, "trust_previous": trust}


def _revoked(issuers: Issuers, wanted: WantedCertificate, kept: StoredPair) -> str:
    """That an issuer says it is revoked; empty where it does not, also where it cannot be asked: that is no verdict."""
    if kept.leaf is None:
        return ""
    try:
        issuer = issuer_of(wanted, issuers, kept.leaf)
        answers = [ask(issuer, kept.leaf) for ask in (revocation.check_crl, revocation.check_ocsp)] if issuer else []
    except PyrunbookError:
        return ""
    return next(
        (f"it is revoked: {each.detail}" for each in answers if each.status is revocation.RevocationStatus.REVOKED), ""
    )
