"""N: the platform."""

import dataclasses

from autosync_db.health.model import Status
from tests.health.actions import answers, answers_again, secrets_again, sql
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.health.faults.modes.function import WRITTEN
from tests.health.faults.modes.net import timeout_again
from tests.health.faults.modes.network import address
from tests.support import keys
from tests.support.health import NEVER, LiveProject, Project

_OTHER = keys.PROJECT_REF[::-1]


def _copied(project: Project) -> None:
    project.store(project_url=f"https://{_OTHER}.supabase.co", service_role_key=keys.secret())
    target = dataclasses.replace(project.configuration.target, project_url=f"https://{keys.PROJECT_REF}.supabase.co")
    project.configuration = dataclasses.replace(project.configuration, target=target)


def _wedged(project: Project) -> None:
    project.set_job(timeout="1s")
    project.stub.answer(500, delay_seconds=1.3)
    project.tick()


MODES: tuple[AnyMode, ...] = (
    ServerMode(
        "N1",
        "the project is paused: its server does not run",
        "server_reachable",
        LiveProject.stop_server,
        says="Connection refused",
        undo=LiveProject.start_server,
    ),
    Mode(
        "N2",
        "the database is a copy of another project's",
        "service_key_matches_project",
        _copied,
        says=f"names the project {_OTHER}, but this database is that of {keys.PROJECT_REF}",
        undo=secrets_again,
    ),
    Mode(
        "N3",
        "a migration scheduled a call to a hard-coded project",
        "job_unique",
        sql(
            f"select cron.schedule('from a migration', '{NEVER}', $$select net.http_post("
            f"url := 'https://{_OTHER}.supabase.co/functions/v1/auto-sync-cron')$$)"
        ),
        status=Status.WARNING,
        reason="other_address",
        says=f"makes the same calls to another address, https://{_OTHER}.supabase.co",
        undo=sql("select cron.unschedule('from a migration')"),
    ),
    ServerMode(
        "N5",
        "an incident lets every function hang",
        "function_answers_in_time",
        _wedged,
        says="got no answer in time",
        undo=timeout_again,
        long=True,
    ),
    ServerMode(
        "N8",
        "the gateway's host name is gone",
        "project_url_resolves",
        address("http://kong:8000"),
        says="resolve host",
        undo=secrets_again,
        long=True,
    ),
    Mode(
        "N9",
        "a local gateway refuses the key without a code of the platform",
        "function_accepts_key",
        answers(401, {"msg": "Invalid JWT"}),
        says="refused with 401",
        undo=answers_again,
        simulated=WRITTEN,
    ),
)
