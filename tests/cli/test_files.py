"""`init` and `scaffold function`: files for the user's own repository."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from autosync_db import resources
from autosync_db.cli.console import Session
from tests.supabase.test_folder import OTHER_REF, linked
from tests.support import command, keys, tools


def _tree(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (path.read_text(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_where_nothing_can_be_written_the_file_that_is_meant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = command.refused(command.run("init", "--path", "/proc/autosync.toml"), 2)
    assert "cannot write /proc/autosync.toml: " in refused
    monkeypatch.chdir("/proc")
    assert "cannot write /proc/.autosync: " in command.refused(command.run("local", "up"), 2)


class TestInit:
    def test_writes_every_setting_at_its_default(self) -> None:
        command.succeeds(command.run("init", "--project-ref", keys.PROJECT_REF))
        written = tomllib.loads(Path("autosync.toml").read_text())
        assert written["targets"]["production"]["project_ref"] == keys.PROJECT_REF
        from autosync_db import config

        defaults = config.Settings().model_dump(exclude={"targets"})
        settings = config.load().settings.model_dump(exclude={"targets"})
        assert settings == defaults
        # the short form of the guide's job would name it twice
        assert set(written) - {"targets"} == set(defaults) - {"job", "function"}, "every table is there to be filled in"
        assert list(written["jobs"]) == [config.GUIDE_JOB]
        for table in ("secrets", "retention"):
            assert set(written[table]) == set(defaults[table])

    def test_the_file_is_accepted_by_the_other_commands(self) -> None:
        command.succeeds(command.run("init"))
        result = command.run("migrate", "--target", "production")
        assert "SUPABASE_DB_URL" in command.refused(result, 2)

    def test_never_overwrites_without_force(self) -> None:
        Path("autosync.toml").write_text("# mine\n")
        result = command.run("init")
        assert "autosync.toml" in command.refused(result, 2)
        assert "--force" in result.hints[0]
        assert Path("autosync.toml").read_text() == "# mine\n"
        command.succeeds(command.run("init", "--force"))
        assert "[jobs." in Path("autosync.toml").read_text()

    def test_a_file_above_that_it_hides_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        above = Path("autosync.toml").absolute()
        assert "is not read" not in command.succeeds(command.run("init")).err
        Path("app").mkdir()
        monkeypatch.chdir("app")
        assert f"warning: {above} is not read in this folder any more" in command.succeeds(command.run("init")).err

    def test_writes_to_the_given_path(self) -> None:
        command.succeeds(command.run("init", "--path", "deep/folder/settings.toml"))
        assert Path("deep/folder/settings.toml").is_file()
        made = command.succeeds(command.run("init", "--path", "deep/a b.toml"))
        assert "autosync-db setup --project-ref REF --config 'deep/a b.toml'" in made.err
        [hint] = command.run("init", "--path", "deep/a b.toml").hints
        assert hint.endswith("autosync-db setup --config 'deep/a b.toml'")

    def test_refuses_a_ref_that_is_none_and_writes_nothing(self) -> None:
        for ref in ("short", "ABCDEFGHIJKLMNOPQRST", '"\n[evil]'):
            command.refused(command.run("init", "--project-ref", ref), 2)
            assert not Path("autosync.toml").exists(), ref

    def test_the_targets_are_those_of_the_supabase_folder(self) -> None:
        at = linked(pooler="", config=f'[remotes.staging]\nproject_id = "{OTHER_REF}"\n')
        result = command.succeeds(command.run("init"))
        targets = tomllib.loads(Path("autosync.toml").read_text())["targets"]
        assert targets == {
            "production": {"project_ref": keys.PROJECT_REF, "database_url_env": "SUPABASE_DB_URL"},
            "staging": {"project_ref": OTHER_REF, "database_url_env": "SUPABASE_DB_URL_STAGING"},
        }
        assert f"target staging is the project {OTHER_REF}, from {at}" in result.err
        assert "SUPABASE_DB_PASSWORD" in result.err
        assert "autosync-db setup --target production" in result.err
        # what the user says comes first
        command.succeeds(command.run("init", "--force", "--project-ref", OTHER_REF))
        targets = tomllib.loads(Path("autosync.toml").read_text())["targets"]
        assert [target["project_ref"] for target in targets.values()] == [OTHER_REF, keys.PROJECT_REF]

    def test_a_folder_that_cannot_be_written_is_an_error_with_a_hint(self) -> None:
        Path("taken").write_text("a file")
        message = command.refused(command.run("init", "--path", "taken/autosync.toml"), 2)
        assert "taken" in message


class TestScaffoldFunction:
    def test_writes_the_shipped_files(self) -> None:
        command.succeeds(command.run("scaffold", "function"))
        written = _tree(Path("supabase/functions"))
        assert {"auto-sync-cron/index.ts", "device-sync/index.ts"} <= set(written)
        for name, (text, _) in written.items():
            assert text == resources.read(f"templates/functions/{name}")

    def test_a_project_without_settings_gets_some_that_the_cli_reads(self) -> None:
        result = command.succeeds(command.run("scaffold", "function", "--format", "json"))
        assert "supabase/config.toml" in result.json()["written"]
        assert not Path("supabase/functions/config.toml").exists(), "there is nothing to copy from"
        assert "supabase functions deploy auto-sync-cron device-sync" in result.err
        settings = tomllib.loads(Path("supabase/config.toml").read_text())
        assert settings["functions"] == {name: {"verify_jwt": False} for name in ("auto-sync-cron", "device-sync")}
        # it looks at the settings first, and then for a server
        listed = subprocess.run(
            [tools.supabase(), "migration", "list", "--db-url", "postgresql://postgres:x@127.0.0.1:1/postgres"],
            capture_output=True,
            text=True,
        )
        assert "failed to connect" in listed.stderr
        assert "config" not in listed.stderr

    def test_settings_that_are_there_are_changed_with_consent_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        path = Path("supabase/config.toml")
        path.parent.mkdir()
        mine = '# mine\nproject_id = "app"\n\n[functions.auto-sync-cron]\nverify_jwt = true # so far\n'
        path.write_text(mine)
        path.chmod(0o640)
        result = command.run("scaffold", "function")
        assert "confirmation is needed" in command.refused(result, 2)
        assert result.hints == ["pass --yes"]
        assert "-verify_jwt = true # so far\n+verify_jwt = false # so far" in result.err
        assert path.read_text() == mine
        assert not Path("supabase/functions").exists()
        # a terminal is asked; without consent the functions come, and the lines are left to the reader
        with monkeypatch.context() as patch:
            patch.setattr(Session, "can_ask", True)
            patch.setattr(Session, "agrees", lambda *_: False)
            declined = command.succeeds(command.run("scaffold", "function"))
        assert path.read_text() == mine
        assert Path("supabase/functions/auto-sync-cron/index.ts").exists()
        assert "add to supabase/config.toml, or deploy with --no-verify-jwt:\n[functions.auto-sy" in declined.err
        agreed = command.succeeds(command.run("scaffold", "function", "--yes", "--format", "json"))
        assert agreed.json() == {"written": ["supabase/config.toml"]}
        assert path.read_text().startswith(mine.replace("true # so far", "false # so far"))
        assert path.stat().st_mode & 0o777 == 0o640
        assert "nothing to do" in command.succeeds(command.run("scaffold", "function")).err

    def test_elsewhere_the_entries_are_left_to_the_reader(self) -> None:
        result = command.succeeds(command.run("scaffold", "function", "--dir", "elsewhere"))
        assert Path("elsewhere/config.toml").exists()
        assert "--no-verify-jwt:\n[functions.auto-sync-cron]\nverify_jwt = false" in result.err

    def test_settings_that_cannot_be_changed_are_an_error_and_nothing_is_written(self) -> None:
        Path("supabase").mkdir()
        Path("supabase/config.toml").write_text("[functions\n")
        assert "not valid TOML" in command.refused(command.run("scaffold", "function", "--yes"), 2)
        assert not Path("supabase/functions").exists()

    def test_a_plain_one_says_what_to_write_and_where(self) -> None:
        result = command.succeeds(command.run("scaffold", "function", "--plain", "daily-report", "--format", "json"))
        assert "supabase/functions/daily-report/index.ts" in result.json()["written"]
        settings = tomllib.loads(Path("supabase/config.toml").read_text())
        assert settings["functions"] == {"daily-report": {"verify_jwt": False}}
        lines = [line.strip() for line in result.err.splitlines()]
        at = lines.index("[jobs.daily-report]")
        assert lines[at + 1 : at + 3] == ['function = "daily-report"', 'schedule = "0 6 * * *"']
        assert command.run("scaffold", "function", "--plain", "daily report").code == 2

    def test_a_second_run_touches_nothing(self) -> None:
        command.succeeds(command.run("scaffold", "function"))
        before = _tree(Path())
        second = command.succeeds(command.run("scaffold", "function", "--format", "json"))
        assert second.json() == {"written": []}
        assert "nothing to do" in second.err
        assert _tree(Path()) == before

    def test_an_edited_file_is_kept_and_a_missing_one_is_not_written_beside_it(self) -> None:
        command.succeeds(command.run("scaffold", "function"))
        edited = Path("supabase/functions/device-sync/index.ts")
        edited.write_text("// mine\n")
        Path("supabase/functions/auto-sync-cron/index.ts").unlink()
        before = _tree(Path())
        result = command.run("scaffold", "function")
        assert "device-sync/index.ts exists and differs" in command.refused(result, 2)
        assert "--force" in result.hints[0]
        assert _tree(Path()) == before
        forced = command.succeeds(command.run("scaffold", "function", "--force", "--format", "json"))
        assert len(forced.json()["written"]) == 2
        assert edited.read_text() == resources.read("templates/functions/device-sync/index.ts")

    def test_a_binary_file_in_the_way_is_kept(self) -> None:
        taken = Path("elsewhere/device-sync/index.ts")
        taken.parent.mkdir(parents=True)
        taken.write_bytes(b"\xff\xfe\x00")
        command.refused(command.run("scaffold", "function", "--dir", "elsewhere"), 2)
        assert taken.read_bytes() == b"\xff\xfe\x00"

    def test_a_file_in_the_place_of_a_folder_is_an_error_with_a_hint(self) -> None:
        Path("taken").write_text("a file")
        message = command.refused(command.run("scaffold", "function", "--dir", "taken"), 2)
        assert "taken" in message
