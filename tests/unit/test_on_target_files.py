"""What on_target writes on the service's machine: whole or not at all, and by one at a time."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrunbook.on_target import durable, lock_file, upstream
from pyrunbook.on_target.lock_file import LockHeld
from pyrunbook.on_target.upstream import UpstreamConflict

# --- durable -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["fsync", "fchmod", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "upstream"
    path.write_text("old")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable.os, broken, fail)
    with pytest.raises(OSError, match="No space left"):
        durable.write(str(path), b"new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_on_disk_before_it_is_renamed_and_the_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noting(name: str, real: Any) -> Any:
        def call(*args: Any) -> Any:
            kind = "" if name != "fsync" else (" directory" if stat.S_ISDIR(os.fstat(args[0]).st_mode) else " file")
            done.append(name + kind)
            return real(*args)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(durable.os, name, noting(name, getattr(os, name)))
    durable.write(str(tmp_path / "plan"), b"x")
    assert done == ["fsync file", "replace", "fsync directory"]


@settings(deadline=None)
@given(content=st.binary(max_size=5000), mode=st.sampled_from([0o600, 0o640, 0o644]))
def test_what_is_written_is_there_with_its_mode(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, mode: int
) -> None:
    path = tmp_path_factory.mktemp("durable") / "file"
    for text in (b"before", content):
        durable.write(str(path), text, mode)
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    sizes = {1000, 200_000}
    durable.write(str(path), b"x" * 1000)
    context = multiprocessing.get_context("fork")
    writer = context.Process(
        target=lambda: [durable.write(str(path), b"x" * size) for _ in range(40) for size in sizes]
    )
    writer.start()
    seen = set()
    while writer.is_alive():
        seen.add(len(path.read_bytes()))
    writer.join()
    assert seen <= sizes


def test_a_link_replaces_what_was_there(tmp_path: Path) -> None:
    link = tmp_path / "release"
    for target in ("../a", "../b"):
        durable.link(str(link), target)
        assert str(link.readlink()) == target
    link.unlink()
    link.write_text("a file")
    durable.link(str(link), "../c")
    assert str(link.readlink()) == "../c"
    assert [entry.name for entry in tmp_path.iterdir()] == ["release"]


def test_a_link_left_over_by_a_crash_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / f".release.{os.getpid()}").symlink_to("../dead")
    durable.link(str(tmp_path / "release"), "../b")
    assert str((tmp_path / "release").readlink()) == "../b"


# --- the lock ----------------------------------------------------------------------------------------------------

ADA = {"holder": "7f3a0001", "operator": "ada", "machine": "control", "runbook": "maintenance/production_update"}
BOB = {**ADA, "holder": "90000003", "operator": "bob"}


@pytest.fixture
def lock(tmp_path: Path) -> str:
    return str(tmp_path / "lock.json")


def test_one_holder_at_a_time(lock: str) -> None:
    assert lock_file.read(lock) is None
    assert lock_file.acquire(lock, ADA)
    assert not lock_file.acquire(lock, ADA), "whoever has it may take it again"
    with pytest.raises(LockHeld, match=r"held by run 7f3a0001 of ada on control since 20\d\d-") as refused:
        lock_file.acquire(lock, BOB)
    assert refused.value.holder["runbook"] == "maintenance/production_update"
    with pytest.raises(LockHeld):
        lock_file.release(lock, "90000003")
    assert lock_file.read(lock)["holder"] == "7f3a0001"  # type: ignore[index]
    assert lock_file.release(lock, "7f3a0001")
    assert not lock_file.release(lock, "7f3a0001")
    assert lock_file.acquire(lock, BOB)


def test_since_stays_when_it_is_taken_again(lock: str) -> None:
    lock_file.acquire(lock, ADA)
    held = json.loads(Path(lock).read_text())
    Path(lock).write_text(json.dumps({**held, "since": "2026-01-01T00:00:00Z"}))
    lock_file.acquire(lock, ADA)
    assert lock_file.read(lock)["since"] == "2026-01-01T00:00:00Z"  # type: ignore[index]


def test_check_mode_takes_and_frees_nothing(lock: str, tmp_path: Path) -> None:
    assert lock_file.acquire(lock, ADA, check_mode=True)
    assert list(tmp_path.iterdir()) == []
    lock_file.acquire(lock, ADA)
    with pytest.raises(LockHeld):
        lock_file.acquire(lock, BOB, check_mode=True)
    assert lock_file.release(lock, "7f3a0001", check_mode=True)
    assert lock_file.read(lock) is not None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "7", '{"operator": "ada"}', "\x00"])
def test_a_lock_that_cannot_be_read_is_held(lock: str, content: str) -> None:
    Path(lock).write_text(content)
    with pytest.raises(LockHeld, match="held by run"):
        lock_file.acquire(lock, ADA)
    with pytest.raises(LockHeld):
        lock_file.release(lock, "7f3a0001")
    assert Path(lock).read_text() == content


def test_a_lock_that_must_not_be_read_is_an_error(tmp_path: Path) -> None:
    """A directory stands for any file that cannot be opened: it is never taken for a free lock."""
    (tmp_path / "lock.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        lock_file.acquire(str(tmp_path / "lock.json"), ADA)


def test_of_many_that_come_at_once_exactly_one_has_it(lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading is made slow, so that without the guard all of them would find the lock free."""
    real = lock_file.read

    def slow(path: str) -> Any:
        found = real(path)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(lock_file, "read", slow)
    context = multiprocessing.get_context("fork")
    together, won = context.Barrier(6), context.Queue()

    def contend(number: int) -> None:
        together.wait(10)
        try:
            won.put((number, lock_file.acquire(lock, {**ADA, "holder": f"run{number}"})))
        except LockHeld as held:
            won.put((number, held.holder["holder"]))

    contenders = [context.Process(target=contend, args=(number,)) for number in range(6)]
    for contender in contenders:
        contender.start()
    results = dict(won.get(timeout=30) for _ in contenders)
    for contender in contenders:
        contender.join()
    winners = [number for number, result in results.items() if result is True]
    assert len(winners) == 1
    assert {result for result in results.values() if result is not True} == {f"run{winners[0]}"}


