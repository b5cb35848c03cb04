"""Files of the user's: supabase/config.toml is changed in one place or left alone, folders are read or refused."""

import re
import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from autosync_db.credentials import scan
from autosync_db.errors import UsageError
from autosync_db.supabase import declared, folder, function_settings
from tests.fuzz import inputs
from tests.fuzz.inputs import DATABASE, LEGACY, LONG, SECRET, bearable, examples, hostile, mutated, refused_or
from tests.support import command, keys

NAMES = ("auto-sync-cron", "device-sync")
SETTINGS = (
    'project_id = "app" # mine\n[api]\nport = 54321\n\n[functions.auto-sync-cron]\n# why\nverify_jwt = true # here\n'
    'import_map = "./x.json"\n\n[functions.other]\nverify_jwt = true\n',
    "functions = { auto-sync-cron = { verify_jwt = true } }\n[db]\nport = 1 # x\n",
    "[functions]\nauto-sync-cron.verify_jwt = true\n# end",
    f'[remotes.staging]\nproject_id = "{keys.PROJECT_REF}"\r\n[functions."device-sync"]\r\nenabled = true\r\n',
    f'[db]\nport = 54322\n[api]\n[edge_runtime.secrets]\nK = "{SECRET}"\n'
    '[db.migrations]\nschema_paths = ["./schemas/*.sql"]\n',
    "",
)
WORDS = (
    "[functions.auto-sync-cron]\n",
    "[functions]\n",
    "verify_jwt = true\n",
    "[[functions]]\n",
    "functions = 1\n",
    '"""\n',
    "'''",
    "# c\n",
    "[a.b]\n",
    "x = 1\n",
    "[functions.'auto-sync-cron']\n",
    "\r\n",
    "\r",
    'schema_paths = "x"\n',
    "[functions.auto-sync-cron.a]\n",
)
SQL = (
    f"select net.http_post('{DATABASE}');\n-- {LEGACY}\n",
    "create table a ();\n",
    f"insert into k values ('{SECRET}');",
    "-- written by autosync-db\n-- autosync-db revision 0001\n",
    "-- autosync-db: object functions/x hash 0\nselect 1;\n",
    "",
)
FILES = st.sampled_from(
    [
        "20260101000000_a.sql",
        "20260101000000_autosync_0001.sql",
        "a.sql",
        "é.sql",
        "99999999999999_x.sql",
        "1_.sql",
        ".sql",
        "20260101000000_autosync_db_0008.sql",
        "x.txt",
    ]
)


def _comments(text: str) -> list[str]:
    return re.findall(r"#.*", text)


@examples(25)
@given(mutated(SETTINGS, WORDS) | hostile(*WORDS) | st.sampled_from(LONG).map("x = {}".format))
def test_settings_of_the_supabase_cli_are_changed_in_one_place_or_left_alone(text: str) -> None:
    path = Path("supabase/config.toml")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("utf-8", "replace"))
    before = path.read_bytes()
    change = refused_or(lambda: function_settings.unverified(path, NAMES), UsageError)
    assert path.read_bytes() == before, "it is only planned"
    if change is not None and change.before is not None:
        old, new = tomllib.loads(change.before), tomllib.loads(change.after)
        for name in NAMES:
            assert new["functions"][name].pop("verify_jwt") is False
            old.get("functions", {}).get(name, {}).pop("verify_jwt", None)
            if not new["functions"][name]:
                del new["functions"][name]
            if not old.get("functions", {}).get(name, True):
                del old["functions"][name]
        assert new | {"functions": new["functions"] or None} == old | {"functions": old.get("functions") or None}
        kept = _comments(change.after)
        assert all(comment.rstrip("\r") in [one.rstrip("\r") for one in kept] for comment in _comments(change.before))
        inputs.no_secret(change.diff)
        again = Path("supabase/again.toml")
        again.write_bytes(change.after.encode())
        assert function_settings.unverified(again, NAMES) is None
    for look in (folder.values, folder.remotes, folder.link, lambda _: declared.read(Path())):
        refused_or(lambda look=look: look(path.parent), UsageError)  # type: ignore[misc]


@examples(2, is_slow=True)
@given(
    st.dictionaries(FILES, mutated(SQL) | hostile(), max_size=4),
    mutated(SETTINGS, WORDS),
    st.sampled_from(["", f"{keys.PROJECT_REF}", "\x1b[31mx", "a" * 5000]),
)
def test_commands_read_any_folder_or_say_why_not(files: dict[str, str], settings: str, ref: str) -> None:
    for name in ("migrations", "schemas", ".temp"):
        Path("supabase", name).mkdir(parents=True, exist_ok=True)
    Path("supabase/config.toml").write_bytes(settings.encode("utf-8", "replace"))
    Path("supabase/.temp/project-ref").write_bytes(ref.encode())
    for name, text in files.items():
        for place in ("migrations", "schemas"):
            Path("supabase", place, name).write_bytes(text.encode("utf-8", "surrogatepass"))
    found = sum(not one.kind.is_public for one in scan.scan([Path("supabase")]).findings)
    with inputs.within(40):
        scanned = bearable(command.run("secrets", "scan", "supabase"), 0, 3)
        assert scanned.code == (3 if found else 0)
        bearable(command.run("export", "supabase", "--check"), 0, 2, 5)
        bearable(command.run("export", "supabase", "--schemas", "--check"), 0, 2, 5)
        bearable(command.run("scaffold", "function", "--yes"), 0, 2)
        bearable(command.run("init", "--force"), 0, 2)
    for path in Path("supabase").rglob("*.sql"):
        path.unlink()
