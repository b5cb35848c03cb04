"""The same commands on Supabase's vault, and the way there and back without a lost call."""

import threading
from pathlib import Path
from uuid import uuid4

import pytest

from autosync_db import config
from autosync_db.credentials import lease, rotation, vault
from autosync_db.credentials import store as secret_store
from autosync_db.errors import SecretError, UsageError
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from autosync_db.secret import Secret
from tests.credentials.conftest import SILENT, Project
from tests.support import clusters, command, health, keys
from tests.support.http_stub import Stub

VAULT = (Path(__file__).parents[1] / "support" / "vault.sql").read_text()
BEGIN_MOVE = 'select autosync.begin_rotation(%s, interval \'30 seconds\', \'{"secrets": {"store": "vault"}}\')'
OUTSIDER = "do $$ begin create role outsider; exception when duplicate_object then null; end $$"
# what whoever may create schemas can put in a vault's place: to read it is to run what it says
OF_AN_OUTSIDER = f"""
drop schema if exists vault cascade;
{OUTSIDER};
create schema vault authorization outsider;
create function vault.take() returns text language plpgsql as $$ begin raise 'taken as %', current_user; end $$;
create view vault.decrypted_secrets as
    select gen_random_uuid() as id, 'project_url' as name, 'autosync-db' as description,
        vault.take() as decrypted_secret, now() as created_at, now() as updated_at;
create view vault.secrets as select id, vault.take() as name, description from vault.decrypted_secrets;
grant usage on schema vault to public;
grant select, delete on vault.secrets, vault.decrypted_secrets to public;
alter view vault.decrypted_secrets owner to outsider;
alter view vault.secrets owner to outsider;
"""


def _create_vault(cluster: Cluster) -> None:
    with clusters.connect(cluster, "supabase_admin") as connection:
        connection.execute(VAULT.encode())


def _choose(store: str) -> config.Configuration:
    """Write the choice into the settings file of the current folder and return the settings that hold."""
    Path("autosync.toml").write_text(f'[job]\nschedule = "{health.NEVER}"\n[secrets]\nstore = "{store}"\n')
    return config.load(config.Flags())


def _move(project: Project, store: str) -> None:
    _choose(store)
    command.succeeds(project.run("setup"))


def _kept(project: Project) -> dict[str, str]:
    """Return what the vault holds, decrypted."""
    rows = project.owner.execute("select name, decrypted_secret from vault.decrypted_secrets").fetchall()
    return dict(rows)


def _in_table(project: Project) -> int:
    return int(project.value("select count(*) from public.pg_cron_secrets"))


@pytest.fixture
def vaulted(project: Project) -> Project:
    """A project whose secrets are in the vault."""
    _create_vault(project.cluster)
    _move(project, "vault")
    return project


