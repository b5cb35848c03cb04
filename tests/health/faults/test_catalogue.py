"""The catalogue of failures as a whole: no letter is forgotten, and docs/reference/faults.md is what is tested."""

import re
from pathlib import Path

from autosync_db.health import catalogue
from autosync_db.remedies import Kind, kind_of
from tests.health.checks.test_cases import CASES
from tests.health.faults.catalogue import ALL, LEFT_OUT, LETTERS, MODES
from tests.health.test_remedies_heal import COSTLY, HEALS
from tests.support.clusters import REAL_PG_NET

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "faults.md"


def test_every_letter_is_injected_or_left_out_with_a_reason() -> None:
    injected = [mode.id for mode in MODES]
    assert len(LETTERS) == 181
    assert len(set(injected)) == len(injected)
    assert set(injected) | set(LEFT_OUT) == LETTERS
    assert not set(injected) & set(LEFT_OUT)
    assert all(LEFT_OUT.values())


def test_at_least_ninety_modes_are_injected() -> None:
    assert len(MODES) >= 90


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


def test_the_document_lists_exactly_these_modes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    injected, _, left_out = text.partition("## Left out")
    assert re.findall(r"^\| ([A-N]\d+b?) \|", injected, flags=re.MULTILINE) == [mode.id for mode in MODES]
    assert set(re.findall(r"^\| ([A-N]\d+b?) \|", left_out, flags=re.MULTILINE)) == set(LEFT_OUT)
    for mode in MODES:
        row = next(line for line in injected.splitlines() if line.startswith(f"| {mode.id} |"))
        assert f"| {mode.fault} |" in row or f"| {mode.fault} (" in row, mode.id
        assert f"`{mode.names}`" in row, mode.id


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
