"""Connection parameters and the ways to read a query's result; commands are tested against real servers."""

import re
import socket
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from autosync_db import connection
from autosync_db.connection import names, silence
from autosync_db.connection.url import parameters
from autosync_db.credentials import store
from autosync_db.errors import ConflictError, MigrationError, UnreachableError, UsageError
from autosync_db.local.cluster import HOST, Cluster
from autosync_db.secret import Secret
from tests.support import clusters, command, keys


def _of(url: str) -> dict[str, object]:
    return parameters(Secret(url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db.example.org/postgres",
        "postgres://u@db.example.org:6543/postgres",
        "host=db.example.org user=u",
        "postgresql://u@10.0.0.5/postgres",
        "hostaddr=203.0.113.7 user=u",
        "postgresql://u@[2001:db8::1]/postgres",
        "postgresql://u@localhost.example.org/postgres",
    ],
)
def test_a_connection_that_leaves_the_machine_is_encrypted(url: str) -> None:
    assert _of(url)["sslmode"] == "require"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///postgres",
        "postgresql://localhost/postgres",
        "postgresql://127.0.0.1:5433/postgres",
        "host=/run/postgresql",
        "postgresql://[::1]/postgres",
        "hostaddr=127.0.0.1",
        "postgresql://%2Frun%2Fpostgresql/postgres",
    ],
)
def test_a_connection_on_the_machine_need_not_be(url: str) -> None:
    assert "sslmode" not in _of(url)


def test_one_remote_host_of_several_is_enough_to_encrypt() -> None:
    assert _of("host=localhost,db.example.org")["sslmode"] == "require"
    assert _of("host=localhost hostaddr=203.0.113.7")["sslmode"] == "require"


@pytest.mark.parametrize("mode", ["disable", "verify-full", "prefer"])
def test_the_users_choice_is_kept(mode: str) -> None:
    chosen = _of(f"postgresql://u@db.example.org/postgres?sslmode={mode}&connect_timeout=3&application_name=mine")
    assert (chosen["sslmode"], chosen["connect_timeout"], chosen["application_name"]) == (mode, "3", "mine")


def test_every_connection_has_a_name_and_a_time_limit() -> None:
    chosen = _of("postgresql://u@localhost/postgres")
    assert (chosen["application_name"], chosen["connect_timeout"]) == ("autosync-db", 10)


@pytest.mark.parametrize("absent", [None, Secret("")])
def test_no_url_is_refused_with_the_ways_to_give_one(absent: Secret | None) -> None:
    with pytest.raises(UsageError, match="no database") as caught:
        parameters(absent)
    assert "AUTOSYNC_DATABASE_URL" in caught.value.hint


