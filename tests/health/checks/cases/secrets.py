"""The secrets that a call carries."""

from autosync_db.credentials import lease
from autosync_db.secret import Secret
from tests.health.actions import (
    Action,
    admin,
    answers,
    command,
    equals,
    other_job,
    pause,
    recorded_migration,
    role,
    run,
    sql,
    stored,
    switch_off,
    tick,
)
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import keys
from tests.support.health import NEVER, Project

_FORBIDDEN = ("privileges_sufficient",)
_READS_ALL = "grant pg_read_all_data to plain; grant execute on all functions in schema autosync to plain"
_JOURNAL = (
    "insert into autosync.key_rotation (made, subject, project_ref, token, lease_expires_at)"
    " values ('autosync_left', 'service_role_key', 'none', gen_random_uuid(), {})"
)
_WITHOUT_KEY = sql("delete from public.pg_cron_secrets where name = 'service_role_key'")
_LAPSE = "update autosync.secret_rotation set lease_expires_at = now() - interval '1 second'"
_LEGACY, _SECRET, _TOKEN = keys.legacy().reveal(), keys.secret().reveal(), "sbp_" + "0a" * 20
_OPAQUE = "8f3kd92jf02kd8s7"
_ANON = keys.legacy("anon").reveal()
_OF_A_PARTNER = keys.legacy("partner").reveal()
_READER = admin(
    "create role reader nologin",
    "grant usage on schema public to reader",
    "grant select on public.pg_cron_secrets to reader",
    "alter function autosync.read_secret(text) owner to reader",
)
_VIEW_OF_ANOTHER = admin(
    "create role intruder",
    "create schema supabase_migrations authorization intruder",
    "create function supabase_migrations.f() returns text[] language plpgsql as"
    f" $$ begin return array['{_SECRET}', current_user]; end $$",
    "create view supabase_migrations.schema_migrations as"
    " select '1'::text as version, supabase_migrations.f() as statements",
    "alter function supabase_migrations.f() owner to intruder",
    "alter view supabase_migrations.schema_migrations owner to intruder",
    "grant usage on schema supabase_migrations to public",
    "grant select on supabase_migrations.schema_migrations to public",
)


def _spoiled(name: str, spoiled: str) -> Action[Project]:
    return sql(f"update public.pg_cron_secrets set secret = {spoiled} where name = '{name}'")


def _kept_spoiled(spoiled: str) -> Action[Project]:
    return sql(
        "create temporary table kept as select secret from public.pg_cron_secrets where name = 'service_role_key'",
        f"update public.pg_cron_secrets set secret = {spoiled} where name = 'service_role_key'",
    )


def _begun(key: Secret) -> Action[Project]:
    return lambda project: lease.begin(project.owner, {"service_role_key": key})


def _in_use(project: Project) -> None:
    stored_key = project.value("select secret from public.pg_cron_secrets where name = 'service_role_key'")
    recorded_migration("1", f"select '{_SECRET}'")(project)
    recorded_migration("2", f"select '{stored_key}'")(project)


def _other_form(project: Project) -> None:
    recorded_migration("1", "select 1")(project)
    project.owner.execute("alter table supabase_migrations.schema_migrations drop column statements")


def _history(text: str) -> Action[Project]:
    """Return what lets a job of such a text run three times, which pg_cron records."""

    def act(project: Project) -> None:
        project.owner.execute("select cron.schedule('mailer', %s, %s)", [NEVER, text])
        project.admin.execute(
            "insert into cron.job_run_details (jobid, runid, database, username, command, status)"
            " select jobid, nextval('cron.runid_seq'), database, username, command, 'succeeded'"
            " from cron.job, generate_series(1, 3) as n where jobname = 'mailer'"
        )

    return act


def _knows_its_caller_by_a_cron_secret(project: Project) -> None:
    project.store(cron_secret="c" * 43)
    project.owner.execute(
        "insert into autosync.setting (name, value)"
        " values ('function_auth', jsonb_build_object(%s::text, 'cron_secret'))",
        [project.job_name],
    )
    project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")


