"""The keys that sign templates: a new version now and then, old ones kept for verification until a set age.

Two stores with the same moves: the transit engine of a Vault or OpenBao, from which the private key never comes out,
and files. Both sign with RSA-PSS over SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import serialization

from pyrunbook.errors import BadInput
from pyrunbook.on_target import durable
from pyrunbook.pki.certificate import stamp
from pyrunbook.pki.errors import NotIssued
from pyrunbook.pki.keys import PrivateKey, PublicKey, verifies
from pyrunbook.pki.vault import Vault
from pyrunbook.places import private_directory

KEEP = timedelta(days=90)
"""How long signatures of a version stay good after it was replaced, unless the inventory says otherwise."""


@dataclass(frozen=True)
class Version:
    """One version of a signing key.

    Attributes:
        number: from 1 on; the highest signs.
        created: when it was made, aware.
        public_key: PEM; to verify elsewhere.
    """

    number: int
    created: datetime
    public_key: str


class SigningKeys(Protocol):
    """A signing key with its versions. All calls raise `NotIssued` or `BadInput` when they did not do it."""

    @property
    def name(self) -> str:
        """For messages and the journal."""

    def versions(self) -> list[Version]:
        """The versions whose signatures are good, the oldest first."""

    def rotate(self) -> int:
        """Make a new version, which signs from now on; gives its number."""

    def sign(self, data: bytes) -> str:
        """A signature with the newest version; it names its version."""

    def verify(self, data: bytes, signature: str) -> bool:
        """Whether a signature is one of `data`, by a version that is still kept."""

    def forget_before(self, number: int) -> None:
        """Accept no signature of a version below `number` any more."""


def due_at(versions: Sequence[Version], every: timedelta) -> datetime | None:
    """When the newest version is to be replaced; None: there is none, so now."""
    return max(versions, key=lambda each: each.number).created + every if versions else None


def forget(keys: SigningKeys, *, keep: timedelta = KEEP, now: datetime | None = None) -> list[int]:
    """Stop accepting versions that were replaced longer than `keep` ago. The newest is never among them.

    Returns:
        the numbers that are no longer accepted.
    """
    now = now or datetime.now(UTC)
    versions = sorted(keys.versions(), key=lambda each: each.number)
    over = [old.number for old, successor in pairwise(versions) if successor.created + keep < now]
    if over:
        keys.forget_before(max(over) + 1)
    return over


def prove(keys: SigningKeys, before: tuple[bytes, str] | None = None) -> str:
    """Sign and verify, and see that a changed text is refused.

    Args:
        before: a text and its signature from before a rotation, which must still be good.

    Returns:
        one line for the operator.

    Raises:
        NotIssued: a signature is refused that should be good, or the reverse.
    """
    text = b"pyrunbook signature test " + os.urandom(16).hex().encode()
    signature = keys.sign(text)
    faults = []
    if not keys.verify(text, signature):
        faults.append("a signature made now is refused")
    if keys.verify(text + b".", signature):
        faults.append("a signature is accepted for another text")
    if before is not None and not keys.verify(*before):
        faults.append("a signature from before the rotation is refused")
    if faults:
        raise NotIssued(
            f"{keys.name}: {'; '.join(faults)}",
            means="templates cannot be signed so that they are trusted",
            next_step="pyrunbook run incidents/security_failure",
        )
    kept = ", one from before is still good" if before is not None else ""
    return f"{keys.name} signs with version {version_of(signature)} and verifies{kept}"


def version_of(signature: str) -> int:
    """The version that a signature names.

    Raises:
        BadInput: it names none.
    """
    parts = signature.split(":")
    if len(parts) != 3 or not parts[1].startswith("v") or not parts[1][1:].isdigit():
        raise BadInput("that is no signature: <where>:v<version>:<base64>")
    return int(parts[1][1:])


class TransitKeys:
    """A key of a transit engine.

    Args:
        mount: where the engine is mounted.
    """

    def __init__(self, vault: Vault, key: str, mount: str = "transit") -> None:
        self._vault = vault
        self._key = key
        self._mount = mount.strip("/")

    @property
    def name(self) -> str:
        """`https://… transit/keys/templates`."""
        return f"{self._vault.place.address} {self._mount}/keys/{self._key}"

    def versions(self) -> list[Version]:
        answer = self._vault.read(f"{self._mount}/keys/{self._key}")
        oldest = max(int(answer.get("min_decryption_version") or 1), int(answer.get("min_available_version") or 1))
        found = []
        for number, each in (answer.get("keys") or {}).items():
            if int(number) < oldest:
                continue
            if not isinstance(each, dict) or "public_key" not in each:
                raise BadInput(f"{self.name} is no key for signatures", next_step="make one of type rsa-3072")
            found.append(Version(int(number), datetime.fromisoformat(each["creation_time"]), each["public_key"]))
        return sorted(found, key=lambda each: each.number)

    def rotate(self) -> int:
        self._vault.write(f"{self._mount}/keys/{self._key}/rotate")
        return self.versions()[-1].number

    def sign(self, data: bytes) -> str:
        """A signature with the newest version: `vault:v3:…`."""
        return str(self._vault.write(f"{self._mount}/sign/{self._key}", self._input(data))["signature"])

    def verify(self, data: bytes, signature: str) -> bool:
        if version_of(signature) not in {each.number for each in self.versions()}:
            return False
        answer = self._vault.write(f"{self._mount}/verify/{self._key}", self._input(data) | {"signature": signature})
        return answer.get("valid") is True

    def forget_before(self, number: int) -> None:
        """Raise `min_decryption_version`, below which the engine verifies nothing. It can be lowered again."""
        self._vault.write(f"{self._mount}/keys/{self._key}/config", {"min_decryption_version": number})

    @staticmethod
    def _input(data: bytes) -> dict[str, str]:
        return {
            "input": base64.b64encode(data).decode(),
            "hash_algorithm": "sha2-256",
            "signature_algorithm": "pss",
            "salt_length": "hash",
        }


class SigningKeyFiles:
    """Versions in a private directory: `<number>.key.pem` (0600), `<number>.public.pem` and `versions.json`.

    Args:
        directory: created, for its owner only, when it is missing.
        kind: of new keys, RSA.
    """

    def __init__(self, directory: Path, kind: str = "rsa-3072") -> None:
        if not kind.startswith("rsa-"):
            raise BadInput(f"templates are signed with RSA, not with {kind}")
        self._directory = directory
        self._kind = kind

    @property
    def name(self) -> str:
        """`signing key in <directory>`."""
        return f"signing key in {self._directory}"

    def versions(self) -> list[Version]:
        try:
            data = json.loads((self._directory / "versions.json").read_bytes())
            return [
                Version(each["number"], datetime.fromisoformat(each["created"]), each["public_key"])
                for each in data["versions"]
            ]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise BadInput(f"{self._directory / 'versions.json'} cannot be read")

    def rotate(self) -> int:
        """Make a new version. Its files are there before `versions.json` names it."""
        private_directory(self._directory)
        versions = self.versions()
        number = versions[-1].number + 1 if versions else 1
        key = PrivateKey.new(self._kind)
        public = key.public_key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        durable.write(str(self._directory / f"{number}.key.pem"), key.pem())
        durable.write(str(self._directory / f"{number}.public.pem"), public, 0o644)
        self._save([*versions, Version(number, datetime.now(UTC), public.decode())])
        return number

    def sign(self, data: bytes) -> str:
        """A signature with the newest version: `file:v3:…`.

        Raises:
            BadInput: there is no key yet, or its file is open to others.
        """
        versions = self.versions()
        if not versions:
            raise BadInput(f"there is no {self.name} yet", next_step="rotate it: that makes the first version")
        number = versions[-1].number
        key = PrivateKey.from_file(self._directory / f"{number}.key.pem")
        return f"file:v{number}:{base64.b64encode(key.sign(data)).decode()}"

    def verify(self, data: bytes, signature: str) -> bool:
        number = version_of(signature)
        kept = next((each for each in self.versions() if each.number == number), None)
        if kept is None or not signature.startswith("file:"):
            return False
        try:
            raw = base64.b64decode(signature.rpartition(":")[2], validate=True)
            public = serialization.load_pem_public_key(kept.public_key.encode())
        except (binascii.Error, ValueError):
            return False
        return isinstance(public, PublicKey) and verifies(public, raw, data)

    def forget_before(self, number: int) -> None:
        """Take older versions off the list, then remove their files."""
        versions = self.versions()
        self._save([each for each in versions if each.number >= number])
        for each in versions:
            if each.number < number:
                (self._directory / f"{each.number}.key.pem").unlink(missing_ok=True)
                (self._directory / f"{each.number}.public.pem").unlink(missing_ok=True)

    def _save(self, versions: Sequence[Version]) -> None:
        data = {
            "versions": [
                {"number": each.number, "created": stamp(each.created), "public_key": each.public_key}
                for each in versions
            ]
        }
        durable.write(str(self._directory / "versions.json"), json.dumps(data, indent=1).encode(), 0o644)
