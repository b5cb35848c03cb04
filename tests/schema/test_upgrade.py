"""Every way to a revision ends in the same database, and back again."""

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from autosync_db import resources
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate, revisions
from tests.schema import catalog
from tests.support import clusters

ROOT = Path(__file__).parents[2]


def _revisions() -> list[str]:
    with resources.folder("alembic") as folder:
        configuration = Config()
        configuration.set_main_option("script_location", str(folder))
        return [step.revision for step in reversed(list(ScriptDirectory.from_config(configuration).walk_revisions()))]


REVISIONS = _revisions()
# what is left of us: everything in our schemas and every job
_LEFT = """
select c.oid::regclass::text from pg_class as c
where c.relnamespace in ('public'::regnamespace, to_regnamespace('autosync')) and c.relkind <> 'i'
union all
select p.oid::regprocedure::text from pg_proc as p
where p.pronamespace in ('public'::regnamespace, to_regnamespace('autosync'))
union all
select t.oid::regtype::text from pg_type as t
where t.typnamespace in ('public'::regnamespace, to_regnamespace('autosync'))
    and t.typrelid = 0 and t.typelem = 0
union all
select 'job ' || coalesce(j.jobname, j.jobid::text) from cron.job as j
"""


@pytest.fixture(scope="module")
def fresh(migrated_template: Cluster) -> Iterator[str]:
    """What one upgrade of an empty database makes."""
    with clusters.cloned(migrated_template) as copy:
        yield catalog.snapshot(copy)


@pytest.fixture
def untouched(migrated_template: Cluster) -> Iterator[Cluster]:
    """A cluster at head whose job has the schedule that the migration gave it."""
    with clusters.cloned(migrated_template) as copy:
        yield copy


def test_there_is_one_head() -> None:
    with resources.folder("alembic") as folder:
        configuration = Config()
        configuration.set_main_option("script_location", str(folder))
        assert ScriptDirectory.from_config(configuration).get_heads() == [REVISIONS[-1]] == [revisions.head()]


def test_the_migrating_role_is_no_superuser(blank: Cluster) -> None:
    with clusters.connect(blank) as connection:
        found = connection.execute("select rolname, rolsuper from pg_roles where rolname = current_user").fetchone()
    assert found == ("postgres", False)


@pytest.mark.long
def test_step_by_step_ends_like_one_step(blank: Cluster, fresh: str) -> None:
    for step in REVISIONS:
        assert migrate.upgrade(blank.url(), step).revisions == [step]
    assert catalog.snapshot(blank) == fresh


@pytest.mark.parametrize(
    "revision",
    # on every push only the first, which makes the tables, and the newest
    [pytest.param(one, marks=[] if one in (REVISIONS[0], REVISIONS[-1]) else pytest.mark.long) for one in REVISIONS],
)
def test_a_step_down_takes_back_what_its_step_up_did(revision: str, blank: Cluster) -> None:
    position = REVISIONS.index(revision)
    before = REVISIONS[position - 1] if position else "base"
    if position:
        migrate.upgrade(blank.url(), before)
    else:
        migrate.upgrade(blank.url(), revision)  # the extensions and the schema stay
        migrate.downgrade(blank.url(), "base", drop_rows=True)
    lower = catalog.snapshot(blank)
    migrate.upgrade(blank.url(), revision)
    upper = catalog.snapshot(blank)
    assert upper != lower
    migrate.downgrade(blank.url(), before, drop_rows=True)
    assert catalog.snapshot(blank) == lower
    migrate.upgrade(blank.url(), revision)
    assert catalog.snapshot(blank) == upper


def test_upgrading_twice_changes_nothing(untouched: Cluster, fresh: str) -> None:
    with clusters.connect(untouched) as connection:
        written = "select path, applied_at, xmin::text from autosync.object order by path"
        before = catalog.rows(connection, written)
        done = migrate.upgrade(untouched.url())
        assert (done.before, done.after, done.revisions, done.objects) == (
            REVISIONS[-1],
            REVISIONS[-1],
            [],
            [],
        )
        assert catalog.rows(connection, written) == before
    assert catalog.snapshot(untouched) == fresh
    assert migrate.plan(untouched.url()).is_current


