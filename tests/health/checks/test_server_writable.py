"""server_writable: read-only mode is named, not what dies of it; a session's own choice is no fault."""

import psycopg
import pytest

from autosync_db.health import catalogue, verify
from autosync_db.health.model import Status
from tests.support import server
from tests.support.health import Project, result_of


@pytest.mark.young_launcher
def test_read_only_server_is_the_root_cause_until_it_is_lifted(project: Project) -> None:
    project.admin.execute("alter system set default_transaction_read_only = on")
    server.restart(project, worker=False)
    project.must_fail("server_writable", names="is on for the whole server (configuration file; the database holds")
    project.must_be_blocked("pg_cron_scheduler_running", "server_writable")

    remedy = catalogue.find("server_writable").remedy
    assert remedy is not None
    for statement in remedy.partition(" --")[0].split("; "):
        project.admin.execute(statement.encode())
    server.wait_for_launcher(project)
    project.start_worker()
    project.must_be_healthy()


def test_read_only_database_is_seen_by_every_session(project: Project) -> None:
    project.admin.execute("alter database postgres set default_transaction_read_only = on")
    found = project.must_fail("server_writable", names="is on for database postgres")
    assert len(found.verdict.evidence) == 1
    with psycopg.connect(project.cluster.url().reveal(), autocommit=True) as fresh:
        report = verify.run(fresh, project.configuration, ["server_writable"])
    assert len(result_of(report, "server_writable").verdict.evidence) == 1

    project.admin.execute("alter database postgres reset default_transaction_read_only")
    project.must_be_healthy()


def test_careful_session_and_careful_role_are_no_fault(project: Project) -> None:
    project.owner.execute("set default_transaction_read_only = on")
    project.must_be_healthy()

    project.create_role("careful", grants="alter role careful set default_transaction_read_only = on")
    only = ["server_writable"]
    assert result_of(project.report(only, role="careful"), only[0]).status is Status.OK
    with psycopg.connect(
        project.cluster.url().reveal(), autocommit=True, options="-c default_transaction_read_only=on"
    ) as opened:
        report = verify.run(opened, project.configuration, only)
    assert result_of(report, only[0]).status is Status.OK
