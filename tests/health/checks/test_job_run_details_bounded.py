"""job_run_details_bounded: a growing history and rows that pruning passed over are named, work in progress is not."""

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ID = "job_run_details_bounded"


def _record(project: Project, runs: int, *, first: int, age: str) -> None:
    project.admin.execute(
        "insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time, end_time)"
        " select jobid, %s + n, database, username, command, 'succeeded', now() - %s::interval, now() - %s::interval"
        " from cron.job, generate_series(1, %s) as n where jobname = %s",
        [first, age, age, runs, project.job_name],
    )


def test_large_history_is_a_warning(project: Project) -> None:
    # as the last ANALYZE would have left it
    project.admin.execute("update pg_class set reltuples = 3400000 where oid = 'cron.job_run_details'::regclass")
    project.must_fail(ID, status=Status.WARNING, names="table cron.job_run_details: holds about 3400000 rows in ")
    project.admin.execute("analyze cron.job_run_details")
    project.must_be_healthy()


def test_rows_that_pruning_passed_over_are_a_warning_until_they_are_deleted(project: Project) -> None:
    _record(project, 40, first=-100, age="30 days")
    project.must_fail(ID, status=Status.WARNING, names="40 runs are older than they are kept, the oldest is of 20")

    project.run_remedy(ID)
    project.must_be_healthy()


def test_remedy_spares_what_is_young_or_still_runs(project: Project) -> None:
    _record(project, 3, first=900, age="6 days")
    project.record_run("running", "", ended=None)
    _record(project, 40, first=-100, age="30 days")
    project.run_remedy(ID)
    assert project.value("select count(*) from cron.job_run_details") == 4


def test_history_that_is_being_worked_off_is_no_fault(project: Project) -> None:
    _record(project, 40, first=900, age="30 days")
    assert result_of(project.report([ID]), ID).status is Status.OK
    project.call()
    # the tick has pruned them
    assert project.value("select count(*) from cron.job_run_details") == 0


def test_old_rows_of_a_job_that_no_longer_ticks_are_no_fault(project: Project) -> None:
    _record(project, 40, first=-100, age="30 days")
    project.owner.execute("update autosync.tick set ticked_at = now() - interval '2 days'")
    assert result_of(project.report([ID]), ID).status is Status.OK


def test_role_that_sees_its_own_runs_alone_does_not_say_ok(project: Project) -> None:
    project.create_role(
        "plain",
        grants="grant usage on schema cron, autosync to plain;"
        " grant select on cron.job, cron.job_run_details, autosync.job, autosync.tick to plain",
    )
    assert result_of(project.report([ID], role="plain"), ID).verdict.status is Status.UNKNOWN
