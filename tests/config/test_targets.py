"""Which target is meant where none is named, and what `supabase link` adds to it."""

from pathlib import Path

import pytest

from autosync_db import config
from autosync_db.config import Flags, Target
from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from tests.supabase.test_folder import OTHER_REF, POOLER_HOST, linked
from tests.support import keys

REF = keys.PROJECT_REF
POOLER = f"postgresql://postgres.{REF}@{POOLER_HOST}:5432/postgres"
COMPLETED = Secret(POOLER.replace("@", ":word@"))
DIRECT = Secret(f"postgresql://postgres:word@db.{REF}.supabase.co:5432/postgres")
ELSEWHERE = Secret("postgresql://postgres@localhost:1/postgres")
ONE = f"[targets.production]\nproject_ref = '{REF}'\ndatabase_url_env = 'PRODUCTION_DB'\n"


def _file(text: str) -> None:
    Path("autosync.toml").write_text(text)


def _load(database_url: Secret | None = None, target: str | None = None) -> Target:
    return config.load(Flags(database_url, target)).target


def _refusal(target: str | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        _ = _load(target=target).database_url
    return caught.value


class TestOnly:
    def test_the_only_target_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _file(ONE)
        monkeypatch.setenv("PRODUCTION_DB", DIRECT.reveal())
        found = _load()
        assert (found.name, found.project_ref, found.database_url) == ("production", REF, DIRECT)
        # general variables name some database; the target says which
        monkeypatch.setenv("DATABASE_URL", ELSEWHERE.reveal())
        assert _load() == found
        _file(ONE + "[targets.staging]\n")
        assert (_load().name, _load().database_url) == ("default", ELSEWHERE)

    def test_not_for_another_database_than_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _file(ONE)
        monkeypatch.setenv("PRODUCTION_DB", DIRECT.reveal())
        assert _load(ELSEWHERE) == Target("default", ELSEWHERE, None, None)
        monkeypatch.setenv("AUTOSYNC_DATABASE_URL", ELSEWHERE.reveal())
        assert _load() == Target("default", ELSEWHERE, None, None)
        monkeypatch.setenv("AUTOSYNC_DATABASE_URL", DIRECT.reveal())
        assert _load().name == "production"
        # the same project by another address, whatever the target's variable holds
        monkeypatch.setenv("AUTOSYNC_DATABASE_URL", COMPLETED.reveal())
        monkeypatch.delenv("PRODUCTION_DB")
        assert (_load().name, _load().database_url) == ("production", COMPLETED)
        monkeypatch.delenv("AUTOSYNC_DATABASE_URL")
        monkeypatch.setenv("DATABASE_URL", ELSEWHERE.reveal())
        assert _load() == Target("default", ELSEWHERE, None, None)

    def test_a_variable_that_is_not_set_hinders_no_command_that_needs_no_database(self) -> None:
        _file(ONE)
        assert (_load().name, _load().project_ref) == ("production", REF)
        assert "PRODUCTION_DB, which is not set" in _refusal().message

    def test_one_that_says_nothing_of_its_database_leaves_it_to_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _file(f"[targets.production]\nproject_ref = '{REF}'\n")
        monkeypatch.setenv("DATABASE_URL", ELSEWHERE.reveal())
        assert (_load().name, _load().database_url) == ("production", ELSEWHERE)
        monkeypatch.setenv("DATABASE_URL", DIRECT.reveal().replace(REF, OTHER_REF))
        assert _load().name == "default", "that is the database of another project"


class TestLinked:
    def test_a_password_completes_the_address_of_the_linked_project(self, monkeypatch: pytest.MonkeyPatch) -> None:
        linked(pooler=POOLER)
        monkeypatch.setenv("SUPABASE_DB_PASSWORD", "word")
        assert _load() == Target("linked", COMPLETED, f"https://{REF}.supabase.co", None)
        _file(ONE)
        for named in (None, "production"):
            assert (_load(target=named).name, _load(target=named).database_url) == ("production", COMPLETED)
        monkeypatch.setenv("PRODUCTION_DB", DIRECT.reveal())
        assert _load().database_url == DIRECT, "the target's own variable wins"

    def test_it_completes_no_other_projects_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        linked(OTHER_REF, config=f"[remotes.staging]\nproject_id = '{REF}'\n")
        monkeypatch.setenv("SUPABASE_DB_PASSWORD", "word")
        _file(ONE)
        assert "PRODUCTION_DB, which is not set" in _refusal("production").message
        refusal = _refusal("staging")
        assert REF in refusal.message
        assert "[targets.staging]" in refusal.hint

    def test_without_a_link_it_completes_that_of_the_target(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _file(ONE)
        monkeypatch.setenv("SUPABASE_DB_PASSWORD", "word")
        assert (_load().name, _load().database_url) == ("production", DIRECT)

    def test_without_a_password_the_error_names_the_variable(self) -> None:
        linked(pooler=POOLER)
        refusal = _refusal()
        assert REF in refusal.message
        assert "SUPABASE_DB_PASSWORD" in refusal.hint
        _file(ONE)
        assert "SUPABASE_DB_PASSWORD" in _refusal().hint

    def test_another_database_is_not_that_of_the_linked_project(self, monkeypatch: pytest.MonkeyPatch) -> None:
        linked(pooler=POOLER)
        monkeypatch.setenv("SUPABASE_DB_PASSWORD", "word")
        assert _load(ELSEWHERE) == Target("default", ELSEWHERE, None, None)
        monkeypatch.setenv("SUPABASE_DB_URL", ELSEWHERE.reveal())
        assert _load() == Target("default", ELSEWHERE, None, None)
        monkeypatch.setenv("SUPABASE_DB_URL", DIRECT.reveal())
        assert (_load().name, _load().database_url) == ("linked", DIRECT)

    def test_a_remote_is_a_target(self, monkeypatch: pytest.MonkeyPatch) -> None:
        linked(config=f"[remotes.staging]\nproject_id = '{OTHER_REF}'\n")
        with pytest.raises(UsageError, match="no target 'stage'") as caught:
            _load(target="stage")
        assert caught.value.hint == "known targets: linked, staging"
        its = Secret(DIRECT.reveal().replace(REF, OTHER_REF))
        assert _load(its, "staging") == Target("staging", its, f"https://{OTHER_REF}.supabase.co", None)
        monkeypatch.setenv("DATABASE_URL", ELSEWHERE.reveal())
        assert "not known" in _refusal("staging").message, "some database in the environment is not its own"
        monkeypatch.setenv("DATABASE_URL", its.reveal())
        assert _load(target="staging").database_url == its
