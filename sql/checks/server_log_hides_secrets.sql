-- server_log_hides_secrets: settings with which the server's log gets values of secrets. The commands of autosync-db send them as copied
-- data, which is never logged; that leaves what logs values inside our functions, and what is written manually by SQL.
with setting as (
    select
        current_setting('log_min_messages') as messages,
        current_setting('log_statement') as statement,
        current_setting('log_min_duration_statement') as duration,
        current_setting('debug_print_plan')::boolean as plan,
        -- these settings exist where the library is loaded
        coalesce(current_setting('auto_explain.log_min_duration', true), '-1') as explained,
        coalesce(nullif(current_setting('auto_explain.log_nested_statements', true), '')::boolean, false)
            and coalesce(nullif(current_setting('auto_explain.log_verbose', true), '')::boolean, false) as explains_values,
        -- it exists from PostgreSQL 16 on, and is -1 unless it is set: whole parameters are logged
        coalesce(nullif(current_setting('auto_explain.log_nested_statements', true), '')::boolean, false)
            and coalesce(nullif(current_setting('auto_explain.log_parameter_max_length', true), ''), '0') <> '0' as explains_parameters,
        coalesce(current_setting('pgaudit.log', true), 'none') as audited,
        coalesce(nullif(current_setting('pgaudit.log_parameter', true), '')::boolean, false) as audits_parameters
)
select 'warning' as status, format('setting %s', f.name) as object, f.detail,
    jsonb_build_object('setting', f.name) as facts
from setting as s
cross join lateral (
    values
        (s.messages ~ '^debug[2-5]$', 'log_min_messages',
            format('is %s: pg_net then logs the headers of every call, the credential among them', s.messages)),
        (s.plan, 'debug_print_plan', 'is on: the plans of statements inside our functions are logged, with secrets as bytes'),
        (s.explains_values and s.explained <> '-1', 'auto_explain.log_verbose',
            format('is on with log_nested_statements: of statements inside our functions that take %s or longer, secrets are logged', s.explained)),
        (s.explains_parameters and s.explained <> '-1', 'auto_explain.log_parameter_max_length',
            format('is not 0 with log_nested_statements: of statements inside our functions that take %s or longer, secrets are logged',
                s.explained)),
        (s.audits_parameters and s.audited <> 'none', 'pgaudit.log_parameter',
            'is on: the parameters of statements inside our functions are logged'),
        (s.statement in ('mod', 'all'), 'log_statement', format('is %s: a secret that somebody writes by SQL is logged', s.statement)),
        (s.duration = '0', 'log_min_duration_statement', 'is 0: a secret that somebody writes by SQL is logged')
) as f (applies, name, detail)
where f.applies
order by object
