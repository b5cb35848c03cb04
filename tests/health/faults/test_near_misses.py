"""States that look like faults and are none: verify says ok of them, all of it."""

from typing import Any

import pytest

from tests.health.actions import Action, admin, answers, other_job, recorded_migration, run, sql, steps
from tests.health.faults import look
from tests.health.faults.conftest import Note
from tests.health.faults.modes.alerts import receiver
from tests.health.faults.modes.beside import their_answer, their_run
from tests.health.faults.table import SCENARIO
from tests.support import health, keys
from tests.support.health import Project
from tests.support.trial import Trial

_FAILED_ONCE = {"succeeded": 2, "failed": 1, "failures": [{"id": 7, "error": "is gone"}]}
_PROXIES = {"via": "1.1 kong/2.8.1", "server": "cloudflare", "x-envoy-upstream-service-time": "7"}
_PLACEHOLDERS = ("sb_" + "secret_YOUR_KEY_HERE_123", "Bearer <service_role_key>", keys.legacy("anon").reveal())
_READS_VAULT = (
    "create function public.call_them() returns bigint language plpgsql as $$ begin"
    " return net.http_post('https://api.example.com/hook', headers := jsonb_build_object('Authorization', 'Bearer '"
    " || (select decrypted_secret from vault.decrypted_secrets where name = 'service_role_key'))); end $$"
)


def _through_proxies(project: Project) -> None:
    project.stub.answer()
    project.stub.headers = _PROXIES
    project.tick()


def _history(rows: int, *, left: int) -> Action[Project]:
    """Return what makes the statistics say so many rows, of which so many are left."""
    return admin(
        "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
        f" select 0, n, 'succeeded', now(), now() from (values (-{left}), (0)) as v (n) on conflict do nothing",
        f"update pg_class set reltuples = {rows} where oid = 'cron.job_run_details'::regclass",
    )


def _others_alone(project: Project) -> None:
    """Let only another job be registered, while no settings name one."""
    project.owner.execute("select cron.unschedule('auto-sync-cron-job')")
    project.owner.execute("delete from autosync.job where name = 'auto-sync-cron-job'")
    project.add_job("nightly")


def _many_of_its_own(project: Project) -> None:
    """Give the project 24 jobs, as public ones have them, which ran and were answered well."""
    calls = "select net.http_post(url := 'https://api.example.com/{}', timeout_milliseconds := 30000)"
    for number in range(24):
        text = calls.format(f"job-{number}") if number % 3 else f"delete from public.of_the_project where id = {number}"
        their_run(f"job-{number}", text, "succeeded", "1 row")(project)
        if number % 3:
            their_answer((200, 202, 204)[number % 3], "" if number % 2 else {"ok": True})(project)


def _disabled_trigger(project: Project) -> None:
    project.admin.execute(
        "create function public.watch() returns trigger language plpgsql as $$ begin return null; end $$;"
        "create trigger watch after insert on net._http_response for each row execute function public.watch();"
        "alter table net._http_response disable trigger watch"
    )


NEAR_MISSES: dict[str, Action[Any]] = {
    "an answer without a body": answers(204, ""),
    "an answer that was accepted, in plain text": answers(202, "queued"),
    "an answer with an empty list of errors, and failures in its data": answers(
        200, {"errors": [], "data": [{"status": "failed"}]}
    ),
    "an answer that says success, with the word error inside": answers(
        200, {"success": True, "data": {"status": "failed", "note": "error"}}
    ),
    "some of what the function counts failed": answers(200, _FAILED_ONCE),
    "the function's answer came through three proxies": _through_proxies,
    "other roles may not change jobs": admin("revoke execute on all functions in schema cron from anon, authenticated"),
    "the database is strict, and the role's own limit wide": admin(
        "alter database postgres set statement_timeout = '1ms'", "alter role postgres set statement_timeout = '2min'"
    ),
    "a long history was deleted, and not yet analysed": _history(3_400_000, left=0),
    "a hundred thousand runs of other jobs": _history(100_000, left=100_000),
    "one run found no worker to start in, and the next one did": steps(
        run("failed", "job startup timeout"), run("succeeded", "1 row")
    ),
    "placeholders and public keys in jobs, functions and migrations": steps(
        other_job("mailer", f"select '{_PLACEHOLDERS[0]}', '{_PLACEHOLDERS[1]}', '{_PLACEHOLDERS[2]}'"),
        sql(f"create function public.f() returns text language sql as $$ select '{' '.join(_PLACEHOLDERS)}' $$"),
        recorded_migration("1", f"select '{' '.join(_PLACEHOLDERS)}'"),
    ),
    "a function of the project reads its key from the vault": sql(_READS_VAULT),
    "a message was given up, and a later one was delivered": receiver("given_up", "delivered"),
    "a message is on its way to a receiver": steps(
        receiver("posted"), sql("update autosync.alert set created_at = clock_timestamp(), settled_at = null")
    ),
    "another's job failed once and ran well after that": steps(
        their_run("report", "select 1", "failed", "ERROR:  deadlock detected"),
        admin("update cron.job_run_details set runid = -1 where status = 'failed'"),
        admin(
            "insert into cron.job_run_details (jobid, runid, status, return_message, start_time, end_time)"
            " select jobid, nextval('cron.runid_seq'), 'succeeded', '1 row', now(), now()"
            " from cron.job where jobname = 'report'"
        ),
    ),
    "other calls are answered without a body, and in plain text": steps(their_answer(204), their_answer(200, "queued")),
    "24 jobs of the project's own": _many_of_its_own,
    "a trigger on pg_net's answers is disabled": _disabled_trigger,
    "only other jobs are registered, and no settings name one": _others_alone,
}

# checks/test_cases.py shows these to the check that they might mislead, on every push
_SHOWN_TO_ONE_CHECK = {
    "a hundred thousand runs of other jobs",
    "a long history was deleted, and not yet analysed",
    "a trigger on pg_net's answers is disabled",
    "an answer without a body",
    "another's job failed once and ran well after that",
    "one run found no worker to start in, and the next one did",
    "other calls are answered without a body, and in plain text",
    "other roles may not change jobs",
    "some of what the function counts failed",
    "the database is strict, and the role's own limit wide",
}


# what its checks find is the same on every version: checks/test_cases.py is run on each
@pytest.mark.one_version
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] if name in _SHOWN_TO_ONE_CHECK else []) for name in NEAR_MISSES],
)
def test_verify_keeps_silent(name: str, project: Trial, note: Note, measured_on: str) -> None:
    for _ in range(5):
        project.record_run("succeeded", "1 row")
    NEAR_MISSES[name](project)
    report = project.report()
    agrees = note(SCENARIO, measured_on, name, report.status.value, look.said(report))
    assert not report.root_causes, health.described(report)
    agrees()
