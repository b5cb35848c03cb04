"""Compare claiming in two databases: python benchmarks/claims.py BEFORE_URL AFTER_URL [ROWS].

Both are emptied of schedules, filled alike and asked in turn, so that a busy machine slows both. Prints ratios within
this run: of claims that are completed, and of claims alone, in 10 and in 10,000 organizations.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import Any

import psycopg

TABLE = "public.auto_sync_schedules"
CLAIM = "select id, claim_id from public.auto_sync_claim(50)"
COMPLETE = "select public.auto_sync_complete(%s, 'success', null, %s)"


def fill(db: psycopg.Connection[Any], rows: int, organizations: int) -> None:
    """Insert that many schedules, all due."""
    db.execute(f"truncate {TABLE}")
    db.execute(
        f"insert into {TABLE} (integration_id, organization_id, enabled) select gen_random_uuid(),"
        " md5((n %% %s)::text)::uuid, true from generate_series(1, %s) as n",
        [organizations, rows],
    )
    db.execute(f"vacuum analyze {TABLE}")
    db.execute("checkpoint")


def claim(db: psycopg.Connection[Any], completing: bool) -> float:
    """Claim a batch and return the milliseconds that took."""
    begun = time.perf_counter()
    rows = db.execute(CLAIM).fetchall()
    taken = (time.perf_counter() - begun) * 1000
    assert len(rows) == 50
    if completing:
        with db.transaction():
            for row in rows:
                db.execute(COMPLETE, row)
    return taken


def main(before_url: str, after_url: str, rows: int) -> None:
    with (
        psycopg.connect(before_url, autocommit=True) as before,
        psycopg.connect(after_url, autocommit=True) as after,
    ):
        for organizations in (10, 10_000):
            for db in (before, after):
                fill(db, rows, organizations)
            for completing in (True, False):
                taken = [(claim(before, completing), claim(after, completing)) for _ in range(100)]
                old, new = (median(each) for each in zip(*taken, strict=True))
                kind = "completed" if completing else "claims alone"
                print(
                    f"{rows} schedules, {organizations:6} organizations, {kind:12}"
                    f" {old:7.2f} ms {new:7.2f} ms {new / old:5.2f}x",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1_000_000)
