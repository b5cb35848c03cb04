"""What a text does besides its one call, or on what condition it calls: a table of settings would leave that out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from autosync_db.jobs.texts.expressions import Look, Node, evaluate, function_name
from autosync_db.jobs.texts.sql_functions import CLOCKS, UNCHANGED
from autosync_db.jobs.texts.sql_values import Origin, Text, Untranslatable, Value

Meant = Callable[[tuple[str, ...]], bool]

MORE = "it does more than make its call"
CONDITION = "it calls on a condition"
_CHANGES = {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "intoClause", "IntoClause"}
# whether a row of these is there asks whether a call can be made at all
_NEEDED = {
    "vault.decrypted_secrets", "vault.secrets", "public.pg_cron_secrets", "pg_cron_secrets",
    "pg_extension", "pg_catalog.pg_extension",
}  # fmt: skip
_LENGTHS = {"length", "char_length", "character_length", "octet_length"}
_COMPARISONS = {"AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"}
# PostgreSQL's own that change nothing, and http_header, which makes a value
_CALCULATIONS = """
    abs age array_agg array_length array_to_string avg bool_and bool_or cardinality ceil ceiling coalesce
    concat concat_ws convert_from convert_to count current_database current_schema current_setting date_part
    date_trunc decode encode extract floor format gen_random_uuid greatest http_header initcap json_agg
    json_array_length json_build_array json_build_object json_object jsonb_agg jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_object jsonb_pretty jsonb_set jsonb_strip_nulls least left
    lower lpad make_date make_interval make_timestamp make_timestamptz max md5 min nullif pg_typeof
    quote_ident quote_literal quote_nullable random regexp_replace replace reverse right round row_to_json
    rpad set_config sha256 split_part string_agg substr substring sum timezone to_char to_timestamp trunc
    upper version
"""
_PURE = UNCHANGED | CLOCKS | _LENGTHS | set(_CALCULATIONS.split())


def beside(statement: Node, is_call: Meant = lambda name: False) -> str | None:
    """Return what a statement does besides the call that is meant, or on what condition; None where that is nothing."""
    for kind, inner in _nodes(statement, is_call):
        if kind in _CHANGES:
            return MORE
        if kind == "FuncCall" and not is_call(name := function_name(inner)) and not _is_pure(name):
            return f"it calls the function {'.'.join(name)} as well"
        if kind == "SelectStmt" and "havingClause" in inner:
            return CONDITION
        if kind == "SelectStmt" and "lockingClause" in inner:
            return "it locks rows"
    return None


@dataclass(slots=True)
class Beside:
    """What a block does besides its call, and what has to be there for it to go on."""

    reasons: list[str] = field(default_factory=list)
    needed: set[Origin] = field(default_factory=set)

    def note(self, parsed: Node) -> None:
        """Take note of what a statement or an expression does by itself."""
        if found := beside(parsed):
            self.reasons.append(found)

    def require(self, condition: Node, look: Look) -> None:
        """Take note of a condition on which a block ends, which may be that something is missing."""
        try:
            self.needed |= set(_asked(condition, look))
        except (Untranslatable, KeyError, IndexError, TypeError):
            # also a form of the parse tree that nobody thought of
            self.reasons.append(CONDITION)

    def reason(self, used: Iterable[Origin]) -> str | None:
        """Return why a call that uses these is not all; a secret of its own that is missing is no condition."""
        return next(iter(self.reasons), None) or (CONDITION if self.needed - set(used) else None)


def _asked(condition: Node, look: Look) -> Iterator[Origin]:
    """Yield the values whose absence a condition is about. Raises Untranslatable where it is about anything else."""
    [(kind, inner)] = condition.items()
    match kind:
        case "BoolExpr":
            for one in inner["args"]:
                yield from _asked(one, look)
            return
        case "NullTest":
            yield from _origins(evaluate(inner["arg"], look))
            return
        case "ColumnRef" if function_name({"funcname": inner["fields"]}) == ("found",):
            yield from _origins(look(("found",)))
            return
        case "SubLink" if _asks_for_needs(inner):
            return
        case "A_Expr" if inner.get("kind") in _COMPARISONS and "lexpr" in inner:
            for one, other in ((inner["lexpr"], inner["rexpr"]), (inner["rexpr"], inner["lexpr"])):
                if "A_Const" in other and (_is_length(one) or evaluate(other) in (None, Text())):
                    of = one["FuncCall"]["args"][0] if _is_length(one) else one
                    yield from _origins(evaluate(of, look))
                    return
    raise Untranslatable(CONDITION)


def _nodes(tree: Any, is_call: Meant) -> Iterator[tuple[str, Node]]:
    """Yield every node with its kind, without what is in the call that is meant: its arguments are understood."""
    pending = [tree]
    while pending:
        node = pending.pop(0)
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            for kind, inner in node.items():
                if isinstance(inner, dict):
                    yield kind, inner
                    if kind == "FuncCall" and is_call(function_name(inner)):
                        continue
                pending.append(inner)


def _is_pure(name: tuple[str, ...]) -> bool:
    return name[-1] in _PURE and (name[:-1] in {(), ("pg_catalog",)} or name[-1] == "http_header")


def _origins(value: Value) -> Iterator[Origin]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, Text):
            yield from (part for part in one.parts if isinstance(part, Origin))


def _is_length(node: Node) -> bool:
    return "FuncCall" in node and function_name(node["FuncCall"])[-1] in _LENGTHS


def _asks_for_needs(link: Node) -> bool:
    """Return whether a sub-select only asks whether a secret, or an extension, is there."""
    sources = [one.get("RangeVar", {}) for one in link["subselect"].get("SelectStmt", {}).get("fromClause", [])]
    names = [".".join(filter(None, (one.get("schemaname"), one.get("relname")))) for one in sources]
    return link.get("subLinkType") == "EXISTS_SUBLINK" and bool(names) and set(names) <= _NEEDED
