"""What tests do to a healthy project: the steps that faults and near-misses are made of."""

import time
from collections.abc import Callable
from typing import TypeVar

from autosync_db.secret import Secret
from tests.support import clusters, keys
from tests.support.health import NEVER, Project

P = TypeVar("P", bound=Project)
Action = Callable[[P], object]
SCHEDULES = "public.auto_sync_schedules"
TRIGGER = "auto_sync_schedules_next_run_at"


def sql(*statements: str) -> Action[Project]:
    """Return what runs statements as the owner."""

    def act(project: Project) -> None:
        for statement in statements:
            project.owner.execute(statement.encode())

    return act


def admin(*statements: str) -> Action[Project]:
    """Return what runs statements as the superuser."""

    def act(project: Project) -> None:
        for statement in statements:
            project.admin.execute(statement.encode())

    return act


def steps(*actions: Action[P]) -> Action[P]:
    """Return what does one thing after the other."""

    def act(project: P) -> None:
        for action in actions:
            action(project)

    return act


def tick(project: Project) -> None:
    """Let the job run as pg_cron would run it."""
    project.tick()


def failed_tick(project: Project) -> None:
    """Let the job run as pg_cron would run it, and make sure that it failed."""
    assert project.run_by_cron() == "failed"


def answers(status: int, body: object = None, code: str | None = None, *, ticks: int = 1) -> Action[Project]:
    """Return what lets the function's address answer so to some ticks."""

    def act(project: Project) -> None:
        project.stub.answer(status, body, code)
        for _ in range(ticks):
            project.tick()

    return act


def answers_again(project: Project) -> None:
    """Let the function answer 200."""
    project.stub.answer()
    project.tick()


def unanswered(error: str, *, timed_out: bool | None = None) -> Action[Project]:
    """Return what makes pg_net say so of the newest call."""
    return lambda project: project.call(error, timed_out=timed_out)


def lost_call(project: Project) -> None:
    """Make a call of which nobody keeps the answer."""
    project.call()
    project.admin.execute("delete from net._http_response")
    project.owner.execute(
        "update autosync.invocation set outcome = 'lost', settled_at = now(), status_code = null, body_excerpt = null,"
        " error_message = 'pg_net no longer knows the request' where id = (select max(id) from autosync.invocation)"
    )


def waiting_call(age: str) -> Action[Project]:
    """Return what leaves a call in pg_net's queue for so long."""

    def act(project: Project) -> None:
        project.value("select autosync.dispatch(%s)", [project.job_name])
        project.owner.execute(
            "update autosync.invocation set queued_at = now() - %s::interval where outcome = 'pending'", [age]
        )

    return act


def run(status: str, message: str = "", *, ended: str | None = "clock_timestamp()", times: int = 1) -> Action[Project]:
    """Return what records runs of the job."""

    def act(project: Project) -> None:
        for _ in range(times):
            project.record_run(status, message, ended=ended)

    return act


def stored(**secrets: str | Secret) -> Action[Project]:
    """Return what stores secrets by name."""
    return lambda project: project.store(**secrets)


def stored_where_the_stub_is(project: Project) -> None:
    """Store an address and a key that work."""
    project.store(project_url=project.stub.url, service_role_key=keys.legacy())


def secrets_again(project: Project) -> None:
    """Store an address and a key that work, and use them."""
    stored_where_the_stub_is(project)
    project.tick()


def carried(auth: str, *, url: str | None = None) -> Action[Project]:
    """Return what lets the job carry another credential: a secret of its own, or none; `url` is another address."""

    def act(project: Project) -> None:
        project.owner.execute(
            "update autosync.job set function = case when %(url)s::text is null then function end, url = %(url)s,"
            " auth = %(auth)s, secret_name = case %(auth)s when 'secret' then 'partner_token' end,"
            " secret_header = case %(auth)s when 'secret' then 'x-token' end where drains is not null",
            {"url": url, "auth": auth},
        )
        project.store(partner_token="t0ken-of-nobody")

    return act


def expecting(expect: str) -> Action[Project]:
    """Return what lets the job take no other answer for a good one."""
    return sql(f"update autosync.job set expect = '{expect}' where drains is not null")


def schedule(**columns: object) -> Action[Project]:
    """Return what adds an enabled schedule as it is, past the trigger."""
    return lambda project: project.add_schedule(**columns)


def overdue(project: Project) -> None:
    """Add a schedule that should have run long ago."""
    project.add_schedule(next_run_at="now() - interval '100 days'")


def claim(claimed_at: str, expires_at: str, **columns: object) -> Action[Project]:
    """Return what adds a due schedule that somebody has claimed."""
    given: dict[str, object] = {
        "next_run_at": "now() - interval '2 hours'",
        "claim_id": "00000000-0000-4000-8000-000000000001",
        "claimed_at": claimed_at,
        "claim_expires_at": expires_at,
        **columns,
    }
    return lambda project: project.add_schedule(**given)


def window(start: str, end: str, zone: str = "UTC", **columns: object) -> Action[Project]:
    """Return what adds a schedule that may run in a window only."""
    given: dict[str, object] = {
        "next_run_at": "now() + interval '1 hour'",
        "time_window_enabled": True,
        "time_window_start": start,
        "time_window_end": end,
        "timezone": zone,
        **columns,
    }
    return lambda project: project.add_schedule(**given)


def ticking(cron: str) -> Action[Project]:
    """Return what lets the job tick by a schedule."""
    return lambda project: project.schedule_job(cron)


