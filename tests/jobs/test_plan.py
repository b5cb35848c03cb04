"""File and database converge: what plan shows, setup does, and after it plan shows nothing."""

import datetime
import itertools
import string
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from autosync_db.config import Settings
from autosync_db.connection import setting
from autosync_db.errors import MigrationError
from autosync_db.jobs import plan, registry
from tests.support import clusters

Connection = psycopg.Connection[Any]
HOUSE = "autosync-keep-house"


@pytest.fixture
def database(shared: Any) -> Iterator[Connection]:
    """A database at head whose jobs are as the migration made them; what is done to it is undone."""
    with clusters.connection(shared) as connection, connection.transaction(force_rollback=True):
        plan.apply(connection, _settings(job={}))
        yield connection


def _settings(**tables: Any) -> Settings:
    """Return settings as a file with these tables has them."""
    return Settings(**tables)


def _differences(database: Connection, **tables: Any) -> list[tuple[str | None, str]]:
    return [(one.job, one.action) for one in plan.read(database, _settings(**tables))]


def _cron(database: Connection) -> dict[str, tuple[str, str, bool]]:
    found = database.execute("select jobname, schedule, command, active from cron.job order by jobid").fetchall()
    assert len(found) == len({name for name, *_ in found}), "no job twice"
    return {name: (schedule, command, active) for name, schedule, command, active in found if name != HOUSE}


GUIDE = {"function": "auto-sync-cron", "schedule": "*/5 * * * *", "drains": "auto_sync_schedules"}
REPORT = {
    "function": "report/daily?mode=full",
    "schedule": "0 6 * * *",
    "body": {"full": True, "n": 1e23, "text": "it's %s"},
    "headers": {"x-region": "eu"},
    "auth": {"secret": "partner_token", "header": "x-cron-token"},
    "retry": {"attempts": 3},
    "expect": {"status": [200], "json": {"ok": True}},
    "reports_within": "15m",
}
CLEANUP = {"sql": "select 'it''s %s'", "schedule": "0 3 * * *"}


def test_every_kind_of_difference_is_shown_then_made_then_gone(database: Connection) -> None:
    tables: dict[str, Any] = {
        "auto-sync-cron-job": GUIDE,
        "report": REPORT,
        "cleanup": CLEANUP,
        "digest": {"watch": True},
        "ping": {"url": "https://example.com/x?a=b", "schedule": "*/10 * * * *", "method": "GET", "enabled": False},
    }
    assert _differences(database, jobs=tables) == [
        (name, "create") for name in ("report", "cleanup", "digest", "ping")
    ], "the guide's job is there as the file has it"
    results = {one.job: one.result for one in plan.apply(database, _settings(jobs=tables))}
    assert results == {"auto-sync-cron-job": "unchanged"} | dict.fromkeys(list(tables)[1:], "created")
    assert _differences(database, jobs=tables) == []
    assert _cron(database) == {
        "auto-sync-cron-job": ("*/5 * * * *", "select autosync.dispatch()", True),
        "report": ("0 6 * * *", "select autosync.dispatch('report')", True),
        "cleanup": ("0 3 * * *", "select 'it''s %s'", True),
        "ping": ("*/10 * * * *", "select autosync.dispatch('ping')", False),
    }

    edited = tables | {
        "report": {**REPORT, "timeout": "5s", "schedule": "0 7 * * *"},
        "cleanup": {**CLEANUP, "enabled": False},
        "ping": {**tables["ping"], "enabled": True},
    }
    del edited["digest"]
    database.execute("select cron.unschedule('auto-sync-cron-job')")
    found = plan.read(database, _settings(jobs=edited))
    assert [(one.job, one.action, [change.name for change in one.changes]) for one in found] == [
        ("report", "change", ["schedule", "timeout_milliseconds"]),
        ("cleanup", "pause", ["enabled"]),
        ("ping", "resume", ["enabled"]),
        ("auto-sync-cron-job", "schedule", ["cron schedule", "cron command", "cron active"]),
        ("digest", "not in the file", []),
    ]
    plan.apply(database, _settings(jobs=edited))
    assert _differences(database, jobs=edited) == [("digest", "not in the file")], "reported and kept"
    assert _cron(database)["report"][0] == "0 7 * * *"
    assert (_cron(database)["cleanup"][2], _cron(database)["ping"][2]) == (False, True)

    registry.remove(database, "report")
    assert "report" not in _cron(database)
    assert _differences(database, jobs=edited) == [("report", "create"), ("digest", "not in the file")]


