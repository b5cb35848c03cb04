"""What verify costs where nothing is wrong: three round trips of queries, whatever the checks; figures are one more."""

import dataclasses
import tempfile

import pytest

from autosync_db.config import Configuration, Settings
from autosync_db.connection import connect
from autosync_db.health import verify
from autosync_db.health.model import Report
from tests.support import health
from tests.support.health import LiveProject


def _asked(
    project: LiveProject, configuration: Configuration | None = None, *, with_work: bool = False
) -> tuple[int, Report]:
    """Return how often the server was asked while verify ran on a connection of its own, and what it said."""
    configuration = configuration or project.configuration
    with connect(project.cluster.url()) as connection, tempfile.TemporaryFile("w+") as trace:
        connection.pgconn.trace(trace.fileno())
        report = verify.run(connection, configuration, with_work=with_work)
        connection.pgconn.untrace()
        trace.seek(0)
        # the server says that it is ready once at the end of every round trip
        return trace.read().count("ReadyForQuery"), report


def test_healthy_verify_takes_three_round_trips(live: LiveProject) -> None:
    round_trips, report = _asked(live)
    assert not report.root_causes, health.described(report)
    assert round_trips == 3


def test_what_the_jobs_did_is_one_more(live: LiveProject) -> None:
    round_trips, report = _asked(live, with_work=True)
    assert not report.root_causes, health.described(report)
    assert report.work is not None
    assert not report.work.unread
    assert round_trips == 4


def test_fault_costs_no_more(live: LiveProject) -> None:
    live.owner.execute("select cron.unschedule('auto-sync-cron-job')")
    round_trips, report = _asked(live)
    assert health.roots(report), health.described(report)
    assert round_trips == 3


@pytest.mark.long
def test_fifty_jobs_cost_no_more(live: LiveProject) -> None:
    live.owner.execute(
        "insert into autosync.job (name, function, schedule)"
        " select 'job-' || n, 'fn-' || n, '0 0 1 1 *' from generate_series(1, 50) as n"
    )
    try:
        round_trips, report = _asked(live, dataclasses.replace(live.configuration, settings=Settings()))
    finally:
        live.owner.execute("delete from autosync.job where name like 'job-%'")
    assert len(report.jobs) == 51
    assert len([result for result in report.root_causes if result.id == "job_scheduled"]) == 50
    assert round_trips == 3
