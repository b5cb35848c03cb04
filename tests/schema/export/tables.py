"""Write templates/supabase/schemas/tables.sql, as the Supabase CLI describes a migrated database.

`python -m tests.schema.export.tables`, after a revision that changes a table; test_schemas.py shows when it is needed.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.support import clusters, tools

WRITTEN = Path(__file__).parents[3] / "templates/supabase/schemas/tables.sql"
_CONFIG = """
project_id = "tables"
[experimental.pgdelta]
enabled = true
format_options = '{"keywordCase":"lower","indent":4,"maxWidth":120,"alignColumns":false,"alignKeyValues":false}'
"""
# these come from sql/triggers and sql/access
_ELSEWHERE = re.compile(r"(create trigger|create policy|grant|revoke) ")
# the engine does not compare them, and a database that is built from the files has to have them all the same
_STATISTICS = """
select format('alter table %I.%I alter column %I set statistics %s;',
    cast(c.relnamespace as regnamespace), c.relname, a.attname, a.attstattarget)
from pg_attribute as a
join pg_class as c on c.oid = a.attrelid and c.relkind = 'r'
where c.relnamespace in (to_regnamespace('public'), to_regnamespace('autosync'))
    and a.attnum > 0 and a.attstattarget >= 0
order by cast(c.relnamespace as regnamespace)::text, c.relname, a.attnum
"""


def written(migrated: Cluster) -> str:
    """Return the text for a cluster that was migrated when it was empty."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "supabase"
        folder.mkdir()
        (folder / "config.toml").write_text(_CONFIG)
        subprocess.run(
            [str(tools.supabase()), "db", "schema", "declarative", "generate", "--agent", "no", "--yes",
             f"--remote={migrated.url().reveal()}", "--output-dir", f"{home}/made"],
            cwd=home, check=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": home, "SUPABASE_TELEMETRY_DISABLED": "1"},
        )  # fmt: skip
        files = sorted((Path(home) / "made").glob("*/tables/*.sql"))
        tables = [_table(path.read_text()) for path in files]
    # a table that refers to another one comes after it
    tables.sort(key=lambda text: "foreign key" in text)
    with clusters.connect(migrated) as connection:
        statistics = [str(line) for (line,) in connection.execute(_STATISTICS)]
    return "\n\n".join([*tables, "\n".join(["-- a secret is in no statistics", *statistics])]) + "\n"


def _table(text: str) -> str:
    statements = [part.strip() for part in re.split(r";\n+", text.strip().removesuffix(";"))]
    kept = [f"{part};" for part in statements if not _ELSEWHERE.match(part)]
    return re.sub(r'"([a-z_]+)"', r"\1", "\n\n".join(kept))


if __name__ == "__main__":
    os.environ.setdefault(clusters.TEMPLATES, str(clusters.new_folder()))
    with clusters.cloned(clusters.template("blank", lambda cluster: None)) as made:
        migrate.upgrade(made.url())
        WRITTEN.parent.mkdir(parents=True, exist_ok=True)
        WRITTEN.write_text(written(made), encoding="utf-8")
