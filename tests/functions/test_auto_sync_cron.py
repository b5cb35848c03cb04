"""The shipped auto-sync-cron, on real Deno, against real schedules."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import clusters
from tests.support.edge import FUNCTIONS, Database, Edge, Keys, StartEdge, deno_binary

LIMITS = {"AUTOSYNC_CALL_TIMEOUT_MS": "900", "AUTOSYNC_CONCURRENCY": "3"}


def legacy_environment(keys: Keys, database: Database) -> dict[str, str]:
    return {
        "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
        "AUTOSYNC_DB_URL": database.api_url,
        "SUPABASE_ANON_KEY": keys.token("anon"),
        "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
    }


@pytest.fixture(scope="module")
def edge(start_edge: StartEdge, steered_functions: Path, edge_database: Database, keys: Keys) -> Edge:
    """A project with legacy keys; the gateway leaves auto-sync-cron's callers to the function."""
    environment = {
        **legacy_environment(keys, edge_database),
        "AUTOSYNC_VERIFY_JWT": "true,auto-sync-cron=false",
    }
    secrets = ",".join(keys.cron_secrets)
    return start_edge(steered_functions, environment, {**LIMITS, "AUTOSYNC_CRON_SECRET": secrets})


@pytest.fixture(scope="module")
def edge_with_secret_keys(start_edge: StartEdge, steered_functions: Path, edge_database: Database, keys: Keys) -> Edge:
    """A project with its legacy keys switched off: one is still in the environment, and is refused."""
    environment = {
        "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
        "AUTOSYNC_DB_URL": edge_database.api_url,
        "AUTOSYNC_VERIFY_JWT": "false",
        "SUPABASE_ANON_KEY": keys.publishable_key,
        "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role", secret="s" * 32),
        "SUPABASE_SECRET_KEYS": f'{{"cron": "sb_secret_other", "default": "{keys.secret_key}"}}',
        "SUPABASE_PUBLISHABLE_KEYS": f'{{"default": "{keys.publishable_key}"}}',
    }
    return start_edge(steered_functions, environment, {**LIMITS, "AUTOSYNC_CRON_SECRET": keys.cron_secrets[0]})


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def device_sync(edge: Edge, keys: Keys, method: str = "GET") -> dict[str, Any]:
    """Return what the steered device-sync was asked; DELETE makes it forget."""
    answer = edge.call("device-sync", method, headers=bearer(keys.token("service_role")))
    assert answer.is_success, answer.text
    return dict(answer.json()) if method == "GET" else {}


def run(edge: Edge, keys: Keys, **options: Any) -> httpx.Response:
    return edge.call("auto-sync-cron", headers=bearer(keys.token("service_role")), **options)


def test_a_run_syncs_what_is_due_and_answers_with_counts(edge: Edge, keys: Keys, database: Database) -> None:
    device_sync(edge, keys, "DELETE")
    schedule, _ = database.add("fine", "fine")
    answer = run(edge, keys)
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("duration_ms") >= 0
    counts = {"claimed": 2, "succeeded": 2, "partial": 0, "failed": 0, "refused": 0, "lost": 0}
    assert body == {"ok": True, "counts": counts}
    assert database.outcome(schedule) == (
        "success",
        {"synced": 3, "created": 1, "updated": 1, "skipped": 1, "errors": 0},
        None,
    )
    assert run(edge, keys).json()["counts"]["claimed"] == 0
    assert len(device_sync(edge, keys)["calls"]) == 2


def test_device_sync_is_called_as_its_contract_says(edge: Edge, keys: Keys, database: Database) -> None:
    device_sync(edge, keys, "DELETE")
    schedule = database.add("fine")[0]
    run(edge, keys)
    [row] = database.rows(
        "select integration_id::text, organization_id::text from public.auto_sync_schedules where id = %s",
        schedule,
    )
    [call] = device_sync(edge, keys)["calls"]
    assert call == {
        "authorization": True,
        "apikey": True,
        "body": {
            "integration_id": row[0],
            "organization_id": row[1],
            "direction": "bidirectional",
            "dryRun": False,
            "options": {
                "conflictResolution": "newest_wins",
                "onlyOnline": True,
                "deviceFilter": "tagged",
                "deviceTags": ["fine"],
            },
        },
    }


