"""The history of the secrets: whoever changes one is in it, no value is, and nobody can change what it says."""

import psycopg
import pytest

from autosync_db.credentials import lease, store
from autosync_db.secret import Secret
from autosync_db.supabase import key
from tests.credentials.conftest import Project
from tests.support import clusters, command, keys


def _history(project: Project) -> list[store.HistoryEntry]:
    return store.history(project.owner)


def test_manual_changes_are_seen_as_much_as_the_tools_own(project: Project) -> None:
    newer = keys.secret()
    with clusters.connect(project.cluster, "supabase_admin") as dashboard:
        dashboard.execute("set application_name = 'dashboard'")
        dashboard.execute("set role postgres")
        dashboard.execute(
            "update public.pg_cron_secrets set secret = %s where name = 'service_role_key'", [newer.reveal()]
        )
    change = _history(project)[0]
    assert (change.action, change.name, change.store, change.kind) == (
        "replaced", "service_role_key", "table", "secret",
    )  # fmt: skip
    assert change.fingerprint_before == key.fingerprint(project.key)
    assert change.fingerprint_after == key.fingerprint(newer)
    assert (change.session_role, change.acting_role) == ("supabase_admin", "postgres")
    assert (change.application_name, change.client_address) == ("dashboard", "127.0.0.1")


def test_every_kind_of_statement_is_seen(project: Project) -> None:
    project.owner.execute("insert into public.pg_cron_secrets (name, secret) values ('mine', %s)", ["m" * 30])
    project.owner.execute("update public.pg_cron_secrets set secret = secret || '!' where name = 'mine'")
    project.owner.execute("update public.pg_cron_secrets set name = 'yours' where name = 'mine'")
    project.owner.execute("update public.pg_cron_secrets set updated_at = now()")  # changes no secret
    project.owner.execute("delete from public.pg_cron_secrets where name = 'yours'")
    project.owner.execute("truncate public.pg_cron_secrets")
    entries = [(change.action, change.name) for change in reversed(_history(project))]
    assert entries == [
        ("stored", "project_url"), ("stored", "service_role_key"), ("stored", "mine"), ("replaced", "mine"),
        ("deleted", "mine"), ("stored", "yours"), ("deleted", "yours"),
        ("deleted", "project_url"), ("deleted", "service_role_key"),
    ] or sorted(entries[-2:]) == [("deleted", "project_url"), ("deleted", "service_role_key")]  # fmt: skip


def test_a_change_that_is_rolled_back_is_none(project: Project) -> None:
    before = _history(project)
    with project.owner.transaction(force_rollback=True):
        project.owner.execute("delete from public.pg_cron_secrets")
    assert _history(project) == before


def test_a_manual_change_moves_the_time_of_the_last_change(project: Project) -> None:
    before = store.stored(project.owner)["service_role_key"].changed_at
    project.owner.execute("update public.pg_cron_secrets set secret = %s", [keys.secret().reveal()])
    assert store.stored(project.owner)["service_role_key"].changed_at > before


@pytest.mark.parametrize("role", ["postgres", "supabase_admin"])
def test_nobody_changes_what_it_says(project: Project, role: str) -> None:
    with clusters.connect(project.cluster, role) as connection:
        for statement in (
            "update autosync.secret_change set action = 'stored'",
            "delete from autosync.secret_change",
            "truncate autosync.secret_change",
            "delete from autosync.secret_change where false",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed or deleted"):
                connection.execute(statement.encode())


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_roles_of_the_api_neither_read_nor_write_it(project: Project, role: str) -> None:
    with clusters.connect(project.cluster, "supabase_admin") as connection:
        connection.execute(f"set role {role}".encode())
        for statement in (
            "select * from autosync.secret_change",
            "select * from autosync.secret_rotation",
            "insert into autosync.secret_change (action, name, store, kind, session_role, acting_role,"
            " application_name) values ('stored', 'x', 'table', 'other', 'x', 'x', 'x')",
            "select autosync.note_secret_change('table', 'x', null, 'y')",
            "select autosync.put_secret('service_role_key', 'y')",
            "select autosync.put_back_rotation(gen_random_uuid())",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_whoever_reads_all_data_does_not_read_the_value_that_a_rotation_keeps(project: Project) -> None:
    newer = keys.secret()
    begun = lease.begin(project.owner, {"service_role_key": newer})
    assert begun is not None
    assert project.value("select previous from autosync.secret_rotation") == project.key.reveal()
    with psycopg.connect(project.cluster.url("supabase_admin").reveal()) as connection:
        connection.execute("create role reader; grant pg_read_all_data to reader; set role reader")
        assert connection.execute("select * from autosync.secret_rotation").fetchall() == []
        connection.rollback()
    lease.put_back(project.owner, begun.token)


def test_no_object_of_others_runs_as_the_owner(project: Project) -> None:
    """The trigger works as its owner for whoever may write; functions and types of others must not be found."""
    with psycopg.connect(project.cluster.url("supabase_admin").reveal()) as connection:
        connection.execute("create role writer")
        connection.execute("grant insert, select on public.pg_cron_secrets to writer")
        connection.execute("create policy for_writer on public.pg_cron_secrets for all to writer with check (true)")
        connection.execute("create schema trap authorization writer")
        connection.execute("set role writer")
        connection.execute(
            "create function trap.btrim(text, text) returns text language plpgsql as"
            " $$ begin raise exception 'ran as %', current_user; end $$"
        )
        connection.execute(
            "create function trap.session_user_name() returns text language sql as $$ select 'nobody' $$"
        )
        connection.execute("create temporary table secret_change (id int)")
        connection.execute("create type pg_temp.text as (x int)")
        connection.execute("set search_path = trap, pg_temp, pg_catalog")
        connection.execute("insert into public.pg_cron_secrets (name, secret) values ('theirs', 'value')")
        connection.execute("reset role")
        found = connection.execute(
            "select name, session_role, acting_role from autosync.secret_change order by id desc limit 1"
        ).fetchone()
        connection.rollback()
    assert found == ("theirs", "supabase_admin", "writer")


def test_history_holds_no_value(project: Project) -> None:
    newer = keys.legacy()
    store.store(project.owner, {"service_role_key": newer, "pin": Secret("p!n7")})
    kept = str(project.owner.execute("select t::text from autosync.secret_change as t").fetchall())
    for value in (newer.reveal(), project.key.reveal(), "p!n7"):
        assert value not in kept
    # a short value shares its fingerprint with thousands of others
    assert len(_history(project)[0].fingerprint_after or "") in {4, 12}
    assert {len(change.fingerprint_after or "") for change in _history(project) if change.name == "pin"} == {4}


def test_server_and_command_line_compute_the_same_fingerprint(project: Project) -> None:
    for value in ("", "4711", "é" * 19, "é" * 20, project.key.reveal(), keys.legacy().reveal()):
        assert project.value("select autosync.fingerprint(%s)", [value]) == key.fingerprint(Secret(value))


def test_history_command_lists_newest_first(project: Project) -> None:
    store.store(project.owner, {"other": Secret("o" * 30)})
    shown = command.succeeds(project.run("secrets", "history")).out
    assert shown.index("other") < shown.index("service_role_key")
    listed = command.succeeds(project.run("secrets", "history", "other", "--format", "json")).json()
    assert [(change["name"], change["action"]) for change in listed] == [("other", "stored")]
    assert set(listed[0]) >= {"changed_at", "fingerprint_before", "fingerprint_after", "acting_role", "client_address"}
