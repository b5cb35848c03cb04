"""P: what stands beside this package, in situations of public reports."""

import json

from psycopg.types.json import Jsonb

from autosync_db.health.model import Status
from tests.health.actions import Action, admin, other_job, sql
from tests.health.faults.mode import AnyMode, Mode
from tests.support import keys
from tests.support.health import Project

_KEY = keys.secret().reveal()
_HISTORY = "the run is written into pg_cron's history"
_ANSWER = "the answer is written into pg_net's table"
_HOOK = "create function public.hook() returns trigger language plpgsql as $$ begin return null; end $$"


def their_run(name: str, command: str, status: str, message: str) -> Action[Project]:
    """Return what schedules another's job and records a run of it."""

    def act(project: Project) -> None:
        other_job(name, command)(project)
        project.admin.execute(
            "insert into cron.job_run_details (jobid, runid, status, return_message, start_time, end_time)"
            " select c.jobid, nextval('cron.runid_seq'), %s, %s, clock_timestamp(), clock_timestamp()"
            " from cron.job as c where c.jobname = %s",
            [status, message, name],
        )

    return act


def their_answer(status: int | None, body: object = "", error: str | None = None) -> Action[Project]:
    """Return what lets pg_net hold an answer to a call of another's."""

    def act(project: Project) -> None:
        project.admin.execute(
            "insert into net._http_response (id, status_code, headers, content, timed_out, error_msg, created)"
            " select 99000000 + count(*), %s, %s, %s, false, %s, clock_timestamp() from net._http_response",
            [status, Jsonb({}), body if isinstance(body, str) else json.dumps(body), error],
        )

    return act


_NO_ANSWERS = admin("delete from net._http_response where id >= 99000000")


def _fails(id: str, fault: str, command: str, message: str, *, long: bool = True) -> AnyMode:
    return Mode(
        id, fault, "other_jobs_succeed", their_run("report", command, "failed", f"ERROR:  {message}"), Status.WARNING,
        says="cron job report: the last 1 of 1 runs failed", undo=sql("select cron.unschedule('report')"),
        simulated=_HISTORY, long=long,
    )  # fmt: skip


def _answered(
    id: str,
    fault: str,
    says: str,
    status: int | None,
    body: object = "",
    error: str | None = None,
    *,
    long: bool = True,
) -> AnyMode:
    return Mode(
        id, fault, "other_answers_good", their_answer(status, body, error), Status.WARNING, says=says, undo=_NO_ANSWERS,
        simulated=_ANSWER, long=long,
    )  # fmt: skip


MODES: tuple[AnyMode, ...] = (
    _fails(
        "P6",
        "another's job calls a function that is not there",
        "select extensions.http_post(url := 'x')",
        "function extensions.http_post(url => unknown) does not exist",
        long=False,
    ),
    _fails(
        "P6b",
        "another's job has no address to call",
        "select net.http_post(url := null)",
        'null value in column "url" of relation "http_request_queue" violates not-null constraint',
    ),
    _answered(
        "P6c",
        "another's calls carry no key, as a setting is unset",
        "401 {",
        401,
        {"message": "Missing authorization header"},
        long=False,
    ),
    _answered("P6d", "another's calls reach a web page", "200, a web page", 200, "<!doctype html><title>App</title>"),
    _answered("P6e", "another's function says that it failed", "200, and says that it failed", 200, {"error": "quota"}),
    _answered("P6f", "another's host has no address", "resolve host", None, "", "Couldn't resolve host name"),
    Mode(
        "P6g",
        "another's header comes from a setting that nobody has set",
        "other_calls_complete",
        other_job(
            "theirs",
            "select net.http_post('https://a.example.com/x', timeout_milliseconds := 9000, headers :="
            " jsonb_build_object('Authorization', 'Bearer ' || current_setting('app.nowhere', true)))",
        ),
        Status.WARNING,
        says="its header Authorization comes from the setting app.nowhere, which is not there",
        undo=sql("select cron.unschedule('theirs')"),
    ),
    Mode(
        "P7",
        "another's job still sends the key that is stored here",
        "no_secret_in_job_command",
        lambda project: other_job(
            "old",
            "select 'Bearer "
            + str(project.value("select secret from public.pg_cron_secrets where name = 'service_role_key'"))
            + "'",
        )(project),
        says="cron job old: the text of job",
        reason="not_ours",
        undo=sql("select cron.unschedule('old')"),
        long=True,
    ),
    Mode(
        "P4",
        "a function of the project holds a key",
        "no_secret_in_functions",
        sql(f"create function public.notify_them() returns text language sql as $$ select 'Bearer {_KEY}' $$"),
        Status.WARNING,
        says="notify_them(): holds a key",
        undo=sql("drop function public.notify_them()"),
    ),
    Mode(
        "P4b",
        "a trigger hands a key over",
        "no_secret_in_functions",
        sql(
            _HOOK,
            "create table public.thing (id integer)",
            "create trigger hook after insert on public.thing for each row"
            f""" execute function public.hook('{{"Authorization": "Bearer {_KEY}"}}')""",
        ),
        Status.WARNING,
        says="thing: holds a key",
        undo=sql("drop table public.thing"),
        long=True,
    ),
)
