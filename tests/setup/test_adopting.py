"""Cron jobs of the shapes that projects have: taken over by a proven call, and given back as they were."""

import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autosync_db import config, progress
from autosync_db.credentials import store
from autosync_db.errors import ConflictError
from autosync_db.jobs import calls
from autosync_db.setup import adopting, takeover
from autosync_db.supabase import key
from tests.support import clusters, command, keys
from tests.support.cron_jobs import RARELY, Project

OTHER_KEY = keys.secret().reveal()
SILENT = progress.SILENT
HEADERS = "jsonb_build_object('Content-Type', 'application/json', {})"
HELPER = """
create or replace function public.helper() returns bigint language sql as
$$ select net.http_post(url := 'http://127.0.0.1:9/functions/v1/x') $$
"""
FROM_VAULT = "(select decrypted_secret from vault.decrypted_secrets where name = '{}')"


def _post(headers: str, address: str = "'{url}/functions/v1/report'", more: str = "") -> str:
    return f"select net.http_post(url := {address}, headers := {HEADERS.format(headers)}{more}) as id;"


# a text, and what of the call that it makes has to arrive
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "vault": (
        _post(f"'Authorization', 'Bearer ' || {FROM_VAULT.format('edge key')}",
              FROM_VAULT.format("project_url") + " || '/functions/v1/report'"),
        {"path": "/functions/v1/report", "body": {}},
    ),
    "pasted key, body": (
        _post("'Authorization', 'Bearer {key}'", more=", body := '{\"full\": true}'::jsonb"),
        {"path": "/functions/v1/report", "body": {"full": True}},
    ),
    "pasted in JSON, query": (
        "select net.http_post('{url}/functions/v1/report?mode=a', '{}'::jsonb, '{}'::jsonb,"
        " '{\"apikey\": \"{key}\"}'::jsonb, 4000)",
        {"path": "/functions/v1/report?mode=a", "body": {}},
    ),
    "setting, own header": (
        _post("'x-token', current_setting('app.token', true), 'x-region', 'eu'"),
        {"path": "/functions/v1/report", "x-region": "eu"},
    ),
    "block, pasted": (
        "do $$ declare k text := '{key}'; begin perform net.http_post(url := '{url}/functions/v1/report/sub',"
        " headers := jsonb_build_object('x-token', k), body := '{\"a\": [1]}'::jsonb); end $$",
        {"path": "/functions/v1/report/sub", "body": {"a": [1]}},
    ),
    "JSON without a cast": (
        "select net.http_post(url:='{url}/functions/v1/report', headers:='{\"apikey\": \"{key}\"}', body:='{}')",
        {"path": "/functions/v1/report", "body": {}},
    ),
    "block, GET, JSON without a cast": (
        "do $$ begin perform net.http_get('{url}/functions/v1/in', '{}', '{\"x-token\": \"{key}\"}');"
        " end $$",
        {"path": "/functions/v1/in", "method": "GET"},
    ),
    "GET of another address": (
        f"select net.http_get('{{url}}/in', headers := jsonb_build_object('x-token', {FROM_VAULT.format('token')}))",
        {"path": "/in", "method": "GET"},
    ),
}  # fmt: skip


def _unschedule(project: Project) -> None:
    project.execute("select cron.unschedule(jobid) from cron.job")


def _adopt(project: Project, shape: str, text: str, sent: dict[str, Any]) -> None:
    """Take a job over and see that nothing happened before, that the call is the same, and that no key is kept."""
    before = project.cron()
    shown = command.succeeds(project.run("jobs", "adopt", "report", "--dry-run"))
    assert "a real call proves it" in shown.out, shape
    assert (project.cron(), project.stub.requests) == (before, []), shape
    command.succeeds(project.run("jobs", "adopt", "report", "--yes"))
    assert project.cron() == [("report", RARELY, "select autosync.dispatch('report')", True)], shape
    [request] = project.stub.requests
    assert (request.path, request.method) == (sent["path"], sent.get("method", "POST")), shape
    if "body" in sent:
        assert json.loads(request.body) == sent["body"], shape
    assert request.headers.get("x-region") == sent.get("x-region"), shape
    assert project.key.reveal() not in str(project.execute("select * from autosync.adopted")), shape


