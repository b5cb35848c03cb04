"""What every command promises whatever it does: usage errors, JSON, quiet, plain, and a reader that leaves."""

import io
import json
import os
import pty
import re
import shlex
import subprocess

import pytest
from rich.text import Text

from autosync_db.cli.screens import Screen
from autosync_db.local.cluster import Cluster
from autosync_db.report import as_text
from tests.cli.conftest import Project
from tests.support import cases, clusters, command

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def test_a_mistyped_command_is_a_usage_error() -> None:
    with cases.collected() as case:
        for typed in (
            "nonsense", "migrate --nonsense", "migrate head more", "runs -n 0", "verify --format xml"
        ):  # fmt: skip
            with case(typed):
                result = command.run(*typed.split())
                command.refused(result, 2)
                assert "--help" in result.hints[0]


def test_an_internal_error_is_a_bug_and_shows_its_traceback_only_when_asked(migrated: Cluster) -> None:
    # a table that no version of the toolkit could have made
    with clusters.connect(migrated) as connection:
        connection.execute("alter table autosync.invocation alter column queued_at type text")
    quiet = command.run("status", database=migrated.url())
    command.refused(quiet, 1)
    assert "-vv" in quiet.hints[0]
    loud = command.run("status", "-vv", database=migrated.url())
    assert loud.code == 1
    assert "Traceback" in loud.err


def test_status_says_which_extension_is_gone(migrated: Cluster) -> None:
    with clusters.connect(migrated, "supabase_admin") as connection:
        connection.execute(
            "insert into public.pg_cron_secrets (name, secret)"
            " values ('project_url', 'http://127.0.0.1:1'), ('service_role_key', 'x')"
        )
        connection.execute("select autosync.dispatch()")
        connection.execute("drop extension pg_net")
        without_net = command.succeeds(command.run("status", database=migrated.url()))
        connection.execute("drop extension pg_cron")
        without_cron = command.succeeds(command.run("status", database=migrated.url()))
    assert "pg_net is not installed" in without_net.out
    assert re.search(r"last call +not known", without_net.out)
    assert "pg_cron is not installed" in without_cron.out
    assert "not scheduled" in without_cron.out


def test_a_folder_that_was_deleted_is_no_bug() -> None:
    for typed in ("verify", "init", "local up"):
        run = f"mkdir gone && cd gone && rmdir ../gone && exec {shlex.join(command.PROGRAM)} {typed}"
        done = subprocess.run(["sh", "-c", run], capture_output=True, text=True, env=command.environment(), check=False)
        assert (done.returncode, "error: the current folder does not exist any more" in done.stderr) == (2, True)


def test_json_is_the_only_thing_on_stdout(project: Project) -> None:
    command.succeeds(project.setup())
    with cases.collected() as case:
        for typed in (
            "status", "runs", "verify", "explain", "jobs show", "jobs trigger", "migrate", "migrate --dry-run",
            "migrate --check", "setup", "jobs pause", "jobs resume", "jobs reschedule '59 23 31 12 *'",
            "jobs trigger --no-wait", "alerts delete slack --removed",
        ):  # fmt: skip
            with case(typed):
                assert command.succeeds(project.run(*shlex.split(typed), "--format", "json")).json() is not None


@pytest.mark.long
def test_json_of_an_unhealthy_database_parses_too(blank: Cluster) -> None:
    with cases.collected() as case:
        for typed in ("verify", "migrate --check", "migrate --dry-run"):
            with case(typed):
                result = command.run(*typed.split(), "--format", "json", database=blank.url())
                assert result.code in {0, 3, 5}
                assert result.json()


@pytest.mark.long
def test_quiet_leaves_data_alone_and_says_nothing_else(project: Project) -> None:
    command.succeeds(project.setup())
    for arguments in (("status",), ("verify",), ("runs",), ("jobs", "trigger"), ("migrate", "--sql")):
        result = command.succeeds(project.run(*arguments, "--quiet"))
        assert result.out
        assert result.err == ""
    for arguments in (("migrate",), ("jobs", "pause"), ("jobs", "resume")):
        result = command.succeeds(project.run(*arguments, "--quiet"))
        assert (result.out, result.err) == ("", "")


