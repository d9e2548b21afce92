"""Looks for secrets in everything that commands leave, show or pass on while they run.

What is looked at: the arguments and the environment of every process of theirs, sampled from /proc; those of each that
Python starts, and what every file held that Python removes, told by an audit hook in the processes themselves, so that
nothing is too short to be seen; all files below the watched directories, again and again, and at the end.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

PART = 12
"""Bytes of a secret number that are looked for at once."""
INTERVAL = 0.1
"""Seconds between two looks; more where a look takes long: a command that is watched has the processor to itself."""
LARGEST = 8_000_000
"""Bytes of a file that are looked at."""
MARKS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{20}"  # a key; not the words of a page
    rb"|\bhv[sbr]\.[A-Za-z0-9_-]{20,}"  # tokens of Vault
    rb"|\b[sbr]\.[A-Za-z0-9]{24}(?![A-Za-z0-9.(])"  # and of OpenBao
    rb"|AGE-SECRET-KEY-1[A-Z0-9]{20}"
)
"""What is a secret by its looks, whether it was planted or not."""
SCRATCH = re.compile(r"/running/[0-9a-f]+-trial-[^/]+/tls/")
"""Where a rotation on trial keeps a pair of its own, in a private directory that it takes away."""
HOOK = '''\
"""Tells what this process starts and removes; see watch_under_test.py."""
import itertools, json, os, sys

_into, _numbers = os.environ.get("SECRETS_TOLD"), itertools.count()

def _tell(kind, name, data):
    path = "%s/%d-%d-%d" % (_into, os.getpid(), id(_numbers), next(_numbers))
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(out, json.dumps([kind, str(name)]).encode() + b"\\n" + data)
    os.close(out)

def _text(value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")

def _process(arguments, environment):
    words = arguments if isinstance(arguments, (list, tuple)) else [arguments]
    environment = os.environ if environment is None else environment
    given = environment.items() if hasattr(environment, "items") else [(one, "") for one in environment]
    _tell("process", _text(words[0]).decode(), b"\\0".join(map(_text, words)) + b"\\0\\0" + b"\\0".join(
        _text(name) + b"=" + _text(value) for name, value in given))

def _removed(path):
    path = os.fsdecode(path)
    inside = [os.path.join(top, name) for top, _, names in os.walk(path) for name in names]
    for each in inside or [path]:
        if os.path.isfile(each) and not os.path.islink(each) and not each.startswith(_into):
            with open(each, "rb") as stream:
                _tell("removed", os.path.abspath(each), stream.read(8000000))

def _hook(event, given):
    try:
        if event == "subprocess.Popen":
            _process(given[1], given[3])
        elif event in ("os.exec", "os.posix_spawn"):
            _process(given[1], given[2])
        elif event == "os.system":
            _process(given[0], None)
        elif event == "os.remove" and given[1] == -1 or event == "shutil.rmtree":
            _removed(given[0])
    except OSError:
        pass

if _into:
    sys.addaudithook(_hook)
'''


def parts_of_keys(data: bytes) -> dict[str, bytes]:
    """What would give a private key away: its secret number in parts, as bytes and as it stands in the lines.

    What else stands in a private key's file is public: it stands in the certificate as well.

    Args:
        data: PEM; a file of several is fine.
    """
    found: dict[str, bytes] = {}
    for pem in re.findall(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", data, re.S):
        with contextlib.suppress(ValueError, TypeError):  # one that is encrypted has no number to show
            key = serialization.load_pem_private_key(pem, None)
            if isinstance(key, RSAPrivateKey):
                value, size = key.private_numbers().p, key.key_size // 16
            elif isinstance(key, EllipticCurvePrivateKey):
                value, size = key.private_numbers().private_value, (key.key_size + 7) // 8
            else:
                raise AssertionError(f"another kind of key: {type(key).__name__}")
            secret = value.to_bytes(size, "big")
            name = hashlib.sha256(secret).hexdigest()[:8]
            found |= {f"key {name}, part {at}": secret[at : at + PART] for at in range(0, size - PART + 1, PART)}
            lines = pem.splitlines()[1:-1]
            begin = base64.b64decode(b"".join(lines)).index(secret)
            first, last = -(-begin * 4 // 3), (begin + size) * 4 // 3  # characters that tell of nothing else
            for number, line in enumerate(lines):
                part = line[max(0, first - number * len(lines[0])) : max(0, last - number * len(lines[0]))]
                if len(part) >= PART:
                    found[f"key {name}, line {number + 1}"] = part[: 2 * PART]
    return found


def forms(secret: bytes) -> Iterator[bytes]:
    """A secret as it is, in hex, and inside of something that was encoded as a whole in base64."""
    yield secret
    yield secret.hex().encode()
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + secret)
        # The characters at either end depend on what stands beside it.
        yield whole[4 if shift else 0 : len(whole) - 4]


class Watch:
    """Watches while it is open. A context manager.

    Attributes:
        environment: what the watched commands need in theirs.
        secrets: what must not be seen, by a name that may be shown.

    Args:
        directory: of its own.
        watched: whose files are read again and again, and at the end.
        belongs: where keys are at home: not looked at, but each key that is seen there is one to look for.
        secrets: those that are known; those that are seen are added.
    """

    def __init__(self, directory: Path, watched: list[Path], belongs: list[Path], secrets: dict[str, bytes]) -> None:
        self._told = directory / "told"
        self._told.mkdir(parents=True)
        (directory / "hook").mkdir()
        (directory / "hook" / "sitecustomize.py").write_text(HOOK)
        path = os.pathsep.join([str(directory / "hook"), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {"PYTHONPATH": path, "SECRETS_TOLD": str(self._told)}
        self.secrets = secrets
        self._watched, self._belongs = watched, belongs
        self._seen: dict[bytes, tuple[str, bytes]] = {}
        self._known: dict[Path, tuple[int, int, int]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._files()

    def saw(self, origin: str, data: bytes) -> None:
        """Something that was shown, passed on or left."""
        self._seen.setdefault(hashlib.blake2b(data, digest_size=16).digest(), (origin, data))

    def found(self) -> list[str]:
        """Where a secret was seen, in words without it."""
        for path in self._told.iterdir():
            head, _, data = path.read_bytes().partition(b"\n")
            kind, name = json.loads(head)
            if kind != "removed" or not self._at_home(Path(name)):
                self.saw(f"{kind} {name}", data)
        places = []
        wanted = [(name, form) for name, secret in self.secrets.items() for form in forms(secret)]
        for origin, data in self._seen.values():
            places += [f"{name} in {origin}" for name, form in wanted if form in data]
            places += [f"{mark[0][:16]!r}… in {origin}" for mark in MARKS.finditer(data)]
        return sorted(set(places))

    @property
    def kinds(self) -> dict[str, int]:
        """How much was looked at, by the first word of where it was seen."""
        counted: dict[str, int] = {}
        for origin, _ in self._seen.values():
            counted[origin.split()[0]] = counted.get(origin.split()[0], 0) + 1
        return counted

    def _run(self) -> None:
        pause = INTERVAL
        while not self._ended.wait(pause):
            began = time.monotonic()
            self._processes()
            self._files()
            pause = max(INTERVAL, 5 * (time.monotonic() - began))

    def _processes(self) -> None:
        """Those that have our mark in their environment, and what they started, which may have lost it."""
        mark = os.fsencode(f"SECRETS_TOLD={self._told}")
        parents, told = {}, {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):  # it has ended
                    told[entry.name] = [(entry / part).read_bytes() for part in ("environ", "cmdline")]
                    parents[entry.name] = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        ours = {pid for pid, (environment, _) in told.items() if mark in environment}
        while more := {pid for pid in told if pid not in ours and parents.get(pid) in ours}:
            ours |= more
        for pid in ours:
            self.saw(f"environ of {pid}", told[pid][0])
            self.saw(f"cmdline of {pid}", told[pid][1])

    def _files(self) -> None:
        for top in self._belongs:
            for path in self._changed(top):
                with contextlib.suppress(OSError):
                    self.secrets.update(parts_of_keys(path.read_bytes()))
        for top in self._watched:
            for path in self._changed(top):
                if not self._at_home(path):
                    with contextlib.suppress(OSError):
                        self.saw(f"file {path}", path.read_bytes()[:LARGEST])

    def _changed(self, top: Path) -> Iterator[Path]:
        for parent, _, names in os.walk(top):
            for name in names:
                path = Path(parent, name)
                with contextlib.suppress(OSError):
                    facts = path.lstat()
                    version = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
                    if stat.S_ISREG(facts.st_mode) and self._known.get(path) != version:
                        self._known[path] = version
                        yield path

    def _at_home(self, path: Path) -> bool:
        return any(path.is_relative_to(home) for home in self._belongs) or SCRATCH.search(str(path)) is not None
