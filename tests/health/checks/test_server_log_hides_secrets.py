"""server_log_hides_secrets: settings that write values of secrets into the log are named; harmless ones are not."""

from collections.abc import Iterator

import psycopg
import pytest

from autosync_db.health import catalogue
from autosync_db.health.model import Status
from autosync_db.local.cluster import Cluster
from tests.support import clusters
from tests.support.health import Project

ID = "server_log_hides_secrets"


@pytest.fixture
def session(shared: Cluster) -> Iterator[psycopg.Connection[clusters.Row]]:
    """A session of a superuser, whose settings end with it."""
    with clusters.connect(shared, "supabase_admin") as connection:
        yield connection


def _findings(session: psycopg.Connection[clusters.Row], settings: dict[str, str]) -> list[str]:
    for name, value in settings.items():
        session.execute("select set_config(%s, %s, false)", [name, value])
    rows = session.execute(catalogue.query(ID).encode()).fetchall()
    return [f"{status} {object}: {detail}" for status, object, detail in rows]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"log_min_messages": "debug2"}, "log_min_messages: is debug2"),
        ({"debug_print_plan": "on"}, "debug_print_plan: is on"),
        (
            {"auto_explain.log_min_duration": "1s", "auto_explain.log_verbose": "on",
             "auto_explain.log_nested_statements": "on"},
            "auto_explain.log_verbose: is on with log_nested_statements: of statements inside our functions",
        ),
        (
            {"auto_explain.log_min_duration": "1s", "auto_explain.log_nested_statements": "on",
             "auto_explain.log_parameter_max_length": "-1"},
            "auto_explain.log_parameter_max_length: is not 0 with log_nested_statements: of statements inside our",
        ),
        ({"pgaudit.log": "write", "pgaudit.log_parameter": "on"}, "pgaudit.log_parameter: is on"),
        ({"log_statement": "mod"}, "log_statement: is mod: a secret that somebody writes by SQL"),
        ({"log_statement": "all"}, "log_statement: is all"),
        ({"log_min_duration_statement": "0"}, "log_min_duration_statement: is 0"),
    ],
)  # fmt: skip
def test_setting_that_logs_values_is_named(
    session: psycopg.Connection[clusters.Row], settings: dict[str, str], named: str
) -> None:
    [found] = _findings(session, settings)
    assert found.startswith(f"warning setting {named}")


def test_settings_that_log_no_value_are_no_fault(session: psycopg.Connection[clusters.Row]) -> None:
    harmless = {
        "log_statement": "ddl", "log_min_duration_statement": "1s", "log_min_messages": "debug1", "log_duration": "on",
        "auto_explain.log_min_duration": "1s", "auto_explain.log_nested_statements": "on",
        "auto_explain.log_verbose": "", "auto_explain.log_parameter_max_length": "0",
        "pgaudit.log": "none", "pgaudit.log_parameter": "on",
    }  # fmt: skip
    assert _findings(session, harmless) == []
    assert _findings(session, {"auto_explain.log_min_duration": "-1", "auto_explain.log_verbose": "on"}) == []


def test_each_setting_is_named_in_the_order_of_its_name(session: psycopg.Connection[clusters.Row]) -> None:
    found = _findings(session, {"log_statement": "all", "debug_print_plan": "on"})
    assert [line.split(":")[0] for line in found] == [
        "warning setting debug_print_plan", "warning setting log_statement",
    ]  # fmt: skip


def test_it_is_a_warning_until_the_remedy(project: Project) -> None:
    project.admin.execute("alter system set log_statement = 'all'")
    project.admin.execute("select pg_reload_conf()")
    clusters.wait_for(lambda: project.value("show log_statement") == "all", "the setting")
    project.must_fail(ID, status=Status.WARNING, names="setting log_statement: is all")

    project.admin.execute("alter system reset log_statement")
    project.admin.execute("select pg_reload_conf()")
    clusters.wait_for(lambda: project.value("show log_statement") == "none", "the setting")
    project.must_be_healthy()