def test_downgrade_to_base_leaves_only_the_version_table(migrated: Cluster) -> None:
    migrate.downgrade(migrated.url(), "base")
    with clusters.connect(migrated) as connection:
        assert connection.execute(_LEFT).fetchall() == [("autosync.alembic_version",)]
        assert connection.execute("select count(*) from autosync.alembic_version").fetchone() == (0,)


def test_up_from_base_ends_like_a_fresh_database(migrated: Cluster, fresh: str) -> None:
    migrate.downgrade(migrated.url(), "base")
    migrate.upgrade(migrated.url())
    assert catalog.snapshot(migrated) == fresh


@pytest.mark.long
def test_plain_alembic_in_a_checkout_ends_like_migrate(blank: Cluster, fresh: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "AUTOSYNC_DATABASE_URL": blank.url().reveal()},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert catalog.snapshot(blank) == fresh
    assert migrate.plan(blank.url()).is_current


def test_plain_alembic_without_a_database_says_what_to_set() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "AUTOSYNC_DATABASE_URL" in done.stdout + done.stderr


# what `migrate --sql` of a release printed
RELEASED = sorted((Path(__file__).parent / "released").glob("*.sql.gz"))
# what a project has in its tables when it upgrades
_IN_USE = """
insert into public.pg_cron_secrets (name, secret) values ('project_url', 'https://project.example');
insert into public.auto_sync_schedules (integration_id, organization_id, enabled)
select gen_random_uuid(), gen_random_uuid(), true from generate_series(1, 3);
insert into autosync.job (name, function, schedule, retry_attempts) values ('daily-report', 'report', '0 3 * * *', 3);
insert into autosync.job (name, sql, schedule) values ('cleanup', 'select 1', '0 4 * * *');
select autosync.sync_job(j.name) from autosync.job as j;
insert into autosync.tick (job_id, caller, due, decision)
select j.id, 'pg_cron', 0, 'posted' from autosync.job as j where j.name = 'daily-report';
insert into autosync.invocation (tick_id, job_id, request_id, timeout_milliseconds, outcome, settled_at, status_code)
select t.id, t.job_id, 1, 30000, 'ok', now(), 200 from autosync.tick as t;
"""
_KEPT = (
    "select to_jsonb(s) - 'updated_at' from public.pg_cron_secrets as s order by s.name",
    "select to_jsonb(s) from public.auto_sync_schedules as s order by s.id",
    "select j.name, j.schedule, j.function, j.sql, j.retry_attempts from autosync.job as j order by j.name",
    "select t.id, t.decision from autosync.tick as t order by t.id",
    "select i.id, i.outcome, i.status_code from autosync.invocation as i order by i.id",
    "select c.jobname, c.schedule, c.command, c.active from cron.job as c order by c.jobname",
)


@pytest.mark.parametrize("script", RELEASED, ids=lambda path: path.name.removesuffix(".sql.gz"))
def test_a_released_version_in_use_is_upgraded_and_keeps_its_rows(script: Path, blank: Cluster, fresh: str) -> None:
    with clusters.connect(blank) as connection:
        connection.execute(gzip.decompress(script.read_bytes()))
        connection.execute(_IN_USE.encode())
        before = [connection.execute(query.encode()).fetchall() for query in _KEPT]
        migrate.upgrade(blank.url())
        assert [connection.execute(query.encode()).fetchall() for query in _KEPT] == before
        assert migrate.plan(blank.url()).is_current
        # without its rows it is like one that was made today
        connection.execute(
            "select cron.unschedule(c.jobid) from cron.job as c where c.jobname in ('daily-report', 'cleanup')"
        )
    migrate.downgrade(blank.url(), "base", drop_rows=True)
    migrate.upgrade(blank.url())
    assert catalog.snapshot(blank) == fresh


def test_there_is_a_release_to_upgrade_from() -> None:
    assert RELEASED


@pytest.mark.long
def test_the_printed_script_ends_like_migrate(blank: Cluster, fresh: str, tmp_path: Path) -> None:
    script = tmp_path / "migrate.sql"
    script.write_text(migrate.script_sql(), encoding="utf-8")
    subprocess.run(
        [str(blank.installation.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script)],
        env={"PATH": os.environ["PATH"], **blank.environment("postgres")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert catalog.snapshot(blank) == fresh
    assert migrate.plan(blank.url()).is_current
