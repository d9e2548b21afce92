"""What can go wrong on a cluster, in the operator's words."""

from __future__ import annotations

from pyrunbook.errors import BadInput, ExitCode, PyrunbookError

ROLE_FILE = "docs/kubernetes/role.yaml"
"""The shipped least-privilege Role, as a path in the repository."""
CERTIFICATES_ROLE_FILE = "docs/kubernetes/role-certificates.yaml"
"""The one that is needed besides where certificates are rotated."""


class ClusterError(PyrunbookError):
    """An operation on the cluster failed, and nothing has put it back yet (a play's rescue does)."""

    exit_code = ExitCode.NOT_PUT_BACK


class Conflict(ClusterError):
    """The object is not what the writer expected (409): read it again, then decide."""

    def __init__(self, seen: str, *, causes: list[dict[str, str]] | None = None, exists: bool = False) -> None:
        super().__init__(
            seen,
            means="something else changed the object at the same time, or owns the field",
            next_step="find out what else writes it (GitOps, an operator, a colleague), then run again",
        )
        self.causes = causes or []
        """Of a server-side apply: one `{reason, message, field}` for each field in conflict."""
        self.exists = exists
        """Whether the conflict is that the object to create exists already."""


class Missing(ClusterError):
    """The object to change is not there (404)."""


class TimedOut(ClusterError):
    """A wait ended before what it waited for."""


class NoLongerServes(ClusterError):
    """What was verified does not serve as it did then; `evidence` has `no_longer_serves`."""


class Rejected(BadInput):
    """The API refused the object as invalid (400, 413, 422)."""


class Unreachable(BadInput):
    """No usable answer from the API within the time allowed."""


class Unauthorized(BadInput):
    """The API does not know who asks (401)."""


class Forbidden(BadInput):
    """RBAC does not allow it (403)."""
