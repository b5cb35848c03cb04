"""From pg_cron's tick to the function's first byte, beside the guide's inline job: each ticks in every second minute.

Timed to the request at the function twice: from the full minute, which is when the call is wanted, and from the moment
that pg_cron notes as the run's start, when its session is open; what comes before is the same work for both. pg_net
sends the requests where it is installed, else its stand-in, whose worker waits for nothing when it is idle. In between
both run every two seconds and are taken back: else the caches of a machine that idled for two minutes are measured.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from statistics import median
from threading import Event, Thread

from autosync_db.local.cluster import Cluster
from benchmarks import schedules, servers
from benchmarks.results import Results
from benchmarks.servers import Db
from benchmarks.side_by_side import Row
from benchmarks.ticks import INLINE, OURS
from tests.support import clusters, keys
from tests.support.http_stub import serving

SCHEDULES = 100_000
_MINUTE = 60


def results(runs: int, quick: bool) -> Results:
    """Wait for so many ticks of each, two minutes a pair."""
    pairs = 1 if quick else min(runs, 7)
    arrivals: dict[str, datetime] = {}

    class Function(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrivals["ours" if self.path.endswith("auto-sync-cron") else "inline"] = datetime.now(UTC)
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with (
        servers.migrated() as server, serving(Function, Event()) as url, clusters.pg_net_worker(server),
        servers.administrator(server) as admin, clusters.connection(server) as owner,
    ):  # fmt: skip
        for name, secret in (("project_url", url), ("service_role_key", keys.secret().reveal())):
            owner.execute("insert into public.pg_cron_secrets (name, secret) values (%s, %s)", [name, secret])
        schedules.fill(admin, 1_000 if quick else SCHEDULES, 50)
        inline = INLINE.replace("/functions/v1/auto-sync-cron", "/functions/v1/inline")
        jobs = {
            "ours": _job(owner, "auto-sync-cron-job", "*/2 * * * *", OURS),
            "inline": _job(owner, "inline", "1-59/2 * * * *", inline),
        }
        ended = Event()
        warming = Thread(target=_keep_warm, args=[server, ended], daemon=True)
        warming.start()
        whole: dict[str, list[float]] = {name: [] for name in jobs}
        since_start: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(2 * pairs + 1):
            arrivals.clear()
            _wait(lambda: bool(arrivals))
            [name] = arrivals
            started = _started(admin, jobs[name])
            for taken, since in ((whole, started.replace(second=0, microsecond=0)), (since_start, started)):
                taken[name].append((arrivals[name] - since).total_seconds() * 1000)
            said = f"{whole[name][-1]:.1f} ms, {since_start[name][-1]:.1f} ms of them since the start"
            print(f"{time.strftime('%H:%M:%S')} {name}: {said}", file=sys.stderr, flush=True)
        ended.set()
        warming.join()
    ours, theirs = (median(whole[name]) for name in ("ours", "inline"))
    yield Row("from the full minute to the function's first byte", "the guide's job", "ms", ours, theirs, 1.1, pairs)
    ours, theirs = (median(since_start[name]) for name in ("ours", "inline"))
    yield Row(
        "from the session's start to the function's first byte", "the guide's job", "ms", ours, theirs, 1.1, pairs
    )


def _keep_warm(server: Cluster, ended: Event) -> None:
    """Run both between the full minutes, as other jobs of a server do, and take it back."""
    while not ended.wait(2):
        if _MINUTE - 3 > time.time() % _MINUTE > 5:
            with clusters.connection(server) as session, session.transaction(force_rollback=True):
                for statement in (OURS, INLINE):
                    session.execute(statement.encode())


def _job(owner: Db, name: str, schedule: str, command: str) -> int:
    [number] = owner.execute("select cron.schedule(%s, %s, %s)", [name, schedule, command]).fetchone() or [0]
    return int(number)


def _started(admin: Db, job: int) -> datetime:
    """Return when pg_cron started the newest run of a job, once it has written that down."""
    query = (
        "select d.start_time from cron.job_run_details as d where d.jobid = %s and d.start_time is not null"
        " order by d.runid desc limit 1"
    )
    found: list[datetime] = []

    def look() -> bool:
        found[:] = [moment for (moment,) in admin.execute(query, [job]).fetchall()]
        return bool(found) and (datetime.now(UTC) - found[0]).total_seconds() < _MINUTE / 2

    _wait(look)
    return found[0]


def _wait(look: object) -> None:
    clusters.wait_for(look, "a tick", 4 * _MINUTE)  # type: ignore[arg-type]
