"""`pyrunbook sandbox`: a small service on this machine to practise on."""

from __future__ import annotations

import json
import signal
from datetime import timedelta
from pathlib import Path
from types import FrameType

import click
from click.shell_completion import CompletionItem

from pyrunbook import places
from pyrunbook.errors import BadInput, ExitCode
from pyrunbook.sandbox import content, credentials, layout, lifecycle, processes, state
from pyrunbook.sandbox.load import Load
from pyrunbook.sandbox.state import SandboxState


def _directory(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path:
    return layout.directory(value)


directory_option = click.option(
    "--directory",
    envvar=places.ENV_SANDBOX,
    callback=_directory,
    metavar="DIR",
    help=f"Where the sandbox lives. [env: {places.ENV_SANDBOX}; default: 'sandbox' in pyrunbook's state directory]",
)


class _Issuing:
    """Certificates and keys for the sandbox, from `pki`, which is imported only when something is to be made."""

    def certificate(self, where: layout.Layout) -> credentials.SandboxPair:
        """A pair from the sandbox's own authority."""
        from pyrunbook.pki.issuers import CertificateRequest
        from pyrunbook.pki.issuers.local_ca import LocalAuthority

        authority = LocalAuthority(where.authority, layout.AUTHORITY_TITLE)
        names, lifetime = layout.CERTIFICATE_NAMES, timedelta(days=layout.CERTIFICATE_DAYS)
        issued = authority.issue(CertificateRequest(names, lifetime, (layout.HOST,)))
        return credentials.SandboxPair(issued.serial, issued.certificate_pem, issued.key.pem())

    def signing_key(self, where: layout.Layout) -> None:
        """A new RSA key."""
        from pyrunbook.pki.signing_keys import SigningKeyFiles

        SigningKeyFiles(where.signing_keys).rotate()


@click.group()
def sandbox() -> None:
    """A small Agent Factory service on this machine to practise on: two slots, blue and green, behind a real proxy."""


@sandbox.command()
@directory_option
@click.option("--port", type=click.IntRange(1, 65535), help="Port for clients; a free one when not given.")
def up(directory: Path, port: int | None) -> None:
    """Start the sandbox, or those of its processes that have died.

    The first time, blue serves 1.0.4 and 1.1.0 is the candidate to deploy. Starting it again does no harm.
    """
    result = lifecycle.up(directory, _Issuing(), port)
    if result.started:
        click.echo(f"Started {', '.join(result.started)}.")
    else:
        click.echo("The sandbox runs already; nothing to start.")
    _show(result.state)
    if result.warning:
        click.echo(f"Warning: {result.warning}", err=True)


@sandbox.command()
@directory_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def status(context: click.Context, directory: Path, as_json: bool) -> None:
    """Show what the sandbox is now. Exit code 0 when it runs, 3 when it does not."""
    found = state.read(directory)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found)
    context.exit(ExitCode.SUCCEEDED if found.running else ExitCode.REFUSED)


def _show(found: SandboxState) -> None:
    if not found.running:
        click.echo(f"The sandbox is not running: {found.why_not}.\nStart it with: pyrunbook sandbox up")
        if not found.colors:
            return
    click.echo(f"url        {found.url}")
    if found.tls_url:
        click.echo(f"tls        {found.tls_url}  (curl --cacert {found.trust_file})")
    for color, slot in found.colors.items():
        release = slot.version or "empty"
        health = ("ready" if slot.ready else "not ready") if slot.running else slot.state.lower()
        serves = "  <- serves" if color == found.active else ""
        click.echo(f"{color:10} {release:10} {health:10} {slot.url}{serves}")
    if found.active == "none":
        click.echo("No color serves: the proxy answers 503.")
    fault = next((entry.fault for entry in found.releases if entry.version == found.candidate), "")
    click.echo(f"candidate  {found.candidate or 'none'}{f' (fault: {fault})' if fault else ''}")
    click.echo(f"directory  {found.directory}")


