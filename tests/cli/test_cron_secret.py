"""`[function] auth = "cron_secret"`: generated, given to the function in a file, proven, rotated."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from autosync_db.credentials import cron_secret, lease, rotation, store
from autosync_db.errors import SecretError, UsageError
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from autosync_db.supabase import function as probe
from autosync_db.supabase.function import Verdict
from tests.cli.conftest import RARELY, forget
from tests.support import cases, clusters, command, keys
from tests.support.command import Result
from tests.support.http_stub import Request, Stub

HEADER = "x-autosync-cron-secret"
CRON_SECRET = '[function]\nauth = "cron_secret"\n'
KEY = "SUPABASE_SERVICE_ROLE_KEY"
SERVICE_KEY = '[function]\nauth = "service_key"\n'


@dataclass
class Function:
    """The function behind the stub: it lets in who shows the service key or a secret that it knows."""

    key: str
    known: list[str] = field(default_factory=list)
    refuses_posts: bool = False
    shown: list[str] = field(default_factory=list)

    def judge(self, request: Request) -> int:
        """Return the status for a request, as the shipped function answers it."""
        headers = request.headers
        by_secret, by_key = headers.get(HEADER), headers.get("apikey")
        if request.method == "POST":
            self.shown.append("cron secret" if by_secret else "service key" if by_key else "nothing")
        if by_secret not in self.known and by_key != self.key:
            return 401
        return 405 if request.method != "POST" else 401 if self.refuses_posts and by_secret else 200

    def read(self, path: Path) -> list[str]:
        """Take over an environment file as a deployment does, and return the secrets in it."""
        [line] = [line for line in path.read_text().splitlines() if line.startswith("AUTOSYNC_CRON_SECRET=")]
        self.known = line.partition("=")[2].split(",")
        return self.known


@dataclass
class Place:
    """A project, its function, and everything that the commands said."""

    cluster: Cluster
    stub: Stub
    function: Function
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, stdin: str = "", variables: dict[str, str] | None = None) -> Result:
        """Run a command and keep what it said."""
        chosen = {**RARELY, **(variables or {})}
        result = command.run(*arguments, database=self.cluster.url(), variables=chosen, stdin=stdin)
        self.said.append(result.out + result.err)
        return result

    def setup(self, *arguments: str, stdin: str = "", variables: dict[str, str] | None = None) -> Result:
        """Run setup with the stub's address."""
        return self.run("setup", "--project-url", self.stub.url, *arguments, stdin=stdin, variables=variables)

    def hand_over(self) -> list[str]:
        """Hand the secrets over to the function, and return them."""
        command.succeeds(self.run("secrets", "env", "cron.env"))
        return self.function.read(Path("cron.env"))

    def choose_secret(self) -> None:
        """Let the settings choose a cron secret, which the function gets and a call proves."""
        _choose(CRON_SECRET)
        self.setup()
        self.hand_over()
        command.succeeds(self.setup())

    def stored(self) -> dict[str, str]:
        """Return what is stored."""
        with clusters.connect(self.cluster) as connection:
            return dict(connection.execute("select name, secret from public.pg_cron_secrets").fetchall())


@pytest.fixture
def place(at_head: Cluster, stub: Stub) -> Iterator[Place]:
    """A project at head without secrets; nothing that any command says may hold one."""
    forget(at_head)
    function = Function(keys.secret().reveal())
    stub.judge = function.judge
    made = Place(at_head, stub, function)
    yield made
    values = {value for name, value in made.stored().items() if name != "project_url"} | set(function.known)
    assert not [value for value in values for text in made.said if value in text]


def _choose(text: str) -> None:
    Path("autosync.toml").write_text(text)


def test_a_new_project_needs_no_service_key(place: Place) -> None:
    _choose(CRON_SECRET)
    first = place.setup("--format", "json")
    assert first.code == 3, "nothing is proven yet"
    steps = {step["name"]: step["result"] for step in first.json()["steps"]}
    assert steps["call"] == "not made (the function does not know the cron secret yet)"
    assert steps["next"].startswith("autosync-db secrets env cron.env && supabase secrets set --env-file cron.env")
    assert place.stub.requests == []
    assert place.stored().keys() == {"project_url", "cron_secret"}

    [secret] = place.hand_over()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
    command.succeeds(place.setup())
    [call] = place.stub.requests
    assert call.headers[HEADER] == secret
    assert not {"authorization", "apikey"} & call.headers.keys()

    again = command.succeeds(place.setup())
    assert again.ticked == ["database", "verify"], "every other step found nothing to do"
    assert len(place.stub.requests) == 1


