"""Real Deno and a real PostgreSQL for the Edge Functions: a migrated cluster and local edge runtimes.

The fixtures are for every folder; a runtime is shared by all tests of a session that start it with the same settings.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
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

from autosync_db.local.cluster import Cluster
from tests.support import clusters

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "templates" / "functions"
EDGE = ROOT / "autosync_db" / "local" / "edge"
STEERED_DEVICE_SYNC = ROOT / "tests" / "functions" / "fixtures" / "steered_device_sync.ts"

# Beside the schedules of a migrated project: what the tests of the Data API ask for.
TABLES = """
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


def deno_binary() -> str:
    """Return the path of Deno: beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("deno")
    found = str(beside) if beside.exists() else shutil.which("deno")
    assert found, "deno is missing: install the extra `local`"
    return found


@dataclass(frozen=True, slots=True)
class Database:
    """A database with schedules, and a connection that may do anything."""

    cluster: Cluster
    connection: psycopg.Connection[tuple[Any, ...]]

    @property
    def api_url(self) -> str:
        return self.cluster.url("authenticator").reveal()

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
            "select last_run_status, last_run_summary, claim_id from public.auto_sync_schedules where id = %s",
            schedule,
        )[0]


@pytest.fixture(scope="session")
def edge_database(quiet_template: Cluster) -> Iterator[Database]:
    """A cluster at head for all runtimes."""
    with clusters.cloned(quiet_template) as copy:
        clusters.keep_quiet(copy)
        with clusters.connect(copy) as owner, clusters.connect(copy, "supabase_admin") as connection:
            owner.execute(TABLES)
            yield Database(copy, connection)


@pytest.fixture
def database(edge_database: Database) -> Database:
    """The database of the runtimes without schedules, secrets and settings."""
    edge_database.rows("truncate public.auto_sync_schedules, public.measurement")
    edge_database.rows("delete from public.pg_cron_secrets")
    edge_database.rows("delete from autosync.setting where name = 'function_auth'")
    edge_database.rows(
        "update autosync.job set batch_size = default, max_requests = default, reports_within = default,"
        " retry_attempts = default, retry_wait = default"
    )
    edge_database.rows("grant execute on function public.auto_sync_claim to service_role")
    return edge_database


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a project, made for this run. The same claims always give the same token."""

    born: int = field(default_factory=lambda: int(time.time()))
    jwt_secret: str = field(default_factory=lambda: secrets.token_hex(32))
    secret_key: str = field(default_factory=lambda: f"sb_secret_{secrets.token_urlsafe(24)}")
    publishable_key: str = field(default_factory=lambda: f"sb_publishable_{secrets.token_urlsafe(24)}")
    cron_secrets: tuple[str, str] = field(default_factory=lambda: (secrets.token_hex(16), secrets.token_hex(16)))

    def token(self, role: str, lifetime: int = 3600, secret: str | None = None, algorithm: str = "HS256") -> str:
        claims = {"role": role, "iss": "supabase", "ref": "local", "exp": self.born + lifetime}
        return jwt.encode(claims, secret or self.jwt_secret, algorithm=algorithm)


class Edge:
    """A running local edge runtime."""

    def __init__(self, functions: Path, environment: dict[str, str]) -> None:
        self.functions = functions
        passed = {
            name: value for name, value in os.environ.items() if not name.startswith(("AUTOSYNC_", "SUPABASE_", "PG"))
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
        reader = threading.Thread(target=self.log.extend, args=(iter(self.process.stderr.readline, ""),), daemon=True)
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


@pytest.fixture(scope="session")
def start_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartEdge]:
    """Start edge runtimes that end with the session; the second mapping is for the functions' variables.

    One that runs with the same settings is returned again.
    """
    running: dict[str, Edge] = {}

    def start(functions: Path, environment: dict[str, str], function_environment: dict[str, str] | None = None) -> Edge:
        settings = repr((functions, environment, function_environment))
        if settings not in running or running[settings].process.poll() is not None:
            own = tmp_path_factory.mktemp("edge") / "functions.env"
            own.write_text("".join(f"{name}={value}\n" for name, value in (function_environment or {}).items()))
            running[settings] = Edge(functions, {"AUTOSYNC_FUNCTIONS_ENV_FILE": str(own), **environment})
        return running[settings]

    yield start
    for edge in running.values():
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
