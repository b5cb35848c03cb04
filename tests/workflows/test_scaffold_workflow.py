"""`scaffold workflow`: what is written where, and what is never overwritten."""

import json
from pathlib import Path

import pytest

from autosync_db.errors import UsageError
from tests.support import command, keys
from tests.workflows.conftest import WORKFLOW, write


def test_it_writes_once_and_then_finds_nothing_to_do() -> None:
    first = command.succeeds(command.run("scaffold", "workflow", "--format", "json"))
    assert first.json() == {"written": [str(WORKFLOW)], "secrets": ["AUTOSYNC_DATABASE_URL"]}
    second = command.succeeds(command.run("scaffold", "workflow", "--format", "json"))
    assert second.json() == first.json() | {"written": []}
    assert "nothing to do" in second.err


def test_an_edited_file_is_kept_without_force() -> None:
    WORKFLOW.parent.mkdir(parents=True)
    WORKFLOW.write_text("# mine\n")
    result = command.run("scaffold", "workflow")
    assert f"{WORKFLOW} exists and differs" in command.refused(result, 2)
    assert "--path" in result.hints[0]
    assert WORKFLOW.read_text() == "# mine\n"
    command.succeeds(command.run("scaffold", "workflow", "--force"))
    assert "jobs:" in WORKFLOW.read_text()


def test_the_shell_variant_names_itself_and_can_go_elsewhere() -> None:
    Path("autosync.toml").write_text('[targets.eu]\ndatabase_url_env = "EU_DATABASE"\n')
    command.succeeds(command.run("scaffold", "workflow", "--kind", "shell", "--path", "scripts/ci", "--target", "eu"))
    text = Path("scripts/ci").read_text()
    assert "scripts/ci check" in text
    assert "AUTOSYNC_TARGET='eu'" in text


def test_a_name_that_would_break_out_of_its_place_is_refused() -> None:
    for name, value in (
        ("branch", 'x"]\n'),
        ("secret", "database; rm"),
        ("secret", "${{ x }}"),
        ("secret", "GITHUB_DATABASE"),
        ("path", Path("a\nreboot")),
        ("path", Path("a$(reboot)/ci")),
    ):
        with pytest.raises(UsageError):
            write("shell" if name == "path" else "github", **{name: value})
        assert not WORKFLOW.exists(), (name, value)
    for target, variable in (("a'b", "X"), ("${{ x }}", "X"), ("a", "X Y"), ("a", "X}}"), ('a"\nb', "X")):
        Path("autosync.toml").write_text(f"[targets.{json.dumps(target)}]\ndatabase_url_env = {json.dumps(variable)}\n")
        with pytest.raises(UsageError, match="cannot be used in a CI file"):
            write("github")
        assert not WORKFLOW.exists(), (target, variable)


def test_what_ci_would_not_have_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "repository"
    (top / ".git").mkdir(parents=True)
    elsewhere = tmp_path / "autosync.toml"
    elsewhere.write_text('[targets.a]\ndatabase_url_env = "A"\n[targets.b]\ndatabase_url_env = "B"\n')
    monkeypatch.chdir(top)

    def refused(*options: str) -> str:
        found = command.run("scaffold", "workflow", *options)
        return command.refused(found, 2) + " | " + found.hints[0]

    assert "the settings file is outside of the repository repository" in refused()
    (top / "autosync.toml").write_text(elsewhere.read_text())
    assert "pass --target NAME" in refused("--kind", "shell")
    assert "choose one of them with --target NAME" in refused("--secret", "DATABASE")
    assert "a database of this machine" in refused("--target", "supabase")
    assert "a database of this machine" in refused("--target", "local")
    assert "autosync-db init" in refused("--target", "linked")
    assert "known targets: a, b" in refused("--target", "c")
    assert not (top / ".github").exists()


def test_every_target_has_jobs_and_secrets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    (Path("supabase")).mkdir()
    Path("supabase/config.toml").write_text(f'[remotes.preview]\nproject_id = "{keys.PROJECT_REF}"\n')
    Path("autosync.toml").write_text(
        '[targets.production]\ndatabase_url_env = "SUPABASE_DB_URL"\n'
        '[targets."eu.west"]\ndatabase_url = "host=db.example.com user=postgres"\n'
        '[targets.eu_west]\nproject_url = "https://sync.example.com"\n'
    )
    secrets = write("github").accesses
    assert [(one.target, one.variable, one.secret, one.suffix) for one in secrets] == [
        ("production", "SUPABASE_DB_URL", "SUPABASE_DB_URL", "-production"),
        ("eu.west", "PGPASSWORD", "PGPASSWORD_EU_WEST", "-eu_west"),
        ("eu_west", "AUTOSYNC_DATABASE_URL", "AUTOSYNC_DATABASE_URL_EU_WEST_2", "-eu_west_2"),
    ]
    assert len({one.key for one in secrets}) == 3
    # the environment chooses as a flag does; a project that supabase/config.toml names is a target, too
    monkeypatch.setenv("AUTOSYNC_TARGET", "production")
    shown = command.run("scaffold", "workflow", "--force", variables={"AUTOSYNC_TARGET": "production"})
    assert "SUPABASE_DB_URL: the database's address of the target production" in shown.err
    assert "PGPASSWORD" not in shown.err
    [only] = write("github", target="preview", force=True).accesses
    assert (only.variable, only.secret, only.suffix) == ("AUTOSYNC_DATABASE_URL", "AUTOSYNC_DATABASE_URL_PREVIEW", "")


def test_a_key_is_asked_for_and_a_tick_waited_for_where_the_jobs_have_one() -> None:
    for settings, key, wait in (
        ('[jobs.a]\nfunction = "a"\nschedule = "*/5 * * * *"\n', True, "10m"),
        ('[jobs.a]\nfunction = "a"\nschedule = "*/20 * * * *"\n', True, "25m"),
        ('[jobs.a]\nfunction = "a"\nschedule = "0 6 * * *"\nauth = "cron_secret"\n', False, None),
        ('[jobs.a]\nsql = "select 1"\nschedule = "30 seconds"\n', False, "10m"),
        ('[jobs.a]\nsql = "select 1"\nschedule = "* * * * *"\nenabled = false\n', False, None),
        ("[jobs.a]\nwatch = true\n", False, None),
    ):
        Path("autosync.toml").write_text(settings)
        write("github", force=True)
        text = WORKFLOW.read_text()
        assert ("SUPABASE_SERVICE_ROLE_KEY" in text) == key, settings
        assert ("--wait" in text) == (wait is not None), settings
        assert wait is None or f"&& '{wait}'" in text, settings
