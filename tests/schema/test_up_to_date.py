"""A migration with nothing to do sees that at once, and whatever there is to do is seen as well."""

import psycopg
import pytest

from autosync_db.config import IsolationSettings
from autosync_db.errors import AutosyncError
from autosync_db.schema import revisions, up_to_date
from autosync_db.schema.revisions import MigrationResult
from tests.schema.test_objects import DRIFT, GRANTS
from tests.support import clusters

NOTHING = MigrationResult(revisions.head(), revisions.head())
WAYS = {
    **{name: statement for name, (statement, *_) in DRIFT.items()},
    **{name: statement for name, (statement, _) in GRANTS.items()},
    "an older revision": "update autosync.alembic_version set version_num = '0001'",
    "no revision": "delete from autosync.alembic_version",
    "a file of another version": "insert into autosync.object values ('sql/functions/autosync.gone.sql', '', '')",
    "an older text": "update autosync.object set source_hash = '' where path like '%dispatch%'",
    "no extension": "drop extension pg_net cascade",
    "no schema": "drop schema autosync cascade",
    "no table of settings": "drop table autosync.setting cascade",
    "another isolation": (
        "insert into autosync.setting (name, value) values ('isolation', '{\"mode\": \"owner\"}')"
        " on conflict (name) do update set value = excluded.value"
    ),
    "an isolation that nobody chose": "insert into autosync.setting (name, value) values ('isolation_undecided', '{}')",
}


def test_nothing_to_do_is_said_only_where_that_is_so(transaction: psycopg.Connection[clusters.Row]) -> None:
    def asked(revision: str = "head") -> MigrationResult | None:
        # the look ends with a rollback, and takes back what the test changed before it
        return up_to_date.at(transaction, revision, IsolationSettings())

    assert asked() == asked(revisions.head()) == NOTHING
    assert asked("0001") is None
    for name, statement in WAYS.items():
        try:
            transaction.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            transaction.execute("rollback; begin; set local role supabase_admin")
            transaction.execute(statement.encode())
        assert asked() is None, name
    assert asked() == NOTHING


def test_a_newer_database_and_a_server_that_takes_no_change_are_refused_as_ever(
    transaction: psycopg.Connection[clusters.Row],
) -> None:
    for statement, message in {
        "update autosync.alembic_version set version_num = '9999'": "does not know",
        "set local default_transaction_read_only = on": "read-only",
    }.items():
        transaction.execute(statement.encode())
        with pytest.raises(AutosyncError, match=message):
            up_to_date.at(transaction, "head", None)
