"""Declarative files: a database that is built from them and a set-up one are the same to the Supabase CLI."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pglast
import psycopg
import pytest

from autosync_db import config
from autosync_db.config import Settings
from autosync_db.errors import MigrationError
from autosync_db.jobs import plan, scheduled, undeclared
from autosync_db.local.cluster import Cluster
from autosync_db.schema import declarative, migrate
from autosync_db.supabase.key import LOOKS_SECRET
from tests.schema import catalog
from tests.schema.export import conftest as exported
from tests.schema.export import tables
from tests.support import clusters, command, handmade, keys

SCHEMAS = Path("supabase/schemas")
PENDING, USAGE = 5, 2
JOBS = """
[jobs.auto-sync-cron-job]
function = "auto-sync-cron"
schedule = "*/2 * * * *"
drains = "auto_sync_schedules"

[jobs.daily-report]
function = "daily-report"
schedule = "0 6 * * *"
enabled = false

[jobs.nightly-cleanup]
sql = "delete from public.organizations where name = 'it''s over'"
schedule = "0 3 * * *"

[jobs.digest]
watch = true
"""
ORGANIZATION = '[isolation]\nmode = "organization"\n'
CUSTOM = '[isolation]\nmode = "custom"\n'
POLICY = """
create policy mine on public.auto_sync_schedules for select to authenticated using (true);
grant select on public.auto_sync_schedules to authenticated;
"""
OWNER = '[isolation]\nmode = "owner"\nintegration_table = "public.things"\nowner_column = "organization_id"\n'
# what a project declares in files of its own, which are read before ours
OWN = """
create table public.organizations (id uuid primary key, name text not null);
create table public.users (id uuid primary key, organization_id uuid not null references public.organizations (id));
create table public.device_integrations (id uuid primary key, organization_id uuid not null);
create table public.things (id uuid primary key, organization_id uuid not null);
grant select on public.users, public.device_integrations, public.things to authenticated;
"""
Changes = Callable[[Cluster, Cluster], list[str]]


def settings(text: str = "") -> Settings:
    """Write autosync.toml and return what it says."""
    Path("autosync.toml").write_text(text)
    return config.load(config.Flags()).settings


def write(text: str = "") -> Settings:
    """Export the files for these settings, which are returned."""
    found = settings(text)
    declarative.plan(SCHEMAS, found).write()
    return found


def paths() -> list[Path]:
    """Return the files that are there, in the order in which they are read."""
    return sorted(SCHEMAS.glob("*.sql"))


def states() -> list[str]:
    """Return the state of each file for the settings that are there."""
    return [str(file.state) for file in declarative.plan(SCHEMAS, config.load(config.Flags()).settings).files]


def build(cluster: Cluster, *files: Path) -> None:
    """Make what the files say, each in a transaction, as the engine does; rows that remained would be data."""
    with clusters.connect(cluster) as connection:
        connection.execute("set check_function_bodies = off")
        for path in files or paths():
            with connection.transaction():
                connection.execute(path.read_bytes())


def set_up(cluster: Cluster, wanted: Settings, own: str = "") -> None:
    """Make the project's own tables, and of the rest what `setup` makes."""
    with clusters.connect(cluster) as connection:
        connection.execute(own.encode() or b"select")
    isolation = wanted.isolation if "mode" in wanted.isolation.model_fields_set else None
    migrate.upgrade(cluster.url(), isolation=isolation)
    with clusters.connect(cluster) as connection:
        plan.apply(connection, wanted)


