"""pg_net_tables_bounded: tables of pg_net that swell or keep what has expired are named; an idle pg_net is not."""

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ID = "pg_net_tables_bounded"
OLD_ANSWERS = (
    "insert into net._http_response (id, status_code, created)"
    " select -n, 200, now() - interval '3 days' from generate_series(1, 500) as n"
)


def test_expired_answers_are_a_warning_until_they_are_deleted(project: Project) -> None:
    project.stop_worker()
    project.owner.execute(OLD_ANSWERS.encode())
    found = result_of(project.report(), ID)
    assert found.status is Status.WARNING
    assert "table net._http_response: holds answers since 20" in found.verdict.summary

    project.run_remedy(ID)
    assert project.value("select count(*) from net._http_response where id < 0") == 0
    project.start_worker()
    project.must_be_healthy()


def test_swollen_queue_is_a_warning_with_its_size(project: Project) -> None:
    project.stop_worker()
    project.admin.execute("alter table net.http_request_queue alter column body set storage external")
    project.admin.execute(
        "insert into net.http_request_queue (method, url, body, timeout_milliseconds)"
        " select 'POST', 'http://127.0.0.1:9/', convert_to(repeat('x', 30000000), 'UTF8'), 1"
        " from generate_series(1, 9)"
    )
    found = result_of(project.report(), ID)
    assert found.status is Status.WARNING
    assert "table net.http_request_queue: takes 2" in found.verdict.summary
    assert " MB, with about " in found.verdict.summary


def test_idle_pg_net_keeps_old_answers_and_that_is_no_fault(project: Project) -> None:
    project.stop_worker()
    project.owner.execute(OLD_ANSWERS.encode())
    project.owner.execute("update net._http_response set created = now() - interval '2 hours' where id > 0")
    assert result_of(project.report([ID]), ID).verdict.status is Status.OK


def test_missing_pg_net_explains_it(project: Project) -> None:
    project.admin.execute("drop extension pg_net")
    project.must_be_blocked(ID, "pg_net_installed")
