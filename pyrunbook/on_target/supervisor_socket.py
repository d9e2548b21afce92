"""A supervisord asked over its unix socket, by XML-RPC: a tenth of what starting supervisorctl costs.

Not with `xmlrpc.client`: importing it, and `http.client` with it, takes longer than all that a call does.
"""

from __future__ import annotations

import configparser
import os
import socket
from typing import Any
from xml.etree import ElementTree


class Fault(Exception):
    """Supervisor refuses.

    Attributes:
        code: supervisor's own, such as 60, ALREADY_STARTED.
    """

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


def call(path: str, method: str, *arguments: str | bool, timeout: float) -> Any:
    """Call a method of supervisor's.

    Args:
        method: without `supervisor.`.
        arguments: of the method; one that is left out has supervisor's default, so `startProcess` waits.
        timeout: seconds.

    Returns:
        A string, a number, a boolean, or a dictionary or a list of such.

    Raises:
        Fault: supervisor refuses.
        OSError: it does not answer, or not as supervisor does.
    """
    told = "".join(f"<param><value>{_written(each)}</value></param>" for each in arguments)
    asked = f"<methodCall><methodName>supervisor.{method}</methodName><params>{told}</params></methodCall>".encode()
    head = b"POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(asked)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.settimeout(timeout)
        server.connect(path)
        server.sendall(head + asked)
        answer = b"".join(iter(lambda: server.recv(65536), b""))
    status, _, body = answer.partition(b"\r\n\r\n")
    try:
        if status.split()[1] != b"200":
            raise OSError(0, status.partition(b"\r\n")[0].decode("utf-8", "replace"))
        answered = ElementTree.fromstring(body)  # noqa: S314  # of the service manager, whom we let start programs
        value = _value(answered.find(".//value"))
        refusal = Fault(value["faultCode"], value["faultString"]) if answered.find("fault") is not None else None
    except (IndexError, AttributeError, TypeError, KeyError, ValueError, ElementTree.ParseError) as error:
        raise OSError(0, "its answer is none of supervisor") from error
    if refusal:
        raise refusal
    return value


def _written(argument: str | bool) -> str:
    if isinstance(argument, bool):
        return f"<boolean>{argument:d}</boolean>"
    return "<string>{}</string>".format(argument.replace("&", "&amp;").replace("<", "&lt;"))


def _value(found: Any) -> Any:
    """An XML-RPC value: a number, whether a boolean is true, a list, a dictionary, or the text of anything else."""
    if found.find("array") is not None:
        return [_value(each) for each in found.findall("array/data/value")]
    if found.find("struct") is None:
        text = "".join(found.itertext()).strip()
        if found.find("boolean") is not None:
            return text == "1"
        return text if found.find("int") is None else int(text)
    return {member.findtext("name"): _value(member.find("value")) for member in found.find("struct")}


def path_of(config: str) -> str:
    """The socket that a supervisord.conf has supervisorctl use.

    Empty where it names none, or one that wants a password, or where the file cannot be read: supervisorctl knows what
    to do then.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=(";", "#"))
    try:
        with open(config, encoding="utf-8") as stream:
            parser.read_file(stream)
        client = parser["supervisorctl"]
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError):
        return ""
    here = os.path.dirname(os.path.abspath(config))
    scheme, _, path = client.get("serverurl", "").strip().replace("%(here)s", here).partition("://")
    path = os.path.expanduser(path)
    return path if scheme == "unix" and "%" not in path and "username" not in client else ""
