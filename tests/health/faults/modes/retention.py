"""K: what grows."""

from autosync_db.health.model import Status
from tests.health.actions import admin, old_answers, old_runs, steps, tick, ticks
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.health.faults.modes.cron import launcher_that_waits_for, without_leaver

MODES: tuple[AnyMode, ...] = (
    Mode(
        "K1",
        "pg_cron's history holds millions of rows",
        "job_run_details_bounded",
        admin(
            "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
            " select 0, n, 'succeeded', now(), now() from (values (-4000000), (0)) as v (n)",
            "update pg_class set reltuples = 3400000 where oid = 'cron.job_run_details'::regclass",
        ),
        status=Status.WARNING,
        says="table cron.job_run_details: holds about 3400000 rows",
        undo=admin("delete from cron.job_run_details where jobid = 0"),
        simulated="the catalog says so",
    ),
    Mode(
        "K2",
        "a clean-up leaves runs without an end behind",
        "job_run_details_bounded",
        old_runs(40, first=-100, age="30 days", ended=False),
        status=Status.WARNING,
        simulated="the runs are written into pg_cron's history",
        says="40 runs are older than they are kept",
        repairable=True,
    ),
    Mode(
        "K3",
        "a clean-up deletes nothing",
        "job_run_details_bounded",
        old_runs(40, first=-100, age="30 days"),
        status=Status.WARNING,
        simulated="the runs are written into pg_cron's history",
        says="40 runs are older than they are kept",
        repairable=True,
    ),
    ServerMode(
        "K4",
        "a clean-up that was not committed locks the launcher out",
        "pg_cron_not_blocked",
        launcher_that_waits_for("truncate cron.job_run_details"),
        says="table cron.job_run_details: is locked against everybody by process",
        repairable=True,
        tidy=without_leaver,
        long=True,
    ),
    Mode(
        "K5",
        "pg_net keeps answers that have expired",
        "pg_net_tables_bounded",
        steps(tick, old_answers),
        status=Status.WARNING,
        simulated="the answers are written into pg_net's table",
        says="pg_net does not remove what has expired",
        repairable=True,
    ),
    Mode(
        "K6",
        "the ledger is not pruned",
        "invocations_bounded",
        steps(ticks(40, first=-500, age="33 days"), ticks(12, first=100000, age="0")),
        status=Status.WARNING,
        simulated="the ticks are written into the ledger",
        says="table autosync.tick: holds ticks since 20",
        repairable=True,
    ),
)
