"""The state of the place that holds a pair, on disk or in a cluster, from one reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography import x509

from pyrunbook.errors import BadInput
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.due import Deployed


@dataclass(frozen=True)
class RotationState:
    """How far the rotation of a pair has come (see `rotation_state.judge`).

    Attributes:
        current: the deployed version, empty where there is none.
        run: the run that is rotating it; empty where none is.
        new: the version that it deploys.
        previous: the version that was deployed before it.
        step: how far it has come.
        deployed: which of the two is deployed now: `new`, `previous` or `other`; empty where no rotation is under way.
        can: what may be done: `start`, `go_on`, `go_back`; empty where an operator must look.
        seen: one sentence: what happened.
        about: what the run recorded when it began.
    """

    current: str
    run: str
    new: str
    previous: str
    step: str
    deployed: str
    can: tuple[str, ...]
    seen: str
    about: dict[str, Any]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> RotationState:
        """From what `rotation_state.judge` gives."""
        rotation = data["rotation"] or {}
        return cls(
            current=data["current"],
            run=rotation.get("run", ""),
            new=rotation.get("new", ""),
            previous=rotation.get("previous", ""),
            step=rotation.get("step", ""),
            deployed=data["deployed"],
            can=tuple(data["can"]),
            seen=data["seen"],
            about=rotation.get("about") or {},
        )


@dataclass(frozen=True)
class Retired:
    """A version that is no longer deployed and has yet to be revoked.

    Attributes:
        version: its name: the serial.
        since: when its successor was proven, aware.
        run: the run that replaced it; empty where that was not recorded.
        replaced_by: its successor.
        undoes: where that rotation went back: the run that it has undone.
    """

    version: str
    since: datetime
    run: str = ""
    replaced_by: str = ""
    undoes: str = ""

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Retired:
        """From an entry of `rotation_state.retired`."""
        since = datetime.fromisoformat(data["since"])
        return cls(data["version"], since, data.get("run", ""), data.get("replaced_by", ""), data.get("undoes", ""))


@dataclass(frozen=True)
class StoredPair:
    """A version that is complete.

    Attributes:
        chain: its certificate and what is sent after it; empty where that cannot be read.
        matches: whether its key belongs to it; None where that could not be seen.
        problem: why a part of it cannot be read, or is open to others; empty where nothing is wrong.
    """

    chain: tuple[x509.Certificate, ...]
    matches: bool | None
    problem: str

    @property
    def leaf(self) -> x509.Certificate | None:
        """The certificate."""
        return self.chain[0] if self.chain else None

    def broken(self, now: datetime) -> str:
        """Why a server could not serve it now, or a client would refuse it; empty where neither is known."""
        if self.problem or self.leaf is None:
            return self.problem or "it holds no certificate"
        if self.matches is False:
            return "its private key does not belong to its certificate"
        if self.leaf.not_valid_after_utc <= now:
            return f"it expired {certificates.stamp(self.leaf.not_valid_after_utc)}"
        if self.leaf.not_valid_before_utc > now:
            return f"it is not valid before {certificates.stamp(self.leaf.not_valid_before_utc)}"
        return ""


@dataclass(frozen=True)
class PairState:
    """Everything that a place holds.

    Attributes:
        standing: what is deployed, and how far a rotation has come.
        retired: what was replaced and has yet to be revoked, the oldest first.
        kept: the versions that are complete, by name.
        obstacle: why no new pair could be written there; empty where no obstacle is known.
    """

    standing: RotationState
    retired: tuple[Retired, ...] = ()
    kept: Mapping[str, StoredPair] = field(default_factory=dict)
    obstacle: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any], origin: str, obstacle: str = "") -> PairState:
        """From what `certificate_look.look` gives.

        Args:
            data: plain data.
            origin: the place, for messages.
        """
        return cls(
            RotationState.of(data["standing"]),
            tuple(Retired.of(each) for each in data["retired"]),
            {name: _kept(pair, f"{origin}, version {name},") for name, pair in data["pairs"].items()},
            obstacle,
        )

    @property
    def deployed(self) -> StoredPair | None:
        """The deployed version."""
        return self.kept.get(self.standing.current) if self.standing.current else None

    def found(self) -> Deployed:
        """What is deployed, for `due.decide`."""
        deployed = self.deployed
        if deployed is None:
            return Deployed()
        facts, problem = None, deployed.problem
        try:
            facts = certificates.facts(deployed.leaf) if deployed.leaf else None
        except BadInput as error:
            problem = problem or error.seen
        return Deployed(facts, problem, deployed.matches)


def _kept(pair: Mapping[str, Any], origin: str) -> StoredPair:
    problem: str = pair["problem"]
    chain: tuple[x509.Certificate, ...] = ()
    if pair["certificate"]:
        try:
            chain = tuple(certificates.parse(pair["certificate"].encode(), origin))
        except BadInput as error:
            problem = error.seen
    return StoredPair(chain, pair["matches"], problem)
