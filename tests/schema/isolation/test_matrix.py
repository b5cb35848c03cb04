"""Who reaches which row by which command, in each mode of isolation and under both default privileges.

A number is how many rows the statement reached; `denied` means that the role lacks the privilege, `policy` that a
policy refuses the row. For the users `own` is the schedule of their own integration in their own organization; the
other roles own none, and are asked about the schedules of user 1 and user 2.
"""

import pytest

from tests.schema.isolation.conftest import (
    MODES,
    ORGANIZATIONS,
    SCHEDULED,
    UNSCHEDULED,
    Mode,
    World,
    asked_as,
    outcome,
)

_UPDATE = "update public.auto_sync_schedules set {} where integration_id = %(scheduled)s"
COMMANDS = {
    "select": "select * from public.auto_sync_schedules where integration_id = %(scheduled)s",
    "insert": "insert into public.auto_sync_schedules (integration_id, organization_id, enabled)"
    " values (%(unscheduled)s, %(organization)s, true) returning id",
    # what is returned must be visible too, so that alone would hide a missing check of what is written
    "insert_silent": "insert into public.auto_sync_schedules (integration_id, organization_id)"
    " values (%(unscheduled)s, %(organization)s)",
    "insert_run": "insert into public.auto_sync_schedules (integration_id, organization_id, last_run_at)"
    " values (%(unscheduled)s, %(organization)s, now())",
    "settings": _UPDATE.format("enabled = false, frequency_minutes = 30, timezone = 'Europe/Paris'"),
    "next_run_at": _UPDATE.format("next_run_at = now()"),
    "last_run_at": _UPDATE.format("last_run_at = now()"),
    "last_run_status": _UPDATE.format("last_run_status = 'success'"),
    "last_run_summary": _UPDATE.format("last_run_summary = '{}'"),
    "claim_id": _UPDATE.format("claim_id = null"),
    "claimed_at": _UPDATE.format("claimed_at = null"),
    "claim_expires_at": _UPDATE.format("claim_expires_at = null"),
    "failures": _UPDATE.format("consecutive_failures = 0"),
    "id": _UPDATE.format("id = id"),
    "delete": "delete from public.auto_sync_schedules where integration_id = %(scheduled)s",
    "give_away": _UPDATE.format("organization_id = %(other_organization)s"),
    "repoint": _UPDATE.format("integration_id = %(other_unscheduled)s"),
}
ROLES = ("anon", "user_1", "user_2", "service_role", "postgres")

Table = dict[str, dict[str, tuple[str, ...]]]

NONE: Table = {
    command: {"own": ("denied", "denied", "denied", "1", "1"), "foreign": ("denied", "denied", "denied", "1", "1")}
    for command in COMMANDS
}
# command           row      anon    user_1  user_2  service_role  postgres
_PROTECTED = """
insert_run          own      denied  denied  denied  1             1
insert_run          foreign  denied  denied  denied  1             1
next_run_at         own      denied  denied  denied  1             1
next_run_at         foreign  denied  denied  denied  1             1
last_run_at         own      denied  denied  denied  1             1
last_run_at         foreign  denied  denied  denied  1             1
last_run_status     own      denied  denied  denied  1             1
last_run_status     foreign  denied  denied  denied  1             1
last_run_summary    own      denied  denied  denied  1             1
last_run_summary    foreign  denied  denied  denied  1             1
claim_id            own      denied  denied  denied  1             1
claim_id            foreign  denied  denied  denied  1             1
claimed_at          own      denied  denied  denied  1             1
claimed_at          foreign  denied  denied  denied  1             1
claim_expires_at    own      denied  denied  denied  1             1
claim_expires_at    foreign  denied  denied  denied  1             1
failures            own      denied  denied  denied  1             1
failures            foreign  denied  denied  denied  1             1
id                  own      denied  denied  denied  1             1
id                  foreign  denied  denied  denied  1             1
"""
_ROWS = """
select              own      denied  1       1       1             1
select              foreign  denied  0       0       1             1
insert              own      denied  1       1       1             1
insert              foreign  denied  policy  policy  1             1
insert_silent       own      denied  1       1       1             1
insert_silent       foreign  denied  policy  policy  1             1
settings            own      denied  1       1       1             1
settings            foreign  denied  0       0       1             1
delete              own      denied  1       1       1             1
delete              foreign  denied  0       0       1             1
"""
# what a mode judges by cannot be moved to somebody else; the other id is the application's (docs/guides/isolation.md)
OWNER = f"""{_PROTECTED}{_ROWS}
give_away           own      denied  1       1       1             1
give_away           foreign  denied  0       0       1             1
repoint             own      denied  policy  policy  1             1
repoint             foreign  denied  0       0       1             1
"""
ORGANIZATION = f"""{_PROTECTED}{_ROWS}
give_away           own      denied  policy  policy  1             1
give_away           foreign  denied  0       0       1             1
repoint             own      denied  policy  policy  1             1
repoint             foreign  denied  0       0       1             1
"""


