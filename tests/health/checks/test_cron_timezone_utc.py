"""cron_timezone_utc: a time zone matters to schedules that name an hour, and an ignored one is no time zone."""

import pytest

from autosync_db.health.model import Status
from tests.support import clusters, server, versions
from tests.support.health import Project, result_of

ONLY = ["cron_timezone_utc"]


def _reschedule(project: Project, schedule: str) -> None:
    project.admin.execute("update cron.job set schedule = %s", [schedule])


def test_other_zone_is_a_warning_for_a_schedule_with_an_hour(project: Project) -> None:
    _reschedule(project, "0 7 * * *")
    server.pretend_setting(project, "cron.timezone", "Europe/Paris")
    found = result_of(project.report(ONLY), ONLY[0])
    assert found.status is Status.WARNING
    assert "is Europe/Paris: pg_cron reads '0 7 * * *' in that time zone" in found.verdict.summary
    for alike in ("GMT", "Etc/UTC", "utc"):
        server.pretend_setting(project, "cron.timezone", alike)
        assert not result_of(project.report(ONLY), ONLY[0]).verdict.evidence
    server.pretend_setting(project, "cron.timezone", "GMT", pending_restart=True)
    assert "was changed" in result_of(project.report(ONLY), ONLY[0]).verdict.summary


@pytest.mark.parametrize("schedule", ["*/5 * * * *", "5 * * * *", "10 seconds", "@hourly"])
def test_schedule_without_an_hour_is_the_same_everywhere(project: Project, schedule: str) -> None:
    project.admin.execute("update cron.job set active = false")
    _reschedule(project, schedule)
    server.pretend_setting(project, "cron.timezone", "Europe/Paris")
    found = result_of(project.report(ONLY), ONLY[0])
    assert found.status is Status.OK
    assert "Europe/Paris" in found.verdict.summary


def test_the_zone_that_a_newer_pg_cron_really_has_is_a_warning_until_it_is_taken_back(project: Project) -> None:
    versions.needs_pg_cron(project.cluster, versions.SECONDS, "cron.timezone")
    server.configure(project, "cron.timezone = 'America/New_York'")
    clusters.wait_for(
        lambda: project.value("select pending_restart from pg_settings where name = 'cron.timezone'"), "the setting"
    )
    project.must_fail(*ONLY, status=Status.WARNING, names="was changed, which takes effect when PostgreSQL restarts")
    project.restart_server()
    project.must_fail(*ONLY, status=Status.WARNING, names="is America/New_York: pg_cron reads")
    server.configure(project, "cron.timezone = 'UTC'")
    project.restart_server()
    project.must_be_healthy()


def test_line_that_an_old_pg_cron_ignores_is_a_warning(project: Project) -> None:
    versions.needs_older_pg_cron(project.cluster, versions.SECONDS, "a cron.timezone that is ignored")
    server.configure(project, "cron.timezone = 'America/New_York'")
    clusters.wait_for(
        lambda: project.value("select current_setting('cron.timezone', true)") == "America/New_York", "the setting"
    )
    project.must_fail(
        *ONLY, status=Status.WARNING, names="is set to America/New_York, which pg_cron 1.4-1 ignores: it reads"
    )
    server.configure(project, "cron.timezone = 'UTC'")
    clusters.wait_for(lambda: project.value("select current_setting('cron.timezone', true)") == "UTC", "the setting")
    project.must_be_healthy()
