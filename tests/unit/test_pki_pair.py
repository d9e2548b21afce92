"""The pair on disk: deployed in one move, put back, and explained whenever a process died in between."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pki_pairs import authority, hand_made, issue

from pyrunbook.errors import Refused
from pyrunbook.on_target import durable, rotation_state
from pyrunbook.on_target.certificate_look import mismatch
from pyrunbook.on_target.certificate_pair import PairInDirectory
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.errors import NotDeployed
from pyrunbook.pki.issuers import Issued
from pyrunbook.pki.issuers.local_ca import LocalAuthority
from pyrunbook.pki.pair import Pair


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    return authority(tmp_path_factory.mktemp("state") / "ca")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path / "tls")


def rotate(pair: Pair, run: str, issued: Issued) -> list[str]:
    pair.stage(run, issued)
    pair.activate(run)
    pair.mark(run, "reloaded")
    pair.mark(run, "proven")
    return pair.conclude(run)


def served(pair: Pair) -> str:
    """What a server would load now: the serial, after a look that key and certificate belong together."""
    assert mismatch(str(pair.directory / "current")) == ""
    return certificates.facts(certificates.read(pair.certificate_file)[0]).serial


def test_two_rotations_keep_the_previous_pair(pair: Pair, issuer: LocalAuthority) -> None:
    first, second, third = (issue(issuer) for _ in range(3))
    assert pair.read().standing.can == ("start",)
    assert rotate(pair, "run1", first) == []
    assert served(pair) == first.serial
    rotate(pair, "run2", second)
    assert served(pair) == second.serial
    assert [each.version for each in list(pair.read().retired)] == [first.serial]
    assert pair.settle(first.serial)
    assert not pair.settle(first.serial)
    assert rotate(pair, "run3", third) == [first.serial]
    assert [each.version for each in list(pair.read().retired)] == [second.serial]
    assert pair.read().kept[second.serial].leaf == second.certificate


def test_what_has_yet_to_be_revoked_is_kept(pair: Pair, issuer: LocalAuthority) -> None:
    pairs = [issue(issuer) for _ in range(4)]
    for number, each in enumerate(pairs):
        assert rotate(pair, f"run{number}", each) == []
    assert [each.version for each in list(pair.read().retired)] == [each.serial for each in pairs[:3]]


def test_files_are_private_and_complete(pair: Pair, issuer: LocalAuthority) -> None:
    issued = issue(issuer)
    rotate(pair, "run1", issued)
    place = pair.directory / "versions" / issued.serial
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE(pair.key_file.stat().st_mode) == 0o600
    assert pair.certificate_file.read_bytes() == issued.certificate_pem
    assert [each.name for each in place.iterdir() if each.suffix != ".pem"] == []
    assert list((pair.directory / "staging").iterdir()) == []
    assert not (pair.directory / "rotation.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_and_group_of_the_service(tmp_path: Path, issuer: LocalAuthority) -> None:
    pair = Pair(tmp_path / "tls", owner=12345, group=23456, key_mode=0o640)
    rotate(pair, "run1", issue(issuer))
    for path in (pair.key_file, pair.certificate_file, pair.key_file.resolve().parent):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)
    assert stat.S_IMODE(pair.key_file.stat().st_mode) == 0o640
    assert stat.S_IMODE(pair.key_file.resolve().parent.stat().st_mode) == 0o750
    assert pair.read().found().key_matches


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o777])
def test_a_key_for_everybody_is_refused(tmp_path: Path, issuer: LocalAuthority, mode: int) -> None:
    with pytest.raises(Refused, match="opens the key"):
        Pair(tmp_path / "tls", key_mode=mode).stage("run1", issue(issuer))


def test_a_directory_that_others_may_write_to_is_refused(pair: Pair, issuer: LocalAuthority, tmp_path: Path) -> None:
    pair.directory.mkdir()
    pair.directory.chmod(0o777)
    with pytest.raises(Refused, match="others may write"):
        pair.stage("run1", issue(issuer))
    (tmp_path / "link").symlink_to(pair.directory)
    pair.directory.chmod(0o755)
    with pytest.raises(Refused, match="is a link"):
        Pair(tmp_path / "link").stage("run1", issue(issuer))


def test_put_back(pair: Pair, issuer: LocalAuthority) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    pair.stage("run2", new)
    assert served(pair) == old.serial
    pair.activate("run2")
    assert served(pair) == new.serial
    assert pair.put_back("run2")
    assert not pair.put_back("run2")
    assert served(pair) == old.serial
    assert pair.read().standing.can == ("go_back",)
    assert pair.conclude("run2") == [new.serial]
    assert pair.conclude("run2") == []
    assert list(pair.read().retired) == []


def test_put_back_where_there_was_nothing(pair: Pair, issuer: LocalAuthority) -> None:
    pair.stage("run1", issue(issuer))
    pair.activate("run1")
    assert pair.put_back("run1")
    pair.conclude("run1")
    assert pair.read().found().certificate is None
    assert pair.read().standing.current == ""


def test_steps_come_in_their_order(pair: Pair, issuer: LocalAuthority) -> None:
    with pytest.raises(NotDeployed, match="No such file"):
        pair.activate("run1")
    pair.stage("run1", issue(issuer))
    for move in (
        lambda: pair.mark("run1", "reloaded"),
        lambda: pair.mark("run1", "proven"),
        lambda: pair.conclude("run1"),
    ):
        with pytest.raises(NotDeployed, match="nothing is still deployed"):
            move()
    pair.activate("run1")
    with pytest.raises(NotDeployed, match="was not reloaded"):
        pair.mark("run1", "proven")
    with pytest.raises(NotDeployed):
        pair.mark("run1", "sold")
    pair.put_back("run1")
    with pytest.raises(NotDeployed, match="is put back"):
        pair.activate("run1")


def test_moves_again_change_nothing(pair: Pair, issuer: LocalAuthority) -> None:
    issued = issue(issuer)
    assert pair.stage("run1", issued)
    assert not pair.stage("run1", issued)
    assert pair.activate("run1")
    assert not pair.activate("run1")
    assert not pair.stage("run1", issued)
    assert pair.mark("run1", "reloaded")
    assert not pair.mark("run1", "reloaded")
    assert not pair.activate("run1")
    assert pair.read().standing.step == "reloaded"


def test_one_rotation_at_a_time(pair: Pair, issuer: LocalAuthority) -> None:
    pair.stage("run1", issue(issuer))
    with pytest.raises(Refused, match="run run1 began to deploy"):
        pair.stage("run2", issue(issuer))
    for move in (pair.activate, pair.put_back, pair.conclude):
        with pytest.raises(NotDeployed, match="not the rotation of run run2"):
            move("run2")


def test_a_pair_that_does_not_match_is_never_deployed(pair: Pair, issuer: LocalAuthority) -> None:
    old, new, other = issue(issuer), issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    pair.stage("run2", Issued(new.certificate, new.chain, other.key, new.serial, new.trust))
    with pytest.raises(NotDeployed, match="does not belong to the certificate"):
        pair.activate("run2")
    assert served(pair) == old.serial


def test_what_something_else_has_changed_is_left_alone(pair: Pair, issuer: LocalAuthority) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    pair.stage("run2", new)
    (pair.directory / "versions" / "foreign").mkdir()
    durable.link(str(pair.directory / "current"), "versions/foreign")
    assert pair.read().standing.can == ()
    assert "something else has changed it" in pair.read().standing.seen
    for move in (pair.activate, pair.put_back):
        with pytest.raises(NotDeployed, match="something else has changed it"):
            move("run2")


def test_what_something_else_has_taken_away_is_put_back(pair: Pair, issuer: LocalAuthority) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    pair.stage("run2", new)
    pair.activate("run2")
    (pair.directory / "current").unlink()
    standing = pair.read().standing
    assert (standing.deployed, standing.can) == ("nothing", ("go_back",))
    assert "nothing is deployed any more" in standing.seen
    with pytest.raises(NotDeployed):
        pair.activate("run2")
    assert pair.put_back("run2")
    pair.conclude("run2")
    assert served(pair) == old.serial


def test_going_back_to_a_pair_that_is_kept(pair: Pair, issuer: LocalAuthority) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    rotate(pair, "run2", new)
    assert pair.reinstate("run3", old.serial)
    assert not pair.reinstate("run3", old.serial)
    pair.activate("run3")
    pair.put_back("run3")
    pair.conclude("run3")
    assert served(pair) == new.serial
    assert [each.version for each in list(pair.read().retired)] == [old.serial], "still kept"
    pair.reinstate("run4", old.serial)
    pair.activate("run4")
    pair.mark("run4", "reloaded")
    pair.mark("run4", "proven")
    pair.conclude("run4")
    assert served(pair) == old.serial
    assert [each.version for each in list(pair.read().retired)] == [new.serial]
    pair.settle(new.serial)
    with pytest.raises(Refused, match="was revoked or is not kept"):
        pair.reinstate("run5", new.serial)


# --- killed between any two steps --------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone: nothing after it runs, not even what handles errors."""


