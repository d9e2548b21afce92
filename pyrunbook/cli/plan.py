"""`pyrunbook plan`: what a run would do now, and whether it may."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from pyrunbook import catalog, places, service, windows
from pyrunbook.cli import options


@click.command()
@click.argument("runbook", default=options.UPDATE)
@options.inventory_options
@options.json_option
def plan(runbook: str, inventory: tuple[str, ...], limit: str, as_json: bool) -> None:
    """Show what a run of RUNBOOK would do now: services, steps and their order, times, window. Changes nothing."""
    from pyrunbook.execution.inventory import hosts, services

    found = catalog.load().get(runbook)
    if found.plain:
        places.use_config_for(found.path)
    sources = options.inventory_sources(inventory, plain=found.plain)
    now = datetime.now(UTC)
    if found.plain:
        _plain(found, hosts(sources, found.hosts, limit), options.inventory_name(sources), now, as_json=as_json)
        return
    for name, variables in services(sources, limit).items():
        service.read(name, variables, sources, complete=found.needs_colors)
        strategy = str(variables.get("update_strategy", "zero_downtime"))
        decision = windows.decide(found.schedule(variables), now)
        steps = found.steps(strategy)
        if as_json:
            click.echo(json.dumps(_as_dict(found, name, variables, strategy, decision, steps), ensure_ascii=False))
        else:
            _show(found, name, variables, strategy, decision, steps, options.inventory_name(sources))


def _plain(
    runbook: catalog.Runbook, hosts: dict[str, dict[str, Any]], inventory: str, now: datetime, *, as_json: bool
) -> None:
    """The same of a plain playbook: one plan for all its hosts, but for their windows."""
    strategy, steps = catalog.STRATEGIES[0], runbook.steps()
    decisions = {name: windows.decide(runbook.schedule(variables), now) for name, variables in hosts.items()}
    if as_json:
        for name, decision in decisions.items():
            whole = _as_dict(runbook, name, hosts[name], strategy, decision, steps) | {"lacks": runbook.lacks}
            click.echo(json.dumps(whole, ensure_ascii=False))
        return
    click.echo(f"{runbook.metadata.title} · {', '.join(hosts)} on {inventory}")
    for reason in dict.fromkeys(decision.reason for decision in decisions.values()):
        names = [name for name, decision in decisions.items() if decision.reason == reason]
        which = f" ({', '.join(names)})" if len(names) < len(decisions) else ""
        click.echo(f"Window: {reason}{which}")
    _show_rest(runbook, steps)
    if runbook.lacks:
        click.echo(f"It has no {', no '.join(runbook.lacks)}.")


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
    _show_rest(runbook, steps)


def _show_rest(runbook: catalog.Runbook, steps: list[catalog.Step]) -> None:
    if runbook.metadata.estimate:
        reserve = windows.format_duration(runbook.metadata.reserve)
        click.echo(f"Takes {windows.format_duration(runbook.metadata.estimate)}; {reserve} in reserve for a rollback")
    for prerequisite in runbook.metadata.prerequisites:
        how = f"--attest {prerequisite.id}" if prerequisite.check == "attested" else "checked by the run"
        click.echo(f"  prerequisite  {prerequisite.text} ({how})")
    for step in steps:
        estimate = windows.format_duration(step.estimate) if step.estimate else ""
        click.echo(f"  {step.phase:<13} {step.spoken_title()}  [{step.id}] {estimate}".rstrip())
