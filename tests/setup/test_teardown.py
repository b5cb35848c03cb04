"""`teardown`: what was made here goes, what was there before is back, and nothing of anybody else's is touched."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from autosync_db import config
from autosync_db.credentials import lease, store
from autosync_db.errors import ConflictError, MigrationError
from autosync_db.local.cluster import Cluster
from autosync_db.progress import Reporter
from autosync_db.schema import migrate, revisions
from autosync_db.secret import Secret
from autosync_db.setup import belongings, teardown
from autosync_db.setup import run as setup
from autosync_db.setup.decision import Given
from tests.support import cases, clusters, command, dumps, handmade, keys
from tests.support.command import Result
from tests.support.http_stub import Stub

VAULT = (Path(__file__).parents[1] / "support" / "vault.sql").read_text()
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "schemas" / "teardown.schema.json").read_text())
RARELY = "59 23 31 12 *"
TOKEN = "t0ken-of-nobody-in-particular"
THEIRS = "select 'a job of theirs'"
SCHEDULE = "insert into public.auto_sync_schedules (integration_id, organization_id) values (%s, %s)"
IDS = ["00000000-0000-4000-8000-00000000c014", "00000000-0000-4000-8000-00000000b001"]


def state(cluster: Cluster) -> list[str]:
    """Return the whole schema as pg_dump shows it, sorted as the order of grants means nothing; jobs; the vault."""
    dump = dumps.statements(cluster, role="supabase_admin")
    found = sorted(dump.splitlines())
    for table, columns in (("cron.job", "jobname, schedule, command, active"), ("vault.secrets", "name, description")):
        if rows(cluster, f"select to_regclass('{table}')") != [(None,)]:
            found += sorted(str(row) for row in rows(cluster, f"select {columns} from {table}"))
    return found


def rows(cluster: Cluster, query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Run a statement as the owner and return its rows."""
    with clusters.connect(cluster) as owner:
        cursor = owner.execute(query.encode(), parameters)
        return cursor.fetchall() if cursor.description else []


def run(cluster: Cluster, *arguments: str) -> Result:
    """Run a command on the database."""
    return command.run(*arguments, database=cluster.url())


def gone(cluster: Cluster, *arguments: str) -> Any:
    """Tear down, and return what was done."""
    done = command.succeeds(run(cluster, "teardown", "--yes", "--format", "json", *arguments)).json()
    jsonschema.validate(done, SCHEMA)
    return done


def named(items: list[dict[str, str]]) -> set[tuple[str, str]]:
    """Return kind and name of each."""
    return {(item["kind"], item["name"]) for item in items}


def test_an_empty_project_is_empty_again(blank: Cluster) -> None:
    before = state(blank)
    assert "nothing to do" in command.succeeds(run(blank, "teardown")).err
    migrate.upgrade(blank.url())
    rows(blank, SCHEDULE, IDS)
    rows(blank, "insert into public.pg_cron_secrets values ('project_url', 'https://x.example')")
    rows(blank, "alter table public.auto_sync_schedules add column notes text")
    rows(blank, "insert into autosync.tick (job_id, caller, due, decision) values (1, 'test', 0, 'posted')")
    made = state(blank)

    foreseen = command.succeeds(run(blank, "teardown", "--dry-run", "--drop-extensions", "--format", "json")).json()
    # what is not asked for on a terminal needs the flag
    assert "confirmation is needed" in command.refused(run(blank, "teardown"), 2)
    assert state(blank) == made

    done = gone(blank, "--drop-extensions")
    assert state(blank) == before
    assert named(done["removed"]) == named(foreseen["removed"]) == {
        ("job", "auto-sync-cron-job"), ("job", "autosync-keep-house"),
        ("table", "public.auto_sync_schedules"), ("table", "public.pg_cron_secrets"), ("secret", "project_url"),
        ("function", "public.auto_sync_claim(integer,interval)"),
        ("function", "public.auto_sync_complete(uuid,text,jsonb,uuid)"),
        ("function", "public.auto_sync_report(uuid,text,jsonb)"),
        ("schema", "autosync"), ("extension", "pg_cron"), ("extension", "pg_net"),
    }  # fmt: skip
    details = {item["name"]: item["detail"] for item in done["removed"]}
    assert details["public.auto_sync_schedules"] == "with 1 row and what was added to it: column notes"
    assert "1 tick," in details["autosync"]
    assert (done["dry_run"], done["given_back"], done["stays"], done["refused"], done["warnings"]) == (
        False, [], [], [], [],
    )  # fmt: skip
    assert "nothing to do" in command.succeeds(run(blank, "teardown", "--yes")).err


