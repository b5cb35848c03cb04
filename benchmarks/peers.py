"""The engines that claims are compared with, installed into a folder of their own for the time of a run.

Their queries are those of their packages, word for word: graphile-worker's are what its own modules hand to its
database client, procrastinate's are in its SQL files.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from autosync_db.local.cluster import Cluster
from benchmarks.servers import Db

GRAPHILE, PROCRASTINATE = "graphile-worker", "procrastinate"
_FETCH = """
const {batchGetJobs} = require('./node_modules/graphile-worker/dist/sql/getJobs.js');
const {batchCompleteJobs} = require('./node_modules/graphile-worker/dist/sql/completeJobs.js');
const tasks = require('./node_modules/graphile-worker/dist/taskIdentifiers.js');
const said = [];
const client = {query: async (asked) => { said.push(asked.text); return {rows: [{id: 1, identifier: 'sync'}]}; }};
const withPgClient = async (use) => use(client);
withPgClient.withRetries = withPgClient;
const options = {
  escapedWorkerSchema: '"graphile_worker"', workerSchema: 'graphile_worker', logger: console,
  resolvedPreset: {worker: {preparedStatements: true, useNodeTime: false}},
};
(async () => {
  for (const size of [1, Number(process.argv[1])]) {
    said.length = 0;
    await batchGetJobs(options, withPgClient, {sync: () => {}}, 'pool', [], size);
    console.log(JSON.stringify(said[said.length - 1]));
    said.length = 0;
    const jobs = Array.from({length: size}, (_, place) => ({id: place, job_queue_id: null}));
    await batchCompleteJobs(options, withPgClient, 'pool', jobs);
    console.log(JSON.stringify(said[said.length - 1]));
  }
})();
"""


@dataclass(frozen=True)
class Graphile:
    """graphile-worker's own texts: fetch and complete, one at a time and in batches."""

    version: str
    fetch: str
    complete: str
    fetch_batch: str
    complete_batch: str


@dataclass(frozen=True)
class Procrastinate:
    """procrastinate's own texts. It fetches one job at a time."""

    version: str
    schema: str
    fetch: str
    finish: str


def graphile(server: Cluster, db: Db, folder: Path, batch: int) -> Graphile:
    """Install graphile-worker from npm, let it install its schema, and return its texts."""
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    _run(["npm", "install", "--no-audit", "--no-fund", "--silent", GRAPHILE], folder)
    version = json.loads((folder / "node_modules" / GRAPHILE / "package.json").read_text())["version"]
    environment = {**os.environ, **server.environment("supabase_admin"), "DATABASE_URL": "postgres://"}
    _run(["node", f"node_modules/{GRAPHILE}/dist/cli.js", "--schema-only"], folder, environment)
    said = _run(["node", "-e", _FETCH, str(batch)], folder).splitlines()
    fetch, complete, fetch_batch, complete_batch = (json.loads(line) for line in said[-4:])
    db.execute("select graphile_worker.add_job('sync')")
    return Graphile(version, fetch, complete, fetch_batch, complete_batch)


def procrastinate(db: Db, folder: Path) -> Procrastinate:
    """Install procrastinate from PyPI, install its schema, and return its texts."""
    _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), PROCRASTINATE], folder.parent)
    texts = folder / PROCRASTINATE / "sql"
    schema = (texts / "schema.sql").read_text()
    db.execute(schema.encode())
    parts = re.split(r"^-- (\w+) --$", (texts / "queries.sql").read_text(), flags=re.MULTILINE)
    queries = dict(zip(parts[1::2], parts[2::2], strict=True))
    [found] = folder.glob("procrastinate-*.dist-info")
    version = found.name.removeprefix("procrastinate-").removesuffix(".dist-info")
    return Procrastinate(version, schema, _statement(queries["fetch_job"]), _statement(queries["finish_job"]))


def _statement(text: str) -> str:
    return " ".join(line for line in text.splitlines() if not line.strip().startswith("--")).strip().rstrip(";")


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[:3]}: {done.stderr[-2000:] or done.stdout[-2000:]}"
    return done.stdout
