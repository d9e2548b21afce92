"""The file that says where the proxy sends the traffic: one line, `host:port`.

The proxy (Caddy: `dial` with a `{file.…}` placeholder) reads it for every new request, so replacing it by a
rename is the whole switch: no reload, no request that sees half of it.
"""

from __future__ import annotations

from collections.abc import Collection

from . import durable


class UpstreamConflict(Exception):
    """The file names an unexpected address: something else switches the traffic."""


def read(path: str) -> str | None:
    """The address that the proxy dials, `None` when there is no such file."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return None


def switch(
    path: str, address: str, expected: Collection[str], check_mode: bool = False, keep: Collection[str] = ()
) -> bool:
    """Send the traffic to `address`, provided that it goes to one of `expected` now.

    Args:
        address: `host:port` to dial from now on.
        expected: addresses that the file may name before; empty accepts any.
        keep: addresses that are left when the file names them.

    Returns:
        Whether anything changed: `False` when the file named `address`, or one of `keep`, already.

    Raises:
        UpstreamConflict: the file names something else.
    """
    current = read(path)
    if current == address or current in keep:
        return False
    if expected and current not in expected:
        raise UpstreamConflict(
            "{} sends the traffic to {}; expected {}".format(path, current or "nowhere", " or ".join(sorted(expected)))
        )
    if not check_mode:
        # 0644: the proxy may run as another user.
        durable.write(path, (address + "\n").encode(), 0o644)
    return True
