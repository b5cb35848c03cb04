"""Pg_net's worker can work with the settings of pg_net."""

import re
from typing import Any

import psycopg

from autosync_db.connection import Connection
from autosync_db.health.model import Answer, Check, Question, Row

# the stand-in has no library, so its settings are placeholders, which pg_settings leaves out
_QUERY = """
with setting as (
    select obj_description(e.oid, 'pg_extension') like 'stand-in%' or pg_has_role('pg_read_all_settings', 'usage') as is_visible,
        (
            select jsonb_object_agg(
                n.name,
                case
                    when obj_description(e.oid, 'pg_extension') like 'stand-in%' then current_setting(n.name, true)
                    else (select s.setting from pg_catalog.pg_settings as s where s.name = n.name)
                end
            )
            from (values ('pg_net.ttl'), ('pg_net.batch_size'), ('pg_net.username')) as n (name)
        ) as values
    from pg_catalog.pg_extension as e
    where e.extname = 'pg_net'
)
select jsonb_build_object(
    'is_visible', coalesce(s.is_visible, false),
    'values', s.values,
    'can_login', (select r.rolcanlogin from pg_catalog.pg_roles as r where r.rolname = s.values ->> 'pg_net.username'),
    'lacking', (
        select jsonb_agg(format('%s on net.%s', lower(w.privilege), w.name) order by w.name, w.privilege)
        from (values
            ('http_request_queue', 'SELECT'), ('http_request_queue', 'DELETE'),
            ('_http_response', 'SELECT'), ('_http_response', 'INSERT'), ('_http_response', 'DELETE')
        ) as w (name, privilege)
        join pg_catalog.pg_class as c on c.relname = w.name
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'net'
        join pg_catalog.pg_roles as r on r.rolname = s.values ->> 'pg_net.username'
        where not has_table_privilege(r.oid, c.oid, w.privilege)
    )
) as fact
from setting as s
"""  # noqa: E501
_OF_THE_API = {"anon", "authenticated", "authenticator", "service_role"}
# what needs no server to be understood, and is long enough for any housekeeping
_PLAIN_INTERVAL = re.compile(r"[1-9]\d{0,5} *(hours?|days?|h|d)|[3-9]\d *(minutes?|min)|[1-9]\d{2,4} *(minutes?|min)")
# how long an answer lies there until housekeeping writes it down; pg_net counts from the beginning of the call's batch
_NEEDED = r"""
select n.needed, %s::interval < n.needed
from (select make_interval(
    mins => coalesce((
        select case when c.schedule ~ '^\s*\*\s' then 1 else least(60, coalesce(substring(c.schedule from '^\s*\*/(\d{1,2})\s')::integer, 5)) end
        from cron.job as c
        where c.jobname = 'autosync-keep-house'
        order by 1 desc
        limit 1
    ), 5),
    secs => coalesce((
        select max(j.timeout_milliseconds) / 1000.0 from autosync.job as j where j.function is not null or j.url is not null
    ), 30)
)) as n (needed)
"""  # noqa: E501


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    if not answer.values:
        return [Row("unknown", "extension pg_net", "is not installed", {"reason": "missing", "extension": "pg_net"})]
    found: dict[str, Any] = answer.values[0]
    values = found["values"]
    if not found["is_visible"]:
        detail = "are hidden from this role; as a superuser grant it pg_monitor"
        return [Row("unknown", "settings pg_net.*", detail, {"reason": "hidden", "lacks": "pg_monitor"})]
    return [
        Row(
            "critical",
            f"setting {name}",
            detail,
            {"setting": name, "value": values[name]} | ({"reason": reason, "role": values[name]} if reason else {}),
        )
        for name, detail, reason in (
            ("pg_net.ttl", _fault_of_ttl(answer.connection, values["pg_net.ttl"]), ""),
            ("pg_net.batch_size", _fault_of_batch_size(values["pg_net.batch_size"]), ""),
            (
                "pg_net.username",
                _fault_of_username(values["pg_net.username"], found["can_login"], found["lacking"]),
                # a role of the API gets no more rights
                "rights" if found["can_login"] and values["pg_net.username"] not in _OF_THE_API else "",
            ),
        )
        if detail
    ]


def _fault_of_ttl(connection: Connection, text: str | None) -> str | None:
    if text is None or _PLAIN_INTERVAL.fullmatch(text):
        return None
    try:
        # a text that is no interval raises, as it does in the worker
        with connection.transaction():
            row = connection.execute("select %s::interval > interval '0'", [text]).fetchone()
    except psycopg.DataError:
        return f"is {text!r}, which is no interval, so the worker ends as soon as it starts"
    if row != (True,):
        return f"is {text!r}, so every answer is deleted at once"
    try:
        with connection.transaction():
            [(needed, is_short)] = connection.execute(_NEEDED, [text]).fetchall()
    except psycopg.Error:
        # what is not there yet, or not for this role, is said by others
        return None
    if not is_short:
        return None
    seconds = f"{needed.total_seconds():.0f} s"
    return f"is {text!r}: an answer is deleted before housekeeping writes it down, which may take {seconds}"


def _fault_of_batch_size(text: str | None) -> str | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        return f"is {text!r}, which is no number"
    return "is 0, so no request is ever taken from the queue" if int(text) == 0 else None


def _fault_of_username(name: str | None, can_login: bool | None, lacking: list[str] | None) -> str | None:
    if not name:
        return None
    if can_login is None:
        return f"is {name!r}, and there is no such role, so the worker cannot connect"
    if not can_login:
        return f"is {name!r}, which may not log in, so the worker cannot connect"
    rights = ", ".join(lacking or ())
    return f"is {name!r}, which lacks {rights}, so the worker ends when it starts to work" if rights else None


CHECK = Check(
    layer="net",
    claim="pg_net's worker can work with the settings of pg_net",
    remedy=("alter system reset {setting}; select pg_reload_conf(); select net.worker_restart(); -- as a superuser"),
    remedies={
        "rights": (
            "grant select, delete on net.http_request_queue to {role}; grant select, insert, delete on"
            " net._http_response to {role}; select net.worker_restart(); -- as a superuser"
        ),
    },
    needs=("pg_net_installed", "pg_net_preloaded", "privileges_sufficient"),
    question=Question(_query, _read),
)
