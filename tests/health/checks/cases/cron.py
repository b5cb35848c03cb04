"""pg_cron: its library, its settings, its process and its tables."""

from autosync_db.health.checks import launcher_matches_table
from tests.health.actions import (
    Action,
    admin,
    equals,
    half_an_hour_away,
    holding,
    orphan,
    other_job,
    overdue,
    pretended,
    role,
    run,
    session_named,
    sql,
)
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import clusters, versions
from tests.support.health import NEVER, Project, patched

_FORBIDDEN = ("privileges_sufficient",)
_NOTHING = "create function public.nothing() returns trigger language plpgsql as $$ begin return new; end $$"
_BEHIND = "alter sequence cron.runid_seq restart with 1"


def _ignored_line(project: Project) -> None:
    """Set what an old pg_cron does not read; a newer one has the setting."""
    if versions.pg_cron(project.cluster) < versions.RETURNS:
        project.owner.execute("set local cron.launch_active_jobs = off")


def _zone(value: str, schedule: str = "0 7 * * *", *, pending_restart: bool = False) -> Action[Project]:
    def act(project: Project) -> None:
        project.admin.execute("update cron.job set active = %s, schedule = %s", [schedule == "0 7 * * *", schedule])
        pretended({"cron.timezone": value}, pending_restart=pending_restart)(project)

    return act


def _room_for(more: int) -> Action[Project]:
    """Return what lets the server take so many connections more than there are at the moment of each look."""
    # counted within the look: a session that ends between two looks, as one of the case before, changes nothing
    return pretended(
        {
            "max_connections": "(select count(*) + current_setting('superuser_reserved_connections')::integer"
            f" + coalesce(current_setting('reserved_connections', true), '0')::integer + {more} from pg_stat_activity"
            " where pid <> pg_backend_pid() and application_name not like 'pg\\_cron%' and datname is not null"
            " and coalesce(backend_type, 'client backend') = 'client backend')::text"
        },
        as_written=False,
    )


def _long_run(minutes: int) -> Action[Project]:
    """Return what lets a run go on for so long while pg_cron has one slot."""

    def act(project: Project) -> None:
        pretended({"cron.max_running_jobs": "1"})(project)
        run = project.hold(clusters.connection(project.cluster, application_name="pg_cron"))
        project.record_run("running", "")
        project.admin.execute(
            "update cron.job_run_details"
            " set job_pid = %s, end_time = null, start_time = now() - make_interval(mins => %s)"
            " where runid = (select max(runid) from cron.job_run_details)",
            [run.info.backend_pid, minutes],
        )

    return act


def _end_run(project: Project) -> None:
    project.release()
    with clusters.connection(project.cluster) as other:
        clusters.wait_for(
            lambda: not other.execute("select from pg_stat_activity where application_name = 'pg_cron'").fetchone(),
            "the server to notice that the run's session has ended",
        )


def _renamed(project: Project) -> None:
    project.admin.execute("create role leaver; grant usage on schema cron to leaver")
    project.admin.execute(
        f"set local role leaver; select cron.schedule('left behind', '{NEVER}', 'select 1'); reset role;"
        " alter role leaver rename to returner"
    )


def _ran(job: str, *starts: str, text: str = "select 1", message: str = "1 row") -> Action[Project]:
    """Return what records runs of a job, which is a number or the name of one that exists."""
    number = job if job.isdigit() else f"(select c.jobid from cron.job as c where c.jobname = '{job}')"
    return admin(
        *(
            "insert into cron.job_run_details"
            " (jobid, runid, job_pid, command, status, return_message, start_time, end_time)"
            f" values ({number}, nextval('cron.runid_seq'), 4711, $text${text}$text$,"
            f" '{'failed' if message == 'job canceled' else 'succeeded'}', '{message}', {start}, {start})"
            for start in starts
        )
    )


_GONE, _AGO = "990001", "date_trunc('minute', now()) - interval '{} minutes' + interval '1 second'"
_NOTED = sql(
    "insert into autosync.setting (name, value)"
    f" values ('gone_jobs', jsonb_build_object('{_GONE}', now() - interval '10 minutes'))"
)
_THEIRS = other_job("theirs", "select 1")
_OURS, _TICK = "auto-sync-cron-job", "select autosync.dispatch()"
_TOUCHED = sql("select cron.alter_job(c.jobid, schedule := c.schedule) from cron.job as c limit 1")


