"""`targets` of a job: where it is made, what becomes of it elsewhere, and that no command misses it there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from autosync_db import config
from autosync_db.errors import UsageError
from autosync_db.jobs import plan, scheduled
from autosync_db.local.cluster import Cluster
from tests.support import clusters, command
from tests.support.command import Result

FILE = """
[jobs.auto-sync-cron-job]
function = "auto-sync-cron"
drains = "auto_sync_schedules"
schedule = "59 23 31 12 *"
targets = ["production"]

[jobs.report]
sql = "select 1"
schedule = "59 23 31 12 *"
targets = ["production", "staging"]

[jobs.everywhere]
sql = "select 2"
schedule = "59 23 31 12 *"

[targets.production]
database_url_env = "A_DATABASE"
[targets.staging]
database_url_env = "A_DATABASE"
[targets.preview]
database_url_env = "A_DATABASE"
"""
NOWHERE_HERE = FILE.replace("[targets.production]", 'targets = ["staging"]\n[targets.production]')
NAMES = ["auto-sync-cron-job", "report", "everywhere"]


def _load(text: str, target: str | None) -> config.Configuration:
    Path("autosync.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A_DATABASE", "postgresql://localhost/one")
        return config.load(config.Flags(target=target))


@pytest.mark.parametrize(
    ("target", "here"),
    [
        ("production", NAMES), ("staging", NAMES[1:]), ("preview", NAMES[2:]), (None, NAMES[2:]),
    ],
)  # fmt: skip
def test_a_job_runs_on_its_targets_and_without_any_everywhere(target: str | None, here: list[str]) -> None:
    settings = _load(FILE, target).settings
    assert list(settings.jobs) == here
    assert sorted(settings.elsewhere) == sorted(set(NAMES) - set(here))
    # files are the same on every target
    assert [statement.split("'")[1] for statement in scheduled.statements(settings)] == [
        NAMES[2],
        "autosync-keep-house",
    ]


def test_with_one_target_that_is_meant() -> None:
    text = FILE.replace('"production", "staging"', '"production"').partition("[targets.staging]")[0]
    assert list(_load(text, None).settings.jobs) == NAMES


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('["prodution"]', "jobs.report.targets: there is no target 'prodution'; did you mean production?"),
        ('["staging", "elsewhere"]', "jobs.report.targets: there is no target 'elsewhere'"),
        ('["postgresql://me@host/db"]', "jobs.report.targets: there is no target of that name"),
        ('["Production"]', "did you mean production?"),
        ("[]", "names no target"),
        ('"production"', "valid list"),
    ],
)
def test_a_target_that_nothing_knows_is_refused(written: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _load(FILE.replace('["production", "staging"]', written), None)
    assert message in caught.value.message
    assert "me@host" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("name", ["local", "supabase", "linked"])
def test_targets_that_need_no_table_are_known(name: str) -> None:
    text = FILE.replace('["production", "staging"]', f'["{name}"]')
    assert "report" in _load(text, "staging").settings.elsewhere


@pytest.fixture
def database(shared: Cluster) -> Iterator[psycopg.Connection[Any]]:
    """A database with all three jobs, as a copy of production has them; what is done to it is undone."""
    with clusters.connection(shared) as connection, connection.transaction(force_rollback=True):
        plan.apply(connection, _load(FILE, "production").settings)
        yield connection


def _active(database: psycopg.Connection[Any]) -> dict[str, bool]:
    found = "select jobname, active from cron.job where jobname <> 'autosync-keep-house' order by jobname"
    return dict(database.execute(found.encode()).fetchall())


def test_what_is_there_is_paused_as_by_the_file_and_comes_back(database: psycopg.Connection[Any]) -> None:
    preview = _load(FILE, "preview").settings
    found = plan.read(database, preview)
    assert [(one.job, one.action) for one in found] == [(NAMES[0], "pause"), (NAMES[1], "pause")]
    applied = {one.job: one.result for one in plan.apply(database, preview)}
    assert applied == {NAMES[0]: "paused", NAMES[1]: "paused", NAMES[2]: "unchanged"}
    assert _active(database) == {NAMES[0]: False, NAMES[1]: False, NAMES[2]: True}
    assert plan.read(database, preview) == [], "never dropped, and not reported again"
    assert plan.not_in_the_file(database, preview) == []
    production = _load(FILE, "production").settings
    assert [(one.job, one.action) for one in plan.read(database, production)] == [
        (NAMES[0], "resume"), (NAMES[1], "resume"),
    ]  # fmt: skip
    plan.apply(database, production)
    assert set(_active(database).values()) == {True}


def test_where_no_target_is_named_it_is_left_as_it_is(database: psycopg.Connection[Any]) -> None:
    unnamed = _load(FILE, None).settings
    assert plan.read(database, unnamed) == []
    plan.apply(database, unnamed)
    assert set(_active(database).values()) == {True}


def test_what_somebody_else_made_is_left_alone(database: psycopg.Connection[Any]) -> None:
    database.execute("select cron.schedule('nightly', '0 3 * * *', 'select 3')")
    text = FILE + '[jobs.nightly]\nsql = "select 3"\nschedule = "0 3 * * *"\ntargets = ["production"]\n'
    text += '[jobs.digest]\nwatch = true\ntargets = ["production"]\n'
    preview = _load(text, "preview").settings
    plan.apply(database, preview)
    assert _active(database)["nightly"] is True


def test_no_command_misses_a_job_that_runs_elsewhere(migrated: Cluster) -> None:
    Path("autosync.toml").write_text(NOWHERE_HERE)
    with clusters.pg_net_worker(migrated):
        _looks(migrated)


def _looks(migrated: Cluster) -> None:
    def run(*arguments: str) -> Result:
        variables = {"A_DATABASE": migrated.url().reveal()}
        return command.run(*arguments, "--target", "preview", variables=variables)

    before = command.succeeds(run("verify", "--format", "json")).json()
    assert (before["status"], before["root_causes"]) == ("warning", ["settings_applied"]), before
    shown = command.succeeds(run("plan"))
    assert "not here: auto-sync-cron-job runs on production" in shown.err
    assert "pause" in shown.out, "the guide's job, which the migration made"
    done = command.succeeds(run("setup"))
    assert "auto-sync-cron-job (*/5" not in done.out
    assert command.succeeds(run("plan", "--check")).out == ""
    for arguments in (("verify",), ("status",), ("jobs", "list"), ("migrate", "--check"), ("audit",), ("runs",)):
        said = command.succeeds(run(*arguments))
        assert "report" not in said.out + said.err, arguments
    assert run("plan", "--format", "json").json()["elsewhere"]["report"] == ["production", "staging"]
    for asked in (("jobs", "show", "report"), ("jobs", "trigger", "report"), ("verify", "--job", "report")):
        message = command.refused(run(*asked), 2)
        assert message == "the job report does not run here: autosync.toml has it on production, staging"
    with clusters.connect(migrated) as owner:
        found = owner.execute("select jobname, active from cron.job order by 1").fetchall()
    assert found == [("auto-sync-cron-job", False), ("autosync-keep-house", True)]


@pytest.mark.long
def test_the_guides_job_is_not_left_behind_where_none_of_the_file_runs(migrated: Cluster) -> None:
    text = NOWHERE_HERE.replace("auto-sync-cron-job", "sync")
    Path("autosync.toml").write_text(text)
    variables = {"A_DATABASE": migrated.url().reveal()}
    with clusters.pg_net_worker(migrated):
        command.succeeds(command.run("setup", "--target", "preview", variables=variables))
        command.succeeds(command.run("verify", "--strict", "--target", "preview", variables=variables))
    with clusters.connect(migrated) as owner:
        assert owner.execute("select jobname from cron.job").fetchall() == [("autosync-keep-house",)]
    shown = command.refused(command.run("jobs", "show", "--target", "preview", variables=variables), 2)
    assert shown == "no job of autosync.toml runs on this target"
