"""`[jobs.NAME]` and `[job]`: what they say, and what is refused when the file is read."""

from datetime import timedelta
from pathlib import Path

import pytest

from autosync_db import config
from autosync_db.config import JobSettings, SecretAuth, Settings
from autosync_db.errors import UsageError
from tests.support import cases, keys


def _settings(text: str) -> Settings:
    Path("autosync.toml").write_text(text)
    return config.load().settings


def _refused(text: str) -> str:
    """Return the message of a file that must be refused."""
    with pytest.raises(UsageError) as caught:
        _settings(text)
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value.message.removeprefix(f"{Path.cwd() / 'autosync.toml'}: ")


CONTRACT = """
[jobs.auto-sync-cron-job]
function = "auto-sync-cron"
schedule = "*/5 * * * *"
timeout = "30s"
drains = "auto_sync_schedules"
invoke = "when_due"
batch_size = 200
max_requests = 4

[jobs.daily-report]
function = "daily-report/sub/path?mode=daily"
schedule = "0  6 * * *"
method = "POST"
body = { full = true, nested = { a = [1, "x"] } }
headers = { x-region = "eu" }
auth = { secret = "partner_token", header = "x-cron-token" }
overlap = "skip"
retry = { attempts = 3, wait = "30s" }
expect = { status = [200, 202], json = { ok = true } }
reports_within = "15m"
enabled = false

[jobs.ping]
url = "https://example.com/api/cron?mode=full&page=2"
schedule = "10 seconds"
method = "GET"

[jobs.nightly-cleanup]
sql = "update app.users set password = null where token = 'none'"
schedule = "0 3 * * *"

[jobs.digest]
watch = true
"""


def test_every_key_of_the_contract_is_read() -> None:
    jobs = _settings(CONTRACT).jobs
    assert {name: (job.name, job.kind) for name, job in jobs.items()} == {
        "auto-sync-cron-job": ("auto-sync-cron-job", "function"),
        "daily-report": ("daily-report", "function"),
        "ping": ("ping", "url"),
        "nightly-cleanup": ("nightly-cleanup", "sql"),
        "digest": ("digest", "watch"),
    }
    guide, report, ping = jobs["auto-sync-cron-job"], jobs["daily-report"], jobs["ping"]
    assert (guide.drains, guide.invoke, guide.batch_size) == ("auto_sync_schedules", "when_due", 200)
    assert (report.function, report.schedule) == ("daily-report/sub/path?mode=daily", "0 6 * * *")
    assert (report.body, report.headers) == ({"full": True, "nested": {"a": [1, "x"]}}, {"x-region": "eu"})
    assert report.auth == SecretAuth(secret="partner_token", header="x-cron-token", prefix="")
    assert report.retry is not None
    assert report.expect is not None
    assert (report.retry.attempts, report.retry.wait) == (3, timedelta(seconds=30))
    assert (report.expect.status, report.expect.json_) == ([200, 202], {"ok": True})
    assert (report.overlap, report.reports_within, report.enabled) == ("skip", timedelta(minutes=15), False)
    assert report.drains is None, "only a job that says so drains"
    assert (ping.method, ping.auth) == ("GET", "none"), "no credential of the project goes elsewhere"


def test_the_short_form_is_the_guides_job_unless_it_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def only(text: str) -> JobSettings:
        [job] = _settings(text).jobs.values()
        return job

    guide = only("[job]\n")
    assert (guide.name, guide.function, guide.schedule) == ("auto-sync-cron-job", "auto-sync-cron", "*/5 * * * *")
    assert guide.drains == "auto_sync_schedules"
    assert guide == only("")
    assert guide == only(
        "[jobs.auto-sync-cron-job]\nfunction = 'auto-sync-cron'\nschedule = '*/5 * * * *'\n"
        "drains = 'auto_sync_schedules'\n"
    ), "the two forms say the same"
    assert guide.model_fields_set == set(), "what was there before keeps what no setting names"
    assert only("[job]\ndrains = 'none'\nname = 'x'\n").drains is None
    assert only("[job]\ninvoke = 'when_due'\n").invoke == "when_due"
    assert only("[job]\n[function]\nauth = 'cron_secret'\n").auth == "cron_secret"
    assert only("[job]\nurl = 'https://example.com/x'\nname = 'x'\n").auth == "none"
    cleanup = only("[job]\nname = 'x'\nsql = 'select 1'\n")
    assert (cleanup.kind, cleanup.function, cleanup.drains) == ("sql", None, None)
    monkeypatch.setenv("AUTOSYNC_JOB__NAME", "by-variable")
    assert list(_settings("[jobs.other]\nwatch = true\n").jobs) == ["by-variable", "other"]


