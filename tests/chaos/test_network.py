"""The line to the server goes bad anywhere: every command ends in time, says so once, and leaves nothing half done."""

import collections
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from autosync_db.local.cluster import Cluster
from tests.chaos import ground
from tests.chaos.ground import Ground
from tests.poolers.test_commands import COMMANDS
from tests.support import bad_network, clusters, health, http_stub
from tests.support.bad_network import Fault, Kind, Line
from tests.support.command import Result

TIMEOUT = "1s"
# other connections may look for what is active, and one that waits for a server that restarts goes on for 8 s
LONGEST_SECONDS = 25.0
KINDS: tuple[Kind, ...] = (*bad_network.OF_A_BYTE, "mute", "commit stalls", "commit is cut")


@dataclass(frozen=True, slots=True)
class Unit:
    """One command line to be disturbed, after others that are not."""

    line: str
    before: tuple[str, ...] = ()


def _units() -> list[Unit]:
    found = []
    for lines in COMMANDS.values():
        plain = [line.lstrip("0123456789 ") for line in lines]
        found += [Unit(line, tuple(plain[:number])) for number, line in enumerate(plain)]
    # of lines that stand in several places, the first
    return list({unit.line: unit for unit in reversed(found)}.values())[::-1]


UNITS = _units()


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with health.impatience(), health.launcher_that_counts_as_settled():
        yield


@dataclass
class Trial:
    """One command line, disturbed again and again; a copy on which something was done is not used again."""

    unit: Unit
    template: Cluster
    folder: Path
    stub: http_stub.Stub
    tally: collections.Counter[str] = field(default_factory=collections.Counter)
    problems: list[str] = field(default_factory=list)
    slowest: float = 0.0
    stack: ExitStack = field(default_factory=ExitStack)
    _is_fresh: bool = False

    def renew(self) -> None:
        """Begin on a fresh copy, unless the one at hand is as it was."""
        if self._is_fresh:
            return
        self.stack.close()
        self.found: Ground = self.stack.enter_context(ground.running(self.template, self.stub, self.folder))
        self.line: Line = self.stack.enter_context(bad_network.line(self.found.cluster))
        self.last = ""
        for line in self.unit.before:
            result = self.found.run(line, last=self.last)
            assert result.code in {0, 5}, f"{line}: {result}"
            self.last = result.out.strip()
        self.before = self.found.state()
        self.user = self.found.of_the_user()
        self._is_fresh = True

    def measure(self) -> None:
        """Run it undisturbed: what it carries, how it ends and what it leaves."""
        self.renew()
        self.whole, _ = self._run()
        self.carried, self.commits = dict(self.line.carried), self.line.commits
        self.after = self.found.state()
        self.after_user = self.found.of_the_user()
        self._is_fresh = self.after == self.before

    def disturb(self, fault: Fault) -> None:
        """Run it with a fault, and judge what became of it."""
        self.renew()
        self.line.arm(fault)
        result, taken = self._run()
        self.slowest = max(self.slowest, taken)
        what = f"{self.unit.line} with {fault} of {self.line.carried}, {self.line.commits} commits"
        self.line.arm(None)
        self._is_fresh = False
        try:
            assert taken <= LONGEST_SECONDS, f"{what} took {taken:.1f} s"
            self._judge(what, result)
        except AssertionError as error:
            self.problems.append(f"{what}: {error}"[:3000])

    def _run(self) -> tuple[Result, float]:
        """Run it through the relay, which ends every connection where it takes too long."""
        late = threading.Timer(LONGEST_SECONDS + 5, self.line.end)
        late.daemon = True
        late.start()
        begun = time.monotonic()
        try:
            result = self.found.run(self.unit.line, "--timeout", TIMEOUT, last=self.last, url=self.line.url())
            return result, time.monotonic() - begun
        finally:
            late.cancel()

    def _judge(self, what: str, result: Result) -> None:
        self._judge_words(result)
        self.found.settled()
        state = self.found.state()
        is_before, is_after = not ground.different(self.before, state), not ground.different(self.after, state)
        self._is_fresh = is_before
        found = "as before" if is_before else "done" if is_after else "midway"
        self.tally[f"exit {result.code}, {found}"] += 1
        assert self.found.of_the_user() in (self.user, self.after_user)
        if result.code == self.whole.code:
            assert is_after, f"it says that it is done: {ground.different(self.after, state)}"
        if found == "midway":
            print(f"midway: {what}: {ground.different(self.before, state)}\n{result.err}")
            ground.lapse(self.found)
            again = self.found.run(self.unit.line, last=self.last)
            assert again.code == 0, f"the next run: {again}"
            left = ground.different(self.after, self.found.state())
            assert not left, f"after the next run: {left}"

    def _judge_words(self, result: Result) -> None:
        """Fail unless it ended as it does undisturbed, or with exit 4, one error and one hint."""
        seen = f"exit {result.code}\n{result.out[-1500:]}\n{result.err}"
        assert "Traceback" not in result.out + result.err, seen
        assert "internal error" not in result.err, seen
        for secret in self.found.secrets():
            assert secret not in result.out + result.err, "a secret was printed"
        # a look from nearby may find the same, as of a run that pg_cron began while the server did
        assert result.code in {self.whole.code, 4} or result.code == self.found.run("verify").code, seen
        # verify has a report of it
        if result.code == 4 and "server_reachable" not in result.out:
            assert (len(result.errors), len(result.hints)) == (1, 1), seen
            assert result.hints[0], seen
            assert result.err.splitlines()[-2:] == [f"error: {result.errors[0]}", f"hint: {result.hints[0]}"], seen


