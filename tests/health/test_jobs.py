"""Several jobs in one report: each is judged for itself, and explained by its own failures alone."""

import dataclasses
import io

import pytest
from rich.console import Console

from autosync_db.config import Configuration, Settings
from autosync_db.config.jobs import ShortJob
from autosync_db.errors import UsageError
from autosync_db.health import repair, status, verify
from autosync_db.health.model import Report, Status
from autosync_db.jobs import registry
from autosync_db.jobs.calls import Cause
from autosync_db.report import as_json, as_prometheus, as_text
from tests.support import health
from tests.support.health import NEVER
from tests.support.trial import Trial

FIRST, SECOND, THIRD = "auto-sync-cron-job", "daily-report", "cleanup"


def _speaking_of(project: Trial, name: str | None = None) -> Configuration:
    """Return settings that name one job, or none."""
    settings = Settings() if name is None else Settings(job=ShortJob(name=name))
    return dataclasses.replace(project.configuration, settings=settings)


@pytest.fixture
def jobs(project: Trial) -> Trial:
    """A healthy project of three jobs, all of which were answered."""
    for name in (SECOND, THIRD):
        project.add_job(name)
    return project


def _of(project: Trial, name: str) -> Trial:
    return dataclasses.replace(project, configuration=_speaking_of(project, name))


def _failing(report: Report) -> set[tuple[str, str | None]]:
    return {(result.id, result.job) for result in report.root_causes}


def test_a_check_is_ok_for_all_jobs_in_one_row_and_fails_in_one_for_each(jobs: Trial) -> None:
    report = jobs.report()
    assert not report.root_causes, health.described(report)
    assert report.jobs == (FIRST, THIRD, SECOND)
    rows = as_json.report(report)["checks"]
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["job"] for row in rows} == {None}

    for name in (SECOND, THIRD):
        jobs.owner.execute("select cron.alter_job(jobid, active := false) from cron.job where jobname = %s", [name])
    report = jobs.report()
    assert _failing(report) == {("job_active", SECOND), ("job_active", THIRD)}, health.described(report)
    found = as_json.report(report)
    assert found["root_causes"] == ["job_active"]
    assert [row["job"] for row in found["checks"] if row["id"] == "job_active"] == [THIRD, SECOND]
    assert f'job="{SECOND}",check="job_active",layer="job",status="critical"}} 1' in as_prometheus.report(report)
    assert f'job="{FIRST}",check="job_active",layer="job",status="ok"}} 1' in as_prometheus.report(report)
    shown = io.StringIO()
    as_text.report(report, Console(file=shown, width=200))
    assert shown.getvalue().count("critical  job_active (cleanup, daily-report)") == 1


def test_a_failure_is_explained_by_its_own_job_and_never_by_another(jobs: Trial) -> None:
    jobs.stub.answer(500)
    assert _of(jobs, SECOND).call() is Cause.FUNCTION
    # what is missing for the first explains nothing of the second
    jobs.owner.execute("select cron.unschedule(%s)", [FIRST])
    report = jobs.report()
    assert _failing(report) == {("job_scheduled", FIRST), ("function_succeeds", SECOND)}, health.described(report)
    blocked = {(result.id, result.job): result.blocked_by for result in report.results if result.blocked_by}
    assert blocked["job_active", FIRST] == ("job_scheduled",)
    assert {job for _, job in blocked} == {FIRST}
    # both runs failed, and one of them because of what it runs
    for name in (SECOND, THIRD):
        _of(jobs, name).record_run("failed", "ERROR:  x")
    jobs.admin.execute("update cron.job set command = 'select 1 / 0' where jobname = %s", [THIRD])
    report = jobs.report()
    runs = {result.job: result.blocked_by for result in report.results if result.id == "job_runs_succeed"}
    assert (runs[SECOND], runs[THIRD]) == ((), ("job_command_matches",)), health.described(report)


def test_a_job_that_is_off_and_was_never_called_makes_nothing_unknown(jobs: Trial) -> None:
    for name in ("off", "paused"):
        jobs.owner.execute(
            "insert into autosync.job (name, function, schedule, enabled, paused_at, auth, secret_name, secret_header)"
            " values (%(name)s, %(name)s, %(never)s, %(name)s <> 'off', case %(name)s when 'paused' then now() end,"
            " 'secret', 'nowhere', 'x-token')",
            {"name": name, "never": NEVER},
        )
        jobs.owner.execute("select autosync.sync_job(%s)", [name])
    report = jobs.report()
    assert {(result.id, result.job, result.status) for result in report.root_causes} == {
        ("secrets_present", "paused", Status.WARNING)
    }, health.described(report)


