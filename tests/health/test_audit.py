"""`audit`: the cron jobs of projects that the toolkit has never seen, with real calls; only their times are moved."""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest

from autosync_db.health.audit import matching
from autosync_db.health.audit.look import Answered
from autosync_db.jobs import found
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.schema import catalog
from tests.support import clusters, command, keys
from tests.support.command import Result
from tests.support.health import NEVER
from tests.support.http_stub import Stub

VAULT = (Path(__file__).parents[1] / "support" / "vault.sql").read_text()
SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "schemas" / "audit.schema.json"
TOKEN = "t0ken-of-nobody-in-particular"
PLACEHOLDER = "_".join(["sb", "secret", "YOUR_KEY_HERE_123"])
DAILY, HOURLY = "0 6 * * *", "0 * * * *"
# twice in the last hour, and not while the test runs: pg_cron may read its table again at any time
PASSED = "passed"
HELPER = """
create function public.invoke(name text) returns bigint language sql as
$$ select net.http_post(url := '{url}/functions/v1/' || name, timeout_milliseconds := 30000) $$;
create function public.kept(name text) returns bigint language sql
begin atomic select net.http_post(url := '{url}/functions/v1/' || name, timeout_milliseconds := 30000); end;
create function public."Call It"(name text) returns bigint language sql as
$$ SELECT "net"."http_post"(url := '{url}/functions/v1/' || name, timeout_milliseconds := 30000) $$;
create function public.around(name text default 'around') returns void language plpgsql as
$$ BEGIN PERFORM "Call It"(name); END $$;
create function public.says() returns text language sql as
$$ select 'use net.http_post() instead'::text /* was: net.http_post(url := 'x') */ $$
"""
PAGE = "<!doctype html><title>App</title>"


@dataclass(frozen=True)
class Job:
    """A cron job, what its calls are answered, and what an audit must say of it: its status and its findings."""

    text: str
    status: str = "ok"
    findings: frozenset[str] = frozenset()
    answer: tuple[int, Any] = (200, {"ok": True})
    kind: str = "call"
    calls: tuple[str, ...] | None = None
    schedule: str = HOURLY
    active: bool = True
    runs: int = 2


def post(path: str, more: str = "", headers: str = "", timeout: str = ", timeout_milliseconds := 30000") -> str:
    shown = f", headers := jsonb_build_object({headers})" if headers else ""
    return f"select net.http_post(url := '{{url}}/functions/v1/{path}'{shown}{more}{timeout})"


BEARER = "'Authorization', 'Bearer ' || (select decrypted_secret from vault.decrypted_secrets where name = 'key')"
UNPROVEN = frozenset({"answers_unproven"})
FAILING = frozenset({"answers_failing"})

