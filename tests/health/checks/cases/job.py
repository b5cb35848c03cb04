"""The job: its definition and its runs."""

from autosync_db.health.checks import job_ticks_on_time
from tests.health.actions import (
    Action,
    admin,
    command,
    half_an_hour_away,
    holding,
    other_job,
    overdue,
    pause,
    pretended,
    role,
    run,
    sql,
)
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import clusters, keys
from tests.support.health import NEVER, Project, patched

_FORBIDDEN = ("privileges_sufficient",)
_UNSCHEDULED = sql("select cron.unschedule('auto-sync-cron-job')")
_TWIN = "select cron.schedule('0 0 1 1 *', 'select autosync.dispatch();')"
_KEY = keys.legacy().reveal()


def _switched_off(project: Project) -> None:
    project.owner.execute("select cron.alter_job(jobid, active := false) from cron.job")


def _reads(schedule: str) -> Action[Project]:
    """Return what gives both registries a schedule past what pg_cron and ours refuse today."""

    def act(project: Project) -> None:
        project.owner.execute("update autosync.job set paused_at = now(), paused_by = 'me', schedule = %s", [schedule])
        project.admin.execute(
            "update cron.job set schedule = %s, active = false where jobname = %s", [schedule, project.job_name]
        )

    return act


def _in_seconds(project: Project) -> None:
    # such a row comes from a restore of a newer server
    project.owner.execute("update autosync.job set schedule = '30 seconds'")
    project.admin.execute("update cron.job set schedule = '30 seconds'")
    project.admin.execute("update pg_catalog.pg_extension set extversion = '1.4-1' where extname = 'pg_cron'")


def _later(ahead: str) -> Action[Project]:
    """Return what lets an hourly job be looked at from a later moment: no test has a server that is up for hours."""

    def act(project: Project) -> None:
        project.schedule_job(half_an_hour_away())
        later = job_ticks_on_time._QUERY.replace("now(),", f"now() + interval '{ahead}',", 1)
        project.hold(patched(job_ticks_on_time, "_QUERY", later))

    return act


def _running(minutes: int, statement: str = "select pg_sleep(300)") -> Action[Project]:
    """Return what lets a statement run as pg_cron would run it, in a run that began so many minutes ago."""

    def act(project: Project) -> None:
        session = project.hold(clusters.connection(project.cluster, application_name="pg_cron"))
        process = session.info.backend_pid
        # nobody waits for the answer
        session.pgconn.send_query(statement.encode())
        project.held.callback(session.cancel)
        project.record_run("running", "", ended=None)
        project.admin.execute(
            "update cron.job_run_details set job_pid = %s, start_time = now() - make_interval(mins => %s)"
            " where runid = (select max(runid) from cron.job_run_details)",
            [process, minutes],
        )
        clusters.wait_for(
            lambda: project.value("select count(*) from pg_locks where pid = %s", [process]), "the run to begin"
        )

    return act


def _unnamed(text: str) -> Action[Project]:
    return lambda project: project.owner.execute("select cron.schedule('0 0 1 1 *', %s)", [text])


