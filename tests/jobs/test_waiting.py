"""Running a tick and waiting for its answer: it comes, however much else the job does."""

from datetime import timedelta

import pytest

from autosync_db.errors import CheckFailedError, UsageError
from autosync_db.jobs import calls
from autosync_db.jobs.calls import Cause
from tests.jobs.conftest import Chain

JOB = "auto-sync-cron-job"


def test_the_answer_of_a_tick_that_many_came_after(chain: Chain) -> None:
    tick = chain.dispatch()
    chain.value(
        "select count(autosync.dispatch('auto-sync-cron-job', true)) from generate_series(1, %s)",
        250,
    )
    (call,) = calls.wait(chain.connection, JOB, tick, timedelta(seconds=60))
    assert call.tick_id == tick
    assert call.cause is Cause.OK


def test_a_tick_that_is_triggered_is_waited_for_and_says_so(chain: Chain) -> None:
    said: list[str] = []
    tick, (call,) = calls.trigger_and_wait(chain.connection, JOB, timedelta(seconds=30), said.append)
    assert (call.tick_id, call.cause) == (tick, Cause.OK)
    assert said[0] == "waiting for the function's answer (0 s)"


def test_without_force_a_tick_that_has_nothing_to_call_calls_nothing(chain: Chain) -> None:
    chain.value("update autosync.job set invoke = 'when_due' returning 1")
    tick, answers = calls.trigger_and_wait(chain.connection, JOB, timedelta(seconds=30), force=False)
    assert (answers, chain.value("select decision from autosync.tick where id = %s", tick)) == ([], "idle")


def test_a_tick_that_fails_is_reported_with_the_messages_of_the_database(unsent: Chain) -> None:
    unsent.store(None, None)
    with pytest.raises(CheckFailedError, match='the secret "project_url" is missing') as caught:
        calls.trigger(unsent.connection, JOB)
    assert caught.value.hint == "run: autosync-db setup"


def test_a_job_that_does_not_exist_is_not_triggered(unsent: Chain) -> None:
    with pytest.raises(UsageError, match="'nobody'"):
        calls.trigger(unsent.connection, "nobody")
