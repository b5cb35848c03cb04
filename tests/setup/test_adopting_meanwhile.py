"""What others do while a cron job is taken over: between the look and the consent, and while its call is under way."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from autosync_db import config, progress
from autosync_db.config import Configuration
from autosync_db.credentials import store
from autosync_db.errors import ConflictError, MigrationError
from autosync_db.secret import Secret
from autosync_db.setup import adopting, takeover
from autosync_db.setup.adopting import Adoption
from tests.setup.test_adopting import SHAPES
from tests.support import clusters, command
from tests.support.cron_jobs import RARELY, Project

SILENT = progress.SILENT
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


def _foreseen(
    project: Project, cron_name: str | None = "report", *, is_stored: bool = False
) -> tuple[Adoption, Configuration]:
    """Return what a user is asked about who gives a cron job the name `report`, of a database at head.

    Where its secrets are stored already the adoption is no rotation, which would keep others away.
    """
    project.schedule(TEXT, cron_name)
    project.imported()
    file = Path("autosync.toml")
    file.write_text(re.sub(r"\[jobs\.[^\]]*\]", "[jobs.report]", file.read_text()))
    configuration = config.load(config.Flags(database_url=project.cluster.url()))
    takeover.prepare(configuration, SILENT)
    [(number,)] = project.execute("select jobid from cron.job where jobname is not distinct from %s", [cron_name])
    with clusters.connect(project.cluster) as owner:
        if is_stored:
            store.store(owner, {store.PROJECT_URL: Secret(project.stub.url), store.SERVICE_KEY: project.key})
        adoption = adopting.foresee(owner, configuration, "report", number)
    assert adoption is not None
    return adoption, configuration


def _meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen once, when a job is prepared and before its call is made."""
    prove = adopting._prove

    def and_prove(*arguments: Any) -> Any:
        monkeypatch.setattr(adopting, "_prove", prove)
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
    with pytest.raises(ConflictError, match=f"report was {said} in the meantime"):
        adopting.adopt(configuration, adoption, SILENT)
    assert (project.cron(), _kept(project), project.stub.requests) == (changed, kept, [])

    project.execute("select cron.unschedule(jobid) from cron.job where jobname = 'report'")
    adoption, configuration = _foreseen(project)
    assert project.cron() == before
    _meanwhile(monkeypatch, lambda: project.execute(change))
    with pytest.raises(ConflictError, match=f"report was {said} in the meantime"):
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
        with pytest.raises(ConflictError, match=f"report was {said} in the meantime"):
            adopted.result()
    assert OURS not in str(project.cron())


@pytest.mark.parametrize("cron_name", ["report", "old one", None])
def test_a_setup_schedules_no_job_that_no_call_has_proven(
    cron_name: str | None, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the call then fails, all is as it was; where it succeeds, the job runs once."""
    adoption, configuration = _foreseen(project, cron_name, is_stored=True)
    before, kept = project.cron(), _kept(project)
    active: list[Any] = []

    def set_up() -> None:
        project.stub.judge = lambda request: 500
        project.run("setup")
        active.extend(row for row in project.cron() if row[3])
        project.stub.judge = lambda request: answer

    _meanwhile(monkeypatch, set_up)
    answer = 500
    with pytest.raises(MigrationError, match="everything is as it was"):
        adopting.adopt(configuration, adoption, SILENT)
    assert (active, project.cron(), _kept(project)) == (before, before, kept)
    answer = 200
    _meanwhile(monkeypatch, set_up)
    adopting.adopt(configuration, adoption, SILENT)
    assert project.cron() == [("report", RARELY, OURS, True)]


@pytest.mark.parametrize("cron_name", ["report", "old one"])
def test_after_an_adoption_that_was_killed_only_the_text_of_its_owner_runs(
    cron_name: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    adoption, configuration = _foreseen(project, cron_name, is_stored=True)
    before = project.cron()

    def killed() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # what is killed takes nothing back
        patch.setattr(adopting, "_undone", lambda *arguments: nullcontext())
        _meanwhile(patch, killed)
        with pytest.raises(KeyboardInterrupt):
            adopting.adopt(configuration, adoption, SILENT)
    assert "paused by an unfinished jobs adopt" in command.succeeds(project.run("jobs", "list")).out
    assert "not taken over yet" in command.refused(project.run("jobs", "resume", "report"), 2)
    project.run("setup")
    assert "not taken over yet" in command.refused(project.run("jobs", "resume", "report"), 2)
    assert [row for row in project.cron() if row[3]] == before

    again = ("jobs", "adopt", "report", *(() if cron_name == "report" else ("--from", str(adoption.job.id))), "--yes")
    project.stub.judge = lambda request: 500
    assert "everything is as it was" in command.refused(project.run(*again), 5)
    assert project.cron() == before
    assert project.execute("select name from autosync.job where name = 'report'") == []
    project.stub.judge = lambda request: 200
    command.succeeds(project.run(*again))
    assert project.cron() == [("report", RARELY, OURS, True)]
    command.succeeds(project.run("jobs", "release", "report", "--yes"))
    assert [row[0] for row in project.cron()] == [cron_name]


def test_while_a_job_is_taken_over_nobody_is_notified_that_it_does_not_exist(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is scheduled under its new name when its call has succeeded, which takes a minute or more."""
    adoption, configuration = _foreseen(project, "old one")
    project.execute(
        "insert into autosync.alert_receiver (kind, form, secret_name) values ('webhook', 'webhook', 'alert_webhook')"
    )
    _meanwhile(monkeypatch, lambda: project.execute("select autosync.note_job_states()"))
    adopting.adopt(configuration, adoption, SILENT)
    assert project.execute("select body from autosync.alert where body ->> 'job' = 'report'") == []


def test_a_teardown_gives_back_nothing_that_was_not_taken_yet(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way back of a job without a name makes a new one."""
    adoption, configuration = _foreseen(project, None, is_stored=True)
    before = project.cron()
    _meanwhile(monkeypatch, lambda: command.succeeds(project.run("teardown", "--yes")))
    with pytest.raises(MigrationError, match="another command has just removed it"):
        adopting.adopt(configuration, adoption, SILENT)
    assert project.cron() == before


def test_of_two_at_work_on_the_same_job_one_takes_it_over(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one fails meanwhile, the other takes nothing over that its call has not proven."""
    adoption, configuration = _foreseen(project, is_stored=True)
    before, kept = project.cron(), _kept(project)
    others: list[Any] = []

    def adopt_too() -> None:
        others.append(adopting.adopt(configuration, adoption, SILENT))

    _meanwhile(monkeypatch, adopt_too)
    with pytest.raises(ConflictError, match="another command changed the job report"):
        adopting.adopt(configuration, adoption, SILENT)
    assert (len(others), project.cron()) == (1, [("report", RARELY, OURS, True)])

    command.succeeds(project.run("jobs", "release", "report", "--yes"))
    project.execute("select cron.unschedule('report')")
    adoption, configuration = _foreseen(project, is_stored=True)

    def fail_to_adopt() -> None:
        project.stub.judge = lambda request: 500
        with pytest.raises(MigrationError, match="everything is as it was"):
            adopting.adopt(configuration, adoption, SILENT)
        project.stub.judge = lambda request: 200

    _meanwhile(monkeypatch, fail_to_adopt)
    with pytest.raises(ConflictError, match="another command changed the job report"):
        adopting.adopt(configuration, adoption, SILENT)
    assert (project.cron(), _kept(project)[0][:3]) == (before, kept[0][:3])
