"""Only the owner and service_role can read a secret, whichever way somebody else tries.

tests/schema/test_privileges.py asks for the rights one by one, tests/schema/test_name_capture.py for a caller's types.
"""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from autosync_db.credentials import store
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from autosync_db.secret import Secret
from tests.support import clusters, keys

Connection = psycopg.Connection[clusters.Row]
WITHOUT_RIGHTS = ("anon", "authenticated", "authenticator", "passer_by")
NAMES = ("project_url", "service_role_key", "cron_secret", "remote_api")

# each is run as somebody without rights; what it answers is looked through
WAYS: dict[str, str] = {
    "select": "select * from public.pg_cron_secrets",
    "one column": "select secret from public.pg_cron_secrets",
    "whole rows": "select s from public.pg_cron_secrets as s",
    "sample": "select secret from public.pg_cron_secrets tablesample system (100)",
    "count of a guess": "select count(*) from public.pg_cron_secrets where secret like 'e%'",
    "error of a cast": "select secret::integer from public.pg_cron_secrets",
    "copy": "copy public.pg_cron_secrets to stdout",
    "copy of a query": "copy (select secret from public.pg_cron_secrets) to stdout",
    "cursor": "declare c cursor for select secret from public.pg_cron_secrets",
    "prepared": "prepare p as select secret from public.pg_cron_secrets",
    "explain": "explain (analyze, verbose) select secret from public.pg_cron_secrets",
    "xml": "select query_to_xml('select secret from public.pg_cron_secrets', true, false, '')",
    "table as xml": "select table_to_xml('public.pg_cron_secrets', true, false, '')",
    "schema as xml": "select schema_to_xml('public', true, false, '')",
    "returning of an update": "update public.pg_cron_secrets set name = name returning secret",
    "returning of a delete": "delete from public.pg_cron_secrets returning secret",
    "conflict": "insert into public.pg_cron_secrets (name, secret) values ('project_url', 'x')"
    " on conflict (name) do update set secret = pg_cron_secrets.secret returning secret",
    "temporary view": "create temporary view v as select secret from public.pg_cron_secrets",
    "temporary table": "create temporary table t as select secret from public.pg_cron_secrets",
    "like with statistics": "create temporary table t (like public.pg_cron_secrets including all)",
    "temporary function": "create function pg_temp.f() returns setof text language sql security definer"
    " as 'select secret from public.pg_cron_secrets'",
    "block": "do 'begin perform secret from public.pg_cron_secrets; end'",
    "foreign key": "create temporary table t (name text references public.pg_cron_secrets (name))",
    "inheritance": "create temporary table t () inherits (public.pg_cron_secrets)",
    "statistics": "select most_common_vals, histogram_bounds from pg_stats where tablename = 'pg_cron_secrets'",
    "raw statistics": "select stavalues1::text, stavalues2::text from pg_statistic"
    " where starelid = 'public.pg_cron_secrets'::regclass",
    "file": "select pg_read_file(pg_relation_filepath('public.pg_cron_secrets'))",
    "file as blob": "select pg_read_binary_file(pg_relation_filepath('public.pg_cron_secrets'))",
    "large object": "select lo_import('/etc/hostname')",
    "program": "copy (select 1) to program 'true'",
    "row security off": "set row_security = off",
    "become the owner": "set role postgres",
    "read_secret": "select autosync.read_secret('service_role_key')",
    "stored_secrets": "select * from autosync.stored_secrets()",
    "call_headers": "select autosync.call_headers('auto-sync-cron-job')",
    "secret_facts": "select * from autosync.secret_facts()",
    "put_secret": "select autosync.put_secret('service_role_key', 'mine')",
    "begin_rotation": "select autosync.begin_rotation(gen_random_uuid(), '1 day')",
    "dispatch": "select autosync.dispatch()",
    "kept by a rotation": "select previous from autosync.secret_rotation",
    "history": "select * from autosync.secret_change",
    "job": "select cron.schedule('mine', '* * * * *', 'select secret from public.pg_cron_secrets')",
    "comments": "select col_description('public.pg_cron_secrets'::regclass, 1)",
    "activity": "select query from pg_stat_activity",
}


@pytest.fixture(scope="module")
def secrets_by_name() -> dict[str, Secret]:
    """A value for every kind of secret."""
    return {name: keys.secret() if name != "service_role_key" else keys.legacy() for name in NAMES}


@pytest.fixture(scope="module")
def stored(quiet_template: Cluster, secrets_by_name: dict[str, Secret]) -> Iterator[Cluster]:
    """A project with secrets, statistics about them and a rotation that keeps one; `passer_by` may log in."""
    with clusters.cloned(quiet_template) as copy:
        clusters.keep_quiet(copy)
        with clusters.connect(copy) as owner, clusters.connect(copy, "supabase_admin") as admin:
            admin.execute("create role passer_by login")
            store.store(owner, secrets_by_name)
            owner.execute(
                "insert into autosync.secret_rotation (name, token, kept, previous, lease_expires_at)"
                " select 'service_role_key', gen_random_uuid(), 'here', s.secret, now()"
                " from public.pg_cron_secrets as s where s.name = 'service_role_key'"
            )
            owner.execute("analyze public.pg_cron_secrets, autosync.secret_rotation")
        yield copy