# --- the upstream ------------------------------------------------------------------------------------------------

BLUE, GREEN, MAINTENANCE = "127.0.0.1:8101", "127.0.0.1:8102", "127.0.0.1:8099"


@pytest.fixture
def dialed(tmp_path: Path) -> Path:
    path = tmp_path / "upstream"
    path.write_text(BLUE + "\n")
    return path


def test_the_switch(dialed: Path) -> None:
    assert upstream.switch(str(dialed), GREEN, [BLUE, MAINTENANCE])
    assert dialed.read_text() == GREEN + "\n"
    assert not upstream.switch(str(dialed), GREEN, [BLUE, MAINTENANCE]), "it is there already"
    assert stat.S_IMODE(dialed.stat().st_mode) == 0o644


def test_the_switch_is_a_rename(dialed: Path) -> None:
    """The proxy that has the old file open reads it whole; it never sees a file without a line."""
    with dialed.open() as old:
        upstream.switch(str(dialed), GREEN, [BLUE])
        assert old.read() == BLUE + "\n"


def test_a_conflict_is_left_alone(dialed: Path) -> None:
    dialed.write_text("10.0.0.9:80\n")
    with pytest.raises(UpstreamConflict, match=rf"traffic to 10.0.0.9:80; expected {MAINTENANCE} or {BLUE}"):
        upstream.switch(str(dialed), GREEN, [BLUE, MAINTENANCE])
    assert dialed.read_text() == "10.0.0.9:80\n"
    assert upstream.switch(str(dialed), GREEN, ()), "nothing expected accepts any"


def test_a_missing_file_is_a_conflict_not_a_free_place(dialed: Path) -> None:
    dialed.unlink()
    assert upstream.read(str(dialed)) is None
    with pytest.raises(UpstreamConflict, match="traffic to nowhere"):
        upstream.switch(str(dialed), GREEN, [BLUE])
    assert not dialed.exists()


def test_what_is_kept(dialed: Path) -> None:
    assert not upstream.switch(str(dialed), MAINTENANCE, [GREEN], keep=[BLUE])
    assert dialed.read_text() == BLUE + "\n"


def test_check_mode_says_what_it_would_do(dialed: Path) -> None:
    assert upstream.switch(str(dialed), GREEN, [BLUE], check_mode=True)
    assert dialed.read_text() == BLUE + "\n"
    with pytest.raises(UpstreamConflict):
        upstream.switch(str(dialed), GREEN, [MAINTENANCE], check_mode=True)
