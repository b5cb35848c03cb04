"""The schedules, and the trigger that computes their next run."""

import json

from tests.health.actions import (
    SCHEDULES,
    TRIGGER,
    Action,
    admin,
    answers,
    claim,
    equals,
    pause,
    role,
    schedule,
    sql,
    ticking,
    window,
)
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import keys
from tests.support.health import Project

_FIVE = ticking("*/5 * * * *")
_SOON = "now() + interval '1 hour'"
_OFF = sql(f"alter table {SCHEDULES} disable trigger {TRIGGER}")
_KEY = keys.secret().reveal()
_OLD_TRIGGER = (
    "create function public.update_auto_sync_next_run() returns trigger language plpgsql"
    " as $$ begin new.next_run_at := now(); return new; end $$"
)
_TRIGGERS = {
    f"alter table {SCHEDULES} disable trigger {TRIGGER}": "is disabled",
    f"alter table {SCHEDULES} disable trigger user": "is disabled",
    f"alter table {SCHEDULES} enable replica trigger {TRIGGER}": "fires for replicated rows alone",
    f"drop trigger {TRIGGER} on {SCHEDULES}": f"does not exist on {SCHEDULES}",
    f"create or replace trigger {TRIGGER} before insert or update of enabled on {SCHEDULES}"
    " for each row execute function autosync.set_next_run_at()": "does not fire for every insert and update",
    f"create or replace trigger {TRIGGER} before insert or update on {SCHEDULES}"
    " for each row when (new.enabled) execute function autosync.set_next_run_at()": "does not fire for every",
    f"create or replace trigger {TRIGGER} before update on {SCHEDULES}"
    " for each row execute function autosync.set_next_run_at()": "does not fire for every",
    "create function public.noop() returns trigger language plpgsql as $$ begin return new; end $$;"
    f" create or replace trigger {TRIGGER} before insert or update on {SCHEDULES}"
    " for each row execute function public.noop()": "runs public.noop(), not autosync.set_next_run_at()",
}
# a trigger of the project's: its name, when it fires, what its function does, and what is said of it
_WHEN = "before update"
_HARMFUL = [
    ("aaa", _WHEN, "raise exception 'no';", "critical", "raises at every update"),
    ("zzz", "after update", "perform 1; raise 'no';", "critical", "raises at every update"),
    ("aaa", _WHEN, "return null;", "critical", "drops every update"),
    ("aaa", _WHEN, "if old.enabled then return old; end if; return old;", "critical", "drops every update"),
    ("zzz", _WHEN, "new.next_run_at := old.next_run_at; return new;", "warning", "writes next_run_at after"),
    ("aaa", _WHEN, "new.last_run_at = old.last_run_at; return new;", "warning", "writes what claims and results"),
    ("aaa", _WHEN, "new := old; return new;", "warning", "writes what claims and results consist of"),
    (
        "aaa",
        "before insert or update",
        "if new.next_run_at is distinct from old.next_run_at then raise exception 'read-only'; end if; return new;",
        "warning",
        "can refuse or drop",
    ),
]
_HARMLESS = [
    ("zzz", _WHEN, "new.updated_at := now(); return new;"),
    ("aaa", _WHEN, "new.next_run_at := now(); return new;"),
    ("zzz", "after update", "insert into public.audit select old.id, new.next_run_at; return null;"),
    ("zzz", "after update", "if new.last_run_at > old.last_run_at then raise  notice 'ran'; end if; return null;"),
    ("zzz", _WHEN, "if new.frequency_minutes < 5 then raise exception 'pay more'; end if; return new;"),
    ("zzz", "before update or delete", "if tg_op = 'DELETE' then return old; end if; return new;"),
    ("zzz", "before update of frequency_minutes", "raise exception 'ours';"),
    ("zzz", "before insert", "raise exception 'no more';"),
    ("zzz", _WHEN, "-- raise exception 'no';\n /* return null; */ return new;"),
    ("zzz", _WHEN, "begin perform 1; exception when others then return old; end; return new;"),
]


def _trigger(name: str, when: str, body: str) -> Action[Project]:
    return sql(
        f"create function public.theirs() returns trigger language plpgsql as $$ begin {body} end $$",
        f"create trigger {name} {when} on {SCHEDULES} for each row execute function public.theirs()",
    )


