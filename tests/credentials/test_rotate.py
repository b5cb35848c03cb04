"""`rotate`: what it proves, what it refuses, and which value is active afterwards."""

import os
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from autosync_db import progress
from autosync_db.config import Settings
from autosync_db.credentials import lease, proof, rotation, store
from autosync_db.credentials.rotation import Result
from autosync_db.errors import AutosyncError, MigrationError, SecretError, StoppedError, UnreachableError
from autosync_db.jobs import plan, readers, registry
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from autosync_db.secret import Secret
from autosync_db.supabase.function import Verdict
from tests.credentials.conftest import SILENT, Project, shown
from tests.support import clusters, command, health, keys, pooler
from tests.support.http_stub import Request

HOSTED = f"https://{keys.PROJECT_REF}.supabase.co"


def _replace(project: Project, key: Secret, *, preflight: bool = True) -> Result:
    return rotation.replace(project.configuration, rotation.SERVICE_KEY, key, preflight=preflight, reporter=SILENT)


def _refusal(project: Project, key: Secret, *, preflight: bool = True) -> AutosyncError:
    """Return the error of a rotation that must leave the old key active and nothing unfinished."""
    with pytest.raises(SecretError) as caught:
        _replace(project, key, preflight=preflight)
    assert project.stored() == project.key.reveal()
    assert project.is_finished()
    assert key.reveal() not in caught.value.message + caught.value.hint
    return caught.value


def _actions(project: Project) -> list[str]:
    return [change.action for change in store.history(project.owner, store.SERVICE_KEY)]


def test_a_new_key_is_asked_for_stored_proven_and_the_old_one_forgotten(project: Project) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    done = command.succeeds(project.rotate(newer))
    assert project.stored() == newer.reveal()
    assert project.is_finished()
    assert [request.method for request in project.stub.requests] == ["GET", "GET", "POST"]
    assert project.gate.seen == [newer.reveal()], "one real call, with the new key"
    for line in ("\N{EN DASH} ask", "✓ store", "✓ prove"):
        assert line in done.err
    assert newer.reveal() not in done.out + done.err
    assert _actions(project) == ["replaced", "stored"]

    again = command.succeeds(project.rotate(newer, "--format", "json")).json()
    assert again["outcome"] == "unchanged"
    assert len(project.gate.seen) == 1


def test_json_has_fingerprints_and_proofs(project: Project) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    result = command.succeeds(project.rotate(newer, "--format", "json")).json()
    assert (result["outcome"], result["proof"]) == ("rotated", "200")
    assert "405" in result["preflight"]
    assert "401" in result["preflight"], "without a credential"
    assert [change["name"] for change in result["changes"]] == ["service_role_key"]
    assert len({result["changes"][0]["fingerprint_before"], result["changes"][0]["fingerprint_after"]}) == 2


# the first job of the file shows a secret of its own
_JOBS = """
[jobs.a-hook]
function = "hook"
schedule = "0 1 1 1 *"
auth = { secret = "hook_token", header = "x-hook-token" }
[jobs.sync]
function = "sync"
schedule = "0 1 1 1 *"
"""
_GUIDES = {"function": "auto-sync-cron", "schedule": "*/5 * * * *", "drains": "auto_sync_schedules"}
_AS_BEARER = 'auth = { secret = "service_role_key", header = "Authorization", prefix = "Bearer " }\n'


@pytest.fixture
def beside(project: Project) -> Iterator[Project]:
    """A project whose settings can name other jobs than the one that it has."""
    yield project
    for name in ("a-hook", "sync"):
        registry.remove(project.owner, name)


@pytest.mark.parametrize("auth", ["", _AS_BEARER])
def test_a_job_that_shows_the_key_proves_it_wherever_it_stands_in_the_file(beside: Project, auth: str) -> None:
    newer = keys.legacy()
    beside.gate.accept(beside.key, newer)
    Path("autosync.toml").write_text(_JOBS + auth)
    every = Settings.model_validate({"jobs": {"auto-sync-cron-job": _GUIDES} | tomllib.loads(_JOBS + auth)["jobs"]})
    plan.apply(beside.owner, every)
    done = command.succeeds(beside.rotate(newer))
    assert "✓ prove" in done.err
    assert beside.gate.seen == [newer.reveal()]
    assert {request.path for request in beside.stub.requests} == {"/functions/v1/sync"}


