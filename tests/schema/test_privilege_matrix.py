"""Every object that we make, read from the live catalogue, and every way of reaching it, tried as each role.

A new table, function or sequence is among them without anybody naming it here. What is allowed is ALLOWED; all else has
to be denied, both as it is and after a stray `grant usage on schema autosync`, which alone must open nothing.
"""

import os
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.schema.privileges import ALLOWED, ROLES
from tests.support import clusters, command

Connection = psycopg.Connection[clusters.Row]
Reached = set[tuple[str, str, str]]

# what belongs to an extension, or to the platform before us, is none of ours
_OURS = """
    select o.kind, o.schema, o.name, o.columns
    from (
        select 'schema', n.nspname, n.nspname::text, array[]::text[], 'pg_namespace'::regclass, n.oid
        from pg_namespace as n where n.nspname = 'autosync'
        union all
        select case c.relkind when 'S' then 'sequence' else 'table' end, n.nspname,
            format('%I.%I', n.nspname, c.relname),
            array(select quote_ident(a.attname) from pg_attribute as a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
            'pg_class'::regclass, c.oid
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        union all
        select case when p.prorettype = 'trigger'::regtype then 'trigger' else 'function' end,
            n.nspname,
            format('%I.%I(%s)', n.nspname, p.proname, replace(oidvectortypes(p.proargtypes), ', ', ',')),
            array(select format_type(t, null) from unnest(p.proargtypes) as t), 'pg_proc'::regclass, p.oid
        from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
        union all
        select 'type', n.nspname, format('%I.%I', n.nspname, t.typname), array[]::text[], 'pg_type'::regclass, t.oid
        from pg_type as t join pg_namespace as n on n.oid = t.typnamespace
        where t.typtype in ('d', 'e', 'r') or (t.typtype = 'c' and exists (
            select from pg_class as c where c.oid = t.typrelid and c.relkind = 'c'))
    ) as o (kind, schema, name, columns, catalogue, oid)
    where o.schema in ('public', 'autosync') and not exists (
        select from pg_depend as d where d.classid = o.catalogue and d.objid = o.oid and d.deptype = 'e'
    )
    order by 1, 3
"""
_POLICIES = """
    select tablename, policyname, roles::text, qual, with_check
    from pg_policies
    where schemaname in ('public', 'autosync')
"""
_DEFAULTS = """
    select defaclrole::regrole::text, defaclnamespace::regnamespace::text, defaclobjtype, defaclacl::text
    from pg_default_acl
    order by 1, 2, 3
"""
_ANY_COLUMN = "select has_any_column_privilege(%s, %s, %s)"


