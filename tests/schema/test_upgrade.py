"""Every way to a revision ends in the same database, and back again."""

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


def test_step_by_step_ends_like_one_step(blank: Cluster, fresh: str) -> None:
    for step in REVISIONS:
        assert migrate.upgrade(blank.url(), step).revisions == [step]
    assert catalog.snapshot(blank) == fresh


@pytest.mark.parametrize("revision", REVISIONS)
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
