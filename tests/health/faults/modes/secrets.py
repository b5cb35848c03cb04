"""E: the secrets that a call carries."""

import os
from contextlib import ExitStack
from pathlib import Path

from autosync_db.health.model import Status
from tests.health.actions import (
    admin,
    answers,
    answers_again,
    command,
    failed_tick,
    secrets_again,
    sql,
    steps,
    stored,
    tick,
)
from tests.health.faults.mode import AnyMode, Mode
from tests.health.faults.modes.function import WRITTEN
from tests.support import keys, management
from tests.support.health import Project

_VAULT = Path(__file__).parents[3] / "support" / "vault.sql"
_READER = (
    "create role reader nologin",
    "grant usage on schema public to reader",
    "grant select on public.pg_cron_secrets to reader",
    "alter function autosync.read_secret(text) owner to reader",
)
_KEY_IN_THE_PARAMETERS = (
    "select net.http_post('https://api.example.com/functions/v1/auto-sync-cron', '{}'::jsonb,"
    " jsonb_build_object('Authorization', 'Bearer ' || autosync.read_secret('service_role_key')))"
)


_platform = ExitStack()


def _legacy_keys_are_on(project: Project) -> None:
    """Let the platform say so, to whoever has an access token; the calls carry a secret key."""
    api = _platform.enter_context(management.serve(keys.access_token().reveal()))
    api.legacy_enabled = True
    variables = {"SUPABASE_ACCESS_TOKEN": api.token, "AUTOSYNC_SUPABASE_API_URL": api.url}
    os.environ.update(variables)
    _platform.callback(lambda: [os.environ.pop(name, None) for name in variables])
    stored(project_url=f"https://{keys.PROJECT_REF}.supabase.co", service_role_key=keys.secret())(project)


def _platform_is_not_asked(_project: Project) -> None:
    _platform.close()


def _vault_without_its_key(project: Project) -> None:
    project.admin.execute(_VAULT.read_bytes())
    project.owner.execute(
        "select vault.create_secret(s.secret, s.name) from public.pg_cron_secrets as s;"
        " insert into autosync.setting (name, value) values ('secrets', '{\"store\": \"vault\"}')"
    )
    project.admin.execute(
        "create or replace function vault._decrypted(kept text) returns text language plpgsql set search_path = ''"
        " as $$ begin raise exception 'pgsodium_crypto_aead_det_decrypt_by_id: invalid ciphertext'"
        " using errcode = 'data_exception'; end $$"
    )


def _key_is_old(project: Project) -> None:
    project.owner.execute("update public.pg_cron_secrets set updated_at = now() - interval '40 days'")


def _key_of_another_project(project: Project) -> None:
    url = f"https://{keys.PROJECT_REF}.supabase.co"
    project.store(project_url=url, service_role_key=keys.legacy(ref=keys.PROJECT_REF[::-1]))


def _doubled(project: Project) -> None:
    project.owner.execute("alter table public.pg_cron_secrets drop constraint pg_cron_secrets_pkey")
    project.owner.execute(
        "insert into public.pg_cron_secrets (name, secret)"
        " select name, reverse(secret) from public.pg_cron_secrets where name = 'service_role_key'"
    )


def _single(project: Project) -> None:
    project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    project.owner.execute("alter table public.pg_cron_secrets add constraint pg_cron_secrets_pkey primary key (name)")
    secrets_again(project)


