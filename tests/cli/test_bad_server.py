"""Servers that cannot be used: one error, one hint, the exit code of the contract, and nothing changed."""

import itertools
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psycopg import sql

from autosync_db.local.cluster import HOST, Cluster
from autosync_db.secret import Secret
from tests.support import cases, clusters, command, keys, pooler
from tests.support.dumps import contents

KEY = {"SUPABASE_SERVICE_ROLE_KEY": keys.secret().reveal()}
SETUP = ("setup", "--project-url", "http://127.0.0.1:9", "--no-wait")
# whatever would change something, and --check, which reports whether it would
CHANGING = (SETUP, ("migrate",), ("migrate", "--check"), ("migrate", "--dry-run"))
READING = (("verify",), ("status",), ("runs",), ("jobs", "show"), ("jobs", "trigger"), ("rollback", "base"))


def _refused(database: Secret, arguments: tuple[str, ...], code: int) -> tuple[str, str]:
    """Return message and hint; prove that neither the password nor the key is among what -vv shows."""
    result = command.run(*arguments, "-q", database=database, variables=KEY)
    message = command.refused(result, code)
    loud = command.run(*arguments, "-vv", database=database, variables=KEY)
    assert loud.code == code
    password = database.reveal().partition("://")[2].partition("@")[0].partition(":")[2]
    for said in (result.err, loud.out, loud.err):
        assert password not in said
        assert KEY["SUPABASE_SERVICE_ROLE_KEY"] not in said
    return message, result.hints[0]


def _password() -> str:
    return secrets.token_urlsafe(24)


def test_a_closed_port() -> None:
    with socket.socket() as reserved, cases.collected() as case:
        reserved.bind((HOST, 0))  # bound but not listening: refused for certain
        port = reserved.getsockname()[1]
        url = Secret(f"postgresql://postgres:{_password()}@{HOST}:{port}/postgres")
        for arguments in (*CHANGING, *READING):
            with case(arguments):
                message, hint = _refused(url, arguments, 4)
                assert f"{HOST}:{port}" in message
                assert "refused" in message
                assert "port" in hint


def test_a_host_that_does_not_exist() -> None:
    message, hint = _refused(
        Secret(f"postgresql://postgres:{_password()}@no.such.host.invalid/postgres"), ("migrate",), 4
    )
    assert "no.such.host.invalid" in message
    assert "host name" in hint


def test_a_server_that_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        url = f"postgresql://postgres:{_password()}@{HOST}:{silent.getsockname()[1]}/postgres?connect_timeout=2"
        # once, because it is waited for: what -vv shows of such an error is looked at for a closed port
        message = command.refused(command.run("status", "-q", database=Secret(url)), 4)
    assert "timeout" in message


# a word before and one behind each of the characters that end or change the password of a URL
CHARACTERS = ("@", "/", "#", "?", "%", " ", "@@", "@/", "/@", "%40@", "?@", ":@", "[YOUR-PASSWORD]")
FORMS = (
    f"postgresql://postgres:{{}}@{HOST}:1/postgres",
    "postgresql://postgres:{}@nosuchhost.invalid/postgres?sslmode=disable",
    "postgresql://postgres:{}/postgres",
    f"host={HOST} port=1 user=postgres password={{}}",
    f"host={HOST} port=1 user=postgres dbname={{}}",
)


def _word() -> str:
    """Return twelve letters of which no four stand together in a message, a path or a traceback."""
    return "".join(secrets.choice("jkqvwxz") for _ in range(12))


def _pieces(password: str) -> set[str]:
    """Return every piece of four characters, but for what the placeholder's name itself is."""
    text = password.replace("[YOUR-PASSWORD]", "\n")
    return {part[start : start + 4] for part in text.split("\n") for start in range(len(part) - 3)}


STARTS: tuple[tuple[str, ...], ...] = (("status",), ("migrate",), SETUP, ("verify", "--format", "json"))


def _hides(character: str, form: str, arguments: tuple[str, ...]) -> None:
    password = f"{_word()}{character}{_word()}"
    result = command.run(*arguments, "-vv", database=Secret(form.format(password)), variables=KEY)
    assert result.code in {2, 4}, result
    assert len(result.errors) == len(result.hints) == 1, result
    shown = [piece for piece in _pieces(password) if piece in result.out + result.err]
    assert not shown, f"{shown} of {form.format(password)} in {result}"
    if result.code == 2:
        assert "%40" in result.hints[0]
        assert "[YOUR-PASSWORD]" in result.hints[0]


