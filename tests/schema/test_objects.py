"""Drift of the replaceable objects is seen for what it is, and repaired by the next migration."""

from typing import Any

import psycopg
import pytest

from autosync_db import resources
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate, objects, revisions
from autosync_db.schema.objects import State
from tests.schema import catalog
from tests.support import clusters

EXCERPT = "sql/functions/autosync.excerpt.sql"
DISPATCH = "sql/functions/autosync.dispatch.sql"
CLAIM = "sql/functions/public.auto_sync_claim.sql"
TRIGGER = "sql/triggers/public.auto_sync_schedules.auto_sync_schedules_next_run_at.sql"
SECRETS = "sql/access/public.pg_cron_secrets.sql"
SCHEDULES = "sql/access/public.auto_sync_schedules.sql"
SCHEMA = "sql/access/autosync.sql"
JOB = "sql/jobs/auto-sync-cron-job.sql"
UNSCHEDULE = "select cron.unschedule('auto-sync-cron-job')"

# what somebody changes, the object that it changes, and how that must be called
DRIFT: dict[str, tuple[str, str, State]] = {
    "function edited": (
        "create or replace function autosync.excerpt(body text) returns text language sql as 'select body'",
        EXCERPT,
        State.EDITED,
    ),
    "function dropped": ("drop function autosync.excerpt(text)", EXCERPT, State.MISSING),
    "search_path unpinned": (
        "alter function autosync.excerpt(text) reset search_path",
        EXCERPT,
        State.EDITED,
    ),
    "security definer taken away": (
        "alter function autosync.dispatch(text, boolean) security invoker",
        DISPATCH,
        State.EDITED,
    ),
    "function taken from service_role": (
        "revoke execute on function public.auto_sync_claim(integer, interval) from service_role",
        CLAIM,
        State.EDITED,
    ),
    "trigger dropped": (
        "drop trigger auto_sync_schedules_next_run_at on public.auto_sync_schedules",
        TRIGGER,
        State.MISSING,
    ),
    "trigger disabled": (
        "alter table public.auto_sync_schedules disable trigger auto_sync_schedules_next_run_at",
        TRIGGER,
        State.EDITED,
    ),
    "secrets opened to a role": (
        "grant select on public.pg_cron_secrets to authenticated",
        SECRETS,
        State.EDITED,
    ),
    "secrets opened to everybody": (
        "grant select on public.pg_cron_secrets to public",
        SECRETS,
        State.EDITED,
    ),
    "one column opened": ("grant select (secret) on public.pg_cron_secrets to anon", SECRETS, State.EDITED),
    "policy added": (
        "create policy mine on public.pg_cron_secrets for select to anon using (true)",
        SECRETS,
        State.EDITED,
    ),
    "policy dropped": ("drop policy pg_cron_secrets_nobody on public.pg_cron_secrets", SECRETS, State.EDITED),
    "row level security off": (
        "alter table public.auto_sync_schedules disable row level security",
        SCHEDULES,
        State.EDITED,
    ),
    "schema opened": ("grant usage on schema autosync to anon", SCHEMA, State.EDITED),
    "job unscheduled": (UNSCHEDULE, JOB, State.MISSING),
    "job rescheduled past autosync.job": (
        "select cron.alter_job(jobid, schedule := '0 3 * * *') from cron.job",
        JOB,
        State.MISSING,
    ),
    "job command changed": (
        "select cron.alter_job(jobid, command := 'select 1') from cron.job",
        JOB,
        State.MISSING,
    ),
}
# what a replaced object keeps when its file is merely run again: its grants
GRANTS: dict[str, tuple[str, str]] = {
    "dispatch opened to a role": (
        "grant execute on function autosync.dispatch(text, boolean) to anon",
        DISPATCH,
    ),
    "dispatch opened to everybody": (
        "grant execute on function autosync.dispatch(text, boolean) to public",
        DISPATCH,
    ),
    "claiming opened to everybody": (
        "grant execute on function public.auto_sync_claim(integer, interval) to public",
        CLAIM,
    ),
    "claiming opened to a role": (
        "grant execute on function public.auto_sync_claim(integer, interval) to authenticated",
        CLAIM,
    ),
}


def drifted(connection: psycopg.Connection[Any]) -> dict[str, State]:
    found = objects.states(connection, revisions.head())
    return {path: state for path, state in found.items() if state is not State.CURRENT}


def drift(cluster: Cluster) -> dict[str, State]:
    return migrate.plan(cluster.url()).objects


def job(cluster: Cluster) -> Any:
    with clusters.connect(cluster) as connection:
        return connection.execute(
            "select jobname, schedule, command, active from cron.job where jobname <> 'autosync-keep-house'"
        ).fetchall()


