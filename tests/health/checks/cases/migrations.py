"""Migrations and drift."""

from autosync_db.health import repair
from autosync_db.schema import revisions
from tests.health.actions import SCHEDULES, TRIGGER, admin, equals, sql, tick
from tests.health.checks.case import Case, failed, fine, warned
from tests.support.health import Project


def _rows_are_named(project: Project) -> None:
    """Fail unless the repair is refused with the query of the rows that are in its way."""
    report = project.report(["objects_current"])
    [refused] = repair.plan(project.owner, project.configuration, report, ["objects_current"]).refusals
    query = refused.hint.removeprefix("change or delete them first: ")
    assert project.owner.execute(query.encode()).fetchall() == [("limits", 2)], refused


_DEPENDENTS = {
    "view public.runs": ("create view public.runs as select * from cron.job_run_details", "pg_cron"),
    "materialized view public.answers": (
        "create materialized view public.answers as select * from net._http_response",
        "pg_net",
    ),
    "function public.jobs()": (
        "create function public.jobs() returns bigint language sql begin atomic select count(*) from cron.job; end",
        "pg_cron",
    ),
    "public.mine": ("create table public.mine (method net.http_method)", "pg_net"),
}

CASES: dict[str, tuple[Case, ...]] = {
    "head_applied": (
        failed(
            "the schema of a newer version",
            sql("update autosync.alembic_version set version_num = '9999'"),
            says=f"knows only up to {revisions.head()}",
            reason="newer",
        ),
        failed(
            "two revisions at once",
            sql("insert into autosync.alembic_version values ('0004')"),
            says=f"names 2 revisions at once, the newest is {revisions.head()}",
            explains=("objects_current",),
            reason="several",
        ),
        *(
            failed(
                f"nobody knows the revision any more: {what}",
                sql(what),
                says="has its tables, and nothing says of which revision",
                reason="forgotten",
            )
            for what in ("delete from autosync.alembic_version", "drop table autosync.alembic_version")
        ),
        failed(
            "an older schema",
            sql("update autosync.alembic_version set version_num = '0004'"),
            says=f"is at revision 0004, the newest is {revisions.head()}",
        ),
        fine(
            "the version table of the application",
            sql(
                "create table public.alembic_version (version_num text)",
                "insert into public.alembic_version values ('app-1')",
            ),
        ),
    ),
    "nothing_blocks_upgrades": (
        *(
            warned(
                f"{name} depends on it",
                admin(fault),
                says=f"{name}: depends on the extension {extension}",
                # a table may hold rows: that is for whoever made it
                repaired_by="" if name == "public.mine" else "supabase_admin",
            )
            for name, (fault, extension) in _DEPENDENTS.items()
        ),
        warned(
            "a foreign key depends on it",
            admin("create table public.mine (jobid bigint references cron.job (jobid))"),
            says="depends on the extension pg_cron",
        ),
        warned(
            "one extension alone is there",
            admin("drop extension pg_net", "create view public.runs as select * from cron.job"),
            says="depends on the extension pg_cron",
        ),
        fine(
            "functions with their body in quotes, and a view of ours",
            sql(
                "create function public.runs() returns bigint language sql"
                " as 'select count(*) from cron.job_run_details'",
                "create function public.send() returns bigint language plpgsql"
                " as $$ begin return net.http_post('http://127.0.0.1:9/'); end $$",
                f"create view public.own as select * from {SCHEDULES}",
            ),
        ),
    ),
    "objects_current": (
        warned(
            "a function was edited",
            admin("alter function autosync.settle() set work_mem = '64MB'"),
            says="function autosync.settle: was changed in the database",
            repaired_by="postgres",
        ),
        failed(
            "a function was dropped",
            admin("drop function autosync.call_findings(text)"),
            says="sql/functions/autosync.call_findings.sql",
            repaired_by="postgres",
        ),
        failed(
            "one of a file's functions was dropped",
            admin("drop function autosync.dispatch(text)"),
            says="function autosync.dispatch: is missing",
            repaired_by="postgres",
        ),
        failed(
            "a superuser makes it again, for the owner",
            admin("drop function autosync.settle()"),
            says="function autosync.settle: is missing",
            repaired_by="supabase_admin",
            then=equals("postgres", "select proowner::regrole::text from pg_proc where proname = 'settle'"),
        ),
        failed(
            "a table is gone, with all that was on it",
            sql(f"drop table {SCHEDULES} cascade"),
            says=f"table {SCHEDULES}: does not exist",
            explains=("service_role_can_use_schedules", "schedules_table_protected"),
            reason="table",
        ),
        failed(
            "a crash would empty the secrets",
            admin("alter table public.pg_cron_secrets set unlogged"),
            says="table public.pg_cron_secrets: is unlogged: a crash of the server empties it",
            repaired_by="postgres",
            then=tick,
        ),
        failed(
            "a crash would not be noticed",
            admin("alter table autosync.epoch set logged"),
            says="table autosync.epoch: is logged",
            repaired_by="postgres",
            then=tick,
        ),
        failed(
            "a view stands in the place of a table",
            sql(f"alter table {SCHEDULES} rename to schedules", f"create view {SCHEDULES} as select * from schedules"),
            says=f"table {SCHEDULES}: is a view, not a table",
            reason="view",
        ),
        failed(
            "a column that nobody here fills takes no null",
            sql(
                "alter table public.pg_cron_secrets add column tenant text not null default ''",
                "alter table public.pg_cron_secrets alter column tenant drop default",
            ),
            says="table public.pg_cron_secrets: has the column tenant, which takes no null",
            reason="not_null",
        ),
        *(
            failed(
                f"{table} is published, and its rows have no identity",
                admin(f"create publication p for table {table}", f"alter table {table} replica identity nothing"),
                says=f"table {table}: the publication p sends its updates, and it has no replica identity",
                repaired_by="postgres",
            )
            for table in (SCHEDULES, "autosync.invocation")
        ),
        failed(
            "a table with a unique index for a primary key is published",
            admin(
                "create publication p for table autosync.run_mark",
                "alter table autosync.run_mark drop constraint run_mark_pkey",
                "create unique index on autosync.run_mark (runid)",
            ),
            says="table autosync.run_mark: the publication p sends its updates",
            reason="primary_key",
        ),
        *(
            failed(
                f"{table} lost {name}",
                admin(f"alter table {table} drop constraint {name}"),
                says=f"table {table}: lacks what keeps its rows apart, {name}",
                repaired_by="postgres",
            )
            for table, name in (
                ("autosync.job", "job_name_key"),
                ("autosync.housekeeping", "housekeeping_pkey"),
                ("public.pg_cron_secrets", "pg_cron_secrets_pkey"),
                (SCHEDULES, "auto_sync_schedules_integration_id_key"),
                ("autosync.alert_receiver", "alert_receiver_kind_job_id_key"),
            )
        ),
        failed(
            "a primary key was dropped with what refers to it",
            admin("alter table autosync.tick drop constraint tick_pkey cascade"),
            says="table autosync.invocation: lacks the constraint invocation_tick_id_fkey",
            repaired_by="postgres",
        ),
        failed(
            "a unique index was dropped",
            admin("drop index autosync.key_rotation_alone_idx"),
            says="table autosync.key_rotation: lacks what keeps its rows apart, key_rotation_alone_idx",
            repaired_by="postgres",
        ),
        *(
            warned(
                f"{table} lost {name}",
                admin(f"alter table {table} drop constraint {name}"),
                says=f"table {table}: lacks the constraint {name}",
                repaired_by="postgres",
            )
            for table, name in (
                ("autosync.job", "job_schedule_check"),
                ("autosync.job", "job_secret_check"),
                ("autosync.invocation", "invocation_tick_id_fkey"),
                (SCHEDULES, "valid_time_window"),
            )
        ),
        failed(
            "rows are in the way of what keeps them apart",
            admin(
                "alter table autosync.setting drop constraint setting_pkey",
                "insert into autosync.setting (name, value) select 'limits', '1' from generate_series(1, 2)",
            ),
            says="table autosync.setting: lacks what keeps its rows apart, setting_pkey",
            then=_rows_are_named,
        ),
        failed(
            "two tables of which one refers to the other are unlogged",
            admin("alter table autosync.invocation set unlogged", "alter table autosync.tick set unlogged"),
            says="table autosync.tick: is unlogged",
            repaired_by="postgres",
        ),
        fine(
            "constraints that were renamed, changed, or are unique indexes now",
            admin(
                "alter table autosync.job rename constraint job_method_check to methods",
                "alter table autosync.job rename constraint job_name_key to names",
                f"alter table {SCHEDULES} drop constraint auto_sync_schedules_direction_check",
                f"alter table {SCHEDULES} add constraint auto_sync_schedules_direction_check check (direction <> '')",
                "alter table autosync.setting drop constraint setting_pkey",
                "create unique index named on autosync.setting (name) include (value)",
                "alter table public.pg_cron_secrets add constraint short check (length(secret) < 9999)",
            ),
        ),
        fine(
            "all is published", admin(f"create publication p for table {SCHEDULES}, autosync.tick, autosync.invocation")
        ),
        fine(
            "inserts alone are published",
            admin(
                f"create publication p for table {SCHEDULES} with (publish = 'insert')",
                f"alter table {SCHEDULES} replica identity nothing",
            ),
        ),
        fine(
            "columns of the project's own",
            admin(
                f"alter table {SCHEDULES} add column tenant text not null",
                "alter table autosync.tick add column tenant text not null default 'x'",
            ),
        ),
        *(
            failed(what, sql(fault), says=f"table {table}: {says}", reason="table")
            for what, fault, table, says in (
                (
                    "a column was dropped",
                    f"alter table {SCHEDULES} drop column device_tags",
                    SCHEDULES,
                    "column device_tags is missing: text[]",
                ),
                (
                    "a column was renamed",
                    "alter table autosync.tick rename column due to number",
                    "autosync.tick",
                    "column due is missing: integer",
                ),
                (
                    "a moment lost its time zone",
                    f"alter table {SCHEDULES} alter column last_run_at type timestamp",
                    SCHEDULES,
                    "column last_run_at is timestamp without time zone, not timestamp with time zone",
                ),
                ("a table was dropped", "drop table autosync.alert_state", "autosync.alert_state", "does not exist"),
            )
        ),
        fine(
            "a column of the project's, and a text with a limit",
            sql(
                f"alter table {SCHEDULES} add column note text",
                f"alter table {SCHEDULES} alter column device_filter type varchar(20)",
            ),
        ),
        fine(
            "what other checks look at",
            sql(
                f"alter table {SCHEDULES} disable trigger {TRIGGER}",
                f"grant select on {SCHEDULES} to anon",
                "grant usage on schema autosync to anon",
            ),
        ),
        fine(
            "a session that writes names and constants in other ways",
            sql("set local quote_all_identifiers = on", "set local intervalstyle = postgres_verbose"),
        ),
        warned(
            "another check speaks of the same function",
            sql("alter function autosync.dispatch(text, boolean) reset search_path"),
            says="function autosync.dispatch",
            blocked_by=("search_path_pinned",),
        ),
        warned(
            "and an edit of another function is a fault of its own",
            sql(
                "alter function autosync.dispatch(text, boolean) reset search_path",
                "alter function autosync.settle() set work_mem = '64MB'",
            ),
            says="function autosync.settle",
        ),
        fine(
            "what the owner has itself, of which PostgreSQL 17 knows one thing more",
            admin("revoke trigger on autosync.secret_rotation from postgres"),
        ),
        warned(
            "a grant to another role",
            sql("grant trigger on autosync.secret_rotation to service_role"),
            says="object autosync.secret_rotation: was changed in the database",
        ),
        fine(
            "a grant on a table of the project",
            admin("create table public.other (id integer)", "grant select on public.other to anon"),
        ),
    ),
}
