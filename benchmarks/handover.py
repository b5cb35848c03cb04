"""How fast what is claimed can be handed on: to pg_net, to a queue table in pgmq's form, and to Redis.

Each hands on schedules that a claim took, and what it hands on is what a worker needs: the ids. A call of pg_net
carries none: its function claims for itself, so what is counted there are calls that were sent and answered.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from autosync_db.local.cluster import Cluster, free_port
from benchmarks import schedules, servers
from benchmarks.results import Figure, Results
from benchmarks.servers import Db
from tests.support import clusters, http_stub

BATCH = 200
CONNECTIONS = 4
# the columns and the index that pgmq gives each of its queues
QUEUE = """
create schema if not exists bench_queue;
create table bench_queue.q_due (
    msg_id bigint primary key generated always as identity,
    read_ct integer not null default 0,
    enqueued_at timestamptz not null default now(),
    vt timestamptz not null default clock_timestamp(),
    message jsonb
);
create index on bench_queue.q_due (vt)
"""
FAN_OUT = f"""
with claimed as materialized (select id, integration_id, claim_id from public.auto_sync_claim({BATCH}))
insert into bench_queue.q_due (message)
select jsonb_build_object('id', c.id, 'integration_id', c.integration_id, 'claim_id', c.claim_id) from claimed as c
"""
# as pgmq reads: what is visible, hidden for a while; and then deleted by its number
READ = f"""
with taken as (
    select m.msg_id
    from bench_queue.q_due as m
    where m.vt <= clock_timestamp()
    order by m.msg_id
    limit {BATCH}
    for update skip locked
)
update bench_queue.q_due as m
set vt = clock_timestamp() + interval '30 seconds', read_ct = read_ct + 1
from taken as t
where m.msg_id = t.msg_id
returning m.msg_id
"""
DELETE = "delete from bench_queue.q_due where msg_id = any(%s)"


def results(runs: int, quick: bool) -> Results:
    """Measure each on one durable server."""
    due = 4_000 if quick else 100_000
    with servers.migrated(durable=True) as server, servers.administrator(server) as admin:
        admin.execute(QUEUE.encode())
        words = f"{CONNECTIONS} connections, {BATCH} at a time"
        schedules.fill(admin, due, due)
        yield _said(f"claimed and put into a queue table, {words}", _rate(server, due, _fan_out))
        yield _said(f"read from the queue table and deleted, {words}", _rate(server, due, _consume))
        with tempfile.TemporaryDirectory(prefix="autosync-redis-") as name, _redis(Path(name)) as port:
            if port:
                schedules.fill(admin, due, due)
                rate = _rate(server, due, partial(_push, port))
                yield _said(f"claimed and pushed to Redis on loopback, {words}", rate)
        yield from _calls(server, 400 if quick else 2_000)


def _said(what: str, rate: float) -> Figure:
    print(f"{time.strftime('%H:%M:%S')} {what}: {rate:,.0f}/s", file=sys.stderr, flush=True)
    return Figure(what, rate, "schedules/s")


def _rate(server: Cluster, rows: int, work: Callable[[Db], int]) -> float:
    """Return how many a second, until `rows` are handed on or nothing is left."""
    done = [0] * CONNECTIONS

    def run(number: int) -> None:
        with clusters.connection(server, "supabase_admin", prepare_threshold=0) as session:
            while sum(done) < rows and (count := work(session)):
                done[number] += count

    threads = [threading.Thread(target=run, args=[number]) for number in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def _fan_out(session: Db) -> int:
    return session.execute(FAN_OUT.encode()).rowcount


def _consume(session: Db) -> int:
    read = [number for (number,) in session.execute(READ.encode()).fetchall()]
    return session.execute(DELETE, [read]).rowcount if read else 0


def _push(port: int, session: Db) -> int:
    claimed = session.execute(f"select id, claim_id from public.auto_sync_claim({BATCH})").fetchall()
    ids = [f"{id} {claim}" for id, claim in claimed]
    if not ids:
        return 0
    words = [b"RPUSH", b"due", *(one.encode() for one in ids)]
    command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(command)
        # the answer is the length of the list, once it is there
        assert connection.recv(64).startswith(b":")
    return len(ids)


@contextmanager
def _redis(folder: Path) -> Iterator[int | None]:
    """Yield the port of a Redis that writes each command to its log, or None where Debian's package cannot be had."""
    program = shutil.which("redis-server") or _unpacked(folder)
    if program is None:
        print("no Redis: apt-get cannot download it here", file=sys.stderr)
        yield None
        return
    port = free_port()
    # as durable as a broker that is trusted with the work: synced every second
    options = ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "everysec", "--dir", str(folder)]
    libraries = ":".join(str(found) for found in (folder / "files").glob("usr/lib/*-linux-gnu*"))
    process = subprocess.Popen(
        [program, "--port", str(port), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
    )  # fmt: skip
    try:
        clusters.wait_for(partial(_answers, port), "Redis")
        yield port
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _unpacked(folder: Path) -> str | None:
    """Download Debian's package and what it needs, and unpack them; nothing is installed."""
    if shutil.which("apt-get") is None:
        return None
    folder.chmod(0o755)
    for package in ("redis-server", "redis-tools", "libjemalloc2", "liblzf1", "liblua5.1-0", "lua-cjson", "lua-bitop"):
        subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, check=False)
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, folder / "files"], check=True)
    program = folder / "files/usr/bin/redis-server"
    return str(program) if program.exists() else None


def _calls(server: Cluster, calls: int) -> Results:
    with http_stub.serve() as stub, clusters.connection(server) as owner:
        owner.execute(
            "select count(net.http_post(url := %s, body := '{}')) from generate_series(1, %s)", [stub.url, calls]
        )
        began = time.perf_counter()
        with clusters.pg_net_worker(server):
            clusters.wait_for(
                lambda: owner.execute("select count(*) from net._http_response").fetchone() == (calls,), "answers", 300
            )
        rate = calls / (time.perf_counter() - began)
    kind = "the stand-in's worker" if server.stand_in else "pg_net's worker"
    yield Figure(f"calls sent and answered by {kind}, `batch_size` 200", rate, "calls/s")
