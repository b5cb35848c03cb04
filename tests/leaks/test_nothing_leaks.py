"""A secret is in the table that keeps it, in the queue until it is sent, and nowhere else."""

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from secrets import token_hex

import pytest

from autosync_db import config
from autosync_db.cli.console import Format, Session
from autosync_db.connection.url import parameters
from autosync_db.credentials import cron_secret, rotation, scan
from autosync_db.errors import UsageError
from autosync_db.local.cluster import Cluster
from autosync_db.report import as_json
from autosync_db.secret import Secret
from tests.leaks.conftest import Sampler, World, dump
from tests.support import cases, clusters, command, keys

TABLES = {
    "cron.job": "select command from cron.job",
    "cron.job_run_details": "select command, return_message from cron.job_run_details",
    "net.http_request_queue": "select headers, url, convert_from(body, 'UTF8') from net.http_request_queue",
    "net._http_response": "select headers, content, error_msg from net._http_response",
    "pg_stat_statements": "select query from pg_stat_statements",
    "pg_stat_activity": "select query, application_name from pg_stat_activity",
    "functions": "select prosrc, proconfig from pg_proc where oid >= 16384",
    "comments": "select description from pg_description where objoid >= 16384",
    "settings": "select setting from pg_settings",
    "settings of roles": "select setconfig from pg_db_role_setting",
}


def _rows(world: World, query: str) -> str:
    with world.connect() as connection:
        return "\n".join(str(row) for row in connection.execute(query.encode()).fetchall())


def _autosync(world: World) -> str:
    with world.connect() as connection:
        names = connection.execute(
            "select c.oid::regclass::text from pg_class as c"
            " where c.relnamespace = 'autosync'::regnamespace and c.relkind in ('r', 'v', 'm')"
        ).fetchall()
    assert len(names) > 5
    return "\n".join(_rows(world, f"select t::text from {name} as t") for (name,) in names)


PLACES: dict[str, Callable[[World], str]] = {
    "the command line of a process": lambda world: world.command_lines,
    "the server's log": lambda world: world.cluster.log.read_text(errors="replace"),
    "a dump of the database": lambda world: dump(world.cluster),
    "the tables of autosync": _autosync,
    "the exported migrations": lambda world: "".join(
        path.read_text() for path in (world.folder / "migrations").iterdir()
    ),
    **{name: partial(_rows, query=query) for name, query in TABLES.items()},
}


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_in(place: str, world: World) -> None:
    assert world.found(PLACES[place](world)) == []


def test_no_command_says_one(world: World) -> None:
    assert len(world.said) > 40
    assert {said: found for said, text in world.said.items() if (found := world.found(text))} == {}


def test_no_process_that_was_started_for_it_has_one_in_its_environment(world: World) -> None:
    # the command that a user gave a key by the environment has it there
    started = {line: text for line, text in world.environments.items() if "-m autosync_db setup" not in line}
    assert len(started) > 5
    assert {line: found for line, text in started.items() if (found := world.found(text))} == {}


def test_the_table_holds_what_is_active_and_nothing_that_was_refused_or_replaced(world: World) -> None:
    stored = _rows(world, "select name, secret from public.pg_cron_secrets where name <> 'remote_api'")
    assert len(world.found(stored)) == 2, "the key that is used no more, and the cron secret"
    refused = [name for name in world.canaries if "refused" in name or " with " in name or "on its way" in name]
    assert len(refused) > 10
    assert not set(refused) & set(world.found(stored))


def test_the_story_really_happened(world: World) -> None:
    """The statements are in the log, the failures were those that were meant, and the keys were really shown."""
    log = world.cluster.log.read_text(errors="replace")
    assert "copy pg_temp.incoming_secret" in log
    assert "autosync.dispatch(" in log
    assert "canceling statement due to user request" in log
    assert "CONTEXT:  COPY incoming_secret, line" in log, "the server quotes what it can of the row"
    assert "PARAMETERS" in log or "parameters:" in log
    shown = str([request.headers for request in world.stub.requests])
    assert set(world.found(shown)) >= {"the first key", "refused by setup", "the second key", "refused by the call"}
    text = "\n".join(world.said.values())
    for expected in (
        "still held by",
        "their_copy",
        "Traceback",
        'constraint "short"',
        "put_secret",
        "statement timeout",
        "read-only",
        "temporary",
    ):
        assert expected in text, expected


