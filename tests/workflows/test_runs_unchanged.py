"""`scaffold workflow` after `init`: for each event GitHub's machine runs it, unchanged, against a real database."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from autosync_db import __version__
from autosync_db.local.cluster import Cluster
from autosync_db.schema import revisions
from autosync_db.secret import Secret
from tests.support import clusters, command, keys
from tests.support.http_stub import Stub
from tests.workflows.conftest import Runner
from tests.workflows.github import Event, Job, Machine

PULL_REQUEST, PUSH = Event("pull_request"), Event("push")
HOURLY, DAILY = Event("schedule", "23 * * * *"), Event("schedule", "47 4 * * *")


@pytest.fixture
def machine(runner: Runner, tmp_path: Path) -> Machine:
    """GitHub's machine for a repository whose folder is the current one."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    runner.install("pipx", f"[ \"$*\" = 'install autosync-db=={__version__}' ]")
    runner.install("gh", f'printf "%s\\n" "$*" >> {temporary}/gh')
    Path(".git").mkdir()
    return Machine(Path.cwd(), runner.programs, temporary)


def init(stub: Stub, *, more: str = "") -> None:
    """Write autosync.toml as `init` does, for a project that is here."""
    command.succeeds(command.run("init"))
    path = Path("autosync.toml")
    url = f'project_url = "{stub.url}"'
    path.write_text(path.read_text().replace('# project_ref = "the 20 letters of the project\'s address"', url) + more)
    assert url in path.read_text()


def scaffolded(*options: str) -> dict[str, Any]:
    """Run `scaffold workflow` and return what it wrote."""
    done = command.succeeds(command.run("scaffold", "workflow", "--format", "json", *options)).json()
    found: dict[str, Any] = yaml.safe_load(Path(done["written"][0]).read_text(encoding="utf-8"))
    return found


@contextmanager
def ticking(cluster: Cluster) -> Iterator[None]:
    """Make the ticks that pg_cron would make in minutes."""
    ended = threading.Event()

    def tick() -> None:
        with clusters.connect(cluster) as connection:
            while not ended.wait(0.5):
                is_set_up = "select to_regclass('autosync.job') is not null"
                if connection.execute(is_set_up.encode()).fetchone() == (True,):
                    # one after the other: a tick is waited for until it has settled, and only the newest one
                    connection.execute(
                        "select autosync.dispatch(j.name) from autosync.job as j where j.function is not null"
                        " and (select count(*) from public.pg_cron_secrets) > 1 and not exists (select from"
                        " autosync.recent_outcomes(j.name, 5) as o where o.cause = 'pending')"
                    )

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def results(jobs: dict[str, Job]) -> dict[str, str]:
    """Return the result of each job that was run."""
    return {name: job.result for name, job in jobs.items() if job.result != "skipped"}


def logs(jobs: dict[str, Job]) -> str:
    """Return all that was printed."""
    return "\n".join(f"== {name}\n{job.log}{job.summary}" for name, job in jobs.items())


@pytest.mark.long
@pytest.mark.timeout(900)  # some twenty processes, one after the other
def test_after_init_it_runs_unchanged_from_an_empty_database_to_a_healthy_one(
    blank: Cluster, stub: Stub, machine: Machine, runner: Runner
) -> None:
    init(stub)
    calls = runner.records_calls()
    workflow = scaffolded()
    key = keys.secret()
    machine.secrets = {"SUPABASE_DB_URL": blank.url().reveal(), "SUPABASE_SERVICE_ROLE_KEY": key.reveal()}

    asked = machine.run(workflow, PULL_REQUEST)
    assert results(asked) == dict.fromkeys(("scan", "check", "preview"), "success"), logs(asked)
    assert "revision  0001" in asked["check"].summary
    assert "auto-sync-cron-job  create" in asked["check"].summary
    assert "::notice title=autosync-db plan::" in asked["check"].log
    with clusters.connect(blank) as connection:
        assert connection.execute("select to_regnamespace('autosync')").fetchone() == (None,), "a look changes nothing"

    with clusters.pg_net_worker(blank), ticking(blank):
        pushed = machine.run(workflow, PUSH)
    assert results(pushed) == dict.fromkeys(("scan", "migrate", "verify", "audit", "alert"), "success"), logs(pushed)
    assert stub.requests[0].headers["apikey"] == key.reveal()
    assert "## autosync-db verify: ok" in pushed["verify"].summary
    assert len(machine.uploads) == 3, "what code scanning takes: of the files twice, of the database once"

    said = logs(asked) + logs(pushed) + calls.read_text()
    for secret in (key.reveal(), blank.passwords["postgres"]):
        assert secret not in said
    assert "setup" in calls.read_text().splitlines()


@pytest.fixture
def set_up(blank: Cluster, stub: Stub, machine: Machine) -> Iterator[Secret]:
    """A project that was set up with `init` and `setup`; its key."""
    init(stub)
    key = keys.secret()
    machine.secrets = {"SUPABASE_DB_URL": blank.url().reveal()}
    variables = dict(machine.secrets) | {"SUPABASE_SERVICE_ROLE_KEY": key.reveal()}
    with clusters.pg_net_worker(blank):
        command.succeeds(command.run("setup", variables=variables))
        yield key


