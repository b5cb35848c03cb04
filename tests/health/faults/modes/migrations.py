"""L: migrations and drift."""

from autosync_db.health.model import Status
from tests.health.actions import admin, failed_tick, sql, steps
from tests.health.faults.mode import AnyMode, Mode
from tests.support.health import NEVER

_RENAMED = (
    "create role leaver; grant usage on schema cron to leaver",
    f"set local role leaver; select cron.schedule('left behind', '{NEVER}', 'select 1')",
    "alter role leaver rename to returner",
)


MODES: tuple[AnyMode, ...] = (
    Mode(
        "L1",
        "pg_cron was switched off in the dashboard",
        "pg_cron_installed",
        sql("drop extension pg_cron"),
        says="extension pg_cron: is not installed",
        repairable=True,
    ),
    Mode(
        "L2",
        "a view depends on pg_cron, which blocks upgrades",
        "nothing_blocks_upgrades",
        sql("create view public.runs as select * from cron.job_run_details"),
        status=Status.WARNING,
        says="view public.runs: depends on the extension pg_cron",
        repairable=True,
    ),
    Mode(
        "L3",
        "an upgrade took pg_net's functions away from everybody",
        "pg_net_usable_by_job",
        steps(
            admin(
                "revoke execute on all functions in schema net from public, postgres, anon, authenticated, service_role"
            ),
            failed_tick,
        ),
        says="function net.http_post(): the role postgres, as which the job makes its calls, may not execute it",
        repairable=True,
    ),
    Mode(
        "L3b",
        "pg_cron belongs to a role that may not write jobs",
        "pg_cron_installed",
        admin("update pg_extension set extowner = 'postgres'::regrole where extname = 'pg_cron'"),
        status=Status.WARNING,
        says="belongs to postgres, which may not write into cron.job",
        repairable=True,
        repaired_by="supabase_admin",
    ),
    Mode(
        "L4",
        "a squashed migration lost the job",
        "job_scheduled",
        sql("select cron.unschedule('auto-sync-cron-job')"),
        says="cron job auto-sync-cron-job: does not exist",
        repairable=True,
    ),
    Mode(
        "L7",
        "a function lost the rights of its owner",
        "objects_current",
        sql("alter function autosync.settle() security invoker"),
        status=Status.WARNING,
        says="function autosync.settle: was changed in the database",
        repairable=True,
    ),
    Mode(
        "L8",
        "a repeated migration left an unnamed twin of the job",
        "job_unique",
        sql(f"select cron.schedule('{NEVER}', 'select autosync.dispatch()')"),
        says="of role postgres makes the same calls",
        repairable=True,
    ),
    Mode(
        "L9",
        "the role of a job was renamed",
        "cron_job_roles_exist",
        admin(*_RENAMED),
        says="belongs to the role leaver, which does not exist",
        repairable=True,
    ),
)
