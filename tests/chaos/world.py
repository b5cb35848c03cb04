"""The world of the test: a server that lives through a change of clocks, 12 jobs, schedules, and all around it."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from autosync_db import config
from autosync_db.credentials import store
from autosync_db.jobs import plan
from autosync_db.local.cluster import Cluster, free_port, server_user
from autosync_db.secret import Secret
from tests.chaos.journal import Journal
from tests.support import keys
from tests.support.clusters import REAL_PG_NET

ROOT = Path(__file__).parents[2]
COMPILER = shutil.which("cc") or shutil.which("gcc")
# at this moment the clocks of Europe and of Greenland change
CHANGE = datetime(2027, 3, 28, 1, tzinfo=UTC)
ZONES = (
    "UTC", "Europe/Paris", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Athens", "Europe/Helsinki",
    "Europe/Warsaw", "Europe/Madrid", "Europe/Rome", "Europe/Vienna", "Europe/Kyiv", "Atlantic/Azores",
    "Atlantic/Canary", "America/Nuuk", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo",
    "America/St_Johns", "America/Havana", "Africa/Cairo", "Africa/Casablanca", "Asia/Kathmandu", "Asia/Kolkata",
    "Asia/Tokyo", "Asia/Tehran", "Australia/Lord_Howe", "Australia/Sydney", "Pacific/Chatham", "Pacific/Apia",
)  # fmt: skip
NEVER = "0 0 1 1 *"
HOUSE = "autosync-keep-house"
# the jobs that pg_cron itself ticks, too
BY_CRON = ("post", "drain-due", "cleaning")
JOBS = """
[jobs.auto-sync-cron-job]
function = "auto-sync-cron"
schedule = "{never}"
drains = "auto_sync_schedules"
timeout = "3s"
[jobs.drain-due]
function = "drain-due"
schedule = "* * * * *"
drains = "auto_sync_schedules"
invoke = "when_due"
batch_size = 20
timeout = "3s"
[jobs.post]
function = "post"
schedule = "* * * * *"
timeout = "{post_timeout}s"
body = {{ full = true }}
[jobs.get]
function = "get"
schedule = "{never}"
method = "GET"
timeout = "3s"
[jobs.retrying]
function = "retrying"
schedule = "{never}"
timeout = "3s"
retry = {{ attempts = 3, wait = "1s" }}
[jobs.reporting]
function = "reporting"
schedule = "{never}"
timeout = "3s"
reports_within = "6s"
[jobs.skipping]
function = "skipping"
schedule = "{never}"
timeout = "3s"
overlap = "skip"
[jobs.partner]
function = "partner"
schedule = "{never}"
timeout = "3s"
auth = {{ secret = "partner_token", header = "x-partner" }}
[jobs.elsewhere]
url = "{url}/elsewhere"
schedule = "{never}"
timeout = "3s"
auth = "none"
[jobs.expecting]
function = "expecting"
schedule = "{never}"
timeout = "3s"
expect = {{ status = [200, 202], json = {{ ok = true }} }}
[jobs.cleaning]
sql = "insert into public.cleaned default values"
schedule = "* * * * *"
[jobs.digest]
watch = true
"""
CALLING = (
    "auto-sync-cron-job", "drain-due", "post", "get", "retrying", "reporting", "skipping", "partner", "elsewhere",
    "expecting",
)  # fmt: skip
TICKING = (*CALLING, "cleaning", HOUSE)


def fingerprint(value: str) -> str:
    """Return what the functions know of a credential."""
    return hashlib.sha256(value.encode()).hexdigest()


@dataclass
class World:
    """Everything that runs; `shift` is how many seconds the server's clock is ahead of this machine's."""

    cluster: Cluster
    pooled: Cluster
    folder: Path
    seed: int
    seconds: float
    schedules: int
    shift: float = 0
    port: int = field(default_factory=free_port)
    key: Secret = field(default_factory=keys.secret)
    partner: Secret = field(default_factory=keys.secret)
    orders: dict[str, Any] = field(default_factory=dict)
    journal: Journal = field(init=False)
    ticks: dict[str, int] = field(default_factory=dict)
    failed_ticks: dict[str, int] = field(default_factory=dict)
    configuration: config.Configuration = field(init=False)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    # commands repair, set up and rotate: what they would put right must not be the fault of the moment
    alone: threading.Lock = field(default_factory=threading.Lock)
    # jobs that are not ticked for a while
    resting: set[str] = field(default_factory=set)
    _threads: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        """Open the journal of the world itself."""
        self.journal = Journal(self.folder / "world.jsonl")

    @property
    def url(self) -> str:
        """Return the address of the project and of its functions."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def _clock(self) -> Path:
        return self.cluster.folder / "clock.so"

    def now(self) -> float:
        """Return the server's time, by this machine's clock."""
        return time.time() + self.shift

    def session(self, role: str = "postgres", database: str = "postgres") -> Any:
        """Return an autocommit session to close, past the pooler; it waits three seconds for a server."""
        return contextlib.closing(
            psycopg.connect(
                self.cluster.url(role, database).reveal(), autocommit=True, connect_timeout=3, prepare_threshold=None,
                options="-c statement_timeout=20000",
            )
        )  # fmt: skip

    # the server and what runs beside it

    def start_server(self) -> None:
        """Start the server with its own clock."""
        preload = {"LD_PRELOAD": str(self._clock), "CHAOS_SHIFT": f"{self.shift:.0f}"}
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC",
                       "PGPASSFILE": str(self.cluster.password_file)}  # fmt: skip
        with (self.cluster.folder / "chaos.log").open("a") as log:
            subprocess.run(
                [str(self.cluster.installation.bin / "pg_ctl"), "start", "-w", "-t", "60", "-D",
                 str(self.cluster.data), "-l", str(self.cluster.log)],
                check=True, cwd=self.cluster.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment | (preload if self.shift else {}), **server_user(),
            )  # fmt: skip

    def start(self, name: str) -> None:
        """Start a process beside the server, `functions` or `worker`."""
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        module, arguments = "autosync_db.local.pg_net.worker", []
        if name == "functions":
            module, arguments = "tests.chaos.functions", [str(self.port), str(self.seed), str(self.folder)]
            environment["CHAOS_DATABASE"] = self.pooled.url("authenticator").reveal()
        else:
            environment |= self.cluster.environment("postgres")
        with (self.folder / f"{name}.err").open("ab") as errors:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], env=environment, cwd=ROOT, stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """Kill a process beside the server."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdin:
            process.stdin.close()

    def order(self, **changes: Any) -> None:
        """Tell the functions what to do from now on."""
        self.orders |= changes
        fresh = self.folder / "orders.fresh"
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(self.orders))
        fresh.rename(self.folder / "orders.json")

    def accept(self, *service_keys: Secret) -> None:
        """Let the functions accept these service keys and no others."""
        service = [fingerprint(key.reveal()) for key in service_keys]
        names = ("auto-sync-cron", "drain-due", "post", "get", "retrying", "reporting", "skipping", "expecting")
        self.order(accepted=dict.fromkeys(names, service) | {"partner": [fingerprint(self.partner.reveal())]})

    # the life of the world

    def prepare(self) -> None:
        """Give the server its clock, jobs, secrets and schedules, and start what runs beside it."""
        # without a compiler the server lives now, and no clocks change
        if COMPILER:
            subprocess.run(
                [COMPILER, "-O2", "-shared", "-fPIC", "-o", str(self._clock), str(Path(__file__).with_name("clock.c"))],
                check=True,
            )
            self.shift = round(CHANGE.timestamp() - self.seconds / 3 - time.time())
        with self.session("supabase_admin") as admin:
            # a commit that was answered must survive a crash, as it does on servers that are not made for tests
            admin.execute("alter system set synchronous_commit = on")
            admin.execute("create table public.cleaned (at timestamptz default clock_timestamp())")
            admin.execute("alter table public.cleaned owner to postgres")
            admin.execute("create database neighbour owner postgres")
            if REAL_PG_NET:
                # a copied cluster sends nothing before it is allowed to
                admin.execute("alter system reset pg_net.batch_size")
        self._copy_to_neighbour()
        self.cluster.stop()
        self.start_server()
        self.order(failing=0.0, broken=[])
        self.accept(self.key)
        self.apply_plan(2)
        with self.session() as owner:
            owner.execute("select cron.schedule('digest', %s, 'select 1')", [NEVER])
            store.store(
                owner, {"project_url": Secret(self.url), "service_role_key": self.key, "partner_token": self.partner}
            )
            self._add_schedules(owner)
        self.start("functions")
        if not REAL_PG_NET:
            self.start("worker")

    def _copy_to_neighbour(self) -> None:
        """Give another database of the server what a project has without pg_cron, which only one database can have."""
        environment = self.cluster.environment("supabase_admin") | {"PATH": os.environ["PATH"]}
        programs = self.cluster.installation.bin
        with (self.folder / "neighbour.err").open("w") as errors:
            dump = subprocess.run(
                [str(programs / "pg_dump"), "--schema-only", "--schema=autosync", "--schema=public"],
                check=True, env=environment, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
            subprocess.run(
                [str(programs / "psql"), "--quiet", "--set=ON_ERROR_STOP=0"], check=True, input=dump.stdout,
                env=environment | {"PGDATABASE": "neighbour"}, stdout=errors, stderr=errors,
            )  # fmt: skip

    def apply_plan(self, post_timeout: int) -> None:
        """Write the settings file and bring the jobs to it."""
        Path("autosync.toml").write_text(JOBS.format(never=NEVER, url=self.url, post_timeout=post_timeout))
        self.configuration = config.load(config.Flags(database_url=self.cluster.url()))
        with self.session() as owner:
            plan.apply(owner, self.configuration.settings)

    def _add_schedules(self, owner: psycopg.Connection[Any]) -> None:
        """Add schedules: one in forty runs each minute, the others come due one after the other within twenty minutes.

        Two in five have a time window; of those half are open at the beginning, and shut before the end.
        """
        spread = min(1200.0, 4 * self.seconds)
        source = random.Random(f"{self.seed} schedules")
        fast = max(10, self.schedules // 40)
        with (
            owner.cursor() as cursor,
            cursor.copy(
                "copy public.auto_sync_schedules (integration_id, organization_id, enabled, frequency_minutes,"
                " time_window_enabled, time_window_start, time_window_end, timezone, last_run_at, last_run_status)"
                " from stdin"
            ) as rows,
        ):
            for number in range(self.schedules):
                frequency = 1 if number < fast else source.choice((60, 90, 240, 1440))
                windowed = number >= fast and source.random() < 0.4
                zone = ZoneInfo(source.choice(ZONES))
                opens, closes = time_of(source.randrange(24), 30), time_of(source.randrange(24), 15)
                if source.random() < 0.5:
                    now = datetime.fromtimestamp(self.now(), UTC)
                    opens = now.astimezone(zone).time().replace(minute=0, second=0, microsecond=0)
                    closes = (now + timedelta(seconds=60 + source.random() * spread)).astimezone(zone).time()
                    closes = closes.replace(second=0, microsecond=0)
                due = self.now() + (source.random() * (min(60, spread) if number < fast else spread))
                rows.write_row((
                    _uuid(source), _uuid(random.Random(f"{self.seed} organization {number % 97}")), True, frequency,
                    windowed, opens if windowed else None, closes if windowed else None,
                    zone.key, datetime.fromtimestamp(due - 60 * frequency, UTC), "success",
                ))  # fmt: skip
        owner.execute("analyze public.auto_sync_schedules")

    def tick(self, name: str) -> None:
        """Run a job's command as pg_cron would, and write the run down as pg_cron would; never two of one job."""
        if name in self.resting:
            return
        try:
            admin = self._launcher()
            found = admin.execute("select command, active from cron.job where jobname = %s", [name]).fetchone()
            if not found or not found[1]:
                return
            url = self.cluster.url().reveal()
            with contextlib.closing(
                psycopg.connect(url, autocommit=True, application_name="pg_cron", connect_timeout=3)
            ) as session:
                try:
                    session.execute(found[0].encode())
                    status, message = "succeeded", "1 row"
                except psycopg.Error as error:
                    if error.diag.message_primary is None:
                        raise
                    status, message = "failed", f"ERROR:  {error.diag.message_primary}\n"
                    self.journal.write("tick failed", job=name, why=message)
            admin.execute(
                "insert into cron.job_run_details (jobid, runid, job_pid, database, username, command, status,"
                " return_message, start_time, end_time) select c.jobid, nextval('cron.runid_seq'), 0, c.database,"
                " c.username, c.command, %s, %s, clock_timestamp(), clock_timestamp() from cron.job as c"
                " where c.jobname = %s",
                [status, message, name],
            )
            done = self.ticks if status == "succeeded" else self.failed_ticks
            done[name] = done.get(name, 0) + 1
        except psycopg.Error as error:
            self.failed_ticks[name] = self.failed_ticks.get(name, 0) + 1
            self.journal.write("tick lost", job=name, why=str(error).strip().splitlines()[-1:])

    def _launcher(self) -> psycopg.Connection[Any]:
        """Return this thread's session that stands for pg_cron's own, which reads jobs and writes runs down."""
        kept: psycopg.Connection[Any] | None = getattr(self._threads, "session", None)
        if kept is None or kept.closed:
            kept = self._threads.session = psycopg.connect(
                self.cluster.url("supabase_admin").reveal(), autocommit=True, connect_timeout=3
            )
        return kept

    @contextlib.contextmanager
    def ticking(self) -> Iterator[None]:
        """Tick every job each second for the time of the block; a job whose tick still runs is left out."""
        stop = threading.Event()
        under_way: set[str] = set()

        def one(name: str) -> None:
            try:
                self.tick(name)
            finally:
                under_way.discard(name)

        def run() -> None:
            following = time.monotonic()
            while not stop.wait(max(0.0, following - time.monotonic())):
                following = max(following + 1, time.monotonic())
                for name in TICKING:
                    # pg_cron's own ticks come at the full minute
                    if name in under_way or (name in BY_CRON and self.now() % 60 < 2):
                        continue
                    under_way.add(name)
                    pool.submit(one, name)

        with ThreadPoolExecutor(4, "tick") as pool:
            thread = threading.Thread(target=run, name="ticker", daemon=True)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()

    def close(self) -> None:
        """End what runs beside the server."""
        for name in list(self.processes):
            self.kill(name)
        self.journal.close()


def _uuid(source: random.Random) -> str:
    return f"{source.getrandbits(128):032x}"