def stored(cluster: Cluster) -> str:
    """Return the stored key."""
    with clusters.connect(cluster) as connection:
        found = connection.execute("select secret from public.pg_cron_secrets where name = 'service_role_key'")
        (key,) = found.fetchone() or ("",)
        return str(key)


@pytest.mark.long
def test_a_push_brings_the_jobs_to_the_file_and_leaves_the_stored_key(
    blank: Cluster, set_up: Secret, machine: Machine, stub: Stub
) -> None:
    workflow = scaffolded()
    assert "::notice" not in machine.run(workflow, PULL_REQUEST)["check"].log, "nothing would change"
    # a key that was rotated since: the repository's is an old one
    machine.secrets = {**machine.secrets, "SUPABASE_SERVICE_ROLE_KEY": keys.secret().reveal()}
    path = Path("autosync.toml")
    path.write_text(path.read_text().replace('"*/5 * * * *"', '"*/7 * * * *"'))
    asked = machine.run(workflow, PULL_REQUEST)
    assert asked["check"].result == "success"
    assert "*/7 * * * *" in asked["check"].summary
    with ticking(blank):
        pushed = machine.run(workflow, PUSH)
    assert set(results(pushed).values()) == {"success"}, logs(pushed)
    with clusters.connect(blank) as connection:
        assert connection.execute("select count(*) from cron.job where schedule = '*/7 * * * *'").fetchone() == (1,)
    assert stored(blank) == set_up.reveal()


@pytest.mark.long
def test_the_timer_verifies_each_hour_and_audits_each_day(
    blank: Cluster, set_up: Secret, machine: Machine, stub: Stub
) -> None:
    workflow = scaffolded()
    assert results(machine.run(workflow, HOURLY)) == {"verify": "success", "alert": "success"}
    daily = machine.run(workflow, DAILY)
    assert results(daily) == {"audit": "success"}
    assert "## autosync-db audit" in daily["audit"].summary
    # somebody else's job fails: the audit says so, and code scanning takes what it says
    with clusters.connect(blank, "supabase_admin") as connection:
        connection.execute("select cron.schedule('theirs', '0 0 1 1 *', 'select 1')")
        connection.execute(
            "insert into cron.job_run_details (jobid, status, return_message, start_time, end_time, command)"
            " select jobid, 'failed', 'ERROR: no', now(), now(), command from cron.job where jobname = 'theirs'"
        )
    machine.uploads.clear()
    assert results(machine.run(workflow, DAILY)) == {"audit": "failure"}
    [upload] = machine.uploads
    [run] = upload["runs"]
    assert run["automationDetails"]["id"] == "autosync-db/audit/production/"
    assert "audit/runs_failing" in {result["ruleId"] for result in run["results"]}
    with clusters.connect(blank) as connection:
        connection.execute("delete from public.pg_cron_secrets")
    broken = machine.run(workflow, HOURLY)
    assert results(broken) == {"verify": "failure", "alert": "success"}
    assert "::error title=secrets_present::" in broken["verify"].log


@pytest.mark.long
def test_a_pull_request_is_red_for_what_a_push_could_not_do(migrated: Cluster, stub: Stub, machine: Machine) -> None:
    init(stub)
    workflow = scaffolded()
    machine.secrets = {"SUPABASE_DB_URL": migrated.url().reveal()}

    def check() -> Job:
        return machine.run(workflow, PULL_REQUEST)["check"]

    assert check().result == "success"
    with clusters.connect(migrated, "supabase_admin") as connection:
        # a database of a newer version, which this one does not touch
        connection.execute("update autosync.alembic_version set version_num = '9999'")
        connection.commit()
        assert check().result == "failure"
        connection.execute("update autosync.alembic_version set version_num = %s", [revisions.head()])
        # a name that somebody else's cron job has: the push would be refused
        connection.execute("select cron.schedule('theirs', '0 0 1 1 *', 'select 1')")
        connection.commit()
    path = Path("autosync.toml")
    good = path.read_text()
    path.write_text(f"{good}\n[jobs.theirs]\nfunction = 'theirs'\nschedule = '0 6 * * *'\n")
    refused = check()
    assert refused.result == "failure", refused.log
    assert re.search(r"theirs +taken", refused.summary), refused.summary
    assert re.search(r"hint: take it over with: autosync-db jobs adopt .*theirs", refused.log), refused.log
    path.write_text(good.replace('"*/5 * * * *"', '"every day"'))
    assert "error: autosync.toml: jobs" in check().log.replace(f"{Path.cwd()}/", "")
    path.write_text(good)
    machine.secrets = {"SUPABASE_DB_URL": "postgresql://postgres@127.0.0.1:1/postgres"}
    assert "cannot use the database" in check().log
    machine.secrets = {}
    assert "SUPABASE_DB_URL, which is set, and empty" in check().log