def command(text: str) -> Action[Project]:
    """Return what makes the job run something else."""

    def act(project: Project) -> None:
        project.admin.execute("update cron.job set command = %s where jobname = %s", [text, project.job_name])

    return act


def other_job(name: str, text: str) -> Action[Project]:
    """Return what schedules another job of the owner."""

    def act(project: Project) -> None:
        project.owner.execute("select cron.schedule(%s, %s, %s)", [name, NEVER, text])

    return act


def role(name: str = "plain", grants: str = "") -> Action[Project]:
    """Return what creates a login role."""
    return lambda project: project.create_role(name, grants=grants)


def no_plain_role(project: Project) -> None:
    """Drop the role that sees little."""
    project.admin.execute("drop owned by plain; drop role plain")


def pause(project: Project) -> None:
    """Pause the job."""
    project.pause()


def switch_off(project: Project) -> None:
    """Switch the job off, as `enabled = false` in the file does."""
    project.owner.execute(
        "update autosync.job set enabled = false, updated_at = clock_timestamp() where name = %s", [project.job_name]
    )


def old_runs(count: int, *, first: int, age: str, ended: bool = True) -> Action[Project]:
    """Return what records runs that pruning passed over when `first` is small, and has not come to when it is not."""

    def act(project: Project) -> None:
        project.admin.execute(
            "insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time, end_time)"
            " select jobid, %s + n, database, username, command, 'succeeded', now() - %s::interval,"
            " case when %s then now() - %s::interval end"
            " from cron.job, generate_series(1, %s) as n where jobname = %s",
            [first, age, ended, age, count, project.job_name],
        )

    return act


def ticks(count: int, *, first: int, age: str) -> Action[Project]:
    """Return what writes ticks into the ledger."""

    def act(project: Project) -> None:
        project.owner.execute(
            "insert into autosync.tick (id, job_id, ticked_at, caller, due, decision)"
            " overriding system value"
            " select %s + n, j.id, now() - %s::interval, 'pg_cron', 0, 'idle'"
            " from autosync.job as j, generate_series(1, %s) as n where j.name = %s",
            [first, age, count, project.job_name],
        )

    return act


def old_answers(project: Project) -> None:
    """Leave answers that pg_net did not remove."""
    project.owner.execute(
        "insert into net._http_response (id, status_code, created)"
        " select -n, 200, now() - interval '3 days' from generate_series(1, 500) as n"
    )


def recorded_migration(version: str, *statements: str) -> Action[Project]:
    """Return what records a migration as the Supabase CLI does."""

    def act(project: Project) -> None:
        project.owner.execute(
            "create schema if not exists supabase_migrations;"
            " create table if not exists supabase_migrations.schema_migrations"
            " (version text primary key, statements text[], name text)"
        )
        project.owner.execute(
            "insert into supabase_migrations.schema_migrations (version, statements) values (%s, %s)",
            [version, list(statements)],
        )

    return act


def orphan(project: Project) -> None:
    """Leave the job of a dropped role behind; pg_cron does not read its jobs before the transaction ends."""
    project.admin.execute("create role leaver; grant usage on schema cron to leaver")
    project.admin.execute(
        f"set local role leaver; select cron.schedule('left behind', '{NEVER}', 'select 1');"
        " reset role; drop owned by leaver; drop role leaver"
    )


def pretended(settings: dict[str, str], *, pending_restart: bool = False, as_written: bool = True) -> Action[Project]:
    """Return what makes pg_settings show other values: of a newer pg_cron, or of a server that was restarted.

    Values that are not taken as written are expressions, worked out whenever somebody looks.
    """

    def act(project: Project) -> None:
        shown_as = {name: f"'{value}'" if as_written else value for name, value in settings.items()}
        shown = " union all ".join(
            f"select '{name}', {value}, null, 'Customized Options', null, null, 'postmaster', 'string',"
            f" 'configuration file', null, null, null, '', {value}, null, null, {pending_restart}"
            " where pg_has_role('pg_read_all_settings', 'usage')"
            for name, value in shown_as.items()
        )
        names = ", ".join(f"'{name}'" for name in settings)
        project.admin.execute("set local allow_system_table_mods = on")
        project.admin.execute(
            "create or replace view pg_catalog.pg_settings as select a.* from pg_catalog.pg_show_all_settings() as a"
            f" where a.name not in ({names}) union all {shown}".encode()
        )

    return act


def holding(statement: str, user: str = "supabase_admin", application: str = "a migration") -> Action[Project]:
    """Return what lets another session run a statement in a transaction that stays open."""

    def act(project: Project) -> None:
        holder = project.hold(clusters.connection(project.cluster, user, application_name=application))
        holder.execute(f"begin; {statement}".encode())

    return act


def session_named(name: str, *, user: str = "postgres", database: str = "postgres") -> Action[Project]:
    """Return what connects another session that bears a name."""

    def act(project: Project) -> None:
        project.hold(clusters.connection(project.cluster, user, database=database, application_name=name))

    return act


def half_an_hour_away() -> str:
    """Return an hourly schedule that does not come soon."""
    return f"{(time.gmtime().tm_min + 30) % 60} * * * *"


def equals(expected: object, query: str) -> Action[Project]:
    """Return what looks whether a query has this one value."""

    def look(project: Project) -> None:
        found = project.value(query)
        assert found == expected, f"{query}: {found}"

    return look
