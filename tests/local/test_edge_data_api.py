"""The local stand-in for the Data API: roles, functions, tables, filters and errors."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.edge import Database, Edge, Keys, StartEdge


@pytest.fixture(scope="module")
def edge(start_edge: StartEdge, edge_database: Database, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Edge:
    environment = {
        "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
        "AUTOSYNC_DB_URL": edge_database.api_url,
        "SUPABASE_SECRET_KEYS": json.dumps({"default": keys.secret_key}),
        "SUPABASE_PUBLISHABLE_KEYS": json.dumps({"default": keys.publishable_key}),
    }
    return start_edge(tmp_path_factory.mktemp("none"), environment)


@pytest.fixture
def service(keys: Keys) -> str:
    return keys.token("service_role")


@pytest.fixture
def measured(database: Database) -> Database:
    database.rows(
        "insert into public.measurement values "
        "(1, '2026-01-01 00:00:00.123456+00', true, 'a,b', 1.10), "
        "(2, '2026-01-02 00:00:00+00', false, 'c(d)\"e', null), "
        "(3, null, null, 'x', 12345678901234567890.5)"
    )
    return database


def test_key_decides_the_role(edge: Edge, keys: Keys, database: Database) -> None:
    user = {"authorization": f"Bearer {keys.token('authenticated')}"}
    for key, headers, role in (
        (keys.token("service_role"), {}, "service_role"),
        (keys.secret_key, {}, "service_role"),
        (keys.secret_key, {"authorization": f"Bearer {keys.secret_key}"}, "service_role"),
        (keys.token("anon"), {}, "anon"),
        (keys.publishable_key, {}, "anon"),
        (keys.publishable_key, user, "authenticated"),
        (keys.token("anon"), {"authorization": f"Bearer {keys.token('service_role')}"}, "service_role"),
    ):
        answer = edge.rest("rpc/whoami", key, "POST", headers=headers)
        assert (answer.status_code, answer.json()) == (200, f"{role} {role}")


def test_worthless_keys_are_refused(edge: Edge, keys: Keys, database: Database) -> None:
    for key in (keys.token("anon", secret="z" * 32), "sb_secret_unknown", "nonsense", keys.token("postgres")):
        assert edge.rest("rpc/whoami", key, "POST").status_code == 401
    assert edge.client.post("/rest/v1/rpc/whoami").status_code == 401
    browser = edge.rest("rpc/whoami", keys.secret_key, "POST", headers={"user-agent": "Mozilla/5.0"})
    assert browser.status_code == 401
    expired = {"authorization": f"Bearer {keys.token('authenticated', lifetime=-60)}"}
    assert edge.rest("rpc/whoami", keys.token("anon"), "POST", headers=expired).json()["code"] == "PGRST303"


def test_role_and_claims_end_with_the_request(edge: Edge, keys: Keys, service: str, database: Database) -> None:
    for _ in range(8):
        assert edge.rest("rpc/whoami", service, "POST").json() == "service_role service_role"
        assert edge.rest("rpc/whoami", keys.token("anon"), "POST").json() == "anon anon"


def test_functions_take_named_arguments(edge: Edge, service: str, database: Database) -> None:
    calls: list[tuple[str, dict[str, Any], int, object]] = [
        ("add_up", {"a": 2}, 200, 3),
        ("add_up", {"a": 2, "b": 0.5}, 200, 2.5),
        ("add_up", {"a": "2", "b": None}, 200, None),
        ("do_nothing", {}, 204, None),
    ]
    for function, args, status, value in calls:
        answer = edge.rest(f"rpc/{function}", service, "POST", json=args)
        assert answer.status_code == status, (function, args)
        assert (answer.json() if answer.content else None) == value


def test_failing_functions_answer_as_postgrest(edge: Edge, service: str, database: Database) -> None:
    calls: list[tuple[str, dict[str, Any], int, str]] = [
        ("unknown", {}, 404, "PGRST202"),
        ("add_up", {"b": 1}, 404, "PGRST202"),
        ("add_up", {"a": 1, "c": 1}, 404, "PGRST202"),
        ("add_up", {"a": "x"}, 400, "22P02"),
        ("refuse", {}, 409, "PT409"),
        ('add_up"; drop table x', {"a": 1}, 404, "PGRST202"),
    ]
    for function, args, status, code in calls:
        answer = edge.rest(f"rpc/{quote(function)}", service, "POST", json=args)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (function, args)
        assert set(answer.json()) == {"code", "message", "details", "hint"}


def test_claiming_and_completing_through_the_api(edge: Edge, service: str, database: Database) -> None:
    schedule = database.add("fine")[0]
    [row] = edge.rest("rpc/auto_sync_claim", service, "POST", json={"batch_size": 5, "lease": "15 minutes"}).json()
    assert (row["id"], row["device_tags"]) == (schedule, ["fine"])
    args = {
        "schedule_id": schedule,
        "status": "success",
        "summary": {"synced": 1},
        "claim_id": row["claim_id"],
    }
    assert edge.rest("rpc/auto_sync_complete", service, "POST", json=args).status_code == 200
    another = args | {"claim_id": str(uuid.uuid4())}
    assert edge.rest("rpc/auto_sync_complete", service, "POST", json=another).status_code == 409
    assert database.outcome(schedule) == ("success", {"synced": 1}, None)


def test_reporting_through_the_api(edge: Edge, keys: Keys, service: str, database: Database) -> None:
    [(key,)] = database.rows(
        "with tick as (insert into autosync.tick (job_id, caller, due, decision, epoch)"
        " select id, 'test', 0, 'posted', 'x' from autosync.job where drains is not null returning id, job_id)"
        " insert into autosync.invocation (tick_id, job_id, request_id, timeout_milliseconds, epoch)"
        " select id, job_id, -1, 1000, 'x' from tick returning idempotency_key::text"
    )
    args = {"idempotency_key": key, "status": "partial", "summary": {"duration_ms": 7, "counts": {"sent": 1}}}
    for _ in range(2):
        assert edge.rest("rpc/auto_sync_report", service, "POST", json=args).status_code == 200
    assert database.rows(
        "select outcome, function_milliseconds, counts from autosync.invocation where idempotency_key = %s", key
    ) == [("ok", 7, {"sent": 1})]
    refused = {
        (404, "PT404"): args | {"idempotency_key": str(uuid.uuid4())},
        (409, "PT409"): args | {"status": "failed"},
        (400, "23514"): args | {"status": "done"},
    }
    for expected, wrong in refused.items():
        answer = edge.rest("rpc/auto_sync_report", service, "POST", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == expected
    for role, status in (("anon", 401), ("authenticated", 403)):
        assert edge.rest("rpc/auto_sync_report", keys.token(role), "POST", json=args).status_code == status


def test_missing_privilege_is_401_for_anon_and_403_for_others(edge: Edge, keys: Keys, database: Database) -> None:
    anon = edge.rest("rpc/auto_sync_claim", keys.token("anon"), "POST", json={})
    user = edge.rest("rpc/auto_sync_claim", keys.token("authenticated"), "POST", json={})
    assert [(one.status_code, one.json()["code"]) for one in (anon, user)] == [(401, "42501"), (403, "42501")]
    assert edge.rest("auto_sync_schedules", keys.token("anon")).status_code == 401


FILTERS: list[tuple[str, list[int]]] = [
    ("id=eq.1", [1]),
    ("id=neq.1", [2, 3]),
    ("id=gt.1&id=lt.3", [2]),
    ("id=gte.2", [2, 3]),
    ("taken_at=lte.2026-01-01T00:00:00.123456Z", [1]),
    ("taken_at=lt.2026-01-01T00:00:00.123456%2B00:00", []),
    ("good=eq.true", [1]),
    ("good=is.false", [2]),
    ("good=is.null", [3]),
    ("good=not.is.null", [1, 2]),
    ('label=in.("a,b",x)', [1, 3]),
    ('label=eq.c(d)"e', [2]),
    ("id=in.()", []),
    ("id=not.in.(1,2)", [3]),
    ("label=like.a*", [1]),
    ("or=(id.eq.1,taken_at.is.null)", [1, 3]),
    ("order=id.desc&limit=2", [3, 2]),
    ("order=taken_at.asc.nullsfirst&offset=1", [1, 2]),
    ("label=eq.x' or '1'='1", []),
]


def test_filters_choose_rows(edge: Edge, service: str, measured: Database) -> None:
    for query, ids in FILTERS:
        ordered = query if "order=" in query else f"{query}&order=id"
        answer = edge.rest(f"measurement?select=id&{ordered}", service)
        assert answer.status_code == 200, (query, answer.text)
        assert [row["id"] for row in answer.json()] == ids, query


REFUSED = [
    ("nope=eq.1", 400, "42703"),
    ("id=eq.x", 400, "22P02"),
    ("id=fts.1", 400, "PGRST100"),
    ("id=1", 400, "PGRST100"),
    ("select=id,other(*)", 400, "PGRST100"),
    ("and=(id.eq.1)", 400, "PGRST100"),
    ("limit=-1", 400, "PGRST100"),
    ("order=nope", 400, "42703"),
    ('select="id"" from x"', 400, "42703"),
]


def test_what_is_wrong_or_unknown_is_refused(edge: Edge, service: str, measured: Database) -> None:
    for query, status, code in REFUSED:
        answer = edge.rest(f"measurement?{query}", service)
        assert (answer.status_code, answer.json()["code"]) == (status, code), query
    assert edge.rest("nowhere", service).json()["code"] == "PGRST205"


def test_one_object_is_given_when_asked_for(edge: Edge, service: str, measured: Database) -> None:
    one = {"accept": "application/vnd.pgrst.object+json"}
    answer = edge.rest("measurement?id=eq.3&select=number:id,big", service, headers=one)
    assert answer.text == '{"number":3,"big":12345678901234567890.5}'
    none = edge.rest("measurement?id=eq.9", service, headers=one)
    assert (none.status_code, none.json()["code"]) == (406, "PGRST116")


def test_rows_are_inserted_changed_and_deleted(edge: Edge, service: str, database: Database) -> None:
    shown = {"prefer": "return=representation"}
    added = edge.rest(
        "measurement?select=id", service, "POST", json=[{"id": 1}, {"id": 2, "label": "b"}], headers=shown
    )
    assert (added.status_code, added.json()) == (201, [{"id": 1}, {"id": 2}])
    again = edge.rest("measurement", service, "POST", json={"id": 1})
    assert (again.status_code, again.json()["code"]) == (409, "23505")
    changed = edge.rest("measurement?id=eq.1", service, "PATCH", json={"label": "new", "good": True})
    assert (changed.status_code, changed.content) == (204, b"")
    assert database.rows("select label, good from public.measurement order by id") == [
        ("new", True),
        ("b", None),
    ]
    listed = edge.rest("measurement?id=eq.2&select=label", service, "PATCH", json={"label": None}, headers=shown)
    assert listed.json() == [{"label": None}]
    unknown = edge.rest("measurement?id=eq.2", service, "PATCH", json={"nope": 1})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "PGRST204")
    assert edge.rest("measurement?id=eq.2", service, "DELETE").status_code == 204
    assert database.rows("select id from public.measurement") == [(1,)]


def test_function_written_with_supabase_js_works_as_deployed(
    start_edge: StartEdge, database: Database, keys: Keys, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "index.ts").write_text("""
        import { createClient } from "npm:@supabase/supabase-js@2";
        Deno.serve(async () => {
          const client = createClient(
            Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!,
          );
          const now = new Date().toISOString();
          const { data, error } = await client.from("auto_sync_schedules").select("*").eq("enabled", true)
            .lte("next_run_at", now).order("next_run_at", { ascending: true });
          if (error) return Response.json(error, { status: 500 });
          for (const row of data) {
            const { error } = await client.from("auto_sync_schedules").update({
              last_run_at: now, last_run_status: "success", last_run_summary: { synced: 1 },
            }).eq("id", row.id).select("id").single();
            if (error) return Response.json(error, { status: 500 });
          }
          return Response.json({ processed: data.length });
        });""")
    edge = start_edge(
        tmp_path,
        {
            "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
            "AUTOSYNC_DB_URL": database.api_url,
            "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
        },
    )
    schedule = database.add("fine")[0]
    headers = {"authorization": f"Bearer {keys.token('service_role')}"}
    assert [edge.call("old", headers=headers).json() for _ in range(2)] == [
        {"processed": 1},
        {"processed": 0},
    ]
    assert database.outcome(schedule)[:2] == ("success", {"synced": 1})


def test_database_that_is_down_is_a_503(start_edge: StartEdge, keys: Keys, tmp_path: Path) -> None:
    edge = start_edge(
        tmp_path,
        {
            "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
            "AUTOSYNC_DB_URL": "postgresql://authenticator@127.0.0.1:1/postgres",
        },
    )
    answer = edge.rest("rpc/whoami", keys.token("service_role"), "POST")
    assert (answer.status_code, answer.json()["code"]) == (503, "PGRST001")
