"""The folder `supabase/` of the Supabase CLI: which projects it names, and how a password completes an address."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from autosync_db.connection.url import parameters
from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from autosync_db.supabase import address, folder, function_settings
from tests.support import keys

OTHER_REF = "qponmlkjihgfedcbazyx"
POOLER_HOST = "aws-0-eu-central-1.pooler.supabase.com"


def linked(ref: str = keys.PROJECT_REF, pooler: str | None = None, config: str = 'project_id = "app"\n') -> Path:
    """Lay the folder out as `supabase link` leaves it, and return it."""
    path = Path("supabase").absolute()
    (path / ".temp").mkdir(parents=True, exist_ok=True)
    (path / "config.toml").write_text(config)
    (path / ".temp/project-ref").write_text(ref)
    if pooler is not None:
        (path / ".temp/pooler-url").write_text(pooler)
    return path


def test_it_is_found_up_the_tree_by_its_settings_or_its_link(tmp_path: Path) -> None:
    inner = tmp_path / "app/web/src"
    inner.mkdir(parents=True)
    assert folder.find(inner) is None
    (tmp_path / "app/web/supabase").mkdir()  # of somebody else, without a file of the CLI
    (tmp_path / "app/supabase").mkdir()
    (tmp_path / "app/supabase/config.toml").touch()
    assert folder.find(inner) == tmp_path / "app/supabase"
    (tmp_path / "app/web/supabase/.temp").mkdir()
    (tmp_path / "app/web/supabase/.temp/project-ref").touch()
    assert folder.find(inner) == tmp_path / "app/web/supabase"


@pytest.mark.parametrize("word", ["plain", "a@b/c#d?e%f g", "ü:[x]"])
@pytest.mark.parametrize("mark", ["", ":[YOUR-PASSWORD]"])
@pytest.mark.parametrize("port", [":5432", ":6543", ""])
def test_a_password_completes_the_session_pooler(word: str, mark: str, port: str) -> None:
    at = linked(pooler=f"postgresql://postgres.{keys.PROJECT_REF}{mark}@{POOLER_HOST}{port}/postgres\n")
    link = folder.link(at)
    assert link is not None
    url = link.database_url(Secret(word))
    parts = urlsplit(url.reveal())
    assert (parts.hostname, parts.port, parts.path) == (POOLER_HOST, 5432, "/postgres")
    assert (parts.username, unquote(parts.password or "")) == (f"postgres.{keys.PROJECT_REF}", word)
    assert parameters(url)["password"] == word
    assert address.ref_of_database(url) == keys.PROJECT_REF


@pytest.mark.parametrize(
    "pooler",
    [
        "",
        f"postgresql://postgres.{OTHER_REF}@{POOLER_HOST}:5432/postgres",
        f"postgresql://postgres.{keys.PROJECT_REF}@{POOLER_HOST}.evil.example:5432/postgres",
        f"postgresql://postgres.{keys.PROJECT_REF}@evil.example/x.pooler.supabase.com:5432/postgres",
        f"postgresql://postgres.{keys.PROJECT_REF}@{POOLER_HOST}:5432/postgres?host=evil.example x",
        "\x00\x01",
    ],
)
def test_a_password_goes_to_no_other_project_and_no_other_host(pooler: str) -> None:
    link = folder.link(linked(pooler=pooler))
    assert link is not None
    assert link.database_url(Secret("word")).reveal() == (
        f"postgresql://postgres:word@db.{keys.PROJECT_REF}.supabase.co:5432/postgres"
    )


def test_what_is_no_link_is_none() -> None:
    for text in ("", "short", "ABCDEFGHIJKLMNOPQRST", "postgres://x"):
        assert folder.link(linked(ref=text)) is None, text


def test_a_hostile_folder_is_an_error_or_no_link_and_never_a_wait() -> None:
    at = linked(ref="../../../../etc/passwd")
    assert folder.link(at) is None
    (at / ".temp/project-ref").write_text(keys.PROJECT_REF + " " * 10_000)
    assert folder.link(at) is None
    (at / ".temp/project-ref").unlink()
    os.mkfifo(at / ".temp/project-ref")
    assert folder.link(at) is None
    (at / "config.toml").write_text(f"a = {'[' * 100_000}")
    with pytest.raises(UsageError, match="nested too deep"):
        folder.values(at)
    with pytest.raises(UsageError, match="nested too deep"):
        function_settings.unverified(at / "config.toml", ["a"])
    (at / "config.toml").unlink()
    os.mkfifo(at / "config.toml")
    with pytest.raises(UsageError, match="is no file"):
        folder.values(at)


def test_the_targets_are_the_linked_project_and_the_remotes() -> None:
    def found(config: str = "", production: str | None = None, ref: str = keys.PROJECT_REF) -> dict[str, str | None]:
        return folder.targets(linked(ref, config=config), production)

    staging = f'[remotes.staging]\nproject_id = "{OTHER_REF}"\n'
    assert folder.targets(None) == {"production": None}
    assert found() == {"production": keys.PROJECT_REF}
    assert found(staging) == {"production": keys.PROJECT_REF, "staging": OTHER_REF}
    # the remote that is called so is production, whatever is linked just now
    assert found(staging.replace("staging", "production")) == {"production": OTHER_REF, "linked": keys.PROJECT_REF}
    assert found(staging, ref=OTHER_REF) == {"production": OTHER_REF}
    assert found(staging, production=OTHER_REF) == {"production": OTHER_REF, "linked": keys.PROJECT_REF}
    # what names no project
    assert found('[remotes.a]\nproject_id = "env(REF)"\n[remotes.b]\n[remotes."c d"]\n') == found()
    with pytest.raises(UsageError, match="not valid TOML"):
        found("[remotes")


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        (f"postgresql://postgres:p@db.{keys.PROJECT_REF}.supabase.co:5432/postgres", keys.PROJECT_REF),
        (f"postgres://postgres.{keys.PROJECT_REF}@{POOLER_HOST}/postgres", keys.PROJECT_REF),
        (f"host=db.{keys.PROJECT_REF}.supabase.co user=postgres", keys.PROJECT_REF),
        (f"host={POOLER_HOST} user=deploy.{keys.PROJECT_REF} password=x", keys.PROJECT_REF),
        ("postgresql://postgres:p@127.0.0.1:54322/postgres", None),
        (f"postgresql://postgres:p@db.{keys.PROJECT_REF}.supabase.company/postgres", None),
        (f"postgresql://postgres:x.{keys.PROJECT_REF}@localhost/postgres", None),
    ],
)
def test_a_databases_address_names_its_project(text: str, ref: str | None) -> None:
    assert address.ref_of_database(Secret(text)) == ref
