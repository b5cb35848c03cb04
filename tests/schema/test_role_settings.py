"""Limits and modes that somebody gave the role: the commands work all the same, or say which setting it was."""

import select
from collections.abc import Iterator

import pytest

from autosync_db.connection import connect
from autosync_db.errors import UnreachableError
from autosync_db.local.cluster import Cluster
from tests.support import clusters, command, handmade, keys
from tests.support.command import Result
from tests.support.http_stub import Stub

# shorter than a migration, longer than what a busy machine may need for one small statement
LIMITS = {
    "statement_timeout": "250ms",
    "lock_timeout": "250ms",
    "idle_in_transaction_session_timeout": "250ms",
    # since PostgreSQL 17
    "transaction_timeout": "250ms",
}
# how the server reads and writes texts
SPELLING = {
    "quote_all_identifiers": "on",
    "intervalstyle": "sql_standard",
    "datestyle": "German",
    "standard_conforming_strings": "off",
    "client_encoding": "SQL_ASCII",
}


def _set(cluster: Cluster, **settings: str) -> int:
    """Give the role settings, and return how many of them this server knows."""
    with clusters.connect(cluster, "supabase_admin") as admin:
        known = {name for (name,) in admin.execute("select lower(name) from pg_settings")} & settings.keys()
        for name in known:
            admin.execute(f"alter role postgres set {name} = '{settings[name]}'".encode())
    return len(known)


@pytest.fixture
def deployed(deployed_template: Cluster) -> Iterator[Cluster]:
    """A running cluster of the test's own in the deployed state."""
    with clusters.cloned(deployed_template) as copy:
        yield copy


def _works_or_names_the_limit(result: Result) -> None:
    if result.code != 0:
        command.refused(result, 4)
        assert any(name in result.hints[0] for name in LIMITS), result.err


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(LIMITS, id="limits"),
        pytest.param(SPELLING, id="spelling"),
        pytest.param({"default_transaction_isolation": "serializable"}, marks=pytest.mark.long, id="serializable"),
    ],
)
def test_every_command_works(settings: dict[str, str], blank: Cluster, stub: Stub) -> None:
    handmade.deploy(blank, key=keys.secret(), url=stub.url)
    _set(blank, **settings)
    database = blank.url()
    command.succeeds(command.run("migrate", "--dry-run", database=database))
    assert command.run("migrate", "--check", database=database).code == 5
    command.succeeds(command.run("migrate", database=database))
    command.succeeds(command.run("migrate", "--check", database=database))
    settings = {"SUPABASE_SERVICE_ROLE_KEY": keys.secret().reveal(), "AUTOSYNC_JOB__SCHEDULE": "0 0 1 1 *"}
    with clusters.pg_net_worker(blank):
        setup = command.run("setup", "--project-url", stub.url, database=database, variables=settings)
    _works_or_names_the_limit(setup)
    _works_or_names_the_limit(command.run("status", database=database))
    verdict = command.run("verify", "--format", "json", database=database)
    assert verdict.code in {0, 3}, verdict.err
    unseen = [check for check in verdict.json()["checks"] if check["status"] == "unknown"]
    assert not [check["id"] for check in unseen if "could not look" in check["summary"]], unseen
    _is_as_applied(blank)
    with clusters.connect(blank, "supabase_admin") as admin:
        admin.execute("alter role postgres reset all")
    _is_as_applied(blank)
    command.succeeds(command.run("rollback", "base", "--yes", database=database))


def _is_as_applied(cluster: Cluster) -> None:
    """Require that nobody is said to have changed anything, and that what answers the alerts runs."""
    command.succeeds(command.run("migrate", "--check", database=cluster.url()))
    only = ("--only", "objects_current", "--only", "search_path_pinned", "--only", "schedules_not_overdue")
    command.succeeds(command.run("verify", *only, database=cluster.url()))
    with clusters.connect(cluster) as connection:
        # however long it takes: a limit may end the server's first look, and that is not asked here
        connection.execute("select set_config(name, '0', false) from pg_settings where name = any(%s)", [list(LIMITS)])
        connection.execute("select autosync.job_condition('auto-sync-cron-job')")


def test_a_read_only_role_gets_one_clear_error(deployed: Cluster) -> None:
    _set(deployed, default_transaction_read_only="on")
    setup = ["setup", "--project-url", "https://functions.example"]
    for arguments in (["migrate"], ["migrate", "--dry-run"], ["migrate", "--check"], ["rollback", "base"], setup):
        result = command.run(
            *arguments, database=deployed.url(), variables={"SUPABASE_SERVICE_ROLE_KEY": keys.secret().reveal()}
        )
        assert "default_transaction_read_only is on" in command.refused(result, 5), arguments
        assert "read-only mode" in result.hints[0]


@pytest.mark.parametrize("name", ["statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"])
def test_what_a_limit_ends_names_it(name: str, deployed: Cluster) -> None:
    if not _set(deployed, **{name: "50ms"}):
        pytest.skip(f"this server has no {name}")
    with pytest.raises(UnreachableError) as caught:
        _overstay(deployed, name)
    assert name in caught.value.hint


def _overstay(cluster: Cluster, limit: str) -> None:
    with connect(cluster.url()) as opened:
        opened.execute("begin")
        if limit == "statement_timeout":
            opened.execute("select pg_sleep(5)")
        # until the server has ended it
        select.select([opened.fileno()], [], [], 20)
        opened.execute("select")