def test_each_answer_has_its_outcome_and_harms_no_other(edge: Edge, keys: Keys, database: Database) -> None:
    expected = {
        "fine": ("success", None),
        "errors": ("partial", None),
        "only-errors": ("failed", "nothing was synced"),
        "says-failed": ("failed", "remote refused"),
        "status-500": ("failed", "http 500: boom for *** with ***"),
        "throws": ("failed", "http 500: EDGE_FUNCTION_ERROR: Internal Server Error"),
        "never": ("failed", "no answer within 900 ms"),
        "garbage": ("failed", "http 200: the answer is not a json object"),
        "no-summary": ("failed", "http 200: the answer has no summary with counts"),
        "bad-counts": ("failed", "http 200: the answer has no summary with counts"),
        "redirect": ("failed", "http 302"),
    }
    schedules = database.add(*expected)
    answer = run(edge, keys)
    assert answer.status_code == 200
    body = answer.json()["counts"]
    assert (body["claimed"], body["succeeded"], body["partial"], body["failed"]) == (11, 1, 1, 9)
    for schedule, (behaviour, (status, error)) in zip(schedules, expected.items(), strict=True):
        recorded, summary, claim = database.outcome(schedule)
        assert (recorded, summary.get("error"), claim) == (status, error, None), behaviour
        assert (summary["errors"] >= 1) is (behaviour != "fine"), behaviour


def refused(keys: Keys) -> dict[str, dict[str, str]]:
    return {
        "no key": {},
        "anon key": bearer(keys.token("anon")),
        "anon key on apikey": {"apikey": keys.token("anon")},
        "user": bearer(keys.token("authenticated")),
        "another project": bearer(keys.token("service_role", secret="x" * 32)),
        "publishable key": {"apikey": keys.publishable_key},
        "unknown secret key": {"apikey": "sb_secret_unknown"},
        "unknown cron secret": {"x-autosync-cron-secret": "unknown"},
        "empty values": {"apikey": "", "authorization": "Bearer", "x-autosync-cron-secret": ""},
        "both cron secrets at once": {"x-autosync-cron-secret": ",".join(keys.cron_secrets)},
    }


def test_callers_without_a_service_key_are_refused_and_nothing_happens(
    edge: Edge, edge_with_secret_keys: Edge, keys: Keys, database: Database
) -> None:
    schedule = database.add("fine")[0]
    for who, headers in refused(keys).items():
        for runtime in (edge, edge_with_secret_keys):
            answer = runtime.call("auto-sync-cron", headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"ok": False, "error": "unauthorized"}), who
            assert "sb-error-code" not in answer.headers
    assert database.outcome(schedule) == (None, None, None)


def test_service_key_is_taken_from_either_header(edge: Edge, keys: Keys, database: Database) -> None:
    key = keys.token("service_role")
    for headers in (bearer(key), {"apikey": key}, {"apikey": keys.token("anon"), **bearer(key)}):
        assert edge.call("auto-sync-cron", headers=headers).status_code == 200


def test_both_cron_secrets_of_a_rotation_are_accepted(edge: Edge, keys: Keys, database: Database) -> None:
    for secret in keys.cron_secrets:
        database.add("fine")
        assert (
            edge.call("auto-sync-cron", headers={"x-autosync-cron-secret": secret}).json()["counts"]["succeeded"] == 1
        )


def test_secret_key_is_accepted_and_travels_on_apikey_alone(
    edge_with_secret_keys: Edge, keys: Keys, database: Database
) -> None:
    schedule = database.add("fine")[0]
    answer = edge_with_secret_keys.call("auto-sync-cron", headers={"apikey": keys.secret_key})
    assert answer.json()["counts"]["succeeded"] == 1
    assert database.outcome(schedule)[0] == "success"
    asked = edge_with_secret_keys.call("device-sync", "GET", headers={"apikey": keys.secret_key}).json()
    assert [(call["apikey"], call["authorization"]) for call in asked["calls"]] == [(True, False)]


def test_cron_secret_works_where_legacy_keys_are_switched_off(
    edge_with_secret_keys: Edge, keys: Keys, database: Database
) -> None:
    database.add("fine")
    headers = {"x-autosync-cron-secret": keys.cron_secrets[0]}
    assert edge_with_secret_keys.call("auto-sync-cron", headers=headers).json()["counts"]["succeeded"] == 1


def test_without_a_service_key_the_functions_fail_closed(
    start_edge: StartEdge, steered_functions: Path, keys: Keys
) -> None:
    # a public key in the place of the service key is none
    environment = {"AUTOSYNC_VERIFY_JWT": "false", "SUPABASE_SERVICE_ROLE_KEY": keys.token("anon")}
    edge = start_edge(steered_functions, environment, {"AUTOSYNC_CRON_SECRET": keys.cron_secrets[0]})
    for name in ("auto-sync-cron", "device-sync"):
        headers = {"apikey": keys.token("anon"), "x-autosync-cron-secret": keys.cron_secrets[0]}
        answer = edge.call(name, headers=headers)
        assert answer.status_code == 500
        assert answer.json() == {"ok": False, "error": "no service key is configured in the function's environment"}


