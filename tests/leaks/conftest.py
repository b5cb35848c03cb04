"""A project whose whole life with secrets happens once, on a server that logs as much as it can, and what it leaves."""

import contextlib
import itertools
import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from autosync_db.credentials import cron_secret, store
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.support import clusters, command, dumps, http_stub, keys
from tests.support.command import Result
from tests.support.http_stub import Request, Stub

# all that a server can log short of what server_log_hides_secrets warns of, and the history of statements; without the
# trees of debug_print_parse: a gigabyte in which constants are lists of numbers, so that no text can be found in it
SETTINGS = """
shared_preload_libraries = '{libraries},pg_stat_statements'
log_statement = 'all'
log_min_duration_statement = 0
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_min_error_statement = 'debug5'
log_error_verbosity = 'verbose'
log_min_messages = 'debug1'
log_lock_waits = on
track_activity_query_size = 65536
pg_stat_statements.track = 'all'
pg_stat_statements.track_utility = on
"""
FILLER_BYTES = 500_000
RARELY = {"AUTOSYNC_JOB__SCHEDULE": "59 23 31 12 *"}
CRON_SECRET = {"AUTOSYNC_FUNCTION__AUTH": "cron_secret"}
HEADER = "x-autosync-cron-secret"


class Sampler:
    """Collects the command line and the environment of every process that is younger than this object."""

    def __init__(self) -> None:
        self.command_lines: set[str] = set()
        self.environments: set[tuple[str, str]] = set()
        self._seen: set[tuple[str, str]] = set()
        self._looks: Counter[str] = Counter()
        # numbers start again at the end of their range, so that a young process may have a low one
        self._older = set(os.listdir("/proc"))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for turn in itertools.count():
            if self._ended.wait(0.01):
                return
            for name in os.listdir("/proc"):
                # a process names itself when it is young; afterwards an occasional look is enough
                if name.isdigit() and name not in self._older and (self._looks[name] < 30 or turn % 50 == 0):
                    self._looks[name] += 1
                    self._look(Path("/proc", name))

    def _look(self, process: Path) -> None:
        # one that has ended has nothing left to read
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if (process.name, line) in self._seen:
                return
            self.command_lines.add(line)
            self.environments.add((line, (process / "environ").read_bytes().decode(errors="replace")))
            self._seen.add((process.name, line))

    def stop(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()


@dataclass
class Function:
    """The function behind the stub: 401 for whoever shows nothing that it accepts."""

    accepted: set[str] = field(default_factory=set)

    def judge(self, request: Request) -> int:
        """Return the status for a request."""
        shown = {request.headers.get("apikey"), request.headers.get(HEADER)}
        shown.add((request.headers.get("authorization") or "").removeprefix("Bearer "))
        return 401 if self.accepted.isdisjoint(shown) else 405 if request.method != "POST" else 200


@dataclass
class World:
    """The project, every secret that it ever held or was offered, and what the commands said."""

    cluster: Cluster
    stub: Stub
    function: Function
    folder: Path
    canaries: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    command_lines: str = ""
    environments: dict[str, str] = field(default_factory=dict)

    def new(self, name: str, *, accepted: bool) -> str:
        """Make a key for the story."""
        self.canaries[name] = (keys.legacy if len(self.canaries) % 2 else keys.secret)().reveal()
        if accepted:
            self.function.accepted.add(self.canaries[name])
        return self.canaries[name]

    def start(self, *arguments: str, code: int = 0, stdin: str = "", variables: dict[str, str] | None = None) -> Result:
        """Run a command as a process with -vv; it must end with `code`."""
        result = command.run_process(
            *arguments, "-vv", database=self.cluster.url(), stdin=stdin, variables={**RARELY, **(variables or {})}
        )
        return self._keep(arguments, result, code)

    def run(self, *arguments: str, code: int = 0, stdin: str = "", variables: dict[str, str] | None = None) -> Result:
        """Run a command in this process with -vv; it must end with `code`."""
        result = command.run(
            *arguments, "-vv", database=self.cluster.url(), stdin=stdin, variables={**RARELY, **(variables or {})}
        )
        return self._keep(arguments, result, code)

    def _keep(self, arguments: tuple[str, ...], result: Result, code: int) -> Result:
        self.said[f"{len(self.said)}: {' '.join(arguments)}"] = result.out + result.err
        assert result.code == code, f"{arguments}: exit {result.code}\n{result.out}\n{result.err}"
        return result

    def found(self, text: str) -> list[str]:
        """Return the names of the secrets that a text holds."""
        return [
            name
            for name, value in self.canaries.items()
            # the greater part of a JWT is no secret: its signature is
            if value[-30:] in text
        ]

    def connect(self, role: str = "supabase_admin") -> psycopg.Connection[clusters.Row]:
        """Return a connection, by default of the superuser."""
        return clusters.connect(self.cluster, role)


@pytest.fixture(scope="session")
def world(blank_template: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The project after everything has happened to it."""
    with (
        _loud(blank_template) as cluster,
        http_stub.serve() as stub,
        contextlib.chdir(tmp_path_factory.mktemp("leaks")),
    ):
        function = Function()
        stub.judge = function.judge
        made = World(cluster, stub, function, Path.cwd())
        sampler = Sampler()
        with clusters.pg_net_worker(cluster):
            _live(made)
            _settle(made)
        sampler.stop()
        made.command_lines = "\n".join(sampler.command_lines)
        made.environments = {f"{n}: {line}": text for n, (line, text) in enumerate(sampler.environments)}
        yield made


@contextlib.contextmanager
def _loud(template: Cluster) -> Iterator[Cluster]:
    with clusters.cloned(template) as copy:
        copy.stop()
        libraries = "pg_cron" if copy.stand_in else "pg_cron,pg_net"
        settings = copy.data / "conf.d" / "zz-loud.conf"
        settings.write_text(SETTINGS.format(libraries=libraries))
        settings.chmod(0o644)
        copy.start()
        with clusters.connect(copy, "supabase_admin") as connection:
            connection.execute("create extension pg_stat_statements")
        yield copy


def _live(world: World) -> None:
    """Let everything happen that a secret goes through."""
    url = world.stub.url
    first = world.new("the first key", accepted=True)
    key_file = world.folder / "key"
    key_file.write_text(first)
    world.start("setup", "--project-url", url, "--service-role-key-file", str(key_file))
    world.run("setup", code=6, variables={"SUPABASE_SERVICE_ROLE_KEY": world.new("refused by setup", accepted=False)})
    world.run("secrets", "set", "their_copy", "--from-file", "-", stdin=first)
    world.start("rotate", "--from-file", "-", stdin=world.new("the second key", accepted=True))
    world.run("secrets", "delete", "their_copy")
    world.run("rotate", "--from-file", "-", code=6, stdin=world.new("refused by the function", accepted=False))
    world.run(
        "rotate", "--from-file", "-", "--no-preflight", code=6, stdin=world.new("refused by the call", accepted=False)
    )
    world.start("secrets", "set", "remote_api", "--from-file", "-", stdin=world.new("another secret", accepted=False))
    world.start("jobs", "trigger")
    _break(world)
    for form in ("table", "json", "junit", "github", "prometheus", "nagios"):
        world.run("verify", "--format", form, code=1 if form == "nagios" else 0)
    for name in ("status", "runs", "jobs show", "secrets list", "secrets history", "schedules list"):
        for form in ("table", "json"):
            world.run(*name.split(), "--format", form)
    world.run("migrate", "--sql", stdin="")
    world.run("export", "supabase", "--dir", str(world.folder / "migrations"))
    world.start("secrets", "scan", str(world.folder), code=3)
    _have_a_cron_secret(world)


def _break(world: World) -> None:
    """Let every step fail once, with a new secret under way."""
    as_owner, as_admin = world.connect("postgres"), world.connect()
    faults = {
        "constraint": (
            "alter table public.pg_cron_secrets add constraint short check (length(secret) < 10) not valid",
            "alter table public.pg_cron_secrets drop constraint short",
        ),
        "missing function": (
            "alter function autosync.put_secret(text, text) rename to put_away",
            "alter function autosync.put_away(text, text) rename to put_secret",
        ),
        "no temporary tables": (
            "revoke temporary on database postgres from public, postgres",
            "grant temporary on database postgres to public, postgres",
        ),
        "read-only": (
            "alter database postgres set default_transaction_read_only = on",
            "alter database postgres reset default_transaction_read_only",
        ),
        "no time": (
            "alter role postgres set statement_timeout = '1ms'",
            "alter role postgres reset statement_timeout",
        ),
    }
    with as_owner, as_admin:
        # what breaks these commands would break a run of the housekeeping, too
        as_admin.execute("update cron.job set active = false where jobname = 'autosync-keep-house'")
        for name, (broken, repaired) in faults.items():
            as_admin.execute(broken.encode())
            try:
                for what in ("secrets set other", "rotate"):
                    secret = world.new(f"{what} with {name}", accepted=True)
                    result = command.run(
                        *what.split(), "--from-file", "-", "-vv",
                        database=world.cluster.url(), stdin=secret, variables=RARELY,
                    )  # fmt: skip
                    world.said[f"{len(world.said)}: {what} with {name}"] = result.out + result.err
                    assert result.code, f"{what} did not fail with {name}: {result.err}"
                    world.function.accepted.discard(secret)
            finally:
                as_admin.execute("reset all")
                as_admin.execute(repaired.encode())
        as_admin.execute("update cron.job set active = true where jobname = 'autosync-keep-house'")
        _cancel_a_copy(world)
        _fail_a_call(world, as_owner)


def _cancel_a_copy(world: World) -> None:
    """End a COPY of a secret by a cancel, by a dead connection, and by a value that the server refuses."""
    # of a row in text the server would quote the first hundred characters
    secret = world.canaries["on its way when it was cancelled"] = keys.secret().reveal()
    for end in ("pg_cancel_backend", "pg_terminate_backend"):
        with world.connect() as admin, pytest.raises(psycopg.Error) as caught, world.connect("postgres") as owner:
            _send_slowly(owner, admin, secret, end)
        world.said[f"{len(world.said)}: {end}"] = str(caught.value)
    with pytest.raises(psycopg.DataError) as caught, world.connect("postgres") as owner, owner.transaction():
        store.send(owner, {"spoiled": Secret(secret + "\0")})
    world.said[f"{len(world.said)}: zero byte"] = str(caught.value)


def _send_slowly(
    owner: psycopg.Connection[clusters.Row], admin: psycopg.Connection[clusters.Row], secret: str, end: str
) -> None:
    def values() -> Iterator[tuple[str, Secret]]:
        yield "incoming", Secret(secret)
        # what was written goes out when there is more of it
        yield "filler", Secret("f" * FILLER_BYTES)
        clusters.wait_for(
            lambda: admin.execute(
                "select 1 from pg_stat_progress_copy where pid = %s and bytes_processed > %s",
                [owner.info.backend_pid, FILLER_BYTES],
            ).fetchone(),
            "the first rows",
        )
        admin.execute(f"select {end}(%s)".encode(), [owner.info.backend_pid])
        yield "more", Secret("m" * 500_000)

    class Slow(dict[str, Secret]):
        def items(self) -> Iterator[tuple[str, Secret]]:  # type: ignore[override]
            return values()

    with owner.transaction():
        store.send(owner, Slow())


def _fail_a_call(world: World, owner: psycopg.Connection[clusters.Row]) -> None:
    """Let dispatch() fail after it has read the key."""
    owner.execute("update public.pg_cron_secrets set secret = 'nowhere:' || secret where name = 'project_url'")
    try:
        world.run("jobs", "trigger", code=3)
    finally:
        owner.execute("update public.pg_cron_secrets set secret = substr(secret, 9) where name = 'project_url'")


def _have_a_cron_secret(world: World) -> None:
    """Change to a cron secret and rotate it once."""
    world.run("setup", code=3, variables=CRON_SECRET)
    _hand_over(world)
    world.run("setup", variables=CRON_SECRET)
    world.start("rotate", "--generate", variables=CRON_SECRET)
    _hand_over(world)
    world.run("rotate", "--generate", variables=CRON_SECRET)
    world.run("jobs", "trigger", variables=CRON_SECRET)


def _hand_over(world: World) -> None:
    path = world.folder / "cron.env"
    world.start("secrets", "env", str(path))
    for value in path.read_text().strip().partition("=")[2].split(","):
        cron_secret.inspect(Secret(value))
        if value not in world.canaries.values():
            world.canaries[f"cron secret {len(world.canaries)}"] = value
        world.function.accepted.add(value)
    path.unlink()


def _settle(world: World) -> None:
    """Wait until every call has its outcome, and let one run stand in pg_cron's history."""
    with world.connect() as connection:
        clusters.wait_for(
            lambda: connection.execute("select 1 where not exists (select from net.http_request_queue)").fetchone(),
            "the queue to be empty",
        )
        connection.execute("select autosync.settle()")
        connection.execute(
            "insert into cron.job_run_details"
            " (jobid, runid, job_pid, database, username, command, status, return_message)"
            " select c.jobid, nextval('cron.runid_seq'), 0, c.database, c.username, c.command, 'succeeded', '1 row'"
            " from cron.job as c"
        )
        connection.execute("analyze")


def dump(cluster: Cluster) -> str:
    """Return everything that a dump of the database holds, but for the rows of pg_cron_secrets."""
    return dumps.dump(cluster, "--exclude-table-data=public.pg_cron_secrets")
