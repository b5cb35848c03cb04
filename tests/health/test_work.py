"""What the jobs did, as verify says it for Prometheus, beside what was done to them."""

from autosync_db.health import verify
from autosync_db.health.work import Work
from autosync_db.report import as_prometheus
from tests.health.actions import admin, answers, overdue, pretended, waiting_call
from tests.support import promtool
from tests.support.trial import Trial

JOB = "auto-sync-cron-job"


def looked(project: Trial, role: str = "postgres") -> tuple[Work, str]:
    """Return what verify says of the work, as it is and as text."""
    report = verify.run(project.acting_as(role), project.configuration, with_work=True)
    assert report.work is not None
    return report.work, as_prometheus.report(report)


def test_the_figures_are_those_of_the_ledger_and_of_pg_cron(project: Trial) -> None:
    answers(200, {"ok": True, "duration_ms": 1500})(project)
    answers(200, {"ok": True, "duration_ms": 250})(project)
    # what is older than an hour is in no window, and the only success besides
    project.owner.execute(
        "update autosync.invocation set queued_at = now() - interval '3 hours', answered_at = null"
        " where function_milliseconds = 250"
    )
    answers(200, {"ok": True, "duration_ms": 1200})(project)
    success_at = project.value("select extract(epoch from max(queued_at)) from autosync.invocation")
    answers(401, {"msg": "Invalid JWT"}, "UNAUTHORIZED_LEGACY_JWT", ticks=2)(project)
    project.record_run("failed", "ERROR:  no")
    overdue(project)
    waiting_call("40 seconds")(project)
    text = looked(project)[1]

    def value(name: str, **labels: str) -> float | None:
        return promtool.value_of(text, name, target="default", **labels)

    calls = {
        cause: value("job_calls_last_hour", cron_job=JOB, cause=cause) for cause in ("ok", "key", "pending", "slow")
    }
    # the first call of the fixture, 1500 and 1200
    assert calls == {"ok": 3, "key": 2, "pending": 1, "slow": 0}
    runs = {status: value("job_runs_last_hour", cron_job=JOB, status=status) for status in ("succeeded", "failed")}
    assert runs == {"succeeded": 5, "failed": 1}
    assert value("job_failures_in_a_row", cron_job=JOB) == 2
    assert value("job_last_success_timestamp_seconds", cron_job=JOB) == round(float(success_at), 3)
    assert value("job_last_duration_seconds", cron_job=JOB) == 1.2
    assert value("job_longest_duration_seconds", cron_job=JOB) == 1.5
    assert value("job_timeout_seconds", cron_job=JOB) == 30
    assert value("job_expected", cron_job=JOB) == 1
    assert value("job_overdue_schedules", cron_job=JOB) == value("due_schedules") == value("queued_requests") == 1
    assert 40 <= (value("oldest_queued_age_seconds") or 0) < 100
    assert value("alerts_undelivered") == 0
    assert value("housekeeping_last_run_timestamp_seconds") is None
    assert value("secret_changed_timestamp_seconds", secret="service_role_key")
    assert "job_paused_timestamp_seconds" not in text


def test_calls_that_the_ledger_forgot_leave_no_success_and_no_failure(project: Trial) -> None:
    project.owner.execute("truncate autosync.tick, autosync.invocation")
    work, text = looked(project)
    [job] = work.jobs
    assert (job.last_success_at, job.failures_in_a_row, job.last_tick_at, job.calls) == (None, 0, None, {})
    assert 'cause="ok"} 0' in text
    assert "last_success_timestamp" not in text


def test_a_statement_has_the_runs_of_pg_cron(project: Trial) -> None:
    project.set_job(sql="select 1", schedule="0 6 * * 1-5")
    for status in ("succeeded", "failed", "failed"):
        project.record_run(status, "", ended="clock_timestamp()")
    [job] = looked(project)[0].jobs
    assert not job.makes_calls
    assert (job.failures_in_a_row, job.calls, job.timeout) == (2, None, None)
    assert job.interval == 3 * 86400
    assert job.last_success_at
    assert job.last_duration is not None


def test_runs_of_a_time_when_they_were_recorded_say_nothing_of_today(project: Trial) -> None:
    project.set_job(sql="select 1", schedule="0 6 * * 1-5")
    project.record_run("failed", "")
    pretended({"cron.log_run": "off"})(project)
    [job] = looked(project)[0].jobs
    assert (job.last_success_at, job.failures_in_a_row, job.last_duration) == (None, 0, None)


def test_busy_ledgers_are_counted_to_the_end_of_the_hour(project: Trial) -> None:
    project.owner.execute(
        "insert into autosync.invocation"
        " (tick_id, job_id, request_id, queued_at, settled_at, timeout_milliseconds, outcome)"
        " select t.id, t.job_id, 100000 + n, now() - n * interval '10 seconds', now(), 1000, 'ok'"
        " from (select k.id, k.job_id from autosync.tick as k limit 1) as t, generate_series(700, 1, -1) as n"
    )
    [job] = looked(project)[0].jobs
    assert job.calls is not None
    assert job.calls["ok"] in {359, 360}


def test_a_part_that_cannot_be_read_is_named_and_the_others_speak(project: Trial) -> None:
    admin("alter table autosync.alert rename to elsewhere")(project)
    work, text = looked(project)
    assert work.unread == {"alerts"}
    assert 'autosync_readable{target="default",part="alerts"} 0' in text
    assert "autosync_alerts_undelivered" not in text
    assert work.jobs[0].calls == {"ok": 1}
    project.create_role("plain")
    work = looked(project, "plain")[0]
    assert work.unread >= {"jobs", "calls", "queue", "alerts", "secrets"}
    assert work.jobs == ()