@pytest.mark.parametrize(("first", "second"), [("secret", "legacy"), ("legacy", "secret"), ("legacy", "legacy")])
def test_a_key_of_one_kind_takes_the_place_of_another(project: Project, first: str, second: str) -> None:
    """The gate lets a key through only on the header of its kind, in the preflight as in the calls."""
    make = {"secret": keys.secret, "legacy": keys.legacy}
    older, newer = make[first](), make[second]()
    project.gate.accept(project.key, older, newer)
    assert _replace(project, older).outcome == "rotated"
    assert _replace(project, newer).outcome == "rotated"
    assert project.active() == newer


class TestRefused:
    def test_by_the_function_when_asked(self, project: Project) -> None:
        newer = keys.secret()
        said = command.refused(project.rotate(newer, "-q"), 6)
        assert "refused the new service key with 401" in said
        assert "nothing was changed" in said
        assert project.gate.seen == [], "no call was made"
        assert _actions(project) == ["stored"]

    def test_by_the_function_when_called(self, project: Project) -> None:
        newer = keys.secret()
        result = project.rotate(newer, "-q", "--no-preflight")
        said = command.refused(result, 6)
        assert "refused the new service key with 401" in said
        assert "the previous value is active again" in said
        assert newer.reveal() not in result.err
        assert project.gate.seen == [newer.reveal()], "it was really tried"
        assert project.active() == project.key
        assert project.is_finished()
        assert _actions(project) == ["put back", "replaced", "stored"]

    def test_while_the_function_fails(self, project: Project) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)
        project.gate.status = 500
        error = _refusal(project, newer, preflight=False)
        assert "could not be proven: 500" in error.message
        assert "is active again" in error.message

    def test_when_the_function_does_not_say(self, project: Project) -> None:
        project.stub.judge = None
        project.stub.answer(404, error_code="NOT_FOUND")
        error = _refusal(project, keys.secret())
        assert "did not say whether it accepts the new service key: 404 NOT_FOUND" in error.message
        assert "--no-preflight" in error.hint

    def test_when_a_web_page_answers(self, project: Project) -> None:
        project.stub.judge = None
        project.stub.answer(200, "<!doctype html><title>App</title>")
        error = _refusal(project, keys.secret())
        assert "did not say whether it accepts the new service key: 200, a web page" in error.message
        error = _refusal(project, keys.secret(), preflight=False)
        assert "could not be proven: 200: a web page answered" in error.message

    def test_when_the_function_cannot_be_reached_from_here(self, project: Project) -> None:
        project.owner.execute(
            "update public.pg_cron_secrets set secret = 'http://127.0.0.1:1' where name = 'project_url'"
        )
        with pytest.raises(UnreachableError, match="cannot be reached from here") as caught:
            _replace(project, keys.secret())
        assert "--no-preflight" in caught.value.hint
        assert project.stored() == project.key.reveal()

    def test_while_nothing_is_sent(self, project: Project) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)

        def none(*_: object) -> proof.Proof:
            return proof.Proof(Verdict.UNCLEAR, "pending")

        with pytest.raises(SecretError, match="could not be proven: pending; the previous value is active again"):
            rotation.replace(project.configuration, rotation.SERVICE_KEY, newer, prove=none, reporter=SILENT)
        assert project.stored() == project.key.reveal()
        assert project.is_finished()

    @pytest.mark.parametrize(
        ("key", "named"),
        [
            (keys.legacy("anon"), "anon"),
            (keys.legacy(expires_in=-60), "expired"),
            (Secret("sb_publishable_" + "a" * 30), "publishable"),
            (Secret("your-service-role-key"), "placeholder"),
            (Secret("sb_secret_aaaa aaaaaaaaaaaaaaa"), "blanks"),
            (Secret("sb_secret_aaaa" + "*" * 20), "hidden"),
            (Secret("sbp_" + "0" * 40), "access token"),
        ],
        ids=["anon", "expired", "publishable", "placeholder", "blank inside", "masked", "access token"],
    )
    def test_by_its_form_before_the_server_is_asked(self, key: Secret, named: str) -> None:
        result = command.run(
            "rotate", "--from-file", "-", "-q",
            database=Secret("postgresql://nobody@127.0.0.1:1/none"), stdin=key.reveal(),
        )  # fmt: skip
        assert named in command.refused(result, 6)

    def test_by_the_project_that_it_names(self, project: Project) -> None:
        project.owner.execute("update public.pg_cron_secrets set secret = %s where name = 'project_url'", [HOSTED])
        error = _refusal(project, keys.legacy(ref=keys.PROJECT_REF[::-1]))
        assert f"not to {keys.PROJECT_REF}" in error.message

    def test_when_there_is_none_to_replace(self, project: Project) -> None:
        project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
        with pytest.raises(SecretError, match="no service key is stored") as caught:
            _replace(project, keys.secret())
        assert "autosync-db setup" in caught.value.hint
        assert project.stored() is None

    def test_by_a_constraint_of_the_table_which_no_log_then_quotes(self, project: Project) -> None:
        project.owner.execute("alter table public.pg_cron_secrets add constraint short check (length(secret) < 60)")
        newer = keys.legacy()
        project.gate.accept(project.key, newer)
        assert 'constraint "short"' in _refusal(project, newer).message
        log = project.cluster.log.read_text()
        assert "refuses the value of" in log
        assert newer.reveal() not in log

    def test_by_an_older_database(self, migrated: Cluster) -> None:
        migrate.downgrade(migrated.url(), "0005")
        result = command.run("rotate", "--from-file", "-", "-q", database=migrated.url(), stdin=keys.secret().reveal())
        command.refused(result, MigrationError.exit_code)
        assert result.hints == ["run: autosync-db migrate"]


