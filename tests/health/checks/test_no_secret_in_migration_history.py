"""no_secret_in_migration_history: recorded migrations that hold a key are named by version; no text is shown."""

from autosync_db.health.model import Status
from autosync_db.secret import Secret
from tests.support import keys
from tests.support.health import Project, result_of

ID = "no_secret_in_migration_history"
TABLE = "table supabase_migrations.schema_migrations"


def _record(project: Project, version: str, *statements: str) -> None:
    project.owner.execute(
        "create schema if not exists supabase_migrations;"
        " create table if not exists supabase_migrations.schema_migrations"
        " (version text primary key, statements text[], name text)"
    )
    project.owner.execute(
        "insert into supabase_migrations.schema_migrations (version, statements) values (%s, %s)",
        [version, list(statements)],
    )


def test_recorded_key_is_a_warning_until_it_is_blotted_out(project: Project) -> None:
    key = keys.legacy()
    _record(project, "20251117000001", "create table x ()", f"insert into t values ('{key.reveal()}')")
    _record(project, "20251117000002", "select 1 < 2 and 'sb_secret_' > 'eyJ'")
    found = project.must_fail(ID, status=Status.WARNING, names=f"{TABLE}: keeps the text of 1 migrations")
    assert "20251117000001" in found.verdict.summary
    assert "20251117000002" not in found.verdict.summary
    assert key.reveal()[:20] not in str(found)

    project.run_remedy(ID)
    project.must_be_healthy()
    kept = project.value("select statements from supabase_migrations.schema_migrations where version like '%1'")
    assert kept == ["create table x ()", "insert into t values ('***')"]


def test_key_that_is_in_use_is_critical(project: Project) -> None:
    stored = Secret(project.value("select secret from public.pg_cron_secrets where name = 'service_role_key'"))
    _record(project, "1", f"select '{keys.secret().reveal()}'")
    _record(project, "2", f"select '{stored.reveal()}'")
    project.must_fail(ID, names="2 migrations that hold a key: 1, 2; the key that is in use is in 2")

    project.store(service_role_key=keys.legacy())
    project.must_fail(ID, status=Status.WARNING)


def test_public_key_and_a_table_of_another_form_are_no_fault(project: Project) -> None:
    _record(project, "1", f"select '{keys.legacy('anon').reveal()}'")
    project.owner.execute("insert into supabase_migrations.schema_migrations (version) values ('2')")
    project.must_be_healthy()
    project.owner.execute("alter table supabase_migrations.schema_migrations drop column statements")
    project.must_be_healthy()


def test_history_that_this_role_may_not_read_is_unknown(project: Project) -> None:
    project.admin.execute(
        "create schema supabase_migrations; create table supabase_migrations.schema_migrations (statements text[]);"
        " revoke pg_read_all_data from postgres"
    )
    found = result_of(project.report(), ID)
    assert found.status is Status.UNKNOWN
    assert "this role may not read it" in found.verdict.summary
