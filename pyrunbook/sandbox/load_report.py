"""The result of a load test: its counts, and the lines that show them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class LoadReport:
    """What was sent and what came back; times in milliseconds.

    `failures` counts failed requests by kind; `seen` counts answers by `version/color`, failed ones included where they
    carried it. `longest_gap_ms` is the longest time without a good answer, ends of the load included.

    Over TLS, `handshakes` counts the connections that came about, `handshakes_failed` those that did not (refused and
    reset ones too), and `certificates` the connections by the serial (hex) of what was served, in order of appearance.
    """

    url: str
    rate: float
    started: str = ""
    duration_s: float = 0.0
    sent: int = 0
    succeeded: int = 0
    failed: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    slowest_ms: float = 0.0
    longest_gap_ms: float = 0.0
    late_ms: float = 0.0
    first_failures: list[str] = field(default_factory=list)
    handshakes: int = 0
    handshakes_failed: int = 0
    certificates: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As `--report` writes it."""
        return asdict(self)

    def __str__(self) -> str:
        """A few lines for the operator."""
        seen = ", ".join(f"{name} {count}" for name, count in self.seen.items()) or "nothing"
        kinds = ", ".join(f"{kind}: {count}" for kind, count in self.failures.items())
        lines = [
            f"{self.sent} requests in {self.duration_s:.1f} s, {self.failed} failed{f' ({kinds})' if kinds else ''}",
            f"p50 {self.p50_ms:.1f} ms, p95 {self.p95_ms:.1f} ms, slowest {self.slowest_ms:.1f} ms",
            f"longest gap {self.longest_gap_ms:.0f} ms, {self.connections} connections opened",
            f"answered by {seen}",
            *self._tls_lines(),
            *(f"  {failure}" for failure in self.first_failures),
        ]
        return "\n".join(lines)

    def _tls_lines(self) -> list[str]:
        if not self.handshakes and not self.handshakes_failed:
            return []
        served = ", ".join(f"{serial} {count}" for serial, count in self.certificates.items()) or "nothing"
        return [f"{self.handshakes} TLS handshakes, {self.handshakes_failed} failed; served {served}"]
