"""Two at once: both end as they may, and the end is one to which they would have come one after the other."""

import collections
import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from tests.chaos import children, ground
from tests.chaos.ground import Ground
from tests.support import clusters, health, http_stub
from tests.support.command import Result

SETUP = "setup --project-url {project_url}"
ADOPT = "jobs adopt theirs --config {theirs} --yes"
ROTATE = "rotate --from-env NEW_KEY"
DISPATCH = "dispatch"
OTHER_SCHEDULE = {"AUTOSYNC_JOB__SCHEDULE": "0 0 2 2 *"}
# one of our functions is another, the job is off
_BREAK = """
select cron.alter_job(c.jobid, active := false) from cron.job as c where c.jobname = 'auto-sync-cron-job';
create or replace function autosync.moment(instant timestamptz) returns text language sql as 'select $$broken$$';
"""
_STAYS_OUT = ("at work", "under way", "meanwhile", "in the meantime", "locked by", "run it again", "another")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two command lines, from what they start, and which of them only look."""

    left: str
    right: str
    from_nothing: bool = False
    before: str = ""
    lines_before: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return both in a word each."""
        start = " from nothing" if self.from_nothing else ""
        return f"{_short(self.left)} x {_short(self.right)}{start}"

    @property
    def looks(self) -> bool:
        """Whether the right one changes nothing."""
        return self.right in {"verify", "audit"}


def _short(line: str) -> str:
    return " ".join(line.split()[: 2 if line.startswith("jobs") else 1])


PAIRS = [
    Pair(SETUP, SETUP, from_nothing=True),
    Pair(SETUP, "teardown --yes"),
    Pair("plan --prune --yes", DISPATCH, settings=OTHER_SCHEDULE),
    Pair(SETUP, DISPATCH, settings=OTHER_SCHEDULE),
    Pair(ROTATE, DISPATCH),
    Pair("repair --yes", "migrate", before=_BREAK),
    Pair(ADOPT, ADOPT),
    Pair("teardown --yes", DISPATCH),
    Pair("rollback 0005 --yes", DISPATCH),
    Pair("migrate", DISPATCH, lines_before=("rollback 0005 --yes",)),
    *(
        Pair(left, right, **more)
        for right in ("verify", "audit")
        for left, more in (
            (SETUP, {"from_nothing": True}), ("teardown --yes", {}), (ROTATE, {}), (ADOPT, {}),
            ("repair --yes", {"before": _BREAK}), ("migrate", {"from_nothing": True}),
        )
    ),
]  # fmt: skip


