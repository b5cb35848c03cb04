"""pg_net_installed: without the extension no call can be made, and that is said once."""

from autosync_db.jobs.calls import Cause
from tests.support import clusters
from tests.support.health import Project, result_of


def test_missing_extension_is_the_root_cause_until_it_is_created(project: Project) -> None:
    project.admin.execute("drop extension pg_net")
    project.record_run("failed", 'ERROR:  schema "net" does not exist')
    project.must_fail("pg_net_installed", names="extension pg_net: is not installed in the database postgres")
    for name in ("job_runs_succeed", "project_url_reachable", "function_succeeds"):
        project.must_be_blocked(name, "pg_net_installed")

    project.run_remedy("pg_net_installed")
    assert project.call() is Cause.OK
    project.must_be_healthy()


def test_stand_in_says_what_it_is(project: Project) -> None:
    if project.cluster.stand_in:
        found = result_of(project.report(), "pg_net_installed")
        assert "stand-in" in found.verdict.summary
    else:
        assert not clusters.REAL_PG_NET or "stand-in" not in str(project.report())