class TestDetectors:
    """Each place is really looked at: a value that is put there on purpose is seen."""

    @pytest.fixture
    def planted(self, world: World) -> Iterator[str]:
        """A secret of the story, to be put where none may be."""
        world.canaries["planted"] = keys.secret().reveal()
        yield world.canaries["planted"]
        del world.canaries["planted"]

    @pytest.mark.parametrize(
        ("place", "statement", "undo"),
        [
            ("the server's log", "select '{}'", "select 1"),
            (
                "cron.job",
                "select cron.schedule('leak', '0 0 1 1 *', 'select ''{}''')",
                "select cron.unschedule('leak')",
            ),
            (
                "cron.job_run_details",
                "insert into cron.job_run_details (jobid, runid, command) values (0, 0, '{}')",
                "delete from cron.job_run_details where jobid = 0",
            ),
            (
                "the tables of autosync",
                "insert into autosync.setting values ('leak', to_jsonb('{}'::text))",
                "delete from autosync.setting where name = 'leak'",
            ),
            ("a dump of the database", "comment on schema autosync is '{}'", "comment on schema autosync is null"),
            (
                "net._http_response",
                "insert into net._http_response (id, content) values (0, '{}')",
                "delete from net._http_response where id = 0",
            ),
            ("pg_stat_statements", "create table public.leak (a int default length('{}'))", "drop table public.leak"),
        ],
    )
    def test_a_leak_is_seen(self, place: str, statement: str, undo: str, world: World, planted: str) -> None:
        with world.connect() as connection:
            connection.execute(statement.format(planted).encode())
            try:
                assert world.found(PLACES[place](world)) == ["planted"]
            finally:
                connection.execute(undo.encode())

    def test_a_process_is_seen(self, world: World, planted: str) -> None:
        sampler = Sampler()
        child = subprocess.Popen(
            [sys.executable, "-c", "input()", planted], stdin=subprocess.PIPE, env={"PLANTED": planted}
        )
        try:
            clusters.wait_for(lambda: planted in str(sampler.command_lines), "the command line")
            clusters.wait_for(lambda: planted in str(sampler.environments), "the environment")
        finally:
            sampler.stop()
            child.communicate(b"\n")
        assert world.found("\n".join(sampler.command_lines)) == ["planted"]


class TestObjects:
    """What carries a secret in this process shows none."""

    @pytest.fixture
    def carriers(self) -> tuple[Secret, list[object]]:
        """A secret and everything that is made to hold one."""
        secret = keys.secret()
        flags = config.Flags(database_url=Secret(f"postgresql://u:{secret.reveal()}@127.0.0.1/d"))
        configuration = config.load(flags)
        return secret, [secret, flags, configuration.target, configuration, cron_secret.generate(), {"key": secret}]

    def test_repr_and_str(self, carriers: tuple[Secret, list[object]]) -> None:
        secret, objects = carriers
        for carrier in objects:
            assert secret.reveal() not in f"{carrier} {carrier!r}"

    def test_pickle_and_json(self, carriers: tuple[Secret, list[object]]) -> None:
        secret, objects = carriers
        for carrier in objects:
            with pytest.raises(TypeError):
                pickle.dumps(carrier)
        assert secret.reveal() not in as_json.dumps({"a": secret, "b": [secret]})

    def test_the_subject_of_a_rotation_holds_no_value(self, carriers: tuple[Secret, list[object]]) -> None:
        secret, _ = carriers
        assert secret.reveal() not in repr(rotation.SERVICE_KEY)

    def test_a_session_of_the_command_line_shows_no_password(self) -> None:
        url = "postgresql://u:pass-word-1@127.0.0.1/d"
        session = Session(
            target=None, database_url=url, config=None, format=Format.JSON, timeout=None, verbose=0, quiet=False
        )
        assert "pass-word-1" not in f"{session!r} {vars(session)}"

    def test_a_url_that_cannot_be_parsed_is_not_quoted(self) -> None:
        password = keys.secret().reveal()
        with pytest.raises(UsageError) as caught:
            parameters(Secret(f"postgresql://u:{password}@[broken"))
        assert password not in "".join(traceback.format_exception(caught.value))


