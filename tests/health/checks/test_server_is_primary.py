"""server_is_primary: on a replica nothing is wrong but the address."""

from tests.support import server
from tests.support.health import Project


def test_replica_is_the_root_cause_of_the_silence_there(project: Project) -> None:
    (project.cluster.data / "standby.signal").touch()
    server.restart(project, worker=False)
    assert project.value("select pg_is_in_recovery()")
    project.must_fail("server_is_primary", names="database postgres: is a read replica")
    project.must_be_blocked("pg_cron_scheduler_running", "server_is_primary")

    (project.cluster.data / "standby.signal").unlink()
    project.restart_server()
    project.must_be_healthy()
