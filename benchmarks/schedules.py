"""Tables of schedules and of runs of any size, filled past triggers and before their indexes are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.servers import Db

TABLE = "public.auto_sync_schedules"
TRIGGER = "auto_sync_schedules_next_run_at"
WINDOW = "true, '08:00', '18:00', 'Europe/Paris'"
NO_WINDOW = "false, null, null, 'UTC'"
_INDEXES = """
select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), c.conname, pg_get_constraintdef(c.oid)
from pg_index as i
left join pg_constraint as c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
where i.indrelid = %s::regclass
order by 1
"""


@contextmanager
def without_indexes(db: Db, table: str) -> Iterator[None]:
    """Drop the indexes of a table for the time of the block: building them at the end is much faster."""
    found = db.execute(_INDEXES, [table]).fetchall()
    for index, _, constraint, _ in found:
        db.execute(f"alter table {table} drop constraint {constraint}" if constraint else f"drop index {index}")
    yield
    for _, definition, constraint, text in found:
        db.execute(f"alter table {table} add constraint {constraint} {text}" if constraint else definition)


def fill(db: Db, rows: int, due: int = 0, *, organizations: int = 1000, before: int = 0) -> None:
    """Have that many enabled schedules, of which so many are due and the others within the day to come.

    With `before`, so many are there already. The connection must see no triggers (servers.administrator).
    """
    if not before:
        db.execute(f"truncate {TABLE}")
    with without_indexes(db, TABLE):
        db.execute(
            f"insert into {TABLE} (id, integration_id, organization_id, enabled, frequency_minutes, last_run_at,"
            " last_run_status, next_run_at)"
            " select md5('s' || n)::uuid, md5('i' || n)::uuid, md5((n %% %(organizations)s)::text)::uuid, true, 60,"
            " now() - interval '1 hour', 'success', case when n <= %(due)s then now() - interval '2 minutes'"
            " else now() + interval '13 hours' + hashint4(n) / 2147483648.0 * interval '12 hours' end"
            " from generate_series(%(before)s + 1, %(rows)s) as n",
            {"rows": rows, "due": due, "organizations": organizations, "before": before},
        )
    settle(db, TABLE)


def make_due(db: Db, due: int) -> None:
    """Let so many of the schedules be due, claimed by nobody, and all others later."""
    db.execute(
        f"update {TABLE} set next_run_at = now() + interval '1 day', claim_id = null, claimed_at = null,"
        " claim_expires_at = null, claims_since_run = 0, claim_retry_at = null where next_run_at <= now()"
    )
    db.execute(
        f"update {TABLE} set next_run_at = now() - interval '2 minutes' where id in (select id from {TABLE} limit %s)",
        [due],
    )
    settle(db, TABLE)


def settle(db: Db, *tables: str) -> None:
    """Leave nothing for the background that would run while something is measured."""
    for table in tables:
        db.execute(f"vacuum analyze {table}")
    db.execute("checkpoint")


# of all jobs in turn, every six seconds
RUNS = """
insert into cron.job_run_details
    (jobid, runid, job_pid, database, username, command, status, return_message, start_time, end_time)
select j.jobid, n, n % 30000, j.database, j.username, j.command, 'succeeded', '1 row', t.at,
    t.at + interval '20 milliseconds'
from generate_series({before} + 1, {rows}) as n
join (
    select row_number() over (order by c.jobid) - 1 as place, count(*) over () as jobs, c.* from cron.job as c
) as j on j.place = n % j.jobs
cross join lateral (select now() - ({rows} - n) * interval '6 seconds' as at) as t
"""


def fill_runs(db: Db, rows: int, *, before: int = 0) -> None:
    """Have so many runs of pg_cron's jobs; with `before`, so many are there already, and keep their times."""
    # pg_cron goes on: its own runs get numbers behind ours, and make room for more of ours
    db.execute("select setval('cron.runid_seq', %s)", [rows + 1])
    db.execute("delete from cron.job_run_details where runid > %s", [before])
    db.execute(RUNS.format(rows=rows, before=before).encode())
    settle(db, "cron.job_run_details")