@pytest.fixture
def admin(stored: Cluster) -> Iterator[Connection]:
    """A superuser's transaction, to become somebody else in; it is rolled back."""
    with psycopg.connect(stored.url("supabase_admin").reveal()) as connection:
        try:
            yield connection
        finally:
            connection.rollback()


def _become(connection: Connection, role: str) -> None:
    connection.execute(sql.SQL("set session authorization {}").format(sql.Identifier(role)))


def _answer(connection: Connection, statement: str) -> str:
    """Return all that a statement shows, its error with every detail among it; what it did is undone."""
    text = ""
    try:
        with connection.transaction():
            text = _shown(connection, statement)
            raise psycopg.Rollback
    except psycopg.Error as error:
        diag = error.diag
        return f"{error} {diag.message_detail} {diag.context} {diag.internal_query}"
    return text


def _shown(connection: Connection, statement: str) -> str:
    if statement.startswith("copy") and statement.endswith("stdout"):
        with connection.cursor().copy(statement.encode()) as copy:
            return b"".join(bytes(part) for part in copy).decode()
    cursor = connection.execute(statement.encode())
    if statement.startswith(("declare", "prepare")):
        cursor = connection.execute("fetch all in c" if statement.startswith("declare") else "execute p")
    return str(cursor.fetchall()) if cursor.description else ""


def _held(text: str, secrets_by_name: dict[str, Secret]) -> list[str]:
    return [name for name, value in secrets_by_name.items() if value.reveal()[-20:] in text]


@pytest.mark.parametrize("role", WITHOUT_RIGHTS)
def test_no_way_shows_a_secret_to_who_may_not_read_it(
    role: str, admin: Connection, secrets_by_name: dict[str, Secret]
) -> None:
    _become(admin, role)
    answers = {way: _answer(admin, statement) for way, statement in WAYS.items()}
    assert {way: held for way, text in answers.items() if (held := _held(text, secrets_by_name))} == {}


GRANTS = {
    "a stray grant": "grant all on public.pg_cron_secrets to {0}; grant usage on schema autosync to {0};"
    " grant all on all tables in schema autosync to {0}",
    "the right to read everything": "grant pg_read_all_data, pg_monitor to {0}",
}


@pytest.mark.parametrize("role", ["authenticated", "passer_by"])
@pytest.mark.parametrize("grant", GRANTS)
def test_no_grant_shows_a_row_either(
    grant: str, role: str, admin: Connection, secrets_by_name: dict[str, Secret]
) -> None:
    admin.execute(GRANTS[grant].format(role).encode())
    _become(admin, role)
    answers = {way: _answer(admin, statement) for way, statement in WAYS.items()}
    assert {way: held for way, text in answers.items() if (held := _held(text, secrets_by_name))} == {}


@pytest.mark.parametrize("role", ["postgres", "service_role"])
def test_the_ways_show_a_secret_to_whoever_may_see_it(
    role: str, admin: Connection, secrets_by_name: dict[str, Secret]
) -> None:
    ways = [way for way in WAYS if way.startswith(("select", "copy", "xml", "table as", "cursor", "prepared", "one"))]
    if role == "postgres":
        ways += ["read_secret", "kept by a rotation"]
    _become(admin, role)
    assert {way for way in ways if not _held(_answer(admin, WAYS[way]), secrets_by_name)} == set()


def test_service_role_reads_the_table_and_nothing_of_the_private_schema(
    admin: Connection, secrets_by_name: dict[str, Secret]
) -> None:
    _become(admin, "service_role")
    private = {way: text for way, text in WAYS.items() if "autosync." in text}
    assert len(private) > 8
    answers = {way: _answer(admin, statement) for way, statement in private.items()}
    assert {way for way, text in answers.items() if "permission denied" not in text} == set()
    assert "permission denied" in _answer(admin, "update public.pg_cron_secrets set secret = 'x'")


@pytest.mark.parametrize("role", WITHOUT_RIGHTS)
def test_the_information_schema_does_not_even_name_the_table(role: str, admin: Connection) -> None:
    _become(admin, role)
    for view in ("tables", "columns", "table_privileges", "column_privileges", "role_table_grants", "triggers"):
        column = "event_object_table" if view == "triggers" else "table_name"
        rows = admin.execute(
            f"select * from information_schema.{view} where {column} = 'pg_cron_secrets'".encode()
        ).fetchall()
        assert rows == [], view


