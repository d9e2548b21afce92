"""`pyrunbook completion`, and what completes the names of runbooks and runs."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from pyrunbook.errors import BadInput

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", required=False, type=click.Choice(SHELLS))
def completion(shell: str | None) -> None:
    r"""Print the completion script of SHELL; of the shell in $SHELL when none is named.

    \b
    To have completion in every new shell:
      bash  pyrunbook completion bash > ~/.local/share/bash-completion/completions/pyrunbook
      zsh   pyrunbook completion zsh > ~/.zfunc/_pyrunbook
            and in ~/.zshrc: fpath+=(~/.zfunc); autoload -Uz compinit && compinit
      fish  pyrunbook completion fish > ~/.config/fish/completions/pyrunbook.fish

    \b
    For this shell only:
      bash, zsh  source <(pyrunbook completion bash)
      fish       pyrunbook completion fish | source
    """
    from pyrunbook.cli.main import root

    chosen = shell or Path(os.environ.get("SHELL", "")).name
    kind = get_completion_class(chosen) if chosen in SHELLS else None
    if kind is None:
        raise BadInput(
            f"there is no completion for the shell {chosen or '(none in $SHELL)'}",
            next_step=f"pyrunbook completion {'|'.join(SHELLS)}",
        )
    click.echo(kind(root, {}, "pyrunbook", "_PYRUNBOOK_COMPLETE").source())


def complete_runbooks(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The ids of runbooks that begin so; also those with a mistake in them. Reads no file."""
    from pyrunbook.catalog import load

    named = ctx.params.get("project") or ctx.find_root().params.get("project")
    try:
        ids = load(Path(named).resolve() if named else None).ids
    except BadInput:
        return []
    return [runbook for runbook in ids if runbook.startswith(incomplete.replace("-", "_"))]


def complete_runs(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The ids of the last runs that begin so, and `latest`. A journal that cannot be read completes nothing."""
    from pyrunbook.journal import Journal, JournalError

    ids = ["latest"]
    try:
        if Journal.exists():
            with Journal.open() as journal:
                ids += [run.id for run in journal.history(limit=100)]
    except JournalError:
        return []
    return [run for run in ids if run.startswith(incomplete)]
