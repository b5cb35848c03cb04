"""Keep the values of secrets out of pg_statistic

ANALYZE copies values of a column there, and a member of pg_read_all_data may read that table: row level security does
not reach it. What is there already goes with a change of the column's type, which is none.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"

# a view or a trigger of the project's own on the column forbids it; the statistics then last until the key is replaced
FORGET = """
do $forget$
begin
    alter table {table} alter column {column} type text;
exception
    when feature_not_supported then
        raise warning 'what ANALYZE has noted of {table}.{column} stays until the secret is replaced: %', sqlerrm;
end
$forget$
"""


def upgrade() -> None:
    for table, column in (("public.pg_cron_secrets", "secret"), ("autosync.secret_rotation", "previous")):
        op.execute(f"alter table {table} alter column {column} set statistics 0")
        op.execute(FORGET.format(table=table, column=column))


def downgrade() -> None:
    for table, column in (("public.pg_cron_secrets", "secret"), ("autosync.secret_rotation", "previous")):
        op.execute(f"alter table if exists {table} alter column {column} set statistics -1")
