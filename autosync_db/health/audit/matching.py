"""Whose answer it was, by time: pg_net keeps neither the address nor the job of a request.

An answer may be of any job that began in the seconds before. It is taken for a job's only where no other is possible:
because no other began then, or because all answers of that moment are alike. Where there are more of them than the jobs
make calls, somebody else calls, too. What is left over is said to be of nobody.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf

from autosync_db.health.audit.look import Answered

# the worker wakes each second, and `created` is when its batch began
_BEFORE, _AFTER = timedelta(seconds=5), timedelta(seconds=1)


@dataclass(slots=True)
class Matched:
    """The answers of one job, by the run that they followed, newest first."""

    by_run: dict[datetime, list[Answered]] = field(default_factory=lambda: defaultdict(list))

    def add(self, start: datetime, answer: Answered) -> None:
        """Take an answer for that of the run."""
        self.by_run[start].append(answer)

    @property
    def runs(self) -> list[list[Answered]]:
        """The answers of each run, the newest run first."""
        return [self.by_run[start] for start in sorted(self.by_run, reverse=True)]


@dataclass(frozen=True, slots=True)
class Left:
    """A faulty answer of which it cannot be said whose it is, and the jobs that it may be of.

    `may_be_anybodys`: there were more answers than these jobs make calls, so triggers or an application call, too.
    """

    answer: Answered
    suspects: frozenset[int]
    may_be_anybodys: bool = False


@dataclass(frozen=True, slots=True)
class Matching:
    """What answers are whose, and those that are left."""

    jobs: dict[int, Matched]
    left: tuple[Left, ...]


def match(
    answers: Sequence[Answered], starts: Iterable[tuple[int, datetime]], calling: Mapping[int, int | None]
) -> Matching:
    """Match answers with the runs of jobs that make calls; `calling` has how many a run makes, where that is known."""
    begun = sorted((start, job) for job, start in starts if job in calling and start is not None)
    moments = [start for start, _ in begun]
    groups: dict[tuple[tuple[datetime, int], ...], list[Answered]] = defaultdict(list)
    made: dict[tuple[tuple[datetime, int], ...], float] = defaultdict(float)
    for answer in answers:
        first, last = (
            bisect_left(moments, answer.created - _BEFORE),
            bisect_right(moments, answer.created + _AFTER),
        )
        newest: dict[int, datetime] = {job: start for start, job in begun[first:last]}
        group = tuple(sorted((start, job) for job, start in newest.items()))
        groups[group].append(answer)
        made[group] = max(made[group], sum(_many(calling[job]) for _, job in begun[first:last]))
    jobs: dict[int, Matched] = defaultdict(Matched)
    open_groups = []
    for runs, found in groups.items():
        # somebody else calls, too
        is_crowded = len(found) > made[runs]
        if _are_alike(found, len(runs), is_crowded=is_crowded):
            for start, job in runs:
                for answer in found if len(runs) == 1 and not is_crowded else found[:1]:
                    jobs[job].add(start, answer)
        else:
            open_groups.append((runs, found, is_crowded))
    left = []
    # whoever answers well whenever it is alone is not whose answers are bad
    sound = {
        job for job, matched in jobs.items() if all(answer.fault is None for run in matched.runs for answer in run)
    }
    for runs, found, is_crowded in open_groups:
        suspects = [(start, job) for start, job in runs if job not in sound]
        for answer in found:
            if answer.fault is None:
                continue
            if len(suspects) == 1 and not is_crowded:
                jobs[suspects[0][1]].add(suspects[0][0], answer)
            else:
                left.append(Left(answer, frozenset(job for _, job in suspects or runs), is_crowded))
    return Matching(dict(jobs), tuple(left))


def _many(calls: int | None) -> float:
    return inf if calls is None else calls


def _are_alike(answers: Sequence[Answered], runs: int, *, is_crowded: bool) -> bool:
    """Whether what can be said of one can be said of all: one run's answers, or as many alike as there were runs."""
    if runs == 0:
        return False
    faults = {answer.fault is None for answer in answers}
    return (runs == 1 and not is_crowded) or (len(faults) == 1 and len(answers) >= runs)