def test_an_adopted_project_has_again_what_it_had(blank: Cluster) -> None:
    handmade.deploy(blank)
    before = state(blank)
    content = "select md5(string_agg(s::text, '' order by s.id)) from public.auto_sync_schedules as s"
    migrate.upgrade(blank.url())
    # nothing of the rows is changed by the way there but what the dry run of migrate names
    done = gone(blank, "--drop-extensions")
    assert state(blank) == before
    assert named(done["given_back"]) == {
        ("job", "auto-sync-cron-job"), ("table", "public.auto_sync_schedules"), ("table", "public.pg_cron_secrets")
    }  # fmt: skip
    assert named(done["stays"]) == {("extension", "pg_cron"), ("extension", "pg_net")}
    assert "trigger trigger_update_auto_sync_next_run" in str(done["given_back"])
    assert rows(blank, "select name from public.pg_cron_secrets order by 1") == [
        ("project_url",),
        ("service_role_key",),
    ]
    assert rows(blank, "select count(*) from public.auto_sync_schedules") == [(13,)]
    # and once more from there
    sums = rows(blank, content)
    migrate.upgrade(blank.url())
    gone(blank)
    assert (state(blank), rows(blank, content)) == (before, sums)


@pytest.fixture
def mixed(blank: Cluster, stub: Stub) -> Iterator[Cluster]:
    """A project with a vault and jobs of its own, one of which has its token in its text."""
    stub.judge = lambda request: 200 if request.headers.get("x-token") == TOKEN else 401
    with clusters.pg_net_worker(blank):
        with clusters.connect(blank, "supabase_admin") as admin:
            admin.execute(VAULT.encode())
        rows(blank, "create extension if not exists pg_cron")
        rows(blank, "select vault.create_secret('of theirs', 'service_role_key', 'the application''s')")
        rows(blank, "select cron.schedule('cleanup', %s, %s)", [RARELY, THEIRS])
        headers = f"jsonb_build_object('Content-Type', 'application/json', 'x-token', '{TOKEN}')"
        text = f"select net.http_post(url := '{stub.url}/in', headers := {headers}) as id;"
        rows(blank, "create extension if not exists pg_net with schema extensions")
        rows(blank, "select cron.schedule('partner', %s, %s)", [RARELY, text])
        Path("autosync.toml").write_text("")
        yield blank


@pytest.mark.parametrize("store", ["table", "vault"])
def test_jobs_of_others_stay_and_one_that_was_taken_over_works_again(mixed: Cluster, store: str) -> None:
    before = state(mixed)
    command.succeeds(run(mixed, "jobs", "import", "--write"))
    settings = Path("autosync.toml")
    settings.write_text(f'{settings.read_text()}\n[secrets]\nstore = "table"\n')
    command.succeeds(run(mixed, "jobs", "adopt", "partner", "--yes"))
    [(secret,)] = rows(mixed, "select name from public.pg_cron_secrets where secret = %s", [TOKEN])
    if store == "vault":
        rows(mixed, "insert into autosync.setting (name, value) values ('secrets', '{\"store\": \"vault\"}')")
        rows(mixed, "select autosync.put_secret(s.name, s.secret) from public.pg_cron_secrets as s")
        rows(mixed, "select autosync.put_secret('service_role_key', 'ours')")
        rows(mixed, "select autosync.put_secret('extra', 'ours, too')")
        rows(mixed, "delete from public.pg_cron_secrets")
    else:
        rows(mixed, "insert into public.pg_cron_secrets values ('extra', 'ours, too')")

    done = gone(mixed)
    jobs = {name: (text, active) for name, text, active in rows(mixed, "select jobname, command, active from cron.job")}
    assert jobs["cleanup"] == (THEIRS, True)
    text, is_active = jobs["partner"]
    assert is_active
    assert TOKEN not in text
    assert sorted(jobs) == ["cleanup", "partner"]
    # the secret is where the text reads it, and nothing else of ours is
    reading = re.findall(r"\(select (s\.secret|v\.decrypted_secret) (from .*?)\)", text)[0]
    assert rows(mixed, "select {} {}".format(*reading)) == [(TOKEN,)]
    assert ("secret", "extra") in named(done["removed"])
    assert ("job", "cleanup") in named(done["stays"])
    in_vault = rows(mixed, "select name, description from vault.secrets order by 1")
    assert ("service_role_key", "the application's") in in_vault
    if store == "table":
        assert rows(mixed, "select name from public.pg_cron_secrets") == [(secret,)]
        assert in_vault == [("service_role_key", "the application's")]
    else:
        assert rows(mixed, "select to_regclass('public.pg_cron_secrets')") == [(None,)]
        assert {name for name, _ in in_vault} == {"service_role_key", secret}
        assert not [name for name, description in in_vault if description.startswith("autosync-db")]
    left = [line for line in state(mixed) if line not in before and "pg_cron_secrets" not in line]
    assert [line for line in left if "autosync." in line or "auto_sync" in line] == []
    assert "nothing to do" in command.succeeds(run(mixed, "teardown")).err


