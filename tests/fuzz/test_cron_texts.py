"""Texts of cron jobs, as anybody may have written them: `jobs import`, `audit` and what they are made of."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autosync_db.health.audit import texts
from autosync_db.jobs import twins
from autosync_db.jobs.texts import command_text
from autosync_db.local.cluster import Cluster
from tests.fuzz import inputs
from tests.fuzz.inputs import DATABASE, LEGACY, LONG, SECRET, bearable, examples, hostile, mutated
from tests.support import clusters, command, keys

URL = f"https://{keys.PROJECT_REF}.supabase.co"
_CALL = f"""select net.http_post(
    url := '{URL}/functions/v1/report?mode=daily',
    headers := '{{"Content-Type": "application/json", "Authorization": "Bearer {LEGACY}"}}'::jsonb,
    body := jsonb_build_object('at', now(), 'full', true, 'n', 1.5e3), timeout_milliseconds := 5000
) as request_id;"""
COMMANDS = (
    _CALL,
    f"select net.http_get('{URL}/functions/v1/a', headers := jsonb_build_object('apikey', '{SECRET}'))",
    "select net.http_post(url := (select decrypted_secret from vault.decrypted_secrets where name = 'project_url')"
    " || '/functions/v1/x', headers := jsonb_build_object('Authorization', 'Bearer ' || current_setting('app.key')))",
    f"do $$ declare u text := '{URL}'; begin perform net.http_post(u || '/functions/v1/y', '{{}}'::jsonb); end $$",
    "with s as (select value as v from app.settings where name = 'url') select net.http_post(s.v || '/f') from s",
    "select status from extensions.http(('POST', 'https://h.example/x', array[extensions.http_header('a', 'b')],"
    " 'application/json', '{\"a\": 1}')::extensions.http_request)",
    "select public.call_function('hourly', 1)",
    "select autosync.dispatch('x')",
    "call app.work(); vacuum",
    f"select dblink('{DATABASE}', 'select 1')",
    "select format('%s%2$s', 'a', net.http_get('https://h.example'))",
    "begin; select app.cleanup(); commit;",
    "select x from y where z = $1",
    "-- nothing\n",
    "",
)
WORDS = (
    "net.http_post(",
    "select ",
    "'{}'::jsonb",
    "'NaN'::numeric",
    "::json",
    "||",
    ":=",
    "=>",
    "E'\\x41'",
    "U&'\\0041'",
    "$a$",
    "do ",
    "begin",
    "end",
    "if true then ",
    "null",
    "1e999",
    "'[1'::json",
    "format('%9$s%%', ",
    "array[",
    "interval '1 day'",
    "/* /* */",
    "\ue0005\ue001",
    "jsonb_build_object('a')",
    "row(1,2)",
    "b'01'",
    "x'1f'",
    "(select 1)",
    "'a' 'b'",
    "current_setting(",
)
TEXTS = mutated(COMMANDS, WORDS)
HELPERS = """
create function public.call_function(name text, n int default 3) returns bigint language plpgsql as $$
begin
    return net.http_post(
        url := current_setting('app.url') || '/functions/v1/' || name, body := jsonb_build_object('n', n)
    );
end $$;
"""


@pytest.fixture(scope="module")
def helped(shared: Cluster) -> Iterator[psycopg.Connection[clusters.Row]]:
    """A connection to a database with a function that makes calls; rolled back."""
    with psycopg.connect(shared.url().reveal()) as connection:
        connection.execute(HELPERS.encode())
        yield connection
        connection.rollback()


@examples(40)
@given(text=TEXTS | hostile("select ", *WORDS) | st.sampled_from(LONG).map("select {}".format))
def test_any_text_is_understood_or_not_and_never_an_error(text: str, helped: psycopg.Connection[clusters.Row]) -> None:
    functions = twins.functions_of(helped)
    with inputs.within():
        reading = command_text.read(text)
        inputs.no_secret(reading.reason or "")
        assert reading.kind in {"call", "sql", "autosync", "unknown"}
        twins.understand(text, functions)
        assert texts.secrets_in(text) is not None


# many at once: a database with texts of every kind
@examples(1, is_slow=True)
@given(commands=st.lists(TEXTS.filter(lambda text: "\0" not in text), min_size=40, max_size=40))
@example(commands=["select net.http_post('https://h]x.example/functions/v1/y')"])
def test_import_and_audit_end_well_whatever_stands_in_cron_job(commands: list[str], scratch: Cluster) -> None:
    with clusters.connection(scratch, "supabase_admin") as admin:
        admin.execute("delete from cron.job")
        for number, text in enumerate(commands):
            admin.execute(
                "insert into cron.job (schedule, command, nodename, nodeport, database, username, active, jobname)"
                " values ('0 1 1 1 *', %s, '', 5432, 'postgres', 'postgres', true, %s)",
                [text, [f"job-{number}", f"it's {number}\n[x]", None][number % 3]],
            )
    with inputs.within(40):
        printed = bearable(command.run("jobs", "import", database=scratch.url()), 0)
        tomllib.loads(printed.out)
        for form in ("table", "json"):
            bearable(command.run("audit", "--format", form, database=scratch.url()), 0, 3)
        bearable(command.run("jobs", "import", "--write", database=scratch.url()), 0, 2)
        found = bearable(command.run("plan", database=scratch.url()), 0, 2)
    assert found.code == 0, f"what import wrote is refused: {found.err}"
    Path("autosync.toml").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def scratch(quiet_template: Cluster) -> Iterator[Cluster]:
    """A server of these tests' own, whose jobs never tick."""
    with clusters.cloned(quiet_template) as copy:
        clusters.keep_quiet(copy)
        with clusters.connection(copy) as owner:
            owner.execute(HELPERS.encode())
        yield copy
