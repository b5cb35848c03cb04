#!/usr/bin/env python
"""Write module, query, page and test of a new check as stubs that fail until filled in: make new-check NAME=…."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = {
    "autosync_db/health/checks/{id}.py": '''\
"""TODO: the claim as a sentence."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="job",
    claim="TODO: what is true of a healthy chain, as one claim",
    remedy="autosync-db repair {id}",
    needs=("head_applied",),
)
''',
    "sql/checks/{id}.sql": """\
-- {id}: TODO: why the query looks where it looks, and why its cost is bounded.
select 'critical' as status, 'check {id}' as object, 'is a stub' as detail, '{{}}'::jsonb as facts
""",
    "docs/checks/{id}.md": """\
# {id}

## Why it matters

TODO: what breaks, and what it looks like elsewhere.

## How it looks

TODO: the texts of its findings and what each means.

## False positives

TODO: what looks like it and is healthy.

## Source

- TODO
""",
}

# the table of the layer that the module's stub names
CASES = ROOT / "tests/health/checks/cases/job.py"
CASE = """    "{id}": (failed("TODO: what is broken, and beside it near-misses", sql("select 1 / 0"), says="TODO"),),
}}
"""


def main(arguments: list[str]) -> int:
    """Write the stubs; change nothing when the name is no good or taken."""
    if len(arguments) != 1 or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", arguments[0]):
        sys.stderr.write("usage: make new-check NAME=job_is_quick  (small letters, at least two words)\n")
        return 2
    wanted = {ROOT / name.format(id=arguments[0]): text.format(id=arguments[0]) for name, text in FILES.items()}
    if taken := [path for path in wanted if path.exists()]:
        sys.stderr.write(f"there is a file already: {taken[0].relative_to(ROOT)}\n")
        return 2
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    CASES.write_text(
        CASES.read_text(encoding="utf-8").removesuffix("}\n") + CASE.format(id=arguments[0]), encoding="utf-8"
    )
    sys.stdout.write(f"added an entry to {CASES.relative_to(ROOT)}\nfill them in, then: make generate\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
