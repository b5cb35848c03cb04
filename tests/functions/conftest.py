"""Real Deno and a real PostgreSQL for the Edge Functions: a scratch cluster and local edge runtimes."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "templates" / "functions"
EDGE = ROOT / "templates" / "local" / "edge"
STEERED_DEVICE_SYNC = Path(__file__).parent / "fixtures" / "steered_device_sync.ts"

# The roles and the table as a migrated project has them; functions and trigger are the product's own files.
ROLES = """
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
"""
TABLES = """
create schema autosync;
grant usage on schema public to anon, authenticated, service_role;
create table public.auto_sync_schedules (
    id uuid primary key default gen_random_uuid(),
    integration_id uuid not null unique,
    organization_id uuid not null,
    enabled boolean not null default false,
    frequency_minutes integer not null default 15,
    direction text not null default 'bidirectional',
    conflict_resolution text not null default 'newest_wins',
    only_online boolean not null default true,
    time_window_enabled boolean not null default false,
    time_window_start time,
    time_window_end time,
    device_filter text not null default 'all',
    device_tags text[],
    last_run_at timestamptz,
    last_run_status text,
    last_run_summary jsonb,
    next_run_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    created_by uuid,
    updated_by uuid,
    timezone text not null default 'UTC',
    claim_id uuid,
    claimed_at timestamptz,
    claim_expires_at timestamptz,
    consecutive_failures integer not null default 0
);
alter table public.auto_sync_schedules enable row level security;
grant select, insert, update, delete on public.auto_sync_schedules to authenticated, service_role;
create table public.measurement (
    id int primary key, taken_at timestamptz, good boolean, label text, big numeric
);
grant all on public.measurement to service_role;
create function public.whoami() returns text language sql stable set search_path = '' as $$
    select current_user::text || ' '
        || coalesce(current_setting('request.jwt.claims', true)::json ->> 'role', '')
$$;
create function public.add_up(a int, b numeric default 1) returns numeric language sql immutable
    set search_path = '' as $$ select a + b $$;
create function public.do_nothing() returns void language sql set search_path = '' as $$ select $$;
create function public.refuse() returns void language plpgsql set search_path = '' as
    $$ begin raise exception 'claim lapsed' using errcode = 'PT409', hint = 'claim again'; end $$;
