"""head_applied: an older schema is the root cause of everything that cannot be asked there."""

from autosync_db.jobs.calls import Cause
from autosync_db.schema import migrate, revisions
from tests.support.health import Project


def test_older_schema_is_the_root_cause_until_migrate(project: Project) -> None:
    migrate.downgrade(project.cluster.url(), "0004", drop_rows=True)
    project.must_fail("head_applied", names=f"is at revision 0004, the newest is {revisions.head()}")
    project.must_be_blocked("function_succeeds", "head_applied")

    project.run_remedy("head_applied")
    assert project.call() is Cause.OK
    project.must_be_healthy()


def test_schema_of_a_newer_version_is_named_as_such(project: Project) -> None:
    project.owner.execute("update autosync.alembic_version set version_num = '9999'")
    project.must_fail("head_applied", names=f"knows only up to {revisions.head()}")


def test_version_table_of_the_application_is_not_ours(project: Project) -> None:
    project.owner.execute("create table public.alembic_version (version_num text)")
    project.owner.execute("insert into public.alembic_version values ('app-1')")
    project.must_be_healthy()