def test_one_job_is_meant_where_one_is_spoken_of() -> None:
    with cases.collected() as case:
        for text, name in (
            ("", "auto-sync-cron-job"),
            ("[job]\nname = 'mine'\n[jobs.auto-sync-cron-job]\nwatch = true\n", "mine"),
            (CONTRACT, "auto-sync-cron-job"),
            ("[jobs.a]\nwatch = true\n[jobs.b]\nfunction = 'b'\nschedule = '* * * * *'\n", "b"),
            (
                "[jobs.b]\nfunction = 'b'\nschedule = '* * * * *'\n"
                "[jobs.c]\nfunction = 'c'\nschedule = '* * * * *'\ndrains = 'auto_sync_schedules'\n",
                "c",
            ),
            ("[jobs.a]\nwatch = true\n", "a"),
        ):
            with case(text):
                assert _settings(text).main.name == name


def test_a_job_by_variables_wins_over_the_file_key_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOSYNC_JOBS__REPORT__SCHEDULE", "1 * * * *")
    monkeypatch.setenv("AUTOSYNC_JOBS__REPORT__RETRY", '{"attempts": 2}')
    job = _settings("[jobs.report]\nfunction = 'report'\nschedule = '2 * * * *'\n").jobs["report"]
    assert (job.function, job.schedule) == ("report", "1 * * * *")
    assert job.retry is not None