class TestMove:
    def test_to_the_vault_is_proven_and_leaves_nothing_behind(self, project: Project) -> None:
        _create_vault(project.cluster)
        secret_store.store(project.owner, {"other": Secret("o" * 30)})
        _choose("vault")
        done = command.succeeds(project.run("setup"))
        assert "moved to the vault" in done.err
        assert _in_table(project) == 0
        assert _kept(project) == {
            "project_url": project.stub.url, "service_role_key": project.key.reveal(), "other": "o" * 30,
        }  # fmt: skip
        assert project.key.reveal() not in str(
            project.owner.execute("select t::text from vault.secrets as t").fetchall()
        )
        assert project.gate.seen == [project.key.reveal()]
        assert project.is_finished()
        assert project.active() == project.key

        again = command.succeeds(project.run("setup"))
        assert again.ticked == ["database", "verify"]

    @pytest.mark.long
    def test_and_back_to_the_table(self, vaulted: Project) -> None:
        _move(vaulted, "table")
        assert _kept(vaulted) == {}
        assert vaulted.value("select secret from public.pg_cron_secrets where name = 'service_role_key'") == (
            vaulted.key.reveal()
        )
        assert vaulted.active() == vaulted.key

    def test_that_cannot_be_proven_is_undone(self, project: Project) -> None:
        _create_vault(project.cluster)
        assert project.active() == project.key
        clusters.wait_for(
            lambda: project.value(
                "with s as (select autosync.settle()) select count(*) from s, autosync.invocation where outcome = 'ok'"
            ),
            "a call that succeeded",
        )
        _choose("vault")
        project.gate.status = 500
        said = command.refused(project.run("setup", "-q"), 6)
        assert "is active again" in said
        assert _kept(project) == {}
        assert _in_table(project) == 2
        project.gate.status = 200
        assert project.active() == project.key

    def test_that_was_killed_goes_on(self, project: Project) -> None:
        """Between the transactions of a move the secrets are in both places, and the vault's are active."""
        _create_vault(project.cluster)
        assert lease.begin(project.owner, {}, {"secrets": {"store": "vault"}})
        assert (_in_table(project), len(_kept(project))) == (2, 2)
        assert project.active() == project.key
        project.lapse()
        assert project.verdict()[0] == "warning"
        assert "setting secrets" in project.verdict()[1]
        assert rotation.resume(project.configuration, reporter=SILENT).outcome == "finished"
        assert (_in_table(project), len(_kept(project))) == (0, 2)

    def test_that_was_killed_can_be_aborted(self, project: Project) -> None:
        _create_vault(project.cluster)
        assert lease.begin(project.owner, {}, {"secrets": {"store": "vault"}})
        project.lapse()
        assert rotation.abort(project.configuration).outcome == "put back"
        assert (_in_table(project), len(_kept(project))) == (2, 0)
        assert project.active() == project.key

    @pytest.mark.long
    def test_leaves_secrets_of_the_same_name_as_they_are(self, project: Project) -> None:
        _create_vault(project.cluster)
        theirs = {"service_role_key": "theirs", "project_url": project.stub.url}
        for name, value in theirs.items():
            project.owner.execute("select vault.create_secret(%s, %s)", [value, name])
        _move(project, "vault")
        ours = {"autosync.service_role_key": project.key.reveal(), "autosync.project_url": project.stub.url}
        assert _kept(project) == theirs | ours
        assert set(secret_store.stored(project.owner)) == theirs.keys()
        assert project.active() == project.key
        newer = keys.secret()
        project.gate.accept(project.key, newer)
        command.succeeds(project.rotate(newer))
        assert project.active() == newer
        assert _kept(project) == theirs | ours | {"autosync.service_role_key": newer.reveal()}
        _move(project, "table")
        assert _kept(project) == theirs

    def test_does_not_happen_while_a_key_is_unproven(self, project: Project) -> None:
        _create_vault(project.cluster)
        assert lease.begin(project.owner, {"service_role_key": keys.secret()})
        project.lapse()
        _choose("vault")
        result = project.run("setup", "-q")
        assert "cannot be moved" in command.refused(result, 5)
        assert result.hints == ["run: autosync-db rotate --resume"]

    def test_that_waits_for_another_to_be_put_back_looks_only_then_where_the_secrets_are(
        self, project: Project
    ) -> None:
        _create_vault(project.cluster)
        secret_store.store(project.owner, {"mail_key": Secret("m" * 30)})
        first = lease.begin(project.owner, {}, {"secrets": {"store": "vault"}})
        assert first is not None

        def begin() -> None:
            with clusters.connect(project.cluster) as other, other.transaction():
                secret_store.send(other, {})
                other.execute(BEGIN_MOVE, [uuid4()])

        second = threading.Thread(target=begin)
        with project.owner.transaction():
            project.owner.execute("select autosync.put_back_rotation(%s)", [first.token])
            second.start()
            with clusters.connect(project.cluster) as looker:
                clusters.wait_for(
                    lambda: looker.execute("select from pg_locks where not granted").fetchall(), "the second move"
                )
        second.join(30)
        assert project.stored("mail_key") == "m" * 30


class TestWithout:
    """Where no vault is, or it cannot be used, nothing is changed and the error says why."""

    def test_a_vault(self, project: Project) -> None:
        _choose("vault")
        result = project.run("setup", "-q")
        assert "there is no schema vault" in command.refused(result, 6)
        assert 'store = "table"' in result.hints[0]
        assert project.active() == project.key

    @pytest.mark.parametrize(
        ("damage", "said"),
        [
            ("drop function vault.update_secret", "lacks the function"),
            ("drop view vault.decrypted_secrets", "lacks the table secrets or the view"),
            ("revoke delete on vault.secrets from postgres, service_role", "may not read, create, update and delete"),
            (
                "grant usage on schema vault to anon; grant select on vault.decrypted_secrets to anon",
                "anon or authenticated may read",
            ),
            *(
                (f"{OUTSIDER}; alter {thing} owner to outsider", "belongs to the role outsider")
                for thing in ("schema vault", "table vault.secrets", "view vault.decrypted_secrets")
            ),
            (f"{OUTSIDER}; alter function vault.create_secret owner to outsider", "belongs to the role outsider"),
        ],
    )
    def test_a_usable_one(self, project: Project, damage: str, said: str) -> None:
        _create_vault(project.cluster)
        with clusters.connect(project.cluster, "supabase_admin") as connection:
            connection.execute(damage.encode())
        with pytest.raises(SecretError, match=said):
            vault.require(project.owner)

    def test_one_of_somebody_elses_which_is_never_asked(self, project: Project) -> None:
        with clusters.connect(project.cluster, "supabase_admin") as admin:
            admin.execute(OF_AN_OUTSIDER.encode())
        there = command.succeeds(project.run("teardown", "--dry-run"))
        project.owner.execute("insert into autosync.setting (name, value) values ('secrets', '{\"store\": \"vault\"}')")
        listed = project.run("secrets", "list")
        assert "the vault belongs to the role outsider" in command.refused(listed, 4)
        assert "the vault belongs to the role outsider" in project.verdict("secrets_readable_by_job")[1]
        assert "taken" not in there.out + there.err + listed.err

    @pytest.mark.long
    def test_the_one_that_was_chosen(self, vaulted: Project) -> None:
        with clusters.connect(vaulted.cluster, "supabase_admin") as connection:
            connection.execute("drop schema vault cascade")
        ticked = vaulted.run("jobs", "trigger", "-q")
        assert "the secrets are in the vault, which cannot be read" in command.refused(ticked, 3)
        assert "vault.decrypted_secrets" in vaulted.verdict("secrets_readable_by_job")[1]
        assert "the secrets are in the vault, which cannot be read" in command.refused(
            vaulted.run("secrets", "list", "-q"), 4
        )


