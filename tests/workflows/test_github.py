"""The GitHub workflow: sound to a security linter, least privilege, and its steps do what they say."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autosync_db.local.cluster import Cluster
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


def findings(*options: str) -> list[dict[str, Any]]:
    """Return what zizmor, at its strictest level for all repositories, says of the workflow."""
    zizmor = tools.find("zizmor", Path(sys.executable).parent, install="install it: make setup")
    done = subprocess.run(
        [str(zizmor), "--offline", "--no-progress", "--persona", "pedantic", "--format", "json", str(WORKFLOW)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def idents(found: list[dict[str, Any]]) -> list[str]:
    """Return the names of the audits that found something."""
    return [finding["ident"] for finding in found]


class TestText:
    """What can be said of the file without running it."""

    def test_zizmor_finds_nothing(self) -> None:
        for options in ({}, {"target": "production", "branch": "release/*", "secret": "OUR_DATABASE"}):
            WORKFLOW.unlink(missing_ok=True)
            written(**options)
            assert idents(findings()) == [], options

    def test_zizmor_would_find_what_is_wrong(self) -> None:
        for before, after, audit in (
            (r"checkout@\w{40}", "checkout@v5", "unpinned-uses"),
            (r"permissions: \{\}", "permissions: write-all", "excessive-permissions"),
            (r" +with:\n +persist-credentials: false\n", "", "artipacked"),
            (r"autosync-db migrate -v", "echo ${{ github.event.head_commit.message }}", "template-injection"),
        ):
            WORKFLOW.unlink(missing_ok=True)
            written()
            WORKFLOW.write_text(re.sub(before, after, WORKFLOW.read_text()))
            assert audit in idents(findings())

    def test_every_script_passes_shellcheck(self) -> None:
        shellcheck = tools.find("shellcheck", Path(sys.executable).parent, install="install it: make setup")
        for name, step in steps(written()).items():
            done = subprocess.run(
                [str(shellcheck), "--shell", "bash", "-"],
                input=step["run"],
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{name}: {done.stdout}"

    def test_only_the_job_without_the_secret_may_write(self) -> None:
        workflow = written()
        assert workflow["permissions"] == {}
        rights = {name: job["permissions"] for name, job in workflow["jobs"].items()}
        assert rights.pop("alert") == {"issues": "write"}
        assert set(map(str, rights.values())) == {"{'contents': 'read'}"}
        assert "secrets." not in str(workflow["jobs"]["alert"])

    def test_secrets_reach_steps_by_environment_alone(self) -> None:
        workflow = written(secret="OUR_DATABASE")
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                assert step.pop("env", {}).get("OUR_DATABASE", "${{ secrets.OUR_DATABASE }}") == (
                    "${{ secrets.OUR_DATABASE }}"
                )
        assert "secrets." not in str(workflow["jobs"])

    def test_the_names_that_were_chosen_are_in_it(self) -> None:
        workflow = written(target="production", branch="release", secret="OUR_DATABASE")
        assert workflow["env"] == {"AUTOSYNC_TARGET": "production"}
        # YAML 1.1 reads the key `on` as true
        assert workflow[True]["push"] == {"branches": ["release"]}  # type: ignore[index]
        assert "OUR_DATABASE" in steps(workflow)["Verify"]["env"]


class TestSteps:
    """The steps themselves, run by the shell that GitHub runs them with."""

    @pytest.mark.long
    def test_check_fails_until_migrate_has_run(self, blank: Cluster, runner: Runner) -> None:
        scripts = steps(written())
        pending = runner.run(scripts["Check"]["run"], blank)
        assert pending.returncode == 5
        summary = runner.summary.read_text()
        assert "revision  0001" in summary
        migrated = runner.run(scripts["Migrate"]["run"], blank)
        assert migrated.returncode == 0, migrated.stderr
        current = runner.run(scripts["Check"]["run"], blank)
        assert current.returncode == 0, current.stderr
        for said in (pending.stderr, migrated.stderr, summary):
            assert blank.passwords["postgres"] not in said

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
            variables={"CALLS": str(calls), "RUN": "the run", **variables},
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
