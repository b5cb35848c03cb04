"""Schedules in seconds: they tick where pg_cron has them, and are refused by version where it has not."""

import itertools

import pytest

from tests.cli.conftest import Project
from tests.support import clusters, command, versions
from tests.support.dumps import contents

EVERY_TWO_SECONDS = {"AUTOSYNC_JOB__SCHEDULE": "2 seconds"}

# ticks of pg_cron's own, each with the run that pg_cron recorded of the same backend
TICKS = """
select t.id, t.ticked_at, i.outcome
from autosync.tick as t
join cron.job_run_details as d
    on d.job_pid = t.backend_pid and d.start_time between t.ticked_at - interval '5 seconds' and t.ticked_at
join cron.job as j on j.jobid = d.jobid and j.jobname = t.job_name
left join autosync.invocation as i on i.tick_id = t.id
where t.caller = 'pg_cron' and t.ticked_at > %s and d.status = 'succeeded'
order by t.id
"""


@pytest.fixture
def project(new_project: Project) -> Project:
    """A project of the test's own: pg_cron ticks on it."""
    return new_project


def setup(project: Project) -> command.Result:
    """Set the project up with a tick every two seconds."""
    return command.run(
        "setup", "--project-url", project.stub.url, "--service-role-key-file", "-",
        database=project.cluster.url(), variables=EVERY_TWO_SECONDS, stdin=project.key.reveal() + "\n",
    )  # fmt: skip


def test_an_older_pg_cron_refuses_by_naming_the_version_and_nothing_is_changed(project: Project) -> None:
    versions.needs_older_pg_cron(project.cluster, versions.SECONDS, "the refusal of schedules in seconds")
    before = contents(project.cluster)
    said = command.refused(setup(project), 2)
    assert "needs pg_cron 1.5 or newer; this server has" in said
    assert contents(project.cluster) == before


def test_a_newer_pg_cron_ticks_by_them_and_every_report_shows_it(project: Project) -> None:
    versions.needs_pg_cron(project.cluster, versions.SECONDS, "a schedule in seconds")
    command.succeeds(setup(project))
    with clusters.connect(project.cluster) as connection:
        (since,) = connection.execute("select clock_timestamp()").fetchone() or (None,)
        # with the next tick the answers of the ones before are settled
        ticks = clusters.wait_for(
            lambda: (
                [row for row in connection.execute(TICKS, [since]).fetchall() if row[2] == "ok"][2:]
                and connection.execute(TICKS, [since]).fetchall()
            ),
            "three ticks of pg_cron's own that were answered",
        )
    between = [(after[1] - before[1]).total_seconds() for before, after in itertools.pairwise(ticks)]
    assert all(1 <= seconds <= 4 for seconds in between), between
    assert len(project.stub.requests) >= len([row for row in ticks if row[2] == "ok"]) + 1  # with setup's own

    verified = command.run("verify", "--format", "json", database=project.cluster.url(), variables=EVERY_TWO_SECONDS)
    assert command.succeeds(verified).json()["status"] == "ok"
    shown = command.run("status", database=project.cluster.url(), variables=EVERY_TWO_SECONDS)
    assert "in at most 2" in command.succeeds(shown).out


@pytest.mark.long
def test_on_a_newer_pg_cron_a_pause_stops_them_and_verify_misses_no_tick(project: Project) -> None:
    versions.needs_pg_cron(project.cluster, versions.SECONDS, "a schedule in seconds")
    command.succeeds(setup(project))
    command.succeeds(command.run("jobs", "pause", database=project.cluster.url(), variables=EVERY_TWO_SECONDS))
    with clusters.connect(project.cluster) as connection:
        # another job shows that pg_cron goes on, and for how long
        connection.execute("select cron.schedule('clock', '1 second', 'select 1')")

        def seconds_gone_by() -> int:
            runs = "select count(*) from cron.job_run_details as d join cron.job using (jobid) where jobname = 'clock'"
            return int((connection.execute(runs).fetchone() or (0,))[0])

        clusters.wait_for(seconds_gone_by, "a run after the pause")
        before = connection.execute("select count(*) from autosync.tick").fetchone()
        clusters.wait_for(lambda: seconds_gone_by() >= 5, "two periods of the paused job")
        assert connection.execute("select count(*) from autosync.tick").fetchone() == before
        connection.execute("select cron.unschedule('clock')")
    verified = command.run("verify", "--format", "json", database=project.cluster.url(), variables=EVERY_TWO_SECONDS)
    assert command.succeeds(verified).json()["root_causes"] in ([], ["job_active"])
