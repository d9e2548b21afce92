"""A small project in which lint finds nothing: what the examples of docs/lint stand in."""

from __future__ import annotations

from pathlib import Path

TODAY = "2026-11-21"

FILES = {
    ".pyrunbook.yml": """\
docs:
  inventory: inventories/production.yml
  languages: [en, fr]
lint:
  alert_rules: [alerts.yml]
""",
    "playbooks/maintenance/restart.yml": """\
- name: Restart
  hosts: services
  gather_facts: false
  tasks:
    - name: Restart the service
      ansible.builtin.import_role:
        name: restart
      tags: [restart]
    - name: Check the service
      ansible.builtin.import_role:
        name: check
      tags: [check]
""",
    "playbooks/maintenance/restart.meta.yml": """\
argument_specs:
  Restart:
    short_description: Restart the service
    runbook:
      schema: 1
      title: {en: Restart, fr: Redémarrage}
      owner: "@sre"
      updated: 2026-11-01
      estimate: 10m
      reserve: 5m
      window: {spec: "Sun 02:00-04:00 UTC"}
      prerequisites:
        - id: oncall
          text: {en: Somebody is on call, fr: Quelqu'un est d'astreinte}
          check: attested
      rollback: {en: Start the release before., fr: Démarrer la version précédente.}
      troubleshooting:
        - error: port in use
          cause: {en: The old process lives., fr: L'ancien processus vit encore.}
          solution: {en: End it., fr: Le terminer.}
          commands: ["systemctl stop agent-factory"]
      escalation:
        - to: L2
          when: {en: It does not start., fr: Elle ne démarre pas.}
      contacts: [L1]
      alerts: [AgentFactoryDown]
      titles:
        fr: {restart: Redémarrer le service, check: Contrôler le service}
      when_to_ignore: {en: While it answers., fr: Tant qu'il répond.}
      verification: {en: It answers again., fr: Il répond à nouveau.}
""",
    "roles/restart/meta/step.yml": """\
schema: 1
purpose: {en: Start it anew., fr: Le relancer.}
expected: {en: It answers., fr: Il répond.}
by_hand:
  host:
    - text: {en: Restart it., fr: Le redémarrer.}
      commands: |
        ROOT=/srv/agent-factory
        systemctl restart agent-factory
        ls "$ROOT/logs"
      expected: {en: A new log., fr: Un nouveau journal.}
undo_text: {en: Nothing to undo., fr: Rien à annuler.}
""",
    "roles/check/meta/step.yml": """\
schema: 1
purpose: {en: Ask it., fr: L'interroger.}
expected: {en: It answers 200., fr: Il répond 200.}
undo_text: {en: Nothing to undo., fr: Rien à annuler.}
verifies: true
""",
    "inventories/production.yml": """\
services:
  hosts:
    agent-factory:
  vars:
    runbook_contacts:
      - level: L1
        name: On-call
        reach: "+33 1 70 18 99 00"
      - level: L2
        name: Support
        reach: "+33 1 70 18 99 01"
    runbook_channels:
      slack: "#agent-factory-incidents"
""",
    "alerts.yml": """\
groups:
  - name: agent-factory
    rules:
      - alert: AgentFactoryDown
        expr: up == 0
        annotations:
          runbook_url: https://docs.company.com/maintenance/restart
""",
    "docs/restart.md": """\
# Runbook: Restart

## Information

- **Last updated**: 2026-11-01

## Prerequisites

- [ ] Somebody is on call

## Procedure

### 1. Restart

```bash
systemctl restart agent-factory
```

**Expected result**: `systemctl is-active agent-factory` prints `active`.

## Verification

- [ ] `/health` answers 200

## Rollback

```bash
systemctl restart agent-factory@previous
```

## Troubleshooting

The port is in use: end the old process.

## Contacts

- On-call: #agent-factory-incidents
""",
}


def write_project(directory: Path) -> Path:
    """Write the project into a directory, and return that."""
    for path, text in FILES.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return directory
