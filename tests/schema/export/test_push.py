"""`supabase db push` of the exported files and `autosync-db migrate` end in the same database, in any order."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from autosync_db import resources
from autosync_db.config import IsolationSettings
from autosync_db.local.cluster import Cluster
from autosync_db.schema import export, locks, migrate, revisions
from tests.schema import catalog
from tests.schema.export.conftest import MIGRATIONS, Push, apply, succeeds, write
from tests.support import clusters, handmade

OWNER = IsolationSettings(mode="owner")
# everything that a second application would touch
_TRACES = """
select o.path, o.applied_at::text, o.xmin::text from autosync.object as o
union all
select j.name, j.updated_at::text, j.xmin::text from autosync.job as j
union all
select 'revision', v.version_num, v.xmin::text from autosync.alembic_version as v
union all
select 'function ' || p.proname, p.oid::text, p.xmin::text from pg_proc as p
where p.pronamespace = 'autosync'::regnamespace
union all
select 'job ' || c.jobname, c.jobid::text, null from cron.job as c
order by 1
"""
_ROWS = """
select t::text from public.auto_sync_schedules as t
union all
select t.name || t.secret from public.pg_cron_secrets as t order by 1
"""
_ADOPTED = "select revision, step, object, undo from autosync.adopted order by id"
_HISTORY = "select version, name from supabase_migrations.schema_migrations order by version"
EDITED = "sql/functions/autosync.excerpt.sql"


@pytest.fixture(scope="module")
def fresh(migrated_template: Cluster) -> Iterator[str]:
    """What `migrate` makes of an empty database."""
    with clusters.cloned(migrated_template) as copy:
        yield catalog.snapshot(copy)


def traces(cluster: Cluster) -> list[str]:
    """Return what would show that something was applied again."""
    with clusters.connect(cluster) as connection:
        return catalog.rows(connection, _TRACES)


def is_current(cluster: Cluster, isolation: IsolationSettings | None = None) -> bool:
    """Return whether `migrate` finds nothing to do, by its plan and by doing it."""
    planned = migrate.plan(cluster.url(), isolation=isolation).is_current
    done = migrate.upgrade(cluster.url(), isolation=isolation)
    return planned and not done.revisions and not done.objects


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package as it was a revision ago."""
    steps = migrate.steps()
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "steps", lambda: steps[:-1])
        yield


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package in which the text of one function has changed."""
    shipped = resources.read

    def changed(path: str) -> str:
        text = shipped(path)
        return text.replace("as $$", "as $$ -- newer", 1) if path == EDITED else text

    monkeypatch.setattr(resources, "read", changed)


class TestTheCli:
    """What only the real program can show."""

    def test_an_empty_database_becomes_as_migrate_makes_it(self, blank: Cluster, fresh: str, push: Push) -> None:
        written = write()
        assert "Applying migration" in succeeds(push(blank))
        assert catalog.snapshot(blank) == fresh
        assert is_current(blank)
        with clusters.connect(blank) as connection:
            versions = connection.execute(_HISTORY).fetchall()
            # the CLI keeps the text of what it ran, and verify looks for keys in it
            history = resources.read("sql/checks/no_secret_in_migration_history.sql")
            assert connection.execute(history.encode()).fetchall() == []
        assert [f"{version}_{name}.sql" for version, name in versions] == [path.name for path in written]
        before = traces(blank)
        assert "Applying migration" not in succeeds(push(blank))
        assert traces(blank) == before

    @pytest.mark.long
    def test_a_deployed_project_becomes_as_migrate_makes_it(self, blank: Cluster, push: Push, tmp_path: Path) -> None:
        handmade.deploy(blank)
        with clusters.connect(blank) as connection:
            connection.execute("grant all on public.pg_cron_secrets to anon, authenticated, service_role")
            # the next run of these is the moment of their adoption, and there are two of those
            connection.execute("delete from public.auto_sync_schedules where enabled and next_run_at is null")
            stored = connection.execute("select name, secret, created_at from public.pg_cron_secrets").fetchall()
        blank.stop()
        with clusters.cloned(blank) as copy:
            migrate.upgrade(copy.url())
            wanted = catalog.snapshot(copy)
            with clusters.connect(copy) as connection:
                rows = catalog.rows(connection, _ROWS)
                adopted = catalog.rows(connection, _ADOPTED)
        assert adopted
        blank.start()
        write()
        succeeds(push(blank))
        assert catalog.snapshot(blank) == wanted
        assert is_current(blank)
        with clusters.connect(blank) as connection:
            assert catalog.rows(connection, _ROWS) == rows
            assert (
                connection.execute("select name, secret, created_at from public.pg_cron_secrets").fetchall() == stored
            )
            # what a rollback would bring back
            assert catalog.rows(connection, _ADOPTED) == adopted
            assert connection.execute(
                "select jobname, command from cron.job where jobname <> 'autosync-keep-house'"
            ).fetchall() == [("auto-sync-cron-job", "select autosync.dispatch()")]

    @pytest.mark.long
    def test_a_migrated_database_is_left_alone(self, migrated: Cluster, push: Push) -> None:
        before, schema = traces(migrated), catalog.snapshot(migrated)
        written = write()
        succeeds(push(migrated))
        assert traces(migrated) == before
        assert catalog.snapshot(migrated) == schema
        with clusters.connect(migrated) as connection:
            assert len(connection.execute(_HISTORY).fetchall()) == len(written)

    @pytest.mark.long
    def test_a_migration_that_fails_leaves_nothing_of_itself(
        self, blank: Cluster, push: Push, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(locks, "LOCK_TIMEOUT", "100ms")
        with clusters.connect(blank) as connection:
            connection.execute("create table public.pg_cron_secrets (name text primary key, secret text not null)")
        write()
        with psycopg.connect(blank.url().reveal()) as holder:
            holder.execute("lock table public.pg_cron_secrets in access share mode")
            failed = push(blank)
        assert failed.returncode != 0
        assert "lock timeout" in failed.stdout + failed.stderr
        with clusters.connect(blank) as connection:
            assert connection.execute("select version_num from autosync.alembic_version").fetchall() == [("0001",)]
        succeeds(push(blank))
        assert is_current(blank)


class TestBackAndForth:
    """Neither tool applies again what the other has applied."""

    def test_migrate_finishes_what_push_began(self, blank: Cluster, fresh: str, older: None) -> None:
        write()
        apply(blank)
        migrate.upgrade(blank.url())
        assert catalog.snapshot(blank) == fresh

    def test_push_finishes_what_migrate_began(self, blank: Cluster, fresh: str) -> None:
        migrate.upgrade(blank.url(), "0002")
        write()
        apply(blank)
        assert catalog.snapshot(blank) == fresh
        assert is_current(blank)

    @pytest.mark.long
    def test_an_upgrade_is_pushed_by_its_own_files_alone(
        self,
        blank: Cluster,
        migrated: Cluster,
        fresh: str,
        request: pytest.FixtureRequest,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        steps = migrate.steps()
        with monkeypatch.context() as patch:
            patch.setattr(migrate, "steps", lambda: steps[:-1])
            first = write()
        texts = [path.read_bytes() for path in first]
        apply(blank)
        second = write()
        assert [path.read_bytes() for path in first] == texts
        assert [path.name[15:] for path in second] == [
            f"autosync_{export._revision_name(steps[-1].revision)}.sql",
            f"autosync_{steps[-1].revision}_objects.sql",
        ]
        apply(blank, *second)
        assert catalog.snapshot(blank) == fresh
        assert is_current(blank)
        # where both generations come late, neither changes anything
        before = traces(migrated)
        apply(migrated)
        assert traces(migrated) == before

    @pytest.mark.long
    def test_a_changed_function_is_pushed_alone(self, blank: Cluster, request: pytest.FixtureRequest) -> None:
        first = write()
        apply(blank)
        request.getfixturevalue("newer")
        (second,) = write()
        assert second.name.endswith(f"autosync_{revisions.head()}_objects.sql")
        assert [path for path, _ in export._OBJECT.findall(second.read_text())] == [EDITED]
        assert second > max(first)
        before = traces(blank)
        apply(blank, second)
        assert len(set(traces(blank)) - set(before)) == 2  # the function, and its line in the registry
        assert is_current(blank)

    def test_a_newer_function_is_not_replaced_by_an_older_file(
        self, migrated: Cluster, request: pytest.FixtureRequest
    ) -> None:
        found = export.plan(MIGRATIONS, now=datetime(2026, 1, 1, tzinfo=UTC))
        found.write()
        request.getfixturevalue("newer")
        migrate.upgrade(migrated.url())
        before = traces(migrated)
        apply(migrated)
        assert traces(migrated) == before
        assert is_current(migrated)

    def test_a_function_that_was_edited_in_the_database_is_repaired(self, migrated: Cluster) -> None:
        with clusters.connect(migrated) as connection:
            connection.execute(
                "create or replace function autosync.excerpt(body text) returns text"
                " language sql immutable as 'select 1'"
            )
            connection.execute("grant execute on function autosync.excerpt(text) to anon")
        write()
        apply(migrated)
        assert is_current(migrated)
        with clusters.connect(migrated) as connection:
            granted = "select has_function_privilege('anon', 'autosync.excerpt(text)', 'execute')"
            assert connection.execute(granted).fetchone() == (False,)

    @pytest.mark.long
    def test_the_isolation_mode_is_pushed_and_kept(self, blank: Cluster) -> None:
        with clusters.connect(blank) as connection:
            connection.execute("create table public.device_integrations (id uuid primary key, user_id uuid)")
        write(OWNER)
        apply(blank)
        assert is_current(blank, OWNER)
        assert is_current(blank)
        assert write() == []  # without the settings file the mode of the last export stands

    def test_a_file_without_a_chosen_mode_keeps_that_of_the_database(self, migrated: Cluster) -> None:
        with clusters.connect(migrated) as connection:
            connection.execute("create table public.device_integrations (id uuid primary key, user_id uuid)")
        migrate.upgrade(migrated.url(), isolation=OWNER)
        before = traces(migrated)
        write()
        apply(migrated)
        assert traces(migrated) == before
        assert is_current(migrated, OWNER)

    @pytest.mark.parametrize(
        ("change", "mode"),
        [
            ('drop policy "Users can manage their organization\'s schedules" on public.auto_sync_schedules', "custom"),
            ("drop table public.users cascade", "none"),
        ],
    )
    def test_the_mode_that_an_adoption_finds_is_applied(self, blank: Cluster, change: str, mode: str) -> None:
        handmade.deploy(blank)
        with clusters.connect(blank) as connection:
            connection.execute(change.encode())
        write()
        apply(blank)
        with clusters.connect(blank) as connection:
            found = connection.execute(
                "select value ->> 'mode' from autosync.setting where name = 'isolation'"
            ).fetchone()
        assert found == (mode,)
        assert is_current(blank)

    def test_a_step_without_the_one_before_it_is_refused(self, blank: Cluster) -> None:
        migrate.upgrade(blank.url(), "0001")
        written = write()
        before = traces_of_revision(blank)
        with pytest.raises(psycopg.errors.RaiseException, match="follows 0002, but the database is at 0001") as caught:
            apply(blank, written[2])
        assert caught.value.diag.message_hint == "run: autosync-db migrate"
        with pytest.raises(psycopg.errors.RaiseException, match="but the database is at 0001"):
            apply(blank, written[-1])
        assert traces_of_revision(blank) == before


def traces_of_revision(cluster: Cluster) -> str:
    """Return the schema of a database that lacks later tables."""
    return catalog.snapshot(cluster)
