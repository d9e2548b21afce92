"""Tables for the terminal: aligned columns, no colors."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import click


def echo_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, optional: Sequence[str] = ()) -> None:
    """Print rows under a head, each column as wide as its widest cell. Prints nothing when there are no rows.

    Args:
        head: the titles of the columns.
        rows: a text for each column.
        optional: titles of columns that are left out, the first one first, where the terminal is too narrow. What then
            is still too wide continues on a line of its own. A file or a pipe gets all columns.
    """
    if not rows:
        return
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    shown = list(range(len(head)))
    widths = [max(len(row[column]) for row in (head, *rows)) for column in shown]
    for title in optional:
        if sum(widths[column] + 2 for column in shown) - 2 > room:
            shown.remove(head.index(title))
    for row in (head, *rows):
        cells = [row[column].ljust(widths[column]) for column in shown]
        line = "  ".join(cells).rstrip()
        if len(line) > room:
            line = "  ".join(cells[:-1]).rstrip() + f"\n    {cells[-1].rstrip()}"
        click.echo(line)
