"""A project from the field ends at head: its rows, ids, keys and extras are kept, and what would harm it is gone."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from autosync_db.errors import MigrationError
from autosync_db.local.cluster import Cluster
from autosync_db.schedules.table import SETTABLE
from autosync_db.schema import migrate, revisions
from autosync_db.secret import Secret
from tests.schema import catalog
from tests.schema.adoption import conftest
from tests.schema.adoption.conftest import FIXED, Adoption, asked_as, checksums
from tests.support import clusters, command, handmade, keys
from tests.support.http_stub import Stub

TABLE = "public.auto_sync_schedules"
BESIDES_HOUSEKEEPING = "from cron.job where jobname <> 'autosync-keep-house'"
Rows = list[tuple[Any, ...]]


def rows(cluster: Cluster, query: str) -> Rows:
    with clusters.connect(cluster) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize(
    ("world", "policy", "key"),
    [
        pytest.param("open_template", "nobody", "legacy", marks=pytest.mark.long),
        ("closed_template", "service_role", "secret"),
    ],
)
def test_every_variant_ends_at_head_with_every_row(
    world: str, policy: str, key: str, request: pytest.FixtureRequest
) -> None:
    with conftest.copied(request.getfixturevalue(world)) as cluster:
        with clusters.connect(cluster) as owner:
            owner.execute('drop policy "No access" on public.pg_cron_secrets')
            owner.execute(handmade.SECRETS_POLICIES[policy].encode())
            handmade.store(owner, keys.secret() if key == "secret" else keys.legacy(), "https://api.example.com")
        secrets = "select name, secret, created_at, updated_at from public.pg_cron_secrets order by name"
        before, kept = checksums(cluster), rows(cluster, secrets)

        done = migrate.upgrade(cluster.url())
        assert done.after == revisions.head()
        assert migrate.plan(cluster.url()).is_current

        after = checksums(cluster)
        assert after.keys() == before.keys()
        assert sorted(id[-2:] for id in before if after[id] != before[id]) == [*FIXED]
        assert rows(cluster, secrets) == kept
        assert rows(cluster, f"select jobid, jobname, schedule, command, active {BESIDES_HOUSEKEEPING}") == [
            (1, "auto-sync-cron-job", "*/5 * * * *", "select autosync.dispatch()", True)
        ]


@pytest.mark.long
def test_corrected_rows_differ_in_the_corrected_column_alone(adoption: Adoption) -> None:
    assert adoption.after.others == adoption.before.others
    query = f"select right(id::text, 2), frequency_minutes, time_window_end::text from {TABLE} order by 1"
    fixed = {number: rest for number, *rest in rows(adoption.cluster, query) if number in FIXED}
    assert fixed == {"10": [1, None], "11": [44640, None], "12": [180, "12:01:00"]}


@pytest.mark.long
def test_the_next_run_of_each_row_is_what_the_rules_say(adoption: Adoption) -> None:
    before, after = adoption.before.next_runs, adoption.after.next_runs
    # disabled schedules have none; enabled ones that had none are due, or will be after a whole frequency
    assert [number for number in sorted(after) if after[number] != before[number]] == ["03", "08", "09"]
    assert after["03"] is None
    [(due, later)] = rows(
        adoption.cluster,
        f"select (select next_run_at <= now() from {TABLE} where id::text like '%08'),"
        f" (select next_run_at = last_run_at + interval '120 min' from {TABLE} where id::text like '%09')",
    )
    assert (due, later) == (True, True)


def test_the_migration_says_what_it_fixed(adoption: Adoption) -> None:
    for words in (
        "frequencies are brought to 1 to 44640 minutes (rows: 2)",
        "windows with start = end become one minute wide (rows: 1)",
        "enabled schedules that had no next run get one (rows: 2)",
    ):
        assert f"{TABLE}: {words}" in adoption.outcome.warnings


def test_the_old_trigger_and_its_functions_are_gone(adopted: Cluster) -> None:
    triggers = rows(adopted, f"select tgname from pg_trigger where tgrelid = '{TABLE}'::regclass and not tgisinternal")
    assert {name for (name,) in triggers} == {"auto_sync_schedules_next_run_at", "z_keep_history"}
    left = "select proname from pg_proc where proname in ('update_auto_sync_next_run', 'calculate_next_run')"
    assert rows(adopted, left) == []


def test_an_unrelated_update_leaves_the_next_run_alone(adopted: Cluster) -> None:
    """The deployed trigger pushed it away with every update."""
    with psycopg.connect(adopted.url().reveal()) as connection:
        moved = connection.execute(
            f"with before as (select id, next_run_at from {TABLE} where id::text like '%01')"
            f" update {TABLE} as s set device_tags = array['new'] from before as b where s.id = b.id"
            " returning s.next_run_at - b.next_run_at".encode()
        ).fetchone()
        connection.rollback()
    assert moved is not None
    assert moved[0].total_seconds() == 0


def test_foreign_keys_still_delete_and_refuse(adopted: Cluster) -> None:
    with psycopg.connect(adopted.url().reveal()) as connection:
        for statement in (
            f"insert into {TABLE} (integration_id, organization_id) values (gen_random_uuid(), gen_random_uuid())",
            f"update {TABLE} set created_by = gen_random_uuid()",
            f"update {TABLE} set organization_id = gen_random_uuid()",
        ):
            with pytest.raises(psycopg.errors.ForeignKeyViolation), connection.transaction():
                connection.execute(statement.encode())
        connection.execute("delete from public.device_integrations where id::text like '%c013'")
        assert connection.execute(f"select count(*) from {TABLE}".encode()).fetchone() == (12,)
        connection.rollback()


def test_what_the_owner_added_is_kept(adopted: Cluster) -> None:
    assert rows(adopted, f"select notes, priority, count(*) from {TABLE} group by 1, 2") == [("a note", 3, 13)]
    kept = "select count(*) from pg_class where oid = to_regclass('public.schedules_by_priority')"
    assert rows(adopted, kept) == [(1,)]
    assert rows(adopted, "select description from public.pg_cron_secrets") == [(None,), (None,)]
    with psycopg.connect(adopted.url().reveal()) as connection:
        connection.execute(f"update {TABLE} set enabled = not enabled where id::text like '%01'".encode())
        assert connection.execute("select enabled from public.schedule_history").fetchall() == [(False,)]
        with pytest.raises(psycopg.errors.CheckViolation, match="priority_is_small"):
            connection.execute(f"update {TABLE} set priority = 77".encode())
        connection.rollback()


def test_both_default_privileges_end_in_the_same_grants(adopted: Cluster, closed_template: Cluster) -> None:
    ours = ("auto_sync_schedules", "pg_cron_secrets", "autosync", "schema autosync", "auto_sync_")
    columns = """
        select a.attrelid::regclass::text, a.attname, x.grantee::regrole::text, x.privilege_type
        from pg_attribute as a cross join lateral aclexplode(a.attacl) as x
        where a.attrelid in ('public.auto_sync_schedules'::regclass, 'public.pg_cron_secrets'::regclass)
            and a.attname not in ('notes', 'priority')
        order by 1, 2, 3, 4
    """
    with conftest.copied(closed_template) as closed:
        migrate.upgrade(closed.url())
        found = []
        for cluster in (adopted, closed):
            with clusters.connect(cluster) as connection:
                privileges = [row for row in catalog.privileges(connection) if row[0].startswith(ours)]
                found.append((privileges, connection.execute(columns.encode()).fetchall()))
    assert found[0] == found[1]
    assert ("auto_sync_schedules", "authenticated", "SELECT", False) in found[0][0]
    assert [row for row in found[0][0] if row[1] in ("anon", "everybody")] == []


def test_adopted_and_fresh_have_the_same_columns_checks_and_indexes(adopted: Cluster, shared: Cluster) -> None:
    queries = (
        # an adopted table keeps its own rule for organization_id
        "select attname, format_type(atttypid, atttypmod), attnotnull and attname <> 'organization_id',"
        " pg_get_expr(adbin, adrelid)"
        " from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum"
        " where attrelid in ('public.auto_sync_schedules'::regclass, 'public.pg_cron_secrets'::regclass)"
        " and attnum > 0 and not attisdropped order by attrelid::regclass::text, attname",
        "select conname, pg_get_constraintdef(oid) from pg_constraint where contype in ('c', 'p', 'u')"
        " and conrelid in ('public.auto_sync_schedules'::regclass, 'public.pg_cron_secrets'::regclass) order by 1",
        "select indexname, regexp_replace(indexdef, ' = true', '') from pg_indexes"
        " where tablename in ('auto_sync_schedules', 'pg_cron_secrets') order by 1",
    )
    extras = {"notes", "priority", "description", "priority_is_small", "schedules_by_priority"}
    for query in queries:
        # the deployed index says `where (enabled = true)`, which is the same
        found = [(name, *rest) for name, *rest in rows(adopted, query) if name not in extras]
        fresh = [(name, *rest) for name, *rest in rows(shared, query)]
        normal = [[str(part).replace("(enabled)", "enabled") for part in row] for row in found]
        assert normal == [[str(part).replace("(enabled)", "enabled") for part in row] for row in fresh]


class TestTheDeployedFunction:
    """What a deployed auto-sync-cron does, which knows no claims, asked as service_role."""

    def test_it_selects_what_is_due_and_records_runs(self, adopted: Cluster) -> None:
        with asked_as(adopted, None, "service_role") as connection:
            due = connection.execute(
                f"select * from {TABLE} where enabled = true and next_run_at <= now() order by id"
            ).fetchall()
            assert [str(row[0])[-2:] for row in due] == ["02", "08", "10"]
            for row in due:
                moved = connection.execute(
                    f"update {TABLE} set last_run_at = now(), last_run_status = 'success', last_run_summary = %s"
                    " where id = %s returning next_run_at - now() = make_interval(mins => frequency_minutes)",
                    ['{"synced": 1, "created": 0, "updated": 1, "skipped": 0, "errors": 0}', row[0]],
                ).fetchone()
                assert moved == (True,)
            assert connection.execute(f"select 1 from {TABLE} where enabled and next_run_at <= now()").fetchall() == []

    def test_the_shipped_one_works_as_well(self, adopted: Cluster) -> None:
        with asked_as(adopted, None, "service_role") as connection:
            claimed = connection.execute("select id, claim_id from public.auto_sync_claim(10)").fetchall()
            assert [str(id)[-2:] for id, _ in claimed] == ["02", "10", "08"]
            for id, claim in claimed:
                connection.execute("select public.auto_sync_complete(%s, 'success', '{}'::jsonb, %s)", [id, claim])


class TestAccess:
    """Nobody loses access unseen, and nobody can write what belongs to the trigger and the function."""

    @pytest.fixture
    def member(self, adopted: Cluster) -> Iterator[psycopg.Connection[Any]]:
        with asked_as(adopted, 1) as connection:
            yield connection

    def test_members_see_what_they_saw(self, adoption: Adoption) -> None:
        assert [len(ids) for ids in adoption.before.seen] == [11, 2]
        assert adoption.after.seen == adoption.before.seen

    def test_members_go_on_writing(self, member: psycopg.Connection[Any]) -> None:
        inserted = member.execute(
            f"insert into {TABLE} (id, integration_id, organization_id, enabled, notes, created_at)"
            " values (gen_random_uuid(), %s, %s, true, 'mine', now()) returning id",
            [conftest.FREE_INTEGRATION, conftest.ORGANIZATION[1]],
        ).fetchone()
        assert inserted is not None
        done = member.execute(
            f"update {TABLE} set enabled = false, frequency_minutes = 30, notes = 'x', priority = 4, updated_at = now()"
        )
        assert done.rowcount == 12
        assert member.execute(f"delete from {TABLE}").rowcount == 12

    def test_members_write_no_runs_and_no_claims(self, member: psycopg.Connection[Any]) -> None:
        for column, value in (
            ("last_run_at", "now()"), ("last_run_status", "'success'"), ("last_run_summary", "'{}'"),
            ("next_run_at", "now()"), ("claim_id", "gen_random_uuid()"), ("claimed_at", "now()"),
            ("claim_expires_at", "now()"), ("consecutive_failures", "0"),
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege), member.transaction():
                member.execute(f"update {TABLE} set {column} = {value}".encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege), member.transaction():
                member.execute(
                    f"insert into {TABLE} (integration_id, organization_id, {column}) values"
                    f" ('{conftest.FREE_INTEGRATION}', '{conftest.ORGANIZATION[1]}', {value})".encode()
                )

    def test_the_mode_is_known_as_organization(self, adopted: Cluster) -> None:
        assert rows(adopted, "select value from autosync.setting where name = 'isolation'") == [
            ({"mode": "organization"},)
        ]
        policies = f"select policyname from pg_policies where format('%I.%I', schemaname, tablename) = '{TABLE}'"
        assert rows(adopted, policies) == [("auto_sync_schedules_organization",)]

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(conftest.OWN_POLICY, id="a policy of one's own"),
            pytest.param(
                "revoke delete on public.auto_sync_schedules from authenticated",
                id="fewer grants",
                marks=pytest.mark.long,
            ),
            pytest.param(
                'alter policy "Users can manage their organization\'s schedules" on public.auto_sync_schedules'
                " with check (organization_id is not null)",
                id="another check",
                marks=pytest.mark.long,
            ),
            pytest.param(
                'drop policy "Users can manage their organization\'s schedules" on public.auto_sync_schedules',
                id="read only",
                marks=pytest.mark.long,
            ),
        ],
    )
    def test_what_says_anything_else_is_kept_with_a_warning(self, change: str, deployed: Cluster) -> None:
        with clusters.connect(deployed) as owner:
            owner.execute(change.encode())
            shown = (
                "select policyname, permissive, roles::text, cmd, qual, with_check from pg_policies"
                " where tablename = 'auto_sync_schedules' order by 1"
            )
            before = owner.execute(shown).fetchall()
            deletes = "select has_table_privilege('authenticated', 'public.auto_sync_schedules', 'delete')"
            could_delete = owner.execute(deletes).fetchone()

            said = command.succeeds(command.run("migrate", database=deployed.url())).err
            assert f"warning: {TABLE} keeps its policies: choose [isolation] mode in autosync.toml" in said
            assert owner.execute(shown).fetchall() == before
            assert owner.execute(deletes).fetchone() == could_delete
            for column in ("last_run_at", "next_run_at", "claim_id"):
                may = owner.execute(
                    "select has_column_privilege('authenticated', 'public.auto_sync_schedules', %s, 'insert, update')",
                    [column],
                ).fetchone()
                assert may == (False,), column
            for column in (*SETTABLE, "created_by", "updated_by", "updated_at"):
                may = owner.execute(
                    "select has_column_privilege('authenticated', 'public.auto_sync_schedules', %s, 'update')",
                    [column],
                ).fetchone()
                assert may == (True,), column
            assert migrate.plan(deployed.url()).is_current
            if change == conftest.OWN_POLICY:
                for auditor, seen in (("yes", 13), ("no", 0)):
                    with asked_as(deployed, None, auditor=auditor) as connection:
                        assert connection.execute(f"select count(*) from {TABLE}").fetchone() == (seen,)
            # what the project does with its own policies is no drift
            owner.execute("create policy later on public.auto_sync_schedules for select using (false)")
            assert migrate.plan(deployed.url()).is_current

    def test_the_settings_file_decides(self, deployed: Cluster) -> None:
        with open("autosync.toml", "w") as file:
            file.write('[isolation]\nmode = "none"\n')
        said = command.succeeds(command.run("migrate", database=deployed.url())).err
        assert "keeps its policies" not in said
        assert 'loses its policies, which are like mode "organization": the settings say "none"' in said
        with asked_as(deployed, 1) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"select 1 from {TABLE}")

    def test_the_settings_that_init_writes_take_nothing_away(self, deployed: Cluster) -> None:
        command.succeeds(command.run("init"))
        command.succeeds(command.run("migrate", database=deployed.url()))
        assert rows(deployed, "select value from autosync.setting where name = 'isolation'") == [
            ({"mode": "organization"},)
        ]

    @pytest.mark.long
    def test_a_table_that_was_open_is_closed(self, deployed: Cluster) -> None:
        with clusters.connect(deployed) as owner:
            owner.execute(f"alter table {TABLE} disable row level security")
            plan = migrate.plan(deployed.url())
            assert "row level security is turned on" in {change.detail for change in plan.adoption}
            migrate.upgrade(deployed.url())
        with asked_as(deployed, None, "anon") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"select 1 from {TABLE}")


class TestTheJob:
    @pytest.mark.long
    def test_schedule_function_timeout_and_pause_are_taken_over(self, deployed: Cluster) -> None:
        with clusters.connect(deployed) as owner:
            owner.execute(
                "select cron.schedule('auto-sync-cron-job', '*/10 * * * *', replace(command, 'auto-sync-cron''',"
                " 'sync-all''') ) from cron.job"
            )
            owner.execute(
                "select cron.alter_job(jobid, active := false, command := replace(command, 'body :=',"
                " 'timeout_milliseconds := 90000, body :=')) from cron.job"
            )
        arguments = ("setup", "--no-wait", "--project-ref", keys.PROJECT_REF)
        said = command.succeeds(command.run(*arguments, database=deployed.url())).err
        assert "auto-sync-cron-job (*/10 * * * *) unchanged" in said
        assert rows(deployed, f"select jobid, schedule, command, active {BESIDES_HOUSEKEEPING}") == [
            (1, "*/10 * * * *", "select autosync.dispatch()", False)
        ]
        query = "select function, timeout_milliseconds, paused_at is not null from autosync.job where sql is null"
        assert rows(deployed, query) == [("sync-all", 90000, True)]

    @pytest.mark.long
    def test_a_setting_that_says_otherwise_wins(self, deployed: Cluster) -> None:
        command.succeeds(
            command.run(
                "setup", "--no-wait", database=deployed.url(), variables={"AUTOSYNC_JOB__SCHEDULE": "7 * * * *"}
            )
        )  # fmt: skip
        assert rows(deployed, f"select jobid, schedule {BESIDES_HOUSEKEEPING}") == [(1, "7 * * * *")]

    def test_revisions_alone_leave_what_they_cannot_serve_as_it_is(self, deployed: Cluster) -> None:
        """As by plain Alembic or the exported migrations, which make no call that would prove it."""
        text = "select net.http_post(url := current_setting('app.url') || '/functions/v1/auto-sync-cron')"
        with clusters.connect(deployed) as owner:
            owner.execute("select cron.schedule('auto-sync-cron-job', '*/5 * * * *', %s)", [text])
        assert "the cron job auto-sync-cron-job is left as it is" in migrate.upgrade(deployed.url()).warnings
        assert rows(deployed, f"select command, active {BESIDES_HOUSEKEEPING}") == [(text, True)]
        migrate.downgrade(deployed.url(), "base", drop_rows=True)
        assert rows(deployed, "select command, active from cron.job") == [(text, True)]


@pytest.mark.parametrize("make", [keys.legacy, keys.secret])
def test_setup_calls_and_verify_finds_only_what_a_human_must_decide(make: Any, deployed: Cluster, stub: Stub) -> None:
    key: Secret = make()
    with clusters.connect(deployed) as owner:
        handmade.store(owner, key, stub.url)
    rarely = {"AUTOSYNC_JOB__SCHEDULE": "59 23 31 12 *"}
    with clusters.pg_net_worker(deployed):
        done = command.run("setup", "--format", "json", database=deployed.url(), variables=rarely)
        assert done.json()["verify"]["status"] in ("ok", "warning"), done.out
        roots = set(done.json()["verify"]["root_causes"])
        expected = {"service_key_fresh"} if make is keys.legacy else set()
        # the overdue rows are what nobody has run yet; one of every 60 days waits longer than the 31 that it is cut to
        assert roots - {"schedules_not_overdue", "schedules_have_next_run"} <= expected, done.out
    assert [request.path for request in stub.requests] == ["/functions/v1/auto-sync-cron"]
    sent = stub.requests[0].headers
    assert sent.get("apikey") == key.reveal() or sent.get("authorization") == f"Bearer {key.reveal()}"


def test_a_script_and_plain_alembic_adopt_alike(deployed: Cluster, open_template: Cluster) -> None:
    """The statements are SQL, so that what is printed does the same elsewhere."""
    with conftest.copied(open_template) as scripted, clusters.connect(scripted) as owner:
        for change in (conftest.EXTRAS, conftest.OWN_POLICY):
            owner.execute(change.encode())
            with clusters.connect(deployed) as other:
                other.execute(change.encode())
        owner.execute(migrate.script_sql().encode())
        migrate.upgrade(deployed.url())
        left, right = catalog.snapshot(scripted, registry=False), catalog.snapshot(deployed, registry=False)
    assert left == right


def test_a_killed_adoption_leaves_everything_as_it_was(deployed: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "autosync_db.schema.objects.apply", lambda *_: (_ for _ in ()).throw(psycopg.errors.DataError("stop"))
    )
    before, sums = catalog.snapshot(deployed), checksums(deployed)
    with pytest.raises(MigrationError):
        migrate.upgrade(deployed.url())
    assert (catalog.snapshot(deployed), checksums(deployed)) == (before, sums)


def test_adopting_again_finds_nothing_to_do(adopted: Cluster) -> None:
    done = migrate.upgrade(adopted.url())
    assert (done.revisions, done.warnings) == ([], [])
