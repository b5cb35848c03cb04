"""Files for the user's repository: equal ones are left alone, different ones refused."""

import os
from pathlib import Path

import pytest

from autosync_db import scaffold
from autosync_db.errors import UsageError

FOLDER = Path("functions")


def test_all_files_are_written_once() -> None:
    written = scaffold.write_functions(FOLDER)
    assert FOLDER / "auto-sync-cron" / "index.ts" in written
    assert all(path.is_file() for path in written)
    assert scaffold.write_functions(FOLDER) == []


def test_a_missing_file_is_added_beside_equal_ones() -> None:
    first = scaffold.write_functions(FOLDER)
    first[0].unlink()
    assert scaffold.write_functions(FOLDER) == [first[0]]


def test_nothing_is_written_when_one_file_differs() -> None:
    taken = FOLDER / "device-sync" / "index.ts"
    taken.parent.mkdir(parents=True)
    taken.write_text("// mine")
    with pytest.raises(UsageError, match="exists and differs") as caught:
        scaffold.write_functions(FOLDER)
    assert "--force" in caught.value.hint
    assert [path for path in FOLDER.rglob("*") if path.is_file()] == [taken]


def test_several_different_files_are_counted() -> None:
    for path in scaffold.write_functions(FOLDER)[:3]:
        path.write_text("// mine")
    with pytest.raises(UsageError, match="and 2 more"):
        scaffold.write_functions(FOLDER)


def test_force_overwrites_only_what_differs() -> None:
    first = scaffold.write_functions(FOLDER)
    first[0].write_text("// mine")
    before = first[1].stat().st_mtime_ns
    assert scaffold.write_functions(FOLDER, force=True) == [first[0]]
    assert first[1].stat().st_mtime_ns == before


def test_a_plain_function_bears_its_name_and_comes_with_what_it_imports() -> None:
    written = scaffold.write_plain_function(FOLDER, "daily-report")
    assert {path.parent for path in written} == {FOLDER / "daily-report", FOLDER / "_shared"}
    source = (FOLDER / "daily-report" / "index.ts").read_text()
    assert 'serveJob("daily-report", work);' in source
    assert scaffold.PLAIN not in source
    # beside the others it shares their modules, and they are not one of it
    assert FOLDER / "auto-sync-cron" / "index.ts" in scaffold.write_functions(FOLDER)
    assert not (FOLDER / scaffold.PLAIN).exists()
    assert [path.parent.name for path in scaffold.write_plain_function(FOLDER, "weekly_2")] == ["weekly_2"]


def test_a_plain_function_with_work_in_it_is_not_overwritten_unasked() -> None:
    index = FOLDER / "daily-report" / "index.ts"
    index.parent.mkdir(parents=True)
    index.write_text("// my work")
    with pytest.raises(UsageError, match="exists and differs"):
        scaffold.write_plain_function(FOLDER, "daily-report")
    assert [path for path in FOLDER.rglob("*") if path.is_file()] == [index]
    assert index in scaffold.write_plain_function(FOLDER, "daily-report", force=True)


def test_a_name_that_no_function_of_ones_own_has_is_refused() -> None:
    for name in ("", "_x", "2nd", "a/b", "..", "a b", "a.ts", "é", "a" * 64, "a\n"):
        with pytest.raises(UsageError, match="cannot be the name"):
            scaffold.write_plain_function(FOLDER, name)
    for name in ("auto-sync-cron", "Device-Sync", "plain-function", "autosync-keep-house"):
        with pytest.raises(UsageError, match="autosync-db has itself"):
            scaffold.write_plain_function(FOLDER, name)
    assert not FOLDER.exists()


def test_a_settings_file_is_not_overwritten_unasked() -> None:
    path = Path("autosync.toml")
    path.write_text("# mine")
    with pytest.raises(UsageError, match="exists"):
        scaffold.write_settings(path, {"production": None})
    assert path.read_text() == "# mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_a_usage_error() -> None:
    FOLDER.mkdir(mode=0o500)
    with pytest.raises(UsageError, match="cannot write"):
        scaffold.write_functions(FOLDER)


def test_a_killed_process_leaves_no_part_of_a_file() -> None:
    child = os.fork()
    if child == 0:
        setattr(os, "fsync", lambda _: os._exit(9))  # noqa: B010 - mypy knows it as a function of its own
        scaffold.write_functions(FOLDER)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not [path for path in FOLDER.rglob("*.*") if path.suffix in {".ts", ".json"}]
    written = scaffold.write_functions(FOLDER)
    # what the child left went, too
    assert sorted(path for path in FOLDER.rglob("*") if path.is_file()) == sorted(written)
