"""pg_cron_installed: without the extension there is no job, and that is said once."""

from autosync_db.health.model import Status
from tests.support.health import Project


def test_missing_extension_is_the_root_cause_until_it_is_created(project: Project) -> None:
    project.admin.execute("drop extension pg_cron")
    project.must_fail("pg_cron_installed", names="extension pg_cron: is not installed in the database postgres")
    for name in ("job_scheduled", "job_unique", "job_active", "job_command_matches", "job_runs_succeed"):
        project.must_be_blocked(name, "pg_cron_installed")

    project.run_remedy("pg_cron_installed")
    project.must_be_healthy()


def test_schema_named_cron_is_not_the_extension(project: Project) -> None:
    project.admin.execute("drop extension pg_cron; create schema cron; create table cron.job (jobid bigint)")
    project.must_fail("pg_cron_installed")


def test_owner_that_may_not_write_jobs_is_a_warning(project: Project) -> None:
    project.admin.execute("update pg_extension set extowner = 'postgres'::regrole where extname = 'pg_cron'")
    project.must_fail(
        "pg_cron_installed", status=Status.WARNING, names="belongs to postgres, which may not write into cron.job"
    )
    project.admin.execute("grant insert on cron.job to postgres")
    project.must_be_healthy()
