"""`pyrunbook plan`: what a run would do now, and whether it may."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from pyrunbook import catalog, service, windows
from pyrunbook.cli import options


@click.command()
@click.argument("runbook", default=options.UPDATE)
@options.inventory_options
@options.json_option
def plan(runbook: str, inventory: tuple[str, ...], limit: str, as_json: bool) -> None:
    """Show what a run of RUNBOOK would do now: services, steps and their order, times, window. Changes nothing."""
    from pyrunbook.execution.inventory import services

    found = catalog.load().get(runbook)
    sources = options.inventory_sources(inventory)
    now = datetime.now(UTC)
    for name, variables in services(sources, limit).items():
        service.read(name, variables, sources, complete=found.needs_colors)
        strategy = str(variables.get("update_strategy", "zero_downtime"))
        decision = windows.decide(found.schedule(variables), now)
        steps = found.steps(strategy)
        if as_json:
            click.echo(json.dumps(_as_dict(found, name, variables, strategy, decision, steps), ensure_ascii=False))
        else:
            _show(found, name, variables, strategy, decision, steps, options.inventory_name(sources))


def _as_dict(
    runbook: catalog.Runbook,
    service: str,
    variables: dict[str, Any],
    strategy: str,
    decision: windows.Decision,
    steps: list[catalog.Step],
) -> dict[str, Any]:
    return {
        "runbook": runbook.id,
        "service": service,
        "platform": variables.get("service_platform"),
        "strategy": strategy,
        "estimate_seconds": _whole(runbook.metadata.estimate),
        "reserve_seconds": _whole(runbook.metadata.reserve),
        "window": decision.as_dict(),
        "prerequisites": [{"name": p.id, "check": p.check} for p in runbook.metadata.prerequisites],
        "steps": [
            {
                "step": s.id,
                "title": s.spoken_title(),
                "role": s.role,
                "phase": s.phase,
                "estimate_seconds": _whole(s.estimate),
            }
            for s in steps
        ],
    }


def _whole(duration: timedelta | None) -> int | None:
    return int(duration.total_seconds()) if duration is not None else None


def _show(
    runbook: catalog.Runbook,
    service: str,
    variables: dict[str, Any],
    strategy: str,
    decision: windows.Decision,
    steps: list[catalog.Step],
    inventory: str,
) -> None:
    click.echo(f"{runbook.metadata.title} · {service} on {inventory} ({variables.get('service_platform')})")
    click.echo(f"Window: {decision.reason}")
    click.echo(f"Strategy: {strategy}")
    if runbook.metadata.estimate:
        reserve = windows.format_duration(runbook.metadata.reserve)
        click.echo(f"Takes {windows.format_duration(runbook.metadata.estimate)}; {reserve} in reserve for a rollback")
    for prerequisite in runbook.metadata.prerequisites:
        how = f"--attest {prerequisite.id}" if prerequisite.check == "attested" else "checked by the run"
        click.echo(f"  prerequisite  {prerequisite.text} ({how})")
    for step in steps:
        estimate = windows.format_duration(step.estimate) if step.estimate else ""
        click.echo(f"  {step.phase:<13} {step.spoken_title()}  [{step.id}] {estimate}".rstrip())