def test_only_service_keys_of_the_environment_are_accepted(tmp_path: Path, keys: Keys) -> None:
    script = tmp_path / "judge.ts"
    script.write_text(f"""
        import {{ serviceKeys }} from "{(FUNCTIONS / "_shared" / "credentials.ts").as_uri()}";
        const environments = JSON.parse(Deno.args[0]!) as Record<string, string>[];
        console.log(JSON.stringify(environments.map((one) => serviceKeys({{ get: (name) => one[name] }}))));
    """)
    service, secret = keys.token("service_role"), keys.secret_key
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({}, []),
        ({"SUPABASE_SERVICE_ROLE_KEY": " "}, []),
        ({"SUPABASE_SERVICE_ROLE_KEY": keys.token("anon")}, []),
        ({"SUPABASE_SERVICE_ROLE_KEY": keys.publishable_key}, []),
        ({"SUPABASE_SERVICE_ROLE_KEY": f"{service}\n"}, [service]),
        ({"SUPABASE_SECRET_KEYS": "not json"}, []),
        ({"SUPABASE_SECRET_KEYS": json.dumps({"a": keys.publishable_key, "b": "sb_secret_b", "default": secret})},
         [secret, "sb_secret_b"]),
        ({"SUPABASE_SERVICE_ROLE_KEY": service, "SUPABASE_SECRET_KEYS": json.dumps({"x": secret})}, [service, secret]),
    ]  # fmt: skip
    command = [deno_binary(), "run", "--quiet", "--no-lock", str(script), json.dumps([one for one, _ in cases])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [accepted for _, accepted in cases]


def test_only_post_runs_anything_and_others_learn_nothing(edge: Edge, keys: Keys, database: Database) -> None:
    schedule = database.add("fine")[0]
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = edge.call("auto-sync-cron", method, headers=bearer(keys.token("service_role")))
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        for headers in ({}, bearer(keys.token("anon"))):
            answer = edge.call("auto-sync-cron", method, headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"ok": False, "error": "unauthorized"})
    assert database.outcome(schedule)[2] is None


def test_a_probe_runs_nothing(edge: Edge, keys: Keys, database: Database) -> None:
    schedule = database.add("fine")[0]
    answer = run(edge, keys, json={"probe": True, "batch_size": 5})
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "probe": True})
    assert database.outcome(schedule) == (None, None, None)
    assert edge.call("auto-sync-cron", json={"probe": True}).status_code == 401
    # only the word itself is a probe
    assert run(edge, keys, json={"probe": "true"}).json()["counts"]["succeeded"] == 1


def test_no_more_calls_at_once_than_the_bound(edge: Edge, keys: Keys, database: Database) -> None:
    device_sync(edge, keys, "DELETE")
    database.add(*["slow"] * 8)
    assert run(edge, keys).json()["counts"]["succeeded"] == 8
    assert device_sync(edge, keys)["peak"] == int(LIMITS["AUTOSYNC_CONCURRENCY"])


def test_full_batches_are_followed_by_another(edge: Edge, keys: Keys, database: Database) -> None:
    for body in ('{"batch_size": 2}', '{"batch_size": "2"}'):
        database.add(*["fine"] * 5)
        assert run(edge, keys, content=body).json()["counts"]["succeeded"] == 5, body


def test_any_body_is_survived(edge: Edge, keys: Keys, database: Database) -> None:
    for body in ("", "{}", "[]", "no json", '{"batch_size": -4}', '{"batch_size": 1e9}', '{"batch_size": []}'):
        database.add("fine", "fine")
        assert run(edge, keys, content=body).json()["counts"]["succeeded"] == 2, body


