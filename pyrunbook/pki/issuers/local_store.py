"""What the local authority keeps: a private directory with keys, certificates and the list of what was issued.

authority.json     which root and intermediate issue, what is trusted, every leaf ever issued
authorities/<id>/  certificate.pem, key.pem (0600)
trust.pem          the roots that clients are to trust: what to hand out
lock               held while any of it changes
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from cryptography import x509

from pyrunbook.errors import BadInput
from pyrunbook.on_target import durable
from pyrunbook.pki import certificate as certificates
from pyrunbook.pki.keys import PrivateKey
from pyrunbook.places import private_directory

FORMAT = 1


@dataclass(frozen=True)
class Authority:
    """A root or an intermediate.

    Attributes:
        id: name of its directory.
        kind: `root` or `intermediate`.
        parent: id of the root that signed it; its own for a root.
        since: when it was made (ISO 8601, UTC).
        retired: when it was taken out of use; empty while it is in use.
    """

    id: str
    kind: Literal["root", "intermediate"]
    parent: str
    since: str
    retired: str = ""


@dataclass(frozen=True)
class IssuedLeaf:
    """A certificate that was issued.

    Attributes:
        serial: hex.
        authority: id of the intermediate that signed it.
        not_after: ISO 8601, UTC.
        revoked: when it was revoked; empty while it is not.
    """

    serial: str
    authority: str
    subject: str
    not_after: str
    revoked: str = ""


@dataclass
class Record:
    """All of `authority.json`.

    Attributes:
        issuing: id of the intermediate that signs.
        crl_number: of the last CRL.
        authorities: by id.
        leaves: by serial.
    """

    issuing: str = ""
    crl_number: int = 0
    authorities: dict[str, Authority] = field(default_factory=dict)
    leaves: dict[str, IssuedLeaf] = field(default_factory=dict)

    @property
    def roots(self) -> list[Authority]:
        """The roots in use, the oldest first."""
        return [each for each in self.authorities.values() if each.kind == "root" and not each.retired]

    def forget(self, before: datetime) -> None:
        """Drop the leaves that had expired by then: neither the CRL nor anybody else asks for them."""
        self.leaves = {s: leaf for s, leaf in self.leaves.items() if datetime.fromisoformat(leaf.not_after) >= before}

    def retire(self, identity: str, now: datetime) -> None:
        """Take an authority out of use. Its key and certificate stay, for its CRL and for the record."""
        self.authorities[identity] = replace(self.authorities[identity], retired=certificates.stamp(now))


class AuthorityDirectory:
    """The directory.

    Args:
        directory: created, for its owner only, when it is missing.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._authorities = directory / "authorities"
        self.trust_file = directory / "trust.pem"
        self._record = directory / "authority.json"

    @contextmanager
    def locked(self) -> Iterator[Record]:
        """Hold the lock; nobody sees a part of what `save` writes meanwhile.

        Raises:
            BadInput: the directory is not the caller's alone, or its record cannot be read.
        """
        private_directory(self.directory)
        status = self.directory.stat()
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
            raise BadInput(
                f"{self.directory} holds the keys of a certificate authority and is open to others",
                next_step=f"chmod 0700 {self.directory}, owned by the user who runs pyrunbook",
            )
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self.load()
        finally:
            os.close(descriptor)

    def load(self) -> Record:
        """The current record; empty before anything was made.

        Raises:
            BadInput: it cannot be read.
        """
        try:
            data = json.loads(self._record.read_bytes())
        except FileNotFoundError:
            return Record()
        except (OSError, ValueError) as error:
            raise BadInput(f"{self._record} cannot be read: {error}") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise BadInput(f"{self._record} is not in format {FORMAT}; it was written by another version of pyrunbook")
        return Record(
            issuing=data["issuing"],
            crl_number=data["crl_number"],
            authorities={each["id"]: Authority(**each) for each in data["authorities"]},
            leaves={each["serial"]: IssuedLeaf(**each) for each in data["leaves"]},
        )

    def save(self, record: Record) -> None:
        """Replace the record and the file of trusted roots.

        The roots come first: a root that issues and is not trusted would be an outage, the reverse is none.
        """
        trust = b"".join(certificates.pem(self.certificate(each)) for each in record.roots)
        if not self.trust_file.exists() or self.trust_file.read_bytes() != trust:
            durable.write(str(self.trust_file), trust, 0o644)
        data: dict[str, Any] = {
            "format": FORMAT,
            "issuing": record.issuing,
            "crl_number": record.crl_number,
            "authorities": [asdict(each) for each in record.authorities.values()],
            "leaves": [asdict(each) for each in record.leaves.values()],
        }
        durable.write(str(self._record), json.dumps(data, indent=1).encode(), 0o600)

    def add(
        self,
        record: Record,
        kind: Literal["root", "intermediate"],
        parent: str,
        made: x509.Certificate,
        key: PrivateKey,
    ) -> Authority:
        """Keep a new authority's key and certificate, and add it to the record (which `save` then writes)."""
        identity = f"{kind}-{secrets.token_hex(4)}"
        place = private_directory(self._authorities / identity)
        durable.write(str(place / "key.pem"), key.pem())
        durable.write(str(place / "certificate.pem"), certificates.pem(made), 0o644)
        durable.sync_directory(str(self._authorities))
        since = certificates.stamp(made.not_valid_before_utc)
        record.authorities[identity] = Authority(identity, kind, parent or identity, since)
        return record.authorities[identity]

    def certificate(self, authority: Authority) -> x509.Certificate:
        """The certificate of an authority."""
        return certificates.read(self._authorities / authority.id / "certificate.pem")[0]

    def key(self, authority: Authority) -> PrivateKey:
        """The key of an authority."""
        return PrivateKey.from_file(self._authorities / authority.id / "key.pem")
