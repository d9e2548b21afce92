"""`pyrunbook certs`: the state of certificates, and the runbooks that replace and check them."""

from __future__ import annotations

import json
from typing import Any

import click

from pyrunbook import catalog
from pyrunbook.cli import certs_view, options
from pyrunbook.cli.run import operate, run_options, window_options
from pyrunbook.errors import BadInput, ExitCode
from pyrunbook.execution.certificates import (
    FORCE,
    NAMES,
    PHASE,
    look,
    names_in,
    services_that_sign,
    services_with,
)

ROTATION = "maintenance/certificate_rotation"
VALIDATION = "maintenance/certificate_validation"


def _complete_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The names of certificates in the inventory of the command line; none where it cannot be read."""
    from pyrunbook.execution.inventory import services

    try:
        sources = options.inventory_sources(tuple(ctx.params.get("inventory") or ()))
        found = services(sources, ctx.params.get("limit") or "").values()
    except BadInput:
        return []
    names = dict.fromkeys(name for variables in found for name in names_in(variables) or ())
    return [name for name in names if name.startswith(incomplete)]


names_argument = click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=_complete_names)


@click.group()
def certs() -> None:
    """Certificates of services: see them, replace them, check them.

    Without NAME it is about all certificates, and without --limit about all services of the inventory. All but
    `status` are runs: guarded, recorded, and put back when they fail.

    \b
    pyrunbook certs status                      what is deployed and served, and what is due when
    pyrunbook certs rotate                      replace what is due, and prove it
    pyrunbook certs rotate public --force       replace it now, in its window
    pyrunbook certs generate                    issue and check only; nothing that serves changes
    pyrunbook certs deploy                      deploy and prove what was generated
    pyrunbook certs validate                    look at all of them as a client does
    pyrunbook certs test-signature              have each service sign, and verify it
    pyrunbook rollback RUN                      take a rotation back
    pyrunbook recover                           bring one that died to an end
    """  # noqa: D301 - click reads the character, not the two signs


@certs.command()
@names_argument
@options.inventory_options
@click.option("--json", "as_json", is_flag=True, help="For programs: a line with one JSON object for each certificate.")
@click.pass_context
def status(ctx: click.Context, names: tuple[str, ...], inventory: tuple[str, ...], limit: str, as_json: bool) -> None:
    """Show every certificate: what is deployed, what each address serves, what would be done when.

    Reads only: no run, no lock, no entry in the journal. Exits 8 when a certificate needs attention: it is due and does
    not wait for a window, an address serves something else or nothing, its rotation was left in the middle, or its
    service cannot be read. A certificate that waits for its window, or a new pair that waits for `deploy`, needs none.

    \b
    pyrunbook certs status
    pyrunbook certs status public --limit agent-factory
    pyrunbook certs status --json | jq 'select(.days_left < 14)'

    With --json each certificate is an object: service, certificate, good, attention (texts), next_step, place, subject,
    serial, issuer, not_before, not_after, days_left, used (a share), key_matches, standing, retired, served, due
    (then, reasons, due_at, waits_until, override, describe), next_window. Of a service that cannot be read
    `certificate` is null. docs/pki/README.md has them all.
    """  # noqa: D301 - click reads the character, not the two signs
    good, rotation = True, catalog.load().get(ROTATION)
    for found in look(rotation, options.inventory_sources(inventory), limit, names):
        good &= not found.attention
        if as_json:
            click.echo(json.dumps(certs_view.as_dict(found, rotation), ensure_ascii=False))
        else:
            certs_view.show(found, rotation)
    ctx.exit(int(ExitCode.SUCCEEDED if good else ExitCode.FINDINGS))


@certs.command()
@names_argument
@click.option("--force", is_flag=True, help="Also certificates that are not due. The window holds all the same.")
@run_options
@window_options
@click.pass_context
def rotate(ctx: click.Context, /, names: tuple[str, ...], force: bool, **given: Any) -> None:
    """Replace certificates that are due, prove each, put back what was there when one is not served.

    Runs maintenance/certificate_rotation. What is not due stays as it is, and a second run changes nothing. A
    certificate that would expire before the window opens does not wait for it; that is recorded.

    \b
    pyrunbook certs rotate                      what is due, of all services
    pyrunbook certs rotate public --force       this one, due or not
    pyrunbook certs rotate --window --wait      wait until the window opens
    pyrunbook certs rotate --check              say what would be replaced
    """  # noqa: D301 - click reads the character, not the two signs
    _run(ctx, ROTATION, names, {FORCE: True} if force else {}, given)


@certs.command()
@names_argument
@click.option("--force", is_flag=True, help="Also for certificates that are not due.")
@run_options
@window_options
@click.pass_context
def generate(ctx: click.Context, /, names: tuple[str, ...], force: bool, **given: Any) -> None:
    """Issue and check new certificates, beside those that serve; nothing that serves changes.

    Runs the first part of maintenance/certificate_rotation. `deploy` does the rest; `rotate` issues new ones again.

    \b
    pyrunbook certs generate public --force
    pyrunbook certs deploy public
    """  # noqa: D301 - click reads the character, not the two signs
    inputs = {PHASE: "generate"} | ({FORCE: True} if force else {})
    _run(ctx, ROTATION, names, inputs, given)


@certs.command()
@names_argument
@run_options
@window_options
@click.pass_context
def deploy(ctx: click.Context, /, names: tuple[str, ...], **given: Any) -> None:
    """Deploy and prove the certificates that `generate` has left; refuse where there are none.

    Runs the rest of maintenance/certificate_rotation. What was generated is checked again before it is deployed.
    """
    _run(ctx, ROTATION, names, {PHASE: "deploy"}, given)


@certs.command()
@names_argument
@run_options
@click.pass_context
def validate(ctx: click.Context, /, names: tuple[str, ...], **given: Any) -> None:
    """Check certificates as a client does: served everywhere, chain, names, dates, not revoked.

    Runs maintenance/certificate_validation, which changes nothing and needs no window.
    """
    _run(ctx, VALIDATION, names, {}, given)


@certs.command("test-signature")
@run_options
@click.pass_context
def test_signature(ctx: click.Context, /, **given: Any) -> None:
    """Have each service sign a text, and verify the signature.

    Runs the step test_signature of maintenance/certificate_validation, with its guards.
    """
    services = services_that_sign(options.inventory_sources(given["inventory"]), given["limit"])
    given |= {"limit": ",".join(services), "step": (*given["step"], "test_signature")}
    _run(ctx, VALIDATION, (), {}, given)


def _run(
    ctx: click.Context, runbook: str, names: tuple[str, ...], inputs: dict[str, Any], given: dict[str, Any]
) -> None:
    if names:
        # A name also selects the services: one without such a certificate is left alone.
        services = services_with(options.inventory_sources(given["inventory"]), given["limit"], names)
        for service, variables in services.items():
            for name in names:
                if name not in (names_in(variables) or names):
                    raise BadInput(
                        f"{service} has no certificate {name!r}, and one run takes the same names on every service",
                        next_step=f"use a run of its own: pyrunbook certs {ctx.info_name} {name}",
                    )
        given = given | {"limit": ",".join(services)}
        inputs = inputs | {NAMES: list(names)}
    ctx.exit(operate(runbook, inputs, **given))
