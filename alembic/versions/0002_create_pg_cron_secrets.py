"""Create or complete the table public.pg_cron_secrets

It holds the two values that every tick needs, project_url and service_role_key. A table that was made by the
guide's migrations is completed in place, and how it was is remembered; who may read it is decided in sql/access/.

Revision ID: 0002
Revises: 0001
"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

ADOPTION = Path(__file__).parents[1] / "adoption"


def _run(*names: str) -> None:
    for name in names:
        op.execute((ADOPTION / f"{name}.sql").read_text(encoding="utf-8"))


# An adopted table may lack the times, or let them be null; it is small, so each is put right whether it must be or not.
TIMES = """
do $times$
declare
    wanted name;
    adopted constant boolean := exists (select from autosync.adopted as a where a.revision = '0002');
begin
    for wanted in
        select w.name from unnest(array['created_at', 'updated_at']::name[]) as w (name) where adopted
    loop
        execute format('alter table public.pg_cron_secrets add column if not exists %I timestamptz', wanted);
        insert into autosync.adopted (revision, step, object, undo)
        select '0002', 35, 'column ' || a.attname, format(
            'alter table if exists public.pg_cron_secrets alter column %I %s, alter column %I %s', a.attname,
            case when a.attnotnull then 'set not null' else 'drop not null' end, a.attname,
            coalesce('set default ' || pg_get_expr(d.adbin, d.adrelid), 'drop default'))
        from pg_catalog.pg_attribute as a
        left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = to_regclass('public.pg_cron_secrets') and a.attname = wanted
            -- a column that we added goes away whole
            and not exists (
                select from autosync.adopted as o
                where o.revision = '0002' and o.step = 20 and o.object = 'column ' || wanted
            );
        execute format('update public.pg_cron_secrets set %I = now() where %I is null', wanted, wanted);
        execute format(
            'alter table public.pg_cron_secrets alter column %I set default now(), alter column %I set not null',
            wanted, wanted);
    end loop;
end
$times$
"""


def upgrade() -> None:
    op.execute("select set_config('autosync.adopting', '0002', true)")
    _run("tables", "refusals", "refuse", "remember")
    op.execute(
        """
        create table if not exists public.pg_cron_secrets (
            name text primary key,
            secret text not null,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now()
        )
        """
    )
    op.execute(TIMES)
    # closed in the same transaction that creates it, whatever the default privileges are
    op.execute("alter table public.pg_cron_secrets enable row level security")
    op.execute("revoke all on table public.pg_cron_secrets from public")
    op.execute(
        "comment on table public.pg_cron_secrets is "
        "'project_url and service_role_key of the scheduled calls; change them with autosync-db setup'"
    )


def downgrade() -> None:
    op.execute("drop function if exists autosync.service_key_facts()")
    # a table that was there before us is given back as it was, with every row
    op.execute(
        """
        do $$
        declare
            reader record;
        begin
            if exists (select from autosync.adopted as a where a.revision = '0002') then
                return;
            end if;
            -- a job that was given back reads from here what was pasted into its text before
            if to_regclass('cron.job') is not null then
                for reader in
                    select c.jobid, c.jobname
                    from cron.job as c
                    where c.active and c.username = current_user
                        and c.command like '%(select s.secret from public.pg_cron_secrets as s where s.name = %'
                loop
                    perform cron.alter_job(job_id := reader.jobid, active := false);
                    raise warning 'the job % is inactive: put its secret back into its text', reader.jobname;
                end loop;
            end if;
            drop table if exists public.pg_cron_secrets;
        end
        $$
        """
    )
    op.execute("select set_config('autosync.adopting', '0002', true)")
    _run("undo")
