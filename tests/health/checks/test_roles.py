"""What verify says to a role that may not see everything."""

import re
import time

import pytest

from autosync_db.health.model import Status
from tests.health.actions import holding
from tests.support import clusters, health
from tests.support.health import LiveProject
from tests.support.trial import Trial

ID = "privileges_sufficient"
# what any role may know without a privilege
VISIBLE_TO_ALL = {
    "pg_cron_installed", "pg_cron_scheduler_running", "pg_net_installed", "pg_net_worker_running",
    "secrets_table_protected",
}  # fmt: skip


def test_plain_role_is_given_the_grants_and_the_checks_that_they_are_for(project: Trial) -> None:
    project.create_role("plain")
    report = project.report(role="plain")
    evidence = health.result_of(report, ID).verdict.evidence
    shown = {item.object: item.detail for item in reversed(evidence)}
    assert shown["role pg_read_all_settings"].startswith('run: grant pg_monitor to "plain"; for ')
    assert "cron_history_recorded" in shown["role pg_read_all_settings"]
    assert "job_scheduled" in shown["schema cron"]
    assert "head_applied" in shown["table autosync.alembic_version"]
    assert shown["table public.pg_cron_secrets"].startswith("is for postgres alone: connect as that role; for ")
    # whatever it cannot see is named there, and explained by it
    details = " ".join(item.detail for item in evidence)
    unknown = {r.id: r.blocked_by for r in report.results if r.verdict.status is Status.UNKNOWN and r.id != ID}
    assert {id for id in unknown if not re.search(rf"\b{id}\b", details)} == set()
    for id in ("head_applied", "job_scheduled", "cron_job_roles_exist", "cron_history_recorded", "secrets_present"):
        assert unknown[id] == (ID,), health.described(report)

    for statement in sorted({found for item in evidence for found in re.findall(r"run: (.+?); for ", item.detail)}):
        project.admin.execute(statement.encode())
    report = project.report(role="plain")
    # what only the owner may see or call is left, and nothing else
    left = [item.object for item in health.result_of(report, ID).verdict.evidence]
    assert "table public.pg_cron_secrets" in left
    assert {re.split(r"[ .]", thing)[1] for thing in left} == {"autosync", "public"}, left
    assert Status.CRITICAL not in {result.verdict.status for result in report.results}, health.described(report)
    for id in ("job_scheduled", "cron_slots_free", "cron_job_roles_exist"):
        assert health.result_of(report, id).status is Status.OK, id
    # and the grants are not taken for a change of the objects
    assert project.look("objects_current").status is Status.OK


@pytest.mark.parametrize(
    "grants",
    [
        "",
        "grant pg_read_all_data to plain",
        "grant pg_read_all_data to plain; grant execute on all functions in schema autosync to plain",
        "alter role plain bypassrls; grant pg_read_all_data to plain",
        "grant pg_monitor to plain",
    ],
    ids=["nothing", "reads-all", "reads-and-executes", "bypasses", "monitors"],
)
def test_role_that_cannot_see_says_unknown_and_never_critical(project: Trial, grants: str) -> None:
    project.create_role("plain", grants=grants)
    report = project.report(role="plain")
    verdicts = {result.id: result.verdict.status for result in report.results}
    assert Status.CRITICAL not in verdicts.values(), health.described(report)
    assert report.status is Status.UNKNOWN
    assert health.roots(report)[ID] is Status.UNKNOWN, health.described(report)
    seen = {id for id, status in verdicts.items() if status is Status.OK}
    assert seen >= VISIBLE_TO_ALL
    if not grants:
        hidden = {result.id for result in report.results if result.check.layer in {"function", "schedules", "secrets"}}
        # where there is no such schema everybody can see that, and privileges are no secret; without a token nothing is
        # looked at
        assert seen & hidden <= {
            "legacy_keys_off", "no_secret_in_migration_history", "schedule_trigger_enabled", "secrets_readable_by_job",
            "service_role_can_use_schedules",
        }  # fmt: skip
        for id in ("job_scheduled", "job_unique", "secrets_present", "schedules_not_overdue"):
            assert verdicts[id] is Status.UNKNOWN, id


@pytest.mark.parametrize(
    "whom",
    ["role postgres", "database postgres", "role postgres in database postgres"],
)
def test_a_role_that_is_set_to_be_another_is_named_with_what_takes_that_back(whom: str, live: LiveProject) -> None:
    live.admin.execute(f"alter {whom} set role = 'anon'".encode())
    live.disconnect()
    try:
        report = live.report()
        assert health.roots(report) == {ID: Status.CRITICAL}, health.described(report)
        found = health.result_of(report, ID)
        assert f"{whom}: sets role = anon: each session of postgres" in found.verdict.summary
        assert "grant" not in f"{found.remedy}{health.evidence(found.verdict)}"
        # a database's settings are its owner's
        with clusters.connect(live.cluster, "supabase_admin" if whom.startswith("database") else "postgres") as session:
            assert session.execute("select current_user").fetchone() == ("anon",)
            assert found.remedy is not None
            session.execute(found.remedy.encode())
    finally:
        live.disconnect()
        live.admin.execute(f"set role none; alter {whom} reset role".encode())
        live.disconnect()
    live.must_be_healthy()


def test_nothing_is_granted_to_a_role_of_the_api(project: Trial) -> None:
    details = [item.detail for item in health.result_of(project.report(role="anon"), ID).verdict.evidence]
    assert details
    assert not [detail for detail in details if "run:" in detail]


def test_wait_for_a_lock_is_not_paid_by_every_check_that_reads_the_table(project: Trial) -> None:
    holding("lock table public.auto_sync_schedules in access exclusive mode")(project)
    began = time.monotonic()
    report = project.report()
    # a second for the first, and a tenth for each of the others
    assert time.monotonic() - began < 20
    assert health.roots(report) == {"tables_not_locked": Status.UNKNOWN}, health.described(report)