@pytest.mark.parametrize("what", DRIFT)
def test_drift_is_named_and_repaired(what: str, transaction: psycopg.Connection[Any]) -> None:
    statement, path, state = DRIFT[what]
    assert drifted(transaction) == {}
    transaction.execute(statement.encode())
    assert drifted(transaction) == {path: state}
    assert objects.apply(transaction, revisions.head()) == [path]
    assert drifted(transaction) == {}


@pytest.mark.parametrize("what", GRANTS)
def test_a_stray_grant_is_taken_back(what: str, transaction: psycopg.Connection[Any]) -> None:
    statement, path = GRANTS[what]
    healthy = catalog.privileges(transaction)
    transaction.execute(statement.encode())
    assert drifted(transaction) == {path: State.EDITED}
    objects.apply(transaction, revisions.head())
    assert catalog.privileges(transaction) == healthy
    assert drifted(transaction) == {}


@pytest.mark.parametrize("tool", objects.TOOLS)
@pytest.mark.parametrize("fault", ["drop function", "alter function"])
def test_what_applies_the_objects_is_restored_first(
    tool: str, fault: str, transaction: psycopg.Connection[Any]
) -> None:
    name = tool.removeprefix("sql/functions/").removesuffix(".sql")
    transaction.execute(f"{fault} {name} {'' if fault.startswith('drop') else 'security definer'}".encode())
    assert drifted(transaction) == {tool: State.MISSING if fault.startswith("drop") else State.EDITED}
    with transaction.transaction(force_rollback=True):
        assert objects.apply(transaction, revisions.head()) == [tool]
        assert drifted(transaction) == {}
    # a repair of another object needs it, too
    for statement in objects.reapplication(transaction, revisions.head(), [EXCERPT]):
        transaction.execute(statement.as_string().encode())
    assert drifted(transaction) == {}


def test_a_repair_restores_what_the_file_says(migrated: Cluster) -> None:
    with clusters.connect(migrated) as connection:
        definition = "select pg_get_functiondef('autosync.excerpt(text)'::regprocedure)"
        healthy = connection.execute(definition).fetchone()
        connection.execute(DRIFT["function edited"][0].encode())
        assert connection.execute(definition).fetchone() != healthy
        migrate.upgrade(migrated.url())
        assert connection.execute(definition).fetchone() == healthy


def test_a_changed_file_is_outdated_and_applied(migrated: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = resources.read

    def newer(path: str) -> str:
        source = shipped(path)
        return f"{source}comment on function autosync.excerpt(text) is 'newer';" if path == EXCERPT else source

    monkeypatch.setattr(resources, "read", newer)
    assert drift(migrated) == {EXCERPT: State.OUTDATED}
    assert migrate.upgrade(migrated.url()).objects == [EXCERPT]
    assert drift(migrated) == {}
    with clusters.connect(migrated) as connection:
        found = connection.execute("select obj_description('autosync.excerpt(text)'::regprocedure)").fetchone()
    assert found == ("newer",)


def test_an_unscheduled_job_is_scheduled_again(migrated: Cluster) -> None:
    healthy = job(migrated)
    with clusters.connect(migrated) as connection:
        connection.execute(UNSCHEDULE)
    assert job(migrated) == []
    migrate.upgrade(migrated.url())
    assert job(migrated) == healthy
    assert len(healthy) == 1


def test_a_schedule_chosen_through_the_registry_is_no_drift(migrated: Cluster) -> None:
    with clusters.connect(migrated) as connection:
        connection.execute("update autosync.job set schedule = '*/10 * * * *' where sql is null")
        assert connection.execute("select autosync.sync_job()").fetchone() == ("changed",)
    assert drift(migrated) == {}
    migrate.upgrade(migrated.url())
    assert job(migrated) == [("auto-sync-cron-job", "*/10 * * * *", "select autosync.dispatch()", True)]


def test_a_pause_survives_a_migration(migrated: Cluster) -> None:
    with clusters.connect(migrated) as connection:
        connection.execute("update autosync.job set paused_at = now(), paused_by = 'somebody' where sql is null")
        connection.execute("select autosync.sync_job()")
        connection.execute(DRIFT["function edited"][0].encode())
    migrate.upgrade(migrated.url())
    assert [active for *_, active in job(migrated)] == [False]


def test_every_file_may_be_run_twice(transaction: psycopg.Connection[Any]) -> None:
    before = objects.states(transaction, revisions.head())
    for file in objects.files() * 2:
        transaction.execute(file.source.encode())
    assert objects.states(transaction, revisions.head()) == before == dict.fromkeys(before, State.CURRENT)