TWO = {
    "sync": Job(post("sync", headers=BEARER)),
    "report": Job(
        post("report", headers=BEARER), "failing", FAILING, (401, {"message": "Invalid JWT"}), schedule=DAILY
    ),
}
EIGHT = {
    "sync": Job(post("sync", headers=BEARER)),
    "empty": Job(post("empty"), findings=UNPROVEN, answer=(204, "")),
    "failed in its body": Job(post("imports"), "failing", FAILING, (200, {"succeeded": 0, "failed": 3})),
    "page": Job(post("page"), "failing", FAILING, (200, PAGE)),
    "sql": Job("delete from public.old where at < now()", kind="sql"),
    "sql, fails": Job("select 1/0", "failing", frozenset({"runs_failing"}), kind="sql"),
    "pasted": Job(post("pasted", headers="'apikey', '{key}'"), findings=frozenset({"secret_in_text"})),
    "off": Job(post("off"), "unknown", frozenset({"inactive"}), active=False, runs=0),
}
MANY = {
    **{
        f"sync-{number}": Job(post(f"sync-{number}", headers=BEARER), schedule=f"{number} * * * *")
        for number in range(8)
    },
    "query": Job(post("query?day=1"), calls=("query",)),
    "body": Job(post("body", ", body := '{\"day\": 1}'")),
    "same function, other body": Job(post("body", ", body := '{\"day\": 2}'")),
    "same call, other time": Job(post("sync-1", headers=BEARER), schedule=DAILY, calls=("sync-1",)),
    "get": Job("select net.http_get(url := '{url}/functions/v1/get', timeout_milliseconds := 30000)"),
    "own header": Job(post("own", headers="'x-region', 'eu-central-1-of-the-world'")),
    "placeholder": Job(post("placeholder", headers=f"'apikey', '{PLACEHOLDER}'")),
    "block": Job(f"do $b$ begin perform {post('block').removeprefix('select ')}; end $b$"),
    "helper": Job("select public.invoke('helped')", kind="helper", calls=("helped",)),
    "no errors": Job(post("no-errors"), findings=UNPROVEN, answer=(200, {"errors": [], "error": None})),
    "text": Job(post("text"), findings=UNPROVEN, answer=(202, "no errors")),
    "words in data": Job(post("data"), findings=UNPROVEN, answer=(200, {"items": [{"status": "failed"}]})),
    "unstated timeout": Job(post("unstated", timeout=""), findings=frozenset({"timeout_unstated"})),
    "vacuum": Job("analyze public.old", kind="sql"),
    "refresh": Job("insert into public.old values (now())", kind="sql"),
    "elsewhere": Job(
        "select net.http_post(url := '{url}/hooks/daily?team=4', timeout_milliseconds := 30000)",
        calls=("127.0.0.1/hooks/daily",),
    ),
}
FAULTS = {
    "sync": Job(post("sync", headers=BEARER)),
    "opaque": Job(post("opaque", headers="'x-api-key', '{token}'"), findings=frozenset({"secret_in_text"})),
    "in the query": Job(post("query?key={token}"), findings=frozenset({"secret_in_text"}), calls=("query",)),
    "null header": Job(
        post("null", headers="'Authorization', 'Bearer ' || current_setting('app.nowhere', true)"),
        "failing", FAILING | {"credential_missing"}, (401, {"message": "no key"}),
    ),
    "rolled back": Job(
        f"begin; {post('undone')}; rollback", "failing", frozenset({"call_undone"}), calls=("undone",),
        schedule="0 0 29 2 *", runs=0,
    ),
    "key as third argument": Job(
        "select net.http_post('{url}/functions/v1/misplaced', '{}'::jsonb, jsonb_build_object('apikey',"
        " (select decrypted_secret from vault.decrypted_secrets where name = 'key')), timeout_milliseconds := 30000)",
        findings=frozenset({"credential_misplaced"}),
    ),
    "null address": Job("select net.http_post(url := null)", "failing", frozenset({"runs_failing"})),
    "no such function": Job("select extensions.http_get('x')", "failing", frozenset({"runs_failing"})),
    "gateway": Job(post("gateway"), "failing", FAILING, (503, "no healthy upstream")),
    "twin one": Job(post("twin", headers=BEARER), schedule="5 * * * *"),
    "twin two": Job(post("twin", headers=BEARER), findings=frozenset({"twin"}), schedule="5 * * * *"),
    "twin, through a function": Job(
        "select public.invoke('twin')", "ok", frozenset({"twin"}), kind="helper", calls=("twin",), schedule="5 * * * *"
    ),
    "twin, kept parsed": Job(
        "select public.kept('twin')", "ok", frozenset({"twin"}), kind="helper", calls=("twin",), schedule="5 * * * *"
    ),
    "around": Job("SELECT PUBLIC.AROUND()", kind="helper", calls=("around",)),
    "only says so": Job("select public.says()", kind="sql"),
    "web hook": Job(
        "select net.http_get('https://hooks.slack.com/services/T0A/B0C/{token}', timeout_milliseconds := 30000)",
        "unknown", frozenset({"no_run_seen", "secret_in_text"}), schedule="0 0 29 2 *", runs=0,
    ),
    "not understood": Job("select (", "failing", frozenset({"runs_failing"}), kind="unknown"),
    "never": Job(post("never"), "unknown", frozenset({"never_ran"}), schedule=PASSED, runs=0),
    "new": Job(post("new"), "unknown", frozenset({"no_run_seen"}), schedule="0 0 29 2 *", runs=0),
}  # fmt: skip


