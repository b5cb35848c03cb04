"""pg_net, and what lies between it and the project's address."""

from tests.health.actions import (
    Action,
    admin,
    answers,
    answers_again,
    carried,
    lost_call,
    pause,
    role,
    run,
    session_named,
    sql,
    steps,
    stored,
    switch_off,
    unanswered,
    waiting_call,
)
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import clusters, keys
from tests.support.health import Project

_POSTS = (
    "create or replace function net.http_post(url text, body jsonb default '{{}}', params jsonb default '{{}}',"
    " headers jsonb default '{{}}', timeout_milliseconds integer default 5000) returns bigint language sql as '{}'"
)
_FORBIDDEN = ("privileges_sufficient",)
_WATCH = (
    "create function public.watch() returns trigger language plpgsql set search_path = ''"
    " as $$ begin return null; end $$"
)
_REFUSE = (
    "create function public.refuse() returns trigger language plpgsql set search_path = ''"
    " as $$ begin raise exception 'no'; end $$"
)
_NO_COMMENT = admin("comment on extension pg_net is null")
_NO_KEY = sql("delete from public.pg_cron_secrets where name = 'service_role_key'")
_HTTP = (
    "project_url_reachable",
    "function_answers_in_time",
    "function_deployed",
    "function_accepts_key",
    "function_succeeds",
)


def _watched(table: str) -> Action[Project]:
    return admin(
        # what the repair needs later: the worker may stand between the two locks
        f"lock table {table} in access exclusive mode",
        _WATCH,
        f"create trigger watch after insert on {table} for each row execute function public.watch()",
    )


def _setting(name: str, value: str) -> Action[Project]:
    """Return what changes a setting of the stand-in, which reads it from its session; the real one has it in a view."""
    return admin(f"set local {name} = '{value}'")


def _version(version: str) -> Action[Project]:
    return admin(f"update pg_extension set extversion = '{version}' where extname = 'pg_net'")


def _revoked(what: str) -> Action[Project]:
    # the hosted role may read everything, whatever is revoked, and belongs to the roles of the API
    return admin(
        "revoke pg_read_all_data from postgres",
        f"revoke {what} from public, postgres, anon, authenticated, service_role",
    )


def _location(project: Project) -> None:
    project.stub.answer(201)
    project.stub.headers = {"location": "/things/1"}
    project.tick()


def _elsewhere(project: Project, location: str = "https://api.example.com/elsewhere") -> None:
    """Let the newest call be redirected: pg_net keeps the headers of the first answer and the status of the last."""
    project.stub.answer(200)
    project.stub.headers = {"location": location}
    project.tick()


_OWN = carried("secret", url="https://api.example.com/cron")
# a call of it that was answered after the newest of the job
_ANOTHER_ANSWERED = sql(
    "insert into autosync.job (name, function, schedule) values ('another', 'another', '0 0 1 1 *')",
    "insert into autosync.invocation (job_id, queued_at, request_id, timeout_milliseconds, settled_at, outcome,"
    " status_code) select j.id, clock_timestamp(), -1, 1000, clock_timestamp(), 'http_error', 500"
    " from autosync.job as j where j.name = 'another'",
)


def _timed_out(dns: float, handshake: float) -> Action[Project]:
    return unanswered(
        f"Timeout of 1000 ms reached. Total time: 1000.123000 ms (DNS time: {dns:f} ms,"
        f" TCP/SSL handshake time: {handshake:f} ms, HTTP Request/Response time: 0.000000 ms)",
        timed_out=True,
    )


def _no_call(project: Project) -> None:
    project.owner.execute("delete from autosync.tick")


