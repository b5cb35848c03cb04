"""Blocks in PL/pgSQL: the statements that run in any case, and what their variables are then."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from autosync_db.jobs.texts.effects import Beside
from autosync_db.jobs.texts.expressions import Look, Node, evaluate, nothing, single_value
from autosync_db.jobs.texts.sql_values import Untranslatable, Value

Parse = Callable[[str], list[Node]]
_CALLS = re.compile(r"\bhttp(_\w+)?\"?\s*\(|\bautosync\"?\s*\.\s*\"?dispatch\"?\s*\(", re.IGNORECASE)
_ASSIGNED = re.compile(r"\A[\w.\[\]\"]+\s*:=")
_GUARDS = {"PLpgSQL_stmt_raise", "PLpgSQL_stmt_return"}
_TELL = _GUARDS | {"PLpgSQL_stmt_getdiag", "PLpgSQL_stmt_assign"}
_ERROR = 21  # elog.h


def parser() -> Any:
    """Return PostgreSQL's parser, which is loaded when a text is read."""
    import pgparse

    return pgparse


def statements(
    body: str, parse: Parse, given: Mapping[str, Value] | None = None, beside: Beside | None = None
) -> Iterator[tuple[Node, Look]]:
    """Yield the statements of a block that do something, with what names mean in each. Raises Untranslatable.

    With `given`, the values of its arguments, it is the body of a function. `beside` is given what it does besides, and
    on what conditions it goes on.
    """
    function = _parsed(body, ["void"] if given is None else ["text", "void", "setof text"])
    block = _Block(function.get("datums", []), parse, given or {}, beside or Beside())
    yield from block.walk_block(function["action"]["PLpgSQL_stmt_block"])


def queries(body: str) -> Iterator[str]:
    """Yield the queries of a block, and its expressions as queries. Raises Untranslatable."""
    pending: list[Any] = [_parsed(body, ["void"])]
    while pending:
        node = pending.pop(0)
        if isinstance(node, dict):
            expression = node.get("PLpgSQL_expr")
            if isinstance(expression, dict) and "query" in expression:
                query = str(expression["query"]).strip()
                if re.match(r"(select|insert|update|delete|with)\b", query, re.IGNORECASE):
                    yield query
                else:
                    # an expression, which may be assigned
                    yield f"select {re.sub(_ASSIGNED, '', query)}"
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


def _parsed(body: str, results: list[str]) -> Node:
    pgparse = parser()
    quote = "$autosync$"
    while quote in body:
        quote = quote.replace("$autosync", "$autosync_")
    for result in results:
        try:
            [tree] = pgparse.parse_pgsql(
                f"create function f() returns {result} language plpgsql as {quote}{body}{quote}"
            )
        except pgparse.PGQueryError:
            # what may be returned depends on it
            continue
        except (ValueError, RecursionError):
            raise Untranslatable("it is too deeply nested") from None
        return dict(tree["PLpgSQL_function"])
    raise Untranslatable("its block is not valid PL/pgSQL")


