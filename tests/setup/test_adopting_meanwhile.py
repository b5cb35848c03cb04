"""What others do while a cron job is taken over: between the look and the consent, and while its call is under way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from autosync_db import config, progress
from autosync_db.config import Configuration
from autosync_db.errors import ConflictError
from autosync_db.setup import adopting, takeover
from autosync_db.setup.adopting import Adoption
from tests.setup.test_adopting import SHAPES
from tests.support import clusters
from tests.support.cron_jobs import Project

SILENT = progress.Reporter(lambda step: None, lambda text: None)
TEXT = SHAPES["pasted key, body"][0]
OURS = "select autosync.dispatch('report')"
# what the owner of a cron job does to it, and what is said of it
CHANGES = {
    "select cron.alter_job(jobid, command := command || ' -- newer') from cron.job where jobname = 'report'": "changed",
    "select cron.alter_job(jobid, schedule := '1 1 1 1 *') from cron.job where jobname = 'report'": "changed",
    "select cron.alter_job(jobid, active := false) from cron.job where jobname = 'report'": "changed",
    "select cron.unschedule('report')": "unscheduled",
}
# the statement in which an adoption waits for whoever changes the job at the same moment
WAITING = "select pid from pg_stat_activity where wait_event_type = 'Lock' and query like '%cron.alter_job(job_id :=%'"


def _foreseen(project: Project) -> tuple[Adoption, Configuration]:
    """Return what a user is asked about, of a database at head."""
    project.schedule(TEXT)
    project.imported()
    configuration = config.load(config.Flags(database_url=project.cluster.url()))
    with clusters.connect(project.cluster) as owner:
        adoption = adopting.foresee(owner, configuration, "report")
    assert adoption is not None
    takeover.prepare(configuration, SILENT)
    return adoption, configuration


def _meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen when the job is prepared, and before its call is made."""
    prove = adopting._prove

    def and_prove(*arguments: Any) -> Any:
        happens()
        return prove(*arguments)

    monkeypatch.setattr(adopting, "_prove", and_prove)


def _kept(project: Project) -> list[tuple[Any, ...]]:
    """Return the counts of what an adoption makes."""
    return project.execute(
        "select (select count(*) from autosync.job), (select count(*) from autosync.adopted),"
        " (select count(*) from public.pg_cron_secrets), (select count(*) from autosync.tick)"
    )


@pytest.mark.parametrize(("change", "said"), CHANGES.items(), ids=["text", "schedule", "state", "unscheduled"])
def test_a_job_that_is_not_as_the_user_saw_it_is_not_taken_over(
    change: str, said: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has changed before the user agreed, or changes while the call is under way."""
    adoption, configuration = _foreseen(project)
    kept, before = _kept(project), project.cron()
    project.execute(change)
    changed = project.cron()
    with pytest.raises(ConflictError, match=f"report was {said} while it was taken over"):
        adopting.adopt(configuration, adoption, SILENT)
    assert (project.cron(), _kept(project), project.stub.requests) == (changed, kept, [])

    project.execute("select cron.unschedule(jobid) from cron.job where jobname = 'report'")
    adoption, configuration = _foreseen(project)
    assert project.cron() == before
    _meanwhile(monkeypatch, lambda: project.execute(change))
    with pytest.raises(ConflictError, match=f"report was {said} while it was taken over"):
        adopting.adopt(configuration, adoption, SILENT)
    assert (project.cron(), _kept(project), len(project.stub.requests)) == (changed, kept, 1)


@pytest.mark.parametrize(("change", "said"), CHANGES.items(), ids=["text", "schedule", "state", "unscheduled"])
def test_who_changes_a_job_in_the_moment_that_it_is_handed_over_comes_first(
    change: str, said: str, project: Project
) -> None:
    adoption, configuration = _foreseen(project)
    with ThreadPoolExecutor() as pool, clusters.connection(project.cluster) as owner:
        with owner.transaction():
            owner.execute(change.encode())
            adopted = pool.submit(adopting.adopt, configuration, adoption, SILENT)
            clusters.wait_for(lambda: project.execute(WAITING), "the adoption to wait for the change")
        with pytest.raises(ConflictError, match=f"report was {said} while it was taken over"):
            adopted.result()
    assert OURS not in str(project.cron())
