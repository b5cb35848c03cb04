"""pg_net_settings_valid: a setting with which the worker cannot work is named, with what it does to the worker."""

import psycopg
import pytest

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support import clusters
from tests.support.health import Project, result_of


def _set(project: Project, name: str, value: str) -> None:
    """Change a setting as a superuser does, and wait until it is in force."""
    project.admin.execute(f"alter system set {name} = '{value}'".encode())
    project.admin.execute("select pg_reload_conf()")
    clusters.wait_for(lambda: project.value("select current_setting(%s)", [name]) == value, f"{name} to be {value}")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("pg_net.ttl", "6 hourz", "is '6 hourz', which is no interval"),
        ("pg_net.ttl", "-1 hour", "is '-1 hour', so every answer is deleted at once"),
        ("pg_net.batch_size", "0", "is 0, so no request is ever taken from the queue"),
    ],
)
def test_setting_that_stops_the_worker_is_the_root_cause_until_it_is_reset(
    project: Project, name: str, value: str, told: str
) -> None:
    before = str(project.value("select current_setting(%s)", [name]))
    _set(project, name, value)
    found = result_of(project.report(), "pg_net_settings_valid")
    assert found.status is Status.CRITICAL
    assert told in found.verdict.summary
    # the worker comes and goes with such a setting, so that its own check may see either
    project.stop_worker()
    if project.cluster.stand_in:
        project.must_fail("pg_net_settings_valid", names=told)
        project.must_be_blocked("pg_net_worker_running", "pg_net_settings_valid")

    _set(project, name, before)
    project.start_worker()
    if not project.cluster.stand_in:
        moment = project.value("select now() from net.worker_restart()")
        clusters.wait_for(
            lambda: project.value(
                "select count(*) from pg_stat_activity"
                " where application_name like 'pg\\_net %%' and backend_start > %s",
                [moment],
            ),
            "the new worker",
        )
    assert project.call() is Cause.OK
    project.must_be_healthy()


@pytest.mark.skipif(clusters.REAL_PG_NET, reason="restart_server waits for a worker, which cannot start")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nobody_at_all", "is 'nobody_at_all', and there is no such role"),
        ("anon", "is 'anon', which may not log in"),
        ("authenticator", "is 'authenticator', which lacks insert on net._http_response"),
    ],
)
def test_role_as_which_the_worker_cannot_work_is_named(project: Project, name: str, told: str) -> None:
    project.admin.execute("revoke insert on net._http_response from public")
    project.admin.execute("grant insert on net._http_response to postgres")
    project.must_be_healthy()
    project.admin.execute(f"alter system set pg_net.username = '{name}'".encode())
    project.admin.execute("select pg_reload_conf()")
    clusters.wait_for(lambda: project.value("select current_setting('pg_net.username')") == name, "the setting")
    project.must_fail("pg_net_settings_valid", names=told)


@pytest.mark.skipif(clusters.REAL_PG_NET, reason="the stand-in's settings are visible to everybody")
def test_looking_at_a_bad_interval_leaves_the_transaction_whole(project: Project) -> None:
    _set(project, "pg_net.ttl", "6 hourz")
    assert result_of(project.report(["pg_net_settings_valid", "job_scheduled"]), "job_scheduled").status is Status.OK
    assert project.owner.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


def test_role_that_cannot_see_the_real_settings_says_unknown(project: Project) -> None:
    project.admin.execute("comment on extension pg_net is null")
    project.create_role("plain")
    found = result_of(project.report(["pg_net_settings_valid"], role="plain"), "pg_net_settings_valid")
    assert found.verdict.status is Status.UNKNOWN
    assert "grant it pg_monitor" in found.verdict.summary
