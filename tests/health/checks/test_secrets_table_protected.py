"""secrets_table_protected: every way in which somebody else could read the secrets is named."""

import pytest

from tests.support.health import Project

SECRETS = "public.pg_cron_secrets"
TABLE = f"table {SECRETS}"


OPENED = [
    ("grant select on public.pg_cron_secrets to anon", f"{TABLE}: anon may select it"),
    ("grant all on public.pg_cron_secrets to public", f"{TABLE}: everybody may delete, insert"),
    (f"grant select (secret) on {SECRETS} to authenticated", "authenticated may select (secret) it"),
    (f"alter table {SECRETS} disable row level security", f"{TABLE}: row level security is off"),
    (
        "create policy readable on public.pg_cron_secrets for select to authenticated using (true)",
        "policy readable: lets {authenticated} pass: true",
    ),
    (
        "create policy writable on public.pg_cron_secrets for insert to public with check (true)",
        "policy writable: lets {public} pass: true",
    ),
]


def test_opened_table_is_the_root_cause_until_migrate(project: Project) -> None:
    for fault, names in OPENED:
        project.owner.execute(fault.encode())
        project.must_fail("secrets_table_protected", names=names)

        project.run_remedy("secrets_table_protected")
        project.must_be_healthy()


@pytest.mark.parametrize(
    ("fault", "names", "cure"),
    [
        (
            "create view public.peek as select secret from public.pg_cron_secrets;"
            "create view public.peek_again as select * from public.peek;"
            "grant select on public.peek_again to anon",
            "view public.peek_again: anon may select it",
            "drop view public.peek_again",
        ),
        (
            "create publication everything for table public.pg_cron_secrets",
            "publication everything: sends public.pg_cron_secrets",
            "drop publication everything",
        ),
    ],
    ids=["view", "publication"],
)
def test_way_around_the_table_is_named(project: Project, fault: str, names: str, cure: str) -> None:
    project.owner.execute(fault.encode())
    project.must_fail("secrets_table_protected", names=names)

    project.owner.execute(cure.encode())
    project.must_be_healthy()


def test_what_lets_nobody_else_read_is_no_fault(project: Project) -> None:
    project.owner.execute(
        """
        create policy shut on public.pg_cron_secrets for select to anon using (false);
        create policy narrow on public.pg_cron_secrets as restrictive for select to public using (true);
        create policy service on public.pg_cron_secrets for select to service_role using (true);
        grant select on public.pg_cron_secrets to service_role;
        create view public.own as select name from public.pg_cron_secrets;
        create view public.invoker with (security_invoker = true) as select name from public.pg_cron_secrets;
        grant select on public.invoker to anon;
        """
    )
    project.must_be_healthy()
