"""The exported files: what is written when, what is reported, and what never stands in them."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from autosync_db.errors import MigrationError, UsageError
from autosync_db.schema import export, migrate, objects, revisions
from autosync_db.supabase.key import LOOKS_SECRET
from tests.schema.export.conftest import MIGRATIONS, write
from tests.support import command, keys

PENDING = 5
NOW = datetime(2026, 5, 4, 3, 2, 59, tzinfo=UTC)


def names(now: datetime = NOW) -> list[str]:
    """Return the names of the files that an export would write."""
    return [file.path.name for file in export.plan(MIGRATIONS, now=now).pending]


def listed(path: Path) -> set[str]:
    """Return the objects that a file applies."""
    return {name for name, _ in export._OBJECT.findall(path.read_text())}


def place(name: str, text: str = "select 1;\n") -> Path:
    """Put a migration of the user's own into the folder."""
    MIGRATIONS.mkdir(parents=True, exist_ok=True)
    path = MIGRATIONS / name
    path.write_text(text)
    return path


def test_every_revision_has_its_file_and_the_objects_theirs() -> None:
    written = [path.name for path in write()]
    assert written == sorted(written)
    assert [re.sub(r"^\d{14}_autosync_(\d{4})_.*$", r"\1", name) for name in written] == [
        *revisions.known(),
        revisions.head(),
    ]
    assert listed(MIGRATIONS / written[-1]) == set(objects.paths())


def test_new_files_are_dated_now_a_second_apart() -> None:
    place("20260504030258_theirs.sql")
    assert [name[:14] for name in names()][:3] == ["20260504030259", "20260504030300", "20260504030301"]


def test_new_files_come_after_every_migration_that_is_there() -> None:
    place("20260504235959_from_a_clock_that_is_fast.sql")
    place("not_a_migration.sql")
    assert [name[:14] for name in names()][:2] == ["20260505000000", "20260505000001"]


def test_a_migration_after_which_no_timestamp_comes_is_refused() -> None:
    place("9_init.sql")
    with pytest.raises(UsageError, match="no timestamp comes after 9") as caught:
        names()
    assert "rename" in caught.value.hint


def test_a_second_export_writes_nothing_and_touches_nothing() -> None:
    before = {path: path.stat().st_mtime_ns for path in write()}
    assert write() == []
    assert {path: path.stat().st_mtime_ns for path in MIGRATIONS.iterdir()} == before


def test_a_checkout_with_other_line_breaks_is_no_edit() -> None:
    for path in write():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    found = export.plan(MIGRATIONS)
    assert (found.edited, found.pending) == ([], [])


def test_a_renamed_file_is_known_by_its_header() -> None:
    written = write()
    written[0].rename(MIGRATIONS / "20200101000000_first.sql")
    assert write() == []


def test_a_gap_is_refused_because_a_new_file_would_come_too_late() -> None:
    write()[1].unlink()
    with pytest.raises(MigrationError, match="lacks the file of revision 0002") as caught:
        write()
    assert "version control" in caught.value.hint


def test_files_of_a_newer_version_are_refused() -> None:
    place("20260101000000_x.sql", f"-- autosync-db: revision 9999, sha256 {'0' * 64}\n")
    with pytest.raises(MigrationError, match="holds revision 9999, which this version"):
        names()


def test_a_lost_file_of_objects_is_written_again_whole() -> None:
    write()[-1].unlink()
    (again,) = write()
    assert listed(again) == set(objects.paths())


def test_a_file_in_the_way_is_not_overwritten() -> None:
    found = export.plan(MIGRATIONS)
    taken = place(found.pending[0].path.name, "theirs")
    with pytest.raises(UsageError, match=taken.name):
        found.write()
    assert taken.read_text() == "theirs"