@contextmanager
def _trial(template: Cluster, folder: Path, line: str) -> Iterator[Trial]:
    unit = next(unit for unit in UNITS if unit.line == line)
    with http_stub.serve() as stub, ExitStack() as stack:
        made = Trial(unit, template, folder, stub, stack=stack)
        made.measure()
        yield made
        print(f"\n{line}: {made.tally.total()} faults, the slowest took {made.slowest:.1f} s")
        for what, count in sorted(made.tally.items()):
            print(f"  {count:4d} {what}")
        assert not made.problems, "\n\n".join(made.problems)


@pytest.mark.long
@pytest.mark.parametrize("line", [unit.line for unit in UNITS])
def test_every_command_ends_and_leaves_nothing_half_done(
    template: Cluster, tmp_path: Path, line: str, seed: int
) -> None:
    choose = random.Random(f"{seed} {line}")
    with _trial(template, tmp_path, line) as trial:
        for kind in KINDS:
            if trial.commits or not kind.startswith("commit"):
                trial.disturb(bad_network.at_random(choose, kind, trial.carried, trial.commits))


def test_a_server_that_says_nothing(template: Cluster, tmp_path: Path) -> None:
    """It accepts and never answers, falls silent in the middle of an answer, or in that to a commit."""
    with _trial(template, tmp_path, "jobs pause") as trial:
        for fault in (
            Fault("mute", lasts=True),
            Fault("stall", at=trial.carried["server"] // 2),
            # the one of the change: looks before it end in commits, too
            Fault("commit stalls", at=trial.commits, lasts=True),
        ):
            trial.disturb(fault)
    assert trial.tally == {"exit 4, as before": 2, "exit 4, done": 1}
    assert trial.slowest < 8


def test_a_job_that_was_handed_over_unheard_stays_so(template: Cluster, tmp_path: Path) -> None:
    """Its text, which is kept, would be lost if the row of the job were taken back alone."""
    adopt = "jobs adopt theirs --config {theirs} --yes"
    with _trial(template, tmp_path, adopt) as trial:
        # that of the hand-over is one of them; how many looks at the call come before it differs from run to run
        for number in [*range(2, trial.commits + 6)] * 4:
            trial.disturb(Fault("commit is cut", at=number))
            with clusters.connect(trial.found.cluster) as owner:
                owner.execute(ground.RUN_THEIRS)
            if trial.tally["exit 4, done"]:
                break
    assert trial.tally["exit 4, done"] >= 1
