"""The files of sql/ keep the house rules; Postgres' own parser judges them. Each rule lists all offenders at once."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pglast
import pytest
from pglast import ast, enums, parser, visitors

from autosync_db.schema import migrate

ROOT = Path(__file__).parents[2]
SQL = ROOT / "sql"
REVISIONS = {path.name[:4] for path in (ROOT / "alembic" / "versions").glob("*.py")}
FOREIGN_SCHEMAS = {"cron", "net"}
NAMED_FOR_THEIR_FILE = ("access", "jobs", "checks", "repairs")
WRITES = (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt, ast.IntoClause, ast.LockingClause)

Offence = tuple[int, str]


@dataclass(frozen=True, slots=True)
class File:
    """A file of sql/: `path` is below it."""

    path: str
    source: str

    @property
    def folder(self) -> str:
        """Return the first folder."""
        return self.path.partition("/")[0]

    @property
    def stem(self) -> str:
        """Return the name without folder and ending."""
        return self.path.rpartition("/")[2].removesuffix(".sql")

    @property
    def statements(self) -> tuple[tuple[int, Any], ...]:
        """Return each statement with the number of its first line."""
        return _parsed(self.source)

    @property
    def functions(self) -> list[tuple[int, Any]]:
        """Return the statements that create functions."""
        return [(line, s) for line, s in self.statements if kind(s) == "CreateFunctionStmt"]


@cache
def _parsed(source: str) -> tuple[tuple[int, Any], ...]:
    text = source.encode()  # the parser counts bytes
    found = []
    for raw in pglast.parse_sql(source):
        begin = raw.stmt_location or 0
        blank = re.match(rb"(?:\s|--[^\n]*\n)*", text[begin:])
        assert blank
        found.append((text[: begin + blank.end()].count(b"\n") + 1, raw.stmt))
    return tuple(found)


def kind(node: Any) -> str:
    """Return the name of a node's type."""
    return type(node).__name__


def all_nodes(root: Any, wanted: type | tuple[type, ...]) -> list[Any]:
    """Return every node of the wanted kinds below `root`, itself included."""
    found = []

    class Collector(visitors.Visitor):
        def visit(self, ancestors: Any, node: Any) -> None:
            if isinstance(node, wanted):
                found.append(node)

    Collector()(root)
    return found


def words(names: Any) -> str:
    """Return a name of several parts with dots."""
    return ".".join(name.sval for name in names)


def types(names: Any) -> list[str]:
    """Return types without their schemas."""
    return [words(t.names[-1:]) + "[]" * len(t.arrayBounds or ()) for t in names or ()]


def input_parameters(function: Any) -> list[Any]:
    """Return the parameters that a caller gives."""
    modes = enums.FunctionParameterMode
    return [p for p in function.parameters or () if p.mode not in (modes.FUNC_PARAM_OUT, modes.FUNC_PARAM_TABLE)]


def lies_in_a_known_folder(file: File) -> Iterator[Offence]:
    known = set(FOLDERS)
    if file.folder not in known or not file.path.endswith(".sql"):
        yield 1, f"files lie in {sorted(known)} and end in .sql"


def first_line_names_the_object_and_its_purpose(file: File) -> Iterator[Offence]:
    # the purpose of a check or a repair may need more than a line
    comment = re.match(
        r"(?:--[^\n]*\n)+" if file.folder in QUERIES else r"--[^\n]*\n",
        file.source,
    )
    head = comment and re.fullmatch(
        r"-- (?:schema )?(?P<name>[\w.-]+)(?:\((?P<arguments>[^)]*)\))?: \S.*\.\n", comment[0], re.DOTALL
    )
    if not head:
        yield 1, "the first line must be `-- name(args): purpose.`"
        return
    name = file.stem if file.folder in NAMED_FOR_THEIR_FILE else file.stem.rpartition(".")[2]
    if head["name"] != name:
        yield 1, f"{head['name']} is not {name}"
    if file.folder == "functions":
        given = [argument.strip() for argument in (head["arguments"] or "").split(",") if argument.strip()]
        # `...` stands for more arguments than a line holds
        if given != ["..."] and given not in [[p.name for p in input_parameters(f)] for _, f in file.functions]:
            yield 1, f"the function does not have the arguments {given}"


def second_line_names_the_revision_that_it_needs(file: File) -> Iterator[Offence]:
    required = re.fullmatch(r"-- requires: (\d{4})", file.source.splitlines()[1])
    if not required or required[1] not in REVISIONS:
        yield 2, "the second line must be `-- requires: NNNN`, a revision that exists"