class Ticks:
    """Ticks of the job, one after the other, until it is ended; pg_cron's would come each minute."""

    def __init__(self, cluster: Cluster) -> None:
        self.errors: collections.Counter[str] = collections.Counter()
        self.made = 0
        self._ended = threading.Event()
        self._cluster = cluster
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Return when the last one has ended."""
        self._ended.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "a tick does not end"

    def _run(self) -> None:
        with suppress(psycopg.OperationalError), clusters.connection(self._cluster) as owner:
            while not self._ended.is_set():
                try:
                    owner.execute("select autosync.dispatch()")
                    self.made += 1
                except psycopg.Error as error:
                    self.errors[f"{error.sqlstate} {error.diag.message_primary}"] += 1
                time.sleep(0.02)


@dataclass
class Arena:
    """Where pairs meet: fresh copies, and the states that one after the other leaves."""

    pair: Pair
    source: Cluster
    folder: Path
    context: ForkServerContext
    stub: http_stub.Stub

    @contextmanager
    def copy(self) -> Iterator[Ground]:
        """Yield a fresh copy as the pair finds it."""
        with ground.running(self.source, self.stub, self.folder) as found:
            for line in self.pair.lines_before:
                result = found.run(line)
                assert result.code == 0, result
            if self.pair.before:
                with clusters.connect(found.cluster) as owner:
                    owner.execute(self.pair.before.encode())
            yield found

    def start(self, found: Ground, line: str, moment: float = 0.0) -> children.Running:
        """Begin one of them."""
        return children.start(found, line, context=self.context, moment=moment, variables=self.pair.settings)

    def serial(self) -> tuple[list[dict[str, list[str]]], float]:
        """Return the states after each order, and after each alone; and how long the left one takes."""
        lines = [line for line in (self.pair.left, self.pair.right) if line != DISPATCH]
        orders = [list(one) for one in itertools.permutations(lines)] + [[line] for line in lines]
        if self.pair.looks or DISPATCH in (self.pair.left, self.pair.right):
            orders = [[self.pair.left]]
        states, taken = [], 0.0
        for order in orders:
            with self.copy() as found:
                for line in order:
                    begun = time.monotonic()
                    self.start(found, line).ended()
                    taken = taken or time.monotonic() - begun
                states.append(found.state())
        return states, taken

    def meet(self, choose: random.Random, states: list[dict[str, list[str]]], length: float) -> str:
        """Let them meet once; return how both ended. Fails where an end is not as it may be."""
        delays = [0.0, choose.uniform(0, length)]
        choose.shuffle(delays)
        with self.copy() as found, ExitStack() as stack:
            moment = time.monotonic() + 0.3
            seen = len(self.stub.requests)
            ticks = None
            if self.pair.right == DISPATCH:
                ticks = Ticks(found.cluster)
                stack.callback(ticks.end)
                results = [self.start(found, self.pair.left, moment).ended()]
                ticks.end()
            else:
                both = [
                    self.start(found, line, moment + delay)
                    for line, delay in zip((self.pair.left, self.pair.right), delays, strict=True)
                ]
                results = [one.ended() for one in both]
            codes = "/".join(str(result.code) for result in results)
            what = f"{self.pair.name}, the second {max(delays):.2f} of {length:.2f} s later: {codes}"
            for line, result in zip((self.pair.left, self.pair.right), results, strict=False):
                self.judge(found, line, result, what)
            if ticks:
                self.judge_ticks(ticks, what)
                codes += f" ({'no tick failed' if not ticks.errors else ', '.join(sorted(ticks.errors))[:120]})"
                if self.pair.left == ROTATE:
                    assert all(self.is_known(found, one) for one in self.stub.requests[seen:]), what
            found.settled()
            state = found.state()
            difference = [ground.different(one, state) for one in states]
            assert [] in difference, f"{what}: not as one after the other: {min(difference, key=len)}\n" + "\n".join(
                result.err for result in results
            )
            self.must_be_named(found, state, what)
            return codes

    def is_known(self, found: Ground, request: http_stub.Request) -> bool:
        """Return whether a call shows one of the two keys."""
        shown = request.headers.get("apikey") or request.headers.get("authorization", "").removeprefix("Bearer ")
        return shown in {found.key.reveal(), found.newer.reveal(), ""}

    def judge(self, found: Ground, line: str, result: Result, what: str) -> None:
        """Fail unless one of them ended as it may."""
        seen = f"{what}\n{line}: exit {result.code}\n{result.out[-1500:]}\n{result.err}"
        assert "Traceback" not in result.out + result.err, seen
        assert "deadlock" not in (result.out + result.err).lower(), seen
        assert "internal error" not in result.err, seen
        for secret in found.secrets():
            assert secret not in result.out + result.err, "a secret was printed"
        if line in {"verify", "audit"}:
            # what it looks at may be half there
            assert result.code in {0, 3, 4, 5}, seen
            return
        assert result.code in {0, 3, 5, 6}, seen
        if result.code == 3:
            # setup and repair verify at the end what the other one is taking away
            assert line.startswith(("setup", "repair")), seen
        elif result.code:
            assert len(result.errors) == len(result.hints) == 1, seen
            assert any(word in result.errors[0] + result.hints[0] for word in _STAYS_OUT), seen

    def judge_ticks(self, ticks: Ticks, what: str) -> None:
        """Fail unless ticks were made all the while, except where all was taken away."""
        assert ticks.made, what
        for error in ticks.errors:
            assert "40P01" not in error, f"{what}: {error}"
            is_gone = error.startswith(("3F000", "42883", "42P01", "55P03"))
            assert is_gone, f"{what}: {error}"
            assert self.pair.left.startswith(("teardown", "rollback")), f"{what}: {error}"

    def must_be_named(self, found: Ground, state: dict[str, list[str]], what: str) -> None:
        """Fail unless verify says that all is well, or what is gone."""
        report = self.start(found, "verify").ended()
        seen = f"verify after {what}: {report}"
        if "autosync.job" in state:
            assert report.code in {0, 3}, seen
            assert report.code == 0 or "critical" in report.out, seen
        else:
            assert report.code in {3, 5}, seen


@contextmanager
def _arena(pair: Pair, template: Cluster, blank: Cluster, folder: Path, context: ForkServerContext) -> Iterator[Arena]:
    with http_stub.serve() as stub, health.impatience(), health.launcher_that_counts_as_settled():
        yield Arena(pair, blank if pair.from_nothing else template, folder, context, stub)


def _meet(arena: Arena, times: int, seed: int) -> None:
    choose = random.Random(seed)
    states, length = arena.serial()
    tally: collections.Counter[str] = collections.Counter()
    problems = []
    for _ in range(times):
        try:
            tally[arena.meet(choose, states, length)] += 1
        except AssertionError as error:
            problems.append(str(error)[:3000])
    print(f"\n{arena.pair.name}: met {times} times; {len(problems)} problems")
    for codes, count in sorted(tally.items()):
        print(f"  {count:4d} exit {codes}")
    assert not problems, f"{len(problems)} of {times}\n" + "\n\n".join(problems)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_at_once(
    pair: Pair, template: Cluster, blank_template: Cluster, tmp_path: Path, context: ForkServerContext, seed: int
) -> None:
    with _arena(pair, template, blank_template, tmp_path, context) as arena:
        _meet(arena, int(os.environ.get("CHAOS_TIMES", "50")), seed)


def test_a_tick_that_meets_a_teardown_is_failed_by_no_deadlock(
    template: Cluster, blank_template: Cluster, tmp_path: Path, context: ForkServerContext, seed: int
) -> None:
    pair = next(pair for pair in PAIRS if pair.name == "teardown x dispatch")
    with _arena(pair, template, blank_template, tmp_path, context) as arena:
        _meet(arena, 1, seed)