def test_the_batch_size_of_the_header_wins_over_that_of_older_callers(
    edge: Edge, keys: Keys, database: Database
) -> None:
    key = keys.token("service_role")
    # what is due is claimed to the end, so the size shows in what the database was asked for
    database.rows("alter function public.auto_sync_claim(integer, interval) rename to claim_beneath")
    database.rows(
        "create function public.auto_sync_claim(batch_size integer, lease interval) returns text[] language plpgsql"
        " as $$ begin raise exception 'asked for %', batch_size; end $$"
    )
    try:
        for asked, body, size in (("7", {"batch_size": 3}, 7), ("900", {}, 200), ("none", {}, 50), (None, {}, 50)):
            headers = bearer(key) | ({"x-autosync-batch-size": asked} if asked else {})
            answer = edge.call("auto-sync-cron", headers=headers, json=body)
            assert f"asked for {size}" in answer.json()["error"], (asked, answer.text)
        answer = edge.call("auto-sync-cron", headers=bearer(key), json={"batch_size": 3})
        assert "asked for 3" in answer.json()["error"]
    finally:
        database.rows("drop function public.auto_sync_claim(integer, interval)")
        database.rows("alter function public.claim_beneath(integer, interval) rename to auto_sync_claim")


@pytest.mark.long
def test_time_budget_ends_the_run_and_leaves_the_rest_claimed(
    start_edge: StartEdge, steered_functions: Path, database: Database, keys: Keys
) -> None:
    environment = {**legacy_environment(keys, database), "AUTOSYNC_VERIFY_JWT": "false"}
    own = start_edge(steered_functions, environment, {"AUTOSYNC_CONCURRENCY": "1", "AUTOSYNC_TIME_BUDGET_MS": "2000"})
    callers = start_edge(steered_functions, environment, {"AUTOSYNC_CONCURRENCY": "1"})
    for edge, headers in ((own, {}), (callers, {"x-autosync-timeout-ms": "2500"})):
        database.rows("truncate public.auto_sync_schedules")
        # boots both functions
        run(edge, keys)
        device_sync(edge, keys)
        database.add(*["slow"] * 12)
        answer = edge.call("auto-sync-cron", headers=bearer(keys.token("service_role")) | headers)
        assert answer.json()["ok"] is True
        body = answer.json()["counts"]
        assert body["claimed"] == 12
        assert body["succeeded"] >= 1
        assert body["unstarted"] >= 1
        assert body["succeeded"] + body["failed"] + body["unstarted"] == 12
        held = database.rows("select count(*) from public.auto_sync_schedules where claim_id is not null")[0][0]
        assert held == body["unstarted"]


def test_a_sync_that_never_ends_is_given_up_before_the_caller_is(edge: Edge, keys: Keys, database: Database) -> None:
    schedule = database.add("never")[0]
    answer = edge.call("auto-sync-cron", headers=bearer(keys.token("service_role")) | {"x-autosync-timeout-ms": "800"})
    assert answer.json()["counts"]["failed"] == 1
    error = database.outcome(schedule)[1]["error"]
    assert error.startswith("no answer within")
    assert int(error.split()[-2]) <= 720


def test_lapsed_claim_is_counted_as_lost_and_is_no_failure(edge: Edge, keys: Keys, database: Database) -> None:
    taken, deleted = database.add("slow", "slow")
    answers: list[httpx.Response] = []
    running = threading.Thread(target=lambda: answers.append(run(edge, keys)))
    running.start()
    taken_over = (
        "update public.auto_sync_schedules set claim_id = gen_random_uuid() where claim_id is not null returning id"
    )
    clusters.wait_for(lambda: database.rows(taken_over), "the schedules are claimed")
    database.rows("delete from public.auto_sync_schedules where id = %s", deleted)
    running.join()
    body = answers[0].json()
    counts = body["counts"]
    assert (answers[0].status_code, body["ok"], counts["lost"], counts["refused"], counts["succeeded"]) == (
        200, True, 2, 0, 0,
    )  # fmt: skip
    assert database.outcome(taken)[0] is None


def test_an_outcome_that_is_refused_is_a_failure_with_its_reason(edge: Edge, keys: Keys, database: Database) -> None:
    database.add("fine", "fine", "errors")
    database.rows(
        "alter table public.auto_sync_schedules add constraint no_success check (last_run_status <> 'success')"
    )
    try:
        answer = run(edge, keys)
    finally:
        database.rows("alter table public.auto_sync_schedules drop constraint no_success")
    assert answer.status_code == 500
    body = answer.json()
    assert body["ok"] is False
    assert (body["counts"]["refused"], body["counts"]["lost"], body["counts"]["partial"]) == (2, 0, 1)
    assert 'violates check constraint "no_success"' in body["error"]


