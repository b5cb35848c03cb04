"""cron_run_sequence_ahead: a sequence that a restore left behind is named before pg_cron dies of it."""

from tests.support.health import Project


def test_sequence_behind_the_history_is_the_root_cause_until_it_is_ahead(project: Project) -> None:
    for _ in range(3):
        project.record_run("succeeded", "1 row")
    project.must_be_healthy()
    project.admin.execute("select setval('cron.runid_seq', 1, false)")
    project.add_schedule(next_run_at="now() - interval '100 days'")
    project.must_fail("cron_run_sequence_ahead", names="its next value is 1, but runs up to 3 are recorded")
    project.must_be_blocked("schedules_not_overdue", "cron_run_sequence_ahead")
    project.owner.execute("delete from public.auto_sync_schedules")

    project.repair("cron_run_sequence_ahead", role="supabase_admin")
    project.must_be_healthy()
    assert project.value("select count(*) from cron.job_run_details") == 3
    project.admin.execute("select setval('cron.runid_seq', 2)")
    project.must_fail("cron_run_sequence_ahead", names="its next value is 3")
    project.run_remedy("cron_run_sequence_ahead")
    project.must_be_healthy()


def test_empty_history_needs_nothing_of_its_sequence(project: Project) -> None:
    project.admin.execute("select setval('cron.runid_seq', 1, false)")
    project.must_be_healthy()
