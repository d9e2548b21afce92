"""The command itself: help, versions, errors, exit codes, a reader that goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from sample_project import write

from pyrunbook import __version__
from pyrunbook.cli import main as cli
from pyrunbook.errors import ExitCode, PyrunbookError, Refused

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return run


def commands() -> dict[str, click.Command]:
    """All commands, also those of groups, by their words."""
    context = click.Context(cli.root)
    found: dict[str, click.Command] = {}
    for name in cli.COMMANDS:
        command = cli.root.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {word}": sub for word, sub in command.commands.items()}
    return found


@pytest.mark.parametrize("words", commands())
def test_the_help_of_every_command_names_and_explains_its_options(run: Run, words: str) -> None:
    command = commands()[words]
    code, out, err = run(*words.split(), "--help")
    assert (code, err) == (0, "")
    assert command.help
    assert command.help.split("\n")[0].split(".")[0][:40] in " ".join(out.split())
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert all(option in out for option in parameter.opts), parameter.opts
            assert parameter.help, f"{words} {parameter.opts} is not explained"
        else:
            assert parameter.human_readable_name.upper() in out


def test_the_help_lists_every_command_and_every_exit_code(run: Run) -> None:
    code, out, _ = run("-h")
    assert code == 0
    assert all(name in out for name in cli.COMMANDS)
    assert all(str(int(code)) in out for code in ExitCode)
    assert run("--version") == (0, f"pyrunbook, version {__version__}\n", "")


@pytest.mark.parametrize("arguments", [("nonsense",), ("--nonsense",), ("list", "--nonsense"), ("show",), ("run",)])
def test_a_wrong_command_line_is_2(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Refused("The window is closed.", means="Nothing was changed.", next_step="wait"), 3, "Next: wait\n"),
        (PyrunbookError("something"), 1, "Error: something\n"),
        (KeyboardInterrupt(), 130, "Aborted; nothing was changed."),
        (click.Abort(), 130, "Aborted; nothing was changed."),
        (click.UsageError("not so"), 2, "Error: not so"),
        (PermissionError(13, "Permission denied", "/state"), 2, "Error: /state: Permission denied"),
        (OSError(24, "Too many open files"), 1, "This is a bug in pyrunbook"),
        (ValueError("unexpected"), 1, "ValueError: unexpected"),
    ],
)  # fmt: skip
def test_errors_and_their_exit_codes(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setitem(cli.root.commands, "failing", failing)
    got, out, err = run("failing")
    assert (got, out) == (code, "")
    assert said in err
    assert ("Traceback" in err) is (code == 1 and not isinstance(error, PyrunbookError))


@pytest.mark.parametrize("arguments", [("list",), ("list", "--json"), ("--help",), ("show", "maintenance/unlock")])
def test_a_reader_that_goes_away_is_no_bug(arguments: tuple[str, ...], tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, "-m", "pyrunbook", *arguments]
    env = {**os.environ, "PYRUNBOOK_HOME": str(tmp_path)}
    done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=env)
    os.close(write)
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_reader_that_goes_away_leaves_the_exit_code(tmp_path: Path) -> None:
    """More than a pipe holds: `docs check` writes on after `head` has gone, and has still seen the drift."""
    shop = write(tmp_path / "shop")
    check = f"{sys.executable} -m pyrunbook docs check --project {shop}"
    script = f"{check} 2>err | head -c1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    env = {**os.environ, "PYRUNBOOK_HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, timeout=60, check=False)
    assert done.returncode == ExitCode.DRIFT
    assert (tmp_path / "err").read_text().startswith("Drifted: 6 of 6 pages.")
    whole = subprocess.run(
        ["bash", "-c", f"{check} 2>&1 | head -c1 >/dev/null; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=env,
        timeout=60,
        check=False,
    )
    assert whole.returncode == ExitCode.DRIFT


@pytest.mark.parametrize(
    ("ends", "code"),
    [("ctx.exit(0)", 0), ("ctx.exit(4)", 4), ("ctx.exit(5)", 5), ("None", 2)],
)
def test_an_output_that_is_full_does_not_change_the_exit_code_of_a_run(ends: str, code: int) -> None:
    """What has no exit code of its own has lost what it was asked for, and says so."""
    text = f"""
import click
from pyrunbook.cli import main

@main.root.command()
@click.pass_context
def probe(ctx):
    click.echo("told " * 9999)
    {ends}

main.main(["probe"])
"""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", text], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == code, done.stderr
    assert ("No space left on device" in done.stderr) is (ends == "None")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_what_a_service_has_closed_is_no_other_file(closed: str) -> None:
    """The journal must not be opened as standard output."""
    line = f"{sys.executable} -m pyrunbook --version {closed}"
    assert subprocess.run(["sh", "-c", line], capture_output=True, timeout=60, check=False).returncode == 0
