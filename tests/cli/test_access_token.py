"""Commands where SUPABASE_ACCESS_TOKEN is set, with the API on loopback: it is read, never needed, and never shown."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autosync_db.jobs import binding
from autosync_db.secret import Secret
from tests.cli.conftest import Project
from tests.support import clusters, command, keys, management, pooler
from tests.support.command import Result
from tests.support.management import Api, Trouble

REF = keys.PROJECT_REF


@pytest.fixture
def api() -> Iterator[Api]:
    with management.serve(keys.access_token().reveal()) as served:
        yield served


@pytest.fixture
def hosted(project: Project, api: Api) -> Project:
    """A project whose commands have the token and the address of the API."""
    project.variables |= {"SUPABASE_ACCESS_TOKEN": api.token, "AUTOSYNC_SUPABASE_API_URL": api.url}
    return project


def _setup(project: Project, *arguments: str, ref: str = REF, **variables: str) -> Result:
    """Run a set-up of a hosted project, which makes no call: its address is nobody's."""
    return project.run("setup", "--project-ref", ref, "--no-wait", *arguments, variables=variables)


def _stored(project: Project) -> str | None:
    with clusters.connect(project.cluster) as connection:
        found = connection.execute("select secret from public.pg_cron_secrets where name = 'service_role_key'")
        row = found.fetchone()
        return row[0] if row else None


def _shows_none(result: Result, *secrets: str) -> None:
    assert not [secret for secret in secrets if secret in result.out + result.err]


def test_why_nothing_of_a_project_answers_is_asked_for(api: Api) -> None:
    """A pooler says the same of a paused project as of a mistyped one; of a direct host the name alone is gone."""
    token = {"SUPABASE_ACCESS_TOKEN": api.token, "AUTOSYNC_SUPABASE_API_URL": api.url}

    def refused(user: str, host: str, variables: dict[str, str]) -> tuple[str, str]:
        word = "pass" + uuid.uuid4().hex
        url = Secret(f"postgresql://{user}:{word}@{host}/postgres")
        result = command.run("migrate", database=url, variables=variables)
        _shows_none(result, word, api.token)
        return command.refused(result, 4), result.hints[0]

    unknown = "FATAL: Tenant or user not found"
    with pooler.that_refuses(unknown) as port, pooler.that_refuses("password authentication failed") as other:
        here = f"127.0.0.1:{port}"
        api.state = "INACTIVE"
        for user, host in ((f"postgres.{REF}", here), ("postgres", f"db.{REF}.supabase.co")):
            message, hint = refused(user, host, token)
            assert f"cannot use the database at {host.partition(':')[0]}" in message
            assert f"the project {REF} is paused" in message
            assert (
                f"restore it in the dashboard, then run this again: https://supabase.com/dashboard/project/{REF}"
                == hint
            )
        api.state = "RESTORING"
        assert "is being restored" in refused(f"postgres.{REF}", here, token)[0]
        another = "b" * 20
        assert f"there is no project {another} for this access token" in refused(f"postgres.{another}", here, token)[0]
        # what the API does not explain is said as it is; so it is where the API cannot be asked
        api.state = "ACTIVE_HEALTHY"
        for variables in (token, token | {"SUPABASE_ACCESS_TOKEN": keys.access_token().reveal()}):
            message, hint = refused(f"postgres.{REF}", here, variables)
            assert "Tenant or user not found" in message
            assert "the project is paused: see the dashboard" in hint
        api.requests.clear()
        assert "Tenant or user not found" in refused(f"postgres.{REF}", here, {})[0]
        assert "check the password" in refused(f"postgres.{REF}", f"127.0.0.1:{other}", token)[1]
        assert api.requests == []


def test_setup_reads_the_key_that_nobody_gave_and_says_which(hosted: Project, api: Api) -> None:
    wanted, other, legacy = (keys.secret().reveal() for _ in range(3))
    api.add_key("service_role", keys.legacy(ref=REF).reveal(), "legacy")
    api.add_key("web", other)
    api.add_key("autosync_cron", wanted)
    api.deploy("auto-sync-cron", version=7)

    first = command.succeeds(_setup(hosted, "--format", "json"))
    assert _stored(hosted) == wanted
    steps = {step["name"]: step["result"] for step in first.json()["steps"]}
    assert "the secret key autosync_cron of" in steps["key"]
    assert steps["function"] == "auto-sync-cron is deployed: version 7, verify_jwt off"
    _shows_none(first, wanted, other, api.token)

    # what is stored stays, and what is given is never replaced by what the API has
    api.requests.clear()
    second = command.succeeds(_setup(hosted))
    assert "* " not in second.err
    given = keys.secret().reveal()
    command.succeeds(_setup(hosted, SUPABASE_SERVICE_ROLE_KEY=given))
    assert _stored(hosted) == given
    assert set(api.asked()) == {"functions", "api-keys/legacy"}, "no key is read"
    assert legacy not in (wanted, given)


