"""schedules_have_next_run: an enabled row without a next run is named, and any update of it mends it."""

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ID = "schedules_have_next_run"


def test_row_past_the_trigger_is_the_root_cause_until_it_is_touched(project: Project) -> None:
    for _ in range(3):
        project.add_schedule(next_run_at=None)
    project.must_fail(ID, names="table public.auto_sync_schedules: 3 enabled schedules have no next_run_at")

    project.run_remedy(ID)
    project.must_be_healthy()


def test_disabled_trigger_explains_it(project: Project) -> None:
    project.owner.execute("alter table public.auto_sync_schedules disable trigger auto_sync_schedules_next_run_at")
    project.add_schedule(next_run_at=None)
    project.must_fail("schedule_trigger_enabled")
    project.must_be_blocked(ID, "schedule_trigger_enabled")


def test_disabled_schedule_needs_no_next_run(project: Project) -> None:
    project.add_schedule(next_run_at=None, enabled=False)
    project.must_be_healthy()


def test_count_ends_at_a_thousand(project: Project) -> None:
    with project.admin.transaction():
        project.admin.execute("set local session_replication_role = replica")
        project.admin.execute(
            "insert into public.auto_sync_schedules (integration_id, organization_id, enabled)"
            " select gen_random_uuid(), gen_random_uuid(), true from generate_series(1, 1001)"
        )
    found = result_of(project.report([ID]), ID)
    assert found.status is Status.CRITICAL
    assert found.verdict.summary.startswith("table public.auto_sync_schedules: 1000 or more enabled")
