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

    `certificates` by name (see `CertificateStatus.as_json`), `due` and `waiting` (names), `window`, `window_override`.

    With `begin` a rotation that has not come to its end is refused, before anything else is done.

    What is not due needs no window, and what would expire before it opens does not wait for it: the window is `always`
    then. Where all that is due has to wait, the window is the one given, and preflight refuses by it.
    """

    ARGUMENTS = {
        "only": {"type": "list", "elements": "str", "default": []},
        "phase": {"type": "str", "default": "rotate", "choices": ["rotate", "generate", "deploy"]},
        "force": {"type": "bool", "default": False},
        "begin": {"type": "bool", "default": False},
        "runbook": {"type": "str", "default": ""},
        "window": {"type": "str", "default": ""},
        "window_exclusions": {"type": "list", "elements": "str", "default": []},
        "window_cutoff": {"type": "str", "default": ""},
        "window_override": {"type": "str", "default": ""},
    }
    CHANGES = False

    def operate(self, asked: Asked) -> dict[str, Any]:
        """Look at each, and decide."""
        from pyrunbook.pki import status
        from pyrunbook.pki.due import Then
        from pyrunbook.pki.rotation import require_writable

        arguments = asked.arguments
        chosen = [asked.named(name) for name in arguments["only"]] or asked.certificates
        if not chosen:
            raise BadInput("the service has no certificate (service_certificates is empty)")
        phase, spec = arguments["phase"], self._declared(arguments)
        opens = None if arguments["window_override"] else self._opens(spec, arguments)
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
            "window": ALWAYS if free else spec,
            "window_exclusions": [] if free else arguments["window_exclusions"],
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

    @staticmethod
    def _declared(arguments: dict[str, Any]) -> str:
        """The window that preflight would check; empty where a window is required and none is declared."""
        if arguments["window"] or not arguments["runbook"]:
            return arguments["window"] or ALWAYS
        declared = catalog.load().get(arguments["runbook"]).metadata.window
        return declared.spec or ("" if declared.required else ALWAYS)

    @staticmethod
    def _opens(spec: str, arguments: dict[str, Any]) -> Any:
        """When a rotation may begin, by the same words as preflight reads."""
        from pyrunbook.pki.due import Window

        needs: dict[str, Any] = {}
        exclusions = list(arguments["window_exclusions"])
        if arguments["runbook"]:
            metadata = catalog.load().get(arguments["runbook"]).metadata
            exclusions = [*metadata.window.exclusions, *exclusions]
            needs = {"needs": metadata.estimate, "reserve": metadata.reserve, "cutoff": metadata.window.cutoff}
        if arguments["window_cutoff"]:
            needs["cutoff"] = windows.parse_duration(arguments["window_cutoff"])
        return Window(windows.next_open(spec or None, datetime.now(UTC), exclusions=exclusions, **needs))
