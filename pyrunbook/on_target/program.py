"""The program of a call: it reads its sources and its arguments from standard input and prints one result.

Nothing of it is ever a file on the machine, so there is nothing to be trusted, checked or removed there, a full disk
does not matter, and arguments are in no process list. Compiling the few sources that a call imports takes about 5 ms.
Importing costs more (`http.client` 50 ms, `tempfile` 20), so a module imports where it is needed what few calls need.
"""

from __future__ import annotations

import io
import json
import sys
import zlib
from types import ModuleType
from typing import Any

ModuleSpec = type(json.__spec__)  # importing it by its name would load more

MARK = "pyrunbook result: "
"""What stands before the result; a login shell may print something of its own before and after."""


class Sources:
    """Imports modules from source texts in memory.

    Args:
        texts: by the full name of the module.
    """

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        """See `importlib.abc.MetaPathFinder`."""
        if name not in self._texts:
            return None
        package = any(other.startswith(name + ".") for other in self._texts)
        return ModuleSpec(name, self, origin=name, is_package=package)  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> None:
        """See `importlib.abc.Loader`."""

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        name = module.__name__
        exec(compile(self._texts[name], name, "exec"), module.__dict__)  # noqa: S102


def call(function: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The result of a function of `on_target.calls`; one that raises gives a failed result.

    What Python says of an unforeseen error may hold an argument, and so a secret: only its kind and place are told.
    """
    try:
        calls = __import__("on_target.calls." + function, fromlist=[function])
        result: dict[str, Any] = getattr(calls, function)(**arguments)
    except Exception as error:
        foreseen = getattr(error, "result", None)
        if isinstance(foreseen, dict):
            return foreseen
        import traceback

        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename}, line {place.lineno}"
        if isinstance(error, OSError) and error.strerror:
            said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        else:
            said = type(error).__name__
        return {"failed": True, "msg": f"{function} failed on the service's machine: {said} ({where})"}
    return result


def main(stream: io.BufferedIOBase) -> None:
    """Read a call, make it and print its result.

    Args:
        stream: a line with the length of the sources; the sources; the call. Both are JSON, compressed.
    """
    size = int(stream.readline())
    sources, request = stream.read(size), stream.read()
    # What arrived in part only cannot be decompressed: nothing is done on half of a call.
    sys.meta_path.insert(0, Sources(json.loads(zlib.decompress(sources))))
    asked = json.loads(zlib.decompress(request))
    result = call(asked["function"], asked["arguments"])
    # A file's name may hold bytes that are no text.
    line = "\n" + MARK + json.dumps(result, ensure_ascii=False) + "\n"
    sys.stdout.buffer.write(line.encode("utf-8", "replace"))
    sys.stdout.flush()
