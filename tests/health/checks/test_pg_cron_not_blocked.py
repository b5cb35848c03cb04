"""pg_cron_not_blocked: who holds what pg_cron's one process waits for is named, with the time it has waited."""

from contextlib import closing

from autosync_db.health.model import Status
from tests.support import clusters, server
from tests.support.health import Project, result_of

WAITING = "select 1 from pg_locks as l where not l.granted and l.pid = %s"


def test_holder_of_a_lock_is_the_root_cause_until_it_is_ended(project: Project) -> None:
    server.orphan_job(project)
    clusters.wait_for(lambda: server.launcher(project) is None, "the launcher's end")
    # a run that the launcher will mark as failed when it starts
    project.record_run("running", "")
    with closing(clusters.connect(project.cluster, "supabase_admin")) as holder:
        holder.execute("begin; lock table cron.job_run_details in share mode")
        project.admin.execute("create role leaver")
        clusters.wait_for(
            lambda: project.admin.execute(WAITING, [server.launcher(project)]).fetchone(), "a launcher that waits"
        )
        assert result_of(project.report(), "pg_cron_not_blocked").status is Status.OK
        clusters.wait_for(
            lambda: result_of(project.report(["pg_cron_not_blocked"]), "pg_cron_not_blocked").status is Status.WARNING,
            "a wait of some seconds",
        )
        clusters.wait_for(
            lambda: result_of(project.report(["pg_cron_not_blocked"]), "pg_cron_not_blocked").status is Status.CRITICAL,
            "a wait that nobody would call short",
        )
        project.add_schedule(next_run_at="now() - interval '100 days'")
        project.must_fail(
            "pg_cron_not_blocked", names=f"cron.job_run_details that is held by process {holder.info.backend_pid} (role"
        )
        project.must_be_blocked("schedules_not_overdue", "pg_cron_not_blocked")
        project.create_role("plain")
        only = ["pg_cron_not_blocked"]
        assert result_of(project.report(only, role="plain"), only[0]).verdict.status is Status.CRITICAL
        project.repair("pg_cron_not_blocked", role="supabase_admin")
    clusters.wait_for(
        lambda: not project.admin.execute(WAITING, [server.launcher(project)]).fetchone(), "the end of the wait"
    )
    project.admin.execute("drop role plain")
    project.owner.execute("delete from public.auto_sync_schedules")
    server.wait_for_launcher(project)
    project.must_be_healthy()


def test_wait_for_a_standby_is_named_by_its_setting(project: Project) -> None:
    project.record_run("running", "")
    project.admin.execute("alter system set synchronous_commit = on")
    project.admin.execute("alter system set synchronous_standby_names = 'nobody'")
    project.restart_server()
    only = ["pg_cron_not_blocked"]
    clusters.wait_for(
        lambda: result_of(project.report(only), only[0]).status is Status.WARNING, "a wait of some seconds"
    )
    summary = result_of(project.report(only), only[0]).verdict.summary
    assert "a standby to confirm a write (synchronous_standby_names is 'nobody')" in summary
    project.admin.execute("alter system reset synchronous_standby_names")
    project.cluster.reload()
    server.wait_for_launcher(project)
    clusters.wait_for(lambda: result_of(project.report(only), only[0]).status is Status.OK, "the end of the wait")
    project.must_be_healthy()


def test_lock_whose_age_is_hidden_from_the_role_is_unknown(project: Project) -> None:
    project.create_role("plain")
    only = ["pg_cron_not_blocked"]
    with closing(clusters.connect(project.cluster, "supabase_admin")) as holder:
        holder.execute("begin; lock table cron.job_run_details in access exclusive mode")
        assert result_of(project.report(only, role="plain"), only[0]).verdict.status is Status.UNKNOWN
    project.admin.execute("drop role plain")