@pytest.mark.long
def test_setup_names_what_keeps_a_call_from_the_function(hosted: Project, api: Api) -> None:
    api.add_key("default", keys.secret().reveal())
    said = command.succeeds(_setup(hosted, SUPABASE_SERVICE_ROLE_KEY=hosted.key.reveal())).err
    assert _stored(hosted) == hosted.key.reveal()
    assert "api-keys" not in api.asked(), "a key was given, so none is read"
    assert "auto-sync-cron is not deployed: supabase functions deploy auto-sync-cron" in said
    assert said.index("is not deployed") < said.index("migrate"), "before anything is called"

    api.deploy("auto-sync-cron", status="REMOVED")
    assert "is not deployed" in command.succeeds(_setup(hosted)).err
    api.deploy("auto-sync-cron", verify_jwt=True)
    said = command.succeeds(_setup(hosted)).err
    assert "has verify_jwt on" in said
    assert "an sb_secret_ key" in said
    assert "--no-verify-jwt" in said
    # a JWT passes that check
    said = command.succeeds(_setup(hosted, SUPABASE_SERVICE_ROLE_KEY=keys.legacy(ref=REF).reveal())).err
    assert "--no-verify-jwt" not in said
    assert "verify_jwt on" in said


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (Trouble(403, {"message": "no privileges"}), "lacks the permission api_gateway_keys_secret_read"),
        (Trouble(429, headers={"retry-after": "600"}), "too many requests"),
    ],
)
def test_setup_goes_on_without_an_api_that_cannot_be_asked(
    hosted: Project, api: Api, trouble: Trouble, says: str
) -> None:
    api.trouble = lambda request: trouble
    given = command.succeeds(_setup(hosted, SUPABASE_SERVICE_ROLE_KEY=hosted.key.reveal()))
    lines = [line for line in given.err.splitlines() if "not asked further" in line]
    assert len(lines) == 1
    with clusters.connect(hosted.cluster, "supabase_admin") as connection:
        connection.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    lacking = _setup(hosted)
    assert lacking.code == 6
    assert says in lacking.err
    assert "no service key was given" in lacking.err


@pytest.mark.long
def test_without_a_token_or_for_another_address_nothing_is_asked(hosted: Project, api: Api) -> None:
    command.succeeds(hosted.setup("--no-wait"))
    command.succeeds(hosted.setup("--no-wait", key=Secret(hosted.key.reveal())))
    assert api.requests == []
    refused = _setup(hosted, AUTOSYNC_SUPABASE_API_URL="http://api.example.com")
    assert refused.code == 2
    assert "not encrypted" in refused.err
    _shows_none(refused, api.token)
    del hosted.variables["SUPABASE_ACCESS_TOKEN"]
    _setup(hosted)
    assert api.requests == []


def _called(project: Project, **headers: str) -> int:
    """Make a real call whose answer has these headers, bind the database to the project, and return the call's id."""
    project.stub.headers = headers
    command.succeeds(project.setup())
    project.stub.headers = {}
    with clusters.connect(project.cluster) as connection:
        binding.bind(connection, REF)
    return int(project.run("runs", "--format", "json").json()[0]["id"])


def _logged(text: str, source: str = "function_logs", *, after: float = 0, **more: str) -> dict[str, Any]:
    at = (datetime.now(UTC) + timedelta(seconds=after)).replace(tzinfo=None).isoformat()
    return {"id": str(uuid.uuid4()), "timestamp": at, "source": source, "event_message": text, **more}


