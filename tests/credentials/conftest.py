"""A project whose function accepts only the keys that a test gives it, with the headers that real ones demand."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from autosync_db import config, progress
from autosync_db.config import Configuration
from autosync_db.credentials import cron_secret, journal, rotation, store
from autosync_db.jobs import plan
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.support import clusters, command, health, keys, management
from tests.support.command import Result
from tests.support.http_stub import Request, Stub
from tests.support.management import Api

SILENT = progress.SILENT
LAPSE = """
with k as (update autosync.key_rotation set lease_expires_at = clock_timestamp() - interval '1 second')
update autosync.secret_rotation set lease_expires_at = clock_timestamp() - interval '1 second'
"""


@dataclass
class Gate:
    """What stands before the function: it lets the accepted keys through and remembers what every call showed."""

    accepted: set[str] = field(default_factory=set)
    status: int = 200
    calls: list[tuple[str, int]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, *accepted: Secret) -> None:
        """Accept these keys and no others."""
        self.accepted = {key.reveal() for key in accepted}

    def judge(self, request: Request) -> int:
        """Return the status for a request: 401 without an accepted key on its own header, 405 unless it is a POST."""
        key = shown(request)
        status = 401 if key not in self.accepted else 405 if request.method != "POST" else self.status
        if request.method == "POST":
            with self._lock:
                self.seen.append(key)
                self.calls.append((str(request.headers.get("x-autosync-tick")), status))
        return status


def shown(request: Request) -> str:
    """Return the key that a request shows where its kind belongs; a secret key as a bearer token is none."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    api_key = request.headers.get("apikey", "")
    if api_key.startswith("sb_secret_") and not bearer:
        return api_key
    return bearer if bearer.startswith("eyJ") and not api_key else ""


@dataclass
class Project:
    """A database at head with both secrets stored, a worker, the gate, and a connection of the owner's."""

    cluster: Cluster
    stub: Stub
    gate: Gate
    owner: psycopg.Connection[clusters.Row]
    configuration: Configuration
    key: Secret

    @property
    def job_name(self) -> str:
        """Return the name of the job."""
        return self.configuration.settings.main.name

    def run(self, *arguments: str, stdin: str = "", variables: dict[str, str] | None = None) -> Result:
        """Run a command on this project's database."""
        return command.run(*arguments, database=self.cluster.url(), stdin=stdin, variables=variables)

    def rotate(self, key: Secret, *arguments: str) -> Result:
        """Run `rotate` with the key on standard input."""
        return self.run("rotate", "--from-file", "-", *arguments, stdin=key.reveal() + "\n")

    def value(self, statement: str, parameters: list[Any] | None = None) -> Any:
        """Return the one value of a query, as the owner."""
        row = self.owner.execute(statement.encode(), parameters).fetchone()
        return None if row is None else row[0]

    def stored(self, name: str = "service_role_key") -> str | None:
        """Return the active value, from wherever the secrets are."""
        found: str | None = self.value("select s.secret from autosync.stored_secrets() as s where s.name = %s", [name])
        return found

    def active(self) -> Secret:
        """Return the service key that one more tick really shows to the function."""
        before = len(self.gate.seen)
        self.owner.execute("select autosync.dispatch(%s, true)", [self.job_name])
        clusters.wait_for(lambda: len(self.gate.seen) > before, "the call")
        return Secret(self.gate.seen[-1])

    def is_finished(self) -> bool:
        """Return whether no rotation is left."""
        return int(self.value("select count(*) from autosync.secret_rotation")) == 0

    def lapse(self) -> None:
        """Let the lease of whoever died end now."""
        self.owner.execute(LAPSE)

    def verdict(self, check: str = "rotation_finished") -> tuple[str, str]:
        """Return status and summary of a check."""
        from autosync_db.health import verify

        with clusters.connect(self.cluster) as connection:
            found = health.result_of(verify.run(connection, self.configuration, [check]), check)
        return found.verdict.status.value, found.verdict.summary


@dataclass
class Place:
    """A database at head with a worker, for the tests of one module; `reset` takes back what they did."""

    cluster: Cluster
    owner: psycopg.Connection[clusters.Row]
    admin: psycopg.Connection[clusters.Row]
    configuration: Configuration

    def reset(self) -> None:
        """Delete everything that a test left, also what nobody else may delete."""
        with self.admin.transaction():
            self.admin.execute("set local session_replication_role = replica")
            self.admin.execute(
                "truncate autosync.secret_change, autosync.secret_rotation, autosync.key_rotation, autosync.tick,"
                " autosync.invocation, autosync.alert_receiver, public.pg_cron_secrets,"
                " net.http_request_queue, net._http_response"
            )
            self.admin.execute("delete from autosync.setting where name = 'secrets'")
            self.admin.execute("drop schema if exists vault cascade")
            self.admin.execute("alter table public.pg_cron_secrets drop constraint if exists short")


