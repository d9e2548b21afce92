"""The two platforms of a service behind one interface: a step calls it and never asks which platform it is on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.kubernetes.target import other
from pyrunbook.rollout.checks import HttpCheck, until
from pyrunbook.service import HostService, KubernetesService

Result = dict[str, Any]
"""What an operation has done, with the keys of a task's result: `changed`, `detail`, `evidence` and `diff`."""
OnTarget = Callable[[str, dict[str, Any]], Result]
"""Runs a program, such as `host_slot`, with its arguments on the service's machine; raises when it fails."""
Contract = TypeVar("Contract", bound=HostService | KubernetesService)


_REACHED = tuple(sorted(set(range(100, 600)) - {502, 503, 504}))
"""Any answer but that of a proxy which reaches nobody."""


@dataclass(frozen=True)
class Run:
    """What an operation has to know of the run that it belongs to.

    Attributes:
        id: of the run; `manual` where there is none.
        service: the service's name in the inventory.
        check_mode: report what would change, and change nothing.
        on_target: how platform `host` reaches the service's machine.
        shell: runs a POSIX shell script there and returns its exit code and what it wrote to standard error.
        active: the color that served when the run began; empty where no step has found out yet.
        preview: the other one, to which the run deploys.
        state: the `service_state` of CONTRIBUTING.md, as the run has read it.
        release: the release that the run deploys; empty where it deploys none.
        deployed: on platform `kubernetes`, the Deployments of that release as they were when they were ready.
    """

    id: str
    service: str
    check_mode: bool
    on_target: OnTarget
    shell: Callable[[str], tuple[int, str]]
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


@dataclass(frozen=True, kw_only=True)
class Release:
    """What is deployed, and when it counts as ready.

    Attributes:
        name: of the release. Platform `kubernetes` takes it from the manifests and compares.
        manifests: on platform `kubernetes`, files and directories with the manifests of the color.
        force_conflicts: take over fields that other field managers own.
        ready: what the color passes when it is ready.
        timeout: seconds until it must be ready.
        stable_seconds: how long a started process or a ready pod must stay so.
        consecutive: how many ready answers in a row count as ready.
    """

    name: str
    manifests: Sequence[str]
    force_conflicts: bool
    ready: HttpCheck
    timeout: float
    stable_seconds: float
    consecutive: int


class Platform(ABC, Generic[Contract]):
    """What can be done with a service.

    An operation of several parts yields the result of each, so that a failure shows what was done before it. Every
    operation raises a `PyrunbookError` when it fails, and changes nothing in check mode.
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

    @abstractmethod
    def state(self, *, for_rollback: bool = False) -> Result:
        """Read what is there now; the result has it as `state`.

        Args:
            for_rollback: accept a service of which nothing is left.
        """

    def wait_ready(self, check: HttpCheck, url: str, *, seconds: float, consecutive: int = 1) -> Result:
        """Repeat a check until it has passed often enough.

        Args:
            consecutive: how many passes in a row are enough.

        Raises:
            FailedAndPutBack: names what was waited for and what was seen last.
        """
        if self.run.check_mode:
            return {"changed": False, "detail": f"would wait until {check.asked} succeeds"}
        last, tries = until(check, url, seconds=seconds, consecutive=consecutive)
        if not last.passed:
            raise FailedAndPutBack(f"{url} is not ready after {seconds:g} s and {tries} checks: {last.detail}")
        detail = f"ready after {tries} check{'' if tries == 1 else 's'}"
        return {"changed": False, "detail": detail, "evidence": last.evidence}

    def wait_reached(self, ready: HttpCheck, *, seconds: float) -> Result:
        """Wait until the service's URL leads to a color.

        Whether that color is good is for the verification to say, at once.
        """
        check = HttpCheck("reached", ready.path, status=_REACHED, ca_file=ready.ca_file)
        return self.wait_ready(check, str(self.service.url), seconds=seconds)

    @abstractmethod
    def back_up(self, parts: Sequence[str], backup_id: str) -> Result:
        """Archive the service, restore the archive into a scratch directory and compare.

        Args:
            parts: on platform `host`, the files and directories below the service's root.
            backup_id: names the archive; a sound one of that name is kept.

        Returns:
            `backup`: `path`, `sha256`, `files` and `bytes`; missing in check mode.
        """

    @abstractmethod
    def capture(self, ready: HttpCheck, *, seconds: float, backup: Mapping[str, Any] | None) -> Result:
        """Read what a rollback needs to bring back what is there now.

        Args:
            ready: what the color that serves passes when it is ready.
            seconds: how long it may take to be ready again.
            backup: of the service, see `back_up`.

        Returns:
            `section`: the part of the rollback plan that is named like the platform.
        """

    @abstractmethod
    def keep_plan(self, plan_id: str, text: str) -> Result:
        """Keep a rollback plan at the service too; one that is there stays."""

    @abstractmethod
    def deploy(self, color: str, wanted: Release) -> Iterator[Result]:
        """Run a release in a color and wait until it is ready.

        The last result has `deployed`, which says what runs there now: see `Run.deployed`.
        """

    @abstractmethod
    def switch(self, color: str, ready: HttpCheck, *, timeout: float) -> Iterator[Result]:
        """Send the traffic to a color, and see that it arrives.

        Args:
            ready: the check whose path is asked.
            timeout: seconds until it is seen from outside.
        """

    @abstractmethod
    def lock(self, operator: str, runbook: str, predecessors: list[str], secrets: list[str]) -> Iterator[Result]:
        """Take the lock of the service for the run; `changed` says that the run did not have it before.

        Args:
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
            delay: seconds for the proxies to stop sending requests to it.
            timeout: seconds until nothing of it may be left.
            stops_traffic: it may be the color that serves. Without this it is stopped only while the other color
                serves what the run has deployed.
            gauge: on platform `host`, the path of its metrics and the gauge that counts the requests in flight.
        """

    @abstractmethod
    def require_serving(self, color: str, release: str) -> Result:
        """See that the traffic goes to a color that still runs what the run has deployed there; change nothing.

        Args:
            release: the release that it runs; platform `kubernetes` compares with `Run.deployed`.
        """

    def diverted(self) -> str:
        """Why the traffic that was sent to the preview color goes elsewhere by now; empty where it does not."""
        return ""

    @abstractmethod
    def kept_plan(self, plan_id: str) -> str:
        """The text of a rollback plan that is kept at the service; empty where there is none."""

    @abstractmethod
    def put_back(self, section: dict[str, Any]) -> Iterator[Result]:
        """Have the color that served take the traffic again, as soon as it can.

        Args:
            section: of the rollback plan, see `capture`.
        """

    @abstractmethod
    def put_back_preview(self, section: dict[str, Any]) -> Result:
        """Bring the other color back to what it was."""

    @abstractmethod
    def remove(self, color: str, *, timeout: float) -> Result:
        """Remove what is left of a color; refused while the traffic goes to it.

        Args:
            timeout: seconds until nothing of it may be left.
        """


def platform_of(service: HostService | KubernetesService, run: Run) -> Platform[Any]:
    """The platform that a service is on."""
    if isinstance(service, HostService):
        from pyrunbook.platforms.host import HostPlatform

        return HostPlatform(service, run)
    from pyrunbook.platforms.kubernetes import KubernetesPlatform

    return KubernetesPlatform(service, run)
