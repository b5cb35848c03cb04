"""nothing_blocks_upgrades: what depends on pg_cron or pg_net is named; what only mentions them is not."""

import pytest

from autosync_db.health.model import Status
from tests.support.health import Project

ID = "nothing_blocks_upgrades"


@pytest.mark.parametrize(
    ("fault", "names", "cure"),
    [
        (
            "create view public.runs as select * from cron.job_run_details",
            "view public.runs: depends on the extension pg_cron",
            "drop view public.runs",
        ),
        (
            "create materialized view public.answers as select * from net._http_response",
            "materialized view public.answers: depends on the extension pg_net",
            "drop materialized view public.answers",
        ),
        (
            "create function public.jobs() returns bigint language sql begin atomic select count(*) from cron.job; end",
            "function public.jobs(): depends on the extension pg_cron",
            "drop function public.jobs()",
        ),
        (
            "create table public.mine (method net.http_method)",
            "public.mine: depends on the extension pg_net",
            "drop table public.mine",
        ),
        (
            "create table public.mine (jobid bigint references cron.job (jobid))",
            "depends on the extension pg_cron",
            "drop table public.mine",
        ),
    ],
    ids=["view", "materialized view", "function", "column", "foreign key"],
)
def test_dependent_object_is_a_warning_until_it_is_dropped(project: Project, fault: str, names: str, cure: str) -> None:
    project.admin.execute(fault.encode())
    project.must_fail(ID, status=Status.WARNING, names=names)

    project.admin.execute(cure.encode())
    project.must_be_healthy()


def test_function_with_a_body_in_quotes_depends_on_nothing(project: Project) -> None:
    project.owner.execute(
        "create function public.runs() returns bigint language sql as 'select count(*) from cron.job_run_details';"
        " create function public.send() returns bigint language plpgsql"
        " as $$ begin return net.http_post('http://127.0.0.1:9/'); end $$;"
        " create view public.own as select * from public.auto_sync_schedules"
    )
    project.must_be_healthy()


def test_one_extension_alone_is_looked_at(project: Project) -> None:
    project.admin.execute("drop extension pg_net; create view public.runs as select * from cron.job")
    assert any(result.id == ID and result.verdict.status is Status.WARNING for result in project.report().results)
