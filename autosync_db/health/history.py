"""What a report tells beside the checks: what became of calls and runs in a week, what is next, how much is kept.

Everything is counted by the database: three round trips (begin and where we are, ask, end), whatever the number of jobs
and calls. Only if the one statement fails is each query run in a savepoint of its own; what cannot be looked at is
named, and the rest still speaks.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from autosync_db import resources
from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect
from autosync_db.health import composer, verify
from autosync_db.schedules import table

# how many schedules are named, those first that are due
SCHEDULES_NAMED = 12
# so many runs of the coming day are counted, as in sql/report/due_runs_counted.sql
RUNS_COUNTED = 2000
_JOBS = ("autosync.job",)
_LEDGER = (*_JOBS, "autosync.tick", "autosync.invocation")
_RUNS = ("cron.job", "cron.job_run_details")
_SCHEDULES = ("public.auto_sync_schedules",)
_UPCOMING = "upcoming"
# a query of sql/report, and the tables that it reads
_QUERIES: Mapping[str, tuple[str, ...]] = {
    "jobs": (*_JOBS, "autosync.setting"),
    "registered": _JOBS,
    "cron_jobs": ("cron.job",),
    "calls": _LEDGER,
    "failures": _LEDGER,
    "newest": _LEDGER,
    "runs": _RUNS,
    "schedules": _SCHEDULES,
    "overdue": (*_JOBS, *_SCHEDULES),
    _UPCOMING: _SCHEDULES,
    "due_runs": (*_JOBS, *_SCHEDULES),
    "due_runs_counted": (*_JOBS, *_SCHEDULES),
    "sizes": (),
    "kept_ledger": _LEDGER,
    "kept_runs": _RUNS,
    "kept_answers": ("net._http_response",),
    "retention": _JOBS,
}
_COLUMNS = (
    "id, integration_id, organization_id, state, frequency_minutes, time_window_enabled, time_window_start,"
    " time_window_end, timezone, next_run_at, last_run_at, last_run_status, consecutive_failures, reason"
)
_NO_JOBS = "select null::integer, null::text, false, false, false, false, false, false where false"


@dataclass(frozen=True, slots=True)
class History:
    """What was found: `rows` of each query, where and when (`context`), and why what is `unseen` was not looked at."""

    context: Mapping[str, Any]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    unseen: Mapping[str, str] = field(default_factory=dict)

    def one(self, name: str) -> Mapping[str, Any]:
        """Return the first row of a query, empty where there is none."""
        return next(iter(self.rows.get(name, ())), {})


def of(configuration: Configuration, names: Collection[str] = ()) -> History:
    """Return what there is to tell of the jobs that verify.run() speaks of, and of the database. Reads only.

    Over a connection of its own, so that it can be asked while the checks are.
    """
    with connect(configuration.target.database_url) as connection:
        return collect(connection, composer.spoken_of(configuration, names))


def collect(connection: Connection, chosen: str) -> History:
    """Return what there is to tell of the jobs that composer.chosen() chooses, and of the database. Reads only."""
    opening, ending = verify.brackets(connection)
    # a week of calls is sorted in memory
    opening += b"; select set_config('work_mem', '32MB', true)"
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(opening + b"; " + resources.read("sql/report/context.sql").encode())
            while cursor.nextset():
                pass
            context = cursor.fetchall()[0]
        readable, there = set(context["readable"]), set(context["tables"])
        unseen = {
            name: _lacking(missing[0], there)
            for name, tables in _QUERIES.items()
            if (missing := [one for one in tables if one not in readable])
        }
        jobs = chosen if _JOBS[0] in readable else _NO_JOBS
        queries = {name: _query(connection, name) for name in _QUERIES if name not in unseen}
        found = _ask_at_once(connection, jobs, queries)
        if found is None:
            verify.end(connection, ending)
            connection.execute(opening)
            found, refused = _ask_one_by_one(connection, jobs, queries)
            unseen |= refused
        return History(context, found, unseen)
    finally:
        if not connection.broken:
            verify.end(connection, ending)


def _lacking(name: str, there: Collection[str]) -> str:
    return f"this role may not read {name}" if name in there else f"there is no {name}"


def _query(connection: Connection, name: str) -> str:
    """Return the text of a query, named as the section of its rows."""
    if name == _UPCOMING:
        inner = f"select * from (\n{table.listed(connection, SCHEDULES_NAMED)}\n) as u ({_COLUMNS})"  # noqa: S608 - our own text
    else:
        inner = resources.read(f"sql/report/{name}.sql")
    return f"select '{name}' as section, to_jsonb(f) as fact from (\n{inner}\n) as f"  # noqa: S608 - our own names


def _statement(jobs: str, queries: Collection[str]) -> bytes:
    columns = "id, name, is_registered, is_job, is_scheduled, is_call, is_function, is_draining"
    # `offset 0` keeps them apart: the planner would merge them into one query
    text = "\nunion all\n".join(f"({query} offset 0)" for query in queries)
    return f"with chosen_jobs ({columns}) as materialized ({jobs}\n)\n{text}".encode()


def _ask_at_once(
    connection: Connection, jobs: str, queries: Mapping[str, str]
) -> dict[str, list[Mapping[str, Any]]] | None:
    """Return the rows of all queries, None where one of them failed."""
    try:
        rows = connection.execute(_statement(jobs, queries.values())).fetchall()
    except psycopg.Error:
        if connection.broken:
            raise
        return None
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in queries}
    for section, fact in rows:
        found[section].append(fact)
    return found


def _ask_one_by_one(
    connection: Connection, jobs: str, queries: Mapping[str, str]
) -> tuple[dict[str, list[Mapping[str, Any]]], dict[str, str]]:
    """Return the rows of the queries that succeed, and why the others did not."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    refused = {}
    for name, query in queries.items():
        try:
            with connection.transaction():
                rows = connection.execute(_statement(jobs, [query])).fetchall()
        except psycopg.Error as error:
            if connection.broken:
                raise
            refused[name] = error.diag.message_primary or type(error).__name__
        else:
            found[name] = [fact for _, fact in rows]
    return found, refused