def test_a_function_that_does_not_know_it_is_named_with_the_command(place: Place) -> None:
    _choose(CRON_SECRET)
    place.setup()
    result = place.setup("--format", "json")
    assert result.code == 3
    assert "function_accepts_key" in result.json()["verify"]["root_causes"]
    assert "autosync-db secrets env" in result.json()["steps"][-1]["result"]


def test_a_secret_that_the_function_knows_already_needs_one_run(place: Place) -> None:
    _choose(CRON_SECRET)
    own = cron_secret.generate()
    place.function.known = [own.reveal()]
    command.succeeds(place.setup("--cron-secret-file", "-", stdin=own.reveal() + "\n"))
    assert place.stored()["cron_secret"] == own.reveal()
    assert place.function.shown == ["cron secret"]


class TestSwitch:
    """A project whose calls work with the service key."""

    @pytest.fixture
    def working(self, place: Place) -> Place:
        """The project with its key stored and proven."""
        command.succeeds(place.setup("--service-role-key-file", "-", stdin=place.function.key))
        place.function.shown.clear()
        return place

    def test_calls_go_on_with_the_key_until_the_function_knows_the_secret(self, working: Place) -> None:
        _choose(CRON_SECRET)
        assert working.setup().code == 3
        command.succeeds(working.run("jobs", "trigger"))
        assert working.function.shown == ["service key"]

        working.hand_over()
        command.succeeds(working.setup())
        command.succeeds(working.run("jobs", "trigger"))
        assert working.function.shown == ["service key", "cron secret", "cron secret"]
        done = command.succeeds(working.run("verify", "-v"))
        assert "no job sends it any more" in done.out

    @pytest.mark.long
    def test_a_secret_that_the_function_does_not_know_is_never_sent_by_a_tick(self, working: Place) -> None:
        _choose(CRON_SECRET)
        for _ in range(2):
            assert working.setup().code == 3
        command.succeeds(working.run("jobs", "trigger"))
        assert set(working.function.shown) == {"service key"}

    @pytest.mark.long
    def test_what_a_real_call_refuses_is_put_back(self, working: Place) -> None:
        _choose(CRON_SECRET)
        working.setup()
        working.hand_over()
        working.function.refuses_posts = True
        message = command.refused(working.setup("-q"), 6)
        assert "the function refused the cron secret with 401" in message
        working.function.shown.clear()
        command.succeeds(working.run("jobs", "trigger"))
        assert working.function.shown == ["service key"]

    @pytest.mark.long
    def test_the_way_back(self, working: Place) -> None:
        working.choose_secret()
        _choose(SERVICE_KEY)
        command.succeeds(working.setup())
        command.succeeds(working.run("jobs", "trigger"))
        assert working.function.shown[-1] == "service key"

    @pytest.mark.long
    def test_settings_that_say_nothing_change_nothing(self, working: Place) -> None:
        working.choose_secret()
        _choose("")
        command.succeeds(working.setup())
        command.succeeds(working.run("jobs", "trigger"))
        assert working.function.shown[-1] == "cron secret"

    @pytest.mark.long
    def test_a_key_that_no_call_shows_is_not_rotated(self, working: Place) -> None:
        working.choose_secret()
        _choose("")
        result = working.run("rotate", "--from-file", "-", stdin=keys.secret().reveal())
        assert "no call carries the service key" in command.refused(result, 2)

    def test_only_a_cron_secret_can_be_made(self, working: Place) -> None:
        assert "which cannot be made here" in command.refused(working.run("rotate", "--generate"), 2)