@pytest.mark.long
def test_a_fork_gets_no_secret_and_its_files_are_scanned_all_the_same(machine: Machine, stub: Stub) -> None:
    init(stub)
    workflow = scaffolded()
    fork = Event("pull_request", is_of_a_fork=True)
    machine.secrets = {"SUPABASE_DB_URL": "postgresql://nowhere"}
    assert results(machine.run(workflow, fork)) == {"scan": "success"}
    Path("key.sql").write_text(f"-- {keys.secret().reveal()}\n")
    assert results(machine.run(workflow, fork)) == {"scan": "failure"}
    assert machine.uploads == [], "a fork may not write alerts"
    found = machine.run(workflow, Event("pull_request"))
    assert found["scan"].result == "failure"
    assert machine.uploads[0]["runs"][0]["results"]


@pytest.mark.long
def test_a_preview_branch_is_migrated_and_verified_where_its_address_is_given(
    blank: Cluster, stub: Stub, machine: Machine
) -> None:
    init(stub)
    workflow = scaffolded()
    machine.secrets = {"SUPABASE_BRANCH_DB_URL": blank.url().reveal(), "SUPABASE_DB_URL": "postgresql://nowhere"}
    with clusters.pg_net_worker(blank):
        first = machine.run(workflow, PULL_REQUEST)["preview"]
        assert first.result == "success", first.log
        assert "## autosync-db verify: warning" in first.summary
        assert "| warning | `secrets_present` | this database is not set up" in first.summary
        # its job has no key, and its runs fail, which is as it should be
        with clusters.connect(blank, "supabase_admin") as connection:
            connection.execute(
                "insert into cron.job_run_details (jobid, status, return_message, start_time, end_time, command)"
                " select jobid, 'failed', 'ERROR: no key', now(), now(), command from cron.job limit 1"
            )
        second = machine.run(workflow, PULL_REQUEST)["preview"]
        assert second.result == "success", second.log
        with clusters.connect(blank, "supabase_admin") as connection:
            newest = "(select max(r.runid) from cron.job_run_details as r)"
            connection.execute(f"update cron.job_run_details set runid = 900 where runid = {newest}")
        third = machine.run(workflow, PULL_REQUEST)["preview"]
        assert third.result == "failure"
        assert "cron_run_sequence_ahead" in third.log


@pytest.mark.long
def test_names_from_the_database_are_never_commands_to_github(blank: Cluster, set_up: Secret, machine: Machine) -> None:
    workflow = scaffolded()
    with clusters.connect(blank) as connection:
        for name in ("::error::owned", "a ##[error]owned", "```\n# owned", "a,title=x::owned"):
            connection.execute("select cron.schedule(%s, '0 0 1 1 *', 'select 1')", [name])
    for event in (PULL_REQUEST, DAILY, HOURLY):
        for name, job in machine.run(workflow, event).items():
            commands = [line for line in job.log.splitlines() if line.lstrip().startswith("::") or "##[" in line]
            assert not [line for line in commands if "owned" in line and not line.startswith("::warning title=")], name
            code = [line for line in job.summary.splitlines() if "owned" in line]
            assert all(line.startswith(("    |", "| ")) for line in code), (name, code)


@pytest.mark.long
@pytest.mark.parametrize("place", ["several targets", "a variable of its own", "elsewhere", "no file", "a subfolder"])
def test_whatever_the_settings_say_the_commands_find_their_database(
    place: str, migrated: Cluster, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, other = migrated.url().reveal(), "postgresql://postgres@127.0.0.1:1/postgres"
    settings = '[targets.production]\ndatabase_url_env = "SUPABASE_DB_URL"\n'
    options: tuple[str, ...] = ()
    match place:
        case "several targets":
            settings += '[targets."eu.west"]\ndatabase_url_env = "EU_DATABASE"\n'
            machine.secrets = {"SUPABASE_DB_URL": other, "EU_DATABASE": url}
        case "a variable of its own":
            settings = '[targets.main]\nproject_ref = "abcdefghijklmnopqrst"\ndatabase_url_env = "db_url"\n'
            options = ("--secret", "OUR_DATABASE")
            machine.secrets = {"OUR_DATABASE": url}
        case "elsewhere":
            options = ("--config", "settings/sync.toml", "--target", "production")
            machine.secrets = {"SUPABASE_DB_URL": url}
        case "no file":
            machine.secrets = {"AUTOSYNC_DATABASE_URL": url}
        case "a subfolder":
            machine.secrets = {"SUPABASE_DB_URL": url}
    file = {"elsewhere": "settings/sync.toml", "a subfolder": "apps/sync/autosync.toml"}.get(place, "autosync.toml")
    if place != "no file":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(settings)
    if place == "a subfolder":
        monkeypatch.chdir("apps/sync")
    workflow = scaffolded(*options)
    assert (machine.repository / ".github/workflows/autosync-db.yml").exists()
    jobs = machine.run(workflow, PULL_REQUEST)
    failing = {"check-production"} if place == "several targets" else set()
    assert {name for name, result in results(jobs).items() if result == "failure"} == failing, logs(jobs)
    check = jobs["check-eu_west" if place == "several targets" else "check"]
    assert f"the database is at {revisions.head()}" in check.log
    assert json.dumps(workflow).count("secrets.") >= len(machine.secrets)
