"""`rollback` to before the adoption gives everything back as it was, and says what it cannot."""

from typing import Any

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.schema import catalog
from tests.schema.adoption import conftest
from tests.schema.adoption.conftest import checksums
from tests.support import clusters, command, dumps

TABLE = "public.auto_sync_schedules"
JOBS = "select jobid, jobname, schedule, command, active from cron.job"


def state(cluster: Cluster) -> list[str]:
    """Return what pg_dump shows of the schema public, and the jobs; sorted, as the order of grants means nothing."""
    dump = dumps.statements(cluster, "-n", "public")
    with clusters.connect(cluster) as connection:
        jobs = [str(row) for row in connection.execute(JOBS.encode()).fetchall()]
    return sorted(dump.splitlines()) + jobs


def _value(cluster: Cluster, query: str, parameters: list[Any] | None = None) -> Any:
    with clusters.connect(cluster) as connection:
        row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row[0]


def test_everything_comes_back(deployed: Cluster) -> None:
    with clusters.connect(deployed) as owner:
        owner.execute(conftest.EXTRAS.encode())
        # the same name as one of ours, but narrower
        owner.execute(
            f"alter table {TABLE} add constraint auto_sync_schedules_frequency_minutes_check"
            " check (frequency_minutes <> 7)".encode()
        )
        owner.execute(f"alter table {TABLE} disable trigger trigger_update_auto_sync_next_run".encode())
        owner.execute("grant select (name) on public.pg_cron_secrets to authenticated with grant option")
    before, sums = state(deployed), checksums(deployed)
    secrets = "select jsonb_agg(to_jsonb(s) order by name) from public.pg_cron_secrets as s"
    kept = _value(deployed, secrets)
    migrate.upgrade(deployed.url())
    assert state(deployed) != before

    # no row is lost, so no --yes is needed
    done = command.succeeds(command.run("rollback", "base", database=deployed.url()))
    assert "warning" not in done.err
    assert state(deployed) == before
    assert checksums(deployed) == sums
    assert _value(deployed, secrets) == kept


def test_each_step_down_and_up_again_ends_alike(deployed: Cluster) -> None:
    migrate.upgrade(deployed.url())
    head, sums = catalog.snapshot(deployed), checksums(deployed)
    for revision in ("0004", "0002"):
        # pg_cron may have ticked meanwhile
        migrate.downgrade(deployed.url(), revision, drop_rows=True)
        assert len(checksums(deployed)) == len(sums)
        command_now = _value(deployed, "select command from cron.job where jobname = 'auto-sync-cron-job'")
        assert "net.http_post" in command_now
        migrate.upgrade(deployed.url())
        assert (catalog.snapshot(deployed), checksums(deployed)) == (head, sums), revision


def test_the_old_trigger_computes_again(deployed: Cluster) -> None:
    migrate.upgrade(deployed.url())
    migrate.downgrade(deployed.url(), "base", drop_rows=True)
    pushed = _value(
        deployed,
        f"update {TABLE} set only_online = false where id::text like '0000%01'"
        " returning next_run_at = now() + interval '60 minutes'",
    )
    assert pushed is True


def test_what_was_changed_since_is_kept(deployed: Cluster) -> None:
    migrate.upgrade(deployed.url())
    with clusters.connect(deployed) as owner:
        owner.execute(f"update {TABLE} set frequency_minutes = 45 where id::text like '0000%10'".encode())
        owner.execute(f"update {TABLE} set timezone = 'Europe/Paris' where id::text like '0000%01'".encode())
        owner.execute(
            f"insert into {TABLE} (integration_id, organization_id) values (%s, %s)".encode(),
            [conftest.FREE_INTEGRATION, conftest.ORGANIZATION[1]],
        )
        owner.execute("update public.pg_cron_secrets set secret = 'https://newer.example' where name = 'project_url'")
        owner.execute("select cron.alter_job(jobid, active := false) from cron.job")
    # the history of the secrets has a row of its own by now
    said = command.succeeds(command.run("rollback", "base", "--yes", database=deployed.url())).err
    assert "warning: the time zones of 1 schedules are lost: the table had no place for them" in said
    with clusters.connect(deployed) as owner:
        query = f"select right(id::text, 2), frequency_minutes from {TABLE} where id::text ~ '^0000.*1[01]$' order by 1"
        assert owner.execute(query.encode()).fetchall() == [("10", 45), ("11", 100000)]
        assert owner.execute(f"select count(*) from {TABLE}".encode()).fetchone() == (14,)
        assert owner.execute("select secret from public.pg_cron_secrets order by name").fetchone() == (
            "https://newer.example",
        )
        # a job that somebody stopped does not start on its own
        assert owner.execute("select jobid, active from cron.job").fetchall() == [(1, False)]


def test_a_table_of_ours_is_still_dropped_and_one_of_theirs_never(blank: Cluster) -> None:
    with clusters.connect(blank) as owner:
        owner.execute("create table public.pg_cron_secrets (name text primary key, secret text not null)")
        owner.execute("insert into public.pg_cron_secrets values ('project_url', 'https://x.example')")
        migrate.upgrade(blank.url())
        migrate.downgrade(blank.url(), "base", drop_rows=True)
        assert owner.execute("select * from public.pg_cron_secrets").fetchall() == [
            ("project_url", "https://x.example")
        ]
        assert owner.execute("select to_regclass('public.auto_sync_schedules')").fetchone() == (None,)


def test_members_of_a_table_with_policies_of_its_own_are_where_they_were(deployed: Cluster) -> None:
    with clusters.connect(deployed) as owner:
        owner.execute(conftest.OWN_POLICY.encode())
    before = conftest.facts(deployed)
    migrate.upgrade(deployed.url())
    migrate.downgrade(deployed.url(), "base", drop_rows=True)
    after = conftest.facts(deployed)
    assert (after.seen, after.privileges) == (before.seen, before.privileges)
    with conftest.asked_as(deployed, 1) as connection:
        assert connection.execute(f"update {TABLE} set next_run_at = now()").rowcount == 11
