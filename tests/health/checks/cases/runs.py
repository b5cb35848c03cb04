"""The runs of a job: that they begin, end and succeed."""

from datetime import UTC, datetime, timedelta

from autosync_db.health.checks import housekeeping_runs, job_ticks_on_time
from tests.health.actions import (
    Action,
    admin,
    half_an_hour_away,
    holding,
    lost_call,
    other_job,
    overdue,
    pause,
    pretended,
    role,
    run,
    sql,
    stored,
    switch_off,
    waiting_call,
)
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.health.checks.cases.job import WAITING
from tests.health.faults.modes.alerts import receiver
from tests.support import clusters
from tests.support.health import Project, patched


def _later(ahead: str, schedule: str | None = None) -> Action[Project]:
    """Return what lets an hourly job be looked at from a later moment: no test has a server that is up for hours."""

    def act(project: Project) -> None:
        project.schedule_job(schedule or half_an_hour_away())
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


# a job that makes no call leaves nothing but its runs
_STATEMENT = admin(
    "update autosync.job set function = null, drains = null, sql = 'select 1' where function is not null"
)
_EMPTIED = admin("select nextval('cron.runid_seq')", "delete from cron.job_run_details")
_NOT_RECORDED = pretended({"cron.log_run": "off"})


def _others_ran(times: int, first: str, every: str) -> Action[Project]:
    """Return what records so many runs of another job, the first of which began at a moment."""
    return admin(
        "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
        f" select 4711, nextval('cron.runid_seq'), 'succeeded', {first} + n * interval '{every}',"
        f" {first} + n * interval '{every}' from generate_series(1, {times}) as n"
    )


HOUSE = "autosync-keep-house"
_HOUSE_GONE = sql(f"select cron.unschedule('{HOUSE}')")


def _house_run(status: str, message: str = "") -> Action[Project]:
    """Return what records a run of housekeeping."""

    def act(project: Project) -> None:
        project.admin.execute(
            "insert into cron.job_run_details (jobid, runid, status, return_message, start_time, end_time)"
            " select jobid, nextval('cron.runid_seq'), %s, %s, clock_timestamp(), clock_timestamp()"
            " from cron.job where jobname = %s",
            [status, message, HOUSE],
        )

    return act


def _unsettled(project: Project) -> None:
    """Leave an answered call without its outcome for an hour."""
    project.value("select autosync.dispatch(%s)", [project.job_name])
    project.admin.execute("delete from net.http_request_queue")
    project.owner.execute(
        "update autosync.invocation set queued_at = now() - interval '1 hour' where settled_at is null"
    )


def _house_looked_at_later(project: Project) -> None:
    """Let housekeeping, which runs every minute, be looked at in two hours."""
    project.admin.execute("update cron.job set schedule = '* * * * *' where jobname = %s", [HOUSE])
    later = housekeeping_runs._QUERY.replace("'now', now(),", "'now', now() + interval '2 hours',", 1)
    project.hold(patched(housekeeping_runs, "_QUERY", later))


