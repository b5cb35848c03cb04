"""The job: its definition."""

import dataclasses

from autosync_db.config import Settings
from tests.health.actions import (
    Action,
    admin,
    command,
    other_job,
    overdue,
    pause,
    pretended,
    role,
    run,
    sql,
)
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import keys
from tests.support.health import NEVER, Project

_FORBIDDEN = ("privileges_sufficient",)
_UNSCHEDULED = sql("select cron.unschedule('auto-sync-cron-job')")
_WATCHED = sql(
    "update autosync.job set watch = true, function = null, drains = null, schedule = null"
    " where name = 'auto-sync-cron-job'"
)
_TWIN = "select cron.schedule('0 0 1 1 *', 'select autosync.dispatch();')"
_KEY = keys.legacy().reveal()


def _switched_off(project: Project) -> None:
    project.owner.execute("select cron.alter_job(jobid, active := false) from cron.job")


def _reads(schedule: str) -> Action[Project]:
    """Return what gives both registries a schedule past what pg_cron and ours refuse today."""

    def act(project: Project) -> None:
        project.owner.execute("update autosync.job set paused_at = now(), paused_by = 'me', schedule = %s", [schedule])
        project.admin.execute(
            "update cron.job set schedule = %s, active = false where jobname = %s", [schedule, project.job_name]
        )

    return act


def _in_seconds(project: Project) -> None:
    # such a row comes from a restore of a newer server
    project.owner.execute("update autosync.job set schedule = '30 seconds'")
    project.admin.execute("update cron.job set schedule = '30 seconds'")
    project.admin.execute("update pg_catalog.pg_extension set extversion = '1.4-1' where extname = 'pg_cron'")


def _unnamed(text: str) -> Action[Project]:
    return lambda project: project.owner.execute("select cron.schedule('0 0 1 1 *', %s)", [text])


def _in_the_file(*, at: str | None = "", **tables: object) -> Action[Project]:
    """Return what writes these settings, for the target `at`, and applies nothing."""

    def act(project: Project) -> None:
        settings = Settings(**tables)  # type: ignore[arg-type]  # as a file has them
        if at != "":
            settings = settings.at(at)
        project.configuration = dataclasses.replace(project.configuration, settings=settings)

    return act


_ADDRESS = f"'https://{keys.PROJECT_REF}.supabase.co/functions/v1/auto-sync-cron'"
_ELSEWHERE = f"'https://{keys.PROJECT_REF[::-1]}.supabase.co/functions/v1/auto-sync-cron'"
_HELPER = sql(
    "create function public.h(n text) returns bigint language sql as $$ select net.http_post(url := (select secret from"
    " public.pg_cron_secrets where name = 'project_url') || '/functions/v1/' || n, headers := jsonb_build_object("
    "'Authorization', 'Bearer ' || (select secret from public.pg_cron_secrets where name = 'service_role_key'))) $$"
)


_AT_HOME = sql(
    f"update public.pg_cron_secrets set secret = 'https://{keys.PROJECT_REF}.supabase.co' where name = 'project_url'"
)
_SHOWS = ", headers := jsonb_build_object('x-tenant-token', '{}')"
_TENANT = sql(
    "insert into public.pg_cron_secrets (name, secret) values ('tenant', 'tok-aaaa-1111')",
    "update autosync.job set auth = 'secret', secret_name = 'tenant', secret_header = 'x-tenant-token'"
    " where name = 'auto-sync-cron-job'",
)


def _keeps(text: str, state: str) -> Action[Project]:
    """Return what asserts that one job besides ours has a text like this, and whether it is active."""

    def act(project: Project) -> None:
        kept = "select active from cron.job where command not like '%%autosync.%%' and command like %s"
        found = [is_active for (is_active,) in project.owner.execute(kept, [text]).fetchall()]
        if not found:
            found = [is_active for (is_active,) in project.admin.execute(kept, [text]).fetchall()]
        assert found == [state == "active"]

    return act


def _posts(address: str, more: str = "") -> str:
    return f"select net.http_post(url := {address}{more})"


_REPORT = {"function": "daily-report", "schedule": "0 6 * * *"}

