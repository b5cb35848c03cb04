"""The keys that programs may read in a finding's facts are described where its JSON is."""

import json
from pathlib import Path
from typing import Any

import pglast
from pglast import visitors

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "reference" / "schemas" / "verify.schema.json").read_text())
EVIDENCE = SCHEMA["$defs"]["check"]["properties"]["evidence"]["items"]["properties"]


class _Keys(visitors.Visitor):
    """Collects the constant keys of the outermost objects that a query builds: those in `facts`."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_FuncCall(self, _ancestors: Any, node: Any) -> None:  # noqa: N802 - the name of the node
        if node.funcname[-1].sval == "jsonb_build_object":
            for key in node.args[::2]:
                self.found |= _texts(key)


def _texts(node: Any) -> set[str]:
    """Return the texts that an expression can be: a constant, or those that a CASE chooses from."""
    match type(node).__name__:
        case "A_Const":
            return {node.val.sval}
        case "CaseExpr":
            return _texts(node.defresult).union(*(_texts(when.result) for when in node.args))
    return set()


def test_every_key_of_a_fact_is_described() -> None:
    keys = _Keys()
    for path in sorted((ROOT / "sql" / "checks").glob("*.sql")):
        keys(pglast.parse_sql(path.read_text(encoding="utf-8")))
    described = EVIDENCE["facts"]["properties"]
    assert keys.found
    assert keys.found - set(described) == set()
    assert all(entry["description"] for entry in described.values())
