"""What goes wrong, when, and for how long: a plan that comes from a seed, and the hands that carry it out."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import psycopg

from autosync_db.credentials import store
from autosync_db.health import verify
from tests.chaos.world import HOUSE, World
from tests.support import clusters, command, keys


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault of the plan: seconds after the start, what, and for how many seconds."""

    at: float
    kind: str
    lasts: float

    def __str__(self) -> str:
        """Return it as a line of the plan."""
        return f"{self.at:7.1f} s  {self.kind}" + (f", {self.lasts:.1f} s" if self.lasts else "")


@dataclass(slots=True)
class Happened:
    """A fault as it was: its times by this machine's clock, what verify named meanwhile, and when it was gone."""

    kind: str
    begun: float
    ended: float = 0
    named: str = ""
    healthy_after: float | None = None
    trouble: str = ""

    def __str__(self) -> str:
        """Return it as a line of a diagnosis."""
        return f"{self.kind} from {self.begun:.2f} to {self.ended:.2f} {self.named} {self.trouble}"


# kind: the checks of which one has to name it while it lasts, its least and its most seconds
LASTING: dict[str, tuple[tuple[str, ...], float, float]] = {
    "worker dead": (("pg_net_worker_running",), 3, 8),
    "functions dead": (("project_url_reachable", "function_reached"), 5, 9),
    "secret missing": (("secrets_present",), 2, 6),
    "function broken": (("function_succeeds",), 6, 9),
    "key refused": (("function_accepts_key",), 6, 9),
    "job inactive": (("job_active",), 1, 3),
    "job unscheduled": (("job_scheduled",), 1, 3),
    # told to end, it does not come back before the server is started again
    "launcher ended": (("pg_cron_scheduler_running",), 4, 6),
    "server down": ((), 1, 4),
    # pg_net's ids start again at 1, twice, before anybody has read the answers of the first time
    "crashed unsettled": ((), 4, 6),
    "schedules locked": ((), 1, 4),
}
SUDDEN = ("worker killed", "backend ended", "backend killed", "pooler cut", "restarted")
# what a command that runs meanwhile would put right
ALONE = ("job inactive", "job unscheduled", "key refused")
# these empty pg_net's tables
CRASHES = ("backend killed", "server down", "crashed unsettled")
# after these a batch is sent once more
RESENDING = (*CRASHES, "worker killed", "worker dead", "backend ended", "restarted", "launcher ended")
COMMANDS = {
    "migrate": ("migrate",),
    "verify": ("verify",),
    "audit": ("audit",),
    "trigger": ("jobs", "trigger", "expecting"),
    "repair": ("repair", "--yes"),
    "setup": ("setup", "--no-wait"),
    "status": ("status",),
    "rotate": (),
    "plan": (),
    "teardown elsewhere": (),
}


def planned(seed: int, seconds: float, every: float, calm: float) -> list[Planned]:
    """Return the plan: each kind in turn, in an order of the seed, so that a long run has all of them several times."""
    source = random.Random(f"{seed} faults")
    found: list[Planned] = []
    waiting: list[str] = []
    at = every / 2
    while at < seconds - calm:
        if not waiting:
            waiting = [*LASTING, *SUDDEN]
            source.shuffle(waiting)
        kind = waiting.pop()
        _, least, most = LASTING.get(kind, ((), 0, 0))
        lasts = source.uniform(least, most)
        if at + lasts > seconds - calm:
            break
        found.append(Planned(at, kind, lasts))
        at += lasts + every * source.uniform(0.5, 1.5)
    return found


