"""A database as text: what two databases must agree in to count as the same."""

from typing import Any, LiteralString

import psycopg

from autosync_db.local.cluster import Cluster
from tests.support import clusters, dumps

# pg_dump shows objects, comments, policies and grants; these are the rows that decide what runs
_JOBS = "select jobname, schedule, command, username, database, active from cron.job order by jobname, jobid"
_REGISTRY = "select name, function, schedule, timeout_milliseconds, invoke, paused_at from autosync.job order by name"
_OBJECTS = "select path, source_hash, live_hash from autosync.object order by path"
_REVISION = "select version_num from autosync.alembic_version"
_EXTENSIONS = """
select e.extname, n.nspname from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace order by 1
"""
# every grant in our schemas, one row each, in no order that history could change
_PRIVILEGES = """
with item (object, owner, privileges) as (
    select format('schema %I', n.nspname), n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
    from pg_namespace as n
    where n.nspname = 'autosync'
    union all
    select c.oid::regclass::text, c.relowner,
        coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
    from pg_class as c
    where c.relnamespace in ('public'::regnamespace, to_regnamespace('autosync'))
        and c.relkind in ('r', 'v', 'S')
    union all
    select p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
    from pg_proc as p
    where p.pronamespace in ('public'::regnamespace, to_regnamespace('autosync'))
)
select i.object, coalesce(r.rolname, 'everybody'), a.privilege_type, a.is_grantable
from item as i
cross join lateral aclexplode(i.privileges) as a
left join pg_roles as r on r.oid = a.grantee
order by 1, 2, 3
"""


def snapshot(cluster: Cluster, *, registry: bool = True) -> str:
    """Return schemas public and autosync as pg_dump shows them, and our rows; `registry` adds the hashes."""
    dump = dumps.statements(cluster, "-n", "public", "-n", "autosync")
    with clusters.connect(cluster) as connection:
        parts = [dump, *(str(row) for row in connection.execute(_EXTENSIONS))]
        parts += [str(row) for row in privileges(connection)]
        if exists(connection, "cron.job"):
            parts += rows(connection, _JOBS)
        if exists(connection, "autosync.job"):
            parts += rows(connection, _REGISTRY)
        if exists(connection, "autosync.alembic_version"):
            parts += rows(connection, _REVISION)
        if registry and exists(connection, "autosync.object"):
            parts += rows(connection, _OBJECTS)
    return "\n".join(parts)


def privileges(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Return (object, grantee, privilege, grantable) of everything in public and autosync."""
    return connection.execute(_PRIVILEGES).fetchall()


def rows(connection: psycopg.Connection[Any], query: LiteralString) -> list[str]:
    """Return the rows of a query as text."""
    return [str(row) for row in connection.execute(query)]


def exists(connection: psycopg.Connection[Any], table: str) -> bool:
    """Return whether there is such a table."""
    return connection.execute("select to_regclass(%s) is not null", [table]).fetchone() == (True,)
