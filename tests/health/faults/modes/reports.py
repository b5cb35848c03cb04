"""O: what verify says of a server, its settings and its history, in situations of public reports."""

from collections.abc import Callable
from types import SimpleNamespace

import psycopg

from autosync_db import connection
from autosync_db.health.model import Status
from autosync_db.secret import Secret
from tests.health.actions import Action, admin, other_job, run, sql, tick
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.support import keys, pooler
from tests.support.health import LiveProject, Project, patched

_HISTORY = "the runs and their number are written into pg_cron's history and the catalog"
_RUN = "the failed run is written into pg_cron's history"
_NO_WAY = "Cannot assign requested address\n\tIs the server running on that host and accepting TCP/IP connections?"


def _refused_by_a_pooler(text: str) -> Callable[[LiveProject], Secret]:
    def url(project: LiveProject) -> Secret:
        port = project.hold(pooler.that_refuses(text))
        return Secret(f"postgresql://postgres.{keys.PROJECT_REF}:word@127.0.0.1:{port}/postgres")

    return url


def _without_ipv6(project: LiveProject) -> Secret:
    """Let libpq say what it says of an address that this machine cannot use."""

    def connect(**parameters: object) -> None:
        raise psycopg.OperationalError(f'connection to server at "2001:db8::1", port 5432 failed: {_NO_WAY}')

    project.hold(patched(connection, "Patient", SimpleNamespace(connect=connect)))
    return Secret(f"postgresql://postgres:word@db.{keys.PROJECT_REF}.supabase.co:5432/postgres")


def _unreached(
    id: str,
    fault: str,
    text: str,
    helps: str,
    url: Callable[[LiveProject], Secret] | None = None,
    *,
    simulated: str,
    long: bool,
) -> AnyMode:
    return ServerMode(
        id, fault, "server_reachable", lambda project: None, says=f"{text} | what helps: {helps}",
        undo=LiveProject.release,
        url=url or _refused_by_a_pooler(text), simulated=simulated, long=long,
    )  # fmt: skip


def _settings(
    id: str, fault: str, statement: str, says: str, status: Status = Status.CRITICAL, *, long: bool = True
) -> AnyMode:
    return Mode(
        id, fault, "job_settings_bearable", admin(statement), status, says, repairable=True,
        repaired_by="supabase_admin", destructive=True, long=long,
    )  # fmt: skip


def _history(rows: int) -> Action[Project]:
    """Return what makes the history of other jobs so long."""
    return admin(
        "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
        f" select 0, n, 'succeeded', now(), now() from (values (-{rows}), (0)) as v (n)",
        f"update pg_class set reltuples = {rows} where oid = 'cron.job_run_details'::regclass",
    )


def _calls(name: str, headers: str, query: str = "") -> Action[Project]:
    return other_job(
        name,
        f"select net.http_post(url := 'https://api.example.com/hook{query}', headers := '{headers}',"
        " timeout_milliseconds := 30000)",
    )


_POOLER = "a server of this suite that answers as the pooler does"
_KEY = keys.secret().reveal()

