"""claims_not_stuck: a claim that outlives any call and still keeps others away is named."""

import uuid

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ID = "claims_not_stuck"


def _claim(project: Project, claimed_at: str, expires_at: str, **columns: object) -> None:
    project.add_schedule(
        next_run_at="now() - interval '2 hours'",
        claim_id=uuid.uuid4(),
        claimed_at=claimed_at,
        claim_expires_at=expires_at,
        **columns,
    )


def test_claim_with_an_endless_lease_is_the_root_cause_until_it_is_taken_back(project: Project) -> None:
    project.owner.execute("update autosync.job set schedule = '0 0 * * *'")
    project.owner.execute("select autosync.sync_job()")
    _claim(project, "now() - interval '90 minutes'", "now() + interval '10 years'")
    project.must_fail(ID, names="table public.auto_sync_schedules: 1 due schedules have been claimed for over an hour")

    project.run_remedy(ID)
    assert project.value("select count(*) from public.auto_sync_claim()") == 1
    project.owner.execute("delete from public.auto_sync_schedules")
    project.must_be_healthy()


def test_claim_without_an_end_is_named(project: Project) -> None:
    project.add_schedule(next_run_at="now() - interval '2 hours'")
    project.admin.execute(
        "update public.auto_sync_schedules set claim_id = gen_random_uuid(),"
        " claimed_at = now() - interval '2 hours', claim_expires_at = 'infinity'"
    )
    assert "until the end of time" in result_of(project.report([ID]), ID).verdict.summary


def test_claim_of_some_hours_is_a_warning(project: Project) -> None:
    _claim(project, "now() - interval '90 minutes'", "now() + interval '1 hour'")
    assert result_of(project.report([ID]), ID).status is Status.WARNING


def test_work_in_progress_and_leases_that_ended_are_no_fault(project: Project) -> None:
    _claim(project, "now() - interval '50 minutes'", "now() + interval '9 days'")
    _claim(project, "now() - interval '9 days'", "now() - interval '1 minute'")
    _claim(project, "now() - interval '2 hours'", "now() + interval '9 days'", enabled=False)
    assert result_of(project.report([ID]), ID).status is Status.OK