class TestRotation:
    """A project whose function knows its cron secret."""

    @pytest.fixture
    def working(self, place: Place) -> Place:
        """The project with its first secret proven."""
        place.choose_secret()
        return place

    def test_a_new_secret_is_made_handed_over_and_proven(self, working: Place) -> None:
        [old] = working.function.known
        made = command.succeeds(working.run("rotate", "--generate"))
        assert "autosync-db secrets env cron.env" in made.err
        assert working.stored()["cron_secret"] == old

        before, new = working.hand_over()
        assert (before, new) == (old, working.stored()["cron_secret_next"])
        done = command.succeeds(working.run("rotate", "--generate", "--format", "json")).json()
        assert done["outcome"] == "rotated"
        assert working.stored()["cron_secret"] == new
        assert "cron_secret_next" not in working.stored()
        assert working.stub.requests[-1].headers[HEADER] == new

        assert working.hand_over() == [new], "the function does not need the old one any more"
        command.succeeds(working.run("jobs", "trigger"))

    def test_a_function_that_does_not_know_it_keeps_the_old_one_active(self, working: Place) -> None:
        [old] = working.function.known
        working.run("rotate", "--generate")
        result = working.run("rotate", "--generate", "-q")
        assert "the function refused the new cron secret" in command.refused(result, 6)
        assert "autosync-db secrets env" in result.hints[0]
        assert working.stored()["cron_secret"] == old
        command.succeeds(working.run("jobs", "trigger"))
        assert working.hand_over() == [old, working.stored()["cron_secret_next"]], "the new one waits where it was"

    def test_a_new_secret_can_be_abandoned(self, working: Place) -> None:
        [old] = working.function.known
        working.run("rotate", "--generate")
        done = command.succeeds(working.run("rotate", "--abort", "--format", "json")).json()
        assert (done["outcome"], done["changes"][0]["name"]) == ("abandoned", "cron_secret_next")
        assert working.hand_over() == [old], "the function needs no other"
        assert "nothing was changed" in command.succeeds(working.run("rotate", "--abort")).err

    @pytest.mark.long
    def test_what_a_killed_rotation_left_is_made_again(self, working: Place) -> None:
        with clusters.connect(working.cluster) as connection:
            connection.execute(
                "insert into public.pg_cron_secrets (name, secret)"
                " select 'cron_secret_next', secret from public.pg_cron_secrets where name = 'cron_secret'"
            )
        command.succeeds(working.run("rotate", "--generate"))
        assert len(set(working.hand_over())) == 2

    @pytest.mark.long
    def test_a_killed_one_is_proven_and_no_other_is_made(self, working: Place) -> None:
        [old] = working.function.known
        working.run("rotate", "--generate")
        _, new = working.hand_over()
        with clusters.connect(working.cluster) as connection:
            assert lease.begin(connection, {"cron_secret": Secret(new)})
            said = command.refused(working.run("rotate", "--generate", "-q"), 5)
            assert "is under way since" in said
            assert working.stored()["cron_secret_next"] == new, "a run beside it changes nothing"
            connection.execute("update autosync.secret_rotation set lease_expires_at = '2000-01-01'")
        assert working.hand_over() == [new, old], "it may be put back"
        done = command.succeeds(working.run("rotate", "--generate", "--format", "json")).json()
        assert done["outcome"] == "rotated"
        assert working.stored()["cron_secret"] == new
        assert "cron_secret_next" not in working.stored()
        assert working.hand_over() == [new]

    @pytest.mark.long
    def test_one_that_was_made_meanwhile_is_not_deleted(self, working: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        working.run("rotate", "--generate")
        working.hand_over()
        other, replace = cron_secret.generate(), rotation.replace

        def meanwhile(*arguments: Any, **named: Any) -> rotation.Result:
            with clusters.connect(working.cluster) as connection:
                store.store(connection, {cron_secret.NEXT: other})
            return replace(*arguments, **named)

        monkeypatch.setattr(rotation, "replace", meanwhile)
        command.succeeds(working.run("rotate", "--generate"))
        assert working.stored()["cron_secret_next"] == other.reveal()

    @pytest.mark.long
    def test_what_another_job_shows_is_neither_deleted_nor_replaced_by_accident(self, working: Place) -> None:
        variables = {"AUTOSYNC_JOB__NAME": "other", "AUTOSYNC_FUNCTION__AUTH": "service_key"}
        [own] = working.function.known
        with clusters.connect(working.cluster) as connection:
            connection.execute(
                "insert into autosync.job (name, function, schedule) values ('other', 'other', '0 0 1 1 *')"
            )
        try:
            result = working.run("secrets", "delete", "cron_secret", "-q", variables=variables)
            assert "Jobs need cron_secret" in command.refused(result, 2)
            variables["AUTOSYNC_FUNCTION__AUTH"] = "cron_secret"
            result = working.run(
                "setup", "--cron-secret-file", "-", "-q",
                stdin=cron_secret.generate().reveal(), variables=variables,
            )  # fmt: skip
            assert "another job's calls carry the cron secret" in command.refused(result, 2)
            assert working.stored()["cron_secret"] == own
            result = working.run(
                "setup", "--project-url", "http://127.0.0.1:1", "--service-role-key-file", "-", "-q", "--no-wait",
                stdin=keys.secret().reveal(), variables=variables | {"AUTOSYNC_FUNCTION__AUTH": "service_key"},
            )  # fmt: skip
            with clusters.connect(working.cluster) as connection:
                names = {one.name for one in lease.unfinished(connection)}
            assert names == {"project_url", "service_role_key"}, "the first job's address can be put back"
        finally:
            with clusters.connect(working.cluster) as connection:
                connection.execute("select cron.unschedule(j.jobid) from cron.job as j where j.jobname = 'other'")
                connection.execute("delete from autosync.job where name = 'other'")

    @pytest.mark.long
    def test_one_that_was_made_elsewhere_is_proven_too(self, working: Place) -> None:
        other = cron_secret.generate().reveal()
        working.function.known.append(other)
        command.succeeds(working.run("rotate", "--from-file", "-", stdin=other))
        assert working.stored()["cron_secret"] == other


def test_what_is_no_cron_secret_is_refused_and_not_quoted() -> None:
    for value in ("short", "a" * 31, "a b" * 20, "a," * 30, keys.secret().reveal(), keys.legacy().reveal(), "ü" * 40):
        with pytest.raises(SecretError) as caught:
            cron_secret.inspect(Secret(value))
        assert value not in f"{caught.value.message} {caught.value.hint}"


def test_the_file_is_the_owners_alone_and_keeps_its_other_lines(tmp_path: Path) -> None:
    path = tmp_path / "functions.env"
    path.write_text("OTHER=1\nexport AUTOSYNC_CRON_SECRET=old\n# end\n")
    path.chmod(0o644)
    assert cron_secret.write_environment(path, [Secret("one"), Secret("two")])
    assert path.read_text() == "OTHER=1\n# end\nAUTOSYNC_CRON_SECRET=one,two\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not cron_secret.write_environment(path, [Secret("one"), Secret("two")])
    # a link stays one, and lines of Windows theirs
    path.write_bytes(b"OTHER=1\r\n")
    (tmp_path / "link.env").symlink_to(path)
    assert cron_secret.write_environment(tmp_path / "link.env", [Secret("one")])
    assert (tmp_path / "link.env").is_symlink()
    assert path.read_bytes() == b"OTHER=1\r\nAUTOSYNC_CRON_SECRET=one\r\n"
    # what shows it to whoever reads a terminal, a pipe or the log of a pipeline is no file to keep it in
    os.mkfifo(tmp_path / "pipe.env")
    for place in (tmp_path / "pipe.env", Path("/dev/null")):
        with pytest.raises(UsageError, match="is no regular file"):
            cron_secret.write_environment(place, [Secret("one")])


def test_only_a_public_key_goes_beside_it(place: Place) -> None:
    refused = place.run("secrets", "set", "gateway_key", "--from-file", "-", stdin=keys.secret().reveal())
    assert "must be a public key" in command.refused(refused, 6)
    command.succeeds(place.run("secrets", "set", "gateway_key", "--from-file", "-", stdin=keys.legacy("anon").reveal()))


def test_a_public_key_that_cannot_work_is_not_stored(place: Place) -> None:
    with clusters.connect(place.cluster) as connection:
        store.store(connection, {"project_url": Secret(f"https://{keys.PROJECT_REF}.supabase.co")})
    with cases.collected() as case:
        for name, value, reason in (
            ("blanks", "sb_publishable_" + "p" * 20 + " x" * 9, "must be a public key"),
            ("another project", keys.legacy("anon", ref=keys.PROJECT_REF[::-1]).reveal(), "belongs to the project"),
            ("expired", keys.legacy("anon", expires_in=-60).reveal(), "has expired"),
        ):
            with case(name):
                result = place.run("secrets", "set", "gateway_key", "--from-file", "-", "-q", stdin=value)
                assert reason in command.refused(result, 6)
                assert "gateway_key" not in place.stored()


@pytest.mark.long
def test_a_file_with_other_lines_is_not_to_be_deleted(place: Place) -> None:
    _choose(CRON_SECRET)
    Path("cron.env").write_text("OTHER=1\nAUTOSYNC_CRON_SECRET=x\n")
    steps = place.setup("--format", "json").json()["steps"]
    assert "rm -f" not in steps[-1]["result"]
    Path("cron.env").write_text("AUTOSYNC_CRON_SECRET=x\n")
    steps = place.setup("--format", "json").json()["steps"]
    assert "; rm -f cron.env" in steps[-1]["result"]


def test_an_unauthenticated_call_comes_through_the_gateway_too(stub: Stub) -> None:
    """What the gateway wants of everybody is no credential, so a function behind it need not be called."""
    own, public = cron_secret.generate(), keys.legacy("anon")

    def judge(request: Request) -> int:
        stub.answer(error_code=None if "authorization" in request.headers else "UNAUTHORIZED_NO_AUTH_HEADER")
        return 405 if request.headers.get(HEADER) == own.reveal() else 401

    stub.judge = judge
    shown = {HEADER: own.reveal(), "authorization": f"Bearer {public.reveal()}"}
    found = probe.preflight(stub.url, "any", shown, timedelta(seconds=5))
    assert (found.verdict, [request.method for request in stub.requests]) == (Verdict.ACCEPTED, ["GET", "GET"])


class TestTwoJobsWithTwoCredentials:
    """The guide's job with one credential, a report with the other."""

    REPORT = "[jobs.report]\nfunction = 'report'\nschedule = '58 23 31 12 *'\nauth = "

    @pytest.fixture
    def two(self, place: Place) -> Iterator[Place]:
        yield place
        command.succeeds(place.run("jobs", "remove", "report", "--yes"))

    @pytest.mark.long
    def test_each_function_gets_its_own_once_it_knows_it(self, two: Place) -> None:
        _choose(f"{self.REPORT}'cron_secret'\n")
        first = two.setup("--service-role-key-file", "-", stdin=two.function.key)
        assert first.code == 3
        assert "the calls of report go on with the service key" in first.err
        assert two.function.shown == ["service key"]
        two.hand_over()
        assert "the calls of report show the cron secret" in command.succeeds(two.setup()).err
        two.function.shown.clear()
        command.succeeds(two.run("jobs", "trigger", "report"))
        assert two.function.shown == ["cron secret"]
        assert command.succeeds(two.setup()).ticked == ["database", "verify"], "every other step found nothing to do"

        old = two.stored()["cron_secret"]
        command.succeeds(two.run("rotate", "--job", "report", "--generate"))
        two.hand_over()
        command.succeeds(two.run("rotate", "--job", "report", "--generate"))
        assert two.stored()["cron_secret"] != old
        assert two.function.shown[1:] == ["cron secret"], "proven by a call of the job that carries it"
        listed = command.succeeds(two.run("secrets", "list", "--format", "json")).json()
        names = {"project_url", "service_role_key", "cron_secret"}
        assert {one["name"]: one["is_needed"] for one in listed} == dict.fromkeys(names, True)

    @pytest.mark.long
    def test_a_key_that_the_main_job_does_not_carry_is_proven_by_one_that_does(self, two: Place) -> None:
        _choose(f"{CRON_SECRET}{self.REPORT}'service_key'\n")
        own = cron_secret.generate()
        two.function.known = [own.reveal()]
        command.succeeds(two.setup("--cron-secret-file", "-", stdin=own.reveal(), variables={KEY: two.function.key}))
        command.succeeds(two.run("jobs", "trigger", "report"))
        two.function.shown.clear()
        message = command.refused(two.setup("-q", variables={KEY: keys.secret().reveal()}), 6)
        assert "the previous value is active again" in message
        assert two.stored()["service_role_key"] == two.function.key
        assert two.function.shown == ["cron secret", "service key"]
