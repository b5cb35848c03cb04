"""What verify prints as a remedy ends the fault: run as it is printed, with target and settings file."""

import dataclasses
import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from autosync_db import config
from autosync_db.credentials import cron_secret, lease
from autosync_db.health import catalogue
from autosync_db.health.model import CheckResult, Status
from autosync_db.jobs import calls, plan
from autosync_db.remedies import Kind, kind_of
from autosync_db.schema import migrate
from autosync_db.secret import Secret
from tests.health.actions import Action, admin, answers, failed_tick, lost_call, sql, steps, stored
from tests.health.checks.test_cases import CASES
from tests.health.faults import look
from tests.health.faults.catalogue import ALL
from tests.health.faults.modes.cron import waits_for_standby
from tests.health.faults.modes.network import address
from tests.health.faults.modes.server import restarted_with
from tests.support import clusters, command, health, http_stub, keys, remedies, server, versions
from tests.support.clusters import REAL_PG_NET
from tests.support.health import NEVER, LiveProject, Project
from tests.support.trial import Trial

_JOB = f'[job]\nschedule = "{NEVER}"\n'
_CLEANUP = f'[jobs.cleanup]\nsql = "select 2"\nschedule = "{NEVER}"\n'
_CRON_SECRET = sql(
    "insert into autosync.setting (name, value) values"
    """ ('function_auth', '{"auto-sync-cron-job": "cron_secret"}')"""
    " on conflict (name) do update set value = excluded.value",
    "insert into public.pg_cron_secrets (name, secret) values ('cron_secret', md5(random()::text))"
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
    those of the file. Where the text says so, PostgreSQL `restarts`. `since` and `real` say what it takes: a version of
    pg_cron, and the real pg_net. `tidy` takes back what was no part of the fault.
    """

    id: str
    inject: Action[LiveProject]
    reason: str = ""
    key: Callable[[], Secret] | None = None
    settings: str = _JOB
    restarts: bool = False
    since: tuple[int, int] | None = None
    real: bool = False
    tidy: Action[LiveProject] | None = None


def _lapsed_rotation(project: LiveProject) -> None:
    assert lease.begin(project.owner, {"service_role_key": keys.secret()})
    project.owner.execute(
        "update autosync.secret_rotation set lease_expires_at = clock_timestamp() - interval '1 second'"
    )


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


def _astray(*, with_key: bool) -> Action[LiveProject]:
    """Return what lets the stored address lead elsewhere, to another host `with_key`."""

    def act(project: LiveProject) -> None:
        stored_one, other = project.hold(http_stub.serve()), project.hold(http_stub.serve())
        host = other.url.replace("127.0.0.1", "localhost") if with_key else stored_one.url
        stored_one.redirects = {"/functions/v1/auto-sync-cron": f"{host}/elsewhere"}
        stored_one.redirect_status = 308
        project.store(project_url=stored_one.url, service_role_key=keys.secret())
        project.tick()

    return act


def _undeclared(_project: Project) -> None:
    folder = Path("supabase", "schemas")
    folder.mkdir(parents=True)
    (folder / "app.sql").write_text("create table public.orders (id integer);")


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


def _unheard(project: LiveProject) -> None:
    for _ in range(3):
        lost_call(project)


def _behind(project: LiveProject) -> None:
    """Let the ledger be restored without the numbers that it gave."""
    project.tick()
    project.admin.execute(
        "select setval(pg_get_serial_sequence('autosync.tick', 'id'), (select max(id) from autosync.tick), false)"
    )
    failed_tick(project)


def _waits_for_adoption(project: LiveProject) -> None:
    """Let the settings name a cron job that somebody made."""
    project.owner.execute(f"select cron.schedule('cleanup', '{NEVER}', 'select 1')".encode())
    settings = config.Settings.model_validate(tomllib.loads(_JOB + _CLEANUP))
    project.configuration = dataclasses.replace(project.configuration, settings=settings)


def _is_done_under_another_name(project: LiveProject) -> None:
    """Let the settings name what a cron job of somebody's does that has no name."""
    _waits_for_adoption(project)
    project.owner.execute("select cron.unschedule('cleanup')")
    project.owner.execute(f"select cron.schedule('{NEVER}', 'select 2;')".encode())


def _named_secret(project: LiveProject) -> None:
    """Let the job's calls carry a secret that is not stored."""
    settings = config.Settings.model_validate(tomllib.loads(_BY_SECRET))
    plan.apply(project.owner, settings)
    project.quiet_house()
    project.configuration = dataclasses.replace(project.configuration, settings=settings)


def _refused_secret(project: LiveProject) -> None:
    _named_secret(project)
    project.store(partner_token="t0ken-of-nobody")
    answers(401, {"error": "invalid token"})(project)


def _passed(error: str) -> Action[LiveProject]:
    """Return what lets a call fail on its way, and another job's reach the same address after that."""

    def act(project: LiveProject) -> None:
        project.call(error)
        project.owner.execute(
            "insert into autosync.job (name, function, schedule) values ('another', 'another', %s)", [NEVER]
        )
        project.owner.execute("select autosync.sync_job('another')")
        tick = int(project.value("select autosync.dispatch('another')"))
        assert calls.wait(project.owner, "another", tick, health.PATIENCE)[0].cause is calls.Cause.OK

    return act


_NO_OTHER = sql("select cron.unschedule('another')", "delete from autosync.job where name = 'another'")


def _untied(project: LiveProject) -> None:
    """Let a user of one organization schedule the integration of another."""
    project.owner.execute(
        "create table public.device_integrations (id uuid primary key, organization_id uuid not null);"
        " create table public.users (id uuid primary key, organization_id uuid);"
        " grant select on public.device_integrations to authenticated"
    )
    settings = config.Settings.model_validate(tomllib.loads(_BY_ORGANIZATION))
    project.configuration = dataclasses.replace(project.configuration, settings=settings)
    command.succeeds(remedies.run_command(project, "migrate", *_OPTIONS))
    name = "auto_sync_schedules_organization"
    project.owner.execute(
        f"drop policy {name} on public.auto_sync_schedules; create policy {name} on public.auto_sync_schedules"
        " to authenticated using (organization_id in (select u.organization_id from public.users as u"
        " where u.id = (select auth.uid())))".encode()
    )


def _setting(name: str, value: str) -> Action[LiveProject]:
    def act(project: LiveProject) -> None:
        project.admin.execute(f"alter system set {name} = '{value}'".encode())
        project.admin.execute("select pg_reload_conf()")
        server.wait_for_setting(project, name, value)

    return act


def _worker_elsewhere(project: LiveProject) -> None:
    project.admin.execute("alter system set pg_net.database_name = 'template1'")
    project.restart_server()


_BY_SECRET = _JOB.replace("[job]", '[job]\nauth = { secret = "partner_token", header = "x-token" }')
_BY_ORGANIZATION = _JOB + '[isolation]\nmode = "organization"\n'
_OPTIONS = ("--target", remedies.TARGET, "--config", remedies.CONFIG)
_OF_A_PROJECT = f"https://{keys.PROJECT_REF}.supabase.co"
_NO_CLEANUP = sql(
    "select cron.unschedule('cleanup')",
    "delete from autosync.adopted where object = 'cron job cleanup'",
    "delete from autosync.job where name = 'cleanup'",
)
HEALS = (
    Heal("settings_applied", _waits_for_adoption, "waiting", settings=_JOB + _CLEANUP, tidy=_NO_CLEANUP),
    Heal("settings_applied", _is_done_under_another_name, "double", settings=_JOB + _CLEANUP, tidy=_NO_CLEANUP),
    Heal("settings_applied", sql("update autosync.job set timeout_milliseconds = 9000 where drains is not null")),
    Heal("rotation_finished", _lapsed_rotation),
    Heal("outcomes_recorded", _unheard),
    Heal("job_runs_succeed", _behind, "sequence"),
    Heal("secrets_present", steps(_unknown, _without("project_url"))),
    Heal("secrets_present", steps(_known, _without("project_url")), "address"),
    Heal("secrets_present", _without("service_role_key"), "key", keys.secret),
    Heal("secrets_present", steps(_unknown, _without("service_role_key", "project_url")), "both", keys.legacy),
    Heal("secrets_present", _named_secret, "named", keys.secret, settings=_BY_SECRET),
    Heal("secrets_clean", stored(service_role_key="sb_secret_abcde\u00b7\u00b7"), "service_role_key", keys.secret),
    Heal("secrets_clean", stored(project_url="https://exam\u00b7ple.com"), "project_url"),
    Heal(
        "secrets_clean",
        steps(_CRON_SECRET, stored(cron_secret="a-cron-secret-that-is-cut-\u00b7\u00b7\u00b7")),
        "cron_secret",
        cron_secret.generate,
        settings=_JOB.replace("[job]", '[function]\nauth = "cron_secret"\n[job]'),
        tidy=_NO_CRON_SECRET,
    ),
    Heal(
        "secrets_clean",
        steps(_named_secret, stored(partner_token="t0ken-\u00b7\u00b7\u00b7")),
        "spoiled",
        keys.secret,
        settings=_BY_SECRET,
    ),
    Heal("project_url_valid", steps(_unknown, stored(project_url="api.example.com"))),
    Heal("project_url_valid", steps(_known, stored(project_url="ftp://127.0.0.1")), "known"),
    Heal("project_url_resolves", address("https://nosuchhost.invalid")),
    Heal(
        "project_url_resolves",
        steps(sql("delete from autosync.invocation"), sql("delete from autosync.tick")),
        "unanswered",
    ),
    Heal("project_url_resolves", _passed("Couldn't resolve host name"), "reached_since", tidy=_NO_OTHER),
    Heal("project_url_reachable", _passed("Server returned nothing"), "reached_since", tidy=_NO_OTHER),
    Heal("project_url_reachable", lambda project: address(project.stub.url.replace("http:", "https:"))(project)),
    Heal("project_url_reachable", _astray(with_key=False), "redirected"),
    Heal("project_url_reachable", _astray(with_key=True), "redirected_with_key"),
    Heal("project_url_reachable", _elsewhere("Client sent an HTTP request to an HTTPS server.", 400), "wants_https"),
    Heal("schemas_keep_the_jobs", _undeclared, tidy=lambda _: shutil.rmtree("supabase")),
    Heal("function_reached", _elsewhere("<!doctype html><p>App"), "page"),
    Heal("function_reached", _elsewhere({"message": "no Route matched with those values"}, 404), "no_route"),
    Heal("function_succeeds", _stale_cache, "schema_cache"),
    Heal("function_accepts_key", answers(401, {"message": "Invalid JWT"}), key=keys.legacy),
    Heal("function_accepts_key", answers(401, {"msg": "Legacy API keys are disabled"}), "legacy_disabled", keys.secret),
    Heal("function_accepts_key", answers(401, {"error": "not the key named default"}), "default_key", keys.secret),
    Heal("function_accepts_key", _refused_secret, "own_secret", keys.secret, settings=_BY_SECRET),
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
    Heal(
        "service_key_matches_project",
        lambda project: project.store(
            project_url=_OF_A_PROJECT, service_role_key=keys.legacy(ref=keys.PROJECT_REF[::-1])
        ),
        key=keys.legacy,
    ),
    Heal("pg_net_settings_valid", _setting("pg_net.batch_size", "0")),
    Heal(
        "pg_net_settings_valid",
        steps(
            admin("revoke insert, delete on net._http_response from public, postgres"),
            _setting("pg_net.username", "postgres"),
        ),
        "rights",
    ),
    Heal("server_log_hides_secrets", _setting("log_statement", "all")),
    Heal("server_writable", admin("alter database postgres set default_transaction_read_only = on"), "database"),
    Heal("server_writable", admin("alter role supabase_admin set default_transaction_read_only = on"), "role"),
    Heal("server_writable", admin("alter role all set default_transaction_read_only = on"), "all_roles"),
    Heal(
        "server_writable",
        admin("alter role supabase_admin in database postgres set default_transaction_read_only = on"),
        "role_in_database",
    ),
    Heal("head_applied", sql("drop table autosync.alembic_version"), "forgotten"),
    Heal(
        "secrets_present",
        sql("update public.pg_cron_secrets set name = 'SERVICE_ROLE_KEY' where name = 'service_role_key'"),
        "other_name",
        tidy=sql("delete from public.pg_cron_secrets where name = 'SERVICE_ROLE_KEY'"),
    ),
)  # fmt: skip
# what restarts the server, or changes it too much to be undone
COSTLY = (
    Heal("head_applied", _older),
    Heal("integrations_tied_to_organizations", _untied, settings=_BY_ORGANIZATION),
    Heal("server_writable", restarted_with("default_transaction_read_only = on", worker=False), restarts=True),
    Heal("cron_history_recorded", restarted_with("cron.log_run = off"), restarts=True),
    Heal(
        "job_owner_matches",
        steps(restarted_with("cron.enable_superuser_jobs = off"), admin("alter role postgres superuser")),
        "superuser_jobs_off",
        restarts=True,
    ),
    Heal("pg_cron_not_blocked", waits_for_standby, "standby"),
    Heal("cron_timezone_utc", restarted_with("cron.timezone = 'America/New_York'"), restarts=True),
    Heal("cron_jobs_launched", restarted_with("cron.launch_active_jobs = off"), since=versions.RETURNS),
    Heal("pg_net_database_matches", _worker_elsewhere, real=True, restarts=True),
)
# nothing starts the worker of the stand-in again, and the real one is of one version
UNTRIED = {("pg_net_worker_running", "")} | ({("pg_net_version_matches_library", "")} if REAL_PG_NET else set())
# tests/leaks/test_local_stack.py, where a local stack runs, and health/checks/test_roles.py
ELSEWHERE = {("project_url_reachable", "local")} | {
    ("privileges_sufficient", of_whom) for of_whom in ("role", "role_database", "database")
}


# each takes seconds, most of them of waiting
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, 7))])
def test_what_is_printed_ends_the_fault(part: int, live: LiveProject) -> None:
    wrong = []
    for heal in HEALS[part::7]:
        try:
            _heal(live, heal)
        except Exception as error:
            wrong.append(f"{heal.id} {heal.reason}: {error!r}")
        finally:
            _put_right(live, heal)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.long
