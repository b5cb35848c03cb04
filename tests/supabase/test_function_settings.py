"""Entries of Edge Functions in supabase/config.toml: what is there stays as it is written."""

import tomllib
from difflib import ndiff
from pathlib import Path

import pytest

from autosync_db.errors import UsageError
from autosync_db.supabase import function_settings
from tests.support import keys

NAMES = ("auto-sync-cron", "device-sync")


def _change(text: str, *names: str) -> function_settings.Change | None:
    path = Path("config.toml")
    path.write_bytes(text.encode())
    return function_settings.unverified(path, names or NAMES)


def _lines(change: function_settings.Change) -> tuple[list[str], list[str]]:
    found = [line for line in ndiff((change.before or "").splitlines(), change.after.splitlines()) if line[0] in "+-"]
    return [line[2:] for line in found if line[0] == "-"], [line[2:] for line in found if line[0] == "+"]


# as `supabase init` writes it: comments, blank lines, odd blanks
WRITTEN = """\
# For detailed configuration reference documentation, visit: …
project_id = "app"   # mine

[api]
enabled=true
port = 54321
schemas = ["public",
  "graphql_public", # both
]

[edge_runtime]
policy = "per_worker"
# [edge_runtime.secrets]
# secret_key = "env(SECRET_VALUE)"

[analytics]
enabled = true"""


def test_absent_entries_are_added_at_the_end_and_nothing_else_changes() -> None:
    change = _change(WRITTEN + "\n")
    assert change is not None
    removed, added = _lines(change)
    assert removed == []
    assert [line for line in added if line and not line.startswith("#")] == [
        "[functions.auto-sync-cron]",
        "verify_jwt = false",
        "[functions.device-sync]",
        "verify_jwt = false",
    ]
    assert change.after.startswith(WRITTEN)
    assert _change(change.after) is None, "a second time there is nothing to do"


@pytest.mark.parametrize(
    ("text", "removed", "added"),
    [
        # the value alone, its comment kept
        ("[functions.a]\nverify_jwt = true # why\n", ["verify_jwt = true # why"], ["verify_jwt = false # why"]),
        # below the header, before a comment on the next table
        ("[functions.a] # mine\nentrypoint = 'x'\n\n# of b\n[b]\n", [], ["verify_jwt = false"]),
        ('[ functions . "a" ]\n', [], ["verify_jwt = false"]),
        ("[functions.a]", [], ["verify_jwt = false"]),
        ("[functions.a.deep]\nx = 1\n[functions.a]\n", [], ["verify_jwt = false"]),
        ("functions.a.verify_jwt = true\n", ["functions.a.verify_jwt = true"], ["functions.a.verify_jwt = false"]),
        ("[functions]\na = {verify_jwt = true}\n", ["a = {verify_jwt = true}"], ["a = {verify_jwt = false}"]),
        ("[functions.a]\nverify_jwt = 'env(VERIFY)'\n", ["verify_jwt = 'env(VERIFY)'"], ["verify_jwt = false"]),
        # a text that looks like a header is none
        (
            'x = """\n[functions.a]\n"""\n[functions.a]\nverify_jwt = true\n',
            ["verify_jwt = true"],
            ["verify_jwt = false"],
        ),
    ],
)
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_an_entry_that_is_there_changes_in_its_place(
    text: str, removed: list[str], added: list[str], line_break: str
) -> None:
    change = _change(text.replace("\n", line_break), "a")
    assert change is not None
    assert _lines(change) == (removed, added)
    assert tomllib.loads(change.after)["functions"]["a"]["verify_jwt"] is False
    assert change.after.count("\n") == change.after.count(line_break if "\n" in text else "\n")


@pytest.mark.parametrize(
    "text",
    [
        "functions.a.verify_jwt = true\n[functions.b]\nx = 1\n",
        "[functions.a]\nverify_jwt = true\n\n[functions.c]\nverify_jwt = true",  # no line break at the end
        "[functions]\na.verify_jwt = true\n'b' = { verify_jwt = true, x = [1, 2] }\n",
        '["functions"."a"]\n"verify_jwt" = true\n',
        "[functions.'a']\nimport_map = './x.json'\n[db]\nport = 1",
    ],
)
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_several_functions_in_whatever_form_get_their_value_and_the_rest_stays(text: str, line_break: str) -> None:
    before = tomllib.loads(text)
    change = _change(text.replace("\n", line_break), "a", "b", "daily-report")
    assert change is not None
    after = tomllib.loads(change.after)
    for name in ("a", "b", "daily-report"):
        assert after["functions"].pop(name).pop("verify_jwt") is False
        before["functions"].pop(name, None)
    assert after == before, "nothing of anybody else"
    assert change.after.count("\n") == change.after.count(line_break if "\n" in text else "\n")
    assert _change(change.after, "a", "b", "daily-report") is None


@pytest.mark.parametrize(
    "text",
    [
        "functions = 1\n",
        "[functions]\na = 1\n",
        "[[functions]]\n",
        "functions = { b = { verify_jwt = true } }\n",  # a header cannot add to it
        'x = """\n[functions.a]\n"""\n[functions.a]\n',  # the first that looks like its header is a text
    ],
)
def test_a_form_that_cannot_be_changed_is_refused_with_what_to_add(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be changed here") as caught:
        _change(text, "a")
    assert caught.value.hint == "add to it: [functions.a]; verify_jwt = false"
    with pytest.raises(UsageError, match="not valid TOML"):
        _change("[functions", "a")


def test_where_none_is_one_is_made_that_the_cli_can_read(tmp_path: Path) -> None:
    change = function_settings.unverified(tmp_path / "my app!/supabase/config.toml", ["a"])
    assert change is not None
    assert change.before is None
    assert tomllib.loads(change.after) == {"project_id": "my-app", "functions": {"a": {"verify_jwt": False}}}


def test_the_diff_shows_the_place_and_no_key_beside_it() -> None:
    key = keys.secret().reveal()
    change = _change(f"[edge_runtime.secrets]\nx = '{key}'\n[functions.a]\nverify_jwt = true\n", "a")
    assert change is not None
    assert "[functions.a]\n-verify_jwt = true\n+verify_jwt = false" in change.diff
    assert key not in change.diff
    assert key in change.after