@pytest.fixture
def changes(supabase: Path, tmp_path: Path) -> Changes:
    """Return the statements of `supabase db diff` from one database to another."""

    def run(before: Cluster, after: Cluster) -> list[str]:
        written = tmp_path / "diff.sql"
        written.unlink(missing_ok=True)
        done = subprocess.run(
            [str(supabase), "db", "diff", "--experimental", "--agent", "no",
             "--from", before.url().reveal(), "--to", after.url().reveal(), "--output", str(written)],
            cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SUPABASE_TELEMETRY_DISABLED": "1"},
            check=False, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        text = written.read_text() if written.exists() else ""
        return [part for part in pglast.split(text) if not part.lower().startswith("set local ")]

    return run


class TestFiles:
    """What is written when, what is reported, and what never stands in the files."""

    def test_files_are_written_once_and_again_when_the_settings_change(self) -> None:
        write()
        assert len(paths()) == 6
        assert set(states()) == {"current"}
        before = {path: path.stat().st_mtime_ns for path in paths()}
        write()
        assert {path: path.stat().st_mtime_ns for path in paths()} == before
        settings(JOBS + ORGANIZATION)
        assert states() == ["current", "current", "current", "current", "outdated", "outdated"]
        write(JOBS + ORGANIZATION)
        assert set(states()) == {"current"}
        jobs = paths()[-1].read_text()
        assert "select cron.schedule('auto-sync-cron-job', '*/2 * * * *', 'select autosync.dispatch()');" in jobs
        assert "current_database(), null, false" in jobs  # the one that the file disables
        assert "digest" not in jobs

    @pytest.mark.parametrize("length", [0, 5, 60, 120, 400, -40])
    def test_a_file_that_was_cut_short_is_written_again(self, length: int) -> None:
        write()
        path, whole = paths()[1], paths()[1].read_text()
        path.write_text(whole[:length])
        assert states()[1] == "cut"
        check = command.run("export", "supabase", "--schemas", "--check", "--format", "json")
        assert (check.code, check.json()["cut"]) == (PENDING, [str(path)])
        assert "its end was missing" in command.succeeds(command.run("export", "supabase", "--schemas")).err
        assert path.read_text() == whole

    @pytest.mark.parametrize(
        "edit",
        [
            lambda text: text.replace("not null", "", 1),
            lambda text: text + "create table public.mine ();\n",
            lambda text: "create table public.mine ();\n",
        ],
    )
    def test_an_edited_file_is_kept_and_nothing_is_written(self, edit: Callable[[str], str]) -> None:
        write()
        paths()[1].write_text(edit(paths()[1].read_text()))
        paths()[5].unlink()
        text = paths()[1].read_text()
        for flags in ((), ("--check",)):
            refused = command.run("export", "supabase", "--schemas", *flags)
            assert refused.code == PENDING
            assert f"{paths()[1]} was edited" in refused.err
        assert paths()[1].read_text() == text
        assert len(paths()) == 5

    def test_a_checkout_with_other_line_breaks_is_no_edit(self) -> None:
        write()
        for path in paths():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        assert set(states()) == {"current"}

    def test_the_folder_can_be_chosen_and_what_is_not_understood_is_refused(self) -> None:
        check = command.run("export", "supabase", "--schemas", "db/schemas", "--check")
        assert (check.code, check.hints) == (PENDING, ["run: autosync-db export supabase --schemas db/schemas"])
        assert not Path("db").exists()
        written = command.succeeds(command.run("export", "supabase", "--schemas", "db/schemas", "--format", "json"))
        assert written.json()["written"] == [str(path) for path in sorted(Path("db/schemas").iterdir())]
        assert command.run("export", "supabase", "db/schemas").code == USAGE
        assert command.run("export", "supabase", "--schemas", "--dir", "db").code == USAGE

    def test_a_tree_that_the_cli_generated_is_not_doubled(self) -> None:
        made = SCHEMAS / "autosync/tables/job.sql"
        made.parent.mkdir(parents=True)
        made.write_text('CREATE TABLE "autosync"."job" (\n  "id" integer\n);\n')
        refused = command.run("export", "supabase", "--schemas")
        assert refused.code == USAGE
        assert "generate" in refused.hints[0]
        made.write_text("-- create table autosync.job is elsewhere\ncreate table public.job (id integer);\n")
        command.succeeds(command.run("export", "supabase", "--schemas"))

    def test_no_secret_gets_into_a_file_and_the_scan_reads_the_folder(self) -> None:
        key = keys.legacy()
        variables = {"SUPABASE_SERVICE_ROLE_KEY": key.reveal()}
        done = command.succeeds(command.run("export", "supabase", "--schemas", variables=variables))
        for text in (done.err, *(path.read_text() for path in paths())):
            assert key.reveal() not in text
            assert not LOOKS_SECRET.search(text)
        command.succeeds(command.run("secrets", "scan"))
        (SCHEMAS / "theirs.sql").write_text(f"select cron.schedule('x', '* * * * *', '{key.reveal()}');\n")
        found = command.run("secrets", "scan", "--format", "json")
        assert [one["path"] for one in found.json()["findings"]] == [str(SCHEMAS / "theirs.sql")]


class TestSchemasWithoutUs:
    """A project whose files would unschedule the jobs is warned."""

    def test_the_hint_names_what_the_next_diff_would_do(self) -> None:
        SCHEMAS.mkdir(parents=True)
        (SCHEMAS / "theirs.sql").write_text("create table public.theirs (id integer);\n")
        said = command.succeeds(command.run("export", "supabase")).err
        assert "would drop the schema autosync and unschedule auto-sync-cron-job, autosync-keep-house" in said
        command.succeeds(command.run("export", "supabase", "--schemas"))
        assert "would" not in command.succeeds(command.run("export", "supabase")).err
        settings(JOBS)
        lacking = undeclared.look(config.load(config.Flags()))
        assert lacking is not None
        assert (lacking.schema, lacking.jobs) == (False, ("daily-report", "nightly-cleanup"))
        write(JOBS)
        assert undeclared.look(config.load(config.Flags())) is None
        Path("supabase/config.toml").write_text("schema_paths = [")
        assert "could not be read" in command.succeeds(command.run("export", "supabase")).err

    def test_plan_warns_and_says_so_to_programs(self, shared: Cluster) -> None:
        variables = {"AUTOSYNC_DATABASE_URL": shared.url().reveal()}
        assert command.run("plan", "--format", "json", variables=variables).json()["undeclared"] is None
        SCHEMAS.mkdir(parents=True)
        (SCHEMAS / "theirs.sql").write_text("-- autosync, auto-sync-cron-job\ncreate table public.theirs ();\n")
        warned = command.succeeds(command.run("plan", "--format", "json", variables=variables))
        found: dict[str, Any] = warned.json()["undeclared"]
        assert (found["schema"], found["jobs"]) == (True, ["auto-sync-cron-job", "autosync-keep-house"])
        assert "the next `supabase db diff` would drop the schema autosync" in warned.err


@pytest.mark.parametrize(
    "text",
    [
        "",
        JOBS,
        '[job]\nname = "mine"\nschedule = "0 6 * * *"\n',
        '[job]\nschedule = "*/7 * * * *"\n[job.retry]\nattempts = 3\n',
        '[jobs.a]\nfunction = "a"\nschedule = "*/1 * * * *"\n',
        '[jobs.a]\nfunction = "a"\nschedule = "*/3 * * * *"\nenabled = false\n'
        '[jobs.b]\nfunction = "b"\nschedule = "5-9 * * * *"\n',
        "[jobs.a]\nsql = \"select 'it''s'\"\nschedule = \"* * * * *\"\n",
        '[jobs.a]\nfunction = "a"\nschedule = "0,30 4 * * *"\nreports_within = "15m"\n',
    ],
)
def test_the_jobs_are_those_that_setup_schedules(text: str, transaction: psycopg.Connection[Any]) -> None:
    wanted = settings(text)
    jobs = "select jobname, schedule, command, database, active from cron.job order by jobname"
    transaction.execute("delete from autosync.job where name <> 'autosync-keep-house'")
    transaction.execute("select cron.unschedule(jobid) from cron.job")
    plan.apply(transaction, wanted)
    transaction.execute("select autosync.sync_job('autosync-keep-house')")
    made = catalog.rows(transaction, jobs)
    transaction.execute("select cron.unschedule(jobid) from cron.job")
    for statement in scheduled.statements(wanted):
        transaction.execute(statement.encode())
    assert catalog.rows(transaction, jobs) == made


class TestBuiltFromFiles:
    """What migrate and the exported migrations make of a database that has the schema and no rows."""

    @pytest.fixture
    def fresh(self, migrated_template: Cluster) -> Iterator[str]:
        """What `migrate` makes of an empty database."""
        with clusters.cloned(migrated_template) as copy:
            yield catalog.snapshot(copy)

    @pytest.mark.parametrize("way", ["migrate", pytest.param("push", marks=pytest.mark.long)])
    def test_it_becomes_as_migrate_makes_an_empty_one(self, blank: Cluster, fresh: str, way: str) -> None:
        write()
        build(blank)
        with clusters.connect(blank) as connection:
            # somebody was quicker than setup, and that row is kept
            connection.execute("insert into public.auto_sync_schedules (integration_id) values (gen_random_uuid())")
        planned = migrate.plan(blank.url())
        assert planned.refusals == []
        assert [note.object for note in planned.adoption if note.action == "replace"][:1] == ["schema autosync"]
        if way == "migrate":
            migrate.upgrade(blank.url())
        else:
            exported.write()
            exported.apply(blank)
        assert catalog.snapshot(blank) == fresh
        assert migrate.plan(blank.url()).is_current
        with clusters.connect(blank) as connection:
            rows = "select count(*), count(next_run_at) from public.auto_sync_schedules"
            assert connection.execute(rows).fetchone() == (1, 0)

    def test_what_somebody_made_on_our_tables_is_not_dropped(self, blank: Cluster) -> None:
        write()
        build(blank)
        with clusters.connect(blank) as connection:
            connection.execute("create view public.calls as select * from autosync.invocation")
        with pytest.raises(MigrationError, match=r"view public\.calls depends on table autosync\.invocation"):
            migrate.upgrade(blank.url())
        with clusters.connect(blank) as connection:
            assert connection.execute("select count(*) from public.calls").fetchone() == (0,)

    def test_a_schema_autosync_of_somebody_else_is_still_refused(self, blank: Cluster) -> None:
        with clusters.connect(blank) as connection:
            connection.execute("create schema autosync; create table autosync.job (id integer)")
        assert [note.object for note in migrate.plan(blank.url()).refusals] == ["schema autosync"]


class TestTheCli:
    """What only the real engine can show: no difference, whichever way it looks."""

    @pytest.mark.parametrize(
        ("text", "own", "later"),
        [
            pytest.param("", "", "", marks=pytest.mark.long),
            pytest.param(JOBS + ORGANIZATION, OWN, "", marks=pytest.mark.long),
            pytest.param(OWNER, OWN, "", marks=pytest.mark.long),
            pytest.param(CUSTOM, "", POLICY, marks=pytest.mark.long),
        ],
        ids=["empty", "jobs-and-organizations", "owner", "custom"],
    )
    def test_a_set_up_database_is_as_the_files_say(
        self, blank: Cluster, blank_template: Cluster, changes: Changes, text: str, own: str, later: str
    ) -> None:
        wanted = write(text)
        theirs = SCHEMAS / "public.sql"
        theirs.write_text(own or "select 1;\n")
        (SCHEMAS / "zzz_policies.sql").write_text(later or "select 1;\n")
        build(blank)
        with clusters.cloned(blank_template) as other:
            set_up(other, wanted, own)
            # nothing changes a second time, but for policies of the project's own, before which ours give way
            set_up(other, wanted, later)
            assert changes(blank, other) == []
            assert changes(other, blank) == []
            if not text:
                # near-miss: the engine does see a job that only one of them has
                with clusters.connect(blank) as connection:
                    connection.execute("select cron.unschedule('autosync-keep-house')")
                assert ["unschedule" in part for part in changes(other, blank)] == [True]

    @pytest.mark.long
    def test_exported_migrations_and_files_are_the_same_to_it(
        self, blank: Cluster, blank_template: Cluster, changes: Changes
    ) -> None:
        write()
        build(blank)
        with clusters.cloned(blank_template) as other:
            exported.write()
            exported.apply(other)
            assert changes(blank, other) == []
            assert changes(other, blank) == []

    @pytest.mark.long
    def test_what_it_generates_of_a_set_up_database_without_rows_is_finished_by_migrate(
        self, blank: Cluster, blank_template: Cluster, migrated_template: Cluster, changes: Changes
    ) -> None:
        """A project with schemas alone: `sync` writes the migration from nothing to the files."""
        write()
        with clusters.cloned(blank_template) as declared, clusters.cloned(migrated_template) as wanted:
            build(declared)
            with clusters.connect(blank) as connection:
                # hosted databases have it there by themselves; the generated statement names no schema
                connection.execute("create extension pg_cron with schema pg_catalog")
            script = ";\n".join(changes(blank, declared))
            with clusters.connect(blank) as connection:
                connection.execute("set check_function_bodies = off")
                connection.execute(script.encode())
            migrate.upgrade(blank.url())
            assert changes(blank, wanted) == []
            assert changes(wanted, blank) == []

    @pytest.mark.long
    def test_an_adopted_project_is_as_its_generated_tree_says(
        self, blank: Cluster, blank_template: Cluster, changes: Changes, supabase: Path, tmp_path: Path
    ) -> None:
        handmade.deploy(blank)
        migrate.upgrade(blank.url())
        made = tmp_path / "made"
        subprocess.run(
            [str(supabase), "db", "schema", "declarative", "generate", "--experimental", "--agent", "no", "--yes",
             f"--remote={blank.url().reveal()}", "--output-dir", str(made)],
            cwd=tmp_path, check=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SUPABASE_TELEMETRY_DISABLED": "1"},
        )  # fmt: skip
        order = json.loads((made / ".pgdelta-export.json").read_text())["loadOrder"]
        # what a hosted database brings itself, and only its owner may change
        given = {"public/schema.sql", "_cluster/extensions/pg_cron.sql"}
        waiting = [made / name for name in order if name not in given]
        with clusters.cloned(blank_template) as other:
            with clusters.connect(other, "supabase_admin") as admin:
                admin.execute("create table auth.users (id uuid primary key); grant all on auth.users to postgres")
            with clusters.connect(other) as connection:
                connection.execute("create extension pg_cron with schema pg_catalog; set check_function_bodies = off")
                while waiting:
                    waiting = [path for path in waiting if not _loads(connection, path)]
            assert changes(blank, other) == []
            assert changes(other, blank) == []

    @pytest.mark.long
    def test_the_tables_are_as_it_describes_them(self, migrated_template: Cluster) -> None:
        with clusters.cloned(migrated_template) as copy:
            assert tables.WRITTEN.read_text() == tables.written(copy), "run: python -m tests.schema.export.tables"


def _loads(connection: psycopg.Connection[Any], path: Path) -> bool:
    try:
        with connection.transaction():
            connection.execute(path.read_bytes())
    except (psycopg.errors.UndefinedObject, psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction,
            psycopg.errors.InvalidSchemaName):  # fmt: skip
        return False
    return True
