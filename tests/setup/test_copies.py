"""A copy of another project's database: one silent state, and a project of its own without a trace of its source."""

import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from autosync_db.config import Target
from autosync_db.jobs import binding
from autosync_db.jobs.binding import Inherited
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from autosync_db.setup import run, situation
from tests.support import clusters, command, keys
from tests.support.command import Result
from tests.support.http_stub import Stub

PARENT, OWN, THIRD = keys.PROJECT_REF, keys.PROJECT_REF[::-1], "q" * 20
CHECK = "database_is_the_bound_one"
OFF = f"inherited from {PARENT}, off on purpose"
RARELY = {"AUTOSYNC_JOB__SCHEDULE": "59 23 31 12 *"}
TICK, HOUSE = "select autosync.dispatch()", "select autosync.keep_house()"
# what is handed to pg_net at all, kept from its worker
_RECORD = """
create table public.handed_over (url text, headers jsonb);
create function public.keep_handed_over() returns trigger language plpgsql security definer as $$
begin insert into public.handed_over values (new.url, new.headers); return new; end $$;
create trigger keep_handed_over before insert on net.http_request_queue
    for each row execute function public.keep_handed_over();
"""


@dataclass
class Copy:
    """A running copy of PARENT's database with PARENT's secrets; by its address it is that of OWN."""

    cluster: Cluster
    secrets: dict[str, str]
    own_key: Secret

    @property
    def url(self) -> Secret:
        """Its address as a hosted project has it."""
        password = self.cluster.passwords["postgres"]
        return Secret(
            f"host=db.{OWN}.supabase.co hostaddr=127.0.0.1 port={self.cluster.port} user=postgres dbname=postgres"
            f" password='{password}'"
        )

    def run(self, *arguments: str, stdin: str = "", variables: Mapping[str, str] | None = None) -> Result:
        return command.run(*arguments, database=self.url, stdin=stdin, variables=RARELY | dict(variables or {}))

    def rebind(self, *arguments: str, key: Secret | None = None) -> Result:
        stdin = (key or self.own_key).reveal()
        return self.run("setup", "--rebind", "--service-role-key-file", "-", *arguments, stdin=stdin)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with clusters.connection(self.cluster, "supabase_admin") as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def tick(self, statement: str = TICK) -> str:
        """Do what pg_cron does; return what it would write down."""
        try:
            with clusters.connection(self.cluster) as connection:
                connection.execute(statement.encode())
        except psycopg.Error as error:
            return f"failed: {error.diag.message_primary}"
        return "succeeded"

    @property
    def handed_over(self) -> list[tuple[Any, ...]]:
        return self.rows("select url, headers from public.handed_over")

    def verified(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        done = self.run("verify", "--format", "json", *arguments)
        return done.code, done.json()


@pytest.fixture(scope="module")
def source(quiet_template: Cluster) -> Iterator[Cluster]:
    """A stopped project that is bound to PARENT, whose function needs its key and whose gateway a public one."""
    with clusters.cloned(quiet_template) as made:
        done = command.run(
            "setup", "--no-wait", "--project-ref", PARENT, "--service-role-key-file", "-",
            database=made.url(), variables=RARELY, stdin=keys.secret().reveal(),
        )  # fmt: skip
        command.succeeds(done)
        with clusters.connection(made, "supabase_admin") as connection:
            connection.execute(
                "insert into public.pg_cron_secrets (name, secret) values ('gateway_key', %s), ('cron_secret', %s)",
                ["sb_publishable_" + "p" * 30, "c" * 40],
            )
            connection.execute(
                "insert into autosync.job (name, url, auth, schedule) values"
                " ('partner', 'https://partner.example.com/hook', 'none', '59 23 31 12 *')"
            )
            connection.execute(_RECORD)
        made.stop()
        yield made


@pytest.fixture
def copy(source: Cluster) -> Iterator[Copy]:
    with clusters.cloned(source) as made, clusters.connection(made, "supabase_admin") as connection:
        connection.execute("update cron.job set nodeport = %s", [made.port])
        secrets = dict(connection.execute("select name, secret from public.pg_cron_secrets").fetchall())
        yield Copy(made, secrets, keys.secret())


def set_up(done: Result) -> Result:
    """Return the result of a set-up after which all is well, but for the trigger of these tests."""
    causes = re.findall(r"^(?:warning|unknown|critical)  (\S+)", done.out, re.MULTILINE)
    assert causes == ["no_triggers_on_net_tables"], done
    return done


@contextmanager
def under_fire(copy: Copy) -> Iterator[list[str]]:
    """Let ticks and housekeeping come one after the other for the time of the block; yield what became of them."""
    ended, outcomes = threading.Event(), list[str]()

    def fire() -> None:
        while not ended.is_set():
            outcomes.append(copy.tick())
            copy.tick("select autosync.dispatch('partner')")
            copy.tick(HOUSE)

    thread = threading.Thread(target=fire)
    thread.start()
    try:
        yield outcomes
    finally:
        ended.set()
        thread.join()


def _first(monkeypatch: pytest.MonkeyPatch, moment: str, act: Callable[[], object]) -> None:
    """Let something happen once, right before a set-up migrates, or begins with what it has decided."""
    room, name = {"migrates": (run, "_migrate"), "begins": (situation, "has_worked")}[moment]
    go_on = getattr(room, name)

    def late(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(room, name, go_on)
        act()
        return go_on(*arguments, **named)

    monkeypatch.setattr(room, name, late)


def test_a_copy_is_one_state_with_one_next_step_for_every_command(copy: Copy) -> None:
    # before anybody knows, nothing tells it from its source
    assert copy.tick() == "succeeded"
    code, report = copy.verified()
    assert (code, report["status"]) == (3, "critical")
    assert CHECK in report["root_causes"]
    assert f"is inherited from {PARENT}, and calls it from here" in str(report)

    said = command.succeeds(copy.run("migrate")).err
    next_step = f"autosync-db setup --rebind --project-ref {OWN} --service-role-key-file PATH"
    assert OFF in said
    assert next_step in said
    handed_over = copy.handed_over
    for statement in (TICK, "select autosync.dispatch('partner')", "select autosync.dispatch('partner', true)"):
        assert copy.tick(statement).startswith("failed: no call is made: database postgres is " + OFF)
    assert copy.tick(HOUSE) == "succeeded"
    assert copy.handed_over == handed_over
    assert copy.rows("select id from net.http_request_queue") == [], "what was queued is taken back"

    # some checks fail for what nobody minds in a copy: the tick that failed is one
    copy.rows("update cron.job set active = false")
    code, report = copy.verified()
    assert (code, report["status"], report["root_causes"]) == (0, "warning", [CHECK]), report
    assert copy.verified("--strict")[0] == 3
    assert copy.verified("--only", "job_active")[1]["checks"][0]["blocked_by"] == [CHECK]
    [row] = [row for row in report["checks"] if row["id"] == CHECK]
    assert next_step in row["remedy"]
    [facts] = [item["facts"] for item in row["evidence"]]
    assert (facts["reason"], facts["project"], facts["ref"]) == ("inherited", PARENT, OWN)
    for arguments, code in (
        (("verify",), 0), (("status",), 0), (("plan", "--check"), 0), (("jobs", "list"), 0), (("runs",), 0),
        (("jobs", "show", "partner"), 0), (("setup",), 2), (("jobs", "trigger", "auto-sync-cron-job"), 3),
        (("jobs", "trigger", "partner"), 3), (("verify", "--probe", "--wait", "10m"), 0),
    ):  # fmt: skip
        done = copy.run(*arguments)
        text = done.out + done.err
        assert (done.code, OFF in text, next_step in text) == (code, True, True), (arguments, done)
    rotated = copy.run("rotate", "--from-file", "-", stdin=copy.own_key.reveal())
    assert OFF in command.refused(rotated, 6)
    assert f"off: inherited from {PARENT}" in copy.run("jobs", "list").out
    assert copy.run("plan", "--format", "json").json()["inherited"]["project"] == PARENT
    assert copy.run("status", "--format", "json").json()["inherited"]["project"] == PARENT
    assert copy.handed_over == handed_over


@pytest.mark.long
def test_where_the_file_says_that_a_job_runs_its_silence_fails(copy: Copy) -> None:
    job = {"AUTOSYNC_JOBS__NIGHTLY__" + key: value for key, value in (("SQL", "select 1"), ("SCHEDULE", "0 3 * * *"))}
    command.succeeds(copy.run("migrate"))
    settings = f'[targets.live]\nproject_ref = "{OWN}"\n[targets.dev]\nproject_ref = "{THIRD}"\n'
    Path("autosync.toml").write_text(settings)
    for targets, code in (('["live"]', 3), ('["live", "dev"]', 3)):
        variables = {**job, "AUTOSYNC_JOBS__NIGHTLY__TARGETS": targets}
        done = copy.run("verify", "--target", "live", variables=variables)
        assert (done.code, "by autosync.toml a job runs on this target" in done.out) == (code, True), done


class TestRebind:
    """`setup --rebind` of a copy: what is used is its own, from the first moment on, and it is silent until proven."""

    @pytest.mark.long
    def test_nothing_of_the_parents_is_handed_over_under_ticks_and_housekeeping(self, copy: Copy, stub: Stub) -> None:
        assert copy.tick() == "succeeded", "a call that pg_net has not sent when the copy is noticed"
        copy.rows("truncate public.handed_over")
        copy.rows("update autosync.job set retry_attempts = 5")
        # a heartbeat of the copy would say that the parent's job works
        copy.rows(
            "insert into autosync.alert_receiver (kind, form, secret_name)"
            " values ('heartbeat', 'get', 'alert_heartbeat');"
            f" insert into public.pg_cron_secrets values ('alert_heartbeat', 'https://{PARENT}.example.com/beat')"
        )
        # a rotate --auto of the parent's that was at work when the copy was taken
        copy.rows(
            "insert into autosync.key_rotation (made, subject, project_ref, token, lease_expires_at)"
            f" values ('autosync_made', 'service_role_key', '{PARENT}', gen_random_uuid(), now() + interval '1 hour')"
        )
        with clusters.pg_net_worker(copy.cluster), under_fire(copy) as outcomes:
            # whoever names no project means that of the database's own address
            done = set_up(copy.rebind("--project-url", stub.url))
            clusters.wait_for(lambda: outcomes[-1:] == ["succeeded"], "a tick that calls the own project")
        assert f"bound to {OWN}" in done.err
        used = str(copy.handed_over) + str([(one.path, one.headers) for one in stub.requests])
        assert copy.own_key.reveal() in used
        # before the first command knew that it is a copy, a tick may have been under way
        early = [url for url, _ in copy.handed_over if PARENT in url]
        assert len(early) <= outcomes.index(next(one for one in outcomes if one != "succeeded"), 0) + 1
        assert copy.rows(
            "select value ->> 'project_ref', value ? 'proving' from autosync.setting where name = 'binding'"
        ) == [(OWN, False)]
        # the keys that no own value replaced are gone
        assert copy.rows("select name from public.pg_cron_secrets order by 1") == [
            ("project_url",),
            ("service_role_key",),
        ]
        assert "deleted gateway_key" in done.err
        assert "deleted the receiver alert_heartbeat" in done.err
        assert copy.rows("select kind from autosync.alert_receiver") == []
        assert copy.rows("select made from autosync.key_rotation") == []
        code, report = copy.verified("--only", CHECK)
        assert (code, report["status"]) == (0, "ok"), report
        with clusters.pg_net_worker(copy.cluster):
            assert "not repeated" in set_up(copy.run("setup")).err

    @pytest.mark.parametrize("status", [401, pytest.param(500, marks=pytest.mark.long)])
    def test_a_failed_proof_leaves_it_silent(self, copy: Copy, stub: Stub, status: int) -> None:
        stub.answer(status)
        command.succeeds(copy.run("migrate"))
        with clusters.pg_net_worker(copy.cluster), under_fire(copy) as outcomes:
            assert copy.rebind("--project-url", stub.url).code == 6
        assert [one for one in outcomes if not one.startswith("failed: no call is made")] == []
        assert {url.split("/functions")[0] for url, _ in copy.handed_over} == {stub.url}
        assert copy.secrets["service_role_key"] not in str(copy.handed_over)
        assert len(stub.requests) == 1
        assert copy.tick().startswith("failed: no call is made: database postgres is " + OFF)
        # and again, once the cause is gone
        stub.answer(200)
        with clusters.pg_net_worker(copy.cluster):
            set_up(copy.rebind("--project-url", stub.url))
        assert copy.tick() == "succeeded"

    @pytest.mark.parametrize("moment", ["before", pytest.param("during", marks=pytest.mark.long)])
    def test_killed_it_is_silent_and_the_next_one_ends_it(self, copy: Copy, stub: Stub, moment: str) -> None:
        stub.answer(200, delay_seconds=20)
        with clusters.pg_net_worker(copy.cluster), clusters.connection(copy.cluster) as other:
            if moment == "before":
                # it waits for what may be a tick when the kill comes, after it has silenced the copy
                other.execute("begin; select from autosync.job")
            process = subprocess.Popen(
                [*command.PROGRAM, "setup", "--rebind", "--project-url", stub.url, "--service-role-key-env", "KEY"],
                env=command.environment(copy.url, {**RARELY, "KEY": copy.own_key.reveal()}),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            if moment == "before":
                marked = "select value ->> 'inherited_by' from autosync.setting where name = 'binding'"
                clusters.wait_for(lambda: copy.rows(marked) == [(OWN,)], "the mark")
            else:
                clusters.wait_for(lambda: stub.requests, "the call that is to prove it")
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=20)
            other.execute("rollback")
            stub.release.set()
            outcome = copy.tick()
            reason = OFF if moment == "before" else "that this copy has a project of its own now is not proven yet"
            assert outcome.startswith("failed: no call is made: "), outcome
            assert reason in outcome
            assert copy.tick(HOUSE) == "succeeded"
            assert copy.verified()[0] == (0 if moment == "before" else 3)
            assert not [url for url, _ in copy.handed_over if PARENT in url]
            copy.rows("update autosync.secret_rotation set lease_expires_at = now() - interval '1 second'")
            stub.answer(200)
            set_up(copy.rebind("--project-url", stub.url))
            assert copy.tick() == "succeeded"
            assert copy.secrets["service_role_key"] not in str(copy.handed_over)

    @pytest.mark.parametrize("moment", ["migrates", pytest.param("begins", marks=pytest.mark.long)])
    def test_what_the_project_got_of_its_own_meanwhile_is_not_deleted(
        self, copy: Copy, stub: Stub, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        """Of two set-ups the second has looked at the copy before the first one gives it a project of its own."""

        def another_comes_first() -> None:
            set_up(copy.rebind("--project-url", stub.url))
            receiver = ("alerts", "set", "webhook", "--from-file", "-")
            command.succeeds(copy.run(*receiver, stdin=f"https://{OWN}.example.com/hook"))
            public = ("secrets", "set", "gateway_key", "--from-file", "-")
            command.succeeds(copy.run(*public, stdin="sb_publishable_" + "o" * 30))

        _first(monkeypatch, moment, another_comes_first)
        with clusters.pg_net_worker(copy.cluster):
            late = copy.rebind("--project-url", stub.url)
        names = [name for (name,) in copy.rows("select name from public.pg_cron_secrets order by 1")]
        assert names == ["alert_webhook", "gateway_key", "project_url", "service_role_key"], late
        assert copy.rows("select kind from autosync.alert_receiver") == [("webhook",)]
        assert copy.tick() == "succeeded"
        if moment == "begins":
            assert f"this database was bound to {OWN} while this command was at work" in command.refused(late, 5)

    def test_a_secret_that_somebody_replaces_meanwhile_is_not_deleted(
        self, copy: Copy, stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = "sb_publishable_" + "o" * 30
        replacing = f"update public.pg_cron_secrets set secret = '{own}' where name = 'gateway_key'"
        _first(monkeypatch, "begins", lambda: copy.rows(replacing))
        late = copy.rebind("--project-url", stub.url)
        assert 'the secret "gateway_key" was changed while this command was at work' in command.refused(late, 5)
        stored = dict(copy.rows("select name, secret from public.pg_cron_secrets"))
        assert stored == copy.secrets | {"gateway_key": own}
        assert copy.tick().startswith("failed: no call is made")

    def test_it_is_refused_before_anything_is_used(self, copy: Copy) -> None:
        before = copy.rows("select * from public.pg_cron_secrets order by 1")
        parents = Secret(copy.secrets["service_role_key"])
        assert "the given key is the one that the copy came with" in command.refused(copy.rebind(key=parents), 6)
        assert "a copy needs its own key" in command.refused(copy.run("setup", "--rebind"), 6)
        other = copy.rebind("--project-ref", PARENT)
        assert f"this is the database of the project {OWN}, not of {PARENT}" in command.refused(other, 2)
        legacy = copy.rebind(key=keys.legacy(ref=PARENT))
        assert legacy.code == 6
        bare = command.run("setup", "--rebind", database=copy.cluster.url(), variables=RARELY)
        assert "the project to bind to is not known" in command.refused(bare, 2)
        assert copy.rows("select * from public.pg_cron_secrets order by 1") == before
        assert copy.handed_over == []

    @pytest.mark.long
    def test_with_a_cron_secret_it_gets_one_of_its_own_and_waits_until_that_is_handed_over(
        self, copy: Copy, stub: Stub
    ) -> None:
        by_secret = {"AUTOSYNC_JOB__AUTH": "cron_secret"}
        arguments = ("setup", "--rebind", "--project-url", stub.url)
        with clusters.pg_net_worker(copy.cluster):
            first = copy.run(*arguments, variables=by_secret)
            assert first.code == 3, first
            assert "then this command again" in first.err
            assert "not proven yet" in copy.tick()
            assert stub.requests == []
            set_up(copy.run(*arguments, variables=by_secret))
        [request] = stub.requests
        assert request.headers["x-autosync-cron-secret"] != copy.secrets["cron_secret"]
        assert copy.tick() == "succeeded"


@pytest.mark.long
def test_a_branch_without_data_has_no_binding_and_is_set_up_as_any_project(migrated: Cluster, stub: Stub) -> None:
    bare = Copy(migrated, {}, keys.secret())
    assert binding.stored(clusters.connect(migrated)) is None
    assert "inherited" not in bare.run("verify").out
    with clusters.pg_net_worker(migrated):
        done = bare.run("setup", "--project-url", stub.url, "--service-role-key-file", "-", stdin=bare.own_key.reveal())
        assert f"to the project {OWN}" in command.succeeds(done).err
        assert len(stub.requests) == 1


@pytest.mark.long
def test_a_copy_of_a_project_without_a_ref_is_named_by_its_address(migrated: Cluster, stub: Stub) -> None:
    """Nothing silences it unasked: a domain that changed looks the same. With --rebind it is a copy like any other."""
    old, new = stub.url, stub.url.replace("127.0.0.1", "localhost")
    Path("autosync.toml").write_text(
        f'[targets.production]\nproject_url = "{old}"\n[targets.staging]\nproject_url = "{new}"\n'
    )
    sources, own = keys.secret(), keys.secret()

    def run(target: str, *arguments: str, key: Secret | None = None) -> Result:
        words = ("--service-role-key-file", "-") if key else ()
        stdin = key.reveal() if key else ""
        where = ("--target", target, *words)
        return command.run(*arguments, *where, database=migrated.url(), variables=RARELY, stdin=stdin)

    def host(number: int = -1) -> str:
        return str(stub.requests[number].headers["host"]).partition(":")[0]

    copy = Copy(migrated, {}, own)
    with clusters.pg_net_worker(migrated):
        command.succeeds(run("production", "setup", key=sources))
        assert run("production", "plan", "--check").code == 0
        assert run("production", "verify", "--only", CHECK, "--strict").code == 0
        # whoever looks at it as staging
        seen = run("staging", "verify", "--only", CHECK, "--format", "json")
        [row] = seen.json()["checks"]
        assert (seen.code, row["status"], row["evidence"][0]["facts"]["reason"]) == (0, "warning", "other_address")
        assert f"is {old}, and autosync.toml has {new} for the target staging" in row["summary"]
        planned = run("staging", "plan", "--check")
        assert (planned.code, "[targets.staging]  set     project_url" in planned.out) == (5, True), planned.out
        assert "is the one that the copy came with" in command.refused(
            run("staging", "setup", "--rebind", key=sources), 6
        )
        assert copy.tick() == "succeeded"
        stub.answer(401)
        assert run("staging", "setup", "--rebind", key=own).code == 6
        assert f"failed: no call is made: database postgres is inherited from 127.0.0.1, {OFF[-14:]}" in copy.tick()
        assert OFF[-14:] in command.refused(run("staging", "setup"), 2)
        stub.answer(200)
        calls = len(stub.requests)
        copy.rows(
            "insert into public.pg_cron_secrets values ('partner_token', 'p'), ('old_token', 'o');"
            " insert into autosync.job (name, url, auth, secret_name, secret_header, schedule)"
            " values ('partner', 'https://partner.example.com/', 'secret', 'partner_token', 'x-token', '59 23 31 12 *')"
        )
        said = command.succeeds(run("staging", "setup", "--rebind", key=own)).err
        kept, where = "is still that of 127.0.0.1, and", "--target staging"
        assert f"old_token {kept} no job sends it; delete it with: autosync-db secrets delete {where} old_token" in said
        assert f"{kept} partner sends it; replace it with: autosync-db secrets set {where} partner_token" in said
    assert {(host(n), stub.requests[n].headers["apikey"]) for n in range(calls, len(stub.requests))} == {
        ("localhost", own.reveal())
    }
    assert copy.tick() == "succeeded"
    assert "project_url" not in run("staging", "plan", "--check").out


X, Y, Z = PARENT, OWN, THIRD
BOUND, MARKED = {"project_ref": X}, {"project_ref": X, "inherited_by": Y}


@pytest.mark.parametrize(
    ("bound", "called", "of_database", "of_target", "expected"),
    [
        pytest.param(BOUND, X, Y, None, Inherited(X, Y, False), id="a branch with data"),
        pytest.param(MARKED, X, Y, None, Inherited(X, Y, True), id="a branch that was noticed"),
        pytest.param(MARKED, X, Z, None, Inherited(X, Z, True), id="a copy of a copy"),
        pytest.param(MARKED, X, None, None, Inherited(X, Y, True), id="noticed, by whoever connects"),
        pytest.param(MARKED, X, X, Y, Inherited(X, Y, True, came_back=True), id="a copy that came back"),
        pytest.param(BOUND, None, Y, None, Inherited(X, Y, False), id="a copy that calls a domain of the source's"),
        pytest.param(None, X, Y, None, Inherited(X, Y, False), id="a copy whose binding was deleted"),
        pytest.param(BOUND, Y, Y, None, Inherited(X, Y, True), id="a copy whose address was set"),
        pytest.param(BOUND, X, None, Y, Inherited(X, Y, False, is_certain=False), id="a target of another project"),
        pytest.param(BOUND, X, None, "supabase", Inherited(X, "supabase", False), id="a dump in supabase start"),
        # near-misses
        pytest.param(BOUND, X, X, X, None, id="the project itself"),
        pytest.param(BOUND, X, None, None, None, id="nobody knows"),
        pytest.param(BOUND, X, X, Y, None, id="a target that names the wrong database"),
        pytest.param(None, None, Y, Y, None, id="a branch without data"),
        pytest.param(None, None, None, "supabase", None, id="a fresh stack"),
        pytest.param(BOUND, None, X, None, None, id="a project that calls a domain of its own"),
        pytest.param({"project_ref": None}, None, None, "local", None, id="self-hosted without a ref"),
        pytest.param({"project_ref": Y, "proving": True}, Y, Y, None, None, id="a copy that has its own project"),
    ],
)
def test_what_is_a_copy(
    bound: dict[str, Any] | None, called: str | None, of_database: str | None, of_target: str | None, expected: object
) -> None:
    assert binding.judge(bound, called, of_database, of_target) == expected


@pytest.mark.parametrize(
    ("url", "own"),
    [
        (f"https://{X}.supabase.co", X), ("https://api.example.com", None), ("http://10.0.0.5:8000", None),
        ("http://127.0.0.1:54321", "named"), ("http://localhost:54321", "named"), (None, None),
    ],
)  # fmt: skip
def test_what_a_target_says_of_its_project(url: str | None, own: str | None) -> None:
    assert binding.own(Target("named", None, url, None)) == own


@pytest.mark.parametrize(
    ("name", "url", "stored", "expected"),
    [
        ("staging", "https://staging.example.com", "https://api.example.com", True),
        ("staging", "http://10.0.0.5:8000", "http://10.0.0.5:8001", True),
        ("production", f"https://{X}.supabase.co", "https://api.example.com", True),
        # near-misses: the same in other letters, with blanks; a stack of this machine; a target that names none
        ("production", "https://api.example.com", " HTTPS://API.example.com/\n", False),
        ("local", "http://127.0.0.1:54321", "http://host.docker.internal:54321", False),
        ("production", None, "https://api.example.com", False),
    ],
)
def test_what_is_another_address(name: str, url: str | None, stored: str, expected: bool) -> None:
    assert binding.is_elsewhere(Target(name, None, url, None), stored) is expected


@pytest.mark.long
def test_a_target_alone_silences_no_database_that_is_where_it_was(copy: Copy) -> None:
    """Whoever names the wrong database must not stop its calls; on another server it is a copy."""
    Path("autosync.toml").write_text(f'[targets.staging]\nproject_ref = "{OWN}"\n')
    migrate = ("migrate", "--target", "staging")
    done = command.succeeds(command.run(*migrate, database=copy.cluster.url(), variables=RARELY))
    assert f"inherited from {PARENT}, and calls it from here" in done.err
    assert copy.tick() == "succeeded"
    copy.rows("update autosync.setting set value = value || '{\"system_identifier\": \"1\"}' where name = 'binding'")
    done = command.succeeds(command.run(*migrate, database=copy.cluster.url(), variables=RARELY))
    assert OFF in done.err
    assert copy.tick().startswith("failed")
    # the source's own target takes the mark back, by consent
    Path("autosync.toml").write_text(f'[targets.production]\nproject_ref = "{PARENT}"\n')
    back = command.run("verify", database=copy.cluster.url(), variables={**RARELY, "AUTOSYNC_TARGET": "production"})
    assert (back.code, "a copy that came back" in back.out) == (3, True), back
    rebind = ("setup", "--target", "production", "--rebind", "--no-wait")
    command.succeeds(command.run(*rebind, database=copy.cluster.url(), variables=RARELY))
    assert copy.tick() == "succeeded"
    assert copy.rows("select secret from public.pg_cron_secrets where name = 'service_role_key'") == [
        (copy.secrets["service_role_key"],)
    ]
