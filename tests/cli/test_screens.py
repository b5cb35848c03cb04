"""Everyday screens at 80x24 and 200x50, healthy, failing and empty: what somebody sees who has to act."""

import re
import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from rich.cells import cell_len

from autosync_db import cli
from autosync_db.local.cluster import HOST, Cluster
from tests.cli.conftest import Project
from tests.support import cases, clusters, command, keys
from tests.support.command import Result
from tests.support.http_stub import Stub

SIZES = ((80, 24), (200, 50))
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# of a schedule's line: its id, whole or by its beginning
ID = re.compile(r"^([0-9a-f]{8}[0-9a-f-]*) ", re.MULTILINE)
WHEN = re.compile(r"(?:\d (?:s|min|h) ago|in \d[^(]*) \(\d\d:\d\d")
RED = re.compile(r"\x1b\[1;31m([^\x1b]*)")
NEXT = re.compile(r"autosync-db [^\n]*")
LONG_NAME = "nightly-cleanup-of-old-device-events"
SCREENS = (
    "status", "status --job report", "runs", "jobs list", "jobs show report", "jobs preview report", "schedules list",
    "secrets list", "secrets history", "plan", "alerts list", "verify",
)  # fmt: skip
SETTINGS = """
[targets.staging]
project_url = "{url}"
database_url_env = "STAGING_DB"
[jobs.auto-sync-cron-job]
function = "auto-sync-cron"
schedule = "59 23 31 12 *"
drains = "auto_sync_schedules"
[jobs.report]
function = "report"
schedule = "58 23 31 12 *"
[jobs.{name}]
sql = "select count(*) from pg_class where relname like '%a long statement that nobody reads to its end%'"
schedule = "57 23 31 12 *"
"""


class Screens(Project):
    """A project whose target is named, and terminals of several sizes to look at it."""

    def show(self, typed: str, size: tuple[int, int]) -> Result:
        """Run a command on the target, on a terminal."""
        return command.run(
            *shlex.split(typed), "--target", "staging", "--config", "autosync.toml", variables=self.named, terminal=size
        )

    @property
    def named(self) -> dict[str, str]:
        """Return the variables that the target needs."""
        return {"STAGING_DB": self.cluster.url().reveal()}

    def must(self, typed: str, stdin: str = "") -> Result:
        """Run a command on the target that must succeed."""
        return command.succeeds(
            command.run(*shlex.split(typed), "--target", "staging", variables=self.named, stdin=stdin)
        )


@pytest.fixture
def screens(quiet_template: Cluster, stub: Stub) -> Iterator[Screens]:
    """A project of several jobs that was set up and made no call yet."""
    Path("autosync.toml").write_text(SETTINGS.format(url=stub.url, name=LONG_NAME))
    with clusters.cloned(quiet_template) as copy, clusters.pg_net_worker(copy):
        clusters.keep_quiet(copy)
        made = Screens(copy, stub, keys.secret())
        made.must("setup --no-wait --service-role-key-file -", stdin=made.key.reveal() + "\n")
        yield made


def test_every_screen_fits_and_says_where_it_looks_what_is_wrong_and_what_is_next(screens: Screens) -> None:
    with cases.collected() as case:
        for size in SIZES:
            for typed in SCREENS:
                with case(f"empty: {typed} at {size[0]}"):
                    _is_in_form(screens, screens.show(typed, size), size)
            for typed in ("status", "runs", "schedules list", "schedules list --state overdue", "alerts list", "plan"):
                with case(f"empty: {typed} at {size[0]}"):
                    _has_a_next_step(screens.show(typed, size))
            with case(f"empty: nobody knows at {size[0]}"):
                assert "UNKNOWN auto-sync-cron-job and 1 other: no call recorded" in _joined(
                    screens.show("status", size)
                )
        for id in _make_it_work(screens):
            for size in SIZES:
                for typed in (*SCREENS, f"schedules show {id[:8]}", "runs show 1"):
                    with case(f"healthy: {typed} at {size[0]}"):
                        shown = screens.show(typed, size)
                        _is_in_form(screens, shown, size)
                        assert not RED.search(shown.out), "nothing is bad"
                for typed in ("status", "runs", "jobs list", "schedules list", "secrets list", "secrets history"):
                    with case(f"healthy: {typed} at {size[0]}"):
                        assert WHEN.search(_plain(screens.show(typed, size).out)), "how long ago, and when"
        failing = _break_it(screens)
        for size in SIZES:
            for typed, words in failing.items():
                with case(f"failing: {typed} at {size[0]}"):
                    shown = screens.show(typed, size)
                    _is_in_form(screens, shown, size)
                    red = " ".join(RED.findall(shown.out))
                    for word in words:
                        assert word in red, f"{word} is not marked in {shown.out}"
                    if typed != "verify":
                        _has_a_next_step(shown)
            with case(f"what is not applied at {size[0]}"):
                _has_a_next_step(screens.show("plan", size))
            with case(f"ids at {size[0]}"):
                _ids_can_be_used(screens, size)
            with case(f"reasons at {size[0]}"):
                assert "the device did not answer" in _joined(screens.show("schedules list", size))
                assert "out of paper" in _joined(screens.show("runs", size))
                assert "out of paper" in _joined(screens.show("status", size))
                assert "autosync-db verify --target staging --config autosync.toml" in _joined(
                    screens.show("status", size)
                )


def _make_it_work(screens: Screens) -> Iterator[str]:
    """Let every job run well, add schedules, and yield one of them."""
    for name in ("auto-sync-cron-job", "report"):
        screens.must(f"jobs trigger {name}")
    _record_run(screens, "succeeded", "1 row")
    organization = uuid.uuid4()
    ids = [
        screens.must(f"schedules add --integration {uuid.uuid4()} --organization {organization}").out.strip()
        for _ in range(3)
    ]
    with clusters.connect(screens.cluster, "supabase_admin") as admin:
        admin.execute("select public.auto_sync_complete(s.id, 'success') from public.auto_sync_schedules as s")
    yield ids[0]


