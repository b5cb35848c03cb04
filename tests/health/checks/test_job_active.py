"""job_active: a job that was switched off by hand is a fault, a recorded pause is none."""

from tests.support.health import Project, result_of


def test_job_switched_off_by_hand_is_the_root_cause_until_resume(project: Project) -> None:
    project.owner.execute("select cron.alter_job(jobid, active := false) from cron.job")
    project.add_schedule(next_run_at="now() - interval '100 days'")
    project.must_fail("job_active", names="cron job auto-sync-cron-job: is inactive")
    project.must_be_blocked("schedules_not_overdue", "job_active")

    project.owner.execute("delete from public.auto_sync_schedules")
    project.run_remedy("job_active")
    project.must_be_healthy()


def test_scheduling_again_does_not_switch_it_on(project: Project) -> None:
    project.owner.execute("select cron.alter_job(jobid, active := false) from cron.job")
    project.owner.execute("select cron.schedule(jobname, schedule, command) from cron.job")
    project.must_fail("job_active")


def test_recorded_pause_is_told_and_is_no_fault(project: Project) -> None:
    project.run_command("job", "pause")
    report = project.must_be_healthy()
    found = result_of(report, "job_active")
    assert report.notes == (found,)
    assert "paused by postgres since" in project.run_verify().out
    assert "paused by postgres since" in found.verdict.summary
