"""The two platforms of a service behind one interface: a step calls it and never asks which platform it is on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from pyrunbook.rollout.checks import HttpCheck
from pyrunbook.service import HostService, KubernetesService

Result = dict[str, Any]
"""What an operation has done, with the keys of a task's result: `changed`, `detail`, `evidence` and `diff`."""
OnTarget = Callable[[str, dict[str, Any]], Result]
"""Runs a program, such as `host_slot`, with its arguments on the service's machine; raises when it fails."""
Contract = TypeVar("Contract", bound=HostService | KubernetesService)


def other(color: str) -> str:
    """Green for blue, blue for green."""
    return "green" if color == "blue" else "blue"


@dataclass(frozen=True)
class Run:
    """What an operation has to know of the run that it belongs to.

    Attributes:
        id: of the run; `manual` where there is none.
        check_mode: report what would change, and change nothing.
        on_target: how platform `host` reaches the service's machine.
        active: the color that served when the run began; empty where no step has found out yet.
        preview: the other one, to which the run deploys.
        state: the `service_state` of CONTRIBUTING.md, as the run has read it.
        release: the release that the run deploys; empty where it deploys none.
        deployed: on platform `kubernetes`, the Deployments of that release as they were when they were ready.
    """

    id: str
    check_mode: bool
    on_target: OnTarget
    active: str = ""
    preview: str = ""
    state: Mapping[str, Any] | None = None
    release: str = ""
    deployed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """What a run is going to deploy.

    Attributes:
        release: asked for; where it is empty, platform `host` takes the candidate, and platform `kubernetes` what the
            manifests say.
        parts: on platform `host`, files and directories below the service's root that are backed up first.
        stops: no color serves for a while, so that the maintenance answer is needed.
        manifests: on platform `kubernetes`, files and directories.
        force_conflicts: on platform `kubernetes`, take over fields that others manage.
    """

    release: str = ""
    parts: Sequence[str] = ()
    stops: bool = False
    manifests: Sequence[str] = ()
    force_conflicts: bool = False


class Platform(ABC, Generic[Contract]):
    """What can be done with a service.

    An operation of several parts yields the result of each, so that a failure shows what was done before it. Every
    operation raises a `PyrunbookError` when it fails, and changes nothing in check mode.

    Args:
        service: the service, as its inventory describes it.
        run: the run that the operation belongs to.
    """

    def __init__(self, service: Contract, run: Run) -> None:
        self.service = service
        self.run = run

    @cached_property
    def known(self) -> Mapping[str, Any]:
        """The `service_state` that the run has read already; otherwise it is read now."""
        found: Mapping[str, Any] = self.run.state or self.state()["state"]
        return found

    @property
    def active(self) -> str:
        """The color that served when the run began."""
        return self.run.active or str(self.known["active"])

    @property
    def preview(self) -> str:
        """The color that the run deploys to."""
        return self.run.preview or other(self.active)

    @property
    @abstractmethod
    def passed_on(self) -> dict[str, Any]:
        """The variable by which roles tell modules and actions without `self.platform` where the service is."""

    @abstractmethod
    def state(self, *, for_rollback: bool = False) -> Result:
        """Read what is there now; the result has it as `state`.

        Args:
            for_rollback: accept a service of which nothing is left.
        """

    @abstractmethod
    def lock(self, operator: str, runbook: str, predecessors: list[str], secrets: list[str]) -> Iterator[Result]:
        """Take the lock of the service for the run; `changed` says that the run did not have it before.

        Args:
            operator: who runs it.
            runbook: its id.
            predecessors: runs that have ended; a lock that one of them left behind is taken over.
            secrets: on platform `kubernetes`, of the certificates that the run needs permissions for.
        """

    @abstractmethod
    def unlock(self) -> Result:
        """Free the lock, if the run holds it."""

    @abstractmethod
    def show_lock(self) -> Result:
        """Read who holds the lock, and since when."""

    @abstractmethod
    def break_lock(self, holder: str) -> Result:
        """Free the lock that another run holds; fails where a run other than `holder` has it."""

    @abstractmethod
    def check_deployment(self, deployment: Deployment) -> Iterator[Result]:
        """Refuse what can be refused before anything is changed; the last result has the chosen `release`.

        What a resumed run has half done was checked when it began.
        """

    @abstractmethod
    def check_reached(self, ready: HttpCheck) -> Iterator[Result]:
        """Refuse a service whose active color the rollback, or the validation, could not reach."""

    @abstractmethod
    def drain(
        self, color: str, *, delay: float, timeout: float, stops_traffic: bool, gauge: tuple[str, str]
    ) -> Iterator[Result]:
        """Let a color finish its requests, then stop it.

        Args:
            color: which one.
            delay: seconds for the proxies to stop sending requests to it.
            timeout: seconds until nothing of it may be left.
            stops_traffic: it may be the color that serves. Without this it is stopped only while the other color
                serves what the run has deployed.
            gauge: on platform `host`, the path of its metrics and the gauge that counts the requests in flight.
        """


def platform_of(service: HostService | KubernetesService, run: Run) -> Platform[Any]:
    """The platform that a service is on."""
    if isinstance(service, HostService):
        from pyrunbook.platforms.host import HostPlatform

        return HostPlatform(service, run)
    from pyrunbook.platforms.kubernetes import KubernetesPlatform

    return KubernetesPlatform(service, run)
