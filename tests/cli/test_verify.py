"""`verify` and `explain` as commands; what each check finds is tested where the checks are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from autosync_db.health import catalogue
from autosync_db.local.cluster import Cluster
from autosync_db.report import pages
from tests.cli.conftest import Project
from tests.support import cases, clusters, command
from tests.support.command import Result
from tests.support.dumps import contents

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "schemas" / "verify.schema.json").read_text())


def _report(result: Result) -> dict[str, Any]:
    report: dict[str, Any] = result.json()
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(report)
    return report


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_knows_every_layer_and_verdict() -> None:
    from autosync_db.health.model import Status

    check = SCHEMA["$defs"]["check"]["properties"]
    assert {found.layer for found in catalogue.all_checks().values()} <= set(check["layer"]["enum"])
    assert {status.value for status in Status} == set(check["status"]["enum"])


def test_the_schema_refuses_what_contradicts_itself(shared: Cluster) -> None:
    report = _report(command.run("verify", "--format", "json", database=shared.url()))

    def refuses(change: Callable[[dict[str, Any]], object]) -> bool:
        other = json.loads(json.dumps(report))
        change(other)
        return not jsonschema.Draft202012Validator(SCHEMA).is_valid(other)

    assert refuses(lambda r: r.update(status="ok"))
    assert refuses(lambda r: r.update(root_causes=[]))
    assert refuses(lambda r: r.pop("checked_at"))
    assert refuses(lambda r: r.update(checked_at="yesterday"))
    assert refuses(lambda r: r["checks"][0].update(status="fine"))
    assert refuses(lambda r: r["checks"][0].update(status="blocked", blocked_by=[]))
    assert refuses(lambda r: r["checks"][0].update(remedy=5))


def test_a_database_that_nobody_has_set_up_is_a_warning_where_that_is_expected(migrated: Cluster) -> None:
    def verified(*words: str) -> tuple[int, str, list[str]]:
        done = command.run("verify", "--format", "json", *words, database=migrated.url())
        report = _report(done)
        return done.code, report["status"], report["root_causes"]

    with clusters.pg_net_worker(migrated), clusters.connection(migrated, "supabase_admin") as connection:
        # its job ticks, and each run fails for the key that it lacks
        connection.execute(
            "insert into cron.job_run_details (runid, jobid, status, return_message, start_time, end_time, command)"
            " select nextval('cron.runid_seq'), jobid, 'failed', 'ERROR: secret project_url is missing', now(), now(),"
            " command from cron.job where jobname = 'auto-sync-cron-job'"
        )
        assert verified() == (3, "critical", ["secrets_present"])
        assert verified("--branch") == (0, "warning", ["secrets_present"])
        assert verified("--branch", "--strict")[0] == 3
        # near-misses: a fault of its own, and a set-up that was begun
        connection.execute("update cron.job_run_details set runid = 900 where runid = 1")
        assert verified("--branch") == (3, "critical", ["cron_run_sequence_ahead", "secrets_present"])
        connection.execute("update cron.job_run_details set runid = 1 where runid = 900")
        connection.execute("insert into public.pg_cron_secrets values ('project_url', 'https://example.com')")
        assert verified("--branch")[:2] == (3, "critical")


def test_a_healthy_project_exits_0(project: Project) -> None:
    command.succeeds(project.setup())
    before = contents(project.cluster)
    result = command.succeeds(project.run("verify", "--format", "json"))
    report = _report(result)
    assert report["status"] == "ok"
    # what calls the function itself needs --probe
    assert {check["id"] for check in report["checks"]} == {
        id for id, it in catalogue.all_checks().items() if not it.probes
    }
    assert all(check["remedy"] is None for check in report["checks"])
    shown = command.succeeds(project.run("verify"))
    assert shown.out.startswith("OK")
    assert contents(project.cluster) == before


@pytest.mark.long
@pytest.mark.parametrize("state", ["blank", "migrated"])
def test_a_project_that_is_not_set_up_is_never_healthy(state: str, request: pytest.FixtureRequest) -> None:
    cluster: Cluster = request.getfixturevalue(state)
    result = command.run("verify", "--format", "json", database=cluster.url())
    assert result.code == 3
    report = _report(result)
    by_id = {check["id"]: check for check in report["checks"]}
    assert report["status"] in {"critical", "unknown"}
    assert "pg_net_worker_running" in by_id
    for check in report["checks"]:
        for cause in check["blocked_by"]:
            assert by_id[cause]["status"] not in {"ok", "blocked"}, "a cause is a failing check that nothing explains"
    severity = ["warning", "unknown", "critical"]
    found = [severity.index(by_id[cause]["status"]) for cause in report["root_causes"]]
    assert found == sorted(found, reverse=True)


def test_what_keeps_a_chosen_check_from_looking_is_reported(blank: Cluster) -> None:
    only = command.run("verify", "--only", "secrets_present", "--format", "json", database=blank.url())
    assert only.code == 3
    found = {check["id"]: check["status"] for check in _report(only)["checks"]}
    assert found["secrets_present"] == "blocked"
    assert _report(only)["root_causes"]
    assert set(_report(only)["root_causes"]) < set(found)


def test_a_report_goes_where_it_was_asked_for(shared: Cluster, tmp_path: Path) -> None:
    """A summary that cannot be written takes nothing from the verdict, and `-` is stdout, as for `report`."""
    chosen = ("verify", "--only", "pg_cron_installed", "--format")
    for summary in ("", str(tmp_path / "none" / "summary"), "/dev/full", str(tmp_path)):
        result = command.run(
            *chosen, "github", database=shared.url(), folder=tmp_path, variables={"GITHUB_STEP_SUMMARY": summary}
        )
        command.succeeds(result)
        assert result.out.startswith("::notice ")
        assert ("the summary cannot be written" in result.err) == bool(summary)
    for format in ("junit", "json"):
        shown = command.succeeds(command.run(*chosen, format, "-o", "-", database=shared.url(), folder=tmp_path))
        assert "pg_cron_installed" in shown.out
    assert list(tmp_path.iterdir()) == []


def test_nagios_hears_what_keeps_a_check_from_being_made(shared: Cluster, tmp_path: Path) -> None:
    """It takes exit 2 for critical, and shows the first line of stdout."""
    (tmp_path / "autosync.toml").write_text("[jobs")
    for arguments, database, says in (
        ((), None, "is not valid TOML"),
        (("--only", "nope"), None, "is not valid TOML"),
        (("--config", "none.toml"), shared.url(), "there is no settings file"),
    ):
        result = command.run("verify", "--format", "nagios", *arguments, database=database, folder=tmp_path)
        assert result.code == 3
        assert result.out.startswith("AUTOSYNC UNKNOWN - ")
        assert says in result.out.partition("\n")[0]
        assert says in result.errors[0]
        assert command.run("verify", *arguments, database=database, folder=tmp_path).code == 2


def test_only_and_skip(shared: Cluster) -> None:
    only = command.run("verify", "--only", "secrets_present", "--format", "json", database=shared.url())
    assert [check["id"] for check in _report(only)["checks"]] == ["secrets_present"]
    assert only.code == 3
    protected = command.run("verify", "--only", "secrets_table_protected", database=shared.url())
    assert protected.code == 0
    skipped = command.run("verify", "--skip", "secrets_present", "--format", "json", database=shared.url())
    assert "secrets_present" not in {check["id"] for check in _report(skipped)["checks"]}


def test_an_unknown_check_is_refused(shared: Cluster) -> None:
    for flag in ("--only", "--skip"):
        message = command.refused(command.run("verify", "-q", flag, "nonsense", database=shared.url()), 2)
        assert "nonsense" in message, flag


@pytest.mark.long
def test_a_report_of_another_role_shows_no_secret(new_project: Project) -> None:
    command.succeeds(new_project.setup())
    with clusters.connect(new_project.cluster, "supabase_admin") as connection:
        connection.execute("update cron.job set command = %s", [f"select '{new_project.key.reveal()}'"])
    for form in ("table", "json"):
        result = new_project.run("verify", "-vv", "--format", form)
        assert result.code == 3
        assert "job_command_matches" in result.out
        assert new_project.key.reveal() not in result.out + result.err


def test_explain_lists_the_catalogue() -> None:
    listed = command.succeeds(command.run("explain", "--format", "json")).json()
    assert {row["id"] for row in listed if row["layer"] != "topic"} == set(catalogue.all_checks())
    assert [row["id"] for row in listed if row["layer"] == "topic"] == list(pages.TOPICS)
    shown = command.succeeds(command.run("explain", variables={"COLUMNS": "200"}))
    assert all(name in shown.out for name in pages.ids())


def test_explain_prints_the_page_of_every_check_and_topic() -> None:
    with cases.collected() as case:
        for name in pages.ids():
            with case(name):
                page = pages.page(name)
                assert command.succeeds(command.run("explain", name)).out.strip() == page.strip()
                found = command.succeeds(command.run("explain", name, "--format", "json")).json()
                assert (found["id"], found["page"]) == (name, page)
                if name not in pages.TOPICS:
                    assert name in page
                    assert bool(found["query"]) == catalogue.find(name).has_query


def test_what_was_meant_is_asked_where_a_check_or_topic_is_mistyped(shared: Cluster) -> None:
    meant = {
        "job_activ": "job_active",
        "secret_present": "secrets_present",
        "adoptoin": "adoption",
        "local-stak": "local-stack",
    }
    for typed, right in meant.items():
        assert f"did you mean {right}?" in command.refused(command.run("explain", typed), 2)
    for arguments in (("verify", "-q", "--only"), ("verify", "-q", "--skip"), ("repair", "--dry-run")):
        result = command.run(*arguments, "job_activ", database=shared.url())
        assert "did you mean job_active?" in command.refused(result, 2)


def test_explain_of_an_unknown_check_is_refused() -> None:
    result = command.run("explain", "nonsense")
    assert "nonsense" in command.refused(result, 2)
    assert "autosync-db explain" in result.hints[0]
