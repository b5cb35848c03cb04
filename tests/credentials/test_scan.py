"""Keys in files are found, public ones and what only looks like one are not, and none is ever shown."""

import errno
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from autosync_db import config
from autosync_db.credentials import scan as secret_scan
from autosync_db.credentials.scan import Scan
from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from autosync_db.supabase import key as credential
from autosync_db.supabase.judge import Kind
from tests.support import command, keys

REF = keys.PROJECT_REF


def _scan(*places: Path, **options: bool) -> Scan:
    return secret_scan.scan(places, **options)


def _write(folder: Path, text: str | bytes, name: str = "0001_job.sql") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _pieces(key: str, count: int = 4) -> list[str]:
    size = -(-len(key) // count)
    return [key[at : at + size] for at in range(0, len(key), size)]


FORMS: dict[str, Callable[[str], str]] = {
    "alone": lambda key: key,
    "in a header": lambda key: f"""headers := '{{"Authorization": "Bearer {key}"}}'::jsonb""",
    "in a variable": lambda key: f"SUPABASE_SERVICE_ROLE_KEY={key}\nOTHER=1",
    "after an escaped line break": lambda key: f'"key:\\n{key}\\n"',
    "at the end of a sentence": lambda key: f"the key is {key}. Do not lose it",
    "before a dot": lambda key: f"('{key}'.length, {key}.slice(1))",
    "in a line that is no UTF-8": lambda key: f"{key} caf\xe9",
}


@pytest.mark.parametrize("kind", [Kind.LEGACY, Kind.SECRET])
def test_a_key_is_found_in_every_form(kind: Kind, tmp_path: Path) -> None:
    for form, write in FORMS.items():
        for _ in range(5):  # keys are random
            key = keys.legacy(ref=REF) if kind is Kind.LEGACY else keys.secret()
            _write(tmp_path, f"-- one\n-- two\n{write(key.reveal())}\n".encode("latin-1"))
            [found] = _scan(tmp_path).findings
            assert (found.kind, found.fingerprint, found.line) == (kind, credential.fingerprint(key), 3), form
            assert found.project_ref == (REF if kind is Kind.LEGACY else None)


def test_each_key_is_reported_where_it_stands_and_once_a_line(tmp_path: Path) -> None:
    one, other = keys.legacy(), keys.secret()
    _write(tmp_path, f"{one.reveal()}\n\n{other.reveal()} {other.reveal()}\n{one.reveal()}")
    assert [(found.line, found.fingerprint) for found in _scan(tmp_path).findings] == [
        (1, credential.fingerprint(one)), (3, credential.fingerprint(other)), (4, credential.fingerprint(one)),
    ]  # fmt: skip


def test_a_token_of_an_account_is_found(tmp_path: Path) -> None:
    _write(tmp_path, "sbp_" + os.urandom(20).hex())
    assert [found.kind for found in _scan(tmp_path).findings] == [Kind.ACCESS_TOKEN]


def _sample() -> str:
    claims = {"iss": "supabase-demo", "role": "service_role", "exp": 1983812996}
    return jwt.encode(claims, keys.SAMPLE_SIGNING_SECRET, algorithm="HS256")


PUBLIC = {
    Kind.ANON: keys.legacy("anon", ref=REF).reveal(),
    Kind.PUBLISHABLE: "sb_publishable_" + os.urandom(15).hex(),
    Kind.SAMPLE: _sample(),
}


def test_a_public_key_is_reported_only_when_asked_for(tmp_path: Path) -> None:
    for kind, key in PUBLIC.items():
        _write(tmp_path, f"key = '{key}'")
        assert _scan(tmp_path).findings == (), kind
        assert [found.kind for found in _scan(tmp_path, include_public=True).findings] == [kind]


def test_a_sample_by_its_claims_alone_is_a_secret(tmp_path: Path) -> None:
    claims = jwt.decode(_sample(), options={"verify_signature": False, "verify_exp": False})
    _write(tmp_path, jwt.encode(claims, os.urandom(32).hex(), algorithm="HS256"))
    assert [found.kind for found in _scan(tmp_path).findings] == [Kind.LEGACY]


LOOK_ALIKES = {
    "a user's token": keys.legacy("authenticated").reveal(),
    "a token without a role": jwt.encode({"sub": "somebody"}, "k" * 32, algorithm="HS256"),
    "a key without its signature": keys.legacy().reveal().rpartition(".")[0],
    "a key that was cut off": keys.legacy().reveal()[:-20],
    "an abbreviated key": keys.legacy().reveal()[:60] + "...",
    "a placeholder": "sb_secret_" + "your_secret_key_of_the_project",
    "crosses": "sb_secret_" + "x" * 31,
    "a prefix in a list": 'startswith(("sb_secret_' + 'one", "SB_PUBLISHABLE_and_something_2_long"))',
    "a source map": "sourceMappingURL=data:application/json;base64," + "eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpb" * 2000,
}


def test_what_only_looks_like_a_key_is_not_reported(tmp_path: Path) -> None:
    for name, text in LOOK_ALIKES.items():
        _write(tmp_path, text + "\n")
        assert _scan(tmp_path, include_public=True).findings == (), name


def test_a_password_that_a_variable_is_set_to_is_found_and_what_stands_for_one_is_not(tmp_path: Path) -> None:
    real = "Tr1stan" + os.urandom(6).hex()
    set_to = (
        f"SUPABASE_DB_PASSWORD={real}", f"export PGPASSWORD='{real}'", f'      POSTGRES_PASSWORD: "{real}"',
        f"          PGPASSWORD: {real}", f'{{"STAGING_DB_PASSWORD": "{real}"}}', f"PGPASSWORD={real} psql -h db.host",
        f"docker run -e POSTGRES_PASSWORD={real} postgres:17", f"DATABASE_PASS = {real}  # of production",
        f"PGPASSWORD='a phrase of {real}'", f"{'SUPABASE_DB_PASSWORD'}=p&{real};",
    )  # fmt: skip
    for text in set_to:
        _write(tmp_path, text + "\n", ".env.production")
        [found] = _scan(tmp_path).findings
        assert (found.kind, found.line) == (Kind.DATABASE_PASSWORD, 1), text
        if text.endswith("=" + real):
            assert found.fingerprint == credential.fingerprint(Secret(real))
    stands_for = (
        "SUPABASE_DB_PASSWORD=", "SUPABASE_DB_PASSWORD: ${{ secrets.SUPABASE_DB_PASSWORD_2 }}", "PGPASSWORD=$DB_PASS_1",
        "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:-postgres}", 'PGPASSWORD="$(op read op://prod/db/password1)"',
        "POSTGRES_PASSWORD: postgres", "POSTGRES_PASSWORD=your-super-secret-and-long-postgres-password",
        "SUPABASE_DB_PASSWORD=<password of the database 1>", "SUPABASE_DB_PASSWORD=[YOUR-PASSWORD-2]", "PGPASSWORD=***",
        "DB_PASSWORD: process.env.DB_PASSWORD_1", 'PGPASSWORD = os.environ["PGPASSWORD_OF_1"]', "PGPASSWORD=changeme12",
        "POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password_1", "DB_PASSWORD=op://production/database/password1",
        "POSTGRES_PASSWORD: !secret_of_postgres_1", "db_password=Tr1stan0123456", "MIN_PASSWORD_LENGTH=12345678",
    )  # fmt: skip
    for text in stands_for:
        _write(tmp_path, text + "\n", ".env.production")
        assert _scan(tmp_path).findings == (), text


def test_binary_files_and_folders_of_others_are_left_out(tmp_path: Path) -> None:
    key = keys.legacy().reveal()
    for folder in secret_scan.SKIPPED_FOLDERS:
        _write(tmp_path, key, f"deep/{folder}/file.txt")
    _write(tmp_path, b"PK\0\0" + key.encode(), "archive.bin")
    _write(tmp_path, "nothing", "file.txt")
    (tmp_path / "link").symlink_to(_write(tmp_path.parent, key, "outside.txt"))
    assert _scan(tmp_path) == Scan((), 1, ())


class TestInARepository:
    """What git ignores is left out, unless it is named."""

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        """A repository with a key in a tracked, an untracked and two ignored files."""
        subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
        _write(tmp_path, ".env\nbuild/\n", ".gitignore")
        for name in ("tracked.sql", "untracked.sql", "sub/.env", "build/out.js"):
            _write(tmp_path, keys.legacy().reveal(), name)
        subprocess.run(["git", "-C", str(tmp_path), "add", "tracked.sql"], check=True)
        return tmp_path

    def _names(self, scan: Scan, folder: Path) -> list[str]:
        return [str(Path(found.path).relative_to(folder)) for found in scan.findings]

    def test_ignored_files_are_left_out(self, repository: Path) -> None:
        assert self._names(_scan(repository), repository) == ["tracked.sql", "untracked.sql"]

    def test_ignored_files_are_looked_into_on_demand(self, repository: Path) -> None:
        found = self._names(_scan(repository, include_ignored=True), repository)
        assert found == ["build/out.js", "sub/.env", "tracked.sql", "untracked.sql"]

    def test_what_is_named_is_looked_into_though_ignored(self, repository: Path) -> None:
        assert self._names(_scan(repository / "sub" / ".env"), repository) == ["sub/.env"]
        assert self._names(_scan(repository / "build"), repository) == ["build/out.js"]

    def test_a_tracked_file_counts_whatever_the_ignore_file_says(self, repository: Path) -> None:
        subprocess.run(["git", "-C", str(repository), "add", "--force", "sub/.env"], check=True)
        assert self._names(_scan(repository / "sub"), repository) == ["sub/.env"]

    def test_a_repository_inside_is_looked_into(self, repository: Path) -> None:
        subprocess.run(["git", "init", "--quiet", str(repository / "inner")], check=True)
        _write(repository, keys.legacy().reveal(), "inner/file.sql")
        assert "inner/file.sql" in self._names(_scan(repository), repository)

    def test_a_deleted_file_is_no_fault(self, repository: Path) -> None:
        (repository / "tracked.sql").unlink()
        assert self._names(_scan(repository), repository) == ["untracked.sql"]

    def test_without_a_path_the_current_folder_is_scanned(self, repository: Path) -> None:
        """A folder of migrations beside them is no reason to leave the function and the root file out."""
        (repository / ".gitignore").write_text("build/\n")
        for name in ("supabase/migrations/1_nothing.sql", "supabase/functions/sync/index.ts", ".env", "notes.md"):
            _write(repository, "nothing" if name.endswith("sql") else keys.secret().reveal(), name)
        said = {
            folder: [
                command.run("secrets", "scan", *places, "--format", "json", folder=repository / folder)
                for places in ((), (".",))
            ]
            for folder in (".", "supabase", "supabase/migrations")
        }
        for folder, (without, named) in said.items():
            assert (without.code, without.json()) == (named.code, named.json()), folder
        found = {one["path"] for one in said["."][0].json()["findings"]}
        assert found >= {"supabase/functions/sync/index.ts", ".env", "notes.md", "sub/.env"}
        assert [one["path"] for one in said["supabase"][0].json()["findings"]] == ["functions/sync/index.ts"]
        assert [result.code for result, _ in said.values()] == [3, 3, 0]

    def test_a_setting_of_somebody_elses_repository_starts_nothing(self, repository: Path) -> None:
        hook = _write(repository, f"#!/bin/sh\ntouch {repository}/started\n", "hook")
        hook.chmod(0o755)
        subprocess.run(["git", "-C", str(repository), "config", "core.fsmonitor", str(hook)], check=True)
        _scan(repository)
        assert not (repository / "started").exists()


def test_a_missing_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file or folder"):
        _scan(tmp_path / "nowhere")


class TestCommand:
    """`secrets scan`: its exit codes, and that it shows no key."""

    def test_a_finding_exits_3_and_shows_no_key(self, tmp_path: Path) -> None:
        made = {"1_job.sql": keys.legacy(ref=REF), "2_job.sql": keys.secret()}
        for name, key in made.items():
            _write(tmp_path, f"\n{key.reveal()}", name)
        result = command.run_process("secrets", "scan", "-vv", folder=tmp_path)
        assert result.code == 3
        for name, key in made.items():
            [line] = [line for line in result.out.splitlines() if line.startswith(f"{name}:2: ")]
            assert credential.fingerprint(key) in line
            assert (REF in line) == (name == "1_job.sql")
            for part in _pieces(key.reveal(), 6):
                assert part not in result.out + result.err

    def test_json(self, tmp_path: Path) -> None:
        key = keys.secret()
        path = _write(tmp_path, key.reveal())
        result = command.run("secrets", "scan", "--format", "json", str(path))
        assert result.code == 3
        assert result.json() == {
            "findings": [
                {
                    "path": str(path), "line": 1, "kind": "secret", "project_ref": None,
                    "fingerprint": credential.fingerprint(key),
                }
            ],
            "files": 1,
            "unread": [],
        }  # fmt: skip

    def test_nothing_found_exits_0_and_says_how_much_was_read(self, tmp_path: Path) -> None:
        _write(tmp_path, PUBLIC[Kind.ANON])
        result = command.succeeds(command.run("secrets", "scan", str(tmp_path)))
        assert (result.out, result.err) == ("", "scanned 1 text file\n")

    def test_public_keys_are_no_failure(self, tmp_path: Path) -> None:
        _write(tmp_path, PUBLIC[Kind.ANON])
        assert "anon key (public)" in command.succeeds(command.run("secrets", "scan", "--all", str(tmp_path))).out

    def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_scanned(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _write(tmp_path, PUBLIC[Kind.ANON])
        closed = tmp_path / "closed"
        closed.mkdir()
        scandir = os.scandir

        def refusing(path: str) -> Any:
            if path == str(closed):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)
        result = command.run("secrets", "scan", str(tmp_path))
        assert "1 file could not be read" in command.refused(result, 2)
        assert f"cannot read {closed}: Permission denied\nscanned 1 text file" in result.err

    def test_a_missing_place_exits_2(self, tmp_path: Path) -> None:
        command.refused(command.run("secrets", "scan", str(tmp_path / "nowhere")), 2)

    def test_settings_that_cannot_be_read_do_not_matter(self, tmp_path: Path) -> None:
        _write(tmp_path, "this is not toml", "autosync.toml")
        command.succeeds(command.run("secrets", "scan", folder=tmp_path))

    def test_the_hook_names_a_command_that_exists(self) -> None:
        text = (Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text()
        [entry] = re.findall(r"^  entry: autosync-db (.+)$", text, flags=re.MULTILINE)
        result = command.succeeds(command.run(*entry.split(), "--format", "json", str(Path(__file__))))
        assert json.loads(result.out)["files"] == 1


def test_a_file_that_git_would_take_is_known(tmp_path: Path) -> None:
    path = tmp_path / "cron.env"
    path.write_text("x")
    assert not secret_scan.is_open_to_git(path), "no repository"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert secret_scan.is_open_to_git(path)
    (tmp_path / ".gitignore").write_text("*.env\n")
    assert not secret_scan.is_open_to_git(path)
    config.make_local_folder(tmp_path / config.LOCAL_FOLDER)
    assert not secret_scan.is_open_to_git(tmp_path / config.LOCAL_FOLDER / "functions")
