"""What can go wrong with certificates, in the operator's words. None of these ever carries a key or a token."""

from __future__ import annotations

from pyrunbook.errors import BadInput, ExitCode, FailedAndNotPutBack, FailedAndPutBack, PyrunbookError, Refused

_EXTRAS = {"vault": "hvac", "age": "pyrage"}


class NotIssued(BadInput):
    """The issuer did not do what it was asked for; what is deployed was not touched.

    Args:
        seen: see `PyrunbookError`.
        means: see `PyrunbookError`.
        next_step: see `PyrunbookError`.
        kind: the word of `vault_probe.VaultFault` for what is wrong, or empty where the issuer is not a Vault.
    """

    def __init__(self, seen: str, *, means: str = "", next_step: str = "", kind: str = "") -> None:
        super().__init__(seen, means=means, next_step=next_step)
        self.kind = kind


class Doubtful(Refused):
    """The gate before a deployment found a fault in the new pair; what is deployed was not touched."""


class NotServed(FailedAndPutBack):
    """The server was not reloaded, or does not serve what was deployed: that has to be put back."""


class NotDeployed(FailedAndNotPutBack):
    """The pair could not be brought into the state asked for; an operator must look."""


class NotVerified(PyrunbookError):
    """A backup was written and does not hold what it should; it must not be relied on."""

    exit_code = ExitCode.NOT_PUT_BACK


def missing(error: ModuleNotFoundError, *, extra: str, purpose: str) -> Exception:
    """The error for a library that only some installations have; any other missing module stays what it is.

    Args:
        extra: the extra of pyrunbook that brings it: `vault` or `age`.
        purpose: what needs it, as the subject of a sentence.
    """
    if error.name != _EXTRAS[extra]:
        return error
    return BadInput(
        f"{purpose} needs the Python package {error.name}, which is not installed",
        next_step=f"pip install 'pyrunbook[{extra}]'",
    )
