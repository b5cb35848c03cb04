"""verify --wait: it waits for a tick that begins after it, until that has settled, and no longer."""

import threading
from datetime import timedelta

from autosync_db.connection import connect
from autosync_db.jobs import calls
from tests.support import clusters
from tests.support.health import LiveProject


def test_it_waits_for_a_newer_tick_to_settle(live: LiveProject) -> None:
    heard = threading.Event()
    found: list[bool] = []

    def waiting() -> None:
        with connect(live.cluster.url()) as connection:
            found.append(
                calls.wait_for_next_tick(connection, live.job_name, timedelta(seconds=30), lambda _: heard.set())
            )

    thread = threading.Thread(target=waiting)
    thread.start()
    assert heard.wait(timeout=10)
    assert thread.is_alive()  # the call that the fixture made is older
    live.call()
    thread.join(timeout=20)
    assert found == [True]


def test_it_gives_up_when_no_tick_comes(live: LiveProject) -> None:
    with clusters.connect(live.cluster) as connection:
        assert not calls.wait_for_next_tick(connection, live.job_name, timedelta(milliseconds=300))


def test_it_writes_nothing(live: LiveProject) -> None:
    with clusters.connect(live.cluster) as connection:
        connection.execute("set default_transaction_read_only = on")
        calls.wait_for_next_tick(connection, live.job_name, timedelta(milliseconds=100))