_STAND_IN: dict[str, tuple[Case, ...]] = {
    "pg_net_settings_valid": (
        *(
            failed(f"{name} is {value!r}", _setting(name, value), says=says)
            for name, value, says in (
                ("pg_net.ttl", "6 hourz", "is '6 hourz', which is no interval"),
                ("pg_net.ttl", "", "is '', which is no interval"),
                ("pg_net.ttl", " ", "is ' ', which is no interval"),
                ("pg_net.ttl", "-1 hour", "is '-1 hour', so every answer is deleted at once"),
                ("pg_net.ttl", "1 second", "is '1 second': an answer is deleted before housekeeping writes it down"),
                ("pg_net.ttl", "5 min", "before housekeeping writes it down, which may take 330 s"),
                ("pg_net.batch_size", "0", "is 0, so no request is ever taken from the queue"),
                ("pg_net.username", "nobody_at_all", "is 'nobody_at_all', and there is no such role"),
                ("pg_net.username", "anon", "is 'anon', which may not log in"),
            )
        ),
        failed(
            "its role may not write answers",
            admin("revoke insert on net._http_response from public"),
            _setting("pg_net.username", "authenticator"),
            says="is 'authenticator', which lacks insert on net._http_response",
            reason="",
        ),
        failed(
            "the owner's role may not",
            admin("revoke insert on net._http_response from public, postgres"),
            _setting("pg_net.username", "postgres"),
            says="is 'postgres', which lacks insert on net._http_response",
            reason="rights",
        ),
        fine("answers are kept for long enough", _setting("pg_net.ttl", "10 minutes")),
        fine(
            "they are, as housekeeping comes every minute",
            sql("update autosync.job set schedule = '* * * * *'", "select autosync.sync_job('autosync-keep-house')"),
            _setting("pg_net.ttl", "100 seconds"),
        ),
        fine(
            "its role may",
            admin("grant insert on net._http_response to postgres"),
            _setting("pg_net.username", "postgres"),
        ),
        unseen(
            "a role that may not see the settings of the real one",
            _NO_COMMENT,
            role(),
            says="grant it pg_monitor",
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
    ),
    "pg_net_installed": (
        fine("the stand-in says what it is", says="stand-in"),
        failed(
            "the extension was dropped",
            admin("drop extension pg_net"),
            run("failed", 'ERROR:  schema "net" does not exist'),
            says="extension pg_net: is not installed in the database postgres",
            explains=("job_runs_succeed",),
            repaired_by="postgres",
        ),
    ),
    "pg_net_version_matches_library": (
        *(
            fine(f"version {version}", _version(version), says=f"is at version {version}, its library at")
            for version in ("0.19.0", "0.20.99", "1.0")
        ),
        failed("an older version", _version("0.18.0"), says="is at version 0.18.0, but its library at 0."),
    ),
    "pg_net_preloaded": (
        fine("a role without pg_monitor takes the worker for a proof", _NO_COMMENT, role(), role="plain"),
    ),
}


def _backlog(project: Project) -> None:
    """Leave 600 answered calls of the last hour without their outcomes, and an empty queue."""
    project.value("select autosync.dispatch(%s)", [project.job_name])
    project.admin.execute("delete from net.http_request_queue")
    project.owner.execute(
        "insert into autosync.invocation (job_id, tick_id, request_id, queued_at, timeout_milliseconds, epoch)"
        " select i.job_id, i.tick_id, 100000 + n, now() - (700 - n) * interval '5 seconds', 30000, i.epoch"
        " from autosync.invocation as i, generate_series(1, 600) as n where i.outcome = 'pending'"
    )
    project.admin.execute(
        "insert into net._http_response (id, status_code, created)"
        " select i.request_id, 200, i.queued_at from autosync.invocation as i where i.request_id > 100000"
    )


def _beside(milliseconds: int, *, times: int = 3, others: str = "job") -> Action[Project]:
    """Return what lets calls of so many milliseconds meet another call each, a second after they began."""

    def act(project: Project) -> None:
        project.owner.execute(
            "insert into autosync.job (name, function, schedule) values ('other', 'other', '0 0 1 1 *')"
            " on conflict (name) do nothing"
        )
        project.owner.execute(
            "insert into autosync.invocation"
            " (job_id, request_id, queued_at, timeout_milliseconds, outcome, settled_at, function_milliseconds)"
            " select j.id, -2 * n - s.late, now() - n * interval '5 minutes' + s.late * interval '1 s', 30000, 'ok',"
            " now(), case s.late when 0 then %s end"
            " from generate_series(1, %s) as n, (values (0), (1)) as s (late), autosync.job as j"
            " where j.name = case s.late when 0 then %s else 'other' end and (s.late = 0 or %s = 'job')",
            [milliseconds, times, project.job_name, others],
        )
        if others == "webhook":
            project.admin.execute(
                "insert into net._http_response (id, status_code, created)"
                " select -1000 - n, 200, now() - n * interval '5 minutes' + interval '1 second'"
                " from generate_series(1, %s) as n",
                [times],
            )

    return act


CASES: dict[str, tuple[Case, ...]] = {
    "calls_hold_no_others_up": (
        warned(
            "another job's calls wait",
            _beside(4200),
            says="3 of its newest calls took so long that 3 calls of others had to wait, the longest for 3 s",
        ),
        warned("a webhook waits", _beside(12000, times=1, others="webhook"), says="that 1 calls of others had to wait"),
        fine("one slow start", _beside(4200, times=1)),
        fine("they take two seconds", _beside(2900)),
        fine("nobody else calls", _beside(60000, others="nobody")),
        fine(
            "they acknowledge and report",
            _beside(60000),
            sql("update autosync.job set reports_within = interval '15 minutes'"),
        ),
    ),
    **({id: (fine("the real pg_net"),) for id in _STAND_IN} if clusters.REAL_PG_NET else _STAND_IN),
    "no_triggers_on_net_tables": (
        *(
            failed(
                f"a trigger on {table}",
                _watched(table),
                says=f"trigger watch on {table}: runs public.watch",
                hides="superuser",
                repaired_by="supabase_admin",
            )
            for table in ("net._http_response", "net.http_request_queue")
        ),
        failed(
            "a trigger that stops the worker",
            admin(
                _REFUSE,
                "create trigger refuse before insert on net._http_response for each row"
                " execute function public.refuse()",
            ),
            waiting_call("1 hour"),
            says="trigger refuse on net._http_response",
            explains=("pg_net_queue_drains",),
        ),
        *(
            failed(
                what,
                admin(statement),
                says=f"table net.{table}: has the {what} ",
                repaired_by="supabase_admin",
            )
            for what, table, statement in (
                (
                    "rule",
                    "http_request_queue",
                    "create rule r as on insert to net.http_request_queue do instead nothing",
                ),
                (
                    "constraint",
                    "_http_response",
                    "alter table net._http_response add check (status_code < 500) not valid",
                ),
                ("column", "_http_response", "alter table net._http_response alter content set not null"),
            )
        ),
        failed("a role without privileges sees it", _watched("net._http_response"), role(), says="watch", role="plain"),
        fine(
            "it is disabled",
            _watched("net._http_response"),
            admin("alter table net._http_response disable trigger watch"),
        ),
        fine("a trigger elsewhere", admin("create table public.other (id integer)"), _watched("public.other")),
    ),
    "outcomes_recorded": (
        failed(
            "the newest calls are lost",
            steps(lost_call, lost_call, lost_call),
            says="the outcome of the newest 3 calls since",
        ),
        warned("one call is lost", lost_call, says="the outcome of the newest call since"),
        fine("a later one is known", steps(lost_call, lost_call, lost_call), answers_again),
        fine("a call has no answer yet", waiting_call("1 second")),
        warned(
            "a call of which there is no row",
            sql("delete from autosync.invocation where tick_id = (select max(id) from autosync.tick)"),
            says="the newest tick since",
        ),
        fine("rows were cleared, and a later call is there", sql("delete from autosync.invocation"), answers_again),
        fine("ledger and all were cleared", sql("delete from autosync.invocation", "delete from autosync.tick")),
    ),
    "pg_net_database_matches": (
        fine("a second worker elsewhere", session_named("pg_net 0.20.4", database="template1")),
        fine("a role without pg_monitor", role(), role="plain"),
    ),
    "pg_net_queue_drains": (
        fine("a backlog that was answered and not written down", _backlog),
        failed(
            "a call waits, and the worker is idle",
            waiting_call("10 minutes"),
            says="1 of the newest 2 calls still wait there, the longest since",
        ),
        failed(
            "and others wait before it",
            admin(
                "insert into net.http_request_queue (method, url, timeout_milliseconds)"
                " select 'POST', 'http://127.0.0.1:9/', 5000 from generate_series(1, 300)"
            ),
            waiting_call("10 minutes"),
            says="; 300 requests of others wait before it",
        ),
        fine("with the default timeout of 30 s", waiting_call("70 seconds")),
    ),
    "pg_net_usable_by_job": (
        failed(
            "it may not queue a call",
            admin("revoke insert on net.http_request_queue from public, postgres"),
            run("failed", "ERROR:  permission denied for table http_request_queue"),
            says="table net.http_request_queue: the role postgres, as which the job makes its calls, may not insert it",
            explains=("job_runs_succeed",),
            repaired_by="postgres",
        ),
        failed(
            "a superuser grants it",
            admin("revoke insert on net.http_request_queue from public, postgres"),
            says="may not insert it",
            repaired_by="supabase_admin",
        ),
        *(
            failed(f"it lost {what}", _revoked(what), says=says)
            for what, says in (
                ("usage on schema net", "schema net"),
                ("execute on all functions in schema net", "function net.http_post()"),
                ("usage on sequence net.http_request_queue_id_seq", "sequence net.http_request_queue_id_seq"),
                ("select on net._http_response", "table net._http_response"),
            )
        ),
        failed(
            "a function of pg_net's was replaced by one that sends nothing",
            admin(_POSTS.format("select nextval(''net.http_request_queue_id_seq'')")),
            says="function net.http_post(): was replaced",
            repaired_by="supabase_admin",
        ),
        fine(
            "it was wrapped",
            admin(_POSTS.format("select net.http_get(url)")),
        ),
        fine(
            "pg_net's function has its owner's rights",
            admin(
                "do $$ begin execute format('alter function %s security definer',"
                " 'net.http_post'::regproc::regprocedure); end $$",
                "revoke insert on net.http_request_queue from public, postgres",
            ),
        ),
        fine(
            "other roles lost it",
            admin(
                "grant all on net.http_request_queue to postgres", "revoke all on net.http_request_queue from public"
            ),
        ),
    ),
    "pg_net_worker_running": (fine("a role without pg_monitor sees the worker", role(), role="plain"),),
    "project_url_reachable": (
        failed(
            "nobody listens",
            unanswered("Couldn't connect to server"),
            says="function auto-sync-cron: 1 of the last 2 calls got no HTTP answer",
            explains=_HTTP[1:],
        ),
        failed(
            "the key is missing, too, which explains nothing",
            unanswered("Couldn't connect to server"),
            _NO_KEY,
            says="connect",
        ),
        failed(
            "a content network answers for the server",
            answers(522, "<html>connection timed out</html>"),
            says="did not get through since",
            reason="behind",
        ),
        *(
            failed(error, unanswered(error), says=f"({meaning}", reason=reason)
            for error, meaning, reason in (
                ("SSL peer certificate or SSH remote key was not OK", "the certificate is not trusted", "certificate"),
                (
                    "Problem with the SSL CA cert (path? access rights?)",
                    "the database's server cannot read",
                    "authorities",
                ),
                ("Server returned nothing (no headers, no data)", "the connection was closed without", "broken_off"),
                ("Failure when receiving data from the peer", "the connection was broken off", "broken_off"),
                ("Error in the HTTP2 framing layer", "the connection was broken off", "broken_off"),
            )
        ),
        failed(
            "it speaks TLS, and the address begins with http",
            answers(400, "Client sent an HTTP request to an HTTPS server."),
            says="did not get through since",
        ),
        failed(
            "the handshake does not end, whose time counts from the lookup backwards",
            _timed_out(20.4, -20.4),
            says="(nobody completed the connection in time",
            reason="shut_out",
        ),
        failed(
            "the address redirects",
            _elsewhere,
            says="was redirected to https://api.example.com/elsewhere (another host; a key in the header",
        ),
        failed(
            "to another host, with a secret key in the header apikey",
            stored(service_role_key=keys.secret()),
            _elsewhere,
            says="calls went astray since",
        ),
        failed(
            "to another host, with the cron secret",
            stored(cron_secret="c" * 43),
            sql(
                "insert into autosync.setting (name, value)"
                """ values ('function_auth', '{"auto-sync-cron-job": "cron_secret"}')"""
            ),
            _elsewhere,
            says="(another host, and the key went there with the call)",
        ),
        failed(
            "to another path of the same host",
            stored(service_role_key=keys.secret()),
            lambda project: _elsewhere(project, "/elsewhere"),
            says="(it arrives there as a GET without its body, unless",
        ),
        *(
            failed(
                f"of the job's own address: {message}",
                _OWN,
                unanswered(message),
                says="got no HTTP answer",
                reason="own_url",
            )
            for message in ("Couldn't connect to server", "Server returned nothing (no headers, no data)")
        ),
        failed(
            "the job's own address redirects, and its secret goes along",
            _OWN,
            lambda project: _elsewhere(project, "https://elsewhere.example.com/"),
            says="went astray",
            reason="own_url_with_secret",
        ),
        failed(
            "another job was answered from there since",
            unanswered("Server returned nothing (no headers, no data)"),
            _ANOTHER_ANSWERED,
            says="got no HTTP answer",
            reason="reached_since",
        ),
        fine("a created thing is named with its place", _location),
        fine(
            "a gateway's error page",
            answers(502, "<html>bad gateway</html>"),
            says="function auto-sync-cron: answered 502",
        ),
    ),
    "project_url_resolves": (
        *(
            failed(message, unanswered(message), says=message, explains=_HTTP)
            for message in (
                "Couldn't resolve host name",
                "Could not resolve hostname",
                "Could not resolve host: abcdefghijklmnopqrst.supabase.co",
            )
        ),
        *(
            # an answer of the last minutes shows that names are found, unless the lookup itself ended too late
            failed(
                f"no name server answers, and the handshake took {handshake} ms",
                _timed_out(999.1, handshake),
                says="no name server answered",
            )
            for handshake in (0, -999.1)
        ),
        *(
            failed(
                f"{what} has no address",
                *acts,
                unanswered("Couldn't resolve host name"),
                *later,
                says="got no HTTP answer",
                reason=reason,
            )
            for what, acts, later, reason in (
                ("the job's own host", (_OWN,), (), "own_url"),
                ("a host that answered another job since", (), (_ANOTHER_ANSWERED,), "reached_since"),
            )
        ),
        fine("nobody listens", unanswered("Couldn't connect to server"), says="the host name was resolved"),
        fine("the handshake does not end", _timed_out(20.4, 979.7), says="the host name was resolved"),
        unseen("nothing was called yet", _no_call),
        *(
            fine("and the job is off", _no_call, act, says="no call has been answered yet")
            for act in (pause, switch_off)
        ),
    ),
}
