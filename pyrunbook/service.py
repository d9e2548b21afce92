"""The contract of a service: what its inventory has to say, each key with its type, and every mistake at once.

This is the one place that says which `service_*` and `update_*` variables there are and what they may be. A preflight
reads them before anything is changed, under the CLI and under ansible-playbook; `doctor` and `plan` sooner.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
import yaml

from pyrunbook.catalog.strict import read_struct
from pyrunbook.catalog.values import Duration, Exclusion, WindowSpec
from pyrunbook.errors import BadInput
from pyrunbook.project.document import VAULTED, Document
from pyrunbook.project.inventory import Origin, read_services
from pyrunbook.project.problem import Problem
from pyrunbook.redaction import redact_text
from pyrunbook.rollout.checks import HttpCheck

COLORS = ("blue", "green")


class _Word(str):
    """A text of a certain form; `FORM` says which, as a regular expression and in words."""

    __slots__ = ()
    FORM = ("", "")

    @classmethod
    def parse(cls, raw: Any) -> Self:
        """The text, where it has the form.

        Raises:
            ValueError: it has not; says what is allowed.
        """
        pattern, words = cls.FORM
        if not isinstance(raw, str) or not re.fullmatch(pattern, raw) or not cls.fits(raw):
            raise ValueError(f"expected {words}, got {raw!r}")
        return cls(raw)

    @staticmethod
    def fits(_: str) -> bool:
        """What the expression cannot say."""
        return True


class Address(_Word):
    """Where the proxy dials a color."""

    __slots__ = ()
    FORM = (r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}", "host:port, such as 127.0.0.1:8101")

    @staticmethod
    def fits(text: str) -> bool:
        """A port is 1 to 65535."""
        return 0 < int(text.rpartition(":")[2]) < 65536


class Url(_Word):
    """Where clients, or the checks, reach something."""

    __slots__ = ()
    FORM = (r"(?i:https?)://[^\s?#]+", "an http or https URL, such as https://shop.example.com")

    @staticmethod
    def fits(text: str) -> bool:
        """It has a host, and a port that can be one."""
        with suppress(ValueError):
            return bool(urlsplit(text).hostname) and urlsplit(text).port != 0
        return False


class AbsolutePath(_Word):
    """A path on the service's machine."""

    __slots__ = ()
    FORM = (r"/[^\n\0]*[^\n\0/][^\n\0]*", "an absolute path below /, such as /srv/shop")

    @staticmethod
    def fits(text: str) -> bool:
        """It leads nowhere up."""
        return ".." not in text.split("/")


class Unit(_Word):
    """What the process manager calls a color."""

    __slots__ = ()
    FORM = (r"[A-Za-z0-9_][A-Za-z0-9:_.@\\-]*", "the name of a unit or program, such as shop@blue")


class ObjectName(_Word):
    """The name of a Kubernetes object."""

    __slots__ = ()
    FORM = (r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "the name of an object: lower-case letters, digits, - and .")


class LabelKey(_Word):
    """The key of a Kubernetes label."""

    __slots__ = ()
    FORM = (
        r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?",
        "the key of a label, such as version",
    )


class Check:
    """A check of `service_checks`, as `pyrunbook.rollout.checks` reads it."""

    def __init__(self, http: HttpCheck) -> None:
        self.http = http

    @classmethod
    def parse(cls, raw: Any) -> Check:
        """The check.

        Raises:
            ValueError: it is none.
        """
        if not isinstance(raw, Mapping):
            raise ValueError(f"expected a check such as {{name: ready, path: /ready}}, got {raw!r}")
        return cls(HttpCheck.parse(dict(raw)))


class HostColor(msgspec.Struct, frozen=True, kw_only=True):
    """A color on platform `host`.

    Attributes:
        url: where the machine that runs pyrunbook reaches it by itself.
        address: what the proxy on the service's machine dials.
        unit: its systemd unit, or its program of supervisor.
        log: its log, for pages.
    """

    url: Url
    address: Address
    unit: Unit
    log: AbsolutePath | None = None


class HostColors(msgspec.Struct, frozen=True, kw_only=True):
    """Both of them; there is no third."""

    blue: HostColor
    green: HostColor


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """A color on platform `kubernetes`.

    Attributes:
        url: where the machine that runs pyrunbook reaches it by itself.
        deployment: name of its Deployment.
    """

    url: Url
    deployment: ObjectName


class DeployedColors(msgspec.Struct, frozen=True, kw_only=True):
    """Both of them; there is no third."""

    blue: Deployed
    green: Deployed


def _variable(field: str) -> str:
    return field if field.startswith(("update_", "certificate_")) else f"service_{field}"