def test_authenticator_reads_as_service_role_alone(stored: Cluster, secrets_by_name: dict[str, Secret]) -> None:
    """The Data API's own login may become service_role: whoever has its password has the secrets."""
    with clusters.connect(stored, "authenticator") as connection:
        assert "permission denied" in _answer(connection, WAYS["select"])
        connection.execute("set role service_role")
        assert _held(_answer(connection, WAYS["select"]), secrets_by_name)


# what the calls use, as somebody could define it in a schema that others may create in
TRAPS = """
create function public.{name}({arguments}) returns {result} language plpgsql as
    $$ begin raise exception 'caught {name} as %', current_user; end $$
"""
BAIT = (
    ("btrim", "text, text", "text"), ("now", "", "timestamptz"), ("clock_timestamp", "", "timestamptz"),
    ("format", "text, text", "text"), ("format", "text, bigint", "text"), ("rtrim", "text, text", "text"),
    ("ceil", "numeric", "numeric"), ("greatest_of", "int, int", "int"), ("jsonb_build_object", "text, text", "jsonb"),
    ("jsonb_build_object", "text, bigint", "jsonb"), ("jsonb_build_object", "text, text, text, bigint", "jsonb"),
    ("current_setting", "text", "text"), ("current_setting", "text, boolean", "text"),
    ("unnest", "text[]", "setof text"), ("length", "text", "int"),
    ("left", "text, int", "text"), ("encode", "bytea, text", "text"), ("sha256", "bytea", "bytea"),
    ("convert_to", "text, text", "bytea"), ("pg_backend_pid", "", "int"), ("gen_random_uuid", "", "uuid"),
    ("make_interval", "int, int, int, int, int, int, double precision", "interval"),
    ("regexp_replace", "text, text, text, text", "text"), ("read_secret", "text", "text"), ("settle", "", "bigint"),
    ("prune", "text", "void"), ("http_post", "text, jsonb, jsonb, jsonb, int", "bigint"),
)  # fmt: skip


def _bait(connection: Connection) -> None:
    for name, arguments, result in BAIT:
        connection.execute(TRAPS.format(name=name, arguments=arguments, result=result).encode())
    for table in ("job", "setting", "tick", "invocation", "secret_rotation", "http_request_queue"):
        connection.execute(f"create table public.{table} (name text, value jsonb)".encode())
    for left, right in (("text", "text"), ("text", "bigint"), ("jsonb", "jsonb")):
        connection.execute(
            f"create function public.caught_operator({left}, {right}) returns {left} language plpgsql as"
            " $$ begin raise exception 'caught an operator as %', current_user; end $$".encode()
        )
        connection.execute(
            f"create operator public.|| (leftarg = {left}, rightarg = {right},"
            " function = public.caught_operator)".encode()
        )


@pytest.mark.parametrize(
    ("role", "call"),
    [
        ("postgres", "select autosync.dispatch('auto-sync-cron-job', true)"),
        ("postgres", "select autosync.settle()"),
        ("postgres", "select autosync.put_secret('other', 'value')"),
        ("postgres", "select count(*) from autosync.secret_facts()"),
        ("service_role", "select count(*) from public.auto_sync_claim(1)"),
        ("service_role", "select public.auto_sync_complete(pg_catalog.gen_random_uuid(), 'success')"),
    ],
)
def test_names_that_somebody_put_before_ours_are_not_used(role: str, call: str, admin: Connection) -> None:
    _bait(admin)
    _become(admin, role)
    # first in the path, as nobody's should be: what is called has a path of its own
    admin.execute("set local search_path = public, pg_catalog, autosync, net")
    assert "caught" not in _answer(admin, call)


def test_the_bait_is_taken_where_a_path_is_not_pinned(admin: Connection) -> None:
    admin.execute("alter function autosync.dispatch(text, boolean) reset search_path")
    _bait(admin)
    _become(admin, "postgres")
    admin.execute("set local search_path = public, pg_catalog, autosync, net")
    assert "caught" in _answer(admin, "select autosync.dispatch('auto-sync-cron-job', true)")


def test_statistics_of_before_are_forgotten(blank: Cluster, secrets_by_name: dict[str, Secret]) -> None:
    migrate.upgrade(blank.url(), "0006")
    with clusters.connect(blank) as owner, clusters.connect(blank, "supabase_admin") as admin:
        store.store(owner, secrets_by_name)
        owner.execute("analyze public.pg_cron_secrets")
        noted = (
            "select count(*) from pg_statistic where starelid = 'public.pg_cron_secrets'::regclass and staattnum = 2"
        )
        assert admin.execute(noted.encode()).fetchone() == (1,)
        migrate.upgrade(blank.url())
        owner.execute("analyze public.pg_cron_secrets")
        assert admin.execute(noted.encode()).fetchone() == (0,)
        stored = owner.execute("select count(*) from public.pg_cron_secrets").fetchone()
        assert stored == (len(secrets_by_name),)