# schedule of the job, window, zone, whether some tick falls into it
_WINDOWS = [
    ("*/5 * * * *", "08:05", "08:06", "UTC", True),
    ("*/5 * * * *", "08:04", "08:05", "UTC", False),
    ("*/5 * * * *", "23:58", "00:01", "UTC", True),
    ("*/5 * * * *", "23:56", "23:59", "UTC", False),
    ("* * * * *", "08:01", "08:02", "UTC", True),
    ("0 * * * *", "08:10", "08:50", "UTC", False),
    ("0 * * * *", "08:10", "09:10", "UTC", True),
    ("0 * * * *", "08:10", "08:20", "Asia/Kathmandu", False),
    ("0 * * * *", "08:40", "08:50", "Asia/Kathmandu", True),
    ("@hourly", "08:10", "08:50", "UTC", False),
    ("@daily", "08:00", "20:00", "UTC", False),
    ("0 6 * * *", "08:00", "20:00", "UTC", False),
    ("0 6 * * *", "08:00", "20:00", "Asia/Tokyo", True),
    ("0 6 * * *", "22:00", "06:01", "UTC", True),
    ("0,30 8-10/2 * * *", "10:20", "10:40", "UTC", True),
    ("0,30 8-10/2 * * *", "09:00", "09:40", "UTC", False),
    ("7-59/20 * * * *", "09:26", "09:28", "UTC", True),
    ("0 6 * * 1", "08:00", "20:00", "UTC", False),
    ("0 6,9 * * MON-FRI", "08:00", "20:00", "UTC", True),
    ("@weekly", "08:00", "20:00", "UTC", False),
    # in another month the clock of the zone may differ
    ("0 6 1 * *", "08:00", "20:00", "UTC", True),
    ("0 6 * 6-8 *", "08:00", "20:00", "UTC", True),
    ("@monthly", "08:00", "20:00", "UTC", True),
]
_PATIENCE = [
    ("* * * * *", 15), ("*/5 * * * *", 15), ("*/10 * * * *", 30), ("7 * * * *", 180), ("0 */2 * * *", 360),
    ("30 6 * * *", 4320), ("0  6 * * *", 4320), ("0 6 * * 1", 133920), ("0 6 1 * *", 133920),
]  # fmt: skip


def _ticks(cron: str) -> Action[Project]:
    """Return what lets the registry say so; pg_cron would refuse some."""
    return sql(f"update autosync.job set schedule = '{cron}'")


def _open(start: str, end: str, due: str) -> Action[Project]:
    return schedule(
        next_run_at=f"now() - interval '{due}'",
        time_window_enabled=True,
        time_window_start=f"(now() {start})::time",
        time_window_end=f"(now() {end})::time",
    )


def _failing(failures: int, error: str = "http 401", **columns: object) -> Action[Project]:
    """Return what adds a schedule that failed so many times in a row."""
    given: dict[str, object] = {
        "next_run_at": _SOON,
        "last_run_at": "now() - interval '1 minute'",
        "last_run_status": "failed" if failures else "success",
        "last_run_summary": json.dumps({"errors": failures, "error": error}),
        "consecutive_failures": failures,
        **columns,
    }
    return schedule(**given)


def _claimed(times: int, until: str = "now() - interval '1 minute'", **columns: object) -> Action[Project]:
    """Return what adds a schedule that was claimed so many times and never completed."""
    given: dict[str, object] = {"claims_since_run": times, "claim_retry_at": "now() + interval '2 hours'", **columns}
    return claim("now() - interval '20 minutes'", until, **given)


def _many(project: Project) -> None:
    project.admin.execute("set local session_replication_role = replica")
    project.admin.execute(
        f"insert into {SCHEDULES} (integration_id, organization_id, enabled)"
        " select gen_random_uuid(), gen_random_uuid(), true from generate_series(1, 1001)"
    )


def _well(schedules: int, **columns: str) -> Action[Project]:
    """Return what adds so many schedules that ran well and are due now; `columns` are expressions of their number n."""
    given = {
        "enabled": "true",
        "last_run_at": "now()",
        "last_run_status": "'success'",
        "next_run_at": "now() + n * interval '1 ms'",
        **columns,
    }

    def act(project: Project) -> None:
        project.admin.execute("set local session_replication_role = replica")
        project.admin.execute(
            f"insert into {SCHEDULES} (integration_id, organization_id, {', '.join(given)})"
            f" select gen_random_uuid(), gen_random_uuid(), {', '.join(given.values())}"
            f" from generate_series(1, {schedules}) as n"
        )
        project.admin.execute("set local session_replication_role = origin")

    return act


