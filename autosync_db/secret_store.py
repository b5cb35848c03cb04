"""The secrets of the scheduled calls, in public.pg_cron_secrets.

Values travel as COPY data: the server logs statements and bind parameters when it is told to, but never copied rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg

from autosync_db.connection import Connection
from autosync_db.errors import SecretError
from autosync_db.secret import Secret

PROJECT_URL = "project_url"
SERVICE_KEY = "service_role_key"


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """What may be said about a stored secret."""

    name: str
    fingerprint: str
    created_at: datetime
    updated_at: datetime


def stored(connection: Connection) -> dict[str, StoredSecret]:
    """Return the facts of every stored secret by name, none before the first migration; no value leaves the server."""
    if connection.execute("select to_regclass('public.pg_cron_secrets') is null").fetchone() == (True,):
        return {}
    rows = connection.execute(
        "select name, left(encode(sha256(convert_to(secret, 'UTF8')), 'hex'), 12), created_at, updated_at"
        " from public.pg_cron_secrets order by name"
    ).fetchall()
    return {row[0]: StoredSecret(*row) for row in rows}


def read(connection: Connection, name: str) -> Secret | None:
    """Return the value of a secret, None when there is none of that name."""
    row = connection.execute("select secret from public.pg_cron_secrets where name = %s", [name]).fetchone()
    return Secret(row[0]) if row else None


def store(connection: Connection, values: Mapping[str, Secret]) -> list[str]:
    """Store `values` in one transaction and return the names that changed; equal values are left untouched.

    Raises SecretError when the table refuses one, e.g. by a constraint that the project added.
    """
    try:
        return _store(connection, values)
    except psycopg.IntegrityError as error:
        # the detail would quote the row
        raise SecretError(
            f"public.pg_cron_secrets refuses the value: {error.diag.message_primary}",
            hint="see the table's constraints: \\d public.pg_cron_secrets",
        ) from None


def _store(connection: Connection, values: Mapping[str, Secret]) -> list[str]:
    with connection.transaction():
        connection.execute("create temporary table incoming_secret (name text, secret text) on commit drop")
        with connection.cursor().copy("copy pg_temp.incoming_secret (name, secret) from stdin") as copy:
            for name, value in values.items():
                copy.write_row((name, value.reveal()))
        rows = connection.execute(
            """
            insert into public.pg_cron_secrets as s (name, secret)
            select i.name, i.secret from pg_temp.incoming_secret as i
            on conflict (name) do update
            set secret = excluded.secret, updated_at = clock_timestamp()
            where s.secret is distinct from excluded.secret
            returning s.name
            """
        ).fetchall()
    return sorted(row[0] for row in rows)
