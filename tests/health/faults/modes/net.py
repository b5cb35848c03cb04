"""F: pg_net."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from autosync_db.health.model import Status
from tests.health.actions import (
    Action,
    admin,
    answers_again,
    command,
    failed_tick,
    lost_call,
    secrets_again,
    sql,
    steps,
    stored,
    tick,
    unanswered,
)
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.health.faults.modes.function import ODD_BODY
from tests.support import clusters, server
from tests.support.clusters import REAL_PG_NET
from tests.support.health import LiveProject, Project

_SCHEMA_IN_THE_WAY = "create schema net authorization supabase_admin"


def setting(name: str, value: str) -> Action[LiveProject]:
    """Return what changes a setting of pg_net as a superuser does."""

    def act(project: LiveProject) -> None:
        project.admin.execute(f"alter system set {name} = '{value}'".encode())
        project.admin.execute("select pg_reload_conf()")
        server.wait_for_setting(project, name, value)

    return act


def _worker_is_there(project: LiveProject) -> None:
    clusters.wait_for(
        lambda: project.value("select count(*) from pg_stat_activity where application_name like 'pg\\_net %'"),
        "the worker, which starts again after a second",
    )


def _age_pending(project: Project) -> None:
    project.owner.execute(
        "update autosync.invocation set queued_at = now() - interval '10 minutes' where outcome = 'pending'"
    )


def _queue_is_empty(project: LiveProject) -> None:
    clusters.wait_for(lambda: not project.value("select count(*) from net.http_request_queue"), "the calls to be sent")


def _worker_elsewhere(project: LiveProject) -> None:
    if REAL_PG_NET:
        project.admin.execute("alter system set pg_net.database_name = 'template1'")
        project.restart_server()
        return
    project.stop_worker()
    project.hold(clusters.connection(project.cluster, database="template1", application_name="pg_net 0.20.4"))


def _worker_back(project: LiveProject) -> None:
    project.release()
    if REAL_PG_NET:
        project.admin.execute("alter system reset pg_net.database_name")
        project.restart_server()
        return
    project.start_worker()


@contextmanager
def _update_path(project: Project, version: str) -> Iterator[None]:
    """Give the stand-in an update script, as the real extension has them."""
    path = project.cluster.installation.share / "extension" / f"pg_net--0.18.0--{version}.sql"
    path.write_text("")
    try:
        yield
    finally:
        path.unlink()


def _older_extension(project: Project) -> None:
    version = project.value("select extversion from pg_extension where extname = 'pg_net'")
    if not REAL_PG_NET:
        project.hold(_update_path(project, version))
    project.admin.execute("update pg_extension set extversion = '0.18.0' where extname = 'pg_net'")


def _newer_extension(project: Project) -> None:
    project.release()
    project.admin.execute(
        "update pg_extension set extversion = (select e.default_version from pg_available_extensions as e"
        " where e.name = 'pg_net') where extname = 'pg_net'"
    )


def _slept_over(project: LiveProject) -> None:
    if REAL_PG_NET:
        with clusters.connection(project.cluster, "supabase_admin") as holder:
            holder.execute("begin; lock table net._http_response in access exclusive mode")
            project.owner.execute(
                "insert into net.http_request_queue (method, url, timeout_milliseconds)"
                " values ('POST', 'http://127.0.0.1:1', 1000)"
            )
            project.owner.execute("select net.wake()")
            holder.execute("select pg_sleep(2)")
        project.owner.execute(
            "insert into autosync.invocation"
            " (tick_id, job_id, request_id, timeout_milliseconds, epoch)"
            " select t.id, t.job_id, q.id, 1000, t.epoch"
            " from (select k.* from autosync.tick as k order by k.id desc limit 1) as t"
            " cross join net.http_request_queue as q"
        )
    else:
        project.stop_worker()
        project.hold(clusters.connection(project.cluster, application_name="pg_net 0.20.4"))
        project.run_by_cron()
    _age_pending(project)


def _woken(project: LiveProject) -> None:
    project.release()
    if REAL_PG_NET:
        project.owner.execute("select net.wake()")
    else:
        project.start_worker()
    _queue_is_empty(project)
    project.tick()


def _busy_with_a_batch(project: LiveProject) -> None:
    gate = threading.Event()
    project.held.callback(gate.set)
    project.stub.judge = lambda request: 200 if gate.wait(timeout=25) else 504
    project.run_by_cron()
    clusters.wait_for(
        lambda: project.value(
            "select count(*) from pg_stat_activity where application_name like 'pg\\_net %' and xact_start is not null"
        ),
        "a worker at work",
    )
    _age_pending(project)


def _batch_ends(project: LiveProject) -> None:
    project.release()
    project.stub.judge = None
    clusters.wait_for(
        lambda: (
            not project.value(
                "select count(*) from autosync.recent_outcomes(%s, 50) where outcome = 'pending'", [project.job_name]
            )
        ),
        "the answer",
    )
    project.tick()


def _slower_than_the_timeout(project: Project) -> None:
    project.set_job(timeout="1s")
    project.stub.answer(delay_seconds=1.3)
    project.tick()


def timeout_again(project: Project) -> None:
    """Give calls the time that the settings say."""
    project.restore_job()
    answers_again(project)


def _crash_with_a_call_queued(project: LiveProject) -> None:
    project.stop_worker()
    project.run_by_cron()
    server.crash(project)
    if REAL_PG_NET:
        project.start_worker()  # the crash brought it back, and it is set to send nothing


def _crash_of_the_worker(project: LiveProject) -> None:
    server.crash(project, project.value("select pid from pg_stat_activity where application_name like 'pg\\_net %'"))


def _trigger_on_answers(project: LiveProject) -> None:
    project.admin.execute(
        "create function public.refuse() returns trigger language plpgsql set search_path = ''"
        " as $$ begin raise exception 'no'; end $$"
    )
    project.admin.execute(
        "create trigger refuse before insert on net._http_response for each row execute function public.refuse()"
    )
    before = len(project.stub.requests)
    project.run_by_cron()
    clusters.wait_for(lambda: len(project.stub.requests) >= before + 2, "the same call twice")


def _trigger_off_answers(project: LiveProject) -> None:
    project.admin.execute("drop trigger refuse on net._http_response; drop function public.refuse()")
    _queue_is_empty(project)
    project.tick()


def _redirected(project: Project) -> None:
    project.stub.answer()
    project.stub.redirects = {"/functions/v1/auto-sync-cron": f"{project.stub.url}/elsewhere"}
    project.tick()
    assert [request.method for request in project.stub.requests[-2:]] == ["POST", "GET"]


def _extension_again(project: LiveProject) -> None:
    project.admin.execute("drop schema if exists net cascade")
    project.run_command("migrate")
    project.stop_worker()
    project.start_worker()
    project.tick()


MODES: tuple[AnyMode, ...] = (
    Mode(
        "F1",
        "the extension pg_net was dropped",
        "pg_net_installed",
        steps(sql("drop extension pg_net"), failed_tick),
        says="is not installed in the database postgres",
        repairable=True,
    ),
    ServerMode(
        "F2",
        "pg_net.ttl is no interval, so the worker dies at every start",
        "pg_net_settings_valid",
        setting("pg_net.ttl", "6 hourz"),
        says="is '6 hourz', which is no interval",
        undo=steps(setting("pg_net.ttl", "6 hours"), _worker_is_there, tick),
    ),
    ServerMode(
        "F3",
        "the worker serves another database",
        "pg_net_database_matches",
        _worker_elsewhere,
        says="the database template1",
        undo=_worker_back,
        simulated="" if REAL_PG_NET else "the worker is a session that bears its name",
    ),
    Mode(
        "F4",
        "the extension is older than its library",
        "pg_net_version_matches_library",
        _older_extension,
        says="is at version 0.18.0, but its library at",
        repairable=not REAL_PG_NET,
        undo=_newer_extension,
        simulated="the version is written into the catalog",
    ),
    Mode(
        "F5",
        "the job writes into pg_net's queue itself",
        "job_command_matches",
        command(
            "insert into net.http_request_queue (method, url, timeout_milliseconds)"
            " values ('POST', 'https://api.example.com/functions/v1/auto-sync-cron', 5000)"
        ),
        says="runs something else than",
        repairable=True,
    ),
    ServerMode(
        "F6",
        "the worker slept over a call",
        "pg_net_queue_drains",
        _slept_over,
        says="the worker is idle",
        repairable=REAL_PG_NET,
        undo=_woken,
        simulated="the call is made older" + ("" if REAL_PG_NET else "; the worker is a session that bears its name"),
    ),
    ServerMode(
        "F7",
        "pg_net.batch_size is 0",
        "pg_net_settings_valid",
        setting("pg_net.batch_size", "0"),
        says="is 0, so no request is ever taken from the queue",
        undo=setting("pg_net.batch_size", "200"),
    ),
    ServerMode(
        "F8",
        "a slow call keeps the worker's batch open",
        "pg_net_queue_drains",
        _busy_with_a_batch,
        reason="busy",
        says="the worker is busy with a batch since",
        undo=_batch_ends,
        simulated="the call is made older",
        long=True,
    ),
    ServerMode(
        "F9",
        "the timeout is shorter than the function's work",
        "function_answers_in_time",
        _slower_than_the_timeout,
        says="got no answer in time",
        undo=timeout_again,
        long=True,
    ),
    Mode(
        "F10",
        "pg_net reports a timeout as versions before 0.19.6 did",
        "function_answers_in_time",
        unanswered("Timeout was reached"),
        says="Timeout was reached",
        undo=tick,
        simulated="the answer is written into pg_net's table",
    ),
    Mode(
        "F11",
        "somebody deletes pg_net's answers",
        "outcomes_recorded",
        steps(lost_call, lost_call, lost_call),
        simulated="their answers are taken out of the ledger and of pg_net",
        says="the outcome of the newest 3 calls",
        undo=tick,
    ),
    ServerMode(
        "F12",
        "the server crashes while a call is queued",
        "no_recent_crash",
        _crash_with_a_call_queued,
        status=Status.WARNING,
        says="pg_net forgot its requests",
        long=True,
    ),
    ServerMode(
        "F14",
        "a trigger on pg_net's answers raises, so every call is sent again and again",
        "no_triggers_on_net_tables",
        _trigger_on_answers,
        reason="out_of_reach",
        says="trigger refuse on net._http_response: runs public.refuse",
        undo=_trigger_off_answers,
        long=True,
    ),
    Mode(
        "F17",
        "the project's address has no scheme",
        "project_url_valid",
        steps(stored(project_url="api.example.com"), failed_tick),
        says="has no scheme",
        undo=secrets_again,
    ),
    ServerMode(
        "F18",
        "the address redirects, so the call arrives as a GET",
        "project_url_reachable",
        _redirected,
        says="was redirected to",
        reason="redirected",
        undo=answers_again,
    ),
    Mode(
        "F19",
        "the job's role may not write into pg_net's queue",
        "pg_net_usable_by_job",
        steps(admin("revoke insert on net.http_request_queue from public, postgres"), failed_tick),
        says="may not insert it",
        repairable=True,
    ),
    ODD_BODY,
    ServerMode(
        "F21",
        "the worker is killed and takes the server down with it",
        "no_recent_crash",
        _crash_of_the_worker,
        status=Status.WARNING,
        says="crashed and recovered at",
        long=True,
    ),
    ServerMode(
        "F23",
        "another object owns the schema net",
        "pg_net_installed",
        admin("drop extension pg_net", _SCHEMA_IN_THE_WAY),
        reason="in_the_way",
        says="is not installed in the database postgres",
        undo=_extension_again,
        tidy=LiveProject.disconnect,
        long=True,
    ),
)
