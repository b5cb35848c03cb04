"""objects_current: what was edited or dropped in the database is named by its file."""

from autosync_db.health.model import Status
from tests.support.health import Project, result_of


def test_an_edited_function_is_named_and_migrate_mends_it(project: Project) -> None:
    assert result_of(project.report(), "objects_current").status is Status.OK
    project.admin.execute("alter function autosync.settle() set work_mem = '64MB'")
    found = result_of(project.report(), "objects_current")
    assert found.status is Status.WARNING
    assert [item.object for item in found.verdict.evidence] == ["function autosync.settle"]

    project.run_remedy("objects_current")
    project.must_be_healthy()


def test_a_dropped_function_is_critical(project: Project) -> None:
    project.admin.execute("drop function autosync.call_findings(text, text, text[])")
    found = result_of(project.report(), "objects_current")
    assert found.status is Status.CRITICAL
    assert "sql/functions/autosync.call_findings.sql" in found.verdict.summary

    project.run_remedy("objects_current")
    project.must_be_healthy()


def test_what_has_a_check_of_its_own_is_left_to_it(project: Project) -> None:
    project.owner.execute(
        "alter table public.auto_sync_schedules disable trigger auto_sync_schedules_next_run_at;"
        " grant select on public.auto_sync_schedules to anon; grant usage on schema autosync to anon"
    )
    ids = ("schedule_trigger_enabled", "schedules_table_protected", "api_roles_cannot_reach_private_schema")
    project.must_fail(*ids)
    project.repair(*ids)
    project.must_be_healthy()


def test_what_another_check_says_of_the_same_function_explains_it(project: Project) -> None:
    project.owner.execute("alter function autosync.dispatch(text, boolean) reset search_path")
    project.must_fail("search_path_pinned")
    project.must_be_blocked("objects_current", "search_path_pinned")

    # an edit of another function is a fault of its own
    project.owner.execute("alter function autosync.settle() set work_mem = '64MB'")
    project.must_fail("search_path_pinned", "objects_current")


def test_a_grant_of_the_owner_on_another_table_is_nobodys_business(project: Project) -> None:
    project.admin.execute("create table public.other (id integer); grant select on public.other to anon")
    project.must_be_healthy()
