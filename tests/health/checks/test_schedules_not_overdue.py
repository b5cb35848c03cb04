"""schedules_not_overdue: a due schedule that nobody runs is a sign of other faults, and a fault by itself."""

import uuid

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support.health import Project, result_of

ID = "schedules_not_overdue"


def _tick_every(project: Project, schedule: str) -> None:
    project.owner.execute("update autosync.job set schedule = %s", [schedule])
    project.owner.execute("select autosync.sync_job()")


def _claim(expires_at: str) -> dict[str, object]:
    claimed_at = "now() - interval '20 minutes'"
    return {"claim_id": uuid.uuid4(), "claimed_at": claimed_at, "claim_expires_at": expires_at}


def test_schedule_that_nobody_runs_is_the_root_cause_until_it_ran(project: Project) -> None:
    _tick_every(project, "*/5 * * * *")
    project.add_schedule(next_run_at="now() - interval '16 minutes'")
    project.must_fail(ID, names="table public.auto_sync_schedules: 1 schedules are due and were not run")

    project.owner.execute(
        "select public.auto_sync_complete(c.id, 'success', null, c.claim_id) from public.auto_sync_claim() as c"
    )
    project.must_be_healthy()


def test_failing_function_explains_the_waiting_schedules(project: Project) -> None:
    _tick_every(project, "*/5 * * * *")
    project.add_schedule(next_run_at="now() - interval '16 minutes'")
    project.stub.answer(500)
    assert project.call() is Cause.FUNCTION
    project.must_fail("function_succeeds")
    project.must_be_blocked(ID, "function_succeeds")


def test_missing_secret_explains_the_waiting_schedules(project: Project) -> None:
    _tick_every(project, "*/5 * * * *")
    project.add_schedule(next_run_at="now() - interval '16 minutes'")
    project.owner.execute("delete from public.pg_cron_secrets")
    project.must_fail("secrets_present")
    project.must_be_blocked(ID, "secrets_present")


MAY_WAIT: dict[str, dict[str, object]] = {
    "not yet": {"next_run_at": "now() - interval '14 minutes'"},
    "disabled": {"next_run_at": "now() - interval '9 days'", "enabled": False},
    "never": {"next_run_at": None},
    "claimed": {"next_run_at": "now() - interval '1 hour'", **_claim("now() + interval '5 minutes'")},
    "window shut": {
        "next_run_at": "now() - interval '20 hours'",
        "time_window_enabled": True,
        "time_window_start": "(now() + interval '1 hour')::time",
        "time_window_end": "(now() + interval '2 hours')::time",
    },
    "window just opened": {
        "next_run_at": "now() - interval '20 hours'",
        "time_window_enabled": True,
        "time_window_start": "(now() - interval '5 minutes')::time",
        "time_window_end": "(now() + interval '1 hour')::time",
    },
}
OVERDUE: dict[str, dict[str, object]] = {
    "lease ended": {"next_run_at": "now() - interval '1 hour'", **_claim("now() - interval '5 minutes'")},
    "window open": {
        "next_run_at": "now() - interval '20 hours'",
        "time_window_enabled": True,
        "time_window_start": "(now() - interval '30 minutes')::time",
        "time_window_end": "(now() + interval '1 hour')::time",
    },
    "windows missed": {
        "next_run_at": "now() - interval '3 days'",
        "time_window_enabled": True,
        "time_window_start": "(now() + interval '1 hour')::time",
        "time_window_end": "(now() + interval '65 minutes')::time",
    },
}


def test_schedules_that_may_wait_are_not_overdue(project: Project) -> None:
    _tick_every(project, "*/5 * * * *")
    for case, columns in MAY_WAIT.items():
        project.add_schedule(**columns)
        assert result_of(project.report([ID]), ID).status is Status.OK, case


def test_schedules_that_should_have_run_are_overdue(project: Project) -> None:
    _tick_every(project, "*/5 * * * *")
    for case, columns in OVERDUE.items():
        project.add_schedule(**columns)
        assert result_of(project.report([ID]), ID).status is Status.CRITICAL, case
        project.owner.execute("delete from public.auto_sync_schedules")
    project.must_be_healthy()


PATIENCE = [
    ("* * * * *", 15), ("*/5 * * * *", 15), ("*/10 * * * *", 30), ("7 * * * *", 180), ("0 */2 * * *", 360),
    ("30 6 * * *", 4320), ("0  6 * * *", 4320), ("0 6 * * 1", 133920), ("0 6 1 * *", 133920),
]  # fmt: skip


def test_patience_is_three_ticks_of_the_job(project: Project) -> None:
    for schedule, minutes in PATIENCE:
        _tick_every(project, schedule)
        project.add_schedule(next_run_at=f"now() - interval '{minutes - 1} minutes'")
        assert result_of(project.report([ID]), ID).status is Status.OK, schedule
        project.add_schedule(next_run_at=f"now() - interval '{minutes + 1} minutes'")
        found = result_of(project.report([ID]), ID)
        assert found.verdict.status is Status.CRITICAL, schedule
        assert "1 schedules are due" in found.verdict.summary, schedule
        project.owner.execute("delete from public.auto_sync_schedules")


def test_paused_job_explains_it(project: Project) -> None:
    _tick_every(project, "*/5 * * * *")
    project.add_schedule(next_run_at="now() - interval '1 hour'")
    project.run_command("job", "pause")
    found = result_of(project.must_be_healthy(), ID)
    assert "; the job is paused" in found.verdict.summary


def test_rows_hidden_by_row_level_security_are_unknown_not_on_time(project: Project) -> None:
    project.create_role(
        "plain",
        grants="grant pg_read_all_data to plain; grant execute on all functions in schema autosync to plain",
    )
    found = result_of(project.report([ID], role="plain"), ID)
    assert found.verdict.status is Status.UNKNOWN
    assert "hidden from this role" in found.verdict.summary