def a_check_needs_no_revision(file: File) -> Iterator[Offence]:
    if "-- requires:" in file.source:
        yield 1, "a check must be able to look at any database"


def may_run_again(file: File) -> Iterator[Offence]:
    rows = (enums.AlterTableType.AT_EnableRowSecurity, enums.AlterTableType.AT_ForceRowSecurity)
    for position, (line, statement) in enumerate(file.statements):
        match kind(statement):
            case "CreateFunctionStmt" | "CreateTrigStmt" if not statement.replace:
                yield line, "write `create or replace`"
            case "DropStmt" if not statement.missing_ok:
                yield line, "write `drop ... if exists`"
            case "CreateExtensionStmt" if not statement.if_not_exists:
                yield line, "write `if not exists`"
            case "CreatePolicyStmt" if not any(_drops(s, statement) for _, s in file.statements[:position]):
                yield line, "drop the policy first"
            case "AlterTableStmt" if not all(command.subtype in rows for command in statement.cmds):
                yield line, "this belongs into a revision"
            case "SelectStmt" if file.folder != "jobs":
                yield line, "only a job's file calls something"
            case (
                "CreateFunctionStmt" | "CreateTrigStmt" | "DropStmt" | "CreateExtensionStmt" | "CreatePolicyStmt"
                | "AlterTableStmt" | "SelectStmt" | "GrantStmt" | "CommentStmt" | "DoStmt"
            ):  # fmt: skip
                pass
            case other:
                yield line, f"{other} cannot be run again: it belongs into a revision"
    if not file.statements:
        yield 1, "holds no statement"


def _drops(statement: Any, policy: Any) -> bool:
    table = f"{policy.table.schemaname}.{policy.table.relname}"
    if kind(statement) == "DropStmt":
        return (
            statement.removeType == enums.ObjectType.OBJECT_POLICY
            and words(statement.objects[0]) == f"{table}.{policy.policy_name}"
        )
    return kind(statement) == "DoStmt" and f"drop policy %I on {table}" in str(statement.args[0].arg.sval)


def holds_the_function_that_it_is_named_for(file: File) -> Iterator[Offence]:
    for line, statement in file.statements:
        if kind(statement) in ("CreateTrigStmt", "CreatePolicyStmt"):
            yield line, f"{kind(statement)} has a file of its own"
    for line, function in file.functions:
        if words(function.funcname) != file.stem:
            yield line, f"creates {words(function.funcname)}"
    if not file.functions:
        yield 1, "creates no function"


def pins_its_search_path_before_its_body(file: File) -> Iterator[Offence]:
    for line, function in file.functions:
        options = [option.defname for option in function.options]
        pinned = [o.arg for o in function.options if o.defname == "set" and o.arg.name == "search_path"]
        if [[value.val.sval for value in setting.args] for setting in pinned] != [["pg_catalog", "pg_temp"]]:
            yield line, "set search_path to pg_catalog, pg_temp"
        if "language" not in options or options[-1] != "as":
            yield line, "language and options come before the body"


def reads_its_backslashes_whatever_a_session_says(file: File) -> Iterator[Offence]:
    for line, function in file.functions:
        pins = {option.arg.name for option in function.options if option.defname == "set"}
        body = next(option.arg for option in function.options if option.defname == "as")[0].sval
        text = body.encode()  # the parser counts bytes
        plain = [text[t.start : t.end + 1] for t in parser.scan(body) if t.name == "SCONST"]
        # another role's setting would take each for the beginning of an escape
        if any(one.startswith(b"'") and b"\\" in one for one in plain) and "standard_conforming_strings" not in pins:
            yield line, "set standard_conforming_strings to on"


def is_closed_to_everybody_and_described(file: File) -> Iterator[Offence]:
    kinds, public = enums.ObjectType, enums.RoleSpecType.ROLESPEC_PUBLIC
    revoked, described = [], []
    for _, s in file.statements:
        if kind(s) not in ("GrantStmt", "CommentStmt") or s.objtype != kinds.OBJECT_FUNCTION:
            continue
        if kind(s) == "CommentStmt" and s.comment:
            described.append((words(s.object.objname), types(s.object.objargs)))
        elif kind(s) == "GrantStmt" and not s.is_grant and s.privileges is None and s.grantees[0].roletype == public:
            revoked += [(words(o.objname), types(o.objargs)) for o in s.objects]
    for line, function in file.functions:
        signature = (words(function.funcname), types([p.argType for p in input_parameters(function)]))
        if signature not in revoked:
            yield line, "revoke all on function ... from public"
        if signature not in described:
            yield line, "comment on function ... is '...'"