def _scheduled_for_a_day(project: Project) -> None:
    """Let the job be hourly, as it has been since yesterday, without a run in the history."""
    # no savepoint, whose changes would count as younger than the runs
    for table, name in (("autosync.job", "name"), ("cron.job", "jobname")):
        project.admin.execute(
            f"update {table} set schedule = %s where {name} = %s".encode(), [half_an_hour_away(), project.job_name]
        )
    project.admin.execute("delete from cron.job_run_details")
    start = "greatest(autosync.server_epoch(), pg_postmaster_start_time(), j.created_at, j.updated_at)"
    earlier = launcher_matches_table._QUERY.replace(start, "now() - interval '1 day'", 1)
    project.hold(patched(launcher_matches_table, "_QUERY", earlier))


def _text_is_kept(project: Project) -> None:
    [kept] = project.admin.execute(
        "select command, active, username <> 'leaver' from cron.job where jobname like 'left behind-%'"
    ).fetchall()
    assert kept == ("select 1", False, True)


# by what it is: what pg_cron's own writing stumbles over, or what takes it away
_OBSTACLES = {
    "rule": "create rule theirs as on insert to cron.job_run_details do instead nothing",
    "constraint": "alter table cron.job_run_details add constraint theirs check (length(command) < 9) not valid",
    "unique index": "create unique index theirs on cron.job_run_details (jobid, start_time)",
    "column": "alter table cron.job_run_details alter column job_pid set not null",
}