def _break_it(screens: Screens) -> dict[str, tuple[str, ...]]:
    """Break what a screen shows; return by screen the words that must be marked as bad."""
    screens.stub.answer(500, {"message": "out of paper"})
    for name in ("auto-sync-cron-job", "report"):
        assert screens.show(f"jobs trigger {name}", SIZES[0]).code == 3
    with clusters.connect(screens.cluster) as owner:
        owner.execute("select cron.unschedule(%s)", [LONG_NAME])
    # a tick that fails makes no call: the ledger has nothing of it
    _record_run(screens, "failed", 'ERROR:  the secret "service_role_key" is missing', "auto-sync-cron-job")
    with clusters.connect(screens.cluster, "supabase_admin") as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(
            "update public.auto_sync_schedules set consecutive_failures = 12, last_run_status = 'failed',"
            ' last_run_summary = \'{"error": "the device did not answer, and that for the seventh day in a row"}\''
            " where id = (select min(s.id::text)::uuid from public.auto_sync_schedules as s)"
        )
        admin.execute(
            "update public.auto_sync_schedules set next_run_at = now() - interval '2 hours',"
            " updated_at = now() - interval '3 hours' where id = (select max(s.id::text)::uuid"
            " from public.auto_sync_schedules as s)"
        )
        admin.execute("set session_replication_role = origin")
        admin.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    return {
        "status": ("CRITICAL", "failed: function", "tick failed", "not scheduled", "1 overdue"),
        "status --job report": ("CRITICAL", "failed: function"),
        "runs": ("failed: function",),
        "jobs list": ("failed: function", "tick failed", "not scheduled"),
        "jobs show report": ("failed: function",),
        "schedules list": ("overdue", "failing x12"),
        "secrets list": ("missing",),
        "verify": ("CRITICAL", "critical"),
    }


def _record_run(screens: Screens, status: str, message: str, name: str = LONG_NAME) -> None:
    with clusters.connect(screens.cluster, "supabase_admin") as admin:
        admin.execute(
            "insert into cron.job_run_details (jobid, runid, job_pid, database, username, command, status,"
            " return_message, start_time, end_time) select c.jobid, nextval('cron.runid_seq'), 0, c.database,"
            " c.username, c.command, %s, %s, now(), now() from cron.job as c where c.jobname = %s",
            [status, message, name],
        )


def _is_in_form(screens: Screens, shown: Result, size: tuple[int, int]) -> None:
    """Fail unless no line is wider than the terminal, and target, host and project are named."""
    assert not shown.errors, shown.err
    assert "Traceback" not in shown.err
    for line in _plain(shown.out + shown.err).splitlines():
        is_command = re.fullmatch(r"\s*(next: |remedy: |more: )?autosync-db .*", line)
        assert cell_len(line) <= size[0] or is_command, f"{cell_len(line)} columns: {line}"
    text = _joined(shown)
    for named in ("target staging", f"host {HOST}:{screens.cluster.port}", f"project {screens.stub.url}"):
        assert named in text, f"{named} is not named in {text}"


def _has_a_next_step(shown: Result) -> None:
    """Fail unless an empty screen ends in a command for the same target that the command line understands."""
    *_, said = NEXT.findall(_plain(shown.err))
    words = shlex.split(said.replace(" ID", f" {uuid.uuid4()}"))
    assert words[words.index("--target") + 1] == "staging", said
    assert words[words.index("--config") + 1] == "autosync.toml", said
    parse(words[1:])


def parse(words: list[str]) -> None:
    """Fail unless the command line understands these words; nothing is run."""
    root: Any = typer.main.get_command(cli.app)
    context = root.make_context("autosync-db", list(words))
    while True:
        name, inner, rest = context.command.resolve_command(context, context._protected_args + context.args)
        inner = getattr(inner, "loaded", inner)
        context = inner.make_context(name, list(rest), parent=context)
        if not hasattr(inner, "commands"):
            return


def _ids_can_be_used(screens: Screens, size: tuple[int, int]) -> None:
    """Fail unless each id of the list is that of one schedule, whole or by its beginning."""
    with clusters.connect(screens.cluster) as connection:
        known = {str(id) for (id,) in connection.execute("select s.id from public.auto_sync_schedules as s")}
    listed = ID.findall(_plain(screens.show("schedules list", size).out))
    found = {command.run(
        "schedules", "show", id, "--target", "staging", "--format", "json", variables=screens.named
    ).json()["id"] for id in listed}  # fmt: skip
    assert found == known
    with clusters.connect(screens.cluster) as connection:
        calls = connection.execute("select i.id, i.idempotency_key from autosync.invocation as i").fetchall()
    for number, key in calls:
        for text in (str(number), str(key)[:9], str(key)):
            shown = command.run(
                "runs", "show", text, "--target", "staging", "--format", "json", variables=screens.named
            ).json()
            assert shown["id"] == number, text


def _plain(text: str) -> str:
    """Return what is seen of a text: without escape sequences, and without the spinner that was drawn over itself."""
    lines = ESCAPE.sub("", text).replace("\r", "\n").splitlines()
    return "\n".join(line.rstrip() for line in lines if not re.match(r"[⠀-⣿]", line))


def _joined(shown: Result) -> str:
    """Return both streams in one line, as they read when lines are not looked at."""
    return " ".join((_plain(shown.out) + "\n" + _plain(shown.err)).split())