def test_what_somebody_made_on_ours_is_named_and_nothing_is_changed(blank: Cluster) -> None:
    migrate.upgrade(blank.url())
    made = {
        "view public.of_schedules": "create view public.of_schedules as select id from public.auto_sync_schedules",
        "constraint notes_schedule_id_fkey on table public.notes": "create table public.notes (schedule_id uuid"
        " references public.auto_sync_schedules (id))",
        "view public.of_ledger": "create view public.of_ledger as select count(*) from autosync.tick",
        "function public.of_rows(public.pg_cron_secrets)": "create function public.of_rows(public.pg_cron_secrets)"
        " returns int language sql as 'select 1'",
        "trigger theirs on table public.others": "create table public.others (updated_at timestamptz);"
        " create trigger theirs before update on public.others for each row execute function autosync.touch_secret()",
        "the job monitor": f"select cron.schedule('monitor', '{RARELY}', 'select count(*) from autosync.tick')",
        "the job reader": f"select cron.schedule('reader', '{RARELY}', 'select secret from public.pg_cron_secrets')",
    }
    for statement in made.values():
        with clusters.connect(blank) as owner:
            owner.execute(statement.encode())
    before = state(blank)
    for arguments in (("--yes",), ("--dry-run",), ("--yes", "--keep-data")):
        result = run(blank, "teardown", *arguments)
        assert result.code == 5
        kept = {"view public.of_schedules", "constraint notes_schedule_id_fkey on table public.notes"}
        for name in made.keys() - (kept if "--keep-data" in arguments else set()):
            assert name in result.errors[0], name
    document = run(blank, "teardown", "--dry-run", "--format", "json").json()
    assert named(document["refused"]) == {
        ("job" if name.startswith("the job") else "dependent", name.removeprefix("the job ")) for name in made
    }
    # the same way back, without a look beforehand
    refused = command.refused(run(blank, "rollback", "base", "--yes"), 5)
    assert "trigger theirs on table public.others" in refused
    assert "depends on" in refused
    assert state(blank) == before


@pytest.mark.long
def test_another_roles_job_of_ours_is_refused_and_one_that_only_has_the_name_is_left(blank: Cluster) -> None:
    migrate.upgrade(blank.url())
    rows(blank, "insert into autosync.job (name, function, schedule) values ('taken', 'x', '0 0 1 1 *')")
    rows(blank, "select cron.schedule('taken', %s, %s)", [RARELY, THEIRS])
    with clusters.connect(blank, "supabase_admin") as admin:
        admin.execute("select cron.schedule('auto-sync-cron-job', '0 0 1 1 *', 'select autosync.dispatch()')")
        refused = command.refused(run(blank, "teardown", "--yes"), 5)
        assert "the job auto-sync-cron-job: it belongs to the role supabase_admin" in refused
        admin.execute("select cron.unschedule(jobid) from cron.job where username = 'supabase_admin'")
    done = gone(blank)
    assert ("job", "taken") in named(done["stays"])
    assert rows(blank, "select jobname, command from cron.job") == [("taken", THEIRS)]


DRIFT = {
    "a table of the ledger is gone": "drop table autosync.invocation",
    "the registry is gone": "drop table autosync.job cascade",
    "whom to notify is gone": "drop table autosync.alert_receiver cascade",
    "the messages are gone": "drop table autosync.alert",
    "settings are gone": "drop table autosync.setting",
    "the secrets' table is gone": "drop table public.pg_cron_secrets",
    "the schedules' table is gone": "drop table public.auto_sync_schedules cascade",
    "a function is edited": "create or replace function autosync.dispatch() returns bigint language sql"
    " as 'select 1::bigint'",
    "a function is gone": "drop function autosync.keep_house()",
    "the trigger is gone": "drop trigger auto_sync_schedules_next_run_at on public.auto_sync_schedules",
    "the jobs are gone": "select cron.unschedule(jobid) from cron.job",
    "a twin calls": "select cron.schedule('0 0 1 1 *', 'select autosync.dispatch()')",
    "the extension is gone": "drop extension pg_cron",
    "the record of objects is empty": "delete from autosync.object",
    "the record of the revision is gone": "drop table autosync.alembic_version",
}