"""
SCHEDULE_OBJECTS = (
    "functions/autosync.is_time_zone.sql",
    "functions/autosync.first_instant.sql",
    "functions/autosync.window_opening.sql",
    "functions/autosync.window_is_open.sql",
    "functions/autosync.next_run_at.sql",
    "functions/autosync.set_next_run_at.sql",
    "functions/public.auto_sync_claim.sql",
    "functions/public.auto_sync_complete.sql",
    "triggers/public.auto_sync_schedules.auto_sync_schedules_next_run_at.sql",
)


def deno_binary() -> str:
    """Return the path of Deno: beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("deno")
    found = str(beside) if beside.exists() else shutil.which("deno")
    assert found, "deno is missing: install the extra `local`"
    return found


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 15) -> Any:
    """Return the first true value of `condition`; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"timed out waiting until {what}")


@pytest.fixture(scope="session")
def cluster() -> Iterator[int]:
    """Run a scratch PostgreSQL on 127.0.0.1 and yield its port."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin/postgres"), default=None)
    folder = (
        binaries.parent if binaries else Path(shutil.which("postgres") or pytest.skip("no PostgreSQL")).parent
    )
    home = Path(tempfile.mkdtemp(prefix="autosync-functions-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "max_connections": 50,
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    subprocess.run(
        [folder / "initdb", "-D", home / "data", "-U", "supabase_admin", "-A", "trust", "-N", "--no-sync"],
        check=True,
        capture_output=True,
        user=user,
        cwd=home,
    )
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [folder / "postgres", "-D", home / "data", *options], user=user, cwd=home, stdout=log, stderr=log
        )

    def answers() -> bool:
        try:
            psycopg.connect(admin_url(port)).close()
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_until(answers, "the scratch cluster answers")
        with psycopg.connect(admin_url(port), autocommit=True) as connection:
            connection.execute(ROLES)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(home)


def admin_url(port: int, database: str = "postgres", user: str = "supabase_admin") -> str:
    """Return the address of a database of the scratch cluster."""
    return f"postgresql://{user}@127.0.0.1:{port}/{database}"


@dataclass(frozen=True, slots=True)
class Database:
    """A database with schedules, and a connection that may do anything."""

    port: int
    name: str
    connection: psycopg.Connection[tuple[Any, ...]]

    @property
    def api_url(self) -> str:
        return admin_url(self.port, self.name, "authenticator")

    def add(self, *behaviours: str) -> list[str]:
        """Add a due schedule for each behaviour of the steered device-sync; return their ids."""
        return [
            str(
                self.rows(
                    "insert into public.auto_sync_schedules "
                    "(integration_id, organization_id, enabled, device_filter, device_tags) "
                    "values (%s, %s, true, 'tagged', array[%s]) returning id",
                    uuid.uuid4(),
                    uuid.uuid4(),
                    behaviour,
                )[0][0]
            )
            for behaviour in behaviours
        ]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(query.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def outcome(self, schedule: str) -> tuple[Any, ...]:
        """Return (status, summary, claim_id) of a schedule."""
        return self.rows(
            "select last_run_status, last_run_summary, claim_id "
            "from public.auto_sync_schedules where id = %s",
            schedule,
        )[0]


@pytest.fixture(scope="module")
def module_database(cluster: int) -> Iterator[Database]:
    name = f"functions_{secrets.token_hex(4)}"
    with psycopg.connect(admin_url(cluster), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
    with psycopg.connect(admin_url(cluster, name), autocommit=True) as connection:
        connection.execute(TABLES)
        for path in SCHEDULE_OBJECTS:
            connection.execute((ROOT / "sql" / path).read_bytes())
        yield Database(cluster, name, connection)


@pytest.fixture
def database(module_database: Database) -> Database:
    """The module's database without schedules."""
    module_database.rows("truncate public.auto_sync_schedules, public.measurement")
    return module_database


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a project, made for this run. The same claims always give the same token."""

    born: int = field(default_factory=lambda: int(time.time()))
    jwt_secret: str = field(default_factory=lambda: secrets.token_hex(32))
    secret_key: str = field(default_factory=lambda: f"sb_secret_{secrets.token_urlsafe(24)}")
    publishable_key: str = field(default_factory=lambda: f"sb_publishable_{secrets.token_urlsafe(24)}")
    cron_secrets: tuple[str, str] = field(
        default_factory=lambda: (secrets.token_hex(16), secrets.token_hex(16))
    )

    def token(
        self, role: str, lifetime: int = 3600, secret: str | None = None, algorithm: str = "HS256"
    ) -> str:
        claims = {"role": role, "iss": "supabase", "ref": "local", "exp": self.born + lifetime}
        return jwt.encode(claims, secret or self.jwt_secret, algorithm=algorithm)


class Edge:
    """A running local edge runtime."""

    def __init__(self, functions: Path, environment: dict[str, str]) -> None:
        self.functions = functions
        passed = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AUTOSYNC_", "SUPABASE_", "PG"))
        }
        self.process = subprocess.Popen(
            [
                deno_binary(),
                "run",
                "--quiet",
                "--no-prompt",
                "--allow-net",
                "--allow-env",
                "--allow-read",
                "--allow-run",
                "--config",
                EDGE / "deno.json",
                EDGE / "main.ts",
            ],
            env={
                **passed,
                "AUTOSYNC_FUNCTIONS_DIR": str(functions),
                "AUTOSYNC_EDGE_PORT": "0",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.log: list[str] = []
        reader = threading.Thread(
            target=self.log.extend, args=(iter(self.process.stderr.readline, ""),), daemon=True
        )
        reader.start()
        line = self.process.stdout.readline()
        assert line, "".join(self.log)
        self.port = int(json.loads(line)["listening"])
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def call(self, name: str, method: str = "POST", **options: Any) -> httpx.Response:
        return self.client.request(method, f"/functions/v1/{name}", **options)

    def rest(self, path: str, key: str, method: str = "GET", **options: Any) -> httpx.Response:
        headers = {"apikey": key, **options.pop("headers", {})}
        return self.client.request(method, f"/rest/v1/{path}", headers=headers, **options)

    def worker_pids(self) -> list[int]:
        """Return the processes of functions."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for path in children for pid in path.read_text().split()]

    def stop(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=20)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


StartEdge = Callable[..., Edge]


@pytest.fixture(scope="module")
def start_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartEdge]:
    """Start edge runtimes that end with the module; the second mapping is for the functions' variables."""
    running: list[Edge] = []

    def start(
        functions: Path, environment: dict[str, str], function_environment: dict[str, str] | None = None
    ) -> Edge:
        own = tmp_path_factory.mktemp("edge") / "functions.env"
        own.write_text("".join(f"{name}={value}\n" for name, value in (function_environment or {}).items()))
        edge = Edge(functions, {"AUTOSYNC_FUNCTIONS_ENV_FILE": str(own), **environment})
        running.append(edge)
        return edge

    yield start
    for edge in running:
        edge.stop()


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()


@pytest.fixture(scope="session")
def steered_functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped functions, but with a device-sync that does what a schedule's tag says."""
    folder = tmp_path_factory.mktemp("steered") / "functions"
    shutil.copytree(FUNCTIONS, folder)
    shutil.copy(STEERED_DEVICE_SYNC, folder / "device-sync" / "index.ts")
    return folder
