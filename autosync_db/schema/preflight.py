"""What must be true of a server before anything is changed on it. Reads only."""

from typing import Any

from autosync_db.connection import Connection
from autosync_db.errors import MigrationError, UnreachableError

MINIMUM_SERVER_VERSION = 150000

# settings of an extension's library are only listed to members of pg_read_all_settings
# Who owns a schema can drop what is in it and make something else there. Superusers and the database's owner may; and
# the role itself and those it belongs to, which for a superuser would be all.
FACTS = """
select
    pg_is_in_recovery(),
    current_setting('server_version_num')::integer,
    current_database(),
    pg_has_role('pg_read_all_settings', 'usage'),
    (select setting from pg_settings where name = 'shared_preload_libraries'),
    (select setting from pg_settings where name = 'cron.database_name'),
    (select comment from pg_available_extensions where name = 'pg_cron'),
    (select comment from pg_available_extensions where name = 'pg_net'),
    has_database_privilege(current_database(), 'create') or to_regnamespace('autosync') is not null,
    current_setting('default_transaction_read_only'),
    (
        select quote_ident(o.rolname)
        from pg_namespace as n
        join pg_roles as o on o.oid = n.nspowner
        join pg_roles as me on me.rolname = current_user
        join pg_database as d on d.datname = current_database()
        where n.nspname = 'autosync' and not o.rolsuper and o.oid not in (me.oid, d.datdba)
            and (me.rolsuper or not pg_has_role(o.oid, 'usage')) and has_schema_privilege(n.oid, 'create')
    )
"""


def check(connection: Connection) -> None:
    """Raise the one error that explains why the toolkit cannot be installed here; return if it can be."""
    row = connection.execute(FACTS).fetchone()
    assert row is not None
    judge(row)


def judge(row: tuple[Any, ...]) -> None:
    """Raise what a row of FACTS says against installing the toolkit; return if it says nothing."""
    (replica, version, database, sees_settings, preloaded, cron_database, cron, net, creates, read_only, outsider) = row
    if replica:
        raise UnreachableError(
            "this server is a read replica: neither pg_cron nor pg_net runs here",
            hint="connect to the primary",
        )
    if version < MINIMUM_SERVER_VERSION:
        raise MigrationError(
            f"the server is PostgreSQL {version // 10000}; 15 or newer is needed",
            hint="upgrade the server first",
        )
    if read_only == "on":
        raise MigrationError(
            "the database is read-only (default_transaction_read_only is on)",
            hint="free disk space and end the read-only mode; on Supabase see Settings > Database",
        )
    major = version // 10000
    if cron is None:
        raise MigrationError(
            "pg_cron is not available on this server",
            hint=f"install the package postgresql-{major}-cron, or on Supabase enable it under Integrations > Cron",
        )
    if net is None:
        raise MigrationError(
            "pg_net is not available on this server",
            hint="on Supabase enable it under Database > Extensions; elsewhere build it from supabase/pg_net",
        )
    libraries = {name.strip() for name in (preloaded or "").split(",")}
    needed = ["pg_cron"] if net.startswith("stand-in") else ["pg_cron", "pg_net"]
    if sees_settings:
        for name in needed:
            if name not in libraries:
                raise MigrationError(
                    f"{name} is not in shared_preload_libraries, so its worker does not run",
                    hint="set shared_preload_libraries = "
                    f"'{','.join(sorted((libraries | set(needed)) - {''}))}' and restart the server",
                )
        if cron_database is not None and cron_database != database:
            raise MigrationError(
                f"pg_cron runs in the database {cron_database!r}, not in {database!r}",
                # it may be that of another project, which teardown would take away
                hint=f"connect to {cron_database!r} if that is this project's database, or set cron.database_name = "
                f"'{database}' and restart the server",
            )
    if not creates:
        raise UnreachableError(
            f"this role may not create anything in the database {database!r}",
            hint="connect as the database's owner; on Supabase that is postgres",
        )
    _refuse(outsider)


def require_schema(connection: Connection) -> None:
    """Raise MigrationError if there is a schema autosync of a role that is neither a superuser nor one of ours."""
    row = connection.execute(FACTS).fetchone()
    assert row is not None
    _refuse(row[-1])


def _refuse(outsider: str | None) -> None:
    if outsider is not None:
        raise MigrationError(
            f"the schema autosync belongs to the role {outsider}, which could put anything in the place of what is made"
            " there; nothing was changed",
            hint="see what is in it; if it was not made for autosync-db, let its owner or a superuser drop it, or run:"
            f" grant {outsider} to current_user; alter schema autosync owner to current_user;"
            f" if it was, connect as {outsider}",
        )


def pg_cron_version(connection: Connection) -> str | None:
    """Return the version of pg_cron that is installed here, or would be; None when there is none."""
    row = connection.execute(
        "select coalesce(installed_version, default_version) from pg_available_extensions where name = 'pg_cron'"
    ).fetchone()
    return str(row[0]) if row else None
