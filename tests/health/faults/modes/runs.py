"""D: what a run of the job does."""

from autosync_db.health.model import Status
from tests.health.actions import admin, command, failed_tick, overdue, run, sql, steps, tick
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.health.faults.modes.server import a_run_of_pg_cron
from tests.support import clusters
from tests.support.health import LiveProject, Project

_SWALLOWS = """
create or replace function autosync.settle() returns integer language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
    return null;
exception when others then
    raise warning 'never mind';
    return null;
end
$$
"""


def _waits_too_long(project: LiveProject) -> None:
    project.admin.execute("alter role postgres set statement_timeout = '400ms'")
    with clusters.connection(project.cluster, "supabase_admin") as holder:
        holder.execute("begin; lock table autosync.job in access exclusive mode")
        failed_tick(project)


MODES: tuple[AnyMode, ...] = (
    Mode(
        "D1",
        "the job's function was dropped",
        "objects_current",
        steps(
            sql("drop function autosync.dispatch(), autosync.dispatch(text), autosync.dispatch(text, boolean)"),
            failed_tick,
        ),
        says="function autosync.dispatch: is missing",
        repairable=True,
    ),
    Mode(
        "D2",
        "the job's function lacks a privilege",
        "private_schema_is_ours",
        steps(sql("revoke insert on autosync.tick from postgres"), failed_tick),
        says="table autosync.tick: the role postgres, as whom the functions work, may not insert it",
        repairable=True,
    ),
    Mode(
        "D3",
        "a function was replaced by one that swallows its errors",
        "objects_current",
        sql(_SWALLOWS),
        status=Status.WARNING,
        says="function autosync.settle: was changed in the database",
        repairable=True,
    ),
    ServerMode(
        "D4",
        "the job's text rolls its own call back",
        "job_command_matches",
        steps(command("begin; select autosync.dispatch('auto-sync-cron-job'); rollback"), Project.run_by_cron),
        says="runs something else than",
        repairable=True,
    ),
    ServerMode(
        "D5",
        "a later statement in the job's text fails",
        "job_command_matches",
        steps(command("select autosync.dispatch('auto-sync-cron-job'); select 1/0"), failed_tick),
        says="runs something else than",
        repairable=True,
    ),
    ServerMode(
        "D6",
        "statement_timeout of the job's role ends the run",
        "job_runs_succeed",
        _waits_too_long,
        says="canceling statement due to statement timeout",
        undo=steps(admin("alter role postgres reset statement_timeout"), tick),
    ),
    Mode(
        "D7",
        "runs take longer than the time between them and follow each other",
        "job_ticks_on_time",
        Project.record_run_that_waited,
        status=Status.WARNING,
        says="had to wait for the one before, which took 100 s",
        undo=steps(sql("delete from cron.job_run_details where start_time < '2026-01-06'"), tick),
        simulated="the two runs are written into pg_cron's history",
    ),
    ServerMode(
        "D8",
        "a run hangs",
        "no_stuck_runs",
        lambda project: project.hold(a_run_of_pg_cron(project, 6)),
        says="has been going since",
        repairable=True,
        simulated="the run is a session of this suite and a row in pg_cron's history",
        long=True,
    ),
    Mode(
        "D10",
        "the job runs a function that does nothing and succeeds",
        "job_command_matches",
        steps(command("select null::bigint"), Project.run_by_cron),
        says="runs something else than",
        repairable=True,
    ),
    Mode(
        "D11",
        "a run failed with the message that background workers leave",
        "job_runs_succeed",
        run("failed", "ERROR: division by zero\nDETAIL:  nothing\n"),
        says=": division by zero",
        undo=tick,
        simulated="the failed run is written into pg_cron's history",
    ),
    Mode(
        "D12",
        "the function answers 200 and leaves due schedules alone",
        "schedules_not_overdue",
        steps(overdue, tick),
        says="1 schedules are due and were not run, the longest since",
        undo=sql("delete from public.auto_sync_schedules"),
    ),
)
