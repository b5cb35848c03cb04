"""Where settings come from, and which wins."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from autosync_db import config
from autosync_db.config import Flags
from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from tests.support import keys


def _file(text: str, path: str = "autosync.toml") -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def test_without_anything_the_defaults_are_those_of_the_contract() -> None:
    settings = config.load().settings
    assert (settings.main.name, settings.main.function) == ("auto-sync-cron-job", "auto-sync-cron")
    assert (settings.main.schedule, settings.main.invoke) == ("*/5 * * * *", "always")
    assert settings.main.timeout == timedelta(seconds=30)
    assert list(settings.jobs.values()) == [settings.main]
    assert (settings.main.auth, settings.main.drains) == ("service_key", "auto_sync_schedules")
    assert (settings.secrets.store, settings.isolation.mode) == ("table", "none")
    assert not settings.names_jobs
    assert settings.retention.invocations == timedelta(days=30)
    assert settings.retention.job_run_details == timedelta(days=7)


def test_the_environment_wins_over_the_file_key_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    _file("[job]\nschedule = '1 * * * *'\nname = 'from-file'\n")
    monkeypatch.setenv("AUTOSYNC_JOB__SCHEDULE", "2 * * * *")
    job = config.load().settings.main
    assert (job.schedule, job.name) == ("2 * * * *", "from-file")


def test_every_setting_can_be_given_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOSYNC_JOB__TIMEOUT", "1m")
    monkeypatch.setenv("AUTOSYNC_JOB__BATCH_SIZE", "7")
    monkeypatch.setenv("AUTOSYNC_RETENTION__INVOCATIONS", "2 weeks")
    settings = config.load().settings
    assert (settings.main.timeout, settings.main.batch_size) == (timedelta(minutes=1), 7)
    assert settings.retention.invocations == timedelta(weeks=2)


def test_the_nearest_file_up_the_tree_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = _file("[job]\nname = 'outer'\n")
    inner = _file("[job]\nname = 'inner'\n", "a/autosync.toml")
    Path("a/b/c").mkdir(parents=True)
    Path("d").mkdir()
    start = Path.cwd()
    for folder, name, source in (("a/b/c", "inner", inner), ("d", "outer", outer)):
        monkeypatch.chdir(start / folder)
        found = config.load()
        assert (found.settings.main.name, found.source) == (name, start / source)


def test_the_flag_wins_over_the_variable_and_both_over_the_nearest_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _file("[job]\nname = 'nearest'\n")
    by_variable, by_flag = (
        _file("[job]\nname = 'variable'\n", "v.toml"),
        _file("[job]\nname = 'flag'\n", "f.toml"),
    )
    monkeypatch.setenv("AUTOSYNC_CONFIG", str(by_variable))
    assert config.load().settings.main.name == "variable"
    assert config.load(Flags(config=by_flag)).settings.main.name == "flag"


class TestDatabase:
    def test_the_first_variable_that_is_set_names_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert config.load().target.database_url is None
        for name in ("DATABASE_URL", "SUPABASE_DB_URL", "AUTOSYNC_DATABASE_URL"):
            monkeypatch.setenv(name, f"postgresql://{name.lower()}/db")
            assert config.load().target.database_url == Secret(f"postgresql://{name.lower()}/db")

    def test_an_empty_variable_counts_as_unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUTOSYNC_DATABASE_URL", "")
        monkeypatch.setenv("DATABASE_URL", "host=here")
        assert config.load().target.database_url == Secret("host=here")

    def test_the_flag_wins_then_the_target_then_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _file("[targets.a]\ndatabase_url = 'host=target'\n[targets.b]\ndatabase_url_env = 'B'\n[targets.c]\n")
        monkeypatch.setenv("DATABASE_URL", "host=environment")
        monkeypatch.setenv("B", "host=b")
        assert config.load(Flags(target="a", database_url=Secret("host=flag"))).target.database_url == Secret(
            "host=flag"
        )
        assert config.load(Flags(target="a")).target.database_url == Secret("host=target")
        assert config.load(Flags(target="b")).target.database_url == Secret("host=b")
        assert config.load(Flags(target="c")).target.database_url == Secret("host=environment")

    def test_the_flag_needs_no_variable_of_the_target(self) -> None:
        _file("[targets.b]\ndatabase_url_env = 'B'\n")
        assert config.load(Flags(target="b", database_url=Secret("host=flag"))).target.database_url == Secret(
            "host=flag"
        )


class TestTarget:
    def test_flag_and_variable_choose_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _file(
            f"[targets.production]\nproject_ref = '{keys.PROJECT_REF}'\n[targets.staging]\nproject_url = 'http://localhost:1'\n"
        )
        assert config.load().target.name == "default"
        monkeypatch.setenv("AUTOSYNC_TARGET", "staging")
        staging = config.load().target
        assert (staging.name, staging.project_url, staging.project_ref) == (
            "staging",
            "http://localhost:1",
            None,
        )
        production = config.load(Flags(target="production")).target
        assert production.project_url == f"https://{keys.PROJECT_REF}.supabase.co"
        assert production.project_ref == keys.PROJECT_REF

    def test_an_unknown_one_is_refused(self) -> None:
        _file("[targets.production]\n")
        with pytest.raises(UsageError, match="no target 'prod'") as caught:
            config.load(Flags(target="prod"))
        assert "production" in caught.value.hint

    def test_the_local_one_is_known_where_the_stack_was_started(self) -> None:
        Path(".autosync").mkdir()
        Path(".autosync/target.json").write_text(
            '{"project_url": "http://127.0.0.1:5", "database_url": "host=127.0.0.1"}'
        )
        assert config.load(Flags(target="local")).target.project_url == "http://127.0.0.1:5"

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"surprise": 1}'])
    def test_a_broken_local_one_is_a_usage_error(self, text: str) -> None:
        Path(".autosync").mkdir()
        Path(".autosync/target.json").write_text(text)
        with pytest.raises(UsageError):
            config.load(Flags(target="local"))


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "where"),
        [
            ("[job]\nnonsense = 1\n", "job.nonsense: is not a setting"),
            ("[job]\nmax_requests = 101\n", "job.max_requests"),
            ("[job]\ntimeout = '500ms'\n", "job.timeout"),
            ("[job]\ntimeout = 30\n", None),
            ("[job]\ntimeout = true\n", "job.timeout"),
            ("[job]\nschedule = 5\n", "job.schedule"),
            ("[isolation]\nmode = 'everybody'\n", "isolation.mode"),
            ("[retention]\ninvocations = '0 days'\n", "retention.invocations"),
            ("[retention]\ninvocations = -5\n", "retention.invocations"),
        ],
    )
    def test_the_message_names_the_setting_and_the_file(self, text: str, where: str | None) -> None:
        path = _file(text)
        if where is None:  # a bare number is seconds
            assert config.load().settings.main.timeout == timedelta(seconds=30)
            return
        with pytest.raises(UsageError) as caught:
            config.load()
        assert where in caught.value.message
        assert str(path) in caught.value.message
        assert "\n" not in caught.value.message

    def test_a_wrong_variable_is_not_blamed_on_the_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _file("[job]\nname = 'fine'\n")
        monkeypatch.setenv("AUTOSYNC_JOB__BATCH_SIZE", "many")
        with pytest.raises(UsageError) as caught:
            config.load()
        assert "batch_size" in caught.value.message
        assert "autosync.toml" not in caught.value.message

    @pytest.mark.parametrize(
        "line",
        [
            "x = 'see https://host.example/path'",
            "x = 'postgresql://user@host/db'",
            "x = 'host=h user=u'",
            "x = 'sb_secret_'",
        ],
    )
    def test_a_harmless_text_is_not_taken_for_a_secret(self, line: str) -> None:
        _file(f"[job]\n{line}\n")
        with pytest.raises(UsageError, match="is not a setting"):
            config.load()

    @pytest.mark.parametrize("form", ["'{}'", "['{}']", "[[['{}']]]", "{{ a = {{ b = '{}' }} }}", "'''\n\n{}\n'''"])
    def test_a_secret_is_found_however_deep_it_lies(self, form: str) -> None:
        for key in (keys.legacy(), keys.secret()):
            _file(f"deep = {form.format(key.reveal())}\n")
            with pytest.raises(UsageError, match=r"deep.* holds a secret") as caught:
                config.load()
            assert key.reveal() not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("variable", ["AUTOSYNC_JOB", "AUTOSYNC_TARGETS"])
def test_a_variable_that_is_no_json_is_a_usage_error_that_does_not_quote_it(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = keys.secret().reveal()
    monkeypatch.setenv(variable, canary)
    with pytest.raises(UsageError) as caught:
        config.load()
    assert variable.removeprefix("AUTOSYNC_").lower() in caught.value.message
    assert canary not in caught.value.message + caught.value.hint


def test_an_empty_variable_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "")
    assert config.environment_secret("SUPABASE_SERVICE_ROLE_KEY") is None
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "x")
    assert config.environment_secret("SUPABASE_SERVICE_ROLE_KEY") == Secret("x")


def test_a_url_in_place_of_a_name_is_not_quoted() -> None:
    url = "postgresql://postgres:word/word@localhost/postgres"
    _file(f"[targets.a]\ndatabase_url = '{url}'\n")
    with pytest.raises(UsageError, match="holds a secret"):
        config.load()
    _file("[targets.a]\ndatabase_url_env = 'word/word@localhost'\n")
    for target, message in ((url, "no target of that name"), ("a", "what is no name of a variable")):
        with pytest.raises(UsageError, match=message) as caught:
            config.load(Flags(target=target))
        assert "word" not in caught.value.message + caught.value.hint


def test_git_ignores_the_local_folder_and_what_is_in_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    folder = tmp_path / "app" / config.LOCAL_FOLDER
    config.make_local_folder(folder)
    (folder / "keys.json").write_text("{}")
    config.make_local_folder(folder)  # as each start of the stack does
    status = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert status.stdout == ""


def test_a_local_folder_that_was_there_before_becomes_its_owners_alone(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    folder = tmp_path / config.LOCAL_FOLDER
    folder.mkdir(mode=0o755)
    for name, text in ((".gitignore", "*.json\n!notes.txt\n"), ("service_role_key", "x"), ("notes.txt", "mine")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    elsewhere.chmod(0o644)
    (folder / "link").symlink_to(elsewhere)
    for _ in range(2):
        config.make_local_folder(folder)
        assert (folder / ".gitignore").read_text() == "*\n*.json\n!notes.txt\n", "the user's lines stay"
    added = subprocess.run(
        ["git", "-C", str(tmp_path), "add", "--all", "--dry-run"], capture_output=True, text=True, check=True
    ).stdout
    assert "service_role_key" not in added
    assert "notes.txt" in added
    assert (folder / "service_role_key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o066 == 0
    assert elsewhere.stat().st_mode & 0o777 == 0o644, "a link is not followed"
