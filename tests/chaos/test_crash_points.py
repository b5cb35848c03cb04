"""Commands that write are killed, or their session is ended, at the end of any statement: the same command ends it.

What worked before works in between, and what is the user's is never touched.
"""

import collections
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Literal

import pytest

from autosync_db.local.cluster import Cluster
from tests.chaos import children, ground
from tests.chaos.ground import Ground
from tests.support import clusters, cutting_proxy, health, http_stub
from tests.support.command import Result

How = Literal["killed", "terminated"]
ADD = "schedules add --integration {integration} --organization {integration}"
_END = """
select pg_terminate_backend(a.pid, 5000) from pg_stat_activity as a
where a.application_name = 'autosync-db' and a.backend_type = 'client backend'
"""
# what somebody broke, for repair: the job is off, one of our functions is another, the trigger is switched off
_BREAK = """
select cron.alter_job(c.jobid, active := false) from cron.job as c where c.jobname = 'auto-sync-cron-job';
alter table public.auto_sync_schedules disable trigger user;
create or replace function autosync.moment(instant timestamptz) returns text language sql as 'select $$broken$$';
"""
_OTHER_JOB = """
insert into autosync.job (name, function, schedule) values ('old-job', 'old', '0 0 1 1 *');
select autosync.sync_job('old-job');
"""


@dataclass(frozen=True, slots=True)
class Work:
    """One command line, what is done before it, and what it finds when it has been done already."""

    name: str
    line: str
    before: str = ""
    lines_before: tuple[str, ...] = ()
    from_nothing: bool = False
    again: frozenset[int] = frozenset({0})
    settings: dict[str, str] = field(default_factory=dict)


WORKS = [
    Work("setup, from nothing", "setup --project-url {project_url}", from_nothing=True),
    Work("setup, another key and schedule", "setup --project-url {project_url} --service-role-key-env NEW_KEY",
         settings={"AUTOSYNC_JOB__SCHEDULE": "0 0 2 2 *"}),
    Work("plan --prune", "plan --prune --yes --config chaos.toml", before=_OTHER_JOB),
    Work("jobs adopt", "jobs adopt theirs --config {theirs} --yes"),
    Work("jobs release", "jobs release theirs --config {theirs} --yes",
         lines_before=("jobs adopt theirs --config {theirs} --yes",), again=frozenset({0, 2, 5})),
    Work("repair", "repair --yes", before=_BREAK),
    Work("teardown", "teardown --yes"),
    Work("jobs pause", "jobs pause"),
    Work("jobs reschedule", "jobs reschedule {rarely}"),
    Work("jobs remove", "jobs remove {job} --yes", again=frozenset({0, 2})),
    Work("secrets set", "secrets set extra --from-env NEW_KEY"),
    Work("alerts delete", "alerts delete webhook", again=frozenset({0, 2})),
    Work("schedules add", ADD, again=frozenset({0, 2, 5})),
]  # fmt: skip


