"""A project of somebody who has other things in the database, too, and what of it must stay or end as it should."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from autosync_db.config import GUIDE_JOB
from autosync_db.local.cluster import Cluster
from autosync_db.schema import revisions
from autosync_db.secret import Secret
from tests.support import clusters, command, health, http_stub, keys
from tests.support.command import Result
from tests.support.http_stub import Stub

KEY_VARIABLE = "SUPABASE_SERVICE_ROLE_KEY"
NEVER = "0 0 1 1 *"
SETTINGS = {"AUTOSYNC_JOB__SCHEDULE": NEVER}
# one has a schedule, the other gets one
INTEGRATION, OTHER_INTEGRATION = "5f0c1f6e-6c3f-4c8e-9a55-0d7f6d4b2a10", "5f0c1f6e-6c3f-4c8e-9a55-0d7f6d4b2a11"
# one for all copies, so that states can be compared
_KEY, _NEWER = keys.secret(), keys.secret()
_CALL = "select net.http_post('{}/in')"
_THEIRS = """
create table public.orders (id bigint generated always as identity primary key, what text not null);
insert into public.orders (what) select 'order ' || n from generate_series(1, 50) as n;
select cron.schedule('nightly', '0 0 1 1 *', 'delete from public.orders where id < 0');
"""
# as pg_cron would
RUN_THEIRS = b"do $$ begin execute (select c.command from cron.job as c where c.jobname = 'theirs'); end $$"
# what belongs to the user: no command here may touch it
_OF_THE_USER = """
select 'order', count(*)::text, md5(string_agg(o.id || o.what, ',' order by o.id)) from public.orders as o
union all
select 'job', c.jobname, concat_ws(' ', c.jobid, c.schedule, c.command, c.active, c.username)
from cron.job as c where c.jobname = 'nightly'
"""
# what the commands change, without the times and numbers that differ between two runs that did the same
_STATE = {
    "public.orders": "select to_jsonb(x) from public.orders as x",
    "cron.job": "select jsonb_build_array(x.jobname, x.schedule, x.command, x.active) from cron.job as x",
    "autosync.alembic_version": "select to_jsonb(x) from autosync.alembic_version as x",
    "autosync.object": "select jsonb_build_array(x.path, x.source_hash) from autosync.object as x",
    "autosync.job": "select to_jsonb(x) - '{id,created_at,updated_at,paused_at}'::text[]"
    " || jsonb_build_object('paused', x.paused_at is not null) from autosync.job as x",
    "autosync.setting": "select jsonb_build_array(x.name, case when x.name = 'extensions_made'"
    " then null when jsonb_typeof(x.value) = 'object' then x.value - '{at,since,changed_at}'::text[] else x.value end)"
    " from autosync.setting as x",
    "autosync.secret_rotation": "select to_jsonb(x.name) from autosync.secret_rotation as x",
    "autosync.key_rotation": "select to_jsonb(true) from autosync.key_rotation as x",
    "public.pg_cron_secrets": "select jsonb_build_array(x.name, md5(x.secret)) from public.pg_cron_secrets as x",
    "public.auto_sync_schedules": "select to_jsonb(x) - '{id,created_at,updated_at,next_run_at,claim_retry_at}'::text[]"
    " from public.auto_sync_schedules as x",
    "autosync.alert_receiver": "select to_jsonb(x.secret_name) from autosync.alert_receiver as x",
    "autosync.adopted": "select to_jsonb(x.object) from autosync.adopted as x",
}
_ANSWER = """
select case when r.status_code between 200 and 299 then 'works' else coalesce(r.status_code::text, r.error_msg) end
from net._http_response as r where r.id = %s
"""
_SESSIONS = """
select a.pid, a.state, left(a.query, 80) from pg_stat_activity as a
where a.application_name = 'autosync-db' and a.backend_type = 'client backend'
"""
_LOCKS_LEFT = "select count(*) from pg_locks as l where l.locktype = 'advisory'"
_MOVE = """
update public.pg_cron_secrets set secret = replace(secret, {old}, {new});
update autosync.setting set value = to_jsonb(cast({new} as text)) where name = 'proven_address';
update cron.job set command = replace(command, {old}, {new}), nodeport = {port};
"""

_LAPSE = """
update autosync.key_rotation set lease_expires_at = clock_timestamp() - interval '1 second';
update autosync.secret_rotation set lease_expires_at = clock_timestamp() - interval '1 second';
"""

State = dict[str, list[str]]


@dataclass
class Ground:
    """A running copy of such a project, the server that stands for its functions, and what its commands are given."""

    cluster: Cluster
    stub: Stub
    folder: Path
    key: Secret = _KEY
    newer: Secret = _NEWER

    @property
    def given(self) -> dict[str, str]:
        """Return the variables that command lines name."""
        return {
            "NEW_KEY": self.newer.reveal(),
            "RECEIVER": f"{self.stub.url}/alerts",
            KEY_VARIABLE: self.key.reveal(),
            "COLUMNS": "200",
        }

    def values(self, last: str = "") -> dict[str, str]:
        """Return what stands in place of the names in command lines."""
        theirs = self.folder / "theirs.toml"
        theirs.write_text(f'[jobs.theirs]\nschedule = "{NEVER}"\nurl = "{self.stub.url}/in"\nauth = "none"\n')
        return {
            "project_url": self.stub.url, "head": revisions.head(), "integration": OTHER_INTEGRATION, "last": last,
            "job": GUIDE_JOB, "never": NEVER, "rarely": "0 0 2 2 *", "theirs": str(theirs),
        }  # fmt: skip

    def arguments(self, line: str, last: str = "") -> list[str]:
        """Return a command line's words."""
        return [part.format(**self.values(last)) for part in line.split()]

    def variables(self, arguments: list[str]) -> dict[str, str]:
        """Return the variables for a command; the settings are those of the guide's job."""
        settings: Mapping[str, str] = {} if "--config" in arguments else SETTINGS
        return {**settings, **self.given}

    def run(self, line: str, *more: str, last: str = "", url: Secret | None = None) -> Result:
        """Run a command line in this process, over another address than the server's own if one is given."""
        arguments = [*self.arguments(line, last), *more]
        return command.run(*arguments, database=url or self.cluster.url(), variables=self.variables(arguments))

    def secrets(self) -> list[str]:
        """Return what must not be printed."""
        return [self.key.reveal(), self.newer.reveal(), self.cluster.passwords["postgres"]]

    def settled(self, patience: float = 20) -> None:
        """Return when no session of a command is left; that of one that was killed ends by itself."""
        with clusters.connection(self.cluster, "supabase_admin") as admin:
            clusters.wait_for(lambda: not admin.execute(_SESSIONS).fetchall(), "the end of the session", patience)
            assert admin.execute(_LOCKS_LEFT).fetchone() == (0,)

    def state(self) -> State:
        """Return what the commands change, by table."""
        with clusters.connection(self.cluster, "supabase_admin") as admin:
            return {
                name: sorted(str(row[0]) for row in admin.execute(query.encode()).fetchall())
                for name, query in _STATE.items()
                if admin.execute("select to_regclass(%s) is not null", [name]).fetchone() == (True,)
            }

    def of_the_user(self) -> list[Any]:
        """Return what is not ours; nothing where there is nothing."""
        with clusters.connection(self.cluster, "supabase_admin") as admin:
            if admin.execute("select to_regclass('public.orders') is not null").fetchone() != (True,):
                return []
            return sorted(admin.execute(_OF_THE_USER).fetchall())

    def works(self) -> str:
        """Return `works` if a call of the job is made and answered with success, else what is in its way."""
        with clusters.connection(self.cluster) as owner:
            try:
                owner.execute("select autosync.dispatch(%s, true)", [GUIDE_JOB])
            except psycopg.Error as error:
                return str(error.diag.message_primary)
            request = owner.execute(
                "select i.request_id from autosync.invocation as i order by i.id desc limit 1"
            ).fetchone()
            found = clusters.wait_for(lambda: owner.execute(_ANSWER, request).fetchall(), "the answer")
            return str(found[0][0])