# the lines of a job `x` that calls a function every hour, and what the message begins with
CALL = "function = 'f'\nschedule = '0 * * * *'\n"
BAD_CALLS = (
    ("shedule = 1", "jobs.x.shedule: is not a setting; did you mean schedule?"),
    ("zzz = 1", "jobs.x.zzz: is not a setting"),
    ("retry = { attempts = 2, wiat = '1s' }", "jobs.x.retry.wiat: is not a setting; did you mean wait?"),
    ("expect = { jsn = {} }", "jobs.x.expect.jsn: is not a setting; did you mean json?"),
    ("auth = { secret = 'a', heder = 'b' }", "jobs.x.auth.header"),
    ("name = 'y'", "jobs.x.name: the table's name"),
    ("url = 'https://example.com'", "jobs.x.url: a job that has function has no url"),
    ("sql = 'select 1'", "jobs.x.sql: a job that has function has no sql"),
    ("watch = true", "jobs.x.watch: a job that has function has no watch"),
    ("body = 'text'", "jobs.x.body: this is to be a table"),
    ("body = [1]", "jobs.x.body: this is to be a table"),
    ("body = { at = 2026-01-01 }", "jobs.x.body: this cannot be sent as JSON"),
    ("body = { n = nan }", "jobs.x.body: this cannot be sent as JSON"),
    ("body = { api_key = 'abc' }", "jobs.x.body: api_key holds a secret"),
    ("body = { a = 1 }\nmethod = 'GET'", "jobs.x.body: is not sent"),
    ("method = 'PUT'", "jobs.x.method"),
    ('headers = { x-a = "b\\r\\nx-c: d" }', "jobs.x.headers: x-a holds a line break"),
    ('headers = { "x a" = "b" }', "jobs.x.headers: this is not the name of a header"),
    ("headers = { x-a = 1 }", "jobs.x.headers.x-a"),
    ("headers = { x-a = '1', X-A = '2' }", "jobs.x.headers: X-A appears twice"),
    ("headers = { Authorization = 'whoever' }", "jobs.x.headers: Authorization holds a secret"),
    ("headers = { x-cron-token = 'abc' }", "jobs.x.headers: x-cron-token holds a secret"),
    ("headers = { x-a = 'Bearer 0123456789abcdef' }", "jobs.x.headers.x-a holds a secret"),
    ("headers = { Idempotency-Key = 'a' }", "jobs.x.headers: Idempotency-Key is a header that every call has"),
    ("headers = { host = 'a' }", "jobs.x.headers: host is set by"),
    ("headers = { x-t = 'a' }\nauth = { secret = 'a', header = 'X-T' }", "jobs.x.headers: X-T is the header of auth"),
    ("auth = 'key'", "jobs.x.auth"),
    ("auth = { secret = 'f86d081884c7d659a2feaa0c55ad0159', header = 'x' }", "jobs.x.auth.secret: this looks like"),
    ("auth = { secret = 'A b', header = 'x' }", "jobs.x.auth.secret: a stored secret's name has"),
    ("auth = { secret = 'a', header = 'host' }", "jobs.x.auth.header"),
    ("retry = { wait = '30s' }", "jobs.x.retry.attempts"),
    ("retry = { attempts = 0 }", "jobs.x.retry.attempts"),
    ("retry = { attempts = -1 }", "jobs.x.retry.attempts"),
    ("retry = { attempts = 11 }", "jobs.x.retry.attempts"),
    ("retry = true", "jobs.x.retry: this is to be a table"),
    ("retry = { attempts = 2, wait = '0s' }", "jobs.x.retry.wait"),
    ("expect = { status = [] }", "jobs.x.expect.status"),
    ("expect = { status = [99] }", "jobs.x.expect.status"),
    ("invoke = 'when_due'", "jobs.x.invoke: has no meaning here"),
    ("batch_size = 10", "jobs.x.batch_size: has no meaning here"),
    ("drains = 'another_table'", "jobs.x.drains"),
    ("drains = 'auto_sync_schedules'\nbatch_size = 201", "jobs.x.batch_size"),
    ("overlap = 'queue'", "jobs.x.overlap"),
    ("reports_within = 'soon'", "jobs.x.reports_within"),
    ("enabled = 'perhaps'", "jobs.x.enabled"),
    ('body = { a = "\\u0000" }', "jobs.x.body.a holds a NUL"),
)
BAD_FILES = (
    ("[jobs.x]\n", "jobs.x: says nothing of what it does"),
    ("[jobs]\nx = 'y'\n", "jobs.x: this is to be a table"),
    ("jobs = 1\n", "jobs: this is to be a table"),
    ("[jobs.x]\nfunction = 'f'\n", "jobs.x.schedule: is missing"),
    ("[jobs.x]\nfunction = '../f'\nschedule = '0 * * * *'\n", "jobs.x.function"),
    ("[jobs.x]\nfunction = 'f/../g'\nschedule = '0 * * * *'\n", "jobs.x.function: the path leads out"),
    ("[jobs.x]\nfunction = 'f?token=abc'\nschedule = '0 * * * *'\n", "jobs.x.function: token holds a secret"),
    ("[jobs.x]\nurl = 'example.com'\nschedule = '0 * * * *'\n", "jobs.x.url: write the whole address"),
    ("[jobs.x]\nurl = 'ftp://example.com'\nschedule = '0 * * * *'\n", "jobs.x.url: write the whole address"),
    ("[jobs.x]\nurl = 'https://u@example.com'\nschedule = '0 * * * *'\n", "jobs.x.url: the address holds a user"),
    ("[jobs.x]\nurl = 'https://example.com/a b'\nschedule = '0 * * * *'\n", "jobs.x.url: the address holds blanks"),
    (
        "[jobs.x]\nurl = 'https://example.com'\nauth = 'service_key'\nschedule = '0 * * * *'\n",
        "jobs.x.auth: no credential of the project goes to another address",
    ),
    *(
        (
            "[jobs.x]\nurl = 'https://example.com'\nschedule = '0 * * * *'\n"
            f"auth = {{ secret = '{name}', header = 'x-a' }}\n",
            "jobs.x.auth: no credential of the project goes to another address",
        )
        for name in ("service_role_key", "cron_secret", "cron_secret_next")
    ),
    (
        "[jobs.x]\nurl = 'https://example.com/?key=3f2a9c1be84d7760aa'\nschedule = '0 * * * *'\n",
        "jobs.x.url: key holds a secret",
    ),
    ("[jobs.x]\nsql = ' '\nschedule = '0 * * * *'\n", "jobs.x.sql: the text is empty"),
    ("[jobs.x]\nsql = 'select 1'\nschedule = '0 * * * *'\ntimeout = '3s'\n", "jobs.x.timeout: has no meaning here"),
    ("[jobs.x]\nsql = 'select 1'\nschedule = '0 * * * *'\nbody = {}\n", "jobs.x.body: has no meaning here"),
    (
        "[jobs.x]\nsql = '''select dblink('host=h password=pw', 'x')'''\nschedule = '0 * * * *'\n",
        "jobs.x.sql: the text holds a secret",
    ),
    ("[jobs.x]\nwatch = true\nschedule = '0 * * * *'\n", "jobs.x.schedule: has no meaning here"),
    ("[jobs.x]\nwatch = true\nenabled = false\n", "jobs.x.enabled: has no meaning here"),
    ("[jobs.autosync-keep-house]\nsql = 'select 1'\nschedule = '0 * * * *'\n", "jobs.autosync-keep-house: this name"),
    ("[job]\nname = 'autosync-keep-house'\n", "job.name: this name"),
    ("[jobs.'a b']\nwatch = true\n", "jobs.a b: a job's name has"),
    ("[jobs.x]\nwatch = true\n[jobs.x]\nwatch = true\n", "is not valid TOML"),
    ("[job]\nname = 'x'\n[jobs.x]\nwatch = true\n", "jobs.x: this job is named twice"),
    ("[jobs.x]\nwatch = true\n[function]\nauth = 'cron_secret'\n", "jobs: [function] speaks of [job]"),
    ("[job]\nauth = 'none'\n[function]\nauth = 'cron_secret'\n", "jobs: [function] auth and [job] auth"),
    ("[limits]\nschedules_per_organization = 0\n", "limits.schedules_per_organization"),
    ("[limit]\n", "limit: is not a setting; did you mean limits?"),
    ("[jbos.x]\n", "jbos: is not a setting; did you mean jobs?"),
)
BAD_SCHEDULES = {
    "": "has not five fields",
    "0 0 30 2 *": "is not understood",
    "61 * * * *": "is not understood",
    "*/90 * * * *": "has the step 90",
    "* * * * * *": "has not five fields",
    "@reboot": "has not five fields",
    "@daily": "write 0 0 * * *",
    "60 seconds": "has not five fields",
}