@pytest.mark.parametrize("heal", [pytest.param(heal, id=heal.id) for heal in COSTLY])
def test_what_is_printed_ends_a_fault_of_the_server(heal: Heal, live: LiveProject) -> None:
    if heal.since:
        versions.needs_pg_cron(live.cluster, heal.since, heal.id)
    if heal.real and not REAL_PG_NET:
        pytest.skip("the worker of the stand-in serves one database")
    _heal(live, heal)


def _heal(project: LiveProject, heal: Heal) -> None:
    remedies.choose_target(project, heal.settings)
    heal.inject(project)
    result = _printed(project, heal)
    assert result.reason == heal.reason, (result.reason, result.verdict)
    given = {"URL": project.stub.url} if f"{' '}URL" in str(result.remedy) else {}
    with ExitStack() as stack:
        if heal.key:
            value = heal.key().reveal()
            project.stub.answer()
            project.stub.judge = lambda request: 200 if value in " ".join(request.headers.values()) else 401
            given["PATH"] = stack.enter_context(remedies.written("key.txt", value))
        remedies.run(project, result, given)
    if heal.restarts:
        project.restart_server()
    project.tick()
    # a process takes a moment to start again
    with suppress(AssertionError):
        clusters.wait_for(lambda: not look.verify(project).root_causes, "health", 5)
    left = look.verify(project)
    assert not left.root_causes, f"{result.remedy} left: {health.described(left)}"