def test_runs_shows_a_calls_lines_of_the_log(hosted: Project, api: Api) -> None:
    id = _called(hosted, **{"sb-request-id": "req-1", "x-deno-execution-id": "exec-1"})
    with clusters.connect(hosted.cluster) as connection:
        connection.execute("insert into public.pg_cron_secrets (name, secret) values ('cron_secret', 'opaque-value-1')")
    leaked = keys.secret().reveal()
    asked: list[dict[str, str]] = []

    def log(query: dict[str, str]) -> dict[str, Any]:
        asked.append(query)
        if "'function_edge_logs'" in query["sql"]:
            return {"result": [_logged("POST | 200 | auto-sync-cron", "function_edge_logs", execution_id="exec-1")]}
        return {
            "result": [
                _logged(f"key {leaked} and opaque-value-1\nsecond \x1b[31mline", level="error"),
                _logged("of another call of the same worker", after=3600),
            ]
        }

    api.log = log
    shown = command.succeeds(hosted.run("runs", "show", str(id), "--log", "--format", "json")).json()
    assert (shown["id"], shown["cause"], shown["sb_request_id"], shown["execution_id"]) == (id, "ok", "req-1", "exec-1")
    assert shown["log_url"] == f"https://supabase.com/dashboard/project/{REF}/functions/auto-sync-cron/logs"
    assert [(line["source"], line["level"], line["text"]) for line in shown["log"]] == [
        ("function_edge_logs", "", "POST | 200 | auto-sync-cron"),
        ("function_logs", "error", "key *** and ***\nsecond  [31mline"),
    ]
    gateway, function = asked
    assert "'req-1'" in gateway["sql"]
    assert "= 'exec-1'" in function["sql"]
    span = [datetime.fromisoformat(gateway[f"iso_timestamp_{end}"]) for end in ("start", "end")]
    assert timedelta(0) < span[1] - span[0] < timedelta(minutes=5)

    table = command.succeeds(hosted.run("runs", "show", str(id), "--log")).out
    assert "sb-request-id" in table
    assert "key *** and ***" in table
    assert "\x1b[31m" not in table
    assert str(id) in command.succeeds(hosted.run("runs")).out

    # the gateway's own line names the worker where the answer did not
    asked.clear()
    with clusters.connect(hosted.cluster, "supabase_admin") as connection:
        connection.execute("update autosync.invocation set execution_id = null where id = %s", [id])
    assert len(command.succeeds(hosted.run("runs", "show", str(id), "--log", "--format", "json")).json()["log"]) == 2
    assert "= 'exec-1'" in asked[1]["sql"]


def test_what_an_answer_calls_itself_cannot_become_a_query(hosted: Project, api: Api) -> None:
    id = _called(hosted, **{"sb-request-id": "x' or 1=1 --", "x-deno-execution-id": "' union select"})
    said = command.refused(hosted.run("runs", "show", str(id), "--log"), 2)
    assert "neither sb-request-id nor x-deno-execution-id" in said
    assert api.requests == []


@pytest.mark.long
def test_runs_says_what_is_lacking_to_show_a_log(hosted: Project, api: Api) -> None:
    id = _called(hosted, **{"sb-request-id": "req-1"})
    show = ("runs", "show", str(id), "--log")
    # only the platform sends the names of a call, and only with an answer
    for change, says in (
        ("status_code = 200", "neither sb-request-id nor"),
        (
            "status_code = null, outcome = 'timed_out', error_message = 'Timeout of 5000 ms'",
            "has no answer (Timeout of",
        ),
    ):
        with clusters.connect(hosted.cluster, "supabase_admin") as connection:
            connection.execute(f"update autosync.invocation set sb_request_id = null, {change}".encode())
        refused = hosted.run(*show)
        assert says in command.refused(refused, 2)
    assert f"/dashboard/project/{REF}/functions/auto-sync-cron/logs" in refused.hints[0]
    command.succeeds(hosted.run("runs", "show", str(id)))
    with clusters.connect(hosted.cluster, "supabase_admin") as connection:
        connection.execute("update autosync.invocation set status_code = 200, outcome = 'ok', sb_request_id = 'r-1'")

    api.permissions = set()
    forbidden = command.refused(hosted.run(*show), 4)
    assert "lacks the permission analytics_logs_read" in forbidden
    assert api.asked() == ["analytics/endpoints/logs"]
    api.permissions = None
    nothing = command.succeeds(hosted.run(*show, "--format", "json"))
    assert nothing.json()["log"] == []
    assert "the log has no line" in command.succeeds(hosted.run(*show)).err

    assert "SUPABASE_ACCESS_TOKEN is not set" in command.refused(
        hosted.run(*show, variables={"SUPABASE_ACCESS_TOKEN": ""}), 2
    )
    with clusters.connect(hosted.cluster, "supabase_admin") as connection:
        connection.execute("delete from autosync.setting where name = 'binding'")
    assert "there is no hosted project" in command.refused(hosted.run(*show), 2)
    assert "there is no call" in command.refused(hosted.run("runs", "show", "9" * 25), 2)
    assert "--log is for one call" in command.refused(hosted.run("runs", "--log"), 2)
    number = hosted.run("runs", "3")
    assert "'3' is no command of runs" in command.refused(number, 2)
    assert "runs show 3" in number.hints[0]
    assert "show takes the id of one call" in command.refused(hosted.run("runs", "show"), 2)
    assert "no command" in command.refused(hosted.run("runs", "list", "1"), 2)