@dataclass
class Scene:
    """A copy of the project on which one command is ended midway, and the state in which it must end."""

    work: Work
    source: Cluster
    folder: Path
    context: ForkServerContext
    stub: http_stub.Stub
    stack: ExitStack = field(default_factory=ExitStack)

    def renew(self) -> None:
        """Begin again on a fresh copy."""
        self.stack.close()
        self.ground: Ground = self.stack.enter_context(ground.running(self.source, self.stub, self.folder))
        # the first key is that of the copy, and stays
        self.proxy = self.stack.enter_context(cutting_proxy.relay(self.ground.cluster))
        for line in self.work.lines_before:
            result = self.ground.run(line)
            assert result.code == 0, result
        with clusters.connect(self.ground.cluster, "postgres") as owner:
            if self.work.before:
                owner.execute(self.work.before.encode())
        self.before = self.ground.state()
        self.user = self.ground.of_the_user()

    def start(self, *, through: bool) -> children.Running:
        """Begin the command."""
        (self.folder / "chaos.toml").write_text('[jobs.auto-sync-cron-job]\nfunction = "auto-sync-cron"\n'
                                                f'schedule = "{ground.NEVER}"\n')  # fmt: skip
        return children.start(
            self.ground, self.work.line, context=self.context, variables=self.work.settings,
            url=self.proxy.url() if through else None,
        )  # fmt: skip

    def measure(self) -> list[int]:
        """Run it undisturbed; return after which answers what was done stays, the number of all at the end."""
        self.renew()
        self.proxy.arm(None)
        result = self.start(through=True).ended()
        assert result.code == 0, result
        self.after = self.ground.state()
        self.after_user = self.ground.of_the_user() if self.user else []
        assert ground.different(self.before, self.after), f"{self.work.name} changes nothing"
        return [*self.proxy.durable, self.proxy.finished]

    def end_at(self, point: int, how: How) -> Result | None:
        """Run it and end it when the server has answered so often; return what it said, None if it was killed."""
        running: list[children.Running] = []

        def end() -> None:
            if how == "killed":
                clusters.wait_for(lambda: running, "the process")
                running[0].kill()
                return
            with clusters.connection(self.ground.cluster, "supabase_admin") as admin:
                admin.execute(_END)

        self.proxy.arm(point, end, cuts=how == "killed")
        running.append(self.start(through=True))
        result = running[0].ended()
        assert self.proxy.was_cut or result.code == 0, f"{result.code} before point {point}: {result.err}"
        if how == "killed":
            assert result.code in {0, -signal.SIGKILL}, result
            return None
        return result

    def judge(self, what: str, result: Result | None) -> str:
        """Return `untouched`, `done` or `midway`; fail where something that worked does not, or it cannot be ended."""
        if result is not None:
            assert result.code in {0, 4}, f"{what}: {result}"
            assert "Traceback" not in result.err, result.err
            if result.code == 4:
                assert len(result.errors) == len(result.hints) == 1, f"{what}: {result.err}"
        self.ground.settled()
        state = self.ground.state()
        is_before, is_after = not ground.different(self.before, state), not ground.different(self.after, state)
        found = "untouched" if is_before else "done" if is_after else "midway"
        if self.user:
            assert self.ground.of_the_user() == self.user, f"{what}: something of the user's"
            if not is_after or not self.work.name.startswith(("teardown", "jobs remove")):
                works = self.ground.works()
                assert works == "works", f"{what} ({found}): {works}"
            seen = len(self.stub.requests)
            with clusters.connection(self.ground.cluster) as owner:
                # another's job goes on to call, by its own text or by ours
                owner.execute(ground.RUN_THEIRS)
            clusters.wait_for(lambda: len(self.stub.requests) > seen, f"{what}: the other job's call")
        ground.lapse(self.ground)
        again = self.start(through=False).ended()
        assert again.code in (self.work.again if is_after else {0}), f"again after {what} ({found}): {again}"
        left = ground.different(self.after, self.ground.state())
        assert not left, f"again after {what} ({found}): {left}\n{again.err}"
        assert not self.user or self.ground.of_the_user() == self.after_user
        return found


@contextmanager
def _scene(work: Work, template: Cluster, blank: Cluster, folder: Path, context: ForkServerContext) -> Iterator[Scene]:
    with (
        http_stub.serve() as stub,
        health.impatience(),
        health.launcher_that_counts_as_settled(),
        ExitStack() as stack,
    ):
        yield Scene(work, blank if work.from_nothing else template, folder, context, stub, stack)


def _walk(
    scene: Scene, how: How, choose: Callable[[list[int]], list[int]]
) -> tuple[int, "collections.Counter[str]", list[str]]:
    tally: collections.Counter[str] = collections.Counter()
    problems = []
    durable = scene.measure()
    for point in choose(durable):
        scene.renew()
        what = f"{scene.work.name} {how} at {point} of {durable[-1]}"
        try:
            result = scene.end_at(point, how)
            tally[scene.judge(what, result)] += 1
        except AssertionError as error:
            problems.append(f"{what}: {error}"[:2500])
    return durable[-1], tally, problems


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("how", ["killed", "terminated"])
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_ended_at_the_end_of_any_statement(
    work: Work,
    how: How,
    template: Cluster,
    blank_template: Cluster,
    tmp_path: Path,
    context: ForkServerContext,
    seed: int,
) -> None:
    source = random.Random(seed)
    wanted = os.environ.get("CHAOS_POINTS", "8")

    def choose(durable: list[int]) -> list[int]:
        every = range(1, durable[-1] + 1)
        if wanted == "all":
            return list(every)
        # what was just done to stay is where something can be half done
        most = int(wanted)
        found = set(source.sample(durable, min(most * 3 // 4, len(durable))))
        found |= set(source.sample(every, min(most - len(found), len(every))))
        return sorted(found)

    with _scene(work, template, blank_template, tmp_path, context) as scene:
        last, tally, problems = _walk(scene, how, choose)
    print(f"\n{work.name} {how}: {last} statements, {tally.total()} points: {dict(tally)}")
    assert not problems, "\n\n".join(problems)


def test_an_adoption_that_is_ended_midway_is_ended_by_the_same_command(
    template: Cluster, blank_template: Cluster, tmp_path: Path, context: ForkServerContext
) -> None:
    work = next(work for work in WORKS if work.name == "jobs adopt")
    with _scene(work, template, blank_template, tmp_path, context) as scene:
        # its call is under way: the row of the job is there, and the job runs its own text
        _, tally, problems = _walk(scene, "killed", lambda durable: [durable[len(durable) * 3 // 4]])
    assert not problems, problems
    assert tally.total() == 1