def holds_the_trigger_that_it_is_named_for(file: File) -> Iterator[Offence]:
    for line, trigger in file.statements:
        if kind(trigger) != "CreateTrigStmt":
            yield line, f"{kind(trigger)} has a file of its own"
        elif file.stem != f"{trigger.relation.schemaname}.{trigger.relation.relname}.{trigger.trigname}":
            yield line, f"creates {trigger.trigname}"
        elif words(trigger.funcname).count(".") != 1:
            yield line, "name the function with its schema"


def is_about_one_object_alone(file: File) -> Iterator[Offence]:
    for line, statement in file.statements:
        for table in _subjects(statement):
            if (name := f"{table.schemaname}.{table.relname}") != file.stem:
                yield line, f"changes {name}"
    # what runs inside do-blocks is text to the parser
    for found in re.finditer(r"\bon (?:table |all \w+ in schema |schema )?(\w+(?:\.\w+)?)(?: from| to|')", file.source):
        if found[1] != file.stem:
            yield file.source.count("\n", 0, found.start()) + 1, f"changes {found[1]}"


def _subjects(statement: Any) -> list[Any]:
    """Return the tables that a statement changes, without those that its policy reads."""
    match kind(statement):
        case "AlterTableStmt":
            return [statement.relation]
        case "CreatePolicyStmt":
            return [statement.table]
        case _:
            return all_nodes(statement, ast.RangeVar)


def a_check_is_one_read_only_select(file: File) -> Iterator[Offence]:
    (line, statement), *more = file.statements
    if more or file.source.rstrip().endswith(";"):
        yield line, "one statement without a semicolon: the catalogue embeds the text"
    if kind(statement) != "SelectStmt" or all_nodes(statement, WRITES):
        yield line, "a check only reads"
        return
    first = statement
    while first.larg:
        first = first.larg
    columns = [target.name or words(target.val.fields[-1:]) for target in first.targetList]
    if columns not in (["status", "object", "detail"], ["status", "object", "detail", "facts"]):
        yield line, f"returns {columns}, not status, object, detail, facts"


def figures_are_one_read_only_select_of_subject_and_facts(file: File) -> Iterator[Offence]:
    (line, statement), *more = file.statements
    if more or file.source.rstrip().endswith(";"):
        yield line, "one statement without a semicolon: all parts are asked as one"
    if kind(statement) != "SelectStmt" or all_nodes(statement, WRITES):
        yield line, "figures are only read"
        return
    columns = [target.name for target in statement.targetList]
    if columns != ["subject", "facts"]:
        yield line, f"returns {columns}, not subject, facts"


def a_repair_changes_rows_and_calls_functions_alone(file: File) -> Iterator[Offence]:
    own = {cte.ctename for _, s in file.statements for cte in all_nodes(s, ast.CommonTableExpr)}
    for line, statement in file.statements:
        if kind(statement) not in ("SelectStmt", "UpdateStmt"):
            yield line, f"{kind(statement)} is for a revision"
        for table in all_nodes(statement, ast.RangeVar):
            if not table.schemaname and table.relname not in own:
                yield line, f"{table.relname} has no schema"


def keywords_are_lower_case(file: File) -> Iterator[Offence]:
    bodies = [found.span(1) for found in re.finditer(r"\$\$(.*?)\$\$", file.source, re.DOTALL)]
    for begin, end in [(0, len(file.source)), *bodies]:
        text = file.source[begin:end]
        for token in parser.scan(text):
            word = text[token.start : token.end + 1]
            if token.kind != "NO_KEYWORD" and word != word.lower():
                yield file.source.count("\n", 0, begin) + text.count("\n", 0, token.start) + 1, f"{word} shouts"


