"""What verify prints as a remedy ends the fault: run as it is printed, with target and settings file."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from autosync_db.credentials import lease
from autosync_db.health import catalogue, repair
from autosync_db.health.model import CheckResult
from autosync_db.remedies import Aim, Kind, kind_of
from autosync_db.schema import migrate
from autosync_db.secret import Secret
from tests.health.actions import Action, admin, answers, sql, steps, stored
from tests.health.faults.catalogue import ALL
from tests.health.faults.modes.server import restarted_with
from tests.support import clusters, command, health, http_stub, keys, remedies, server, versions
from tests.support.clusters import REAL_PG_NET
from tests.support.health import NEVER, LiveProject, Project
from tests.support.trial import Trial

_JOB = f'[job]\nschedule = "{NEVER}"\n'
_CRON_SECRET = sql(
    "insert into autosync.setting (name, value) values"
    """ ('function_auth', '{"auto-sync-cron-job": "cron_secret"}')"""
    " on conflict (name) do update set value = excluded.value",
    "insert into public.pg_cron_secrets (name, secret) values ('cron_secret', 'x y z a b c d e f g h i')"
    " on conflict (name) do nothing",
)
_NO_CRON_SECRET = sql(
    "delete from autosync.setting where name = 'function_auth'",
    "delete from public.pg_cron_secrets where name in ('cron_secret', 'gateway_key')",
)


@dataclass(frozen=True)
class Heal:
    """A fault whose remedy is no repair: how it is made, and what is put in the places of the printed text.

    `key` makes the value that the file at PATH holds, and the only one that the function accepts then. `settings` are
    those of the file. `tidy` takes back what was no part of the fault.
    """

    id: str
    inject: Action[LiveProject]
    reason: str = ""
    key: Callable[[], Secret] | None = None
    settings: str = _JOB
    restarts: bool = False
    tidy: Action[LiveProject] | None = None
    also: tuple[str, ...] = field(default=())


def _lapsed_rotation(project: LiveProject) -> None:
    assert lease.begin(project.owner, {"service_role_key": keys.secret()})
    project.owner.execute("update autosync.secret_rotation set lease_expires_at = clock_timestamp() - interval '1 second'")


def _without(*names: str) -> Action[Project]:
    listed = ", ".join(f"'{name}'" for name in names)
    return sql(f"delete from public.pg_cron_secrets where name in ({listed})")


def _known(project: LiveProject) -> None:
    """Let housekeeping keep the address that a call has proven."""
    project.tick()
    assert project.value("select autosync.keep_house() -> 'errors'") is None
    assert project.value("select autosync.proven_address()") == project.stub.url


def _unknown(project: LiveProject) -> None:
    project.owner.execute("delete from autosync.setting where name = 'proven_address'")


def _refuses(message: str) -> Action[LiveProject]:
    """Return what lets the function refuse whatever key is stored."""

    def act(project: LiveProject) -> None:
        project.stub.answer(401, {"message": message})
        project.tick()

    return act


def _refused_and_put_back(project: LiveProject) -> None:
    project.stub.answer(401, {"message": "Invalid JWT"})
    with remedies.written("refused key", keys.secret().reveal()):
        refused = remedies.run_command(
            project, "rotate", "--from-file", "refused key", "--no-preflight", *_OPTIONS, agrees=False
        )
    assert refused.code == 6, refused.err
    project.stub.answer()


@contextmanager
def _answering(body: object, status: int) -> Iterator[str]:
    with http_stub.serve() as elsewhere:
        elsewhere.answer(status, body)
        yield elsewhere.url


def _elsewhere(body: object, status: int = 200) -> Action[LiveProject]:
    """Return what lets the calls go to another server, which answers so."""

    def act(project: LiveProject) -> None:
        project.store(project_url=project.hold(_answering(body, status)))
        project.tick()

    return act


def _stale_cache(project: LiveProject) -> None:
    """Answer as PostgREST does with a stale cache, until it is notified."""
    project.stub.answer(500, {"code": "PGRST202", "message": "Could not find the function in the schema cache"})
    project.tick()
    listener = project.hold(clusters.connection(project.cluster))
    listener.execute("listen pgrst")

    def judge(_request: object) -> int:
        if any(notice.payload == "reload schema" for notice in listener.notifies(timeout=0)):
            project.stub.answer()
            project.stub.judge = None
            return 200
        return 500

    project.stub.judge = judge


def _older(project: LiveProject) -> None:
    migrate.downgrade(project.cluster.url(), "0004", drop_rows=True)
    project.disconnect()


def _named_secret(project: LiveProject) -> None:
    project.owner.execute(
        "update autosync.job set auth = 'partner_token' where name = %s", [project.job_name]
    )


_OPTIONS = ("--target", remedies.TARGET, "--config", remedies.CONFIG)
_OF_A_PROJECT = f"https://{keys.PROJECT_REF}.supabase.co"
HEALS = (
    Heal("settings_applied", sql("update autosync.job set timeout_milliseconds = 9000 where drains is not null")),
    Heal("rotation_finished", _lapsed_rotation),
    Heal("outcomes_recorded", lambda project: [lost_call(project) for _ in range(3)]),
    Heal("secrets_present", steps(_unknown, _without("project_url"))),
    Heal("secrets_present", steps(_known, _without("project_url")), "address"),
    Heal("secrets_present", _without("service_role_key"), "key", keys.secret),
    Heal("secrets_present", steps(_unknown, _without("service_role_key", "project_url")), "both", keys.legacy),
    Heal("project_url_valid", steps(_unknown, stored(project_url="api.example.com"))),
    Heal("project_url_valid", steps(_known, stored(project_url="ftp://127.0.0.1")), "known"),
    Heal("project_url_resolves", steps(stored(project_url="https://nosuchhost.invalid"), LiveProject.tick)),
    Heal("project_url_reachable", steps(_redirects := lambda project: _redirected(project), LiveProject.tick)),
    Heal("function_reached", _elsewhere("<!doctype html><p>App"), "page"),
    Heal("function_reached", _elsewhere({"message": "no Route matched with those values"}, 404), "no_route"),
    Heal("function_succeeds", _stale_cache, "schema_cache"),
    Heal("function_accepts_key", _refuses("Invalid JWT"), key=keys.legacy),
    Heal("function_accepts_key", _refuses("Legacy API keys are disabled"), "legacy_disabled", keys.secret),
    Heal("function_accepts_key", _refuses("the key must be the one named default"), "default_key", keys.secret),
    Heal("function_accepts_key", _refused_and_put_back, "untried"),
    Heal(
        "function_accepts_key",
        steps(_CRON_SECRET, answers(401, {"msg": "Missing authorization header"}, "UNAUTHORIZED_NO_AUTH_HEADER")),
        "gateway_key",
        lambda: keys.legacy("anon"),
        tidy=_NO_CRON_SECRET,
    ),
    Heal("service_key_valid", stored(service_role_key=keys.legacy("anon")), key=keys.legacy),
    Heal("service_key_fresh", stored(service_role_key=keys.legacy(ref=keys.PROJECT_REF)), key=keys.secret),
)
