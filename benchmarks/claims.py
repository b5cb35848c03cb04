"""Claims a second from 16 connections, beside the fetch queries of two engines as they ship them.

pgbench keeps the connections busy: written in C, it takes little of the processors that the server needs. Each
statement is a transaction, prepared, on one server that waits for the disk at each commit. Every measurement begins
with as many due. To complete a schedule plans its next run as well; a queue has to be given another job for that.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from autosync_db.local.cluster import Cluster
from benchmarks import peers, schedules, servers
from benchmarks.results import Results
from benchmarks.servers import Db
from benchmarks.side_by_side import Row, compare

CONNECTIONS = 16
BATCH = 50
_OURS = """\
select id, claim_id from public.auto_sync_claim(1) \\gset
select id from public.auto_sync_complete(cast(:id as uuid), 'success', null, cast(:claim_id as uuid));
"""
_OURS_BATCH = f"""\
select array_agg(id) as ids, array_agg(claim_id) as claims from public.auto_sync_claim({BATCH}) \\gset
select count(public.auto_sync_complete(u.id, 'success', null, u.claim_id))
from unnest(cast(:ids as uuid[]), cast(:claims as uuid[])) as u (id, claim_id);
"""
# pgbench keeps one row of an answer: a function hands the batch out as one array, its text planned once
_BATCH_FUNCTION = """
create function public.bench_fetch(text, integer[]) returns bigint[]
language plpgsql as $body$
declare
    job record;
    ids bigint[];
begin
    for job in {text} loop
        ids := ids || job.id;
    end loop;
    return ids;
end $body$
"""


@dataclass(frozen=True)
class Engine:
    """Who claims: how its table is filled, its script, and how many it takes at a time."""

    fill: Callable[[Db, int], None]
    script: str
    batch: int = 1
    variables: Mapping[str, str] | None = None

    def first(self, statements: int) -> Engine:
        """Return the same with so many statements of the script: one claims and two complete as well."""
        return self if statements == 2 else replace(self, script=self.script.split("\\gset", 1)[0] + "\\gset\n")


def results(runs: int, quick: bool) -> Results:
    """Measure on one durable server, on which all engines are installed."""
    due = 20_000 if quick else 100_000
    runs = min(runs, 5)
    with tempfile.TemporaryDirectory(prefix="autosync-peers-") as name, servers.migrated(durable=True) as server:
        folder = Path(name)
        folder.chmod(0o711)
        with servers.administrator(server) as admin:
            graphile = peers.graphile(server, admin, folder / "graphile", BATCH)
            procrastinate = peers.procrastinate(admin, folder / "procrastinate")
            admin.execute(_BATCH_FUNCTION.format(text=graphile.fetch_batch).encode())
            variables = _variables(admin)
            ours = Engine(partial(schedules.fill, due=due), _OURS)
            batch = replace(ours, script=_OURS_BATCH, batch=BATCH)
            others = {
                f"{peers.GRAPHILE} {graphile.version}": Engine(_fill_graphile, _one(graphile), variables=variables),
                f"{peers.PROCRASTINATE} {procrastinate.version}": Engine(
                    _fill_procrastinate, _taken(procrastinate), variables=variables
                ),
            }
            measure = partial(_rate, server, admin, folder, due)
            for what, part in (("claimed", 1), ("claimed and completed", 2)):
                found = []
                for peer, engine in others.items():
                    words = f"{what}, one at a time, of {due:,} due"
                    row = _compared(words, measure, ours.first(part), peer, engine.first(part), 1, runs)
                    found.append((row.theirs, peer, engine))
                    yield row
                _, peer, engine = max(found, key=lambda one: one[0])
                words = f"{what}, {BATCH} at a time, of {due:,} due"
                single = f"{peer}, one at a time"
                yield _compared(words, measure, batch.first(part), single, engine.first(part), 5, runs)
                engine = Engine(_fill_graphile, _many(graphile), BATCH, variables)
                peer = f"{peers.GRAPHILE} {graphile.version}, {BATCH} at a time, too"
                yield _compared(words, measure, batch.first(part), peer, engine.first(part), 1, runs)


def _compared(
    what: str, measure: Callable[[Engine], float], ours: Engine, peer: str, theirs: Engine, target: float, runs: int
) -> Row:
    return compare(
        what, partial(measure, ours), peer, partial(measure, theirs), target=target, unit="schedules/s", runs=runs,
        at_least=True,
    )  # fmt: skip


def _rate(server: Cluster, admin: Db, folder: Path, due: int, engine: Engine) -> float:
    """Return how many are claimed and completed a second, of so many due."""
    engine.fill(admin, due)
    script = folder / "script.sql"
    script.write_text(engine.script)
    # a quarter of what is due at most, so that the last claim finds as much as the first
    each = max(1, min(due // 4 // engine.batch // CONNECTIONS, 400))
    done = subprocess.run(
        [
            server.installation.bin / "pgbench", "--no-vacuum", "--protocol=prepared", f"--client={CONNECTIONS}",
            "--jobs=2", f"--transactions={each}", f"--file={script}",
            *(f"--define={name}={value}" for name, value in (engine.variables or {}).items()),
        ],
        env={**server.environment("supabase_admin"), "PATH": "/usr/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = re.search(r"^tps = ([\d.]+) \(without", done.stdout, re.MULTILINE)
    complete = re.search(rf"processed: {each * CONNECTIONS}/", done.stdout)
    assert found is not None, done.stdout
    assert complete is not None, done.stdout + done.stderr
    return float(found[1]) * engine.batch


def _variables(db: Db) -> dict[str, str]:
    [task] = db.execute("select id from graphile_worker._private_tasks where identifier = 'sync'").fetchone() or [0]
    [worker] = db.execute("select worker_id from procrastinate_register_worker_v1()").fetchone() or [0]
    return {"pool": "pool", "tasks": f"{{{task}}}", "worker": str(worker), "task": str(task)}


def _one(texts: peers.Graphile) -> str:
    fetch = texts.fetch.replace("$1", ":pool").replace("$2", ":tasks")
    return f"{fetch} \\gset\n{texts.complete.replace('$1', ':id')};\n"


def _many(texts: peers.Graphile) -> str:
    complete = texts.complete_batch.replace("$1", ":ids")
    return f"select public.bench_fetch(:pool, :tasks) as ids \\gset\n{complete};\n"


def _taken(texts: peers.Procrastinate) -> str:
    fetch = texts.fetch.replace("%(queues)s", "null").replace("%(worker_id)s", ":worker")
    finish = texts.finish.replace("%(job_id)s", ":id").replace("%(status)s", "'succeeded'")
    return f"{fetch} \\gset\n{finish.replace('%(delete_job)s', 'false')};\n"


def _fill_graphile(db: Db, due: int) -> None:
    db.execute("truncate graphile_worker._private_jobs")
    db.execute(
        "insert into graphile_worker._private_jobs (task_id, run_at)"
        " select t.id, now() - interval '2 minutes' from graphile_worker._private_tasks as t, generate_series(1, %s)"
        " where t.identifier = 'sync'",
        [due],
    )
    schedules.settle(db, "graphile_worker._private_jobs")


def _fill_procrastinate(db: Db, due: int) -> None:
    db.execute("truncate procrastinate_jobs cascade")
    db.execute(
        "insert into procrastinate_jobs (task_name, queue_name, scheduled_at)"
        " select 'sync', 'default', now() - interval '2 minutes' from generate_series(1, %s)",
        [due],
    )
    schedules.settle(db, "procrastinate_jobs", "procrastinate_events")
