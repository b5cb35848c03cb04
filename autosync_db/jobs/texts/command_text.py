"""What the text of a cron job does: one HTTP call that settings can say, a call that they cannot, or plain SQL.

The text is parsed by PostgreSQL's own grammar (pgparse) and never run.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from autosync_db.errors import UsageError
from autosync_db.jobs.texts import blocks, effects
from autosync_db.jobs.texts.expressions import Look, Node, arguments, function_name, nothing, scope
from autosync_db.jobs.texts.sql_values import Origin, Text, Untranslatable, Value, as_text, literal_of, parse_json

Kind = Literal["call", "sql", "autosync", "unknown"]

_PG_NET = ("url", "body", "params", "headers", "timeout_milliseconds")
# the arguments of pg_net's functions in their order
_POSITIONS = {
    "http_post": _PG_NET,
    "http_get": ("url", "params", "headers", "timeout_milliseconds"),
    "http_delete": ("url", "params", "headers", "timeout_milliseconds", "body"),
}
# those of the extension `http`, which waits for the answer
_SYNCHRONOUS = {
    "http_post": ("uri", "content", "content_type"),
    "http_get": ("uri", "data"),
    "http_put": ("uri", "content", "content_type"),
    "http_patch": ("uri", "content", "content_type"),
    "http_delete": ("uri", "content", "content_type"),
    "http_head": ("uri",),
    "http": ("request",),
}
_QUIET = {"VariableSetStmt", "TransactionStmt"}


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call as a text makes it."""

    method: str
    url: Text
    query: dict[str, Text] = field(default_factory=dict)
    headers: dict[str, Text] = field(default_factory=dict)
    body: Value = None
    timeout_milliseconds: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text was understood to do.

    `functions`: all functions that it names, with their schema where the text has it. `reason`: why a call in it cannot
    be said in settings, or why nothing is understood. `beside`: what it does besides its call, or on what condition it
    calls. `undone`: how its own transaction ends, if nothing of it lasts.
    """

    kind: Kind
    call: Call | None = None
    functions: tuple[tuple[str, ...], ...] = ()
    reason: str | None = None
    beside: str | None = None
    undone: str | None = None


def read(text: str) -> Reading:
    """Return what the text of a cron job does."""
    try:
        statements = parse(text)
    except Untranslatable as error:
        return Reading("unknown", reason=str(error))
    return replace(_understood(statements), undone=_undone(statements))


def _undone(statements: list[Node]) -> str | None:
    """Return why what a text does is not kept; None where at least a part of it is, or there is nothing to keep."""
    is_open = has_work = False
    ended: str | None = None
    for statement in statements:
        [(kind, inner)] = statement.items()
        match inner.get("kind") if kind == "TransactionStmt" else kind:
            case "TRANS_STMT_BEGIN" | "TRANS_STMT_START":
                is_open = True
            case "TRANS_STMT_COMMIT":
                if has_work:
                    return None
                is_open = bool(inner.get("chain"))
            case "TRANS_STMT_ROLLBACK":
                ended = "is rolled back" if has_work else ended
                is_open, has_work = bool(inner.get("chain")), False
            case str() as other if other not in _QUIET and not other.startswith("TRANS_STMT_"):
                has_work = True
    if has_work:
        return "is never committed" if is_open else None
    return ended


def _understood(statements: list[Node]) -> Reading:
    beside = effects.Beside()
    try:
        work = [found for statement in statements for found in work_of(statement, beside)]
    except Untranslatable as error:
        functions = tuple(functions_in(statements))
        return Reading("call" if _calls_http(functions) else "sql", functions=functions, reason=str(error))
    functions = tuple(functions_in([node for node, _ in work]))
    if any(name[0] == "autosync" and len(name) == 2 for name in functions):
        return Reading("autosync", functions=functions)
    if not _calls_http(functions):
        return Reading("sql", functions=functions)
    try:
        call = _only_call(work)
        reason = effects.beside(work[0][0], is_http) or beside.reason(_origins(call))
        return Reading("call", call, functions, beside=reason)
    except Untranslatable as error:
        return Reading("call", functions=functions, reason=str(error))
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        # a form of the parse tree that nobody thought of is no reason to fail
        return Reading("call", functions=functions, reason="its form is not understood")


def parse(text: str) -> list[Node]:
    """Return the statements of a text as PostgreSQL's parser sees them. Raises Untranslatable, which quotes nothing."""
    pgparse = blocks.parser()
    try:
        return [statement["stmt"] for statement in pgparse.parse(text) if statement.get("stmt")]
    except pgparse.PGQueryError:
        raise Untranslatable("it is not valid SQL") from None
    except (ValueError, RecursionError):
        raise Untranslatable("it is too deeply nested") from None


