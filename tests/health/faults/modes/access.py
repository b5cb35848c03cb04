"""M: how verify itself reaches the database."""

from autosync_db.health.model import Status
from autosync_db.secret import Secret
from tests.health.faults.mode import Mode, admin
from tests.health.faults.modes.job import no_plain_role
from tests.support.health import Project


def _unknown_host(project: Project) -> Secret:
    return Secret(project.cluster.url().reveal().replace("@127.0.0.1:", "@db.nosuchproject.invalid:"))


MODES = (
    Mode(
        "M3",
        "the database's host name has no address that this machine can reach",
        "server_reachable",
        lambda project: None,
        says="cannot use the database at db.nosuchproject.invalid",
        url=_unknown_host,
        mend=lambda project: None,
    ),
    Mode(
        "M4",
        "verify is connected to another database of the server",
        "cron_database_matches",
        admin("create database other"),
        says="names the database postgres: jobs in other are kept",
        url=lambda project: project.cluster.url(database="other"),
        mend=admin("drop database other with (force)"),
    ),
    Mode(
        "M5",
        "verify is run by a role without pg_monitor",
        "privileges_sufficient",
        lambda project: project.create_role(
            "plain", grants="alter role plain bypassrls; grant pg_read_all_data to plain"
        ),
        status=Status.UNKNOWN,
        says='role pg_read_all_settings: run: grant pg_monitor to "plain"',
        role="plain",
        mend=no_plain_role,
    ),
)