@pytest.mark.long
class TestCommands:
    def test_rotate(self, vaulted: Project) -> None:
        newer = keys.legacy()
        vaulted.gate.accept(vaulted.key, newer)
        command.succeeds(vaulted.rotate(newer))
        assert _kept(vaulted) == {"project_url": vaulted.stub.url, "service_role_key": newer.reveal()}
        assert vaulted.active() == newer

    def test_rotate_puts_back(self, vaulted: Project) -> None:
        newer = keys.secret()
        command.refused(vaulted.rotate(newer, "-q", "--no-preflight"), 6)
        assert _kept(vaulted) == {"project_url": vaulted.stub.url, "service_role_key": vaulted.key.reveal()}
        assert vaulted.active() == vaulted.key

    def test_the_previous_value_lies_open_nowhere(self, vaulted: Project) -> None:
        newer = keys.secret()
        begun = lease.begin(vaulted.owner, {"service_role_key": newer})
        assert begun is not None
        rows = str(vaulted.owner.execute("select r::text from autosync.secret_rotation as r").fetchall())
        assert vaulted.key.reveal() not in rows
        assert _kept(vaulted)["service_role_key.previous"] == vaulted.key.reveal()
        assert set(secret_store.stored(vaulted.owner)) == {"project_url", "service_role_key"}
        lease.finish(vaulted.owner, begun.token)
        assert "service_role_key.previous" not in _kept(vaulted)

    def test_set_list_history_and_delete(self, vaulted: Project) -> None:
        command.succeeds(vaulted.run("secrets", "set", "other", "--from-file", "-", stdin="o" * 30))
        assert _kept(vaulted)["other"] == "o" * 30
        listed = command.succeeds(vaulted.run("secrets", "list", "--format", "json")).json()
        assert {one["name"]: one["store"] for one in listed} == dict.fromkeys(
            ("other", "project_url", "service_role_key"), "vault"
        )
        command.succeeds(vaulted.run("secrets", "delete", "other"))
        assert "other" not in _kept(vaulted)
        changes = secret_store.history(vaulted.owner, "other")
        assert [(change.action, change.store) for change in changes] == [("deleted", "vault"), ("stored", "vault")]

    def test_other_secrets_of_the_project_are_neither_listed_nor_deleted(self, vaulted: Project) -> None:
        vaulted.owner.execute("select vault.create_secret('theirs', 'stripe', 'billing')")
        assert "stripe" not in secret_store.stored(vaulted.owner)
        command.refused(vaulted.run("secrets", "delete", "stripe", "--yes", "-q"), 2)
        _move(vaulted, "table")
        assert _kept(vaulted) == {"stripe": "theirs"}

    def test_a_secret_of_the_projects_own_is_not_overwritten(self, vaulted: Project) -> None:
        vaulted.owner.execute("select vault.create_secret('theirs', 'stripe', 'billing')")
        command.succeeds(vaulted.run("secrets", "set", "stripe", "--from-file", "-", stdin="o" * 30))
        assert vaulted.value("select autosync.read_secret('stripe')") == "o" * 30
        command.succeeds(vaulted.run("secrets", "delete", "stripe", "--yes"))
        assert _kept(vaulted)["stripe"] == "theirs"
        assert "autosync.stripe" not in _kept(vaulted)

    @pytest.mark.long
    def test_a_vault_that_cannot_be_decrypted_is_emptied_and_filled_again(self, vaulted: Project) -> None:
        """As after a restore into another project, whose root key is another one."""
        with clusters.connect(vaulted.cluster, "supabase_admin") as connection:
            connection.execute("update vault.secrets set secret = '%'")
        assert "cannot be read" in command.refused(vaulted.run("secrets", "list", "-q"), 4)
        for name in ("service_role_key", "project_url"):
            command.succeeds(vaulted.run("secrets", "delete", name, "--yes"))
        command.refused(vaulted.run("secrets", "delete", "project_url", "--yes", "-q"), 2)
        done = vaulted.run(
            "setup", "--project-url", vaulted.stub.url, "--service-role-key-file", "-", stdin=vaulted.key.reveal()
        )
        command.succeeds(done)
        assert vaulted.active() == vaulted.key

    def test_what_is_being_replaced_is_masked_too(self, vaulted: Project) -> None:
        old = "o" * 43
        secret_store.store(vaulted.owner, {"cron_secret": Secret(old)})
        assert lease.begin(vaulted.owner, {"cron_secret": Secret("n" * 43)})
        assert vaulted.value("select autosync.excerpt(%s)", [f"it was {old}"]) == "it was ***"
        assert lease.kept(vaulted.owner, "cron_secret") == Secret(old)

    def test_a_choice_that_was_not_carried_out_stops_the_commands(self, project: Project) -> None:
        configuration = _choose("vault")
        with pytest.raises(UsageError, match="the secrets are in the table") as caught:
            secret_store.require_chosen(project.owner, configuration)
        assert "autosync-db setup" in caught.value.hint

    def test_settings_that_say_nothing_keep_the_store(self, vaulted: Project) -> None:
        Path("autosync.toml").write_text(f'[job]\nschedule = "{health.NEVER}"\n')
        command.succeeds(vaulted.run("setup"))
        assert secret_store.store_of(vaulted.owner) == "vault"

    def test_the_server_log_shows_no_value(self, vaulted: Project) -> None:
        newer = keys.secret()
        vaulted.gate.accept(vaulted.key, newer)
        with clusters.connect(vaulted.cluster, "supabase_admin") as connection:
            for setting in ("log_statement = 'all'", "log_min_duration_statement = 0", "log_parameter_max_length = -1"):
                connection.execute(f"alter system set {setting}".encode())
            connection.execute("select pg_reload_conf()")
            try:
                command.succeeds(vaulted.rotate(newer))
            finally:
                for setting in ("log_statement", "log_min_duration_statement", "log_parameter_max_length"):
                    connection.execute(f"alter system reset {setting}".encode())
                connection.execute("select pg_reload_conf()")
        log = vaulted.cluster.log.read_text()
        assert "autosync.begin_rotation" in log, "statements are logged"
        assert newer.reveal() not in log


