"""Python, the server and the functions know the same secrets by their form: one judge, three dialects."""

import json
import os
import subprocess
from pathlib import Path

import jwt
import psycopg
import pytest

from autosync_db.credentials import scan
from autosync_db.supabase import judge, key
from autosync_db.supabase.judge import Kind
from tests.credentials.conftest import Place
from tests.support import keys
from tests.support.edge import FUNCTIONS, deno_binary

LEGACY, SECRET = keys.legacy().reveal(), keys.secret().reveal()
PASSWORD = "Kq7" + os.urandom(6).hex()
HOST = "db.example.com:5432/postgres"


def _demo(role: str, secret: str = keys.SAMPLE_SIGNING_SECRET) -> str:
    """Return a key like those that the Supabase CLI gives every local stack."""
    return jwt.encode({"iss": "supabase-demo", "role": role, "exp": 1983812996}, secret, "HS256")


# each text, what is left when its secrets are masked, and which kinds are found in it
TEXTS: dict[str, tuple[str, tuple[Kind, ...]]] = {
    f"Bearer {LEGACY}": ("Bearer ***", (Kind.LEGACY,)),
    f"('{LEGACY}', '{SECRET}')": ("('***', '***')", (Kind.LEGACY, Kind.SECRET)),
    f"{LEGACY.rpartition('.')[0]} without its signature": ("*** without its signature", ()),
    f"{LEGACY.rpartition('.')[0]}.abcdef": ("***", ()),
    f"{keys.legacy('anon').reveal()} is public": ("*** is public", (Kind.ANON,)),
    f"{keys.legacy('anon').reveal()} {LEGACY}": ("*** ***", (Kind.ANON, Kind.LEGACY)),
    f"{keys.legacy('authenticated').reveal()} is a user's": ("*** is a user's", ()),
    f"{_demo('anon')} {_demo('service_role')}": ("*** ***", (Kind.ANON, Kind.SAMPLE)),
    # what a key says of itself proves nothing
    f"{_demo('service_role', os.urandom(32).hex())} is one's own": ("*** is one's own", (Kind.LEGACY,)),
    f"key={SECRET}&more=1": ("key=***&more=1", (Kind.SECRET,)),
    f"{SECRET}. A sentence": ("***. A sentence", (Kind.SECRET,)),
    "sb_secret_" + "YOUR_KEY_HERE_123": ("***", ()),
    "sb_secret_" + "x" * 31: ("***", ()),
    "sb_secret_" + "changeme_changeme_1": ("***", ()),
    "sbp_" + "0a" * 20: ("***", (Kind.ACCESS_TOKEN,)),
    "sbp_" + "v0_" + "0a" * 20: ("***", (Kind.ACCESS_TOKEN,)),
    "TOKEN=sbp_" + "oauth_" + "0a" * 20: ("TOKEN=***", (Kind.ACCESS_TOKEN,)),
    "sb_publishable_" + "a" * 16: ("***", (Kind.PUBLISHABLE,)),
    "sb_secret_ is a kind, and eyJ begins the other": ("sb_secret_ is a kind, and eyJ begins the other", ()),
    "sb_secret_short, sbp_0a": ("sb_secret_short, sbp_0a", ()),
    "eyJhbGciOiJIUzI1NiJ9": ("eyJhbGciOiJIUzI1NiJ9", ()),
    "": ("", ()),
    # passwords in addresses
    f"postgres://app:{PASSWORD}@{HOST}": (f"postgres://app:***@{HOST}", (Kind.DATABASE_PASSWORD,)),
    f"url := 'postgresql+psycopg://postgres.ref:p%40{PASSWORD}%2F@{HOST}'": (
        f"url := 'postgresql+psycopg://postgres.ref:***@{HOST}'", (Kind.DATABASE_PASSWORD,),
    ),
    f'"postgresql://u:{PASSWORD}@/#?!$@{HOST}"': (f'"postgresql://u:***@{HOST}"', (Kind.DATABASE_PASSWORD,)),
    f"postgres://u:it's{PASSWORD}@[::1]/x": ("postgres://u:***@[::1]/x", (Kind.DATABASE_PASSWORD,)),
    f"postgres://u:{PASSWORD}@127.0.0.1/x": ("postgres://u:***@127.0.0.1/x", (Kind.DATABASE_PASSWORD,)),
    f"postgres://postgres:postgres@{HOST}": (f"postgres://postgres:***@{HOST}", (Kind.DATABASE_PASSWORD,)),
    f"jdbc:postgresql://{HOST}?user=u&password={PASSWORD}&x=1": (
        f"jdbc:postgresql://{HOST}?user=u&password=***&x=1", (Kind.DATABASE_PASSWORD,),
    ),
    f"https://user:{PASSWORD}@example.com": ("https://user:***@example.com", ()),
    "postgresql://postgres:postgres@127.0.0.1:54322/postgres": (
        "postgresql://postgres:***@127.0.0.1:54322/postgres", (Kind.SAMPLE,),
    ),
    "postgres://postgres:postgres@localhost": ("postgres://postgres:***@localhost", (Kind.SAMPLE,)),
    "postgres://postgres:postgres@db:5432/test": ("postgres://postgres:***@db:5432/test", (Kind.SAMPLE,)),
    **{
        f"postgres://u:{none}@{HOST}": (f"postgres://u:***@{HOST}", ())
        for none in (
            "[YOUR-PASSWORD]", "<password>", "${DB_PASSWORD}", "$PASSWORD", "$password", "{{pw}}", "{password}", "xxxx",
            "YOUR_KEY_HERE", "changeme", "example", "PASSWORD", "****", "%s", "%(password)s", "...",
        )
    },
    # no password at all
    **{
        text: (text, ())
        for text in (
            "postgresql://user@host/db", f"postgres://{HOST}", f"postgres://{HOST}?mail=a@b.c", "postgres:postgres",
            "postgres://localhost:5432,other:5432/db?mail=a@b.c", '{"url":"postgres://db/x","mail":"a@b.c"}',
            "'postgres://u:'||password||'@h/x'", "where host = x and password = y", "connect(host=h, password=pw)",
            "host = a.host; password = a.password;", "https://localhost:54321/x?mail=a@b.c", "password=secret",
        )
    },
    # connection strings
    f"'host=db.example.com user=u password={PASSWORD}'": (
        "'host=db.example.com user=u password=***'", (Kind.DATABASE_PASSWORD,),
    ),
    f"password = {PASSWORD} user = u dbname = x": ("password = *** user = u dbname = x", (Kind.DATABASE_PASSWORD,)),
    f"dblink('hostaddr=10.0.0.1 password=''my {PASSWORD}''')": (
        "dblink('hostaddr=10.0.0.1 password=***')", (Kind.DATABASE_PASSWORD,),
    ),
    "host=localhost password=postgres": ("host=localhost password=***", (Kind.SAMPLE,)),
    "host=db.example.com password=postgres": ("host=db.example.com password=***", (Kind.DATABASE_PASSWORD,)),
    "host=$H password=$PGPASSWORD dbname=x": ("host=$H password=*** dbname=x", ()),
    "format('host=%s password=%L', h, p)": ("format('host=%s password=***', h, p)", ()),
    "'host=h.c password=' || pw || ' user=x'": ("'host=h.c password=*** user=x'", ()),
}  # fmt: skip


