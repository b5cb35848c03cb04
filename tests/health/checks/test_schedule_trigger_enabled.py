"""schedule_trigger_enabled: a trigger that is missing, off, narrowed or overruled is named as that."""

import pytest

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ID = "schedule_trigger_enabled"
TRIGGER = "auto_sync_schedules_next_run_at"
TABLE = "public.auto_sync_schedules"

FAULTS = {
    f"alter table {TABLE} disable trigger {TRIGGER}": "is disabled",
    f"alter table {TABLE} disable trigger user": "is disabled",
    f"alter table {TABLE} enable replica trigger {TRIGGER}": "fires for replicated rows alone",
    f"drop trigger {TRIGGER} on {TABLE}": "does not exist on public.auto_sync_schedules",
    f"create or replace trigger {TRIGGER} before insert or update of enabled on {TABLE}"
    " for each row execute function autosync.set_next_run_at()": "does not fire for every insert and update",
    f"create or replace trigger {TRIGGER} before insert or update on {TABLE}"
    " for each row when (new.enabled) execute function autosync.set_next_run_at()": "does not fire for every",
    f"create or replace trigger {TRIGGER} before update on {TABLE}"
    " for each row execute function autosync.set_next_run_at()": "does not fire for every",
    "create function public.noop() returns trigger language plpgsql as $$ begin return new; end $$;"
    f" create or replace trigger {TRIGGER} before insert or update on {TABLE}"
    " for each row execute function public.noop()": "runs public.noop(), not autosync.set_next_run_at()",
}


def test_every_fault_is_the_root_cause_until_migrate(project: Project) -> None:
    for fault, says in FAULTS.items():
        project.owner.execute(fault.encode())
        project.must_fail(ID, names=f"trigger {TRIGGER}: {says}")

        project.run_remedy(ID)
        project.must_be_healthy()


def test_trigger_of_the_earlier_set_up_is_named(project: Project) -> None:
    project.owner.execute(
        "create function public.update_auto_sync_next_run() returns trigger language plpgsql"
        " as $$ begin new.next_run_at := now(); return new; end $$;"
        f" create trigger trigger_update_auto_sync_next_run before insert or update on {TABLE}"
        " for each row execute function public.update_auto_sync_next_run()"
    )
    project.must_fail(ID, names="trigger trigger_update_auto_sync_next_run: computes next_run_at anew")
    project.owner.execute(f"drop trigger trigger_update_auto_sync_next_run on {TABLE}".encode())
    project.must_be_healthy()


def test_schedules_that_never_advance_are_explained(project: Project) -> None:
    project.owner.execute("update autosync.job set schedule = '*/5 * * * *'")
    project.owner.execute("select autosync.sync_job()")
    project.owner.execute(f"alter table {TABLE} disable trigger {TRIGGER}".encode())
    project.add_schedule(next_run_at="now() - interval '1 hour'")
    project.must_be_blocked("schedules_not_overdue", ID)


@pytest.mark.parametrize(
    "harmless",
    [
        f"alter table {TABLE} enable always trigger {TRIGGER}",
        "create function public.mine() returns trigger language plpgsql as $$ begin return new; end $$;"
        f" create trigger mine before update on {TABLE} for each row execute function public.mine()",
    ],
    ids=["always", "own"],
)
def test_trigger_that_always_fires_and_one_of_the_project_are_no_fault(project: Project, harmless: str) -> None:
    project.owner.execute(harmless.encode())
    assert result_of(project.report(), ID).status is Status.OK