def test_the_whole_catalogue_is_healthy_on_a_vault(vaulted: Project) -> None:
    from autosync_db.health import verify

    with clusters.connect(vaulted.cluster) as connection:
        report = verify.run(connection, config.load(config.Flags()))
    assert not {result.id for result in report.root_causes} & {
        "secrets_present", "secrets_clean", "secrets_readable_by_job", "service_key_valid", "service_key_fresh",
        "project_url_valid", "service_key_matches_project", "rotation_finished", "function_accepts_key",
        "secrets_table_protected", "privileges_sufficient",
    }, health.described(report)  # fmt: skip


@pytest.mark.long
def test_missing_and_spoiled_secrets_of_a_vault_are_named(vaulted: Project) -> None:
    vaulted.owner.execute("select vault.update_secret(id, E'a b') from vault.secrets where name = 'service_role_key'")
    assert vaulted.verdict("secrets_clean")[0] == "critical"
    vaulted.owner.execute("delete from vault.secrets where name = 'service_role_key'")
    assert "is missing from the vault" in vaulted.verdict("secrets_present")[1]


def test_the_first_secrets_go_straight_into_the_vault_beside_the_projects_own(blank: Cluster, stub: Stub) -> None:
    _create_vault(blank)
    _choose("vault")
    with clusters.connect(blank) as connection:
        connection.execute("select vault.create_secret('theirs', 'project_url')")
    key = keys.secret()
    with clusters.pg_net_worker(blank):
        result = command.run(
            "setup", "--project-url", stub.url, "--service-role-key-file", "-", database=blank.url(), stdin=key.reveal()
        )
    command.succeeds(result)
    with clusters.connect(blank) as connection:
        assert connection.execute("select count(*) from public.pg_cron_secrets").fetchone() == (0,)
        assert connection.execute(
            "select decrypted_secret from vault.decrypted_secrets where name = 'service_role_key'"
        ).fetchone() == (key.reveal(),)
        assert connection.execute(
            "select decrypted_secret from vault.decrypted_secrets where name = 'project_url'"
        ).fetchone() == ("theirs",)
        assert lease.unfinished(connection) == ()
    assert migrate.plan(blank.url()).is_current
