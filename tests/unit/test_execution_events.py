"""The tail of the events file: everything once, in order, whatever way it is written."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from pyrunbook.execution import events
from pyrunbook.execution.events import Tail


def write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, data)
    os.close(descriptor)


def line(**event: Any) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode() + b"\n"


def followed(path: Path) -> tuple[Tail, list[dict[str, Any]]]:
    path.touch()
    seen: list[dict[str, Any]] = []
    return Tail(path, seen.append), seen


def until(seen: list[Any], count: int) -> None:
    deadline = time.monotonic() + 10
    while len(seen) < count:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)


def test_events_are_handed_on_as_they_come_and_what_is_left_at_the_end(tmp_path: Path) -> None:
    tail, seen = followed(tmp_path / "events")
    with tail:
        for number in range(3):
            write(tmp_path / "events", line(number=number))
            until(seen, number + 1)
        write(tmp_path / "events", b"".join(line(number=number) for number in range(3, 100)))
    assert [event["number"] for event in seen] == list(range(100))


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events"
    tail, seen = followed(path)

    def append(writer: int) -> None:
        for number in range(100):
            write(path, line(writer=writer, number=number, text="é" * (number * 7 % 90)))

    with tail:
        writers = [threading.Thread(target=append, args=(writer,)) for writer in range(4)]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
    for writer in range(4):
        assert [event["number"] for event in seen if event["writer"] == writer] == list(range(100))


def test_a_line_that_is_written_in_pieces_is_one_event(tmp_path: Path) -> None:
    path = tmp_path / "events"
    tail, seen = followed(path)
    whole = line(title="Vérifier — ✓")
    with tail:
        for start in range(len(whole)):  # also in the middle of a character
            write(path, whole[start : start + 1])
            time.sleep(events.INTERVAL / 4)
        write(path, b'{"half": ')
    assert seen == [{"title": "Vérifier — ✓"}]


def test_one_line_or_one_listener_that_fails_costs_no_other_event(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.touch()
    seen: list[int] = []

    def listen(event: dict[str, Any]) -> None:
        if event["number"] == 1:
            raise OSError("the terminal is gone")
        seen.append(event["number"])

    with Tail(path, listen):
        write(path, line(number=0) + b"no json\n\xff\xfe\n" + line(number=1) + line(number=2))
    assert seen == [0, 2]
