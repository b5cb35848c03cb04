"""A scratch cluster with the schedules table, the functions and the trigger, under Supabase's roles."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).parents[2]
BINARIES = Path(os.environ.get("AUTOSYNC_PG_BIN", "/usr/lib/postgresql/15/bin"))

ROLES = """
create role postgres_owner noinherit createdb createrole bypassrls login;
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator, postgres_owner;
grant all on schema public to postgres_owner;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges for role postgres_owner in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres_owner in schema public
    grant all on functions to anon, authenticated, service_role;
"""


def _as_postgres(*command: str) -> None:
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    # a log file and not a pipe: the server inherits it, and a pipe would keep the call waiting for ever
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(
            [*prefix, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, cwd="/"
        )
        if done.returncode != 0:
            log.seek(0)
            raise RuntimeError(f"{command[0]} failed: {log.read().decode()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def schedule_server() -> Iterator[str]:
    """Yield the connection string of a cluster of our own, as its superuser."""
    folder = Path(tempfile.mkdtemp(prefix="autosync-schedules-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data, port = folder / "data", _free_port()
    _as_postgres(
        str(BINARIES / "initdb"), "-D", str(data), "-U", "superuser", "-A", "trust", "-E", "UTF8", "--no-sync"
    )
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off "
        "-c shared_buffers=256MB -c max_wal_size=4GB -c timezone=UTC"
    )
    _as_postgres(
        str(BINARIES / "pg_ctl"),
        "-D",
        str(data),
        "-l",
        str(folder / "server.log"),
        "-w",
        "-o",
        options,
        "start",
    )
    try:
        server = f"host=127.0.0.1 port={port} user=superuser"
        with psycopg.connect(f"{server} dbname=postgres", autocommit=True) as connection:
            connection.execute(ROLES)
        yield server
    finally:
        _as_postgres(str(BINARIES / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _offline(target: str, direction: str = "upgrade") -> str:
    """Return the SQL of one revision, as Alembic's offline mode prints it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "versions").mkdir()
        source = next((ROOT / "alembic" / "versions").glob(f"{target}_*.py")).read_text(encoding="utf-8")
        (folder / "versions" / "it.py").write_text(
            re.sub(r"^down_revision = .*$", "down_revision = None", source, flags=re.MULTILINE),
            encoding="utf-8",
        )
        (folder / "env.py").write_text(
            "from alembic import context\n"
            "context.configure(dialect_name='postgresql', dialect_opts={'paramstyle': 'named'})\n"
            "with context.begin_transaction():\n    context.run_migrations()\n",
            encoding="utf-8",
        )
        (folder / "alembic.ini").write_text(
            f"[alembic]\nscript_location = {folder}\nversion_table = alembic_version\n", encoding="utf-8"
        )
        goal = target if direction == "upgrade" else f"{target}:base"
        done = subprocess.run(
            [sys.executable, "-m", "alembic", "-c", str(folder / "alembic.ini"), direction, goal, "--sql"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        lines = (line for line in done.stdout.splitlines() if "alembic_version" not in line)
        # what is left of the bookkeeping of versions is its table's two lines
        script = "\n".join(lines)
        return re.sub(r"\n    version_num VARCHAR\(32\).*?\n\);", "", script, flags=re.DOTALL)


@pytest.fixture(scope="session")
def revision_sql() -> Callable[..., str]:
    """Return the function that renders one revision's SQL, offline."""
    return _offline


@pytest.fixture(scope="session")
def object_sql() -> str:
    """Return the text of every replaceable object of the schedules, in the order of applying."""
    functions = sorted((ROOT / "sql" / "functions").glob("*.sql"))
    triggers = sorted((ROOT / "sql" / "triggers").glob("*auto_sync_schedules*.sql"))
    wanted = [
        path for path in [*functions, *triggers] if "-- requires: 0003" in path.read_text(encoding="utf-8")
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in wanted)


@pytest.fixture(scope="session")
def schedule_template(schedule_server: str, revision_sql: Callable[..., str], object_sql: str) -> str:
    """Return the name of a database that has the table, the functions and the trigger, for copying."""
    with psycopg.connect(f"{schedule_server} dbname=postgres", autocommit=True) as connection:
        connection.execute("create database schedules_template owner postgres_owner")
    with psycopg.connect(f"{schedule_server} dbname=schedules_template", autocommit=True) as connection:
        connection.execute("grant all on schema public to postgres_owner")
        connection.execute(ROLES_IN_DATABASE)
        connection.execute("set role postgres_owner")
        connection.execute("create schema autosync")
        connection.execute(revision_sql("0003"))
        connection.execute(
            "grant select, insert, update, delete on public.auto_sync_schedules to service_role"
        )
        connection.execute(object_sql)
    return "schedules_template"


# default privileges belong to a database, so the template needs its own
ROLES_IN_DATABASE = "\n".join(
    ROLES.split("\n")[ROLES.split("\n").index("grant all on schema public to postgres_owner;") :]
)


@pytest.fixture
def schedule_db(
    schedule_server: str, schedule_template: str
) -> Iterator[Callable[..., psycopg.Connection[Any]]]:
    """Yield a function that connects to a database of this test's own: connect(role="service_role")."""
    name = f"schedules_{os.urandom(4).hex()}"
    opened: list[psycopg.Connection[Any]] = []

    def connect(role: str | None = "postgres_owner", *, autocommit: bool = True) -> psycopg.Connection[Any]:
        connection = psycopg.connect(f"{schedule_server} dbname={name}", autocommit=True)
        opened.append(connection)
        if role is not None:
            connection.execute(f"set role {role}")
        connection.autocommit = autocommit
        return connection

    with psycopg.connect(f"{schedule_server} dbname=postgres", autocommit=True) as admin:
        admin.execute(f"create database {name} template {schedule_template}")
        try:
            yield connect
        finally:
            for connection in opened:
                connection.close()
            admin.execute(f"drop database {name} with (force)")