@dataclass
class Faults:
    """The hands: one fault after the other, each healed before the next begins."""

    world: World
    happened: list[Happened] = field(default_factory=list)
    never_healthy: str = ""
    source: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Take the choices within a fault from the seed."""
        self.source = random.Random(f"{self.world.seed} victims")

    def run(self, plan: list[Planned], started: float, until: float) -> None:
        """Carry the plan out."""
        for item in plan:
            if self.world.ended.wait(max(0.0, started + item.at - time.time())):
                return
            if time.time() + item.lasts > until:
                return  # each fault is healed before the next one, which may take longer than planned
            self.one(item)

    def one(self, item: Planned) -> Happened:
        """Let one fault happen, look what verify says of it, heal it, and look when verify no longer says it."""
        with self.world.alone if item.kind in ALONE else contextlib.nullcontext():
            return self._one(item)

    def _one(self, item: Planned) -> Happened:
        fault = Happened(item.kind, time.time())
        self.happened.append(fault)
        checks = LASTING.get(item.kind, ((), 0, 0))[0]
        try:
            with ExitStack() as stack:
                heal = self._begin(item.kind, stack)
                self.world.ended.wait(item.lasts)
                if checks:
                    fault.named = self._named(checks, patience=4)
                elif item.kind == "server down":
                    done = command.run_process("verify", database=self.world.cluster.url(), folder=self.world.folder)
                    fault.named = f"exit {done.code}"
                if heal:
                    heal()
        except Exception as error:
            fault.trouble = f"{type(error).__name__}: {error}"
        fault.ended = time.time()
        if checks:
            fault.healthy_after = self._gone(checks, fault.ended)
        self.world.journal.write("fault", kind=fault.kind, begun=fault.begun, ended=fault.ended, named=fault.named)
        return fault

    def _begin(self, kind: str, stack: ExitStack) -> Callable[[], None] | None:
        """Begin a fault; return what heals it, or None where it heals by itself."""
        begin: dict[str, Callable[[], Callable[[], None] | None]] = {
            "worker dead": lambda: self._without("worker"),
            "worker killed": lambda: self._again("worker"),
            "functions dead": lambda: self._without("functions"),
            "secret missing": self._secret_missing,
            "function broken": self._broken,
            "key refused": self._key_refused,
            "job inactive": self._inactive,
            "job unscheduled": self._unscheduled,
            "server down": self._server_down,
            "schedules locked": lambda: self._locked(stack),
            "launcher ended": self._launcher_ended,
            "backend ended": lambda: self._end("pid = %s", self._victim()),
            "backend killed": self._crash,
            "pooler cut": lambda: self._end("usename = 'authenticator'"),
            "restarted": self._restarted,
            "crashed unsettled": lambda: self._crashed_unsettled(stack),
        }
        return begin[kind]()

    def _without(self, name: str) -> Callable[[], None]:
        self.world.kill(name)
        return lambda: self.world.start(name)

    def _again(self, name: str) -> None:
        self.world.kill(name)
        self.world.start(name)

    def _secret_missing(self) -> Callable[[], None]:
        with self.world.session() as owner:
            store.delete(owner, "partner_token")

        def heal() -> None:
            with self.world.session() as owner:
                store.store(owner, {"partner_token": self.world.partner})

        return heal

    def _broken(self) -> Callable[[], None]:
        self.world.order(broken=["get"])
        return lambda: self.world.order(broken=[])

    def _key_refused(self) -> Callable[[], None]:
        before = self.world.orders["accepted"]
        self.world.order(accepted=before | {"partner": ["none"]})
        return lambda: self.world.accept(self.world.key)

    def _inactive(self) -> Callable[[], None]:
        with self.world.session() as owner:
            owner.execute(
                "select cron.alter_job(job_id := j.jobid, active := false) from cron.job as j where j.jobname = 'get'"
            )
        return lambda: self._repair("job_active")

    def _unscheduled(self) -> Callable[[], None]:
        with self.world.session() as owner:
            owner.execute("select cron.unschedule('elsewhere')")
        return lambda: self._repair("job_scheduled")

    def _repair(self, check: str) -> None:
        done = command.run_process(
            "repair", check, "--yes", database=self.world.cluster.url(), folder=self.world.folder
        )
        # 3 where something else fails meanwhile
        assert done.code in (0, 3), done.err
        # somebody else may have come first
        assert f"repaired  {check}" in done.out + done.err or "nothing to do" in done.out + done.err, done.err

    def _server_down(self) -> Callable[[], None]:
        self.world.cluster.stop("immediate")
        return self.world.start_server

    def _launcher_ended(self) -> Callable[[], None]:
        self._end("application_name = 'pg_cron scheduler'")
        return self._restarted

    def _crashed_unsettled(self, stack: ExitStack) -> None:
        self.world.resting.add(HOUSE)
        stack.callback(self.world.resting.clear)
        for _ in range(2):
            self._server_down()()
            self.world.ended.wait(4)

    def _restarted(self) -> None:
        self.world.cluster.stop()
        self.world.start_server()

    def _locked(self, stack: ExitStack) -> None:
        session = stack.enter_context(self.world.session())
        stack.enter_context(session.transaction())
        with contextlib.suppress(psycopg.errors.LockNotAvailable):
            session.execute("set local lock_timeout = '2s'")
            session.execute("lock table public.auto_sync_schedules in access exclusive mode")

    def _victim(self) -> int:
        with self.world.session("supabase_admin") as admin:
            rows = admin.execute(
                "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
                " order by backend_start"
            ).fetchall()
        return int(self.source.choice(rows)[0])

    def _end(self, which: str, *values: int) -> None:
        with self.world.session("supabase_admin") as admin:
            admin.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {which}".encode(), values)

    def _crash(self) -> None:
        # younger servers are taken for ones that are starting
        clusters.wait_for(
            lambda: self._value("select clock_timestamp() > pg_postmaster_start_time() + interval '6 seconds'"),
            "a server",
        )
        os.kill(self._victim(), signal.SIGKILL)
        clusters.wait_for(lambda: self._value("select true"), "the recovery")

    def _value(self, query: str) -> object:
        try:
            with self.world.session() as owner:
                return owner.execute(query.encode()).fetchone()[0]
        except psycopg.OperationalError:
            return None

    def roots(self, only: tuple[str, ...] = ()) -> dict[str, str]:
        """Return the root causes that verify finds, with what it says of each."""
        with self.world.session() as owner:
            report = verify.run(owner, self.world.configuration, only)
        return {result.id: result.verdict.summary for result in report.root_causes}

    def _named(self, checks: tuple[str, ...], patience: float) -> str:
        """Return which of the checks names what is wrong, within a time; empty when none does."""
        deadline = time.time() + patience
        while True:
            if found := [id for id in self.roots(checks) if id in checks]:
                return found[0]
            if time.time() > deadline:
                return ""
            time.sleep(0.2)

    def _gone(self, checks: tuple[str, ...], since: float) -> float | None:
        """Return after how many seconds none of the checks is a root cause; None when that takes too long."""
        while time.time() < since + 20:
            with contextlib.suppress(psycopg.Error):
                if not set(self.roots(checks)) & set(checks):
                    return time.time() - since
            time.sleep(0.2)
        return None


@dataclass
class Operators:
    """People and CI at work meanwhile: migrations, rotations, other settings, API users, and a teardown next door."""

    world: World
    results: list[tuple[str, int, str]] = field(default_factory=list)
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take the choices from the seed."""
        self.source = random.Random(f"{self.world.seed} operators")

    def run_commands(self, every: float) -> None:
        """Run one command after the other until the world ends."""
        waiting: list[str] = []
        while not self.world.ended.wait(every):
            if not waiting:
                waiting = list(COMMANDS)
                self.source.shuffle(waiting)
            try:
                with self.world.alone:
                    self._command(waiting.pop())
            except psycopg.Error as error:
                self.results.append(("look", 4, str(error).strip()))

    def _command(self, name: str) -> None:
        if name == "rotate":
            self._rotate()
        elif name == "plan":
            try:
                self.world.apply_plan(self.source.choice((2, 3, 4)))
                self.results.append((name, 0, ""))
            except Exception as error:
                self.results.append((name, 4, f"{type(error).__name__}: {error}"))
        elif COMMANDS[name]:
            self._process(name, *COMMANDS[name])
        else:
            with self.world.session("supabase_admin", "template1") as admin:
                admin.execute("drop database if exists other with (force)")
                admin.execute("create database other template neighbour owner postgres")
            self._process(name, "teardown", "--yes", database="other")

    def _process(self, name: str, *arguments: str, database: str = "postgres", **variables: str) -> int:
        server = self.source.choice((self.world.cluster, self.world.pooled))
        done = command.run_process(
            *arguments, database=server.url("postgres", database), variables=variables, folder=self.world.folder
        )
        self.results.append((name, done.code, " | ".join((*done.errors, *done.hints))))
        if done.code in (1, 2) or "Traceback" in done.err:
            self.wrong.append(f"{name} ended with exit {done.code}: {done.err[-2000:]}")
        if any(value in done.out + done.err for value in variables.values()):
            self.wrong.append(f"{name} showed a secret")
        return done.code

    def _rotate(self) -> None:
        """Replace the service key; the old one is refused only when the command says that the new one is active."""
        old, new = self.world.key, keys.secret()
        self.world.accept(old, new)
        code = self._process("rotate", "rotate", "--from-env", "NEW_KEY", NEW_KEY=new.reveal())
        # what is unfinished is ended before the next one
        for _ in range(5):
            if code == 0 or self._process("rotate --abort", "rotate", "--abort") == 0 or self.world.ended.wait(2):
                break
        # whoever was cut off from the answer to a commit does not know which it is, and has to look
        with self.world.session() as owner:
            active = store.read(owner, "service_role_key")
        if code == 0 and active != new.reveal():
            self.wrong.append("rotate said that it was done, and the new key is not stored")
        self.world.key = new if active == new.reveal() else old
        # what is under way still carries the other
        self.world.ended.wait(6)
        self.world.accept(self.world.key)

    def run_writes(self, every: float) -> None:
        """Write as the Data API does until the world ends: the service role may, a user of the API may not."""
        while not self.world.ended.wait(every):
            try:
                self._write()
            except psycopg.OperationalError:
                self.world.ended.wait(0.5)

    def _write(self) -> None:
        kind = self.source.choice(("insert", "insert", "update", "delete", "user"))
        mine = sorted(self.added - self.removed)
        id = self.source.choice(mine) if mine and kind != "insert" else f"{self.source.getrandbits(128):032x}"
        statement = {
            "insert": "insert into public.auto_sync_schedules (id, integration_id, enabled, frequency_minutes)"
            " values (%(id)s, %(id)s, true, 1)",
            "user": "update public.auto_sync_schedules set enabled = false where id = %(id)s",
            "update": "update public.auto_sync_schedules set frequency_minutes = 1 + floor(random() * 3)::integer,"
            " timezone = 'Europe/Paris' where id = %(id)s",
            "delete": "delete from public.auto_sync_schedules where id = %(id)s",
        }[kind]
        self.unknown.add(id)
        role = "authenticated" if kind == "user" else "service_role"
        with self.world.session("authenticator") as connection:
            try:
                with connection.transaction():
                    connection.execute(f"set local role {role}".encode())
                    connection.execute(statement.encode(), {"id": id})
                    if kind == "user":
                        self.wrong.append("a user of the API wrote a schedule")
            except psycopg.errors.InsufficientPrivilege:
                if kind != "user":
                    raise
        self.unknown.discard(id)
        if kind == "insert":
            self.added.add(id)
        elif kind == "delete":
            self.removed.add(id)


def lines(plan: list[Planned]) -> Iterator[str]:
    """Yield the plan as it is printed."""
    yield from map(str, plan)