def work_of(statement: Node, beside: effects.Beside | None = None) -> Iterator[tuple[Node, Look]]:
    """Yield the statements that do something, with what the names in them mean; a DO block is taken apart.

    `beside` is given what such a block does besides.
    """
    [(kind, inner)] = statement.items()
    if kind in _QUIET:
        return
    if kind != "DoStmt":
        yield statement, nothing
        return
    yield from blocks.statements(body_of(inner) or "", parse, beside=beside)


def body_of(block: Node) -> str | None:
    """Return the body of a DO block, None where it has none. Raises Untranslatable for another language."""
    body, language = None, "plpgsql"
    for argument in block.get("args", []):
        element = argument["DefElem"]
        if element["defname"] == "as":
            body = element["arg"]["String"].get("sval", "")
        elif element["defname"] == "language":
            language = element["arg"]["String"]["sval"]
    if language != "plpgsql":
        raise Untranslatable(f"it is written in {language}")
    return body


def _only_call(work: list[tuple[Node, Look]]) -> Call:
    if len(work) != 1:
        calling = [node for node, _ in work if _calls_http(tuple(functions_in([node])))]
        raise Untranslatable(f"it makes {len(calling)} calls in one job" if len(calling) > 1 else effects.MORE)
    return call_of(*work[0])


def _origins(call: Call) -> Iterator[Origin]:
    """Yield what a call is made of that its text reads from elsewhere."""
    for text in (call.url, *call.query.values(), *call.headers.values(), as_text(call.body or Text())):
        yield from (part for part in text.parts if isinstance(part, Origin))


def call_of(statement: Node, look: Look) -> Call:
    """Return the one HTTP call that a statement makes. Raises Untranslatable."""
    return _call(*sole_call(statement, look, is_http))


def sole_call(statement: Node, look: Look, is_meant: Callable[[tuple[str, ...]], bool]) -> tuple[Node, Look]:
    """Return the only call of a function that is meant, and what names mean in its arguments. Raises Untranslatable."""
    if "CallStmt" in statement and is_meant(function_name(statement["CallStmt"]["funccall"])):
        return statement["CallStmt"]["funccall"], look
    select = statement.get("SelectStmt")
    if select is None:
        raise Untranslatable("it makes its call within another statement")
    called = [node for node in _nodes(select, "FuncCall") if is_meant(function_name(node))]
    if len(called) != 1:
        raise Untranslatable(f"it makes {len(called)} calls in one job")
    while (inner := _around(select, called[0])) is not None:
        select, look = inner, scope(select | {"fromClause": []}, look)
    return called[0], _scope_of_call(select, called[0], look)


def is_idle(statement: Node) -> bool:
    """Return whether a statement only returns what it says, as the last one of many functions does."""
    select = statement.get("SelectStmt")
    return select is not None and "fromClause" not in select and not any(functions_in([statement]))


def named_call(statement: Node, name: tuple[str, ...]) -> Node:
    """Return the only call of the function of this name, wherever it stands. Raises Untranslatable for several."""
    found = [node for node in _nodes(statement, "FuncCall") if function_name(node) == name]
    if len(found) != 1:
        raise Untranslatable(f"it calls {'.'.join(name)} {len(found)} times")
    return found[0]


def _around(select: Node, call: Node) -> Node | None:
    """Return the only query of a FROM that the call is in, None where it is in the select list or the FROM itself."""
    ctes = select.get("withClause", {}).get("ctes", [])
    sources = select.get("fromClause", [])
    for source in sources:
        if "RangeSubselect" in source and call in _nodes(source, "FuncCall"):
            return _alone(select, source["RangeSubselect"]["subquery"])
    for cte in ctes:
        if call in _nodes(cte, "FuncCall"):
            return _alone(select, cte["CommonTableExpr"]["ctequery"])
    return None


def _alone(select: Node, query: Node) -> Node:
    if len(select.get("fromClause", [])) > 1 or "whereClause" in select or "SelectStmt" not in query:
        raise Untranslatable("it calls within a query")
    return dict(query["SelectStmt"])


def _scope_of_call(select: Node, call: Node, look: Look) -> Look:
    """Return what names mean in the arguments of the call. Raises Untranslatable where it may not be made once."""
    targets = [target["ResTarget"]["val"] for target in select.get("targetList", [])]
    if any(_plain(target) is call for target in targets):
        return scope(select, look)
    for source in select.get("fromClause", []):
        function = source.get("RangeFunction")
        if function and call in _nodes(function, "FuncCall"):
            if len(select["fromClause"]) > 1:
                raise Untranslatable("it joins its call with tables")
            return look
    raise Untranslatable("it makes its call within an expression")


