"""A: the configuration of the server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg

from autosync_db.health.model import Status
from tests.health.actions import Action, admin, pretended, run, steps, tick
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.support import clusters, server, versions
from tests.support.health import LiveProject, Project


def restarted_with(*settings: str, worker: bool = True) -> Action[LiveProject]:
    """Return what restarts the server with lines added to its settings."""

    def act(project: LiveProject) -> None:
        server.configure(project, *settings)
        server.restart(project, worker=worker)

    return act


def _restored(project: LiveProject) -> None:
    project.release()
    server.configure(project)
    project.restart_server()


def _hang(run: psycopg.Connection[clusters.Row]) -> None:
    try:
        run.execute("select pg_sleep(300)")
    except psycopg.errors.QueryCanceled:
        # as pg_cron does with the connection of a run that ended
        run.close()


@contextmanager
def a_run_of_pg_cron(project: Project, minutes: int) -> Iterator[None]:
    """Be a run of the job that began so many minutes ago, and does not end unless it is cancelled."""
    with ThreadPoolExecutor(1) as pool, clusters.connection(project.cluster, application_name="pg_cron") as run:
        process = run.info.backend_pid
        hanging = pool.submit(_hang, run)
        project.record_run("running", "")
        project.admin.execute(
            "update cron.job_run_details"
            " set job_pid = %s, end_time = null, start_time = now() - make_interval(mins => %s)"
            " where runid = (select max(runid) from cron.job_run_details)",
            [process, minutes],
        )
        clusters.wait_for(
            lambda: project.value("select state = 'active' from pg_stat_activity where pid = %s", [process]),
            "the run",
        )
        yield
        project.admin.execute("select pg_cancel_backend(%s)", [process])
        hanging.result(timeout=20)
    clusters.wait_for(
        lambda: not project.value("select count(*) from pg_stat_activity where application_name = 'pg_cron'"),
        "the end of the run",
    )
    project.admin.execute(
        "update cron.job_run_details set status = 'succeeded', end_time = start_time where end_time is null"
    )


def _standby(project: LiveProject) -> None:
    (project.cluster.data / "standby.signal").touch()
    server.restart(project, worker=False)


def _primary(project: LiveProject) -> None:
    (project.cluster.data / "standby.signal").unlink()
    project.restart_server()


MODES: tuple[AnyMode, ...] = (
    ServerMode(
        "A1",
        "the server starts without the library of pg_cron",
        "pg_cron_preloaded",
        restarted_with(f"shared_preload_libraries = '{'pg_net' if clusters.REAL_PG_NET else ''}'"),
        says="does not name pg_cron",
        undo=_restored,
        long=True,
    ),
    ServerMode(
        "A2",
        "cron.database_name names another database",
        "cron_database_matches",
        steps(admin("create database other"), restarted_with("cron.database_name = 'other'")),
        says="jobs in postgres are kept and never started",
        undo=steps(_restored, admin("drop database other with (force)")),
        long=True,
    ),
    ServerMode(
        "A3",
        "the server is a hot standby",
        "server_is_primary",
        _standby,
        says="is a read replica",
        undo=_primary,
    ),
    Mode(
        "A4",
        "pg_cron's connection is refused by pg_hba.conf",
        "job_can_connect",
        run("failed", "connection failed"),
        reason="refused",
        says="look at pg_hba.conf",
        undo=tick,
        simulated="the failed run is written into pg_cron's history",
    ),
    Mode(
        "A5",
        "the job's address is localhost and the connection is refused",
        "job_can_connect",
        steps(admin("update cron.job set nodename = 'localhost'"), run("failed", "connection failed")),
        says="at localhost:",
        repairable=True,
        simulated="the failed run is written into pg_cron's history",
    ),
    Mode(
        "A6",
        "the job keeps the port of an earlier server",
        "job_can_connect",
        steps(admin("update cron.job set nodeport = 1"), run("failed", "connection failed")),
        says=":1, but this server listens on port",
        repairable=True,
        simulated="the failed run is written into pg_cron's history",
    ),
    Mode(
        "A7",
        "the connection limit of the database is used up",
        "cron_slots_free",
        admin("alter database postgres connection limit 1"),
        says="database postgres: allows 1 connections",
        undo=admin("alter database postgres connection limit -1"),
        role="supabase_admin",
        simulated="looked at in a session that was there before; a new one is refused",
    ),
    ServerMode(
        "A8",
        "jobs run in background workers, and there is none left",
        "cron_slots_free",
        # pg_cron's own, that of logical replication, and the real pg_net's
        restarted_with("cron.use_background_workers = on", f"max_worker_processes = {2 + clusters.REAL_PG_NET}"),
        says="setting max_worker_processes: allows",
        undo=_restored,
        long=True,
    ),
    ServerMode(
        "A9",
        "a run that hangs takes the only slot of cron.max_running_jobs",
        "cron_slots_free",
        steps(
            restarted_with("cron.max_running_jobs = 1"),
            lambda project: project.hold(a_run_of_pg_cron(project, 2)),
        ),
        says="allows 1 jobs at a time, and 1 have been running",
        undo=_restored,
        simulated="the run is a session of this suite and a row in pg_cron's history",
        long=True,
    ),
    Mode(
        "A10",
        "cron.launch_active_jobs is off",
        "cron_jobs_launched",
        pretended({"cron.launch_active_jobs": "off"}),
        says="is off: pg_cron runs, jobs are active, and none is started",
        simulated="pg_settings shows the setting, which pg_cron has since 1.6",
    ),
    ServerMode(
        "A11",
        "cron.log_run is off",
        "cron_history_recorded",
        restarted_with("cron.log_run = off"),
        status=Status.WARNING,
        says="pg_cron records no run",
        undo=_restored,
        long=True,
    ),
    ServerMode(
        "A12",
        "the server is in read-only mode",
        "server_writable",
        restarted_with("default_transaction_read_only = on", worker=False),
        says="is on for the whole server (configuration file",
        undo=_restored,
        watched=True,
        long=True,
    ),
    ServerMode(
        "A13",
        "cron.timezone is set, and pg_cron 1.4 does not read it",
        "cron_timezone_utc",
        steps(
            lambda project: server.configure(project, "cron.timezone = 'America/New_York'"),
            lambda project: server.wait_for_setting(project, "cron.timezone", "America/New_York"),
        ),
        status=Status.WARNING,
        says="is set to America/New_York, which pg_cron 1.4-1 ignores",
        undo=lambda project: server.configure(project, "cron.timezone = 'UTC'"),
        gone_with=versions.SECONDS,
    ),
    ServerMode(
        "A14",
        "a server process is killed and the server recovers",
        "no_recent_crash",
        lambda project: server.crash(project),
        status=Status.WARNING,
        says="crashed and recovered at",
        long=True,
    ),
    ServerMode(
        "A15",
        "the job belongs to a superuser and cron.enable_superuser_jobs is off",
        "job_owner_matches",
        # in this order: pg_cron 1.6.5 crashes when it starts with such a job, and takes the whole server with it
        steps(restarted_with("cron.enable_superuser_jobs = off"), admin("alter role postgres superuser")),
        reason="superuser_jobs_off",
        says="pg_cron skips it",
        undo=steps(admin("alter role postgres nosuperuser"), _restored),
        long=True,
    ),
)
