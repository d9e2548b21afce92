"""Keeps secrets out of what is written or shown: masks what is named, shaped or known as a secret.

When in doubt it masks. A lost detail can be looked up again, a written secret has to be rotated.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

MASK = "[redacted]"
"""The text that replaces a secret."""

TEXT_LIMIT = 20_000
"""Longest text that is kept, in characters."""

_DEPTH_LIMIT = 40
_SHORT = 200

_SECRET_WORDS = frozenset({
    "password", "passwords", "passwd", "passphrase", "passcode", "pass", "pwd", "pw", "token", "tokens",
    "secret", "secrets", "key", "keys", "credential", "credentials", "creds", "cred", "authorization",
    "auth", "private", "bearer", "cookie", "cookies", "apikey", "apikeys", "authkey", "accesskey",
    "secretkey", "privatekey", "encryptionkey", "signingkey", "sessionid", "otp", "pin", "salt", "pem",
    "pfx", "jwt", "dsn",
})  # fmt: skip
# Compounds that are written without a separator: `dbpassword`, `mytoken`, `clientsecret`.
_SECRET_PARTS = ("password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "privatekey")

# What is said of a secret, where the name ends with it: `key_mode`, `token_ttl`.
_SAID_OF_ONE = frozenset({"mode", "type", "bits", "size", "algorithm", "usage", "ttl", "lifetime"})
# Words that name a secret, or occur beside one: under its name it is hidden, but in a sentence the word may stay.
_BESIDE_ONE = _SAID_OF_ONE | {
    "name", "names", "file", "files", "path", "directory", "dir", "url", "uri", "address", "host", "port", "method",
    "mount", "role", "kind", "issuer", "provider", "backend", "engine", "header", "policy", "format", "version", "user",
    "username", "enabled", "required", "count", "days", "hours", "minutes", "seconds", "timeout", "interval",
}  # fmt: skip
_OF_KEYS = frozenset({"certificate_issuers", "service_certificates", "service_signing_keys", "service_rotation_test"})
"""Our variables that say where keys and certificates are, never their content."""
_ANSIBLES_OWN = frozenset(
    {"hostvars", "vars", "groups", "omit", "ansible_facts", "ansible_failed_task", "role_names", "environment"}
)
"""Variables that Ansible adds: of all hosts, or copies of their neighbors."""
_PATH = re.compile(r"(?:~|\.{1,2})?(?:/[\w@.-]+){2,}/?")
_WORDS_OF_HTTP = frozenset({"bearer", "basic", "digest", "none", "null", "true", "false", "default", "approle"})
_CREDENTIALS = re.compile(r"(?i)(?:(basic)|bearer|token|apikey|digest|negotiate)\s+(\S+)")
_USER_IN_URL = re.compile(r"://[^/?#:@\s]*:([^\s'\"<>]+)@")
_SHORTEST = 4
"""Characters of the shortest value that is masked wherever it occurs: shorter ones would mask everything."""
_SHORTEST_CODED = 8
"""Characters of the shortest part of an encoded value that is looked for."""
_SHORTEST_LINE = 16
"""Characters of the shortest line by which a secret of several lines is known when it is cut."""

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")

_PUBLIC_PEM = "(?:TRUSTED )?CERTIFICATE-----|CERTIFICATE REQUEST-----|PUBLIC KEY-----"
# Each of these takes time linear in the text, whatever it holds: a log line may be anybody's.
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement.replace("*", MASK))
    for pattern, replacement in (
        (r"(?s)\$ANSIBLE_VAULT;.*", "*"),
        (r"(?i)(hooks\.slack\.com/(?:services|workflows|triggers)/)[^\s'\"<>]+", r"\1*"),
        (r"(?i)\b(bearer)\s+[^\s'\"]+", r"\1 *"),
        (r"(?i)\b(basic)\s+(?!auth)[a-z0-9+/]{6,}={0,2}", r"\1 *"),
        (r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}", "*"),
        (r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?", "*"),
        (r"\b(?:gh[pousr]_|github_pat_|glpat-|npm_|pypi-|xox[a-z]-|hv[bsr]\.|sk-|AIza)[\w.-]{8,}", "*"),
    )
)
# PEM, also where newlines are escaped or the end is cut off. Certificates and public keys are public.
_PRIVATE_PEM = re.compile(
    rf"(?s)-----BEGIN (?!{_PUBLIC_PEM})[A-Z0-9 ]+-----(?:.*?-----END (?!{_PUBLIC_PEM})[A-Z0-9 ]+-----|.*)"
)
_END_OF_PEM = re.compile(rf"-----END (?!{_PUBLIC_PEM})[A-Z0-9 ]+-----")
_BODY_OF_PEM = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\\r\n\t ")
# A name and what parts it from its value, in `name=VALUE`, `name: VALUE`, `"name": "VALUE"`, `--name VALUE`.
_ASSIGNMENT = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]++)(?:(?P<colon>(?:\\*[\"'])?\s*+:[ \t]*+)"
    r"|(?P<equals>(?:\\*[\"'])?\s*+={1,3}>?\s*+)|(?<=\w)(?P<blank>[ ]++))"
)
# In a sentence a bare "key" or "pass" says nothing.
_SECRET_IN_TEXT = re.compile(
    r"(?i)passw(?:or)?d|passphrase|passcode|pwd|token|secret|credential|authorization|cookie"
    r"|(?:api|private|access|[_.-])key|key-data|[_-]pass(?![a-z])"
)
_QUOTE = re.compile(r"\\*[\"']")
_INDENTED_LINES = re.compile(r"(?:[|>][+-]?[0-9]?[ \t]*)?(?:\r?\n[ \t]+[^\r\n]*)+")
_WORD_WITH_URL = re.compile(r"(?<![^\s'\"<>])[^\s'\"<>]++")


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a value under this key, option or variable name has to be taken for a secret."""
    if _is_said_of_one(name):
        return False
    words = [word.lower() for word in _WORD.findall(name)]
    if any(word in _SECRET_WORDS for word in words):
        return True
    joined = "".join(words)
    return any(part in joined for part in _SECRET_PARTS)


