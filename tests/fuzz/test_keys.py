"""Keys, JWTs and passwords: what Python, the database and TypeScript make of whatever is given in their place."""

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autosync_db.errors import SecretError
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from autosync_db.supabase import judge, key, opaque
from tests.fuzz import inputs
from tests.fuzz.inputs import LEGACY, PASSWORD, SECRET, TOKEN, bearable, examples, hostile, mutated, refused_or
from tests.support import clusters, command, keys
from tests.support.edge import deno_binary

_PARTS = ("eyJ", "sb_secret_", "sb_publishable_", "sbp_", ".", "..", "-", "=", "service_role", "anon", "=" * 4)
_CLAIMS = {"iss": "supabase", "role": "service_role", "ref": keys.PROJECT_REF, "iat": 1, "exp": 4_000_000_000}


def _encoded(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def _signed(payload: str) -> str:
    """Return a JWT by its form, with this payload."""
    head = '{"alg":"HS256","typ":"JWT"}'
    return f"{_encoded(head)}.{_encoded(payload)}.{'s' * 43}"


@st.composite
def _jwts(draw: st.DrawFn) -> str:
    """Return a JWT whose parts say anything, with a signature of the length that one has."""
    head = draw(st.just('{"alg":"HS256","typ":"JWT"}') | inputs.bent({"alg": "HS256", "typ": "JWT"}).map(json.dumps))
    payload = draw(
        inputs.bent(_CLAIMS).map(json.dumps)
        | st.sampled_from(["[" * 20_000, '{"a":' * 20_000, "1" * 5000, '{"exp":' + "9" * 5000 + "}", "\ufeff{}", ""])
        | hostile()
    )
    return f"{_encoded(head)}.{_encoded(payload)}.{draw(st.just('s' * 43) | hostile())}"


KEYS = _jwts() | mutated((LEGACY, SECRET, TOKEN, "sb_publishable_" + "p" * 24), _PARTS, most=3)
# what people write around keys and passwords
TEXTS = mutated(
    (
        f"Authorization: Bearer {LEGACY}",
        f"select f('{SECRET}')",
        f'{{"apikey": "{SECRET}"}}',
        f"postgresql://postgres:{PASSWORD}@db.{keys.PROJECT_REF}.supabase.co:5432/postgres?x=1",
        f"host=h.example user=postgres password={PASSWORD} dbname=postgres",
        f"password='{PASSWORD}' host='h'",
        f"https://u:{PASSWORD}@h.example/p?password={PASSWORD}&a=1",
        "'x-api-key', '8f3kd92jf02kd8s7'",
        "'Authorization', 'Bearer ' || '8f3kd92jf02kd8s7'",
        "net.http_get('https://h.example/f?token=8f3kd92jf02kd8s7')",
    ),
    (*_PARTS, "://", "@", "password=", "host=", "'", "||", "Bearer ", "?key=", "&", PASSWORD, "x" * 3000, "%s", "${P}"),
)


@pytest.fixture(scope="module")
def database(shared: Cluster) -> Iterator[psycopg.Connection[clusters.Row]]:
    """A superuser's connection to a database at head, where no statement may take long."""
    with psycopg.connect(shared.url("supabase_admin").reveal(), autocommit=True) as connection:
        connection.execute("set statement_timeout = '20s'")
        yield connection


@examples(40)
@given(KEYS)
def test_a_key_is_judged_and_never_shown(text: str) -> None:
    found = refused_or(lambda: key.inspect(Secret(text), project_ref=keys.PROJECT_REF), SecretError)
    inputs.no_secret(repr(found))
    refused_or(lambda: key.inspect_public(Secret(text), project_ref=keys.PROJECT_REF), SecretError)
    with inputs.within():
        key.is_public(Secret(text))
        assert bool(key.fingerprint(Secret(text)))


@examples(5)
@given(KEYS.filter(lambda text: "\0" not in text))
def test_a_command_refuses_what_is_no_key_before_it_asks_anybody(text: str) -> None:
    database = {"AUTOSYNC_DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}
    with inputs.within():
        for line in ("rotate --from-file -", "setup --project-url http://127.0.0.1:1 --service-role-key-file -"):
            bearable(command.run(*line.split(), variables=database, stdin=text), 2, 4, 6)


@example(text=f"sb_publishable_{LEGACY}")
@example(text=f"sb_publishable_{SECRET}")
@example(text=f"sb_publishable_{'x' * 30}{TOKEN}")
@example(text=f"sb_publishable_{'x' * 30}{LEGACY}")
@example(text=f"password='{PASSWORD}\x85' host='h'")
@example(text=f"postgres://u:{'p' * 255}@h")
@example(text=f"postgres://u:{'p' * 256}@h")
@example(text=f"postgres://u:{'p' * 200}@{'p' * 200}@h")
@example(text=f"host={'h' * 255} password={PASSWORD}")
@example(text=f"host={'h' * 256} password={PASSWORD}")
@example(text="'x-api-key',\x85'8f3kd92jf02kd8s7'")
@examples(40)
@given(text=TEXTS.filter(lambda text: "\0" not in text))
def test_python_and_the_database_find_and_mask_the_same(text: str, database: psycopg.Connection[clusters.Row]) -> None:
    with inputs.within():
        ours = (judge.holds_secret(text), opaque.holds_credential(text), key.redact(text))
    theirs = database.execute(
        "select autosync.holds_key(%(text)s), autosync.holds_credential(%(text)s), autosync.mask_keys(%(text)s)",
        {"text": text},
    ).fetchone()
    assert ours == theirs
    for planted in (LEGACY, SECRET, TOKEN):
        assert planted not in ours[2]


@example(text=f'"{LEGACY}"')
@example(text=f"KEY={LEGACY}")
@example(text=LEGACY[:-1])
@example(text=f"{SECRET}'")
@example(text=f"{_encoded('[1]')}.{_encoded(json.dumps(_CLAIMS))}.{'s' * 43}")
@example(text=_signed("[" * 20_000))
@example(text=_signed(json.dumps(_CLAIMS | {"exp": []})))
@example(text=_signed(json.dumps(_CLAIMS | {"iat": {"\0": None}})))
@example(text=_signed(json.dumps(_CLAIMS | {"iat": "\ud800"})))
@examples(25)
@given(text=KEYS.filter(lambda text: "\0" not in text and text.strip()))
def test_the_database_says_of_a_stored_key_what_python_says(
    text: str, database: psycopg.Connection[clusters.Row]
) -> None:
    with database.transaction(force_rollback=True):
        database.execute("select autosync.put_secret('service_role_key', %s)", [text])
        facts = database.execute(
            "select kind, role, project_ref, expires_at, expires_at > now() from autosync.service_key_facts()"
        ).fetchone()
        summary = database.execute("select * from autosync.secret_facts()").fetchall()
    inputs.no_secret(repr(facts), repr(summary))
    found = refused_or(lambda: key.inspect(Secret(text.strip(" \t\r\n"))), SecretError)
    is_accepted = facts is not None and (
        facts[0] == "secret" or (facts[:2] == ("legacy", "service_role") and (facts[3] is None or facts[4]))
    )
    assert is_accepted == (found is not None)
    if found is not None:
        assert facts is not None
        assert facts[:3] == (found.kind, "service_role" if found.kind == "legacy" else None, found.project_ref)
        assert (facts[3] is None) == (found.expires_at is None)


_MASKS = """
const { withoutSecrets } = await import(Deno.args[0]);
const texts = JSON.parse(await new Response(Deno.stdin.readable).text());
console.log(JSON.stringify(texts.map(withoutSecrets)));
"""
_PATTERNS = Path(__file__).parents[2] / "templates" / "functions" / "_shared" / "key_patterns.ts"


# each may begin an expression, and what would end it comes nowhere or too late
ENDLESS = (
    "://", "://a:", "postgres://", "postgres://u:p", "postgres://?a", "postgres://u:'", "?password=", "host=",
    "password=", "host=a ", "password=a ", "host='", "host='a b' ", "eyJ", "eyJabcdefghij.", "sb_publishable_",
    "'cookie','", "sess",
    "postgres://" * 20 + "x:' @", "host=" * 50 + " ", "password=" * 28 + " ",
)  # fmt: skip


@pytest.mark.parametrize("piece", ENDLESS, ids=range(len(ENDLESS)))
def test_no_text_is_looked_at_for_long(piece: str, database: psycopg.Connection[clusters.Row]) -> None:
    text = f"'cookie','{piece * (60_000 // len(piece))}.aaaaaaaaaaaaaaaa. postgres://"
    with inputs.within(20):
        ours = (judge.holds_secret(text), opaque.holds_credential(text), key.redact(text))
    theirs = database.execute(
        "select autosync.holds_key(%(text)s), autosync.holds_credential(%(text)s), autosync.mask_keys(%(text)s)",
        {"text": text},
    ).fetchone()
    assert ours == theirs


@examples(1, is_slow=True)
@given(texts=st.lists(TEXTS, min_size=60, max_size=60))
def test_typescript_masks_what_python_masks(texts: list[str]) -> None:
    Path("mask.ts").write_text(_MASKS)
    done = subprocess.run(
        [deno_binary(), "run", "--quiet", "--no-prompt", "--allow-read", "mask.ts", _PATTERNS.as_uri()],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [key.redact(text) for text in texts]
