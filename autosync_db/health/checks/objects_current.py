"""Every column, function, trigger, policy, grant and job matches this version's files."""

from collections.abc import Iterator, Mapping
from typing import Any

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Answer, Check, Question, Refusal, Repair, Row, Scene
from autosync_db.remedies import ByYou
from autosync_db.schema import columns, constraints, objects, revisions
from autosync_db.schema.objects import State


def _query() -> str:
    return (
        f"select o.fact || jsonb_build_object('columns', ({columns.question()}),"  # noqa: S608 - our own texts
        f" 'constraints', ({constraints.question()})) as fact"
        f" from ({objects.question()}) as o"
    )


def _read(answer: Answer) -> list[Row]:
    found = answer.values[0]
    if found["revision"] is None:
        return [Row("unknown", "schema autosync", "was never migrated", {"reason": "missing", "schema": "autosync"})]
    at = revisions.check_known(found["revision"])
    wanted = objects.available_at(at)
    # an older revision has other columns
    is_newest = at == revisions.head()
    different = columns.answered(found["columns"]) if is_newest else []
    unwritable = columns.unwritable(found["columns"]) if is_newest else []
    lacking = constraints.answered(found["constraints"]) if is_newest else []
    without_key = {one.table for one in lacking if one.kind == "key"}
    return [
        *(
            Row("critical", f"table {table}", detail, {"reason": "table", "table": table, "column": column})
            for table, column, detail in different
        ),
        *(
            Row("critical", f"table {table}", detail, {"reason": reason, "table": table})
            for table, reason, detail in unwritable
            # a column of another name is what the table lacks
            if (reason != "not_null" or table not in {one for one, *_ in different})
            # the one that the table lacks is said below
            and (reason != "primary_key" or table not in without_key)
        ),
        *map(_lacking, lacking),
        *_objects(wanted, found),
    ]


def _lacking(one: constraints.Wanted) -> Row:
    """Return what is said of a constraint or a unique index that is gone."""
    # statements of ours rely on what keeps rows apart; what rows must be like is looked at by the commands, too
    status, what = ("warning", "the constraint") if one.kind == "rule" else ("critical", "what keeps its rows apart,")
    detail = f"lacks {what} {one.name}"
    return Row(
        status, f"table {one.table}", detail, {"reason": "constraint", "table": one.table, "constraint": one.name}
    )


def _objects(wanted: list[objects.ObjectFile], found: Mapping[str, Any]) -> list[Row]:
    return [
        Row(
            "critical" if state is objects.State.MISSING else "warning",
            _object_of(file.path),
            f"{_DETAILS[state]} ({file.path})",
            {"path": file.path, "state": state.value},
        )
        for file, state in zip(wanted, objects.answered(wanted, found).values(), strict=True)
        if state is not objects.State.CURRENT
        and not file.path.startswith(_SPOKEN_FOR)
        and not (state is objects.State.EDITED and file.path in _EDITS_SPOKEN_FOR)
    ]


def _object_of(path: str) -> str:
    """Name an object as other checks do, so that the same fault of it is recognised."""
    name = path.rpartition("/")[2].removesuffix(".sql")
    return f"function {name}" if path.startswith("sql/functions/") else f"object {name}"


