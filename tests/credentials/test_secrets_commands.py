"""`secrets list`, `set` and `delete`: facts and never values; what the job needs is not lost by accident."""

import re
from pathlib import Path

import pexpect
import pytest

from autosync_db.credentials import lease, store
from autosync_db.secret import Secret
from tests.credentials.conftest import Project
from tests.support import command, keys

VALUE = "a value that nobody may see"


def test_list_tells_kind_age_and_the_last_call_that_succeeded(project: Project) -> None:
    store.store(project.owner, {"other": Secret(VALUE)})
    before = {one["name"]: one for one in command.succeeds(project.run("secrets", "list", "--format", "json")).json()}
    assert {name: one["kind"] for name, one in before.items()} == {
        "project_url": "url", "service_role_key": "secret", "other": "other",
    }  # fmt: skip
    assert before["service_role_key"]["last_success_at"] is None

    assert project.active() == project.key
    project.run("runs")  # whoever looks sees the answer
    after = {one["name"]: one for one in command.succeeds(project.run("secrets", "list", "--format", "json")).json()}
    assert after["service_role_key"]["last_success_at"] > after["service_role_key"]["changed_at"]
    assert (after["other"]["is_needed"], after["other"]["last_success_at"]) == (False, None)

    project.owner.execute("update public.pg_cron_secrets set secret = %s where name = 'service_role_key'", ["k" * 30])
    changed = {one["name"]: one for one in command.succeeds(project.run("secrets", "list", "--format", "json")).json()}
    assert changed["service_role_key"]["last_success_at"] is None, "no call since"


@pytest.mark.parametrize("form", ["table", "json"])
def test_no_command_shows_a_value(project: Project, form: str) -> None:
    done = project.run("secrets", "set", "other", "--from-file", "-", "--format", form, "-vv", stdin=VALUE)
    said = [command.succeeds(done)]
    for name in ("list", "history"):
        said.append(command.succeeds(project.run("secrets", name, "--format", form, "-vv")))
    said.append(command.succeeds(project.run("secrets", "delete", "other", "--format", form, "-vv")))
    for result in said:
        for value in (VALUE, project.key.reveal()):
            assert value not in result.out + result.err


def test_list_tells_of_an_unproven_key_and_so_does_status(project: Project) -> None:
    assert lease.begin(project.owner, {"service_role_key": keys.secret()})
    assert "being proven" in command.succeeds(project.run("secrets", "list")).out
    project.lapse()
    assert "not proven" in command.succeeds(project.run("secrets", "list")).out
    assert "was never proven: autosync-db rotate --resume" in command.succeeds(project.run("status")).out


def test_set_stores_replaces_and_leaves_alone(project: Project) -> None:
    def outcome(value: str) -> str:
        result = project.run("secrets", "set", "webhook_token", "--from-file", "-", "--format", "json", stdin=value)
        return str(command.succeeds(result).json()["outcome"])

    assert [outcome("first value\n"), outcome("second value"), outcome("second value")] == [
        "stored", "replaced", "unchanged",
    ]  # fmt: skip
    assert project.stored("webhook_token") == "second value"


def test_set_refuses_what_must_be_proven_and_what_is_no_name(project: Project) -> None:
    for name, hint in {
        "service_role_key": "autosync-db rotate",
        "cron_secret": "autosync-db rotate",
        "cron_secret_next": "autosync-db rotate --generate",
        "project_url": "autosync-db setup",
        "Not A Name": "small letters",
        "service_role_key.previous": "small letters",
        "a" * 64: "at most 63",
        keys.access_token().reveal(): "--from-file",
    }.items():
        result = project.run("secrets", "set", name, "--from-file", "-", "-q", stdin=keys.secret().reveal())
        command.refused(result, 2)
        assert hint in result.hints[0]
        assert project.stored() == project.key.reveal()


def test_set_refuses_what_is_no_value(project: Project) -> None:
    for value in ("", "  \n", "changeme"):
        command.refused(project.run("secrets", "set", "other", "--from-file", "-", "-q", stdin=value), 6)
        assert project.stored("other") is None


