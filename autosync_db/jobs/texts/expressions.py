"""What an SQL expression is known to be without running it.

Works on PostgreSQL's own parse tree, as pgparse gives it. What would have to be run to be known is Untranslatable, with
a reason to print.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from autosync_db.jobs.texts import sql_functions
from autosync_db.jobs.texts.sql_values import (
    Moment,
    Origin,
    Text,
    Untranslatable,
    Value,
    as_text,
    literal_of,
    number,
    parse_json,
)

Node = dict[str, Any]
Look = Callable[[tuple[str, ...]], Value]  # what a name means: a variable, or a column of a query
Columns = Callable[[str], Value]


@dataclass(slots=True)
class _Query:
    """A query in the place of a table; None for a statement that returns rows."""

    select: Node | None
    look: Look
    is_checked: bool = False

    def require_one_row(self) -> None:
        """Raise Untranslatable where it may have other than one row."""
        if self.select is None:
            raise Untranslatable("it reads the result of a statement")
        if not self.is_checked:
            scope(self.select, self.look)
            self.is_checked = True

    def column(self, name: str) -> Value:
        """Return one of its columns. Raises Untranslatable."""
        select = self.select or {}
        for target in select.get("targetList", []):
            result = target["ResTarget"]
            column_name = result.get("name") or _column(result["val"].get("ColumnRef", {"fields": []}))[-1:]
            if column_name in (name, (name,)):
                return evaluate(result["val"], scope(select, self.look))
        raise Untranslatable(f"the column {name} is known only when it runs")


@dataclass(frozen=True, slots=True)
class _Within:
    """What names mean within a query that has common tables, which the queries in it may read, too."""

    names: Look
    tables: Mapping[str, _Query]

    def __call__(self, name: tuple[str, ...]) -> Value:
        """Return what a name means."""
        return self.names(name)


def nothing(name: tuple[str, ...]) -> Value:
    """Know no names."""
    raise Untranslatable(f"{'.'.join(name)} is known only when it runs")


def evaluate(node: Node, look: Look = nothing) -> Value:
    """Return what an expression is. Raises Untranslatable."""
    [(kind, inner)] = node.items()
    match kind:
        case "A_Const":
            return _constant(inner)
        case "TypeCast":
            return _cast(inner, look)
        case "A_Expr":
            return _operation(inner, look)
        case "FuncCall":
            return _function(inner, look)
        case "SubLink" if inner.get("subLinkType") == "EXPR_SUBLINK":
            return single_value(inner["subselect"]["SelectStmt"], look)
        case "SQLValueFunction" if "TIMESTAMP" in inner.get("op", ""):
            return Text((Moment(),))
        case "SQLValueFunction" if re.search("TIME|DATE", inner.get("op", "")):
            raise Untranslatable(sql_functions.CALCULATES_TIME)
        case "CoalesceExpr":
            return sql_functions.coalesced([evaluate(one, look) for one in inner["args"]])
        case "ColumnRef":
            return look(_column(inner))
        case "ParamRef":
            return look((f"${inner['number']}",))
        case "A_ArrayExpr":
            return [evaluate(one, look) for one in inner.get("elements", [])]
        case "RowExpr":
            return [evaluate(one, look) for one in inner.get("args", [])]
        case "CollateClause":
            return evaluate(inner["arg"], look)
        case "CaseExpr":
            raise Untranslatable("it decides with CASE")
    raise Untranslatable("it has an expression that is known only when it runs")


def single_value(select: Node, look: Look = nothing) -> Value:
    """Return the value of a query with one column: of a row that its conditions name, or of no table at all."""
    targets = select.get("targetList", [])
    if len(targets) != 1:
        raise Untranslatable("it reads several columns at once")
    return evaluate(targets[0]["ResTarget"]["val"], scope(select, look, has_one_row=True))


def scope(select: Node, look: Look = nothing, *, has_one_row: bool = False) -> Look:
    """Return what names mean within a query: columns of one row of each of its tables, or of queries in their place.

    Raises Untranslatable for a query that may have other than one row, unless `has_one_row`: SQL asks for that there.
    """
    if select.get("op", "SETOP_NONE") != "SETOP_NONE" or "valuesLists" in select or "groupClause" in select:
        raise Untranslatable("it reads the result of a query")
    conditions = [_equality(one) for one in _conjuncts(select.get("whereClause"))]
    look = _with_common_tables(select, look)
    tables = look.tables if isinstance(look, _Within) else {}
    columns: dict[str, Columns] = {}
    used = 0
    for item in _sources(select.get("fromClause", [])):
        [(kind, inner)] = item.items()
        query = None
        if kind == "RangeVar" and "schemaname" not in inner:
            query = tables.get(inner["relname"])
        elif kind == "RangeSubselect":
            query = _Query(inner["subquery"]["SelectStmt"], look)
        if query is not None:
            query.require_one_row()
            columns[_alias(inner)] = query.column
        elif kind == "RangeVar":
            own = tuple((name[-1], text) for name, text in conditions if len(name) == 1 or name[0] == _alias(inner))
            used += len(own)
            if not own and not has_one_row:
                raise Untranslatable(f"it makes a call for each row of {_full_name(inner)}")
            columns[_alias(inner)] = _columns_of_row(inner, own)
        else:
            raise Untranslatable("it reads the result of a function")
    if used < len(conditions):
        raise Untranslatable("it calls on a condition")

    def within(name: tuple[str, ...]) -> Value:
        if len(name) == 2 and name[0] in columns:
            return columns[name[0]](name[1])
        if len(name) == 1 and len(columns) == 1 and not name[0].startswith("$"):
            return next(iter(columns.values()))(name[0])
        return look(name)

    return _Within(within, tables) if tables else within


def _with_common_tables(select: Node, look: Look) -> Look:
    """Return what names mean, with the common tables that a query has; each knows those before it."""
    for one in select.get("withClause", {}).get("ctes", []):
        table = one["CommonTableExpr"]
        known = look.tables if isinstance(look, _Within) else {}
        look = _Within(look, {**known, table["ctename"]: _Query(table["ctequery"].get("SelectStmt"), look)})
    return look


def function_name(call: Node) -> tuple[str, ...]:
    """Return the name of a called function, with its schema where the text has one."""
    return tuple(part["String"]["sval"] for part in call["funcname"])


def arguments(call: Node, look: Look) -> tuple[list[Value], dict[str, Value]]:
    """Return what a function is called with: by position and by name."""
    positional: list[Value] = []
    named: dict[str, Value] = {}
    for argument in call.get("args", []):
        if "NamedArgExpr" in argument:
            named[argument["NamedArgExpr"]["name"]] = evaluate(argument["NamedArgExpr"]["arg"], look)
        else:
            positional.append(evaluate(argument, look))
    return positional, named


def _constant(inner: Node) -> Value:
    if inner.get("isnull"):
        return None
    if "sval" in inner:
        return Text((inner["sval"]["sval"],)) if inner["sval"].get("sval") else Text()
    if "ival" in inner:
        return inner["ival"].get("ival", 0)
    if "fval" in inner:
        return number(inner["fval"]["fval"])
    if "boolval" in inner:
        return bool(inner["boolval"].get("boolval", False))
    raise Untranslatable("it has a constant of bits")


def _cast(inner: Node, look: Look) -> Value:
    found = evaluate(inner["arg"], look)
    target, is_list = inner["typeName"]["names"][-1]["String"]["sval"], "arrayBounds" in inner["typeName"]
    if is_list or found is None:
        if isinstance(found, Text):
            raise Untranslatable("it makes a list of a text")
        return found
    if target in {"json", "jsonb"}:
        return parse_json(found) if isinstance(found, Text) else found
    if target in {"text", "varchar", "bpchar", "name"}:
        return as_text(found)
    if target in sql_functions.NUMBERS:
        return sql_functions.as_number(found, target, has_scale="typmods" in inner["typeName"])
    if target == "bool" and isinstance(found, Text):
        return literal_of(found, "truth value").lower() in {"t", "true", "yes", "on", "1"}
    if target in sql_functions.TIMES and not sql_functions.is_same_as(found, target):
        raise Untranslatable(sql_functions.CALCULATES_TIME)
    return found


def _operation(inner: Node, look: Look) -> Value:
    operator = inner["name"][-1]["String"]["sval"] if inner.get("kind") == "AEXPR_OP" else ""
    if "lexpr" not in inner:
        raise Untranslatable("it calculates a value")
    if operator in {"->>", "#>>"} and (read := _from_json(inner, operator, look)) is not None:
        return read
    left, right = evaluate(inner["lexpr"], look), evaluate(inner["rexpr"], look)
    if operator in {"->>", "->"}:
        return sql_functions.picked(left, right, as_plain_text=operator == "->>")
    if operator in {"+", "-", "*"} and all(type(one) is int for one in (left, right)):
        return {"+": left + right, "-": left - right, "*": left * right}[operator]
    if operator != "||":
        raise Untranslatable(sql_functions.reason((left, right), "it calculates a value"))
    if isinstance(left, dict) or isinstance(right, dict):
        pair = [parse_json(one) if isinstance(one, Text) else one for one in (left, right)]
        if all(isinstance(one, dict) for one in pair):
            return {**pair[0], **pair[1]}
        raise Untranslatable("it joins JSON that is no object")
    if isinstance(left, list) or isinstance(right, list):
        raise Untranslatable("it joins lists")
    return as_text(left) + as_text(right)


def _from_json(inner: Node, operator: str, look: Look) -> Text | None:
    """Return what is read from JSON that is kept somewhere, None where that is not what an operation does."""
    of, cast = inner["lexpr"], inner["lexpr"].get("TypeCast")
    if cast is not None and cast["typeName"]["names"][-1]["String"]["sval"] in {"json", "jsonb"}:
        of = cast["arg"]
    container, key = evaluate(of, look), evaluate(inner["rexpr"], look)
    if not isinstance(container, Text) or not isinstance(key, Text) or key.literal is None:
        return None
    match container.parts:
        case (Origin(path=None) as origin,):
            path = re.fullmatch(r"\{((?:\w+(?:,\w+)*)?)\}", key.literal) if operator == "#>>" else None
            if operator == "->>" or path is not None:
                names = (key.literal,) if path is None else tuple(filter(None, path[1].split(",")))
                return Text((replace(origin, path=names),))
    return None


def _function(inner: Node, look: Look) -> Value:
    *schema, name = function_name(inner)
    if name == "http_header":
        return arguments(inner, look)[0]
    if schema and schema != ["pg_catalog"]:
        raise Untranslatable(f"it asks the function {'.'.join([*schema, name])} for a value")
    values, _ = arguments(inner, look)
    if name in {"jsonb_build_object", "json_build_object"}:
        if len(values) % 2:
            raise Untranslatable(f"{name} has a key without a value")
        return {literal_of(values[at], "key in JSON"): values[at + 1] for at in range(0, len(values), 2)}
    if name in {"jsonb_build_array", "json_build_array"}:
        return values
    if name == "concat":
        return sql_functions.joined(values)
    if name == "format" and values:
        return sql_functions.formatted(literal_of(values[0], "format"), values[1:])
    if name == "current_setting" and values:
        may_miss = len(values) > 1 and values[1] is True
        return Text((Origin("setting", literal_of(values[0], "name of a setting"), must_be_there=not may_miss),))
    if name == "nullif" and len(values) == 2:
        return values[0]
    if name in sql_functions.UNCHANGED and values:
        return sql_functions.trimmed(name, values)
    if (name in sql_functions.CLOCKS and not values) or (name == "timezone" and values[1:] == [Text((Moment(),))]):
        return Text((Moment(),))
    raise Untranslatable(sql_functions.reason(values, f"it asks the function {name} for a value"))


def _column(inner: Node) -> tuple[str, ...]:
    return tuple(part["String"]["sval"] if "String" in part else "*" for part in inner["fields"])


def _alias(inner: Node) -> str:
    return str(inner.get("alias", {}).get("aliasname", inner.get("relname", "")))


def _sources(items: list[Node]) -> list[Node]:
    found = []
    for item in items:
        if "JoinExpr" in item:
            join = item["JoinExpr"]
            quals = join.get("quals")
            if quals is not None and quals.get("A_Const", {}).get("boolval", {}).get("boolval") is not True:
                raise Untranslatable("it joins tables on a condition")
            found += _sources([join["larg"], join["rarg"]])
        else:
            found.append(item)
    return found


def _columns_of_row(table: Node, conditions: tuple[tuple[str, str], ...]) -> Columns:
    full_name = _full_name(table)

    def column(name: str) -> Value:
        if (full_name, name) == ("vault.decrypted_secrets", "decrypted_secret") and len(conditions) == 1:
            [(of, text)] = conditions
            if of in {"name", "id"}:
                return Text((Origin("vault", text, conditions=() if of == "name" else conditions),))
        key = ", ".join(text for _, text in conditions) or name
        return Text((Origin("table", key, full_name, name, conditions),))

    return column


def _full_name(table: Node) -> str:
    return ".".join(filter(None, (table.get("schemaname"), table["relname"])))


def _conjuncts(condition: Mapping[str, Any] | None) -> list[Node]:
    if condition is None:
        return []
    if condition.get("BoolExpr", {}).get("boolop") == "AND_EXPR":
        return [one for inner in condition["BoolExpr"]["args"] for one in _conjuncts(inner)]
    return [dict(condition)]


def _equality(condition: Node) -> tuple[tuple[str, ...], str]:
    inner = condition.get("A_Expr", {})
    if inner.get("kind") == "AEXPR_OP" and inner["name"][-1]["String"]["sval"] == "=":
        for one, other in ((inner["lexpr"], inner["rexpr"]), (inner["rexpr"], inner["lexpr"])):
            if "ColumnRef" in one and "ColumnRef" not in other:
                return _column(one["ColumnRef"]), literal_of(as_text(evaluate(other)), "condition")
    raise Untranslatable("it calls on a condition")
