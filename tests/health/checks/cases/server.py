"""The server, and what a role may see of it."""

from datetime import UTC, datetime, timedelta

from autosync_db.health import verify
from autosync_db.health.model import Status
from tests.health.actions import Action, admin, holding, role
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import health
from tests.support.health import Project

_FORBIDDEN = ("privileges_sufficient",)


def _clock(*offsets: float) -> Action[Project]:
    """Return what lets this machine's clock be off by so much at one look after the other."""

    def act(project: Project) -> None:
        moments = iter(offsets)
        project.hold(
            health.patched(verify, "_now", lambda: datetime.now(UTC) + timedelta(seconds=next(moments, offsets[-1])))
        )

    return act


def _locked(table: str, blind: str) -> Case:
    return Case(
        f"a session locks {table}",
        (holding(f"lock table {table} in access exclusive mode"),),
        Status.UNKNOWN,
        says="(role supabase_admin, a migration, idle in transaction)",
        explains=(blind,),
    )


CASES: dict[str, tuple[Case, ...]] = {
    "no_recent_crash": (
        unseen(
            "a role without pg_monitor",
            role(),
            says="grant pg_monitor to plain",
            role="plain",
            blocked_by=_FORBIDDEN,
        ),
    ),
    "privileges_sufficient": (fine("a missing schema is no missing privilege", admin("drop extension pg_cron")),),
    "server_clock_agrees": (
        warned("the server is ahead", _clock(-300), says="s ahead of this machine's: "),
        warned("the server is behind", _clock(300), says="s behind this machine's: "),
        fine("a slow answer", _clock(-200, 5)),
        fine("a small difference", _clock(50)),
    ),
    "server_is_primary": (fine("a primary"),),
    "server_reachable": (fine("it says where it let whom in", says="let postgres into postgres"),),
    "server_writable": (
        failed(
            "the database is read-only",
            admin("alter database postgres set default_transaction_read_only = on"),
            says="is on for database postgres",
            reason="database",
        ),
        *(
            failed(
                f"for {place}",
                admin(f"alter {place} set default_transaction_read_only = on"),
                says=f"is on for {says}",
                reason=reason,
            )
            for place, says, reason in (
                ("role all", "all roles", "all_roles"),
                ("role supabase_admin", "role supabase_admin", "role"),
                ("role supabase_admin in database postgres", "role supabase_admin", "role_in_database"),
            )
        ),
        fine(
            "this session alone is careful",
            admin("set local default_transaction_read_only = on"),
            role="supabase_admin",
        ),
    ),
    "tables_not_locked": (
        _locked("public.auto_sync_schedules", "schedules_not_overdue"),
        _locked("autosync.tick", "invocations_bounded"),
        _locked("net._http_response", "pg_net_tables_bounded"),
        unseen(
            "and a role without privileges sees it",
            role(),
            holding("lock table autosync.tick in access exclusive mode"),
            says="table autosync.tick: is locked against everybody by process",
            role="plain",
        ),
        fine(
            "a lock that lets others read", holding("lock table public.auto_sync_schedules in share row exclusive mode")
        ),
        fine("a lock on a table of the project", holding("lock table public.of_the_project in access exclusive mode")),
    ),
}