def test_a_value_is_read_as_editors_and_shells_write_it_and_never_without_end(project: Project, tmp_path: Path) -> None:
    """A byte order mark, or what a page puts around a text that is copied, would be part of the value for ever."""
    path = tmp_path / "value.txt"
    for written in (
        f"\ufeff{VALUE}\r\n".encode(),
        f"{VALUE}\r\n".encode("utf-16"),
        f"\ufeff \u200b{VALUE}\u200b\u00a0\n".encode(),
    ):
        path.write_bytes(written)
        command.succeeds(project.run("secrets", "set", "other", "--from-file", str(path)))
        assert project.stored("other") == VALUE, written
    command.succeeds(project.run("secrets", "set", "piped", "--from-file", "-", stdin=f"\ufeff{VALUE}\n"))
    assert project.stored("piped") == VALUE
    # what is inside stays
    inside = f"{VALUE}\nof two \u200b lines"
    command.succeeds(project.run("secrets", "set", "piped", "--from-file", "-", stdin=inside))
    assert project.stored("piped") == inside
    path.write_bytes(b"\xff\x00\xfe")
    for place, said in (("/dev/zero", "holds more than 1 MB"), (str(path), "is not a text file")):
        assert said in command.refused(project.run("secrets", "set", "other", "--from-file", place, "-q"), 2)
    assert project.stored("other") == VALUE


def test_set_refuses_what_no_call_of_a_job_can_carry(project: Project, tmp_path: Path) -> None:
    project.owner.execute(
        "insert into autosync.job (name, function, schedule, auth, secret_name, secret_header)"
        " values ('partner', 'partner', '0 0 1 1 *', 'secret', 'partner_token', 'x-token')"
    )
    try:
        for value, code in {
            "good": 0,
            "two\nlines": 6,
            "Basic b64": 6,
            "p\u00e4ss": 6,
            '"quoted"': 0,
            "good\r\n": 0,
        }.items():
            done = project.run("secrets", "set", "partner_token", "--from-file", "-", "-q", stdin=value)
            assert done.code == code, value
            assert (project.stored("partner_token") == value.strip()) == (code == 0), value
        assert "that no header carries" in command.refused(
            project.run("secrets", "set", "partner_token", "--from-file", "-", "-q", stdin="a b"), 6
        )
        # a job that the settings at hand do not name uses it all the same
        (tmp_path / "other.toml").write_text("[jobs.another]\nsql = 'select 1'\nschedule = '0 0 1 1 *'\n")
        listed = project.run("secrets", "list", "--format", "json", "--config", str(tmp_path / "other.toml")).json()
        assert {one["name"]: one["is_needed"] for one in listed}["partner_token"]
        # what no job sends may have lines, such as a private key that a function reads
        command.succeeds(project.run("secrets", "set", "pem", "--from-file", "-", stdin="-----BEGIN\nabc\n-----END"))
        # what is missing is stored by the command of its kind, and what was spoiled by SQL is cleaned
        for change, hint in (
            ("update public.pg_cron_secrets set secret = 'a b' where name = 'partner_token'", "repair secrets_clean"),
            (
                "delete from public.pg_cron_secrets where name = 'partner_token'",
                "secrets set partner_token --from-file",
            ),
        ):
            project.owner.execute(change)
            result = project.run("jobs", "trigger", "partner", "-q")
            command.refused(result, 3)
            assert hint in result.hints[0]
        # nor is a key of the project what that job sends
        result = project.run("rotate", "--job", "partner", "--from-file", "-", "-q", stdin=keys.secret().reveal())
        assert "the job partner does not send the service key" in command.refused(result, 2)
        assert "secrets set partner_token" in result.hints[0]
        project.owner.execute(
            "insert into autosync.job (name, sql, schedule) values ('plain', 'select 1', '0 0 1 1 *')"
        )
        assert store.needed(project.owner, "plain") == ()
        result = project.run("rotate", "--job", "plain", "--from-file", "-", "-q", stdin=keys.secret().reveal())
        assert "the job plain does not send the service key" in command.refused(result, 2)
    finally:
        project.owner.execute("delete from autosync.job where name in ('partner', 'plain')")