def _ways(kind: str, name: str, parts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield every way of reaching an object, with a statement that takes it and fails for lack of a right at once."""
    if kind == "schema":
        yield "usage", "select 'autosync.job'::regclass"
        yield "create", "create table autosync.of_somebody ()"
    elif kind == "sequence":
        yield "select", f"select last_value from {name}"
        yield "usage", f"select nextval('{name}')"
        yield "update", f"select setval('{name}', 7)"
    elif kind == "type":
        yield "usage", f"create temporary table of_type (it {name})"
    elif kind == "table":
        yield "select", f"select from {name} limit 0"
        yield "insert", f"insert into {name} default values"
        yield "delete", f"delete from {name} where false"
        yield "truncate", f"truncate {name}"
        yield (
            "trigger",
            f"create trigger of_somebody before insert on {name} execute function suppress_redundant_updates_trigger()",
        )
        # the right to one column is enough for these three; which of them have it, the catalogue says
        yield "update", f"update {name} set {parts[0]} = default where false"
    else:
        function = name.partition("(")[0]
        given = ", ".join(f"null::{type} as a{number}" for number, type in enumerate(parts))
        passed = ", ".join(f"g.a{number}" for number in range(len(parts)))
        # a call with constants may be left out by the planner, and then asks for no right
        yield "execute", f"select {function}({passed}) from (select {given or 'null'} offset 0) as g"


def _objects(connection: Connection) -> list[tuple[str, str, list[str]]]:
    return [(kind, name, parts) for kind, _, name, parts in connection.execute(_OURS.encode()).fetchall()]


def _reached(connection: Connection, role: str, kinds: set[str]) -> Reached:
    """Return what a role reaches of some kinds of objects, all of it tried and undone."""
    found = [one for one in _objects(connection) if one[0] in kinds]
    reached: Reached = set()
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("set local session authorization {}").format(sql.Identifier(role)))
        for kind, name, parts in found:
            for way, statement in _ways(kind, name, parts):
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(statement.encode())
                except psycopg.errors.InsufficientPrivilege:
                    continue
                except psycopg.Error:
                    pass  # it got past the rights, and failed of something else
                reached.add((role, name, way))
    for kind, name, _ in found:
        for way in ("select", "insert", "update", "references") if kind == "table" else ():
            if connection.execute(_ANY_COLUMN, [role, name, way]).fetchone() == (True,):
                reached.add((role, name, way))
    return reached


def _with_passer_by(cluster: Cluster) -> None:
    with clusters.connect(cluster, "supabase_admin") as connection:
        connection.execute("create role passer_by login")


@pytest.fixture(scope="module")
def open_blank() -> Iterator[Cluster]:
    """A project of before 2026-05-30, where all that postgres makes in public is granted to the API's roles."""
    with clusters.created(open_default_privileges=True) as made:
        _with_passer_by(made)
        yield made


@pytest.fixture(scope="module")
def closed(quiet_template: Cluster) -> Iterator[Cluster]:
    """A project of today, migrated."""
    with clusters.cloned(quiet_template) as copy:
        _with_passer_by(copy)
        yield copy


@pytest.fixture(scope="module")
def restored(closed: Cluster, open_blank: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """What postgres, who is no superuser, restored of `closed` into the open defaults, and migrated."""
    dump = tmp_path_factory.mktemp("dump") / "schemas.dump"
    with clusters.connect(open_blank) as owner:
        owner.execute("create extension if not exists pg_cron; create extension if not exists pg_net")
    for cluster, role, program, arguments in (
        (closed, "supabase_admin", "pg_dump", ["-Fc", "-n", "public", "-n", "autosync", "-f", str(dump)]),
        (open_blank, "postgres", "pg_restore", ["-U", "postgres", "--no-owner", "-d", "postgres", str(dump)]),
    ):
        done = subprocess.run(
            [str(cluster.installation.bin / program), *arguments],
            env={"PATH": os.environ["PATH"], **cluster.environment(role)}, check=False, capture_output=True, text=True,
        )  # fmt: skip
        complaints = [line for line in done.stderr.splitlines() if "ERROR" in line]
        assert [line for line in complaints if "already exists" not in line and "schema public" not in line] == []
    # a dump says nothing of what its target grants by default, so the tables arrive open: row level security shows no
    # row, verify names it, and the next migrate closes it
    with clusters.connection(open_blank, "supabase_admin") as connection:
        arrived = _reached(connection, "anon", {"table"})
        assert ("anon", "public.pg_cron_secrets", "truncate") in arrived
    named = ("secrets_table_protected", "schedules_table_protected", "functions_not_exposed")
    only = [word for name in named for word in ("--only", name)]
    found = command.run("verify", *only, "--format", "json", database=open_blank.url())
    assert {check["id"] for check in found.json()["checks"] if check["status"] == "critical"} == {*named}, found.out
    command.succeeds(command.run("migrate", database=open_blank.url()))
    return open_blank


@pytest.fixture(
    params=["closed", pytest.param("open", marks=pytest.mark.long), pytest.param("restored", marks=pytest.mark.long)]
)
def world(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Each of the worlds; the open one is left as it was for the restore."""
    if request.param != "open":
        found: Cluster = request.getfixturevalue(request.param)
        yield found
        return
    with clusters.created(open_default_privileges=True) as made:
        _with_passer_by(made)
        with clusters.connect(made) as owner:
            before = owner.execute(_DEFAULTS.encode()).fetchall()
            assert before
            migrate.upgrade(made.url())
            assert owner.execute(_DEFAULTS.encode()).fetchall() == before, "default privileges are the platform's"
        yield made


def test_each_role_reaches_what_the_table_allows_and_nothing_else(world: Cluster) -> None:
    allowed = {(role, name, way) for role, name, ways, _ in ALLOWED for way in ways.split()}
    with clusters.connection(world, "supabase_admin") as connection:
        kinds = {kind for kind, *_ in _objects(connection)}
        assert {"schema", "table", "sequence", "function", "trigger"} <= kinds
        found: Reached = set().union(*(_reached(connection, role, {"schema"}) for role in ROLES))
        found |= _reached(connection, "service_role", kinds)
        assert sorted(found - allowed) == []
        assert sorted(allowed - found) == []
        with connection.transaction(force_rollback=True):
            everybody = sql.SQL(", ").join(map(sql.Identifier, ROLES))
            connection.execute(sql.SQL("grant usage on schema autosync to {}").format(everybody))
            opened: Reached = set().union(*(_reached(connection, role, kinds) for role in ROLES))
        assert sorted(opened - allowed - {(role, "autosync", "usage") for role in ROLES}) == []
        policies = connection.execute(_POLICIES.encode()).fetchall()
        assert {"auto_sync_schedules", "pg_cron_secrets"} <= {table for table, *_ in policies}
        assert {tuple(rest) for _, _, *rest in policies} == {("{public}", "false", "false")}