def test_what_cannot_be_meant_is_one_error_that_names_table_and_key() -> None:
    files = [
        *((f"[jobs.x]\n{CALL}{lines}\n", named) for lines, named in BAD_CALLS),
        *BAD_FILES,
        *(
            (f"[jobs.x]\nfunction = 'f'\nschedule = '{schedule}'\n", ("jobs.x.schedule: the schedule", reason))
            for schedule, reason in BAD_SCHEDULES.items()
        ),
    ]
    with cases.collected() as case:
        for text, named in files:
            with case(text):
                message = _refused(text)
                for part in (named,) if isinstance(named, str) else named:
                    assert part in message


def test_a_secret_is_refused_wherever_a_job_could_hold_it_and_never_quoted() -> None:
    places = (
        "function = 'f?k={}'\nschedule = '0 * * * *'\n",
        "url = 'https://example.com/{}'\nschedule = '0 * * * *'\n",
        f"{CALL}headers = {{{{ x-a = '{{}}' }}}}\n",
        f"{CALL}body = {{{{ a = [{{{{ b = '{{}}' }}}}] }}}}\n",
        "sql = '''select f('{}')'''\nschedule = '0 * * * *'\n",
        f"{CALL}auth = {{{{ secret = 'a', header = 'x', prefix = '{{}}' }}}}\n",
        f"{CALL}expect = {{{{ json = {{{{ a = '{{}}' }}}} }}}}\n",
    )
    with cases.collected() as case:
        for place in places:
            for key in (keys.legacy().reveal(), keys.secret().reveal()):
                with case(place):
                    message = _refused("[jobs.x]\n" + place.format(key))
                    assert "holds a secret" in message
                    assert key not in message


def test_what_only_resembles_a_secret_is_taken() -> None:
    harmless = (
        f"{CALL}headers = {{ x-region = 'eu', x-partition-key = 'monthly', x-trace = '3f2a9c1be84d7760aa' }}",
        f"{CALL}body = {{ keys = ['a'], key = 'monthly', token_count = '5', password = '' }}",
        "function = 'f?key=monthly&page_size=3'\nschedule = '0 * * * *'\n",
        "url = 'http://localhost:8080/a%20b?cursor=3f2a9c1be84d7760aa'\nschedule = '0 * * * *'\n",
        "sql = '''update u set password = 'x' where name = 'host=' '''\nschedule = '0 * * * *'\n",
        "sql = '''call p(':a@b')'''\nschedule = '0 * * * *'\n",
        f"{CALL}auth = {{ secret = 'partner_token_2', header = 'Authorization', prefix = 'Bearer ' }}",
    )
    with cases.collected() as case:
        for lines in harmless:
            with case(lines):
                assert _settings(f"[jobs.x]\n{lines}\n").jobs["x"]
