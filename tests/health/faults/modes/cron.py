"""B: pg_cron's launcher."""

import re
from datetime import timedelta

from autosync_db.health import verify
from autosync_db.health.checks import job_ticks_on_time
from autosync_db.health.model import Status
from tests.health.actions import Action, admin, half_an_hour_away, steps, tick
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.support import clusters, server
from tests.support.health import LiveProject, Project, patched

_TRIGGER = """
create function public.raising() returns trigger language plpgsql set search_path = '' as $$ begin raise 'no'; end $$;
create trigger guard before update on cron.job_run_details for each row execute function public.raising()
"""
_WAITING = "select 1 from pg_locks as l where not l.granted and l.waitstart < clock_timestamp() - interval '3.2 s'"


def dying(project: LiveProject) -> None:
    """Leave the job of a dropped role behind, of which the launcher dies."""
    before = server.launcher(project)
    server.orphan_job(project)
    clusters.wait_for(lambda: server.launcher(project) != before, "the launcher's end")


def adopt(project: LiveProject) -> None:
    """Take the job of the dropped role away."""
    project.admin.execute("create role leaver login; grant usage on schema cron to leaver; set role leaver")
    project.admin.execute("select cron.unschedule('left behind')")
    project.admin.execute("reset role; drop owned by leaver; drop role leaver")
    server.wait_for_launcher(project)


def launcher_that_waits_for(statement: str) -> Action[LiveProject]:
    """Return what makes the launcher wait three seconds for a session that ran a statement and did not commit."""

    def act(project: LiveProject) -> None:
        # a launcher writes into the history when it starts, and it starts again once the role of its jobs exists
        dying(project)
        clusters.wait_for(lambda: server.launcher(project) is None, "the launcher's end")
        project.record_run("running", "")
        holder = project.hold(clusters.connection(project.cluster))
        holder.execute("begin")
        holder.execute(statement.encode())
        project.admin.execute("create role leaver")
        clusters.wait_for(lambda: project.admin.execute(_WAITING).fetchone(), "a launcher that waits")

    return act


def without_leaver(project: LiveProject) -> None:
    """Take away the job that let the launcher die, and its role."""
    project.release()
    server.wait_for_launcher(project)
    project.admin.execute("grant usage on schema cron to leaver; set role leaver")
    project.admin.execute("select cron.unschedule('left behind')")
    project.admin.execute("reset role; drop owned by leaver; drop role leaver")


def waits_for_standby(project: LiveProject) -> None:
    """Let the launcher wait for a standby that is not there."""
    project.record_run("running", "")
    # these two are also in the file that `configure` comes before
    project.admin.execute("alter system set synchronous_commit = on")
    project.admin.execute("alter system set synchronous_standby_names = 'nobody'")
    server.restart(project)
    clusters.wait_for(
        lambda: project.admin.execute(
            "select 1 from pg_stat_activity where application_name = 'pg_cron scheduler' and wait_event = 'SyncRep'"
            " and xact_start < clock_timestamp() - interval '3.2 seconds'"
        ).fetchone(),
        "a launcher that waits",
    )


def _standby_forgotten(project: LiveProject) -> None:
    project.admin.execute("alter system reset synchronous_standby_names")
    project.admin.execute("alter system reset synchronous_commit")
    project.cluster.reload()
    server.wait_for_launcher(project)
    project.tick()


def _trigger_in_the_launcher(project: LiveProject) -> None:
    project.record_run("running", "")
    project.admin.execute(_TRIGGER.encode())
    server.restart(project)
    clusters.wait_for(lambda: re.search(r"ERROR:  no\n", project.cluster.log.read_text()), "the launcher's end")
    clusters.wait_for(lambda: server.launcher(project) is None, "the launcher's absence")


def _trigger_gone(project: LiveProject) -> None:
    project.admin.execute("drop trigger guard on cron.job_run_details; drop function public.raising()")
    server.wait_for_launcher(project)
    project.tick()


def _three_hours_later(project: Project) -> None:
    project.schedule_job(half_an_hour_away())
    later = job_ticks_on_time._QUERY.replace("now(),", "now() + interval '3 hours',", 1)
    project.hold(patched(job_ticks_on_time, "_QUERY", later))


def _now_again(project: Project) -> None:
    project.release()
    project.restore_job()


def _clock_is_ahead(project: Project) -> None:
    now = verify._now
    project.hold(patched(verify, "_now", lambda: now() - timedelta(minutes=5)))


MODES: tuple[AnyMode, ...] = (
    ServerMode(
        "B1",
        "the launcher was terminated",
        "pg_cron_scheduler_running",
        server.lose_launcher,
        says="no such process is connected",
        undo=steps(server.configure, LiveProject.restart_server),
        watched=True,
        long=True,
    ),
    ServerMode(
        "B2",
        "a job belongs to a role that was dropped",
        "cron_job_roles_exist",
        dying,
        says="belongs to the role leaver, which does not exist",
        repairable=True,
        watched=True,
        long=True,
    ),
    Mode(
        "B3",
        "cron.runid_seq is behind the newest run",
        "cron_run_sequence_ahead",
        admin("alter sequence cron.runid_seq restart with 1"),
        says="its next value is 1, but runs up to",
        repairable=True,
    ),
    ServerMode(
        "B4",
        "an open transaction keeps the launcher from writing down its runs",
        "pg_cron_not_blocked",
        launcher_that_waits_for("lock table cron.job_run_details in share mode"),
        status=Status.WARNING,
        says="a lock on cron.job_run_details that is held by process",
        repairable=True,
        tidy=without_leaver,
        long=True,
    ),
    ServerMode(
        "B5",
        "a trigger of the project raises inside the launcher",
        "no_triggers_on_cron_tables",
        _trigger_in_the_launcher,
        reason="out_of_reach",
        says="has the trigger guard",
        undo=_trigger_gone,
        watched=True,
        long=True,
    ),
    Mode(
        "B6",
        "the job's last ticks never came",
        "job_ticks_on_time",
        _three_hours_later,
        says="it should have ticked at",
        undo=_now_again,
        simulated="the check believes that it is three hours later",
    ),
    ServerMode(
        "B9",
        "the launcher waits for a standby that is not there",
        "pg_cron_not_blocked",
        waits_for_standby,
        status=Status.WARNING,
        reason="standby",
        says="synchronous_standby_names is 'nobody'",
        undo=_standby_forgotten,
        long=True,
    ),
    Mode(
        "B10",
        "a run could not connect and has no time in the history",
        "job_can_connect",
        lambda project: project.record_run("failed", "connection failed", ended=None),
        reason="refused",
        says="its newest run could not connect",
        undo=tick,
        simulated="the failed run is written into pg_cron's history",
    ),
    Mode(
        "B13",
        "the server's clock is five minutes ahead",
        "server_clock_agrees",
        _clock_is_ahead,
        status=Status.WARNING,
        says="s ahead of this machine's: ",
        undo=Project.release,
        simulated="this machine's clock is read five minutes early",
    ),
)
