"""tables_not_locked: whoever locks everybody out is named, and explains what could not be looked at."""

import time

import pytest

from autosync_db.health.model import Status
from tests.support import clusters
from tests.support.health import Project, result_of

ID = "tables_not_locked"


@pytest.mark.parametrize(
    ("table", "blind"),
    [
        ("public.auto_sync_schedules", "schedules_not_overdue"),
        ("autosync.tick", "invocations_bounded"),
        ("net._http_response", "pg_net_tables_bounded"),
    ],
)
def test_session_that_locks_a_table_is_the_root_cause_until_it_commits(
    project: Project, table: str, blind: str
) -> None:
    with clusters.connection(project.cluster, "supabase_admin", application_name="a migration") as holder:
        holder.execute(f"begin; lock table {table} in access exclusive mode".encode())
        began = time.monotonic()
        found = project.must_fail(
            ID,
            status=Status.UNKNOWN,
            names=f"table {table}: is locked against everybody by process {holder.info.backend_pid}"
            " (role supabase_admin, a migration, idle in transaction)",
        )
        # the wait for the lock is not paid once for every check that reads the table
        assert time.monotonic() - began < 10
        assert found.verdict.status is Status.UNKNOWN
        project.must_be_blocked(blind, ID)
    project.must_be_healthy()


def test_lock_that_lets_others_read_is_no_fault(project: Project) -> None:
    with clusters.connection(project.cluster, "supabase_admin") as holder:
        holder.execute("begin; lock table public.auto_sync_schedules in share row exclusive mode")
        project.must_be_healthy()


def test_lock_on_a_table_of_the_project_is_nobodys_business(project: Project) -> None:
    project.admin.execute("create table public.other (id integer)")
    with clusters.connection(project.cluster, "supabase_admin") as holder:
        holder.execute("begin; lock table public.other in access exclusive mode")
        project.must_be_healthy()


def test_role_without_privileges_sees_the_lock(project: Project) -> None:
    project.create_role("plain")
    with clusters.connection(project.cluster, "supabase_admin") as holder:
        holder.execute("begin; lock table autosync.tick in access exclusive mode")
        found = result_of(project.report([ID], role="plain"), ID)
    assert "table autosync.tick" in found.verdict.summary
