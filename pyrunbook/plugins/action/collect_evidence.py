"""Action plugin: keep what was found, for those who look into the incident later; without secrets."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyrunbook import places
from pyrunbook.errors import BadInput, FailedAndPutBack, PyrunbookError
from pyrunbook.journal import Journal
from pyrunbook.journal.report import as_markdown
from pyrunbook.plugins import target_program
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.redaction import redact, redact_text
from pyrunbook.rollout import evidence

BODY = 1 << 16
"""Bytes of an answer of the service that are kept."""
HISTORY = 50
"""Runs of the service whose summaries are kept."""


class ActionModule(StepAction):
    """One archive for each run and service. What could not be collected is named in it, and fails the step."""

    CHANGES = False
    """It changes nothing of the service, and what was found is needed most when the journal cannot be written."""

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Collect, take secrets out, write, and read back."""
        chosen, service = inputs["collect_evidence_directory"], str(task_vars["inventory_hostname"])
        directory = Path(chosen).expanduser() if chosen else places.home() / "evidence"
        archive = directory / f"{service}-{self.run_id}.tar.gz"
        if archive.exists():  # of this very run, which was taken up again: the first look is worth most
            digest = evidence.check(archive)
            return self._told(archive, digest, changed=False, missed=[])
        if self.check_mode:
            return {"changed": True, "detail": f"evidence would be kept in {archive}"}
        on_host = self.variable("service_platform") == "host"
        parts: dict[str, Callable[[], Any]] = {
            "run.md": self._run,
            "history.json": lambda: self._history(service),
            "findings.json": lambda: self.findings,
            "machine.json": _machine,
            "served.json": lambda: _served(self.listed("service_certificates")),
            "answers.json": lambda: _answers(self.variable("service_url"), inputs["collect_evidence_paths"]),
            "platform": lambda: self._on_host(inputs["collect_evidence_files"]) if on_host else self._in_cluster(),
        }
        known = self.secrets
        files: dict[str, str] = {}
        missed: list[str] = []
        for name, collect in parts.items():
            try:
                found = collect()
                if name == "platform":
                    files |= {path: redact_text(text, known) for path, text in found[0].items()}
                    missed += found[1]
                elif isinstance(found, str):
                    files[name] = redact_text(found, known)
                else:
                    files[name] = json.dumps(redact(found, known), indent=1, sort_keys=True)
            except Exception as error:  # a fault of our own code, too, must not lose the other parts
                said = error.seen if isinstance(error, PyrunbookError) else repr(error)
                missed.append(f"{name}: {said}")
        if missed:
            missed = [redact_text(each, known) for each in missed]
            files["MISSED.txt"] = "\n".join(missed) + "\n"
        return self._told(archive, evidence.write(archive, files), changed=True, missed=missed)

    @staticmethod
    def _told(archive: Path, digest: str, *, changed: bool, missed: list[str]) -> dict[str, Any]:
        proof = {"archive": str(archive), "sha256": digest, "missed": missed}
        if missed:
            failure = FailedAndPutBack(
                f"not all of the evidence could be collected: {'; '.join(missed)}",
                means=f"What could be collected is in {archive}, SHA-256 {digest}.",
                next_step="collect the rest by hand, before logs are rotated",
            )
            failure.evidence = proof
            raise failure
        word = "kept in" if changed else "was kept before in"
        return {
            "changed": changed,
            "detail": f"evidence {word} {archive}, SHA-256 {digest[:12]}…",
            "evidence": proof,
        }

    def _run(self) -> str:
        """This run, as far as it has come."""
        with Journal.open() as journal:
            try:
                return as_markdown(journal.get(self.run_id))
            except BadInput:
                return f"The journal knows no run {self.run_id}.\n"

    @staticmethod
    def _history(service: str) -> list[dict[str, Any]]:
        with Journal.open() as journal:
            return [run.summary() for run in journal.history(service=service, limit=HISTORY)]

    def _on_host(self, patterns: list[str]) -> tuple[dict[str, str], list[str]]:
        found = target_program.call(self, "evidence", {"patterns": patterns}, self.variables)
        if not isinstance(found.get("files"), dict):
            return {}, [f"the service's machine: {found.get('msg') or 'no answer'}"]
        ends = {f"host/{path.lstrip('/')}": each["end"] for path, each in found["files"].items()}
        about = {path: {"size": each["size"], "changed": each["changed"]} for path, each in found["files"].items()}
        return {**ends, "host/files.json": json.dumps(about, indent=1, sort_keys=True)}, list(found["missed"])

    def _in_cluster(self) -> tuple[dict[str, str], list[str]]:
        """Pods and events of the namespace, and the last lines of each container of the service's colors.

        Of a pod only its name and status: its configuration may hold secrets.
        """
        texts: dict[str, str] = {}
        missed: list[str] = []
        pods = self.cluster.list_all("Pod")
        brief = [{"name": pod["metadata"]["name"], "status": pod.get("status")} for pod in pods]
        texts["cluster/pods.json"] = json.dumps(redact(brief), indent=1, sort_keys=True)
        texts["cluster/events.json"] = json.dumps(
            redact(self.cluster.list_all("Event")), indent=1, sort_keys=True, default=str
        )
        for pod in pods:
            for container in (pod.get("spec") or {}).get("containers") or []:
                name = f"{pod['metadata']['name']}/{container['name']}"
                try:
                    lines = self.cluster.within(5).pod_log(pod["metadata"]["name"], container["name"], 500)
                except PyrunbookError as error:
                    missed.append(f"{name}: {error.seen}")
                    continue
                texts[f"cluster/{name}.log"] = "\n".join(lines) + "\n"
        return texts, missed


def _machine() -> dict[str, Any]:
    """This machine: its clock, and what ran."""
    from ansible.release import __version__ as ansible_version

    try:
        done = subprocess.run(["openssl", "version"], capture_output=True, text=True, timeout=10, check=False)
        openssl = done.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        openssl = "not found"
    return {
        "node": platform.node(),
        "clock": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "ansible": ansible_version,
        "openssl": openssl,
    }


def _served(certificates: list[dict[str, Any]]) -> dict[str, Any]:
    """The certificates that are served now; the step that validates says whether a client accepts them."""
    from pyrunbook.pki.served import Address, look

    found = {}
    for entry in certificates:
        for text in entry.get("addresses") or []:
            seen = look(Address.parse(str(text), str(entry.get("server_name") or "")))
            found[str(text)] = [each.as_json() for each in seen]
    return found


def _answers(url: str, paths: list[str]) -> dict[str, Any]:
    """What the service answers to each path, or why it does not answer."""
    import http.client
    import urllib.error
    import urllib.request

    answers: dict[str, Any] = {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in paths:
        asked = f"{url.rstrip('/')}/{path.lstrip('/')}"
        if not asked.startswith(("http://", "https://")):
            raise BadInput(f"{asked!r} is not an http or https URL")
        try:
            with opener.open(asked, timeout=5) as response:
                answers[path] = {"status": response.status, "body": response.read(BODY).decode("utf-8", "replace")}
        except urllib.error.HTTPError as error:
            answers[path] = {"status": error.code, "body": error.read(BODY).decode("utf-8", "replace")}
        except (OSError, http.client.HTTPException) as error:
            answers[path] = {"error": str(getattr(error, "reason", error))}
    return answers
