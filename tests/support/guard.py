"""What holds for every test that uses a server, whichever fixture made it; a plugin that tests/conftest.py registers.

- Such a test bears the mark `server`, so that a second version of PostgreSQL can run those alone, and `one_version`
  where what it proves does not depend on the version.
- A test that fails leaves no broken server to the next: a cluster that outlives its test is compared with how its
  fixture left it, and if it differs the fixture is finished, so that the next test gets a new one.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from tests.support import clusters

# every fixture that makes a cluster from nothing; copies come from these
ROOTS = {"blank_template", "open_blank", "open_world", "world", "schedule_cluster", "net_server", "bare"}

# texts, settings, files, processes, programs around the server, and what every version does alike: locks, policies,
# transactions that are ended. What they run in the server is tested on each version by schema, jobs, schedules and
# health, and every command by schema/test_role_settings.py
ONE_VERSION = (
    "tests/chaos/",
    "tests/cli/",
    "tests/credentials/",
    "tests/functions/",
    "tests/health/checks/test_catalogue.py",
    "tests/health/faults/test_no_false_alarm.py",
    "tests/health/faults/test_pairs.py",
    "tests/health/repair/",
    "tests/health/test_notify.py",
    "tests/health/test_remedies.py",
    "tests/health/test_remedies_heal.py",
    "tests/jobs/test_answers.py",
    "tests/jobs/test_cost.py",
    "tests/jobs/test_targets.py",
    "tests/leaks/test_local_stack.py",
    "tests/leaks/test_nothing_leaks.py",
    "tests/local/test_edge_data_api.py",
    "tests/local/test_edge_gateway.py",
    "tests/poolers/",
    "tests/project/test_guard.py",
    "tests/report/",
    "tests/schedules/test_reference.py",
    "tests/schema/adoption/test_adoption.py",
    "tests/schema/adoption/test_dry_run.py",
    "tests/schema/adoption/test_rollback.py",
    "tests/schema/export/",
    "tests/schema/isolation/",
    "tests/schema/test_concurrency.py",
    "tests/schema/test_crash_points.py",
    "tests/schema/test_interruption.py",
    "tests/setup/",
    "tests/workflows/",
)

# all that a fault changes and a rollback would have taken back; rows of the toolkit's tables belong to the fixtures
_STATE = """
select jsonb_build_object(
    'start', pg_postmaster_start_time(),
    'recovery', pg_is_in_recovery(),
    'transactions', (select count(*) from pg_stat_activity
        where state like 'idle in transaction%' and backend_type = 'client backend'),
    'settings', (select jsonb_object_agg(name, concat(setting, ' ', source)) from pg_settings
        where source not in ('default', 'session', 'client', 'override') and source not like 'environment%'),
    'of roles', (select jsonb_agg(d order by d.setdatabase, d.setrole) from pg_db_role_setting as d),
    'extensions', (select jsonb_agg(array[extname, extversion, extowner::text] order by extname) from pg_extension),
    'lines of files', (select jsonb_agg(array[name, setting] order by sourcefile, sourceline) from pg_file_settings),
    'roles', (select jsonb_agg(array[r.rolname, r.rolsuper::text, r.rolcanlogin::text, r.rolbypassrls::text,
        r.rolconnlimit::text] order by r.rolname) from pg_roles as r),
    'members', (select jsonb_agg(array[m.roleid::text, m.member::text] order by m.roleid, m.member)
        from pg_auth_members as m),
    'databases', (select jsonb_agg(array[datname, datconnlimit::text, datacl::text] order by datname) from pg_database),
    'schemas', (select jsonb_agg(array[nspname, nspacl::text] order by nspname) from pg_namespace
        where nspname not like 'pg\\_t%'),
    'relations', (select md5(string_agg(concat(oid, relname, relacl, relrowsecurity), ',' order by oid)) from pg_class
        where relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace) and relpersistence <> 't'),
    'columns', (select md5(string_agg(concat(attrelid, attname, atttypid, attacl), ',' order by attrelid, attnum))
        from pg_attribute join pg_class on pg_class.oid = attrelid
        where relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace) and relpersistence <> 't'),
    'functions', (select md5(string_agg(concat(oid, proacl, prosrc, proconfig), ',' order by oid)) from pg_proc
        where pronamespace <> 'pg_catalog'::regnamespace),
    'triggers', (select jsonb_agg(array[tgrelid::text, tgname, tgenabled::text] order by oid) from pg_trigger),
    'policies', (select jsonb_agg(p order by p.tablename, p.policyname) from pg_policies as p)
)
"""


def state(cluster: Cluster) -> Any:
    """Return what a fault may have changed of a server, or None if it refuses to say."""
    try:
        with clusters.connection(cluster, "supabase_admin", connect_timeout=5) as connection:
            connection.execute("set statement_timeout = '10s'")
            (found,) = connection.execute(_STATE.encode()).fetchone() or (None,)
            if connection.execute("select to_regclass('cron.job') is null").fetchone() == (False,):
                found["jobs"] = connection.execute("select j::text from cron.job as j order by j.jobid").fetchall()
            return found
    except (psycopg.Error, OSError):
        return None


def _has_server(session: pytest.Session, item: pytest.Function) -> bool:
    if ROOTS & set(item.fixturenames):
        return True
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    waiting, seen = [value for value in given if isinstance(value, str)], set[str]()
    while waiting:
        name = waiting.pop()
        if name in ROOTS:
            return True
        if name not in seen:
            seen.add(name)
            found = session._fixturemanager.getfixturedefs(name, item) or ()
            waiting += [argument for fixture in found for argument in fixture.argnames]
    return False


@dataclass(frozen=True, slots=True)
class Kept:
    """A cluster that outlives its test, as the fixture that made it left it."""

    cluster: Cluster
    state: Any
    fixture: pytest.FixtureDef[Any]
    request: pytest.FixtureRequest


@dataclass(slots=True, eq=False)  # a plugin is hashed
class Guard:
    """The plugin; one in each process."""

    kept: dict[Path, Kept] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)  # before `-m` chooses
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Mark what touches a server, by a fixture or by one whose name it is given, and what one version proves."""
        for item in items:
            if isinstance(item, pytest.Function) and _has_server(session, item):
                item.add_marker(pytest.mark.server)
            if item.nodeid.startswith(ONE_VERSION):
                item.add_marker(pytest.mark.one_version)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Remember how a fixture of more than one test leaves the clusters that it makes."""
        before = set(clusters.RUNNING)
        result = yield
        if fixturedef.scope != "function":
            for folder in clusters.RUNNING.keys() - before - self.kept.keys():
                if (found := state(clusters.RUNNING[folder])) is not None:
                    self.kept[folder] = Kept(clusters.RUNNING[folder], found, fixturedef, request)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """After a test that failed, finish the fixtures whose clusters are not as they were."""
        failed = item.session.testsfailed
        result = yield
        if item.session.testsfailed > failed:
            self.discard_what_changed()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Refuse a test that made a cluster and does not bear the mark."""
        result = yield
        made, clusters.MADE[:] = bool(clusters.MADE), []
        if made and item.get_closest_marker("server") is None:
            pytest.fail("this test makes a cluster: mark it with pytest.mark.server, so that each version runs it")
        return result

    def discard_what_changed(self) -> None:
        """Finish every fixture whose cluster differs from what it was."""
        for folder, kept in list(self.kept.items()):
            if folder in clusters.RUNNING and state(kept.cluster) != kept.state:
                kept.fixture.finish(kept.request)  # type: ignore[arg-type]
            if folder not in clusters.RUNNING:
                del self.kept[folder]