def _is_said_of_one(name: str) -> bool:
    words = _WORD.findall(name)
    return bool(words) and words[-1].lower() in _SAID_OF_ONE


def redact(value: Any, secrets: Collection[str] = ()) -> Any:
    """A copy of `value` that is safe to store: JSON-like, without secrets.

    Args:
        value: JSON-like; other objects become text. Texts lose NUL and lone surrogates, which no database takes.
        secrets: values that are known to be secret; masked wherever they appear, also encoded (base64, URL, JSON, hex)
            or cut at the end of a line. Those shorter than 4 characters are ignored, because masking them would mask
            everything.
    """
    return _redact(value, _forms(frozenset(secrets)), 0)


def redact_text(text: str, secrets: Collection[str] = ()) -> str:
    """`redact` for one text."""
    result: str = redact(str(text), secrets)
    return result


def redact_whole(text: str, secrets: Collection[str] = ()) -> str:
    """`redact_text` for what is shown and not stored: however long it is, nothing is cut off."""
    return _redact_shapes(_without(text, _forms(frozenset(secrets))))


def secret_values(value: Any) -> Iterator[str]:
    """The texts in `value` that are secret: what to pass as `secrets`.

    Those are what Ansible has read from a vault; values of secret names, unless it only says where a secret
    is or how it is used; what follows an option of such a name; and the passwords and secret parameters of URLs.

    Args:
        value: JSON-like: inputs, the variables of a host, the arguments of a task. A text that is a template is given
            as it is, with Ansible's mark of trust.
    """
    yield from _secret_values(value, under_secret=False, depth=0)


def environment_secrets(environment: Mapping[str, str]) -> Iterator[str]:
    """The values of an environment that are secret by their names.

    `PWD` and `SSH_AUTH_SOCK` look like secrets by their names: a path is where one is kept.
    """
    for name, value in environment.items():
        if is_secret_name(name) and len(value) >= 2 * _SHORTEST and not _PATH.fullmatch(value):
            yield value
        yield from _in_text(value)