def test_set_asks_on_a_terminal_without_showing_it(project: Project) -> None:
    program, *arguments = [*command.PROGRAM, "secrets", "set", "other"]
    environment = command.environment(project.cluster.url(), {"TERM": "dumb"})
    with pexpect.spawn(program, arguments, env=environment, timeout=60) as terminal:
        terminal.expect_exact("New value of other: ")
        terminal.sendline(VALUE)
        terminal.expect(pexpect.EOF)
        shown = terminal.before
    assert terminal.exitstatus == 0, shown
    assert VALUE.encode() not in shown
    assert project.stored("other") == VALUE


def test_delete_asks_only_about_what_the_job_needs(project: Project) -> None:
    store.store(project.owner, {"other": Secret(VALUE)})
    command.succeeds(project.run("secrets", "delete", "other"))
    assert project.stored("other") is None

    result = project.run("secrets", "delete", "service_role_key", "-q")
    command.refused(result, 2)
    assert "--yes" in result.hints[0]
    assert project.stored() == project.key.reveal()
    command.succeeds(project.run("secrets", "delete", "service_role_key", "--yes"))
    assert project.stored() is None

    command.refused(project.run("secrets", "delete", "service_role_key", "-q"), 2)


def test_a_public_key_that_calls_show_to_the_gateway_is_in_use(project: Project) -> None:
    shown = keys.legacy("anon")
    store.store(project.owner, {"gateway_key": shown, "partner": Secret(VALUE)})

    def state() -> bool:
        [one] = [
            one for one in project.run("secrets", "list", "--format", "json").json() if one["name"] == "gateway_key"
        ]
        return bool(one["is_needed"])

    change = "update autosync.job set auth = 'secret', secret_name = 'partner', secret_header = %s, secret_prefix = ''"
    change += " where name = 'auto-sync-cron-job'"
    assert not state()
    for header, is_shown in (("Authorization", False), ("x-cron-secret", True)):
        project.owner.execute(change.encode(), [header])
        assert state() == is_shown
    refused = project.run("secrets", "delete", "gateway_key", "-q")
    command.refused(refused, 2)
    assert project.stored("gateway_key") == shown.reveal()
    done = command.succeeds(project.run("secrets", "delete", "gateway_key", "--yes"))
    assert "the calls of these jobs show gateway_key to the gateway: auto-sync-cron-job" in done.err


def test_what_a_job_of_the_file_needs_is_missing_before_it_is_registered(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "autosync.toml"
    file.write_text(
        '[jobs.mine]\nfunction = "f"\nschedule = "0 0 1 1 *"\nauth = { secret = "partner", header = "x-token" }\n'
        "[jobs.theirs]\nwatch = true\n"
    )
    store.delete(project.owner, "service_role_key")
    listed = command.succeeds(project.run("secrets", "list", "--config", str(file)))
    assert re.search(r"^partner +missing", listed.out, re.MULTILINE)
    assert re.search("next: autosync-db secrets set .*partner$", listed.err, re.MULTILINE)
    assert "service_role_key" not in listed.out


@pytest.mark.parametrize("answer", ["n", "y"])
def test_delete_asks_on_a_terminal(project: Project, answer: str) -> None:
    program, *arguments = [*command.PROGRAM, "secrets", "delete", "project_url"]
    environment = command.environment(project.cluster.url(), {"TERM": "dumb"})
    with pexpect.spawn(program, arguments, env=environment, timeout=60) as terminal:
        terminal.expect_exact("Jobs need project_url: without it they make no calls. Delete it anyway?")
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == (0 if answer == "y" else 2)
    assert (project.stored("project_url") is None) == (answer == "y")


@pytest.mark.parametrize("action", [("set", "--from-file", "-"), ("delete", "--yes")])
def test_nothing_is_changed_under_a_rotation(project: Project, action: tuple[str, ...]) -> None:
    assert lease.begin(project.owner, {"service_role_key": keys.secret()})
    name = "service_role_key" if action[0] == "delete" else "other"
    verb, *flags = action
    assert "is under way" in command.refused(project.run("secrets", verb, name, *flags, "-q", stdin=VALUE), 5)
