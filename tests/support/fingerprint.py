"""What of a server outlives a test: two fingerprints differ where a test left something behind."""

import psycopg

from tests.support import clusters
from tests.support.health import LiveProject

_PARTS = {
    "settings": "select name, setting, source, pending_restart from pg_settings where source not in"
    " ('default', 'client', 'session', 'override', 'environment variable')",
    "lines of files": "select name, setting, sourcefile, applied, error from pg_file_settings",
    "settings of roles": "select setdatabase::regclass, setrole::regrole, setconfig from pg_db_role_setting",
    "roles": "select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,"
    " rolbypassrls, rolconnlimit from pg_roles",
    "memberships": "select roleid::regrole, member::regrole, admin_option from pg_auth_members",
    "databases": "select datname, datconnlimit, datallowconn, datacl from pg_database",
    "extensions": "select e.extname, e.extversion, e.extowner::regrole, e.extnamespace::regnamespace,"
    " obj_description(e.oid, 'pg_extension') from pg_extension as e",
    "jobs": "select jobname, schedule, command, nodename, nodeport, database, username, active from cron.job",
    "registry": "select name, function, schedule, timeout_milliseconds, invoke, paused_at is null from autosync.job",
    "settings of the project": "select name, value from autosync.setting",
    "secrets": "select name from public.pg_cron_secrets",
    "schedules": "select id from public.auto_sync_schedules",
    "schemas": "select nspname, nspowner::regrole, nspacl from pg_namespace where nspname !~ '^pg_(toast|temp)'",
    "relations": "select oid::regclass, relowner::regrole, relacl, relrowsecurity, relforcerowsecurity"
    " from pg_class where relkind in ('r', 'v', 'm', 'S', 'p') and relnamespace::regnamespace::text"
    " in ('public', 'autosync', 'cron', 'net', 'pg_catalog', 'supabase_migrations')",
    "functions": "select oid::regprocedure, proowner::regrole, proacl, proconfig, prosecdef, md5(prosrc) from pg_proc"
    " where pronamespace::regnamespace::text in ('public', 'autosync', 'cron', 'net')",
    "triggers": "select tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid) from pg_trigger"
    " where not tgisinternal",
    "policies": "select polrelid::regclass, polname, polcmd, polroles, pg_get_expr(polqual, polrelid) from pg_policy",
    "publications": "select pubname from pg_publication",
    "sessions": "select usename, datname, application_name from pg_stat_activity where backend_type = 'client backend'"
    " and pid <> pg_backend_pid()",
}


def of(project: LiveProject) -> dict[str, list[str]]:
    """Return what is set, stored and connected on a project's server, part by part."""
    with clusters.connection(project.cluster, "supabase_admin") as session:
        return {part: _rows(session, query) for part, query in _PARTS.items()}


def _rows(session: psycopg.Connection[clusters.Row], query: str) -> list[str]:
    return sorted(row[0] for row in session.execute(f"select t::text from ({query}) as t".encode()).fetchall())


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """Return what is there no more, and what is new, one line each."""
    return [
        f"{part}: {sign} {row}"
        for part in before
        for sign, these, those in (("-", before[part], after[part]), ("+", after[part], before[part]))
        for row in sorted(set(these) - set(those))
    ]