FOLDERS = (
    "extensions", "functions", "triggers", "access", "jobs",
    "checks", "repairs", "audit", "monitoring", "report", "teardown", "locks",
)  # fmt: skip
OBJECTS, QUERIES = FOLDERS[:5], FOLDERS[5:]
# each rule, the folders that it holds for, and a file that breaks it
RULES: dict[Callable[[File], Iterator[Offence]], tuple[tuple[str, ...], File]] = {
    lies_in_a_known_folder: ((), File("views/x.sql", "select 1")),
    first_line_names_the_object_and_its_purpose: (FOLDERS, File("jobs/x.sql", "-- y: does it.\n")),
    second_line_names_the_revision_that_it_needs: (OBJECTS, File("jobs/x.sql", "-- x: does it.\n-- requires: 9999\n")),
    a_check_needs_no_revision: (
        ("checks", "audit", "monitoring", "report", "teardown", "locks"),
        File("checks/x.sql", "-- x: does it.\n-- requires: 0001\n"),
    ),
    may_run_again: (OBJECTS, File("functions/x.sql", "create function x() language sql as 'select 1'")),
    holds_the_function_that_it_is_named_for: (
        ("functions",), File("functions/x.sql", "create function y() language sql as 'select 1'"),
    ),
    pins_its_search_path_before_its_body: (
        ("functions",), File("functions/x.sql", "create function x() language sql as 'select 1' set search_path to ''"),
    ),
    reads_its_backslashes_whatever_a_session_says: (
        ("functions",),
        File("functions/x.sql", "create function x() language sql set search_path to '' as $$select 'a' ~ '\\s'$$"),
    ),
    is_closed_to_everybody_and_described: (
        ("functions",), File("functions/x.sql", "create function x() language sql as 'select 1'"),
    ),
    holds_the_trigger_that_it_is_named_for: (
        ("triggers",), File("triggers/a.b.c.sql", "create trigger d after insert on a.b execute function a.f()"),
    ),
    is_about_one_object_alone: (("access",), File("access/a.b.sql", "grant select on a.c to public")),
    a_check_is_one_read_only_select: (("checks",), File("checks/x.sql", "delete from a.b returning 1")),
    figures_are_one_read_only_select_of_subject_and_facts: (
        ("monitoring",), File("monitoring/x.sql", "delete from a.b returning 1"),
    ),
    a_repair_changes_rows_and_calls_functions_alone: (("repairs",), File("repairs/x.sql", "update b set c = 1")),
    keywords_are_lower_case: (FOLDERS, File("checks/x.sql", "select 1\nFROM a.b")),
}  # fmt: skip


def files() -> list[File]:
    """Return every file of sql/."""
    return [
        File(path.relative_to(SQL).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(SQL.rglob("*"))
        if path.is_file()
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule: Callable[[File], Iterator[Offence]]) -> None:
    folders, broken = RULES[rule]
    held = [file for file in files() if not folders or file.folder in folders]
    assert {file.folder for file in held} >= set(folders)
    assert [f"sql/{file.path}:{line}: {what}" for file in held for line, what in rule(file)] == []
    assert list(rule(broken)), "the rule no longer sees what breaks it"


def test_nothing_hangs_on_tables_of_the_extensions() -> None:
    """Views block the platform's upgrades; triggers run inside pg_cron's launcher or send without end."""
    assert list(_hangs_on_foreign(migrate.script_sql())) == []
    for offence in (
        "create view public.runs as select * from cron.job_run_details",
        "create trigger t after insert on net._http_response for each row execute function public.f()",
        "create table autosync.x (runid bigint references cron.job_run_details (runid))",
    ):
        assert list(_hangs_on_foreign(offence)), offence


def _hangs_on_foreign(source: str) -> Iterator[str]:
    for _, statement in _parsed(source):
        relations: list[Any] = []
        if kind(statement) in ("ViewStmt", "CreateTableAsStmt"):
            relations = all_nodes(statement, ast.RangeVar)
        elif kind(statement) == "CreateTrigStmt":
            relations = [statement.relation]
        else:
            relations = [c.pktable for c in all_nodes(statement, ast.Constraint) if c.pktable]
        yield from (f"{type(statement).__name__} {r.relname}" for r in relations if r.schemaname in FOREIGN_SCHEMAS)
    for match in re.finditer(
        r"create (?:or replace )?(?:materialized )?(view|trigger)\b[^;]*?\b(cron|net)\.\w+", source, re.I
    ):
        yield match[0]


def test_no_version_of_an_extension_is_named() -> None:
    """Hosted platforms choose the version and ignore or refuse the clause."""
    source = migrate.script_sql()
    created = re.findall(r"create extension[^;]*", source, re.IGNORECASE)
    assert created
    assert [text for text in created if re.search(r"\bversion\b", text, re.IGNORECASE)] == []
    assert re.findall(r"alter extension[^;]*\bupdate\b[^;]*", source, re.IGNORECASE) == []


def test_a_revision_creates_no_function_trigger_or_policy() -> None:
    """Their text lives in sql/ alone; a revision only drops what it retires."""
    created = [
        path.name
        for path in sorted((ROOT / "alembic" / "versions").glob("*.py"))
        if re.search(r"create (?:or replace )?(?:function|trigger|policy)\b", path.read_text(encoding="utf-8"), re.I)
    ]
    assert created == []