def test_the_two_forms_of_the_guides_job_converge_to_the_same(database: Connection) -> None:
    plan.apply(database, _settings(job={"schedule": "1 * * * *"}))
    assert _differences(database, jobs={"auto-sync-cron-job": {**GUIDE, "schedule": "1 * * * *"}}) == []
    assert _differences(database) == [], "without a file the registered jobs are spoken of, as they are"
    assert _differences(database, job={}) == [("auto-sync-cron-job", "change")]


def test_the_job_of_the_migration_takes_the_files_name_unless_it_ticked(database: Connection) -> None:
    before = database.execute("select id from autosync.job where name = 'auto-sync-cron-job'").fetchone()
    plan.apply(database, _settings(job={"name": "mine"}))
    assert database.execute("select id from autosync.job where name = 'mine'").fetchone() == before
    assert list(_cron(database)) == ["mine"]
    database.execute(
        "insert into autosync.tick (job_id, caller, due, decision) select id, 'test', 0, 'idle' from autosync.job"
        " where name = 'mine'"
    )
    plan.apply(database, _settings(jobs={"other": CLEANUP}))
    assert _differences(database, jobs={"other": CLEANUP}) == [("mine", "not in the file")]


def test_a_cron_job_of_somebody_else_is_never_overwritten(database: Connection) -> None:
    database.execute("select cron.schedule('cleanup', '0 3 * * 0', 'delete from t')")
    for tables in (
        {"jobs": {"cleanup": {"function": "f", "schedule": "0 * * * *"}}},
        {"jobs": {"cleanup": CLEANUP}},
        {"job": {"name": "cleanup"}},
    ):
        wanted = _settings(**tables)
        assert ("cleanup", "taken") in _differences(database, **tables)
        with pytest.raises(MigrationError, match="'cleanup' already, which") as caught:
            plan.apply(database, wanted)
        assert "autosync-db jobs adopt cleanup" in caught.value.hint
        assert _cron(database)["cleanup"] == ("0 3 * * 0", "delete from t", True)
        assert "cleanup" not in [job.name for job in registry.all_jobs(database)]
    # what is the same is no other's, and what is only watched is left alone
    assert _differences(database, jobs={"auto-sync-cron-job": GUIDE, "cleanup": {"watch": True}}) == [
        ("cleanup", "create")
    ]
    plan.apply(database, _settings(jobs={"cleanup": {"watch": True}}))
    assert _cron(database)["cleanup"] == ("0 3 * * 0", "delete from t", True)
    registry.remove(database, "cleanup")
    assert _cron(database)["cleanup"] == ("0 3 * * 0", "delete from t", True)
    plan.apply(database, _settings(jobs={"cleanup": {"sql": "delete from t", "schedule": "0 4 * * 0"}}))
    assert _cron(database)["cleanup"] == ("0 4 * * 0", "delete from t", True)


def test_what_was_there_before_keeps_what_no_setting_names(database: Connection) -> None:
    database.execute(
        "insert into autosync.adopted (revision, step, object, undo) values ('0005', 120, 'cron job kept', '')"
    )
    plan.apply(database, _settings(job={"name": "kept", "function": "own", "schedule": "7 * * * *", "timeout": "9s"}))
    assert _differences(database, job={"name": "kept"}) == []
    assert _differences(database, job={"name": "kept", "timeout": "8s"}) == [("kept", "change")]
    auth = {"secret": "service_role_key", "header": "Authorization", "prefix": "Bearer "}
    plan.apply(database, _settings(job={"name": "kept", "auth": auth}))
    assert _differences(database, job={"name": "kept"}) == []
    applied = plan.apply(database, _settings(job={"name": "kept", "auth": "service_key"}))
    assert applied[0].changes == ("auth", "secret_name", "secret_header", "secret_prefix")


def test_limits_are_a_setting_of_the_database_once_they_are_chosen(database: Connection) -> None:
    chosen = {"limits": {"schedules_per_organization": 7}, "alerts": {"after": 3}}
    for table, values in chosen.items():
        assert _differences(database, job={}) == []
        assert _differences(database, job={}, **{table: values}) == [(None, "set")]
        plan.apply(database, _settings(job={}, **{table: values}))
        assert setting.get(database, table) == values
        assert _differences(database, job={}, **{table: values}) == []