@dataclass
class Project:
    """A database with pg_cron and pg_net and nothing of ours."""

    cluster: Cluster
    stub: Stub
    key: str = field(default_factory=lambda: keys.secret().reveal())

    def execute(self, query: str, role: str = "postgres") -> list[tuple[Any, ...]]:
        with clusters.connect(self.cluster, role) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def text(self, text: str) -> str:
        return text.replace("{url}", self.stub.url).replace("{key}", self.key).replace("{token}", TOKEN)

    def has(self, jobs: dict[str, Job]) -> None:
        """Schedule the jobs and let each run so often: its text is run, and its real answer waited for."""
        with clusters.connect(self.cluster, "supabase_admin") as admin:
            admin.execute("create table if not exists public.old (at timestamptz)")
            admin.execute("grant all on public.old to postgres")
            for name, job in jobs.items():
                self.execute(f"select cron.schedule({_quoted(name)}, '{NEVER}', {_quoted(self.text(job.text))})")
            # past its trigger, so that pg_cron itself runs none of them meanwhile
            admin.execute("set session_replication_role = replica")
            for name, job in jobs.items():
                schedule = _passed() if job.schedule == PASSED else job.schedule
                admin.execute(
                    "update cron.job set schedule = %s, active = %s where jobname = %s", [schedule, job.active, name]
                )
            admin.execute("reset session_replication_role")
            moment = datetime.now().astimezone() - timedelta(minutes=59)
            for number in range(2):
                for name, job in jobs.items():
                    if number < job.runs:
                        moment += timedelta(seconds=30)
                        self._run(admin, name, job, moment)

    def _run(self, admin: psycopg.Connection[Any], name: str, job: Job, moment: datetime) -> None:
        self.stub.answer(*job.answer)
        self.stub.headers = {"content-type": "text/html"} if job.answer[1] == PAGE else {}
        newest = "select coalesce(max(id), 0) from net._http_response"
        [before] = admin.execute(newest).fetchone() or (0,)
        status, message = "succeeded", "1 row"
        try:
            self.execute(self.text(job.text))
        except psycopg.Error as error:
            status, message = "failed", f"ERROR:  {error.diag.message_primary}\n"
        admin.execute(
            "insert into cron.job_run_details"
            " (jobid, database, username, command, status, return_message, start_time, end_time)"
            " select jobid, database, username, command, %s, %s, %s, %s from cron.job where jobname = %s",
            [status, message, moment, moment, name],
        )
        if status == "succeeded" and job.kind in {"call", "helper"}:
            clusters.wait_for(
                lambda: admin.execute(newest).fetchone() != (before,),
                f"the answer of {name}",
            )
            admin.execute("update net._http_response set created = %s where id > %s", [moment, before])

    def audit(self, *arguments: str, password: str | None = None) -> Result:
        """Audit as postgres, or as the role `plain` with its password."""
        url = self.cluster.url()
        if password:
            url = Secret(f"postgresql://plain:{password}@127.0.0.1:{self.cluster.port}/postgres")
        return command.run("audit", *arguments, database=url)

    def found(self) -> dict[str, Any]:
        """Return an audit as JSON, and see that it shows no secret."""
        result = self.audit("--format", "json")
        assert self.key not in result.out + result.err
        assert TOKEN not in result.out + result.err
        shown: dict[str, Any] = result.json()
        assert result.code == (3 if shown["status"] == "critical" else 0)
        return shown


def _passed() -> str:
    first, second = ((datetime.now(UTC) - timedelta(minutes=minutes)).minute for minutes in (40, 20))
    return f"{first},{second} * * * *"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.fixture
def project(blank: Cluster, stub: Stub) -> Iterator[Project]:
    with clusters.pg_net_worker(blank):
        made = Project(blank, stub)
        made.execute(VAULT, "supabase_admin")
        made.execute("create extension if not exists pg_cron")
        made.execute("create extension if not exists pg_net with schema extensions")
        made.execute(HELPER.replace("{url}", stub.url))
        made.execute(f"select vault.create_secret('{made.key}', 'key')")
        yield made


