"""The target `supabase`: database, gateway and functions laid out like those of `supabase start`, on other ports."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autosync_db import config
from autosync_db.config import Flags
from autosync_db.errors import UsageError
from autosync_db.local.cluster import Cluster, password_lines
from autosync_db.setup import gateway
from autosync_db.setup.gateway import Rank
from tests.support import clusters, command
from tests.support import keys as api_keys
from tests.support.command import Result
from tests.support.edge import FUNCTIONS, Edge, Keys, StartEdge
from tests.support.http_stub import Stub

# no tick of pg_cron's own joins in
VARIABLES = {"AUTOSYNC_JOB__SCHEDULE": "59 23 31 12 *"}


@dataclass
class Project:
    """A folder with the settings of the CLI, and the database that it names."""

    folder: Path
    database: Cluster

    def settings(self, api_port: int) -> None:
        at = self.folder / "supabase/config.toml"
        at.parent.mkdir(exist_ok=True)
        at.write_text(
            f'project_id = "shop"\n[api]\nport = {api_port}\n[db]\nport = {self.database.port}\nmajor_version = 17\n'
        )

    def install_cli(self, keys: Mapping[str, str]) -> Path:
        """Put a CLI in the project's packages that says these keys, and return the file of what it was started with."""
        program = self.folder / "node_modules/.bin/supabase"
        program.parent.mkdir(parents=True)
        said, log = self.folder / "status.json", self.folder / "started"
        said.write_text(json.dumps({"API_URL": "…", **keys}))
        program.write_text(f'#!/bin/sh\necho "$@" >>{log}\necho "Stopped services: []" >&2\ncat {said}\n')
        program.chmod(0o755)
        return log

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None, stdin: str = "") -> Result:
        variables = {**VARIABLES, **(variables or {})}
        return command.run(*arguments, "--target", "supabase", variables=variables, stdin=stdin)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with clusters.connection(self.database, "supabase_admin") as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def project(blank: Cluster) -> Iterator[Project]:
    """A project whose database has the password that every stack of the CLI has."""
    # the stand-in's worker is connected by then
    with clusters.pg_net_worker(blank), clusters.connection(blank, "supabase_admin") as connection:
        connection.execute("alter role postgres password 'postgres'")
        # pg_cron connects with it, too
        blank.password_file.write_text(password_lines({**blank.passwords, "postgres": "postgres"}))
        yield Project(Path.cwd(), blank)


@pytest.fixture
def edge(start_edge: StartEdge, blank: Cluster, keys: Keys) -> Edge:
    """The functions behind a gateway that verifies JWTs, as some versions of the CLI do."""
    environment = {
        "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
        "AUTOSYNC_DB_URL": blank.url("authenticator").reveal(),
        "AUTOSYNC_VERIFY_JWT": "true",
        "SUPABASE_ANON_KEY": keys.token("anon"),
        "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
    }
    own = {"SUPABASE_SECRET_KEYS": json.dumps({"default": keys.secret_key})}
    return start_edge(FUNCTIONS, environment, own)


def test_it_is_set_up_from_its_settings_alone(project: Project, edge: Edge, keys: Keys, tmp_path: Path) -> None:
    project.settings(edge.port)
    legacy = keys.token("service_role")
    started = project.install_cli({"SECRET_KEY": keys.secret_key, "SERVICE_ROLE_KEY": legacy})
    done = command.succeeds(
        project.run("setup", variables={"SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role", 60)})
    )
    assert f"the database reaches the gateway at http://127.0.0.1:{edge.port}" in done.err
    stored = dict(project.rows("select name, secret from public.pg_cron_secrets"))
    assert stored["project_url"] == f"http://127.0.0.1:{edge.port}"
    assert stored["service_role_key"] == legacy, "the one that this gateway and the function accept"
    assert started.read_text().startswith("status --output json --workdir ")
    for text in (done.out, done.err, started.read_text()):
        assert legacy not in text
        assert keys.secret_key not in text
    # found again, nothing changed
    before = project.rows("select name, secret, updated_at from public.pg_cron_secrets order by 1")
    again = command.succeeds(project.run("setup"))
    assert "not repeated" in again.err
    assert project.rows("select name, secret, updated_at from public.pg_cron_secrets order by 1") == before
    assert project.rows("select status_code from net._http_response") == [(200,)], "the search left no answers behind"
    # the seed's local steps
    command.succeeds(project.run("jobs", "trigger"))
    ticked = command.succeeds(project.run("local", "tick", "--every", "1s", "--count", "2"))
    assert [line.split(": ")[1] for line in ticked.out.splitlines()] == ["0 due, ok 200"] * 2
    assert command.run("local", "tick", "--target", "production").code == 2


def test_without_a_gateway_the_error_says_what_each_address_said_and_nothing_is_set_up(
    project: Project, stub: Stub
) -> None:
    project.settings(int(stub.url.rpartition(":")[2]))
    stub.answer(200, "<html>a shop</html>")
    message = command.refused(project.run("setup"), 4)
    for address in ("http://kong:8000: ", "http://api.supabase.internal:8000: ", "http://host.docker.internal:"):
        assert address in message
    assert f"{stub.url}: 200 of something else than the platform" in message
    assert {(request.method, request.path) for request in stub.requests} == {("GET", "/functions/v1/_")}
    assert not any({"apikey", "authorization"} & set(request.headers) for request in stub.requests)
    assert project.rows("select to_regnamespace('autosync')") == [(None,)]