CASES: dict[str, tuple[Case, ...]] = {
    "cron_database_matches": (
        failed(
            "pg_cron serves another database",
            pretended({"cron.database_name": "template1"}),
            overdue,
            says="names the database template1: jobs in postgres are kept",
            explains=("schedules_not_overdue",),
        ),
        failed(
            "pg_cron serves a database that is gone",
            pretended({"cron.database_name": "nope"}),
            says="names the database nope, which does not exist",
        ),
        fine("it serves this one", pretended({"cron.database_name": "postgres"})),
    ),
    "cron_history_recorded": (
        warned("runs are not written down", pretended({"cron.log_run": "off"}), says="cron.log_run: is off"),
        unseen(
            "a role without pg_monitor",
            role(),
            says="grant pg_monitor to plain",
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
        fine("a role with pg_monitor", role(grants="grant pg_monitor to plain"), role="plain"),
    ),
    "cron_job_roles_exist": (
        failed(
            "the role of a job was dropped",
            orphan,
            says="cron job left behind: job",
            repaired_by="supabase_admin",
            then=_text_is_kept,
        ),
        failed("the role was renamed", _renamed, says="belongs to the role leaver, which does not exist"),
        failed(
            "the job of a dropped role is inactive",
            orphan,
            admin("update cron.job set active = false where jobname = 'left behind'"),
            says="belongs to the role leaver",
        ),
        fine("the role is there again", _renamed, admin("alter role returner rename to leaver")),
    ),
    "cron_jobs_launched": (
        failed(
            "no job is started",
            pretended({"cron.launch_active_jobs": "off"}),
            overdue,
            says="cron.launch_active_jobs: is off",
            explains=("schedules_not_overdue",),
        ),
        fine("jobs are started", pretended({"cron.launch_active_jobs": "on"})),
        fine("a line that an old pg_cron ignores", _ignored_line),
        fine(
            "a role without pg_monitor, where there is no such setting",
            role(),
            admin("update pg_catalog.pg_extension set extversion = '1.4-1' where extname = 'pg_cron'"),
            role="plain",
        ),
        unseen(
            "a role without pg_monitor, where there is one",
            role(),
            admin("update pg_catalog.pg_extension set extversion = '1.6' where extname = 'pg_cron'"),
            says="grant pg_monitor to plain",
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
    ),
    "cron_run_sequence_ahead": (
        failed(
            "the history is ahead of its sequence; a superuser's repair keeps it",
            run("succeeded", "1 row", times=3),
            admin(_BEHIND),
            overdue,
            says="its next value is 1, but runs up to",
            explains=("schedules_not_overdue",),
            repaired_by="supabase_admin",
            then=equals(3, "select count(*) from cron.job_run_details where return_message = '1 row'"),
        ),
        failed(
            "the repair of a role that may not draw numbers deletes the runs",
            run("succeeded", "1 row"),
            admin(_BEHIND),
            says="its next value is 1",
            repaired_by="postgres",
            then=equals(0, "select count(*) from cron.job_run_details"),
        ),
        failed(
            "the repair of a role that may keeps them",
            run("succeeded", "1 row"),
            admin(_BEHIND, "grant usage on sequence cron.runid_seq to postgres"),
            says="its next value is 1",
            repaired_by="postgres",
            then=equals(True, "select count(*) > 0 from cron.job_run_details"),
        ),
        *(
            warned(
                f"the numbers of jobs begin again, {what}",
                admin("alter sequence cron.jobid_seq restart with 1", *grants),
                says="sequence cron.jobid_seq: its next value is 1, but jobs up to ",
                repaired_by=by,
                then=sql(f"select cron.schedule('new', '{NEVER}', 'select 1')"),
            )
            for what, grants, by in (
                ("and a superuser sets them", (), "supabase_admin"),
                ("and the owner draws them", ("grant usage on sequence cron.jobid_seq to postgres",), "postgres"),
            )
        ),
        fine("runs were recorded", run("succeeded", "1 row", times=3)),
        fine("an empty history needs nothing of its sequence", admin("delete from cron.job_run_details", _BEHIND)),
    ),
    "cron_slots_free": (
        failed(
            "the limit of the role is used up",
            run("failed", "connection failed"),
            session_named("somebody"),
            admin("alter role postgres connection limit 1"),
            says="role postgres: allows 1 connections, and ",
            explains=("job_runs_succeed",),
        ),
        failed(
            "the limit of the database is used up",
            admin("alter database postgres connection limit 1"),
            says="database postgres: allows 1 connections",
        ),
        failed("the server takes no more", _room_for(0), says="setting max_connections: allows "),
        warned("the server takes two more", _room_for(2), says="setting max_connections: allows "),
        fine("the server takes some more", _room_for(4)),
        failed(
            "a run takes pg_cron's only slot",
            _long_run(2),
            says="allows 1 jobs at a time, and 1 have been running",
        ),
        fine("it has just begun", _long_run(0)),
        fine("the process of the run is gone", _long_run(2), _end_run),
        failed(
            "jobs need background workers, and there is none left",
            pretended({"max_worker_processes": "1", "cron.use_background_workers": "on"}),
            says="setting max_worker_processes: allows 1 background workers, and ",
        ),
        fine("jobs need no background worker", pretended({"max_worker_processes": "1"})),
    ),
    "cron_timezone_utc": (
        warned(
            "an hour that is read in another zone",
            _zone("Europe/Paris"),
            says="is Europe/Paris: pg_cron reads '0 7 * * *' in that time zone",
        ),
        warned("the zone was changed", _zone("GMT", pending_restart=True), says="was changed"),
        *(fine(f"the zone is {alike}", _zone(alike)) for alike in ("GMT", "Etc/UTC", "utc")),
        *(
            fine(f"{schedule} is the same everywhere", _zone("Europe/Paris", schedule), says="Europe/Paris")
            for schedule in ("*/5 * * * *", "5 * * * *", "10 seconds", "@hourly")
        ),
    ),
    "no_triggers_on_cron_tables": (
        warned(
            "a harmless trigger",
            admin(
                _NOTHING,
                "create trigger watch before insert on cron.job_run_details for each row"
                " execute function public.nothing()",
            ),
            says="job_run_details: has the trigger watch (function public.nothing), which runs as supabase_admin",
            repaired_by="supabase_admin",
        ),
        *(
            warned(what, admin(statement), says=f"has the {what} ", repaired_by="supabase_admin")
            for what, statement in _OBSTACLES.items()
        ),
        *(
            fine(
                f"a trigger that is {state}d",
                admin(
                    _NOTHING,
                    "create trigger watch before insert on cron.job_run_details for each row"
                    " execute function public.nothing()",
                    f"alter table cron.job_run_details {state} trigger watch",
                ),
            )
            for state in ("disable", "enable replica")
        ),
        fine("a column of theirs", admin("alter table cron.job_run_details add column team text not null default ''")),
        fine("an index of theirs", admin("create index theirs on cron.job_run_details (start_time)")),
        fine(
            "a trigger on a table that is called job, too",
            admin(
                _NOTHING,
                "create table public.job (id integer)",
                "create trigger t before insert on public.job for each row execute function public.nothing()",
            ),
        ),
    ),
    "launcher_matches_table": (
        failed(
            "a job that was seen to be gone has run since",
            _NOTED,
            _ran(_GONE, _AGO.format(2), _AGO.format(1)),
            says=f"cron job number {_GONE}: ran at ",
            repaired_by="postgres",
        ),
        failed(
            "housekeeping noted that it is gone, and it ran after that",
            _ran(_GONE, _AGO.format(2)),
            sql("select autosync.keep_house()", "select autosync.keep_house()"),
            _ran(_GONE, "clock_timestamp() + interval '3 seconds'"),
            says="and cron.job has no such job, nor had it at ",
        ),
        failed(
            "two runs of another text than cron.job has",
            _ran(_OURS, _AGO.format(2), _AGO.format(1), text="select 'the old text'"),
            says=f"cron job {_OURS}: ran another text at ",
            hides="the old text",
            repaired_by="postgres",
        ),
        fine("it has not run since", _NOTED, _ran(_GONE, "now() - interval '11 minutes'")),
        failed(
            "other jobs ran after it should have, twice",
            _scheduled_for_a_day,
            _THEIRS,
            _ran("theirs", "now() - interval '3 hours'", "now()"),
            says="never ran, although it should have at",
        ),
        fine(
            "its runs were deleted, and others ran since",
            _scheduled_for_a_day,
            _THEIRS,
            _ran("theirs", "now() - interval '1 minute'", "now()"),
        ),
        fine("it was cancelled", _NOTED, _ran(_GONE, _AGO.format(1), message="job canceled")),
        fine("another job was changed since", _NOTED, _ran(_GONE, _AGO.format(1)), _TOUCHED),
        fine("a job that ran a moment ago was unscheduled", _ran(_GONE, "clock_timestamp()")),
        fine("the text was changed during its run", _ran(_OURS, _AGO.format(1), text="select 'the old text'")),
        fine(
            "a key was masked in its history",
            _ran(_OURS, _AGO.format(2), _AGO.format(1), text="select '***'"),
            admin("update cron.job_run_details set start_time = null"),
        ),
        fine(
            "runs at other times, which nobody knows to be pg_cron's",
            _ran(_OURS, _AGO.format(2), _AGO.format(1), text=_TICK),
        ),
        unseen(
            "a role that sees its own jobs alone",
            role(
                grants="grant usage on schema cron, autosync to plain;"
                " grant execute on all functions in schema autosync to plain;"
                " grant select on cron.job, cron.job_run_details, autosync.job, autosync.setting to plain"
            ),
            says="jobs of other roles are not visible to this role",
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
    ),
    "pg_cron_installed": (
        failed(
            "the extension was dropped",
            admin("drop extension pg_cron"),
            says="extension pg_cron: is not installed in the database postgres",
            explains=("job_scheduled", "job_unique", "job_active", "job_command_matches", "job_runs_succeed"),
            repaired_by="postgres",
        ),
        failed(
            "a schema named cron is not the extension",
            admin("drop extension pg_cron", "create schema cron", "create table cron.job (jobid bigint)"),
            says="is not installed",
        ),
        fine(
            "it belongs to a role that may write jobs",
            admin(
                "update pg_extension set extowner = 'postgres'::regrole where extname = 'pg_cron'",
                "grant insert on cron.job to postgres",
            ),
        ),
    ),
    "pg_cron_not_blocked": (
        unseen(
            "a lock whose age is hidden from the role",
            role(),
            holding("lock table cron.job_run_details in access exclusive mode"),
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
        fine("a lock that was just taken", holding("lock table cron.job_run_details in share mode")),
    ),
    "pg_cron_preloaded": (fine("a role without pg_monitor sees it by its process", role(), role="plain"),),
    "pg_cron_scheduler_running": (fine("a role without pg_monitor sees the process", role(), role="plain"),),
}
