"""The catalogue of failures as a whole: no letter is forgotten, and docs/reference/faults.md is what is tested."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autosync_db.health import catalogue
from autosync_db.remedies import Kind, kind_of
from tests.health.checks.test_cases import CASES
from tests.health.faults.catalogue import ALL, LEFT_OUT, LETTERS, MODES, PAIRS, REPORTED, kind
from tests.health.faults.conftest import ROW, Collector
from tests.health.faults.table import DOCUMENT, MODE, PAIR, SCENARIO, Page, row
from tests.health.faults.test_near_misses import NEAR_MISSES
from tests.health.test_remedies_heal import COSTLY, HEALS
from tests.support.clusters import REAL_PG_NET


def test_every_letter_is_injected_or_left_out_with_a_reason() -> None:
    injected = [mode.id for mode in MODES]
    assert (len(LETTERS), len(REPORTED)) == (181, 33)
    assert len(set(injected)) == len(injected)
    kinds = {kind(id) for id in injected}
    assert kinds | set(LEFT_OUT) == LETTERS | REPORTED
    assert not kinds & set(LEFT_OUT)
    assert all(LEFT_OUT.values())


def test_at_least_ninety_modes_are_injected() -> None:
    assert len(LETTERS & {mode.id for mode in MODES}) >= 90


def test_every_mode_names_checks_that_exist() -> None:
    known = set(catalogue.all_checks())
    assert len({mode.id for mode in ALL}) == len(ALL)
    for mode in ALL:
        assert {mode.names, *mode.also} <= known, mode.id
        assert mode.says, mode.id
        assert not mode.repairable or catalogue.find(mode.names).repairable, mode.id


def test_what_is_tested_names_the_file_that_tests_it() -> None:
    root = Path(__file__).parents[3]
    for letter, reason in LEFT_OUT.items():
        for path in re.findall(r"tests/[\w/]+\.py", reason):
            assert (root / path).exists(), letter


def test_the_page_has_these_rows_and_what_follows_from_them(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-table", default=None):
        pytest.skip("this run writes the page")
    page = Page.read()
    assert page.text() == DOCUMENT.read_text(encoding="utf-8"), "write it with --write-table"
    assert list(page.rows[MODE]) == [mode.id for mode in MODES]
    assert set(page.rows[PAIR]) == {" and ".join(pair) for pair in PAIRS}
    assert set(page.rows[SCENARIO]) >= set(NEAR_MISSES)
    for mode in MODES:
        row = page.rows[MODE][mode.id]
        assert f"| {mode.fault} |" in row or f"| {mode.fault} (" in row, mode.id
        assert f"`{mode.names}`" in row, mode.id


# the same state a day, a restart or a slow machine later
SAME = (
    ("since 23:59 UTC; last changed at 23:58 UTC", "since 2026-01-31 23:59 UTC; last changed at 2026-01-31 23:58 UTC"),
    ("is of 2026-01-31", "is of 2027-12-01"),
    ("crashed at 2026-01-31 08:00:01 UTC", "crashed at 2026-02-01 18:30:59 UTC"),
    ("the window 08:53:00 to 08:56:00 (UTC)", "the window 18:03:00 to 18:06:00 (UTC)"),
    ("by its schedule 47 * * * * it", "by its schedule 3 * * * * it"),
    ("has waited 3 s for a lock", "has waited 12.5 s for a lock"),
    ("is 300 s ahead of this machine's", "is 301 s ahead of this machine's"),
    ("1 of the last 2 calls was refused", "1 of the last 36 calls was refused"),
    ("the last 1 of 6 runs failed", "the last 1 of 16 runs failed"),
    ("1 of the newest 7 calls still wait", "1 of the newest 8 calls still wait"),
    ("1 of 3 answers were not good", "1 of 1 answers were not good"),
    ("Total time: 1000.8 ms (DNS time: -0.2 ms", "Total time: 1312.25 ms (DNS time: 0.141 ms"),
    ("job 7 of role a, process 4711, run 12", "job 70 of role a, process 99, run 130"),
    ('server at "127.0.0.1", port 5433 failed', 'server at "127.0.0.1", port 60649 failed'),
    ("at db.example.invalid:53097: x", "at db.example.invalid:5432: x"),
    ("http://127.0.0.1:4321/elsewhere", "http://127.0.0.1:60001/elsewhere"),
    ("holds about 500000 rows in 48 kB, 0 % of", "holds about 500000 rows in 1.5 MB, 12 % of"),
    ("it has about 1 rows", "it has an unknown number of rows"),
    ("resolve host 'x': [Errno -2] Name or service not known", "resolve host 'x': [Errno -3] Temporary failure"),
    (
        "runs up to 41 are recorded: at each of its next 36 starts",
        "runs up to 7 are recorded: at each of its next 2 starts",
    ),
    ("allows 2 background workers, and 2 are taken", "allows 2 background workers, and 3 are taken"),
)
DIFFERENT = (
    ("refused with 401", "refused with 403"),
    ("the last 3 of 4 calls were", "the last 1 of 4 calls were"),
    ("is at version 0.18.0", "is at version 0.19.0"),
    ("kept for 30 days", "kept for 7 days"),
    ("Timeout of 1000 ms reached", "Timeout of 5000 ms reached"),
    ("statement_timeout = 1ms", "statement_timeout = 100ms"),
)


def test_what_differs_from_run_to_run_is_left_out_of_a_row_and_nothing_else() -> None:
    assert [pair for pair in SAME if row(pair[0]) != row(pair[1])] == []
    assert [pair for pair in DIFFERENT if row(pair[0]) == row(pair[1])] == []


def _run_of(collector: Collector, measured: str, environment: str) -> int:
    """Return how a run ends that measured one row."""
    report: Any = SimpleNamespace(when="call", user_properties=[(ROW, (MODE, measured, environment))])
    session: Any = SimpleNamespace(testscollected=1, exitstatus=0)
    collector.pytest_runtest_logreport(report)
    collector.pytest_sessionfinish(session)
    return int(session.exitstatus)


def test_a_run_of_some_tests_checks_and_writes_their_rows_of_the_page(tmp_path: Path) -> None:
    path, page = tmp_path / "faults.md", Page.read()
    path.write_text(page.text(), encoding="utf-8")
    as_it_is = page.rows[MODE]["C2"]
    changed = as_it_is.replace("critical `job_active`", "warning `job_active`")
    assert _run_of(Collector(path, writes=False), as_it_is, page.environment) == 0
    assert _run_of(Collector(path, writes=False), changed, "Measured on another server.") == 0
    checking = Collector(path, writes=False)
    assert _run_of(checking, changed, page.environment) == 1
    assert [line for line in checking.difference if line[:3] in {"-| ", "+| "}] == [f"-{as_it_is}", f"+{changed}"]
    assert _run_of(Collector(path, writes=True), changed, page.environment) == 0
    assert path.read_text(encoding="utf-8") == page.text().replace(as_it_is, changed)


def test_every_check_is_named_by_a_fault() -> None:
    # what is wrong with these is in the tables of tests/health/checks, and in its tests on servers
    cases = {
        "calls_hold_no_others_up", "database_is_the_bound_one", "head_applied", "housekeeping_runs",
        "integrations_tied_to_organizations", "isolation_chosen", "pg_net_preloaded", "pg_net_worker_running",
        "private_schema_is_ours", "rotation_finished", "schedules_not_failing", "schedules_recorded",
        "server_log_hides_secrets", "service_key_fresh", "settings_applied", "tables_not_locked",
    }  # fmt: skip
    assert {mode.names for mode in ALL} | cases == set(catalogue.all_checks())


def test_every_repair_is_tried() -> None:
    repaired = {mode.names for mode in ALL if mode.repairable}
    repaired |= {heal.id for heal in (*HEALS, *COSTLY) if catalogue.find(heal.id).repairable}
    repaired |= {id for id, cases in CASES.items() if any(case.repaired_by for case in cases)}
    # nothing starts the worker of the stand-in again, and the real one is of one version
    untried = {"pg_net_worker_running"} | ({"pg_net_version_matches_library"} if REAL_PG_NET else set())
    assert repaired | untried == {id for id, c in catalogue.all_checks().items() if c.repairable}


def test_remedy_is_the_repair_where_there_is_one_and_can_be_run_as_it_is() -> None:
    for id, check in catalogue.all_checks().items():
        assert check.remedy, id
        written = [check.remedy, *check.remedies.values()]
        repairs = [remedy for remedy in written if remedy.startswith("autosync-db repair")]
        assert bool(repairs) == check.repairable, id
        assert all(remedy.startswith(f"autosync-db repair {id}") for remedy in repairs), id
        assert not any("<" in remedy for remedy in written), id
        # what nothing runs says so, for people and for programs
        for remedy in written:
            assert (kind_of(remedy) is Kind.SQL) != remedy.startswith(("autosync-db ", "#")), (id, remedy)
