"""secrets_readable_by_job: the role that reads the secrets is judged, not the role that asks."""

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support import health
from tests.support.health import Project, result_of

ID = "secrets_readable_by_job"
HIDDEN = ("secrets_present", "service_key_valid", "service_key_fresh", "secrets_clean", "project_url_valid")


def test_missing_grant_is_the_root_cause_until_it_is_granted(project: Project) -> None:
    project.admin.execute("revoke select on public.pg_cron_secrets from postgres, service_role")
    project.admin.execute("revoke pg_read_all_data from postgres")
    project.must_fail(ID, names="the role postgres, as which the job reads it, may not select it")
    for name in HIDDEN:
        project.must_be_blocked(name, ID)

    project.run_remedy(ID)
    assert project.call() is Cause.OK
    project.must_be_healthy()


def test_forced_row_level_security_hides_the_rows_from_an_owner_without_bypass(project: Project) -> None:
    project.owner.execute("alter table public.pg_cron_secrets force row level security")
    assert result_of(project.report(), ID).status is Status.OK

    project.admin.execute("alter role postgres nobypassrls")
    report = project.report()
    assert health.roots(report)[ID] is Status.CRITICAL
    assert "row level security, forced on its owner, hides" in result_of(report, ID).verdict.summary
    assert ID in result_of(report, "secrets_present").blocked_by

    project.run_remedy(ID)
    assert result_of(project.report(), ID).status is Status.OK
    assert project.call() is Cause.OK


def test_function_of_another_owner_sees_no_rows(project: Project) -> None:
    project.admin.execute(
        "create role reader nologin; grant usage on schema public to reader;"
        " grant select on public.pg_cron_secrets to reader;"
        " alter function autosync.read_secret(text) owner to reader"
    )
    found = result_of(project.report(), ID)
    assert found.status is Status.CRITICAL
    assert "row level security hides its rows from the role reader" in found.verdict.summary

    project.owner.execute("create policy reads on public.pg_cron_secrets for select to reader using (true)")
    assert result_of(project.report(), ID).status is Status.OK
    project.admin.execute("drop policy reads on public.pg_cron_secrets")
    project.admin.execute("alter role reader bypassrls")
    assert result_of(project.report(), ID).status is Status.OK
