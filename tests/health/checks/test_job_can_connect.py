"""job_can_connect: "connection failed" is told apart by what the catalogue says of role, database and address."""

import pytest

from tests.support.health import Project


@pytest.mark.parametrize(
    ("fault", "mend", "told"),
    [
        ("alter role postgres nologin", "alter role postgres login", "the role postgres may not log in"),
        (
            "alter role postgres connection limit 0",
            "alter role postgres connection limit -1",
            "the role postgres has a connection limit of 0",
        ),
        (
            "revoke connect on database postgres from public, postgres",
            "grant connect on database postgres to public, postgres",
            "the role postgres may not connect to the database postgres",
        ),
    ],
)
def test_role_that_cannot_connect_explains_the_failed_run(project: Project, fault: str, mend: str, told: str) -> None:
    project.admin.execute(fault.encode())
    project.record_run("failed", "connection failed", ended=None)
    # pg_net's worker is the same role, and is kept out by the first of these as well
    also = ["pg_net_settings_valid"] if "log in" in told else []
    project.must_fail("job_can_connect", *also, names=told)
    project.must_be_blocked("job_runs_succeed", "job_can_connect")

    project.admin.execute(mend.encode())
    project.record_run("succeeded", "1 row")
    project.must_be_healthy()


def test_database_that_is_gone_is_named_before_the_first_failed_run(project: Project) -> None:
    project.admin.execute("update cron.job set database = 'gone'")
    project.must_fail("job_can_connect", names="the database gone does not exist")

    project.run_remedy("job_can_connect")
    project.must_be_healthy()


def test_address_of_another_server_is_named_when_a_run_failed(project: Project) -> None:
    project.admin.execute("update cron.job set nodeport = 1")
    project.record_run("succeeded", "1 row")
    project.must_be_healthy()

    project.record_run("failed", "connection failed")
    project.must_fail("job_can_connect", names=f"127.0.0.1:1, but this server listens on port {project.cluster.port}")
    project.run_remedy("job_can_connect")
    project.must_be_healthy()


def test_refusal_that_the_catalogue_does_not_explain_points_to_the_servers_rules(project: Project) -> None:
    # a copied cluster's job still has its template's port
    project.admin.execute("update cron.job set nodeport = %s", [project.cluster.port])
    project.record_run("failed", "connection failed")
    project.must_fail("job_can_connect", names="look at pg_hba.conf")


def test_run_that_failed_otherwise_is_not_blamed_on_the_connection(project: Project) -> None:
    project.record_run("failed", "connection failed")
    project.record_run("failed", "ERROR:  division by zero")
    project.must_fail("job_runs_succeed")


def test_other_jobs_are_not_this_checks_business(project: Project) -> None:
    project.owner.execute("select cron.schedule('nightly', '0 0 1 1 *', 'select 1')")
    project.admin.execute("update cron.job set username = 'anon', database = 'gone' where jobname = 'nightly'")
    project.must_be_healthy()
