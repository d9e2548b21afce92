"""Fills templates of pages and commands with a service's variables. Sandboxed: a template reads, it never runs."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.runtime import ChainableUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pyrunbook.redaction import MASK, is_secret_name, redact

_BOOLEANS = {"True": True, "False": False}


class _Secret(str):
    """Hides also what a template asks of it: `{{ db_credentials.user }}`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> _Secret:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> _Secret:
        return self


SECRET = _Secret("[secret]")
"""What stands on a page in place of a secret."""


@dataclass(frozen=True)
class Blank:
    """Given as a value where nobody sets a part of a variable: what the reader is to fill in, and of which variable."""

    shown: str
    variable: str


class _Blank(ChainableUndefined):
    """A variable that nobody sets: its name in capitals, as a blank to be filled by the reader."""

    __slots__ = ("_asked", "_shown")

    def __init__(self, name: str, asked: set[str], shown: str = "") -> None:
        super().__init__(name=name)
        self._asked = asked
        self._shown = shown or name.upper()

    def __getattr__(self, name: str) -> _Blank:
        return self

    __getitem__ = __getattr__

    def __str__(self) -> str:
        self._asked.add(str(self._undefined_name))
        return self._shown


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,
)
_ENVIRONMENT.filters |= {"quote": shlex.quote, "basename": posixpath.basename, "dirname": posixpath.dirname}


@lru_cache(maxsize=4096)
def _compiled(text: str) -> tuple[Template, frozenset[str]]:
    tree = _ENVIRONMENT.parse(text)
    names = frozenset(meta.find_undeclared_variables(tree) - _ENVIRONMENT.globals.keys())
    return _ENVIRONMENT.from_string(tree), names


def check_condition(expression: str) -> None:
    """See that a condition can be read.

    Raises:
        ValueError: it cannot; says why.
    """
    try:
        _ENVIRONMENT.compile_expression(expression)
    except TemplateError as error:
        raise ValueError(f"{expression!r} is no condition: {error}") from None


@lru_cache(maxsize=1024)
def _condition(expression: str) -> tuple[Callable[..., Any], frozenset[str]]:
    names = meta.find_undeclared_variables(_ENVIRONMENT.parse(f"{{{{ {expression} }}}}"))
    return _ENVIRONMENT.compile_expression(expression, undefined_to_none=False), frozenset(names)


def names_in(condition: str) -> frozenset[str]:
    """The variables that a condition asks for; none where it cannot be read."""
    try:
        return _condition(condition)[1]
    except TemplateError:
        return frozenset()


class Values:
    """The variables of a service, of which later layers go before earlier ones; templates are filled when asked for."""

    def __init__(self, *layers: Mapping[str, Any]) -> None:
        self._raw: dict[str, Any] = {}
        for layer in layers:
            self._raw |= layer
        self._filled: dict[str, Any] = {}
        self._open: set[str] = set()
        self.unknown: set[str] = set()
        """Names that were asked for and that nobody sets, and templates that could not be filled."""

    def __contains__(self, name: str) -> bool:
        """Whether somebody sets the variable."""
        return name in self._raw

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a variable, templates filled, secrets masked."""
        if name not in self._raw or name in self._open:
            return default
        if name not in self._filled:
            self._open.add(name)
            try:
                self._filled[name] = self._value(name, self._raw[name])
            finally:
                self._open.discard(name)
        return self._filled[name]

    def fill(self, text: str) -> str:
        """A text with its templates filled. What nobody sets becomes its name in capitals, see `unknown`."""
        if "{{" not in text and "{%" not in text:
            return text
        try:
            template, names = _compiled(text)
            return template.render({name: self._known(name) for name in names})
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.unknown.add(f"{' '.join(text.split())} ({error})")
            return text

    def holds(self, condition: str | None) -> bool:
        """Whether a condition holds; one that asks for what nobody sets does, and is listed in `unknown`.

        In doubt the text is shown: a reader can skip what does not apply, but cannot find what was left out.
        """
        if condition is None:
            return True
        try:
            decide, names = _condition(condition)
            return bool(decide({name: self.get(name) for name in names if name in self}))
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.unknown.add(f"{condition} ({error})")
            return True

    def _known(self, name: str) -> Any:
        if name not in self._raw or name in self._open:
            return _Blank(name, self.unknown)
        return self.get(name)

    def _value(self, name: str, value: Any) -> Any:
        if is_secret_name(name) or isinstance(value, _Secret):
            return SECRET
        if isinstance(value, Blank):
            return _Blank(value.variable, self.unknown, value.shown)
        if isinstance(value, str):
            filled = str(redact({name: self.fill(value)})[name])
            # Ansible's templates give what they compute, a page's give text, in which "False" would hold.
            return _BOOLEANS.get(filled, filled) if "{{" in value else filled
        if isinstance(value, Mapping):
            # As a whole, too: of `{name: DB_PASSWORD, value: …}` neither key says that it is a secret.
            return _hidden(redact({key: self._value(str(key), item) for key, item in value.items()}))
        if isinstance(value, (list, tuple)):
            return [self._value(name, item) for item in value]
        return value


def _hidden(value: Any) -> Any:
    """The same with `SECRET` for each mask of the journal."""
    if isinstance(value, dict):
        return {key: _hidden(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return SECRET if value == MASK else value
