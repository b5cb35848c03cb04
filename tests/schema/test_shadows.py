"""Names that somebody puts before ours: no function of ours uses a function, operator or type of somebody else's.

Every function in the live catalogue is called, with the names of PostgreSQL that stand in its text taken by traps in
`public` and `pg_temp`, and both first in the caller's path. tests/schema/test_name_capture.py has a caller's types in a
table's own statements.

Commands run where a plain role took names whose arguments match better than those of PostgreSQL's: that wins wherever
it stands in the path. Such a trap says so in the server's log, as commands look in transactions that cannot write.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from autosync_db.local.cluster import HOST, Cluster
from tests.support import clusters, command, keys

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


# the schemas of the role postgres's path, and what a role needs to put something there
WAYS_IN = {"postgres": "grant create on database postgres to plain", "public": "grant create on schema public to plain"}
COMMANDS = (
    ("verify",), ("status",), ("plan",), ("runs",), ("audit",), ("cost",), ("report", "-o", "page.html"),
    ("jobs", "list"), ("jobs", "show", "auto-sync-cron-job"), ("jobs", "import"), ("secrets", "list"),
    ("secrets", "history"), ("schedules", "list"), ("alerts", "list"),
    ("migrate", "--dry-run"), ("migrate", "--check"), ("teardown", "--dry-run"), ("rollback", "base", "--dry-run"),
    ("jobs", "pause", "auto-sync-cron-job"), ("jobs", "resume", "auto-sync-cron-job"),
    ("secrets", "set", "remote_api", "--from-env", "VALUE"), ("secrets", "delete", "remote_api", "--yes"),
    ("repair", "--yes"), ("rollback", "0007", "--yes"), ("migrate",), ("setup", "--no-wait"),
    ("teardown", "--yes"),
)  # fmt: skip
# statements that such a name takes over where the path is the role's own
SPRINGING = {
    "unnest": "select x from unnest('{a}'::text[]) as x",
    "format": "select format('%s', 'pg_class'::regclass)",
    "jsonb_agg": "select jsonb_agg(x) from (values ('a'::text)) as v (x)",
    "||": "select 'a'::name || 'b'::text",
    "quote_ident": "select quote_ident('a'::name)",
}
_ELEMENTS = (
    "text", "name", "regclass", "regnamespace", "oid", "integer", "bigint", "boolean", "jsonb", "uuid", "interval",
    "timestamp with time zone", "character varying",
)  # fmt: skip
_TEXTS, _OIDS = ("text", "name", "character varying"), ("oid", "regclass", "regnamespace", "regrole", "regtype")
# what is taken for a type without a cast
_TAKEN_FOR = {
    "text": _TEXTS, "oid": _OIDS, "bigint": ("integer",), "numeric": ("integer", "bigint"),
    "double precision": ("integer", "bigint", "numeric"), '"any"': _ELEMENTS,
}  # fmt: skip
_POLYMORPHIC = re.compile(r"\bany(?:compatible)?(?:element|nonarray|array)?\b(?!\")")
_LOOSE = """
    select p.proname, p.prokind = 'a', pg_get_function_result(p.oid), p.provariadic <> 0,
        array(
            select format_type(a.type, null)
            from unnest(p.proargtypes) with ordinality as a (type, place)
            order by place
        )
    from pg_proc as p
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind in ('f', 'a') and p.proname = any(%s)
        and p.proargtypes::oid[] && array(
            select t.oid from pg_type as t where t.typtype = 'p' and t.typname like 'any%%'
            union all select unnest(array['text', 'oid', 'int8', 'numeric', 'float8']::regtype[])
        )
"""
_SPRUNG = "as $$ begin raise warning 'sprung {name}'; return{nothing}; end $$"


def _closer(types: list[str], *, variadic: bool) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield arguments that match more closely than these types, each with what stands for a polymorphic type."""
    if any(_POLYMORPHIC.search(one) for one in types):
        for element in _ELEMENTS:
            yield tuple(_concrete(one, element) for one in types), element
        return
    lengths = range(len(types), len(types) + 3) if variadic else [len(types)]
    for length in lengths:
        wanted = [*types, *types[-1:] * (length - len(types))]
        kinds = [(one, *_TAKEN_FOR.get(one, ())) for one in wanted]
        yield from (
            (chosen, "text") for chosen in itertools.islice(itertools.product(*kinds), 800) if '"any"' not in chosen
        )


def _concrete(type: str, element: str) -> str:
    found = _POLYMORPHIC.search(type)
    return type if found is None else type.replace(found[0], f"{element}[]" if "array" in found[0] else element)