def _read(table: str) -> Table:
    found: Table = {}
    for command, row, *outcomes in (line.split() for line in table.splitlines() if line):
        found.setdefault(command, {})[row] = tuple(outcomes)
    return found


EXPECTED: dict[Mode, Table] = {"none": NONE, "owner": _read(OWNER), "organization": _read(ORGANIZATION)}


def _parameters(role: str, row: str) -> dict[str, str]:
    viewer = role if role in SCHEDULED else "user_1"
    other = {"user_1": "user_2", "user_2": "user_1"}[viewer]
    subject, opposite = (viewer, other) if row == "own" else (other, viewer)
    return {
        "scheduled": SCHEDULED[subject],
        "unscheduled": UNSCHEDULED[subject],
        "organization": ORGANIZATIONS[subject],
        "other_unscheduled": UNSCHEDULED[opposite],
        "other_organization": ORGANIZATIONS[opposite],
    }


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest, world: World) -> Mode:
    """Each mode, in each world."""
    chosen: Mode = request.param
    world.switch(chosen)
    return chosen


def test_the_table_is_complete() -> None:
    for table in EXPECTED.values():
        assert {(command, row) for command in table for row in table[command]} == {
            (command, row) for command in COMMANDS for row in ("own", "foreign")
        }


def test_each_role_reaches_what_the_table_says(world: World, mode: Mode) -> None:
    for position, role in enumerate(ROLES):
        wrong = {}
        with asked_as(world.cluster, role) as connection:
            for command, rows in EXPECTED[mode].items():
                for row, expected in rows.items():
                    with connection.transaction(force_rollback=True):
                        seen = outcome(connection, COMMANDS[command], _parameters(role, row))
                    if seen != expected[position]:
                        wrong[command, row] = (seen, expected[position])
        assert wrong == {}, f"{mode}, asked as {role}: what was seen, and what the table says"


def test_nobody_of_the_api_empties_the_table_or_hangs_triggers_on_it(world: World, mode: Mode) -> None:
    for role in ("anon", "user_1", "service_role"):
        for statement in (
            "truncate public.auto_sync_schedules",
            "create trigger t before insert on public.auto_sync_schedules"
            " execute function suppress_redundant_updates_trigger()",
        ):
            with asked_as(world.cluster, role) as connection:
                assert outcome(connection, statement) == "denied", (role, statement)


def test_a_user_without_a_subject_or_without_an_organization_sees_nothing(world: World, mode: Mode) -> None:
    expected = "denied" if mode == "none" else "0"
    with asked_as(world.cluster, "nobody") as connection:
        assert outcome(connection, "select * from public.auto_sync_schedules") == expected
        assert outcome(connection, "delete from public.auto_sync_schedules") == expected


def test_without_a_filter_only_the_own_rows_are_reached(world: World, mode: Mode) -> None:
    expected = {"none": "denied", "owner": "1", "organization": "1"}[mode]
    for statement in (
        "select * from public.auto_sync_schedules",
        "update public.auto_sync_schedules set enabled = not enabled",
        "delete from public.auto_sync_schedules",
    ):
        with asked_as(world.cluster, "user_2") as connection:
            assert outcome(connection, statement) == expected, statement


@pytest.mark.parametrize("command", ["give_away", "repoint"])
def test_what_is_written_is_judged_though_nothing_is_read(world: World, mode: Mode, command: str) -> None:
    """An update without a condition needs no row to be visible: the policy's check stands alone."""
    statement = COMMANDS[command].split(" where ")[0]
    for role in ("user_1", "user_2"):
        expected = EXPECTED[mode][command]["own"][ROLES.index(role)]
        with asked_as(world.cluster, role) as connection:
            assert outcome(connection, statement, _parameters(role, "own")) == expected
