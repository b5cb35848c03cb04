"""`rotate --auto`: a key is made at the platform, proven, and the old one deleted there; whoever is killed is followed.

The API is a server on loopback; the function lets in exactly the keys that this API has at the moment of a call.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autosync_db import progress
from autosync_db.credentials import automatic, cron_secret, journal, lease, rotation, store, unfinished
from autosync_db.credentials.hosted import Hosted
from autosync_db.errors import ConflictError, SecretError, StoppedError
from autosync_db.jobs import binding
from autosync_db.secret import Secret
from autosync_db.setup import run as setup
from autosync_db.setup.decision import Given
from autosync_db.supabase import key, management
from autosync_db.supabase.management_request import ManagementError
from tests.credentials.conftest import SILENT, Platform
from tests.support import command, keys
from tests.support.management import Trouble


def _auto(platform: Platform, **flags: Any) -> rotation.Result:
    return automatic.rotate(platform.configuration, SILENT, **flags)


def _resume(platform: Platform) -> rotation.Result:
    return unfinished.resume(platform.configuration, SILENT)


def _store(platform: Platform, value: str) -> None:
    store.store(platform.project.owner, {store.SERVICE_KEY: Secret(value)})


def test_a_key_is_made_proven_and_the_old_one_deleted(platform: Platform) -> None:
    done = command.succeeds(platform.run("rotate", "--auto", "--format", "json"))
    result = done.json()
    [name] = platform.ours
    assert (result["outcome"], result["made"], result["deleted"]) == ("rotated", name, "cron")
    assert platform.names == {"default", "web", "service_role", name}
    assert platform.project.stored() == platform.value_of(name)
    assert platform.project.gate.calls[-1][1] == 200, "proven by a call"
    assert platform.journal() is None
    assert platform.is_whole()
    for value in (platform.project.key.reveal(), platform.value_of(name), platform.api.token):
        assert value not in done.out + done.err

    # again: the one that we made goes, too
    said = command.succeeds(platform.run("rotate", "--auto"))
    assert f"the old key {name} is deleted on the platform" in said.err
    assert "✓ make" in said.err
    assert len(platform.ours) == 1
    assert platform.names == {"default", "web", "service_role", *platform.ours}


@pytest.mark.parametrize(
    ("old", "says"),
    [
        ("default", "the key named default"),
        ("service_role", "the legacy service_role key"),
        (None, "none of the keys that the platform lists"),
    ],
)
def test_a_key_that_is_not_ours_to_delete_stays_and_what_is_left_is_said(
    platform: Platform, old: str | None, says: str
) -> None:
    before = platform.names
    gone = keys.secret().reveal()
    _store(platform, platform.value_of(old) if old else gone)
    said = command.succeeds(platform.run("rotate", "--auto"))
    assert says in said.err
    assert platform.names == before | set(platform.ours)
    assert "DELETE" not in {request.method for request in platform.api.requests}
    assert platform.journal() is None


def test_a_key_that_another_job_holds_stays_and_the_holder_is_named(platform: Platform) -> None:
    owner = platform.project.owner
    owner.execute("select cron.schedule('other', '59 23 31 12 *', %s)", [f"select '{platform.project.key.reveal()}'"])
    try:
        said = command.succeeds(platform.run("rotate", "--auto"))
    finally:
        owner.execute("select cron.unschedule('other')")
    assert "other (job " in said.out
    assert "the old key cron is still valid: others may still use it" in said.err
    assert "cron" in platform.names
    assert platform.is_whole()


@pytest.mark.parametrize("by", ["setup", "SQL"])
def test_a_key_that_the_calls_are_to_carry_again_is_not_deleted(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Once the new one is proven the platform is asked several things, before the old one is deleted there."""
    renew, said = Hosted.renew_variables, []
    old = platform.project.key

    def meanwhile(self: Hosted, *arguments: Any) -> list[str]:
        if by == "SQL":
            _store(platform, old.reveal())
            return renew(self, *arguments)
        # a pipeline that has the key, and stores it with every release
        with pytest.raises(ConflictError) as caught:
            setup.run(platform.project.configuration, Given(service_key=old), SILENT)
        said.append(caught.value.message)
        return renew(self, *arguments)

    monkeypatch.setattr(Hosted, "renew_variables", meanwhile)
    result = _auto(platform)
    [made] = platform.ours
    if by == "setup":
        assert said[0].startswith(f"rotate --auto is working on {made} since")
        assert (result.outcome, result.deleted) == ("rotated", "cron")
    else:
        assert (result.outcome, result.deleted) == ("replaced since", None)
        assert "the old key cron is still valid: another key was stored after" in str(result.left_to_do)
        assert "cron" in platform.names
    assert platform.journal() is None
    assert platform.is_whole()


