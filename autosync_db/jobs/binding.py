"""The project that a database is bound to, so that a copy of it does not call that project's functions unseen.

A binding is a row of autosync.setting: the project's ref, and which server it was on when it was bound. What follows
from it is decided in SQL, autosync.binding_findings(), because dispatch() must know it as well.
"""

import re
from collections.abc import Mapping
from typing import Any

from autosync_db.connection import Connection, exists, value
from autosync_db.errors import UsageError
from autosync_db.supabase import address

SETTING = "binding"


def stored(connection: Connection) -> dict[str, Any] | None:
    """Return the binding of a database, None when it was never bound or never migrated."""
    if not exists(connection, "autosync.setting"):
        return None
    found = value(connection, "select value from autosync.setting where name = %s", [SETTING])
    return None if found is None else dict(found)


def here(connection: Connection, project_ref: str) -> dict[str, Any]:
    """Return the binding of this database, on this server, to a project."""
    return {"project_ref": project_ref, **value(connection, "select autosync.server_identity()")}


def require_same(bound: Mapping[str, Any] | None, project_ref: str | None) -> None:
    """Return if a database with this binding may be set up for a project; raise UsageError if it is another's."""
    if bound and project_ref and bound["project_ref"] != project_ref:
        raise UsageError(
            f"this database is bound to the project {bound['project_ref']}, not to {project_ref}",
            hint="is it the right database? If it is, bind it again: autosync-db setup --rebind ...",
        )


def bind(connection: Connection, project_ref: str) -> None:
    """Bind the database, on this server, to a project."""
    connection.execute(
        "insert into autosync.setting as s (name, value)"
        " values (%(name)s, jsonb_build_object('project_ref', %(ref)s::text) || autosync.server_identity())"
        " on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp()"
        " where s.value <> excluded.value",
        {"name": SETTING, "ref": project_ref},
    )


def called_ref(connection: Connection) -> str | None:
    """Return the ref in the stored address, None when there is none or it is not that of a hosted project."""
    if not exists(connection, "public.pg_cron_secrets"):
        return None
    source = (
        "autosync.stored_secrets()" if exists(connection, "autosync.stored_secrets()") else "public.pg_cron_secrets"
    )
    statement = f"select s.secret from {source} as s where s.name = 'project_url'"  # noqa: S608 - one of two constants
    found = value(connection, statement.encode())
    try:
        return None if found is None else address.ref_of(str(found).strip())
    except ValueError:
        return None


def ref_of_database(connection: Connection) -> str | None:
    """Return the ref in the address of a hosted database, direct or pooled; None for any other."""
    direct = re.fullmatch(r"db\.([a-z]{20})\.supabase\.(co|in)", connection.info.host)
    pooled = re.fullmatch(r"[^.]+\.([a-z]{20})", connection.info.user)
    if direct:
        return direct[1]
    return pooled[1] if pooled and connection.info.host.endswith(".pooler.supabase.com") else None