def _is_given_back(project: Project, shape: str, before: list[tuple[Any, ...]]) -> None:
    """See that a job has its own text again, which calls as it did; a key that was in it is read from the store."""
    [after] = project.cron()
    assert after[:2] + after[3:] == before[0][:2] + before[0][3:], shape
    if project.key.reveal() in before[0][2]:
        assert project.key.reveal() not in after[2], shape
    else:
        assert [after] == before, shape
    project.stub.requests.clear()
    project.execute(after[2])
    clusters.wait_for(lambda: project.stub.requests, f"the call of the job's own text ({shape})")
    assert project.accepts(project.stub.requests[0]), shape


def test_every_shape_is_imported_adopted_proven_and_released(project: Project) -> None:
    for shape, (text, sent) in SHAPES.items():
        project.schedule(text)
        before = project.cron()
        project.imported()
        assert project.key.reveal() not in Path("autosync.toml").read_text(), shape
        _adopt(project, shape, text, sent)
        assert "nothing to do" in command.succeeds(project.run("jobs", "adopt", "report", "--yes")).err
        command.succeeds(project.run("jobs", "release", "report", "--yes"))
        _is_given_back(project, shape, before)
        command.refused(project.run("jobs", "release", "report", "--yes"), 2)
        _unschedule(project)
        project.execute("delete from public.pg_cron_secrets")
        project.stub.requests.clear()


def test_a_job_reads_when_it_is_given_back_what_its_own_text_showed(project: Project) -> None:
    """Not a secret that another job shows under the same header, nor none at all."""
    project.stub.judge = lambda request: 200
    first, second = "KfkI8gHgXJpM4fFlcX7SuqDFl6jj", "zz9Kq83hhs02kdLw7Tq1RrE4"
    project.schedule(_post(f"'x-token', '{first}'"), "a-first")
    project.schedule(_post(f"'x-other-secret', '{first}'"), "an-equal")
    project.imported()
    for name in ("a-first", "an-equal"):
        command.succeeds(project.run("jobs", "adopt", name, "--yes"))
    project.schedule(_post(f"'x-token', '{second}'"), "second")
    command.succeeds(project.run("jobs", "import", "--write"))
    command.succeeds(project.run("jobs", "adopt", "second", "--yes"))
    assert project.stub.requests[-1].headers["x-token"] == second
    stored = {name for (name,) in project.execute("select name from public.pg_cron_secrets")}
    assert stored == {"project_url", "x_token", "second_x_token"}
    for name, header, shown in (
        ("a-first", "x-token", first),
        ("an-equal", "x-other-secret", first),
        ("second", "x-token", second),
    ):
        command.succeeds(project.run("jobs", "release", name, "--yes"))
        [(text, is_active)] = project.execute("select command, active from cron.job where jobname = %s", [name])
        assert (is_active, shown in text) == (True, False)
        project.stub.requests.clear()
        project.execute(text)
        clusters.wait_for(lambda: project.stub.requests, f"the call of {name}")
        assert project.stub.requests[0].headers[header] == shown


def test_a_key_that_is_not_the_stored_one_is_said_and_the_text_that_had_it_comes_back_inactive(
    project: Project,
) -> None:
    project.schedule(SHAPES["vault"][0], "first")
    project.schedule(_post(f"'apikey', '{OTHER_KEY}'"), "second")
    project.imported()
    tables = Path("autosync.toml").read_text()
    project.write('[secrets]\nstore = "vault"\n' + tables)
    shown = command.succeeds(project.run("jobs", "adopt", "first", "--dry-run")).out
    assert "its secrets are stored in the table, where all are; setup moves them to the vault" in shown
    project.write(tables)
    command.succeeds(project.run("jobs", "adopt", "first", "--yes"))
    shown = command.succeeds(project.run("jobs", "adopt", "second", "--dry-run")).out
    assert "it sends the stored service_role_key, which is another than the one that its text shows" in shown
    assert "it comes back inactive" in shown
    command.succeeds(project.run("jobs", "adopt", "second", "--yes"))
    assert project.accepts(project.stub.requests[-1])
    lacking = "inactive, with *** in place of its secret"
    listed = command.succeeds(project.run("teardown", "--dry-run")).out
    assert f"second ({lacking}" in listed
    assert "first (with the text, schedule and name that it had)" in listed
    said = command.succeeds(project.run("rollback", "0004", "--dry-run")).err
    assert f"warning: the job second comes back {lacking}" in said
    assert "first" not in said
    command.succeeds(project.run("jobs", "release", "second", "--yes"))
    [(text, is_active)] = project.execute("select command, active from cron.job where jobname = 'second'")
    assert (is_active, OTHER_KEY in text, "***" in text) == (False, False, True)