# somebody else's cron job of a name that the file has
WAITING = (
    _in_the_file(job={"schedule": NEVER}, jobs={"daily-report": _REPORT}),
    admin("select cron.schedule('daily-report', '0 6 * * *', 'select 1')"),
)

CASES: dict[str, tuple[Case, ...]] = {
    "maintenance_possible": (
        failed(
            "a function of pg_cron may not be executed",
            admin(
                "revoke execute on function cron.alter_job(bigint, text, text, text, text, boolean)"
                " from public, postgres"
            ),
            says="the role postgres may not execute it, so the next change of a job's schedule",
            repaired_by="supabase_admin",
        ),
        warned(
            "the runs that pg_cron keeps may not be deleted",
            admin("revoke delete on cron.job_run_details from public, postgres"),
            says="the role postgres may not delete from it, so housekeeping keeps every run",
            repaired_by="supabase_admin",
        ),
        warned(
            "the schema was given away",
            admin("alter schema autosync owner to supabase_admin"),
            says="belongs to the role supabase_admin and its tables to postgres, which may not create anything in it",
            repaired_by="supabase_admin",
        ),
        fine(
            "the schema is a superuser's, and its tables' owner may create there",
            admin("alter schema autosync owner to supabase_admin", "grant all on schema autosync to postgres"),
        ),
        fine("somebody else may not", admin("revoke execute on all functions in schema cron from anon")),
        fine("a grant to the owner is enough", admin("grant execute on all functions in schema cron to postgres")),
    ),
    "job_settings_bearable": (
        *(
            failed(what, admin(statement), says=says, repaired_by="supabase_admin")
            for what, statement, says in (
                (
                    "no time",
                    "alter role postgres set statement_timeout = '1ms'",
                    "role postgres: sets statement_timeout",
                ),
                ("little time", "alter database postgres set statement_timeout = 100", "sets statement_timeout = 100"),
                (
                    "in this database",
                    "alter role postgres in database postgres set default_transaction_read_only = on",
                    "the next run may write nothing",
                ),
                ("another role", "alter role postgres set role = 'anon'", "role postgres: sets role = anon"),
                ("another role in all", "alter database postgres set role = 'anon'", "database postgres: sets role"),
                (
                    "no time for anybody",
                    "alter role all set statement_timeout = '1ms'",
                    "all roles: sets statement_timeout",
                ),
            )
        ),
        warned(
            "no patience for locks",
            admin("alter role postgres set lock_timeout = '5ms'"),
            says="sets lock_timeout = 5ms",
        ),
        warned(
            "a password that ends",
            admin("alter role postgres valid until '2020-01-01'"),
            says="role postgres: its password expired at",
        ),
        fine("time enough", admin("alter role postgres set statement_timeout = '8s'")),
        fine("no limit", admin("alter role postgres set statement_timeout = 0")),
        fine(
            "the role's own setting is closer",
            admin(
                "alter database postgres set statement_timeout = '1ms'",
                "alter role postgres set statement_timeout = '2min'",
            ),
        ),
        fine("its own role", admin("alter role postgres set role = 'postgres'")),
        fine("no other role", admin("alter database postgres set role = 'none'")),
        fine("a role that may do all that it does", admin("alter role postgres set role = 'supabase_admin'")),
        fine("a setting of another role", admin("alter role anon set statement_timeout = '1ms'")),
        fine("the password ends later", admin("alter role postgres valid until '2999-01-01'")),
    ),
    "settings_applied": (
        warned(
            "a job was added to the file",
            _in_the_file(job={"schedule": NEVER}, jobs={"daily-report": _REPORT}),
            says="job daily-report: is in autosync.toml, and not in the database",
        ),
        failed(
            "a job of the file that its cron job looks for in vain",
            sql("delete from autosync.job where name = 'auto-sync-cron-job'"),
            run("failed", 'ERROR:  autosync.job has no job named "auto-sync-cron-job"'),
            says="job auto-sync-cron-job: is in autosync.toml, and not in autosync.job, where its cron job looks",
            explains=("job_runs_succeed",),
        ),
        warned(
            "a job of the file is somebody else's still",
            *WAITING,
            says="job daily-report: is in autosync.toml, and the cron job of that name, which somebody else made",
        ),
        failed(
            "a job of the file is done by somebody else's of another name",
            _in_the_file(job={"schedule": NEVER}, jobs={"cleanup": {"sql": "select 2", "schedule": "0 6 * * *"}}),
            admin(
                "insert into cron.job (jobid, schedule, command, nodename, nodeport, database, username, active)"
                " values (4711, '0 6 * * *', 'select 2;', 'localhost', 5432, current_database(), 'postgres', true)"
            ),
            says="cron job cleanup: is in autosync.toml, and the cron job number 4711 runs the statement already",
            reason="double",
        ),
        warned(
            "a job was changed in the file",
            _in_the_file(job={"schedule": NEVER, "timeout": "1m"}),
            says="job auto-sync-cron-job: differs from autosync.toml in timeout_milliseconds",
        ),
        warned(
            "the limits were changed",
            _in_the_file(job={"schedule": NEVER}, limits={"schedules_per_organization": 7}, alerts={"after": 3}),
            says="setting limits: differs from [limits] in autosync.toml",
        ),
        warned(
            "a job that by the file runs on other targets runs here",
            _in_the_file(at="staging", job={"schedule": NEVER, "targets": ["production"]}),
            says="job auto-sync-cron-job: runs here, and by autosync.toml only on production",
        ),
        fine(
            "a job that by the file runs on other targets is off here",
            _in_the_file(at="staging", job={"schedule": NEVER, "targets": ["production"]}),
            sql("update autosync.job set enabled = false where name = 'auto-sync-cron-job'"),
        ),
        fine(
            "a job that runs on some targets, where nobody named one",
            _in_the_file(at=None, job={"schedule": NEVER, "targets": ["production"]}),
        ),
        warned(
            "another isolation was chosen in a file without jobs",
            _in_the_file(isolation={"mode": "custom"}),
            says="setting isolation: differs from [isolation] in autosync.toml",
        ),
        warned(
            "another place for the secrets",
            _in_the_file(job={"schedule": NEVER}, secrets={"store": "vault"}),
            says="setting secrets: differs from [secrets] in autosync.toml",
        ),
        warned(
            "history is to be kept longer, in a file without jobs",
            _in_the_file(retention={"invocations": "90 days"}),
            says="job auto-sync-cron-job: differs from autosync.toml in keep_invocations",
        ),
        fine(
            "the usual, written out",
            _in_the_file(isolation={"mode": "none"}, secrets={"store": "table"}, retention={"invocations": "30 days"}),
        ),
        fine(
            "history that the database keeps longer, and no file speaks of",
            sql("update autosync.job set keep_invocations = interval '90 days'"),
            _in_the_file(),
        ),
        fine(
            "a job that the file does not name",
            sql("insert into autosync.job (name, sql, schedule) values ('other', 'select 1', '0 6 * * *')"),
            says="job other: is not in autosync.toml, and kept",
        ),
        fine("it is paused", pause),
        fine("no file names a job", sql("update autosync.job set max_requests = 7"), _in_the_file()),
    ),
    "job_active": (
        failed(
            "it was switched off",
            _switched_off,
            overdue,
            says="cron job auto-sync-cron-job: is inactive",
            explains=("schedules_not_overdue",),
            repaired_by="postgres",
        ),
        failed(
            "scheduling again does not switch it on",
            _switched_off,
            sql("select cron.schedule(jobname, schedule, command) from cron.job"),
            says="is inactive",
        ),
        failed(
            "one that is only watched was switched off",
            _WATCHED,
            _switched_off,
            says="is inactive",
            reason="watched",
        ),
        fine("it was paused, which is noted", pause, says="paused by postgres since"),
    ),
    "job_command_matches": (
        fine("one that is in the file alone runs its own text", *WAITING),
        failed(
            "another command, with a key that is not shown",
            command(f"select net.http_post(url := 'https://example.com', headers := '{{\"apikey\": \"{_KEY}\"}}')"),
            says='runs something else than "select autosync.dispatch()"',
            hides=_KEY,
            repaired_by="postgres",
        ),
        failed(
            "another command that fails",
            command("select 1/0"),
            run("failed", "ERROR:  division by zero"),
            says="runs something else than",
            explains=("job_runs_succeed",),
        ),
        fine("another job", other_job("nightly", "select 1")),
    ),
    "job_owner_matches": (
        fine("one that is in the file alone is another role's", *WAITING),
        failed(
            "it was scheduled by a superuser",
            _UNSCHEDULED,
            admin(f"select cron.schedule('auto-sync-cron-job', '{NEVER}', 'select autosync.dispatch()')"),
            says="belongs to the role supabase_admin, so postgres",
            repaired_by="supabase_admin",
        ),
        failed(
            "it was scheduled by a role as which the owner may act",
            _UNSCHEDULED,
            admin("create role other", "grant usage on schema cron to other", "grant other to postgres"),
            admin(
                "set local role other;"
                f" select cron.schedule('auto-sync-cron-job', '{NEVER}', 'select autosync.dispatch()')"
            ),
            says="belongs to the role other",
            repaired_by="postgres",
        ),
        failed(
            "a role that may not run it",
            admin("update cron.job set username = 'authenticator' where jobname = 'auto-sync-cron-job'"),
            run("failed", "ERROR:  permission denied for schema autosync"),
            says="belongs to the role authenticator",
            explains=("job_runs_succeed",),
        ),
        failed(
            "its owner is a superuser, whose jobs pg_cron skips",
            pretended({"cron.enable_superuser_jobs": "off"}),
            admin("alter role postgres superuser"),
            says="pg_cron skips it",
        ),
        fine("jobs of superusers are skipped, and it is none", pretended({"cron.enable_superuser_jobs": "off"})),
        fine(
            "a second job of the name",
            admin(f"select cron.schedule('auto-sync-cron-job', '{NEVER}', 'select 1')"),
        ),
    ),
    "job_schedule_matches": (
        failed(
            "pg_cron has another schedule",
            sql("select cron.alter_job(jobid, schedule := '0 0 2 1 *') from cron.job"),
            says='ticks at "0 0 2 1 *", autosync.job says "0 0 1 1 *"',
            repaired_by="postgres",
        ),
        *(
            fine(f"the same times: {text!r}", admin(f"update cron.job set schedule = '{text}'"))
            for text in ("0 0 1 1 * ", "0 0 1 jan *", "00  0 1 JAN *", "@yearly")
        ),
        *(
            case(schedule, _reads(schedule), says=says)
            for case, schedule, says in (
                (warned, "*/5 * * * * *", 'pg_cron reads "*/5 * * * *" and ignores the rest'),
                (warned, "* * * * * garbage", "more than five fields"),
                (warned, "*/90 * * * *", "has the step 90, which is longer than its field"),
                (failed, "0 0 30 2 *", "bad day-of-month"),
                (failed, "@reboot", "ticks only when pg_cron's scheduler starts"),
            )
        ),
        *(
            fine(schedule, _reads(schedule))
            for schedule in ("@hourly", "@daily", "*/5 * * * *", "0 7 * * 1-5", "0,30 22-23 1,15 * *", "0 0 * * 7")
        ),
        failed("seconds, for an older pg_cron", _in_seconds, says="needs pg_cron 1.5 or newer"),
        fine(
            "seconds, for a newer one",
            _in_seconds,
            admin("update pg_catalog.pg_extension set extversion = '1.6' where extname = 'pg_cron'"),
        ),
    ),
    "job_scheduled": (
        failed(
            "pg_cron does not know it",
            _UNSCHEDULED,
            says="cron job auto-sync-cron-job: does not exist",
            explains=("job_active", "job_command_matches", "job_runs_succeed"),
            repaired_by="postgres",
        ),
        failed(
            "neither does the registry",
            _UNSCHEDULED,
            sql("delete from autosync.job"),
            says="does not exist",
            repaired_by="postgres",
        ),
        unseen(
            "row level security hides it",
            role(grants="grant usage on schema cron to plain; grant select on cron.job to plain"),
            says="is not visible to this role",
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
        failed("one that is only watched is gone", _WATCHED, _UNSCHEDULED, says="does not exist", reason="watched"),
        fine("an inactive job is a job", pause),
    ),
    "job_unique": (
        *(
            failed(
                f"an unnamed job runs {text}",
                _unnamed(text),
                says="of role postgres makes the same calls",
                repaired_by="postgres",
            )
            for text in (
                "select autosync.dispatch()",
                "SELECT  autosync.dispatch('auto-sync-cron-job');\n",
                # nothing of the text has to look as ours does
                "SELECT  autosync.dispatch ( 'auto-sync-cron-job' ) -- go",
                "do $$ begin perform autosync.dispatch(); end $$",
                "do $$ declare t bigint; begin t := autosync.dispatch('auto-sync-cron-job', force => true); end $$",
            )
        ),
        failed(
            "another job sends the call at the same times, which it writes otherwise",
            lambda project: project.owner.execute(
                "select cron.schedule('theirs', '0-0 0 1 jan *', format("
                "$$select net.http_post(url := '%%s/functions/v1/auto-sync-cron')$$, %s::text))",
                [project.stub.url],
            ),
            says="cron job theirs: ",
            repaired_by="postgres",
        ),
        failed(
            "a function of a function ticks the job at other times",
            sql(
                "create function public.b(n text) returns bigint language sql as $$ select autosync.dispatch(n) $$",
                "create procedure public.a() language plpgsql as"
                " $$ begin perform public.b('auto-sync-cron-job'); end $$",
                "select cron.schedule('theirs', '7 7 1 1 *', 'call public.a()')",
            ),
            says="makes the same calls through the function public.a",
            repaired_by="postgres",
        ),
        failed(
            "the same name under another role",
            admin("select cron.schedule('auto-sync-cron-job', '0 0 1 1 *', 'select 1')"),
            says="of role supabase_admin has the same name",
            repaired_by="supabase_admin",
            then=_keeps("select 1", "active"),
        ),
        warned(
            "the same call to another address, which may be another name of this one or another project",
            _AT_HOME,
            other_job("theirs", _posts(_ELSEWHERE)),
            says=f"makes the same calls to another address, https://{keys.PROJECT_REF[::-1]}.supabase.co",
        ),
        failed(
            "a second job of the registry calls the same function",
            sql(
                "insert into autosync.job (name, function, schedule) select 'second', function, schedule"
                " from autosync.job where name = 'auto-sync-cron-job'",
                "select autosync.sync_job('second')",
            ),
            says="makes the same calls",
            repaired_by="postgres",
        ),
        failed(
            "a twin that is older than the job is the one that is named",
            _UNSCHEDULED,
            sql(_TWIN, "select autosync.sync_job()"),
            says=lambda project: (
                f"job {project.value('select jobid from cron.job where jobname is null')} of role postgres"
            ),
        ),
        *(
            failed(what, *acts, says=says, repaired_by="postgres", then=_keeps("%", "inactive"))
            for what, acts, says in (
                ("the address in the text", (_AT_HOME, other_job("theirs", _posts(_ADDRESS))), "cron job theirs: job"),
                (
                    "the same secret of its own, in the text and in the store",
                    (_AT_HOME, _TENANT, other_job("theirs", _posts(_ADDRESS, _SHOWS.format("tok-aaaa-1111")))),
                    "cron job theirs: job",
                ),
                (
                    "the functions host of the project",
                    (
                        _AT_HOME,
                        other_job(
                            "theirs", _posts(f"'https://{keys.PROJECT_REF}.functions.supabase.co/auto-sync-cron'")
                        ),
                    ),
                    "cron job theirs: job",
                ),
                (
                    "a function of the project makes the call, whose argument is the path",
                    (_HELPER, other_job("theirs", "select public.h('auto-sync-cron')")),
                    "makes the same calls through the function public.h",
                ),
                (
                    "a procedure in PL/pgSQL that calls another function",
                    (
                        _HELPER,
                        sql(
                            "create procedure public.p(which text default 'cron') language plpgsql as $$ declare"
                            " path text := 'auto-sync-' || which; begin perform public.h(n := path); end $$"
                        ),
                        other_job("theirs", "call public.p()"),
                    ),
                    "makes the same calls through the function public.p",
                ),
                (
                    "an address from a table, and the time in its body",
                    (
                        other_job(
                            "theirs",
                            _posts(
                                "(select secret from public.pg_cron_secrets where name = 'project_url')"
                                " || '/functions/v1/auto-sync-cron'",
                                ", body := jsonb_build_object('time', now())",
                            ),
                        ),
                    ),
                    "cron job theirs: job",
                ),
            )
        ),
        *(
            fine(f"a call with {what}", _AT_HOME, _HELPER, other_job("theirs", text))
            for what, text in (
                ("a secret of its own", _posts(_ADDRESS, _SHOWS.format("tok-bbbb-2222"))),
                ("another body", _posts(_ADDRESS, ", body := '{\"full\": true}'")),
                (
                    "another query",
                    _posts(f"'https://{keys.PROJECT_REF}.supabase.co/functions/v1/auto-sync-cron?mode=daily'"),
                ),
                (
                    "another path",
                    _posts(f"'https://{keys.PROJECT_REF}.supabase.co/functions/v1/auto-sync-cron/stats'"),
                ),
                ("another method", f"select net.http_get(url := {_ADDRESS})"),
                ("another function", "select public.h('auto-sync-cron-v2')"),
                ("a header of its own", _posts(_ADDRESS, ', headers := \'{"x-region": "eu"}\'')),
                ("its name in a comment", "select 1 -- https://x/functions/v1/auto-sync-cron"),
                ("its address as data", f"insert into t values ({_ADDRESS})"),
                ("a path that is read when it runs", "select public.h((select max(path) from public.paths))"),
            )
        ),
        fine(
            "the same call with another secret",
            _AT_HOME,
            _TENANT,
            other_job("theirs", _posts(_ADDRESS, _SHOWS.format("tok-bbbb-2222"))),
            other_job("none", _posts(_ADDRESS)),
            sql(
                "insert into public.pg_cron_secrets (name, secret) values ('other', 'tok-cccc-3333')",
                "insert into autosync.job (name, function, schedule, auth, secret_name, secret_header, secret_prefix)"
                " select 'second', function, schedule, auth, 'other', secret_header, secret_prefix"
                " from autosync.job where name = 'auto-sync-cron-job'",
                "select autosync.sync_job('second')",
            ),
        ),
        fine(
            "the same call to another address, which is watched",
            _AT_HOME,
            other_job("theirs", _posts(_ELSEWHERE)),
            sql("insert into autosync.job (name, watch) values ('theirs', true)"),
        ),
        fine(
            "a tick at the end of other work, and one of another job",
            sql(
                "create function public.b(n text) returns bigint language sql as $$ select autosync.dispatch(n) $$",
            ),
            other_job("work", "do $$ begin perform pg_sleep(0); perform autosync.dispatch(); end $$"),
            other_job("other", "select public.b('other')"),
        ),
        fine(
            "the same call at other times",
            sql(f"select cron.schedule('theirs', '*/7 * * * *', $job${_posts(_ADDRESS)}$job$)"),
            sql(
                "insert into autosync.job (name, function, schedule) select 'second', function, '*/9 * * * *'"
                " from autosync.job where name = 'auto-sync-cron-job'",
                "select autosync.sync_job('second')",
            ),
        ),
        fine(
            "jobs that make other calls or none",
            other_job("other", "select autosync.dispatch('other')"),
            other_job("longer", "select 1 -- https://x/functions/v1/auto-sync-cron-v2"),
            other_job("deeper", "select 1 -- https://x/functions/v1/auto-sync-cron/stats"),
            other_job("asking", "select 1 -- https://x/functions/v1/auto-sync-cron?mode=daily"),
            sql(
                "insert into autosync.job (name, function, body, schedule)"
                " select 'second', function, '{\"full\": true}', schedule"
                " from autosync.job where name = 'auto-sync-cron-job'",
                "select autosync.sync_job('second')",
            ),
            other_job("off", "select autosync.dispatch()"),
            sql("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'off'"),
        ),
        unseen(
            "a role that sees its own jobs alone",
            role(
                grants="grant usage on schema cron, autosync to plain; grant select on cron.job, autosync.job to plain;"
                " grant execute on function autosync.job_command(text) to plain"
            ),
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
    ),
}
