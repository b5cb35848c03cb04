"""Compare the engine of two databases: python benchmarks/engine.py BEFORE_URL AFTER_URL [LARGEST].

Both are filled alike and asked in turn, so that a busy machine slows both. No worker of pg_net runs: calls are answered
by rows of its table. Prints the median milliseconds of each and their ratio within this run:

- claim: 50 of so many due schedules, in 10 and in as many organizations as there are batches, each claim completed
- dispatch: a tick that posts, with so many schedules due, nothing to settle
- round: so many jobs tick once and what they posted before is settled; keep_house() where there is one
- settle: the answers to the 100 requests of a tick
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import psycopg

Db = psycopg.Connection[Any]
TABLE = "public.auto_sync_schedules"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
JOBS = (1, 10, 100)
CLAIM = "select id, claim_id from public.auto_sync_claim(50)"
COMPLETE = "select public.auto_sync_complete(%s, 'success', null, %s)"
ANSWER = """
insert into net._http_response (id, status_code, content_type, headers, content, timed_out)
select i.request_id, 200, 'application/json', '{"content-type": "application/json"}', '{"ok":true}', false
from autosync.invocation as i where i.outcome = 'pending'
"""


def fill(db: Db, rows: int, organizations: int) -> None:
    """Insert that many schedules, all due."""
    db.execute(f"truncate {TABLE}")
    db.execute(
        f"insert into {TABLE} (integration_id, organization_id, enabled) select gen_random_uuid(),"
        " md5((n %% %s)::text)::uuid, true from generate_series(1, %s) as n",
        [organizations, rows],
    )
    db.execute(f"vacuum analyze {TABLE}")
    db.execute("checkpoint")


def claim(db: Db) -> float:
    """Claim a batch, complete it, and return the milliseconds that the claim took."""
    taken, rows = timed(lambda: db.execute(CLAIM).fetchall())
    assert len(rows) == 50
    with db.transaction():
        for row in rows:
            db.execute(COMPLETE, row)
    return taken


def dispatch(db: Db) -> float:
    """Run a tick that posts, and return the milliseconds it took."""
    taken, _ = timed(lambda: db.execute("select autosync.dispatch('auto-sync-cron-job')").fetchone())
    forget(db)
    return taken


def a_round(jobs: int) -> Callable[[Db], float]:
    """Return what lets so many jobs tick whose last calls were answered, and says how many milliseconds that took."""

    def run(db: Db) -> float:
        db.execute(ANSWER)

        def tick() -> None:
            for number in range(jobs):
                db.execute("select autosync.dispatch(%s)", [f"bench-{number}"])
            if keeps_house(db):
                db.execute("select autosync.keep_house()")

        taken, _ = timed(tick)
        db.execute("truncate net.http_request_queue")
        return taken

    return run


def settle(db: Db) -> float:
    """Settle the answers to one tick's 100 requests, and return the milliseconds that took."""
    db.execute("select autosync.dispatch('auto-sync-cron-job')")
    db.execute(ANSWER)
    taken, _ = timed(lambda: db.execute("select autosync.settle()"))
    forget(db)
    return taken


def keeps_house(db: Db) -> bool:
    """Return whether settling is a job of its own."""
    return db.execute("select to_regprocedure('autosync.keep_house()')").fetchone() != (None,)


def forget(db: Db) -> None:
    """Empty the ledger and pg_net's tables."""
    db.execute("truncate autosync.invocation, autosync.tick, net.http_request_queue, net._http_response")


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the milliseconds that something took, and what it returned."""
    begun = time.perf_counter()
    found = run()
    return (time.perf_counter() - begun) * 1000, found


def compare(what: str, before: Db, after: Db, measure: Callable[[Db], float], repeats: int) -> None:
    """Measure both in turn and print a line."""
    pairs = [(measure(before), measure(after)) for _ in range(repeats)]
    old, new = (median(each) for each in zip(*pairs, strict=True))
    print(f"{what:50} {old:9.2f} ms {new:9.2f} ms {new / old:6.2f}x", flush=True)


def main(before_url: str, after_url: str, largest: int) -> None:
    with (
        psycopg.connect(before_url, autocommit=True) as before,
        psycopg.connect(after_url, autocommit=True) as after,
    ):
        both = (before, after)
        for rows in (size for size in SIZES if size <= largest):
            for organizations in (10, rows // 100):
                for db in both:
                    fill(db, rows, organizations)
                compare(f"claim: {rows} schedules, {organizations} organizations", before, after, claim, 20)
            compare(f"dispatch: {rows} schedules due", before, after, dispatch, 20)
        for db in both:
            fill(db, 1000, 10)
            db.execute(
                "insert into autosync.job (name, function, schedule, invoke)"
                " select 'bench-' || n, 'fn', '0 0 1 1 *', 'always' from generate_series(0, 99) as n"
            )
            db.execute("update autosync.job set batch_size = 1, max_requests = 100 where name = 'auto-sync-cron-job'")
            forget(db)
        compare("settle: 100 answers", before, after, settle, 20)
        for jobs in JOBS:
            for db in both:
                db.execute(f"truncate {TABLE}")
                forget(db)
            compare(f"round: {jobs} jobs, their answers settled", before, after, a_round(jobs), 20)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else SIZES[-1])