def test_the_users_keys_do_not_reach_what_a_scan_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a program of this name that writes its environment down stands in git's place
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f"#!/bin/sh\nenv >> {tmp_path}/environment\nexit 128\n")
    git.chmod(0o755)
    key = keys.secret().reveal()
    monkeypatch.setenv("PATH", str(git.parent), prepend=os.pathsep)
    for name in ("SUPABASE_SERVICE_ROLE_KEY", "AUTOSYNC_DATABASE_URL", "DATABASE_URL", "PGPASSWORD"):
        monkeypatch.setenv(name, key)
    scan.scan([tmp_path])
    written = (tmp_path / "environment").read_text()
    assert "PATH=" in written
    assert key not in written


def test_no_plugin_of_pydantic_is_shown_the_settings(tmp_path: Path) -> None:
    # as an installed package registers one, such as those that write down what is validated
    (tmp_path / "spy-1.dist-info").mkdir()
    (tmp_path / "spy-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: spy\nVersion: 1\n")
    (tmp_path / "spy-1.dist-info" / "entry_points.txt").write_text("[pydantic]\nspy = spy\n")
    spy = "from pathlib import Path\nPath(__file__).with_name('loaded').touch()\n"
    (tmp_path / "spy.py").write_text(f"{spy}def new_schema_validator(*_): return None, None, None\n")
    seen = tmp_path / "loaded"
    on_path = {"PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))}
    unreachable = Secret(f"postgresql://u:{keys.secret().reveal()}@127.0.0.1:1/postgres")
    assert command.run_process("verify", database=unreachable, variables=on_path).code == 4
    assert not seen.exists()
    subprocess.run([sys.executable, "-c", "import autosync_db.config"], env={**os.environ, **on_path}, check=True)
    assert seen.exists(), "elsewhere they are loaded"


# whatever shows what a run said, or the statement of a job
SHOWN = (
    "status", "status --format json", "jobs list", "jobs list --format json", "jobs show nightly",
    "jobs show nightly --format json", "jobs trigger nightly", "plan", "plan --format json", "verify", "verify -v",
    "verify --format json", "verify --format junit", "verify --format github", "verify --format nagios",
    "verify --format prometheus", "report -o -", "report --format json", "watch --plain --for 1s",
    "watch --format json --for 1s", "audit", "audit --format json", "audit --format sarif",
)  # fmt: skip


def test_what_a_statement_said_when_it_failed_shows_no_secret(migrated: Cluster, tmp_path: Path) -> None:
    """The logs and summaries of a public repository's runs are for everybody."""
    (tmp_path / "autosync.toml").write_text('[jobs.nightly]\nsql = "select 1"\nschedule = "59 23 31 12 *"\n')
    key, password = keys.secret().reveal(), token_hex(8)
    said = f"no connection to postgres://them:{password}@db.example.com/x with {key}"
    summary = tmp_path / "summary"
    with clusters.connect(migrated, "supabase_admin") as admin:
        admin.execute(
            "insert into autosync.job (name, sql, schedule) values ('nightly', %s, '59 23 31 12 *')",
            [f"do $$ begin raise exception '{said}'; end $$"],
        )
        admin.execute("select autosync.sync_job('nightly')")
        admin.execute("select cron.schedule('theirs', '59 23 31 12 *', 'select 1')")
        admin.execute(
            "insert into cron.job_run_details (jobid, runid, status, return_message, start_time, end_time)"
            " select c.jobid, nextval('cron.runid_seq'), 'failed', %s, now(), now()"
            " from cron.job as c, generate_series(1, 3) where c.jobname in ('nightly', 'theirs')",
            [f"ERROR:  {said}"],
        )
    with cases.collected() as case:
        for typed in SHOWN:
            with case(typed):
                result = command.run(
                    *typed.split(), database=migrated.url(), folder=tmp_path,
                    variables={"GITHUB_STEP_SUMMARY": str(summary)},
                )  # fmt: skip
                assert result.out
                assert "internal error" not in result.err
                shown = result.out + result.err + (summary.read_text() if summary.exists() else "")
                assert key not in shown
                assert password not in shown