def _printed(project: LiveProject, heal: Heal) -> CheckResult:
    report = look.verify(project)
    assert heal.id in health.roots(report), health.described(report)
    return health.result_of(report, heal.id)


def _put_right(project: LiveProject, heal: Heal) -> None:
    project.release()
    project.stub.answer()
    project.stub.judge = None
    if heal.tidy:
        heal.tidy(project)
    project.admin.execute("alter system reset all")
    project.admin.execute("select pg_reload_conf()")
    settings = config.Settings.model_validate(tomllib.loads(_JOB))
    project.configuration = dataclasses.replace(project.configuration, settings=settings)
    project.store(project_url=project.stub.url, service_role_key=keys.legacy())
    project.owner.execute("delete from public.pg_cron_secrets where name = 'partner_token'")
    project.restore_job()
    project.tick()


def test_the_same_command_is_in_every_form_and_acts_on_the_same_database(project: Trial) -> None:
    remedies.choose_target(project)
    sql("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'auto-sync-cron-job'")(project)
    given = f"--target {remedies.TARGET} --config '{remedies.CONFIG}'"
    for form in ("table", "json", "github", "junit"):
        shown = remedies.run_command(project, "verify", *_OPTIONS, "--format", form).out
        assert f"autosync-db repair {given} job_active" in shown, shown
        assert shown.count("autosync-db repair") == shown.count(f"autosync-db repair {given}"), shown
    found = remedies.run_command(project, "verify", *_OPTIONS, "--format", "json").json()["checks"]
    assert {check["remedy_kind"] for check in found if check["id"] == "job_active"} == {"command"}
    refused = remedies.run_command(project, "repair", *_OPTIONS, "server_clock_agrees", "--yes", agrees=False)
    assert f"see: autosync-db explain {given} server_clock_agrees" in refused.err
    failed = remedies.run_command(project, "jobs", "preview", *_OPTIONS, "nobody", agrees=False)
    assert f"autosync-db setup {given}" in failed.hints[0]
    remedies.run(project, health.result_of(project.report(["job_active"]), "job_active"))
    assert project.look("job_active").status is Status.OK


def test_every_remedy_is_run_or_is_the_users() -> None:
    """A check that is added is named here until a mode or a table above runs what it prints."""
    proven = {(mode.names, mode.proves) for mode in ALL if mode.repairable}
    proven |= {(heal.id, heal.reason) for heal in (*HEALS, *COSTLY)} | UNTRIED | ELSEWHERE
    proven |= {(id, "") for id, cases in CASES.items() if any(case.repaired_by for case in cases)}
    printed = {
        (id, reason)
        for id, check in catalogue.all_checks().items()
        for reason, remedy in {"": check.remedy, **check.remedies}.items()
        if remedy is None or kind_of(remedy) is not Kind.BY_YOU
    }
    assert proven >= printed, printed - proven
    assert {pair for pair in proven if pair[0] not in catalogue.all_checks()} == set()
