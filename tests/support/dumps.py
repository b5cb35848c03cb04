"""What a database holds, as text, to compare."""

import os
import re
import subprocess

from autosync_db.local.cluster import Cluster

# pg_cron runs the housekeeping whenever five minutes are over, and that alone writes these
_WRITTEN_BY_THE_CLOCK = ("cron.job_run_details", "cron.runid_seq", "autosync.housekeeping")


def contents(cluster: Cluster) -> str:
    """Return everything a database holds, schema and rows, but for what pg_cron writes of its own accord."""
    return dump(cluster, *(f"--exclude-table-data={name}" for name in _WRITTEN_BY_THE_CLOCK))


def schema(cluster: Cluster) -> str:
    """Return the schema of a database."""
    return dump(cluster, "--schema-only")


def statements(cluster: Cluster, *options: str, role: str = "postgres") -> str:
    """Return the statements that make the schema of a database, without comments and empty lines."""
    return re.sub(r"^(--.*|)\n", "", dump(cluster, "--schema-only", *options, role=role), flags=re.MULTILINE)


def dump(cluster: Cluster, *options: str, role: str = "supabase_admin") -> str:
    """Return what pg_dump prints, the same for the same database."""
    done = subprocess.run(
        [str(cluster.installation.bin / "pg_dump"), *options],
        env={**os.environ, **cluster.environment(role)},
        capture_output=True,
        text=True,
        check=True,
    )
    # newer ones guard their scripts with a random word
    return re.sub(r"^\\(un)?restrict .*\n", "", done.stdout, flags=re.MULTILINE)
