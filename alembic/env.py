"""Alembic's entry: the revisions run through autosync_db.migrate, whoever starts them.

`autosync-db migrate` hands over its connection; plain `alembic upgrade head` opens the configured database.
"""

from alembic import context

from autosync_db.schema import migrate

if context.is_offline_mode():
    migrate.write_script(context)
else:
    migrate.run_revisions(context)
