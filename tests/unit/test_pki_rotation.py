"""The flow of a rotation on real files, with the local authority and a server that a client connects to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pki_pairs import authority, hand_made
from tls_under_test import TlsServer

from pyrunbook.errors import Refused
from pyrunbook.on_target import rotation_state
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki import going_back, overlap, revocation, rotation, status, validation
from pyrunbook.pki.due import Then, Window
from pyrunbook.pki.errors import Doubtful, NotDeployed, NotIssued, NotServed
from pyrunbook.pki.issuers import CertificateRequest, Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.keys import PrivateKey
from pyrunbook.pki.pair import Pair
from pyrunbook.pki.rotation import Done
from pyrunbook.pki.served import Address, look
from pyrunbook.pki.sources import Issuers
from pyrunbook.pki.wanted import WantedCertificate, read_certificates
from pyrunbook.verdict import Verdict

NAME = "a.example"


class Killed(BaseException):
    """The process ends between two moves."""


class Machine(Pair):
    """The pair of a server that reads its files when it is told to.

    A test sets what the server does when it is told: `on_reload`; and after which move the process dies: `dies_after`.
    """

    server: TlsServer
    moves: list[str]
    beats: list[str]
    on_reload: str
    dies_after: str

    @classmethod
    def beside(cls, directory: Path, server: TlsServer) -> Machine:
        made = cls(directory)
        for name, value in {"server": server, "moves": [], "beats": [], "on_reload": "read", "dies_after": ""}.items():
            made.set(name, value)
        return made

    def set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def reload(self) -> str:
        if self.on_reload == "fail":
            raise NotServed("the server was not reloaded: reload ended with 1")
        if self.on_reload == "read":
            if not (self.directory / "current").exists():
                raise NotServed("the server was not reloaded: no such file")
            self.server.read(self.certificate_file, self.key_file)
        return "reload ended with 0"

    def heartbeat(self) -> Callable[[], None]:
        return lambda: self.beats.append("beat")


def dying(name: str) -> Callable[..., Any]:
    real = getattr(Machine, name)

    def move(self: Machine, *arguments: Any, **options: Any) -> Any:
        result = real(self, *arguments, **options)
        done = f"mark {arguments[1]}" if name == "mark" else name
        self.moves.append(done)
        if done == self.dies_after:
            raise Killed
        return result

    return move


for _name in ("stage", "activate", "reload", "mark", "put_back", "conclude", "reinstate"):
    setattr(Machine, _name, dying(_name))


@dataclass
class Scene:
    """A certificate, its place, its issuers and its server."""

    wanted: WantedCertificate
    store: Machine
    issuers: Issuers
    server: TlsServer
    authority: LocalAuthority

    def serial(self) -> str:
        """What a client is given and accepts; it fails where it accepts nothing."""
        (seen,) = look(self.wanted.addresses[0], roots=certificates.pem(*self.authority.trust()), timeout=2)
        assert seen.outcome.value == "pass", seen.detail
        assert seen.facts is not None
        return seen.facts.serial

    def rotate(self, run: str) -> Done:
        rotation.stage(self.wanted, self.store, self.issuers, run)
        done = rotation.deploy(self.wanted, self.store, run)
        rotation.conclude(self.store)
        return done

    def put_back(self, run: str) -> Done:
        return going_back.put_back(self.wanted, self.store, run)

    def settle(self, run: str) -> Done:
        return going_back.settle(self.wanted, self.store, run)

    def undo(self, undone: str, run: str) -> Done:
        return going_back.undo(self.wanted, self.store, self.issuers, undone, run)

    def revoke(self) -> overlap.RetiredVersions:
        return overlap.revoke_retired(self.wanted, self.store, self.issuers)

    def current(self) -> str:
        return self.store.read().standing.current

    def at_rest(self) -> bool:
        return self.store.read().standing.run == ""

    def age(self, hours: float) -> None:
        """Have everything been retired that much earlier."""
        directory = str(self.store.directory)
        entries = rotation_state.retired(directory)
        for each in entries:
            each["since"] = certificates.stamp(datetime.fromisoformat(each["since"]) - timedelta(hours=hours))
        rotation_state.write_retired(directory, entries)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("state") / "ca"
    authority(directory)
    return directory


@pytest.fixture
def scene(tmp_path: Path, ca: Path) -> Iterator[Scene]:
    """Nothing is deployed yet; the server serves a certificate of nobody."""
    certificate, key = hand_made()
    with (
        TlsServer(Issued(certificate, (), key, "0a", ())) as server,
        Issuers({"local": {"kind": "local_ca", "directory": str(ca)}}) as issuers,
    ):
        entry = {
            "name": "public",
            "issuer": "local",
            "dns_names": [NAME],
            "lifetime": "30d",
            "overlap": "1h",
            "addresses": [f"127.0.0.1:{server.port}"],
            "server_name": NAME,
            "directory": str(tmp_path / "tls"),
        }
        (wanted,) = read_certificates([entry], issuers.names, "host")
        wanted = replace(wanted, prove_within=timedelta(seconds=0.3))
        yield Scene(wanted, Machine.beside(tmp_path / "tls", server), issuers, server, LocalAuthority(ca))


# --- when all is well ------------------------------------------------------------------------------------------------


def test_two_rotations_are_served_and_the_replaced_one_is_kept(scene: Scene) -> None:
    first = scene.rotate("run1")
    assert scene.serial() == first.serial == scene.current()
    second = scene.rotate("run2")
    assert scene.serial() == second.serial != first.serial
    (retired,) = scene.store.read().retired
    assert (retired.version, retired.run, retired.replaced_by) == (first.serial, "run2", second.serial)
    assert "1 of 1 addresses" in second.detail
    assert second.evidence["replaces"] == first.serial
    json.dumps(second.evidence)


def test_the_lock_is_kept_as_long_as_a_proof_is_waited_for(scene: Scene) -> None:
    scene.rotate("run1")
    assert len(scene.store.beats) == 1
    scene.store.set("on_reload", "nothing")
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    with pytest.raises(NotServed):
        rotation.deploy(scene.wanted, scene.store, "run2")
    assert len(scene.store.beats) > 3, "0.3 s, a look each 0.1 s"


def test_a_rotation_says_nothing_of_its_key(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    staged = rotation.stage(scene.wanted, scene.store, scene.issuers, "run1")
    deployed = rotation.deploy(scene.wanted, scene.store, "run1")
    secret = scene.store.key_file.read_text().splitlines()[2]
    told = [json.dumps([done.evidence, done.detail, repr(done)]) for done in (staged, deployed)]
    told += [repr(scene.store.read()), (scene.store.directory / "rotation.json").read_text(), *capsys.readouterr()]
    assert [text for text in told if secret in text or "PRIVATE" in text] == []


# --- any doubt leaves the old pair as it was -------------------------------------------------------------------------


def other_key(issued: Issued) -> Issued:
    return replace(issued, key=PrivateKey.new())


def no_chain(issued: Issued) -> Issued:
    return replace(issued, chain=())


def other_root(issued: Issued) -> Issued:
    root, key = hand_made(ca=True, names=("root.example",))
    leaf, _ = hand_made(root, key, issued.key)
    return replace(issued, certificate=leaf, chain=(), serial=certificates.facts(leaf).serial)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (other_key, "private key does not belong"),
        (no_chain, "unable to get local issuer certificate"),
        (other_root, "not accepted"),
    ],
)
def test_a_doubtful_pair_is_not_even_staged(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Issued], Issued], said: str
) -> None:
    old = scene.rotate("run1").serial
    real = LocalAuthority.issue
    monkeypatch.setattr(LocalAuthority, "issue", lambda self, request: fault(real(self, request)))
    with pytest.raises(Doubtful, match=said):
        rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    assert scene.at_rest()
    assert list(scene.store.read().kept) == [old]
    assert scene.serial() == old == scene.current()


def down(self: LocalAuthority, request: CertificateRequest) -> Issued:
    raise NotIssued("sealed", kind="sealed")


def test_an_issuer_that_is_down_changes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    old = scene.rotate("run1").serial
    monkeypatch.setattr(LocalAuthority, "issue", down)
    with pytest.raises(NotIssued, match="sealed"):
        rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    assert scene.at_rest()
    assert scene.serial() == old


def test_an_issuer_that_goes_down_after_it_has_issued_is_not_needed_any_more(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = scene.rotate("run1").serial
    new = rotation.stage(scene.wanted, scene.store, scene.issuers, "run2").serial
    with monkeypatch.context() as patch:
        for name in ("issue", "trust", "authorities", "crls", "revoke"):
            patch.setattr(LocalAuthority, name, down)
        assert rotation.deploy(scene.wanted, scene.store, "run2").serial == new
        rotation.conclude(scene.store)
    assert scene.serial() == new
    scene.store.set("on_reload", "fail")
    newer = rotation.stage(scene.wanted, scene.store, scene.issuers, "run3").serial
    with monkeypatch.context() as patch:
        patch.setattr(LocalAuthority, "trust", down)
        with pytest.raises(NotServed):
            rotation.deploy(scene.wanted, scene.store, "run3")
        assert scene.put_back("run3").serial == new
    assert scene.serial() == new not in (old, newer)


def test_what_waits_is_looked_at_again_before_it_is_deployed(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    other = replace(scene.wanted, request=replace(scene.wanted.request, dns_names=("b.example",)))
    with pytest.raises(Doubtful, match="is not for b"):
        rotation.deploy(other, scene.store, "run2")
    (scene.store.directory / "versions" / scene.store.read().standing.new / "key.pem").write_bytes(
        PrivateKey.new().pem()
    )
    with pytest.raises(Doubtful, match="key does not belong"):
        rotation.deploy(scene.wanted, scene.store, "run2")
    assert scene.serial() == old == scene.current()


# --- deployed, and not served ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reload", "said", "detail"),
    [("fail", "reload ended with 1", "reload ended with 1"), ("nothing", "is not served", "1 of 1 addresses")],
)
def test_a_server_that_goes_on_with_the_old_one(scene: Scene, reload: str, said: str, detail: str) -> None:
    """Its reload fails, or says that all is well and reads nothing."""
    old = scene.rotate("run1").serial
    scene.store.set("on_reload", reload)
    new = rotation.stage(scene.wanted, scene.store, scene.issuers, "run2").serial
    with pytest.raises(NotServed, match=said):
        rotation.deploy(scene.wanted, scene.store, "run2")
    assert scene.current() == new
    back = scene.put_back("run2")
    assert (back.changed, back.serial, detail in back.detail) == (True, old, True)
    assert scene.serial() == old == scene.current()
    assert scene.at_rest()
    assert list(scene.store.read().kept) == [old], "what was never proven is gone"
    assert not scene.put_back("run2").changed


def test_one_of_two_addresses_is_not_enough(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    with TlsServer(None) as silent:
        far = Address("127.0.0.1", silent.port, NAME)
        silent.read(scene.store.certificate_file, scene.store.key_file)
        wanted = replace(scene.wanted, addresses=(*scene.wanted.addresses, far))
        rotation.stage(wanted, scene.store, scene.issuers, "run2")
        with pytest.raises(NotServed, match=f"127.0.0.1:{silent.port}"):
            rotation.deploy(wanted, scene.store, "run2")
        assert going_back.put_back(wanted, scene.store, "run2").serial == old
    assert scene.serial() == old


def test_what_cannot_be_seen_to_be_back_stays_open_for_the_next_command(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    rotation.deploy(scene.wanted, scene.store, "run2")
    scene.store.set("on_reload", "nothing")
    with pytest.raises(NotDeployed, match=f"{old} is put back and not seen served"):
        scene.put_back("run2")
    assert scene.store.read().standing.can == ("go_back",)
    with pytest.raises(Refused, match="has not been brought to an end"):
        rotation.stage(scene.wanted, scene.store, scene.issuers, "run3")
    scene.store.set("on_reload", "read")
    assert scene.put_back("run2").serial == old == scene.serial()
    assert scene.at_rest()


def test_where_nothing_was_before_it_is_taken_away(scene: Scene) -> None:
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run1")
    scene.store.set("on_reload", "fail")
    with pytest.raises(NotServed):
        rotation.deploy(scene.wanted, scene.store, "run1")
    back = scene.put_back("run1")
    assert (back.changed, back.serial) == (True, "")
    assert "nothing was deployed before" in back.detail
    assert scene.at_rest()
    assert scene.current() == ""
    assert not list((scene.store.directory / "versions").iterdir())
    scene.store.set("on_reload", "read")
    assert scene.rotate("run2").serial == scene.serial()


@pytest.fixture
def expired(scene: Scene) -> str:
    """What is deployed has expired, which nobody noticed."""
    root, key = hand_made(ca=True, names=("root.example",), days=(-40, 40))
    leaf, leaf_key = hand_made(root, key, days=(-20, -1))
    serial = certificates.facts(leaf).serial
    scene.store.stage("run0", Issued(leaf, (), leaf_key, serial, (root,)))
    scene.store.activate("run0")
    scene.store.mark("run0", "reloaded")
    scene.store.mark("run0", "proven")
    scene.store.conclude("run0")
    return serial


def test_a_previous_pair_that_is_of_no_use_does_not_come_back(scene: Scene, expired: str) -> None:
    new = rotation.stage(scene.wanted, scene.store, scene.issuers, "run1").serial
    scene.store.set("on_reload", "fail")
    with pytest.raises(NotServed):
        rotation.deploy(scene.wanted, scene.store, "run1")
    with pytest.raises(NotDeployed, match=f"{new} stays deployed .*; {expired} is no way back, as it expired"):
        scene.put_back("run1")
    assert scene.current() == new
    scene.store.set("on_reload", "read")
    back = scene.put_back("run1")
    assert f"{expired} is no way back" in back.detail
    assert scene.serial() == new == scene.current()
    assert scene.at_rest()


def test_a_previous_pair_without_its_key_does_not_come_back(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    scene.store.key_file.unlink()
    new = rotation.stage(scene.wanted, scene.store, scene.issuers, "run2").serial
    scene.store.set("on_reload", "nothing")
    with pytest.raises(NotServed):
        rotation.deploy(scene.wanted, scene.store, "run2")
    scene.store.set("on_reload", "read")
    assert f"{old} is no way back" in scene.put_back("run2").detail
    assert scene.serial() == new


# --- killed between any two moves ------------------------------------------------------------------------------------

MOVES = ["stage", "activate", "reload", "mark reloaded", "mark proven", "conclude"]


@pytest.mark.parametrize("move", MOVES)
def test_killed_after_any_move_a_valid_certificate_is_served_and_settled(scene: Scene, move: str) -> None:
    old = scene.rotate("run1").serial
    scene.store.moves.clear()
    scene.store.set("dies_after", move)
    with pytest.raises(Killed):
        scene.rotate("run2")
    scene.store.set("dies_after", "")
    new = max((v for v in scene.store.read().kept if v != old), default="")
    assert scene.serial() in (old, new), "whatever happened, clients are served"
    scene.settle("run2")
    forward = MOVES.index(move) >= MOVES.index("mark proven")
    assert scene.serial() == scene.current() == (new if forward else old)
    assert scene.at_rest()
    assert not scene.settle("run2").changed
    assert scene.rotate("run3").serial == scene.serial()


@pytest.mark.parametrize("move", ["put_back", "reload", "conclude"])
def test_killed_on_the_way_back_the_way_back_is_finished(scene: Scene, move: str) -> None:
    old = scene.rotate("run1").serial
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    rotation.deploy(scene.wanted, scene.store, "run2")
    scene.store.set("dies_after", move)
    with pytest.raises(Killed):
        scene.put_back("run2")
    scene.store.set("dies_after", "")
    scene.settle("run2")
    assert scene.serial() == old == scene.current()
    assert scene.at_rest()


def test_a_rotation_of_somebody_else_is_not_settled(scene: Scene) -> None:
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run1")
    with pytest.raises(Refused, match="run run2 has nothing to put back: run run1 began"):
        scene.settle("run2")


def test_a_run_that_is_resumed_goes_on(scene: Scene) -> None:
    staged = rotation.stage(scene.wanted, scene.store, scene.issuers, "run1")
    again = rotation.stage(scene.wanted, scene.store, scene.issuers, "run1")
    assert (again.changed, again.serial) == (False, staged.serial)
    scene.store.set("dies_after", "mark reloaded")
    with pytest.raises(Killed):
        rotation.deploy(scene.wanted, scene.store, "run1")
    scene.store.set("dies_after", "")
    assert rotation.deploy(scene.wanted, scene.store, "run1").serial == staged.serial == scene.serial()
    assert not rotation.deploy(scene.wanted, scene.store, "run1").changed


# --- generated now, deployed later -----------------------------------------------------------------------------------


def test_what_one_run_has_staged_another_deploys_and_owns(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    new = rotation.stage(scene.wanted, scene.store, scene.issuers, "run2").serial
    assert scene.serial() == old
    assert not rotation.conclude(scene.store).changed, "what is only staged is left alone"
    scene.store.set("on_reload", "nothing")
    with pytest.raises(NotServed):
        rotation.deploy(scene.wanted, scene.store, "run3")
    assert scene.store.read().standing.run == "run3"
    assert scene.put_back("run3").serial == old
    scene.store.set("on_reload", "read")
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run4")
    rotation.deploy(scene.wanted, scene.store, "run5")
    rotation.conclude(scene.store)
    assert scene.store.read().retired[0].run == "run5"
    assert scene.serial() not in (old, new)


def test_a_new_rotation_discards_what_was_staged_and_never_deployed(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    staged = rotation.stage(scene.wanted, scene.store, scene.issuers, "run2").serial
    done = rotation.stage(scene.wanted, scene.store, scene.issuers, "run3")
    assert f"discarded {staged}" in done.detail
    assert set(scene.store.read().kept) == {old, done.serial}
    assert rotation.deploy(scene.wanted, scene.store, "run3").serial == scene.serial() == done.serial


def test_what_is_staged_stays_where_the_new_one_is_doubtful(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = rotation.stage(scene.wanted, scene.store, scene.issuers, "run1").serial
    monkeypatch.setattr(LocalAuthority, "issue", down)
    with pytest.raises(NotIssued):
        rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    assert scene.store.read().standing.new == staged


def test_nothing_staged_nothing_deployed(scene: Scene) -> None:
    scene.rotate("run1")
    with pytest.raises(Refused, match="nothing is staged for certificate public"):
        rotation.deploy(scene.wanted, scene.store, "run2")


def test_a_rotation_that_was_left_in_the_middle_is_not_gone_over(scene: Scene) -> None:
    scene.rotate("run1")
    scene.store.set("dies_after", "activate")
    with pytest.raises(Killed):
        scene.rotate("run2")
    scene.store.set("dies_after", "")
    ways: list[Callable[[], Done]] = [
        lambda: rotation.stage(scene.wanted, scene.store, scene.issuers, "run3"),
        lambda: rotation.deploy(scene.wanted, scene.store, "run3"),
        lambda: scene.undo("run1", "run3"),
    ]
    for begin in ways:
        with pytest.raises(Refused, match="has not been brought to an end: run run2 began"):
            begin()


# --- undone ----------------------------------------------------------------------------------------------------------


def test_a_rotation_that_succeeded_is_undone_once(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    new = scene.rotate("run2").serial
    done = scene.undo("run2", "run3")
    assert (done.changed, done.serial) == (True, old)
    assert scene.serial() == old == scene.current()
    (retired,) = scene.store.read().retired
    assert (retired.version, retired.run, retired.undoes) == (new, "run3", "run2")
    assert not scene.undo("run2", "run4").changed, "and not back and forth"
    assert scene.serial() == old
    with pytest.raises(Refused, match="run run9 has replaced no certificate"):
        scene.undo("run9", "run5")
    assert scene.undo("run3", "run5").serial == new == scene.serial(), "an undoing is a rotation that can be undone"
    assert not scene.undo("run3", "run6").changed


def test_a_run_undoes_itself(scene: Scene) -> None:
    """Its verification fails after all was proven and concluded."""
    old = scene.rotate("run1").serial
    scene.rotate("run2")
    assert scene.undo("run2", "run2").serial == old == scene.serial()
    assert not scene.undo("run2", "run2").changed


def test_an_undo_does_not_go_past_what_another_run_has_deployed_since(scene: Scene) -> None:
    scene.rotate("run1")
    middle = scene.rotate("run2").serial
    newest = scene.rotate("run3").serial
    with pytest.raises(Refused, match=f"{middle}, and {newest} is deployed since") as refused:
        scene.undo("run2", "run4")
    assert refused.value.next_step == "undo that one first: pyrunbook rollback run3"
    assert scene.at_rest()
    assert scene.serial() == newest
    assert scene.undo("run3", "run4").serial == middle == scene.serial()


def test_what_nobody_could_prove_is_not_put_back(scene: Scene, ca: Path) -> None:
    """An authority that is away for a while is not one that has never issued anything."""
    scene.rotate("run1")
    new = scene.rotate("run2").serial
    away = ca.rename(ca.with_name("away"))
    try:
        with pytest.raises(Refused, match=r"whom its clients trust is not known: .* has no root"):
            scene.undo("run2", "run3")
        assert scene.at_rest()
        looks = validation.validate(scene.wanted, scene.store, scene.issuers, least=timedelta(0))
        assert {each.what: each.verdict.value for each in looks if not each.good}.keys() >= {"issuer"}
        assert not [each for each in looks if each.verdict is Verdict.FAIL], "nothing was seen to be bad"
    finally:
        away.rename(ca)
    assert scene.serial() == new
    assert scene.undo("run2", "run3").changed


def test_a_rotation_under_way_is_undone_by_going_back_also_when_it_was_proven(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    rotation.deploy(scene.wanted, scene.store, "run2")
    assert scene.undo("run2", "run2").serial == old == scene.serial()
    assert scene.at_rest()


def test_undoing_what_was_only_staged_discards_it(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    assert scene.undo("run2", "run2").serial == old == scene.serial()
    assert list(scene.store.read().kept) == [old]


def test_what_clients_would_refuse_is_not_brought_back(scene: Scene, expired: str) -> None:
    scene.rotate("run1")
    with pytest.raises(Refused, match=f"{expired}, which run run1 replaced, is not put back: it expired"):
        scene.undo("run1", "run2")
    assert scene.at_rest()


def test_what_somebody_has_revoked_is_not_brought_back(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    new = scene.rotate("run2").serial
    scene.authority.revoke(old)
    with pytest.raises(Refused, match="it is revoked"):
        scene.undo("run2", "run3")
    assert scene.serial() == new
    scene.age(2)
    scene.revoke()
    with pytest.raises(Refused, match="that is still kept"):
        scene.undo("run2", "run3")


def test_an_undoing_that_is_not_served_leaves_what_was_there(scene: Scene) -> None:
    scene.rotate("run1")
    new = scene.rotate("run2").serial
    scene.store.set("on_reload", "nothing")
    with pytest.raises(NotServed, match=r"is not served.*; put back"):
        scene.undo("run2", "run3")
    assert scene.serial() == new == scene.current()
    assert scene.at_rest()
    scene.store.set("on_reload", "read")
    assert scene.undo("run2", "run4").serial == scene.serial() != new


@pytest.mark.parametrize("move", ["reinstate", "activate", "reload", "mark proven"])
def test_killed_while_undoing_it_is_settled(scene: Scene, move: str) -> None:
    old = scene.rotate("run1").serial
    new = scene.rotate("run2").serial
    scene.store.set("dies_after", move)
    with pytest.raises(Killed):
        scene.undo("run2", "run3")
    scene.store.set("dies_after", "")
    scene.settle("run3")
    assert scene.serial() == scene.current() == (old if move == "mark proven" else new)
    assert scene.at_rest()


# --- the end of what was replaced ------------------------------------------------------------------------------------


def test_it_is_revoked_after_the_overlap_and_not_before(scene: Scene) -> None:
    old = scene.rotate("run1").serial
    scene.rotate("run2")
    assert scene.revoke() == overlap.RetiredVersions()
    scene.age(2)
    ended = scene.revoke()
    assert [each["serial"] for each in ended.revoked] == [old]
    assert ended.describe() == f"revoked {old}"
    assert scene.store.read().retired == ()
    told = revocation.check_crl(scene.authority, scene.store.read().kept[old].chain[0])
    assert told.status is revocation.RevocationStatus.REVOKED
    assert not scene.revoke().changed


@pytest.mark.parametrize("fault", ["still served", "cannot be seen", "issuer is down"])
def test_what_cannot_be_revoked_is_told_and_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    old = scene.rotate("run1").serial
    with TlsServer(None) as other:
        if fault == "still served":
            other.read(scene.store.certificate_file, scene.store.key_file)
        scene.rotate("run2")
        scene.age(2)
        wanted = scene.wanted
        with monkeypatch.context() as patch:
            if fault == "issuer is down":
                patch.setattr(LocalAuthority, "revoke", down)
            else:
                port = 1 if fault == "cannot be seen" else other.port
                wanted = replace(wanted, addresses=(*wanted.addresses, Address("127.0.0.1", port, NAME)))
            ended = overlap.revoke_retired(wanted, scene.store, scene.issuers)
    assert list(ended.left) == [old]
    assert not ended.changed
    assert f"{old} is not revoked yet: " in ended.describe()
    assert [each.version for each in scene.store.read().retired] == [old]
    assert [each["serial"] for each in scene.revoke().revoked] == [old]


def test_what_has_expired_needs_no_revocation(scene: Scene, expired: str) -> None:
    scene.rotate("run1")
    scene.age(2)
    assert scene.revoke().expired == [expired]
    assert scene.store.read().retired == ()


@pytest.mark.parametrize("used", [True, False], ids=["used-before", "never-used"])
def test_a_change_of_issuer_is_proven_put_back_and_revoked_by_the_old_one(
    scene: Scene, tmp_path: Path, used: bool
) -> None:
    old = scene.rotate("run1").serial
    settings = {
        "local": {"kind": "local_ca", "directory": str(scene.authority.trust_file.parent)},
        "new": {"kind": "local_ca", "directory": str(tmp_path / "other")},
    }
    scene.issuers, scene.wanted = Issuers(settings), replace(scene.wanted, issuer="new")
    if used:
        scene.issuers.issuer("new").issue(scene.wanted.request)
    seen = status.examine(scene.wanted, scene.store, scene.issuers)
    assert (seen.decision.then, seen.seen[0].outcome) == (Then.ROTATE, Verdict.PASS)
    assert "issued by" in seen.decision.describe()
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run2")
    rotation.deploy(scene.wanted, scene.store, "run2")
    assert scene.put_back("run2").serial == old, "proven by the roots of the old issuer"
    scene.rotate("run3")
    scene.age(2)
    assert [each["serial"] for each in scene.revoke().revoked] == [old]


# --- what stands, and what is to be done -----------------------------------------------------------------------------


def test_the_status_of_a_certificate(scene: Scene) -> None:
    missing = status.examine(scene.wanted, scene.store, scene.issuers)
    assert missing.decision.then is Then.ROTATE
    serial = scene.rotate("run1").serial
    told = status.examine(scene.wanted, scene.store, scene.issuers).as_json()
    json.dumps(told)
    assert (told["serial"], told["key_matches"], told["staged"], told["place"]) == (
        serial,
        True,
        False,
        str(scene.store.directory),
    )
    assert told["due"]["then"] == "nothing"
    assert [each["outcome"] for each in told["served"]] == ["pass"]
    assert told["dns_names"] == (NAME,)
    forced = status.examine(scene.wanted, scene.store, scene.issuers, force=True)
    assert forced.decision.then is Then.ROTATE


def test_what_is_staged_is_due_to_be_deployed_in_the_window(scene: Scene) -> None:
    scene.rotate("run1")
    assert status.examine(scene.wanted, scene.store, scene.issuers, phase="deploy").decision.then is Then.NOTHING
    new = rotation.stage(scene.wanted, scene.store, scene.issuers, "run2").serial
    seen = status.examine(scene.wanted, scene.store, scene.issuers, phase="deploy")
    assert seen.decision.describe() == f"due now: {new} was staged by run run2"
    assert seen.as_json()["staged"]
    closed = Window(datetime.now(UTC) + timedelta(days=3))
    waits = status.examine(scene.wanted, scene.store, scene.issuers, phase="deploy", window=closed)
    assert waits.decision.then is Then.WAIT
    generated = status.examine(scene.wanted, scene.store, scene.issuers, phase="generate", force=True, window=closed)
    assert generated.decision.then is Then.ROTATE, "what changes nothing that serves needs no window"


def test_what_is_staged_is_looked_at_as_long_as_it_waits(scene: Scene) -> None:
    rotation.stage(scene.wanted, scene.store, scene.issuers, "run1")
    assert status.examine(scene.wanted, scene.store, scene.issuers).as_json()["staged_problem"] == ""
    other = replace(scene.wanted, request=replace(scene.wanted.request, dns_names=("b.example",)))
    told = status.examine(other, scene.store, scene.issuers).as_json()
    assert told["staged"]
    assert "b.example" in told["staged_problem"]


def test_nothing_is_issued_that_could_not_be_written(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    held = replace(scene.store.read(), obstacle="there is no user 'web' on this machine")
    monkeypatch.setattr(Machine, "read", lambda _: held)
    monkeypatch.setattr(LocalAuthority, "issue", lambda *_: pytest.fail("it was issued"))
    with pytest.raises(Refused, match="there is no user 'web'"):
        rotation.stage(scene.wanted, scene.store, scene.issuers, "run1")
    assert status.examine(scene.wanted, scene.store, scene.issuers).as_json()["obstacle"] == held.obstacle


def test_an_issuer_that_cannot_be_asked_is_a_note(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.rotate("run1")
    monkeypatch.setattr(LocalAuthority, "authorities", lambda _: down(_, None))  # type: ignore[arg-type]
    seen = status.examine(scene.wanted, scene.store, scene.issuers)
    assert seen.decision.then is Then.NOTHING
    assert seen.decision.notes == ("the issuer local cannot be asked: sealed",)
    assert seen.seen[0].outcome is Verdict.PASS, "its roots stand in a file"
    monkeypatch.setattr(LocalAuthority, "trust", lambda _: down(_, None))  # type: ignore[arg-type]
    (blind,) = status.examine(scene.wanted, scene.store, scene.issuers).seen
    assert blind.outcome is Verdict.ERROR, "and without them nothing is said for what is served, nor against it"
    assert blind.facts is not None
    assert "whom clients trust is not known: sealed" in blind.detail