class TestPreflight:
    """A function is asked in a way that runs nothing, if it can be asked so."""

    def test_of_a_function_that_looks_at_the_method_first_makes_a_call(self, project: Project) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)

        def judge(request: Request) -> int:
            return 405 if request.method != "POST" else project.gate.judge(request)

        project.stub.judge = judge
        assert _replace(project, newer).preflight == "200"
        assert [request.method for request in project.stub.requests] == ["GET", "GET", "POST", "POST"]

        refused = keys.secret()
        with pytest.raises(SecretError, match="refused the new service key with 401"):
            _replace(project, refused)

    def test_of_a_function_that_takes_any_method_is_its_answer(self, project: Project) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)

        def judge(request: Request) -> int:
            return 200 if request.method != "POST" else project.gate.judge(request)

        project.stub.judge = judge
        assert _replace(project, newer).preflight == "200"

    def test_of_a_function_behind_a_gateway_that_verifies_makes_a_call(self, project: Project) -> None:
        """The gateway lets any JWT through, and the function looks at the method first."""

        def judge(request: Request) -> int:
            if not shown(request):
                project.stub.answer(401, error_code="UNAUTHORIZED_NO_AUTH_HEADER")
                return 401
            project.stub.answer(200)
            return 405 if request.method != "POST" else project.gate.judge(request)

        project.stub.judge = judge
        with pytest.raises(SecretError, match="refused the new service key with 401; nothing was changed"):
            _replace(project, keys.legacy())

    def test_can_be_left_out(self, project: Project) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)
        assert _replace(project, newer, preflight=False).preflight is None
        assert [request.method for request in project.stub.requests] == ["POST"]


class TestWhereTheKeyComesFrom:
    def test_a_variable(self, project: Project) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)
        command.succeeds(project.run("rotate", "--from-env", "NEWER", variables={"NEWER": newer.reveal()}))
        assert project.stored() == newer.reveal()

    def test_a_variable_that_is_not_set(self, project: Project) -> None:
        assert "NEWER" in command.refused(project.run("rotate", "--from-env", "NEWER", "-q"), 2)

    def test_a_terminal_that_does_not_show_it(self, project: Project) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)
        program, *arguments = [*command.PROGRAM, "rotate"]
        environment = command.environment(project.cluster.url(), {"TERM": "dumb"})
        with pexpect.spawn(program, arguments, env=environment, timeout=60) as terminal:
            terminal.expect_exact("New service key: ")
            terminal.sendline(newer.reveal())
            terminal.expect(pexpect.EOF)
            shown = terminal.before
        assert terminal.exitstatus == 0, shown
        assert newer.reveal().encode() not in shown
        assert project.stored() == newer.reveal()

    @pytest.mark.parametrize(
        "arguments",
        [[], ["--from-file", "-", "--from-env", "X"], ["--resume", "--abort"], ["--resume", "--from-env", "X"]],
    )
    def test_nowhere_or_two_places_is_a_mistake(self, project: Project, arguments: list[str]) -> None:
        command.refused(project.run("rotate", "-q", *arguments), 2)
        assert project.stored() == project.key.reveal()