OURS = f"'Authorization', 'Bearer ' || {FROM_VAULT.format('legacy key')}"
VAULT_ID = "(select decrypted_secret from vault.decrypted_secrets where id = '{}')"
OF_THE_PATH = "(select value from app_settings where key = '{}')"
# jobs beside each other: the name of each, its text, its table's name if another, and what the table has
BESIDE: list[tuple[str, str, str | None, dict[str, Any]]] = [
    # whose project it is, is not what comes first says
    ("a-partner", _post("'x-region', 'eu'", "'https://partner.example.com/functions/v1/x'"), None, {"auth": "none"}),
    ("auto-sync-cron-job", _post(OURS, "'{url}/functions/v1/auto-sync-cron'"), None,
     {"function": "auto-sync-cron", "drains": "auto_sync_schedules", "timeout": None}),
    ("Daily Report", _post(OURS, more=", body := '{\"v\": 1}'"), "Daily-Report-{}", {"body": {"v": 1}}),
    ("Daily-Report", _post(OURS, more=", body := '{\"v\": 2}'"), None, {"body": {"v": 2}}),
    ("report", _post(OURS), None, {"function": "report"}),
    ("report ", _post(OURS, more=", body := '{\"v\": 3}'"), "report-{}", {"body": {"v": 3}}),
    ("by-path", _post(f"'Authorization', 'Bearer ' || {OF_THE_PATH.format('key')}",
                      f"{OF_THE_PATH.format('url')} || 'functions/v1/p'"), None, {"function": "p", "auth": None}),
    ("by-id", _post(f"'Authorization', 'Bearer ' || {VAULT_ID}"), None, {"function": "report", "auth": None}),
    ("transport", _post(f"'Connection', 'keep-alive', {OURS}"), None, {"watch": True}),
    ("umlaut", _post(f"'x-source', 'täglich', {OURS}"), None, {"watch": True}),
    ("credentials", _post(OURS, more=", body := '{\"credentials\": \"include\"}'"), None, {"watch": True}),
    ("code", _post(OURS, more=", body := '{\"code\": \"nightly-batch-2025-v1\"}'"), None, {"watch": True}),
]  # fmt: skip


def test_no_job_keeps_the_others_from_the_file(project: Project) -> None:
    """Nor do two that want one name, or one whose name an adopted job has."""
    project.key = keys.legacy()
    project.execute("select vault.create_secret(%s, 'legacy key')", [project.key.reveal()])
    project.execute("create table public.app_settings (key text primary key, value text)")
    project.execute("insert into public.app_settings values ('url', %s || '/'), ('key', %s)",
                    [project.stub.url, project.key.reveal()])  # fmt: skip
    [(number,)] = project.execute("select id from vault.secrets where name = 'legacy key'")
    for name, text, *_ in BESIDE:
        project.schedule(text.replace("{}", str(number)), name)
    ids = dict(project.execute("select jobname, jobid from cron.job"))
    project.imported()
    tables = tomllib.loads(Path("autosync.toml").read_text())["jobs"]
    for name, _, table_name, wanted in BESIDE:
        found = tables.pop((table_name or name).format(ids[name]))
        assert {key: found.get(key) for key in wanted} == wanted, name
    assert not tables
    command.succeeds(project.run("jobs", "adopt", "report", "--yes"))
    project.write("")
    command.succeeds(project.run("jobs", "import", "--write"))
    assert f"report-{ids['report ']}" in tomllib.loads(Path("autosync.toml").read_text())["jobs"]


