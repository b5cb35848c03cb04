"""Cron expressions: what we say of a schedule, and what pg_cron itself makes of it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import example, given

from autosync_db import cron
from autosync_db.errors import UsageError
from autosync_db.local.cluster import Cluster
from tests.fuzz.inputs import examples, mutated, refused_or, within
from tests.support import clusters, versions

SCHEDULES = (
    "*/5 * * * *",
    "0 0 1,15 * mon-fri",
    "@daily",
    "@reboot",
    "5 seconds",
    "59 23 31 12 *",
    "0 9-17/2 * jan,JUL sun",
    "0 0 $ * *",
    "1-5/2,7 * 29 2 7",
    "  0  0 * * 0 ",
    "10-5 * * * *",
    "0 0 31 2 *",
    "* * * * * *",
    "30 4 1-7 * 1",
)
WORDS = (
    "*",
    "/",
    "-",
    ",",
    " ",
    "  ",
    "\t",
    "0",
    "7",
    "59",
    "60",
    "00",
    "1/2",
    "*/0",
    "mon",
    "Sun",
    "jan",
    "L",
    "?",
    "#",
    "W",
    "@",
    "@weekly",
    "seconds",
    "second",
    "$",
    "~",
    "*-5",
    "5-*",
    "*,1",
    "1,",
    ",1",
    "--1",
    "+1",
    "٣",
)
TEXTS = mutated(SCHEDULES, WORDS)
MOMENT = datetime(2026, 2, 27, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def pg_cron(shared: Cluster) -> Iterator[psycopg.Connection[clusters.Row]]:
    """A connection on which schedules are tried, and rolled back."""
    with psycopg.connect(shared.url().reveal()) as connection:
        yield connection
        connection.rollback()


def _takes(connection: psycopg.Connection[clusters.Row], text: str) -> bool:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("select cron.schedule('fuzzed', %s, 'select 1')", [text])
    except psycopg.DataError:
        return False
    return True


@example(text="\n*/5 * * * *")
@example(text="# each night\n0 3 * * *\r\n")
@example(text="@hourly x")
@example(text="# often\n5 seconds")
@example(text="\x85*/5 * * * *")
@example(text="*/5 * */5 * * \ufeff* *")
@example(text="5/2,7 * 29 2 7")
@example(text="5/90 * * * mon/2")
@example(text="0 0 * jan-12/3 *")
@examples(30)
@given(text=TEXTS.filter(lambda text: "\0" not in text))
def test_pg_cron_takes_what_we_take_and_refuses_what_we_call_unreadable(
    text: str, shared: Cluster, pg_cron: psycopg.Connection[clusters.Row]
) -> None:
    version = ".".join(map(str, versions.pg_cron(shared)))
    with within():
        fault = cron.misreading(text, version)
        is_ours = refused_or(lambda: cron.check(text, version) or True, UsageError)  # type: ignore[func-returns-value]
        ticks = cron.ticks_after(text, MOMENT)
        cron.ticks_after(text, MOMENT, "Europe/Paris", both_days=True)
        cron.count_ticks(text, MOMENT.date(), 31)
        cron.plain(text)
    takes = _takes(pg_cron, text)
    if is_ours or fault is None:
        assert takes, "we take what pg_cron refuses"
    # what stands behind a field that is complete, as in `*x`, pg_cron reads over
    if fault is not None and fault.kind == "fields":
        assert not takes, f"pg_cron takes it: {fault}"
    if ticks and fault is None:
        assert takes
        assert ticks[0] > MOMENT
    if takes and fault is not None and fault.kind == "syntax":
        # what it takes and we cannot follow never comes, or is a form of its own
        assert not ticks, f"pg_cron takes it: {fault}"