CASES: dict[str, tuple[Case, ...]] = {
    "job_active": (
        failed(
            "it was switched off",
            _switched_off,
            overdue,
            says="cron job auto-sync-cron-job: is inactive",
            explains=("schedules_not_overdue",),
            repaired_by="postgres",
        ),
        failed(
            "scheduling again does not switch it on",
            _switched_off,
            sql("select cron.schedule(jobname, schedule, command) from cron.job"),
            says="is inactive",
        ),
        fine("it was paused, which is noted", pause, says="paused by postgres since"),
    ),
    "job_can_connect": (
        *(
            failed(
                fault,
                admin(fault),
                run("failed", "connection failed", ended=None),
                says=says,
                explains=("job_runs_succeed",),
            )
            for fault, says in (
                ("alter role postgres nologin", "the role postgres may not log in"),
                ("alter role postgres connection limit 0", "the role postgres has a connection limit of 0"),
                (
                    "revoke connect on database postgres from public, postgres",
                    "the role postgres may not connect to the database postgres",
                ),
            )
        ),
        failed(
            "its database is gone, before the first run failed",
            admin("update cron.job set database = 'gone'"),
            says="the database gone does not exist",
            repaired_by="postgres",
        ),
        fine(
            "the port of another server, and runs succeed",
            admin("update cron.job set nodeport = 1"),
            run("succeeded", "1 row"),
        ),
        failed(
            "the port of another server, and a run failed",
            admin("update cron.job set nodeport = 1"),
            run("failed", "connection failed"),
            says=lambda project: f"127.0.0.1:1, but this server listens on port {project.cluster.port}",
            repaired_by="postgres",
        ),
        failed("nothing explains the refusal", run("failed", "connection failed"), says="look at pg_hba.conf"),
        fine(
            "a later run failed otherwise",
            run("failed", "connection failed"),
            run("failed", "ERROR:  division by zero"),
        ),
        fine("the connection came back", run("failed", "connection failed"), run("succeeded", "1 row")),
        fine(
            "another job cannot connect",
            other_job("nightly", "select 1"),
            admin("update cron.job set username = 'anon', database = 'gone' where jobname = 'nightly'"),
        ),
    ),
    "job_command_matches": (
        failed(
            "another command, with a key that is not shown",
            command(f"select net.http_post(url := 'https://example.com', headers := '{{\"apikey\": \"{_KEY}\"}}')"),
            says='runs something else than "select autosync.dispatch()"',
            hides=_KEY,
            repaired_by="postgres",
        ),
        failed(
            "another command that fails",
            command("select 1/0"),
            run("failed", "ERROR:  division by zero"),
            says="runs something else than",
            explains=("job_runs_succeed",),
        ),
        fine("another job", other_job("nightly", "select 1")),
    ),
    "job_owner_matches": (
        failed(
            "it was scheduled by a superuser",
            _UNSCHEDULED,
            admin(f"select cron.schedule('auto-sync-cron-job', '{NEVER}', 'select autosync.dispatch()')"),
            says="belongs to the role supabase_admin, so postgres",
            repaired_by="supabase_admin",
        ),
        failed(
            "it was scheduled by a role as which the owner may act",
            _UNSCHEDULED,
            admin("create role other", "grant usage on schema cron to other", "grant other to postgres"),
            admin(
                "set local role other;"
                f" select cron.schedule('auto-sync-cron-job', '{NEVER}', 'select autosync.dispatch()')"
            ),
            says="belongs to the role other",
            repaired_by="postgres",
        ),
        failed(
            "a role that may not run it",
            admin("update cron.job set username = 'authenticator'"),
            run("failed", "ERROR:  permission denied for schema autosync"),
            says="belongs to the role authenticator",
            explains=("job_runs_succeed",),
        ),
        failed(
            "its owner is a superuser, whose jobs pg_cron skips",
            pretended({"cron.enable_superuser_jobs": "off"}),
            admin("alter role postgres superuser"),
            says="pg_cron skips it",
        ),
        fine("jobs of superusers are skipped, and it is none", pretended({"cron.enable_superuser_jobs": "off"})),
        fine(
            "a second job of the name",
            admin(f"select cron.schedule('auto-sync-cron-job', '{NEVER}', 'select 1')"),
        ),
    ),
    "job_runs_succeed": (
        failed(
            "the newest runs failed",
            run("succeeded", "1 row"),
            run("failed", "ERROR:  canceling statement due to statement timeout\nCONTEXT:  SQL function", times=2),
            says="runs failed since",
        ),
        failed(
            "with their message",
            run("failed", "ERROR:  canceling statement due to statement timeout\nCONTEXT:  SQL function"),
            says=": canceling statement due to statement timeout",
            hides="CONTEXT",
        ),
        failed(
            "a secret was missing",
            sql("delete from public.pg_cron_secrets where name = 'service_role_key'"),
            run("failed", 'ERROR:  the secret "service_role_key" is missing from public.pg_cron_secrets'),
            says="is missing",
            blocked_by=("secrets_present",),
        ),
        failed(
            "a tick by another session does not prove that pg_cron can connect",
            run("failed", "connection failed"),
            Project.call,
            says="connection failed",
            blocked_by=("job_can_connect",),
        ),
        failed(
            "a failed connection without a time",
            run("succeeded", "1 row"),
            run("failed", "connection failed", ended=None),
            says="runs failed: connection failed",
            blocked_by=("job_can_connect",),
        ),
        fine("a tick came through", run("failed", "ERROR:  deadlock detected"), run("succeeded", "1 row")),
        fine(
            "runs that were interrupted",
            run("failed", "ERROR:  deadlock detected"),
            run("succeeded", "1 row"),
            run("failed", "server restarted"),
            run("failed", "job canceled"),
            run("running"),
        ),
        fine(
            "runs of another job",
            other_job("nightly", "select 1"),
            run("failed", "ERROR:  relation does not exist"),
            admin("update cron.job_run_details set jobid = (select jobid from cron.job where jobname = 'nightly')"),
        ),
    ),
    "job_schedule_matches": (
        failed(
            "pg_cron has another schedule",
            sql("select cron.alter_job(jobid, schedule := '0 0 2 1 *') from cron.job"),
            says='ticks at "0 0 2 1 *", autosync.job says "0 0 1 1 *"',
            repaired_by="postgres",
        ),
        *(
            case(schedule, _reads(schedule), says=says)
            for case, schedule, says in (
                (warned, "*/5 * * * * *", 'pg_cron reads "*/5 * * * *" and ignores the rest'),
                (warned, "* * * * * garbage", "more than five fields"),
                (warned, "*/90 * * * *", "has the step 90, which is longer than its field"),
                (failed, "0 0 30 2 *", "bad day-of-month"),
                (failed, "@reboot", "ticks only when pg_cron's scheduler starts"),
            )
        ),
        *(
            fine(schedule, _reads(schedule))
            for schedule in ("@hourly", "@daily", "*/5 * * * *", "0 7 * * 1-5", "0,30 22-23 1,15 * *", "0 0 * * 7")
        ),
        failed("seconds, for an older pg_cron", _in_seconds, says="needs pg_cron 1.5 or newer"),
        fine(
            "seconds, for a newer one",
            _in_seconds,
            admin("update pg_catalog.pg_extension set extversion = '1.6' where extname = 'pg_cron'"),
        ),
    ),
    "job_scheduled": (
        failed(
            "pg_cron does not know it",
            _UNSCHEDULED,
            says="cron job auto-sync-cron-job: does not exist",
            explains=("job_active", "job_command_matches", "job_runs_succeed"),
            repaired_by="postgres",
        ),
        failed(
            "neither does the registry",
            _UNSCHEDULED,
            sql("delete from autosync.job"),
            says="does not exist",
            repaired_by="postgres",
        ),
        unseen(
            "row level security hides it",
            role(grants="grant usage on schema cron to plain; grant select on cron.job to plain"),
            says="is not visible to this role",
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
        fine("an inactive job is a job", pause),
    ),
    "job_ticks_on_time": (
        failed(
            "two ticks did not come",
            _later("3 hours"),
            overdue,
            says="it should have ticked at",
            explains=("schedules_not_overdue",),
        ),
        fine("it ticked", _later("3 hours"), run("succeeded", "1 row", ended="now() + interval '3 hours'")),
        fine("one tick did not come", _later("1 hour 20 minutes")),
        failed(
            "a tick of the command line does not hide the missed ones",
            _later("3 hours"),
            sql("update autosync.tick set caller = 'autosync-db', ticked_at = now() + interval '3 hours'"),
            says="it should have ticked at",
        ),
        fine(
            "a tick of pg_cron does",
            _later("3 hours"),
            sql("update autosync.tick set caller = 'pg_cron', ticked_at = now() + interval '3 hours'"),
        ),
        fine(
            "the job was just rescheduled",
            _later("3 hours"),
            sql("update autosync.job set updated_at = now() + interval '2 hours'"),
        ),
        fine("the job is paused", _later("3 hours"), pause),
        failed(
            "it never ticked",
            _later("3 hours"),
            sql("delete from autosync.tick"),
            says="it never ticked",
        ),
        fine(
            "a run whose time was not written down counts as started",
            _later("3 hours"),
            run("failed", "connection failed", ended=None),
        ),
        warned(
            "a run waited for the one before",
            Project.record_run_that_waited,
            says="had to wait for the one before, which took 100 s",
        ),
    ),
    "job_unique": (
        *(
            failed(
                f"an unnamed job runs {text}",
                _unnamed(text),
                says="of role postgres makes the same calls",
                repaired_by="postgres",
            )
            for text in (
                "select autosync.dispatch()",
                "SELECT  autosync.dispatch('auto-sync-cron-job');\n",
                "select net.http_post(url := 'https://abcdefghijklmnopqrst.supabase.co/functions/v1/auto-sync-cron')",
            )
        ),
        failed(
            "the same name under another role",
            admin("select cron.schedule('auto-sync-cron-job', '0 0 1 1 *', 'select 1')"),
            says="of role supabase_admin",
            repaired_by="supabase_admin",
        ),
        failed(
            "a second job of the registry calls the same function",
            sql(
                "insert into autosync.job (name, function, schedule, timeout_milliseconds, invoke, batch_size,"
                " max_requests, keep_invocations, keep_run_details) select 'second', function, schedule,"
                " timeout_milliseconds, invoke, batch_size, max_requests, keep_invocations, keep_run_details"
                " from autosync.job",
                "select autosync.sync_job('second')",
            ),
            says="makes the same calls",
            repaired_by="postgres",
        ),
        failed(
            "a twin that is older than the job is the one that is named",
            _UNSCHEDULED,
            sql(_TWIN, "select autosync.sync_job()"),
            says=lambda project: f"job {project.value('select min(jobid) from cron.job')} of role postgres",
        ),
        fine(
            "jobs that make other calls or none",
            other_job("other", "select autosync.dispatch('other')"),
            other_job("longer", "select 1 -- https://x/functions/v1/auto-sync-cron-v2"),
            other_job("off", "select autosync.dispatch()"),
            sql("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'off'"),
        ),
        unseen(
            "a role that sees its own jobs alone",
            role(
                grants="grant usage on schema cron, autosync to plain; grant select on cron.job, autosync.job to plain;"
                " grant execute on function autosync.job_command(text) to plain"
            ),
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
    ),
    "no_stuck_runs": (
        failed(
            "a run does not end",
            _running(6),
            overdue,
            says="waiting for Timeout PgSleep",
            explains=("schedules_not_overdue",),
        ),
        failed(
            "a run waits for a lock, and who holds it is named",
            holding("lock table public.auto_sync_schedules in exclusive mode"),
            _running(6, "begin; lock table public.auto_sync_schedules in share mode"),
            says="blocked by process ",
        ),
        fine("a run of four minutes", _running(4)),
        fine(
            "the row of a process that is gone",
            run("sending", ended="now() - interval '2 hours'"),
            says="is recorded as sending, but its process is gone",
        ),
        fine(
            "the process serves a later run of another job",
            _running(6),
            admin(
                "insert into cron.job_run_details (jobid, runid, job_pid, status, start_time)"
                " select 4711, nextval('cron.runid_seq'), job_pid, 'running', now() from cron.job_run_details"
                " order by runid desc limit 1"
            ),
        ),
    ),
}
