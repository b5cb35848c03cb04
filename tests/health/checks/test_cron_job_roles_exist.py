"""cron_job_roles_exist: one job of a dropped role stops the jobs of all, and is named before and after it did."""

import pytest

from tests.support import clusters, server
from tests.support.health import Project

ORPHAN = "cron job left behind: job"


@pytest.mark.young_launcher
def test_job_of_a_dropped_role_is_the_root_cause_of_the_crash_loop(project: Project) -> None:
    before = server.launcher(project)
    server.orphan_job(project)
    clusters.wait_for(lambda: server.launcher(project) != before, "the launcher's end")
    # in a loop it can be seen by chance, so once is not enough
    for _ in range(3):
        project.must_fail("cron_job_roles_exist", names=ORPHAN)
        project.must_be_blocked("pg_cron_scheduler_running", "cron_job_roles_exist")

    project.run_remedy("cron_job_roles_exist")
    server.wait_for_launcher(project)
    project.must_be_healthy()


def test_inactive_job_counts_and_a_renamed_role_is_a_gone_one(project: Project) -> None:
    project.admin.execute("create role leaver; grant usage on schema cron to leaver; set role leaver")
    project.admin.execute("select cron.schedule('left behind', '0 0 1 1 *', 'select 1')")
    project.admin.execute("reset role; update cron.job set active = false where jobname = 'left behind'")
    project.must_be_healthy()
    project.admin.execute("alter role leaver rename to returner")
    # pg_cron has not read its jobs since, and does so at any change
    project.must_fail("cron_job_roles_exist", names="belongs to the role leaver, which does not exist")

    project.admin.execute("alter role returner rename to leaver")
    server.wait_for_launcher(project)
    project.must_be_healthy()