@pytest.mark.long
def test_a_database_that_drifted_and_one_that_was_installed_in_part_are_emptied(blank: Cluster) -> None:
    clean = state(blank)
    with cases.collected() as case:
        for name, statement in DRIFT.items():
            with case(name):
                migrate.upgrade(blank.url())
                rows(blank, statement)
                gone(blank)
                rows(blank, "drop extension if exists pg_cron; drop extension if exists pg_net")
                assert state(blank) == clean
        for revision in revisions.known():
            with case(revision):
                migrate.upgrade(blank.url(), revision)
                gone(blank, "--drop-extensions")
                assert state(blank) == clean
        with case("after a rollback"):
            migrate.upgrade(blank.url())
            migrate.downgrade(blank.url(), "base", drop_rows=True)
            assert named(gone(blank)["removed"]) == {("schema", "autosync")}


@pytest.mark.long
def test_what_is_not_ours_in_the_schema_stays_and_so_does_the_schema(blank: Cluster) -> None:
    migrate.upgrade(blank.url())
    rows(blank, "create table autosync.notes (id int)")
    done = gone(blank)
    assert {("table", "autosync.notes")} <= named(done["stays"])
    left = "select relname from pg_class where relnamespace = 'autosync'::regnamespace"
    assert rows(blank, left) == [("notes",)]
    assert ("table", "autosync.notes") in named(command.succeeds(
        run(blank, "teardown", "--format", "json")).json()["stays"])  # fmt: skip


@pytest.mark.long
def test_an_unfinished_rotation_that_the_platform_knows_of_is_not_forgotten(blank: Cluster) -> None:
    migrate.upgrade(blank.url())
    rows(
        blank,
        "insert into autosync.key_rotation (made, subject, project_ref, token, lease_expires_at)"
        " values ('autosync_x', 'service_role_key', 'abcdefghijklmnopqrst', gen_random_uuid(), now())",
    )
    before = state(blank)
    refuse = (
        ("teardown", "--dry-run"),
        ("teardown", "--yes"),
        ("rollback", "base", "--yes"),
        ("rollback", "0005", "--yes"),
    )
    for words in refuse:
        refused = command.run(*words, "-q", database=blank.url())
        assert "autosync_x" in command.refused(refused, 5)
        assert "rotate --resume" in refused.hints[0]
        assert state(blank) == before
    # going back to where the journal is kept forgets nothing
    command.succeeds(command.run("rollback", "0007", "--dry-run", database=blank.url()))
    # nor is an ordinary rotation forgotten: the key that it replaced is nowhere else
    rows(blank, "delete from autosync.key_rotation")
    with clusters.connect(blank) as owner:
        store.store(owner, {"service_role_key": keys.secret()})
        begun = lease.begin(owner, {"service_role_key": keys.secret()})
        assert begun
        refused = command.run("teardown", "--yes", "-q", database=blank.url())
        assert "is under way since" in command.refused(refused, 5)
        lease.release(owner, begun.token)
    refused = command.run("rollback", "0005", "--yes", "-q", database=blank.url())
    assert "is not finished" in command.refused(refused, 5)
    # as the hint says, or without a call
    command.succeeds(command.run("rotate", "--abort", database=blank.url()))
    command.succeeds(command.run("rollback", "0005", "--yes", database=blank.url()))


@pytest.mark.long
def test_receivers_of_alerts_are_rows_that_a_rollback_deletes_only_by_consent(blank: Cluster) -> None:
    migrate.upgrade(blank.url())
    given = command.run("alerts", "set", "slack", "--from-file", "-", database=blank.url(), stdin="https://h.example/x")
    command.succeeds(given)
    refused = command.run("rollback", "0007", "-q", database=blank.url())
    assert "autosync.alert_receiver" in command.refused(refused, 5)
    command.succeeds(command.run("rollback", "0007", "--yes", database=blank.url()))