@pytest.mark.parametrize(
    "form",
    [
        "postgresql://u:{}@[host/db",
        "host=h password={} x",
        "postgresql://u:{}@h/db?nonsense=1",
        "postgresql://u:{}%zz@h/db",
        "postgresql://u:{}%a5@h/db",
        # libpq takes a piece of it for something else
        "postgresql://u:1234@{}@h/db",
        "postgresql://u:1234@{}/1234@h/db",
        "postgresql://u:1234@@{}@h/db",
        "postgresql://u:1234/{}@h/db",
        "postgresql://u:/{}@h/db",
        "postgresql://u:1234 {}@h/db",
        "postgresql://u:{}",
        "postgresql://u:1234?{}",
        "host=h port={}",
        "host=h@{} user=u",
        "host=h connect_timeout=2 port=65536 dbname={}",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_being_quoted(form: str) -> None:
    canary = keys.secret().reveal()
    with pytest.raises(UsageError, match="cannot be parsed") as caught:
        _of(form.format(canary))
    assert canary not in caught.value.message + caught.value.hint
    assert "@ as %40" in caught.value.hint
    assert "[YOUR-PASSWORD]" in caught.value.hint
    assert caught.value.__context__ is None, "libpq's own error quotes it"


@pytest.mark.parametrize(
    ("form", "said", "hint"),
    [
        ("'postgresql://u:{}@h/db'", "has quotation marks around it", "alone"),
        ("DB_URL=postgresql://u:{}@h/db", "begins with the name of a variable, DB_URL=", "alone"),
        ('export DB_URL="postgresql://u:{}@h/db"', "begins with the name of a variable, DB_URL=", "alone"),
        ('psql "postgresql://u:{}@h/db"', "is a command of psql", "alone"),
        ("psql -h h -U u -d db password={}", "is a command of psql", "alone"),
        ("jdbc:postgresql://h/db?user=u&password={}", "is one for JDBC", "postgresql://USER"),
        ("postgresql+psycopg2://u:{}@h/db", "names a driver", "leave +psycopg2 out"),
        ("prisma+postgres://accelerate.example.com/?api_key={}", "of Prisma's proxy", "of the database itself"),
        (
            "postgresql://u:{}@h:6543/db?pgbouncer=true&connection_limit=1",
            "knows: pgbouncer, connection_limit",
            "AUTOS",
        ),
        ("postgresql://u:{}@h/db?sslmode=require&schema=public", "knows: schema", "export AUTOSYNC_DATABASE_URL"),
    ],
)
def test_what_was_copied_with_more_or_for_another_program_is_named(form: str, said: str, hint: str) -> None:
    canary = keys.secret().reveal()
    with pytest.raises(UsageError) as caught:
        _of(form.format(canary))
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert canary not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://{ref}.supabase.co", "an address of the web"),
        (" https://postgres:{word}@{ref}.supabase.co/rest/v1/", "an address of the web"),
        ("https://supabase.com/dashboard/project/{ref}", "an address of the web"),
        (
            "postgresql://postgres:{word}@{ref}.supabase.co:5432/postgres",
            "host of the project's API, {ref}.supabase.co",
        ),
        ("postgres://{ref}.supabase.co/postgres", "the project's API, {ref}.supabase.co"),
        ("host={ref}.supabase.co user=postgres password={word}", "the project's API, {ref}.supabase.co"),
    ],
)
def test_the_address_of_the_api_is_refused_before_anything_is_tried(url: str, said: str) -> None:
    word = "pass" + "w0rd-of-ours"
    with pytest.raises(UsageError) as caught, connection.connect(Secret(url.format(ref=keys.PROJECT_REF, word=word))):
        pass
    assert said.format(ref=keys.PROJECT_REF) in caught.value.message
    assert "under Connect: it begins with postgresql://" in caught.value.hint
    assert word not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("url", ["postgresql://u:{}@h/db", "host=h user=u password={}"])
@pytest.mark.parametrize("left", ["[YOUR-PASSWORD]", "%5BYOUR-PASSWORD%5D", "[your_password]"])
def test_the_placeholder_of_the_dashboard_is_refused_by_name(url: str, left: str) -> None:
    with pytest.raises(UsageError, match=r"placeholder \[YOUR-PASSWORD\]"):
        _of(url.format(left))


@pytest.mark.parametrize("left", ["YOUR-PASSWORD", "YOUR_PASSWORD", "[DATABASE-PASSWORD]", "<password>"])
def test_other_placeholders_are_refused_too(left: str) -> None:
    with pytest.raises(UsageError, match=r"placeholder"):
        _of(f"postgresql://postgres:{left}@db.example.org/postgres")


@pytest.mark.parametrize("left", ["$DB_PASSWORD", "${DB_PASSWORD}"])
def test_a_variable_that_the_shell_did_not_fill_in_is_named(left: str) -> None:
    with pytest.raises(UsageError) as caught:
        _of(f"postgresql://postgres:{left}@db.example.org/postgres")
    assert caught.value.message == f"the database URL holds {left} itself instead of its value"
    assert "double quotes" in caught.value.hint


@pytest.mark.parametrize("password", ["password", "postgres", "%24DB_PASSWORD", "$ecret", "a$B_C", "my-password"])
def test_a_password_that_resembles_a_placeholder_is_one(password: str) -> None:
    assert _of(f"postgresql://postgres:{password}@db.example.org/postgres")["password"]