CASES: dict[str, tuple[Case, ...]] = {
    "no_secret_in_job_command": (
        *(
            failed(
                f"a job with {what}, which is not shown",
                other_job("mailer", f"select 'Bearer {key}'"),
                says="cron job mailer: the text of job",
                hides=key,
            )
            for what, key in (
                ("a legacy key", _LEGACY),
                ("a secret key", _SECRET),
                ("an access token", _TOKEN),
                ("the password of a database", f"postgresql://app:{_SECRET[-12:]}@db.example.com/app"),
            )
        ),
        failed(
            "a job with a secret of no known form that is stored here",
            sql("insert into public.pg_cron_secrets (name, secret) values ('partner', 'an opaque value of theirs')"),
            other_job("mailer", "select 'an opaque value of theirs'"),
            says="cron job mailer: the text of job",
            hides="an opaque value",
        ),
        failed(
            "and neither is the text around it",
            other_job("mailer", f"select 'Bearer {_SECRET}'"),
            says="holds a key",
            hides="Bearer",
        ),
        *(
            warned(
                f"a job with an opaque value: {text[:40]}",
                other_job("mailer", f"select net.http_post({text})"),
                says="cron job mailer: the text of job",
                hides=_OPAQUE,
            )
            for text in (
                f"url := 'https://x.example/f?key={_OPAQUE}'",
                f"url := 'https://x.example/f', headers := jsonb_build_object('Authorization', 'Bearer {_OPAQUE}')",
                f"url := 'https://x.example/f', headers := '{{\"x-cron-secret\": \"{_OPAQUE}\"}}'",
            )
        ),
        failed(
            "an opaque value that is stored here",
            sql(f"insert into public.pg_cron_secrets (name, secret) values ('cron_secret', '{_OPAQUE}')"),
            other_job(
                "mailer", f"select net.http_post('https://x', headers := '{{\"x-cron-secret\": \"{_OPAQUE}\"}}')"
            ),
            says="holds a key",
            hides=_OPAQUE,
        ),
        failed("its history has the text, too", _history(f"select '{_SECRET}'"), says="3 of the newest 1000 runs"),
        warned(
            "the history alone has it",
            _history(f"select '{_SECRET}'"),
            sql("select cron.unschedule('mailer')"),
            says="3 of the newest 1000 runs",
            repaired_by="postgres",
            then=equals(
                "select '***'", "select min(command) from cron.job_run_details where command like 'select ''%'"
            ),
        ),
        failed("our own job has it", command(f"select '{_LEGACY}'"), says="auto-sync-cron-job", repaired_by="postgres"),
        *(
            fine(
                f"a public key that is stored here as {name}, {key[:14]}",
                sql(f"insert into public.pg_cron_secrets (name, secret) values ('{name}', '{key}')"),
                other_job("mailer", f"select 'Bearer {key}'"),
            )
            for name, key in (
                ("gateway_key", _ANON),
                ("anon_key", _ANON),
                ("anon_key", keys.legacy("anon", ref=keys.PROJECT_REF).reveal()),
                ("anon_key", f"sb_publishable_{'a1' * 11}"),
            )
        ),
        failed(
            "a JWT of somebody else's that is stored here",
            sql(f"insert into public.pg_cron_secrets (name, secret) values ('partner', '{_OF_A_PARTNER}')"),
            other_job("mailer", f"select 'Bearer {_OF_A_PARTNER}'"),
            says="holds a key",
            hides=_OF_A_PARTNER,
        ),
        *(
            fine(f"a job with the text {text[:30]}", other_job("mailer", text))
            for text in (
                f"select '{keys.legacy('anon').reveal()}'",
                "select net.http_post('https://x', headers := '{\"apikey\": \"SUPABASE_SERVICE_ROLE_KEY\"}')",
                "select autosync.read_secret('service_role_key')",
                "select 'sb_secret_', 'eyJ', 'sb_publishable_' || repeat('a', 16)",
                f"select 'sb_secret_{'YOUR_KEY_HERE_123'}'",
                f"select '{_LEGACY.rpartition('.')[0]}.abcdef'",
                "select dblink('host=db.example.com dbname=app password=' || app.password())",
                "select jsonb_build_object('Authorization', 'Bearer ' || (select 1))",
                "select jsonb_build_object('x-token', current_setting('a.b'))",
                "select jsonb_build_object('apikey', 'true', 'Idempotency-Key', 'daily-2024-01-01')",
            )
        ),
        unseen(
            "a role that sees its own jobs alone",
            role(grants="grant usage on schema cron to plain; grant select on cron.job, cron.job_run_details to plain"),
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
    ),
    "no_secret_in_migration_history": (
        warned(
            "a recorded migration holds a key",
            recorded_migration("20251117000001", "create table x ()", f"insert into t values ('{_LEGACY}')"),
            recorded_migration("20251117000002", "select 1 < 2 and 'sb_secret_' > 'eyJ'"),
            says="schema_migrations: keeps the text of 1 migrations that hold a key: 20251117000001",
            hides=_LEGACY[:20],
            repaired_by="postgres",
            then=equals(
                ["create table x ()", "insert into t values ('***')"],
                "select statements from supabase_migrations.schema_migrations where version like '%1'",
            ),
        ),
        failed(
            "a key that is in use", _in_use, says="2 migrations that hold a key: 1, 2; the key that is in use is in 2"
        ),
        warned("it was in use", _in_use, stored(service_role_key=keys.legacy()), says="2 migrations"),
        fine("a public key", recorded_migration("1", f"select '{keys.legacy('anon').reveal()}'")),
        fine("a table of another form", _other_form),
        unseen(
            "this role may not read it",
            admin(
                "create schema supabase_migrations; create table supabase_migrations.schema_migrations"
                " (statements text[]); revoke pg_read_all_data from postgres"
            ),
            says="this role may not read it",
        ),
        unseen(
            "a view of whoever may create schemas is not read, for it runs theirs as this role",
            _VIEW_OF_ANOTHER,
            says="is not read: it is a view, or the role intruder could have made it so",
        ),
        unseen(
            "neither is what the owner of its schema could put in its place",
            recorded_migration("1", f"select '{_SECRET}'"),
            admin("create role intruder; alter schema supabase_migrations owner to intruder"),
            says="is not read: it is a view, or the role intruder could have made it so",
        ),
    ),
    "rotation_finished": (
        warned(
            "a rotation was interrupted",
            _begun(keys.secret()),
            sql(_LAPSE),
            says="never proven; no call was answered since",
        ),
        warned(
            "and its key works", _begun(keys.secret()), sql(_LAPSE), tick, says="the newest call since was answered 200"
        ),
        failed(
            "and its key is refused",
            _begun(keys.secret()),
            sql(_LAPSE),
            answers(401, {}, "UNAUTHORIZED_INVALID_JWT_FORMAT"),
            says="the newest call since was refused: 401 UNAUTHORIZED_INVALID_JWT_FORMAT",
            explains=("function_accepts_key",),
        ),
        warned(
            "no value is shown",
            _begun(Secret(_SECRET)),
            sql(_LAPSE),
            says="secret service_role_key: was replaced at ",
            hides=_SECRET,
        ),
        warned(
            "a store that was moved and not proven",
            sql(
                "insert into autosync.secret_rotation (name, token, kept, lease_expires_at)"
                " values ('setting:secrets', gen_random_uuid(), 'nowhere', now() - interval '1 minute')"
            ),
            says="setting secrets: was replaced at ",
        ),
        warned(
            "rotate --auto was interrupted",
            sql(_JOURNAL.format("now() - interval '1 minute'")),
            says="key autosync_left: was to take the place of the service key",
        ),
        fine("a rotation is under way", _begun(keys.secret()), says="is being proven"),
        fine("rotate --auto is at work", sql(_JOURNAL.format("now() + interval '1 minute'")), says="which is at work"),
        unseen(
            "a role that may not see it",
            role(grants="grant pg_read_all_data to plain"),
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
    ),
    "secrets_clean": (
        *(
            warned(
                f"a key is {spoiled}",
                _spoiled("service_role_key", spoiled),
                tick,
                says="secret service_role_key: has ",
                repaired_by="postgres",
            )
            for spoiled in ("secret || E'\\n'", "' ' || secret", "secret || E'\\r\\n'")
        ),
        *(
            failed(
                f"a key is {spoiled}",
                _spoiled("service_role_key", spoiled),
                run("failed", 'ERROR:  the secret "service_role_key" contains blanks'),
                says="secret service_role_key: contains 1 blanks, line breaks or other",
                explains=("job_runs_succeed",),
                repaired_by="postgres",
                then=tick,
            )
            for spoiled in (
                "left(secret, 20) || E'\\n' || substr(secret, 21)",
                "secret || chr(160)",
                "chr(65279) || secret",
                "'Bearer ' || secret",
                "left(secret, 20) || chr(8203) || substr(secret, 21)",
            )
        ),
        *(
            failed(
                f"a key with more around it: {spoiled}",
                _kept_spoiled(spoiled),
                says=" blanks, line breaks or other",
                repaired_by="postgres",
                then=equals(
                    True,
                    "select secret = (select secret from kept) from public.pg_cron_secrets"
                    " where name = 'service_role_key'",
                ),
            )
            for spoiled in (
                "E' Authorization:  bearer:\\t' || secret || E'\\r\\n'",
                "'apikey: ' || secret",
                "left(secret, 20) || E' \\r\\n\\t ' || substr(secret, 21)",
            )
        ),
        *(
            failed(
                f"a {name} that cleaning does not make one: {spoiled}",
                _spoiled(name, spoiled),
                says="characters that no header carries, and is no whole ",
                reason=reason,
            )
            for name, spoiled, reason in (
                ("service_role_key", "left(secret, 15) || repeat(chr(183), 6)", "service_role_key"),
                ("service_role_key", "left(secret, 15) || repeat(chr(8226), 6)", "service_role_key"),
                ("service_role_key", "left(secret, 15) || ' ' || substr(secret, 16)", "service_role_key"),
                ("project_url", "replace(secret, '1', chr(65297))", "project_url"),
            )
        ),
        failed(
            "a spoiled address",
            _spoiled("project_url", "replace(secret, '://', '://' || chr(8203))"),
            says="secret project_url: contains 1",
            explains=("project_url_valid",),
        ),
        fine(
            "another secret",
            sql("insert into public.pg_cron_secrets (name, secret) values ('pem', E'a b\\nc\\n')"),
        ),
        fine("a blank secret", _spoiled("service_role_key", "' '")),
    ),
    "secrets_present": (
        *(
            failed(
                f"{name} is missing",
                sql(f"delete from public.pg_cron_secrets where name = '{name}'"),
                says=f"secret {name}: is missing from public.pg_cron_secrets",
            )
            for name in ("project_url", "service_role_key")
        ),
        fine("of a job that is off by the file", _WITHOUT_KEY, switch_off, says="the job auto-sync-cron-job is off"),
        warned("of a job that is paused", _WITHOUT_KEY, pause, says="the job auto-sync-cron-job is off"),
        failed("it is blank", _spoiled("project_url", "E' \\n'"), says="secret project_url: is blank"),
        failed(
            "a name that nothing reads",
            sql("update public.pg_cron_secrets set name = 'SERVICE_ROLE_KEY' where name = 'service_role_key'"),
            says='secret service_role_key: is missing from public.pg_cron_secrets, which has "SERVICE_ROLE_KEY"',
            reason="other_name",
        ),
        failed(
            "the column takes nulls",
            admin(
                "alter table public.pg_cron_secrets alter secret drop not null",
                "update public.pg_cron_secrets set secret = null where name = 'service_role_key'",
            ),
            says="secret service_role_key: is blank",
            explains=("service_key_valid", "service_key_fresh"),
        ),
        unseen(
            "row level security hides them",
            role(grants=_READS_ALL),
            says="hidden from this role",
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
        failed(
            "a name that is stored twice",
            sql(
                "alter table public.pg_cron_secrets drop constraint pg_cron_secrets_pkey",
                "insert into public.pg_cron_secrets (name, secret) select name, reverse(secret)"
                " from public.pg_cron_secrets where name = 'service_role_key'",
            ),
            says="secret service_role_key: has 2 rows",
        ),
        failed(
            "an address that is stored twice",
            sql(
                "alter table public.pg_cron_secrets drop constraint pg_cron_secrets_pkey",
                "insert into public.pg_cron_secrets select * from public.pg_cron_secrets where name = 'project_url'",
            ),
            says="secret project_url: has 2 rows",
            explains=("service_key_matches_project",),
        ),
        failed(
            "the function knows its caller by another secret, which is missing",
            _knows_its_caller_by_a_cron_secret,
            sql("delete from public.pg_cron_secrets where name = 'cron_secret'"),
            says="secret cron_secret: is missing",
        ),
        fine("and it is there", _knows_its_caller_by_a_cron_secret, tick),
        fine(
            "line breaks after the keys, and another secret",
            sql(
                "update public.pg_cron_secrets set secret = secret || E'\\n'",
                "insert into public.pg_cron_secrets (name, secret) values ('mine', '')",
            ),
        ),
    ),
    "secrets_readable_by_job": (
        failed(
            "a grant is missing",
            admin(
                "revoke select on public.pg_cron_secrets from postgres, service_role",
                "revoke pg_read_all_data from postgres",
            ),
            says="the role postgres, as which the job reads it, may not select it",
            explains=(
                "secrets_present",
                "service_key_valid",
                "service_key_fresh",
                "secrets_clean",
                "project_url_valid",
            ),
            repaired_by="postgres",
            then=tick,
        ),
        fine("forced on an owner who bypasses it", sql("alter table public.pg_cron_secrets force row level security")),
        failed(
            "forced on an owner who does not",
            sql("alter table public.pg_cron_secrets force row level security"),
            admin("alter role postgres nobypassrls"),
            says="row level security, forced on its owner, hides",
            repaired_by="postgres",
            then=tick,
        ),
        unseen(
            "the table is gone",
            admin("alter table public.pg_cron_secrets rename to old_secrets"),
            says="table public.pg_cron_secrets: does not exist",
            blocked_by=("objects_current",),
        ),
        failed("a function of another owner", _READER, says="row level security hides its rows from the role reader"),
        fine(
            "a policy lets that role",
            _READER,
            sql("create policy reads on public.pg_cron_secrets for select to reader using (true)"),
        ),
        fine("that role bypasses it", _READER, admin("alter role reader bypassrls")),
    ),
}
