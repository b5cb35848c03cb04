"""Names that somebody puts before ours: no function of ours uses a function, operator or type of somebody else's.

Every function in the live catalogue is called, with the names of PostgreSQL that stand in its text taken by traps in
`public` and `pg_temp`, and both first in the caller's path. tests/schema/test_name_capture.py has a caller's types in a
table's own statements.
"""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from autosync_db.local.cluster import Cluster
from tests.support import clusters

Connection = psycopg.Connection[clusters.Row]

# a value of each type that a function of ours takes; a type that is not here gets null
SAMPLES = {
    "text": "'a'", "name": "'a'", "integer": "1", "bigint": "1", "numeric": "1.5", "boolean": "true",
    "double precision": "1", "jsonb": "'{\"ok\": false, \"errors\": [\"a\"], \"status\": \"failed\"}'",
    "text[]": "'{a,b}'",
    "uuid": "pg_catalog.gen_random_uuid()", "timestamp with time zone": "'2026-01-05 10:00+00'",
    "timestamp without time zone": "'2026-01-05 10:00'",
    "time without time zone": "'08:00'", "interval": "'1 day'", "date": "'2026-01-05'", "bytea": "'a'", "smallint": "1",
}  # fmt: skip
_FUNCTIONS = """
    select format('%I.%I', n.nspname, p.proname), array(select format_type(t, null) from unnest(p.proargtypes) as t),
        p.prosrc
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where (n.nspname = 'autosync' or p.proname like 'auto\\_sync\\_%')
        and p.prorettype <> 'trigger'::regtype and p.prokind = 'f'
    order by 1
"""
# what is built in, and can be made again with the same arguments: the same name and types win by the path alone
_BUILT_IN = """
    select p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid)
    from pg_proc as p
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.proname = any(%s)
        and not exists (
            select from unnest(p.proargtypes || p.prorettype) as t (oid) join pg_type as y on y.oid = t.oid
            where y.typtype = 'p'
        )
"""
_OPERATORS = """
    select o.oprname, o.oprleft::regtype::text, o.oprright::regtype::text, o.oprresult::regtype::text
    from pg_operator as o
    where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprkind = 'b'
        and o.oprleft::regtype::text = any(%(types)s) and o.oprright::regtype::text = any(%(types)s)
"""
_TRAP = """
    create function public.{name}({arguments}) returns {result} language plpgsql as
    $$ begin raise exception 'caught {name}'; end $$
"""
_PATH = "set local search_path = pg_temp, public, autosync, pg_catalog, net, cron"


def _take_names(connection: Connection, texts: list[str]) -> int:
    """Make a trap of every name of PostgreSQL that the texts may use; return how many there are."""
    words = {word for text in texts for word in _words(text)}
    made = 0
    for name, arguments, result in connection.execute(_BUILT_IN, [sorted(words)]).fetchall():
        quoted = sql.Identifier(name).as_string(connection)
        connection.execute(_TRAP.format(name=quoted, arguments=arguments, result=result).encode())
        made += 1
    types = [*SAMPLES]
    for name, left, right, result in connection.execute(_OPERATORS, {"types": types}).fetchall():
        function = f"trap_{made}"
        arguments = f"{left}, {right}"
        connection.execute(_TRAP.format(name=function, arguments=arguments, result=result).encode())
        connection.execute(
            f"create operator public.{name} (leftarg = {left}, rightarg = {right}, function = {function})".encode()
        )
        made += 1
    connection.execute(
        "create function pg_temp.caught(name pg_catalog.text) returns pg_catalog.bool language plpgsql as"
        " $$ begin raise exception 'caught the type %', name; end $$"
    )
    for name in ("timestamptz", "text", "uuid", "jsonb", "name", "date"):
        connection.execute(
            f"create domain pg_temp.{name} as pg_catalog.{name} check (pg_temp.caught('{name}'))".encode()
        )
    return made


def _words(text: str) -> set[str]:
    """Return the words of a function's text, any of which may be a name."""
    return {word.strip("_") for word in "".join(one if one.isalnum() or one == "_" else " " for one in text).split()}


def _answer(connection: Connection, function: str, types: list[str], values: dict[str, str]) -> str:
    """Return what a call says, or the error that it ends in; all that it did is undone."""
    given = ", ".join(f"cast({values.get(type, 'null')} as {_qualified(type)})" for type in types)
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(_PATH.encode())
            return str(connection.execute(f"select {function}({given})".encode()).fetchall())
    except psycopg.Error as error:
        return f"{error} {error.diag.context}"


def _qualified(type: str) -> str:
    # the standard's own words for types are no names, and cannot be taken
    return f"pg_catalog.{type}" if type.split("[")[0] in {"text", "name", "jsonb", "uuid", "date", "bytea"} else type


def _caught(connection: Connection) -> dict[str, str]:
    found = {}
    for function, types, _ in connection.execute(_FUNCTIONS.encode()).fetchall():
        for values in (SAMPLES, {}):
            said = _answer(connection, function, types, values)
            if "caught" in said:
                found[function] = said[:300]
    return found


@pytest.fixture
def trapped(shared: Cluster) -> Iterator[Connection]:
    """A superuser's transaction in a project at head that is full of traps; it is rolled back."""
    with psycopg.connect(shared.url("supabase_admin").reveal()) as connection:
        texts = [text for *_, text in connection.execute(_FUNCTIONS.encode()).fetchall()]
        assert _take_names(connection, texts) > 300
        yield connection
        connection.rollback()


def test_no_function_of_ours_uses_a_name_that_somebody_else_took(trapped: Connection) -> None:
    assert _caught(trapped) == {}
    # the traps are sprung where a path is not pinned
    trapped.execute("alter function autosync.fingerprint(pg_catalog.text) reset search_path")
    assert set(_caught(trapped)) >= {"autosync.fingerprint"}
