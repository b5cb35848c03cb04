"""pg_net_version_matches_library: SQL that never wakes the worker is named with both versions."""

import pytest

from autosync_db.health.model import Status
from tests.support import clusters
from tests.support.health import Project, result_of


def _set_version(project: Project, version: str) -> None:
    project.admin.execute("update pg_extension set extversion = %s where extname = 'pg_net'", [version])


def test_sql_older_than_the_library_is_the_root_cause_until_the_update(project: Project) -> None:
    before = project.value("select extversion from pg_extension where extname = 'pg_net'")
    _set_version(project, "0.18.0")
    project.must_fail("pg_net_version_matches_library", names="is at version 0.18.0, but its library at 0.")

    if project.cluster.stand_in:
        step = project.cluster.installation.share / "extension" / f"pg_net--0.18.0--{before}.sql"
        step.write_text("")
        try:
            project.run_remedy("pg_net_version_matches_library")
        finally:
            step.unlink()
    else:
        _set_version(project, before)  # its update script expects the objects of 0.18
    project.must_be_healthy()


def test_sql_newer_than_the_library_is_critical_too(project: Project) -> None:
    project.stop_worker()
    with clusters.connect(project.cluster) as worker:
        worker.execute("set application_name = 'pg_net 0.14.0'")
        found = result_of(project.report(), "pg_net_version_matches_library")
    if project.cluster.stand_in:
        assert found.status is Status.CRITICAL
        assert "but its library only at 0.14.0" in found.verdict.summary


@pytest.mark.parametrize("version", ["0.19.0", "0.20.99", "1.0"])
def test_versions_that_differ_on_the_same_side_only_inform(project: Project, version: str) -> None:
    _set_version(project, version)
    found = result_of(project.must_be_healthy(), "pg_net_version_matches_library")
    assert f"is at version {version}, its library at" in found.verdict.summary


@pytest.mark.skipif(clusters.REAL_PG_NET, reason="the server starts the real worker again")
def test_version_that_nobody_tells_is_explained_by_the_worker(project: Project) -> None:
    project.stop_worker()
    project.must_fail("pg_net_worker_running")
    project.must_be_blocked("pg_net_version_matches_library", "pg_net_worker_running")
