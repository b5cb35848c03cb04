"""The files of sql/ keep the house rules; Postgres' own parser judges them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pglast
import pytest
from pglast import ast, enums, parser, visitors

from autosync_db.config import IsolationSettings
from autosync_db.schema import migrate, objects

ROOT = Path(__file__).parents[2]
SQL = ROOT / "sql"
MODES: tuple[Literal["none", "owner", "organization"], ...] = ("none", "owner", "organization")
# `folder/name.sql`; what is rendered for a mode of isolation bears the mode behind an @
SOURCES = {
    path.relative_to(SQL).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(SQL.rglob("*"))
    if path.is_file()
} | {
    f"access/{file.path.rpartition('/')[2].removesuffix('.sql.j2')}.sql@{mode}": file.source
    for mode in MODES
    for file in objects.files(IsolationSettings(mode=mode))
    if file.path.startswith("templates/access/")
}
FILES = sorted(SOURCES)
OBJECTS = [path for path in FILES if not path.startswith(("checks/", "repairs/"))]
FUNCTIONS = [path for path in FILES if path.startswith("functions/")]
TRIGGERS = [path for path in FILES if path.startswith("triggers/")]
ACCESS = [path for path in FILES if path.startswith("access/")]
CHECKS = [path for path in FILES if path.startswith("checks/")]
REPAIRS = [path for path in FILES if path.startswith("repairs/")]
REVISIONS = {path.name[:4] for path in (ROOT / "alembic" / "versions").glob("*.py")}
FOREIGN_SCHEMAS = {"cron", "net"}


def text_of(path: str) -> str:
    return SOURCES[path]


def stem_of(path: str) -> str:
    return path.partition("@")[0].rpartition("/")[2].removesuffix(".sql")


def statements(source: str) -> list[Any]:
    return [raw.stmt for raw in pglast.parse_sql(source)]


def kind(node: Any) -> str:
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
    return ".".join(name.sval for name in names)


def types(names: Any) -> list[str]:
    return [words(t.names[-1:]) + "[]" * len(t.arrayBounds or ()) for t in names or ()]


def input_parameters(function: Any) -> list[Any]:
    modes = enums.FunctionParameterMode
    return [p for p in function.parameters or () if p.mode not in (modes.FUNC_PARAM_OUT, modes.FUNC_PARAM_TABLE)]


def created_functions(path: str) -> list[Any]:
    return [s for s in statements(text_of(path)) if kind(s) == "CreateFunctionStmt"]


def test_every_file_is_sql_in_a_known_folder() -> None:
    assert {path.partition("/")[0] for path in FILES} <= {
        "extensions", "functions", "triggers", "access", "jobs", "checks", "repairs",
    }  # fmt: skip
    assert [path for path in FILES if not path.partition("@")[0].endswith(".sql")] == []


@pytest.mark.parametrize("path", FILES)
def test_first_line_names_the_object_and_its_purpose(path: str) -> None:
    # the purpose of a check or a repair may need more than a line
    comment = re.match(r"(?:--[^\n]*\n)+" if path.startswith(("checks/", "repairs/")) else r"--[^\n]*\n", text_of(path))
    head = comment and re.fullmatch(
        r"-- (?:schema )?(?P<name>[\w.-]+)(?:\((?P<arguments>[^)]*)\))?: \S.*\.\n", comment[0], re.DOTALL
    )
    assert head, f"the first line of sql/{path} must be `-- name(args): purpose.`"
    stem = stem_of(path)
    assert head["name"] == (
        stem if path.startswith(("access/", "jobs/", "checks/", "repairs/")) else stem.rpartition(".")[2]
    )
    if path.startswith("functions/"):
        given = [name.strip() for name in (head["arguments"] or "").split(",") if name.strip()]
        # `...` stands for more arguments than a line holds
        assert given == ["..."] or given in [[p.name for p in input_parameters(f)] for f in created_functions(path)]


@pytest.mark.parametrize("path", OBJECTS)
def test_requires_names_an_existing_revision(path: str) -> None:
    second = text_of(path).splitlines()[1]
    required = re.fullmatch(r"-- requires: (\d{4})", second)
    assert required, f"the second line of sql/{path} must be `-- requires: NNNN`"
    assert required[1] in REVISIONS


@pytest.mark.parametrize("path", CHECKS)
def test_checks_require_no_revision(path: str) -> None:
    assert "-- requires:" not in text_of(path)  # a check must be able to look at any database


@pytest.mark.parametrize("path", OBJECTS)
def test_file_may_be_run_again(path: str) -> None:
    found = statements(text_of(path))
    assert found
    for position, statement in enumerate(found):
        match kind(statement):
            case "CreateFunctionStmt" | "CreateTrigStmt":
                assert statement.replace, "write `create or replace`"
            case "DropStmt":
                assert statement.missing_ok, "write `drop ... if exists`"
            case "CreatePolicyStmt":
                assert any(_drops_policies(s, statement) for s in found[:position]), "drop the policy first"
            case "AlterTableStmt":
                allowed = {
                    enums.AlterTableType.AT_EnableRowSecurity,
                    enums.AlterTableType.AT_ForceRowSecurity,
                }
                assert {command.subtype for command in statement.cmds} <= allowed, "this belongs into a revision"
            case "CreateExtensionStmt":
                assert statement.if_not_exists, "write `if not exists`"
            case "GrantStmt" | "CommentStmt" | "DoStmt":
                pass
            case "SelectStmt":
                assert path.startswith("jobs/")
            case _:
                pytest.fail(f"{type(statement).__name__} is not re-runnable: it belongs into a revision")


def _drops_policies(statement: Any, policy: Any) -> bool:
    table = f"{policy.table.schemaname}.{policy.table.relname}"
    if kind(statement) == "DropStmt":
        return (
            statement.removeType == enums.ObjectType.OBJECT_POLICY
            and words(statement.objects[0]) == f"{table}.{policy.policy_name}"
        )
    return kind(statement) == "DoStmt" and f"drop policy %I on {table}" in str(statement.args[0].arg.sval)


@pytest.mark.parametrize("path", FUNCTIONS)
def test_function_file_holds_the_function_that_it_is_named_for(path: str) -> None:
    created = created_functions(path)
    assert {words(function.funcname) for function in created} == {path.partition("/")[2].removesuffix(".sql")}
    assert [s for s in statements(text_of(path)) if kind(s) in ("CreateTrigStmt", "CreatePolicyStmt")] == []


@pytest.mark.parametrize("path", FUNCTIONS)
def test_function_pins_its_search_path_and_says_so_before_its_body(path: str) -> None:
    for function in created_functions(path):
        options = {option.defname: option.arg for option in function.options if option.defname != "set"}
        pinned = [o.arg for o in function.options if o.defname == "set" and o.arg.name == "search_path"]
        assert [[value.val.sval for value in setting.args] for setting in pinned] == [["pg_catalog", "pg_temp"]]
        assert "language" in options
        assert function.options[-1].defname == "as", "language and options come before the body"


@pytest.mark.parametrize("path", FUNCTIONS)
def test_function_is_closed_to_everybody_and_described_in_its_own_file(path: str) -> None:
    found = statements(text_of(path))
    revoked, described = [], []
    for statement in found:
        if kind(statement) == "GrantStmt" and not statement.is_grant and statement.privileges is None:
            public = enums.RoleSpecType.ROLESPEC_PUBLIC
            if statement.objtype == enums.ObjectType.OBJECT_FUNCTION and statement.grantees[0].roletype == public:
                revoked += [(words(o.objname), types(o.objargs)) for o in statement.objects]
        elif kind(statement) == "CommentStmt" and statement.objtype == enums.ObjectType.OBJECT_FUNCTION:
            assert statement.comment
            described.append((words(statement.object.objname), types(statement.object.objargs)))
    for function in created_functions(path):
        signature = (words(function.funcname), types([p.argType for p in input_parameters(function)]))
        assert signature in revoked, "revoke all on function ... from public"
        assert signature in described, "comment on function ... is '...'"


@pytest.mark.parametrize("path", TRIGGERS)
def test_trigger_file_holds_the_trigger_that_it_is_named_for(path: str) -> None:
    (trigger,) = statements(text_of(path))
    name = f"{trigger.relation.schemaname}.{trigger.relation.relname}.{trigger.trigname}"
    assert path == f"triggers/{name}.sql"
    assert words(trigger.funcname).count(".") == 1, "name the function with its schema"


@pytest.mark.parametrize("path", ACCESS)
def test_access_file_speaks_of_one_object_alone(path: str) -> None:
    source = text_of(path)
    subject = stem_of(path)
    tables = {f"{r.schemaname}.{r.relname}" for s in statements(source) for r in _subjects(s)}
    assert tables <= {subject}
    # what runs inside do-blocks is text to the parser
    named = set(re.findall(r"\bon (?:table |all \w+ in schema |schema )?(\w+(?:\.\w+)?)(?: from| to|')", source))
    assert named <= {subject}


def _subjects(statement: Any) -> list[Any]:
    """Return the tables that a statement changes, without those that its policy reads."""
    match kind(statement):
        case "AlterTableStmt":
            return [statement.relation]
        case "CreatePolicyStmt":
            return [statement.table]
        case _:
            return all_nodes(statement, ast.RangeVar)


@pytest.mark.parametrize("path", CHECKS)
def test_check_is_one_read_only_select_of_status_object_detail(path: str) -> None:
    source = text_of(path)
    (statement,) = statements(source)
    assert kind(statement) == "SelectStmt"
    assert not source.rstrip().endswith(";"), "the runner embeds the text, so no semicolon ends it"
    writing = (
        ast.InsertStmt,
        ast.UpdateStmt,
        ast.DeleteStmt,
        ast.MergeStmt,
        ast.IntoClause,
        ast.LockingClause,
    )
    assert all_nodes(statement, writing) == []
    first = statement
    while first.larg:
        first = first.larg
    assert [target.name or words(target.val.fields[-1:]) for target in first.targetList] == [
        "status",
        "object",
        "detail",
    ]


@pytest.mark.parametrize("path", REPAIRS)
def test_repair_changes_rows_and_calls_functions_alone(path: str) -> None:
    found = statements(text_of(path))
    assert {kind(statement) for statement in found} <= {"SelectStmt", "UpdateStmt"}
    names = [word for s in found for word in all_nodes(s, ast.RangeVar)]
    own = {cte.ctename for s in found for cte in all_nodes(s, ast.CommonTableExpr)}
    assert [name.relname for name in names if not name.schemaname and name.relname not in own] == []


@pytest.mark.parametrize("path", FILES)
def test_keywords_are_lower_case(path: str) -> None:
    source = text_of(path)
    pieces = [source, *re.findall(r"\$\$(.*?)\$\$", source, re.DOTALL)]
    shouted = {
        word
        for piece in pieces
        for token in parser.scan(piece)
        if token.kind != "NO_KEYWORD"
        # the parser counts bytes
        and (word := piece.encode()[token.start : token.end + 1].decode()) != word.lower()
    }
    assert shouted == set()


def test_nothing_hangs_on_tables_of_the_extensions() -> None:
    """Views block the platform's upgrades; triggers run inside pg_cron's launcher or send without end."""
    assert list(_hangs_on_foreign(migrate.script_sql())) == []


@pytest.mark.parametrize(
    "offence",
    [
        "create view public.runs as select * from cron.job_run_details",
        "create trigger t after insert on net._http_response for each row execute function public.f()",
        "create table autosync.x (runid bigint references cron.job_run_details (runid))",
    ],
)
def test_what_hangs_on_tables_of_the_extensions_is_seen(offence: str) -> None:
    assert list(_hangs_on_foreign(offence))


def _hangs_on_foreign(source: str) -> Iterator[str]:
    for statement in statements(source):
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
