"""The catalogue as a whole: complete, honest about what it cannot see, leaving no trace."""

import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import get_args

import psycopg

from autosync_db import config, resources
from autosync_db.health import catalogue as checks
from autosync_db.health import composer, verify
from autosync_db.health.model import Layer, Status
from autosync_db.jobs.calls import Cause
from autosync_db.local.cluster import Cluster
from autosync_db.schema import revisions
from tests.support import clusters, health
from tests.support.health import LiveProject
from tests.support.trial import Trial

ROOT = Path(__file__).parents[3]
SECTIONS = ["Claim", "Why it matters", "How it looks", "Evidence", "Remedy", "False positives", "Source"]
IDS = sorted(checks.all_checks())
QUERIES = [name for name, check in checks.all_checks().items() if check.has_query]


def _names(folder: str, pattern: str) -> set[str]:
    return {match[1] for path in (ROOT / folder).iterdir() if (match := re.fullmatch(pattern, path.name))}


def test_every_check_has_its_query_and_its_page() -> None:
    assert IDS
    assert _names("sql/checks", r"(\w+)\.sql") == set(QUERIES)
    assert _names("docs/checks", r"(\w+)\.md") == set(IDS)


def test_every_check_says_its_layer_and_remedy_and_its_query_names_it() -> None:
    for name, check in checks.all_checks().items():
        assert check.layer in get_args(Layer), name
        assert check.remedy, name
        assert name not in QUERIES or checks.query(name).startswith(f"-- {name}: "), name


def test_every_page_has_all_sections_and_links_to_public_pages_and_holds_no_key() -> None:
    wrong = []
    for name in IDS:
        page = composer.page(name)
        sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
        links = sections.get("Source", "").strip().splitlines()
        if (
            [section for section in sections if section != "Depends on"] != SECTIONS
            or not all(body.strip() for body in sections.values())
            or not all(re.fullmatch(r"- \[[^\]]+\]\(https://\S+\)", link) for link in links)
            or re.search(r"eyJ[A-Za-z0-9_-]{10,}|sb_secret_[A-Za-z0-9]|TODO", page)
            or (name in QUERIES and composer.runnable(name, checks.find(name)) not in page)
            or (name in QUERIES and checks.find(name).speaks_of_jobs != ("checked.name" in checks.query(name)))
        ):
            wrong.append(name)
    assert not wrong


def test_causes_and_needs_are_checks_and_go_round_in_no_circle() -> None:
    catalogue = checks.all_checks()
    graph = {name: {*check.needs, *check.causes} for name, check in catalogue.items()}
    assert set().union(*graph.values()) <= set(catalogue)
    assert all(name not in causes for name, causes in graph.items())
    list(TopologicalSorter(graph).static_order())


def test_queries_make_one_statement_of_the_same_four_columns(
    transaction: psycopg.Connection[clusters.Row],
) -> None:
    transaction.execute(
        # compiling the one large statement takes a minute; verify does not let it happen either
        "select set_config('autosync.head', %s, true), set_config('search_path', '', true),"
        " set_config('jit', 'off', true)",
        [revisions.head()],
    )
    for name in QUERIES:
        with transaction.transaction():
            # as somebody would run it who copied it from its page
            transaction.execute("reset search_path")
            transaction.execute(composer.runnable(name, checks.find(name)).encode())
        columns = transaction.execute(composer.runnable(name, checks.find(name)).encode()).description
        assert columns is not None
        job = [("job", "text")] if checks.find(name).speaks_of_jobs else []
        assert [(column.name, column.type_display) for column in columns] == [
            *job, ("status", "text"), ("object", "text"), ("detail", "text"), ("facts", "jsonb"),
        ], name  # fmt: skip
    queries = [composer.query(name, checks.find(name), config.load()) for name in QUERIES]
    rows = transaction.execute(composer.statement(composer.chosen(None), queries)).fetchall()
    assert {row[2] for row in rows} <= set(Status)


def test_what_several_checks_read_is_read_once() -> None:
    asking = {id: check for id, check in checks.all_checks().items() if check.look is None}
    alone = [composer.query(id, check, config.load()) for id, check in asking.items()]
    text = composer.statement(composer.chosen(None), alone).decode()
    for read in (
        "pg_catalog.pg_stat_activity", "pg_catalog.pg_settings", "autosync.secret_facts()",
        "autosync.service_key_facts()", "autosync.stored_secrets()", "autosync.secret_store()",
        "autosync.secrets_hidden()", "autosync.server_epoch()",
    ):  # fmt: skip
        # names in lists and in texts stand behind quotes, commas and braces
        place = re.compile(rf"^(?! *--).*?[ (]{re.escape(read)}", re.MULTILINE)
        assert sum(len(place.findall(query)) for query in alone) > 1, read
        assert len(place.findall(text)) == 1, read


def test_what_is_said_of_jobs_is_asked_in_one_statement_with_the_jobs_and_each_query_once() -> None:
    asking = {id: check for id, check in checks.all_checks().items() if check.look is None}
    queries = {id: composer.query(id, check, config.load()) for id, check in asking.items()}
    first, *others = (text.decode() for text in composer.statements(composer.chosen(None), asking, queries))
    assert others
    for id, check in {composer.JOBS: None, **asking}.items():
        named = f"(select '{id}' as id"
        assert [text.count(named) for text in (first, *others)].count(1) == 1, id
        assert named in first or (check is not None and not check.speaks_of_jobs), id
    assert not any("recent_runs_of_job" in text for text in others)