@pytest.mark.parametrize(
    "jobs",
    [TWO, EIGHT, pytest.param(MANY, marks=pytest.mark.long), FAULTS],
    ids=["two", "eight", "twenty-four", "faults"],
)
def test_every_job_is_taken_for_what_it_is(jobs: dict[str, Job], project: Project) -> None:
    project.has(jobs)
    shown = project.found()
    by_name = {job["name"]: job for job in shown["jobs"]}
    assert by_name.keys() == jobs.keys()
    for name, job in jobs.items():
        one = by_name[name]
        ids = {found["id"] for found in one["findings"]}
        assert (name, one["status"], ids) == (name, job.status, set(job.findings)), one
        assert one["kind"] == job.kind, one
        if job.calls is not None:
            assert tuple(one["calls"]) == job.calls
    assert shown["findings"] == []
    is_failing = any(job.status == "failing" for job in jobs.values())
    assert (shown["status"] == "critical") == is_failing
    jsonschema.validate(shown, json.loads(SCHEMA.read_text()))
    [scanned] = project.audit("--format", "sarif").json()["runs"]
    alarming = [one for job in shown["jobs"] for one in job["findings"] if one["severity"] != "info"]
    assert sorted(one["ruleId"] for one in scanned["results"]) == sorted(f"audit/{one['id']}" for one in alarming)
    assert all(one["locations"][0]["logicalLocations"] for one in scanned["results"])


def test_it_reads_in_one_transaction_and_leaves_nothing(project: Project) -> None:
    project.has(TWO)
    before = catalog.snapshot(project.cluster)
    project.execute("alter system set log_statement = 'all'", "supabase_admin")
    project.execute("select pg_reload_conf()", "supabase_admin")
    clusters.wait_for(lambda: project.execute("show log_statement") == [("all",)], "the setting")
    log = project.cluster.log
    written = log.stat().st_size
    shown = project.audit()
    assert shown.code == 3
    statements = re.findall(r"(?:statement|execute \S+): (.*)", log.read_bytes()[written:].decode())
    ours = [statement for statement in statements if "log_statement" not in statement]
    assert re.match("(set local [^;]+; *)*begin transaction read only;", ours[0])
    assert ours[-1] == "rollback"
    assert not [one for one in ours[1:] if re.match("(begin|commit|start)", one)]
    assert project.key not in "".join(ours)
    assert catalog.snapshot(project.cluster) == before


def test_what_a_role_cannot_see_is_said(project: Project) -> None:
    project.has(TWO)
    password = secrets.token_hex(8)
    project.execute(f"create role plain login password '{password}'", "supabase_admin")
    nothing = project.audit("--format", "json", password=password).json()
    assert nothing["status"] == "unknown"
    assert "plain may not read it" in nothing["findings"][0]["detail"]
    # everybody may read the answers: that no run is seen takes none of them away
    assert "net._http_response" not in str(nothing["findings"])
    project.execute("grant usage on schema cron to plain", "supabase_admin")
    project.execute("grant select on cron.job, cron.job_run_details to plain", "supabase_admin")
    project.execute("revoke all on schema net from public", "supabase_admin")
    shown = project.audit("--format", "json", password=password).json()
    said = " ".join(one["detail"] for one in shown["findings"])
    assert shown["status"] == "unknown"
    assert "jobs of other roles are hidden from plain" in said
    assert "net._http_response" in said
    text = project.audit(password=password)
    assert text.code == 0
    assert "could not look at" in text.out
    assert project.audit("--strict", password=password).code == 3


# what a role may do that has been granted a schema of its own; its function says in the server's log who runs it
INTRUDER = """
create role intruder;
create schema {schema} authorization intruder;
create function {schema}.spring() returns text language plpgsql as
$$ begin raise warning 'sprung by %', current_user; return 'x'; end $$;
create view {schema}.{name} as select {columns};
alter function {schema}.spring() owner to intruder;
alter view {schema}.{name} owner to intruder;
grant usage on schema {schema} to public;
grant select on {schema}.{name} to public
"""


def _intrude(cluster: Cluster, schema: str, name: str, columns: str) -> None:
    with clusters.connect(cluster, "supabase_admin") as admin:
        admin.execute(INTRUDER.format(schema=schema, name=name, columns=columns).encode())


def _is_sprung(cluster: Cluster) -> bool:
    return "sprung by postgres" in cluster.log.read_text(errors="replace")


