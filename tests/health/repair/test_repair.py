"""The command: what it asks, what it leaves alone, what it says, and what a failure leaves behind."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pexpect
import pytest

from autosync_db.errors import UsageError
from autosync_db.health import repair as runner
from autosync_db.health.model import Status
from autosync_db.schema import revisions
from tests.health.actions import recorded_migration
from tests.support import clusters, command, keys
from tests.support.command import Result
from tests.support.dumps import contents
from tests.support.health import LiveProject, Project, described, result_of
from tests.support.trial import Trial

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "schemas" / "repair.schema.json").read_text())
OFF = "select cron.alter_job(jobid, active := false) from cron.job where jobname = 'auto-sync-cron-job'"
TWIN = "select cron.schedule('0 0 1 1 *', 'select autosync.dispatch();')"


def repair(project: LiveProject, *arguments: str) -> Result:
    """Run `autosync-db repair ARGUMENTS` where nobody can be asked."""
    return command.run("repair", *arguments, database=project.cluster.url())


def jobs(project: Project) -> list[tuple[object, ...]]:
    """Return what pg_cron knows of jobs, but for housekeeping."""
    return project.owner.execute(
        "select jobid, jobname, active, command from cron.job"
        " where jobname is distinct from 'autosync-keep-house' order by jobid"
    ).fetchall()


def test_without_a_terminal_and_without_yes_nothing_is_done(live: LiveProject) -> None:
    live.owner.execute(OFF.encode())
    before = jobs(live)
    refused = repair(live)
    assert refused.code == 2
    assert refused.errors == ["1 repair could be made: confirmation is needed"]
    assert "--dry-run" in refused.hints[0]
    assert "--yes" in refused.hints[0]
    assert jobs(live) == before


@pytest.mark.long
def test_yes_does_what_is_harmless_and_what_is_destructive_only_by_name(live: LiveProject) -> None:
    live.owner.execute(OFF.encode())
    twin = live.value(TWIN)

    done = repair(live, "--yes")
    assert done.code == 3
    assert re.search(r"^repaired +job_active ", done.out, re.MULTILINE)
    assert re.search(rf"^needs consent +job_unique +unschedule job {twin} of postgres\n", done.out, re.MULTILINE)
    assert "hint: autosync-db repair job_unique --yes" in done.out
    assert [name for _, name, active, _ in jobs(live) if active] == ["auto-sync-cron-job", None]

    done = repair(live, "job_unique", "--yes")
    assert done.code == 0, done.out + done.err
    assert [name for _, name, *_ in jobs(live)] == ["auto-sync-cron-job"]

    again = command.succeeds(repair(live, "--yes"))
    assert "repaired" not in again.out


def test_a_policy_of_the_project_is_dropped_by_consent_alone_and_a_restrictive_one_never(live: LiveProject) -> None:
    """Also one whose name begins as ours do."""
    table = "public.auto_sync_schedules"
    made = f"create policy auto_sync_schedules_members on {table}"
    live.owner.execute(
        f"{made} for select to authenticated using (true);"
        f"create policy narrow on {table} as restrictive for all to authenticated using (true)".encode()
    )
    there = "select array_agg(p.policyname::text order by p.policyname) from pg_policies as p where p.tablename = %s"
    before = live.value(there, ["auto_sync_schedules"])
    done = command.run("repair", "--yes", "-q", database=live.cluster.url())
    assert "this drops the policy auto_sync_schedules_members\n" in done.out
    assert live.value(there, ["auto_sync_schedules"]) == before
    command.succeeds(command.run("repair", "schedules_table_protected", "--yes", database=live.cluster.url()))
    assert live.value(there, ["auto_sync_schedules"]) == ["auto_sync_schedules_nobody", "narrow"]
    live.must_be_healthy()


def test_dry_run_prints_what_would_be_done_and_changes_nothing(live: LiveProject) -> None:
    live.owner.execute(OFF.encode())
    twin = live.value(TWIN)
    live.owner.execute("update public.pg_cron_secrets set secret = secret || E'\\n'")
    key = live.value("select secret from public.pg_cron_secrets where name = 'service_role_key'").strip()
    before = contents(live.cluster)

    shown = command.succeeds(repair(live, "--dry-run"))
    assert contents(live.cluster) == before
    assert f"select cron.unschedule({twin}::bigint);" in shown.out
    assert "select autosync.sync_job('auto-sync-cron-job');" in shown.out
    assert key not in shown.out + shown.err
    assert shown.out.count("repair does it by consent alone") == 1
    assert shown.out.count("\nbegin read write;\n") == shown.out.count("\ncommit;\n") == 3

    with_yes = command.succeeds(repair(live, "--dry-run", "--yes"))
    assert "cron.unschedule(" not in with_yes.out
    assert f"-- job_unique: unschedule job {twin} of postgres; needs consent:" in with_yes.out

    document = repair(live, "--dry-run", "--format", "json").json()
    jsonschema.validate(document, SCHEMA)
    assert document["dry_run"]
    assert {entry["id"]: entry["state"] for entry in document["repairs"]} == {
        "job_active": "planned", "job_unique": "planned", "secrets_clean": "planned",
    }  # fmt: skip
    assert all(entry["sql"] in shown.out for entry in document["repairs"])
    assert contents(live.cluster) == before


def test_a_repair_writes_where_every_session_is_read_only(live: LiveProject) -> None:
    live.admin.execute("alter role postgres in database postgres set default_transaction_read_only = on")
    done = command.run("repair", "job_settings_bearable", "--yes", database=live.cluster.url())
    live.disconnect()
    assert command.succeeds(done).out.startswith("repaired  job_settings_bearable")
    live.must_be_healthy()


def test_a_dry_run_names_what_fails_and_is_not_repaired(live: LiveProject) -> None:
    live.stub.answer(404, {"code": "NOT_FOUND", "message": "Requested function was not found"}, "NOT_FOUND")
    live.call()
    shown = command.succeeds(repair(live, "--dry-run"))
    assert shown.out == "-- nothing to repair\n"
    assert "function_deployed fails and is not repaired from here; its remedy: # by you: " in shown.err


@pytest.mark.long
def test_json_says_what_was_done_and_what_is_left(live: LiveProject) -> None:
    live.owner.execute(OFF.encode())
    live.owner.execute(TWIN.encode())
    done = repair(live, "--yes", "--format", "json")
    document = done.json()
    jsonschema.validate(document, SCHEMA)
    assert done.code == 3
    assert {entry["id"]: entry["state"] for entry in document["repairs"]} == {
        "job_active": "repaired", "job_unique": "needs_consent",
    }  # fmt: skip
    assert document["verify"]["root_causes"] == ["job_unique"]


@pytest.mark.long
def test_ids_that_cannot_be_repaired_are_answered(live: LiveProject) -> None:
    assert "there is no check 'nonsense'" in command.refused(repair(live, "nonsense", "--yes"), 2)

    healthy = command.succeeds(repair(live, "job_active", "--yes"))
    assert "job_active: nothing to do: the check says ok" in healthy.err

    live.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    said = repair(live, "secrets_present", "--yes")
    assert said.code == 3
    assert "secrets_present: no service key is at hand; run: autosync-db repair secrets_present --" in said.err


@pytest.mark.parametrize(
    ("answers", "left"),
    [
        ("yn", ["auto-sync-cron-job", None]),
        pytest.param("ny", [], marks=pytest.mark.long),
        pytest.param("yy", ["auto-sync-cron-job"], marks=pytest.mark.long),
    ],
)
def test_terminal_is_asked_once_for_what_is_harmless_and_by_name_for_the_rest(
    live: LiveProject, answers: str, left: list[str | None]
) -> None:
    live.owner.execute(OFF.encode())
    live.owner.execute(TWIN.encode())
    child = pexpect.spawn(
        sys.executable,
        ["-m", "autosync_db", "repair"],
        env={**command.environment(live.cluster.url()), "TERM": "dumb", "COLUMNS": "200"},
        encoding="utf-8",
        timeout=60,
    )
    child.expect_exact("job_active: switch the job on again")
    child.expect_exact("Do this? Nothing of yours is deleted or overwritten. [y/N]: ")
    child.sendline(answers[0])
    child.expect(r"job_unique: unschedule job \d+ of postgres\. Do it\? \[y/N\]: ")
    child.sendline(answers[1])
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == (0 if answers == "yy" else 3)
    assert [name for _, name, active, _ in jobs(live) if active] == left


@pytest.mark.long
def test_refused_in_the_middle_nothing_of_that_repair_is_left_and_the_others_are_made(live: LiveProject) -> None:
    live.owner.execute(OFF.encode())
    live.admin.execute(
        "drop function autosync.call_findings(text); drop function autosync.settle();"
        " create function public.refuse() returns event_trigger language plpgsql as $$ begin"
        " if exists (select from pg_event_trigger_ddl_commands() as c where c.object_identity like 'autosync.settle%')"
        " then raise 'not that one' using hint = 'ask the administrator'; end if; end $$;"
        " create event trigger refuse on ddl_command_end execute function public.refuse()"
    )
    done = repair(live, "--yes", "--format", "json")
    assert done.code == 3
    entries = {entry["id"]: entry for entry in done.json()["repairs"]}
    assert entries["job_active"]["state"] == "repaired"
    failed = entries["objects_current"]
    assert failed["state"] == "failed"
    assert "event trigger refuse refused" in failed["error"]
    assert "not that one" in failed["error"]
    assert failed["hint"].startswith(
        "ask the administrator; or as supabase_admin run: alter event trigger refuse disable;"
    )
    assert live.value("select count(*) from pg_proc where proname in ('call_findings', 'settle')") == 0


@pytest.mark.long
def test_failed_repair_exits_3_though_what_is_left_is_a_warning(live: LiveProject) -> None:
    live.owner.execute("create view public.runs as select * from cron.job_run_details")
    live.owner.execute("create view public.more as select * from public.runs")
    done = repair(live, "nothing_blocks_upgrades", "--yes")
    assert done.code == 3
    assert "cannot drop view public.runs because other objects depend on it" in done.out
    assert command.run("verify", database=live.cluster.url()).code == 0  # a warning


@pytest.mark.long
def test_batches_that_were_done_stay_done(live: LiveProject) -> None:
    live.admin.execute(
        "insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time, end_time)"
        " select c.jobid, n - 13000, c.database, c.username, c.command, 'succeeded', t.at, t.at"
        " from cron.job as c, generate_series(1, 12000) as n, lateral (select now() - interval '30 days' as at) as t"
        " where c.jobname = 'auto-sync-cron-job'"
    )
    # the rows of the third batch cannot be deleted
    live.admin.execute("create table public.noted (runid bigint references cron.job_run_details (runid))")
    live.admin.execute("insert into public.noted values (-1500)")
    outcomes, said = _repair_and_listen(live, "job_run_details_bounded")
    assert "violates foreign key constraint" in (outcomes[0].error or "")
    assert live.value("select count(*) from cron.job_run_details where runid < 0") == 2000
    assert said[-1].endswith("(10000 so far)")

    live.admin.execute("drop table public.noted")
    outcomes, _ = _repair_and_listen(live, "job_run_details_bounded")
    assert outcomes[0].rows == 2000
    live.must_be_healthy()


def test_batches_go_on_to_the_last_answer(project: Trial) -> None:
    project.owner.execute(
        "insert into net._http_response (id, status_code, created)"
        " select -n, 200, case n when 0 then now() else now() - interval '3 days' end"
        " from generate_series(0, 6000) as n"
    )
    outcomes, _ = _repair_and_listen(project, "pg_net_tables_bounded")
    assert outcomes[0].rows == 6000
    project.must_be_healthy()


def test_untimed_runs_are_deleted_in_batches_too(project: Trial) -> None:
    project.admin.execute(
        "insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time, end_time)"
        " select c.jobid, n - 13000, c.database, c.username, c.command, 'succeeded', t.at, t.at"
        " from cron.job as c, generate_series(1, 7000) as n,"
        " lateral (select case when n not between 101 and 6900 then now() - interval '30 days' end as at) as t"
        " where c.jobname = 'auto-sync-cron-job'"
    )
    outcomes, said = _repair_and_listen(project, "job_run_details_bounded")
    assert outcomes[0].rows == 7000
    assert [line for line in said if "(5000 so far)" in line]
    project.must_be_healthy()


@pytest.mark.long
def test_only_the_session_that_was_named_is_ended(live: LiveProject) -> None:
    lock = "begin; lock table cron.job_run_details in access exclusive mode"
    name = "pg_cron_not_blocked"
    named = clusters.connect(live.cluster, "supabase_admin")
    named.execute(lock.encode())
    clusters.wait_for(
        lambda: result_of(live.report([name]), name).verdict.status is Status.CRITICAL, "a lock that is old enough"
    )
    with clusters.connection(live.cluster, "supabase_admin") as repairer:
        plan = runner.plan(repairer, live.configuration, live.report(), [name])
        named.close()
        with clusters.connection(live.cluster, "supabase_admin") as later:
            later.execute(lock.encode())
            clusters.wait_for(
                lambda: result_of(live.report([name]), name).verdict.status is Status.CRITICAL, "the other's lock"
            )
            assert not runner.apply(repairer, live.configuration, plan.proposals)[0].error
            assert later.execute("select 1").fetchone() == (1,)


@pytest.mark.long
@pytest.mark.skipif(clusters.REAL_PG_NET, reason="the real pg_net restarts its worker")
def test_what_ran_and_did_not_help_is_not_called_repaired(live: LiveProject) -> None:
    live.stop_worker()
    done = repair(live, "pg_net_worker_running", "--yes")
    assert done.code == 3
    assert re.search(r"^applied +pg_net_worker_running ", done.out, re.MULTILINE)


def test_cause_of_which_one_part_failed_is_not_repaired(project: Trial) -> None:
    proposals = [
        runner.Proposal("schedule_trigger_enabled", "one that fails", ("select 1/0",), False, False),
        runner.Proposal("schedule_trigger_enabled", "one that works", ("select 1",), False, False),
        runner.Proposal(
            "schedules_have_next_run", "what follows", ("select 1",), False, False, ("schedule_trigger_enabled",)
        ),
    ]
    outcomes = runner.apply(project.owner, project.configuration, proposals)
    assert [bool(outcome.error) for outcome in outcomes] == [True, False, True]
    assert outcomes[2].skipped


def _repair_and_listen(project: Project, name: str) -> tuple[tuple[runner.Outcome, ...], list[str]]:
    said: list[str] = []
    plan = runner.plan(project.owner, project.configuration, project.report(), [name])
    return runner.apply(project.owner, project.configuration, plan.proposals, said.append), said


def test_consequence_waits_for_its_root_cause(project: Trial) -> None:
    trigger = "alter table public.auto_sync_schedules disable trigger auto_sync_schedules_next_run_at"
    project.owner.execute(trigger.encode())
    project.add_schedule(next_run_at=None)
    alone = runner.plan(project.owner, project.configuration, project.report(), ["schedules_have_next_run"])
    assert [(refused.kind, refused.reason) for refused in alone.refusals] == [
        ("blocked", "explained by schedule_trigger_enabled, which must be repaired first")
    ]
    plan = runner.plan(project.owner, project.configuration, project.report())
    assert [proposal.id for proposal in plan.proposals] == ["schedule_trigger_enabled", "schedules_have_next_run"]

    # without its cause it would be in vain
    outcomes = runner.apply(project.owner, project.configuration, plan.proposals[1:])
    assert outcomes[0].skipped
    assert project.value("select count(*) from public.auto_sync_schedules where next_run_at is null") == 1


@pytest.mark.long
def test_what_two_checks_say_of_one_object_is_repaired_once(live: LiveProject) -> None:
    live.owner.execute("grant execute on function public.auto_sync_claim(integer, interval) to anon")
    assert result_of(live.report(), "objects_current").blocked_by == ("functions_not_exposed",)
    done = command.succeeds(repair(live, "--yes"))
    assert re.findall(r"^repaired +(\w+)", done.out, re.MULTILINE) == ["functions_not_exposed"]
    assert "objects_current" not in done.out
    live.must_be_healthy()


@pytest.mark.long
def test_role_that_owns_nothing_learns_whom_to_connect_as(live: LiveProject) -> None:
    live.create_role("plain", grants="grant pg_read_all_data, pg_monitor to plain; alter role plain bypassrls")
    live.owner.execute(OFF.encode())
    with clusters.connect(live.cluster, "plain") as connection:
        plan = runner.plan(connection, live.configuration, live.report(), ["job_active"])
        assert not plan.proposals
        assert plan.refusals[0].reason == 'switch the job on again: that is for the role "postgres" alone'
        assert plan.refusals[0].hint == 'connect as "postgres"; or, as a superuser, run: grant "postgres" to "plain"'

        live.admin.execute("grant postgres to plain")
        plan = runner.plan(connection, live.configuration, live.report(), ["job_active"])
        assert not runner.apply(connection, live.configuration, plan.proposals)[0].error
    live.admin.execute("revoke postgres from plain; alter role plain nologin")
    live.must_be_healthy()


def test_refusal_of_the_server_says_who_may(project: Trial) -> None:
    project.admin.execute("select cron.schedule('auto-sync-cron-job', '0 0 1 1 *', 'select 1')")
    plan = runner.plan(project.owner, project.configuration, project.report(), ["job_unique"])
    assert not plan.proposals
    assert "belongs to the role supabase_admin, and postgres may not act as it" in plan.refusals[0].reason
    assert re.search(
        r"schedule it under another name, then run: select cron\.unschedule\(\d+\);", plan.refusals[0].hint
    )

    project.admin.execute("alter role authenticator set pgrst.db_schemas = 'public, net'")
    plan = runner.plan(project.owner, project.configuration, project.report(), ["pg_net_not_exposed"])
    outcome = runner.apply(project.owner, project.configuration, plan.proposals)[0]
    # in the words of version 15, and of 16 and later
    assert outcome.error in {'permission denied to set parameter "pgrst.db_schemas"', "permission denied to alter role"}
    assert outcome.hint is not None
    assert outcome.hint.startswith("run it as the owner or a superuser, not as postgres: autosync-db repair pg_net")


@pytest.mark.long
def test_paused_job_is_left_alone(live: LiveProject) -> None:
    live.run_command("jobs", "pause")
    assert not runner.plan(live.owner, live.configuration, live.report()).proposals
    assert command.succeeds(repair(live, "--yes")).code == 0
    assert [active for _, _, active, _ in jobs(live)] == [False]


def test_lock_that_is_held_is_said_and_nothing_waits_for_it(live: LiveProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LOCK_TIMEOUT", "50ms")
    live.owner.execute("grant usage on schema autosync to anon")
    live.owner.execute(OFF.encode())
    with clusters.connect(live.cluster) as holder, holder.transaction():
        report = live.report(["job_active", "api_roles_cannot_reach_private_schema"])
        plan = runner.plan(live.owner, live.configuration, report)
        holder.execute("select pg_advisory_xact_lock(%s)", [revisions.ADVISORY_LOCK])
        outcomes = runner.apply(live.owner, live.configuration, plan.proposals)
    assert {outcome.error for outcome in outcomes} == {"canceling statement due to lock timeout"}
    assert all("another session holds a lock" in (outcome.hint or "") for outcome in outcomes)


@pytest.mark.parametrize(("ended", "error"), [(2, None), (3, "deadlock_detected")])
def test_a_repair_that_is_ended_for_a_deadlock_is_run_again(ended: int, error: str | None, live: LiveProject) -> None:
    live.owner.execute(OFF.encode())
    plan = runner.plan(live.owner, live.configuration, live.report(["job_active"]))
    live.owner.execute("create temporary sequence tries")
    deadlock = f"do $$ begin if nextval('pg_temp.tries') <= {ended} then raise deadlock_detected; end if; end $$"
    [proposal] = [replace(one, statements=(deadlock, *one.statements)) for one in plan.proposals]
    [outcome] = runner.apply(live.owner, live.configuration, [proposal])
    live.owner.execute("drop sequence pg_temp.tries")
    assert outcome.error == error
    assert "run it again" in (outcome.hint or "run it again")
    assert [active for _, _, active, _ in jobs(live)] == [error is None]


def test_masked_history_shows_no_key_and_keeps_the_rest(project: Trial) -> None:
    key = keys.secret()
    project.owner.execute("select cron.schedule('mailer', '0 0 1 1 *', %s)", [f"select '{key.reveal()}', 1"])
    project.admin.execute(
        "insert into cron.job_run_details (jobid, runid, command, status)"
        " select c.jobid, nextval('cron.runid_seq'), c.command, 'succeeded'"
        " from cron.job as c, generate_series(1, 3) where c.jobname = 'mailer'"
    )
    plan = runner.plan(project.owner, project.configuration, project.report(), ["no_secret_in_job_command"])
    assert "is not ours" in plan.refusals[0].reason
    assert key.reveal() not in str(plan)
    outcomes = runner.apply(project.owner, project.configuration, plan.proposals)
    assert outcomes[0].rows == 3
    texts = {text for (text,) in project.owner.execute("select command from cron.job_run_details").fetchall()}
    assert texts == {"select '***', 1"}
    assert result_of(project.report(), "no_secret_in_job_command").status is Status.CRITICAL  # the job has it still


def test_job_whose_history_alone_holds_a_key_keeps_its_command(project: Trial) -> None:
    project.owner.execute("select cron.schedule('mailer', '0 0 1 1 *', 'select 1')")
    project.admin.execute(
        "insert into cron.job_run_details (jobid, runid, command, status)"
        " select c.jobid, nextval('cron.runid_seq'), %s, 'succeeded' from cron.job as c"
        " where c.jobname = 'auto-sync-cron-job'",
        [f"select '{keys.secret().reveal()}'"],
    )
    plan = runner.plan(project.owner, project.configuration, project.report(), ["no_secret_in_job_command"])
    assert not plan.refusals
    assert not runner.apply(project.owner, project.configuration, plan.proposals)[0].error
    assert [command for *_, command in jobs(project)] == ["select autosync.dispatch()", "select 1"]
    project.must_be_healthy()


def test_recorded_migrations_are_not_masked_while_a_trigger_would_run_what_others_wrote(project: Trial) -> None:
    recorded_migration("1", f"select '{keys.secret().reveal()}'")(project)
    plan = runner.plan(project.owner, project.configuration, project.report(), ["no_secret_in_migration_history"])
    # made after the user has seen the plan, by a role that was granted no more than TRIGGER
    project.admin.execute(
        "create function supabase_migrations.f() returns trigger language plpgsql"
        " as $$ begin perform pg_advisory_xact_lock(4711); return new; end $$;"
        " create trigger z before update on supabase_migrations.schema_migrations"
        " for each row execute function supabase_migrations.f()"
    )
    [outcome] = runner.apply(project.owner, project.configuration, plan.proposals)
    assert "is not as the Supabase CLI makes it" in (outcome.error or "")
    assert project.value("select count(*) from pg_locks where locktype = 'advisory' and objid = 4711") == 0


def test_plan_of_an_unknown_id_is_a_usage_error(project: Trial) -> None:
    with pytest.raises(UsageError):
        runner.plan(project.owner, project.configuration, project.report(), ["nonsense"])


@pytest.mark.long
def test_name_of_a_job_cannot_smuggle_a_statement_into_the_script(live: LiveProject) -> None:
    live.owner.execute("select cron.schedule(E'x\\n; drop table autosync.tick; --', '0 0 1 1 *',"
                          " 'select autosync.dispatch()')")  # fmt: skip
    live.admin.execute('create role "evil\n; drop table autosync.tick; --" login; grant usage on schema cron to public')
    live.admin.execute('set role "evil\n; drop table autosync.tick; --"')
    live.admin.execute("select cron.schedule('auto-sync-cron-job', '0 0 1 1 *', 'select 1')")
    live.admin.execute("reset role")
    with clusters.connect(live.cluster, "supabase_admin") as connection:
        plan = runner.plan(connection, live.configuration, live.report(), ["job_unique"])
        assert len(plan.proposals) == 1, described(live.report())
        script = runner.script(plan.proposals[0])
        assert not re.search(r"^; drop", script, re.MULTILINE)
        assert not runner.apply(connection, live.configuration, plan.proposals)[0].error
    # the one of the other role has another name now
    assert len(jobs(live)) == 2
    live.admin.execute("delete from cron.job where jobname <> 'auto-sync-cron-job'")


SECRETS = "select array_agg(s.name || s.secret order by s.name) from public.pg_cron_secrets as s"


@pytest.mark.long
def test_lost_and_spoiled_secrets_are_put_back_from_where_the_target_has_them(live: LiveProject) -> None:
    key = keys.secret().reveal()
    live.stub.judge = lambda request: 200 if key in " ".join(request.headers.values()) else 401
    settings = Path("autosync.toml").read_text()
    Path("key").write_text(key + "\n")
    bound = f'{settings}[targets.shop]\nproject_url = "{live.stub.url}"\nservice_role_key_file = "key"\n'

    # as the target says, shown beforehand without the value, and by the target's file
    Path("autosync.toml").write_text(bound)
    live.owner.execute("delete from public.pg_cron_secrets")
    before = contents(live.cluster)
    shown = command.succeeds(repair(live, "--dry-run", "--target", "shop"))
    assert f"store the address {live.stub.url} (as target shop says) and the service key " in shown.out
    assert "(from the target's file key), and prove it by a call" in shown.out
    assert key not in shown.out + shown.err
    assert contents(live.cluster) == before
    command.succeeds(repair(live, "--target", "shop", "--yes"))
    live.must_be_healthy()

    # as a call has proven it, with the key from the environment
    Path("autosync.toml").write_text(settings)
    assert live.value("select autosync.proven_address()") == live.stub.url
    live.store(project_url="api.example.com")
    live.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    given = {"SUPABASE_SERVICE_ROLE_KEY": key}
    command.succeeds(command.run("repair", "--yes", database=live.cluster.url(), variables=given))
    live.must_be_healthy()


def test_a_key_that_is_refused_leaves_all_as_it_was(live: LiveProject) -> None:
    key, other = keys.secret().reveal(), keys.secret().reveal()
    live.stub.judge = lambda request: 200 if key in " ".join(request.headers.values()) else 401
    live.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    before = live.value(SECRETS)
    for text, message in ((other, "the function refused the service_role_key with 401"), ("hello", "is neither a JWT")):
        done = command.run(
            "repair", "secrets_present", "--service-role-key-file", "-", "--yes", "--format", "json",
            database=live.cluster.url(), stdin=text,
        )  # fmt: skip
        document = done.json()
        jsonschema.validate(document, SCHEMA)
        said = [entry["error"] for entry in document["repairs"]] + [one["reason"] for one in document["refusals"]]
        assert len(said) == 1
        assert message in said[0]
        assert done.code == 3
        assert live.value(SECRETS) == before
        assert not live.value("select count(*) from autosync.secret_rotation")


@pytest.mark.long
def test_a_function_that_fails_otherwise_keeps_what_was_put_back_unproven(live: LiveProject) -> None:
    live.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    live.stub.answer(500, {"error": "device nope"})
    given = {"SUPABASE_SERVICE_ROLE_KEY": keys.legacy().reveal()}
    done = command.run("repair", "secrets_present", "--yes", database=live.cluster.url(), variables=given)
    assert done.code == 3
    assert "device nope" in done.out
    live.stub.answer()
    live.run_remedy("rotation_finished")
    live.must_be_healthy()


def test_an_event_trigger_of_somebodys_leaves_all_as_it_was_and_is_named(live: LiveProject) -> None:
    live.owner.execute("alter table autosync.alert set unlogged")
    live.admin.execute(
        "create function public.no_ddl() returns event_trigger language plpgsql as"
        " $$ begin raise exception 'not today'; end $$;"
        "create event trigger review on ddl_command_end when tag in ('ALTER TABLE') execute function public.no_ddl()"
    )
    before = contents(live.cluster)
    done = repair(live, "objects_current", "--yes", "--format", "json")
    [entry] = done.json()["repairs"]
    assert entry["error"].startswith("the event trigger review refused a change of the schema: not today"), entry
    assert entry["hint"].startswith("as supabase_admin run: alter event trigger review disable; ")
    assert done.code == 3
    assert contents(live.cluster) == before
    live.admin.execute("alter event trigger review disable")
    command.succeeds(repair(live, "objects_current", "--yes"))
    live.must_be_healthy()