@pytest.mark.long
def test_no_piece_of_a_password_is_shown_however_libpq_reads_the_url() -> None:
    with cases.collected() as case:
        for number, (character, form) in enumerate(itertools.product(CHARACTERS, FORMS)):
            arguments = STARTS[number % len(STARTS)]  # five forms and four commands: each pair occurs
            with case((character, form, arguments)):
                _hides(character, form, arguments)


@pytest.mark.long
def test_no_command_shows_a_piece_of_a_password_in_any_form() -> None:
    with cases.collected() as case:
        for chosen in itertools.product(CHARACTERS, FORMS, STARTS):
            with case(chosen):
                _hides(*chosen)


def test_no_piece_of_a_password_is_shown_by_a_process_or_for_a_url_in_the_wrong_place() -> None:
    url = f"postgresql://postgres:first@{(tail := _word())}@{HOST}:1/postgres"
    for result in (
        command.run_process("status", "-vv", "--database-url", url),
        command.run("status", url),
        command.run("status", "--target", url),
    ):
        assert result.code == 2
        assert not [piece for piece in _pieces(f"first@{tail}") if piece in result.out + result.err], result


def test_a_wrong_password(shared: Cluster) -> None:
    url = Secret(f"postgresql://postgres:{_password()}@{HOST}:{shared.port}/postgres")
    with cases.collected() as case:
        for arguments in (*CHANGING, *READING):
            with case(arguments):
                message, hint = _refused(url, arguments, 4)
                assert "password authentication failed" in message
                assert "check the password" in hint
                assert "%40" in hint


def test_no_password(shared: Cluster) -> None:
    result = command.run("migrate", "-q", database=Secret(f"postgresql://postgres@{HOST}:{shared.port}/postgres"))
    assert "password" in command.refused(result, 4)


def test_a_database_that_does_not_exist(shared: Cluster) -> None:
    message, hint = _refused(shared.url(database="nowhere"), ("migrate",), 4)
    assert "nowhere" in message
    assert "database name" in hint


@contextmanager
def _setting(cluster: Cluster, text: str) -> Iterator[None]:
    """Run the block with the server restarted under further settings."""
    further = cluster.data / "conf.d" / "test.conf"  # sorts after the cluster's own
    cluster.stop()
    further.write_text(text)
    further.chmod(0o644)
    cluster.start()
    try:
        yield
    finally:
        cluster.stop()
        further.unlink()
        cluster.start()


@pytest.fixture(scope="module")
def bare() -> Iterator[Cluster]:
    """A cluster whose installation is its own, so that files may be taken from it."""
    with clusters.created() as made:
        yield made


def _unchanged_by(cluster: Cluster, code: int, database: Secret | None = None) -> tuple[str, str]:
    before = contents(cluster)
    said = {_refused(database or cluster.url(), arguments, code) for arguments in CHANGING}
    assert contents(cluster) == before
    assert len(said) == 1, "setup and migrate explain it alike"
    return said.pop()


@pytest.mark.long
def test_pg_cron_is_not_available(bare: Cluster) -> None:
    taken = list((bare.installation.share / "extension").glob("pg_cron*"))
    assert taken
    targets = {path: path.readlink() for path in taken}
    for path in taken:
        path.unlink()
    try:
        message, hint = _unchanged_by(bare, 5)
    finally:
        for path, target in targets.items():
            path.symlink_to(target)
    assert message == "pg_cron is not available on this server"
    assert f"postgresql-{bare.major}-cron" in hint
    assert "Integrations > Cron" in hint


def test_pg_net_is_not_available(bare: Cluster) -> None:
    control = bare.installation.share / "extension" / "pg_net.control"
    away = control.rename(bare.folder / "pg_net.control")
    try:
        message, hint = _unchanged_by(bare, 5)
    finally:
        away.rename(control)
    assert message == "pg_net is not available on this server"
    assert "Supabase" in hint


def test_pg_cron_is_not_preloaded(bare: Cluster) -> None:
    with _setting(bare, "shared_preload_libraries = ''\n"):
        message, hint = _unchanged_by(bare, 5)
    assert "pg_cron is not in shared_preload_libraries" in message
    assert "shared_preload_libraries = '" in hint
    assert "pg_cron" in hint
    assert "restart" in hint


def test_other_preloaded_libraries_are_kept_in_the_hint(bare: Cluster) -> None:
    with _setting(bare, "shared_preload_libraries = 'auto_explain'\n"):
        _, hint = _unchanged_by(bare, 5)
    assert "auto_explain,pg_cron" in hint