def test_killed_at_the_end_nothing_has_changed_and_the_next_run_ends_it(
    blank: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = state(blank)
    migrate.upgrade(blank.url())
    before = state(blank)
    finish = teardown._finish

    def killed(connection: Any, there: belongings.Belongings) -> Any:
        left = finish(connection, there)
        with clusters.connect(blank, "supabase_admin") as admin:
            admin.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
        connection.execute("select 1")
        return left

    monkeypatch.setattr(teardown, "_finish", killed)
    command.refused(run(blank, "teardown", "--yes", "--drop-extensions"), 4)
    assert state(blank) == before
    monkeypatch.setattr(teardown, "_finish", finish)

    # what came since the question was answered is not taken along
    configuration = config.load(config.Flags(blank.url(), None, None))
    agreed = teardown.foresee(configuration)
    rows(blank, "insert into public.pg_cron_secrets values ('late', 'x')")
    with pytest.raises(MigrationError, match="the secret late was added in the meantime"):
        teardown.run(configuration, agreed)
    gone(blank, "--drop-extensions")
    assert state(blank) == clean


def test_setup_that_looked_before_it_makes_no_part_of_it_again(blank: Cluster) -> None:
    migrate.upgrade(blank.url())
    configuration = config.load(config.Flags(blank.url(), None, None))
    with clusters.connect(blank) as owner:
        secrets = {store.PROJECT_URL: Secret("http://127.0.0.1:9"), store.SERVICE_KEY: keys.secret()}
        store.store(owner, secrets)
    left: list[str] = []

    def tear_down(said: str) -> None:
        if said == "migrating":
            gone(blank)
            left.extend(state(blank))

    with pytest.raises(ConflictError, match="torn down while this command was at work; nothing was changed"):
        setup.run(configuration, Given(), Reporter(lambda step: None, tear_down))
    assert left
    assert state(blank) == left


@pytest.mark.long
def test_kept_schedules_are_there_for_the_next_setup(blank: Cluster) -> None:
    migrate.upgrade(blank.url())
    rows(blank, SCHEDULE, IDS)
    rows(blank, "update public.auto_sync_schedules set timezone = 'Europe/Paris', enabled = true")
    rows(blank, "insert into public.pg_cron_secrets values ('project_url', 'https://x.example')")
    kept = "select id, timezone, enabled, next_run_at from public.auto_sync_schedules"
    before = rows(blank, kept)
    done = gone(blank, "--keep-data")
    assert done["warnings"] == []
    assert ("table", "public.auto_sync_schedules") in named(done["stays"])
    assert rows(blank, kept) == before
    assert rows(blank, "select to_regclass('public.pg_cron_secrets'), to_regnamespace('autosync')") == [(None, None)]
    # nobody is let in who was not before
    assert rows(blank, "select has_table_privilege('anon', 'public.auto_sync_schedules', 'select'), relrowsecurity"
                " from pg_class where relname = 'auto_sync_schedules'") == [(False, True)]  # fmt: skip
    rows(blank, "update public.auto_sync_schedules set frequency_minutes = 30")
    assert command.succeeds(run(blank, "migrate", "--dry-run")).code == 0
    migrate.upgrade(blank.url())
    assert rows(blank, kept) == before
    assert command.succeeds(run(blank, "migrate", "--check")).code == 0


@pytest.mark.long
def test_exported_files_stay_and_it_is_said_what_to_do_with_them(blank: Cluster) -> None:
    command.succeeds(run(blank, "export", "supabase"))
    command.succeeds(run(blank, "export", "supabase", "--schemas"))
    files = sorted(Path("supabase").rglob("*.sql"))
    migrate.upgrade(blank.url())
    stays = {item["name"].rpartition("/")[2]: item["detail"] for item in gone(blank)["stays"] if item["kind"] == "file"}
    version = min(path.name for path in Path("supabase/migrations").iterdir()).partition("_")[0]
    assert f"supabase migration repair --status reverted {version}" in stays["migrations"]
    assert "delete them" in stays["schemas"]
    assert sorted(Path("supabase").rglob("*.sql")) == files

    # a database that the schema files made, and nobody has set up
    for path in sorted(Path("supabase/schemas").iterdir()):
        rows(blank, path.read_text())
    done = gone(blank)
    assert {("schema", "autosync"), ("job", "auto-sync-cron-job")} <= named(done["removed"])
    assert {("table", "public.auto_sync_schedules"), ("table", "public.pg_cron_secrets")} <= named(done["stays"])
    assert rows(blank, "select to_regnamespace('autosync'), count(*) from cron.job") == [(None, 0)]