@pytest.mark.long
def test_what_is_called_from_here_is_called_where_this_machine_reaches_it(project: Project, stub: Stub) -> None:
    port = int(stub.url.rpartition(":")[2])
    project.settings(port)
    stub.headers = {"x-served-by": "supabase-edge-runtime"}
    # the machine's name for itself is another than the database's, as it is with containers
    here = {"SUPABASE_SERVICES_HOSTNAME": "localhost"}
    key = ["--service-role-key-file", "-"]
    command.succeeds(project.run("setup", *key, variables=here, stdin=api_keys.secret().reveal()))
    assert {request.headers["host"] for request in stub.requests} == {f"127.0.0.1:{port}"}
    stub.requests.clear()
    command.succeeds(project.run("rotate", "--from-file", "-", variables=here, stdin=api_keys.secret().reveal()))
    assert [(request.method, request.headers["host"]) for request in stub.requests] == [
        ("GET", f"localhost:{port}"),
        ("POST", f"127.0.0.1:{port}"),
    ]
    stub.requests.clear()
    project.run("verify", "--probe", "--only", "function_rejects_strangers", variables=here)
    assert {request.headers["host"] for request in stub.requests} == {f"localhost:{port}"}


def test_without_the_cli_the_key_is_asked_for(project: Project, stub: Stub) -> None:
    project.settings(int(stub.url.rpartition(":")[2]))
    stub.answer(404, {"code": "NOT_FOUND"}, error_code="NOT_FOUND")
    result = project.run("setup", variables={"PATH": "/nowhere"})
    assert "no service key was given" in command.refused(result, 6)


def test_ports_come_from_the_settings_up_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("supabase").mkdir()
    Path("app/deep").mkdir(parents=True)
    at = Path("supabase/config.toml")
    at.write_text('project_id = "my shop"\n[api]\nport = "env(API)"\n[api.tls]\nenabled = true\n')
    monkeypatch.setenv("API", "7001")
    monkeypatch.chdir("app/deep")
    target = config.load(Flags(target="supabase")).target
    assert target.stack is not None
    assert (target.name, target.project_url) == ("supabase", None)
    assert target.database_url is not None
    assert target.database_url.reveal() == "postgresql://postgres:postgres@127.0.0.1:54322/postgres"
    assert target.stack.url == "https://127.0.0.1:7001"
    assert target.stack.candidates("172.21.0.4") == [
        "http://kong:8000",
        "http://api.supabase.internal:8000",
        "http://supabase_kong_my_shop:8000",
        "http://envoy:8000",
        "https://host.docker.internal:7001",
        "https://172.21.0.1:7001",
        "https://172.17.0.1:7001",
        "https://127.0.0.1:7001",
    ]
    monkeypatch.setenv("API", "many")
    with pytest.raises(UsageError, match=r"api\.port is not a port"):
        config.load(Flags(target="supabase"))


def test_a_stack_that_does_not_run_names_the_command() -> None:
    Path("supabase").mkdir()
    Path("supabase/config.toml").write_text("[db]\nport = 1\n")
    result = command.run("setup", "--target", "supabase")
    assert "127.0.0.1:1" in command.refused(result, 4)
    assert "supabase start" in result.hints[0]


def test_without_a_folder_of_the_cli_the_target_names_the_command() -> None:
    assert "supabase/config.toml" in command.refused(command.run("status", "--target", "supabase"), 2)


@pytest.mark.parametrize(
    ("status", "headers", "body", "rank"),
    [
        # the CLI's server of functions behind Kong 2 and 3, and behind Envoy
        (404, {"via": "kong/2.8.1", "x-kong-upstream-latency": "3"}, "Function not found", Rank.FUNCTIONS),
        (404, {"Via": "1.1 kong/3.9.1", "X-Kong-Upstream-Latency": "3"}, "Function not found\n", Rank.FUNCTIONS),
        (404, {"server": "envoy", "x-envoy-upstream-service-time": "2"}, "Function not found", Rank.FUNCTIONS),
        (404, {"sb-error-code": "NOT_FOUND"}, '{"code":"NOT_FOUND"}', Rank.FUNCTIONS),
        (401, {"x-served-by": "supabase-edge-runtime", "server": "kong"}, '{"msg":"no"}', Rank.FUNCTIONS),
        # the gateway itself: functions are off, or their container is gone
        (503, {"server": "kong/2.8.1"}, '{"message":"name resolution failed"}', Rank.GATEWAY),
        (404, {}, '{"message":"no Route matched with those values"}', Rank.GATEWAY),
        (503, {"server": "envoy"}, "no healthy upstream", Rank.GATEWAY),
        # somebody else's
        (200, {"content-type": "text/html"}, "<!doctype html>", Rank.NOTHING),
        (404, {"server": "nginx"}, "Function not found", Rank.NOTHING),
        (404, {}, '{"error":"not found"}', Rank.NOTHING),
        (502, {"server": "nginx"}, "<center>nginx</center>", Rank.NOTHING),
    ],
)
def test_the_platform_is_known_by_its_answer(status: int, headers: dict[str, str], body: str, rank: Rank) -> None:
    assert gateway.judge(status, headers, body) is rank