def test_a_schedule_by_name_is_adopted_in_fields_and_given_back(project: Project) -> None:
    project.schedule(SHAPES["vault"][0])
    project.execute("select cron.alter_job(jobid, schedule := '@yearly') from cron.job")
    before = project.cron()
    project.imported()
    command.succeeds(project.run("jobs", "adopt", "report", "--yes"))
    assert project.cron() == [("report", "0 0 1 1 *", "select autosync.dispatch('report')", True)]
    command.succeeds(project.run("jobs", "release", "report", "--yes"))
    assert project.cron() == before


@pytest.mark.long
def test_a_rollback_gives_the_text_back_too(project: Project) -> None:
    for shape in ("vault", "block, pasted"):
        project.schedule(SHAPES[shape][0])
        before = project.cron()
        project.imported()
        _adopt(project, shape, *SHAPES[shape])
        command.succeeds(project.run("rollback", "0004", "--yes"))
        _is_given_back(project, shape, before)
        # without the table of the secrets a text that reads one there would fail at each run
        said = command.succeeds(project.run("rollback", "base", "--yes")).err
        is_whole = project.cron() == before
        assert is_whole == (shape == "vault")
        assert is_whole or (project.cron()[0][3] is False and "put its secret back" in said)
        assert is_whole != ("their secrets were deleted with public.pg_cron_secrets" in said)
        _unschedule(project)
        project.stub.requests.clear()


@pytest.mark.parametrize("arguments", [("plan", "--prune"), ("jobs", "remove", "report")])
def test_what_was_taken_over_is_given_back_where_a_job_of_ours_is_removed(
    project: Project, arguments: tuple[str, ...]
) -> None:
    project.schedule(SHAPES["vault"][0])
    before = project.cron()
    project.imported()
    command.succeeds(project.run("jobs", "adopt", "report", "--yes"))
    project.write('[jobs.mine]\nsql = "select 9"\nschedule = "0 4 * * *"\n')
    assert "--yes" in project.run(*arguments).err
    said = command.succeeds(project.run(*arguments, "--yes")).err
    assert "the cron job report runs its own text again" in said
    assert project.cron() == before


@pytest.mark.parametrize("place", ["table", "vault"])
def test_a_secret_that_a_job_reads_that_was_given_back_is_not_lost_in_silence(project: Project, place: str) -> None:
    project.schedule(SHAPES["JSON without a cast"][0])
    before = project.cron()
    project.imported()
    command.succeeds(project.run("jobs", "adopt", "report", "--yes"))
    [(secret,)] = project.execute("select name from public.pg_cron_secrets where secret = %s", [project.key.reveal()])
    if place == "vault":
        project.execute("insert into autosync.setting (name, value) values ('secrets', '{\"store\": \"vault\"}')")
        project.execute("select autosync.put_secret(s.name, s.secret) from public.pg_cron_secrets as s")
        project.execute("delete from public.pg_cron_secrets")
    command.succeeds(project.run("jobs", "release", "report", "--yes"))
    said = project.run("secrets", "delete", secret)
    assert "these cron jobs read " in said.err
    assert "and fail without it: report" in said.err
    assert "--yes" in said.err
    # it stays where the text reads it, and nothing else does
    command.succeeds(project.run("teardown", "--yes"))
    _is_given_back(project, "after a teardown", before)
    assert project.execute("select to_regclass('public.pg_cron_secrets') is not null") == [(place == "table",)]


def test_what_an_earlier_version_kept_comes_back_inactive_where_it_cannot_run(project: Project) -> None:
    project.schedule(SHAPES["JSON without a cast"][0])
    project.imported()
    command.succeeds(project.run("jobs", "adopt", "report", "--yes"))
    project.execute("update autosync.adopted set undo = replace(replace(undo, 'cast(', ''), ' as jsonb)', '')")
    said = command.succeeds(project.run("jobs", "release", "report", "--yes")).err
    assert "is back, and inactive: its text would not run (function net.http_post" in said
    assert [is_active for *_, is_active in project.cron()] == [False]