def test_a_history_that_grew_since_it_was_analyzed_is_not_read_from_end_to_end(live: LiveProject) -> None:
    asking = {id: check for id, check in checks.all_checks().items() if check.look is None}
    queries = {id: composer.query(id, check, live.configuration) for id, check in asking.items()}
    with clusters.connection(live.cluster, "supabase_admin") as admin, admin.transaction(force_rollback=True):
        admin.execute(
            "insert into cron.job_run_details (jobid, runid, command, status, start_time, end_time)"
            " select c.jobid, n - 500000, c.command, 'succeeded', now(), now()"
            " from generate_series(1, 200000) as n"
            " cross join (select j.jobid, j.command from cron.job as j order by j.jobid limit 1) as c"
        )
        admin.execute(
            "select set_config('autosync.head', %s, true), set_config('search_path', '', true),"
            " set_config('jit', 'off', true)",
            [revisions.head()],
        )
        for text in composer.statements(composer.chosen(None), asking, queries):
            plan = "\n".join(line for (line,) in admin.execute(b"explain " + text).fetchall())
            assert "Seq Scan on job_run_details" not in plan, plan


def test_blank_database_has_one_root_cause_and_nothing_else_is_ok(blank: Cluster) -> None:
    with clusters.connect(blank) as connection:
        report = verify.run(connection, config.load(config.Flags(database_url=blank.url())))
    assert health.roots(report) == dict.fromkeys(("head_applied",), Status.CRITICAL)
    healthy = {name for name, status in health.statuses(report).items() if status is Status.OK}
    # the server and its libraries are there, with their processes, and a schema that nobody made holds no secret
    libraries = {"pg_net_preloaded", "pg_net_settings_valid", "pg_net_worker_running"}
    unmade = {"no_secret_in_migration_history", "server_log_hides_secrets", "legacy_keys_off"}
    layers = {checks.find(id).layer for id in healthy - unmade - libraries}
    assert layers <= {"server", "cron"}
    for result in report.results:
        if result.status is Status.BLOCKED:
            assert set(result.blocked_by) == {"head_applied"}


def test_extensions_alone_leave_the_missing_migration_as_the_root_cause(blank: Cluster) -> None:
    with clusters.connect(blank, "postgres") as connection:
        connection.execute("create extension pg_cron")
        connection.execute("create extension pg_net with schema extensions")
        report = verify.run(connection, config.load(config.Flags(database_url=blank.url())))
    assert health.roots(report)["head_applied"] is Status.CRITICAL
    assert "pg_net_installed" not in health.roots(report)


def test_looking_changes_nothing(live: LiveProject) -> None:
    live.owner.execute("delete from public.pg_cron_secrets where name = 'project_url'")
    live.stub.answer(500)
    live.add_schedule(next_run_at="now() - interval '300 days'")
    before = _traces(live)
    live.owner.execute("set default_transaction_read_only = on")
    live.report()
    live.owner.execute("reset default_transaction_read_only")
    live.run_verify()
    assert _traces(live) == before


def _traces(project: LiveProject) -> list[object]:
    """Return all that looking could change: the rows of every table, and the newest transaction id."""
    tables = (
        "public.pg_cron_secrets", "public.auto_sync_schedules", "autosync.job", "autosync.tick",
        "autosync.invocation", "autosync.object", "cron.job", "cron.job_run_details",
        "net.http_request_queue", "net._http_response",
    )  # fmt: skip
    found: list[object] = [
        project.admin.execute(
            f"select count(*), md5(string_agg(t::text, '' order by t::text)) from {table} as t".encode()
        ).fetchone()
        for table in tables
    ]
    # every write takes a transaction id, so that none was taken says that none was made
    row = project.admin.execute("select pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
    return [*found, row]


def test_transaction_that_looks_leaves_no_setting_behind(live: LiveProject) -> None:
    before = live.value("show search_path")
    live.report()
    assert live.value("show search_path") == before
    assert not live.value("select current_setting('autosync.head', true)")
    assert live.owner.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


def test_independent_faults_are_both_root_causes(project: Trial) -> None:
    project.owner.execute("grant select on public.pg_cron_secrets to anon")
    project.stub.answer(500)
    assert project.call() is Cause.FUNCTION
    project.must_fail("secrets_table_protected", "function_succeeds")


def test_consequence_is_blocked_and_names_its_cause_alone(project: Trial) -> None:
    project.owner.execute("select cron.unschedule('auto-sync-cron-job')")
    report = project.report()
    assert health.roots(report) == {"job_scheduled": Status.CRITICAL}
    blocked = {result.id: result.blocked_by for result in report.results if result.status is Status.BLOCKED}
    assert {"job_active", "job_command_matches", "job_runs_succeed"} <= set(blocked)
    assert set(blocked.values()) == {("job_scheduled",)}


def test_cause_is_reported_though_it_was_not_chosen(project: Trial) -> None:
    project.owner.execute("select cron.unschedule('auto-sync-cron-job')")
    report = project.report(["job_active"])
    assert [(result.id, result.status, result.blocked_by) for result in report.results] == [
        ("job_active", Status.BLOCKED, ("job_scheduled",)),
        ("job_scheduled", Status.CRITICAL, ()),
    ]


def test_pages_and_queries_ship_with_the_package() -> None:
    assert set(resources.names("docs/checks", ".md")) == set(IDS)
    assert set(resources.names("sql/checks", ".sql")) == set(QUERIES)


def test_what_cannot_be_looked_at_follows_from_what_is_gone(project: Trial) -> None:
    for renamed in ("autosync.alert rename to elsewhere", "public.auto_sync_schedules rename column timezone to zone"):
        project.admin.execute(f"alter table {renamed}".encode())
    report = project.report()
    assert health.roots(report) == {"objects_current": Status.CRITICAL}, health.described(report)
    unseen = {result.id for result in report.results if result.blocked_by == ("objects_current",)}
    assert unseen >= {"alerts_delivered", "schedule_windows_reachable", "schedules_not_overdue"}