@pytest.fixture(scope="module")
def place(quiet_template: Cluster) -> Iterator[Place]:
    """A running database of the module's own."""
    with (
        clusters.cloned(quiet_template) as cluster,
        health.impatience(),
        clusters.connect(cluster) as owner,
        clusters.connect(cluster, "supabase_admin") as admin,
        clusters.pg_net_worker(cluster),
    ):
        configuration = config.load(config.Flags(database_url=cluster.url()))
        plan.apply(owner, configuration.settings)
        clusters.keep_quiet(cluster)
        yield Place(cluster, owner, admin, configuration)


@pytest.fixture
def project(place: Place, stub: Stub) -> Project:
    """A project that was set up with a secret key."""
    place.reset()
    key, gate = keys.secret(), Gate()
    gate.accept(key)
    stub.judge = gate.judge
    store.store(place.owner, {store.PROJECT_URL: Secret(stub.url), store.SERVICE_KEY: key})
    return Project(place.cluster, stub, gate, place.owner, place.configuration, key)


_SETTINGS = f"""
[targets.production]
project_ref = "{keys.PROJECT_REF}"
database_url_env = "AUTOSYNC_DATABASE_URL"
"""


@dataclass
class Platform:
    """A project that was set up with the key `cron` of the platform, which the API has beside others."""

    project: Project
    api: Api
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> list[str]:
        """Return the names of the keys that are there and that we made."""
        return [str(one["name"]) for one in self.api.keys if str(one["name"]).startswith("autosync_")]

    @property
    def names(self) -> set[str]:
        """Return the names of all keys."""
        return {str(one["name"]) for one in self.api.keys}

    @property
    def configuration(self) -> Configuration:
        """Return the settings as a command of this project reads them."""
        return config.load(config.Flags(target="production", database_url=self.project.cluster.url()))

    def value_of(self, name: str) -> str:
        """Return the value of a key of the platform."""
        return next(str(one["api_key"]) for one in self.api.keys if one["name"] == name)

    def run(self, *arguments: str, **variables: str) -> Result:
        """Run a command with the access token."""
        return self.project.run(*arguments, variables=self.variables | variables)

    def journal(self) -> journal.Entry | None:
        """Return what is unfinished."""
        return journal.find(self.project.owner)

    def judge(self, request: Request) -> int:
        """Let in who shows a key that the platform has now, or one of the function's own variables."""
        self.project.gate.accepted = {str(one["api_key"]) for one in self.api.keys if one["type"] != "publishable"}
        return self.project.gate.judge(request)

    def is_whole(self) -> bool:
        """Return whether one more tick is let in."""
        return self.project.active().reveal() in self.project.gate.accepted


@pytest.fixture
def platform(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A project on the platform."""
    with management.serve(keys.access_token().reveal()) as api:
        for name in ("default", "web"):
            api.add_key(name, keys.secret().reveal())
        api.add_key("cron", project.key.reveal())
        api.add_key("default", "sb_publishable_" + "a" * 30, "publishable")
        api.add_key("service_role", keys.legacy(ref=api.ref).reveal(), "legacy")
        variables = {"SUPABASE_ACCESS_TOKEN": api.token, "AUTOSYNC_SUPABASE_API_URL": api.url}
        made = Platform(project, api, variables)
        project.stub.judge = made.judge
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(rotation, "SPREAD_SECONDS", 1.0)
        monkeypatch.setattr(rotation, "PAUSE_SECONDS", 0.1)
        Path("autosync.toml").write_text(_SETTINGS)
        yield made


@pytest.fixture
def by_secret(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A project whose calls carry a cron secret, which the function knows by its variable at the platform."""
    project, first = platform.project, cron_secret.generate()
    store.store(project.owner, {store.CRON_SECRET: first})
    cron_secret.activate(project.owner, project.job_name, "cron_secret")
    platform.api.secrets = {cron_secret.VARIABLE: first.reveal()}

    def judge(request: Request) -> int:
        secret = request.headers.get(cron_secret.HEADER, "")
        project.gate.accepted = set(platform.api.secrets[cron_secret.VARIABLE].split(","))
        status = 401 if secret not in project.gate.accepted else 405 if request.method != "POST" else 200
        if request.method == "POST":
            project.gate.seen.append(secret)
        return status

    project.stub.judge = judge
    Path("autosync.toml").write_text(_SETTINGS + '[function]\nauth = "cron_secret"\n')
    yield platform
    project.owner.execute("delete from autosync.setting where name = 'function_auth'")
