"""Keeps secrets out of the journal: masks what is named, shaped or known as a secret.

When in doubt it masks. A lost detail can be looked up again, a written secret has to be rotated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

MASK = "[redacted]"
"""What stands in place of a secret."""

TEXT_LIMIT = 20_000
"""Longest text that is kept, in characters."""

_DEPTH_LIMIT = 40

_SECRET_WORDS = frozenset({
    "password", "passwords", "passwd", "passphrase", "passcode", "pass", "pwd", "pw", "token", "tokens",
    "secret", "secrets", "key", "keys", "credential", "credentials", "creds", "cred", "authorization",
    "auth", "private", "bearer", "cookie", "cookies", "apikey", "apikeys", "authkey", "accesskey",
    "secretkey", "privatekey", "encryptionkey", "signingkey", "sessionid", "otp", "pin", "salt", "pem",
    "pfx", "jwt", "dsn",
})  # fmt: skip
# Compounds that are written without a separator: `dbpassword`, `mytoken`, `clientsecret`.
_SECRET_PARTS = ("password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "privatekey")

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")

_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|passcode|pwd|token|secret|credential|authorization|api[_-]?key"
    r"|private[_-]?key|(?<=[_-])key|accesskey|key-data|(?<![a-z])pass(?![a-z]))[\w.-]*"
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # PEM, also where newlines are escaped or the end is cut off. Certificates and public keys are public.
    (
        re.compile(
            r"-----BEGIN (?!CERTIFICATE-----|CERTIFICATE REQUEST-----|PUBLIC KEY-----|TRUSTED CERTIFICATE-----)"
            r"[A-Z0-9 ]+-----(?:.*?-----END [A-Z0-9 ]+-----|.*)",
            re.DOTALL,
        ),
        MASK,
    ),
    (re.compile(r"\$ANSIBLE_VAULT;.*", re.DOTALL), MASK),
    # user:password@ in a URL; a password may hold a slash.
    (
        re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)(?:[^\s'\"<>/?#:]*:[^\s'\"<>]*|[^\s'\"<>/?#]+)@"),
        rf"\1{MASK}@",
    ),
    (re.compile(r"(?i)(hooks\.slack\.com/(?:services|workflows|triggers)/)[^\s'\"<>]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer)\s+(?!\[redacted\])[^\s'\"]+"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b(basic)\s+(?!auth)[a-z0-9+/]{6,}={0,2}"), rf"\1 {MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"), MASK),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), MASK),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|npm_|pypi-|xox[a-z]-|hv[bsr]\.|sk-|AIza)[\w.-]{8,}"), MASK),
    # --password VALUE
    (re.compile(rf"(?i)(--{_NAME})([= ]+)(\"[^\"]*\"|'[^']*'|\S+)"), rf"\1\2{MASK}"),
    # name="VALUE", "name": "VALUE", and the same inside a string (\"name\": \"VALUE\")
    (
        re.compile(rf"(?i)({_NAME}(?:\\*[\"'])?\s*[:=]\s*)(\\*[\"'])(?!\[redacted\]).*?(?:\2|$)"),
        rf"\1\2{MASK}\2",
    ),
    # name=VALUE ends at a blank; name: VALUE ends with the line, because a passphrase has blanks
    (re.compile(rf"(?i)({_NAME}\s*=\s*)(?!\\*[\"']|\[redacted\])\S+"), rf"\1{MASK}"),
    (re.compile(rf"(?i)({_NAME}(?:\\*[\"'])?\s*:[ \t]*)(?!\\*[\"']|\[redacted\]|\s|$)[^\r\n]+"), rf"\1{MASK}"),
)


def is_secret_name(name: str) -> bool:
    """Whether a value under this key, option or variable name has to be taken for a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if any(word in _SECRET_WORDS for word in words):
        return True
    joined = "".join(words)
    return any(part in joined for part in _SECRET_PARTS)