class _Block:
    def __init__(self, datums: list[Node], parse: Parse, given: Mapping[str, Value], beside: Beside) -> None:
        self._parse = parse
        self._beside = beside
        self._end: str | None = None  # by which statement it ends, before what follows
        self._names = [next(iter(datum.values())).get("refname", "").lower() for datum in datums]
        # a value, or why it is not known, which matters only where it is used
        self._values: dict[str, Value | Untranslatable] = dict(given)
        for datum in datums:
            variable = datum.get("PLpgSQL_var")
            if variable is not None and "default_val" in variable:
                self._assign(variable["refname"], variable["default_val"]["PLpgSQL_expr"]["query"])

    def walk_block(self, block: Node) -> Iterator[tuple[Node, Look]]:
        yield from self.walk(block.get("body", []))
        handlers = block.get("exceptions", {}).get("PLpgSQL_exception_block", {}).get("exc_list", [])
        if handlers and self._end == "PLpgSQL_stmt_raise":
            self._end = None
        for handler in handlers:
            action = handler["PLpgSQL_exception"].get("action", [])
            if not all(kind in _TELL for statement in action for kind in statement):
                self._beside.reasons.append("it does something else when its call fails")

    def walk(self, body: list[Node]) -> Iterator[tuple[Node, Look]]:
        for statement in body:
            if self._end is not None:
                return
            [(kind, inner)] = statement.items()
            self._end = kind if _ends(kind, inner) else None
            match kind:
                case "PLpgSQL_stmt_block":
                    yield from self.walk_block(inner)
                case "PLpgSQL_stmt_assign":
                    yield from self._assignment(inner)
                case "PLpgSQL_stmt_perform" | "PLpgSQL_stmt_call":
                    yield from self._statement(inner["expr"]["PLpgSQL_expr"]["query"])
                case "PLpgSQL_stmt_execsql":
                    yield from self._query(inner)
                case "PLpgSQL_stmt_return" if "expr" in inner:
                    yield from self._statement(f"select {inner['expr']['PLpgSQL_expr']['query']}")
                case "PLpgSQL_stmt_return_query" if "query" in inner:
                    yield from self._statement(inner["query"]["PLpgSQL_expr"]["query"])
                case "PLpgSQL_stmt_raise":
                    for query in _queries_of(inner.get("params", []), inner.get("options", [])):
                        self._beside.note({"raised": self._parse(f"select {query}")})
                case "PLpgSQL_stmt_assert":
                    self._require([inner])
                case "PLpgSQL_stmt_return" | "PLpgSQL_stmt_getdiag":
                    continue
                case "PLpgSQL_stmt_if" if _only_guards(inner):
                    if any(_ends(*one) for branch in _branches(inner) for made in branch for one in made.items()):
                        self._require([inner, *(one["PLpgSQL_if_elsif"] for one in inner.get("elsif_list", []))])
                case "PLpgSQL_stmt_if" if _goes_on(inner):
                    self._require([inner])
                    yield from self.walk(inner.get("then_body", []))
                case "PLpgSQL_stmt_if" | "PLpgSQL_stmt_case":
                    raise Untranslatable("it decides what to do while it runs")
                case "PLpgSQL_stmt_dynexecute":
                    raise Untranslatable("it makes SQL while it runs")
                case _:
                    raise Untranslatable(
                        "it has a loop" if "loop" in kind or "for" in kind else "it does more than call"
                    )

    def _assignment(self, inner: Node) -> Iterator[tuple[Node, Look]]:
        query = inner["expr"]["PLpgSQL_expr"]["query"]
        name, _, expression = query.partition(":=") if ":=" in query else query.partition("=")
        if _CALLS.search(expression):
            # the id of the request, or the answer
            yield from self._statement(f"select {expression}")
            self._values[name.strip().lower()] = Untranslatable("it uses what its call returned")
        else:
            self._assign(name.strip(), expression)

    def _query(self, inner: Node) -> Iterator[tuple[Node, Look]]:
        query = inner["sqlstmt"]["PLpgSQL_expr"]["query"]
        target = inner.get("target")
        if target is None or _CALLS.search(query):
            yield from self._statement(query)
            for name in _fields(target, self._names):
                self._values[name] = Untranslatable("it uses what its call returned")
            return
        names = _fields(target, self._names)
        [parsed] = self._parse(query)
        self._beside.note(parsed)
        select = parsed.get("SelectStmt", {})
        targets = select.get("targetList", [])
        # all are read before any is set
        found = [self._known(select | {"targetList": [one]}) for one in targets] if len(targets) == len(names) else []
        for at, name in enumerate(names):
            self._values[name] = found[at] if found else Untranslatable(f"{name} is known only when it runs")
        unknown = [one for one in found if isinstance(one, Untranslatable)]
        self._values["found"] = found if found and not unknown else Untranslatable("found is known only when it runs")

    def _known(self, select: Node) -> Value | Untranslatable:
        try:
            return single_value(select, self._look())
        except Untranslatable as error:
            return error

    def _assign(self, name: str, expression: str) -> None:
        try:
            [parsed] = self._parse(f"select {expression}")
            self._beside.note(parsed)
            self._values[name.lower()] = evaluate(
                parsed["SelectStmt"]["targetList"][0]["ResTarget"]["val"], self._look()
            )
        except Untranslatable as error:
            self._values[name.lower()] = error

    def _require(self, conditions: list[Node]) -> None:
        for query in _queries_of([one["cond"] for one in conditions]):
            [parsed] = self._parse(f"select {query}")
            [target] = parsed["SelectStmt"]["targetList"]
            self._beside.require(target["ResTarget"]["val"], self._look())

    def _statement(self, query: str) -> Iterator[tuple[Node, Look]]:
        for parsed in self._parse(query):
            yield parsed, self._look()

    def _look(self) -> Look:
        values = dict(self._values)

        def look(name: tuple[str, ...]) -> Value:
            found = values.get(name[0].lower(), values) if len(name) == 1 else values
            if found is values:
                return nothing(name)
            if isinstance(found, Untranslatable):
                raise found
            return found

        return look


def _only_guards(inner: Node) -> bool:
    """Return whether an IF only gives up, as when a secret is missing: a call that is made is made as without it."""
    return all(kind in _GUARDS for branch in _branches(inner) for statement in branch for kind in statement)


def _goes_on(inner: Node) -> bool:
    """Return whether an IF does something on one condition and else only gives up, as when a secret is there."""
    return "elsif_list" not in inner and all(kind in _GUARDS for made in inner.get("else_body", []) for kind in made)


def _branches(inner: Node) -> list[list[Node]]:
    elsifs = [one["PLpgSQL_if_elsif"].get("stmts", []) for one in inner.get("elsif_list", [])]
    return [inner.get("then_body", []), inner.get("else_body", []), *elsifs]


def _ends(kind: str, inner: Node) -> bool:
    """Return whether a block ends with a statement: a RETURN, or a RAISE of an error."""
    return kind == "PLpgSQL_stmt_return" or (kind == "PLpgSQL_stmt_raise" and inner.get("elog_level", 0) >= _ERROR)


def _queries_of(*trees: Any) -> Iterator[str]:
    """Yield the texts of the expressions in parts of a statement."""
    pending = list(trees)
    while pending:
        node = pending.pop(0)
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            if "PLpgSQL_expr" in node:
                yield str(node["PLpgSQL_expr"]["query"])
            else:
                pending.extend(node.values())


def _fields(target: Node | None, names: list[str]) -> list[str]:
    if target is None:
        return []
    [(kind, inner)] = target.items()
    if kind == "PLpgSQL_row":
        return [str(one["name"]).lower() for one in inner.get("fields", [])]
    return [str(inner.get("refname", "")).lower()]
