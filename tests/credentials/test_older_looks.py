"""Whoever looked at a secret before somebody replaced it does not write over that; and what ends a rotation says so."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from autosync_db import config, progress
from autosync_db.credentials import cron_secret, edit, lease, proof, rotation, store
from autosync_db.credentials.known import KnownKey
from autosync_db.errors import AutosyncError, ConflictError, StoppedError, UnreachableError
from autosync_db.health import alerts, repair, verify
from autosync_db.secret import Secret
from autosync_db.setup import run
from autosync_db.setup.decision import Given
from autosync_db.supabase.function import Verdict
from tests.credentials.conftest import SILENT, Project
from tests.support import clusters, command, cutting_proxy, keys
from tests.support.http_stub import Request

VAULT = (Path(__file__).parents[1] / "support" / "vault.sql").read_text()
CHANGED = "was changed while this command was at work"
STAYS = "service_role_key was changed since the rotation began, and stays so; the rotation has ended"


def _rotate(project: Project, key: Secret, *, preflight: bool = False) -> rotation.Result:
    return rotation.replace(
        project.configuration, rotation.SERVICE_KEY, key, preflight=preflight, reporter=SILENT
    )  # fmt: skip


def _store_by_sql(project: Project, key: Secret) -> None:
    project.owner.execute(
        "update public.pg_cron_secrets set secret = %s where name = 'service_role_key'", [key.reveal()]
    )


def _when(text: str, act: Callable[[], object]) -> progress.Reporter:
    """Return a reporter that acts once, when this is about to be done."""
    left = [act]

    def doing(said: str) -> None:
        if said == text and left:
            left.pop()()

    return progress.Reporter(lambda step: None, doing)


class TestSetup:
    @pytest.mark.parametrize("given", ["the old key", "a third key"])
    def test_that_looked_before_a_rotation_does_not_undo_it(self, project: Project, given: str) -> None:
        newer, third = keys.secret(), keys.secret()
        project.gate.accept(project.key, newer, third)
        key = project.key if given == "the old key" else third
        with pytest.raises(ConflictError, match=f'the secret "service_role_key" {CHANGED}') as caught:
            run.run(project.configuration, Given(service_key=key), _when("migrating", lambda: _rotate(project, newer)))
        assert "secrets history" in caught.value.hint
        assert project.active() == newer
        assert project.is_finished()

    def test_with_the_key_that_a_rotation_activated_meanwhile_agrees(self, project: Project) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)
        run.run(project.configuration, Given(service_key=newer), _when("migrating", lambda: _rotate(project, newer)))
        assert project.stored() == newer.reveal()

    def test_that_is_to_change_no_secret_is_not_held_up(self, project: Project) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)
        run.run(project.configuration, Given(), _when("migrating", lambda: _rotate(project, newer)))
        assert project.stored() == newer.reveal()

    def test_is_not_held_up_by_a_rotation_that_was_put_back(self, project: Project) -> None:
        newer, refused = keys.secret(), keys.secret()
        project.gate.accept(project.key, newer)

        def fail() -> None:
            with pytest.raises(AutosyncError, match="the previous value is active again"):
                _rotate(project, refused)

        run.run(project.configuration, Given(service_key=newer), _when("migrating", fail))
        assert project.active() == newer

    @pytest.mark.parametrize("others", ["service_key", None], ids=["a row", "no row"])
    def test_does_not_take_back_the_credential_that_another_job_gets_meanwhile(
        self, project: Project, monkeypatch: pytest.MonkeyPatch, others: cron_secret.Auth | None
    ) -> None:
        """The credentials of all jobs are one row, which it reads, and writes with that of its own job changed."""

        def switch_another() -> None:
            with clusters.connect(project.cluster) as connection:
                cron_secret.activate(connection, "other", "cron_secret")

        begin, switching = lease.begin, threading.Thread(target=switch_another)
        waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"

        def late(*arguments: Any, **named: Any) -> lease.Rotation | None:
            switching.start()
            clusters.wait_for(lambda: not switching.is_alive() or project.value(waits), "the other job's credential")
            return begin(*arguments, **named)

        monkeypatch.setattr(lease, "begin", late)
        project.stub.judge = None
        Path("autosync.toml").write_text('[function]\nauth = "cron_secret"\n')
        configuration = config.load(config.Flags(database_url=project.cluster.url()))
        try:
            if others:
                cron_secret.activate(project.owner, "other", others)
            run.run(configuration, Given(cron_secret=cron_secret.generate(), wait=False), SILENT)
            switching.join(30)
            active = {name: cron_secret.active_auth(project.owner, name) for name in (project.job_name, "other")}
            assert active == dict.fromkeys(active, "cron_secret")
        finally:
            project.owner.execute("delete from autosync.setting where name = 'function_auth'")


def test_of_two_rotations_that_looked_at_the_same_key_the_later_one_gives_way(project: Project) -> None:
    first, second = keys.secret(), keys.secret()
    project.gate.accept(project.key, first, second)
    judge, left = project.gate.judge, [lambda: _rotate(project, second)]

    def judge_late(request: Request) -> int:
        # while the first asks the function, the other begins and ends
        if request.method == "GET" and left:
            left.pop()()
        return judge(request)

    project.stub.judge = judge_late
    with pytest.raises(ConflictError, match=CHANGED):
        _rotate(project, first, preflight=True)
    assert project.active() == second


def test_a_repair_that_was_planned_before_somebody_stored_a_key_leaves_it(project: Project) -> None:
    newer, at_hand = keys.secret(), KnownKey(keys.secret(), "the test")
    project.gate.accept(newer, at_hand.key)
    project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    with clusters.connect(project.cluster) as connection:
        report = verify.run(connection, project.configuration, ["secrets_present"])
        plan = repair.plan(connection, project.configuration, report, ["secrets_present"], known=at_hand)
        store.store(project.owner, {store.SERVICE_KEY: newer})
        [outcome] = repair.apply(connection, project.configuration, plan.proposals, known=at_hand)
    assert CHANGED in str(outcome.error)
    assert project.stored() == newer.reveal()


def test_a_deletion_that_was_confirmed_after_a_rotation_deletes_nothing(project: Project) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    with pytest.raises(ConflictError, match=CHANGED):
        edit.delete(project.configuration, store.SERVICE_KEY, lambda *_: _rotate(project, newer) and None)  # type: ignore[arg-type]
    assert project.active() == newer


def test_a_secret_that_somebody_set_meanwhile_is_not_overwritten(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.store(project.owner, {"partner_token": Secret("a" * 30)})
    look = store.look

    def slow(*arguments: object) -> dict[str, str | None]:
        found = look(*arguments)  # type: ignore[arg-type]
        store.store(project.owner, {"partner_token": Secret("b" * 30)})
        return found

    monkeypatch.setattr(store, "look", slow)
    with pytest.raises(ConflictError, match='"partner_token" was changed'):
        edit.set_value(project.configuration, "partner_token", Secret("c" * 30))
    assert project.stored("partner_token") == "b" * 30
    monkeypatch.undo()
    assert edit.set_value(project.configuration, "partner_token", Secret("c" * 30)).outcome == "replaced"


def test_a_rotation_that_begins_while_a_secret_is_set_is_not_disturbed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = store.look

    def slow(*arguments: object) -> dict[str, str | None]:
        found = look(*arguments)  # type: ignore[arg-type]
        assert lease.begin(project.owner, {"partner_token": Secret("b" * 30)})
        return found

    monkeypatch.setattr(store, "look", slow)
    with pytest.raises(ConflictError, match="is under way since"):
        edit.set_value(project.configuration, "partner_token", Secret("c" * 30))
    assert project.stored("partner_token") == "b" * 30


@pytest.mark.parametrize("change", ["set", "delete", "delete those of removed jobs"])
def test_a_move_that_begins_while_a_receiver_is_changed_is_not_disturbed(
    change: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored in the vault meanwhile, or deleted there, would be lost when the move is put back."""
    with clusters.connect(project.cluster, "supabase_admin") as admin:
        admin.execute(VAULT.encode())
    store.store(project.owner, {"alert_webhook": Secret("https://example.com/first")})
    project.owner.execute(
        "insert into autosync.alert_receiver (kind, job_id, form, secret_name)"
        " values ('webhook', %s, 'webhook', 'alert_webhook')",
        [1000 if change == "delete those of removed jobs" else None],
    )
    changes: dict[str, Callable[[], object]] = {
        "set": lambda: alerts.put(project.configuration, "webhook", None, Secret("https://example.com/second")),
        "delete": lambda: alerts.delete(project.configuration, "webhook", None),
        "delete those of removed jobs": lambda: alerts.delete_orphaned(project.configuration, "webhook"),
    }
    begun: list[lease.Rotation | None] = []
    require = edit.require_changeable

    def slow(*arguments: object) -> None:
        require(*arguments)  # type: ignore[arg-type]
        begun.append(lease.begin(project.owner, {}, {"secrets": {"store": "vault"}}))

    monkeypatch.setattr(edit, "require_changeable", slow)
    with pytest.raises(ConflictError, match='a rotation of "setting:secrets" is under way'):
        changes[change]()
    monkeypatch.undo()
    assert begun[0] is not None
    lease.put_back(project.owner, begun[0].token)
    assert project.value("select count(*) from autosync.alert_receiver") == 1
    assert project.stored("alert_webhook") == "https://example.com/first"
    changes[change]()
    assert project.stored("alert_webhook") == ("https://example.com/second" if change == "set" else None)