PRIMITIVES = [
    (rotation_state, "_write"), (durable, "link"), (durable, "sync_directory"), (os, "mkdir"), (os, "rename"),
    (os, "unlink"), (os, "replace"),
]  # fmt: skip


def killed_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Die before the `number`-th change of the disk; gives a function that tells how many there were."""
    count = 0

    def deadly(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count >= number:
                raise Killed  # also for what would clean up: it is dead
            return original(*args, **options)

        return call

    for module, name in PRIMITIVES:
        monkeypatch.setattr(module, name, deadly(getattr(module, name)))
    return lambda: count


def whole(pair: Pair, run: str, new: Issued) -> None:
    rotate(pair, run, new)


def there_and_back(pair: Pair, run: str, new: Issued) -> None:
    pair.stage(run, new)
    pair.activate(run)
    pair.put_back(run)
    pair.conclude(run)


def go_on(pair: Pair, run: str, new: Issued) -> str:
    pair.activate(run)
    if pair.read().standing.step in ("activated", "reloaded"):
        pair.mark(run, "reloaded")
    pair.mark(run, "proven")
    pair.conclude(run)
    return new.serial


def go_back(pair: Pair, run: str, old: Issued) -> str:
    pair.put_back(run)
    pair.conclude(run)
    return old.serial


@pytest.mark.parametrize("story", [whole, there_and_back])
@pytest.mark.parametrize("then", ["go_on", "go_back"])
def test_killed_between_any_two_changes_of_the_disk(
    tmp_path: Path,
    issuer: LocalAuthority,
    monkeypatch: pytest.MonkeyPatch,
    story: Callable[[Pair, str, Issued], None],
    then: str,
) -> None:
    old, new, third = issue(issuer), issue(issuer), issue(issuer)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # takes most of the time, and nothing here loses power
    number, finished, standings = 0, False, set()
    while not finished:
        number += 1
        pair = Pair(tmp_path / str(number))
        rotate(pair, "run1", old)
        with pytest.MonkeyPatch.context() as patch:
            count = killed_at(number, patch)
            with contextlib.suppress(Killed):
                story(pair, "run2", new)
            finished = count() < number
        now = served(pair)  # at no moment is there half a pair
        assert now in (old.serial, new.serial)
        standing = pair.read().standing
        standings.add((standing.step, standing.can))
        assert standing.current == now
        if standing.run:
            assert standing.can, standing.seen
            assert "run run2 began" in standing.seen
            onward = then == "go_on" and then in standing.can
            wanted = go_on(pair, "run2", new) if onward else go_back(pair, "run2", old)
            assert served(pair) == wanted
        rotate(pair, "run3", third)
        assert served(pair) == third.serial
        assert list((pair.directory / "staging").iterdir()) == []
        assert {each.name for each in (pair.directory / "versions").iterdir()} <= {
            old.serial, new.serial, third.serial,
        }  # fmt: skip
    assert number > 25, "every change of the disk was a place to die"
    assert len(standings) >= 6


def test_killed_on_the_way_back_it_does_not_go_forward_again(
    pair: Pair, issuer: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = issue(issuer), issue(issuer)
    rotate(pair, "run1", old)
    pair.stage("run2", new)
    pair.activate("run2")
    link = durable.link

    def link_and_die(path: str, target: str) -> None:
        link(path, target)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(durable, "link", link_and_die)
        with pytest.raises(Killed):
            pair.put_back("run2")
    assert pair.read().standing.can == ("go_back",)
    assert f"{old.serial} is put back; the server may not have been reloaded" in pair.read().standing.seen
    with pytest.raises(NotDeployed):
        pair.activate("run2")
    assert served(pair) == old.serial


def test_killed_while_staging_the_same_pair_can_be_staged_again(
    pair: Pair, issuer: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = issue(issuer)
    rename = os.rename

    def rename_and_die(*names: str) -> None:
        rename(*names)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename_and_die)
        with pytest.raises(Killed):
            pair.stage("run1", issued)
    assert pair.read().standing.can == ("go_back",)
    assert pair.stage("run1", issued)
    pair.activate("run1")
    assert served(pair) == issued.serial


# --- what is found ----------------------------------------------------------------------------------------------


def test_what_is_found_is_a_finding_not_an_error(pair: Pair, issuer: LocalAuthority) -> None:
    assert pair.read().found().certificate is None
    assert pair.read().found().unreadable == ""
    rotate(pair, "run1", issue(issuer))
    found = pair.read().found()
    assert (found.unreadable, found.key_matches) == ("", True)
    pair.key_file.chmod(0o644)
    assert "0600 is the most allowed" in pair.read().found().unreadable
    pair.key_file.chmod(0o600)
    pair.key_file.write_bytes(hand_made()[1].pem())
    assert pair.read().found().key_matches is False
    pair.key_file.unlink()
    assert "No such file" in pair.read().found().unreadable
    pair.certificate_file.write_text("nothing")
    assert "no certificate in PEM" in pair.read().found().unreadable


def test_a_state_that_cannot_be_read_stops_everything(pair: Pair, issuer: LocalAuthority) -> None:
    rotate(pair, "run1", issue(issuer))
    for content in ("", "{", "[]", '{"run": "x"}'):
        (pair.directory / "rotation.json").write_text(content)
        with pytest.raises(NotDeployed, match=r"rotation\.json cannot be read"):
            pair.read()
        with pytest.raises(Refused, match=r"rotation\.json cannot be read"):
            pair.stage("run2", issue(issuer))
    (pair.directory / "rotation.json").unlink()
    (pair.directory / "current").unlink()
    (pair.directory / "current").mkdir()
    with pytest.raises(NotDeployed, match="is not a link"):
        pair.read()


def test_an_encrypted_key_is_an_error_and_no_question(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    certificate, key = hand_made()
    (tmp_path / "certificate.pem").write_bytes(certificates.pem(certificate))
    (tmp_path / "key.pem").write_bytes(
        key.unwrap().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    assert "cannot be read" in mismatch(str(tmp_path))


@pytest.mark.parametrize("version", ["", "../x", "a/b", ".hidden", "A", "x" * 81])
def test_a_version_is_a_plain_name(tmp_path: Path, version: str) -> None:
    with pytest.raises(rotation_state.PairError, match="not a name"):
        PairInDirectory(str(tmp_path)).stage("run1", version, b"", b"")
