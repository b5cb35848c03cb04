"""The line to the server goes bad anywhere: every command ends in time, says so once, and leaves nothing half done."""

import collections
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from autosync_db.local.cluster import Cluster
from tests.chaos import ground
from tests.chaos.ground import Ground
from tests.poolers.test_commands import COMMANDS
from tests.support import bad_network, clusters, health, http_stub
from tests.support.bad_network import Fault, Line
from tests.support.command import Result

TIMEOUT_SECONDS = 1
# two more connections may look for what is active, one that waits for a server that restarts goes on for 8 s
LONGEST_SECONDS = 25.0
KINDS: tuple[bad_network.Kind, ...] = (*bad_network.OF_A_BYTE, "mute", "commit stalls", "commit is cut")


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


@pytest.fixture(scope="module")
def template(blank_template: Cluster) -> Cluster:
    """A stopped cluster with somebody's project."""
    return ground.template(blank_template)


@contextmanager
def _quick() -> Iterator[None]:
    with health.impatience(), health.launcher_that_counts_as_settled():
        yield


def _seed() -> int:
    seed = int(os.environ.get("AUTOSYNC_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"seed {seed} (AUTOSYNC_TEST_SEED repeats it)")
    return seed


def _run(found: Ground, line: Line, unit: Unit, last: str) -> tuple[Result, float]:
    """Run a command through the relay, which ends every connection where that takes too long."""
    late = threading.Timer(LONGEST_SECONDS + 5, line.end)
    late.daemon = True
    late.start()
    begun = time.monotonic()
    try:
        return found.run(unit.line, "--timeout", f"{TIMEOUT_SECONDS}s", last=last, url=line.url()), (
            time.monotonic() - begun
        )
    finally:
        late.cancel()


def _prepare(found: Ground, unit: Unit) -> str:
    last = ""
    for line in unit.before:
        result = found.run(line, last=last)
        assert result.code in {0, 5}, f"{line}: {result}"
        last = result.out.strip()
    return last


def _judge(found: Ground, unit: Unit, hit: str, result: Result, codes: set[int]) -> None:
    """Fail unless the command ended as it may."""
    seen = f"{unit.line} with {hit}: exit {result.code}\n{result.out[-1500:]}\n{result.err}"
    assert "Traceback" not in result.out + result.err, seen
    assert "internal error" not in result.err, seen
    for secret in found.secrets():
        assert secret not in result.out + result.err, "a secret was printed"
    assert result.code in codes | {4}, seen
    if result.code == 4 and unit.line.startswith("verify"):
        assert "server_reachable" in result.out or len(result.errors) == 1, seen
    elif result.code == 4:
        assert (len(result.errors), len(result.hints)) == (1, 1), seen
        assert result.hints[0], seen
        assert result.err.splitlines()[-2:] == [f"error: {result.errors[0]}", f"hint: {result.hints[0]}"], seen


class TestBadLine:
    """Every command over a line that goes bad."""

    def disturb(self, template: Cluster, folder: Path, units: list[Unit], kinds: list[list[bad_network.Kind]]) -> None:
        """Disturb each unit once by each kind, and print what became of it."""
        seed = _seed()
        tally: collections.Counter[str] = collections.Counter()
        slowest, problems = 0.0, []
        with _quick(), http_stub.serve() as stub:
            for unit, chosen in zip(units, kinds, strict=True):
                try:
                    slowest = max(slowest, self.one(template, folder, stub, unit, chosen, seed, tally, problems))
                except Exception as error:
                    problems.append(f"{unit.line}: {type(error).__name__} {error}"[:1500])
        print(f"\n{len(units)} command lines, {tally.total()} faults; the slowest took {slowest:.1f} s")
        for what, count in sorted(tally.items()):
            print(f"  {count:4d} {what}")
        assert not problems, f"seed {seed}\n" + "\n\n".join(problems)

    def one(
        self, template: Cluster, folder: Path, stub: http_stub.Stub, unit: Unit, kinds: list[bad_network.Kind],
        seed: int, tally: "collections.Counter[str]", problems: list[str],
    ) -> float:  # fmt: skip
        """Disturb one command; return how long the slowest run took."""
        choose = random.Random(f"{seed} {unit.line}")
        slowest = 0.0
        pending = list(kinds)
        with ground.running(template, stub, folder) as alone, bad_network.line(alone.cluster) as line:
            last = _prepare(alone, unit)
            before = alone.state()
            whole, _ = _run(alone, line, unit, last)
            carried, commits = dict(line.carried), line.commits
            after = alone.state()
            user = alone.of_the_user() if not unit.line.startswith("teardown") else []
        while pending:
            with ground.running(template, stub, folder) as found, bad_network.line(found.cluster) as line:
                last = _prepare(found, unit)
                while pending:
                    kind = pending.pop(0)
                    if kind.startswith("commit") and not commits:
                        continue
                    fault = bad_network.at_random(choose, kind, carried, commits)
                    line.arm(fault)
                    result, taken = _run(found, line, unit, last)
                    slowest = max(slowest, taken)
                    hit = f"{fault} of {line.carried}, {line.commits} commits"
                    line.arm(None)
                    try:
                        assert taken <= LONGEST_SECONDS, f"{unit.line} with {fault} took {taken:.1f} s"
                        _judge(found, unit, hit, result, {whole.code})
                        found.settled()
                        state = found.state()
                        is_before, is_after = not ground.different(before, state), not ground.different(after, state)
                        tally[
                            f"exit {result.code}, {'as before' if is_before else 'done' if is_after else 'midway'}"
                        ] += 1
                        if result.code == whole.code and not (is_after or is_before and before == after):
                            raise AssertionError(f"exit 0 and not done: {ground.different(after, state)}")
                        if not is_before and not is_after:
                            self.finish(found, unit, last, hit, result, before, after)
                    except AssertionError as error:
                        problems.append(f"{unit.line} with {fault}: {error}"[:3000])
                        break
                    if not is_before:
                        break
        return slowest

    def finish(
        self, found: Ground, unit: Unit, last: str, hit: str, result: Result,
        before: dict[str, list[str]], after: dict[str, list[str]],
    ) -> None:  # fmt: skip
        """Fail unless the same command, when the line is good again, ends what was begun."""
        midway = found.state()
        print(f"midway: {unit.line} with {hit}: {ground.different(before, midway)}\n{result.err}")
        ground.lapse(found)
        again = found.run(unit.line, last=last)
        left = ground.different(after, found.state())
        assert again.code == 0, f"the next run after {hit}: {again}"
        assert not left, f"the next run after {hit}: {left}"

    @pytest.mark.long
    @pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.line)
    def test_every_command_ends(self, template: Cluster, tmp_path: Path, unit: Unit) -> None:
        self.disturb(template, tmp_path, [unit], [list(KINDS)])
