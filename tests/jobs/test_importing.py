"""The texts of cron jobs as public projects write them, and the settings that say the same."""

import tomllib
from dataclasses import dataclass, field
from typing import Any

import pytest

from autosync_db.jobs import found, importing
from autosync_db.jobs.found import FoundJob
from autosync_db.jobs.texts import command_text
from autosync_db.jobs.texts.sources import Facts, Names, Source, SourceKind
from autosync_db.jobs.texts.sql_values import Origin
from autosync_db.jobs.texts.translation import Translation, translate, watched
from autosync_db.secret import Secret
from tests.fuzz import inputs
from tests.support import keys

URL = f"https://{keys.PROJECT_REF}.supabase.co"
VAULT_URL = "(select decrypted_secret from vault.decrypted_secrets where name = 'project_url')"
VAULT_KEY = "(select decrypted_secret from vault.decrypted_secrets where name = 'service_role_key')"


@dataclass
class Known(Facts):
    """A database in which some sources hold something."""

    project_url: str | None = URL
    kinds: dict[str, SourceKind] = field(
        default_factory=lambda: {
            "service_role_key": "service",
            "new_key": "service_secret",
            "anon": "public",
            "published": "publishable",
        }
    )

    def kind(self, source: Source) -> SourceKind:
        if isinstance(source, Secret):
            begins: dict[str, SourceKind] = {"sb_secret_": "service_secret", "sb_publishable_": "publishable"}
            return next((kind for begin, kind in begins.items() if source.reveal().startswith(begin)), "other")
        return self.kinds.get(source.name, "other")

    def origin_of(self, source: Origin) -> str | None:
        return URL if "url" in source.name else None

    def located(self, source: Origin) -> Origin:
        return source


def _translated(text: str, facts: Facts | None = None) -> Translation:
    reading = command_text.read(text)
    assert reading.kind == "call", reading
    if reading.call is None:
        assert reading.reason
        return watched(reading.reason)
    return translate(reading.call, facts or Known(), Names(), "a-job")


