"""An edit of autosync.toml does nothing by itself: every command that works with the jobs says so until setup ran."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Project
from tests.support import cases, clusters, command
from tests.support.command import Result

NEVER = 'schedule = "59 23 31 12 *"\n'
JOBS = f'[job]\n{NEVER}[jobs.daily-report]\nfunction = "daily-report"\n{NEVER}'
SPEAKS = (("jobs", "list"), ("jobs", "show"), ("jobs", "preview"), ("jobs", "trigger"), ("status",), ("plan",))
NOT_APPLIED = "not applied yet"

# an edit, and what is said of it
EDITS = {
    "schedule": (JOBS.replace("23 31 12", "22 31 12", 1), "auto-sync-cron-job differs in schedule"),
    "timeout": (JOBS + 'timeout = "20s"\n', "daily-report differs in timeout_milliseconds"),
    "body": (JOBS + "body = { full = true }\n", "daily-report differs in body"),
    "off": (JOBS + "enabled = false\n", "daily-report differs in enabled"),
    "new": (f'{JOBS}[jobs.another]\nsql = "select 1"\n{NEVER}', "another is new"),
    "retention": (JOBS + '[retention]\ninvocations = "90 days"\n', "differs in keep_invocations"),
    "limits": (JOBS + "[limits]\nschedules_per_organization = 7\n", "[limits] differs in schedules_per_organization"),
    "isolation": (JOBS + '[isolation]\nmode = "custom"\n', "[isolation] differs in mode"),
}


@pytest.fixture
def run(project: Project, tmp_path: Path) -> Iterator[Callable[..., Result]]:
    """A function that runs a command of a project that is set up as the file says."""
    del project.variables["AUTOSYNC_JOB__SCHEDULE"]
    path = tmp_path / "autosync.toml"
    path.write_text(JOBS)

    def command_of(*arguments: str, text: str | None = None) -> Result:
        if text is not None:
            path.write_text(text)
        return project.run(*arguments, "--config", str(path))

    setup = project.setup("--config", str(path))
    command.succeeds(setup)
    yield command_of
    # the cluster is shared
    for name in ("daily-report", "another"):
        project.run("jobs", "remove", name, "--yes")


def test_an_edit_is_said_until_setup_applied_it(run: Callable[..., Result], project: Project) -> None:
    for arguments in SPEAKS:
        result = run(*arguments)
        assert NOT_APPLIED not in result.out + result.err, arguments
    with cases.collected() as case:
        for name, (text, said) in EDITS.items():
            with case(name):
                # JSON of status holds it, too: programs read no sentence
                unapplied = command.succeeds(run("status", "--format", "json", text=text)).json()["unapplied"]
                assert len(unapplied) >= 1
                for arguments in (("jobs", "list"), ("status",)):
                    result = command.succeeds(run(*arguments))
                    assert said in result.out + result.err
                    assert "autosync-db setup --config" in result.out + result.err, "with the options of the run"
                found = command.succeeds(run("verify", "--only", "settings_applied", "--format", "json")).json()
                assert found["root_causes"] == ["settings_applied"]
                assert run("plan", "--check").code == 5
    for name in ("show", "preview", "trigger"):
        assert EDITS["schedule"][1] in run("jobs", name, text=EDITS["schedule"][0]).err, name
    command.succeeds(run("setup"))
    assert NOT_APPLIED not in command.succeeds(run("status")).out


def test_a_header_without_a_key_keeps_what_the_database_has(run: Callable[..., Result], project: Project) -> None:
    """As in the file that init writes."""
    command.succeeds(run("setup", text=JOBS + "[limits]\nschedules_per_organization = 7\n[alerts]\nafter = 5\n"))
    headers = "".join(f"[{name}]\n" for name in ("secrets", "isolation", "limits", "alerts", "retention"))
    command.succeeds(run("plan", "--check", text=JOBS + headers))
    command.succeeds(run("setup"))
    with clusters.connect(project.cluster) as owner:
        kept = owner.execute("select name, value from autosync.setting where name in ('alerts', 'limits') order by 1")
        assert kept.fetchall() == [("alerts", {"after": 5}), ("limits", {"schedules_per_organization": 7})]
        owner.execute("delete from autosync.setting where name in ('alerts', 'limits')")


@pytest.mark.long
def test_what_no_file_says_is_no_difference(run: Callable[..., Result], project: Project, tmp_path: Path) -> None:
    kept = command.succeeds(run("setup", text=JOBS + '[retention]\ninvocations = "90 days"\n'))
    assert "changed" in kept.err
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.write_text("")
    for arguments in (("status",), ("jobs", "list"), ("plan", "--check"), ("setup",)):
        result = command.succeeds(project.run(*arguments, "--config", str(elsewhere)))
        assert NOT_APPLIED not in result.out + result.err
    with clusters.connect(project.cluster, "supabase_admin") as admin:
        found = admin.execute("select distinct keep_invocations::text from autosync.job where function is not null")
        assert found.fetchall() == [("90 days",)], "a setup without a file leaves it as it is"
        admin.execute("update autosync.job set keep_invocations = default")
