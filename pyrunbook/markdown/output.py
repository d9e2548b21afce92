"""Recognizes the output of programs within blocks of typed commands."""

from __future__ import annotations

import re

_OUTPUT = re.compile(
    r"""\s*(?:
        total\ \d+(?:\.\d+)?[KMGT]?$                                        # ls -l
      | [-dlbcps](?:[-r][-w][-xsStT]){3}[.+@]?\s+\d+\s
      | [A-Z][A-Z0-9_()%/-]*(?:\s{2,}[A-Z][A-Z0-9_()%/-]*(?:\ [A-Z]+)*){1,}\s*$   # NAME   READY   STATUS
      | Filesystem\s+(?:Size|1K-blocks|Inodes)\b                            # df
      | HTTP/\d(?:\.\d)?\ \d{3}\b                                           # curl -i
      | (?:Loaded|Active|Main\ PID|CGroup):\ \S                             # systemctl status
      | (?:Error|ERROR|FATAL|WARN(?:ING)?|INFO)(?:\[\d+\]|:|\ \(|\ from\ server)
      | \d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d                                  # a log
      | [IWEF]\d{4}\ \d\d:\d\d:\d\d
      | [a-z]+(?:\.[a-z0-9.]+)?[/ ]\S+\ (?:created|configured|unchanged|scaled|restarted|patched|cordoned|uncordoned)$
      | [a-z]+(?:\.[a-z0-9.]+)?\ "\S+"\ deleted\b
      | \d+\ bytes\ from\ \S+:
      | \+-{3,}[-+]*$ | \(\d+\ rows?\)$                                      # psql, mysql
    )""",
    re.VERBOSE,
)


def looks_like_output(line: str) -> bool:
    """Whether a line is what a well-known program prints, and no command."""
    return _OUTPUT.match(line) is not None
