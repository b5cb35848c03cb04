"""The stack of `supabase start`: where its database and its gateway are, as supabase/config.toml says.

Its containers share a network in which the gateway has names of its own. From the machine all of them are reached by
ports, and how the database's container reaches the gateway depends on the engine: see autosync_db.setup.gateway.
"""

import ipaddress
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from autosync_db.supabase import folder

_API_PORT, _DATABASE_PORT = 54321, 54322
# the gateway's port inside of the network
_INNER_PORT = 8000
_DOCKER_BRIDGE = "172.17.0.1"
_STATUS_SECONDS = 60
# what `supabase status` calls the service keys, the better one first
_KEYS = ("SECRET_KEY", "SERVICE_ROLE_KEY")


@dataclass(frozen=True, slots=True)
class Stack:
    """A project of the CLI on this machine; `host` is where its ports are."""

    folder: Path
    project_id: str
    host: str
    api_port: int
    database_port: int
    is_encrypted: bool = False

    @property
    def database_url(self) -> Secret:
        """Return the database's address; user and password are the same in every such stack."""
        return Secret(f"postgresql://postgres:postgres@{_bracketed(self.host)}:{self.database_port}/postgres")

    @property
    def url(self) -> str:
        """Return the gateway's address for this machine."""
        return self._outer(self.host)

    def candidates(self, database_address: str | None = None) -> list[str]:
        """Return the addresses at which the database's container may reach the gateway, the likeliest first.

        `database_address` is the one that the database sees itself at: the first of its network is the machine.
        """
        names = ["kong", "api.supabase.internal", f"supabase_kong_{self.project_id}", "envoy"]
        inner = [f"http://{name}:{_INNER_PORT}" for name in names]
        hosts = ["host.docker.internal", _network_gateway(database_address), _DOCKER_BRIDGE, "127.0.0.1"]
        return list(dict.fromkeys([*inner, *(self._outer(host) for host in hosts if host)]))

    def _outer(self, host: str) -> str:
        return f"http{'s' if self.is_encrypted else ''}://{_bracketed(host)}:{self.api_port}"

    def keys(self, environment: Mapping[str, str]) -> list[Secret]:
        """Return the service keys that `supabase status` names, none where the CLI is missing or the stack stopped."""
        program = _program(self.folder.parent)
        if program is None:
            return []
        try:
            done = subprocess.run(
                [program, "status", "--output", "json", "--workdir", str(self.folder.parent)],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_STATUS_SECONDS,
                check=True,
            )
            found = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError, RecursionError):
            return []
        named = [found.get(name) for name in _KEYS] if isinstance(found, dict) else []
        return [Secret(key) for key in named if isinstance(key, str) and re.fullmatch(r"[\x21-\x7e]+", key)]


def read(at: Path, environment: Mapping[str, str]) -> Stack:
    """Return the stack of the folder `supabase/`. Raises UsageError when config.toml names no usable ports.

    `environment`: where the CLI finds the host, and what config.toml leaves to variables.
    """
    values = folder.values(at)
    api = _table(values, "api")
    project_id = values.get("project_id")
    name = project_id if isinstance(project_id, str) and project_id else at.parent.name
    return Stack(
        folder=at,
        # as the CLI names its containers
        project_id=re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip("_.-")[:40],
        host=environment.get("SUPABASE_SERVICES_HOSTNAME") or "127.0.0.1",
        api_port=_port(at, "api", api.get("port", _API_PORT), environment),
        database_port=_port(at, "db", _table(values, "db").get("port", _DATABASE_PORT), environment),
        is_encrypted=_table(api, "tls").get("enabled") is True,
    )


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _port(at: Path, name: str, value: object, environment: Mapping[str, str]) -> int:
    found = re.fullmatch(r"env\((\w+)\)", value) if isinstance(value, str) else None
    text = environment.get(found[1], "") if found else str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise UsageError(f"{at / folder.CONFIG}: {name}.port is not a port", hint="write a number")
    return int(text)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _network_gateway(database_address: str | None) -> str | None:
    try:
        found = ipaddress.ip_address(database_address or "")
    except ValueError:
        return None
    if found.version != 4 or not found.is_private or found.is_loopback:
        return None
    # container networks have 16 bits, of which the first address is the machine's
    return str(ipaddress.ip_network(f"{found}/16", strict=False).network_address + 1)


def _program(project: Path) -> str | None:
    """Return the Supabase CLI: that of the project's own packages, else that of the PATH."""
    return shutil.which("supabase", path=str(project / "node_modules/.bin")) or shutil.which("supabase")
