"""Action plugin: keys and certificates of a service in one encrypted file, verified by opening it again."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible import constants

from pyrunbook import places
from pyrunbook.errors import BadInput, Refused
from pyrunbook.plugins import target_program
from pyrunbook.plugins.service_certificates import issuers_of, wanted_of
from pyrunbook.plugins.step_action import StepAction

if TYPE_CHECKING:
    from pyrunbook.pki.age_lock import Lock, Opener
    from pyrunbook.pki.backup import Files
    from pyrunbook.pki.wanted import WantedCertificate


class ActionModule(StepAction):
    """What is on this machine is read from its disk, what is on the service's platform from there, into memory."""

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Write it and open it again; the backup of the same run is made once."""
        from pyrunbook.pki import backup
        from pyrunbook.pki.errors import NotVerified
        from pyrunbook.pki.secret import forbid_core_dumps

        forbid_core_dumps()
        lock, opener = _lock({name.removeprefix("backup_security_"): value for name, value in inputs.items()})
        if opener is None:
            raise BadInput(
                f"the backup would be locked for {lock}, and nothing here opens it again",
                means="a backup that was never opened is not known to be one",
                next_step="name backup_security_identity_file: one of their identities",
            )
        chosen = inputs["backup_security_directory"]
        directory = Path(chosen).expanduser() if chosen else places.home() / "backups" / "security"
        archive = directory / f"{task_vars['inventory_hostname']}-{self.run_id}.age"
        sources, kept = self._sources()
        if self.check_mode:
            return {"changed": not archive.exists(), "detail": f"{', '.join(sources)} would be backed up to {archive}"}
        changed = True
        if archive.exists():
            try:
                done = backup.verify(archive, opener, sources)
                changed = False
            except NotVerified:  # a key was replaced since
                archive = archive.with_name(f"{archive.stem}-again.age")
        if changed:
            done = backup.create(sources, archive, lock, opener)
        return {
            "changed": changed,
            "detail": f"{archive}: {done.detail}" + (f"; not in it: {', '.join(kept)}" if kept else ""),
            "evidence": {"backup": done.as_json(), "locked_for": str(lock), "not_in_it": kept},
        }

    def _sources(self) -> tuple[dict[str, Path | Files], list[str]]:
        """What goes in, by name; and what cannot, because it never leaves where it is."""
        sources: dict[str, Path | Files] = {}
        kept = []
        known, platform = self.variable("certificate_issuers") or {}, self.variable("service_platform")
        with issuers_of(self) as issuers:  # malformed ones are reported before anything is read
            certificates = wanted_of(self, issuers)
        for name, entry in known.items():
            if entry["kind"] == "local_ca":
                chosen = entry.get("directory")
                sources[f"authority-{name}"] = Path(chosen).expanduser() if chosen else places.home() / "pki" / name
            else:
                kept.append(f"the authority of {name}, which stays in {entry['address']}")
        for entry in self.listed("service_signing_keys"):
            if entry.get("kind") == "files":
                sources[f"signing-{entry['name']}"] = Path(entry["directory"]).expanduser()
            else:
                kept.append(f"the signing key {entry.get('name')}, which stays in its transit engine")
        for wanted in certificates:
            pair = self._on_host(wanted) if platform == "host" else self._in_cluster(wanted)
            sources[f"certificate-{wanted.name}"] = pair
        return sources, kept

    def _on_host(self, wanted: WantedCertificate) -> Files:
        if constants.DEFAULT_DEBUG:
            raise Refused(
                "ANSIBLE_DEBUG prints what modules give back, so no key is read.", next_step="unset ANSIBLE_DEBUG"
            )
        paths = [f"{wanted.directory}/current/{name}" for name in ("certificate.pem", "key.pem")]
        # A connection that is asked to be verbose (-vvv) would show the answer, and with it the key.
        shown, self._play_context.no_log = self._play_context.no_log, True
        try:
            result = target_program.call(self, "private_files", {"paths": paths}, self.variables)
        finally:
            self._play_context.no_log = shown
        files = result.get("files")
        if not isinstance(files, dict):
            raise BadInput(
                f"certificate {wanted.name}: {result.get('msg') or 'the machine of the service gave no answer'}"
            )
        return {Path(path).name: (int(mode), base64.b64decode(text)) for path, (mode, text) in files.items()}

    def _in_cluster(self, wanted: WantedCertificate) -> Files:
        secret = self.cluster.get("Secret", wanted.secret)
        data = (secret or {}).get("data") or {}
        if not data.get("tls.crt") or not data.get("tls.key"):
            raise BadInput(
                f"certificate {wanted.name}: there is no pair in Secret {wanted.secret} of {self.cluster.namespace}"
            )
        return {
            "certificate.pem": (0o600, base64.b64decode(data["tls.crt"])),
            "key.pem": (0o600, base64.b64decode(data["tls.key"])),
        }


def _lock(given: dict[str, Any]) -> tuple[Lock, Opener | None]:
    """What the backup is locked with, and what opens it again here.

    Raises:
        BadInput: nothing was named, or more than one thing; or a file is missing or open to others.
    """
    from pyrunbook.pki.age_lock import Identity, Passphrase, Recipients
    from pyrunbook.pki.secret import Secret

    ways = [name for name in ("recipients", "recipients_file", "passphrase_file") if given[name]]
    if len(ways) != 1:
        said = f"locked with {' and '.join(ways)}" if ways else "locked with nothing"
        raise BadInput(
            f"the backup of keys is {said}: exactly one is needed",
            means="keys are never written unencrypted",
            next_step="name backup_security_recipients, _recipients_file or _passphrase_file in the inventory",
        )
    if given["passphrase_file"]:
        passphrase = Passphrase(Secret.from_file(Path(given["passphrase_file"]).expanduser()))
        return passphrase, passphrase
    recipients = (
        Recipients(tuple(given["recipients"]))
        if given["recipients"]
        else Recipients.from_file(Path(given["recipients_file"]).expanduser())
    )
    identity = given["identity_file"]
    return recipients, Identity(Secret.from_file(Path(identity).expanduser())) if identity else None