# objects with checks of their own, which say more of them
_SPOKEN_FOR = (
    "sql/extensions/",
    "sql/jobs/",
    "sql/access/public.pg_cron_secrets.sql",
    "sql/triggers/public.auto_sync_schedules.auto_sync_schedules_next_run_at.sql",
)
_EDITS_SPOKEN_FOR = ("sql/access/autosync.sql", "sql/access/public.auto_sync_schedules.sql")
_DETAILS = {
    objects.State.MISSING: "is missing: never applied, or dropped since",
    objects.State.OUTDATED: "was applied from an older text of its file",
    objects.State.EDITED: "was changed in the database since it was applied",
}
# a column may have been renamed, and a value may fit no other type
_COLUMNS = (
    "give the table or the column its name again, add the column or give it its type again, each with alter table;"
    " bring back from a backup only a table that has no other name now, or make it as autosync-db export supabase"
    " --schemas writes it"
)


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Apply the files again whose objects are missing or outdated, and those that were edited in the database."""
    # what is on a table that is gone comes back with it
    gone = tuple(facts["table"] for facts in scene.findings if facts.get("reason") == "table" and not facts["column"])
    states = {
        facts["path"]: facts["state"]
        for facts in scene.findings
        if "path" in facts and not facts["path"].rpartition("/")[2].startswith(gone)
    }
    edited = [path for path, state in states.items() if state == State.EDITED]
    others = [path for path, state in states.items() if state != State.EDITED and path != drafts.SCHEDULES_ACCESS]
    # its text is older, or it was never applied
    found: list[Repair | Refusal] = []
    if tables := [facts["table"] for facts in scene.findings if facts.get("reason") == "table"]:
        found.append(Refusal(f"the columns of {', '.join(tables)} are for who knows what was meant", _COLUMNS))
    found += _let_write(scene)
    found += _constrain(scene)
    if drafts.SCHEDULES_ACCESS in states:
        found.append(drafts.protect_schedules(scene))
    if others:
        found.append(Repair(f"apply {', '.join(others)}", drafts.reapply(scene, others)))
    if edited:
        sentence = f"overwrite what was edited in the database with {', '.join(edited)}"
        found.append(Repair(sentence, drafts.reapply(scene, edited), destructive=True))
    return found


def _constrain(scene: Scene) -> Iterator[Repair | Refusal]:
    """Make constraints and unique indexes again, unless rows are in the way."""
    for facts in scene.findings:
        if facts.get("reason") != "constraint":
            continue
        one = constraints.wanted()[facts["table"], facts["constraint"]]
        if one.wrong_rows and scene.value(f"select exists ({one.wrong_rows})"):
            yield Refusal(
                f"{one.table} has rows that {one.name} does not allow", f"change or delete them first: {one.wrong_rows}"
            )
        else:
            yield Repair(f"give {one.table} {one.name} again", [one.statement])


def _let_write(scene: Scene) -> Iterator[Repair | Refusal]:
    # a table that refers to another one comes behind it
    places = {table: place for place, (table, *_) in enumerate(columns.expected())}
    for facts in sorted(scene.findings, key=lambda found: places.get(found.get("table", ""), 0)):
        match facts.get("reason"):
            case "replica_identity":
                schema, name = facts["table"].split(".")
                identity = sql.SQL("alter table {} replica identity default").format(sql.Identifier(schema, name))
                sentence = f"let publications tell the rows of {facts['table']} apart by its primary key"
                yield Repair(sentence, [identity])
            case "unlogged" | "logged" as reason:
                schema, name = facts["table"].split(".")
                way, effect = ("set logged", "leave") if reason == "unlogged" else ("set unlogged", "empty")
                change = sql.SQL("alter table {} {}").format(sql.Identifier(schema, name), drafts.text(way))
                yield Repair(f"let a crash of the server {effect} {facts['table']}", [change])
            case "view" | "not_null" | "primary_key" as reason:
                yield Refusal(f"{facts['table']} is for who knows what was meant", str(_WAYS[reason]))


# how a table becomes one again that can be written to, where that is for the user
_WAYS = {
    "view": "give the view another name, and the table its own: alter view … rename, alter table … rename",
    "not_null": "give the column a default, or drop it: alter table … alter column … set default",
    "primary_key": "add the table's primary key again: alter table … add primary key (…)",
}

CHECK = Check(
    layer="migrations",
    claim="every column, function, trigger, policy, grant and job matches this version's files",
    remedy="autosync-db repair objects_current",
    remedies={
        "table": ByYou(_COLUMNS, then="autosync-db verify"),
        **{reason: ByYou(way, then="autosync-db verify") for reason, way in _WAYS.items()},
    },
    needs=("head_applied", "pg_cron_installed", "privileges_sufficient"),
    causes=("head_applied",),
    overlaps=(
        "private_schema_is_ours",
        "functions_not_exposed",
        "search_path_pinned",
        "service_role_can_use_schedules",
    ),
    repair=_draft,
    question=Question(_query, _read),
)
