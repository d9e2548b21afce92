"""Action plugin: look at a service's certificates, what serves them, and decide which are to be rotated now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyrunbook import catalog, windows
from pyrunbook.errors import BadInput, Refused
from pyrunbook.plugins.certificate_action import Asked, CertificateAction

if TYPE_CHECKING:
    from pyrunbook.pki.status import CertificateStatus

ALWAYS = "always"


class ActionModule(CertificateAction):
    """The result carries what was seen, what follows, and what preflight has to check.

    `certificates` by name (see `CertificateStatus.as_json`), `due` and `waiting` (names), `needs_window`, `window`,
    `window_override`.

    With `begin` a rotation that has not come to its end is refused, before anything else is done.

    What is not due needs no window, and what would expire before it opens does not wait for it: `window` is `always`
    then. Where all that is due has to wait, preflight refuses by the window.
    """

    ARGUMENTS = {
        "only": {"type": "list", "elements": "str", "default": []},
        "phase": {"type": "str", "default": "rotate", "choices": ["rotate", "generate", "deploy"]},
        "force": {"type": "bool", "default": False},
        "begin": {"type": "bool", "default": False},
        "runbook": {"type": "str", "default": ""},
        "window": {"type": "str", "default": ""},
        "window_override": {"type": "str", "default": ""},
    }
    CHANGES = False

    def operate(self, asked: Asked) -> dict[str, Any]:
        """Look at each, and decide."""
        from pyrunbook.pki import status
        from pyrunbook.pki.due import Then, Window
        from pyrunbook.pki.rotation import require_writable

        arguments = asked.arguments
        chosen = [asked.named(name) for name in arguments["only"]] or asked.certificates
        if not chosen:
            raise BadInput("the service has no certificate (service_certificates is empty)")
        phase, schedule = arguments["phase"], self._schedule(arguments)
        opens = None if arguments["window_override"] else Window(windows.next_open(schedule, datetime.now(UTC)))
        seen = {
            each.name: status.examine(
                each, self.store(each), asked.issuers, phase=phase, force=arguments["force"], window=opens
            )
            for each in chosen
        }
        rotate = {name: each.decision for name, each in seen.items() if each.decision.then is Then.ROTATE}
        waiting = [name for name, each in seen.items() if each.decision.then is Then.WAIT]
        if arguments["begin"]:
            for name, each in seen.items():
                self._require_ended(each)
                if name in rotate and phase != "deploy":
                    require_writable(each.wanted, each.held)
        if phase == "deploy" and not rotate and not waiting:
            raise Refused(
                f"nothing is staged for {', '.join(seen)}",
                means="Nothing was changed.",
                next_step="generate it first, pyrunbook certs generate --force; or: pyrunbook certs rotate --force",
            )
        if arguments["begin"] and phase != "deploy":
            self._require_logins(asked, list(rotate))
        overrides = [f"{name}: {decision.override}" for name, decision in rotate.items() if decision.override]
        free = (phase == "generate" or len(overrides) == len(rotate)) and bool(rotate or not waiting)
        told = {name: each.as_json() for name, each in seen.items()}
        return {
            "changed": False,
            "certificates": told,
            "due": list(rotate),
            "waiting": waiting,
            "needs_window": not free,
            "window": ALWAYS if free else schedule.window.spec if schedule.window else "",
            "window_override": "; ".join(overrides),
            "detail": "; ".join(f"{name} {each.decision.describe()}" for name, each in seen.items()),
            "evidence": {"certificates": told, "due": list(rotate), "waiting": waiting},
        }

    def _require_ended(self, seen: CertificateStatus) -> None:
        """Refuse to begin where another run's rotation has not ended, or something else has changed what it deployed.

        Raises:
            Refused: says what happened, and how to bring it to its end.
        """
        from pyrunbook.pki.rotation import never_served, unfinished

        if seen.held.standing.run not in ("", self.run_id) and not never_served(seen.held):
            raise unfinished(seen.wanted, seen.held)

    @staticmethod
    def _require_logins(asked: Asked, due: list[str]) -> None:
        """Refuse to begin where the issuer's secret opens fewer logins than there are certificates to issue.

        Raises:
            Refused: the second login would look as if the first had been a theft.
        """
        for issuer in {asked.named(name).issuer for name in due}:
            names = [name for name in due if asked.named(name).issuer == issuer]
            if len(names) > 1 and asked.issuers.logs_in_once(issuer):
                raise Refused(
                    f"{', '.join(names)} are due, and the wrapped secret id of {issuer} opens one login",
                    means="Nothing was changed.",
                    next_step=f"one after the other, each with a new secret id: -e certificate_names={names[0]}",
                )

    def _schedule(self, arguments: dict[str, Any]) -> windows.Schedule:
        """When a rotation may begin; preflight asks the same."""
        if not arguments["runbook"]:
            return windows.Schedule.read(arguments["window"] or ALWAYS)
        runbook = catalog.load().get(arguments["runbook"])
        given = {name: self.variable(name) for name in runbook.metadata.window.variables}
        return runbook.schedule(given, spec=arguments["window"])
