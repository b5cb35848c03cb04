"""Credentials of no known form, by the names that they are written out under: Python and the database judge alike."""

import psycopg
import pytest

from autosync_db.supabase import opaque
from tests.support import clusters, keys

_VALUE = "8f3kd92jf02kd8s7"
FOUND = {
    "JSON": f'\'{{"Content-Type": "application/json", "Authorization": "Bearer {_VALUE}"}}\'::jsonb',
    "JSON in a literal": f"execute 'select f(''{{\"apikey\":\"{_VALUE}\"}}'')'",
    "arguments": f"jsonb_build_object('Content-Type', 'application/json', 'x-cron-secret', '{_VALUE}')",
    "arguments in a literal": f"'jsonb_build_object(''X-Webhook-Token'', ''{_VALUE}'')'",
    "with a cast": f"json_build_object('apikey'::text, E'{_VALUE}')",
    "words": "'x-cron-secret', 'correct-horse-battery-staple'",
    "other characters": "'x-internal-key', 'S3cret!of#ours'",
    "basic": "'Authorization', 'Basic dXNlcjpwYXNzd29yZA=='",
    "joined": f"'Authorization', 'Bearer ' || '{_VALUE}'",
    "concatenated": f"'Authorization', concat('Bearer ', '{_VALUE}')",
    "formatted": f"'Authorization', format('Bearer %s', '{_VALUE}')",
    "of the extension http": f"extensions.http_header('Authorization', 'Bearer {_VALUE}')",
    "?key=": f"net.http_get('https://x.example/f?key={_VALUE}')",
    "&token=": f"'https://x.example/f?mode=daily&access_token={_VALUE}&n=1'",
    "?secret= joined": f"'https://x.example/f?secret=' || '{_VALUE}'",
    "in the body": f'body := \'{{"cron_secret": "{_VALUE}"}}\'',
    "a declared variable": f"declare api_key constant text := '{_VALUE}';",
    "a private token": f"'PRIVATE-TOKEN', '{_VALUE}'",
    "a subscription": f'\'{{"Ocp-Apim-Subscription-Key": "{_VALUE}"}}\'',
    "a way around": f"'x-vercel-protection-bypass', '{_VALUE}'",
    "a cookie": f"'Cookie', 'lang=en; session={_VALUE}'",
    "before the host": f"net.http_get('https://etl:{_VALUE}@x.example/run')",
    "a web hook": f"'https://hooks.slack.com/services/T0A1/B0C2/{_VALUE}'",
    "another": f"'https://discord.com/api/webhooks/1122334455/{_VALUE}'",
    "of an office": f"'https://x.webhook.office.com/webhookb2/{_VALUE}'",
    "of Zapier": f"'https://hooks.zapier.com/hooks/catch/12345/{_VALUE}'",
    "of Make": f"'https://hook.eu1.make.com/{_VALUE}'",
    "of IFTTT": f"'https://maker.ifttt.com/trigger/it_ran/with/key/{_VALUE}'",
    "a bot": f"'https://api.telegram.org/bot1234567:{_VALUE}/sendMessage'",
    "a form": f'body := \'{{"with": "{"_".join(["sk", "live", _VALUE])}"}}\'',
    "formatted as JSON": f"format('{{\"x-api-key\":\"%s\"}}', '{_VALUE}')::jsonb",
    "two lists": f"jsonb_object(array['x-api-key'], array['{_VALUE}'])",
    "of another service": f"'DD-API-KEY', '{_VALUE}'",
    "a setting": f"set_config('app.cron_secret', '{_VALUE}', true)",
    "?pwd=": f"'https://x.example/f?pwd={_VALUE}'",
    "?cron_key=": f"'https://x.example/f?mode=daily&cron_key={_VALUE}'",
    "?x-functions-key=": f"'https://x.example/f?x-functions-key={_VALUE}'",
    "?jwt=": f"'https://x.example/f?jwt={_VALUE}'",
    "percents": "'https://x.example/f?key=8f3k%2Fd92jf02k%3D%3D'",
    "of a role": f"alter role app password '{_VALUE}'",
    "a named argument": f"select call_it(secret => '{_VALUE}')",
    "a variable of a size": f"declare v_secret character varying(80) default '{_VALUE}';",
    "a key of any name": f"declare _key text := '{_VALUE}{_VALUE}';",
    "a key of the service": f"declare v_service_key constant text = '{_VALUE}{_VALUE}';",
    "put into the vault": f"perform vault.create_secret('{_VALUE}', 'partner_key');",
    "put into the vault by name": f'select "vault"."create_secret" (E\'{_VALUE}\')',
    "replaced in the vault": f"vault.update_secret((select id from vault.secrets where name = 'x'), '{_VALUE}')",
    "a passphrase": f"pgp_sym_encrypt(new.note, '{_VALUE}', 'cipher-algo=aes256')",
    "a passphrase of words": "extensions.pgp_sym_decrypt(t.note, 'correct-horse-battery-staple')::text",
    "a passphrase behind a call": f"pgp_sym_encrypt_bytea(convert_to(v, 'UTF8'), '{_VALUE}')",
    "compared": f"if headers->>'x-cron-secret' <> '{_VALUE}' then",
    "compared in JSON": f"if (current_setting('request.headers')::json->>'authorization') = 'Bearer {_VALUE}' then",
}
HEALTHY = {
    "from the vault": "'Authorization', 'Bearer ' || (select decrypted_secret from vault.decrypted_secrets where name = 'k')",  # noqa: E501
    "a parameter to the vault": "perform vault.create_secret(new_secret_2024, 'partner_key_2024', 'of the year 2024')",
    "an address to the vault": "select vault.create_secret('https://abcdefghijklmnopqrs1.supabase.co', 'project_url')",
    "a placeholder to the vault": "select vault.create_secret('YOUR_SERVICE_ROLE_KEY_1', 'service_role_key')",
    "a new name in the vault": "select vault.update_secret(v_id, v_secret_2024, 'partner_key_2024')",
    "a passphrase that is read": "pgp_sym_encrypt(v, current_setting('app.passphrase_2024'), 'cipher-algo=aes256')",
    "a default of what is encrypted": "pgp_sym_encrypt(coalesce(v, 'nothing-since-2024'), v_passphrase)",
    "from a setting": "'x-cron-secret', current_setting('app.cron_secret_2024', true)",
    "read": "'apikey', autosync.read_secret('service_role_key')",
    "a variable": "'Authorization', 'Bearer ' || v_token_2024",
    "a parameter that is read": "'https://x.example/f?token=' || (select token1 from t)",
    "placeholders": "'Authorization', 'Bearer YOUR_SERVICE_ROLE_KEY_1'; 'x-api-key', '<api-key-123456>'",
    "a short parameter": "'https://x.example/f?key=daily'",
    "masked": "'x-api-key', '***'",
    "templates": "'Authorization', 'Bearer ${SERVICE_ROLE_KEY_2024}'; 'x-api-key', '{{api_key_2024}}'",
    "a web hook of a manual": f"'https://hooks.slack.com/services/T00/B00/{'X' * 24}', 'https://hooks.slack.com/services/YOUR/WEBHOOK/URL'",
    "a bot that is read": "'https://api.telegram.org/bot' || (select token1 from t) || '/getMe'",
    "a user alone": "'https://etl@x.example/run'; 'https://x.example:8443/@me'",
    "other cookies": "'Cookie', 'theme=dark-2024-of-the-house'",
    "tokens of pages": "'next-token', 'after-2024-01-01-and-more'; 'page-token', '0123456789abcdef'",
    "names that begin alike": "select re_calculate_2024_everything(); select sk_live_view_of_2024()",
    "short words": "'apikey', 'true'; 'x-api-key', 'v1'; 'Authorization', 'Bearer undefined'",
    "names of headers": "array['authorization', 'apikey', 'content-type', 'x-client-info']",
    "words of a table": "check (kind in ('password', 'magiclink', 'one_time_token', 'authenticator'))",
    "other headers": "'Idempotency-Key', 'daily-2024-01-01'; 'x-cache-key', 'report-2024-01'",
    "other parameters": "'https://x.example/f?monkey=abcdefghij1234&mode=full-2024-report'",
    "a name of a secret": "'secret_name', 'partner_key_2024'; where name = 'cron_secret_of_2024'",
    "public keys": f"'apikey', 'sb_publishable_{'a1' * 11}'; 'apikey', '{keys.legacy('anon').reveal()}'",
    "data": "'https://x.example/f?code=4242'; '{\"token\": \"optional\", \"password\": \"required\"}'",
    "keys of other things": "declare v_key text := 'app_settings_v2_base_url'; cache_key text := 'daily2024report0000';"
    " sort_key text := 'createdAt2024descending00'; primary_key text := 'aaaaaaaaaaaaaaaaaaaaaaaaa1';",
    "names of variables": "'x-api-key', 'SUPABASE_SERVICE_ROLE_KEY'; 'Authorization', 'Bearer {EDGE_FUNCTION_SECRET}'",
    "another comparison": "if headers->>'x-cron-secret' <> current_setting('app.cron_secret_of_2024') then",
    "a user of a manual": "'https://user:password@x.example/run'",
    "a format": "format('https://x.example/f?key=%s&mode=%s', v_key, 'full-2024-report')",
    "a format of JSON": "format('{\"x-api-key\":\"%s\"}', current_setting('app.api_key_2024'))",
    "lists": "jsonb_object(array['x-api-key', 'x-region'], array[v_key, 'eu-central-1-2024'])",
    "other keys": "'https://x.example/f?sort_key=created_at_2024&page_key=abcdefghij1234'; 'primary_key', 'id_of_2024'",
    "a setting that is read": "current_setting('app.cron_secret')",
    "prose": "comment on table t is 'the bearer authentication-of-2024'; 'basic authentication-required'",
}  # fmt: skip


@pytest.mark.parametrize("what", [*FOUND, *HEALTHY])
def test_a_value_under_a_name_that_carries_credentials_is_found_and_nothing_else(what: str) -> None:
    assert opaque.holds_credential({**HEALTHY, **FOUND}[what]) is (what in FOUND)


def test_the_database_judges_as_python_does(transaction: psycopg.Connection[clusters.Row]) -> None:
    wrong = []
    for text in (*FOUND.values(), *HEALTHY.values()):
        row = transaction.execute("select autosync.holds_credential(%s)", [text]).fetchone()
        if row != (opaque.holds_credential(text),):
            wrong.append(text)
    assert not wrong