def test_a_pooler_that_keeps_no_session_will_do(project: Project) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    with pooler.before(project.cluster, "transaction") as pooled:
        command.succeeds(command.run("rotate", "--from-file", "-", database=pooled.url(), stdin=newer.reveal()))
        assert pooler.leftovers(pooled) == []
    assert project.stored() == newer.reveal()
    assert project.is_finished()


def test_nothing_to_resume_or_to_abort_is_no_failure(project: Project) -> None:
    for flag in ("--resume", "--abort"):
        done = command.succeeds(project.run("rotate", flag))
        assert "nothing was changed" in done.err
    assert project.gate.seen == []


def test_an_older_transaction_is_waited_for_before_the_proof(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that read the old key and has not queued its call yet would make it after the rotation."""
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    tick = clusters.connect(project.cluster)
    tick.execute("begin")
    tick.execute("select autosync.dispatch(%s, true)", [project.job_name])  # holds its call back until it commits

    waited: list[float] = []
    sleep = time.sleep

    def wait(seconds: float) -> None:
        if seconds != proof._POLL_SECONDS:
            sleep(seconds)
            return
        waited.append(seconds)
        if len(waited) == 3:
            tick.execute("commit")

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", wait)
        result = _replace(project, newer)
    tick.close()
    assert len(waited) >= 3
    assert result.note is None
    # a worker may send both at once
    assert sorted(project.gate.seen) == sorted([project.key.reveal(), newer.reveal()]), (
        "the older call came before the end"
    )


def test_a_transaction_that_does_not_end_is_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    monkeypatch.setattr(readers, "_PATIENCE_SECONDS", 0)
    with _held_open(project.cluster) as pid:
        result = _replace(project, newer)
    assert result.outcome == "rotated"
    assert result.note is not None
    assert str(pid) in result.note


@contextmanager
def _held_open(cluster: Cluster) -> Iterator[int]:
    with clusters.connect(cluster) as connection:
        connection.execute("begin")
        connection.execute("select 1 from autosync.job")
        yield connection.info.backend_pid


@pytest.mark.long
def test_nobody_who_listens_any_more_ends_no_rotation(project: Project) -> None:
    """Stderr is a pipe whose reader has gone: the new key is proven all the same, and 0 is true."""
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*command.PROGRAM, "rotate", "--from-file", "-"],
        env=command.environment(project.cluster.url()),
        input=newer.reveal(),
        stdout=subprocess.PIPE,
        stderr=writer,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, project.stored(), project.is_finished()) == (0, newer.reveal(), True)


@pytest.mark.parametrize("last", ["storing", "store", "making"])
def test_leaving_at_any_word_puts_the_old_key_back(project: Project, last: str) -> None:
    """Who talks may leave with SystemExit, as Rich does when nobody reads."""

    def say(text: str) -> None:
        if text.startswith(last):
            raise SystemExit(1)

    reporter = progress.Reporter(lambda step: say(step.name), say)
    with pytest.raises(SystemExit):
        rotation.replace(project.configuration, rotation.SERVICE_KEY, keys.secret(), preflight=False, reporter=reporter)
    assert (project.stored(), project.is_finished()) == (project.key.reveal(), True)


@pytest.mark.long
def test_setup_that_nobody_reads_does_not_say_that_all_is_well(project: Project) -> None:
    """The verdict is 3, whether or not somebody reads it."""
    project.owner.execute("update public.pg_cron_secrets set secret = %s where name = 'service_role_key'", ["k" * 30])
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*command.PROGRAM, "setup"],
        env=command.environment(project.cluster.url(), {"AUTOSYNC_JOB__SCHEDULE": health.NEVER}),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 3, done.stderr


def test_resume_that_is_interrupted_can_be_repeated_at_once(project: Project) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    assert lease.begin(project.owner, {"service_role_key": newer})
    project.lapse()

    def interrupted(*_: object) -> proof.Proof:
        raise KeyboardInterrupt

    with pytest.raises(StoppedError, match="the new value is active, and unproven as before"):
        rotation.resume(project.configuration, prove=interrupted, reporter=SILENT)
    assert project.stored() == newer.reveal()
    assert rotation.resume(project.configuration, reporter=SILENT).outcome == "finished"