def test_pg_cron_runs_in_another_database(bare: Cluster) -> None:
    with clusters.connect(bare, "supabase_admin") as connection:
        connection.execute("create database other owner postgres")
    message, hint = _unchanged_by(bare, 5, bare.url(database="other"))
    assert message == "pg_cron runs in the database 'postgres', not in 'other'"
    # which may be that of another project: what takes things away must not send anybody there
    assert "connect to 'postgres' if that is this project's database" in hint


@contextmanager
def _powerless(cluster: Cluster) -> Iterator[Secret]:
    """Yield the URL of a role that may log in and nothing else."""
    password = _password()
    with clusters.connect(cluster, "supabase_admin") as connection:
        connection.execute(sql.SQL("create role powerless login password {}").format(sql.Literal(password)))
        try:
            yield Secret(f"postgresql://powerless:{password}@{HOST}:{cluster.port}/postgres")
        finally:
            connection.execute("drop role powerless")


def test_a_role_without_privileges_on_an_empty_database(bare: Cluster) -> None:
    with _powerless(bare) as url:
        message, hint = _unchanged_by(bare, 4, url)
    assert "may not create" in message
    assert "postgres" in hint


def test_a_role_without_privileges_on_a_migrated_database(shared: Cluster) -> None:
    with _powerless(shared) as url:
        before = contents(shared)
        for arguments in (
            *CHANGING,
            ("status",),
            ("runs",),
            ("jobs", "pause"),
            ("jobs", "trigger"),
            ("rollback", "base"),
        ):
            message, hint = _refused(url, arguments, 4)
            assert "permission denied" in message
            assert "postgres" in hint
        assert contents(shared) == before


def test_a_role_without_privileges_cannot_call_the_chain_healthy(shared: Cluster) -> None:
    with _powerless(shared) as url:
        result = command.run("verify", "--format", "json", database=url)
    assert result.code == 3
    assert result.json()["status"] in {"critical", "unknown"}


# what poolers and servers say that let nobody in, and what the hint must name
POOLER = {
    "Tenant or user not found": "another region",
    "(ENOTFOUND) tenant/user postgres.abcdefghijklmnopqrst not found": "another region",
    "(ENOIDENTIFIER) no tenant identifier provided (external_id or sni_hostname required)": "postgres.<project ref>",
    "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15": "6543",
    "Max client connections reached": "6543",
    "(ECIRCUITBREAKER) too many authentication errors": "wait",
    "no more connections allowed (max_client_conn)": "6543",
    "query_wait_timeout": "6543",
    "server login has been failing, try again later (server_login_retry)": "behind it",
    "(EDBHANDLEREXITED) DbHandler exited": "behind it",
    "unsupported startup parameter in options: search_path": "PGOPTIONS",
    "Address not in tenant allow_list: {203, 0, 113, 9}": "Network Restrictions",
    "(ECHECKOUTTIMEOUT) unable to check out connection from the pool after 60000ms": "6543",
    "(EAUTH) wrong password": "check the password",
    "Authentication query failed": "behind it",
    "{:shutdown, :db_termination}": "behind it",
    "no such database: postgres": "check the database name",
    "no such user: postgres": "check the user name",
    'could not access file "missing": No such file or directory': "session_preload_libraries",
    "sorry, too many clients already": "close other connections",
    'too many connections for role "postgres"': "connection limit",
    'role "reporter" is not permitted to log in': "may log in",
    'permission denied for database "postgres"': "may not use this database",
    "SASL authentication failed": "check the password",
    "SSL connection is required": "wants TLS",
    'no pg_hba.conf entry for host "203.0.113.9", user "postgres", database "postgres", no encryption': "wants TLS",
    'pg_hba.conf rejects connection for host "::1", user "postgres", database "postgres", SSL encryption': "pg_hba",
    'no pg_hba.conf entry for host "203.0.113.9", user "postgres", database "postgres", SSL encryption': "pg_hba",
    "could not write init file: No space left on device": "disk is full",
    "the database system is not yet accepting connections": "run this again",
    'database "postgres" is not currently accepting connections': "may not use this database",
}


@pytest.mark.long
def test_the_words_of_a_pooler_are_understood() -> None:
    with cases.collected() as case:
        for text, names in POOLER.items():
            with case(text), pooler.that_refuses(text) as port:
                message, hint = _refused(
                    Secret(f"postgresql://postgres:{_password()}@{HOST}:{port}/postgres"), ("migrate", "--check"), 4
                )
                assert text in message
                assert names in hint
