"""What the pg_cron of this run can do: tests of what came or went with a version say here that they do not apply."""

import pytest

from autosync_db.local.cluster import Cluster
from tests.support import clusters

SECONDS = (1, 5)  # schedules in seconds, and cron.timezone
RETURNS = (1, 6)  # a terminated launcher comes back; cron.launch_active_jobs


def pg_cron(cluster: Cluster) -> tuple[int, ...]:
    """Return the version of the pg_cron that is installed here, without the patch level."""
    with clusters.connect(cluster) as connection:
        (text,) = connection.execute(
            "select default_version from pg_available_extensions where name = 'pg_cron'"
        ).fetchone() or ("0",)
    return tuple(int(part) for part in text.partition("-")[0].split(".")[:2])


def needs_pg_cron(cluster: Cluster, version: tuple[int, int], what: str) -> None:
    """Skip a test of something that came with a newer pg_cron than this one."""
    if pg_cron(cluster) < version:
        pytest.skip(f"{what} came with pg_cron {version[0]}.{version[1]}: tested in the container")


def needs_older_pg_cron(cluster: Cluster, version: tuple[int, int], what: str) -> None:
    """Skip a test of something that went with a newer pg_cron."""
    if pg_cron(cluster) >= version:
        pytest.skip(f"{what} went with pg_cron {version[0]}.{version[1]}: tested on PostgreSQL 15")