_LAST = "now() + interval '1 day'"
_WAY_IN = {
    "revoke service_role from authenticator": "role authenticator: may not become service_role",
    "alter role authenticator nologin": "role authenticator: may not log in",
    "alter role authenticator connection limit 0": "role authenticator: has a connection limit of 0",
    "revoke connect on database postgres from public; grant connect on database postgres to postgres": (
        "role authenticator: may not connect to the database postgres"
    ),
    "alter role authenticator set statement_timeout = '1ms'": "role authenticator: sets statement_timeout = 1ms",
    "alter role service_role in database postgres set statement_timeout = 20": (
        "role service_role: sets statement_timeout = 20: claims are cancelled"
    ),
}
_BYPASSED = admin("alter role service_role nobypassrls")

CASES: dict[str, tuple[Case, ...]] = {
    "claims_not_stuck": (
        failed(
            "a claim that lasts for years, and can be claimed after its repair",
            claim("now() - interval '90 minutes'", "now() + interval '10 years'"),
            says=f"table {SCHEDULES}: 1 due schedules have been claimed for over an hour",
            repaired_by="postgres",
            then=equals(1, "select count(*) from public.auto_sync_claim()"),
        ),
        failed(
            "a claim without an end",
            claim("now() - interval '2 hours'", "infinity"),
            says="until the end of time",
            repaired_by="postgres",
        ),
        warned(
            "a claim of some hours", claim("now() - interval '90 minutes'", "now() + interval '1 hour'"), says=SCHEDULES
        ),
        failed(
            "a claim of the future, from before the clock was put back",
            claim("now() + interval '2 days'", "now() + interval '3 days'"),
            says="1 due schedules are claimed since a moment that is to come",
            repaired_by="postgres",
        ),
        fine(
            "the clock was put back by a little",
            claim("now() + interval '10 minutes'", "now() + interval '25 minutes'"),
        ),
        fine("work in progress", claim("now() - interval '50 minutes'", "now() + interval '9 days'")),
        fine("a lease that ended", claim("now() - interval '9 days'", "now() - interval '1 minute'")),
        fine("a disabled schedule", claim("now() - interval '2 hours'", "now() + interval '9 days'", enabled=False)),
    ),
    "schedule_trigger_enabled": (
        *(
            failed(fault, sql(fault), says=f"trigger {TRIGGER}: {says}", repaired_by="postgres")
            for fault, says in _TRIGGERS.items()
        ),
        failed(
            "the trigger of an earlier set-up",
            sql(
                _OLD_TRIGGER,
                f"create trigger trigger_update_auto_sync_next_run before insert or update on {SCHEDULES}"
                " for each row execute function public.update_auto_sync_next_run()",
            ),
            says="trigger trigger_update_auto_sync_next_run: computes next_run_at",
            repaired_by="postgres",
        ),
        failed(
            "schedules do not advance",
            _FIVE,
            _OFF,
            schedule(next_run_at="now() - interval '1 hour'"),
            says="is disabled",
            explains=("schedules_not_overdue",),
        ),
        *(
            (failed if status == "critical" else warned)(
                f"a trigger of the project's: {body}",
                _trigger(name, when, body),
                says=f"trigger {name}: runs public.theirs(), which {says}",
            )
            for name, when, body, status, says in _HARMFUL
        ),
        *(fine(f"a trigger of the project's: {what[2]}", _trigger(*what)) for what in _HARMLESS),
        fine(
            "a harmful one that is switched off",
            _trigger("zzz", _WHEN, "return null;"),
            sql(f"alter table {SCHEDULES} disable trigger zzz"),
        ),
        failed(
            "a rule swallows the updates",
            sql(f"create rule swallow as on update to {SCHEDULES} do instead nothing"),
            says="rule swallow: takes the place of every update",
            repaired_by="postgres",
        ),
        warned(
            "a rule adds to the inserts",
            sql(f"create rule note as on insert to {SCHEDULES} do also notify schedules"),
            says="rule note: adds something to every insert",
            repaired_by="postgres",
        ),
        *(
            failed(
                f"sessions of the {place} fire no trigger",
                admin(f"alter {place} set session_replication_role = replica"),
                says=f"{says}: sets session_replication_role = replica",
                repaired_by="supabase_admin",
            )
            for place, says in (
                ("database postgres", "database postgres"),
                ("role authenticator", "role authenticator"),
                ("role postgres", "role postgres"),
                ("role all", "all roles"),
            )
        ),
        failed(
            "a claimed schedule is never recorded for that",
            _claimed(4),
            admin("alter database postgres set session_replication_role = replica"),
            says="session_replication_role",
            explains=("schedules_recorded",),
        ),
        fine(
            "sessions that fire them, and another role's",
            admin(
                "alter database postgres set session_replication_role = local",
                "alter role anon set session_replication_role = replica",
            ),
        ),
        fine(
            "it fires in every session",
            sql(f"alter table {SCHEDULES} enable always trigger {TRIGGER}"),
            admin("alter database postgres set session_replication_role = replica"),
        ),
        fine("it always fires", sql(f"alter table {SCHEDULES} enable always trigger {TRIGGER}")),
        fine(
            "the project has one of its own",
            sql(
                "create function public.mine() returns trigger language plpgsql as $$ begin return new; end $$",
                f"create trigger mine before update on {SCHEDULES} for each row execute function public.mine()",
            ),
        ),
    ),
    "schedule_windows_reachable": (
        failed(
            "two windows between two ticks",
            _FIVE,
            window("08:01", "08:04"),
            window("08:01", "08:04"),
            says="2 schedules never run: the window 08:01:00 to 08:04:00 (UTC) contains no tick",
        ),
        failed(
            "no such zone",
            window("00:00", "23:59", "Mars/Olympus"),
            says="the server knows no time zone 'Mars/Olympus'",
        ),
        *(
            (fine(what, *acts) if reachable else failed(what, *acts, says="contains no tick"))
            for cron, start, end, zone, reachable in _WINDOWS
            for what, acts in [(f"{cron} in {start}-{end} {zone}", (_ticks(cron), window(start, end, zone)))]
        ),
        fine("the schedule is off", _FIVE, window("08:01", "08:02", enabled=False)),
        fine("the window is off", _FIVE, window("08:01", "08:02", time_window_enabled=False)),
        *(
            warned(f"{zone} knows no summer time", window("00:00", "23:59", zone), says=f"'{zone}'")
            for zone in ("EST", "UTC+2")
        ),
        fine("a zone that does", window("00:00", "23:59", "Europe/Paris")),
        fine("and in small letters", window("00:00", "23:59", "asia/kolkata")),
        failed(
            "a place that is none", window("00:00", "23:59", "asia/olympus"), says="knows no time zone 'asia/olympus'"
        ),
        failed(
            "it comes last by any order",
            _FIVE,
            _well(12_000),
            window("08:01", "08:04", next_run_at=_LAST),
            says="1 schedules never run: the window 08:01:00 to 08:04:00 (UTC) contains no tick",
        ),
        fine(
            "more windows than are judged",
            _FIVE,
            _well(
                501,
                time_window_enabled="true",
                time_window_start="time '08:00'",
                time_window_end="time '10:00' + n * interval '1 min'",
                timezone="'UTC'",
            ),
            says="the 500 most used of 501 windows were looked at",
        ),
    ),
    "schedules_have_next_run": (
        failed(
            "rows that went past the trigger",
            schedule(next_run_at=None),
            schedule(next_run_at=None),
            schedule(next_run_at=None),
            says=f"table {SCHEDULES}: 3 enabled schedules have no next_run_at",
            repaired_by="postgres",
        ),
        failed(
            "the trigger is disabled",
            _OFF,
            schedule(next_run_at=None),
            says="1 enabled schedules",
            blocked_by=("schedule_trigger_enabled",),
        ),
        *(
            case(
                f"its next run is at {moment}",
                schedule(next_run_at=moment),
                says=says,
                repaired_by="postgres",
                then=equals(True, f"select bool_and(next_run_at <= now()) from {SCHEDULES}"),
            )
            for case, moment, says in (
                (failed, "infinity", "explain, until the end of time, one is"),
                (failed, "now() + interval '3 years'", "1 enabled schedules wait longer than frequency and window"),
                (warned, "now() + interval '4 days'", "1 enabled schedules wait longer"),
            )
        ),
        fine(
            "a month, a day of failures and a window",
            schedule(next_run_at="now() + interval '31 days'", frequency_minutes=44640),
            schedule(next_run_at="now() + interval '47 hours'", consecutive_failures=12, last_run_status="failed"),
            schedule(next_run_at="infinity", enabled=False),
        ),
        failed("the count ends at a thousand", _many, says=f"table {SCHEDULES}: 1000 or more enabled"),
        fine("a disabled schedule", schedule(next_run_at=None, enabled=False)),
    ),
    "schedules_not_failing": (
        warned(
            "two of three fail",
            _failing(0),
            _failing(3),
            _failing(12, f"device service said {_KEY} is wrong"),
            says="device service said *** is wrong; 2 of 3 enabled schedules",
            hides=_KEY,
        ),
        warned("the worst is named", _failing(0), _failing(12), says="failed 12 times in a row, last at 20"),
        failed(
            "none succeeds",
            _failing(3),
            _failing(5),
            schedule(next_run_at=_SOON),
            says="2 of 3 enabled schedules failed 3 times or more",
        ),
        failed(
            "the function fails",
            _failing(4),
            answers(500),
            says="failed",
            blocked_by=("function_succeeds",),
        ),
        fine(
            "it succeeded at last",
            _failing(0),
            _failing(12),
            sql(f"select public.auto_sync_complete(id, 'success') from {SCHEDULES}"),
        ),
        warned(
            "it comes last by any order",
            _well(12_000),
            _failing(4, next_run_at=_LAST),
            says="1 of 12001 enabled schedules failed 3 times or more in a row",
        ),
        fine(
            "more schedules than are read",
            _well(100_001),
            says="100000 of more than 100000 schedules were looked at, and none of them fails again and again",
        ),
        fine("two failures, and a disabled schedule", _failing(2), _failing(9, enabled=False)),
        fine("the job is paused", _failing(2), _failing(9), pause),
        unseen(
            "row level security hides them",
            role(grants="grant pg_read_all_data to plain; grant execute on all functions in schema autosync to plain"),
            says="hidden from this role",
            role="plain",
            blocked_by=("privileges_sufficient",),
        ),
    ),
    "schedules_are_drained": (
        failed(
            "none is registered that does",
            schedule(next_run_at="now() - interval '16 minutes'"),
            sql("update autosync.job set drains = null"),
            says="UTC, and no job drains them",
        ),
        fine("a job does, late as it is", schedule(next_run_at="now() - interval '16 minutes'")),
        fine(
            "none does, and something else ran it in time",
            schedule(next_run_at="now() - interval '14 minutes'"),
            sql("update autosync.job set drains = null"),
        ),
        fine(
            "none does, and it is disabled",
            schedule(next_run_at="now() - interval '16 minutes'"),
            sql(f"update {SCHEDULES} set enabled = false", "update autosync.job set drains = null"),
        ),
    ),
    "schedules_not_overdue": (
        failed(
            "nobody ran it",
            _FIVE,
            schedule(next_run_at="now() - interval '16 minutes'"),
            says=f"table {SCHEDULES}: 1 schedules are due and were not run",
        ),
        failed(
            "since ever",
            _FIVE,
            schedule(next_run_at="-infinity"),
            says="1 schedules are due and were not run, the longest since the beginning of time",
        ),
        fine(
            "it was run",
            _FIVE,
            schedule(next_run_at="now() - interval '16 minutes'"),
            sql(
                "select public.auto_sync_complete(c.id, 'success', null, c.claim_id) from public.auto_sync_claim() as c"
            ),
        ),
        failed(
            "the function fails",
            _FIVE,
            schedule(next_run_at="now() - interval '16 minutes'"),
            answers(500),
            says="were not run",
            blocked_by=("function_succeeds",),
        ),
        failed(
            "a secret is missing",
            _FIVE,
            schedule(next_run_at="now() - interval '16 minutes'"),
            sql("delete from public.pg_cron_secrets"),
            says="were not run",
            blocked_by=("secrets_present",),
        ),
        failed(
            "a lease ended",
            _FIVE,
            claim("now() - interval '20 minutes'", "now() - interval '5 minutes'"),
            says="were not run",
        ),
        failed(
            "the window is open",
            _FIVE,
            _open("- interval '30 minutes'", "+ interval '1 hour'", "20 hours"),
            says="were not",
        ),
        failed(
            "windows were missed",
            _FIVE,
            _open("+ interval '1 hour'", "+ interval '65 minutes'", "3 days"),
            says="were not",
        ),
        fine("not yet", _FIVE, schedule(next_run_at="now() - interval '14 minutes'")),
        fine("it is disabled", _FIVE, schedule(next_run_at="now() - interval '9 days'", enabled=False)),
        fine("it never runs", _FIVE, schedule(next_run_at=None)),
        fine("it is claimed", _FIVE, claim("now() - interval '20 minutes'", "now() + interval '5 minutes'")),
        fine("the window is shut", _FIVE, _open("+ interval '1 hour'", "+ interval '2 hours'", "20 hours")),
        fine("the window has just opened", _FIVE, _open("- interval '5 minutes'", "+ interval '1 hour'", "20 hours")),
        *(
            case
            for cron, minutes in _PATIENCE
            for case in (
                fine(
                    f"{cron}, {minutes - 1} minutes",
                    ticking(cron),
                    schedule(next_run_at=f"now() - interval '{minutes - 1} minutes'"),
                ),
                failed(
                    f"{cron}, {minutes + 1} minutes",
                    ticking(cron),
                    schedule(next_run_at=f"now() - interval '{minutes + 1} minutes'"),
                    says="1 schedules are due",
                ),
            )
        ),
        fine(
            "the job is paused",
            _FIVE,
            schedule(next_run_at="now() - interval '1 hour'"),
            pause,
            says="; the job is paused",
        ),
        unseen(
            "row level security hides them",
            role(grants="grant pg_read_all_data to plain; grant execute on all functions in schema autosync to plain"),
            says="hidden from this role",
            role="plain",
            blocked_by=("privileges_sufficient",),
        ),
    ),
    "schedules_recorded": (
        failed(
            "claimed by all calls and completed by none",
            _claimed(4),
            _claimed(3),
            says="claimed 4 times, never completed; so were 2 schedules in all",
        ),
        warned("others are completed", _claimed(3), schedule(next_run_at=_SOON, last_run_at="now()"), says="3 times"),
        failed("the function fails", _claimed(3), answers(500), says="3 times", blocked_by=("function_succeeds",)),
        fine("the second claim is being worked on", _claimed(2, "now() + interval '5 minutes'")),
        fine("claimed once", claim("now() - interval '1 hour'", "now() - interval '5 minutes'")),
        fine(
            "a run was recorded", _claimed(4), sql(f"select public.auto_sync_complete(id, 'failed') from {SCHEDULES}")
        ),
        fine("it is disabled", _claimed(4, enabled=False)),
    ),
    "service_role_can_use_schedules": (
        *(
            failed(
                fault,
                sql(fault),
                says=says,
                repaired_by="postgres",
            )
            for fault, says in (
                (
                    f"revoke all on {SCHEDULES} from service_role",
                    f"table {SCHEDULES}: service_role may not select, update it",
                ),
                (
                    f"revoke update on {SCHEDULES} from service_role",
                    f"table {SCHEDULES}: service_role may not update it",
                ),
                (
                    "revoke execute on function public.auto_sync_claim(integer, interval) from service_role",
                    "function public.auto_sync_claim: service_role may not execute it",
                ),
                ("revoke usage on schema autosync from service_role", "schema autosync: service_role may not use it"),
                (
                    "revoke execute on function autosync.first_instant(timestamp, text) from service_role",
                    "function autosync.first_instant: service_role may not execute it",
                ),
            )
        ),
        failed(
            "and the function fails of it",
            sql(f"revoke all on {SCHEDULES} from service_role"),
            answers(500),
            says="may not select",
            explains=("function_succeeds",),
        ),
        *(failed(fault, admin(fault), says=says, repaired_by="supabase_admin") for fault, says in _WAY_IN.items()),
        *(
            warned(fault, admin(fault), says=says, repaired_by="supabase_admin")
            for fault, says in (
                ("alter role authenticator set default_transaction_read_only = on", "role authenticator: sets default"),
                ("alter role service_role set lock_timeout = 20", "role service_role: sets lock_timeout"),
                ("alter role authenticator valid until '2020-01-01'", "its password expired at 2020-01-01"),
            )
        ),
        fine(
            "limits that leave time, and a role of the API that sets its own",
            admin(
                "alter role authenticator set statement_timeout = '1ms'",
                "alter role service_role set statement_timeout = '3s'",
                "alter role anon set statement_timeout = '1ms'",
            ),
        ),
        fine(
            "a server without the role of the Data API",
            admin("drop owned by authenticator; drop role authenticator"),
        ),
        failed(
            "row level security hides the rows",
            _BYPASSED,
            says="row level security hides its rows from service_role",
            repaired_by="supabase_admin",
        ),
        fine("a policy lets it", _BYPASSED, sql(f"create policy service on {SCHEDULES} to service_role using (true)")),
        fine("a server without the role", admin("drop owned by service_role; drop role service_role")),
    ),
}
