"""What server_log_hides_secrets warns of is real: with these settings the server's log holds the key."""

import pytest

from autosync_db.credentials import store
from autosync_db.health import catalogue
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.support import clusters, keys

CHECK = "server_log_hides_secrets"
EXPLAIN = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_verbose": "on",
}
# without its values; the parameters, whole unless somebody says otherwise, came with version 16
PARAMETERS = EXPLAIN | {"auto_explain.log_verbose": "off"}


def _as_bytes(log: str) -> str:
    """Return the texts of the plans in a log, which are printed as numbers, and folded anywhere."""
    digits = log.replace("\n", " ").replace("]", " ")
    return "".join(chr(int(number)) for number in digits.split() if number.isdigit() and 32 < int(number) < 127)


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        (EXPLAIN, True),
        (PARAMETERS | {"auto_explain.log_parameter_max_length": "0"}, False),
        (EXPLAIN | {"auto_explain.log_nested_statements": "off"}, False),
        ({"debug_print_plan": "on", "debug_pretty_print": "off"}, True),
        ({"debug_print_parse": "on", "debug_pretty_print": "off"}, False),
        ({"log_statement": "ddl", "log_min_duration_statement": "1ms"}, False),
    ],
)
def test_the_log_holds_a_key_that_is_stored_and_sent_exactly_when_it_is_warned_of(
    settings: dict[str, str], warned: bool, migrated: Cluster
) -> None:
    _compare(settings, warned, migrated)


def test_the_parameters_that_newer_servers_explain_hold_it_too(migrated: Cluster) -> None:
    if migrated.major < 16:
        pytest.skip("auto_explain.log_parameter_max_length came with PostgreSQL 16: tested in the container")
    _compare(PARAMETERS, True, migrated)


def _compare(settings: dict[str, str], warned: bool, migrated: Cluster) -> None:
    key = keys.secret().reveal()
    with clusters.connect(migrated, "supabase_admin") as admin:
        settings = {"session_preload_libraries": "pgextwlist,auto_explain", **settings}
        for name, value in settings.items():
            # a list is quoted name by name, everything else as it is
            listed = ", ".join(f"'{one}'" for one in value.split(","))
            admin.execute(f"alter database postgres set {name} = {listed}".encode())
    with clusters.connect(migrated) as owner:
        values = {"project_url": Secret("http://127.0.0.1:9"), "service_role_key": Secret(key)}
        store.store(owner, values)
        owner.execute("select autosync.dispatch('auto-sync-cron-job', true)")
        findings = owner.execute(catalogue.query(CHECK).encode()).fetchall()
    log = migrated.log.read_text(errors="replace")
    assert (key in log or key in _as_bytes(log)) == warned
    assert bool(findings) == warned
