"""launcher_matches_table: what pg_cron's process has in memory, with the real one and its real ticks."""

import pytest

from autosync_db.health.model import Status
from tests.support import clusters, health, versions
from tests.support.health import LiveProject

_ID = "launcher_matches_table"
_SILENTLY = "set session_replication_role = replica; {}; reset session_replication_role"
_RAN = "select exists (select from cron.job_run_details where jobid = %s and status = %s and runid > %s)"


def _scheduled(project: LiveProject, name: str, command: str) -> int:
    """Schedule a job as often as this pg_cron can, and return its number once pg_cron has read it."""
    often = "1 second" if versions.pg_cron(project.cluster) >= versions.SECONDS else "* * * * *"
    number = int(project.value("select cron.schedule(%s, %s, %s)", [name, often, command]))
    project.admin.execute("update cron.job set nodeport = %s where jobid = %s", [project.cluster.port, number])
    project.admin.execute("select pg_sleep(2)")
    return number


def _newest(project: LiveProject) -> int:
    return int(project.value("select coalesce(max(runid), 0) from cron.job_run_details"))


def _ran(project: LiveProject, number: int, status: str = "succeeded", *, after: int = 0) -> None:
    clusters.wait_for(lambda: project.value(_RAN, [number, status, after]), f"a run of job {number}", 75)


@pytest.mark.long
def test_a_job_that_was_deleted_past_pg_cron_is_named_after_one_tick_and_forgotten_by_the_repair(
    live: LiveProject,
) -> None:
    number = _scheduled(live, "old", "select 1")
    live.admin.execute(_SILENTLY.format("delete from cron.job where jobname = 'old'").encode())
    if versions.pg_cron(live.cluster) >= versions.SECONDS:
        # this one does not show when it reads the table: housekeeping has noted that the job is gone
        live.owner.execute("select autosync.keep_house(), pg_sleep(3)")
    _ran(live, number, after=_newest(live))
    found = live.must_fail(_ID, names=f"cron job number {number}: ran at ")
    assert found.verdict.evidence[0].facts["reason"] == "gone"
    live.repair(_ID)
    before = _newest(live)
    live.admin.execute("select pg_sleep(3)")
    assert not live.value(_RAN, [number, "succeeded", before])
    live.must_be_healthy()


@pytest.mark.long
def test_a_job_that_was_unscheduled_is_no_fault_not_even_during_its_run_or_by_itself(live: LiveProject) -> None:
    slow = _scheduled(live, "slow", "select pg_sleep(20)")
    _ran(live, slow, "running")
    live.owner.execute("select cron.unschedule('slow')")
    live.must_be_healthy()
    _ran(live, slow, "failed")
    live.must_be_healthy()
    once = _scheduled(live, "once", "select cron.unschedule('once')")
    _ran(live, once)
    assert live.look(_ID).status is Status.OK, health.evidence(live.look(_ID))
    plain = _scheduled(live, "plain", "select 1")
    _ran(live, plain)
    live.owner.execute("select cron.unschedule('plain')")
    assert live.look(_ID).status is Status.OK, health.evidence(live.look(_ID))
    live.must_be_healthy()


@pytest.mark.long
def test_a_text_that_was_changed_past_pg_cron_is_named(live: LiveProject) -> None:
    if versions.pg_cron(live.cluster) >= versions.SECONDS:
        pytest.skip("this pg_cron does not show when it reads the table")
    number = _scheduled(live, "old", "select 1")
    _ran(live, number)
    live.admin.execute(_SILENTLY.format("update cron.job set command = 'select 2' where jobname = 'old'").encode())
    live.must_fail(_ID, names="cron job old: ran another text at ")
    live.repair(_ID)
    live.must_be_healthy()
    live.owner.execute("select cron.unschedule('old')")


@pytest.mark.long
def test_what_was_switched_off_or_given_away_past_pg_cron_is_named_as_long_as_it_runs(live: LiveProject) -> None:
    changes = {"off": "active = false", "role": "username = 'supabase_admin'", "database": "database = 'template1'"}
    numbers = {name: _scheduled(live, name, f"select '{name}'") for name in [*changes, "properly"]}
    for number in numbers.values():
        _ran(live, number)
    for name, change in changes.items():
        live.admin.execute(_SILENTLY.format(f"update cron.job set {change} where jobname = '{name}'").encode())
    for _ in range(2):
        newest = _newest(live)
        for number in numbers.values():
            _ran(live, number, after=newest)
    # past the moment in which pg_cron could still be about to read the table
    live.admin.execute("select pg_sleep(3)")
    found = health.evidence(live.look(_ID))
    for name, says in {"off": "is inactive", "role": "as another role", "database": "in another database"}.items():
        assert f"cron job {name}: ran " in found, found
        assert says in found
    assert "properly" not in found
    live.repair(_ID)
    live.owner.execute("select cron.alter_job(%s, active := false)", [numbers["properly"]])
    live.admin.execute("select pg_sleep(2)")
    assert live.look(_ID).status is Status.OK, health.evidence(live.look(_ID))
    live.owner.execute(
        "select cron.unschedule(jobid) from cron.job where username = current_user and jobname in ('off', 'properly')"
    )
    live.admin.execute("delete from cron.job where jobname in ('role', 'database')")
