-- secrets_clean: take every character out of the stored address and credentials that none of them can have; return how many values
-- were changed. No value leaves the server.
select count(*) filter (where autosync.put_secret(s.name, regexp_replace(s.secret, '[^!-~]', '', 'g')))
from autosync.stored_secrets() as s
where (s.name in ('project_url', 'service_role_key', 'cron_secret', 'gateway_key')
        or s.name in (select unnest(autosync.needed_secrets(j.name)) from autosync.job as j))
    and s.secret ~ '[^!-~]'
    and s.secret ~ '[!-~]';
