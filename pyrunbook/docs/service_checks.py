"""The checks of an inventory as what a person types: a command each, and what it must show."""

from __future__ import annotations

import json
import shlex
from functools import partial
from typing import Any

from pyrunbook.catalog.roles import Role
from pyrunbook.catalog.templates import Values
from pyrunbook.docs.labels import label
from pyrunbook.docs.markdown_text import code, plain_text
from pyrunbook.errors import BadInput
from pyrunbook.rollout.checks import HttpCheck


def performs_checks(role: Role) -> bool:
    """Whether a role asks for the inventory's checks: its tasks or defaults name them."""
    files = [file for kind in ("defaults", "tasks") for file in (role.path / kind).rglob("*.y*ml")] if role.path else []
    return any("service_checks" in file.read_text(encoding="utf-8", errors="replace") for file in files)


def checks_by_hand(values: Values, language: str) -> list[tuple[str, str, str]]:
    """For each of the service's checks its name, the command, and what it must show.

    A check that is malformed is left out: lint and the run itself complain about it.
    """
    raw = values.get("service_checks")
    base = str(values.get("service_url", ""))
    found = []
    for item in raw if isinstance(raw, list) else []:
        try:
            check = HttpCheck.parse(dict(item))
        except (BadInput, TypeError, ValueError):
            continue
        found.append((plain_text(check.name), _command(check, base), _expected(check, language)))
    return found


def _command(check: HttpCheck, base: str) -> str:
    # Joined as text: an address without its password, or one that is malformed, is shown all the same.
    url = shlex.quote(check.path if "://" in check.path else f"{base.rstrip('/')}/{check.path.lstrip('/')}")
    options = ["-sS", "--max-time", f"{check.timeout:g}"]
    if check.method != "GET":
        options += ["-X", check.method]
    if check.body is not None:
        options += ["-d", shlex.quote(check.body if isinstance(check.body, str) else json.dumps(check.body))]
    for name in check.headers:
        options += ["-H", shlex.quote(f"{name}: {check.headers[name]}")]
    if check.ca_file:
        options += ["--cacert", shlex.quote(check.ca_file)]
    if check.requests == 1:
        return f"curl {' '.join(options)} -w '\\n%{{http_code}}\\n' {url}"
    shown = "-o /dev/null -w '%{http_code} %{time_total}\\n'"
    loop = f"for i in $(seq {check.requests}); do curl {' '.join(options)} {shown} {url}; done"
    # Sorted by time, the answer at the nearest rank is the percentile, as a run computes it.
    ranks = "".join(
        f'; printf "{name} %.0f ms\\n", 1000 * took[int((NR * {name[1:]} + 99) / 100)]' for name in check.latency
    )
    counts = "for (status in seen) print seen[status], status"
    return f"{loop} | sort -k 2 -n | awk '{{ seen[$1]++; took[NR] = $2 }} END {{ {counts}{ranks} }}'"


def _expected(check: HttpCheck, language: str) -> str:
    t = partial(label, language=language)
    parts = [t("status", ", ".join(str(status) for status in check.status))]
    if check.requests > 1:
        parts.append(t("requests", check.requests, check.allowed_failures))
    if check.contains:
        parts.append(t("contains", code(check.contains)))
    parts += [t("json", code(key), code(_plain(value))) for key, value in check.json.items()]
    parts += [t("latency", name, f"{limit:g}") for name, limit in check.latency.items()]
    return t("separator").join(parts)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