def test_status_warns_of_no_job_that_is_off_on_purpose_or_whose_statement_was_not_due_yet(jobs: Trial) -> None:
    jobs.owner.execute(
        "insert into autosync.job (name, function, sql, schedule, enabled, paused_at, paused_by) values"
        " ('off', 'off', null, %(never)s, false, null, null),"
        " ('paused', 'paused', null, %(never)s, true, now(), 'ann'),"
        " ('yearly', null, 'select 1', %(never)s, true, null, null)",
        {"never": NEVER},
    )
    jobs.owner.execute(
        "select autosync.sync_job(j.name) from autosync.job as j where j.name in ('off', 'paused', 'yearly')"
    )
    found = status.collect(jobs.owner, jobs.configuration.settings)
    assert found.troubles == []
    # a pause while the statement runs ends it
    _of(jobs, "yearly").record_run("failed", "job canceled")
    assert status.collect(jobs.owner, jobs.configuration.settings).troubles == []
    assert found.off == ["off disabled by the file", "paused paused by ann"]
    jobs.owner.execute("update autosync.job set paused_by = %s where name = 'paused'", [registry.UNFINISHED])
    found = status.collect(jobs.owner, jobs.configuration.settings)
    assert found.troubles == [(Status.WARNING, f"paused paused by {registry.UNFINISHED}")]


def test_a_job_that_seldom_runs_is_not_hidden_behind_busy_ones(jobs: Trial) -> None:
    _of(jobs, THIRD).record_run("failed", "ERROR:  x")
    jobs.admin.execute(
        "insert into cron.job_run_details"
        " (jobid, runid, job_pid, database, username, command, status, return_message, start_time, end_time)"
        " select c.jobid, nextval('cron.runid_seq'), 0, c.database, c.username, c.command, 'succeeded', '1 row',"
        " now(), now()"
        " from cron.job as c, generate_series(1, 5000) where c.jobname = %s",
        [SECOND],
    )
    assert _failing(jobs.report()) == {("job_runs_succeed", THIRD)}


def test_a_repair_acts_on_the_job_that_fails(jobs: Trial) -> None:
    for name in (FIRST, SECOND):
        jobs.owner.execute("select cron.unschedule(%s)", [name])
    session = jobs.acting_as("postgres")
    chosen = verify.run(session, jobs.configuration, jobs=[SECOND])
    plan = repair.plan(session, jobs.configuration, chosen)
    assert [(proposal.id, proposal.job) for proposal in plan.proposals] == [("job_scheduled", SECOND)]
    assert not repair.apply(session, jobs.configuration, plan.proposals)[0].error
    assert _failing(jobs.report()) == {("job_scheduled", FIRST)}
    jobs.repair("job_scheduled")
    assert jobs.report().status is Status.OK


def test_a_repair_makes_no_job_that_is_done_already_and_no_other_of_the_file(jobs: Trial) -> None:
    call = f"select net.http_post(url := '{jobs.stub.url}/functions/v1/planned')"
    report = {"function": "planned", "schedule": "0 6 * * *"}
    settings = Settings.model_validate({"jobs": {"planned": report, "other": report | {"function": "other"}}})
    planning = dataclasses.replace(jobs.configuration, settings=settings)
    session = jobs.acting_as("postgres")

    def repaired(name: str) -> repair.Plan:
        report = verify.run(session, planning, ["job_scheduled"], jobs=[name])
        return repair.plan(session, planning, report, ["job_scheduled"])

    [(number,)] = jobs.owner.execute("select cron.schedule('Planned (EU)', '0 6 * * *', %s)", [call]).fetchall()
    done = repaired("planned")
    assert done.proposals == ()
    assert "explained by settings_applied" in done.refusals[0].reason
    remedy = f"autosync-db jobs adopt planned --from {number}"
    assert done.refusals[0].hint.endswith(remedy)
    looked = verify.run(session, planning, skip=["cron"])
    roots = {(one.id, one.job): one.remedy for one in looked.root_causes}
    assert roots["settings_applied", None] == remedy, "that is what verify prints"
    assert ("job_scheduled", "other") in roots
    blocked = {
        one.id: one.blocked_by for one in looked.results if one.job == "planned" and one.status is Status.BLOCKED
    }
    assert set(blocked) >= {"job_scheduled", "job_active", "job_runs_succeed"}
    assert set(blocked.values()) == {("settings_applied",)}
    # the other one is made, and nothing of the first is
    assert not repair.apply(session, planning, repaired("other").proposals)[0].error
    names = {name for (name,) in jobs.owner.execute("select name from autosync.job")}
    assert names == {FIRST, SECOND, THIRD, "other", "autosync-keep-house"}


def test_the_settings_say_which_jobs_are_spoken_of_and_without_them_all_that_are_registered(jobs: Trial) -> None:
    session = jobs.acting_as("postgres")
    assert verify.run(session, _speaking_of(jobs, SECOND)).jobs == (SECOND,)
    assert verify.run(session, _speaking_of(jobs, SECOND), jobs=[THIRD, FIRST]).jobs == (FIRST, THIRD)
    # one that only the file knows is missing, one that nobody knows is a typo
    report = verify.run(session, _speaking_of(jobs, "planned"))
    assert ("job_scheduled", "planned") in _failing(report)
    with pytest.raises(UsageError, match="there is no job 'dayly-report'"):
        verify.run(session, _speaking_of(jobs), jobs=["dayly-report"])
    # where the guide's job was removed nothing asks for it
    jobs.owner.execute("select cron.unschedule(%s)", [FIRST])
    jobs.owner.execute("delete from autosync.job where name = %s", [FIRST])
    report = jobs.report()
    assert report.jobs == (THIRD, SECOND)
    assert "job_scheduled" not in {result.id for result in report.root_causes}, health.described(report)
