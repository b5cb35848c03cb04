"""A job that is seldom called, beside one that is called all the time: what is asked of it reads its own calls."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).parents[2]
CALLS = 20_000
# its rows in the ledger, its tick and the catalogs; all of the ledger is some 400 times as much
MOST_BUFFERS = 150
ASKED = (
    "select * from autosync.recent_outcomes('rare', 50)",
    "select * from autosync.call_findings('rare')",
    "select autosync.calls_under_way((select j.id from autosync.job as j where j.name = 'rare'))",
    "select autosync.calls_queued((select j.id from autosync.job as j where j.name = 'rare'), 4)",
)
# the newest or oldest rows of one job: with an equality the planner may read them in the order of the primary key
OF_ONE_JOB = re.compile(r"\b(\w+)\.job_id = (?:(?!job_id)[^;])*?order by \1\.id\b")


def buffers(connection: psycopg.Connection[Any], query: str) -> int:
    # once for the catalogs
    connection.execute(query.encode())
    [row] = connection.execute(f"explain (analyze, buffers, format json) {query}".encode()).fetchall()
    plan = (row[0] if isinstance(row[0], list) else json.loads(row[0]))[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def fill(connection: psycopg.Connection[Any]) -> None:
    """Let one job have made 20,000 calls, and another, before them, three."""
    connection.execute(
        "insert into autosync.job (name, function, schedule)"
        " values ('busy', 'busy', '* * * * *'), ('rare', 'rare', '0 0 1 1 *')"
    )
    connection.execute(
        "insert into autosync.invocation (job_id, request_id, timeout_milliseconds, outcome, status_code, proof,"
        " queued_at, settled_at)"
        " select j.id, -n, 30000, 'ok', 200, 'stated', now() - interval '1 day', now()"
        " from generate_series(1, %s) as n"
        " join autosync.job as j on j.name = case when n <= 3 then 'rare' else 'busy' end",
        [CALLS],
    )
    connection.execute("analyze autosync.invocation")


@pytest.mark.parametrize("query", ASKED)
def test_what_is_asked_of_a_rare_job_reads_no_other_jobs_calls(
    transaction: psycopg.Connection[Any], query: str
) -> None:
    fill(transaction)
    assert buffers(transaction, query) < MOST_BUFFERS


def test_the_newest_of_one_job_are_nowhere_looked_for_by_an_equality() -> None:
    files = [*ROOT.glob("sql/**/*.sql"), *ROOT.glob("autosync_db/**/*.py")]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    assert [name for name, text in texts.items() if OF_ONE_JOB.search(text)] == [], "ask by a range: recent_outcomes()"