# what a message may name, and what it may not: in a URL that lacks its host something else stands in its place
@pytest.mark.parametrize(
    ("url", "named", "hidden"),
    [
        ("postgresql://u:word@no.such.invalid/db", "no.such.invalid:5432: failed to resolve host 'no.such", "word"),
        ("postgresql://u:one%40two@127.0.0.1:1/db", "the database at 127.0.0.1:1: Connection refused", "two"),
        ("host=nosuchhost user=u password=p@s/s?w#o%rd", "nosuchhost:5432: failed to resolve host 'nosuchhost'", "rd"),
        ("postgresql://u:one@twotwo", "the database: failed to resolve host '***'", "twotwo"),
        ("postgresql://uuuu:4321/twotwo", "the database: failed to resolve host '***'", "uuuu"),
        ("host=127.0.0.1 sslmode=wordword", 'invalid sslmode value: "***"', "wordword"),
    ],
)
def test_an_unreachable_host_is_named_only_if_it_is_one(url: str, named: str, hidden: str) -> None:
    with pytest.raises(UnreachableError) as caught, connection.connect(Secret(url)):
        pass
    assert named in caught.value.message
    assert hidden not in caught.value.message + caught.value.hint
    assert caught.value.__suppress_context__


def test_a_parameter_that_psycopg_refuses_is_not_quoted() -> None:
    with pytest.raises(UsageError, match="cannot be parsed"), connection.connect(Secret("host=h connect_timeout=word")):
        pass


def test_a_password_of_reserved_characters_works_when_it_is_escaped(shared: Cluster) -> None:
    password = "p@s/s?w#o%r d"
    with psycopg.connect(shared.url("supabase_admin").reveal(), autocommit=True) as admin:
        admin.execute(sql.SQL("create role reader login password {}").format(sql.Literal(password)))
        try:
            for url in (
                f"postgresql://reader:{quote(password, safe='')}@{HOST}:{shared.port}/postgres",
                f"host={HOST} port={shared.port} dbname=postgres user=reader password='{password}'",
            ):
                with connection.connect(Secret(url)) as opened:
                    assert connection.value(opened, "select current_user") == "reader"
        finally:
            admin.execute("drop role reader")


def test_a_direct_host_that_has_ipv6_only_is_named_before_anything_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    host = f"db.{keys.PROJECT_REF}.supabase.co"
    url = Secret(f"postgresql://postgres:word@{host}:5432/postgres")
    found = [(socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("2001:db8::1", 5432, 0, 0))]
    tried: list[object] = []

    def refuse(**chosen: object) -> None:
        tried.append(chosen)
        raise psycopg.OperationalError("Connection refused")

    monkeypatch.setattr(silence.Patient, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(connection, "_has_route", lambda _: False)
    with (
        pytest.raises(UnreachableError, match="has an IPv6 address only, and this machine has no IPv6") as caught,
        connection.connect(url),
    ):
        pass
    assert host in caught.value.message
    assert "word" not in caught.value.message
    assert "session pooler" in caught.value.hint
    assert tried == []
    # whoever has IPv6, a host with an IPv4 address or another host is tried
    ipv4 = (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("203.0.113.7", 5432))
    for route, addresses, address in (
        (True, found, url),
        (False, [*found, ipv4], url),
        (False, found, Secret("postgresql://postgres:word@db.example.org/postgres")),
    ):
        monkeypatch.setattr(connection, "_has_route", lambda _, route=route: route)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, addresses=addresses, **__: addresses)
        with pytest.raises(UnreachableError, match="Connection refused"), connection.connect(address):
            pass
    assert len(tried) == 3


def test_a_session_that_was_ended_says_so_wherever_it_was(shared: Cluster) -> None:
    ended = "do $$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(30); end $$"
    with (
        pytest.raises(UnreachableError, match=r"terminating connection due to administrator command$"),
        connection.connect(shared.url()) as session,
    ):
        session.execute(ended)


def test_a_value_is_the_first_column_of_the_first_row(transaction: psycopg.Connection[clusters.Row]) -> None:
    assert connection.value(transaction, "select n, 'x' from generate_series(%s, 9) as n", [7]) == 7
    assert connection.value(transaction, "select %(name)s::text", {"name": "a"}) == "a"
    assert connection.value(transaction, "select 1 where false") is None
    assert connection.value(transaction, "select null") is None


def test_rows_are_all_rows_of_a_query(transaction: psycopg.Connection[clusters.Row]) -> None:
    assert connection.rows(transaction, "select n, -n from generate_series(1, %s) as n", [2]) == [(1, -1), (2, -2)]
    assert connection.rows(transaction, "select 1 where false") == []
    with pytest.raises(psycopg.ProgrammingError):
        connection.rows(transaction, "set local lock_timeout = 0")


