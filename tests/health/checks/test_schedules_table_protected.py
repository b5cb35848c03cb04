"""schedules_table_protected: every way in which an API user gets at more than the mode allows is named."""

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ID = "schedules_table_protected"
NAME = "public.auto_sync_schedules"
TABLE = f"table {NAME}"

OPENED = [
    (f"grant select on {NAME} to anon", f"{TABLE}: anon may select it"),
    (f"grant all on {NAME} to authenticated", f"{TABLE}: authenticated may delete, insert"),
    (f"grant truncate on {NAME} to public", f"{TABLE}: everybody may truncate it"),
    (
        f"grant update (next_run_at, enabled) on {NAME} to authenticated",
        f"{TABLE}: authenticated may write next_run_at,",
    ),
    (f"alter table {NAME} disable row level security", f"{TABLE}: row level security is off"),
    (
        f"create policy readable on {NAME} for select to authenticated using (true)",
        "policy readable: lets {authenticated} pass: true",
    ),
    (
        f"create policy writable on {NAME} for insert to public with check (true)",
        "policy writable: lets {public} pass: true",
    ),
    (
        f"alter policy auto_sync_schedules_nobody on {NAME} using (true)",
        "policy auto_sync_schedules_nobody: lets {public}",
    ),
]


def test_opened_table_is_the_root_cause_until_migrate(project: Project) -> None:
    for fault, names in OPENED:
        project.owner.execute(fault.encode())
        project.must_fail(ID, names=names)

        project.run_remedy(ID)
        project.must_be_healthy()


def test_what_the_chosen_mode_grants_is_no_fault_and_more_is(project: Project) -> None:
    project.owner.execute("create table public.device_integrations (id uuid primary key, user_id uuid not null)")
    with open("autosync.toml", "a") as file:
        file.write(
            '[isolation]\nmode = "owner"\nintegration_table = "public.device_integrations"\n'
            'integration_id_column = "id"\nowner_column = "user_id"\n'
        )
    project.run_command("migrate")
    assert result_of(project.report(), ID).status is Status.OK

    for fault in (
        f"grant update on {NAME} to authenticated",
        f"grant select on {NAME} to anon",
        f"alter policy auto_sync_schedules_owner on {NAME} using (true) with check (true)",
    ):
        project.owner.execute(fault.encode())
        assert result_of(project.report(), ID).status is Status.CRITICAL, fault
        project.run_command("migrate")
        assert result_of(project.report(), ID).status is Status.OK, fault


def test_what_lets_no_api_user_in_is_no_fault(project: Project) -> None:
    project.admin.execute(
        f"""
        create role reporting nologin;
        grant select on {NAME} to reporting;
        create policy shut on {NAME} for select to anon using (false);
        create policy narrow on {NAME} as restrictive for select to public using (true);
        create policy service on {NAME} for select to service_role using (true);
        """.encode()
    )
    project.must_be_healthy()
