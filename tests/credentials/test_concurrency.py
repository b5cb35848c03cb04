"""Of several rotations at once one goes on, and the others are refused at once with who it is and since when."""

import re
import threading
from datetime import timedelta

import psycopg
import pytest

from autosync_db.credentials import journal, lease, rotation, store
from autosync_db.errors import ConflictError, SecretError
from autosync_db.progress import Reporter
from autosync_db.secret import Secret
from autosync_db.setup import run
from autosync_db.setup.decision import Given
from autosync_db.supabase import key
from tests.credentials.conftest import SILENT, Project
from tests.support import clusters, command, keys


def test_the_second_is_refused_with_who_and_since_when(project: Project) -> None:
    first, second = keys.secret(), keys.secret()
    project.gate.accept(project.key, first, second)
    begun = lease.begin(project.owner, {"service_role_key": first})
    assert begun is not None
    project.owner.execute("update autosync.secret_rotation set started_at = '2026-11-20 08:30:00+00'")

    result = project.rotate(second, "-q")
    said = command.refused(result, 5)
    assert 'a rotation of "service_role_key" is under way since 2026-11-20 08:30:00 UTC, by postgres' in said
    assert re.search(r"its lease ends in (2\d|30) s, at \d\d:\d\d:\d\d UTC", result.hints[0])
    for flag in ("--resume", "--abort"):
        assert "is under way since" in command.refused(project.run("rotate", flag, "-q"), 5)
    assert project.stored() == first.reveal()
    assert second.reveal() not in project.gate.seen

    lease.finish(project.owner, begun.token)
    assert project.rotate(second).code == 0


def test_setup_is_refused_too(project: Project) -> None:
    first = keys.secret()
    project.gate.accept(project.key, first)
    assert lease.begin(project.owner, {"service_role_key": first})
    with pytest.raises(ConflictError, match="is under way since"):
        run.run(project.configuration, Given(service_key=keys.secret()), SILENT)
    assert project.stored() == first.reveal()


@pytest.mark.parametrize("moment", ["looks", "activates"])
def test_setup_is_refused_beside_an_automatic_one(project: Project, moment: str) -> None:
    """That one deletes the old key at the platform in the end, whatever is active by then."""

    def begin() -> None:
        old = journal.Old(key.fingerprint(project.key))
        journal.begin(project.owner, "autosync_made", store.SERVICE_KEY, keys.PROJECT_REF, old)

    def doing(said: str) -> None:
        if said == "migrating" and moment == "activates":
            begin()

    if moment == "looks":
        begin()
    third = keys.secret()
    project.gate.accept(project.key, third)
    with pytest.raises(ConflictError, match="rotate --auto is working on autosync_made since"):
        run.run(project.configuration, Given(service_key=third), Reporter(lambda step: None, doing))
    project.lapse()
    refused = project.run("setup", "--service-role-key-file", "-", "-q", stdin=third.reveal())
    assert "rotate --auto has not finished with autosync_made" in command.refused(refused, 5)
    assert "rotate --resume (or undo it: --abort)" in refused.hints[0]
    assert project.stored() == project.key.reveal()
    assert project.is_finished()