class TestWhatSomebodyStoresBySql:
    """While a rotation is under way or unfinished; nobody else may have that key."""

    @pytest.mark.parametrize(
        ("verdict", "said"),
        [
            (Verdict.ACCEPTED, f"{STAYS}$"),
            (Verdict.REFUSED, f"{STAYS}; the function refused the new service key with 401"),
            (Verdict.UNCLEAR, f"{STAYS}; the new service key could not be proven: 401"),
        ],
        ids=["accepted", "refused", "unclear"],
    )
    def test_stays_and_is_not_called_proven(self, verdict: Verdict, said: str, project: Project) -> None:
        by_sql = keys.secret()

        def prove(*arguments: object) -> proof.Proof:
            _store_by_sql(project, by_sql)
            return proof.Proof(verdict, "401")

        with pytest.raises(ConflictError, match=said) as caught:
            rotation.replace(
                project.configuration,
                rotation.SERVICE_KEY,
                keys.secret(),
                preflight=False,
                prove=prove,
                reporter=SILENT,
            )
        assert "secrets history" in caught.value.hint
        assert project.stored() == by_sql.reveal()
        assert project.is_finished()

    def test_stays_when_a_rotation_is_aborted(self, project: Project) -> None:
        by_sql = keys.secret()
        assert lease.begin(project.owner, {store.SERVICE_KEY: keys.secret()})
        project.lapse()
        _store_by_sql(project, by_sql)
        with pytest.raises(ConflictError, match=STAYS):
            rotation.abort(project.configuration)
        assert project.stored() == by_sql.reveal()
        assert rotation.abort(project.configuration).outcome == "nothing"

    @pytest.mark.parametrize("moves", [True, False], ids=["is left", "stays"])
    def test_stays_in_the_vault_and_when_that_is_left_again(self, moves: bool, project: Project) -> None:
        with clusters.connect(project.cluster, "supabase_admin") as admin:
            admin.execute(VAULT.encode())
        by_sql, settings = keys.secret(), {"secrets": {"store": "vault"}}
        if not moves:
            moved = lease.begin(project.owner, {}, settings)
            assert moved
            lease.finish(project.owner, moved.token)
        begun = lease.begin(project.owner, {store.SERVICE_KEY: keys.secret()}, settings)
        assert begun
        project.owner.execute(
            "select vault.update_secret(v.id, %s) from vault.secrets as v where v.name = 'service_role_key'",
            [by_sql.reveal()],
        )
        with pytest.raises(ConflictError, match=STAYS):
            lease.put_back(project.owner, begun.token)
        assert project.value("select autosync.secret_store()") == ("table" if moves else "vault")
        assert project.stored() == by_sql.reveal()
        assert project.value("select count(*) from vault.secrets as v where v.name like '%.previous'") == 0

    def test_is_named_when_the_command_is_interrupted(self, project: Project) -> None:
        by_sql = keys.secret()

        def prove(*arguments: object) -> proof.Proof:
            _store_by_sql(project, by_sql)
            raise KeyboardInterrupt

        with pytest.raises(StoppedError, match="somebody else's value of service_role_key is active"):
            rotation.replace(
                project.configuration,
                rotation.SERVICE_KEY,
                keys.secret(),
                preflight=False,
                prove=prove,
                reporter=SILENT,
            )
        assert project.stored() == by_sql.reveal()

    def test_is_proven_by_a_rotation_to_that_key(self, project: Project) -> None:
        by_sql = keys.secret()
        project.gate.accept(by_sql)
        assert lease.begin(project.owner, {store.SERVICE_KEY: keys.secret()})
        project.lapse()
        _store_by_sql(project, by_sql)
        assert _rotate(project, by_sql).outcome == "rotated"
        assert project.active() == by_sql

    def test_where_that_is_nothing_the_previous_one_is_put_back(self, project: Project) -> None:
        begun = lease.begin(project.owner, {store.SERVICE_KEY: keys.secret()})
        assert begun
        project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
        lease.put_back(project.owner, begun.token)
        assert project.active() == project.key


