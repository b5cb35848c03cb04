"""Python, the server and the functions know the same keys by their form: one list, three dialects."""

import json
import subprocess
from pathlib import Path

import psycopg
import pytest

from autosync_db.supabase import key
from tests.credentials.conftest import Place
from tests.support import keys
from tests.support.edge import FUNCTIONS, deno_binary

LEGACY, SECRET = keys.legacy().reveal(), keys.secret().reveal()
# each text, what is left when its keys are masked, and whether one of them is a secret
TEXTS: dict[str, tuple[str, bool]] = {
    f"Bearer {LEGACY}": ("Bearer ***", True),
    f"('{LEGACY}', '{SECRET}')": ("('***', '***')", True),
    f"{LEGACY.rpartition('.')[0]} without its signature": ("*** without its signature", True),
    f"{keys.legacy('anon').reveal()} is public": ("*** is public", False),
    f"{keys.legacy('anon').reveal()} {LEGACY}": ("*** ***", True),
    f"key={SECRET}&more=1": ("key=***&more=1", True),
    f"{SECRET}. A sentence": ("***. A sentence", True),
    "sbp_" + "0a" * 20: ("***", True),
    "sb_publishable_" + "a" * 16: ("***", False),
    "sb_secret_ is a kind, and eyJ begins the other": ("sb_secret_ is a kind, and eyJ begins the other", False),
    "sb_secret_short, sbp_0a": ("sb_secret_short, sbp_0a", False),
    "eyJhbGciOiJIUzI1NiJ9": ("eyJhbGciOiJIUzI1NiJ9", False),
    "postgresql://user@host/db": ("postgresql://user@host/db", False),
    "": ("", False),
}


def test_python_masks_them() -> None:
    assert {text: key.redact(text) for text in TEXTS} == {text: masked for text, (masked, _) in TEXTS.items()}


def test_the_server_masks_and_finds_them(place: Place) -> None:
    found = place.owner.execute(
        "select t.text, autosync.mask_keys(t.text), autosync.holds_key(t.text) from unnest(%s::text[]) as t (text)",
        [list(TEXTS)],
    ).fetchall()
    assert {text: (masked, holds) for text, masked, holds in found} == TEXTS
    assert place.owner.execute("select autosync.mask_keys(null), autosync.holds_key(null)").fetchone() == (None, None)


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
        f'import {{ KEYS }} from "{module}";\n'
        f"const texts: string[] = {json.dumps(list(TEXTS))};\n"
        'console.log(JSON.stringify(texts.map((text) => text.replace(KEYS, "***"))));\n'
    )
    done = subprocess.run([deno_binary(), "run", str(program)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [masked for masked, _ in TEXTS.values()]
