"""K: what grows."""

from autosync_db.health.model import Status
from tests.health.faults.mode import Action, Mode, admin, steps, tick
from tests.health.faults.modes.cron import launcher_that_waits_for, without_leaver
from tests.support.health import Project


def _old_runs(end_time: str) -> Action:
    """Return what records 40 runs of a month ago that pruning has passed over."""
    return admin(
        "insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time, end_time)"
        " select jobid, n - 100, database, username, command, 'succeeded', now() - interval '30 days',"
        f" {end_time} from cron.job, generate_series(1, 40) as n"
    )


def _old_answers(project: Project) -> None:
    # the worker sleeps until the next call, and deletes what has expired when it wakes
    project.owner.execute(
        "insert into net._http_response (id, status_code, created)"
        " select -n, 200, now() - interval '3 days' from generate_series(1, 500) as n"
    )


def _old_ticks(project: Project) -> None:
    for first, count, age in ((-500, 40, "33 days"), (None, 12, "0")):
        project.owner.execute(
            "insert into autosync.tick (id, job_name, ticked_at, caller, due, decision, server_epoch)"
            " overriding system value"
            " select coalesce(%s::bigint, (select max(t.id) from autosync.tick as t)) + n, %s, now() - %s::interval,"
            " 'pg_cron', 0, 'idle', now() from generate_series(1, %s) as n",
            [first, project.job_name, age, count],
        )
    project.owner.execute(
        "select setval(pg_get_serial_sequence('autosync.tick', 'id'), (select max(id) from autosync.tick))"
    )


MODES = (
    Mode(
        "K1",
        "pg_cron's history holds millions of rows",
        "job_run_details_bounded",
        admin("update pg_class set reltuples = 3400000 where oid = 'cron.job_run_details'::regclass"),
        status=Status.WARNING,
        says="table cron.job_run_details: holds about 3400000 rows",
        mend=admin("analyze cron.job_run_details"),
        simulated="the catalog says so",
    ),
    Mode(
        "K2",
        "a clean-up leaves runs without an end behind",
        "job_run_details_bounded",
        _old_runs("null"),
        status=Status.WARNING,
        simulated="the runs are written into pg_cron's history",
        says="40 runs are older than they are kept",
        repairable=True,
    ),
    Mode(
        "K3",
        "a clean-up deletes nothing",
        "job_run_details_bounded",
        _old_runs("now() - interval '30 days'"),
        status=Status.WARNING,
        simulated="the runs are written into pg_cron's history",
        says="40 runs are older than they are kept",
        repairable=True,
    ),
    Mode(
        "K4",
        "a clean-up that was not committed locks the launcher out",
        "pg_cron_not_blocked",
        launcher_that_waits_for("truncate cron.job_run_details"),
        says="table cron.job_run_details: is locked against everybody by process",
        repairable=True,
        tidy=without_leaver,
    ),
    Mode(
        "K5",
        "pg_net keeps answers that have expired",
        "pg_net_tables_bounded",
        steps(tick, _old_answers),
        status=Status.WARNING,
        simulated="the answers are written into pg_net's table",
        says="pg_net does not remove what has expired",
        repairable=True,
    ),
    Mode(
        "K6",
        "the ledger is not pruned",
        "invocations_bounded",
        _old_ticks,
        status=Status.WARNING,
        simulated="the ticks are written into the ledger",
        says="table autosync.tick: holds ticks since 20",
        repairable=True,
    ),
)