class Service(msgspec.Struct, frozen=True, kw_only=True, rename=_variable):
    """What every service says. A field is the variable of the same name, after `service_` where it has no prefix.

    Attributes:
        platform: where it lives.
        url: where clients reach the active color; the machine that runs pyrunbook too.
        ready_check: what a color passes when it is ready.
        checks: what proves that a color, or the service, is good.
        update_strategy: whether the old color serves until the new one is verified, or is stopped first.
        update_window: when it may be changed; with `_exclusions` and `_cutoff`.
        certificate_window: when its certificates may be; likewise.
    """

    platform: Literal["host", "kubernetes"]
    url: Url
    ready_check: Check | None = None
    checks: tuple[Check, ...] | None = None
    update_strategy: Literal["zero_downtime", "controlled_stop"] = "zero_downtime"
    update_window: WindowSpec | None = None
    update_window_exclusions: tuple[Exclusion, ...] = ()
    update_window_cutoff: Duration | None = None
    certificate_window: WindowSpec | None = None
    certificate_window_exclusions: tuple[Exclusion, ...] = ()
    certificate_window_cutoff: Duration | None = None


class HostService(Service, frozen=True, kw_only=True, rename=_variable):
    """A service of processes behind a proxy.

    Attributes:
        colors: how each is reached, and what runs it.
        root: directory on its machine that holds everything of it.
        manager: what starts and stops its processes.
        maintenance_address: what the proxy dials when no color serves; answers 503.
        supervisor_config: supervisord.conf; required with `supervisor`.
        supervisor_command: argv that runs supervisorctl; its socket is asked when missing.
        systemctl_command: argv that runs systemctl; `systemctl` when missing.
    """

    colors: HostColors
    root: AbsolutePath
    manager: Literal["systemd", "supervisor"]
    maintenance_address: Address
    supervisor_config: AbsolutePath | None = None
    supervisor_command: tuple[str, ...] = ()
    systemctl_command: tuple[str, ...] = ()


class KubernetesService(Service, frozen=True, kw_only=True, rename=_variable):
    """A service of Deployments behind a Service.

    Attributes:
        colors: how each is reached, and its Deployment.
        namespace: of all its objects.
        kubernetes_name: of the Service that carries the traffic.
        preview_name: of the Service that follows the preview color.
        color_label: key of the selector that distinguishes the colors.
        kubeconfig: path; as kubectl finds it when missing.
        context: of the kubeconfig; its current one when missing.
    """

    colors: DeployedColors
    namespace: ObjectName
    kubernetes_name: ObjectName
    preview_name: ObjectName | None = None
    color_label: LabelKey = LabelKey("version")
    kubeconfig: str | None = None
    context: str | None = None


KINDS: dict[str, type[Service]] = {"host": HostService, "kubernetes": KubernetesService}
"""Platform to the contract of its services."""
_KINDS: tuple[type[Service], ...] = (Service, HostService, KubernetesService)
_FIELDS = {kind: {field.encode_name: field for field in msgspec.structs.fields(kind)} for kind in _KINDS}
VARIABLES = frozenset(name for fields in _FIELDS.values() for name in fields)
"""The names of all variables of the contract."""
CHECKS = frozenset({"service_checks", "service_ready_check"})
"""Those that may name what only a run finds out."""
STEP_VARIABLES = frozenset(name for name in VARIABLES if "_window" not in name) - CHECKS
"""Those of them that tell a step where the service is."""
_OTHERS = ("update_serial", "service_certificates", "service_signing_keys")
Sources = Sequence[str]


def read(
    service: str,
    variables: Mapping[str, Any],
    sources: Sources = (),
    *,
    complete: bool = True,
    unresolved: Mapping[str, str] = MappingProxyType({}),
) -> HostService | KubernetesService | None:
    """Read what an inventory says of a service.

    Args:
        service: its name in the inventory.
        variables: of the host; others than those of the contract are left alone.
        sources: the inventory's sources, to find file and line of a mistake where they are YAML.
        complete: whether what is required has to be there, as for an update; a runbook that does not touch the colors
            does without.
        unresolved: variable to why its template cannot be resolved.

    Returns:
        The service; `None` where something in it is an unresolved template, or is left out.

    Raises:
        BadInput: with all mistakes.
    """
    made, problems = _read(variables, complete)
    problems += [(name, f"cannot be resolved: {why}") for name, why in unresolved.items()]
    if problems:
        places = _places(service, sources)
        told = [_told(path, message, variables, places) for path, message in problems]
        count = "a mistake" if len(told) == 1 else f"{len(told)} mistakes"
        raise BadInput(
            redact_text("\n  ".join([f"The inventory of {service} has {count}:", *told])),
            means="Nothing was changed.",
            next_step="correct the inventory, then: "
            + shlex.join(["pyrunbook", "doctor", *(word for one in sources for word in ("-i", str(one)))]),
        )
    return made


def of_step(service: str, variables: Mapping[str, Any]) -> HostService | KubernetesService:
    """The service as a step works with it. Mistakes in what no step reads do not keep a rollback from its work.

    Args:
        service: its name in the inventory.
        variables: those of `STEP_VARIABLES`, without templates.

    Raises:
        BadInput: with all mistakes.
    """
    made, problems = _read({name: variables.get(name) for name in STEP_VARIABLES}, complete=True)
    if made is None:
        told = "\n  ".join(_told(path, message, variables, {}) for path, message in problems)
        raise BadInput(redact_text(f"The inventory of {service} is wrong:\n  {told}"), next_step="pyrunbook doctor")
    return made