MODES: tuple[AnyMode, ...] = (
    Mode(
        "E1",
        "the row of the key is gone",
        "secrets_present",
        steps(sql("delete from public.pg_cron_secrets where name = 'service_role_key'"), failed_tick),
        reason="key",
        says="secret service_role_key: is missing from public.pg_cron_secrets",
        undo=secrets_again,
    ),
    Mode(
        "E2",
        "the key is stored under another name",
        "secrets_present",
        steps(
            sql("update public.pg_cron_secrets set name = 'service_key' where name = 'service_role_key'"), failed_tick
        ),
        reason="key",
        says="secret service_role_key: is missing from public.pg_cron_secrets",
        undo=steps(sql("delete from public.pg_cron_secrets where name = 'service_key'"), secrets_again),
    ),
    Mode(
        "E3",
        "row level security hides the secrets from the role that reads them",
        "secrets_readable_by_job",
        steps(admin(*_READER), failed_tick),
        says="row level security hides its rows from the role reader",
        also=("objects_current", "secrets_table_protected"),
        role="supabase_admin",
        undo=steps(
            admin(
                "alter function autosync.read_secret(text) owner to postgres",
                "drop owned by reader",
                "drop role reader",
            ),
            tick,
        ),
    ),
    Mode(
        "E4",
        "row level security is forced on an owner who does not bypass it",
        "secrets_readable_by_job",
        steps(
            admin("alter table public.pg_cron_secrets force row level security", "alter role postgres nobypassrls"),
            failed_tick,
        ),
        says="row level security, forced on its owner, hides its rows from the role postgres",
        repairable=True,
        role="supabase_admin",
    ),
    Mode(
        "E5",
        "the role that reads the secrets may not select them",
        "secrets_readable_by_job",
        steps(
            admin(
                "revoke select on public.pg_cron_secrets from postgres, service_role",
                "revoke pg_read_all_data from postgres",
            ),
            failed_tick,
        ),
        says="the role postgres, as which the job reads it, may not select it",
        repairable=True,
    ),
    Mode(
        "E6",
        "the stored key has a line break inside",
        "secrets_clean",
        steps(
            sql(
                "update public.pg_cron_secrets set secret = left(secret, 40) || E'\\n' || substr(secret, 41)"
                " where name = 'service_role_key'"
            ),
            failed_tick,
        ),
        says="secret service_role_key: contains 1 blanks, line breaks",
        repairable=True,
    ),
    Mode(
        "E7",
        "the key was replaced 40 days ago and the platform refuses the old one",
        "function_accepts_key",
        steps(_key_is_old, answers(401, {"msg": "Invalid JWT"}, "UNAUTHORIZED_LEGACY_JWT", ticks=3)),
        simulated="the key is made old by its row",
        says="refused with 401 UNAUTHORIZED_LEGACY_JWT",
        undo=steps(answers_again, secrets_again),
    ),
    Mode(
        "E8",
        "the key is the public one",
        "service_key_valid",
        stored(service_role_key=keys.legacy("anon")),
        says="is a JWT of the role anon",
        undo=secrets_again,
    ),
    Mode(
        "E9",
        "the key is that of another project",
        "service_key_matches_project",
        _key_of_another_project,
        says=f"is a key of the project {keys.PROJECT_REF[::-1]}, but project_url names {keys.PROJECT_REF}",
        also=("service_key_fresh",),
        undo=secrets_again,
    ),
    Mode(
        "E10",
        "the key has expired",
        "service_key_valid",
        stored(service_role_key=keys.legacy(expires_in=-86400)),
        says="expired on",
        undo=secrets_again,
    ),
    Mode(
        "E11",
        "the gateway takes a secret key for a JWT",
        "function_accepts_key",
        steps(
            stored(service_role_key=keys.secret()),
            answers(401, {"msg": "Invalid Token or Protected Header formatting"}, "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        ),
        says="401 UNAUTHORIZED_INVALID_JWT_FORMAT",
        reason="verify_jwt",
        undo=steps(answers_again, secrets_again),
        simulated=WRITTEN,
    ),
    Mode(
        "E12",
        "the function compares the key with a variable that changed its form",
        "function_accepts_key",
        answers(401, {"error": "not the service role"}),
        says="refused with 401",
        undo=answers_again,
        simulated=WRITTEN,
    ),
    Mode(
        "E13",
        "the secrets are in the vault, and it cannot decrypt them",
        "secrets_readable_by_job",
        steps(_vault_without_its_key, failed_tick),
        reason="undecryptable",
        says="invalid ciphertext",
        undo=steps(
            sql("delete from autosync.setting where name = 'secrets'"), admin("drop schema vault cascade"), tick
        ),
        simulated="a stand-in of the extension vault",
    ),
    Mode(
        "E14",
        "the key is stored twice",
        "secrets_present",
        _doubled,
        # the primary key is gone, too
        also=("objects_current",),
        reason="repeated",
        says="secret service_role_key: has 2 rows",
        undo=_single,
    ),
    Mode(
        "legacy_keys_off: they are on",
        "the project's legacy keys are on, and no call needs one",
        "legacy_keys_off",
        _legacy_keys_are_on,
        Status.WARNING,
        says="are on, and no call needs them",
        undo=steps(_platform_is_not_asked, secrets_again),
        simulated="a stand-in of the Management API",
    ),
    Mode(
        "E15",
        "the job's text hands the key over as a parameter of the address",
        "job_command_matches",
        command(_KEY_IN_THE_PARAMETERS),
        says="runs something else than",
        repairable=True,
    ),
)