CASES: dict[str, tuple[Case, ...]] = {
    "housekeeping_runs": (
        failed(
            "it was unscheduled, and an outcome is lost",
            lost_call,
            _HOUSE_GONE,
            says=f"cron job {HOUSE}: does not exist",
            explains=("outcomes_recorded",),
            repaired_by="postgres",
        ),
        failed(
            "it was switched off",
            sql(f"select cron.alter_job(jobid, active := false) from cron.job where jobname = '{HOUSE}'"),
            says="is inactive",
            repaired_by="postgres",
        ),
        failed(
            "it was forgotten",
            sql(f"delete from autosync.job where name = '{HOUSE}'"),
            says="is not in autosync.job",
            repaired_by="postgres",
        ),
        failed(
            "its command was changed",
            admin(f"update cron.job set command = 'select 1' where jobname = '{HOUSE}'"),
            says="runs something else than autosync.keep_house()",
            repaired_by="postgres",
        ),
        *(
            failed(what, admin(f"update cron.job set {change} where jobname = '{HOUSE}'"), says=says, repaired_by=by)
            for what, change, says, by in (
                ("its database is gone", "database = 'gone'", "runs in the database gone", "postgres"),
                ("its database is another", "database = 'template1'", "runs in the database template1", "postgres"),
                ("its role is another", "username = 'anon'", "belongs to the role anon, not to postgres", "postgres"),
                (
                    "its schedule is another",
                    "schedule = '0 0 30 2 *'",
                    'its schedule "0 0 30 2 *" never comes',
                    "postgres",
                ),
            )
        ),
        failed(
            "it goes to the port of an earlier server",
            admin(f"update cron.job set nodeport = 1 where jobname = '{HOUSE}'"),
            _house_run("failed", "connection failed"),
            says="its newest run could not connect: it goes to 127.0.0.1:1",
        ),
        failed("it failed", _house_run("failed", "ERROR:  division by zero\n"), says="run failed: division by zero"),
        failed(
            "pg_cron does not start it",
            run("succeeded", "1 row"),
            _house_looked_at_later,
            says="it never ran, and should have at",
        ),
        fine("somebody emptied the history", _EMPTIED, _house_looked_at_later),
        fine("no run is recorded", _house_run("failed", "ERROR:  x"), _NOT_RECORDED, _house_looked_at_later),
        failed(
            "no run is recorded, and the work is not done",
            _unsettled,
            _NOT_RECORDED,
            _house_looked_at_later,
            says="does not do its work",
        ),
        failed("a run does not end", _house_run("running"), _house_looked_at_later, says="has been going since"),
        failed(
            "it does not do its work",
            _unsettled,
            _house_run("succeeded", "1 row"),
            says="does not do its work: the server's log has its warnings; the outcome of 1 calls since",
        ),
        warned(
            "it was paused",
            sql(f"update autosync.job set paused_at = now(), paused_by = 'me' where name = '{HOUSE}'"),
            says="was paused by me at",
        ),
        fine("a call that pg_net did not send yet", waiting_call("1 hour"), _house_run("succeeded", "1 row")),
        fine("it failed once", _house_run("failed", "ERROR:  x"), _house_run("succeeded", "1 row")),
        unseen(
            "a role that sees its own jobs alone",
            role(grants="grant usage on schema cron, autosync, net to plain; grant select on cron.job to plain"),
            role="plain",
            blocked_by=("privileges_sufficient",),
        ),
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
        failed(
            "it runs in another database, before the first run failed",
            admin("update cron.job set database = 'template1'"),
            says="it runs in the database template1, and the schema autosync is in the database postgres",
            repaired_by="postgres",
        ),
        failed(
            "it ran in another database",
            admin("update cron.job set database = 'template1'"),
            run("failed", 'ERROR:  schema "autosync" does not exist'),
            says="template1",
            explains=("job_runs_succeed",),
        ),
        *(
            warned(
                f"another server before a run: {change}",
                admin(f"update cron.job set {change}"),
                says="no run has succeeded there yet",
                repaired_by="postgres",
            )
            for change in ("nodeport = 1", "nodename = '10.9.8.7'")
        ),
        fine("a socket of this server", admin("update cron.job set nodename = '/var/run/postgresql'")),
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
        *(
            failed(message, run("failed", message), says=message, reason="startup")
            for message in ("job startup timeout", "could not start background process; more details may be available")
        ),
        failed(
            "with no word of a sequence",
            run("failed", "ERROR:  division by zero"),
            says="division by zero",
            hides="is behind its rows",
        ),
        failed(
            "a ledger that was restored without its numbers",
            run("failed", 'ERROR:  duplicate key value violates unique constraint "tick_pkey"\nDETAIL:  Key (id)=(1)'),
            says='"tick_pkey"; the sequence of autosync.tick.id is behind its rows',
            reason="sequence",
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
            lambda project: project.call(),
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
        *(
            warned(
                f"the job was {what} after that", run("failed", "ERROR:  x"), act, says=f"before the job was {what}: x"
            )
            for what, act in (("paused", pause), ("switched off", switch_off))
        ),
        failed(
            "it failed after it was switched off, when somebody triggered it",
            switch_off,
            run("failed", "ERROR:  x"),
            says="runs failed since",
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
    "job_ticks_on_time": (
        fine("one that is in the file alone is not ours to judge", *WAITING),
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
            "more ran since its last tick than are looked at",
            _others_ran(1001, "now() + interval '2 hours 50 minutes'", "1 ms"),
            _later("3 hours"),
            says="it should have ticked at",
        ),
        failed(
            "a statement did not run",
            _later("3 hours"),
            _STATEMENT,
            run("succeeded", "1 row"),
            says="it should have ticked at",
        ),
        fine(
            "a statement ran, and its runs were deleted since",
            _later("3 hours"),
            _STATEMENT,
            _EMPTIED,
            _others_ran(3, "now() + interval '2 hours 30 minutes'", "1 minute"),
        ),
        fine("the runs of a statement were all deleted", _later("3 hours"), _STATEMENT, _EMPTIED),
        fine("the runs of a statement are not recorded", _later("3 hours"), _STATEMENT, _NOT_RECORDED),
        fine(
            "pg_cron wants the day of the month and that of the week",
            pretended({"cron.match_dom_and_dow": "on"}),
            _later("3 hours", f"* * {datetime.now(UTC):%d} * {datetime.now(UTC) + timedelta(days=3):%w}"),
        ),
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
    "alerts_delivered": (
        warned("a message was given up", receiver("given_up"), says="slack of all jobs: its message since"),
        warned(
            "nobody knows whether a message arrived", receiver("delivered", "unconfirmed"), says="was not delivered"
        ),
        warned("a message waits", receiver("waiting"), says="was not delivered: the receiver answered 404"),
        failed("the address is gone", receiver(has_address=False), says='the secret "alert_slack", is missing'),
        failed(
            "the address is blank", receiver(), stored(alert_slack=" "), says='the secret "alert_slack", is missing'
        ),
        warned("its job is gone", receiver(job=4711), says="slack of a job that was removed: speaks of nothing"),
        failed(
            "what to say cannot be decided",
            receiver(),
            sql("insert into autosync.setting (name, value) values ('alerts_error', '\"could not send\"')"),
            says="messages: could not send",
        ),
        fine("nobody is to be notified"),
        fine(
            "nobody is to be notified any more",
            sql("insert into autosync.alert (receiver_id, event) values (1, 'fault')"),
        ),
        fine("a later message arrived", receiver("given_up", "delivered")),
        fine("a test failed", receiver("given_up"), sql("update autosync.alert set event = 'test'")),
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