NAMES = st.text(string.ascii_lowercase + string.digits + "_-", min_size=1, max_size=20).filter(
    lambda name: name[0] not in "_-"
)
# none of them is that of a secret, such as authorization
KEYS = NAMES.map(lambda name: f"b{name}b")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
CALLS: dict[str, Any] = {
    "timeout": st.integers(1, 600).map(lambda seconds: datetime.timedelta(seconds=seconds)),
    "method": st.just("POST"),
    "headers": st.dictionaries(st.sampled_from(["x-a", "x-b"]), st.sampled_from(["", "%s", "it's"]), max_size=2),
    "body": st.dictionaries(KEYS, VALUES, max_size=3),
    "overlap": st.sampled_from(["allow", "skip"]),
    "retry": st.fixed_dictionaries({"attempts": st.integers(1, 10), "wait": st.integers(1, 3600)}),
    "expect": st.fixed_dictionaries({"json": st.dictionaries(KEYS, VALUES)}),
    "reports_within": st.integers(1, 86400),
    "enabled": st.booleans(),
    "auth": st.sampled_from(
        ["none", {"secret": "a_b", "header": "x-c"}, {"secret": "c", "header": "D", "prefix": "E "}]
    ),
}
SCHEDULE = {"schedule": st.sampled_from(["* * * * *", "*/7 1-3 * * 1", "0 0 29 2 *"])}
DRAINS = {
    "drains": st.just("auto_sync_schedules"),
    "invoke": st.sampled_from(["always", "when_due"]),
    "batch_size": st.integers(1, 200),
    "max_requests": st.integers(1, 100),
}
JOB = st.one_of(
    st.fixed_dictionaries({"function": st.sampled_from(["f", "f/g?h=i", "f_1/"])} | SCHEDULE, optional=CALLS),
    st.fixed_dictionaries({"function": NAMES} | SCHEDULE | DRAINS, optional=CALLS),
    st.fixed_dictionaries({"url": st.sampled_from(["http://a", "https://b.c/d?e=%20f"])} | SCHEDULE, optional=CALLS),
    st.fixed_dictionaries(
        {"sql": st.sampled_from(["select 1", "select '%s'; select $$x$$", "-- a\ncall p()"])} | SCHEDULE,
        optional={"enabled": st.booleans()},
    ),
    st.just({"watch": True}),
)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tables=st.dictionaries(NAMES, JOB, min_size=1, max_size=4), following=JOB, data=st.data())
def test_any_jobs_converge_and_any_edit_shows(
    database: Connection, tables: dict[str, Any], following: Any, data: st.DataObject
) -> None:
    with database.transaction(force_rollback=True):
        database.execute("delete from autosync.job where name <> %s", [HOUSE])
        plan.apply(database, _settings(jobs=tables))
        assert plan.read(database, _settings(jobs=tables)) == []
        assert {one.result for one in plan.apply(database, _settings(jobs=tables))} == {"unchanged"}
        scheduled = {name for name, job in tables.items() if "watch" not in job}
        assert _cron(database).keys() - {"auto-sync-cron-job"} == scheduled - {"auto-sync-cron-job"}
        # without a file, what is registered is what is wanted
        assert plan.read(database, _settings()) == []

        name = data.draw(st.sampled_from(sorted(tables)))
        edited = {**tables, name: following}
        if _settings(jobs=edited).jobs[name] != _settings(jobs=tables).jobs[name]:
            assert plan.read(database, _settings(jobs=edited))
            plan.apply(database, _settings(jobs=edited))
            assert plan.read(database, _settings(jobs=edited)) == []
        fewer = {key: job for key, job in edited.items() if key != name}
        if fewer:
            assert (name, "not in the file") in _differences(database, jobs=fewer)


def test_any_single_key_that_is_edited_shows(database: Connection) -> None:
    """Every key by itself: none is forgotten in the comparison."""
    base = {"function": "f", "schedule": "0 * * * *", "drains": "auto_sync_schedules"}
    plan.apply(database, _settings(jobs={"x": base}))
    edits: dict[str, Any] = {
        "function": "g", "schedule": "1 * * * *", "drains": "none", "timeout": "31s", "method": "GET",
        "headers": {"x-a": "b"}, "body": {}, "auth": "none", "invoke": "when_due", "batch_size": 51, "max_requests": 5,
        "overlap": "skip", "retry": {"attempts": 2}, "expect": {"status": [200]}, "reports_within": "1m",
        "enabled": False,
    }  # fmt: skip
    shown = {
        key: [one.action for one in plan.read(database, _settings(jobs={"x": {**base, key: value}})) if one.job == "x"]
        for key, value in edits.items()
    }
    assert shown == {key: ["pause" if key == "enabled" else "change"] for key in edits}
    wait, other = ({"retry": {"attempts": 2, "wait": seconds}} for seconds in (1, 2))
    plan.apply(database, _settings(jobs={"x": base | wait}))
    assert _differences(database, jobs={"x": base | other})[0] == ("x", "change")
    for one, another in itertools.combinations(("header", "prefix", "secret"), 2):
        auth = {"secret": "a", "header": "b", "prefix": "c"}
        plan.apply(database, _settings(jobs={"x": {**base, "auth": auth}}))
        changed = {**auth, one: "d", another: "e"}
        assert _differences(database, jobs={"x": {**base, "auth": changed}})[0] == ("x", "change")