def test_python_finds_and_masks_them() -> None:
    assert {text: key.redact(text) for text in TEXTS} == {text: masked for text, (masked, _) in TEXTS.items()}
    assert {text: tuple(one.kind for one in judge.found_in(text)) for text in TEXTS} == {
        text: kinds for text, (_, kinds) in TEXTS.items()
    }
    for text in TEXTS:
        for one in judge.found_in(text):
            value = text[one.start : one.end]
            assert value == "postgres" or value not in key.redact(text), "what is found is masked"
            assert value == "postgres" or value not in repr(one), "a finding does not hold what was found"


def test_the_server_masks_and_finds_them(place: Place) -> None:
    found = place.owner.execute(
        "select t.text, autosync.mask_keys(t.text), autosync.holds_key(t.text) from unnest(%s::text[]) as t (text)",
        [list(TEXTS)],
    ).fetchall()
    expected = {text: (masked, any(not kind.is_public for kind in kinds)) for text, (masked, kinds) in TEXTS.items()}
    assert {text: (masked, holds) for text, masked, holds in found} == expected
    assert {text: judge.holds_secret(text) for text in TEXTS} == {text: holds for text, (_, holds) in expected.items()}
    assert place.owner.execute("select autosync.mask_keys(null), autosync.holds_key(null)").fetchone() == (None, None)


def test_a_file_is_judged_like_a_text(tmp_path: Path) -> None:
    for number, text in enumerate(TEXTS):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"first\n{text}\n")
        found = scan.scan([path], include_public=True).findings
        assert {(one.line, one.kind) for one in found} == {(2, kind) for kind in TEXTS[text][1]}, text


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_no_role_of_the_api_may_call_them(place: Place, role: str) -> None:
    with place.admin.transaction(force_rollback=True):
        place.admin.execute(f"set local role {role}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            place.admin.execute("select autosync.holds_key('x')")


def test_the_functions_mask_them(tmp_path: Path) -> None:
    program = tmp_path / "mask.ts"
    module = (FUNCTIONS / "_shared" / "key_patterns.ts").as_uri()
    program.write_text(
        f'import {{ withoutSecrets }} from "{module}";\n'
        f"const texts: string[] = {json.dumps(list(TEXTS))};\n"
        "console.log(JSON.stringify(texts.map(withoutSecrets)));\n"
    )
    done = subprocess.run([deno_binary(), "run", str(program)], capture_output=True, text=True, check=True)
    assert dict(zip(TEXTS, json.loads(done.stdout), strict=True)) == {
        text: masked for text, (masked, _) in TEXTS.items()
    }