def _traps(connection: Connection) -> Iterator[str]:
    """Yield statements that take names of PostgreSQL's in the first schema of the path, for each word of our files."""
    ours = Path(__file__).parents[2]
    words = {
        word
        for folder, ending in (("sql", "sql"), ("autosync_db", "py"), ("alembic", "*"))
        for file in (ours / folder).rglob(f"*.{ending}")
        if file.suffix in {".sql", ".py"}
        for word in _words(file.read_text())
    }
    made = set()
    for name, is_aggregate, result, variadic, types in connection.execute(_LOOSE.encode(), [sorted(words)]).fetchall():
        for arguments, element in _closer(types, variadic=variadic):
            returned = _concrete(result, element)
            if (
                "TABLE" in returned
                or "any" in returned
                or "internal" in (*arguments, returned)
                or (name, arguments) in made
            ):
                continue
            made.add((name, arguments))
            quoted, listed = sql.Identifier(name).as_string(connection), ", ".join(arguments)
            body = _SPRUNG.format(name=name, nothing="" if returned.startswith("SETOF") else " null")
            if not is_aggregate:
                yield f"create function {quoted}({listed}) returns {returned} language plpgsql {body}"
            elif arguments:
                state = f"state_{len(made)}"
                yield (
                    f"create function {state}({returned}, {listed}) returns {returned} language plpgsql {body};"
                    f"create aggregate {quoted}({listed}) (sfunc = {state}, stype = {returned})"
                )
    operators = [(name, left, right) for name in ("=", "<>", "<", ">", "~") for kinds in (_TEXTS, _OIDS)
                 for left, right in itertools.product(kinds, kinds)]  # fmt: skip
    operators += [("||", left, right) for one in _ELEMENTS for left, right in ((one, "text"), ("text", one))]
    for number, (name, left, right) in enumerate(dict.fromkeys(operators)):
        result = "text" if name == "||" else "boolean"
        body = _SPRUNG.format(name=name, nothing=" null")
        yield (
            f"create function operator_{number}({left}, {right}) returns {result} language plpgsql {body};"
            f"create operator {name} (leftarg = {left}, rightarg = {right}, function = operator_{number})"
        )


def _set_traps(cluster: Cluster) -> None:
    with clusters.connection(cluster, "supabase_admin") as admin:
        admin.execute(f"create role plain login password 'plain'; {'; '.join(WAYS_IN.values())}".encode())
    plain = f"host={HOST} port={cluster.port} dbname=postgres user=plain password=plain"
    with psycopg.connect(plain) as connection:
        statements = ";".join(_traps(connection))
        connection.execute("create schema postgres; grant usage on schema postgres to public")
        connection.execute("set local check_function_bodies = off")
        for schema in WAYS_IN:
            connection.execute(f"set local search_path = {schema}".encode())
            connection.execute(statements.encode())


def _sprung(cluster: Cluster, since: int) -> tuple[set[str], int]:
    """Return the names of the traps that the server's log has from a place on, and where it ends."""
    log = cluster.log.read_bytes()
    return set(re.findall(r"sprung (\S+)", log[since:].decode(errors="replace"))), len(log)


def test_no_command_uses_a_name_that_a_plain_role_took(migrated: Cluster, tmp_path: Path) -> None:
    def run(*arguments: str) -> int:
        variables = {"VALUE": "v" * 20, "AUTOSYNC_JOB__SCHEDULE": "59 23 31 12 *"}
        return command.run(*arguments, database=migrated.url(), variables=variables, folder=tmp_path).code

    (tmp_path / "key").write_text(keys.secret().reveal())
    run("setup", "--no-wait", "--project-ref", keys.PROJECT_REF, "--service-role-key-file", "key")
    _set_traps(migrated)
    with clusters.connection(migrated) as owner:
        # the path as it is comes first: the schema that is named like the role
        for path in ("", "set search_path = public"):
            owner.execute(path.encode())
            for name, statement in SPRINGING.items():
                _, end = _sprung(migrated, 0)
                owner.execute(statement.encode())
                assert _sprung(migrated, end)[0] == {name}, "the traps are set"
    caught, codes = {}, {}
    _, end = _sprung(migrated, 0)
    for arguments in COMMANDS:
        codes[arguments] = run(*arguments)
        names, end = _sprung(migrated, end)
        if names:
            caught[arguments] = names
    assert caught == {}
    # each of them got as far as it gets without traps; 3: there is no worker of pg_net
    assert set(codes.values()) <= {0, 3}, codes
