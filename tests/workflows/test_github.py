"""The GitHub workflow: sound to a security linter, least privilege, and its steps do what they say."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import tools
from tests.support.health import LiveProject
from tests.workflows.conftest import WORKFLOW, Runner, steps, written

# what stands for GitHub's own program: it writes its arguments down and knows one open issue, or none
GH = """
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in
"issue list"*) printf '%s\\n' "$OPEN" ;;
*--body-file*) cat body.md >> "$CALLS" ;;
esac
"""


# settings of every shape, and the options that go with them
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "no file": ("", {}),
    "one target": ('[targets.production]\ndatabase_url_env = "SUPABASE_DB_URL"\n', {}),
    "several targets": (
        '[targets.production]\ndatabase_url_env = "SUPABASE_DB_URL"\n[targets."eu.1"]\ndatabase_url = "host=db.test"\n',
        {"branch": "release/*"},
    ),
    "jobs without a key": (
        '[jobs.a]\nsql = "select 1"\nschedule = "0 6 * * *"\n[targets.x]\ndatabase_url_env = "X"\n',
        {"secret": "OUR_DATABASE"},
    ),
}


def of_shape(name: str) -> dict[str, Any]:
    """Write the workflow for settings of a shape and return it parsed."""
    settings, options = SHAPES[name]
    Path("autosync.toml").write_text(settings)
    return written(**options, force=True)


def findings() -> list[str]:
    """Return what zizmor, at its strictest level for all repositories, and actionlint say of the workflow."""
    beside = Path(sys.executable).parent
    zizmor = tools.find("zizmor", beside, install="install it: make setup")
    audited = subprocess.run(
        [str(zizmor), "--offline", "--no-progress", "--persona", "pedantic", "--format", "json", str(WORKFLOW)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    actionlint = tools.find("actionlint", beside, install="install it: make setup")
    shellcheck = tools.find("shellcheck", beside, install="install it: make setup")
    linted = subprocess.run(
        [str(actionlint), "-no-color", "-oneline", "-shellcheck", str(shellcheck), str(WORKFLOW)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return [finding["ident"] for finding in json.loads(audited.stdout)] + linted.stdout.splitlines()


class TestText:
    """What can be said of the file without running it."""

    @pytest.mark.parametrize("shape", SHAPES)
    def test_the_linters_find_nothing(self, shape: str) -> None:
        of_shape(shape)
        assert findings() == []

    @pytest.mark.long
    def test_the_linters_would_find_what_is_wrong(self) -> None:
        for before, after, found in (
            (r"checkout@\w{40}", "checkout@v5", "unpinned-uses"),
            (r"permissions: \{\}", "permissions: write-all", "excessive-permissions"),
            (r" +with:\n +persist-credentials: false\n", "", "artipacked"),
            (r"autosync-db secrets scan", "echo ${{ github.event.head_commit.message }}", "template-injection"),
            (r"needs: migrate", "needs: migration", 'job "verify" needs job "migration"'),
            (r'cat "\$RUNNER_TEMP/said"', "cat $RUNNER_TEMP/said", "SC2086"),
        ):
            WORKFLOW.unlink(missing_ok=True)
            written()
            text = WORKFLOW.read_text()
            WORKFLOW.write_text(re.sub(before, after, text))
            assert WORKFLOW.read_text() != text
            assert any(found in finding for finding in findings()), found

    def test_only_the_job_without_the_secret_may_write(self) -> None:
        for shape in SHAPES:
            workflow = of_shape(shape)
            assert workflow["permissions"] == {}
            for name, job in workflow["jobs"].items():
                rights = dict(job["permissions"])
                if name.startswith("alert"):
                    assert rights == {"issues": "write"}
                    assert "secrets." not in str(job)
                    continue
                assert rights.pop("contents") == "read"
                alerts = {"actions": "read", "security-events": "write"} if name.startswith(("scan", "audit")) else {}
                assert rights == alerts, name
            assert "secrets." not in str(workflow["jobs"]["scan"]), "files of a fork are read there"

    def test_secrets_reach_steps_by_environment_alone_and_only_those_of_their_target(self) -> None:
        for shape in SHAPES:
            jobs = of_shape(shape)["jobs"]
            for name, job in jobs.items():
                given = [
                    value for step in job["steps"] for value in step.pop("env", {}).values() if "secrets." in value
                ]
                if shape == "several targets" and not name.startswith("preview"):
                    assert all(("EU_1" in value) == name.endswith("eu_1") for value in given), name
            assert "secrets." not in str(jobs)

    def test_two_migrations_of_one_database_never_overlap(self) -> None:
        groups = [
            (job["concurrency"]["group"], job["concurrency"]["cancel-in-progress"])
            for name, job in of_shape("several targets")["jobs"].items()
            if name.startswith(("migrate", "preview"))
        ]
        assert groups == [
            ("autosync-db-migrate-production", False),
            ("autosync-db-migrate-eu_1", False),
            ("autosync-db-preview", False),
        ]

    def test_the_names_that_were_chosen_are_in_it(self) -> None:
        Path("autosync.toml").write_text('[targets.production]\ndatabase_url_env = "DB"\n')
        workflow = written(target="production", branch="release", secret="OUR_DATABASE")
        assert workflow["jobs"]["migrate"]["env"] == {"AUTOSYNC_TARGET": "production"}
        # YAML 1.1 reads the key `on` as true
        assert workflow[True]["push"] == {"branches": ["release"]}  # type: ignore[index]
        assert steps(workflow)["Verify"]["env"]["DB"] == "${{ secrets.OUR_DATABASE }}"


class TestSteps:
    """The steps themselves, run by the shell that GitHub runs them with."""

    @pytest.mark.long
    def test_verify_hands_its_report_to_the_alert_when_it_fails(self, project: LiveProject, runner: Runner) -> None:
        script = steps(written())["Verify"]["run"]
        healthy = runner.run(script, project.cluster)
        assert healthy.returncode == 0, healthy.stdout + healthy.stderr
        assert runner.outputs.read_text() == ""
        assert "## autosync-db verify: ok" in runner.summary.read_text()

        project.owner.execute("delete from public.pg_cron_secrets")
        failing = runner.run(script, project.cluster)
        assert failing.returncode == 3
        assert "::error title=secrets_present::" in failing.stdout
        first, *report, last = runner.outputs.read_text().splitlines()
        assert first == f"report<<{last}"
        assert any("secrets_present" in line for line in report)

    @pytest.mark.long
    def test_verify_of_a_server_that_is_down_reports_that(self, runner: Runner) -> None:
        nowhere = {"AUTOSYNC_DATABASE_URL": "postgresql://postgres@127.0.0.1:1/postgres"}
        done = runner.run(steps(written())["Verify"]["run"], variables=nowhere)
        assert done.returncode == 4
        assert "cannot use the database at 127.0.0.1:1" in runner.outputs.read_text()

    def test_verify_waits_for_a_tick_after_a_migration_alone(self, runner: Runner, tmp_path: Path) -> None:
        runner.install("autosync-db", f'echo "$*" >> {tmp_path}/calls')
        step = steps(written())["Verify"]
        assert step["env"]["PATIENCE"] == "${{ github.event_name == 'push' && '10m' || '' }}"
        runner.run(step["run"], variables={"PATIENCE": "10m"})
        runner.run(step["run"], variables={"PATIENCE": ""})
        assert (tmp_path / "calls").read_text().splitlines() == [
            "verify --wait 10m --format github",
            "verify --format github",
        ]

    def alert(self, runner: Runner, **variables: str) -> list[str]:
        """Run the alert's step and return what GitHub's program was given."""
        runner.install("gh", GH)
        calls = runner.folder / "calls"
        calls.write_text("")
        done = runner.run(
            steps(written())["Open, update or close the issue"]["run"],
            variables={"CALLS": str(calls), "RUN": "the run", "LABEL": "autosync-db", **variables},
        )
        assert done.returncode == 0, done.stderr
        return calls.read_text().splitlines()

    def test_the_first_failure_opens_an_issue_and_the_next_ones_update_it(self, runner: Runner) -> None:
        report = "critical secrets_present\n``` @everybody"
        opened = self.alert(runner, RESULT="failure", REPORT=report, OPEN="")
        assert opened[2].startswith(
            "issue create --title autosync-db: the scheduled sync is not healthy --label autosync-db"
        )
        assert opened[3:] == [
            "`autosync-db verify` failed: the run", "", "    critical secrets_present", "    ``` @everybody"
        ]  # fmt: skip
        updated = self.alert(runner, RESULT="failure", REPORT=report, OPEN="7")
        assert updated[2] == "issue edit 7 --body-file body.md"
        assert len(updated) == len(opened)

    def test_a_failure_before_any_report_is_reported_too(self, runner: Runner) -> None:
        opened = self.alert(runner, RESULT="failure", REPORT="", OPEN="")
        assert opened[2].startswith("issue create")
        assert opened[-1].startswith("    "), "the reason stands in the place of the report"
        assert "report" in opened[-1]

    def test_health_closes_the_issue_once(self, runner: Runner) -> None:
        closed = self.alert(runner, RESULT="success", REPORT="", OPEN="7")
        assert closed[2:] == ["issue close 7 --comment Healthy again: the run"]
        assert len(self.alert(runner, RESULT="success", REPORT="", OPEN="")) == 2
