"""`local demo`: the whole chain from an empty folder, with a tick of pg_cron's own."""

import json
import os
from pathlib import Path

import pytest

from autosync_db.local import state
from autosync_db.local.cluster import Cluster
from autosync_db.local.stack import Stack
from tests.support import clusters, command

JOB = "auto-sync-cron-job"
DEMO = ("local", "demo", "--keep", "--format", "json")


@pytest.mark.long
@pytest.mark.server
def test_from_an_empty_folder_pg_cron_ticks_without_its_minute_and_all_is_healthy(tmp_path: Path) -> None:
    stack = Stack(tmp_path / ".autosync")
    # where this machine gets packages from
    found = ("SSL_CERT_", "NODE_EXTRA_CA_CERTS", "DENO_", "NPM_CONFIG_")
    variables = {name: value for name, value in os.environ.items() if name.startswith(found)}
    try:
        done = command.succeeds(command.run_process(*DEMO, folder=tmp_path, variables=variables))
        result = json.loads(done.out)
        names = list(dict.fromkeys(step["name"] for step in result["steps"]))
        assert names == ["stack", "database", "migrate", "secrets", "job", "call", "schedules", "tick", "verify"]
        assert result["verify"]["status"] == "ok"
        tick = next(step for step in result["steps"] if step["name"] == "tick")
        assert "its minute was not waited for" in tick["result"]
        assert tick["seconds"] < 50, "a minute of pg_cron would have been waited for"
        # by a look of one's own: pg_cron ran it, the function wrote back, and the schedule is that of before
        cluster = stack.cluster()
        assert isinstance(cluster, Cluster)
        with clusters.connection(cluster, "supabase_admin") as connection:
            runs = connection.execute(
                "select d.status from cron.job_run_details as d join cron.job as j using (jobid) where j.jobname = %s",
                [JOB],
            ).fetchall()
            assert ("succeeded",) in runs
            synced = "select count(*) from public.auto_sync_schedules as s where s.last_run_status = 'success'"
            assert connection.execute(synced.encode()).fetchone() == (2,)
            assert connection.execute("select schedule from cron.job where jobname = %s", [JOB]).fetchone() == (
                "* * * * *",
            )
        assert "autosync-db local down --purge" in {one["command"] for one in result["next"]}
        assert stack.is_running()
    finally:
        if state.exists(stack.folder):
            stack.down(purge=True)