def _plain(target: Node) -> Node:
    """Return the call that a column is, without casts and the choice of a field around it."""
    [(kind, inner)] = target.items()
    if kind == "TypeCast" or kind == "A_Indirection":
        return _plain(inner["arg"])
    return dict(inner) if kind != "FuncCall" else inner


def _call(node: Node, look: Look) -> Call:
    *schema, name = function_name(node)
    positional, named = arguments(node, look)
    is_pg_net = schema == ["net"] or (name in _POSITIONS and bool(named.keys() & set(_PG_NET)))
    order = _POSITIONS.get(name, ()) if is_pg_net else _SYNCHRONOUS[name]
    if len(positional) > len(order) or not named.keys() <= set(order):
        raise Untranslatable(f"it calls {name} with arguments that are not known")
    given = {**dict(zip(order, positional, strict=False)), **named}
    if not is_pg_net:
        return _synchronous(name, given)
    method = name.removeprefix("http_").upper()
    timeout = given.get("timeout_milliseconds")
    if isinstance(timeout, Text) and re.fullmatch(r"\s*[0-9]+\s*", timeout.literal or ""):
        timeout = int(timeout.literal or "")
    if timeout is not None and (not isinstance(timeout, int) or isinstance(timeout, bool)):
        raise Untranslatable("its timeout is known only when it runs")
    return Call(
        method,
        as_text(given.get("url")),
        _texts(given.get("params"), "query"),
        _texts(given.get("headers"), "headers"),
        _content(given.get("body")),
        timeout,
    )


def _synchronous(name: str, given: dict[str, Value]) -> Call:
    if name != "http":
        method = name.removeprefix("http_").upper()
        if isinstance(given.get("content"), dict):
            raise Untranslatable("it sends its data as a form")
        headers = {"content-type": as_text(given["content_type"])} if "content_type" in given else {}
        return Call(method, as_text(given.get("uri")), _texts(given.get("data"), "query"), headers,
                    _content(given.get("content")))  # fmt: skip
    request = given.get("request")
    if not isinstance(request, list) or len(request) != 5:
        raise Untranslatable("its request is known only when it runs")
    method, uri, fields, content_type, content = request
    headers = {}
    for one in fields or []:
        if not isinstance(one, list) or len(one) != 2:
            raise Untranslatable("its headers are known only when it runs")
        headers[literal_of(one[0], "name of a header")] = as_text(one[1])
    if content_type is not None:
        headers["content-type"] = as_text(content_type)
    return Call(literal_of(method, "method").upper(), as_text(uri), {}, headers, _content(content))


def _content(value: Value) -> Value:
    if value is None or value == Text():
        return None
    return parse_json(value) if isinstance(value, Text) else value


def _texts(value: Value, what: str) -> dict[str, Text]:
    if isinstance(value, Text):
        value = parse_json(value)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Untranslatable(f"its {what} are known only when it runs")
    return {name: as_text(inner) for name, inner in value.items()}


def _nodes(tree: Any, kind: str) -> Iterator[Node]:
    """Yield every node of a kind, from the top."""
    pending = [tree]
    while pending:
        node = pending.pop(0)
        if isinstance(node, dict):
            if kind in node and isinstance(node[kind], dict):
                yield node[kind]
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


def functions_in(statements: list[Node]) -> Iterator[tuple[str, ...]]:
    """Yield the functions that statements name, each once, with their schema where they have it."""
    seen = set()
    # CALL has its function under a name of its own
    for call in (*_nodes(statements, "FuncCall"), *_nodes(statements, "funccall")):
        if (name := function_name(call)) not in seen:
            seen.add(name)
            yield name
    # the blocks that were not taken apart
    for block in _nodes(statements, "DoStmt"):
        for found in re.findall(r"(?:\b(\w+)\.)?\b(\w+)\s*\(", str(block)):
            name = tuple(filter(None, found))
            if name not in seen:
                seen.add(name)
                yield name


def is_http(name: tuple[str, ...]) -> bool:
    """Return whether a function makes an HTTP call by itself: pg_net's, or one of the extension `http`."""
    return (name[-1] in _POSITIONS and name[:-1] in {("net",), ("extensions",), ("public",), ()}) or (
        name[-1] in _SYNCHRONOUS and name[:-1] in {("extensions",), ("public",), ("http",), ()}
    )


def _calls_http(functions: tuple[tuple[str, ...], ...]) -> bool:
    return any(is_http(name) for name in functions)


def require_parser() -> None:
    """Return if PostgreSQL's parser is installed. Raises UsageError that says how to install it."""
    try:
        blocks.parser()
    except ImportError:
        raise UsageError(
            "the texts of cron jobs are read with PostgreSQL's own parser, which is not installed",
            hint="install it: pip install pgparse (where it has no wheel it is compiled)",
        ) from None
