"""What stands beside us: jobs, calls and functions of others."""

import json
import shutil
from pathlib import Path

from psycopg.types.json import Jsonb

from tests.health.actions import Action, admin, other_job, sql
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import keys
from tests.support.health import Project

_KEY = keys.secret().reveal()
_OPAQUE = "8f3kd92jf02kd8s7"
_FUNCTION = "create function public.notify_them() returns text language sql as $$ select '{}' $$"


def _runs(*statuses: str, message: str = "ERROR:  relation t does not exist") -> Action[Project]:
    """Return what gives the other job these runs, the newest last."""

    def act(project: Project) -> None:
        other_job("theirs", "select 1")(project)
        for status in statuses:
            project.admin.execute(
                "insert into cron.job_run_details (jobid, runid, status, return_message, start_time, end_time)"
                " select c.jobid, nextval('cron.runid_seq'), %s, %s, now(), now() from cron.job as c"
                " where c.jobname = 'theirs'",
                [status, message if status == "failed" else "1 row"],
            )

    return act


def _answer(status: int | None, body: object = "", error: str | None = None, **headers: str) -> Action[Project]:
    """Return what lets pg_net hold an answer to a call of somebody else's."""

    def act(project: Project) -> None:
        project.admin.execute(
            "insert into net._http_response (id, status_code, headers, content, timed_out, error_msg, created)"
            " values (99000000 + (random() * 1000000)::int, %s, %s, %s, false, %s, clock_timestamp())",
            [
                status,
                Jsonb({name.replace("_", "-"): text for name, text in headers.items()}),
                body if isinstance(body, str) else json.dumps(body),
                error,
            ],
        )

    return act


def _sends(value: str) -> str:
    """Return a call that sends this as its Authorization."""
    return f"select net.http_post('https://a.example.com/x', headers := jsonb_build_object('Authorization', {value}))"


