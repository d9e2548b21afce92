"""What the templates of steps and pages are filled with: an inventory's service, the roles' defaults, and a few words.

The words stand for what depends on several variables of the inventory, or is known only when a run begins. What is
known only then is a shell variable on a page; the first by-hand block of the role `preflight` sets them.

| word | value |
|---|---|
| `kubectl` | kubectl with the `--kubeconfig`, `--context` and `-n` of the inventory |
| `service_manager_command` | `systemctl` as the inventory has it, or `supervisorctl -c FILE` |
| `service_start_command`, `service_stop_command` | the same with its verb, so that a reboot keeps what was done |
| `service_active_color`, `service_preview_color`, `service_release` | `$ACTIVE`, `$PREVIEW`, `$RELEASE` |
| `service_colors[service_active_color].address` | `$ACTIVE_ADDRESS`; so for each key of a color, and for `$PREVIEW` |
| `service_state` | what `backup_parts` and the like ask it for: the colors' releases, `$ACTIVE_RELEASE` |
| `kubectl_manifests` | `-f FILE` for each of `deploy_green_manifests` |
| `service_active_log`, `service_preview_log` | the command that shows the last lines of that color's log |
| `certificates` | the inventory's `service_certificates` in the words of `page_certificates` |
| `signers` | the inventory's `service_signing_keys` in the words of `page_signers` |
| `update_strategy` | the inventory's, or the default |
| `recovers` | false: a page is about a run that somebody starts, not about `pyrunbook recover` |
| `runbook_id`, `runbook_undone_by`, `runbook_keeps_window` | of the runbook that the page is about |
| `inventory_source` | what `-i` takes; relative to the project, so that a page is the same on every machine |
| `inventory_dir` | its directory, as Ansible has it; relative to the project, too |
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyrunbook.catalog.metadata import ROLLBACK
from pyrunbook.catalog.page_certificates import page_certificates, page_signers
from pyrunbook.catalog.playbook import STRATEGIES
from pyrunbook.catalog.roles import read_role
from pyrunbook.catalog.templates import Blank, Values
from pyrunbook.project.document import read
from pyrunbook.project.inventory import Service
from pyrunbook.project.problem import InvalidFile, Problem

COLORS = ("blue", "green")
ACTIVE, PREVIEW, RELEASE = "$ACTIVE", "$PREVIEW", "$RELEASE"
_MANIFESTS = (
    "{% set files = deploy_green_manifests or no_manifests ~ '' %}"
    "{% for file in ([files] if files is string else files) %}"
    """-f "{{ file }}"{{ '' if loop.last else ' ' }}{% endfor %}"""
)
_COLOR_KEYS = ("url", "address", "unit", "deployment")
_UP_AND_DOWN = re.compile(r"(?<![\w.$~{}-])(?!\.{1,2}/)[\w.$-]+/\.\./")


class PageValues(Values):
    """Values whose filled texts have `a/../` taken out of their paths."""

    def fill(self, text: str) -> str:
        """As `Values.fill`; a text without templates stays as it is."""
        filled = super().fill(text)
        return filled if filled == text else _collapsed(filled)


def page_values(
    service: Service | None,
    role_defaults: Mapping[str, Any],
    project: Path,
    source: Path | None,
    step_variables: Mapping[str, Any] | None = None,
) -> Values:
    """The values that fill the templates of a page.

    Args:
        service: whose values; without one its variables are blanks: their names in capitals.
        role_defaults: of all roles that the page is about, see `read_role_defaults`.
        project: its directory, where the page's commands are run from.
        source: the inventory of the service.
        step_variables: what the playbook sets, for all its tasks and for the one that applies the role, and what is
            known of the runbook; goes before the inventory.
    """
    about: dict[str, Any] = {**(service.variables if service else {}), **(step_variables or {})}
    if service:
        about.setdefault("inventory_hostname", service.name)
    if source is not None:
        about["inventory_dir"] = _relative(source if source.is_dir() else source.parent, project)
        about["inventory_source"] = _relative(source, project)
    elif sources := about.get("ansible_inventory_sources"):  # in a play
        about["inventory_source"] = str(sources[0])
    known = PageValues(role_defaults, about)
    listed = {"certificates": page_certificates(about), "signers": page_signers(about)}
    return PageValues(role_defaults, about, {**_words(known), **listed})


def read_role_defaults(roles: Path) -> dict[str, Any]:
    """The defaults of all roles of a directory: of `defaults/main.yml`, and of the spec where that says nothing.

    Their names begin with their role's, so they do not collide.

    Raises:
        InvalidFile: with every file that is no mapping of YAML.
    """
    specs = (read_role(roles, file.parent.parent.name) for file in sorted(roles.glob("*/meta/argument_specs.yml")))
    defaults: dict[str, Any] = {name: value for role in specs for name, value in role.defaults.items()}
    problems: list[Problem] = []
    for file in sorted(roles.glob("*/defaults/main.yml")):
        try:
            document = read(file)
            defaults |= {name: document.value(node) for name, _, node in document.items(document.root)}
        except InvalidFile as error:
            problems += error.problems
        except ValueError as error:
            problems.append(Problem(file, 1, 1, "", str(error)))
    if problems:
        raise InvalidFile(problems)
    return defaults


def _words(known: Values) -> dict[str, Any]:
    kubectl, systemd = _kubectl(known), known.get("service_manager") != "supervisor"
    manager = _manager(known, systemd)
    # A play has the colors as facts; then its messages name them.
    active = known.get("service_active_color") if known.get("service_active_color") in COLORS else ACTIVE
    preview = known.get("service_preview_color") if known.get("service_preview_color") in COLORS else PREVIEW
    colors = _colors(known)

    def log(color: dict[str, Any]) -> str:
        if known.get("service_platform") == "kubernetes":
            return f'{kubectl} logs "deployment/{color.get("deployment", "")}" --all-containers --tail=50'
        return f'{"journalctl --no-pager -n 50 -u" if systemd else f"{manager} tail -5000"} "{color.get("unit", "")}"'

    strategy = known.get("update_strategy")
    return {
        "recovers": False,
        "update_strategy": strategy if strategy in STRATEGIES else STRATEGIES[0],
        "runbook_id": known.get("runbook_id") or "RUNBOOK",
        "runbook_undone_by": known.get("runbook_undone_by") or ROLLBACK,
        "runbook_keeps_window": known.get("runbook_keeps_window", True),
        "kubectl": kubectl,
        "service_manager_command": manager,
        "service_start_command": f"{manager} {'enable --now' if systemd else 'start'}",
        "service_stop_command": f"{manager} {'disable --now' if systemd else 'stop'}",
        "service_colors": colors,
        "service_active_color": active,
        "service_preview_color": preview,
        "service_active_log": log(colors[active]),
        "service_preview_log": log(colors[preview]),
        "service_release": known.get("service_release") or RELEASE,
        "service_state": known.get("service_state") or _state(),
        "kubectl_manifests": _MANIFESTS,
        "no_manifests": Blank("DEPLOY_GREEN_MANIFESTS", "deploy_green_manifests"),
    }


def _kubectl(known: Values) -> str:
    words = ["kubectl"]
    for option, name in (("--kubeconfig", "service_kubeconfig"), ("--context", "service_context")):
        if value := known.get(name):
            words += [option, _word(str(value))]
    return " ".join([*words, "-n", _needed(known, "service_namespace", "kubernetes")])


def _manager(known: Values, systemd: bool) -> str:
    if systemd:
        return " ".join(_word(str(word)) for word in known.get("service_systemctl_command") or ["systemctl"])
    prefix = [*(known.get("service_supervisor_command") or ["supervisorctl"]), "-c"]
    return " ".join([*(_word(str(word)) for word in prefix), _needed(known, "service_supervisor_config", "host")])


def _colors(known: Values) -> dict[str, Any]:
    """The inventory's, and the two colors whose names are known only live, so that a template may ask for either."""
    given = known.get("service_colors")
    told = given if isinstance(given, Mapping) else {}
    colors: dict[str, Any] = {
        color: told.get(color) or {key: Blank(f"{color}_{key}".upper(), "service_colors") for key in _COLOR_KEYS}
        for color in COLORS
    }
    keys = dict.fromkeys([*_COLOR_KEYS, *(key for color in colors.values() for key in color)])
    for live in (ACTIVE, PREVIEW):
        colors[live] = {key: f"{live}_{key.upper()}" for key in keys}
    return colors


def _state() -> dict[str, Any]:
    return {"active": ACTIVE, "colors": {color: {"release": f"{color}_RELEASE"} for color in (ACTIVE, PREVIEW)}}


def _needed(known: Values, name: str, platform: str) -> str:
    """A value as one word; where nobody sets it a template, so that only a page that uses the word has a blank.

    On the other platform a template may name the word in a branch that is not taken, which is no blank of the page.
    """
    if name in known or known.get("service_platform", platform) != platform:
        return _word(known.fill(f"{{{{ {name} }}}}"))
    return f"{{{{ {name} }}}}"


def _word(value: str) -> str:
    """One word for the shell; a `~` of the operator's home directory stays one."""
    if value.startswith("~/"):
        return f"~/{shlex.quote(value[2:])}"
    return shlex.quote(value)


def _relative(path: Path, project: Path) -> str:
    """A path as it is called from the project's directory; as it is given where it stands elsewhere."""
    try:
        return path.resolve().relative_to(project.resolve()).as_posix()
    except ValueError:
        return str(path)


def _collapsed(text: str) -> str:
    while (shorter := _UP_AND_DOWN.sub("", text)) != text:
        text = shorter
    return text
