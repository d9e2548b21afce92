"""What the pages say to do by hand on platform host, done: the update, each way back, the rollback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from by_hand import LOGIN, ROOT, STOPPING, Block, Operator, Shell
from host_under_test import running
from operation import maintain, serves
from sandbox_under_test import Sandbox

from pyrunbook.execution.inventory import services
from pyrunbook.project.inventory import read_services
from pyrunbook.sandbox.load import Load

pytestmark = pytest.mark.integration
INVENTORY = ROOT / "inventories" / "sandbox"


@pytest.fixture
def operator(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return _operator(sandbox, monkeypatch, "zero_downtime")


def _operator(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, strategy: str) -> Operator:
    for name, value in sandbox.env.items():
        monkeypatch.setenv(name, value)
    ((name, variables),) = services((str(INVENTORY),)).items()
    return Operator(name, variables, strategy, INVENTORY)


def shell(sandbox: Sandbox, argv: tuple[str, ...] = STOPPING) -> Shell:
    return Shell(argv, sandbox.env, ROOT)


def lock(sandbox: Sandbox) -> Path:
    return sandbox.directory / "state" / "lock.json"


@pytest.mark.parametrize("argv", [STOPPING, LOGIN], ids=["stopping", "login"])
def test_an_update_by_hand_swaps_the_colors_and_loses_no_request(
    sandbox: Sandbox, operator: Operator, argv: tuple[str, ...]
) -> None:
    said, runs = {}, {}
    with Load(sandbox.url, 50) as load, shell(sandbox, argv) as typed:
        for block in operator.forward():
            said[block.step] = typed.do(block)
            if block.step in ("verify", "drain"):
                runs[block.step] = sandbox.status()["colors"]["blue"]["running"]
    assert runs == {"verify": True, "drain": False}
    assert serves(sandbox) == ("green", "1.1.0")
    assert load.report.failed == 0, load.report
    assert load.report.succeeded > 100
    assert sandbox.status()["colors"]["blue"]["running"] is False
    assert not (sandbox.directory / "slots/blue/release").exists()
    assert not lock(sandbox).exists()
    assert "blue is drained" in said["drain"]
    assert said["verify"].count("200 0.") == 20


def test_and_the_next_one_goes_the_other_way(sandbox: Sandbox, operator: Operator) -> None:
    for version, color in (("1.1.0", "green"), ("1.2.0", "blue")):
        sandbox.release(version)
        with shell(sandbox) as typed:
            for block in operator.forward():
                typed.do(block)
        assert serves(sandbox) == (color, version)


def test_a_controlled_stop_by_hand(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = _operator(sandbox, monkeypatch, "controlled_stop")
    with shell(sandbox) as typed:
        order = []
        for block in stopping.forward():
            typed.do(block)
            order.append(block.step)
    assert order.index("drain_first") < order.index("deploy_green")
    assert serves(sandbox) == ("green", "1.1.0")


UNDONE = [
    *(("zero_downtime", last) for last in ("switch_service", "cleanup")),
    # Whoever undoes all undoes these on the way.
    *(pytest.param("controlled_stop", last, marks=pytest.mark.long) for last in ("drain_first", "deploy_green")),
    *(("controlled_stop", last) for last in ("switch_service", "cleanup")),
]


@pytest.mark.parametrize(("strategy", "last"), UNDONE)
def test_what_was_done_is_undone_in_the_order_of_the_page(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, strategy: str, last: str
) -> None:
    """Some steps, then their ways back: the color that served serves again, and no trace of the other is left."""
    operator = _operator(sandbox, monkeypatch, strategy)
    steps = operator.until(last)
    with Load(sandbox.url, 50) as load, shell(sandbox) as typed:
        for step in steps:
            for block in operator.blocks(step):
                typed.do(block)
        for block in operator.back(steps):
            typed.do(block)
    assert serves(sandbox) == ("blue", "1.0.4")
    if strategy == "zero_downtime":
        assert load.report.failed == 0, load.report
    assert sandbox.status()["colors"]["green"]["running"] is False
    assert not (sandbox.directory / "slots/green/release").exists()
    assert not lock(sandbox).exists()


def test_the_traffic_is_not_sent_back_to_a_slot_that_is_stopped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = _operator(sandbox, monkeypatch, "controlled_stop")
    with shell(sandbox, LOGIN) as typed:
        for step in operator.until("switch_service"):
            for block in operator.blocks(step):
                typed.do(block)
        (undo,) = operator.blocks(operator.step("switch_service"), undo=True)
        assert "STOP: blue is not ready" in typed.paste(undo.commands).said
    assert serves(sandbox) == ("green", "1.1.0")


def _rollback(operator: Operator) -> list[Block]:
    """What the page of the rollback says: what serves now is recorded, too."""
    steps = [step for step in operator.steps("deployment/rollback") if step.phase != "rollback"]
    assert [step.id for step in steps] == ["preflight", "rollback_plan", "rollback", "conclude"]
    return [block for step in steps for block in operator.blocks(step)]


def test_an_update_that_went_wrong_is_put_back_in_the_same_shell(sandbox: Sandbox, operator: Operator) -> None:
    with shell(sandbox) as typed:
        for step in operator.steps()[:6]:
            for block in operator.blocks(step):
                typed.do(block)
        assert serves(sandbox) == ("green", "1.1.0")
        *_, last = back = list(operator.blocks(operator.step("rollback")))
        for block in back:
            typed.do(block)
        assert lock(sandbox).exists()
        assert "#conclude-conclude" in last.text, "what is typed next"
        for block in operator.blocks(operator.step("conclude")):
            typed.do(block)
    assert serves(sandbox) == ("blue", "1.0.4")
    assert sandbox.status()["colors"]["green"]["running"] is False
    assert not lock(sandbox).exists()


@pytest.mark.parametrize("lost", [False, True], ids=["kept", "release-lost"])
def test_an_update_by_hand_is_rolled_back_by_hand(sandbox: Sandbox, operator: Operator, lost: bool) -> None:
    with shell(sandbox) as typed:
        for block in operator.forward():
            typed.do(block)
    if lost:
        old = sandbox.directory / "releases/1.0.4"
        old.rename(sandbox.directory / "releases/.gone")
    with Load(sandbox.url, 50) as load, shell(sandbox) as another:
        for block in _rollback(operator):
            another.do(block)
    assert load.report.failed == 0, load.report
    assert serves(sandbox) == ("blue", "1.0.4")
    assert sandbox.status()["colors"]["green"]["running"] is False


def test_an_update_by_pyrunbook_is_rolled_back_by_hand(sandbox: Sandbox, operator: Operator) -> None:
    maintain(sandbox)
    (sandbox.directory / "releases/1.0.4").rename(sandbox.directory / "releases/.gone")
    with shell(sandbox) as typed:
        for block in _rollback(operator):
            typed.do(block)
    assert serves(sandbox) == ("blue", "1.0.4")


def test_pyrunbook_is_kept_out_by_a_lock_taken_by_hand_and_the_other_way_round(
    sandbox: Sandbox, operator: Operator
) -> None:
    blocks = list(operator.blocks(operator.step("preflight")))
    with shell(sandbox) as typed:
        for block in blocks:
            typed.do(block)
        refused = maintain(sandbox, code=3)
        assert "by-hand" in refused.stdout
        typed.do(next(operator.blocks(operator.step("preflight"), undo=True)))
    maintain(sandbox)
    lock(sandbox).write_text(json.dumps({"holder": "7f3a02c9", "operator": "ann"}))
    with shell(sandbox, LOGIN) as typed:
        held = typed.paste(blocks[-1].commands)
        assert "cannot overwrite" in held.said
        assert "7f3a02c9" in held.said
        freed = typed.paste(next(operator.blocks(operator.step("conclude"))).commands)
        assert freed.code != 0
        assert json.loads(lock(sandbox).read_text())["holder"] == "7f3a02c9"
    with shell(sandbox) as typed:
        for block in operator.blocks(operator.step("unlock", "maintenance/unlock")):
            typed.do(block)
    assert not lock(sandbox).exists()


@pytest.mark.parametrize("argv", [STOPPING, LOGIN], ids=["stopping", "login"])
def test_where_no_color_serves_nothing_is_changed(sandbox: Sandbox, operator: Operator, argv: tuple[str, ...]) -> None:
    """The first block says STOP; whoever pastes on in a login shell changes nothing all the same."""
    upstream = sandbox.directory / "proxy/upstream"
    upstream.write_text("127.0.0.1:1\n")
    before = sorted(path for path in sandbox.directory.glob("slots/*/*"))
    with shell(sandbox, argv) as typed:
        first, *others = operator.forward()
        stopped = typed.paste(first.commands)
        assert "STOP: no color serves" in stopped.said
        assert stopped.code == (None if argv is STOPPING else 1)
        if argv is LOGIN:
            for block in others:
                typed.paste(block.commands)
    assert upstream.read_text() == "127.0.0.1:1\n"
    assert sorted(path for path in sandbox.directory.glob("slots/*/*")) == before
    assert sandbox.status()["colors"]["blue"]["running"] is True


def test_a_change_behind_the_operators_back_stops_the_next_block(sandbox: Sandbox, operator: Operator) -> None:
    """The traffic goes elsewhere than the first step saw: no color is switched, drained or removed."""
    upstream = sandbox.directory / "proxy/upstream"
    address = upstream.read_text()
    with shell(sandbox, LOGIN) as typed:
        for step in ("preflight", "backup", "rollback_plan", "deploy_green"):
            for block in operator.blocks(operator.step(step)):
                typed.do(block)
        for elsewhere, steps in (("127.0.0.1:1\n", ("switch_service", "cleanup")), (address, ("drain", "cleanup"))):
            upstream.write_text(elsewhere)
            for step in steps:
                said = "".join(typed.paste(block.commands).said for block in operator.blocks(operator.step(step)))
                assert "STOP" in said, step
            assert upstream.read_text() == elsewhere
    assert serves(sandbox) == ("blue", "1.0.4")
    assert (sandbox.directory / "slots/blue/release").exists()


def test_under_systemd_what_is_done_by_hand_is_what_a_reboot_brings_back(tmp_path: Path) -> None:
    with running(tmp_path) as machine:
        (service,) = read_services(machine.inventory)
        operator = Operator(service.name, service.variables, "zero_downtime", machine.inventory)
        for blocks, color, version in (
            (operator.forward(), "green", "1.1.0"),
            (_rollback(operator), "blue", "1.0.4"),
        ):
            with machine.load() as load, Shell(STOPPING, machine.env, ROOT) as typed:
                for block in blocks:
                    typed.do(block)
            assert load.report.failed == 0, load.report
            assert serves(machine) == (color, version)
            other = "green" if color == "blue" else "blue"
            assert machine.state(color) == ("active", "enabled")
            assert machine.state(other) == ("inactive", "disabled")
