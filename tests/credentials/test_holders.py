"""`rotate` ends by naming who else holds the old value, and says that it is used no more only if nobody does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from autosync_db.credentials import cron_secret, lease, rotation, store
from autosync_db.credentials.holders import Holder, Unseen
from autosync_db.credentials.proof import Proof
from autosync_db.credentials.rotation import Result
from autosync_db.secret import Secret
from autosync_db.supabase.function import Verdict
from tests.credentials.conftest import SILENT, Project
from tests.support import clusters, command, health, keys

VAULT = (Path(__file__).parents[1] / "support" / "vault.sql").read_text()
HISTORY = (
    "create schema supabase_migrations",
    "create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)",
)
# as on platforms that give their owner less
BLIND, SEEING = "revoke pg_read_all_data from postgres", "grant pg_read_all_data to postgres"
UNUSED = "no longer used: delete it"


@pytest.fixture
def busy(project: Project) -> Iterator[Project]:
    """The project, with a vault and a history of migrations; what a test plants is taken back."""
    project.owner.execute("create schema planted")
    for statement in HISTORY:
        project.owner.execute(statement.encode())
    _as_admin(
        project,
        VAULT,
        "create foreign data wrapper nothing",
        "grant usage on foreign data wrapper nothing to postgres",
    )
    yield project
    _as_admin(
        project,
        SEEING,
        "drop foreign data wrapper nothing cascade",
        "drop schema planted, supabase_migrations cascade",
        "alter role postgres reset planted.key",
        "alter role anon in database postgres reset planted.key",
        "alter database postgres reset planted.key",
    )
    project.owner.execute("select cron.unschedule(c.jobid) from cron.job as c where c.jobname = 'theirs'")
    project.owner.execute("delete from autosync.setting where name = 'function_auth'")


def _as_admin(project: Project, *statements: str) -> None:
    with clusters.connect(project.cluster, "supabase_admin") as admin:
        for statement in statements:
            admin.execute(statement.encode())


def _plant(project: Project, text: str) -> None:
    """Put a text into every place that is looked at."""
    for statement in (
        f"select cron.schedule('theirs', '{health.NEVER}', $$select net.http_post('x', headers := '{text}')$$)",
        f"create function planted.by_text() returns text language sql as $$ select '{text}' $$",
        f"create function planted.atomic() returns text return '{text}'",
        f"create function planted.by_default(key text default '{text}') returns text language sql as 'select null'",
        "create function planted.hook() returns trigger language plpgsql as $$ begin return null; end $$",
        "create table planted.thing (id integer)",
        "create trigger webhook after insert on planted.thing for each row"
        f""" execute function planted.hook('{{"Authorization": "Bearer {text}"}}')""",
        f"create server planted foreign data wrapper nothing options (api_key '{text}')",
        f"insert into public.pg_cron_secrets (name, secret) values ('partner', '{text}')",
        f"select vault.create_secret('{text}', 'service_key_of_theirs')",
        f"insert into supabase_migrations.schema_migrations values ('20250101', array['select 1', '-- {text}'])",
    ):
        project.owner.execute(statement.encode())
    # who may set them, differs from platform to platform
    _as_admin(
        project,
        f"create function planted.by_setting() returns int language sql set planted.key = '{text}' as 'select 1'",
        f"alter role postgres set planted.key = '{text}'",
        f"alter role anon in database postgres set planted.key = '{text}'",
        f"alter database postgres set planted.key = 'Bearer {text}'",
    )


def _rotate(project: Project, *arguments: str) -> tuple[Secret, command.Result]:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    result = command.succeeds(project.rotate(newer, *arguments))
    assert project.stored() == newer.reveal()
    for secret in (project.key, newer):
        assert secret.reveal() not in result.out + result.err
    return newer, result


def test_whoever_holds_the_old_value_is_named_by_place(busy: Project) -> None:
    _plant(busy, busy.key.reveal())
    _, result = _rotate(busy)
    assert UNUSED not in result.err
    assert "warning: the listed places still hold the old one" in result.err
    number = busy.value("select jobid from cron.job where jobname = 'theirs'")
    for place, name in (
        ("cron job", f"theirs (job {number})"),
        ("function", "planted.by_text()"),
        ("function", "planted.atomic()"),
        ("function", "planted.by_default(text)"),
        ("function", "planted.by_setting()"),
        ("trigger", "webhook on planted.thing"),
        ("setting", "planted.key of role postgres"),
        ("setting", "planted.key of role anon of database postgres"),
        ("setting", "planted.key of database postgres"),
        ("foreign server", "planted"),
        ("secret", "partner"),
        ("vault secret", "service_key_of_theirs"),
        ("migration", "20250101"),
    ):
        lines = [" ".join(line.split()) for line in result.out.splitlines()]
        assert f"{place} {name}" in lines, result.out


def test_what_holds_something_else_is_not_named(busy: Project) -> None:
    """Other keys, the beginning of the old one, and whoever reads it from the store."""
    old = busy.key.reveal()
    _plant(busy, f"{keys.secret().reveal()} {old[:-1]} {old[1:]} autosync.read_secret(service_role_key)")
    _, result = _rotate(busy, "--format", "json")
    assert (result.json()["still_held_by"], result.json()["not_looked_at"]) == ([], [])
    older, busy.key = busy.key, Secret(busy.stored() or "")
    busy.gate.accept(busy.key)
    busy.owner.execute("update public.pg_cron_secrets set secret = %s where name = 'partner'", [older.reveal()])
    _, result = _rotate(busy)
    assert UNUSED in result.err, "what the one before the last was is held by somebody"
    assert "still held" not in result.out + result.err


def test_json_has_the_list_also_for_a_rotation_that_is_finished_later(busy: Project) -> None:
    old, newer = busy.key.reveal(), keys.legacy()
    busy.owner.execute("select vault.create_secret(%s, %s)", [old, f"named {keys.secret().reveal()}"])
    busy.gate.accept(busy.key, newer)
    assert lease.begin(busy.owner, {"service_role_key": newer})
    busy.lapse()
    result = command.succeeds(busy.run("rotate", "--resume", "--format", "json")).json()
    assert result["outcome"] == "finished"
    assert result["still_held_by"] == [{"place": "vault secret", "name": "named ***"}]
    assert command.succeeds(busy.run("rotate", "--resume", "--format", "json")).json()["still_held_by"] is None


def test_in_the_vault_the_value_that_is_kept_is_no_holder(busy: Project) -> None:
    busy.owner.execute("insert into autosync.setting (name, value) values ('secrets', %s)", [Jsonb({"store": "vault"})])
    store.store(
        busy.owner, {store.PROJECT_URL: Secret(busy.stub.url), store.SERVICE_KEY: busy.key, "partner": busy.key}
    )
    busy.owner.execute("delete from public.pg_cron_secrets where name = 'project_url'")
    _, result = _rotate(busy, "--format", "json")
    assert result.json()["still_held_by"] == [
        {"place": "secret", "name": "service_role_key"}, {"place": "vault secret", "name": "partner"},
    ]  # fmt: skip


class TestUnseen:
    """What could not be looked at is said, and then nobody says that the key is used no more."""

    @pytest.mark.parametrize(
        ("broken", "where", "reason"),
        [
            (
                "revoke all on vault.decrypted_secrets from postgres, service_role",
                "vault secret",
                "the role postgres may not read vault.decrypted_secrets",
            ),
            (
                "create or replace function vault._decrypted(kept text) returns text language plpgsql"
                " set search_path = ''"
                " as $$ begin raise external_routine_exception using message = 'invalid ciphertext'; end $$",
                "vault secret",
                "invalid ciphertext",
            ),
            (
                "alter table supabase_migrations.schema_migrations owner to supabase_admin",
                "migration",
                "the role postgres may not read supabase_migrations.schema_migrations",
            ),
            (
                "alter table supabase_migrations.schema_migrations owner to authenticator",
                "migration",
                "supabase_migrations.schema_migrations is not read: others could have made it a view",
            ),
            (
                "alter view vault.decrypted_secrets owner to authenticator",
                "vault secret",
                "vault.decrypted_secrets is not read: others could have made it a view",
            ),
        ],
        ids=[
            "a closed vault",
            "a vault that cannot be decrypted",
            "a closed history",
            "a history of others",
            "a vault of others",
        ],
    )
    def test_a_place_that_cannot_be_read_is_said_and_the_others_are_looked_at(
        self, broken: str, where: str, reason: str, busy: Project
    ) -> None:
        _plant(busy, busy.key.reveal())
        _as_admin(busy, BLIND, broken)
        _, result = _rotate(busy)
        assert UNUSED not in result.err
        assert "warning: some places could not be searched for the old one" in result.err
        assert [line for line in result.out.splitlines() if line.startswith(where) and line.strip().endswith(reason)], (
            result.out
        )
        assert "theirs (job" in result.out

    def test_a_closed_place_alone_is_enough_for_a_warning(self, busy: Project) -> None:
        _as_admin(busy, BLIND, "revoke usage on schema vault from postgres, service_role")
        _, result = _rotate(busy, "--format", "json")
        assert result.json()["still_held_by"] == []
        assert [one["place"] for one in result.json()["not_looked_at"]] == ["vault secret"]

    def test_a_look_that_fails_does_not_undo_the_rotation(self, busy: Project) -> None:
        busy.owner.execute("alter function autosync.replaced_held_by(uuid) rename to put_away")
        try:
            _, result = _rotate(busy)
        finally:
            busy.owner.execute("alter function autosync.put_away(uuid) rename to replaced_held_by")
        assert "it is older than this command" in result.out
        assert UNUSED not in result.err


def _replace_cron_secret(project: Project, value: Secret) -> Result:
    return rotation.replace(
        project.configuration,
        cron_secret.subject(project.configuration),
        value,
        preflight=False,
        prove=lambda *_: Proof(Verdict.ACCEPTED, "200"),
        reporter=SILENT,
    )


def test_a_cron_secret_has_holders_too(busy: Project) -> None:
    old = cron_secret.generate()
    busy.owner.execute(
        "insert into autosync.setting (name, value) values ('function_auth', %s)",
        [Jsonb({busy.job_name: "cron_secret"})],
    )
    store.store(busy.owner, {store.CRON_SECRET: old})
    _plant(busy, f"x-autosync-cron-secret: {old.reveal()}")
    found = _replace_cron_secret(busy, cron_secret.generate())
    assert found.still_held_by is not None
    assert {"cron job", "function", "trigger", "vault secret"} <= {one.place for one in found.still_held_by}
    again = _replace_cron_secret(busy, cron_secret.generate())
    assert (again.still_held_by, again.not_looked_at) == ((), ())
    assert Holder("secret", "partner") in found.still_held_by
    short = busy.owner.execute("update public.pg_cron_secrets set secret = 'short' where name = 'cron_secret'")
    assert short.rowcount == 1
    assert _replace_cron_secret(busy, cron_secret.generate()).not_looked_at == (
        Unseen("database", "the old value is too short to be looked for"),
    )