@pytest.mark.parametrize(
    ("names", "there"),
    [
        (["autosync.job"], True),
        (["autosync.settle()"], True),
        (["autosync.needed_secrets(text)"], True),
        (["autosync.job", "autosync.settle()"], True),
        (["autosync.job", "autosync.nothing()"], False),
        (["autosync.nothing", "autosync.job"], False),
        (["autosync.needed_secrets()"], False),
        (["nowhere.job"], False),
        (["nowhere.settle()"], False),
    ],
)
def test_existence_is_that_of_all_relations_and_functions_named(
    transaction: psycopg.Connection[clusters.Row], names: list[str], there: bool
) -> None:
    assert connection.exists(transaction, *names) is there


def test_existence_is_refused_to_who_may_not_use_the_schema(transaction: psycopg.Connection[clusters.Row]) -> None:
    transaction.execute("set local role anon")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.exists(transaction, "autosync.job")


def test_a_command_that_a_plain_role_keeps_from_reading_ends_soon_and_names_the_session(
    migrated: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert re.search(rb"lock_timeout = '[2-5]s'", names.ALONE)
    monkeypatch.setattr(names, "ALONE", names.PIN + b"; set local lock_timeout = '100ms'")
    with clusters.connect(migrated, "supabase_admin") as admin:
        admin.execute("create role plain login password 'plain'")
    with clusters.connect(migrated) as owner:
        # a call that waits in the queue, which is looked for there
        store.store(owner, {store.PROJECT_URL: Secret("https://functions.example"), store.SERVICE_KEY: keys.secret()})
        owner.execute("select autosync.dispatch()")
    plain = f"host={HOST} port={migrated.port} dbname=postgres user=plain password=plain application_name=idler"
    with psycopg.connect(plain) as holder:
        holder.execute("lock table net.http_request_queue, net._http_response in access exclusive mode")
        held = f"is locked by session {holder.info.backend_pid} (user plain, application idler"
        for arguments in (("status",), ("runs",), ("jobs", "list"), ("jobs", "show", "auto-sync-cron-job")):
            result = command.run(*arguments, database=migrated.url())
            assert held in command.refused(result, ConflictError.exit_code)
            assert f"pg_terminate_backend({holder.info.backend_pid})" in result.hints[0]


def test_what_another_command_took_away_is_named_and_a_fault_of_ours_passes(migrated: Cluster) -> None:
    with clusters.connect(migrated, "supabase_admin") as admin:
        with pytest.raises(psycopg.errors.UndefinedFunction), connection.connect(migrated.url()) as opened:
            opened.execute("select autosync.nothing_of_the_kind()")
        with clusters.connect(migrated) as holder, holder.transaction():
            holder.execute("lock table autosync.job in access exclusive mode")
            with (
                pytest.raises(ConflictError, match="another session holds a lock"),
                connection.connect(migrated.url()) as opened,
            ):
                opened.execute("set lock_timeout = '50ms'; select from autosync.job")
        for taken, statement in (
            ("drop extension pg_net cascade", "select from net._http_response"),
            ("alter table public.auto_sync_schedules rename to x", "select from public.auto_sync_schedules"),
            ("drop function autosync.settle()", "select autosync.settle()"),
            ("alter table autosync.tick rename column due to number", "select t.due from autosync.tick as t"),
        ):
            admin.execute(taken.encode())
            with (
                pytest.raises(MigrationError, match="this database lacks something: ") as caught,
                connection.connect(migrated.url()) as opened,
            ):
                opened.execute(statement.encode())
            assert "autosync-db verify" in caught.value.hint
        for taken, said, hint in (
            ("update autosync.alembic_version set version_num = '0005'", "at revision 0005, and this", "db migrate"),
            ("update autosync.alembic_version set version_num = '9999'", "9999, which is newer", "newer autosync-db"),
            ("drop schema autosync cascade", "has no autosync schema", "autosync-db setup"),
        ):
            admin.execute(taken.encode())
            with (
                pytest.raises(MigrationError, match=said) as caught,
                connection.connect(migrated.url()) as opened,
                opened.transaction(),
            ):
                opened.execute("select autosync.nothing_of_the_kind()")
            assert hint in caught.value.hint
