"""no_triggers_on_net_tables: whatever runs inside the worker is named, whether it does harm today or not."""

import pytest

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

_FUNCTION = """
create function public.watch() returns trigger language plpgsql set search_path = '' as $$ begin return null; end $$
"""


@pytest.mark.parametrize("table", ["_http_response", "http_request_queue"])
def test_trigger_is_the_root_cause_until_it_is_dropped(project: Project, table: str) -> None:
    project.admin.execute(_FUNCTION.encode())
    project.admin.execute(
        f"create trigger watch after insert on net.{table} for each row execute function public.watch()".encode()
    )
    found = project.must_fail("no_triggers_on_net_tables", names=f"trigger watch on net.{table}: runs public.watch")
    assert "superuser" not in found.verdict.summary

    project.admin.execute(f"drop trigger watch on net.{table}".encode())
    project.must_be_healthy()


def test_trigger_that_stops_the_worker_explains_the_waiting_calls(project: Project) -> None:
    project.admin.execute(
        "create function public.refuse() returns trigger language plpgsql set search_path = ''"
        " as $$ begin raise exception 'no'; end $$"
    )
    project.admin.execute(
        "create trigger refuse before insert on net._http_response for each row execute function public.refuse()"
    )
    project.owner.execute("select autosync.dispatch()")
    project.owner.execute(
        "update autosync.invocation set queued_at = now() - interval '1 hour' where outcome = 'pending'"
    )
    project.must_be_blocked("pg_net_queue_drains", "no_triggers_on_net_tables")


def test_disabled_trigger_and_triggers_elsewhere_are_no_fault(project: Project) -> None:
    project.admin.execute(_FUNCTION.encode())
    for table in ("net._http_response", "public.other"):
        project.admin.execute(f"create table if not exists {table} (id integer)".encode())
        project.admin.execute(
            f"create trigger watch after insert on {table} for each row execute function public.watch()".encode()
        )
    project.admin.execute("alter table net._http_response disable trigger watch")
    project.must_be_healthy()


def test_role_without_privileges_sees_the_trigger(project: Project) -> None:
    project.admin.execute(_FUNCTION.encode())
    project.admin.execute(
        "create trigger watch after insert on net._http_response for each row execute function public.watch()"
    )
    project.create_role("plain")
    found = result_of(project.report(["no_triggers_on_net_tables"], role="plain"), "no_triggers_on_net_tables")
    assert found.verdict.status is Status.CRITICAL
