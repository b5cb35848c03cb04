"""Whose answer it was, by time: pg_net keeps neither the address nor the job of a request.

An answer may be of any job that began in the seconds before. It is taken for a job's only where no other is possible:
because no other began then, or because all answers of that moment are alike. What is left over is said to be of nobody.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
class Matching:
    """What answers are whose; `left` are faulty ones of which it cannot be said, with the jobs that they may be of."""

    jobs: dict[int, Matched]
    left: tuple[tuple[Answered, frozenset[int]], ...]


def match(answers: Sequence[Answered], starts: Iterable[tuple[int, datetime]], calling: frozenset[int]) -> Matching:
    """Match answers with the runs of jobs that make calls."""
    begun = sorted((start, job) for job, start in starts if job in calling and start is not None)
    moments = [start for start, _ in begun]
    groups: dict[tuple[tuple[datetime, int], ...], list[Answered]] = defaultdict(list)
    for answer in answers:
        first, last = (
            bisect_left(moments, answer.created - _BEFORE),
            bisect_right(moments, answer.created + _AFTER),
        )
        newest: dict[int, datetime] = {job: start for start, job in begun[first:last]}
        groups[tuple(sorted((start, job) for job, start in newest.items()))].append(answer)
    jobs: dict[int, Matched] = defaultdict(Matched)
    open_groups = []
    for runs, found in groups.items():
        if _are_alike(found, len(runs)):
            for start, job in runs:
                for answer in found if len(runs) == 1 else found[:1]:
                    jobs[job].add(start, answer)
        else:
            open_groups.append((runs, found))
    left = []
    # whoever answers well whenever it is alone is not whose answers are bad
    sound = {
        job for job, matched in jobs.items() if all(answer.fault is None for run in matched.runs for answer in run)
    }
    for runs, found in open_groups:
        suspects = [(start, job) for start, job in runs if job not in sound]
        for answer in found:
            if answer.fault is None:
                continue
            if len(suspects) == 1:
                jobs[suspects[0][1]].add(suspects[0][0], answer)
            else:
                left.append((answer, frozenset(job for _, job in suspects or runs)))
    return Matching(dict(jobs), tuple(left))


def _are_alike(answers: Sequence[Answered], runs: int) -> bool:
    """Whether what can be said of one can be said of all: one run's answers, or as many alike as there were runs."""
    if runs == 0:
        return False
    faults = {answer.fault is None for answer in answers}
    return runs == 1 or (len(faults) == 1 and len(answers) >= runs)
