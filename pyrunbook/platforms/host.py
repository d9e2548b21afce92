"""Platform `host`: processes behind a reverse proxy. What has to happen on the service's machine, programs do there."""

from __future__ import annotations

import shlex
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pyrunbook.errors import BadInput, FailedAndPutBack, Refused
from pyrunbook.kubernetes.target import other
from pyrunbook.platforms import Deployment, Platform, Release, Result
from pyrunbook.rollout import in_flight
from pyrunbook.rollout.checks import HttpCheck, perform, until
from pyrunbook.service import HostColor, HostService

REACHED_SECONDS = 5.0
"""That the active color may take to answer before a run begins."""
_ANSWER_SECONDS = 2.0
SEND_BACK = """\
cd {root} || exit 1
[ -d releases/{release} ] && [ ! -e slots/{color}/starting ] || exit 3
[ "$(basename "$(readlink slots/{color}/release)")" = {release} ] || exit 3
[ "$(cat {upstream})" = {address} ] && exit 4
umask 077
new=$(mktemp {upstream}.XXXXXX) || exit 1
trap 'rm -f "$new"' EXIT
printf '%s\\n' {address} > "$new" && chmod 644 "$new" || exit 1
sync "$new" 2>/dev/null
mv -f "$new" {upstream} && sync "$(dirname {upstream})" 2>/dev/null || :
[ "$(cat {upstream})" = {address} ]"""
"""POSIX sh, without a last newline, because Ansible appends ` && sleep 0`.

0: sent; 3: the slot may hold something else than the plan's release; 4: the traffic was there already.
As `pyrunbook.on_target.durable.write` does it: whole on disk before it takes the place of the old file."""
SENT, ALREADY_THERE = 0, 4