MODES: tuple[AnyMode, ...] = (
    Mode(
        "O8",
        "the worker's role lost a grant on pg_net's tables",
        "pg_net_settings_valid",
        admin("revoke insert on net._http_response from public, postgres"),
        says="is 'postgres', which lacks insert on net._http_response",
        reason="rights",
        undo=admin("grant insert on net._http_response to public, postgres"),
    ),
    # the real one reads the setting only when a session begins
    Mode(
        "O8b",
        "the worker's role may not log in",
        "pg_net_settings_valid",
        admin("set local pg_net.username = 'anon'"),
        says="is 'anon', which may not log in",
        undo=admin("set local pg_net.username = 'postgres'"),
        long=True,
        stand_in_only=True,
    ),
    Mode(
        "O9",
        "the owner may not change jobs",
        "maintenance_possible",
        admin(
            "revoke execute on function cron.alter_job(bigint, text, text, text, text, boolean) from public, postgres"
        ),
        says="so the next change of a job's schedule, pause or text will fail",
        repairable=True,
        repaired_by="supabase_admin",
        destructive=False,
    ),
    Mode(
        "O9b",
        "the owner may not create anything in its own schema",
        "maintenance_possible",
        admin("revoke create on schema public from public, postgres"),
        status=Status.WARNING,
        says="may not create anything in it, so the next migration will fail",
        undo=admin("grant create on schema public to postgres"),
        long=True,
    ),
    _unreached(
        "O10",
        "the pooler is full",
        "Max client connections reached",
        "the pooler is full",
        simulated=_POOLER,
        long=False,
    ),
    _unreached(
        "O10b",
        "the pooler is that of another region",
        "Tenant or user not found",
        "through Supabase's pooler the user is postgres.<project ref>; if yours is, this is the pooler of another",
        simulated=_POOLER,
        long=True,
    ),
    _unreached(
        "O10c",
        "the pooler shuts everybody out after wrong passwords",
        "(ECIRCUITBREAKER) too many authentication errors",
        "Supabase's pooler refuses everybody",
        simulated=_POOLER,
        long=True,
    ),
    _unreached(
        "O11",
        "the database has an IPv6 address only, and this machine none",
        "Cannot assign requested address",
        "the host has an IPv6 address only",
        _without_ipv6,
        simulated="libpq's error is raised by this suite",
        long=False,
    ),
    Mode(
        "O12",
        "the extension is at a version from which no script leads on",
        "nothing_blocks_upgrades",
        admin("update pg_extension set extversion = '1.4-0' where extname = 'pg_cron'"),
        status=Status.WARNING,
        says="from which there is no way to",
        undo=admin(
            "update pg_extension as e set extversion = a.default_version from pg_available_extensions as a"
            " where a.name = e.extname and e.extname = 'pg_cron'"
        ),
        simulated="the version is written into the catalog",
    ),
    Mode(
        "O13",
        "half a million old runs of other jobs fill a small database",
        "job_run_details_bounded",
        _history(500_000),
        status=Status.WARNING,
        says="holds about 500000 rows",
        undo=admin("delete from cron.job_run_details where jobid = 0"),
        simulated=_HISTORY,
    ),
    Mode(
        "O14",
        "another job sends a key in the address",
        "no_secret_in_job_command",
        _calls("hook", "{}", f"?key={_KEY}"),
        says="cron job hook: the text of job",
        reason="not_ours",
        undo=sql("select cron.unschedule('hook')"),
    ),
    Mode(
        "O14b",
        "another job sends a key in a header of its own",
        "no_secret_in_job_command",
        _calls("hook", f'{{"x-cron-token": "{_KEY}"}}'),
        says="cron job hook: the text of job",
        reason="not_ours",
        undo=sql("select cron.unschedule('hook')"),
        long=True,
    ),
    Mode(
        "O15",
        "a run found no worker to start in",
        "job_runs_succeed",
        run("failed", "job startup timeout"),
        says="job startup timeout",
        reason="startup",
        undo=tick,
        simulated=_RUN,
    ),
    _settings(
        "O17",
        "the role gives a run no time",
        "alter role postgres set statement_timeout = '1ms'",
        "the next run will be cancelled",
        long=False,
    ),
    _settings(
        "O17b",
        "the role may write nothing in this database",
        "alter role postgres in database postgres set default_transaction_read_only = on",
        "the next run may write nothing",
    ),
    _settings(
        "O17c",
        "the role waits for no lock",
        "alter role postgres set lock_timeout = '5ms'",
        "sets lock_timeout = 5ms",
        Status.WARNING,
    ),
    Mode(
        "O17d",
        "the role's password has expired",
        "job_settings_bearable",
        admin("alter role postgres valid until '2020-01-01'"),
        status=Status.WARNING,
        says="its password expired at",
        undo=admin("alter role postgres valid until 'infinity'"),
        long=True,
    ),
    Mode(
        "O17e",
        "the role may open no connection",
        "job_can_connect",
        admin("alter role postgres connection limit 0"),
        says="has a connection limit of 0",
        reason="forbidden",
        undo=admin("alter role postgres connection limit -1"),
    ),
)