def redact(value: Any, secrets: Collection[str] = ()) -> Any:
    """A copy of `value` that is safe to store: JSON-like, without secrets.

    Args:
        value: JSON-like; other objects become text. Texts lose NUL and lone surrogates, which no database takes.
        secrets: values that are known to be secret; masked wherever they appear. Those shorter than 4 characters
            are ignored, because masking them would mask everything.
    """
    known = sorted((secret for secret in secrets if len(secret) >= 4), key=len, reverse=True)
    return _redact(value, known, 0)


def redact_text(text: str, secrets: Collection[str] = ()) -> str:
    """`redact` for one text."""
    result: str = redact(str(text), secrets)
    return result


def secret_values(value: Any) -> Iterator[str]:
    """The texts in `value` that stand under a secret name or come from a vault: what to pass as `secrets`."""
    yield from _secret_values(value, under_secret=False, depth=0)


def _secret_values(value: Any, *, under_secret: bool, depth: int) -> Iterator[str]:
    if depth > _DEPTH_LIMIT:
        return
    if isinstance(value, str):
        if under_secret or _is_vaulted(value):
            yield str(value)
    elif isinstance(value, Mapping):
        masked_pair = _is_secret_pair(value)
        for key, item in value.items():
            secret = under_secret or is_secret_name(str(key)) or (masked_pair and key == "value")
            yield from _secret_values(item, under_secret=secret, depth=depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _secret_values(item, under_secret=under_secret, depth=depth + 1)


def _redact(value: Any, secrets: list[str], depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _is_vaulted(value) or depth > _DEPTH_LIMIT:
        return MASK
    if isinstance(value, (int, float)):
        if str(value) in secrets:
            return MASK
        number = value if isinstance(value, int) else float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, Mapping):
        return _redact_mapping(value, secrets, depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [_redact(item, secrets, depth + 1) for item in items]
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value).decode("utf-8", "replace")
    return _redact_text(str(value), secrets)


def _redact_mapping(value: Mapping[Any, Any], secrets: list[str], depth: int) -> dict[str, Any]:
    masked_pair = _is_secret_pair(value)
    kubernetes_secret = value.get("kind") == "Secret"
    result: dict[str, Any] = {}
    for key, item in value.items():
        name = str(key)
        mask = (
            is_secret_name(name)
            or name in ("__ansible_vault", "__ansible_unsafe")
            or (masked_pair and name == "value")
            or (kubernetes_secret and name in ("data", "stringData"))
            or ("kubeconfig" in name.lower() and _is_kubeconfig_content(item))
        )
        if mask and item is not None and not isinstance(item, bool):
            result[_redact_text(name, secrets)] = MASK
        else:
            result[_redact_text(name, secrets)] = _redact(item, secrets, depth + 1)
    return result


def _redact_text(text: str, secrets: list[str]) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
    for secret in secrets:
        text = text.replace(secret, MASK)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    if len(text) > TEXT_LIMIT:
        text = f"{text[:TEXT_LIMIT]} … ({len(text) - TEXT_LIMIT} characters more)"
    return text


def _is_secret_pair(value: Mapping[Any, Any]) -> bool:
    """Whether this is `{name: DB_PASSWORD, value: …}`, as in the environment of a container."""
    name = value.get("name", value.get("key"))
    return isinstance(name, str) and "value" in value and is_secret_name(name)


def _is_vaulted(value: Any) -> bool:
    """Whether Ansible has read this from a vault; judged by names, because the journal does not know Ansible."""
    if type(value).__name__ in ("EncryptedString", "AnsibleVaultEncryptedUnicode"):
        return True
    tags = getattr(value, "_ansible_tags_mapping", None)
    return isinstance(tags, Mapping) and any(tag.__name__ == "VaultedValue" for tag in tags)


def _is_kubeconfig_content(value: Any) -> bool:
    """Whether this is what is in a kubeconfig, rather than the path of one."""
    return not isinstance(value, str) or "\n" in value or "apiVersion" in value
