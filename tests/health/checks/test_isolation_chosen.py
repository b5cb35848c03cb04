"""isolation_chosen: policies that an adoption kept are told of until somebody chooses a mode."""

from pathlib import Path

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ID = "isolation_chosen"
KEPT = """
insert into autosync.setting (name, value) values ('isolation', '{"mode": "custom"}'), ('isolation_undecided', 'true')
on conflict (name) do update set value = excluded.value;
create policy "Auditors may look" on public.auto_sync_schedules for select to authenticated using (true);
"""


def test_kept_policies_are_told_of_until_a_mode_is_chosen(project: Project) -> None:
    project.owner.execute(KEPT)
    project.run_command("migrate")
    found = project.must_fail(ID, status=Status.WARNING, names="Auditors may look")
    assert "is under its own policies" in found.verdict.summary
    # the policies themselves are the project's own
    assert result_of(project.report(), "schedules_table_protected").status is Status.OK

    with Path("autosync.toml").open("a") as file:
        file.write('[isolation]\nmode = "custom"\n')
    project.run_remedy(ID)
    project.must_be_healthy()
    names = "select policyname from pg_policies where tablename = 'auto_sync_schedules'"
    assert project.owner.execute(names).fetchall() == [("Auditors may look",)]


def test_more_than_the_mode_allows_is_still_a_fault(project: Project) -> None:
    project.owner.execute(KEPT)
    project.run_command("migrate")
    for fault in (
        "grant select on public.auto_sync_schedules to anon",
        "grant update (next_run_at) on public.auto_sync_schedules to authenticated",
        "alter table public.auto_sync_schedules disable row level security",
    ):
        project.owner.execute(fault.encode())
        assert result_of(project.report(), "schedules_table_protected").status is Status.CRITICAL, fault
        project.run_command("migrate")
        assert result_of(project.report(), "schedules_table_protected").status is Status.OK, fault
