"""`pyrunbook schema`: the JSON Schemas of the files that one writes by hand."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pyrunbook.errors import BadInput

KINDS = ("runbook", "runbook-translation", "step", "step-translation", "settings")


@click.command()
@click.argument("kind", metavar="[KIND]", type=click.Choice(KINDS), default="runbook")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to a file instead of printing it; its directory is made when it is missing.",
)
def schema(kind: str, output: Path | None) -> None:
    """Print the JSON Schema of a KIND of file, for editors and validators; of a runbook's metadata by default.

    \b
    runbook              <playbook>.meta.yml, beside a playbook
    runbook-translation  <playbook>.meta.fr.yml, its words in another language
    step                 meta/step.yml of a role
    step-translation     meta/step.fr.yml, its words in another language
    settings             .pyrunbook.yml of a project

    An editor with yaml-language-server completes and checks a file whose first line names the schema:

    \b
    # yaml-language-server: $schema=runbook.schema.json
    """  # noqa: D301 - click reads the character, not the two signs
    from pyrunbook.catalog.schema import SCHEMAS

    text = json.dumps(SCHEMAS[kind](), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{output} cannot be written: {error.filename}: {error.strerror}", next_step="name another file with -o"
        ) from error
    click.echo(f"{output}: the schema of {kind} is written.", err=True)