def test_a_view_that_the_text_of_a_job_names_is_not_read(project: Project) -> None:
    _intrude(project.cluster, "theirs", "keys", "'k'::text as name, theirs.spring() as secret")
    text = post("x", headers="'Authorization', 'Bearer ' || (select secret from theirs.keys where name = 'k')")
    project.execute(f"select cron.schedule('theirs', '{NEVER}', {_quoted(project.text(text))})")
    [job] = project.found()["jobs"]
    assert not [one for one in job["findings"] if one["id"] == "header_missing"]
    command.succeeds(command.run("jobs", "import", database=project.cluster.url()))
    assert not _is_sprung(project.cluster)
    # a table of the owner is
    project.execute("create table public.keys (name text, secret text)")
    mine = text.replace("theirs.keys", "public.keys")
    project.execute(f"select cron.schedule('mine', '{NEVER}', {_quoted(project.text(mine))})")
    findings = {job["name"]: [one["detail"] for one in job["findings"]] for job in project.found()["jobs"]}
    assert [one for one in findings["mine"] if "which is not there" in one], findings


def test_a_view_that_passes_for_a_table_of_pg_cron_is_not_read(blank: Cluster) -> None:
    columns = (
        "1::bigint as jobid, 'x'::text as jobname, 'x'::text as schedule, cron.spring() as command, true as active,"
        " 'x'::text as username, 'x'::text as database"
    )
    _intrude(blank, "cron", "job", columns)
    result = command.run("audit", database=blank.url())
    assert result.code == 0
    assert "no_pg_cron" in result.out
    assert not _is_sprung(blank)


def test_what_others_made_in_numbers_hides_no_key_of_the_owners(project: Project) -> None:
    project.execute(
        f"create function public.z() returns text language sql as $$ select '{project.key}' $$; create role many;"
        " grant create on schema public to many; set role many; do $do$ begin for n in 1..520 loop"
        " execute format('create function public.a%s() returns text language sql as $$ select ''token ://'' $$', n);"
        " end loop; end $do$",
        "supabase_admin",
    )
    # who made it, is the role that looks
    project.execute("alter function public.z() owner to postgres", "supabase_admin")
    project.execute(f"select cron.schedule('one', '{NEVER}', 'select 1')")
    details = {one["id"]: one["detail"] for one in project.found()["findings"]}
    assert "function public.z() holds a secret key" in details["secret_in_function"]
    assert "not every function and trigger was looked at for keys, but 500" in details["unseen"]


def test_an_answer_of_no_possible_time_hides_no_other(project: Project) -> None:
    project.has({"report": TWO["report"]})
    project.execute(
        "create role nobody; set role nobody; insert into net._http_response (id, status_code, created)"
        " select -n, 200, t.at from generate_series(1, 600) as n, (values ('infinity'::timestamptz), ('-infinity'),"
        " ('12000-01-01'), ('4000-01-01 BC')) as t (at)",
        "supabase_admin",
    )
    shown = project.found()
    assert [found["id"] for found in shown["jobs"][0]["findings"]] == ["answers_failing"]
    assert shown["findings"] == []


def test_an_answer_that_is_no_utf8_is_judged_and_hides_no_other(project: Project) -> None:
    project.has({"report": TWO["report"]})
    project.execute("create cast (bytea as text) without function", "supabase_admin")
    project.execute(
        "insert into net._http_response (id, status_code, content, headers, created) select 1000000, 200,"
        ' cast(cast(\'{"ok":false,"error":"F\\374ller \\\\\\\\ fehlt"}\' as bytea) as text), \'{}\', now()',
        "supabase_admin",
    )
    project.execute("drop cast (bytea as text)", "supabase_admin")
    shown = project.found()
    assert [found["id"] for found in shown["jobs"][0]["findings"]] == ["answers_failing"]
    assert "Füller" in str(shown["findings"])
    assert "unseen" not in {found["id"] for found in shown["findings"]}


def test_a_database_without_pg_cron_has_no_jobs(blank: Cluster) -> None:
    result = command.run("audit", database=blank.url())
    assert result.code == 0
    assert "no_pg_cron" in result.out
    assert "works in the database" not in result.out, "it is this one"