@pytest.mark.parametrize("piece", ["/* ", "/* '", "--", "$a{}$ ", "'", "$a$'"], ids=range(6))
def test_no_body_is_looked_at_for_long(piece: str) -> None:
    body = "".join(piece.replace("{}", str(number)) for number in range(100_000 // len(piece)))
    with inputs.within():
        found.calling([("f", f"{body}\n perform net.http_post('x')"), ("g", "select f()")])


# what pg_net waits where the text does not say how long
PLAIN: dict[str, Any] = {"function": "report", "timeout": "5s"}
FULL = {**PLAIN, "body": {"full": True}}
SAME_CALL = {
    "named with :=": f"select net.http_post(url := {VAULT_URL} || '/functions/v1/report',"
    f" headers := jsonb_build_object('Authorization', 'Bearer ' || {VAULT_KEY}), body := '{{\"full\": true}}'::jsonb)",
    "named with =>": f"select net.http_post(url => '{URL}/functions/v1/report',"
    f" headers => jsonb_build_object('Authorization', 'Bearer ' || {VAULT_KEY}),"
    " body => jsonb_build_object('full', true)) as request_id;",
    "by position": f"select net.http_post('{URL}//functions/v1/report', '{{\"full\": true}}', '{{}}'::jsonb,"
    f" jsonb_build_object('Content-Type', 'application/json', 'Authorization', concat('Bearer ', {VAULT_KEY})))",
    "format": f"select net.http_post(url := format('%s/functions/v1/%s', {VAULT_URL}, 'report'), headers :="
    f' format(\'{{"Authorization": "Bearer %s"}}\', {VAULT_KEY})::jsonb, body := \'{{"full": true}}\')',
    "joined headers": f"select net.http_post(url := '{URL}/functions/v1/report', headers :="
    " '{\"Content-Type\": \"application/json\"}'::jsonb || jsonb_build_object('Authorization',"
    f" 'Bearer ' || {VAULT_KEY}), body := '{{\"full\":true}}'::jsonb)",
    "from the vault": "select net.http_post(url := u.decrypted_secret || '/functions/v1/report', headers :="
    " jsonb_build_object('Authorization', 'Bearer ' || k.decrypted_secret), body := '{\"full\": true}'::jsonb)"
    " from vault.decrypted_secrets u, vault.decrypted_secrets k"
    " where u.name = 'project_url' and k.name = 'service_role_key'",
    "a common table": f"with s as (select {VAULT_URL} as url, {VAULT_KEY} as key) select net.http_post(url := s.url ||"
    " '/functions/v1/report', headers := jsonb_build_object('Authorization', 'Bearer ' || s.key),"
    " body := '{\"full\": true}'::jsonb) from s",
    "common tables, one of another": f"with s as (select {VAULT_URL} as url), k as (select {VAULT_KEY} as key), sent as"
    " (select net.http_post(url := s.url || '/functions/v1/report', headers := jsonb_build_object('Authorization',"
    " 'Bearer ' || (select key from k)), body := '{\"full\": true}'::jsonb) as id from s) select id from sent",
    "the guide's table": "select net.http_post(url := (select secret from public.pg_cron_secrets where name ="
    " 'project_url') || '/functions/v1/report', headers := jsonb_build_object('Authorization', 'Bearer ' || (select"
    " secret from public.pg_cron_secrets where name = 'service_role_key')), body := '{\"full\": true}'::jsonb)",
    "a block": f"do $$ begin perform net.http_post(url := '{URL}/functions/v1/report', headers :="
    f" jsonb_build_object('Authorization', 'Bearer ' || {VAULT_KEY}), body := '{{\"full\": true}}'::jsonb); end $$;",
    "a block with variables": f"""
do $job$
declare
    v_url text := '{URL}/functions/v1/';
    v_key text;
    v_id bigint;
begin
    select decrypted_secret into v_key from vault.decrypted_secrets where name = 'service_role_key' limit 1;
    if v_key is null then
        raise warning 'no key';
        return;
    end if;
    v_url := v_url || 'report';
    select net.http_post(url := v_url, headers := jsonb_build_object('Authorization', 'Bearer ' || v_key),
        body := jsonb_build_object('full', true)) into v_id;
    raise log 'request %', v_id;
exception when others then
    raise warning 'failed: %', sqlerrm;
end
$job$""",
    "a block that calls when its secrets are there": "do $$ declare u text; k text; begin select decrypted_secret into"
    " u from vault.decrypted_secrets where name = 'project_url'; select decrypted_secret into k from"
    " vault.decrypted_secrets where name = 'service_role_key'; if u is not null and length(k) > 0 then perform"
    " net.http_post(url := u || '/functions/v1/report', headers := jsonb_build_object('Authorization', 'Bearer ' || k),"
    " body := '{\"full\": true}'::jsonb); else raise warning 'no key'; end if; end $$",
    "the extension http": f"select status from extensions.http(('POST', '{URL}/functions/v1/report', array[extensions"
    f".http_header('Authorization', 'Bearer ' || {VAULT_KEY})], 'application/json',"
    " '{\"full\": true}')::extensions.http_request)",
    "functions of their own host": f"select net.http_post(url := 'https://{keys.PROJECT_REF}.functions.supabase.co/"
    f"report', headers := jsonb_build_object('Authorization', 'Bearer ' || {VAULT_KEY}),"
    " body := '{\"full\": true}'::jsonb)",
}


@pytest.mark.parametrize("text", SAME_CALL.values(), ids=SAME_CALL)
def test_a_call_is_the_same_table_however_it_is_written(text: str) -> None:
    made = _translated(text)
    assert (made.table, made.reason) == (FULL, None)
    assert [(take.name, take.kind) for take in made.takes] == [("service_role_key", "service")]


def _post(address: str = f"'{URL}/functions/v1/report'", headers: str | None = None, more: str = "") -> str:
    shown = headers or f"jsonb_build_object('Authorization', 'Bearer ' || {VAULT_KEY})"
    return f"select net.http_post(url := {address}, headers := {shown}{more})"


def _shown(header: str, prefix: str = "") -> dict[str, str]:
    return {"secret": "service_role_key", "header": header} | ({"prefix": prefix} if prefix else {})


def _keys(**headers: str) -> str:
    """Return headers that show stored secrets, given by name with what comes before it."""
    shown = []
    for header, text in headers.items():
        scheme, _, name = text.rpartition(" ")
        stored = f"(select decrypted_secret from vault.decrypted_secrets where name = '{name}')"
        shown.append(f"'{header}', '{scheme} ' || {stored}" if scheme else f"'{header}', {stored}")
    return f"jsonb_build_object({', '.join(shown)})"


TIMED = ", body := jsonb_build_object('at', {})"
# a text, and what its table has beside or instead of what is plain
DETAILS: dict[str, tuple[str, dict[str, Any]]] = {
    "query and sub-path": (
        _post(f"'{URL}/functions/v1/sync/stats?mode=daily'"), {"function": "sync/stats?mode=daily"}
    ),
    "query by params": (
        _post(more=""", params := '{"mode": "a b"}'::jsonb"""), {"function": "report?mode=a+b"}
    ),
    "timeout": (_post(more=", timeout_milliseconds := 120000"), {"timeout": "120s"}),
    "timeout in minutes": (_post(more=", timeout_milliseconds := 2 * 60 * 1000"), {"timeout": "120s"}),
    "timeout in quotes": (_post(more=", timeout_milliseconds := '120000'"), {"timeout": "120s"}),
    "own header": (
        _post(headers=f"jsonb_build_object('x-region', 'eu', 'Authorization', 'Bearer ' || {VAULT_KEY})"),
        {"headers": {"x-region": "eu"}},
    ),
    "the time in its body": (_post(more=""", body := concat('{"time": "', now(), '"}')::jsonb"""), {}),
    "the time in another zone": (_post(more=TIMED.format("(now() at time zone 'utc')::text")), {}),
    "a date that is written": (_post(more=TIMED.format("'2024-01-31'::date")), {"body": {"at": "2024-01-31"}}),
    "GET": (
        f"select net.http_get('{URL}/functions/v1/report', headers => jsonb_build_object('Authorization',"
        f" 'Bearer ' || {VAULT_KEY}))",
        {"method": "GET"},
    ),
    "another host without a secret": (
        "select net.http_get('https://example.com/api/cron?job=1')",
        {"function": None, "url": "https://example.com/api/cron?job=1", "method": "GET", "auth": "none"},
    ),
    "another host with a secret": (
        _post("'https://example.com/api/cron'", "jsonb_build_object('x-cron-token', (select value from app.settings"
              " where key = 'cron token'))"),
        {"function": None, "url": "https://example.com/api/cron",
         "auth": {"secret": "cron_token", "header": "x-cron-token"}},
    ),
    "a setting": (
        _post(headers="json_build_object('Authorization', 'Bearer ' || current_setting('app.s.job_token', true))"),
        {"auth": {"secret": "job_token", "header": "Authorization", "prefix": "Bearer "}},
    ),
    "a pasted secret": (
        _post(headers="""'{"x-cron-secret": "s3cr3t-of-ours"}'::jsonb"""),
        {"auth": {"secret": "x_cron_secret", "header": "x-cron-secret"}},
    ),
    "a secret under a name that says nothing": (
        _post(headers="""'{"x-automation": "KfkI8gHgXJpM4fFlcX7SuqDFl6jj"}'::jsonb"""),
        {"auth": {"secret": "x_automation", "header": "x-automation"}},
    ),
    "and in digits": (
        _post(headers="""'{"x-hook": "b7f0c3a91d5e4f60a2c48e9d71f3b605"}'::jsonb"""),
        {"auth": {"secret": "x_hook", "header": "x-hook"}},
    ),
    "headers that only resemble secrets": (
        _post(headers="jsonb_build_object('x-tenant', 'KfkI8gHgXJpM4fFlcX7SuqDFl6jj', 'x-commit',"
              " '9fceb02d0ae598e95dc970b74767f19372d61af8', 'x-run', '0b9f8e34-1d0c-4f3e-9a52-2f1f5c9f2a11', 'x-job',"
              f" 'NightlyBatch-2025-v1-Full', 'Authorization', 'Bearer ' || {VAULT_KEY})"),
        {"headers": {"x-tenant": "KfkI8gHgXJpM4fFlcX7SuqDFl6jj", "x-commit": "9fceb02d0ae598e95dc970b74767f19372d61af8",
                     "x-run": "0b9f8e34-1d0c-4f3e-9a52-2f1f5c9f2a11", "x-job": "NightlyBatch-2025-v1-Full"}},
    ),
    "JSON in a table": (
        _post(headers="jsonb_build_object('x-cron-token', (select value #>> '{}' from app.settings where key ="
              " 'cron'))"),
        {"auth": {"secret": "cron", "header": "x-cron-token"}},
    ),
    "within JSON in the vault": (
        _post(headers="jsonb_build_object('x-cron-token', (select decrypted_secret::jsonb ->> 'cron' from"
              " vault.decrypted_secrets where name = 'tokens'))"),
        {"auth": {"secret": "tokens", "header": "x-cron-token"}},
    ),
    "a publishable key in both": (
        _post(headers=_keys(apikey="published", Authorization="Bearer published")),
        {"auth": {"secret": "anon_key", "header": "apikey"}},
    ),
    "a scheme of its own": (
        _post(headers="""'{"Authorization": "ApiKey abcd-1234-efgh"}'::jsonb"""),
        {"auth": {"secret": "authorization", "header": "Authorization", "prefix": "ApiKey "}},
    ),
    "a secret of the vault by its id": (
        _post(headers="jsonb_build_object('x-cron-token', (select decrypted_secret from vault.decrypted_secrets where"
              " id = '6f2b54ac-0f4e-4e51-9d6c-3c7a5f0a1b2c'::uuid))"),
        {"auth": {"secret": "x_cron_token", "header": "x-cron-token"}},
    ),
    "a new key as bearer": (_post(headers=_keys(Authorization="Bearer new_key")),
                            {"auth": _shown("Authorization", "Bearer ")}),
    "a new key as apikey": (_post(headers=_keys(apikey="new_key")), {}),
    "a new key in both": (_post(headers=_keys(apikey="new_key", Authorization="Bearer new_key")), {}),
    "a legacy key as apikey": (_post(headers=_keys(apikey="service_role_key")), {"auth": _shown("apikey")}),
    "words that only resemble secrets": (
        _post(headers=f"jsonb_build_object('x-author', 'cron', 'x-cache-key', 'daily', 'Authorization', 'Bearer ' ||"
              f" {VAULT_KEY})", more=", body := '{\"author\": \"system\", \"key\": \"daily\", \"pass\": \"first\"}'"),
        {"headers": {"x-author": "cron", "x-cache-key": "daily"},
         "body": {"author": "system", "key": "daily", "pass": "first"}},
    ),
    "numbers of any size": (
        _post(more=", body := jsonb_build_object('tenant', 90071992547409931, 'chat', -1001234567890, 'ratio', 0.10,"
              " 'text', 0.10::text)"),
        {"body": {"tenant": 90071992547409931, "chat": -1001234567890, "ratio": 0.1, "text": "0.10"}},
    ),
    "format": (_post(more=", body := jsonb_build_object('a', format('%2$s %s 100%%', 1, 'b', 'c'))"),
               {"body": {"a": "b c 100%"}}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "table"), DETAILS.values(), ids=DETAILS)
def test_what_a_call_says_besides_is_kept(text: str, table: dict[str, Any]) -> None:
    made = _translated(text)
    wanted = {key: value for key, value in (PLAIN | table).items() if value is not None}
    assert (made.table, made.reason) == (wanted, None)


# a text, and what is said of it
NOTED = {
    "the time": (_post(more=TIMED.format("current_timestamp")), "the time of the call (at), which is left out"),
    "too short": (_post(more=", timeout_milliseconds := 500"), "its timeout of 500 ms becomes 1s, the shortest"),
    "too long": (_post(more=", timeout_milliseconds := 900000"), "its timeout of 900000 ms becomes 600s, the longest"),
    "the key twice": (
        _post(headers=_keys(Authorization="Bearer service_role_key", apikey="service_role_key")),
        "its header apikey is left out: it shows the service key a second time",
    ),
    "a public key beside it": (
        _post(headers=_keys(Authorization="Bearer service_role_key", apikey="anon")),
        "its header apikey is left out: it shows a public key",
    ),
    "one that is written": (
        _post(headers=f"jsonb_build_object('Authorization', 'Bearer ' || {VAULT_KEY}, 'apikey',"
              f" '{keys.secret().reveal().replace('secret', 'publishable')}')"),
        "its header apikey is left out: it shows a public key",
    ),
    "a public key for the gateway": (
        _post(headers=_keys(apikey="anon", **{"x-cron-token": "cron_token"})),
        "its header apikey with a public key becomes Authorization: Bearer",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "note"), NOTED.values(), ids=NOTED)
def test_what_becomes_of_the_rest_is_noted(text: str, note: str) -> None:
    made = _translated(text)
    assert made.reason is None
    assert any(note in one for one in made.notes), made.notes


def test_a_stored_secret_keeps_its_name_and_what_equals_it_gets_that() -> None:
    stored = {"x_token": "of another", "partner": "a"}
    names = Names(
        stored, lambda source: {"x-token": "b", "x-other": "a"}.get(source.name) if isinstance(source, Origin) else None
    )
    found = [names.name("x-token", Origin("setting", name), "a-job") for name in ("x-token", "x-other", "x-token")]
    assert found == ["a_job_x_token", "partner", "a_job_x_token"]


def test_a_secret_that_is_pasted_twice_is_stored_once() -> None:
    names = Names()
    texts = [_post(headers=f"""'{{"{header}": "s3cr3t-of-ours"}}'::jsonb""") for header in ("x-a-token", "x-b-token")]
    made = [translate(call, Known(), names, "a-job") for text in texts if (call := command_text.read(text).call)]
    assert [one.table["auth"]["secret"] for one in made] == ["x_a_token", "x_a_token"]


def test_a_pasted_key_is_taken_and_never_shown() -> None:
    key = keys.secret()
    text = _post(headers=f"""'{{"apikey": "{key.reveal()}"}}'::jsonb""")
    made = _translated(text)
    assert made.table == PLAIN
    assert [take.source for take in made.takes] == [key]
    assert key.reveal() not in repr(made)
    assert key.reveal() not in importing.toml([_imported(text, made)])


def test_a_public_key_beside_a_secret_becomes_the_gateways() -> None:
    headers = (
        "jsonb_build_object('Authorization', 'Bearer ' || (select decrypted_secret from vault.decrypted_secrets where"
        " name = 'anon'), 'x-cron-token', current_setting('app.cron_token'))"
    )
    made = _translated(_post(headers=headers), Known(kinds={"anon": "public"}))
    assert made.table["auth"] == {"secret": "cron_token", "header": "x-cron-token"}
    assert [take.name for take in made.takes] == ["cron_token", "gateway_key"]


WATCHED = {
    "each row": "select net.http_post(url := w.url) from webhooks as w",
    "for each row": _post() + " from app.accounts where active",
    "a condition": _post() + " where exists (select from app.work)",
    "case": "select case when extract(hour from now()) = 3 then net.http_post(url := 'https://a.example/x') end",
    "two calls": f"{_post()}; {_post()}",
    "more than a call": f"{_post()}; delete from app.work",
    "a loop": "do $$ begin for i in 1..3 loop perform net.http_post('https://a.example/x'); end loop; end $$",
    "a decision": "do $$ begin if now() > 'today' then perform net.http_post('https://a.example'); else perform"
    " net.http_post('https://b.example'); end if; end $$",
    "what is done besides, when a key is there": "do $$ declare k text; begin select decrypted_secret into k from"
    " vault.decrypted_secrets where name = 'service_role_key'; if k is not null then insert into app.l values (1);"
    f" perform net.http_post('{URL}/functions/v1/report', headers := jsonb_build_object('apikey', k)); end if; end $$",
    "made SQL": "do $$ begin execute 'select net.http_post(''https://a.example/x'')'; end $$",
    "a notification": f"notify a; {_post()}",
    "an insert": "insert into app.log select net.http_post('https://a.example/x')",
    "a body that is read": _post(more=", body := (select to_jsonb(t) from app.t)"),
    "a body with a secret": _post(more=f", body := jsonb_build_object('token', {VAULT_KEY})"),
    "a query with a key": _post(f"'{URL}/functions/v1/report?key=0123456789abcdef'"),
    "a list as body": _post(more=", body := '[1, 2]'::jsonb"),
    "a body with null": _post(more=", body := '{\"a\": null}'::jsonb"),
    "a time before": _post(more=TIMED.format("now() - interval '65 minutes'")),
    "a month": _post(more=TIMED.format("to_char(now(), 'YYYY-MM')")),
    "today": _post(more=TIMED.format("current_date")),
    "the day of now": _post(more=TIMED.format("now()::date")),
    "a day by its name": _post(more=TIMED.format("'yesterday'::date")),
    "an hour": _post(more=TIMED.format("date_trunc('hour', now())")),
    "seconds": _post(more=TIMED.format("extract(epoch from now())::bigint")),
    "the time within a text": _post(more=TIMED.format("'run ' || now()")),
    "a body with more digits than TOML has": _post(more=TIMED.format("0.1234567890123456789")),
    "a body with a larger number than TOML has": _post(more=TIMED.format("18446744073709551616")),
    "a number that is rounded": _post(more=TIMED.format("3.7::integer")),
    "a list of a text": _post(more=TIMED.format("'{a,b}'::text[]")),
    "a width": _post(f"format('{URL}/functions/v1/%5s', 'ab')"),
    "a body with the secret of a header": _post(
        headers="""'{"x-cron-secret": "s3cr3t-of-ours"}'::jsonb""", more=", body := '{\"by\": \"s3cr3t-of-ours\"}'"
    ),
    "a secret with blanks": _post(headers="""'{"Authorization": "Digest username=\\"a\\", realm=\\"b\\""}'::jsonb"""),
    "rows of a common table": f"with w as (select url from webhooks) {_post()} from w",
    "rows of what another statement returns": f"with w as (insert into app.log default values returning id) {_post()}"
    " from w",
    "an address without a slash": _post("'https://example.com' || 'functions/v1/report'"),
    "DELETE": f"select net.http_delete('{URL}/functions/v1/report')",
    "a secret of a function": _post(headers="jsonb_build_object('Authorization', public.get_key())"),
    "a placeholder": _post(headers="""'{"Authorization": "Bearer YOUR_ANON_KEY"}'::jsonb"""),
    "the name of a variable": _post(headers="""'{"Authorization": "Bearer MISSING_SERVICE_KEY"}'::jsonb"""),
    "and of another": _post(headers="""'{"x-api-key": "[CRON_API_KEY]"}'::jsonb"""),
    "what is to be pasted": _post(headers="""'{"x-api-key": "paste-it-here"}'::jsonb"""),
    "part of what JSON in a table has": _post(
        headers="jsonb_build_object('x-a-token', (select (value -> 'a')::text from app.t where key = 'b'))"
    ),
    "the project's key elsewhere": _post("'https://example.com/api'"),
    "two secrets": _post(headers="jsonb_build_object('x-a-token', current_setting('app.a'), 'x-b-token',"
                         " current_setting('app.b'))"),
    "an address that is a secret": _post("current_setting('app.hook')", "'{}'::jsonb"),
    "a web hook": _post("'https://hooks.slack.com/services/T0A/B0C/8f3kd92jf02kd8s7'", "'{}'::jsonb"),
    "a bot's address": _post("'https://api.telegram.org/bot1234567:8f3kd92jf02kd8s7/sendMessage'", "'{}'::jsonb"),
    "a user before the host": _post("'https://etl:8f3kd92jf02kd8s7@a.example/run'", "'{}'::jsonb"),
    "a template in place of a key": _post(headers="""'{"Authorization": "Bearer ${SERVICE_KEY}"}'::jsonb"""),
    "no address": _post("null"),
    "half a bracket": _post("'https://h]x.supabase.co/functions/v1/report'", "'{}'::jsonb"),
    "half a bracket elsewhere": _post("'https://[a.example/x'", "'{}'::jsonb"),
    "a bracket of no address": _post("'https://[h].example/x'", "'{}'::jsonb"),
    "half a bracket behind what is read": _post("current_setting('app.hook') || ']@[x'", "'{}'::jsonb"),
    "a form": "select extensions.http_post('https://a.example/x', jsonb_build_object('a', 1))",
}  # fmt: skip


@pytest.mark.parametrize("text", WATCHED.values(), ids=WATCHED)
def test_what_settings_cannot_say_is_watched_with_the_reason(text: str) -> None:
    made = _translated(text)
    assert made.table == {"watch": True}
    assert made.reason


CALL = _post().removeprefix("select ")
KEY = "select decrypted_secret into k from vault.decrypted_secrets where name = 'service_role_key'; "
GUARDED = f"do $$ declare k text; begin {KEY}{{}} perform net.http_post('{URL}/functions/v1/report', headers :=" + (
    " jsonb_build_object('Authorization', 'Bearer ' || k)); end $$"
)
# a text, and what would be lost if only its call was made
BESIDE = {
    "a decision": (f"do $$ begin if now() > 'today' then perform {CALL}; end if; end $$", "on a condition"),
    "work that is there": (
        f"do $$ begin if exists (select from app.work) then perform {CALL}; end if; end $$",
        "on a condition",
    ),
    "another column": (f"{_post()}, app.log('x')", "calls the function app.log as well"),
    "a column before it": (f"select pg_notify('a', 'b'), {CALL}", "calls the function pg_notify as well"),
    "around it": (f"select app.log(r.id) from ({_post()} as id) as r", "calls the function app.log as well"),
    "of what it returns": (f"select app.log(id) from {CALL} as id", "calls the function app.log as well"),
    "its order": (f"{_post()} as id order by app.log('x')", "calls the function app.log as well"),
    "a common table that writes": (f"with l as (insert into app.log default values) {_post()}", "does more"),
    "a common table that calls": (f"with l as (select app.log('x')) {_post()}", "calls the function app.log as well"),
    "into a table": (f"{_post()} as id into app.requests", "does more"),
    "a lock": (f"{_post()} from app.t where id = '1' for update", "locks rows"),
    "having": (f"{_post()} having count(*) > 0", "on a condition"),
    "a default": (f"do $$ declare v bigint := app.log('x'); begin perform {CALL}; end $$", "app.log as well"),
    "an assignment": (f"do $$ declare v bigint; begin v := app.log('x'); perform {CALL}; end $$", "app.log as well"),
    "a row that is written": (
        f"do $$ declare v int; begin insert into app.runs default values returning id into v; perform {CALL}; end $$",
        "does more",
    ),
    "what it says": (f"do $$ begin raise notice '%', app.log('x'); perform {CALL}; end $$", "app.log as well"),
    "work that there is not": (
        f"do $$ begin if not exists (select from app.work) then return; end if; perform {CALL}; end $$",
        "on a condition",
    ),
    "work that is counted": (
        "do $$ declare n int; begin select count(*) into n from app.work; if n = 0 then return; end if;"
        f" perform {CALL}; end $$",
        "on a condition",
    ),
    "work that is looked for": (
        "do $$ declare v int; begin select id into v from app.work limit 1; if not found then return; end if;"
        f" perform {CALL}; end $$",
        "on a condition",
    ),
    "a flag": (
        "do $$ declare v text; begin select value into v from app.flags where name = 'sync'; if v <> 'on' then"
        f" return; end if; perform {CALL}; end $$",
        "on a condition",
    ),
    "a lock of its own": (
        f"do $$ begin if not pg_try_advisory_lock(1) then return; end if; perform {CALL}; end $$",
        "on a condition",
    ),
    "an hour": (
        f"do $$ begin if extract(hour from now()) <> 3 then raise exception 'x'; end if; perform {CALL}; end $$",
        "on a condition",
    ),
    "a condition of no known form": (
        "do $$ declare r record; begin if r.* is null or length() = 0 or r.* then return; end if;"
        f" perform {CALL}; end $$",
        "on a condition",
    ),
    "an assertion": (f"do $$ begin assert (select count(*) from app.t) > 0; perform {CALL}; end $$", "on a condition"),
    "a failure that is written": (
        f"do $$ begin perform {CALL}; exception when others then insert into app.e values (sqlerrm); end $$",
        "when its call fails",
    ),
}
NOTHING_BESIDE = {
    "other columns": f"{_post()}, now() as at, to_char(now(), 'YYYY') as year",
    "a guard of its key": GUARDED.format("if k is null then raise exception 'no key'; end if;"),
    "a guard by found": GUARDED.format("if not found then raise exception 'no key'; end if;"),
    "a guard of an empty key": GUARDED.format("if coalesce(k, '') = '' or length(trim(k)) = 0 then return; end if;"),
    "a guard by exists": GUARDED.format(
        "if not exists (select 1 from vault.decrypted_secrets where name = 'service_role_key') then return; end if;"
    ),
    "a guard of the extension": GUARDED.format(
        "if not exists (select from pg_extension where extname = 'pg_net') then raise exception 'no pg_net'; end if;"
    ),
    "a word on a condition": GUARDED.format("if extract(hour from now()) > 3 then raise notice 'late'; end if;"),
    "what it returns is said": f"do $$ declare v bigint; t timestamptz := clock_timestamp(); begin v := {CALL};"
    " raise log '% after %', v, clock_timestamp() - t; exception when others then raise warning '%', sqlerrm; end $$",
}


@pytest.mark.parametrize(("text", "reason"), BESIDE.values(), ids=BESIDE)
def test_a_call_is_watched_where_it_is_not_all_that_a_text_does(text: str, reason: str) -> None:
    reading = command_text.read(text)
    assert reading.call is not None
    assert reason in (reading.beside or "")


@pytest.mark.parametrize("text", NOTHING_BESIDE.values(), ids=NOTHING_BESIDE)
def test_a_guard_of_what_a_call_needs_is_nothing_beside_it(text: str) -> None:
    reading = command_text.read(text)
    assert (reading.call is not None, reading.beside) == (True, None)


@pytest.mark.parametrize("ends", ["return;", "raise exception 'off';"])
def test_a_call_that_is_never_reached_is_none(ends: str) -> None:
    assert command_text.read(f"do $$ begin {ends} perform {CALL}; end $$").kind == "sql"


def test_a_missing_secret_is_named() -> None:
    made = _translated(_post(), Known(kinds={"service_role_key": "missing"}))
    assert made.reason == "its header Authorization comes from the vault's service_role_key, which is not there"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("select app.cleanup()", "sql"),
        ("delete from t where at < now() - interval '7 days'", "sql"),
        ("do $$ begin delete from t; for i in 1..2 loop perform f(i); end loop; end $$", "sql"),
        ("vacuum", "sql"),
        ("select autosync.dispatch()", "autosync"),
        ("selct 1", "unknown"),
        ("select " + "1 + " * 20000 + "1", "unknown"),
        ("", "sql"),
    ],
)
def test_other_texts_are_no_calls(text: str, kind: str) -> None:
    reading = command_text.read(text)
    assert (reading.kind, reading.call) == (kind, None)


def _imported(text: str, made: Translation, **table: Any) -> importing.Imported:
    job = FoundJob(7, "a-job", "0 6 * * *", text, True, "postgres", "postgres")
    return importing.Imported("a-job", job, "call", made.table | table, made.takes, made.notes, made.reason, made)


def test_tables_are_toml_whatever_they_hold() -> None:
    text = "select '''\n\"x\"\\\x7f' || $$it''s$$\nfrom \"T\"'"
    table = {"schedule": "0 6 * * *", "sql": text, "body": {"a b": [1, 2.5, {"é": "\x01"}], "z": {}}, "enabled": False}
    made = importing.toml([_imported("", Translation({}, notes=("a note",)), **table)])
    assert tomllib.loads(made) == {"jobs": {"a-job": table}}
    long = 'begin;\n  delete from "t";\ncommit;'
    assert tomllib.loads(importing.toml([_imported("", Translation({"sql": long}))])) == {
        "jobs": {"a-job": {"sql": long}}
    }