@sandbox.command()
@directory_option
@click.option("--purge", is_flag=True, help="Remove the directory as well: releases, data, logs, backups in it.")
def down(directory: Path, purge: bool) -> None:
    """End all processes of the sandbox. Its directory stays, unless --purge."""
    result = lifecycle.down(directory, purge=purge)
    if result.ended:
        killed = f", {result.killed} of them only by force" if result.killed else ""
        click.echo(f"The sandbox is down: {result.ended} processes ended{killed}.")
    else:
        click.echo("The sandbox was not running.")
    if result.purged:
        click.echo(f"Removed {directory}.")


def _complete_version(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        where = layout.Layout(layout.directory(context.params.get("directory")))
    except BadInput:
        return []
    return [
        CompletionItem(release.version, help=release.fault or None)
        for release in state.releases(where)
        if release.version.startswith(incomplete)
    ]


@sandbox.command(
    short_help="Make a release, and choose it as the candidate.",
    epilog="\b\nFaults:\n" + "\n".join(f"  {name:20} {text}" for name, text in content.FAULTS.items()),
)
@directory_option
@click.argument("version", shell_complete=_complete_version)
@click.option("--fault", type=click.Choice(list(content.FAULTS)), help="How the release misbehaves, for drills.")
@click.option("--replace", is_flag=True, help="Build an existing release anew; refused while a slot uses it.")
def release(directory: Path, version: str, fault: str | None, replace: bool) -> None:
    """Make release VERSION and choose it as the candidate that the next update deploys.

    A release that exists is only chosen: a release does not change once it is made.
    """
    where = layout.Layout(directory)
    if state.settings(where) is None:
        raise BadInput(f"there is no sandbox in {directory}", next_step="pyrunbook sandbox up")
    with processes.locked(where):
        built = content.make_release(where, version, fault or "", replace=replace)
    made = "Made release" if built else "There is already a release"
    click.echo(f"{made} {version}{f' with the fault {fault}' if fault else ''}; it is the candidate now.")


@sandbox.command(short_help="Send steady traffic; report failures and gaps.")
@directory_option
@click.option("--url", help="Where to send requests. [default: the sandbox's]")
@click.option("--rate", type=click.FloatRange(0.1, 5000), default=50.0, show_default=True, help="Requests a second.")
@click.option("--duration", type=click.FloatRange(0.1), help="Seconds; until Ctrl-C when not given.")
@click.option("--workers", type=click.IntRange(1, 500), default=8, show_default=True, help="Long-lived connections.")
@click.option("--tls", is_flag=True, help="Over TLS, each request on a new connection: to see certificates rotate.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the report here, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--fail-on-error", is_flag=True, help="Exit with 4 when any request failed.")
@click.pass_context
def load(
    context: click.Context,
    directory: Path,
    url: str | None,
    rate: float,
    duration: float | None,
    workers: int,
    tls: bool,
    report: Path | None,
    as_json: bool,
    fail_on_error: bool,
) -> None:
    """Send steady traffic and report what failed and how long nothing was answered.

    GET and POST alternate, on long-lived and on new connections. A request is sent when it is due, whether or not
    earlier ones have been answered, so that a gap is seen.

    With --tls, every request makes a new TLS connection and trusts the sandbox's own authority alone; the report counts
    failed handshakes, and which certificates were served.
    """
    known = state.read(directory, probe=False)
    target = url or (known.tls_url if tls else known.url)
    if target is None:
        what = "no sandbox that serves TLS" if tls else "no sandbox"
        raise BadInput(f"there is {what} in {directory}", next_step="pyrunbook sandbox up, or give --url")
    driver = Load(target, rate, workers=0 if tls else workers, trust_file=known.trust_file if tls else None)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        driver.request_stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    found = driver.run(duration)
    text = json.dumps(found.to_dict(), indent=2)
    if report:
        content.write_atomically(report, text + "\n")
    click.echo(text if as_json else str(found))
    context.exit(ExitCode.PUT_BACK if fail_on_error and found.failed else ExitCode.SUCCEEDED)
