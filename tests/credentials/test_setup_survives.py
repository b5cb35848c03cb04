"""`setup` replaces a secret by the same path as `rotate`, so it survives the same death."""

import os
import signal
import subprocess
from uuid import UUID

import psycopg
import pytest

from autosync_db import config
from autosync_db.config import Configuration
from autosync_db.credentials import lease, store
from autosync_db.errors import ConflictError
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.credentials.conftest import Project
from tests.support import clusters, command, health, keys

# the year's first minute: no tick of pg_cron's own joins in
RARELY = {"AUTOSYNC_JOB__SCHEDULE": health.NEVER}


def _killed(project: Project, number: int, key: str) -> int:
    """Run `setup` with a new key, send it a signal while it waits for the function, and return its exit code."""
    project.stub.delay_seconds = 3
    child = subprocess.Popen(
        [*command.PROGRAM, "setup", "--service-role-key-file", "-"],
        env=command.environment(project.cluster.url(), RARELY),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdin is not None
    child.stdin.write(key.encode())
    child.stdin.close()
    clusters.wait_for(lambda: [r for r in project.stub.requests if r.method == "POST"], "the call")
    os.kill(child.pid, number)
    code = child.wait(30)
    project.stub.delay_seconds = 0
    return code


@pytest.mark.long
def test_killed_while_it_waits_it_says_what_is_unproven_and_a_rerun_ends_it(project: Project) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    assert _killed(project, signal.SIGKILL, newer.reveal()) == -signal.SIGKILL
    assert project.active() == newer
    assert not project.is_finished()

    # the one that died holds its lease for a while yet
    again = ("setup", "--service-role-key-file", "-")
    refused = project.run(*again, "-q", stdin=newer.reveal(), variables=RARELY)
    assert "is under way since" in command.refused(refused, 5)
    project.lapse()
    assert project.verdict()[0] == "warning"
    project.run(*again, stdin=newer.reveal(), variables=RARELY)
    assert project.is_finished()
    assert project.active() == newer


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_interrupted_it_puts_the_old_key_back_itself(project: Project, number: int) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    assert _killed(project, number, newer.reveal()) == 130
    assert project.stored() == project.key.reveal()
    assert project.is_finished()
    assert [change.action for change in store.history(project.owner, "service_role_key")][:2] == [
        "put back", "replaced",
    ]  # fmt: skip


def test_without_a_wait_the_new_key_is_active_and_reported_as_unproven(project: Project) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    command.succeeds(
        project.run("setup", "--no-wait", "--service-role-key-file", "-", stdin=newer.reveal(), variables=RARELY)
    )
    assert project.stored() == newer.reveal()
    assert project.verdict()[0] == "warning"
    command.succeeds(project.run("rotate", "--resume"))
    assert project.is_finished()


def test_a_key_for_a_function_that_never_worked_stays_and_is_reported_as_unproven(project: Project) -> None:
    """There is nothing to go back to that worked, so what was given is kept for when the function works."""
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    project.gate.status = 500
    result = project.run("setup", "--service-role-key-file", "-", stdin=newer.reveal(), variables=RARELY)
    assert result.code == 3
    assert project.stored() == newer.reveal()
    assert project.verdict()[0] == "warning"
    project.gate.status = 200
    project.run("setup", variables=RARELY)
    assert project.is_finished()
    assert project.stored() == newer.reveal()


def _remove_all(
    configuration: Configuration, token: UUID, values: dict[str, Secret], admin: psycopg.Connection[clusters.Row]
) -> None:
    with lease.undone_when_interrupted(configuration, token, values):
        admin.execute("drop schema autosync cascade")
        raise RuntimeError


def test_where_all_was_removed_meanwhile_it_says_so_and_what_is_not_known(migrated: Cluster) -> None:
    configuration = config.load(config.Flags(database_url=migrated.url()))
    values = {"service_role_key": keys.secret()}
    with clusters.connection(migrated) as owner, clusters.connection(migrated, "supabase_admin") as admin:
        begun = lease.begin(owner, values)
        assert begun
        with pytest.raises(ConflictError, match=r"not known .* another command has just removed it") as caught:
            _remove_all(configuration, begun.token, values, admin)
    # there is no rotation left that could be resumed
    assert "setup" in caught.value.hint
