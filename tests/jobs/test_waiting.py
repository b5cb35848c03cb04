"""Who waits for a tick's answer gets it, however much else the job does."""

from datetime import timedelta

from autosync_db.jobs import calls
from autosync_db.jobs.calls import Cause
from tests.jobs.conftest import Chain

JOB = "auto-sync-cron-job"


def test_the_answer_of_a_tick_that_many_came_after(chain: Chain) -> None:
    tick = chain.dispatch()
    chain.value(
        "select count(autosync.dispatch(force := true)) from generate_series(1, %s)",
        250,
    )
    (call,) = calls.wait(chain.connection, JOB, tick, timedelta(seconds=60))
    assert call.tick_id == tick
    assert call.cause is Cause.OK
