"""`teardown`: what was made here goes, what was there before is back, and nothing of anybody else's is touched."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autosync_db import config
from autosync_db.errors import MigrationError
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate, revisions
from autosync_db.setup import belongings, teardown
from tests.support import cases, clusters, command, handmade
from tests.support.command import Result
from tests.support.http_stub import Stub

VAULT = (Path(__file__).parents[1] / "support" / "vault.sql").read_text()
RARELY = "59 23 31 12 *"
TOKEN = "t0ken-of-nobody-in-particular"
THEIRS = "select 'a job of theirs'"
SCHEDULE = "insert into public.auto_sync_schedules (integration_id, organization_id) values (%s, %s)"
IDS = ["00000000-0000-4000-8000-00000000c014", "00000000-0000-4000-8000-00000000b001"]


def state(cluster: Cluster) -> list[str]:
    """Return the whole schema as pg_dump shows it, sorted as the order of grants means nothing; jobs; the vault."""
    done = subprocess.run(
        [str(cluster.installation.bin / "pg_dump"), "--schema-only"],
        env={"PATH": os.environ["PATH"], **cluster.environment("supabase_admin")},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    dump = re.sub(r"^(--.*|\\(un)?restrict .*|)\n", "", done.stdout, flags=re.MULTILINE)
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
    return command.succeeds(run(cluster, "teardown", "--yes", "--format", "json", *arguments)).json()


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
    assert details["public.auto_sync_schedules"] == "with 1 rows and what was added to it: column notes"
    assert "1 ticks" in details["autosync"]
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
    assert rows(blank, "select name from public.pg_cron_secrets order by 1") == [("project_url",), ("service_role_key",)]
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