def _schemas(text: str, path: str = "schemas/10_app.sql", **more: str) -> Action[Project]:
    """Return what gives the current folder a supabase folder with this schema file, and nothing else."""

    def act(_project: Project) -> None:
        shutil.rmtree("supabase", ignore_errors=True)
        for name, content in {path: text, **more}.items():
            file = Path("supabase", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    return act


_SCHEMA = "create schema autosync;\ncreate table autosync.job (name text);\n"
_SCHEDULED = (
    "select cron.schedule('auto-sync-cron-job', '*/5 * * * *', 'select autosync.dispatch()');\n"
    "select cron.schedule('autosync-keep-house', '*/5 * * * *', 'select autosync.keep_house()');\n"
)
_DECOYS = sql(
    "do $do$ begin for n in 1..120 loop execute format("
    f"'create function public.a%s() returns text language sql as $$ select ''{_KEY}'' $$', n); end loop; end $do$"
)


CASES: dict[str, tuple[Case, ...]] = {
    "other_jobs_succeed": (
        warned("it fails", _runs("succeeded", "failed", "failed"), says="cron job theirs: the last 2 of 3 runs failed"),
        warned(
            "a key in its error is not shown",
            _runs("failed", message=f"ERROR:  refused {_KEY}"),
            says="refused ***",
            hides=_KEY,
        ),
        fine("it was overcome", _runs("failed", "succeeded")),
        fine("it never ran", other_job("theirs", "select 1")),
        fine(
            "it was switched off",
            _runs("failed"),
            sql("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'theirs'"),
        ),
        fine("the server was restarted during it", _runs("failed", message="server restarted")),
    ),
    "other_answers_good": (
        warned("refused", _answer(401, {"message": "Invalid JWT"}), says="1 of 1 answers were not good: 401 {"),
        warned(
            "refused, behind answers of a time that none can have",
            _answer(401, {"message": "Invalid JWT"}),
            sql(
                "insert into net._http_response (id, status_code, created)"
                " select -n, 200, 'infinity' from generate_series(1, 500) as n"
            ),
            says="1 of 1 answers were not good: 401 {",
        ),
        warned("a web page", _answer(200, "<!doctype html><p>x"), says="200, a web page"),
        warned("a challenge", _answer(200, "Just a moment", cf_mitigated="challenge"), says="200, a web page"),
        warned("it says that it failed", _answer(200, {"ok": False}), says="200, and says that it failed"),
        warned("no answer", _answer(None, "", "Couldn't resolve host name"), says="Couldn't resolve host name"),
        warned("a key in it is not shown", _answer(500, f"boom {_KEY}"), says="boom ***", hides=_KEY),
        fine("good", _answer(200, {"ok": True}), _answer(200, {"ok": True}, server="cloudflare")),
        fine("nothing is said", _answer(204), _answer(200, "queued")),
        fine("our own", lambda project: project.call()),
    ),
    "other_calls_complete": (
        warned(
            "a header comes from a setting that nobody has set",
            other_job("theirs", _sends("'Bearer ' || current_setting('app.nowhere', true)")),
            says="its header Authorization comes from the setting app.nowhere, which is not there",
        ),
        warned(
            "a header comes from a row that is not there",
            sql("create table public.app_secret (name text, value text)"),
            other_job("theirs", _sends("(select s.value from public.app_secret as s where s.name = 'gone')")),
            says="comes from public.app_secret",
        ),
        warned(
            "the address does",
            other_job(
                "theirs", "select net.http_post(url := current_setting('app.nowhere', true) || '/functions/v1/x')"
            ),
            says="its address comes from the setting app.nowhere",
        ),
        warned(
            "a setting that must be there",
            other_job("theirs", _sends("'Bearer ' || current_setting('app.nowhere')")),
            says="which is not there: the run fails, and nothing is sent",
        ),
        warned(
            "its block ends for that",
            other_job(
                "theirs",
                "do $$ declare key text := current_setting('app.nowhere', true);"
                " begin if key is null then return; end if;"
                f" perform {_sends('key').removeprefix('select ')}; end $$",
            ),
            says="nothing is sent where the text ends for that",
        ),
        *(
            warned(f"nothing of it lasts: {text}", other_job("theirs", text), says=f"its transaction {says}, so pg_net")
            for text, says in (
                ("begin; select net.http_get('https://a.b/c'); rollback", "is rolled back"),
                ("select net.http_get('https://a.b/c'); abort", "is rolled back"),
                ("start transaction; select net.http_get('https://a.b/c')", "is never committed"),
            )
        ),
        *(
            warned(
                f"the key is in the query: {what}",
                sql("insert into public.pg_cron_secrets (name, secret) values ('app', 'a value of theirs')"),
                other_job("theirs", f"select net.http_post('https://a.b/c', {arguments})"),
                says=f"its query has {name}, which belongs into a header",
            )
            for what, name, arguments in (
                (
                    "by its name",
                    "Authorization",
                    "'{}'::jsonb, jsonb_build_object('Authorization', 'Bearer ' || (select secret from"
                    " public.pg_cron_secrets where name = 'app'))",
                ),
                (
                    "by what it is",
                    "k",
                    "params := jsonb_build_object('k', (select secret from public.pg_cron_secrets"
                    " where name = 'service_role_key'))",
                ),
            )
        ),
        fine(
            "it commits, and its query is one",
            other_job("theirs", "begin; select net.http_get('https://a.b/c'); commit"),
            other_job("part", "begin; select net.http_get('https://a.b/d'); commit; begin; select 1; rollback"),
            other_job("query", "select net.http_get('https://a.b/e', jsonb_build_object('page', '1', 'apikey', 'x'))"),
            other_job("plain", "begin; select 1; rollback"),
        ),
        fine(
            "it is there, or decided when it runs",
            sql(
                "create table public.app_secret (name text, value text)",
                "insert into public.app_secret values ('k', 'v')",
            ),
            other_job("theirs", _sends("(select s.value from public.app_secret as s where s.name = 'k')")),
            other_job("literal", _sends("'Bearer x'")),
            other_job("later", _sends("coalesce(current_setting('app.nowhere', true), 'x')")),
        ),
    ),
    "other_jobs_unique": (
        warned(
            "two of theirs make the same call, one through a function",
            sql(
                "create function public.h(n text) returns bigint language plpgsql as $$ begin"
                " return net.http_post(url := 'https://a.example.com/functions/v1/' || n, timeout_milliseconds := 9);"
                " end $$"
            ),
            other_job("first", "select public.h('report')"),
            other_job("second", "select net.http_post('https://A.example.com:443/functions/v1/report') as request_id;"),
            says="of role postgres makes the same call at the same times (0 0 1 1 *) as first",
        ),
        warned(
            "the same statement twice",
            other_job("first", "delete from t"),
            other_job("second", "delete from t;\n"),
            says="runs the same text at the same times",
        ),
        warned(
            "at times that are written otherwise",
            other_job("first", "delete from t"),
            sql("select cron.schedule('second', '0-0 0 1 jan *', 'delete from t')"),
            says="runs the same text at the same times",
        ),
        fine(
            "much alike",
            other_job("first", "select net.http_post('https://a.example.com/functions/v1/report')"),
            other_job("daily", "select net.http_post('https://a.example.com/functions/v1/report?mode=daily')"),
            other_job("full", "select net.http_post('https://a.example.com/functions/v1/report', '{\"full\": true}')"),
            sql("select cron.schedule('later', '5 0 1 1 *', command) from cron.job where jobname = 'first'"),
            other_job("elsewhere", "select net.http_post('https://b.example.com/functions/v1/report')"),
            *(
                other_job(
                    name,
                    "select net.http_post('https://a.example.com/hook', headers :="
                    f" jsonb_build_object('x-tenant-token', 'tok-{name}-1234'))",
                )
                for name in ("tenant", "another")
            ),
            other_job("off", "select net.http_post('https://a.example.com/functions/v1/report')"),
            sql("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'off'"),
            other_job("statement", "delete from t"),
            other_job("other statement", "delete from u"),
        ),
        fine(
            "not understood", other_job("one", "do $$ begin loop exit; end loop; end $$"), other_job("two", "select (")
        ),
    ),
    "schemas_keep_the_jobs": (
        warned(
            "declarative schemas without us",
            _schemas("create table public.orders (id integer); -- autosync.job\n"),
            says="10_app.sql alone, do not have the schema autosync",
        ),
        warned("the schema without its jobs", _schemas(_SCHEMA), says="do not schedule auto-sync-cron-job"),
        warned(
            "where the settings of the CLI say",
            _schemas(
                "select 1", "parts/a/1.sql", **{"config.toml": "[db.migrations]\nschema_paths = ['./parts/**/*.sql']"}
            ),
            says="do not have the schema autosync",
        ),
        warned(
            "in the folder of the new engine",
            _schemas("select 1", "database/public/t.sql", **{"config.toml": "[experimental.pgdelta]\nenabled = true"}),
            says="do not have the schema autosync",
        ),
        warned(
            "one job of several",
            _schemas(_SCHEMA + _SCHEDULED.partition("\n")[0]),
            says="do not schedule autosync-keep-",
        ),
        unseen(
            "settings of the CLI that cannot be read",
            _schemas("select 1", **{"config.toml": "[db"}),
            says="config.toml is not valid TOML",
        ),
        fine("they have us", _schemas(_SCHEMA, **{"schemas/20_jobs.sql": _SCHEDULED})),
        fine("migrations alone", _schemas("create table t (id integer)", "migrations/20260101000000_t.sql")),
        fine("an empty folder", _schemas("", "functions/f/index.ts")),
        fine("none", lambda _: shutil.rmtree("supabase", ignore_errors=True)),
    ),
    "no_secret_in_functions": (
        warned(
            "in a body",
            sql(_FUNCTION.format(_KEY)),
            says="notify_them(): holds a key",
            hides=_KEY,
        ),
        warned(
            "as an argument of a trigger",
            sql(
                "create function public.hook() returns trigger language plpgsql as $$ begin return null; end $$",
                "create table public.thing (id integer)",
                "create trigger hook after insert on public.thing for each row"
                f""" execute function public.hook('{{"Authorization": "Bearer {_KEY}"}}')""",
            ),
            says="thing: holds a key",
            hides=_KEY,
        ),
        warned(
            "the password of a database",
            sql(_FUNCTION.format(f"postgresql://app:{_KEY[-12:]}@db.example.com/app")),
            says="notify_them(): holds a key",
            hides=_KEY[-12:],
        ),
        *(
            warned(
                f"a literal in {call}",
                sql(
                    "create function public.keep() returns text language plpgsql as"
                    f" $$ begin return {call.format(_KEY[-12:])}; end $$"
                ),
                says="keep(): holds a credential",
                hides=_KEY[-12:],
            )
            for call in ("vault.create_secret('{}-1', 'x')", "pgp_sym_encrypt('note', '{}-1')")
        ),
        warned(
            "the password of a foreign server's connection",
            sql(_FUNCTION.format(f"host=db.example.com dbname=app password={_KEY[-12:]}")),
            says="notify_them(): holds a key",
        ),
        failed(
            "one that is stored here, behind more decoys than are named",
            sql("insert into public.pg_cron_secrets (name, secret) values ('partner', 'an opaque value of theirs')"),
            _DECOYS,
            sql(_FUNCTION.format("an opaque value of theirs")),
            says="notify_them(): holds a secret that is stored here",
        ),
        warned("what is not named is counted", _DECOYS, says="20 more hold one"),
        failed(
            "one that is stored here",
            sql("insert into public.pg_cron_secrets (name, secret) values ('partner', 'an opaque value of theirs')"),
            sql(_FUNCTION.format("an opaque value of theirs")),
            says="holds a secret that is stored here",
        ),
        warned(
            "an opaque one under the name of a header",
            sql(_FUNCTION.format(f"Authorization: Bearer {_OPAQUE}")),
            says="notify_them(): holds a credential",
            hides=_OPAQUE,
        ),
        warned(
            "an opaque one in a webhook",
            sql(
                "create function public.hook() returns trigger language plpgsql as $$ begin return null; end $$",
                "create table public.thing (id integer)",
                "create trigger hook after insert on public.thing for each row"
                f""" execute function public.hook('https://x', 'POST', '{{"x-hook-secret": "{_OPAQUE}"}}')""",
            ),
            says="thing: holds a credential",
            hides=_OPAQUE,
        ),
        *(
            warned(place, *made, says=f"{place}: holds a key", hides=_KEY)
            for place, made in (
                (
                    "default of an argument of public.open_door(text)",
                    (
                        sql(
                            f"create function public.open_door(k text default '{_KEY}') returns text language sql"
                            " as $$ select k $$"
                        ),
                    ),
                ),
                ("view public.keyed", (sql(f"create view public.keyed as select '{_KEY}'::text as k"),)),
                (
                    "default of the column public.keyed.k",
                    (sql(f"create table public.keyed (k text default '{_KEY}')"),),
                ),
                (
                    "policy mine on public.keyed",
                    (
                        sql(
                            "create table public.keyed (k text)",
                            f"create policy mine on public.keyed using (k = '{_KEY}')",
                        ),
                    ),
                ),
                (
                    "setting app.settings.service_role_key of the database postgres",
                    (admin(f"alter database postgres set app.settings.service_role_key = '{_KEY}'"),),
                ),
                (
                    "setting app.key of the role authenticator",
                    (admin(f"alter role authenticator set app.key = '{_KEY}'"),),
                ),
            )
        ),
        failed(
            "a setting that holds what is stored here",
            sql("insert into public.pg_cron_secrets (name, secret) values ('partner', 'an opaque value of theirs')"),
            admin("alter role anon in database postgres set app.partner = 'an opaque value of theirs'"),
            says="of the role anon in the database postgres: holds a secret that is stored here",
            reason="setting",
        ),
        fine(
            "settings, a view and a default without one",
            admin(
                "alter database postgres set app.settings.jwt_secret = 'super-secret-jwt-token-with-32-characters'",
                "alter role authenticator set pgrst.db_schemas = 'public, graphql_public, storage'",
                "create view public.keyed as select 'a text of more than twenty bytes'::text as k",
            ),
        ),
        fine("a placeholder", sql(_FUNCTION.format("sb_secret_YOUR_KEY"))),
        fine(
            "a placeholder of a password", sql(_FUNCTION.format("postgresql://postgres:[YOUR-PASSWORD]@db.example.com"))
        ),
        fine("a local database", sql(_FUNCTION.format("postgresql://postgres:postgres@127.0.0.1:54322/postgres"))),
        fine("a JWT without a signature", sql(_FUNCTION.format(keys.legacy().reveal().rpartition(".")[0] + ".abcdef"))),
        fine(
            "a placeholder under the name of a header", sql(_FUNCTION.format("Authorization: Bearer YOUR_SECRET_KEY_1"))
        ),
        fine("a public key", sql(_FUNCTION.format("sb_publishable_" + "a" * 22))),
        fine("it reads the key", sql(_FUNCTION.format("autosync.read_secret"))),
    ),
}