def different(before: State, after: State) -> list[str]:
    """Return in which tables two states differ, with the rows."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            gone = [row for row in old or [] if row not in (new or [])]
            come = [row for row in new or [] if row not in (old or [])]
            found.append(f"{name}: -{[row[:160] for row in gone[:4]]} +{[row[:160] for row in come[:4]]}")
    return found


def lapse(ground: Ground) -> None:
    """Let the lease of whoever was ended in the middle of a rotation end now."""
    with clusters.connection(ground.cluster, "supabase_admin") as admin:
        if admin.execute("select to_regclass('autosync.key_rotation') is not null").fetchone() == (True,):
            admin.execute(_LAPSE)


def template(blank_template: Cluster) -> Cluster:
    """Return a stopped cluster with a project that was set up, and with things of its owner's."""

    def prepare(cluster: Cluster) -> None:
        with (
            clusters.scratch_folder() as folder,
            http_stub.serve() as stub,
            health.impatience(),
            health.launcher_that_counts_as_settled(),
            clusters.pg_net_worker(cluster),
        ):
            ground = Ground(cluster, stub, folder)
            command.succeeds(ground.run("setup --project-url {project_url}"))
            with clusters.connect(cluster) as owner:
                owner.execute(_THEIRS)
                owner.execute("select cron.schedule('theirs', %s, %s)", [NEVER, _CALL.format(stub.url)])
            for line in (
                f"schedules add --integration {INTEGRATION} --organization {INTEGRATION}",
                "alerts set webhook --from-env RECEIVER",
            ):
                command.succeeds(ground.run(line))

    return clusters.template("chaos", prepare, blank_template)


@contextmanager
def running(source: Cluster, stub: Stub, folder: Path, *, works: bool = True) -> Iterator[Ground]:
    """Yield a copy of the template, whose calls go to the stub; `works`: they are sent."""
    with clusters.cloned(source) as cluster:
        ground = Ground(cluster, stub, folder)
        with clusters.connection(cluster, "supabase_admin") as admin:
            if admin.execute("select to_regclass('public.pg_cron_secrets') is not null").fetchone() == (True,):
                _move(ground, admin)
        if not works:
            yield ground
            return
        with clusters.pg_net_worker(cluster):
            yield ground


def _move(ground: Ground, admin: psycopg.Connection[Any]) -> None:
    """Let the calls of a copy go to its own stub, and know which key it has."""
    stored = dict(admin.execute("select s.name, s.secret from public.pg_cron_secrets as s").fetchall())
    ground.key = Secret(stored["service_role_key"])
    with admin.transaction():
        admin.execute("set local session_replication_role = replica")
        admin.execute(
            sql.SQL(_MOVE).format(
                old=sql.Literal(stored["project_url"]),
                new=sql.Literal(ground.stub.url),
                port=sql.Literal(ground.cluster.port),
            )
        )
