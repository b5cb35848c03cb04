"""M: how verify itself reaches the database."""

from autosync_db.health.model import Status
from autosync_db.secret import Secret
from tests.health.actions import admin, no_plain_role, role
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.support.health import LiveProject


def _unknown_host(project: LiveProject) -> Secret:
    return Secret(project.cluster.url().reveal().replace("@127.0.0.1:", "@db.nosuchproject.invalid:"))


MODES: tuple[AnyMode, ...] = (
    ServerMode(
        "M3",
        "the database's host name has no address that this machine can reach",
        "server_reachable",
        lambda project: None,
        says="cannot use the database at db.nosuchproject.invalid",
        url=_unknown_host,
        undo=lambda project: None,
    ),
    ServerMode(
        "M4",
        "verify is connected to another database of the server",
        "cron_database_matches",
        admin("create database other"),
        says="names the database postgres: jobs in other are kept",
        url=lambda project: project.cluster.url(database="other"),
        undo=admin("drop database other with (force)"),
        long=True,
    ),
    Mode(
        "M5",
        "verify is run by a role without pg_monitor",
        "privileges_sufficient",
        role(grants="alter role plain bypassrls; grant pg_read_all_data to plain"),
        status=Status.UNKNOWN,
        says='role pg_read_all_settings: run: grant pg_monitor to "plain"',
        role="plain",
        undo=no_plain_role,
    ),
)