@pytest.mark.long
def test_an_answer_too_large_is_asked_for_in_smaller_batches(tmp_path: Path) -> None:
    script = tmp_path / "run.ts"
    script.write_text(f"""
        import {{ DataApi }} from "{(FUNCTIONS / "_shared" / "data_api.ts").as_uri()}";
        import {{ runDueSchedules }} from "{(FUNCTIONS / "auto-sync-cron" / "run.ts").as_uri()}";
        import {{ Schedules }} from "{(FUNCTIONS / "auto-sync-cron" / "schedules.ts").as_uri()}";

        const [bytes, due] = Deno.args.map(Number) as [number, number];
        const asked: number[] = [];
        let left = due;
        globalThis.fetch = (address, init) => {{
          const body = JSON.parse(String(init!.body));
          if (!String(address).endsWith("auto_sync_claim")) {{
            return Promise.resolve(Response.json({{ synced: 1, errors: 0 }}));
          }}
          asked.push(body.batch_size);
          const rows = Math.min(left, body.batch_size);
          left -= rows;
          return Promise.resolve(Response.json(Array(rows).fill({{ id: "1", device_tags: ["x".repeat(bytes)] }})));
        }};
        console.warn = () => {{}};
        const settings = {{
          projectUrl: "http://stub", deviceSyncFunction: "d", concurrency: 5, timeBudget: 9e4, callTimeout: 9e4,
        }};
        const schedules = new Schedules(new DataApi("http://stub", ["key"]));
        const {{ counts, error }} = await runDueSchedules(schedules, settings, 50, null);
        console.log(JSON.stringify({{ asked, claimed: counts.claimed, error: error ?? null }}));
    """)

    def outcome(bytes_of_each: int, due: int) -> dict[str, Any]:
        command = [deno_binary(), "run", "--quiet", "--no-lock", str(script), str(bytes_of_each), str(due)]
        return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))

    # 20 KB each: what the guide's users may write
    assert outcome(20_000, 60) == {"asked": [50, 50, 50], "claimed": 60, "error": None}
    assert outcome(200_000, 100) == {"asked": [50, 25, 13, 13, 13], "claimed": 25, "error": None}
    # a row that cannot be read hides no other, and is not kept silent
    hopeless = outcome(5_000_000, 103)
    assert hopeless["asked"][:8] == [50, 25, 13, 7, 4, 2, 1, 1]
    assert (hopeless["claimed"], hopeless["error"]) == (0, "a claimed schedule is too large to be read")


def test_failing_claim_is_a_500_that_says_why(edge: Edge, keys: Keys, database: Database) -> None:
    database.rows("revoke execute on function public.auto_sync_claim from service_role")
    answer = run(edge, keys)
    database.rows("grant execute on function public.auto_sync_claim to service_role")
    assert answer.status_code == 500
    assert answer.json()["ok"] is False
    assert "42501 permission denied for function auto_sync_claim" in answer.json()["error"]


def test_parallel_runs_call_each_schedule_once(edge: Edge, keys: Keys, database: Database) -> None:
    device_sync(edge, keys, "DELETE")
    database.add(*["fine"] * 12)
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(run(edge, keys))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer.json()["counts"]["succeeded"] for answer in answers) == 12
    asked = Counter(call["body"]["integration_id"] for call in device_sync(edge, keys)["calls"])
    assert len(asked) == 12
    assert set(asked.values()) == {1}


def test_neither_answer_nor_log_holds_a_key_or_an_id(edge: Edge, keys: Keys, database: Database) -> None:
    schedule = database.add("status-500")[0]
    before = len(edge.log)
    answer = run(edge, keys)
    [lines] = [
        clusters.wait_for(lambda: [line for line in edge.log[before:] if "auto-sync-cron: claimed=" in line], "it logs")
    ]
    assert len(lines) == 1
    for text in (answer.text, "".join(edge.log[before:]), str(database.outcome(schedule))):
        assert keys.token("service_role") not in text
        assert "ops@example.com" not in text
        assert schedule not in text


def test_shipped_device_sync_sample_answers_the_contract(start_edge: StartEdge, database: Database, keys: Keys) -> None:
    edge = start_edge(FUNCTIONS, legacy_environment(keys, database))
    schedule = database.add("fine")[0]
    assert run(edge, keys).json()["counts"]["succeeded"] == 1
    assert database.outcome(schedule)[1] == {
        "synced": 0,
        "created": 0,
        "updated": 0,
        "skipped": 0,
        "errors": 0,
    }
    incomplete = edge.call("device-sync", headers=bearer(keys.token("service_role")), json={})
    assert incomplete.status_code == 400
    anon = edge.call("device-sync", headers=bearer(keys.token("anon")), json={})
    assert (anon.status_code, anon.json()) == (401, {"ok": False, "error": "unauthorized"})
