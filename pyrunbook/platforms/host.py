"""Platform `host`: processes behind a reverse proxy. What has to happen on the service's machine, programs do there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.platforms import Platform, Result, other
from pyrunbook.rollout import in_flight
from pyrunbook.service import HostColor, HostService


class HostPlatform(Platform[HostService]):
    """A service of two slots; a file says which of them the proxy dials."""

    def color(self, color: str) -> HostColor:
        """How a color is reached, and what runs it."""
        found: HostColor = getattr(self.service.colors, color)
        return found

    @property
    def upstream_file(self) -> str:
        """The file that the proxy reads."""
        return f"{self.service.root}/proxy/upstream"

    @property
    def slots(self) -> dict[str, Any]:
        """Where the slots are: the argument `service` of the programs (`pyrunbook.on_target.slots.SERVICE`)."""
        service = self.service
        colors = {name: self.color(name) for name in ("blue", "green")}
        return {
            "root": str(service.root),
            "colors": {name: {"address": str(it.address), "unit": str(it.unit)} for name, it in colors.items()},
            "upstream_file": self.upstream_file,
            "manager": service.manager,
            "supervisor_config": str(service.supervisor_config or ""),
            "supervisor_command": list(service.supervisor_command),
            "systemctl_command": list(service.systemctl_command),
        }

    def state(self, *, for_rollback: bool = False) -> Result:  # noqa: ARG002 - a slot that is empty is no error
        """See `Platform.state`."""
        return self.run.on_target("host_state", {"service": self.slots})

    def drain(
        self, color: str, *, delay: float, timeout: float, stops_traffic: bool, gauge: tuple[str, str]
    ) -> Iterator[Result]:
        """See `Platform.drain`."""
        if stops_traffic:
            # A resumed run may have switched already; then the traffic stays where it is.
            yield self._dial(
                self.service.maintenance_address,
                expected=[self.color(color).address],
                keep=[self.color(self.preview).address],
            )
        yield self._idle(color, delay if self.known["colors"][color]["running"] else 0, timeout, *gauge)
        yield self._slot(color, "stopped", serves=None if stops_traffic else self._serves(other(color)))

    def _serves(self, color: str) -> str | None:
        """The release that a color must serve before the other one is taken away; `None` where none is known."""
        return self.run.release or self.known["colors"][color]["release"]

    def _dial(self, address: str, *, expected: list[Any], keep: list[Any]) -> Result:
        """Have the proxy dial an address."""
        known = {"expected": list(map(str, expected)), "keep": list(map(str, keep))}
        return self.run.on_target("host_upstream", {"path": self.upstream_file, "address": str(address), **known})

    def _slot(self, color: str, state: str, **wanted: Any) -> Result:
        """Bring a slot into a state."""
        return self.run.on_target("host_slot", {"service": self.slots, "color": color, "state": state, **wanted})

    def _idle(self, color: str, delay: float, timeout: float, path: str, metric: str) -> Result:
        """Wait until no request of a color is in flight.

        A color whose gauge cannot be read gets the delay and no more; its own graceful stop must do the rest.
        """
        url = f"{self.color(color).url}{path}"
        if self.run.check_mode:
            return {"changed": False, "detail": f"would wait {delay:g} s and for 0 requests in flight"}
        time.sleep(delay)
        seen = in_flight.wait(url, metric, timeout)
        if seen.last:
            raise FailedAndPutBack(
                f"{seen.last:g} requests are still in flight after {timeout:g} s ({metric} at {url})",
                next_step="raise drain_timeout when requests may take that long, and run again",
            )
        known = "no answer, nothing in flight" if seen.gone else "0 requests in flight"
        detail = "requests in flight: not known" if seen.last is None else known
        return {"changed": False, "detail": detail, "evidence": {"in_flight": seen.last, "waited_s": seen.seconds}}