def test_of_eight_at_once_one_wins(project: Project) -> None:
    given = [keys.secret() for _ in range(8)]
    project.gate.accept(project.key, *given)
    project.stub.delay_seconds = 0.3  # all of them begin before the first is proven
    outcomes: dict[str, str] = {}
    together = threading.Barrier(len(given))

    def rotate(key: Secret) -> None:
        together.wait()
        try:
            rotation.replace(project.configuration, rotation.SERVICE_KEY, key, preflight=False, reporter=SILENT)
            outcomes[key.reveal()] = "won"
        except ConflictError as error:
            outcomes[key.reveal()] = error.message

    threads = [threading.Thread(target=rotate, args=(key,)) for key in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    winners = [key for key, outcome in outcomes.items() if outcome == "won"]
    assert winners == [project.stored()]
    lost = [outcome for outcome in outcomes.values() if outcome != "won"]
    assert len(lost) == len(given) - 1
    assert all("is under way since" in outcome for outcome in lost), lost
    assert project.is_finished()


def test_whoever_waits_keeps_the_lease(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    monkeypatch.setattr(lease, "LEASE", timedelta(seconds=1))
    monkeypatch.setattr(lease, "_EXTEND_AFTER_SECONDS", 0.1)
    project.stub.delay_seconds = 3
    outcomes: list[str] = []

    def rotate() -> None:
        result = rotation.replace(project.configuration, rotation.SERVICE_KEY, newer, preflight=False, reporter=SILENT)
        outcomes.append(result.outcome)

    waiting = threading.Thread(target=rotate)
    waiting.start()
    clusters.wait_for(
        lambda: project.value(
            "select clock_timestamp() > min(started_at) + interval '1.5 seconds' from autosync.secret_rotation"
        ),
        "the end of the first lease",
    )
    with pytest.raises(ConflictError, match="is under way since"):
        lease.begin(project.owner, {"service_role_key": keys.secret()})
    waiting.join(30)
    assert outcomes == ["rotated"]


def test_a_lapsed_lease_can_be_taken_over_and_the_first_one_notices(project: Project) -> None:
    first, second = keys.secret(), keys.secret()
    project.gate.accept(project.key, first, second)
    sleeper = lease.begin(project.owner, {"service_role_key": first})
    assert sleeper is not None
    project.lapse()
    assert rotation.replace(
        project.configuration, rotation.SERVICE_KEY, second, reporter=SILENT
    ).outcome == "rotated"  # fmt: skip
    for end in (lease.finish, lease.put_back):
        with pytest.raises(ConflictError, match="took this one over"):
            end(project.owner, sleeper.token)
    assert project.stored() == second.reveal()


def test_what_is_put_back_is_what_was_last_proven(project: Project) -> None:
    """Two keys in a row that nobody proved: the one before both comes back."""
    first, second = keys.secret(), keys.secret()
    assert lease.begin(project.owner, {"service_role_key": first})
    project.lapse()
    with pytest.raises(SecretError, match="the previous value is active again"):
        rotation.replace(project.configuration, rotation.SERVICE_KEY, second, preflight=False, reporter=SILENT)
    assert project.stored() == project.key.reveal()
    assert project.is_finished()


def test_a_session_that_holds_the_table_is_not_waited_for_long(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SHORT_LOCKS", b"set local lock_timeout = '50ms'")
    with psycopg.connect(project.cluster.url().reveal()) as other:
        other.execute("lock table autosync.secret_rotation in share mode")
        with pytest.raises(ConflictError, match="another session holds a lock"):
            rotation.replace(
                project.configuration, rotation.SERVICE_KEY, keys.secret(), preflight=False, reporter=SILENT
            )
    assert project.stored() == project.key.reveal()


def test_rotation_does_not_wait_for_ticks_and_ticks_do_not_wait_for_it(project: Project) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    with psycopg.connect(project.cluster.url().reveal()) as other:
        other.execute("set lock_timeout = '1s'")
        with project.owner.transaction():
            assert lease.begin(project.owner, {"service_role_key": newer})
            other.execute("select autosync.dispatch(%s, true)", [project.job_name])
        other.rollback()


def test_whoever_was_taken_over_puts_nothing_back(project: Project) -> None:
    """Taken over between its first look at the rotation and its last: the new owner's value stays active."""
    begun = lease.begin(project.owner, {"service_role_key": keys.secret()})
    assert begun is not None
    outcomes: list[str] = []

    def end() -> None:
        with clusters.connect(project.cluster) as connection:
            try:
                lease.put_back(connection, begun.token)
            except ConflictError as error:
                outcomes.append(error.message)

    with psycopg.connect(project.cluster.url().reveal()) as other:
        other.execute("update autosync.secret_rotation set token = gen_random_uuid()")
        ending = threading.Thread(target=end)
        ending.start()
        clusters.wait_for(
            lambda: project.value("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") > 0,
            "the one that was taken over",
        )
        other.commit()
        ending.join(30)
    assert outcomes == ["another rotation took this one over"]
    assert project.stored() != project.key.reveal()


def test_a_secret_that_somebody_locks_keeps_no_rotation_waiting(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SHORT_LOCKS", b"set local lock_timeout = '50ms'")
    begun = lease.begin(project.owner, {"service_role_key": keys.secret()})
    assert begun is not None
    project.owner.execute("set statement_timeout = '20s'")
    with psycopg.connect(project.cluster.url().reveal()) as other:
        other.execute("select 1 from public.pg_cron_secrets for update")
        with pytest.raises(ConflictError, match="left unfinished") as caught:
            lease.put_back(project.owner, begun.token)
    project.owner.execute("reset statement_timeout")
    assert "rotate --resume" in caught.value.hint
