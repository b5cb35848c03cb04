"""What tests do to a project's PostgreSQL server: its settings, its restarts, its pg_cron process."""

import os
import signal

import psycopg

from tests.support import clusters, versions
from tests.support.health import LiveProject, Project


def launcher(project: LiveProject) -> int | None:
    """Return the process id of pg_cron's scheduler, if one is connected."""
    row = project.admin.execute(
        "select pid from pg_stat_activity where application_name = 'pg_cron scheduler'"
    ).fetchone()
    return None if row is None else int(row[0])


def lose_launcher(project: LiveProject) -> None:
    """End pg_cron's process; where it would come back, let it find no place to start in."""
    if versions.pg_cron(project.cluster) >= versions.RETURNS:
        configure(project, "max_worker_processes = 0")
        restart(project)
        return
    project.admin.execute("select pg_terminate_backend(%s)", [launcher(project)])
    clusters.wait_for(lambda: launcher(project) is None, "the launcher's end")


def configure(project: LiveProject, *lines: str) -> None:
    """Put lines into the server's settings, also what ALTER SYSTEM refuses, and reload; none removes them."""
    path = project.cluster.data / "conf.d" / "zz-test.conf"
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o644)
    project.cluster.reload()


def restart(project: LiveProject, *, worker: bool = True) -> None:
    """Restart PostgreSQL without waiting for pg_cron, which may be what is broken; `worker`: start pg_net's, too."""
    project.stop_server()
    project.start_server(worker=worker)


def wait_for_launcher(project: LiveProject) -> None:
    """Return when pg_cron's scheduler has been the same process for two seconds."""
    clusters.wait_for(
        lambda: project.admin.execute(
            "select 1 from pg_stat_activity where application_name = 'pg_cron scheduler'"
            " and backend_start < clock_timestamp() - interval '2 seconds'"
        ).fetchone(),
        "pg_cron's scheduler",
    )


def orphan_job(project: LiveProject, role: str = "leaver") -> None:
    """Leave a job behind whose role was dropped, and make pg_cron read its jobs again: its process dies."""
    project.admin.execute(f"create role {role} login; grant usage on schema cron to {role}".encode())
    project.admin.execute(f"set role {role}".encode())
    project.admin.execute("select cron.schedule('left behind', '0 0 1 1 *', 'select 1')")
    project.admin.execute("reset role")
    project.admin.execute(f"drop owned by {role}; drop role {role}".encode())
    project.cluster.reload()


def pretend_setting(project: Project, name: str, value: str, *, pending_restart: bool = False) -> None:
    """Make pg_settings show a setting of a newer pg_cron than the one installed here."""
    project.admin.execute("set allow_system_table_mods = on")
    project.admin.execute(
        f"""
        create or replace view pg_catalog.pg_settings as
        select a.* from pg_catalog.pg_show_all_settings() as a
        union all
        select '{name}', '{value}', null, 'Customized Options', null, null, 'postmaster', 'string',
            'configuration file', null, null, null, '', '{value}', null, null, {pending_restart}
        where pg_has_role('pg_read_all_settings', 'usage')
        """.encode()
    )


def restore_settings_view(project: Project) -> None:
    """Take back what pretend_setting() did."""
    project.admin.execute("set allow_system_table_mods = on")
    project.admin.execute(
        "create or replace view pg_catalog.pg_settings as select a.* from pg_catalog.pg_show_all_settings() as a"
    )


def wait_for_setting(project: LiveProject, name: str, value: str) -> None:
    """Return when a setting that was reloaded is active."""
    clusters.wait_for(
        lambda: project.value("select current_setting(%s, true)", [name]) == value, f"{name} to be {value}"
    )


def crash(project: LiveProject, victim: int | None = None) -> None:
    """Kill a server process, `victim` or one of a new session, and wait until the server has recovered."""
    # younger servers are taken for ones that are starting
    clusters.wait_for(
        lambda: project.value("select clock_timestamp() > pg_postmaster_start_time() + interval '6 seconds'"),
        "a server that has run for some seconds",
    )
    # the tests' servers commit without waiting for the disk, so that a crash would take the newest rows
    project.admin.execute("checkpoint")
    with clusters.connection(project.cluster) as session:
        os.kill(victim or session.info.backend_pid, signal.SIGKILL)
    clusters.wait_for(lambda: not _answers(project), "the crash")
    if project.cluster.stand_in:
        project.stop_worker()
    clusters.wait_for(lambda: _reconnects(project), "the recovery")
    if project.cluster.stand_in:
        project.start_worker()
    else:
        clusters.wait_for_real_worker(project.cluster)
    wait_for_launcher(project)


def _answers(project: LiveProject) -> bool:
    try:
        project.admin.execute("select 1")
        project.owner.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def _reconnects(project: LiveProject) -> bool:
    project.disconnect()
    return _answers(project)