class TestHowItEnds:
    """4 for a server that is gone, 5 for somebody else's work, 6 for a secret that was refused, and nothing else."""

    @pytest.mark.parametrize("returns", [True, False], ids=["restarts", "is gone"])
    def test_a_server_that_breaks_off_is_unreachable_and_what_is_active_is_said(
        self, project: Project, returns: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease, "_RESTART_SECONDS", 0.3)
        newer = keys.secret()
        project.gate.accept(project.key, newer)
        with cutting_proxy.relay(project.cluster) as proxy:
            configuration = config.load(config.Flags(database_url=proxy.url()))

            def broken(connection: object, keep: object) -> proof.Proof:
                proxy.is_gone = not returns
                proxy.arm(1)
                assert callable(keep)
                monkeypatch.setattr(lease, "_EXTEND_AFTER_SECONDS", -1)
                keep()
                raise AssertionError

            with pytest.raises(UnreachableError) as caught:
                rotation.replace(
                    configuration, rotation.SERVICE_KEY, newer, preflight=False, prove=broken, reporter=SILENT
                )
        said = caught.value.message
        assert caught.value.exit_code == 4
        if returns:
            assert "the previous value of service_role_key is active" in said
            assert project.active() == project.key
            assert project.is_finished()
        else:
            assert "it is not known whether" in said
            assert "rotate --resume" in caught.value.hint

    def test_another_that_took_it_over_is_no_refusal(self, project: Project) -> None:
        sleeper = lease.begin(project.owner, {"service_role_key": keys.secret()})
        assert sleeper
        project.lapse()
        project.gate.accept(project.key)
        assert rotation.abort(project.configuration).outcome == "put back"
        with pytest.raises(ConflictError, match="took this one over") as caught:
            lease.finish(project.owner, sleeper.token)
        assert caught.value.exit_code == 5

    def test_a_function_that_cannot_be_asked_from_here_is_no_refusal(self, project: Project) -> None:
        project.owner.execute(
            "update public.pg_cron_secrets set secret = 'http://127.0.0.1:1' where name = 'project_url'"
        )
        said = command.refused(project.rotate(keys.secret(), "-q"), 4)
        assert "cannot be reached from here" in said
        assert project.stored() == project.key.reveal()

    @pytest.mark.parametrize(
        ("at", "active"), [("calling the function directly", "previous"), ("making a real call", "previous")]
    )
    def test_an_interrupt_says_which_value_is_active(self, project: Project, at: str, active: str) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)

        def stop(said: str) -> None:
            if said.startswith(at):
                raise KeyboardInterrupt

        with pytest.raises(StoppedError) as caught:
            rotation.replace(
                project.configuration, rotation.SERVICE_KEY, newer,
                reporter=progress.Reporter(lambda step: None, stop),
            )  # fmt: skip
        assert f"interrupted; the {active} value of service_role_key is active" in caught.value.message
        assert project.active() == project.key

    def test_an_interrupt_after_the_proof_says_that_the_new_value_is_active(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        newer = keys.secret()
        project.gate.accept(project.key, newer)
        finish = lease.finish

        def stopped(*arguments: object) -> None:
            finish(*arguments)  # type: ignore[arg-type]
            raise KeyboardInterrupt

        monkeypatch.setattr(lease, "finish", stopped)
        with pytest.raises(StoppedError, match="interrupted; the new value of service_role_key is active"):
            _rotate(project, newer)
        assert project.active() == newer
        assert project.is_finished()

    def test_the_hint_says_how_long_a_lease_still_runs(self, project: Project) -> None:
        begun = lease.begin(project.owner, {"service_role_key": keys.secret()})
        assert begun
        project.owner.execute(
            "update autosync.secret_rotation set lease_expires_at = clock_timestamp() + %s", [timedelta(seconds=17)]
        )
        for act in (lambda: _rotate(project, keys.secret()), lambda: lease.take_over(project.owner)):
            with pytest.raises(ConflictError) as caught:
                act()
            assert "its lease ends in 17 s, at " in caught.value.hint