def test_what_the_database_would_refuse_is_said_before_any_call(project: Project) -> None:
    project.schedule(SHAPES["vault"][0])
    project.imported()
    own = project.cron()
    project.admin("create role app login; grant usage on schema cron to app")
    project.admin("set role app; select cron.schedule('report', '0 0 1 1 *', 'select 1')")
    refused = project.run("jobs", "adopt", "report", "--yes")
    said = command.refused(refused, 5)
    [(number,)] = project.execute("select jobid from cron.job where username = 'postgres'")
    assert "the role 'app' has a cron job 'report', too" in said
    assert f"--from {number}" in refused.hints[0]
    settings = Path("autosync.toml")
    settings.write_text(settings.read_text().replace("[jobs.report]", "[jobs.mine]"))
    project.admin("update pg_catalog.pg_extension set extversion = '1.4-1' where extname = 'pg_cron'")
    in_fields = settings.read_text()
    settings.write_text(in_fields.replace(f'"{RARELY}"', '"30 seconds"'))
    command.refused(project.run("jobs", "adopt", "mine", "--from", str(number), "--yes"), 2)
    assert own[0] in project.cron()
    assert project.stub.requests == []
    settings.write_text(in_fields)
    command.succeeds(project.run("jobs", "adopt", "mine", "--from", str(number), "--yes"))


def test_what_is_not_proven_stays_as_it_was(project: Project) -> None:
    command.succeeds(project.run("migrate"))
    project.schedule(SHAPES["pasted key, body"][0])
    project.imported()
    before = project.cron()
    dumped = "select (select count(*) from autosync.job), (select count(*) from autosync.adopted),"
    dumped += " (select count(*) from public.pg_cron_secrets), (select count(*) from autosync.tick)"
    counted = project.execute(dumped)
    project.stub.judge = lambda request: 401
    refused = project.run("jobs", "adopt", "report", "--yes")
    said = command.refused(refused, 5)
    assert "401" in said
    assert "everything is as it was" in said
    assert (project.cron(), project.execute(dumped)) == (before, counted)