# a revision that others follow, one that was the last, and the objects
@pytest.mark.parametrize(("number", "length"), [(2, 300), (2, 0), (-1, 40), (-1, -20)])
def test_a_file_that_was_cut_short_is_written_again_under_its_name(number: int, length: int) -> None:
    written = write()
    path = written[number]
    whole = path.read_text()
    path.write_text(whole[:length])
    if not length:
        for later in written[number + 1 :]:
            later.unlink()
    found = export.plan(MIGRATIONS, now=NOW)
    assert [file.path for file in found.cut] == [path]
    assert found.edited == []
    check = command.run("export", "supabase", "--check", "--format", "json")
    assert (check.code, check.json()["cut"]) == (PENDING, [str(path)])
    again = command.succeeds(command.run("export", "supabase"))
    assert f"wrote {path} again: its end was missing" in again.err
    if number > 0:
        assert path.read_text() == whole
    assert listed(max(MIGRATIONS.iterdir())) == set(objects.paths())
    done = export.plan(MIGRATIONS)
    assert (done.pending, done.cut) == ([], [])


@pytest.mark.parametrize("tail", ["create table public.mine ();\n", "-- reviewed\n"])
def test_what_somebody_added_is_an_edit_and_no_cut(tail: str) -> None:
    path = write()[1]
    path.write_text(path.read_text() + tail)
    empty = place("20200101000000_empty.sql", "")
    found = export.plan(MIGRATIONS)
    assert (found.cut, found.edited, empty.read_text()) == ([], [path], "")


def test_a_dollar_quote_in_a_text_does_not_end_the_text() -> None:
    assert (
        objects.dollar_quote("autosync_text", ["select $autosync_text$a$autosync_text$, $autosync_text1$"])
        == "$autosync_text2$"
    )


def test_the_statements_are_those_of_the_printed_script() -> None:
    script = migrate.script_sql()
    assert [step.revision for step in migrate.steps()] == revisions.known()
    for step in migrate.steps():
        assert step.statements
        assert [text for text in step.statements if f"{text};" not in script] == []
        own = r"(?i)(create table|insert into|update) autosync\.alembic_version"
        assert not any(re.match(own, text) for text in step.statements)


class TestCommand:
    """`autosync-db export supabase`."""

    def test_check_exits_5_until_everything_is_written_and_writes_nothing(self) -> None:
        behind = command.run("export", "supabase", "--check", "--format", "json")
        assert behind.code == PENDING
        assert behind.hints == ["run: autosync-db export supabase"]
        pending = behind.json()
        assert (pending["current"], pending["existing"], pending["edited"]) == (False, [], [])
        assert len(pending["pending"]) == len(revisions.known()) + 1
        assert not MIGRATIONS.exists()

        written = command.succeeds(command.run("export", "supabase", "--format", "json")).json()["written"]
        assert [Path(name).name[14:] for name in written] == [Path(name).name[14:] for name in pending["pending"]]
        current = command.succeeds(command.run("export", "supabase", "--check", "--format", "json")).json()
        assert current == {"current": True, "existing": written, "edited": [], "cut": [], "pending": []}

    def test_an_edited_file_is_reported_and_left_as_it_is(self) -> None:
        command.succeeds(command.run("export", "supabase"))
        edited = next(MIGRATIONS.glob("*_0002_*"))
        edited.write_text(edited.read_text().replace("execute", "perform", 1))
        text = edited.read_text()
        check = command.run("export", "supabase", "--check", "--format", "json")
        assert check.code == PENDING
        assert check.json()["edited"] == [str(edited)]
        again = command.succeeds(command.run("export", "supabase"))
        assert f"{edited} was edited" in again.err
        assert edited.read_text() == text

    def test_a_settings_file_decides_the_isolation_mode_and_the_folder_can_be_chosen(self) -> None:
        Path("autosync.toml").write_text('[isolation]\nmode = "organization"\n')
        command.succeeds(command.run("export", "supabase", "--dir", "elsewhere"))
        (found,) = Path("elsewhere").glob("*_objects.sql")
        assert '"mode": "organization"' in found.read_text()

    def test_no_secret_gets_into_a_file(self) -> None:
        key, password = keys.legacy(), keys.secret()
        variables = {
            "SUPABASE_SERVICE_ROLE_KEY": key.reveal(),
            "AUTOSYNC_DATABASE_URL": f"postgresql://postgres:{password.reveal()}@db.example.invalid/postgres",
        }
        done = command.succeeds(command.run("export", "supabase", variables=variables))
        for text in (done.err, *(path.read_text() for path in MIGRATIONS.iterdir())):
            assert key.reveal() not in text
            assert password.reveal() not in text
            assert not LOOKS_SECRET.search(text)