def missing(variables: Mapping[str, Any]) -> list[str]:
    """The required variables that a service lacks; of its platform, where that is known."""
    kind = KINDS.get(str(variables.get("service_platform")), Service)
    return [name for name, field in _FIELDS[kind].items() if field.required and _is_empty(variables.get(name))]


def _read(
    variables: Mapping[str, Any], complete: bool
) -> tuple[HostService | KubernetesService | None, list[tuple[str, str]]]:
    kind = KINDS.get(str(variables.get("service_platform")), Service)
    given = {name: plain(variables[name]) for name in _FIELDS[kind] if not _is_empty(variables.get(name))}
    document = _Values()
    made = read_struct(document, yaml.SafeDumper(io.StringIO()).represent_data(given), kind, "", [])
    problems = [
        (path, message)
        for path, message in document.found
        if not _is_template(_at(given, path)) and (path or complete or not message.endswith("is missing"))
    ]
    problems += [("", message) for message in _misspelt(variables)]
    if isinstance(made, HostService):
        problems += _across_host(made)
    elif isinstance(made, KubernetesService) and made.colors.blue.deployment == made.colors.green.deployment:
        problems.append(("service_colors.green.deployment", "is that of blue too"))
    return (made if isinstance(made, (HostService, KubernetesService)) else None), problems


def _across_host(made: HostService) -> Iterator[tuple[str, str]]:
    """What no single value can say."""
    blue, green = made.colors.blue, made.colors.green
    for name in ("address", "unit", "url"):
        if getattr(blue, name) == getattr(green, name):
            yield f"service_colors.green.{name}", "is that of blue too"
    if made.maintenance_address in (blue.address, green.address):
        yield "service_maintenance_address", "is the address of a color; it answers when none serves"
    if made.manager == "supervisor" and not made.supervisor_config:
        yield "service_supervisor_config", "is missing; service_manager supervisor needs its supervisord.conf"


def _misspelt(variables: Mapping[str, Any]) -> Iterator[str]:
    """Names that are nearly one of the contract, which is not there."""
    absent = sorted(name for name in VARIABLES if name not in variables)
    for name in variables:
        if name.startswith(("service_", "update_")) and name not in VARIABLES and name not in _OTHERS:
            for close in get_close_matches(name, absent, 1, 0.9):
                yield f"{name} is no variable of a service; did you mean {close}?"


class _Values(Document):
    """Plain data in the place of a YAML file; notes each mistake with its path."""

    def __init__(self) -> None:
        super().__init__(Path.cwd() / "inventory")
        self.found: list[tuple[str, str]] = []

    def problem(self, node: yaml.Node, where: str, message: str, *, elsewhere: bool = False) -> Problem:  # noqa: ARG002 - as Document's
        """Note it."""
        self.found.append((where, message))
        return Problem(self.file, 0, 0, where, message)


def _is_empty(value: Any) -> bool:
    return value is None or value == ""


def plain(value: Any) -> Any:
    """A value without the types that Ansible has of its own."""
    if isinstance(value, Mapping):
        if "__ansible_vault" in value:
            return VAULTED
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value if value is None or type(value) is date else str(value)


def _is_template(value: Any) -> bool:
    """Whether it cannot be judged here: an unresolved template, or a vaulted value."""
    if isinstance(value, dict):
        return any(map(_is_template, value.values()))
    if isinstance(value, list):
        return any(map(_is_template, value))
    return isinstance(value, str) and ("{{" in value or "{%" in value or value == VAULTED)


def _steps(path: str) -> list[str | int]:
    return [int(word[1:]) if word.startswith("[") else word for word in re.findall(r"\[\d+|[^.\[\]]+", path)]


def _at(value: Any, path: str) -> Any:
    """The value at a path; `None` where there is none, and at the top, which is no value of the inventory."""
    steps = _steps(path)
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value if steps else None


def _places(service: str, sources: Sources) -> dict[str, tuple[Any, Origin]]:
    """The files and lines of a service's variables; empty where the inventory is not only YAML."""
    found: dict[str, tuple[Any, Origin]] = {}
    for source in sources:
        with suppress(BadInput):
            for each in read_services(Path(source)):
                if each.name == service:
                    found |= {name: (each.variables[name], each.origins[name]) for name in each.origins}
    return found


def _told(path: str, message: str, variables: Mapping[str, Any], places: Mapping[str, tuple[Any, Origin]]) -> str:
    """A mistake as it is shown, with file and line where they are known."""
    message = re.sub(r"^the field (\S+) is missing$", r"\1 is missing", message)
    name = str(_steps(path)[0]) if path else message.split()[0]
    if name in places:
        value, origin = places[name]
        # Where another source has the last word, the file is right.
        if _is_template(plain(value)) or plain(value) == plain(variables.get(name)):
            return str(origin.within(_steps(path)[1:]).problem(path, message))
    elif not path:  # it is not there, so what is near to it is shown
        near = next((places[each][1] for each in sorted(VARIABLES) if each in places), None)
        return str(near.problem("", message)) if near else message
    return f"{path}: {message}" if path else message
