"""`jobs import` on a database with cron jobs of somebody's: nothing of ours is needed there."""

import tomllib
from pathlib import Path

from autosync_db.local.cluster import Cluster
from tests.support import clusters, command, keys

URL = f"https://{keys.PROJECT_REF}.supabase.co"
HELPER = """
create function public.call_function(name text) returns bigint language sql as $$
    select net.http_post(url := current_setting('app.url') || '/functions/v1/' || name)
$$;
create function public.hourly() returns void language plpgsql as $$
begin
    perform public.call_function('hourly');
end
$$;
create schema app;
create function app.cleanup() returns void language sql as 'select';
"""
CALL = """
select net.http_post(
    url := '{url}/functions/v1/{path}',
    headers := '{{"Content-Type": "application/json", "{header}": "{credential}"}}'::jsonb,
    body := '{{"full": true}}'::jsonb
) as request_id
"""


def _schedule(cluster: Cluster, jobs: dict[str | None, str]) -> None:
    with clusters.connect(cluster) as owner:
        owner.execute("create extension if not exists pg_cron; create extension if not exists pg_net")
        owner.execute(HELPER.encode())
        for name, text in jobs.items():
            if name is None:
                owner.execute("select cron.schedule('0 1 1 1 *', %s)", [text])
            else:
                owner.execute("select cron.schedule(%s, '0 1 1 1 *', %s)", [name, text])


def test_every_job_becomes_a_table_and_no_secret_is_printed(blank: Cluster, tmp_path: Path) -> None:
    key, token = keys.secret(), keys.legacy(ref=keys.PROJECT_REF)
    _schedule(
        blank,
        {
            "daily-report": CALL.format(url=URL, path="report", header="apikey", credential=key.reveal()),
            "weekly-report": CALL.format(url=URL, path="report?mode=weekly", header="apikey", credential=key.reveal()),
            "partner": CALL.format(
                url="https://example.com", path="in", header="x-cron-token", credential="t0ken-of-ours"
            ),
            "other-host": CALL.format(url="https://example.com", path="in", header="apikey", credential=token.reveal()),
            "through a helper": "select public.hourly()",
            "hourly": "select public.hourly()",
            "cleanup": "select app.cleanup()",
            "beside": CALL.format(url=URL, path="report", header="apikey", credential=key.reveal()).replace(
                " as request_id", ", app.cleanup()"
            ),
            None: CALL.format(url=URL, path="unnamed", header="apikey", credential=key.reveal()),
        },
    )
    done = command.succeeds(command.run("jobs", "import", database=blank.url()))
    for secret in (key.reveal(), token.reveal(), "t0ken-of-ours"):
        assert secret not in done.out + done.err
    assert tomllib.loads(done.out)["jobs"] == {
        "cleanup": {"sql": "select app.cleanup()", "schedule": "0 1 1 1 *"},
        "daily-report": {"function": "report", "schedule": "0 1 1 1 *", "timeout": "5s", "body": {"full": True}},
        "weekly-report": {
            "function": "report?mode=weekly",
            "schedule": "0 1 1 1 *",
            "timeout": "5s",
            "body": {"full": True},
        },
        "partner": {
            "url": "https://example.com/functions/v1/in",
            "schedule": "0 1 1 1 *",
            "timeout": "5s",
            "body": {"full": True},
            "auth": {"secret": "x_cron_token", "header": "x-cron-token"},
        },
        "other-host": {"watch": True},
        "hourly": {"watch": True},
        "beside": {"watch": True},
        "unnamed": {"function": "unnamed", "schedule": "0 1 1 1 *", "timeout": "5s", "body": {"full": True}},
    }
    assert "# only watched: it makes its calls through the function public.hourly" in done.out
    assert "# only watched: it calls the function app.cleanup as well" in done.out
    assert "jobs adopt beside" not in done.err
    assert '# the cron job "through a helper" is left out' in done.out
    assert "adopt unnamed --from" in done.out


def test_a_schedule_is_written_as_pg_cron_reads_it_or_the_job_is_watched(blank: Cluster, tmp_path: Path) -> None:
    """One job that no settings can say keeps no other from being added."""
    schedules = {
        "@hourly": "0 * * * *", "# nightly\n0 3 * * *": "0 3 * * *", "\n*/7 * * * *\r\n": "*/7 * * * *",
        "* * * * * garbage": "* * * * *", "0 3 * * *\n0 4 * * *": "0 3 * * *", "@daily x": "0 0 * * *",
        "@reboot": None, "*/90 * * * *": None, "0 0 30 2 *": None,
    }  # fmt: skip
    call = CALL.format(url="https://example.com", path="in", header="x-region", credential="eu")
    _schedule(blank, {f"job-{place}": call for place in range(len(schedules))})
    with clusters.connect(blank) as owner:
        for place, schedule in enumerate(schedules):
            owner.execute(
                "select cron.alter_job(jobid, schedule := %s) from cron.job where jobname = %s",
                [schedule, f"job-{place}"],
            )
    settings, link = tmp_path / "autosync.toml", tmp_path / "link.toml"
    settings.write_bytes(b"# mine\r\n")
    link.symlink_to(settings)
    command.succeeds(command.run("jobs", "import", "--write", "--config", str(link), database=blank.url()))
    assert link.is_symlink()
    assert settings.read_bytes().startswith(b"# mine\r\n\r\n[jobs.")
    assert settings.read_bytes().count(b"\n") == settings.read_bytes().count(b"\r\n")
    found = tomllib.loads(settings.read_text())["jobs"]
    assert {name: table.get("schedule") for name, table in found.items()} == {
        f"job-{place}": read for place, read in enumerate(schedules.values())
    }
    assert [name for name, table in found.items() if table.get("watch")] == ["job-6", "job-7", "job-8"]
    assert "only watched: its schedule ticks only when pg_cron's scheduler starts" in settings.read_text()
    # what it says stays on one line
    audit = command.run("audit", database=blank.url()).out
    assert "# nightly 0 3 * * * " in audit
    assert 'its schedule "0 3 * * * 0 4 * * *" has more than one line: pg_cron reads "0 3 * * *"' in audit


def test_ours_are_skipped_and_others_are_named(migrated: Cluster) -> None:
    with clusters.connect(migrated, "supabase_admin") as admin:
        admin.execute("create role somebody login; grant usage on schema cron to somebody")
        admin.execute("set role somebody")
        admin.execute("select cron.schedule('theirs', '0 1 1 1 *', 'select 1')")
    done = command.succeeds(command.run("jobs", "import", database=migrated.url()))
    assert "auto-sync-cron-job" not in done.out
    assert "already jobs of autosync-db" in done.err
    assert "it belongs to the role somebody" in done.out or "jobs of other roles are hidden" in done.err
    assert "[jobs.theirs]" not in done.out