def test_the_old_key_is_kept_when_that_is_asked_for(platform: Platform) -> None:
    said = command.succeeds(platform.run("rotate", "--auto", "--keep-old"))
    assert "it was to be kept" in said.err
    assert "cron" in platform.names
    assert len(platform.ours) == 1


def test_a_variable_of_the_function_that_holds_the_old_key_gets_the_new_one(platform: Platform) -> None:
    platform.api.secrets |= {"CRON_KEY": platform.project.key.reveal(), "OTHER": "o" * 30}
    _auto(platform)
    assert platform.api.secrets == {"CRON_KEY": platform.value_of(platform.ours[0]), "OTHER": "o" * 30}
    asked = [(request.method, request.path.rpartition("/")[2]) for request in platform.api.requests]
    assert asked.index(("POST", "secrets")) < next(i for i, one in enumerate(asked) if one[0] == "DELETE")


class TestRefused:
    """Nothing is made, or what was made is deleted again; the old key is active."""

    @pytest.fixture(autouse=True)
    def _as_before(self, platform: Platform) -> Iterator[None]:
        before = platform.names
        yield
        assert platform.names == before
        assert platform.journal() is None
        assert platform.project.active() == platform.project.key

    def test_without_an_access_token(self, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        del platform.variables["SUPABASE_ACCESS_TOKEN"]
        result = platform.run("rotate", "--auto", "-q")
        assert "SUPABASE_ACCESS_TOKEN is not set" in command.refused(result, 2)
        assert "rotate --from-file" in result.hints[0]

    def test_without_a_project_ref(self, platform: Platform) -> None:
        Path("autosync.toml").unlink()
        result = platform.run("rotate", "--auto", "-q")
        assert "the project has no ref" in command.refused(result, 2)
        assert platform.api.requests == []

    def test_when_the_stored_address_is_of_another_project(self, platform: Platform) -> None:
        other = f"https://{keys.PROJECT_REF[::-1]}.supabase.co"
        owner = platform.project.owner
        owner.execute("update public.pg_cron_secrets set secret = %s where name = 'project_url'", [other])
        assert "is inherited from" in command.refused(platform.run("rotate", "--auto", "-q"), 6)
        assert platform.api.requests == []
        owner.execute(
            "update public.pg_cron_secrets set secret = %s where name = 'project_url'", [platform.project.stub.url]
        )

    @pytest.mark.parametrize(
        ("permissions", "named"),
        [
            ({"api_gateway_keys_read"}, "api_gateway_keys_secret_read"),
            ({"api_gateway_keys_secret_read"}, "edge_functions_secrets_read"),
            ({"api_gateway_keys_secret_read", "edge_functions_secrets_read"}, "api_gateway_keys_write"),
        ],
    )
    def test_with_a_scoped_token_that_lacks_a_permission(
        self, platform: Platform, permissions: set[str], named: str
    ) -> None:
        platform.api.permissions = permissions
        assert named in command.refused(platform.run("rotate", "--auto", "-q"), 4)
        platform.api.permissions = None

    def test_when_the_function_takes_another_key_only(self, platform: Platform) -> None:
        platform.api.secrets["CRON_KEY"] = platform.project.key.reveal()
        judge = platform.project.gate.judge
        platform.project.gate.accept(platform.project.key)
        platform.project.stub.judge = judge
        with pytest.raises(SecretError, match="the function refused the new key with 401") as caught:
            _auto(platform)
        assert "in its variable CRON_KEY" in caught.value.hint
        assert "the old key is active" in caught.value.message

    def test_when_the_call_through_pg_net_is_refused(self, platform: Platform) -> None:
        platform.project.gate.accept(platform.project.key)
        platform.project.stub.judge = platform.project.gate.judge
        with pytest.raises(SecretError, match="the previous value is active again; the old key is active"):
            _auto(platform, preflight=False)

    @pytest.mark.parametrize("at", ["making the key", "waiting until", "storing the new", "making a real call"])
    def test_when_the_user_stops_it(self, platform: Platform, at: str) -> None:
        def stop(text: str) -> None:
            if text.startswith(at):
                raise KeyboardInterrupt

        with pytest.raises(StoppedError, match=r"interrupted; .*the old key is active, and autosync_.* does not exist"):
            automatic.rotate(platform.configuration, progress.Reporter(lambda step: None, stop))

    @pytest.mark.parametrize("flags", [("--from-file", "-"), ("--generate",), ("--resume",), ("--abort",)])
    def test_beside_what_it_contradicts(self, platform: Platform, flags: tuple[str, ...]) -> None:
        command.refused(platform.run("rotate", "--auto", *flags, "-q"), 2)


class TestTroubles:
    """What the API may answer at each of its steps: the rotation ends, or says what is left and can be resumed."""

    @pytest.mark.parametrize(
        "trouble",
        [
            Trouble(429, headers={"retry-after": "0"}),
            Trouble(503),
            Trouble(done=True, cut=20),
        ],
        ids=["too many", "fails", "truncated"],
    )
    @pytest.mark.parametrize("step", [("GET", "api-keys"), ("POST", "api-keys"), ("DELETE", "")])
    def test_one_that_passes_is_lived_through(
        self, platform: Platform, trouble: Trouble, step: tuple[str, str]
    ) -> None:
        left = [trouble]

        def once(request: Any) -> Trouble | None:
            is_meant = request.method == step[0] and request.path.endswith(step[1])
            return left.pop() if is_meant and left else None

        platform.api.trouble = once
        # of a failure of this one nobody knows whether a key was made
        if step[0] == "POST" and trouble.status == 503:
            with pytest.raises(ManagementError):
                _auto(platform)
            platform.project.lapse()
            _resume(platform)
        else:
            _auto(platform)
        assert left == []
        assert len(platform.ours) == 1
        assert "cron" not in platform.names
        assert platform.journal() is None
        assert platform.is_whole()

    @pytest.mark.long
    @pytest.mark.parametrize("status", [401, 403, 500])
    def test_an_old_key_that_cannot_be_deleted_is_said_and_resumed(self, platform: Platform, status: int) -> None:
        platform.api.trouble = lambda request: Trouble(status) if request.method == "DELETE" else None
        result = platform.run("rotate", "--auto", "-q")
        said = command.refused(result, 4)
        assert "is active and proven; the old one is not deleted yet: finish it with autosync-db rotate" in said
        assert platform.is_whole()
        status_of, summary = platform.project.verdict()
        assert (status_of, "the old key may still be valid" in summary) == ("warning", True), summary
        platform.api.trouble = lambda request: None
        done = command.succeeds(platform.run("rotate", "--resume", "--format", "json")).json()
        assert (done["outcome"], done["deleted"]) == ("finished", "cron")
        assert platform.project.verdict()[0] == "ok"

    def test_a_token_that_expires_after_the_proof_leaves_no_doubt_about_the_active_key(
        self, platform: Platform
    ) -> None:
        """Whoever read that the new key may be left would delete the active one in the dashboard."""
        platform.api.trouble = lambda request: Trouble(401) if platform.project.gate.calls else None
        result = platform.run("rotate", "--auto", "-q")
        said = command.refused(result, 4)
        [made] = platform.ours
        assert f"the new key {made} is active and proven; whether the old one is deleted is not known" in said
        assert "may be left" not in said
        assert platform.is_whole()
        platform.api.trouble = lambda request: None
        assert command.succeeds(platform.run("rotate", "--resume", "--format", "json")).json()["deleted"] == "cron"

    @pytest.mark.long
    def test_a_key_that_may_have_been_made_is_found_again(self, platform: Platform) -> None:
        """The answer is lost, and so is every look for it: the journal knows its name."""
        platform.api.trouble = lambda request: (
            Trouble(500, done=True) if request.method == "POST" else Trouble(503) if platform.ours else None
        )
        with pytest.raises(ManagementError, match=r"the old key is active, .* may be left .*rotate --resume"):
            _auto(platform)
        assert len(platform.ours) == 1
        assert platform.journal() is not None
        platform.api.trouble = lambda request: None
        assert _resume(platform).outcome == "rotated"
        assert len(platform.ours) == 1
        assert platform.names == {"default", "web", "service_role", *platform.ours}


@pytest.mark.long
class TestUnfinished:
    def _left(self, platform: Platform) -> None:
        """Leave a rotation whose key is made and not stored, as a killed one does."""
        old = journal.Old(key.fingerprint(platform.project.key))
        journal.begin(platform.project.owner, "autosync_left", store.SERVICE_KEY, platform.api.ref, old)
        platform.api.add_key("autosync_left", keys.secret().reveal())

    def test_keeps_every_other_rotation_away_and_says_how_to_end_it(self, platform: Platform) -> None:
        self._left(platform)
        said = platform.run("rotate", "--auto", "-q")
        assert "is working on autosync_left since" in command.refused(said, 5)
        assert "its lease ends in" in said.hints[0]
        command.refused(platform.run("rotate", "--resume", "-q"), 5)
        platform.project.lapse()
        for arguments in (("--auto",), ("--from-file", "-")):
            said = platform.project.run(
                "rotate", *arguments, "-q", stdin=keys.secret().reveal(), variables=platform.variables
            )
            assert "rotate --auto has not finished with autosync_left" in command.refused(said, 5)
            assert "rotate --resume" in said.hints[0]

    def test_of_a_manual_rotation_keeps_this_one_away(self, platform: Platform) -> None:
        assert lease.begin(platform.project.owner, {"service_role_key": keys.secret()})
        platform.project.lapse()
        said = platform.run("rotate", "--auto", "-q")
        assert "is not finished since" in command.refused(said, 5)
        assert "rotate --resume" in said.hints[0]
        assert platform.ours == []

    def test_is_not_resumed_without_a_token_and_abort_says_what_is_left(self, platform: Platform) -> None:
        self._left(platform)
        platform.project.lapse()
        del platform.variables["SUPABASE_ACCESS_TOKEN"]
        said = command.refused(platform.run("rotate", "--resume", "-q"), 2)
        assert "SUPABASE_ACCESS_TOKEN is not set" in said
        assert platform.journal() is not None
        done = command.succeeds(platform.run("rotate", "--abort", "--format", "json")).json()
        assert done["outcome"] == "undone"
        assert "the key autosync_left may be left at the platform" in done["left_to_do"]
        assert platform.journal() is None
        assert platform.project.active() == platform.project.key

    def test_of_another_project_is_not_taken_for_this_ones(self, platform: Platform) -> None:
        self._left(platform)
        platform.project.lapse()
        platform.project.owner.execute("update autosync.key_rotation set project_ref = reverse(project_ref)")
        said = platform.run("rotate", "--resume", "-q")
        assert "was begun for the project" in command.refused(said, 2)
        assert platform.ours == ["autosync_left"]
        assert platform.journal() is not None

    def test_is_undone_by_abort(self, platform: Platform) -> None:
        self._left(platform)
        platform.project.lapse()
        assert command.succeeds(platform.run("rotate", "--abort", "--format", "json")).json()["outcome"] == "undone"
        assert platform.ours == []
        assert platform.journal() is None
        assert platform.project.active() == platform.project.key

    def test_in_a_copy_leaves_the_platform_alone(self, platform: Platform) -> None:
        self._left(platform)
        platform.project.lapse()
        connection = platform.project.owner
        binding.bind(connection, "x" * 20)
        try:
            done = command.succeeds(platform.run("rotate", "--abort", "--format", "json")).json()
        finally:
            connection.execute("delete from autosync.setting where name = %s", [binding.SETTING])
        assert "nothing was changed at the platform" in done["note"]
        assert platform.ours == ["autosync_left"], "the project that it was copied from may use it"
        assert platform.journal() is None

    def test_whose_key_somebody_replaced_by_another_is_undone(self, platform: Platform) -> None:
        self._left(platform)
        platform.project.lapse()
        _store(platform, platform.value_of("web"))
        assert _resume(platform).outcome == "undone"
        assert platform.ours == []
        assert platform.names >= {"default", "web", "cron"}
        assert platform.is_whole()

    def test_whose_key_somebody_deleted_at_the_platform_goes_back_to_the_old_one(self, platform: Platform) -> None:
        self._left(platform)
        platform.project.lapse()
        value = Secret(platform.value_of("autosync_left"))
        entry = platform.journal()
        assert entry is not None
        journal.note_key(platform.project.owner, entry.token, key.fingerprint(value))
        assert lease.begin(platform.project.owner, {store.SERVICE_KEY: value})
        platform.project.lapse()
        platform.api.keys = [one for one in platform.api.keys if one["name"] != "autosync_left"]
        with pytest.raises(SecretError, match="the previous value is active again"):
            _resume(platform)
        assert platform.project.active() == platform.project.key
        assert platform.journal() is None

    def test_that_was_replaced_meanwhile_by_somebody_deletes_the_key_it_made(self, platform: Platform) -> None:
        """A set-up stores another key between the making and the storing."""
        create = management.Management.create_secret_key

        def late(*arguments: Any) -> management.ApiKey:
            made = create(*arguments)
            _store(platform, platform.value_of("web"))
            return made

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(management.Management, "create_secret_key", late)
            with pytest.raises(ConflictError, match="was changed while this command was at work"):
                _auto(platform)
        assert platform.ours == []
        assert platform.names >= {"default", "web", "cron"}
        assert platform.project.stored() == platform.value_of("web")


def test_nothing_to_resume_is_said_so(platform: Platform) -> None:
    assert _resume(platform).outcome == "nothing"
    assert unfinished.abort(platform.configuration).outcome == "nothing"


def test_the_journal_holds_no_secret(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    note = journal.note_proven

    def look(connection: Any, token: Any, *, old_is_free: bool) -> None:
        note(connection, token, old_is_free=old_is_free)
        seen.append(str(platform.project.value("select to_jsonb(k)::text from autosync.key_rotation as k")))

    monkeypatch.setattr(journal, "note_proven", look)
    _auto(platform)
    [row] = seen
    assert key.fingerprint(platform.project.key) in row
    assert "sb_secret_" not in row


@pytest.mark.long
class TestCronSecret:
    """Where the calls carry a cron secret the function gets the new one beside the old one, and then that alone."""

    def test_is_replaced_and_the_function_knows_the_new_one_alone(self, by_secret: Platform) -> None:
        first = by_secret.project.stored(store.CRON_SECRET)
        keys_before = by_secret.names
        done = command.succeeds(by_secret.run("rotate", "--auto", "--format", "json"))
        assert done.json()["outcome"] == "rotated"
        now = by_secret.project.stored(store.CRON_SECRET)
        assert now not in {first, None}
        assert by_secret.api.secrets == {cron_secret.VARIABLE: now}
        given = [request.body[0]["value"] for request in by_secret.api.requests if request.method == "POST"]
        assert given == [f"{first},{now}", now]
        assert by_secret.names == keys_before
        assert by_secret.is_whole()
        assert str(now) not in done.out + done.err

    def test_is_no_key_that_could_be_kept(self, by_secret: Platform) -> None:
        command.refused(by_secret.run("rotate", "--auto", "--keep-old", "-q"), 2)
        assert by_secret.journal() is None

    def test_that_the_function_refuses_is_taken_back(self, by_secret: Platform) -> None:
        first = str(by_secret.project.stored(store.CRON_SECRET))
        by_secret.project.stub.judge = lambda request: 405 if request.headers.get(cron_secret.HEADER) == first else 401
        with pytest.raises(SecretError, match="the function accepts it alone"):
            _auto(by_secret)
        assert by_secret.api.secrets == {cron_secret.VARIABLE: first}
        assert by_secret.project.stored(store.CRON_SECRET) == first
        assert by_secret.project.stored(store.CRON_SECRET_NEXT) is None
        assert by_secret.journal() is None

    def test_with_a_token_that_may_not_set_it_nothing_is_changed(self, by_secret: Platform) -> None:
        first = str(by_secret.project.stored(store.CRON_SECRET))
        by_secret.api.permissions = {"edge_functions_secrets_read"}
        said = command.refused(by_secret.run("rotate", "--auto", "-q"), 4)
        assert "edge_functions_secrets_write" in said
        assert by_secret.project.stored(store.CRON_SECRET) == first
        by_secret.api.permissions = None
        by_secret.project.lapse()
        _resume(by_secret)
        assert by_secret.journal() is None
        assert by_secret.is_whole()

    @pytest.mark.long
    def test_an_unfinished_one_keeps_generate_away_and_is_undone_by_abort(self, by_secret: Platform) -> None:
        first = str(by_secret.project.stored(store.CRON_SECRET))
        by_secret.api.trouble = lambda request: Trouble(503) if request.method == "POST" else None
        command.refused(by_secret.run("rotate", "--auto", "-q"), 4)
        by_secret.api.trouble = lambda request: None
        by_secret.project.lapse()
        assert "has not finished with" in command.refused(by_secret.run("rotate", "--generate", "-q"), 5)
        assert command.succeeds(by_secret.run("rotate", "--abort", "--format", "json")).json()["outcome"] == "undone"
        assert by_secret.api.secrets == {cron_secret.VARIABLE: first}
        assert by_secret.journal() is None
