"""privileges_sufficient: what a role cannot see is told with the grant, and the grants told are enough."""

import re

from autosync_db.health import catalogue
from autosync_db.health.model import Status
from tests.support.health import Project, described, result_of

ONLY = ["privileges_sufficient"]


def test_plain_role_learns_the_grants_and_which_checks_they_are_for(project: Project) -> None:
    project.create_role("plain")
    evidence = result_of(project.report(ONLY, role="plain"), ONLY[0]).verdict.evidence
    told = {item.object: item.detail for item in reversed(evidence)}
    assert told["role pg_read_all_settings"].startswith('run: grant pg_monitor to "plain"; for ')
    assert "cron_history_recorded" in told["role pg_read_all_settings"]
    assert "job_scheduled" in told["schema cron"]
    assert "head_applied" in told["table autosync.alembic_version"]
    assert told["table public.pg_cron_secrets"].startswith("is for postgres alone: connect as that role; for ")

    statements = {found for item in evidence for found in re.findall(r"run: (.+?); for ", item.detail)}
    for statement in sorted(statements):
        project.admin.execute(statement.encode())
    report = project.report(role="plain")
    # what only the owner may see or call is left, and nothing else
    left = [item.object for item in result_of(report, ONLY[0]).verdict.evidence]
    assert "table public.pg_cron_secrets" in left
    assert {re.split(r"[ .]", thing)[1] for thing in left} == {"autosync", "public"}, left
    assert Status.CRITICAL not in {result.verdict.status for result in report.results}, described(report)
    assert result_of(report, "job_scheduled").status is Status.OK
    assert result_of(report, "cron_slots_free").status is Status.OK
    assert result_of(report, "cron_job_roles_exist").status is Status.OK
    # and the grants are not taken for a change of the objects
    assert result_of(project.report(), "objects_current").status is Status.OK


def test_unknown_checks_of_a_plain_role_are_explained_by_its_privileges(project: Project) -> None:
    project.create_role("plain")
    report = project.report(role="plain")
    assert ONLY[0] in {result.id for result in report.root_causes}
    for name in ("head_applied", "job_scheduled", "cron_job_roles_exist", "cron_history_recorded", "secrets_present"):
        assert result_of(report, name).blocked_by == tuple(ONLY), described(report)


def test_every_unknown_of_a_plain_role_is_told(project: Project) -> None:
    project.create_role("plain")
    report = project.report(role="plain")
    told = " ".join(item.detail for item in result_of(report, ONLY[0]).verdict.evidence)
    unknown = {
        result.id for result in report.results if result.verdict.status is Status.UNKNOWN and result.id != ONLY[0]
    }
    assert {id for id in unknown if not re.search(rf"\b{id}\b", told)} == set()


def test_missing_schema_is_not_a_missing_privilege(project: Project) -> None:
    project.admin.execute("drop extension pg_cron")
    assert result_of(project.report(), ONLY[0]).status is Status.OK
    assert not catalogue.find(ONLY[0]).has_query
