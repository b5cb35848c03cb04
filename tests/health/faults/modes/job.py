"""C: the definition of the job."""

from autosync_db.health.model import Status
from tests.health.actions import admin, command, no_plain_role, pretended, role, run, sql, steps, tick
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.support import server, versions
from tests.support.health import NEVER, LiveProject, Project

_CALL = "select net.http_post(url := 'https://api.example.com/functions/v1/auto-sync-cron', body := '{}')"


def _zone(project: LiveProject) -> None:
    if versions.pg_cron(project.cluster) < versions.SECONDS:
        pretended({"cron.timezone": "Europe/Paris"})(project)
    else:
        server.configure(project, "cron.timezone = 'Europe/Paris'")
        server.restart(project)


def _no_zone(project: LiveProject) -> None:
    if versions.pg_cron(project.cluster) < versions.SECONDS:
        server.restore_settings_view(project)
    else:
        server.configure(project)
        project.restart_server()


MODES: tuple[AnyMode, ...] = (
    Mode(
        "C1",
        "pg_cron was dropped and created again",
        "job_scheduled",
        sql("drop extension pg_cron", "create extension pg_cron"),
        says="cron job auto-sync-cron-job: does not exist",
        also=("housekeeping_runs",),
        repairable=True,
    ),
    Mode(
        "C2",
        "the job was switched off and scheduled again, which leaves it off",
        "job_active",
        sql(
            "select cron.alter_job(jobid, active := false) from cron.job where jobname = 'auto-sync-cron-job'",
            f"select cron.schedule('auto-sync-cron-job', '{NEVER}', command) from cron.job"
            " where jobname = 'auto-sync-cron-job'",
        ),
        says="is inactive, and was not paused",
        repairable=True,
    ),
    Mode(
        "C3",
        "a second role has a job of the same name",
        "job_unique",
        admin(f"select cron.schedule('auto-sync-cron-job', '{NEVER}', 'select autosync.dispatch()')"),
        reason="out_of_reach",
        says="of role supabase_admin makes the same calls",
        undo=admin("select cron.unschedule(jobid) from cron.job where username = 'supabase_admin'"),
    ),
    Mode(
        "C4",
        "the job belongs to a role that its maintainer cannot act as",
        "job_owner_matches",
        admin("update cron.job set username = 'authenticator' where jobname = 'auto-sync-cron-job'"),
        simulated="the role is written into cron.job",
        reason="out_of_reach",
        says="belongs to the role authenticator",
        undo=admin("update cron.job set username = 'postgres'"),
    ),
    Mode(
        "C5",
        "the schedule is accepted and never comes",
        "job_schedule_matches",
        sql(
            "update autosync.job set schedule = '0 0 30 2 *' where name = 'auto-sync-cron-job'",
            "select autosync.sync_job()",
        ),
        also=("settings_applied",),
        says='its schedule "0 0 30 2 *"',
        undo=Project.restore_job,
    ),
    ServerMode(
        "C6",
        "the schedule names an hour, and pg_cron reads it in another zone",
        "cron_timezone_utc",
        _zone,
        status=Status.WARNING,
        says="is Europe/Paris: pg_cron reads '0 0 1 1 *' in that time zone",
        undo=_no_zone,
        simulated="pg_settings shows the setting, which pg_cron has since 1.5",
    ),
    Mode(
        "C7",
        "the job's database does not exist",
        "job_can_connect",
        admin("update cron.job set database = 'gone'"),
        says="the database gone does not exist",
        repairable=True,
    ),
    Mode(
        "C8",
        "the job's role lost CONNECT on the database",
        "job_can_connect",
        steps(
            admin(
                "revoke connect on database postgres from public, postgres",
                "grant connect on database postgres to authenticator",
            ),
            run("failed", "connection failed"),
        ),
        reason="forbidden",
        says="the role postgres may not connect to the database postgres",
        undo=steps(admin("grant connect on database postgres to public, postgres"), tick),
        role="supabase_admin",
        simulated="the failed run is written into pg_cron's history",
    ),
    Mode(
        "C9",
        "the job's text holds the address of the function",
        "job_command_matches",
        command(_CALL),
        says="runs something else than",
        repairable=True,
    ),
    Mode(
        "C10",
        "the job's name is written in other letters",
        "job_scheduled",
        sql(
            "select cron.unschedule('auto-sync-cron-job')",
            f"select cron.schedule('Auto-Sync-Cron-Job', '{NEVER}', 'select autosync.dispatch()')",
        ),
        says="cron job auto-sync-cron-job: does not exist",
        repairable=True,
    ),
    Mode(
        "C11",
        "verify is run by a role from which row level security hides the jobs",
        "privileges_sufficient",
        role(grants="grant usage on schema cron to plain; grant select on cron.job to plain"),
        status=Status.UNKNOWN,
        says="table cron.job: hides rows from this role",
        undo=no_plain_role,
        role="plain",
    ),
)
