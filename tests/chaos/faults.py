"""What goes wrong, when, and for how long: a plan that comes from a seed, and the hands that carry it out."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg

from autosync_db.credentials import store
from autosync_db.health import verify
from tests.chaos.world import HOUSE, World
from tests.support import clusters, command
from tests.support.clusters import REAL_PG_NET


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
    # the real one is started again by the server: it has to serve another database
    "worker dead": (("pg_net_database_matches" if REAL_PG_NET else "pg_net_worker_running",), 3, 8),
    "functions dead": (("project_url_reachable", "function_reached"), 5, 9),
    "secret missing": (("secrets_present",), 2, 6),
    "function broken": (("function_succeeds",), 6, 9),
    "key refused": (("function_accepts_key",), 6, 9),
    "job inactive": (("job_active",), 1, 3),
    "job unscheduled": (("job_scheduled",), 1, 3),
    # ended from outside, it comes back with the server, from pg_cron 1.6.1 on within a second
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
                    fault.named = self._named(checks, patience=4) or self._is_over(item.kind)
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
            "worker dead": self._worker_dead,
            "worker killed": self._worker_killed,
            "functions dead": lambda: self._without("functions"),
            "secret missing": self._secret_missing,
            "function broken": self._broken,
            "key refused": self._key_refused,
            "job inactive": self._inactive,
            "job unscheduled": self._unscheduled,
            "server down": self._server_down,
            "schedules locked": lambda: self._locked(stack),
            "launcher ended": self._launcher_ended,
            "backend ended": self._backend_ended,
            "backend killed": self._crash,
            "pooler cut": lambda: self._end("usename = 'authenticator'"),
            "restarted": self._restarted,
            "crashed unsettled": lambda: self._crashed_unsettled(stack),
        }
        return begin[kind]()

    def _without(self, name: str) -> Callable[[], None]:
        self.world.kill(name)
        return lambda: self.world.start(name)

    def _worker_dead(self) -> Callable[[], None]:
        if not REAL_PG_NET:
            return self._without("worker")
        self._administer("alter system set pg_net.database_name = 'template1'")
        self._restarted()

        def heal() -> None:
            self._administer("alter system reset pg_net.database_name")
            self._restarted()

        return heal

    def _worker_killed(self) -> None:
        if REAL_PG_NET:
            self._end("starts_with(backend_type, 'pg_net')")
            return
        self.world.kill("worker")
        self.world.start("worker")

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

    def _is_over(self, kind: str) -> str:
        """Return that the fault was over by itself, where it can be; empty where it lasts."""
        if kind != "launcher ended":
            return ""
        is_back = self._value(
            "select exists (select from pg_stat_activity where application_name = 'pg_cron scheduler')"
        )
        return "came back by itself" if is_back else ""

    def _restarted(self) -> None:
        self.world.cluster.stop()
        self.world.start_server()

    def _locked(self, stack: ExitStack) -> None:
        session = stack.enter_context(self.world.session())
        stack.enter_context(session.transaction())
        with contextlib.suppress(psycopg.errors.LockNotAvailable):
            session.execute("set local lock_timeout = '2s'")
            session.execute("lock table public.auto_sync_schedules in access exclusive mode")

    def _administer(self, statement: str) -> None:
        with self.world.session("supabase_admin") as admin:
            admin.execute(statement.encode())

    def _backend_ended(self) -> None:
        if victim := self._victim():
            self._end("pid = %s", victim)

    def _victim(self) -> int | None:
        """Return a session of somebody else's; None where the world ended before ticks opened one."""
        with self.world.session("supabase_admin") as admin:
            rows: list[tuple[Any, ...]] = []
            while not rows and not self.world.ended.wait(0.02):
                rows = admin.execute(
                    "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
                    " order by backend_start"
                ).fetchall()
        return int(self.source.choice(rows)[0]) if rows else None

    def _end(self, which: str, *values: int) -> None:
        with self.world.session("supabase_admin") as admin:
            admin.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {which}".encode(), values)

    def _crash(self) -> None:
        # younger servers are taken for ones that are starting
        clusters.wait_for(
            lambda: self._value("select clock_timestamp() > pg_postmaster_start_time() + interval '6 seconds'"),
            "a server",
        )
        if victim := self._victim():
            os.kill(victim, signal.SIGKILL)
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
