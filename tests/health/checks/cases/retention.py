"""What grows."""

from tests.health.actions import Action, admin, equals, old_answers, old_runs, role, run, sql, ticks
from tests.health.checks.case import Case, fine, unseen, warned
from tests.support.health import Project


def _swell(project: Project) -> None:
    # a file of its own, which the rollback deletes
    project.admin.execute("truncate net.http_request_queue")
    project.admin.execute("alter table net.http_request_queue alter column body set storage external")
    project.admin.execute(
        "insert into net.http_request_queue (method, url, body, timeout_milliseconds)"
        " select 'POST', 'http://127.0.0.1:9/', convert_to(repeat('x', 30000000), 'UTF8'), 1"
        " from generate_series(1, 9)"
    )


def _span(runs: int) -> Action[Project]:
    """Return what makes the oldest and the newest run so far apart."""
    return admin(
        "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
        f" select 0, n, 'succeeded', now(), now() from (values (1), ({runs})) as v (n)"
        " on conflict (runid) do nothing"
    )


CASES: dict[str, tuple[Case, ...]] = {
    "invocations_bounded": (
        warned(
            "pruning passed over ticks, and the repair deletes no other",
            ticks(40, first=-100, age="33 days"),
            ticks(12, first=100000, age="0"),
            says="table autosync.tick: holds ticks since 20",
            repaired_by="postgres",
            then=equals(0, "select count(*) from autosync.tick where ticked_at < now() - interval '1 day'"),
        ),
        fine(
            "the newest call is old, as nothing was due since",
            admin(
                "update autosync.tick set ticked_at = now() - interval '90 days'",
                "update autosync.invocation set queued_at = now() - interval '90 days'",
            ),
            ticks(12, first=100000, age="0"),
        ),
        fine("the job was just resumed", ticks(40, first=-100, age="90 days"), ticks(10, first=100000, age="0")),
        fine(
            "two days more than they are kept", ticks(40, first=-100, age="31 days"), ticks(12, first=100000, age="0")
        ),
        fine(
            "they are kept for longer",
            ticks(40, first=-100, age="33 days"),
            ticks(12, first=100000, age="0"),
            sql("update autosync.job set keep_invocations = '1 year'"),
        ),
    ),
    "job_run_details_bounded": (
        warned(
            "a large history, as the last ANALYZE left it",
            _span(4_000_000),
            admin("update pg_class set reltuples = 3400000 where oid = 'cron.job_run_details'::regclass"),
            says="table cron.job_run_details: holds about 3400000 rows in ",
        ),
        warned(
            "much of a small database",
            _span(500_000),
            admin("update pg_class set reltuples = 500000 where oid = 'cron.job_run_details'::regclass"),
            says="% of the database",
        ),
        fine(
            "what is left after a deletion, before ANALYZE",
            admin("update pg_class set reltuples = 3400000 where oid = 'cron.job_run_details'::regclass"),
        ),
        fine(
            "a history that was analysed again",
            admin(
                "update pg_class set reltuples = 3400000 where oid = 'cron.job_run_details'::regclass",
                "analyze cron.job_run_details",
            ),
        ),
        warned(
            "the repair spares what is young or still runs",
            old_runs(3, first=900, age="6 days"),
            run("running", ended=None),
            old_runs(40, first=-100, age="30 days"),
            says="40 runs are older than they are kept, the oldest is of 20",
            repaired_by="postgres",
            then=equals(4, "select count(*) from cron.job_run_details"),
        ),
        fine(
            "a history that the next tick prunes",
            old_runs(40, first=900, age="30 days"),
            lambda project: project.call(),
            says="",
        ),
        unseen(
            "a role that sees its own runs alone",
            role(
                grants="grant usage on schema cron, autosync to plain; grant select on cron.job, cron.job_run_details,"
                " autosync.job, autosync.tick to plain"
            ),
            role="plain",
            blocked_by=("privileges_sufficient",),
        ),
    ),
    "pg_net_tables_bounded": (
        warned(
            "answers that have expired",
            old_answers,
            says="table net._http_response: holds answers since 20",
            repaired_by="postgres",
            then=equals(0, "select count(*) from net._http_response where id < 0"),
        ),
        warned("a swollen queue", _swell, says="table net.http_request_queue: takes 2"),
        fine(
            "an idle pg_net keeps old answers",
            old_answers,
            sql("update net._http_response set created = now() - interval '2 hours' where id > 0"),
        ),
        unseen("pg_net is missing", admin("drop extension pg_net"), blocked_by=("pg_net_installed",)),
    ),
}
