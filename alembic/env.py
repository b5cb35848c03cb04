"""Alembic's entry: the revisions run through autosync_db.schema.environment, whoever starts them.

`autosync-db migrate` hands over its connection; plain `alembic upgrade head` opens the configured database.
"""

from alembic import context

from autosync_db.schema import environment

if context.is_offline_mode():
    environment.write_script(context)
else:
    environment.run_revisions(context)
