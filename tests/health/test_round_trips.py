"""What verify costs where nothing is wrong: three round trips of queries, whatever the number of checks."""

import tempfile

from autosync_db.connection import connect
from autosync_db.health import verify
from autosync_db.health.model import Report
from tests.support import health
from tests.support.health import LiveProject


def _asked(project: LiveProject) -> tuple[int, Report]:
    """Return how often the server was asked while verify ran on a connection of its own, and what it said."""
    with connect(project.cluster.url()) as connection, tempfile.TemporaryFile("w+") as trace:
        connection.pgconn.trace(trace.fileno())
        report = verify.run(connection, project.configuration)
        connection.pgconn.untrace()
        trace.seek(0)
        # the server says that it is ready once at the end of every round trip
        return trace.read().count("ReadyForQuery"), report


def test_healthy_verify_takes_three_round_trips(live: LiveProject) -> None:
    round_trips, report = _asked(live)
    assert not report.root_causes, health.described(report)
    assert round_trips == 3


def test_fault_costs_no_more(live: LiveProject) -> None:
    live.owner.execute("select cron.unschedule('auto-sync-cron-job')")
    round_trips, report = _asked(live)
    assert health.roots(report), health.described(report)
    assert round_trips == 3
