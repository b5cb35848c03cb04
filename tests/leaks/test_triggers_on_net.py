"""pg_net lets every role make triggers on its queue: none of them runs with the rights of a tick."""

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from autosync_db.connection import Connection
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.support import clusters, keys

TRIGGER = """
create function {schema}.seize() returns trigger language plpgsql as $$
begin
    execute format('create table public.seized_by_%s ()', current_user);
    return coalesce(new, old);
end $$;
create trigger seizing before insert or delete on net.http_request_queue for each row execute function {schema}.seize();
"""


@pytest.fixture
def owner(migrated: Cluster) -> Iterator[Connection]:
    """The owner's connection to a project that can call, with a receiver of alerts."""
    with clusters.connect(migrated) as connection:
        connection.execute(
            "insert into public.pg_cron_secrets (name, secret) values ('project_url', 'http://127.0.0.1:9'),"
            " ('service_role_key', %s), ('alert_webhook', 'http://127.0.0.1:9/hook')",
            [keys.legacy().reveal()],
        )
        connection.execute(
            "insert into autosync.alert_receiver (kind, form, secret_name)"
            " values ('webhook', 'webhook', 'alert_webhook')"
        )
        yield connection


@pytest.fixture
def plain(migrated: Cluster) -> Iterator[Connection]:
    """The connection of a login role that was granted nothing, with its trigger on the queue."""
    password = keys.secret().reveal()
    with clusters.connect(migrated, "supabase_admin") as admin:
        admin.execute(psycopg.sql.SQL("create role plain login password {}").format(password))
    with psycopg.connect(_url_of(migrated, password).reveal(), autocommit=True) as connection:
        connection.execute(TRIGGER.format(schema="pg_temp").encode())
        yield connection


def _url_of(cluster: Cluster, password: str) -> Secret:
    return Secret(f"postgresql://plain:{password}@127.0.0.1:{cluster.port}/postgres")


@pytest.mark.parametrize(
    "statement",
    [
        "select autosync.dispatch()",
        "select autosync.dispatch('auto-sync-cron-job', true)",
        "select autosync.test_alert((select id from autosync.alert_receiver))",
    ],
)
def test_a_role_without_a_grant_gets_no_rights_by_a_trigger(
    statement: str, owner: Connection, plain: Connection, migrated: Cluster
) -> None:
    with suppress(psycopg.errors.ObjectNotInPrerequisiteState):
        owner.execute(statement.encode())
    [(seized,)] = owner.execute("select to_regclass('public.seized_by_postgres')").fetchall()
    assert seized is None
    assert owner.execute("select count(*) from net.http_request_queue").fetchall() == [(0,)]
    with pytest.raises(
        psycopg.errors.ObjectNotInPrerequisiteState,
        match=r"^nothing is posted: the trigger seizing on net\.http_request_queue would run"
        r" a function of the role plain with the rights of postgres",
    ):
        owner.execute("select autosync.dispatch()")
    plain.execute("drop function pg_temp.seize() cascade")
    owner.execute("select autosync.dispatch()")
    assert owner.execute("select count(*) from net.http_request_queue").fetchall() == [(1,)]


def test_a_trigger_of_the_owner_stops_no_tick(owner: Connection) -> None:
    owner.execute(TRIGGER.format(schema="public").encode())
    owner.execute("select autosync.dispatch()")
    [(ran,)] = owner.execute("select to_regclass('public.seized_by_postgres')").fetchall()
    assert ran is not None
