"""The `pyrunbook` command: finds the command asked for, imports only that one, and turns errors into exit codes."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TextIO

import click

from pyrunbook import __version__, places, running
from pyrunbook.errors import ExitCode, PyrunbookError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

# name -> (module:attribute, short help). The help stands here so that `pyrunbook --help` imports no command.
COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("pyrunbook.cli.list:list_runbooks", "List the runbooks."),
    "show": ("pyrunbook.cli.show:show", "Show what a runbook is: steps, window, prerequisites, inputs."),
    "plan": ("pyrunbook.cli.plan:plan", "Show what a run would do now, without doing it."),
    "run": ("pyrunbook.cli.run:run", "Run a runbook."),
    "maintenance": (
        "pyrunbook.cli.run:maintenance",
        "Update the production service (run maintenance/production_update).",
    ),
    "rollback": ("pyrunbook.cli.rollback:rollback", "Put back what a rollback plan recorded; list the plans."),
    "recover": ("pyrunbook.cli.recover:recover", "Bring an unfinished run to an end: resume it or roll it back."),
    "certs": ("pyrunbook.cli.certs:certs", "See, replace and check the certificates of services."),
    "history": ("pyrunbook.cli.history:history", "List past runs."),
    "report": ("pyrunbook.cli.report:report", "Report one run: steps, evidence, outcome."),
    "unlock": ("pyrunbook.cli.unlock:unlock", "Show who holds a service's lock; break it when its holder is dead."),
    "init": ("pyrunbook.cli.init:init", "Start a project of your own that uses the shipped roles."),
    "new": ("pyrunbook.cli.new:new", "Start a runbook: playbook, metadata, a step role, with blanks to fill in."),
    "import": ("pyrunbook.cli.import_:import_", "Turn a Markdown runbook into runbooks with steps to automate."),
    "window": ("pyrunbook.cli.window:window", "Ask when a runbook may run, and why."),
    "docs": ("pyrunbook.cli.docs:docs", "Make the pages of runbooks; see whether they have drifted."),
    "lint": ("pyrunbook.cli.lint:lint", "Look for what will hurt at night in runbooks and Markdown pages."),
    "schema": ("pyrunbook.cli.schema:schema", "Print the JSON Schema of metadata, step notes or settings."),
    "sandbox": ("pyrunbook.cli.sandbox:sandbox", "A small service on this machine to practise on."),
    "doctor": ("pyrunbook.cli.doctor:doctor", "Check what is missing to run here."),
    "completion": ("pyrunbook.cli.completion:completion", "Print the shell completion script."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All command names, in the order of `COMMANDS`."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; `None` when there is none of that name."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is not a click command")
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's interface
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands from `COMMANDS`, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="pyrunbook")
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Directory of the project. Default: the nearest one with a .pyrunbook.yml, from this directory upwards.",
)
def root(project: str | None) -> None:
    """Run operations runbooks, and put back what was there when they fail.

    Exit codes: 0 succeeded, 1 a bug of ours, 2 usage or bad input, 3 refused and nothing changed,
    4 failed and put back, 5 failed and NOT put back, 7 a page has drifted, 8 lint or certs status has
    findings, 130 interrupted and put back.
    """
    if project:
        os.environ[places.ENV_CONTENT] = project
    running.clear()  # a killed run leaves files with its inputs


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of `ExitCode`."""
    _open_closed()
    if threading.current_thread() is threading.main_thread():
        # A shell has the commands that a script starts in the background ignore SIGINT; `kill -INT` must still end us.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout, sys.stderr = _goes_on(sys.stdout), _goes_on(sys.stderr)
    try:
        places.make_absolute()
        places.suit_ansible()
        code = root.main(args=list(argv) if argv is not None else None, standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Aborted; nothing was changed.", err=True)
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.BAD_INPUT
    except PyrunbookError as error:
        click.echo(f"Error: {error}", err=True)
        code = error.exit_code
    except Exception as error:
        code = _unexpected(error)
    sys.stdout.flush()
    lost = _Output.lost
    if lost is not None and code is None:  # the exit code of a run or a check stays
        click.echo(f"Error: the output could not be written: {lost.strerror}", err=True)
        code = ExitCode.BAD_INPUT
    gc.freeze()  # or Python looks at every object once more before it ends: 0.1 s
    sys.exit(int(code) if isinstance(code, int) else 0)


def _open_closed() -> None:
    """Open closed standard streams on /dev/null: the next file that is opened would get their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.dup2(found, number, inheritable=True)
                os.close(found)
            os.set_inheritable(number, True)
            stream = os.fdopen(number, "r" if name == "stdin" else "w", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _unexpected(error: Exception) -> ExitCode:
    """Report an error that nobody handled: a file that cannot be used is bad input, anything else is a bug of ours."""
    if isinstance(error, OSError) and error.filename is not None:
        click.echo(f"Error: {error.filename}: {error.strerror}", err=True)
        return ExitCode.BAD_INPUT
    traceback.print_exc()
    click.echo("This is a bug in pyrunbook; nothing above was expected.", err=True)
    return ExitCode.BUG


class _Output(io.FileIO):
    """A stream that drops what it cannot write, because its reader is gone (`| head`) or the disk is full.

    What a command does, and the exit code of a run, do not depend on who reads the output.
    """

    lost: ClassVar[OSError | None] = None
    """Why output was lost, unless its reader had closed it."""

    def write(self, data: Buffer, /) -> int | None:  # type: ignore[override]  # all that FileIO itself takes
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                raise
            if error.errno not in (errno.EPIPE, errno.EIO):
                _Output.lost = error
            return memoryview(data).nbytes


def _goes_on(stream: TextIO) -> TextIO:
    """The same stream on an `_Output`; as it is where it has been replaced (as tests do)."""
    if stream not in (sys.__stdout__, sys.__stderr__):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream is sys.__stderr__ or stream.isatty(),
    )
