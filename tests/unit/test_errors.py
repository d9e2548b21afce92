"""The error tree: what an operator reads, and what the shell is told."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import pyrunbook
from pyrunbook.errors import (
    BadInput,
    ExitCode,
    FailedAndNotPutBack,
    FailedAndPutBack,
    PyrunbookError,
    Refused,
    without_errno,
)


def test_the_exit_codes_are_an_interface() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "SUCCEEDED": 0,
        "BUG": 1,
        "BAD_INPUT": 2,
        "REFUSED": 3,
        "PUT_BACK": 4,
        "NOT_PUT_BACK": 5,
        "DRIFT": 7,
        "FINDINGS": 8,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput, 2),
        (Refused, 3),
        (FailedAndPutBack, 4),
        (FailedAndNotPutBack, 5),
        (PyrunbookError, 1),
    ],
)
def test_each_class_has_its_exit_code(error: type[PyrunbookError], code: int) -> None:
    assert error.exit_code == code


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/srv/x: y/state"), "/srv/x: y/state: Permission denied"),
        (FileExistsError(17, "File exists", "/srv/a", None, "/srv/b"), "/srv/a: File exists"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (ValueError("a [number] here"), "a [number] here"),
    ],
)
def test_an_operator_reads_no_errno(error: Exception, said: str) -> None:
    assert without_errno(f"It failed: {error}\nmore") == f"It failed: {said}\nmore"
    assert BadInput(f"It failed: {error}").seen == f"It failed: {said}"


def test_the_message_is_a_line_each() -> None:
    error = Refused("The lock is held by run 7f3a.", means="Nothing was changed.", next_step="pyrunbook history")
    assert str(error) == "The lock is held by run 7f3a.\nNothing was changed.\nNext: pyrunbook history"
    assert (error.seen, error.means, error.next_step) == (
        "The lock is held by run 7f3a.",
        "Nothing was changed.",
        "pyrunbook history",
    )


def test_what_is_not_said_leaves_no_line() -> None:
    assert str(BadInput("no such color")) == "no such color"
    assert str(BadInput("no such color", next_step="use blue or green")) == "no such color\nNext: use blue or green"


def test_every_error_of_the_package_belongs_to_a_class_with_an_exit_code_that_is_not_success() -> None:
    """An error of ours never exits 0, and never exits as a bug unless it is one."""
    for module in pkgutil.walk_packages(pyrunbook.__path__, "pyrunbook."):
        if module.name.endswith("errors"):
            importlib.import_module(module.name)

    def below(kind: type[PyrunbookError]) -> set[type[PyrunbookError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    found = below(PyrunbookError) - {PyrunbookError}
    assert len(found) >= 5
    for error in found:
        assert error.exit_code in set(ExitCode) - {ExitCode.SUCCEEDED, ExitCode.BUG}, error
