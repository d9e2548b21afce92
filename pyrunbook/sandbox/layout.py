"""Where the sandbox keeps what: the layout of platform `host` (CONTRIBUTING.md), and its own files under `run/`."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from pyrunbook import places
from pyrunbook.errors import BadInput

HOST = "127.0.0.1"
COLORS = ("blue", "green")
PROXY = "agent-factory-proxy"
"""The proxy's name under supervisor."""
CERTIFICATE = "public"
"""The name of the certificate that the proxy serves."""
CERTIFICATE_NAMES = ("localhost",)
CERTIFICATE_DAYS = 90
AUTHORITY_TITLE = "pyrunbook sandbox"
TLS_PROXY = "agent-factory-tls"
"""The name under supervisor of the proxy that serves TLS."""
BRING_BACK = "agent-factory-bring-back"
"""The program that starts the serving color whenever supervisor starts."""
# A program's socket address ends in the kernel's 108 bytes (104 on macOS), and supervisor first binds a name that
# has its pid appended.
_SOCKET_LIMIT = 104 - len(".4194304") - 1
_UNQUOTABLE = set("{}%;\"'\\\n\r\t\0")


def directory(chosen: Path | str | None = None) -> Path:
    """The sandbox's directory: `chosen`, else `PYRUNBOOK_SANDBOX`, else `sandbox` in the state directory.

    Raises:
        BadInput: the path has a character that the proxy's or supervisor's configuration cannot quote.
    """
    named = chosen or os.environ.get(places.ENV_SANDBOX) or places.home() / "sandbox"
    path = Path(os.path.abspath(Path(named).expanduser()))  # noqa: PTH100  # resolve() would follow links
    bad = sorted(_UNQUOTABLE & set(str(path)))
    if bad:
        raise BadInput(
            f"the sandbox's directory {str(path)!r} contains {' '.join(map(repr, bad))}",
            means="The configuration of supervisor and of the proxy cannot hold such a path.",
            next_step="choose another one with --directory",
        )
    return path


def unit(color: str) -> str:
    """The name of a color's program under supervisor."""
    return f"agent-factory-{color}"


class Layout:
    """The paths below `root`; nothing here touches the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.releases = root / "releases"
        self.candidate = self.releases / "candidate"  # names the version to deploy next
        self.upstream = root / "proxy" / "upstream"  # one line, host:port: what the proxy dials
        # The pair that the proxy serves (docs/pki/README.md, "On the disk").
        self.certificate = root / "tls" / CERTIFICATE
        # The sandbox's own certificate authority, private, and the roots by which a client accepts what is served.
        self.authority = root / "pki"
        self.trust_file = self.authority / "trust.pem"
        # Opens a backup of the sandbox's keys; on a machine that matters it is not kept beside them.
        self.backup_passphrase = root / "backup-passphrase"
        self.signing_keys = root / "signing" / "templates"  # the versions of the key that signs templates, private
        # Generated.
        self.caddy_config = root / "proxy" / "caddy.json"
        self.tls_config = root / "proxy" / "tls.json"
        self.supervisor_config = root / "supervisord.conf"
        # The sandbox's own state.
        self.run = root / "run"
        self.settings = self.run / "sandbox.json"  # ports and mark; that it exists says that this is a sandbox
        self.complete = self.run / "complete"  # exists once the first content has been written whole
        self.pids = self.run / "pids.json"  # the processes that `up` started
        self.lock = self.run / "lock"  # held by the command that starts, stops or changes the sandbox

    def slot(self, color: str) -> Path:
        """The link of a color to its release."""
        return self.root / "slots" / color / "release"

    def log(self, color: str) -> Path:
        """What a color's service writes: one line a request, and its own words."""
        return self.root / "logs" / f"{color}.log"

    def proxy_log(self, program: str) -> Path:
        """What one of the two proxies writes."""
        return self.root / "logs" / ("tls.log" if program == TLS_PROXY else "proxy.log")

    @property
    def socket(self) -> Path:
        """Supervisor's socket: in `run/`, or where that is too long an address, in a private directory."""
        inside = self.run / "supervisor.sock"
        if len(os.fsencode(inside)) <= _SOCKET_LIMIT:
            return inside
        return self.short_directory / "supervisor.sock"

    @property
    def short_directory(self) -> Path:
        """A private directory with a short name, this sandbox's alone; used only for a socket."""
        name = f"pyrunbook-{os.getuid()}-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]}"
        bases = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"]  # noqa: S108  # private below
        for base in bases:
            path = Path(base or "") / name
            if base and Path(base).is_dir() and len(os.fsencode(path / "supervisor.sock")) <= _SOCKET_LIMIT:
                return path
        raise BadInput(
            f"no directory with a name short enough for a socket among {', '.join(b for b in bases if b)}",
            next_step="choose a shorter directory with --directory",
        )