def test_a_job_that_reports_later_is_proven_by_its_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer comes at once, and the report long after its timeout."""
    project.schedule(SHAPES["pasted key, body"][0])
    project.imported()
    settings = Path("autosync.toml").read_text()
    project.write(settings.replace('timeout = "5s"', 'timeout = "1s"\nreports_within = "10m"'))
    project.stub.judge = lambda request: 202 if project.accepts(request) else 401
    monkeypatch.setattr(calls, "GRACE", timedelta())

    def report() -> None:
        late = (
            "select 1 from autosync.invocation"
            " where outcome = 'accepted' and queued_at + interval '1500 milliseconds' < clock_timestamp()"
        )
        clusters.wait_for(lambda: project.stub.requests and project.execute(late), "the end of its timeout")
        key = project.stub.requests[0].headers["idempotency-key"]
        project.execute("select public.auto_sync_report(%s, 'success')", [key])

    with ThreadPoolExecutor() as pool:
        reported = pool.submit(report)
        adopted = project.run("jobs", "adopt", "report", "--yes")
        reported.result()
    command.succeeds(adopted)
    assert project.cron() == [("report", RARELY, "select autosync.dispatch('report')", True)]


@pytest.mark.long
def test_several_jobs_of_one_function_and_one_without_a_name(project: Project) -> None:
    project.schedule(_post("'apikey', '{key}'", more=", body := '{\"day\": 1}'"), "first")
    project.schedule(_post("'apikey', '{key}'", more=", body := '{\"day\": 2}'"), "second")
    text = _post("'apikey', '{key}'", "'{url}/functions/v1/unnamed'")
    text = text.replace("{url}", project.stub.url).replace("{key}", project.key.reveal())
    [(cron_id,)] = project.execute("select cron.schedule(%s, %s)", [RARELY, text])
    project.imported()
    for name in ("first", "second"):
        command.succeeds(project.run("jobs", "adopt", name, "--yes"))
    command.succeeds(project.run("jobs", "adopt", "unnamed", "--from", str(cron_id), "--yes"))
    assert [row[0] for row in project.cron()] == ["first", "second", "unnamed"]
    assert [json.loads(request.body).get("day") for request in project.stub.requests] == [1, 2, None]
    command.succeeds(project.run("jobs", "release", "unnamed", "--yes"))
    assert [row[0] for row in project.cron()] == ["first", "second", None]


@pytest.mark.long
def test_plain_sql_and_what_cannot_be_adopted(project: Project) -> None:
    project.execute(HELPER)
    project.schedule("select 1 as cleanup", "cleanup")
    project.schedule("select public.helper()", "helper")
    before = project.cron()
    project.imported()
    command.succeeds(project.run("jobs", "adopt", "cleanup", "--yes"))
    assert project.cron() == before
    assert project.execute("select sql from autosync.job where name = 'cleanup'") == [("select 1 as cleanup",)]
    assert "only watched" in command.refused(project.run("jobs", "adopt", "helper", "--yes"), 2)
    command.refused(project.run("jobs", "adopt", "nobody", "--yes"), 2)
    project.schedule("select 2", "later")
    assert "no [jobs.later]" in command.refused(project.run("jobs", "adopt", "later", "--yes"), 2)
    command.succeeds(project.run("jobs", "release", "cleanup", "--yes"))
    assert [row for row in project.cron() if row[0] != "later"] == before


def test_a_helpers_job_is_adopted_by_a_table_with_the_secrets_of_the_function_or_given_ones(project: Project) -> None:
    table = '[jobs.report]\nfunction = "report"\nschedule = "59 23 31 12 *"\nbody = { full = true }\n'
    Path("key").write_text(project.key.reveal())
    reads = f"jsonb_build_object('apikey', {FROM_VAULT.format('edge key')})"
    address = FROM_VAULT.format("project_url") + " || '/functions/v1/' || fn"
    for body in (
        f"return net.http_post(url := {address}, headers := {reads}, body := body);",
        f"perform 1; if fn = 'report' then return net.http_post(url := {address}, headers := {reads}); end if;",
    ):
        project.execute(
            "create or replace function public.call(fn text, body jsonb) returns bigint language plpgsql as"
            f" $$ begin {body} end $$"
        )
        project.schedule("select public.call('report', '{\"full\": true}')")
        before = project.cron()
        project.write(table)
        done = project.run("jobs", "adopt", "report", "--yes")
        if "if" in body:  # what it reads is not known
            command.refused(done, 5)
            hint = "pass it: autosync-db jobs adopt report --project-url URL --service-role-key-file PATH"
            assert done.hints == [hint]
            given = ("--project-url", project.stub.url, "--service-role-key-file", "key")
            done = project.run("jobs", "adopt", "report", *given, "--yes")
        assert "next: autosync-db verify" in command.succeeds(done).err
        assert json.loads(project.stub.requests[-1].body) == {"full": True}
        assert project.accepts(project.stub.requests[-1])
        command.succeeds(project.run("jobs", "release", "report", "--yes"))
        assert project.cron() == before
        _unschedule(project)
        project.execute("delete from public.pg_cron_secrets")
    project.write('[jobs.report]\nsql = "select 1"\nschedule = "59 23 31 12 *"\n')
    project.schedule("select 1")
    refused = project.run("jobs", "adopt", "report", "--service-role-key-file", "key", "--yes")
    assert "have no use for the service key" in command.refused(refused, 2)
    # setup does not store it either, and says so
    command.succeeds(project.run("jobs", "adopt", "report", "--yes"))
    done = project.run("setup", "--service-role-key-file", "key")
    assert "the given service key is not stored: no job of the settings sends it" in done.err


HELPERS = {
    "guarded": (
        "declare k text; begin select decrypted_secret into k from vault.decrypted_secrets where name = 'edge key';"
        " if k is null then raise log 'no key'; return; end if; perform net.http_post('{url}/functions/v1/' || fn,"
        " headers := jsonb_build_object('apikey', k), body := body, timeout_milliseconds := 9000); end"
    ),
    "pasted": (
        "declare _key text := 'KfkI8gHgXJpM4fFlcX7SuqDFl6jj'; begin perform net.http_post('{url}/functions/v1/' || fn,"
        " body, headers := jsonb_build_object('x-internal-key', _key)); end"
    ),
    "through another": "begin perform public.guarded(fn, body); end",
}


def test_the_table_that_an_import_suggests_for_a_helpers_job_makes_the_same_call(project: Project) -> None:
    project.stub.judge = lambda request: 200
    for name, body in HELPERS.items():
        made = body.replace("{url}", project.stub.url)
        project.execute(
            f'create function public."{name}"(fn text, body jsonb) returns void language plpgsql as $$ {made} $$'
        )
        text = f"select public.\"{name}\"('report', '{{\"full\": true}}')"
        project.schedule(text)
        before = project.cron()
        project.execute(text)
        clusters.wait_for(lambda: project.stub.requests, f"the call of {name}")
        [own] = project.stub.requests
        shown = command.succeeds(project.run("jobs", "import")).out
        assert tomllib.loads(shown)["jobs"] == {"report": {"watch": True}}, name
        suggested = [line[4:] for line in shown.splitlines() if " = " in line and line.startswith("#   ")]
        project.write("\n".join(["[jobs.report]", *suggested]))
        command.succeeds(project.run("jobs", "adopt", "report", "--yes"))
        made_here = project.stub.requests[-1]
        assert (made_here.path, made_here.method, made_here.body) == (own.path, own.method, own.body), name
        assert {key: made_here.headers.get(key) for key in ("apikey", "x-internal-key")} == {
            key: own.headers.get(key) for key in ("apikey", "x-internal-key")
        }, name
        command.succeeds(project.run("jobs", "release", "report", "--yes"))
        assert project.cron() == before, name
        _unschedule(project)
        project.stub.requests.clear()


def test_a_job_that_writes_a_row_as_well_is_watched_and_adopted_by_a_table_of_ones_own(project: Project) -> None:
    project.execute("create table public.made (at timestamptz default now())")
    block = "do $$ declare v timestamptz; begin insert into public.made default values returning at into v; {} end $$"
    project.schedule(block.format(SHAPES["vault"][0].replace("select net", "perform net").replace(" as id", "")))
    project.imported()
    assert tomllib.loads(Path("autosync.toml").read_text())["jobs"] == {"report": {"watch": True}}
    assert command.run("jobs", "adopt", "report", "--yes", database=project.cluster.url()).code == 2
    project.write(f'[jobs.report]\nfunction = "report"\nschedule = "{RARELY}"\n')
    before = project.cron()
    said = "of its text only the call is made from then on: it does more than make its call"
    assert said in project.run("jobs", "adopt", "report", "--dry-run").out
    _adopt(project, "a row as well", before[0][2], SHAPES["vault"][1])
    command.succeeds(project.run("jobs", "release", "report", "--yes"))
    assert project.cron() == before


def test_a_working_chain_of_the_guide_is_never_turned_off(project: Project) -> None:
    setup = ("setup", "--project-url", project.stub.url)
    for shape, arguments in (
        ("vault", ("migrate",)),
        ("vault", setup),
        ("pasted key, body", ("migrate",)),
        ("pasted key, body", setup),
        ("setting, own header", ("migrate",)),
    ):
        project.schedule(SHAPES[shape][0], "auto-sync-cron-job")
        before = project.cron()
        shown = command.succeeds(project.run("migrate", "--dry-run"))
        assert "a real call proves it" in shown.out
        assert project.key.reveal() not in shown.out
        done = project.run(*arguments)
        assert done.code in ({0} if arguments != setup else {0, 3}), done.err
        assert project.cron()[0][2] == "select autosync.dispatch()", shape
        assert project.stub.requests
        project.stub.requests.clear()
        project.execute("select autosync.dispatch()")
        clusters.wait_for(lambda: project.stub.requests, "the call of a tick")
        assert project.accepts(project.stub.requests[0]), shape
        command.succeeds(project.run("rollback", "0004", "--yes"))
        _is_given_back(project, shape, before)
        _unschedule(project)
        command.succeeds(project.run("rollback", "base", "--yes"))
        project.stub.requests.clear()


def test_the_guides_job_is_taken_over_once_by_the_migration_that_an_adoption_begins_with(project: Project) -> None:
    project.schedule(SHAPES["vault"][0], "auto-sync-cron-job")
    before = project.cron()
    project.write('[jobs.auto-sync-cron-job]\nfunction = "report"\nschedule = "59 23 31 12 *"\n')
    done = command.succeeds(project.run("jobs", "adopt", "auto-sync-cron-job", "--yes"))
    assert "auto-sync-cron-job is taken over already" in done.err
    assert len(project.stub.requests) == 1
    assert project.cron() == [("auto-sync-cron-job", RARELY, "select autosync.dispatch()", True)]
    command.succeeds(project.run("jobs", "release", "auto-sync-cron-job", "--yes"))
    assert project.cron() == before


@pytest.mark.long
def test_else_it_stays_as_it_was_and_the_error_says_what_is_missing(project: Project) -> None:
    project.execute(HELPER)
    for text, reason in (
        ("select public.helper()", "through the function public.helper"),
        (_post(f"'apikey', {FROM_VAULT.format('nothing')}"), "is not there"),
        (_post(f"'apikey', '{OTHER_KEY}'"), "401"),
    ):
        project.schedule(text, "auto-sync-cron-job")
        before = project.cron()
        if reason != "401":
            shown = project.run("migrate", "--dry-run")
            assert shown.code == 5
            assert reason in shown.errors[0]
        for arguments in (("migrate", "-q"), ("setup", "-q", "--project-url", project.stub.url)):
            assert reason in command.refused(project.run(*arguments), 5)
            assert project.cron() == before
            there = project.execute("select to_regclass('autosync.job'), to_regclass('public.pg_cron_secrets')")
            assert there == [(None, None)]
        _unschedule(project)


def test_setup_with_a_key_takes_a_chain_over_that_did_not_work(project: Project, tmp_path: Path) -> None:
    project.schedule(_post(f"'apikey', '{OTHER_KEY}'"), "auto-sync-cron-job")
    file = tmp_path / "key"
    file.write_text(project.key.reveal())
    done = project.run("setup", "--project-url", project.stub.url, "--service-role-key-file", str(file))
    assert done.code in {0, 3}, done.err
    assert project.cron()[0][2] == "select autosync.dispatch()"
    assert project.accepts(project.stub.requests[-1])


def test_a_secret_that_somebody_stored_before_the_user_agreed_is_not_overwritten(project: Project) -> None:
    """Between the look and the consent, `setup` stores a key and a rotation may replace it."""
    project.schedule(SHAPES["pasted key, body"][0])
    project.imported()
    configuration = config.load(config.Flags(database_url=project.cluster.url()))
    with clusters.connect(project.cluster) as owner:
        adoption = adopting.foresee(owner, configuration, "report")
        assert adoption is not None
        assert store.SERVICE_KEY in adoption.takes
        takeover.prepare(configuration, SILENT)
        before, newer = project.cron(), keys.secret()
        store.store(owner, {store.SERVICE_KEY: newer})
        with pytest.raises(ConflictError, match='"service_role_key" was changed while this command was at work'):
            adopting.adopt(configuration, adoption, SILENT)
        assert store.look(owner, [store.SERVICE_KEY]) == {store.SERVICE_KEY: key.fingerprint(newer)}
    assert project.cron() == before
    assert project.stub.requests == []


def test_two_at_once_keep_one_way_back(project: Project) -> None:
    project.schedule(SHAPES["vault"][0])
    project.imported()
    command.succeeds(project.run("jobs", "adopt", "report", "--yes"))
    command.succeeds(project.run("jobs", "release", "report", "--yes"))
    insert = (
        "insert into autosync.adopted (revision, step, object, undo)"
        " values ('0005', 120, 'cron job report', 'select ''of the other one''')"
    )
    waiting = (
        "select pid from pg_stat_activity where wait_event_type = 'Lock' and query like 'lock table autosync.adopted%'"
    )
    with ThreadPoolExecutor() as pool, clusters.connection(project.cluster) as other:
        with other.transaction():
            other.execute(insert)
            # as a process: threads share their streams
            adopting_too = partial(command.run_process, database=project.cluster.url(), folder=Path.cwd())
            adopted = pool.submit(adopting_too, "jobs", "adopt", "report", "--yes")
            clusters.wait_for(lambda: project.execute(waiting), "the adoption to wait for the other one")
        command.succeeds(adopted.result())
    [(undo,)] = project.execute("select undo from autosync.adopted where object = 'cron job report'")
    assert "of the other one" not in undo