def _on_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [*command.PROGRAM, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # how Linux says that the other end of a terminal is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    child.wait(timeout=30)
    return shown.decode()


# a report, a page of help and an error are each drawn by other code
@pytest.mark.parametrize(
    "typed",
    ["nonsense", *(pytest.param(it, marks=pytest.mark.long) for it in ("verify", "verify --help", "explain"))],
)
def test_no_color_is_honoured(shared: Cluster, typed: str) -> None:
    terminal = {**command.environment(shared.url()), "TERM": "xterm-256color"}
    coloured = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3|4|9|10)[0-9][;m]")
    assert COLOUR.search(_on_terminal(typed.split(), terminal))
    assert not coloured.search(_on_terminal(typed.split(), {**terminal, "NO_COLOR": "1"}))


def test_a_file_gets_no_escape_sequences(shared: Cluster) -> None:
    for arguments in (("verify",), ("explain",), ("status",), ("--help",), ("nonsense",)):
        result = command.run(*arguments, database=shared.url())
        assert "\x1b" not in result.out + result.err


LEFT = ("migrate --sql", "explain", "explain --format json", "--help", "verify -v")


# one that writes a script at once and one that draws a table stand for the rest on a push
def test_nothing_that_is_said_steers_a_terminal() -> None:
    out = io.StringIO()
    screen = Screen(file=out, force_terminal=True, color_system=None, width=80)
    as_text.table(("a\x1b[2J",), [("job \x1b]0;owned\x07 \x9b31m \u202e",)], screen)
    screen.print("a\x1b[31mb\x08", markup=False)
    screen.print(Text("said\x1bc", style="bold"))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out.getvalue())
    assert out.getvalue().count("\n") == 4


@pytest.mark.parametrize(
    ("typed", "unbuffered"),
    [
        pytest.param(
            typed, unbuffered,
            marks=[] if (typed, unbuffered) == ("explain", True) else [pytest.mark.long],
        )
        for typed in LEFT for unbuffered in (False, True)
    ],
)  # fmt: skip
def test_a_reader_that_leaves_is_no_error(shared: Cluster, typed: str, unbuffered: bool) -> None:
    arguments = typed.split()
    expected = command.run(*arguments, database=shared.url())
    reading, writing = os.pipe()
    os.close(reading)
    variables = {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    try:
        done = subprocess.run(
            [*command.PROGRAM, *arguments],
            env=command.environment(shared.url(), variables),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.stderr == expected.err
    assert done.returncode in {0, expected.code}


# what becomes of the streams, by a shell, and how a command then ends; 0: as it would end anyway
STREAMS = {
    "<&- >&- 2>&-": 0, ">&-": 0, "2>&-": 0, "2>/dev/full": 0, ">/dev/full": 1, ">/dev/full 2>/dev/full": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    "typed", ["status", *(pytest.param(one, marks=pytest.mark.long) for one in ("--help", "--version", "verify"))]
)
def test_a_stream_that_is_closed_or_full_ends_no_command_in_a_traceback(shared: Cluster, typed: str) -> None:
    expected = command.run(typed, database=shared.url())
    with cases.collected() as case:
        for streams, code in STREAMS.items():
            with case(streams):
                done = subprocess.run(
                    ["bash", "-c", f'"$@" {streams}', "bash", *command.PROGRAM, typed],
                    env=command.environment(shared.url()), capture_output=True, text=True, check=False,
                )  # fmt: skip
                assert done.returncode == (code or expected.code)
                is_heard = "2>" not in streams
                assert ("error: the output cannot be written" in done.stderr) == (is_heard and done.returncode == 1)
                assert "Traceback" not in done.stderr
                assert "internal error" not in done.stderr


def test_a_locale_that_lacks_a_sign_is_no_reason_to_fail() -> None:
    with cases.collected() as case:
        # the last is that of a locale C that Python leaves as it is
        for encoding in ("ascii", "latin-1", "ascii:surrogateescape"):
            for typed in ("explain keys", "explain", "explain --format json", "explain keys --format json"):
                with case(f"{typed} in {encoding}"):
                    done = subprocess.run(
                        [*command.PROGRAM, *typed.split()],
                        env=command.environment(variables={"PYTHONIOENCODING": encoding}),
                        capture_output=True,
                        check=False,
                    )
                    assert (done.returncode, done.stderr) == (0, b"")
                    if "json" in typed:
                        assert json.loads(done.stdout.decode("utf-8")) == command.run(*typed.split()).json()
