"""no_triggers_on_cron_tables: a foreign trigger is a warning, and the root cause once pg_cron dies of it."""

import re

import pytest

from autosync_db.health.model import Status
from tests.support import clusters, server
from tests.support.health import Project

NOTHING = "create function public.nothing() returns trigger language plpgsql as $$ begin return new; end $$"
RAISING = "create function public.raising() returns trigger language plpgsql as $$ begin raise 'no'; end $$"


def test_harmless_trigger_is_a_warning_until_it_is_dropped(project: Project) -> None:
    project.admin.execute(NOTHING)
    project.admin.execute(
        "create trigger watch before insert on cron.job_run_details for each row execute function public.nothing()"
    )
    project.must_fail(
        "no_triggers_on_cron_tables",
        status=Status.WARNING,
        names="job_run_details: has the trigger watch (function public.nothing), which runs as supabase_admin",
    )
    project.repair("no_triggers_on_cron_tables", role="supabase_admin")
    project.must_be_healthy()


@pytest.mark.young_launcher
def test_raising_trigger_is_the_root_cause_of_the_crash_loop(project: Project) -> None:
    project.record_run("running", "")
    project.admin.execute(RAISING)
    project.admin.execute(
        "create trigger guard before update on cron.job_run_details for each row execute function public.raising()"
    )
    server.restart(project)
    clusters.wait_for(lambda: re.search(r"ERROR:  no\n", project.cluster.log.read_text()), "the launcher's end")
    clusters.wait_for(lambda: server.launcher(project) is None, "the launcher's absence")
    for _ in range(2):
        project.must_be_blocked("pg_cron_scheduler_running", "no_triggers_on_cron_tables")
    project.must_fail("no_triggers_on_cron_tables", names="has the trigger guard")

    project.admin.execute("drop trigger guard on cron.job_run_details")
    server.wait_for_launcher(project)
    project.must_be_healthy()


def test_trigger_elsewhere_in_the_extension_is_its_own(project: Project) -> None:
    project.admin.execute(NOTHING)
    project.admin.execute("create table public.job (id integer)")
    project.admin.execute("create trigger t before insert on public.job for each row execute function public.nothing()")
    project.must_be_healthy()