def test_a_project_of_ours_is_known(shared: Cluster) -> None:
    shown = command.run("audit", "--format", "json", database=shared.url()).json()
    assert {job["kind"] for job in shown["jobs"]} == {"autosync"}
    assert not [job for job in shown["jobs"] if job["status"] == "failing"]


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B = 1, 2


def _answered(fault: str | None, *, minute: int = 0, second: int = 1) -> Answered:
    return Answered(NOON + timedelta(minutes=minute, seconds=second), fault, "", is_proven=True)


def _matched(
    answered: list[Answered], starts: list[tuple[int, int]], calls: int | None = None
) -> tuple[dict[int, list[str | None]], list[set[int]]]:
    """Return the faults that were taken for each job's, newest run first, and whose the others may be."""
    begun = [(job, NOON + timedelta(minutes=minute)) for job, minute in starts]
    found = matching.match(answered, begun, {A: calls, B: calls})
    taken = {id: [answer.fault for run in job.runs for answer in run] for id, job in found.jobs.items()}
    return taken, [set(one.suspects) for one in found.left]


@pytest.mark.parametrize(
    ("answered", "starts", "taken", "left"),
    [
        pytest.param([_answered("401")], [(A, 0)], {A: ["401"]}, [], id="only one job began"),
        pytest.param([_answered("401")], [(3, 0), (A, 0)], {A: ["401"]}, [], id="the other makes no calls"),
        pytest.param([_answered("401")] * 2, [(A, 0), (B, 0)], {A: ["401"], B: ["401"]}, [], id="all alike"),
        pytest.param([_answered("401"), _answered(None)], [(A, 0), (B, 0)], {}, [{A, B}], id="one of two"),
        pytest.param(
            [_answered(None, minute=1), _answered("401"), _answered(None)],
            [(A, 1), (A, 0), (B, 0)], {A: [None], B: ["401"]}, [], id="one of two, and the other is well when alone",
        ),
        pytest.param([_answered("500", second=30)], [(A, 0)], {}, [set()], id="nobody began then"),
        pytest.param([_answered("500")], [(A, 0), (B, 0)], {}, [{A, B}], id="fewer answers than jobs"),
    ],
)  # fmt: skip
def test_an_answer_is_only_taken_for_a_jobs_where_no_other_is_possible(
    answered: list[Answered], starts: list[tuple[int, int]], taken: dict[int, list[str | None]], left: list[set[int]]
) -> None:
    assert _matched(answered, starts) == (taken, left)


def test_of_more_answers_than_a_job_makes_calls_none_is_laid_to_it_unless_all_are_alike() -> None:
    mixed, alike = [_answered(None), _answered("500"), _answered("500")], [_answered("500")] * 3
    assert _matched(mixed, [(A, 0)], calls=1) == ({}, [{A}, {A}])
    assert _matched(alike, [(A, 0)], calls=1) == ({A: ["500"]}, [])
    # a run that makes several calls, and two runs within the seconds that an answer may take
    assert _matched(mixed, [(A, 0)]) == ({A: [None, "500", "500"]}, [])
    assert _matched(mixed[:2], [(A, 0), (A, 0)], calls=1) == ({A: [None, "500"]}, [])
    # one of the two would be blamed, because the other is well when it is alone
    busy = [_answered(None, minute=1), *mixed]
    assert _matched(busy, [(A, 1), (A, 0), (B, 0)], calls=1) == ({A: [None]}, [{B}, {B}])


@pytest.mark.parametrize(
    ("body", "calls"),
    [
        ("perform extensions.http(req);", True),
        ("select (public.http(req)).status", True),
        ('perform "extensions"."http" (req)', True),
        ("perform http(req)", True),
        ("perform http(('GET', 'https://a.example', null, null, null))", True),
        ("perform http_patch('https://a.example', '{}', 'application/json')", True),
        ("perform http_head('https://a.example')", True),
        ("perform http_header('a', 'b')", False),
        ("perform http_set_curlopt('CURLOPT_TIMEOUT', '9')", False),
        ("perform app.http(req)", False),
        ("perform my_http(req)", False),
        ("-- http(req)", False),
        ("raise notice 'http(req)'", False),
    ],
)
def test_a_function_that_calls_by_the_extension_http_is_known(body: str, calls: bool) -> None:
    assert found.calling([("via", body)]) == ({"via"} if calls else set())