def _secret_values(value: Any, *, under_secret: bool, depth: int) -> Iterator[str]:
    if depth > _DEPTH_LIMIT:
        return
    if _is_vaulted(value) and not isinstance(value, (Mapping, list, tuple, set, frozenset)):
        yield from _from_vault(value)
    elif isinstance(value, str):
        if under_secret and not _names_only(value):
            yield value
            if credentials := _CREDENTIALS.fullmatch(value.strip()):
                yield credentials[2]
                yield from _password_of_basic(credentials[2] if credentials[1] else "")
        yield from _in_text(value)
    elif isinstance(value, Mapping):
        masked_pair = _is_secret_pair(value)
        for key, item in value.items():
            name = str(key)
            if name in _OF_KEYS or (depth == 0 and name in _ANSIBLES_OWN):
                yield from _from_vaults(item if name in _OF_KEYS else None, depth + 1)
                continue
            secret = under_secret or is_secret_name(name) or (masked_pair and name == "value")
            yield from _secret_values(item, under_secret=secret and not _is_beside_one(name), depth=depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        before: Any = ""
        for item in value:
            secret = under_secret or _is_secret_option(before)
            yield from _secret_values(item, under_secret=secret, depth=depth + 1)
            before = item


def _from_vaults(value: Any, depth: int) -> Iterator[str]:
    """What comes from a vault somewhere in `value`, under whatever name."""
    if depth > _DEPTH_LIMIT:
        return
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _from_vaults(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _from_vaults(item, depth + 1)
    elif _is_vaulted(value):
        yield from _from_vault(value)


def _from_vault(value: Any) -> Iterator[str]:
    try:
        yield str(value)
    except Exception:  # its password is not known, so it cannot be shown either
        return


def _in_text(text: str) -> Iterator[str]:
    """Passwords and secret parameters of URLs, and the value of an option `--name=VALUE`."""
    option, equals, value = text.partition("=")
    if equals and _is_secret_option(option) and not _names_only(value):
        yield value
    for found in _USER_IN_URL.finditer(text):
        yield found[1]
        yield urllib.parse.unquote(found[1])
    if "?" in text:
        for pair in re.split(r"[&;#\s]", text.partition("?")[2]):
            name, _, value = pair.partition("=")
            if value and is_secret_name(name):
                yield value
                yield urllib.parse.unquote_plus(value)


def _password_of_basic(coded: str) -> Iterator[str]:
    try:
        yield base64.b64decode(coded, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return


def _names_only(value: str) -> bool:
    """Whether the value of a secret name says where a secret is, or is no more than a word about one."""
    if _PATH.fullmatch(value) or value.lower() in _WORDS_OF_HTTP:
        return True
    words = [word.lower() for word in _WORD.findall(value)]
    return bool(words) and len(value) < _SHORTEST_LINE and all(word in _SECRET_WORDS for word in words)


def _is_beside_one(name: str) -> bool:
    words = _WORD.findall(name)
    return bool(words) and words[-1].lower() in _BESIDE_ONE


def _is_secret_option(word: Any) -> bool:
    """Whether what follows this argument of a command is secret: `--token`."""
    return (
        isinstance(word, str) and re.fullmatch(r"--?[A-Za-z][\w-]+", word) is not None
        and is_secret_name(word) and not _is_beside_one(word)
    )  # fmt: skip


@lru_cache(maxsize=64)
def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """All that a secret may be met as, the longest first."""
    forms: set[str] = set()
    for secret in map(str, secrets):
        if len(secret.strip()) < _SHORTEST:
            continue
        whole = {secret, secret.strip()}
        whole |= {urllib.parse.quote(secret, safe=""), urllib.parse.quote(secret), urllib.parse.quote_plus(secret)}
        whole |= {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
        whole |= {repr(secret)[1:-1]}
        lines = secret.split("\n")
        if len(lines) > 1:
            whole |= {line.strip() for line in lines if len(line.strip()) >= _SHORTEST_LINE and "-----" not in line}
        data = secret.encode("utf-8", "replace")
        coded = {data.hex(), data.hex().upper()}
        for shift in range(3):  # inside of something that was encoded as a whole
            text = base64.b64encode(b"\0" * shift + data).decode()
            # The characters at either end depend on its neighbors.
            text = text[4 if shift else 0 : len(text) if len(data) % 3 == -shift % 3 else -4]
            coded |= {text, text.translate(str.maketrans("+/", "-_"))}
        forms |= whole | {text for text in coded if len(text) >= _SHORTEST_CODED}
    return tuple(sorted((form for form in forms if form not in MASK), key=len, reverse=True))


def _without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _redact(value: Any, secrets: tuple[str, ...], depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if type(value) is str and depth <= _DEPTH_LIMIT:  # what comes from a vault is of a type of its own
        return _redact_text(value, secrets, depth)
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
        return _redact_items(sorted(value, key=str) if isinstance(value, (set, frozenset)) else value, secrets, depth)
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value).decode("utf-8", "replace")
    return _redact_text(str(value), secrets, depth)


def _redact_items(items: Collection[Any], secrets: tuple[str, ...], depth: int) -> list[Any]:
    """A list: of anything, of the arguments of a command, or of the lines of one text."""
    if any(type(item) is str and "-----" in item for item in items) and all(type(item) is str for item in items):
        together = "\n".join(items)
        if (kept := _redact_pem(together)) != together:
            items = kept.split("\n")
    redacted: list[Any] = []
    before: Any = ""
    for item in items:
        hidden = _is_secret_option(before) and type(item) is str and not item.startswith("-")
        redacted.append(MASK if hidden else _redact(item, secrets, depth + 1))
        before = item
    return redacted


def _redact_mapping(value: Mapping[Any, Any], secrets: tuple[str, ...], depth: int) -> dict[str, Any]:
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


def _redact_text(text: str, secrets: tuple[str, ...], depth: int = 0) -> str:
    if not secrets and len(text) <= _SHORT:
        return _redact_short(text)
    return _redact_anew(text, secrets, depth)


@lru_cache(maxsize=4096)
def _redact_short(text: str) -> str:
    """Keys, names and values of an inventory come by again and again: on each page, in each task."""
    return _redact_anew(text, (), 0)


def _redact_anew(text: str, secrets: tuple[str, ...], depth: int) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
    text = _without(_redact_json_text(text, secrets, depth), secrets)
    if len(text) > TEXT_LIMIT:
        # A secret that the cut has halved would not be known any more, so the halved word goes too.
        kept = re.sub(r"\S+\Z", "", text[:TEXT_LIMIT])
        return f"{_redact_shapes(kept)}… ({len(text) - len(kept)} characters more)"
    return _redact_shapes(text)


def _redact_shapes(text: str) -> str:
    text = _redact_assignments(text)
    if "-----" in text:
        text = _redact_pem(text)
    text = _WORD_WITH_URL.sub(lambda word: _redact_user_in_url(word[0]), text)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def _redact_pem(text: str) -> str:
    """Without private keys; also without those that lack their beginning: the text before their end."""
    text = _PRIVATE_PEM.sub(MASK, text)
    done: list[str] = []
    position = 0
    for found in _END_OF_PEM.finditer(text):
        begin = found.start()
        while begin > position and text[begin - 1] in _BODY_OF_PEM:
            begin -= 1
        done += [text[position:begin], MASK]
        position = found.end()
    return "".join(done) + text[position:]


def _redact_assignments(text: str) -> str:
    done: list[str] = []
    position = 0
    while found := _ASSIGNMENT.search(text, position):
        done.append(text[position : found.end()])
        position = found.end()
        is_option = found["name"].startswith("--")
        if not _SECRET_IN_TEXT.search(found["name"]) or _is_said_of_one(found["name"]):
            continue
        if found["blank"] and not is_option:
            continue
        end, mask = _masked_value(text, found.end(), to_end_of_line=found["colon"] is not None)
        done.append(mask)
        position = end
    return "".join(done) + text[position:]


def _masked_value(text: str, start: int, *, to_end_of_line: bool) -> tuple[int, str]:
    """Where the value that begins at `start` ends, and what to write in its place. In doubt it ends late."""
    if quote := _QUOTE.match(text, start):
        closing = re.compile(rf"(?<!\\){re.escape(quote[0])}").search(text, quote.end())
        return (closing.end() if closing else len(text)), f"{quote[0]}{MASK}{quote[0]}"
    if text[start : start + 1] in ("[", "{") and not text.startswith(MASK, start):
        closing_bracket = text.rfind("]" if text[start] == "[" else "}")
        return (closing_bracket + 1 if closing_bracket > start else len(text)), MASK
    if not to_end_of_line:
        value = re.compile(r"\S*").match(text, start)
        return (value.end() if value else start), MASK
    # `name: VALUE` ends with the line, because a passphrase has blanks; a YAML block with its indented lines.
    if block := _INDENTED_LINES.match(text, start):
        return block.end(), MASK
    line = re.compile(r"[^\r\n]*").match(text, start)
    return (line.end(), MASK) if line and line[0] else (start, "")


def _redact_user_in_url(word: str) -> str:
    """`scheme://user:password@host` without the user; a password may hold slashes, hence the last `@`."""
    last = word.rfind("@")
    begin = word.find("://")
    while 0 <= begin < last:
        user = re.compile(r"[^/?#:]*").match(word, begin + 3)
        stop = user.end() if user else begin + 3
        if stop >= last or word[stop] == ":":
            return f"{word[: begin + 3]}{MASK}{word[last:]}"
        begin = word.find("://", begin + 3)
    return word


def _redact_json_text(text: str, secrets: tuple[str, ...], depth: int) -> str:
    """A text that is a JSON document, redacted by its structure; any other text as it is."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        document = json.loads(text)
        redacted = _redact(document, secrets, depth + 1)
    except (ValueError, RecursionError):
        return text
    return text if redacted == document else json.dumps(redacted, ensure_ascii=False)


def _is_secret_pair(value: Mapping[Any, Any]) -> bool:
    """Whether this is `{name: DB_PASSWORD, value: …}`, as in the environment of a container."""
    name = value.get("name", value.get("key"))
    return isinstance(name, str) and "value" in value and is_secret_name(name)


def _is_vaulted(value: Any) -> bool:
    """Whether Ansible has read this from a vault; judged by names, because this module does not import Ansible."""
    if type(value).__name__ in ("EncryptedString", "AnsibleVaultEncryptedUnicode"):
        return True
    tags = getattr(value, "_ansible_tags_mapping", None)
    return isinstance(tags, Mapping) and any(tag.__name__ == "VaultedValue" for tag in tags)


def _is_kubeconfig_content(value: Any) -> bool:
    """Whether this is what is in a kubeconfig, rather than the path of one."""
    return not isinstance(value, str) or "\n" in value or "apiVersion" in value