def _choose(wanted: str, available: list[str], directory: str) -> str:
    """The release to deploy; one that serves already may be meant (a changed configuration), so it is not refused.

    Raises:
        BadInput: none was named, or it is not on the machine.
    """
    listed = ", ".join(available) or "none"
    if not wanted:
        raise BadInput(
            f"No release was named, and {directory}/candidate names none (there is: {listed}).",
            means="Nothing was changed.",
            next_step="-e release=VERSION",
        )
    if wanted not in available:
        raise BadInput(
            f"There is no release {wanted} in {directory} (there is: {listed}).",
            means="Nothing was changed.",
            next_step="put it there, or name another one: -e release=VERSION",
        )
    return wanted


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
        return self.run.on_target("host_state", {"service": self.slots})

    @property
    def _lock(self) -> dict[str, Any]:
        return {"path": f"{self.service.root}/state/lock.json", "holder": self.run.id}

    def lock(self, operator: str, runbook: str, predecessors: list[str], secrets: list[str]) -> Iterator[Result]:
        del secrets  # the rotation itself checks what it may write on the machine
        who = {"operator": operator, "machine": socket.gethostname(), "runbook": runbook}
        yield self.run.on_target("host_lock", {**self._lock, "state": "held", **who, "predecessors": predecessors})

    def unlock(self) -> Result:
        return self.run.on_target("host_lock", {**self._lock, "state": "free"})

    def show_lock(self) -> Result:
        return self.run.on_target("host_lock", {**self._lock, "state": "shown"})

    def break_lock(self, holder: str) -> Result:
        return self.run.on_target("host_lock", {**self._lock, "state": "broken", "holder": holder})

    def obstacles(self, parts: Sequence[str], stops: bool, certificates: Sequence[Mapping[str, Any]] = ()) -> Result:
        """What the machine lacks for an update, as `obstacles`: rights, space, ports, the maintenance answer.

        Args:
            stops: whether the maintenance answer is needed.
            certificates: those of `service_certificates` whose rotation is checked, too.
        """
        asked = {
            "service": self.slots,
            "parts": list(parts),
            "stops": stops,
            "maintenance": str(self.service.maintenance_address),
            "host": urlsplit(self.service.url).netloc.rpartition("@")[2],
            "certificates": list(certificates),
        }
        return self.run.on_target("host_needs", asked)

    def check_deployment(self, deployment: Deployment) -> Iterator[Result]:
        state = self.known
        if state["active"] == self.active:
            found = self.obstacles(deployment.parts, deployment.stops)
            if obstacles := found["obstacles"]:
                raise Refused(
                    "\n".join(each["seen"] for each in obstacles),
                    means="Nothing was changed.",
                    next_step="; ".join(dict.fromkeys(each["next_step"] for each in obstacles)),
                    evidence={"obstacles": obstacles},
                )
        # A resumed run goes on with what it has deployed, whatever is the candidate by now.
        wanted = str(self.run.deployed.get("release") or deployment.release or state.get("candidate") or "")
        release = _choose(wanted, state["releases"], f"{self.service.root}/releases")
        again = release == state["colors"].get(self.active, {}).get("release")
        detail = f"{release} serves already and is deployed once more" if again else ""
        yield {"changed": False, "release": release, "detail": detail}

    def check_reached(self, ready: HttpCheck) -> Iterator[Result]:
        """See `Platform.check_reached`: a rollback asks the color on its machine, and a validation from here."""
        active, state = self.active, self.known
        if state["active"] != active:
            return
        color, seen = self.color(active), state["colors"][active]
        if not seen["ready"]:
            raise Refused(
                f"The traffic goes to {active}, and on its machine nothing accepts connections on {color.address} "
                f"(service_colors.{active}.address): {seen['silence']}. A rollback could not bring it back either.",
                means="Nothing was changed.",
                next_step=f"start {color.unit} on the machine, or correct the address",
            )
        answers = tuple(status for status in range(100, 600) if status not in (502, 504))
        reached = HttpCheck("reached", ready.path, status=answers, ca_file=ready.ca_file)
        result, tries = until(reached, str(color.url), seconds=REACHED_SECONDS)
        if not result.passed:
            raise Refused(
                f"{color.url} (service_colors.{active}.url) is not reached from this machine, while {active} accepts "
                f"connections on {color.address} on its own: not ready after {REACHED_SECONDS:g} s and {tries} checks: "
                f"{result.detail}",
                means="Nothing was changed.",
                next_step='give each color a url that this machine reaches (docs/guides/host.md, "The proxy")',
            )
        detail = f"ready after {tries} check{'' if tries == 1 else 's'}"
        yield {"changed": False, "detail": detail, "evidence": {"reached": result.evidence}}

    def back_up(self, parts: Sequence[str], backup_id: str) -> Result:
        destination = f"{self.service.root}/state/backups/{backup_id}.tar.gz"
        asked = {"root": str(self.service.root), "parts": list(parts), "destination": destination}
        return self.run.on_target("host_backup", asked)

    def capture(self, ready: HttpCheck, *, seconds: float, backup: Mapping[str, Any] | None) -> Result:
        """See `Platform.capture`; `pyrunbook.on_target.slots.Slots.put_back` reads it."""
        serving, other_color = self.known["colors"][self.active], self.known["colors"][self.preview]
        color = self.color(self.active)
        section = {
            "active": self.active,
            "release": serving["release"],
            "upstream": str(color.address),
            "ready": {
                "url": f"{color.url}{ready.path}",
                "seconds": seconds,
                "status": list(ready.status),
                "ca_file": ready.ca_file,
            },
            "preview": {
                "color": self.preview,
                "release": other_color["release"],
                "running": other_color["running"],
            },
            "backup": backup,
        }
        return {"section": section}

    def keep_plan(self, plan_id: str, text: str) -> Result:
        return self.run.on_target("host_plan", {"path": self._plan_file(plan_id), "content": text})

    def _plan_file(self, plan_id: str) -> str:
        return f"{self.service.root}/state/plans/{plan_id}.json"

    def deploy(self, color: str, wanted: Release) -> Iterator[Result]:
        started = self._slot(color, "started", release=wanted.name, stable_seconds=wanted.stable_seconds)
        yield started
        ready = self.wait_ready(
            wanted.ready, str(self.color(color).url), seconds=wanted.timeout, consecutive=wanted.consecutive
        )
        deployed = {} if self.run.check_mode else {"release": wanted.name}
        yield {**ready, "deployed": deployed, "evidence": {**ready.get("evidence", {}), "deployed": deployed}}

    def switch(self, color: str, ready: HttpCheck, *, timeout: float) -> Iterator[Result]:
        before = [self.color(self.active).address, self.service.maintenance_address]
        yield self._dial(self.color(color).address, expected=before, keep=[])
        yield self.wait_reached(ready, seconds=timeout)

    def require_serving(self, color: str, release: str) -> Result:
        return self._slot(color, "serving", release=release)

    def kept_plan(self, plan_id: str) -> str:
        return str(self.run.on_target("host_plan", {"path": self._plan_file(plan_id)})["content"])

    def put_back(self, section: dict[str, Any]) -> Iterator[Result]:
        """See `Platform.put_back`; `Slots.put_back` does what the quick switch left."""
        yield self._send_back(section)
        yield self.run.on_target("host_put_back", {"service": self.slots, "plan": section})

    def put_back_preview(self, section: dict[str, Any]) -> Result:
        return self.run.on_target("host_put_back", {"service": self.slots, "plan": section, "preview": True})

    def _send_back(self, section: dict[str, Any]) -> Result:
        """Send the traffic back at once, where the color that served still answers.

        Clients see the bad release until then, and a program takes longer to start than the switch itself. Where this
        cannot be sure, it does nothing.
        """
        wanted, url = section["ready"], urlsplit(section["ready"]["url"])
        check = HttpCheck(
            "ready",
            f"{url.path}?{url.query}" if url.query else url.path,
            status=tuple(wanted.get("status") or [200]),
            timeout=_ANSWER_SECONDS,
            ca_file=wanted.get("ca_file"),
        )
        ready = perform(check, f"{url.scheme}://{url.netloc}")
        if not ready.passed or not section["release"]:
            return {"changed": False, "evidence": {"answers": ready.detail}}
        if self.run.check_mode:
            return {"changed": False, "detail": f"would send the traffic to {section['active']} at once"}
        words = {
            "root": self.service.root,
            "release": section["release"],
            "color": section["active"],
            "upstream": self.upstream_file,
            "address": section["upstream"],
        }
        code, said = self.run.shell(SEND_BACK.format(**{key: shlex.quote(str(word)) for key, word in words.items()}))
        if code == SENT:
            return {"changed": True, "detail": f"traffic sent to {section['active']}, which still answers"}
        reason = "the traffic was there" if code == ALREADY_THERE else said.strip()
        return {"changed": False, "evidence": {"answers": ready.detail, "not_sent": reason or f"exit {code}"}}

    def remove(self, color: str, *, timeout: float) -> Result:  # noqa: ARG002 - stopping has a time limit of its own
        return self._slot(color, "removed", serves=self._serves(other(color)))

    def drain(
        self, color: str, *, delay: float, timeout: float, stops_traffic: bool, gauge: tuple[str, str]
    ) -> Iterator[Result]:
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
